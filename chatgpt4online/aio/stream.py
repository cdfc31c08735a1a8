"""A running answer: the loop that drives an exchange over asyncio, and the async generator that it is."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from ..protocol.calls.deadline import Patience, Timeout
from ..protocol.calls.exchange import Exchange
from ..protocol.calls.request import Request
from ..protocol.parsing.errors import ConnectionFailed, InvalidState
from ..protocol.parsing.events import Event, Reply

T = TypeVar("T")


class AsyncResponse(Protocol):
    """What a transport has to offer of a response whose head has come."""

    status: int
    headers: Iterable[tuple[str, str]]

    async def read(self, patience: Patience) -> bytes:
        """Return what there is of the body, or the next that comes; ``b""`` at its end. Raises ConnectionFailed."""
        ...

    async def finish(self) -> None:
        """Read the end of the body, if it is there, so that the connection can serve again."""

    def close(self) -> None:
        """Close the response, and the connection unless the body was read to its end."""


class AsyncTransport(Protocol):
    """What sends requests."""

    renewing: asyncio.Lock
    """The lock that exclusive requests hold."""

    async def send(self, request: Request, patience: Patience) -> AsyncResponse:
        """Return the response once its head has come. Raises ConnectionFailed."""
        ...

    async def close(self) -> None:
        """Close all connections."""


class AsyncStream(AsyncGenerator[T, None]):
    """A running answer: an async generator of its pieces, which can also be closed at any time and from any task.

    Iterate over it once, from one task. ``async with`` closes it at the end of the block. When the task is cancelled,
    the connection is closed at once. After the end, :attr:`reply` has the whole answer.

    It is no async generator function's: those cannot be closed while another task waits in them, and are closed some
    time later, or never, when they are let go of. This one warns of that, with a ResourceWarning.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        exchange: Exchange,
        timeout: Timeout,
        view: Callable[[list[Event]], list[T]],
    ) -> None:
        self._transport = transport
        self._exchange = exchange
        self._timeout = timeout
        self._view = view
        self._owned = False  # whether the transport is closed with the stream
        self._ready: list[T] = []  # the last one is the next to be given out
        self._patience: Patience | None = None
        self._response: AsyncResponse | None = None
        self._opening: asyncio.Task[list[Event]] | None = None
        self._closed = False
        self._busy = False
        self._ended = False

    def __repr__(self) -> str:
        return f"<AsyncStream of {self._exchange!r}{', closed' if self._closed else ''}>"

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
            if self._ended or self._closed:
                raise StopAsyncIteration
            await self._advance()
        return self._ready.pop()

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
        self._closed = True
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
        if self._closed:
            return
        self._ready = self._view(events)[::-1]
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
        # A task of its own, which aclose() can stop from another task without cancelling the one that reads.
        begin = self._renew if request.exclusive else self._ask
        self._opening = asyncio.ensure_future(begin(request, self._patience))
        before = _cancellations()
        try:
            return await self._opening
        except asyncio.CancelledError:
            if self._closed and _cancellations() == before:
                return []
            raise
        finally:
            self._opening = None

    async def _renew(self, request: Request, patience: Patience) -> list[Event]:
        """Renew the session, to the end of the answer: nobody reads it piece by piece, and others wait for it."""
        renewing = self._transport.renewing
        try:
            async with asyncio.timeout(patience.left(self._loop.time())):
                await renewing.acquire()
        except TimeoutError:
            return self._exchange.receive_error(patience.expired("total", self._loop.time()))
        try:
            if self._exchange.next_request() != request:
                return []  # another stream renewed the session while this one waited to do it
            events = await self._ask(request, patience)
            while self._response is not None:
                events += await self._continue(self._response, patience)
            return events
        finally:
            renewing.release()

    async def _ask(self, request: Request, patience: Patience) -> list[Event]:
        """Send a request and take the head of its response."""
        if request.delay:
            await asyncio.sleep(patience.within(request.delay, self._loop.time()))
        try:
            self._response = response = await self._transport.send(request, patience)
        except ConnectionFailed as error:
            return self._exchange.receive_error(error)
        return self._exchange.receive_response(response.status, response.headers)

    async def _continue(self, response: AsyncResponse, patience: Patience) -> list[Event]:
        """Read what has come of the answer, or the next that comes."""
        exchange = self._exchange
        if exchange.over:
            await response.finish()
            self._response = None
            return []
        try:
            data = await response.read(patience)
        except ConnectionFailed as error:
            self._hang_up()
            return [] if self._closed else exchange.receive_error(error)
        if self._closed:
            return []
        if data:
            return exchange.receive_data(data)
        self._hang_up()
        return exchange.receive_eof()

    def _hang_up(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None


def _cancellations() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
