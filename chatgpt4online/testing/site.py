"""The site: its options, its threads, and the class that users see."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Literal, Self

import h11

from ..protocol.parsing.errors import InvalidInput
from .answers import ReceivedRequest, Script
from .exchange import Exchange
from .logins import GUEST
from .options import Options, read_options
from .routes import ROUTES, Route
from .routes import answer as answer_request
from .state import State, Store
from .transport import Response, receive
from .version import VERSION, Version
from .widgets import ReceivedFile, Widget

_CLOSE_SECONDS = 5.0  # close() waits so long for scripts, so that a hanging one does not stop the tests


def serve_site(
    answer: Script | None = None,
    *,
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
) -> Site:
    """Return a running site on 127.0.0.1. Leave its ``with`` block, or call ``close()``, to stop it.

    ``answer`` is an ``Answer``, the pieces of one, or a callable that gets each ``Chat`` and returns one of these. The
    first chat uses up an iterator. Without ``answer``, the site repeats the question.

    ``bots`` are names or ``Widget``; the pages show them. The pages are at ``/`` and at any path without a dot.
    ``max_length`` of a question is in characters. After ``limit_after`` chats, the site answers that the limit is
    reached. ``pause`` is the time between pieces in seconds. ``port`` 0 stands for any free port.

    Three options define the addresses (protocol section 1.1). With ``permalinks="plain"``, the API is at
    ``/index.php?rest_route=``. ``path`` (``"/blog"``) is the directory of the site. With ``language`` (``"fr"``) and
    pretty permalinks, the site is also below that directory.

    Two options define the visitors. ``session_closed`` refuses start_session and puts the nonce into the pages.
    ``users`` are names and their application passwords (section 1.2), for HTTP Basic or ``Site.login``.

    Raises InvalidInput for values that cannot be used, and OSError for a port that is in use.
    """
    options = read_options(
        answer,
        bots=bots,
        max_length=max_length,
        limit_after=limit_after,
        pause=pause,
        port=port,
        permalinks=permalinks,
        path=path,
        language=language,
        session_closed=session_closed,
        users=users,
    )
    return Site(options)


class Site:
    """A running site. ``serve_site`` returns it, and it is a context manager.

    ``url`` is its address, without a final slash. ``errors`` holds the exceptions of scripts. Such an exception ends
    the chat like a fatal error of PHP, and the ``with`` block raises the first one at its end. Clear the list to
    prevent that. A ServerError is different: it becomes an ``error`` event.

    When the client closes the connection, the script is closed. A real site would let its model finish.
    """

    # tests/site passes the other arguments: there, a site also has discussions, the public API and other versions.
    def __init__(
        self,
        options: Options,
        *,
        version: Version = VERSION,
        routes: Sequence[Route] = ROUTES,
        store: Store | None = None,
    ) -> None:
        self._listener = socket.create_server(("127.0.0.1", options.port), backlog=128)
        origin = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._state = State(options, origin, version, store)
        self._routes = tuple(routes)
        self.url: str = self._state.url
        self.errors: list[BaseException] = self._state.errors
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
        answer_request(Exchange(self._state, request, response), self._routes)
        return parser.trailing_data[0] if response.keep_alive else None
