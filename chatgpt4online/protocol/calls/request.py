"""What a call sends and what is kept from call to call: requests as values, and the session."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..._version import __version__
from ..parsing.events import Json
from .multipart import Multipart

USER_AGENT = f"chatgpt4online/{__version__} (Python SDK for AI Engine sites)"

_NONCE = re.compile(r"[!-~]{1,128}")  # what can stand in a header; WordPress's own are 10 hex characters

Content: TypeAlias = bytes | Multipart


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request to send.

    ``headers`` is a dict; ``body`` is bytes, or a :class:`Multipart` to iterate over. Wait ``delay`` seconds before
    sending it. An ``exclusive`` request renews the session: where several turns share one, only one such request should
    be under way at a time, and ``next_request()`` asked again once it is this turn's, since another turn may have done
    the work.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: Content = b""
    delay: float = 0.0
    exclusive: bool = False


@dataclass(slots=True)
class Session:
    """What one visitor of one site keeps from turn to turn; many turns may share it.

    ``nonce`` and ``session_id`` are ``""`` until the site has given them; ``root`` is the address of the REST API, once
    it is known to be another than the site's address suggests.
    """

    nonce: str = field(default="", repr=False)
    session_id: str = ""
    root: str = ""

    def adopt_nonce(self, nonce: Any) -> None:
        """Take over a nonce that the site gave; whatever cannot be one is passed over (protocol section 5, 12)."""
        if isinstance(nonce, str) and _NONCE.fullmatch(nonce):
            self.nonce = nonce

    def adopt(self, answer: Json) -> None:
        """Take over the nonce and the session id in a JSON answer of the site."""
        self.adopt_nonce(answer.get("restNonce"))
        self.adopt_nonce(answer.get("new_token"))
        session_id = answer.get("sessionId")
        if isinstance(session_id, str) and session_id not in ("", "N/A"):
            self.session_id = session_id

    def forget_nonce(self, nonce: str) -> None:
        """Drop the nonce that was refused, unless another turn has renewed it since."""
        if self.nonce == nonce:
            self.nonce = ""


def fold_headers(headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> dict[str, str]:
    """Return response headers as a dict with lower-case names; of several with one name, the last counts,
    but that ``Link`` headers are joined.

    Takes a mapping or pairs, of str or (as h11 has them) bytes.
    """
    pairs: Any = headers.items() if isinstance(headers, Mapping) else headers
    folded: dict[str, str] = {}
    for name, value in ((_latin(name).lower(), _latin(value)) for name, value in pairs):
        folded[name] = f"{folded[name]}, {value}" if name == "link" and name in folded else value
    return folded


def _latin(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
