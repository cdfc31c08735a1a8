"""The public API of a site, for callers that have its bearer token or are logged in. Source: protocol section 1.8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from ..files import Source
from ..operations import Operations
from ..protocol.calls.endpoints import File
from ..protocol.calls.exchange import Exchange
from ..protocol.parsing.events import Json

T = TypeVar("T")


class _Perform(Protocol):
    """The method of a client that carries out a call."""

    def __call__(self, exchange: Exchange[T], /) -> T: ...


class Api:
    """The functions of a site's public API.

    The site's owner must have turned it on. With ``Client(token=...)`` a call acts as the site's first administrator.
    Without a token it acts as the user that the client is logged in as. ``options`` are the site's own: ``model``,
    ``temperature``, ``maxTokens``, ``instructions``, ... Answers come in one piece. Raises StatusError where the API is
    closed, ServerError for what the site refuses, and the errors of the network.
    """

    def __init__(self, operations: Operations, perform: _Perform) -> None:
        self._operations = operations
        self._perform = perform

    def check(self) -> Json:
        """Return who the caller is to the site: a dict with ``type`` and ``value`` (an e-mail address)."""
        return self._perform(self._operations.api_check())

    def text(self, message: str, *, fast: bool = False, options: Mapping[str, Any] | None = None) -> str:
        """Return the model's answer to a message; ``fast`` asks the site's fast model."""
        return self._perform(self._operations.api_text(message, fast, options))

    def chatbot(
        self, message: str, *, bot_id: str = "default", chat_id: str | None = None, file_id: str | File | None = None
    ) -> str:
        """Return a bot's answer to a message; with ``chat_id`` it uses the stored history of that chat."""
        return self._perform(self._operations.api_chatbot(message, bot_id, chat_id, file_id))

    def json(self, message: str, *, options: Mapping[str, Any] | None = None) -> Any:
        """Return the model's answer as decoded JSON, or None where the model gave no JSON."""
        return self._perform(self._operations.api_json(message, options))

    def vision(self, message: str, url: str, *, options: Mapping[str, Any] | None = None) -> str:
        """Return the model's answer about the picture at ``url``."""
        return self._perform(self._operations.api_vision(message, url, options))

    def image(
        self,
        message: str,
        *,
        media_id: int | None = None,
        resolution: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the address of a picture that the model makes from a message.

        With ``media_id``, the model edits that picture of the site's media library.
        """
        return self._perform(self._operations.api_image(message, media_id, resolution, options))

    def moderate(self, text: str) -> bool | None:
        """Return whether a text is objectionable, or None where the site cannot tell."""
        return self._perform(self._operations.api_moderate(text))

    def transcribe(
        self, *, url: str | None = None, media_id: int | None = None, options: Mapping[str, Any] | None = None
    ) -> str:
        """Return the words in the recording at ``url``, or in the recording ``media_id`` of the media library."""
        return self._perform(self._operations.api_transcribe(url, media_id, options))

    def upload(self, source: Source, name: str | None = None) -> File:
        """Return the File of an uploaded file; ``source`` is as in :meth:`Client.upload`."""
        return self._perform(self._operations.api_upload(source, name))

    def bots(self) -> list[Json]:
        """Return the site's bots: a list of dicts with ``id``, ``name``, ``model``, ..."""
        return self._perform(self._operations.api_bots())
