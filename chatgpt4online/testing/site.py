"""The site: its options, its threads, and the class that users see."""

from __future__ import annotations

import math
import re
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Literal, Self, TypeVar

import h11

from ..protocol.parsing.errors import InvalidInput
from .answers import Answer, ReceivedRequest, Script
from .exchange import Exchange
from .logins import GUEST
from .routes import answer as answer_request
from .state import Options, State
from .transport import Response, receive
from .versions import VERSIONS
from .widgets import ReceivedFile, Widget

_Value = TypeVar("_Value")

_CLOSE_SECONDS = 5.0  # close() waits so long for scripts, so that a hanging one does not stop the tests


def serve_site(
    answer: Script | None = None,
    *,
    version: str = "3.6.2",
    bots: Iterable[str | Widget] = ("default",),
    max_length: int = 512,
    limit_after: int | None = None,
    pause: float = 0.0,
    port: int = 0,
    permalinks: Literal["pretty", "plain"] = "pretty",
    path: str = "",
    language: str = "",
    session_closed: bool = False,
    users: Mapping[str, str] | None = None,
    discussions: bool = False,
    token: str | None = None,
) -> Site:
    """Return a running site on 127.0.0.1. Leave its ``with`` block, or call ``close()``, to stop it.

    ``answer`` is an ``Answer``, the pieces of one, or a callable that gets each ``Chat`` and returns one of these. The
    first chat uses up an iterator. Without ``answer``, the site repeats the question.

    ``version`` is one of the recorded releases: ``"3.6.2"``, ``"2.8.9"`` or ``"2.4.3"``. ``bots`` are names or
    ``Widget``; the pages show them. The pages are at ``/`` and at any path without a dot. ``max_length`` of a question
    is in characters (in bytes on 2.4.3). After ``limit_after`` chats, the site answers that the limit is reached.
    ``pause`` is the time between pieces in seconds. ``port`` 0 stands for any free port.

    Three options define the addresses (protocol section 1.1). With ``permalinks="plain"``, the API is at
    ``/index.php?rest_route=``. ``path`` (``"/blog"``) is the directory of the site. With ``language`` (``"fr"``) and
    pretty permalinks, the site is also below that directory.

    Four options define the visitors. ``session_closed`` refuses start_session and puts the nonce into the pages, as
    2.9.0 did. ``users`` are names and their application passwords (sections 1.2 and 1.6), for HTTP Basic or
    ``Site.login``. ``discussions`` stores their conversations. ``token`` turns the public API on (section 1.8), where
    the text of the script is the answer. For simpleJsonQuery and moderationCheck it is the JSON in that text, and for
    image queries the first image.

    Raises InvalidInput for values that cannot be used, and OSError for a port that is in use.
    """
    options = Options(
        script=_as_script(answer),
        version=_one_of("version", version, VERSIONS),
        bots=_as_widgets(bots),
        max_length=max_length,
        limit_after=limit_after,
        pause=pause,
        pretty=_one_of("permalinks", permalinks, {"pretty": True, "plain": False}),
        path=path,
        language=language,
        session_closed=session_closed,
        users={} if users is None else users,
        discussions=discussions,
        token=token,
    )
    _check(options, port)
    return Site(options, port)


