"""A body that is no stream to what it means: the JSON object of a success, or the error.

Such bodies are the answers of ``start_session`` and of sites that do not stream, refusals, PHP fatals, and the pages of
whatever stands in front of a site. What a body is, it says itself: Content-Type is often wrong (protocol section 2.1).
"""

from __future__ import annotations

import html
import json
import re
from datetime import datetime
from typing import Any

from .errors import (
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
from .events import Json

STALE_NONCE = "rest_cookie_invalid_nonce"
NO_NONCE = "rest_forbidden"

_REST_CLOSED = {
    "rest_disabled",
    "rest_login_required",
    "rest_cannot_access",
    "rest_not_logged_in",
    "no_rest_api_sorry",
    "itsec_rest_api_access_restricted",
    "rest_authentication_error",
}
_REFUSED_BY_A_FRONT = {403, 406}  # WordPress itself always refuses in JSON
_CHALLENGE = re.compile(
    r"<title>[^<]*(?:just a moment|attention required|access denied|one moment|checking your browser|security check"
    r"|ddos|bot verification|sucuri|wordfence|imunify360|blocked|captcha)|/\.well-known/captcha|slowaes",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->", re.DOTALL | re.IGNORECASE)
_INLINE_TAG = re.compile(r"</?(?:a|b|code|em|i|small|span|strong|u)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z!][^<>]*>")
_TITLE = re.compile(r"<title[^<>]*>([^<]*)<", re.IGNORECASE)
_OBJECT = re.compile(r"^[ \t\ufeff]*(\{)", re.MULTILINE)
_HTTP_DATE = re.compile(r"(\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_PAGE = 8_192  # characters of a page that are searched for words: enough for any message, and quick for any page

# json.loads is this and two regular expressions; the standard library's stubs leave it out.
scan_json = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def decode_json(text: str) -> Any:
    """Return the JSON value that ``text`` is; raises ValueError when it is none, or is nested too deeply to read."""
    try:
        value, end = scan_json(text, 0)
    except (StopIteration, RecursionError):
        raise ValueError("no JSON") from None
    if end != len(text):
        raise ValueError("text after the JSON value")
    return value


def _is_json(text: str) -> bool:
    try:
        decode_json(text.rstrip())
    except ValueError:
        return False
    return True


def words(text: str, limit: int = 300) -> str:
    """Return the readable words of a text that may be HTML, at most ``limit`` characters of them."""
    if "<" in text:
        text = _TAG.sub(" ", _INLINE_TAG.sub("", _HIDDEN.sub(" ", text[:_PAGE])))
    return " ".join(html.unescape(text[:_PAGE]).replace("\ufeff", " ").split())[:limit]


def read_answer(body: str, status: int, headers: dict[str, str], *, streamed: bool = False) -> Json | ChatError:
    """Return the object of a success, or the error that this body means.

    ``headers`` have lower-case names; ``streamed`` says that events came before this body.
    """
    answer = _find_object(body)
    if answer is not None:
        if answer.get("success"):
            return answer
        message, code = words(_string(answer.get("message"))), _string(answer.get("code"))
        if "success" in answer and status != 429:
            return ServerError(message or "the site says that it failed, but not why")
        if code or status == 429:
            data = answer.get("data")
            said = data.get("status") if isinstance(data, dict) else None
            return refusal(said if isinstance(said, int) else status, code, message, headers)
    if status >= 300:
        return refusal(status, "", _page_words(body), headers, body)
    if streamed:
        rest = words(body)
        return Truncated(
            "the answer stopped before its end" + (f"; the site's last words were: {rest}" if rest else "")
        )
    text = body.lstrip("\ufeff \t\r\n")
    if not text:
        return Truncated("the site answered with nothing at all")
    if text.startswith("<"):
        kind = Blocked if _is_challenge(headers, body) else NotAiEngine
        return kind(status, "", _page_words(body), headers)
    if text.startswith("{") and not _is_json(text):
        return Truncated(f"the site's JSON stopped before its end; it begins {text[:200]!r}")
    return ProtocolError(f"this is no answer of an AI Engine site; it begins {text[:200]!r}")


def refusal(status: int, code: str, message: str, headers: dict[str, str], body: str = "") -> StatusError:
    """Return the error for an HTTP refusal, of the class that fits. Source: protocol sections 4.2 and 4.3."""
    kind, advice = StatusError, ""
    if code in (STALE_NONCE, NO_NONCE):
        kind = NonceRefused
    elif code in _REST_CLOSED:
        advice = "the site shuts its REST API to visitors; log in, or ask its owner to open it"
    elif _is_challenge(headers, body) or (status in _REFUSED_BY_A_FRONT and not code):
        kind = Blocked
    elif status == 429:
        kind = RateLimited
    elif code == "rest_no_route" or (status in (404, 405, 410) and not code):
        kind = NotAiEngine
    elif 300 <= status < 400:
        advice = f"it redirects to {headers.get('location', 'nowhere')}; give the site's final address"
    elif status == 503:
        advice = "the site is busy or in maintenance; try again later"
    elif status == 504:
        advice = "the site's own time limit ran out before the answer began"
    error = kind(status, code, message, headers, retry_after(headers))
    if advice:
        error.advice = advice
    return error


def retry_after(headers: dict[str, str]) -> float | None:
    """Return the seconds that ``Retry-After`` asks to wait, or None without a usable one (RFC 9110, section 10.2.3).

    A date is measured against the response's own ``Date``, so that no clock is needed, nor trusted.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    then, now = _http_date(value), _http_date(headers.get("date", ""))
    return max(0.0, (then - now).total_seconds()) if then and now else None


def _http_date(value: str) -> datetime | None:
    match = _HTTP_DATE.search(value)
    if not match or match[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[group]) for group in (1, 3, 4, 5, 6))
    try:
        return datetime(year, _MONTHS.index(match[2]) + 1, day, hour, minute, second)
    except ValueError:
        return None


def _is_challenge(headers: dict[str, str], body: str) -> bool:
    return "cf-mitigated" in headers or _CHALLENGE.search(body[:_PAGE]) is not None


def _page_words(body: str) -> str:
    title = _TITLE.search(body[:_PAGE])
    return words(title[1]) if title else words(body)


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _find_object(body: str) -> Json | None:
    """Return the JSON object in a body that warnings, comments and byte order marks may surround, or None."""
    for number, match in enumerate(_OBJECT.finditer(body)):
        if number == 8:  # a page full of scripts, not a warning or two before an answer
            break
        try:
            answer, _ = scan_json(body, match.start(1))
        except (ValueError, StopIteration, RecursionError):
            continue
        if isinstance(answer, dict) and ("success" in answer or "code" in answer):
            return answer
    return None
