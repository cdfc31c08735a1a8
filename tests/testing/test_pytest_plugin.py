"""The plugin for pytest: its fixtures in the tests of another project, which a second pytest runs.

That pytest loads the plugin from the source, so these tests do not depend on the entry points of an installation.
"""

from __future__ import annotations

import configparser
import json
from collections.abc import Callable
from importlib.metadata import entry_points
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

import chatgpt4online
from chatgpt4online.testing import serve_site

from ..support.blocks import find_blocks

pytestmark = pytest.mark.slow  # each test starts a process

ROOT = Path(chatgpt4online.__file__).parent.parent
NAME, MODULE = "chatgpt4online", "chatgpt4online.pytest_plugin"
WITHOUT_PLUGIN = ("-p", f"no:{NAME}")
WITH_PLUGIN = (*WITHOUT_PLUGIN, "-p", MODULE)

# A value of each argument of serve_site that it refuses: so the message proves that the argument reached it.
REFUSED: dict[str, Any] = {
    "answer": [],
    "bots": [],
    "max_length": 0,
    "limit_after": -1,
    "pause": -1,
    "port": -1,
    "permalinks": "ugly",
    "path": "blog",
    "language": "!",
    "users": {"ann": ""},
}

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs these lines of a test file in another process, with these options of pytest."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(code: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(test_of_user=code)
        return pytester.runpytest_subprocess(*(options or WITH_PLUGIN))

    return run


USES = """
    import asyncio

    import pytest
    from chatgpt4online import AsyncClient, Client, InvalidInput
    from chatgpt4online.testing import Site

    def ask(site):
        with Client(site.url) as client:
            return str(client.ask("Hi"))

    def test_site(ai_engine_site):
        assert isinstance(ai_engine_site, Site)
        assert ask(ai_engine_site) == "You said: Hi"
        assert ai_engine_site.requests[-1].json["newMessage"] == "Hi"

    def test_another_test_has_another_site(ai_engine_site):
        assert ai_engine_site.requests == []

    def test_event_loop(ai_engine_site):
        async def ask():
            async with AsyncClient(ai_engine_site.url) as client:
                return str(await client.ask("Hi"))

        assert asyncio.run(ask()) == "You said: Hi"

    def test_several_sites(ai_engine_site, ai_engine_sites):
        sites = [ai_engine_site, ai_engine_sites("One"), ai_engine_sites(answer="Two", path="/blog")]
        assert [ask(site) for site in sites] == ["You said: Hi", "One", "Two"]
        assert sites[2].url.endswith("/blog")

    def test_site_of_a_with_block(ai_engine_sites):
        with ai_engine_sites("One") as site:
            assert ask(site) == "One"
        assert "closed" in repr(site)

    def test_nonce_in_pages(ai_engine_sites):
        site = ai_engine_sites(session_closed=True)
        assert ask(site) == "You said: Hi"
        assert any(request.method == "GET" for request in site.requests)

    @pytest.mark.parametrize(("name", "value"), REFUSED.items())
    def test_argument(ai_engine_sites, name, value):
        with pytest.raises(InvalidInput, match=f"^{name} must "):
            ai_engine_sites(**{name: value})

    def test_argument_by_position(ai_engine_sites):
        with pytest.raises(TypeError):
            ai_engine_sites("One", ["default"])
"""
USES = f"    REFUSED = {REFUSED!r}\n{USES}"
MANY = USES.count("def test_") - 1 + len(REFUSED)


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_fixtures_give_running_sites(run: Run, options: tuple[str, ...]) -> None:
    run(USES, *WITH_PLUGIN, *options).assert_outcomes(passed=MANY)


def test_every_argument_of_serve_site_is_in_the_table() -> None:
    by_effect = {"session_closed"}  # every value is accepted
    assert set(signature(serve_site).parameters) == {*REFUSED, *by_effect}


