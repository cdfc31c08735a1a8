"""Content codings: the names in the header, and decoding in bounded parts."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online.net.encoding import DecodedTooLarge, Decoder, EncodingError, read_codings


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ()),
        ([""], ()),
        (["gzip"], ("gzip",)),
        (["X-GZIP"], ("gzip",)),
        (["deflate"], ("deflate",)),
        (["gzip, deflate"], ("gzip", "deflate")),
        (["gzip", "deflate"], ("gzip", "deflate")),
        (["gzip,identity"], ("gzip",)),
        (["identity , gzip"], ("gzip",)),
        (["gzip,utf-8"], ("gzip",)),
        (["gzip", "gzip"], ("gzip", "gzip")),
        *(
            ([name], ())
            for name in ("UTF-8", "none", "identity", "binary", "text/event-stream", "chunked", "8bit", "*")
        ),
    ],
)
def test_unregistered_names_are_ignored(values: list[str], expected: tuple[str, ...]) -> None:
    assert read_codings(values) == expected


@pytest.mark.parametrize(
    "name", ["br", "zstd", "compress", "x-compress", "BR", "exi", "dcb", "dcz", "aes128gcm", "pack200-gzip"]
)
def test_error_names_the_unsupported_coding(name: str) -> None:
    with pytest.raises(EncodingError, match=f"content coding {name.lower()}"):
        read_codings(["gzip", name])


def _compress(data: bytes, coding: str) -> bytes:
    if coding == "gzip":
        return gzip.compress(data, mtime=0)
    packer = zlib.compressobj(wbits=-15 if coding == "bare deflate" else 15)
    return packer.compress(data) + packer.flush()


def _decode(decoder: Decoder, parts: list[bytes]) -> bytes:
    output = b""
    for part in parts:
        output += decoder.decode(part)
        while decoder.has_more:
            output += decoder.decode(b"")
    return output


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = [*sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


CODINGS = ["gzip", "deflate", "bare deflate"]


@pytest.mark.parametrize("coding", CODINGS)
@given(plain=st.binary(max_size=300), cuts=st.lists(st.integers(0, 400)))
def test_output_does_not_depend_on_the_cuts(coding: str, plain: bytes, cuts: list[int]) -> None:
    decoder = Decoder((coding.rsplit(maxsplit=1)[-1],))
    assert _decode(decoder, _cut(_compress(plain, coding), cuts)) == plain
    assert not decoder.is_cut


@given(members=st.lists(st.binary(max_size=100), max_size=5), cuts=st.lists(st.integers(0, 400)))
def test_gzip_members_are_joined(members: list[bytes], cuts: list[int]) -> None:
    decoder = Decoder(("gzip",))
    assert _decode(decoder, _cut(b"".join(map(gzip.compress, members)), cuts)) == b"".join(members)
    assert not decoder.is_cut


@pytest.mark.parametrize("outer", CODINGS)
@pytest.mark.parametrize("inner", CODINGS)
@given(plain=st.binary(max_size=300), cuts=st.lists(st.integers(0, 400)))
def test_codings_are_undone_in_reverse_order(outer: str, inner: str, plain: bytes, cuts: list[int]) -> None:
    decoder = Decoder((inner.rsplit(maxsplit=1)[-1], outer.rsplit(maxsplit=1)[-1]))
    assert _decode(decoder, _cut(_compress(_compress(plain, inner), outer), cuts)) == plain
    assert not decoder.is_cut


@given(plain=st.binary(max_size=300).filter(lambda data: data[:1] != b"\x1f"), cuts=st.lists(st.integers(0, 400)))
def test_gzip_that_is_named_twice_and_applied_once_is_decoded_once(plain: bytes, cuts: list[int]) -> None:
    decoder = Decoder(("gzip", "gzip"))
    assert _decode(decoder, _cut(gzip.compress(plain, mtime=0), cuts)) == plain
    assert not decoder.is_cut


@pytest.mark.parametrize("rubbish", [b"\0", b"\0" * 99, b"rubbish", b"\x1f", b"\x1fX", b"\r\n"])
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("step", [1, 1000])
def test_padding_behind_compressed_data_is_ignored(rubbish: bytes, coding: str, step: int) -> None:
    data = _compress(b"hello", coding) + rubbish
    decoder = Decoder((coding.rsplit(maxsplit=1)[-1],))
    assert _decode(decoder, [data[start : start + step] for start in range(0, len(data), step)]) == b"hello"
    assert not decoder.is_cut
    assert decoder.decode(b"more") == b""


@pytest.mark.parametrize("coding", CODINGS)
def test_truncated_data_is_reported_at_every_cut(coding: str) -> None:
    data = _compress(b"hello" * 9, coding)
    for end in range(len(data)):
        decoder = Decoder((coding.rsplit(maxsplit=1)[-1],))
        assert (b"hello" * 9).startswith(_decode(decoder, [data[:end]]))
        assert decoder.is_cut is (end > 0)


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", b"plain text"),
        ("gzip", gzip.compress(b"hello", mtime=0)[:-8] + b"badcrc!!"),
        ("deflate", b"\x07nonsense"),
    ],
)
def test_corrupt_data_is_an_error(coding: str, data: bytes) -> None:
    with pytest.raises(EncodingError, match="corrupt"):
        _decode(Decoder((coding,)), [data])


@pytest.mark.parametrize("codings", [("gzip",), ("gzip", "gzip"), ("deflate", "gzip")])
def test_each_call_returns_at_most_16_kib(codings: tuple[str, ...]) -> None:
    plain = bytes(range(256)) * 4_000
    data = plain
    for coding in codings:
        data = _compress(data, coding)
    decoder, output = Decoder(codings), [b""]
    output.append(decoder.decode(data))
    while decoder.has_more:
        output.append(decoder.decode(b""))
    assert b"".join(output) == plain
    assert max(map(len, output)) <= 16_384


def _nested(size: int) -> bytes:
    return gzip.compress(gzip.compress(b"\0" * size, mtime=0), mtime=0)


@pytest.mark.parametrize(
    ("codings", "data"),
    [
        (("gzip",), gzip.compress(b"\0" * 17_000_000, mtime=0)),
        (("deflate",), zlib.compress(b"\0" * 17_000_000)),
        (("gzip", "gzip"), _nested(17_000_000)),
        (("gzip", "gzip"), gzip.compress(gzip.compress(b"", mtime=0) * 900_000, mtime=0)),  # the inner stage is empty
    ],
)
@pytest.mark.slow
def test_bomb_is_refused(codings: tuple[str, ...], data: bytes) -> None:
    with pytest.raises(DecodedTooLarge, match="16777216"):
        _decode(Decoder(codings), [data])


@pytest.mark.slow
def test_large_text_is_not_refused_as_bomb() -> None:
    assert len(_decode(Decoder(("gzip",)), [gzip.compress(b"\0" * 16_000_000, mtime=0)])) == 16_000_000
    text = b"".join(b"%d\n" % number for number in range(3_000_000))  # over 16 MiB, with the ratio of usual text
    assert len(text) > 16 * 1_048_576
    decoder, size = Decoder(("gzip",)), 0
    for part in [gzip.compress(text, mtime=0)]:
        size += len(decoder.decode(part))
        while decoder.has_more:
            size += len(decoder.decode(b""))
    assert size == len(text)
