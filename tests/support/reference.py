"""A reference for the parser: slow, without cuts, and written from protocol sections 2, 5 and 7 only.

It shares only the names of the errors with the package. It returns tuples, and :func:`as_tuples` converts the package's
events to the same form.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from chatgpt4online.protocol.parsing.events import Done, Event, Failed, Notice, Text

_BLANK = "\ufeff \t\r\n"
_IGNORED = (":", "event:", "id:", "retry:")


def reference(body: bytes) -> list[tuple[Any, ...]]:
    """Return the events of a body that came with status 200, up to and including the last one."""
    events: list[tuple[Any, ...]] = []
    others: list[str] = []
    streamed = empty_error = False
    for whole in re.split("\r\n|\r|\n", body.decode("utf-8", "replace")):
        line = whole.lstrip("\ufeff")
        payload = line[5:].strip(" \t") if line.startswith("data:") else _embedded(line)
        if payload is None:
            others += [line] if line.strip() and not line.startswith(_IGNORED) else []
            continue
        streamed, others = True, []
        event = _json(payload)
        kind = event.get("type") if isinstance(event, dict) else None
        data = event.get("data") if isinstance(event, dict) else None
        if kind == "live" and event.get("subtype") not in (None, "", 0, False, [], {}, "content"):
            events.append(("notice", _as_text(event["subtype"]), _as_text(data), *_details(event)))
        elif kind == "live" and isinstance(data, str):
            events.append(("text", data))
        elif kind == "error":
            if _message(_as_text(data)):
                return [*events, ("failed", "ServerError", _message(_as_text(data)), _text(events))]
            empty_error = True
        elif kind == "end":
            final = _json(data.strip()) if isinstance(data, str) else data
            if not isinstance(final, dict) and data is not False:
                events.append(("notice", "malformed", payload.strip()[:200], "", "{}", None))
            return _end(events, final if isinstance(final, dict) else {})
        elif isinstance(kind, str) and kind != "live":
            rest = {key: value for key, value in event.items() if key not in ("type", "data")}
            events.append(("notice", kind, _as_text(data), "", repr(rest), None))
        elif kind != "live" or data is not None:
            events.append(("notice", "malformed", payload.strip()[:200], "", "{}", None))
    return _cut_short(events, others, streamed, empty_error)


def _embedded(line: str) -> str | None:
    """Return the payload of the event behind other output in a line, or None for an event or a comment."""
    starts = [] if line.startswith(":") else re.finditer(r"data:[ \t]*\{", line)
    for start in starts:
        payload = line[start.start() + 5 :].strip(" \t")
        try:
            event = json.loads(payload)
        except json.JSONDecodeError:
            continue
        except (ValueError, RecursionError):  # Python cannot read it
            return payload
        if isinstance(event.get("type"), str):
            return payload
    return None


def _cut_short(events: list[Any], others: list[str], streamed: bool, empty_error: bool) -> list[Any]:
    """Return the events of a body without ``end`` and ``error``. A message of None is not checked."""
    for number, line in enumerate(others):
        answer = _first_json("\n".join(others[number:]).lstrip("\ufeff" + " \t\n")) if "{" in line else None
        if empty_error or not isinstance(answer, dict):
            continue
        if answer.get("success"):
            return _end(events, answer)
        if "success" in answer:
            return [*events, ("failed", "ServerError", _message(_string(answer.get("message"))) or None, _text(events))]
        if isinstance(answer.get("code"), str):
            return [*events, ("failed", "StatusError", None, _text(events))]
        if "code" in answer:
            break
    start = "\n".join(others).lstrip(_BLANK)
    broken = start.startswith("{") and _json(start.rstrip()) is _NO_JSON
    error = "ServerError" if empty_error else "Truncated" if streamed or not start or broken else "ProtocolError"
    error = "StatusError" if error == "ProtocolError" and start.startswith("<") else error
    return [*events, ("failed", error, None, _text(events))]


def _end(events: list[Any], final: dict[str, Any]) -> list[Any]:
    if not final.get("success", True):
        return [*events, ("failed", "ServerError", _message(_as_text(final.get("message"))) or None, _text(events))]
    streamed, reply = _text(events), _string(final.get("reply"))
    late = [("text", reply)] if reply and not streamed else []
    odd = [("notice", "malformed", key, "", "{}", None) for key, sound in _SHAPES.items() if not sound(final.get(key))]
    return [*events, *late, *odd, ("done", reply or streamed, repr(final))]


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_number(value: Any) -> bool:
    try:
        return value is None or (not isinstance(value, (bool, list, dict)) and math.isfinite(float(value)))
    except (ValueError, OverflowError):
        return False


def _is_object(value: Any, **fields: Callable[[Any], bool]) -> bool:
    if value is None or value == []:
        return True
    return isinstance(value, dict) and all(sound(value.get(key)) for key, sound in fields.items())


def _is_list(value: Any, sound: Callable[[Any], bool]) -> bool:
    if isinstance(value, dict):
        return all(re.fullmatch("[0-9]+", key) for key in value) and all(map(sound, value.values()))
    return value is None or (isinstance(value, list) and all(map(sound, value)))


def _is_tagged(value: Any, **fields: Callable[[Any], bool]) -> bool:
    """Return whether a value is null, or an object with a type and data."""
    if not isinstance(value, dict):
        return value is None
    return _is_text(value.get("type")) and value.get("data") is not None and _is_object(value["data"], **fields)


_SHORTCUT = dict.fromkeys(["label", "message", "shortcutId", "action", "variant", "icon"], _is_text)
_USAGE = dict.fromkeys(["prompt_tokens", "completion_tokens", "total_tokens", "price", "queries", "images"], _is_number)

# The fields of the final object, in the order in which they are reported, and what each may hold (section 2.4).
_SHAPES: dict[str, Callable[[Any], bool]] = {
    "reply": _is_text,
    "images": lambda value: _is_list(value, _is_text),
    "actions": lambda value: _is_list(
        value, lambda item: _is_tagged(item, name=_is_text, args=_is_object, snippet=_is_text)
    ),
    "shortcuts": lambda value: _is_list(value, lambda item: _is_tagged(item, **_SHORTCUT)),
    "blocks": lambda value: _is_list(value, lambda item: _is_tagged(item, id=_is_text, html=_is_text, script=_is_text)),
    "usage": lambda value: _is_object(value, **_USAGE, accuracy=_is_text),
    "responseId": _is_text,
}


_NO_JSON = object()


def _json(text: str) -> Any:
    try:
        return _NO_JSON if text[:1] in ("", " ", "\t", "\n", "\r") else json.loads(text)
    except (ValueError, RecursionError):
        return _NO_JSON


def _first_json(text: str) -> Any:
    """Return the first JSON value in the text if it has a key of the site's answers, else None."""
    try:
        answer = json.JSONDecoder().raw_decode(text)[0] if text.startswith("{") else None
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) and ("success" in answer or "code" in answer) else None


