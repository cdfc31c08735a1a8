"""The mutants: each fits the package, and the tool reports one that does not fit."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chatgpt4online.protocol.calls.policies import REACTIONS, TABLE

from ..mutants import __main__ as tool
from ..mutants import change, table
from ..mutants.change import Misfit, Mutant, constant, edited, literal, returns

pytestmark = pytest.mark.slow

_RETRY_AFTER = "protocol.parsing.bodies:retry_after"


def example(number: int, texts: tuple[str, ...] = ()) -> Any:
    """Return a value by one example of each part that the rules change."""
    total = 0
    total += number
    try:
        total = int("7".strip())
    except (ValueError, KeyError):
        total = 8
    return (total > 7, "x" not in texts, abs(-1), [text for text in texts if text])


def test_every_mutant_fits_the_package() -> None:
    assert tool.check(tool.MUTANTS) == []


def test_names_of_mutants_are_unique() -> None:
    names = Counter((mutant.target, mutant.name) for mutant in tool.MUTANTS)
    assert [name for name, number in names.items() if number > 1] == []


def test_reactions_of_the_table_equal_those_of_the_package() -> None:
    assert table.reactions(TABLE) == REACTIONS


def test_every_row_of_the_table_is_deleted_by_a_mutant() -> None:
    deleted = [mutant for mutant in table.MUTANTS if mutant.name.endswith("row deleted")]
    assert len(deleted) == len(TABLE)


def test_every_mutant_of_the_table_changes_a_reaction() -> None:
    changed = [mutant.replacement() for mutant in table.MUTANTS]
    assert REACTIONS not in changed


@pytest.mark.parametrize(
    ("target", "changed"),
    [
        ("protocol.parsing.nowhere:retry_after", returns(None)),
        ("protocol.parsing.bodies:nothing", returns(None)),
        ("protocol.parsing.parser:Nobody._read", returns(None)),
        ("protocol.parsing.parser:EventParser.nothing", returns(None)),
        (_RETRY_AFTER, lambda original: lambda: None),
        (_RETRY_AFTER, edited(literal("no such literal", ""))),
        ("protocol.calls.policies:_MOST_REDIRECTS", constant(5)),
    ],
    ids=["module", "function", "class", "method", "signature", "pattern", "no change"],
)
def test_error_for_a_misfit_names_the_mutant(target: str, changed: Callable[[Any], Any]) -> None:
    mutant = Mutant("the fault", target, changed, ("test_turn",))
    with pytest.raises(Misfit, match="the fault"):
        mutant.replacement()
    assert len(tool.check([mutant])) == 1


def test_mutant_without_its_test_file_is_reported() -> None:
    (message,) = tool.check([Mutant("the fault", _RETRY_AFTER, returns(None), ("test_of_nothing",))])
    assert "test_of_nothing" in message
    assert "the fault" in message


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (literal(8, 9), (False, True, 1, ["a"])),
        (literal(7, 0), (True, True, 1, ["a"])),
        (change.without_statement("int"), (False, True, 1, ["a"])),
        (change.without_statement("total"), NameError),
        (change.without_method("strip"), (False, True, 1, ["a"])),
        (change.without_function("abs"), (False, True, -1, ["a"])),
        (change.call_gives("abs", 5), (False, True, 5, ["a"])),
        (change.operator(ast.Gt, ast.GtE), (True, True, 1, ["a"])),
        (change.comparison_gives(ast.NotIn, "x", False), (False, False, 1, ["a"])),
        (change.without_filter, (False, True, 1, ["a", ""])),
        (change.uncaught("KeyError"), (False, True, 1, ["a"])),
        (change.silenced("ValueError"), (False, True, 1, ["a"])),
    ],
)
def test_rule_changes_one_function(rule: change.Rule, expected: Any) -> None:
    changed = edited(rule)(example)
    if isinstance(expected, type):
        with pytest.raises(expected):
            changed(1, ("a", ""))
    else:
        assert changed(1, ("a", "")) == expected
    assert example(1, ("a", "")) == (False, True, 1, ["a"])


@pytest.mark.parametrize(
    "rule",
    [
        change.without_statement("nothing"),
        change.without_method("nothing"),
        change.without_function("nothing"),
        change.call_gives("nothing", 0),
        change.operator(ast.Lt, ast.LtE),
        change.comparison_gives(ast.NotIn, "y", False),
        change.comparison_gives(ast.In, "x", False),
        change.uncaught("OSError"),
        change.silenced("OSError"),
        literal(True, False),
        literal(8.0, 9.0),
    ],
)
def test_rule_without_a_match_is_an_error(rule: change.Rule) -> None:
    with pytest.raises(Misfit):
        edited(rule)(example)


def test_replaced_function_reaches_all_modules_that_imported_it() -> None:
    def original() -> None: ...
    def replacement() -> None: ...

    home: Any = ModuleType("home")
    importer: Any = ModuleType("importer")
    other: Any = ModuleType("other")
    home.function = importer.alias = original
    other.function = print
    change.replace_imported([home, importer, other], "function", original, replacement)
    assert (home.function, importer.alias, other.function) == (replacement, replacement, print)


def test_replaced_constant_keeps_equal_constants_with_other_names() -> None:
    home: Any = ModuleType("home")
    importer: Any = ModuleType("importer")
    home.MOST = importer.MOST = importer.OTHER = 6
    change.replace_imported([home, importer], "MOST", 6, 99)
    assert (home.MOST, importer.MOST, importer.OTHER) == (99, 99, 6)


@pytest.mark.parametrize(
    ("code", "text", "crash", "expected"),
    [
        (0, "", "", "survived"),
        (1, "AssertionError", f"{tool.TESTS}/test_turn.py", "killed"),
        (1, "AssertionError", "", "killed"),
        (None, "", "", "killed"),
        (1, "AttributeError: no such attribute", f"{tool.TESTS}/mutants/calls.py", "broken"),
        (1, "", "", "broken"),
        (2, "", "", "broken"),
        (-9, "", "", "broken"),
    ],
)
def test_only_a_failed_test_kills_a_mutant(code: int | None, text: str, crash: str, expected: str) -> None:
    assert tool.Outcome(code, "test_it", text, crash).verdict == expected


def test_closure_that_holds_the_original_gets_the_replacement() -> None:
    def original() -> str:
        return "original"

    def make(function: Callable[[], str]) -> Callable[[], str]:
        return lambda: f"it calls the {function()}"

    importer: Any = ModuleType("importer")
    importer.call = make(original)
    change.replace_imported([importer], "original", original, lambda: "replacement")
    assert importer.call() == "it calls the replacement"


def test_replacement_still_calls_the_original() -> None:
    def original() -> str:
        return "original"

    def change_result(function: Callable[[], str]) -> Callable[[], str]:
        return lambda: f"changed {function()}"

    home: Any = ModuleType("home")
    home.function = replacement = change_result(original)
    change.replace_imported([home], "function", original, replacement)
    assert home.function() == "changed original"


# Files of tests with one test each, and the verdict about a mutant that has only this file
SAMPLES = {
    "test_sees": ("assert policies._MOST_REDIRECTS == 5", "killed"),
    "test_sees_its_import": ("assert _MOST_REDIRECTS == 5", "killed"),
    "test_hangs": ("while policies._MOST_REDIRECTS != 5: pass", "killed"),
    "test_sees_nothing": ("assert policies._MOST_REDIRECTS", "SURVIVED"),
    "test_stops": ("policies._MOST_REDIRECTS == 5 or os._exit(3)", "BROKEN"),
    "test_always_fails": ("assert False", "killed"),
}
RUN = """
import sys
from pathlib import Path
from tests.mutants import __main__ as tool
from tests.mutants.change import Mutant, constant

