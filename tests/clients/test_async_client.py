"""The asynchronous client, against servers on loopback."""

import asyncio
import functools
import gc
import select
import socket
import sys
import threading
import warnings
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest
import trustme

from chatgpt4online import (
    AsyncClient,
    AsyncStream,
    ConnectionFailed,
    Done,
    InvalidInput,
    InvalidState,
    ServerError,
    Session,
    Text,
    TimedOut,
    Timeout,
    Truncated,
    aask,
    astream,
    http1,
)

from ..support.behaviours import HELLO, PLAIN, REFUSED, streamed
from ..support.server import (
    LAST_CHUNK,
    NONCE,
    Peer,
    Received,
    Script,
    Server,
    chunk,
    end,
    json_response,
    live,
    response,
    says,
    session_response,
    site,
    stream_head,
)

hello = site(says(streamed(*HELLO)))


P = ParamSpec("P")
T = TypeVar("T")


def run(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Make a test of an async function. It must not hang, and must leave no task behind."""

    @functools.wraps(test)
    def wrapper(*args: P.args, **options: P.kwargs) -> None:
        async def main() -> None:
            async with asyncio.timeout(30):
                await test(*args, **options)
            await turns()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())
        gc.collect()

    return wrapper


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def seen(event: threading.Event) -> None:
    """Wait for a value that a server's thread stores."""
    assert await asyncio.to_thread(event.wait, 10)


class Hang:
    """A chat that sends something, and then waits for the end of the connection."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.begun, self.gone = threading.Event(), threading.Event()

    def __call__(self, peer: Peer, _: Received | None = None) -> None:
        peer.send(*self.pieces)
        self.begun.set()
        peer.wait_for_close()
        self.gone.set()


async def collect(stream: AsyncIterable[T]) -> list[T]:
    return [item async for item in stream]


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class TestGenerator:
    @run
    async def test_stream_is_an_async_generator(self) -> None:
        with Server(hello) as server:
            async with AsyncClient(server.url) as client:
                pieces = client.stream("Hi")
                assert isinstance(pieces, AsyncGenerator)
                assert isinstance(pieces, AsyncStream)
                assert aiter(pieces) is pieces
                assert await pieces.asend(None) == "Hel"
                assert (pieces.text, await anext(pieces), pieces.text) == ("Hello", "lo", "Hello")
                for _ in range(2):
                    with pytest.raises(StopAsyncIteration):
                        await anext(pieces)
                assert pieces.reply.text == str(pieces.reply) == "Hello"
                await pieces.aclose()
                await pieces.aclose()
                assert pieces.reply.text == "Hello"

    @run
    async def test_athrow_closes_the_stream(self) -> None:
        chat = Hang(stream_head() + chunk(live("Hel")))
        with Server(site(chat)) as server:
            async with AsyncClient(server.url) as client:
                pieces = client.stream("Hi")
                assert await anext(pieces) == "Hel"
                with pytest.raises(ZeroDivisionError, match="mine"):
                    await pieces.athrow(ZeroDivisionError("mine"))
                await seen(chat.gone)
                assert await collect(pieces) == []
                with pytest.raises(ZeroDivisionError):
                    await client.stream("Hi").athrow(ZeroDivisionError)

    @run
    async def test_reply_before_the_end_raises_with_the_text_so_far(self) -> None:
        with Server(site(Hang(stream_head() + chunk(live("Hel"))))) as server:
            async with AsyncClient(server.url) as client:
                async with client.stream("Hi") as pieces:
                    assert await anext(pieces) == "Hel"
                with pytest.raises(InvalidState) as raised:
                    pieces.reply  # noqa: B018  # it raises
                assert raised.value.partial_text == pieces.text == "Hel"
                assert await collect(pieces) == []
                assert repr(pieces).endswith("closed>")

    @run
    async def test_error_is_raised_once_and_kept_for_reply(self) -> None:
        oops = b'data: {"type":"error","data":"Oops!"}\n\n'
        with Server(site(says(streamed(live("Hel"), oops)))) as server:
            async with AsyncClient(server.url) as client:
                pieces = client.stream("Hi")
                assert await anext(pieces) == "Hel"
                with pytest.raises(ServerError, match="Oops!") as raised:
                    await anext(pieces)
                assert raised.value.partial_text == "Hel"
                assert await collect(pieces) == []
                with pytest.raises(ServerError, match="Oops!"):
                    pieces.reply  # noqa: B018  # it raises

    @run
    async def test_second_task_cannot_read_the_same_stream(self) -> None:
        chat = Hang(stream_head() + chunk(live("Hel")))
        with Server(site(chat)) as server:
            async with AsyncClient(server.url) as client:
                pieces = client.stream("Hi")
                assert await anext(pieces) == "Hel"
                first = asyncio.create_task(collect(pieces))
                await turns()
                with pytest.raises(InvalidState, match="another task"):
                    await anext(pieces)
                assert not first.done()
                await pieces.aclose()
                assert await first == []

    @run
    async def test_reset_raises_with_the_text_so_far(self) -> None:
        shown = threading.Event()

        def chat(peer: Peer, _: Received) -> None:
            peer.send(stream_head() + chunk(live("Hel")))
            assert shown.wait(10)
            peer.reset()

        with Server(site(chat)) as server:
            async with AsyncClient(server.url) as client:
                pieces = client.stream("Hi")
                assert await anext(pieces) == "Hel"
                shown.set()
                with pytest.raises(ConnectionFailed) as raised:
                    await anext(pieces)
                assert raised.value.partial_text == "Hel"
                assert raised.value.__cause__ is not None


class TestClosing:
    @pytest.mark.parametrize(
        "sent", [b"", stream_head(), stream_head() + chunk(live("Hel"))], ids=["no head", "a head", "a piece"]
    )
    @pytest.mark.parametrize("closed", ["stream", "client"])
    @run
    async def test_aclose_ends_the_wait_of_a_reader(self, sent: bytes, closed: str) -> None:
        chat = Hang(sent)
        with Server(site(chat)) as server:
            async with AsyncClient(server.url) as client:
                pieces = client.stream("Hi")
                reader = asyncio.create_task(collect(pieces))
                await seen(chat.begun)
                await (pieces if closed == "stream" else client).aclose()
                assert await reader in ([], ["Hel"])
                await seen(chat.gone)
                assert server.seen() == ["start_session", "submit"]

    @run
    async def test_aclose_does_not_cancel_the_task_that_reads(self) -> None:
        """It cancels only the wait for the head, and asyncio.timeout() around it does not count that."""
        chat = Hang()

        async def read(pieces: AsyncStream[str]) -> int:
            async with asyncio.timeout(60):
                assert await collect(pieces) == []
                await asyncio.sleep(0)
            task = asyncio.current_task()
            assert task is not None
            return task.cancelling()

        with Server(site(chat)) as server:
            async with AsyncClient(server.url) as client:
                pieces = client.stream("Hi")
                reader = asyncio.create_task(read(pieces))
                await seen(chat.begun)
                await asyncio.gather(pieces.aclose(), pieces.aclose())
                assert await reader == 0

    @pytest.mark.parametrize("first", ["aclose", "cancel"])
    @run
    async def test_reader_that_is_cancelled_while_its_stream_is_closed_stays_cancelled(self, first: str) -> None:
        chat = Hang()
        with Server(site(chat)) as server:
            async with AsyncClient(server.url) as client:
                pieces = client.stream("Hi")
                reader = asyncio.create_task(collect(pieces))
                await seen(chat.begun)
                if first == "cancel":
                    reader.cancel()
                closing = asyncio.create_task(pieces.aclose())
                if first == "aclose":
                    asyncio.get_running_loop().call_soon(reader.cancel)  # behind the first step of aclose()
                with pytest.raises(asyncio.CancelledError):
                    await reader
                await closing

    @run
    async def test_aclose_of_the_client_ends_all_streams(self) -> None:
        chat = Hang(stream_head() + chunk(live("Hel")))
        with Server(site(chat)) as server:
            client = AsyncClient(server.url)
            streams = [client.stream("Hi") for _ in range(5)]
            assert await asyncio.gather(*map(anext, streams)) == ["Hel"] * 5
            readers = [asyncio.create_task(collect(stream)) for stream in streams]
            await turns()
            await client.aclose()
            assert await asyncio.gather(*readers) == [[]] * 5

    @run
    async def test_aclose_ends_the_wait_for_a_retry_without_a_request(self) -> None:
        asked = threading.Event()

        def chat(peer: Peer, _: Received) -> None:
            peer.send(response(b"", "503 Service Unavailable", Retry_After="29"))
            asked.set()

        with Server(site(chat)) as server:
            async with AsyncClient(server.url) as client:
                pieces = client.stream("Hi")
                reader = asyncio.create_task(collect(pieces))
                await seen(asked)
                while "waiting" not in repr(pieces):
                    await asyncio.sleep(0)
                await turns()
                await pieces.aclose()
                assert await reader == []
            assert server.seen() == ["start_session", "submit"]

    @pytest.mark.parametrize("way", ["CONNECT", "socks5", "TLS", "TCP"])
    @run
    async def test_aclose_interrupts_the_making_of_a_connection(self, way: str, no_proxies: None) -> None:
        if way == "socks5":
            pytest.importorskip("python_socks")
        chat = Hang()

        def script(peer: Peer) -> None:
            peer.socket.recv(1)
            chat(peer)

        with Server(script) as server, socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            address = full.getsockname()
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            options: dict[str, Any] = {
                "CONNECT": {"site": "https://example.org", "proxy": server.url},
                "socks5": {"site": "http://127.0.0.1:9", "proxy": server.url.replace("http", "socks5")},
                "TLS": {"site": server.url.replace("http", "https")},
                "TCP": {"site": f"http://127.0.0.1:{address[1]}"},
            }[way]
            async with AsyncClient(**options) as client:
                pieces = client.stream("Hi")
                reader = asyncio.create_task(collect(pieces))
                if way == "TCP":
                    await turns(50)
                else:
                    await seen(chat.begun)
                assert not reader.done()
                await pieces.aclose()
                assert await reader == []
                if way != "TCP":
                    await seen(chat.gone)
            for filler in fillers:
                filler.close()

    @run
    async def test_aclose_ends_the_wait_for_the_search_of_another_stream(self) -> None:
        held = Hang()

        def script(peer: Peer) -> None:
            for _ in peer.requests():
                held(peer)

        with Server(script) as server:
            async with AsyncClient(server.url) as client:
                first, second = client.stream("Hi"), client.stream("Hi")
                readers = [asyncio.create_task(collect(stream)) for stream in (first, second)]
                await seen(held.begun)
                await second.aclose()
                async with asyncio.timeout(10):
                    assert await readers[1] == []
                assert not readers[0].done()
                await first.aclose()
                assert await readers[0] == []

    @run
    async def test_break_inside_async_with_closes_the_socket(self) -> None:
        chat = Hang(stream_head() + chunk(live("Hel")))
        with Server(site(chat)) as server:
            async with AsyncClient(server.url) as client:
                async with client.stream("Hi") as pieces:
                    async for _ in pieces:
                        break
                await seen(chat.gone)

    @run
    async def test_dropped_stream_warns_and_closes_its_connection(self) -> None:
        chat = Hang(stream_head() + chunk(live("Hel")))
        with Server(site(chat)) as server:
            async with AsyncClient(server.url) as client:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    async for _ in client.stream("Hi"):
                        break
                    gc.collect()
                assert [warning.category for warning in caught] == [ResourceWarning]
                assert "unclosed <AsyncStream" in str(caught[0].message)
                await seen(chat.gone)

    @run
    async def test_dropped_stream_without_a_connection_does_not_warn(self) -> None:
        with Server(hello) as server:
            async with AsyncClient(server.url) as client:
                client.stream("Hi")
                await collect(client.stream("Hi"))
                gc.collect()

    def test_unclosed_client_warns(self) -> None:
        async def leave(url: str) -> None:
            await AsyncClient(url).ask("Hi")

        with Server(hello) as server, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            asyncio.run(leave(server.url))
            gc.collect()
            assert {warning.category for warning in caught} == {ResourceWarning}
            caught.clear()  # a caught warning keeps its stream alive, and asyncio would warn of the transport
            gc.collect()

    @run
    async def test_closed_client_raises_invalid_state(self) -> None:
        client = AsyncClient("http://127.0.0.1:9")
        before = client.stream("Hi")
        await client.aclose()
        await client.aclose()
        assert await collect(before) == []
        with pytest.raises(InvalidState, match="closed"):
            client.stream("Hi")
        with pytest.raises(InvalidState, match="closed"):
            await client.ask("Hi")
        assert repr(client) == "<AsyncClient of http://127.0.0.1:9, closed>"

    def test_client_on_another_loop_raises(self) -> None:
        ending = session_response().replace(b"\r\n", b"\r\nConnection: close\r\n", 1)

        def script(peer: Peer) -> None:
            for _ in peer.requests():
                peer.send(ending)

        with Server(script) as server:
            client = AsyncClient(server.url)
            asyncio.run(client.start_session())
            with pytest.raises(InvalidState, match="another event loop"):
                asyncio.run(client.ask("Hi"))
            asyncio.run(client.aclose())


class Steps:
    """The awaits of all tasks of a loop. The n-th of them cancels a task.

    It cancels when the await begins or, with ``late``, when the awaited result is there and the task has not seen it
    yet.
    """

    def __init__(self, number: int, late: bool) -> None:
        self.left = number
        self.late = late
        self.victim: asyncio.Task[Any] | None = None
        self.driver: asyncio.Task[Any] | None = None
        self.fired = False

    def make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(Stepped(coroutine, self), loop=loop, **options)

    def count(self, awaited: Any) -> Any:
        if self.victim is None or self.victim.done() or asyncio.current_task() is self.driver:
            return awaited
        self.left -= 1
        if self.left == 0:
            self.fired = True
            if self.late and awaited is not None:
                awaited.add_done_callback(lambda _: self.victim.cancel())
            else:
                self.victim.cancel()
        return awaited


class Stepped(Coroutine[Any, Any, T]):
    """A coroutine whose awaits are counted."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], steps: Steps) -> None:
        self.coroutine = coroutine
        self.steps = steps

    def __await__(self) -> Any:
        return self

    def send(self, value: Any) -> Any:
        return self.steps.count(self.coroutine.send(value))

    def throw(self, *error: Any) -> Any:
        return self.steps.count(self.coroutine.throw(*error))

    def close(self) -> None:
        self.coroutine.close()


class Counted:
    """A script whose open connections are counted."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.open = 0
        self.changed = threading.Condition()

    def __call__(self, peer: Peer) -> None:
        self._add(1)
        try:
            self.script(peer)
        finally:
            self._add(-1)

    def _add(self, count: int) -> None:
        with self.changed:
            self.open += count
            self.changed.notify_all()

    def becomes(self, count: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.open == count, 10)


def renewing(peer: Peer) -> None:
    """Return a site that accepts only one nonce."""
    for request in peer.requests():
        if request.route == "start_session":
            peer.send(session_response())
        elif request.headers["x-wp-nonce"] == NONCE:
            peer.send(streamed(*HELLO))
        else:
            peer.send(json_response(REFUSED, "403 Forbidden"))


CANCELLED = {
    "a fresh client": (hello, ""),
    "a client with a connection": (hello, "warm"),
    "plain JSON": (site(says(json_response(PLAIN))), ""),
    "a stale nonce": (renewing, "stale"),
    "a head in two pieces": (site(says(stream_head(), chunk(*HELLO[:1]), chunk(*HELLO[1:]), LAST_CHUNK)), ""),
}


class TestCancellation:
    @pytest.mark.parametrize("late", [False, True], ids=["at once", "too late"])
    @pytest.mark.parametrize("kind", CANCELLED)
    def test_cancellation_at_any_await_leaves_nothing_behind(self, kind: str, late: bool) -> None:
        script, state = CANCELLED[kind]

        async def main(steps: Steps, url: str, counted: Counted) -> None:
            async with AsyncClient(url) as client:
                if state == "warm":
                    await client.ask("Hi")
                elif state == "stale":
                    client.session.nonce = "0000000000"
                steps.driver = asyncio.current_task()
                asyncio.get_running_loop().set_task_factory(steps.make_task)
                steps.victim = asyncio.get_running_loop().create_task(client.ask("Hi"))
                outcomes = await asyncio.gather(steps.victim, return_exceptions=True)
                assert asyncio.all_tasks() == {asyncio.current_task()}
                if steps.fired:
                    assert isinstance(outcomes[0], asyncio.CancelledError), outcomes
                assert (await client.ask("Hi")).text == "Hello"
                # This question used the connection that was left, if there was one. No other exists.
                assert await asyncio.to_thread(counted.becomes, 1), steps.__dict__

        for number in range(1, 200):
            steps, counted = Steps(number, late), Counted(script)
            with Server(counted) as server:
                asyncio.run(main(steps, server.url, counted))
                gc.collect()
            if not steps.fired:
                break
        assert 1 < number < 199

    @run
    async def test_cancellation_of_a_reader_closes_the_connection(self) -> None:
        chat = Hang(stream_head() + chunk(live("Hel")))
        with Server(site(chat)) as server:
            async with AsyncClient(server.url) as client:
                pieces = client.stream("Hi")
                assert await anext(pieces) == "Hel"
                reader = asyncio.create_task(anext(pieces))
                await turns()
                reader.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await reader
                await seen(chat.gone)
                assert pieces.text == "Hel"


class TestTimeouts:
    @run
    async def test_connect_limit_expires(self, no_proxies: None) -> None:
        with Server(Hang()) as server:
            async with AsyncClient(
                "https://example.org", proxy=server.url, timeout=Timeout(connect=0.2), retries=0
            ) as c:
                with pytest.raises(TimedOut) as raised:
                    await c.ask("Hi")
        assert (raised.value.clock, raised.value.seconds) == ("connect", 0.2)

    @pytest.mark.parametrize(
        ("sent", "clock"), [(b"", "first_byte"), (stream_head() + chunk(live("Hel")), "idle")], ids=["head", "body"]
    )
    @run
    async def test_timeout_of_a_question_replaces_the_clients(self, sent: bytes, clock: str) -> None:
        with Server(site(Hang(sent))) as server:
            async with AsyncClient(server.url) as client:
                with pytest.raises(TimedOut) as raised:
                    await client.ask("Hi", timeout=0.3)
        assert (raised.value.clock, raised.value.seconds) == (clock, 0.3)
        assert raised.value.partial_text == ("Hel" if sent else "")

    @run
    async def test_total_ends_a_stream_that_never_pauses(self) -> None:
        def chat(peer: Peer, _: Received) -> None:
            peer.send(stream_head())
            while True:
                peer.send(chunk(live("x")))
                threading.Event().wait(0.01)

        with Server(site(chat)) as server:
            async with AsyncClient(server.url, timeout=Timeout(total=0.5)) as client:
                with pytest.raises(TimedOut) as raised:
                    await collect(client.stream("Hi"))
        assert raised.value.clock == "total"
        assert set(raised.value.partial_text) == {"x"}

    @run
    async def test_time_of_a_slow_reader_does_not_count_as_idle(self) -> None:
        with Server(hello) as server:
            async with AsyncClient(server.url, timeout=0.3) as client:
                shown = []
                async for piece in client.stream("Hi"):
                    shown.append(piece)
                    await asyncio.sleep(0.4)
        assert shown == ["Hel", "lo"]


class TestNonce:
    @run
    async def test_tasks_share_one_search_for_a_nonce(self) -> None:
        with Server(hello) as server:
            async with AsyncClient(server.url) as client:
                replies = await asyncio.gather(*(client.ask("Hi") for _ in range(50)))
        assert [str(reply) for reply in replies] == ["Hello"] * 50
        assert server.seen().count("start_session") == 1
        assert {request.headers["x-wp-nonce"] for request in server.requests[1:]} == {NONCE}

    @run
    async def test_cancelled_leader_of_a_search_does_not_fail_the_others(self) -> None:
        asked, release = threading.Event(), threading.Event()

        def script(peer: Peer) -> None:
            for request in peer.requests():
                if request.route == "start_session":
                    asked.set()
                    assert release.wait(10)
                    peer.send(session_response())
                else:
                    peer.send(streamed(*HELLO))

        with Server(script) as server:
            async with AsyncClient(server.url) as client:
                tasks = [asyncio.create_task(client.ask("Hi")) for _ in range(10)]
                await seen(asked)
                await turns()
                tasks[0].cancel()
                await turns()
                release.set()
                first, *others = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(first, asyncio.CancelledError)
        assert [str(reply) for reply in others] == ["Hello"] * 9
        assert server.seen().count("start_session") == 2

    @run
    async def test_start_session_stores_a_new_nonce(self) -> None:
        with Server(site(says(streamed(*HELLO)), nonces=["1111111111", "2222222222"])) as server:
            async with AsyncClient(server.url) as client:
                assert await client.start_session() == Session("1111111111", "65f0c0ffee123")
                assert (await client.start_session()).nonce == "2222222222"
                await client.ask("Hi")
            assert server.requests[-1].headers["x-wp-nonce"] == "2222222222"
            assert "x-wp-nonce" not in server.requests[1].headers
            assert server.connections == 1

    @run
    async def test_nonce_is_not_sent_to_another_host(self) -> None:
        with Server(site(says(streamed(*HELLO)), nonces=["2222222222"]), host="127.0.0.2") as other:

            def chat(peer: Peer, request: Received) -> None:
                peer.send(response(b"", "307 Temporary Redirect", Location=other.url + request.target))

            with Server(site(chat)) as first:
                headers = {"Authorization": "Basic c2VjcmV0", "X-Mine": "1"}
                async with AsyncClient(first.url, headers=headers, cookies={"mine": "1"}) as client:
                    assert (await client.ask("Hi")).text == "Hello"
        assert other.seen() == ["start_session", "submit"]
        assert "x-wp-nonce" not in other.requests[0].headers
        assert other.requests[1].headers["x-wp-nonce"] == "2222222222"
        for request in other.requests:
            assert not {"authorization", "cookie"} & set(request.headers)
            assert request.headers["x-mine"] == "1"
        assert first.requests[1].headers["authorization"] == "Basic c2VjcmV0"


class TestConnections:
    @run
    async def test_next_question_is_one_request_on_the_open_connection(self) -> None:
        with Server(hello) as server:
            async with AsyncClient(server.url) as client:
                for _ in range(3):
                    await client.ask("Hi")
            assert server.seen() == ["start_session", "submit", "submit", "submit"]
            assert server.connections == 1

    @run
    async def test_idle_connection_that_the_server_closed_is_replaced(self) -> None:
        closed = threading.Event()

        def script(peer: Peer) -> None:
            for request in peer.requests():
                peer.send(session_response() if request.route == "start_session" else streamed(*HELLO))
                if request.route == "submit":
                    break
            peer.close()
            closed.set()

        with Server(script) as server:
            async with AsyncClient(server.url, retries=0) as client:
                for _ in range(3):
                    assert (await client.ask("Hi")).text == "Hello"
                    await seen(closed)
                    closed.clear()
        assert server.seen() == ["start_session", "submit", "submit", "submit"]
        assert server.connections == 3

    @run
    async def test_slow_reader_slows_the_server_down(self) -> None:
        piece = chunk(live("x" * 16_000))
        blocked = threading.Event()
        sent = []

        def chat(peer: Peer, request: Received) -> None:
            peer.send(stream_head())
            for _ in range(2_000):
                if not select.select([], [peer.socket], [], 1)[1]:
                    blocked.set()
                peer.send(piece)
                if not blocked.is_set():
                    sent.append(len(piece))
            blocked.set()
            peer.send(chunk(end("")) + LAST_CHUNK)

        with Server(site(chat)) as server:
            async with AsyncClient(server.url) as client, client.stream("Hi") as pieces:
                assert set(await anext(pieces)) == {"x"}
                await seen(blocked)
                assert sum(sent) < 20_000_000  # of 32 million bytes; the buffers of the kernel hold most of these
                async for _ in pieces:
                    pass
                assert len(pieces.text) == 32_000_000

    @run
    async def test_300_streams_at_once_have_a_connection_each(self) -> None:
        together = threading.Barrier(300)

        def chat(peer: Peer, _: Received) -> None:
            peer.send(stream_head() + chunk(HELLO[0]))
            together.wait(20)
            peer.send(chunk(*HELLO[1:]) + LAST_CHUNK)

        with Server(site(chat)) as server:
            async with AsyncClient(server.url) as client:
                replies = await asyncio.gather(*(client.ask("Hi") for _ in range(300)))
            assert {reply.text for reply in replies} == {"Hello"}
            assert server.connections == 300
            assert server.seen().count("start_session") == 1


class TestRequests:
    @run
    async def test_request_names_the_client_and_accepts_an_uncompressed_stream(self) -> None:
        with Server(hello) as server:
            async with AsyncClient(server.url, headers={"X-Mine": "1"}) as client:
                await client.ask("Hi")
        headers = server.requests[-1].headers
        assert headers["user-agent"].startswith("chatgpt4online/")
        assert headers["accept"] == "text/event-stream"
        assert headers["accept-encoding"] == "identity"
        assert headers["x-mine"] == "1"
        assert headers["host"].startswith("127.0.0.1:")

    @run
    async def test_options_of_a_question_are_sent(self) -> None:
        messages = [
            {"role": role, "content": text} for role, text in (("user", "a"), ("assistant", "b"), ("user", "c"))
        ]
        with Server(hello) as server:
            async with AsyncClient(server.url, bot_id="support", context_id=7) as client:
                events = await collect(client.events(messages, chat_id="mine"))
                await client.ask(messages, flatten=True)
        assert [type(event) for event in events] == [Text, Text, Done]
        assert isinstance(events[-1], Done)
        assert events[-1].reply.chat_id == "mine"
        first, second = (request.json for request in server.requests[1:])
        assert (first["newMessage"], first["messages"], first["chatId"]) == ("c", messages[:2], "mine")
        assert (first["botId"], first["contextId"]) == ("support", 7)
        assert (second["newMessage"], second["messages"]) == ("User: a\nAssistant: b\nUser: c\nAssistant:", [])

    @run
    async def test_cookies_are_kept_except_phpsessid(self) -> None:
        cookies = b"Set-Cookie: PHPSESSID=abc; path=/\r\nSet-Cookie: mwai_session_id=xyz; path=/; HttpOnly\r\n"
        head = session_response().replace(b"\r\n", b"\r\n" + cookies, 1)

        def script(peer: Peer) -> None:
            for request in peer.requests():
                peer.send(head if request.route == "start_session" else streamed(*HELLO))

        with Server(script) as server:
            async with AsyncClient(server.url, cookies={"mine": "1"}) as client:
                await client.ask("Hi")
        assert set(server.requests[-1].headers["cookie"].split("; ")) == {"mwai_session_id=xyz", "mine=1"}

    @run
    async def test_http_pool_is_used_and_not_closed(self) -> None:
        with Server(hello) as server:
            own = http1.Pool()
            for _ in range(2):
                async with AsyncClient(server.url, http=own) as client:
                    assert (await client.ask("Hi")).text == "Hello"
            assert server.connections == 1
            await own.aclose()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"site": "example.org"}, "web address"),
            ({"timeout": 0}, "above 0"),
            ({"max_event_size": 1}, "at least"),
            ({"bot_id": None}, "bot"),
            ({"headers": {"X-Bad": "a\nb"}}, "header"),
            ({"cookies": {"a": "b;c"}}, "cookie"),
            ({"proxy": "ftp://127.0.0.1:1"}, "proxy"),
            ({"proxy": "socks5://127.0.0.1:1"}, "chatgpt4online[socks]"),
        ],
        ids=str,
    )
    @run
    async def test_wrong_option_raises_a_clear_error(
        self,
        options: dict[str, Any],
        words: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setitem(sys.modules, "python_socks", None)
        with Server(hello) as server:
            with pytest.raises(InvalidInput) as raised:
                async with AsyncClient(**{"site": server.url, **options}) as client:
                    await client.ask("Hi")
        assert words in str(raised.value) or words in str(raised.value).lower()

    @run
    async def test_refused_connection_raises_after_its_retries(self) -> None:
        with Server(lambda peer: None) as server:
            url = server.url
        async with AsyncClient(url, retries=1) as client:
            with pytest.raises(ConnectionFailed) as raised:
                await client.ask("Hi")
        assert raised.value.retryable
        name = url.removeprefix("http://")
        assert str(raised.value) == f"no connection to {name}: connection refused (after 2 tries)"


def connecting(peer: Peer) -> None:
    """Return an HTTP proxy that opens tunnels to any address."""
    request = next(peer.requests())
    host, _, port = request.target.rpartition(":")
    with socket.create_connection((host, int(port))) as there:
        peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

        def pass_on(source: socket.socket, target: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(65_536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

        back = threading.Thread(target=pass_on, args=(there, peer.socket), daemon=True)
        back.start()
        try:
            pass_on(peer.socket, there)
        finally:
            back.join(10)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


class TestProxiesAndTls:
    """Proxies and TLS."""

    @pytest.fixture
    def secure(self, authority: trustme.CA) -> Iterator[Server]:
        """Return a site with a certificate of ``authority``."""
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        with Server(hello, tls=context) as server:
            yield server

    @pytest.fixture
    def bundle(self, authority: trustme.CA, tmp_path: Path) -> str:
        path = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(str(path))
        return str(path)

    @run
    async def test_proxy_is_used(self, monkeypatch: pytest.MonkeyPatch, no_proxies: None) -> None:
        with Server(hello) as proxy:
            async with AsyncClient("http://example.org", proxy=proxy.url.replace("//", "//user:pass@")) as client:
                assert (await client.ask("Hi")).text == "Hello"
            monkeypatch.setenv("http_proxy", proxy.url)
            async with AsyncClient("http://example.org") as client:
                assert (await client.ask("Hi")).text == "Hello"
        assert {request.target.partition("/wp-json")[0] for request in proxy.requests} == {"http://example.org"}
        assert proxy.requests[0].headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
        assert "proxy-authorization" not in proxy.requests[-1].headers

    @run
    async def test_no_proxy_is_obeyed(self, monkeypatch: pytest.MonkeyPatch, no_proxies: None) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with Server(hello) as server:
            async with AsyncClient(server.url) as client:
                assert (await client.ask("Hi")).text == "Hello"

    @pytest.mark.parametrize("through", ["nothing", "a proxy"])
    @run
    async def test_trusted_certificate_is_accepted(
        self, secure: Server, bundle: str, through: str, no_proxies: None
    ) -> None:
        with Server(connecting) as proxy:
            options: dict[str, Any] = {"proxy": proxy.url.replace("//", "//user:pass@")} if through == "a proxy" else {}
            async with AsyncClient(secure.url, verify=bundle, **options) as client:
                assert (await client.ask("Hi")).text == "Hello"
                assert await collect(client.stream("Hi")) == ["Hel", "lo"]
            assert secure.connections == 1
            if options:
                assert proxy.requests[0].target == secure.url.removeprefix("https://")
                assert proxy.requests[0].headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
                assert "proxy-authorization" not in secure.requests[0].headers

    @run
    async def test_untrusted_certificate_is_refused(self, secure: Server, no_proxies: None) -> None:
        async with AsyncClient(secure.url) as client:
            with pytest.raises(ConnectionFailed, match=r"(?i)certificate") as raised:
                await client.ask("Hi")
        assert not raised.value.retryable
        assert secure.requests == []

    @run
    async def test_verify_false_or_a_context_is_accepted(
        self, secure: Server, authority: trustme.CA, no_proxies: None
    ) -> None:
        import ssl

        context = ssl.create_default_context()
        authority.configure_trust(context)
        for verify in (False, context):
            async with AsyncClient(secure.url, verify=verify) as client:
                assert (await client.ask("Hi")).text == "Hello"


class TestModuleLevel:
    @run
    async def test_module_functions_aask_and_astream(self) -> None:
        with Server(hello) as server:
            assert str(await aask("Hi", site=server.url, timeout=30)) == "Hello"
            pieces = astream("Hi", site=server.url, bot_id="support")
            assert isinstance(pieces, AsyncStream)
            assert await collect(pieces) == ["Hel", "lo"]
            assert pieces.reply.text == "Hello"
            assert server.requests[-1].json["botId"] == "support"

    @run
    async def test_astream_closes_its_client_at_the_end(self) -> None:
        chat = Hang(stream_head() + chunk(live("Hel")))
        with Server(site(chat)) as server:
            async with astream("Hi", site=server.url) as pieces:
                async for _ in pieces:
                    break
            await seen(chat.gone)
            astream("Hi", site=server.url)

    @run
    async def test_failed_astream_closes_its_client(self) -> None:
        with Server(site(says(streamed(live("Hel"))))) as server:
            with pytest.raises(Truncated):
                await collect(astream("Hi", site=server.url))
            pieces = astream("Hi", site=server.url)
            assert await anext(pieces) == "Hel"
            reader = asyncio.create_task(collect(pieces))
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            await pieces.aclose()


class TestCancelledWaits:
    """A cancelled wait for the next piece ends the answer. Iteration must not look as if the answer were complete."""

    @run
    async def test_next_piece_after_a_cancelled_wait_raises_with_the_text_so_far(self) -> None:
        def chat(peer: Peer, _: Received) -> None:
            peer.send(stream_head() + chunk(live("Hel")))
            peer.wait_for_close()

        with Server(site(chat)) as server:
            async with AsyncClient(server.url) as client, client.stream("Hi") as pieces:
                assert await anext(pieces) == "Hel"
                waiting = asyncio.ensure_future(anext(pieces))
                await asyncio.sleep(0)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                for _ in range(2):
                    with pytest.raises(InvalidState, match="was cancelled") as caught:
                        await anext(pieces)
                    assert caught.value.partial_text == "Hel"
                await pieces.aclose()
                with pytest.raises(StopAsyncIteration):
                    await anext(pieces)
