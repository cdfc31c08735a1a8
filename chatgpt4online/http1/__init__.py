"""HTTP/1.1 over asyncio by h11: connect, TLS, proxy, keep-alive. Knows nothing of chats.

A :class:`Pool` sends requests and keeps connections. A :class:`Response` is one answer, whose body is read as it
comes::

    pool = Pool()
    response = await pool.send("POST", url, headers, body, connect=10, first_byte=120)
    while data := await response.read(60):
        ...

There are no tasks here: the loop's callbacks store what came, and the task that reads does all work.
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
