"""The state machine of a turn: its requests, its events, and its reactions to refusals."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterable
from dataclasses import asdict
from enum import Enum
from io import StringIO
from typing import Any
from urllib.parse import urljoin

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chatgpt4online.protocol.calls.policies import LONGEST_WAIT
from chatgpt4online.protocol.calls.prompt import Submission
from chatgpt4online.protocol.calls.request import USER_AGENT, Request, Session
from chatgpt4online.protocol.calls.turn import Drivable, Turn
from chatgpt4online.protocol.parsing.errors import (
    Blocked,
    ConnectionFailed,
    InvalidInput,
    InvalidState,
    LimitReached,
    NonceRefused,
    NotAiEngine,
    ProtocolError,
    RateLimited,
    ServerError,
    StatusError,
    TimedOut,
    TooLarge,
    Truncated,
)
from chatgpt4online.protocol.parsing.events import Done, Event, Failed, Notice, Text

from ..support.exchanges import handshake, sent_json
from ..support.reference import as_tuples
from ..support.strategies import (
    FATAL,
    FORBIDDEN,
    NO_ROUTE,
    RARE,
    SESSION,
    STALE,
    bodies,
    cut,
    cut_bodies,
    end,
    error,
    header_sets,
    live,
    php,
    statuses,
)

SITE = "https://example.org"
START = f"{SITE}/wp-json/mwai/v1/start_session"
SUBMIT = f"{SITE}/wp-json/mwai-ui/v1/chats/submit"
NONCE = SESSION["restNonce"]
GOOD = live("Hi") + b"\n\n" + end(reply="Hi") + b"\n\n"
REJECTED = {"success": False, "message": "Sorry, your query has been rejected."}


def turn(session: Session | None = None, message: str = "Hello", site: str = SITE, **options: Any) -> Turn:
    return Turn(site, Submission(message, chat_id="c1"), session, **options)


def ready(nonce: str = NONCE, **options: Any) -> Turn:
    """Return a turn whose session has a nonce."""
    return turn(Session(nonce=nonce), **options)


def ask(exchange: Drivable) -> Request:
    """Return the request that is sent next."""
    request = exchange.next_request()
    assert request is not None
    assert request.method == "POST"
    return request


def answer(exchange: Drivable, body: Any = b"", status: int = 200, headers: Any = ()) -> list[Event]:
    """Pass a whole answer to the machine. A dict is sent as JSON."""
    ask(exchange)
    events = exchange.receive_response(status, headers)
    assert events == []
    events = exchange.receive_data(body if isinstance(body, bytes) else php(body).encode())
    return events + exchange.receive_eof()


def failure(events: list[Event]) -> Any:
    """Return the error of events that are only a failure."""
    (failed,) = events
    assert isinstance(failed, Failed)
    return failed.error


def route(request: Request) -> str:
    return "handshake" if request.url.endswith("start_session") else "submit"


class TestAnOrdinaryTurn:
    """A search for a nonce, a question and its answer."""

    def test_first_request_without_a_nonce_is_start_session(self) -> None:
        """It carries neither a nonce nor a body."""
        request = ask(turn())
        assert request == Request(
            "POST",
            START,
            {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"},
            b"",
            0.0,
            exclusive=True,
        )

    def test_question_carries_the_nonce_and_session_id_of_the_handshake(self) -> None:
        machine = turn()
        assert answer(machine, SESSION) == []
        request = ask(machine)
        assert (request.url, request.exclusive, request.delay) == (SUBMIT, False, 0.0)
        assert request.headers == {
            "User-Agent": USER_AGENT,
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "X-WP-Nonce": NONCE,
        }
        body = sent_json(request)
        assert (body["newMessage"], body["session"], body["chatId"]) == ("Hello", SESSION["sessionId"], "c1")

    def test_body_of_a_request_is_kept_after_its_answer_began(self) -> None:
        """The body may hold a long history, and a service may read thousands of answers at once."""
        machine = turn(session=Session(NONCE))
        machine.next_request()
        machine.receive_response(200, {})
        assert machine.answer is not None
        assert machine.answer.request.body == b""

    def test_turn_is_freed_without_the_garbage_collector(self) -> None:
        """A cycle would keep the text of each answer in memory until the collector runs."""
        gc.collect()
        gc.disable()
        try:
            machine = turn()
            answer(machine, SESSION)
            ask(machine)
            machine.receive_response(200, {})
            machine.receive_data(b'data: {"type":"live","data":"Hello"}\n\n')
            machine.receive_eof()
            watched = weakref.ref(machine)
            del machine
            assert watched() is None
        finally:
            gc.enable()

    def test_answer_gives_text_and_done_and_ends_the_turn(self) -> None:
        machine = turn()
        answer(machine, SESSION)
        text, done = answer(machine, GOOD)
        assert text == Text("Hi")
        assert isinstance(done, Done)
        assert machine.over
        assert machine.text == "Hi"
        assert machine.result() is done.reply
        assert done.reply.chat_id == "c1"
        assert machine.next_request() is None

    def test_known_nonce_saves_the_handshake(self) -> None:
        request = ask(ready())
        assert (request.url, request.headers["X-WP-Nonce"]) == (SUBMIT, NONCE)

    def test_stream_false_requests_json(self) -> None:
        request = ask(Turn(SITE, Submission("Hello", stream=False), Session(nonce="n")))
        assert request.headers["Accept"] == "application/json"
        assert sent_json(request)["stream"] is False

    def test_next_request_can_be_called_again(self) -> None:
        """The second call notices a change of the session by another turn."""
        session = Session()
        machine = turn(session)
        assert ask(machine) == ask(machine)
        session.nonce = "of-another-turn"
        assert route(ask(machine)) == "submit"
        assert ask(machine).headers["X-WP-Nonce"] == "of-another-turn"

    def test_events_are_returned_with_their_bytes(self) -> None:
        machine = ready()
        ask(machine)
        machine.receive_response(200, [])
        assert machine.receive_data(live("a") + b"\n") == [Text("a")]
        assert not machine.over
        assert machine.text == "a"
        assert machine.receive_data(b"\n" + live("b")) == []
        assert machine.receive_data(b"\n") == [Text("b")]
        (done,) = machine.receive_data(end() + b"\n")
        assert isinstance(done, Done)
        assert machine.over
        assert machine.receive_data(b"\nmore\n") == []
        assert machine.receive_eof() == []

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-WP-Nonce": "fresh"},
            [("x-wp-nonce", "fresh")],
            [(b"X-WP-NONCE", b"fresh")],
            {b"x-wp-nonce": b"fresh"},
            iter([("Server", "x"), ("X-Wp-Nonce", "fresh")]),
        ],
    )
    def test_headers_are_accepted_in_any_form(self, headers: Any) -> None:
        """A mapping or pairs, of str or bytes, with names in any case."""
        machine = ready()
        ask(machine)
        machine.receive_response(200, headers)
        assert machine._question._session.nonce == "fresh"

    def test_turns_without_a_session_do_not_share_one(self) -> None:
        answer(turn(), SESSION)
        assert route(ask(turn())) == "handshake"

    def test_empty_session_of_the_caller_is_shared(self) -> None:
        session = Session()
        answer(turn(session), SESSION)
        assert session == Session(NONCE, SESSION["sessionId"])

    @pytest.mark.parametrize("site", ["example.org", "ftp://x", "", None])
    def test_bad_site_address_is_refused(self, site: Any) -> None:
        with pytest.raises(InvalidInput):
            turn(site=site)

    @pytest.mark.parametrize("option", ["max_event_size", "max_body_size"])
    def test_bad_limit_is_refused(self, option: str) -> None:
        options: dict[str, Any] = {option: 1}
        with pytest.raises(InvalidInput):
            turn(**options)

    def test_limits_of_the_turn_apply_to_the_answer(self) -> None:
        machine = ready(max_event_size=100)
        error = failure(answer(machine, live("x" * 200)))
        assert isinstance(error, TooLarge)
        machine = ready(max_body_size=100)
        assert isinstance(failure(answer(machine, b"x" * 101)), TooLarge)

    def test_repr_names_the_state_without_secrets(self) -> None:
        machine = ready(nonce="secret")
        seen = [repr(machine)]
        ask(machine)
        machine.receive_response(200, [])
        seen.append(repr(machine))
        machine.receive_data(GOOD)
        seen.append(repr(machine))
        assert seen == [f"<Turn with {SITE}/wp-json, {state}>" for state in ("waiting", "reading", "over")]
        assert "secret" not in repr(machine._question._session)


class TestHandshakeAlone:
    """An Exchange without a call, which only searches for a nonce."""

    def test_handshake_replaces_the_nonce_of_the_session(self) -> None:
        session = Session(nonce="old", session_id="s")
        exchange = handshake(SITE, session)
        assert "X-WP-Nonce" not in ask(exchange).headers
        assert answer(exchange, SESSION) == []
        assert exchange.over
        assert session == Session(NONCE, SESSION["sessionId"])

    def test_handshake_fails_when_start_session_and_page_refuse(self) -> None:
        exchange = handshake(SITE)
        assert answer(exchange, NO_ROUTE, 404) == []
        exchange.next_request()
        events = [
            *exchange.receive_response(200, {}),
            *exchange.receive_data(b"<html></html>"),
            *exchange.receive_eof(),
        ]
        assert isinstance(failure(events), NotAiEngine)
        with pytest.raises(NotAiEngine):
            exchange.result()


class TestNonces:
    """Where nonces come from, and where they are sent."""

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"restNonce": "a"}, "a"),
            ({"restNonce": "a", "new_token": "b"}, "b"),
            ({"restNonce": "", "new_token": "b"}, "b"),
            ({"restNonce": "a", "new_token": ""}, "a"),
            ({"restNonce": "a", "new_token": 7}, "a"),
            ({"restNonce": "a", "new_token": None}, "a"),
            ({"restNonce": "a", "new_token": "b\r\nX-Evil: 1"}, "a"),
            ({"restNonce": "a", "new_token": "b c"}, "a"),
            ({"restNonce": "a", "new_token": "é"}, "a"),
            ({"restNonce": "a", "new_token": "b" * 129}, "a"),
            ({"restNonce": "a", "new_token": "b" * 128}, "b" * 128),
            ({"restNonce": "a", "new_token": ["b"]}, "a"),
        ],
    )
    def test_only_a_valid_nonce_of_a_handshake_is_stored(self, fields: dict[str, Any], expected: str) -> None:
        """``new_token`` wins over ``restNonce``."""
        session = Session()
        assert answer(turn(session), {"success": True, **fields}) == []
        assert session.nonce == expected

    @pytest.mark.parametrize(
        "nonce", ["", None, 12, True, ["a"], {"a": "b"}, "a\nb", "a\r", "a\0", " ", "\u2028", "a\n"]
    )
    def test_handshake_without_a_valid_nonce_fails_with_a_reason(self, nonce: Any) -> None:
        session = Session()
        machine = turn(session)
        error = failure(answer(machine, {"success": True, "restNonce": nonce}))
        assert type(error) is ProtocolError
        assert "no nonce" in str(error)
        assert session.nonce == ""
        assert machine.over
        assert machine.next_request() is None

    @pytest.mark.parametrize("header", ["", " ", "a b", "a\r\nb", "a" * 129, "é"])
    def test_malformed_nonce_in_a_header_is_ignored(self, header: str) -> None:
        session = Session(nonce="old")
        answer(turn(session), GOOD, headers={"X-WP-Nonce": header})
        assert session.nonce == "old"

    def test_nonce_header_of_any_answer_is_stored(self) -> None:
        session = Session(nonce="old")
        answer(turn(session), GOOD, headers={"X-WP-Nonce": "new"})
        assert session.nonce == "new"
        answer(turn(session), REJECTED, 403, {"X-WP-Nonce": "newer"})
        assert session.nonce == "newer"

    @pytest.mark.parametrize(
        "body", [end(reply="Hi", new_token="token") + b"\n\n", php({"success": True, "new_token": "token"}).encode()]
    )
    def test_new_token_of_an_answer_wins_over_the_header(self, body: bytes) -> None:
        session = Session(nonce="old")
        answer(turn(session), body, headers={"X-WP-Nonce": "header"})
        assert session.nonce == "token"

    @pytest.mark.parametrize("session_id", ["N/A", "", None, 5])
    def test_session_id_n_a_is_ignored(self, session_id: Any) -> None:
        session = Session(session_id="mine")
        answer(turn(session), SESSION | {"sessionId": session_id})
        assert session.session_id == "mine"
        machine = turn()
        answer(machine, SESSION | {"sessionId": session_id})
        assert sent_json(ask(machine))["session"] is None

    def test_one_handshake_serves_all_turns_of_a_session(self) -> None:
        session = Session()
        answer(turn(session), SESSION)
        for _ in range(3):
            machine = turn(session)
            assert ask(machine).headers["X-WP-Nonce"] == NONCE
            answer(machine, GOOD)

    @pytest.mark.parametrize("pretty", [None, 2])
    def test_stale_nonce_is_renewed_and_the_question_sent_again(self, pretty: int | None) -> None:
        """The renewal carries no nonce."""
        session = Session(nonce="stale")
        machine = turn(session)
        first = ask(machine)
        assert answer(machine, json.dumps(STALE, indent=pretty).encode(), 403) == []
        assert not machine.over
        assert session.nonce == ""
        handshake = ask(machine)
        assert (route(handshake), handshake.exclusive) == ("handshake", True)
        assert "X-WP-Nonce" not in handshake.headers
        assert answer(machine, SESSION) == []
        again = ask(machine)
        assert again.headers == {**first.headers, "X-WP-Nonce": NONCE}
        assert sent_json(again) == sent_json(first) | {"session": SESSION["sessionId"]}
        assert answer(machine, GOOD)[0] == Text("Hi")
        assert session.nonce == NONCE

    def test_second_refusal_of_a_nonce_ends_the_turn(self) -> None:
        machine = ready("stale", retries=5)
        assert answer(machine, STALE, 403) == []
        assert answer(machine, SESSION) == []
        error = failure(answer(machine, STALE, 403))
        assert type(error) is NonceRefused
        assert (error.status, error.code, error.message) == (403, STALE["code"], STALE["message"])
        assert machine.next_request() is None

    def test_handshake_refused_for_its_nonce_is_not_renewed(self) -> None:
        """Its request carries none."""
        machine = turn(retries=5)
        assert isinstance(failure(answer(machine, STALE, 403)), NonceRefused)
        machine = ready("stale")
        answer(machine, STALE, 403)
        assert isinstance(failure(answer(machine, STALE, 403)), NonceRefused)

    @pytest.mark.parametrize("body", [FORBIDDEN, FORBIDDEN | {"code": "rest_login_required"}, REJECTED])
    @pytest.mark.parametrize("status", [401, 403])
    def test_refusal_with_another_code_does_not_renew_the_nonce(self, body: Any, status: int) -> None:
        session = Session(nonce="good")
        machine = turn(session, retries=5)
        failure(answer(machine, body, status))
        assert machine.next_request() is None
        assert session.nonce == "good"

    @pytest.mark.parametrize("before", [live("Hi"), live("Hm", subtype="thinking"), b"data: null"])
    @pytest.mark.parametrize("whole", [True, False])
    def test_nonce_is_not_renewed_after_an_event(self, before: bytes, whole: bool) -> None:
        """The question was processed already, so it must not be sent twice."""
        machine = ready()
        ask(machine)
        machine.receive_response(200, [])
        events = []
        body = before + b"\n\n" + php(STALE).encode()
        for piece in [body] if whole else cut(body, [1]):
            events += machine.receive_data(piece)
        events += machine.receive_eof()
        assert isinstance(events[-1], Failed)
        assert isinstance(events[-1].error, NonceRefused)
        assert machine.over

    def test_refusal_of_an_old_nonce_keeps_the_new_nonce_of_another_turn(self) -> None:
        session = Session(nonce="old")
        slow, quick = turn(session), turn(session)
        ask(slow)
        answer(quick, STALE, 403)
        answer(quick, SESSION)
        slow.receive_response(403, [])
        slow.receive_data(php(STALE).encode())
        assert slow.receive_eof() == []
        assert session.nonce == NONCE
        again = ask(slow)
        assert (route(again), again.headers["X-WP-Nonce"]) == ("submit", NONCE)
        assert isinstance(answer(slow, GOOD)[-1], Done)

    def test_answer_stays_good_after_another_turn_dropped_the_nonce(self) -> None:
        session = Session(nonce="old")
        slow, quick = turn(session), turn(session)
        ask(slow)
        slow.receive_response(200, [])
        answer(quick, STALE, 403)
        assert session.nonce == ""
        events = slow.receive_data(GOOD)
        assert events[0] == Text("Hi")
        assert isinstance(events[1], Done)

    def test_nonce_in_the_header_of_a_refusal_is_used_at_once(self) -> None:
        machine = ready("stale")
        assert answer(machine, STALE, 403, {"X-WP-Nonce": "fresh"}) == []
        assert ask(machine).headers["X-WP-Nonce"] == "fresh"

    def test_refused_nonce_of_the_caller_is_an_error(self) -> None:
        machine = ready("ours", headers={"x-wp-nonce": "theirs"})
        assert {name.lower(): value for name, value in ask(machine).headers.items()}["x-wp-nonce"] == "theirs"
        events: list[Event] = []
        for _ in range(4):
            if machine.next_request() is None:
                break
            handshake = route(ask(machine)) == "handshake"
            events += answer(machine, SESSION) if handshake else answer(machine, STALE, 403)
        assert isinstance(failure(events), NonceRefused)

    def test_handshake_carries_no_nonce_of_the_caller(self) -> None:
        """WordPress refuses a stale nonce there too."""
        assert "x-wp-nonce" not in {name.lower() for name in ask(turn(headers={"X-wp-Nonce": "theirs"})).headers}

    @settings(max_examples=50)
    @given(cut_bodies(), statuses, header_sets)
    @example([live("a") + b"\n\n", error("no") + b"\n\n"], 200, {})
    @example([live("a") + b"\n\n", live("b")], 200, {})
    @example([b"data: null\n\n", b"{}"], 200, {})
    def test_text_in_the_answer_to_a_handshake_is_not_returned(
        self, pieces: list[bytes], status: int, headers: dict[str, str]
    ) -> None:
        machine = turn()
        ask(machine)
        machine.receive_response(status, headers)
        events = []
        for piece in pieces:
            events += machine.receive_data(piece)
        events += machine.receive_eof()
        assert [type(event) for event in events] in ([], [Failed])
        assert bool(events) == machine.over
        if events:
            assert isinstance(events[0], Failed)
            assert events[0].error.partial_text == ""


class TestRetries:
    """Which requests are sent again, when, and how often."""

    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize("nonce", ["", NONCE])
    def test_busy_answer_is_retried_after_a_growing_delay(self, status: int, nonce: str) -> None:
        machine = ready(nonce, retries=2)
        request = ask(machine)
        for delay in (0.5, 1.0):
            assert answer(machine, b"<html>Busy</html>", status) == []
            again = ask(machine)
            assert (again.url, again.body, again.headers) == (request.url, request.body, request.headers)
            assert again.delay == delay
        error = failure(answer(machine, b"<html>Busy</html>", status))
        assert error.status == status
        assert machine.next_request() is None

    def test_request_is_not_retried_by_default(self) -> None:
        assert isinstance(failure(answer(ready(), b"", 429)), RateLimited)
        assert isinstance(failure(answer(ready(), b"", 503)), StatusError)
        machine = ready()
        ask(machine)
        assert failure(machine.receive_error(ConnectionFailed("reset"))).args == ("reset",)

    @pytest.mark.parametrize(
        ("headers", "delay"),
        [
            ({"Retry-After": "0"}, 0.0),
            ({"Retry-After": "7"}, 7.0),
            ({"Retry-After": "30"}, 30.0),
            ({"Retry-After": "soon"}, 0.5),
            ({"Retry-After": "-1"}, 0.5),
            ({}, 0.5),
            (
                {"Retry-After": "Mon, 23 Nov 2026 02:22:18 GMT", "Date": "Mon, 23 Nov 2026 02:22:08 GMT"},
                10.0,
            ),
            ({"Retry-After": "Mon, 23 Nov 2026 02:22:18 GMT"}, 0.5),
        ],
    )
    @pytest.mark.parametrize("status", [429, 503])
    def test_retry_after_up_to_the_limit_is_the_delay(self, headers: dict[str, str], delay: float, status: int) -> None:
        machine = ready(retries=1)
        assert answer(machine, b"", status, headers) == []
        assert ask(machine).delay == delay
        assert answer(machine, GOOD)[0] == Text("Hi")

    @pytest.mark.parametrize("wait", ["31", "600", "9" * 20])
    def test_retry_after_above_the_limit_ends_the_turn(self, wait: str) -> None:
        assert LONGEST_WAIT == 30.0
        machine = ready(retries=5)
        error = failure(answer(machine, b"", 503, {"Retry-After": wait}))
        assert error.retry_after > 30

    def test_delay_is_for_one_request_only(self) -> None:
        machine = turn(retries=3)
        answer(machine, b"", 503)
        assert ask(machine).delay == 0.5
        assert answer(machine, SESSION) == []
        assert ask(machine).delay == 0.0

    def test_retries_of_handshake_and_question_are_counted_together(self) -> None:
        machine = turn(retries=2)
        answer(machine, b"", 503)
        ask(machine)
        assert machine.receive_error(ConnectionFailed("refused")) == []
        assert ask(machine).delay == 1.0
        answer(machine, SESSION)
        assert isinstance(failure(answer(machine, b"", 429)), RateLimited)

    @pytest.mark.parametrize(
        ("body", "status", "headers"),
        [
            (FATAL, 500, {}),
            ({"success": False, "message": "No."}, 500, {}),
            (b"", 500, {}),
            (b"", 502, {}),
            (b"", 504, {}),
            (b"", 520, {}),
            (NO_ROUTE, 404, {}),
            (b"<title>Just a moment...</title>", 503, {}),
            (b"", 503, {"cf-mitigated": "challenge"}),
            (b"", 429, {"cf-mitigated": "challenge"}),
            (error("busy"), 200, {}),
            ({"success": False, "message": "Busy"}, 503, {}),
            (b"", 200, {}),
        ],
    )
    def test_final_refusal_is_not_retried(self, body: Any, status: int, headers: dict[str, str]) -> None:
        """500 may be a decision of the site, and a challenge does not pass by itself."""
        machine = ready(retries=5)
        failure(answer(machine, body, status, headers))
        assert machine.next_request() is None

    def test_failed_connection_is_retried_after_a_growing_delay(self) -> None:
        machine = ready(retries=3)
        request = ask(machine)
        for delay in (0.5, 1.0, 2.0):
            assert machine.receive_error(ConnectionFailed("refused")) == []
            assert ask(machine).delay == delay
            assert ask(machine).body == request.body
        error = ConnectionFailed("refused for good")
        assert failure(machine.receive_error(error)) is error
        with pytest.raises(ConnectionFailed, match="for good"):
            machine.result()

    def test_final_failure_of_a_connection_is_not_retried(self) -> None:
        """A certificate stays bad, and a slow site may be working on the question."""
        certificate = ConnectionFailed("certificate")
        certificate.retryable = False
        for final in (certificate, TimedOut("first_byte", 120.0), TimedOut("total", 1.0)):
            machine = ready(retries=5)
            ask(machine)
            assert failure(machine.receive_error(final)) is final
        machine = ready(retries=5)
        ask(machine)
        assert machine.receive_error(TimedOut("connect", 10.0)) == []

    @pytest.mark.parametrize("fed", [b"", b"d", live("Hel") + b"\n\n", live("Hel") + b"\n\n" + live("lo")])
    def test_failure_after_the_head_is_not_retried(self, fed: bytes) -> None:
        """The site has begun to answer, so a retry would ask twice."""
        machine = ready(retries=5)
        ask(machine)
        machine.receive_response(200, [])
        machine.receive_data(fed)
        error = ConnectionFailed("reset")
        assert failure(machine.receive_error(error)) is error
        assert error.partial_text == ("Hel" if b"Hel" in fed else "")
        assert machine.over

    def test_cut_answer_is_an_error_with_the_text_so_far(self) -> None:
        machine = ready(retries=5)
        text, failed = answer(machine, live("Hel") + b"\n\n")
        assert text == Text("Hel")
        error = failure([failed])
        assert (type(error), error.partial_text) == (Truncated, "Hel")

    def test_retry_of_a_redirected_request_goes_to_the_target(self) -> None:
        machine = ready(retries=1)
        answer(machine, b"", 307, {"Location": "/other"})
        ask(machine)
        machine.receive_error(ConnectionFailed("reset"))
        assert ask(machine).url == f"{SITE}/other"

    @pytest.mark.parametrize("machine", [ready(retries=1), turn(retries=1)], ids=["question", "session"])
    def test_refusal_is_the_error_if_the_total_time_ends_before_its_retry(self, machine: Turn) -> None:
        """Other turns may have the time for a retry, so the failure is not shared."""
        ask(machine)
        assert answer(machine, {"code": "busy"}, 429, {"Retry-After": "20"}) == []
        assert ask(machine).delay == 20.0
        expired = TimedOut("total", 5.0)
        expired.before_request = True
        error = failure(machine.receive_error(expired))
        assert isinstance(error, RateLimited)
        assert (error.retry_after, error.http_status) == (20.0, 429)
        assert error.url.startswith(SITE)
        assert machine.over
        assert machine.shared_failure is None

    def test_total_time_that_ends_before_a_first_request_is_the_error(self) -> None:
        machine = ready()
        ask(machine)
        expired = TimedOut("total", 5.0)
        expired.before_request = True
        assert failure(machine.receive_error(expired)) is expired


class TestRedirects:
    """Which redirects of a question are followed."""

    @pytest.mark.parametrize("nonce", ["", NONCE])
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_redirect_to_the_same_address_is_followed(self, nonce: str, status: int) -> None:
        """Some sites set a cookie first."""
        machine = ready(nonce)
        request = ask(machine)
        assert answer(machine, b"<html>moved</html>", status, {"Location": request.url}) == []
        assert ask(machine) == request

    def test_question_after_a_renewal_goes_to_the_usual_address(self) -> None:
        """The target of a redirect is for the redirected request only."""
        machine = ready()
        answer(machine, b"", 307, {"Location": "/elsewhere"})
        assert ask(machine).url == "https://example.org/elsewhere"
        answer(machine, STALE, 403)
        assert ask(machine).url == START
        answer(machine, SESSION)
        assert ask(machine).url == SUBMIT

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    @pytest.mark.parametrize(
        ("site", "location", "root"),
        [
            ("https://example.org", "/en/wp-json/mwai-ui/v1/chats/submit", "https://example.org/en/wp-json"),
            ("https://example.org", "/wp-json/mwai-ui/v1/chats/submit/", "https://example.org/wp-json"),
            (
                "https://example.org",
                "/index.php?rest_route=/mwai-ui/v1/chats/submit",
                "https://example.org/index.php?rest_route=",
            ),
        ],
    )
    def test_redirect_to_the_same_route_on_the_site_moves_the_root_and_keeps_the_nonce(
        self, site: str, location: str, root: str, status: int
    ) -> None:
        session = Session(nonce=NONCE)
        machine = turn(session, site=site)
        body = ask(machine).body
        assert answer(machine, b"", status, {"location": location}) == []
        assert session == Session(NONCE, root=root)
        request = ask(machine)
        assert (request.url, request.body) == (urljoin(site, location), body)
        assert request.headers["X-WP-Nonce"] == NONCE
        answer(machine, GOOD)
        assert ask(turn(session, site=site)).url == f"{root}/mwai-ui/v1/chats/submit"

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    @pytest.mark.parametrize(
        ("site", "target"),
        [
            ("http://example.org", "https://example.org"),
            ("https://example.org", "https://www.example.org"),
            ("https://example.org", "https://example.org:8443"),
            ("http://example.org", "//other.org/sub"),
        ],
    )
    def test_redirect_to_another_origin_drops_nonce_and_credentials(self, site: str, target: str, status: int) -> None:
        session = Session(nonce="secret")
        theirs = {"Authorization": "Basic eA==", "COOKIE": "a=b", "Proxy-Authorization": "x", "X-Team": "blue"}
        machine = turn(session, site=site, headers=theirs)
        assert theirs.items() <= ask(machine).headers.items()
        location = f"{target}/wp-json/mwai-ui/v1/chats/submit"
        assert answer(machine, b"", status, {"Location": location}) == []
        root = f"{'http:' if target.startswith('//') else ''}{target}/wp-json"
        assert session == Session(root=root)
        handshake = ask(machine)
        assert handshake.url == f"{root}/mwai/v1/start_session"
        assert answer(machine, SESSION) == []
        request = ask(machine)
        assert request.url == f"{root}/mwai-ui/v1/chats/submit"
        assert request.headers["X-WP-Nonce"] == NONCE
        for sent in (handshake, request):
            assert sent.headers["X-Team"] == "blue"
            assert not {"authorization", "cookie", "proxy-authorization"} & {name.lower() for name in sent.headers}
        assert "X-WP-Nonce" not in handshake.headers
        assert isinstance(answer(machine, GOOD)[-1], Done)

    def test_nonce_of_the_caller_is_not_sent_to_another_origin(self) -> None:
        machine = ready(headers={"X-Wp-Nonce": "theirs"})
        answer(machine, b"", 308, {"Location": "https://other.org/wp-json/mwai-ui/v1/chats/submit"})
        assert "theirs" not in ask(machine).headers.values()
        answer(machine, SESSION)
        assert "theirs" not in ask(machine).headers.values()

    def test_redirect_of_the_handshake_moves_the_root_for_the_question(self) -> None:
        session = Session()
        machine = turn(session, site="http://example.org")
        answer(machine, b"", 301, {"Location": START})
        assert ask(machine).url == START
        answer(machine, SESSION)
        assert ask(machine).url == SUBMIT

    @pytest.mark.parametrize("status", [307, 308])
    def test_307_and_308_are_followed_to_any_address_of_the_site_once(self, status: int) -> None:
        session = Session(nonce=NONCE)
        machine = turn(session)
        body = ask(machine).body
        answer(machine, b"", status, {"Location": "?check=1"})
        request = ask(machine)
        assert (request.url, request.body) == (f"{SUBMIT}?check=1", body)
        assert request.headers["X-WP-Nonce"] == NONCE
        answer(machine, GOOD)
        assert session == Session(NONCE)

    @pytest.mark.parametrize("status", [307, 308])
    def test_target_of_a_redirected_handshake_is_not_used_for_the_question(self, status: int) -> None:
        machine = turn()
        answer(machine, b"", status, {"Location": "?check=1"})
        assert ask(machine).url == f"{START}?check=1"
        answer(machine, SESSION)
        assert ask(machine).url == SUBMIT

    def test_each_decision_is_returned_once(self) -> None:
        machine = ready(retries=1)
        assert machine.take_decisions() == []
        answer(machine, b"", 307, {"Location": "?check=1"})
        (redirected,) = machine.take_decisions()
        assert "307" in redirected
        answer(machine, b"", 503)
        (retried,) = machine.take_decisions()
        assert "retry" in retried
        assert machine.take_decisions() == []

    def test_endless_body_of_a_redirect_is_too_large_once(self) -> None:
        machine = ready(max_body_size=100)
        ask(machine)
        assert machine.receive_response(307, {"Location": SUBMIT}) == []
        assert machine.receive_data(b"x" * 100) == []
        assert isinstance(failure(machine.receive_data(b"x")), TooLarge)
        assert machine.over
        assert machine.receive_data(b"x") == machine.receive_eof() == []
        assert machine.next_request() is None
        with pytest.raises(TooLarge):
            machine.result()

    @pytest.mark.parametrize(
        ("status", "location"),
        [
            (302, "/wp-login.php"),
            (302, f"/wp-login.php?redirect_to={SUBMIT}"),
            (302, "/wp-login.php?redirect_to=/wp-json/mwai-ui/v1/chats/submit"),
            (302, "/wp-login.php?redirect_to=/index.php?rest_route=/mwai-ui/v1/chats/submit"),
            (302, "/login#/wp-json/mwai-ui/v1/chats/submit"),
            (301, "/"),
            (303, "/thanks"),
            (302, SUBMIT.replace("https", "http")),
            (308, SUBMIT.replace("https", "http")),
            (308, SUBMIT.replace("https", "HTTP")),
            (307, "https://other.org/"),
            (308, "https://other.org/wp-json/mwai/v1/start_session"),
            (301, "https://[::1"),
            (301, "https://example.org:99999/wp-json/mwai-ui/v1/chats/submit"),
            (301, "ftp://example.org/wp-json/mwai-ui/v1/chats/submit"),
            (301, "javascript:/mwai-ui/v1/chats/submit"),
        ],
    )
    def test_redirect_to_a_forbidden_target_ends_the_turn_and_names_it(self, status: int, location: str) -> None:
        session = Session(nonce=NONCE)
        machine = turn(session, retries=5)
        error = failure(answer(machine, b"<html>Moved</html>", status, {"Location": location}))
        assert (type(error), error.status) == (StatusError, status)
        assert ("only members" if "login" in location else location) in str(error)
        assert session == Session(NONCE)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_redirect_without_a_location_is_a_refusal(self, status: int) -> None:
        error = failure(answer(ready(), b"<title>Moved</title>", status))
        assert (type(error), error.status, error.message) == (StatusError, status, "Moved")

    @pytest.mark.parametrize("status", [200, 300, 304, 404])
    def test_location_of_another_status_is_ignored(self, status: int) -> None:
        events = answer(ready(), GOOD, status, {"Location": SUBMIT})
        assert events[0] == Text("Hi")
        assert isinstance(events[1], Done)

    def test_sixth_redirect_ends_the_turn(self) -> None:
        machine = ready()
        for _ in range(5):
            assert answer(machine, b"", 307, {"Location": SUBMIT}) == []
        error = failure(answer(machine, b"", 307, {"Location": SUBMIT}))
        assert (type(error), error.status) == (StatusError, 307)

    def test_events_in_the_body_of_a_redirect_are_ignored(self) -> None:
        machine = ready()
        assert answer(machine, GOOD, 307, {"Location": SUBMIT}) == []
        assert machine.text == ""
        assert not machine.over


class TestHeaders:
    """The headers of the caller."""

    @pytest.mark.parametrize("name", ["User-Agent", "user-agent", "USER-AGENT"])
    def test_header_of_the_caller_replaces_the_default_in_any_case(self, name: str) -> None:
        for machine in (turn(headers={name: "mine"}), ready(headers={name: "mine"})):
            headers = ask(machine).headers
            assert [value for key, value in headers.items() if key.lower() == "user-agent"] == ["mine"]
            assert headers[name] == "mine"

    def test_every_default_header_can_be_replaced(self) -> None:
        theirs = {"accept": "a", "accept-encoding": "b", "content-type": "c", "user-agent": "d"}
        assert ask(ready(headers=theirs)).headers == theirs | {"X-WP-Nonce": NONCE}

    def test_headers_of_the_caller_are_copied(self) -> None:
        theirs = {"X-Team": "blue"}
        machine = ready(headers=theirs)
        theirs["X-Team"] = "red"
        assert ask(machine).headers["X-Team"] == "blue"
        assert theirs == {"X-Team": "red"}

    def test_password_is_sent_with_handshake_and_question(self) -> None:
        machine = turn(headers={"Authorization": "Basic eA=="})
        assert ask(machine).headers["Authorization"] == "Basic eA=="
        answer(machine, SESSION)
        assert ask(machine).headers["Authorization"] == "Basic eA=="


class TestExplanations:
    """Hints and advice that the package adds to an error."""

    @pytest.mark.parametrize(
        ("size", "hint"),
        [(513, "513 characters; bots accept 512"), (512, "no such bot"), (5, "no such bot")],
    )
    @pytest.mark.parametrize("body", [REJECTED, error(REJECTED["message"]) + b"\n\n"])
    def test_rejected_question_has_a_hint(self, size: int, hint: str, body: Any) -> None:
        """The site's text is the same for two reasons."""
        machine = turn(Session(nonce="n"), "x" * size)
        refused = failure(answer(machine, body, 403 if isinstance(body, dict) else 200))
        assert (type(refused), refused.message) == (ServerError, REJECTED["message"])
        assert hint in refused.hint
        assert str(refused) == f"{refused.message} [{refused.hint}]"

    def test_other_errors_have_no_hint(self) -> None:
        refused = failure(answer(ready(), error("The model is asleep.")))
        assert (refused.hint, str(refused)) == ("", "The model is asleep.")

    def test_plugins_text_for_a_reached_limit_is_limit_reached(self) -> None:
        """An owner's own text is a ServerError."""
        refused = failure(answer(ready(), error("You have reached the limit.")))
        assert type(refused) is LimitReached
        assert type(failure(answer(ready(), error("Come back tomorrow.")))) is ServerError


