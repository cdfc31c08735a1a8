"""``batch`` as a process, against sites on loopback."""

import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from chatgpt4online.testing import Chat, Widget, serve_site

from ..support.behaviours import streamed
from ..support.program import (
    PROGRAM,
    SECONDS,
    Ended,
    environment_of,
    examples_of,
    read_terminal,
    run_in_shell,
    run_program,
    run_script,
    start_program,
    terminal,
)
from ..support.server import Peer, Received, Server, end, live, response, site

QUESTIONS, ANSWERS = "questions.jsonl", "answers.jsonl"
NAMES = ["a", "b", "c", "d", "e"]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_questions(*records: dict[str, Any]) -> None:
    Path(QUESTIONS).write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


def ask_names(names: Sequence[str] = NAMES, **more: Any) -> None:
    """Write a question for each name, whose prompt is the name."""
    write_questions(*({"id": name, "prompt": name} | more for name in names))


def read_answers() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(ANSWERS).read_text("ascii").splitlines()]


def statuses() -> list[tuple[str, str]]:
    return [(record["id"], record["status"]) for record in read_answers()]


def batch(url: str, *options: str, prompt: bytes = b"", questions: str = QUESTIONS) -> Ended:
    return run_program("batch", questions, "-o", ANSWERS, "--site", url, *options, prompt=prompt)


@contextmanager
def started(url: str, *options: str, **streams: Any) -> Iterator[Any]:
    with start_program("batch", QUESTIONS, "-o", ANSWERS, "--site", url, *options, **streams) as process:
        yield process


def echo(peer: Peer, request: Received) -> None:
    """Answer a question with its own text."""
    text = request.json["newMessage"]
    peer.send(streamed(live(text), end(text)))


def asked(server: Server) -> list[str]:
    """Return the questions that a site has received, in their order."""
    return [request.json["newMessage"] for request in server.requests if request.route == "submit"]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(site(echo)) as running:
        yield running


SUMMARY = "questions  ok  unmet  failed  not asked\n"


