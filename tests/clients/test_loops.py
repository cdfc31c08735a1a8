"""Async streams and clients without their event loop: with no loop, another loop, a closed loop, or under trio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from chatgpt4online import AsyncClient, InvalidState
from chatgpt4online.testing import serve_site

from ..support.server import Peer, Server, chunk, live, site, stream_head


def half(peer: Peer, _: object) -> None:
    peer.send(stream_head() + chunk(live("Hel")))
    peer.wait_for_close()


def by_hand(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits, without an event loop."""
    with pytest.raises(StopIteration) as caught:
        coroutine.send(None)
    return caught.value.value


# Calls of an AsyncClient, one of each kind.
CALLS: dict[str, Callable[[AsyncClient], Coroutine[Any, Any, Any]]] = {
    "ask": lambda client: client.ask("Hi"),
    "stream": lambda client: client.stream("Hi").__anext__(),
    "events": lambda client: client.events("Hi").asend(None),
    "conversation": lambda client: client.conversation().ask("Hi"),
    "start_session": lambda client: client.start_session(),
    "bots": lambda client: client.bots(),
    "upload": lambda client: client.upload(b"text", "a.txt"),
    "api": lambda client: client.api.check(),
}


@pytest.mark.parametrize("call", CALLS)
def test_call_without_an_event_loop_raises_with_advice(call: str) -> None:
    client = AsyncClient("http://127.0.0.1:9")
    with pytest.raises(InvalidState, match=r"asyncio event loop.*use Client in a thread"):
        CALLS[call](client).send(None)
    by_hand(client.aclose())


def test_call_under_trio_raises_with_advice() -> None:
    trio = pytest.importorskip("trio", reason="trio is not installed")

    async def main() -> None:
        async with AsyncClient("http://127.0.0.1:9") as client:
            for call in CALLS.values():
                with pytest.raises(InvalidState, match="as with trio"):
                    await call(client)
            await client.stream("Hi").aclose()

    trio.run(main)


def begin(client: AsyncClient, stream: Any) -> asyncio.AbstractEventLoop:
    """Read the first piece of a stream on a loop of its own, and return the loop."""
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(anext(stream)) == "Hel"
    return loop


def test_stream_of_a_closed_loop_raises_with_the_text_so_far() -> None:
    with Server(site(half)) as server:
        client = AsyncClient(server.url)
        stream = client.stream("Hi")
        loop = begin(client, stream)
        loop.run_until_complete(client._transport.close())
        loop.close()
        with pytest.raises(InvalidState, match="another event loop") as caught:
            asyncio.run(stream.__anext__())
        assert caught.value.partial_text == "Hel"
        asyncio.run(stream.aclose())
        asyncio.run(client.aclose())
        with pytest.raises(StopAsyncIteration):
            asyncio.run(stream.__anext__())


def test_stream_is_closed_from_another_loop() -> None:
    """The loop that reads the answer closes the connection."""
    with Server(site(half)) as server:
        client = AsyncClient(server.url)
        stream = client.stream("Hi")
        loop = begin(client, stream)
        asyncio.run(stream.aclose())  # the loop of the stream does not run now
        loop.run_until_complete(asyncio.sleep(0))
        assert not client._transport._pool._live
        loop.run_until_complete(client.aclose())
        loop.close()


@pytest.mark.parametrize("method", ["aclose of the stream", "aclose of the client"])
def test_reader_stops_when_another_thread_closes(method: str) -> None:
    begun = threading.Event()
    pieces: list[str] = []

    async def read() -> None:
        async for piece in stream:
            pieces.append(piece)
            begun.set()

    with Server(site(half)) as server:
        client = AsyncClient(server.url)
        stream = client.stream("Hi")
        thread = threading.Thread(target=asyncio.run, args=(read(),), daemon=True)
        thread.start()
        assert begun.wait(20)
        asyncio.run(stream.aclose() if method == "aclose of the stream" else client.aclose())
        thread.join(20)
        assert not thread.is_alive()
    assert pieces == ["Hel"]


def test_client_on_another_loop_raises_with_advice() -> None:
    with serve_site("Hi") as served:
        client, loop = AsyncClient(served.url), asyncio.new_event_loop()
        loop.run_until_complete(client.ask("one"))
        with pytest.raises(InvalidState, match="one per loop"):
            asyncio.run(client.ask("two"))
        loop.run_until_complete(client.aclose())
        loop.close()
