"""From a server, and perhaps a proxy on the way, to a connection: name look-up, TCP, SOCKS, CONNECT and TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from itertools import zip_longest
from typing import Any, cast

import h11

from ..net.tls import build_context, ready_context
from ..net.url import Place, Server
from .connection import Connection
from .errors import ConnectError, WaitExpired

_NEVER = 86_400.0  # seconds: for limits that cannot be left out, where our own holds
_HEAD_LIMIT = 65_536  # bytes in a proxy's answer
_HEAD_START = 0.25  # seconds that one address of a server is tried before the next

AddressInfo = tuple[int, int, int, str, Any]


async def connect_to(
    connection: Connection,
    server: Server,
    proxy: Place | None,
    verify: bool | str | ssl.SSLContext,
    seconds: float | None,
) -> None:
    """Connect to a server. Raises ConnectError and WaitExpired; whatever it raises, the connection is closed then."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            await _dial(connection, server, proxy, verify)
    except BaseException as error:
        connection.abort()
        if limit.expired() and isinstance(error, TimeoutError):
            raise WaitExpired("connect") from error
        if isinstance(error, OSError):
            way = f" through the proxy {proxy.server.authority}" if proxy else ""
            is_final = isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError)
            message = f"no connection to {server.authority}{way}: {error}"
            raise ConnectError(message, retryable=not is_final) from error
        raise


async def _dial(
    connection: Connection, server: Server, proxy: Place | None, verify: bool | str | ssl.SSLContext
) -> None:
    schemes = (server.scheme, proxy.server.scheme if proxy else "")
    tls, proxy_tls = [await _context(verify) if scheme == "https" else None for scheme in schemes]
    if proxy is None:
        await _open(connection, server, tls)
    elif proxy.server.scheme.startswith("socks"):
        await _open(connection, server, tls, await _open_socks(server, proxy))
    else:
        await _open(connection, proxy.server, proxy_tls)
        if tls is not None:
            await _tunnel(connection, server, proxy)
            await _start_tls(connection, server, tls)


async def _start_tls(connection: Connection, server: Server, tls: ssl.SSLContext) -> None:
    loop = asyncio.get_running_loop()
    try:
        transport = await loop.start_tls(
            connection.transport, connection, tls, server_hostname=server.host, ssl_handshake_timeout=_NEVER
        )
    except BaseException:
        connection.abort()
        connection.connection_lost(None)  # asyncio tells nobody about the end of a handshake that it did not finish
        raise
    connection.transport = cast(asyncio.Transport, transport)


async def _context(verify: bool | str | ssl.SSLContext) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        return verify
    context = ready_context(verify)
    return await asyncio.to_thread(build_context, verify) if context is None else context


async def _open(
    connection: Connection, server: Server, tls: ssl.SSLContext | None, sock: socket.socket | None = None
) -> None:
    """Connect to a server, or through a socket that leads there."""
    await asyncio.get_running_loop().create_connection(
        lambda: connection,
        sock=await _open_tcp(server) if sock is None else sock,
        ssl=tls,
        server_hostname=server.host if tls else None,
        ssl_handshake_timeout=_NEVER if tls else None,
    )


async def _open_tcp(server: Server) -> socket.socket:
    """Return a socket that is connected to a server, at whichever of its addresses answers first (RFC 8305).

    ``loop.create_connection`` has this too, but up to Python 3.12.7 it loses a socket when it is cancelled.
    """
    where = server.host, server.port
    try:
        found = socket.getaddrinfo(*where, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:  # it is a name
        found = await asyncio.get_running_loop().getaddrinfo(*where, type=socket.SOCK_STREAM)
    if len(found) == 1:
        return await _attempt(found[0])
    families: dict[int, list[AddressInfo]] = {}
    for info in found:
        families.setdefault(info[0], []).append(info)
    return await _race([info for row in zip_longest(*families.values()) for info in row if info])


async def _race(waiting: list[AddressInfo]) -> socket.socket:
    """Try the addresses, each with a head start, and close all sockets but the first that is connected."""
    tasks: list[asyncio.Task[socket.socket]] = []
    running: set[asyncio.Task[socket.socket]] = set()
    failures: list[str] = []
    winner = None
    try:
        while waiting or running:
            if waiting:
                tasks.append(asyncio.create_task(_attempt(waiting.pop(0))))
                running.add(tasks[-1])
            limit = _HEAD_START if waiting else None
            done, running = await asyncio.wait(running, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if (failure := task.exception()) is None:
                    winner = task
                    return task.result()
                failures.append(str(failure))
        raise OSError("; ".join(failures))
    finally:
        for task in tasks:
            if task is not winner:
                task.cancel()
                task.add_done_callback(_discard)  # not awaited: who cancels us now would lose the winner


def _discard(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _attempt(info: AddressInfo) -> socket.socket:
    sock = socket.socket(*info[:3])
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, info[4])
    except BaseException:
        sock.close()
        raise
    return sock


async def _tunnel(connection: Connection, server: Server, proxy: Place) -> None:
    """Ask an HTTP proxy for a way to a server. Raises ConnectError."""
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_LIMIT)
    headers = {"Host": server.authority} | ({"Proxy-Authorization": proxy.basic} if proxy.basic else {})
    connection.write(http.send(h11.Request(method="CONNECT", target=server.authority, headers=list(headers.items()))))
    try:
        while not isinstance(event := http.next_event(), h11.Response):
            if data := connection.take():
                http.receive_data(data)
            elif connection.is_over:
                raise ConnectError(f"the proxy {proxy.server.authority} closed the connection")
            elif event is h11.NEED_DATA:
                await connection.wait("connect", None)
    except h11.RemoteProtocolError as error:
        raise ConnectError(f"the proxy {proxy.server.authority} does not speak HTTP: {error}") from None
    if not 200 <= event.status_code < 300:
        answer = f"{event.status_code} {event.reason.decode('latin-1')}".rstrip()
        message = f"the proxy {proxy.server.authority} refused the way to {server.authority}: {answer}"
        raise ConnectError(message, retryable=event.status_code >= 500)


def require_socks() -> None:
    try:
        import python_socks.async_.asyncio  # noqa: F401, PLC0415  # it is an extra
    except ImportError:
        raise ValueError("a SOCKS proxy needs python-socks: pip install 'chatgpt4online[socks]'") from None


async def _open_socks(server: Server, proxy: Place) -> socket.socket:
    """Return a socket that leads to a server through a SOCKS proxy. Raises ConnectError."""
    require_socks()
    from python_socks import ProxyConnectionError, ProxyError, ProxyType  # noqa: PLC0415
    from python_socks.async_.asyncio import Proxy  # noqa: PLC0415

    scheme = proxy.server.scheme
    kind = ProxyType.SOCKS4 if scheme.startswith("socks4") else ProxyType.SOCKS5
    resolves = scheme in ("socks4a", "socks5h")
    way = Proxy(kind, proxy.server.host, proxy.server.port, proxy.username or None, proxy.password or None, resolves)
    try:
        return await way.connect(server.host, server.port, timeout=_NEVER)
    except (ProxyError, ProxyConnectionError) as error:
        message = f"no connection to {server.authority} through the proxy {proxy.server.authority}: {error}"
        raise ConnectError(message) from error
