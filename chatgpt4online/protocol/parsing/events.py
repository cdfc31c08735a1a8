"""What a chat says: four kinds of event, and the reply that the last one carries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .errors import ChatError

Json: TypeAlias = dict[str, Any]

INFINITY = float("inf")
_LIST_KEY = re.compile(r"[0-9]+")


@dataclass(slots=True)
class Text:
    """A piece of the answer, as the model wrote it."""

    text: str


@dataclass(slots=True)
class Notice:
    """Anything else that the server says while it works; never part of the answer.

    ``kind`` is the wire's ``subtype`` (``thinking``, ``tool_call``, ``status``, ``embeddings``, ...; protocol
    section 2.3), or an unknown event's ``type``. It is ``malformed`` for an event that could not be read (``text`` is
    its beginning, ``""`` where the site could not encode one), and for a field of the final object that could not be
    read in whole (``text`` is the field's name; the value is in :attr:`Reply.raw`). ``visibility`` is ``visible``,
    ``collapsed``, ``hidden`` or ``""``; ``metadata`` a dict whose keys depend on the kind; ``timestamp`` seconds since
    1970 by the server's clock, or None.
    """

    kind: str
    text: str = ""
    visibility: str = ""
    metadata: Json = field(default_factory=dict)
    timestamp: float | None = None


@dataclass(slots=True)
class Done:
    """The good end of a turn; the last event."""

    reply: Reply


@dataclass(slots=True)
class Failed:
    """The bad end of a turn; the last event. ``error.partial_text`` is the text that had come."""

    error: ChatError


Event: TypeAlias = Text | Notice | Done | Failed


def texts(events: list[Event]) -> tuple[list[str], ChatError | None]:
    """Return the pieces of the answer among these events, and the error of ``Failed``."""
    return [event.text for event in events if isinstance(event, Text)], failure(events)


def without_failure(events: list[Event]) -> tuple[list[Event], ChatError | None]:
    """Return these events without ``Failed``, and the error of ``Failed``."""
    error = failure(events)
    return events if error is None else events[:-1], error


def failure(events: list[Event]) -> ChatError | None:
    """Return the error of ``Failed``, which is always the last event, or None."""
    last = events[-1] if events else None
    return last.error if isinstance(last, Failed) else None


@dataclass(slots=True, frozen=True)
class Action:
    """What the site would have the browser do; it is shown to the caller and never executed.

    ``kind`` ``"function"`` has ``name`` and ``args`` (dict); ``"javascript"`` has ``snippet``.
    """

    kind: str
    name: str = ""
    args: Json = field(default_factory=dict)
    snippet: str = ""


@dataclass(slots=True, frozen=True)
class Shortcut:
    """A ready question that the site offers.

    ``kind`` is ``"message"``, ``"action"`` (then ``action`` is ``"message"`` or ``"clear"``) or ``"callback"`` (for
    browsers only). What to send is ``message``, or ``shortcut_id`` where the site keeps its text secret.
    """

    kind: str
    label: str = ""
    message: str = ""
    shortcut_id: str = ""
    action: str = ""
    variant: str = ""
    icon: str = ""


@dataclass(slots=True, frozen=True)
class Block:
    """A piece of HTML that the site would show beside the answer; its ``script`` is never executed."""

    kind: str
    id: str = ""
    html: str = ""
    script: str = ""


@dataclass(slots=True, frozen=True)
class Usage:
    """What the turn cost, as the site counts it (often an estimate).

    A value is None where the site gives none, and where it is not a finite number. Signs are the site's own.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    price: float | None = None
    queries: int | None = None
    images: int | None = None
    accuracy: str = ""


@dataclass(slots=True)
class Reply:
    """A whole answer. ``str(reply)`` is its text.

    ``text`` is the server's final word, or what was streamed where it gave none; ``images`` are URLs;
    ``response_id`` and ``chat_id`` go into the next question of the same conversation; ``raw`` is the decoded final
    object (``{}`` where the server could not encode one). Source: protocol section 2.4.
    """

    text: str = ""
    images: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()
    blocks: tuple[Block, ...] = ()
    usage: Usage | None = None
    response_id: str = ""
    chat_id: str = ""
    raw: Json = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.text


def read_reply(raw: Json) -> tuple[Reply, list[str]]:
    """Return the reply in a final object, and the names of the fields that could not be read in whole.

    A field has such a name when a value in it has another type than protocol section 2.4 says. That value is left out
    of the reply, and stays in ``raw``. Null is no value. PHP cannot tell a list from an object: it writes an empty
    object as ``[]``, and a list with gaps as an object whose keys are numbers. Both are read as what was meant.
    """
    fields = _Fields(raw)
    reply = Reply(
        text=fields.text("reply"),
        images=tuple(fields.texts("images")),
        actions=tuple(_action(kind, data) for kind, data in fields.tagged("actions")),
        shortcuts=_shortcuts(fields),
        blocks=tuple(_block(kind, data) for kind, data in fields.tagged("blocks")),
        usage=_usage(fields.inner("usage")),
        response_id=fields.text("responseId"),
        raw=raw,
    )
    return reply, list(fields.unread)


def read_shortcuts(raw: Json) -> tuple[Shortcut, ...]:
    """Return the shortcuts of a final object or of a page's widget; values of another shape are left out."""
    return _shortcuts(_Fields(raw))


def to_number(value: Any) -> int | float | None:
    """Return the number that a JSON value holds, as a number or as a string; None without a finite one.

    True is no number here, and neither are NaN, Infinity and numbers that a float cannot hold.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    if not -INFINITY < number < INFINITY:
        return None
    return value if isinstance(value, int) else number


class _Fields:
    """The fields of a final object, or of an object in one of them.

    The methods return the value of a key; where it has another type they return an empty value, and note the name of
    the final object's field in ``unread`` (a dict, since its keys are unique and keep their order).
    """

    def __init__(self, raw: Json, field: str = "", unread: dict[str, None] | None = None) -> None:
        self.raw = raw
        self.unread: dict[str, None] = {} if unread is None else unread
        self._field = field  # the field of the final object that holds this object; "" in the final object itself

    def text(self, key: str) -> str:
        value = self.raw.get(key)
        if isinstance(value, str):
            return value
        self._expect_null(key, value)
        return ""

    def number(self, key: str) -> float | None:
        number = self._number(key)
        return None if number is None else float(number)

    def count(self, key: str) -> int | None:
        number = self._number(key)
        return None if number is None else int(number)

    def inner(self, key: str) -> _Fields:
        """Return the fields of the object in ``key``."""
        value = self.raw.get(key)
        if not isinstance(value, dict):
            if value != []:
                self._expect_null(key, value)
            value = {}
        return _Fields(value, self._field or key, self.unread)

    def texts(self, key: str) -> Iterator[str]:
        """Yield the strings of a list."""
        for item in self._list(key):
            if isinstance(item, str):
                yield item
            else:
                self._expect_null(key, item)

    def tagged(self, key: str) -> Iterator[tuple[str, _Fields]]:
        """Yield the ``type`` and the ``data`` of each object in a list."""
        for item in self._list(key):
            if isinstance(item, dict) and (isinstance(item.get("data"), dict) or item.get("data") == []):
                tagged = _Fields(item, key, self.unread)
                yield tagged.text("type"), tagged.inner("data")
            else:
                self._expect_null(key, item)

    def _number(self, key: str) -> int | float | None:
        value = self.raw.get(key)
        number = to_number(value)
        if number is None:
            self._expect_null(key, value)
        return number

    def _list(self, key: str) -> list[Any]:
        value = self.raw.get(key)
        if isinstance(value, list):
            return value
        if isinstance(value, dict) and all(_LIST_KEY.fullmatch(name) for name in value):
            return list(value.values())
        self._expect_null(key, value)
        return []

    def _expect_null(self, key: str, value: Any) -> None:
        if value is not None:
            self.unread[self._field or key] = None


def _shortcuts(fields: _Fields) -> tuple[Shortcut, ...]:
    return tuple(
        Shortcut(
            kind,
            label=data.text("label"),
            message=data.text("message"),
            shortcut_id=data.text("shortcutId"),
            action=data.text("action"),
            variant=data.text("variant"),
            icon=data.text("icon"),
        )
        for kind, data in fields.tagged("shortcuts")
    )


def _action(kind: str, data: _Fields) -> Action:
    return Action(kind, data.text("name"), data.inner("args").raw, data.text("snippet"))


def _block(kind: str, data: _Fields) -> Block:
    return Block(kind, data.text("id"), data.text("html"), data.text("script"))


def _usage(data: _Fields) -> Usage | None:
    if not data.raw:
        return None
    return Usage(
        prompt_tokens=data.count("prompt_tokens"),
        completion_tokens=data.count("completion_tokens"),
        total_tokens=data.count("total_tokens"),
        price=data.number("price"),
        queries=data.count("queries"),
        images=data.count("images"),
        accuracy=data.text("accuracy"),
    )
