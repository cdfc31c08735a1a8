"""Expectations: the object ``expect`` of a question is read, and an answer is compared with it."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

from ... import InvalidInput
from .lines import refuse_other_names, shown

NAMES = ("contains", "not_contains", "regex", "max_seconds", "min_chars")


@dataclass(frozen=True, slots=True)
class Expectations:
    """The expectations of one answer. Without any, each answer meets them.

    The answer has each text of ``contains`` and none of ``not_contains``, with upper and lower case as they are. Each
    ``regex`` is found somewhere in it. It was complete after at most ``max_seconds``, and has at least ``min_chars``
    characters.
    """

    contains: tuple[str, ...] = ()
    not_contains: tuple[str, ...] = ()
    regex: tuple[re.Pattern[str], ...] = ()
    max_seconds: float | None = None
    min_chars: int | None = None

    def unmet(self, text: str, seconds: float) -> list[str]:
        """Return a sentence for each expectation that an answer with this text and this duration does not meet."""
        found = [f"contains: {part!r} is not in the answer" for part in self.contains if part not in text]
        found += [f"not_contains: {part!r} is in the answer" for part in self.not_contains if part in text]
        found += [f"regex: {rule.pattern!r} is not in the answer" for rule in self.regex if not rule.search(text)]
        if self.max_seconds is not None and seconds > self.max_seconds:
            found.append(f"max_seconds: the answer took {seconds:.3f} s, more than {self.max_seconds:g}")
        if self.min_chars is not None and len(text) < self.min_chars:
            found.append(f"min_chars: the answer has {len(text)} characters, fewer than {self.min_chars}")
        return found


def read_expectations(value: object) -> Expectations:
    """Return the expectations in the object ``expect``. Raises InvalidInput for an object that cannot be used."""
    if not isinstance(value, dict):
        raise InvalidInput(f'"expect" is an object such as {{"contains": "Monday"}}, not {shown(value)}')
    refuse_other_names(value, NAMES, 'in "expect", ')
    return Expectations(
        contains=_texts(value, "contains"),
        not_contains=_texts(value, "not_contains"),
        regex=tuple(map(_pattern, _texts(value, "regex"))),
        max_seconds=_above_zero(value, "max_seconds", int | float, "a number"),
        min_chars=_above_zero(value, "min_chars", int, "a whole number"),
    )


def _texts(fields: dict[str, Any], name: str) -> tuple[str, ...]:
    """Return the texts of an expectation, which is one text or a list of them."""
    value = fields.get(name, [])
    texts = value if isinstance(value, list) else [value]
    for text in texts:
        if not isinstance(text, str):
            raise InvalidInput(f'"{name}" is a string or a list of strings, not {shown(text)}')
        if not text:
            raise InvalidInput(f'"{name}" has an empty string, which every answer contains')
    return tuple(texts)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings(action="ignore"):  # about patterns that a later Python may read differently
            return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidInput(f'"regex" has a pattern that Python cannot read: {error}') from None


def _above_zero(fields: dict[str, Any], name: str, kind: Any, words: str) -> Any:
    if name not in fields:
        return None
    value = fields[name]
    if isinstance(value, bool) or not isinstance(value, kind) or not 0 < value < float("inf"):
        raise InvalidInput(f'"{name}" is {words} above 0, not {shown(value)}')
    return value
