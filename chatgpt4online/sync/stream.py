"""The stream of one answer: a generator that drives an exchange over a blocking transport."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from socket import SHUT_RDWR, socket
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
from .signals import Flag, Sections

T = TypeVar("T")


class Response(Protocol):
    """A response whose head has arrived, as a transport returns it."""

    status: int
    headers: Iterable[tuple[str, str]]
    socket: socket | None
    """The socket that the body arrives on. None after the end, since another response may use it then."""

    def read(self, deadline: Deadline) -> bytes:
        """Return the next bytes of the body, or ``b""`` at its end. Wait only if no byte has arrived.

        Raises ConnectionFailed, and TooLarge for a small body that decodes to an enormous one.
        """
        ...

    def finish(self) -> None:
        """Read the rest of the body, if it arrives within 0.2 seconds, so that the connection can be used again."""

    def close(self) -> None:
        """Close the response, and its connection too if the body was not read to its end."""


class Transport(Protocol):
    """An object that sends requests."""

    flights: Flights
    """The searches for a nonce. Every exclusive request is part of one."""

    @property
    def sections(self) -> Sections:
        """The blocks of code in which the locks of the connections may be held."""
        ...

    @property
    def fork_count(self) -> int:
        """The number of forks between the process that made the connections and this process."""
        ...

    def send(self, request: Request, deadline: Deadline, watch: Callable[[socket | None], None]) -> Response:
        """Return the response as soon as its head has arrived.

        Before each wait for the network, ``watch`` is called with the socket of the connection. Raises
        ConnectionFailed.
        """
        ...


class Stream(Generator[T, None, None]):
    """The answer to one question, as a generator of its pieces or events.

    Iterate over it once, from one thread. The first iteration sends the question. Any thread may call :meth:`close` at
    any time. ``with`` closes the stream at the end of the block. A stream that is deleted, for example after a
    ``break``, closes its connection too. After the end, :attr:`reply` is the whole answer.
    """

    def __init__(self, transport: Transport, exchange: Drivable, timeout: Timeout, view: View[T]) -> None:
        self._transport = transport
        self._call = TracedCall(exchange)
        self._timeout = timeout
        self._view = view
        self._ready: Iterator[T] = iter(())  # items that were read but not yet returned
        self._failure: ChatError | None = None  # the error to raise after these items
        self._fork_count = transport.fork_count  # tells whether this process is a fork of the one that reads
        self._deadline: Deadline | None = None
        self._response: Response | None = None
        self._socket: socket | None = None
        self._busy = threading.Lock()  # held by the thread that reads
        self._flight: Flight | None = None  # the search that this stream leads
        self._waiting: Future[None] | None = None  # the step that a thread of heartbeats() carries out
        # Two ends, besides call.over: there the last event was returned, and the rest of the body may be unread.
        self._closed = Flag()  # set by close()
        self._ended = False  # no step is left: all requests were answered, or a step raised an error
        self._interruption: ChatError | None = None  # the error to raise again, since the answer is not whole

    def __repr__(self) -> str:
        return f"<Stream of {self._call!r}{', closed' if self._closed.is_set else ''}>"

    def __del__(self) -> None:
        if self._response is not None:
            self._transport.sections.run(self._response.close)

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
        return not (self._ended or self._closed.is_set)

    def __next__(self) -> T:
        while True:
            for item in self._ready:  # the next one, if there is any
                return item
            if self._failure is not None:
                error, self._failure = self._failure, None
                self._complete()
                raise error
            if self._ended or self._closed.is_set:
                self._check_interruption()
                raise StopIteration
            self._read()

    def open(self) -> Self:
        """Send the question, and wait for the first event of its answer. Return this stream.

        Call it before anything depends on the answer, for example before a back end sends its own status. It returns
        once a piece, a notice or the end of the answer has arrived; the iteration still returns it. An error that comes
        instead of an answer is raised here, also if the site sent it with the status 200. A second call returns at
        once, or raises the same error again. Raises InvalidState if the stream is closed.
        """
        while self._is_open and not (self._call.has_begun or self._call.over):
            self._read()
        if self._closed.is_set:
            raise self._misuse("this stream is closed: ask the question again")
        self._check_interruption()
        if not self._call.has_begun:
            self._failure = None
            self._complete()
            self._call.result()  # raises the error
        return self

    def until_done(self) -> Reply:
        """Read the answer to its end, and return the whole reply. It may be called at any time, also after the end.

        Raises the error of an answer that failed, and InvalidState if the stream was closed before the end.
        """
        for _ in self:
            pass
        if self._closed.is_set and not self._ended:
            raise self._misuse("this stream was closed before its end: ask the question again")
        return self.reply

    def heartbeats(self, seconds: float) -> Iterator[T | None]:
        """Return the items of this stream, and None whenever ``seconds`` have passed without an item.

        A back end can send a sign of life to its own client for each None. The answer goes on meanwhile, and after the
        loop the stream can be read further. If the loop may be left early, close the stream or use ``with``, since
        a wait that is under way keeps it open. ``seconds`` is a number above 0. Raises InvalidInput for another value.
        """
        return self._beats(check_seconds("seconds", seconds))

    def send(self, value: None) -> T:
        """Return the next item as ``next()`` does. A generator must have this method."""
        return self.__next__()

    def throw(self, *error: Any) -> T:
        """Close the stream and raise ``error``, as a generator does if it does not catch it."""
        self.close()
        raise error[0]

    def close(self) -> None:
        """Stop the answer and free its connection. It may be called again, from any thread, and in a signal handler.

        If another thread waits for the site, its iteration ends at once without an error. But if that thread is making
        a connection, its iteration ends only after that.
        """
        self._closed.set()
        self._wake()
        self._transport.sections.run(self._free)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _free(self) -> None:
        """End the search that this stream leads, and close its response, unless another thread is reading it."""
        # The reading thread may still be making a connection. The other streams do not wait for that.
        if (flight := self._flight) is not None:
            self._transport.flights.land(flight, None)
        if self._busy.acquire(blocking=False):  # otherwise the reading thread frees the connection itself
            try:
                self._ready = iter(())
                self._failure = None
                self._close_response()
            finally:
                self._busy.release()

    def _beats(self, seconds: float) -> Iterator[T | None]:
        end = time.monotonic() + seconds
        while self._failure is None and self._is_open:
            for item in self._ready:
                yield item
                break  # close() may have discarded the others
            else:
                if self._read(end - time.monotonic()):
                    continue
                yield None
            end = time.monotonic() + seconds
        for item in self:  # the last items, or the error; yield from would close this stream with the loop
            yield item

    def _read(self, seconds: float | None = None) -> bool:
        """Carry out the next step, and return True.

        With ``seconds``, another thread carries it out. Return False if that takes longer. Then the step continues, and
        the next call of this method waits for it.
        """
        if self._fork_count != self._transport.fork_count:
            self._enter_process()
        if seconds is None and self._waiting is None:
            self._advance()
            return True
        if self._waiting is None:
            self._waiting = _in_thread(self._advance)
        waiting = self._waiting
        try:
            if not wait([waiting], seconds).done:
                return False
        except BaseException:  # Ctrl-C ends the answer, as it does during a read in this thread
            self.close()
            raise
        self._waiting = None
        waiting.result()  # raises the error of the step
        return True

    def _complete(self) -> None:
        """Read the rest of the response after the last event, so that its connection can be used again."""
        while self._is_open:
            self._advance()

    def _advance(self) -> None:
        """Carry out the next step of the exchange, and store its items in ``_ready``."""
        if not self._busy.acquire(blocking=False):
            if self._closed.is_set:
                return
            raise InvalidState("another thread is reading this stream")
        with self._transport.sections:
            try:
                events = [] if self._closed.is_set else self._step()
                items, self._failure = self._view(events)
                self._ready = iter(items)
            except BaseException as error:
                self._interrupt(error)
                raise
            finally:
                self._busy.release()
                if self._closed.is_set:
                    self.close()

    def _step(self) -> list[Event]:
        """Read from the response, send the next request, or end. Return the new events."""
        if self._deadline is None:
            self._deadline = Deadline(self._timeout, time.monotonic())
        if self._response is not None:
            return self._continue(self._response, self._deadline)
        request = self._call.next_request()
        if request is None:
            self._ended = True
            return []
        return self._find_nonce(self._deadline) if request.exclusive else self._ask(request, self._deadline)

    def _find_nonce(self, deadline: Deadline) -> list[Event]:
        """Search for a nonce, or wait for another stream that is searching for one."""
        flight, is_leader = self._transport.flights.join(self._closed)
        return self._lead(flight, deadline) if is_leader else self._follow(flight, deadline)

    def _lead(self, flight: Flight, deadline: Deadline) -> list[Event]:
        """Send all requests of the search, while other streams wait for its end."""
        self._flight = flight
        events: list[Event] = []
        try:
            while not self._closed.is_set and (request := self._call.next_request()) and request.exclusive:
                flight.progress("connect", request.delay)
                events += self._ask(request, deadline)
                while self._response is not None:
                    flight.progress("idle")
                    events += self._continue(self._response, deadline)
        finally:
            self._flight = None
            self._transport.flights.land(flight, self._call.shared_failure)
        return events

    def _follow(self, flight: Flight, deadline: Deadline) -> list[Event]:
        """Wait for the end of another stream's search. If it fails, this stream fails with the same error."""
        try:
            failure = flight.wait(deadline, self._closed)
        except TimedOut as error:
            return self._call.receive_error(error)
        return [] if failure is None else self._call.receive_failure(failure)

    def _ask(self, request: Request, deadline: Deadline) -> list[Event]:
        """Send a request, and process the head of its response."""
        try:
            if request.delay and self._closed.wait(deadline.pause(request.delay, time.monotonic())):
                return []
            self._response = response = self._transport.send(request, deadline, self._watch)
        except (ConnectionFailed, TooLarge) as error:
            return [] if self._closed.is_set else self._call.receive_error(error)
        return self._call.receive_response(response.status, response.headers)

    def _continue(self, response: Response, deadline: Deadline) -> list[Event]:
        """Process the next bytes of the answer, or its end."""
        call = self._call
        if call.over:
            response.finish()
            self._close_response()
            return []
        try:
            data = response.read(deadline)
        except (ConnectionFailed, TooLarge) as error:
            self._close_response()
            return [] if self._closed.is_set else call.receive_error(error)
        if self._closed.is_set:
            self._close_response()
            return []
        if data:
            return call.receive_data(data)
        self._close_response()
        return call.receive_eof()

    def _enter_process(self) -> None:
        """Let this forked process read the answer. Raises InvalidState if another process reads it."""
        if self._deadline is not None:
            raise self._misuse("this process was forked after the answer began, so it cannot read it: ask again here")
        self._fork_count = self._transport.fork_count

    def _interrupt(self, error: BaseException) -> None:
        """End the stream after an error that is not the answer's, such as a wrong call or Ctrl-C."""
        self._ended = True
        self._close_response()
        if not self._call.over:  # otherwise the answer is whole
            message = "the reading of this answer was interrupted, so it is not whole: ask the question again"
            self._interruption = error if isinstance(error, ChatError) else self._misuse(message)

    def _check_interruption(self) -> None:
        """Raise the error that ended the stream before its answer was whole, unless the stream was closed since."""
        if self._interruption is not None and not self._closed.is_set:
            raise self._interruption

    def _misuse(self, message: str) -> InvalidState:
        error = InvalidState(message)
        error.partial_text = self.text
        return error

    def _close_response(self) -> None:
        """Close the response, if there is one."""
        self._socket = None
        if self._response is not None:
            self._response.close()
            self._response = None

    def _watch(self, sock: socket | None) -> None:
        """Store the socket on which the response will arrive, so that :meth:`close` can end the wait."""
        self._socket = sock
        if self._flight is not None:
            self._flight.progress("first_byte")
        if self._closed.is_set:  # close() ran before this socket was stored
            raise ConnectionFailed("the stream was closed")

    def _wake(self) -> None:
        """Shut the socket down, which wakes the thread that waits for it."""
        response = self._response
        sock = self._socket if response is None else response.socket
        if sock is not None:
            with suppress(OSError):  # the socket may be closed already
                sock.shutdown(SHUT_RDWR)


def _in_thread(action: Callable[[], None]) -> Future[None]:
    """Call ``action`` in a thread of its own, and return its outcome. The thread does not delay the program's exit."""
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            action()
        except BaseException as error:  # the thread that waits for the outcome raises it
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=run, name="chatgpt4online heartbeats", daemon=True).start()
    return outcome
