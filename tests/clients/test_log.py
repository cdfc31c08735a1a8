"""The log ``chatgpt4online``: a line for each request, and the decisions and events, without secrets."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from chatgpt4online import AsyncClient, ChatError, Client, InvalidInput, Session
from chatgpt4online.testing import serve_site
from chatgpt4online.tracing import start_logging

from ..support.adapters import driver
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
    says,
    session_response,
    site,
    stream_head,
)

SECRET = "s3cr3t0123456789"
HEAD = stream_head()
REFUSED = json_response({"code": "rest_cookie_invalid_nonce", "message": "Cookie check failed"}, "403 Forbidden")
LINE = re.compile(r"(GET|POST) (/\S*): (HTTP \d{3}|\w+: .*) after \d+\.\d{3} s \(try \d+\)")

both = pytest.mark.parametrize("kind", ["Client", "AsyncClient"])


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[tuple[str, str]]]:
    """Return a list that has the level and the text of each line so far, at every level."""
    caplog.set_level(logging.DEBUG, "chatgpt4online")
    found: list[tuple[str, str]] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append((record.levelname, record.getMessage()))

    handler = Collect()
    logging.getLogger("chatgpt4online").addHandler(handler)
    yield found
    logging.getLogger("chatgpt4online").removeHandler(handler)


def ask(kind: str, script: Script, **options: Any) -> None:
    with Server(script) as server, driver(kind, server.url, **options) as drive:
        with suppress(ChatError):
            drive.run(drive.client.ask("Hi"))


def of(level: str, lines: list[tuple[str, str]]) -> list[str]:
    return [text for name, text in lines if name == level]


def without_seconds(texts: list[str]) -> list[str]:
    return [re.sub(r" after [\d.]+ s", "", text) for text in texts]


@both
def test_each_request_is_a_line_with_method_path_status_seconds_and_try(
    kind: str, lines: list[tuple[str, str]]
) -> None:
    busy = json_response({}, "503 Service Unavailable", Retry_After="0")
    answers = [busy, REFUSED, HEAD + chunk(live("Hi"), end("Hi")) + LAST_CHUNK]
    ask(kind, site(lambda peer, _: peer.send(answers.pop(0))))
    assert without_seconds(of("INFO", lines)) == [
        "POST /wp-json/mwai/v1/start_session: HTTP 200 (try 1)",
        "POST /wp-json/mwai-ui/v1/chats/submit: HTTP 503 (try 1)",
        "POST /wp-json/mwai-ui/v1/chats/submit: HTTP 403 (try 2)",
        "POST /wp-json/mwai/v1/start_session: HTTP 200 (try 2)",
        "POST /wp-json/mwai-ui/v1/chats/submit: HTTP 200 (try 3)",
    ]
    assert all(LINE.fullmatch(text) for text in of("INFO", lines))


@both
def test_decisions_and_events_are_lines_at_debug(kind: str, lines: list[tuple[str, str]]) -> None:
    answers = [REFUSED, HEAD + chunk(live("Hi"), end("Hi")) + LAST_CHUNK]
    ask(kind, site(lambda peer, _: peer.send(answers.pop(0))))
    decision, piece, done = of("DEBUG", lines)
    assert decision == "call with a nonce: rest_cookie_invalid_nonce: renew the nonce"
    assert piece == "Text(text='Hi')"
    assert done.startswith("Done(reply=Reply(text='Hi'")


@both
def test_failed_connection_is_a_line_with_its_reason(kind: str, lines: list[tuple[str, str]]) -> None:
    def script(peer: Peer) -> None:
        for _ in peer.requests():
            peer.reset()
            return

    ask(kind, script, retries=1)
    texts = of("INFO", lines)
    assert len(texts) >= 2
    assert all("ConnectionFailed: the connection to http://127.0.0.1" in text for text in texts)


@both
@pytest.mark.parametrize("level", [logging.WARNING, logging.INFO, logging.DEBUG])
def test_lower_levels_write_nothing(kind: str, level: int, lines: list[tuple[str, str]]) -> None:
    logging.getLogger("chatgpt4online").setLevel(level)
    ask(kind, site(says(HEAD + chunk(live("Hi"), end("Hi")) + LAST_CHUNK)))
    assert {name for name, _ in lines} == {
        logging.WARNING: set(),
        logging.INFO: {"INFO"},
        logging.DEBUG: {"INFO", "DEBUG"},
    }[level]


@both
def test_level_is_looked_up_once_a_stream(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the log off, neither the number of requests nor that of events matters."""
    log = logging.getLogger("chatgpt4online")
    looked_up: list[int] = []

    def is_enabled(level: int) -> bool:
        looked_up.append(level)
        return False

    monkeypatch.setattr(log, "isEnabledFor", is_enabled)
    ask(kind, site(says(HEAD + chunk(*[live("Hi")] * 50, end("Hi")) + LAST_CHUNK)))
    assert looked_up == [logging.INFO]


