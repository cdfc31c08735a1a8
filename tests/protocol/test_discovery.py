"""The search for the REST API and for a nonce: which addresses are asked, in which order, and how the search ends."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatgpt4online.protocol.calls.exchange import Exchange
from chatgpt4online.protocol.calls.page import API_REL
from chatgpt4online.protocol.calls.prompt import Submission
from chatgpt4online.protocol.calls.request import Request, Session
from chatgpt4online.protocol.calls.roots import login_page
from chatgpt4online.protocol.calls.turn import Drivable, Turn
from chatgpt4online.protocol.parsing.errors import (
    Blocked,
    ChatError,
    ConnectionFailed,
    NonceRefused,
    NotAiEngine,
    ProtocolError,
    StatusError,
    TooLarge,
)
from chatgpt4online.protocol.parsing.events import Done, Event, Failed, Reply

from ..support.exchanges import handshake as fetch_nonce
from ..support.exchanges import public, sent_json, visit
from ..support.strategies import FORBIDDEN, NO_ROUTE, SESSION, STALE, end, live, php

SITE = "https://example.org"
PRETTY = f"{SITE}/wp-json"
INDEX = f"{SITE}/index.php?rest_route="
QUERY = f"{SITE}/?rest_route="
OTHER = "https://api.example.net/wp-json"
START, SUBMIT = "/mwai/v1/start_session", "/mwai-ui/v1/chats/submit"
NONCE = SESSION["restNonce"]
CREDENTIALS = {"Authorization": "Basic eA==", "Cookie": "a=b", "X-WP-Nonce": "theirs", "X-Team": "blue"}
LOGIN = {"Cookie": "a=b; wordpress_logged_in_0123=me%7C1"}
AJAX = f"{SITE}/wp-admin/admin-ajax.php?action=rest-nonce"


@dataclass(frozen=True)
class Response:
    """An answer. A dict is sent as JSON, and a str as HTML. ``link`` is the REST root in the ``Link`` header."""

    body: Any = "<title>Page not found</title>"
    status: int = 200
    link: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def to(self, exchange: Drivable) -> list[Event]:
        """Pass the whole answer to the exchange."""
        headers = dict(self.headers)
        if self.link:
            headers["Link"] = f'<{self.link}/>; rel="{API_REL}"'
        assert exchange.receive_response(self.status, headers) == []
        body = self.body if isinstance(self.body, str | bytes) else php(self.body)
        events = exchange.receive_data(body.encode() if isinstance(body, str) else body)
        return events + exchange.receive_eof()


GONE = Response(status=404)
HOME = Response("<title>Home</title>")  # the answer of a site with plain permalinks to any path
ROUTELESS = Response(NO_ROUTE, 404)
CLOSED = Response(FORBIDDEN, 401)
REFUSED = Response(STALE, 403)
STARTED = Response(SESSION)
GOOD = Response(live("Hi") + b"\n\n" + end(reply="Hi") + b"\n\n")


def page(link: str = "", status: int = 200, **system: Any) -> Response:
    """Return a page with a chat widget."""
    data = html.escape(json.dumps({"botId": "default"} | system))
    return Response(f"<title>Chat</title><div class='mwai-chatbot-container' data-system='{data}'></div>", status, link)


def bare(root: str = "", link: str = "") -> Response:
    """Return a page without a widget. With ``root`` its head names the REST root."""
    return Response(f"<link rel='{API_REL}' href='{root}/'>" if root else "<p>Welcome</p>", link=link)


class Web:
    """The answers at each address. Several answers are sent one after the other, and the last is repeated."""

    def __init__(self, places: Mapping[str, Response | list[Response]], otherwise: Response = GONE) -> None:
        self.places = {url: list(says) if isinstance(says, list) else [says] for url, says in places.items()}
        self.otherwise = otherwise
        self.asked: list[Request] = []

    def run(self, exchange: Drivable, most: int = 30) -> Done | ChatError:
        """Drive the exchange to its end, and return it."""
        events: list[Event] = []
        while (request := exchange.next_request()) is not None:
            self.asked.append(request)
            assert len(self.asked) <= most, [asked.url for asked in self.asked]
            says = self.places.get(request.url, [self.otherwise])
            events += (says.pop(0) if len(says) > 1 else says[0]).to(exchange)
        assert exchange.over
        if not isinstance(exchange, Turn) and not events:  # only a question ends with an event
            return Done(Reply())
        (last,) = [event for event in events if isinstance(event, Done | Failed)]
        assert events[-1] is last
        return last if isinstance(last, Done) else last.error

    @property
    def urls(self) -> list[str]:
        """Return the method and address of each request."""
        return [f"{request.method} {request.url}" for request in self.asked]


def rest(root: str, start: Response = STARTED, submit: Response = GOOD) -> dict[str, Response | list[Response]]:
    """Return the answers of a REST API at ``root``."""
    return {root + START: start, root + SUBMIT: submit}


def turn(site: str = SITE, session: Session | None = None, **options: Any) -> Turn:
    """Return a turn with a question."""
    return Turn(site, Submission("Hello"), session, **options)


@dataclass(frozen=True)
class Case:
    """A site and the expected outcome: the requests of a turn, its end, and the session after it."""

    name: str
    site: str
    web: dict[str, Any]
    asked: tuple[str, ...]
    root: str = ""
    error: type[ChatError] | None = None
    says: str = ""
    nonce: str = NONCE
    otherwise: Response = GONE


def handshake(root: str) -> tuple[str, str]:
    return f"POST {root}{START}", f"POST {root}{SUBMIT}"


CASES = [
    Case("pretty permalinks", SITE, rest(PRETTY), handshake(PRETTY)),
    Case("a slash after it", f"{SITE}/", rest(PRETTY), handshake(PRETTY)),
    Case(
        "plain permalinks, 200, Link",
        SITE,
        rest(INDEX) | {PRETTY + START: Response("<title>Home</title>", link=INDEX)},
        (f"POST {PRETTY}{START}", *handshake(INDEX)),
        INDEX,
    ),
    Case(
        "plain permalinks, 404, Link",
        SITE,
        rest(INDEX) | {PRETTY + START: Response(status=404, link=INDEX)},
        (f"POST {PRETTY}{START}", *handshake(INDEX)),
        INDEX,
    ),
    Case("plain, 200", SITE, rest(INDEX), (f"POST {PRETTY}{START}", *handshake(INDEX)), INDEX, otherwise=HOME),
    Case("plain, 404", SITE, rest(INDEX), (f"POST {PRETTY}{START}", *handshake(INDEX)), INDEX),
    Case("plain, 405", SITE, rest(INDEX), (f"POST {PRETTY}{START}", *handshake(INDEX)), INDEX,
         otherwise=Response(status=405)),
    Case(
        "the query of the home page only",
        SITE,
        rest(QUERY),
        (f"POST {PRETTY}{START}", f"POST {INDEX}{START}", *handshake(QUERY)),
        QUERY,
    ),
    Case("a sub-directory", f"{SITE}/blog", rest(f"{SITE}/blog/wp-json"), handshake(f"{SITE}/blog/wp-json")),
    Case(
        "a sub-directory, plain",
        f"{SITE}/blog/",
        rest(f"{SITE}/blog/index.php?rest_route="),
        (f"POST {SITE}/blog/wp-json{START}", *handshake(f"{SITE}/blog/index.php?rest_route=")),
        f"{SITE}/blog/index.php?rest_route=",
    ),
    Case(
        "a page whose 404 names the root",
        f"{SITE}/chat/",
        rest(PRETTY) | {f"{SITE}/chat/wp-json{START}": Response(status=404, link=PRETTY)},
        (f"POST {SITE}/chat/wp-json{START}", *handshake(PRETTY)),
        PRETTY,
    ),
    Case(
        "a page that names the root itself",
        f"{SITE}/chat/?x=1#top",
        rest(PRETTY) | {f"{SITE}/chat/?x=1": page(restUrl=PRETTY, restNonce=None)},
        (
            f"POST {SITE}/chat/wp-json{START}",
            f"POST {SITE}/chat/index.php?rest_route={START}",
            f"POST {SITE}/chat/?rest_route={START}",
            f"GET {SITE}/chat/?x=1",
            *handshake(PRETTY),
        ),
        PRETTY,
    ),
    Case(
        "a page whose head names the root",
        f"{SITE}/chat",
        rest(PRETTY) | {f"{SITE}/chat": bare(PRETTY)},
        (
            f"POST {SITE}/chat/wp-json{START}",
            f"POST {SITE}/chat/index.php?rest_route={START}",
            f"POST {SITE}/chat/?rest_route={START}",
            f"GET {SITE}/chat",
            *handshake(PRETTY),
        ),
        PRETTY,
    ),
    Case("a root, pretty", f"{PRETTY}/", rest(PRETTY), handshake(PRETTY)),
    Case("a root, index.php", f"{INDEX}/", rest(INDEX), handshake(INDEX)),
    Case("a root, the query", QUERY, rest(QUERY), handshake(QUERY)),
    Case("a root with a language", f"{SITE}/fr/wp-json", rest(f"{SITE}/fr/wp-json"), handshake(f"{SITE}/fr/wp-json")),
    Case(
        "a language that starts no sessions",
        f"{SITE}/fr/wp-json",
        {
            f"{SITE}/fr/wp-json{START}": ROUTELESS,
            f"{SITE}/fr/": page(restUrl=f"{SITE}/fr/wp-json"),
            **rest(PRETTY),
        },
        (f"POST {SITE}/fr/wp-json{START}", f"GET {SITE}/fr/", *handshake(PRETTY)),
        PRETTY,
    ),
    Case(
        "a root that is another",
        PRETTY,
        rest(INDEX) | {f"{SITE}/": page(restUrl=INDEX)},
        (f"POST {PRETTY}{START}", f"GET {SITE}/", *handshake(INDEX)),
        INDEX,
    ),
    Case(
        "an API on another host",
        SITE,
        rest(OTHER) | {PRETTY + START: Response(status=404, link=OTHER)},
        (f"POST {PRETTY}{START}", *handshake(OTHER)),
        OTHER,
    ),
    Case(
        "an API on another host, named by the page",
        SITE,
        rest(OTHER) | {PRETTY + START: ROUTELESS, SITE: page(restUrl=OTHER)},
        (f"POST {PRETTY}{START}", f"GET {SITE}", *handshake(OTHER)),
        OTHER,
    ),
    Case(
        "a nonce in the page only (2.4.3)",
        SITE,
        {PRETTY + START: ROUTELESS, SITE: page(restUrl=PRETTY, restNonce="paged"), PRETTY + SUBMIT: GOOD},
        (f"POST {PRETTY}{START}", f"GET {SITE}", f"POST {PRETTY}{SUBMIT}"),
        nonce="paged",
    ),
    Case(
        "a nonce in the page only, plain permalinks",
        SITE,
        {INDEX + START: ROUTELESS, SITE: page(restUrl=INDEX, restNonce="paged"), INDEX + SUBMIT: GOOD},
        (f"POST {PRETTY}{START}", f"POST {INDEX}{START}", f"GET {SITE}", f"POST {INDEX}{SUBMIT}"),
        INDEX,
        nonce="paged",
        otherwise=HOME,
    ),
    Case(
        "the first widget that the page has",
        SITE,
        {
            PRETTY + START: ROUTELESS,
            SITE: Response(page(restNonce="one").body + page(restNonce="two").body),
            PRETTY + SUBMIT: GOOD,
        },
        (f"POST {PRETTY}{START}", f"GET {SITE}", f"POST {PRETTY}{SUBMIT}"),
        nonce="one",
    ),
    Case(
        "sessions are closed (2.9.0)",
        SITE,
        {PRETTY + START: CLOSED, SITE: page(restUrl=PRETTY, restNonce="paged"), PRETTY + SUBMIT: GOOD},
        (f"POST {PRETTY}{START}", f"GET {SITE}", f"POST {PRETTY}{SUBMIT}"),
        nonce="paged",
    ),
    Case(
        "a page that moved",
        SITE,
        {
            PRETTY + START: ROUTELESS,
            SITE: Response("", 301, headers={"Location": "/en/"}),
            f"{SITE}/en/": Response("", 302, headers={"Location": "https://www.example.org/en/"}),
            "https://www.example.org/en/": page(restUrl=PRETTY, restNonce="paged"),
            PRETTY + SUBMIT: GOOD,
        },
        (
            f"POST {PRETTY}{START}",
            f"GET {SITE}",
            f"GET {SITE}/en/",
            "GET https://www.example.org/en/",
            f"POST {PRETTY}{SUBMIT}",
        ),
        nonce="paged",
    ),
    Case(
        "a page without a nonce",
        SITE,
        {PRETTY + START: CLOSED, SITE: page(restUrl=PRETTY, restNonce=None)},
        (f"POST {PRETTY}{START}", f"GET {SITE}"),
        error=StatusError,
        says=f"HTTP 401 from {PRETTY}{START} (rest_forbidden)",
        nonce="",
    ),
    Case(
        "a page without a chat",
        SITE,
        {PRETTY + START: ROUTELESS, SITE: bare()},
        (f"POST {PRETTY}{START}", f"GET {SITE}"),
        error=NotAiEngine,
        says=f"HTTP 404 from {PRETTY}{START} (rest_no_route)",
        nonce="",
    ),
    Case(
        "no page",
        SITE,
        {PRETTY + START: ROUTELESS, SITE: Response("<h1>Error</h1>", 500)},
        (f"POST {PRETTY}{START}", f"GET {SITE}"),
        error=StatusError,
        says=f"HTTP 500 from {SITE}: Error",
        nonce="",
    ),
    Case(
        "a page that leads in a circle",
        SITE,
        {PRETTY + START: ROUTELESS, SITE: Response("", 302, headers={"Location": SITE})},
        (f"POST {PRETTY}{START}", *[f"GET {SITE}"] * 6),
        error=StatusError,
        nonce="",
    ),
    Case(
        "a page that names another root without an API",
        SITE,
        {PRETTY + START: ROUTELESS, SITE: page(restUrl=OTHER)},
        (
            f"POST {PRETTY}{START}",
            f"GET {SITE}",
            f"POST {OTHER}{START}",
            f"POST {INDEX}{START}",
            f"POST {QUERY}{START}",
            f"GET {SITE}",
        ),
        error=NotAiEngine,
        says=f"HTTP 404 from {PRETTY}{START} (rest_no_route)",
        nonce="",
    ),
    Case(
        "no AI Engine at all",
        SITE,
        {SITE: bare()},
        (f"POST {PRETTY}{START}", f"POST {INDEX}{START}", f"POST {QUERY}{START}", f"GET {SITE}"),
        error=NotAiEngine,
        says=f"HTTP 404 from {PRETTY}{START}: Page not found",
        nonce="",
    ),
    Case(
        "a challenge is the end",
        SITE,
        {PRETTY + START: Response("<title>Just a moment...</title>", 403)},
        (f"POST {PRETTY}{START}",),
        error=Blocked,
        nonce="",
    ),
    Case(
        "a stale nonce in the handshake is the end",
        SITE,
        {PRETTY + START: REFUSED},
        (f"POST {PRETTY}{START}",),
        error=NonceRefused,
        nonce="",
    ),
    Case(
        "a REST API that is closed is the end",
        SITE,
        {PRETTY + START: Response({"code": "rest_not_logged_in", "message": "No."}, 401)},
        (f"POST {PRETTY}{START}",),
        error=StatusError,
        says="rest_not_logged_in",
        nonce="",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
class TestSites:
    """The table of sites."""

    def test_turn_sends_the_expected_requests_and_ends_as_expected(self, case: Case) -> None:
        session, web = Session(), Web(case.web, case.otherwise)
        outcome = web.run(turn(case.site, session))
        assert web.urls == list(case.asked)
        assert session.root == case.root
        assert session.nonce == case.nonce
        if case.error is None:
            assert isinstance(outcome, Done)
            assert web.asked[-1].headers["X-WP-Nonce"] == case.nonce
        else:
            assert type(outcome) is case.error
            assert case.says in str(outcome)

    def test_next_turn_of_the_session_searches_for_nothing(self, case: Case) -> None:
        session, web = Session(), Web(case.web, case.otherwise)
        if isinstance(web.run(turn(case.site, session)), Done):
            again = Web(case.web, case.otherwise)
            assert isinstance(again.run(turn(case.site, session)), Done)
            assert again.urls == [case.asked[-1]]

    def test_exchange_without_a_call_finds_the_same_session(self, case: Case) -> None:
        session, web = Session(), Web(case.web, case.otherwise)
        outcome = web.run(fetch_nonce(case.site, session))
        assert isinstance(outcome, Done) == (case.error is None)
        assert web.urls == [url for url in case.asked if not url.endswith(SUBMIT)]
        assert (session.root, session.nonce) == (case.root, case.nonce)

    def test_every_request_of_the_search_is_exclusive(self, case: Case) -> None:
        """Only the question itself is not."""
        web = Web(case.web, case.otherwise)
        web.run(turn(case.site))
        assert [request.exclusive for request in web.asked] == [not url.endswith(SUBMIT) for url in web.urls]

    def test_page_is_requested_as_html_without_a_nonce(self, case: Case) -> None:
        web = Web(case.web, case.otherwise)
        web.run(turn(case.site))
        for request in web.asked:
            if request.method == "GET":
                assert (request.headers["Accept"], request.body) == ("text/html", b"")
                assert "X-WP-Nonce" not in request.headers


class TestNonces:
    """Nonces that only a page has."""

    @pytest.mark.parametrize(
        "broken", [Response("<h1>Error</h1>", 500), Response(""), Response("hello"), Response('{"restNonce":')]
    )
    def test_page_is_asked_after_any_answer_that_is_not_the_apis(self, broken: Response) -> None:
        web = Web({SITE: page(restNonce="paged"), PRETTY + SUBMIT: GOOD}, broken)
        assert isinstance(web.run(turn()), Done)
        assert [url for url in web.urls if url.startswith("GET")] == [f"GET {SITE}"]

    def test_stale_nonce_of_a_page_is_renewed_from_the_page(self) -> None:
        """The site is asked first, and the question is sent again at the end."""
        session = Session("old")
        web = Web({PRETTY + START: ROUTELESS, SITE: page(restNonce="new"), PRETTY + SUBMIT: [REFUSED, GOOD]})
        assert isinstance(web.run(turn(session=session)), Done)
        assert web.urls == [
            f"POST {PRETTY}{SUBMIT}",
            f"POST {PRETTY}{START}",
            f"GET {SITE}",
            f"POST {PRETTY}{SUBMIT}",
        ]
        assert session.nonce == "new"

    def test_cached_page_with_a_stale_nonce_ends_after_one_renewal(self) -> None:
        web = Web({PRETTY + START: ROUTELESS, SITE: page(restNonce="stale"), PRETTY + SUBMIT: REFUSED})
        outcome = web.run(turn())
        assert isinstance(outcome, NonceRefused)
        assert web.urls.count(f"POST {PRETTY}{SUBMIT}") == 2
        assert web.urls.count(f"GET {SITE}") == 2

    def test_page_is_not_asked_if_start_session_works(self) -> None:
        web = Web(rest(PRETTY) | {SITE: page(restNonce="paged")})
        session = Session()
        web.run(turn(session=session))
        assert session.nonce == NONCE

    def test_session_id_of_the_page_is_used_with_its_nonce(self) -> None:
        web = Web({PRETTY + START: ROUTELESS, SITE: page(restNonce="n", sessionId="abc"), PRETTY + SUBMIT: GOOD})
        web.run(turn())
        assert sent_json(web.asked[-1])["session"] == "abc"

    @pytest.mark.parametrize("nonce", ["a b", "a\r\nX: y", "é", "", None, [], 0.5])
    def test_malformed_nonce_of_a_page_is_not_sent(self, nonce: Any) -> None:
        web = Web({PRETTY + START: ROUTELESS, SITE: page(restNonce=nonce)})
        assert isinstance(web.run(turn()), NotAiEngine)

    def test_page_larger_than_max_body_size_is_refused(self) -> None:
        """The error is the earlier one of the site."""
        web = Web({PRETTY + START: ROUTELESS, SITE: Response("x" * 1001)})
        assert isinstance(web.run(turn(max_body_size=1000)), NotAiEngine)
        machine = visit(SITE, Session(), "/", max_body_size=1000)
        assert isinstance(Web({f"{SITE}/": Response("x" * 1001)}).run(machine), TooLarge)

    def test_busy_page_is_retried(self) -> None:
        web = Web(
            {
                PRETTY + START: ROUTELESS,
                SITE: [Response("", 503, headers={"Retry-After": "3"}), page(restNonce="n")],
                PRETTY + SUBMIT: GOOD,
            }
        )
        assert isinstance(web.run(turn(retries=1)), Done)
        assert [request.delay for request in web.asked] == [0.0, 0.0, 3.0, 0.0]

    def test_page_that_is_cut_ends_the_turn(self) -> None:
        machine = turn(retries=2)
        machine.next_request()
        ROUTELESS.to(machine)
        machine.next_request()
        machine.receive_response(200, {})
        assert machine.receive_data(b"<html>") == []
        assert machine.text == ""
        (failed,) = machine.receive_error(ConnectionFailed("reset"))
        assert isinstance(failed, Failed)

    def test_nonce_of_another_turn_ends_the_search(self) -> None:
        session = Session()
        machine = turn(session=session)
        machine.next_request()
        ROUTELESS.to(machine)
        request = machine.next_request()
        assert request is not None
        assert request.method == "GET"
        session.nonce = "found"
        request = machine.next_request()
        assert request is not None
        assert (request.url, request.headers["X-WP-Nonce"]) == (PRETTY + SUBMIT, "found")

    @pytest.mark.parametrize("start", [ROUTELESS, CLOSED])
    def test_handshake_with_a_nonce_takes_the_new_one_from_the_page(self, start: Response) -> None:
        session = Session("old")
        web = Web({PRETTY + START: start, SITE: page(restNonce="new")})
        assert isinstance(web.run(fetch_nonce(SITE, session)), Done)
        assert web.urls == [f"POST {PRETTY}{START}", f"GET {SITE}"]
        assert session.nonce == "new"


class TestLogins:
    """Logins by cookie. They need the nonce of the login, which start_session does not return."""

    @pytest.mark.parametrize("name", ["Cookie", "cookie"])
    def test_login_asks_the_page_with_its_cookies_and_starts_no_session(self, name: str) -> None:
        web = Web({SITE: page(restUrl=PRETTY, restNonce="mine"), PRETTY + SUBMIT: GOOD})
        session = Session()
        assert isinstance(web.run(turn(session=session, headers={name: LOGIN["Cookie"]})), Done)
        assert web.urls == [f"GET {SITE}", f"POST {PRETTY}{SUBMIT}"]
        assert all(request.headers[name] == LOGIN["Cookie"] for request in web.asked)
        assert session.nonce == "mine"

    def test_cookie_of_another_kind_is_not_a_login(self) -> None:
        web = Web(rest(PRETTY))
        assert isinstance(web.run(turn(headers={"Cookie": "wordpress_test_cookie=1"})), Done)
        assert web.urls == list(handshake(PRETTY))

    def test_known_nonce_of_a_login_is_used(self) -> None:
        web = Web(rest(PRETTY))
        assert isinstance(web.run(turn(session=Session("mine"), headers=LOGIN)), Done)
        assert web.urls == [f"POST {PRETTY}{SUBMIT}"]

    def test_login_finds_the_api_of_a_site_with_plain_permalinks(self) -> None:
        web = Web({SITE: page(restUrl=INDEX, restNonce="mine"), INDEX + SUBMIT: GOOD})
        assert isinstance(web.run(turn(headers=LOGIN)), Done)
        assert web.urls == [f"GET {SITE}", f"POST {INDEX}{SUBMIT}"]

    def test_expired_login_gets_no_nonce_and_fails(self) -> None:
        """The nonce of start_session would be refused again and again."""
        for root in (PRETTY, INDEX):
            web = Web({SITE: page(restUrl=root, restNonce=None), AJAX: Response("0", 400), **rest(root)})
            outcome = web.run(turn(headers=LOGIN))
            assert type(outcome) is StatusError
            assert "log in again" in str(outcome)
            assert web.urls == [f"GET {SITE}", f"GET {AJAX}"]

    def test_login_gets_its_nonce_from_wordpress_if_the_page_has_no_chat(self) -> None:
        web = Web({SITE: bare(), AJAX: Response("mine\n"), PRETTY + SUBMIT: GOOD})
        assert isinstance(web.run(turn(headers=LOGIN)), Done)
        assert web.urls == [f"GET {SITE}", f"GET {AJAX}", f"POST {PRETTY}{SUBMIT}"]
        assert web.asked[-1].headers["X-WP-Nonce"] == "mine"

    @pytest.mark.parametrize("root", ["/wp-json", "/index.php/wp-json", "/index.php?rest_route=", "/?rest_route="])
    @pytest.mark.parametrize("directory", ["", "/blog"])
    def test_every_form_of_a_root_leads_to_the_nonce_of_a_login(self, directory: str, root: str) -> None:
        assert login_page(f"https://x.org{directory}{root}") == (
            f"https://x.org{directory}/wp-admin/admin-ajax.php?action=rest-nonce"
        )

    @pytest.mark.parametrize("response", ["", "two words", "é", "<p>Log in</p>", "x" * 200])
    def test_malformed_nonce_of_a_login_fails(self, response: str) -> None:
        """The error says that neither the page nor WordPress sent a nonce."""
        web = Web({SITE: bare(), AJAX: Response(response), **rest(PRETTY)})
        outcome = web.run(turn(headers=LOGIN))
        assert type(outcome) is ProtocolError
        assert "no chat" in str(outcome)

    def test_refused_page_of_a_login_is_the_error(self) -> None:
        outcome = Web({SITE: Response("<h1>No</h1>", 500)}).run(turn(headers=LOGIN))
        assert isinstance(outcome, StatusError)
        assert outcome.status == 500

    def test_nonce_of_a_login_is_retried_when_wordpress_is_busy(self) -> None:
        web = Web({SITE: bare(), AJAX: [Response("", 503), Response("mine")], PRETTY + SUBMIT: GOOD})
        assert isinstance(web.run(turn(headers=LOGIN, retries=1)), Done)
        assert web.urls.count(f"GET {AJAX}") == 2

    def test_nonce_of_a_login_is_retried_after_a_lost_connection(self) -> None:
        exchange, web = (
            turn(headers=LOGIN, retries=1),
            Web({SITE: bare(), AJAX: Response("mine"), PRETTY + SUBMIT: GOOD}),
        )
        assert exchange.next_request() is not None
        bare().to(exchange)
        assert exchange.next_request() is not None
        assert exchange.receive_error(ConnectionFailed("reset")) == []
        assert isinstance(web.run(exchange), Done)
        assert web.urls == [f"GET {AJAX}", f"POST {PRETTY}{SUBMIT}"]

    def test_stale_nonce_of_a_login_is_renewed_from_the_page(self) -> None:
        """start_session would return the nonce of a guest."""
        session = Session("stale")
        web = Web({**rest(PRETTY), SITE: page(restUrl=PRETTY, restNonce="fresh"), PRETTY + SUBMIT: [REFUSED, GOOD]})
        assert isinstance(web.run(turn(session=session, headers=LOGIN)), Done)
        assert web.urls == [f"POST {PRETTY}{SUBMIT}", f"GET {SITE}", f"POST {PRETTY}{SUBMIT}"]
        assert session.nonce == "fresh"

    def test_stale_nonce_of_a_password_login_is_renewed(self) -> None:
        """For a password only the plugin checks the nonce, and it answers with a code of its own."""
        session, refused = Session("stale"), Response(FORBIDDEN, 403)
        headers = {"Authorization": "Basic eA=="}
        web = Web({PRETTY + START: STARTED, PRETTY + SUBMIT: [refused, GOOD]})
        assert isinstance(web.run(turn(session=session, headers=headers)), Done)
        assert web.urls == [f"POST {PRETTY}{SUBMIT}", *handshake(PRETTY)]
        web = Web({PRETTY + START: STARTED, PRETTY + SUBMIT: refused})
        assert isinstance(web.run(turn(session=Session("stale"), headers=headers)), NonceRefused)
        assert web.urls == [f"POST {PRETTY}{SUBMIT}", *handshake(PRETTY)]

    def test_handshake_of_a_login_renews_the_nonce_from_the_page(self) -> None:
        for session in (Session(), Session("old")):
            web = Web({**rest(PRETTY), SITE: page(restUrl=PRETTY, restNonce="mine")})
            assert isinstance(web.run(fetch_nonce(SITE, session, headers=LOGIN)), Done)
            assert web.urls == [f"GET {SITE}"]
            assert session.nonce == "mine"


REFUSALS = {
    "not found": GONE,
    "not an API": Response("<h1>Error</h1>", 500),
    "no route": ROUTELESS,
    "stale nonce": REFUSED,
    "forbidden": CLOSED,
    "blocked": Response("<title>Just a moment...</title>", 403),
    "anything else": Response({"code": "x", "message": "Error"}, 500),
    "a body that is too large": Response("x" * 70_000),
}


@pytest.mark.parametrize("refused", REFUSALS)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eA=="}], ids=["guest", "password"])
class TestPagesAreAskedOnce:
    """A refused page is not asked again. Only 429, 503 and lost connections are retried."""

    def test_refused_page_of_bots_is_asked_once(self, refused: str, headers: dict[str, str]) -> None:
        web = Web({}, REFUSALS[refused])
        call = visit(SITE, Session(), "/chat/", retries=2, headers=headers, max_body_size=65_536)
        assert isinstance(web.run(call), ChatError)
        assert web.urls == [f"GET {SITE}/chat/"]

    def test_refused_page_of_the_search_is_asked_once(self, refused: str, headers: dict[str, str]) -> None:
        web = Web({PRETTY + START: ROUTELESS, SITE: REFUSALS[refused]})
        assert isinstance(web.run(turn(retries=2, headers=headers, max_body_size=65_536)), ChatError)
        assert web.urls.count(f"GET {SITE}") == 1

    def test_refused_nonce_of_a_login_is_asked_once(self, refused: str, headers: dict[str, str]) -> None:
        web = Web({SITE: bare(), AJAX: REFUSALS[refused]})
        assert isinstance(web.run(turn(retries=2, headers=LOGIN | headers)), ChatError)
        assert web.urls.count(f"GET {AJAX}") == 1


ANSWERS = [
    *REFUSALS.values(), STARTED, GOOD, bare(), page(restNonce="paged"), page(restUrl=OTHER), bare(QUERY),
    Response("mine"),
    *(page(restUrl=f"{SITE}/{number}/wp-json") for number in range(4)),
    *(Response(status=404, link=f"{SITE}/{number}/wp-json") for number in range(4)),
    *(Response("", 301, headers={"Location": url}) for url in (SITE, OTHER + SUBMIT, "/wp-login.php")),
    *(Response("", 307, headers={"Location": url}) for url in (SITE, OTHER + SUBMIT, "/wp-login.php")),
]  # fmt: skip


class TestEnds:
    """Every search ends, whatever a site answers."""

    @settings(max_examples=300)
    @given(st.lists(st.sampled_from(ANSWERS), min_size=60, max_size=60), st.sampled_from([{}, LOGIN, CREDENTIALS]))
    @pytest.mark.slow
    def test_turn_ends_for_any_sequence_of_answers(self, answers: list[Response], headers: dict[str, str]) -> None:
        exchange, left = turn(headers=headers, retries=2), iter(answers)
        while exchange.next_request() is not None:
            next(left).to(exchange)
        with suppress(ChatError):
            exchange.result()


class TestOrigins:
    """Credentials stay at the site's own origin."""

    @pytest.mark.parametrize("how", ["link", "page"])
    def test_api_on_another_host_gets_no_credentials(self, how: str) -> None:
        first = {PRETTY + START: Response(status=404, link=OTHER)}
        second = {PRETTY + START: ROUTELESS, SITE: page(restUrl=OTHER)}
        web = Web({**rest(OTHER), **(first if how == "link" else second)})
        assert isinstance(web.run(turn(headers=CREDENTIALS)), Done)
        for request in web.asked:
            sent = {name.lower(): value for name, value in request.headers.items()}
            at_home = request.url.startswith(SITE)
            assert ("authorization" in sent, "cookie" in sent) == (at_home, at_home)
            assert sent["x-team"] == "blue"
            assert sent.get("x-wp-nonce") != "theirs" or at_home
        assert web.asked[-1].headers["X-WP-Nonce"] == NONCE

    def test_redirect_of_a_page_to_another_host_gets_no_credentials(self) -> None:
        web = Web({SITE: Response("", 302, headers={"Location": "https://elsewhere.org/"})})
        web.run(turn(headers=LOGIN | {"Authorization": "Basic eA=="}))
        assert web.urls == [f"GET {SITE}", "GET https://elsewhere.org/"]
        assert not {"authorization", "cookie"} & {name.lower() for name in web.asked[-1].headers}

    @pytest.mark.parametrize("how", ["link", "page", "head"])
    def test_api_without_tls_of_a_site_with_tls_is_not_asked(self, how: str) -> None:
        clear = "http://example.org/wp-json"
        response = {"link": Response(status=404, link=clear), "page": ROUTELESS, "head": ROUTELESS}[how]
        web = Web({PRETTY + START: response, SITE: page(restUrl=clear) if how == "page" else bare(clear)})
        assert isinstance(web.run(turn()), NotAiEngine)
        assert not [url for url in web.urls if " http://" in url]

    @pytest.mark.parametrize(
        "root", ["https://[::1", "https://example.org:99999", "mailto:a@b.c", "javascript:x", "/wp-json", "\x00"]
    )
    @pytest.mark.parametrize("how", ["link", "page", "head"])
    def test_named_root_that_is_not_an_address_is_ignored(self, how: str, root: str) -> None:
        response = {"link": Response(status=404, link=root), "page": ROUTELESS, "head": ROUTELESS}[how]
        web = Web({PRETTY + START: response, SITE: page(restUrl=root) if how == "page" else bare(root)})
        assert isinstance(web.run(turn()), NotAiEngine)
        assert all(request.url.startswith((SITE, "https://example.org")) for request in web.asked)


