"""The command line, as a process with real pipes, terminals and closed descriptors."""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import termios
import threading
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatgpt4online.cli import main
from chatgpt4online.cli.program import COMMANDS

from ..site import serve_site as site_in_a_directory
from ..support.behaviours import HELLO, streamed
from ..support.program import (
    SECONDS,
    examples_of,
    read_terminal,
    run_in_shell,
    run_program,
    run_script,
    start_program,
    terminal,
)
from ..support.server import LAST_CHUNK, Peer, Received, Server, chunk, end, live, response, says, site, stream_head

README = Path(__file__).parent.parent.parent / "README.rst"
LONG = "x" * 200_000  # more than a pipe holds

needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
needs_pipe_size = pytest.mark.skipif(
    not hasattr(fcntl, "F_GETPIPE_SZ"), reason="this system does not report the capacity of a pipe"
)


def _answering(*events: bytes) -> Server:
    return Server(site(says(streamed(*events))))


@pytest.fixture
def hello() -> Iterator[Server]:
    with _answering(*HELLO) as server:
        yield server


class TestAnswer:
    def test_text_goes_to_stdout(self, hello: Server) -> None:
        run = run_program("Hi", "--site", hello.url, "--bot", "support")
        assert (run.returncode, run.stdout, run.stderr) == (0, "Hello\n", "")
        assert (hello.requests[-1].json["newMessage"], hello.requests[-1].json["botId"]) == ("Hi", "support")

    def test_line_end_is_not_doubled(self) -> None:
        with _answering(live("Hi\n"), live(""), end("Hi")) as server:
            assert run_program("Hi", "--site", server.url).stdout == "Hi\n"

    def test_final_text_is_printed_after_white_space(self) -> None:
        with _answering(live(" "), end("Hello")) as server:
            run = run_program("Hi", "--site", server.url)
        assert (run.returncode, run.stdout) == (0, " Hello\n")

    def test_demo_streams_piece_by_piece(self) -> None:
        run = run_program("--demo", "--json", "Hello there")
        assert (run.returncode, run.stderr) == (0, "")
        lines = [json.loads(line) for line in run.stdout.splitlines()]
        assert "".join(line["text"] for line in lines if line["type"] == "text") == lines[-1]["reply"]["text"]
        assert len(lines) > 3

    @pytest.mark.parametrize(("options", "shown"), [([], ""), (["--notices"], "[thinking] Hm\n")])
    def test_notices_are_shown_only_with_their_option(self, options: list[str], shown: str) -> None:
        with _answering(live("Hm", subtype="thinking"), *HELLO) as server:
            run = run_program("Hi", "--site", server.url, *options)
        assert (run.returncode, run.stdout, run.stderr) == (0, "Hello\n", shown)

    def test_error_is_one_line_on_stderr_after_the_partial_text(self) -> None:
        with _answering(live("Hel"), b'data: {"type":"error","data":"Oops!\\nReally"}\n\n') as server:
            run = run_program("Hi", "--site", server.url)
        assert (run.returncode, run.stdout, run.stderr) == (1, "Hel\n", "chatgpt4online: Oops! Really\n")


NO_TEXT = {
    "an empty final text": ([end("")], "usually the model failed"),
    "no final text": ([end(None)], "usually the model failed"),
    "white space only": ([live(" \n"), end("")], "usually the model failed"),
    "a final object that PHP could not encode": (
        [b'data: {"type":"end","data":false}\n\n'],
        "usually the model failed",
    ),
    "only thinking": ([live("Hm", subtype="thinking"), end("")], "usually the model failed"),
    "an event that PHP could not encode": ([b"data: \n\n", end("")], "but parts that cannot be read; --json"),
    "a final text of another type": ([end(5)], "but parts that cannot be read; --json"),
    "a picture": ([end("", images=["https://example.org/a.png"])], "but images; --json"),
    "an action and a shortcut": (
        [
            end(
                "",
                actions=[{"type": "function", "data": {"name": "open", "args": []}}],
                shortcuts=[{"type": "message", "data": {"label": "Yes"}}],
            )
        ],
        "but actions and shortcuts; --json",
    ),
}


class TestNoText:
    @pytest.mark.parametrize("name", NO_TEXT)
    def test_answer_without_text_fails_with_a_reason(self, name: str) -> None:
        events, reason = NO_TEXT[name]
        with _answering(*events) as server:
            run = run_program("Hi", "--site", server.url)
        assert (run.returncode, run.stdout.strip()) == (1, "")
        assert run.stderr.startswith("chatgpt4online: the answer has no text")
        assert (reason in run.stderr, run.stderr.count("\n")) == (True, 1), run.stderr

    @pytest.mark.parametrize("name", NO_TEXT)
    def test_json_of_an_answer_without_text_is_printed(self, name: str) -> None:
        events, reason = NO_TEXT[name]
        with _answering(*events) as server:
            run = run_program("Hi", "--site", server.url, "--json")
        last = json.loads(run.stdout.splitlines()[-1])
        assert (run.returncode, last["type"], last["reply"]["text"].strip()) == (1, "done", "")
        assert (reason in run.stderr, run.stderr.count("\n")) == (True, 1), run.stderr


