"""The options of a site, and the data that it stores."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..protocol.parsing.events import Json, Shortcut
from .answers import ReceivedRequest, Script
from .logins import Logins
from .versions import Version
from .widgets import ReceivedFile, Widget


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments of ``serve_site``."""

    script: Script
    version: Version
    bots: tuple[Widget, ...]
    max_length: int
    limit_after: int | None
    pause: float
    pretty: bool
    path: str
    language: str
    session_closed: bool
    users: Mapping[str, str]
    discussions: bool
    token: str | None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An uploaded file in the site's table. ``owner`` is the number of a user or the session of a guest."""

    file: ReceivedFile
    number: int
    owner: int | str
    env_id: str | None
    metadata: Mapping[str, str]
    created: str
    expires: str


@dataclass(slots=True)
class Discussion:
    """A conversation in the site's table. ``user_id`` is 0 for a guest."""

    number: int
    user_id: int
    bot_id: str
    chat_id: str
    extra: Json
    created: str
    updated: str
    title: str | None = None
    messages: list[Json] = field(default_factory=list)


class State:
    """The data of a site at ``origin``, shared by the threads of all connections. ``lock`` guards changes."""

    def __init__(self, options: Options, origin: str) -> None:
        self.options = options
        self.version = options.version
        self.url = origin + options.path
        self.logins = Logins(options.users, self.url)
        self.errors: list[BaseException] = []
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self.requests: list[ReceivedRequest] = []
        self.files: list[StoredFile] = []
        self.discussions: list[Discussion] = []
        self._shortcuts: dict[tuple[str, str], str] = {}
        self._chats = 0
        self._numbers = 0
        for bot in options.bots:
            for shortcut in bot.shortcuts:
                self.offer(shortcut, bot.custom_id or bot.bot_id or "")

    def home(self, language: str = "") -> str:
        """Return the address of the site in a language, without a final slash."""
        return f"{self.url}/{language}" if language else self.url

    def root(self, language: str = "") -> str:
        """Return the address of the REST API, without a final slash."""
        return f"{self.home(language)}/{'wp-json' if self.options.pretty else 'index.php?rest_route='}"

    def accept_chat(self) -> bool:
        """Count a chat, and return whether it is within the limit."""
        limit = self.options.limit_after
        with self.lock:
            self._chats += 1
            return limit is None or self._chats <= limit

    def next_number(self) -> int:
        """Return a new number for a row of a table. The caller must hold the lock."""
        self._numbers += 1
        return self._numbers

    def offer(self, shortcut: Shortcut, bot_id: str) -> None:
        """Store the text of a shortcut under its id. Only this bot accepts the id."""
        if shortcut.shortcut_id:
            with self.lock:
                self._shortcuts[bot_id, shortcut.shortcut_id] = shortcut.message or shortcut.label

    def hidden_message(self, shortcut_id: object, bot_id: str) -> str | None:
        """Return the text of the shortcut with this id, or None if this bot has no such shortcut."""
        with self.lock:
            return self._shortcuts.get((bot_id, str(shortcut_id)))


def now(later: float = 0.0) -> str:
    """Return the time in ``later`` seconds from now, in the form of MySQL."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + later))


def random_id() -> str:
    """Return 32 hex digits."""
    return secrets.token_hex(16)
