"""A connection: what came on it, whether it still stands, and waiting for more."""

from __future__ import annotations

import asyncio
from typing import cast

from .errors import WaitExpired

_UNREAD_LIMIT = 262_144  # bytes that may wait to be read before the peer has to


class Connection(asyncio.Protocol):
    """What came on a connection, and whether it still stands. At most one task waits for it."""

    __slots__ = (
        "_deadline", "_home", "_is_paused", "_live", "_loop", "_seconds", "_timer", "_unread", "_unsent", "_waiter",
        "at_eof", "is_choked", "is_over", "lost", "reason", "received", "transport",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, live: set[Connection]) -> None:
        self._loop = asyncio.get_running_loop()
        self._live = live
        self._home: dict[Connection, None] | None = None  # where it rests
        self.received: list[bytes] = []
        self._unread = 0
        self._unsent = 0
        self._is_paused = False
        self._waiter: asyncio.Future[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._seconds: float | None = None
        self._deadline = 0.0
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.reason = ""
        self.at_eof = False
        self.is_over = False  # nothing more will come
        self.is_choked = False  # the peer does not take what we send

    @property
    def is_fit(self) -> bool:
        """Whether another request can be sent: nothing is left over from the last one."""
        transport = self.transport
        return not (self.received or self.is_over or transport.is_closing() or transport.get_write_buffer_size())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # TCP_NODELAY is asyncio's default
        self.transport = cast(asyncio.Transport, transport)
        self._live.add(self)
        if self.is_over:  # given up meanwhile
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.received.append(data)
        self._unread += len(data)
        if self._unread > _UNREAD_LIMIT and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self.at_eof = self.is_over = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._live.discard(self)
        self.is_over = True
        self.reason = "" if exc is None else str(exc) or type(exc).__name__
        if not self.lost.done():
            self.lost.set_result(None)
        self._wake()

    def pause_writing(self) -> None:
        self.is_choked = True

    def resume_writing(self) -> None:
        self.is_choked = False
        self._wake()

    def write(self, data: bytes) -> bool:
        """Send data, and return whether any of it can have left."""
        self.transport.write(data)
        self._unsent = self.transport.get_write_buffer_size()
        return not self.transport.is_closing()

    def take(self) -> bytes:
        """Return what has come since the last time."""
        received = self.received
        if not received:
            return b""
        self.received, self._unread = [], 0
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()
        return received[0] if len(received) == 1 else b"".join(received)

    def put_back(self, data: bytes) -> None:
        """Let data be what the next :meth:`take` returns."""
        if data:
            self.received.insert(0, data)

    async def wait(self, clock: str, seconds: float | None) -> None:
        """Wait until something happens. Raises WaitExpired; when cancelled, the connection is closed at once."""
        if self._waiter is not None:
            raise RuntimeError("another task reads this response")
        self._seconds = seconds
        if seconds is not None:
            self._deadline = self._loop.time() + seconds
            if self._timer is None or self._timer.when() > self._deadline:  # or it looks at the deadline when it rings
                self._disarm()
                self._timer = self._loop.call_at(self._deadline, self._ring)
        self._waiter = self._loop.create_future()
        try:
            in_time = await self._waiter
        except BaseException:
            self.abort()
            raise
        finally:
            self._waiter = None
        if not in_time and not self.received and not self.is_over:
            raise WaitExpired(clock)

    def rest(self, home: dict[Connection, None], seconds: float) -> None:
        """Stay in ``home`` for the next request. Whatever happens meanwhile closes the connection."""
        self._disarm()
        self._home = home
        home[self] = None
        self._timer = self._loop.call_later(seconds, self.abort)

    def wake_up(self) -> None:
        """Stand ready for a request."""
        self._disarm()
        self._home = None

    def abort(self) -> None:
        """Close the connection at once."""
        self.is_over = True
        self._disarm()
        if self._home is not None:
            self._home.pop(self, None)
        if hasattr(self, "transport"):
            self.transport.abort()

    def _wake(self) -> None:
        if self._home is not None:
            self.abort()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done() or self._seconds is None:
            return
        unsent, before = self.transport.get_write_buffer_size(), self._unsent
        if unsent != before:  # the peer still takes what we send, and is not to answer yet
            self._unsent = unsent
            self._deadline = self._loop.time() + self._seconds
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._ring)
        else:
            self._waiter.set_result(False)
