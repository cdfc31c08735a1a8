"""A site on loopback in a process of its own: ``python -m benchmarks.server``.

The question says what to answer: ``kind count [pause [hold]]``, with times in seconds. The kinds are:

- ``tokens``, ``notices``, ``long``: so many events, as fast as the client reads;
- ``timed``: events with the time of their sending, and a pause before each;
- ``phases``: one timed event, ``count`` paced ones, more at once up to 300 events, and the end, with a hold between;
- ``short``, ``wide``: an answer of so many bytes, in short or in long events;
- ``comments``: comment lines without end, compressed so much that each KB becomes a MB;
- ``tiny``: so many chunks of one byte.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from . import workloads
from .machine import raise_open_files

ROOT = Path(__file__).parents[1]
PATH = "/wp-json/mwai-ui/v1/chats/submit"
SESSION_PATH = "/wp-json/mwai/v1/start_session"
UPLOAD_PATH = "/wp-json/mwai-ui/v1/files/upload"
NONCE = "0a1b2c3d4e"
PHASE_EVENTS = 300  # a long answer, for the memory that a stream has near its end
_WIDE = "All the words of a long event. " * 33  # about 1 KB

_QUESTION = re.compile(rb'"newMessage": ?"(\w+) (\d+)(?: ([\d.]+))?(?: ([\d.]+))?"')
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_GZIP_HEAD = _HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
_COMMENTS = 10_000_000  # bytes of one member of the compressed answer


class _Site(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.writable = asyncio.Event()
        self.writable.set()
        self.task: asyncio.Task[None] | None = None
        self.begin()

    def begin(self) -> None:
        """Wait for the next request."""
        self.received, self.route, self.left = b"", "", 0

    def connection_lost(self, exc: Exception | None) -> None:
        if self.task is not None:
            self.task.cancel()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        if not self.route:
            head, found, data = (self.received + data).partition(b"\r\n\r\n")
            if not found:
                self.received = head
                return
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            self.received, self.left = b"", int(length[1]) if length else 0
            self.route = head.split(b" ", 2)[1].decode()
        self.left -= len(data)
        if self.route != UPLOAD_PATH:  # a file of 500 MB must not be kept
            self.received += data
        if self.left <= 0:
            body, route = self.received, self.route
            self.begin()
            self.answer(route, body)

    def answer(self, route: str, body: bytes) -> None:
        if route == SESSION_PATH:
            self.transport.write(_response({"success": True, "sessionId": "1", "restNonce": NONCE}))
        elif route == UPLOAD_PATH:
            self.transport.write(_response({"success": True, "data": {"id": "1", "url": "https://example.org/1"}}))
        else:
            question = _QUESTION.search(body)
            assert question, body
            kind, count = question[1].decode(), int(question[2])
            if kind in _WHOLE:
                self.transport.write(_whole(kind, count))
            else:
                pieces = _SLOW[kind](count, float(question[3] or 0), float(question[4] or 0))
                self.task = asyncio.ensure_future(self.send(pieces))

    async def send(self, pieces: AsyncIterator[bytes]) -> None:
        async for piece in pieces:
            await self.writable.wait()
            self.transport.write(piece)


def _response(fields: dict[str, Any]) -> bytes:
    body = json.dumps(fields)
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(payload: str) -> bytes:
    return _chunk(f"data: {payload}\n\n".encode())


_END = _event(json.dumps({"type": "end", "data": '{"success":true,"reply":null}'})) + b"0\r\n\r\n"
_WHOLE: dict[str, Callable[[int], workloads.Workload]] = {
    "tokens": workloads.tokens,
    "notices": workloads.notices,
    "long": workloads.long,
}


@cache
def _whole(kind: str, count: int) -> bytes:
    return _HEAD + b"".join(map(_event, _WHOLE[kind](count).payloads)) + _END


def _timed() -> bytes:
    return _event(workloads.encode_text(f"{time.monotonic():.6f} "))


async def _paced(count: int, pause: float, _hold: float) -> AsyncIterator[bytes]:
    yield _HEAD
    for _ in range(count):
        await asyncio.sleep(pause)
        yield _timed()
    await asyncio.sleep(pause)
    yield _END


async def _phases(count: int, pause: float, hold: float) -> AsyncIterator[bytes]:
    yield _HEAD + _timed()
    await asyncio.sleep(hold)
    for _ in range(count):
        await asyncio.sleep(pause)
        yield _timed()
    await asyncio.sleep(hold)
    yield _timed() * (PHASE_EVENTS - 1 - count)
    await asyncio.sleep(hold)
    yield _END


async def _sized(text: str, size: int, _pause: float, _hold: float) -> AsyncIterator[bytes]:
    yield _HEAD
    payload = workloads.encode_text(text)
    for piece in workloads.repeated(payload, size // (len(payload) + len("data: \n\n")) or 1):
        yield _chunk(piece)
        await asyncio.sleep(0)  # the transport may ask for a pause
    yield _END


async def _comments(count: int, _pause: float, _hold: float) -> AsyncIterator[bytes]:
    yield _GZIP_HEAD
    member = _chunk(gzip.compress(b":\n" * (_COMMENTS // 2)))
    for _ in range(count):
        yield member
        await asyncio.sleep(0)
    yield b"0\r\n\r\n"


async def _tiny(count: int, _pause: float, _hold: float) -> AsyncIterator[bytes]:
    yield _HEAD
    block = 10_000
    for _ in range(max(1, count // block)):
        yield _chunk(b":") * min(block, count)
        await asyncio.sleep(0)
    yield _END


_SLOW: dict[str, Callable[[int, float, float], AsyncIterator[bytes]]] = {
    "timed": _paced,
    "phases": _phases,
    "short": lambda *numbers: _sized(" weather", *numbers),
    "wide": lambda *numbers: _sized(_WIDE, *numbers),
    "comments": _comments,
    "tiny": _tiny,
}


async def _serve(certificate: str) -> None:
    raise_open_files()
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.get_running_loop().create_server(_Site, "127.0.0.1", 0, backlog=8_192, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # returns when the parent process closes the pipe
    server.close()


@contextmanager
def process(module: str, *arguments: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Run a module that prints its port, and ends with its standard input. Yield the port and the process."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin and child.stdout
        try:
            yield int(child.stdout.readline()), child
        finally:
            child.stdin.close()


@contextmanager
def serving(certificate: str = "") -> Iterator[str]:
    """Run the site, and yield its address. ``certificate`` is the path of a certificate with its key, for TLS."""
    with process("server", certificate) as (port, _):
        yield f"http{'s' if certificate else ''}://127.0.0.1:{port}"


@contextmanager
def certified() -> Iterator[str]:
    """Yield the path of a certificate for 127.0.0.1. All libraries trust it meanwhile, through their variables.

    The trusted certificates are those of certifi and this one, so loading them costs as much as in a real program.
    """
    import certifi
    import trustme

    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as folder:
        trusted, own = Path(folder, "trusted.pem"), Path(folder, "own.pem")
        trusted.write_bytes(Path(certifi.where()).read_bytes() + authority.cert_pem.bytes())
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(own)
        names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        with patch.dict(os.environ, dict.fromkeys(names, str(trusted))):
            yield str(own)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
