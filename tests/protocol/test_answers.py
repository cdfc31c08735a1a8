"""Bodies that are not streams: the error for each refusal, and the text that an error shows."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatgpt4online.protocol.parsing.bodies import (
    read_answer,
    refusal,
    retry_after,
    server_error,
    shown_url,
    unescape,
    visible_text,
)
from chatgpt4online.protocol.parsing.decoding import decode_json
from chatgpt4online.protocol.parsing.errors import (
    Blocked,
    ChatError,
    LimitReached,
    NonceRefused,
    NotAiEngine,
    ProtocolError,
    RateLimited,
    ServerError,
    StatusError,
    Truncated,
)

from ..support.strategies import FATAL, FORBIDDEN, NO_ROUTE, STALE, characters, values

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
    ("", 202, {"x-amzn-waf-action": "challenge"}, Blocked, 202, "", ""),
    (NO_ROUTE, 404, {"cf-mitigated": "challenge"}, NotAiEngine, 404, "rest_no_route", "No route was found."),
    (page("Error response", "Unsupported method ('POST')"), 501, {}, NotAiEngine, 501, "", "Error response"),
    (FORBIDDEN, 401, {"x-wp-nonce": "n"}, StatusError, 401, "rest_forbidden", "Sorry, you are not allowed to do that."),
    (wp("rest_forbidden", 403), 403, {"x-wp-nonce": "n"}, StatusError, 403, "rest_forbidden", "M"),
    (STALE, 403, {"x-wp-nonce": "n"}, NonceRefused, 403, "rest_cookie_invalid_nonce", "Cookie check failed"),
    (wp("x", 403, "Wrong key sk-abcdefgh12345678."), 403, {}, StatusError, 403, "x", "Wrong key sk-***."),
    ({"code": "x" * 500}, 400, {}, StatusError, 400, "x" * 100, ""),
    ('{"code": "\\ud800", "message": "\\udfff"}', 400, {}, StatusError, 400, "\ufffd", "\ufffd"),
    (page("My blog"), 200, {}, NotAiEngine, 200, "", "My blog"),
    (page("My blog", "I was blocked; access denied"), 200, {}, NotAiEngine, 200, "", "My blog"),
    ("\ufeff\r\n <html>Hello</html>", 200, {}, NotAiEngine, 200, "", "Hello"),
    (page("x" * 400), 200, {}, NotAiEngine, 200, "", "x" * 300),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case[1]}-{case[3].__name__}-{case[5] or case[6]}"[:60])
def test_refusal_gives_the_right_class_and_fields(
    case: tuple[Any, int, dict[str, str], type[StatusError], int, str, str],
) -> None:
    """Each refusal gives the expected class of error with all its fields."""
    body, status, headers, kind, said, code, message = case
    error = read(body, status, headers)
    assert type(error) is kind
    assert (error.status, error.code, error.message) == (said, code, message)
    assert error.headers == {name: value for name, value in headers.items() if name != "x-wp-nonce"}
    assert error.retry_after == (float(headers["retry-after"]) if "retry-after" in headers else None)
    assert str(error).startswith(f"HTTP {said}")


@pytest.mark.parametrize(
    ("body", "status", "headers", "advice"),
    [
        (wp("rest_login_required", 401), 401, {}, "closes its REST API to visitors"),
        ("", 301, {"location": "https://www.example.org/"}, "https://www.example.org/"),
        ("", 302, {}, "no address"),
        ("", 302, {"location": "https://a:b@x.org/p?token=1#f"}, "to https://x.org/p?token=***#f;"),
        (page("Just a moment..."), 403, {"cf-mitigated": "challenge"}, "Cloudflare answered in place of the site"),
        (page("Captcha"), 200, {}, "a firewall or bot check answered in place of the site"),
        (wp("rest_forbidden", 401), 401, {"x-wp-nonce": "n"}, "this user may not do this"),
        ("", 503, {}, "maintenance"),
        (wp("wp_die", 503), 503, {}, "maintenance"),
        ("", 504, {}, "time limit"),
        ("", 404, {}, "address"),
        (STALE, 403, {}, "nonce of that login"),
        ("", 429, {}, "wait"),
        ("", 403, {}, "let this client in"),
        (FATAL, 500, {}, ""),
    ],
)
def test_refusal_has_the_right_advice(body: Any, status: int, headers: dict[str, str], advice: str) -> None:
    """An error names the next step for the caller, if one is known."""
    error = read(body, status, headers)
    assert advice in error.advice
    assert bool(advice) == bool(error.advice)
    assert str(error).endswith(f"[{error.advice}]" if advice else error.message)


def test_advice_of_one_error_does_not_leak_into_the_next() -> None:
    read(wp("rest_disabled", 401), 401)
    assert StatusError(500).advice == ""


@pytest.mark.parametrize("said", [{}, {"data": {"status": 200}}])
def test_error_code_under_200_is_not_shown_as_redirect(said: dict[str, Any]) -> None:
    error = read({"code": "odd", "message": "Odd.", **said}, 200)
    assert (type(error), error.code, error.message) == (StatusError, "odd", "Odd.")
    assert "redirect" not in str(error)


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500, 503])
def test_success_field_overrides_the_status(status: int) -> None:
    """``success`` in the JSON counts, not the status. HTML is removed from the message."""
    answer = {"success": True, "reply": "Hi"}
    assert read(answer, status) == answer
    error = read({"success": False, "message": "No <i>way</i>"}, status)
    assert (type(error), error.message, error.hint) == (ServerError, "No way", "")
    for mute in ({"success": False}, {"success": 0, "message": None}, {"success": None, "message": ["a"]}):
        assert read(mute, status).message == "the site reports a failure without a reason"


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
def test_object_is_found_between_warnings_and_comments(before: str, after: str, indent: int | None) -> None:
    """PHP warnings, comments and byte order marks around an object do not hide it."""
    answer = {"success": True, "reply": "a {b} c", "usage": {"price": None}}
    assert read(before + json.dumps(answer, indent=indent) + after) == answer


@pytest.mark.parametrize("before", ["{\n" * 8, "x ", "x{", "<p>"])
def test_object_within_a_line_or_behind_eight_braces_is_not_found(before: str) -> None:
    """An object within a line may be part of a text, and a ninth brace part of a script."""
    assert isinstance(read(before + '{"success":true}'), ProtocolError | NotAiEngine | Truncated)


@pytest.mark.parametrize("body", ["", "\ufeff", " \r\n\t", "\n\ufeff\n"])
def test_empty_body_is_truncated(body: str) -> None:
    error = read(body)
    assert (type(error), str(error)) == (Truncated, "the site sent an empty answer")


@pytest.mark.parametrize(
    "body",
    ['{"success":tr', '{"success":true', "{", '{"a":"\n"}', '{"a":1} {', '\ufeff {"success":true,"reply":"x' * 50],
)
def test_unfinished_json_is_truncated(body: str) -> None:
    """The error shows the beginning of the body."""
    error = read(body)
    assert type(error) is Truncated
    assert repr(body.lstrip("\ufeff \t\r\n")[:200]) in str(error)


@pytest.mark.parametrize("body", ["Hello", "[1]", '{"a":1}', "null", "data", "x" * 999, '{"a":1}\n\u2003', "{}"])
def test_unknown_body_is_a_protocol_error(body: str) -> None:
    """The error shows the beginning of the body."""
    error = read(body)
    assert type(error) is ProtocolError
    assert repr(body[:200]) in str(error)


def test_rest_behind_events_is_truncated_or_a_refusal() -> None:
    """After events, a rest without JSON is shown as the last text of a truncated answer."""
    assert str(read("", streamed=True)) == "the answer stopped before its end"
    error = read("<b>Fatal error</b>:  memory", streamed=True)
    assert type(error) is Truncated
    assert str(error).endswith("last text from the site was: Fatal error: memory")
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
def test_retry_after_gives_seconds(headers: dict[str, str], seconds: float | None) -> None:
    """The header has seconds, or a date that is compared with ``Date``. Any other value gives None."""
    assert retry_after(headers) == seconds
    assert refusal(503, "", "", headers).retry_after == seconds


@given(st.text(), st.text())
@example("Mon, ٢٣ Nov ٢٠٢٦ 02:23:08 GMT", "Mon, 23 Nov 2026 02:22:08 GMT")
def test_retry_after_never_raises(value: str, date: str) -> None:
    """Any text in the two headers gives a number or None."""
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
        (f"<style>{'p{} ' * 9000}</style><p>a</p><script>{'f(); ' * 9000}</script>b", "a b"),
        (f"<head>{'<meta>' * 9000}</head>a", "a"),
        ("<head><title>t</title><body>a", "a"),
        ("<head>a<p>b", "a b"),
        ("<script>a<script>b<style>c</style>", "a b"),
        ("<!-- a <p>b", "<!-- a b"),
        ("<!---->" * 300 + "late", "late"),
        ("&#" + "9" * 5000 + ";", "\ufffd"),
        ("\ud800", "\ufffd"),
        ("Wrong key: sk-" + "a1" * 20, "Wrong key: sk-***"),
    ],
)
def test_words_remove_markup(text: str, expected: str) -> None:
    """HTML is reduced to the text that a reader of the page sees."""
    assert visible_text(text) == expected


@given(st.text(st.one_of(characters, st.sampled_from(list("<>/!-&;scriptheadyl "))), max_size=80))
def test_words_are_short_and_on_one_line(text: str) -> None:
    """Any text gives at most 300 characters, without line ends."""
    said = visible_text(text)
    assert len(said) <= 300
    assert said == " ".join(said.split())
    assert len(visible_text(text, 5)) <= 5


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "{", '{"a":}', "[1,]", "\ufeff1", "nul", "1 2", "[" * 100_000, "9" * 5000, "'a'", '"\n"']
)
def test_decode_json_raises_value_error_for_any_invalid_text(text: str) -> None:
    """Every kind of invalid JSON gives ValueError, and no other error."""
    with pytest.raises(ValueError):
        decode_json(text)


@given(values)
def test_decode_json_reverses_json_dumps(value: Any) -> None:
    assert decode_json(json.dumps(value)) == value
    assert decode_json(json.dumps(value, indent=1, ensure_ascii=False)) == value


# Texts for which a call of the standard library raises, or that no stream can print.
RARE_TEXTS = [
    "&#" + "9" * 4301 + ";",
    "&#" + "0" * 4301 + "65;",
    "&#x" + "9" * 5000 + ";",
    "&#xd800;",
    "\ud800",
    "&" * 50,
    "<title>&#" + "9" * 4301 + ";</title>",
    '{"code":"x","message":"&#' + "9" * 4301 + ';"}',
    '{"success":false,"message":"&#' + "9" * 4301 + ';"}',
    '{"success":false,"message":"\\ud800"}',
    '{"code":"x","data":{"status":' + "9" * 4000 + "}}",
    '{"code":"x","data":{"status":' + "9" * 5000 + "}}",
    '{"code":"x","data":{"status":NaN}}',
    '{"code":"x","data":' + "[" * 600 + "]" * 600 + "}",
    '{"code":"x","data":' + "[" * 100_000 + "]" * 100_000 + "}",
    "{" * 5000,
    '{"success":true,"a":' + "[" * 100_000,
]
foreign = st.one_of(
    st.text(characters, max_size=60),
    st.text(st.characters(), max_size=20),
    st.sampled_from(RARE_TEXTS),
    st.text(st.sampled_from(list("<>/!-&;#{}\"':,scriptheadyl 019")), max_size=80),
)


@given(foreign, st.one_of(st.integers(), st.integers(100, 599)), st.booleans())
@example('{"code":"x","data":{"status":true}}', 200, False)
def test_any_body_is_an_answer_or_a_printable_error(body: str, status: int, streamed: bool) -> None:
    """No body raises, and every error can be printed."""
    answer = read_answer(body, status, {}, streamed=streamed)
    assert isinstance(answer, dict | ChatError)
    if isinstance(answer, ChatError):
        assert str(answer).encode()


@pytest.mark.parametrize("text", RARE_TEXTS, ids=lambda text: text[:20].encode("ascii", "backslashreplace").decode())
def test_texts_that_break_the_standard_library_do_not_raise(text: str) -> None:
    """Each text is tried as a body, as a text and as the message of an error."""
    for status in (200, 404, 503):
        assert str(read_answer(text, status, {})).encode("utf-8", "backslashreplace")
    assert visible_text(text).encode()
    assert str(server_error(text)).encode()
    assert isinstance(unescape(text), str)


@given(st.text(st.sampled_from(list("&#xX;0123456789abcdefampltquo <"))))
@example("&#00000000065;&#65;&#x41;&#000000000")
@example("&#99999999;&#1114112;&#55296;&#12345678901")
def test_unescape_equals_html_unescape(text: str) -> None:
    """The result is that of ``html.unescape`` for any text for which that does not raise."""
    assert unescape(text) == html.unescape(text)


@pytest.mark.parametrize("said", [True, -1, 0, 99, 600, 1000, 7.5, 403.0, "403", None, [403], 10**3999])
def test_invalid_status_in_the_body_is_ignored(said: Any) -> None:
    assert read({"code": "x", "data": {"status": said}}, 400).status == 400


@pytest.mark.parametrize("said", [100, 403, 599])
def test_status_in_the_body_replaces_that_of_the_answer(said: int) -> None:
    """A page cache may answer 200 when WordPress refused."""
    assert read({"code": "x", "data": {"status": said}}, 200).status == said


# No test measures time. With quadratic work, a single one of these texts would take hours.
MEGABYTE = 1_000_000
HOSTILE = [
    "<", "<a", "<a ", "<a b=", "<a b='", '<a b="', "<p>", "</", "<!--", "<!---->", "<!", "<script", "<script>",
    "</script", "<script></script>", "<style>", "<head>", "<head", "<title", "<title>", "<b>", "{", "{\n", "\n", "\n{",
    "[", "&", "&#", "&#9", "9", "&#0", "&#x", "&amp", " ", "\t", "\ufeff", "\ud800", "sk-", "key=", "key: ", "Bearer ",
    "Bearer", '{"code":', "data: ", "=", '"', "'", "/", "Just a moment", "request ",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.slow
def test_megabyte_of_markup_takes_linear_time(text: str) -> None:
    """The texts are read as bodies and as messages, with and without the start of a hidden part before them."""
    for start in ("", "<script>", "<!--", "&#"):
        body = start + text * (MEGABYTE // len(text))
        assert len(visible_text(body)) <= 300
        assert str(read_answer(body, 503, {}))
        assert str(read_answer(body, 200, {}))
        assert unescape(body)


@pytest.mark.parametrize(
    "text",
    [
        "You have reached the limit.",
        "You have reached the limit (check the Insights Tab > Limits > Guests).",
        "You have reached the limit (check the Insights Tab &gt; Limits &gt; Users).",
        " <p>Our chatbot went to sleep. Please try again later.</p>",
    ],
)
def test_texts_of_the_plugin_about_limits_give_limit_reached(text: str) -> None:
    for error in (server_error(text), read({"success": False, "message": text})):
        assert (type(error), error.message, error.raw) == (LimitReached, visible_text(text), text)
        assert "not HTTP rate limiting" in str(error)


@pytest.mark.parametrize(
    "text", ["You reached our limit.", "You have reached the limit. Buy more!", "Unauthorized query."]
)
def test_limit_text_of_an_owner_gives_server_error(text: str) -> None:
    """The meaning of a text that the site's owner wrote cannot be known."""
    assert (type(server_error(text)), server_error(text).hint) == (ServerError, "")


