"""A running answer: the loop that drives an exchange over any blocking transport, and the generator around it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from socket import SHUT_RDWR, socket
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from ..protocol.calls.deadline import Patience, Timeout
from ..protocol.calls.exchange import Exchange
from ..protocol.calls.request import Request
from ..protocol.parsing.errors import ConnectionFailed, InvalidState
from ..protocol.parsing.events import Event, Reply

T = TypeVar("T")

_LOOK_SECONDS = 0.1  # how often who waits for another thread's new session looks whether it is still wanted


class Response(Protocol):
    """What a transport has to offer of a response whose head has come."""

    status: int
    headers: Mapping[str, str]

    def read(self, patience: Patience) -> bytes:
        """Return what there is of the body, or the next that comes; ``b""`` at its end. Raises ConnectionFailed."""
        ...

    def finish(self) -> None:
        """Read the end of the body, if it is there, so that the connection can serve again."""

    def close(self) -> None:
        """Close the response, and the connection unless the body was read to its end."""


class Transport(Protocol):
    """What sends requests."""

    renewing: threading.Lock
    """The lock that exclusive requests hold."""

    def send(self, request: Request, patience: Patience, watch: Callable[[socket | None], None]) -> Response:
        """Return the response once its head has come, after telling ``watch`` which socket it will be waited for at.

        Raises ConnectionFailed.
        """
        ...


class Stream(Generator[T, None, None]):
    """A running answer: a generator of its pieces, which can also be closed at any time and from any thread.

    Iterate over it once, from one thread. ``with`` closes it at the end of the block, and so does letting go of it, as
    ``break`` does. After the end, :attr:`reply` has the whole answer.
    """

    def __init__(self, transfer: Transfer, view: Callable[[list[Event]], list[T]]) -> None:
        self._transfer = transfer
        self._items = transfer.run(view)  # it does not refer to this object, which can so be let go of

    def __repr__(self) -> str:
        return f"<Stream of {self._transfer.exchange!r}{', closed' if self._transfer.closed.is_set() else ''}>"

    @property
    def reply(self) -> Reply:
        """The whole reply. Raises the error of an answer that failed, and InvalidState where the end has not come."""
        return self._transfer.exchange.result()

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._transfer.exchange.text

    def __next__(self) -> T:
        try:
            return next(self._items)
        except ValueError as error:  # another thread is in the generator
            if self._transfer.closed.is_set():
                raise StopIteration from None
            if str(error) == "generator already executing":
                raise InvalidState("another thread is reading this stream") from None
            raise

    def send(self, value: None) -> T:
        """Return the next piece, as ``next()`` does; it is here for those who treat the stream as a generator."""
        return self.__next__()

    def throw(self, *error: Any) -> T:
        """Raise an error where the stream stands, which ends it."""
        return self._items.throw(*error)

    def close(self) -> None:
        """Stop the answer and free its connection. It may be called again, and from any thread.

        A reader that waits for the site in another thread stops at once, as if the answer had ended there; only the
        making of a connection is not interrupted.
        """
        self._transfer.cancel()
        with suppress(ValueError):  # another thread is in the generator, and leaves it now
            self._items.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Transfer:
    """The driving of one exchange over a transport."""

    def __init__(self, transport: Transport, exchange: Exchange, timeout: Timeout) -> None:
        self.exchange = exchange
        self.closed = threading.Event()
        self._transport = transport
        self._timeout = timeout
        self._response: Response | None = None
        self._socket: socket | None = None

    def cancel(self) -> None:
        """Wake whoever waits for the network, from whatever thread."""
        self.closed.set()
        waiting_at = self._socket
        if waiting_at is not None:
            with suppress(OSError):  # it is closed by now
                waiting_at.shutdown(SHUT_RDWR)

    def run(self, view: Callable[[list[Event]], list[T]]) -> Generator[T, None, None]:
        """Drive the exchange to its end."""
        exchange, patience = self.exchange, Patience(self._timeout, time.monotonic())
        try:
            while not self.closed.is_set() and (request := exchange.next_request()) is not None:
                steps = self._renew(request, patience) if request.exclusive else self._perform(request, patience)
                for events in steps:
                    yield from view(events)
                self._hang_up()
        finally:
            self._hang_up()
        if not self.closed.is_set():
            exchange.result()

    def _renew(self, request: Request, patience: Patience) -> list[list[Event]]:
        """Renew the session, to the end of the answer: nobody reads it piece by piece, and others wait for it."""
        renewing = self._transport.renewing
        while not renewing.acquire(timeout=_LOOK_SECONDS):
            if self.closed.is_set():
                return []
            if patience.left(time.monotonic()) == 0:
                return [self._fail(patience.expired("total", time.monotonic()))]
        try:
            if self.exchange.next_request() != request:
                return []  # another stream renewed the session while this one waited to do it
            return list(self._perform(request, patience))
        finally:
            renewing.release()

    def _perform(self, request: Request, patience: Patience) -> Iterator[list[Event]]:
        """Send a request and read its answer. What is yielded is never inside a ``try``: it may not come back."""
        exchange = self.exchange
        try:
            if request.delay and self.closed.wait(patience.within(request.delay, time.monotonic())):
                return
            response = self._response = self._transport.send(request, patience, self._watch)
        except ConnectionFailed as error:
            yield self._fail(error)
            return
        yield exchange.receive_response(response.status, response.headers)
        while not exchange.over:
            try:
                data = response.read(patience)
            except ConnectionFailed as error:
                yield self._fail(error)
                return
            if self.closed.is_set():
                return
            if not data:
                yield exchange.receive_eof()
                return
            yield exchange.receive_data(data)
        response.finish()

    def _watch(self, waiting_at: socket | None) -> None:
        self._socket = waiting_at
        if self.closed.is_set():  # by a thread that did not find the socket yet
            raise ConnectionFailed("the stream was closed")

    def _fail(self, error: ConnectionFailed) -> list[Event]:
        return [] if self.closed.is_set() else self.exchange.receive_error(error)

    def _hang_up(self) -> None:
        self._socket = None
        if self._response is not None:
            self._response.close()
            self._response = None
