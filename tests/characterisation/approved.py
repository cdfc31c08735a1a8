"""Differences from the table that are wanted, each with its reason.

A row may then differ in the named fields of its outcome, and in nothing else. A difference that no row needs fails the
test, so that this list holds only what is true; generate the table anew once a change is settled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

ANYTHING: Final = object()
"""Any value, and none."""

ABSENT: Final = object()
"""No value: the outcome lacks the field."""


@dataclass(frozen=True)
class Approved:
    """One difference that is wanted.

    ``rows`` has patterns (``*``, ``?``, ``[...]``) for fields of :class:`~tests.characterisation.replay.Row`.
    ``becomes`` has the fields of the outcome that may differ, and what each becomes: a value, ``ANYTHING`` or
    ``ABSENT``. A ``standing`` one is a permission, and need not be used.
    """

    reason: str
    becomes: Mapping[str, Any]
    rows: Mapping[str, str] = field(default_factory=dict)
    standing: bool = False

    def covers(self, row: Mapping[str, str], name: str, value: Any) -> bool:
        """Whether field ``name`` of this row's outcome may be ``value`` (``ABSENT`` where it is missing)."""
        wanted = self.becomes.get(name, _UNNAMED)
        return wanted in (ANYTHING, value) and all(fnmatchcase(row[key], pattern) for key, pattern in self.rows.items())


_UNNAMED: Final = object()

APPROVED: list[Approved] = [
    Approved("Message texts may differ: they are for people.", {"message": ANYTHING}, standing=True),
]