def test_tests_of_the_guide_fail(run: Run) -> None:
    """Those without fixtures, too."""
    blocks = find_blocks((ROOT / "docs" / "guides" / "testing.rst").read_text("utf-8"))
    code = "\n".join(block.code for block in blocks if block.language == "python" and block.runs)
    assert "ai_engine_site.url" in code
    assert 'scope="session"' in code
    run(code).assert_outcomes(passed=code.count("def test_"))


CLOSES = """
    import pytest
    from chatgpt4online import ChatError, Client

    seen = []

    def test_passes(ai_engine_site, ai_engine_sites):
        seen.extend([ai_engine_site, ai_engine_sites()])

    def test_fails(ai_engine_site, ai_engine_sites):
        seen.extend([ai_engine_site, ai_engine_sites()])
        assert not seen

    def test_skips(ai_engine_sites):
        seen.append(ai_engine_sites())
        pytest.skip()

    def test_wrong_argument(ai_engine_sites):
        seen.append(ai_engine_sites())
        ai_engine_sites(port=-1)

    def test_script_raises(ai_engine_sites):
        def script(chat):
            raise RuntimeError(f"a fault of the script of {chat.message}")

        for message in ("first", "second"):
            site = ai_engine_sites(script)
            seen.append(site)
            with Client(site.url) as client, pytest.raises(ChatError):
                client.ask(message)

    def test_all_are_closed():
        assert len(seen) == 8
        assert [site for site in seen if "closed" not in repr(site)] == []
"""


def test_sites_are_closed_after_every_outcome(run: Run) -> None:
    done = run(CLOSES)
    done.assert_outcomes(passed=3, failed=2, skipped=1, errors=1)
    done.stdout.fnmatch_lines(["*ERROR at teardown of test_script_raises*", "E  *a fault of the script of second"])


LOADED = """
    import json
    import sys
    from pathlib import Path

    Path("loaded.json").write_text(json.dumps(sorted(sys.modules)))

    def test_nothing():
        pass
"""


def test_plugin_loads_nothing_else(run: Run, pytester: pytest.Pytester) -> None:
    """Lines that run before pytest-cov begins are missing in what it measures."""
    loaded = {}
    for options in (WITHOUT_PLUGIN, WITH_PLUGIN):
        run(LOADED, *options).assert_outcomes(passed=1)
        loaded[options] = set(json.loads((pytester.path / "loaded.json").read_text("utf-8")))
    assert loaded[WITH_PLUGIN] - loaded[WITHOUT_PLUGIN] == {"chatgpt4online", MODULE}


def test_pytest_lists_the_fixtures_with_their_first_sentences(run: Run) -> None:
    listed = run("", *WITH_PLUGIN, "--fixtures").stdout
    listed.fnmatch_lines(
        [
            f"*fixtures defined from {MODULE}*",
            "ai_engine_sites -- *",
            "    Return a function that starts an AI Engine site on loopback, *",
            "ai_engine_site -- *",
            "    Return a running AI Engine site on loopback, *",
        ]
    )


def test_setup_declares_the_entry_point() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    assert setup["options.entry_points"]["pytest11"].strip() == f"{NAME} = {MODULE}"


def test_installed_plugin_is_in_the_header_and_can_be_switched_off(pytester: pytest.Pytester) -> None:
    if not entry_points(group="pytest11", name=NAME):
        pytest.skip("this installation is older than the entry point: pip install --editable . again")
    pytester.makepyfile(test_of_user="def test_site(ai_engine_site): assert ai_engine_site.url")
    done = pytester.runpytest_subprocess()
    done.assert_outcomes(passed=1)
    done.stdout.re_match_lines([rf"plugins:.* {NAME}-\d+\.\d+\.\d+"])
    pytester.runpytest_subprocess(*WITHOUT_PLUGIN).assert_outcomes(errors=1)


def test_own_tests_run_without_the_plugin(pytestconfig: pytest.Config) -> None:
    """They measure the coverage of the package itself."""
    assert pytestconfig.pluginmanager.is_blocked(NAME)
    assert not pytestconfig.pluginmanager.has_plugin(NAME)
