"""Bodies that are no streams: what each refusal means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatgpt4online.protocol.parsing.bodies import decode_json, read_answer, refusal, retry_after, words
from chatgpt4online.protocol.parsing.errors import (
    Blocked,
    ChatError,
    NonceRefused,
    NotAiEngine,
    ProtocolError,
    RateLimited,
    ServerError,
    StatusError,
    Truncated,
)

from .strategies import FATAL, FORBIDDEN, NO_ROUTE, STALE, characters, values

CLOSED = [
    "rest_disabled",
    "rest_login_required",
    "rest_cannot_access",
    "rest_not_logged_in",
    "no_rest_api_sorry",
    "itsec_rest_api_access_restricted",
    "rest_authentication_error",
]
CHALLENGES = [
    "Just a moment...",
    "Attention Required! | Cloudflare",
    "Access denied",
    "Access Denied - Sucuri Website Firewall",
    "One moment, please...",
    "Checking your browser",
    "Security check",
    "DDoS protection",
    "Bot Verification",
    "Wordfence",
    "Imunify360 - bot-protection",
    "You have been blocked",
    "Captcha",
]


def wp(code: str, status: int, message: str = "M") -> dict[str, Any]:
    return {"code": code, "message": message, "data": {"status": status}}


def page(title: str, body: str = "<p>Some words</p>") -> str:
    return f"<!DOCTYPE html>\n<html><head><title>{title}</title><style>p{{}}</style></head><body>{body}</body></html>"


def read(body: Any, status: int = 200, headers: dict[str, str] | None = None, **more: Any) -> Any:
    return read_answer(body if isinstance(body, str) else json.dumps(body), status, headers or {}, **more)


REFUSALS: list[tuple[Any, int, dict[str, str], type[StatusError], int, str, str]] = [
    # body, status, headers -> class, status, code, message
    (STALE, 403, {}, NonceRefused, 403, "rest_cookie_invalid_nonce", "Cookie check failed"),
    (FORBIDDEN, 401, {}, NonceRefused, 401, "rest_forbidden", "Sorry, you are not allowed to do that."),
    (wp("rest_forbidden", 403), 403, {}, NonceRefused, 403, "rest_forbidden", "M"),
    (STALE, 403, {"server": "cloudflare"}, NonceRefused, 403, "rest_cookie_invalid_nonce", "Cookie check failed"),
    *[(wp(code, 401), 401, {}, StatusError, 401, code, "M") for code in CLOSED],
    (wp("jwt_auth_invalid_token", 403), 403, {}, StatusError, 403, "jwt_auth_invalid_token", "M"),
    (wp("incorrect_password", 401), 401, {}, StatusError, 401, "incorrect_password", "M"),
    (NO_ROUTE, 404, {}, NotAiEngine, 404, "rest_no_route", "No route was found."),
    (wp("rest_invalid_json", 400), 400, {}, StatusError, 400, "rest_invalid_json", "M"),
    (FATAL, 500, {}, StatusError, 500, "internal_server_error", "There has been a critical error on this website."),
    (FATAL, 200, {}, StatusError, 500, "internal_server_error", "There has been a critical error on this website."),
    (wp("wp_die", 503), 503, {"retry-after": "600"}, StatusError, 503, "wp_die", "M"),
    ({"code": "x"}, 418, {}, StatusError, 418, "x", ""),
    ({"code": "x", "message": ["a"], "data": None}, 400, {}, StatusError, 400, "x", ""),
    ({"code": "x", "data": {"status": "500"}}, 400, {}, StatusError, 400, "x", ""),
    ({"code": "x", "data": [500]}, 400, {}, StatusError, 400, "x", ""),
    ({"code": ["x"]}, 400, {}, StatusError, 400, "", '{"code": ["x"]}'),
    ({"code": "x", "message": "<p>a &amp; <b>b</b></p>"}, 400, {}, StatusError, 400, "x", "a & b"),
    (page("Not found"), 404, {}, NotAiEngine, 404, "", "Not found"),
    (page("Not allowed"), 405, {}, NotAiEngine, 405, "", "Not allowed"),
    (page("Gone"), 410, {}, NotAiEngine, 410, "", "Gone"),
    ("", 404, {}, NotAiEngine, 404, "", ""),
    (page("403 Forbidden"), 403, {}, Blocked, 403, "", "403 Forbidden"),
    ("", 403, {}, Blocked, 403, "", ""),
    (page("Not Acceptable!"), 406, {}, Blocked, 406, "", "Not Acceptable!"),
    (page("Nope"), 401, {}, StatusError, 401, "", "Nope"),
    ("Too many", 429, {}, RateLimited, 429, "", "Too many"),
    ("", 429, {"retry-after": "7"}, RateLimited, 429, "", ""),
    (wp("too_many", 429, "Slow down"), 429, {}, RateLimited, 429, "too_many", "Slow down"),
    ({"success": False, "message": "Slow <b>down</b>"}, 429, {}, RateLimited, 429, "", "Slow down"),
    ("", 400, {}, StatusError, 400, "", ""),
    (page("413 Too Large"), 413, {}, StatusError, 413, "", "413 Too Large"),
    (page("Oops"), 500, {}, StatusError, 500, "", "Oops"),
    ("<p>no title</p>", 502, {}, StatusError, 502, "", "no title"),
    (page("Maintenance"), 503, {"retry-after": "600"}, StatusError, 503, "", "Maintenance"),
    (page("504 Gateway Time-out"), 504, {}, StatusError, 504, "", "504 Gateway Time-out"),
    (page("524: A timeout occurred"), 524, {}, StatusError, 524, "", "524: A timeout occurred"),
    ("", 302, {"location": "/wp-login.php"}, StatusError, 302, "", ""),
    *[(page(title), 403, {}, Blocked, 403, "", title) for title in CHALLENGES],
    *[(page(title), 200, {}, Blocked, 200, "", title) for title in CHALLENGES],
    (page(CHALLENGES[0]), 503, {}, Blocked, 503, "", CHALLENGES[0]),
    (page(CHALLENGES[0]), 429, {}, Blocked, 429, "", CHALLENGES[0]),
    (page(CHALLENGES[0]), 404, {}, Blocked, 404, "", CHALLENGES[0]),
    ("", 503, {"cf-mitigated": "challenge"}, Blocked, 503, "", ""),
    ("<script>slowAES.decrypt()</script>", 200, {}, Blocked, 200, "", ""),
    (page("x", '<a href="/.well-known/captcha/?y">z</a>'), 200, {}, Blocked, 200, "", "x"),
    (page("My blog"), 200, {}, NotAiEngine, 200, "", "My blog"),
    (page("My blog", "I was blocked; access denied"), 200, {}, NotAiEngine, 200, "", "My blog"),
    ("\ufeff\r\n <html>Hello</html>", 200, {}, NotAiEngine, 200, "", "Hello"),
    (page("x" * 400), 200, {}, NotAiEngine, 200, "", "x" * 300),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case[1]}-{case[3].__name__}-{case[5] or case[6]}"[:60])
def test_refusal(case: tuple[Any, int, dict[str, str], type[StatusError], int, str, str]) -> None:
    """One refusal: the class of the error and everything in it."""
    body, status, headers, kind, said, code, message = case
    error = read(body, status, headers)
    assert type(error) is kind
    assert (error.status, error.code, error.message) == (said, code, message)
    assert error.headers == headers
    assert error.retry_after == (float(headers["retry-after"]) if "retry-after" in headers else None)
    assert str(error).startswith(f"HTTP {said}")


@pytest.mark.parametrize(
    ("body", "status", "headers", "advice"),
    [
        (wp("rest_login_required", 401), 401, {}, "REST API to visitors"),
        ("", 301, {"location": "https://www.example.org/"}, "https://www.example.org/"),
        ("", 302, {}, "nowhere"),
        ("", 503, {}, "maintenance"),
        (wp("wp_die", 503), 503, {}, "maintenance"),
        ("", 504, {}, "time limit"),
        ("", 404, {}, "address"),
        (STALE, 403, {}, "nonce of that login"),
        ("", 429, {}, "wait"),
        ("", 403, {}, "protection"),
        (FATAL, 500, {}, ""),
    ],
)
def test_advice(body: Any, status: int, headers: dict[str, str], advice: str) -> None:
    """The words say what can be done, where something can."""
    error = read(body, status, headers)
    assert advice in error.advice
    assert bool(advice) == bool(error.advice)
    assert str(error).endswith(f"[{error.advice}]" if advice else error.message)


def test_advice_is_of_one_error() -> None:
    """What one error advises is not said by the next."""
    read(wp("rest_disabled", 401), 401)
    assert StatusError(500).advice == ""


@pytest.mark.parametrize("said", [{}, {"data": {"status": 200}}])
def test_an_error_with_a_good_status_is_no_redirect(said: dict[str, Any]) -> None:
    """A code in a 200 leads nowhere, so nothing is said of redirects."""
    error = read({"code": "odd", "message": "Odd.", **said}, 200)
    assert (type(error), error.code, error.message) == (StatusError, "odd", "Odd.")
    assert "redirect" not in str(error)


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500, 503])
def test_the_sites_own_word(status: int) -> None:
    """``success`` decides, whatever the status says; the message is cleared of HTML."""
    answer = {"success": True, "reply": "Hi"}
    assert read(answer, status) == answer
    error = read({"success": False, "message": "No <i>way</i>"}, status)
    assert (type(error), error.message, error.hint) == (ServerError, "No way", "")
    for mute in ({"success": False}, {"success": 0, "message": None}, {"success": None, "message": ["a"]}):
        assert read(mute, status).message == "the site says that it failed, but not why"


@pytest.mark.parametrize("indent", [None, 1, 4])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("\ufeff", "\n"),
        ("\ufeff\n\n \t", ""),
        ("<br />\n<b>Warning</b>: {x} in <b>y</b><br />\n", "\n<!-- cached -->"),
        ("<!-- {} -->\n\ufeff", "\n<script>\n{}\n</script>"),
        ("{}\n", ""),
        ('{"a":1}\n[1]\n{broken\n', ""),
        ("{\n" * 7, ""),
    ],
)
def test_an_answer_in_dirt(before: str, after: str, indent: int | None) -> None:
    """Warnings, comments and marks around an object do not hide it."""
    answer = {"success": True, "reply": "a {b} c", "usage": {"price": None}}
    assert read(before + json.dumps(answer, indent=indent) + after) == answer


@pytest.mark.parametrize("before", ["{\n" * 8, "x ", "x{", "<p>"])
def test_an_answer_that_is_hidden(before: str) -> None:
    """An object amid a line is somebody's example, and the ninth brace is a script."""
    assert isinstance(read(before + '{"success":true}'), ProtocolError | NotAiEngine | Truncated)


