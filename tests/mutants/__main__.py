"""Run the tests against each mutant: ``python -m tests.mutants``.

The tests are collected once. After that, each mutant gets a forked process, which changes the package and the names
that the tests imported from it. This needs a system that can fork.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest
from hypothesis import is_hypothesis_test

from . import calls, parsing, table
from .change import Misfit, Mutant, load_package

TESTS = Path(__file__).parent.parent
SECONDS = 150  # ten times the time of the slowest mutant; a mutant that makes the tests hang counts as killed
PARALLEL = 2
QUICK = 0.05  # seconds: most tests take less than 5 ms
SLOW = "cuts_change_no_event_of_a_rare_line"  # takes half a minute for each mutant; the other tests must suffice

MUTANTS = [*table.MUTANTS, *parsing.MUTANTS, *calls.MUTANTS]
_OPTIONS = [
    "--override-ini=addopts=",  # they are for the reporter of the terminal
    "--capture=no",
    "--hypothesis-profile=mutants",
    *("-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", "-p", "no:chatgpt4online"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # hypothesis is loaded before pytest starts
    *("-k", f"not {SLOW}"),
]


def find_test_file(name: str) -> Path | None:
    """Return the only test file with this name, from any directory of the tests, or None if there is not just one."""
    found = [*TESTS.rglob(f"{name}.py")]
    return found[0] if len(found) == 1 else None


def check(mutants: Iterable[Mutant]) -> list[str]:
    """Return a sentence for each mutant that does not fit the package or the tests."""
    wrong = []
    for mutant in mutants:
        try:
            mutant.replacement()
        except Misfit as error:
            wrong.append(str(error))
        missing = [name for name in mutant.tests if find_test_file(name) is None]
        wrong += [f"{mutant.name}: there is not just one test file {name}.py" for name in missing]
    return wrong


def title(mutant: Mutant) -> str:
    """Return the name of a mutant with its target; no two mutants have the same."""
    return f"{mutant.target}: {mutant.name}"


def choose(mutants: Iterable[Mutant], words: Iterable[str]) -> list[Mutant]:
    """Return the mutants whose title contains one of the words; all mutants if there is no word."""
    words = list(words)
    return [mutant for mutant in mutants if not words or any(word in title(mutant) for word in words)]


@dataclass(frozen=True)
class Run:
    """Tests to run in one process, with or without a mutant. They end at the first failure."""

    items: tuple[pytest.Item, ...]
    mutant: Mutant | None = None


@dataclass
class Outcome:
    """The outcome of a run.

    ``code`` is the exit code of its process: 0 if all tests passed, 1 after a failure, and None if they did not end.
    ``test`` is the last test that began, and ``text`` says how it failed. ``crash`` is the file in which it raised.
    """

    code: int | None
    test: str = ""
    text: str = ""
    crash: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``"killed"``, ``"survived"`` or ``"broken"``.

        A run is broken if it stopped without a failed test, or if the mutant's own code raised: then the tests have
        noticed nothing.
        """
        if self.code is None:
            return "killed"
        if self.code == 0:
            return "survived"
        has_noticed = self.code == 1 and self.text and not self.crash.startswith(str(TESTS / "mutants"))
        return "killed" if has_noticed else "broken"


