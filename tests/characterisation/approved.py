"""Differences from the table that are intended, each with its reason.

A row may differ only in the named fields of its outcome. A difference that no row needs fails the test, so that this
list stays correct. Generate the table again when a change is final.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

ANYTHING: Final = object()
"""Any value, or no value."""

ABSENT: Final = object()
"""No value: the outcome lacks the field."""


@dataclass(frozen=True)
class Approved:
    """One intended difference.

    ``rows`` has patterns (``*``, ``?``, ``[...]``) for fields of :class:`~tests.characterisation.replay.Row`.
    ``becomes`` has the fields of the outcome that may differ, each with its new value, ``ANYTHING`` or ``ABSENT``. A
    ``standing`` difference need not occur.
    """

    reason: str
    becomes: Mapping[str, Any]
    rows: Mapping[str, str] = field(default_factory=dict)
    standing: bool = False

    def covers(self, row: Mapping[str, str], name: str, value: Any) -> bool:
        """Return whether field ``name`` of this row's outcome may be ``value`` (``ABSENT`` if it is missing)."""
        wanted = self.becomes.get(name, _UNNAMED)
        return wanted in (ANYTHING, value) and all(fnmatchcase(row[key], pattern) for key, pattern in self.rows.items())


_UNNAMED: Final = object()

REASONS = {
    "login": "A login by cookie gets its nonce from WordPress itself if the page has none.",
    "redirect": "A redirect that keeps the route and adds something is followed to the target as it is. Its target "
    "belongs to the request that it answered, and a nonce stays with its origin.",
    "block": "A page of a firewall or bot check gives Blocked, in place of a page or of the API.",
    "known root": "A known root that has no API any more is dropped, and the other roots are tried.",
    "search": "An answer that is not the API's to a call with a nonce means that nothing was processed: the API is "
    "searched as at the start.",
    "next root": "After a root without AI Engine, the next root is tried, whatever the status was.",
    "telling": "The most precise error of a search is raised. A call that needs no nonce never raises NonceRefused.",
    "page json": "WordPress's JSON in place of a page is read, and the error has its code.",
    "origin": "A nonce belongs to the origin that sent it.",
    "usual root": "The usual root is stored as no root, also after a redirect to itself.",
}
"""The reasons why the rows in ``changed.jsonl`` have other outcomes than in the table."""

APPROVED: list[Approved] = [
    Approved("Message texts may differ: they are for people.", {"message": ANYTHING}, standing=True),
    *[
        Approved(
            "rest_forbidden with X-WP-Nonce: the nonce was accepted, and the user may not do this (protocol section "
            "1.2). It is StatusError at once. A retry, or the nonce of the header, would not change that.",
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
