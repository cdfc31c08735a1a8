"""``heartbeats()``: None while the site sends nothing, and a stream that lives on."""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from chatgpt4online import AsyncClient, ChatError, Client, Done, InvalidInput, InvalidState, Notice, ServerError, Text
from chatgpt4online.testing import serve_site

from ..support.adapters import Driver, driver
from ..support.server import LAST_CHUNK, Gate, Peer, Received, Server, chunk, end, live, site, stream_head

HEAD = stream_head()
BEAT = 0.01  # seconds; the tests wait for a number of beats, and never for a time
NOTICE = live("Thinking", subtype="thinking")
ERROR = b'data: {"type":"error","data":"No."}\n\n'

both = pytest.mark.parametrize("kind", ["Client", "AsyncClient"])


@contextmanager
def gated(kind: str, *pieces: bytes, options: dict[str, Any] | None = None) -> Iterator[tuple[Driver, Gate, Server]]:
    """Yield a driver of a client, and the gate that lets its site send the next of these pieces."""
    gate = Gate()

    def chat(peer: Peer, _: Received) -> None:
        for piece in pieces:
            gate.wait()
            peer.send(piece)

    with Server(site(chat)) as server, driver(kind, server.url, **(options or {})) as drive:
        yield drive, gate, server
        for _ in pieces:
            gate.open()


def beats(drive: Driver, items: Any, count: int = 3) -> None:
    """Read this number of beats."""
    for _ in range(count):
        assert drive.next(items) is None


def next_item(drive: Driver, items: Any) -> Any:
    """Return the next item after any number of beats."""
    while (item := drive.next(items)) is None:
        pass
    return item


@both
def test_beats_come_while_the_site_is_silent_and_every_piece_arrives(kind: str) -> None:
    """Before the head, between pieces, and before the end."""
    pieces = (HEAD, chunk(live("Hel")), chunk(live("lo")), chunk(end("Hello")) + LAST_CHUNK)
    with gated(kind, *pieces) as (drive, gate, _):
        stream = drive.client.stream("Hi")
        items = stream.heartbeats(BEAT)
        beats(drive, items)
        gate.open()
        beats(drive, items)
        for piece in ("Hel", "lo"):
            gate.open()
            assert next_item(drive, items) == piece
            beats(drive, items)
        gate.open()
        assert [item for item in drive.list(items) if item is not None] == []
        assert stream.reply.text == "Hello"


@both
def test_notice_does_not_hold_back_the_beats_of_a_text_stream(kind: str) -> None:
    """A notice is no item of stream(), so the time since the last item goes on."""
    with gated(kind, HEAD + chunk(NOTICE), chunk(end("Hello")) + LAST_CHUNK) as (drive, gate, _):
        items = drive.client.stream("Hi").heartbeats(BEAT)
        gate.open()
        beats(drive, items)


@both
def test_heartbeats_of_events_give_the_events(kind: str) -> None:
    with serve_site() as server, driver(kind, server.url) as drive:
        events = [event for event in drive.list(drive.client.events("Hello").heartbeats(BEAT)) if event is not None]
        assert "".join(event.text for event in events if isinstance(event, Text)) == "You said: Hello"
        assert isinstance(events[-1], Done)


@both
def test_heartbeats_without_a_wait_are_the_pieces(kind: str) -> None:
    with serve_site() as server, driver(kind, server.url) as drive:
        assert drive.list(drive.client.stream("Hello").heartbeats(60)) == drive.list(drive.client.stream("Hello"))


CONTINUATIONS: dict[str, Callable[[Driver, Any], list[Any]]] = {
    "the stream itself": lambda drive, stream: drive.list(stream),
    "until_done": lambda drive, stream: [str(drive.run(stream.until_done()))],
    "open, then the stream": lambda drive, stream: drive.list(drive.open(stream)),
    "new heartbeats": lambda drive, stream: drive.list(stream.heartbeats(60)),
}


