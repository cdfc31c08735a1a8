"""The reader of a chunked body (RFC 9112, 7.1)."""

from __future__ import annotations

import re
from http.client import IncompleteRead
from io import BufferedReader

from ..net.chunks import CHUNK_START, NOT_CHUNKED, chunk_size, whole_chunks
from ..net.heads import HEAD_LIMIT, LINE_LIMIT, BadHead

_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,20})[ \t]*(?:;.*)?\r\n")


class ChunkReader:
    """The reader of a body in chunks, from a buffered file.

    http.client can read chunks too, but it ignores malformed bytes between them.
    """

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._left = 0  # bytes that are left of the current chunk
        self._is_inside = False  # whether the line end after the current chunk is still unread
        self._is_first = True
        self._is_plain = True  # whether no chunk had extensions so far, so that many can be read at once
        self._is_over = False

    def read1(self, size: int) -> bytes:
        """Return the bytes of the body that have arrived, or wait for the next ones; ``b""`` at its end.

        Raises BadHead for a body that does not start with a chunk, and IncompleteRead for one that ends early or has
        malformed bytes after a chunk.
        """
        if not self._left:
            if self._is_over:
                return b""
            if self._is_inside:
                self._end_chunk()
            if self._is_plain and (data := self._whole_chunks(size)):
                return data
            if not self._begin_chunk():
                return b""
        data = self._file.read1(min(size, self._left))
        if not data:
            raise IncompleteRead(b"")
        self._left -= len(data)
        return data

    def _whole_chunks(self, size: int) -> bytes:
        """Return the payload of the whole chunks in the buffer, which is filled once if it is empty."""
        start = self._file.peek(1)
        if self._is_first and start and not CHUNK_START.match(start[:21]):
            raise BadHead(NOT_CHUNKED)  # without waiting for the end of the line, which may never arrive
        payloads, end = whole_chunks(start[:size])
        if payloads:
            self._is_first = False
            self._file.read(end)
        return payloads[0] if len(payloads) == 1 else b"".join(payloads)

    def _end_chunk(self) -> None:
        if self._file.read(2) != b"\r\n":
            raise IncompleteRead(b"")
        self._is_inside = False

    def _begin_chunk(self) -> bool:
        """Read up to the next chunk, or to the end of the body. Return whether there is a chunk."""
        received = self._file.readline(HEAD_LIMIT + 1)
        line = _CHUNK_LINE.fullmatch(received)
        if line is None:
            is_whole = received.endswith(b"\n") or len(received) > HEAD_LIMIT
            if self._is_first and (is_whole or not CHUNK_START.match(received[:21])):
                raise BadHead(NOT_CHUNKED)
            raise IncompleteRead(b"")
        self._is_first = False
        self._left = int(line[1], 16)
        self._is_inside = self._left > 0
        if self._is_inside:
            self._is_plain = self._is_plain and chunk_size(line[0][:-2]) > 0
        else:
            self._skip_trailers()
            self._is_over = True
        return self._is_inside

    def _skip_trailers(self) -> None:
        size = 0
        for _ in range(LINE_LIMIT):
            line = self._file.readline(HEAD_LIMIT + 1)
            size += len(line)
            if not line.endswith(b"\n") or size > HEAD_LIMIT:
                break
            if line in (b"\r\n", b"\n"):
                return
        raise IncompleteRead(b"")
