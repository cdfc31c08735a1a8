"""The HTTP transport against scripted servers on loopback. The bytes of a server are in its test."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import socket
import ssl
import struct
import sys
import threading
import warnings
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack

import h11
import pytest
import trustme
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatgpt4online.http1 import (
    BadEncoding,
    BadResponse,
    BodyTooLarge,
    ConnectError,
    Disconnected,
    HttpError,
    IncompleteBody,
    Pool,
    Response,
    WaitExpired,
)
from chatgpt4online.http1.chunks import ChunkSplitter
from chatgpt4online.http1.connect import AddressInfo
from chatgpt4online.http1.connection import Connection
from chatgpt4online.net import proxies
from chatgpt4online.net import tls as tls_module
from chatgpt4online.net import url as url_module

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
SiteScript = Callable[["Site", Reader, Writer], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = OK + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
                 "SSL_CERT_FILE", "SSL_CERT_DIR"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Site:
    """A running server: the number of its connections, and the requests that it received."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.closed = asyncio.Event()

    def url(self, path: str = "/", scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    async def request(self, reader: Reader) -> bytes:
        """Read a whole request, and return its head."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:-2])
        body = b""
        if fields.get(b"transfer-encoding") == b"chunked":
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
        else:
            body = await reader.readexactly(int(fields.get(b"content-length", 0)))
        self.bodies.append(body)
        return head


@contextlib.asynccontextmanager
async def serving(
    script: SiteScript, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Site]:
    site = Site()
    tasks: set[asyncio.Task[Any]] = set()

    async def handle(reader: Reader, writer: Writer) -> None:
        site.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await script(site, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            site.closed.set()

    server = await asyncio.start_server(handle, host, 0, ssl=tls, backlog=1000)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def answering(*answers: bytes, close: bool = False) -> SiteScript:
    """Return a script that answers the requests of a connection with these answers, in this order."""

    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        for answer in answers:
            await site.request(reader)
            writer.write(answer)
            await writer.drain()
        if close:
            writer.write_eof() if writer.can_write_eof() else writer.close()
            return
        await reader.read()

    return script


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a test, and check that it leaves no task behind."""

    async def guarded() -> None:
        await asyncio.wait_for(main(), 60)
        for _ in range(20):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(guarded())
    gc.collect()


async def post(
    pool: Pool,
    url: str,
    body: bytes | AsyncIterable[bytes] = b"{}",
    headers: Mapping[str, str] | None = None,
    *,
    connect: float | None = 30.0,
    first_byte: float | None = 30.0,
    method: str = "POST",
) -> Response:
    return await pool.send(method, url, headers or {}, body, connect=connect, first_byte=first_byte)


async def body_of(response: Response) -> bytes:
    pieces = []
    while piece := await response.read(30):
        pieces.append(piece)
    return b"".join(pieces)


class PoolOptions(TypedDict, total=False):
    proxy: str | None
    verify: bool | str | ssl.SSLContext
    idle_seconds: float


@contextlib.asynccontextmanager
async def pooling(**options: Unpack[PoolOptions]) -> AsyncIterator[Pool]:
    pool = Pool(**options)
    try:
        yield pool
    finally:
        await pool.aclose()
        assert not pool._live


# -- Responses ---------------------------------------------------------------------------------------------------------

CHUNKS = b"5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n"
ANSWERS = {
    "chunked": (CHUNKED + CHUNKS, b"hello world", True),
    "length": (OK + b"Content-Length: 11\r\n\r\nhello world", b"hello world", True),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", b"", True),
    "until close": (OK + b"\r\nhello world", b"hello world", False),
    "http/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", False),
    "connection: close": (OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello", b"hello", False),
    "1xx": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + CHUNKED + CHUNKS,
        b"hello world",
        True,
    ),
    "trailers": (CHUNKED + CHUNKS[:-2] + b"X-T: 1\r\n\r\n", b"hello world", True),
    "extensions": (CHUNKED + b"5;a=b\r\nhello\r\n5 \r\nworld\r\n0\r\n\r\n", b"helloworld", True),
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", b"hello", True),
    "no coding": (OK + b"Content-Encoding: utf-8\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    "a malformed line": (OK + b"junk\r\n and more\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    "blank lines before": (b"\r\n\n" + OK + b"Content-Length: 5\r\n\r\nhello", b"hello", True),
    "identity": (OK + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    "two equal lengths": (OK + b"Content-Length: 5, 5\r\n\r\nhello", b"hello", True),
    "length and chunked": (CHUNKED[:-2] + b"Content-Length: 5\r\n\r\n" + CHUNKS, b"hello world", False),
    "a long line": (OK + b"X: " + b"y" * 20_000 + b"\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    "99 interim answers": (b"HTTP/1.1 102 Processing\r\n\r\n" * 99 + CHUNKED + CHUNKS, b"hello world", True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("cut", ["whole", "bytes"])
def test_body_is_read_with_each_framing(name: str, cut: str) -> None:
    answer, body, keeps = ANSWERS[name]

    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        while True:
            await site.request(reader)
            for piece in [answer] if cut == "whole" else [answer[i : i + 1] for i in range(len(answer))]:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if not keeps:
                writer.write_eof()
                return

    async def main() -> None:
        async with serving(script) as site, pooling() as pool:
            for _ in range(3):
                response = await post(pool, site.url())
                assert response.status == 200
                assert await body_of(response) == body
                assert await response.read(1) == b""
                response.close()
            assert site.connections == (1 if keeps else 3)
            assert site.bodies == [b"{}"] * 3

    run(main)


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_status_without_a_body_keeps_the_connection(status: int, framing: bytes) -> None:
    answer = b"HTTP/1.1 %d X\r\n%b\r\n\r\n" % (status, framing)

    async def main() -> None:
        async with serving(answering(answer, answer)) as site, pooling() as pool:
            for _ in range(2):
                assert await body_of(await post(pool, site.url())) == b""
            assert site.connections == 1

    run(main)


def test_headers_are_pairs_with_lower_case_names() -> None:
    answer = OK + b"Set-Cookie: a=1\r\nSet-Cookie: b=\xe9\r\nContent-Length: 0\r\n\r\n"

    async def main() -> None:
        async with serving(answering(answer)) as site, pooling() as pool:
            response = await post(pool, site.url())
            assert response.headers == [("set-cookie", "a=1"), ("set-cookie", "b=é"), ("content-length", "0")]

    run(main)


def _gzip_blocks(events: list[bytes], wbits: int) -> list[bytes]:
    packer = zlib.compressobj(wbits=wbits)
    blocks = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in events]
    return [*blocks, packer.flush()]


FRAMINGS = ["chunked", "one chunk", "length", "until close"]


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("coding", ["identity", "gzip", "deflate", "raw deflate"])
def test_event_is_returned_before_the_next_is_sent(framing: str, coding: str) -> None:
    events = [b"data: %d\n\n" % number for number in range(20)]
    wbits = {"gzip": 31, "deflate": 15, "raw deflate": -15}.get(coding)
    pieces = [*events, b""] if wbits is None else _gzip_blocks(events, wbits)
    size = sum(map(len, pieces))
    read: asyncio.Queue[None] = asyncio.Queue()

    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await site.request(reader)
        head = OK + b"Content-Encoding: %b\r\n" % coding.rsplit(maxsplit=1)[-1].encode()
        head += {"length": b"Content-Length: %d\r\n" % size, "until close": b""}.get(
            framing, b"Transfer-Encoding: chunked\r\n"
        )
        writer.write(head + b"\r\n" + (b"%x\r\n" % size if framing == "one chunk" else b""))
        for piece in pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if framing == "chunked" and piece else piece)
            if piece is not pieces[-1]:
                await read.get()
        writer.write({"chunked": b"0\r\n\r\n", "one chunk": b"\r\n0\r\n\r\n"}.get(framing, b""))

    async def main() -> None:
        async with serving(script) as site, pooling() as pool:
            response = await post(pool, site.url())
            for event in events:
                assert await response.read(30) == event
                read.put_nowait(None)
            assert await response.read(30) == b""

    run(main)


def test_gzip_members_and_padding_are_read_in_bounded_parts() -> None:
    data = gzip.compress(b"one") + gzip.compress(b"two") + gzip.compress(b"\0" * 10_000_000) + b"\0" * 9

    async def main() -> None:
        answer = OK + b"Content-Encoding: GZIP\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data)
        async with serving(answering(answer, answer)) as site, pooling() as pool:
            for _ in range(2):
                response = await post(pool, site.url())
                total = b""
                while piece := await response.read(30):
                    assert len(piece) <= 65_536
                    total += piece
                assert total == b"onetwo" + b"\0" * 10_000_000
            assert site.connections == 1

    run(main)


@pytest.mark.parametrize(
    ("coding", "data", "expected"),
    [
        ("gzip", b"this is no gzip", BadResponse),
        ("gzip", gzip.compress(b"hello" * 99, mtime=0)[:-9], IncompleteBody),
        ("gzip", gzip.compress(b"hello", mtime=0)[:-8] + b"badcrc!!", BadResponse),
        ("deflate", b"\x07nonsense", BadResponse),
    ],
)
def test_corrupt_compressed_body_raises(coding: str, data: bytes, expected: type[HttpError]) -> None:
    answer = OK + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (coding.encode(), len(data), data)

    async def main() -> None:
        async with serving(answering(answer)) as site, pooling() as pool:
            response = await post(pool, site.url())
            for _ in range(2):
                with pytest.raises(expected):
                    await body_of(response)

    run(main)


@pytest.mark.parametrize(
    ("coding", "data", "expected", "says"),
    [
        ("br", b"hello", BadEncoding, "content coding br"),
        ("gzip, zstd", b"hello", BadEncoding, "content coding zstd"),
        ("gzip", gzip.compress(b"\0" * 20_000_000, mtime=0), BodyTooLarge, "16777216"),
    ],
)
def test_error_names_the_unsupported_coding(coding: str, data: bytes, expected: type[HttpError], says: str) -> None:
    answer = OK + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (coding.encode(), len(data), data)

    async def main() -> None:
        async with serving(answering(answer)) as site, pooling() as pool:
            response = await post(pool, site.url())
            with pytest.raises(expected, match=says):
                await body_of(response)

    run(main)


@pytest.mark.parametrize(
    ("body", "closes"), [(b"data: hello\n\n", True), (b"data: hello\n\n", False), (b"hello", True), (b"{}", True)]
)
def test_body_that_is_not_chunked_as_announced_raises(body: bytes, closes: bool) -> None:
    async def main() -> None:
        async with serving(answering(CHUNKED + body, close=closes)) as site, pooling() as pool:
            response = await post(pool, site.url())
            with pytest.raises(BadResponse, match="chunked"):
                await response.read(30)

    run(main)


def test_empty_compressed_body_is_empty() -> None:
    answer = OK + b"Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"

    async def main() -> None:
        async with serving(answering(answer)) as site, pooling() as pool:
            assert await body_of(await post(pool, site.url())) == b""

    run(main)


# -- Faults ------------------------------------------------------------------------------------------------------------


def _reset(writer: Writer) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize(
    ("answer", "body", "expected"),
    [
        (CHUNKED + b"5\r\nhello\r\n9\r\nwor", b"hellowor", IncompleteBody),
        (CHUNKED + b"5\r\nhello\r\n9", b"hello", IncompleteBody),
        (CHUNKED + b"5\r\nhello\r\n0\r\n", b"hello", IncompleteBody),
        (OK + b"Content-Length: 9\r\n\r\nhello", b"hello", IncompleteBody),
        (CHUNKED + b"5\r\nhello\r\nzz\r\n", b"hello", BadResponse),
        (CHUNKED + b"5\r\nhello\r\n5\r\nworldXX", b"helloworld", BadResponse),
    ],
)
def test_cut_or_malformed_body_raises_after_its_bytes(answer: bytes, body: bytes, expected: type[HttpError]) -> None:
    async def main() -> None:
        async with serving(answering(answer, close=True)) as site, pooling() as pool:
            response = await post(pool, site.url())
            came = b""
            with pytest.raises(expected):
                while piece := await response.read(30):
                    came += piece
            assert came == body
            with pytest.raises(expected):
                await response.read(30)
            await response.finish(1)

    run(main)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nX: "])
@pytest.mark.parametrize("ending", ["close", "reset"])
def test_connection_that_ends_before_the_response_raises(answer: bytes, ending: str) -> None:
    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await site.request(reader)
        writer.write(answer)
        await writer.drain()
        if ending == "reset":
            _reset(writer)

    async def main() -> None:
        async with serving(script) as site, pooling() as pool:
            with pytest.raises(Disconnected):
                await post(pool, site.url())
            assert site.connections == 1

    run(main)


def test_reset_in_the_body_raises_after_the_bytes() -> None:
    read = asyncio.Event()

    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await site.request(reader)
        writer.write(CHUNKED + b"5\r\nhello\r\n9\r\nwor")
        await read.wait()
        _reset(writer)

    async def main() -> None:
        async with serving(script) as site, pooling() as pool:
            response = await post(pool, site.url())
            came = b""
            while len(came) < 8:
                came += await response.read(30)
            read.set()
            with pytest.raises(Disconnected):
                await response.read(30)
            assert came == b"hellowor"

    run(main)


@pytest.mark.parametrize(
    "answer",
    [
        b"hello\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"SSH-2.0",
        b"\x16\x03\x01\r\n",
        OK + b"X: " + b"y" * 300_000,
        OK + b"X: y\r\n" * 1_000 + b"\r\n",
        OK + b"X: y\r\n" * 1_001,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 101 + LENGTH,
        OK + b"Content-Length : 5\r\n\r\nhello",
        OK + b"Content-Length: x\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_malformed_response_is_refused(answer: bytes) -> None:
    async def main() -> None:
        async with serving(answering(answer)) as site, pooling() as pool:
            with pytest.raises(BadResponse) as caught:
                await post(pool, site.url())
            assert caught.value.__cause__ is None

    run(main)


def test_errors_do_not_derive_from_errors_of_other_libraries() -> None:
    for kind in (ConnectError, Disconnected, IncompleteBody, BadResponse, WaitExpired):
        assert kind.__mro__[1:] == (HttpError, Exception, BaseException, object)


# -- Waiting -----------------------------------------------------------------------------------------------------------


def test_first_byte_limit_expires() -> None:
    async def main() -> None:
        async with serving(answering(b"")) as site, pooling() as pool:
            with pytest.raises(WaitExpired) as caught:
                await post(pool, site.url(), first_byte=0.01)
            assert caught.value.clock == "first_byte"

    run(main)


@pytest.mark.parametrize("limit", [0.01, 0])
def test_idle_limit_expires(limit: float) -> None:
    async def main() -> None:
        async with serving(answering(CHUNKED + b"5\r\nhello\r\n")) as site, pooling() as pool:
            response = await post(pool, site.url())
            assert await response.read(30) == b"hello"  # the short limit below replaces this long one
            with pytest.raises(WaitExpired) as caught:
                await response.read(limit)
            assert caught.value.clock == "idle"
            response.close()

    run(main)


def test_hanging_tls_handshake_expires_as_connect() -> None:
    async def main() -> None:
        silent = socket.create_server(("127.0.0.1", 0), backlog=0)
        async with pooling(verify=False) as pool:
            with pytest.raises(WaitExpired) as caught:  # TCP connects, but the server never answers the handshake
                await post(pool, f"https://127.0.0.1:{silent.getsockname()[1]}/", connect=0.05)
            assert caught.value.clock == "connect"
        silent.close()

    run(main)


def test_slow_reader_does_not_expire_and_bounds_the_memory() -> None:
    size = 8_000_000

    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await site.request(reader)
        writer.write(OK + b"Content-Length: %d\r\n\r\n" % size)
        for _ in range(size // 80_000):
            writer.write(b"x" * 80_000)
            await writer.drain()
        await reader.read()

    async def main() -> None:
        async with serving(script) as site, pooling() as pool:
            response = await post(pool, site.url())
            connection, total = response._connection, 0
            for _ in range(4):
                while not connection._is_paused:  # until the buffers are full
                    await asyncio.sleep(0)
                await asyncio.sleep(0.02)  # longer than the limit
                assert connection._unread <= 2 * 262_144
                total += len(await response.read(0.01))
            while total < size:
                total += len(await response.read(30))
            assert await response.read(30) == b""

    run(main)


def test_slow_upload_does_not_expire() -> None:
    body = b"x" * 30_000_000

    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(30):
            await asyncio.sleep(0.02)
            await reader.readexactly(1_000_000)
        writer.write(OK + b"Content-Length: 0\r\n\r\n")
        await reader.read()

    async def main() -> None:
        async with serving(script) as site, pooling() as pool:
            response = await post(pool, site.url(), body, first_byte=0.3)
            assert response.status == 200

    run(main)


def test_first_byte_limit_starts_at_the_end_of_an_upload() -> None:
    sent = asyncio.Event()

    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.1)
        await reader.readexactly(20_000_000)
        sent.set()
        await reader.read()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with serving(script) as site, pooling() as pool:
            asking = asyncio.create_task(post(pool, site.url(), b"x" * 20_000_000, first_byte=0.4))
            await sent.wait()
            began = loop.time()
            with pytest.raises(WaitExpired):
                await asking
            assert 0.2 < loop.time() - began < 0.7

    run(main)


def test_two_readers_are_refused() -> None:
    async def main() -> None:
        async with serving(answering(CHUNKED)) as site, pooling() as pool:
            response = await post(pool, site.url())
            first = asyncio.create_task(response.read(30))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="another task"):
                await response.read(30)
            response.close()
            with pytest.raises(Disconnected):
                await first

    run(main)


@pytest.mark.parametrize("drip", [b"HTTP/1.1 102 Processing\r\n\r\n", b"X: y\r\n", b"\r\n", b"y"])
def test_bytes_of_the_head_do_not_extend_the_first_byte_limit(drip: bytes) -> None:
    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await site.request(reader)
        writer.write(b"" if drip.startswith((b"HTTP", b"\r")) else OK + b"X: ")
        for _ in range(90):
            await asyncio.sleep(0.005)
            writer.write(drip)
            await writer.drain()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with serving(script) as site, pooling() as pool:
            began = loop.time()
            with pytest.raises(WaitExpired) as caught:
                await post(pool, site.url(), first_byte=0.05)
            assert caught.value.clock == "first_byte"
            assert loop.time() - began < 0.3

    run(main)


FRAMING_ONLY = {"sizes": b"000", "extensions": b";a=b", "trailers": b"X: y\r\n"}


@pytest.mark.parametrize("name", FRAMING_ONLY)
def test_framing_does_not_restart_the_idle_clock(name: str) -> None:
    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await site.request(reader)
        writer.write(CHUNKED + b"5\r\nhello\r\n" + {"sizes": b"", "extensions": b"5"}.get(name, b"0\r\n"))
        for _ in range(90):
            await asyncio.sleep(0.005)
            writer.write(FRAMING_ONLY[name])
            await writer.drain()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with serving(script) as site, pooling() as pool:
            response = await post(pool, site.url())
            assert await response.read(30) == b"hello"
            began = loop.time()
            with pytest.raises((WaitExpired, BadResponse)) as caught:  # h11 limits the digits of a chunk size
                await response.read(0.05)
            assert caught.type is WaitExpired or name == "sizes"
            assert loop.time() - began < 0.3
            response.close()

    run(main)


def test_compressed_bytes_without_output_restart_the_idle_clock() -> None:
    data = gzip.compress(b"hello")

    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await site.request(reader)
        writer.write(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(data))
        for start in range(len(data)):
            await asyncio.sleep(0.02)
            writer.write(data[start : start + 1])
            await writer.drain()
        await reader.read()

    async def main() -> None:
        async with serving(script) as site, pooling() as pool:
            response = await post(pool, site.url())
            assert await response.read(0.2) + await response.read(0.2) + await body_of(response) == b"hello"

    run(main)


@pytest.mark.parametrize("drip", [b"1\r\nx\r\n", b"8000\r\n" + b"x" * 32_768 + b"\r\n"])
def test_finish_is_limited_in_time_and_in_bytes(drip: bytes) -> None:
    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await site.request(reader)
        writer.write(CHUNKED + b"3\r\nend\r\n")
        while True:
            writer.write(drip)
            await writer.drain()
            site.bodies.append(drip)
            await asyncio.sleep(0.005)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with serving(script) as site, pooling() as pool:
            response = await post(pool, site.url())
            assert (await response.read(30)).startswith(b"end")
            began, seconds = loop.time(), 0.05 if len(drip) < 10 else 30
            await response.finish(seconds)
            assert loop.time() - began < 0.3
            await site.closed.wait()
            assert not pool._live

    run(main)


@pytest.mark.parametrize(("coding", "most"), [("gzip", 16_384), ("identity", 32_768)])
def test_other_tasks_run_while_a_received_body_is_read(coding: str, most: int) -> None:
    """A body that arrived at once must not block the event loop, and its reader can be cancelled."""
    plain = b": comment\n\n" * 400_000
    data = gzip.compress(plain) if coding == "gzip" else plain
    answer = OK + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (coding.encode(), len(data)) + data

    async def main() -> None:
        async with serving(answering(answer, answer)) as site, pooling() as pool:
            turns, sizes = 0, []

            async def count() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            async def read_all(response: Response) -> None:
                while piece := await response.read(30):
                    sizes.append(len(piece))

            counting = asyncio.create_task(count())
            await read_all(await post(pool, site.url()))
            counting.cancel()
            assert sum(sizes) == len(plain)
            assert max(sizes) <= most
            assert turns >= len(plain) // most
            reading = asyncio.create_task(read_all(await post(pool, site.url())))
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading

    run(main)


# -- Keeping connections -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rubbish", [b"rubbish", LENGTH])
def test_bytes_behind_a_response_close_the_connection(rubbish: bytes) -> None:
    async def main() -> None:
        async with serving(answering(LENGTH + rubbish)) as site, pooling() as pool:
            for _ in range(2):
                assert await body_of(await post(pool, site.url())) == b"hello"
            assert site.connections == 2

    run(main)


def test_bytes_on_an_idle_connection_close_it() -> None:
    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await site.request(reader)
        writer.write(LENGTH)
        await asyncio.sleep(0.01)
        writer.write(b"HTTP/1.1 408 Timeout\r\n\r\n")
        await reader.read()

    async def main() -> None:
        async with serving(script) as site, pooling() as pool:
            assert await body_of(await post(pool, site.url())) == b"hello"
            await site.closed.wait()
            assert not pool._live and not any(pool._idle.values())

    run(main)


def test_idle_connection_is_closed_after_idle_seconds() -> None:
    async def main() -> None:
        async with serving(answering(LENGTH)) as site, pooling(idle_seconds=0.01) as pool:
            await body_of(await post(pool, site.url()))
            assert pool._live
            await site.closed.wait()
            assert not pool._live and not any(pool._idle.values())

    run(main)


def test_kept_connection_that_is_closed_is_replaced() -> None:
    async def main() -> None:
        async with serving(answering(LENGTH, close=True)) as site, pooling() as pool:
            for number in range(3):
                response = await post(pool, site.url())
                assert await body_of(response) == b"hello"
                await site.closed.wait()
                site.closed.clear()  # without an await here, the client's loop has not seen the close yet
                assert site.connections == number + 1

    run(main)


def test_close_that_the_loop_has_not_seen_yet_is_noticed() -> None:
    """The peer closes while this loop is busy."""
    go, closed = threading.Event(), threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    count = []

    def play() -> None:
        for _ in range(2):
            conn, _ = listener.accept()
            count.append(conn.recv(65536))
            conn.sendall(LENGTH)
            go.wait()
            conn.close()
            closed.set()

    thread = threading.Thread(target=play)
    thread.start()

    async def main() -> None:
        async with pooling() as pool:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            assert await body_of(await post(pool, url)) == b"hello"
            go.set()
            closed.wait()  # blocks the loop, on purpose
            assert await body_of(await post(pool, url)) == b"hello"

    run(main)
    thread.join()
    listener.close()
    assert len(count) == 2


def test_request_is_not_repeated_if_a_kept_connection_closes_after_it() -> None:
    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await site.request(reader)
        writer.write(LENGTH)
        await site.request(reader)

    async def main() -> None:
        async with serving(script) as site, pooling() as pool:
            await body_of(await post(pool, site.url()))
            with pytest.raises(Disconnected):
                await post(pool, site.url())
            assert len(site.heads) == 2
            assert site.connections == 1

    run(main)


def test_servers_do_not_share_connections() -> None:
    async def main() -> None:
        async with (
            serving(answering(LENGTH, LENGTH)) as one,
            serving(answering(LENGTH, LENGTH)) as two,
            pooling() as pool,
        ):
            for site in (one, two, one, two):
                await body_of(await post(pool, site.url()))
            assert one.connections == two.connections == 1

    run(main)


def test_finish_keeps_a_connection_whose_body_ends_in_time() -> None:
    rest = asyncio.Event()

    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        while True:
            head = await site.request(reader)
            writer.write(CHUNKED + b"3\r\nend\r\n")
            if b"/late" in head:
                await rest.wait()
            if b"/never" in head:
                await reader.read()
            writer.write(b"0\r\n\r\n")

    async def main() -> None:
        async with serving(script) as site, pooling() as pool:

            async def ask(path: str, seconds: float) -> int:
                response = await post(pool, site.url(path))
                assert await response.read(30) == b"end"
                await response.finish(seconds)
                response.close()
                return len([c for home in pool._idle.values() for c in home])

            assert await ask("/", 30) == 1
            asyncio.get_running_loop().call_later(0.01, rest.set)
            assert await ask("/late", 30) == 1
            assert await ask("/never", 0.01) == 0
            assert await ask("/never", 0) == 0
            assert site.connections == 2

    run(main)


def test_finish_does_not_wait_for_a_connection_that_cannot_be_kept() -> None:
    async def main() -> None:
        async with serving(answering(OK + b"\r\nhello")) as site, pooling() as pool:
            response = await post(pool, site.url())
            assert await response.read(30) == b"hello"
            await response.finish(86_400)

    run(main)


def test_close_frees_the_connection_at_once() -> None:
    async def main() -> None:
        async with serving(answering(CHUNKED + b"5\r\nhello\r\n")) as site, pooling() as pool:
            response = await post(pool, site.url())
            assert await response.read(30) == b"hello"
            response.close()
            response.close()
            with pytest.raises(Disconnected, match="closed"):
                await response.read(30)
            await site.closed.wait()

    run(main)


def test_closed_pool_ends_responses_and_refuses_requests() -> None:
    async def main() -> None:
        async with serving(answering(LENGTH, CHUNKED + b"5\r\nhello\r\n")) as site:
            pool = Pool()
            first, second = await asyncio.gather(post(pool, site.url()), post(pool, site.url()))
            await body_of(first)
            response = await post(pool, site.url())
            assert await response.read(30) == b"hello"
            reading = asyncio.create_task(response.read(30))
            await asyncio.sleep(0)
            pool.close()
            pool.close()
            with pytest.raises(Disconnected):
                await reading
            assert await body_of(second) == b"hello"  # it had arrived before
            await pool.aclose()
            assert not pool._live
            with pytest.raises(RuntimeError, match="closed"):
                await post(pool, site.url())

    run(main)


def test_pool_closed_while_it_connects_raises() -> None:
    async def main() -> None:
        async with serving(answering(LENGTH)) as site:
            pool = Pool()
            asking = asyncio.create_task(post(pool, site.url()))
            await asyncio.sleep(0)
            await pool.aclose()
            with pytest.raises(RuntimeError, match="closed"):
                await asking
            assert not site.heads

    run(main)


def test_pool_can_be_closed_after_its_loop() -> None:
    pool, (near, far) = Pool(), socket.socketpair()

    async def main() -> None:
        pool._check()
        await asyncio.get_running_loop().create_connection(lambda: Connection(pool._live, pool._buffer), sock=near)

    # asyncio warns, because the pool was not closed before its loop.
    with pytest.warns(ResourceWarning, match="unclosed transport"):
        asyncio.run(main())
        pool.close()
        pool._live.clear()
        gc.collect()
    far.close()


def test_upgrade_to_another_protocol_raises() -> None:
    async def main() -> None:
        answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
        async with serving(answering(answer)) as site, pooling() as pool:
            with pytest.raises(BadResponse, match="protocol"):
                await post(pool, site.url(), b"", {"Upgrade": "x", "Connection": "upgrade"}, method="GET")

    run(main)


def test_unclosed_pool_warns() -> None:
    async def main() -> None:
        async with serving(answering(LENGTH)) as site:
            pool = Pool(idle_seconds=0)
            await body_of(await post(pool, site.url()))
            with pytest.warns(ResourceWarning, match="unclosed <"):
                del pool
                gc.collect()
            await site.closed.wait()

    run(main)


def test_pool_refuses_another_loop() -> None:
    pool = Pool()

    async def main() -> None:
        async with serving(answering(LENGTH)) as site:
            await body_of(await post(pool, site.url()))
            await pool.aclose()

    run(main)
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(post(pool, "http://127.0.0.1/"))


# -- Requests ----------------------------------------------------------------------------------------------------------


def test_request_has_the_right_line_and_headers() -> None:
    async def main() -> None:
        async with serving(answering(LENGTH, LENGTH)) as site, pooling() as pool:
            url = site.url("/wp json/?q=é&r=%20#fragment").replace("//", "//u%40:p@", 1)
            await body_of(await post(pool, url, b"abc", {"X-One": "1", "accept-encoding": "gzip"}))
            await body_of(await post(pool, site.url(""), b"", {"Host": "example.org"}, method="GET"))
            first, second = site.heads
            assert first.splitlines() == [
                b"POST /wp%20json/?q=%C3%A9&r=%20 HTTP/1.1",
                b"Host: 127.0.0.1:%d" % site.port,
                b"Authorization: Basic dUA6cA==",
                b"Content-Length: 3",
                b"X-One: 1",
                b"accept-encoding: gzip",
                b"",
            ]
            assert second == b"GET / HTTP/1.1\r\nHost: example.org\r\nAccept-Encoding: identity\r\n\r\n"

    run(main)


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\nb"},
        {"X\r\n": "a"},
        {"X": " a"},
        {"X": "\u2028"},
        {"": "x"},
        {"Content-Length": "1"},
        {"Content-Length": "99"},
    ],
)
def test_invalid_headers_are_refused(headers: dict[str, str]) -> None:
    async def main() -> None:
        async with serving(answering(LENGTH)) as site, pooling() as pool:
            with pytest.raises(ValueError, match="cannot be sent"):
                await post(pool, site.url(), b"{}", headers)

    run(main)


@pytest.mark.parametrize(
    "url",
    ["", "example.org", "ftp://example.org/", "http://", "http://:80/", "http://a:x/", "http://a:99999/", "http://[::1/",
     "http://[x]/", "http://a..ü/", "http://a b/", "http://a:0/"],
)  # fmt: skip
def test_malformed_url_is_refused(url: str) -> None:
    async def main() -> None:
        async with pooling() as pool:
            with pytest.raises(ValueError, match="URL"):
                await post(pool, url)

    run(main)


@pytest.mark.parametrize(
    ("url", "host", "netloc", "target"),
    [
        ("http://example.org", "example.org", "example.org", "/"),
        ("HTTP://Example.ORG:80/A", "example.org", "example.org", "/A"),
        ("https://example.org:443/", "example.org", "example.org", "/"),
        ("https://example.org:80?x", "example.org", "example.org:80", "/?x"),
        ("http://[::1]:8080/", "::1", "[::1]:8080", "/"),
        ("http://straße.example/", "xn--strae-oqa.example", "xn--strae-oqa.example", "/"),
        ("http://[fe80::1%25eth0]/", "fe80::1", "[fe80::1]", "/"),
        ("http://bücher.example/ü?a=ü b", "xn--bcher-kva.example", "xn--bcher-kva.example", "/%C3%BC?a=%C3%BC%20b"),
    ],
)
def test_url_gives_host_and_target(url: str, host: str, netloc: str, target: str) -> None:
    read = url_module.parse_url(url)
    assert (read.origin.host, read.origin.netloc, read.target) == (host, netloc, target)


@pytest.mark.parametrize("headers", [{}, {"content-length": "10"}])
def test_body_in_pieces_is_sent(headers: dict[str, str]) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"hello"
        yield b""
        await asyncio.sleep(0)
        yield b"world"

    async def main() -> None:
        async with serving(answering(LENGTH, LENGTH)) as site, pooling() as pool:
            for _ in range(2):
                assert await body_of(await post(pool, site.url(), body(), headers)) == b"hello"
            assert site.bodies == [b"helloworld"] * 2
            assert (b"chunked" in site.heads[0]) == (not headers)
            assert site.connections == 1

    run(main)


def test_body_of_another_length_than_announced_raises() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"hello"

    async def main() -> None:
        async with serving(answering(LENGTH)) as site, pooling() as pool:
            for length in ("3", "9"):
                with pytest.raises(ValueError, match="cannot be sent"):
                    await post(pool, site.url(), body(), {"Content-Length": length})

    run(main)


def test_body_that_raises_closes_the_connection() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"hello"
        raise KeyError("mine")

    async def main() -> None:
        async with serving(answering(LENGTH)) as site, pooling() as pool:
            with pytest.raises(KeyError, match="mine"):
                await post(pool, site.url(), body())
            await site.closed.wait()

    run(main)


@pytest.mark.parametrize("in_pieces", [True, False])
def test_reset_before_the_body_was_sent_raises(in_pieces: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(1_000):
            yield b"x" * 100_000

    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.01)
        _reset(writer)

    async def main() -> None:
        async with serving(script) as site, pooling() as pool:
            with pytest.raises(Disconnected):
                await post(pool, site.url(), pieces() if in_pieces else b"x" * 50_000_000)

    run(main)


@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.parametrize("in_pieces", [True, False])
def test_early_refusal_ends_the_upload(in_pieces: bool, closes: bool) -> None:
    finalized = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            for _ in range(1_000):
                yield b"x" * 100_000
        finally:
            finalized.append(True)

    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")
        await writer.drain()
        if closes:
            writer.write_eof()
        await asyncio.sleep(3600)  # the server stops reading

    async def main() -> None:
        async with serving(script) as site, pooling() as pool:
            response = await post(pool, site.url(), pieces() if in_pieces else b"x" * 50_000_000)
            assert response.status == 413
            assert await body_of(response) == b"large"
            assert finalized == [True] * in_pieces
            await body_of(await post(pool, site.url(), b"x"))
            assert site.connections == 2  # the first connection was in the middle of a request

    run(main)


def test_early_success_does_not_end_the_upload() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100_000

    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED + b"5\r\nearly\r\n")
        await writer.drain()
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
        writer.write(b"4\r\nlate\r\n0\r\n\r\n")
        await reader.read()

    async def main() -> None:
        async with serving(script) as site, pooling() as pool:
            assert await body_of(await post(pool, site.url(), pieces())) == b"earlylate"

    run(main)


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def _own_context(path: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=path)


