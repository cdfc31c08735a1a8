"""The mutants: each fits the package, and the tool reports one that does not fit."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from chatgpt4online.protocol.calls.policies import REACTIONS, TABLE

from ..mutants import __main__ as tool
from ..mutants import change, table
from ..mutants.change import Misfit, Mutant, constant, edited, literal, returns

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

    home, importer, other = ModuleType("home"), ModuleType("importer"), ModuleType("other")
    home.function = importer.alias = original  # type: ignore[attr-defined]
    other.function = print  # type: ignore[attr-defined]
    change.replace_imported([home, importer, other], "function", original, replacement)
    assert (home.function, importer.alias, other.function) == (replacement, replacement, print)


def test_replaced_constant_keeps_equal_constants_with_other_names() -> None:
    home, importer = ModuleType("home"), ModuleType("importer")
    home.MOST = importer.MOST = importer.OTHER = 6  # type: ignore[attr-defined]
    change.replace_imported([home, importer], "MOST", 6, 99)
    assert (home.MOST, importer.MOST, importer.OTHER) == (99, 99, 6)


@pytest.mark.parametrize(
    ("code", "output", "expected"),
    [
        (0, "9 passed", "survived"),
        (1, "/tests/test_turn.py:3: AssertionError\n1 failed", "killed"),
        (None, "", "killed"),
        (1, f"{tool.TESTS}/mutants/calls.py:3: AttributeError: no such attribute\n1 failed", "broken"),
        (2, "1 error", "broken"),
        (5, "no tests ran", "broken"),
        (-9, "", "broken"),
    ],
)
def test_only_a_failed_test_kills_a_mutant(code: int | None, output: str, expected: str) -> None:
    assert tool.verdict(code, output) == expected
