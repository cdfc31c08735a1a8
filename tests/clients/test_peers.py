"""The benchmark of behaviour: its servers and drivers work, and both clients behave as its table says."""

from __future__ import annotations

import pytest

from ..peers import __main__ as benchmark
from ..peers.__main__ import Results
from ..peers.drivers import OURS, PEERS
from ..peers.situation import Outcome, is_handled, run
from ..peers.table import KNOWN, SITUATIONS

ROWS = {(situation.group, situation.name): situation for situation in SITUATIONS}
# Situations that every loop handles: plain HTTP, a redirect, TLS, a proxy, and a refusal
PLAIN = [
    ("heads", "nothing odd"),
    ("redirects", "308 with a slash"),
    ("TLS", "verify= a path"),
    ("proxies", "CONNECT answered with 200"),
    ("refusals", "a page with 403"),
    ("events", "JSON in place of events"),
]


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("row", ROWS, ids=": ".join)
def test_client_handles_the_situation_unless_the_difference_is_known(row: tuple[str, str], name: str) -> None:
    outcome = run(ROWS[row], OURS[name])
    assert is_handled(ROWS[row], outcome) != ((*row, name) in KNOWN), str(outcome)


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("row", PLAIN, ids=": ".join)
def test_loop_handles_a_plain_situation(row: tuple[str, str], name: str) -> None:
    pytest.importorskip(name, reason="it comes with pip install --group peers")
    outcome = run(ROWS[row], PEERS[name])
    assert is_handled(ROWS[row], outcome), str(outcome)


def test_rows_have_unique_names() -> None:
    assert len(ROWS) == len(SITUATIONS) >= 53


def test_known_differences_name_rows_and_drivers() -> None:
    assert {key[:2] for key in KNOWN} <= set(ROWS)
    assert {key[2] for key in KNOWN} <= set(OURS)


def _results(row: tuple[str, str], *, peer: str, ours: str) -> Results:
    outcomes = dict.fromkeys(PEERS, Outcome([peer], is_over=True)) | dict.fromkeys(OURS, Outcome([ours], is_over=True))
    return [(ROWS[row], outcomes)]


@pytest.mark.parametrize(
    ("row", "peer", "ours", "status"),
    [
        (("heads", "nothing odd"), "Hello", "Hello", 0),
        (("heads", "nothing odd"), "", "", 0),
        (("heads", "nothing odd"), "Hello", "", 1),
        (("framings", "an empty length"), "Hello", "", 0),
    ],
)
def test_unknown_difference_gives_exit_status_1(row: tuple[str, str], peer: str, ours: str, status: int) -> None:
    assert benchmark.report(_results(row, peer=peer, ours=ours)) == status


def test_driver_that_hangs_does_not_handle_a_situation() -> None:
    assert not is_handled(ROWS["heads", "nothing odd"], Outcome(["Hello"]))
