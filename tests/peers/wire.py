"""Situations of the wire: heads, framings and content codings."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator

from ..support.behaviours import HELLO, WHOLE, headed, streamed, then_close
from ..support.server import LAST_CHUNK, chunk, live, response, says, site, stream_head
from .situation import Outcome, Situation, hello, hello_or_error, served, tells

Handles = Callable[[Outcome], bool]

EVENT_STREAM = b"Content-Type: text/event-stream"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x.css>; rel=preload\r\n\r\n"
# Header lines that browsers ignore. PHP scripts and content networks send them.
BAD_LINES = {
    "a blank in a name": b"get-page cache/index.php: none",
    "a line without a colon": b"garbage without a colon",
    "a blank before the colon": b"X-Cache : MISS",
    "a line without a name": b": x",
    "a control character in a value": b"X-Note: a\x01b",
    "a NUL in a value": b"X-Note: a\x00b",
    "a CR in a value": b"X-Note: a\rb",
    "a name that is not ASCII": "X-Größe: 1".encode(),
    "a continuation of nothing": b" continued",
}


def kept(group: str, name: str, answer: bytes, handles: Handles = hello) -> Situation:
    """Return the situation of an answer, sent in one piece on a connection that stays open."""
    return Situation(group, name, served(lambda: site(says(answer))), handles)


def closed(group: str, name: str, answer: bytes, handles: Handles = hello) -> Situation:
    """Return the situation of an answer after which the server closes the connection."""
    return Situation(group, name, served(then_close(answer)), handles)


def heads() -> Iterator[Situation]:
    def head(name: str, answer: bytes) -> Situation:
        return kept("heads", name, answer)

    plain = headed(EVENT_STREAM)
    yield head("nothing odd", plain)
    yield head("150 headers", headed(*(b"X-Debug-%d: 1" % number for number in range(150))))
    yield head("150 cookies", headed(*(b"Set-Cookie: c%d=1; path=/" % number for number in range(150))))
    yield from _bad_lines()
    yield head("all lines end in LF", headed(EVENT_STREAM).replace(b"\r\n", b"\n"))
    yield head("the blank line ends in LF", plain.replace(b"\r\n\r\n", b"\r\n\n", 1))
    yield head("a line of 20,000 bytes", headed(b"X-Note: " + b"x" * 20_000))
    yield head("a line of 100,000 bytes", headed(b"X-Note: " + b"x" * 100_000))
    yield head("100 before it", b"HTTP/1.1 100 Continue\r\n\r\n" + plain)
    yield head("102 before it", b"HTTP/1.1 102 Processing\r\n\r\n" + plain)
    yield head("103 before it", EARLY_HINTS + plain)
    yield head("twenty times 103 before it", EARLY_HINTS * 20 + plain)
    yield head("no reason phrase", headed(status=b"HTTP/1.1 200"))
    yield head("a reason in lower case", headed(status=b"HTTP/1.1 200 ok"))
    yield head("two blanks in the status line", headed(status=b"HTTP/1.1  200 OK"))
    yield head("a blank behind the status line", headed(status=b"HTTP/1.1 200 OK "))
    # RFC 9112, section 2.3: the name is case-sensitive, so an error is right too
    yield kept("heads", "http/1.1 in lower case", headed(status=b"http/1.1 200 OK"), hello_or_error)
    yield head("an offer of HTTP/2", headed(b"Upgrade: h2,h2c", b"Connection: Upgrade, Keep-Alive"))
    yield head("blank lines before it", b"\r\n\r\n" + plain)
    yield head("a reason and a header in UTF-8", headed("X-Note: да".encode(), status="HTTP/1.1 200 Да".encode()))
    yield head("a folded line", headed(b"X-Note: one", b" two"))


def _bad_lines() -> Iterator[Situation]:
    for name, line in BAD_LINES.items():
        yield kept("heads", f"{name}, with a length", headed(line, EVENT_STREAM))
        chunked = headed(line, EVENT_STREAM, b"Transfer-Encoding: chunked", body=chunk(*HELLO) + LAST_CHUNK)
        yield kept("heads", f"{name}, chunked", chunked)


def framing(name: str, answer: bytes, handles: Handles = hello) -> Situation:
    return kept("framings", name, answer, handles)


def cut(name: str, answer: bytes, handles: Handles) -> Situation:
    return closed("framings", name, answer, handles)


def framings() -> Iterator[Situation]:
    yield from _chunks()
    yield from _transfer_codings()
    yield from _lengths()
    yield from _ends()


def _chunks() -> Iterator[Situation]:
    size = b"%x" % len(WHOLE)
    upper = b"000" + size.upper()
    yield framing("chunks of one byte", streamed(*(WHOLE[at : at + 1] for at in range(len(WHOLE)))))
    yield framing("chunk extensions", stream_head() + size + b";name=value\r\n" + WHOLE + b"\r\n" + LAST_CHUNK)
    yield framing("trailers", stream_head() + chunk(*HELLO) + b"0\r\nX-Trailer: 1\r\n\r\n")
    yield framing("chunk sizes in upper case, with zeros", stream_head() + upper + b"\r\n" + WHOLE + b"\r\n0\r\n\r\n")
    yield framing("blanks behind a chunk size", stream_head() + size + b"  \r\n" + WHOLE + b"\r\n" + LAST_CHUNK)
    yield framing("chunk sizes end in LF", stream_head() + size + b"\n" + WHOLE + b"\r\n" + LAST_CHUNK)
    yield framing("the lines of chunks end in LF", stream_head() + size + b"\n" + WHOLE + b"\n0\n\n")
    yield framing("a bad line in the trailers", stream_head() + chunk(*HELLO) + b"0\r\nno colon\r\n\r\n")
    yield cut("chunked that is not", stream_head() + WHOLE, hello_or_error)


def _transfer_codings() -> Iterator[Situation]:
    old = b"HTTP/1.0 200 OK"
    codings: dict[str, tuple[bytes, ...]] = {
        "chunked in two headers": (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        "chunked twice in a list": (b"Transfer-Encoding: chunked, chunked",),
        "identity, chunked": (b"Transfer-Encoding: identity, chunked",),
        "Chunked": (b"Transfer-Encoding: Chunked",),
    }
    chunked = chunk(*HELLO) + LAST_CHUNK
    for name, fields in codings.items():
        yield framing(f"{name}, applied once", headed(*fields, body=chunked))
    yield framing("chunked in HTTP/1.0", headed(b"Transfer-Encoding: chunked", status=old, body=chunked))
    yield framing("chunked and a length", headed(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=chunked))
    yield framing("the transfer coding identity, and a length", headed(b"Transfer-Encoding: identity"))
    identity = stream_head("Transfer-Encoding: identity", Connection="close")
    yield cut("the transfer coding identity, until close", identity + WHOLE, hello)


def _lengths() -> Iterator[Situation]:
    length = len(WHOLE)
    yield framing("the length twice", headed(b"Content-Length: %d" % length))
    yield framing("the length twice in a list", headed(b"Content-Length: %d, %d" % (length, length), body=WHOLE))
    yield framing("two lengths that differ", headed(b"Content-Length: 5"), tells())
    yield cut("an empty length", stream_head("Content-Length: ") + WHOLE, hello)
    yield cut("a length that is not a number", stream_head("Content-Length: abc") + WHOLE, hello_or_error)
    yield framing("more than its length", headed() + b"and more")


def _ends() -> Iterator[Situation]:
    yield cut("until close", stream_head("") + WHOLE, hello)
    yield cut("until close, HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\n" + WHOLE, hello)
    yield cut("no last chunk", stream_head() + chunk(*HELLO), hello)
    yield cut("cut in a chunk", stream_head() + chunk(live("Hel")) + b"20\r\ndata: ", tells(text="Hel"))
    yield cut("cut between chunks", stream_head() + chunk(live("Hel")), tells(text="Hel"))
    yield cut("cut before its length", stream_head("Content-Length: 9999") + live("Hel"), tells(text="Hel"))
    yield cut("cut until close", stream_head("") + live("Hel"), tells(text="Hel"))


def encodings() -> Iterator[Situation]:
    def coded(coding: str, body: bytes, what: str = "", handles: Handles = hello) -> Situation:
        return kept("encodings", f"{coding!r}{what}", response(body, Content_Encoding=coding), handles)

    packed = gzip.compress(WHOLE, mtime=0)
    for coding in ("gzip", "x-gzip", "GZIP", "gzip, identity", "identity, gzip", "gzip,utf-8"):
        yield coded(coding, packed)
    yield coded("deflate", zlib.compress(WHOLE), " by zlib")
    yield coded("deflate", zlib.compress(WHOLE, wbits=-15), " raw")
    yield coded("gzip", b"".join(gzip.compress(piece, mtime=0) for piece in HELLO), ", a member an event")
    yield coded("gzip", packed + b"\0" * 20, " and padding")
    yield coded("gzip", packed[:-8], " without its checksum")
    yield coded("gzip", gzip.compress(live("Hel"), mtime=0)[:-8], " cut", tells(text="Hel"))
    for coding in ("utf-8", "none", "", "identity", "binary", "text/event-stream"):
        yield coded(coding, WHOLE, ", not compressed")
    twice = headed(
        b"Content-Encoding: gzip", b"Content-Encoding: gzip", b"Content-Length: %d" % len(packed), body=packed
    )
    yield kept("encodings", "'gzip' in two headers, applied once", twice)
    mixed = headed(
        b"Content-Encoding: identity", b"Content-Encoding: gzip", b"Content-Length: %d" % len(packed), body=packed
    )
    yield kept("encodings", "'identity' and 'gzip' in two headers", mixed)
    lengthy = gzip.compress(gzip.compress(WHOLE, mtime=0), mtime=0)
    yield coded("gzip, gzip", lengthy, ", applied twice")
    streamed_gzip = stream_head(Content_Encoding="gzip") + chunk(*_flushed(HELLO)) + LAST_CHUNK
    yield kept("encodings", "'gzip', flushed after each event, chunked", streamed_gzip)


def _flushed(pieces: tuple[bytes, ...]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)
    for piece in pieces:
        yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()
