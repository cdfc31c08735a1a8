"""The examples run as they are documented, against the site on loopback."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from chatgpt4online.testing import Answer

from ..site import serve_site

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
PRACTICE_SITE = "practice_site.py"  # a site, which the other examples ask
WEB_APP = "fastapi_app.py"
SCRIPTS = sorted(path for path in EXAMPLES.glob("*.py") if path.name not in (PRACTICE_SITE, WEB_APP))
NEEDS = {
    "aiohttp_turn.py": ["aiohttp"],
    "http_client_turn.py": [],
    "httpx_turn.py": ["httpx"],
    "trio_turn.py": ["trio"],
}
CLIENTS = {"Client", "AsyncClient", "ask", "stream", "aask", "astream", "Chatgpt4Online"}


def run(script: str, *arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    for package in NEEDS.get(script, []):
        pytest.importorskip(package, reason=f"{package} is in the dependency group examples")
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES.parent), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    return subprocess.run(command, input=data, capture_output=True, env=environment, timeout=60, check=False)


def test_every_example_is_tested() -> None:
    """test_documentation runs the practice site, and test_fastapi_app the web back end."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*NEEDS, "pipe.py", PRACTICE_SITE, WEB_APP}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_example_is_short_and_uses_no_client(script: Path) -> None:
    """Each example is under 40 lines long and has its own I/O."""
    source = script.read_text("utf-8")
    assert len(source.splitlines()) < 40
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("chatgpt4online") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chatgpt4online"):
            assert node.module == "chatgpt4online"
            assert not CLIENTS & {alias.name for alias in node.names}


@pytest.mark.parametrize("script", NEEDS)
class TestTurns:
    """The examples that drive a turn."""

    def test_example_prints_the_answer(self, script: str) -> None:
        """The server sees start_session before the question."""
        with serve_site(["Grüße ", "an ", "alle: ", "日本 🎉"]) as site:
            done = run(script, site.url, "Hello there")
            routes = [request.path.rpartition("/")[2] for request in site.requests]
            assert site.requests[-1].json["newMessage"] == "Hello there"
        assert (done.stdout.decode(), done.returncode) == (f"Grüße an alle: 日本 🎉{os.linesep}", 0), done.stderr
        assert routes == ["start_session", "submit"]

    def test_example_sends_every_request_of_the_turn(self, script: str) -> None:
        """The nonce of this release is only in its page."""
        with serve_site(version="2.4.3") as site:
            done = run(script, site.url, "Hi")
        assert done.stdout.decode().strip() == "You said: Hi", done.stderr

    def test_example_fails_and_shows_the_partial_answer(self, script: str) -> None:
        with serve_site(Answer(["Half ", "of"], ending="fatal")) as site:
            done = run(script, site.url, "Hi")
        assert done.stdout.decode().strip() == "Half of"
        assert (done.returncode, b"before its end" in done.stderr) == (1, True), done.stderr


def answer_of(question: dict[str, Any], answer: Any) -> bytes:
    """Return the bytes of the site's answer to a question, as curl writes them."""
    with serve_site(answer) as site:

        def post(path: str, body: bytes, **headers: str) -> bytes:
            more = {"Content-Type": "application/json"} | {name.replace("_", "-"): headers[name] for name in headers}
            request = urllib.request.Request(f"{site.url}/wp-json{path}", body, more)
            with urllib.request.urlopen(request) as response:
                return bytes(response.read())

        nonce = json.loads(post("/mwai/v1/start_session", b""))["restNonce"]
        return post("/mwai-ui/v1/chats/submit", json.dumps(question).encode(), X_WP_Nonce=nonce)


QUESTION = {"botId": "default", "chatId": "k3v9x0q2pfa", "messages": [], "newMessage": "Hi", "stream": True}


def test_pipe_prints_the_answer_on_stdin() -> None:
    done = run("pipe.py", data=answer_of(QUESTION, ["Through ", "the ", "pipe"]))
    assert (done.stdout.decode(), done.returncode) == (f"Through the pipe{os.linesep}", 0), done.stderr


def test_pipe_fails_for_an_answer_without_end() -> None:
    """An empty answer fails too."""
    whole = answer_of(QUESTION, ["Through ", "the ", "pipe"])
    done = run("pipe.py", data=whole[: whole.index(b'{"type":"end"')])
    assert done.stdout.decode() == "Through the pipe"
    assert (done.returncode, b"before its end" in done.stderr) == (1, True)
    assert run("pipe.py", data=b"").returncode == 1


def test_pipe_prints_a_piece_before_the_next_is_sent() -> None:
    command = [sys.executable, "-u", str(EXAMPLES / "pipe.py")]
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES.parent)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for word in (b"one", b"two"):
            process.stdin.write(b'data: {"type":"live","data":"%s"}\n\n' % word)
            process.stdin.flush()
            assert process.stdout.read(3) == word
        process.stdin.write(b'data: {"type":"end","data":"{\\"success\\":true,\\"reply\\":\\"onetwo\\"}"}\n\n')
        process.stdin.close()
        assert process.wait(30) == 0
