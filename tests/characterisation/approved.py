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

REASONS = {
    "login": "A login by cookie gets its nonce from WordPress itself where the page has none.",
    "redirect": "A redirect that keeps the route and adds something is followed to the target as it is. Its target "
    "belongs to the request that it answered, and a nonce stays with its origin.",
    "block": "A page of a firewall or bot check is told as such, in place of a page or of the API.",
    "known root": "A root that the session knew and that has no API any more makes room for the others.",
    "search": "An answer that is not the API's to a call with a nonce means that nothing was processed: the API is "
    "searched as at the start.",
    "next root": "Any root that does not speak AI Engine makes room for the next, whatever its status.",
    "telling": "The most telling error of a search is raised, and a call that needs no nonce has no NonceRefused.",
    "page json": "WordPress's JSON in place of a page is read: its code is told.",
    "origin": "A nonce belongs to the origin that gave it.",
    "usual root": "The usual root is kept as no root, also after a redirect to itself.",
}
"""Why the outcomes of the rows in ``changed.jsonl`` are others than in the table."""

APPROVED: list[Approved] = [
    Approved("Message texts may differ: they are for people.", {"message": ANYTHING}, standing=True),
    *[
        Approved(
            "rest_forbidden with X-WP-Nonce: the nonce was accepted, and the user may not do this (protocol section "
            "1.2). It is StatusError at once, and no reason to try again or to go on with the nonce of the header.",
            {
                "end": "StatusError",
                "status": status,
                "code": "rest_forbidden",
                "events": "Failed",
                **dict.fromkeys(["asks", "carries", "scheme", "nonce", "exclusive"], ABSENT),
                **dict.fromkeys(["body", "body_session", "body_newFileId"], ABSENT),
            },
            {"answer": f"forbidden_{status}_header"},
        )
        for status in (401, 403)
    ],
]