ECHO = live(f"my key is sk-{SECRET}", subtype="tool_call", metadata={"nonce": SECRET, "args": f"Bearer {SECRET}"})
HOSTILE: dict[str, Script] = {
    "events": site(says(HEAD + chunk(ECHO, live(f"sk-{SECRET}"), end("Hi", new_token=SECRET)) + LAST_CHUNK)),
    "a refusal": site(says(json_response({"message": f"Wrong API key: sk-{SECRET}"}, "401 Unauthorized"))),
    "a redirect": site(says(response(b"", "307 Temporary Redirect", Location=f"/wp-json/x?token={SECRET}"))),
    "a redirect with a login": site(
        says(response(b"", "307 Temporary Redirect", Location=f"http://ann:{SECRET}@127.0.0.1:1/wp-json/x"))
    ),
    "a redirect with a fragment": site(
        says(response(b"", "307 Temporary Redirect", Location=f"/wp-json/x#nonce={SECRET}"))
    ),
    "a session": lambda peer: [peer.send(session_response(SECRET)) for _ in peer.requests()].clear(),
    "an error event": site(says(HEAD + chunk(b'data: {"type":"error","data":"key=%s"}\n\n' % SECRET.encode()))),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "a login": {"auth": ("ann", SECRET)},
    "cookies": {"cookies": {"wordpress_logged_in_1": SECRET}},
    "headers": {"headers": {"X-Key": SECRET, "Authorization": SECRET}},
    "a token": {"token": SECRET},
}


@both
@pytest.mark.parametrize("script", HOSTILE)
@pytest.mark.parametrize("option", OPTIONS)
def test_log_shows_no_secret(kind: str, script: str, option: str, lines: list[tuple[str, str]]) -> None:
    with Server(HOSTILE[script]) as server, driver(kind, server.url, **OPTIONS[option], retries=0) as drive:
        drive.client.session = Session(SECRET, SECRET)
        for _ in range(2):
            with suppress(ChatError):
                drive.run(drive.client.ask("Hi"))
    assert of("INFO", lines)
    assert SECRET not in repr(lines)


@both
def test_text_of_a_site_cannot_forge_a_line(kind: str, lines: list[tuple[str, str]]) -> None:
    forged = "x\n2026-01-01 INFO chatgpt4online: forged\r\x1b[2J\u2028\ud800"
    ask(kind, site(says(HEAD + chunk(live(forged), live(forged, subtype="status"), end(forged)) + LAST_CHUNK)))
    ask(kind, site(says(json_response({"code": forged, "message": forged}, "400 Bad Request"))))
    for end_of_line in ("\x85", "\u2028", "\x9b"):
        target = f"/x{end_of_line}INFO forged/wp-json/mwai-ui/v1/chats/submit"
        ask(kind, site(says(response(b"", "307 Temporary Redirect", Location=target).replace(b"\xc2\x9b", b"\x9b"))))
    for _, text in lines:
        assert len(text.splitlines()) == 1
        assert text.isprintable()
        text.encode()


