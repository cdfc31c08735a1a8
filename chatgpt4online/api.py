"""The public API of a site, for those who hold its bearer token or are logged in. Source: protocol section 1.8."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .protocol.calls import Call
from .protocol.wire import Session
from .settings import Settings, Source


class Api:
    """The functions of a site's public API; of an ``AsyncClient``, each is to be awaited.

    The site's owner must have turned it on. With ``Client(token=...)`` a call acts as the site's first administrator,
    without a token as whoever the client is logged in as. ``options`` are the site's own: ``model``, ``temperature``,
    ``maxTokens``, ``instructions``, ... Answers come in one piece. Raises StatusError where the API is closed,
    ServerError for what the site refuses, and the errors of the network.
    """

    def __init__(self, settings: Settings, session: Session, perform: Callable[[Call[Any]], Any]) -> None:
        self._settings = settings
        self._session = session
        self._perform = perform

    def check(self) -> Any:
        """Return who the site takes the caller for: a dict with ``type`` and ``value`` (an e-mail address)."""
        return self._call("simpleAuthCheck", None)

    def text(self, message: str, *, fast: bool = False, options: Mapping[str, Any] | None = None) -> Any:
        """Return the model's answer to a message, as a string; ``fast`` asks the site's fast model."""
        return self._call(
            "simpleFastTextQuery" if fast else "simpleTextQuery", {"message": message, "options": options}
        )

    def chatbot(
        self, message: str, *, bot_id: str = "default", chat_id: str | None = None, file_id: str | None = None
    ) -> Any:
        """Return a bot's answer to a message, as a string; with ``chat_id`` it knows the stored history."""
        fields = {"botId": bot_id, "message": message, "chatId": chat_id, "fileId": file_id}
        return self._call("simpleChatbotQuery", fields)

    def json(self, message: str, *, options: Mapping[str, Any] | None = None) -> Any:
        """Return the model's answer as decoded JSON, or None where the model gave none."""
        return self._call("simpleJsonQuery", {"message": message, "options": options})

    def vision(self, message: str, url: str, *, options: Mapping[str, Any] | None = None) -> Any:
        """Return the model's answer about the picture at ``url``, as a string."""
        return self._call("simpleVisionQuery", {"message": message, "url": url, "options": options})

    def image(
        self,
        message: str,
        *,
        media_id: int | None = None,
        resolution: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the address of a picture made from a message, or from the site's picture ``media_id`` edited by it."""
        fields = {"message": message, "mediaId": media_id, "resolution": resolution, "options": options}
        return self._call("simpleImageQuery" if media_id is None else "simpleImageEditQuery", fields)

    def moderate(self, text: str) -> Any:
        """Return whether a text is objectionable: a bool, or None where the site cannot say."""
        return self._call("moderationCheck", {"text": text})

    def transcribe(
        self, *, url: str | None = None, media_id: int | None = None, options: Mapping[str, Any] | None = None
    ) -> Any:
        """Return what is said in the recording at ``url``, or in the site's recording ``media_id``, as a string."""
        return self._call("simpleTranscribeAudio", {"url": url, "mediaId": media_id, "options": options})

    def upload(self, source: Source, name: str | None = None) -> Any:
        """Return the File that a file has become; ``source`` is as in :meth:`Client.upload`."""
        return self._perform(self._settings.public_upload(self._session, source, name))

    def bots(self) -> Any:
        """Return the site's bots: a list of dicts with ``id``, ``name``, ``model``, ..."""
        return self._call("listChatbots", None)

    def _call(self, name: str, fields: Mapping[str, Any] | None) -> Any:
        return self._perform(self._settings.public(self._session, name, fields))
