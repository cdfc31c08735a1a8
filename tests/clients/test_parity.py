"""Servers of every kind, and the one outcome that both clients must have for each."""

import inspect
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from chatgpt4online import (
    AsyncClient,
    Client,
    Done,
    Failed,
    NotAiEngine,
    Notice,
    Reply,
    Text,
)

from ..support import recordings
from ..support.adapters import ADAPTERS, Ask
from ..support.behaviours import BEHAVIOURS, HELLO, Behaviour
from ..support.recordings import expected_events
from ..support.server import (
    LAST_CHUNK,
    Gate,
    Peer,
    Received,
    Server,
    chunk,
    end,
    live,
    says,
    site,
    stream_head,
)

pytestmark = pytest.mark.parametrize("ask", ADAPTERS.values(), ids=ADAPTERS)


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.name)
def test_both_clients_have_the_expected_outcome(ask: Ask, behaviour: Behaviour) -> None:
    with Server(behaviour.make()) as server:
        seen = ask(server.url, "stream", **behaviour.options)
        assert server.seen() == list(behaviour.routes)
        assert behaviour.connections in (None, server.connections)
    if behaviour.error is None:
        assert seen.error is None
    else:
        assert isinstance(seen.error, behaviour.error), repr(seen.error)
        assert seen.error.partial_text == behaviour.text
        assert behaviour.says in str(seen.error)
    assert "".join(seen.items) == seen.text == behaviour.text


def is_page(name: str) -> bool:
    """Return whether an answer is a page in place of the API.

    Such an answer starts a search, which test_discovery covers.
    """
    last = expected_events(name)[-1]
    return isinstance(last, Failed) and isinstance(last.error, NotAiEngine) and not last.error.code


@pytest.mark.parametrize("name", [name for name in recordings.names() if not is_page(name)])
def test_recorded_response_over_a_socket_gives_the_events_of_its_body(ask: Ask, name: str) -> None:
    """The bytes arrive in the reads of the recording."""
    recording, expected = recordings.load(name), expected_events(name)

    def chat(peer: Peer, _: Received) -> None:
        peer.send(*recordings.recorded_reads(name))
        if recording.notes["ended_by"].startswith("FIN"):
            peer.close()

    with Server(site(chat)) as server:
        seen = ask(server.url, retries=0, chat_id="mine").events
    assert seen[:-1] == expected[:-1]
    if isinstance(expected[-1], Done):
        expected[-1].reply.chat_id = "mine"
        assert seen[-1] == expected[-1]
    else:
        assert isinstance(seen[-1], Failed)
        assert isinstance(expected[-1], Failed)
        for attribute in ("__class__", "partial_text", "status", "code", "message", "retry_after"):
            assert getattr(seen[-1].error, attribute, None) == getattr(expected[-1].error, attribute, None)


def _flushed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)
    for piece in pieces:
        yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


THINKING = Notice("thinking", "Hm", "collapsed", {"a": 1}, 1.5)
NO_TEXT: dict[str, tuple[list[bytes], list[Notice], dict[str, Any]]] = {
    "an empty text": ([end("", other=1)], [], {"success": True, "reply": "", "other": 1}),
    "no final object": ([b'data: {"type":"end","data":false}\n\n'], [], {}),
    "a text of another type": ([end(5)], [Notice("malformed", "reply")], {"success": True, "reply": 5}),
    "a text that is not encoded": ([b"data: \n\n", end(None)], [Notice("malformed")], {"success": True, "reply": None}),
    "an event that is not JSON": (
        [b"data: oops\n\n", end()],
        [Notice("malformed", "oops")],
        {"success": True, "reply": ""},
    ),
    "thinking": (
        [live("Hm", subtype="thinking", visibility="collapsed", metadata={"a": 1}, timestamp=1.5), end()],
        [THINKING],
        {"success": True, "reply": ""},
    ),
}


@pytest.mark.parametrize("name", NO_TEXT)
def test_answer_without_text_is_an_empty_reply_after_notices(ask: Ask, name: str) -> None:
    sent, notices, raw = NO_TEXT[name]
    with Server(site(says(stream_head(), chunk(*sent), LAST_CHUNK))) as server:
        seen = ask(server.url, chat_id="mine").events
    assert seen == [*notices, Done(Reply("", chat_id="mine", raw=raw))]


FRAMINGS = {
    "chunked": (stream_head(), [chunk(piece) for piece in HELLO]),
    "chunked, the blank line apart": (stream_head(), [chunk(piece[:-2], b"\n\n") for piece in HELLO]),
    "one chunk for all": (
        stream_head() + b"%x\r\n" % sum(map(len, HELLO)),
        list(HELLO),
    ),
    "with a length": (stream_head(f"Content-Length: {sum(map(len, HELLO))}"), list(HELLO)),
    "until close": (stream_head(""), list(HELLO)),
    "gzip": (stream_head(Content_Encoding="gzip"), [chunk(piece) for piece in _flushed(HELLO)]),
}


@pytest.mark.parametrize("framing", FRAMINGS)
def test_event_is_returned_before_the_server_sends_the_next(ask: Ask, framing: str) -> None:
    head, pieces = FRAMINGS[framing]
    gate = Gate()

    def chat(peer: Peer, _: Received) -> None:
        peer.send(head)
        for piece in pieces[:3]:
            peer.send(piece)
            gate.wait()
        peer.wait_for_close()

    with Server(site(chat)) as server:
        seen = ask(server.url, shown=lambda event: gate.open())
    assert [type(event) for event in seen.items] == [Text, Text, Done]


class TestSignatures:
    """The parameters of both clients have the same names, order and defaults."""

    def test_methods_of_both_clients_have_the_same_parameters(self, ask: Ask) -> None:
        del ask
        public = [
            name for name, member in vars(Client).items() if inspect.isfunction(member) and not name.startswith("_")
        ]
        for name in [*public, "__init__"]:
            ours, theirs = (inspect.signature(getattr(kind, name)) for kind in (Client, AsyncClient))
            assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == [
                (p.name, p.kind, p.default) for p in theirs.parameters.values()
            ], name