def text(site: str = SITE, session: Session | None = None, **options: Any) -> Exchange[Any]:
    """Return a call with a token, which needs no nonce."""
    return public(site, session or Session(), "secret", "simpleTextQuery", {"message": "Hi"}, **options)


TEXT = "/mwai/v1/simpleTextQuery"
SAID = Response({"success": True, "data": "Hello"})


class TestTokens:
    """Calls that are sent without a nonce."""

    @pytest.mark.parametrize(
        ("root", "asked"),
        [
            (PRETTY, [PRETTY]),
            (INDEX, [PRETTY, INDEX]),
            (QUERY, [PRETTY, INDEX, QUERY]),
        ],
    )
    def test_call_with_a_token_tries_the_roots_itself(self, root: str, asked: list[str]) -> None:
        web = Web({root + TEXT: SAID})
        call = text()
        assert isinstance(web.run(call), Done)
        assert call.result() == "Hello"
        assert web.urls == [f"POST {place}{TEXT}" for place in asked]

    def test_root_found_by_a_call_with_a_token_is_stored_in_the_session(self) -> None:
        session, places = Session(), {INDEX + TEXT: SAID}
        assert isinstance(Web(places).run(text(session=session)), Done)
        again = Web(places)
        assert isinstance(again.run(text(session=session)), Done)
        assert again.urls == [f"POST {INDEX}{TEXT}"]

    def test_root_named_by_the_answer_is_tried_next(self) -> None:
        web = Web({PRETTY + TEXT: Response(status=404, link=QUERY), QUERY + TEXT: SAID})
        assert isinstance(web.run(text()), Done)
        assert web.urls == [f"POST {PRETTY}{TEXT}", f"POST {QUERY}{TEXT}"]

    def test_site_without_an_api_is_asked_once_at_each_root(self) -> None:
        """No page is asked, and the error has advice."""
        web = Web({})
        outcome = web.run(text())
        assert isinstance(outcome, NotAiEngine)
        assert "bearer token" in str(outcome)
        assert web.urls == [f"POST {root}{TEXT}" for root in (PRETTY, INDEX, QUERY)]

    @pytest.mark.parametrize("retries", [0, 2])
    @pytest.mark.parametrize("response", [ROUTELESS, CLOSED, REFUSED])
    def test_refusal_by_the_site_tries_no_other_root(self, response: Response, retries: int) -> None:
        web = Web({PRETTY + TEXT: response})
        assert isinstance(web.run(text(retries=retries)), StatusError)
        assert web.urls == [f"POST {PRETTY}{TEXT}"]

    def test_refusal_after_a_redirect_to_another_origin_is_not_retried(self) -> None:
        """The token is not sent there, and a retry would not send it either."""
        web = Web({PRETTY + TEXT: Response("", 301, headers={"Location": OTHER + TEXT}), OTHER + TEXT: CLOSED})
        assert type(web.run(text(retries=2))) is StatusError
        assert web.urls == [f"POST {PRETTY}{TEXT}", f"POST {OTHER}{TEXT}"]

    @pytest.mark.parametrize("retries", [0, 2])
    @pytest.mark.parametrize("status", [404, 410])
    def test_missing_page_is_asked_once_at_no_other_root(self, status: int, retries: int) -> None:
        web = Web({}, Response(status=status))
        assert isinstance(web.run(visit(SITE, Session(), "/chat/", retries=retries)), NotAiEngine)
        assert web.urls == [f"GET {SITE}/chat/"]

    @pytest.mark.parametrize("retries", [0, 2])
    def test_missing_page_of_the_search_is_asked_once(self, retries: int) -> None:
        web = Web({PRETTY + START: ROUTELESS})
        assert isinstance(web.run(turn(retries=retries)), NotAiEngine)
        assert web.urls == [f"POST {PRETTY}{START}", f"GET {SITE}"]


