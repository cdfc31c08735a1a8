"""What happens after each refusal, as one table; and the small values that limit it.

:data:`REACTIONS` can be checked against protocol sections 1.1, 1.3 and 5 row by row. What is not in it ends the call.
One rule stands before the table. Nothing is sent again once an event of the answer was returned, since a site would
answer, store and charge the question twice. No policy reads a clock: delays are seconds for the adapter to wait.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from ...net.url import absolute, origin
from ..parsing.bodies import STALE_NONCE
from ..parsing.errors import Blocked, ChatError, ConnectionFailed, NonceRefused, NotAiEngine, StatusError
from .request import Request
from .roots import moved_root

LONGEST_WAIT = 30.0
"""The longest Retry-After, in seconds, that is waited for. A longer one ends the call: the caller knows better then."""

_FIRST_DELAY = 0.5  # seconds before the first retry; each further one waits twice as long
_MOST_REDIRECTS = 5  # a site needs two at most: to https and to www
_BUSY = (429, 503)
REDIRECTS = (301, 302, 303, 307, 308)


class Step(Enum):
    """What a request is for. The table has rows for each."""

    START_SESSION = "start_session"
    PAGE = "page of the nonce"
    CALL = "call with a nonce"
    OPEN_CALL = "call without a nonce"
    VISIT = "visit of a page"


class Refusal(Enum):
    """A kind of bad answer."""

    CONNECTION_FAILED = "connection failed before the head"
    BUSY = "429 or 503"
    NOT_FOUND = "not found, or a page in place of the API"
    NO_ROUTE = "rest_no_route"
    STALE_NONCE = "rest_cookie_invalid_nonce"
    FORBIDDEN = "rest_forbidden"
    FORBIDDEN_WITH_PASSWORD = "rest_forbidden to a password login"  # noqa: S105  # it is the name of a refusal
    BLOCKED = "blocked"
    OTHER = "anything else"


class Reaction(Enum):
    """What is done next."""

    RETRY = "retry"
    RENEW = "renew the nonce"
    NEXT_ROOT = "next root"
    ASK_PAGE = "ask the page"


ANY_STEP = tuple(Step)

# (steps, refusal, reactions): the first reaction that is possible is carried out. A retry is possible while retries are
# left and the server asks for at most LONGEST_WAIT, a renewal once, the next root while there is one. Where none is
# possible, the call fails.
TABLE: tuple[tuple[tuple[Step, ...], Refusal, tuple[Reaction, ...]], ...] = (
    (ANY_STEP, Refusal.CONNECTION_FAILED, (Reaction.RETRY,)),
    (ANY_STEP, Refusal.BUSY, (Reaction.RETRY,)),
    ((Step.START_SESSION,), Refusal.NOT_FOUND, (Reaction.NEXT_ROOT, Reaction.ASK_PAGE)),
    ((Step.START_SESSION,), Refusal.NO_ROUTE, (Reaction.ASK_PAGE,)),
    ((Step.START_SESSION,), Refusal.FORBIDDEN, (Reaction.ASK_PAGE,)),
    ((Step.START_SESSION,), Refusal.FORBIDDEN_WITH_PASSWORD, (Reaction.ASK_PAGE,)),
    ((Step.CALL,), Refusal.STALE_NONCE, (Reaction.RENEW,)),
    ((Step.CALL,), Refusal.FORBIDDEN_WITH_PASSWORD, (Reaction.RENEW,)),
    ((Step.OPEN_CALL,), Refusal.NOT_FOUND, (Reaction.NEXT_ROOT,)),
)

REACTIONS: dict[tuple[Step, Refusal], tuple[Reaction, ...]] = {
    (step, refusal): reactions for steps, refusal, reactions in TABLE for step in steps
}


def classify(error: ChatError, request: Request) -> Refusal:
    """Return the kind of refusal that an error is, as the answer to ``request``."""
    if isinstance(error, ConnectionFailed):
        return Refusal.CONNECTION_FAILED if error.retryable else Refusal.OTHER
    if isinstance(error, NonceRefused):
        return _nonce_refusal(error, request)
    if isinstance(error, Blocked):
        return Refusal.BLOCKED
    if isinstance(error, StatusError) and error.status in _BUSY:
        return Refusal.BUSY
    if isinstance(error, NotAiEngine):
        return Refusal.NO_ROUTE if error.code else Refusal.NOT_FOUND
    return Refusal.OTHER


def _nonce_refusal(error: NonceRefused, request: Request) -> Refusal:
    """Return the kind of a refused nonce.

    WordPress checks no nonce of a password login. The plugin does, and answers ``rest_forbidden`` to a stale one.
    """
    if error.code == STALE_NONCE:
        return Refusal.STALE_NONCE
    has_password = any(name.lower() == "authorization" for name in request.headers)
    return Refusal.FORBIDDEN_WITH_PASSWORD if has_password else Refusal.FORBIDDEN


@dataclass(frozen=True, slots=True)
class Retries:
    """The retries of one call: how many are left, and the seconds to wait before the next request."""

    left: int
    done: int = 0
    delay: float = 0.0

    def after(self, wait: float | None) -> Retries | None:
        """Return the retries after one more, or None where none is possible.

        ``wait`` is the seconds that the server asked to wait, or None where it asked for nothing.
        """
        if not self.left or (wait or 0.0) > LONGEST_WAIT:
            return None
        delay = _FIRST_DELAY * 2**self.done if wait is None else wait
        return Retries(self.left - 1, self.done + 1, delay)

    def answered(self) -> Retries:
        """Return the retries after an answer: the next request waits for nothing."""
        return replace(self, delay=0.0) if self.delay else self


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where a redirect leads: to the same route under another REST root, or to an address of its own."""

    root: str
    address: str
    leaves_origin: bool

    @classmethod
    def of(cls, request: Request, status: int, location: str, route: str) -> Redirect | None:
        """Return where the answer to ``request`` for ``route`` redirects, or None where that is not followed.

        A POST is followed to the same route anywhere. 307 and 308 are followed to any address of the same origin, and
        a GET to any address. TLS is never given up.
        """
        target = absolute(request.url, location)
        if target is None:
            return None
        leaves = origin(target) != origin(request.url)
        if request.method != "POST":
            return cls("", target, leaves)
        root = moved_root(target, route)
        if root is None and (leaves or status not in (307, 308)):
            return None
        return cls(root or "", target, leaves)


