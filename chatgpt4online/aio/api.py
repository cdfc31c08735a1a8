"""The public API of a site, for callers with its bearer token or a login. Source: protocol section 1.8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from ..files import Source
from ..operations import Operations
from ..protocol.calls.endpoints import File
from ..protocol.calls.exchange import Exchange
from ..protocol.parsing.events import Json

T = TypeVar("T")


class Perform(Protocol):
    """The method of a client that carries out a call and returns its value."""

    async def __call__(self, exchange: Exchange[T], /) -> T: ...


class AsyncApi:
    """The functions of a site's public API, which are awaited. :class:`~chatgpt4online.sync.api.Api` explains them."""

    def __init__(self, operations: Operations, perform: Perform) -> None:
        self._operations = operations
        self._perform = perform

    async def check(self) -> Json:
        """Return who the caller is on the site: a dict ``{"type": "email", "value": str}``."""
        return await self._perform(self._operations.api_check())

    async def text(self, message: str, *, fast: bool = False, options: Mapping[str, Any] | None = None) -> str:
        """Return the model's answer to a message. With ``fast=True`` the site's fast model answers."""
        return await self._perform(self._operations.api_text(message, fast, options))

    async def chatbot(
        self, message: str, *, bot_id: str = "default", chat_id: str | None = None, file_id: str | File | None = None
    ) -> str:
        """Return a bot's answer to a message. With ``chat_id`` the bot reads the stored history of that chat.

        ``file_id`` is an uploaded file or its id, which the bot reads.
        """
        return await self._perform(self._operations.api_chatbot(message, bot_id, chat_id, file_id))

    async def json(self, message: str, *, options: Mapping[str, Any] | None = None) -> Any:
        """Return the model's answer as decoded JSON, or None if the model sent no JSON."""
        return await self._perform(self._operations.api_json(message, options))

    async def vision(self, message: str, url: str, *, options: Mapping[str, Any] | None = None) -> str:
        """Return the model's answer about the picture at ``url``, a web address or a ``data:`` URL."""
        return await self._perform(self._operations.api_vision(message, url, options))

    async def image(
        self,
        message: str,
        *,
        media_id: int | None = None,
        resolution: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the web address of a picture that the model draws, or the picture as a Markdown image.

        With ``media_id`` the model edits that picture of the site's media library. ``resolution`` is a size in the form
        that the model expects, such as ``"1024x1024"``.
        """
        return await self._perform(self._operations.api_image(message, media_id, resolution, options))

    async def moderate(self, text: str) -> bool | None:
        """Return whether a text is objectionable, or None if the site cannot decide it."""
        return await self._perform(self._operations.api_moderate(text))

    async def transcribe(
        self, *, url: str | None = None, media_id: int | None = None, options: Mapping[str, Any] | None = None
    ) -> str:
        """Return the text of a recording: the one at ``url``, or the one in the media library with ``media_id``.

        Raises InvalidInput if both are None.
        """
        return await self._perform(self._operations.api_transcribe(url, media_id, options))

    async def upload(self, source: Source, name: str | None = None) -> File:
        """Upload a file, and return its :class:`File`. :meth:`AsyncClient.upload` explains ``source`` and ``name``."""
        return await self._perform(self._operations.api_upload(source, name))

    async def bots(self) -> list[Json]:
        """Return the site's bots: a list of dicts with ``id``, ``name``, ``model`` and more fields of the site."""
        return await self._perform(self._operations.api_bots())
