"""Run the tests against each mutant: ``python -m tests.mutants``.

Each mutant has its own process, which is forked after the package and pytest were imported. The process changes the
package before it imports the tests. This needs a system that can fork.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest
from hypothesis import is_hypothesis_test

from . import calls, parsing, table
from .change import Misfit, Mutant, load_package

TESTS = Path(__file__).parent.parent
SECONDS = 150  # ten times the time of the slowest test file; a mutant that makes the tests hang counts as killed
PARALLEL = 2
SLOW = "cuts_change_no_event_of_a_rare_line"  # takes half a minute for each mutant; the other tests must suffice

MUTANTS = [*table.MUTANTS, *parsing.MUTANTS, *calls.MUTANTS]
_OPTIONS = [
    "-x",
    "-q",
    "--no-header",
    "--tb=line",
    "--hypothesis-profile=mutants",
    "-p",
    "no:cacheprovider",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",  # hypothesis is loaded before pytest starts
    "-k",
    f"not {SLOW}",
]


def find_test_file(name: str) -> Path | None:
    """Return the test file with this name, from any directory of the tests, or None if it does not exist."""
    return next(TESTS.rglob(f"{name}.py"), None)


@dataclass(frozen=True)
class Run:
    """Test files to run, with or without a mutant."""

    tests: tuple[str, ...]
    mutant: Mutant | None = None


@dataclass
class _Process:
    run: Run
    process: Any
    output: Path
    end: float = field(default_factory=lambda: time.monotonic() + SECONDS)


class _PropertiesLast:
    """A plugin for pytest that runs quick tests first, and tests that draw hundreds of examples last."""

    @staticmethod
    def pytest_collection_modifyitems(items: list[Any]) -> None:
        items.sort(key=lambda item: is_hypothesis_test(item.obj))


def check(mutants: Iterable[Mutant]) -> list[str]:
    """Return a sentence for each mutant that does not fit the package or the tests."""
    wrong = []
    for mutant in mutants:
        try:
            mutant.replacement()
        except Misfit as error:
            wrong.append(str(error))
        missing = [name for name in mutant.tests if find_test_file(name) is None]
        wrong += [f"{mutant.name}: there is no test file {name}.py" for name in missing]
    return wrong


def verdict(code: int | None, output: str) -> str:
    """Return ``"killed"``, ``"survived"`` or ``"broken"`` for the exit code and the output of pytest.

    ``code`` is None for tests that did not end. A run is broken if pytest could not run the tests, or if the code of
    the mutant itself raised. In both cases the tests have noticed nothing.
    """
    if code is None:
        return "killed"
    own = [line for line in output.splitlines() if line.startswith(str(TESTS / "mutants"))]
    if code not in (0, 1) or own:
        return "broken"
    return "killed" if code else "survived"


def run_all(runs: Iterable[Run]) -> Iterator[tuple[Run, int | None, str]]:
    """Yield each run with pytest's exit code (None after SECONDS) and its output, as the runs end."""
    waiting, running, number = list(reversed(list(runs))), [], 0
    with tempfile.TemporaryDirectory() as directory:
        while waiting or running:
            while waiting and len(running) < PARALLEL:
                number += 1
                running.append(_start(waiting.pop(), Path(directory) / str(number)))
            left = max(0.0, min(one.end for one in running) - time.monotonic())
            wait([one.process.sentinel for one in running], left)
            for one in list(running):
                overdue = time.monotonic() >= one.end
                if one.process.is_alive() and not overdue:
                    continue
                running.remove(one)
                one.process.kill()
                one.process.join()
                yield one.run, None if overdue else one.process.exitcode, one.output.read_text("utf-8", "replace")


def _start(run: Run, output: Path) -> _Process:
    output.touch()
    process = get_context("fork").Process(target=_run_tests, args=(run, output))
    process.start()
    return _Process(run, process, output)


def _run_tests(run: Run, output: Path) -> None:
    """Apply the mutant and run the tests, in a process of its own."""
    file = os.open(output, os.O_WRONLY)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.chdir(TESTS.parent)
    if run.mutant is not None:
        run.mutant.apply()
    for name in run.tests:  # one file at a time: most mutants are killed before the others are loaded
        if code := pytest.main([*_OPTIONS, str(find_test_file(name))], [_PropertiesLast()]):
            break
    sys.stdout.flush()
    os._exit(code)


def main() -> int:
    """Run every mutant. Return 1 if one survives, is broken or does not fit, or if tests fail without a mutant."""
    load_package()
    for message in (wrong := check(MUTANTS)):
        print(f"DOES NOT FIT  {message}")
    if wrong:
        return 1
    names = sorted({test for mutant in MUTANTS for test in mutant.tests})
    unchanged = [Run((name,)) for name in names]
    bad = killed = 0
    for run, code, output in run_all([*unchanged, *(Run(mutant.tests, mutant) for mutant in MUTANTS)]):
        summary = (output.strip().splitlines() or [""])[-1] if code is not None else f"still running after {SECONDS} s"
        if run.mutant is None:
            passes = code == 0
            shown, what = "passes" if passes else "FAILS", f"{run.tests[0]} without a mutant"
        else:
            shown, what = verdict(code, output), f"{run.mutant.target}: {run.mutant.name}"
            passes = shown == "killed"
            killed += passes
        bad += not passes
        print(f"{shown if passes else shown.upper():9} {what} ({summary})", flush=True)
        if shown == "broken":
            print(output)
    print(f"{killed} of {len(MUTANTS)} mutants killed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
