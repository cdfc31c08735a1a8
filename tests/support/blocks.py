"""The code blocks of the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import dedent

_DIRECTIVE = re.compile(r"^( *)\.\. code-block:: *([\w-]*)\n(?:\1   :.*\n)*\n((?:\1   +.*\n|[ ]*\n)+)", re.MULTILINE)
_MARK = re.compile(r"^ *\.\. not run: (.+(?:\n +.+)*)\n\n\Z", re.MULTILINE)
_FILE = re.compile(r"Save this as ``([\w.]+)``:\n\n\Z")
_OUTPUT = re.compile(r"( *)It prints::\n\n((?:\1   +.*\n|[ ]*\n)+)")


@dataclass(frozen=True)
class Block:
    """A code block: where it is, what it holds, what it prints (None: anything), and why it does not run.

    ``file`` is the name under which the page tells the reader to save it, or ``""``.
    """

    line: int
    language: str
    code: str
    output: str | None
    reason: str
    file: str = ""

    @property
    def runs(self) -> bool:
        return not self.reason


def find_blocks(text: str) -> Iterator[Block]:
    """Yield the code blocks of a page."""
    for match in _DIRECTIVE.finditer(text):
        before = text[: match.start()]
        mark, file, output = _MARK.search(before), _FILE.search(before), _OUTPUT.match(text, match.end())
        line = text[: match.start(3)].count("\n") + 1
        code = dedent(match[3]).rstrip("\n") + "\n"
        reason = " ".join(mark[1].split()) if mark else ""
        shown = dedent(output[2]).strip("\n") if output else None
        yield Block(line, match[2], code, shown, reason, file[1] if file else "")
