"""A client that closes its connection: the gateway stops at once, and nothing remains of the request."""

from __future__ import annotations

import asyncio
import base64
import gc
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection
from itertools import islice

import pytest

from ..support.gateway import SECONDS, Served, serve_gateway
from ..support.server import Peer, Received, Server, chunk, json_response, live, session_response, stream_head

pytestmark = pytest.mark.slow

SOON = 0.5  # seconds; so fast the connection to the site is closed
HEAD, PIECE = stream_head(), chunk(live("Hel"))
LARGE = chunk(live("x" * 9_999))
MOST = 100_000_000  # bytes; many times the buffers of four sockets
BEAT = 0.01
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
PICTURE = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
TEXT: list[dict[str, object]] = [{"type": "text", "text": "Hi"}]
PARTS = [*TEXT, {"type": "image_url", "image_url": {"url": PICTURE}}]


class Watched:
    """A site that stops at one route. It reports when that request has arrived, and when its connection is closed."""

    def __init__(self, route: str, *pieces: bytes, is_endless: bool = False) -> None:
        self.route = route
        self.pieces = pieces
        self.is_endless = is_endless
        self.sent = 0
        self.asked = threading.Event()
        self.closed = threading.Event()
        self.closed_at = 0.0

    def __call__(self, peer: Peer) -> None:
        for request in peer.requests():
            if request.route == self.route:
                self.stop(peer, request)
                return
            peer.send(session_response() if request.route == "start_session" else json_response({}))

    def stop(self, peer: Peer, _: Received) -> None:
        peer.send(*self.pieces)
        if self.is_endless:
            peer.socket.settimeout(0.5)
            with suppress(TimeoutError):
                while self.sent < MOST:
                    peer.send(self.pieces[-1])
                    self.sent += len(self.pieces[-1])
            peer.socket.settimeout(None)
        self.asked.set()
        peer.wait_for_close()
        self.closed_at = time.monotonic()
        self.closed.set()


def read_lines(count: int) -> Callable[[HTTPConnection], object]:
    return lambda client: [client.getresponse().readline() for _ in range(count)]


def read_beats(client: HTTPConnection) -> None:
    response = client.getresponse()
    beats = (line for line in iter(response.readline, b"") if line == b": keep-alive\n")
    assert len([*islice(beats, 3)]) == 3


def read_nothing(_: HTTPConnection) -> None:
    pass


SUBMIT = "submit"
# Where the site stops, the content of the question, whether it is streamed, the heartbeat, and what the client reads.
STAGES: dict[str, tuple[Callable[[], Watched], object, bool, float, Callable[[HTTPConnection], object]]] = {
    "nonce": (lambda: Watched("start_session"), "Hi", True, 60, read_nothing),
    "nonce, whole": (lambda: Watched("start_session"), "Hi", False, 60, read_nothing),
    "upload": (lambda: Watched("upload"), PARTS, True, 60, read_nothing),
    "upload, whole": (lambda: Watched("upload"), PARTS, False, 60, read_nothing),
    "no head": (lambda: Watched(SUBMIT), "Hi", True, 60, read_nothing),
    "no head, whole": (lambda: Watched(SUBMIT), "Hi", False, 60, read_nothing),
    "no event": (lambda: Watched(SUBMIT, HEAD), "Hi", True, 60, read_nothing),
    "no event, whole": (lambda: Watched(SUBMIT, HEAD), "Hi", False, 60, read_nothing),
    "silence": (lambda: Watched(SUBMIT, HEAD, PIECE), "Hi", True, 60, read_lines(1)),
    "silence, whole": (lambda: Watched(SUBMIT, HEAD, PIECE), "Hi", False, 60, read_nothing),
    "heartbeats": (lambda: Watched(SUBMIT, HEAD, PIECE), "Hi", True, BEAT, read_beats),
    "not read": (lambda: Watched(SUBMIT, HEAD, LARGE, is_endless=True), "Hi", True, BEAT, read_nothing),
}


def ask(gateway: Served, content: object, is_streamed: bool, user: str = "", path: str = CHAT) -> HTTPConnection:
    if path == RESPONSES and content is PARTS:
        content = [{"type": "input_text", "text": "Hi"}, {"type": "input_image", "image_url": PICTURE}]
    messages = [{"role": "user", "content": content}]
    body = {"model": "default", "messages" if path == CHAT else "input": messages, "stream": is_streamed}
    return gateway.send(path, body | {"user": user})


