"""The limit on the number of answers at once, with a queue whose length and time are limited too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .errors import busy


class Admission:
    """Lets a number of requests in at once. The others wait in the order of their arrival."""

    def __init__(self, concurrency: int, queue_length: int, queue_seconds: float) -> None:
        self._free = asyncio.Semaphore(concurrency)
        self._queue_length = queue_length
        self._queue_seconds = queue_seconds
        self._waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place in the block. Raises Refusal with 503 if the queue is full, or if the wait takes too long."""
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()  # it does not wait
        try:
            yield
        finally:
            self._free.release()

    async def _wait(self) -> None:
        if self._waiting >= self._queue_length:
            raise busy(f"{self._waiting} requests wait for the site already")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._queue_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise busy(f"the request waited for {self._queue_seconds:g} s in the queue") from None
        finally:
            self._waiting -= 1
