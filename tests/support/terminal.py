"""A terminal of a person: a program runs on a real pseudo-terminal, and pyte shows what the person sees."""

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyte

SECONDS = 60  # a text appears in less than a second; the limit only ends a test that has failed
_LOOK = 0.05  # seconds between two looks at a condition that no output announces
_MOST_LINES = 5_000  # of the scrollback

# A program gets its signals from a terminal only if that is its controlling terminal. subprocess has no way to ask for
# this except preexec_fn, which is unsafe beside threads.
_LAUNCH = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"


class Terminal:
    """The screen and the keyboard of a person, and the program that runs there."""

    def __init__(self, process: Any, user: int, columns: int, lines: int) -> None:
        self.process = process
        self.sent = b""  # all bytes that the program has written
        self._user = user
        self._is_open = True
        self._screen = pyte.HistoryScreen(columns, lines, history=_MOST_LINES, ratio=0.5)
        self._screen.write_process_input = lambda text: self._write(text.encode())  # the answers to its questions
        self._stream = pyte.ByteStream(self._screen)

    def type(self, text: str) -> None:
        """Type a text. ``"\\r"`` is Enter, ``"\\x03"`` is Ctrl-C, and ``"\\x04"`` is Ctrl-D."""
        self._write(text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C when the program waits for a key.

        Python's readline delays a signal that arrives between two waits until the next key.
        """
        state = Path(f"/proc/{self.process.pid}/stat")
        self.wait_until(lambda: state.read_text().rpartition(") ")[2].startswith("S"), "a program that waits")
        self.type("\x03")

    def display(self) -> list[str]:
        """Return the lines of the screen, without the blanks at their ends and the empty lines at the end."""
        return _trimmed(self._screen.display)

    def everything(self) -> list[str]:
        """Return the lines of the scrollback and of the screen."""
        columns = range(self._screen.columns)
        above = ["".join(line[column].data for column in columns) for line in self._screen.history.top]
        return _trimmed([*above, *self._screen.display])

    def style(self, text: str) -> Any:
        """Return the character, with its colours, that begins this text on the screen."""
        for number, line in enumerate(self._screen.display):
            if text in line:
                return self._screen.buffer[number][line.index(text)]
        raise AssertionError(f"the screen does not show {text!r}: {self.display()}")

    def wait_for(self, text: str, count: int = 1) -> None:
        """Return when the screen and its scrollback show this text so many times. Lines are joined by line ends."""
        self.wait_until(lambda: "\n".join(self.everything()).count(text) >= count, repr(text))

    def wait_until(self, is_true: Callable[[], bool], what: str) -> None:
        """Return when a condition is true. Raises AssertionError, with the screen, if the program ends before that."""
        end = time.monotonic() + SECONDS
        while not is_true():
            seen = "\n".join(self.everything())
            assert time.monotonic() < end, f"{what} does not appear:\n{seen}"
            self._read(_LOOK)
            assert self._is_open or is_true(), f"the program ended before {what}:\n{seen}"

    def wait(self) -> int:
        """Read the output until the program ends, and return its exit status."""
        end = time.monotonic() + SECONDS
        while self._read(max(0.0, end - time.monotonic())):
            pass
        return self.process.wait(SECONDS)

    def resize(self, columns: int, lines: int) -> None:
        """Change the size of the window."""
        _set_size(self._user, columns, lines)
        self._screen.resize(lines, columns)

    def _write(self, data: bytes) -> None:
        os.write(self._user, data)

    def _read(self, seconds: float) -> bool:
        """Read what arrives, and show it. Return False at the end of the output, and if nothing arrives for so long."""
        if not self._is_open or not select.select([self._user], [], [], seconds)[0]:
            return False
        data = b""
        with suppress(OSError):  # Linux reports the end as an error
            data = os.read(self._user, 65_536)
        self._is_open = bool(data)
        self.sent += data
        self._stream.feed(data)
        return self._is_open


@contextmanager
def terminal(
    command: list[str], env: dict[str, str], columns: int = 80, lines: int = 24, **streams: Any
) -> Iterator[Terminal]:
    """Run a program on a terminal of this size. It is killed at the end of the block."""
    user, program = os.openpty()
    _set_size(user, columns, lines)
    streams = {"stdin": program, "stdout": program, "stderr": program} | streams
    launch = [sys.executable, "-c", _LAUNCH, *command]
    with subprocess.Popen(launch, env={"TERM": "xterm-256color"} | env, start_new_session=True, **streams) as process:
        os.close(program)
        try:
            yield Terminal(process, user, columns, lines)
        finally:
            process.kill()
            os.close(user)


def _set_size(user: int, columns: int, lines: int) -> None:
    fcntl.ioctl(user, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def _trimmed(lines: list[str]) -> list[str]:
    lines = [line.rstrip() for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return lines
