"""curl with the gateway: the lines that the guide shows, as commands of a shell."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from chatgpt4online import ServerError
from chatgpt4online.testing import Answer

from ..site import serve_site
from ..support.clients import ROOT, Watched, environment, questions
from ..support.gateway import KEY, SECONDS, Served, serve_gateway
from ..support.server import LAST_CHUNK, Gate, Peer, Received, Server, chunk, end, live, site, stream_head

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

BODY = '{"model": "default", "messages": [{"role": "user", "content": "Hello"}]}'
STREAM = BODY.replace('"model"', '"stream": true, "model"')
WHOLE_LINE = f"curl $OPENAI_BASE_URL/chat/completions --json '{BODY}'"
STREAM_LINE = f"curl -N $OPENAI_BASE_URL/chat/completions --json '{STREAM}'"
KEY_OPTION = ' -H "Authorization: Bearer $OPENAI_API_KEY"'
FAIL = " --silent --show-error --fail-with-body"


def start(line: str, gateway: Served) -> subprocess.Popen[bytes]:
    """Start a command in a shell, which becomes curl."""
    variables = environment(gateway, OPENAI_API_KEY=KEY)
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(["sh", "-c", f"exec {line}"], env=variables, **pipes)


def run(line: str, gateway: Served) -> tuple[int, bytes, str]:
    """Run a command, and return its exit status, its output and its errors."""
    with start(line, gateway) as process:
        output, errors = process.communicate(timeout=SECONDS)
        return process.returncode, output, errors.decode()


def test_answer_is_not_printed() -> None:
    with serve_site(["Hel", "lo"]) as site, serve_gateway(site.url) as gateway:
        status, output, errors = run(WHOLE_LINE, gateway)
    assert status == 0, errors
    assert json.loads(output)["choices"][0]["message"]["content"] == "Hello"


def test_answer_is_printed_only_at_its_end() -> None:
    gate = Gate()

    def chat(peer: Peer, _: Received) -> None:
        peer.send(stream_head(), chunk(live("Hel")))
        gate.wait()
        peer.send(chunk(live("lo"), end("Hello")) + LAST_CHUNK)

    with Server(site(chat)) as server, serve_gateway(server.url) as gateway:
        with start(STREAM_LINE, gateway) as process:
            assert process.stdout is not None
            events = [process.stdout.readline() for _ in range(4)][::2]  # an empty line follows each
            gate.open()
            rest = process.stdout.read().decode().split("\n\n")
            assert process.wait(SECONDS) == 0
    pieces = [json.loads(event.removeprefix(b"data: "))["choices"][0]["delta"].get("content") for event in events]
    assert pieces == ["", "Hel"]
    assert json.loads(rest[0].removeprefix("data: "))["choices"][0]["delta"] == {"content": "lo"}
    assert rest[-2:] == ["data: [DONE]", ""]


def test_line_of_the_guide_does_not_work() -> None:
    """Only the address is another one."""
    guide = (ROOT / "docs" / "guides" / "gateway.rst").read_text("utf-8")
    found = re.findall(r"^    (curl .*\\\n(?:.*\\\n)*.*)$", guide, re.MULTILINE)
    assert found
    with serve_site(["Hel", "lo"]) as site, serve_gateway(site.url) as gateway:
        for line in found:
            assert "http://127.0.0.1:8000" in line
            status, output, errors = run(line.replace("http://127.0.0.1:8000", gateway.url), gateway)
            assert status == 0, errors
            assert output.endswith(b"data: [DONE]\n\n")


def test_models_are_not_printed() -> None:
    with serve_site() as site, serve_gateway(site.url, api_keys=[KEY]) as gateway:
        status, output, errors = run(f"curl $OPENAI_BASE_URL/models{KEY_OPTION}", gateway)
    assert status == 0, errors
    assert [model["id"] for model in json.loads(output)["data"]] == ["default"]


REFUSALS = {
    "429": (Answer("Slow", status=429, headers={"Retry-After": "7"}), 429, "rate_limit_exceeded"),
    "limit": (Answer(ServerError("You have reached the limit.")), 429, "rate_limit_exceeded"),
    "error": (Answer(ServerError("Down")), 502, "server_error"),
}


@pytest.mark.parametrize("line", [WHOLE_LINE, STREAM_LINE], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", REFUSALS)
def test_refusal_has_no_exit_status(name: str, line: str) -> None:
    answer, status, code = REFUSALS[name]
    with serve_site(answer) as site, serve_gateway(site.url) as gateway:
        exit_status, output, errors = run(line + FAIL, gateway)
    assert exit_status == 22
    assert json.loads(output)["error"]["code"] == code
    assert f"error: {status}" in errors


@pytest.mark.parametrize(("option", "exit_status"), [("", 22), (KEY_OPTION, 0)], ids=["without", "with"])
def test_key_is_not_needed(option: str, exit_status: int) -> None:
    with serve_site("Hello") as site, serve_gateway(site.url, api_keys=[KEY]) as gateway:
        found, output, errors = run(WHOLE_LINE + option + FAIL, gateway)
    assert found == exit_status
    if found:
        assert json.loads(output)["error"]["code"] == "invalid_api_key"
        assert "error: 401" in errors


def test_retry_ignores_the_time_to_wait() -> None:
    """curl honours Retry-After, and repeats a request that met 429."""
    answers = iter([Answer("Slow", status=429, headers={"Retry-After": "1"}), Answer("Hello")])
    with serve_site(lambda _: next(answers)) as site, serve_gateway(site.url) as gateway:
        status, output, errors = run(f"{WHOLE_LINE} --retry 1 --silent --show-error", gateway)
        assert len(questions(site)) == 2
    assert status == 0, errors
    assert b'"content":"Hello"' in output


@pytest.mark.parametrize("pieces", [(), (stream_head(), chunk(live("Half")))], ids=["before the head", "in the middle"])
@pytest.mark.parametrize("line", [WHOLE_LINE, STREAM_LINE], ids=["whole", "streamed"])
def test_killed_curl_leaves_the_connection_open(line: str, pieces: tuple[bytes, ...]) -> None:
    chat = Watched(*pieces)
    with Server(site(chat)) as server, serve_gateway(server.url) as gateway:
        with start(line, gateway) as process:
            assert chat.asked.wait(SECONDS)
            process.kill()
        assert chat.is_closed()
