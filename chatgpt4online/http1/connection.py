"""A connection: its received bytes, its state, and a wait for more bytes with a deadline."""

from __future__ import annotations

import asyncio
import select
from typing import cast

from ..net.failures import explain_os_error
from ..net.forks import disown
from .errors import WaitExpired

_UNREAD_LIMIT = 262_144  # bytes that are stored before reading pauses
BUFFER_SIZE = 32_768  # bytes of one read, as many as one turn of a task handles: the worst lines take about 10 ms


class Connection(asyncio.BufferedProtocol):
    """The received bytes of a connection, and its state. At most one task may wait for more bytes.

    ``buffer`` is where the event loop stores the bytes of one read, and all connections of a pool share it. With a
    ``Protocol``, asyncio makes an object of 256 KiB for each read, which costs three system calls.
    """

    __slots__ = (
        "_buffer", "_clock", "_deadline", "_is_expired", "_is_paused", "_live", "_loop", "_pool", "_seconds", "_timer",
        "_unread", "_unsent", "_waiter", "at_eof", "closed", "is_over", "is_write_paused", "reason", "received",
        "transport",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, live: set[Connection], buffer: memoryview) -> None:
        self._loop = asyncio.get_running_loop()
        self._live = live
        self._buffer = buffer
        self._pool: dict[Connection, None] | None = None  # the idle connections, if this one is idle
        self.received: list[bytes] = []
        self._unread = 0
        self._unsent = 0
        self._is_paused = False
        self._waiter: asyncio.Future[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._clock = ""
        self._seconds: float | None = None
        self._deadline = 0.0
        self._is_expired = False
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.reason: str = ""
        self.at_eof: bool = False
        self.is_over: bool = False  # no more bytes will arrive
        self.is_write_paused: bool = False  # the peer reads too slowly

    @property
    def is_reusable(self) -> bool:
        """Whether another request can be sent: the connection is open, and no bytes are left in either direction."""
        transport = self.transport
        return not (self.received or self.is_over or transport.is_closing() or transport.get_write_buffer_size())

    @property
    def has_news(self) -> bool:
        """Whether bytes or the end of the connection may have arrived that the event loop has not seen yet."""
        if not hasattr(select, "poll"):  # on Windows
            return True
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket"), select.POLLIN)
        return bool(poll.poll(0))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # TCP_NODELAY is asyncio's default
        self.transport = cast(asyncio.Transport, transport)
        self._live.add(self)
        if self.is_over:  # abort() was called before
            self.transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received.append(bytes(self._buffer[:nbytes]))
        self._unread += nbytes
        if self._unread > _UNREAD_LIMIT and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()
        self._notify()

    def eof_received(self) -> None:
        self.at_eof = self.is_over = True
        self._notify()

    def connection_lost(self, exc: Exception | None) -> None:
        self._live.discard(self)
        self.is_over = True
        if exc is not None:
            self.reason = explain_os_error(exc) if isinstance(exc, OSError) else str(exc) or type(exc).__name__
        if not self.closed.done():
            self.closed.set_result(None)
        self._notify()

    def pause_writing(self) -> None:
        self.is_write_paused = True

    def resume_writing(self) -> None:
        self.is_write_paused = False
        self._notify()

    def write(self, data: bytes) -> bool:
        """Send data. Return False if the connection is closing, so that no byte was sent."""
        self.transport.write(data)
        self._unsent = self.transport.get_write_buffer_size()
        return not self.transport.is_closing()

    def take(self, limit: int | None = None) -> bytes:
        """Return the bytes that arrived since the last call, at most ``limit``."""
        received = self.received
        if not received:
            return b""
        data = received[0] if len(received) == 1 else b"".join(received)
        if limit is None or len(data) <= limit:
            self.received = []
        else:
            self.received = [data[limit:]]
            data = data[:limit]
        self._unread = max(0, self._unread - len(data))
        if self._is_paused and self._unread <= _UNREAD_LIMIT:
            self._is_paused = False
            self.transport.resume_reading()
        return data

    def put_back(self, data: bytes) -> None:
        """Let the next :meth:`take` return these bytes first."""
        if data:
            self.received.insert(0, data)
            self._unread += len(data)

    def start_clock(self, clock: str, seconds: float | None) -> None:
        """Set the deadline of all later :meth:`wait` calls to ``seconds`` from now, or to none with None.

        The time starts again while the peer still receives data that was sent before.
        """
        self._clock = clock
        self._seconds = seconds
        self._is_expired = False
        if seconds is None:
            self._disarm()
            return
        self._deadline = self._loop.time() + seconds
        check = self._next_check(seconds)
        if self._timer is None or self._timer.when() > check:  # an earlier timer checks the new deadline anyway
            self._disarm()
            self._timer = self._loop.call_at(check, self._check_deadline)

    async def wait(self) -> None:
        """Wait for bytes, the end of the connection, or room to write. Cancelling closes the connection.

        Raises WaitExpired after the deadline, and RuntimeError while another task waits.
        """
        if self._waiter is not None:
            raise RuntimeError("another task reads this response")
        if self._is_expired:
            raise WaitExpired(self._clock)
        self._waiter = self._loop.create_future()
        try:
            in_time = await self._waiter
        except BaseException:
            self.abort()
            raise
        finally:
            self._waiter = None
        if not in_time and not self.received and not self.is_over:
            raise WaitExpired(self._clock)

    def release(self, pool: dict[Connection, None], seconds: float) -> None:
        """Add the connection to ``pool`` for at most ``seconds``. Any event closes it."""
        self._pool = pool
        pool[self] = None
        self._unsent = 0
        self.start_clock("", seconds)

    def acquire(self) -> None:
        """Take the connection out of the pool, for a request."""
        self._pool = None

    def abort(self) -> None:
        """Close the connection at once."""
        self.is_over = True
        self._disarm()
        if self._pool is not None:
            self._pool.pop(self, None)
        if hasattr(self, "transport") and not self.closed.done():  # abort() of a closed transport of CPython raises
            self.transport.abort()

    def disown(self) -> None:
        """Close this process's copy of the socket. The parent process still uses the connection."""
        if not self.closed.done() and (sock := self.transport.get_extra_info("socket")) is not None:
            disown(sock.fileno())

    def _notify(self) -> None:
        if self._pool is not None:
            self.abort()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next_check(self, seconds: float) -> float:
        """Return the time of the next check: the deadline, or an earlier time that notices the end of an upload."""
        return min(self._deadline, self._loop.time() + seconds / 8) if self._unsent else self._deadline

    def _check_deadline(self) -> None:
        self._timer = None
        if self._seconds is None:
            return
        unsent, before = self.transport.get_write_buffer_size(), self._unsent
        if unsent != before:  # the peer still receives the request, so it cannot answer yet
            self._unsent = unsent
            self._deadline = self._loop.time() + self._seconds
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._next_check(self._seconds), self._check_deadline)
            return
        self._is_expired = True
        if self._pool is not None:
            self.abort()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(False)