class TestAnswers:
    def test_every_question_is_asked_once_and_stored(self, server: Server) -> None:
        ask_names()
        ended = batch(server.url)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout == SUMMARY + "5          5   0      0       0\n"
        assert sorted(asked(server)) == NAMES
        for record in read_answers():
            assert (record["status"], record["text"], record["error"]) == ("answered", record["id"], None)
            assert (record["site"], record["bot"]) == (server.url, "default")
            assert 0 <= record["first_piece_seconds"] <= record["seconds"]

    def test_each_question_is_a_conversation_of_its_own(self, server: Server) -> None:
        history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
        messages = [*history, {"role": "user", "content": "b"}]
        write_questions({"id": "a", "prompt": "a"}, {"id": "b", "messages": messages})
        assert batch(server.url, "--concurrency", "1").returncode == 0
        first, second = (request.json for request in server.requests if request.route == "submit")
        assert first["chatId"] != second["chatId"]
        assert (first["messages"], second["messages"], second["newMessage"]) == ([], history, "b")

    def test_next_run_sends_nothing_and_checks_changed_expectations(self, server: Server) -> None:
        ask_names()
        assert batch(server.url).returncode == 0
        before, stored = len(server.requests), Path(ANSWERS).read_bytes()
        ask_names(expect={"not_contains": "c"})
        ended = batch(server.url)
        assert (ended.returncode, ended.stderr) == (1, "")
        assert ended.stdout.splitlines()[1] == "c         unmet   not_contains: 'c' is in the answer"
        assert (len(server.requests), Path(ANSWERS).read_bytes()) == (before, stored)

    def test_new_questions_are_asked_and_removed_ones_are_kept(self, server: Server) -> None:
        ask_names("ab")
        batch(server.url)
        ask_names("bc")
        ended = batch(server.url)
        assert ended.stderr == "1 of 2 questions are answered in answers.jsonl already\n"
        assert ended.stdout == SUMMARY + "2          2   0      0       0\n"
        assert sorted(asked(server)) == ["a", "b", "c"]
        assert sorted(statuses()) == [("a", "answered"), ("b", "answered"), ("c", "answered")]

    def test_questions_come_from_standard_input(self, server: Server) -> None:
        ended = batch(server.url, questions="-", prompt=b'{"id": "a", "prompt": "H\xc3\xa9"}\n')
        assert (ended.returncode, asked(server)) == (0, ["Hé"])

    def test_unmet_expectations_are_in_the_table_and_in_the_junit_file(self, server: Server) -> None:
        write_questions(
            {"id": "good", "prompt": "Monday", "expect": {"contains": "Mon", "max_seconds": 60}},
            {"id": "bad", "prompt": "Sunday", "expect": {"contains": "Mon", "min_chars": 10}},
        )
        ended = batch(server.url, "--junit", "results.xml")
        assert (ended.returncode, ended.stderr) == (1, "")
        assert (
            ended.stdout
            == (
                "question  result  reason\n"
                "bad       unmet   contains: 'Mon' is not in the answer\n"
                "bad       unmet   min_chars: the answer has 6 characters, fewer than 10\n\n"
            )
            + SUMMARY
            + "2          1   1      0       0\n"
        )
        cases = ElementTree.parse("results.xml").getroot()[0]
        assert [(case.get("name"), case.get("classname"), [child.tag for child in case]) for case in cases] == [
            ("good", "questions", ["system-out"]),
            ("bad", "questions", ["failure", "system-out"]),
        ]
        assert not [name for name in os.listdir() if name.endswith(".part")]

    @pytest.mark.parametrize("junit", ["answers.jsonl", "./questions.jsonl", "linked.jsonl", "hard.jsonl"])
    def test_results_that_would_replace_the_answers_are_refused(self, junit: str, server: Server) -> None:
        ask_names("a")
        assert batch(server.url).returncode == 0
        Path("linked.jsonl").symlink_to(ANSWERS)
        os.link(ANSWERS, "hard.jsonl")
        before = Path(ANSWERS).read_bytes(), Path(QUESTIONS).read_bytes()
        ended = batch(server.url, "--junit", junit)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
        assert "--junit name the same file" in ended.stderr
        assert (Path(ANSWERS).read_bytes(), Path(QUESTIONS).read_bytes()) == before

    def test_junit_file_that_cannot_be_written_loses_no_answer(self, server: Server) -> None:
        if not os.path.exists("/dev/full"):
            pytest.skip("this system has no /dev/full")
        ask_names("a")
        ended = batch(server.url, "--junit", "/dev/full")
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
        assert "the results cannot be written to " in ended.stderr
        assert statuses() == [("a", "answered")]

    @pytest.mark.parametrize(
        ("path", "problem"), [("missing/results.xml", "No such file or directory"), (".", "Is a directory")]
    )
    def test_questions_are_asked_before_a_wrong_junit_file_is_noticed(
        self, path: str, problem: str, server: Server
    ) -> None:
        ask_names("a")
        ended = batch(server.url, "--junit", path)
        assert (ended.returncode, ended.stdout, asked(server)) == (1, "", [])
        assert ended.stderr == f"chatgpt4online: the results cannot be written to {path}: {problem}\n"

    def test_site_that_is_not_there_leaves_no_junit_file(self) -> None:
        with Server(site(echo)) as server:
            ask_names("ab")
            address = server.url
            batch(address)
        ask_names("abc")
        ended = batch(address, "--junit", "results.xml")
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
        suite = ElementTree.parse("results.xml").getroot()[0]
        assert [[child.tag for child in case] for case in suite] == [["system-out"], ["system-out"], ["error"]]
        error = suite[2][0]
        assert (error.get("type"), "connection refused" in str(error.text)) == ("NotAsked", True)


