"""One call as a state machine: it returns the requests to send, receives the answers, and reacts to refusals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    TimedOut,
    TooLarge,
    copy_error,
)
from ..parsing.events import Done, Event, Failed, Json
from ..parsing.parser import DEFAULT_LIMIT, DEFAULT_TEXT_LIMIT
from .call import Answer, Answered, Call, JsonReader, Limits
from .page import Page, find_root, login_call, site_call
from .policies import (
    REACTIONS,
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
from .roots import START_SESSION, RootSearch, login_page, parent_root

T = TypeVar("T")

_GOOD_ENDS = (Done, Answered)  # the union "Done | Answered" would be made again for each piece of an answer
_LONGEST_ROOT = 2_000  # characters; many browsers and servers accept no longer addresses

_START_SESSION: Call[Json] = Call(
    Step.START_SESSION,
    "POST",
    START_SESSION,
    body=lambda session_id: ({"Accept": "application/json"}, b""),
    reader=JsonReader,
    read=lambda raw: raw,
)


def _redirect_error(answer: Answer) -> StatusError:
    """Return the error for a redirect that is not followed."""
    error = refusal(answer.status, "", "", answer.headers)
    if leads_to_login(answer.location):
        error.advice = "the site redirects visitors to its login page, so only members can chat: pass auth= or cookies="
    return error


class Exchange(Generic[T]):
    """One call, from the search for its nonce to the last byte of its answer, without any I/O.

    ``call`` describes the request and its answer. Without a ``call`` the exchange only searches for a new nonce. It is
    over when the session has a nonce. ``site`` is the address of the site. ``session`` holds the nonce and may be
    shared; without one, the exchange makes its own. ``headers`` are sent with every request. ``retries`` is how often a
    request may be sent again after a failed connection or a busy site (503 and the like). ``max_event_size``,
    ``max_body_size`` and ``max_text_size`` are limits in bytes, which :class:`~..parsing.parser.EventParser` explains.
    Raises InvalidInput for a value that cannot be used.

    An adapter does the I/O. This is its loop::

        while (request := exchange.next_request()) is not None:
            ...                                            # wait request.delay seconds and send it
            events = exchange.receive_response(status, headers)
            events = exchange.receive_data(data)           # for each chunk of the body, until exchange.over
            events = exchange.receive_eof()                # at the end of the body

    When the network fails, call :meth:`receive_error` instead of the remaining ``receive_`` methods. Each method
    returns a list of the new events. No data from a server makes a method raise an error. The last event of a chat is
    ``Done`` or ``Failed``. Other calls return no event except ``Failed``, and :meth:`result` returns their value. After
    the last event, :attr:`over` is true, and the exchange ignores the rest of the body. A method that is called out of
    this order raises InvalidState and changes nothing.

    The exchange also searches for the address of the REST API (protocol section 1.1) and for the nonce (section 1.3).
    It asks ``start_session``. If that does not exist or is refused, the exchange reads the site's page. With a login by
    cookie it begins at the page.
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
        self._session = _session_or_new(session)
        self._root_search = RootSearch.of(site)
        self._site = site
        self._caller_headers = CallerHeaders(dict(headers or {}), origin(self._root_search.usual))
        self._handshake = Handshake.of(by_cookie=self._caller_headers.has_login_cookie)
        self._retries = Retries(retries)
        self._redirects = Redirects()
        self._limits = Limits(max_event_size, max_body_size, max_text_size)
        self._unanswered: tuple[Call[Any], Request] | None = None  # the call and the request that wait for a head
        self._answer: Answer | None = None
        self._failure: ChatError | None = None
        self._value: T | None = None
        self.over: bool = False
        """Whether the last event was returned."""
        self._decisions: list[str] = []

    def __repr__(self) -> str:
        state = "over" if self.over else "reading" if self._answer and self._answer.is_open else "waiting"
        return f"<{type(self).__name__} with {shown_url(self._root)}, {state}>"

    @property
    def answer(self) -> Answer | None:
        """The answer to the call itself, or None while there is none: the head of a search's answer does not count."""
        answer = self._answer
        return answer if answer is not None and answer.call is self._call else None

    @property
    def text(self) -> str:
        """The text of the answer so far."""
        return self.answer.reader.text if self.answer is not None else ""

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
        """Return log lines about the decisions of the exchange since the last call of this method, without secrets.

        The lines name retries, renewals of the nonce, redirects, and moves to another REST root or to the page.
        """
        decisions, self._decisions = self._decisions, []
        return decisions

    def next_request(self) -> Request | None:
        """Return the request to send now, or None if the call is over.

        Two calls in a row return the same request, unless the shared session has changed between them. Raises
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
        self._unanswered = call, request
        return request

    def receive_response(self, status: int, headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> list[Event]:
        """Process the head of the answer to the last request. Return an empty list, since a head completes no event.

        ``headers`` is a mapping or an iterable of pairs, of str or bytes. Raises InvalidState if no request waits for
        an answer.
        """
        if self._unanswered is None or self.over:
            raise InvalidState("no request waits for a response: send the request of next_request() first")
        (call, request), self._unanswered = self._unanswered, None
        lower_headers = fold_headers(headers)
        nonce = lower_headers.get("x-wp-nonce")
        if nonce and origin(request.url) == origin(self._root):  # no other site may replace the nonce of the API
            self._session.adopt_nonce(nonce, request.url)
        reader = call.reader(status, lower_headers, self._limits)
        self._answer = Answer(call, request.without_body(), status, lower_headers, reader)
        self._retries = self._retries.without_delay()
        self._redirects = self._redirects.without_address()
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
        """Return the last events of the answer. Call this method at the end of the body.

        Raises InvalidState if no answer is being read.
        """
        answer = self._open_answer()
        answer.is_open = False
        if answer.location:
            return [] if self.over else self._follow_redirect(answer)
        return self._handle(answer, answer.reader.receive_eof())

    def receive_error(self, error: ConnectionFailed | TooLarge) -> list[Event]:
        """Process a failure of the network or of decoding the body, and return the new events.

        The list is empty if the request will be sent again; :meth:`next_request` returns it. That happens if the head
        has not arrived, a retry can help, and retries are left. Otherwise the last event is ``Failed``. Raises
        InvalidState if no request is under way.
        """
        answer, unanswered = self._answer, self._unanswered
        if self.over or not (unanswered or (answer and answer.is_open)):
            raise InvalidState("no request is under way, so none can have failed")
        if unanswered is None:  # the body is being read, so nothing is sent again
            answer = self._open_answer()
            answer.is_open = False
            return self._fail(error, answer.call)
        # The head has not arrived. No older answer is open: next_request() raises while one is being read.
        self._unanswered = None
        call, request = unanswered
        if isinstance(error, TimedOut) and error.before_request and self._retries.cause is not None:
            cause = call.explain(self._retries.cause)  # other calls may have the time for this retry
            return self._end(cause, [Failed(cause)])
        if self._try_reactions(error, call, request):
            return []
        if isinstance(error, ConnectionFailed):
            error.tries = self._retries.done + 1
        return self._fail(error, call)

    @property
    def shared_failure(self) -> ChatError | None:
        """The error that ended the search for a nonce, or None. Every call that waits for this search shares it.

        Pass the error to :meth:`receive_failure` of the waiting calls. It is None while another call may still succeed:
        before the search has failed, and if only the total time of this call has expired.
        """
        return self._handshake.shared_failure

    def receive_failure(self, error: ChatError) -> list[Event]:
        """End this call with the error of another call's search for a nonce, and return ``Failed``.

        Call this method instead of sending an ``exclusive`` request. ``error`` is the :attr:`shared_failure` of the
        other call; this call fails with a copy of it. Raises InvalidState if no exclusive request is to be sent.
        """
        if self.over or self._unanswered is None or self._unanswered[0] is self._call:
            raise InvalidState(
                "there is no exclusive request to send: call receive_failure() only instead of sending one"
            )
        (call, _), self._unanswered = self._unanswered, None
        return self._fail(copy_error(error), call)

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
        return site_call(self._site) if self._handshake.source is Step.PAGE else _START_SESSION

    def _skip_body(self, size: int) -> list[Event]:
        """Ignore ``size`` bytes of a redirect's body. Fail if all redirects' bodies together exceed the limit."""
        self._redirects = self._redirects.with_ignored(size)
        limit = self._limits.max_body_size
        if self._redirects.ignored_bytes <= limit or self.over:
            return []
        error = TooLarge(f"the bodies of the redirects are together larger than {limit} bytes")
        return self._fail(error, self._open_answer().call)

    def _handle(self, answer: Answer, events: list[Any]) -> list[Event]:
        """React to the events of an answer, and return those that are for the caller."""
        if not events:
            return events
        is_own_call, last = answer.call is self._call, events[-1]
        if isinstance(last, Failed):
            # Once the caller has an event of an answer, the request is not sent again: the site would answer, store and
            # charge the question twice. Events that arrive together with the failure count too.
            is_nothing_returned = not answer.has_given_events and (len(events) == 1 or not is_own_call)
            if is_nothing_returned and self._try_reactions(last.error, answer.call, answer.request):
                return []
            # If the exchange's own call gets NotAiEngine, an error of an earlier REST root may help the caller more.
            ends_search = not is_own_call or isinstance(last.error, NotAiEngine)
            error = self._with_advice(last.error, answer, ends_search=ends_search)
            answer.has_given_events |= not is_nothing_returned
            return self._fail(error, answer.call, events[:-1] if is_own_call else ())
        if is_own_call:
            answer.has_given_events = True
            return self._complete(answer, last, events) if isinstance(last, _GOOD_ENDS) else events
        return self._continue_search(answer, last.content) if isinstance(last, Answered) else []

    def _complete(self, answer: Answer, last: Done | Answered, events: list[Any]) -> list[Event]:
        """End the exchange: store the value of a good answer, and the answer's nonce and ids in the session."""
        content = last.reply if isinstance(last, Done) else last.content
        raw = last.reply.raw if isinstance(last, Done) else last.content
        if isinstance(raw, dict):
            self._session.adopt(raw, answer.request.url)
        if answer.call.route:  # "" is a page, whose address is no REST root
            self._store_root(self._root)
        try:
            self._value = answer.call.value(content)
        except ChatError as error:
            # Not _fail(): the site accepted the request, so no search has failed and no refusal needs an explanation.
            return self._end(error, [Failed(error)])
        self.over = True
        return [event for event in events if not isinstance(event, Answered)]

    def _continue_search(self, answer: Answer, content: Any) -> list[Event]:
        """Process a good answer to a search request: store the nonce, or go to the next place.

        Return an empty list, or only ``Failed`` if no place is left.
        """
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
        # If _read_page() has moved a guest's search to another root, the source is start_session again, and is asked.
        if not has_nonce and answer.call.step is self._handshake.source:
            return self._ask_next_place(answer)
        self.over = self._call is None and has_nonce
        return []

    def _ask_next_place(self, answer: Answer) -> list[Event]:
        """Continue the search at the next place that may have the nonce. Fail if no place is left."""
        handshake = self._handshake.after_page()
        if handshake is None:
            # Only a login by cookie gets this error. A guest gets the refusal of start_session, which came before.
            missing = ProtocolError("the page has no chat, and WordPress sent no nonce for this login")
            return self._fail(_START_SESSION.explain(self._handshake.most_helpful(missing)), answer.call)
        self._handshake = handshake
        return []

    def _read_page(self, answer: Answer, page: Page) -> None:
        """Store the nonce of a page's widget, or continue the search at another REST root.

        A page may name an API on a foreign origin. Then its nonce is not stored, since it would be sent to that origin.
        """
        url = answer.request.url
        named = self._named_root(answer, page.root)
        is_foreign = bool(named) and origin(named) not in (origin(url), self._caller_headers.site_origin)
        if page.nonce and not is_foreign:
            self._session.adopt({"restNonce": page.nonce, "sessionId": page.session_id}, named or url)
            self._store_root(named or self._root)
            return
        # The directory may be a language, such as /fr. Before 3.0.3, start_session exists only at the root without a
        # language (protocol section 1.1).
        for root in (named, parent_root(self._root)):
            root_search = self._root_search.moved(self._root, root)
            if root_search is not None:
                self._root_search = root_search
                self._handshake = self._handshake.restarted()
                self._store_root(root)
                return

    def _named_root(self, answer: Answer, root: str) -> str:
        """Return the absolute address of a REST root that an answer names.

        Returns ``""`` if ``root`` is empty or too long, and for an http root in an answer over https.
        """
        return (absolute(answer.request.url, root) or "").rstrip("/") if 0 < len(root) <= _LONGEST_ROOT else ""

    def _store_root(self, root: str) -> None:
        """Store the REST root in the session; the usual root is stored as ``""``."""
        if root != self._root:
            self._decisions.append(f"the REST API is at {shown_url(root)}")
        self._session.move_to("" if root == self._root_search.usual else root)

    def _try_reactions(self, error: ChatError, call: Call[Any], request: Request) -> bool:
        """Carry out the first possible reaction of the table. Return whether there was one."""
        kind = classify(error, request)
        for reaction in REACTIONS.get((call.step, kind), ()):
            if self._try_reaction(reaction, error, request):
                self._decisions.append(f"{call.step.value}: {kind.value}: {reaction.value}")
                return True
        return False

    def _try_reaction(self, reaction: Reaction, error: ChatError, request: Request) -> bool:
        """Carry out a reaction, and return True. Return False if it is not possible."""
        # The exchange goes on, but it may fail later and then raise this error. So the error gets its address now.
        if isinstance(error, StatusError) and not error.url:
            error.url = shown_url(request.url)
        if reaction is Reaction.RETRY:
            return self._retry(error)
        if reaction is Reaction.RENEW:
            return self._renew(request)
        self._handshake = self._handshake.with_refusal(error)
        if reaction is Reaction.NEXT_ROOT:
            return self._try_next_root()
        self._handshake = self._handshake.at_page()
        return True

    def _retry(self, error: ChatError) -> bool:
        """Count a retry and set its delay. Return whether it is possible."""
        retries = self._retries.after(error)
        self._retries = retries or self._retries
        return retries is not None

    def _renew(self, request: Request) -> bool:
        """Delete the nonce of a refused request, and start a new search. Return whether it is possible."""
        refused_nonce = request.headers.get("X-WP-Nonce", "")
        handshake = self._handshake.renewed(refused_nonce)
        if handshake is None:
            return False
        self._handshake = handshake
        self._session.drop_nonce(refused_nonce)
        return True

    def _try_next_root(self) -> bool:
        """Continue the search at the next REST root. Return whether there is one."""
        answer = cast(Answer, self._answer)  # not None: the table has this reaction only for kinds of answers
        named = self._named_root(answer, find_root("", answer.headers.get("link", "")))
        self._root_search = self._root_search.next(self._root, named)
        self._session.move_to("")
        return bool(self._root_search.candidates)

    def _follow_redirect(self, answer: Answer) -> list[Event]:
        """Follow the redirect of an answer. Fail if it is not followed."""
        target = Redirect.of(answer.request, answer.status, answer.location, answer.call.route)
        redirects = self._redirects.follow(target, answer.call.step) if target else None
        if target is None or redirects is None or find_block(answer.status, answer.headers, ""):
            error = self._with_advice(_redirect_error(answer), answer, ends_search=answer.call is not self._call)
            return self._fail(error, answer.call)
        self._redirects = redirects
        if target.leaves_origin and answer.request.method == "POST":
            self._session.drop_nonce()  # the old origin issued it
        if target.root:
            self._session.move_to(target.root)
        self._decisions.append(f"HTTP {answer.status}: redirected to {shown_url(target.address.partition('?')[0])}")
        return []

    def _with_advice(self, error: ChatError, answer: Answer, *, ends_search: bool) -> ChatError:
        """Return an error with the address of its request and the advice of its call.

        With ``ends_search``, return the most helpful of the search's errors; ``error`` is one of them.
        """
        if isinstance(error, StatusError) and not error.url:
            error.url = shown_url(answer.request.url)
        return answer.call.explain(self._handshake.most_helpful(error) if ends_search else error)

    def _fail(self, error: ChatError, call: Call[Any], events: Sequence[Event] = ()) -> list[Event]:
        """End the exchange with an error, and return ``events`` and ``Failed``.

        ``call`` is the call that failed: the exchange's own, or one that searched for the nonce.
        """
        is_own_call = call is self._call
        if not is_own_call:
            self._handshake = self._handshake.with_failure(copy_error(error))
        if self._call is not None:
            error = self._call.explain(error)
        if is_own_call and isinstance(error, NonceRefused):
            sent_headers = cast(Answer, self._answer).request.headers
            self._handshake.explain(error, sent_headers.get("X-WP-Nonce", ""))
        error.partial_text = self.text
        return self._end(error, [*events, Failed(error)])

    def _end(self, error: ChatError, events: list[Event]) -> list[Event]:
        """End the exchange with an error. Return ``events``, of which the last is Failed."""
        self._failure = error
        self.over = True
        return events


def _session_or_new(session: Session | None) -> Session:
    """Return the session of the caller, or a new one for None. Raises InvalidInput for a session with bad values."""
    if session is None:
        return Session()
    if not isinstance(session, Session):
        raise InvalidInput(f"session is a Session, not {type(session).__name__}; for a nonce use Session(nonce=...)")
    session.check()
    return session
