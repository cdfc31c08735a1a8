"""Content encodings: compressed bytes of a body to plain ones."""

from __future__ import annotations

import zlib

_PIECE_LIMIT = 1_048_576  # bytes that one piece may decompress to


class Inflater:
    """Decompresses a body, a bounded piece at a time; ``has_more`` says that there is more without new data."""

    def __init__(self, encoding: str) -> None:
        self._is_gzip = encoding != "deflate"
        self._stream: zlib._Decompress | None = None
        self._input = b""
        self.has_more = False

    @property
    def is_cut(self) -> bool:
        """Whether the stream has begun and not ended."""
        return self._stream is not None and not self._stream.eof and not self.has_more

    def decode(self, data: bytes) -> bytes:
        """Return what comes of new data. Raises zlib.error."""
        data, output = self._input + data, b""
        while (data or self.has_more) and not output:
            if self._stream is None:
                # "deflate" comes with and without zlib's wrapper; nobody's bare stream begins with such a byte
                bits = 31 if self._is_gzip else 15 if data[0] & 15 == 8 else -15
                self._stream = zlib.decompressobj(bits)
            elif self._stream.eof:
                if not self._is_gzip or data[0] != 0x1F:  # no further member, but padding: browsers ignore it
                    self._is_gzip, data, self.has_more = False, b"", False
                    break
                self._stream = zlib.decompressobj(31)
            output = self._stream.decompress(data, _PIECE_LIMIT)
            data = self._stream.unused_data or self._stream.unconsumed_tail
            self.has_more = bool(data) or (len(output) == _PIECE_LIMIT and not self._stream.eof)
        self._input = data
        return output
