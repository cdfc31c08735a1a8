"""The program as a process, with real pipes, shells and terminals."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

Ended = subprocess.CompletedProcess[str]

PROGRAM = [sys.executable, "-W", "error", "-m", "chatgpt4online"]
SECONDS = 60  # a wait takes about one second; the limit only ends a test that has failed


def environment_of(**changes: str) -> dict[str, str]:
    """Return the environment of the tests, without the variables that the command line reads, and with changes."""
    ignored = r"(?i)CHATGPT4ONLINE_|PYTHON(IOENCODING|UTF8|COERCECLOCALE|UNBUFFERED)|LC_|LANG|COLUMNS|LINES|.*_proxy"
    ignored += "|TERM|NO_COLOR|FORCE_COLOR|XDG_STATE_HOME"
    kept = {name: value for name, value in os.environ.items() if not re.match(ignored, name)}
    return kept | {"LC_ALL": "C.UTF-8"} | changes


@contextmanager
def start_program(*arguments: str | bytes, env: dict[str, str] | None = None, **streams: Any) -> Iterator[Any]:
    """Start the program with pipes, or with the given streams. It is killed at the end of the block."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    with subprocess.Popen([*PROGRAM, *arguments], env=environment_of(**env or {}), **streams) as process:
        ends = threading.Timer(SECONDS, process.kill)  # then a test that waits for the process fails
        ends.start()
        try:
            yield process
        finally:
            ends.cancel()
            process.kill()


def run_program(*arguments: str | bytes, prompt: bytes = b"", env: dict[str, str] | None = None) -> Ended:
    """Run the program with pipes, and return its exit status and its output, decoded as UTF-8."""
    command = [*PROGRAM, *arguments]
    ended = subprocess.run(
        command, input=prompt, capture_output=True, timeout=SECONDS, check=False, env=environment_of(**env or {})
    )
    return _decoded(ended)


def run_in_shell(redirection: str, *arguments: str, env: dict[str, str] | None = None) -> Ended:
    """Run the program in a shell that redirects its streams; return its exit status and its output."""
    command = ["sh", "-c", f'"$@" {redirection}', "sh", *PROGRAM, *arguments]
    ended = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
        env=environment_of(**env or {}),
    )
    return _decoded(ended)


def examples_of(command: str) -> str:
    """Return the examples in the help of a command, as a script for a shell."""
    return textwrap.dedent(run_program(command, "--help").stdout.partition("examples:\n")[2].partition("\n\n")[0])


def run_script(script: str, folder: Path | None = None, env: dict[str, str] | None = None) -> Ended:
    """Run a script of a shell that calls the program by its name; return its exit status and its output."""
    program = f'chatgpt4online() {{ {shlex.join(PROGRAM)} "$@"; }}\nset -eu\n'
    ended = subprocess.run(
        ["sh", "-c", program + script],
        cwd=folder,
        env=environment_of(**env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    return _decoded(ended)


def _decoded(ended: subprocess.CompletedProcess[bytes]) -> Ended:
    return subprocess.CompletedProcess(ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode())


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Yield the two descriptors of a terminal: the end of its user, and the end of a program."""
    user, program = os.openpty()
    try:
        yield user, program
    finally:
        for descriptor in (user, program):
            with suppress(OSError):
                os.close(descriptor)


def read_terminal(user: int) -> bytes:
    """Return the output of a program on a terminal, once the program has closed it."""
    seen = b""
    with suppress(OSError):  # Linux reports the end as an error
        while data := os.read(user, 65_536):
            seen += data
    return seen