class TestTextBeforeARefusal:
    """A question is not sent again after a part of its answer was returned."""

    def test_busy_answer_with_text_is_not_retried(self) -> None:
        machine = ready(retries=3)
        ask(machine)
        machine.receive_response(503, [])
        assert machine.receive_data(live("Hel").rstrip()) == []
        text, failed = machine.receive_eof()
        assert text == Text("Hel")
        assert isinstance(failed, Failed)
        assert failed.error.partial_text == "Hel"
        assert machine.next_request() is None


class TestResults:
    """``result()``, and the order of method calls."""

    def test_result_before_the_end_raises_with_the_text_so_far(self) -> None:
        machine = ready()
        ask(machine)
        machine.receive_response(200, [])
        machine.receive_data(live("Hel") + b"\n")
        with pytest.raises(InvalidState, match="read the stream to its end") as caught:
            machine.result()
        assert caught.value.partial_text == "Hel"

    def test_result_raises_the_error_of_failed_each_time(self) -> None:
        machine = ready()
        error = failure(answer(machine, NO_ROUTE, 404))
        for _ in range(2):
            with pytest.raises(NotAiEngine) as caught:
                machine.result()
            assert caught.value is error

    @pytest.mark.parametrize("calls", ["response", "data", "eof", "error"])
    def test_receive_methods_without_a_request_raise_invalid_state(self, calls: str) -> None:
        for machine in (turn(), ready()):
            with pytest.raises(InvalidState):
                call(machine, calls)
        machine = turn()
        answer(machine, SESSION)
        with pytest.raises(InvalidState):
            call(machine, calls)
        assert route(ask(machine)) == "submit"
        assert isinstance(answer(machine, GOOD)[-1], Done)

    def test_challenge_in_front_of_the_site_is_blocked(self) -> None:
        assert isinstance(failure(answer(ready(), b"<title>Just a moment...</title>", 403)), Blocked)


