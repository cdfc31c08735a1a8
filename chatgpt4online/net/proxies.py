"""The proxy on the way to a server: the one that a caller names, or that the environment names."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator
from contextlib import suppress

from .url import PORTS, Place, Server, place

_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def proxy_place(url: str) -> Place:
    """Return the place of a proxy; without a scheme it is an HTTP proxy. Raises ValueError."""
    try:
        return place(url if "://" in url else f"http://{url}", tuple(PORTS))
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
