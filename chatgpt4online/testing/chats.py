"""``chats/submit``: the plugin's tests of a question, and how the answer goes out (protocol sections 1.4 and 2)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any

from ..protocol.errors import ServerError
from ..protocol.events import Json, Notice, Text
from .answers import Answer, Chat, Piece
from .exchange import Exchange
from .php import BLANK, encode_json, event, notice_event, truth
from .scripts import Stop, ask_script, final_object, pieces_of

REJECTED = "Sorry, your query has been rejected."


def answer_chat(exchange: Exchange) -> None:
    """Let the script answer, if the plugin's tests of the question let it."""
    if exchange.nonce is None:
        return exchange.deny(401, "rest_forbidden", "Sorry, you are not allowed to do that.")
    sent = exchange.request.json if exchange.is_json else None
    fields: Json = sent if isinstance(sent, dict) else {}
    message = fields.get("newMessage")
    if isinstance(message, list | dict):  # for PHP's trim(), a TypeError
        return exchange.say_fatal()
    text = "" if message is None else str(message).strip(BLANK)
    ids = [fields.get("customId"), fields.get("botId")]
    if not any(ids) or not (text or any(fields.get(key) for key in exchange.version.instead)):
        return exchange.refuse(REJECTED, status=403)
    stream = truth(fields.get("stream"))
    bot = find_bot(exchange, ids)
    if bot is None or is_too_long(exchange, text):
        if not stream:
            return exchange.refuse(REJECTED)
        return exchange.say(200, event({"type": "error", "data": REJECTED}) + "\n\n")
    exchange.set_session_cookie()
    history = fields.get("messages")
    chat = Chat(
        message=text,
        messages=history if isinstance(history, list) else [],
        bot_id=bot,
        chat_id=str(fields.get("chatId") or ""),
        stream=stream,
        json=fields,
    )
    return _answer_with(exchange, ask_script(exchange.state, chat), chat)


def find_bot(exchange: Exchange, ids: list[Any]) -> str | None:
    """Return the first of these bots that there is; else the default one, where the release lets it stand in."""
    for name in ids:
        if name in ("default", *exchange.state.options.bots):
            return str(name)
    return "default" if exchange.version.default_bot else None


def is_too_long(exchange: Exchange, text: str) -> bool:
    """Return whether a question is over the limit of its length."""
    size = len(text.encode(errors="surrogatepass")) if exchange.version.in_bytes else len(text)
    return size > exchange.state.options.max_length


def _answer_with(exchange: Exchange, answer: Answer, chat: Chat) -> None:
    with closing(pieces_of(answer, exchange.state)) as pieces:
        try:
            if answer.status != 200:
                _say_from_before_php(exchange, answer, pieces)
            elif chat.stream:
                _stream(exchange, answer, chat, pieces)
            else:
                _say_whole(exchange, answer, chat, pieces)
        except Stop as stop:
            if stop.cut:
                exchange.response.keep_alive = False
            elif exchange.response.started:
                exchange.response.end()
            else:
                exchange.say_fatal()


def _stream(exchange: Exchange, answer: Answer, chat: Chat, pieces: Iterable[Piece]) -> None:
    """Send each piece as an event; the head goes with the first one, as PHP sends it."""
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
    _send(exchange, {"type": "end", "data": encode_json(_final(exchange, answer, chat, "".join(text)))})
    return exchange.response.end()


def _open_stream(exchange: Exchange, answer: Answer) -> None:
    if exchange.response.started:
        return
    kind = "application/json; charset=UTF-8"  # of an image bot (protocol section 2.5)
    if answer.images is None:
        kind = "text/event-stream;charset=UTF-8"
        exchange.replace("Cache-Control", "no-cache")
    exchange.response.start(200, kind, exchange.headers)


def _send(exchange: Exchange, value: Json) -> None:
    exchange.response.write(event(value).encode(), b"\n\n")


def _say_whole(exchange: Exchange, answer: Answer, chat: Chat, pieces: Iterable[Piece]) -> None:
    """Send the final object alone, after whatever bytes the script has."""
    text: list[str] = []
    raw = b""
    for piece in pieces:
        if isinstance(piece, bytes):
            raw += piece
        elif isinstance(piece, ServerError):
            if piece.message:
                return exchange.refuse(piece.message)
        elif not isinstance(piece, Notice):
            text.append(piece.text if isinstance(piece, Text) else piece)
    return exchange.say_json(200, _final(exchange, answer, chat, "".join(text)), raw)


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


def _final(exchange: Exchange, answer: Answer, chat: Chat, text: str) -> Json:
    return final_object(answer, chat, text, exchange.version) | exchange.token()
