"""A call as a value: which request it makes, and how the answer is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from ..parsing.bodies import NO_NONCE, printable, refusal
from ..parsing.errors import Blocked, ChatError, NonceRefused, NotAiEngine, ProtocolError, ServerError, StatusError
from ..parsing.events import Done, Event
from ..parsing.parser import DEFAULT_LIMIT, DEFAULT_TEXT_LIMIT, EventParser, check_limits
from .policies import REDIRECTS, Step
from .request import Content, Request

T = TypeVar("T")

_NOT_LOGGED_IN = ("You need to be connected.", "You need to be logged in.")  # protocol section 1.6


@dataclass(frozen=True, slots=True)
class Limits:
    """The size limits of one answer, in bytes. Raises InvalidInput for a limit that is not an int of at least 64.

    ``max_event_size`` limits each event of a stream. ``max_body_size`` limits the rest: a whole body without events, or
    the lines between two events. ``max_text_size`` limits the text of the whole answer in UTF-8.
    """

    max_event_size: int = DEFAULT_LIMIT
    max_body_size: int = DEFAULT_LIMIT
    max_text_size: int = DEFAULT_TEXT_LIMIT

    def __post_init__(self) -> None:
        check_limits(
            max_event_size=self.max_event_size, max_body_size=self.max_body_size, max_text_size=self.max_text_size
        )

    def parser(self, status: int, headers: dict[str, str]) -> EventParser:
        """Return a parser with these limits."""
        return EventParser(
            status=status,
            headers=headers,
            max_event_size=self.max_event_size,
            max_body_size=self.max_body_size,
            max_text_size=self.max_text_size,
        )


@dataclass(frozen=True, slots=True)
class Answered:
    """The last event of a good answer that is not a chat.

    ``content`` is the JSON object of the answer, a :class:`~.page.Page`, or a nonce from plain text.
    """

    content: Any


class Reader(Protocol):
    """An object that turns the body of one answer into events. The last event is Done, Answered or Failed."""

    @property
    def text(self) -> str: ...
    def receive_data(self, data: bytes) -> list[Any]: ...
    def receive_eof(self) -> list[Any]: ...


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """The description of one request, and of how its answer is read.

    ``step`` selects the rows of the table of reactions in ``policies.py``. ``route`` is a path under the REST root,
    such as ``/mwai/v1/start_session``. A request for a page is not under the REST root: it has an ``address``, and its
    ``route`` is ``""``. ``body`` is called with the session id, and returns the headers of this call and its body.
    ``reader`` is called with the status and the headers of the answer, and with the limits. It returns the
    :class:`Reader` of the body. ``read`` turns the content of a good answer into the value of the call. ``advice``
    replaces the usual advice of an error that is about the caller's rights (401, 403 or 404). ``requirement`` is the
    advice for a site of WordPress that does not have the route.
    """

    step: Step
    method: str
    route: str
    body: Callable[[str], tuple[dict[str, str], Content]]
    reader: Callable[[int, dict[str, str], Limits], Reader]
    read: Callable[[Any], T]
    address: str = ""
    advice: str = ""
    requirement: str = ""

    @property
    def needs_nonce(self) -> bool:
        """Whether the request is sent with the nonce of the session."""
        return self.step is Step.CALL

    def value(self, content: Any) -> T:
        """Return the value of a good answer. Raises ProtocolError if the answer lacks a field or has a wrong type."""
        try:
            return self.read(content)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            names = ", ".join(sorted(map(repr, content))[:20]) if isinstance(content, dict) else "no names"
            what = f"the answer has another shape than an AI Engine site's: an object with {printable(names)[:200]}"
            raise ProtocolError(what) from error

    def explain(self, error: ChatError) -> ChatError:
        """Return the error to raise for a failed call, with a hint or an advice where there is one.

        A call that is sent without a nonce cannot have a wrong one, so its error is never NonceRefused. An error that
        is Blocked keeps the advice that names the firewall.
        """
        if isinstance(error, ServerError) and error.message in _NOT_LOGGED_IN:
            error.hint = "log in: Client(auth=(name, application password)) or Client(cookies=...)"
        if not isinstance(error, StatusError) or isinstance(error, Blocked):
            return error
        if (
            not self.needs_nonce
            and isinstance(error, NonceRefused)
            and (error.code == NO_NONCE or self.step is Step.CALL_WITHOUT_NONCE)
        ):
            url, error = error.url, refusal(error.status, error.code, error.message, error.headers, needs_nonce=False)
            error.url = url
        if error.status in (401, 403, 404) or self.step is Step.LOGIN_NONCE:
            error.advice = self.advice or error.advice
        if isinstance(error, NotAiEngine) and error.code:  # WordPress itself reports it
            error.advice = self.requirement or error.advice
        return error


@dataclass(slots=True)
class Answer:
    """The answer that is being read, or that was read last.

    ``is_open`` is true until its body has ended. ``has_given_events`` is true once the caller has received an event of
    this answer other than ``Failed``. ``location`` is the target of a redirect, or ``""`` if the answer is not one.
    """

    call: Call[Any]
    request: Request
    status: int
    headers: dict[str, str]
    reader: Reader
    is_open: bool = True
    has_given_events: bool = False
    location: str = field(init=False)

    def __post_init__(self) -> None:
        self.location = self.headers.get("location", "") if self.status in REDIRECTS else ""


class JsonReader:
    """The reader of a JSON answer to a call that is not a chat."""

    def __init__(self, status: int, headers: dict[str, str], limits: Limits) -> None:
        self._parser = limits.parser(status, headers)

    @property
    def text(self) -> str:
        """The text so far, for a site that sends a stream in place of JSON."""
        return self._parser.text

    def receive_data(self, data: bytes) -> list[Any]:
        """Return the events that are complete with these bytes."""
        return self._convert(self._parser.receive_data(data))

    def receive_eof(self) -> list[Any]:
        """Return the last events. Call it at the end of the body."""
        return self._convert(self._parser.receive_eof())

    def _convert(self, events: list[Event]) -> list[Any]:
        return [Answered(event.reply.raw) if isinstance(event, Done) else event for event in events]