@both
@pytest.mark.parametrize("how", CONTINUATIONS)
@pytest.mark.parametrize("head_first", [True, False], ids=["after the head", "before the head"])
def test_stream_can_be_read_further_after_a_beat(kind: str, how: str, head_first: bool) -> None:
    """The wait that was under way is not lost, and neither is its piece."""
    with gated(kind, HEAD, chunk(live("Hello"), end("Hello")) + LAST_CHUNK) as (drive, gate, server):
        stream = drive.client.stream("Hi")
        items = stream.heartbeats(BEAT)
        if head_first:
            gate.open()
        beats(drive, items)
        del items
        if not head_first:
            gate.open()
        gate.open()
        assert CONTINUATIONS[how](drive, stream) == ["Hello"]
        assert server.seen() == ["start_session", "submit"]


@both
def test_error_after_a_beat_ends_the_heartbeats_with_the_text_so_far(kind: str) -> None:
    with gated(kind, HEAD + chunk(live("Hel")), chunk(ERROR) + LAST_CHUNK) as (drive, gate, _):
        items = drive.client.stream("Hi").heartbeats(BEAT)
        gate.open()
        assert next_item(drive, items) == "Hel"
        beats(drive, items)
        gate.open()
        with pytest.raises(ServerError) as caught:
            drive.list(items)
        assert caught.value.partial_text == "Hel"
        assert drive.list(items) == []


@both
def test_misuse_during_a_beat_is_raised(kind: str) -> None:
    """The error of a step in the background reaches the reader."""
    with gated(kind) as (drive, _, _):
        drive.client.session.nonce = "two words"
        with pytest.raises(InvalidInput, match=r"session\.nonce"):
            drive.next(drive.client.stream("Hi").heartbeats(BEAT))


@both
def test_close_ends_heartbeats_and_the_connection(kind: str) -> None:
    closed = threading.Event()

    def chat(peer: Peer, _: Received) -> None:
        peer.send(HEAD + chunk(live("Hel")))
        peer.wait_for_close()
        closed.set()

    with Server(site(chat)) as server, driver(kind, server.url) as drive:
        stream = drive.client.stream("Hi")
        items = stream.heartbeats(BEAT)
        assert next_item(drive, items) == "Hel"
        beats(drive, items)
        drive.run(stream.close())
        assert drive.list(items) == []
        assert closed.wait(10)


@both
@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, True, "15", None, 1e300])
def test_seconds_are_a_finite_number_above_0(kind: str, seconds: Any) -> None:
    """A wrong value is refused at once, and not at the first item."""
    with gated(kind) as (drive, _, _), pytest.raises(InvalidInput, match="seconds is a number of seconds above 0"):
        drive.client.stream("Hi").heartbeats(seconds)


@both
def test_loop_that_is_left_early_loses_neither_pieces_nor_the_error(kind: str) -> None:
    """All of them have arrived in one chunk."""
    with gated(kind, HEAD + chunk(live("a"), live("b"), ERROR) + LAST_CHUNK) as (drive, gate, _):
        gate.open()
        stream = drive.client.stream("Hi")
        items = stream.heartbeats(60)
        assert drive.next(items) == "a"
        if kind == "AsyncClient":
            drive.run(items.aclose())
        del items
        assert drive.next(stream) == "b"
        with pytest.raises(ServerError) as caught:
            drive.next(stream)
        assert caught.value.partial_text == "ab"


