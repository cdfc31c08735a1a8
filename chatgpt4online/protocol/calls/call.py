"""A call as a value: what is asked, and how the answer is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ..parsing.bodies import NO_NONCE, printable, refusal
from ..parsing.errors import Blocked, ChatError, NonceRefused, ProtocolError, ServerError, StatusError
from ..parsing.events import Done, Event
from ..parsing.parser import DEFAULT_LIMIT, DEFAULT_TEXT_LIMIT, EventParser
from .policies import Step
from .request import Content

T = TypeVar("T")

_NOT_LOGGED_IN = ("You need to be connected.", "You need to be logged in.")  # protocol section 1.6


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an answer in bytes: of one event, of a body that is not a stream, and of the text."""

    max_event_size: int = DEFAULT_LIMIT
    max_body_size: int = DEFAULT_LIMIT
    max_text_size: int = DEFAULT_TEXT_LIMIT

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
    """The good end of an answer that is not a chat: a JSON object, or a page."""

    content: Any


class Reader(Protocol):
    """What reads the body of an answer: events in order, of which the last is Done, Answered or Failed."""

    @property
    def text(self) -> str: ...
    def receive_data(self, data: bytes) -> list[Any]: ...
    def receive_eof(self) -> list[Any]: ...


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """What is asked, and how the answer is read.

    ``step`` says which rows of the table of reactions count. ``route`` is a path under the REST root; a call of another
    place has its ``address`` instead. ``body`` gets the session id, and returns the call's own headers and its body.
    ``reader`` gets the status and the headers of the answer and the limits, and returns what reads the body. ``read``
    turns the content of a good answer into the value. ``advice`` is added to a refusal of the caller's rights.
    """

    step: Step
    method: str
    route: str
    body: Callable[[str], tuple[dict[str, str], Content]]
    reader: Callable[[int, dict[str, str], Limits], Reader]
    read: Callable[[Any], T]
    address: str = ""
    advice: str = ""

    @property
    def needs_nonce(self) -> bool:
        """Whether it is sent with the nonce of the session."""
        return self.step is Step.CALL

    def value(self, content: Any) -> T:
        """Return the value of a good answer. Raises ProtocolError for an answer of another shape."""
        try:
            return self.read(content)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            names = ", ".join(sorted(map(repr, content))[:20]) if isinstance(content, dict) else "no names"
            what = f"the answer has another shape than an AI Engine site's: an object with {printable(names)[:200]}"
            raise ProtocolError(what) from error

    def explain(self, error: ChatError) -> ChatError:
        """Return the error to raise for a failed call.

        A refusal of a call that needs no nonce is not a matter of the nonce, so it is not NonceRefused. A block keeps
        its own advice.
        """
        if isinstance(error, ServerError) and error.message in _NOT_LOGGED_IN:
            error.hint = "log in: Client(auth=(name, application password)) or Client(cookies=...)"
        if not isinstance(error, StatusError) or isinstance(error, Blocked):
            return error
        if (
            not self.needs_nonce
            and isinstance(error, NonceRefused)
            and (error.code == NO_NONCE or self.step is Step.OPEN_CALL)
        ):
            url, error = error.url, refusal(error.status, error.code, error.message, error.headers, needs_nonce=False)
            error.url = url
        if error.status in (401, 403, 404) or self.step is Step.LOGIN_NONCE:
            error.advice = self.advice or error.advice
        return error


class JsonReader:
    """Reads the JSON answer to a call that is not a chat."""

    def __init__(self, status: int, headers: dict[str, str], limits: Limits) -> None:
        self._parser = limits.parser(status, headers)

    @property
    def text(self) -> str:
        """The text of a site that streams in place of answering in JSON."""
        return self._parser.text

    def receive_data(self, data: bytes) -> list[Any]:
        """Return the events that these bytes complete."""
        return self._convert(self._parser.receive_data(data))

    def receive_eof(self) -> list[Any]:
        """Return the last events, now that the body has ended."""
        return self._convert(self._parser.receive_eof())

    def _convert(self, events: list[Event]) -> list[Any]:
        return [Answered(event.reply.raw) if isinstance(event, Done) else event for event in events]
