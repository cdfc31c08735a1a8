"""Ask one question, and measure when each part of its answer arrives."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ... import ChatError, ConnectionFailed, Done, Event, Failed, Request, Text, Turn
from .fetch import Answer, Fetcher, cookie_header, joined, unreachable

_KEPT = 1024 * 1024  # bytes of the answer that are kept for the steps that look for warnings and keys


@dataclass(frozen=True, slots=True)
class Piece:
    """An event of the answer: the seconds from the question to its arrival, and the number of the read that held it.

    ``kind`` is ``text``, ``notice``, ``done`` or ``failed``. ``size`` is the number of characters of a text.
    """

    seconds: float
    read: int
    kind: str
    size: int = 0


@dataclass(slots=True)
class Measurement:
    """One question and its answer. Times are seconds since the question was sent; ``head`` is None without an answer.

    ``reads`` has a time and a number of bytes for each read of the body. ``text`` is the final text, and ``parts`` are
    the names of the parts that the answer has beside it.
    """

    head: float | None = None
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    reads: list[tuple[float, int]] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    error: ChatError | None = None
    text: str = ""
    parts: list[str] = field(default_factory=list)

    @property
    def texts(self) -> list[Piece]:
        """The pieces of text."""
        return [piece for piece in self.pieces if piece.kind == "text"]

    @property
    def first(self) -> float | None:
        """The time of the first event."""
        return self.pieces[0].seconds if self.pieces else None

    @property
    def last(self) -> float | None:
        """The time of the last event."""
        return self.pieces[-1].seconds if self.pieces else None

    def receive(self, seconds: float, size: int, events: list[Event]) -> None:
        """Add a read of the body, and the events that are complete with it."""
        self.reads.append((seconds, size))
        self.add(seconds, events)

    def add(self, seconds: float, events: list[Event]) -> None:
        """Add events that arrived with the last read."""
        for event in events:
            if isinstance(event, Failed):
                self.error = event.error
            if isinstance(event, Done):
                self.text = event.reply.text
                self.parts = [name for name in ("images", "actions", "blocks") if getattr(event.reply, name)]
            size = len(event.text) if isinstance(event, Text) else 0
            self.pieces.append(Piece(seconds, len(self.reads), type(event).__name__.lower(), size))


async def measure(fetcher: Fetcher, turn: Turn, clock: Callable[[], float]) -> Measurement:
    """Ask the question of a turn once, and return what arrived. ``clock`` returns seconds, and is called at each read.

    The turn fetches a nonce first, which costs nothing.
    """
    import asyncio  # noqa: PLC0415  # --help does not need it

    measurement, cookies = Measurement(), list[str]()
    try:
        async with asyncio.timeout(fetcher.timeout.total):
            while (request := turn.next_request()) is not None:
                measurement = Measurement()
                await _perform(fetcher, turn, request, cookies, measurement, clock)
    except TimeoutError:
        measurement.error = ConnectionFailed("the answer took longer than --timeout")
    if turn.over and measurement.error is None:
        try:
            turn.result()
        except ChatError as error:
            measurement.error = error
    return measurement


async def _perform(
    fetcher: Fetcher,
    turn: Turn,
    request: Request,
    cookies: list[str],
    measurement: Measurement,
    clock: Callable[[], float],
) -> None:
    """Send one request of the turn with these ``cookies``, read its answer, and add its cookies."""
    from ...http1 import HttpError, IncompleteBody  # noqa: PLC0415  # --help loads no HTTP library

    headers = fetcher.sent_headers(request.url, {**request.headers, **cookie_header(cookies)})
    sent, body, timeout = clock(), bytearray(), fetcher.timeout
    try:
        response = await fetcher.pool.send(
            request.method,
            request.url,
            headers,
            request.body if isinstance(request.body, bytes) else b"",
            connect=timeout.connect,
            first_byte=timeout.first_byte,
        )
    except HttpError as error:
        failure = unreachable(error, timeout)
        measurement.add(clock() - sent, turn.receive_error(ConnectionFailed(str(failure))))
        return
    measurement.head = clock() - sent
    measurement.status, measurement.headers = response.status, joined(response.headers)
    try:
        measurement.add(measurement.head, turn.receive_response(response.status, response.headers))
        while not turn.over and (data := await response.read(timeout.idle)):
            measurement.receive(clock() - sent, len(data), turn.receive_data(data))
            body += data[: max(0, _KEPT - len(body))]
        if not turn.over:
            measurement.add(_time(measurement), turn.receive_eof())
    except IncompleteBody:
        measurement.add(_time(measurement), turn.receive_eof())
    except HttpError as error:
        measurement.add(_time(measurement), turn.receive_error(ConnectionFailed(str(unreachable(error, timeout)))))
    finally:
        response.close()
        answer = Answer.of(request.method, request.url, response, bytes(body))
        cookies += answer.cookies
        fetcher.keep(answer)


def _time(measurement: Measurement) -> float:
    """Return the time of the last read: the end of a body, which may come later, is not a part of the answer."""
    return measurement.reads[-1][0] if measurement.reads else measurement.head or 0.0


def new_chat_id() -> str:
    """Return a name for a conversation."""
    return secrets.token_hex(6)
