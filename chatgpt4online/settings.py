"""What a client of either kind is told once, and how a question becomes a turn with it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .cookies import cookie_header
from .protocol.exchange import Exchange
from .protocol.messages import Prompt, submission
from .protocol.parser import DEFAULT_LIMIT
from .protocol.timeout import Timeout
from .protocol.turn import Turn
from .protocol.wire import Session, rest_roots

DEFAULT_SITE = "https://chatgpt4online.org"

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_chat_id() -> str:
    """Return a random name for a new conversation, of the form that the plugin's own widget makes."""
    return "".join(secrets.choice(_DIGITS) for _ in range(11))


@dataclass(frozen=True, slots=True)
class Settings:
    """The options that both clients share; see :class:`~chatgpt4online.Client` for their meaning."""

    site: str = DEFAULT_SITE
    bot_id: str | None = "default"
    custom_id: str | None = None
    context_id: int | None = None
    timeout: Timeout = field(default_factory=Timeout)
    headers: Mapping[str, str] | None = None
    cookies: Mapping[str, str] | None = None
    retries: int = 2
    max_event_size: int = DEFAULT_LIMIT
    max_body_size: int = DEFAULT_LIMIT

    def __post_init__(self) -> None:
        rest_roots(self.site)  # raises for what is no address, before the first question
        cookie_header(self.cookies or {})  # and for what is no cookie

    def turn(
        self, prompt: Prompt, session: Session, *, chat_id: str | None, flatten: bool, files: Sequence[str]
    ) -> Turn:
        """Return the turn that asks ``prompt``. Raises InvalidInput."""
        question = submission(
            prompt,
            flatten=flatten,
            bot_id=self.bot_id,
            custom_id=self.custom_id,
            context_id=self.context_id,
            chat_id=chat_id or new_chat_id(),
            file_ids=tuple(files),
        )
        return Turn(self.site, question, session, **self._exchange_options())

    def handshake(self, session: Session) -> Exchange:
        """Return the exchange that fetches a new nonce."""
        return Exchange(self.site, session, **self._exchange_options())

    def _exchange_options(self) -> dict[str, Any]:
        cookie = {"Cookie": cookie_header(self.cookies)} if self.cookies else {}
        return {
            "headers": dict(self.headers or {}) | cookie,
            "retries": self.retries,
            "max_event_size": self.max_event_size,
            "max_body_size": self.max_body_size,
        }
