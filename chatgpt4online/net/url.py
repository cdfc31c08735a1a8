"""Addresses: what a URL names, whether two are of one origin, and where a reference leads."""

from __future__ import annotations

import base64
import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
_SAFE = "!#$%&'()*+,/:;=?@[]~"  # what requests leaves alone, too: "%" for what is quoted already


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
        return self.authority.removesuffix(f":{PORTS[self.scheme]}")


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
        port = PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
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


def origin(url: str) -> tuple[str, str, int | None]:
    """Return the scheme, host and port of an address; nonces and credentials stay within one origin."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def absolute(url: str, location: str) -> str | None:
    """Return where ``location`` leads from ``url``, or None when that is no web address or gives up TLS."""
    try:
        target = urljoin(url, location.strip())
    except ValueError:
        return None
    if not is_web_address(target) or (urlsplit(url).scheme, urlsplit(target).scheme) == ("https", "http"):
        return None
    return target


def is_web_address(url: str) -> bool:
    """Whether ``url`` is an address that can be asked: http or https, with a host and perhaps a port."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        named = re.fullmatch(r"[\w.:%-]+", host) and host.encode("idna")
        return parts.scheme in ("http", "https") and bool(named) and parts.port != 0  # reading it checks it
    except ValueError:
        return False
