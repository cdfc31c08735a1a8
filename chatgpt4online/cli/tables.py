"""Print rows as a table: by rich on a terminal, if it is installed, and as plain columns otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from .streams import open_output, visible, write

_GAP = "  "


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], what: str) -> None:
    """Print a table. ``what`` names it in the message of an output that cannot be written."""
    if open_output(what).isatty():
        with suppress(ImportError):  # rich is in the extra "cli"
            _print_rich(heads, rows)
            return
        rows = [[visible(cell) for cell in row] for row in rows]
    lines = [[cell.replace("\n", " ") for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        write(_GAP.join(cells).rstrip() + "\n", what)


def _print_rich(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415  # an optional dependency
    from rich.table import Table  # noqa: PLC0415  # as above
    from rich.text import Text  # noqa: PLC0415  # as above

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")  # on a narrow terminal, a part of an id would be useless
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    Console().print(table)