@pytest.mark.parametrize("how", ["file", "context", "off", "variable"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_https_works_with_each_kind_of_trust(
    tls: ssl.SSLContext, trusted: str, how: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "variable":
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", trusted)
    kinds: dict[str, bool | str] = {"file": trusted, "off": False, "variable": True}
    verify = kinds.get(how)

    async def main() -> None:
        answer = OK + b"Content-Length: 3000000\r\n\r\n" + b"x" * 3_000_000
        async with (
            serving(answering(answer, answer), tls=tls) as site,
            pooling(verify=_own_context(trusted) if verify is None else verify) as pool,
        ):
            for _ in range(2):
                response = await post(pool, site.url(scheme="https", host=host), b"y" * 500_000)
                assert len(await body_of(response)) == 3_000_000
            assert site.connections == 1

    run(main)


def test_directory_of_certificates_is_trusted(tls: ssl.SSLContext, authority: trustme.CA, tmp_path: Path) -> None:
    import subprocess

    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    name = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", tmp_path / "ca.pem"], capture_output=True, text=True, check=True
    ).stdout.strip()
    (tmp_path / "ca.pem").rename(tmp_path / f"{name}.0")

    async def main() -> None:
        async with serving(answering(LENGTH), tls=tls) as site, pooling(verify=str(tmp_path)) as pool:
            assert await body_of(await post(pool, site.url(scheme="https"))) == b"hello"

    run(main)


def test_untrusted_certificate_raises(tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with serving(answering(LENGTH), tls=tls) as site, pooling() as pool:
            with pytest.raises(ConnectError, match="unknown issuer") as caught:
                await post(pool, site.url(scheme="https"))
            assert not caught.value.retryable

    run(main)


def test_https_to_a_server_without_tls_raises(trusted: str) -> None:
    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def main() -> None:
        async with serving(script) as site, pooling(verify=trusted) as pool:
            with pytest.raises(ConnectError, match=f"127.0.0.1:{site.port} does not use TLS; try http://"):
                await post(pool, site.url(scheme="https"))

    run(main)


def test_missing_bundle_is_refused() -> None:
    with pytest.raises(ValueError, match="'/nowhere' does not exist"):
        Pool(verify="/nowhere")


def test_variable_with_a_missing_file_raises_connect_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")

    async def main() -> None:
        async with pooling() as pool:
            with pytest.raises(ConnectError, match="SSL_CERT_FILE names '/nowhere'") as caught:
                await post(pool, "https://127.0.0.1:9/")
            assert not caught.value.retryable

    run(main)


def test_contexts_are_built_once_and_never_for_http(
    tls: ssl.SSLContext, trusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    real = tls_module._new_context
    monkeypatch.setattr(tls_module, "_new_context", lambda trust: built.append(trust.file) or real(trust))

    async def main() -> None:
        async with serving(answering(LENGTH)) as site, pooling(verify=trusted) as pool:
            await body_of(await post(pool, site.url()))
            assert not built
        async with (
            serving(answering(LENGTH), tls=tls) as site,
            pooling(verify=trusted) as one,
            pooling(verify=trusted) as two,
        ):
            await asyncio.gather(*(post(pool, site.url(scheme="https")) for pool in (one, two) * 5))
            assert built == [trusted]

    run(main)


def test_connection_closed_during_the_handshake_has_a_message(trusted: str) -> None:
    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await reader.read(1)

    async def main() -> None:
        async with serving(script) as site, pooling(verify=trusted) as pool:
            with pytest.raises(ConnectError, match="closed the connection during the TLS handshake"):
                await post(pool, site.url(scheme="https"))

    run(main)


def test_missing_tls_alert_ends_the_body_as_without_tls(tls: ssl.SSLContext, trusted: str) -> None:
    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await site.request(reader)
        writer.write(OK + b"Connection: close\r\n\r\nhello")
        await writer.drain()
        raw = writer.get_extra_info("socket")
        socket.socket.shutdown(raw._sock, socket.SHUT_WR)  # TCP ends without a TLS alert
        await reader.read()

    async def main() -> None:
        async with serving(script, tls=tls) as site, pooling(verify=trusted) as pool:
            assert await body_of(await post(pool, site.url(scheme="https"))) == b"hello"

    run(main)


def test_reset_in_tls_raises_disconnected(tls: ssl.SSLContext, trusted: str) -> None:
    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await site.request(reader)
        writer.write(CHUNKED + b"5\r\nhello\r\n")
        await site.request(reader)

    async def main() -> None:
        async with serving(script, tls=tls) as site, pooling(verify=trusted) as pool:
            response = await post(pool, site.url(scheme="https"))
            assert await response.read(30) == b"hello"
            reading = asyncio.create_task(response.read(30))
            await asyncio.sleep(0)
            response._connection.write(b"GET / HTTP/1.1\r\n\r\n")  # lets the script abort the connection
            with pytest.raises((IncompleteBody, Disconnected)):
                await reading

    run(main)


# -- Connecting --------------------------------------------------------------------------------------------------------


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def test_refused_connection_and_unknown_host_raise() -> None:
    async def main() -> None:
        async with pooling() as pool:
            for url in (f"http://127.0.0.1:{_free_port()}/", "http://no-such-host.invalid/"):
                with pytest.raises(ConnectError) as caught:
                    await post(pool, url)
                assert caught.value.retryable
                assert isinstance(caught.value.__cause__, OSError)

    run(main)


def _lead_to(monkeypatch: pytest.MonkeyPatch, *places: tuple[str, int]) -> None:
    """Let every name resolve to these addresses."""

    async def getaddrinfo(self: object, host: str, port: int, **options: int) -> list[AddressInfo]:
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, to))
            for address, to in places
        ]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


def test_first_working_address_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with serving(answering(LENGTH)) as site, pooling() as pool:
            dead = ("127.0.0.1", _free_port())
            _lead_to(monkeypatch, ("::1", dead[1]), dead, ("127.0.0.1", site.port), ("::1", dead[1]))
            assert await body_of(await post(pool, "http://example.org/")) == b"hello"

    run(main)


def test_error_names_each_address_that_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with pooling() as pool:
            port = _free_port()
            _lead_to(monkeypatch, ("127.0.0.1", port), ("127.0.0.2", port))
            with pytest.raises(ConnectError, match=r"127.0.0.1.*; .*127.0.0.2"):
                await post(pool, "http://example.org/")

    run(main)


def test_hanging_address_does_not_delay_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with serving(answering(LENGTH)) as site, pooling() as pool:
            real = asyncio.get_running_loop().sock_connect

            async def sock_connect(sock: socket.socket, address: tuple[str, int]) -> None:
                await (asyncio.sleep(3600) if address[0] == "127.0.0.2" else real(sock, address))

            monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", sock_connect)
            _lead_to(monkeypatch, ("127.0.0.2", site.port), ("127.0.0.1", site.port))
            assert await body_of(await post(pool, "http://example.org/")) == b"hello"

    run(main)


def test_connection_sets_nodelay() -> None:
    async def main() -> None:
        async with serving(answering(LENGTH)) as site, pooling() as pool:
            response = await post(pool, site.url())
            sock = response._connection.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            await body_of(response)

    run(main)


def test_ipv6_address_and_zone_work() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")

    async def main() -> None:
        async with serving(answering(LENGTH, LENGTH), host="::1") as site, pooling() as pool:
            for host in ("[::1]", "[0:0::1%251]"):  # an address with a zone has connections of its own
                if "%" not in host or sys.platform == "linux":
                    assert await body_of(await post(pool, site.url(host=host))) == b"hello"
            assert {head.partition(b"Host: ")[2].partition(b"\r\n")[0] for head in site.heads} == {
                b"[::1]:%d" % site.port
            }

    run(main)


# -- Proxies -----------------------------------------------------------------------------------------------------------


async def _pipe(reader: Reader, writer: Writer) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def _relay(reader: Reader, writer: Writer, host: str, port: int) -> None:
    far_reader, far_writer = await asyncio.open_connection(host, port)
    piping = [asyncio.create_task(_pipe(reader, far_writer)), asyncio.create_task(_pipe(far_reader, writer))]
    try:
        await asyncio.wait(piping, return_when=asyncio.FIRST_COMPLETED)
    finally:
        far_writer.transport.abort()
        for task in piping:
            task.cancel()
        await asyncio.gather(*piping, return_exceptions=True)


async def connect_proxy(site: Site, reader: Reader, writer: Writer) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    site.heads.append(head)
    host, _, port = head.split()[1].decode().rpartition(":")
    writer.write(b"HTTP/1.1 200 Connection established\r\nX-Proxy: 1\r\n\r\n")
    await _relay(reader, writer, host.strip("[]"), int(port))


async def socks5_proxy(site: Site, reader: Reader, writer: Writer) -> None:
    _, count = await reader.readexactly(2)
    methods = await reader.readexactly(count)
    if 2 in methods:
        writer.write(b"\x05\x02")
        _, size = await reader.readexactly(2)
        user = await reader.readexactly(size)
        password = await reader.readexactly((await reader.readexactly(1))[0])
        site.heads.append(user + b":" + password)
        writer.write(b"\x01\x00" if password != b"wrong" else b"\x01\x01")
    else:
        writer.write(b"\x05\x00")
    kind = (await reader.readexactly(4))[3]
    size = 4 if kind == 1 else (await reader.readexactly(1))[0]
    address = await reader.readexactly(size)
    host = socket.inet_ntoa(address) if kind == 1 else address.decode()
    port = int.from_bytes(await reader.readexactly(2), "big")
    site.heads.append(host.encode())
    writer.write(b"\x05\x00\x00\x01\0\0\0\0\0\0")
    await _relay(reader, writer, host, port)


def test_http_works_through_an_http_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with (
            serving(answering(LENGTH, LENGTH, LENGTH)) as proxy,
            pooling(proxy=proxy.url("", host="a%40:b@127.0.0.1")) as pool,
        ):
            for _ in range(2):
                assert await body_of(await post(pool, "http://example.org/x?y")) == b"hello"
            assert proxy.heads[0].startswith(b"POST http://example.org/x?y HTTP/1.1\r\nHost: example.org\r\n")
            assert b"Proxy-Authorization: Basic YUA6Yg==\r\n" in proxy.heads[1]
            assert proxy.connections == 1
            monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")  # an address without a scheme
            async with pooling() as other:
                assert await body_of(await post(other, "http://example.net/")) == b"hello"

    run(main)


@pytest.mark.parametrize("proxy_scheme", ["http", "https"])
def test_https_works_through_a_proxy(tls: ssl.SSLContext, trusted: str, proxy_scheme: str) -> None:
    async def main() -> None:
        answer = OK + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1_000_000
        async with (
            serving(answering(answer, answer), tls=tls) as site,
            serving(connect_proxy, tls=tls if proxy_scheme == "https" else None) as proxy,
            pooling(proxy=proxy.url(scheme=proxy_scheme, host="u:p%3A@localhost"), verify=trusted) as pool,
        ):
            for _ in range(2):
                response = await post(pool, site.url(scheme="https", host="localhost"))
                assert len(await body_of(response)) == 1_000_000
            assert proxy.heads == [
                b"CONNECT localhost:%d HTTP/1.1\r\nHost: localhost:%d\r\nProxy-Authorization: Basic dTpwOg==\r\n\r\n"
                % (site.port, site.port)
            ]
            assert b"Proxy-Authorization" not in site.heads[0]

    run(main)


def test_http_works_through_a_proxy_with_tls(tls: ssl.SSLContext, trusted: str) -> None:
    async def main() -> None:
        async with (
            serving(answering(LENGTH), tls=tls) as proxy,
            pooling(proxy=proxy.url(scheme="https"), verify=trusted) as pool,
        ):
            assert await body_of(await post(pool, "http://example.org/")) == b"hello"

    run(main)


@pytest.mark.parametrize(
    ("answer", "says", "retryable"),
    [
        (b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n", "407 Who are you", False),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden", False),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "503 Busy", True),
        (b"", "closed", True),
        (b"SSH-2.0\r\n\r\n", "did not answer in HTTP", True),
    ],
)
def test_proxy_that_refuses_raises(answer: bytes, says: str, retryable: bool, trusted: str) -> None:
    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async def main() -> None:
        async with serving(script) as proxy, pooling(proxy=proxy.url(), verify=trusted) as pool:
            with pytest.raises(ConnectError, match=says) as caught:
                await post(pool, "https://example.org/")
            assert caught.value.retryable is retryable

    run(main)


