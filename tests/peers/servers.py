"""Servers for these situations: proxies, TLS, IPv6, and answers that depend on the request."""

from __future__ import annotations

import functools
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ..support.behaviours import HELLO, streamed
from ..support.server import Peer, Received, Server, response, session_response
from .situation import Place

Script = Callable[[Peer], None]
HTTPS_SITE = "https://site.example"


def answer(request: Received) -> bytes:
    """Return a nonce, or the answer to a question."""
    return session_response() if request.route == "start_session" else streamed(*HELLO)


def answering(
    accepts: Callable[[Received], bool] = lambda request: True,
    otherwise: Callable[[Received], bytes] = lambda request: response(b"", "400 Bad Request"),
) -> Script:
    """Return a script that answers accepted requests, and sends ``otherwise`` for others."""

    def script(peer: Peer) -> None:
        for request in peer.requests():
            peer.send(answer(request) if accepts(request) else otherwise(request))

    return script


def for_host(host: str) -> Script:
    """Return a script that answers only requests with this Host."""
    return answering(lambda request: request.headers["host"] == host)


def for_credentials(credentials: str, header: str = "proxy-authorization") -> Script:
    """Return the script of a proxy (or a site) that accepts only ``name:password`` in UTF-8."""
    expected = f"Basic {b64encode(credentials.encode()).decode()}"
    return answering(
        lambda request: request.headers.get(header) == expected,
        lambda request: response(b"", "407 Proxy Authentication Required", Proxy_Authenticate='Basic realm="x"'),
    )


class IPv6Server(Server):
    """A server on the loopback address of IPv6."""

    def __enter__(self) -> Server:
        self._listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    @property
    def url(self) -> str:
        return f"http://[::1]:{self.port}"


@functools.cache
def authority(name: str) -> Any:
    """Return the authority of this name, which no system trusts. All servers here use "ours"."""
    import trustme

    return trustme.CA()


@functools.cache
def server_context() -> ssl.SSLContext:
    """Return the TLS context of the site, with a certificate of our authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority("ours").issue_cert("127.0.0.1", "site.example").configure_cert(context)
    return context


def context_of_tls_1_2() -> ssl.SSLContext:
    """Return the TLS context of a site with an old OpenSSL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    authority("ours").issue_cert("127.0.0.1").configure_cert(context)
    return context


def pinned(name: str) -> ssl.SSLContext:
    """Return a client's context that trusts only one authority."""
    return ssl.create_default_context(cadata=authority(name).cert_pem.bytes().decode())


@contextmanager
def secure(
    script: Script,
    trust: Callable[[str], Mapping[str, Any]] = lambda bundle: {"verify": bundle},
    server_tls: Callable[[], ssl.SSLContext] = server_context,
) -> Iterator[Place]:
    """Start a site over TLS; ``trust`` gives the fields of the place for the path of our authority's certificate."""
    with authority("ours").cert_pem.tempfile() as bundle, Server(script, tls=server_tls()) as server:
        yield Place(server.url, **trust(bundle))


@contextmanager
def tunnelled(reply: bytes, by: str = "") -> Iterator[Place]:
    """Start a proxy that answers CONNECT with these bytes, and plays the site behind it over TLS.

    ``by`` is the environment variable that names the proxy; without it, the caller passes the address.
    """

    def script(peer: Peer) -> None:
        if next(peer.requests()).method == "CONNECT":
            peer.send(reply)
            with server_context().wrap_socket(peer.socket, server_side=True) as inner:
                answering()(Peer(inner, peer.server))

    with authority("ours").cert_pem.tempfile() as bundle, Server(script) as server:
        named: dict[str, Any] = {"environment": {by: server.url}} if by else {"proxy": server.url}
        yield Place(HTTPS_SITE, verify=bundle, **named)


def proxied(
    script: Callable[[], Script],
    address: str = "http://127.0.0.1:{port}",
    site: str = "http://site.example",
    by: str = "",
) -> Callable[[], AbstractContextManager[Place]]:
    """Return a function that starts a proxy for sites without TLS. The proxy plays the site too.

    ``by`` is the environment variable that names the proxy; without it, the caller passes the address.
    """

    @contextmanager
    def opened() -> Iterator[Place]:
        with Server(script()) as server:
            proxy = address.format(port=server.port)
            yield Place(site, environment={by: proxy}) if by else Place(site, proxy=proxy)

    return opened