class TestJson:
    def test_events_are_lines_of_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        with _answering(live("Hm", subtype="thinking"), *HELLO) as server:
            assert main(["Hi", "--json", "--site", server.url]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [line["type"] for line in lines] == ["notice", "text", "text", "done"]
        assert lines[0]["kind"] == "thinking"
        assert lines[-1]["reply"]["text"] == "Hello"

    NESTED = "[" * 512 + "]" * 512  # the most levels that PHP writes

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [
            ('"a":NaN,"b":[Infinity,-Infinity,1.5]', {"a": None, "b": [None, None, 1.5]}),
            ('"a":' + NESTED, {"a": json.loads(NESTED)}),
            (
                '"restNonce":"secret-1","new_token":"secret-2","sessionId":"secret-3","a":{"sessionId":"secret-4"}',
                {"restNonce": "***", "new_token": "***", "sessionId": "***", "a": {"sessionId": "***"}},
            ),
            ('"sessionId":"","restNonce":null', {"sessionId": "", "restNonce": None}),
            (r'"a":"\ud800","b":[[],{},true]', {"a": "\ud800", "b": [[], {}, True]}),
        ],
        ids=["numbers that JSON does not have", "512 levels", "secrets", "no secrets", "a lone surrogate"],
    )
    @pytest.mark.parametrize("where", ["final object", "metadata", "unknown event"])
    def test_any_values_of_a_site_are_printed_as_json_without_secrets(
        self, sent: str, expected: dict[str, Any], where: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        written = {
            "final object": 'data: {"type":"end","data":{"success":true,"reply":"Hi",%s}}',
            "metadata": 'data: {"type":"live","subtype":"debug","data":"Hi","metadata":{%s}}',
            "unknown event": 'data: {"type":"ping",%s}',
        }[where]
        with _answering((written % sent).encode() + b"\n\n", *HELLO) as server:
            assert main(["Hi", "--json", "--site", server.url]) == 0
        out = capsys.readouterr().out
        line = [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()][
            0 if where != "final object" else -1
        ]
        got = line["reply"]["raw"] if where == "final object" else line["metadata"]
        assert got.items() >= expected.items()
        assert "secret" not in out

    @pytest.mark.parametrize("levels", [600, 900, 960, 980, 100_000])
    def test_values_nested_as_deeply_as_python_reads_are_not_printed(self, levels: int) -> None:
        sent = b'data: {"type":"end","data":{"success":true,"reply":"Hi","a":%s}}\n\n'
        with _answering(sent % (b"[" * levels + b"]" * levels), *HELLO) as server:
            run = run_program("Hi", "--json", "--site", server.url)
        assert (run.returncode, run.stderr) == (0, "")
        assert json.loads(run.stdout.splitlines()[-1])["type"] == "done"

    def test_failure_is_a_line_of_json(self) -> None:
        refusal = response(b"<h1>Slow down</h1>", "429 Too Many Requests", Retry_After="99")
        with Server(site(says(refusal))) as server:
            run = run_program("Hi", "--json", "--site", server.url)
        line = json.loads(run.stdout)
        assert (line["type"], line["error"], line["status"], line["retry_after"]) == (
            "failed",
            "RateLimited",
            429,
            99.0,
        )
        assert (run.returncode, run.stderr.count("\n")) == (1, 1)


class TestSite:
    NOWHERE = "http://127.0.0.1:1"

    def test_environment_names_the_site(self, hello: Server) -> None:
        assert run_program("Hi", env={"CHATGPT4ONLINE_SITE": hello.url}).stdout == "Hello\n"

    def test_argument_overrides_the_environment(self, hello: Server) -> None:
        run = run_program("Hi", "--site", hello.url, env={"CHATGPT4ONLINE_SITE": self.NOWHERE})
        assert (run.returncode, run.stdout, run.stderr) == (0, "Hello\n", "")

    @pytest.mark.parametrize("value", ["nowhere", NOWHERE])
    def test_demo_overrides_the_environment(self, value: str) -> None:
        run = run_program("Hi", "--demo", env={"CHATGPT4ONLINE_SITE": value})
        assert (run.returncode, run.stdout, run.stderr) == (0, "You said: Hi\n", "")

    @pytest.mark.parametrize("env", [{}, {"CHATGPT4ONLINE_SITE": ""}], ids=["not set", "empty"])
    def test_missing_site_is_an_error_that_names_all_three_ways_to_give_one(self, env: dict[str, str] | None) -> None:
        run = run_program("Hi", env=env)
        assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
        assert all(way in run.stderr for way in ("--site ADDRESS", "CHATGPT4ONLINE_SITE", "--demo"))

    @pytest.mark.parametrize("order", [["--site", NOWHERE, "--demo"], ["--demo", "--site", NOWHERE]])
    def test_demo_together_with_a_site_is_an_error(self, order: list[str]) -> None:
        run = run_program("Hi", *order)
        assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
        assert all(option in run.stderr for option in ("--site", "--demo", "not allowed with"))

    @pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
    def test_demo_ignores_the_proxy_of_the_environment(self, name: str) -> None:
        run = run_program("Hi", "--demo", env={name: self.NOWHERE, "NO_PROXY": "example.org"})
        assert (run.returncode, run.stdout, run.stderr) == (0, "You said: Hi\n", "")

    def test_demo_that_cannot_be_served_is_reported_in_one_line(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError("no loopback")

        monkeypatch.setattr(socket, "create_server", refuse)
        assert main(["Hi", "--demo"]) == 1
        assert capsys.readouterr() == ("", "chatgpt4online: no loopback\n")


WRONG = {
    "no prompt": (["--demo"], "no prompt is given: write it in quotes, or - "),
    "an empty prompt": (["", "--demo"], "the prompt is empty"),
    "a blank prompt": ([" \n", "--demo"], "the prompt is empty"),
    "nothing on stdin": (["-", "--demo"], "the prompt is empty"),
    "two words": (["Hello", "--demo", "world"], "the prompt is one argument, not 2: put it in quotes"),
    "a word that is not a command": (
        ["docter", "https://example.org"],
        "'docter' is not a command, and the prompt is one argument, not 2: put it in quotes (see chatgpt4online --h",
    ),
    "two words behind ask": (["ask", "Hello", "--demo", "you"], "chatgpt4online: the prompt is one argument, not 2"),
    "nothing": ([], "(see chatgpt4online --help)"),
    "a site for bots": (["bots", "--site", "https://example.org"], "unknown option --site; write the address alone"),
    "a site for doctor": (["doctor", "--site=https://example.org"], "; write the address alone"),
    "a demo for doctor": (["doctor", "--demo"], "; start a site with chatgpt4online serve-demo, and write its address"),
    "a demo for export": (["export", "--demo"], "unknown option --demo (see chatgpt4online export --help)"),
    "no site for export": (
        ["export"],
        "no site is given: add --site ADDRESS, or set the environment variable CHATGPT4ONLINE_SITE (see",
    ),
    "no site for doctor": (
        ["doctor"],
        "no site is given: add its address, or set the environment variable CHATGPT4ONLINE_SITE (see",
    ),
    "a missing file": (["Hello", "--demo", "--file", "none"], "the file cannot be read: No such file or directory: 'n"),
    "three words": (["Hello", "big", "world", "--demo"], "the prompt is one argument, not 3: put it in quotes"),
    "stdin and a word": (["-", "--demo", "Hello"], "the prompt is given twice"),
    "two words and stdin": (["Hello", "you", "--demo", "-"], "the prompt is given twice"),
    "an empty context": (["Hello", "--demo", "-"], "the context is empty"),
    "an abbreviated option": (["Hello", "--demo", "--notice"], "unknown option --notice"),
    "a header without a colon": (["Hello", "--demo", "--header", "X"], "a header is written as NAME:VALUE, not 'X'"),
    "a user without a terminal": (["Hello", "--demo", "--user", "anna"], "no terminal can be asked for the password"),
    "an unknown option": (["Hello", "--demo", "--loud"], "unknown option --loud"),
    "an option in place of the prompt": (["-x", "--demo"], "unknown option -x; a prompt that begins with -"),
    "an option without its value": (["Hello", "--site"], "argument --site: expected one argument"),
    "seconds that are a word": (
        ["Hello", "--demo", "--timeout", "soon"],
        "a number of seconds above 0 is expected, not 'soon'",
    ),
    "zero seconds": (["Hello", "--demo", "--timeout", "0"], "a number of seconds above 0 is expected, not '0'"),
    "seconds that are not a number": (["Hello", "--demo", "--timeout", "nan"], "a number of seconds above 0"),
    "a site without a scheme": (["Hello", "--site", "example.org"], "--site: a site is a web address such as"),
    "an empty site": (["Hello", "--site", ""], "--site: a site is a web address such as"),
    "a bot without a name": (["Hello", "--demo", "--bot", ""], "'default' always exists"),
    "a proxy without a host": (["Hello", "--demo", "--proxy", "http://"], "no usable proxy"),
    "a prompt that is not UTF-8": ([b"\xff", "--demo"], "the prompt is not UTF-8 text"),
    "a site that is not UTF-8": (["Hello", "--site", b"http://\xff"], "--site: a site is a web address such as"),
    "a bot that is not UTF-8": (["Hello", "--demo", "--bot", b"\xff"], "bot_id is a string"),
}


class TestArguments:
    @pytest.mark.parametrize("name", WRONG)
    def test_wrong_argument_is_reported_in_one_line(self, name: str) -> None:
        arguments, reason = WRONG[name]
        run = run_program(*arguments)
        assert (run.returncode, run.stdout) == (2, "")
        assert run.stderr.startswith("chatgpt4online: ")
        assert (reason in run.stderr, run.stderr.count("\n")) == (True, 1), run.stderr

    def test_error_for_a_wrong_site_in_the_environment_names_the_variable(self) -> None:
        run = run_program("Hi", env={"CHATGPT4ONLINE_SITE": "nowhere"})
        assert (run.returncode, run.stdout) == (2, "")
        assert run.stderr.startswith("chatgpt4online: CHATGPT4ONLINE_SITE: a site is a web address such as")

    def test_error_of_the_system_is_reported_with_its_number(self, tmp_path: Path) -> None:
        path = tmp_path / "none" / "a.json"
        run = run_program("Hi", "--demo", "--conversation", str(path))
        assert (run.returncode, run.stdout) == (1, "")
        assert run.stderr == f"chatgpt4online: {path}: No such file or directory\n"

    def test_guide_shows_another_demo(self) -> None:
        guide = (README.parent / "docs/guides/command-line.rst").read_text("utf-8")
        shown = re.search(r"^    \$ chatgpt4online serve-demo\n    (.+)\n", guide, re.MULTILINE)
        assert shown is not None
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = str(other.getsockname()[1])
        with start_program("serve-demo", "--port", port) as process:
            assert process.stdout.readline().decode() == shown[1].replace("8080", port) + "\n"
            process.send_signal(signal.SIGINT)
            assert (process.wait(), process.stderr.read()) == (130, b"")

    def test_port_in_use_is_not_explained(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            run = run_program("serve-demo", "--port", str(port))
        assert (run.returncode, run.stdout) == (1, "")
        assert run.stderr == f"chatgpt4online: the port {port} is in use; choose another one with --port\n"

    def test_prompt_after_two_hyphens_may_begin_with_a_hyphen(self) -> None:
        assert run_program("--demo", "--", "--help").stdout == "You said: --help\n"

    def test_prompt_between_options_is_read(self) -> None:
        assert run_program("--timeout", "30", "Hi", "--demo").stdout == "You said: Hi\n"

    def test_wrong_arguments_raise_system_exit(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as raised:
            main([])
        assert raised.value.code == 2
        assert "no prompt is given" in capsys.readouterr().err

    def test_argument_is_utf8_in_a_locale_that_cannot_decode_it(self) -> None:
        run = run_program("Hé".encode(), "--demo", env=ASCII)
        assert (run.returncode, run.stdout, run.stderr) == (0, "You said: Hé\n", "")


class TestHelp:
    @pytest.mark.parametrize("columns", ["40", "80", "200"])
    @pytest.mark.parametrize("command", ["", *(command.name for command in COMMANDS)])
    def test_help_fits_into_80_columns(self, command: str, columns: str) -> None:
        run = run_program(*command.split(), "--help", env={"COLUMNS": columns})
        assert (run.returncode, run.stderr) == (0, "")
        assert max(map(len, run.stdout.splitlines())) < 80
        assert "exit status:" in run.stdout
        last_screen = run.stdout.splitlines()[-23:]  # of a terminal with 24 lines, above the prompt
        assert "examples:" in last_screen
        assert ("  doctor      check a site" in "\n".join(last_screen)) == (command == "")

    def test_version_of_the_package_is_printed(self) -> None:
        from chatgpt4online._version import __version__

        run = run_program("--version")
        assert (run.returncode, run.stdout, run.stderr) == (0, f"chatgpt4online {__version__}\n", "")

    @pytest.mark.parametrize("command", ["", *(command.name for command in COMMANDS)])
    def test_help_loads_no_http_library(self, command: str) -> None:
        script = f"import sys, chatgpt4online.cli as cli\ntry: cli.main([*{command!r}.split(), '--help'])\n"
        script += "except SystemExit: pass\n"
        script += "unused = {'requests', 'urllib3', 'ssl', 'h11', 'asyncio', 'rich', 'prompt_toolkit', 'shtab'}\n"
        script += "assert not unused & set(sys.modules), unused & set(sys.modules)"
        subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def _commands_of_help() -> str:
    return examples_of("ask")


def _command_to_try() -> str:
    """Return the command of the README that `.ci/run` runs from the built wheel."""
    found = re.search(
        r"^    python3 .*\.venv/bin/(python -m chatgpt4online .*\n)", README.read_text("utf-8"), re.MULTILINE
    )
    assert found is not None
    return found[1]


@pytest.mark.parametrize("commands", [_commands_of_help, _command_to_try])
def test_documented_command_works(commands: Callable[[], str], hello: Server, tmp_path: Path) -> None:
    script = commands()
    assert "chatgpt4online " in script
    script = re.sub("https?://example.org", hello.url, script).replace("python -m chatgpt4online", "chatgpt4online")
    for name in ("question.txt", "log.txt"):
        (tmp_path / name).write_text("What is a nonce?\n")
    run = run_script(script, tmp_path)
    assert (run.returncode, run.stderr) == (0, ""), script
    assert run.stdout.count("\n") >= script.count("chatgpt4online ")


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LOCALES = {
    "C": {"LC_ALL": "C"},
    "C without the UTF-8 mode": ASCII,
    "a latin-1 locale": None,  # see the fixture
    "latin-1": {"PYTHONIOENCODING": "latin-1:strict"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "utf-16": {"PYTHONIOENCODING": "utf-16"},
}


@pytest.fixture(scope="module")
def latin_1_locale(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a locale with ISO-8859-1. It is built here, since few systems have one."""
    place, name = tmp_path_factory.mktemp("locales"), "en_US.ISO-8859-1"
    if shutil.which("localedef") is None:
        pytest.skip("this system has no localedef, which builds a locale")
    made = subprocess.run(
        ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(place / name)], capture_output=True, check=False
    )
    environment = {"LOCPATH": str(place), "LC_ALL": name}
    script = "import locale; print(locale.getpreferredencoding())"
    used = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | environment, capture_output=True, check=False
    )
    if made.returncode or used.stdout.decode().strip().upper() != "ISO-8859-1":
        pytest.skip("this system cannot build a locale with ISO-8859-1")
    return environment


@pytest.fixture(params=LOCALES)
def locale(request: pytest.FixtureRequest) -> Any:
    return LOCALES[request.param] or request.getfixturevalue("latin_1_locale")


# Text, a lone surrogate, and a notice with both. PHP sends no lone surrogate, but code of a site may.
ODD = live("Hé \u4f60"), live("\ud83d"), live("Hé\ud83d", subtype="thinking"), end("x")


class TestEncoding:
    def test_pipes_are_utf8_in_every_locale(self, locale: dict[str, str]) -> None:
        with _answering(*ODD) as server:
            run = run_program("-", "--site", server.url, "--notices", prompt="Grüße \u4f60\n".encode(), env=locale)
            assert server.requests[-1].json["newMessage"] == "Grüße \u4f60\n"
        assert (run.returncode, run.stdout, run.stderr) == (0, "Hé \u4f60?\n", "[thinking] Hé?\n")

    def test_error_on_a_pipe_is_utf8_in_every_locale(self, locale: dict[str, str]) -> None:
        with _answering(b'data: {"type":"error","data":"H\\u00e9 \\u4f60\\ud83d"}\n\n') as server:
            run = run_program("Hi", "--site", server.url, env=locale)
        assert (run.returncode, run.stdout, run.stderr) == (1, "", "chatgpt4online: Hé \u4f60\ufffd\n")

    def test_json_on_a_pipe_is_ascii(self, locale: dict[str, str]) -> None:
        with _answering(*ODD) as server:
            run = run_program("Hi", "--site", server.url, "--json", env=locale)
        assert (run.returncode, run.stdout.isascii(), run.stderr) == (0, True, "")
        assert [json.loads(line).get("text") for line in run.stdout.splitlines()][:2] == ["Hé \u4f60", "\ud83d"]

    def test_byte_order_mark_is_not_part_of_the_prompt(self, hello: Server) -> None:
        run_program("-", "--site", hello.url, prompt=b"\xef\xbb\xbfHi")
        assert hello.requests[-1].json["newMessage"] == "Hi"

    @pytest.mark.parametrize(
        ("prompt", "where"),
        [
            (b"Hi\n\xff", "line 2 of standard input has the byte 0xff"),
            ("Hi".encode("utf-16"), "line 1"),
            (b"H\xc3", "0xc3"),
        ],
        ids=["a wrong byte", "UTF-16", "an incomplete character"],
    )
    def test_prompt_that_is_not_utf8_is_an_error_that_names_the_place(
        self, prompt: bytes, where: str, hello: Server
    ) -> None:
        run = run_program("-", "--site", hello.url, prompt=prompt)
        assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
        assert "the prompt is not UTF-8 text: " in run.stderr
        assert where in run.stderr
        assert hello.requests == []


class TestTerminal:
    @pytest.mark.parametrize(
        ("encoding", "seen"),
        [("utf-8", "Hé \u4f60?\r\n"), ("latin-1:strict", "Hé ??\r\n"), ("ascii", "H? ??\r\n")],
    )
    def test_output_has_the_encoding_of_the_terminal(self, encoding: str, seen: str) -> None:
        with _answering(*ODD) as server, terminal() as (user, program):
            environment = {"PYTHONIOENCODING": encoding}
            with start_program("Hi", "--site", server.url, env=environment, stdout=program) as process:
                os.close(program)
                assert read_terminal(user) == seen.encode(encoding.partition(":")[0])
                assert (process.wait(), process.stderr.read()) == (0, b"")

    def test_output_has_the_encoding_of_the_locale(self, latin_1_locale: dict[str, str]) -> None:
        with _answering(*ODD) as server, terminal() as (user, program):
            with start_program("Hi", "--site", server.url, "--notices", env=latin_1_locale, stdout=program) as process:
                os.close(program)
                assert read_terminal(user) == b"H\xe9 ??\r\n"
                assert (process.stderr.read(), process.wait()) == ("[thinking] Hé?\n".encode(), 0)

    def test_errors_and_notices_have_the_encoding_of_the_terminal(self) -> None:
        failure = b'data: {"type":"error","data":"H\\u00e9 \\u4f60\\ud83d"}\n\n'
        with _answering(*ODD[:-1], failure) as server, terminal() as (user, program):
            environment = {"PYTHONIOENCODING": "latin-1:strict"}
            with start_program("Hi", "--site", server.url, "--notices", env=environment, stderr=program) as process:
                os.close(program)
                assert read_terminal(user) == b"[thinking] H\xe9?\r\nchatgpt4online: H\xe9 ??\r\n"
                assert process.wait() == 1

    @pytest.mark.parametrize(
        ("encoding", "typed", "prompt"),
        [
            ("utf-8", b"H\xc3\xa9\xff\n", "Hé\ufffd\n"),
            ("latin-1:strict", b"H\xe9\n", "Hé\n"),
            ("ascii", b"H\xe9\n", "H\ufffd\n"),
        ],
    )
    def test_typed_prompt_has_the_encoding_of_the_terminal(
        self, encoding: str, typed: bytes, prompt: str, hello: Server
    ) -> None:
        with terminal() as (user, program):
            environment = {"PYTHONIOENCODING": encoding}
            with start_program("-", "--site", hello.url, env=environment, stdin=program) as process:
                os.write(user, typed + b"\x04")  # Ctrl-D
                assert (process.stderr.read(), process.wait()) == (b"", 0)
        assert hello.requests[-1].json["newMessage"] == prompt

    def test_control_characters_are_replaced_only_on_a_terminal(self) -> None:
        with _answering(live("a\x1b[31mb\x9bc"), end("x")) as server:
            with terminal() as (user, program), start_program("Hi", "--site", server.url, stdout=program) as process:
                os.close(program)
                assert read_terminal(user).decode() == "a\ufffd[31mb\ufffdc\r\n"
                assert process.wait() == 0
            assert run_program("Hi", "--site", server.url).stdout == "a\x1b[31mb\x9bc\n"

    @pytest.mark.parametrize("is_terminal", [True, False])
    def test_control_characters_on_stderr_are_replaced_everywhere(self, is_terminal: bool) -> None:
        failure = b'data: {"type":"error","data":"d\\u001b[31me"}\n\n'
        with _answering(live("a\x1b[31mb\x9bc", subtype="thinking"), failure) as server, terminal() as (user, program):
            stderr = program if is_terminal else subprocess.PIPE
            with start_program("Hi", "--site", server.url, "--notices", stderr=stderr) as process:
                os.close(program)
                seen = (read_terminal(user) if is_terminal else process.stderr.read()).decode()
        assert seen.splitlines() == ["[thinking] a\ufffd[31mb\ufffdc", "chatgpt4online: d\ufffd[31me"]


CLOSED_INPUT = "the prompt cannot be read: standard input is closed"
FULL = "cannot be written: No space left on device"
CLOSED_OUTPUT = "cannot be written: standard output is closed"
STREAMS = {
    # redirection, arguments, exit status, message on stderr (None: stderr cannot be written)
    "stdin closed": ("<&-", ["-", "--demo"], 1, CLOSED_INPUT),
    "stdin closed, but not used": ("<&-", ["Hi", "--demo"], 0, ""),
    "stdin open only for writing": ("0>> log", ["-", "--demo"], 1, "the prompt cannot be read: Bad file descriptor"),
    "stdin and stdout closed": ("<&- >&-", ["-", "--demo"], 1, f"the answer {CLOSED_OUTPUT}"),
    "stdout closed": (">&-", ["Hi", "--demo"], 1, f"the answer {CLOSED_OUTPUT}"),
    "stdout closed, JSON": (">&-", ["Hi", "--demo", "--json"], 1, f"the answer {CLOSED_OUTPUT}"),
    "stdout closed, help": (">&-", ["--help"], 1, f"--help {CLOSED_OUTPUT}"),
    "stdout closed, version": (">&-", ["--version"], 1, f"--version {CLOSED_OUTPUT}"),
    "stdout full": ("> /dev/full", ["Hi", "--demo"], 1, f"the answer {FULL}"),
    "stdout full, JSON": ("> /dev/full", ["Hi", "--demo", "--json"], 1, f"the answer {FULL}"),
    "stdout full, help": ("> /dev/full", ["--help"], 1, f"--help {FULL}"),
    "stdout full, version": ("> /dev/full", ["--version"], 1, f"--version {FULL}"),
    "stdout and stderr full": ("> /dev/full 2>&1", ["Hi", "--demo"], 1, None),
    "stdout and stderr closed": (">&- 2>&-", ["Hi", "--demo"], 1, None),
    "stderr full, wrong argument": ("2> /dev/full", ["--loud"], 2, None),
    "stderr closed, wrong argument": ("2>&-", ["--loud"], 2, None),
    "stderr full, wrong prompt": ("2> /dev/full", ["", "--demo"], 2, None),
    "stderr full, help": ("2> /dev/full", ["--help"], 0, None),
    "all closed": ("<&- >&- 2>&-", ["Hi", "--demo"], 1, None),
}


class TestStreams:
    @pytest.mark.parametrize("env", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
    @pytest.mark.parametrize("name", STREAMS)
    def test_failed_stream_is_reported_in_at_most_one_line(
        self, name: str, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        redirection, arguments, status, message = STREAMS[name]
        if "/dev/full" in redirection and not os.path.exists("/dev/full"):
            pytest.skip("this system has no /dev/full")
        monkeypatch.chdir(tmp_path)
        run = run_in_shell(redirection, *arguments, env=env)
        assert run.returncode == status
        assert run.stderr == (f"chatgpt4online: {message}\n" if message else "")

    @pytest.mark.skipif(sys.platform == "win32", reason="a directory cannot be opened")
    def test_directory_as_stdin_prints_no_traceback(self) -> None:
        """Python itself reports the directory before the program starts."""
        run = run_in_shell("< /", "-", "--demo")
        assert (run.returncode, run.stdout) == (1, "")
        assert "Traceback" not in run.stderr
        assert "directory" in run.stderr

    def test_closed_stdout_sends_no_question(self, hello: Server) -> None:
        assert run_in_shell(">&-", "Hi", "--site", hello.url).returncode == 1
        assert hello.requests == []

    @needs_full
    @pytest.mark.parametrize("redirection", ["2>&-", "2> /dev/full"])
    def test_only_notices_are_lost_if_stderr_cannot_be_written(self, redirection: str) -> None:
        with _answering(live("Hm", subtype="thinking"), *HELLO) as server:
            run = run_in_shell(redirection, "Hi", "--site", server.url, "--notices")
        assert (run.returncode, run.stdout) == (0, "Hello\n")

    def test_only_notices_are_lost_if_the_reader_of_stderr_closes_it(self) -> None:
        with _answering(live("Hm", subtype="thinking"), *HELLO) as server:
            with start_program("Hi", "--site", server.url, "--notices") as process:
                process.stderr.close()
                assert (process.stdout.read(), process.wait()) == (b"Hello\n", 0)

    @pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "JSON"])
    def test_reader_that_closes_stdout_ends_the_program_quietly(self, options: list[str]) -> None:
        go_on = threading.Event()

        def chat(peer: Peer, _: Received) -> None:
            peer.send(stream_head() + chunk(live("Hel")))
            assert go_on.wait(SECONDS)
            peer.send(chunk(live("lo"), end("Hello")) + LAST_CHUNK)

        with Server(site(chat)) as server, start_program("Hi", "--site", server.url, *options) as process:
            assert b"Hel" in os.read(process.stdout.fileno(), 65_536)
            process.stdout.close()
            go_on.set()
            assert (process.wait(), process.stderr.read()) == (141, b"")

    @pytest.mark.parametrize("arguments", [["Hi", "--demo"], ["Hi", "--demo", "--json"], ["--help"], ["--version"]])
    def test_stdout_without_a_reader_ends_the_program_quietly(self, arguments: list[str]) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        with start_program(*arguments, stdout=writer) as process:
            os.close(writer)
            assert (process.wait(), process.stderr.read()) == (141, b"")

    def test_reader_that_closes_stdout_and_stderr_ends_the_program_quietly(self) -> None:
        run = run_in_shell('2>&1 | head -n 1; echo "$?" >&2', "Hello there", "--demo", "--json", "--notices")
        assert (json.loads(run.stdout)["type"], run.stderr) == ("text", "0\n")

    def test_nonblocking_stdin_is_read_to_its_end(self, hello: Server) -> None:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        with start_program("-", "--site", hello.url, stdin=reader) as process:
            while process.poll() is None and not os.get_blocking(reader):
                pass
            os.write(writer, b"Hi")
            os.close(writer)
            assert (process.stderr.read(), process.wait()) == (b"", 0)
        assert hello.requests[-1].json["newMessage"] == "Hi"
        assert not os.get_blocking(reader)  # the program restores the mode: other processes may share this end
        os.close(reader)

    @needs_pipe_size
    def test_nonblocking_stdout_gets_the_whole_answer(self) -> None:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        with _answering(live(LONG), end(LONG)) as server, open(reader, "rb") as output:
            with start_program("Hi", "--site", server.url, stdout=writer) as process:
                _wait_until_full(output, process)
                os.close(writer)
                assert (output.read(), process.stderr.read(), process.wait()) == (f"{LONG}\n".encode(), b"", 0)


def _wait_until_full(pipe: Any, process: Any) -> None:
    """Return when a pipe is full, or when the process that writes to it has ended."""
    capacity, waiting = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ), array("i", [0])
    while waiting[0] < capacity and process.poll() is None:
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)


@pytest.fixture
def hanging() -> Iterator[Server]:
    """Yield a site that sends a first piece and then waits; check that the client closes the connection."""
    gone = threading.Event()

    def chat(peer: Peer, _: Received) -> None:
        peer.send(stream_head() + chunk(live("Hel")))
        peer.wait_for_close()
        gone.set()

    with Server(site(chat)) as server:
        yield server
        assert gone.wait(SECONDS)


@pytest.mark.parametrize("option", ["--first-byte-timeout", "--idle-timeout", "--timeout"])
def test_time_limit_is_named_as_the_option(option: str) -> None:
    def chat(peer: Peer, _: Received) -> None:
        if option != "--first-byte-timeout":
            peer.send(stream_head() + chunk(live("Hel")))
        peer.wait_for_close()

    with Server(site(chat)) as server:
        run = run_program("Hi", "--site", server.url, option, "0.5")
    assert (run.returncode, run.stderr.count("\n")) == (1, 1)
    assert f"within 0.5 s; raise {option} if the site needs longer" in run.stderr


class TestSignals:
    def test_ctrl_c_ends_the_program_quietly(self, hanging: Server) -> None:
        with start_program("Hi", "--site", hanging.url) as process:
            assert process.stdout.read(3) == b"Hel"
            process.send_signal(signal.SIGINT)
            assert (process.wait(), process.stderr.read()) == (130, b"")

    def test_ctrl_c_ends_the_demo_quietly(self) -> None:
        with start_program("word " * 100, "--demo") as process:
            assert process.stdout.read(3) == b"You"
            process.send_signal(signal.SIGINT)
            assert (process.wait(), process.stderr.read()) == (130, b"")

    def test_ctrl_c_ends_the_line_of_a_terminal(self, hanging: Server) -> None:
        with terminal() as (user, program), start_program("Hi", "--site", hanging.url, stdout=program) as process:
            os.close(program)
            assert os.read(user, 3) == b"Hel"
            process.send_signal(signal.SIGINT)
            assert read_terminal(user) == b"\r\n"
            assert (process.wait(), process.stderr.read()) == (130, b"")

    def test_ctrl_c_while_the_prompt_is_read_is_quiet(self, hello: Server) -> None:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)  # the program makes it blocking when it begins to read
        with start_program("-", "--site", hello.url, stdin=reader) as process:
            while process.poll() is None and not os.get_blocking(reader):
                pass
            process.send_signal(signal.SIGINT)
            assert (process.wait(), process.stderr.read()) == (130, b"")
        os.close(reader)
        os.close(writer)
        assert hello.requests == []

    def test_ctrl_c_during_the_import_of_the_client_is_quiet(self, tmp_path: Path) -> None:
        (tmp_path / "requests.py").write_text("import os, signal\nos.write(1, b'importing')\nsignal.pause()\n")
        with start_program("Hi", "--site", "http://127.0.0.1:1", env={"PYTHONPATH": str(tmp_path)}) as process:
            assert process.stdout.read(9) == b"importing"
            process.send_signal(signal.SIGINT)
            assert (process.wait(), process.stderr.read()) == (130, b"")

    def test_second_ctrl_c_during_the_exit_is_quiet(self, tmp_path: Path) -> None:
        script = "import atexit, os, signal\n"
        script += (
            "atexit.register(lambda: (os.write(2, b'exit'), signal.pause()))\nsignal.raise_signal(signal.SIGINT)\n"
        )
        (tmp_path / "requests.py").write_text(script)
        with start_program("Hi", "--site", "http://127.0.0.1:1", env={"PYTHONPATH": str(tmp_path)}) as process:
            assert process.stderr.read(4) == b"exit"
            process.send_signal(signal.SIGINT)
            assert (process.wait(), process.stderr.read()) == (-signal.SIGINT, b"")

    @needs_pipe_size
    @pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "JSON"])
    def test_ctrl_c_ends_a_program_whose_reader_has_stopped_reading(self, options: list[str]) -> None:
        # Pieces of 1,024 bytes fill each page of the pipe, and wait in Python's own buffer when the pipe is full.
        piece = "x" * (1_024 - (len('{"type": "text", "text": ""}\n') if options else 0))
        pieces = [live(piece)] * 200
        with _answering(*pieces, end()) as server, start_program("Hi", "--site", server.url, *options) as process:
            _wait_until_full(process.stdout, process)
            process.send_signal(signal.SIGINT)
            assert (process.wait(), process.stderr.read()) == (130, b"")

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
    def test_other_signals_end_the_process_as_the_shell_expects(self, number: signal.Signals, hanging: Server) -> None:
        with start_program("Hi", "--site", hanging.url) as process:
            assert process.stdout.read(3) == b"Hel"
            process.send_signal(number)
            assert (process.wait(), process.stdout.read(), process.stderr.read()) == (-number, b"", b"")


@pytest.mark.parametrize("end", ["", "/", "/wp-json"])
@pytest.mark.parametrize("command", ["bots", "chat"])
def test_home_page_of_a_site_in_a_directory_is_not_found(command: str, end: str) -> None:
    with site_in_a_directory("Hello", path="/blog") as site:
        ended = run_program(command, prompt=b"Hi\n", env={"CHATGPT4ONLINE_SITE": site.url + end})
        assert (ended.returncode, ended.stderr) == (0, "")
        assert site.requests[0].path.rstrip("/") == "/blog"
