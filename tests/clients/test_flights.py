"""Many questions at once: they share one search for a nonce and its outcome."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from chatgpt4online import AsyncClient, Client, TimedOut, Timeout
from chatgpt4online.protocol import (
    Blocked,
    ChatError,
    ConnectionFailed,
    ProtocolError,
    Session,
    StatusError,
)

from ..site import serve_site
from ..support.server import (
    LAST_CHUNK,
    Peer,
    Server,
    chunk,
    end,
    json_response,
    response,
    session_response,
    stream_head,
)

CLIENTS = ["Client", "AsyncClient"]
MANY = 10
HANG_SECONDS = 20.0  # seconds until a test that hangs fails


def until(condition: Callable[[], object]) -> None:
    """Wait until another thread has made a condition true."""
    end_of_wait = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < end_of_wait, "it did not happen"
        time.sleep(0.002)


@dataclass
class Crowd:
    """Questions that are asked at once, ``q0`` first. Each has a thread or a task of its own.

    ``outcomes`` has, for each question, the text of the answer or the error. None means that the question was closed.
    """

    url: str
    count: int
    options: dict[str, Any] = field(default_factory=dict)
    timeouts: dict[int, Timeout] = field(default_factory=dict)
    session: Session | None = None

    def run(self, kind: str, meanwhile: Callable[[Crowd], None]) -> list[Any]:
        """Ask ``q0``. Ask the others when its search has begun, and call ``meanwhile`` when they wait for it."""
        self.outcomes: list[Any] = [None] * self.count
        if kind == "Client":
            self._run_threads(meanwhile)
        else:
            asyncio.run(self._run_tasks(meanwhile))
        return self.outcomes

    def _run_threads(self, meanwhile: Callable[[Crowd], None]) -> None:
        with Client(self.url, **self.options) as client:
            client.session = self.session or client.session
            flights = client._transport.flights
            streams = [client.stream(f"q{number}", timeout=self.timeouts.get(number)) for number in range(self.count)]
            threads = [threading.Thread(target=self._read, args=(*pair,)) for pair in enumerate(streams)]
            self.stop: Callable[[], object] = streams[0].close
            threads[0].start()
            until(lambda: flights._current)
            for thread in threads[1:]:
                thread.start()
            flight = flights._current
            assert flight is not None
            until(lambda: len(flight.waiting) == self.count - 1)
            meanwhile(self)
            for thread in threads:
                thread.join(HANG_SECONDS)
                assert not thread.is_alive(), "a question hangs"

    def _read(self, number: int, stream: Any) -> None:
        try:
            self.outcomes[number] = "".join(stream) if not stream._closed.is_set else None
        except ChatError as error:
            self.outcomes[number] = error

    async def _run_tasks(self, meanwhile: Callable[[Crowd], None]) -> None:
        async with AsyncClient(self.url, **self.options) as client:
            client.session = self.session or client.session
            loop = asyncio.get_running_loop()

            async def read(number: int) -> None:
                try:
                    stream = client.stream(f"q{number}", timeout=self.timeouts.get(number))
                    self.outcomes[number] = "".join([piece async for piece in stream])
                except ChatError as error:
                    self.outcomes[number] = error

            tasks = [asyncio.create_task(read(number)) for number in range(self.count)]
            self.stop = lambda: loop.call_soon_threadsafe(tasks[0].cancel)
            for _ in range(5):  # enough for each task to reach its first wait
                await asyncio.sleep(0)
            await asyncio.to_thread(meanwhile, self)
            async with asyncio.timeout(HANG_SECONDS):
                await asyncio.wait(tasks)


class Gated:
    """A site that holds the first requests for a session back until the test sets their answers."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.answers: list[Callable[[Peer], None]] = []
        self.may_answer = threading.Semaphore(0)
        self.sessions = 0

    def __call__(self, peer: Peer) -> None:
        for request in peer.requests():
            if request.route == "submit":
                peer.send(stream_head() + chunk(end(request.json["newMessage"])) + LAST_CHUNK)
                continue
            self.sessions += 1
            self.arrived.release()
            assert self.may_answer.acquire(timeout=HANG_SECONDS)
            self.answers.pop(0)(peer)

    def answer(self, *answers: Callable[[Peer], None]) -> None:
        self.answers += answers
        for _ in answers:
            self.may_answer.release()

    def wait_for_request(self) -> None:
        assert self.arrived.acquire(timeout=HANG_SECONDS), "no session was asked for"


def good(peer: Peer) -> None:
    peer.send(session_response())


