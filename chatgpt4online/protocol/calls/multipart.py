"""A multipart/form-data body, which uploads a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import chain
from typing import BinaryIO

from ..parsing.errors import InvalidInput

_UPLOAD_PIECE = 65_536  # bytes


class Multipart:
    """A multipart/form-data body that holds one file, as an iterable of its pieces (RFC 7578).

    ``open_file`` is called each time it is iterated over, and returns a context manager of the file, which has ``size``
    bytes; it is read while it is sent. ``boundary`` is a string that the file cannot hold: a random one. ``len()`` is
    the size of the body in bytes. ``on_progress`` is called with the bytes sent so far and the whole size.
    """

    def __init__(
        self,
        fields: Mapping[str, str],
        open_file: Callable[[], AbstractContextManager[BinaryIO]],
        size: int,
        name: str,
        content_type: str,
        boundary: str,
        on_progress: Callable[[int, int], object] | None = None,
    ) -> None:
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._open_file = open_file
        self._on_progress = on_progress
        quoted = name.replace("\\", "\\\\").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in fields.items()
        ]
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n')
        try:
            self._head = ("".join(parts) + f"Content-Type: {content_type}\r\n\r\n").encode()
        except UnicodeEncodeError as error:
            raise InvalidInput(f"the file's name cannot be sent, give another one as name=: {error}") from None
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._size = len(self._head) + size + len(self._tail)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        with self._open_file() as file:
            for piece in chain([self._head], self._pieces(file), [self._tail]):
                yield piece
                sent += len(piece)
                if self._on_progress is not None:
                    self._on_progress(sent, self._size)

    def _pieces(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield the file up to the announced size, also when it has grown since."""
        left = self._size - len(self._head) - len(self._tail)
        while left:
            piece = file.read(min(left, _UPLOAD_PIECE))
            if not piece:
                raise InvalidInput("the file became shorter while it was sent")
            left -= len(piece)
            yield piece
