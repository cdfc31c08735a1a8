"""What an asynchronous client can do, on whatever sends its requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from .api import Api
from .async_streaming import AsyncStream
from .conversation import AsyncConversation
from .protocol.calls import Call, Discussion, File
from .protocol.events import Event, Reply, texts, without_failure
from .protocol.exchange import Exchange
from .protocol.messages import Message, Prompt
from .protocol.page import Bot
from .protocol.timeout import Timeout
from .protocol.wire import Session
from .settings import Progress, Settings, Source

T = TypeVar("T")


class AsyncSurface:
    """The methods of a client whose answers are awaited; :class:`Surface` describes parameters and errors."""

    session: Session
    """The nonce and session id that all turns share."""

    _settings: Settings

    async def ask(
        self,
        prompt: Prompt,
        *,
        chat_id: str | None = None,
        flatten: bool = False,
        files: Sequence[str | File] = (),
        timeout: Timeout | float | None = None,
    ) -> Reply:
        """Return the whole reply to a prompt; see :meth:`events` for the parameters and the errors."""
        return await self._drain(self.stream(prompt, chat_id=chat_id, flatten=flatten, files=files, timeout=timeout))

    def stream(
        self,
        prompt: Prompt,
        *,
        chat_id: str | None = None,
        flatten: bool = False,
        files: Sequence[str | File] = (),
        timeout: Timeout | float | None = None,
    ) -> AsyncStream[str]:
        """Return the pieces of the answer as they come; see :meth:`events` for the parameters and the errors."""
        question = self._settings.question(prompt, chat_id, flatten, files)
        return self._stream(texts, self._settings.turn(question, self.session, prompt=prompt), timeout)

    def events(
        self,
        prompt: Prompt,
        *,
        chat_id: str | None = None,
        flatten: bool = False,
        files: Sequence[str | File] = (),
        timeout: Timeout | float | None = None,
    ) -> AsyncStream[Event]:
        """Return the events of the answer as they come: ``Text`` and ``Notice``, and ``Done`` at the end.

        ``prompt`` is a string, or a list of ``{"role", "content"}`` messages of which the last is asked and the others
        are the history; pictures in the last one (``data:`` URLs) are uploaded first. ``flatten`` puts all messages
        into one text. ``chat_id`` names the conversation (a new one without it), ``files`` are uploaded files or their
        ids, and ``timeout`` replaces the client's for this answer.

        Raises InvalidInput at once for what cannot be sent. While it is iterated over, it raises what ended the answer:
        ConnectionFailed, ProtocolError, StatusError or ServerError, with the text so far in ``partial_text``.
        """
        question = self._settings.question(prompt, chat_id, flatten, files)
        return self._stream(without_failure, self._settings.turn(question, self.session, prompt=prompt), timeout)

    def conversation(
        self,
        *,
        chat_id: str | None = None,
        messages: Sequence[Message] = (),
        start_sentence: str | None = None,
        discussion: Discussion | None = None,
    ) -> AsyncConversation:
        """Return a conversation, which keeps its history: a new one, or one that ``messages`` or ``discussion`` began.

        ``start_sentence`` is what the bot says first; without it, what its page says (see :meth:`bots`).
        """
        return AsyncConversation(
            self, chat_id=chat_id, messages=messages, start_sentence=start_sentence, discussion=discussion
        )

    async def start_session(self) -> Session:
        """Return the client's session after fetching a new nonce; questions do this themselves when they need one.

        Raises ConnectionFailed, ProtocolError or StatusError.
        """
        await self._drain(self._stream(without_failure, self._settings.handshake(self.session), None))
        return self.session

    async def bots(self, page: str = "/") -> list[Bot]:
        """Return the chat widgets of a page of the site, for ``Client(bot=...)``.

        ``page`` is a path or a web address. Raises NotAiEngine for a page without any, and the errors of the network.
        """
        return await self._perform(self._settings.visit(self.session, page))

    async def upload(self, source: Source, name: str | None = None, *, on_progress: Progress | None = None) -> File:
        """Return the File that a file has become on the site, to be passed in ``files=[...]``.

        ``source`` is a path, a binary file object that can seek, or bytes together with a ``name``. It is read while it
        is sent; ``on_progress`` is called with the bytes sent so far and the whole size, in a thread of its own. Raises
        InvalidInput for what the bot does not take, where that is known, and ServerError for what the site refuses.
        """
        return await self._perform(self._settings.upload(self.session, source, name, on_progress))

    async def delete_files(self, files: Iterable[str | File]) -> int:
        """Return how many of these uploaded files were deleted. Raises ServerError where none may be."""
        return await self._perform(self._settings.delete_files(self.session, files))

    async def discussions(self, *, offset: int = 0, limit: int = 10) -> list[Discussion]:
        """Return the stored conversations of the logged-in user with this bot, for ``conversation(discussion=...)``.

        Raises ServerError for visitors, and NotAiEngine where the site keeps none.
        """
        return await self._perform(self._settings.discussions(self.session, offset, limit))

    async def rename_discussion(self, chat_id: str, title: str) -> None:
        """Give a stored conversation another title. Raises ServerError and StatusError."""
        await self._perform(self._settings.rename_discussion(self.session, chat_id, title))

    async def delete_discussions(self, chat_ids: Iterable[str]) -> None:
        """Delete stored conversations. Raises StatusError for those of others."""
        await self._perform(self._settings.delete_discussions(self.session, chat_ids))

    @property
    def api(self) -> Api:
        """The site's public API."""
        return Api(self._settings, self.session, self._perform)

    def _stream(
        self, view: Callable[[list[Event]], list[T]], exchange: Exchange, timeout: Timeout | float | None
    ) -> AsyncStream[T]:
        raise NotImplementedError

    async def _drain(self, stream: AsyncStream[Any]) -> Reply:
        async with stream:
            async for _ in stream:
                pass
            return stream.reply

    async def _perform(self, call: Call[T]) -> T:
        await self._drain(self._stream(without_failure, call, None))
        return call.value()
