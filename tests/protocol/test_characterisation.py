"""The machines behave as in the table, except for the approved differences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from ..characterisation.approved import ABSENT, ANYTHING, APPROVED, REASONS, Approved
from ..characterisation.replay import Row, all_rows, play, read_changed, read_table

pytestmark = pytest.mark.slow

TABLE = read_table()
CHANGED = read_changed()
GROUPS = sorted({(row.subject, row.step.partition(" ")[0]) for row in TABLE})
SHOWN = 5


def differences(
    row: Row, before: Mapping[str, Any], now: Mapping[str, Any], approved: Iterable[Approved], used: set[int]
) -> Iterator[str]:
    """Yield the fields of an outcome that differ without approval.

    Add the numbers of the needed approvals to ``used``.
    """
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name, ABSENT), now.get(name, ABSENT)
        if old == new:
            continue
        covering = [number for number, one in enumerate(approved) if one.covers(row._asdict(), name, new)]
        used.update(covering)
        if not covering:
            yield f"{name}: {_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    return "nothing" if value is ABSENT else repr(value)


def compare(rows: Iterable[Row]) -> tuple[list[str], set[int]]:
    """Return a description of each row that differs, and the numbers of the approved differences that were needed."""
    used: set[int] = set()
    described = []
    for row in rows:
        expected = CHANGED[row][1] if row in CHANGED else TABLE[row]
        found = list(differences(row, expected, play(row), APPROVED, used))
        if found:
            described.append("\n    ".join([str(row), *found]))
    return described, used


@pytest.fixture(scope="module")
def used() -> dict[tuple[str, str], set[int]]:
    """Return the numbers of the approved differences that each group needed."""
    return {}


@pytest.mark.parametrize("group", GROUPS, ids=" ".join)
def test_outcomes_equal_the_table(group: tuple[str, str], used: dict[tuple[str, str], set[int]]) -> None:
    rows = [row for row in TABLE if (row.subject, row.step.partition(" ")[0]) == group]
    described, used[group] = compare(rows)
    shown = "\n  ".join(described[:SHOWN])
    assert not described, f"{len(described)} of {len(rows)} rows differ; the first of them:\n  {shown}"


def test_every_approved_difference_is_needed(used: dict[tuple[str, str], set[int]]) -> None:
    for group in GROUPS:
        if group not in used:  # the test was selected alone
            used[group] = compare(row for row in TABLE if (row.subject, row.step.partition(" ")[0]) == group)[1]
    needed = set().union(*used.values())
    stale = [one.reason for number, one in enumerate(APPROVED) if number not in needed and not one.standing]
    assert not stale, "no row needs these approved differences any more: delete them"


def test_changed_rows_differ_from_the_table() -> None:
    """A line of ``changed.jsonl`` that equals the table is out of date. Each line has a known reason."""
    assert CHANGED.keys() <= TABLE.keys()
    assert {reason for reason, _ in CHANGED.values()} == REASONS.keys()
    stale = [row for row, (_, outcome) in CHANGED.items() if not list(differences(row, TABLE[row], outcome, [], set()))]
    assert not stale


def test_table_has_exactly_the_rows_of_the_paths() -> None:
    rows = set(all_rows())
    assert rows == TABLE.keys()
    assert len(rows) > 5000


def test_approved_difference_covers_only_its_rows_and_fields() -> None:
    row = Row("turn", "main", "guest", "-", "-", "0", "html_503")
    before = {"end": "StatusError", "status": 503, "message": "one"}
    now = {"end": "Blocked", "message": "two"}
    wanted = Approved("So.", {"end": "Blocked", "status": ABSENT}, rows={"subject": "turn*", "answer": "html_50?"})
    texts = Approved("Texts.", {"message": ANYTHING}, standing=True)
    other = Approved("Elsewhere.", {"end": "Blocked"}, rows={"login": "cookie*"})
    used: set[int] = set()
    assert not list(differences(row, before, now, [texts, wanted, other], used))
    assert used == {0, 1}
    assert list(differences(row, before, now, [other], set())) == [
        "end: 'StatusError' -> 'Blocked'",
        "message: 'one' -> 'two'",
        "status: 503 -> nothing",
    ]
    assert list(differences(row, before, {**now, "end": "Truncated"}, [texts, wanted], set())) == [
        "end: 'StatusError' -> 'Truncated'"
    ]
