"""A conversation with a synchronous client."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol, Self, TypeVar, Unpack

from ..files import load_history, save_history
from ..operations import ConversationTurn, Operations, new_chat_id, operations_of, watch
from ..options import NoOptions, refuse_question_options
from ..protocol.calls.deadline import Timeout
from ..protocol.calls.endpoints import Discussion, File
from ..protocol.calls.markdown import messages_markdown
from ..protocol.calls.prompt import Message
from ..protocol.calls.turn import Drivable
from ..protocol.parsing.bodies import shown_url
from ..protocol.parsing.events import Event, Reply, Shortcut, View, texts, without_failure
from .stream import Stream

T = TypeVar("T")


class _Client(Protocol):
    """The part of a client that a conversation uses."""

    _operations: Operations

    def _stream(self, view: View[T], exchange: Drivable, timeout: Timeout | float | None) -> Stream[T]: ...

    def _drain(self, stream: Stream[Any]) -> Reply: ...


class Conversation:
    """A conversation: each question is sent with all earlier messages.

    :meth:`Client.conversation` and :meth:`load` return one. A prompt is a string, or a ``{"role", "content"}`` message.
    The errors are those of :meth:`Client.events`. Many conversations may share a client.

    A question is sent when its stream is read first, with the history as it is then. It joins the history together with
    its answer. A question that fails, or whose answer is not read to its end, leaves the history as it was.

    One question is answered at a time. Another one raises InvalidState when it would be sent, also in another thread or
    task, until the first stream has ended, was closed, or has no reference any more. A stream that was not read yet
    delays no other question. While a question is being answered, :attr:`messages` and :meth:`save` give the history
    before it.

    Only messages that can be sent are in the history. Other messages raise InvalidInput, and lone surrogates in an
    answer become U+FFFD.
    """

    def __init__(
        self,
        client: _Client,
        *,
        chat_id: str | None = None,
        messages: Sequence[Message] = (),
        start_sentence: str | None = None,
        discussion: Discussion | None = None,
    ) -> None:
        self._client = client
        self._operations = operations_of(client, "__enter__", "Client")
        self._history = self._operations.history(chat_id, messages, start_sentence, discussion)

    def __repr__(self) -> str:
        site, size = shown_url(self._operations.site), len(self._history)
        return f"<{type(self).__name__} {self.chat_id} with {site}, {size} messages>"

    @property
    def chat_id(self) -> str:
        """The id of the conversation, the same for all its turns."""
        return self._history.chat_id

    @property
    def messages(self) -> list[dict[str, str]]:
        """The history: a copy, as dicts with ``role`` and ``content``."""
        return self._history.messages

    def to_markdown(self) -> str:
        """Return the history as Markdown: for each message its role in bold, and its text as a block quote.

        :meth:`Discussion.to_markdown` explains the form. Without messages it is ``""``.
        """
        return messages_markdown(self._history.messages)

    def clear(self) -> None:
        """Forget all messages and start again under a new chat id.

        It may be called while a question is being answered. That answer can be read to its end and is not recorded, and
        the next question does not wait for it.
        """
        self._history.clear(new_chat_id())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the conversation to a file as readable JSON, with no nonce, cookie or password in it.

        The file is replaced at once or not at all, even if the process is killed or the power fails. It keeps its
        owner and its permissions; a new file is readable by its owner only. A symbolic link stays, and the file that it
        leads to is replaced. A temporary file beside it, which a killed process leaves behind, is removed by the next
        save. Several threads and processes may save to one file. A file system without locks (as on Windows) keeps what
        a killed process leaves.

        Raises InvalidInput for a directory, a device, a pipe or a socket, and for a conversation of more than 128 MiB.
        Raises OSError.
        """
        save_history(path, self._history, {"site": self._operations.site, **self._operations.bot_fields()})

    @classmethod
    def load(cls, path: str | os.PathLike[str], client: _Client) -> Self:
        """Return the conversation in a file, to continue it with ``client``.

        Raises FileNotFoundError and the other OSErrors of a file that cannot be opened. Raises InvalidInput, which says
        what is wrong, for a file without a conversation, for one of another site, for more than 128 MiB, for a
        directory, a device, a pipe or a socket, and for a client that belongs to the other kind of conversation.
        """
        conversation = cls(client)
        conversation._history = load_history(path, conversation._operations.site)
        return conversation

    def ask(
        self,
        prompt: str | Message,
        *,
        files: Sequence[str | File] = (),
        timeout: Timeout | float | None = None,
        **unknown: Unpack[NoOptions],
    ) -> Reply:
        """Return the whole reply to a question."""
        return self._client._drain(self.stream(prompt, files=files, timeout=timeout, **unknown))

    send = ask

    def stream(
        self,
        prompt: str | Message,
        *,
        files: Sequence[str | File] = (),
        timeout: Timeout | float | None = None,
        **unknown: Unpack[NoOptions],
    ) -> Stream[str]:
        """Return the pieces of the answer to a question as they arrive."""
        refuse_question_options(unknown, ("files", "timeout"))
        return self._read(texts, self._operations.next_turn(self._history, prompt, files), timeout)

    def events(
        self,
        prompt: str | Message,
        *,
        files: Sequence[str | File] = (),
        timeout: Timeout | float | None = None,
        **unknown: Unpack[NoOptions],
    ) -> Stream[Event]:
        """Return the events of the answer to a question as they arrive."""
        refuse_question_options(unknown, ("files", "timeout"))
        return self._read(without_failure, self._operations.next_turn(self._history, prompt, files), timeout)

    def choose(self, shortcut: Shortcut, *, timeout: Timeout | float | None = None) -> Stream[str]:
        """Return the pieces of the answer to a shortcut that the site offers.

        Raises InvalidInput for a shortcut that clears the conversation, and for one that only a browser can use.
        """
        return self._read(texts, self._operations.shortcut_turn(self._history, shortcut), timeout)

    def regenerate(self, *, files: Sequence[str | File] = (), timeout: Timeout | float | None = None) -> Stream[str]:
        """Return the pieces of another answer to the last question; it replaces the last answer.

        Raises InvalidState if no question was answered yet. The stream raises it if another question has become the
        last one before this one is sent.
        """
        return self._read(texts, self._operations.repeated_turn(self._history, files), timeout)

    def edit(
        self, prompt: str | Message, *, files: Sequence[str | File] = (), timeout: Timeout | float | None = None
    ) -> Stream[str]:
        """Return the pieces of the answer to ``prompt``, which replaces the last question.

        Raises InvalidState if no question was answered yet. The stream raises it if another question has become the
        last one before this one is sent.
        """
        return self._read(texts, self._operations.edited_turn(self._history, prompt, files), timeout)

    def _read(self, view: View[T], turn: ConversationTurn, timeout: Timeout | float | None) -> Stream[T]:
        exchange, record = turn
        stream = self._client._stream(record.through(view), exchange, timeout)
        record.is_read = watch(stream)
        return stream
