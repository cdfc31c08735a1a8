"""The answers of ``POST /v1/responses``."""

from __future__ import annotations

from .. import Event, Reply
from .chat_completions import encoded
from .errors import Json, Refusal
from .requests import Question


class ResponseWriter:
    """Turns the events of one answer into the typed events of a response, and its reply into a response."""

    def __init__(self, question: Question, chat_id: str, created: int) -> None:
        self._question = question

    def begin(self) -> bytes:
        """Return the events ``response.created`` and ``response.in_progress``."""
        return encoded({})

    def receive(self, event: Event) -> bytes:
        """Return the typed events for an event, or ``b""``."""
        return b""

    def end(self, reply: Reply) -> bytes:
        """Return the last typed events."""
        return b""

    def fail(self, refusal: Refusal) -> bytes:
        """Return the event that reports a failure in the middle of the answer."""
        return b""

    def complete(self, reply: Reply) -> Json:
        """Return the whole response."""
        return {}
