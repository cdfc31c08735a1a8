"""Heads of HTTP messages: make the headers of a response unambiguous, and check the headers of a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

HEAD_LIMIT = 262_144  # bytes of one head: several times the limits of browsers and servers
LINE_LIMIT = 1_000  # lines of one head: content networks and debug plugins add some 200
INTERIM_LIMIT = 100  # 1xx answers before the final one: two are common
_SWITCHING_PROTOCOLS = b"101"

CUT_HEAD = "the connection was closed within the head of the response"
TOO_MANY_INTERIM = f"more than {INTERIM_LIMIT} interim responses came"
NO_HEAD = "the connection was closed before the response"

TRANSPORT_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""The request headers of the connection, which only the transport can set."""

_SHOWN = 40  # bytes that an error shows of an answer that is not HTTP: enough to recognise it
_BLANK_LINE = re.compile(rb"\n\r?\n")
_STATUS_LINE = re.compile(rb"(HTTP/1\.[0-9])[ \t]+([1-9][0-9]{2})(?:[ \t]+(.*))?")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NAME = re.compile(_TOKEN.pattern.decode())
_VALUE = re.compile(r"(?![ \t])[\t\x20-\x7e\x80-\xff]*(?<![ \t])")  # latin-1 without controls, no space around it
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_EDGES = bytes(range(0x21)) + b"\x7f"  # white space and control characters
_ESSENTIAL = {b"content-length", b"transfer-encoding", b"content-encoding"}
_DIGITS = re.compile(rb"[0-9]{1,19}")  # no file is larger than 2 ** 63 bytes, which has 19 digits


class BadHead(ValueError):
    """The head of a response cannot be read, or it gives contradictory lengths of the body."""


def find_head_end(data: bytes | bytearray) -> int:
    """Return the length of the head at the beginning of the data, with its blank line, or -1 if it is not complete.

    Blank lines before the status line are part of the head. Raises BadHead as soon as the data cannot be a head of
    HTTP/1, and for a head that exceeds the limits.
    """
    begin = 0
    while data[begin : begin + 1] in (b"\r", b"\n"):
        begin += 1
    blank = _BLANK_LINE.search(data, begin, HEAD_LIMIT)
    if blank:
        return blank.end()
    if not b"HTTP/1.".startswith(bytes(data[begin : begin + 7])):
        raise BadHead(_not_http(bytes(data[begin : begin + _SHOWN])))
    if len(data) >= HEAD_LIMIT:
        raise BadHead(f"the head is larger than {HEAD_LIMIT} bytes")
    if data.count(b"\n", begin) > LINE_LIMIT:
        raise BadHead(f"the head has more than {LINE_LIMIT} lines")
    return -1


def clean_head(head: bytes) -> bytes:
    """Return the head of a response with CRLF line ends, each header on one line, and no malformed line.

    ``head`` begins with the status line, or with blank lines before it, and ends with a blank line. A malformed line
    has no colon, no valid name, or control characters. It is left out together with its continuation lines. The result
    has at most one Content-Length. "Transfer-Encoding: chunked" overrides it (RFC 9112, section 6.3): Content-Length is
    left out then, and "Connection: close" is added. The coding "identity" is left out of Transfer-Encoding.

    Raises BadHead for a malformed Content-Length, Transfer-Encoding or Content-Encoding, for lengths that differ or are
    not numbers, for an unknown transfer coding, for a head that is cut short, and for a head that exceeds the limits.
    """
    if len(head) > HEAD_LIMIT:
        raise BadHead(f"the head is larger than {HEAD_LIMIT} bytes")
    head = head.lstrip(b"\r\n")
    if not _BLANK_LINE.search(head):
        raise BadHead(CUT_HEAD)
    lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
    if len(lines) > LINE_LIMIT:
        raise BadHead(f"the head has more than {LINE_LIMIT} lines")
    match = _STATUS_LINE.fullmatch(lines[0])
    if not match:
        raise BadHead(_not_http(lines[0]))
    version, status, reason = match.groups(b"")
    fields = _fields(lines[1 : lines.index(b"", 1)])
    status_line = b"%b %b %b" % (version, status, _CONTROLS.sub(b"", reason).strip())
    return b"\r\n".join([status_line, *(b"%b: %b" % field for field in _framed(fields)), b"", b""])


def read_head(readline: Callable[[int], bytes]) -> bytes:
    """Return the next head of a response, cleaned, or ``b""`` at the end of the file.

    ``readline`` is the method of a binary file. Raises BadHead, also if the file ends within the head.
    """
    lines: list[bytes] = []
    size, is_begun = 0, False
    while line := readline(HEAD_LIMIT + 1):
        lines.append(line)
        size += len(line)
        is_blank = line in (b"\r\n", b"\n")
        if not (is_blank or is_begun) and not line.startswith(b"HTTP/1."):
            raise BadHead(_not_http(line))
        if size > HEAD_LIMIT:
            raise BadHead(f"the head is larger than {HEAD_LIMIT} bytes")
        if len(lines) > LINE_LIMIT:
            raise BadHead(f"the head has more than {LINE_LIMIT} lines")
        if is_blank and is_begun:
            return clean_head(b"".join(lines))
        is_begun = is_begun or not is_blank
    if lines:
        raise BadHead(CUT_HEAD)
    return b""


