"""The file of answers: one process writes it at a time, and a kill at any moment loses no answer in it."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ... import InvalidInput
from ..streams import Failure
from .answers import Answers, read_answers, stored_of, to_line

if sys.platform != "win32":
    import fcntl


class AnswerFile:
    """The open file. ``answers`` are those of earlier runs and of this one."""

    def __init__(self, path: str, descriptor: int, answers: Answers) -> None:
        self.path = path
        self.answers = answers
        self._descriptor = descriptor

    def append(self, record: dict[str, Any]) -> None:
        """Write an answer or a failure behind the others. It is on the disk when this method returns.

        Raises Failure if it cannot be written.
        """
        data = to_line(record)
        if self.answers.lacks_line_end:
            data = b"\n" + data
        try:
            os.ftruncate(self._descriptor, self.answers.size)  # removes the part of a line that a kill left behind
            _write(self._descriptor, data)
            # Without this, a power failure could lose answers that the site's owner has paid for. It took 0.2 ms where
            # it was measured (ext4), and an answer takes seconds.
            os.fsync(self._descriptor)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.answers.size)
            raise Failure(f"{self.path} cannot be written: {error.strerror or error}") from error
        self.answers.size += len(data)
        self.answers.lacks_line_end = False
        self.answers.add(stored_of(record))


@contextmanager
def open_answers(path: str) -> Iterator[AnswerFile]:
    """Open the file of answers, or make it, and lock it until the end of the block. The system unlocks it after a kill.

    Raises InvalidInput for a file that this command has not written, and Failure if another process has locked it.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be opened: {error.strerror or error}") from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidInput(f"{path} is not a file, and the answers need one")
        _lock(descriptor, path)
        try:
            answers = read_answers(file.read())
        except InvalidInput as error:
            raise InvalidInput(f"{path} is not a file of answers: {error}") from None
        yield AnswerFile(path, descriptor, answers)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _lock(descriptor: int, path: str) -> None:
    """Lock a file. Windows has no such locks, and there this function does nothing."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Failure(f"{path} is in use: another batch is writing its answers there") from None
    except OSError as error:
        raise Failure(f"{path} cannot be locked, use a file on a local disk: {error.strerror or error}") from None
