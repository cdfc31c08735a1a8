"""The chunk reader of the sync client gives the same bytes as h11, however the bytes are cut."""

import io
from collections.abc import Iterable
from http.client import IncompleteRead
from typing import Any

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatgpt4online.net.chunks import NOT_CHUNKED, whole_chunks
from chatgpt4online.net.heads import HEAD_LIMIT, BadHead
from chatgpt4online.sync.chunks import ChunkReader

from ..http1.test_http1 import _cut, _h11, bodies
from ..support.server import LAST_CHUNK, chunk

SIZE = 65_536


class Pieces(io.RawIOBase):
    """A file that returns one piece for each read, as a socket does, and counts the reads."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.left = list(pieces)
        self.reads = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.reads += 1
        piece = self.left.pop(0) if self.left else b""
        if len(piece) > len(buffer):
            self.left.insert(0, piece[len(buffer) :])
        size = min(len(piece), len(buffer))
        buffer[:size] = piece[:size]
        return size


def read(pieces: Iterable[bytes]) -> tuple[list[bytes], Exception | None]:
    """Return the parts of a body, and the error that ended it."""
    reader = ChunkReader(io.BufferedReader(Pieces(pieces), SIZE))
    parts = []
    try:
        while part := reader.read1(SIZE):
            parts.append(part)
        assert reader.read1(SIZE) == b""
    except (BadHead, IncompleteRead) as error:
        return parts, error
    return parts, None


def read_by_h11(data: bytes) -> tuple[bytes, bool]:
    """Return a body, and whether h11 finds a fault."""
    http, body = _h11(), b""
    try:
        for piece in (data, b""):
            http.receive_data(piece)
            while isinstance(event := http.next_event(), h11.Data):
                body += event.data
            if isinstance(event, h11.EndOfMessage):
                return body, False
    except h11.RemoteProtocolError:
        return body, True
    return body, True


@settings(max_examples=1_000, deadline=None)
@given(
    bodies.filter(lambda body: b" ;" not in body),  # h11 does not accept white space before an extension
    st.one_of(st.just([]), st.lists(st.integers(1, 30)), st.lists(st.just(1), min_size=300, max_size=300)),
)
@example(b"5\r\nhello\r\n5\r\nworld\rX", [])
@example(b"1\r\na\r\n-1\r\nb", [])
def test_body_equals_that_of_h11(body: bytes, cuts: list[int]) -> None:
    parts, error = read(_cut(body, cuts))
    theirs, is_faulty = read_by_h11(body)
    assert b"".join(parts) == theirs
    if not is_faulty:
        assert error is None
    # Only a malformed trailer is a fault behind the body, which is complete in that case.
    assert is_faulty == (error is not None) or b"\n0" in b"\n" + body


@settings(max_examples=200, deadline=None)
@given(bodies.filter(lambda body: len(body) < 300))
@example(b"0\x00")
def test_cuts_change_nothing(body: bytes) -> None:
    whole, error = read([body])
    for cut in range(1, len(body)):
        parts, other = read([body[:cut], body[cut:]])
        assert b"".join(parts) == b"".join(whole)
        assert type(other) is type(error)


@given(st.lists(st.binary(min_size=1, max_size=1_000), min_size=1, max_size=40))
def test_run_of_chunks_takes_one_read(payloads: list[bytes]) -> None:
    file = Pieces([b"".join(map(chunk, payloads)), LAST_CHUNK])
    reader = ChunkReader(io.BufferedReader(file, SIZE))
    assert reader.read1(SIZE) == b"".join(payloads)
    assert file.reads == 1
    assert reader.read1(SIZE) == b""


def test_part_of_a_chunk_is_returned_before_the_rest_arrives() -> None:
    file = Pieces([b"a\r\nhello", b"world", b"\r\n"])
    reader = ChunkReader(io.BufferedReader(file, SIZE))
    assert reader.read1(SIZE) == b"hello"
    assert file.reads == 1
    assert reader.read1(SIZE) == b"world"
    assert file.reads == 2


def test_run_behind_a_chunk_in_parts_takes_one_read() -> None:
    reader = ChunkReader(io.BufferedReader(Pieces([b"5\r\nhe", b"llo\r\n" + chunk(b"a", b"b", b"c")]), SIZE))
    assert [reader.read1(SIZE) for _ in range(3)] == [b"he", b"llo", b"abc"]


@pytest.mark.parametrize("first", [b"hello\r\n", b"5 hello\r\n", b"\r\n", b"0x5\r\n", b"5;" + b"x" * HEAD_LIMIT])
def test_body_that_does_not_begin_with_a_chunk_is_refused(first: bytes) -> None:
    parts, error = read([first, chunk(b"hello") + LAST_CHUNK])
    assert parts == []
    assert isinstance(error, BadHead)
    assert str(error) == NOT_CHUNKED


@pytest.mark.parametrize("trailers", [b"X: y\r\n" * 1_001 + b"\r\n", b"X: " + b"y" * HEAD_LIMIT + b"\r\n\r\n", b"X: y"])
def test_trailers_over_the_limits_or_cut_short_are_incomplete(trailers: bytes) -> None:
    parts, error = read([chunk(b"hello") + b"0\r\n" + trailers])
    assert parts == [b"hello"]
    assert isinstance(error, IncompleteRead)


def test_chunks_with_extensions_are_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The buffer is copied for each search, which would take quadratic time."""
    searched = []
    monkeypatch.setattr(
        "chatgpt4online.sync.chunks.whole_chunks", lambda data: searched.append(len(data)) or whole_chunks(data)
    )
    parts, error = read([b"1;a\r\nx\r\n" * 1_000 + LAST_CHUNK])
    assert (b"".join(parts), error) == (b"x" * 1_000, None)
    assert len(searched) == 1