def naming_new_roots(number: int) -> list[Response]:
    """Return answers that name roots which no answer before has named."""
    new = f"{SITE}/{number}/wp-json"
    return [
        Response(status=404, link=new),
        page(restUrl=new),
        bare(new),
        Response("", 302, headers={"Location": f"/{number}"}),
    ]


answers = st.one_of(
    st.sampled_from(
        [GONE, HOME, ROUTELESS, CLOSED, REFUSED, GOOD, Response("", 503), Response("", 429), bare(), page()]
    ),
    st.sampled_from([page(restNonce="n"), page(restUrl=PRETTY), page(restUrl=INDEX), page(restUrl=OTHER)]),
    st.sampled_from([Response(status=404, link=root) for root in (PRETTY, INDEX, QUERY, OTHER)]),
    st.sampled_from(
        [Response("", 307, headers={"Location": place}) for place in (SITE, OTHER + START, INDEX + SUBMIT)]
    ),
    st.integers(0, 3),
)
kinds: dict[str, Callable[[Session, dict[str, Any]], Drivable]] = {
    "turn": lambda session, options: turn(session=session, **options),
    "handshake": lambda session, options: fetch_nonce(SITE, session, **options),
    "token": lambda session, options: text(session=session, **options),
    "page": lambda session, options: visit(SITE, session, "/", **options),
}
MOST = 40  # requests: 3 roots, their pages, a renewal, 5 redirects and 2 retries, and a few more


