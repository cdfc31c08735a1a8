"""What is sent and what is kept: requests as values, the headers of the caller, and the session."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeGuard

from ..._version import __version__
from ...net.url import Origin, origin
from ..parsing.bodies import shown_url
from ..parsing.errors import InvalidInput
from ..parsing.events import Json
from .multipart import Multipart

USER_AGENT = f"chatgpt4online/{__version__} (Python SDK for AI Engine sites)"
CREDENTIALS = {"authorization", "cookie", "proxy-authorization", "x-wp-nonce"}

_NONCE = re.compile(r"[!-~]{1,128}")  # what a header can hold; WordPress's own are 10 hex characters
_LONGEST_ID = 1_000  # characters; ids of sites and of model providers have at most a few hundred
_ADDRESSES = ("link", "location")

Content: TypeAlias = bytes | Multipart


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request to send.

    ``headers`` is a dict; ``body`` is bytes, or a ``Multipart`` to iterate over. Wait ``delay`` seconds before
    sending it. An ``exclusive`` request fetches a nonce for the session. Where several turns share a session, send one
    such request at a time, and call ``next_request()`` again before sending it, since another turn may have fetched
    the nonce meanwhile. To tell turns that wait that the search of another one failed, see ``Turn.receive_failure``.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: Content = b""
    delay: float = 0.0
    exclusive: bool = False

    def __repr__(self) -> str:
        url, delay, exclusive = shown_url(self.url), self.delay, self.exclusive
        return f"Request(method={self.method!r}, {url=}, {delay=}, {exclusive=})"


@dataclass(frozen=True, slots=True)
class CallerHeaders:
    """The headers that the caller adds to every request.

    ``home`` is the origin of the site. The caller's credentials are sent to no other.
    """

    headers: Mapping[str, str] = field(repr=False)
    home: Origin

    def __post_init__(self) -> None:
        headers: Mapping[Any, Any] = self.headers
        for name, value in headers.items():
            if not (isinstance(name, str) and isinstance(value, str)):
                kinds = f"a name of type {type(name).__name__} and a value of type {type(value).__name__}"
                raise InvalidInput(f"headers is a dict of strings, and one of them has {kinds}")

    @property
    def has_login_cookie(self) -> bool:
        """Whether a cookie of a WordPress login is among them."""
        return any("wordpress_logged_in" in value for value in self.headers.values())

    def merge(self, own: Mapping[str, str], url: str, *, starts_session: bool) -> dict[str, str]:
        """Return the headers of a request to ``url``: ``own`` and the caller's, which win.

        A request that ``starts_session`` carries no nonce, since WordPress refuses a stale one there too. A call that
        has an ``Authorization`` of its own keeps it.
        """
        withheld = set() if origin(url) == self.home else CREDENTIALS
        left_out = withheld - {"x-wp-nonce"}
        if starts_session:
            withheld = withheld | {"x-wp-nonce"}
        if any(name.lower() == "authorization" for name in own):
            withheld = withheld | {"authorization"}
        callers = {name: value for name, value in self.headers.items() if name.lower() not in withheld}
        left_out |= {name.lower() for name in callers}
        common = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        return {name: value for name, value in {**common, **own}.items() if name.lower() not in left_out} | callers


@dataclass(slots=True)
class Session:
    """What one visitor of one site keeps from turn to turn; many turns may share it.

    ``nonce`` and ``session_id`` are ``""`` until the site has given them. ``root`` is the address of the REST API where
    it is not the one that the site's address suggests. A nonce is sent to the origin that gave it, and to no other. A
    nonce that the caller sets belongs to the origin of the first call that uses it.
    """

    nonce: str = ""
    session_id: str = ""
    root: str = ""
    _owner: tuple[str, Origin] | None = field(default=None, compare=False)  # a nonce, and its origin

    def __repr__(self) -> str:
        return f"Session(root={shown_url(str(self.root))!r})"

    def check(self) -> None:
        """Raise InvalidInput, without the value, for what the caller has set and what cannot be sent."""
        if self.nonce != "" and not is_nonce(self.nonce):
            raise InvalidInput("session.nonce is a string of at most 128 printable ASCII characters without spaces")
        if self.session_id != "" and not is_id(self.session_id):
            raise InvalidInput(f"session.session_id is a string of at most {_LONGEST_ID} printable characters")
        if not isinstance(self.root, str):
            raise InvalidInput(f"session.root is the web address of a REST API, not {type(self.root).__name__}")

    def nonce_for(self, url: str) -> str:
        """Return the nonce to send to ``url``, or ``""`` if there is none, or only that of another origin."""
        if not self.nonce:
            return ""
        place = origin(url)
        if self._owner is None or self._owner[0] != self.nonce:  # the caller set it
            self._owner = self.nonce, place
        return self.nonce if self._owner[1] == place else ""

    def adopt_nonce(self, nonce: Any, url: str) -> None:
        """Keep a nonce that ``url`` gave; a value that cannot be a nonce is ignored (protocol section 5, 12)."""
        if is_nonce(nonce):
            self.nonce = nonce
            self._owner = nonce, origin(url)

    def adopt(self, answer: Json, url: str) -> None:
        """Keep the nonce and the session id in a JSON answer of ``url``.

        A session id that could not be sent back is ignored.
        """
        self.adopt_nonce(answer.get("restNonce"), url)
        self.adopt_nonce(answer.get("new_token"), url)
        session_id = answer.get("sessionId")
        if is_id(session_id) and session_id != "N/A":
            self.session_id = session_id

    def drop_nonce(self, refused: str | None = None) -> None:
        """Drop the nonce. With ``refused``, drop it only if it is that one: another turn may have renewed it since."""
        if refused is None or self.nonce == refused:
            self.nonce = ""

    def move_to(self, root: str) -> None:
        """Keep the address of the REST API; ``""`` is the usual one."""
        self.root = root


def is_nonce(value: Any) -> TypeGuard[str]:
    """Return whether a value can be sent as a nonce: a string of printable ASCII characters that a header can hold."""
    return isinstance(value, str) and _NONCE.fullmatch(value) is not None


def is_id(value: Any) -> TypeGuard[str]:
    """Return whether a value of a site can be sent back as an id: a string that is not empty, printable and short."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_ID and value.isprintable()


def fold_headers(headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> dict[str, str]:
    """Return response headers as a dict with lower-case names.

    Of several headers with one name the last counts; ``Link`` headers are joined. Takes a mapping or pairs, of str or
    (as h11 has them) bytes.
    """
    pairs: Any = headers.items() if isinstance(headers, Mapping) else headers
    folded: dict[str, str] = {}
    for key, text in pairs:
        name = _latin(key).lower()
        value = _utf8(_latin(text)) if name in _ADDRESSES else _latin(text)
        folded[name] = f"{folded[name]}, {value}" if name == "link" and name in folded else value
    return folded


def _utf8(value: str) -> str:
    """Return the address in a header, which some sites write in UTF-8 and every HTTP library reads as Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _latin(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
