"""What is sent and what is kept: requests as values, the headers of the caller, and the session."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..._version import __version__
from ...net.url import origin
from ..parsing.events import Json
from .multipart import Multipart

USER_AGENT = f"chatgpt4online/{__version__} (Python SDK for AI Engine sites)"
CREDENTIALS = {"authorization", "cookie", "proxy-authorization", "x-wp-nonce"}

_NONCE = re.compile(r"[!-~]{1,128}")  # what a header can hold; WordPress's own are 10 hex characters

Content: TypeAlias = bytes | Multipart


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request to send.

    ``headers`` is a dict; ``body`` is bytes, or a :class:`Multipart` to iterate over. Wait ``delay`` seconds before
    sending it. An ``exclusive`` request fetches a nonce for the session. Where several turns share a session, send one
    such request at a time, and call ``next_request()`` again before sending it, since another turn may have fetched
    the nonce meanwhile.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: Content = b""
    delay: float = 0.0
    exclusive: bool = False


@dataclass(frozen=True, slots=True)
class CallerHeaders:
    """The headers that the caller adds to every request.

    ``home`` is the origin of the site. The caller's credentials are sent to no other.
    """

    headers: Mapping[str, str]
    home: tuple[str, str, int | None]

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
    it is not the one that the site's address suggests.
    """

    nonce: str = field(default="", repr=False)
    session_id: str = ""
    root: str = ""

    def adopt_nonce(self, nonce: Any) -> None:
        """Keep a nonce that the site gave; a value that cannot be a nonce is ignored (protocol section 5, 12)."""
        if isinstance(nonce, str) and _NONCE.fullmatch(nonce):
            self.nonce = nonce

    def adopt(self, answer: Json) -> None:
        """Keep the nonce and the session id in a JSON answer of the site."""
        self.adopt_nonce(answer.get("restNonce"))
        self.adopt_nonce(answer.get("new_token"))
        session_id = answer.get("sessionId")
        if isinstance(session_id, str) and session_id not in ("", "N/A"):
            self.session_id = session_id

    def drop_nonce(self, refused: str | None = None) -> None:
        """Drop the nonce. With ``refused``, drop it only if it is that one: another turn may have renewed it since."""
        if refused is None or self.nonce == refused:
            self.nonce = ""

    def move_to(self, root: str) -> None:
        """Keep the address of the REST API; ``""`` is the usual one."""
        self.root = root


def fold_headers(headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> dict[str, str]:
    """Return response headers as a dict with lower-case names.

    Of several headers with one name the last counts; ``Link`` headers are joined. Takes a mapping or pairs, of str or
    (as h11 has them) bytes.
    """
    pairs: Any = headers.items() if isinstance(headers, Mapping) else headers
    folded: dict[str, str] = {}
    for name, value in ((_latin(name).lower(), _latin(value)) for name, value in pairs):
        folded[name] = f"{folded[name]}, {value}" if name == "link" and name in folded else value
    return folded


def _latin(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
