"""Show a chat by rich: Markdown while it arrives, and dim lines about the session.

The complete blocks of an answer (paragraphs, lists, code) are printed once, and stay in the scrollback. Only the last
block, which is still growing, is drawn again for each piece. It never fills more than the screen, since a terminal
cannot draw again the lines that have left it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType, Segment, Segments
from rich.text import Text

from ..streams import open_output, visible
from .markdown import Block, Line, MarkdownText

_PAUSES = (
    4  # a drawing that takes 1 ms is followed by 4 ms without one, so that a large block does not delay its pieces
)
_OUTSIDE = 2  # lines of the terminal that a growing block leaves free: the one above it, and the one of the cursor
_AGAIN = "[again, in its new form:]"


class RichScreen:
    """A screen on a terminal that can move its cursor."""

    wraps = True

    def __init__(self) -> None:
        self._console = Console(file=open_output(), highlight=False)

    @contextmanager
    def answer(self) -> Iterator[_RichAnswer]:
        """Return a context in which an answer is shown."""
        answer = _RichAnswer(self._console)
        try:
            yield answer
        finally:
            answer.end()

    def message(self, text: str) -> None:
        """Show a whole message of the bot."""
        with self.answer() as answer:
            answer.add(text)

    def line(self, text: str) -> None:
        """Show a line that belongs to an answer. It is not cut, so that a terminal recognizes an address in it."""
        self._console.print(Text(visible(text)), soft_wrap=True)

    def note(self, text: str) -> None:
        """Show a dim line about the session."""
        self._console.print(Text(visible(text), "dim"))


class _RichAnswer:
    """An answer as Markdown."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._text = MarkdownText()
        self._drawn = 0  # lines of the growing block that are on the screen and can be drawn again
        self._printed: list[Line] = []  # lines of the growing block that are above these, and stay
        self._has_blocks = False
        self._has_news = False
        self._next = 0.0  # the time of the next drawing

    def add(self, text: str) -> None:
        self._text.add(text)
        self._has_news = True
        if time.monotonic() >= self._next:
            self.tick()

    def tick(self) -> None:
        if not self._has_news:
            return
        start = time.monotonic()
        with self._console:  # one write, so that the screen does not flicker
            self._erase()
            for block in self._text.take_blocks():
                self._print(block)
            self._draw(self._text.rest())
        self._has_news = False
        end = time.monotonic()
        self._next = end + _PAUSES * (end - start)

    def notice(self, text: str) -> None:
        with self._console:
            self._erase()
            self._console.print(Text(visible(text), "dim"))
            self._has_news = True
            self.tick()

    def end(self) -> None:
        """Print the rest of the answer, so that all of it stays."""
        with self._console:
            self._erase()
            for block in self._text.take_blocks(is_whole=True):
                self._print(block)

    def _print(self, block: Block) -> None:
        """Print the lines of a complete block that are not printed yet."""
        lines = block.lines(self._console)
        if not lines:
            return
        count = len(self._printed)
        if lines[:count] != self._printed:  # a later line has changed an earlier one, or the terminal's width has
            self._console.print(Text(_AGAIN, "dim"))
            count = 0
        self._show(lines[count:], has_gap=not count)
        self._printed = []

    def _draw(self, block: Block) -> None:
        """Draw the growing block in the lines that the next drawing erases."""
        lines = block.lines(self._console)
        count, most = len(self._printed), max(self._console.height - _OUTSIDE, 1)
        if block.is_stable and len(lines) - count > most and lines[:count] == self._printed:
            self._show(lines[count:-most], has_gap=not count)
            self._printed = lines[:-most]
        new = lines[len(self._printed) :]
        gap: list[Line] = [[]] if new and self._has_blocks and not self._printed else []
        shown = [*gap, *new][-most:]
        self._console.print(Segments(_joined(shown)), end="")
        self._drawn = len(shown)

    def _show(self, lines: list[Line], *, has_gap: bool) -> None:
        if has_gap and self._has_blocks:
            self._console.print()
        self._console.print(Segments([*_joined(lines), Segment.line()] if lines else []), end="")
        self._has_blocks = True

    def _erase(self) -> None:
        """Erase the drawn lines. The cursor is at the end of the last one."""
        if self._drawn:
            up = [(ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)] * (self._drawn - 1)
            self._console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *up))
        self._drawn = 0


def _joined(lines: list[Line]) -> list[Segment]:
    """Return the segments of lines, with line ends between them."""
    return [segment for line in lines for segment in (Segment.line(), *line)][1:]
