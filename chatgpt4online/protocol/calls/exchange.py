"""A request that needs a nonce, as a state machine: what to send, what came, and what is to be done about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...net.url import absolute, origin
from ..parsing.bodies import NO_NONCE, STALE_NONCE, refusal
from ..parsing.errors import (
    Blocked,
    ChatError,
    ConnectionFailed,
    InvalidState,
    NonceRefused,
    NotAiEngine,
    ProtocolError,
    StatusError,
    TooLarge,
)
from ..parsing.events import Done, Event, Failed, Reply
from ..parsing.parser import DEFAULT_LIMIT, EventParser
from .page import Bot, PageParser, find_bots, find_root
from .request import USER_AGENT, Content, Request, Session, fold_headers
from .roots import START_SESSION, moved_root, page_url, parent_root, rest_roots

LONGEST_WAIT = 30.0
"""The longest Retry-After, in seconds, that is waited for; a server that asks for more ends the turn instead."""

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_MOST_ROOTS = 6  # places where the REST API is looked for; a site could name new ones for ever
_BUSY = (429, 503)
CREDENTIALS = {"authorization", "cookie", "proxy-authorization", "x-wp-nonce"}


class Exchange:
    """From the nonce to the last byte of the answer, without any I/O. By itself it only fetches a nonce.

    The loop of every adapter::

        while (request := exchange.next_request()) is not None:
            ...                                            # wait request.delay seconds and send it
            events = exchange.receive_response(status, headers)
            events = exchange.receive_data(data)           # for each piece of the body, until exchange.over
            events = exchange.receive_eof()                # at the end of the body

    and :meth:`receive_error` in place of the rest when the network fails. All of them return the events that are known
    by then, and nothing that a server does raises. The last event is ``Done`` or ``Failed``; then :attr:`over` is true,
    and what still comes is ignored. A call out of this order raises InvalidState and changes nothing.

    Where the REST API is, is found out on the way, in the order of protocol section 1.1; so is a nonce that only the
    site's page has (versions before 2.4.4, and sites that start no sessions).
    """

    # What a kind of exchange is made of; this one has nothing but the handshake.
    _method = "POST"
    _route = ""
    _anonymous = False  # whether the request goes without a nonce

    def __init__(
        self,
        site: str,
        session: Session | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        retries: int = 0,
        max_event_size: int = DEFAULT_LIMIT,
        max_body_size: int = DEFAULT_LIMIT,
    ) -> None:
        self._roots = list(rest_roots(site))  # where the REST API may be; the first is in use
        self._usual_root = self._roots[0]
        self._tried: set[str] = set()
        self._home = origin(self._usual_root)
        self._page = page_url(site)
        self._session = Session() if session is None else session
        self._headers = dict(headers or {})
        self._retries = retries
        self._limits = {"max_event_size": max_event_size, "max_body_size": max_body_size}
        self._parser: EventParser | PageParser = EventParser(max_event_size=max_event_size, max_body_size=max_body_size)
        self._request: Request | None = None
        self._asked: Request
        self._step = self._asked_step = "session"  # what is asked for: "session", "page" (for its nonce) or "main"
        self._reading = False
        self._status = 0
        self._answer_headers: dict[str, str] = {}
        self._address = ""  # where the next request goes instead of its usual place
        self._location = ""  # where the answer being read redirects to
        self._redirects = self._failures = 0
        self._skipped = 0  # bytes of redirects' bodies
        self._delay = 0.0
        self._renewed = self._spoke = False
        self._missing: StatusError | None = None  # what the first place said that has no REST API, or no nonce
        # Whether the site's page is asked for a nonce. start_session takes who is logged in by a cookie for a guest.
        self._logged_in = any("wordpress_logged_in" in value for value in self._headers.values())
        self._visiting = self._logged_in
        self._outcome: Done | Failed | None = None

    def __repr__(self) -> str:
        state = "over" if self.over else "reading" if self._reading else "waiting"
        return f"<{type(self).__name__} with {self._root}, {state}>"

    @property
    def over(self) -> bool:
        """Whether the last event has come."""
        return self._outcome is not None

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._parser.text if self._asked_step == "main" else ""

    def result(self) -> Reply:
        """Return the reply of ``Done``; raise the error of ``Failed``, or InvalidState before either has come."""
        if isinstance(self._outcome, Done):
            return self._outcome.reply
        if isinstance(self._outcome, Failed):
            raise self._outcome.error
        error = InvalidState("the answer was left before its end, so there is no reply")
        error.partial_text = self.text
        raise error

    def next_request(self) -> Request | None:
        """Return the request to send now, or None when there is no more. Asking again changes nothing.

        Raises InvalidState while an answer is being read.
        """
        if self._outcome is not None:
            return None
        if self._reading:
            raise InvalidState("the answer to the last request has not ended: call receive_eof() first")
        nonce = self._session.nonce
        headers = {"Accept": "application/json"}
        body: Content = b""
        if self._route and (nonce or self._anonymous):
            self._step, method, url = "main", self._method, self._place()
            more, body = self._content()
            headers |= more if self._anonymous else {**more, "X-WP-Nonce": nonce}
        elif self._visiting and not (nonce and self._route):
            self._step, method, url, headers = "page", "GET", self._page, {"Accept": "text/html"}
        else:
            self._step, method, url = "session", "POST", self._root + START_SESSION
        url = self._address or url
        self._request = Request(
            method, url, self._complete(headers, url), body, self._delay, exclusive=self._step != "main"
        )
        return self._request

    def receive_response(self, status: int, headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> list[Event]:
        """Take the status and the headers (a mapping or pairs, str or bytes) of the answer to the last request."""
        if self._request is None or self.over:
            raise InvalidState("no request waits for a response: send what next_request() returns first")
        self._asked, self._asked_step, self._request = self._request, self._step, None
        self._reading, self._delay, self._address = True, 0.0, ""
        self._status, self._answer_headers = status, fold_headers(headers)
        self._location = self._answer_headers.get("location", "") if status in _REDIRECTS else ""
        self._session.adopt_nonce(self._answer_headers.get("x-wp-nonce"))
        self._parser = self._new_parser(status, self._answer_headers)
        return []

    def receive_data(self, data: bytes) -> list[Event]:
        """Return the events that these bytes of the body complete."""
        if not self._reading:
            raise InvalidState("no answer is being read: call receive_response() first")
        if self._location:
            self._skipped += len(data)
            limit = self._limits["max_body_size"]
            if self._skipped > limit and not self.over:
                return self._fail(TooLarge(f"a redirect's body is larger than {limit} bytes"))
            return []
        events = self._parser.receive_data(data)
        return self._judge(events) if events else events

    def receive_eof(self) -> list[Event]:
        """Return the events that are known now that the body has ended."""
        if not self._reading:
            raise InvalidState("no answer is being read: call receive_response() first")
        self._reading = False
        if self._location:
            return [] if self.over else self._follow()
        events = self._parser.receive_eof()
        return self._judge(events) if events else events

    def receive_error(self, error: ConnectionFailed) -> list[Event]:
        """Take a failure of the network; the request is repeated if nothing of its answer came and that may help."""
        if self.over or not (self._request or self._reading):
            raise InvalidState("no request is under way that could have failed")
        reading, self._reading, self._request = self._reading, False, None
        if not reading and error.retryable and self._try_again(None):
            return []
        return self._fail(error)

    def _place(self) -> str:
        """Return the address of the main request."""
        return self._root + self._route

    def _content(self) -> tuple[dict[str, str], Content]:
        """Return the headers and the body of the main request."""
        raise NotImplementedError

    def _new_parser(self, status: int, headers: dict[str, str]) -> EventParser | PageParser:
        if self._asked_step == "page":
            return PageParser(status, headers, self._limits["max_body_size"])
        return EventParser(status=status, headers=headers, **self._limits)

    def _annotate(self, outcome: Done | Failed) -> None:
        """Add to the outcome what only this kind of exchange can know."""

    @property
    def _root(self) -> str:
        return self._session.root or self._roots[0]

    def _complete(self, headers: dict[str, str], url: str) -> dict[str, str]:
        """Return the headers with those of every request and the caller's, whose credentials stay with the site."""
        withheld = set() if origin(url) == self._home else CREDENTIALS
        if self._step == "session":
            withheld = withheld | {"x-wp-nonce"}  # WordPress refuses a stale one even here
        own = {name: value for name, value in self._headers.items() if name.lower() not in withheld}
        if any(name.lower() == "authorization" for name in headers):  # a token of this very call
            own = {name: value for name, value in own.items() if name.lower() != "authorization"}
        left_out = {name.lower() for name in own} | (withheld - {"x-wp-nonce"})
        common = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        return {name: value for name, value in (common | headers).items() if name.lower() not in left_out} | own

    def _judge(self, events: list[Event]) -> list[Event]:
        """Take note of what an answer said, and return what of it the caller is to see."""
        if self._asked_step != "main":
            return self._prepare(events[-1])
        last = events[-1]
        if isinstance(last, Failed):
            if len(events) == 1 and (self._recover(last.error) or self._look_elsewhere(last.error)):
                return []
            self._finish(last)
        elif isinstance(last, Done):
            self._session.adopt(last.reply.raw)
            if self._searches:
                self._settle(self._root)
            self._finish(last)
        self._spoke = True
        return events

    def _prepare(self, last: Event) -> list[Event]:
        """Take the session that the site has started, or what its page has of one; nothing of it is for the caller."""
        if isinstance(last, Failed):
            error = last.error
            if self._recover(error) or self._look_elsewhere(error):
                return []
            missed = isinstance(error, NotAiEngine) or self._asked_step == "page"
            return self._fail((self._missing if missed else None) or error)
        if not isinstance(last, Done):
            return []
        if self._asked_step == "page":
            self._read_page(last.reply.raw["page"])
            if not self._session.nonce and self._visiting:
                return self._fail(
                    self._missing or ProtocolError("there is no chat on the page, or no nonce for this login")
                )
        else:
            self._session.adopt(last.reply.raw)
            if not self._session.nonce:
                return self._fail(ProtocolError("the site started a session but gave no nonce"))
            self._settle(self._root)
        if self._route or not self._session.nonce:
            return []
        self._finish(last)
        return [last]

    def _read_page(self, page: str) -> None:
        """Take the nonce of a page's widget, or turn to another place where a session may be started."""
        bots = find_bots(page)
        bot = bots[0] if bots else Bot()
        named = self._named(bot.rest_root or find_root(page, self._answer_headers.get("link", "")))
        foreign = bool(named) and origin(named) not in (origin(self._asked.url), self._home)
        if bot.nonce and not foreign:
            self._session.adopt({"restNonce": bot.nonce, "sessionId": bot.session_id})
            self._settle(named or self._root)
            return
        # Before 3.0.3, sessions are started only without the language in the path (protocol section 1.1).
        for root in (named, parent_root(self._root)):
            if root and root not in (self._root, *self._tried) and len(self._tried) < _MOST_ROOTS:
                self._tried.add(self._root)
                self._visiting = self._logged_in
                self._settle(root)
                return

    def _named(self, root: str) -> str:
        """Return a REST root that the site names, or ``""`` for none, for no web address, and for one without TLS."""
        return (absolute(self._asked.url, root) or "").rstrip("/") if root else ""

    @property
    def _searches(self) -> bool:
        """Whether the main request finds out where the REST API is, since no session is started before it."""
        return self._anonymous and self._route.startswith("/")

    def _settle(self, root: str) -> None:
        """Remember for all turns of the session where the REST API is, if it is not where it usually is."""
        self._session.root = "" if root == self._usual_root else root

    def _look_elsewhere(self, error: ChatError) -> bool:
        """Whether there is another place to look for the REST API, or for a nonce, after this answer."""
        starting = self._asked_step == "session"
        if self._spoke or not isinstance(error, NotAiEngine | NonceRefused) or not (starting or self._searches):
            return False
        self._missing = self._missing or error
        if isinstance(error, NotAiEngine) and not error.code and not self._session.root:
            self._tried.add(self._roots.pop(0))
            named = self._named(find_root("", self._answer_headers.get("link", "")))
            if named and named not in (*self._tried, *self._roots[:1]) and len(self._tried) < _MOST_ROOTS:
                self._roots.insert(0, named)
            if self._roots:
                return True
            self._roots.append(self._usual_root)
        if not starting or (isinstance(error, NonceRefused) and error.code != NO_NONCE):
            return False
        self._visiting = True
        return True

    def _recover(self, error: ChatError) -> bool:
        """Whether the request goes out once more after this refusal, because nothing was done about it yet."""
        if self._spoke:
            return False
        if isinstance(error, NonceRefused):
            # To who logs in by a password, WordPress leaves the nonce to the plugin, which has another word for it.
            by_password = "authorization" in map(str.lower, self._asked.headers)
            stale = error.code == STALE_NONCE or (error.code == NO_NONCE and by_password)
            if self._asked_step != "main" or self._anonymous or self._renewed or not stale:
                return False
            self._renewed = True
            self._visiting = self._logged_in
            self._session.forget_nonce(self._asked.headers.get("X-WP-Nonce", ""))
            return True
        if isinstance(error, StatusError) and error.status in _BUSY and not isinstance(error, Blocked):
            return self._try_again(error.retry_after)
        return False

    def _try_again(self, wait: float | None) -> bool:
        """Whether one more try is left, after ``wait`` seconds where the server asked for a wait."""
        if self._failures >= self._retries or (wait or 0.0) > LONGEST_WAIT:
            return False
        self._delay = 0.5 * 2**self._failures if wait is None else wait
        self._failures += 1
        return True

    def _follow(self) -> list[Event]:
        """Turn to where the answer redirects: the same route elsewhere, or (307, 308) any address of this origin."""
        asked = self._asked
        target = absolute(asked.url, self._location) or ""
        stays = origin(target) == origin(asked.url)
        route = START_SESSION if self._asked_step == "session" else self._route
        root = moved_root(target, route) if asked.method == "POST" else None
        reachable = root or (target and asked.method == "GET") or (stays and self._status in (307, 308))
        self._redirects += 1
        if self._redirects > _MOST_REDIRECTS or not reachable:
            return self._fail(refusal(self._status, "", "", self._answer_headers))
        if asked.method == "POST" and not stays:
            self._session.nonce = ""  # it is the old origin's
        if root:
            self._session.root = root
        else:
            self._address = target
        return []

    def _fail(self, error: ChatError) -> list[Event]:
        error.partial_text = self.text
        outcome = Failed(error)
        self._finish(outcome)
        return [outcome]

    def _finish(self, outcome: Done | Failed) -> None:
        self._annotate(outcome)
        self._outcome = outcome
