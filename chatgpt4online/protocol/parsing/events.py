"""The four kinds of event in an answer, and the reply that the last event carries."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, TypeAlias, TypeVar

from .errors import ChatError, StatusError

T = TypeVar("T")

Json: TypeAlias = dict[str, Any]

INFINITY = float("inf")
_LIST_KEY = re.compile(r"[0-9]+")
_SECRETS = {"restNonce", "new_token", "sessionId"}  # names in a site's objects; users publish the JSON of a reply
_MOST_LEVELS = 600  # PHP writes at most 512; Python 3.11 writes fewer than 1000, less the calls that are running


@dataclass(slots=True)
class Text:
    """A piece of the answer, as the model wrote it. ``str(event)`` is its text."""

    text: str

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> Json:
        """Return the dict ``{"type": "text", "text": str}``, which ``json.dumps`` accepts."""
        return _tagged("text", self)


@dataclass(slots=True)
class Notice:
    """A message about the server's work, such as a tool call. It is never part of the answer.

    ``kind`` is the ``subtype`` of the event (``thinking``, ``tool_call``, ``status``, ``embeddings``, ...; protocol
    section 2.3), or the ``type`` of an unknown event. Two kinds of damage give ``malformed``. For an event that cannot
    be read, ``text`` is its beginning, or ``""`` if the site could not encode it. For a field of the final object that
    cannot be read completely, ``text`` is the field's name, and the value is in :attr:`Reply.raw`.

    ``visibility`` is ``visible``, ``collapsed``, ``hidden`` or ``""``. ``metadata`` is a dict, whose keys depend on the
    kind. ``timestamp`` is in seconds since 1970 by the server's clock, or None.
    """

    kind: str
    text: str = ""
    visibility: str = ""
    metadata: Json = field(default_factory=dict)
    timestamp: float | None = None

    def to_dict(self) -> Json:
        """Return a dict of the fields that ``json.dumps`` accepts, with ``"type": "notice"``.

        Values in ``metadata`` are changed as :meth:`Reply.to_dict` explains.
        """
        return _tagged("notice", self)


@dataclass(slots=True)
class Done:
    """The answer is complete. This is the last event of a turn that succeeded."""

    reply: Reply

    def to_dict(self) -> Json:
        """Return the dict ``{"type": "done", "reply": dict}``, with the dict of :meth:`Reply.to_dict`."""
        return _tagged("done", self)


@dataclass(slots=True)
class Failed:
    """The turn failed. This is its last event. ``error.partial_text`` is the text that had arrived."""

    error: ChatError

    def to_dict(self) -> Json:
        """Return a dict that ``json.dumps`` accepts: ``"type": "failed"`` and the facts of the error.

        ``error`` is the name of its class, ``message`` its text, and ``partial_text`` the text that had arrived. A
        refusal has ``status``, ``code`` and ``retry_after`` too.
        """
        error = self.error
        values: Json = {"error": type(error).__name__, "message": str(error)}
        if isinstance(error, StatusError):
            values |= {"status": error.status, "code": error.code, "retry_after": error.retry_after}
        return _tagged("failed", values | {"partial_text": error.partial_text})


Event: TypeAlias = Text | Notice | Done | Failed
View: TypeAlias = Callable[[list[Event]], tuple[Iterable[T], ChatError | None]]
"""A function that gets new events. It returns the items that a stream yields for them, and the error that ends the
answer or None."""


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
    """A task that the site sends for the browser. This package never executes it.

    An action of the kind ``"function"`` has ``name`` and ``args`` (dict); one of ``"javascript"`` has ``snippet``.
    """

    kind: str
    name: str = ""
    args: Json = field(default_factory=dict)
    snippet: str = ""


@dataclass(slots=True, frozen=True)
class Shortcut:
    """A ready question that the site offers.

    ``kind`` is ``"message"``, ``"action"`` (then ``action`` is ``"message"`` or ``"clear"``) or ``"callback"`` (for
    browsers only). Send ``message`` to use it, or ``shortcut_id`` if the site keeps the text secret.
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
    """A piece of HTML that the site shows beside the answer. This package never executes its ``script``."""

    kind: str
    id: str = ""
    html: str = ""
    script: str = ""


