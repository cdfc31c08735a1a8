"""Situations with odd answers: the format of events, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from ..support.behaviours import HELLO, PLAIN, REFUSED, WARNING, WHOLE, counted_sessions, in_turn, streamed
from ..support.server import end, json_response, live, response
from .situation import Outcome, Situation, hello, says, served, tells
from .wire import kept

Handles = Callable[[Outcome], bool]

PAGE = b"<html><title>Maintenance</title><body>We are back soon.</body></html>"
COMMENT = b"\n<!-- This page was cached by something -->"


def events() -> Iterator[Situation]:
    def event(name: str, *pieces: bytes, handles: Handles = hello) -> Situation:
        return kept("events", name, streamed(*pieces), handles)

    yield event("comments, ids and retry", b": ping\n\n", HELLO[0], b":\n\nid: 5\nretry: 1\n\n", *HELLO[1:])
    yield event("no blank behind data:", WHOLE.replace(b"data: ", b"data:"))
    yield event("lines end in CRLF", WHOLE.replace(b"\n", b"\r\n"))
    yield event("lines end in CR", WHOLE.replace(b"\n", b"\r"))
    yield event("a BOM", b"\xef\xbb\xbf" + WHOLE)
    yield event("blanks before it", b"  " + WHOLE)
    yield event("a word before it", b"debug" + WHOLE)
    yield event("blank lines before it", b"\n\n \n" + WHOLE)
    yield event("warnings of PHP before it", WARNING + WHOLE)
    yield event("a notice of PHP before the end, without a line end", *HELLO[:2], b"Notice: x in y.php" + HELLO[2])
    yield event("a cache's comment in it", HELLO[0], COMMENT, b"\n", *HELLO[1:], COMMENT)
    yield event("empty data", HELLO[0], b"data: \n\ndata:\n\n", *HELLO[1:])
    yield event("an event on several data lines", live("Hel").replace(b",", b",\ndata: "), *HELLO[1:])
    yield event("an event that is not JSON", HELLO[0], b"data: {oops\n\n", *HELLO[1:])
    yield event("an event of an unknown type", HELLO[0], b'data: {"type":"ping"}\n\n', *HELLO[1:])
    yield event("no blank line behind the end", WHOLE[:-2])
    yield event("two ends", *HELLO, live("!"), end("Other"))
    yield event("text only in the end event", end("Hello"))
    yield event("the piece '0'", live("0"), live("0"), end("00"), handles=says("00"))
    for name, character in {"U+0085": "\x85", "U+2028": "\u2028"}.items():
        raw = json.dumps({"type": "live", "data": f"a{character}b"}, ensure_ascii=False).encode()
        yield event(f"{name} in a text", b"data: " + raw + b"\n\n", end("x"), handles=says(f"a{character}b"))
    long = "x" * 300_000
    yield event("an event of 300,000 bytes", live(long), end(long), handles=says(long))
    yield kept("events", "another content type", response(WHOLE, Content_Type="text/plain"))
    yield kept("events", "JSON in place of events", json_response(PLAIN))
    yield kept("events", "JSON behind a BOM", response(b"\xef\xbb\xbf" + json.dumps(PLAIN).encode()))
    yield kept("events", "JSON behind warnings of PHP", response(WARNING + json.dumps(PLAIN).encode()))
    yield kept("events", "JSON and a cache's comment", response(json.dumps(PLAIN).encode() + COMMENT))


def refusals() -> Iterator[Situation]:
    def refusal(name: str, answer: bytes, handles: Handles) -> Situation:
        return kept("refusals", name, answer, handles)

    def page(status: str = "200 OK", body: bytes = PAGE) -> bytes:
        return response(body, status, Content_Type="text/html; charset=UTF-8")

    failure = {"success": False, "message": "No way."}
    yield refusal("a page with 200", page(), tells())
    yield refusal("a challenge with 200", page(body=b"<html><title>Just a moment...</title></html>"), tells())
    yield refusal("a page with 403", page("403 Forbidden"), tells())
    yield refusal("a page with 504", page("504 Gateway Time-out"), tells("504"))
    yield refusal("JSON with 403", json_response(failure, "403 Forbidden"), tells())
    yield refusal("JSON with 200", json_response(failure), tells("No way."))
    yield refusal("an empty body", response(b""), tells())
    yield refusal("204", b"HTTP/1.1 204 No Content\r\n\r\n", tells())
    yield refusal("words with 500", response(b"There has been a critical error", "500 Oops"), tells("500"))
    error = streamed(live("Hel"), b'data: {"type":"error","data":"Oops!"}\n\n')
    yield refusal("an error event", error, tells("Oops!", "Hel"))
    unsuccessful = streamed(HELLO[0], end("x", success=False, message="Nope"))
    yield refusal("an end without success", unsuccessful, tells("Nope", "Hel"))
    yield refusal("302 to a login page", response(b"", "302 Found", Location="/wp-login.php"), tells())

    def then_hello(name: str, *answers: bytes) -> Situation:
        return Situation("refusals", name, served(in_turn(*answers, streamed(*HELLO))), hello)

    yield then_hello("429 once", response(b"", "429 Too Many Requests", Retry_After="0"))
    yield then_hello("503 once", response(b"", "503 Service Unavailable", Retry_After="0"))
    yield then_hello("a stale nonce", json_response(REFUSED, "403 Forbidden"))
    challenge = response(b"<html><title>Just a moment...</title></html>", "403 Forbidden")
    yield Situation("refusals", "a challenge for the nonce", served(counted_sessions(challenge)), tells())
    nonce = response(b"\xef\xbb\xbf" + json.dumps({"success": True, "restNonce": "0a1b2c3d4e"}).encode() + COMMENT)
    yield Situation("refusals", "a nonce between a BOM and a comment", served(counted_sessions(nonce)), hello)
