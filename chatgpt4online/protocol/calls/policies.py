"""One table with the reaction to each refusal, and the frozen values that count and limit the reactions.

Each row of :data:`TABLE` can be checked against protocol sections 1.1, 1.3 and 5. A refusal without a row ends the
call. One rule applies before the table: a request is never sent again once an event of its answer was returned, since
the site would answer, store and charge the question twice. No function here reads a clock; a delay is a number of
seconds that the adapter waits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache

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
"""The longest ``Retry-After`` that a retry waits for, in seconds. Few users would wait longer, so the call ends."""

_FIRST_DELAY = 0.5  # seconds before the first retry; each further one waits twice as long
_MOST_REDIRECTS = 5  # a site needs two, to https and to www; three more are tolerated, and a loop has no end
_BUSY = (429, 503)
REDIRECTS = (301, 302, 303, 307, 308)
_LOGIN = re.compile(r"wp-login\.php|[/?&=](?:log-?in|sign-?in|anmelden|connexion|acceder)\b", re.IGNORECASE)


class Step(Enum):
    """The purpose of a request, which selects rows of the table.

    The first three belong to the search for a nonce (see :class:`Handshake`).
    """

    START_SESSION = "start_session"
    PAGE = "page of the nonce"
    LOGIN_NONCE = "nonce of a login"
    CALL = "call with a nonce"
    CALL_WITHOUT_NONCE = "call without a nonce"
    VISIT = "visit of a page"


class Refusal(Enum):
    """A kind of failed request, which selects rows of the table."""

    CONNECTION_FAILED = "connection failed before the head"
    BUSY = "429 or 503"
    NOT_FOUND = "not found, or a page in place of the API"
    NOT_AN_API = "an answer that is not the API's"
    NO_ROUTE = "rest_no_route"
    STALE_NONCE = "rest_cookie_invalid_nonce"
    NONCE_FORBIDDEN = "rest_forbidden"
    FORBIDDEN_WITH_PASSWORD = "rest_forbidden to a password login"  # noqa: S105  # it is the name of a refusal
    # These two have no row in the table, so they end the call. BLOCKED is a firewall, which stops every request.
    BLOCKED = "blocked"
    OTHER = "anything else"


class Reaction(Enum):
    """An action of the exchange after a refusal, in place of failing."""

    RETRY = "retry"
    RENEW = "renew the nonce"
    NEXT_ROOT = "next root"
    ASK_PAGE = "ask the page"


ANY_STEP = tuple(Step)

# Each row is (steps, refusal, reactions). The first possible reaction is carried out; if none is possible, the call
# fails. RETRY is possible while retries are left and the server asks for a wait of at most LONGEST_WAIT. RENEW is
# possible once in a call. NEXT_ROOT is possible while an untried root is left. ASK_PAGE is always possible.
TABLE: tuple[tuple[tuple[Step, ...], Refusal, tuple[Reaction, ...]], ...] = (
    (ANY_STEP, Refusal.CONNECTION_FAILED, (Reaction.RETRY,)),
    (ANY_STEP, Refusal.BUSY, (Reaction.RETRY,)),
    ((Step.START_SESSION,), Refusal.NOT_FOUND, (Reaction.NEXT_ROOT, Reaction.ASK_PAGE)),
    ((Step.START_SESSION,), Refusal.NOT_AN_API, (Reaction.NEXT_ROOT, Reaction.ASK_PAGE)),
    ((Step.START_SESSION,), Refusal.NO_ROUTE, (Reaction.ASK_PAGE,)),
    ((Step.START_SESSION,), Refusal.NONCE_FORBIDDEN, (Reaction.ASK_PAGE,)),
    ((Step.START_SESSION,), Refusal.FORBIDDEN_WITH_PASSWORD, (Reaction.ASK_PAGE,)),
    ((Step.CALL,), Refusal.STALE_NONCE, (Reaction.RENEW,)),
    ((Step.CALL,), Refusal.FORBIDDEN_WITH_PASSWORD, (Reaction.RENEW,)),
    ((Step.CALL, Step.CALL_WITHOUT_NONCE), Refusal.NOT_FOUND, (Reaction.NEXT_ROOT,)),
)

REACTIONS: dict[tuple[Step, Refusal], tuple[Reaction, ...]] = {
    (step, refusal): reactions for steps, refusal, reactions in TABLE for step in steps
}


def classify(error: ChatError, request: Request) -> Refusal:
    """Return the kind of refusal for the error of ``request``."""
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
    # WordPress sends a code with each of its errors, so an error without one comes from another program. An answer that
    # is too large may be the API's.
    is_foreign = isinstance(error, StatusError) and not error.code
    if is_foreign or (isinstance(error, ProtocolError) and not isinstance(error, TooLarge)):
        return Refusal.NOT_AN_API
    return Refusal.OTHER


def _nonce_refusal(error: NonceRefused, request: Request) -> Refusal:
    """Return the kind of refusal for a nonce that was refused.

    For a login by password WordPress does not check the nonce, but the plugin does. So a stale nonce of such a login is
    answered with ``rest_forbidden`` (protocol section 1.2).
    """
    if error.code == STALE_NONCE:
        return Refusal.STALE_NONCE
    has_password = any(name.lower() == "authorization" for name in request.headers)
    return Refusal.FORBIDDEN_WITH_PASSWORD if has_password else Refusal.NONCE_FORBIDDEN


def leads_to_login(location: str) -> bool:
    """Return whether a redirect's target looks like a login page."""
    return _LOGIN.search(location) is not None


