"""The answers of real servers, and the events that each of them gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatgpt4online.protocol.calls.exchange import Exchange
from chatgpt4online.protocol.calls.prompt import Submission
from chatgpt4online.protocol.calls.request import Session, fold_headers
from chatgpt4online.protocol.calls.turn import Turn
from chatgpt4online.protocol.parsing.events import Action, Done, Event, Failed, Notice, Text
from chatgpt4online.protocol.parsing.parser import EventParser

from ..support.recordings import Recording, load, names
from ..support.reference import as_tuples, reference
from ..support.strategies import cut

ENGLISH = (
    "The quick brown fox jumps over the lazy dog. This is a deterministic reply from the stub model; "
    'it\'s plain English, with "quotes", a slash / and an ampersand & in it.'
)
CYRILLIC = "Привет! Это детерминированный ответ заглушки: съешь же ещё этих мягких французских булок, да выпей чаю."
EMOJI = (
    "Family: \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 flag: \U0001f3f3\ufe0f\u200d\U0001f308 "
    "skin: \U0001f44d\U0001f3fd keycap: 1\ufe0f\u20e3 CJK: 漢字かな交じり文 한국어 "
    "astral: \U0001d4b3\U00020bb7 combining: e\u0301 n\u0303 rtl: "
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627."
)
MARKDOWN = (
    "# Title  \n  \nSome *italic* and **bold** text with `inline code`.  \n  \n```python  \n"
    'def hello(name: str) -> str:  \n    return f"Hello, {name}!\\n"  \n```  \n  \n- item one  \n- item two  \n'
    "\t- nested with a tab  \n  \n| a | b |  \n|---|---|  \n| 1 | 2 |  \n  \n> quote  \n  \n"
    "<b>html</b> &amp; <script>alert('x')</script>  \n  \n```json  \n"
    '{"type": "end", "data": "{\\"success\\":true}"}  \n```  \n'
)
WIRELIKE = (
    'data: {"type":"end","data":"{}"}  \n  \nevent: error  \n: comment  \ndata: [DONE]  \n  \n'
    "id: 7  \nretry: 10  \n  \nafter"
)
ODD = "a  \nb\n\nc\r\nd\re\tf\0g\u2028h\u2029i\u0085j\ufeffk\x1b[31ml\x7fm"
LONGER = "".join(f"tok{number:06d} " for number in range(500))
TOOL = "The tool said: sunny, +25°C in Москва"
ECHO = (
    '{"model": "stub-chat", "count": %d, "messages": [["system", "Converse as if you were an AI assistant. Be friendly,'
    ' creati"], %s["user", "[[echo]]"]], "keys": ["max_tokens", "messages", "model", "n", "stream", "temperature"]}'
)
HISTORY = ECHO % (
    5,
    '["assistant", "Hi! How can I help you?"], ["user", "Меня зовут Аня"], ["assistant", "Hello Аня"], ',
)
JS_ACTION = Action("function", name="js_action", args={"city": "Москва", "days": 2})
NO_ROUTE = "No route was found matching the URL and request method."
REJECTED = "Sorry, your query has been rejected."
CHATCMPL = "chatcmpl-stub0001"
NONCE = "eaab421582"


@dataclass(frozen=True)
class Good:
    """The expected outcome of a turn that ends in Done. ``reply`` is its text if that is not the sum of the pieces."""

    pieces: int
    text: str
    reply: str | None = None
    notices: tuple[str, ...] = ()
    tokens: tuple[int, int, int] | None = None
    queries: int | None = 1
    response_id: str = CHATCMPL
    actions: tuple[Action, ...] = ()
    shortcuts: int = 0
    blocks: int = 0
    nonce: str = ""


@dataclass(frozen=True)
class Bad:
    """The expected outcome of a turn that ends in Failed."""

    error: str
    message: str
    status: int | None = None
    code: str | None = None
    retry_after: float | None = None
    pieces: int = 0
    text: str = ""


def _session(nonce: str = NONCE) -> Good:
    return Good(0, "", queries=None, response_id="", nonce=nonce)


def _refused(status: int, code: str, message: str, error: str = "StatusError") -> Bad:
    return Bad(error, message, status, code)


_english = Good(32, ENGLISH, tokens=(2, 41, 43))
_plain_english = Good(1, ENGLISH, tokens=(11, 32, 43))
_silent = Good(0, "", tokens=(2, 0, 2))
_rejected = Bad("ServerError", REJECTED)
_limit = Bad("LimitReached", "You have reached the limit.")
_stale = _refused(403, "rest_cookie_invalid_nonce", "Cookie check failed", "NonceRefused")
_no_route = _refused(404, "rest_no_route", NO_ROUTE, "NotAiEngine")
_invalid_json = _refused(400, "rest_invalid_json", "Invalid JSON body passed.")
_closed = _refused(401, "rest_not_logged_in", "You are not currently logged in.")
_page = _refused(200, "", "stub", "NotAiEngine")
_cut = Bad("Truncated", "the answer stopped before its end", pieces=3, text="The quick brown")
_maintenance = "Briefly unavailable for scheduled maintenance. Check back in a minute."

EXPECTED: dict[str, Good | Bad] = {
    "2.4.3/over_limit_cyrillic": _rejected,
    "2.4.3/page": _page,
    "2.4.3/session": _no_route,
    "2.4.3/stream_english": Good(32, ENGLISH, tokens=(11, 32, 43), queries=None, response_id=""),
    "2.8.9/debug_responses_tool": Good(
        7,
        TOOL,
        notices=("tool_call", "tool_result", "status", "status"),
        tokens=(0, 9, 9),
        response_id="resp_stub0001",
    ),
    "2.8.9/over_limit": _rejected,
    "2.8.9/session": _session("25604028b0"),
    "2.8.9/stream_english": replace(_english, tokens=(11, 32, 43)),
    "2.8.9/unknown_botid": _rejected,
    "3.6.2/bad_json": _invalid_json,
    "3.6.2/bad_nonce": _stale,
    "3.6.2/badutf8_stream": Good(
        31, ENGLISH.replace("brown ", ""), notices=("malformed",), queries=None, response_id=""
    ),
    "3.6.2/debug_reasoning": Good(4, "The answer is 42.", notices=("status",), tokens=(3, 4, 7)),
    "3.6.2/debug_stream": replace(_english, notices=("status",)),
    "3.6.2/debug_tool": Good(7, TOOL, notices=("status", "tool_result", "status", "status"), tokens=(2, 9, 11)),
    "3.6.2/dirty_session": _session(),
    "3.6.2/dirty_stream": _english,
    "3.6.2/disc_list": Bad("ServerError", "You need to be connected."),
    "3.6.2/empty_message": _rejected,
    "3.6.2/extras_stream": replace(
        _english, actions=(Action("function", name="js_hello", args={"a": 1}),), shortcuts=1, blocks=1
    ),
    "3.6.2/fatal_midstream": _cut,
    "3.6.2/fatal_midstream_display": replace(
        _cut,
        message="the answer stopped before its end; the last text from the site was: Fatal error: Uncaught Error: "
        "Call to undefined function aie_no_such_function() in "
        "/var/www/vhosts/example.org/wp/wp-content/mu-plugins/aie.php:111 Stack trace: #0 "
        "/var/www/vhosts/example.org/wp/wp-includes/class-wp-hook.php(310): {closure}() #1 "
        "/var/www/vhosts/example.org/wp/wp-includes/plugin.php(2",
    ),
    "3.6.2/fatal_stream": _refused(
        500,
        "internal_server_error",
        "There has been a critical error on this website. Learn more about troubleshooting WordPress.",
    ),
    "3.6.2/gzip_session": _session(),
    "3.6.2/gzip_slow": Good(15, ENGLISH[:79], tokens=(2, 19, 21)),
    "3.6.2/gzip_stream": _english,
    "3.6.2/history": Good(1, HISTORY, tokens=(13, 79, 92)),
    "3.6.2/history_none": Good(1, ECHO % (2, ""), tokens=(2, 55, 57)),
    "3.6.2/limit_plain": replace(_limit, error="LimitReached"),
    "3.6.2/limit_stream": _limit,
    "3.6.2/maintenance_session": Bad("StatusError", "Maintenance", 503, "", 600.0),
    "3.6.2/maintenance_stream": Bad("StatusError", _maintenance, 503, "wp_die", 600.0),
    "3.6.2/missing_botid": _rejected,
    "3.6.2/missing_nonce": _refused(401, "rest_forbidden", "Sorry, you are not allowed to do that.", "NonceRefused"),
    "3.6.2/nonce_expired": _stale,
    "3.6.2/nonce_fresh": _english,
    "3.6.2/nonce_old_plain": replace(_plain_english, nonce="5fa8092bd0"),
    "3.6.2/nonce_old_stream": replace(_english, nonce="5fa8092bd0"),
    "3.6.2/noplugin_session": _no_route,
    "3.6.2/over_limit": _rejected,
    "3.6.2/over_limit_plain": _rejected,
    "3.6.2/page": _page,
    "3.6.2/permalinks_index": _session(),
    "3.6.2/permalinks_page": _page,
    "3.6.2/permalinks_session": _session(),
    "3.6.2/permalinks_stream": _english,
    "3.6.2/permalinks_wpjson": _page,
    "3.6.2/php_s_session": _session(),
    "3.6.2/plain_english": _plain_english,
    "3.6.2/plain_err429": Bad(
        "ServerError", "StubLLM: You exceeded your current quota, please check your plan and billing details."
    ),
    "3.6.2/plain_jstool": Good(0, "", tokens=(11, 0, 11), actions=(JS_ACTION,)),
    "3.6.2/ratelimit_3": _refused(429, "", "429 Too Many Requests", "RateLimited"),
    "3.6.2/rest_index": Bad(
        "ProtocolError", 'the answer does not come from an AI Engine site; it begins \'{"namespace":'
    ),
    "3.6.2/restoff_session": _closed,
    "3.6.2/restoff_stream": _closed,
    "3.6.2/session": _session(),
    "3.6.2/session_badjson": _invalid_json,
    "3.6.2/session_cookie": _session(),
    "3.6.2/session_get": _no_route,
    "3.6.2/session_good_nonce": _session(),
    "3.6.2/session_json": _session(),
    "3.6.2/session_rest_route": _session(),
    "3.6.2/session_stale_nonce": _stale,
    "3.6.2/short_plain": _refused(504, "", "504 Gateway Time-out"),
    "3.6.2/short_stall": _cut,
    "3.6.2/stream_big1": Good(1, "x" * 30_000, tokens=(4, 7500, 7504)),
    "3.6.2/stream_big300k": Good(1, "x" * 300_000, tokens=(2, 75_000, 75_002)),
    "3.6.2/stream_chars": replace(_english, pieces=166),
    "3.6.2/stream_cyrillic": Good(15, CYRILLIC, tokens=(3, 25, 28)),
    "3.6.2/stream_emoji": Good(110, EMOJI, tokens=(2, 55, 57)),
    "3.6.2/stream_empty": _silent,
    "3.6.2/stream_english": _english,
    "3.6.2/stream_err401": Bad(
        "ServerError",
        "StubLLM: Error: Incorrect API key provided: sk-stub. You can find your API key at "
        "https://platform.openai.com/account/api-keys. (invalid_api_key) (invalid_request_error)",
    ),
    "3.6.2/stream_err429": Bad(
        "ServerError",
        "StubLLM: Error: You exceeded your current quota, please check your plan and billing details. "
        "(insufficient_quota) (insufficient_quota)",
    ),
    "3.6.2/stream_errword": Good(
        6, '{"error": {"message": "not a real error", "code": 500}} error Error: done', tokens=(2, 18, 20)
    ),
    "3.6.2/stream_hangup": Bad(
        "ServerError",
        "StubLLM: cURL error 18: transfer closed with outstanding read data remaining",
        pieces=5,
        text="The quick brown fox jumps",
    ),
    "3.6.2/stream_html502": replace(_silent, response_id=""),
    "3.6.2/stream_jstool": replace(_silent, actions=(JS_ACTION,)),
    "3.6.2/stream_longer": Good(500, LONGER, LONGER.strip(), tokens=(3, 1249, 1252)),
    "3.6.2/stream_markdown": Good(78, MARKDOWN, MARKDOWN.strip(), tokens=(3, 92, 95)),
    "3.6.2/stream_newlines": Good(25, ODD, tokens=(3, 8, 11)),
    "3.6.2/stream_reasoning_only": Good(1, "*Let me think about it step by step.*", tokens=(4, 9, 13)),
    "3.6.2/stream_slow": Good(15, ENGLISH[:79], tokens=(2, 19, 21)),
    "3.6.2/stream_slowstart": Good(8, ENGLISH[:39], tokens=(5, 9, 14)),
    "3.6.2/stream_tool": Good(7, TOOL, tokens=(2, 9, 11)),
    "3.6.2/stream_wirelike": Good(18, WIRELIKE, tokens=(3, 27, 30)),
    "3.6.2/stream_zero": Good(8, "000 0.0nullfalse[]0", tokens=(2, 4, 6)),
    "3.6.2/unchunked_english": _english,
    "3.6.2/unknown_botid": _english,
    "3.6.2/warn_session": _session(),
    "3.6.2/warn_stream": _english,
    "3.6.2/wrong_path": _refused(404, "", "stub", "NotAiEngine"),
    "3.6.2/wrong_route": _no_route,
}

# The same bodies for a parser that knows neither status nor headers.
WITHOUT_STATUS: dict[str, Bad] = {
    "3.6.2/maintenance_session": _refused(200, "", "Maintenance", "NotAiEngine"),
    "3.6.2/maintenance_stream": _refused(503, "wp_die", _maintenance),
    "3.6.2/ratelimit_3": _refused(200, "", "429 Too Many Requests", "NotAiEngine"),
    "3.6.2/short_plain": _refused(200, "", "504 Gateway Time-out", "NotAiEngine"),
    "3.6.2/wrong_path": _page,
}

every_recording = pytest.mark.parametrize("name", names())

# A page in place of the API starts a search for the API (test_discovery).
PAGES = {
    name for name, what in EXPECTED.items() if isinstance(what, Bad) and what.error == "NotAiEngine" and not what.code
}

# The recorded answers, in order, to a turn that knows only the address of the site.
STORIES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "pretty permalinks": (
        "http://127.0.0.1:8362",
        [
            ("3.6.2/session", "POST /wp-json/mwai/v1/start_session"),
            ("3.6.2/stream_english", "POST /wp-json/mwai-ui/v1/chats/submit"),
        ],
    ),
    "plain permalinks": (
        "http://127.0.0.1:8366",
        [
            ("3.6.2/permalinks_wpjson", "POST /wp-json/mwai/v1/start_session"),
            ("3.6.2/permalinks_index", "POST /index.php?rest_route=/mwai/v1/start_session"),
            ("3.6.2/permalinks_stream", "POST /index.php?rest_route=/mwai-ui/v1/chats/submit"),
        ],
    ),
    "the nonce is in the page": (
        "http://127.0.0.1:8420/",
        [
            ("2.4.3/session", "POST /wp-json/mwai/v1/start_session"),
            ("2.4.3/page", "GET /"),
            ("2.4.3/stream_english", "POST /wp-json/mwai-ui/v1/chats/submit"),
        ],
    ),
    "a nonce that is stale": (
        "http://127.0.0.1:8362/wp-json/",
        [
            ("3.6.2/session", "POST /wp-json/mwai/v1/start_session"),
            ("3.6.2/nonce_expired", "POST /wp-json/mwai-ui/v1/chats/submit"),
            ("3.6.2/session", "POST /wp-json/mwai/v1/start_session"),
            ("3.6.2/stream_english", "POST /wp-json/mwai-ui/v1/chats/submit"),
        ],
    ),
    "the plugin is off": (
        "http://127.0.0.1:8362",
        [("3.6.2/noplugin_session", "POST /wp-json/mwai/v1/start_session"), ("3.6.2/page", "GET ")],
    ),
}


def check_turn(recording: Recording, events: Iterable[Event], expected: Good | Bad) -> None:
    """Compare the events of a turn.

    A successful start of a session has no events, since the session stores its values.
    """
    if "start_session" in recording.target and isinstance(expected, Good):
        assert list(events) == []
    else:
        check_events(events, expected)


def check_events(events: Iterable[Event], expected: Good | Bad) -> None:
    """Compare all events of a recording with the expected ones."""
    *before, last = events
    pieces = [event.text for event in before if isinstance(event, Text)]
    notices = tuple(event.kind for event in before if isinstance(event, Notice))
    assert len(pieces) + len(notices) == len(before)
    assert ("".join(pieces), len(pieces)) == (expected.text, expected.pieces)
    if isinstance(expected, Bad):
        assert isinstance(last, Failed)
        error = last.error
        message = error.message if hasattr(error, "message") else str(error)
        assert (type(error).__name__, notices, error.partial_text) == (expected.error, (), expected.text)
        assert (
            message.startswith(expected.message) if expected.error == "ProtocolError" else message == expected.message
        )
        for attribute in ("status", "code", "retry_after"):
            assert getattr(error, attribute, None) == getattr(expected, attribute)
        return
    assert isinstance(last, Done)
    reply = last.reply
    usage = reply.usage
    tokens = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) if usage else None
    assert str(reply) == reply.text == (expected.text if expected.reply is None else expected.reply)
    assert (notices, tokens, usage and usage.queries) == (expected.notices, expected.tokens, expected.queries)
    assert (reply.actions, len(reply.shortcuts), len(reply.blocks)) == (
        expected.actions,
        expected.shortcuts,
        expected.blocks,
    )
    assert (reply.response_id, reply.images) == (expected.response_id, ())
    assert reply.raw.get("restNonce", reply.raw.get("new_token", "")) == expected.nonce


def parse(pieces: Iterable[bytes], **options: Any) -> list[Event]:
    """Return the events of a body that comes in pieces."""
    parser = EventParser(**options)
    events: list[Event] = []
    for piece in pieces:
        events += parser.receive_data(piece)
    return events + parser.receive_eof()


def exchange_for(recording: Recording) -> tuple[Exchange[Any] | Turn, Session]:
    """Return the exchange or turn that sends the request of this recording."""
    session = Session() if "start_session" in recording.target else Session(nonce="old")
    if "start_session" in recording.target:
        return Exchange(None, "https://example.org", session), session
    return Turn("https://example.org", Submission("Hello"), session), session


def answer_turn(recording: Recording, pieces: Iterable[bytes]) -> tuple[list[Event], Session]:
    """Return the events of a turn that gets this answer, and its session.

    The turn gets the answer again when it asks again, and a new nonce when it asks for one.
    """
    exchange, session = exchange_for(recording)
    pieces, events = list(pieces), []
    first = exchange.next_request()
    assert first is not None
    answers = 0
    while (request := exchange.next_request()) is not None:
        if request.exclusive and not first.exclusive:
            exchange.receive_response(200, [])
            events += exchange.receive_data(b'{"success":true,"restNonce":"renewed"}') + exchange.receive_eof()
            continue
        answers += 1
        assert answers <= 2
        exchange.receive_response(recording.status, recording.headers)
        for piece in pieces:
            events += exchange.receive_data(piece)
        events += exchange.receive_eof()
    return events, session


def rhythm(body: bytes) -> list[int]:
    return [1] if len(body) <= 20_000 else [1009]


def test_every_recording_has_an_expected_outcome() -> None:
    """The table has every recording in the folder, and no other."""
    assert sorted(EXPECTED) == names()
    assert len(EXPECTED) > 80


@every_recording
def test_parser_gives_the_expected_events(name: str) -> None:
    """The body is read whole, as the recorder read it, and in small pieces."""
    recording = load(name)
    options: dict[str, Any] = {"status": recording.status, "headers": fold_headers(recording.headers)}
    whole = parse([recording.body], **options)
    check_events(whole, EXPECTED[name])
    assert as_tuples(parse(recording.pieces, **options)) == as_tuples(whole)
    assert as_tuples(parse(cut(recording.body, rhythm(recording.body)), **options)) == as_tuples(whole)


@every_recording
def test_parser_without_status_gives_the_expected_events(name: str) -> None:
    """Most bodies can be read without the status and the headers."""
    recording = load(name)
    whole = parse([recording.body])
    check_events(whole, WITHOUT_STATUS.get(name, without_retry_after(EXPECTED[name])))
    assert as_tuples(parse(cut(recording.body, rhythm(recording.body)))) == as_tuples(whole)


def without_retry_after(expected: Good | Bad) -> Good | Bad:
    return replace(expected, retry_after=None) if isinstance(expected, Bad) else expected


@every_recording
def test_parser_equals_the_reference(name: str) -> None:
    """The slow reference makes the same of each stream as the parser."""
    recording = load(name)
    found, expected = as_tuples(parse([recording.body])), reference(recording.body)
    assert found[:-1] == expected[:-1]
    assert found[-1][0] == expected[-1][0]
    if found[-1][0] == "done":
        assert found[-1][:3] == expected[-1]


@pytest.mark.parametrize("name", [name for name in names() if name not in PAGES])
def test_turn_gives_the_expected_events(name: str) -> None:
    """The turn gets the body whole and in pieces. A stale nonce is renewed once before the turn fails."""
    recording = load(name)
    for pieces in ([recording.body], recording.pieces, cut(recording.body, rhythm(recording.body))):
        events, session = answer_turn(recording, pieces)
        check_turn(recording, events, EXPECTED[name])
        header = dict(recording.headers).get(b"x-wp-nonce", b"").decode()
        stale = isinstance(expected := EXPECTED[name], Bad) and expected.code == "rest_cookie_invalid_nonce"
        given_nonce = getattr(expected, "nonce", "") or header
        if "start_session" not in recording.target:
            given_nonce = given_nonce or ("renewed" if stale else "old")
        assert session.nonce == given_nonce


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("small", [False, True])
def test_turn_sends_the_expected_requests(story: str, small: bool) -> None:
    """A turn starts with the address of the site. Real answers lead it to the answer or to the first refusal."""
    site, steps = STORIES[story]
    turn, events = Turn(site, Submission("Hello")), []
    for name, target in steps:
        request = turn.next_request()
        assert request is not None
        assert f"{request.method} {request.url.removeprefix(site.removesuffix('/').removesuffix('/wp-json'))}" == target
        recording = load(name)
        turn.receive_response(recording.status, recording.headers)
        for piece in cut(recording.body, rhythm(recording.body)) if small else [recording.body]:
            events += turn.receive_data(piece)
        events += turn.receive_eof()
    assert turn.next_request() is None
    check_events(events, EXPECTED[steps[0 if story == "the plugin is off" else -1][0]])


@pytest.mark.parametrize("name", [name for name in names() if load(name).notes["events"]])
def test_event_counts_of_the_recorder_equal_the_table(name: str) -> None:
    """Another program counted the events while it recorded them."""
    counted, expected = Counter(load(name).notes["events"]), EXPECTED[name]
    kinds = [kind for kind in expected.notices if kind != "malformed"] if isinstance(expected, Good) else []
    late = isinstance(expected, Good) and not counted["live"] and bool(expected.text)
    assert counted["live"] == expected.pieces - late
    assert Counter({key: number for key, number in counted.items() if key.startswith("live/")}) == Counter(
        f"live/{kind}" for kind in kinds
    )
    assert bool(counted["end"]) == isinstance(expected, Good)
    assert bool(counted["error"]) == (isinstance(expected, Bad) and expected.error in ("ServerError", "LimitReached"))


@every_recording
def test_event_is_returned_in_the_read_that_ends_its_line(name: str) -> None:
    recording = load(name)
    parser, fed, out = EventParser(), b"", 0
    for piece in recording.pieces:
        fed += piece
        out += sum(isinstance(event, Text | Notice) for event in parser.receive_data(piece))
        whole_lines = fed[: fed.rfind(b"\n") + 1]
        assert out >= whole_lines.count(b'data: {"type":"live","data":"')


@settings(max_examples=20)
@given(data=st.data())
def test_random_cuts_of_a_recording_change_no_event(data: st.DataObject) -> None:
    """Both the parser and the turn are checked."""
    name = data.draw(st.sampled_from([name for name in names() if name not in PAGES and len(load(name).body) < 20_000]))
    body = load(name).body
    spots = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=20)))
    pieces = [body[start:stop] for start, stop in zip([0, *spots], [*spots, len(body)], strict=True)]
    assert as_tuples(parse(pieces)) == as_tuples(parse([body]))
    check_turn(load(name), answer_turn(load(name), pieces)[0], EXPECTED[name])


@pytest.mark.parametrize(
    ("name", "complete"),
    [("3.6.2/short_stall", False), ("3.6.2/stream_english", True), ("3.6.2/unchunked_english", True)],
)
def test_cut_recording_is_marked_as_incomplete(name: str, complete: bool) -> None:
    recording = load(name)
    assert recording.complete is complete
    assert len(recording.raw) == sum(size for _, size in recording.notes["recv_ms_and_bytes"])
