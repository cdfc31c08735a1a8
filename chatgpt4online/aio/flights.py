"""The search for a nonce, by one stream at a time, and its outcome for all that wait for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ..protocol.calls.deadline import Deadline
from ..protocol.parsing.errors import ChatError


class Flight:
    """One search: from the first request for a nonce until the session has one, or the search has failed.

    One stream leads it. Others wait for it. Where it ends without an outcome, since its leader was closed, cancelled or
    ran out of its total time, one of them leads the next flight. ``landed`` is done at the end; its result is the
    failure that all of them share, or None. ``clock`` names the limit under which the leader waits, ``since`` is when
    that wait began, on the clock of the loop.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.landed: asyncio.Future[ChatError | None] = self._loop.create_future()
        self.progress("connect")

    def progress(self, clock: str, delay: float = 0.0) -> None:
        """Note that the leader begins to wait under another limit, ``delay`` seconds from now."""
        self.clock, self.since = clock, self._loop.time() + delay

    async def wait(self, deadline: Deadline) -> ChatError | None:
        """Return the failure once the flight is over. Raises TimedOut where the caller's own limits end the wait."""
        began = self._loop.time()
        while not self.landed.done():
            seconds = deadline.follow(self.clock, max(began, self.since), self._loop.time())
            await asyncio.wait([self.landed], timeout=seconds)
        return self.landed.result()


class Flights:
    """The flights of a client, of which there is at most one at a time."""

    def __init__(self) -> None:
        self._current: Flight | None = None

    def join(self) -> tuple[Flight, bool]:
        """Return the flight that is under way, or a new one, and whether the caller leads it."""
        is_leader = self._current is None
        if self._current is None:
            self._current = Flight()
        return self._current, is_leader

    def land(self, flight: Flight, failure: ChatError | None) -> None:
        """End a flight, and wake all streams that wait for it."""
        self._current = None
        with suppress(RuntimeError):  # the loop is closed, and so nothing waits
            flight.landed.set_result(failure)
