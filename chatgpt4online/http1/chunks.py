"""Bytes of a chunked body before h11 sees them: runs of whole chunks become one."""

from __future__ import annotations

import re
import sys


class ChunkMerger:
    """Turns a run of whole chunks into one chunk that says the same, since h11 takes 15 microseconds for each.

    It stands before h11 from the start of a chunked body. Only whole, plain chunks are merged; h11 sees all else
    as it came, and judges it. What is held back is never more than a part of the line before a chunk, of which h11
    could make nothing either. ``is_one_chunk`` says that what was returned last gives just one event.
    """

    def __init__(self) -> None:
        self._held = b""
        self._owed = 0  # bytes to pass until the next chunk begins
        self.is_one_chunk = False

    def merge(self, data: bytes) -> bytes:
        """Return what to feed to h11 in place of the next bytes of the body; it may be ``b""``."""
        start = position = self._owed
        if start >= len(data):
            self._owed -= len(data)
            self.is_one_chunk = False
            return data
        if self._held:
            data, self._held = self._held + data, b""
        payloads: list[bytes] = []
        self._owed = 0
        while position < len(data):
            end = data.find(b"\r\n", position, position + 10)
            size = _SIZES.get(data[position:end]) or _chunk_size(data[position:end])
            after = end + 2 + size
            if end < 0 or not size or data[after : after + 2] != b"\r\n":
                break
            payloads.append(data[end + 2 : after])
            position = after + 2
        rest = self._judge(data[position:]) if position < len(data) else b""
        self.is_one_chunk = not start and not rest
        if len(payloads) < 2:
            return data if position + len(rest) == len(data) else data[:position]
        body = b"".join(payloads)
        return b"%b%x\r\n%b\r\n%b" % (data[:start], len(body), body, rest)

    def _judge(self, rest: bytes) -> bytes:
        """Return what h11 is to see of the bytes that are no whole chunk, and note how the next ones begin."""
        end = rest.find(b"\r\n", 0, 10)
        if end >= 0:
            size = _chunk_size(rest[:end])
            missing = end + 4 + size - len(rest)
            # What is neither plain nor whole is the last chunk or out of order: from here on it is all h11's
            self._owed = missing if size and missing > 0 else sys.maxsize
        elif len(rest) < 10:
            self._held, rest = rest, b""
        else:
            self._owed = sys.maxsize
        return rest

    def flush(self) -> bytes:
        """Return what was held back, for the end of the connection."""
        held, self._held = self._held, b""
        return held


_SIZES = {form % size: size for size in range(1, 1024) for form in (b"%x", b"%X")}


def _chunk_size(digits: bytes) -> int:
    return int(digits, 16) if re.fullmatch(rb"[0-9A-Fa-f]{1,8}", digits) else 0
