"""What servers do, and what every adapter must make of it: one table for all of them."""

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from chatgpt4online.protocol import errors

from .server import (
    LAST_CHUNK,
    NONCE,
    Peer,
    chunk,
    end,
    json_response,
    live,
    response,
    says,
    session_response,
    site,
    stream_head,
)

HELLO = live("Hel"), live("lo"), end("Hello")
REFUSED = {"code": "rest_cookie_invalid_nonce", "message": "Cookie check failed", "data": {"status": 403}}


@dataclass
class Behaviour:
    """A server, and the outcome for a client that asks it "Hi" once.

    ``text`` is what was streamed, in the error too; ``routes`` what the server was asked for; ``options`` are the
    client's.
    """

    name: str
    make: Callable[[], Callable[[Peer], None]]
    text: str = "Hello"
    error: type[Exception] | None = None
    routes: tuple[str, ...] = ("start_session", "submit")
    connections: int | None = None
    says: str = ""
    options: dict = field(default_factory=dict)


def chatting(name: str, *pieces: bytes, **expected) -> Behaviour:
    return Behaviour(name, lambda: site(says(*pieces)), **expected)


def then_close(*pieces: bytes) -> Callable[[], Callable[[Peer], None]]:
    def chat(peer, _):
        peer.send(*pieces)
        peer.close()

    return lambda: site(chat)


def then_hang(*pieces: bytes) -> Callable[[], Callable[[Peer], None]]:
    def chat(peer, _):
        peer.send(*pieces)
        peer.wait_for_close()

    return lambda: site(chat)


def in_turn(*answers: bytes | Callable) -> Callable[[], Callable[[Peer], None]]:
    """A site that answers the first chat with the first of these, the second with the second, and so on."""

    def make():
        left = iter(answers)

        def chat(peer, request):
            answer = next(left)
            if callable(answer):
                answer(peer, request)
            else:
                peer.send(answer)

        return site(chat, nonces=[NONCE, "1111111111", "2222222222", "3333333333"])

    return make


def streamed(*pieces: bytes, **headers: str) -> bytes:
    return stream_head(**headers) + chunk(*pieces) + LAST_CHUNK


def close_now(peer, _request):
    peer.close()


def redirect(status: str, location: str) -> bytes:
    return response(b"", status, Location=location)


def counted_sessions(*answers: bytes) -> Callable[[], Callable[[Peer], None]]:
    """A site whose start_session gives these answers one after the other, and then a nonce."""

    def make():
        left = iter(answers)

        def script(peer):
            for request in peer.requests():
                if request.route == "start_session":
                    peer.send(next(left, session_response()))
                else:
                    peer.send(streamed(*HELLO))

        return script

    return make


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


WHOLE = b"".join(HELLO)
PLAIN = {"success": True, "reply": "Hello", "images": None, "actions": [], "usage": None}
QUICK = {"timeout": 0.5, "retries": 0}