tool.SECONDS = 10
tool.find_test_file = lambda name: Path("tests", f"{name}.py")
tool.MUTANTS = [
    Mutant(name, "protocol.calls.policies:_MOST_REDIRECTS", constant(6), (name,)) for name in sys.argv[1:]
]
sys.exit(tool.main([]))
"""


def run_samples(directory: Path, *names: str) -> tuple[int, dict[str, str], str]:
    """Return the exit status of the tool, the verdict about each mutant, and the whole output."""
    package = directory / "tests"
    package.mkdir()
    (package / "__init__.py").write_text(f"__path__.append({str(tool.TESTS)!r})\n")
    (package / "conftest.py").write_text("from hypothesis import settings\nsettings.register_profile('mutants')\n")
    imports = (
        "import os\nfrom chatgpt4online.protocol.calls import policies\n"
        "from chatgpt4online.protocol.calls.policies import _MOST_REDIRECTS\n"
    )
    for name in names:
        (package / f"{name}.py").write_text(f"{imports}def test_it():\n    {SAMPLES[name][0]}\n")
    path = os.pathsep.join([str(directory), str(tool.TESTS.parent)])
    done = subprocess.run(
        [sys.executable, "-c", RUN, *names],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = [line.split() for line in done.stdout.splitlines() if ":_MOST_REDIRECTS: " in line]
    return done.returncode, {line[2]: line[0] for line in lines}, done.stdout + done.stderr


def test_exit_status_is_0_if_all_mutants_are_killed(tmp_path: Path) -> None:
    names = [name for name in SAMPLES if SAMPLES[name][1] == "killed" and name != "test_always_fails"]
    status, found, printed = run_samples(tmp_path, *names)
    assert found == dict.fromkeys(names, "killed"), printed
    assert status == 0, printed


@pytest.mark.parametrize("name", ["test_sees_nothing", "test_stops", "test_always_fails"])
def test_exit_status_is_1_unless_a_test_that_passes_otherwise_kills_the_mutant(name: str, tmp_path: Path) -> None:
    status, found, printed = run_samples(tmp_path, "test_sees", name)
    assert found == {"test_sees": "killed", name: SAMPLES[name][1]}, printed
    assert status == 1, printed
    assert ("FAILS without a mutant: tests/test_always_fails.py::test_it" in printed) == (name == "test_always_fails")


def test_list_shows_the_chosen_mutants_and_runs_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(["--list", "net.url:"]) == 0
    lines = capsys.readouterr().out.splitlines()
    titles = [tool.title(mutant) for mutant in tool.MUTANTS if mutant.target.startswith("net.url:")]
    assert [line.rpartition(" (")[0] for line in lines] == titles != []


def test_word_that_is_in_no_title_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        tool.main(["no such mutant"])
    assert raised.value.code == 2
    assert "--list" in capsys.readouterr().err
