"""The live suite passes against the site on loopback, and is not collected without a site."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from chatgpt4online.protocol.parsing.events import Notice
from chatgpt4online.testing import Answer, Chat

from ..site import serve_site

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:cov", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)


@pytest.mark.parametrize("version", ["2.4.3", "2.8.9", "3.6.2"])
def test_live_suite_passes_with_every_version(version: str) -> None:
    """A site receives no more questions than the suite announces."""

    def answer(chat: Chat) -> Answer:
        notices = [] if version == "2.4.3" else [Notice("status", "Generating response...")]
        return Answer([*notices, "Hello ", chat.bot_id])

    with serve_site(answer, version=version, bots=["support"]) as site:
        done = run("tests/live", "--site", site.url, "--bot", "support", "-rs")
        paths = [request.path for request in site.requests]
        asked = [request.json for request in site.requests if request.path.endswith("/submit")]
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout, done.stdout
    announced = re.search(r"sends (\d+) short questions and at most (\d+) other requests", done.stdout)
    assert announced is not None, done.stdout
    assert f"asks the bot 'support' of {site.url}" in done.stdout
    refused = 2  # the empty message, and the question whose nonce is unknown
    assert len(asked) - refused == int(announced[1])
    assert len(paths) - int(announced[1]) <= int(announced[2])
    assert {question["botId"] for question in asked} == {"support"}
    assert all(len(question["newMessage"]) < 50 for question in asked)


def test_live_suite_fails_for_a_bot_without_an_answer() -> None:
    with serve_site(Answer((), reply="")) as site:
        done = run("tests/live", "--site", site.url, "-k", "streamed_answer or without_streaming")
    assert done.returncode == 1
    assert "the bot sent no text" in done.stdout


def test_live_suite_is_not_collected_without_a_site() -> None:
    done = run("--collect-only", "-q")
    assert done.returncode == 0, done.stdout
    assert "live/" not in done.stdout
    done = run("tests/live")
    assert (done.returncode, "no tests ran" in done.stdout) == (5, True), done.stdout
    assert "nothing is sent without --site URL" in done.stdout
