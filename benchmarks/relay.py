"""A relay that makes a site distant: ``python -m benchmarks.relay PORT SECONDS``, where the time is a round trip.

It delays each direction by half of a round trip. The kernel connects on loopback at once, so the relay also delays the
first bytes of a connection by the round trip that TCP needs. For each line on its standard input it prints the number
of round trips since the line before. A round trip ends when the client gets bytes that the site sent because of bytes
of the client. So bytes that the client sends without waiting for an answer belong to the same round trip.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from subprocess import Popen

from .server import process

_Chunks = asyncio.Queue[tuple[float, int, bytes]]  # the time of delivery, the round trip, and the bytes


class _Relay:
    def __init__(self, port: int, seconds: float) -> None:
        self.port, self.seconds = port, seconds
        self.ended = 0  # round trips that the client has seen the end of, over all its connections

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect a client with the site."""
        site_reader, site_writer = await asyncio.open_connection("127.0.0.1", self.port)
        opened = asyncio.get_running_loop().time() + self.seconds
        base = self.ended + 1  # the round trip of TCP
        arrived = 0  # the last round trip whose bytes the site has
        client_is_open = True

        def on_sent(data: bytes) -> int:
            nonlocal client_is_open
            client_is_open = client_is_open and bool(data)
            return max(base, self.ended) + 1

        def on_arrival(trip: int) -> None:
            nonlocal arrived
            arrived = trip

        def on_answer(trip: int) -> None:
            if client_is_open:  # not the answer to the end of TLS
                self.ended = max(self.ended, trip)

        with suppress(asyncio.CancelledError):  # asyncio would print it at the end of the process
            await asyncio.gather(
                self.carry(reader, site_writer, opened, on_sent, on_arrival),
                self.carry(site_reader, writer, opened, lambda _: arrived, on_answer),
            )

    async def carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        opened: float,
        on_receive: Callable[[bytes], int],
        on_deliver: Callable[[int], None],
    ) -> None:
        """Copy one direction until its end, with the delay."""
        loop, chunks = asyncio.get_running_loop(), _Chunks()

        async def receive() -> None:
            data = b"-"
            while data:
                try:
                    data = await reader.read(65_536)
                except ConnectionError:
                    data = b""
                chunks.put_nowait((max(loop.time(), opened) + self.seconds / 2, on_receive(data), data))

        receiving = asyncio.create_task(receive())
        try:
            while True:
                due, trip, data = await chunks.get()
                await asyncio.sleep(due - loop.time())
                if not data:
                    break
                on_deliver(trip)
                writer.write(data)
        finally:
            receiving.cancel()
            writer.close()


async def _run(port: int, seconds: float) -> None:
    relay = _Relay(port, seconds)
    server = await asyncio.start_server(relay.accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    before = 0
    while await asyncio.to_thread(sys.stdin.readline):
        print(relay.ended - before, flush=True)
        before = relay.ended
    server.close()


class Distance:
    """The relay as its parent process sees it: its address, and the number of round trips."""

    def __init__(self, url: str, child: Popen[str]) -> None:
        self.url = url
        self._child = child

    def trips(self) -> int:
        """Return the number of round trips since the last call."""
        assert self._child.stdin and self._child.stdout
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        return int(self._child.stdout.readline())


@contextmanager
def distant(url: str, seconds: float) -> Iterator[Distance]:
    """Run a relay in a new process, and yield it. ``seconds`` is the time of a round trip to the site at ``url``."""
    scheme, _, port = url.rpartition(":")
    with process("relay", port, str(seconds)) as (own_port, child):
        yield Distance(f"{scheme}:{own_port}", child)


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), float(sys.argv[2])))
