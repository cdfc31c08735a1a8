"""The stream of one answer: an async generator that drives an exchange over asyncio."""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast

from ..options import check_seconds
from ..protocol.calls.deadline import Deadline, Timeout
from ..protocol.calls.request import Request
from ..protocol.calls.turn import Drivable
from ..protocol.parsing.errors import ChatError, ConnectionFailed, InvalidState, TimedOut, TooLarge
from ..protocol.parsing.events import Event, Reply, View
from ..tracing import ResponseInfo, TracedCall
from .flights import Flight, Flights

T = TypeVar("T")


class AsyncResponse(Protocol):
    """A response whose head has arrived, as a transport returns it."""

    status: int
    headers: Iterable[tuple[str, str]]

    async def read(self, deadline: Deadline) -> bytes:
        """Return the next bytes of the body, or ``b""`` at its end. Wait only if no byte has arrived.

        Raises ConnectionFailed, and TooLarge for a small body that decodes to an enormous one.
        """
        ...

    async def finish(self) -> None:
        """Read the rest of the body, if it arrives within 0.2 seconds, so that the connection can be used again."""

    def close(self) -> None:
        """Close the response, and its connection too if the body was not read to its end."""


class AsyncTransport(Protocol):
    """An object that sends requests."""

    flights: Flights
    """The searches for a nonce. Every exclusive request is part of one."""

    async def send(self, request: Request, deadline: Deadline, watch: Callable[[], None]) -> AsyncResponse:
        """Return the response as soon as its head has arrived.

        ``watch`` is called as soon as there is a connection. Raises ConnectionFailed.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""


class AsyncStream(AsyncGenerator[T, None]):
    """The answer to one question, as an async generator of its pieces or events.

    Iterate over it once, from one task. The first iteration sends the question. Any task may call :meth:`aclose` at any
    time. ``async with`` closes the stream at the end of the block. If the task is cancelled, the connection is closed
    at once. After the end, :attr:`reply` is the whole answer. A stream that is deleted before its end without being
    closed emits a ResourceWarning.

    The stream is a class and not an async generator function, for two reasons. Such a generator cannot be closed while
    another task waits in it. And after such a generator is deleted, Python closes it late, or not at all.
    """

    def __init__(self, transport: AsyncTransport, exchange: Drivable, timeout: Timeout, view: View[T]) -> None:
        self._transport = transport
        self._call = TracedCall(exchange)
        self._timeout = timeout
        self._view = view
        self._ready: Iterator[T] = iter(())  # items that were read but not yet returned
        self._failure: ChatError | None = None  # the error to raise after these items
        self._loop: asyncio.AbstractEventLoop | None = None  # the loop that reads the answer
        self._deadline: Deadline | None = None
        self._response: AsyncResponse | None = None
        self._step_task: asyncio.Task[Any] | None = None  # carries out one request, or a whole search
        self._flight: Flight | None = None  # the search that this stream leads
        self._waiting: asyncio.Task[None] | None = None  # the step that heartbeats() has started
        self._owns_transport = False  # if True, the transport is closed with this stream
        self._busy = False  # if True, a task reads
        # Two ends, besides call.over: there the last event was returned, and the rest of the body may be unread.
        self._closed = False  # aclose() was called
        self._ended = False  # no step is left: all requests were answered, or a step raised an error
        self._interruption: ChatError | None = None  # the error to raise again, since the answer is not whole

    def __repr__(self) -> str:
        return f"<AsyncStream of {self._call!r}{', closed' if self._closed else ''}>"

    def __del__(self) -> None:
        response = self._response
        if response is not None:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
            self._call_in_loop(response.close)

    @property
    def reply(self) -> Reply:
        """The whole reply. Raises the error of an answer that failed, and InvalidState before the end."""
        return cast(Reply, self._call.result())

    @property
    def text(self) -> str:
        """The text of the answer so far."""
        return self._call.text

    @property
    def response(self) -> ResponseInfo | None:
        """The response to the last request that sent the question, or None before its head has arrived.

        It gives the status, the headers, the address, and the seconds to the head and to the first piece.
        """
        return self._call.response

    @property
    def _is_open(self) -> bool:
        return not (self._ended or self._closed)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            for item in self._ready:  # the next one, if there is any
                return item
            if self._failure is not None:
                error, self._failure = self._failure, None
                await self._complete()
                raise error
            self._check_interruption()
            if not self._is_open:
                raise StopAsyncIteration
            await self._read()

    def __await__(self) -> Generator[Any, None, Self]:
        """Return what :meth:`open` returns: ``await stream`` is the same as ``await stream.open()``."""
        return self.open().__await__()

    async def open(self) -> Self:
        """Send the question, and wait for the first event of its answer. Return this stream.

        Call it before anything depends on the answer, for example before a back end sends its own status. It returns
        once a piece, a notice or the end of the answer has arrived; the iteration still returns it. An error that comes
        instead of an answer is raised here, also if the site sent it with the status 200. A second call returns at
        once, or raises the same error again. Raises InvalidState if the stream is closed.
        """
        while self._is_open and not (self._call.has_begun or self._call.over):
            await self._read()
        if self._closed:
            raise self._misuse("this stream is closed: ask the question again")
        self._check_interruption()
        if not self._call.has_begun:
            self._failure = None
            await self._complete()
            self._call.result()  # raises the error
        return self

    async def until_done(self) -> Reply:
        """Read the answer to its end, and return the whole reply. It may be called at any time, also after the end.

        Raises the error of an answer that failed, and InvalidState if the stream was closed before the end.
        """
        async for _ in self:
            pass
        if self._closed and not self._ended:
            raise self._misuse("this stream was closed before its end: ask the question again")
        return self.reply

    def heartbeats(self, seconds: float) -> AsyncIterator[T | None]:
        """Return the items of this stream, and None whenever ``seconds`` have passed without an item.

        A back end can send a sign of life to its own client for each None. The answer goes on meanwhile, and after the
        loop the stream can be read further. If the loop may be left early, close the stream or use ``async with``:
        a wait that is under way keeps it open. ``seconds`` is a number above 0. Raises InvalidInput for another value.
        """
        return self._beats(check_seconds("seconds", seconds))

    async def asend(self, value: None) -> T:
        """Return the next item as ``anext()`` does. A generator must have this method."""
        return await self.__anext__()

    async def athrow(self, *error: Any) -> T:
        """Close the stream and raise ``error``, as a generator does if it does not catch it."""
        await self.aclose()
        raise error[0]

    async def aclose(self) -> None:
        """Stop the answer and free its connection. It may be called again, and from any task.

        If another task waits for the site, its iteration ends at once without an error.
        """
        self._closed = True
        self._ready = iter(())
        self._failure = None
        self._call_in_loop(self._stop)
        if self._owns_transport:
            await self._transport.close()
        if self._loop is not None and self._loop is _running_loop():
            await asyncio.sleep(0)  # the loop closes the socket in its next iteration

    close = aclose

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _beats(self, seconds: float) -> AsyncIterator[T | None]:
        end = time.monotonic() + seconds
        while self._failure is None and self._is_open:
            for item in self._ready:
                yield item
                break  # close() may have discarded the others
            else:
                if await self._read(end - time.monotonic()):
                    continue
                yield None
            end = time.monotonic() + seconds
        async for item in self:  # the last items, or the error
            yield item

    async def _read(self, seconds: float | None = None) -> bool:
        """Carry out the next step, and return True.

        With ``seconds``, a task of its own carries it out. Return False if that takes longer. Then the step continues,
        and the next call of this method waits for it.
        """
        self._check_loop()
        if seconds is None and self._waiting is None:
            await self._advance()
            return True
        if self._waiting is None:
            self._waiting = asyncio.ensure_future(self._advance())
        waiting = self._waiting
        try:
            done, _ = await asyncio.wait([waiting], timeout=seconds)
        except asyncio.CancelledError as error:  # ends the answer, as it does during a read in this task
            self._waiting = None
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([waiting])
            self._interrupt(error)
            raise
        if not done:
            return False
        self._waiting = None
        waiting.result()  # raises the error of the step
        return True

    async def _complete(self) -> None:
        """Read the rest of the response after the last event, so that its connection can be used again."""
        while self._is_open:
            await self._advance()

    async def _advance(self) -> None:
        """Carry out the next step of the exchange, and store its items in ``_ready``."""
        if self._busy:
            raise InvalidState("another task is reading this stream")
        self._busy = True
        try:
            events = [] if self._closed else await self._step()
            if self._closed:
                self._close_response()
            else:
                items, self._failure = self._view(events)
                self._ready = iter(items)
        except BaseException as error:
            self._interrupt(error)
            raise
        finally:
            self._busy = False

    async def _step(self) -> list[Event]:
        """Read from the response, send the next request, or end. Return the new events."""
        if self._deadline is None:
            self._deadline = Deadline(self._timeout, asyncio.get_running_loop().time())
        if self._response is not None:
            return await self._continue(self._response, self._deadline)
        request = self._call.next_request()
        if request is None:
            await self._end()
            return []
        return await self._run_interruptibly(
            self._find_nonce(self._deadline) if request.exclusive else self._ask(request, self._deadline)
        )

    async def _find_nonce(self, deadline: Deadline) -> list[Event]:
        """Search for a nonce, or wait for another stream that is searching for one."""
        flight, is_leader = self._transport.flights.join()
        return await (self._lead(flight, deadline) if is_leader else self._follow(flight, deadline))

    async def _lead(self, flight: Flight, deadline: Deadline) -> list[Event]:
        """Send all requests of the search, while other streams wait for its end."""
        self._flight = flight
        events: list[Event] = []
        try:
            while not self._closed and (request := self._call.next_request()) and request.exclusive:
                flight.progress("connect", request.delay)
                events += await self._ask(request, deadline)
                while self._response is not None:
                    flight.progress("idle")
                    events += await self._continue(self._response, deadline)
        finally:
            self._flight = None
            self._transport.flights.land(flight, self._call.shared_failure)
        return events

    async def _follow(self, flight: Flight, deadline: Deadline) -> list[Event]:
        """Wait for the end of another stream's search. If it fails, this stream fails with the same error."""
        try:
            failure = await flight.wait(deadline)
        except TimedOut as error:
            return self._call.receive_error(error)
        return [] if failure is None else self._call.receive_failure(failure)

    async def _ask(self, request: Request, deadline: Deadline) -> list[Event]:
        """Send a request, and process the head of its response."""
        try:
            if request.delay:
                await asyncio.sleep(deadline.pause(request.delay, asyncio.get_running_loop().time()))
            self._response = response = await self._transport.send(request, deadline, self._watch)
        except (ConnectionFailed, TooLarge) as error:
            return self._call.receive_error(error)
        return self._call.receive_response(response.status, response.headers)

    async def _continue(self, response: AsyncResponse, deadline: Deadline) -> list[Event]:
        """Process the next bytes of the answer, or its end."""
        call = self._call
        if call.over:
            await response.finish()
            self._response = None
            await self._end()
            return []
        try:
            data = await response.read(deadline)
        except (ConnectionFailed, TooLarge) as error:
            self._close_response()
            return [] if self._closed else call.receive_error(error)
        if self._closed:
            return []
        if data:
            return call.receive_data(data)
        self._close_response()
        return call.receive_eof()

    async def _end(self) -> None:
        """End the stream, since no request is left."""
        self._ended = True
        if self._owns_transport:
            await self._transport.close()

    def _check_loop(self) -> None:
        """Raise InvalidState if no asyncio event loop runs, or if another loop reads this answer."""
        loop = _running_loop()
        if loop is None:
            raise InvalidState(
                "AsyncClient works on an asyncio event loop, and none is running here; elsewhere, as with trio, use "
                "Client in a thread, or drive a Turn"
            )
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise self._misuse("another event loop reads this answer; make a client and a stream for each loop")

    def _interrupt(self, error: BaseException) -> None:
        """End the stream after an error that is not the answer's, such as a wrong call or a cancellation."""
        self._ended = True
        self._close_response()
        if not self._call.over:  # otherwise the answer is whole
            message = (
                "this answer ended when the wait for its next piece was cancelled; to wait with a limit, read "
                "stream.heartbeats(seconds)"
            )
            self._interruption = error if isinstance(error, ChatError) else self._misuse(message)

    def _check_interruption(self) -> None:
        """Raise the error that ended the stream before its answer was whole, unless the stream was closed since."""
        if self._interruption is not None and not self._closed:
            raise self._interruption

    def _misuse(self, message: str) -> InvalidState:
        error = InvalidState(message)
        error.partial_text = self.text
        return error

    def _call_in_loop(self, action: Callable[[], object]) -> None:
        """Call ``action`` in the loop that reads the answer: now, or soon if the caller runs in another thread."""
        if self._loop is None or self._loop is _running_loop():
            action()
            return
        try:
            self._loop.call_soon_threadsafe(action)
        except RuntimeError:  # the loop is closed, and its sockets with it
            self._response = None

    def _stop(self) -> None:
        """Close the response, and cancel the step that waits for one."""
        self._close_response()
        task, self._step_task = self._step_task, None
        if task is not None:
            task.cancel()

    def _close_response(self) -> None:
        """Close the response, if there is one."""
        if self._response is not None:
            self._response.close()
            self._response = None

    def _watch(self) -> None:
        """Store that the request has a connection, and that the wait for the first byte begins."""
        if self._flight is not None:
            self._flight.progress("first_byte")

    async def _run_interruptibly(self, step: Coroutine[Any, Any, list[Event]]) -> list[Event]:
        """Return the events of ``step``, or none if :meth:`aclose` has stopped it.

        Then :meth:`_stop` has cancelled this task. That cancellation ends here, as in ``asyncio.timeout``. A task of
        its own for the step would cost two iterations of the event loop.
        """
        task = self._step_task = cast(asyncio.Task[Any], asyncio.current_task())
        before = task.cancelling()
        try:
            return await step
        except asyncio.CancelledError:
            if self._step_task is not task and task.cancelling() == before + 1:
                return []
            raise
        finally:
            if self._step_task is not task:
                task.uncancel()
            self._step_task = None


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
