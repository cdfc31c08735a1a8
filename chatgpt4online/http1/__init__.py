"""HTTP/1.1 over asyncio and h11: connections, TLS, proxies, keep-alive. This package knows nothing of chats.

A :class:`Pool` sends requests and keeps connections. The body of a :class:`Response` is read as it arrives::

    pool = Pool()
    response = await pool.send("POST", url, headers, body, connect=10, first_byte=120)
    while data := await response.read(60):
        ...

An exchange has no task of its own: the callbacks of the event loop store the bytes, and the task that reads the
response does the work.
"""

from __future__ import annotations

from .errors import (
    BadEncoding,
    BadResponse,
    BodyTooLarge,
    ConnectError,
    Disconnected,
    HttpError,
    IncompleteBody,
    WaitExpired,
)
from .pool import Pool
from .response import Response

__all__ = [
    "BadEncoding",
    "BadResponse",
    "BodyTooLarge",
    "ConnectError",
    "Disconnected",
    "HttpError",
    "IncompleteBody",
    "Pool",
    "Response",
    "WaitExpired",
]
