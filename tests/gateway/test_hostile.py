"""A gateway between hostile clients and sites that hang, or that send texts of any kind."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import CoroutineType
from typing import Any

import pytest

from chatgpt4online import ClientOptions, InvalidInput
from chatgpt4online.gateway import Gateway, GatewayOptions, SiteOptions
from chatgpt4online.testing import serve_site

from ..support.gateway import KEY, SECONDS, serve_gateway
from ..support.server import (
    LAST_CHUNK,
    Peer,
    Script,
    Server,
    chunk,
    end,
    json_response,
    live,
    response,
    session_response,
    site,
    stream_head,
)

TOKEN: ClientOptions = {"token": "the-token"}
CHAT = "/v1/chat/completions"


def lists(bots: object) -> Script:
    """Return a site whose public API lists these bots."""

    def script(peer: Peer) -> None:
        for request in peer.requests():
            data = {"success": True, "data": bots}
            peer.send(session_response() if request.route == "start_session" else json_response(data))

    return script


class Held:
    """A site that holds the requests for one route until ``fail`` is called, and then closes their connections."""

    def __init__(self, *routes: str) -> None:
        self.routes = routes
        self.asked = threading.Semaphore(0)
        self.count = 0
        self.failed = threading.Event()

    def __call__(self, peer: Peer) -> None:
        for request in peer.requests():
            if request.route in self.routes:
                self.count += 1
                self.asked.release()
                assert self.failed.wait(SECONDS)
                return
            peer.send(session_response() if request.route == "start_session" else json_response({}))

    def fail(self) -> None:
        self.failed.set()


STRANGE_BOTS: dict[str, object] = {
    "half a character": [{"id": "a\ud800"}, {"id": "good", "name": "\udfff"}],
    "a control character": [{"id": "a\x1b[31m\n"}, {"id": "good", "name": "a\x1b[31m\n"}],
    "a long id": [{"id": "x" * 100_000}, {"id": "good", "name": "x" * 100_000}],
    "no string": [{"id": {"a": 1}}, {"id": None}, {"id": ["a"]}, {"id": "good", "name": 0}],
    "no object": ["bot", 5, None, [], {"id": "good"}],
}


@pytest.mark.parametrize("name", STRANGE_BOTS)
def test_strange_bot_of_a_site_breaks_the_list_and_the_metrics(name: str) -> None:
    """It is left out, and the others remain."""
    with Server(lists(STRANGE_BOTS[name])) as server:
        with serve_gateway(SiteOptions(server.url, client=TOKEN)) as gateway:
            answer = gateway.ask("/v1/models")
            assert answer.status == 200
            assert [model["id"] for model in answer.json["data"]] == ["good"]
            assert "name" not in answer.json["data"][0]
            assert gateway.chat(model="good").status == 200
            assert gateway.ask("/metrics").status == 200


# The route at which the site hangs, the options of the client, and the coroutine in which requests wait.
HANGING = {
    "list": ("listChatbots", TOKEN, "Site.models"),
    "nonce": ("start_session", ClientOptions(), "Sessions.client_of"),
}


@pytest.mark.parametrize("name", HANGING)
def test_requests_wait_one_after_the_other_for_a_site_that_hangs(name: str) -> None:
    """All wait for the same request to the site, and get its error."""
    route, client, waiting = HANGING[name]
    held = Held(route)
    with Server(held) as server, serve_gateway(SiteOptions(server.url, client=client)) as gateway:
        with ThreadPoolExecutor(5) as pool:
            answers = [pool.submit(gateway.chat, user=str(number)) for number in range(5)]
            wait_for_requests(waiting, 5)
            held.fail()
            assert {answer.result(SECONDS).status for answer in answers} == {502}
    assert held.count == 1


def wait_for_requests(name: str, count: int) -> None:
    """Return when this number of requests waits in the coroutine with a name."""

    def waiting() -> int:
        found = [one for one in gc.get_objects() if type(one) is CoroutineType and one.cr_await is not None]
        return [one.__qualname__ for one in found].count(name)

    limit = time.monotonic() + SECONDS
    while waiting() < count:
        assert time.monotonic() < limit, f"only {waiting()} requests wait"
        time.sleep(0.01)


def test_site_that_hangs_hides_the_models_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatgpt4online.gateway.sites._LIST_SECONDS", 0.05)
    held = Held("listChatbots")
    with Server(held) as hanging, serve_site() as running:
        sites = SiteOptions(hanging.url, "a", client=TOKEN), SiteOptions(running.url, "b")
        with serve_gateway(*sites) as gateway:
            assert [model["id"] for model in gateway.ask("/v1/models").json["data"]] == ["b/default"]
            assert gateway.chat(model="b/default").status == 200
            held.fail()


def test_sites_that_all_hang_have_an_empty_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatgpt4online.gateway.sites._LIST_SECONDS", 0.05)
    held = Held("listChatbots")
    with Server(held) as hanging:
        sites = [SiteOptions(hanging.url, name, client=TOKEN) for name in "ab"]
        with serve_gateway(*sites) as gateway:
            answer = gateway.ask("/v1/models")
            assert (answer.status, answer.json["error"]["code"]) == (504, "timeout")
            held.fail()


def test_known_model_waits_for_a_list_that_hangs() -> None:
    """The old list is used until the new one has arrived."""
    held = Held("listChatbots")
    answer = stream_head() + chunk(end("Hello")) + LAST_CHUNK
    lists = iter([json_response({"success": True, "data": [{"id": "good"}]})])

    def script(peer: Peer) -> None:
        for request in peer.requests():
            if request.route != "listChatbots":
                peer.send(session_response() if request.route == "start_session" else answer)
            elif first := next(lists, None):
                peer.send(first)
            else:
                held.asked.release()
                assert held.failed.wait(SECONDS)
                return

    with Server(script) as server:
        with serve_gateway(SiteOptions(server.url, client=TOKEN), models_seconds=1e-9) as gateway:
            assert gateway.ask("/v1/models").status == 200
            assert gateway.chat(model="good").status == 200
            assert held.asked.acquire(timeout=SECONDS)
            assert gateway.chat(model="good").status == 200
            held.fail()


BREAKS = "\x1b[31m\r\nINFO: forged \x9b31m\u2028\u202e"
# Answers of a site that would write to the log, or to the terminal that shows it.
FORGED: dict[str, bytes] = {
    "the message": json_response({"code": "x", "message": BREAKS}, "403 Forbidden"),
    "the code": json_response({"code": BREAKS, "message": "x"}, "403 Forbidden"),
    "the error": json_response({"success": False, "message": BREAKS}),
    "the type": response(b"x", "403 Forbidden", Content_Type="text/\x1b[31m"),
}


@pytest.mark.parametrize("name", FORGED)
def test_site_writes_lines_and_control_characters_into_the_log(name: str, caplog: pytest.LogCaptureFixture) -> None:
    script = site(lambda peer, _: peer.send(FORGED[name]))
    with Server(script) as server, serve_gateway(server.url) as gateway:
        assert gateway.chat().status == 502
    own = [record for record in caplog.records if record.name.startswith("chatgpt4online.gateway")]
    lines = [record.getMessage() for record in own if record.levelno >= logging.WARNING]
    assert len(lines) == 1
    assert lines[0].isprintable()


@pytest.mark.parametrize("content", [[], [[] for _ in range(300_000)]], ids=["small", "large"])
def test_body_is_held_while_the_site_answers(content: object) -> None:
    """A body of 32 MiB can become 900 MB of lists."""
    held = Held("submit")
    with Server(held) as server, serve_gateway(server.url) as gateway:
        body = {"model": "default", "messages": [{"role": "user", "content": "Hi"}], "unknown": content}
        gc.collect()
        before = len(gc.get_objects())
        with closing(gateway.send(CHAT, body)) as client:
            assert held.asked.acquire(timeout=SECONDS)
            assert len(gc.get_objects()) - before < 100_000
            held.fail()
            assert client.getresponse().status == 502


REMOTE = "192.0.2.7"
# The address of the client and the Host header of requests without a key, and the status.
FROM: dict[str, tuple[Any, str, int]] = {
    "this machine": (("127.0.0.1", 5), "127.0.0.1:8000", 200),
    "this machine by IPv6": (("::1", 5), "[::1]:8000", 200),
    "this machine by both": (("::ffff:127.0.0.1", 5), "localhost", 200),
    "a socket of Unix": (None, "localhost", 200),
    "another machine": ((REMOTE, 5), REMOTE, 403),
    "another machine that names this one": ((REMOTE, 5), "127.0.0.1:8000", 403),
    "another machine by both": ((f"::ffff:{REMOTE}", 5), "localhost", 403),
    "a name": (("unknown", 5), "localhost", 403),
    "a web page": (("127.0.0.1", 5), "evil.example:8000", 403),
    "a web page that begins well": (("127.0.0.1", 5), "127.0.0.1.evil.example", 403),
    "no host": (("127.0.0.1", 5), "", 403),
}


@pytest.mark.parametrize("path", ["/v1/models", "/metrics"])
@pytest.mark.parametrize("name", FROM)
def test_another_machine_is_answered_without_a_key(name: str, path: str) -> None:
    """Any ASGI server can listen at any address, and a client can send any Host header."""
    client, host, status = FROM[name]
    assert status_of(Gateway(GatewayOptions([SiteOptions("http://127.0.0.1:9")])), path, client, host) == status


def status_of(gateway: Gateway, path: str, client: Any, host: str) -> int:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def ask() -> None:
        async with gateway:
            await gateway(scope_of(path, "GET", client, host), receive, send)

    asyncio.run(ask())
    return int(sent[0]["status"])


def scope_of(path: str, method: str, client: Any = ("127.0.0.1", 5), host: str = "localhost") -> dict[str, Any]:
    """Return the scope of a request, as an ASGI server makes it."""
    headers = [(b"content-type", b"application/json"), *([(b"host", host.encode())] if host else [])]
    scope = {"type": "http", "http_version": "1.1", "scheme": "http", "method": method, "path": path}
    return {**scope, "root_path": "", "query_string": b"", "headers": headers, "client": client}


def test_every_web_page_can_use_a_gateway_without_a_key() -> None:
    sites = [SiteOptions("https://example.org")]
    with pytest.raises(InvalidInput, match="needs an API key"):
        GatewayOptions(sites, cors_origins=["https://example.org", "*"])
    GatewayOptions(sites, cors_origins=["*"], api_keys=[KEY])


def test_wrong_folder_for_the_metrics_makes_each_request_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """prometheus_client finds it only when a request is counted."""
    options = GatewayOptions([SiteOptions("https://example.org")])
    for folder in (tmp_path / "missing", Path(__file__), ""):
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder))
        with pytest.raises(InvalidInput, match="PROMETHEUS_MULTIPROC_DIR"):
            Gateway(options)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    Gateway(options)


PICTURE = "![Image](https://example.org/a.png)"
# The pieces of an answer, and its final text, to which the site has added a picture.
ADDED = {
    "after text": (["Here"], f"Here\n\n{PICTURE}"),
    "after a line": (["Here\n"], f"Here\n\n{PICTURE}"),
    "after two lines": (["Here\n\n"], f"Here\n\n{PICTURE}"),
    "after an empty line": (["\n"], f"\n\n{PICTURE}"),
    "after thinking": ([], f"\n\n{PICTURE}"),
}


@pytest.mark.parametrize("name", ADDED)
def test_streamed_answer_is_another_than_the_whole_one(name: str) -> None:
    pieces, final = ADDED[name]
    answer = stream_head() + chunk(*(live(piece) for piece in pieces), end(final)) + LAST_CHUNK
    with Server(site(lambda peer, _: peer.send(answer))) as server, serve_gateway(server.url) as gateway:
        whole = gateway.chat().json["choices"][0]["message"]["content"]
        chunks = gateway.chat(stream=True).events[:-1]
        assert "".join(one["choices"][0]["delta"].get("content", "") for one in chunks).strip() == whole.strip()


@pytest.mark.parametrize("route", [CHAT, "/v1/responses"])
@pytest.mark.parametrize("is_streamed", [True, False])
@pytest.mark.parametrize("content", ["Hi", ""], ids=["answered", "refused"])
def test_server_that_reports_a_client_that_left_logs_a_failure(
    route: str, is_streamed: bool, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    """ASGI allows servers to raise an OSError when something is sent to a closed connection."""
    body = {"model": "default", "messages": [{"role": "user", "content": content}], "stream": is_streamed}
    messages: Any = iter([{"type": "http.request", "body": json.dumps(body | {"input": content}).encode()}])

    async def receive() -> Any:
        return next(messages, None) or await asyncio.Event().wait()

    async def send(message: Any) -> None:
        raise BrokenPipeError

    async def ask(url: str) -> None:
        async with Gateway(GatewayOptions([SiteOptions(url)])) as gateway:
            await gateway(scope_of(route, "POST"), receive, send)

    with serve_site() as running:
        asyncio.run(ask(running.url))
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
