"""The program ``chatgpt4online serve`` at its end, and when one of its processes is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from ..site import serve_site
from ..support.program import start_program
from ..support.server import LAST_CHUNK, Gate, Peer, Received, Server, chunk, end, live, site, stream_head

pytestmark = pytest.mark.slow

SECONDS = 30.0  # the longest wait of a test for something that must happen
HEAD, PIECE = stream_head(), chunk(live("Hel"))
WORKERS = pytest.mark.parametrize("workers", [1, 2])
STREAMED = pytest.mark.parametrize("is_streamed", [True, False], ids=["streamed", "whole"])
NAMES = {signal.SIGTERM: "SIGTERM", signal.SIGINT: "Ctrl-C"}
SIGNALS = pytest.mark.parametrize("sig", NAMES, ids=NAMES.values())


@dataclass
class Program:
    """A running program: its process, its port, and its log so far."""

    process: Any
    port: int
    log: list[str]

    def connect(self) -> HTTPConnection:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        connection.connect()
        return connection

    def chat(self, *, is_streamed: bool) -> HTTPConnection:
        """Send a question, and return its connection."""
        connection = self.connect()
        body = {"model": "default", "messages": [{"role": "user", "content": "Hi"}], "stream": is_streamed}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        return connection

    def metrics(self, name: str) -> float:
        """Return the sum of the metrics with this name."""
        with closing(self.connect()) as connection:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        return sum(
            float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"chatgpt4online_gateway_{name}{{")
        )

    def started(self) -> list[int]:
        """Return the ids of the processes that have begun to answer requests, in their order."""
        return [int(found[1]) for line in self.log if (found := re.search(r"Started server process \[(\d+)\]", line))]

    def wait_for_starts(self, count: int) -> list[int]:
        wait_until(lambda: len(self.started()) >= count, "no process starts")
        return self.started()

    def wait_until_refused(self) -> None:
        def is_refused() -> bool:
            try:
                self.connect().close()
            except ConnectionRefusedError:
                return True
            except ConnectionError:
                pass
            return False

        wait_until(is_refused, "new connections are accepted")


def wait_until(condition: Any, what: str) -> None:
    limit = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < limit, what
        time.sleep(0.01)


@contextmanager
def serve(url: str, workers: int, *arguments: str, **environment: str) -> Iterator[Program]:
    """Run the program in front of a site, and yield it once all its processes answer."""
    command = ("serve", "--site", url, "--port", "0", "--workers", str(workers), *arguments)
    with start_program(*command, env=environment, text=True) as process:
        log: list[str] = []
        threading.Thread(target=lambda: log.extend(iter(process.stderr.readline, "")), daemon=True).start()
        found = re.search(r":(\d+)/v1", process.stdout.readline())
        assert found is not None, "".join(log)
        threading.Thread(target=process.stdout.read, daemon=True).start()  # the log of the requests
        program = Program(process, int(found[1]), log)
        program.wait_for_starts(workers)
        yield program
        assert not any("Traceback" in line for line in log), "".join(log)


class Silent:
    """A chat that sends its pieces and then nothing. It reports its questions, and the ends of its connections."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.asked = threading.Semaphore(0)
        self.closed = threading.Semaphore(0)

    def __call__(self, peer: Peer, _: Received) -> None:
        peer.send(*self.pieces)
        self.asked.release()
        peer.wait_for_close()
        self.closed.release()


def read_event(response: HTTPResponse) -> bytes:
    """Return the next line of a response that is not empty."""
    while not (line := response.readline().strip()):
        pass
    return line


