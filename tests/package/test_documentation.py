"""The code blocks of README.rst and of docs/ run against sites on loopback, and every public name is documented.

The Python blocks of a page run in their order, in one namespace, against one site. ``https://example.org`` in a block
is the address of that site. The output of a block is compared if the page says "It prints::" below it. A block that
the reader saves as a file is written to that file, and runs only if it is Python. A test function of a block is called
if it has no parameters. Console blocks run too: a line that begins with ``$`` is a command, and the other lines are its
output. The command ``export NAME=VALUE`` sets a variable for the rest of the page. A block that cannot run on loopback
has the comment ``.. not run: REASON`` above it.
"""

from __future__ import annotations

import logging
import os
import re
import runpy
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from inspect import signature
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import docutils.core
import docutils.utils
import pytest

import chatgpt4online
from chatgpt4online import ConnectionFailed, TimedOut, Truncated, gateway, protocol, testing
from chatgpt4online.testing import Answer, Chat, Site

from ..site import Post, serve_site
from ..support.blocks import Block, find_blocks
from ..support.embedders import documented_loop

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
# Pages that the build writes. The tests of the command line run the examples of the first one.
GENERATED = {DOCS / "reference" / "commands.rst", DOCS / "reference" / "parameters.rst"}
PAGES = [ROOT / "README.rst", *sorted({*DOCS.rglob("*.rst")} - GENERATED)]
LONGEST_LINE = 120
LONGEST_CODE_LINE = 88
ONE_LINE = "    python3 -m venv "  # the README's two commands; .ci/run reads one of them
MOST_THAT_DO_NOT_RUN = 9

_ENTRY = re.compile(r"^\.\. (?:auto\w+|py:\w+):: ([\w.]+)", re.MULTILINE)

# The readers of the pages run this site, so its answers, bots and users are those of the tests.
PRACTICE_SITE = ROOT / "examples" / "practice_site.py"
PRACTICE: dict[str, Any] = runpy.run_path(str(PRACTICE_SITE))
POSTS = [
    Post(12, "Cats & dogs", "How to keep cats and dogs together."),
    Post(9, "Cats", "All about cats."),
]


def answer(chat: Chat) -> Any:
    """Answer as the site of the documentation."""
    if chat.route == "simpleJsonQuery":
        return '{"colours": ["red", "green"]}'
    if chat.route == "moderationCheck":
        return "false"
    if chat.route.startswith("simpleImage"):
        return Answer("", images=["https://example.org/fox.png"])
    return PRACTICE["answer"](chat)


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """Set the level of the log back, which a page changes."""
    log = logging.getLogger("chatgpt4online")
    level = log.level
    yield
    log.setLevel(level)


def serve_documented_site() -> Site:
    """Return the practice site, with discussions, the public API and posts to search in addition."""
    token = "the-token-of-the-site"
    practice: dict[str, Any] = {"bots": PRACTICE["BOTS"], "users": PRACTICE["USERS"]}
    return serve_site(answer, **practice, discussions=True, token=token, posts=POSTS)


def run_page(page: Path, blocks: list[Block], site: str, folder: Path) -> dict[str, Any]:
    """Run the blocks of a page in their order, and return their names.

    Raises what they raise, and AssertionError for another output.
    """
    namespace: dict[str, Any] = {"__name__": "documentation"}
    with patch.dict(os.environ):
        run_blocks(page, blocks, site, folder, namespace)
    return namespace


def run_blocks(page: Path, blocks: list[Block], site: str, folder: Path, namespace: dict[str, Any]) -> None:
    """Run the blocks of a page in a namespace."""
    for block in blocks:
        code = re.sub("https?://example.org", site, block.code)
        place = f"{page.relative_to(ROOT)}:{block.line}"
        if block.language == "console":
            run_console(code, site, folder, place)
            continue
        if block.file:
            (folder / block.file).write_text(code, "utf-8")
            if block.language != "python":
                continue
        printed, known = StringIO(), set(namespace)
        with redirect_stdout(printed):
            exec(compile("\n" * (block.line - 1) + code, str(page), "exec"), namespace)
            for name in namespace.keys() - known:
                if name.startswith("test_") and not signature(namespace[name]).parameters:
                    namespace[name]()
        if block.output is not None:
            assert printed.getvalue().strip("\n").replace(site, "https://example.org") == block.output, place


def run_console(code: str, site: str, folder: Path, place: str) -> None:
    """Run the commands of a console block, and compare their output where the block shows one."""
    for command, output in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", code, re.MULTILINE):
        if command.startswith("export "):
            os.environ.update(word.split("=", 1) for word in shlex.split(command)[1:])
            continue
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
        program = re.sub(r"(?:^|(?<=\| ))(chatgpt4online|python)\b", _program, command)
        done = subprocess.run(
            program,
            shell=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            timeout=60,
            check=False,
            text=True,
        )
        if output.strip():
            shown, expected = (text.replace(site, "https://example.org") for text in (done.stdout, output))
            assert shown.strip("\n") == expected.strip("\n"), place
        else:
            assert done.returncode == 0, f"{place}: {done.stdout}"


