"""What happens after each refusal, as one table; and the small values that limit it.

:data:`REACTIONS` can be checked against protocol sections 1.1, 1.3 and 5 row by row. What is not in it ends the call.
One rule stands before the table. Nothing is sent again once an event of the answer was returned, since a site would
answer, store and charge the question twice. No policy reads a clock: delays are seconds for the adapter to wait.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import Enum

from ...net.url import absolute, origin
from ..parsing.bodies import STALE_NONCE
from ..parsing.errors import (
    Blocked,
    ChatError,
    ConnectionFailed,
    NonceRefused,
    NotAiEngine,
    ProtocolError,
    StatusError,
    TimedOut,
    TooLarge,
)
from .request import Request
from .roots import moved_root

LONGEST_WAIT = 30.0
"""The longest Retry-After, in seconds, that is waited for. A longer one ends the call: the caller knows better then."""

_FIRST_DELAY = 0.5  # seconds before the first retry; each further one waits twice as long
_MOST_REDIRECTS = 5  # a site needs two at most: to https and to www
_BUSY = (429, 503)
REDIRECTS = (301, 302, 303, 307, 308)
_LOGIN = re.compile(r"wp-login\.php|[/?&=](?:log-?in|sign-?in|anmelden|connexion|acceder)\b", re.IGNORECASE)


class Step(Enum):
    """What a request is for. The table has rows for each."""

    START_SESSION = "start_session"
    PAGE = "page of the nonce"
    LOGIN_NONCE = "nonce of a login"
    CALL = "call with a nonce"
    OPEN_CALL = "call without a nonce"
    VISIT = "visit of a page"


class Refusal(Enum):
    """A kind of bad answer."""

    CONNECTION_FAILED = "connection failed before the head"
    BUSY = "429 or 503"
    NOT_FOUND = "not found, or a page in place of the API"
    NOT_AN_API = "an answer that is not the API's"
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
    ((Step.START_SESSION,), Refusal.NOT_AN_API, (Reaction.NEXT_ROOT, Reaction.ASK_PAGE)),
    ((Step.START_SESSION,), Refusal.NO_ROUTE, (Reaction.ASK_PAGE,)),
    ((Step.START_SESSION,), Refusal.FORBIDDEN, (Reaction.ASK_PAGE,)),
    ((Step.START_SESSION,), Refusal.FORBIDDEN_WITH_PASSWORD, (Reaction.ASK_PAGE,)),
    ((Step.CALL,), Refusal.STALE_NONCE, (Reaction.RENEW,)),
    ((Step.CALL,), Refusal.FORBIDDEN_WITH_PASSWORD, (Reaction.RENEW,)),
    ((Step.CALL, Step.OPEN_CALL), Refusal.NOT_FOUND, (Reaction.NEXT_ROOT,)),
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
    is_foreign = isinstance(error, StatusError) and not error.code
    if is_foreign or (isinstance(error, ProtocolError) and not isinstance(error, TooLarge)):
        return Refusal.NOT_AN_API
    return Refusal.OTHER


def _nonce_refusal(error: NonceRefused, request: Request) -> Refusal:
    """Return the kind of a refused nonce.

    WordPress checks no nonce of a password login. The plugin does, and answers ``rest_forbidden`` to a stale one.
    """
    if error.code == STALE_NONCE:
        return Refusal.STALE_NONCE
    has_password = any(name.lower() == "authorization" for name in request.headers)
    return Refusal.FORBIDDEN_WITH_PASSWORD if has_password else Refusal.FORBIDDEN


def leads_to_login(location: str) -> bool:
    """Return whether a redirect's target looks like a login page."""
    return _LOGIN.search(location) is not None


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
    """Where a redirect leads.

    ``root`` is the REST root of the target where it has the same route, or ``""``. ``address`` is the target as it is.
    ``is_plain`` is true where the target is ``root`` and the route, with nothing added.
    """

    root: str
    address: str
    is_plain: bool
    leaves_origin: bool

    @classmethod
    def of(cls, request: Request, status: int, location: str, route: str) -> Redirect | None:
        """Return where the answer to ``request`` for ``route`` redirects, or None where that is not followed.

        A POST is followed to the same route anywhere. 307 and 308 are followed to any address of the same origin that
        is not a login page, and a GET to any address. TLS is never given up.
        """
        target = absolute(request.url, location)
        if target is None:
            return None
        leaves = origin(target) != origin(request.url)
        if request.method != "POST":
            return cls("", target, False, leaves)
        root = moved_root(target, route)
        if root is None and (leaves or status not in (307, 308) or leads_to_login(location)):
            return None
        return cls(root or "", target, root is not None and target == root + route, leaves)


