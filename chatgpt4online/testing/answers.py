"""What a script says, and what it sees of the questions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from http import HTTPStatus
from typing import Any, Literal, TypeAlias

from ..protocol.parsing.errors import InvalidInput, ServerError
from ..protocol.parsing.events import Action, Block, Json, Notice, Shortcut, Text
from .php import decode_json

Piece: TypeAlias = str | Text | Notice | ServerError | bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the site says to one question.

    ``pieces`` is a str (streamed word by word), one piece, or an iterable of pieces, each sent as soon as it is there:

    - ``str`` or ``Text``: a piece of the answer;
    - ``Notice``: what the site says while it works; without a ``visibility`` or ``timestamp`` it gets the usual one;
    - ``ServerError``: an ``error`` event with its message; unless that is empty, it is the last event;
    - ``bytes``: sent as they are, a PHP warning for example.

    The rest is for the final object (protocol section 2.4). ``reply`` is the final word, if it is not the trimmed text
    of the pieces. ``images`` (URLs) make it the answer of an image bot. ``usage`` is an estimate if not given, and
    ``response_id`` is random; ``""`` leaves it out.

    ``ending`` is ``"end"``; ``"fatal"`` for a PHP fatal (a 500, or a body that ends without a word once it has begun);
    or ``"cut"`` for a connection that closes in mid-body. With a ``status`` other than 200, something before the plugin
    refuses: pieces are then the body, HTML unless ``headers`` say otherwise; ``headers`` are for this only.

    Raises InvalidInput for values that no site could send.
    """

    pieces: Piece | Iterable[Piece] = ()
    _: KW_ONLY
    reply: str | None = None
    images: Sequence[str] | None = None
    actions: Sequence[Action] = ()
    shortcuts: Sequence[Shortcut] = ()
    blocks: Sequence[Block] = ()
    usage: Mapping[str, Any] | None = None
    response_id: str | None = None
    ending: Literal["end", "fatal", "cut"] = "end"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.pieces, str | Text | Notice | ServerError | bytes | Iterable):
            raise InvalidInput(f"an answer is a str, a piece or an iterable of pieces, not {self.pieces!r}")
        if self.ending not in ("end", "fatal", "cut"):
            raise InvalidInput(f"ending is 'end', 'fatal' or 'cut', not {self.ending!r}")
        if self.status not in set(HTTPStatus) or self.status < 200:
            raise InvalidInput(f"status is a final HTTP status, not {self.status!r}")

    def __iter__(self) -> Iterator[Piece]:
        """Yield the pieces, a str word by word."""
        if isinstance(self.pieces, str):
            yield from re.findall(r"\s*\S+|\s+\Z", self.pieces)
        elif isinstance(self.pieces, Text | Notice | ServerError | bytes):
            yield self.pieces
        else:
            yield from self.pieces


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it came: ``path`` with its query, ``headers`` with names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body, or None if it is no JSON."""
        with suppress(ValueError, RecursionError):
            return decode_json(self.body)
        return None


@dataclass(frozen=True, slots=True)
class Chat:
    """A question that the site has accepted.

    ``bot_id`` is the bot that answers (its custom id where that was used; ``default`` for an unknown one on 3.x),
    ``messages`` the history before ``message`` (which is the hidden text where a shortcut was chosen), ``file_ids``
    those of the release's fields, and ``json`` all that was sent, decoded. ``user`` is ``""`` for a guest.

    ``route`` is ``"chats/submit"``, or the name of a route of the public API, such as ``"simpleTextQuery"``; then
    ``bot_id`` is ``""`` unless one was named.
    """

    message: str
    messages: list[Json]
    bot_id: str
    chat_id: str
    stream: bool
    json: Json
    file_ids: tuple[str, ...] = ()
    user: str = ""
    route: str = "chats/submit"


Said: TypeAlias = Piece | Iterable[Piece] | Answer
Script: TypeAlias = Said | Callable[[Chat], Said]
