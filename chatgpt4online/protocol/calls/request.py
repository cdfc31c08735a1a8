"""Requests as values, the headers that the caller adds to them, and the session that calls share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias, TypeGuard

from ..._version import __version__
from ...net.url import Origin, origin
from ..parsing.bodies import shown_url
from ..parsing.errors import InvalidInput
from ..parsing.events import Json
from .multipart import Multipart

USER_AGENT = f"chatgpt4online/{__version__} (Python SDK for AI Engine sites)"
CREDENTIALS = {"authorization", "cookie", "proxy-authorization", "x-wp-nonce"}

_NONCE = re.compile(r"[!-~]{1,128}")  # any value that a header can hold; WordPress's own have 10 hex characters
_LONGEST_ID = 1_000  # characters; ids of sites and of model providers have at most a few hundred
_ADDRESSES = ("link", "location")  # headers that hold an address

Content: TypeAlias = bytes | Multipart


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request to send.

    ``headers`` is a dict of strings. ``body`` is bytes, or a ``Multipart``, which yields bytes. ``delay`` is the
    number of seconds to wait before the request is sent. An ``exclusive`` request is part of the search for a nonce.
    Where several turns share a session, send one such request at a time. Call ``next_request()`` again before you send
    it, since another turn may have found the nonce meanwhile. ``Turn.receive_failure`` ends the waiting
    turns if the search has failed.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: Content = b""
    delay: float = 0.0
    exclusive: bool = False

    def without_body(self) -> Request:
        """Return the request to keep after it was sent: the body may hold a long history."""
        return Request(self.method, self.url, self.headers, b"", self.delay, self.exclusive)

    def __repr__(self) -> str:
        url, delay, exclusive = shown_url(self.url), self.delay, self.exclusive
        return f"Request(method={self.method!r}, {url=}, {delay=}, {exclusive=})"


@dataclass(frozen=True, slots=True)
class CallerHeaders:
    """The headers that the caller adds to every request.

    ``site_origin`` is the origin of the site. The caller's credentials are sent to no other origin. Raises InvalidInput
    for a header that is not a pair of strings.
    """

    headers: Mapping[str, str] = field(repr=False)
    site_origin: Origin

    def __post_init__(self) -> None:
        headers: Mapping[Any, Any] = self.headers
        for name, value in headers.items():
            if not (isinstance(name, str) and isinstance(value, str)):
                kinds = f"a name of type {type(name).__name__} and a value of type {type(value).__name__}"
                raise InvalidInput(f"headers is a dict of strings, and one of them has {kinds}")

    @property
    def has_login_cookie(self) -> bool:
        """Whether one of the headers holds the cookie of a WordPress login."""
        return any("wordpress_logged_in" in value for value in self.headers.values())

    def merge(self, own: Mapping[str, str], url: str, *, starts_session: bool) -> dict[str, str]:
        """Return the headers of a request to ``url``: those of the call (``own``), replaced by those of the caller.

        A request that ``starts_session`` is sent without a nonce, since WordPress refuses a stale nonce there too. At
        the site's own origin, an ``Authorization`` header of the call replaces that of the caller. No credentials are
        sent to another origin, except a nonce that this origin issued.
        """
        is_site = origin(url) == self.site_origin
        common = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        if is_site and not self.headers:
            return {**common, **own}
        withheld = set() if is_site else CREDENTIALS
        left_out = withheld - {"x-wp-nonce"}
        if starts_session:
            withheld = withheld | {"x-wp-nonce"}
        if any(name.lower() == "authorization" for name in own):
            withheld = withheld | {"authorization"}
        callers = {name: value for name, value in self.headers.items() if name.lower() not in withheld}
        left_out |= {name.lower() for name in callers}
        return {name: value for name, value in {**common, **own}.items() if name.lower() not in left_out} | callers


@dataclass(slots=True)
class Session:
    """The values that one visitor of one site keeps from turn to turn. Many turns may share a session.

    ``nonce`` is the short token that WordPress demands with each call, and ``session_id`` is the plugin's name for the
    visitor. Both are ``""`` until the site has sent them. ``root`` is the address of the REST API, or ``""`` for the
    usual one, such as ``https://example.org/wp-json``. A nonce is only sent to the origin that issued it. A nonce that
    the caller sets belongs to the origin of the first call that uses it.
    """

    nonce: str = ""
    session_id: str = ""
    root: str = ""
    _owner: tuple[str, Origin] | None = field(default=None, compare=False)  # a nonce, and its origin

    def __repr__(self) -> str:
        return f"Session(root={shown_url(str(self.root))!r})"

    def check(self) -> None:
        """Raise InvalidInput, without showing the value, if the caller has set a field that cannot be sent."""
        if self.nonce != "" and not is_nonce(self.nonce):
            raise InvalidInput("session.nonce is a string of at most 128 printable ASCII characters without spaces")
        if self.session_id != "" and not is_id(self.session_id):
            raise InvalidInput(f"session.session_id is a string of at most {_LONGEST_ID} printable characters")
        if not isinstance(self.root, str):
            raise InvalidInput(f"session.root is the web address of a REST API, not {type(self.root).__name__}")

    def nonce_for(self, url: str) -> str:
        """Return the nonce to send to ``url``, or ``""`` if there is none or if it belongs to another origin."""
        if not self.nonce:
            return ""
        target = origin(url)
        if self._owner is None or self._owner[0] != self.nonce:  # the caller set it
            self._owner = self.nonce, target
        return self.nonce if self._owner[1] == target else ""

    def adopt_nonce(self, nonce: Any, url: str) -> None:
        """Store a nonce that ``url`` sent. A value that cannot be a nonce is ignored (protocol section 5, 12)."""
        if is_nonce(nonce):
            owner = nonce, origin(url)
            self.nonce, self._owner = nonce, owner

    def adopt(self, answer: Json, url: str) -> None:
        """Store the nonce and the session id of a JSON answer that ``url`` sent.

        A session id that cannot be sent back is ignored, and so is ``"N/A"``, which means that it is not known.
        """
        self.adopt_nonce(answer.get("restNonce"), url)
        self.adopt_nonce(answer.get("new_token"), url)
        session_id = answer.get("sessionId")
        if is_id(session_id) and session_id != "N/A":
            self.session_id = session_id

    def drop_nonce(self, refused: str | None = None) -> None:
        """Delete the nonce. With ``refused``, delete only that nonce, since another turn may have stored a new one."""
        if refused is None or self.nonce == refused:
            self.nonce = ""

    def for_other_visitor(self, *, with_nonce: bool) -> Session:
        """Return a new session for another visitor of the same site. It has the REST root, and no session id.

        With ``with_nonce`` it also has the nonce, together with the origin that issued it. All guests of a site have
        the same nonce (protocol section 4.1).
        """
        owner, nonce = self._owner, self.nonce
        is_known = owner is None or owner[0] == nonce  # False while another thread stores a new nonce
        if not (with_nonce and is_known):
            return Session(root=self.root)
        return Session(nonce, root=self.root, _owner=owner)

    def move_to(self, root: str) -> None:
        """Store the address of the REST API, or ``""`` for the usual one."""
        self.root = root


def is_nonce(value: Any) -> TypeGuard[str]:
    """Return whether a value can be sent as a nonce: a string of 1 to 128 visible ASCII characters."""
    return isinstance(value, str) and _NONCE.fullmatch(value) is not None


def is_id(value: Any) -> TypeGuard[str]:
    """Return whether a value can be sent back as an id: a string of 1 to 1,000 printable characters."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_ID and value.isprintable()


def fold_headers(headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> dict[str, str]:
    """Return response headers as a dict with lower-case names.

    ``headers`` is a mapping or an iterable of pairs, of str or of bytes (as in h11). If a header is repeated, its last
    value is kept, except that the values of ``Link`` are joined.
    """
    pairs: Any = headers.items() if isinstance(headers, Mapping) else headers
    folded: dict[str, str] = {}
    for key, text in pairs:
        name = _lower_name(key)
        value = text.decode("latin-1") if isinstance(text, bytes) else text
        if name in _ADDRESSES:
            value = _utf8(value)
            if name == "link" and name in folded:
                value = f"{folded[name]}, {value}"
        folded[name] = value
    return folded


@lru_cache(maxsize=128)  # each stream keeps its headers, and so all streams share the names
def _lower_name(name: str | bytes) -> str:
    return (name.decode("latin-1") if isinstance(name, bytes) else name).lower()


def _utf8(value: str) -> str:
    """Return the address in a header. Some sites write it in UTF-8, and HTTP libraries decode it as Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