def read_final_head(readline: Callable[[int], bytes]) -> tuple[int, bytes]:
    """Return the status and the cleaned head of the final response. The status is 0 at the end of the file.

    Interim responses are skipped. ``readline`` is the method of a binary file. Raises BadHead.
    """
    for _ in range(INTERIM_LIMIT + 1):
        head = read_head(readline)
        if not head:
            return 0, head
        if not is_interim(head):
            return int(head.split(b" ", 2)[1]), head
    raise BadHead(TOO_MANY_INTERIM)


def is_interim(head: bytes) -> bool:
    """Return whether a cleaned head is that of an interim response, which another response follows.

    Raises BadHead for status 101, after which the server does not send HTTP.
    """
    status = head.split(b" ", 2)[1]
    if status == _SWITCHING_PROTOCOLS:
        raise BadHead("the server changes to another protocol")
    return status.startswith(b"1")


def check_headers(headers: object) -> None:
    """Raise ValueError, which names the header, unless ``headers`` is a dict of valid headers for a request.

    Names are tokens. Values are latin-1 without control characters. TRANSPORT_HEADERS are refused.
    """
    if not isinstance(headers, Mapping):
        raise ValueError(f"headers is a dict of names and values, not a {type(headers).__name__}")
    for name, value in headers.items():
        check_header(name, value)
        if name.lower() in TRANSPORT_HEADERS:
            raise ValueError(f"the header {name} cannot be set: the connection sets it")


def check_header(name: object, value: object) -> None:
    """Raise ValueError unless a request can have this header. The message has the name, but never the value."""
    if not isinstance(name, str) or not isinstance(value, str):
        raise ValueError(f"the header {name!r} must be a str with a str as its value")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a header")
    if _VALUE.fullmatch(value):
        return
    if max(value) > "\xff":
        raise ValueError(f"the value of the header {name} has a character outside of latin-1")
    if _CONTROLS.search(value.encode("latin-1")):
        raise ValueError(f"the value of the header {name} has a control character, such as a line end")
    raise ValueError(f"the value of the header {name} has white space around it")


def _not_http(begin: bytes) -> str:
    line = begin.split(b"\n", 1)[0].removesuffix(b"\r")
    return f"the answer is not HTTP/1.1: it begins with {line[:_SHOWN]!r}"


def _fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the well-formed headers. Raises BadHead for a malformed one that decides how the body is read."""
    folded: list[bytes] = []
    for line in lines:
        if not line.startswith((b" ", b"\t")):
            folded.append(line)
        elif folded:  # otherwise it continues the status line, and is left out
            folded[-1] += b" " + line.strip(b" \t")
    fields = []
    for line in folded:
        name, colon, value = line.partition(b":")
        if colon and _TOKEN.fullmatch(name) and not _CONTROLS.search(value):
            fields.append((name, value.strip(b" \t")))
        elif (essential := name.strip(_EDGES).lower()) in _ESSENTIAL:
            raise BadHead(f"the header {essential.decode().title()} is malformed: {line[:100]!r}")
    return fields


def _framed(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers with at most one that defines the length of the body. Raises BadHead."""
    lengths: list[bytes] = []
    codings: list[bytes] = []
    items = {b"content-length": lengths, b"transfer-encoding": codings}  # each of these headers may be a list
    others = []
    for name, value in fields:
        if (found := items.get(name.lower())) is None:
            others.append((name, value))
        else:
            found += [item.strip(b" \t") for item in value.split(b",")]
    if any(not _DIGITS.fullmatch(length) for length in lengths):
        raise BadHead(f"Content-Length is not a number: {b', '.join(lengths)[:100]!r}")
    if len({int(length) for length in lengths}) > 1:
        raise BadHead(f"Content-Length has contradictory values: {b', '.join(lengths)[:100]!r}")
    codings = [coding.lower() for coding in codings if coding and coding.lower() != b"identity"]
    if codings and codings != [b"chunked"]:
        raise BadHead(f"the Transfer-Encoding cannot be read: {b', '.join(codings)[:100]!r}")
    if codings:
        framing = (b"Transfer-Encoding", b"chunked")
        # A server may send both headers to forge the next response on the connection, so the connection is closed.
        return [(b"Connection", b"close"), *others, framing] if lengths else [*others, framing]
    return [*others, (b"Content-Length", b"%d" % int(lengths[0]))] if lengths else others
