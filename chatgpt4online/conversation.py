"""Conversations: the history of a chat, what is asked next in it, and keeping it in a file."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from .protocol.calls import Discussion, File
from .protocol.errors import InvalidInput, InvalidState, ServerError
from .protocol.events import Done, Event, Failed, Reply, Shortcut, texts, without_failure
from .protocol.messages import Message, Prompt
from .protocol.timeout import Timeout
from .protocol.turn import Turn
from .protocol.wire import Submission
from .settings import Settings, new_chat_id

if TYPE_CHECKING:
    from .async_streaming import AsyncStream
    from .async_surface import AsyncSurface
    from .streaming import Stream
    from .surface import Surface

_FORMAT = 1  # of the files
_RESUMABLE = ("resp_", "v1_")  # the response ids behind which a site keeps the history itself (protocol section 1.4)


class _Talk:
    """The state of a conversation, the same for both kinds of client."""

    def __init__(
        self,
        client: Any,
        *,
        chat_id: str | None = None,
        messages: Sequence[Message] = (),
        start_sentence: str | None = None,
        discussion: Discussion | None = None,
    ) -> None:
        self._client: Any = client
        self._settings: Settings = client._settings
        self.chat_id = chat_id or (discussion.chat_id if discussion else new_chat_id())
        """The name of the conversation, the same for all its turns."""
        self._previous_response_id = discussion.previous_response_id if discussion else ""
        self._last_shortcut: Shortcut | None = None  # which the last question was, if its text is the site's secret
        self._messages: list[dict[str, str]] = []
        history = (*messages, *(discussion.messages if discussion else ()))
        Submission("Hi", history)  # raises for what could not be sent
        for message in history:
            self._messages.append({"role": message["role"], "content": message["content"]})
        bot = self._settings.bot
        start = start_sentence if start_sentence is not None else bot.start_sentence if bot else ""
        if start and not self._messages:
            self._messages.append({"role": "assistant", "content": start})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.chat_id} with {self._settings.site}, {len(self._messages)} messages>"

    @property
    def messages(self) -> list[dict[str, str]]:
        """The history: a copy, as dicts with ``role`` and ``content``."""
        return [dict(message) for message in self._messages]

    def clear(self) -> None:
        """Begin anew, under a new chat id."""
        self._messages.clear()
        self._previous_response_id = ""
        self._last_shortcut = None
        self.chat_id = new_chat_id()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the conversation to a file as readable JSON, with no nonce, cookie or password in it.

        The file is replaced at once or not at all. Raises OSError.
        """
        state = {
            "format": _FORMAT,
            "site": self._settings.site,
            **self._settings.bot_fields(),
            "chat_id": self.chat_id,
            "previous_response_id": self._previous_response_id,
            "messages": self._messages,
        }
        target = Path(path)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, delete=False) as file:
            try:
                json.dump(state, file, ensure_ascii=False, indent=2)
                file.close()
                os.replace(file.name, target)
            except BaseException:
                os.unlink(file.name)
                raise

    @classmethod
    def load(cls, path: str | os.PathLike[str], client: Any) -> Self:
        """Return the conversation in a file, to go on with ``client``.

        Raises OSError, and InvalidInput for a file that holds none, or one with another site.
        """
        try:
            state = json.loads(Path(path).read_text(encoding="utf-8"))
            if state["format"] != _FORMAT:
                raise ValueError(f"it has format {state['format']!r}, and this version reads {_FORMAT}")
            site, response_id = state["site"], state["previous_response_id"]
            if not isinstance(site, str) or not isinstance(response_id, str):
                raise ValueError("its site and its response id are strings")
            Submission("Hi", state["messages"], chat_id=state["chat_id"])  # raises for what could not be sent
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"there is no conversation in {os.fspath(path)!r}: {error}") from error
        conversation = cls(client, chat_id=state["chat_id"], messages=state["messages"], start_sentence="")
        conversation._previous_response_id = response_id
        if site.rstrip("/") != client._settings.site.rstrip("/"):
            raise InvalidInput(f"the conversation is with {site}, and the client's site is {client._settings.site}")
        return conversation

    def _turn(self, prompt: str | Message, files: Sequence[str | File], keep: int | None = None) -> Turn:
        """Return the turn that asks ``prompt`` behind the first ``keep`` messages, or behind all of them."""
        history: list[Message] = [*self._messages[:keep]]
        ask = [*history, {"role": "user", "content": prompt} if isinstance(prompt, str) else prompt]
        question = self._settings.question(ask, self.chat_id, files=files)
        return self._finish_turn(question, question.message, ask, keep)

    def _again(self, prompt: str | Message | None, files: Sequence[str | File]) -> Turn:
        """Return the turn that asks the last question again, or ``prompt`` in its place."""
        asked = [number for number, message in enumerate(self._messages) if message["role"] == "user"]
        if not asked:
            raise InvalidState("nothing was asked in this conversation yet")
        if prompt is None and self._last_shortcut is not None:
            return self._chosen(self._last_shortcut, keep=asked[-1])
        return self._turn(self._messages[asked[-1]]["content"] if prompt is None else prompt, files, keep=asked[-1])

    def _chosen(self, shortcut: Shortcut, keep: int | None = None) -> Turn:
        """Return the turn that a shortcut offers."""
        if shortcut.action == "clear":
            raise InvalidInput("this shortcut clears the conversation: call clear()")
        if not (shortcut.message or shortcut.shortcut_id):
            raise InvalidInput(f"the shortcut {shortcut.label!r} has nothing to send; it is for browsers only")
        question = Submission(
            shortcut.message,
            self.messages[:keep],
            chat_id=self.chat_id,
            shortcut_id=None if shortcut.message else shortcut.shortcut_id,
            shortcut_name=shortcut.label,
            **self._settings.bot_fields(),
        )
        return self._finish_turn(question, shortcut.message or shortcut.label, "", keep, shortcut)

    def _finish_turn(
        self, question: Submission, shown: str, prompt: Prompt, keep: int | None, shortcut: Shortcut | None = None
    ) -> Turn:
        """Return the turn that asks ``question``; at its good end, it and the reply replace what is behind ``keep``."""
        # Of a history that was edited, the site's own copy is wrong (protocol section 5, 20).
        known = self._previous_response_id if keep is None else ""
        resumed = known if known.startswith(_RESUMABLE) else None
        behind = len(self._messages) if keep is None else keep

        def end(outcome: Done | Failed) -> None:
            if isinstance(outcome, Done):
                answer = {"role": "assistant", "content": outcome.reply.text}
                self._messages[behind:] = [{"role": "user", "content": shown}, answer]
                self._previous_response_id = outcome.reply.response_id
                self._last_shortcut = shortcut
            elif isinstance(outcome.error, ServerError):
                self._previous_response_id = ""  # it may be what the provider did not find

        return self._settings.turn(question.with_previous(resumed), self._client.session, prompt=prompt, on_end=end)


