"""The web back end of the guide, ``examples/fastapi_app.py``, behind a real uvicorn and in a real browser."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import chatgpt4online
from chatgpt4online import AsyncClient, ChatError, InvalidInput, ServerError, StatusError, TimedOut, Timeout
from chatgpt4online.testing import Answer, Chat

from ..site import serve_site
from ..support import gateway
from ..support.browser import Browser, open_browser
from ..support.server import (
    LAST_CHUNK,
    Gate,
    Peer,
    Received,
    Server,
    chunk,
    end,
    json_response,
    live,
    response,
    site,
    stream_head,
)

pytest.importorskip("fastapi", reason="fastapi is in the dependency group web")

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
APP = EXAMPLES / "fastapi_app.py"
HEAD = stream_head()
BEAT = 0.01  # seconds; the tests wait for a number of beats, and never for a time
SOON = 0.5  # seconds; so fast the connection to the site is closed
SECONDS = 30.0  # the longest wait of a test for something that must happen
CANNOT, LATE, MANY = (
    "The site cannot answer.",
    "The site took too long to answer.",
    "Too many questions. Try again later.",
)


def load_app(without: str = "", client: type[AsyncClient] = AsyncClient, **options: Any) -> ModuleType:
    """Return the example as a new module, without a part of its text. Its client has these options and no retries."""
    source = APP.read_text("utf-8")
    assert without in source
    module: Any = ModuleType("fastapi_app")
    exec(compile(source.replace(without, ""), str(APP), "exec"), module.__dict__)
    module.AsyncClient = partial(client, retries=0, **options)
    return module


@contextmanager
def serve_app(site_url: str, heartbeat: float = 60.0, **options: Any) -> Iterator[int]:
    """Yield the port of a uvicorn with the example, in a thread."""
    module: Any = load_app(**options)
    module.HEARTBEAT = heartbeat
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHATGPT4ONLINE_SITE", site_url)
        with gateway.serve_app(module.app) as port:
            yield port


def post(port: int, body: object) -> tuple[HTTPConnection, HTTPResponse]:
    """Send a body to ``/ask``. Return the connection and the response, of which only the head was read."""
    connection = send(port, body)
    return connection, connection.getresponse()


def send(port: int, body: object) -> HTTPConnection:
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", "/ask", data, {"Content-Type": "application/json"})
    return connection


def ask(port: int, question: object) -> tuple[int, dict[str, str], str]:
    """Return the status, the headers and the whole body."""
    connection, response = post(port, {"question": question})
    with closing(connection):
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read().decode()


def events(body: str) -> list[tuple[str, Any]]:
    """Return the events of a body, each with its name and its data."""
    found = []
    for block in body.removesuffix("\n\n").split("\n\n"):
        if block == ": ping":
            found.append(("ping", None))
        else:
            match = re.fullmatch(r"(?:event: (\w+)\n)?data: (.+)", block)
            assert match is not None, block
            found.append((match[1] or "message", json.loads(match[2])))
    return found


def test_app_is_too_long() -> None:
    assert len(APP.read_text("utf-8").splitlines()) < 80


def test_page_loads_something_from_elsewhere() -> None:
    module: Any = load_app()
    assert re.findall(r"(?:src|url|import|//\w).*", module.PAGE) == []
    assert re.findall(r'href="([^"]*)', module.PAGE) == ["data:,"]


def test_answer_is_not_streamed_as_events() -> None:
    """A piece keeps its line breaks, and the headers keep proxies from storing and from buffering it."""
    with serve_site(["Grüße\n\n", "data: 日本"]) as site, serve_app(site.url) as port:
        status, headers, body = ask(port, "Hi")
    pieces = [("message", {"text": "Grüße\n\n"}), ("message", {"text": "data: 日本"})]
    assert (status, events(body)) == (200, [*pieces, ("end", {"end": True})])
    assert headers["content-type"].startswith("text/event-stream")
    assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")


REFUSALS: dict[str, tuple[Answer, int, str | None, str]] = {
    "429 with a time": (Answer("Slow down", status=429, headers={"Retry-After": "90"}), 429, "90", MANY),
    "429 without one": (Answer("Slow down", status=429), 429, None, MANY),
    "503 with a time": (Answer("Busy", status=503, headers={"Retry-After": "7"}), 503, "7", CANNOT),
    "503 without one": (Answer("Busy", status=503), 503, None, CANNOT),
    "504": (Answer("Slow", status=504), 504, None, LATE),
    "413": (Answer("Large", status=413), 413, None, CANNOT),
    "401": (Answer("Who?", status=401), 502, None, CANNOT),
    "403": (Answer("No", status=403), 502, None, CANNOT),
    "404": (Answer("Where?", status=404), 502, None, CANNOT),
    "500": (Answer(ending="fatal"), 502, None, CANNOT),
    "error event under 200": (Answer(ServerError("The secret model is down.")), 502, None, CANNOT),
    "limit under 200": (Answer(ServerError("You have reached the limit.")), 429, None, MANY),
    "cut before the first piece": (Answer(ending="cut"), 502, None, CANNOT),
}


@pytest.fixture(scope="module")
def refusing() -> Iterator[int]:
    """The port of an app whose site answers a question with the refusal of that name."""
    with serve_site(lambda chat: REFUSALS[chat.message][0]) as site, serve_app(site.url) as port:
        yield port


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal_has_another_status(name: str, refusing: int) -> None:
    _, status, wait, detail = REFUSALS[name]
    got, headers, body = ask(refusing, name)
    assert (got, headers.get("retry-after"), json.loads(body)) == (status, wait, {"detail": detail})


@pytest.mark.parametrize("question", ["", " \n", "\ud800", 5, None, ["Hi"]], ids=repr)
def test_wrong_question_is_not_422(question: object, refusing: int) -> None:
    """``detail`` is the text of InvalidInput, or FastAPI's list for a value that is not a string."""
    status, _, body = ask(refusing, question)
    detail = json.loads(body)["detail"]
    assert status == 422
    assert ("message is empty" in detail or "surrogate" in detail) if isinstance(question, str) else detail[0]["msg"]


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b'"Hi"'], ids=repr)
def test_wrong_body_is_not_422(body: bytes, refusing: int) -> None:
    connection, response = post(refusing, body)
    with closing(connection):
        assert (response.status, bool(json.loads(response.read())["detail"])) == (422, True)


