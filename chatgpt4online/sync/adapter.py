"""An adapter for requests that uses the connections of this package.

These connections read the head and the chunks of a response by the rules of ``net/``, which both clients share.
"""

from __future__ import annotations

import http.client
import io
import queue
import threading
import time
import weakref
from collections.abc import Callable
from socket import socket
from typing import Any, TypeAlias

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.util.ssltransport import SSLTransport

from ..net.forks import disown
from ..net.heads import NO_HEAD, read_final_head
from ..net.url import URL, Origin
from ..protocol.calls.deadline import Deadline
from .chunks import ChunkReader
from .connect import Clock, ResponseFile, SocketReader, Verify, open_connection, set_timeout, socket_below

READ_SIZE = 65_536  # bytes, as much as a socket buffer usually holds
_MOST_IDLE = 1_000  # idle connections to one server; a thread uses one at a time, and few processes have more threads
_STALLED_SECONDS = 0.1  # a server that refuses an upload has sent its response before it stops reading
_WITHOUT_BODY = (204, 304)  # statuses of responses that never have a body (RFC 9110, 6.4.1)
_FRAMING = {"connection", "content-length", "keep-alive", "proxy-connection", "transfer-encoding"}

# An origin, and the name for the resolver. That name keeps the zone of an IPv6 address: the same address in two zones
# belongs to two servers.
_Server: TypeAlias = tuple[Origin, str]


class _Sending(threading.local):
    """The request that this thread is sending.

    The connection reads it here, since requests and urllib3 pass it no such values. A thread sends one request at a
    time.
    """

    url: URL
    proxy: URL | None = None
    clock: Clock
    deadline: Deadline
    watch: Callable[[socket | None], None]  # called with a socket before the thread waits for it
    is_stalled: bool = False  # whether the server did not receive the whole request in time
    response: SocketResponse | None = None  # the response, if a connection of this module made it

    def begin(self, url: URL, deadline: Deadline, watch: Callable[[socket | None], None]) -> None:
        """Store the values that the connection reads."""
        self.url, self.proxy, self.deadline, self.clock = url, None, deadline, Clock()
        self.watch, self.response, self.is_stalled = watch, None, False

    def end(self) -> SocketResponse | None:
        """Return the response, or None if no connection of this module made it.

        Deletes the values that refer to the stream, since the thread would keep the stream alive.
        """
        response, self.response = self.response, None
        del self.watch, self.clock
        return response


sending: _Sending = _Sending()


class ConnectTimedOut(Exception):
    """The ``connect`` limit expired. urllib3 and requests do not know this class, so they do not convert it."""


class _Queue(queue.LifoQueue[Any]):
    """The queue of a pool's idle connections."""

    def __init__(self, _placeholders: int) -> None:
        super().__init__(_MOST_IDLE)


class _Pool(urllib3.HTTPConnectionPool):
    """A pool that keeps many idle connections.

    ``maxsize=`` would do that too, but then urllib3 puts as many placeholders into the queue of each new pool.
    """

    QueueCls = _Queue  # type: ignore[assignment]  # it is generic in the stubs


class Adapter(HTTPAdapter):
    """An adapter for requests that uses the connections of this module."""

    def __init__(self, verify: Verify) -> None:
        self._verify = verify
        self._pools: dict[_Server, urllib3.HTTPConnectionPool] = {}
        self._guard = threading.Lock()
        self._sockets: weakref.WeakSet[socket] = weakref.WeakSet()  # the sockets of all connections
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        if urllib3.HTTPConnectionPool.ConnectionCls is not HTTPConnection:
            # A test has replaced the connections of urllib3, as vcrpy does. It must not reach the network, and must not
            # record the credentials for a proxy.
            sending.proxy = None
            return super().get_connection_with_tls_context(*args, **options)
        url = sending.url
        server = url.origin, url.resolved_host
        with self._guard:
            if server not in self._pools:
                pool = _Pool(url.origin.host, url.origin.port)
                pool.ConnectionCls = self._connection  # type: ignore[assignment]  # urllib3 only calls it
                self._pools[server] = pool
            return self._pools[server]

    def _connection(self, **options: Any) -> _Connection:
        connection = _Connection(**options)
        connection.verify, connection.sockets = self._verify, self._sockets
        return connection

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Do nothing for the connections of this module, which make their own TLS context."""
        if not isinstance(conn, urllib3.HTTPConnectionPool) or conn not in self._pools.values():
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]  # requests has no types here

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        """Return the target for the first line of a request. An HTTP proxy gets the whole address."""
        return sending.url.address if _is_forwarding() else sending.url.target

    def add_headers(self, request: requests.PreparedRequest, **options: Any) -> None:
        """Add the credentials for an HTTP proxy that gets the request itself."""
        if _is_forwarding() and sending.proxy is not None and sending.proxy.basic:
            request.headers["Proxy-Authorization"] = sending.proxy.basic

    def disown(self) -> None:
        """Close this process's copies of the connections. The process that was forked goes on using them."""
        for connected in self._sockets:
            disown(connected.fileno())

    def close(self) -> None:
        super().close()
        with self._guard:
            pools = list(self._pools.values())
            self._pools.clear()
        for pool in pools:
            pool.close()