KEYS = {
    "Incorrect API key provided: sk-abcdEFGH1234567890.": "Incorrect API key provided: sk-***.",
    "sk-proj-abc_DEF-123456789, sk-ant-api03-abcdefgh": "sk-***, sk-***",
    "Key AIzaSyA1234567890abcdefghijklmnopqrstuv is wrong": "Key AIza*** is wrong",
    "gsk_abcdefgh12345678 and xai-abcdefgh12345678": "gsk_*** and xai-***",
    "Authorization: Bearer abc.def-123456": "Authorization: Bearer ***",
    "https://x.org/v1?key=abcd1234&alt=sse": "https://x.org/v1?key=***&alt=sse",
    'api_key="0123456789abcdef"': 'api_key="***"',
    "access_token=abcdef secret=abcdef token=abcdef": "access_token=*** secret=*** token=***",
    "API key: 0123456789abcdef0123456789abcdef": "API key: ***",
    "Incorrect API key provided: 0123456789abcdef": "Incorrect API key provided: ***",
    "sk-ab***xyz": "sk-ab***xyz",
    "The API key: required but missing": "The API key: required but missing",
    '{"restNonce":"0123456789","sessionId": "abc"}': '{"restNonce":"***","sessionId": "***"}',
    "task-force-of-ten, key=, risk-free": "task-force-of-ten, key=, risk-free",
}


