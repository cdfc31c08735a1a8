"""``batch`` killed by SIGKILL: no answer is lost, and only the questions under way are asked again."""

import json
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

from ..support.program import SECONDS, run_program, start_program
from ..support.server import LAST_CHUNK, Peer, Received, Server, chunk, end, live, site, stream_head

pytestmark = pytest.mark.slow

NAMES = "abcdef"
TOGETHER = 2

# Python imports it at its start. The process kills itself within the n-th line of answers, after a number of bytes.
SITECUSTOMIZE = """\
import os, signal

number, size = map(int, os.environ["KILL"].split(":"))
write = os.write


def write_and_die(descriptor, data):
    global number
    if b'{"id": ' in data[:9]:
        number -= 1
        if not number:
            write(descriptor, data[: size if size >= 0 else len(data) + 1 + size])
            os.kill(os.getpid(), signal.SIGKILL)
    return write(descriptor, data)


os.write = write_and_die
"""
WHOLE = -1  # bytes: the line with its end
WITHOUT_LINE_END = -2
IN_A_LINE = [(1, 0), (1, 1), (1, 9), (1, WITHOUT_LINE_END), (2, 40), (3, WHOLE), (4, 200), (6, WITHOUT_LINE_END)]
AT_A_REQUEST = [
    *((number, "on arrival") for number in (1, 2, 3, 5, 6)),
    *((number, "within the answer") for number in (1, 2, 4, 6)),
    *((number, "after the answer") for number in (1, 3, 6)),
]


def test_there_are_twenty_points() -> None:
    assert len(IN_A_LINE) + len(AT_A_REQUEST) == 20


class KillingSite:
    """A site that kills its client at one request for an answer, and then answers every other one."""

    def __init__(self, number: int = 0, moment: str = "") -> None:
        self._left = number
        self._moment = moment
        self._lock = threading.Lock()
        self._started = threading.Event()

    def start(self, process: object) -> None:
        self._victim = process
        self._started.set()

    def chat(self, peer: Peer, request: Received) -> None:
        text = request.json["newMessage"]
        with self._lock:
            self._left -= 1
            kills = not self._left
        if kills and self._moment == "on arrival":
            return self._kill()
        peer.send(stream_head() + chunk(live(text)))
        if kills and self._moment == "within the answer":
            return self._kill()
        peer.send(chunk(end(text)) + LAST_CHUNK)
        return self._kill() if kills else None

    def _kill(self) -> None:
        assert self._started.wait(SECONDS)
        self._victim.send_signal(signal.SIGKILL)  # type: ignore[attr-defined]  # a process


def check_continues(server: Server, answers: Path, arguments: list[str]) -> None:
    """Run the command again after a kill, and check the answers and the requests of both runs."""
    kept = answers.read_bytes() if answers.exists() else b""
    known = set()
    for line in kept.split(b"\n"):
        try:
            known.add(json.loads(line)["id"])
        except ValueError:
            continue
    ended = run_program(*arguments)
    assert ended.returncode == 0, ended.stderr
    records = [json.loads(line) for line in answers.read_text("ascii").splitlines()]
    assert sorted(record["id"] for record in records) == list(NAMES)
    assert {record["status"] for record in records} == {"answered"}
    assert answers.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    asked = Counter(request.json["newMessage"] for request in server.requests if request.route == "submit")
    assert set(asked) == set(NAMES)
    assert all(asked[name] == 1 for name in known)
    twice = [name for name in NAMES if asked[name] > 1]
    assert len(twice) <= TOGETHER
    assert all(asked[name] == 2 for name in twice)


def arguments_of(server: Server, folder: Path) -> list[str]:
    """Write the questions, and return the arguments of the command."""
    questions = folder / "questions.jsonl"
    questions.write_text("".join(json.dumps({"id": name, "prompt": name}) + "\n" for name in NAMES))
    answers = str(folder / "answers.jsonl")
    return ["batch", str(questions), "-o", answers, "--site", server.url, "--concurrency", str(TOGETHER)]


@pytest.mark.parametrize(("number", "moment"), AT_A_REQUEST)
def test_kill_at_a_request_loses_an_answer_or_asks_too_much(number: int, moment: str, tmp_path: Path) -> None:
    killing = KillingSite(number, moment)
    with Server(site(killing.chat)) as server:
        arguments = arguments_of(server, tmp_path)
        with start_program(*arguments) as process:
            killing.start(process)
            # After the last answer, a quick process may end before the signal.
            assert process.wait() in (-signal.SIGKILL, 0 if (number, moment) == AT_A_REQUEST[-1] else -signal.SIGKILL)
        check_continues(server, tmp_path / "answers.jsonl", arguments)


@pytest.mark.parametrize(("number", "size"), IN_A_LINE)
def test_kill_within_a_line_loses_an_answer_or_asks_too_much(number: int, size: int, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SITECUSTOMIZE)
    with Server(site(KillingSite().chat)) as server:
        arguments = arguments_of(server, tmp_path)
        with start_program(*arguments, env={"KILL": f"{number}:{size}", "PYTHONPATH": str(tmp_path)}) as process:
            assert process.wait() == -signal.SIGKILL
        data = (tmp_path / "answers.jsonl").read_bytes()
        assert data.count(b"\n") == number - 1 + (size == WHOLE)
        if size >= 0:
            assert len(data) - data.rfind(b"\n") - 1 == size
        check_continues(server, tmp_path / "answers.jsonl", arguments)
