"""The public API, for programs with the site's token (protocol section 1.8)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from ..protocol.parsing.errors import ServerError
from ..protocol.parsing.events import Json
from .answers import Answer, Chat, Piece
from .chats import REJECTED, answer_with, file_ids, find_bot, finish, is_too_long
from .discussions import history
from .exchange import Exchange
from .files import content_type, keep
from .forms import Upload, read_form, read_params
from .logins import ADMIN, email
from .php import BLANK, count
from .scripts import whole_text
from .state import random_id
from .widgets import Widget

_NEEDED = {
    "simpleImageEditQuery": ("mediaId",),
    "simpleVisionQuery": ("url",),
    "simpleTranscribeAudio": ("url", "mediaId"),
}


def may_use_api(exchange: Exchange) -> bool:
    """Return whether the request has the site's token or comes from a user."""
    kind, _, token = exchange.request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token == exchange.state.options.token:
        exchange.user = ADMIN
    return bool(exchange.user)


def check(exchange: Exchange) -> None:
    """Answer ``simpleAuthCheck``."""
    exchange.succeed(data={"type": "email", "value": email(exchange.user)})


def query(exchange: Exchange) -> None:
    """Answer a route that asks the model, with the script's answer."""
    params, route = read_params(exchange.request), _route(exchange)
    message = _message(params, route)
    needed = _NEEDED.get(route, ())
    if not message and route != "simpleTranscribeAudio":
        return exchange.refuse(f"The {'text' if route == 'moderationCheck' else 'message'} is required.")
    if needed and not any(params.get(name) for name in needed):
        return exchange.refuse(f"The {' or '.join(needed)} is required.")
    options = params.get("options")
    messages = options.get("messages") if isinstance(options, dict) else None
    earlier = messages if isinstance(messages, list) else []
    return answer_with(exchange, Chat(message, earlier, "", "", False, params, (), exchange.user, route), _say)


def chat(exchange: Exchange) -> None:
    """Answer ``simpleChatbotQuery``, and continue a conversation that the site stores."""
    params, route = read_params(exchange.request), _route(exchange)
    message = _message(params, route)
    if not params.get("botId"):
        return exchange.refuse("The botId is required.")
    if not message:
        return exchange.refuse("The message is required.")
    bot = find_bot(exchange, [params["botId"]])
    if bot is None or is_too_long(exchange, bot, message):
        return exchange.refuse(REJECTED)
    one, many = ("fileId", "fileIds") if exchange.version.number >= (3, 1, 2) else ("", "")
    chat_id = str(params.get("chatId") or random_id()[:12])
    earlier, files = history(exchange, chat_id), file_ids(params, one, many)
    return answer_with(exchange, Chat(message, earlier, bot, chat_id, False, params, files, exchange.user, route), _say)


def upload(exchange: Exchange) -> None:
    """Answer ``simpleFileUpload``, which has the file of a form, or ``base64`` and ``filename``."""
    params, (_, files) = read_params(exchange.request), read_form(exchange.request)
    sent = files.get("file")
    if sent is None and params.get("base64"):
        name = str(params.get("filename") or "")
        with suppress(ValueError):
            content = base64.b64decode(str(params["base64"]).rpartition(",")[2], validate=True)
            sent = Upload(name, content_type(name) or "", content)
    if sent is None:
        return exchange.refuse("A file or base64 data is required.")
    if content_type(sent.name) is None:
        return exchange.refuse("File type is not allowed.")
    owner, purpose = exchange.state.logins.user_id(exchange.user), str(params.get("purpose") or "analysis")
    file = keep(exchange, sent, purpose, owner, params.get("metadata"), None, count(params.get("ttl"), 3600))
    return exchange.succeed(data={"id": file.id, "url": file.url})


def list_bots(exchange: Exchange) -> None:
    """Answer ``listChatbots``."""
    bots = {bot.bot_id: _bot(bot) for bot in (Widget(), *exchange.state.options.bots) if bot.bot_id}
    exchange.succeed(data=list(bots.values()))


def _route(exchange: Exchange) -> str:
    return exchange.route.rpartition("/")[2]


def _message(params: Json, route: str) -> str:
    message = params.get("text") if route == "moderationCheck" else params.get("message") or params.get("prompt")
    return str(message or "").strip(BLANK)


def _say(exchange: Exchange, answer: Answer, chat: Chat, pieces: Iterable[Piece]) -> None:
    """Send the script's answer in the shape of the route."""
    try:
        text, raw = whole_text(pieces)
    except ServerError as error:
        return exchange.refuse(error.message)
    final = finish(exchange, answer, chat, text)
    data: Json = {"success": True, "data": _data(chat.route, answer, final["reply"])}
    if chat.route == "simpleChatbotQuery" and exchange.version.number >= (2, 4, 8):
        data["extra"] = {"actions": final["actions"], "chatId": chat.chat_id}
    return exchange.say_json(200, data | exchange.token(), raw)


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
