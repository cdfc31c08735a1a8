"""The data that a site stores."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..protocol.parsing.events import Json, Shortcut
from .answers import Chat, ReceivedRequest
from .logins import Logins
from .options import Options
from .version import Version
from .widgets import ReceivedFile


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An uploaded file. ``owner`` is the number of a user or the session of a guest."""

    file: ReceivedFile
    owner: int | str


class State:
    """The data of a site at ``origin``, shared by the threads of all connections. ``lock`` guards changes.

    ``store``, if there is one, is called with each successful chat and its final object, before that is sent.
    """

    def __init__(self, options: Options, origin: str, version: Version, store: Store | None) -> None:
        self.options = options
        self.version = version
        self.store = store
        self.url: str = origin + options.path
        self.logins: Logins = Logins(options.users, self.url)
        self.errors: list[BaseException] = []
        self.closing: threading.Event = threading.Event()
        self.lock: threading.Lock = threading.Lock()
        self.requests: list[ReceivedRequest] = []
        self.files: list[StoredFile] = []
        self._shortcuts: dict[tuple[str, str], str] = {}
        self._chats = 0
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

    def offer(self, shortcut: Shortcut, bot_id: str) -> None:
        """Store the text of a shortcut under its id. Only this bot accepts the id."""
        if shortcut.shortcut_id:
            with self.lock:
                self._shortcuts[bot_id, shortcut.shortcut_id] = shortcut.message or shortcut.label

    def hidden_message(self, shortcut_id: object, bot_id: str) -> str | None:
        """Return the text of the shortcut with this id, or None if this bot has no such shortcut."""
        with self.lock:
            return self._shortcuts.get((bot_id, str(shortcut_id)))


Store: TypeAlias = Callable[[State, Chat, Json], None]
