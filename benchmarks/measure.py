"""Measure functions in turns, and compare the results with their marks."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

_TOLERANCE = 1.1  # --check accepts a figure that is 10 % over its mark, because two runs can differ by so much


@dataclass(frozen=True, slots=True)
class Result:
    """One figure, where less is better.

    ``unit`` is ``"x"`` for a ratio. ``peers`` has the same figure for other ways to do the same work.
    """

    workload: str
    value: float
    mark: float
    unit: str = "x"
    note: str = ""
    peers: Mapping[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the mark is reached."""
        return self.value <= self.mark

    @property
    def missed(self) -> bool:
        """Whether the mark is missed by more than the tolerance."""
        return self.value > self.mark * _TOLERANCE


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of one call.

    The garbage collector runs as in any program, but it does not visit objects from before the call.
    """
    gc.collect()
    gc.freeze()
    try:
        start = time.process_time()
        work()
        return time.process_time() - start
    finally:
        gc.unfreeze()


def interleaved(tasks: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return the figures of each task, one for each round, without a first round to warm up.

    Every second round has the reverse order, so that no task always runs behind the same one.
    """
    figures: dict[str, list[float]] = {name: [] for name in tasks}
    names = list(tasks)
    for number in range(rounds + 1):
        for name in names[:: -1 if number % 2 else 1]:
            figure = tasks[name]()
            if number:
                figures[name].append(figure)
    return figures


def ratio(figures: Sequence[float], base: Sequence[float]) -> float:
    """Return the median of the ratios of all rounds. Within one round, the state of the machine hardly changes."""
    return median(figure / other for figure, other in zip(figures, base, strict=True))
