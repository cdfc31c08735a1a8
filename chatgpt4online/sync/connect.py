"""Connections to a server, with or without a proxy: name look-up, TCP, SOCKS, CONNECT and TLS."""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..net.failures import explain_os_error, no_connection
from ..net.heads import BadHead, read_final_head
from ..net.proxies import socks_client
from ..net.tls import build_context, explain_tls_failure
from ..net.url import URL, Origin
from ..protocol.parsing.errors import ConnectionFailed

Verify = bool | str | ssl.SSLContext


class Clock:
    """The limit of a wait, which may consist of several waits for a socket.

    ``limit`` is in seconds, or None for no limit. ``end`` is a time as ``time.monotonic()`` counts. With None, the wait
    begins with the next call of :meth:`left`.
    """

    def __init__(self) -> None:
        self.limit: float | None = None
        self.end: float | None = None

    def start(self, seconds: float | None) -> None:
        """Begin a wait of at most ``seconds``. None means no limit."""
        self.limit, self.end = seconds, None
        self.left()

    def left(self) -> float | None:
        """Return how many seconds are left, or None for no limit. Raises TimeoutError when no time is left."""
        if self.limit is None:
            return None
        if self.end is None:
            self.end = time.monotonic() + self.limit
            return self.limit
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class SocketReader(io.RawIOBase):
    """A raw file that reads from a socket. A clock limits each wait."""

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        self._socket = sock
        self._file: Any = sock.makefile("rb", buffering=0)  # the socket stays open until this file is closed too
        self._clock = clock
        self._is_stopped = False
        self.has_begun: bool = False
        """Whether any byte has arrived."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._is_stopped:
            return 0
        set_timeout(self._socket, self._clock.left())
        size = self._socket.recv_into(buffer)
        if size:
            self.has_begun = True
        return size

    def close(self) -> None:
        self._file.close()
        super().close()

    def stop(self) -> None:
        """Return no more bytes from the socket: the file ends after the bytes that are read already."""
        self._is_stopped = True

    def shut_down(self) -> None:
        """End the connection, so that no other request uses it."""
        with suppress(OSError):
            socket_below(self._socket).shutdown(socket.SHUT_RDWR)


class ResponseFile(io.BufferedReader):
    """A buffered file with the bytes of one response.

    If bytes are left when it is closed, they belong to no response. The connection is then shut down.
    """

    def __init__(self, source: SocketReader, size: int) -> None:
        super().__init__(source, size)
        self._source = source

    def close(self) -> None:
        if not self.closed:
            self._source.stop()
            if self.peek(1):
                self._source.shut_down()
        super().close()


def has_expired(error: BaseException) -> bool:
    """Return whether a limit of this package expired. The timeouts of the operating system have an ``errno``."""
    return isinstance(error, TimeoutError) and error.errno is None


def set_timeout(sock: socket.socket, seconds: float | None) -> None:
    """Limit the waits for a socket, with a system call only if they had another limit before."""
    if seconds != sock.gettimeout():
        sock.settimeout(seconds)


def socket_below(sock: Any) -> socket.socket:
    """Return the real socket of a connection. With TLS inside TLS, ``sock`` is only an object around it."""
    return sock if isinstance(sock, socket.socket) else sock.socket


def open_connection(
    url: URL, proxy: URL | None, verify: Verify, clock: Clock, wrap_again: Callable[..., Any]
) -> socket.socket:
    """Return a socket that is connected to the server of ``url``, with TLS for https.

    ``wrap_again`` makes a TLS connection inside another one. It is called with a socket, a context and
    ``server_hostname``. Raises ConnectionFailed, TimeoutError when the clock has expired, and ValueError for a proxy
    that cannot be used.
    """
    scheme = proxy.origin.scheme if proxy is not None else ""
    context = _context(verify) if "https" in (scheme, url.origin.scheme) else None
    try:
        if proxy is not None and scheme.startswith("socks"):
            sock = _open_socks(url, proxy, clock)
        else:
            sock = _open_tcp(proxy or url, clock)
    except OSError as error:
        if has_expired(error):
            raise
        raise ConnectionFailed(no_connection(url, proxy, explain_os_error(error))) from error
    try:
        if scheme == "https":
            sock = _wrap(sock, proxy.origin, context, clock, None)  # type: ignore[union-attr]  # it has a scheme
        if url.origin.scheme == "https":
            if proxy is not None and scheme in ("http", "https"):
                _tunnel(sock, url, proxy, clock)
            sock = _wrap(sock, url.origin, context, clock, wrap_again if scheme == "https" else None)
    except BaseException:
        sock.close()
        raise
    return sock


def _open_tcp(url: URL, clock: Clock) -> socket.socket:
    """Return a socket that is connected to a server, at the first of its IP addresses that accepts the connection.

    Raises OSError with the reason for each address, and TimeoutError when the clock has expired.
    """
    found = socket.getaddrinfo(url.resolved_host, url.origin.port, type=socket.SOCK_STREAM)
    failures: dict[str, OSError] = {}
    for others, (family, kind, protocol, _, address) in zip(range(len(found) - 1, -1, -1), found, strict=True):
        sock = socket.socket(family, kind, protocol)
        try:
            left = clock.left()
            # Each address gets an equal share of the time that is left, so that a silent one does not use all of it.
            sock.settimeout(None if left is None else left / (others + 1))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            sock.close()
            if has_expired(error) and not others:
                raise
            failures[str(address[0])] = error
        except BaseException:
            sock.close()
            raise
    if len(failures) == 1:
        raise OSError(explain_os_error(*failures.values()))
    raise OSError("; ".join(f"{address}: {explain_os_error(error)}" for address, error in failures.items()))


def _open_socks(url: URL, proxy: URL, clock: Clock) -> socket.socket:
    """Return a socket that is connected to a server through a SOCKS proxy. Raises ConnectionFailed or TimeoutError."""
    from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError  # noqa: PLC0415  # it is an extra
    from python_socks.sync import Proxy  # noqa: PLC0415  # an optional dependency

    client = socks_client(Proxy, proxy)
    try:
        sock: socket.socket = client.connect(url.origin.host, url.origin.port, timeout=clock.left())
    except ProxyTimeoutError as error:
        raise TimeoutError from error
    except (ProxyError, ProxyConnectionError) as error:
        reason = explain_os_error(error) if isinstance(error, OSError) else str(error)
        raise ConnectionFailed(no_connection(url, proxy, reason)) from error
    return sock


def _tunnel(sock: socket.socket, url: URL, proxy: URL, clock: Clock) -> None:
    """Ask an HTTP proxy for a tunnel to a server. Raises ConnectionFailed or TimeoutError."""
    name, authority = proxy.origin.authority, url.origin.authority
    credentials = f"Proxy-Authorization: {proxy.basic}\r\n" if proxy.basic else ""
    try:
        sock.settimeout(clock.left())
        sock.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{credentials}\r\n".encode("ascii"))
        with SocketReader(sock, clock) as reader:  # without a buffer, since the bytes after the head are the server's
            status, head = read_final_head(reader.readline)
    except BadHead as error:
        raise ConnectionFailed(f"the proxy {name} did not answer in HTTP: {error}") from None
    except TimeoutError:
        raise
    except OSError as error:
        raise ConnectionFailed(f"the proxy {name} closed the connection: {explain_os_error(error)}") from error
    if not head:
        raise ConnectionFailed(f"the proxy {name} closed the connection")
    if not 200 <= status < 300:
        answer = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")[2].strip()
        failure = ConnectionFailed(f"the proxy {name} refused the connection to {authority}: {answer}")
        failure.retryable = status >= 500
        raise failure


def _context(verify: Verify) -> ssl.SSLContext:
    try:
        return build_context(verify)
    except ValueError as error:
        failure = ConnectionFailed(str(error))
        failure.retryable = False
        raise failure from None


def _wrap(
    sock: socket.socket, origin: Origin, context: Any, clock: Clock, wrap_again: Callable[..., Any] | None
) -> Any:
    """Return the socket with TLS on it. Raises ConnectionFailed, with a reason in plain words, or TimeoutError."""
    try:
        sock.settimeout(clock.left())
        if wrap_again is not None:
            return wrap_again(sock, context, server_hostname=origin.host)
        return context.wrap_socket(sock, server_hostname=origin.host)
    except TimeoutError:
        raise
    except (ssl.SSLError, ConnectionError) as error:
        failure = ConnectionFailed(
            f"no connection to {origin.authority}: {explain_tls_failure(error, origin.authority)}"
        )
        failure.retryable = not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError)
        raise failure from error