@pytest.mark.parametrize("status", [b"200 OK", b"201 Created", b"204 No Content", b"299"])
def test_any_2xx_after_interim_answers_opens_the_tunnel(status: bytes, tls: ssl.SSLContext, trusted: str) -> None:
    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        host, _, port = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode().rpartition(":")
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 3)
        await asyncio.sleep(0.01)
        writer.write(b"HTTP/1.1 %b\nno colon\nContent-Length: 9\n\n" % status)
        await _relay(reader, writer, host, int(port))

    async def main() -> None:
        async with (
            serving(answering(LENGTH), tls=tls) as site,
            serving(script) as proxy,
            pooling(proxy=proxy.url(), verify=trusted) as pool,
        ):
            assert await body_of(await post(pool, site.url(scheme="https"))) == b"hello"

    run(main)


def test_refused_tunnel_names_the_proxy_without_its_password(trusted: str) -> None:
    async def main() -> None:
        async with (
            serving(answering(b"HTTP/1.1 407 No\r\n\r\n")) as proxy,
            pooling(proxy=proxy.url(host="user:secret@127.0.0.1"), verify=trusted) as pool,
        ):
            with pytest.raises(ConnectError, match=rf"the proxy 127.0.0.1:{proxy.port} refused .* 407 No") as caught:
                await post(pool, "https://example.org/")
            assert "secret" not in str(caught.value)
            assert "user" not in str(caught.value)

    run(main)


