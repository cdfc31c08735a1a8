"""Read what a person types: by prompt_toolkit on a terminal, if it is installed, and by ``input()`` otherwise."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Protocol

from ..streams import open_output, write_error
from .screen import is_capable
from .typed_history import TypedHistory

_PROMPT = "> "
_CONTINUED = ". "  # begins each further line of one question
_CONTINUES = "\\"  # ends a line that the next one continues
_LOCAL_FLAGS = 3  # the place of these flags in the list of termios


class LineEditor(Protocol):
    """A way to read one question, of one or more lines."""

    shows_typing: bool
    """Whether the editor itself shows what is typed, so that the terminal need not."""

    def read(self) -> str:
        """Return the next question.

        Raises EOFError at the end of the input (Ctrl-D), and KeyboardInterrupt for Ctrl-C. The error's argument is
        true if the line was empty.
        """
        ...


def choose_editor(history: TypedHistory, commands: Sequence[str]) -> LineEditor:
    """Return the editor for the terminal. ``commands`` are words that it completes at the begin of a line."""
    if is_capable(sys.stdin.isatty() and open_output().isatty()):
        with suppress(ImportError):  # prompt_toolkit is in the extra "cli"
            return _PromptEditor(history, commands)
    return _PlainEditor(history, commands)


class _PlainEditor:
    """The editor of Python itself, by readline if Python has it."""

    shows_typing = False

    def __init__(self, history: TypedHistory, commands: Sequence[str]) -> None:
        self._history = history
        self._has_terminal = open_output().isatty()
        self._readline: Any = None
        with suppress(ImportError):
            import readline  # noqa: PLC0415  # not every Python has it

            self._readline = readline
            readline.set_completer(partial(_completion, commands))
            readline.set_completer_delims("\n")  # a command is the whole line
            readline.parse_and_bind("tab: complete")
            readline.set_auto_history(False)  # a question of two lines is one entry
            for entry in history.entries:
                readline.add_history(entry)

    def read(self) -> str:
        """Return the next question. A line that ends with a backslash continues in the next one."""
        lines = [self._line(_PROMPT)]
        while lines[-1].endswith(_CONTINUES):
            lines[-1] = lines[-1].removesuffix(_CONTINUES)
            lines.append(self._line(_CONTINUED))
        text = "\n".join(lines)
        if self._readline is not None and text.strip():
            self._readline.add_history(text)
        self._history.add(text)
        return text

    def _line(self, prompt: str) -> str:
        if self._has_terminal:
            try:
                return input(prompt)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(prompt == _PROMPT and not self._typed()) from None
        write_error(prompt)  # standard output is a pipe or a file, and the prompt is not a part of it
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.removesuffix("\n")

    def _typed(self) -> str:
        """Return the characters of the interrupted line, or ``""`` if they are not known."""
        return "" if self._readline is None else self._readline.get_line_buffer()


def _completion(commands: Sequence[str], text: str, state: int) -> str | None:
    """Return the completion of a line with this number, or None behind the last one."""
    found = [command for command in commands if text and command.startswith(text)]
    return found[state] if state < len(found) else None


class _PromptEditor:
    """The editor of prompt_toolkit."""

    shows_typing = True

    def __init__(self, history: TypedHistory, commands: Sequence[str]) -> None:
        from prompt_toolkit import PromptSession  # noqa: PLC0415  # an optional dependency
        from prompt_toolkit.completion import WordCompleter  # noqa: PLC0415  # as above
        from prompt_toolkit.history import InMemoryHistory  # noqa: PLC0415  # as above
        from prompt_toolkit.shortcuts import CompleteStyle  # noqa: PLC0415  # as above

        self._history = history
        self._session = PromptSession(
            _PROMPT,
            multiline=True,
            prompt_continuation=_CONTINUED,
            history=InMemoryHistory(history.entries),
            key_bindings=_keys(),
            completer=WordCompleter(list(commands), sentence=True),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,  # a menu would keep lines of the screen free
        )

    def read(self) -> str:
        """Return the next question."""
        try:
            text: str = self._session.prompt()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(not self._session.default_buffer.text) from None
        self._history.add(text)
        return text


def _keys() -> Any:
    """Return the bindings of the keys that end a question, and those that begin a new line in it."""
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent  # noqa: PLC0415  # an optional dependency

    def send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.is_cursor_at_the_end and buffer.text.endswith(_CONTINUES):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    def begin_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    keys = KeyBindings()
    keys.add("enter")(send)
    keys.add("escape", "enter")(begin_line)  # Alt-Enter
    keys.add("escape", "c-j")(begin_line)  # the same, typed during an answer: the terminal turns \r into \n then
    return keys


@contextmanager
def hidden_typing() -> Iterator[None]:
    """Show nothing of what is typed in this block, which would disturb the answer. The next question begins with it."""
    try:
        import termios  # noqa: PLC0415  # only POSIX has it
    except ImportError:
        yield
        return
    try:
        before = termios.tcgetattr(sys.stdin)
    except (termios.error, ValueError):  # not a terminal, or closed
        yield
        return
    hidden = [*before]
    hidden[_LOCAL_FLAGS] &= ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSANOW, hidden)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)
