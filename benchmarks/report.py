"""The tables of a run, and those of README.rst: ``python -m benchmarks.report`` prints the latter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .measure import Result
from .rows import ROWS, Row

_MET = {True: "yes", False: "NO", None: "-"}


def table(results: Sequence[Result]) -> str:
    """Return the results as lines of aligned columns, with a column for each peer of any result."""
    peers = list(dict.fromkeys(peer for one in results for peer in one.peers))
    lines = [["row", "ours", "quartiles", "mark", "met?", *peers, ""]]
    for one in results:
        figures = [f"{one.peers[peer]:.2f}" if peer in one.peers else "" for peer in peers]
        value = "" if one.value is None else f"{one.value:.2f}"
        quartiles = "{:.2f}..{:.2f}".format(*one.quartiles) if one.quartiles else ""
        mark = f"<= {one.mark:.2f} {one.unit}".rstrip()
        lines.append([one.name, value, quartiles, mark, _MET[one.met], *figures, one.note])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def summary(found: Mapping[str, Sequence[Result]]) -> str:
    """Return how many marks are met, and the names of the rows that do not meet theirs or were not measured."""
    rows = [(f"{name}/{one.name}", one.met) for name, results in found.items() for one in results]
    lines = [f"{sum(met is True for _, met in rows)} of {len(rows)} marks are met"]
    for met, words in {False: "not met", None: "not measured"}.items():
        if names := [name for name, one in rows if one is met]:
            lines.append(f"{words}: {'; '.join(names)}")
    return "\n".join(lines)


def document() -> str:
    """Return the tables of README.rst."""
    return "\n".join(line for name, rows in ROWS.items() for line in _section(name, rows))


def _section(name: str, rows: Mapping[str, Row]) -> Iterator[str]:
    yield from (name, "-" * len(name), "", ".. list-table::", "   :header-rows: 1", "   :widths: 28 12 60", "")
    for cells in (("row", "mark", "meaning"), *((row, _mark(one), one.meaning) for row, one in rows.items())):
        yield from (f"   {'  -' if number else '* -'} {cell}" for number, cell in enumerate(cells))
    yield ""


def _mark(row: Row) -> str:
    return f"<= {row.mark:g} {row.unit}".rstrip()


if __name__ == "__main__":
    print(document())
