"""``open()``, ``until_done()`` and ``response``: a stream that is opened before it is read."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any

import pytest

from chatgpt4online import (
    AsyncClient,
    ChatError,
    Client,
    Done,
    Failed,
    InvalidInput,
    InvalidState,
    LimitReached,
    Notice,
    RateLimited,
    ResponseInfo,
    ServerError,
    StatusError,
    Text,
    Timeout,
    Truncated,
)
from chatgpt4online.testing import serve_site

from ..support import recordings
from ..support.adapters import driver
from ..support.recordings import expected_events
from ..support.server import (
    LAST_CHUNK,
    Gate,
    Peer,
    Received,
    Server,
    chunk,
    end,
    json_response,
    live,
    response,
    says,
    site,
    stream_head,
)

HEAD = stream_head()
BUSY = json_response({"code": "busy", "message": "Later."}, "429 Too Many Requests", Retry_After="7", Set_Cookie="a=b")
ERROR = b'data: {"type":"error","data":"No."}\n\n'
NOTICE = live("Thinking", subtype="thinking")

both = pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
each_view = pytest.mark.parametrize("view", ["stream", "events"])


def is_chat(name: str) -> bool:
    return "chats/submit" in recordings.load(name).target


def played(name: str) -> Server:
    """Return a site that answers each question with a recording, and then closes the connection if that one did."""
    recording = recordings.load(name)

    def chat(peer: Peer, _: Received) -> None:
        peer.send(recording.raw)
        if recording.notes["ended_by"].startswith("FIN"):
            peer.close()

    return Server(site(chat))


@both
@pytest.mark.parametrize("name", [name for name in recordings.names() if is_chat(name)])
def test_open_raises_exactly_the_recorded_answers_that_begin_with_a_failure(kind: str, name: str) -> None:
    expected: list[Any] = list(expected_events(name))
    with played(name) as server, driver(kind, server.url, retries=0) as drive:
        stream = drive.client.events("Hi")
        if isinstance(expected[0], Failed):
            with pytest.raises(ChatError) as caught:
                drive.open(stream)
            assert isinstance(caught.value, type(expected[0].error))
            assert drive.list(stream) == []
        else:
            assert drive.open(stream) is stream
            items: list[Any] = []
            try:
                while True:
                    items.append(drive.next(stream))
            except StopIteration:
                pass
            except ChatError as error:
                items.append(Failed(error))
            assert [type(item) for item in items] == [type(event) for event in expected]
            texts, their_texts = ([e.text for e in found if isinstance(e, Text)] for found in (items, expected))
            assert texts == their_texts


@both
@pytest.mark.parametrize(
    ("name", "kind_of_error"),
    [("3.6.2/limit_stream", LimitReached), ("3.6.2/over_limit", ServerError), ("3.6.2/stream_err429", ServerError)],
)
def test_open_raises_a_refusal_that_came_with_status_200(kind: str, name: str, kind_of_error: type[ChatError]) -> None:
    with played(name) as server, driver(kind, server.url) as drive:
        stream = drive.client.stream("Hi")
        with pytest.raises(kind_of_error):
            drive.open(stream)
        assert stream.response.status == 200


# The bytes that a site sends before it waits, and those after it. The first of each pair opens the stream.
OPENINGS = {
    "a piece": (live("Hel"), live("lo") + end("Hello")),
    "a notice": (NOTICE, live("Hello") + end("Hello")),
    "the end": (end("Hello"), b""),
    "a piece, and an error after it": (live("Hello"), ERROR),
    "a notice, and an error after it": (NOTICE, ERROR),
}


@both
@each_view
@pytest.mark.parametrize("opening", OPENINGS)
def test_open_returns_at_the_first_event_while_the_site_holds_the_rest_back(kind: str, view: str, opening: str) -> None:
    first, rest = OPENINGS[opening]
    gate = Gate()

    def chat(peer: Peer, _: Received) -> None:
        peer.send(HEAD + chunk(first))
        gate.wait()
        peer.send(chunk(rest or b": nothing\n\n") + LAST_CHUNK)

    with Server(site(chat)) as server, driver(kind, server.url) as drive:
        stream = getattr(drive.client, view)("Hi")
        drive.open(stream)
        drive.open(stream)
        gate.open()
        if ERROR in rest:
            with pytest.raises(ServerError):
                drive.run(stream.until_done())
        else:
            assert drive.run(stream.until_done()).text == "Hello"
            assert drive.open(stream) is stream, "after the end, open() does nothing"


@both
@each_view
@pytest.mark.parametrize("opening", OPENINGS)
def test_open_does_not_depend_on_how_the_events_are_cut(kind: str, view: str, opening: str) -> None:
    """All events arrive in one chunk here, the error too."""
    whole = b"".join(OPENINGS[opening])
    with Server(site(says(HEAD + chunk(whole) + LAST_CHUNK))) as server, driver(kind, server.url) as drive:
        stream = drive.open(getattr(drive.client, view)("Hi"))
        if ERROR in whole:
            with pytest.raises(ServerError):
                drive.run(stream.until_done())
        else:
            assert drive.run(stream.until_done()).text == "Hello"


@both
def test_head_alone_does_not_open_a_stream(kind: str) -> None:
    """A comment does not open it either, and a connection that ends before an event is an error of open()."""

    def chat(peer: Peer, _: Received) -> None:
        peer.send(HEAD + chunk(b": hi\n\n"))
        peer.close()

    with Server(site(chat)) as server, driver(kind, server.url) as drive, pytest.raises(Truncated):
        drive.open(drive.client.stream("Hi"))


REFUSALS = {
    "an HTTP status": (BUSY, StatusError, 429),
    "an error event": (HEAD + chunk(ERROR) + LAST_CHUNK, ServerError, 200),
    "JSON": (json_response({"success": False, "message": "No."}), ServerError, 200),
    "a page": (response(b"<h1>Bad gateway</h1>", "502 Bad Gateway", Content_Type="text/html"), StatusError, 502),
}


@both
@pytest.mark.parametrize("refusal", REFUSALS)
def test_refused_stream_raises_again_has_no_items_and_frees_its_connection(kind: str, refusal: str) -> None:
    answer, error, status = REFUSALS[refusal]
    with Server(site(says(answer))) as server, driver(kind, server.url, retries=0) as drive:
        stream = drive.client.stream("Hi")
        for _ in range(2):
            with pytest.raises(error):
                drive.open(stream)
        assert drive.list(stream) == []
        with pytest.raises(error):
            drive.run(stream.until_done())
        assert stream.response.status == status
        with pytest.raises(error):
            drive.open(drive.client.stream("Hi"))
        assert server.connections == 1


@both
@pytest.mark.parametrize("total", [1, 19.9])
def test_refusal_is_raised_at_once_if_the_total_time_ends_before_its_retry(kind: str, total: float) -> None:
    """The test would wait otherwise. The error of the site tells more than a time limit."""
    answer = json_response({"code": "busy", "message": "Later."}, "429 Too Many Requests", Retry_After="20")
    options = {"timeout": Timeout(total=total)}
    with Server(site(says(answer))) as server, driver(kind, server.url, **options) as drive:
        stream = drive.client.stream("Hi")
        with pytest.raises(RateLimited) as caught:
            drive.open(stream)
        assert (caught.value.http_status, caught.value.retry_after) == (429, 20.0)
        assert caught.value.url.endswith("/chats/submit")
        assert server.seen() == ["start_session", "submit"]


@both
def test_refused_session_is_raised_at_once_if_the_total_time_ends_before_its_retry(kind: str) -> None:
    def script(peer: Peer) -> None:
        for _ in peer.requests():
            peer.send(json_response({"code": "busy"}, "429 Too Many Requests", Retry_After="20"))

    with Server(script) as server, driver(kind, server.url, timeout=Timeout(total=5)) as drive:
        with pytest.raises(RateLimited):
            drive.open(drive.client.stream("Hi"))
        assert server.seen() == ["start_session"]


@both
@pytest.mark.parametrize("read_first", [0, 1])
def test_until_done_of_a_stream_that_was_closed_before_its_end_raises(kind: str, read_first: int) -> None:
    """Also if the whole answer had arrived: it must not depend on timing."""
    with serve_site() as server, driver(kind, server.url) as drive:
        stream = drive.open(drive.client.stream("Hello"))
        for _ in range(read_first):
            drive.next(stream)
        drive.run(stream.close())
        with pytest.raises(InvalidState, match="closed before its end"):
            drive.run(stream.until_done())


@both
def test_closed_stream_cannot_be_opened(kind: str) -> None:
    with Server(site(says(HEAD + chunk(live("Hel"), live("lo"), end("Hello")) + LAST_CHUNK))) as server:
        with driver(kind, server.url) as drive:
            unused = drive.client.stream("Hi")
            drive.run(unused.close())
            begun = drive.open(drive.client.stream("Hi"))
            assert drive.next(begun) == "Hel"
            drive.run(begun.close())
            for stream, text in ((unused, ""), (begun, begun.text)):
                with pytest.raises(InvalidState, match="this stream is closed") as caught:
                    drive.open(stream)
                assert caught.value.partial_text == text
            with pytest.raises(InvalidState, match="closed before its end"):
                drive.run(unused.until_done())
        assert server.seen() == ["start_session", "submit"], "the unused stream sent nothing"


@both
def test_wrong_call_raises_the_same_error_each_time(kind: str) -> None:
    """Otherwise a second try would look like an answer without text."""
    with Server(site(says())) as server, driver(kind, server.url) as drive:
        stream = drive.client.stream("Hi")
        drive.client.session.nonce = "two words"
        for read in (drive.open, drive.open, drive.list, lambda it: drive.run(it.until_done())):
            with pytest.raises(InvalidInput, match=r"session\.nonce"):
                read(stream)
        assert server.seen() == []


def test_interrupted_stream_says_so_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C arrives in the middle of a step."""

    def chat(peer: Peer, _: Received) -> None:
        peer.send(HEAD + chunk(live("You")))
        peer.wait_for_close()

    with Server(site(chat)) as server, Client(server.url) as client:
        stream = client.stream("Hello")
        assert next(stream) == "You"

        def interrupted() -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(stream, "_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(stream)
        for read in (stream.open, stream.until_done, lambda: next(stream)):
            with pytest.raises(InvalidState, match="interrupted, so it is not whole") as caught:
                read()
            assert caught.value.partial_text == stream.text


def test_whole_answer_stays_whole_if_the_wait_for_the_end_of_its_connection_is_cancelled() -> None:
    def chat(peer: Peer, _: Received) -> None:
        peer.send(HEAD + chunk(live("Hi"), end("Hi")))
        peer.wait_for_close()

    async def main(url: str) -> None:
        async with AsyncClient(url) as client:
            stream = client.stream("Hi")
            assert await anext(stream) == "Hi"
            reading = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            assert (await stream.until_done()).text == "Hi"
            assert await stream.open() is stream

    with Server(site(chat)) as server:
        asyncio.run(main(server.url))


def test_stream_that_another_thread_closes_while_it_opens_raises_invalid_state() -> None:
    arrived = threading.Event()

    def chat(peer: Peer, _: Received) -> None:
        arrived.set()
        peer.wait_for_close()

    with Server(site(chat)) as server, Client(server.url) as client:
        stream = client.stream("Hi")
        closing = threading.Thread(target=lambda: (arrived.wait(10), stream.close()))
        closing.start()
        with pytest.raises(InvalidState, match="closed"):
            stream.open()
        closing.join()


def test_async_stream_that_is_closed_or_cancelled_while_it_opens() -> None:
    arrived = threading.Event()

    def chat(peer: Peer, _: Received) -> None:
        arrived.set()
        peer.wait_for_close()

    async def main(url: str, end_it: str) -> None:
        async with AsyncClient(url) as client:
            stream = client.stream("Hi")
            opening = asyncio.create_task(stream.open())
            await asyncio.to_thread(arrived.wait, 10)
            arrived.clear()
            if end_it == "close":
                await stream.aclose()
            else:
                opening.cancel()
            outcome = (await asyncio.gather(opening, return_exceptions=True))[0]
            assert isinstance(outcome, InvalidState if end_it == "close" else asyncio.CancelledError)
            with pytest.raises(InvalidState, match="closed" if end_it == "close" else "cancelled"):
                await stream.open()

    with Server(site(chat)) as server:
        asyncio.run(main(server.url, "close"))
        asyncio.run(main(server.url, "cancel"))


def test_await_opens_an_async_stream() -> None:
    async def main(url: str) -> None:
        async with AsyncClient(url) as client:
            lazy = client.stream("Hello")
            assert inspect.isawaitable(lazy)
            stream = await lazy
            assert stream is lazy
            assert stream.response is not None
            assert "".join([piece async for piece in stream]) == "You said: Hello"
            async with await client.stream("Bye") as other:
                assert (await other.until_done()).text == "You said: Bye"

    with serve_site() as server:
        asyncio.run(main(server.url))


@both
def test_iteration_after_open_gives_every_event(kind: str) -> None:
    with serve_site() as server, driver(kind, server.url) as drive:
        events = drive.list(drive.open(drive.client.events("Hello")))
        assert "".join(event.text for event in events if isinstance(event, Text)) == "You said: Hello"
        assert isinstance(events[-1], Done)


@both
@pytest.mark.parametrize("read", [0, 1, 99])
@pytest.mark.parametrize("opened", [False, True])
def test_until_done_returns_the_reply_at_any_time(kind: str, opened: bool, read: int) -> None:
    with serve_site() as server, driver(kind, server.url) as drive:
        stream = drive.client.stream("Hello")
        if opened:
            drive.open(stream)
        for _ in range(min(read, 3)):
            drive.next(stream)
        if read == 99:
            drive.list(stream)
        reply = drive.run(stream.until_done())
        assert reply is stream.reply
        assert reply.text == "You said: Hello"
        assert drive.run(stream.until_done()) is reply


@both
def test_turn_of_a_conversation_is_recorded_when_its_opened_stream_is_read(kind: str) -> None:
    with serve_site() as server, driver(kind, server.url) as drive:
        conversation = drive.client.conversation()
        stream = drive.open(conversation.stream("Hello"))
        assert conversation.messages == []
        drive.run(stream.until_done())
        assert [message["content"] for message in conversation.messages] == ["Hello", "You said: Hello"]


@both
class TestResponse:
    """``stream.response``."""

    def test_response_is_that_of_the_question_and_not_of_the_session(self, kind: str) -> None:
        answer = stream_head(X_Test="1", Set_Cookie="a=b", X_WP_Nonce="0123456789") + chunk(live("Hi"), end("Hi"))
        with Server(site(says(answer + LAST_CHUNK))) as server, driver(kind, server.url) as drive:
            stream = drive.client.stream("Hi")
            assert stream.response is None
            drive.open(stream)
            head = stream.response
            assert isinstance(head, ResponseInfo)
            assert head.status == 200
            assert head.url.endswith("/mwai-ui/v1/chats/submit")
            assert head.headers["x-test"] == "1"
            assert not {"set-cookie", "x-wp-nonce"} & set(head.headers)
            assert "x-test" not in repr(head)

    def test_seconds_to_the_first_piece_are_none_until_there_is_one(self, kind: str) -> None:
        gate = Gate()

        def chat(peer: Peer, _: Received) -> None:
            peer.send(HEAD + chunk(NOTICE))
            gate.wait()
            peer.send(chunk(live("Hi"), end("Hi")) + LAST_CHUNK)

        with Server(site(chat)) as server, driver(kind, server.url) as drive:
            events = drive.open(drive.client.events("Hi"))
            assert isinstance(drive.next(events), Notice)
            assert events.response.seconds_to_head >= 0
            assert events.response.seconds_to_first_piece is None
            gate.open()
            drive.list(events)
            assert events.response.seconds_to_first_piece > events.response.seconds_to_head

    def test_response_is_that_of_the_last_try(self, kind: str) -> None:
        answers = [json_response({}, "503 Service Unavailable", Retry_After="0"), HEAD + chunk(end("Hi")) + LAST_CHUNK]
        with Server(site(lambda peer, _: peer.send(answers.pop(0)))) as server, driver(kind, server.url) as drive:
            stream = drive.client.stream("Hi")
            drive.run(stream.until_done())
            assert stream.response.status == 200

    def test_last_try_without_a_response_has_none(self, kind: str) -> None:
        busy = json_response({}, "503 Service Unavailable", Retry_After="0")

        def chat(peer: Peer, _: Received) -> None:
            if len(server.requests) == 2:
                peer.send(busy)
            else:
                peer.close()

        with Server(site(chat)) as server, driver(kind, server.url, retries=1) as drive:
            stream = drive.client.stream("Hi")
            with pytest.raises(ChatError):
                drive.open(stream)
            assert stream.response is None

    def test_failed_search_for_a_nonce_has_no_response(self, kind: str) -> None:
        def script(peer: Peer) -> None:
            for _ in peer.requests():
                peer.send(BUSY)

        with Server(script) as server, driver(kind, server.url, retries=0) as drive:
            stream = drive.client.stream("Hi")
            with pytest.raises(StatusError):
                drive.open(stream)
            assert stream.response is None
