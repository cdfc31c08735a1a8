"""Bodies become events: properties that hold for every body, then each quirk of the protocol."""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chatgpt4online.protocol.parsing.errors import (
    ChatError,
    InvalidInput,
    InvalidState,
    ServerError,
    StatusError,
    TooLarge,
    Truncated,
)
from chatgpt4online.protocol.parsing.events import (
    Action,
    Block,
    Done,
    Event,
    Failed,
    Notice,
    Reply,
    Shortcut,
    Text,
    Usage,
)
from chatgpt4online.protocol.parsing.parser import DEFAULT_LIMIT, DEFAULT_TEXT_LIMIT, EventParser

from ..support.reference import as_tuples, reference
from ..support.strategies import (
    FATAL,
    RARE,
    STALE,
    bodies,
    cut,
    cut_bodies,
    end,
    error,
    header_sets,
    limits,
    line,
    live,
    php,
    statuses,
    texts,
    values,
)

BOM = b"\xef\xbb\xbf"
NAMES = sorted(RARE)
FILLERS = [b"", b" ", b": ping", b":", b": {", b"event: message", b"event: {}", b"id: 17", b"id:", b"retry: 3000", BOM]


def parse(*pieces: bytes, **options: Any) -> list[Event]:
    """Return the events of a body that comes in pieces."""
    parser = EventParser(**options)
    events: list[Event] = []
    for piece in pieces:
        events += parser.receive_data(piece)
    return events + parser.receive_eof()


def sizes(event_limit: int | None, body_limit: int | None, text_limit: int | None = None) -> dict[str, Any]:
    return {
        "max_event_size": event_limit or DEFAULT_LIMIT,
        "max_body_size": body_limit or DEFAULT_LIMIT,
        "max_text_size": text_limit or DEFAULT_TEXT_LIMIT,
    }


def assert_prefix_equation(pieces: list[bytes], **options: Any) -> None:
    """After each piece, the events so far are those of a fresh parser that gets the same bytes at once."""
    parser, events, fed = EventParser(**options), [], b""
    for piece in pieces:
        events += parser.receive_data(piece)
        fed += piece
        fresh = EventParser(**options)
        assert as_tuples(events) == as_tuples(fresh.receive_data(fed))
        assert parser.text == fresh.text
    assert as_tuples(events + parser.receive_eof()) == as_tuples(parse(fed, **options))


