"""The transport of the asynchronous client: it sends requests with ``chatgpt4online.http1``."""

from __future__ import annotations

import asyncio
import copy
import ssl
from collections.abc import AsyncIterator, Callable, Iterable

from .. import http1
from ..net.cookies import Cookies
from ..net.forks import renew_in_child
from ..options import check_http
from ..protocol.calls.deadline import Deadline
from ..protocol.calls.multipart import Multipart
from ..protocol.calls.request import Request
from ..protocol.parsing.errors import ConnectionFailed, InvalidInput, InvalidState, TooLarge
from .flights import Flights
from .stream import AsyncResponse

_FINISH_SECONDS = 0.2  # to wait longer for the end of a body costs more than a new connection


class Transport:
    """An object that sends the requests of one session. It has the cookies and the searches for a nonce.

    ``http``, ``proxy`` and ``verify`` are the options of :class:`~.client.AsyncClient`. Raises InvalidInput for an
    option that cannot be used.
    """

    may_hold_login = False
    """Whether the caller's ``http`` may hold a login. A pool holds none."""

    def __init__(self, http: http1.Pool | None, proxy: str | None, verify: bool | str | ssl.SSLContext) -> None:
        self.flights: Flights = Flights()
        self._owns_pool = http is None
        if http is not None:
            check_http(http, http1.Pool, "chatgpt4online.http1.Pool", proxy, verify)
        try:
            self._pool = http1.Pool(proxy=proxy, verify=verify) if http is None else http
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        self._cookies = Cookies()
        renew_in_child(self)

    def renew(self) -> None:
        """Forget the searches for a nonce in a process that was forked. The pool makes new connections itself."""
        self.flights = Flights()
        self._cookies.renew()

    def for_session(self, *, own_cookies: bool) -> Transport:
        """Return a transport for another session. It has the same connections, and searches for a nonce of its own.

        With ``own_cookies`` it begins without cookies. Otherwise it has the same cookies.
        """
        transport = copy.copy(self)
        transport.flights = Flights()
        if own_cookies:
            transport._cookies = Cookies()
        renew_in_child(transport)
        return transport

    async def close(self) -> None:
        """Close all connections, unless they belong to a pool of the caller."""
        if self._owns_pool:
            await self._pool.aclose()

    async def send(self, request: Request, deadline: Deadline, watch: Callable[[], None]) -> AsyncResponse:
        """Return the response as soon as its head has arrived. ``watch`` is called as soon as there is a connection.

        Raises ConnectionFailed, InvalidInput for a request that cannot be sent, and InvalidState if the pool is closed
        or belongs to another event loop.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        headers = {name: value for name, value in request.headers.items() if name.lower() != "cookie"}
        try:
            if cookie := self._cookies.header(request.url, request.headers):
                headers["Cookie"] = cookie
            response = await self._pool.send(
                request.method,
                request.url,
                headers,
                request.body if isinstance(request.body, bytes) else _read_in_thread(request.body),
                connect=deadline.allow("connect", now),
                first_byte=deadline.allow("first_byte", now),
                on_connected=watch,
            )
        except http1.HttpError as error:
            raise _error_of(error, deadline, request.url) from error
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        except RuntimeError as error:
            raise InvalidState(str(error)) from error
        self._cookies.keep(request.url, (value for name, value in response.headers if name == "set-cookie"))
        return Response(response, request.url, loop)


async def _read_in_thread(body: Multipart) -> AsyncIterator[bytes]:
    """Yield the chunks of a body. A thread reads them, since reading a file would block the event loop."""
    chunks = iter(body)
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk


class Response:
    """A response of http1, with the methods that a stream needs."""

    def __init__(self, response: http1.Response, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.status: int = response.status
        self.headers: Iterable[tuple[str, str]] = response.headers
        self._response = response
        self._url = url
        self._loop = loop  # asyncio.get_running_loop() takes a system call in Python 3.11
        self._has_body = False

    async def read(self, deadline: Deadline) -> bytes:
        """Return the next decoded bytes of the body, or ``b""`` at its end. Wait only if no byte has arrived.

        Raises ConnectionFailed, and TooLarge for a small body that decodes to an enormous one.
        """
        try:
            data = await self._response.read(deadline.allow("idle", self._loop.time()))
        except http1.HttpError as error:
            is_malformed = isinstance(error, http1.BadResponse) and not isinstance(error, http1.BadEncoding)
            if isinstance(error, http1.IncompleteBody) or (is_malformed and self._has_body):
                return b""  # the protocol layer checks whether the answer is complete
            if isinstance(error, http1.BodyTooLarge):
                raise TooLarge(str(error)) from error
            raise _error_of(error, deadline, self._url) from error
        self._has_body = True
        return data

    async def finish(self) -> None:
        """Read the rest of the body, for a short time, so that the connection can be used again."""
        await self._response.finish(_FINISH_SECONDS)

    def close(self) -> None:
        """Close the response, and its connection too if the body was not read to its end."""
        self._response.close()


def _error_of(error: http1.HttpError, deadline: Deadline, url: str) -> ConnectionFailed:
    """Return the error of this package for an error of http1."""
    if isinstance(error, http1.WaitExpired):
        return deadline.expired(error.clock, asyncio.get_running_loop().time())
    is_named = isinstance(error, http1.ConnectError)  # its message already names the server
    failure = ConnectionFailed(str(error) if is_named else f"the connection to {url.partition('?')[0]} failed: {error}")
    begun = isinstance(error, http1.BadResponse) or (isinstance(error, http1.Disconnected) and error.begun)
    failure.retryable = not begun and getattr(error, "retryable", True)
    return failure