@pytest.mark.parametrize("body", ["", "\ufeff", " \r\n\t", "\n\ufeff\n"])
def test_nothing(body: str) -> None:
    """An empty answer is one that was cut before its first byte."""
    error = read(body)
    assert (type(error), str(error)) == (Truncated, "the site answered with nothing at all")


@pytest.mark.parametrize(
    "body",
    ['{"success":tr', '{"success":true', "{", '{"a":"\n"}', '{"a":1} {', '\ufeff {"success":true,"reply":"x' * 50],
)
def test_json_that_stopped(body: str) -> None:
    """An object that does not end was cut; the error shows how it begins."""
    error = read(body)
    assert type(error) is Truncated
    assert repr(body.lstrip("\ufeff \t\r\n")[:200]) in str(error)


@pytest.mark.parametrize("body", ["Hello", "[1]", '{"a":1}', "null", "data", "x" * 999, '{"a":1}\n\u2003', "{}"])
def test_what_no_site_sends(body: str) -> None:
    """Anything else is shown by its beginning."""
    error = read(body)
    assert type(error) is ProtocolError
    assert repr(body[:200]) in str(error)


def test_behind_a_stream() -> None:
    """After events a rest that is no JSON is the last words of an answer that was cut."""
    assert str(read("", streamed=True)) == "the answer stopped before its end"
    error = read("<b>Fatal error</b>:  memory", streamed=True)
    assert type(error) is Truncated
    assert str(error).endswith("last words were: Fatal error: memory")
    assert type(read(page("502"), 502, streamed=True)) is StatusError
    assert type(read(FATAL, streamed=True)) is StatusError
    assert read({"success": True}, streamed=True) == {"success": True}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": " 120 "}, 120.0),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "+5"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 5000}, 999_999_999.0),
        ({"retry-after": "Mon, 23 Nov 2026 02:23:08 GMT", "date": "Mon, 23 Nov 2026 02:22:08 GMT"}, 60.0),
        ({"retry-after": "Tue, 24 Nov 2026 02:22:08 GMT", "date": "Mon, 23 Nov 2026 02:22:08 GMT"}, 86_400.0),
        ({"retry-after": "Fri, 01 Jan 2027 00:00:00 GMT", "date": "Thu, 31 Dec 2026 23:59:50 GMT"}, 10.0),
        ({"retry-after": "Mon, 23 Nov 2026 02:22:08 GMT", "date": "Mon, 23 Nov 2026 02:22:08 GMT"}, 0.0),
        ({"retry-after": "Mon, 23 Nov 2020 02:22:08 GMT", "date": "Mon, 23 Nov 2026 02:22:08 GMT"}, 0.0),
        ({"retry-after": "Mon, 23 Nov 2026 02:23:08 GMT"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 02:23:08 GMT", "date": "today"}, None),
        ({"retry-after": "Mon, 23 Nox 2026 02:23:08 GMT", "date": "Mon, 23 Nov 2026 02:22:08 GMT"}, None),
        ({"retry-after": "Mon, 31 Nov 2026 02:23:08 GMT", "date": "Mon, 23 Nov 2026 02:22:08 GMT"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 25:23:08 GMT", "date": "Mon, 23 Nov 2026 02:22:08 GMT"}, None),
        ({"retry-after": "Mon, 23 Nov 0000 02:23:08 GMT", "date": "Mon, 23 Nov 2026 02:22:08 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, or a date against the response's own; anything else is nothing."""
    assert retry_after(headers) == seconds
    assert refusal(503, "", "", headers).retry_after == seconds


@given(st.text(), st.text())
@example("Mon, ٢٣ Nov ٢٠٢٦ 02:23:08 GMT", "Mon, 23 Nov 2026 02:22:08 GMT")
def test_retry_after_never_raises(value: str, date: str) -> None:
    """Headers are the server's."""
    seconds = retry_after({"retry-after": value, "date": date})
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("  a \n\t b\u00a0c ", "a b c"),
        ("<p>a</p><p>b</p>", "a b"),
        ("a<br/>b", "a b"),
        ("<a href='x>y'>z</a>", "y'>z"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("&lt;b&gt; &amp;amp; &#039;", "<b> &amp; '"),
        ("<script>alert('<p>')</script>a<SCRIPT >b</SCRIPT >", "a"),
        ("<style>p{}</style><head><title>t</title></head>a", "a"),
        ("<header>a</header>", "a"),
        ("<!-- a --><!doctype html>b", "b"),
        ("<script>never closed", "never closed"),
        ("x" * 301, "x" * 300),
        ("<b>a</b>: <em>b</em>c", "a: bc"),
        ("<p> " * 5000 + "late", ""),
    ],
)
def test_words(text: str, expected: str) -> None:
    """HTML comes down to what a reader would see of it."""
    assert words(text) == expected


@given(st.text(st.one_of(characters, st.sampled_from(list("<>/!-&;scriptheadyl "))), max_size=80))
def test_words_are_words(text: str) -> None:
    """At most 300 characters, on one line, in any text."""
    said = words(text)
    assert len(said) <= 300
    assert said == " ".join(said.split())
    assert len(words(text, 5)) <= 5


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "{", '{"a":}', "[1,]", "\ufeff1", "nul", "1 2", "[" * 100_000, "9" * 5000, "'a'", '"\n"']
)
def test_no_json(text: str) -> None:
    """What is no JSON value from its first to its last character is a ValueError, of whatever kind it is not."""
    with pytest.raises(ValueError):
        decode_json(text)


@given(values)
def test_json(value: Any) -> None:
    """P5: what was encoded is decoded."""
    assert decode_json(json.dumps(value)) == value
    assert decode_json(json.dumps(value, indent=1, ensure_ascii=False)) == value


@given(st.text(characters, max_size=60), st.integers(), st.booleans())
@example("{" * 5000, 200, False)
@example('{"success":true,"a":' + "[" * 100_000, 200, False)
@example('{"code":"x","data":{"status":true}}', 200, False)
def test_any_body_is_an_answer_or_an_error(body: str, status: int, streamed: bool) -> None:
    """P3: nothing raises."""
    answer = read_answer(body, status, {}, streamed=streamed)
    assert isinstance(answer, dict | ChatError)
    assert str(answer)
