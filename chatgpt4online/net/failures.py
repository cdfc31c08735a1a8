"""Why a connection was not made, in the same plain words for both clients."""

from __future__ import annotations

import os
import ssl

from .url import URL


def explain_os_error(error: OSError) -> str:
    """Return why a connection failed, such as ``"connection refused"``."""
    if isinstance(error, ssl.SSLError):  # its numbers are those of OpenSSL
        return error.reason or str(error)
    # The text of asyncio and of the name look-up differs from that of sockets, so the number goes first.
    text = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror or str(error)
    text = text or type(error).__name__
    return text[:1].lower() + text[1:]


def no_connection(url: URL, proxy: URL | None, reason: str) -> str:
    """Return the message for a connection that was not made. It names the proxy without its password."""
    through = f" through the proxy {proxy.origin.authority}" if proxy else ""
    return f"no connection to {url.origin.authority}{through}: {reason}"