def sends(data: bytes) -> Callable[[Peer], None]:
    return lambda peer: peer.send(data)


BLOCK = response(b"<html><title>Just a moment...</title></html>", "403 Forbidden", Content_Type="text/html")
CLOSED = json_response({"code": "rest_disabled", "message": "No", "data": {"status": 401}}, "401 Unauthorized")

# The end of the first request for a session, and the outcome that all ten questions share.
SHARED = {
    "a session": (good, None),
    "a connection that is closed": (Peer.close, ConnectionFailed),
    "a reset": (Peer.reset, ConnectionFailed),
    "a block": (sends(BLOCK), Blocked),
    "a REST API that is closed": (sends(CLOSED), StatusError),
    "a session without a nonce": (sends(json_response({"success": True, "restNonce": None})), ProtocolError),
}


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("name", SHARED)
def test_outcome_of_one_search_is_shared(kind: str, name: str) -> None:
    answer, expected = SHARED[name]
    gated = Gated()

    def meanwhile(_: Crowd) -> None:
        gated.wait_for_request()
        gated.answer(answer)

    with Server(gated) as server:
        outcomes = Crowd(server.url, MANY, {"retries": 0}).run(kind, meanwhile)
    assert gated.sessions == 1
    if expected is None:
        assert outcomes == [f"q{number}" for number in range(MANY)]
        return
    assert all(isinstance(outcome, expected) for outcome in outcomes), outcomes
    assert len({id(outcome) for outcome in outcomes}) == MANY
    assert len({str(outcome) for outcome in outcomes}) == 1
    assert {type(outcome) for outcome in outcomes} == {type(outcomes[0])}


@pytest.mark.parametrize("kind", CLIENTS)
def test_first_byte_of_the_leader_ends_the_wait_of_all(kind: str) -> None:
    """Without sharing, five streams would wait for up to five limits at a silent site."""
    gated = Gated()
    options = {"retries": 0, "timeout": Timeout(first_byte=1.0)}
    with Server(gated) as server:
        outcomes = Crowd(server.url, 5, options).run(kind, lambda crowd: None)
        gated.answer(good)  # no stream waits for this answer any more
    assert [(type(outcome), outcome.clock, outcome.seconds) for outcome in outcomes] == [
        (TimedOut, "first_byte", 1.0)
    ] * 5
    assert gated.sessions == 1
    assert len({id(outcome) for outcome in outcomes}) == 5


# Ways to end the leader without an outcome. One of the others then leads.
def test_waiter_leads_while_the_closed_leader_is_still_blocked() -> None:
    """An ``http=`` session does not report its socket, so nothing wakes the leader's thread."""
    gated = Gated()

    def meanwhile(crowd: Crowd) -> None:
        gated.wait_for_request()
        crowd.stop()
        gated.wait_for_request()
        gated.answer(good, good)

    with Server(gated) as server, requests.Session() as http:
        outcomes = Crowd(server.url, 4, {"retries": 0, "http": http}).run("Client", meanwhile)
    assert (outcomes[1:], gated.sessions) == (["q1", "q2", "q3"], 2)


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("how", ["closed", "out of its total time"])
def test_waiter_leads_after_the_leader_stops(kind: str, how: str) -> None:
    gated = Gated()
    timeouts = {0: Timeout(total=0.5)} if how != "closed" else {}

    def meanwhile(crowd: Crowd) -> None:
        gated.wait_for_request()
        if how == "closed":
            crowd.stop()
        gated.wait_for_request()
        gated.answer(good, good)  # the first answer is for the leader, which is closed

    with Server(gated) as server:
        outcomes = Crowd(server.url, MANY, {"retries": 0}, timeouts).run(kind, meanwhile)
    assert gated.sessions == 2
    assert outcomes[1:] == [f"q{number}" for number in range(1, MANY)]
    if how != "closed":
        assert (type(outcomes[0]), outcomes[0].clock) == (TimedOut, "total")


# Limits of a waiting stream that are shorter than those of the leader.
SHORTER = {
    "first_byte": Timeout(first_byte=0.2),
    "total": Timeout(total=0.2),
}


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("clock", SHORTER)
def test_waiter_with_a_shorter_limit_times_out(kind: str, clock: str) -> None:
    gated = Gated()

    def meanwhile(crowd: Crowd) -> None:
        gated.wait_for_request()
        until(lambda: crowd.outcomes[1])
        gated.answer(good)

    with Server(gated) as server:
        outcomes = Crowd(server.url, 3, {"retries": 0}, {1: SHORTER[clock]}).run(kind, meanwhile)
    assert (type(outcomes[1]), outcomes[1].clock, outcomes[1].seconds) == (TimedOut, clock, 0.2)
    assert [outcomes[0], outcomes[2]] == ["q0", "q2"]
    assert gated.sessions == 1


