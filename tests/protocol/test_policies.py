"""The policies as values: no test here drives a call."""

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

from ..support.strategies import NO_ROUTE, SESSION, STALE, end, live, php

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
    """The table of reactions."""

    @pytest.mark.parametrize("step", Step)
    def test_every_step_retries_failed_connections_and_busy_servers(self, step: Step) -> None:
        assert REACTIONS[step, Refusal.CONNECTION_FAILED] == (Reaction.RETRY,)
        assert REACTIONS[step, Refusal.BUSY] == (Reaction.RETRY,)

    @pytest.mark.parametrize("step", Step)
    @pytest.mark.parametrize("refused", [Refusal.BLOCKED, Refusal.OTHER])
    def test_blocks_and_unknown_refusals_end_the_call(self, step: Step, refused: Refusal) -> None:
        assert (step, refused) not in REACTIONS

    def test_only_the_call_renews_its_nonce(self) -> None:
        """The requests of the search carry no nonce that could be stale."""
        assert {step for (step, _), reactions in REACTIONS.items() if Reaction.RENEW in reactions} == {Step.CALL}

    def test_steps_under_the_rest_root_try_the_next_root(self) -> None:
        searching = {step for (step, _), reactions in REACTIONS.items() if Reaction.NEXT_ROOT in reactions}
        assert searching == {Step.START_SESSION, Step.CALL, Step.CALL_WITHOUT_NONCE}

    def test_call_that_may_have_been_processed_is_not_sent_to_another_root(self) -> None:
        """A page in place of the API means that nothing was processed.

        After another strange answer this is not known.
        """
        for step in (Step.CALL, Step.CALL_WITHOUT_NONCE):
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
        (refusal(401, "rest_forbidden", "", {}), POST, Refusal.NONCE_FORBIDDEN),
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
def test_error_is_classified_as_one_kind_of_refusal(error: ChatError, request_: Request, expected: Refusal) -> None:
    assert classify(error, request_) is expected


def busy(wait: float) -> StatusError:
    return StatusError(503, retry_after=wait)


class TestRetries:
    """How often a request is sent again, and after which delay."""

    def test_delay_doubles_with_each_retry(self) -> None:
        retries: Retries | None = Retries(3)
        delays = []
        while retries is not None:
            delays.append(retries.delay)
            retries = retries.after(ConnectionFailed("gone"))
        assert delays == [0.0, 0.5, 1.0, 2.0]

    @given(st.floats(0, LONGEST_WAIT))
    def test_retry_after_of_the_server_is_the_delay(self, wait: float) -> None:
        retries = Retries(1).after(busy(wait))
        assert retries is not None
        assert retries.delay == wait

    @given(st.floats(LONGEST_WAIT, 10**9, exclude_min=True))
    def test_retry_after_above_the_limit_ends_the_call(self, wait: float) -> None:
        assert Retries(5).after(busy(wait)) is None

    def test_answer_resets_the_delay(self) -> None:
        retries = Retries(1).after(busy(7.0))
        assert retries is not None
        assert retries.without_delay() == Retries(0, 1)


class TestRedirects:
    """Which redirects are followed."""

    @pytest.mark.parametrize(
        ("status", "location", "expected"),
        [
            (301, "https://www.example.org/wp-json" + SUBMIT, "https://www.example.org/wp-json"),
            (308, "/blog/wp-json" + SUBMIT, f"{SITE}/blog/wp-json"),
            (302, "/index.php?rest_route=" + SUBMIT, f"{SITE}/index.php?rest_route="),
        ],
    )
    def test_redirect_to_the_same_route_gives_its_root(self, status: int, location: str, expected: str) -> None:
        redirect = Redirect.of(POST, status, location, SUBMIT)
        assert redirect is not None
        assert redirect.root == expected
        assert redirect.leaves_origin == ("www" in location)

    @pytest.mark.parametrize("status", [301, 302, 303])
    def test_post_is_not_followed_to_another_route(self, status: int) -> None:
        assert Redirect.of(POST, status, "/wp-login.php", SUBMIT) is None

    def test_307_is_followed_to_any_address_of_the_origin(self) -> None:
        assert Redirect.of(POST, 307, "/other", SUBMIT) == Redirect("", f"{SITE}/other", False, False)
        assert Redirect.of(POST, 307, "https://other.org/other", SUBMIT) is None

    @pytest.mark.parametrize("location", ["http://example.org/wp-json" + SUBMIT, "ftp://x", "http://[", ""])
    def test_redirect_without_tls_or_to_a_bad_address_is_not_followed(self, location: str) -> None:
        redirect = Redirect.of(POST, 307, location, SUBMIT)
        assert redirect is None or redirect.address == POST.url  # an empty reference is the same address

    @pytest.mark.parametrize(
        ("location", "is_exact"),
        [(SUBMIT, True), (f"{SUBMIT}/", False), (f"{SUBMIT}?a=1", False), (f"{SUBMIT}#a", False)],
    )
    def test_slash_and_query_of_a_target_are_kept(self, location: str, is_exact: bool) -> None:
        redirect = Redirect.of(POST, 301, "/wp-json" + location, SUBMIT)
        assert redirect is not None
        assert (redirect.root, redirect.is_exact) == (f"{SITE}/wp-json", is_exact)
        redirects = Redirects().follow(redirect, Step.CALL)
        assert redirects is not None
        assert redirects.address_for(Step.CALL) == ("" if is_exact else f"{SITE}/wp-json{location}")

    @given(st.sampled_from(Step), st.sampled_from(Step))
    def test_target_is_used_for_the_redirected_step_only(self, redirected: Step, asked: Step) -> None:
        redirects = Redirects().follow(Redirect("", "https://other.org/", False, True), redirected)
        assert redirects is not None
        assert redirects.address_for(asked) == ("https://other.org/" if asked is redirected else "")
        assert redirects.without_address().address_for(asked) == ""

    def test_sixth_redirect_is_not_followed(self) -> None:
        redirects: Redirects | None = Redirects()
        number = 0
        while redirects is not None:
            redirects = redirects.follow(Redirect("", f"{SITE}/{number}", False, False), Step.PAGE)
            number += 1
        assert number == 6