def call(machine: Drivable, name: str) -> Any:
    return {
        "response": lambda: machine.receive_response(200, []),
        "data": lambda: machine.receive_data(GOOD),
        "eof": machine.receive_eof,
        "error": lambda: machine.receive_error(ConnectionFailed("reset")),
    }[name]()


def fed_turn(pieces: Iterable[bytes], status: int, headers: dict[str, str], *, ended: bool) -> tuple[Turn, list[Event]]:
    """Return a turn that was given these pieces as the answer to its question, and its events."""
    machine = ready(retries=1)
    ask(machine)
    events = machine.receive_response(status, headers)
    for piece in pieces:
        events += machine.receive_data(piece)
    return machine, events + (machine.receive_eof() if ended else [])


class TestForAnyAnswer:
    """Properties for any bytes of an answer."""

    @settings(max_examples=200)
    @given(cut_bodies(), statuses, header_sets)
    @example([php(STALE).encode()], 403, {})
    @example([live("a") + b"\n\n", php(STALE).encode()], 200, {})
    @example([b"data: null\n\n", php(STALE).encode()], 403, {})
    @pytest.mark.slow
    def test_cuts_change_neither_events_nor_reactions(
        self, pieces: list[bytes], status: int, headers: dict[str, str]
    ) -> None:
        machine = ready(retries=1)
        ask(machine)
        events = machine.receive_response(status, headers)
        fed = b""
        for piece in pieces:
            events += machine.receive_data(piece)
            fed += piece
            at_once, expected = fed_turn([fed], status, headers, ended=False)
            assert as_tuples(events) == as_tuples(expected)
            assert machine.over == at_once.over
        events += machine.receive_eof()
        at_once, expected = fed_turn([fed], status, headers, ended=True)
        assert as_tuples(events) == as_tuples(expected)
        assert machine.next_request() == at_once.next_request()
        assert asdict(machine._question._session) == asdict(at_once._question._session)

    @settings(max_examples=200)
    @given(st.lists(st.tuples(cut_bodies(bodies(max_lines=3)), statuses, header_sets), max_size=12), st.integers(0, 3))
    @example([([live("a") + b"\n", b"data: " + b"[" * 100_000 + b"\n"], 200, {})] * 2, 0)
    @pytest.mark.slow
    def test_any_answers_end_the_turn_once_without_an_exception(
        self, answers: list[tuple[list[bytes], int, dict[str, str]]], retries: int
    ) -> None:
        machine, events, number = turn(retries=retries), [], 0
        while (request := machine.next_request()) is not None:
            pieces, status, headers = answers[number % len(answers)] if answers else ([], 200, {})
            number += 1
            assert request.delay <= LONGEST_WAIT
            assert request.url.startswith(("http://", "https://"))
            assert not any("\r" in value or "\n" in value for value in request.headers.values())
            events += machine.receive_response(status, headers)
            for piece in pieces:
                events += machine.receive_data(piece)
            events += machine.receive_eof()
        ends = [place for place, event in enumerate(events) if isinstance(event, Done | Failed)]
        assert ends == [len(events) - 1]
        assert number <= 2 + retries + 5 + 3 + 5


