"""The outputs of ``doctor``: text, JSON, the report, metrics, and the runs of ``--watch``."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatgpt4online import ServerError
from chatgpt4online.cli.doctor.command import COMMAND
from chatgpt4online.cli.doctor.findings import Finding, Fix
from chatgpt4online.cli.doctor.output import report, summary
from chatgpt4online.cli.doctor.textfile import metrics, write_textfile
from chatgpt4online.cli.files import replaced
from chatgpt4online.cli.streams import Failure
from chatgpt4online.testing import Chat

from ..site import serve_site
from ..support.front import Relayed, front
from ..support.program import PROGRAM, environment_of, read_terminal, run_in_shell, run_program, start_program, terminal
from ..support.server import Server

USERS = {"anna": "abcd EFGH ijkl MNOP qrst UVWX"}
TOKEN = "token-of-the-site"


class Site:
    """A running site with a login, a token and the public API. ``chats`` are the questions that it has answered."""

    def __init__(self) -> None:
        self.chats: list[Chat] = []
        self.answer: Callable[[Chat], Any] = lambda chat: "Hello"
        self.site = serve_site(self._answer, users=USERS, token=TOKEN)
        self.url = self.site.url

    def _answer(self, chat: Chat) -> Any:
        self.chats.append(chat)
        return self.answer(chat)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    with made.site:
        yield made


class TestText:
    def test_each_step_is_not_a_line(self, site: Site) -> None:
        ended = run_program("doctor", site.url)
        assert (ended.returncode, ended.stderr) == (0, "")
        *lines, empty, last, hint = ended.stdout.splitlines()
        assert [line.split()[:2] for line in lines] == [
            ["ok", "address:"],
            ["ok", "tls:"],
            ["ok", "rest:"],
            ["ok", "plugin:"],
            ["ok", "session:"],
            ["skipped", "nonce:"],
            ["ok", "bots:"],
            ["ok", "front:"],
            ["ok", "warnings:"],
        ]
        assert (empty, last) == ("", "healthy: no problem was found")
        assert hint == 'To check whether answers stream, add --ask "Count to 50 in words." It asks one question.'
        asked = run_program("doctor", site.url, "--ask", "Hello").stdout
        assert asked.splitlines()[-1] == "healthy: no problem was found"

    def test_problem_has_no_advice_and_no_lines(self, site: Site) -> None:
        def broken(answer: Relayed) -> Relayed:
            return answer.adding(b"<html>", "404 Not Found") if answer.has("/wp-json") else answer

        with Server(front(site.url, broken)) as server:
            ended = run_program("doctor", server.url)
        assert ended.returncode == 1
        assert "          -> The chat window uses the address that the page names." in ended.stdout
        assert "                     try_files $uri $uri/ /index.php?$args;\n" in ended.stdout
        assert ended.stdout.splitlines()[-1] == "not healthy: 1 problem"
        assert max(map(len, ended.stdout.splitlines())) <= 88

    @pytest.mark.parametrize("has_rich", [True, False])
    def test_text_of_a_site_controls_the_terminal(self, has_rich: bool, site: Site, tmp_path: Path) -> None:
        if not has_rich:
            (tmp_path / "rich.py").write_text("raise ImportError\n")

        def loud(answer: Relayed) -> Relayed:
            return answer.adding(b"\x1b]0;x\x07 Notice " + answer.body) if answer.has("session") else answer

        with Server(front(site.url, loud)) as server, terminal() as (user, program):
            env = {"PYTHONPATH": str(tmp_path)}
            with start_program("doctor", server.url, stdout=program, env=env) as process:
                os.close(program)
                shown = read_terminal(user)
                assert process.wait() == 1
        assert b"PHP prints warnings" in shown
        assert b"\x1b]0" not in shown

    @pytest.mark.parametrize("columns", [40, 80])
    @pytest.mark.parametrize("colours", [True, False])
    def test_lines_are_wider_than_the_terminal(self, columns: int, colours: bool, site: Site) -> None:
        if colours:
            pytest.importorskip("rich")
        env = {"TERM": "xterm"} | ({} if colours else {"NO_COLOR": "1"})
        with terminal() as (user, program):
            fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            with start_program("doctor", site.url, stdout=program, env=env) as process:
                os.close(program)
                shown = read_terminal(user).decode()
                assert (process.wait(), process.stderr.read()) == (0, b"")
        lines = re.sub(r"\x1b\[[\d;]*m", "", shown).splitlines()
        assert max(map(len, lines)) <= columns
        assert "healthy: no problem was found" in lines
        assert ("\x1b[32m" in shown) is colours

    def test_reader_that_closes_stdout_ends_the_program_quietly(self, site: Site) -> None:
        ended = run_in_shell('| head -n 1; echo "$?" >&2', "doctor", site.url)
        assert (ended.stdout.count("\n"), ended.stderr) == (1, "0\n")

    def test_log_shows_secrets(self, site: Site) -> None:
        ended = run_program("doctor", site.url, "-vv", "--ask", "Hello", "--token", TOKEN)
        assert "POST" in ended.stderr
        assert "chats/submit: HTTP 200" in ended.stderr
        assert not re.search(f"{TOKEN}|{site.site.nonce}|65f0", ended.stderr)


class TestReport:
    def test_report_shows_secrets(self, site: Site) -> None:
        site.answer = lambda chat: [ServerError("Wrong key sk-abcdefgh12345678 from 198.51.100.7.")]
        env = {
            "CHATGPT4ONLINE_SITE": site.url,
            "CHATGPT4ONLINE_USER": "anna",
            "CHATGPT4ONLINE_PASSWORD": USERS["anna"],
        }
        ended = run_program("doctor", "--report", "--ask", "Hello", "--header", "X-Key: header-secret", env=env)
        assert (ended.returncode, ended.stderr) == (1, "")
        sessions = {found for request in site.site.requests for found in re.findall("=([0-9a-f]{13})", str(request))}
        secrets = [USERS["anna"], "header-secret", site.site.nonce, "abcdefgh12345678", "198.51.100.7", *sessions]
        assert [secret for secret in secrets if secret in ended.stdout] == []
        assert ended.stdout.startswith(f"# Check of the chatbot at {site.url}\n\n")
        assert "| keys | problem |" in ended.stdout
        assert "## keys: problem" in ended.stdout

    @pytest.mark.parametrize("options", [["--report"], ["--json"], []], ids=["report", "JSON", "text"])
    def test_secret_that_the_site_prints_is_shown(self, options: list[str], site: Site) -> None:
        """A plugin prints the request and the answer into the answers, as plugins for debugging do."""
        secrets: set[str] = set()

        def printing(answer: Relayed) -> Relayed:
            names = "x-wp-nonce", "authorization", "x-key", "cookie"
            sent = [value for name in names if (value := answer.request.headers.get(name))]
            found = re.findall(r'"(?:restNonce|sessionId)":"(\w+)', answer.body.decode())
            secrets.update(re.sub("^.*[ =]", "", value) for value in sent)
            secrets.update(found)
            noise = " ".join(["Notice:", *sent, *found])
            return answer.adding(noise.encode() + answer.body) if answer.has("mwai/v1") else answer

        with Server(front(site.url, printing)) as server:
            ended = run_program("doctor", server.url, *options, "--token", TOKEN, "--header", "X-Key: header-secret")
        assert "Notice" in ended.stdout
        assert {TOKEN, "header-secret", site.site.nonce} < secrets
        assert [secret for secret in secrets if secret in ended.stdout] == []

    def test_text_of_a_site_changes_the_table(self) -> None:
        findings = [
            Finding("a", "problem", "x | y\n<b>*z*</b>", "Do `this`.", (Fix("nginx", "a_b", ("gzip off;",)),)),
            Finding("b", "ok", "fine", "Not shown."),
        ]
        text = report("https://example.org", findings, "2026-11-20 10:00 UTC")
        assert "| a | problem | x \\| y \\<b\\>\\*z\\*\\</b\\> |" in text
        assert "Do \\`this\\`." in text
        assert "**nginx**: a\\_b." in text
        assert "```\ngzip off;\n```" in text
        assert "Not shown" not in text

    @pytest.mark.parametrize(
        ("verdicts", "expected"),
        [
            (["ok", "unknown"], "healthy: no problem was found"),
            (["ok", "warning"], "healthy: 1 warning"),
            (["problem", "problem", "warning"], "not healthy: 2 problems, 1 warning"),
        ],
    )
    def test_last_line_counts_wrong(self, verdicts: list[Any], expected: str) -> None:
        assert summary([Finding("step", verdict, "") for verdict in verdicts]) == expected


def test_help_loads_an_http_library() -> None:
    script = "import sys, chatgpt4online.cli as cli\ntry: cli.main(['doctor', '--help'])\nexcept SystemExit: pass\n"
    script += "assert not {'requests', 'urllib3', 'ssl', 'h11', 'asyncio'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


class TestJson:
    def test_parameter_of_the_address_is_shown(self, site: Site) -> None:
        ended = run_program("doctor", f"{site.url}/?key=parameter", "--json")
        assert ended.returncode == 0
        assert "parameter" not in ended.stdout

    def test_object_has_other_fields(self, site: Site) -> None:
        ended = run_program("doctor", site.url, "--json", "--ask", "Hello", "--bot", "default")
        record = json.loads(ended.stdout)
        assert list(record) == ["site", "time", "seconds", "healthy", "findings"]
        assert record["site"] == site.url
        asked = next(finding for finding in record["findings"] if finding["step"] == "ask")
        assert list(asked) == ["step", "verdict", "seen", "advice", "fixes", "data"]
        assert {"head_seconds", "first_event_seconds", "last_event_seconds", "pieces", "reads"} <= asked["data"].keys()
        assert len(site.chats) == 1

    def test_bot_of_the_option_is_not_asked(self, site: Site) -> None:
        run_program("doctor", site.url, "--ask", "Hello", "--bot", "other")
        assert site.chats[-1].json["botId"] == "other"


METRIC = re.compile(r'[a-z0-9_]+\{[a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*\} -?[0-9.e+-]+')


class TestTextfile:
    def test_metric_is_malformed(self, site: Site, tmp_path: Path) -> None:
        path = tmp_path / "site.prom"
        ended = run_program("doctor", site.url, "--textfile", str(path), "--ask", "Hello")
        assert (ended.returncode, [file.name for file in tmp_path.iterdir()]) == (0, ["site.prom"])
        lines = path.read_text("utf-8").splitlines()
        assert all(line.startswith(("# HELP ", "# TYPE ")) or METRIC.fullmatch(line) for line in lines), lines
        label = f'site="{site.url}"'
        assert f"chatgpt4online_doctor_healthy{{{label}}} 1" in lines
        assert f'chatgpt4online_doctor_step{{{label},step="tls",verdict="ok"}} 1' in lines
        assert f'chatgpt4online_doctor_step{{{label},step="tls",verdict="problem"}} 0' in lines
        assert any(line.startswith("chatgpt4online_doctor_ask_first_event_seconds{") for line in lines)
        names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
        assert len(names) == len(set(names))

    def test_file_is_written_in_place(self, tmp_path: Path) -> None:
        path = tmp_path / "site.prom"
        path.write_text("old")
        with path.open() as reader:
            write_textfile(str(path), "new")
            assert reader.read() == "old"
        assert path.read_text() == "new"

    def test_two_programs_that_write_one_file_mix_or_fail(self, tmp_path: Path) -> None:
        path = tmp_path / "site.prom"
        other = tmp_path / "site.prom.part"
        other.write_text("a file of the user")
        with replaced(str(path), "the metrics") as first:
            first.write(b"first")
            with replaced(str(path), "the metrics") as second:
                second.write(b"second, which is longer")
            assert path.read_text() == "second, which is longer"
        assert path.read_text() == "first"
        assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
            "site.prom": "first",
            "site.prom.part": "a file of the user",
        }

    def test_folder_that_does_not_exist_is_not_named(self, site: Site, tmp_path: Path) -> None:
        path = tmp_path / "none" / "site.prom"
        ended = run_program("doctor", site.url, "--ask", "Hello", "--textfile", str(path))
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
        assert f"the metrics cannot be written to {path}: No such file or directory" in ended.stderr
        assert site.chats == []  # nobody pays for an answer whose measurements are lost

    def test_failed_write_leaves_a_file_behind(self, tmp_path: Path) -> None:
        (tmp_path / "site.prom").mkdir()
        with pytest.raises(Failure):
            write_textfile(str(tmp_path / "site.prom"), "new")
        assert [file.name for file in tmp_path.iterdir()] == ["site.prom"]

    def test_address_with_quotes_breaks_a_label(self) -> None:
        text = metrics('https://example.org/"\\', [Finding("tls", "ok", "", data={"expires": 5.0})], 1.5, 9.7, None)
        assert 'chatgpt4online_doctor_healthy{site="https://example.org/\\"\\\\"} 1' in text
        assert "certificate_expiry_timestamp_seconds" in text
        assert "chatgpt4online_doctor_last_run_timestamp_seconds" in text

    def test_problem_of_the_latest_answer_is_gone_after_the_next_run(self) -> None:
        asked = Finding("ask", "problem", "", data={"pieces": 3})
        lines = metrics("https://example.org", [Finding("tls", "ok", "")], 1.5, 9.7, asked).splitlines()
        assert 'chatgpt4online_doctor_healthy{site="https://example.org"} 0' in lines
        assert 'chatgpt4online_doctor_step{site="https://example.org",step="ask",verdict="problem"} 1' in lines
        again = metrics("https://example.org", [Finding("tls", "ok", ""), asked], 1.5, 9.7, asked).splitlines()
        assert again == lines


GUIDE = (Path(__file__).parent.parent.parent / "docs/guides/doctor.rst").read_text("utf-8")


class TestGuide:
    def test_line_for_cron_is_wrong(self, site: Site) -> None:
        """The line prints nothing for a healthy site, and the findings for another one."""
        (line,) = re.findall(r"^    \*/15 \* \* \* \* (.+)$", GUIDE, re.MULTILINE)
        line = line.replace("/opt/doctor/bin/chatgpt4online", shlex.join(PROGRAM))
        for address, shown in ((site.url, ""), (f"{site.url}/nothing.here", "\nnot healthy: 1 problem\n")):
            script = line.replace("https://example.org", address)
            command, env = ["sh", "-c", script], environment_of()
            ended = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
            assert ended.stdout.endswith(shown)
            assert bool(ended.stdout) == bool(shown)

    def test_unit_of_systemd_is_wrong(self, site: Site, tmp_path: Path) -> None:
        (line,) = re.findall(r"^    ExecStart=((?:.+\\\n)*.+)$", GUIDE, re.MULTILINE)
        program, *arguments = shlex.split(line.replace("https://example.org", site.url).replace("\\\n", " "))
        assert program == "/opt/doctor/bin/chatgpt4online"
        folder = "/var/lib/prometheus/node-exporter"
        with start_program(*(word.replace(folder, str(tmp_path)) for word in arguments)) as process:
            assert json.loads(process.stdout.readline())["healthy"] is True
            process.terminate()
            assert (process.wait(), process.stderr.read()) == (-signal.SIGTERM, b"")
        assert [path.name for path in tmp_path.iterdir()] == ["example.prom"]

    def test_alert_names_a_metric_that_does_not_exist(self, site: Site, tmp_path: Path) -> None:
        path = tmp_path / "site.prom"
        run_program("doctor", site.url, "--ask", "Hello", "--textfile", str(path))
        written = set(re.findall(r"^chatgpt4online_doctor_\w+", path.read_text("utf-8"), re.MULTILINE))
        named = set(re.findall(r"expr: .*?(chatgpt4online_doctor_\w+)", GUIDE))
        assert len(named) == 3
        assert named - written == {"chatgpt4online_doctor_certificate_expiry_timestamp_seconds"}  # needs TLS


class TestWatch:
    def test_run_without_a_question_asks_one(self, site: Site) -> None:
        with start_program("doctor", site.url, "--watch", "0.01") as process:
            records = [json.loads(process.stdout.readline()) for _ in range(3)]
            process.send_signal(signal.SIGINT)
            assert (process.wait(), process.stderr.read()) == (130, b"")
        assert [record["healthy"] for record in records] == [True] * 3
        assert all(finding["step"] != "ask" for record in records for finding in record["findings"])
        assert site.chats == []
        assert not [request.path for request in site.site.requests if re.search("submit|simple", request.path)]

    def test_question_is_asked_more_often_than_it_says(self, site: Site, tmp_path: Path) -> None:
        path = tmp_path / "site.prom"
        options = "--watch", "0.5", "--ask", "Hello", "--ask-every", "3600", "--textfile", str(path)
        with start_program("doctor", site.url, *options) as process:
            assert process.stderr.readline() == b"one question every 3600 s: 24 a day\n"
            records = [json.loads(process.stdout.readline())]
            assert "chatgpt4online_doctor_healthy{" in path.read_text("utf-8")  # the metrics of this line
            records += [json.loads(process.stdout.readline()) for _ in range(2)]
            process.send_signal(signal.SIGINT)
            assert (process.wait(), process.stderr.read()) == (130, b"")
        asked = [[finding["step"] for finding in record["findings"]].count("ask") for record in records]
        assert (asked, len(site.chats)) == ([1, 0, 0], 1)
        assert "ask_pieces" in path.read_text("utf-8")  # the latest answer counts until the next question

    def test_later_state_of_the_site_is_not_seen(self) -> None:
        broken: list[bool] = []

        def change(answer: Relayed) -> Relayed:
            return answer.adding(b"", "404 Not Found") if broken and answer.has("wp-json") else answer

        with serve_site() as site, Server(front(site.url, change)) as server:
            with start_program("doctor", server.url, "--watch", "0.01") as process:
                assert json.loads(process.stdout.readline())["healthy"] is True
                broken.append(True)
                lines = (json.loads(line) for line in process.stdout)
                found = next(record for record in lines if record["findings"][2]["verdict"] == "problem")
                assert (found["findings"][2]["step"], found["healthy"]) == ("rest", False)
                process.send_signal(signal.SIGINT)
                assert process.wait() == 130

    def test_ctrl_c_during_a_request_is_loud(self) -> None:
        with Server(lambda peer: peer.wait_for_close()) as server:
            with start_program("doctor", server.url) as process:
                while not server.connections:
                    pass
                process.send_signal(signal.SIGINT)
                assert (process.wait(), process.stderr.read()) == (130, b"")


WRONG = {
    "no site": ([], "no site is given"),
    "not an address": (["example"], "ADDRESS: a site is a web address"),
    "two addresses": (["https://example.org", "https://example.com"], "unknown argument"),
    "an unknown option": (["https://example.org", "--wait"], "unknown option --wait"),
    "an empty question": (["https://example.org", "--ask", " "], "--ask: the message is empty"),
    "JSON and a report": (["https://example.org", "--json", "--report"], "not allowed with"),
    "a report of a watch": (["https://example.org", "--watch", "5", "--report"], "--report does not go together"),
    "a watch of 0 seconds": (["https://example.org", "--watch", "0"], "a number of seconds above 0"),
    "a watch that would ask": (["https://example.org", "--watch", "5", "--ask", "Hi"], "needs --ask-every"),
    "a question for no watch": (["https://example.org", "--ask", "Hi", "--ask-every", "5"], "needs --watch and --ask"),
    "no question": (["https://example.org", "--watch", "5", "--ask-every", "5"], "needs --watch and --ask"),
    "too many questions": (
        ["https://example.org", "--watch", "5", "--ask", "Hi", "--ask-every", "4"],
        "at least as long as --watch",
    ),
    "a proxy of no kind": (["https://example.org", "--proxy", "x://y"], "proxy"),
    "a user without a password": (["https://example.org", "--user", "anna"], "no terminal can be asked"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_call_is_accepted(name: str) -> None:
    arguments, reason = WRONG[name]
    ended = run_program("doctor", *arguments)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert reason in ended.stderr


EXAMPLES = [line for line in COMMAND.examples.splitlines() if "--watch" not in line]


@pytest.mark.parametrize("line", EXAMPLES)
def test_example_of_the_help_fails(line: str, site: Site) -> None:
    _, *arguments = shlex.split(re.sub(r"https://example.org\S*", site.url, line.partition(" > ")[0]))
    env = {"CHATGPT4ONLINE_SITE": site.url, "CHATGPT4ONLINE_USER": "anna", "CHATGPT4ONLINE_PASSWORD": USERS["anna"]}
    ended = run_program(*arguments, env=env)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout


def test_watching_examples_are_refused(site: Site, tmp_path: Path) -> None:
    for line in set(COMMAND.examples.splitlines()) - set(EXAMPLES):
        _, *arguments = shlex.split(line.replace("https://example.org", site.url))
        arguments = [str(tmp_path / word) if word.endswith(".prom") else word for word in arguments]
        with start_program(*arguments) as process:
            assert json.loads(process.stdout.readline())["healthy"] is True