def test_silent_site_is_not_504() -> None:
    with Server(site(lambda peer, _: peer.wait_for_close())) as server:
        with serve_app(server.url, timeout=Timeout(first_byte=0.05)) as port:
            status, _, body = ask(port, "Hi")
    assert (status, json.loads(body)) == (504, {"detail": LATE})


def test_closed_site_is_not_502() -> None:
    with serve_site() as site:
        url = site.url
    with serve_app(url) as port:
        status, _, body = ask(port, "Hi")
    assert (status, json.loads(body)) == (502, {"detail": CANNOT})


def every_error() -> Iterator[ChatError]:
    """Yield an error of each public class."""
    for name in chatgpt4online.__all__:
        kind = getattr(chatgpt4online, name)
        if isinstance(kind, type) and issubclass(kind, TimedOut):
            yield kind("idle", 9.0)
        elif isinstance(kind, type) and issubclass(kind, StatusError):
            yield kind(401, message="10.0.0.7", retry_after=5.0)
        elif isinstance(kind, type) and issubclass(kind, ChatError):
            yield kind("no connection to 10.0.0.7")


@pytest.mark.parametrize("error", [*every_error()], ids=lambda error: type(error).__name__)
def test_status_of_an_error_is_not_that_of_the_guide(error: ChatError) -> None:
    """The text for the visitor names no host. Only that of InvalidInput is the error's own."""
    module: Any = load_app()
    response = module.refuse(None, error)
    assert response.status_code == error.http_status
    assert response.headers.get("retry-after") == ("5" if isinstance(error, StatusError) else None)
    assert (b"10.0.0.7" in response.body) is isinstance(error, InvalidInput)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (Answer(["Half", " of"], ending="cut"), CANNOT),
        (Answer(["Half", " of", ServerError("The model is down.")]), CANNOT),
        (Answer(["Half", " of", ServerError("You have reached the limit.")]), MANY),
    ],
    ids=["cut", "error event", "limit"],
)
def test_error_in_the_middle_is_not_an_event(answer: Answer, detail: str) -> None:
    with serve_site(answer) as site, serve_app(site.url) as port:
        status, _, body = ask(port, "Hi")
    pieces = [("message", {"text": "Half"}), ("message", {"text": " of"})]
    assert (status, events(body)) == (200, [*pieces, ("error", {"detail": detail})])


