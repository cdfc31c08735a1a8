"""Functions to the seconds that they take in turns, and results to compare with their marks."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

_TOLERANCE = 1.1  # --check lets a mark be missed by a tenth: that much, two runs can differ


@dataclass(frozen=True, slots=True)
class Result:
    """One figure, where less is better.

    ``unit`` is ``"x"`` for a ratio; ``peers`` has the same figure for other ways to do the same work.
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
        """Whether the mark is missed by more than chance explains."""
        return self.value > self.mark * _TOLERANCE


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of one call.

    Garbage is collected as in any program, but what lived before the call is kept out of it.
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
    """Return what each task says in each round; a first round, to warm up, is not counted.

    Every second round goes backwards, so that no task always runs behind the same one.
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
    """Return the median of the rounds' own ratios: one round has one state of the machine."""
    return median(figure / other for figure, other in zip(figures, base, strict=True))
