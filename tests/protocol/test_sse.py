"""LineBuffer joins bytes that were cut anywhere into whole lines of text."""

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
@example(["\u20ac\n".encode()[:2], "\u20ac\n".encode()[2:]])
@example([b"\xe2\x82", b"\xffa\n\xe2", b"\n"])
def test_lines_are_returned_unchanged_and_as_soon_as_they_end(pieces: list[bytes]) -> None:
    """After each piece, all ended lines were returned, and ``held`` is the unfinished line."""
    buffer, out, fed = LineBuffer(), "", b""
    for piece in pieces:
        lines = buffer.push(piece)
        out, fed = out + lines, fed + piece
        unfinished = re.split(rb"[\r\n]", fed)[-1]
        assert bytes(buffer.held) == unfinished
        assert out == fed[: len(fed) - len(unfinished)].decode("utf-8", "replace")
        assert lines == "" or lines.endswith(("\n", "\r"))
    rest = buffer.flush()
    assert out + rest == fed.decode("utf-8", "replace")
    assert buffer.held == b""
    assert buffer.flush() == ""


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"a\n"], ["a\n"]),
        ([b"a"], [""]),
        ([b""], [""]),
        ([b"a\r", b"\nb\n"], ["a\r", "\nb\n"]),
        ([b"a\r\nb", b"c"], ["a\r\n", ""]),
        ([b"a", b"b\nc\rd", b"\n"], ["", "ab\nc\r", "d\n"]),
        ([b"a\rb\nc"], ["a\rb\n"]),
        (["a\u2028b\u0085".encode(), b"\x0b\x0c\x1d\n"], ["", "a\u2028b\u0085\x0b\x0c\x1d\n"]),
    ],
)
def test_only_cr_lf_and_crlf_end_a_line(pieces: list[bytes], lines: list[str]) -> None:
    """A CR ends a line at once, before the LF of a CRLF arrives."""
    buffer = LineBuffer()
    assert [buffer.push(piece) for piece in pieces] == lines


def test_flushed_line_is_not_returned_again() -> None:
    buffer = LineBuffer()
    buffer.push(b"unfinished")
    assert buffer.flush() == "unfinished"
    assert buffer.push(b"next\n") == "next\n"


def test_long_line_in_small_pieces_is_returned_whole() -> None:
    """The line has a megabyte."""
    line = bytes(range(14, 128)) * 9000 + b"\n"
    buffer = LineBuffer()
    assert "".join(buffer.push(piece) for piece in cut(line, [997])) == line.decode()
