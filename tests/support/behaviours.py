"""A table of servers, and the outcome that every adapter must have for each."""

import gzip
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chatgpt4online.protocol.parsing import errors

from ..support.server import (
    LAST_CHUNK,
    NONCE,
    Chat,
    Peer,
    Received,
    Script,
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
    """A server, and the expected outcome for a client that asks it "Hi" once.

    ``text`` is the streamed text, also if the answer ends in an error. ``routes`` are the requests that the server
    receives. ``options`` are those of the client.
    """

    name: str
    make: Callable[[], Script]
    text: str = "Hello"
    error: type[Exception] | None = None
    routes: tuple[str, ...] = ("start_session", "submit")
    connections: int | None = None
    says: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def chatting(name: str, *pieces: bytes, **expected: Any) -> Behaviour:
    return Behaviour(name, lambda: site(says(*pieces)), **expected)


def then_close(*pieces: bytes) -> Callable[[], Script]:
    def chat(peer: Peer, _: Received) -> None:
        peer.send(*pieces)
        peer.close()

    return lambda: site(chat)


def then_hang(*pieces: bytes) -> Callable[[], Script]:
    def chat(peer: Peer, _: Received) -> None:
        peer.send(*pieces)
        peer.wait_for_close()

    return lambda: site(chat)


def in_turn(*answers: bytes | Chat) -> Callable[[], Script]:
    """Return a site that answers the first chat with the first of these, the second with the second, and so on."""

    def make() -> Script:
        left = iter(answers)

        def chat(peer: Peer, request: Received) -> None:
            answer = next(left)
            if callable(answer):
                answer(peer, request)
            else:
                peer.send(answer)

        return site(chat, nonces=[NONCE, "1111111111", "2222222222", "3333333333"])

    return make


def streamed(*pieces: bytes, **headers: str) -> bytes:
    return stream_head(**headers) + chunk(*pieces) + LAST_CHUNK


def close_now(peer: Peer, _: Received) -> None:
    peer.close()


def redirect(status: str, location: str) -> bytes:
    return response(b"", status, Location=location)


def counted_sessions(*answers: bytes) -> Callable[[], Script]:
    """Return a site whose start_session sends these answers one after the other, and then a nonce."""

    def make() -> Script:
        left = iter(answers)

        def script(peer: Peer) -> None:
            for request in peer.requests():
                if request.route == "start_session":
                    peer.send(next(left, session_response()))
                else:
                    peer.send(streamed(*HELLO))

        return script

    return make


def closing_after_the_session(peer: Peer) -> None:
    for request in peer.requests():
        if request.route == "start_session":
            peer.send(session_response())
            return
        peer.send(streamed(*HELLO))


def answering_before_the_body(peer: Peer) -> None:
    """Return a site that reads the heads of requests, answers, and then reads their bodies."""
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            data = peer.socket.recv(65_536)
            if not data:
                return
            received += data
        head, _, received = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        length = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length")), 0)
        method, target, _ = first.split(" ", 2)
        request = Received(method, target, {}, b"")
        peer.server.requests.append(request)
        peer.send(session_response() if request.route == "start_session" else streamed(*HELLO))
        while len(received) < length:
            received += peer.socket.recv(65_536)
        received = received[length:]


def reset_now(peer: Peer, _: Received) -> None:
    peer.reset()


def headed(*fields: bytes, status: bytes = b"HTTP/1.1 200 OK", body: bytes | None = None) -> bytes:
    """Return a response with exactly these bytes. Without a body it is the whole answer, with its length."""
    if body is None:
        fields, body = (*fields, b"Content-Length: %d" % len(WHOLE)), WHOLE
    return b"\r\n".join([status, *fields, b"", body])


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


WHOLE = b"".join(HELLO)
PLAIN = {"success": True, "reply": "Hello", "images": None, "actions": [], "usage": None}
WARNING = b"<br />\n<b>Warning</b>:  Undefined key in <b>/x.php</b> on line <b>5</b><br />\n"
GZIPPED = gzip.compress(WHOLE)
QUICK = {"timeout": 0.5, "retries": 0}
ONCE = {"retries": 0}

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
    chatting(
        "chunk sizes in upper case, with zeros", stream_head() + b"000%X\r\n%s\r\n000\r\n\r\n" % (len(WHOLE), WHOLE)
    ),
    chatting("spaces after a chunk size", stream_head() + b"%x  \r\n%s\r\n" % (len(WHOLE), WHOLE) + LAST_CHUNK),
    chatting(
        "chunked in HTTP/1.0",
        headed(b"Transfer-Encoding: Chunked", status=b"HTTP/1.0 200 OK", body=chunk(*HELLO)) + LAST_CHUNK,
    ),
    chatting("with a length, HTTP/1.0", headed(status=b"HTTP/1.0 200 OK")),
    chatting(
        "chunked and a length",
        headed(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=chunk(*HELLO)) + LAST_CHUNK,
    ),
    chatting("more than its length", headed() + b"and more"),
    chatting(
        "x-gzip in two members",
        response(gzip.compress(HELLO[0]) + gzip.compress(HELLO[1] + HELLO[2]), Content_Encoding="x-gzip"),
    ),
    chatting("gzip and padding", response(GZIPPED + b"\0" * 20, Content_Encoding="GZIP")),
    chatting("gzip without its checksum", response(GZIPPED[:-8], Content_Encoding="gzip")),
    Behaviour("gzip until close", then_close(stream_head("", Content_Encoding="gzip"), GZIPPED)),
    chatting("an unknown encoding", response(WHOLE, Content_Encoding="foo")),
    # Heads
    chatting("no reason phrase", headed(status=b"HTTP/1.1 200")),
    chatting("a reason and a header in UTF-8", headed("X-Note: да".encode(), status="HTTP/1.1 200 Да".encode())),
    chatting("lines that end in LF", headed().replace(b"\r\n", b"\n")),
    chatting("header names in lower case", headed(b"transfer-encoding: chunked", body=chunk(*HELLO)) + LAST_CHUNK),
    chatting("headers twice, the length too", headed(b"Server: a", b"Server: b", b"Content-Length: %d" % len(WHOLE))),
    chatting("a folded header", headed(b"X-Note: one", b" two")),
    chatting("60 headers of 1,000 bytes", headed(*(b"X-%d: " % n + b"x" * 1000 for n in range(60)))),
    chatting(
        "a header of 300,000 bytes",
        headed(b"X-Note: " + b"x" * 300_000),
        text="",
        error=errors.ConnectionFailed,
        options=ONCE,
    ),
    chatting(
        "a header without end",
        headed(b"X-Note: " + b"x" * 3_000_000),
        text="",
        error=errors.ConnectionFailed,
        options=ONCE,
    ),
    chatting("many 103", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 20 + streamed(*HELLO)),
    Behaviour(
        "no HTTP at all", then_close(b"SSH-2.0-OpenSSH_9.2\r\n"), text="", error=errors.ConnectionFailed, options=ONCE
    ),
    Behaviour("a body and no head", then_close(WHOLE), text="", error=errors.ConnectionFailed, options=ONCE),
    Behaviour(
        "cut in the status line", then_close(b"HTTP/1.1 20"), text="", error=errors.ConnectionFailed, options=ONCE
    ),
    # Connections
    Behaviour("the connection closed after the session", lambda: closing_after_the_session, connections=2),
    Behaviour(
        "the connection closed after the session, as announced",
        counted_sessions(session_response().replace(b"\r\n", b"\r\nConnection: close\r\n", 1)),
        connections=2,
    ),
    Behaviour("an answer before the body was read", lambda: answering_before_the_body, connections=1),
    Behaviour(
        "reset without an answer, once",
        in_turn(reset_now, streamed(*HELLO)),
        routes=("start_session", "submit", "submit"),
        connections=2,
    ),
    Behaviour(
        "reset without an answer, no retries", in_turn(reset_now), text="", error=errors.ConnectionFailed, options=ONCE
    ),
    # Events
    chatting("a BOM", streamed(b"\xef\xbb\xbf" + WHOLE)),
    chatting("warnings of PHP before it", streamed(WARNING + WHOLE)),
    chatting("a warning of PHP in it", streamed(HELLO[0], WARNING, *HELLO[1:])),
    chatting(
        "lines that end in CRLF, cut between",
        streamed(*re.findall(rb"\n?[^\n]+", WHOLE.replace(b"\n", b"\r\n") + b"\r")),
    ),
    chatting("lines that end in CR", streamed(WHOLE.replace(b"\n", b"\r"))),
    chatting("no blank line after the end", streamed(WHOLE[:-2])),
    chatting("comments, ids and retry", streamed(b": ping\n\n", HELLO[0], b":\n\nid: 5\nretry: 1\n\n", *HELLO[1:])),
    chatting("an empty error", streamed(HELLO[0], b'data: {"type":"error","data":""}\n\n', *HELLO[1:])),
    chatting("empty events", streamed(HELLO[0], b"data: \n\ndata:\n\n", *HELLO[1:])),
    chatting("an event that is not JSON", streamed(HELLO[0], b"data: {oops\n\n", *HELLO[1:])),
    chatting("an event of no known type", streamed(HELLO[0], b'data: {"type":"ping"}\n\n', *HELLO[1:])),
    chatting("two ends", streamed(*HELLO, live("!"), end("Other"))),
    # Answers that are not streams
    chatting("plain JSON after a BOM", response(b"\xef\xbb\xbf" + json.dumps(PLAIN).encode())),
    chatting("plain JSON after warnings of PHP", response(WARNING + json.dumps(PLAIN).encode())),
    chatting("plain JSON", json_response(PLAIN)),
    chatting("text only in the end event", streamed(end("Hello"))),
    chatting("no text at all", streamed(end("")), text=""),
    chatting("no text, and no final object", streamed(b'data: {"type":"end","data":false}\n\n'), text=""),
    chatting("text that the site could not encode", streamed(b"data: \n\n", end(None)), text=""),
    chatting("unknown content type", response(WHOLE, Content_Type="text/plain")),
    # Values that make calls of the standard library raise, and text that must not be lost
    chatting("a warning of PHP right before an event", streamed(b"<b>Warning</b>: x " + HELLO[0], *HELLO[1:])),
    chatting("blanks right before each event", streamed(*(b"  " + event for event in HELLO))),
    chatting("a list that PHP wrote as an object", streamed(*HELLO[:2], end("Hello", images={"0": "a", "2": "b"}))),
    chatting("a field of another shape", streamed(*HELLO[:2], end("Hello", images=5, usage=[], actions="x"))),
    chatting(
        "a reference of 4,301 digits",
        streamed(HELLO[0], b'data: {"type":"error","data":"a &#' + b"9" * 4_301 + b';"}\n\n'),
        text="Hel",
        error=errors.ServerError,
        says="a \ufffd",
    ),
    chatting(
        "a title of 4,301 digits",
        response(b"<title>&#" + b"9" * 4_301 + b";</title>", "500 Internal Server Error", Content_Type="text/html"),
        text="",
        error=errors.StatusError,
        says="HTTP 500",
    ),
    chatting(
        "the plugin's text for a reached limit",
        streamed(b'data: {"type":"error","data":"You have reached the limit."}\n\n'),
        text="",
        error=errors.LimitReached,
        says="You have reached the limit.",
    ),
    chatting(
        "an API key in an error",
        streamed(b'data: {"type":"error","data":"Wrong key sk-abcdefgh12345678."}\n\n'),
        text="",
        error=errors.ServerError,
        says="Wrong key sk-***.",
    ),
    chatting(
        "SiteGround's captcha",
        response(
            b'<html><meta http-equiv="refresh" content="0;/.well-known/sgcaptcha/?r=x"></html>',
            "202 Accepted",
            SG_Captcha="challenge",
        ),
        text="",
        error=errors.Blocked,
        says="SiteGround",
    ),
    chatting(
        "no rights, with a nonce that is good",
        json_response(
            {"code": "rest_forbidden", "message": "No.", "data": {"status": 403}}, "403 Forbidden", X_WP_Nonce="abc"
        ),
        text="",
        error=errors.StatusError,
        says="log in",
    ),
    chatting(
        "more text than the limit",
        streamed(*[live("x" * 100)] * 20),
        text="x" * 1_000,
        error=errors.TooLarge,
        says="max_text_size",
        options={"max_text_size": 1_050},
    ),
    Behaviour(
        "301 with a slash, as it is",
        in_turn(redirect("301 Moved Permanently", "/wp-json/mwai-ui/v1/chats/submit/"), streamed(*HELLO)),
        routes=("start_session", "submit", "submit"),
    ),
    Behaviour(
        "a session id that cannot be sent back",
        counted_sessions(response(b'{"success":true,"restNonce":"abc","sessionId":"\\ud800"}')),
    ),
    # Ends
    chatting(
        "an error event",
        streamed(live("Hel"), b'data: {"type":"error","data":"Oops!"}\n\n'),
        text="Hel",
        error=errors.ServerError,
        says="Oops!",
    ),
    chatting(
        "an end without success",
        streamed(HELLO[0], end("x", success=False, message="Nope")),
        text="Hel",
        error=errors.ServerError,
        says="Nope",
    ),
    chatting(
        "success false, 200",
        json_response({"success": False, "message": "No way."}),
        text="",
        error=errors.ServerError,
        says="No way.",
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
    Behaviour("cut after the end event", then_close(stream_head() + chunk(*HELLO))),
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
    chatting(
        "gzip, cut in the stream",
        response(gzip.compress(HELLO[0])[:-8], Content_Encoding="gzip"),
        text="Hel",
        error=errors.Truncated,
    ),
    Behaviour(
        "cut between the CR and the LF of a chunk",
        then_close(stream_head() + chunk(HELLO[0])[:-1]),
        text="Hel",
        error=errors.Truncated,
    ),
    chatting("204", headed(status=b"HTTP/1.1 204 No Content", body=b""), text="", error=errors.Truncated),
    chatting("304", headed(status=b"HTTP/1.1 304 Not Modified", body=b""), text="", error=errors.StatusError),
    chatting("an empty answer", response(b""), text="", error=errors.Truncated),
    Behaviour("the connection stays open after the end", then_hang(stream_head() + chunk(*HELLO))),
    chatting("rubbish after the answer", streamed(*HELLO) + b"HTTP/1.1 666 Rubbish\r\n\r\n"),
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
        routes=("start_session", "submit", "submit", "submit"),
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
        "401 rest_forbidden",
        json_response({"code": "rest_forbidden", "message": "Sorry", "data": {"status": 401}}, "401 Unauthorized"),
        text="",
        error=errors.NonceRefused,
        says="Sorry",
    ),
    chatting("500 and nothing else", response(b"", "500 Internal Server Error"), text="", error=errors.StatusError),
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
    Behaviour(
        "a challenge for a session",
        counted_sessions(response(b"<html><title>Just a moment...</title></html>", "403 Forbidden")),
        text="",
        error=errors.Blocked,
        routes=("start_session",),
    ),
    Behaviour(
        "a session that is not JSON",
        counted_sessions(response(b"hello")),
        routes=("start_session", "start_session", "submit"),
    ),
    # Retries
    Behaviour(
        "503 until a date that is over",
        in_turn(
            response(b"", "503 Service Unavailable", Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), streamed(*HELLO)
        ),
        routes=("start_session", "submit", "submit"),
        connections=1,
    ),
    Behaviour(
        "429 without a date",
        in_turn(response(b"", "429 Too Many Requests"), streamed(*HELLO)),
        routes=("start_session", "submit", "submit"),
    ),
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
        "429 without end",
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
        "303 with a slash",
        in_turn(redirect("303 See Other", "/wp-json/mwai-ui/v1/chats/submit/"), streamed(*HELLO)),
        routes=("start_session", "submit", "submit"),
    ),
    *(
        Behaviour(
            f"a redirect with an unknown content coding and an empty {framing} body",
            in_turn(
                response(b"", "307 Temporary Redirect", Location="submit", Content_Encoding="br")
                if framing == "sized"
                else b"HTTP/1.1 307 Temporary Redirect\r\nLocation: submit\r\nContent-Encoding: br\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n" + LAST_CHUNK,
                streamed(*HELLO),
            ),
            routes=("start_session", "submit", "submit"),
        )
        for framing in ("sized", "chunked")
    ),
    chatting("302 to nowhere", response(b"", "302 Found"), text="", error=errors.StatusError),
    Behaviour(
        "302 to a login page",
        in_turn(redirect("302 Found", "/wp-login.php")),
        text="",
        error=errors.StatusError,
        says="only members",
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
    Behaviour("the site never answers", then_hang(), text="", error=errors.TimedOut, says="first_byte", options=QUICK),
    Behaviour(
        "the site stops in the head",
        then_hang(b"HTTP/1.1 200 OK\r\nContent-Ty"),
        text="",
        error=errors.TimedOut,
        says="first_byte",
        options=QUICK,
    ),
    Behaviour(
        "the site stops after an interim response",
        then_hang(b"HTTP/1.1 100 Continue\r\n\r\n"),
        text="",
        error=errors.TimedOut,
        says="first_byte",
        options=QUICK,
    ),
    Behaviour(
        "the site stops in the answer",
        then_hang(stream_head() + chunk(live("Hel"))),
        text="Hel",
        error=errors.TimedOut,
        says="idle",
        options=QUICK,
    ),
]
