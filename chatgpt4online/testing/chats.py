"""``chats/submit``: check a question as the plugin does, and send the answer (protocol sections 1.4 and 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any, TypeAlias

from ..protocol.parsing.errors import ServerError
from ..protocol.parsing.events import Json, Notice, Text
from .answers import Answer, Chat, Piece
from .exchange import Exchange
from .php import BLANK, encode_json, event, notice_event
from .scripts import Stop, ask_script, final_object, pieces_of, whole_text

REJECTED = "Sorry, your query has been rejected."

Sender: TypeAlias = Callable[[Exchange, Answer, Chat, Iterable[Piece]], None]


def submit(exchange: Exchange) -> None:
    """Send the script's answer, or refuse the question if the plugin would refuse it."""
    fields, version = exchange.fields, exchange.version
    text = str(fields.get("newMessage") or "").strip(BLANK)
    ids = [fields.get("customId"), fields.get("botId")]
    if not any(ids) or not (text or any(fields.get(key) for key in version.instead)):
        return exchange.refuse(REJECTED, status=403)
    stream = bool(fields.get("stream"))
    bot = find_bot(exchange, ids)
    if bot is None or is_too_long(exchange, bot, text):
        if not stream:
            return exchange.refuse(REJECTED)
        return exchange.say(200, event({"type": "error", "data": REJECTED}) + "\n\n")
    if version.secret_shortcuts and not text and fields.get("shortcutId"):
        hidden = exchange.state.hidden_message(fields["shortcutId"], bot)
        if hidden is None:
            return exchange.refuse("Invalid or expired shortcut.", status=400)
        text = hidden
    exchange.set_session_cookie()
    history = fields.get("messages")
    chat = Chat(
        message=text,
        messages=history if isinstance(history, list) else [],
        bot_id=bot,
        chat_id=str(fields.get("chatId") or ""),
        stream=stream,
        json=fields,
        file_ids=file_ids(fields, "newFileId", "newFileIds" if "newFileIds" in version.instead else ""),
        user=exchange.user,
    )
    return answer_with(exchange, chat, _stream if stream else _say_whole)


def find_bot(exchange: Exchange, ids: list[Any]) -> str | None:
    """Return the first of these bots that exists, else the default bot if it answers for others, else None."""
    known = {"default"}
    for bot in exchange.state.options.bots:
        known |= {name for name in (bot.bot_id, bot.custom_id) if name}
    found = (str(name) for name in ids if name and str(name) in known)
    return next(found, "default" if exchange.version.default_bot else None)


def is_too_long(exchange: Exchange, bot_id: str, text: str) -> bool:
    """Return whether a question is too long for this bot. A bot with a custom id accepts any length."""
    options = exchange.state.options
    limit: int | None = options.max_length
    for bot in options.bots:
        if bot.custom_id == bot_id:
            limit = None
        elif bot.bot_id == bot_id and bot.max_length is not None:
            limit = bot.max_length
    size = len(text.encode(errors="surrogatepass")) if exchange.version.in_bytes else len(text)
    return limit is not None and size > limit


def file_ids(fields: Json, one: str, many: str) -> tuple[str, ...]:
    """Return the ids of a question's files: those of the field for many files, else the one of the single field."""
    several = fields.get(many)
    ids = several if isinstance(several, list) and several else [fields.get(one)]
    return tuple(str(file_id) for file_id in ids if file_id)


def answer_with(exchange: Exchange, chat: Chat, send: Sender) -> None:
    """Call the script and ``send`` its answer. A fatal error of PHP and a refusal before PHP are sent here."""
    answer = ask_script(exchange.state, chat)
    with closing(pieces_of(answer, exchange.state)) as pieces:
        try:
            if answer.status != 200:
                _say_from_before_php(exchange, answer, pieces)
            else:
                send(exchange, answer, chat, pieces)
        except Stop as stop:
            if stop.cut:
                exchange.response.keep_alive = False
            elif exchange.response.started:
                exchange.response.end()
            else:
                exchange.say_fatal()


def finish(exchange: Exchange, answer: Answer, chat: Chat, text: str) -> Json:
    """Return the final object, and store its shortcuts and the chat."""
    final = final_object(answer, chat, text, exchange.version) | exchange.token()
    for shortcut in answer.shortcuts:
        exchange.state.offer(shortcut, chat.bot_id)
    if exchange.state.store:
        exchange.state.store(exchange.state, chat, final)
    return final


def _stream(exchange: Exchange, answer: Answer, chat: Chat, pieces: Iterable[Piece]) -> None:
    """Send each piece as an event. As in PHP, the head is sent together with the first one."""
    text: list[str] = []
    for piece in pieces:
        _open_stream(exchange, answer)
        if isinstance(piece, bytes):
            exchange.response.write(piece)
        elif isinstance(piece, Notice):
            if exchange.version.notices:
                _send(exchange, notice_event(piece))
        elif isinstance(piece, ServerError):
            _send(exchange, {"type": "error", "data": piece.message})
            if piece.message:
                return exchange.response.end()
        else:
            text.append(piece.text if isinstance(piece, Text) else piece)
            _send(exchange, {"type": "live", "data": text[-1]})
    _open_stream(exchange, answer)
    _send(exchange, {"type": "end", "data": encode_json(finish(exchange, answer, chat, "".join(text)))})
    return exchange.response.end()


def _open_stream(exchange: Exchange, answer: Answer) -> None:
    if exchange.response.started:
        return
    kind = "application/json; charset=UTF-8"  # image bots have this type (protocol section 2.5)
    if answer.images is None:
        kind = "text/event-stream;charset=UTF-8"
        exchange.replace("Cache-Control", "no-cache")
    exchange.response.start(200, kind, exchange.headers)


def _send(exchange: Exchange, value: Json) -> None:
    exchange.response.write(event(value).encode(), b"\n\n")


def _say_whole(exchange: Exchange, answer: Answer, chat: Chat, pieces: Iterable[Piece]) -> None:
    """Send only the final object, after the bytes of the script."""
    try:
        text, raw = whole_text(pieces)
    except ServerError as error:
        return exchange.refuse(error.message)
    return exchange.say_json(200, finish(exchange, answer, chat, text), raw)


def _say_from_before_php(exchange: Exchange, answer: Answer, pieces: Iterable[Piece]) -> None:
    body = b""
    for piece in pieces:
        if isinstance(piece, bytes):
            body += piece
        else:
            body += (piece if isinstance(piece, str) else str(getattr(piece, "text", piece))).encode()
    headers = {name.title(): value for name, value in answer.headers.items()}
    kind = headers.pop("Content-Type", "text/html")
    exchange.response.start(answer.status, kind, headers.items(), len(body))
    exchange.response.write(body)
