"""The answers of a site. The table uses their names."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

OTHER_ROOT = "https://example.org/blog/wp-json"
FOREIGN_ROOT = "https://api.example.net/wp-json"
FRONT_PAGE = "<!DOCTYPE html><title>Example</title><p>Welcome"

LOCATIONS = {
    "itself": "{scheme}://{host}{rest}",
    "https": "https://{host}{rest}",
    "http": "http://{host}{rest}",
    "slash": "{scheme}://{host}{rest}/",
    "directory": "{scheme}://{host}/new{rest}",
    "relative": "/new{rest}",
    "www": "{scheme}://www.example.org{rest}",
    "port": "{scheme}://{host}:8443{rest}",
    "host": "{scheme}://api.example.net{rest}",
    "path": "{scheme}://{host}/elsewhere",
    "host_path": "{scheme}://api.example.net/elsewhere",
    "broken": "https://[",
    "none": "",
}
"""The targets of redirects, relative to the address of the request. ``rest`` is its path and query."""


@dataclass(frozen=True)
class Answer:
    """An answer to a request: a head, a body in pieces, and an optional failure in place of the rest.

    ``failure`` is a name from ``subjects.failure``. It comes before the head if ``headless`` is true. ``to`` is a key
    of ``LOCATIONS``.
    """

    status: int = 200
    body: tuple[bytes, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    to: str = ""
    failure: str = ""
    headless: bool = False

    def head(self, url: str) -> list[tuple[str, str]]:
        """Return the headers of the answer to a request to ``url``."""
        pairs = list(self.headers.items())
        if self.to and self.to != "none":
            parts = urlsplit(url)
            rest = parts.path + (f"?{parts.query}" if parts.query else "")
            pairs.append(("Location", LOCATIONS[self.to].format(scheme=parts.scheme, host=parts.netloc, rest=rest)))
        return pairs


def _json(value: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, (json.dumps(value).encode(),), _named(headers))


def _page(body: str, status: int = 200, **headers: str) -> Answer:
    return Answer(status, (body.encode(),), {"Content-Type": "text/html", **_named(headers)})


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _refusal(status: int, code: str, **headers: str) -> Answer:
    return _json({"code": code, "message": f"Word of {code}", "data": {"status": status}}, status, **headers)


def _widget(**system: Any) -> str:
    value = html.escape(json.dumps({"botId": "default", **system}))
    return f"{FRONT_PAGE}<div class='mwai-chatbot-container' data-params='{{}}' data-system='{value}'></div>"


def _event(kind: str, data: Any) -> bytes:
    return b"data: " + json.dumps({"type": kind, "data": data}, separators=(",", ":")).encode() + b"\n\n"


def _end(**final: Any) -> bytes:
    return _event("end", json.dumps({"success": True, **final}))


def _link(root: str) -> str:
    return f'<{root}/>; rel="https://api.w.org/"'


LIVE = _event("live", "Some ")

SESSION_ANSWERS = {
    "session": _json({"success": True, "sessionId": "s1", "restNonce": "n-session"}),
    "session_na": _json({"success": True, "sessionId": "N/A", "restNonce": "n-session"}),
    "session_new_token": _json({"success": True, "sessionId": "s1", "restNonce": "n-session", "new_token": "n-token"}),
    "session_header": _json({"success": True, "restNonce": "n-session"}, X_WP_Nonce="n-header"),
    "session_without_nonce": _json({"success": True, "sessionId": "s1"}),
    "session_null_nonce": _json({"success": True, "sessionId": "s1", "restNonce": None}, X_WP_Nonce="n-header"),
}
PAGE_ANSWERS = {
    "page": _page(_widget(restNonce="n-page", sessionId="s-page", restUrl="https://example.org/wp-json")),
    "page_rootless": _page(_widget(restNonce="n-page")),
    "page_nonceless": _page(_widget(restNonce=None)),
    "page_usual_nonceless": _page(_widget(restNonce=None, restUrl="https://example.org/wp-json")),
    "page_root": _page(_widget(restNonce="n-page", restUrl=OTHER_ROOT)),
    "page_root_nonceless": _page(_widget(restNonce=None, restUrl=OTHER_ROOT)),
    "page_foreign": _page(_widget(restNonce="n-page", restUrl=FOREIGN_ROOT)),
    "page_foreign_nonceless": _page(_widget(restNonce=None, restUrl=FOREIGN_ROOT)),
    "page_plain_http": _page(_widget(restNonce="n-page", restUrl="http://example.org/wp-json")),
    "page_link": _page(FRONT_PAGE, Link=_link(OTHER_ROOT)),
    "page_link_element": _page(f"<link rel='https://api.w.org/' href='{OTHER_ROOT}/'>{FRONT_PAGE}"),
    "page_two": _page(_widget(restNonce=None) + _widget(restNonce="n-second")),
    "page_header": _page(FRONT_PAGE, X_WP_Nonce="n-header"),
}
STREAMS = {
    "stream": Answer(200, (_event("live", "Hi"), _end(reply="Hi", responseId="r1"))),
    "stream_header": Answer(200, (_event("live", "Hi"), _end(reply="Hi")), {"X-WP-Nonce": "n-header"}),
    "stream_new_token": Answer(200, (_end(reply="Hi", new_token="n-token", sessionId="s-main"),)),
    "stream_failure": Answer(200, (_event("live", "Hi"), _end(success=False, message="Too many"))),
    "reply": _json({"success": True, "reply": "Hi", "responseId": "r1"}),
}
LISTS = {
    "list": _json({"success": True, "total": 1, "chats": [{"chatId": "c7", "title": "Seven"}]}),
}
FILES = {
    "file": _json({"success": True, "data": {"id": "f1", "url": "https://example.org/f1"}}),
    "file_new_token": _json({"success": True, "data": {"id": "f1"}, "new_token": "n-token"}),
    "file_idless": _json({"success": True, "data": {"url": "https://example.org/f1"}}),
    "file_then_lost": Answer(200, (_end(data={"id": "f1"}),), failure="lost"),
}
VALUES = {
    "value": _json({"success": True, "data": "forty-two"}),
    "success_only": _json({"success": True}),
}
MAIN_ANSWERS = STREAMS | LISTS | FILES | VALUES
STALE = {
    "stale": _refusal(403, "rest_cookie_invalid_nonce"),
    "stale_header": _refusal(403, "rest_cookie_invalid_nonce", X_WP_Nonce="n-header"),
    "stale_under_200": _refusal(200, "rest_cookie_invalid_nonce"),
    "forbidden_401": _refusal(401, "rest_forbidden"),
    "forbidden_401_header": _refusal(401, "rest_forbidden", X_WP_Nonce="n-header"),
    "forbidden_403": _refusal(403, "rest_forbidden"),
    "forbidden_403_header": _refusal(403, "rest_forbidden", X_WP_Nonce="n-header"),
}
BODIES = {
    "html_200": _page(FRONT_PAGE),
    "html_200_link": _page(FRONT_PAGE, Link=_link(OTHER_ROOT)),
    "empty_200": Answer(),
    "empty_204": Answer(204),
    "challenge_200": _page("<title>Just a moment...</title><p>Checking"),
    "failure_200": _json({"success": False, "message": "You need to be connected."}),
    "failure_400": _json({"success": False, "message": "Invalid file type."}, 400),
    "failure_500": _json({"success": False, "message": "Too long."}, 500),
    "rejected_403": _json({"success": False, "message": "Sorry, your query has been rejected."}, 403),
    "error_event": Answer(200, (_event("error", "No credit"),)),
    "empty_error_event": Answer(200, (_event("error", ""),)),
    "cut": Answer(200, (b'{"success":true,"restNo',)),
    "cut_stream": Answer(200, (b'data: {"type":"liv',)),
    "words_200": Answer(200, (b"It works!",)),
}
NOT_FOUND = {
    "no_route": _refusal(404, "rest_no_route"),
    "html_404": _page("<title>Page not found</title>", 404),
    "html_404_link": _page("<title>Page not found</title>", 404, Link=_link(OTHER_ROOT)),
    "html_404_link_foreign": _page("<title>Page not found</title>", 404, Link=_link(FOREIGN_ROOT)),
    "html_404_link_http": _page("<title>Page not found</title>", 404, Link=_link("http://example.org/blog/wp-json")),
    "html_404_link_known": _page("<title>Page not found</title>", 404, Link=_link("https://example.org/wp-json")),
    "unfinished_404": Answer(404, (LIVE.rstrip(),)),
    "html_405": _page("<title>Not allowed</title>", 405),
    "empty_410": Answer(410),
    **{
        f"html_404_link_{number}": _page("No", 404, Link=_link(f"https://example.org/{number}/wp-json"))
        for number in range(1, 7)
    },
}
REFUSALS = {
    "invalid_json_400": _refusal(400, "rest_invalid_json", X_WP_Nonce="n-header"),
    "html_401": _page("<title>401</title>", 401),
    "not_logged_in_401": _refusal(401, "rest_not_logged_in"),
    "html_403": _page("<title>403 Forbidden</title>", 403),
    "cloudflare_403": _page("<title>Just a moment...</title>", 403, cf_mitigated="challenge"),
    "html_406": _page("<title>406</title>", 406),
    "html_413": _page("<title>413 Request Entity Too Large</title>", 413),
}
BUSY = {
    "html_429": _page("<title>429</title>", 429),
    "html_429_after_0": _page("<title>429</title>", 429, Retry_After="0"),
    "html_429_after_5": _page("<title>429</title>", 429, Retry_After="5"),
    "html_429_after_30": _page("<title>429</title>", 429, Retry_After="30"),
    "html_429_after_31": _page("<title>429</title>", 429, Retry_After="31"),
    "json_429": _json({"success": False, "message": "Slow down"}, 429),
    "html_503": _page("<title>503</title>", 503),
    "html_503_after_5": _page("<title>503</title>", 503, Retry_After="5"),
    "maintenance_503": _refusal(503, "wp_die", Retry_After="600"),
    "unfinished_503": Answer(503, (LIVE.rstrip(),)),
    "challenge_503": _page("<title>Just a moment...</title>", 503),
    "html_500": _page("<title>500</title>", 500),
    "fatal_500": _refusal(500, "internal_server_error"),
    "html_502": _page("<title>502 Bad Gateway</title>", 502),
    "html_504": _page("<title>504 Gateway Time-out</title>", 504),
}
FAILURES = {
    "lost": Answer(failure="lost", headless=True),
    "hopeless": Answer(failure="hopeless", headless=True),
    "timeout_connect": Answer(failure="connect", headless=True),
    "timeout_first_byte": Answer(failure="first_byte", headless=True),
    "timeout_total": Answer(failure="total", headless=True),
    "head_lost": Answer(failure="lost"),
    "head_hopeless": Answer(failure="hopeless"),
    "head_timeout_idle": Answer(failure="idle"),
    "head_404_lost": Answer(404, failure="lost"),
    "head_503_lost": Answer(503, failure="lost"),
    "head_302_lost": Answer(302, to="directory", failure="lost"),
    "body_lost": Answer(200, (b'{"success":tr',), failure="lost"),
    "body_timeout_idle": Answer(200, (b'{"success":tr',), failure="idle"),
    "body_timeout_total": Answer(200, (b'{"success":tr',), failure="total"),
}
REDIRECTED = {
    f"to_{status}_{to}": Answer(status, to=to)
    for status in (301, 302, 303, 307, 308)
    for to in (LOCATIONS if status in (302, 307) else ("directory", "host", "path", "none"))
}
LARGE = {
    "large_redirect": Answer(307, (b"x" * 600, b"x" * 600), to="itself"),
    "large_page": _page(_widget(restNonce="n-page") + "x" * 1200),
    "large_json": _json({"success": True, "restNonce": "n-session", "more": "x" * 1200}),
}
ANSWERS = {
    name: answer
    for group in (
        SESSION_ANSWERS,
        PAGE_ANSWERS,
        MAIN_ANSWERS,
        STALE,
        BODIES,
        NOT_FOUND,
        REFUSALS,
        BUSY,
        FAILURES,
        REDIRECTED,
        LARGE,
    )
    for name, answer in group.items()
}
