"""A bot on a page, and a file that was sent: values that a site's owner and a test speak of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from ..protocol.parsing.errors import InvalidInput
from ..protocol.parsing.events import Shortcut


@dataclass(frozen=True, slots=True)
class Widget:
    """A bot, as the site's pages show it (protocol sections 3.1 and 3.2).

    One of ``bot_id`` and ``custom_id`` names it, or both. ``max_length`` is the site's own if it is None; whoever asks
    by ``custom_id`` has no limit. ``uploads`` and ``multi_upload`` are only what the page says: the site takes files
    for any bot. ``shortcuts`` are the page's (not on 2.4.3).

    Raises InvalidInput without a name, and for a ``max_length`` that is not positive.
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
            raise InvalidInput(f"bots are named by a bot_id or a custom_id, a str, not {self.bot_id!r}")
        if self.max_length is not None and not (isinstance(self.max_length, int) and self.max_length >= 1):
            raise InvalidInput(f"max_length is a whole number, at least 1, not {self.max_length!r}")


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that was uploaded.

    ``name`` and ``type`` are what the client said, ``id`` and ``url`` what the site answered. A GET of ``url`` brings
    ``content``.
    """

    name: str
    type: str
    content: bytes
    id: str
    url: str
    purpose: str