class TestForAnySite:
    """No site keeps a turn running without end."""

    @given(
        st.sampled_from(sorted(kinds)),
        st.lists(answers, min_size=1, max_size=6),
        st.sampled_from(["", PRETTY, INDEX, f"{SITE}/old/wp-json"]),
        st.sampled_from(["", "known"]),
        st.booleans(),
        st.integers(0, 2),
    )
    @example("turn", [GONE, page(restUrl=PRETTY)], f"{SITE}/old/wp-json", "", False, 0)
    @example("turn", [ROUTELESS, page(restUrl=INDEX), ROUTELESS, page(restUrl=OTHER)], "", "", False, 0)
    @example("turn", [0], "", "", False, 0)
    @example("turn", [0, 1], "", "", False, 0)
    @example("turn", [ROUTELESS, 1], "", "", False, 0)
    @example("turn", [ROUTELESS, 2], "", "", True, 0)
    @example("token", [0], "", "", False, 0)
    def test_turn_ends_after_a_limited_number_of_requests(
        self, kind: str, sequence: list[Response | int], root: str, nonce: str, logged_in: bool, retries: int
    ) -> None:
        """Also if every answer names a new root."""
        options: dict[str, Any] = {"retries": retries, "headers": LOGIN if logged_in else {}}
        machine = kinds[kind](Session(nonce, root=root), options)
        events: list[Event] = []
        for number, response in enumerate(endlessly(sequence)):
            request = machine.next_request()
            if request is None:
                break
            assert number < MOST, "it does not end"
            assert request.url.startswith("https://")
            events += response.to(machine)
        ends = [type(event) for event in events if isinstance(event, Done | Failed)]
        assert machine.over
        assert ends in ([Done], [Failed]) if kind == "turn" else ends in ([], [Failed])
        assert not ends or isinstance(events[-1], Done | Failed)


def endlessly(sequence: list[Response | int]) -> Iterator[Response]:
    """Yield these answers over and over. A number stands for the answer of that kind that names a new root."""
    number = 0
    while True:
        for response in sequence:
            number += 1
            yield naming_new_roots(number)[response] if isinstance(response, int) else response
