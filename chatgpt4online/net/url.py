"""Web addresses: parse an address, compare the origins of two, and resolve a reference."""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

PORTS = {"http": 80, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
_WEB = ("http", "https")
_SAFE = "!#$%&'()*+,/:;=?@[]~"  # the set of requests; it has "%" because an address may be percent-encoded already
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")  # RFC 1035, and like browsers also underscores, and hyphens at the ends
_ZONE = re.compile(r"[A-Za-z0-9._~-]+")  # RFC 6874, without percent-encoding
_LONGEST_KEPT = 1_000  # characters: a site could fill the memory by long addresses of redirects
_HOST_LIMIT = 253  # characters, RFC 1035


class Origin(NamedTuple):
    """The server of an address, in one normal form. Nonces and credentials are sent only within one origin.

    ``host`` is ASCII in lower case, without a final dot. An IPv6 address has no brackets and no zone.
    """

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port, with an IPv6 address in brackets: ``"[::1]:8080"``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def netloc(self) -> str:
        """Host and port for a Host header, without the default port of the scheme."""
        return self.authority.removesuffix(f":{PORTS[self.scheme]}")


@dataclass(frozen=True, slots=True)
class URL:
    """An address, split into the server, the target of the request, and the credentials.

    ``resolved_host`` is the name for the resolver and the operating system. It differs from ``origin.host`` if the
    address has a zone (``fe80::1%eth0``) or a final dot, which are never sent.
    """

    origin: Origin
    resolved_host: str
    target: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        """The address in ASCII, without credentials, zone and fragment."""
        return f"{self.origin.scheme}://{self.origin.netloc}{self.target}"

    @property
    def basic(self) -> str:
        """The credentials in the form of an Authorization header, or ``""`` if the address has none."""
        if not (self.username or self.password):
            return ""
        credentials = f"{self.username}:{self.password}".encode("utf-8", "surrogateescape")
        return "Basic " + base64.b64encode(credentials).decode()


def parse_url(url: str, schemes: tuple[str, ...] = _WEB) -> URL:
    """Return the URL of an address, percent-encoded, with its host in ASCII by IDNA 2008.

    White space around the address is ignored. IPv4 addresses in short forms ("127.1") stay unchanged. Raises ValueError
    unless the address is absolute and has one of ``schemes``. The message never shows a password.
    """
    return _parse_kept(url, schemes) if len(url) <= _LONGEST_KEPT else _parse(url, schemes)


def _parse(url: str, schemes: tuple[str, ...]) -> URL:
    try:
        parts = urlsplit(url.strip())
        name = parts.hostname or ""
    except ValueError:  # the message of urlsplit may show the password
        raise ValueError(f"{redacted(url)!r} is not a URL: its host cannot be read") from None
    if parts.scheme not in schemes:
        raise ValueError(f"{redacted(url)!r} is not a URL with one of the schemes {', '.join(schemes)}")
    try:
        port = PORTS[parts.scheme] if parts.port is None else parts.port
    except ValueError:
        port = 0
    if not port:
        raise ValueError(f"{redacted(url)!r} is not a URL: its port is not a number from 1 to 65535")
    try:
        host, resolved_host = _read_host(name, "[" in parts.netloc.rpartition("@")[2])
        target = quote(parts.path or "/", safe=_SAFE) + (f"?{quote(parts.query, safe=_SAFE)}" if parts.query else "")
    except UnicodeEncodeError:
        raise ValueError(f"{redacted(url)!r} is not a URL: it contains a lone surrogate") from None
    except ValueError as error:
        shown = redacted(url)
        # A host before an "@" further behind may be a part of a password.
        reason = str(error) if name in shown.lower() else "its host is not a host name"
        raise ValueError(f"{shown!r} is not a URL: {reason}") from None
    return URL(
        Origin(parts.scheme, host, port), resolved_host, target, _unquoted(parts.username), _unquoted(parts.password)
    )


_parse_kept = lru_cache(maxsize=64)(_parse)  # one question needs the same two addresses several times


def redacted(url: str) -> str:
    """Return an address for a message, with ``...`` in place of everything that may be a name or a password."""
    before, at, after = url.strip().rpartition("@")
    if not at:
        return url.strip()
    scheme = re.match(r"[A-Za-z0-9+.-]+://", before)
    return f"{scheme[0] if scheme else ''}...@{after}"


def ascii_host(name: str) -> str:
    """Return a host name or IP address in the normal form of :class:`Origin`. Raises ValueError.

    A name that is not ASCII is mapped as in browsers (UTS 46, nontransitional) and encoded by IDNA 2008.
    """
    return _read_host(name.strip("[]"), ":" in name)[0]


def origin(url: str) -> Origin:
    """Return the origin of an address. An unreadable address has an origin that equals no other."""
    try:
        return parse_url(url).origin
    except ValueError:
        return Origin("", url, 0)


def absolute(url: str, location: str) -> str | None:
    """Return ``location`` as an absolute address, relative to ``url``.

    The result is None for an address that is not http or https, and for one that leads from https to http.
    """
    try:
        target = urljoin(url, location.strip())
    except ValueError:
        return None
    if not is_web_address(target) or (urlsplit(url).scheme, urlsplit(target).scheme) == ("https", "http"):
        return None
    return target


def is_web_address(url: str) -> bool:
    """Return whether ``url`` is an absolute http or https address that :func:`parse_url` accepts."""
    try:
        parse_url(url)
    except ValueError:
        return False
    return True


def _read_host(name: str, is_bracketed: bool) -> tuple[str, str]:
    """Return a host in its normal form and in the form for the resolver. Raises ValueError, which shows the host."""
    if is_bracketed:
        address, percent, zone = name.partition("%")
        host = ipaddress.IPv6Address(address).compressed
        if not percent:
            return host, host
        zone = zone.removeprefix("25")  # RFC 6874 encodes the "%" as "%25", but many addresses have a plain "%"
        if not _ZONE.fullmatch(zone):
            raise ValueError(f"the zone of {name!r} cannot be read")
        return host, f"{host}%{zone}"
    host = (name if name.isascii() else _to_ascii(name)).lower()
    dot = "." if host.endswith(".") else ""
    host = host.removesuffix(".")
    if not host:
        raise ValueError("it has no host")
    if len(host) > _HOST_LIMIT or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise ValueError(f"{name!r} is not a host name")
    return host, host + dot


def _to_ascii(name: str) -> str:
    import idna  # noqa: PLC0415  # the package is large, and few hosts need it

    try:
        labels = idna.uts46_remap(name, std3_rules=False, transitional=False).split(".")
        # Labels that are ASCII stay unchanged, because IDNA does not allow the underscore.
        return ".".join(label if label.isascii() else idna.alabel(label).decode() for label in labels)
    except UnicodeError as error:  # idna.IDNAError is a subclass
        raise ValueError(f"the host {name!r} cannot be written in ASCII: {error}") from None


def _unquoted(text: str | None) -> str:
    return unquote(text or "", errors="surrogateescape")
