"""One question and its answer, with the uploads before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from ..parsing.errors import ChatError, ConnectionFailed, InvalidInput, ServerError, TooLarge
from ..parsing.events import Done, Event, Failed, Reply
from ..parsing.parser import DEFAULT_LIMIT, DEFAULT_TEXT_LIMIT
from .call import Call
from .endpoints import File
from .exchange import Exchange
from .policies import Step
from .prompt import Submission
from .request import Content, Request, Session
from .roots import SUBMIT

_REJECTED = "Sorry, your query has been rejected."  # for an unknown bot, and for a message over its limit
_USUAL_LIMIT = 512  # characters; the plugin's default (protocol section 1.4)


class Turn:
    """One question to one site, from the nonce to the last event, without any I/O.

    ``docs/guides/embedding.rst`` shows its loop. ``site`` is the address of a site, of a page or of a REST root.
    ``session`` holds the nonce, and may be shared by many turns. ``headers`` are sent with each request; credentials
    among them only to the site's own origin. ``uploads`` are sent before the question, and their files go with it.
    ``on_end`` is called with the last event. ``retries`` is how often a request is sent again that got no answer, 429
    or 503. A nonce that the site finds stale is renewed once besides. Redirects are followed as POST, and the nonce
    never leaves its origin. Raises InvalidInput for a bad address or limit. Source: protocol sections 1, 2 and 5.
    """

    def __init__(
        self,
        site: str,
        submission: Submission,
        session: Session | None = None,
        *,
        uploads: Sequence[Exchange[File]] = (),
        on_end: Callable[[Done | Failed], object] | None = None,
        headers: Mapping[str, str] | None = None,
        retries: int = 0,
        max_event_size: int = DEFAULT_LIMIT,
        max_body_size: int = DEFAULT_LIMIT,
        max_text_size: int = DEFAULT_TEXT_LIMIT,
    ) -> None:
        if not isinstance(submission, Submission):
            raise InvalidInput(f"submission is a Submission, not {type(submission).__name__}: Submission('Hello')")
        self._submission = submission
        self._uploads = list(uploads)
        self._uploaded: list[str] = []
        self._on_end = on_end
        self._failure: ChatError | None = None  # of an upload
        self._question: Exchange[Reply] = Exchange(
            Call(
                Step.CALL,
                "POST",
                SUBMIT,
                body=self._body,
                reader=lambda status, headers, limits: limits.parser(status, headers),
                read=lambda reply: reply,
            ),
            site,
            session,
            headers=headers,
            retries=retries,
            max_event_size=max_event_size,
            max_body_size=max_body_size,
            max_text_size=max_text_size,
        )

    def __repr__(self) -> str:
        return repr(self._question).replace("Exchange", "Turn", 1)

    @property
    def over(self) -> bool:
        """Whether the last event has come."""
        return self._failure is not None or self._question.over

    @property
    def text(self) -> str:
        """The text of the answer so far."""
        return self._question.text

    def result(self) -> Reply:
        """Return the reply of ``Done``. Raises the error of ``Failed``, and InvalidState before either has come."""
        if self._failure is not None:
            raise self._failure
        return self._question.result()

    def take_decisions(self) -> list[str]:
        """Return what was decided since the last call of this method, a line each, without secrets."""
        return self._current.take_decisions()

    def next_request(self) -> Request | None:
        """Return the request to send now, or None when there is no more. A second call in a row changes nothing.

        Raises InvalidState while an answer is being read.
        """
        return None if self.over else self._current.next_request()

    def receive_response(self, status: int, headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> list[Event]:
        """Take the status and the headers (a mapping or pairs, str or bytes) of the answer to the last request."""
        return self._current.receive_response(status, headers)

    def receive_data(self, data: bytes) -> list[Event]:
        """Return the events that these bytes of the body complete."""
        exchange = self._current
        return self._handle(exchange, exchange.receive_data(data))

    def receive_eof(self) -> list[Event]:
        """Return the events that are known now that the body has ended."""
        exchange = self._current
        return self._handle(exchange, exchange.receive_eof()) or self._next(exchange)

    def receive_error(self, error: ConnectionFailed | TooLarge) -> list[Event]:
        """Take a failure of the network, or of decoding the body.

        The request is sent again if the head had not come and that may help.
        """
        exchange = self._current
        if exchange is not self._question and exchange.over:  # only the end of its answer is missing
            return self._next(exchange)
        return self._handle(exchange, exchange.receive_error(error))

    @property
    def shared_failure(self) -> ChatError | None:
        """The failure of the search for a nonce, for :meth:`receive_failure` of the turns that wait for it, or None.

        It is None where another turn may still succeed: before the end, and where this one ran out of its total time.
        """
        return (self._uploads[0] if self._uploads else self._question).shared_failure

    def receive_failure(self, error: ChatError) -> list[Event]:
        """Take the failure of another turn that fetched the nonce of the session; it ends this turn as well.

        It takes the place of sending an ``exclusive`` request. ``error`` is the other's :attr:`shared_failure`; this
        turn fails with a copy of it.
        """
        return self._handle(self._current, self._current.receive_failure(error))

    @property
    def _current(self) -> Exchange[Any]:
        """The upload that is under way, or else the question."""
        return self._uploads[0] if self._uploads and self._failure is None else self._question

    def _body(self, session_id: str) -> tuple[dict[str, str], Content]:
        accept = "text/event-stream" if self._submission.stream else "application/json"
        headers = {"Accept": accept, "Content-Type": "application/json"}
        return headers, self._submission.body(session_id, self._uploaded)

    def _handle(self, exchange: Exchange[Any], events: list[Event]) -> list[Event]:
        """Return the events of the question; of an upload, only its failure, which ends the turn."""
        last = events[-1] if events else None
        if exchange is self._question:
            if isinstance(last, Done | Failed):
                self._end(last)
            return events
        return self._fail(last.error) if isinstance(last, Failed) else []

    def _next(self, exchange: Exchange[Any]) -> list[Event]:
        """Turn from an upload that has ended to what comes after it."""
        if exchange is not self._question and exchange.over:
            self._uploads.pop(0)
            self._uploaded.append(exchange.result().id)
        return []

    def _fail(self, error: ChatError) -> list[Event]:
        error.partial_text = self.text
        self._failure, failed = error, Failed(error)
        self._end(failed)
        return [failed]

    def _end(self, outcome: Done | Failed) -> None:
        """Add to the last event what only the question knows, and tell it to the caller."""
        if isinstance(outcome, Done):
            outcome.reply.chat_id = self._submission.chat_id
        elif isinstance(outcome.error, ServerError) and outcome.error.message == _REJECTED:
            outcome.error.hint = self._rejection_hint()
        if self._on_end is not None:
            self._on_end(outcome)

    def _rejection_hint(self) -> str:
        size = len(self._submission.message)
        if size > _USUAL_LIMIT:
            return f"the message has {size} characters, and bots take {_USUAL_LIMIT} unless their owner raised it"
        return "the site may have no such bot"


Drivable: TypeAlias = Exchange[Any] | Turn
"""What an adapter drives: a question, or any other call."""