def _details(event: dict[str, Any]) -> tuple[str, str, float | None]:
    visibility, metadata, when = event.get("visibility"), event.get("metadata"), event.get("timestamp")
    try:
        seconds = float(when) if isinstance(when, (int, float)) and not isinstance(when, bool) else None
    except OverflowError:
        seconds = None
    seconds = seconds if seconds is not None and math.isfinite(seconds) else None
    return _string(visibility), repr(metadata if isinstance(metadata, dict) else {}), seconds


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _message(text: str) -> str:
    joined = re.sub(r"(?i)</?(a|b|code|em|i|small|span|strong|u)\b[^<>]*>", "", text)
    text = re.sub(r"</?[a-zA-Z!][^<>]*>", " ", joined)
    text = re.sub(r"&#[1-9][0-9]{4300,};?", "\ufffd", text)  # more digits than Python converts
    text = " ".join(html.unescape(text).split())
    return re.sub("[\ud800-\udfff]", "\ufffd", text)[:300]


def _text(events: list[Any]) -> str:
    return "".join(item[1] for item in events if item[0] == "text")


def as_tuples(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    """Return the package's events as tuples with all their fields.

    NaN equals itself, and errors compare by their text.
    """
    found: list[tuple[Any, ...]] = []
    for event in events:
        if isinstance(event, Text):
            found.append(("text", event.text))
        elif isinstance(event, Notice):
            seconds = event.timestamp
            found.append(("notice", event.kind, event.text, event.visibility, repr(event.metadata), seconds))
        elif isinstance(event, Done):
            found.append(("done", event.reply.text, repr(event.reply.raw), repr(event.reply)))
        else:
            assert isinstance(event, Failed)
            found.append(("failed", type(event.error), str(event.error), event.error.partial_text))
    return [tuple("nan" if item != item else item for item in entry) for entry in found]  # noqa: PLR0124  # only NaN
