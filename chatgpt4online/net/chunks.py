"""Chunks of a body (RFC 9112, section 7.1): the functions that both clients share."""

from __future__ import annotations

import re

CHUNK_START = re.compile(rb"[0-9A-Fa-f]{1,20}(?:[; \t\r]|\Z)")
"""Matches the beginning of the line before a chunk, also if only a part of the line has arrived."""

NOT_CHUNKED = "the body is not chunked, although the head of the response says so"

_DIGITS = re.compile(rb"[0-9A-Fa-f]{1,8}")
_SIZES = {form % size: size for size in range(1, 1024) for form in (b"%x", b"%X")}


def chunk_size(digits: bytes) -> int:
    """Return the size in the line before a chunk, or 0 for the last chunk, for an extension and for anything else."""
    return _SIZES.get(digits) or (int(digits, 16) if _DIGITS.fullmatch(digits) else 0)


def whole_chunks(data: bytes, position: int = 0) -> tuple[list[bytes], int]:
    """Return the payloads of the whole chunks that begin at a position, and the position behind them.

    The search ends before the last chunk, which has the size 0, and before a chunk with an extension.
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
