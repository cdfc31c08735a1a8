"""The answers that a script returns, and the questions and requests that it receives."""

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
    """The site's answer to one question.

    ``pieces`` is a str (streamed word by word), one piece, or an iterable of pieces. Each is sent as soon as the
    iterable yields it:

    - ``str`` or ``Text``: a piece of the answer;
    - ``Notice``: a notice; a missing ``visibility`` or ``timestamp`` is replaced by the usual one;
    - ``ServerError``: an ``error`` event with its message, which is the last event unless the message is empty;
    - ``bytes``: sent unchanged, for example a PHP warning.

    The other fields are those of the final object (protocol section 2.4). ``reply`` is the final text; without it, that
    is the trimmed text of the pieces. ``images`` (URLs) make this the answer of an image bot. Without ``usage``, it is
    an estimate. Without ``response_id``, it is random; ``""`` leaves it out.

    ``ending`` is ``"end"``, ``"fatal"`` for a PHP fatal error (status 500, or a body that just ends if it has begun),
    or ``"cut"`` for a connection that closes within the body. A ``status`` other than 200 is a refusal by a server
    before the plugin: the pieces are its body, as HTML unless ``headers`` has a Content-Type. Only such an answer uses
    ``headers``.

    Raises InvalidInput for values that no site can send.
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
            raise InvalidInput(f"an answer must be a str, a piece or an iterable of pieces, not {self.pieces!r}")
        if self.ending not in ("end", "fatal", "cut"):
            raise InvalidInput(f"ending must be 'end', 'fatal' or 'cut', not {self.ending!r}")
        if self.status not in set(HTTPStatus) or self.status < 200:
            raise InvalidInput(f"status must be a final HTTP status, not {self.status!r}")

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
    """A received request. ``path`` includes the query, and ``headers`` has names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body, or None if it is not JSON."""
        with suppress(ValueError, RecursionError):
            return decode_json(self.body)
        return None


@dataclass(frozen=True, slots=True)
class Chat:
    """A question that the site has accepted.

    ``message`` is the question, or the hidden text of a shortcut. ``messages`` is the history before it. ``bot_id`` is
    the id of the bot that answers, in the form that the client used; the bot ``default`` answers for an unknown one.
    ``file_ids`` are the ids of the files that came with the question. ``json`` is the decoded request. ``user`` is
    ``""`` for a guest. ``route`` is the route of the request.
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
