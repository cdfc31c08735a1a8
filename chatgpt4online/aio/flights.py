"""One search for a nonce at a time, whose outcome all streams of a client share.

The names are those of Go's ``singleflight``: many callers that need the same thing share one flight.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ..protocol.calls.deadline import Deadline
from ..protocol.parsing.errors import ChatError


class Flight:
    """One search for a nonce, from its first request until the session has a nonce or the search has failed.

    One stream leads the flight: it sends the requests. Other streams that need a nonce wait. If the flight ends without
    an outcome, because its leader was closed or cancelled or its total time expired, one of the waiting streams leads
    the next flight. ``landed`` is a future whose result is the error that all of them share, or None. ``clock`` is the
    name of the limit under which the leader waits. ``since`` is the time in seconds at which that wait began, as the
    clock of the event loop counts.
    """

    clock: str
    since: float

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.landed: asyncio.Future[ChatError | None] = self._loop.create_future()
        self.progress("connect")

    def progress(self, clock: str, delay: float = 0.0) -> None:
        """Store that the leader begins to wait under the limit ``clock``, ``delay`` seconds from now."""
        self.clock, self.since = clock, self._loop.time() + delay

    async def wait(self, deadline: Deadline) -> ChatError | None:
        """Wait for the end of the flight, and return its failure or None.

        Raises TimedOut if a limit of the caller's ``deadline`` expires.
        """
        began = self._loop.time()
        while not self.landed.done():
            seconds = deadline.follow(self.clock, max(began, self.since), self._loop.time())
            await asyncio.wait([self.landed], timeout=seconds)
        return self.landed.result()


class Flights:
    """The flights of one client. There is at most one at a time."""

    def __init__(self) -> None:
        self._current: Flight | None = None

    def join(self) -> tuple[Flight, bool]:
        """Return the current flight or a new one, and whether the caller leads it."""
        is_leader = self._current is None
        if self._current is None:
            self._current = Flight()
        return self._current, is_leader

    def land(self, flight: Flight, failure: ChatError | None) -> None:
        """End a flight with an error or None, and wake all waiting streams."""
        self._current = None
        with suppress(RuntimeError):  # the loop is closed, so no stream waits
            flight.landed.set_result(failure)