class TestFailures:
    def test_failure_is_stored_and_asked_again_in_the_next_run(self) -> None:
        broken = ["b"]

        def chat(peer: Peer, request: Received) -> None:
            if request.json["newMessage"] in broken:
                peer.send(streamed(live("Hel"), b'data: {"type":"error","data":"Oops!"}\n\n'))
            else:
                echo(peer, request)

        ask_names("abc")
        with Server(site(chat)) as server:
            ended = batch(server.url, "--concurrency", "1")
            assert (ended.returncode, ended.stderr) == (1, "")
            assert ended.stdout.splitlines()[1] == "b         failed  Oops!"
            record = read_answers()[1]
            assert (record["id"], record["status"], record["text"]) == ("b", "failed", "Hel")
            assert (record["error"]["error"], record["error"]["message"]) == ("ServerError", "Oops!")
            broken.clear()
            assert batch(server.url).returncode == 0
            assert asked(server) == ["a", "b", "c", "b"]
        assert statuses() == [("a", "answered"), ("b", "failed"), ("c", "answered"), ("b", "answered")]

    def test_answer_without_text_is_a_failure(self) -> None:
        ask_names("a")
        with Server(site(lambda peer, _: peer.send(streamed(end(""))))) as server:
            ended = batch(server.url)
        assert ended.returncode == 1
        assert "the answer has no text; usually the model failed" in ended.stdout
        assert statuses() == [("a", "failed")]

    def test_reached_limit_ends_the_run(self) -> None:
        ask_names()
        with serve_site("Hello", limit_after=2) as demo:
            ended = batch(demo.url, "--concurrency", "1")
            assert sum("submit" in request.path for request in demo.requests) == 3
        assert ended.returncode == 1
        assert statuses() == [("a", "answered"), ("b", "answered"), ("c", "failed")]
        assert ended.stdout.endswith(SUMMARY + "5          2   0      1       2\n")
        assert re.fullmatch(
            "chatgpt4online: stopped: 2 of 5 questions are answered in answers.jsonl, "
            "and the same command asks the others: .*limit.*\n",
            ended.stderr,
        )

    def test_busy_site_pauses_every_question(self) -> None:
        """The site asks for a second while another answer is under way. Nothing is sent within this second."""
        refused: list[float] = []
        go_on = threading.Event()
        arrivals: dict[str, list[float]] = {}

        def chat(peer: Peer, request: Received) -> None:
            name = request.json["newMessage"]
            arrivals.setdefault(name, []).append(time.monotonic())
            if name == "a" and not refused:
                refused.append(time.monotonic())
                peer.send(response(b"", "429 Too Many Requests", Retry_After="1"))
                return
            if name == "b":
                assert go_on.wait(SECONDS)
            echo(peer, request)

        ask_names("abcd")
        with Server(site(chat)) as server, started(server.url, "--concurrency", "2") as process:
            assert process.stderr.readline().startswith(b"waiting 1 s: HTTP 429")
            go_on.set()  # its task is free for the next question now
            assert (process.wait(), process.stderr.read()) == (0, b"")
        assert {name: len(times) for name, times in arrivals.items()} == {"a": 2, "b": 1, "c": 1, "d": 1}
        later = [arrivals["a"][1], *arrivals["c"], *arrivals["d"]]
        assert min(later) - refused[0] >= 1
        assert sorted(statuses()) == [(name, "answered") for name in "abcd"]

    def test_site_that_asks_for_a_long_time_ends_the_run(self) -> None:
        ask_names("abc")
        refusal = response(b"", "429 Too Many Requests", Retry_After="3600")
        with Server(site(lambda peer, _: peer.send(refusal))) as server:
            ended = batch(server.url, "--concurrency", "1")
            assert asked(server) == ["a"]
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
        assert "stopped: 0 of 3 questions" in ended.stderr
        assert "the site asks to wait 3600 s" in ended.stderr

    def test_broken_connection_is_tried_again(self) -> None:
        broken: list[str] = []

        def chat(peer: Peer, request: Received) -> None:
            if not broken:
                broken.append(request.route)
                peer.close()
            else:
                echo(peer, request)

        ask_names("a")
        with Server(site(chat)) as server:
            ended = batch(server.url)
            assert asked(server) == ["a", "a"]
        assert (ended.returncode, statuses()) == (0, [("a", "answered")])
        assert ended.stderr.startswith("waiting ")

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("breaking", "sent", "ends"),
        [
            ("ace", ["a"] * 3 + ["b"] + ["c"] * 3 + ["d"] + ["e"] * 3 + ["f"], ""),
            ("abcdef", ["a"] * 3 + ["b"] * 3 + ["c"] * 3, "stopped: 0 of 6 questions"),
        ],
        ids=["some questions", "the site"],
    )
    def test_broken_connections_end_the_run_only_if_no_question_is_answered(
        self, breaking: str, sent: list[str], ends: str
    ) -> None:
        def chat(peer: Peer, request: Received) -> None:
            if request.json["newMessage"] in breaking:
                peer.close()
            else:
                echo(peer, request)

        ask_names("abcdef")
        with Server(site(chat)) as server:
            ended = batch(server.url, "--concurrency", "1")
            assert asked(server) == sent
        assert ended.returncode == 1
        assert ("stopped" in ended.stderr, ends in ended.stderr) == (bool(ends), True)
        assert statuses() == [(name, "failed" if name in breaking else "answered") for name in dict.fromkeys(sent)]

    def test_site_without_a_chat_is_reported_before_any_question(self) -> None:
        ask_names()

        def script(peer: Peer) -> None:
            for _ in peer.requests():
                peer.send(response(b"", "404 Not Found"))

        with Server(script) as server:
            ended = batch(server.url)
            assert asked(server) == []
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
        assert read_answers() == []

    def test_answers_that_cannot_be_written_end_the_run(self, server: Server) -> None:
        write_questions(*({"id": name, "prompt": name * 3_000} for name in NAMES))
        limited = ["sh", "-c", 'ulimit -f 32; exec "$@"', "sh", *PROGRAM]  # at most 32 KiB, or 16 KiB
        command = [*limited, "batch", QUESTIONS, "-o", ANSWERS, "--site", server.url, "--concurrency", "1"]
        ended = subprocess.run(
            command, capture_output=True, text=True, env=environment_of(), timeout=SECONDS, check=False
        )
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr == "chatgpt4online: answers.jsonl cannot be written: File too large\n"
        whole = len(statuses())
        assert 0 < whole < 5
        assert len(asked(server)) == whole + 1
        assert batch(server.url).returncode == 0
        assert sorted(statuses()) == [(name, "answered") for name in NAMES]

    def test_closed_stdout_sends_no_question(self, server: Server) -> None:
        ask_names()
        ended = run_in_shell(">&-", "batch", QUESTIONS, "-o", ANSWERS, "--site", server.url)
        assert (ended.returncode, server.requests) == (1, [])
        assert ended.stderr == "chatgpt4online: the summary cannot be written: standard output is closed\n"


