"""The policies, tested as values without driving a call."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online import (
    Blocked,
    NotAiEngine,
    ProtocolError,
    Request,
    ServerError,
    Session,
    StatusError,
    Submission,
    TimedOut,
    TooLarge,
    Turn,
)
from chatgpt4online.protocol.calls.policies import (
    LONGEST_WAIT,
    REACTIONS,
    TABLE,
    Handshake,
    Reaction,
    Redirect,
    Redirects,
    Refusal,
    Retries,
    Step,
    classify,
)
from chatgpt4online.protocol.calls.roots import START_SESSION, SUBMIT, RootSearch
from chatgpt4online.protocol.parsing.bodies import refusal
from chatgpt4online.protocol.parsing.errors import ChatError, ConnectionFailed

from .strategies import NO_ROUTE, SESSION, STALE, end, live, php

SITE = "https://example.org"
POST = Request("POST", f"{SITE}/wp-json{SUBMIT}", {"X-WP-Nonce": "n"})
LOGIN = replace(POST, headers={"authorization": "Basic x"})


WEIGHTS = (
    ProtocolError("no nonce"),
    NotAiEngine(404),
    NotAiEngine(404, "rest_no_route"),
    StatusError(500),
    Blocked(403),
)
"""Errors of a search, the least telling first."""


class TestTable:
    """What follows each refusal, as the protocol document has it."""

    @pytest.mark.parametrize("step", Step)
    def test_every_step_retries_what_never_arrived(self, step: Step) -> None:
        assert REACTIONS[step, Refusal.CONNECTION_FAILED] == (Reaction.RETRY,)
        assert REACTIONS[step, Refusal.BUSY] == (Reaction.RETRY,)

    @pytest.mark.parametrize("step", Step)
    @pytest.mark.parametrize("refused", [Refusal.BLOCKED, Refusal.OTHER])
    def test_blocks_and_unknown_refusals_end_the_call(self, step: Step, refused: Refusal) -> None:
        assert (step, refused) not in REACTIONS

    def test_only_the_call_renews_its_nonce(self) -> None:
        """The requests that fetch a nonce carry none that could be stale."""
        assert {step for (step, _), reactions in REACTIONS.items() if Reaction.RENEW in reactions} == {Step.CALL}

    def test_every_step_at_a_root_searches_for_another(self) -> None:
        searching = {step for (step, _), reactions in REACTIONS.items() if Reaction.NEXT_ROOT in reactions}
        assert searching == {Step.START_SESSION, Step.CALL, Step.OPEN_CALL}

    def test_a_call_that_may_have_been_processed_is_not_asked_elsewhere(self) -> None:
        """A page in place of the API means that nothing was processed. Any other strange answer says nothing."""
        for step in (Step.CALL, Step.OPEN_CALL):
            assert (step, Refusal.NOT_AN_API) not in REACTIONS

    def test_rows_have_steps_and_reactions(self) -> None:
        assert all(steps and reactions for steps, _, reactions in TABLE)


@pytest.mark.parametrize(
    ("error", "request_", "expected"),
    [
        (ConnectionFailed("reset"), POST, Refusal.CONNECTION_FAILED),
        (TimedOut("connect", 1), POST, Refusal.CONNECTION_FAILED),
        (TimedOut("first_byte", 1), POST, Refusal.OTHER),
        (refusal(403, "rest_cookie_invalid_nonce", "", {}), POST, Refusal.STALE_NONCE),
        (refusal(403, "rest_cookie_invalid_nonce", "", {}), LOGIN, Refusal.STALE_NONCE),
        (refusal(401, "rest_forbidden", "", {}), POST, Refusal.FORBIDDEN),
        (refusal(401, "rest_forbidden", "", {}), LOGIN, Refusal.FORBIDDEN_WITH_PASSWORD),
        (refusal(429, "", "", {}), POST, Refusal.BUSY),
        (refusal(503, "", "", {}), POST, Refusal.BUSY),
        (refusal(503, "", "", {"cf-mitigated": "challenge"}), POST, Refusal.BLOCKED),
        (refusal(404, "", "", {}), POST, Refusal.NOT_FOUND),
        (refusal(404, "rest_no_route", "", {}), POST, Refusal.NO_ROUTE),
        (refusal(500, "", "", {}), POST, Refusal.NOT_AN_API),
        (refusal(500, "internal_server_error", "", {}), POST, Refusal.OTHER),
        (ProtocolError("?"), POST, Refusal.NOT_AN_API),
        (TooLarge("?"), POST, Refusal.OTHER),
        (ServerError("?"), POST, Refusal.OTHER),
    ],
)
def test_each_error_is_one_kind_of_refusal(error: ChatError, request_: Request, expected: Refusal) -> None:
    assert classify(error, request_) is expected


class TestRetries:
    """How often a request is sent again, and after how long."""

    def test_delays_double(self) -> None:
        retries: Retries | None = Retries(3)
        delays = []
        while retries is not None:
            delays.append(retries.delay)
            retries = retries.after(None)
        assert delays == [0.0, 0.5, 1.0, 2.0]

    @given(st.floats(0, LONGEST_WAIT))
    def test_the_server_says_how_long(self, wait: float) -> None:
        retries = Retries(1).after(wait)
        assert retries is not None
        assert retries.delay == wait

    @given(st.floats(LONGEST_WAIT, 10**9, exclude_min=True))
    def test_a_long_wait_is_left_to_the_caller(self, wait: float) -> None:
        assert Retries(5).after(wait) is None

    def test_an_answer_ends_the_wait(self) -> None:
        retries = Retries(1).after(7.0)
        assert retries is not None
        assert retries.answered() == Retries(0, 1)


class TestRedirects:
    """Where a redirect is followed."""

    @pytest.mark.parametrize(
        ("status", "location", "expected"),
        [
            (301, "https://www.example.org/wp-json" + SUBMIT, "https://www.example.org/wp-json"),
            (308, "/blog/wp-json" + SUBMIT, f"{SITE}/blog/wp-json"),
            (302, "/index.php?rest_route=" + SUBMIT, f"{SITE}/index.php?rest_route="),
        ],
    )
    def test_to_the_same_route(self, status: int, location: str, expected: str) -> None:
        redirect = Redirect.of(POST, status, location, SUBMIT)
        assert redirect is not None
        assert redirect.root == expected
        assert redirect.leaves_origin == ("www" in location)

    @pytest.mark.parametrize("status", [301, 302, 303])
    def test_a_post_is_not_turned_into_another_request(self, status: int) -> None:
        assert Redirect.of(POST, status, "/wp-login.php", SUBMIT) is None

    def test_to_any_address_of_the_origin_if_the_status_keeps_the_method(self) -> None:
        assert Redirect.of(POST, 307, "/other", SUBMIT) == Redirect("", f"{SITE}/other", False, False)
        assert Redirect.of(POST, 307, "https://other.org/other", SUBMIT) is None

    @pytest.mark.parametrize("location", ["http://example.org/wp-json" + SUBMIT, "ftp://x", "http://[", ""])
    def test_never_without_tls_or_to_no_web_address(self, location: str) -> None:
        redirect = Redirect.of(POST, 307, location, SUBMIT)
        assert redirect is None or redirect.address == POST.url  # an empty reference is the same address

    @pytest.mark.parametrize(
        ("location", "is_plain"),
        [(SUBMIT, True), (f"{SUBMIT}/", False), (f"{SUBMIT}?a=1", False), (f"{SUBMIT}#a", False)],
    )
    def test_what_a_target_adds_to_the_route_is_kept(self, location: str, is_plain: bool) -> None:
        redirect = Redirect.of(POST, 301, "/wp-json" + location, SUBMIT)
        assert redirect is not None
        assert (redirect.root, redirect.is_plain) == (f"{SITE}/wp-json", is_plain)
        redirects = Redirects().follow(redirect, Step.CALL)
        assert redirects is not None
        assert redirects.address_for(Step.CALL) == ("" if is_plain else f"{SITE}/wp-json{location}")

    @given(st.sampled_from(Step), st.sampled_from(Step))
    def test_a_target_belongs_to_the_request_that_it_answered(self, redirected: Step, asked: Step) -> None:
        redirects = Redirects().follow(Redirect("", "https://other.org/", False, True), redirected)
        assert redirects is not None
        assert redirects.address_for(asked) == ("https://other.org/" if asked is redirected else "")
        assert redirects.answered().address_for(asked) == ""

    def test_five_at_most(self) -> None:
        redirects: Redirects | None = Redirects()
        number = 0
        while redirects is not None:
            redirects = redirects.follow(Redirect("", f"{SITE}/{number}", False, False), Step.PAGE)
            number += 1
        assert number == 6


class TestHandshake:
    """How a nonce is fetched."""

    def test_a_login_by_cookie_asks_the_page_and_then_wordpress(self) -> None:
        login = Handshake.of(by_cookie=True)
        assert login.source is Step.PAGE
        at_wordpress = login.after_page()
        assert at_wordpress is not None
        assert at_wordpress.source is Step.LOGIN_NONCE
        assert at_wordpress.after_page() is None

    def test_a_visitor_asks_the_site_and_then_the_page(self) -> None:
        visitor = Handshake.of(by_cookie=False)
        assert visitor.source is Step.START_SESSION
        assert visitor.at_page().source is Step.PAGE
        assert visitor.at_page().after_page() is None

    def test_one_renewal(self) -> None:
        renewed = Handshake.of(by_cookie=False).at_page().renewed("n")
        assert renewed == Handshake(by_cookie=False, source=Step.START_SESSION, has_renewed=True, refused_nonce="n")
        assert renewed.renewed("n") is None

    @pytest.mark.parametrize("errors", list(permutations(WEIGHTS)), ids=str)
    def test_the_most_telling_error_is_raised_in_any_order(self, errors: tuple[ChatError, ...]) -> None:
        *before, last = errors
        handshake = Handshake.of(by_cookie=False)
        for error in before:
            handshake = handshake.with_refusal(error)
        assert handshake.most_helpful(last) is WEIGHTS[-1]

    def test_of_two_that_tell_as_much_the_first_is_raised(self) -> None:
        first, later = NotAiEngine(404), NotAiEngine(410)
        assert Handshake.of(by_cookie=False).with_refusal(first).most_helpful(later) is first


class TestRootSearch:
    """The places where the REST API may be."""

    def test_each_place_once(self) -> None:
        search, tried = RootSearch.of(SITE), []
        while search.candidates:
            tried.append(search.root)
            search = search.next(search.root)
        assert tried == [f"{SITE}/wp-json", f"{SITE}/index.php?rest_route=", f"{SITE}/?rest_route="]
        assert search.root == search.usual

    def test_a_named_place_is_next_once(self) -> None:
        search = RootSearch.of(SITE)
        search = search.next(search.root, f"{SITE}/api")
        assert search.root == f"{SITE}/api"
        assert search.next(search.root, f"{SITE}/api").root == f"{SITE}/index.php?rest_route="

    def test_a_known_place_that_has_no_api_any_more_is_left(self) -> None:
        search = RootSearch.of(SITE).next(f"{SITE}/old/wp-json")
        assert search.candidates == RootSearch.of(SITE).candidates
        assert search.moved(search.root, f"{SITE}/old/wp-json") is None

    def test_no_place_is_tried_twice_after_a_move(self) -> None:
        search = RootSearch.of(SITE)
        usual = search.usual
        moved = search.moved(usual, "https://api.example.net/wp-json")
        assert moved is not None
        assert usual not in moved.next("https://api.example.net/wp-json").candidates

    @given(st.lists(st.sampled_from(["", *(f"{SITE}/{number}/api" for number in range(20))]), min_size=40))
    def test_every_search_ends(self, named: list[str]) -> None:
        search, asked = RootSearch.of(SITE), []
        while search.candidates:
            asked.append(search.root)
            search = search.next(search.root, named[len(asked)])
        assert len(asked) == len(set(asked)) <= 9


class TestDecisions:
    """What the core tells of its decisions, for logging."""

    def test_a_retry_and_a_renewal_are_told_once_without_secrets(self) -> None:
        turn = Turn(SITE, Submission("Hi"), Session("old-secret"), retries=1)
        said = []
        for status, body in ((503, b""), (403, php(STALE)), (200, php(SESSION)), (200, live("a") + b"\n" + end())):
            assert turn.next_request() is not None
            turn.receive_response(status, {})
            turn.receive_data(body if isinstance(body, bytes) else body.encode())
            turn.receive_eof()
            said.append(turn.take_decisions())
        assert [len(lines) for lines in said] == [1, 1, 0, 0]
        assert "retry" in said[0][0]
        assert "renew" in said[1][0]
        assert "secret" not in str(said)

    def test_a_place_and_a_redirect_are_told(self) -> None:
        turn = Turn(SITE, Submission("Hi"))
        for status, headers, body in (
            (307, {"Location": f"/wp-json{START_SESSION}?token=secret"}, b""),
            (404, {}, php(NO_ROUTE).encode()),
        ):
            assert turn.next_request() is not None
            turn.receive_response(status, headers)
            turn.receive_data(body)
            turn.receive_eof()
        assert turn.take_decisions() == [
            f"HTTP 307: redirected to {SITE}/wp-json{START_SESSION}",
            "start_session: rest_no_route: ask the page",
        ]
