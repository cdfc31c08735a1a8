"""Decode JSON that a site wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

_EVENT_START = re.compile(r"data:[ \t]*(?=\{)")

# json.loads calls this function and two regular expressions. The stubs of the standard library leave it out.
scan_json: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def decode_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises ValueError for a text that is not JSON or is nested too deeply.
    """
    try:
        value, end = scan_json(text, 0)
    except (StopIteration, RecursionError):
        raise ValueError("not JSON") from None
    if end != len(text):
        raise ValueError("text after the JSON value")
    return value


class _Line(str):
    """A single line, in which the standard library creates each JSON error in constant time.

    The standard library counts the line ends before each error. That takes quadratic time for a long line with many
    places that look like an event. A single line has no line ends, so these methods do not search for them.
    """

    __slots__ = ()

    def count(self, *_: Any) -> int:
        return 0

    def rfind(self, *_: Any) -> int:
        return -1


def find_event(line: str) -> tuple[Any, str] | None:
    """Return the decoded event after other output in a line, and the line from its ``data:`` on. None: no event.

    The event begins at the first ``data:`` after which there is only one JSON object with a string ``type``. Spaces and
    tabs may surround the object. The event is None if it exceeds Python's limits on numbers and nesting.
    """
    line = _Line(line.rstrip(" \t"))
    for start in _EVENT_START.finditer(line):
        try:
            event, end = scan_json(line, start.end())
        except (json.JSONDecodeError, StopIteration):
            continue
        except (ValueError, RecursionError):
            return None, line[start.start() :]
        if end == len(line) and isinstance(event.get("type"), str):
            return event, line[start.start() :]
    return None
