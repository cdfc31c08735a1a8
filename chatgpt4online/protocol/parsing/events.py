"""What a chat says: four kinds of event, and the reply that the last one carries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .errors import ChatError

Json: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Text:
    """A piece of the answer, as the model wrote it."""

    text: str


@dataclass(slots=True)
class Notice:
    """Anything else that the server says while it works; never part of the answer.

    ``kind`` is the wire's ``subtype`` (``thinking``, ``tool_call``, ``status``, ``embeddings``, ...; protocol
    section 2.3), an unknown event's ``type``, or ``malformed`` for a payload that could not be read (``text`` is
    its beginning). ``visibility`` is ``visible``, ``collapsed``, ``hidden`` or ``""``; ``metadata`` a dict whose
    keys depend on the kind; ``timestamp`` seconds since 1970 by the server's clock, or None.
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
    """What the turn cost, as the site counts it (often an estimate); None for what it does not say."""

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


def read_reply(raw: Json) -> Reply:
    """Return the reply in a final object; whatever has another shape than protocol section 2.4 is left in ``raw``."""
    usage = raw.get("usage")
    return Reply(
        text=_text(raw, "reply"),
        images=tuple(url for url in _list(raw, "images") if isinstance(url, str)),
        actions=tuple(_action(kind, data) for kind, data in _tagged(raw, "actions")),
        shortcuts=read_shortcuts(raw),
        blocks=tuple(_block(kind, data) for kind, data in _tagged(raw, "blocks")),
        usage=_usage(usage) if isinstance(usage, dict) and usage else None,
        response_id=_text(raw, "responseId"),
        raw=raw,
    )


def read_shortcuts(raw: Json) -> tuple[Shortcut, ...]:
    """Return the shortcuts of a final object or of a page's widget."""
    return tuple(
        Shortcut(
            kind,
            label=_text(data, "label"),
            message=_text(data, "message"),
            shortcut_id=_text(data, "shortcutId"),
            action=_text(data, "action"),
            variant=_text(data, "variant"),
            icon=_text(data, "icon"),
        )
        for kind, data in _tagged(raw, "shortcuts")
    )


def _text(raw: Json, key: str) -> str:
    value = raw.get(key)
    return value if isinstance(value, str) else ""


def _list(raw: Json, key: str) -> list[Any]:
    value = raw.get(key)
    return value if isinstance(value, list) else []


def _tagged(raw: Json, key: str) -> Iterable[tuple[str, Json]]:
    for item in _list(raw, key):
        if isinstance(item, dict) and isinstance(item.get("data"), dict):
            yield _text(item, "type"), item["data"]


def _action(kind: str, data: Json) -> Action:
    args = data.get("args")  # PHP writes an empty object as []
    return Action(kind, _text(data, "name"), args if isinstance(args, dict) else {}, _text(data, "snippet"))


def _block(kind: str, data: Json) -> Block:
    return Block(kind, _text(data, "id"), _text(data, "html"), _text(data, "script"))


def _usage(raw: Json) -> Usage:
    return Usage(
        prompt_tokens=_count(raw, "prompt_tokens"),
        completion_tokens=_count(raw, "completion_tokens"),
        total_tokens=_count(raw, "total_tokens"),
        price=_number(raw, "price"),
        queries=_count(raw, "queries"),
        images=_count(raw, "images"),
        accuracy=_text(raw, "accuracy"),
    )


def _count(raw: Json, key: str) -> int | None:
    number = _number(raw, key)
    return None if number is None else int(number)


def _number(raw: Json, key: str) -> float | None:
    try:
        number = float(raw[key])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None  # NaN fails this comparison too
