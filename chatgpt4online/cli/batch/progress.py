"""The progress of a batch on standard error: a bar by rich on a terminal, and a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from ..streams import visible, write_error

_PLAIN_INTERVAL = 10.0  # seconds between two lines; a log of a long batch stays short


@dataclass(slots=True)
class Counts:
    """The numbers of a batch: all questions, those that were answered before, and those of this run."""

    total: int
    before: int = 0
    answered: int = 0
    failed: int = 0

    @property
    def done(self) -> int:
        """The number of questions with an answer or a failure."""
        return self.before + self.answered + self.failed

    def rate(self, seconds: float) -> float:
        """Return the questions a minute in ``seconds`` of this run."""
        return 60 * (self.answered + self.failed) / seconds if seconds > 0 else 0.0

    def seconds_left(self, seconds: float) -> float | None:
        """Return the time that the other questions take at this rate, or None if the rate is not known."""
        rate = self.rate(seconds)
        return 60 * (self.total - self.done) / rate if rate else None

    def speed(self, seconds: float) -> str:
        """Return the rate and the time left, in a few words."""
        left = self.seconds_left(seconds)
        return "" if left is None else f"{self.rate(seconds):.3g}/min, {duration(left)} left"

    def line(self, seconds: float) -> str:
        """Return the progress as a line."""
        failed = f", {self.failed} failed" if self.failed else ""
        speed = self.speed(seconds)
        return f"{self.done} of {self.total} questions{failed}{speed and ', '}{speed}\n"


class Display(Protocol):
    """A way to show the progress."""

    def update(self) -> None:
        """Show the counts as they are now."""

    def say(self, text: str) -> None:
        """Show a message in a line of its own."""


class Plain:
    """Writes a line after an answer, if the last one is some time ago."""

    def __init__(self, counts: Counts, clock: Callable[[], float] = time.monotonic) -> None:
        self._counts = counts
        self._clock = clock
        self._started = self._last = clock()

    def update(self) -> None:
        """Write a line if it is time for one."""
        now = self._clock()
        if now - self._last >= _PLAIN_INTERVAL:
            self._last = now
            write_error(self._counts.line(now - self._started))

    def say(self, text: str) -> None:
        """Write a message."""
        write_error(f"{text}\n")


class Bar:
    """A bar of rich."""

    def __init__(self, counts: Counts, progress: Any) -> None:
        self._counts = counts
        self._progress = progress
        self._task = progress.add_task("", total=counts.total, completed=counts.done, speed="")
        self._started = time.monotonic()

    def update(self) -> None:
        """Draw the counts."""
        counts = self._counts
        speed = counts.speed(time.monotonic() - self._started)
        self._progress.update(self._task, completed=counts.done, speed=speed)

    def say(self, text: str) -> None:
        """Write a message above the bar."""
        self._progress.console.print(visible(text), markup=False, highlight=False)


@contextmanager
def shown_progress(counts: Counts, *, has_log: bool) -> Iterator[Display]:
    """Show the progress until the end of the block. ``has_log``: the lines of a log would destroy a bar."""
    has_bar = not has_log and sys.stderr is not None and sys.stderr.isatty()
    progress = _rich_progress() if has_bar else None
    if progress is None:
        yield Plain(counts)
        return
    with progress:
        yield Bar(counts, progress)


def duration(seconds: float) -> str:
    """Return a time in one or two units: ``0.5 s``, ``8 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if 0 < seconds < 1 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _rich_progress() -> Any:
    """Return a progress of rich, or None if rich is not installed."""
    try:
        from rich import console, progress  # noqa: PLC0415  # an optional dependency
    except ImportError:
        return None
    columns = progress.BarColumn(), progress.MofNCompleteColumn(), progress.TextColumn("{task.fields[speed]}")
    return progress.Progress(*columns, console=console.Console(stderr=True), expand=False)
