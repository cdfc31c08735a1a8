"""The tree of errors.

::

    ChatError                 any failure of a chat; .partial_text is the answer that had arrived; .retry_after
    +-- LocalError            the call was wrong; nothing was sent
    |   +-- InvalidInput      a value is wrong (also a ValueError)
    |   +-- InvalidState      the call came at the wrong moment (also a RuntimeError)
    +-- ConnectionFailed      the network failed: name look-up, connection, TLS, proxy, reset
    |   +-- TimedOut          a time limit passed; .clock names the limit
    +-- ProtocolError         the answer is not one that an AI Engine site sends
    |   +-- Truncated         the answer stopped before its end
    |   +-- TooLarge          the answer is larger than a limit
    +-- StatusError           an HTTP refusal; .status, .code, .message, .headers, .url
    |   +-- NonceRefused      the site does not accept the nonce, or this visitor
    |   +-- RateLimited       too many requests
    |   +-- NotAiEngine       the address is not the API of AI Engine
    |   +-- Blocked           a firewall or a bot check answered in place of the site
    +-- ServerError           the site reports that the chat failed; .message, .raw, .hint
        +-- LimitReached      the visitor has reached a limit of the site's owner
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import ClassVar

_SECRET_HEADERS = {"authorization", "cookie", "proxy-authorization", "set-cookie", "set-cookie2", "x-wp-nonce"}


def public_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers without those that carry secrets."""
    return {name: value for name, value in headers.items() if name.lower() not in _SECRET_HEADERS}


class ChatError(Exception):
    """A chat failed.

    ``partial_text`` is the part of the answer that had arrived, or ``""``. ``retry_after`` is the number of seconds
    that the server asks to wait, or None if it names none.
    """

    partial_text: str = ""
    retry_after: float | None = None
    _http_status: ClassVar[int] = 500

    @property
    def http_status(self) -> int:
        """The HTTP status that a back end between a browser and the site should answer with.

        422: the user's input is wrong. 429: wait. 500: the back end is wrong. 502: the site is wrong. 504: it is slow.
        """
        return self._http_status


class LocalError(ChatError):
    """The call was wrong. Nothing was sent, and nothing has changed."""


class InvalidInput(LocalError, ValueError):
    """A value is wrong. The message names the value and says what is allowed."""

    _http_status = 422


class InvalidState(LocalError, RuntimeError):
    """The call came at the wrong moment, for example receive_data after receive_eof."""


class ConnectionFailed(ChatError):
    """The network failed: name look-up, connection, TLS, proxy or reset. ``__cause__`` is the original error.

    ``retryable`` is False if a second try cannot help, for example after a certificate that is not valid. ``tries`` is
    the number of tries to send the request.
    """

    retryable: bool = True
    tries: int = 1
    _http_status = 502

    def __str__(self) -> str:
        return self._after_tries(super().__str__())

    def _after_tries(self, text: str) -> str:
        return f"{text} (after {self.tries} tries)" if self.tries > 1 else text


class TimedOut(ConnectionFailed):
    """A time limit passed.

    ``clock`` is the name of the limit: ``"connect"``, ``"first_byte"``, ``"idle"`` or ``"total"``. ``seconds`` is its
    length. ``before_request`` is true if the total time does not suffice for the wait before a retry.
    """

    before_request: bool = False

    _http_status = 504

    def __init__(self, clock: str, seconds: float) -> None:
        super().__init__(clock, seconds)
        self.clock = clock
        self.seconds = seconds
        # A slow site may already work on the question. A second try would make it answer twice.
        self.retryable: bool = clock == "connect"

    def __str__(self) -> str:
        what = {
            "connect": "no connection was made",
            "first_byte": "the site sent nothing",
            "idle": "the answer made no progress",
            "total": "the answer was not complete",
        }[self.clock]
        limit = f"{what} within {self.seconds:g} s; raise timeout.{self.clock} if the site needs longer"
        return self._after_tries(limit)


class ProtocolError(ChatError):
    """The answer is not one that an AI Engine site sends."""

    _http_status = 502


