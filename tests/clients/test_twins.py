"""``aio/`` and ``sync/`` are written by hand, and these tests hold them equal.

A table of names turns the tokens of ``aio/`` into those of ``sync/``.
"""

from __future__ import annotations

import ast
import difflib
import io
import tokenize
from pathlib import Path

import pytest

import chatgpt4online

ROOT = Path(chatgpt4online.__file__).parent
FILES = ("client", "conversation", "discussions", "api")

# Names in aio/, and their counterparts in sync/.
NAMES = {
    "AsyncClient": "Client",
    "AsyncConversation": "Conversation",
    "AsyncStream": "Stream",
    "AsyncApi": "Api",
    "AsyncDiscussions": "Discussions",
    "AsyncIterator": "Iterator",
    "StopAsyncIteration": "StopIteration",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "Pool": "RequestsSession",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "aclose": "close",
    "aask": "ask",
    "astream": "stream",
}
COMPARED = (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING)
LEFT_OUT = {"async", "await"}

# Functions that differ on purpose, with the reason.
DIFFERENT = {
    "client.Client.__init__": "the transports take different values",
    "client.stream": "an async stream has to close its client itself, since nothing is awaited when it is dropped",
}

# The functions that drive an exchange, in their order in both files.
DRIVERS = ("_complete", "_advance", "_step", "_find_nonce", "_lead", "_follow", "_ask", "_continue")
MOST_DRIVER_LINES = 80


def functions(path: Path) -> dict[str, list[str]]:
    """Return the tokens of each function of a file by its name, without docstrings and comments."""
    source = path.read_text("utf-8")
    found: dict[str, list[str]] = {}

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                walk(child, f"{prefix}{NAMES.get(child.name, child.name)}.")
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                found[prefix + NAMES.get(child.name, child.name)] = tokens(child)

    walk(ast.parse(source), f"{path.stem}.")
    return found


def tokens(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the tokens of a function, in the names of sync/; how lines are wrapped does not count."""
    if ast.get_docstring(function) is not None:
        function.body = function.body[1:] or [ast.Pass()]
    words = []
    for token in tokenize.generate_tokens(io.StringIO(ast.unparse(function)).readline):
        if (
            token.type in (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING)
            and token.string not in LEFT_OUT
        ):
            text = token.string
            for theirs, ours in NAMES.items() if token.type == tokenize.STRING else ():
                text = text.replace(theirs, ours)
            words.append(NAMES.get(text, text))
    return words


@pytest.mark.parametrize("name", FILES)
def test_aio_and_sync_have_the_same_functions_in_the_same_order(name: str) -> None:
    ours, theirs = (list(functions(ROOT / side / f"{name}.py")) for side in ("sync", "aio"))
    assert theirs == ours


@pytest.mark.parametrize("name", FILES)
def test_aio_and_sync_functions_are_equal(name: str) -> None:
    ours, theirs = (functions(ROOT / side / f"{name}.py") for side in ("sync", "aio"))
    for function, words in ours.items():
        if function in DIFFERENT:
            assert theirs[function] != words, f"{function} does not differ any more: take it out of DIFFERENT"
        else:
            difference = "\n".join(difflib.unified_diff(words, theirs[function], "sync", "aio", lineterm="", n=3))
            assert not difference, f"{function} differs:\n{difference}"


def test_differences_name_existing_functions() -> None:
    names = {name for file in FILES for name in functions(ROOT / "sync" / f"{file}.py")}
    assert set(DIFFERENT) <= names


def drivers(side: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions of a stream that drive its exchange, in their order."""
    tree = ast.parse((ROOT / side / "stream.py").read_text("utf-8"))
    (stream,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.endswith("Stream"))
    return [
        node
        for node in stream.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in DRIVERS
    ]


@pytest.mark.parametrize("side", ["sync", "aio"])
class TestDrivers:
    """The functions that drive an exchange."""

    def test_drivers_have_the_same_names_in_the_same_order(self, side: str) -> None:
        assert tuple(function.name for function in drivers(side)) == DRIVERS

    def test_drivers_are_short(self, side: str) -> None:
        lines = 0
        for function in drivers(side):
            if ast.get_docstring(function) is not None:
                function.body = function.body[1:]
            lines += len(ast.unparse(function).splitlines())
        assert lines <= MOST_DRIVER_LINES

    def test_drivers_have_no_condition_about_chats(self, side: str) -> None:
        """No condition tests a status, a nonce or a kind of event."""
        for function in drivers(side):
            for node in ast.walk(function):
                if isinstance(node, ast.If | ast.While | ast.IfExp):
                    condition = ast.unparse(node.test)
                    words = ("status", "nonce", "Done", "Failed", "Text", "Notice", "isinstance", "headers")
                    assert not any(word in condition for word in words), f"{function.name}: {condition}"