@WORKERS
@STREAMED
@SIGNALS
def test_signal_cuts_an_answer_off(workers: int, is_streamed: bool, sig: signal.Signals) -> None:
    """New connections are refused meanwhile, and idle connections do not keep the program alive."""
    gate, asked = Gate(), threading.Event()

    def chat(peer: Peer, _: Received) -> None:
        peer.send(HEAD + PIECE)
        asked.set()
        gate.wait()
        peer.send(chunk(live("lo"), end("Hello")) + LAST_CHUNK)

    with Server(site(chat)) as server, serve(server.url, workers) as program:
        with closing(program.connect()) as idle, closing(program.chat(is_streamed=is_streamed)) as client:
            idle.request("GET", "/healthz")
            idle.getresponse().read()
            assert asked.wait(SECONDS)
            response = client.getresponse() if is_streamed else None
            program.process.send_signal(sig)
            program.wait_until_refused()
            assert idle.sock is None or idle.sock.recv(1) == b""
            gate.open()
            body = (response or client.getresponse()).read()
        if is_streamed:
            assert body.endswith(b"data: [DONE]\n\n")
        else:
            assert json.loads(body)["choices"][0]["message"]["content"] == "Hello"
        assert program.process.wait(SECONDS) == (130 if sig == signal.SIGINT else 0)


@WORKERS
@STREAMED
def test_silent_answer_stops_the_end(workers: int, is_streamed: bool) -> None:
    """``--drain`` limits it. The client can tell that its answer is not whole."""
    chat = Silent(HEAD, PIECE)
    with Server(site(chat)) as server, serve(server.url, workers, "--drain", "1") as program:
        with closing(program.chat(is_streamed=is_streamed)) as client:
            assert chat.asked.acquire(timeout=SECONDS)
            response = client.getresponse() if is_streamed else None
            program.process.send_signal(signal.SIGTERM)
            if response is not None:
                *_, name, data = response.read().strip().splitlines()
                assert name == b"event: error"
                error = json.loads(data.removeprefix(b"data: "))["error"]
            else:
                answer = client.getresponse()
                assert answer.status == 503
                error = json.loads(answer.read())["error"]
            assert error["code"] == "service_unavailable"
        assert chat.closed.acquire(timeout=SECONDS)
        assert program.process.wait(SECONDS) == 0


@WORKERS
@SIGNALS
def test_second_signal_waits_for_an_answer(workers: int, sig: signal.Signals, tmp_path: Path) -> None:
    """The folder of the metrics is removed even then."""
    chat, folder = Silent(HEAD, PIECE), str(tmp_path)
    with Server(site(chat)) as server, serve(server.url, workers, "--drain", "600", TMPDIR=folder) as program:
        with closing(program.chat(is_streamed=True)) as client:
            assert chat.asked.acquire(timeout=SECONDS)
            read_event(client.getresponse())
            program.process.send_signal(sig)
            program.wait_until_refused()
            program.process.send_signal(sig)
            assert program.process.wait(SECONDS) == -sig
            assert chat.closed.acquire(timeout=SECONDS)
    assert list(tmp_path.iterdir()) == []


def test_killed_process_is_missing() -> None:
    """Another one replaces it. The gauges of the killed ones are removed, and their counters are kept."""
    chat = Silent(HEAD, PIECE)
    with Server(site(chat)) as server, serve(server.url, 2) as program:
        first = program.wait_for_starts(2)
        with closing(program.chat(is_streamed=True)) as client:
            assert chat.asked.acquire(timeout=SECONDS)
            read_event(client.getresponse())
            assert program.metrics("answers_running") == 1
            for number, pid in enumerate(first):
                os.kill(pid, signal.SIGKILL)
                program.wait_for_starts(3 + number)
        wait_until(lambda: program.metrics("answers_running") == 0, "the gauge of a killed process remains")
        assert len(set(program.started())) == 4
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(SECONDS) == 0


def test_metrics_of_one_process_are_those_of_all() -> None:
    with serve_site("Hello") as site, serve(site.url, 2) as program:
        for _ in range(12):
            with closing(program.chat(is_streamed=False)) as client:
                client.getresponse().read()
        for _ in range(12):  # any process answers
            assert program.metrics("requests_total") == 12
            assert program.metrics("answer_seconds_count") == 12
        for pid in program.started():
            os.kill(pid, signal.SIGKILL)
        program.wait_for_starts(4)
        assert program.metrics("requests_total") == 12


def test_processes_outlive_the_first_one(tmp_path: Path) -> None:
    folder = str(tmp_path)  # nobody removes the folder of the metrics
    with serve_site("Hello") as site, serve(site.url, 2, TMPDIR=folder) as program:
        program.process.kill()
        program.wait_until_refused()