def test_answer_that_is_closed_in_the_middle_looks_whole() -> None:
    """Such as by ``client.aclose()`` in another task."""
    streams: list[Any] = []

    class Client(AsyncClient):
        def stream(self, *args: Any, **options: Any) -> Any:
            streams.append(super().stream(*args, **options))
            return streams[-1]

    with Server(site(Watched(HEAD, PIECE))) as server, serve_app(server.url, client=Client) as port:
        connection, response = post(port, {"question": "Hi"})
        with closing(connection):
            assert read_event(response) == 'data: {"text": "Hel"}'
            asyncio.run(streams[0].aclose())
            assert events(response.read().decode()) == [("error", {"detail": CANNOT})]


def test_silence_in_the_middle_is_not_an_event() -> None:
    def chat(peer: Peer, _: Received) -> None:
        peer.send(HEAD + chunk(live("Half")))
        peer.wait_for_close()

    with Server(site(chat)) as server, serve_app(server.url, timeout=Timeout(idle=0.2)) as port:
        _, _, body = ask(port, "Hi")
    assert events(body) == [("message", {"text": "Half"}), ("error", {"detail": LATE})]


def read_event(response: HTTPResponse) -> str:
    """Return the next event or comment of a response."""
    lines = []
    while line := response.readline().strip():
        lines.append(line.decode())
    return "\n".join(lines)


def test_heartbeats_are_not_sent_while_the_model_thinks() -> None:
    """A piece that comes between them is sent at once."""
    gate = Gate()

    def chat(peer: Peer, _: Received) -> None:
        peer.send(HEAD + chunk(live("One")))
        gate.wait()
        peer.send(chunk(live("Two")))
        gate.wait()
        peer.send(chunk(end("OneTwo")) + LAST_CHUNK)

    with Server(site(chat)) as server, serve_app(server.url, BEAT) as port:
        connection, response = post(port, {"question": "Hi"})
        with closing(connection):
            for piece in ("One", "Two"):
                while (event := read_event(response)) == ": ping":
                    pass
                assert event == f'data: {{"text": "{piece}"}}'
                assert [read_event(response) for _ in range(3)] == [": ping"] * 3
                gate.open()
            while (event := read_event(response)) == ": ping":
                pass
            assert event == 'event: end\ndata: {"end": true}'


def test_app_without_open_sends_no_heartbeat_before_the_head() -> None:
    """The guide offers this variant. Its refusals are events."""
    gate = Gate()

    def chat(peer: Peer, _: Received) -> None:
        gate.wait()
        peer.send(json_response({}, "503 Service Unavailable"))

    with Server(site(chat)) as server, serve_app(server.url, BEAT, without="    await stream.open()") as port:
        connection, response = post(port, {"question": "Hi"})
        with closing(connection):
            assert (response.status, [read_event(response) for _ in range(3)]) == (200, [": ping"] * 3)
            gate.open()
            assert events(response.read().decode())[-1] == ("error", {"detail": CANNOT})


def watchers() -> list[Any]:
    """Return the tasks that wait for a browser to close its connection."""
    tasks = [found for found in gc.get_objects() if type(found) is asyncio.Task]
    return [task for task in tasks if "close_with_page" in repr(task.get_coro()) and not task.done()]


def test_task_of_a_request_stays_after_its_end(refusing: int) -> None:
    """After an answer and after a refusal, on connections that stay open."""
    with serve_site() as site, serve_app(site.url) as port:
        open_connections = []
        for server_port in (port, refusing):
            connection, response = post(server_port, {"question": "503 with a time"})
            open_connections.append(connection)
            response.read()
        end = time.monotonic() + SECONDS
        while watchers():
            assert time.monotonic() < end
        for connection in open_connections:
            connection.close()


def test_chats_get_the_answers_of_others() -> None:
    """A hundred questions are at the site at the same time."""
    together = threading.Barrier(100)

    def answer(chat: Chat) -> Iterator[str]:
        together.wait(SECONDS)
        yield "You said: "
        together.wait(SECONDS)
        yield chat.message

    with serve_site(answer) as site, serve_app(site.url) as port, ThreadPoolExecutor(100) as threads:
        questions = [f"Question {number}" for number in range(100)]
        bodies = [body for _, _, body in threads.map(partial(ask, port), questions)]
    texts = ["".join(data.get("text", "") for _, data in events(body)) for body in bodies]
    assert texts == [f"You said: {question}" for question in questions]