BEHAVIOURS = [
    # Framings
    chatting("chunked, a chunk an event", streamed(*HELLO), connections=1),
    chatting("one chunk for all", streamed(WHOLE), connections=1),
    chatting("chunks cut anywhere", streamed(*(WHOLE[i : i + 7] for i in range(0, len(WHOLE), 7)))),
    chatting("chunks of one byte", streamed(*(WHOLE[i : i + 1] for i in range(len(WHOLE))))),
    chatting(
        "chunk extensions and trailers",
        stream_head() + b"%x;name=value\r\n%s\r\n" % (len(WHOLE), WHOLE) + b"0\r\nX-Trailer: 1\r\n\r\n",
    ),
    chatting("with a length", stream_head(f"Content-Length: {len(WHOLE)}") + WHOLE, connections=1),
    Behaviour("until close", then_close(stream_head(""), *HELLO)),
    Behaviour("until close, HTTP/1.0", then_close(b"HTTP/1.0 200 OK\r\n\r\n" + WHOLE)),
    chatting("gzip", response(gzip.compress(WHOLE), Content_Encoding="gzip")),
    chatting(
        "gzip, chunked in pieces of 5",
        stream_head(Content_Encoding="gzip")
        + chunk(*(gzip.compress(WHOLE)[i : i + 5] for i in range(0, len(gzip.compress(WHOLE)), 5)))
        + LAST_CHUNK,
    ),
    chatting("deflate", response(zlib.compress(WHOLE), Content_Encoding="deflate")),
    chatting("deflate without its header", response(_deflated(WHOLE), Content_Encoding="deflate")),
    chatting("100 before the answer", b"HTTP/1.1 100 Continue\r\n\r\n" + streamed(*HELLO)),
    chatting("103 before the answer", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + streamed(*HELLO)),
    # Answers that are no stream
    chatting("plain JSON", json_response(PLAIN)),
    chatting("no text but in the end", streamed(end("Hello"))),
    chatting("unknown content type", response(WHOLE, Content_Type="text/plain")),
    # Ends
    chatting(
        "an error event",
        streamed(live("Hel"), b'data: {"type":"error","data":"Oops!"}\n\n'),
        text="Hel",
        error=errors.ServerError,
        says="Oops!",
    ),
    chatting(
        "success false",
        json_response({"success": False, "message": "No <b>way</b>."}, "500 Internal Server Error"),
        text="",
        error=errors.ServerError,
        says="No way.",
    ),
    chatting("a stream without its end", streamed(live("Hel")), text="Hel", error=errors.Truncated),
    Behaviour(
        "cut in a chunk",
        then_close(stream_head() + chunk(live("Hel")) + b"20\r\ndata: "),
        text="Hel",
        error=errors.Truncated,
    ),
    Behaviour("cut between chunks", then_close(stream_head() + chunk(live("Hel"))), text="Hel", error=errors.Truncated),
    Behaviour(
        "cut before its length",
        then_close(stream_head("Content-Length: 9999") + live("Hel")),
        text="Hel",
        error=errors.Truncated,
    ),
    Behaviour("cut behind the end event", then_close(stream_head() + chunk(*HELLO))),
    Behaviour(
        "cut in JSON",
        then_close(stream_head("Content-Length: 99") + b'{"success":true,"reply":"Hel'),
        text="",
        error=errors.Truncated,
    ),
    chatting(
        "garbage for a chunk size",
        stream_head() + chunk(live("Hel")) + b"zz\r\nfoo\r\n",
        text="Hel",
        error=errors.ChatError,
    ),
    chatting("an empty answer", response(b""), text="", error=errors.Truncated),
    Behaviour("it holds the connection open behind the end", then_hang(stream_head() + chunk(*HELLO))),
    chatting("rubbish behind the answer", streamed(*HELLO) + b"HTTP/1.1 666 Rubbish\r\n\r\n"),
    # Refusals
    chatting(
        "403 of a firewall",
        response(
            b"<html><title>Attention Required! | Cloudflare</title></html>", "403 Forbidden", Content_Type="text/html"
        ),
        text="",
        error=errors.Blocked,
    ),
    chatting(
        "200 with a challenge",
        response(b"<html><title>Just a moment...</title></html>", Content_Type="text/html"),
        text="",
        error=errors.Blocked,
    ),
    chatting(
        "404 in HTML",
        response(b"<html><title>Not here</title></html>", "404 Not Found"),
        text="",
        error=errors.NotAiEngine,
        says="Not here",
    ),
    chatting(
        "404 rest_no_route",
        json_response({"code": "rest_no_route", "message": "No route", "data": {"status": 404}}, "404 Not Found"),
        text="",
        error=errors.NotAiEngine,
    ),
    chatting(
        "REST closed",
        json_response({"code": "rest_not_logged_in", "message": "Log in", "data": {"status": 401}}, "401 Unauthorized"),
        text="",
        error=errors.StatusError,
        says="Log in",
    ),
    chatting(
        "504",
        response(b"<html><h1>504 Gateway Time-out</h1></html>", "504 Gateway Time-out"),
        text="",
        error=errors.StatusError,
    ),
    chatting(
        "a body over the limit",
        json_response({"success": True, "reply": "x" * 2000}),
        text="",
        error=errors.TooLarge,
        options={"max_body_size": 1000},
    ),
    chatting(
        "an event over the limit",
        streamed(live("Hel"), live("x" * 2000)),
        text="Hel",
        error=errors.TooLarge,
        options={"max_event_size": 1000},
    ),
    # Nonces
    Behaviour(
        "a stale nonce",
        in_turn(json_response(REFUSED, "403 Forbidden"), streamed(*HELLO)),
        routes=("start_session", "submit", "start_session", "submit"),
    ),
    Behaviour(
        "a nonce refused twice",
        in_turn(*[json_response(REFUSED, "403 Forbidden")] * 2),
        text="",
        error=errors.NonceRefused,
        routes=("start_session", "submit") * 2,
    ),
    Behaviour(
        "no session",
        counted_sessions(json_response({"success": True, "restNonce": None})),
        text="",
        error=errors.ProtocolError,
        routes=("start_session",),
    ),
    # Retries
    Behaviour(
        "429 and then an answer",
        in_turn(response(b"", "429 Too Many Requests", Retry_After="0"), streamed(*HELLO)),
        routes=("start_session", "submit", "submit"),
    ),
    Behaviour(
        "503 for the session",
        counted_sessions(response(b"", "503 Service Unavailable", Retry_After="0")),
        routes=("start_session", "start_session", "submit"),
    ),
    Behaviour(
        "429 for ever",
        in_turn(*[response(b"", "429 Too Many Requests", Retry_After="0")] * 3),
        text="",
        error=errors.RateLimited,
        routes=("start_session",) + ("submit",) * 3,
    ),
    Behaviour(
        "429 for longer than one waits",
        in_turn(response(b"", "429 Too Many Requests", Retry_After="600")),
        text="",
        error=errors.RateLimited,
    ),
    Behaviour(
        "closed without an answer, once",
        in_turn(close_now, streamed(*HELLO)),
        routes=("start_session", "submit", "submit"),
    ),
    Behaviour(
        "closed without an answer, no retries",
        in_turn(close_now),
        text="",
        error=errors.ConnectionFailed,
        options={"retries": 0},
    ),
    # Redirects
    Behaviour(
        "307 to itself with a cookie",
        in_turn(
            response(
                b"", "307 Temporary Redirect", Location="/wp-json/mwai-ui/v1/chats/submit", Set_Cookie="seen=1; path=/"
            ),
            streamed(*HELLO),
        ),
        routes=("start_session", "submit", "submit"),
    ),
    Behaviour(
        "301 with a slash",
        in_turn(redirect("301 Moved Permanently", "/wp-json/mwai-ui/v1/chats/submit/"), streamed(*HELLO)),
        routes=("start_session", "submit", "submit"),
    ),
    Behaviour(
        "302 to a login page",
        in_turn(redirect("302 Found", "/wp-login.php")),
        text="",
        error=errors.StatusError,
        says="wp-login.php",
    ),
    Behaviour(
        "redirects without end",
        lambda: site(says(redirect("308 Permanent Redirect", "/wp-json/mwai-ui/v1/chats/submit"))),
        text="",
        error=errors.StatusError,
        routes=("start_session",) + ("submit",) * 6,
    ),
    Behaviour(
        "a redirect to no address",
        in_turn(redirect("307 Temporary Redirect", "http://[")),
        text="",
        error=errors.StatusError,
    ),
    # Hangs
    Behaviour("it never answers", then_hang(), text="", error=errors.TimedOut, says="first_byte", options=QUICK),
    Behaviour(
        "it stops in the answer",
        then_hang(stream_head() + chunk(live("Hel"))),
        text="Hel",
        error=errors.TimedOut,
        says="idle",
        options=QUICK,
    ),
]