@dataclass(frozen=True, slots=True)
class Redirects:
    """The redirects of one call: how many were followed, the bytes of their bodies, and where the last one leads."""

    followed: int = 0
    skipped: int = 0
    address: str = ""
    step: Step | None = None

    def skip(self, size: int) -> Redirects:
        """Return the redirects after ``size`` more bytes of a body."""
        return replace(self, skipped=self.skipped + size)

    def follow(self, redirect: Redirect, step: Step) -> Redirects | None:
        """Return the redirects after one more, of the answer to ``step``, or None after too many."""
        if self.followed == _MOST_REDIRECTS:
            return None
        address = "" if redirect.is_plain else redirect.address
        return replace(self, followed=self.followed + 1, address=address, step=step)

    def address_for(self, step: Step) -> str:
        """Return the address that the request for ``step`` was redirected to, or ``""``.

        The target of a redirect belongs to the request that it answered. No other request goes there.
        """
        return self.address if step is self.step else ""

    def answered(self) -> Redirects:
        """Return the redirects after an answer: the next request goes to its usual address."""
        return replace(self, address="") if self.address else self


@dataclass(frozen=True, slots=True)
class Handshake:
    """How the nonce is fetched: ``source`` is the step that is asked for it next.

    ``start_session`` treats a visitor who is logged in by a cookie as a guest. Such a visitor asks the page first, and
    then WordPress itself (protocol section 1.3). ``refusal`` is the most telling of the errors so far.
    ``refused_nonce`` is the nonce in place of which a new one was fetched; it is ``""`` where the call had none.
    ``failure`` is the end of a search that failed, where every other call would fail in the same way.
    """

    by_cookie: bool
    source: Step
    has_renewed: bool = False
    refused_nonce: str = field(default="", repr=False)
    failure: ChatError | None = None
    refusal: ChatError | None = None

    @classmethod
    def of(cls, by_cookie: bool) -> Handshake:
        """Return the handshake of a new call."""
        return cls(by_cookie, Step.PAGE if by_cookie else Step.START_SESSION)

    def renewed(self, refused_nonce: str) -> Handshake | None:
        """Return the handshake that fetches a nonce in place of a refused one, or None where that was done before."""
        return None if self.has_renewed else replace(self.restarted(), has_renewed=True, refused_nonce=refused_nonce)

    def failed(self, error: ChatError) -> Handshake:
        """Return the handshake that ended in an error. That one call ran out of its total time is not shared."""
        is_shared = not (isinstance(error, TimedOut) and error.clock == "total")
        return replace(self, failure=error if is_shared else None)

    def explain(self, error: NonceRefused, nonce: str) -> None:
        """Add to the advice of an error, the answer to a call with ``nonce``, what came of the renewal."""
        if self.has_renewed:
            outcome = "gave the same nonce again" if nonce == self.refused_nonce else "refused a new nonce too"
            error.advice = f"the site {outcome}; {error.advice}"

    def restarted(self) -> Handshake:
        """Return the handshake from its beginning, for another REST root."""
        return replace(self, source=Step.PAGE if self.by_cookie else Step.START_SESSION)

    def at_page(self) -> Handshake:
        """Return the handshake that asks the page."""
        return replace(self, source=Step.PAGE)

    def after_page(self) -> Handshake | None:
        """Return the handshake after a page without a nonce, or None where no other place has one."""
        is_last = not self.by_cookie or self.source is Step.LOGIN_NONCE
        return None if is_last else replace(self, source=Step.LOGIN_NONCE)

    def refused(self, error: ChatError) -> Handshake:
        """Return the handshake that remembers an error."""
        return replace(self, refusal=self.most_telling(error))

    def most_telling(self, error: ChatError) -> ChatError:
        """Return the error to raise for a search that ended in ``error``: of two that tell as much, the first."""
        first = self.refusal
        return error if first is None or _weight(error) > _weight(first) else first


def _weight(error: ChatError) -> int:
    """Return how much an error tells about what stands in the way."""
    if isinstance(error, ConnectionFailed | Blocked):
        return 4
    if isinstance(error, NotAiEngine):
        return 1 if error.code else 0
    return -1 if isinstance(error, ProtocolError) else 3