def test_idna_name_goes_to_proxies_in_ascii(trusted: str) -> None:
    async def main() -> None:
        async with serving(answering(LENGTH, b"HTTP/1.1 403 No\r\n\r\n")) as proxy:
            async with pooling(proxy=proxy.url(), verify=trusted) as pool:
                await body_of(await post(pool, "http://straße.example/"))
                assert (
                    b"POST http://xn--strae-oqa.example/ HTTP/1.1\r\nHost: xn--strae-oqa.example\r\n" in proxy.heads[0]
                )
        async with serving(connect_refused) as proxy, pooling(proxy=proxy.url(), verify=trusted) as pool:
            with pytest.raises(ConnectError, match=r"xn--strae-oqa\.example:443"):
                await post(pool, "https://straße.example/")
            assert proxy.heads[0].startswith(b"CONNECT xn--strae-oqa.example:443 HTTP/1.1\r\nHost: xn--strae-oqa")

    run(main)


async def connect_refused(site: Site, reader: Reader, writer: Writer) -> None:
    site.heads.append(await reader.readuntil(b"\r\n\r\n"))
    writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")


def test_hanging_proxy_expires_as_connect(trusted: str) -> None:
    async def main() -> None:
        async with serving(answering(b"")) as proxy, pooling(proxy=proxy.url(), verify=trusted) as pool:
            with pytest.raises(WaitExpired) as caught:
                await post(pool, "https://example.org/", connect=0.05)
            assert caught.value.clock == "connect"

    run(main)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("secret", [True, False])
