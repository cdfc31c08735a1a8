"""Messages for failed connections, the same for both clients."""

from __future__ import annotations

import os
import ssl

from .url import URL


def explain_os_error(error: OSError) -> str:
    """Return the reason for a failed connection, such as ``"connection refused"``."""
    if isinstance(error, ssl.SSLError):  # its errno is a number of OpenSSL
        return error.reason or str(error)
    # asyncio and the name look-up have other texts than sockets, so the text for the number is preferred.
    text = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror or str(error)
    text = text or type(error).__name__
    return text[:1].lower() + text[1:]


def no_connection(url: URL, proxy: URL | None, reason: str) -> str:
    """Return the message for a failed connection. It names the proxy without its password."""
    through = f" through the proxy {proxy.origin.authority}" if proxy else ""
    return f"no connection to {url.origin.authority}{through}: {reason}"