@dataclass(frozen=True, slots=True)
class Retries:
    """The retries of one call, as a frozen value.

    ``left`` is how many are still allowed, ``done`` how many were made, and ``delay`` the number of seconds to wait
    before the next request. ``cause`` is the error that made the last one necessary, or None.
    """

    left: int
    done: int = 0
    delay: float = 0.0
    cause: ChatError | None = field(default=None, compare=False)

    def after(self, error: ChatError) -> Retries | None:
        """Return the value after one more retry, or None if no retry is possible.

        ``error.retry_after`` is the number of seconds in the server's ``Retry-After``, or None without one.
        """
        wait = error.retry_after
        if not self.left or (wait or 0.0) > LONGEST_WAIT:
            return None
        delay = _FIRST_DELAY * 2**self.done if wait is None else wait
        return Retries(self.left - 1, self.done + 1, delay, error)

    def without_delay(self) -> Retries:
        """Return the value after an answer: the next request is sent at once."""
        return replace(self, delay=0.0) if self.delay else self


@dataclass(frozen=True, slots=True)
class Redirect:
    """The target of a redirect.

    ``address`` is the whole target. If the target ends with the same route, ``root`` is the part before it, else
    ``""``. ``is_exact`` is true if nothing, such as a slash or a query, follows the route. ``leaves_origin`` is true if
    the target has another scheme, host or port.
    """

    root: str
    address: str
    is_exact: bool
    leaves_origin: bool

    @classmethod
    def of(cls, request: Request, status: int, location: str, route: str) -> Redirect | None:
        """Return the target of a redirect that answered ``request`` for ``route``, or None if it is not followed.

        A GET is followed to any address. A POST is followed to the same route at any address. With status 307 or 308 a
        POST is also followed to any address of the same origin, unless the address looks like a login page. A redirect
        from https to http is never followed.
        """
        target = absolute(request.url, location)
        if target is None:  # no web address, or one without TLS for a request with TLS
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
    """The redirects of one call, as a frozen value.

    ``followed`` is their number. ``ignored_bytes`` is the number of bytes in all their bodies, which are ignored.
    ``address`` is where the request for ``step`` was redirected to, or ``""``.
    """

    followed: int = 0
    ignored_bytes: int = 0
    address: str = ""
    step: Step | None = None

    def with_ignored(self, size: int) -> Redirects:
        """Return the value after ``size`` more bytes of a redirect's body."""
        return replace(self, ignored_bytes=self.ignored_bytes + size)

    def follow(self, redirect: Redirect, step: Step) -> Redirects | None:
        """Return the value after one more redirect of the request for ``step``, or None if there were too many."""
        if self.followed == _MOST_REDIRECTS:
            return None
        address = "" if redirect.is_exact else redirect.address
        return replace(self, followed=self.followed + 1, address=address, step=step)

    def address_for(self, step: Step) -> str:
        """Return the address that the request for ``step`` was redirected to, or ``""``.

        Only the redirected request goes to the target. A request for another step goes to its usual address.
        """
        return self.address if step is self.step else ""

    def without_address(self) -> Redirects:
        """Return the value after an answer: the next request goes to its usual address."""
        return replace(self, address="") if self.address else self


