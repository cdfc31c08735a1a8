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
