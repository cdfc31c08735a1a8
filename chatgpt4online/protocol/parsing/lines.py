"""Join bytes, however they were cut, into whole lines.

AI Engine writes every event on one line (protocol section 2.1). So a line is an event here, and it is returned as soon
as it ends. Blank lines have no meaning. So CR, LF, CRLF and any mix of them need no memory between two calls: the LF of
a CRLF that was cut in two only ends one more blank line.
"""

from __future__ import annotations


class LineBuffer:
    """Holds the unfinished line of a stream, and returns whole lines as text.

    ``held`` is the unfinished line. The time is linear in the bytes however they are cut: each byte is searched once
    and copied a bounded number of times. Bytes that are not UTF-8 become U+FFFD.
    """

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: bytearray = bytearray()

    def push(self, data: bytes) -> str:
        """Return the lines that ``data`` completes, with their line ends, or ``""`` if it completes none."""
        cut = data.rfind(b"\n") + 1
        cut = data.rfind(b"\r", cut) + 1 or cut
        if not cut:
            self.held += data
            return ""
        if not self.held:
            lines = data[:cut].decode("utf-8", "replace")
        else:
            self.held += data[:cut]
            lines = self.flush()
        if cut < len(data):
            self.held += data[cut:]
        return lines

    def flush(self) -> str:
        """Return the unfinished line and discard it."""
        line = self.held.decode("utf-8", "replace")  # without bytes in between, since the line may be huge
        self.held = bytearray()
        return line
