"""The public API, for programs with the site's token (protocol section 1.8)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from chatgpt4online.protocol.parsing.errors import ServerError
from chatgpt4online.protocol.parsing.events import Json
from chatgpt4online.testing import Answer, Chat, Widget
from chatgpt4online.testing.answers import Piece
from chatgpt4online.testing.chats import REJECTED, answer_with, file_ids, find_bot, finish, is_too_long
from chatgpt4online.testing.exchange import Exchange
from chatgpt4online.testing.files import content_type, keep
from chatgpt4online.testing.forms import read_form
from chatgpt4online.testing.logins import ADMIN, email
from chatgpt4online.testing.php import BLANK
from chatgpt4online.testing.routes import Route
from chatgpt4online.testing.scripts import whole_text

from .discussions import Discussions

_QUERIES = {  # the routes that ask a model, and the first release that has each
    "simpleTextQuery": (1, 3, 90),
    "simpleFastTextQuery": (2, 9, 2),
    "simpleImageQuery": (2, 1, 6),
    "simpleImageEditQuery": (2, 8, 2),
    "simpleVisionQuery": (1, 9, 96),
    "simpleJsonQuery": (1, 9, 96),
    "moderationCheck": (1, 3, 90),
    "simpleTranscribeAudio": (2, 8, 9),
}
_NEEDED = {
    "simpleImageEditQuery": ("mediaId",),
    "simpleVisionQuery": ("url",),
    "simpleTranscribeAudio": ("url", "mediaId"),
}


class Api:
    """The public API of a release of the plugin. It continues the conversations in ``discussions``."""

    def __init__(self, token: str, number: tuple[int, int, int], discussions: Discussions) -> None:
        self._token = token
        self._number = number
        self._discussions = discussions

    def routes(self) -> Iterator[Route]:
        """Yield the routes of the release."""
        yield self._route("simpleAuthCheck", _check, "GET")
        yield self._route("simpleChatbotQuery", self._chat)
        for name, since in _QUERIES.items():
            if self._number >= since:
                yield self._route(name, partial(_query, route=name))
        if self._number >= (2, 9, 3):
            yield self._route("simpleFileUpload", _upload)
        if self._number >= (2, 8, 5):
            yield self._route("listChatbots", _list_bots, "GET")

    def _route(self, name: str, answer: Callable[[Exchange], None], method: str = "POST") -> Route:
        return Route(f"/mwai/v1/{name}", answer, self._may_use, method)

    def _may_use(self, exchange: Exchange) -> bool:
        """Return whether the request has the site's token or comes from a user."""
        kind, _, token = exchange.request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and token == self._token:
            exchange.user = ADMIN
        return bool(exchange.user)

    def _chat(self, exchange: Exchange) -> None:
        """Answer ``simpleChatbotQuery``, and continue a conversation that the site stores."""
        fields = exchange.fields
        message = _message(fields, "simpleChatbotQuery")
        if not fields.get("botId"):
            return exchange.refuse("The botId is required.")
        if not message:
            return exchange.refuse("The message is required.")
        bot = find_bot(exchange, [fields["botId"]])
        if bot is None or is_too_long(exchange, bot, message):
            return exchange.refuse(REJECTED)
        one, many = ("fileId", "fileIds") if self._number >= (3, 1, 2) else ("", "")
        chat_id = str(fields.get("chatId") or secrets.token_hex(6))
        earlier, files = self._discussions.history(chat_id), file_ids(fields, one, many)
        chat = Chat(message, earlier, bot, chat_id, False, fields, files, exchange.user, "simpleChatbotQuery")
        return answer_with(exchange, chat, self._say_chat)

    def _say_chat(self, exchange: Exchange, answer: Answer, chat: Chat, pieces: Iterable[Piece]) -> None:
        def extra(final: Json) -> Json:
            if self._number < (2, 4, 8):
                return {}
            return {"extra": {"actions": final["actions"], "chatId": chat.chat_id}}

        _say(exchange, answer, chat, pieces, extra)


def _check(exchange: Exchange) -> None:
    """Answer ``simpleAuthCheck``."""
    exchange.succeed(data={"type": "email", "value": email(exchange.user)})


def _query(exchange: Exchange, *, route: str) -> None:
    """Answer a route that asks the model, with the script's answer."""
    fields, needed = exchange.fields, _NEEDED.get(route, ())
    message = _message(fields, route)
    if not message and route != "simpleTranscribeAudio":
        return exchange.refuse(f"The {'text' if route == 'moderationCheck' else 'message'} is required.")
    if needed and not any(fields.get(name) for name in needed):
        return exchange.refuse(f"The {' or '.join(needed)} is required.")
    options = fields.get("options")
    messages = options.get("messages") if isinstance(options, dict) else None
    earlier = messages if isinstance(messages, list) else []
    return answer_with(exchange, Chat(message, earlier, "", "", False, fields, (), exchange.user, route), _say)


def _upload(exchange: Exchange) -> None:
    """Answer ``simpleFileUpload``."""
    _, files = read_form(exchange.request)
    if "file" not in files:
        return exchange.refuse("A file or base64 data is required.")
    if content_type(files["file"].name) is None:
        return exchange.refuse("File type is not allowed.")
    owner = exchange.state.logins.user_id(exchange.user)
    file = keep(exchange.state, files["file"], "analysis", owner)
    return exchange.succeed(data={"id": file.id, "url": file.url})


def _list_bots(exchange: Exchange) -> None:
    """Answer ``listChatbots``."""
    bots = {bot.bot_id: _bot(bot) for bot in (Widget(), *exchange.state.options.bots) if bot.bot_id}
    exchange.succeed(data=list(bots.values()))


def _message(fields: Json, route: str) -> str:
    return str(fields.get("text" if route == "moderationCheck" else "message") or "").strip(BLANK)


def _say(
    exchange: Exchange,
    answer: Answer,
    chat: Chat,
    pieces: Iterable[Piece],
    extra: Callable[[Json], Json] = lambda final: {},
) -> None:
    """Send the script's answer in the shape of the route, with the ``extra`` fields of the final object."""
    try:
        text, raw = whole_text(pieces)
    except ServerError as error:
        return exchange.refuse(error.message)
    final = finish(exchange, answer, chat, text)
    data: Json = {"success": True, "data": _data(chat.route, answer, final["reply"])}
    return exchange.say_json(200, data | extra(final) | exchange.token(), raw)


def _data(route: str, answer: Answer, text: str) -> Any:
    if route in ("simpleImageQuery", "simpleImageEditQuery"):
        return answer.images[0] if answer.images else text
    if route not in ("simpleJsonQuery", "moderationCheck"):
        return text
    value = None
    with suppress(ValueError, RecursionError):
        value = json.loads(text)
    return value if route == "simpleJsonQuery" or isinstance(value, bool) else None


def _bot(bot: Widget) -> Json:
    return {
        "id": bot.bot_id,
        "name": bot.name,
        "type": "chatbot",
        "model": "script",
        "model_name": "Script",
        "environment": "loopback",
        "environment_name": "Loopback",
        "functions": [],
        "tools": [],
        "mcp_servers": [],
    }