def test_socks_proxy_resolves_names_as_its_scheme_says(
    tls: ssl.SSLContext, trusted: str, scheme: str, secret: bool
) -> None:
    pytest.importorskip("python_socks")

    async def main() -> None:
        async with (
            serving(answering(LENGTH, LENGTH), tls=tls if secret else None) as site,
            serving(socks5_proxy) as proxy,
            pooling(proxy=proxy.url(scheme=scheme, host="user:pass@127.0.0.1"), verify=trusted) as pool,
        ):
            url = site.url(scheme="https" if secret else "http", host="localhost")
            for _ in range(2):
                assert await body_of(await post(pool, url)) == b"hello"
            assert proxy.heads == [b"user:pass", b"localhost" if scheme == "socks5h" else b"127.0.0.1"]

    run(main)


def test_socks_proxy_that_refuses_or_is_missing_raises() -> None:
    async def main() -> None:
        async with serving(socks5_proxy) as proxy:
            for url in (proxy.url(scheme="socks5", host="u:wrong@127.0.0.1"), f"socks5://127.0.0.1:{_free_port()}"):
                async with pooling(proxy=url) as pool:
                    with pytest.raises(ConnectError, match="through the proxy"):
                        await post(pool, "http://127.0.0.1:9/")

    run(main)


