"""One call, as a state machine: what to send, what came, and how to react to it."""

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

_LONGEST_ROOT = 2_000  # characters; browsers and servers take little more

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
    """The answer that is being read, or was read last.

    ``is_open`` is true until its body has ended. ``has_returned`` is true once the caller got an event of it.
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
        """Where it redirects to, or ``""`` where it does not redirect."""
        return self.headers.get("location", "") if self.status in REDIRECTS else ""


def _stopped(answer: Answer) -> StatusError:
    """Return the error for a redirect that is not followed."""
    error = refusal(answer.status, "", "", answer.headers)
    if leads_to_login(answer.location):
        error.advice = "the site sends visitors to its login page, so it is for members: log in (auth= or cookies=)"
    return error


class Exchange(Generic[T]):
    """A call, from the nonce that it needs to the last byte of its answer, without any I/O.

    Without a ``call`` it only fetches a new nonce. The loop of every adapter::

        while (request := exchange.next_request()) is not None:
            ...                                            # wait request.delay seconds and send it
            events = exchange.receive_response(status, headers)
            events = exchange.receive_data(data)           # for each chunk of the body, until exchange.over
            events = exchange.receive_eof()                # at the end of the body

    When the network fails, :meth:`receive_error` takes the place of the rest. All of them return the events that are
    known by then. No answer of a server makes them raise. The last event of a chat is ``Done`` or ``Failed``; other
    calls return no event but ``Failed``. After the last event, :attr:`over` is true, and what still comes is ignored.
    A call out of this order raises InvalidState and changes nothing.

    The address of the REST API is found on the way (protocol section 1.1). So is a nonce that only the site's page has
    (versions before 2.4.4, and sites that start no sessions).
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
        self._session = _usable(session)
        self._search = RootSearch.of(site)
        self._page = page_call(page_url(site), Step.PAGE, lambda page: page)
        self._callers = CallerHeaders(dict(headers or {}), origin(self._search.usual))
        self._handshake = Handshake.of(by_cookie=self._callers.has_login_cookie)
        self._retries = Retries(retries)
        self._redirects = Redirects()
        self._limits = Limits(max_event_size, max_body_size, max_text_size)
        self._limits.parser(200, {})  # raises InvalidInput for limits that cannot be used
        self._pending: tuple[Call[Any], Request] | None = None
        self._answer: Answer | None = None
        self._failure: ChatError | None = None
        self._value: T | None = None
        self.over = False
        """Whether the last event has come."""
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
        """Return the value of the answer: for a chat, its Reply.

        Raises the error of a call that failed, and InvalidState before the end.
        """
        if self._failure is not None:
            raise self._failure
        if self.over:
            return cast(T, self._value)
        error = InvalidState("there is no reply before the answer's end: read the stream to its end first (or use ask)")
        error.partial_text = self.text
        raise error

    def take_decisions(self) -> list[str]:
        """Return what was decided since the last call of this method, a line each, without secrets."""
        decisions, self._decisions = self._decisions, []
        return decisions

    def next_request(self) -> Request | None:
        """Return the request to send now, or None when there is no more. A second call in a row changes nothing.

        Raises InvalidState while an answer is being read, and InvalidInput if the caller has set a value of the session
        that cannot be sent.
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
        headers = self._callers.merge(headers, url, starts_session=call.step is Step.START_SESSION)
        request = Request(call.method, url, headers, body, self._retries.delay, exclusive=call is not self._call)
        self._pending = call, request
        return request

    def receive_response(self, status: int, headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> list[Event]:
        """Take the status and the headers (a mapping or pairs, str or bytes) of the answer to the last request."""
        if self._pending is None or self.over:
            raise InvalidState("no request waits for a response: send what next_request() returns first")
        (call, request), self._pending = self._pending, None
        folded = fold_headers(headers)
        if origin(request.url) == origin(self._root):
            self._session.adopt_nonce(folded.get("x-wp-nonce"), request.url)
        self._answer = Answer(call, request, status, folded, call.reader(status, folded, self._limits))
        self._retries = self._retries.answered()
        self._redirects = self._redirects.answered()
        return []

    def receive_data(self, data: bytes) -> list[Event]:
        """Return the events that these bytes of the body complete."""
        answer = self._opened()
        if answer.location:
            return self._skip(len(data))
        return self._handle(answer, answer.reader.receive_data(data))

    def receive_eof(self) -> list[Event]:
        """Return the events that are known now that the body has ended."""
        answer = self._opened()
        answer.is_open = False
        if answer.location:
            return [] if self.over else self._follow(answer)
        return self._handle(answer, answer.reader.receive_eof())

    def receive_error(self, error: ConnectionFailed | TooLarge) -> list[Event]:
        """Take a failure of the network, or of decoding the body.

        The request is sent again if the head had not come and that may help.
        """
        answer, pending = self._answer, self._pending
        is_reading = answer is not None and answer.is_open
        if self.over or not (pending or is_reading):
            raise InvalidState("no request is under way that could have failed")
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
        """The failure of the search for a nonce, for :meth:`receive_failure` of the calls that wait for it, or None.

        It is None where another call may still succeed: before the end, and where this one ran out of its total time.
        """
        return self._handshake.failure

    def receive_failure(self, error: ChatError) -> list[Event]:
        """Take the failure of another call that fetched the nonce of the session; it ends this call as well.

        It takes the place of sending an ``exclusive`` request. ``error`` is the other's :attr:`shared_failure`; this
        call fails with a copy of it.
        """
        if self.over or self._pending is None or self._pending[0] is self._call:
            raise InvalidState("no exclusive request is to be sent, so the failure of another turn is not this one's")
        (call, _), self._pending = self._pending, None
        return self._fail(_copy(error), call)

    @property
    def _root(self) -> str:
        return self._session.root or self._search.root

    def _opened(self) -> Answer:
        if self._answer is None or not self._answer.is_open:
            raise InvalidState("no answer is being read: call receive_response() first")
        return self._answer

    def _next_call(self) -> Call[Any]:
        """Return the call itself, or the one that fetches its nonce first."""
        if self._call is not None and (not self._call.needs_nonce or self._session.nonce_for(self._root)):
            return self._call
        if self._handshake.source is Step.LOGIN_NONCE:
            return login_call(login_page(self._root))
        return self._page if self._handshake.source is Step.PAGE else _START_SESSION

    def _skip(self, size: int) -> list[Event]:
        """Ignore bytes of a redirect's body, up to the limit of a body."""
        self._redirects = self._redirects.skip(size)
        limit = self._limits.max_body_size
        if self._redirects.skipped <= limit or self.over:
            return []
        return self._fail(TooLarge(f"a redirect's body is larger than {limit} bytes"), self._opened().call)

    def _handle(self, answer: Answer, events: list[Any]) -> list[Event]:
        """React to what an answer said, and return the events for the caller."""
        if not events:
            return events
        is_own, last = answer.call is self._call, events[-1]
        if isinstance(last, Failed):
            is_first = not answer.has_returned and (len(events) == 1 or not is_own)
            if is_first and self._react(last.error, answer.call, answer.request):
                return []
            searched = not is_own or isinstance(last.error, NotAiEngine)
            error = self._explained(last.error, answer, searched)
            return self._fail(error, answer.call, events[:-1] if is_own else ())
        if is_own:
            answer.has_returned = True
            return self._complete(answer, last, events) if isinstance(last, Done | Answered) else events
        return self._prepare(answer, last.content) if isinstance(last, Answered) else []

    def _complete(self, answer: Answer, last: Done | Answered, events: list[Any]) -> list[Event]:
        """Take the value of a good answer, and what it says of the session."""
        content = last.reply if isinstance(last, Done) else last.content
        raw = last.reply.raw if isinstance(last, Done) else last.content
        if isinstance(raw, dict):
            self._session.adopt(raw, answer.request.url)
        if answer.call.route:
            self._settle(self._root)
        try:
            self._value = answer.call.value(content)
        except ChatError as error:
            return self._end(error, [Failed(error)])
        self.over = True
        return [event for event in events if not isinstance(event, Answered)]

    def _prepare(self, answer: Answer, content: Any) -> list[Event]:
        """Take the session from a good answer of the handshake; the caller gets no event of it."""
        if answer.call.step is Step.START_SESSION:
            self._session.adopt(content, self._root)
            if not self._session.nonce_for(self._root):
                return self._fail(ProtocolError("the site started a session but gave no nonce"), answer.call)
            self._settle(self._root)
        elif answer.call.step is Step.LOGIN_NONCE:
            self._session.adopt_nonce(content, self._root)
        else:
            self._read_page(answer, content)
        has_nonce = bool(self._session.nonce_for(self._root))
        if not has_nonce and answer.call.step is self._handshake.source:
            return self._ask_elsewhere(answer)
        self.over = self._call is None and has_nonce
        return []

    def _ask_elsewhere(self, answer: Answer) -> list[Event]:
        """Turn to the next place that may have the nonce, or fail."""
        handshake = self._handshake.after_page()
        if handshake is None:
            missing = ProtocolError("there is no chat on the page, or no nonce for this login")
            return self._fail(_START_SESSION.explain(self._handshake.most_telling(missing)), answer.call)
        self._handshake = handshake
        return []

    def _read_page(self, answer: Answer, page: Page) -> None:
        """Take the nonce of a page's widget, or turn to another root where a session may be started."""
        url = answer.request.url
        named = self._named(answer, page.root)
        is_foreign = bool(named) and origin(named) not in (origin(url), self._callers.home)
        if page.nonce and not is_foreign:
            self._session.adopt({"restNonce": page.nonce, "sessionId": page.session_id}, named or url)
            self._settle(named or self._root)
            return
        # Before 3.0.3, sessions are started only without the language in the path (protocol section 1.1).
        for root in (named, parent_root(self._root)):
            search = self._search.moved(self._root, root)
            if search is not None:
                self._search = search
                self._handshake = self._handshake.restarted()
                self._settle(root)
                return

    def _named(self, answer: Answer, root: str) -> str:
        """Return a REST root that an answer names, or ``""`` where it names none, or one without the TLS it had."""
        return (absolute(answer.request.url, root) or "").rstrip("/") if 0 < len(root) <= _LONGEST_ROOT else ""

    def _settle(self, root: str) -> None:
        """Keep in the session where the REST API is, if it is not where it usually is."""
        if root != self._root:
            self._decisions.append(f"the REST API is at {root}")
        self._session.move_to("" if root == self._search.usual else root)

    def _react(self, error: ChatError, call: Call[Any], request: Request) -> bool:
        """Carry out the first reaction that is possible; return whether there was one."""
        refused = classify(error, request)
        for reaction in REACTIONS.get((call.step, refused), ()):
            if self._carry_out(reaction, error, request):
                self._decisions.append(f"{call.step.value}: {refused.value}: {reaction.value}")
                return True
        return False

    def _carry_out(self, reaction: Reaction, error: ChatError, request: Request) -> bool:
        if reaction is Reaction.RETRY:
            return self._retry(error)
        if reaction is Reaction.RENEW:
            return self._renew(request)
        if isinstance(error, StatusError) and not error.url:
            error.url = shown_url(request.url)
        self._handshake = self._handshake.refused(error)
        if reaction is Reaction.NEXT_ROOT:
            return self._try_next_root()
        self._handshake = self._handshake.at_page()
        return True

    def _retry(self, error: ChatError) -> bool:
        retries = self._retries.after(error.retry_after if isinstance(error, StatusError) else None)
        self._retries = retries or self._retries
        return retries is not None

    def _renew(self, request: Request) -> bool:
        refused = request.headers.get("X-WP-Nonce", "")
        handshake = self._handshake.renewed(refused)
        if handshake is None:
            return False
        self._handshake = handshake
        self._session.drop_nonce(refused)
        return True

    def _try_next_root(self) -> bool:
        """Turn to the next root; return whether there is one."""
        answer = cast(Answer, self._answer)  # no failure of the network leads to another root
        named = self._named(answer, find_root("", answer.headers.get("link", "")))
        self._search = self._search.next(self._root, named)
        self._session.move_to("")
        return bool(self._search.candidates)

    def _follow(self, answer: Answer) -> list[Event]:
        """Turn to where an answer redirects, or fail."""
        redirect = Redirect.of(answer.request, answer.status, answer.location, answer.call.route)
        redirects = self._redirects.follow(redirect, answer.call.step) if redirect else None
        if redirect is None or redirects is None or find_block(answer.status, answer.headers, ""):
            error = self._explained(_stopped(answer), answer, answer.call is not self._call)
            return self._fail(error, answer.call)
        self._redirects = redirects
        if redirect.leaves_origin and answer.request.method == "POST":
            self._session.drop_nonce()  # it belongs to the old origin
        if redirect.root:
            self._session.move_to(redirect.root)
        self._decisions.append(f"HTTP {answer.status}: redirected to {redirect.address.partition('?')[0]}")
        return []

    def _explained(self, error: ChatError, answer: Answer, searched: bool) -> ChatError:
        """Return an error with the address that was asked, and with the advice of its call.

        Of a search that ends in it, this is the most telling error.
        """
        if isinstance(error, StatusError) and not error.url:
            error.url = shown_url(answer.request.url)
        return answer.call.explain(self._handshake.most_telling(error) if searched else error)

    def _fail(self, error: ChatError, call: Call[Any], events: Sequence[Event] = ()) -> list[Event]:
        """End with the error of a call: this one, or one that fetches its nonce. ``events`` came before it."""
        is_own = call is self._call
        if not is_own:
            self._handshake = self._handshake.failed(_copy(error))
        if self._call is not None:
            error = self._call.explain(error)
        if is_own and isinstance(error, NonceRefused):
            sent = cast(Answer, self._answer).request.headers
            self._handshake.explain(error, sent.get("X-WP-Nonce", ""))
        error.partial_text = self.text
        return self._end(error, [*events, Failed(error)])

    def _end(self, error: ChatError, events: list[Event]) -> list[Event]:
        self._failure = error
        self.over = True
        return events


def _copy(error: ChatError) -> ChatError:
    """Return a copy of an error that is raised by itself, without the traceback of the other."""
    copied = copy.copy(error)
    copied.__cause__ = error.__cause__
    return copied


def _usable(session: Session | None) -> Session:
    """Return the session of the caller, or a new one. Raises InvalidInput for one that cannot be used."""
    if session is None:
        return Session()
    if not isinstance(session, Session):
        raise InvalidInput(f"session is a Session, not {type(session).__name__}; for a nonce use Session(nonce=...)")
    session.check()
    return session
