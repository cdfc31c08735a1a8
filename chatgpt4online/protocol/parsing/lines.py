"""Bytes, cut anywhere, to whole lines.

AI Engine writes every event on one line (protocol section 2.1), so a line *is* an event here and is passed on the
moment it ends. A blank line means nothing, and so CR, LF, CRLF and any mix of them need no memory from one piece to
the next: the LF of a CRLF that was cut in two merely ends one more blank line.
"""

from __future__ import annotations


class LineBuffer:
    """The unfinished line of a stream: pieces in, whole lines out.

    ``held`` is the unfinished line. Time is linear in the bytes however they are cut: each is looked at once, and
    moved a bounded number of times.
    """

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = bytearray()

    def push(self, data: bytes) -> bytes:
        """Return the lines that ``data`` completes, their ends included; ``b""`` when it completes none."""
        cut = data.rfind(b"\n") + 1
        cut = data.rfind(b"\r", cut) + 1 or cut
        if not cut:
            self.held += data
            return b""
        lines = data[:cut]
        if self.held:
            lines = self.flush() + lines
        if cut < len(data):
            self.held += data[cut:]
        return lines

    def flush(self) -> bytes:
        """Return the unfinished line and forget it."""
        line = bytes(self.held)
        self.held = bytearray()
        return line
