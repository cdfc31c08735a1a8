"""Clients that are used before and after a fork. Each process has its own connections and locks."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import threading
from collections.abc import Callable

import pytest
import requests

from chatgpt4online import AsyncClient, Client
from chatgpt4online.net import tls
from chatgpt4online.testing import Chat, serve_site

from ..support.server import LAST_CHUNK, Peer, Server, chunk, end, live, site, stream_head

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

HANG_SECONDS = 30  # until a child that hangs is ended


def in_child(action: Callable[[], str]) -> Callable[[], str]:
    """Fork, and return a function that waits for the result of ``action`` in the child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(HANG_SECONDS)  # the system ends a child that waits for a lock for ever
        try:
            os.write(writer, action().encode())
        except BaseException as error:  # the parent gets it as text
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writer)

    def result() -> str:
        with os.fdopen(reader, "rb") as file:
            text = file.read().decode()
        os.waitpid(child, 0)
        return text

    return result


class Halves:
    """A script that answers in two halves. It sends the second half when the test allows it."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def __call__(self, peer: Peer, _: object) -> None:
        peer.send(stream_head() + chunk(live("Hel")))
        assert self.go_on.wait(20)
        peer.send(chunk(live("lo"), end("Hello")) + LAST_CHUNK)


class Held:
    """An answer that repeats the question. The question ``parent`` is answered when the test says so."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, chat: Chat) -> str:
        if chat.message == "parent":
            self.begun.set()
            self.go_on.wait(20)
        return chat.message


def ask_all(client: Client, who: str) -> str:
    asked = [f"{who}{number}" for number in range(5)]
    return "" if [str(client.ask(question)) for question in asked] == asked else "the answers were mixed up"


def test_parent_and_child_get_their_own_answers() -> None:
    with serve_site(lambda chat: chat.message, pause=0.001) as site, Client(site.url, retries=0) as client:
        client.ask("warm")
        result = in_child(lambda: ask_all(client, "child"))
        assert ask_all(client, "parent") == ""
        assert result() == ""
        assert ask_all(client, "parent") == ""  # the connection that the child closed is still open here


def test_locks_that_are_held_at_the_fork_are_free_in_the_child() -> None:
    answer = Held()
    with serve_site(answer) as site, Client(site.url, retries=0) as client:
        thread = threading.Thread(target=client.ask, args=("parent",))
        thread.start()
        assert answer.begun.wait(20)
        with client._transport.flights._guard, tls._build_lock:
            result = in_child(lambda: str(client.ask("child")))
            assert result() == "child"
        answer.go_on.set()
        thread.join(20)


def test_cookies_stay_in_the_child() -> None:
    with serve_site("Hi") as site, Client(site.url) as client:
        client.ask("warm")
        known = client._transport._cookies.header(site.url, {})
        assert "mwai_session_id=" in known
        assert in_child(lambda: client._transport._cookies.header(site.url, {}))() == known


def test_http_session_is_refused_in_the_child() -> None:
    with serve_site("Hi") as site, requests.Session() as own, Client(site.url, http=own) as client:
        client.ask("warm")
        result = in_child(lambda: str(client.ask("child")))()
        assert result.startswith("InvalidState: http= is a requests.Session of another process")
        assert str(client.ask("parent")) == "Hi"


def test_stream_is_read_only_in_the_process_that_began_it() -> None:
    halves = Halves()
    with Server(site(halves)) as server, Client(server.url) as client, client.stream("Hi") as stream:
        assert next(stream) == "Hel"
        result = in_child(lambda: next(stream))()
        assert (
            result
            == "InvalidState: this process was forked after the answer began, so it cannot read it: ask again here"
        )
        halves.go_on.set()
        assert list(stream) == ["lo"]


def read_in_a_loop(client: AsyncClient, question: str) -> str:
    async def read() -> str:
        async with client:
            return str(await client.ask(question))

    return asyncio.run(read())


def test_async_client_has_new_connections_in_the_child() -> None:
    with serve_site(lambda chat: chat.message) as served:
        client, loop = AsyncClient(served.url), asyncio.new_event_loop()
        assert str(loop.run_until_complete(client.ask("warm"))) == "warm"
        result = in_child(lambda: read_in_a_loop(client, "child"))
        assert result() == "child"
        assert str(loop.run_until_complete(client.ask("parent"))) == "parent"
        loop.run_until_complete(client.aclose())
        loop.close()


def test_async_stream_of_the_parent_survives_a_close_in_the_child() -> None:
    halves = Halves()
    with Server(site(halves)) as server:
        client, loop = AsyncClient(server.url), asyncio.new_event_loop()
        stream = client.stream("Hi")
        assert loop.run_until_complete(anext(stream)) == "Hel"

        def close_all() -> str:
            asyncio.run(stream.aclose())
            asyncio.run(client.aclose())
            return "closed"

        assert in_child(close_all)() == "closed"
        halves.go_on.set()
        assert loop.run_until_complete(anext(stream)) == "lo"
        loop.run_until_complete(client.aclose())
        loop.close()


def run_to_end(loop: asyncio.AbstractEventLoop, client: AsyncClient) -> None:
    loop.run_until_complete(client.aclose())


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
def test_child_keeps_no_copy_of_a_connection(kind: str) -> None:
    """Otherwise the site would not see the end of a connection until the child ends."""
    closed = threading.Event()

    def answer(peer: Peer, request: object) -> None:
        peer.send(stream_head() + chunk(live("Hel")))
        peer.wait_for_close()
        closed.set()

    with Server(site(answer)) as server:
        loop = asyncio.new_event_loop()
        if kind == "Client":
            client = Client(server.url)
            stream = client.stream("Hi")
            assert next(stream) == "Hel"
            close: Callable[[], object] = client.close
        else:
            async_client = AsyncClient(server.url)
            async_stream = async_client.stream("Hi")
            assert loop.run_until_complete(anext(async_stream)) == "Hel"
            close = functools.partial(run_to_end, loop, async_client)
        hold, let_go = os.pipe()
        child = in_child(lambda: os.read(hold, 1).decode())
        close()
        assert closed.wait(20)
        os.write(let_go, b"x")
        assert child() == "x"
        loop.close()
        os.close(hold)
        os.close(let_go)


def test_question_that_another_thread_of_the_parent_asks_does_not_block_the_child() -> None:
    answer = Held()
    with serve_site(answer) as site, Client(site.url, retries=0) as client:
        talk = client.conversation()
        thread = threading.Thread(target=talk.ask, args=("parent",))
        thread.start()
        assert answer.begun.wait(20)
        assert in_child(lambda: str(talk.ask("child")))() == "child"
        answer.go_on.set()
        thread.join(20)
        assert [message["content"] for message in talk.messages] == ["parent", "parent"]
