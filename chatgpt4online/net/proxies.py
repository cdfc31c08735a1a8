"""The proxy for a server: the caller's, or the one from the environment."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from .url import PORTS, URL, Origin, ascii_host, parse_url, redacted

T = TypeVar("T")

_HAS_SYSTEM_SETTINGS = sys.platform in ("darwin", "win32")


def parse_proxy(proxy: object) -> URL:
    """Return the URL of a proxy. An address without a scheme is that of an HTTP proxy.

    White space around the address is ignored. Name and password may be percent-encoded. Both are sent in UTF-8. Raises
    ValueError, whose message never shows the password.
    """
    if not isinstance(proxy, str):
        raise ValueError(
            f"proxy must be one address such as 'http://127.0.0.1:8080', not a {type(proxy).__name__}; "
            "a dict of proxies for requests has several"
        )
    address = proxy.strip()
    try:
        url = parse_url(address if "://" in address else f"http://{address}", tuple(PORTS))
    except ValueError as error:
        raise ValueError(f"no usable proxy: {error}{_hint(address)}") from None
    if "@" in url.target:  # a "/" in the password ended the host too early
        raise ValueError(f"no usable proxy: {redacted(address)!r}{_hint(address)}")
    if url.origin.scheme.startswith("socks"):
        _check_socks(url)
    return url


def _check_socks(url: URL) -> None:
    """Raise ValueError for credentials that python-socks and PySocks cannot send, or drop without an error."""
    if not (url.username + url.password).isascii():
        raise ValueError("no usable proxy: the name and the password for a SOCKS proxy must be ASCII")
    if url.origin.scheme.startswith("socks5") and bool(url.username) != bool(url.password):
        raise ValueError("no usable proxy: a SOCKS5 proxy needs both a name and a password, or neither")


def require_socks() -> None:
    """Raise ValueError unless python-socks is installed."""
    try:
        import python_socks  # noqa: F401, PLC0415  # it is an extra
    except ImportError:
        raise ValueError("a SOCKS proxy needs python-socks: pip install 'chatgpt4online[socks]'") from None


def socks_client(factory: Callable[..., T], proxy: URL) -> T:
    """Return a client for a SOCKS proxy. ``factory`` is a ``Proxy`` class of python-socks.

    As in curl and requests, socks4 and socks5 resolve the name of the host on this machine, and socks4a and socks5h let
    the proxy resolve it. Raises ValueError unless python-socks is installed.
    """
    require_socks()
    from python_socks import ProxyType  # noqa: PLC0415  # it is an extra

    scheme = proxy.origin.scheme
    kind = ProxyType.SOCKS4 if scheme.startswith("socks4") else ProxyType.SOCKS5
    resolves = scheme in ("socks4a", "socks5h")
    return factory(
        kind, proxy.resolved_host, proxy.origin.port, proxy.username or None, proxy.password or None, resolves
    )


def environment_proxy(origin: Origin) -> URL | None:
    """Return the proxy for a server from the environment or the system's settings, or None.

    The rules are those of urllib.request. Variables in lower case come first. HTTP_PROXY is ignored under CGI, where a
    client can set it. On macOS and Windows the system's settings are used if there are no variables. Raises ValueError
    for a proxy that cannot be used.
    """
    if not (_HAS_SYSTEM_SETTINGS or "_proxy" in " ".join(os.environ).lower()):
        return None
    # urllib.request takes as long to load as the rest of http1.
    from urllib.request import getproxies, getproxies_environment, proxy_bypass  # noqa: PLC0415  # see above

    named = getproxies_environment()
    if is_exempt(origin, named.get("no", "")):
        return None
    if not named:
        with suppress(OSError, TypeError):  # unreadable settings of the system exempt no server
            if proxy_bypass(origin.host):
                return None
    proxies = named or getproxies()
    proxy = proxies.get(origin.scheme) or proxies.get("all")
    return parse_proxy(proxy) if proxy else None


def is_exempt(origin: Origin, no_proxy: str) -> bool:
    """Return whether a value of ``no_proxy`` exempts a server from the proxy.

    Commas or white space separate the entries. An entry is ``*``, a host name, an IP address or a network. Each except
    ``*`` may have a port. A host name, with or without a leading dot, includes all names below it.
    """
    try:
        address = ipaddress.ip_address(origin.host)
    except ValueError:
        address = None
    for entry in filter(None, re.split(r"[\s,]+", no_proxy)):
        if entry == "*":
            return True
        host, port = _split_port(entry)
        if port and int(port) != origin.port:
            continue
        with suppress(ValueError):  # an unreadable entry exempts no server
            if address is not None:
                network = re.sub(r"[\[\]]|%[^/\]]*", "", host)  # brackets and a zone
                if address in ipaddress.ip_network(network, strict=False):
                    return True
            else:
                domain = ascii_host(host.lstrip("*."))
                if origin.host == domain or origin.host.endswith(f".{domain}"):
                    return True
    return False


def _split_port(entry: str) -> tuple[str, str]:
    """Return the host and the port (or ``""``) of an entry. An IPv6 address with a port needs brackets."""
    match = re.fullmatch(r"(\[[^]]*\][^:]*|[^:]*):([0-9]+)", entry)
    return (match[1], match[2]) if match else (entry, "")


def _hint(address: str) -> str:
    return "; percent-encode the special characters of its password" if "@" in address else ""
