"""The tree of errors: every fault of a chat, and whose it is.

::

    ChatError                 anything that ended a chat badly; .partial_text is the answer up to then
    +-- LocalError            the call was wrong: nothing was sent
    |   +-- InvalidInput      a value that cannot be used (also a ValueError)
    |   +-- InvalidState      a call at the wrong moment (also a RuntimeError)
    +-- ConnectionFailed      the network: DNS, refused, TLS, proxy, reset
    |   +-- TimedOut          no bytes in time; .clock says which limit it was
    +-- ProtocolError         the bytes are not what an AI Engine site sends
    |   +-- Truncated         the answer stopped before its end
    |   +-- TooLarge          one event, or a body that is no stream, is over the limit
    +-- StatusError           an HTTP refusal; .status, .code, .message, .headers, .retry_after
    |   +-- NonceRefused      the nonce is stale, foreign or missing, and a new one did not help
    |   +-- RateLimited       too many requests
    |   +-- NotAiEngine       nothing at this address speaks the AI Engine interface
    |   +-- Blocked           something in front of the site refused: a firewall, a challenge
    +-- ServerError           the site's own word that the chat failed; .message
"""

from __future__ import annotations


class ChatError(Exception):
    """A chat that failed; ``partial_text`` is the answer that had already come (``""`` when none had)."""

    partial_text: str = ""


class LocalError(ChatError):
    """A call that was wrong; nothing was sent and nothing has changed."""


class InvalidInput(LocalError, ValueError):
    """A value that cannot be used; the message says which, and what would do."""


class InvalidState(LocalError, RuntimeError):
    """A call at the wrong moment, such as data for a parser that has seen the end."""


class ConnectionFailed(ChatError):
    """The network failed: name look-up, connection, TLS, proxy or reset. The cause is ``__cause__``.

    ``retryable`` is false where another try cannot help (a certificate that does not verify, say).
    """

    retryable: bool = True


class TimedOut(ConnectionFailed):
    """No bytes came in time.

    ``clock`` is the limit that ran out: ``"connect"``, ``"first_byte"``, ``"idle"`` or ``"total"``;
    ``seconds`` is its length.
    """

    def __init__(self, clock: str, seconds: float) -> None:
        super().__init__(clock, seconds)
        self.clock = clock
        self.seconds = seconds
        # A site that is slow to answer may be at work on the question: asking again would ask twice.
        self.retryable = clock == "connect"

    def __str__(self) -> str:
        what = {
            "connect": "no connection was made",
            "first_byte": "the site sent nothing",
            "idle": "the answer stood still",
            "total": "the answer was not complete",
        }[self.clock]
        return f"{what} within {self.seconds:g} s; raise timeout.{self.clock} if the site needs longer"


class ProtocolError(ChatError):
    """The bytes are not what an AI Engine site sends."""


class Truncated(ProtocolError):
    """The answer stopped before its ``end`` event: a server or proxy gave up on it."""


class TooLarge(ProtocolError):
    """One event, or a body that is no stream, is larger than the limit in bytes."""


class StatusError(ChatError):
    """An HTTP refusal.

    Attributes: ``status`` (int), ``code`` (WordPress's error code, ``""`` without one), ``message`` (the
    server's own words, HTML reduced to text), ``headers`` (dict, lower-case names), ``retry_after``
    (seconds that the server asked to wait, or None). Source: protocol sections 4.2 and 4.3.
    """

    advice: str = ""

    def __init__(
        self,
        status: int,
        code: str = "",
        message: str = "",
        headers: dict[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(status, code, message, headers, retry_after)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.retry_after = retry_after

    def __str__(self) -> str:
        code = f" ({self.code})" if self.code else ""
        message = f": {self.message}" if self.message else ""
        wait = f" (the site asks to wait {self.retry_after:g} s)" if self.retry_after is not None else ""
        return f"HTTP {self.status}{code}{message}{wait}" + (f" [{self.advice}]" if self.advice else "")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.status}, {self.code!r}, {self.message!r})"


class NonceRefused(StatusError):
    """The site refused the nonce, and a new one did not help or could not be had."""

    advice = "the site gives visitors no valid nonce; logged-in cookies need the nonce of that login"


class RateLimited(StatusError):
    """The site, or a proxy before it, takes no more requests for now; see ``retry_after``."""

    advice = "wait before asking again"


class NotAiEngine(StatusError):
    """Nothing at this address speaks the AI Engine interface."""

    advice = "check the address, and that the site runs AI Engine with its chatbots on"


class Blocked(StatusError):
    """Something in front of the site refused: a firewall, a bot challenge, a host's protection page."""

    advice = "the site's protection refuses programs; ask its owner to let this one in"


class ServerError(ChatError):
    """The site itself says that the chat failed: an ``error`` event or ``success: false``.

    ``message`` is its own text, HTML reduced to words; ``hint`` is what the SDK can add to it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message + (f" [{self.hint}]" if self.hint else "")