def leave(client: HTTPConnection) -> float:
    """Close the connection of a client, and return the time before."""
    start = time.monotonic()
    assert client.sock is not None
    client.sock.shutdown(socket.SHUT_RDWR)
    client.close()
    return start


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.002)


def tasks_of_requests() -> list[str]:
    """Return the tasks that uvicorn or the gateway made for a request, and that are not done."""
    tasks = [found for found in gc.get_objects() if type(found) is asyncio.Task and not found.done()]
    names = [str(getattr(task.get_coro(), "__qualname__", task)) for task in tasks]
    return [name for name in names if "lifespan" not in name.lower() and "serve" not in name]


def check_nothing_remains(gateway: Served) -> None:
    def gauges() -> dict[str, float]:
        names = ("answers_running", "requests_waiting")
        return {name: value for name, value in gateway.metrics().items() if name.startswith(names)}

    wait_until(lambda: not any(gauges().values()), "a gauge counts the request")
    wait_until(lambda: not tasks_of_requests(), "a task remains")


def seconds_until_the_site_is_closed(stage: str, path: str = CHAT) -> tuple[float, Watched]:
    """Leave at a stage, and return how long the connection to the site stays open."""
    make, content, is_streamed, heartbeat, read = STAGES[stage]
    watched = make()
    with Server(watched) as server, serve_gateway(server.url, heartbeat=heartbeat) as gateway:
        client = ask(gateway, content, is_streamed, path=path)
        assert watched.asked.wait(SECONDS)
        read(client)
        start = leave(client)
        assert watched.closed.wait(SECONDS)
        check_nothing_remains(gateway)
        route = f'requests_total{{model="default",route="{path}",status="499"}}'
        assert gateway.metrics()[route] == 1
        return watched.closed_at - start, watched


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("stage", STAGES)
def test_client_that_left_keeps_the_connection_to_the_site(
    stage: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The best of three counts, since other programs use the machine too."""
    times: list[float] = []
    while not times or (min(times) > SOON and len(times) < 3):
        times.append(seconds_until_the_site_is_closed(stage, path)[0])
    assert capsys.readouterr().err == ""  # uvicorn logs no exception
    print(f"{stage}: {min(times) * 1000:.2f} ms")
    assert min(times) <= SOON


def test_gateway_reads_on_while_its_client_does_not() -> None:
    """The memory of the gateway would grow without a limit."""
    _, watched = seconds_until_the_site_is_closed("not read")
    assert watched.sent < MOST


@pytest.mark.parametrize("is_streamed", [True, False])
def test_client_that_left_keeps_its_place_in_the_queue(is_streamed: bool) -> None:
    """Its question is not asked, and another request can wait in its place."""
    watched = Watched(SUBMIT)
    waiting = 'requests_waiting{site="127.0.0.1"}'
    times: list[float] = []
    with Server(watched) as server, serve_gateway(server.url, concurrency=1, queue_length=1) as gateway:
        first = ask(gateway, "First", True)
        assert watched.asked.wait(SECONDS)
        for _ in range(3):
            second = ask(gateway, "Second", is_streamed)
            wait_until(lambda: gateway.metrics()[waiting] == 1, "the request does not wait")
            start = leave(second)
            wait_until(lambda: gateway.metrics()[waiting] == 0, "the request waits further")
            times.append(time.monotonic() - start)
        leave(first)
        check_nothing_remains(gateway)
        assert [request.json["newMessage"] for request in server.requests if request.route == SUBMIT] == ["First"]
    assert min(times) <= SOON


def test_client_that_left_keeps_its_place_at_the_site() -> None:
    """All places are free again after as many clients as there are places, at each stage."""
    places = 3
    for stage in ("nonce", "upload", "no head", "silence"):
        make, content, is_streamed, heartbeat, read = STAGES[stage]
        watched = make()
        limits = {"concurrency": places, "queue_length": 0, "heartbeat": heartbeat}
        with Server(watched) as server, serve_gateway(server.url, **limits) as gateway:
            for number in range(2 * places):
                watched.asked.clear()
                client = ask(gateway, content, is_streamed, f"user {number}")
                assert watched.asked.wait(SECONDS), f"{stage}: request {number} was refused"
                read(client)
                leave(client)
                check_nothing_remains(gateway)
