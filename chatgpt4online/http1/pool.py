"""Send requests to any server, and keep the connections for later requests."""

from __future__ import annotations

import asyncio
import functools
import warnings
from collections.abc import AsyncIterable, Callable, Mapping

import h11

from ..net.forks import renew_in_child
from ..net.heads import check_header
from ..net.proxies import environment_proxy, parse_proxy, require_socks
from ..net.tls import Verify, check_verify
from ..net.url import URL, Origin, parse_url
from .connect import connect_to
from .connection import BUFFER_SIZE, Connection
from .response import Response

_CLOSING_SECONDS = 1.0  # aclose() waits at most this long; sockets close at once unless the event loop is busy
_CLOSED = "this client is closed; make a new one"

_Server = tuple[Origin, str]  # with the name for the resolver, since one address in two zones means two servers


class Pool:
    """Sends requests and keeps the connections open. A pool belongs to the event loop that first uses it.

    ``proxy`` is a URL. Without it, the proxy of the environment is used. ``verify`` is True, False, the path of a file
    or directory of certificates, or a context. A connection is closed after ``idle_seconds`` without a request. Raises
    ValueError for values that cannot be used.
    """

    def __init__(self, *, proxy: str | None = None, verify: Verify = True, idle_seconds: float = 30.0) -> None:
        self._live: set[Connection] = set()
        self._idle: dict[_Server, dict[Connection, None]] = {}
        self._routes: dict[Origin, URL | None] = {}
        self._proxy = None if proxy is None else parse_proxy(proxy)
        self._verify = check_verify(verify)
        self._idle_seconds = idle_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        if self._proxy is not None and self._proxy.origin.scheme.startswith("socks"):
            require_socks()
        renew_in_child(self)

    def __del__(self) -> None:
        if self._live:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)

    def renew(self) -> None:
        """Forget all connections, in a process that was forked. New connections may belong to another loop.

        The copies of the sockets are replaced by the null device. The event loop of the child must not close them: both
        loops share the list of watched sockets in the kernel, so the parent would not see events of its sockets again.
        """
        for connection in self._live:
            connection.disown()
        self._live, self._idle, self._loop = set(), {}, None

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes] = b"",
        *,
        connect: float | None,
        first_byte: float | None,
        on_connected: Callable[[], object] | None = None,
    ) -> Response:
        """Return the response to a request as soon as its head has arrived.

        ``connect`` limits the time to connect, and ``first_byte`` the time from the end of the request to the end of
        the head, both in seconds. ``on_connected`` is called before the request is sent, on a new or a kept connection.
        A request is sent again only if no byte of it was sent, because a kept connection was closed already. If the
        peer closes the connection later, Disconnected is raised, since the peer may have processed the request.

        Raises HttpError, ValueError for a request that cannot be sent, and RuntimeError on another event loop or if the
        pool is closed.
        """
        self._check()
        target = parse_url(url)
        server = target.origin, target.resolved_host
        proxy = self._route(target.origin)
        request = _request(method, target, proxy, headers, body)
        while True:
            connection = await self._kept(server)
            is_fresh = connection is None
            if connection is None:
                connection = await self._connect(target, proxy, connect)
            if on_connected is not None:
                on_connected()
            response = Response(connection, functools.partial(self._keep, server))
            try:
                if response.start(request, body) or is_fresh:
                    await response.receive_head(body, first_byte)
                    return response
            except h11.LocalProtocolError as error:
                response.close()
                raise ValueError(f"the request cannot be sent: {error}") from None
            except BaseException:
                response.close()
                raise

    def close(self) -> None:
        """Close all connections at once, also those in use. It may be called twice, and from any thread."""
        self._closed = True
        if self._loop is None or self._loop.is_closed():  # a closed loop has closed its connections
            return
        if self._loop.is_running() and not self._is_here():
            self._loop.call_soon_threadsafe(self.close)
            return
        for connection in list(self._live):
            connection.abort()

    async def aclose(self) -> None:
        """Close all connections, and wait until the event loop has closed their sockets."""
        ends = [connection.closed for connection in self._live]
        self.close()
        if ends and self._is_here():
            await asyncio.wait(ends, timeout=_CLOSING_SECONDS)

    @functools.cached_property
    def _buffer(self) -> memoryview:
        """The memory that all connections read into. A client that was never used has none."""
        return memoryview(bytearray(BUFFER_SIZE))

    def _is_here(self) -> bool:
        """Return whether the caller runs on the loop of the connections."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise RuntimeError("this client belongs to another event loop; make one per loop")
        if self._closed:
            raise RuntimeError(_CLOSED)

    def _route(self, origin: Origin) -> URL | None:
        if self._proxy is not None:
            return self._proxy
        if origin not in self._routes:
            self._routes[origin] = environment_proxy(origin)
        return self._routes[origin]

    async def _kept(self, server: _Server) -> Connection | None:
        idle = self._idle.get(server)
        while idle:
            connection = idle.popitem()[0]
            connection.acquire()
            if connection.has_news:
                try:
                    for _ in range(2):  # the loop needs two turns to notice that the peer closed the connection
                        await asyncio.sleep(0)
                except BaseException:
                    connection.abort()
                    raise
            if connection.is_reusable:
                return connection
            connection.abort()
        return None

    def _keep(self, server: _Server, connection: Connection) -> None:
        if self._closed:
            connection.abort()
        else:
            connection.release(self._idle.setdefault(server, {}), self._idle_seconds)

    async def _connect(self, url: URL, proxy: URL | None, seconds: float | None) -> Connection:
        connection = Connection(self._live, self._buffer)
        await connect_to(connection, url, proxy, self._verify, seconds)
        if self._closed:
            connection.abort()
            raise RuntimeError(_CLOSED)
        return connection


def _request(
    method: str, url: URL, proxy: URL | None, headers: Mapping[str, str], body: bytes | AsyncIterable[bytes]
) -> h11.Request:
    """Return the request for h11, with the headers for its framing. Raises ValueError."""
    origin, path = url.origin, url.target
    fields = {"Host": origin.netloc, "Accept-Encoding": "identity", "Authorization": url.basic}
    given = {name.lower() for name in headers}
    if not isinstance(body, bytes):
        fields["Transfer-Encoding"] = "" if "content-length" in given else "chunked"
    elif body or method in ("POST", "PUT", "PATCH"):
        fields["Content-Length"] = str(len(body))
    if proxy is not None and origin.scheme == "http" and proxy.origin.scheme in ("http", "https"):
        path = f"http://{origin.netloc}{path}"
        fields["Proxy-Authorization"] = proxy.basic
    fields = {name: value for name, value in fields.items() if value and name.lower() not in given} | dict(headers)
    try:
        for name, value in headers.items():
            check_header(name, value)
        return h11.Request(
            method=method,
            target=path,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()],
        )
    except (h11.LocalProtocolError, ValueError) as error:
        raise ValueError(f"the request cannot be sent: {error}") from None
