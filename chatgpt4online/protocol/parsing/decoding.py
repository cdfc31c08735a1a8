"""Decode JSON that a site wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

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


class SingleLine(str):
    """A single line, in which the standard library creates each JSON error in constant time.

    The standard library counts the line ends before each error. That takes quadratic time for a long line with many
    places that look like an event. A single line has no line ends, so these methods do not search for them.
    """

    __slots__ = ()

    def count(self, *_: Any) -> int:
        return 0

    def rfind(self, *_: Any) -> int:
        return -1
