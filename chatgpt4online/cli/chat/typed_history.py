"""The lines that a person typed in earlier chats, in a file that only this person can read."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

_MOST_ENTRIES = 1_000  # a file with twice as many is shortened to this number when it is read
_LONGEST_ENTRY = 10_000  # characters: a longer one is a pasted text, and few people want it again
_MOST_BYTES = 8 << 20  # a file that is larger, for any reason, is read from this far before its end


class TypedHistory:
    """A list of typed texts, the oldest first, and the file that stores them. None stands for no file.

    Each line of the file is one text as JSON. ``problem`` says why the file cannot be used, or is ``""``; then the
    list is only in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path: Path | None = path
        self.problem: str = ""
        self.entries: list[str] = []
        if path is not None:
            try:
                self.entries = self._read(path)
            except OSError as error:
                self._give_up(error)

    def add(self, text: str) -> None:
        """Append a text, unless it is blank or the same as the last one."""
        if not text.strip() or self.entries[-1:] == [text]:
            return
        self.entries.append(text)
        if self._path is not None and len(text) <= _LONGEST_ENTRY:
            try:
                self._append(self._path, json.dumps(text) + "\n")
            except OSError as error:
                self._give_up(error)

    def _read(self, path: Path) -> list[str]:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._append(path, "")  # so that a file that cannot be written is reported before anything is typed
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _MOST_BYTES))
            lines = file.read().splitlines()
        if len(lines) > 2 * _MOST_ENTRIES:
            lines = lines[-_MOST_ENTRIES:]
            short = path.with_name(f"{path.name}.{os.getpid()}")
            self._append(short, b"".join(line + b"\n" for line in lines).decode(errors="replace"))
            short.replace(path)
        return [text for line in lines if (text := _decoded(line))]

    def _append(self, path: Path, text: str) -> None:
        """Append to the file in one write, since two chats may do so at once. A new file is its owner's only."""
        number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with open(number, "ab", buffering=0) as file:
            file.write(text.encode())

    def _give_up(self, error: OSError) -> None:
        self.problem = f"{self._path}: {error.strerror or error}"
        self._path = None


def history_path() -> Path | None:
    """Return the place of the history: in the user's state directory, as the XDG specification says, or None."""
    state = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(state):
        return Path(state, "chatgpt4online", "history")
    with suppress(RuntimeError):  # no home directory is known
        return Path.home() / ".local" / "state" / "chatgpt4online" / "history"
    return None


def _decoded(line: bytes) -> str:
    with suppress(ValueError, RecursionError):
        text = json.loads(line)
        if isinstance(text, str):
            return text
    return ""
