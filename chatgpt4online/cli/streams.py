"""The standard streams of the program: their encodings, and the errors of closed ones."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TextIO

# A terminal could run control characters as commands, and the text is the model's: U+FFFD is shown in their place.
_CONTROLS = {code: "\ufffd" for code in [*range(32), *range(127, 160)] if chr(code) not in "\n\t"}


class Failure(Exception):
    """The command failed, and the reason is not an error of the chat. The program ends with the status 1."""


class ReaderGone(Exception):
    """The program that reads standard output has closed it."""


@contextmanager
def prepared(stream: TextIO | None, encoding: str = "utf-8", errors: str = "replace") -> Iterator[None]:
    """Set up a standard stream (None is a closed one): UTF-8 in pipes and files, the terminal's encoding in a terminal.

    Inside the block the stream is blocking. Some parent processes pass on a stream that is not: then Python treats a
    pause in the input as its end, and a write to a full pipe fails.
    """
    if isinstance(stream, io.TextIOWrapper):
        if stream.isatty():
            stream.reconfigure(errors="replace")
        else:
            stream.reconfigure(encoding=encoding, errors=errors)
    try:
        number = stream.fileno()  # type: ignore[union-attr]  # see below
        waits = os.get_blocking(number)
        os.set_blocking(number, True)
    except (AttributeError, OSError):  # closed, or not a file; Windows has no such function before Python 3.12
        yield
        return
    try:
        yield
    finally:
        os.set_blocking(number, waits)


def open_output(what: str = "the answer") -> TextIO:
    """Return standard output. Raises Failure if it is closed; ``what`` names the text in its message."""
    if sys.stdout is None:
        raise Failure(f"{what} cannot be written: standard output is closed")
    return sys.stdout


def write(text: str, what: str = "the answer") -> None:
    """Write to standard output at once. Raises ReaderGone, and Failure whose message names the text as ``what``."""
    output = open_output(what)
    try:
        output.write(text)
        output.flush()
    except BrokenPipeError:
        discard(output)
        raise ReaderGone from None
    except OSError as error:
        discard(output)
        raise Failure(f"{what} cannot be written: {error.strerror or error}") from error


def write_json(record: Mapping[str, Any], what: str = "the answer") -> None:
    """Write an object as one line of JSON in ASCII. Raises the errors of :func:`write`."""
    write(json.dumps(record, allow_nan=False) + "\n", what)


def write_error(text: str) -> None:
    """Write to standard error. A text that cannot be written is lost, and the program continues."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(visible(text))
            sys.stderr.flush()
        except OSError:
            discard(sys.stderr)


def visible(text: str) -> str:
    """Return a text for a terminal: control characters, except line ends and tabs, become U+FFFD."""
    return text.translate(_CONTROLS)


def discard(stream: TextIO | None) -> None:
    """Discard the buffered text of a stream. Python writes it again at exit, which would fail or block again."""
    with suppress(AttributeError, OSError):  # closed, or not a file
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())  # type: ignore[union-attr]  # None raises AttributeError
        os.close(null)