@dataclass(frozen=True, slots=True)
class Redirects:
    """The redirects of one call: how many were followed, the bytes of their bodies, and where the next request goes."""

    followed: int = 0
    skipped: int = 0
    address: str = ""

    def skip(self, size: int) -> Redirects:
        """Return the redirects after ``size`` more bytes of a body."""
        return replace(self, skipped=self.skipped + size)

    def follow(self, redirect: Redirect) -> Redirects | None:
        """Return the redirects after one more, or None after too many."""
        if self.followed == _MOST_REDIRECTS:
            return None
        address = "" if redirect.root else redirect.address
        return replace(self, followed=self.followed + 1, address=address)

    def answered(self) -> Redirects:
        """Return the redirects after an answer: the next request goes to its usual address."""
        return replace(self, address="") if self.address else self


@dataclass(frozen=True, slots=True)
class Handshake:
    """How the nonce is fetched: from ``start_session``, or from the page of the site.

    ``start_session`` takes a visitor who is logged in by a cookie for a guest, so that login asks the page first.
    ``refusal`` is the first answer that said that there is no REST API, or no nonce, where it was looked for.
    """

    by_cookie: bool
    asks_page: bool
    has_renewed: bool = False
    refusal: StatusError | None = None

    @classmethod
    def of(cls, by_cookie: bool) -> Handshake:
        """Return the handshake of a new call."""
        return cls(by_cookie, asks_page=by_cookie)

    def renewed(self) -> Handshake | None:
        """Return the handshake that fetches a new nonce, or None where that was done before."""
        return None if self.has_renewed else replace(self, has_renewed=True, asks_page=self.by_cookie)

    def restarted(self) -> Handshake:
        """Return the handshake from its beginning, for another REST root."""
        return replace(self, asks_page=self.by_cookie)

    def at_page(self) -> Handshake:
        """Return the handshake that asks the page."""
        return replace(self, asks_page=True)

    def refused(self, error: ChatError) -> Handshake:
        """Return the handshake that remembers the first refusal."""
        if self.refusal is not None or not isinstance(error, StatusError):
            return self
        return replace(self, refusal=error)

    def most_telling(self, error: ChatError, step: Step) -> ChatError:
        """Return the error to raise for a handshake that ended in ``error``.

        What the first place said helps more than what the last one said, where that was only one more place.
        """
        missed = isinstance(error, NotAiEngine) or step is Step.PAGE
        return (self.refusal if missed else None) or error
