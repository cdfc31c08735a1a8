"""A conversation answers one question at a time, over real sockets, threads and tasks, in both clients."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chatgpt4online import (
    Conversation,
    Done,
    InvalidInput,
    InvalidState,
    ServerError,
    Shortcut,
    TimedOut,
    Timeout,
    Truncated,
)
from chatgpt4online.testing import Answer, Chat, Site, serve_site

from ..clients.test_features import Face, chats, face, says
from ..support.server import LAST_CHUNK, Server, chunk, end, live, stream_head
from ..support.server import says as server_says
from ..support.server import site as server_site

__all__ = ["face"]  # the fixture

BUSY = "another question is being answered here: read or close its stream first"
SECONDS = 20  # a wait ends within milliseconds; the limit only ends a test that has failed


@dataclass
class Script:
    """The answers of the site: the question and ``end``, in two pieces.

    The answer to ``wait1`` waits for the gate before its first piece, and the one to ``wait2`` before its second.
    """

    waits: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)

    def __call__(self, chat: Chat) -> Any:
        return Answer(self.pieces(chat.message), ending="cut" if chat.message == "cut" else "end")

    def pieces(self, question: str) -> Iterator[Any]:
        if question == "wait1":
            self.waits.set()
            assert self.gate.wait(SECONDS)
        yield f"{question} "
        if question == "fail":
            yield ServerError("no")
        if question == "wait2":
            assert self.gate.wait(SECONDS)
        yield "end"

    def wait_for_question(self) -> None:
        assert self.waits.wait(SECONDS), "no question arrived"


def next_of(stream: Any) -> Any:
    """Return the next item of a stream, or a coroutine that returns it."""
    return stream.__anext__() if hasattr(stream, "__anext__") else next(stream)


class World:
    """A client and a conversation with a site on loopback, with the same methods for both kinds of client."""

    def __init__(self, face: Face, site: Site, script: Script) -> None:
        self.face, self.site, self.script = face, site, script
        self.is_sync = face.conversation_class is Conversation
        self.client = face(site)
        self.talk = self.client.conversation()

    def call(self, value: Any) -> Any:
        """Return a value, or the result of an awaitable."""
        return self.face.call(value)

    def next(self, stream: Any) -> Any:
        """Return the next piece of a stream, which stays open."""
        return self.call(next_of(stream))

    def read_all(self, stream: Any) -> list[Any]:
        """Return the pieces of a stream up to its end."""
        return self.face.all(stream)

    def wait_for_question(self) -> None:
        """Return once the site has the question ``wait1``. Other tasks run meanwhile."""
        if self.is_sync:
            self.script.wait_for_question()
        else:
            self.call(asyncio.to_thread(self.script.wait_for_question))

    def in_background(self, action: Callable[[], Any]) -> Callable[[], Any]:
        """Begin a call in a thread or a task. Return a function that waits for it, and returns its value or error."""
        if not self.is_sync:

            async def begin() -> asyncio.Future[Any]:
                return asyncio.ensure_future(action())

            task = self.call(begin())

            async def value() -> Any:
                return (await asyncio.gather(task, return_exceptions=True))[0]

            return lambda: self.call(value())
        found: list[Any] = []

        def run() -> None:
            try:
                found.append(action())
            except BaseException as error:
                found.append(error)

        thread = threading.Thread(target=run)
        thread.start()

        def joined() -> Any:
            thread.join(SECONDS)
            return found[0]

        return joined

    def at_once(self, actions: list[Callable[[], Any]]) -> list[Any]:
        """Begin calls at the same moment. Open the gate when one has ended, and return their values or errors."""
        if not self.is_sync:

            async def run() -> list[Any]:
                tasks = [asyncio.ensure_future(action()) for action in actions]
                await asyncio.wait(tasks, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
                self.script.gate.set()
                return await asyncio.gather(*tasks, return_exceptions=True)

            return self.call(run())
        barrier, ended = threading.Barrier(len(actions)), threading.Semaphore(0)

        def in_step(action: Callable[[], Any]) -> Any:
            barrier.wait(SECONDS)
            try:
                return action()
            finally:
                ended.release()

        results = [self.in_background(lambda action=action: in_step(action)) for action in actions]
        assert ended.acquire(timeout=SECONDS)
        self.script.gate.set()
        return [result() for result in results]


@pytest.fixture
def world(face: Face) -> Iterator[World]:
    script = Script()
    with serve_site(script) as site:
        yield World(face, site, script)
        script.gate.set()


def turn(question: str) -> list[dict[str, str]]:
    """Return the two messages that the history has after a question."""
    return [says("user", question), says("assistant", f"{question} end")]


QUESTIONS: dict[str, Callable[[World], Any]] = {
    "ask": lambda to: to.call(to.talk.ask("second")),
    "send": lambda to: to.call(to.talk.send("second")),
    "stream": lambda to: to.read_all(to.talk.stream("second")),
    "events": lambda to: to.read_all(to.talk.events("second")),
    "choose": lambda to: to.read_all(to.talk.choose(Shortcut("message", "Second", "second"))),
    "edit": lambda to: to.read_all(to.talk.edit("second")),
    "regenerate": lambda to: to.read_all(to.talk.regenerate()),
}


class TestSecondQuestion:
    """A second question of a conversation, while the first one is being answered."""

    @pytest.mark.parametrize("name", QUESTIONS)
    def test_second_question_raises_and_the_first_keeps_its_answer(self, world: World, name: str) -> None:
        world.call(world.talk.ask("before"))
        first = world.talk.stream("wait2")
        assert world.next(first) == "wait2 "
        with pytest.raises(InvalidState, match=BUSY):
            QUESTIONS[name](world)
        assert [asked["newMessage"] for asked in chats(world.site)] == ["before", "wait2"]
        world.script.gate.set()
        assert world.read_all(first) == ["end"]
        assert world.talk.messages == [*turn("before"), *turn("wait2")]
        QUESTIONS[name](world)
        assert len(world.talk.messages) == (4 if name in ("edit", "regenerate") else 6)

    def test_second_question_raises_before_the_first_has_a_piece(self, world: World) -> None:
        first = world.in_background(lambda: world.talk.ask("wait1"))
        world.wait_for_question()
        with pytest.raises(InvalidState, match=BUSY):
            world.call(world.talk.ask("second"))
        world.script.gate.set()
        assert str(first()) == "wait1 end"
        assert world.talk.messages == turn("wait1")

    def test_exactly_one_of_two_simultaneous_questions_is_sent(self, world: World) -> None:
        for number in range(1, 11):
            world.talk.clear()
            world.script.gate.clear()
            results = world.at_once([lambda: world.talk.ask("wait1")] * 2)
            assert sorted(type(result).__name__ for result in results) == ["InvalidState", "Reply"]
            assert len(chats(world.site)) == number
            assert world.talk.messages == turn("wait1")

    def test_other_conversation_is_answered_at_the_same_time(self, world: World) -> None:
        first = world.talk.stream("wait2")
        world.next(first)
        assert str(world.call(world.client.conversation().ask("other"))) == "other end"
        world.script.gate.set()
        assert world.read_all(first) == ["end"]


def read_to_its_end(to: World) -> Any:
    to.call(to.talk.ask("first"))


def closed_after_a_piece(to: World) -> Any:
    stream = to.talk.stream("wait2")
    to.next(stream)
    to.call(stream.close())
    return stream


def closed_before_its_first_piece(to: World) -> Any:
    stream = to.talk.stream("wait1")
    result = to.in_background(lambda: next_of(stream))
    to.wait_for_question()
    to.call(stream.close())
    assert type(result()).__name__ in ("StopIteration", "StopAsyncIteration")
    return stream


def closed_before_it_was_read(to: World) -> Any:
    stream = to.talk.stream("wait1")
    to.call(stream.close())
    assert to.read_all(stream) == []
    return stream


def never_read(to: World) -> Any:
    return to.talk.stream("wait1")


def dropped(to: World) -> Any:
    to.next(to.talk.stream("wait2"))
    gc.collect()


def thrown_into(to: World) -> Any:
    stream = to.talk.stream("wait2")
    to.next(stream)
    with pytest.raises(KeyError):
        to.call(stream.throw(KeyError()) if to.is_sync else stream.athrow(KeyError()))
    return stream


def failed(to: World) -> Any:
    stream = to.talk.stream("fail")
    assert to.next(stream) == "fail "
    with pytest.raises(ServerError):
        to.next(stream)
    return stream


def cut(to: World) -> Any:
    stream = to.talk.stream("cut")
    with pytest.raises(Truncated):
        to.read_all(stream)
    return stream


def timed_out(to: World) -> Any:
    stream = to.talk.stream("wait1", timeout=Timeout(first_byte=0.05))
    with pytest.raises(TimedOut):
        to.next(stream)
    return stream


def refused_before_it_was_sent(to: World) -> Any:
    stream = to.talk.stream("first")
    nonce, to.client.session.nonce = to.client.session.nonce, "a nonce with spaces"
    with pytest.raises(InvalidInput):
        to.next(stream)
    to.client.session.nonce = nonce
    return stream


def interrupted(to: World) -> Any:
    """Interrupt the thread that waits by Ctrl-C, or cancel the task that waits."""
    stream = to.talk.stream("wait1")
    if to.is_sync:

        def interrupt() -> None:
            to.wait_for_question()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            next(stream)
        thread.join(SECONDS)
        return stream

    async def cancel() -> None:
        task = asyncio.ensure_future(next_of(stream))
        await asyncio.to_thread(to.script.wait_for_question)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    to.call(cancel())
    return stream


ENDS = [
    read_to_its_end,
    closed_after_a_piece,
    closed_before_its_first_piece,
    closed_before_it_was_read,
    never_read,
    dropped,
    thrown_into,
    failed,
    cut,
    timed_out,
    refused_before_it_was_sent,
    interrupted,
]


@pytest.mark.parametrize("end", ENDS, ids=[end.__name__ for end in ENDS])
@pytest.mark.filterwarnings("ignore:unclosed <AsyncStream:ResourceWarning")
def test_next_question_can_be_asked_after_a_stream_that_was(world: World, end: Callable[[World], Any]) -> None:
    """The test still has a reference to the stream, except if it was dropped."""
    world.call(world.talk.ask("before"))
    stream = end(world)
    expected = turn("before") + (turn("first") if end is read_to_its_end else [])
    assert world.talk.messages == expected
    assert str(world.call(world.talk.ask("next"))) == "next end"
    assert world.talk.messages == [*expected, *turn("next")]
    assert chats(world.site)[-1]["messages"] == expected
    del stream


class TestStreamsMadeAhead:
    """Streams that are made before they are read: each question is sent when its stream is read first."""

    def test_streams_made_together_and_read_one_by_one_lose_no_turn(self, world: World) -> None:
        streams = [world.talk.stream(question) for question in ("a", "b", "c")]
        for stream in streams:
            world.read_all(stream)
        assert world.talk.messages == [*turn("a"), *turn("b"), *turn("c")]
        assert [asked["messages"] for asked in chats(world.site)] == [[], turn("a"), [*turn("a"), *turn("b")]]

    def test_stream_made_before_clear_belongs_to_the_new_conversation(self, world: World) -> None:
        world.call(world.talk.ask("old"))
        stream = world.talk.stream("new")
        world.talk.clear()
        world.read_all(stream)
        assert world.talk.messages == turn("new")
        assert (chats(world.site)[-1]["messages"], chats(world.site)[-1]["chatId"]) == ([], world.talk.chat_id)

    @pytest.mark.parametrize("change", ["edit", "regenerate"])
    def test_question_that_is_no_longer_the_last_is_not_replaced(self, world: World, change: str) -> None:
        world.call(world.talk.ask("a"))
        stream = world.talk.edit("x") if change == "edit" else world.talk.regenerate()
        world.call(world.talk.ask("b"))
        with pytest.raises(InvalidState, match=r"call edit\(\) or regenerate\(\) again"):
            world.read_all(stream)
        assert world.talk.messages == [*turn("a"), *turn("b")]
        assert len(chats(world.site)) == 2

    def test_second_regenerate_replaces_the_answer_of_the_first(self, world: World) -> None:
        world.call(world.talk.ask("a"))
        for stream in [world.talk.regenerate(), world.talk.regenerate()]:
            world.read_all(stream)
        assert world.talk.messages == turn("a")
        assert [asked["messages"] for asked in chats(world.site)] == [[], [], []]


ALL_AT_ONCE = stream_head() + chunk(live("one "), live("two"), end("one two")) + LAST_CHUNK


class TestAnswersThatArriveAtOnce:
    """A whole answer in one segment: the history does not depend on when the bytes arrive."""

    @pytest.fixture
    def talk(self, face: Face) -> Iterator[Any]:
        with Server(server_site(server_says(ALL_AT_ONCE))) as server:
            yield face(server.url).conversation()

    def test_stream_that_is_closed_after_a_piece_is_not_recorded(self, face: Face, talk: Any) -> None:
        assert face.first(talk.stream("Hi")) == "one "
        assert talk.messages == []

    def test_second_question_waits_until_the_first_answer_is_read(self, face: Face, talk: Any) -> None:
        stream = talk.stream("Hi")
        assert face.call(next_of(stream)) == "one "
        with pytest.raises(InvalidState, match=BUSY):
            face.call(talk.ask("second"))
        assert face.call(next_of(stream)) == "two"
        assert talk.messages == []
        assert face.all(stream) == []
        assert talk.messages == [says("user", "Hi"), says("assistant", "one two")]

    def test_turn_is_recorded_when_its_reader_gets_the_last_event(self, face: Face, talk: Any) -> None:
        """Many programs leave the loop at that event."""
        stream = talk.events("Hi")
        while not isinstance(face.call(next_of(stream)), Done):
            assert talk.messages == []
        assert talk.messages == [says("user", "Hi"), says("assistant", "one two")]
        face.call(stream.close())
        assert str(face.call(talk.ask("second"))) == "one two"
        assert len(talk.messages) == 4


class TestMeanwhile:
    """Other calls of a conversation while a question is being answered."""

    def test_clear_forgets_the_question_that_is_being_answered(self, world: World) -> None:
        world.call(world.talk.ask("before"))
        first = world.talk.stream("wait2")
        world.next(first)
        world.talk.clear()
        assert str(world.call(world.talk.ask("new"))) == "new end"
        world.script.gate.set()
        assert world.read_all(first) == ["end"]
        assert world.talk.messages == turn("new")
        assert chats(world.site)[-1]["chatId"] == world.talk.chat_id

    def test_messages_and_save_give_the_history_before_the_question(self, world: World, tmp_path: Path) -> None:
        world.call(world.talk.ask("before"))
        first = world.talk.stream("wait2")
        world.next(first)
        world.talk.save(tmp_path / "talk.json")
        again = world.face.conversation_class.load(tmp_path / "talk.json", world.client)
        assert world.talk.messages == again.messages == turn("before")
        world.script.gate.set()
        world.read_all(first)
        world.talk.save(tmp_path / "talk.json")
        again = world.face.conversation_class.load(tmp_path / "talk.json", world.client)
        assert world.talk.messages == again.messages == [*turn("before"), *turn("wait2")]