def _is_forwarding() -> bool:
    """Return whether an HTTP proxy forwards the request. For https it only opens a tunnel to the server."""
    proxy = sending.proxy
    return proxy is not None and sending.url.origin.scheme == "http" and proxy.origin.scheme in ("http", "https")


class SocketResponse(http.client.HTTPResponse):
    """A response whose head is read by the rules of ``net/heads.py``."""

    fp: io.BufferedReader
    headers: http.client.HTTPMessage
    msg: http.client.HTTPMessage
    will_close: bool

    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = None  # type: ignore[assignment]  # close() would flush it, also if the next lines raise
        self.clock: Clock = sending.clock
        self._is_stalled = sending.is_stalled
        limit = sending.deadline.allow("first_byte", time.monotonic())
        self.clock.start(_STALLED_SECONDS if self._is_stalled else limit)
        self.source: SocketReader = SocketReader(sock, self.clock)
        self.fp = ResponseFile(self.source, READ_SIZE)
        self.chunks: ChunkReader = ChunkReader(self.fp)
        sending.response = self

    def begin(self) -> None:
        file = self.fp
        status, head = read_final_head(file.readline)
        if not status:
            raise http.client.RemoteDisconnected(NO_HEAD)
        lines = head.split(b"\r\n")
        headers = http.client.HTTPMessage()
        for line in lines[1:-2]:
            name, _, value = line.decode("latin-1").partition(": ")
            headers[name] = value
        # http.client accepts at most 100 headers, so it only gets those that tell the length of the body.
        framing = [line for line in lines[1:-2] if line.split(b":", 1)[0].decode("latin-1").lower() in _FRAMING]
        if status in _WITHOUT_BODY:
            framing = [line for line in framing if not line.startswith(b"Transfer-Encoding:")]
        self.fp = io.BytesIO(b"\r\n".join([lines[0], *framing, b"", b""]))  # type: ignore[assignment]  # only read here
        super().begin()
        self.fp = file
        self.headers = self.msg = headers
        self.will_close = self.will_close or self._is_stalled  # the server still waits for the rest of the request
        if status in _WITHOUT_BODY:
            del headers["Transfer-Encoding"]  # urllib3 would read chunks

    def read1(self, n: int = -1) -> bytes:
        """Return the bytes of the body that have arrived, or wait for the next ones; ``b""`` at its end.

        Raises BadHead for a body that is not chunked although its head says so.
        """
        if not self.chunked or self.fp is None:
            return super().read1(n)
        data = self.chunks.read1(n)
        if not data:
            self.close()
        return data


class _Connection(HTTPConnection):
    """A connection that reports its socket as soon as it has one."""

    response_class = SocketResponse
    verify: Verify = True
    sockets: weakref.WeakSet[socket]  # the adapter's set, to which the connection adds its socket
    _is_beginning = False  # whether the next bytes to send are the head of a request
    _head = b""  # that head, until it is sent

    def connect(self) -> None:
        clock = sending.clock
        clock.start(sending.deadline.allow("connect", time.monotonic()))
        try:
            self.sock = open_connection(sending.url, sending.proxy, self.verify, clock, SSLTransport)
        except TimeoutError as error:
            raise ConnectTimedOut from error
        below = socket_below(self.sock)
        self.sockets.add(below)
        sending.watch(below)
        self._limit()

    def request(self, *args: Any, **options: Any) -> None:
        if self.sock is not None:
            sending.watch(socket_below(self.sock))
        self._is_beginning = True
        super().request(*args, **options)
        if self._head:
            self.send(b"")

    def send(self, data: Any) -> None:
        """Send bytes. If the server does not receive them in time, read its response: it may be a refusal.

        The head of a request is sent together with the beginning of its body.
        """
        if self._is_beginning:
            self._is_beginning, self._head = False, data
            return
        if self._head:
            data, self._head = self._head + data, b""
        if self.sock is not None:
            self._limit()
        try:
            super().send(data)
        except TimeoutError:
            sending.is_stalled = True
            raise BrokenPipeError from None  # urllib3 reads the response after this error

    def _limit(self) -> None:
        """Limit the wait for the server to receive the next bytes of the request."""
        set_timeout(self.sock, sending.deadline.allow("first_byte", time.monotonic()))


def new_session(verify: Verify) -> requests.Session:
    """Return a session that uses the connections of this module, and ignores the settings of the environment."""
    session = requests.Session()
    session.trust_env = False
    adapter = Adapter(verify)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session
