"""A request that needs a nonce, as a state machine: what to send, what came, and what is to be done about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .answers import STALE_NONCE, refusal
from .errors import Blocked, ChatError, ConnectionFailed, InvalidState, NonceRefused, ProtocolError, StatusError
from .events import Done, Event, Failed, Reply
from .parser import DEFAULT_LIMIT, EventParser
from .wire import START_SESSION, USER_AGENT, Request, Session, absolute, fold_headers, moved_root, origin, rest_root

LONGEST_WAIT = 30.0
"""The longest Retry-After, in seconds, that is waited for; a server that asks for more ends the turn instead."""

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_BUSY = (429, 503)
_CREDENTIALS = {"authorization", "cookie", "proxy-authorization", "x-wp-nonce"}


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
    """

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
        self._root = rest_root(site)
        self._session = Session() if session is None else session
        self._headers = dict(headers or {})
        self._retries = retries
        self._limits = {"max_event_size": max_event_size, "max_body_size": max_body_size}
        self._parser = EventParser(max_event_size=max_event_size, max_body_size=max_body_size)
        self._request: Request | None = None
        self._asked: Request
        self._reading = False
        self._handshake = True  # whether what was asked last is but the nonce
        self._status = 0
        self._answer_headers: dict[str, str] = {}
        self._address = ""  # where the next request goes instead of its usual place
        self._location = ""  # where the answer being read redirects to
        self._redirects = self._failures = 0
        self._delay = 0.0
        self._renewed = self._spoke = False
        self._outcome: Done | Failed | None = None

    def __repr__(self) -> str:
        state = "over" if self.over else "reading" if self._reading else "waiting"
        return f"<{type(self).__name__} with {self._session.root or self._root}, {state}>"

    @property
    def over(self) -> bool:
        """Whether the last event has come."""
        return self._outcome is not None

    @property
    def text(self) -> str:
        """The answer so far."""
        return "" if self._handshake else self._parser.text

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
        nonce, body = self._session.nonce, b""
        headers: dict[str, str] = {}
        handshake = not nonce or not self._route
        if not handshake:
            headers, body = self._content()
            headers["X-WP-Nonce"] = nonce
        url = self._address or (self._session.root or self._root) + (START_SESSION if handshake else self._route)
        self._request = Request(
            "POST", url, self._complete(headers, url, handshake), body, self._delay, exclusive=handshake
        )
        return self._request

    def receive_response(self, status: int, headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> list[Event]:
        """Take the status and the headers (a mapping or pairs, str or bytes) of the answer to the last request."""
        if self._request is None or self.over:
            raise InvalidState("no request waits for a response: send what next_request() returns first")
        self._asked, self._request = self._request, None
        self._handshake = self._asked.exclusive
        self._reading, self._delay, self._address = True, 0.0, ""
        self._status, self._answer_headers = status, fold_headers(headers)
        self._location = self._answer_headers.get("location", "") if status in _REDIRECTS else ""
        self._session.adopt_nonce(self._answer_headers.get("x-wp-nonce"))
        self._parser = EventParser(status=status, headers=self._answer_headers, **self._limits)
        return []

    def receive_data(self, data: bytes) -> list[Event]:
        """Return the events that these bytes of the body complete."""
        if not self._reading:
            raise InvalidState("no answer is being read: call receive_response() first")
        if self._location:
            return []
        events = self._parser.receive_data(data)
        return self._judge(events) if events else events

    def receive_eof(self) -> list[Event]:
        """Return the events that are known now that the body has ended."""
        if not self._reading:
            raise InvalidState("no answer is being read: call receive_response() first")
        self._reading = False
        if self._location:
            return self._follow()
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

    # What a kind of exchange is made of; this one has nothing but the handshake.

    _route = ""

    def _content(self) -> tuple[dict[str, str], bytes]:
        """Return the headers and the body of the request to ``_route``."""
        raise NotImplementedError

    def _annotate(self, outcome: Done | Failed) -> None:
        """Add to the outcome what only this kind of exchange can know."""

    def _complete(self, headers: dict[str, str], url: str, handshake: bool) -> dict[str, str]:
        """Return the headers with those of every request and the caller's, whose credentials stay with the site."""
        at_home = origin(url) == origin(self._root)
        withheld = set() if at_home else _CREDENTIALS
        if handshake:
            withheld = withheld | {"x-wp-nonce"}  # WordPress refuses a stale one even here
        own = {name: value for name, value in self._headers.items() if name.lower() not in withheld}
        taken = {name.lower() for name in own}
        common = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"}
        return {name: value for name, value in (common | headers).items() if name.lower() not in taken} | own

    def _judge(self, events: list[Event]) -> list[Event]:
        """Take note of what an answer said, and return what of it the caller is to see."""
        if self._handshake:
            events = [event for event in events if isinstance(event, Done | Failed)]
            if not events:
                return []
        last = events[-1]
        if isinstance(last, Failed):
            if len(events) == 1 and self._recover(last.error):
                return []
            if self._handshake:
                last.error.partial_text = ""
            self._finish(last)
        elif isinstance(last, Done):
            self._session.adopt(last.reply.raw)
            if self._handshake and not self._session.nonce:
                return self._fail(ProtocolError("the site started a session but gave no nonce"))
            if self._handshake and self._route:
                return []
            self._finish(last)
        self._spoke = True
        return events

    def _recover(self, error: ChatError) -> bool:
        """Whether the request goes out once more after this refusal, because nothing was done about it yet."""
        request = self._asked
        if self._spoke:
            return False
        if isinstance(error, NonceRefused):
            if self._handshake or self._renewed or error.code != STALE_NONCE:
                return False
            self._renewed = True
            self._session.forget_nonce(request.headers.get("X-WP-Nonce", ""))
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
        request, location = self._asked, self._location
        target = absolute(request.url, location) or ""
        root = moved_root(target, START_SESSION if self._handshake else self._route)
        stays = origin(target) == origin(request.url)
        self._redirects += 1
        if self._redirects > _MOST_REDIRECTS or not (root or (stays and self._status in (307, 308))):
            return self._fail(refusal(self._status, "", "", self._answer_headers))
        if not stays:
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
