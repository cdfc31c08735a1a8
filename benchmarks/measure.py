"""Measure functions in turns, and compare the results with their marks."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from .rows import ROWS

_TOLERANCE = 1.1  # --check accepts a figure that is 10 % over its mark, because two runs can differ by so much
_LARGEST = 3  # points for the slope: at smaller sizes, the fixed cost of a call hides the growth


@dataclass(frozen=True, slots=True)
class Plan:
    """The effort of a run: ``rounds`` for the medians, and whether it is ``quick``, with small sizes, for tests."""

    rounds: int = 15
    quick: bool = False

    @property
    def few(self) -> int:
        """The rounds of rows that take seconds: at least 5, except in a quick run."""
        return 1 if self.quick else max(5, self.rounds // 3)


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one row, one for each round, where less is better.

    ``unit`` is ``"x"`` for a ratio. ``peers`` has the median of the same figure for other ways to do the same work. A
    row without figures was not measured, and ``note`` gives the reason.
    """

    name: str
    figures: Sequence[float]
    mark: float
    unit: str = "x"
    note: str = ""
    peers: Mapping[str, float] = field(default_factory=dict)

    @property
    def value(self) -> float | None:
        """The median of the rounds, or None if the row was not measured."""
        return median(self.figures) if self.figures else None

    @property
    def quartiles(self) -> tuple[float, float] | None:
        """The lower and the upper quartile of the rounds, or None if the row was not measured."""
        if not self.figures:
            return None
        if len(self.figures) == 1:
            return self.figures[0], self.figures[0]
        lower, _, upper = quantiles(self.figures, n=4, method="inclusive")
        return lower, upper

    @property
    def met(self) -> bool | None:
        """Whether the median meets the mark, or None if the row was not measured."""
        return None if self.value is None else self.value <= self.mark

    @property
    def missed(self) -> bool:
        """Whether the median is beyond the mark by more than the tolerance."""
        return self.value is not None and self.value > self.mark * _TOLERANCE

    def to_dict(self) -> dict[str, object]:
        """Return the row for JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            "value": self.value,
            "quartiles": self.quartiles,
            "rounds": len(self.figures),
            "mark": self.mark,
            "met": self.met,
            "peers": dict(self.peers),
            "note": self.note,
        }


def row(
    benchmark: str, name: str, figures: Iterable[float], note: str = "", peers: Mapping[str, float] | None = None
) -> Result:
    """Return the result of a row of the table in ``rows.py``, which has its mark and its unit."""
    found = ROWS[benchmark][name]
    return Result(name, list(figures), found.mark, found.unit, note, peers or {})


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


def interleaved(tasks: Mapping[str, Callable[[], float]], rounds: int, warm: int = 1) -> dict[str, list[float]]:
    """Return the figures of each task, one for each round, without ``warm`` first rounds.

    Every second round has the reverse order, so that no task always runs behind the same one.
    """
    figures: dict[str, list[float]] = {name: [] for name in tasks}
    names = list(tasks)
    for number in range(warm + rounds):
        for name in names[:: -1 if number % 2 else 1]:
            figure = tasks[name]()
            if number >= warm:
                figures[name].append(figure)
    return figures


def ratios(figures: Sequence[float], base: Sequence[float]) -> list[float]:
    """Return the ratio of each round. Within one round, the state of the machine hardly changes."""
    return [figure / other for figure, other in zip(figures, base, strict=True)]


def medians(figures: Mapping[str, Sequence[float]], base: str, ours: Iterable[str] = ()) -> dict[str, float]:
    """Return the median ratio to ``base`` of each way that is neither the base nor one of ours."""
    others = (name for name in figures if name != base and name not in ours)
    return {name: median(ratios(figures[name], figures[base])) for name in others}


def exponent(points: Mapping[int, float]) -> float:
    """Return the slope of the figures over the sizes, both as logarithms: 1 for linear growth, 2 for quadratic.

    It is the line of least squares through the three largest sizes.
    """
    largest = sorted(points)[-_LARGEST:]
    xs, ys = [math.log(size) for size in largest], [math.log(points[size]) for size in largest]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)
