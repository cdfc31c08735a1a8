"""The site: its address, its threads, and its life."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Self

import h11

from ..protocol.errors import InvalidInput
from .answers import Answer, ReceivedRequest, Script
from .exchange import Exchange
from .routes import answer as answer_request
from .state import Options, State
from .transport import Response, receive
from .versions import VERSIONS

_CLOSE_SECONDS = 5.0


def serve_site(
    answer: Script | None = None,
    *,
    version: str = "3.6.2",
    bots: Iterable[str] = ("default",),
    max_length: int = 512,
    limit_after: int | None = None,
    pause: float = 0.0,
    port: int = 0,
) -> Site:
    """Return a site on 127.0.0.1 that is running; leave its ``with`` block, or call ``close()``, to stop it.

    ``answer`` is what it says: whatever ``Answer`` takes, an ``Answer``, or a callable that gets each ``Chat`` and
    returns one of these. An iterator is used up by the first chat. Without one, the site repeats the question.

    ``version`` is ``"3.6.2"``, ``"2.8.9"`` or ``"2.4.3"``: the releases that were recorded. ``bots`` have a widget each
    on the page at ``/``. ``max_length`` of a question is in characters (in bytes on 2.4.3). After
    ``limit_after`` chats, each is told that the limit is reached. ``pause`` is in seconds, between pieces. ``port`` 0
    takes a free one.

    Raises InvalidInput for values that cannot be used, and OSError for a port that is taken.
    """
    names = tuple(bots) if isinstance(bots, Iterable) and not isinstance(bots, str) else ()
    whole = isinstance(limit_after, int) and limit_after >= 0
    for name, value, good, wanted in (
        ("version", version, version in tuple(VERSIONS), f"one of {', '.join(VERSIONS)}"),
        ("bots", bots, names and all(isinstance(bot, str) and bot for bot in names), "a list of one name or more"),
        ("max_length", max_length, isinstance(max_length, int) and max_length >= 1, "a whole number, at least 1"),
        ("limit_after", limit_after, limit_after is None or whole, "None or a whole number, at least 0"),
        ("pause", pause, isinstance(pause, int | float) and 0 <= pause < math.inf, "a number of seconds"),
        ("port", port, isinstance(port, int) and 0 <= port <= 65535, "a whole number from 0 to 65535"),
    ):
        if not good:
            raise InvalidInput(f"{name} is {wanted}, not {value!r}")
    return Site(Options(_as_script(answer), VERSIONS[version], names, max_length, limit_after, pause), port)


def _as_script(answer: Script | None) -> Script:
    if answer is None:
        return lambda chat: f"You said: {chat.message}"
    return answer if callable(answer) or isinstance(answer, Answer) else Answer(answer)


class Site:
    """A running site, made by ``serve_site``; a context manager.

    ``url`` is its address. ``errors`` holds what a script raised, other than a ServerError (which is the site's own
    ``error``): the chat ended as PHP's fatal does, and the ``with`` block raises the first one when it is left. Clear
    the list to have it forgiven.

    When the client goes away, the script is closed; a real site would let its model finish.
    """

    def __init__(self, options: Options, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._state = State(options, self.url)
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
        """The requests that came, oldest first."""
        return self._state.requests

    @property
    def nonce(self) -> str:
        """The nonce that the site gives out now."""
        return self._state.nonces[0]

    def expire_nonce(self) -> None:
        """Make every nonce that was given out stale: 403 ``rest_cookie_invalid_nonce``."""
        self._state.expire_nonce()

    def age_nonce(self) -> None:
        """Make the present nonce the previous tick's: valid still, and answered with a new one."""
        self._state.age_nonce()

    def close(self) -> None:
        """Close every connection and wait for their threads, at most 5 s for a script that hangs; may be repeated."""
        if not self._state.closing.is_set():
            self._state.closing.set()
            with suppress(OSError), socket.create_connection(self._listener.getsockname()):
                pass  # wakes accept(), which closing the listener would not do everywhere
        self._acceptor.join()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections.values():
            with suppress(OSError):  # it is closed already
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
            # A client that goes away ends its connection, and nothing else.
            with connection, suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                unread: bytes | None = b""
                while unread is not None:
                    unread = self._serve_request(connection, unread)
        finally:
            with self._lock:
                del self._connections[threading.current_thread()]

    def _serve_request(self, connection: socket.socket, unread: bytes) -> bytes | None:
        """Answer the next request; return what came after it, or None if the connection is at its end."""
        parser = h11.Connection(h11.SERVER)
        try:
            received = receive(parser, connection, unread)
        except h11.RemoteProtocolError:
            Response(connection).refuse(HTTPStatus.BAD_REQUEST)
            return None
        if received is None:
            return None
        request, version = received
        self._state.add_request(request)
        response = Response(connection, request.method, version, request.headers.get("connection", ""))
        answer_request(Exchange(self._state, request, response))
        return parser.trailing_data[0] if response.keep_alive else None
