"""The protocol driven over asyncio: the asynchronous client."""

from __future__ import annotations

import asyncio
import ssl
import warnings
import weakref
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from . import http1
from .cookies import Cookies
from .protocol.errors import ConnectionFailed, InvalidInput, InvalidState
from .protocol.events import Event, Reply, texts, without_failure
from .protocol.exchange import Exchange
from .protocol.messages import Prompt
from .protocol.parser import DEFAULT_LIMIT
from .protocol.timeout import Patience, Timeout
from .protocol.wire import Multipart, Request, Session
from .settings import DEFAULT_SITE, Settings

T = TypeVar("T")

_FINISH_SECONDS = 0.2  # the end of a body that comes later behind the last event costs more than a new connection


class AsyncStream(AsyncGenerator[T, None]):
    """A running answer: an async generator of its pieces, which can also be closed at any time and from any task.

    Iterate over it once, from one task. ``async with`` closes it at the end of the block. When the task is cancelled,
    the connection is closed at once. After the end, :attr:`reply` has the whole answer.

    It is no async generator function's: those cannot be closed while another task waits in them, and are closed some
    time later, or never, when they are let go of. This one warns of that, with a ResourceWarning.
    """

    def __init__(
        self,
        transport: _Transport,
        exchange: Exchange,
        timeout: Timeout,
        view: Callable[[list[Event]], list[T]],
        *,
        owned: bool = False,
    ) -> None:
        self._transport = transport
        self._exchange = exchange
        self._timeout = timeout
        self._view = view
        self._owned = owned
        self._ready: deque[T] = deque()
        self._patience: Patience | None = None
        self._response: http1.Response | None = None
        self._opening: asyncio.Task[http1.Response] | None = None
        self._closed = asyncio.Event()
        self._busy = False
        self._ended = False

    def __repr__(self) -> str:
        return f"<AsyncStream of {self._exchange!r}{', closed' if self._closed.is_set() else ''}>"

    def __del__(self) -> None:
        response = self._response
        if response is not None:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
            with suppress(RuntimeError):  # the loop is closed, and so is the socket
                self._loop.call_soon_threadsafe(response.close)

    @property
    def reply(self) -> Reply:
        """The whole reply. Raises the error of an answer that failed, and InvalidState where the end has not come."""
        return self._exchange.result()

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._exchange.text

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._ready:
            if self._ended or self._closed.is_set():
                raise StopAsyncIteration
            await self._advance()
        return self._ready.popleft()

    async def asend(self, value: None) -> T:
        """Return the next piece, as ``anext()`` does; it is here for those who treat the stream as a generator."""
        return await self.__anext__()

    async def athrow(self, *error: Any) -> T:
        """Close the stream and raise an error, as a generator does that does not catch it."""
        await self.aclose()
        raise error[0]

    async def aclose(self) -> None:
        """Stop the answer and free its connection. It may be called again, and from any task.

        A task that waits for the site stops at once, as if the answer had ended there.
        """
        self._closed.set()
        self._ready.clear()
        self._hang_up()
        if self._opening is not None:
            self._opening.cancel()
        if self._owned:
            await self._transport.close()
        await asyncio.sleep(0)  # the loop closes the socket in its next turn

    close = aclose

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _advance(self) -> None:
        """Take the next step of the exchange, and make its events ready."""
        if self._busy:
            raise InvalidState("another task is reading this stream")
        self._busy = True
        try:
            events = await self._step()
        except BaseException:
            self._ended = True
            self._hang_up()
            raise
        finally:
            self._busy = False
        if self._closed.is_set():
            return
        self._ready.extend(self._view(events))
        if self._ended and not self._ready:
            self._exchange.result()

    async def _step(self) -> list[Event]:
        if self._patience is None:
            self._loop = asyncio.get_running_loop()
            self._patience = Patience(self._timeout, self._loop.time())
        if self._response is not None:
            return await self._continue(self._response, self._patience)
        request = self._exchange.next_request()
        if request is None:
            self._ended = True
            if self._owned:
                await self._transport.close()
            return []
        if not request.exclusive:
            return await self._ask(request, self._patience)
        async with self._transport.renewing:
            if self._exchange.next_request() != request:
                return []  # another stream renewed the session while this one waited to do it
            return await self._renew(request, self._patience)

    async def _renew(self, request: Request, patience: Patience) -> list[Event]:
        """Renew the session, to the end of the answer: nobody reads it piece by piece, and others wait for it."""
        events = await self._ask(request, patience)
        while self._response is not None:
            events += await self._continue(self._response, patience)
        return events

    async def _ask(self, request: Request, patience: Patience) -> list[Event]:
        """Send a request and take the head of its response."""
        try:
            if request.delay:
                with suppress(TimeoutError):
                    async with asyncio.timeout(patience.within(request.delay, self._loop.time())):
                        await self._closed.wait()
            # A task of its own, since aclose() must be able to stop it from another task without cancelling this one.
            self._opening = asyncio.ensure_future(self._transport.send(request, patience))
            self._response = response = await self._opening
        except ConnectionFailed as error:
            return self._exchange.receive_error(error)
        except asyncio.CancelledError:
            if self._closed.is_set() and not _is_cancelled():
                return []
            raise
        finally:
            self._opening = None
        if self._closed.is_set():
            self._hang_up()
            return []
        return self._exchange.receive_response(response.status, response.headers)

    async def _continue(self, response: http1.Response, patience: Patience) -> list[Event]:
        """Read what has come of the answer, or the next that comes."""
        exchange = self._exchange
        if exchange.over:
            await response.finish(_FINISH_SECONDS)
            self._response = None
            return []
        try:
            data = await _read(response, patience, self._loop.time())
        except ConnectionFailed as error:
            self._hang_up()
            return [] if self._closed.is_set() else exchange.receive_error(error)
        if self._closed.is_set():
            return []
        if data:
            return exchange.receive_data(data)
        self._hang_up()
        return exchange.receive_eof()

    def _hang_up(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None


class AsyncClient:
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
        timeout: Timeout | float = Timeout(),  # noqa: B008  # it cannot be changed
        retries: int = 2,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
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
            timeout=Timeout.of(timeout),
            headers=headers,
            cookies=cookies,
            retries=retries,
            max_event_size=max_event_size,
            max_body_size=max_body_size,
        )
        self.session = Session()
        self._transport = _Transport(http, proxy, verify)
        self._streams: weakref.WeakSet[AsyncStream[Any]] = weakref.WeakSet()
        self._closed = False

    def __repr__(self) -> str:
        return f"<AsyncClient of {self._settings.site}{', closed' if self._closed else ''}>"

    async def ask(
        self,
        prompt: Prompt,
        *,
        chat_id: str | None = None,
        flatten: bool = False,
        files: Sequence[str] = (),
        timeout: Timeout | float | None = None,
    ) -> Reply:
        """Return the whole reply to a prompt; see :meth:`events` for the parameters and the errors."""
        async with self.stream(prompt, chat_id=chat_id, flatten=flatten, files=files, timeout=timeout) as pieces:
            async for _ in pieces:
                pass
            return pieces.reply

    def stream(
        self,
        prompt: Prompt,
        *,
        chat_id: str | None = None,
        flatten: bool = False,
        files: Sequence[str] = (),
        timeout: Timeout | float | None = None,
    ) -> AsyncStream[str]:
        """Return the pieces of the answer as they come; see :meth:`events` for the parameters and the errors."""
        return self._start(texts, prompt, chat_id, flatten, files, timeout)

    def events(
        self,
        prompt: Prompt,
        *,
        chat_id: str | None = None,
        flatten: bool = False,
        files: Sequence[str] = (),
        timeout: Timeout | float | None = None,
    ) -> AsyncStream[Event]:
        """Return the events of the answer as they come; :meth:`Client.events` describes parameters and errors."""
        return self._start(without_failure, prompt, chat_id, flatten, files, timeout)

    async def start_session(self) -> Session:
        """Return the client's session after fetching a new nonce; questions do this themselves when they need one.

        Raises ConnectionFailed, ProtocolError or StatusError.
        """
        async with self._stream(without_failure, self._settings.handshake(self.session), None) as events:
            async for _ in events:
                pass
        return self.session

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

    def _start(
        self,
        view: Callable[[list[Event]], list[T]],
        prompt: Prompt,
        chat_id: str | None,
        flatten: bool,
        files: Sequence[str],
        timeout: Timeout | float | None,
    ) -> AsyncStream[T]:
        turn = self._settings.turn(prompt, self.session, chat_id=chat_id, flatten=flatten, files=files)
        return self._stream(view, turn, timeout)

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

    async def send(self, request: Request, patience: Patience) -> http1.Response:
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
        return response


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _in_pieces(body: Multipart) -> AsyncIterator[bytes]:
    """Yield a body that is read from a disk meanwhile, which would hold up the loop."""
    pieces = iter(body)
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


async def _read(response: http1.Response, patience: Patience, now: float) -> bytes:
    try:
        return await response.read(patience.allow("idle", now))
    except (http1.IncompleteBody, http1.BadResponse):
        return b""  # the protocol knows whether the answer was complete
    except http1.HttpError as error:
        raise _failure(error, patience, "the site") from error


def _failure(error: http1.HttpError, patience: Patience, url: str) -> ConnectionFailed:
    """Return the error of this package for one of http1's."""
    if isinstance(error, http1.WaitExpired):
        return patience.expired(error.clock, asyncio.get_running_loop().time())
    failure = ConnectionFailed(f"the connection to {url.partition('?')[0]} failed: {error}")
    failure.retryable = getattr(error, "retryable", True)
    return failure
