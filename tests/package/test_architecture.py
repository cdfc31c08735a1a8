"""The document of the architecture, and the limits of size that keep the code readable."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from inspect import signature

import pytest

from chatgpt4online import Submission, Turn
from chatgpt4online.protocol.calls.exchange import Exchange
from chatgpt4online.protocol.calls.policies import REACTIONS, TABLE, Reaction, Refusal, Step
from chatgpt4online.testing import serve_site

from ..architecture import DOCUMENT, drawn
from ..package.test_imports import MODULES, ROOT

MOST_FILE_LINES = 350  # of code: without docstrings, comments and blank lines
MOST_FUNCTION_LINES = 40
MOST_EXCHANGE_LINES = 20
MOST_TESTING_LINES = 1220  # the whole site for users; with all that our tests need it had 1655
MOST_EXCHANGE_ATTRIBUTES = 15


def test_pictures_match_the_code() -> None:
    """``python -m tests.architecture`` draws them again."""
    text = DOCUMENT.read_text("utf-8")
    assert drawn(text) == text


def test_no_two_rows_have_the_same_step_and_refusal() -> None:
    assert len(REACTIONS) == sum(len(steps) for steps, _, _ in TABLE)


def test_table_uses_every_reaction() -> None:
    """A reaction without a row would be dead code."""
    assert {reaction for reactions in REACTIONS.values() for reaction in reactions} == set(Reaction)
    assert {step for step, _ in REACTIONS} == set(Step)
    assert {refusal for _, refusal in REACTIONS} <= set(Refusal)


def code_lines(source: str) -> int:
    """Return the number of lines that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in (
            tokenize.COMMENT,
            tokenize.NL,
            tokenize.NEWLINE,
            tokenize.INDENT,
            tokenize.DEDENT,
            tokenize.ENDMARKER,
        ):
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


@pytest.mark.parametrize("module", MODULES)
def test_files_and_functions_are_short(module: str) -> None:
    source = (ROOT / f"{module}.py").read_text("utf-8")
    assert code_lines(source) <= MOST_FILE_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            start = node.body[1] if ast.get_docstring(node) is not None and node.body[1:] else node.body[0]
            size = (node.end_lineno or start.lineno) - start.lineno + 1
            most = MOST_EXCHANGE_LINES if module == "protocol/calls/exchange" else MOST_FUNCTION_LINES
            assert size <= most, f"{node.name} has {size} lines"


_ONLY_IN_TESTS = re.compile(
    r"(?<![\d.])[1-9]\.\d+\.\d+(?![\d.])"  # the number of a release, but not the address 127.0.0.1
    r"|\b([Oo]lder|[Oo]ld|[Ee]arlier|[Ff]ormer) (release|version)"
    r"|\bdiscussions/|\bsimple[A-Z]\w+|\blistChatbots\b|\bmoderationCheck\b",
)
TESTING = [module for module in MODULES if module.startswith("testing/")]


def test_site_for_users_holds_what_only_our_tests_need() -> None:
    """The emulation of older releases, stored conversations and the public API is in ``tests/site/``."""
    assert sum(code_lines((ROOT / f"{module}.py").read_text("utf-8")) for module in TESTING) <= MOST_TESTING_LINES
    for module in TESTING:
        source = (ROOT / f"{module}.py").read_text("utf-8")
        found = _ONLY_IN_TESTS.search(source)
        assert found is None, f"{module}: {found[0]}"


def test_option_of_serve_site_is_missing_in_the_guide() -> None:
    guide = (DOCUMENT.parent / "guides" / "testing.rst").read_text("utf-8")
    options = [name for name, option in signature(serve_site).parameters.items() if option.kind is option.KEYWORD_ONLY]
    assert [name for name in options if f"{name}=" not in guide] == []


def test_exchange_has_few_attributes() -> None:
    """A reader has to keep each attribute in mind."""
    exchange = Turn("https://example.org", Submission("Hi"))._question
    assert isinstance(exchange, Exchange)
    assert len(vars(exchange)) <= MOST_EXCHANGE_ATTRIBUTES, sorted(vars(exchange))