class TestForAnyBody:
    """Properties that hold for every body."""

    @settings(max_examples=300)
    @given(cut_bodies(), limits, limits, limits)
    @example([b"x" * 62 + b"\n" + b"dat", b'a: {"type":"live","data":"x"}\n'], None, 64, None)
    @example([b"y" * 60 + b"\nd", b"a", b"t", b"a: \n"], None, 64, None)
    @example([BOM + b"x" * 61, b"\n"], None, 64, None)
    @example([b"x" * 64, b"\r", b"\n", b"\r\n"], None, 64, None)
    @example([RARE["thinking"], b"\n", b"\n"], None, None, None)
    @example([b"<br />\n", RARE["thinking"], b"\n\n"], None, None, None)
    @example([b"x" * 65, b"\n"], None, 64, None)
    @example([live("a"), b"\n", live("x" * 60), b"\n\n"], 64, None, None)
    @example([b"a\n" * 31 + live("b"), b"\n", b"a\n" * 40], 100, 64, None)
    @example([b"\xff" * 40, b"\xff" * 24, b"\n"], None, 64, None)
    @example(["é".encode() * 32 + b"\n", b"e\n", b"e"], None, 64, None)
    @example([b"Notice: x on line 3", live("a") + b"\n", b"x" * 45, live("b"), b"\n"], None, 64, None)
    @example([b"Notice: x on line 3" + live("a")[:9], live("a")[9:], b"\n"], None, 64, None)
    @example([b"x" * 40 + b"\n ", live(""), b"\n"], None, 64, None)
    @example([b"data: ", b"\n", b" data: ", b"\r", b"data:"], None, None, None)
    @example([RARE["end, lists as objects"], b"\n"], None, None, None)
    @example([RARE["end, everything a number"], b"\n"], None, None, None)
    @example(
        [live("x" * 40) + b"\n\n", live("x" * 24) + b"\n\n", live("") + b"\n\n" + live("x"), b"\n"], None, None, 64
    )
    @example([(live("x" * 7) + b"\n\n") * 5, (live("\xe9" * 4) + b"\n\n") * 9], None, None, 64)
    @example([live("x" * 40) + b"\n\n", end(reply="x" * 65), b"\n"], None, None, 64)
    @example([end(reply="\xe9" * 33), b"\n"], None, None, 64)
    @example([RARE["plain, lone surrogate"] + b"\n\n" + live("x" * 62) + b"\n", b"\n"], None, None, 64)
    def test_cuts_change_no_event(
        self, pieces: list[bytes], event_limit: int | None, body_limit: int | None, text_limit: int | None
    ) -> None:
        """Cuts change neither events, nor limits, nor the moment when an event is returned."""
        assert_prefix_equation(pieces, **sizes(event_limit, body_limit, text_limit))

    @given(cut_bodies(), statuses, header_sets)
    def test_cuts_change_no_event_of_a_refusal(self, pieces: list[bytes], status: int, headers: dict[str, str]) -> None:
        """Status and headers are drawn too."""
        assert_prefix_equation(pieces, status=status, headers=headers)

    @pytest.mark.parametrize("ending", [b"\n\n", b"\r\n\r\n", b"\r", b" \n", b""])
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.slow
    def test_cuts_change_no_event_of_a_rare_line(self, name: str, ending: bytes) -> None:
        """Each rare line is between two events, cut near its ends and byte by byte."""
        body = live("before") + b"\n\n" + RARE[name] + ending + live("after") + b"\n\n" + end(reply=None) + b"\n\n"
        around = {len(live("before")) + 2 + delta for delta in range(-2, 9)}
        around |= {len(body) - len(live("after") + end(reply=None)) - 4 + delta for delta in range(-5, 3)}
        for place in sorted(around):
            assert_prefix_equation([body[:place], body[place:]])
        assert_prefix_equation([RARE[name] + ending, live("after") + b"\n\n"])
        assert_prefix_equation([b"<br />\n", RARE[name] + ending, b"<br />\n"])
        if len(body) < 1000:
            assert_prefix_equation(cut(body, [1]))
            assert_prefix_equation(cut(RARE[name] + ending, [1]))
            for place in range(len(body)):
                assert_prefix_equation([body[:place], body[place:]])

    @settings(max_examples=300)
    @given(bodies())
    def test_events_equal_those_of_the_reference(self, body: bytes) -> None:
        assert_equals_reference(body)

    @pytest.mark.parametrize("ending", [b"\n\n", b"\r\n", b"\r", b""])
    @pytest.mark.parametrize("name", NAMES)
    def test_events_of_a_rare_line_equal_those_of_the_reference(self, name: str, ending: bytes) -> None:
        """Each rare line is alone, behind a text, and before a text and an end."""
        assert_equals_reference(RARE[name] + ending)
        assert_equals_reference(live("before") + b"\n\n" + RARE[name] + ending)
        assert_equals_reference(RARE[name] + ending + live("after") + b"\n\n" + end(reply="end") + b"\n\n")
        assert_equals_reference(BOM + b"<br />\n" + RARE[name] + ending + RARE["fatal"] + b"\n")

    @given(bodies(), st.integers(64, 200), st.lists(texts, max_size=30))
    @example(end(reply="\xe9" * 33) + b"\n", 65, [])
    @example(end(reply="a" * 65) + b"\n", 64, ["b"])
    def test_text_limit_ends_the_answer_where_the_reference_says(
        self, body: bytes, limit: int, said: list[str]
    ) -> None:
        """The answer ends before the first text that exceeds the limit."""
        body = b"".join(live(text) + b"\n\n" for text in said) + body
        found = as_tuples(parse(body, max_text_size=limit))
        unlimited = as_tuples(parse(body))
        size, expected = 0, []
        for entry in unlimited:
            size += utf8_size(entry[1]) if entry[0] == "text" else 0
            if size > limit or (entry[0] == "done" and utf8_size(entry[1]) > limit):
                break
            expected.append(entry)
        if len(expected) == len(unlimited):
            assert found == unlimited
            return
        kind, error, message, partial = found[-1]
        assert (kind, error) == ("failed", TooLarge)
        assert f"larger than {limit} bytes" in message
        assert "max_text_size" in message
        assert partial == "".join(entry[1] for entry in expected if entry[0] == "text")
        assert found[:-1] == expected[: len(found) - 1]
        assert all(entry[1] == "malformed" for entry in expected[len(found) - 1 :])  # each names a field

    @settings(max_examples=200)
    @given(st.one_of(cut_bodies(), st.lists(st.binary(max_size=30), max_size=8)), statuses, header_sets, limits, limits)
    @example([b"data: " + b"[" * 100_000 + b"\n"], 200, {}, None, None)
    @example([b"{" * 5000], 403, {}, None, None)
    @example([b"<script" * 2000], 200, {}, None, None)
    @example([RARE["refusal with a reference of 4301 digits"]], 403, {}, None, None)
    @example([b"<title>&#" + b"9" * 4301 + b";</title>"], 503, {}, None, None)
    @example([], 429, {"Retry-After": "99999999999999999999"}, None, None)
    @pytest.mark.slow
    def test_no_body_raises_and_each_ends_once(
        self, pieces: list[bytes], status: int, headers: dict[str, str], event_limit: int | None, body_limit: int | None
    ) -> None:
        """Exactly one Done or Failed is returned, as the last event."""
        options = {"status": status, "headers": headers, **sizes(event_limit, body_limit)}
        events = parse(*pieces, **options)
        assert [isinstance(event, Done | Failed) for event in events] == [False] * (len(events) - 1) + [True]
        said = "".join(event.text for event in events if isinstance(event, Text))
        if isinstance(events[-1], Failed):
            assert events[-1].error.partial_text == said
            assert str(events[-1].error)
            repr(events[-1].error)
        else:
            assert isinstance(events[-1], Done)
            assert isinstance(events[-1].reply, Reply)

    @given(cut_bodies(), limits, limits)
    def test_held_bytes_are_within_the_limits(
        self, pieces: list[bytes], event_limit: int | None, body_limit: int | None
    ) -> None:
        """Between two calls, the parser holds one unfinished line and one body."""
        options = sizes(event_limit or 64, body_limit or 64)
        parser = EventParser(**options)
        for piece in pieces:
            events = parser.receive_data(piece)
            held, others = bytes(parser._lines.held), parser._non_events.getvalue()
            assert len(held) <= options["max_event_size" if held.startswith(b"data:") else "max_body_size"]
            assert len(others) <= options["max_body_size"] + 1  # one more for the end of its last line
            assert "data:" not in [other[:5] for other in others.split("\n")]
            if any(isinstance(event, Done | Failed) for event in events):
                assert (held, others) == (b"", "")

    @given(
        st.lists(st.tuples(texts, st.booleans(), st.sampled_from([b"\n", b"\r", b"\r\n"]), st.integers(1, 3))),
        st.lists(st.integers(1, 50), min_size=1, max_size=4),
        texts,
    )
    @example([("a\r\nb\u2028\ufeff", False, b"\r", 1), ("", True, b"\r\n", 2)], [1], "")
    @example([("\u0085", False, b"\n", 2), ("😀", True, b"\n", 2)], [7], "😀")
    def test_texts_survive_encoding_and_cuts(
        self, said: list[tuple[str, bool, bytes, int]], rhythm: list[int], reply: str
    ) -> None:
        """Any encoding by a server and any cut by a network gives the same texts."""
        body = b"".join(
            line({"type": "live", "data": text}, ascii_only=ascii_only) + ending * times
            for text, ascii_only, ending, times in said
        )
        *pieces, last = parse(*cut(body + end(reply=reply) + b"\n\n", rhythm))
        expected = [text for text, *_ in said]
        streamed = "".join(expected)
        if reply and not streamed:
            expected = [*expected, reply]
        assert pieces == [Text(text) for text in expected]
        assert isinstance(last, Done)
        assert last.reply.text == (reply or streamed)

    @given(st.lists(st.sampled_from(FILLERS)), st.lists(st.integers(1, 50), min_size=1, max_size=4))
    def test_lines_without_meaning_change_nothing(self, fillers: list[bytes], rhythm: list[int]) -> None:
        """They count for no limit. The error shows the other lines behind the last event."""
        said = [live("a"), b"Warning: x", live("b", subtype="status"), b"Warning: y", b"Warning: z"]
        filler = b"".join(each + b"\n" for each in fillers)
        body = b"".join(filler + each + b"\n" for each in said) + filler
        *found, last = parse(*cut(body, rhythm), max_body_size=64)
        assert found == [Text("a"), Notice("status", "b")]
        assert isinstance(last, Failed)
        assert str(last.error).endswith("the last text from the site was: Warning: y Warning: z")

    @given(st.lists(st.tuples(texts.filter(bool), values, st.dictionaries(texts, values, max_size=2)), max_size=5))
    def test_notices_survive_encoding(self, said: list[tuple[str, Any, dict[str, Any]]]) -> None:
        """Kind, data and metadata are drawn."""
        said = [item for item in said if item[0] != "content"]
        body = b"".join(live(data, subtype=kind, metadata=metadata) + b"\n\n" for kind, data, metadata in said)
        notices = [event for event in parse(body)[:-1] if isinstance(event, Notice)]
        assert [notice.kind for notice in notices] == [kind for kind, _, _ in said]
        assert [notice.metadata for notice in notices] == [metadata for _, _, metadata in said]
        for notice, (_, data, _) in zip(notices, said, strict=True):
            expected = data if isinstance(data, str) else "" if data is None else json.dumps(data, ensure_ascii=False)
            assert notice.text == expected