@both
def test_huge_event_is_cut_in_the_log(kind: str, lines: list[tuple[str, str]]) -> None:
    ask(kind, site(says(HEAD + chunk(live("x" * 1_000_000), end("Hi")) + LAST_CHUNK)))
    assert max(len(text) for _, text in lines) <= 600


@both
@pytest.mark.parametrize("levels", range(900, 1000, 5))
def test_event_that_is_nested_too_deeply_for_its_repr_is_written_by_its_type(kind: str, levels: int) -> None:
    logging.getLogger("chatgpt4online").setLevel(logging.DEBUG)
    inner = "[" * levels + "]" * levels
    action = '{"type":"function","data":{"name":"f","args":{"a":' + inner + "}}}"
    final = '{"success":true,"reply":"Hi","actions":[' + action + "]}"
    event = b"data: " + json.dumps({"type": "end", "data": final}).encode() + b"\n\n"
    with Server(site(says(HEAD + chunk(event) + LAST_CHUNK))) as server, driver(kind, server.url) as drive:
        assert drive.run(drive.client.ask("Hi")).text in ("Hi", "")


@both
def test_upload_is_a_request_of_its_own(kind: str, lines: list[tuple[str, str]]) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    with serve_site() as server, driver(kind, server.url) as drive:
        drive.run(drive.client.ask([{"role": "user", "content": [{"type": "text", "text": "Look"}, picture]}]))
    paths = [text.split(" ")[1].rstrip(":") for text in of("INFO", lines)]
    assert [path.rpartition("/")[2] for path in paths] == ["start_session", "upload", "submit"]


class TestVariable:
    """The environment variable ``CHATGPT4ONLINE_LOG``."""

    @pytest.fixture(autouse=True)
    def fresh(self) -> Iterator[None]:
        log = logging.getLogger("chatgpt4online")
        level, handlers = log.level, list(log.handlers)
        start_logging.cache_clear()
        yield
        start_logging.cache_clear()
        log.setLevel(level)
        log.handlers = handlers

    @pytest.mark.parametrize("make", [Client, AsyncClient])
    @pytest.mark.parametrize("value", ["debug", "INFO", " warning "])
    def test_first_client_sets_the_level(self, make: type[Client], value: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CHATGPT4ONLINE_LOG", value)
        make("https://example.org")
        assert logging.getLogger("chatgpt4online").level == getattr(logging, value.strip().upper())
        monkeypatch.setenv("CHATGPT4ONLINE_LOG", "error")
        make("https://example.org")
        assert logging.getLogger("chatgpt4online").level == getattr(logging, value.strip().upper())

    @pytest.mark.parametrize("make", [Client, AsyncClient])
    def test_wrong_value_is_refused_with_the_possible_ones(
        self, make: type[Client], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CHATGPT4ONLINE_LOG", "loud")
        for _ in range(2):
            with pytest.raises(InvalidInput, match=r"CHATGPT4ONLINE_LOG is one of debug, info, .* not 'loud'"):
                make("https://example.org")

    def test_unset_or_empty_variable_changes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        log = logging.getLogger("chatgpt4online")
        before = log.level, list(log.handlers)
        monkeypatch.setenv("CHATGPT4ONLINE_LOG", "")
        Client("https://example.org")
        assert (log.level, list(log.handlers)) == before

    @pytest.mark.parametrize("set_up", ["never", "before", "after"])
    def test_each_line_is_written_once_to_standard_error(self, set_up: str) -> None:
        """In a process of its own. A program that sets up its own logging gets the lines there."""
        program = f"""
import logging, sys
if "{set_up}" == "before": logging.basicConfig(format="mine %(message)s")
from chatgpt4online import Client
from chatgpt4online.testing import serve_site
with serve_site() as site, Client(site.url) as client:
    if "{set_up}" == "after": logging.basicConfig(format="mine %(message)s")
    client.ask("Hi")
"""
        done = subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            env={"CHATGPT4ONLINE_LOG": "info"},
        )
        found = [line for line in done.stderr.splitlines() if "start_session" in line]
        assert len(found) == 1, done.stderr
        assert ("mine" in found[0]) is (set_up != "never")
        assert done.stdout == ""
