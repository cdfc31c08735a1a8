"""The multipart/form-data body of an upload."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import chain
from typing import BinaryIO

from ..parsing.errors import InvalidInput

_CHUNK_SIZE = 262_144  # bytes; with AsyncClient, a thread reads each chunk, and its call costs as much as 64 KiB


class Multipart:
    """A multipart/form-data body that holds one file (RFC 7578). Iteration yields it as chunks of bytes.

    ``open_file`` returns a context manager of the file. It is called once for each iteration, and the file is read
    while it is sent. The file has ``size`` bytes. ``boundary`` is a random string, so that the file cannot contain it.
    ``len()`` returns the size of the body in bytes. ``on_progress`` is called after each chunk, with the number of
    bytes sent so far and the size of the whole body. Raises InvalidInput for a name that cannot be encoded.
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
        self.content_type: str = f"multipart/form-data; boundary={boundary}"
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
            raise InvalidInput(f"the name of the file cannot be sent; pass another one as name=...: {error}") from None
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._size = len(self._head) + size + len(self._tail)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        with self._open_file() as file:
            for chunk in chain([self._head], self._file_chunks(file), [self._tail]):
                yield chunk
                sent += len(chunk)
                if self._on_progress is not None:
                    self._on_progress(sent, self._size)

    def _file_chunks(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield the file up to the announced size, even if it has grown since.

        Raises InvalidInput if it has become shorter.
        """
        left = self._size - len(self._head) - len(self._tail)
        while left:
            chunk = file.read(min(left, _CHUNK_SIZE))
            if not chunk:
                raise InvalidInput("the file became shorter while it was sent")
            left -= len(chunk)
            yield chunk