@pytest.mark.parametrize("kind", CLIENTS)
def test_waiter_with_a_shorter_idle_limit_times_out_when_the_answer_stops(kind: str) -> None:
    gated = Gated()

    def stand_still(peer: Peer) -> None:
        whole = session_response()
        peer.send(whole[:-5])
        until(lambda: crowd.outcomes[1])
        peer.send(whole[-5:])

    def meanwhile(_: Crowd) -> None:
        gated.wait_for_request()
        gated.answer(stand_still)

    with Server(gated) as server:
        crowd = Crowd(server.url, 3, {"retries": 0}, {1: Timeout(idle=0.2)})
        outcomes = crowd.run(kind, meanwhile)
    assert (type(outcomes[1]), outcomes[1].clock) == (TimedOut, "idle")
    assert [outcomes[0], outcomes[2]] == ["q0", "q2"]


# Kinds of sites, by the options of serve_site.
SITES: dict[str, dict[str, Any]] = {
    "pretty permalinks": {},
    "plain permalinks": {"permalinks": "plain"},
    "in a directory": {"path": "/blog"},
    "in a directory, with plain permalinks": {"path": "/blog", "permalinks": "plain"},
    "no sessions for visitors": {"session_closed": True},
    "before sessions": {"version": "2.4.3"},
    "before sessions, with plain permalinks": {"version": "2.4.3", "permalinks": "plain"},
    "2.8.9": {"version": "2.8.9"},
}


def at_once(kind: str, url: str, questions: list[str], session: Session | None = None) -> list[str]:
    """Return the answers to questions that are asked at the same time."""

    async def tasks() -> list[str]:
        async with AsyncClient(url) as client:
            client.session = session or client.session
            return [str(reply) for reply in await asyncio.gather(*map(client.ask, questions))]

    def threads() -> list[str]:
        answers = [""] * len(questions)
        barrier = threading.Barrier(len(questions))

        def ask(number: int) -> None:
            barrier.wait(HANG_SECONDS)
            answers[number] = str(client.ask(questions[number]))

        with Client(url) as client:
            client.session = session or client.session
            running = [threading.Thread(target=ask, args=(number,)) for number in range(len(questions))]
            for thread in running:
                thread.start()
            for thread in running:
                thread.join(HANG_SECONDS)
        return answers

    return threads() if kind == "Client" else asyncio.run(tasks())


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("name", SITES)
def test_ten_questions_at_once_make_one_search(kind: str, name: str) -> None:
    searches = []
    for count in (1, MANY):
        questions = [f"question {number}" for number in range(count)]
        with serve_site(lambda chat: chat.message, **SITES[name]) as site:
            assert at_once(kind, site.url, questions) == questions
            asked = [(request.method, request.path) for request in site.requests]
        searches.append([request for request in asked if "chats/submit" not in request[1]])
    alone, together = searches
    assert alone == together
    assert alone


@dataclass
class Renewing:
    """A site that accepts only the nonce ``new``.

    It answers the first ``count`` questions with another nonce together.
    """

    count: int
    stale: int = 0
    sessions: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    all_are_there: threading.Event = field(default_factory=threading.Event)

    def __call__(self, peer: Peer) -> None:
        for request in peer.requests():
            if request.route == "start_session":
                self.sessions += 1
                peer.send(session_response("new"))
            elif request.headers["x-wp-nonce"] == "new":
                peer.send(stream_head() + chunk(end(request.json["newMessage"])) + LAST_CHUNK)
            else:
                with self.lock:
                    self.stale += 1
                    if self.stale == self.count:
                        self.all_are_there.set()
                assert self.all_are_there.wait(HANG_SECONDS)
                refused = {"code": "rest_cookie_invalid_nonce", "message": "Cookie check failed", "data": {}}
                peer.send(json_response(refused, "403 Forbidden"))


@pytest.mark.parametrize(("kind", "count"), [("Client", 16), ("AsyncClient", 100)])
def test_nonce_that_expired_under_load_is_renewed_once(kind: str, count: int) -> None:
    """All questions are refused for the same nonce at the same time."""
    questions = [f"question {number}" for number in range(count)]
    renewing = Renewing(count)
    with Server(renewing) as server:
        assert at_once(kind, server.url, questions, Session(nonce="old")) == questions
    assert (renewing.stale, renewing.sessions) == (count, 1)