def _check(options: Options, port: int) -> None:
    length, limit, pause = options.max_length, options.limit_after, options.pause
    path, language, users, token = options.path, options.language, options.users, options.token
    names = isinstance(users, Mapping) and all(
        isinstance(word, str) and word for pair in users.items() for word in pair
    )
    for name, value, good, wanted in (
        ("max_length", length, isinstance(length, int) and length >= 1, "a whole number, at least 1"),
        ("limit_after", limit, limit is None or _is_count(limit), "None or a whole number, at least 0"),
        ("pause", pause, isinstance(pause, int | float) and 0 <= pause < math.inf, "a number of seconds"),
        ("port", port, isinstance(port, int) and 0 <= port <= 65535, "a whole number from 0 to 65535"),
        ("path", path, _matches(r"((/[A-Za-z0-9_-]+)+)?", path), "empty, or like '/blog'"),
        ("language", language, _matches(r"[A-Za-z-]*", language), "empty, or a code such as 'fr'"),
        ("language", language, options.pretty or not language, "for pretty permalinks only"),
        ("users", users, names and not any(set(user) & set(":|;") for user in users), "a dict of names and passwords"),
        ("token", token, token is None or (isinstance(token, str) and token), "None or a word"),
    ):
        if not good:
            raise InvalidInput(f"{name} must be {wanted}, not {value!r}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def _matches(pattern: str, value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _one_of(name: str, value: str, table: Mapping[str, _Value]) -> _Value:
    if value not in tuple(table):
        raise InvalidInput(f"{name} must be one of {', '.join(table)}, not {value!r}")
    return table[value]


def _as_widgets(bots: object) -> tuple[Widget, ...]:
    found = tuple(bots) if isinstance(bots, Iterable) and not isinstance(bots, str) else ()
    if not found or not all(isinstance(bot, Widget) or (isinstance(bot, str) and bot) for bot in found):
        raise InvalidInput(f"bots must be a list with at least one name or Widget, not {bots!r}")
    return tuple(bot if isinstance(bot, Widget) else Widget(bot) for bot in found)


def _as_script(answer: Script | None) -> Script:
    if answer is None:
        return lambda chat: f"You said: {chat.message}"
    if isinstance(answer, list | tuple) and not answer:
        raise InvalidInput(f"answer must have at least one piece, but it is an empty {type(answer).__name__}")
    return answer if callable(answer) or isinstance(answer, Answer) else Answer(answer)


class Site:
    """A running site. ``serve_site`` returns it, and it is a context manager.

    ``url`` is its address, without a final slash. ``errors`` holds the exceptions of scripts. Such an exception ends
    the chat like a fatal error of PHP, and the ``with`` block raises the first one at its end. Clear the list to
    prevent that. A ServerError is different: it becomes an ``error`` event.

    When the client closes the connection, the script is closed. A real site would let its model finish.
    """

    def __init__(self, options: Options, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self._state = State(options, f"http://127.0.0.1:{self._listener.getsockname()[1]}")
        self.url = self._state.url
        self.errors = self._state.errors
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._acceptor = threading.Thread(target=self._accept, name=f"site {self.url}", daemon=True)
        self._acceptor.start()

    def __repr__(self) -> str:
        return f"<Site {self.url} {'closed' if self._state.closing.is_set() else 'running'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()
        if error is None and self.errors:
            raise self.errors[0]

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The received requests, the oldest first."""
        with self._state.lock:
            return list(self._state.requests)

    @property
    def files(self) -> list[ReceivedFile]:
        """The files that were uploaded and not deleted, the oldest first."""
        with self._state.lock:
            return [stored.file for stored in self._state.files]

    @property
    def nonce(self) -> str:
        """The nonce for guests at this moment."""
        return self._state.logins.nonces.make(GUEST)

    def expire_nonce(self) -> None:
        """Make every nonce stale, so that the site answers 403 ``rest_cookie_invalid_nonce``."""
        self._state.logins.expire()

    def age_nonce(self) -> None:
        """Begin the next tick. The present nonces stay valid, and the site answers them with new ones."""
        self._state.logins.age()

    def login(self, user: str) -> dict[str, str]:
        """Return the cookies of a new session of one of the site's ``users``.

        Requests with these cookies need the nonce of this session, which is in the pages and at
        ``/wp-admin/admin-ajax.php?action=rest-nonce``. Raises InvalidInput for an unknown user.
        """
        if user not in self._state.logins:
            raise InvalidInput(f"there is no user {user!r}; add it to users=")
        return self._state.logins.log_in(user)

    def close(self) -> None:
        """Close every connection, and wait at most 5 s for the scripts to end. It may be called twice."""
        if not self._state.closing.is_set():
            self._state.closing.set()
            with suppress(OSError), socket.create_connection(self._listener.getsockname()):
                pass  # the connection wakes accept(); on some systems, closing the listener does not
        self._acceptor.join()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections.values():
            with suppress(OSError):  # the client closed it already
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + _CLOSE_SECONDS
        for thread in connections:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _accept(self) -> None:
        with self._listener:
            while True:
                connection, _ = self._listener.accept()
                if self._state.closing.is_set():
                    connection.close()
                    return
                thread = threading.Thread(target=self._serve, args=(connection,), name=self.url, daemon=True)
                with self._lock:
                    self._connections[thread] = connection
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            # A client that closes its connection ends only this thread.
            with connection, suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                unread: bytes | None = b""
                while unread is not None:
                    unread = self._serve_request(connection, unread)
        finally:
            with self._lock:
                del self._connections[threading.current_thread()]

    def _serve_request(self, connection: socket.socket, unread: bytes) -> bytes | None:
        """Answer the next request. Return the bytes behind it, or None at the end of the connection."""
        parser = h11.Connection(h11.SERVER)
        try:
            received = receive(parser, connection, unread)
        except h11.RemoteProtocolError:
            Response(connection).refuse(HTTPStatus.BAD_REQUEST)
            return None
        if received is None:
            return None
        request, version = received
        with self._state.lock:
            self._state.requests.append(request)
        response = Response(connection, request.method, version, request.headers.get("connection", ""))
        answer_request(Exchange(self._state, request, response))
        return parser.trailing_data[0] if response.keep_alive else None