@dataclass(frozen=True, slots=True)
class Handshake:
    """The search for a nonce of one call, as a frozen value.

    A handshake is the part of a call in which the client searches for a nonce: it asks one place after the other.
    ``source`` is the step that is asked next. A guest asks ``start_session``, and then the site's page. With
    ``by_cookie`` the visitor is logged in by a cookie, and ``start_session`` would treat that visitor as a guest. So
    the search asks the page, and then WordPress itself (protocol section 1.3).

    ``has_renewed`` is true once the call has searched for a new nonce in place of ``refused_nonce``. ``best_refusal``
    is the error so far that helps the caller most. ``shared_failure`` is the error that ended the search, if every
    other call would fail in the same way, else None.
    """

    by_cookie: bool
    source: Step
    has_renewed: bool = False
    refused_nonce: str = field(default="", repr=False)
    shared_failure: ChatError | None = None
    best_refusal: ChatError | None = None

    @staticmethod
    @cache
    def of(by_cookie: bool) -> Handshake:
        """Return the search of a new call. ``by_cookie`` is true if a cookie logs the visitor in."""
        return Handshake(by_cookie, Step.PAGE if by_cookie else Step.START_SESSION)

    def renewed(self, refused_nonce: str) -> Handshake | None:
        """Return a new search in place of a refused nonce, or None if the call has made one before."""
        return None if self.has_renewed else replace(self.restarted(), has_renewed=True, refused_nonce=refused_nonce)

    def with_failure(self, error: ChatError) -> Handshake:
        """Return the search after its end in an error.

        Other calls share this failure, unless it is the total time of this call that expired.
        """
        is_shared = not (isinstance(error, TimedOut) and error.clock == "total")
        return replace(self, shared_failure=error if is_shared else None)

    def explain(self, error: NonceRefused, nonce: str) -> None:
        """Add the result of a renewal, if there was one, to the advice of an error. ``nonce`` is the refused one."""
        if self.has_renewed:
            outcome = "sent the same nonce again" if nonce == self.refused_nonce else "refused a new nonce too"
            error.advice = f"the site {outcome}; {error.advice}"

    def restarted(self) -> Handshake:
        """Return the search from its first place again, for another REST root."""
        return replace(self, source=Step.PAGE if self.by_cookie else Step.START_SESSION)

    def at_page(self) -> Handshake:
        """Return the search that asks the page next."""
        return replace(self, source=Step.PAGE)

    def after_page(self) -> Handshake | None:
        """Return the search after a page without a nonce, or None if no place is left."""
        is_last = not self.by_cookie or self.source is Step.LOGIN_NONCE
        return None if is_last else replace(self, source=Step.LOGIN_NONCE)

    def with_refusal(self, error: ChatError) -> Handshake:
        """Return the search that has stored an error, if it helps more than the one before."""
        return replace(self, best_refusal=self.most_helpful(error))

    def most_helpful(self, error: ChatError) -> ChatError:
        """Return the error to raise for a search that ended in ``error``: the one that helps the caller most.

        Of two errors that help equally, it is the earlier one.
        """
        first = self.best_refusal
        return error if first is None or _rank(error) > _rank(first) else first


def _rank(error: ChatError) -> int:
    """Return a rank for an error of a search; the error with the highest rank is raised."""
    if isinstance(error, ConnectionFailed | Blocked):
        return 4  # it stops every request, so no other error matters
    if isinstance(error, NotAiEngine):
        # "Not found" is usual, since a search tries many addresses. With a code, WordPress itself reports it.
        return 2 if error.code else 1
    return 0 if isinstance(error, ProtocolError) else 3  # 3: a refusal by the site; 0: an answer that cannot be read
