"""Take the whole chunks out of a body, so that h11 reads only the other bytes."""

from __future__ import annotations

import sys

from ..net.chunks import chunk_size, whole_chunks


class ChunkSplitter:
    """Splits a chunked body into the payloads of whole chunks, and the bytes that h11 has to read.

    h11 needs 15 microseconds for a chunk. Its state between two chunks is the same before and after a whole chunk, so
    h11 does not need the whole chunks. It gets all other bytes and decides about them: chunks that arrive in parts,
    extensions, the last chunk, trailers, and malformed bytes. At most a part of the line before a chunk is held back,
    which would give no event either.
    """

    def __init__(self) -> None:
        self._held = b""
        self._owed = 0  # bytes for h11 until the next chunk begins

    def split(self, data: bytes) -> tuple[bytes, list[bytes], bytes]:
        """Return the next bytes of the body in their order: bytes for h11, payloads, and bytes for h11."""
        first = data[: self._owed]
        self._owed -= len(first)
        if self._owed:
            return first, [], b""
        data, self._held = self._held + data[len(first) :], b""
        payloads, position = whole_chunks(data)
        rest = data[position:]
        end = rest.find(b"\r\n", 0, 10)
        if end < 0 and len(rest) < 10:
            self._held = rest
            return first, payloads, b""
        size = chunk_size(rest[:end]) if end > 0 else 0
        missing = end + 4 + size - len(rest)
        # This is the last chunk, has an extension or is malformed, so h11 gets all bytes from here.
        self._owed = missing if size and missing > 0 else sys.maxsize
        return first, payloads, rest

    def flush(self) -> bytes:
        """Return the bytes that were held back. Call it at the end of the connection."""
        held, self._held = self._held, b""
        return held