class Watched:
    """A chat that reports when its question has arrived and when its connection is closed.

    An endless one sends its last piece until the buffers on the way are full.
    """

    def __init__(self, *pieces: bytes, is_endless: bool = False) -> None:
        self.pieces = pieces
        self.is_endless = is_endless
        self.asked = threading.Event()
        self.closed = threading.Event()
        self.closed_at = 0.0

    def __call__(self, peer: Peer, _: Received) -> None:
        peer.send(*self.pieces)
        if self.is_endless:
            peer.socket.settimeout(0.5)
            with suppress(TimeoutError):
                while True:
                    peer.send(self.pieces[-1])
            peer.socket.settimeout(None)
        self.asked.set()
        peer.wait_for_close()
        self.closed_at = time.monotonic()
        self.closed.set()


PIECE = chunk(live("Hel"))
LEAVING: dict[str, tuple[Watched, float, Callable[[HTTPConnection], object]]] = {
    "before the first event": (Watched(), 60.0, lambda _: None),
    "after the head of the site": (Watched(HEAD), 60.0, lambda _: None),
    "between pieces": (Watched(HEAD, PIECE), 60.0, lambda page: page.getresponse().readline()),
    "between heartbeats": (Watched(HEAD, PIECE), BEAT, lambda page: [*map(page.getresponse().readline, [99] * 9)]),
    "while it does not read": (Watched(HEAD, chunk(live("x" * 9999)), is_endless=True), 60.0, lambda _: None),
}


def seconds_until_the_site_is_closed(how: str) -> float:
    """Close a page in the middle, and return how long the connection to the site stays open."""
    template, heartbeat, read = LEAVING[how]
    chat = Watched(*template.pieces, is_endless=template.is_endless)
    with Server(site(chat)) as server, serve_app(server.url, heartbeat) as port:
        page = send(port, {"question": "Hi"})
        assert chat.asked.wait(SECONDS)
        read(page)
        start = time.monotonic()
        assert page.sock is not None
        page.sock.shutdown(socket.SHUT_RDWR)
        page.close()
        assert chat.closed.wait(SECONDS)
        return chat.closed_at - start


