"""One question and its answer."""

from __future__ import annotations

from collections.abc import Mapping

from .errors import ServerError
from .events import Done, Failed
from .exchange import Exchange
from .parser import DEFAULT_LIMIT
from .wire import SUBMIT, Session, Submission

_REJECTED = "Sorry, your query has been rejected."  # for an unknown bot, and for a message over its limit
_USUAL_LIMIT = 512  # characters; the plugin's default (protocol section 1.4)


class Turn(Exchange):
    """One question to one site, from the nonce to the last event, without any I/O; see :class:`Exchange` for its use.

    ``site`` is an address (see :func:`~chatgpt4online.protocol.wire.rest_roots`). ``session`` holds the nonce, and may
    be shared by many turns. ``headers`` go with each request, credentials among them only to the site's own origin.
    ``retries`` says how often a request is repeated of whose answer not a byte came: after a failed connection, or 429
    and 503. A nonce that the site finds stale is renewed once besides. Redirects are followed as POST, and the nonce
    never leaves its origin. Raises InvalidInput for a bad address or limit. Source: protocol sections 1, 2 and 5.
    """

    _route = SUBMIT

    def __init__(
        self,
        site: str,
        submission: Submission,
        session: Session | None = None,
        *,
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

    def _content(self) -> tuple[dict[str, str], bytes]:
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
