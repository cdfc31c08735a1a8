"""One client of any way, which asks questions outside and inside an event loop."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Callable
from contextlib import aclosing, closing
from types import FrameType
from typing import Any

from .ways import Way

_READS = {"recv", "recv_into"}


class Asker:
    """One client of any way, which is used for a whole benchmark."""

    def __init__(self, way: Way, url: str, runner: asyncio.Runner) -> None:
        self.way = way
        self.runner = runner
        self.client = runner.run(way.open(url)) if way.is_async else way.open(url)

    def ask(self, prompt: str) -> int:
        """Return the number of texts in the answer to a question."""
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


def first_event(way: Way, url: str, runner: asyncio.Runner, prompt: str, *, is_new: bool = False) -> float:
    """Return the seconds from before a client is made to the first text. A new one has to fetch its nonce too."""
    make = (is_new and way.open_new) or way.open
    greet = way.greet if is_new else None

    async def first() -> float:
        start = time.perf_counter()
        client = await make(url)
        if greet:
            await greet(client)
        seconds = await _first(way, client, prompt, start)
        await way.close(client)
        return seconds

    if way.is_async:
        return runner.run(first())
    start = time.perf_counter()
    client = make(url)
    if greet:
        greet(client)
    with closing(way.ask(client, prompt)) as texts:
        next(texts)
        seconds = time.perf_counter() - start
    way.close(client)
    return seconds


def warm_event(asker: Asker, prompt: str) -> float:
    """Return the seconds from a question to the first text, on an open connection. The answer is read to its end."""
    start = time.perf_counter()
    if asker.way.is_async:
        return asker.runner.run(_first(asker.way, asker.client, prompt, start))
    texts = asker.way.ask(asker.client, prompt)
    next(texts)
    seconds = time.perf_counter() - start
    for _ in texts:
        pass
    return seconds


async def _first(way: Way, client: Any, prompt: str, start: float) -> float:
    async with aclosing(way.ask(client, prompt)) as texts:
        await anext(texts)
        seconds = time.perf_counter() - start
        async for _ in texts:
            pass
    return seconds


def count_reads(work: Callable[[], object]) -> int:
    """Return how many reads of sockets returned during one call. The profiler that counts them makes it slower."""
    count = 0

    def watch(_frame: FrameType, event: str, function: Any) -> None:
        nonlocal count
        count += event == "c_return" and function.__name__ in _READS and isinstance(function.__self__, socket.socket)

    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count
