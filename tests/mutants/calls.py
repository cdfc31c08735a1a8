"""Mutants of ``protocol/calls``, and of ``net/url.py``, which reads the addresses for calls."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

from chatgpt4online.net.url import origin
from chatgpt4online.protocol.calls.call import Answered
from chatgpt4online.protocol.calls.history import State
from chatgpt4online.protocol.calls.policies import Refusal, Step
from chatgpt4online.protocol.parsing.errors import ConnectionFailed, InvalidInput, StatusError
from chatgpt4online.protocol.parsing.events import Failed

from .change import (
    Mutant,
    call_gives,
    constant,
    edited,
    literal,
    operator,
    returns,
    uncaught,
    without_filter,
    without_function,
    without_method,
    without_statement,
)

TURN = ("test_turn",)
DISCOVERY = ("test_discovery",)
CALLS = ("test_calls",)
PAGE = ("test_page",)
WIRE = ("test_wire", "test_turn")
MESSAGES = ("test_messages",)
SHARED = ("test_shared_failure",)
TIMEOUT = ("test_timeout",)
CONVERSATION = ("test_conversation", "test_conversation_turns", "test_conversation_properties")

_EXCHANGE = "protocol.calls.exchange:Exchange."
_POLICIES = "protocol.calls.policies:"
_REQUEST = "protocol.calls.request:"
_ROOTS = "protocol.calls.roots:"
_PAGE = "protocol.calls.page:"
_ENDPOINTS = "protocol.calls.endpoints:"
_MULTIPART = "protocol.calls.multipart:"
_PROMPT = "protocol.calls.prompt:"
_TURN = "protocol.calls.turn:Turn."
_HISTORY = "protocol.calls.history:History."
_STATE = "protocol.calls.history:State."
_RECORD = "protocol.calls.history:TurnRecord."
_URL = "net.url:"

Wrapped = Callable[..., Any]


def _reacts_after_events(handle: Wrapped) -> Any:
    def replacement(self: Any, answer: Any, events: list[Any]) -> Any:
        answer.has_given_events = False
        return handle(self, answer, events)

    return replacement


def _reacts_after_events_of_a_chunk(handle: Wrapped) -> Any:
    def replacement(self: Any, answer: Any, events: list[Any]) -> Any:
        if len(events) < 2 or not isinstance(events[-1], Failed):
            return handle(self, answer, events)
        returned = handle(self, answer, events[-1:])
        return events[:-1] + returned if returned else returned

    return replacement


def _retries_while_reading(receive_error: Wrapped) -> Any:
    def replacement(self: Any, error: Any) -> Any:
        answer = self._answer
        if answer is None or not answer.is_open or self.over:
            return receive_error(self, error)
        if not self._try_reactions(error, answer.call, answer.request):
            return receive_error(self, error)
        answer.is_open = False
        return []

    return replacement


def _takes_second_response(receive_response: Wrapped) -> Any:
    def replacement(self: Any, status: int, headers: Any) -> Any:
        unanswered = self._unanswered
        events = receive_response(self, status, headers)
        self._unanswered = unanswered
        return events

    return replacement


def _returns_answer_of_handshake(prepare: Wrapped) -> Any:
    return lambda self, answer, content: [*prepare(self, answer, content), Answered(content)]


def _retries_any_connection(classify: Wrapped) -> Any:
    def replacement(error: Any, request: Any) -> Any:
        return Refusal.CONNECTION_FAILED if isinstance(error, ConnectionFailed) else classify(error, request)

    return replacement


def _any_login_has_password(nonce_refusal: Wrapped) -> Any:
    def replacement(error: Any, request: Any) -> Any:
        refusal = nonce_refusal(error, request)
        return Refusal.FORBIDDEN_WITH_PASSWORD if refusal is Refusal.NONCE_FORBIDDEN else refusal

    return replacement


def _result(**changes: Any) -> Any:
    """Return the change that replaces fields of the value that a function returns."""

    def wrapped(original: Wrapped) -> Any:
        def replacement(*args: Any, **keywords: Any) -> Any:
            value = original(*args, **keywords)
            return None if value is None else replace(value, **changes)

        return replacement

    return wrapped


def _last_refusal_counts(refused: Wrapped) -> Any:
    return lambda self, error: replace(self, best_refusal=error) if isinstance(error, StatusError) else self


def _follows_no_page(of: Wrapped) -> Any:
    def replacement(cls: Any, request: Any, status: int, location: str, route: str) -> Any:
        return None if request.method == "GET" else of(cls, request, status, location, route)

    return replacement


def _follows_any_redirect_of_post(of: Wrapped) -> Any:
    def replacement(cls: Any, request: Any, status: int, location: str, route: str) -> Any:
        redirect = of(cls, request, status, location, route)
        return redirect or of(cls, replace(request, method="GET"), status, location, route)

    return replacement


def _keeps_nonce_for_other_origin(drop_nonce: Wrapped) -> Any:
    def replacement(self: Any, refused: str | None = None) -> None:
        if refused is not None:
            drop_nonce(self, refused)

    return replacement


def _drops_nonce_of_other_turn(drop_nonce: Wrapped) -> Any:
    return lambda self, refused=None: drop_nonce(self)


def _sends_credentials_anywhere(merge: Wrapped) -> Any:
    def replacement(self: Any, own: Any, url: str, *, starts_session: bool) -> Any:
        return merge(replace(self, site_origin=origin(url)), own, url, starts_session=starts_session)

    return replacement


def _sends_nonce_to_start_session(merge: Wrapped) -> Any:
    return lambda self, own, url, *, starts_session: merge(self, own, url, starts_session=False)


def _any_nonce(adopt_nonce: Wrapped) -> Any:
    def replacement(self: Any, nonce: Any, url: str) -> None:
        if nonce:
            self.nonce = nonce

    return replacement


def _any_id(is_id: Wrapped) -> Any:
    return lambda value: isinstance(value, str) and value != ""


def _reads_true_as_one(number: Wrapped) -> Any:
    return lambda value, least: number(int(value) if isinstance(value, bool) else value, least)


def _any_origin(nonce_for: Wrapped) -> Any:
    return lambda self, url: self.nonce


def _same_address(address_for: Wrapped) -> Any:
    return lambda self, step: self.address


def _tries_root_again(moved: Wrapped) -> Any:
    return lambda self, root, to: moved(replace(self, tried=frozenset()), root, to)


def _asks_named_root_last(following: Wrapped) -> Any:
    def replacement(self: Any, root: str, named: str = "") -> Any:
        search = following(self, root)
        known = {*search.tried, *search.candidates, ""}
        return search if named in known else replace(search, candidates=(*search.candidates, named))

    return replacement


def _broken_widget(attribute: Wrapped) -> Any:
    return lambda widget, name: attribute(widget, name) or {"": None}


def _id_of_any_type(read_id: Wrapped) -> Any:
    return lambda value: None if read_id(value) is None else value


def _smaller_page(init: Wrapped) -> Any:
    return lambda self, status, headers, max_body_size: init(self, status, headers, max_body_size - 1)


def _uploads(kept: slice) -> Any:
    """Return the change that sends only some of the uploaded files with the question."""
    return lambda body: lambda self, session_id, uploaded=(): body(self, session_id, uploaded[kept])


def _drops_pictures_of_history(image_parts: Wrapped) -> Any:
    def replacement(prompt: Any) -> Any:
        try:
            return image_parts(prompt)
        except InvalidInput:
            return image_parts(prompt[-1:])

    return replacement


def _resumes_after_change(response_to_resume: Wrapped) -> Any:
    return lambda self, replaced: response_to_resume(self, None)


def _resumes_any_response(response_to_resume: Wrapped) -> Any:
    return lambda self, replaced: self.previous_response_id or None


def _keeps_the_old_answer(start: Wrapped) -> Any:
    def replacement(self: Any, submission: Any) -> Any:
        submission = start(self, submission)
        self._before = self._history.state.messages
        return submission

    return replacement


def _clears_only_messages(clear: Wrapped) -> Any:
    def replacement(self: Any, chat_id: str) -> None:
        self.state.follow(replace(self.state, chat_id=chat_id, messages=(), running=None))

    return replacement


def _clears_at_the_first_try(clear: Wrapped) -> Any:
    def replacement(self: Any, chat_id: str) -> None:
        self.state.follow(State(chat_id))

    return replacement


def _comparison(kind: type[ast.cmpop], value: bool) -> Any:
    """Return the rule that replaces each comparison of this kind by a constant."""
    return lambda node: ast.Constant(value) if isinstance(node, ast.Compare) and isinstance(node.ops[0], kind) else None


def _gives_up_tls(absolute: Wrapped) -> Any:
    return lambda url, location: absolute(url.replace("https:", "http:", 1), urljoin(url, location))


EXCHANGE = [
    Mutant("reacts after events of the answer", _EXCHANGE + "_handle", _reacts_after_events, TURN),
    Mutant("reacts after events of the chunk", _EXCHANGE + "_handle", _reacts_after_events_of_a_chunk, TURN),
    Mutant("sends again while the answer is read", _EXCHANGE + "receive_error", _retries_while_reading, TURN),
    Mutant("one request has two responses", _EXCHANGE + "receive_response", _takes_second_response, TURN),
    Mutant("the handshake returns an event", _EXCHANGE + "_continue_search", _returns_answer_of_handshake, TURN),
    Mutant("only one root is tried", _EXCHANGE + "_try_next_root", returns(False), DISCOVERY),
    Mutant(
        "the root that was found is forgotten",
        _EXCHANGE + "_root",
        lambda root: lambda self: self._root_search.root,
        DISCOVERY,
    ),
    Mutant("the body of a redirect has no limit", _EXCHANGE + "_skip_body", returns([]), TURN),
    Mutant(
        "a nonce of another origin is kept",
        _EXCHANGE + "_follow_redirect",
        edited(without_statement("drop_nonce")),
        TURN,
    ),
    Mutant("a refused nonce is sent again", _EXCHANGE + "_renew", edited(without_statement("drop_nonce")), TURN),
    Mutant("a moved API is not kept", _EXCHANGE + "_follow_redirect", edited(without_statement("move_to")), TURN),
    Mutant(
        "a page names a root without TLS",
        _EXCHANGE + "_named_root",
        lambda named: lambda self, answer, root: root,
        DISCOVERY,
    ),
    Mutant("the answer does not update the session", _EXCHANGE + "_complete", edited(without_statement("adopt")), TURN),
    Mutant(
        "a header does not update the nonce",
        _EXCHANGE + "receive_response",
        edited(without_statement("adopt_nonce")),
        TURN,
    ),
    Mutant(
        "decisions are returned again",
        _EXCHANGE + "take_decisions",
        lambda take: lambda self: list(self._decisions),
        TURN,
    ),
    Mutant(
        "a delay lasts for later requests", _POLICIES + "Retries.without_delay", lambda old: lambda self: self, TURN
    ),
    Mutant(
        "a redirect lasts for later requests",
        _POLICIES + "Redirects.without_address",
        lambda old: lambda self: self,
        TURN,
    ),
]

POLICIES = [
    Mutant(
        "the total time of one turn ends the others",
        _POLICIES + "Handshake.with_failure",
        lambda old: lambda self, error: replace(self, shared_failure=error),
        SHARED,
    ),
    Mutant(
        "the failure of a search is not shared",
        _POLICIES + "Handshake.with_failure",
        lambda old: lambda self, error: self,
        SHARED,
    ),
    Mutant(
        "turns share one error object", "protocol.calls.exchange:copy_error", lambda old: lambda error: error, SHARED
    ),
    Mutant(
        "the advice does not mention a renewal",
        _POLICIES + "Handshake.explain",
        lambda old: lambda self, error, nonce: None,
        SHARED,
    ),
    Mutant(
        "a turn that waits for a search has only its total limit",
        "protocol.calls.deadline:Deadline.follow",
        lambda old: lambda self, clock, since, now: None if self._end is None else self._end - now,
        TIMEOUT,
    ),
    Mutant(
        "a turn that waits for a search ignores its other limits",
        "protocol.calls.deadline:Deadline.follow",
        lambda old: lambda self, clock, since, now: self.allow(clock, since),
        TIMEOUT,
    ),
    Mutant("a nonce is renewed without end", _POLICIES + "Handshake.renewed", _result(has_renewed=False), TURN),
    Mutant(
        "a login is renewed as a guest is",
        _POLICIES + "Handshake.renewed",
        _result(source=Step.START_SESSION),
        DISCOVERY,
    ),
    Mutant("the last refusal counts", _POLICIES + "Handshake.with_refusal", _last_refusal_counts, DISCOVERY),
    Mutant(
        "the first refusal does not count",
        _POLICIES + "Handshake.most_helpful",
        lambda old: lambda self, error: error,
        DISCOVERY,
    ),
    Mutant(
        "another root begins at the page", _POLICIES + "Handshake.restarted", lambda old: lambda self: self, DISCOVERY
    ),
    Mutant("503 is not retried", _POLICIES + "_BUSY", constant((429,)), TURN),
    Mutant("429 is not retried", _POLICIES + "_BUSY", constant((503,)), TURN),
    Mutant(
        "every delay is the same",
        _POLICIES + "Retries.after",
        lambda after: lambda self, wait: after(replace(self, done=0), wait),
        TURN,
    ),
    Mutant(
        "Retry-After is ignored", _POLICIES + "Retries.after", lambda after: lambda self, wait: after(self, None), TURN
    ),
    Mutant("any Retry-After is waited for", _POLICIES + "LONGEST_WAIT", constant(1e9), TURN),
    Mutant("the longest Retry-After is too long", _POLICIES + "Retries.after", edited(operator(ast.Gt, ast.GtE)), TURN),
    Mutant(
        "retries without end",
        _POLICIES + "Retries.after",
        lambda after: lambda self, wait: after(replace(self, left=9), wait),
        TURN,
    ),
    Mutant("redirects without end", _POLICIES + "_MOST_REDIRECTS", constant(99), TURN),
    Mutant("one redirect less", _POLICIES + "_MOST_REDIRECTS", constant(4), TURN),
    Mutant("308 is not a redirect", _POLICIES + "REDIRECTS", constant((301, 302, 303, 307)), TURN),
    Mutant("a redirect of a page does not change its address", _POLICIES + "Redirect.of", _follows_no_page, DISCOVERY),
    Mutant("a POST follows to any address", _POLICIES + "Redirect.of", _follows_any_redirect_of_post, TURN),
    Mutant("sends again where that cannot help", _POLICIES + "classify", _retries_any_connection, TURN),
    Mutant("any login is a password login", _POLICIES + "_nonce_refusal", _any_login_has_password, TURN),
]

REQUESTS = [
    Mutant("a refused nonce drops the renewed one", _REQUEST + "Session.drop_nonce", _drops_nonce_of_other_turn, TURN),
    Mutant(
        "the nonce is kept for another origin", _REQUEST + "Session.drop_nonce", _keeps_nonce_for_other_origin, TURN
    ),
    Mutant("any value is a nonce", _REQUEST + "Session.adopt_nonce", _any_nonce, WIRE),
    Mutant(
        "a nonce goes to any origin", _REQUEST + "Session.nonce_for", lambda old: lambda self, url: self.nonce, WIRE
    ),
    Mutant("any session id is kept", _REQUEST + "is_id", _any_id, WIRE),
    Mutant("a login page is followed", _POLICIES + "leads_to_login", returns(False), TURN),
    Mutant("a redirect counts for any step", _POLICIES + "Redirects.address_for", _same_address, ("test_policies",)),
    Mutant("new_token is ignored", _REQUEST + "Session.adopt", edited(literal("new_token", "?")), WIRE),
    Mutant("N/A is a session id", _REQUEST + "Session.adopt", edited(literal("N/A", "?")), WIRE),
    Mutant("the root is not kept", _REQUEST + "Session.move_to", returns(None), DISCOVERY),
    Mutant("credentials go to any origin", _REQUEST + "CallerHeaders.merge", _sends_credentials_anywhere, TURN),
    Mutant(
        "the caller's nonce goes to start_session",
        _REQUEST + "CallerHeaders.merge",
        _sends_nonce_to_start_session,
        TURN,
    ),
    Mutant(
        "a login by cookie starts a session", _REQUEST + "CallerHeaders.has_login_cookie", returns(False), DISCOVERY
    ),
    Mutant("one Link header of several is kept", _REQUEST + "fold_headers", edited(literal("link", "?")), WIRE),
    Mutant("roots without end", _ROOTS + "_MOST_ROOTS", constant(99), DISCOVERY),
    Mutant("a root is tried again", _ROOTS + "RootSearch.moved", _tries_root_again, DISCOVERY),
    Mutant("a root that an answer names is tried last", _ROOTS + "RootSearch.next", _asks_named_root_last, DISCOVERY),
    Mutant("no root is one directory up", _ROOTS + "parent_root", returns(""), DISCOVERY),
    Mutant("a redirect to the same route does not change the root", _ROOTS + "moved_root", returns(None), TURN),
    Mutant(
        "a token needs a nonce",
        "protocol.calls.call:Call.needs_nonce",
        lambda needs: lambda self: needs(self) or self.step is Step.CALL_WITHOUT_NONCE,
        CALLS,
    ),
    Mutant("a refusal has no advice", "protocol.calls.call:Call.explain", lambda old: lambda self, error: error, CALLS),
    Mutant(
        "an OverflowError escapes a call", "protocol.calls.call:Call.value", edited(uncaught("OverflowError")), CALLS
    ),
    Mutant("TLS is given up", _URL + "absolute", _gives_up_tls, (*TURN, *DISCOVERY)),
    Mutant("a port does not matter to an origin", _URL + "origin", lambda old: lambda url: (*old(url)[:2], None), TURN),
    Mutant("a scheme does not matter to an origin", _URL + "origin", lambda old: lambda url: ("", *old(url)[1:]), WIRE),
]

PAGES = [
    Mutant("attributes are escaped once only", _PAGE + "_attribute", edited(without_function("unescape")), PAGE),
    Mutant("an id is a number", _PAGE + "_id", _id_of_any_type, PAGE),
    Mutant("a broken widget counts", _PAGE + "_attribute", _broken_widget, PAGE),
    Mutant("a class that contains the name is a widget", _PAGE + "find_bots", edited(without_method("split")), PAGE),
    Mutant("N/A is the session id of a page", _PAGE + "_bot", edited(literal("N/A", "?")), PAGE),
    Mutant("the limit of a page is one byte smaller", _PAGE + "PageParser.__init__", _smaller_page, PAGE),
    Mutant(
        "the Link header is not read", _PAGE + "find_root", lambda find: lambda page, link="": find(page), DISCOVERY
    ),
    Mutant("the HTML names no root", _PAGE + "find_root", lambda find: lambda page, link="": find("", link), PAGE),
    Mutant("true is a number", _PAGE + "_number", _reads_true_as_one, PAGE),
]

OTHERS = [
    Mutant("the first uploaded file is not sent", _PROMPT + "Submission.body", _uploads(slice(1, None)), CALLS),
    Mutant("only the first uploaded file is sent", _PROMPT + "Submission.body", _uploads(slice(1)), CALLS),
    Mutant("pictures of earlier messages are dropped", _PROMPT + "image_parts", _drops_pictures_of_history, MESSAGES),
    Mutant("developer is sent as a role", _PROMPT + "_role", edited(literal("developer", "?")), MESSAGES),
    Mutant("an id may be longer", _PROMPT + "LONGEST_ID", constant(65), WIRE),
    Mutant("an id is shorter", _PROMPT + "LONGEST_ID", constant(63), WIRE),
    Mutant("a failed upload does not matter", _TURN + "_fail", returns([]), CALLS),
    Mutant("on_end is not called", _TURN + "_end", edited(without_statement("_on_end")), CALLS),
    Mutant("a reply has no chat id", _TURN + "_end", edited(without_statement("chat_id")), TURN),
    Mutant("a rejection has no hint", _TURN + "_end", edited(without_statement("hint")), TURN),
    Mutant("None is sent to the public API", _ENDPOINTS + "public", edited(without_filter), CALLS),
    Mutant("a file without an id is a file", _ENDPOINTS + "_read_file", edited(call_gives("isinstance", True)), CALLS),
    Mutant("a quote ends the name of a file", _MULTIPART + "Multipart.__init__", edited(literal("%22", '"')), CALLS),
    Mutant(
        "more than the announced size is read",
        _MULTIPART + "Multipart._file_chunks",
        edited(call_gives("min", -1)),
        CALLS,
    ),
    Mutant("a file is read at once", _MULTIPART + "_CHUNK_SIZE", constant(1 << 40), CALLS),
    Mutant("a response is resumed after a change", _STATE + "response_to_resume", _resumes_after_change, CONVERSATION),
    Mutant("any response is resumed", _STATE + "response_to_resume", _resumes_any_response, CONVERSATION),
    Mutant(
        "of two changes at once both win",
        _STATE + "follow",
        lambda old: lambda self, state: old(self, state) or True,
        CONVERSATION,
    ),
    Mutant(
        "messages are not copied", _HISTORY + "messages", lambda old: lambda self: [*self.state.messages], CONVERSATION
    ),
    Mutant("a cleared history knows its response", _HISTORY + "clear", _clears_only_messages, CONVERSATION),
    Mutant("a turn keeps a history from its clearing", _HISTORY + "clear", _clears_at_the_first_try, CONVERSATION),
    Mutant(
        "two questions are answered at once", _HISTORY + "begin", edited(call_gives("is_read", False)), CONVERSATION
    ),
    Mutant("a new answer does not replace the old one", _RECORD + "start", _keeps_the_old_answer, CONVERSATION),
    Mutant("any question is replaced", _RECORD + "start", edited(_comparison(ast.NotEq, False)), CONVERSATION),
    Mutant(
        "the answer of a closed stream joins the history",
        _RECORD + "record",
        edited(_comparison(ast.Is, True)),
        CONVERSATION,
    ),
    Mutant(
        "a turn is recorded before it is read", _RECORD + "through", lambda old: lambda self, view: view, CONVERSATION
    ),
    Mutant("half a character is kept", _RECORD + "record", edited(without_function("printable")), CONVERSATION),
    Mutant("on_start is not called", _TURN + "next_request", edited(without_statement("_on_start")), CONVERSATION),
    Mutant(
        "the total time does not end a wait",
        "protocol.calls.deadline:Deadline.pause",
        lambda old: lambda self, seconds, now: seconds,
        ("test_timeout",),
    ),
]

MUTANTS = [*EXCHANGE, *POLICIES, *REQUESTS, *PAGES, *OTHERS]
