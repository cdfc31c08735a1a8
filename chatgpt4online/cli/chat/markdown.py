"""Cut Markdown into complete blocks while it arrives, and turn each into lines for a terminal.

Nothing of an answer is left out, and nothing in it controls the terminal: HTML and link definitions are shown as they
are written, each link shows its address, and no line holds a control character or a hyperlink.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, RenderableType
from rich.markdown import Markdown
from rich.segment import Segment
from rich.text import Text

from ..streams import visible

Line: TypeAlias = list[Any]  # of Segment, whose type is unknown to pyright behind its decorator

_LONGEST_BLOCK = 10_000  # characters; a longer block is cut, since each piece draws it again
_LEFT_AS_WRITTEN = ["autolink", "html_block", "html_inline", "reference"]  # rich would leave their text out


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt().enable(["strikethrough", "table"]).disable(_LEFT_AS_WRITTEN)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of Markdown, or the beginning of one and perhaps of the next."""

    source: str
    is_stable: bool = True
    """Whether lines stay as they are when more text follows. The columns of a table do not."""

    def lines(self, console: Console) -> list[Line]:
        """Return the lines for a terminal, without control characters and hyperlinks."""
        if not self.source.strip():
            return []
        try:
            lines = _render(console, _markdown(self.source))
        except Exception:  # the text is a stranger's, and a fault of rich must not hide it
            lines = _render(console, Text(self.source))
        filled = [number for number, line in enumerate(lines) if any(segment.text.strip() for segment in line)]
        return lines[filled[0] : filled[-1] + 1] if filled else []


class MarkdownText:
    """A text in Markdown that grows."""

    def __init__(self) -> None:
        self._source = ""

    def add(self, text: str) -> None:
        """Append a piece of the text."""
        self._source += visible(text.replace("\r", ""))

    def take_blocks(self, *, is_whole: bool = False) -> Iterator[Block]:
        """Remove the complete blocks from the beginning of the text, and yield them.

        A block is complete when a whole line of the next one has arrived: ``1. a`` and then ``-`` are two lists, but
        ``-5 degrees`` continues the first one. With ``is_whole``, no more text follows, and all blocks are complete.
        """
        whole, _, begun = self._source.rpartition("\n")
        if is_whole:
            whole, begun = self._source, ""
        lines = whole.split("\n")
        starts = [token.map[0] for token in _blocks(whole) if token.map]
        ends = [*starts[1:], *([len(lines)] if is_whole else [])]
        for start, end in zip(starts, ends, strict=False):
            yield Block("\n".join(lines[start:end]))
        if ends:
            self._source = "\n".join([*lines[ends[-1] :], begun])
        if len(self._source) > _LONGEST_BLOCK:
            yield self._cut()

    def rest(self) -> Block:
        """Return the last block, which may still grow."""
        return Block(self._source, not any(token.type == "table_open" for token in _blocks(self._source)))

    def _cut(self) -> Block:
        """Remove the beginning of a block that is too long, and return it. Code stays code."""
        head, end, self._source = self._source.rpartition("\n")
        if not end:
            head, self._source = self._source, ""
        code = [token for token in _blocks(head) if token.type == "fence"]
        if code:
            self._source = f"{code[-1].markup}{code[-1].info}\n{self._source}"
        return Block(head)


def _blocks(source: str) -> list[Token]:
    """Return the tokens that begin the outermost blocks."""
    return [token for token in _parser().parse(source) if token.level == 0 and token.nesting >= 0]


def _markdown(source: str) -> Markdown:
    markdown = Markdown("", hyperlinks=False)
    markdown.parsed = _parser().parse(source)
    for token in markdown.parsed:
        for child in token.children or ():
            if child.type == "image":  # rich would leave its address out
                child.type, child.tag, child.content = "text", "", f"{child.content} ({child.attrGet('src')})"
                child.children = None
    return markdown


def _render(console: Console, renderable: RenderableType) -> list[Line]:
    lines = console.render_lines(renderable, pad=False)
    return [[_clean(segment) for segment in Segment.strip_links(line) if not segment.control] for line in lines]


def _clean(segment: Segment) -> Segment:
    """Return a segment without control characters: the numeric entities of Markdown can stand for some."""
    return Segment(visible(segment.text), segment.style)
