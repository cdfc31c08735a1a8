"""The protocol driven over asyncio: the asynchronous client."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from . import http1
from .async_streaming import AsyncResponse, AsyncStream
from .async_surface import AsyncSurface
from .cookies import Cookies
from .protocol.errors import ConnectionFailed, InvalidInput, InvalidState
from .protocol.events import Event, Reply
from .protocol.exchange import Exchange
from .protocol.messages import Prompt
from .protocol.page import Bot
from .protocol.parser import DEFAULT_LIMIT
from .protocol.timeout import Patience, Timeout
from .protocol.wire import Multipart, Request
from .settings import DEFAULT_SITE, Settings

T = TypeVar("T")

_FINISH_SECONDS = 0.2  # the end of a body that comes later behind the last event costs more than a new connection


class AsyncClient(AsyncSurface):
    """A client for the chats of one site, for one event loop; its tasks share nonce and connections.

    The parameters are those of :class:`~chatgpt4online.Client`, but that ``http`` is an
    ``chatgpt4online.http1.Pool`` of your own. Raises InvalidInput for what cannot be used.

    ``session`` is the nonce and session id that all turns share.
    """

    def __init__(
        self,
        site: str = DEFAULT_SITE,
        *,
        bot_id: str | None = "default",
        custom_id: str | None = None,
        context_id: int | None = None,
        bot: Bot | None = None,
        timeout: Timeout | float = Timeout(),  # noqa: B008  # it cannot be changed
        retries: int = 2,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        token: str | None = None,
        verify: bool | str | ssl.SSLContext = True,
        max_event_size: int = DEFAULT_LIMIT,
        max_body_size: int = DEFAULT_LIMIT,
        http: http1.Pool | None = None,
    ) -> None:
        self._settings = Settings(
            site=site,
            bot_id=bot_id,
            custom_id=custom_id,
            context_id=context_id,
            bot=bot,
            timeout=Timeout.of(timeout),
            headers=headers,
            cookies=cookies,
            auth=auth,
            token=token,
            retries=retries,
            max_event_size=max_event_size,
            max_body_size=max_body_size,
        )
        self.session = self._settings.session()
        self._transport = _Transport(http, proxy, verify)
        self._streams: weakref.WeakSet[AsyncStream[Any]] = weakref.WeakSet()
        self._closed = False

    def __repr__(self) -> str:
        return f"<AsyncClient of {self._settings.site}{', closed' if self._closed else ''}>"

    async def aclose(self) -> None:
        """Close the streams that are open and the connections; it may be called again."""
        self._closed = True
        for stream in list(self._streams):
            await stream.aclose()
        await self._transport.close()

    close = aclose

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _stream(
        self, view: Callable[[list[Event]], list[T]], exchange: Exchange, timeout: Timeout | float | None
    ) -> AsyncStream[T]:
        if self._closed:
            raise InvalidState("this client is closed; make a new one")
        limits = self._settings.timeout if timeout is None else Timeout.of(timeout)
        stream = AsyncStream(self._transport, exchange, limits, view)
        self._streams.add(stream)
        return stream


async def aask(prompt: Prompt, *, site: str = DEFAULT_SITE, bot_id: str = "default", **options: Any) -> Reply:
    """Return a site's whole reply to a prompt; ``options`` and errors are those of :class:`AsyncClient`."""
    async with AsyncClient(site, bot_id=bot_id, **options) as client:
        return await client.ask(prompt)


def astream(prompt: Prompt, *, site: str = DEFAULT_SITE, bot_id: str = "default", **options: Any) -> AsyncStream[str]:
    """Return the pieces of a site's answer as they come; ``options`` are those of :class:`AsyncClient`."""
    pieces = AsyncClient(site, bot_id=bot_id, **options).stream(prompt)
    pieces._owned = True
    return pieces


class _Transport:
    """http1, as streams need it."""

    def __init__(self, http: http1.Pool | None, proxy: str | None, verify: bool | str | ssl.SSLContext) -> None:
        self.renewing = asyncio.Lock()
        self._owned = http is None
        try:
            self._pool = http1.Pool(proxy=proxy, verify=verify) if http is None else http
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        self._cookies = Cookies()

    async def close(self) -> None:
        if self._owned:
            await self._pool.aclose()

    async def send(self, request: Request, patience: Patience) -> AsyncResponse:
        """Return the response once its head has come. Raises ConnectionFailed, InvalidInput and InvalidState."""
        now = asyncio.get_running_loop().time()
        headers = {name: value for name, value in request.headers.items() if name.lower() != "cookie"}
        if cookie := self._cookies.header(request.url, request.headers):
            headers["Cookie"] = cookie
        try:
            response = await self._pool.send(
                request.method,
                request.url,
                headers,
                request.body if isinstance(request.body, bytes) else _in_pieces(request.body),
                connect=patience.allow("connect", now),
                first_byte=patience.allow("first_byte", now),
            )
        except http1.HttpError as error:
            raise _failure(error, patience, request.url) from error
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        except RuntimeError as error:
            raise InvalidState(str(error)) from error
        self._cookies.keep(request.url, (value for name, value in response.headers if name == "set-cookie"))
        return _Response(response, request.url)


async def _in_pieces(body: Multipart) -> AsyncIterator[bytes]:
    """Yield a body that is read from a disk meanwhile, which would hold up the loop."""
    pieces = iter(body)
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


class _Response:
    """A response of http1, read as streams need it."""

    def __init__(self, response: http1.Response, url: str) -> None:
        self.status = response.status
        self.headers: Iterable[tuple[str, str]] = response.headers
        self._response = response
        self._url = url

    async def read(self, patience: Patience) -> bytes:
        try:
            return await self._response.read(patience.allow("idle", asyncio.get_running_loop().time()))
        except http1.HttpError as error:
            broken_off = isinstance(error, http1.IncompleteBody | http1.BadResponse)
            if broken_off and not isinstance(error, http1.BadEncoding):
                return b""  # the protocol knows whether the answer was complete
            raise _failure(error, patience, self._url) from error

    async def finish(self) -> None:
        await self._response.finish(_FINISH_SECONDS)

    def close(self) -> None:
        self._response.close()


def _failure(error: http1.HttpError, patience: Patience, url: str) -> ConnectionFailed:
    """Return the error of this package for one of http1's."""
    if isinstance(error, http1.WaitExpired):
        return patience.expired(error.clock, asyncio.get_running_loop().time())
    failure = ConnectionFailed(f"the connection to {url.partition('?')[0]} failed: {error}")
    begun = isinstance(error, http1.BadResponse) or (isinstance(error, http1.Disconnected) and error.begun)
    failure.retryable = not begun and getattr(error, "retryable", True)
    return failure