def _program(name: re.Match[str]) -> str:
    return f'"{sys.executable}"' + (" -m chatgpt4online" if name[1] == "chatgpt4online" else "")


BLOCKS = {page: list(find_blocks(page.read_text("utf-8"))) for page in PAGES}


@pytest.mark.parametrize(
    "page", [page for page, blocks in BLOCKS.items() if any(block.runs for block in blocks)], ids=lambda page: page.stem
)
def test_code_blocks_do_not_run_or_print_something_else(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with serve_documented_site() as site:
        run_page(page, [block for block in BLOCKS[page] if block.runs], site.url, tmp_path)


# Their blocks need what the practice site does not have: discussions, the public API and posts.
MORE_THAN_PRACTICE = {"export", "login", "search"}


@pytest.mark.parametrize(
    "page",
    [
        page
        for page, blocks in BLOCKS.items()
        if page.stem not in MORE_THAN_PRACTICE and any(block.runs for block in blocks)
    ],
    ids=lambda page: page.stem,
)
def test_practice_site_gives_other_answers_than_the_page(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks run against the practice site as a reader starts it."""
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, str(PRACTICE_SITE), "0"]  # any free port
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            started = re.search(r"http://[\d.:]+\d", process.stdout.readline())
            assert started is not None
            run_page(page, [block for block in BLOCKS[page] if block.runs], started[0], tmp_path)
        finally:
            process.stdin.close()  # readline() returns, as it does for Enter
        assert process.wait(30) == 0


def test_a_block_is_neither_run_nor_marked() -> None:
    places = [(page.name, block.line) for page, blocks in BLOCKS.items() for block in blocks]
    assert len(places) > 50
    unknown = [
        (page.name, block.line)
        for page, blocks in BLOCKS.items()
        for block in blocks
        if block.runs and not block.file and block.language not in ("python", "console")
    ]
    assert unknown == []


def test_many_blocks_do_not_run() -> None:
    marked = [block for blocks in BLOCKS.values() for block in blocks if not block.runs]
    assert len(marked) <= MOST_THAT_DO_NOT_RUN
    assert all(len(block.reason) > 10 for block in marked)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_line_is_too_long(page: Path) -> None:
    lines = enumerate(page.read_text("utf-8").splitlines(), 1)
    too_long = [number for number, line in lines if len(line) > LONGEST_LINE and not line.startswith(ONE_LINE)]
    assert too_long == []
    code = [line for block in BLOCKS[page] for line in block.code.splitlines()]
    assert [line for line in code if len(line) > LONGEST_CODE_LINE] == []


@pytest.mark.parametrize("name", ["README.rst", "CHANGELOG.rst", "CONTRIBUTING.rst", "docs/architecture.rst"])
def test_a_document_that_is_read_without_sphinx_has_wrong_markup(name: str) -> None:
    settings = {"report_level": docutils.utils.Reporter.WARNING_LEVEL, "halt_level": 2}
    docutils.core.publish_doctree((ROOT / name).read_text("utf-8"), settings_overrides=settings)


def test_a_page_is_in_no_table_of_contents() -> None:
    """Sphinx warns too, but it is not installed everywhere."""
    listed = {
        page
        for index in DOCS.rglob("*index.rst")
        for entry in re.findall(r"^   ([\w*/-]+)$", index.read_text("utf-8"), re.MULTILINE)
        for page in index.parent.glob(f"{entry}.rst")
    }
    assert sorted({*DOCS.rglob("*.rst")} - listed - {DOCS / "index.rst"}) == []


PUBLIC = sorted(
    {f"chatgpt4online.{name}" for name in {*chatgpt4online.__all__, *protocol.__all__}}
    | {f"chatgpt4online.testing.{name}" for name in testing.__all__}
    | {f"chatgpt4online.gateway.{name}" for name in gateway.__all__}
    | {"chatgpt4online.http1.Pool"}
)


def test_a_public_name_is_missing_in_the_reference() -> None:
    text = "\n".join(page.read_text("utf-8") for page in (DOCS / "reference").glob("*.rst"))
    entries = [name if "." in name else f"chatgpt4online.{name}" for name in _ENTRY.findall(text)]
    assert sorted(name for name in entries if name in PUBLIC) == PUBLIC


def test_an_error_is_missing_in_the_guide_of_errors() -> None:
    guide = (DOCS / "guides" / "errors.rst").read_text("utf-8")
    table = re.findall(r"^   \* - :exc:`~chatgpt4online\.(\w+)`", guide, re.MULTILINE)
    errors = [
        name
        for name in chatgpt4online.__all__
        if isinstance(value := getattr(chatgpt4online, name), type) and issubclass(value, Exception)
    ]
    assert sorted(table) == sorted(errors)


class TestLoopOfTheGuideOnEmbedding:
    """The loop that embedders copy does what the clients do."""

    @pytest.fixture
    def names(self) -> dict[str, Any]:
        return documented_loop()

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"version": "2.4.3"},
            {"version": "2.8.9"},
            {"permalinks": "plain"},
            {"path": "/blog"},
            {"session_closed": True},
        ],
        ids=str,
    )
    def test_answer_is_not_found(self, names: dict[str, Any], options: dict[str, Any]) -> None:
        with serve_site("Hello", **options) as site:
            visitor = names["Visitor"](site.url)
            for _ in range(2):
                events = list(visitor.ask("Hi", "c1"))
                assert events[-1].reply.text == "Hello"
                site.expire_nonce()

    def test_cookies_are_lost_or_php_session_is_sent_back(self, names: dict[str, Any]) -> None:
        with serve_site("Hello") as site:
            list(names["Visitor"](site.url).ask("Hi", "c1"))
            first, last = site.requests
        assert "cookie" not in first.headers
        assert last.headers["cookie"].startswith("mwai_session_id=")
        assert "PHPSESSID" not in last.headers["cookie"]

    def test_refusal_is_not_tried_again(self, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        waits: list[float] = []
        monkeypatch.setattr(names["time"], "sleep", waits.append)
        answers: Iterator[Answer | str] = iter(
            [Answer("", status=503), Answer("", status=503, headers={"Retry-After": "7"}), "Hello"]
        )
        with serve_site(lambda chat: next(answers)) as site:
            events = list(names["Visitor"](site.url).ask("Hi", "c1"))
        assert (events[-1].reply.text, waits) == ("Hello", [0, 0, 0.5, 7])

    def test_failed_connection_is_not_told(self, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        waits: list[float] = []
        monkeypatch.setattr(names["time"], "sleep", waits.append)
        with pytest.raises(ConnectionFailed, match=r"refused.*\(after 3 tries\)"):
            list(names["Visitor"]("http://127.0.0.1:1").ask("Hi", "c1"))
        assert waits == [0, 0.5, 1]

    @pytest.mark.parametrize("ending", ["cut", "fatal"])
    def test_text_before_a_broken_end_is_lost(self, names: dict[str, Any], ending: Any) -> None:
        with serve_site(Answer(["Half", " of"], ending=ending)) as site:
            with pytest.raises(Truncated) as caught:
                list(names["Visitor"](site.url).ask("Hi", "c1"))
        assert caught.value.partial_text == "Half of"

    def test_slow_answer_is_asked_for_twice(self, names: dict[str, Any]) -> None:
        go_on = threading.Event()

        def script(chat: Chat) -> Iterator[str]:
            yield "Half"
            go_on.wait(30)

        names["LIMITS"]["idle"] = 1.0  # enough for what is sent at once, also on a busy machine
        with serve_site(script) as site:
            with pytest.raises(TimedOut) as caught:
                list(names["Visitor"](site.url).ask("Hi", "c1"))
            go_on.set()
            assert len(site.requests) == 2
        assert (caught.value.clock, caught.value.partial_text) == ("idle", "Half")

    def test_failure_of_another_search_is_not_shared(self, names: dict[str, Any]) -> None:
        visitor, failure = names["Visitor"]("http://127.0.0.1:1"), ConnectionFailed("another thread found nothing")

        class AnotherSearch:
            """A lock that is given only after another thread's search has failed."""

            def __enter__(self) -> None:
                visitor.searches += 1
                visitor.failure = failure

            def __exit__(self, *_: object) -> None: ...

        visitor.searching = AnotherSearch()
        with pytest.raises(ConnectionFailed, match=r"^another thread found nothing$") as caught:
            list(visitor.ask("Hi", "c1"))
        assert caught.value is not failure

    def test_each_thread_fetches_a_nonce(self, names: dict[str, Any]) -> None:
        with serve_site("Hello") as site, ThreadPoolExecutor(8) as threads:
            visitor = names["Visitor"](site.url)
            all_events = list(threads.map(lambda number: list(visitor.ask("Hi", f"c{number}")), range(8)))
            assert [events[-1].reply.text for events in all_events] == ["Hello"] * 8
            assert sum("start_session" in request.path for request in site.requests) == 1


SAMPLE = """
.. code-block:: python

    print("a")

    print("b")

It prints::

    a

    b

Text.

.. not run: it asks
   the network

.. code-block:: console

    $ curl https://example.org

- An item:

  .. code-block:: python
     :emphasize-lines: 1

     x = 1
"""


def test_blocks_are_misread() -> None:
    assert list(find_blocks(SAMPLE)) == [
        Block(4, "python", 'print("a")\n\nprint("b")\n', "a\n\nb", ""),
        Block(21, "console", "$ curl https://example.org\n", None, "it asks the network"),
        Block(28, "python", "x = 1\n", None, ""),
    ]


@pytest.mark.parametrize(
    "page",
    [
        ".. code-block:: python\n\n    1 / 0\n",
        ".. code-block:: python\n\n    def test_a():\n        1 / 0\n",
        ".. code-block:: python\n\n    print(1)\n\nIt prints::\n\n    2\n",
        ".. code-block:: console\n\n    $ exit 3\n",
        ".. code-block:: console\n\n    $ echo a\n    b\n",
    ],
)
def test_a_wrong_block_passes(page: str, tmp_path: Path) -> None:
    with serve_documented_site() as site, pytest.raises((AssertionError, ZeroDivisionError)):
        run_page(ROOT / "README.rst", list(find_blocks(page)), site.url, tmp_path)