@pytest.mark.parametrize(("text", "masked"), KEYS.items())
def test_api_keys_are_masked_except_in_raw(text: str, masked: str) -> None:
    """Message, repr and args mask the keys. ``raw`` is the text as the site sent it."""
    error = server_error(text)
    assert error.message == masked
    assert text == masked or text not in f"{error} {error!r} {error.args}"
    assert error.raw == text
    assert read({"code": "x", "message": text}, 500).message == masked
    assert masked in str(read(text, streamed=True)).replace("\\", "")
    assert text == masked or text not in str(read(text, 200))


@pytest.mark.parametrize("code", ["rest_forbidden", "rest_cookie_invalid_nonce"])
@pytest.mark.parametrize("status", [401, 403])
def test_request_without_nonce_never_gives_nonce_refused(code: str, status: int) -> None:
    assert type(refusal(status, code, "No", {}, needs_nonce=False)) is StatusError
    assert type(refusal(status, code, "No", {})) is NonceRefused


def test_other_refusals_do_not_depend_on_the_nonce() -> None:
    """Firewalls, missing routes and failures give the same error for every request."""
    for code, status, kind in (("", 403, Blocked), ("rest_no_route", 404, NotAiEngine), ("x", 500, StatusError)):
        assert type(refusal(status, code, "No", {}, needs_nonce=False)) is kind


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://x.org/wp-json/a", "https://x.org/wp-json/a"),
        ("https://ann:pw@x.org:8443/a?nonce=1&b=2#c", "https://x.org:8443/a?nonce=***&b=2#c"),
        ("https://x.org/?_wpnonce=1&rest_route=/mwai/v1/a&b", "https://x.org/?_wpnonce=***&rest_route=/mwai/v1/a&b"),
        ("/login?redirect_to=%2Fa%3Fapi_key%3Dabc%26b%3D1", "/login?redirect_to=%2Fa%3Fapi_key%3D***%26b%3D1"),
        ("https://x.org/cb#access_token=abc&state=1", "https://x.org/cb#access_token=***&state=1"),
        ("/a?password=a%20b", "/a?password=***"),
        ("https://x.org/" + "a" * 600, "https://x.org/" + "a" * 486),
        ("https://a@b@x.org", "https://x.org"),
        ("https://x.org/@me", "https://x.org/@me"),
        ("https://x.org:8443/@me", "https://x.org:8443/@me"),
        ("https://[::1]:8443/@me", "https://[::1]:8443/@me"),
        ("https://ann:p/w@x.org/a", "https://x.org/a"),
        ("https://ann:/w@x.org/a", "https://x.org/a"),
        ("https://ann:]p/w@x.org/a", "https://x.org/a"),
        ("https://ann:@p/w@x.org/a", "https://x.org/a"),
        ("https://ann:" + "p" * 600 + "@x.org/a", "https://x.org/a"),
        ("\ud800", "\ufffd"),
        ("", ""),
    ],
)
def test_shown_url_hides_secrets(url: str, shown: str) -> None:
    """The rest of the address is enough to recognise the request."""
    assert shown_url(url) == shown
