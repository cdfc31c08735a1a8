"""One question and its answer, together with the uploads that are sent before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from ..parsing.errors import ChatError, ConnectionFailed, InvalidInput, ServerError, TooLarge
from ..parsing.events import Done, Event, Failed, Reply
from ..parsing.parser import DEFAULT_LIMIT, DEFAULT_TEXT_LIMIT, EventParser
from .call import Answer, Call, Limits
from .endpoints import File
from .exchange import Exchange
from .policies import Step
from .prompt import Submission
from .request import Content, Request, Session
from .roots import SUBMIT

# The plugin's text for an unknown bot and for a question that is too long (protocol section 1.4).
_REJECTED = "Sorry, your query has been rejected."
_ENDS = (Done, Failed)  # the union "Done | Failed" would be made again for each piece of an answer
_USUAL_LIMIT = 512  # characters; the plugin's default (protocol section 1.4)


class Turn:
    """One question to one site, from the search for a nonce to the last event, without any I/O.

    An adapter sends the requests and passes the answers on; ``docs/guides/embedding.rst`` shows its loop. Each method
    that starts with ``receive`` returns a list of events: ``Text``, ``Notice``, ``Done`` or ``Failed``. The last event
    is ``Done`` or ``Failed``.

    ``site`` is the address of the site, of a page or of a REST root. ``submission`` is the question. ``session`` holds
    the nonce and may be shared by many turns; without one, the turn makes its own. ``uploads`` are sent before the
    question, and the question names their files. ``on_start`` is called with the submission before the first request,
    and returns the submission to send. ``on_end`` is called with the last event. ``headers`` are sent with every
    request, but credentials among them only to the site's own origin. ``retries`` is how often a request may be sent
    again after a failed connection or a busy site (503 and the like). A nonce that the site refuses as stale is also
    renewed: once for the question, and once for each upload. The three limits are in bytes: of one event, of everything
    outside events (bodies of redirects too), and of the text of the answer. A redirected POST is followed as a POST,
    and a GET as a GET. A nonce is only sent to the origin that issued it.

    Raises InvalidInput for an address or a limit that cannot be used. Source: protocol sections 1, 2 and 5.
    """

    def __init__(
        self,
        site: str,
        submission: Submission,
        session: Session | None = None,
        *,
        uploads: Sequence[Exchange[File]] = (),
        on_start: Callable[[Submission], Submission] | None = None,
        on_end: Callable[[Done | Failed], object] | None = None,
        headers: Mapping[str, str] | None = None,
        retries: int = 0,
        max_event_size: int = DEFAULT_LIMIT,
        max_body_size: int = DEFAULT_LIMIT,
        max_text_size: int = DEFAULT_TEXT_LIMIT,
    ) -> None:
        if not isinstance(submission, Submission):
            raise InvalidInput(f"submission is a Submission, not {type(submission).__name__}: Submission('Hello')")
        self._content = _Content(submission)
        self._uploads = list(uploads)
        self._on_start = on_start
        self._on_end = on_end
        self._failure: ChatError | None = None  # of an upload
        self._question: Exchange[Reply] = Exchange(
            Call(
                Step.CALL,
                "POST",
                SUBMIT,
                body=self._content.body,
                reader=_new_parser,
                read=_unchanged,
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
        """Whether the last event was returned."""
        return self._failure is not None or self._question.over

    @property
    def answer(self) -> Answer | None:
        """The answer to the question itself, or None while there is none: uploads do not count."""
        return self._question.answer

    @property
    def text(self) -> str:
        """The text of the answer so far."""
        return self._question.text

    def result(self) -> Reply:
        """Return the reply of ``Done``. Raises the error of ``Failed``, and InvalidState before the last event."""
        if self._failure is not None:
            raise self._failure
        return self._question.result()

    def take_decisions(self) -> list[str]:
        """Return the decisions since the last call of this method: a list of lines for a log, without secrets."""
        return self._current.take_decisions()

    def next_request(self) -> Request | None:
        """Return the request to send now, or None if the turn is over. A second call in a row changes nothing.

        Raises InvalidState while an answer is being read, InvalidInput if the session holds a value that cannot be
        sent, and the errors of ``on_start``.
        """
        if self._on_start is not None:
            self._content.submission, self._on_start = self._on_start(self._content.submission), None
        return None if self.over else self._current.next_request()

    def receive_response(self, status: int, headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> list[Event]:
        """Process the head of the answer to the last request, and return an empty list.

        ``headers`` is a mapping or an iterable of pairs, of str or bytes. Raises InvalidState if no request waits for
        an answer.
        """
        return self._current.receive_response(status, headers)

    def receive_data(self, data: bytes) -> list[Event]:
        """Return the events that are complete with these bytes of the body.

        Raises InvalidState if no answer is being read.
        """
        exchange = self._current
        return self._handle(exchange, exchange.receive_data(data))

    def receive_eof(self) -> list[Event]:
        """Return the last events of the answer. Call it at the end of the body.

        Raises InvalidState if no answer is being read.
        """
        exchange = self._current
        return self._handle(exchange, exchange.receive_eof()) or self._next(exchange)

    def receive_error(self, error: ConnectionFailed | TooLarge) -> list[Event]:
        """Process a failure of the network or of decoding the body, and return the new events.

        The list is empty if the request will be sent again; :meth:`next_request` returns it. That happens if the head
        has not arrived, a retry can help, and retries are left. Otherwise the last event is ``Failed``. Raises
        InvalidState if no request is under way.
        """
        exchange = self._current
        if exchange is not self._question and exchange.over:  # the file is uploaded; only the body's end is missing
            return self._next(exchange)
        return self._handle(exchange, exchange.receive_error(error))

    @property
    def shared_failure(self) -> ChatError | None:
        """The error that ended the search for a nonce and that every waiting turn shares, or None.

        Pass it to :meth:`receive_failure` of the turns that wait for this search. It is None while another turn may
        still succeed: before the search has failed, and if only the total time of this turn has expired.
        """
        return (self._uploads[0] if self._uploads else self._question).shared_failure

    def receive_failure(self, error: ChatError) -> list[Event]:
        """End this turn with the error of another turn's search for a nonce, and return ``Failed``.

        Call it in place of sending an ``exclusive`` request. ``error`` is the :attr:`shared_failure` of the other turn;
        this turn fails with a copy of it. Raises InvalidState if no exclusive request is to be sent.
        """
        return self._handle(self._current, self._current.receive_failure(error))

    @property
    def _current(self) -> Exchange[Any]:
        """The exchange that is under way: an upload, or the question after all uploads."""
        return self._uploads[0] if self._uploads and self._failure is None else self._question

    def _handle(self, exchange: Exchange[Any], events: list[Event]) -> list[Event]:
        """Return the events of the question. Of an upload, return only its failure, which ends the turn."""
        last = events[-1] if events else None
        if exchange is self._question:
            if isinstance(last, _ENDS):
                self._end(last)
            return events
        return self._fail(last.error) if isinstance(last, Failed) else []

    def _next(self, exchange: Exchange[Any]) -> list[Event]:
        """Continue after an upload that has ended: store the id of its file, and drop the exchange."""
        if exchange is not self._question and exchange.over:
            self._uploads.pop(0)
            self._content.uploaded.append(exchange.result().id)
        return []

    def _fail(self, error: ChatError) -> list[Event]:
        error.partial_text = self.text
        self._failure, failed = error, Failed(error)
        self._end(failed)
        return [failed]

    def _end(self, outcome: Done | Failed) -> None:
        """Add the conversation's id or a hint to the last event, and call ``on_end`` with it."""
        if isinstance(outcome, Done):
            outcome.reply.chat_id = self._content.submission.chat_id
        elif isinstance(outcome.error, ServerError) and outcome.error.message == _REJECTED:
            outcome.error.hint = self._rejection_hint()
        if self._on_end is not None:
            self._on_end(outcome)

    def _rejection_hint(self) -> str:
        size = len(self._content.submission.message)
        if size > _USUAL_LIMIT:
            return f"the message has {size} characters; bots accept {_USUAL_LIMIT} unless their owner raised the limit"
        return "the site may have no such bot"


class _Content:
    """The body of a question: the submission, and the ids of the files that were uploaded before it.

    It is apart from :class:`Turn`, since the call of the exchange uses it. A reference from there to the turn would be
    a cycle, so that each answer would stay in memory until Python's garbage collector runs.
    """

    def __init__(self, submission: Submission) -> None:
        self.submission = submission
        self.uploaded: list[str] = []

    def body(self, session_id: str) -> tuple[dict[str, str], Content]:
        """Return the headers and the body of the request."""
        accept = "text/event-stream" if self.submission.stream else "application/json"
        headers = {"Accept": accept, "Content-Type": "application/json"}
        return headers, self.submission.body(session_id, self.uploaded)


def _new_parser(status: int, headers: dict[str, str], limits: Limits) -> EventParser:
    return limits.parser(status, headers)


def _unchanged(reply: Reply) -> Reply:
    return reply


Drivable: TypeAlias = Exchange[Any] | Turn
"""The object that an adapter drives: a turn, or the exchange of a call that is not a question."""
