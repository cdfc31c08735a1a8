"""Read a body that is not a stream: the JSON object of a success, or a failure as an error.

Such bodies are the answers of ``start_session`` and of sites that do not stream, refusals, PHP fatal errors, and the
pages of servers in front of a site. Content-Type is often wrong, so only the body is read (protocol section 2.1). All
text here comes from servers. Each call of the standard library that can raise on such text has one safe function:
:func:`unescape`, :func:`retry_after`, and :func:`~.decoding.decode_json`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from .blocks import find_block
from .decoding import decode_json, scan_json
from .errors import (
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
_REFUSED_BEFORE_WORDPRESS = (403, 406)  # a refusal of WordPress itself is always JSON
_NOT_FOUND = (404, 405, 410, 501)  # file servers answer a POST with 501
_LIMIT_TEXTS = {
    "You have reached the limit.",
    "You have reached the limit (check the Insights Tab > Limits > Guests).",
    "You have reached the limit (check the Insights Tab > Limits > Users).",
    "Our chatbot went to sleep. Please try again later.",
}
_LIMIT_HINT = (
    "the site's owner limits how much visitors may ask; this is not HTTP rate limiting; try later or ask the owner"
)
_GUEST_TEXT = "You need to be connected."  # the answer to a guest who lists discussions (protocol section 1.6)
_GUEST_HINT = "only users of the site may do this: log in (auth= or cookies=)"
_NO_REASON = "the site reports a failure without a reason"

_HIDDEN_START = re.compile(r"<(script|style|head)\b|<(!--)", re.IGNORECASE)
_HIDDEN_END = {
    "script": re.compile(r"</script\b[^<>]*>", re.IGNORECASE),
    "style": re.compile(r"</style\b[^<>]*>", re.IGNORECASE),
    "head": re.compile(r"</head\b[^<>]*>|(?=<body\b)", re.IGNORECASE),
    "!--": re.compile("-->"),
}
_INLINE_TAG = re.compile(r"</?(?:a|b|code|em|i|small|span|strong|u)\b[^<>]*>", re.IGNORECASE)
TAG = re.compile(r"</?[a-zA-Z!][^<>]*>")
_TITLE = re.compile(r"<title[^<>]*>([^<]*)<", re.IGNORECASE)
_OBJECT = re.compile(r"^[ \t\ufeff]*(\{)", re.MULTILINE)
_HTTP_DATE = re.compile(r"(\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_LONG_REFERENCE = re.compile(r"&#([0-9]{8,});?")  # Unicode ends at 1,114,111, which has 7 digits
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_KEY = re.compile(r"\b(sk-|pk-|AIza|gsk_|xai-|hf_|r8_|pplx-|AKIA|eyJ|Bearer\s+)[\w.~+/=-]{7,}[\w~+/=-]", re.IGNORECASE)
_NAMED_KEY = re.compile(
    r"((?:key|token|secret|password)=[\"']?)[^\s&\"'<>*]{4,}"
    r"|(key(?: provided)?[\"']?: ?[\"']?)(?=[^\s\d]{0,64}\d)[\w.~+/=-]{7,}[\w~+/=-]",
    re.IGNORECASE,
)
_NAMED_SECRET = re.compile(  # in JSON, which may be a string in other JSON
    r"""((?:restNonce|new_token|sessionId|session|nonce)\\*["']\s*:\s*\\*["'])[^"'\\]+"""
)
_SECRET_PARAMETER = re.compile(
    r"((?:[?&;#]|%26|%3F)[^=&;#?%]*(?:auth|code|credential|jwt|key|nonce|pass|secret|session|sig|token)[^=&;#?%]*"
    r"(?:=|%3D))(?:[^&;#%]|%(?!26))*",
    re.IGNORECASE,
)

_HOST_AND_PORT = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::[0-9]+)?")

_MARKUP = 8_192  # characters of a page in which its words are looked for; the longest message has 300
_MOST_HIDDEN = 200  # scripts, style sheets and comments that are skipped; a usual page has fewer than 100
_CODE = 100  # characters of an error code that are kept; WordPress's longest code has about 40
_MOST_OBJECTS = 8  # lines that begin with a brace; a page with more of them is full of scripts
_ADDRESS = 500  # characters of an address that an error shows: room for a long path, and few lines of a terminal
_BEGINNING = 200  # characters of an unknown body that an error shows: enough to recognise it


def unescape(text: str) -> str:
    """Return the text with its HTML character references replaced.

    ``html.unescape`` alone raises ValueError for a reference of more than 4,300 digits, Python's limit for an integer.
    """
    return html.unescape(_LONG_REFERENCE.sub(_shorten, text))


def _shorten(reference: re.Match[str]) -> str:
    digits = reference[1].lstrip("0")
    return f"&#{digits or '0'};" if len(digits) < 8 else "\ufffd"


def printable(text: str) -> str:
    """Return the text with U+FFFD in place of lone surrogates, since no encoding can write those."""
    return _SURROGATE.sub("\ufffd", text)


def mask_keys(text: str) -> str:
    """Return the text with the API keys, nonces and session ids in it masked: ``sk-***`` for ``sk-`` and a key."""
    text = _NAMED_SECRET.sub(r"\1***", _KEY.sub(r"\1***", text))
    return _NAMED_KEY.sub(lambda match: f"{match[1] or match[2]}***", text)


def shown_url(url: str) -> str:
    """Return an address as an error may show it: without user name and password, and with secret parameters masked.

    It has at most 500 characters.
    """
    scheme, separator, rest = url.partition("://")
    if separator:
        host = rest.partition("/")[0]
        # A password may contain "/" or "@". So all text before the last "@" is hidden, unless a plain host precedes it.
        hides = "@" in host or not _HOST_AND_PORT.fullmatch(host)
        url = f"{scheme}://{rest.rpartition('@')[2] if hides else rest}"
    return printable(_SECRET_PARAMETER.sub(r"\1***", url[:_ADDRESS]))


def visible_text(text: str, limit: int = 300) -> str:
    """Return the readable words of a text that may be HTML: at most ``limit`` characters, with API keys masked.

    Scripts, style sheets, heads and comments are left out.
    """
    if "<" in text:
        text = TAG.sub(" ", _INLINE_TAG.sub("", " ".join(_visible_parts(text))))
    said = " ".join(unescape(text[:_MARKUP]).replace("\ufeff", " ").split())
    return printable(mask_keys(said))[:limit]


def _visible_parts(text: str) -> Iterator[str]:
    """Yield the parts between scripts, style sheets, heads and comments: at most ``_MARKUP`` characters in all.

    Each character is searched at most once for each of these four kinds, so the time is linear in any text.
    """
    position, room = 0, _MARKUP
    unclosed: set[str] = set()
    for _ in range(_MOST_HIDDEN):
        start = _HIDDEN_START.search(text, position, position + room)
        if start is None:
            break
        kind = (start[1] or start[2]).lower()
        end = None if kind in unclosed else _HIDDEN_END[kind].search(text, start.end())
        if end is None:
            unclosed.add(kind)
        visible = text[position : start.start() if end else start.end()]
        yield visible
        room -= len(visible)
        position = end.end() if end else start.end()
    yield text[position : position + room]


def server_error(text: str) -> ServerError:
    """Return the error for a site's own report that the chat failed. ``text`` may be HTML or empty.

    The error is LimitReached for the plugin's own texts about a reached limit, else ServerError. Its ``raw`` is
    ``text``, unchanged. Source: protocol section 2.5.
    """
    message = visible_text(text)
    if message in _LIMIT_TEXTS:
        error: ServerError = LimitReached(message, _LIMIT_HINT)
    else:
        hint = _GUEST_HINT if message == _GUEST_TEXT else ""
        error = ServerError(message or _NO_REASON, hint)
    error.raw = text
    return error


def read_answer(body: str, status: int, headers: dict[str, str], *, streamed: bool = False) -> Json | ChatError:
    """Return the JSON object of a success, or the error for any other body.

    ``headers`` have lower-case names. ``streamed`` is True when events arrived before this body.
    """
    answer = _find_object(body)
    if answer is not None:
        if answer.get("success"):
            return answer
        message, code = _string(answer.get("message")), printable(_string(answer.get("code")))[:_CODE]
        if "success" in answer and status != 429:
            return server_error(message)
        if code or status == 429:
            return refusal(_reported_status(answer, status), code, visible_text(message), headers)
    if status >= 300:
        return refusal(status, "", _page_words(body), headers, body)
    if streamed:
        rest = visible_text(body)
        return Truncated(
            "the answer stopped before its end" + (f"; the last text from the site was: {rest}" if rest else "")
        )
    return _strange_answer(body, status, headers)


def _strange_answer(body: str, status: int, headers: dict[str, str]) -> ChatError:
    """Return the error for a body that has a good status but is not an answer."""
    if find_block(status, headers, body):
        return refusal(status, "", _page_words(body), headers, body)
    text = body.lstrip("\ufeff \t\r\n")
    if not text:
        return Truncated("the site sent an empty answer")
    if text.startswith("<"):
        return NotAiEngine(status, "", _page_words(body), headers)
    beginning = repr(mask_keys(text[: 2 * _BEGINNING])[:_BEGINNING])
    if text.startswith("{") and not _is_json(text):
        return Truncated(f"the site's JSON stopped before its end; it begins {beginning}")
    return ProtocolError(f"the answer does not come from an AI Engine site; it begins {beginning}")


def refusal(
    status: int, code: str, message: str, headers: dict[str, str], body: str = "", *, needs_nonce: bool = True
) -> StatusError:
    """Return the error for an HTTP refusal: a StatusError or a subclass. Source: protocol sections 1.2, 4.2 and 4.3.

    ``code`` is WordPress's error code or ``""``. ``message`` is shown to users, so it must come from
    :func:`visible_text`. ``body`` is the whole answer if it is a page. ``needs_nonce`` is False for a request without a
    nonce, so that the result is never NonceRefused.
    """
    block = "" if code else find_block(status, headers, body)
    kind: type[StatusError]
    if block:
        kind = Blocked
    elif code:
        kind = _kind_of_code(status, code, headers, needs_nonce)
    else:
        kind = _kind_of_status(status)
    error = kind(status, code, message, headers, retry_after(headers))
    if advice := _advice(kind, status, code, headers, block):
        error.advice = advice
    return error


def _kind_of_code(status: int, code: str, headers: dict[str, str], needs_nonce: bool) -> type[StatusError]:
    if code == STALE_NONCE and needs_nonce:
        return NonceRefused
    if code == NO_NONCE and needs_nonce and "x-wp-nonce" not in headers:
        return NonceRefused
    if code == "rest_no_route":
        return NotAiEngine
    return RateLimited if status == 429 and code not in (STALE_NONCE, NO_NONCE, *_REST_CLOSED) else StatusError


def _kind_of_status(status: int) -> type[StatusError]:
    if status in _REFUSED_BEFORE_WORDPRESS:
        return Blocked
    if status == 429:
        return RateLimited
    return NotAiEngine if status in _NOT_FOUND else StatusError


def _advice(kind: type[StatusError], status: int, code: str, headers: dict[str, str], block: str) -> str:
    """Return how to react to a refusal, or ``""`` if the class has its own advice or no advice is known."""
    if block:
        return f"{block} answered in place of the site; ask the site's owner to let this client in"
    if kind is not StatusError:
        return ""
    if code in _REST_CLOSED:
        return "the site closes its REST API to visitors; log in, or ask its owner to open it"
    if code == NO_NONCE:
        return "this user may not do this; log in, or log in as another user"
    if 300 <= status < 400:
        location = shown_url(headers.get("location", "")) or "no address"
        return f"it redirects to {location}; give the site's final address"
    if status == 503:
        return "the site is busy or in maintenance; try again later"
    return "the site's own time limit passed before the answer began" if status == 504 else ""


def retry_after(headers: dict[str, str]) -> float | None:
    """Return the seconds to wait from the ``Retry-After`` header, or None if it is missing or malformed.

    A date is compared with the ``Date`` header of the same answer, because the clock of this machine may be wrong.
    Source: RFC 9110, section 10.2.3.
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


def _reported_status(answer: Json, status: int) -> int:
    """Return the status that WordPress wrote into the body, or the status of the HTTP answer."""
    data = answer.get("data")
    reported = data.get("status") if isinstance(data, dict) else None
    return reported if type(reported) is int and 100 <= reported <= 599 else status


def _page_words(body: str) -> str:
    title = _TITLE.search(body[:_MARKUP])
    return visible_text(title[1]) if title else visible_text(body)


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_json(text: str) -> bool:
    try:
        decode_json(text.rstrip())
    except ValueError:
        return False
    return True


def _find_object(body: str) -> Json | None:
    """Return the JSON object in a body, or None. PHP warnings, comments and byte order marks may surround it."""
    for number, match in enumerate(_OBJECT.finditer(body)):
        if number == _MOST_OBJECTS:
            break
        try:
            answer, _ = scan_json(body, match.start(1))
        except (ValueError, StopIteration, RecursionError):
            continue
        if isinstance(answer, dict) and ("success" in answer or "code" in answer):
            return answer
    return None