@pytest.mark.parametrize("how", LEAVING)
def test_closed_page_leaves_the_connection_to_the_site_open(how: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The best of three counts, since other programs use the machine too."""
    times: list[float] = []
    while not times or (min(times) > SOON and len(times) < 3):
        times.append(seconds_until_the_site_is_closed(how))
    assert capsys.readouterr().err == ""  # uvicorn logs no exception
    print(f"{how}: {min(times) * 1000:.2f} ms")
    assert min(times) <= SOON


def test_shutdown_cuts_off_an_answer(tmp_path: Path) -> None:
    """The answers that are on their way end first. The program runs as the first line of the example says."""
    gate = Gate()

    def chat(peer: Peer, _: Received) -> None:
        peer.send(HEAD + chunk(live("Hel")))
        gate.wait()
        peer.send(chunk(live("lo"), end("Hello")) + LAST_CHUNK)

    with Server(site(chat)) as server:
        environment = os.environ | {"CHATGPT4ONLINE_SITE": server.url, "PYTHONPATH": str(EXAMPLES.parent)}
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "fastapi_app:app", "--port", "0"]
        with subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            try:
                log = iter(process.stderr.readline, "")
                started = next(filter(None, (re.search(r"http://127\.0\.0\.1:(\d+)", line) for line in log)))
                connection, response = post(int(started[1]), {"question": "Hi"})
                with closing(connection):
                    first = read_event(response)
                    process.send_signal(signal.SIGTERM)
                    assert any("Waiting for connections to close" in line for line in log)
                    gate.open()
                    assert first + "\n\n" + response.read().decode() == (
                        'data: {"text": "Hel"}\n\ndata: {"text": "lo"}\n\nevent: end\ndata: {"end": true}\n\n'
                    )
                rest = "".join(log)
            finally:
                process.terminate()
        assert "Application shutdown complete" in rest
        assert "Traceback" not in rest


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


class TestPage:
    """The page in a browser."""

    @staticmethod
    def submit(driver: Any, question: str) -> None:
        driver.find_element("name", "question").send_keys(question + "\n")

    @staticmethod
    def shown(driver: Any) -> list[str]:
        """Return the text of the answer, and of the failure."""
        return [element.get_attribute("textContent") for element in driver.find_elements("css selector", "p")]

    def test_piece_is_shown_only_with_the_rest(self, browser: Browser) -> None:
        """The form can be used again at the end. Nothing is written to the console."""
        gate = Gate()

        def chat(peer: Peer, _: Received) -> None:
            peer.send(HEAD)
            for piece in ("Grüße\n", "<b>日本</b>"):
                peer.send(chunk(live(piece)))
                gate.wait()
            peer.send(chunk(end("Grüße\n<b>日本</b>")) + LAST_CHUNK)

        with Server(site(chat)) as server, serve_app(server.url, BEAT) as port:
            with browser.page(f"http://127.0.0.1:{port}/") as driver:
                for _ in range(2):
                    self.submit(driver, "Hi")
                    for text in ("Grüße\n", "Grüße\n<b>日本</b>"):
                        browser.wait_for(lambda text=text: self.shown(driver) == [text, ""])
                        assert driver.execute_script("return document.forms[0].inert")
                        gate.open()
                    browser.wait_for(lambda: not driver.execute_script("return document.forms[0].inert"))
                assert self.shown(driver) == ["Grüße\n<b>日本</b>", ""]
                assert driver.find_elements("css selector", "p *") == []
                assert driver.get_log("browser") == []
            assert [request.json["newMessage"] for request in server.requests if request.body] == ["Hi", "HiHi"]

    def test_first_refusal_stays_after_an_answer(self, browser: Browser) -> None:
        answers = iter([Answer("", status=429), Answer(["Half", ServerError("Down")]), Answer("Hello")])
        with serve_site(lambda chat: next(answers)) as site, serve_app(site.url) as port:
            with browser.page(f"http://127.0.0.1:{port}/") as driver:
                for shown in (["", MANY], ["Half", CANNOT], ["Hello", ""]):
                    self.submit(driver, "Hi")
                    browser.wait_for(lambda shown=shown: self.shown(driver) == shown)

    def test_wrong_question_is_not_explained(self, browser: Browser) -> None:
        with serve_site() as site, serve_app(site.url) as port:
            with browser.page(f"http://127.0.0.1:{port}/") as driver:
                self.submit(driver, "  ")
                browser.wait_for(lambda: self.shown(driver)[1].startswith("the message is empty"))

    def test_answer_without_end_is_not_explained(self, browser: Browser) -> None:
        """A proxy can end a connection as if the answer were whole."""
        page: Any = load_app()

        def script(peer: Peer) -> None:
            for request in peer.requests():
                if request.method == "GET":
                    peer.send(response(page.PAGE.encode(), Content_Type="text/html"))
                else:
                    peer.send(stream_head("") + b'data: {"text": "Hel"}\n\n')
                    peer.close()

        with Server(script) as server, browser.page(server.url) as driver:
            self.submit(driver, "Hi")
            browser.wait_for(lambda: self.shown(driver) == ["Hel", "The answer broke off."])

    def test_broken_connection_is_not_explained(self, browser: Browser) -> None:
        """uvicorn is closed in the middle of an answer."""
        chat = Watched(HEAD, PIECE)
        with Server(site(chat)) as server:
            environment = os.environ | {"CHATGPT4ONLINE_SITE": server.url, "PYTHONPATH": str(EXAMPLES.parent)}
            command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "fastapi_app:app", "--port", "0"]
            with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
                assert process.stderr is not None
                log = iter(process.stderr.readline, "")
                started = next(filter(None, (re.search(r"http://127\.0\.0\.1:\d+", line) for line in log)))
                with browser.page(started[0]) as driver:
                    self.submit(driver, "Hi")
                    browser.wait_for(lambda: self.shown(driver) == ["Hel", ""])
                    process.kill()
                    browser.wait_for(lambda: self.shown(driver)[1])

    @pytest.mark.parametrize("pieces", [(), (HEAD, PIECE)], ids=["before the first event", "between pieces"])
    def test_closed_tab_leaves_the_connection_to_the_site_open(
        self, browser: Browser, pieces: tuple[bytes, ...]
    ) -> None:
        chat = Watched(*pieces)
        with Server(site(chat)) as server, serve_app(server.url) as port:
            with browser.page(f"http://127.0.0.1:{port}/") as driver:
                self.submit(driver, "Hi")
                assert chat.asked.wait(SECONDS)
                if pieces:
                    browser.wait_for(lambda: self.shown(driver) == ["Hel", ""])
                start = time.monotonic()
                driver.close()
            assert chat.closed.wait(SECONDS)
            print(f"closed tab: {(chat.closed_at - start) * 1000:.2f} ms")
