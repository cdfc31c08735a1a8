"""Discussions: the conversations that a site stores for its users (protocol section 1.6)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chatgpt4online.protocol.parsing.events import Json
from chatgpt4online.testing import Chat
from chatgpt4online.testing.exchange import Exchange
from chatgpt4online.testing.php import encode_json
from chatgpt4online.testing.routes import Route
from chatgpt4online.testing.state import State

_TITLE_SIZE = 64  # characters that the plugin stores of a title


@dataclass(slots=True)
class Row:
    """A conversation in the site's table. ``user_id`` is 0 for a guest."""

    number: int
    user_id: int
    bot_id: str
    chat_id: str
    extra: Json
    created: str
    updated: str
    title: str | None = None
    messages: list[Json] = field(default_factory=list)


class Discussions:
    """The table of conversations in a release of the plugin, and the routes that show and change it."""

    def __init__(self, number: tuple[int, int, int]) -> None:
        self._number = number
        self._rows: list[Row] = []
        self._rows_so_far = 0
        self._lock = threading.Lock()

    def routes(self) -> Iterator[Route]:
        """Yield the routes of the release."""
        path = "/mwai-ui/v1/discussions"
        yield Route(f"{path}/list", self._list, lambda exchange: True)
        if self._number >= (2, 6, 5):
            yield Route(f"{path}/edit", self._edit, lambda exchange: True)
            yield Route(f"{path}/delete", self._delete, self._may_delete)

    def store(self, state: State, chat: Chat, final: Json) -> None:
        """Store a successful turn if the client sent an id of the conversation."""
        if not chat.chat_id:
            return
        user_id = state.logins.user_id(chat.user)
        with self._lock:
            row = next((row for row in self._rows if row.chat_id == chat.chat_id), None)
            if row is not None and row.user_id != user_id and self._number >= (3, 5, 5):
                return
            if row is None:
                row = self._new_row(state, chat, user_id)
            else:
                self._rows.remove(row)
            self._rows.insert(0, row)  # the latest comes first
            row.user_id, row.updated = user_id, _now()
            row.messages += [_question(state, chat), _answer(final)]
            if self._number >= (2, 8, 4) and final.get("responseId"):
                row.extra["previousResponseId"] = final["responseId"]

    def history(self, chat_id: str) -> list[Json]:
        """Return the stored messages of a conversation, for the public API."""
        with self._lock:
            found = (row.messages for row in self._rows if chat_id and row.chat_id == chat_id)
            return [{"role": message["role"], "content": message["content"]} for message in next(found, [])]

    def _new_row(self, state: State, chat: Chat, user_id: int) -> Row:
        self._rows_so_far += 1
        extra = {"session": str(chat.json.get("session") or "N/A"), "model": "script"}
        row = Row(self._rows_so_far, user_id, chat.bot_id, chat.chat_id, extra, _now(), _now())
        bots = state.options.bots
        sentence = next((bot.start_sentence for bot in bots if chat.bot_id in (bot.custom_id, bot.bot_id)), "")
        if sentence:
            row.messages.append({"role": "assistant", "content": sentence})
        return row

    def _list(self, exchange: Exchange) -> None:
        """Answer ``discussions/list`` with the conversations of the user, the latest first."""
        fields = exchange.fields
        bot_id = fields.get("botId") if fields.get("customId") is None else fields["customId"]
        if bot_id is None:
            return exchange.say_json(200, {"success": False, "message": "Bot ID is required."})
        if not exchange.user:
            return exchange.say_json(200, {"success": False, "message": "You need to be connected."})
        user_id = exchange.state.logins.user_id(exchange.user)
        start, size = _count(fields.get("offset"), 0), _count(fields.get("limit"), 10)
        with self._lock:
            rows = [row for row in self._rows if row.user_id == user_id and row.bot_id == str(bot_id)]
            chats = [self._shown(row) for row in rows[start : start + size]]
        return exchange.succeed(total=str(len(rows)), chats=chats)

    def _edit(self, exchange: Exchange) -> None:
        """Answer ``discussions/edit``, which sets a title. An unknown conversation is not an error."""
        chat_id, title = exchange.fields.get("chatId"), exchange.fields.get("title")
        if chat_id is None or title is None:
            return exchange.refuse("chatId and title are required.", status=400)
        if not exchange.user:
            return exchange.refuse("You need to be logged in.", status=401)
        with self._lock:
            for row in self._own(exchange, [chat_id]):
                row.title = str(title)[:_TITLE_SIZE]
        return exchange.succeed()

    def _may_delete(self, exchange: Exchange) -> bool:
        """Return whether all of these conversations belong to the user."""
        ids = exchange.fields.get("chatIds")
        with self._lock:
            wanted = ids if isinstance(ids, list) else []
            own = [row.chat_id for row in self._own(exchange, wanted)]
            return bool(exchange.user) and all(chat_id in own for chat_id in wanted)

    def _delete(self, exchange: Exchange) -> None:
        """Answer ``discussions/delete``."""
        ids = exchange.fields.get("chatIds")
        if not isinstance(ids, list) or not ids:
            return exchange.refuse("chatIds is required.", status=400)
        with self._lock:
            for row in self._own(exchange, ids):
                self._rows.remove(row)
        return exchange.succeed()

    def _own(self, exchange: Exchange, chat_ids: list[Any]) -> list[Row]:
        """Return the user's conversations among these."""
        user_id = exchange.state.logins.user_id(exchange.user)
        return [row for row in self._rows if row.user_id == user_id and row.chat_id in chat_ids]

    def _shown(self, row: Row) -> Json:
        """Return a row as the database returns it, with strings only. ``messages`` and ``extra`` are JSON."""
        values: Json = {
            "id": str(row.number),
            "userId": str(row.user_id),
            "ip": "127.0.0.1",
            "title": row.title,
            "messages": encode_json(row.messages),
            "extra": encode_json(row.extra),
            "botId": row.bot_id,
            "chatId": row.chat_id,
            "threadId": None,
            "storeId": None,
            "created": row.created,
            "updated": row.updated,
        }
        if self._number >= (2, 9, 2):
            display = {"start_date": row.created, "last_update": row.updated, "message_count": len(row.messages)}
            values["metadata_display"] = display
        return values


def _question(state: State, chat: Chat) -> Json:
    with state.lock:
        urls = [stored.file.url for stored in state.files if stored.file.id in chat.file_ids]
    message: Json = {"role": "user", "content": "".join(f"![Uploaded Image]({url})\n" for url in urls) + chat.message}
    if chat.json.get("shortcutName"):
        message["shortcutName"] = chat.json["shortcutName"]
    return message


def _answer(final: Json) -> Json:
    return {"role": "assistant", "content": final["reply"], "extra": {"embeddings": None}}


def _now() -> str:
    """Return the time in the form of MySQL."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())


def _count(value: object, otherwise: int) -> int:
    """Return a number that may be a string, or ``otherwise`` for 0 and for other values."""
    text = str(value)
    return (int(text[:9]) if text.isascii() and text.isdigit() else 0) or otherwise
