"""The programs in ``typed/`` run: ``right`` works, and each wrong call of ``wrong`` raises. ``make types`` checks them.

The last tests run the type checkers on changed copies, to show that these find what they are there for.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatgpt4online import (
    AsyncClient,
    Client,
    ClientOptions,
    InvalidInput,
    RateLimited,
    StatusError,
    TimedOut,
)
from chatgpt4online.options import NoOptions

from ..site import serve_site
from .typed import right, wrong

FOLDER = Path(__file__).parent / "typed"
ROOT = FOLDER.parent.parent.parent
CALLS = [
    function
    for name, function in inspect.getmembers(wrong, inspect.isfunction)
    if function.__module__ == wrong.__name__ and not name.startswith("_") and not inspect.signature(function).parameters
]


def run(function: Callable[..., Any], *arguments: Any) -> Any:
    result = function(*arguments)
    return asyncio.run(result) if inspect.iscoroutine(result) else result


@pytest.mark.parametrize(
    "call",
    [right.sync_calls, right.async_calls, right.sync_derived, right.async_derived, right.core],
    ids=lambda call: call.__name__,
)
def test_program_that_type_checkers_accept_does_not_run(call: Callable[..., Any]) -> None:
    with serve_site(bots=["default", "support"], users=dict([right.ANN])) as site:
        run(call, site.url)


@pytest.mark.parametrize("call", [right.sync_conversation, right.async_conversation], ids=lambda call: call.__name__)
def test_conversation_that_type_checkers_accept_does_not_run(call: Callable[..., Any], tmp_path: Path) -> None:
    with serve_site() as site:
        run(call, site.url, tmp_path / "talk.json")


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_api_that_type_checkers_accept_does_not_run(client_class: Any) -> None:
    def answer(chat: Any) -> Any:
        return {"simpleJsonQuery": "{}", "moderationCheck": "false"}.get(chat.route, "Hi")

    with serve_site(answer, users=dict([right.ANN]), discussions=True, token="t") as site:
        if client_class is Client:
            with Client(site.url, auth=right.ANN) as client:
                right.sync_api(client)
        else:
            asyncio.run(use_api(site.url))


async def use_api(site: str) -> None:
    async with AsyncClient(site, auth=right.ANN) as client:
        await right.async_api(client)


def test_other_functions_that_type_checkers_accept_do_not_run() -> None:
    assert right.practice().requests
    assert right.errors(RateLimited(429, retry_after=7.0)) == 7
    assert right.errors(StatusError(403)) == 403
    assert right.errors(TimedOut("idle", 1)) is None
    pieces, generator = right.provider()
    pieces.close()
    asyncio.run(generator.aclose())


def test_an_option_is_missing_in_the_type_of_the_options() -> None:
    """Or a value that this type allows is refused."""
    for client_class in (Client, AsyncClient):
        parameters = inspect.signature(client_class).parameters
        keywords = {name for name, option in parameters.items() if option.kind is option.KEYWORD_ONLY}
        assert keywords == {*ClientOptions.__annotations__, "http"}
    assert right.all_options().keys() == ClientOptions.__annotations__.keys()
    client, other = right.make_clients("https://example.org", **right.all_options())
    assert client._operations.options() == other._operations.options()
    assert not NoOptions.__annotations__


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_call_that_type_checkers_report_is_accepted_at_run_time(call: Callable[[], Any]) -> None:
    with pytest.raises((TypeError, InvalidInput)):
        run(call)


def test_wrong_calls_are_not_found() -> None:
    assert len(CALLS) > 20


# Each changes the package so that a call is right or wrong for both checkers.
CHANGES = {
    "options are Any": ("sync/client.py", r"\*\*options: Unpack\[ClientOptions\]", "**options: Any", "wrong.py"),
    "an option is missing": ("options.py", r"    retries: int\n", "", "right.py"),
    "an option has another type": ("options.py", r"    retries: int\n", "    retries: str\n", "right.py"),
    "a kind of event is new": (
        "protocol/parsing/events.py",
        r"(Event: TypeAlias = .*)",
        r"\1 | Usage",
        "right.py",
    ),
    "a result is Any": ("sync/api.py", r"(def moderate.*) -> bool \| None:", r"\1 -> Any:", "right.py"),
}


def checked(checker: str, root: Path) -> str:
    """Return the output of a type checker for the folder ``typed`` in a copy of the project."""
    folder = root / "tests" / "package" / "typed"
    command = {
        "mypy": ["-m", "mypy", "--config-file=", "--strict", "--cache-dir", str(root / "cache"), str(folder)],
        "pyright": ["-m", "pyright", "--pythonpath", sys.executable, "--project", str(folder)],
    }[checker]
    environment = os.environ | {"MYPYPATH": str(root)}  # before this project, which may be installed
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        cwd=root,
        timeout=300,
        check=False,
        env=environment,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout if done.returncode else ""


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_type_checker_does_not_report_a_changed_type(checker: str, change: str, tmp_path: Path) -> None:
    pytest.importorskip(checker, reason=f"{checker} is in the dependency group lint")
    for folder in ("chatgpt4online", "tests/package/typed"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    path, old, new, reported = CHANGES[change]
    source = (tmp_path / "chatgpt4online" / path).read_text("utf-8")
    changed = re.sub(old, new, source)
    assert changed != source
    assert checked(checker, tmp_path) == ""
    (tmp_path / "chatgpt4online" / path).write_text(changed, "utf-8")
    assert reported in checked(checker, tmp_path)