class Truncated(ProtocolError):
    """The answer stopped before its ``end`` event. Usually a server or a proxy closed the connection."""


class TooLarge(ProtocolError):
    """The answer is larger than a limit. The message names the limit."""


class StatusError(ChatError):
    """The site, or a server in front of it, refused the request.

    ``status`` is the HTTP status (int, 100 to 599 for answers that follow HTTP). ``code`` is WordPress's error code, or
    ``""``. ``message`` is the text of the answer, without HTML and with API keys masked. ``headers`` is a dict with
    lower-case names; headers that carry secrets (``set-cookie``, ``x-wp-nonce`` and others) are left out.
    ``retry_after`` is the number of seconds that the server asks to wait, or None. ``url`` is the address of the
    request, without secrets, or ``""`` when it is not known. ``advice`` is the next step for the caller, or ``""``.
    Source: protocol sections 4.2 and 4.3.
    """

    advice: str = ""
    url: str = ""
    _http_status = 502
    _passed_on: ClassVar[tuple[int, ...]] = (413, 429, 503, 504)  # a back end can answer with the same status

    def __init__(
        self,
        status: int,
        code: str = "",
        message: str = "",
        headers: dict[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        # Every pickle holds the arguments, so secrets are removed before super().__init__.
        public = public_headers(headers or {})
        super().__init__(status, code, message, public, retry_after)
        self.status = status
        self.code = code
        self.message = message
        self.headers = public
        self.retry_after = retry_after

    @property
    def http_status(self) -> int:
        """The HTTP status that a back end should answer with: 413, 429, 503 and 504 as they are, 502 for all others.

        401 and 403 become 502, since the site refuses the login of the back end, and not that of its user.
        """
        return self.status if self.status in self._passed_on else self._http_status

    def __str__(self) -> str:
        url = f" from {self.url}" if self.url else ""
        code = f" ({self.code})" if self.code else ""
        message = f": {self.message}" if self.message else ""
        wait = f" (the site asks to wait {self.retry_after:g} s)" if self.retry_after is not None else ""
        return f"HTTP {self.status}{url}{code}{message}{wait}" + (f" [{self.advice}]" if self.advice else "")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.status}, {self.code!r}, {self.message!r})"


class NonceRefused(StatusError):
    """The site does not accept the nonce, or this visitor.

    If a new nonce was fetched and tried, ``advice`` reports the result.
    """

    advice = "the site does not let this visitor in; cookies of a login need the nonce of that login"
    _passed_on = ()


class RateLimited(StatusError):
    """The server received too many requests. ``retry_after`` is the number of seconds to wait, or None."""

    advice = "too many requests: wait before the next question"
    _http_status = 429
    _passed_on = ()


class NotAiEngine(StatusError):
    """The address is not the API of AI Engine."""

    advice = "check the address, and check that the site runs AI Engine and that its chatbots are on"
    _passed_on = ()


class Blocked(StatusError):
    """A firewall or a bot check answered in place of the site. ``advice`` names the product if it is known."""

    advice = "a firewall or bot check answered in place of the site; ask the site's owner to let this client in"
    _passed_on = ()


class ServerError(ChatError):
    """The site reports that the chat failed, by an ``error`` event or by ``success: false``.

    ``message`` is the site's text, without HTML and with API keys masked. ``raw`` is the same text exactly as the site
    sent it. ``hint`` is an explanation by this package, or ``""``.
    """

    _http_status = 502

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint
        self.raw = message

    def __str__(self) -> str:
        return self.message + (f" [{self.hint}]" if self.hint else "")


class LimitReached(ServerError):
    """The visitor has reached a limit of the site's owner.

    The site counts questions per visitor or per user. :class:`RateLimited` is different: it means the HTTP status 429.
    Only the plugin's own texts are recognised. A text that the site's owner wrote gives :class:`ServerError`. Source:
    protocol section 2.5.
    """

    _http_status = 429


def copy_error(error: ChatError) -> ChatError:
    """Return a copy of an error. Each call raises its own object, so that the tracebacks of two calls do not mix."""
    copied = copy.copy(error)
    copied.__cause__ = error.__cause__
    return copied