class TestPace:
    @pytest.mark.parametrize("most", [1, 3])
    def test_no_more_questions_are_under_way_than_allowed(self, most: int) -> None:
        lock, together = threading.Lock(), threading.Barrier(most)
        now, seen = [0], []

        def chat(peer: Peer, request: Received) -> None:
            with lock:
                now[0] += 1
                seen.append(now[0])
            together.wait(SECONDS)  # until so many are under way
            with lock:
                now[0] -= 1
            echo(peer, request)

        ask_names("abcdef")
        with Server(site(chat)) as server:
            assert batch(server.url, "--concurrency", str(most)).returncode == 0
        assert max(seen) == most

    def test_rate_keeps_questions_apart(self, server: Server) -> None:
        ask_names("abcd")
        began = time.monotonic()
        assert batch(server.url, "--rate", "300", "--concurrency", "4").returncode == 0
        assert time.monotonic() - began >= 3 * 60 / 300


class TestArguments:
    def test_every_malformed_line_is_reported_and_nothing_is_sent(self, server: Server) -> None:
        Path(QUESTIONS).write_text('{"id": "a", "prompt": "a"}\nhello\n{"id": "a", "prompt": "b"}\n')
        ended = batch(server.url)
        assert (ended.returncode, ended.stdout, server.requests) == (2, "", [])
        assert ended.stderr == (
            "chatgpt4online: questions.jsonl, line 2: it is not JSON: Expecting value at character 1\n"
            'chatgpt4online: questions.jsonl, line 3: "id" is a string: "a", which line 1 has too\n'
        )
        assert not Path(ANSWERS).exists()

    def test_many_malformed_lines_are_counted(self) -> None:
        ended = run_program("batch", "-", "-o", ANSWERS, "--demo", prompt=b"x\n" * 25)
        lines = ended.stderr.splitlines()
        assert (ended.returncode, len(lines)) == (2, 21)
        assert lines[19].startswith("chatgpt4online: standard input, line 20: ")
        assert lines[20] == "chatgpt4online: standard input has 5 more such lines"

    def test_messages_that_cannot_be_sent_are_reported_and_nothing_is_sent(self, server: Server) -> None:
        write_questions({"id": "a", "prompt": "a"}, {"id": "b", "messages": [{"role": "assistant", "content": "b"}]})
        ended = batch(server.url)
        assert (ended.returncode, ended.stderr.count("\n"), server.requests) == (2, 1, [])
        assert ended.stderr.startswith("chatgpt4online: questions.jsonl, line 2: the last message is the question")

    def test_changed_question_is_an_error_and_nothing_is_sent(self, server: Server) -> None:
        ask_names("ab")
        batch(server.url)
        before, stored = len(server.requests), Path(ANSWERS).read_bytes()
        write_questions({"id": "a", "prompt": "a"}, {"id": "b", "prompt": "another"}, {"id": "c", "prompt": "c"})
        ended = batch(server.url)
        assert (ended.returncode, len(server.requests), Path(ANSWERS).read_bytes()) == (2, before, stored)
        assert ended.stderr == (
            "chatgpt4online: questions.jsonl, line 2: 'b' has changed; use a new id or a new -o file\n"
        )

    def test_answers_of_another_bot_are_an_error(self, server: Server) -> None:
        ask_names("a")
        batch(server.url)
        ended = batch(server.url, "--bot", "support")
        assert (ended.returncode, asked(server)) == (2, ["a"])
        assert "'a' has an answer of the bot 'default', not of 'support'" in ended.stderr

    def test_each_answer_of_another_site_is_a_line(self, server: Server) -> None:
        ask_names("abc")
        batch(server.url)
        ended = run_program("batch", QUESTIONS, "-o", ANSWERS, "--demo")
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr == (
            f"chatgpt4online: questions.jsonl, line 1: 'a' has an answer of the site {server.url}, not of demo, "
            "and 2 more like it; use a new -o file\n"
        )

    def test_file_without_a_question_is_reported_as_a_line(self, server: Server) -> None:
        write_questions()
        assert batch(server.url).stderr == "chatgpt4online: questions.jsonl: it has no question\n"

    def test_environment_names_the_site_and_the_bot(self, server: Server) -> None:
        ask_names("a")
        env = {"CHATGPT4ONLINE_SITE": f"{server.url}/", "CHATGPT4ONLINE_BOT": "support"}
        ended = run_program("batch", QUESTIONS, "-o", ANSWERS, env=env)
        assert (ended.returncode, server.requests[-1].json["botId"]) == (0, "support")
        assert (read_answers()[0]["site"], read_answers()[0]["bot"]) == (server.url, "support")
        assert batch(server.url, "--bot", "support").returncode == 0
        assert asked(server) == ["a"]

    def test_page_gives_the_bot_and_its_limits(self) -> None:
        def answer(chat: Chat) -> str:
            return f"{chat.bot_id} heard {chat.message}"

        with serve_site(answer, bots=("default", Widget("support", max_length=5))) as demo:
            ask_names(["long", "longer"])
            ended = batch(demo.url, "--page", "/", "--bot", "support")
            assert (ended.returncode, sum("submit" in request.path for request in demo.requests)) == (2, 0)
            assert ended.stderr.startswith("chatgpt4online: questions.jsonl, line 2: the message has 6 characters")
            ask_names(["long"])
            assert batch(demo.url, "--page", "/", "--bot", "support").returncode == 0
        assert (read_answers()[0]["text"], read_answers()[0]["bot"]) == ("support heard long", "support")

    WRONG = {
        "no questions": (["batch", "-o", ANSWERS, "--demo"], "the following arguments are required: QUESTIONS.jsonl"),
        "no answers": (["batch", QUESTIONS, "--demo"], "the following arguments are required: -o/--output"),
        "no site": (["batch", QUESTIONS, "-o", ANSWERS], "no site is given"),
        "a missing file": (["batch", "x.jsonl", "-o", ANSWERS, "--demo"], "x.jsonl cannot be read: No such file or d"),
        "a folder": (["batch", ".", "-o", ANSWERS, "--demo"], ". cannot be read: Is a directory"),
        "the questions as answers": (
            ["batch", QUESTIONS, "-o", QUESTIONS, "--demo"],
            "QUESTIONS.jsonl and -o name the same file",
        ),
        "a folder of answers": (["batch", QUESTIONS, "-o", ".", "--demo"], ". cannot be opened: Is a directory"),
        "no concurrency": (["batch", QUESTIONS, "-o", ANSWERS, "--demo", "--concurrency", "0"], "a whole number above"),
        "half a rate": (["batch", QUESTIONS, "-o", ANSWERS, "--demo", "--rate", "0.5"], "a whole number above 0"),
        "another word": (["batch", QUESTIONS, "b.jsonl", "-o", ANSWERS, "--demo"], "unknown argument 'b.jsonl'"),
    }

    @pytest.mark.parametrize("name", WRONG)
    def test_wrong_argument_is_reported_in_one_line(self, name: str) -> None:
        ask_names("a")
        arguments, reason = self.WRONG[name]
        ended = run_program(*arguments)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("chatgpt4online: ")
        assert (reason in ended.stderr, ended.stderr.count("\n")) == (True, 1), ended.stderr
        assert read_answers() == [] if Path(ANSWERS).exists() else True

    def test_second_run_on_the_same_answers_is_refused(self) -> None:
        arrived, go_on = threading.Event(), threading.Event()

        def chat(peer: Peer, request: Received) -> None:
            arrived.set()
            assert go_on.wait(SECONDS)
            echo(peer, request)

        ask_names("a")
        with Server(site(chat)) as server, started(server.url) as process:
            assert arrived.wait(SECONDS)
            ended = batch(server.url)
            go_on.set()
            assert process.wait() == 0
            assert asked(server) == ["a"]
        assert (ended.returncode, ended.stderr) == (
            1,
            "chatgpt4online: answers.jsonl is in use: another batch is writing its answers there\n",
        )


