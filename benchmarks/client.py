"""The clients over loopback, beside other ways to ask the same question. The server has its own process.

CPU ratios compare ``Client`` and ``AsyncClient`` with ``bare``, a blocking socket and HTTP by hand. The peers are
requests, httpx and aiohttp, if they are installed. Each way turns the answer into the text of its pieces. The peers use
``json.loads`` for that.

- ``burst`` is an answer that arrives as fast as it is read.
- ``paced`` is an answer of one event for each read.
- ``chat`` is a short answer on an open connection.
- ``first event`` is the wall-clock time from making a client to the first event, with a known nonce. It is compared
  with a bare ``requests.post``, and with bare asyncio and h11.
- ``streams`` are many answers at once, on one event loop in a new process.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, aclosing, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from chatgpt4online import AsyncClient, Client

from . import workloads
from .measure import Result, cpu, interleaved, ratio

_ROOT = Path(__file__).parents[1]
_PATH = "/wp-json/mwai-ui/v1/chats/submit"
_BURST, _PACED, _SHORT = 2_000, 150, 3  # events of an answer
_CHATS = 20  # chats in a row
_PAUSE = 0.0008  # seconds between two events of a paced answer: enough to read one before the next arrives
_STREAMS = {200: 3.0, 1000: 5.0}  # the number of streams at once, and the seconds of each
_STREAM_EVENTS = 25
_RAMP = 0.0015  # seconds between the starts of two streams, because 1,000 starts at once would hide the rest
_FILES = 8_192  # open files: two sockets for each of 1,000 streams, and room for more
_NONCE = "0a1b2c3d4e"


# The server


class _Site(asyncio.Protocol):
    """A site that answers with as many events, and with such pauses in seconds, as the question demands."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.received = b""
        self.task: asyncio.Task[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if not found or (length and len(body) < int(length[1])):
            return
        self.received = b""
        if b"start_session" in head:
            self.transport.write(_response(json.dumps({"success": True, "sessionId": "1", "restNonce": _NONCE})))
            return
        question = re.search(rb'"newMessage": ?"(\d+) ([\d.]+)"', body)
        assert question, body
        count, pause = int(question[1]), float(question[2])
        if pause:
            self.task = asyncio.ensure_future(self.send_slowly(count, pause))
        else:
            self.transport.write(_whole(count))

    async def send_slowly(self, count: int, pause: float) -> None:
        self.transport.write(_HEAD)
        for _ in range(count):
            await asyncio.sleep(pause)
            self.transport.write(_chunk(workloads.encode_text(f"{time.monotonic():.6f} ")))
        await asyncio.sleep(pause)
        self.transport.write(_END)


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def _response(body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def _chunk(payload: str) -> bytes:
    data = f"data: {payload}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


_END = _chunk(json.dumps({"type": "end", "data": '{"success":true,"reply":null}'})) + b"0\r\n\r\n"
_answers: dict[int, bytes] = {}


def _whole(count: int) -> bytes:
    if count not in _answers:
        _answers[count] = _HEAD + b"".join(map(_chunk, workloads.tokens(count).payloads)) + _END
    return _answers[count]


async def _serve() -> None:
    _raise_limit()
    server = await asyncio.get_running_loop().create_server(_Site, "127.0.0.1", 0, backlog=2_048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # returns when the parent process closes the pipe
    server.close()


@contextmanager
def serving() -> Iterator[str]:
    """Run the server in a new process, and yield its address."""
    command = [sys.executable, "-m", __name__, "serve"]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


def _raise_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FILES:
        wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


# The ways to ask a question


@dataclass(frozen=True, slots=True)
class Way:
    """The functions that make a client for an address, ask it for the pieces of an answer, and close it."""

    open: Callable[[str], Any]
    ask: Callable[[Any, str], Any]
    close: Callable[[Any], Any]
    is_async: bool = False


def _question(prompt: str) -> bytes:
    return json.dumps({"botId": "default", "newMessage": prompt, "messages": [], "stream": True}).encode()


_HEADERS = {"Content-Type": "application/json", "Accept": "text/event-stream", "X-WP-Nonce": _NONCE}


class _Lines:
    """Turns the bytes of a body into texts, with the usual hand-written loop."""

    def __init__(self) -> None:
        self.held = b""

    def texts(self, data: bytes) -> Iterator[str]:
        *lines, self.held = (self.held + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data: ") and (event := json.loads(line[6:]))["type"] == "live":
                yield event["data"]


def _bare_request(address: str, prompt: str) -> bytes:
    body = _question(prompt)
    lines = [f"POST {_PATH} HTTP/1.1", f"Host: {address}", *(f"{name}: {value}" for name, value in _HEADERS.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def _open_bare(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class _Chunks:
    """Turns the bytes of an answer into the bytes of its chunked body."""

    def __init__(self) -> None:
        self.held, self.in_body, self.over = b"", False, False

    def feed(self, data: bytes) -> bytes:
        data = self.held + data
        start = 0
        if not self.in_body:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.held = data
                return b""
            self.in_body, start = True, end + 4
        pieces = []
        while (end := data.find(b"\r\n", start)) >= 0:
            size = int(data[start:end], 16)
            if end + 4 + size > len(data):
                break
            self.over = not size
            pieces.append(data[end + 2 : end + 2 + size])
            start = end + 4 + size
        self.held = data[start:]
        return b"".join(pieces)


def _ask_bare(connection: socket.socket, prompt: str) -> Iterator[str]:
    connection.sendall(_bare_request("127.0.0.1", prompt))
    chunks, lines = _Chunks(), _Lines()
    while not chunks.over:
        yield from lines.texts(chunks.feed(connection.recv(65_536)))


def _open_client(url: str) -> Client:
    client = Client(url)
    client.session.nonce = _NONCE
    return client


def _open_requests(url: str) -> Any:
    import requests

    session = requests.Session()
    session.url = url + _PATH  # type: ignore[attr-defined]  # the session is the only value that _ask_requests gets
    return session


def _ask_requests(session: Any, prompt: str) -> Iterator[str]:
    with session.post(session.url, data=_question(prompt), headers=_HEADERS, stream=True) as response:
        for line in response.iter_lines(chunk_size=None):
            if line.startswith(b"data: ") and (event := json.loads(line[6:]))["type"] == "live":
                yield event["data"]


def _ask_requests_raw(session: Any, prompt: str) -> Iterator[str]:
    lines = _Lines()
    with session.post(session.url, data=_question(prompt), headers=_HEADERS, stream=True) as response:
        while data := response.raw.read1(65_536):
            yield from lines.texts(data)


def _open_httpx(kind: str, url: str) -> Any:
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return getattr(httpx, kind)(base_url=url, timeout=None, limits=limits)


def _ask_httpx(client: Any, prompt: str) -> Iterator[str]:
    from httpx_sse import connect_sse

    with connect_sse(client, "POST", _PATH, content=_question(prompt), headers=_HEADERS) as source:
        for sse in source.iter_sse():
            if (event := sse.json())["type"] == "live":
                yield event["data"]


async def _ask_httpx_async(client: Any, prompt: str) -> AsyncIterator[str]:
    from httpx_sse import aconnect_sse

    async with aconnect_sse(client, "POST", _PATH, content=_question(prompt), headers=_HEADERS) as source:
        async for sse in source.aiter_sse():
            if (event := sse.json())["type"] == "live":
                yield event["data"]


async def _open_async_client(url: str) -> AsyncClient:
    client = AsyncClient(url)
    client.session.nonce = _NONCE
    return client


async def _open_aiohttp(url: str) -> Any:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None)
    return aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0), timeout=timeout)


async def _ask_aiohttp(session: Any, prompt: str) -> AsyncIterator[str]:
    lines = _Lines()
    async with session.post(_PATH, data=_question(prompt), headers=_HEADERS) as response:
        async for data in response.content.iter_any():
            for text in lines.texts(data):
                yield text


async def _open_httpx_async(url: str) -> Any:
    return _open_httpx("AsyncClient", url)


class _Asyncio:
    """Connections of ``asyncio.open_connection``, which are kept for the next question."""

    def __init__(self, url: str) -> None:
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port = int(port)
        self.free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def take(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return self.free.pop() if self.free else await asyncio.open_connection(self.host, self.port)

    async def close(self) -> None:
        for _, writer in self.free:
            writer.close()
            await writer.wait_closed()


async def _open_asyncio(url: str) -> _Asyncio:
    return _Asyncio(url)


async def _ask_asyncio(pool: _Asyncio, prompt: str) -> AsyncIterator[str]:
    connection = reader, writer = await pool.take()
    writer.write(_bare_request("127.0.0.1", prompt))
    chunks, lines = _Chunks(), _Lines()
    try:
        while not chunks.over:
            for text in lines.texts(chunks.feed(await reader.read(65_536))):
                yield text
    finally:
        if chunks.over:
            pool.free.append(connection)
        else:
            writer.close()


async def _ask_h11(pool: _Asyncio, prompt: str) -> AsyncIterator[str]:
    import h11

    connection = reader, writer = await pool.take()
    http, body, lines = h11.Connection(h11.CLIENT), _question(prompt), _Lines()
    headers = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **_HEADERS}
    request = h11.Request(method="POST", target=_PATH, headers=list(headers.items()))
    writer.write(http.send(request) + http.send(h11.Data(data=body)) + http.send(h11.EndOfMessage()))
    try:
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(65_536))
            elif isinstance(event, h11.Data):
                for text in lines.texts(bytes(event.data)):
                    yield text
    finally:
        if http.their_state is h11.DONE:
            pool.free.append(connection)
        else:
            writer.close()


def ways() -> dict[str, Way]:
    """Return the ways whose libraries are installed."""
    found = {
        "bare": Way(_open_bare, _ask_bare, socket.socket.close),
        "Client": Way(_open_client, Client.stream, Client.close),
        "requests": Way(_open_requests, _ask_requests, lambda session: session.close()),
        "read1": Way(_open_requests, _ask_requests_raw, lambda session: session.close()),
        "AsyncClient": Way(_open_async_client, AsyncClient.stream, AsyncClient.aclose, is_async=True),
        "asyncio": Way(_open_asyncio, _ask_asyncio, _Asyncio.close, is_async=True),
        "h11": Way(_open_asyncio, _ask_h11, _Asyncio.close, is_async=True),
    }
    if find_spec("aiohttp"):
        found["aiohttp"] = Way(_open_aiohttp, _ask_aiohttp, lambda session: session.close(), is_async=True)
    if find_spec("httpx") and find_spec("httpx_sse"):
        found["httpx"] = Way(partial(_open_httpx, "Client"), _ask_httpx, lambda client: client.close())
        found["httpx async"] = Way(_open_httpx_async, _ask_httpx_async, lambda client: client.aclose(), is_async=True)
    return found


# The measurements


class Asker:
    """One client of any way, which is used for the whole benchmark."""

    def __init__(self, way: Way, url: str, runner: asyncio.Runner) -> None:
        self.way = way
        self.runner = runner
        self.client = runner.run(way.open(url)) if way.is_async else way.open(url)

    def ask(self, prompt: str) -> int:
        """Return the number of pieces in the answer to a question."""
        if self.way.is_async:
            return self.runner.run(self._count(prompt))
        return sum(1 for _ in self.way.ask(self.client, prompt))

    def close(self) -> None:
        closed = self.way.close(self.client)
        if self.way.is_async:
            self.runner.run(closed)

    async def _count(self, prompt: str) -> int:
        count = 0
        async for _ in self.way.ask(self.client, prompt):
            count += 1
        return count


def first_event(way: Way, url: str, runner: asyncio.Runner) -> float:
    """Return the seconds from before the client is made to the first piece of an answer."""
    prompt = f"{_SHORT} 0"

    async def first() -> float:
        start = time.perf_counter()
        client = await way.open(url)
        async with aclosing(way.ask(client, prompt)) as pieces:
            await anext(pieces)
            seconds = time.perf_counter() - start
        await way.close(client)
        return seconds

    if way.is_async:
        return runner.run(first())
    start = time.perf_counter()
    client = way.open(url)
    with closing(way.ask(client, prompt)) as pieces:
        next(pieces)
        seconds = time.perf_counter() - start
    way.close(client)
    return seconds


def run(rounds: int) -> list[Result]:
    """Return the ratios of both clients and of the peers."""
    found = ways()
    with ExitStack() as stack:
        url = stack.enter_context(serving())
        runner = stack.enter_context(asyncio.Runner())
        runner.run(asyncio.sleep(0))
        askers = {name: stack.enter_context(closing(Asker(way, url, runner))) for name, way in found.items()}
        results = [
            *_compare(askers, "burst", f"{_BURST} 0", 1, _BURST, rounds, (2.5, 2.5), "as fast as it comes"),
            *_compare(
                askers, "paced", f"{_PACED} {_PAUSE}", 1, _PACED, math.ceil(rounds / 2), (1.5, 2.1), "one event a read"
            ),
            *_compare(
                askers, "chat", f"{_SHORT} 0", _CHATS, _SHORT, rounds, (15, 15), "3 events, a warm client; mark ours"
            ),
            *_compare_first(found, url, runner, rounds * 3),
        ]
        for count in _STREAMS:
            results += _compare_streams(found, url, count, max(1, rounds // 15))
    return results


def _compare(
    askers: dict[str, Asker],
    name: str,
    prompt: str,
    times: int,
    events: int,
    rounds: int,
    marks: tuple[float, float],
    note: str,
) -> list[Result]:
    def work(asker: Asker) -> None:
        for _ in range(times):
            if (count := asker.ask(prompt)) != events:
                raise AssertionError(f"{count} of {events} events came")

    seconds = interleaved({key: partial(cpu, partial(work, asker)) for key, asker in askers.items()}, rounds)
    ratios = {key: ratio(figures, seconds["bare"]) for key, figures in seconds.items()}
    base = median(seconds["bare"]) / times / (1 if times > 1 else events)
    note = f"{note}; bare: {1e6 * base:.0f} us"
    return [_result(f"{ours}, {name}", ours, ratios, mark, note) for ours, mark in zip(_OURS, marks, strict=True)]


_OURS = ("Client", "AsyncClient")
_SYNC_PEERS = ("requests", "read1", "httpx")
_ASYNC_PEERS = ("h11", "asyncio", "aiohttp", "httpx async")


def _result(title: str, ours: str, figures: dict[str, float], mark: float, note: str, unit: str = "x") -> Result:
    names = _SYNC_PEERS if ours == "Client" else _ASYNC_PEERS
    peers = {name.removesuffix(" async"): figures[name] for name in names if name in figures}
    return Result(title, figures[ours], mark, unit, note, peers)


def _compare_first(found: dict[str, Way], url: str, runner: asyncio.Runner, rounds: int) -> list[Result]:
    tasks = {name: partial(first_event, way, url, runner) for name, way in found.items()}
    if httpx := {name for name in tasks if name.startswith("httpx")}:
        few = interleaved({name: tasks.pop(name) for name in httpx}, 3)  # httpx builds a slow TLS context each time
    seconds = interleaved(tasks, rounds)
    middle = {name: median(figures) for name, figures in (seconds | (few if httpx else {})).items()}
    results = []
    for ours, base in zip(_OURS, ("read1", "h11"), strict=True):
        ratios = {name: figure / middle[base] for name, figure in middle.items()} | {
            ours: ratio(seconds[ours], seconds[base])
        }
        note = f"{1e6 * middle[ours]:.0f} us over {'requests.post' if ours == 'Client' else 'asyncio and h11'}"
        results.append(_result(f"{ours}, first event", ours, ratios, 1.3, note))
    return results


# Many streams in one process


def _compare_streams(found: dict[str, Way], url: str, count: int, rounds: int) -> list[Result]:
    names: list[str] = [name for name in ("AsyncClient", "asyncio", "h11", "aiohttp", "httpx async") if name in found]
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[:: -1 if number % 2 else 1]:
            command = [sys.executable, "-m", __name__, "streams", name, str(count), url]
            output = subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
            runs[name].append(json.loads(output))
    middle = {
        figure: {name: median(one[figure] for one in runs[name]) for name in names} for figure in ("cpu", "kb", "p99")
    }
    base = "aiohttp" if "aiohttp" in names else "h11"
    cpus = {name: seconds / middle["cpu"][base] for name, seconds in middle["cpu"].items()}
    lags = {name: seconds / middle["p99"]["asyncio"] for name, seconds in middle["p99"].items()}
    title, ours = f"{count} streams", "AsyncClient"
    load = f"{1e6 * middle['cpu'][ours] / count / _STREAM_EVENTS:.0f} us an event, over {base}"
    lag = f"p99 {1000 * middle['p99'][ours]:.1f} ms, over asyncio by hand"
    return [
        _result(f"{title}, CPU", ours, cpus, 1.1, load),
        _result(f"{title}, lag", ours, lags, 2.0, lag),
        _result(f"{title}, memory", ours, middle["kb"], 10.0, "a stream", "KB"),
    ]


async def _stream_many(name: str, count: int, url: str) -> dict[str, float]:
    """Return the cost of ``count`` streams at once: CPU seconds, KB for each, and the 99th percentile of the lag."""
    way, lags, pause = ways()[name], [], _STREAMS[count] / _STREAM_EVENTS
    client = await way.open(url)

    async def read(number: int) -> None:
        await asyncio.sleep(_RAMP * number)  # real streams do not start at the same moment either
        lags.extend([time.monotonic() - float(text) async for text in way.ask(client, f"{_STREAM_EVENTS} {pause:.4f}")])

    async for _ in way.ask(client, f"{_SHORT} 0"):  # imports all modules and makes a first connection
        pass
    before, start = _resident(), time.process_time()
    tasks = [asyncio.create_task(read(number)) for number in range(count)]
    await asyncio.sleep((_RAMP * count + _STREAMS[count]) / 2)  # at this moment, all streams run
    between = _resident()
    await asyncio.gather(*tasks)
    seconds = time.process_time() - start
    await way.close(client)
    if len(lags) != count * _STREAM_EVENTS:
        raise AssertionError(f"{len(lags)} of {count * _STREAM_EVENTS} events came")
    return {"cpu": seconds, "kb": (between - before) / 1000 / count, "p99": sorted(lags)[int(0.99 * len(lags))]}


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    _raise_limit()
    if sys.argv[1] == "serve":
        asyncio.run(_serve())
    else:
        print(json.dumps(asyncio.run(_stream_many(sys.argv[2], int(sys.argv[3]), sys.argv[4]))))