class _Recorder:
    """A plugin for pytest: writes a line of JSON for each test that begins or ends."""

    def __init__(self, output: Path) -> None:
        self._file = output.open("a", encoding="utf-8", buffering=1)

    def _write(self, **record: Any) -> None:
        self._file.write(json.dumps(record) + "\n")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write(test=nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._write(seconds=report.duration)
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self._write(text=report.longreprtext, crash=str(getattr(crash, "path", "")))


def _read_outcome(code: int | None, output: Path) -> Outcome:
    outcome = Outcome(code)
    for line in output.read_text("utf-8").splitlines():
        record = json.loads(line)
        seconds = record.pop("seconds", 0.0)
        for name, value in record.items():
            setattr(outcome, name, value)
        outcome.seconds[outcome.test] = outcome.seconds.get(outcome.test, 0.0) + seconds
    return outcome


@dataclass
class _Process:
    run: Run
    process: Any
    output: Path
    end: float = field(default_factory=lambda: time.monotonic() + SECONDS)


def run_all(runs: Iterable[Run]) -> Iterator[tuple[Run, Outcome]]:
    """Yield each run with its outcome, as the runs end. A run is taken from ``runs`` when it starts."""
    waiting, running, number = iter(runs), [], 0
    with tempfile.TemporaryDirectory() as directory:
        while True:
            while len(running) < PARALLEL and (run := next(waiting, None)) is not None:
                number += 1
                running.append(_start(run, Path(directory) / str(number)))
            if not running:
                return
            left = max(0.0, min(one.end for one in running) - time.monotonic())
            wait([one.process.sentinel for one in running], left)
            for one in list(running):
                overdue = time.monotonic() >= one.end
                if one.process.is_alive() and not overdue:
                    continue
                running.remove(one)
                one.process.kill()
                one.process.join()
                yield one.run, _read_outcome(None if overdue else one.process.exitcode, one.output)


def _start(run: Run, output: Path) -> _Process:
    output.touch()
    process = get_context("fork").Process(target=_run_tests, args=(run, output))
    process.start()
    return _Process(run, process, output)


def _run_tests(run: Run, output: Path) -> None:
    """Apply the mutant and run the tests, in a process of its own."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    if run.mutant is not None:
        run.mutant.apply()
    code = 0
    if run.items:
        session = run.items[0].session
        session.config.pluginmanager.register(_Recorder(output))
        for item, following in zip_longest(run.items, run.items[1:]):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                code = 1
                break
    os._exit(code)


class Mutation:
    """A plugin for pytest: runs the collected tests against mutants, and prints the verdict about each.

    ``is_good`` says whether all mutants were killed, by tests that pass without a mutant.
    """

    def __init__(self, mutants: Sequence[Mutant]) -> None:
        self.is_good = False
        self._mutants = mutants
        self._seconds: dict[str, float] = {}
        self._killers: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            print(report.longreprtext)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if not session.testsfailed:
            killed = sum([self._is_killed(*ended) for ended in run_all(self._runs(session.items))])
            print(f"{killed} of {len(self._mutants)} mutants killed")
            self.is_good = self._killers_pass(session.items) and killed == len(self._mutants)
        return True

    def _runs(self, items: Sequence[pytest.Item]) -> Iterator[Run]:
        for mutant in self._mutants:
            chosen = [item for item in items if item.path.stem in mutant.tests]
            yield Run(tuple(sorted(chosen, key=partial(self._rank, mutant))), mutant)

    def _rank(self, mutant: Mutant, item: Any) -> tuple[bool, bool, int, int]:
        """Return a key that sorts the tests by how soon they may kill a mutant.

        Properties, which draw hundreds of examples, come last, and before them other slow tests. The tests that have
        killed the last mutants come first, since mutants that stand together are alike.
        """
        kills = self._killers.index(item.nodeid) if item.nodeid in self._killers else -1
        is_slow = self._seconds.get(item.nodeid, 0.0) > QUICK
        return is_hypothesis_test(item.obj), is_slow, -kills, mutant.tests.index(item.path.stem)

    def _is_killed(self, run: Run, outcome: Outcome) -> bool:
        assert run.mutant is not None
        self._seconds |= outcome.seconds
        verdict = outcome.verdict
        why = outcome.test if outcome.code is not None else f"{outcome.test}: still running after {SECONDS} s"
        if verdict == "killed":
            self._killers = [*(test for test in self._killers if test != outcome.test), outcome.test]
        print(f"{verdict if verdict == 'killed' else verdict.upper():9}{title(run.mutant)} ({why})", flush=True)
        if verdict == "broken":
            print(outcome.text)
        return verdict == "killed"

    def _killers_pass(self, items: Sequence[pytest.Item]) -> bool:
        """Return whether the tests that killed a mutant pass without one."""
        killers = tuple(item for item in items if item.nodeid in self._killers)
        failed = [outcome for _, outcome in run_all([Run(killers)]) if outcome.code != 0]
        for outcome in failed:
            print(f"FAILS without a mutant: {outcome.test}\n{outcome.text}")
        return not failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutants. Return 1 if one survives, is broken or does not fit, or if tests fail without a mutant."""
    parser = argparse.ArgumentParser("python -m tests.mutants", description="Run the tests against each mutant.")
    parser.add_argument("words", nargs="*", metavar="WORD", help="run only the mutants whose title contains a WORD")
    parser.add_argument("--list", action="store_true", help="print the titles and the tests, and run nothing")
    options = parser.parse_args(arguments)
    load_package()
    for message in (wrong := check(MUTANTS)):
        print(f"DOES NOT FIT  {message}")
    if wrong:
        return 1
    chosen = choose(MUTANTS, options.words)
    if not chosen:
        parser.error("no mutant has a title with one of these words; --list prints all titles")
    if options.list:
        for mutant in chosen:
            print(f"{title(mutant)} ({' '.join(mutant.tests)})")
        return 0
    files = sorted({str(find_test_file(name)) for mutant in chosen for name in mutant.tests})
    mutation = Mutation(chosen)
    pytest.main([*_OPTIONS, *files], [mutation])
    return 0 if mutation.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
