"""Clients that are closed in a signal handler, which can interrupt the main thread between any two steps."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

from chatgpt4online import Client, InvalidState
from chatgpt4online.protocol import ChatError
from chatgpt4online.sync.signals import Flag, Sections

from ..support.server import LAST_CHUNK, Peer, Server, chunk, end, live, session_response, stream_head

HANG_SECONDS = 60  # seconds, for a process that would otherwise never end


class Sites:
    """A site whose every answer has two pieces."""

    def __call__(self, peer: Peer) -> None:
        for request in peer.requests():
            if request.route == "start_session":
                peer.send(session_response())
            else:
                peer.send(stream_head() + chunk(live("Hel"), live("lo"), end("Hello")) + LAST_CHUNK)


class Interrupt:
    """A trace function that calls ``handler`` once, before the line with the given number.

    Python runs a signal handler in the same way: in the main thread, between two instructions of it.
    """

    def __init__(self, line: int, handler: Callable[[], None]) -> None:
        self.left, self.handler = line, handler
        self.where = ""

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            self.left -= 1
            if self.left == 0:
                self.where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                self.handler()
        return self

    def run(self, client: Client) -> None:
        """Read one answer half, read another one whole, and drop the first."""
        sys.settrace(self)
        try:
            first = client.stream("one")
            next(first, None)
            client.ask("two")
            del first
        finally:
            sys.settrace(None)


def interrupt_everywhere(step: int) -> int:
    """Close a client before every ``step``-th line of two chats, and return the number of lines."""
    with Server(Sites()) as server:
        for line in range(1, 1_000_000, step):
            client = Client(server.url, retries=0)
            interrupt = Interrupt(line, client.close)
            with suppress(ChatError):  # the answer was not complete
                interrupt.run(client)
            client.close()
            assert not client._transport.sections._depths, interrupt.where
            assert not client._transport.sections._delayed, interrupt.where
            with pytest.raises(InvalidState, match="closed"):
                client.stream("again")
            if interrupt.left > 0:
                return line
    raise AssertionError("the chats have no end")


def run_here(function: str) -> subprocess.CompletedProcess[str]:
    """Run a function of this module in a process of its own, which is killed if it hangs."""
    code = f"import faulthandler; faulthandler.dump_traceback_later({HANG_SECONDS - 5}, exit=True); "
    code += f"from tests.clients import test_signals; print(test_signals.{function})"
    environment = os.environ | {"PYTHONWARNINGS": "error::ResourceWarning"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG_SECONDS, env=environment, check=False
    )


def test_close_in_a_handler_never_hangs() -> None:
    """At every 97th line that the main thread runs, in this package and in the libraries below it."""
    done = run_here("interrupt_everywhere(97)")
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 1_000


def closed_by_a_signal() -> str:
    """Wait for a silent site, and close the client in the handler of a signal."""

    def say_nothing(peer: Peer) -> None:
        for request in peer.requests():
            if request.route == "start_session":
                peer.send(session_response())
            else:
                os.kill(os.getpid(), signal.SIGTERM)
                peer.wait_for_close()

    with Server(say_nothing) as server, Client(server.url, retries=0) as client:
        signal.signal(signal.SIGTERM, lambda *_: client.close())
        try:
            client.ask("Hi")
        except InvalidState as error:
            return str(error)
    return "there was an answer"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_close_in_a_handler_ends_the_wait_for_the_site() -> None:
    done = run_here("closed_by_a_signal()")
    assert (done.returncode, done.stderr) == (0, "")
    assert "closed before its end" in done.stdout


def test_stream_that_is_collected_in_a_section_is_freed_after_it() -> None:
    with Server(Sites()) as server, Client(server.url) as client:
        stream = client.stream("Hi")
        next(stream)
        response: Any = stream._response
        with client._transport.sections:
            del stream
            gc.collect()
            assert client._transport.sections._delayed
        assert not client._transport.sections._delayed
        assert response is not None and response._response.raw.closed


class TestSections:
    """Blocks of code in which a thread may hold locks."""

    def test_action_runs_at_once_outside_of_a_section(self) -> None:
        done: list[str] = []
        Sections().run(lambda: done.append("a"))
        assert done == ["a"]

    def test_action_waits_for_the_end_of_the_outermost_section(self) -> None:
        sections, done = Sections(), []
        with sections:
            with sections:
                sections.run(lambda: done.append("a"))
            assert done == []
        assert done == ["a"]

    def test_many_actions_do_not_exceed_the_recursion_limit(self) -> None:
        """A client may have more streams than Python allows nested calls."""
        sections, done = Sections(), []
        count = sys.getrecursionlimit() + 10
        with sections:
            for number in range(count):
                sections.run(lambda number=number: done.append(number))
        assert done == list(range(count))

    def test_action_of_an_action_runs_too(self) -> None:
        sections, done = Sections(), []
        sections.run(lambda: sections.run(lambda: done.append("inner")))
        assert done == ["inner"]

    def test_error_of_an_action_leaves_the_section(self) -> None:
        sections = Sections()
        with pytest.raises(ZeroDivisionError), sections:
            sections.run(lambda: 1 / 0)
        assert not sections._depths

    def test_other_threads_do_not_wait(self) -> None:
        sections, done = Sections(), []
        with sections:
            thread = threading.Thread(target=sections.run, args=(lambda: done.append("a"),))
            thread.start()
            thread.join(20)
            assert done == ["a"]


class TestFlag:
    """A flag that a signal handler can set."""

    def test_wait_ends_when_it_is_set(self) -> None:
        flag = Flag()
        thread = threading.Thread(target=flag.set)
        thread.start()
        assert flag.wait(20)
        thread.join(20)

    def test_wake_does_not_end_the_wait_for_the_flag(self) -> None:
        flag = Flag()
        flag.wake()
        assert not flag.wait(0.01)