@pytest.fixture
def _usual_ctrl_c() -> Iterator[None]:
    """Set the usual handler: tests that run in the background may ignore Ctrl-C, and processes inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


HOW_TO_CONTINUE = "questions are answered in answers.jsonl, and the same command asks the others\n"


@pytest.mark.usefixtures("_usual_ctrl_c")
class TestInterrupts:
    def test_first_ctrl_c_stores_the_answers_under_way(self) -> None:
        arrived, go_on = threading.Semaphore(0), threading.Event()

        def chat(peer: Peer, request: Received) -> None:
            arrived.release()
            assert go_on.wait(SECONDS)
            echo(peer, request)

        ask_names()
        with Server(site(chat)) as server:
            with started(server.url, "--concurrency", "2") as process:
                assert arrived.acquire(timeout=SECONDS)
                assert arrived.acquire(timeout=SECONDS)
                process.send_signal(signal.SIGINT)
                line = process.stderr.readline().decode()
                assert line == "waiting for the answers under way; press Ctrl-C again to cancel them\n"
                go_on.set()
                rest = process.stderr.read().decode()
                assert (process.wait(), process.stdout.read()) == (130, b"")
            assert rest == f"chatgpt4online: interrupted: 2 of 5 {HOW_TO_CONTINUE}"
            assert sorted(asked(server)) == ["a", "b"]
            assert batch(server.url).returncode == 0
            assert sorted(asked(server)) == NAMES

    def test_second_ctrl_c_cancels_them(self) -> None:
        arrived = threading.Event()

        def chat(peer: Peer, _: Received) -> None:
            arrived.set()
            peer.wait_for_close()

        ask_names()
        with Server(site(chat)) as server:
            with started(server.url, "--concurrency", "1") as process:
                assert arrived.wait(SECONDS)
                process.send_signal(signal.SIGINT)
                assert process.stderr.readline().startswith(b"waiting for the answers under way")
                process.send_signal(signal.SIGINT)
                assert process.stderr.read().decode() == f"chatgpt4online: interrupted: 0 of 5 {HOW_TO_CONTINUE}"
                assert process.wait() == 130
        assert read_answers() == []

    def test_ctrl_c_ends_a_pause_at_once(self) -> None:
        ask_names()
        refusal = response(b"", "429 Too Many Requests", Retry_After="500")
        with Server(site(lambda peer, _: peer.send(refusal))) as server:
            with started(server.url, "--concurrency", "1") as process:
                assert process.stderr.readline().startswith(b"waiting 8 min: HTTP 429")
                process.send_signal(signal.SIGINT)
                assert process.stderr.read().decode() == f"chatgpt4online: interrupted: 0 of 5 {HOW_TO_CONTINUE}"
                assert process.wait() == 130
            assert asked(server) == ["a"]


class TestTerminal:
    """The progress on the terminal of standard error."""

    def _screen(self, server: Server, columns: int, env: dict[str, str]) -> tuple[bytes, Ended]:
        """Return the output on a terminal of a size, and the end of the process."""
        ask_names()
        with terminal() as (user, program):
            fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            with started(server.url, stderr=program, env=env) as process:
                os.close(program)
                seen = read_terminal(user)
                ended = subprocess.CompletedProcess([], process.wait(), process.stdout.read().decode(), "")
        return seen, ended

    @pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
    @pytest.mark.parametrize("columns", [40, 80])
    def test_bar_fits_into_one_line(self, columns: int, term: str, server: Server) -> None:
        pytest.importorskip("rich", reason="the progress bar needs rich")
        pyte = pytest.importorskip("pyte", reason="the screen needs pyte")
        seen, ended = self._screen(server, columns, {"TERM": term})
        screen = pyte.Screen(columns, 24)
        pyte.Stream(screen).feed(seen.decode())
        shown = [line.rstrip() for line in screen.display if line.strip()]
        assert (ended.returncode, ended.stdout) == (0, SUMMARY + "5          5   0      0       0\n")
        if term == "dumb":  # it cannot move the cursor, so rich draws only the end
            return
        assert len(shown) == 1
        assert re.fullmatch(r"[━ ╸╺]+ 5/5 [\d.e+]+/min, 0 s left", shown[0]), shown

    def test_terminal_without_rich_gets_plain_lines(self, server: Server, tmp_path: Path) -> None:
        (tmp_path / "rich").mkdir()
        (tmp_path / "rich" / "__init__.py").write_text("raise ImportError\n")
        ask_names("a")
        batch(server.url)
        seen, ended = self._screen(server, 80, {"PYTHONPATH": str(tmp_path)})
        assert (ended.returncode, seen) == (0, b"1 of 5 questions are answered in answers.jsonl already\r\n")


def test_examples_of_the_help_work(server: Server) -> None:
    ask_names("ab")
    Path("some.jsonl").write_bytes(Path(QUESTIONS).read_bytes())
    script = re.sub("https?://example.org", server.url, examples_of("batch")).replace("--rate 10", "--rate 600")
    assert script.count("chatgpt4online batch") == 4
    ended = run_script(script)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == (SUMMARY + "2          2   0      0       0\n") * 4
    assert sorted(asked(server)) == ["a", "a", "b", "b"]


def test_line_of_the_help_is_a_question() -> None:
    line = re.search(r"^\{.*\}$", run_program("batch", "--help").stdout, re.MULTILINE)
    assert line is not None
    ended = run_program("batch", "-", "-o", ANSWERS, "--demo", prompt=line[0].encode())
    assert (ended.returncode, "contains: 'Monday' is not in the answer" in ended.stdout) == (1, True)


def test_help_loads_no_http_library() -> None:
    script = "import sys, chatgpt4online.cli as cli\ntry: cli.main(['batch', '--help'])\nexcept SystemExit: pass\n"
    script += "assert not {'requests', 'urllib3', 'ssl', 'h11', 'asyncio', 'rich'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)
