"""Content codings: read the names in Content-Encoding, and decode the body."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

OUTPUT_LIMIT = 16_384  # bytes that one call returns: the most expensive lines take milliseconds, then other tasks run
_BOMB_SIZE = 16 * 1_048_576  # bytes: the default limit of the parser for a body that is not a stream
_BOMB_RATIO = 200  # compression makes usual text 10 times smaller, and a log full of repetitions 100 times

_DECODABLE = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
# https://www.iana.org/assignments/http-parameters, without identity and the codings above
_REGISTERED = {"aes128gcm", "br", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress", "zstd"}
_GZIP_MAGIC = b"\x1f\x8b"


class EncodingError(Exception):
    """The body cannot be decoded: its coding is not supported, or its data is corrupt."""


class DecodedTooLarge(EncodingError):
    """A small body decodes to an enormous one."""


def read_codings(values: Iterable[str]) -> tuple[str, ...]:
    """Return the codings that Content-Encoding headers name, in the order in which the server applied them.

    Each is ``"gzip"`` or ``"deflate"``. ``identity`` and all names that are not registered with IANA ("utf-8", "none",
    "chunked") are ignored. Raises EncodingError for a registered coding that is not supported.
    """
    names = [name for value in values for name in re.split(r"[\s,]+", value.lower()) if name]
    if unknown := [name for name in names if name in _REGISTERED]:
        raise EncodingError(f"the body has the content coding {', '.join(unknown)}, which the request did not accept")
    return tuple(_DECODABLE[name] for name in names if name in _DECODABLE)


class Decoder:
    """Decodes a body, at most 16 KiB in each call. Call :meth:`decode` with ``b""`` while ``has_more`` is true.

    ``codings`` is a result of :func:`read_codings` with at least one name. A server behind a proxy may name gzip twice
    but apply it once. In that case the second gzip is skipped.
    """

    def __init__(self, codings: tuple[str, ...]) -> None:
        outermost_first = codings[::-1]
        self._stages = [
            _Stage(coding, is_optional=coding in outermost_first[:number])
            for number, coding in enumerate(outermost_first)
        ]
        self._inward = range(len(codings) - 1, -1, -1)
        self._input = 0

    @property
    def has_more(self) -> bool:
        """Whether :meth:`decode` may return more output without new input."""
        return any(stage.has_more for stage in self._stages)

    @property
    def is_cut(self) -> bool:
        """Whether the compressed data is incomplete so far. An empty body is complete."""
        return not self.has_more and any(stage.is_cut for stage in self._stages)

    def decode(self, data: bytes) -> bytes:
        """Return the next decoded bytes, perhaps ``b""``. Raises EncodingError."""
        self._input += len(data)
        self._stages[0].receive(data)
        output = b""
        # The innermost stage with input runs first, so that the output of an outer stage never piles up.
        first = next((number for number in self._inward if self._stages[number].has_more), len(self._stages))
        for stage in self._stages[first:]:
            stage.receive(output)
            output = stage.decode()
            if stage.output > max(_BOMB_SIZE, _BOMB_RATIO * self._input):
                raise DecodedTooLarge(f"{self._input} bytes of the body decode to more than {_BOMB_SIZE} bytes")
        return output


class _Stage:
    """One coding of a body."""

    def __init__(self, coding: str, *, is_optional: bool) -> None:
        self._is_gzip = coding == "gzip"
        self._is_undecided = is_optional and self._is_gzip  # whether the data is compressed at all
        self._is_plain = False
        self._is_over = False  # any further input is padding
        self._stream: zlib._Decompress | None = None
        self._input = b""
        self._is_full = False  # zlib may hold more output
        self.output = 0

    @property
    def has_more(self) -> bool:
        return self._is_full or (bool(self._input) and not self._needs_input)

    @property
    def is_cut(self) -> bool:
        return self._stream is not None and not self._stream.eof

    @property
    def _needs_input(self) -> bool:
        """Whether one more byte is needed to see if the input begins a gzip stream."""
        at_start = self._stream.eof if self._stream is not None else self._is_undecided
        return at_start and self._is_gzip and self._input == _GZIP_MAGIC[:1]

    def receive(self, data: bytes) -> None:
        self._input += data

    def decode(self) -> bytes:
        output = b""
        while self.has_more and not output:
            if self._is_over:
                self._input = b""
            elif self._is_plain or not (stream := self._stream_of_input()):
                output, self._input = self._input[:OUTPUT_LIMIT], self._input[OUTPUT_LIMIT:]
            elif not self._is_over:
                output = self._inflate(stream)
        self.output += len(output)
        return output

    def _stream_of_input(self) -> zlib._Decompress | None:
        """Return the stream for the next input, which may be a new stream, or None if the data is not compressed."""
        if self._stream is None:
            if self._is_undecided and not self._input.startswith(_GZIP_MAGIC):
                self._is_plain = True
                return None
            # "deflate" comes with and without zlib's header; a stream without it never begins with such a byte.
            self._stream = zlib.decompressobj(31 if self._is_gzip else 15 if self._input[0] & 15 == 8 else -15)
        elif self._stream.eof:
            if self._is_gzip and self._input.startswith(_GZIP_MAGIC):
                self._stream = zlib.decompressobj(31)
            else:  # padding behind the last gzip member; browsers ignore it too
                self._is_over = True
        return self._stream

    def _inflate(self, stream: zlib._Decompress) -> bytes:
        try:
            output = stream.decompress(self._input, OUTPUT_LIMIT)
        except zlib.error as error:
            raise EncodingError(f"the compressed body is corrupt: {error}") from None
        self._input = stream.unused_data or stream.unconsumed_tail
        self._is_full = len(output) == OUTPUT_LIMIT and not stream.eof
        return output
