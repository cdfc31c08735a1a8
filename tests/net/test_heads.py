"""Heads: the header lines that are kept, the length of a body, and the request headers that are refused."""

from __future__ import annotations

import http.client
import io
from typing import Any

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatgpt4online.net.heads import BadHead, check_headers, clean_head, find_head_end, read_head

OK = b"HTTP/1.1 200 OK\r\n"


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([OK.rstrip(), *lines, b"", b""])


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (OK + b"\r\n", head()),
        (OK + b"A: 1\r\nB:2\r\nC:  3 \r\n\r\n", head(b"A: 1", b"B: 2", b"C: 3")),
        (b"HTTP/1.1 200 OK\nA: 1\n\n", head(b"A: 1")),
        (b"HTTP/1.1 200 OK\r\nA: 1\n\r\n", head(b"A: 1")),
        (b"HTTP/1.1 200 OK\r\nA: 1\r\n\n", head(b"A: 1")),
        (b"\r\n\n\r\n" + OK + b"A: 1\r\n\r\n", head(b"A: 1")),
        (b"HTTP/1.1 200\r\n\r\n", b"HTTP/1.1 200 \r\n\r\n"),
        (b"HTTP/1.1 200 \r\n\r\n", b"HTTP/1.1 200 \r\n\r\n"),
        (b"HTTP/1.0  404  Nicht \xe4\x00\x1b da\r\n\r\n", b"HTTP/1.0 404 Nicht \xe4 da\r\n\r\n"),
        (OK + b"no colon\r\nA: 1\r\n\r\n", head(b"A: 1")),
        (OK + b"no colon\r\n but more: x\r\nA: 1\r\n\r\n", head(b"A: 1")),
        (OK + b"a space: x\r\nA: 1\r\n\r\n", head(b"A: 1")),
        (OK + b"X-Cache : MISS\r\n more\r\n\tand more\r\nA: 1\r\n\r\n", head(b"A: 1")),
        (OK + b": x\r\nA: 1\r\n\r\n", head(b"A: 1")),
        (OK + b"X: a\x00b\r\nA: 1\r\n\r\n", head(b"A: 1")),
        (OK + b"X: a\rContent-Length: 9\r\nA: 1\r\n\r\n", head(b"A: 1")),
        (OK + b"X: a\r\n \x01junk\r\nA: 1\r\n\r\n", head(b"A: 1")),
        (OK + b"X\xe9: a\r\nA: 1\r\n\r\n", head(b"A: 1")),
        (OK + b" continues nothing\r\nA: 1\r\n\r\n", head(b"A: 1")),
        (OK + b"A: 1\r\n  2\r\n\t3\r\n\r\n", head(b"A: 1 2 3")),
        (OK + b"A: \xc3\xa4\tb\r\n\r\n", head(b"A: \xc3\xa4\tb")),
        (OK + b"A:\r\n\r\n", head(b"A: ")),
        (OK + b"Content-Length: 5\r\n\r\n", head(b"Content-Length: 5")),
        (OK + b"content-length:005\r\nA: 1\r\n\r\n", head(b"A: 1", b"Content-Length: 5")),
        (OK + b"Content-Length: 5, 5\r\n\r\n", head(b"Content-Length: 5")),
        (OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n", head(b"Content-Length: 5")),
        (OK + b"Transfer-Encoding: Chunked\r\n\r\n", head(b"Transfer-Encoding: chunked")),
        (OK + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n", head(b"Content-Length: 5")),
        (OK + b"Transfer-Encoding:\r\nContent-Length: 5\r\n\r\n", head(b"Content-Length: 5")),
        (
            OK + b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
            head(b"Connection: close", b"Connection: keep-alive", b"Transfer-Encoding: chunked"),
        ),
        (
            OK + b"Content-Encoding: gzip\r\nContent-Encoding: x\r\n\r\n",
            head(b"Content-Encoding: gzip", b"Content-Encoding: x"),
        ),
    ],
)
def test_head_is_cleaned(raw: bytes, expected: bytes) -> None:
    assert clean_head(raw) == expected
    assert clean_head(expected) == expected
    assert find_head_end(raw) == len(raw)
    assert read_head(io.BytesIO(raw + b"body").readline) == expected


MALFORMED = [
    b"Content-Length : 5",
    b"Content-Length",
    b"\x01Content-Length: 5",
    b"Content-Length\x00: 5",
    b"TRANSFER-ENCODING : chunked",
    b"transfer-encoding: chunked\x00",
    b"Content-Encoding : gzip",
    b"Content-Encoding: gzip\r\n \x00",
    b"Content-Length: 5\x0b",
    b"Content-Length: 5\r\nContent-Length: 6",
    b"Content-Length: 5, 6",
    b"Content-Length: 5,",
    b"Content-Length: 5\r\n 6",
    b"Content-Length:",
    b"Content-Length: -5",
    b"Content-Length: +5",
    b"Content-Length: 5_0",
    b"Content-Length: 0x5",
    b"Content-Length: 5.0",
    b"Content-Length: five",
    b"Content-Length: \xb2",
    b"Content-Length: " + b"9" * 20,
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked;q=1",
]


