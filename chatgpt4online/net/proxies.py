"""The proxy on the way to a server: the one that the caller names, or the one that the environment names."""

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
    """Return the URL of a proxy. Without a scheme it is an HTTP proxy; white space around it is ignored.

    Name and password may be percent-encoded. Both are sent in UTF-8. Raises ValueError without the password.
    """
    if not isinstance(proxy, str):
        raise ValueError(
            f"a proxy is one address such as 'http://127.0.0.1:8080', not a {type(proxy).__name__} "
            "(requests' dict of proxies has one address for each scheme)"
        )
    address = proxy.strip()
    try:
        url = parse_url(address if "://" in address else f"http://{address}", tuple(PORTS))
    except ValueError as error:
        raise ValueError(f"no usable proxy: {error}{_hint(address)}") from None
    if "@" in url.target:  # the authority ended early
        raise ValueError(f"no usable proxy: {redacted(address)!r}{_hint(address)}")
    if url.origin.scheme.startswith("socks"):
        _check_socks(url)
    return url


def _check_socks(url: URL) -> None:
    """Raise ValueError for credentials that python-socks and PySocks cannot send, or leave out without an error."""
    if not (url.username + url.password).isascii():
        raise ValueError("no usable proxy: a SOCKS proxy takes a name and a password of ASCII characters only")
    if url.origin.scheme.startswith("socks5") and bool(url.username) != bool(url.password):
        raise ValueError("no usable proxy: a SOCKS5 proxy takes a name together with a password, or neither")


def require_socks() -> None:
    """Raise ValueError unless python-socks is installed."""
    try:
        import python_socks  # noqa: F401, PLC0415  # it is an extra
    except ImportError:
        raise ValueError("a SOCKS proxy needs python-socks: pip install 'chatgpt4online[socks]'") from None


def socks_client(factory: Callable[..., T], proxy: URL) -> T:
    """Return the client of a SOCKS proxy; ``factory`` is a ``Proxy`` of python-socks.

    As in curl and requests, socks4 and socks5 resolve the host's name here, socks4a and socks5h let the proxy do it.
    Raises ValueError unless python-socks is installed.
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
    """Return the proxy that the environment or the system names for a server, or None.

    The rules are those of urllib.request: names in lower case win, and HTTP_PROXY is ignored under CGI, where a client
    can set it. On macOS and Windows the system's settings count if there are no variables. Raises ValueError.
    """
    if not (_HAS_SYSTEM_SETTINGS or any(name.lower().endswith("_proxy") for name in os.environ)):
        return None
    # urllib.request takes as long to load as the rest of http1
    from urllib.request import getproxies, getproxies_environment, proxy_bypass  # noqa: PLC0415

    named = getproxies_environment()
    if is_exempt(origin, named.get("no", "")):
        return None
    if not named:
        with suppress(OSError, TypeError):  # settings of the system that cannot be read exempt nothing
            if proxy_bypass(origin.host):
                return None
    proxies = named or getproxies()
    proxy = proxies.get(origin.scheme) or proxies.get("all")
    return parse_proxy(proxy) if proxy else None


def is_exempt(origin: Origin, no_proxy: str) -> bool:
    """Return whether a value of ``no_proxy`` exempts a server from the proxy.

    Its entries are separated by commas or white space: ``*``, host names (which stand for all names below them, with or
    without a leading dot), IP addresses and networks, each with or without a port.
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
        with suppress(ValueError):  # an entry that cannot be read exempts nothing
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
    """Return the host and the port (or ``""``) of an entry; an IPv6 address with a port has brackets."""
    match = re.fullmatch(r"(\[[^]]*\][^:]*|[^:]*):([0-9]+)", entry)
    return (match[1], match[2]) if match else (entry, "")


def _hint(address: str) -> str:
    return "; percent-encode the special characters of its password" if "@" in address else ""
