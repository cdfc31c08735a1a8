"""One call as a state machine: it returns the requests to send, receives the answers, and reacts to refusals."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from ...net.url import absolute, origin
from ..parsing.blocks import find_block
from ..parsing.bodies import refusal, shown_url
from ..parsing.errors import (
    ChatError,
    ConnectionFailed,
    InvalidInput,
    InvalidState,
    NonceRefused,
    NotAiEngine,
    ProtocolError,
    StatusError,
    TooLarge,
)
from ..parsing.events import Done, Event, Failed, Json
from ..parsing.parser import DEFAULT_LIMIT, DEFAULT_TEXT_LIMIT
from .call import Answered, Call, JsonReader, Limits, Reader
from .page import Page, find_root, login_call, page_call
from .policies import (
    REACTIONS,
    REDIRECTS,
    Handshake,
    Reaction,
    Redirect,
    Redirects,
    Retries,
    Step,
    classify,
    leads_to_login,
)
from .request import CallerHeaders, Request, Session, fold_headers
from .roots import START_SESSION, RootSearch, login_page, page_url, parent_root

T = TypeVar("T")

_LONGEST_ROOT = 2_000  # characters; many browsers and servers accept no longer addresses

_START_SESSION: Call[Json] = Call(
    Step.START_SESSION,
    "POST",
    START_SESSION,
    body=lambda session_id: ({"Accept": "application/json"}, b""),
    reader=JsonReader,
    read=lambda raw: raw,
)


@dataclass(slots=True)
class Answer:
    """The answer that is being read, or that was read last.

    ``is_open`` is true until its body has ended. ``has_returned`` is true once the caller has received an event of it.
    """

    call: Call[Any]
    request: Request
    status: int
    headers: dict[str, str]
    reader: Reader
    is_open: bool = True
    has_returned: bool = False

    @property
    def location(self) -> str:
        """The target of a redirect, or ``""`` if the answer is not a redirect."""
        return self.headers.get("location", "") if self.status in REDIRECTS else ""


def _redirect_error(answer: Answer) -> StatusError:
    """Return the error for a redirect that is not followed."""
    error = refusal(answer.status, "", "", answer.headers)
    if leads_to_login(answer.location):
        error.advice = "the site redirects visitors to its login page, so only members can chat: pass auth= or cookies="
    return error


class Exchange(Generic[T]):
    """One call, from the search for its nonce to the last byte of its answer, without any I/O.

    ``call`` describes the request and its answer. Without a ``call`` the exchange only searches for a new nonce.
    ``site`` is the address of the site. ``session`` holds the nonce and may be shared; without one, the exchange makes
    its own. ``headers`` are sent with every request. ``retries`` is how often a request may be sent again after a
    failed connection, 429 or 503. The other limits are sizes in bytes. Raises InvalidInput for a value that cannot be
    used.

    An adapter does the I/O. This is its loop::

        while (request := exchange.next_request()) is not None:
            ...                                            # wait request.delay seconds and send it
            events = exchange.receive_response(status, headers)
            events = exchange.receive_data(data)           # for each chunk of the body, until exchange.over
            events = exchange.receive_eof()                # at the end of the body

    When the network fails, call :meth:`receive_error` in place of the methods that would follow. Each method returns a
    list of the new events. Nothing that a server sends makes a method raise. The last event of a chat is ``Done`` or
    ``Failed``. Other calls return no event except ``Failed``; their value is :meth:`result`. After the last event,
    :attr:`over` is true, and everything that still arrives is ignored. A method that is called out of this order raises
    InvalidState and changes nothing.

    The exchange also searches for the address of the REST API (protocol section 1.1). It finds the nonce with
    ``start_session``, or on the site's page where ``start_session`` does not exist or is refused (protocol section
    1.3).
    """

    def __init__(
        self,
        call: Call[T] | None,
        site: str,
        session: Session | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        retries: int = 0,
        max_event_size: int = DEFAULT_LIMIT,
        max_body_size: int = DEFAULT_LIMIT,
        max_text_size: int = DEFAULT_TEXT_LIMIT,
    ) -> None:
        self._call = call
        self._session = _checked(session)
        self._root_search = RootSearch.of(site)
        self._page = page_call(page_url(site), Step.PAGE, lambda page: page)
        self._caller_headers = CallerHeaders(dict(headers or {}), origin(self._root_search.usual))
        self._handshake = Handshake.of(by_cookie=self._caller_headers.has_login_cookie)
        self._retries = Retries(retries)
        self._redirects = Redirects()
        self._limits = Limits(max_event_size, max_body_size, max_text_size)
        self._limits.parser(200, {})  # raises InvalidInput for limits that cannot be used
        self._pending: tuple[Call[Any], Request] | None = None
        self._answer: Answer | None = None
        self._failure: ChatError | None = None
        self._value: T | None = None
        self.over = False
        """Whether the last event was returned."""
        self._decisions: list[str] = []

    def __repr__(self) -> str:
        state = "over" if self.over else "reading" if self._answer and self._answer.is_open else "waiting"
        return f"<{type(self).__name__} with {shown_url(self._root)}, {state}>"

    @property
    def text(self) -> str:
        """The text of the answer so far."""
        answer = self._answer
        return answer.reader.text if answer is not None and answer.call is self._call else ""

    def result(self) -> T:
        """Return the value of the call; for a chat, it is the Reply.

        Raises the error of ``Failed`` if the call has failed, and InvalidState before the last event.
        """
        if self._failure is not None:
            raise self._failure
        if self.over:
            return cast(T, self._value)
        error = InvalidState(
            "there is no reply before the end of the answer: read the stream to its end first, or use ask()"
        )
        error.partial_text = self.text
        raise error

    def take_decisions(self) -> list[str]:
        """Return the decisions since the last call of this method: a list of lines for a log, without secrets.

        The lines name retries, renewals of the nonce, redirects, and moves to another REST root or to the page.
        """
        decisions, self._decisions = self._decisions, []
        return decisions

    def next_request(self) -> Request | None:
        """Return the request to send now, or None if the call is over.

        A second call in a row changes nothing, but it returns another request if the shared session has changed. Raises
        InvalidState while an answer is being read, and InvalidInput if the session holds a value that cannot be sent.
        """
        if self.over:
            return None
        self._session.check()
        if self._answer is not None and self._answer.is_open:
            raise InvalidState("the answer to the last request has not ended: call receive_eof() first")
        call = self._next_call()
        url = self._redirects.address_for(call.step) or call.address or self._root + call.route
        headers, body = call.body(self._session.session_id)
        if call.needs_nonce and (nonce := self._session.nonce_for(url)):
            headers = {**headers, "X-WP-Nonce": nonce}
        headers = self._caller_headers.merge(headers, url, starts_session=call.step is Step.START_SESSION)
        request = Request(call.method, url, headers, body, self._retries.delay, exclusive=call is not self._call)
        self._pending = call, request
        return request

    def receive_response(self, status: int, headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> list[Event]:
        """Process the head of the answer to the last request, and return an empty list.

        ``headers`` is a mapping or an iterable of pairs, of str or bytes. Raises InvalidState if no request waits for
        an answer.
        """
        if self._pending is None or self.over:
            raise InvalidState("no request waits for a response: send the request of next_request() first")
        (call, request), self._pending = self._pending, None
        folded = fold_headers(headers)
        if origin(request.url) == origin(self._root):
            self._session.adopt_nonce(folded.get("x-wp-nonce"), request.url)
        self._answer = Answer(call, request, status, folded, call.reader(status, folded, self._limits))
        self._retries = self._retries.answered()
        self._redirects = self._redirects.answered()
        return []

    def receive_data(self, data: bytes) -> list[Event]:
        """Return the events that are complete with these bytes of the body.

        Raises InvalidState if no answer is being read.
        """
        answer = self._open_answer()
        if answer.location:
            return self._skip_body(len(data))
        return self._handle(answer, answer.reader.receive_data(data))

    def receive_eof(self) -> list[Event]:
        """Return the last events of the answer. Call it at the end of the body.

        Raises InvalidState if no answer is being read.
        """
        answer = self._open_answer()
        answer.is_open = False
        if answer.location:
            return [] if self.over else self._follow(answer)
        return self._handle(answer, answer.reader.receive_eof())

    def receive_error(self, error: ConnectionFailed | TooLarge) -> list[Event]:
        """Process a failure of the network or of decoding the body, and return the new events.

        The list is empty if the request will be sent again; :meth:`next_request` returns it. That happens if the head
        has not arrived, a retry can help, and retries are left. Otherwise the last event is ``Failed``. Raises
        InvalidState if no request is under way.
        """
        answer, pending = self._answer, self._pending
        is_reading = answer is not None and answer.is_open
        if self.over or not (pending or is_reading):
            raise InvalidState("no request is under way, so none can have failed")
        self._pending = None
        if answer is not None:
            answer.is_open = False
        if pending is not None and not is_reading and self._react(error, *pending):
            return []
        if pending is not None and isinstance(error, ConnectionFailed):
            error.tries = self._retries.done + 1
        call = answer.call if answer is not None and is_reading else cast(Any, pending)[0]
        return self._fail(error, call)

    @property
    def shared_failure(self) -> ChatError | None:
        """The error that ended the search for a nonce and that every waiting call shares, or None.

        Pass it to :meth:`receive_failure` of the calls that wait for this search. It is None while another call may
        still succeed: before the search has failed, and if only the total time of this call has expired.
        """
        return self._handshake.failure

    def receive_failure(self, error: ChatError) -> list[Event]:
        """End this call with the error of another call's search for a nonce, and return ``Failed``.

        Call it in place of sending an ``exclusive`` request. ``error`` is the :attr:`shared_failure` of the other call;
        this call fails with a copy of it. Raises InvalidState if no exclusive request is to be sent.
        """
        if self.over or self._pending is None or self._pending[0] is self._call:
            raise InvalidState("only a call that is about to send an exclusive request shares the failure of another")
        (call, _), self._pending = self._pending, None
        return self._fail(_copy(error), call)

    @property
    def _root(self) -> str:
        """The REST root that requests are sent to now."""
        return self._session.root or self._root_search.root

    def _open_answer(self) -> Answer:
        """Return the answer whose body is being read. Raises InvalidState if there is none."""
        if self._answer is None or not self._answer.is_open:
            raise InvalidState("no answer is being read: call receive_response() first")
        return self._answer

    def _next_call(self) -> Call[Any]:
        """Return the call of the next request: the exchange's own, or one that searches for its nonce first."""
        if self._call is not None and (not self._call.needs_nonce or self._session.nonce_for(self._root)):
            return self._call
        if self._handshake.source is Step.LOGIN_NONCE:
            return login_call(login_page(self._root))
        return self._page if self._handshake.source is Step.PAGE else _START_SESSION

    def _skip_body(self, size: int) -> list[Event]:
        """Ignore ``size`` bytes of a redirect's body. Fail if the body is larger than the limit."""
        self._redirects = self._redirects.skip(size)
        limit = self._limits.max_body_size
        if self._redirects.skipped <= limit or self.over:
            return []
        return self._fail(TooLarge(f"a redirect's body is larger than {limit} bytes"), self._open_answer().call)

    def _handle(self, answer: Answer, events: list[Any]) -> list[Event]:
        """React to the events of an answer, and return those that are for the caller."""
        if not events:
            return events
        is_own, last = answer.call is self._call, events[-1]
        if isinstance(last, Failed):
            # The caller has received no event of this answer, and gets none together with the failure.
            is_first = not answer.has_returned and (len(events) == 1 or not is_own)
            if is_first and self._react(last.error, answer.call, answer.request):
                return []
            searched = not is_own or isinstance(last.error, NotAiEngine)
            error = self._with_advice(last.error, answer, searched)
            return self._fail(error, answer.call, events[:-1] if is_own else ())
        if is_own:
            answer.has_returned = True
            return self._complete(answer, last, events) if isinstance(last, Done | Answered) else events
        return self._continue_search(answer, last.content) if isinstance(last, Answered) else []

    def _complete(self, answer: Answer, last: Done | Answered, events: list[Any]) -> list[Event]:
        """Store the value of a good answer, and the values for the session that it holds. End the exchange."""
        content = last.reply if isinstance(last, Done) else last.content
        raw = last.reply.raw if isinstance(last, Done) else last.content
        if isinstance(raw, dict):
            self._session.adopt(raw, answer.request.url)
        if answer.call.route:
            self._store_root(self._root)
        try:
            self._value = answer.call.value(content)
        except ChatError as error:
            return self._end(error, [Failed(error)])
        self.over = True
        return [event for event in events if not isinstance(event, Answered)]

    def _continue_search(self, answer: Answer, content: Any) -> list[Event]:
        """Store the nonce of a good answer to the search, or ask the next place. Return only a failure."""
        if answer.call.step is Step.START_SESSION:
            self._session.adopt(content, self._root)
            if not self._session.nonce_for(self._root):
                return self._fail(ProtocolError("the site started a session but sent no nonce"), answer.call)
            self._store_root(self._root)
        elif answer.call.step is Step.LOGIN_NONCE:
            self._session.adopt_nonce(content, self._root)
        else:
            self._read_page(answer, content)
        has_nonce = bool(self._session.nonce_for(self._root))
        if not has_nonce and answer.call.step is self._handshake.source:
            return self._ask_next_place(answer)
        self.over = self._call is None and has_nonce
        return []

    def _ask_next_place(self, answer: Answer) -> list[Event]:
        """Continue the search at the next place that may have the nonce. Fail if no place is left."""
        handshake = self._handshake.after_page()
        if handshake is None:
            missing = ProtocolError("the page has no chat, and WordPress sent no nonce for this login")
            return self._fail(_START_SESSION.explain(self._handshake.most_helpful(missing)), answer.call)
        self._handshake = handshake
        return []

    def _read_page(self, answer: Answer, page: Page) -> None:
        """Store the nonce of a page's widget, or continue the search at another REST root.

        A nonce is not stored if the page names an API on a foreign origin, since it would be sent there.
        """
        url = answer.request.url
        named = self._named_root(answer, page.root)
        is_foreign = bool(named) and origin(named) not in (origin(url), self._caller_headers.site_origin)
        if page.nonce and not is_foreign:
            self._session.adopt({"restNonce": page.nonce, "sessionId": page.session_id}, named or url)
            self._store_root(named or self._root)
            return
        # Before 3.0.3, start_session exists only at the root without the language (protocol section 1.1).
        for root in (named, parent_root(self._root)):
            root_search = self._root_search.moved(self._root, root)
            if root_search is not None:
                self._root_search = root_search
                self._handshake = self._handshake.restarted()
                self._store_root(root)
                return

    def _named_root(self, answer: Answer, root: str) -> str:
        """Return the absolute address of a REST root that an answer names.

        Returns ``""`` if it names none, and for an http root in an answer over https.
        """
        return (absolute(answer.request.url, root) or "").rstrip("/") if 0 < len(root) <= _LONGEST_ROOT else ""

    def _store_root(self, root: str) -> None:
        """Store the REST root in the session; the usual root is stored as ``""``."""
        if root != self._root:
            self._decisions.append(f"the REST API is at {root}")
        self._session.move_to("" if root == self._root_search.usual else root)

    def _react(self, error: ChatError, call: Call[Any], request: Request) -> bool:
        """Carry out the first possible reaction of the table. Return whether there was one."""
        refused = classify(error, request)
        for reaction in REACTIONS.get((call.step, refused), ()):
            if self._carry_out(reaction, error, request):
                self._decisions.append(f"{call.step.value}: {refused.value}: {reaction.value}")
                return True
        return False

    def _carry_out(self, reaction: Reaction, error: ChatError, request: Request) -> bool:
        """Carry out a reaction, and return True. Return False if it is not possible."""
        if reaction is Reaction.RETRY:
            return self._retry(error)
        if reaction is Reaction.RENEW:
            return self._renew(request)
        if isinstance(error, StatusError) and not error.url:
            error.url = shown_url(request.url)
        self._handshake = self._handshake.with_refusal(error)
        if reaction is Reaction.NEXT_ROOT:
            return self._try_next_root()
        self._handshake = self._handshake.at_page()
        return True

    def _retry(self, error: ChatError) -> bool:
        """Count a retry and set its delay. Return whether it is possible."""
        retries = self._retries.after(error.retry_after if isinstance(error, StatusError) else None)
        self._retries = retries or self._retries
        return retries is not None

    def _renew(self, request: Request) -> bool:
        """Delete the nonce of a refused request, and start a new search. Return whether it is possible."""
        refused = request.headers.get("X-WP-Nonce", "")
        handshake = self._handshake.renewed(refused)
        if handshake is None:
            return False
        self._handshake = handshake
        self._session.drop_nonce(refused)
        return True

    def _try_next_root(self) -> bool:
        """Continue the search at the next REST root. Return whether there is one."""
        answer = cast(Answer, self._answer)  # the table leads to another root only after an answer
        named = self._named_root(answer, find_root("", answer.headers.get("link", "")))
        self._root_search = self._root_search.next(self._root, named)
        self._session.move_to("")
        return bool(self._root_search.candidates)

    def _follow(self, answer: Answer) -> list[Event]:
        """Follow the redirect of an answer. Fail if it is not followed."""
        redirect = Redirect.of(answer.request, answer.status, answer.location, answer.call.route)
        redirects = self._redirects.follow(redirect, answer.call.step) if redirect else None
        if redirect is None or redirects is None or find_block(answer.status, answer.headers, ""):
            error = self._with_advice(_redirect_error(answer), answer, answer.call is not self._call)
            return self._fail(error, answer.call)
        self._redirects = redirects
        if redirect.leaves_origin and answer.request.method == "POST":
            self._session.drop_nonce()  # the old origin issued it
        if redirect.root:
            self._session.move_to(redirect.root)
        self._decisions.append(f"HTTP {answer.status}: redirected to {redirect.address.partition('?')[0]}")
        return []

    def _with_advice(self, error: ChatError, answer: Answer, searched: bool) -> ChatError:
        """Return an error with the address of its request and the advice of its call.

        If the error ended a search (``searched``), return the error of the search that helps most in its place.
        """
        if isinstance(error, StatusError) and not error.url:
            error.url = shown_url(answer.request.url)
        return answer.call.explain(self._handshake.most_helpful(error) if searched else error)

    def _fail(self, error: ChatError, call: Call[Any], events: Sequence[Event] = ()) -> list[Event]:
        """End the exchange with the error of ``call``: its own, or one of the search. Return ``events`` and Failed."""
        is_own = call is self._call
        if not is_own:
            self._handshake = self._handshake.with_failure(_copy(error))
        if self._call is not None:
            error = self._call.explain(error)
        if is_own and isinstance(error, NonceRefused):
            sent = cast(Answer, self._answer).request.headers
            self._handshake.explain(error, sent.get("X-WP-Nonce", ""))
        error.partial_text = self.text
        return self._end(error, [*events, Failed(error)])

    def _end(self, error: ChatError, events: list[Event]) -> list[Event]:
        """End the exchange with an error. Return ``events``, of which the last is Failed."""
        self._failure = error
        self.over = True
        return events


def _copy(error: ChatError) -> ChatError:
    """Return a copy of an error. Each call raises its own object, so that the tracebacks of two calls do not mix."""
    copied = copy.copy(error)
    copied.__cause__ = error.__cause__
    return copied


def _checked(session: Session | None) -> Session:
    """Return the session of the caller, or a new one for None. Raises InvalidInput for a session with bad values."""
    if session is None:
        return Session()
    if not isinstance(session, Session):
        raise InvalidInput(f"session is a Session, not {type(session).__name__}; for a nonce use Session(nonce=...)")
    session.check()
    return session
