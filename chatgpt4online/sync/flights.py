"""The search for a nonce, by one stream at a time, and its outcome for all that wait for it."""

from __future__ import annotations

import threading
import time

from ..protocol.calls.deadline import Deadline
from ..protocol.parsing.errors import ChatError
from .signals import Flag


class Flight:
    """One search: from the first request for a nonce until the session has one, or the search has failed.

    One stream leads it. Others wait for it. Where it ends without an outcome, since its leader was closed or ran out of
    its total time, one of them leads the next flight. ``failure`` is the failure that all of them share, or None.
    ``clock`` names the limit under which the leader waits, ``since`` is when that wait began, on the clock of
    ``time.monotonic()``.
    """

    def __init__(self) -> None:
        self.failure: ChatError | None = None
        self.is_over = False
        self.waiting: list[Flag] = []
        self.progress("connect")

    def progress(self, clock: str, delay: float = 0.0) -> None:
        """Note that the leader begins to wait under another limit, ``delay`` seconds from now."""
        self.clock, self.since = clock, time.monotonic() + delay

    def wait(self, deadline: Deadline, closed: Flag) -> ChatError | None:
        """Return the failure once the flight is over, or None as soon as ``closed`` is set.

        Raises TimedOut where the caller's own limits end the wait.
        """
        began = time.monotonic()
        while not (self.is_over or closed.is_set):
            closed.pause(deadline.follow(self.clock, max(began, self.since), time.monotonic()))
        return None if closed.is_set else self.failure


class Flights:
    """The flights of a client, of which there is at most one at a time."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._current: Flight | None = None

    def join(self, flag: Flag) -> tuple[Flight, bool]:
        """Return the flight that is under way, or a new one, and whether the caller leads it.

        The flight wakes the thread that waits for ``flag`` when it is over.
        """
        with self._guard:
            if self._current is None:
                self._current = Flight()
                return self._current, True
            self._current.waiting.append(flag)
            return self._current, False

    def land(self, flight: Flight, failure: ChatError | None) -> None:
        """End a flight, and wake all streams that wait for it. Does nothing where the flight has ended before."""
        with self._guard:
            if self._current is not flight:
                return
            self._current = None
            flight.failure, flight.is_over = failure, True
        for flag in flight.waiting:
            flag.wake()
