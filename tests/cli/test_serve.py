"""``serve``: the gateway as a program."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest

from chatgpt4online.gateway import GatewayOptions

from ..site import serve_site
from ..support.program import examples_of, run_program, start_program

pytestmark = pytest.mark.slow

KEY = "a-long-secret-key-of-a-user"
TOKEN = {"CHATGPT4ONLINE_TOKEN": "the-token"}


@contextmanager
def serving(*arguments: str, env: dict[str, str] | None = None, host: str = "127.0.0.1") -> Iterator[tuple[Any, str]]:
    """Start the program on any port. Yield its process and the address of its API."""
    with start_program("serve", "--port", "0", *arguments, env=env) as process:
        line = process.stdout.readline().decode()
        match = re.fullmatch(r"OPENAI_BASE_URL=(http://\S+/v1)\n", line)
        assert match is not None, (line, process.stderr.read().decode())
        page = process.stdout.readline().decode()
        assert page == f"{match[1].removesuffix('v1')} is a page to try the models. Press Ctrl-C to stop.\n"
        yield process, match[1]


def ask(address: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    """Return the status and the decoded body. The program may still be starting, so the connection waits."""
    place = re.fullmatch(r"http://\[?(.+?)\]?:(\d+)/v1", address)
    assert place is not None
    connection = HTTPConnection(place[1], int(place[2]), timeout=60)
    data = None if body is None else json.dumps(body)
    sent = {"Content-Type": "application/json"} | headers
    connection.request("GET" if body is None else "POST", f"/v1{path}", data, sent)
    response = connection.getresponse()
    status, text = response.status, response.read()
    connection.close()
    return status, json.loads(text)


def chat(model: str = "default") -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hello"}]}


def models(address: str, **headers: str) -> list[str]:
    return [model["id"] for model in ask(address, "/models", **headers)[1]["data"]]


def text_of(answer: tuple[int, Any]) -> str:
    assert answer[0] == 200, answer
    return str(answer[1]["choices"][0]["message"]["content"])


def test_demo_gives_no_answer() -> None:
    with serving("--demo", "--model", "gpt-4o=default") as (process, address):
        assert text_of(ask(address, "/chat/completions", chat("gpt-4o"))) == "You said: Hello"
        process.send_signal(signal.SIGINT)
        log = process.stderr.read().decode()
        assert process.wait() == 130
    assert '"POST /v1/chat/completions HTTP/1.1" 200 OK' in log
    assert "Traceback" not in log


def test_bots_pages_and_sites_are_not_models() -> None:
    with serve_site(bots=["default", "support"]) as shop, serve_site() as blog:
        sites = ["--site", f"shop={shop.url}", "--site", f"blog={blog.url}"]
        with serving(*sites, "--page", "shop=/", "--bot", "blog/news=default") as (_, address):
            assert models(address) == ["shop/default", "shop/support", "blog/news"]
        with serving("--site", shop.url, "--bot", "a=support", "--page", "/") as (_, address):
            assert models(address) == ["a", "default", "support"]


def test_environment_names_no_site() -> None:
    with serve_site(bots=["default", "support"], token="the-token") as site:
        variables = {"CHATGPT4ONLINE_SITE": site.url}
        with serving(env=variables) as (_, address):
            assert models(address) == ["default"]
        with serving(env=variables | {"CHATGPT4ONLINE_BOT": "support"}) as (_, address):
            assert models(address) == ["support"]
        with serving(env=variables | TOKEN) as (_, address):
            assert models(address) == ["default", "support"]


def test_login_of_the_environment_is_sent_to_another_site() -> None:
    with serve_site(token="the-token") as site:
        with serving("--site", site.url, env={"CHATGPT4ONLINE_SITE": "https://example.org"} | TOKEN) as (_, address):
            ask(address, "/chat/completions", chat())
        assert site.requests
        assert not any("authorization" in request.headers for request in site.requests)


@pytest.mark.parametrize("way", ["option", "environment"])
def test_key_is_not_needed(way: str) -> None:
    env = {"CHATGPT4ONLINE_API_KEYS": f"{KEY} another-key-0123456789"} if way == "environment" else None
    options = ["--api-key", KEY] if way == "option" else []
    with serving("--demo", "--host", "0.0.0.0", *options, env=env) as (_, address):
        assert ask(address, "/models")[0] == 401
        assert models(address, Authorization=f"Bearer {KEY}") == ["default"]


def test_address_of_ipv6_is_written_without_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with serving("--demo", "--host", "::1") as (_, address):
        assert address.startswith("http://[::1]:")
        assert models(address) == ["default"]


def test_several_processes_miss_the_options() -> None:
    """They get the options by the environment. Their numbers are added."""
    with serving("--demo", "--workers", "2", "--model", "gpt-4o=default", "--api-key", KEY) as (process, address):
        key = {"Authorization": f"Bearer {KEY}"}
        for _ in range(8):
            assert text_of(ask(address, "/chat/completions", chat("gpt-4o"), **key)) == "You said: Hello"
        metrics = HTTPConnection("127.0.0.1", int(address.split(":")[2].removesuffix("/v1")), timeout=60)
        metrics.request("GET", "/metrics", headers=key)
        body = metrics.getresponse().read().decode()
        metrics.close()
        assert 'requests_total{model="default",route="/v1/chat/completions",status="200"} 8.0' in body
        process.send_signal(signal.SIGINT)
        log = process.stderr.read().decode()
        assert process.wait() in (0, 130)
    assert "Traceback" not in log


def test_refusal_of_the_site_is_not_logged() -> None:
    """The reason is in the log, since the client gets only a general text."""
    with serve_site() as site:
        url = site.url
    with serving("--site", url) as (process, address):
        status, body = ask(address, "/chat/completions", chat())
        assert (status, body["error"]["message"]) == (502, "The site cannot answer.")
        process.send_signal(signal.SIGINT)
        log = process.stderr.read().decode()
    pattern = r"\d{4}-\d\d-\d\d [\d:,]+ WARNING: +request req_\w+ to 127.0.0.1 failed: ConnectionFailed: .*127\.0\.0\.1"
    assert re.search(pattern, log), log


WRONG: dict[str, tuple[list[str], str]] = {
    "no site": ([], "no site is given: add --site ADDRESS"),
    "a site without a scheme": (["--site", "example.org"], "a site is a web address such as"),
    "two sites without names": (
        ["--site", "https://a.example", "--site", "https://b.example"],
        "several sites need a name each, as in --site shop=https://a.example",
    ),
    "a named site without a scheme": (["--site", "shop=example.org"], "'example.org' is not a URL"),
    "a site and a demo": (["--demo", "--site", "https://example.org"], "not allowed with"),
    "an open address without a key": (["--demo", "--host", "0.0.0.0"], "so clients need a key"),
    "an open name without a key": (["--demo", "--host", "example.org"], "so clients need a key"),
    "a short key": (["--demo", "--api-key", "secret"], "API key 1 has fewer than 16 characters"),
    "a bot without an id": (["--site", "https://example.org", "--bot", "support"], "--bot is written as MODEL=ID"),
    "a bot twice": (["--site", "https://example.org", "--bot", "a=b", "--bot", "a=c"], "the name 'a' is given twice"),
    "a bot of an unknown site": (
        ["--site", "shop=https://example.org", "--bot", "a=b"],
        "--bot a=b: begin the model",
    ),
    "a page of an unknown site": (["--site", "shop=https://example.org", "--page", "/"], "--page /: write the name of"),
    "a model without a target": (["--demo", "--model", "gpt-4o"], "--model is written as NAME=MODEL"),
    "a port that is a word": (["--demo", "--port", "http"], "a port is a whole number from 0 to 65535"),
    "a large port": (["--demo", "--port", "65536"], "a port is a whole number from 0 to 65535"),
    "a queue below 0": (["--demo", "--queue-length", "-1"], "a whole number from 0 is expected"),
    "no workers": (["--demo", "--workers", "0"], "a whole number above 0 is expected"),
    "an origin with a path": (["--demo", "--cors-origin", "https://example.org/"], "an origin is written as"),
    "a token for two sites": (
        ["--site", "a=https://a.example", "--site", "b=https://b.example", "--token", "x"],
        "--user, --token and --header are sent to one site",
    ),
    "a word": (["--demo", "https://example.org"], "unknown argument 'https://example.org'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_argument_is_not_explained(name: str) -> None:
    arguments, reason = WRONG[name]
    run = run_program("serve", *arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("chatgpt4online: ")
    assert (reason in run.stderr, run.stderr.count("\n")) == (True, 1), run.stderr


def test_port_in_use_is_not_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        run = run_program("serve", "--demo", "--port", str(port))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == f"chatgpt4online: the port {port} is in use; choose another one with --port\n"


def test_address_of_another_machine_is_not_explained() -> None:
    run = run_program("serve", "--demo", "--host", "192.0.2.1", "--api-key", KEY)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("chatgpt4online: 192.0.2.1 port 8000 is not available: ")


def test_queue_cannot_be_turned_off() -> None:
    with serving("--demo", "--queue-length", "0") as (_, address):
        assert ask(address, "/chat/completions", chat())[0] == 200


def test_help_shows_other_limits() -> None:
    text = " ".join(run_program("serve", "--help").stdout.split())
    fields = GatewayOptions.__dataclass_fields__
    for name in ("concurrency", "queue_length", "queue_seconds", "max_body", "max_messages", "max_sessions"):
        assert f"(default: {fields[name].default})" in text


EXAMPLES = [line for line in examples_of("serve").splitlines() if line.startswith("chatgpt4online serve")]


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_of_the_help_does_not_start(example: str) -> None:
    _, _, *arguments = shlex.split(example)
    with serve_site() as site:
        arguments = [re.sub("https?://example.(org|com)", site.url, argument) for argument in arguments]
        with serving(*arguments, env={"CHATGPT4ONLINE_API_KEYS": KEY}) as (_, address):
            answer = ask(address, "/chat/completions", chat(), Authorization=f"Bearer {KEY}")
            names = models(address, Authorization=f"Bearer {KEY}")
            assert answer[0] == 200 or names == ["a/default", "b/default"]
