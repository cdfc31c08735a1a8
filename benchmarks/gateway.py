"""The gateway against the site that it asks, with a process each for the site, the gateway and the client.

The gateway runs as ``chatgpt4online serve`` starts it: uvicorn with one process. The client writes prepared requests
to open connections, and searches the answers for their ends, so that it costs little. Ratios compare a request to the
gateway with the same question to the site. The process of a gateway is ``python -m benchmarks.gateway SITE``. It
reports its CPU, memory, sockets and tasks whenever a line arrives at its standard input.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from statistics import median
from typing import Any

from . import server
from .machine import raise_open_files, resident
from .measure import Plan, Result, ratios, row
from .rows import ROWS

_NEEDED = ("uvicorn", "starlette", "pydantic", "prometheus_client")  # the extra gateway
_CLIENTS = 16  # connections that ask one question after the other
_REQUESTS, _QUICK_REQUESTS = 1_000, 20
_FIRST, _QUICK_FIRST = 200, 3
_STREAMS, _QUICK_STREAMS = 500, 5
_PACED = 25
_SECONDS, _QUICK_SECONDS = 10.0, 0.2  # the time of the paced events
_RAMP = 0.003  # seconds between the starts of two streams, because 500 starts at once would hide the rest
_CHATS, _QUICK_CHATS = 10_000, 50
_AT_ONCE = 32  # chats at once, for the memory
_USERS = 100
_SECONDS_TO_SETTLE = 30.0

_CHUNK = b'"delta":{"content":"'
_TIME = re.compile(rb'"delta":\{"content":"([\d.]+) "')
_EVENT = b"data: "
_SITE_END = b"0\r\n\r\n"
_STREAM_END = b"data: [DONE]\n\n\r\n0\r\n\r\n"


def run(plan: Plan) -> list[Result]:
    """Return the costs of requests, the streams at once, and the memory over many chats."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        return [row("gateway", name, [], f"not measured: {missing[0]} is not installed") for name in ROWS["gateway"]]
    return [*_requests(plan), *_streams(plan), *_chats(plan)]


