"""Values that users of ``serve_site`` pass or receive: a bot on a page, and an uploaded file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from ..protocol.parsing.errors import InvalidInput
from ..protocol.parsing.events import Shortcut


@dataclass(frozen=True, slots=True)
class Widget:
    """A bot, as the site's pages show it (protocol sections 3.1 and 3.2).

    The bot needs a ``bot_id``, a ``custom_id`` or both. If ``max_length`` is None, the limit of the site is used.
    Questions to a ``custom_id`` have no limit. ``uploads`` and ``multi_upload`` only change the page: the site accepts
    files for any bot. ``shortcuts`` are shown in the page.

    Raises InvalidInput without an id, and for a ``max_length`` that is not positive.
    """

    bot_id: str | None = "default"
    _: KW_ONLY
    custom_id: str | None = None
    name: str = "AI: "
    start_sentence: str = "Hi! How can I help you?"
    max_length: int | None = None
    uploads: bool = False
    multi_upload: bool = False
    mode: str = "chat"
    shortcuts: Sequence[Shortcut] = ()

    def __post_init__(self) -> None:
        if not any(isinstance(name, str) and name for name in (self.bot_id, self.custom_id)):
            raise InvalidInput(f"bot_id or custom_id must be a str that is not empty, not {self.bot_id!r}")
        if self.max_length is not None and not (isinstance(self.max_length, int) and self.max_length >= 1):
            raise InvalidInput(f"max_length must be a whole number, at least 1, not {self.max_length!r}")


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that was uploaded.

    ``name`` and ``type`` come from the client, ``id`` and ``url`` from the site. A GET of ``url`` returns ``content``.
    """

    name: str
    type: str
    content: bytes
    id: str
    url: str
    purpose: str
