"""LineBuffer joins bytes that were cut anywhere into whole lines."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatgpt4online.protocol.parsing.lines import LineBuffer

from ..support.strategies import bodies, cut, cut_bodies

endings = st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\r\n", b"", "\u2028\u0085".encode(), b"\x0b\x0c\x1c"]))


@given(cut_bodies(st.one_of(bodies(), endings.map(b"".join))))
@example([b"a\r", b"\nb\n"])
@example([b"a\r\n", b"\n", b"", b"b"])
@example([b"\n", b"\r", b"a"])
@example([b"a", b"b", b"\rc", b"d\n"])
def test_lines_are_returned_unchanged_and_as_soon_as_they_end(pieces: list[bytes]) -> None:
    """After each piece, all ended lines were returned, and ``held`` is the unfinished line."""
    buffer, out, fed = LineBuffer(), b"", b""
    for piece in pieces:
        lines = buffer.push(piece)
        out, fed = out + lines, fed + piece
        unfinished = re.split(rb"[\r\n]", fed)[-1]
        assert bytes(buffer.held) == unfinished
        assert out + unfinished == fed
        assert lines == b"" or lines.endswith((b"\n", b"\r"))
    rest = buffer.flush()
    assert out + rest == fed
    assert buffer.held == b""
    assert buffer.flush() == b""


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"a\n"], [b"a\n"]),
        ([b"a"], [b""]),
        ([b""], [b""]),
        ([b"a\r", b"\nb\n"], [b"a\r", b"\nb\n"]),
        ([b"a\r\nb", b"c"], [b"a\r\n", b""]),
        ([b"a", b"b\nc\rd", b"\n"], [b"", b"ab\nc\r", b"d\n"]),
        ([b"a\rb\nc"], [b"a\rb\n"]),
        (["a\u2028b\u0085".encode(), b"\x0b\x0c\x1d\n"], [b"", "a\u2028b\u0085\x0b\x0c\x1d\n".encode()]),
    ],
)
def test_only_cr_lf_and_crlf_end_a_line(pieces: list[bytes], lines: list[bytes]) -> None:
    """A CR ends a line at once, before the LF of a CRLF arrives."""
    buffer = LineBuffer()
    assert [buffer.push(piece) for piece in pieces] == lines


def test_flushed_line_is_not_returned_again() -> None:
    buffer = LineBuffer()
    buffer.push(b"unfinished")
    assert buffer.flush() == b"unfinished"
    assert buffer.push(b"next\n") == b"next\n"


def test_flushed_line_does_not_change_later() -> None:
    buffer = LineBuffer()
    buffer.push(b"a")
    line = buffer.flush()
    buffer.push(b"b")
    assert line == b"a"
    assert isinstance(line, bytes)


def test_long_line_in_small_pieces_is_returned_whole() -> None:
    """The line has a megabyte."""
    line = bytes(range(14, 256)) * 4400 + b"\n"
    buffer = LineBuffer()
    assert b"".join(buffer.push(piece) for piece in cut(line, [997])) == line