def test_error_for_socks_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_socks", None)
    with pytest.raises(ValueError, match=r"chatgpt4online\[socks\]"):
        Pool(proxy="socks5://127.0.0.1")


@pytest.mark.parametrize("proxy", ["", "ftp://a", "http://", "socks6://a", "http://a:x"])
def test_malformed_proxy_is_refused_when_the_pool_is_made(proxy: str) -> None:
    with pytest.raises(ValueError, match="proxy"):
        Pool(proxy=proxy)


HOSTS = ["http://example.org/", "http://www.example.org:8080/", "https://example.org/", "http://notexample.org/",
         "http://10.1.2.3/", "http://10.2.0.1:8080/", "http://[::1]/", "http://localhost/"]  # fmt: skip


@pytest.mark.parametrize("url", HOSTS)
@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"http_proxy": "http://one:1"},
        {"HTTP_PROXY": "http://one:1", "https_proxy": "http://two:2"},
        {"ALL_PROXY": "http://all:3"},
        {"all_proxy": "http://all:3", "http_proxy": ""},
        *(
            {"all_proxy": "http://all:3", "no_proxy": value}
            for value in (
                "example.org",
                ".example.org",
                "www.example.org:8080",
                "10.1.0.0/16",
                "10.2.0.1, 10.1.2.3",
                "*",
                "org",
                " ",
            )
        ),
        {"all_proxy": "http://all:3", "NO_PROXY": "EXAMPLE.ORG"},
    ],
)
def test_environment_proxy_equals_that_of_requests(
    url: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from requests.utils import get_environ_proxies, select_proxy

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ours = proxies.environment_proxy(url_module.parse_url(url).origin)
    theirs = select_proxy(url, get_environ_proxies(url))
    assert (ours and f"http://{ours.origin.authority}") == theirs


# -- Cancellation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["http", "race", "https", "connect", "tls in tls", "socks", "upload"])
def test_cancellation_at_any_point_leaves_no_task_or_socket(
    way: str, tls: ssl.SSLContext, trusted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * 200_000

    async def exchange(pool: Pool, url: str) -> None:
        for _ in range(2):
            response = await post(pool, url, pieces() if way == "upload" else b"{}")
            assert await response.read(30) == b"hello"
            await response.finish(30)

    async def main() -> None:
        secret = tls if way in ("https", "connect", "tls in tls") else None
        proxy_script = socks5_proxy if way == "socks" else connect_proxy
        async with (
            serving(answering(answer, answer), tls=secret) as site,
            serving(proxy_script, tls=tls if way == "tls in tls" else None) as middle,
        ):
            scheme = {"connect": "http", "tls in tls": "https", "socks": "socks5"}.get(way)
            proxy = middle.url(scheme=scheme) if scheme else None
            url = site.url(scheme="https" if secret else "http")
            if way == "race":
                url = "http://example.org/"
                _lead_to(monkeypatch, *[("127.0.0.1", _free_port())] * 2, *[("127.0.0.1", site.port)] * 2)
            async with pooling(proxy=proxy, verify=trusted) as pool:
                await exchange(pool, url)  # builds the TLS context
            for steps in range(2_000):
                pool = Pool(proxy=proxy, verify=trusted)
                task = asyncio.create_task(exchange(pool, url))
                for _ in range(steps):
                    await asyncio.sleep(0)
                is_done = task.done()
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                for _ in range(8):
                    await asyncio.sleep(0)
                target = url_module.parse_url(url)
                idle = pool._idle.get((target.origin, target.resolved_host), {})
                assert is_done or not [connection for connection in pool._live if connection not in idle]
                await pool.aclose()
                assert not pool._live
                if is_done:
                    break
            else:
                pytest.fail("it never ended")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(main)


# -- Many --------------------------------------------------------------------------------------------------------------


def test_many_requests_at_once_succeed() -> None:
    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        while True:
            await site.request(reader)
            writer.write(CHUNKED)
            for number in range(5):
                writer.write(b"9\r\ndata: %d\n\n\r\n" % number)
                await asyncio.sleep(0)
            writer.write(b"0\r\n\r\n")

    async def main() -> None:
        async with serving(script) as site, pooling() as pool:

            async def ask() -> None:
                for _ in range(3):
                    assert await body_of(await post(pool, site.url())) == b"".join(
                        b"data: %d\n\n" % n for n in range(5)
                    )

            await asyncio.gather(*(ask() for _ in range(150)))
            assert site.connections == 150
            assert sum(map(len, pool._idle.values())) == len(pool._live) == 150

    run(main)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_bodies_that_arrive_at_once_do_not_mix(scheme: str, tls: ssl.SSLContext, trusted: str) -> None:
    """All connections of a pool read into the same buffer."""
    size = 300_000  # several buffers

    async def script(site: Site, reader: Reader, writer: Writer) -> None:
        body = (await site.request(reader)).split()[1][-1:] * size
        writer.write(OK + b"Content-Length: %d\r\n\r\n" % size + body)
        await writer.drain()
        await reader.read()

    async def main() -> None:
        async with (
            serving(script, tls=tls if scheme == "https" else None) as site,
            pooling(verify=trusted) as pool,
        ):

            async def ask(letter: str) -> None:
                assert await body_of(await post(pool, site.url(f"/{letter}", scheme))) == letter.encode() * size

            await asyncio.gather(*map(ask, "abcdefghij"))

    run(main)


# -- The splitter ------------------------------------------------------------------------------------------------------


def _cut(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    start = 0
    for cut in cuts:
        if start >= len(data):
            return
        yield data[start : start + cut]
        start += cut
    if start < len(data):
        yield data[start:]


def _h11() -> h11.Connection:
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=65_536)
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    http.send(h11.EndOfMessage())
    http.receive_data(CHUNKED)
    assert isinstance(http.next_event(), h11.Response)
    return http


def _history(pieces: list[bytes], splitter: ChunkSplitter | None) -> list[tuple[bytes, object]]:
    """Return the state after each piece: the body so far, and the end or the error."""
    http, body = _h11(), b""
    history: list[tuple[bytes, object]] = []
    for piece in [*pieces, b""]:
        end: tuple[str, object] | None = None
        steps: Iterable[bytes | list[bytes]] = [piece]
        if splitter is not None:
            steps = splitter.split(piece) if piece else [splitter.flush(), b""]
        try:
            for step in steps:
                if isinstance(step, list):
                    body += b"".join(step)
                elif step or not piece:
                    http.receive_data(step)
                    while isinstance(event := http.next_event(), h11.Data):
                        body += event.data
                    if isinstance(event, h11.EndOfMessage):
                        end = ("end", list(event.headers))
        except h11.RemoteProtocolError as error:
            end = ("error", str(error))
        history.append((body, end))
        if end:
            break
    return history


def _encode(payload: bytes, form: str) -> bytes:
    return (form % len(payload)).encode() + b"\r\n" + payload + b"\r\n"


payloads = st.one_of(
    st.sampled_from(
        [b"\n\n", b"\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n", b"x" * 15, b"x" * 16, b"x" * 1023, b"x" * 1024]
    ),
    st.binary(min_size=1, max_size=40),
)
chunks = st.builds(
    _encode, payloads, st.sampled_from(["%x", "%X", "%03x", "%010x", "%x;a=b", '%x;q="a b"', "%x ; a", "%x ", "%025x"])
)
garbage = st.one_of(
    st.sampled_from(
        [
            b"0\r\n",
            b"\r\n",
            b"\r",
            b"\n",
            b"0",
            b"zz\r\n",
            b"-1\r\n",
            b"0x5\r\n",
            b" 5\r\n",
            b"+5\r\n",
            b"1_0\r\n",
            b"5\r\nhelloX",
            b"5\r\nhello\rX",
            b"ffffffff\r\n",
            b"fffffffff\r\n",
            b"5\nhello",
            b"X: 1\r\n",
            b";\r\n",
            b"\xb2\r\n",
            b"00\r\n\r\n",
            b"5" * 12,
        ]
    ),
    st.binary(max_size=12),
)
ending = st.sampled_from(
    [
        b"",
        b"0\r\n\r\n",
        b"000;last=1\r\n\r\n",
        b"0\r\nX: 1\r\n\r\n",
        b"0\r\nX: 1\r\n folded\r\nY: 2\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\nX: 1\r\n",
        b"0\r\n\r\nrubbish",
        b"0\r\n\r\n5\r\nhello\r\n",
        b"5\r\nhel",
    ]
)
bodies = st.builds(
    lambda parts, end: b"".join(parts) + end, st.lists(st.one_of(chunks, chunks, chunks, garbage), max_size=12), ending
)


@settings(max_examples=1_500, deadline=None)
@given(bodies, st.one_of(st.just([]), st.lists(st.integers(1, 30)), st.lists(st.just(1), min_size=300, max_size=300)))
@example(b"5\r\nhello\r\n2\r\n\n\n\r\n0\r\n\r\n", [])
@example(b"5\r\nhello\r\n5\r\nworld\rX", [])
@example(b"5\r\nhello\r\n5\r\nworld\r", [11])
@example(b"400\r\n" + b"x" * 1024 + b"\r\n1\r\ny\r\n1\r\nz\r\n0\r\n\r\n", [10])
def test_splitter_does_not_change_the_result_of_h11(body: bytes, cuts: list[int]) -> None:
    pieces = list(_cut(body, cuts))
    assert _history(pieces, ChunkSplitter()) == _history(pieces, None)


@settings(max_examples=300, deadline=None)
@given(bodies.filter(lambda body: len(body) < 400))
@example(b"5\r\nhello\r\n5;a\r\nworld\r\n0\r\nX: 1\r\n\r\n")
@example(b"1\r\na\r\n1\r\nb\r\n1x\r\nc\r\n")
@example(b"1\r\na\r\n0\r\nX: 1\r\n\r\n")
def test_splitter_does_not_change_the_result_of_h11_at_any_cut(body: bytes) -> None:
    for cut in range(len(body) + 1):
        pieces = [piece for piece in (body[:cut], body[cut:]) if piece]
        assert _history(pieces, ChunkSplitter()) == _history(pieces, None), cut


@given(st.lists(payloads, min_size=1, max_size=50), st.integers(0, 60))
def test_whole_chunks_are_not_read_by_h11(parts: list[bytes], cut: int) -> None:
    """Behind a chunk that arrives in parts too."""
    body = b"".join(_encode(part, "%x") for part in parts)
    splitter = ChunkSplitter()
    splitter.split(_encode(b"x" * 60, "%x")[:cut])
    first, whole, rest = splitter.split(_encode(b"x" * 60, "%x")[cut:] + body)
    assert (len(first) < 70, whole[-len(parts) :], rest) == (True, parts, b"")


@given(st.lists(st.binary(max_size=30)))
def test_splitter_holds_less_than_ten_bytes(pieces: list[bytes]) -> None:
    splitter = ChunkSplitter()
    for piece in pieces:
        if piece:
            splitter.split(piece)
            assert len(splitter._held) < 10


def test_lost_connection_is_not_aborted_again() -> None:
    async def main() -> None:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        with reader:
            loop, connection = asyncio.get_running_loop(), Connection(set(), memoryview(bytearray(1)))
            await loop.create_connection(lambda: connection, sock=writer)
            connection.transport.write(b"x" * 4_000_000)  # more than the buffer of the kernel holds
            connection.transport.close()
            while await loop.sock_recv(reader, 65_536):
                pass
            await connection.closed
            await asyncio.sleep(0)  # the transport drops its reference to the loop
            connection.abort()
            assert connection.is_over

    run(main)
