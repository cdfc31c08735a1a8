"""Time limits of a turn. Every method gets the current time as an argument; nothing here reads a clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard

from ..parsing.errors import InvalidInput, TimedOut

_LONGEST = 10_000_000.0  # seconds, about 115 days; some systems refuse longer waits


def is_time(value: object) -> TypeGuard[float]:
    """Return whether a value is a usable limit in seconds: a finite number above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _LONGEST


def _shown(value: object) -> str:
    try:
        return repr(value)
    except ValueError:
        return "an int with more digits than Python shows"


@dataclass(frozen=True, slots=True)
class Timeout:
    """Four time limits in seconds. None means no limit.

    ``connect`` limits the making of a connection. ``first_byte`` limits the wait from the sent request to the end of
    the answer's head. Sites send the head together with the model's first word (protocol section 7), so this limit
    includes the time in which the model thinks. ``idle`` limits each wait for the next byte of the body; chunk sizes
    and other framing do not count as bytes of the body. ``total`` limits a whole turn, including the search for a
    nonce, retries and waits.

    Raises InvalidInput for a limit that is not a number above 0.
    """

    connect: float | None = 10.0
    first_byte: float | None = 120.0
    idle: float | None = 60.0
    total: float | None = None

    def __post_init__(self) -> None:
        for clock in self.__slots__:
            seconds = getattr(self, clock)
            if seconds is not None and not is_time(seconds):
                raise InvalidInput(
                    f"timeout.{clock} is a number of seconds above 0 (up to {_LONGEST:g}), or None for no limit, "
                    f"not {_shown(seconds)}"
                )

    @classmethod
    def of(cls, value: Timeout | float | None) -> Timeout:
        """Return ``value`` as a Timeout. A number sets ``connect``, ``first_byte`` and ``idle``. None sets no limit.

        Raises InvalidInput for anything else, for example a pair of numbers as requests accepts it.
        """
        if isinstance(value, cls):
            return value
        if value is not None and not is_time(value):
            raise InvalidInput(
                f"timeout is seconds (a number above 0) or a Timeout, not {_shown(value)}; "
                "for two limits: Timeout(connect=3, first_byte=5)"
            )
        return cls(value, value, value)


class Deadline:
    """The time limits of one turn that began at ``now``.

    All times are seconds on one clock that never goes back, such as ``time.monotonic()``. The argument ``clock`` of
    the methods is the name of a limit: ``"connect"``, ``"first_byte"``, ``"idle"`` or ``"total"``.
    """

    def __init__(self, timeout: Timeout, now: float) -> None:
        self._timeout = timeout
        self.is_constant: bool = timeout.total is None
        """Whether :meth:`allow` returns the same at any time, since there is no total limit."""
        self._end = None if timeout.total is None else now + timeout.total

    def allow(self, clock: str, now: float) -> float | None:
        """Return how many seconds a wait under ``clock`` may last from ``now``. None means no limit.

        Raises TimedOut when the turn's total time is already over.
        """
        limit: float | None = getattr(self._timeout, clock)
        if self._end is None:
            return limit
        if now >= self._end:
            raise self.expired(clock, now)
        return self._end - now if limit is None else min(limit, self._end - now)

    def pause(self, seconds: float, now: float) -> float:
        """Return ``seconds``, the length of the wait before a request.

        Raises TimedOut, without waiting, if the turn's total time is over before the end of the wait.
        """
        if self._end is not None and now + seconds >= self._end:
            error = self.expired("total", now)
            error.before_request = True
            raise error
        return seconds

    def follow(self, clock: str, since: float, now: float) -> float | None:
        """Return how many seconds this turn may wait, from ``now``, for another turn that searches for the nonce.

        The other turn has waited under ``clock`` since the time ``since``. The result is at most the shortest limit of
        this turn: call this method again then, since the other turn may wait under another limit by then. None means no
        limit. Raises TimedOut if the wait is already longer than the limit ``clock`` of this turn, or if its ``total``
        time is over.
        """
        limit: float | None = getattr(self._timeout, clock)
        ends = [end for end in (None if limit is None else since + limit, self._end) if end is not None]
        if any(now >= end for end in ends):
            raise self.expired(clock, now)
        limits = [self._timeout.connect, self._timeout.first_byte, self._timeout.idle]
        waits = [seconds for seconds in limits if seconds is not None] + [end - now for end in ends]
        return min(waits, default=None)

    def expired(self, clock: str, now: float) -> TimedOut:
        """Return the error for a wait under ``clock`` that expired at ``now``."""
        if self._end is not None and now >= self._end - 0.001:  # timers can fire up to a millisecond early
            clock = "total"
        return TimedOut(clock, getattr(self._timeout, clock))
