"""Where a URL leads: the server it names, the proxy on the way, and the TLS that its owner trusts."""

from __future__ import annotations

import base64
import ipaddress
import os
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

_PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
_SAFE = "!#$%&'()*+,/:;=?@[]~"  # what requests leaves alone, too: "%" for what is quoted already
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Server(NamedTuple):
    """A place to connect to: a site's or a proxy's."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def netloc(self) -> str:
        """Host and port as a URL and a Host header have them: without a port that the scheme implies."""
        return self.authority.removesuffix(f":{_PORTS[self.scheme]}")


class Place(NamedTuple):
    """A URL taken apart: the server, what is asked of it, and who asks."""

    server: Server
    target: str
    username: str
    password: str

    @property
    def basic(self) -> str:
        """The credentials as an Authorization header has them, or ``""`` where the URL has none."""
        if not (self.username or self.password):
            return ""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def place(url: str, schemes: tuple[str, ...] = ("http", "https")) -> Place:
    """Return a URL taken apart, percent-encoded and its host in ASCII. Raises ValueError for what is no such URL."""
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname or ""
        port = _PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
        host = host if host.isascii() else host.encode("idna").decode()
        if "[" in parts.netloc:
            ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError as error:  # a UnicodeError is one
        raise ValueError(f"{url!r} is no URL: {error}") from None
    if parts.scheme not in schemes:
        raise ValueError(f"{url!r} is no URL with one of the schemes {', '.join(schemes)}")
    if not host or not port or any(character <= " " for character in host):
        raise ValueError(f"{url!r} is no URL: it names no host")
    target = quote(parts.path or "/", safe=_SAFE) + (f"?{quote(parts.query, safe=_SAFE)}" if parts.query else "")
    server = Server(parts.scheme, host, port)
    return Place(server, target, unquote(parts.username or ""), unquote(parts.password or ""))


def proxy_place(url: str) -> Place:
    """Return the place of a proxy; without a scheme it is an HTTP proxy. Raises ValueError."""
    try:
        return place(url if "://" in url else f"http://{url}", tuple(_PORTS))
    except ValueError as error:
        raise ValueError(f"no usable proxy: {error}") from None


def environment_proxy(server: Server) -> Place | None:
    """Return the proxy that the environment (or the system) wants for a server, by the rules of requests."""
    if sys.platform not in ("darwin", "win32") and not any(name in os.environ for name in _PROXY_VARIABLES):
        return None  # urllib.request takes as long to load as all the rest
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415  # see above

    if _is_exempt(server):
        return None
    with suppress(OSError, TypeError):  # where the system's own settings make no sense, they say nothing
        if proxy_bypass(server.host):
            return None
    proxies = getproxies()
    url = proxies.get(server.scheme) or proxies.get("all")
    return proxy_place(url) if url else None


def _is_exempt(server: Server) -> bool:
    """Whether ``no_proxy`` names the server: itself, a domain above it, with or without port, or its network."""
    host = server.host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        names = (host, f"{host}:{server.port}")
        for entry in _exemptions():
            domain = entry.lstrip(".").lower()
            if any(name == domain or name.endswith(f".{domain}") for name in names):
                return True
    else:
        for entry in _exemptions():
            with suppress(ValueError):  # a name is no network
                if address in ipaddress.ip_network(entry.strip("[]"), strict=False):
                    return True
    return False


def _exemptions() -> Iterator[str]:
    entries = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return filter(None, entries.replace(" ", "").split(","))


_contexts: dict[bool | str, ssl.SSLContext] = {}
_building = threading.Lock()


def trust(verify: bool | str) -> bool | str:
    """Return what ``verify`` comes to: True is the bundle that requests' variables name, if there is one."""
    if verify is True:
        return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    return verify


def ready_context(verify: bool | str) -> ssl.SSLContext | None:
    """Return the process's TLS context for ``verify``, if it was built before."""
    return _contexts.get(trust(verify))


def build_context(verify: bool | str) -> ssl.SSLContext:
    """Return the process's TLS context for ``verify``, which takes some 30 ms to build the first time."""
    verify = trust(verify)
    with _building:
        if verify not in _contexts:
            _contexts[verify] = _new_context(verify)
        return _contexts[verify]


def _new_context(verify: bool | str) -> ssl.SSLContext:
    if isinstance(verify, str):
        is_directory = os.path.isdir(verify)
        context = ssl.create_default_context(
            capath=verify if is_directory else None, cafile=None if is_directory else verify
        )
    else:
        context = ssl.create_default_context()
    if verify is True and not context.cert_store_stats()["x509_ca"]:
        with suppress(ImportError):  # Python has no certificates of its own on some systems; requests brings these
            import certifi  # noqa: PLC0415  # it is needed here only

            context.load_verify_locations(certifi.where())
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
