"""What a site is told to be, and what it remembers."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass

from .answers import ReceivedRequest, Script
from .versions import Version


@dataclass(frozen=True, slots=True)
class Options:
    """What ``serve_site`` was called with."""

    script: Script
    version: Version
    bots: tuple[str, ...]
    max_length: int
    limit_after: int | None
    pause: float


class State:
    """The memory of a site at ``url``, for all of its connections' threads."""

    def __init__(self, options: Options, url: str) -> None:
        self.options = options
        self.version = options.version
        self.url = url
        self.root = f"{url}/wp-json"
        self.errors: list[BaseException] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._requests: list[ReceivedRequest] = []
        self._chats = 0
        self.expire_nonce()

    def expire_nonce(self) -> None:
        """Make every nonce stale."""
        nonce = secrets.token_hex(5)
        self.nonces = (nonce, nonce)  # this tick's and the previous one's

    def age_nonce(self) -> None:
        """Let a tick pass."""
        with self._lock:
            self.nonces = (secrets.token_hex(5), self.nonces[0])

    @property
    def requests(self) -> list[ReceivedRequest]:
        """A copy of the requests."""
        with self._lock:
            return list(self._requests)

    def add_request(self, request: ReceivedRequest) -> None:
        """Remember a request."""
        with self._lock:
            self._requests.append(request)

    def accept_chat(self) -> bool:
        """Count a chat; return whether it is within the limit."""
        limit = self.options.limit_after
        with self._lock:
            self._chats += 1
            return limit is None or self._chats <= limit
