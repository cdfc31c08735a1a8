"""The history of a conversation: what was said so far, and what the next question needs of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..parsing.bodies import printable
from ..parsing.errors import InvalidInput, InvalidState, ServerError
from ..parsing.events import Done, Failed, Json, Shortcut
from .prompt import Message, Submission, not_
from .request import is_id

_FORMAT = 1  # the version of the saved form
_RESUMABLE = ("resp_", "v1_")  # a site keeps the history itself behind these response ids (protocol section 1.4)

Recorder = Callable[[Done | Failed], object]


class History:
    """The messages of a conversation under one chat id.

    A question that got its answer is recorded with :meth:`recorder`. A question that failed leaves the history as it
    was. ``chat_id`` names the conversation to the site. Raises InvalidInput for messages that could not be sent.
    """

    def __init__(self, chat_id: str, messages: Iterable[Message] = (), previous_response_id: str = "") -> None:
        messages = list(messages)
        Submission("Hi", messages, chat_id=chat_id)  # raises for what could not be sent
        self.chat_id = chat_id
        self.previous_response_id = previous_response_id
        self.last_shortcut: Shortcut | None = None  # the last question, if only the site knows its text
        self._messages = [{"role": message["role"], "content": message["content"]} for message in messages]

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def messages(self) -> list[dict[str, str]]:
        """A copy of the messages, as dicts with ``role`` and ``content``."""
        return [dict(message) for message in self._messages]

    def clear(self, chat_id: str) -> None:
        """Forget all messages and start again under a new chat id."""
        self._messages.clear()
        self.previous_response_id = ""
        self.last_shortcut = None
        self.chat_id = chat_id

    def prompt(self, question: str | Message, keep: int | None = None) -> list[Message]:
        """Return the first ``keep`` messages (all without it) followed by a question.

        Raises InvalidInput for a question that is neither a string nor a message.
        """
        if not isinstance(question, str | Mapping):
            raise InvalidInput(
                f"a question is a string, or one {{'role', 'content'}} message, {not_(question)}; "
                "the conversation itself adds what was said before"
            )
        asked = {"role": "user", "content": question} if isinstance(question, str) else question
        return [*self._messages[:keep], asked]

    def last_question(self) -> tuple[int, str]:
        """Return the position and the text of the last question. Raises InvalidState before the first one."""
        for position in reversed(range(len(self._messages))):
            if self._messages[position]["role"] == "user":
                return position, self._messages[position]["content"]
        raise InvalidState("nothing was asked in this conversation yet")

    def shortcut_question(self, shortcut: Shortcut, keep: int | None, bot: Mapping[str, Any]) -> Submission:
        """Return the question that a shortcut stands for; ``bot`` has the fields that name the bot.

        Raises InvalidInput for a shortcut that clears the conversation, and for one that has nothing to send.
        """
        if not isinstance(shortcut, Shortcut):
            raise InvalidInput(f"a shortcut is one of reply.shortcuts or bot.shortcuts, {not_(shortcut)}")
        if shortcut.action == "clear":
            raise InvalidInput("this shortcut clears the conversation: call clear()")
        if not (shortcut.message or shortcut.shortcut_id):
            raise InvalidInput(f"the shortcut {shortcut.label!r} has nothing to send; it is for browsers only")
        return Submission(
            shortcut.message,
            self.messages[:keep],
            chat_id=self.chat_id,
            shortcut_id=None if shortcut.message else shortcut.shortcut_id,
            shortcut_name=shortcut.label,
            previous_response_id=self.response_to_resume(keep),
            **bot,
        )

    def response_to_resume(self, keep: int | None) -> str | None:
        """Return the response id to send with the next question, or None.

        A site's own copy of the history is wrong once messages were replaced (protocol section 5, 20).
        """
        known = self.previous_response_id if keep is None else ""
        return known if known.startswith(_RESUMABLE) else None

    def recorder(self, question: str, keep: int | None, shortcut: Shortcut | None = None) -> Recorder:
        """Return the function to call with the last event of the answer to ``question``.

        On success, it replaces the messages after the first ``keep`` by the question and its answer.
        """
        start = len(self._messages) if keep is None else keep

        def record(outcome: Done | Failed) -> None:
            if isinstance(outcome, Done):
                reply = outcome.reply
                answer = {"role": "assistant", "content": printable(reply.text)}  # it has to be sent again
                self._messages[start:] = [{"role": "user", "content": question}, answer]
                self.previous_response_id = reply.response_id if is_id(reply.response_id) else ""
                self.last_shortcut = shortcut
            elif isinstance(outcome.error, ServerError):
                self.previous_response_id = ""  # the provider may not have found this response

        return record

    def to_json(self) -> Json:
        """Return the history as a JSON object: ``format``, ``chat_id``, ``previous_response_id`` and ``messages``."""
        return {
            "format": _FORMAT,
            "chat_id": self.chat_id,
            "previous_response_id": self.previous_response_id,
            "messages": self._messages,
        }

    @classmethod
    def from_json(cls, state: Json) -> History:
        """Return the history that :meth:`to_json` gave.

        Raises InvalidInput, KeyError or TypeError for another shape.
        """
        if state["format"] != _FORMAT:
            raise InvalidInput(f"it has format {repr(state['format'])[:40]}, and this version reads {_FORMAT}")
        response_id, messages = state["previous_response_id"], state["messages"]
        if not isinstance(response_id, str) or not isinstance(messages, Sequence):
            raise InvalidInput("its response id is not a string, or its messages are not a list")
        return cls(state["chat_id"], messages, response_id)
