"""Discussions: the conversations that a site stores for its users (protocol section 1.6)."""

from __future__ import annotations

from typing import Any

from ..protocol.parsing.events import Json
from .answers import Chat
from .exchange import Exchange
from .php import count, encode_json
from .state import Discussion, StoredFile, now

_TITLE_SIZE = 64  # characters that the plugin stores of a title


def store(exchange: Exchange, chat: Chat, final: Json) -> None:
    """Store a successful turn, if discussions are on and the client sent an id of the conversation."""
    state, version = exchange.state, exchange.version
    if not state.options.discussions or not chat.chat_id:
        return
    user_id = state.logins.user_id(exchange.user)
    with state.lock:
        row = next((row for row in state.discussions if row.chat_id == chat.chat_id), None)
        if row is not None and row.user_id != user_id and version.number >= (3, 5, 5):
            return
        if row is None:
            extra = {"session": str(chat.json.get("session") or exchange.session_cookie or "N/A"), "model": "script"}
            row = Discussion(state.next_number(), user_id, chat.bot_id, chat.chat_id, extra, now(), now())
            row.messages += _start(exchange, chat)
        else:
            state.discussions.remove(row)
        state.discussions.insert(0, row)  # the latest comes first
        row.user_id, row.updated = user_id, now()
        row.messages += [_question(state.files, chat), _answer(final)]
        if version.number >= (2, 8, 4) and final.get("responseId"):
            row.extra["previousResponseId"] = final["responseId"]


def _start(exchange: Exchange, chat: Chat) -> list[Json]:
    found = (bot.start_sentence for bot in exchange.state.options.bots if chat.bot_id in (bot.custom_id, bot.bot_id))
    sentence = next(found, "")
    return [{"role": "assistant", "content": sentence}] if sentence else []


def _question(files: list[StoredFile], chat: Chat) -> Json:
    urls = [stored.file.url for stored in files if stored.file.id in chat.file_ids]
    message: Json = {"role": "user", "content": "".join(f"![Uploaded Image]({url})\n" for url in urls) + chat.message}
    if chat.json.get("shortcutName"):
        message["shortcutName"] = chat.json["shortcutName"]
    return message


def _answer(final: Json) -> Json:
    return {"role": "assistant", "content": final["reply"], "extra": {"embeddings": None}}


def history(exchange: Exchange, chat_id: str) -> list[Json]:
    """Return the stored messages of a conversation, for the public API."""
    with exchange.state.lock:
        found = (row.messages for row in exchange.state.discussions if chat_id and row.chat_id == chat_id)
        return [{"role": message["role"], "content": message["content"]} for message in next(found, [])]


def list_discussions(exchange: Exchange) -> None:
    """Answer ``discussions/list`` with the conversations of the user, the latest first."""
    fields, state = exchange.fields, exchange.state
    bot_id = fields.get("botId") if fields.get("customId") is None else fields["customId"]
    if bot_id is None:
        return exchange.say_json(200, {"success": False, "message": "Bot ID is required."})
    if not exchange.user:
        return exchange.say_json(200, {"success": False, "message": "You need to be connected."})
    user_id = state.logins.user_id(exchange.user)
    start, size = count(fields.get("offset"), 0), count(fields.get("limit"), 10)
    with state.lock:
        rows = [row for row in state.discussions if row.user_id == user_id and row.bot_id == str(bot_id)]
        chats = [_row(row, with_display=exchange.version.number >= (2, 9, 2)) for row in rows[start : start + size]]
    return exchange.succeed(total=str(len(rows)), chats=chats)


def edit_discussion(exchange: Exchange) -> None:
    """Answer ``discussions/edit``, which sets a title. An unknown conversation is not an error."""
    chat_id, title = exchange.fields.get("chatId"), exchange.fields.get("title")
    if chat_id is None or title is None:
        return exchange.refuse("chatId and title are required.", status=400)
    if not exchange.user:
        return exchange.refuse("You need to be logged in.", status=401)
    with exchange.state.lock:
        for row in _own(exchange, [chat_id]):
            row.title = str(title)[:_TITLE_SIZE]
    return exchange.succeed()


def may_delete_discussions(exchange: Exchange) -> bool:
    """Return whether all of these conversations belong to the user."""
    ids = exchange.fields.get("chatIds")
    with exchange.state.lock:
        wanted = ids if isinstance(ids, list) else []
        own = [row.chat_id for row in _own(exchange, wanted)]
        return bool(exchange.user) and all(chat_id in own for chat_id in wanted)


def delete_discussions(exchange: Exchange) -> None:
    """Answer ``discussions/delete``."""
    ids = exchange.fields.get("chatIds")
    if not isinstance(ids, list) or not ids:
        return exchange.refuse("chatIds is required.", status=400)
    with exchange.state.lock:
        for row in _own(exchange, ids):
            exchange.state.discussions.remove(row)
    return exchange.succeed()


def _own(exchange: Exchange, chat_ids: list[Any]) -> list[Discussion]:
    """Return the user's conversations among these."""
    user_id = exchange.state.logins.user_id(exchange.user)
    return [row for row in exchange.state.discussions if row.user_id == user_id and row.chat_id in chat_ids]


def _row(row: Discussion, *, with_display: bool) -> Json:
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
    if with_display:
        display = {"start_date": row.created, "last_update": row.updated, "message_count": len(row.messages)}
        values["metadata_display"] = display
    return values