def state_of(machine: Any) -> Any:
    """Return the whole state of a machine as plain values."""
    if isinstance(machine, StringIO):
        return machine.getvalue()
    if isinstance(machine, dict):
        return {key: state_of(value) for key, value in machine.items()}
    if isinstance(machine, list | tuple):
        return [state_of(value) for value in machine]
    if not type(machine).__module__.startswith("chatgpt4online") or isinstance(machine, Enum):
        return bytes(machine) if isinstance(machine, bytearray) else machine
    names = [name for kind in type(machine).__mro__ for name in getattr(kind, "__slots__", ())]
    return {name: state_of(getattr(machine, name)) for name in [*names, *getattr(machine, "__dict__", ())]}


machine_bodies = st.one_of(
    bodies(max_lines=2),
    st.sampled_from([php(SESSION).encode(), php(STALE).encode(), GOOD, live("a") + b"\n\n", error("no") + b"\n\n"]),
    st.sampled_from([RARE["fatal"], RARE["end"] + b"\n", b""]),
)


class TurnMachine(RuleBasedStateMachine):
    """Methods in any order: a call out of order raises and changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = turn(retries=1)
        self.events: list[Event] = []
        self.state = "idle"  # or "asked", or "reading"

    @property
    def over(self) -> bool:
        return any(isinstance(event, Done | Failed) for event in self.events)

    def expect(self, legal: bool, method: Any, *arguments: Any) -> bool:
        """Call a method, and return whether the call was legal."""
        before = state_of(self.machine)
        if not legal:
            with pytest.raises(InvalidState):
                method(*arguments)
            assert state_of(self.machine) == before
            return False
        was_over = self.over
        events = method(*arguments)
        assert not (was_over and events)
        self.events += events
        return True

    @rule()
    def next_request(self) -> None:
        if self.state == "reading" and not self.over:
            self.expect(False, self.machine.next_request)
        elif self.over:
            assert self.machine.next_request() is None
        else:
            request = self.machine.next_request()
            assert request is not None
            assert self.machine.next_request() == request
            self.state = "asked"

    @rule(status=statuses, headers=header_sets)
    def receive_response(self, status: int, headers: dict[str, str]) -> None:
        if self.expect(self.state == "asked" and not self.over, self.machine.receive_response, status, headers):
            self.state = "reading"

    @rule()
    def receive_good_response(self) -> None:
        self.receive_response(200, {})

    @rule(data=machine_bodies)
    def receive_data(self, data: bytes) -> None:
        self.expect(self.state == "reading", self.machine.receive_data, data)

    @rule()
    def receive_eof(self) -> None:
        if self.expect(self.state == "reading", self.machine.receive_eof):
            self.state = "idle"

    @rule(retryable=st.booleans())
    def receive_error(self, retryable: bool) -> None:
        problem = ConnectionFailed("reset")
        problem.retryable = retryable
        if self.expect(self.state in ("asked", "reading") and not self.over, self.machine.receive_error, problem):
            self.state = "idle"

    @invariant()
    def is_legal(self) -> None:
        ends = [number for number, event in enumerate(self.events) if isinstance(event, Done | Failed)]
        assert ends in ([], [len(self.events) - 1])
        assert self.machine.over == self.over
        assert all(isinstance(event, Text | Notice | Done | Failed) for event in self.events)
        assert repr(self.machine).startswith("<Turn with http")
        if not self.over:
            with pytest.raises(InvalidState):
                self.machine.result()


TestTurnMachine = TurnMachine.TestCase
TestTurnMachine.settings = settings(max_examples=200, stateful_step_count=25)
