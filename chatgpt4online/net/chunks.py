"""Chunks of a body (RFC 9112, section 7.1), as far as both clients read them alike."""

from __future__ import annotations

import re

CHUNK_START = re.compile(rb"[0-9A-Fa-f]{1,20}(?:[; \t\r]|\Z)")
"""The beginning of the line before a chunk, perhaps a part of it."""

NOT_CHUNKED = "the head of the response says that the body is chunked, and it is not"

_DIGITS = re.compile(rb"[0-9A-Fa-f]{1,8}")
_SIZES = {form % size: size for size in range(1, 1024) for form in (b"%x", b"%X")}


def chunk_size(digits: bytes) -> int:
    """Return the size that the line before a chunk states, or 0 for the last chunk, an extension and anything else."""
    return _SIZES.get(digits) or (int(digits, 16) if _DIGITS.fullmatch(digits) else 0)


def whole_chunks(data: bytes, position: int = 0) -> tuple[list[bytes], int]:
    """Return the payloads of the whole chunks that stand at a position, and the position behind them.

    The last chunk, of size 0, and chunks with extensions are none of them.
    """
    payloads: list[bytes] = []
    while position < len(data):
        end = data.find(b"\r\n", position, position + 10)
        size = chunk_size(data[position:end])
        after = end + 2 + size
        if end < 0 or not size or data[after : after + 2] != b"\r\n":
            break
        payloads.append(data[end + 2 : after])
        position = after + 2
    return payloads, position
