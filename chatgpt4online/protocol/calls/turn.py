"""One question and its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..parsing.errors import ChatError, ConnectionFailed, ServerError
from ..parsing.events import Done, Event, Failed
from ..parsing.parser import DEFAULT_LIMIT
from .endpoints import Call, File
from .exchange import Exchange
from .prompt import Submission
from .request import Content, Request, Session
from .roots import SUBMIT

_REJECTED = "Sorry, your query has been rejected."  # for an unknown bot, and for a message over its limit
_USUAL_LIMIT = 512  # characters; the plugin's default (protocol section 1.4)


class Turn(Exchange):
    """One question to one site, from the nonce to the last event, without any I/O; see :class:`Exchange` for its use.

    ``site`` is an address (see :func:`rest_roots`). ``session`` holds the nonce, and may
    be shared by many turns. ``headers`` go with each request, credentials among them only to the site's own origin.
    ``uploads`` are made before the question, and their files go with it; ``on_end`` is told the outcome. ``retries``
    says how often a request is repeated of whose answer not a byte came: after a failed connection, or 429 and 503. A
    nonce that the site finds stale is renewed once besides. Redirects are followed as POST, and the nonce never leaves
    its origin. Raises InvalidInput for a bad address or limit. Source: protocol sections 1, 2 and 5.
    """

    _route = SUBMIT

    def __init__(
        self,
        site: str,
        submission: Submission,
        session: Session | None = None,
        *,
        uploads: Sequence[Call[File]] = (),
        on_end: Callable[[Done | Failed], object] | None = None,
        headers: Mapping[str, str] | None = None,
        retries: int = 0,
        max_event_size: int = DEFAULT_LIMIT,
        max_body_size: int = DEFAULT_LIMIT,
    ) -> None:
        super().__init__(
            site,
            session,
            headers=headers,
            retries=retries,
            max_event_size=max_event_size,
            max_body_size=max_body_size,
        )
        self._submission = submission
        self._uploads = list(uploads)
        self._on_end = on_end

    def next_request(self) -> Request | None:
        return self._uploads[0].next_request() if self._is_uploading else super().next_request()

    def receive_response(self, status: int, headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> list[Event]:
        if self._is_uploading:
            return self._uploads[0].receive_response(status, headers)
        return super().receive_response(status, headers)

    def receive_data(self, data: bytes) -> list[Event]:
        if self._is_uploading:
            return self._failed_upload(self._uploads[0].receive_data(data))
        return super().receive_data(data)

    def receive_eof(self) -> list[Event]:
        if not self._is_uploading:
            return super().receive_eof()
        return self._failed_upload(self._uploads[0].receive_eof()) or self._take_upload()

    def receive_error(self, error: ConnectionFailed) -> list[Event]:
        if not self._is_uploading:
            return super().receive_error(error)
        if self._uploads[0].over:  # only the end of its answer is missing
            return self._take_upload()
        return self._failed_upload(self._uploads[0].receive_error(error))

    def _take_upload(self) -> list[Event]:
        """Let the file of an upload that has ended go with the question."""
        if self._uploads[0].over:
            try:
                file_ids = (*self._submission.file_ids, self._uploads.pop(0).value().id)
            except ChatError as error:
                return self._fail(error)
            self._submission = replace(self._submission, file_ids=file_ids)
        return []

    @property
    def _is_uploading(self) -> bool:
        return bool(self._uploads) and not self.over

    def _failed_upload(self, events: list[Event]) -> list[Event]:
        """Return the end of the turn if its upload has failed; what else an upload says is not for the caller."""
        failed = [event for event in events if isinstance(event, Failed)]
        return self._fail(failed[0].error) if failed else []

    def _content(self) -> tuple[dict[str, str], Content]:
        headers = {"Content-Type": "application/json"}
        if self._submission.stream:
            headers["Accept"] = "text/event-stream"
        return headers, self._submission.body(self._session.session_id)

    def _annotate(self, outcome: Done | Failed) -> None:
        if isinstance(outcome, Done):
            outcome.reply.chat_id = self._submission.chat_id
        elif isinstance(outcome.error, ServerError) and outcome.error.message == _REJECTED:
            size = len(self._submission.message)
            outcome.error.hint = (
                f"the message has {size} characters, and bots take {_USUAL_LIMIT} unless their owner raised it"
                if size > _USUAL_LIMIT
                else "the site may have no such bot"
            )
        if self._on_end is not None:
            self._on_end(outcome)