@dataclass(slots=True, frozen=True)
class Usage:
    """The cost of the turn as the site counts it, which is often an estimate.

    A value is None if the site sends none or if it is not a finite number. Negative numbers are kept.
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
    """A whole answer. ``str(reply)`` is its text, and ``reply.to_dict()`` can be written as JSON.

    ``text`` is the text of the final object, or the streamed text if that object has none. ``images`` are URLs.
    ``response_id`` and ``chat_id`` belong into the next question of the same conversation. ``raw`` is the decoded final
    object, or ``{}`` if the server could not encode it. Source: protocol section 2.4.
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

    def to_dict(self) -> Json:
        """Return a dict that ``json.dumps`` accepts. Its keys are the names of the fields, in their order.

        ``images`` is a list of strings. ``actions``, ``shortcuts`` and ``blocks`` are lists of dicts. ``usage`` is a
        dict or None. The keys of these dicts are the fields of ``Action``, ``Shortcut``, ``Block`` and ``Usage``.

        Everywhere in it, also in ``raw``, a nonce or session id is ``"***"``. NaN, Infinity, and lists and dicts below
        600 levels, which no PHP writes, are None. ``reply.raw`` keeps these values. Texts are unchanged: ``json.dumps``
        escapes lone surrogates in them, unless it gets ``ensure_ascii=False``.
        """
        values: Json = to_json(self)
        return values


def _tagged(kind: str, values: Any) -> Json:
    """Return the fields of an event as JSON can hold them, with its kind as ``type``."""
    return {"type": kind, **to_json(values)}


def to_json(value: Any) -> Any:
    """Return a copy of a value as JSON can hold it, without secrets. Dataclasses become dicts, and tuples become lists.

    NaN, Infinity, and lists and dicts below 600 levels become None. The function keeps a list of the values to convert
    in place of recursion, since a site's JSON may be nested as deeply as Python can read.
    """
    result = [value]
    todo: list[tuple[Any, Any, int]] = [(result, 0, 0)]
    while todo:
        container, key, level = todo.pop()
        item = container[key]
        if is_dataclass(item):
            item = {part.name: getattr(item, part.name) for part in fields(item)}
        if isinstance(item, dict | list | tuple) and level >= _MOST_LEVELS:
            item = None
        elif isinstance(item, dict):
            item = {name: "***" if name in _SECRETS and inner else inner for name, inner in item.items()}
            todo += [(item, name, level + 1) for name in item]
        elif isinstance(item, list | tuple):
            item = list(item)
            todo += [(item, position, level + 1) for position in range(len(item))]
        elif isinstance(item, float) and not -INFINITY < item < INFINITY:
            item = None
        container[key] = item
    return result[0]


def read_notice(event: Any) -> Notice | None:
    """Return the notice in an event, or None for an event of another kind.

    ``event`` is a decoded JSON object. Source: protocol section 2.3.
    """
    subtype = event.get("subtype")
    if not subtype or subtype == "content" or event.get("type") != "live":
        return None
    # The classes are compared, since this is faster than isinstance() and runs for each notice.
    data, metadata = event.get("data"), event.get("metadata")
    visibility, timestamp = event.get("visibility"), event.get("timestamp")
    return Notice(
        subtype if subtype.__class__ is str else to_text(subtype),
        data if data.__class__ is str else to_text(data),
        visibility if visibility.__class__ is str else "",
        metadata if metadata.__class__ is dict else {},
        timestamp if timestamp.__class__ is float and 0.0 < timestamp < INFINITY else _seconds(timestamp),
    )


def read_reply(raw: Json) -> tuple[Reply, list[str]]:
    """Return the reply in a final object, and the names of the fields that could not be read completely.

    A field is named if a value in it has a type that protocol section 2.4 does not allow. The reply leaves that value
    out, and ``raw`` keeps it. Null counts as missing. PHP does not distinguish lists from objects: it writes an empty
    object as ``[]``, and a list with gaps as an object with numbers as keys. Both forms are accepted.
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
    """Return the shortcuts of a final object or of a page's widget. Values of another shape are left out."""
    return _shortcuts(_Fields(raw))


def to_number(value: Any) -> int | float | None:
    """Return the number in a JSON value, which may be a number or a string, or None if there is no finite number.

    True, False, NaN, Infinity and numbers too large for a float give None.
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


def to_text(value: Any) -> str:
    """Return a string unchanged, null as ``""``, and any other JSON value as JSON."""
    if value is None:
        return ""
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):  # beyond Python's limits on numbers and nesting
        return "(too large or nested too deeply to show)"


def _seconds(value: Any) -> float | None:
    number = None if isinstance(value, str) else to_number(value)
    return None if number is None else float(number)


class _Fields:
    """The fields of a final object, or of an object in one of them.

    Each method returns the value of a key. If the value has another type, the method returns an empty value and adds
    the name of the final object's field to ``unread``, a dict because its keys are unique and keep their order.
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
