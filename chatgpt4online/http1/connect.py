"""Connect to a server, directly or through a proxy: name look-up, TCP, SOCKS, CONNECT and TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import zip_longest
from typing import Any, cast

import h11

from ..net.failures import explain_os_error, no_connection
from ..net.proxies import socks_client
from ..net.tls import build_context, explain_tls_failure, not_tls, ready_context
from ..net.url import URL, Origin
from .connection import Connection
from .errors import BadResponse, ConnectError, WaitExpired
from .response import HeadReader

_NEVER = 86_400.0  # seconds: for time limits that other libraries demand; connect_to has the real one
_HEAD_START = 0.25  # seconds between the tries of two addresses of a server (RFC 8305, section 8)

AddressInfo = tuple[int, int, int, str, Any]


async def connect_to(
    connection: Connection, url: URL, proxy: URL | None, verify: bool | str | ssl.SSLContext, seconds: float | None
) -> None:
    """Connect to the server of a URL, within ``seconds``. Any error closes the connection.

    Raises ConnectError and WaitExpired.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            await _establish(connection, url, proxy, verify)
    except BaseException as error:
        connection.abort()
        if limit.expired() and isinstance(error, TimeoutError):
            raise WaitExpired("connect") from error
        if isinstance(error, OSError):
            raise ConnectError(no_connection(url, proxy, explain_os_error(error))) from error
        raise


async def _establish(connection: Connection, url: URL, proxy: URL | None, verify: bool | str | ssl.SSLContext) -> None:
    schemes = (url.origin.scheme, proxy.origin.scheme if proxy else "")
    tls, proxy_tls = [await _context(verify) if scheme == "https" else None for scheme in schemes]
    if proxy is None:
        await _open(connection, url, tls)
    elif proxy.origin.scheme.startswith("socks"):
        await _open(connection, url, tls, await _open_socks(url, proxy))
    else:
        await _open(connection, proxy, proxy_tls)
        if tls is not None:
            await _tunnel(connection, url, proxy)
            await _start_tls(connection, url.origin, tls)


async def _context(verify: bool | str | ssl.SSLContext) -> ssl.SSLContext:
    try:
        context = ready_context(verify)
        return await asyncio.to_thread(build_context, verify) if context is None else context
    except ValueError as error:
        raise ConnectError(str(error), retryable=False) from None


async def _start_tls(connection: Connection, origin: Origin, tls: ssl.SSLContext) -> None:
    loop = asyncio.get_running_loop()
    try:
        with _explaining(origin):
            transport = await loop.start_tls(
                connection.transport, connection, tls, server_hostname=origin.host, ssl_handshake_timeout=_NEVER
            )
    except BaseException:
        connection.abort()
        connection.connection_lost(None)  # asyncio does not call it for a handshake that did not finish
        raise
    connection.transport = cast(asyncio.Transport, transport)


@contextmanager
def _explaining(origin: Origin) -> Iterator[None]:
    """Replace the error of a TLS handshake by a ConnectError with the reason."""
    try:
        yield
    except (ssl.SSLError, ConnectionError) as error:
        is_final = isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError)
        message = f"no connection to {origin.authority}: {explain_tls_failure(error, origin.authority)}"
        raise ConnectError(message, retryable=not is_final) from error


async def _open(
    connection: Connection, url: URL, tls: ssl.SSLContext | None, sock: socket.socket | None = None
) -> None:
    """Connect to the server of a URL, or use a socket that is connected to it already."""
    sock = await _open_tcp(url) if sock is None else sock
    with _explaining(url.origin) if tls else nullcontext():
        await asyncio.get_running_loop().create_connection(
            lambda: connection,
            sock=sock,
            ssl=tls,
            server_hostname=url.origin.host if tls else None,
            ssl_handshake_timeout=_NEVER if tls else None,
        )


async def _open_tcp(url: URL) -> socket.socket:
    """Return a socket that is connected to the first address of a server that answers (RFC 8305).

    ``loop.create_connection`` can do the same, but up to Python 3.12.7 it loses a socket when it is cancelled.
    """
    where = url.resolved_host, url.origin.port
    try:
        found = socket.getaddrinfo(*where, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:  # the host is a name, not an address
        found = await asyncio.get_running_loop().getaddrinfo(*where, type=socket.SOCK_STREAM)
    if len(found) == 1:
        return await _attempt(found[0])
    families: dict[int, list[AddressInfo]] = {}
    for info in found:
        families.setdefault(info[0], []).append(info)
    return await _race([info for row in zip_longest(*families.values()) for info in row if info])


async def _race(waiting: list[AddressInfo]) -> socket.socket:
    """Return the first socket that is connected, and close all others. Each address has a head start."""
    tasks: dict[asyncio.Task[socket.socket], str] = {}
    running: set[asyncio.Task[socket.socket]] = set()
    failures: list[str] = []
    winner = None
    try:
        while waiting or running:
            if waiting:
                info = waiting.pop(0)
                task = asyncio.create_task(_attempt(info))
                tasks[task] = info[4][0]
                running.add(task)
            limit = _HEAD_START if waiting else None
            done, running = await asyncio.wait(running, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if (failure := task.exception()) is None:
                    winner = task
                    return task.result()
                reason = explain_os_error(failure) if isinstance(failure, OSError) else str(failure)
                failures.append(f"{tasks[task]}: {reason}")
        raise OSError("; ".join(failures))
    finally:
        for task in tasks:
            if task is not winner:
                task.cancel()
                task.add_done_callback(_discard)  # an await here could be cancelled, which would lose the winner


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


async def _tunnel(connection: Connection, url: URL, proxy: URL) -> None:
    """Ask an HTTP proxy for a tunnel to a server with TLS. Raises ConnectError."""
    name, origin = proxy.origin.authority, url.origin
    http = h11.Connection(h11.CLIENT)
    headers = {"Host": origin.authority} | ({"Proxy-Authorization": proxy.basic} if proxy.basic else {})
    connection.write(http.send(h11.Request(method="CONNECT", target=origin.authority, headers=list(headers.items()))))
    connection.start_clock("connect", None)
    reader = HeadReader(http)
    try:
        while (head := reader.receive(connection.take())) is None:
            if connection.is_over:
                raise ConnectError(f"the proxy {name} closed the connection")
            await connection.wait()
    except BadResponse as error:
        raise ConnectError(f"the proxy {name} did not answer in HTTP: {error}") from None
    if not 200 <= head.status_code < 300:
        answer = f"{head.status_code} {head.reason.decode('latin-1')}".rstrip()
        message = f"the proxy {name} refused the connection to {origin.authority}: {answer}"
        raise ConnectError(message, retryable=head.status_code >= 500)
    if reader.unread:  # a server with TLS sends nothing before the client
        raise ConnectError(no_connection(url, None, not_tls(origin.authority)), retryable=False)


async def _open_socks(url: URL, proxy: URL) -> socket.socket:
    """Return a socket that is connected to a server through a SOCKS proxy. Raises ConnectError."""
    from python_socks import ProxyConnectionError, ProxyError  # noqa: PLC0415  # an optional dependency
    from python_socks.async_.asyncio import Proxy  # noqa: PLC0415  # an optional dependency

    client = socks_client(Proxy, proxy)
    try:
        return await client.connect(url.origin.host, url.origin.port, timeout=_NEVER)
    except (ProxyError, ProxyConnectionError) as error:
        reason = explain_os_error(error) if isinstance(error, OSError) else str(error)
        raise ConnectError(no_connection(url, proxy, reason)) from error
