"""How long to wait, and which limit it was that ran out. The time is passed in; no clock is read here."""

from __future__ import annotations

from dataclasses import dataclass

from ..parsing.errors import InvalidInput, TimedOut

_LONGEST = 10_000_000.0  # seconds; more than some systems can wait


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _LONGEST


@dataclass(frozen=True, slots=True)
class Timeout:
    """Four limits in seconds; None is no limit.

    ``connect``: until there is a connection. ``first_byte``: from the sent request to the end of the answer's head,
    which comes when the model begins to speak (protocol section 7). ``idle``: until the next byte of the body; chunk
    sizes and the like do not count. ``total``: a whole turn, with its nonce, retries and waits.
    """

    connect: float | None = 10.0
    first_byte: float | None = 120.0
    idle: float | None = 60.0
    total: float | None = None

    def __post_init__(self) -> None:
        for clock in self.__slots__:
            seconds = getattr(self, clock)
            if seconds is not None and not _is_time(seconds):
                raise InvalidInput(
                    f"timeout.{clock} is a number of seconds above 0 (up to {_LONGEST:g}), or None for no limit, "
                    f"not {seconds!r}"
                )

    @classmethod
    def of(cls, value: Timeout | float | None) -> Timeout:
        """Return ``value`` as a Timeout: a number sets all limits but ``total``, and None sets none.

        Raises InvalidInput for anything else, such as the pair that requests takes.
        """
        if isinstance(value, cls):
            return value
        if value is not None and not _is_time(value):
            raise InvalidInput(
                f"timeout is seconds (a number above 0) or a Timeout, not {value!r}; "
                "for two limits: Timeout(connect=3, first_byte=5)"
            )
        return cls(value, value, value)  # type: ignore[arg-type]  # a number


class Deadline:
    """The limits of one turn that began at ``now`` (seconds on any clock that only goes forward)."""

    def __init__(self, timeout: Timeout, now: float) -> None:
        self._timeout = timeout
        self.is_constant = timeout.total is None
        """Whether a limit is the same at any time."""
        self._end = None if timeout.total is None else now + timeout.total

    def allow(self, clock: str, now: float) -> float | None:
        """Return the seconds that a wait under ``clock`` may take from ``now``; None is for ever.

        Raises TimedOut when the turn's total time is over already.
        """
        limit: float | None = getattr(self._timeout, clock)
        if self._end is None:
            return limit
        if now >= self._end:
            raise self.expired(clock, now)
        return self._end - now if limit is None else min(limit, self._end - now)

    def left(self, now: float) -> float | None:
        """Return the seconds that are left of the turn's total time, which may be 0; None is for ever."""
        return None if self._end is None else max(0.0, self._end - now)

    def within(self, seconds: float, now: float) -> float:
        """Return ``seconds``, or what is left of the turn's total time where that is less."""
        left = self.left(now)
        return seconds if left is None else min(seconds, left)

    def follow(self, clock: str, since: float, now: float) -> float | None:
        """Return the seconds that this turn may wait, from ``now``, for another turn that fetches the nonce.

        The other turn has waited under ``clock`` since the moment ``since``. Ask again after these seconds, since it
        may wait under another clock by then. Raises TimedOut where this turn would have stopped waiting by itself.
        """
        limit: float | None = getattr(self._timeout, clock)
        ends = [end for end in (None if limit is None else since + limit, self._end) if end is not None]
        if any(now >= end for end in ends):
            raise self.expired(clock, now)
        limits = [self._timeout.connect, self._timeout.first_byte, self._timeout.idle]
        waits = [seconds for seconds in limits if seconds is not None] + [end - now for end in ends]
        return min(waits, default=None)

    def expired(self, clock: str, now: float) -> TimedOut:
        """Return the error for a wait under ``clock`` that ran out at ``now``."""
        if self._end is not None and now >= self._end - 0.001:  # a timer may ring a little early
            clock = "total"
        return TimedOut(clock, getattr(self._timeout, clock))