@both
def test_stream_that_is_closed_before_its_step_has_begun_sends_nothing(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step belongs to a thread or a task, which begins later."""
    with gated(kind) as (drive, _, server):
        drive.run(drive.client.start_session())
        stream = drive.client.stream("Hi")
        if kind == "Client":
            begin = threading.Thread.start

            def close_and_begin(thread: threading.Thread) -> None:
                stream.close()
                begin(thread)

            monkeypatch.setattr(threading.Thread, "start", close_and_begin)
            assert list(stream.heartbeats(BEAT)) == []
        else:

            async def read() -> list[Any]:
                return [item async for item in stream.heartbeats(10)]

            async def both_at_once() -> list[Any]:
                return (await asyncio.gather(read(), stream.aclose()))[0]

            assert drive.run(both_at_once()) == []
        assert server.seen() == ["start_session"]


def test_stream_after_cancelled_heartbeats_does_not_cancel_another_task() -> None:
    """A CancelledError in a task that nobody cancelled would end its TaskGroup without an error."""

    async def main(url: str) -> None:
        async with AsyncClient(url) as client:
            stream = client.stream("Hi")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    async for _ in stream.heartbeats(10):
                        pass
            assert not stream._is_open
            for read in (stream.until_done, stream.open, lambda: anext(stream), lambda: anext(stream.heartbeats(1))):
                with pytest.raises(InvalidState, match="cancelled"):
                    await read()
            assert len(asyncio.all_tasks()) == 1, "the step has ended"

    with Server(site(lambda peer, _: peer.wait_for_close())) as server:
        asyncio.run(main(server.url))


def test_cancelled_heartbeats_close_the_connection() -> None:
    closed = threading.Event()

    def chat(peer: Peer, _: Received) -> None:
        peer.send(HEAD + chunk(live("Hel")))
        peer.wait_for_close()
        closed.set()

    async def main(url: str) -> None:
        async with AsyncClient(url) as client:
            stream = client.stream("Hi")
            beat = asyncio.Event()

            async def read() -> None:
                async for piece in stream.heartbeats(BEAT):
                    if piece is None:
                        beat.set()

            task = asyncio.create_task(read())
            await beat.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(closed.wait, 10)
            with pytest.raises(InvalidState, match="cancelled"):
                await anext(stream)

    with Server(site(chat)) as server:
        asyncio.run(main(server.url))


def test_interrupted_heartbeats_close_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C arrives while the main thread waits for the next beat."""
    closed = threading.Event()

    def chat(peer: Peer, _: Received) -> None:
        peer.send(HEAD + chunk(live("Hel")))
        peer.wait_for_close()
        closed.set()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with Server(site(chat)) as server, Client(server.url) as client:
        items = client.stream("Hi").heartbeats(BEAT)
        while next(items) != "Hel":  # beats may come before the connection is made
            pass
        assert next(items) is None
        monkeypatch.setattr("chatgpt4online.sync.stream.wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(items)
        assert closed.wait(10)


def test_threads_of_heartbeats_end_with_the_stream() -> None:
    before = set(threading.enumerate())
    with gated("Client", HEAD, chunk(end("Hello")) + LAST_CHUNK) as (drive, gate, _):
        items = drive.client.stream("Hi").heartbeats(BEAT)
        beats(drive, items)
        readers = [thread for thread in threading.enumerate() if thread.name == "chatgpt4online heartbeats"]
        assert len(readers) == 1
        assert all(thread.daemon for thread in readers)
        gate.open()
        gate.open()
        drive.list(items)
        for thread in readers:
            thread.join(10)
    assert not {thread for thread in threading.enumerate() if "heartbeats" in thread.name} - before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_process_cannot_go_on_with_heartbeats() -> None:
    """The thread that reads is not in the child, so a wait for it would not end."""
    with gated("Client", HEAD, chunk(end("Hello")) + LAST_CHUNK) as (drive, _, _):
        items = drive.client.stream("Hi").heartbeats(BEAT)
        beats(drive, items)
        child = os.fork()
        if child == 0:
            try:
                next(items)
            except ChatError as error:
                os._exit(0 if "forked" in str(error) else 1)
            finally:
                os._exit(2)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0


@both
def test_notices_are_items_of_an_event_stream(kind: str) -> None:
    with gated(kind, HEAD + chunk(NOTICE), chunk(end("Hello")) + LAST_CHUNK) as (drive, gate, _):
        items = drive.client.events("Hi").heartbeats(BEAT)
        gate.open()
        assert isinstance(next_item(drive, items), Notice)