class TestHandshake:
    """The search for a nonce."""

    def test_login_by_cookie_asks_the_page_and_then_wordpress(self) -> None:
        login = Handshake.of(by_cookie=True)
        assert login.source is Step.PAGE
        at_wordpress = login.after_page()
        assert at_wordpress is not None
        assert at_wordpress.source is Step.LOGIN_NONCE
        assert at_wordpress.after_page() is None

    def test_guest_asks_start_session_and_then_the_page(self) -> None:
        visitor = Handshake.of(by_cookie=False)
        assert visitor.source is Step.START_SESSION
        assert visitor.at_page().source is Step.PAGE
        assert visitor.at_page().after_page() is None

    def test_nonce_is_renewed_once(self) -> None:
        renewed = Handshake.of(by_cookie=False).at_page().renewed("n")
        assert renewed == Handshake(by_cookie=False, source=Step.START_SESSION, has_renewed=True, refused_nonce="n")
        assert renewed.renewed("n") is None

    @pytest.mark.parametrize("errors", list(permutations(WEIGHTS)), ids=str)
    def test_most_helpful_error_is_raised_in_any_order(self, errors: tuple[ChatError, ...]) -> None:
        *before, last = errors
        handshake = Handshake.of(by_cookie=False)
        for error in before:
            handshake = handshake.with_refusal(error)
        assert handshake.most_helpful(last) is WEIGHTS[-1]

    def test_first_of_two_equally_helpful_errors_is_raised(self) -> None:
        first, later = NotAiEngine(404), NotAiEngine(410)
        assert Handshake.of(by_cookie=False).with_refusal(first).most_helpful(later) is first


class TestRootSearch:
    """The search for the REST root."""

    def test_each_usual_root_is_tried_once(self) -> None:
        search, tried = RootSearch.of(SITE), []
        while search.candidates:
            tried.append(search.root)
            search = search.next(search.root)
        assert tried == [f"{SITE}/wp-json", f"{SITE}/index.php?rest_route=", f"{SITE}/?rest_route="]
        assert search.root == search.usual

    def test_named_root_is_tried_next_and_once(self) -> None:
        search = RootSearch.of(SITE)
        search = search.next(search.root, f"{SITE}/api")
        assert search.root == f"{SITE}/api"
        assert search.next(search.root, f"{SITE}/api").root == f"{SITE}/index.php?rest_route="

    def test_known_root_without_an_api_is_not_tried_again(self) -> None:
        search = RootSearch.of(SITE).next(f"{SITE}/old/wp-json")
        assert search.candidates == RootSearch.of(SITE).candidates
        assert search.moved(search.root, f"{SITE}/old/wp-json") is None

    def test_root_is_not_tried_again_after_a_move(self) -> None:
        search = RootSearch.of(SITE)
        usual = search.usual
        moved = search.moved(usual, "https://api.example.net/wp-json")
        assert moved is not None
        assert usual not in moved.next("https://api.example.net/wp-json").candidates

    @given(st.lists(st.sampled_from(["", *(f"{SITE}/{number}/api" for number in range(20))]), min_size=40))
    def test_search_ends_for_any_named_roots(self, named: list[str]) -> None:
        search, asked = RootSearch.of(SITE), []
        while search.candidates:
            asked.append(search.root)
            search = search.next(search.root, named[len(asked)])
        assert len(asked) == len(set(asked)) <= 9


class TestDecisions:
    """The log lines of the core."""

    def test_retry_and_renewal_are_logged_once_without_secrets(self) -> None:
        turn = Turn(SITE, Submission("Hi"), Session("old-secret"), retries=1)
        logged = []
        for status, body in ((503, b""), (403, php(STALE)), (200, php(SESSION)), (200, live("a") + b"\n" + end())):
            assert turn.next_request() is not None
            turn.receive_response(status, {})
            turn.receive_data(body if isinstance(body, bytes) else body.encode())
            turn.receive_eof()
            logged.append(turn.take_decisions())
        assert [len(lines) for lines in logged] == [1, 1, 0, 0]
        assert "retry" in logged[0][0]
        assert "renew" in logged[1][0]
        assert "secret" not in str(logged)

    def test_redirect_and_change_of_step_are_logged(self) -> None:
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