class _Wire(asyncio.Protocol):
    """One connection. It collects an answer until ``is_complete`` is true."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.waiter: asyncio.Future[None] | None = None
        self.is_complete: Callable[[bytearray], bool] = bool
        self.on_data: Callable[[bytes], object] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(AssertionError(f"the connection ended after {bytes(self.received[-300:])!r}"))

    def data_received(self, data: bytes) -> None:
        if self.on_data is not None:
            self.on_data(data)
        self.received += data
        if self.waiter is not None and not self.waiter.done() and self.is_complete(self.received):
            self.waiter.set_result(None)

    async def ask(self, request: bytes, is_complete: Callable[[bytearray], bool]) -> bytearray:
        """Send a request, and return what has arrived when it is complete."""
        self.received.clear()
        self.is_complete = is_complete
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        await self.waiter
        return self.received


async def _connect(port: int) -> _Wire:
    _, wire = await asyncio.get_running_loop().create_connection(_Wire, "127.0.0.1", port)
    return wire


def _post(path: str, body: dict[str, object]) -> bytes:
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
    return f"{head}\r\n\r\n".encode() + data


def _site_request(prompt: str) -> bytes:
    return _post(server.PATH, {"botId": "default", "newMessage": prompt, "stream": True})


def _gateway_request(prompt: str, **more: object) -> bytes:
    messages = [{"role": "user", "content": prompt}]
    return _post("/v1/chat/completions", {"model": "default", "messages": messages} | more)


def _has_length(received: bytearray) -> bool:
    """Return whether a response with a Content-Length is complete. Raises AssertionError for another status."""
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    assert head.startswith(b"HTTP/1.1 200"), bytes(received)
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length)


def _has_end(received: bytearray) -> bool:
    return received.endswith(_STREAM_END)


def _has_site_end(received: bytearray) -> bool:
    return received.endswith(_SITE_END)


class _Served:
    """A gateway in a process of its own."""

    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        self.port = port
        self._process = process

    def state(self) -> dict[str, float]:
        """Return ``cpu`` in seconds, ``memory`` in bytes, and the numbers of ``sockets`` and ``tasks``."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("state\n")
        self._process.stdin.flush()
        state: dict[str, float] = json.loads(self._process.stdout.readline())
        return state

    async def metric(self, name: str) -> float:
        """Return the sum of the metrics with this name."""
        wire = await _connect(self.port)
        text = await wire.ask(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", _has_length)
        wire.transport.close()
        lines = bytes(text).decode().splitlines()
        values = [line for line in lines if line.startswith(f"chatgpt4online_gateway_{name}{{")]
        return sum(float(line.rpartition(" ")[2]) for line in values)


@contextmanager
def _served() -> Iterator[tuple[int, _Served]]:
    """Yield the port of a site, and a gateway to it."""
    with (
        server.process("server", "") as (site, _),
        server.process("gateway", f"http://127.0.0.1:{site}") as (port, process),
    ):
        yield site, _Served(port, process)


def _requests(plan: Plan) -> list[Result]:
    """Return the cost of short answers, and the time to the first token, against the site alone."""
    requests, firsts = (_QUICK_REQUESTS, _QUICK_FIRST) if plan.quick else (_REQUESTS, _FIRST)
    with _served() as (site, gateway):
        return asyncio.run(_measure_requests(plan.few, requests, firsts, site, gateway.port))


async def _measure_requests(rounds: int, requests: int, firsts: int, site: int, gateway: int) -> list[Result]:
    prompt = "tokens 3"
    whole: dict[str, list[float]] = {"site": [], "gateway": []}
    first: dict[str, list[float]] = {"site": [], "gateway": []}
    sides = {
        "site": (site, _site_request(prompt), _has_site_end, _site_request(prompt), _EVENT, _has_site_end),
        "gateway": (
            gateway,
            _gateway_request(prompt),
            _has_length,
            _gateway_request(prompt, stream=True),
            _CHUNK,
            _has_end,
        ),
    }
    for number in range(-1, rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            port, request, is_complete, streamed, mark, is_end = sides[name]
            seconds = await _time_requests(port, request, is_complete, requests)
            added = await _time_first(port, streamed, mark, is_end, firsts)
            if number >= 0:  # the first round imports modules and opens connections
                whole[name].append(seconds)
                first[name].append(added)
    note = ", ".join(f"{name}: {1 / median(figures):,.0f} requests a second" for name, figures in whole.items())
    times = ", ".join(f"{name}: {1e3 * median(figures):.2f} ms" for name, figures in first.items())
    differences = [1e3 * (ours - base) for ours, base in zip(first["gateway"], first["site"], strict=True)]
    return [
        row("gateway", "requests", ratios(whole["gateway"], whole["site"]), note),
        row("gateway", "first token", ratios(first["gateway"], first["site"]), times),
        row("gateway", "first token, added", differences, times),
    ]


async def _time_requests(port: int, request: bytes, is_complete: Callable[[bytearray], bool], count: int) -> float:
    """Return the seconds of one request, while several connections ask at once."""
    wires = [await _connect(port) for _ in range(_CLIENTS)]
    left = count

    async def ask(wire: _Wire) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await wire.ask(request, is_complete)

    start = time.perf_counter()
    await asyncio.gather(*map(ask, wires))
    seconds = (time.perf_counter() - start) / count
    for wire in wires:
        wire.transport.close()
    return seconds


async def _time_first(
    port: int, request: bytes, mark: bytes, is_complete: Callable[[bytearray], bool], count: int
) -> float:
    """Return the median of the seconds to the first text, on an open connection without other load."""
    wire = await _connect(port)
    times = []
    await wire.ask(request, is_complete)
    for _ in range(count):
        start = time.perf_counter()
        first = await wire.ask(request, lambda received: mark in received)
        times.append(time.perf_counter() - start)
        if not is_complete(first):
            wire.is_complete, wire.waiter = is_complete, asyncio.get_running_loop().create_future()
            await wire.waiter
    wire.transport.close()
    return median(times)


class _Texts:
    """Reads the texts of one streamed answer, which are times, and notes their lags while they are paced."""

    def __init__(self, lags: list[float]) -> None:
        self._lags = lags
        self._rest = b""
        self.count = 0

    def receive(self, data: bytes) -> None:
        now, place, data = time.monotonic(), 0, self._rest + data
        for match in _TIME.finditer(data):
            if 0 < self.count <= _PACED:
                self._lags.append(now - float(match[1]))
            self.count += 1
            place = match.end()
        self._rest = data[place:]  # an event can be cut


def _streams(plan: Plan) -> list[Result]:
    count, seconds = (_QUICK_STREAMS, _QUICK_SECONDS) if plan.quick else (_STREAMS, _SECONDS)
    runs = []
    for _ in range(plan.few):
        with _served() as (_, gateway):  # a new process has no memory of earlier answers
            runs.append(asyncio.run(_measure_streams(count, seconds, gateway)))
    figures = {name: [one[name] for one in runs] for name in runs[0]}
    events = f"{1e6 / median(figures['events']):,.0f} events a second with one CPU"
    lags = f"median lag: {median(figures['half']):.2f} ms, {count * _PACED / seconds:,.0f} events a second"
    return [
        row("gateway", "500 streams, events", figures["events"], events),
        row("gateway", "500 streams, lag", figures["lag"], lags),
        row("gateway", "500 streams, memory", figures["memory"], "all answers were complete"),
    ]


async def _measure_streams(count: int, seconds: float, gateway: _Served) -> dict[str, float]:
    """Return the figures of one run. Raises AssertionError unless all answers are complete."""
    await _time_requests(gateway.port, _gateway_request("tokens 3", stream=True), _has_end, _CLIENTS)
    lags: list[float] = []
    answers = [_Texts(lags) for _ in range(count)]
    hold = 2 * _RAMP * count + 0.2
    request = _gateway_request(f"phases {_PACED} {seconds / _PACED:.4f} {hold:.4f}", stream=True)

    async def read(number: int) -> None:
        await asyncio.sleep(_RAMP * number)
        wire = await _connect(gateway.port)
        wire.on_data = answers[number].receive
        await wire.ask(request, _has_end)
        wire.transport.close()

    async def wait_for(events: int) -> dict[str, float]:
        while any(answer.count < events for answer in answers):
            await asyncio.sleep(0.02)
        return gateway.state()

    before = gateway.state()
    reading = asyncio.gather(*map(read, range(count)))
    started = await wait_for(1)
    paced = await wait_for(1 + _PACED)
    last = await wait_for(server.PHASE_EVENTS)
    await reading
    lags.sort()
    return {
        "events": 1e6 * (paced["cpu"] - started["cpu"]) / count / _PACED,
        "lag": 1e3 * lags[int(0.99 * len(lags))],
        "half": 1e3 * median(lags),
        "memory": (last["memory"] - before["memory"]) / count / 1e3,
    }


def _chats(plan: Plan) -> list[Result]:
    count = _QUICK_CHATS if plan.quick else _CHATS
    with _served() as (_, gateway):
        return asyncio.run(_measure_chats(count, gateway))


async def _measure_chats(count: int, gateway: _Served) -> list[Result]:
    """Compare a gateway after a fifth of the chats with the same gateway after all of them."""
    start = await _settled(gateway)
    states = []
    for first, end in ((0, count // 5), (count // 5, count)):
        numbers = iter(range(first, end))
        await asyncio.gather(*(_chat_on(gateway.port, numbers) for _ in range(_AT_ONCE)))
        states.append(await _settled(gateway))
    early, late = states
    growth = 100 * (late["memory"] / early["memory"] - 1)
    kept = [f"{early['memory'] / 1e6:.1f} MB and {late['memory'] / 1e6:.1f} MB"]
    kept.append(f"{late['sessions']:.0f} sessions of {_USERS} users")
    counts = ("sockets", "tasks", "running", "waiting")
    sockets = late["sockets"] - start["sockets"] - _AT_ONCE  # one open connection to the site for each chat at once
    left = max(0.0, sockets) + late["tasks"] - start["tasks"] + late["running"] + late["waiting"]
    return [
        row("gateway", "10000 chats, memory", [growth], ", ".join(kept)),
        row("gateway", "10000 chats, left", [left], ", ".join(f"{late[name]:.0f} {name}" for name in counts)),
    ]


async def _chat_on(port: int, numbers: Iterator[int]) -> None:
    """Ask one question after the other: whole answers, streams, and streams that their client leaves."""
    wire = await _connect(port)
    for number in numbers:
        user = f"user {number % _USERS}"
        if number % 10 == 9:
            request = _gateway_request("timed 1000 0.01", stream=True, user=user)
            await wire.ask(request, lambda received: _CHUNK in received)
            wire.waiter = None
            wire.transport.abort()
            wire = await _connect(port)
        elif number % 2:
            await wire.ask(_gateway_request("tokens 20", stream=True, user=user), _has_end)
        else:
            await wire.ask(_gateway_request("tokens 20", user=user), _has_length)
    wire.transport.close()


async def _settled(gateway: _Served) -> dict[str, float]:
    """Return the state of the gateway once no answer is under way, or after a time."""
    end = time.monotonic() + _SECONDS_TO_SETTLE
    while time.monotonic() < end:
        running, waiting = await gateway.metric("answers_running"), await gateway.metric("requests_waiting")
        if not running + waiting:
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)  # the last connections are closed
    sessions = await gateway.metric("sessions")
    return gateway.state() | {"running": running, "waiting": waiting, "sessions": sessions}


def _state() -> dict[str, float]:
    """Return the state of this process, as :meth:`_Served.state` explains."""
    gc.collect()
    folder = "/proc/self/fd"
    links = [os.readlink(f"{folder}/{name}") for name in os.listdir(folder) if os.path.islink(f"{folder}/{name}")]
    tasks = [found for found in gc.get_objects() if type(found) is asyncio.Task and not found.done()]
    sockets = sum(link.startswith("socket:") for link in links)
    return {"cpu": time.process_time(), "memory": resident(), "sockets": sockets, "tasks": len(tasks)}


def _report() -> None:
    """Answer each line, and end the process with the standard input."""
    output = sys.__stdout__
    assert output is not None
    for _ in sys.stdin:
        print(json.dumps(_state()), file=output, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


def _serve(site: str) -> None:
    from chatgpt4online.gateway import Gateway, GatewayOptions, SiteOptions, serve

    raise_open_files()
    gateway = Gateway(GatewayOptions([SiteOptions(site)], concurrency=_STREAMS))
    with socket.create_server(("127.0.0.1", 0), backlog=1_024) as listener:
        print(listener.getsockname()[1], flush=True)
        with open(os.devnull, "w", encoding="utf-8") as sys.stdout:  # for the log of the requests
            threading.Thread(target=_report, daemon=True).start()
            serve(gateway, listener, drain_seconds=1)


if __name__ == "__main__":
    _serve(sys.argv[1])
