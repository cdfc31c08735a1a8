"""One search for a nonce at a time, whose outcome all streams of a client share.

The names are those of Go's ``singleflight``: many callers that need the same thing share one flight.
"""

from __future__ import annotations

import threading
import time

from ..protocol.calls.deadline import Deadline
from ..protocol.parsing.errors import ChatError
from .signals import Flag


class Flight:
    """One search for a nonce, from its first request until the session has a nonce or the search has failed.

    One stream leads the flight: it sends the requests. Other streams that need a nonce wait. If the flight ends without
    an outcome, because its leader was closed or its total time expired, one of the waiting streams leads the next
    flight. ``failure`` is the error that all of them share, or None. ``clock`` is the name of the limit under which the
    leader waits. ``since`` is the time in seconds at which that wait began, as ``time.monotonic()`` counts.
    """

    clock: str
    since: float

    def __init__(self) -> None:
        self.failure: ChatError | None = None
        self.is_over = False
        self.waiting: list[Flag] = []
        self.progress("connect")

    def progress(self, clock: str, delay: float = 0.0) -> None:
        """Store that the leader begins to wait under the limit ``clock``, ``delay`` seconds from now."""
        self.clock, self.since = clock, time.monotonic() + delay

    def wait(self, deadline: Deadline, closed: Flag) -> ChatError | None:
        """Wait for the end of the flight. Return its failure, or None if it has none or if ``closed`` is set.

        Raises TimedOut if a limit of the caller's ``deadline`` expires.
        """
        began = time.monotonic()
        while not (self.is_over or closed.is_set):
            closed.pause(deadline.follow(self.clock, max(began, self.since), time.monotonic()))
        return None if closed.is_set else self.failure


class Flights:
    """The flights of one client. There is at most one at a time."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._current: Flight | None = None

    def join(self, flag: Flag) -> tuple[Flight, bool]:
        """Return the current flight or a new one, and whether the caller leads it.

        The end of the flight wakes the thread that waits for ``flag``.
        """
        with self._guard:
            if self._current is None:
                self._current = Flight()
                return self._current, True
            self._current.waiting.append(flag)
            return self._current, False

    def land(self, flight: Flight, failure: ChatError | None) -> None:
        """End a flight with an error or None, and wake all waiting streams. Does nothing if it has ended before."""
        with self._guard:
            if self._current is not flight:
                return
            self._current = None
            flight.failure, flight.is_over = failure, True
        for flag in flight.waiting:
            flag.wake()