class Conversation(_Talk):
    """A conversation: each question knows what was said before.

    It is made by :meth:`Client.conversation`, or by :meth:`load`. A prompt is a string, or a ``{"role", "content"}``
    message. A turn that fails, or is left before its end, leaves the history as it was. Its errors are those of
    :meth:`Client.events`. Many conversations may share a client; ask one question at a time in each.
    """

    _client: Surface

    def ask(
        self, prompt: str | Message, *, files: Sequence[str | File] = (), timeout: Timeout | float | None = None
    ) -> Reply:
        """Return the whole reply to a question."""
        return self._client._drain(self.stream(prompt, files=files, timeout=timeout))

    send = ask

    def stream(
        self, prompt: str | Message, *, files: Sequence[str | File] = (), timeout: Timeout | float | None = None
    ) -> Stream[str]:
        """Return the pieces of the answer to a question as they come."""
        return self._client._stream(texts, self._turn(prompt, files), timeout)

    def events(
        self, prompt: str | Message, *, files: Sequence[str | File] = (), timeout: Timeout | float | None = None
    ) -> Stream[Event]:
        """Return the events of the answer to a question as they come."""
        return self._client._stream(without_failure, self._turn(prompt, files), timeout)

    def choose(self, shortcut: Shortcut, *, timeout: Timeout | float | None = None) -> Stream[str]:
        """Return the pieces of the answer to a shortcut that the site offers. Raises InvalidInput for one to clear."""
        return self._client._stream(texts, self._chosen(shortcut), timeout)

    def regenerate(self, *, files: Sequence[str | File] = (), timeout: Timeout | float | None = None) -> Stream[str]:
        """Return the pieces of another answer to the last question, which takes the place of the last one."""
        return self._client._stream(texts, self._again(None, files), timeout)

    def edit(
        self, prompt: str | Message, *, files: Sequence[str | File] = (), timeout: Timeout | float | None = None
    ) -> Stream[str]:
        """Return the pieces of the answer to ``prompt``, which takes the place of the last question."""
        return self._client._stream(texts, self._again(prompt, files), timeout)


class AsyncConversation(_Talk):
    """A conversation: each question knows what was said before; see :class:`Conversation`.

    It is made by :meth:`AsyncClient.conversation`, or by :meth:`load`.
    """

    _client: AsyncSurface

    async def ask(
        self, prompt: str | Message, *, files: Sequence[str | File] = (), timeout: Timeout | float | None = None
    ) -> Reply:
        """Return the whole reply to a question."""
        return await self._client._drain(self.stream(prompt, files=files, timeout=timeout))

    send = ask

    def stream(
        self, prompt: str | Message, *, files: Sequence[str | File] = (), timeout: Timeout | float | None = None
    ) -> AsyncStream[str]:
        """Return the pieces of the answer to a question as they come."""
        return self._client._stream(texts, self._turn(prompt, files), timeout)

    def events(
        self, prompt: str | Message, *, files: Sequence[str | File] = (), timeout: Timeout | float | None = None
    ) -> AsyncStream[Event]:
        """Return the events of the answer to a question as they come."""
        return self._client._stream(without_failure, self._turn(prompt, files), timeout)

    def choose(self, shortcut: Shortcut, *, timeout: Timeout | float | None = None) -> AsyncStream[str]:
        """Return the pieces of the answer to a shortcut that the site offers. Raises InvalidInput for one to clear."""
        return self._client._stream(texts, self._chosen(shortcut), timeout)

    def regenerate(
        self, *, files: Sequence[str | File] = (), timeout: Timeout | float | None = None
    ) -> AsyncStream[str]:
        """Return the pieces of another answer to the last question, which takes the place of the last one."""
        return self._client._stream(texts, self._again(None, files), timeout)

    def edit(
        self, prompt: str | Message, *, files: Sequence[str | File] = (), timeout: Timeout | float | None = None
    ) -> AsyncStream[str]:
        """Return the pieces of the answer to ``prompt``, which takes the place of the last question."""
        return self._client._stream(texts, self._again(prompt, files), timeout)
