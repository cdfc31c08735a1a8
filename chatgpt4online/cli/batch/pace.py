"""The pace of a batch: when the next question may be sent, and how to react to a question that failed.

No function here reads a clock. Times are in seconds, as one clock counts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ... import Blocked, ChatError, ConnectionFailed, LimitReached, NonceRefused, NotAiEngine, StatusError

LONGEST_PAUSE = 600.0
"""The longest ``Retry-After`` that a batch waits for. For a longer one it ends, and the next run continues."""

_BUSY = (429, 503)
_FIRST_PAUSE = {True: 10.0, False: 0.5}  # for a busy site, and for a failed connection; each further one is doubled
_MOST_TRIES = {True: 5, False: 3}  # of one question; the client's own default for connections is 3 too
_MOST_UNREACHED = 3  # questions in a row that got no connection; then the site is down, and not one question wrong

# Every other question would fail with the same error.
_STOPS = (LimitReached, Blocked, NotAiEngine, NonceRefused)


@dataclass(slots=True)
class Pace:
    """The earliest time of the next question. ``interval`` is the least time between two questions."""

    interval: float = 0.0
    earliest: float = float("-inf")

    @classmethod
    def of(cls, per_minute: int | None) -> Pace:
        """Return the pace for a number of questions a minute, or for any number."""
        return cls(60 / per_minute if per_minute else 0.0)

    def wait(self, now: float) -> float:
        """Return the time until the next question may be sent. 0 means now."""
        return max(0.0, self.earliest - now)

    def start(self, now: float) -> None:
        """Note that a question is sent now."""
        self.earliest = max(self.earliest, now + self.interval)

    def pause(self, now: float, seconds: float) -> None:
        """Send no question for some seconds."""
        self.earliest = max(self.earliest, now + seconds)


class Reaction(Enum):
    """The reaction to a failed question."""

    RECORD = "store the failure, and go on with the next question"
    AGAIN = "pause the batch, and ask the question again"
    STOP = "store the failure, and ask no further question"


@dataclass(frozen=True, slots=True)
class Decision:
    """A reaction, with the length of the pause before AGAIN."""

    reaction: Reaction
    pause: float = 0.0


def decide(error: ChatError, *, has_begun: bool, tries: int, unreached: int) -> Decision:
    """Return how to react to the error of a question.

    ``has_begun`` is true if a part of the answer had arrived: then the site has charged the question, and it is not
    sent again in this run. ``tries`` is how often it was sent. ``unreached`` is the number of questions before it, in a
    row, that got no connection.
    """
    if isinstance(error, _STOPS):
        return Decision(Reaction.STOP)
    is_busy = error.retry_after is not None or (isinstance(error, StatusError) and error.status in _BUSY)
    if has_begun or not (is_busy or is_unreached(error)):
        return Decision(Reaction.RECORD)
    usual = _FIRST_PAUSE[is_busy] * 2 ** (tries - 1)
    pause = usual if error.retry_after is None else error.retry_after
    if tries < _MOST_TRIES[is_busy] and pause <= LONGEST_PAUSE:
        return Decision(Reaction.AGAIN, pause)
    return Decision(Reaction.STOP if is_busy or unreached + 1 >= _MOST_UNREACHED else Reaction.RECORD)


def is_unreached(error: ChatError) -> bool:
    """Return whether the question got no connection, or none that lived until an answer."""
    return isinstance(error, ConnectionFailed) and error.retryable