def utf8_size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def assert_equals_reference(body: bytes) -> None:
    """Compare the parser with the reference, where None means that a message is not checked."""
    *found, last = as_tuples(parse(body))
    *expected, outcome = [
        tuple("nan" if item != item else item for item in entry)  # noqa: PLR0124  # NaN
        for entry in reference(body)
    ]
    assert found == expected
    if outcome[0] == "done":
        assert last[:3] == outcome
        return
    kind, name, message, partial = outcome
    assert last[0] == kind
    assert name in [ancestor.__name__ for ancestor in last[1].__mro__]
    assert last[3] == partial
    if message is not None:
        assert last[2] == message


def state_of(parser: EventParser) -> dict[str, Any]:
    """Return the whole state of a parser as values."""
    return vars(parser) | {
        "_lines": bytes(parser._lines.held),
        "_text": parser.text,
        "_non_events": parser._non_events.getvalue(),
    }


class ParserMachine(RuleBasedStateMachine):
    """Calls in any order keep the parser valid, and a wrong call changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.parser = EventParser(max_event_size=128, max_body_size=96)
        self.events: list[Event] = []
        self.ended = False

    @rule(data=st.one_of(bodies(max_lines=3), st.sampled_from(list(RARE.values())), st.just(b"")))
    def receive_data(self, data: bytes) -> None:
        if self.ended:
            before = state_of(self.parser)
            with pytest.raises(InvalidState):
                self.parser.receive_data(data)
            assert state_of(self.parser) == before
        else:
            over = self.over
            events = self.parser.receive_data(data)
            assert not (over and events)
            self.events += events

    @rule(data=st.sampled_from(["text", None, 3, ["data"]]))
    def receive_other_types(self, data: Any) -> None:
        before = state_of(self.parser)
        with pytest.raises((InvalidInput, InvalidState)):
            self.parser.receive_data(data)
        assert state_of(self.parser) == before

    @rule()
    def receive_eof(self) -> None:
        if self.ended:
            before = state_of(self.parser)
            with pytest.raises(InvalidState):
                self.parser.receive_eof()
            assert state_of(self.parser) == before
        else:
            self.events += self.parser.receive_eof()
            self.ended = True

    @property
    def over(self) -> bool:
        return any(isinstance(event, Done | Failed) for event in self.events)

    @invariant()
    def is_legal(self) -> None:
        ends = [number for number, event in enumerate(self.events) if isinstance(event, Done | Failed)]
        assert ends in ([], [len(self.events) - 1])
        assert ends or not self.ended
        assert self.parser.text == "".join(event.text for event in self.events if isinstance(event, Text))
        assert repr(self.parser) == (
            f"<EventParser {'over' if self.over else 'open'}, {len(self.parser.text)} characters of text>"
        )


TestParserMachine = ParserMachine.TestCase


def notice(kind: str, text: str = "", **more: Any) -> Notice:
    return Notice(kind, text, **more)


def malformed(beginning: str) -> Notice:
    return Notice("malformed", beginning)


QUIRKS: dict[str, tuple[bytes, list[Event]]] = {
    # Sections 2.2 and 2.3: which events are text.
    "live": (live("Hi"), [Text("Hi")]),
    "live, empty": (live(""), [Text("")]),
    "live, null": (live(None), []),
    "live, no data": (line({"type": "live"}), []),
    "live, not a string": (live(["a"]), [malformed('{"type":"live","data":["a"]}')]),
    "live, content": (live("Hi", subtype="content", timestamp=1.5), [Text("Hi")]),
    "live, subtype null": (live("Hi", subtype=None), [Text("Hi")]),
    "live, subtype empty": (live("Hi", subtype=""), [Text("Hi")]),
    "embeddings": (
        live("Found 2", timestamp=1795400129.12, subtype="embeddings", visibility="visible", metadata={"count": 2}),
        [notice("embeddings", "Found 2", visibility="visible", metadata={"count": 2}, timestamp=1795400129.12)],
    ),
    "unknown subtype": (live("x", subtype="brand_new"), [notice("brand_new", "x")]),
    "subtype of another type": (live("x", subtype=["a"]), [notice('["a"]', "x")]),
    "subtype, data null": (live(None, subtype="heartbeat"), [notice("heartbeat")]),
    "subtype, data an object": (live({"é": 1}, subtype="debug"), [notice("debug", '{"é": 1}')]),
    "metadata as PHP's empty array": (live("x", subtype="status", metadata=[]), [notice("status", "x")]),
    "visibility null": (live("x", subtype="status", visibility=None), [notice("status", "x")]),
    "timestamp an integer": (live("x", subtype="status", timestamp=3), [notice("status", "x", timestamp=3.0)]),
    "timestamp a string": (live("x", subtype="status", timestamp="3"), [notice("status", "x")]),
    "timestamp true": (live("x", subtype="status", timestamp=True), [notice("status", "x")]),
    "timestamp beyond floats": (RARE["timestamp huge"], [notice("status", "a")]),
    "timestamp NaN": (RARE["timestamp NaN"], [notice("status", "a")]),
    "timestamp infinite": (RARE["timestamp infinite"], [notice("status", "a")]),
    "timestamp negative": (RARE["timestamp negative"], [notice("status", "a", timestamp=-1.0)]),
    "unknown type": (
        line({"type": "usage", "data": {"a": 1}, "more": [1]}),
        [notice("usage", '{"a": 1}', metadata={"more": [1]})],
    ),
    "unknown type, no data": (line({"type": "ping"}), [notice("ping")]),
    # Section 5, 2 and 3: the ways to write an event.
    "no space after the colon": (b'data:{"type":"live","data":"Hi"}', [Text("Hi")]),
    "two spaces": (b'data:  {"type":"live","data":"Hi"}', [Text("Hi")]),
    "white space behind": (live("Hi") + b" \t", [Text("Hi")]),
    "other spacing": (b'data: {"type": "live", "data": "Hi"}', [Text("Hi")]),
    "byte order mark": (BOM + live("Hi"), [Text("Hi")]),
    "a nonce in an event that is not JSON": (
        rb'data: {"type":"end","data":"{\"restNonce\":\"0123456789\",\"sessionId\":\"abc\"',
        [malformed(r'{"type":"end","data":"{\"restNonce\":\"***\",\"sessionId\":\"***\"')],
    ),
    "an API key in an event that is not JSON": (b"data: {sk-abcdefgh12345678}", [malformed("{sk-***}")]),
    "empty data": (b"data: ", [malformed("")]),
    "bare data:": (b"data:", [malformed("")]),
    "blanks as data": (b"data: \t ", [malformed("")]),
    "blanks before data": (b" \t" + live("Hi"), [Text("Hi")]),
    "byte order mark and a space before data": (BOM + b" " + live("Hi"), [Text("Hi")]),
    "a word before data": (b"debug" + live("Hi"), [Text("Hi")]),
    "a word before data, no space after the colon": (b'debugdata:{"type":"live","data":"Hi"}', [Text("Hi")]),
    "a word before data, blanks behind": (b"debug" + live("Hi") + b" \t", [Text("Hi")]),
    "a PHP notice before data": (b"Notice: x in y.php on line 3" + live("Hi"), [Text("Hi")]),
    "a PHP notice before a notice": (
        b"Notice: x in y.php on line 3" + line({"type": "usage", "data": "1", "more": 2}),
        [notice("usage", "1", metadata={"more": 2})],
    ),
    "a field before data": (b"event: message" + live("Hi"), [Text("Hi")]),
    "starts of events before data": (b"x data: {} data: { data:{" + live("Hi"), [Text("Hi")]),
    "a comment before data": (b": keepalive" + live("Hi"), []),
    "a word before data, text behind": (b"debug" + live("Hi") + b"x", []),
    "a word before data, not an event": (b'debugdata: {"data":"Hi"}', []),
    "a word before data, type a number": (b'debugdata: {"type":1}', []),
    "a word before data null": (b"debugdata: null", []),
    "a word before empty data": (b"debugdata: ", []),
    "a word before data, nested too deeply": (
        b'debugdata: {"type":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        [malformed('{"type":' + "[" * 192)],
    ),
    "a word before data, an integer beyond Python's limit": (
        b'debugdata: {"type":"live","n":' + b"9" * 5000 + b"}",
        [malformed('{"type":"live","n":' + "9" * 181)],
    ),
    "data null": (b"data: null", [malformed("null")]),
    "data of words": (b"data:  two", [malformed("two")]),
    "data without a space": (b"data:x", [malformed("x")]),
    "data a list": (b"data: [1]", [malformed("[1]")]),
    "data, JSON with no value": (b'data: {"type":}', [malformed('{"type":}')]),
    "data, two objects": (live("a") + b"{}", [malformed('{"type":"live","data":"a"}{}')]),
    "data, nested too deeply": (b"data: " + b"[" * 100_000, [malformed("[" * 200)]),
    "data, an integer beyond Python's limit": (
        b'data: {"type":"live","n":' + b"9" * 5000 + b"}",
        [malformed('{"type":"live","n":' + "9" * 181)],
    ),
    "no type": (line({"data": "a"}), [malformed('{"data":"a"}')]),
    "type not a string": (line({"type": 1}), [malformed('{"type":1}')]),
    "a long one": (b"data: " + b"x" * 300, [malformed("x" * 200)]),
    "comment": (b": keepalive", []),
    "other fields": (b"event: message\nid: 1\nretry: 2", []),
    "PHP warning": (b"<br />\n<b>Warning</b>:  x in <b>/y.php</b> on line <b>1</b><br />", []),
    "raw CR in an event": (b'data: {"type":"live",\r"data":"x"}', [malformed('{"type":"live",')]),
    "raw LF in an event": (b'data: {"type":"live",\n"data":"x"}', [malformed('{"type":"live",')]),
    # Section 5, 9.
    "U+2028, U+2029 and U+0085": (
        line({"type": "live", "data": "a\u2028b\u2029c\u0085d"}, ascii_only=False),
        [Text("a\u2028b\u2029c\u0085d")],
    ),
    "VT, FF, FS escaped": (live("a\x0b\x0c\x1cb"), [Text("a\x0b\x0c\x1cb")]),
    "surrogate pair": (b'data: {"type":"live","data":"\\ud83d\\ude00"}', [Text("😀")]),
    "bad UTF-8": (b'data: {"type":"live","data":"a\xffb"}', [Text("a\ufffdb")]),
    "cut UTF-8": (b'data: {"type":"live","data":"a\xe2\x82"}', [Text("a\ufffd")]),
    "NUL and DEL": (b'data: {"type":"live","data":"\\u0000\x7f"}', [Text("\0\x7f")]),
    "error, empty": (error("", timestamp=1.0), []),
}


@pytest.mark.parametrize("ending", [b"\n\n", b"\n", b"\r\n\r\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("name", QUIRKS)
def test_quirk_gives_its_events(name: str, ending: bytes) -> None:
    """The quirk is within a usual answer, which is read whole and byte by byte."""
    written, expected = QUIRKS[name]
    before = b"" if written.startswith(BOM) else live("1") + ending
    body = before + written + ending + live("2") + ending + end(reply="12") + ending
    events = [*([Text("1")] if before else []), *expected, Text("2")]
    for pieces in ([body], cut(body, [1]) if len(body) < 1000 else cut(body, [997])):
        *found, last = parse(*pieces)
        assert found == events
        assert last == Done(Reply("12", raw={"success": True, "reply": "12"}))


def done(text: str = "", **more: Any) -> Done:
    return Done(Reply(text, **more))


SUCCESS = {"success": True}
HI = {"success": True, "reply": "Hi"}
ENDS: dict[str, tuple[bytes, list[Event | ChatError]]] = {
    "text streamed": (live("Hi ") + b"\n\n" + end(reply="Hi"), [Text("Hi "), done("Hi", raw=HI)]),
    "text only in end": (end(reply="Hi"), [Text("Hi"), done("Hi", raw=HI)]),
    "only empty text streamed": (
        live("") + b"\n\n" + end(reply="Hi"),
        [Text(""), Text("Hi"), done("Hi", raw=HI)],
    ),
    "only notices streamed": (
        live("Hm", subtype="thinking") + b"\n\n" + end(reply="Hi"),
        [notice("thinking", "Hm"), Text("Hi"), done("Hi", raw=HI)],
    ),
    "last round only": (live("AB") + b"\n\n" + end(reply="B"), [Text("AB"), done("B", raw=SUCCESS | {"reply": "B"})]),
    "reply null": (live("Hi") + b"\n\n" + end(reply=None), [Text("Hi"), done("Hi", raw=SUCCESS | {"reply": None})]),
    "reply empty": (live("Hi") + b"\n\n" + end(reply=""), [Text("Hi"), done("Hi", raw=SUCCESS | {"reply": ""})]),
    "reply missing": (live("Hi") + b"\n\n" + end(), [Text("Hi"), done("Hi", raw=SUCCESS)]),
    "reply no string": (
        live("Hi") + b"\n\n" + end(reply=[1]),
        [Text("Hi"), malformed("reply"), done("Hi", raw=SUCCESS | {"reply": [1]})],
    ),
    "nothing at all": (end(reply=""), [done(raw=SUCCESS | {"reply": ""})]),
    "end false": (live("Hi") + b"\n\n" + RARE["end false"], [Text("Hi"), done("Hi")]),
    "end null": (
        live("Hi") + b"\n\n" + RARE["end null"],
        [Text("Hi"), malformed('{"type":"end","data":null}'), done("Hi")],
    ),
    "end without data": (RARE["end, no data"], [malformed('{"type":"end"}'), done()]),
    "end an object": (RARE["end object"], [Text("Hello"), done("Hello", raw=SUCCESS | {"reply": "Hello"})]),
    "end a list": (RARE["end list"], [malformed('{"type":"end","data":[1]}'), done()]),
    "end of broken JSON": (
        live("Hi") + b"\n\n" + line({"type": "end", "data": '{"reply":"'}),
        [Text("Hi"), malformed('{"type":"end","data":"{\\"reply\\":\\""}'), done("Hi")],
    ),
    "end, JSON with no value": (RARE["end, no value"], [malformed(RARE["end, no value"][6:].decode()), done()]),
    "end, JSON in white space": (
        RARE["end, JSON in spaces"],
        [Text("Hi"), done("Hi", raw=HI)],
    ),
    "end without success": (RARE["end, no success"], [Text("Hi"), done("Hi", raw={"reply": "Hi"})]),
    "end, success false": (live("Hi") + b"\n\n" + RARE["end, success false"], [Text("Hi"), ServerError("No.")]),
    "end, success null": (RARE["end, success null"], [ServerError('{"a": 1}')]),
    "end, success false, mute": (
        line({"type": "end", "data": '{"success":false}'}),
        [ServerError("the site reports a failure without a reason")],
    ),
    "end twice": (end(reply="A") + b"\n\n" + end(reply="B"), [Text("A"), done("A", raw=SUCCESS | {"reply": "A"})]),
    "text behind end": (end(reply="A") + b"\n\n" + live("B"), [Text("A"), done("A", raw=SUCCESS | {"reply": "A"})]),
    "comment behind end": (end(reply="A") + b"\n<!-- cached -->", [Text("A"), done("A", raw=SUCCESS | {"reply": "A"})]),
    "end, its line unfinished": (live("A") + b"\n\n" + end(), [Text("A"), done("A", raw=SUCCESS)]),
    "error": (live("Hi") + b"\n\n" + error("OpenAI: no"), [Text("Hi"), ServerError("OpenAI: no")]),
    "error in HTML": (error("You must <a href='/x'>log in</a> &amp; pay."), [ServerError("You must log in & pay.")]),
    "error, long": (error("x" * 400), [ServerError("x" * 300)]),
    "error an object": (error({"a": "é"}), [ServerError('{"a": "é"}')]),
    "error empty, then real": (error("") + b"\n\n" + error("quota"), [ServerError("quota")]),
    "error empty, then end": (
        error("") + b"\n\n" + end(reply="A"),
        [Text("A"), done("A", raw=SUCCESS | {"reply": "A"})],
    ),
    "error empty, then nothing": (
        live("A") + b"\n\n" + error(None),
        [Text("A"), ServerError("the site reported an error without a message")],
    ),
    "error with tags only": (error("<br />&nbsp;") + b"\n" + error("real"), [ServerError("real")]),
    "error twice": (error("first") + b"\n\n" + error("second"), [ServerError("first")]),
    "no end": (live("A"), [Text("A"), Truncated("the answer stopped before its end")]),
    "no end, an event cut": (
        live("A") + b"\n\n" + live("B")[:-3],
        [Text("A"), malformed('{"type":"live","data":"'), Truncated("the answer stopped before its end")],
    ),
    "no end, only a notice": (
        live("Hm", subtype="thinking"),
        [notice("thinking", "Hm"), Truncated("the answer stopped before its end")],
    ),
    "no end, only a comment": (b": keepalive\n\n", [Truncated("the site sent an empty answer")]),
    "no end, only an empty event": (b"data: \n\n", [malformed(""), Truncated("the answer stopped before its end")]),
    "no end, an event cut behind a word": (
        live("A") + b"\n\nx" + live("B")[:-3],
        [
            Text("A"),
            Truncated(
                "the answer stopped before its end; the last text from the site was: "
                'xdata: {"type":"live","data":"'
            ),
        ],
    ),
    "end behind a word": (live("A") + b"\n\nx" + end(reply="A"), [Text("A"), done("A", raw=SUCCESS | {"reply": "A"})]),
    "error behind a notice": (live("A") + b"\n\nNotice: x" + error("no"), [Text("A"), ServerError("no")]),
    "plain JSON of another shape": (
        b'{"success":true,"reply":5}',
        [malformed("reply"), done(raw={"success": True, "reply": 5})],
    ),
    "fields of another shape": (
        live("A") + b"\n\n" + end(reply=["B"], images="x", usage={"price": "free"}, blocks=None, actions=[]),
        [
            Text("A"),
            malformed("reply"),
            malformed("images"),
            malformed("usage"),
            done(
                "A",
                usage=Usage(),
                raw=SUCCESS
                | {"reply": ["B"], "images": "x", "usage": {"price": "free"}, "blocks": None, "actions": []},
            ),
        ],
    ),
    "text only in end, and a field of another shape": (
        end(reply="A", responseId=5),
        [Text("A"), malformed("responseId"), done("A", raw=SUCCESS | {"reply": "A", "responseId": 5})],
    ),
    "error of a reference that Python cannot decode": (
        error("a <b>b</b> &#" + "9" * 4301 + ";"),
        [ServerError("a b \ufffd")],
    ),
    "no end, text behind the last event": (
        live("A") + b"\n\n<b>Fatal error</b>: none",
        [Text("A"), Truncated("the answer stopped before its end; the last text from the site was: Fatal error: none")],
    ),
    "no end, text before the last event": (
        b"<b>Warning</b>\n" + live("A"),
        [Text("A"), Truncated("the answer stopped before its end")],
    ),
    "nothing": (b"", [Truncated("the site sent an empty answer")]),
    "white space": (BOM + b" \r\n\t\n", [Truncated("the site sent an empty answer")]),
    "plain JSON": (
        php({"success": True, "reply": "Hi"}).encode(),
        [Text("Hi"), done("Hi", raw=HI)],
    ),
    "plain JSON, pretty": (
        json.dumps({"success": True, "reply": "Hi"}, indent=2).encode(),
        [Text("Hi"), done("Hi", raw=HI)],
    ),
    "plain JSON in dirt": (
        BOM + b"\n\n<br />\n<b>Warning</b>\n" + BOM + b' {"success":true,"reply":"Hi"}\n<!-- cached -->',
        [Text("Hi"), done("Hi", raw=HI)],
    ),
    "plain JSON, cut": (
        b'{"success":true,"reply":"H',
        [Truncated("the site's JSON stopped before its end; it begins " + repr('{"success":true,"reply":"H\n'))],
    ),
    "plain refusal": (b'{"success":false,"message":"No <b>bot</b>"}', [ServerError("No bot")]),
    "plain refusal, mute": (b'{"success":false}', [ServerError("the site reports a failure without a reason")]),
    "deep JSON": (
        b"{" + b'"a":{' * 20_000,
        [Truncated("the site's JSON stopped before its end; it begins " + repr("{" + ('"a":{' * 40)[:199]))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("ending", [b"\n\n", b"\n", b"\r\n", b"\r", b""])
@pytest.mark.parametrize("name", ENDS)
def test_ending_gives_its_events(name: str, ending: bytes) -> None:
    """Each ending is read whole and byte by byte. The last line needs no line end."""
    written, expected = ENDS[name]
    body = written + ending
    for pieces in ([body], cut(body, [1] if len(body) < 1000 else [997])):
        *found, last = parse(*pieces)
        *before, outcome = expected
        assert found == before
        if isinstance(outcome, Done):
            assert last == outcome
        else:
            assert isinstance(last, Failed)
            assert type(last.error) is type(outcome)
            assert str(last.error) == str(outcome)
            assert last.error.partial_text == "".join(event.text for event in before if isinstance(event, Text))


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(FATAL, 500, "internal_server_error"), (STALE, 403, "rest_cookie_invalid_nonce")],
)
@pytest.mark.parametrize("pretty", [None, 2])
@pytest.mark.parametrize("before", [b"", live("Hi") + b"\n\n", b"<br />\n"])
def test_status_in_json_behind_events_replaces_that_of_the_response(
    body: dict[str, Any], status: int, code: str, pretty: int | None, before: bytes
) -> None:
    """A PHP fatal error in the middle of a stream appends such JSON."""
    *found, last = parse(before + json.dumps(body, indent=pretty).encode(), status=200)
    assert found == ([Text("Hi")] if before.startswith(b"data") else [])
    assert isinstance(last, Failed)
    assert isinstance(last.error, StatusError)
    assert (last.error.status, last.error.code) == (status, code)
    assert last.error.partial_text == ("Hi" if found else "")


def test_reply_has_every_field_of_the_final_object() -> None:
    """The fields are those of protocol section 2.4."""
    final = {
        "reply": "Hi",
        "images": ["https://x/1.png", None],
        "actions": [{"type": "function", "data": {"name": "f", "args": []}}],
        "shortcuts": [{"type": "message", "data": {"label": "L", "message": "M", "icon": "i", "variant": "v"}}],
        "blocks": [{"id": "b", "type": "content", "data": {"id": "c", "html": "<p>", "script": "s()"}}],
        "usage": {"prompt_tokens": 31, "completion_tokens": 4, "total_tokens": 35, "price": None, "queries": 1},
        "responseId": "resp_x",
        "new_token": "0a1b2c3d4e",
    }
    *_, last = parse(end(**final) + b"\n\n")
    assert last == Done(
        Reply(
            "Hi",
            ("https://x/1.png",),
            (Action("function", "f"),),
            (Shortcut("message", "L", "M", variant="v", icon="i"),),
            (Block("content", "c", "<p>", "s()"),),
            Usage(31, 4, 35, None, 1),
            "resp_x",
            raw={"success": True, **final},
        )
    )


LIMITS = ["max_event_size", "max_body_size", "max_text_size"]


class TestLimits:
    """An answer over a limit ends at the same byte in any cut."""

    @pytest.mark.parametrize("limit", [64, 100, 1000])
    @pytest.mark.parametrize("rhythm", [[1], [7], [63, 2], [100_000]])
    @pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
    def test_event_limit_is_exact(self, limit: int, rhythm: list[int], ending: bytes) -> None:
        """The limit counts the line without its line end."""
        fixed = len(live(""))
        right, wrong = "x" * (limit - fixed), "x" * (limit - fixed + 1)
        assert parse(*cut(live(right) + ending, rhythm), max_event_size=limit)[0] == Text(right)
        found = parse(*cut(live("ok") + ending + live(wrong) + ending, rhythm), max_event_size=limit)
        assert found[0] == Text("ok")
        assert isinstance(found[1], Failed)
        assert isinstance(found[1].error, TooLarge)
        assert found[1].error.partial_text == "ok"
        assert str(limit) in str(found[1].error)
        assert "max_event_size" in str(found[1].error)

    def test_too_large_event_fails_before_its_line_ends(self) -> None:
        parser = EventParser(max_event_size=64)
        assert parser.receive_data(b"data: " + b"x" * 58) == []
        (failed,) = parser.receive_data(b"x")
        assert isinstance(failed, Failed)
        assert parser.receive_data(b"x\n" + end()) == []
        assert parser.receive_eof() == []

    @pytest.mark.parametrize("limit", [64, 100])
    @pytest.mark.parametrize("rhythm", [[1], [7], [100_000]])
    def test_body_limit_is_exact(self, limit: int, rhythm: list[int]) -> None:
        """All lines without an event count together."""
        text = "x" * (limit - 28)
        right = b'{"success":true,\n"reply":"' + text.encode() + b'"}'
        assert len(right) == limit
        assert parse(*cut(right, rhythm), max_body_size=limit)[0] == Text(text)
        (failed,) = parse(*cut(right[:-2] + b'x"}', rhythm), max_body_size=limit)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, TooLarge)
        assert "max_body_size" in str(failed.error)

    @pytest.mark.parametrize("rhythm", [[1], [3], [100_000]])
    def test_output_before_an_event_does_not_count_for_the_event(self, rhythm: list[int]) -> None:
        """This holds even for a cut within ``data:``."""
        body = b"x" * 62 + b"\n" + live("Hi") + b"\n\n" + end(reply="Hi") + b"\n\n"
        found = parse(*cut(body, rhythm), max_body_size=64, max_event_size=100)
        assert found[0] == Text("Hi")
        assert isinstance(found[-1], Done)

    @pytest.mark.parametrize("rhythm", [[1], [7], [100_000]])
    def test_each_event_resets_the_body_limit(self, rhythm: list[int]) -> None:
        """Thousands of PHP warnings between events exceed no limit."""
        body = (b"<b>Warning</b>: something\n" * 2 + live("a") + b"\n\n") * 50 + end(reply="a") + b"\n\n"
        found = parse(*cut(body, rhythm), max_body_size=64, max_event_size=100)
        assert found[:-1] == [Text("a")] * 50
        assert isinstance(found[-1], Done)

    def test_event_limit_counts_bytes_not_characters(self) -> None:
        text = "é" * 18
        assert len(line({"type": "live", "data": text}, ascii_only=False)) == 67
        (failed,) = parse(line({"type": "live", "data": text}, ascii_only=False), max_event_size=66)
        assert isinstance(failed, Failed)

    @pytest.mark.parametrize("option", LIMITS)
    @pytest.mark.parametrize("limit", [63, 0, -1])
    def test_limit_under_64_bytes_is_refused(self, option: str, limit: int) -> None:
        options: dict[str, Any] = {option: limit}
        with pytest.raises(InvalidInput, match=f"{option} must be at least 64 bytes"):
            EventParser(**options)
        options[option] = 64
        EventParser(**options)

    @pytest.mark.parametrize("option", LIMITS)
    @pytest.mark.parametrize("limit", [True, 1e6, "1000", None, float("nan")])
    def test_limit_that_is_not_an_int_is_refused(self, option: str, limit: Any) -> None:
        """The message names the option and the type of the value."""
        with pytest.raises(InvalidInput, match=f"{option} must be an int of bytes, not {type(limit).__name__}"):
            EventParser(**{option: limit})

    @pytest.mark.parametrize("headers", ["Content-Type: text/html", [("Content-Type", "text/html")], 5])
    def test_headers_that_are_not_a_mapping_are_refused(self, headers: Any) -> None:
        with pytest.raises(InvalidInput, match=f"mapping of names to values, not {type(headers).__name__}"):
            EventParser(headers=headers)

    @pytest.mark.parametrize("ascii_only", [False, True])
    @pytest.mark.parametrize("rhythm", [[1], [7], [100_000]])
    @pytest.mark.parametrize(
        ("piece", "count"), [("x", 9000), ("é", 4500), ("漢", 3000), ("😀", 2250), ("aé漢😀", 900)]
    )
    @pytest.mark.slow
    def test_text_limit_is_exact(self, piece: str, count: int, rhythm: list[int], ascii_only: bool) -> None:
        """The limit counts UTF-8, whatever the encoding in JSON. The text that exceeds it is not part of the answer."""
        event = line({"type": "live", "data": piece}, ascii_only=ascii_only) + b"\n\n"
        body = event * count + live("") + b"\n\n"
        limit = count * len(piece.encode())
        *found, last = parse(*cut(body + end(reply=None) + b"\n", rhythm), max_text_size=limit)
        assert found == [Text(piece)] * count + [Text("")]
        assert isinstance(last, Done)
        assert last.reply.text == piece * count
        *found, last = parse(*cut(body + event + live("") + b"\n", rhythm), max_text_size=limit)
        assert found == [Text(piece)] * count + [Text("")]
        assert isinstance(last, Failed)
        assert isinstance(last.error, TooLarge)
        assert str(last.error) == f"the answer's text is larger than {limit} bytes; raise max_text_size to accept it"
        assert last.error.partial_text == piece * count

    @pytest.mark.parametrize("before", [b"", live("a") + b"\n\n"])
    @pytest.mark.parametrize("plain", [False, True])
    def test_text_limit_applies_to_the_final_reply_alone(self, before: bytes, plain: bool) -> None:
        """The reply does not count together with the text that was streamed before."""

        def found(reply: str) -> Event:
            return parse(
                before + end(reply=reply) if not plain else php({"success": True, "reply": reply}).encode(),
                max_text_size=64,
            )[-1]

        assert isinstance(found("x" * 64), Done)
        failed = found("x" * 65)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, TooLarge)
        assert failed.error.partial_text == ("a" if before and not plain else "")

    def test_default_text_limit_is_64_mib(self) -> None:
        parser, piece = EventParser(), "x" * (1 << 20)
        for _ in range(64):
            assert parser.receive_data(live(piece) + b"\n\n") == [Text(piece)]
        (failed,) = parser.receive_data(live("x") + b"\n\n")
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, TooLarge)
        assert len(failed.error.partial_text) == 64 << 20

    @pytest.mark.parametrize("rhythm", [[1], [7], [100_000]])
    def test_line_with_output_and_event_counts_for_the_body_limit(self, rhythm: list[int]) -> None:
        """It counts together with the lines before it. The event then resets the count."""
        event = b"Notice: x" + live("")
        assert len(event) == 40
        right = b"x" * 23 + b"\n" + event + b"\n"
        found = parse(*cut(right + right, rhythm), max_body_size=64)
        assert found[:-1] == [Text(""), Text("")]
        assert isinstance(found[-1], Failed)
        assert type(found[-1].error) is Truncated
        (failed,) = parse(*cut(b"x" + right, rhythm), max_body_size=64)
        assert isinstance(failed, Failed)
        assert "max_body_size" in str(failed.error)

    @pytest.mark.parametrize("start", [b"data: {", b'data: {"', b'data: {"a":1,', b'data: {"a":"data: {', b"data:"])
    @pytest.mark.slow
    def test_line_full_of_event_starts_takes_linear_time(self, start: bytes) -> None:
        """Four times as many starts take about four times as long, not sixteen times."""

        def seconds(count: int) -> float:
            body, times = b"x" + start * count + b"\n", []
            for _ in range(3):
                began = time.process_time()
                parse(body)
                times.append(time.process_time() - began)
            return min(times)

        assert seconds(80_000) < 9 * seconds(20_000)

    @pytest.mark.parametrize(
        "filler", [b"\n", b":\n", b"event:\n", b"event:", b"event:{\n", b"event: {", b"\n:", b"\r:"]
    )
    @pytest.mark.slow
    def test_lines_without_meaning_take_linear_time(self, filler: bytes) -> None:
        def seconds(count: int) -> float:
            body, times = b"event:" + filler * count + b"\n", []
            for _ in range(3):
                began = time.process_time()
                parse(body)
                times.append(time.process_time() - began)
            return min(times)

        assert seconds(80_000) < 9 * seconds(20_000)


def test_lines_without_events_are_read_one_by_one() -> None:
    """A site can send 16,000 of them in one piece, and no other task runs while the parser reads it."""

    def calls(lines: int) -> int:
        count, body, parser = 0, b"<br>\n" * lines + live("text") + b"\n\n", EventParser()

        def watch(_frame: object, event: str, _argument: object) -> None:
            nonlocal count
            count += event.endswith("call")

        sys.setprofile(watch)
        try:
            assert parser.receive_data(body) == [Text("text")]
        finally:
            sys.setprofile(None)
        return count

    assert calls(1000) == calls(10)


@pytest.mark.parametrize("kind", ["live", "status", "usage", "error", "end"])
def test_no_depth_of_nesting_raises(kind: str) -> None:
    """Some JSON can be read but not written again, because the stack is deeper at that point. It must not raise."""

    def encoded(depth: int) -> bytes:
        nested = "[" * depth + "]" * depth
        event = {
            "live": '{"type":"live","data":%s}',
            "status": '{"type":"live","subtype":"status","data":%s}',
            "usage": '{"type":"usage","data":%s}',
            "error": '{"type":"error","data":%s}',
            "end": '{"type":"end","data":{"success":false,"message":%s}}',
        }[kind]
        return b"data: " + (event % nested).encode() + b"\n\n"

    def readable(depth: int) -> bool:
        try:
            json.loads(encoded(depth)[6:])
        except RecursionError:
            return False
        return True

    low, high = 1, 200_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if readable(middle) else (low, middle)
    assert high < 200_000 or sys.version_info >= (3, 12)
    for depth in [*range(max(1, low - 60), low + 10), 200_000]:
        body = encoded(depth)
        for pieces in ([body], [body[:-1], body[-1:]], [body[:9], body[9:]]):
            events = parse(*pieces)
            assert isinstance(events[-1], Done | Failed)
            assert len(events) <= 2


@pytest.mark.parametrize("text", ["x" * 2_000_000, "x" * 1_999_998 + "\n"])
def test_huge_event_needs_more_than_three_times_its_size(text: str) -> None:
    """The unfinished line, its text and the decoded string are the largest objects, and never exist all at once."""
    pieces = cut(live(text) + b"\n\n", [65_536])
    tracemalloc.start()
    try:
        parser = EventParser()
        for piece in pieces[:-1]:
            assert parser.receive_data(piece) == []
        assert parser.receive_data(pieces[-1]) == [Text(text)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(text)


def test_usual_answer_needs_more_than_eight_kilobytes() -> None:
    """A string for each of the 300 words alone would need 20 KB."""
    pieces = [live(f" word{number}") + b"\n\n" for number in range(300)]
    tracemalloc.start()
    try:
        parser, before = EventParser(), tracemalloc.get_traced_memory()[0]
        for piece in pieces:
            parser.receive_data(piece)
            assert tracemalloc.get_traced_memory()[0] - before < 8_000
    finally:
        tracemalloc.stop()


class TestCalls:
    """Correct and wrong calls of the parser."""

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_bytes_like_objects_are_accepted(self, kind: Any) -> None:
        """Buffers of other libraries need no copy by the caller, and are not kept."""
        parser = EventParser()
        assert parser.receive_data(kind(live("Hi")[:9])) == []
        assert parser.receive_data(kind(live("Hi")[9:] + b"\n\n")) == [Text("Hi")]

    @pytest.mark.parametrize("data", ["text", None, 1])
    def test_other_types_are_refused_without_effect(self, data: Any) -> None:
        """The message names the type, and the parser still works."""
        parser = EventParser()
        with pytest.raises(InvalidInput, match=f"not {type(data).__name__}"):
            parser.receive_data(data)
        assert parser.receive_data(live("Hi") + b"\n\n") == [Text("Hi")]

    def test_text_property_grows_and_stays_after_the_end(self) -> None:
        parser = EventParser()
        seen = [parser.text]
        for piece in (
            live("a") + b"\n\n",
            live("x", subtype="thinking") + b"\n\n",
            live("b") + b"\n\n",
            end(reply="C"),
        ):
            parser.receive_data(piece)
            seen.append(parser.text)
        parser.receive_eof()
        assert [*seen, parser.text] == ["", "a", "a", "ab", "ab", "ab"]

    def test_data_after_done_is_ignored_and_after_eof_raises(self) -> None:
        parser = EventParser()
        parser.receive_data(end(reply="Hi") + b"\n\n")
        assert parser.receive_data(live("more") + b"\n\n") == []
        assert parser.receive_eof() == []
        with pytest.raises(InvalidState, match="make a new parser"):
            parser.receive_data(b"")
        with pytest.raises(InvalidState, match="called twice"):
            parser.receive_eof()

    def test_header_names_are_case_insensitive(self) -> None:
        (failed,) = parse(status=429, headers={"RETRY-After": "7"})
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, StatusError)
        assert failed.error.retry_after == 7.0

    @pytest.mark.parametrize("event", [live("x", subtype="status"), line({"type": "ping"}), live(["a"])])
    @pytest.mark.parametrize("cut_before_event", [True, False])
    def test_truncated_error_shows_only_lines_after_the_last_event(self, event: bytes, cut_before_event: bool) -> None:
        """This holds for an event without text too."""
        warning, rest = b"Warning: something\n", event + b"\n\n"
        found = parse(*([warning, rest] if cut_before_event else [warning + rest]))
        assert isinstance(found[0], Notice)
        assert isinstance(found[-1], Failed)
        assert isinstance(found[-1].error, Truncated)
        assert "Warning" not in str(found[-1].error)

    def test_event_is_returned_at_the_first_line_end(self) -> None:
        """The parser waits neither for the blank line behind an event nor for the LF of a CRLF."""
        parser = EventParser()
        assert parser.receive_data(live("a")) == []
        assert parser.receive_data(b"\r") == [Text("a")]
        assert parser.receive_data(b"\n") == []
        assert parser.receive_data(live("b") + b"\n") == [Text("b")]
        assert parser.receive_data(b"\n") == []
