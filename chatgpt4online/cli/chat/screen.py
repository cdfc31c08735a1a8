"""Show a chat to a person: answers as they arrive, and lines about the session. This module shows plain text."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol

from ..streams import open_output, visible, write, write_error


class Answer(Protocol):
    """An answer that is being shown."""

    def add(self, text: str) -> None:
        """Show the next piece of the answer."""

    def tick(self) -> None:
        """Show the pieces that are not shown yet. It is called when no piece arrives for a moment."""

    def notice(self, text: str) -> None:
        """Show a notice, which is not part of the answer."""


class Screen(Protocol):
    """Everything that a chat shows."""

    wraps: bool
    """Whether long addresses in an answer are cut into lines, so that a terminal does not recognize them."""

    def answer(self) -> AbstractContextManager[Answer]:
        """Return a context in which an answer is shown. Its end ends the last line, also after an error."""
        ...

    def message(self, text: str) -> None:
        """Show a whole message of the bot."""

    def line(self, text: str) -> None:
        """Show a line that belongs to an answer, such as an address. It is not cut."""

    def note(self, text: str) -> None:
        """Show a line about the session."""


def choose_screen(*, is_plain: bool, has_notes: bool) -> Screen:
    """Return the screen for standard output: by rich on a terminal, if it is installed, and plain otherwise.

    With ``is_plain``, it is always plain. Without ``has_notes``, the lines about the session are left out.
    """
    if not is_plain and is_capable(open_output().isatty()):
        with suppress(ImportError):  # rich is in the extra "cli"
            from .rich_screen import RichScreen  # noqa: PLC0415  # it imports rich

            return RichScreen()
    return PlainScreen(has_notes=has_notes)


def is_capable(is_terminal: bool) -> bool:
    """Return whether a stream leads to a terminal that can move its cursor."""
    return is_terminal and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")


class PlainScreen:
    """A screen that only appends text to standard output. Notices are on standard error."""

    wraps = False

    def __init__(self, *, has_notes: bool = True) -> None:
        self._is_terminal = open_output().isatty()
        self._has_notes = has_notes

    @contextmanager
    def answer(self) -> Iterator[_PlainAnswer]:
        """Return a context in which an answer is shown."""
        answer = _PlainAnswer(self._is_terminal)
        try:
            yield answer
        finally:
            answer.end_line()

    def message(self, text: str) -> None:
        """Show a whole message of the bot, if the session has notes."""
        if self._has_notes and self._is_terminal:
            self.line(text)
        elif self._has_notes:
            write_error(f"{text}\n")

    def line(self, text: str) -> None:
        """Show a line that belongs to an answer."""
        write((visible(text) if self._is_terminal else text) + "\n")

    def note(self, text: str) -> None:
        """Show a line about the session: on standard error if standard output is not a terminal."""
        columns = shutil.get_terminal_size().columns
        lines = [
            part for line in text.split("\n") for part in textwrap.wrap(line, columns, break_long_words=False) or [""]
        ]
        self.message("\n".join(lines))


class _PlainAnswer:
    """An answer as plain text."""

    def __init__(self, is_terminal: bool) -> None:
        self._is_terminal = is_terminal
        self._last = "\n"

    def add(self, text: str) -> None:
        if text:
            self._last = text
            write(visible(text) if self._is_terminal else text)

    def tick(self) -> None:
        """Do nothing: each piece is shown at once."""

    def notice(self, text: str) -> None:
        if self._is_terminal:
            self.end_line()
        write_error(f"{text}\n")

    def end_line(self) -> None:
        if not self._last.endswith("\n"):
            self.add("\n")
