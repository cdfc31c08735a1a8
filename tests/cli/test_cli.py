"""The command line, as a process and as a function."""

import io
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from chatgpt4online.cli import main

from ..support.behaviours import HELLO, streamed
from ..support.server import LAST_CHUNK, Server, chunk, end, live, response, says, site, stream_head


@pytest.fixture
def hello():
    with Server(site(says(streamed(*HELLO)))) as server:
        yield server


def test_an_answer_goes_to_stdout(hello, capsys):
    assert main(["Hi", "--site", hello.url, "--bot", "support"]) == 0
    assert capsys.readouterr() == ("Hello\n", "")
    assert (hello.requests[-1].json["newMessage"], hello.requests[-1].json["botId"]) == ("Hi", "support")


def test_the_prompt_comes_from_stdin(hello, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("From\nstdin"))
    assert main(["-", "--site", hello.url]) == 0
    assert hello.requests[-1].json["newMessage"] == "From\nstdin"


def test_a_line_end_is_not_doubled(capsys):
    with Server(site(says(streamed(live("Hi\n"), end("Hi"))))) as server:
        main(["Hi", "--site", server.url])
    assert capsys.readouterr().out == "Hi\n"


def test_events_as_lines_of_json(capsys):
    notice = live("Hm", subtype="thinking")
    with Server(site(says(streamed(notice, *HELLO)))) as server:
        assert main(["Hi", "--json", "--site", server.url]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["type"] for line in lines] == ["notice", "text", "text", "done"]
    assert lines[0]["kind"] == "thinking"
    assert lines[-1]["reply"]["text"] == "Hello"


NESTED = "[" * 600 + "]" * 600


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
    ids=["numbers that JSON has not", "600 levels", "secrets", "no secrets", "half a surrogate pair"],
)
@pytest.mark.parametrize("where", ["final object", "metadata", "unknown event"])
def test_whatever_a_site_sends_is_printed_as_json_without_secrets(sent, expected, where, capsys):
    written = {
        "final object": 'data: {"type":"end","data":{"success":true,"reply":"Hi",%s}}',
        "metadata": 'data: {"type":"live","subtype":"debug","data":"Hi","metadata":{%s}}',
        "unknown event": 'data: {"type":"ping",%s}',
    }[where]
    with Server(site(says(streamed((written % sent).encode() + b"\n\n", *HELLO)))) as server:
        assert main(["Hi", "--json", "--site", server.url]) == 0
    out = capsys.readouterr().out
    line = [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()][
        0 if where != "final object" else -1
    ]
    got = line["reply"]["raw"] if where == "final object" else line["metadata"]
    assert got.items() >= expected.items()
    assert "secret" not in out


def test_a_failure_as_json(capsys):
    refusal = response(b"<h1>Slow down</h1>", "429 Too Many Requests", Retry_After="99")
    with Server(site(says(refusal))) as server:
        assert main(["Hi", "--json", "--site", server.url]) == 1
    out, err = capsys.readouterr()
    line = json.loads(out)
    assert (line["type"], line["error"], line["status"], line["retry_after"]) == ("failed", "RateLimited", 429, 99.0)
    assert err.count("\n") == 1


@pytest.mark.parametrize(("options", "shown"), [([], ""), (["--notices"], "[thinking] Hm\n")])
def test_notices_are_shown_when_asked_for(options, shown, capsys):
    with Server(site(says(streamed(live("Hm", subtype="thinking"), *HELLO)))) as server:
        assert main(["Hi", "--site", server.url, *options]) == 0
    assert capsys.readouterr() == ("Hello\n", shown)


def test_an_error_is_one_line_on_stderr_behind_what_came(capsys):
    with Server(site(says(streamed(live("Hel"), b'data: {"type":"error","data":"Oops!\\nReally"}\n\n')))) as server:
        assert main(["Hi", "--site", server.url]) == 1
    assert capsys.readouterr() == ("Hel\n", "chatgpt4online: Oops! Really\n")


def test_wrong_arguments(capsys):
    assert main(["Hi", "--site", "nowhere"]) == 1
    assert "web address" in capsys.readouterr().err
    with pytest.raises(SystemExit) as raised:
        main([])
    assert raised.value.code == 2


def test_help_and_version(capsys):
    for option in ("--help", "--version"):
        with pytest.raises(SystemExit) as raised:
            main([option])
        assert raised.value.code == 0
    assert "--demo" in capsys.readouterr().out


def _run(*arguments, **options):
    command = [sys.executable, "-W", "error", "-m", "chatgpt4online", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def test_the_demo_streams_piece_by_piece():
    with _run("--demo", "--json", "Hello there") as process:
        lines = [json.loads(line) for line in process.stdout]
        assert process.wait(20) == 0, process.stderr.read()
    assert "".join(line["text"] for line in lines if line["type"] == "text") == lines[-1]["reply"]["text"]
    assert len(lines) > 3


def test_text_that_no_terminal_could_show_is_replaced():
    with Server(site(says(streamed(live("\u043f\ud83d"), end("x"))))) as server:
        environment = os.environ | {"PYTHONIOENCODING": "ascii"}
        with _run("Hi", "--site", server.url, env=environment) as process:
            assert process.stdout.read() == b"??\n"
            assert process.wait(20) == 0


@pytest.fixture
def hanging():
    """A site that says a first piece and then no more."""
    gone = threading.Event()

    def chat(peer, _):
        peer.send(stream_head() + chunk(live("Hel")))
        peer.wait_for_close()
        gone.set()

    with Server(site(chat)) as server:
        yield server
        assert gone.wait(10)


def test_ctrl_c_leaves_quietly(hanging):
    with _run("Hi", "--site", hanging.url) as process:
        assert process.stdout.read(3) == b"Hel"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == b""


def test_a_broken_pipe_is_quiet():
    go_on = threading.Event()

    def chat(peer, _):
        peer.send(stream_head() + chunk(live("Hel")))
        assert go_on.wait(10)
        peer.send(chunk(live("lo"), end("Hello")) + LAST_CHUNK)

    with Server(site(chat)) as server, _run("Hi", "--site", server.url) as process:
        assert process.stdout.read(3) == b"Hel"
        process.stdout.close()
        go_on.set()
        assert process.wait(20) == 141
        assert process.stderr.read() == b""


@pytest.mark.parametrize("redirection", [">&-", "> /dev/full", ">&- 2>&-"])
def test_output_that_cannot_be_written_is_told_in_one_line(redirection):
    if "full" in redirection and not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    command = f'"{sys.executable}" -m chatgpt4online --demo Hello {redirection}'
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    if "2>&-" not in redirection:
        assert run.stderr.startswith("chatgpt4online: the answer cannot be written: ")
        assert run.stderr.count("\n") == 1