@pytest.mark.parametrize("line", MALFORMED)
def test_head_with_ambiguous_body_length_is_refused(line: bytes) -> None:
    with pytest.raises(BadHead, match=r"(Content|Transfer)-(Length|Encoding)"):
        clean_head(OK + b"A: 1\r\n" + line + b"\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [b"hello", b"SSH-2.0", b"HTTP/2 200\n", b"HTTP/2", b"\x15\x03\x01", b"ICY 200 OK\r\n\r\n", b"\r\nx", b"<html>\n\n",
     b"0\r\n\r\n"],
)  # fmt: skip
def test_bytes_that_are_not_http_are_refused_at_once(data: bytes) -> None:
    with pytest.raises(BadHead, match=r"not HTTP/1.1"):
        clean_head(data[: find_head_end(data)])
    with pytest.raises(BadHead):
        read_head(io.BytesIO(data).readline)


@pytest.mark.parametrize(
    "line",
    [b"HTTP/1.1", b"HTTP/1.1 20", b"HTTP/1.1 2000 x", b"HTTP/1.1 099 x", b"HTTP/1.1 200OK", b"HTTP/1.x 200"],
)
def test_malformed_status_line_is_refused(line: bytes) -> None:
    with pytest.raises(BadHead, match=r"not HTTP/1.1"):
        clean_head(line + b"\r\n\r\n")


def test_head_that_is_cut_short_is_never_complete() -> None:
    raw = b"\r\n" + OK + b"A: 1\r\nContent-Length: 5\r\n\r\n"
    for end in range(len(raw)):
        assert find_head_end(raw[:end]) == -1
        with pytest.raises(BadHead):
            clean_head(raw[:end])
        if end:
            with pytest.raises(BadHead, match=r"within the head|not HTTP"):
                read_head(io.BytesIO(raw[:end]).readline)
    assert read_head(io.BytesIO(b"").readline) == b""


def test_head_over_a_limit_is_refused() -> None:
    assert clean_head(OK + b"A: 1\r\n" * 900 + b"\r\n").count(b"A: 1") == 900
    assert len(clean_head(OK + b"A: " + b"x" * 250_000 + b"\r\n\r\n")) > 250_000
    for raw in (OK + b"A: 1\r\n" * 1_000 + b"\r\n", OK + b"A: " + b"x" * 262_144 + b"\r\n\r\n"):
        with pytest.raises(BadHead, match=r"262144|1000"):
            clean_head(raw)
        with pytest.raises(BadHead, match=r"262144|1000"):
            find_head_end(raw[:-2])
        with pytest.raises(BadHead, match=r"262144|1000"):
            read_head(io.BytesIO(raw).readline)


lines = st.one_of(
    st.sampled_from(
        [b"A: 1", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Set-Cookie: a=b", b" folded", *MALFORMED]
    ),
    st.binary(max_size=30),
    st.builds(lambda name, value: name + b":" + value, st.binary(max_size=9), st.binary(max_size=9)),
)


@given(st.lists(lines, max_size=8), st.sampled_from([b"\r\n", b"\n"]))
@example([b"A: \x85\xa0", b"B:\t"], b"\r\n")
@example([b"A: x\x0cy"], b"\n")
def test_h11_and_http_client_read_a_cleaned_head_alike(headers: list[bytes], end: bytes) -> None:
    raw = end.join([b"HTTP/1.1 200 OK", *headers, b"", b""])
    raw = raw[: find_head_end(raw)]
    try:
        clean = clean_head(raw)
    except BadHead:
        return
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    connection.receive_data(clean)
    by_h11 = connection.next_event()
    assert isinstance(by_h11, h11.Response)
    parsed = http.client.parse_headers(io.BytesIO(clean.partition(b"\r\n")[2]))
    by_http_client = [(name.lower(), value.strip()) for name, value in parsed.items()]
    assert not parsed.defects
    assert by_http_client == [(name.decode(), value.decode("latin-1").strip()) for name, value in by_h11.headers]
    assert clean_head(clean) == clean


@given(st.binary(max_size=200))
def test_no_bytes_raise_another_error(data: bytes) -> None:
    for prefix in (b"", OK, b"HTTP/1.1 "):
        try:
            end = find_head_end(prefix + data)
            clean_head((prefix + data)[:end] if end >= 0 else prefix + data)
        except BadHead:
            pass


@pytest.mark.parametrize(
    "name",
    ["Content-Length", "content-length", "Transfer-Encoding", "Host", "Connection", "Keep-Alive", "Proxy-Connection",
     "Upgrade", "TE", "Trailer", "Expect"],
)  # fmt: skip
def test_header_of_the_transport_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"the header {name} cannot be set"):
        check_headers({"X": "1", name: "1"})


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\n", "ä", "a\x00", "(a)", " a"])
def test_header_name_with_invalid_characters_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a header"):
        check_headers({name: "1"})


@pytest.mark.parametrize("value", ["a\nb", "a\r", "\x00", "€", " a", "a ", "a\t", "\x7f"])
def test_error_for_a_bad_value_names_the_header(value: str) -> None:
    with pytest.raises(ValueError, match="the value of the header X-Secret has") as caught:
        check_headers({"X-Secret": "secret" + value if not value.startswith(" ") else value + "secret"})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "headers", [None, "A: 1", b"A", [("A", "1")], {1: "a"}, {"A": 1}, {"A": b"1"}, {"A": None}, {b"A": "1"}, 7]
)
def test_headers_of_another_type_are_refused(
    headers: Any,
) -> None:
    with pytest.raises(ValueError, match=r"headers is a dict|must be a str"):
        check_headers(headers)


def test_headers_that_can_be_sent_are_accepted() -> None:
    check_headers({})
    check_headers({"X-One": "1", "Cookie": "a=b", "User-Agent": "é", "X_Y.z": "", "Authorization": "a\tb"})
