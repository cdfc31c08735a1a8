"""Logins: guests, cookies, application passwords and nonces (protocol sections 1.2 and 4.1)."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import threading
import time
from collections.abc import Mapping
from urllib.parse import quote, unquote

from ..protocol.parsing.events import Json
from .answers import ReceivedRequest

GUEST = "|"
"""The identity of all visitors without a login: no user and no session."""

ADMIN = "admin"
"""The first administrator, who has the number 1."""


class Nonces:
    """The nonces of the current and the previous tick. Each nonce belongs to one identity."""

    def __init__(self, ticks: tuple[str, str]) -> None:
        self._ticks = ticks

    def make(self, identity: str, age: int = 0) -> str:
        """Return the nonce of an identity in the current tick, or in the previous one if ``age`` is 1."""
        return hashlib.sha256(f"{self._ticks[age]}|{identity}".encode()).hexdigest()[:10]

    def verify(self, nonce: str | None, identity: str) -> int:
        """Return 1 for a nonce of the current tick, 2 for one of the previous tick, else 0, as WordPress does."""
        return next((age + 1 for age in (0, 1) if nonce == self.make(identity, age)), 0)


class Logins:
    """The users of a site, their sessions, and the nonces of all visitors."""

    def __init__(self, users: Mapping[str, str], url: str) -> None:
        self._users = {name: _bare(password) for name, password in users.items()}
        self._names = [ADMIN, *(name for name in users if name != ADMIN)]
        self._cookie = f"wordpress_logged_in_{hashlib.md5(url.encode(), usedforsecurity=False).hexdigest()}"
        self._sessions: dict[str, str] = {}
        self._lock = threading.Lock()
        self.expire()

    def __contains__(self, name: str) -> bool:
        return name in self._users

    def expire(self) -> None:
        """Make every nonce stale."""
        tick = secrets.token_hex(8)
        self._ticks = (tick, tick)

    def age(self) -> None:
        """Begin the next tick."""
        with self._lock:
            self._ticks = (secrets.token_hex(8), self._ticks[0])

    @property
    def nonces(self) -> Nonces:
        """The nonces that are valid now."""
        return Nonces(self._ticks)

    def log_in(self, name: str) -> dict[str, str]:
        """Return the cookies of a new session of this user."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions[token] = name
        value = f"{name}|{int(time.time()) + 172_800}|{token}|{secrets.token_hex(32)}"
        return {self._cookie: quote(value, safe="")}

    def read_cookie(self, request: ReceivedRequest) -> tuple[str, str]:
        """Return the user of the login cookie, or ``""`` if it is not valid, and the session in the cookie."""
        parts = unquote(read_cookies(request).get(self._cookie, "")).split("|")
        if len(parts) != 4:
            return "", ""
        with self._lock:
            user = self._sessions.get(parts[2])
        return (parts[0] if user == parts[0] else ""), parts[2]

    def read_password(self, request: ReceivedRequest) -> tuple[str, str]:
        """Return the user of an application password and WordPress's code for a bad one. Either may be ``""``."""
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic" or not self._users:
            return "", ""
        try:
            name, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
        except ValueError:
            return "", ""
        if name not in self._users:
            return "", "invalid_username"
        return (name, "") if _bare(password) == self._users[name] else ("", "incorrect_password")

    def user_id(self, name: str) -> int:
        """Return the number of a user, or 0 for a guest."""
        return self._names.index(name) + 1 if name else 0

    def user_data(self, name: str) -> Json:
        """Return the ``userData`` of a page."""
        avatar = "https://secure.gravatar.com/avatar/?s=96&d=mm&r=g"
        data: Json = {"ID": self.user_id(name), "name": name, "email": email(name), "avatar": avatar}
        return data | {
            "FIRST_NAME": name.title(),
            "LAST_NAME": "",
            "USER_LOGIN": name,
            "DISPLAY_NAME": name,
            "AVATAR_URL": avatar,
        }


def email(name: str) -> str:
    """Return the e-mail address of a user."""
    return f"{name}@example.org"


def read_cookies(request: ReceivedRequest) -> dict[str, str]:
    """Return the cookies of a request, not decoded."""
    pairs = (pair.strip().partition("=") for pair in request.headers.get("cookie", "").split(";"))
    return {name: value for name, _, value in pairs if value}


def _bare(password: str) -> str:
    """Return an application password without the spaces that WordPress shows in it."""
    return re.sub(r"[^A-Za-z0-9]", "", password)
