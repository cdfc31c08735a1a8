"""Several processes that do the same work, and the first process, which replaces those that were killed."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import Any

from prometheus_client.multiprocess import mark_process_dead

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.1  # so soon a signal has an effect; the end of a process has it at once
_PAUSE_SECONDS = 0.5  # before a process is replaced, since one that is killed again and again would use a whole core
_EXTRA_SECONDS = 5.0  # the time after the drain in which a process closes its connections


class Workers:
    """Processes that call ``work``. ``folder`` has the metrics of all of them.

    uvicorn can start several processes too. Its socket lets the system collect small pieces of an answer for up to 40
    ms. It also keeps the gauges of killed processes, and ignores a second signal.
    """

    def __init__(self, work: Callable[..., None], arguments: tuple[Any, ...], count: int, folder: str) -> None:
        self._work = work
        self._arguments = arguments
        self._count = count
        self._folder = folder
        self._signals: list[int] = []
        self._processes: list[SpawnProcess] = []

    def run(self, listener: socket.socket, drain_seconds: float) -> list[int]:
        """Run the processes until SIGINT or SIGTERM, and close the listening socket.

        Return the signals. The first one lets the processes end their answers, and the second one kills them. Raises
        ChildProcessError if a process fails, which it does only when it starts.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda received, _: self._signals.append(received))
        with listener:
            try:
                while not self._signals:
                    self._replace()
                    wait([process.sentinel for process in self._processes], _POLL_SECONDS)
            finally:
                listener.close()
                self._end(time.monotonic() + drain_seconds + _EXTRA_SECONDS)
        return self._signals

    def _replace(self) -> None:
        """Start the processes that are missing."""
        for process in list(self._processes):
            code = process.exitcode  # asked once, since a process can end at any time
            if code is None:
                continue
            if code > 0:
                raise ChildProcessError(f"a process of the gateway failed with the exit status {code}")
            _log.warning("process %s ended (%s); another one replaces it", process.pid, code)
            mark_process_dead(process.pid, self._folder)  # type: ignore[no-untyped-call]
            self._processes.remove(process)
            time.sleep(_PAUSE_SECONDS)
        while len(self._processes) < self._count:
            process = multiprocessing.get_context("spawn").Process(target=_run, args=(self._work, self._arguments))
            self._start(process)
            self._processes.append(process)

    def _start(self, process: SpawnProcess) -> None:
        """Start a process. It inherits that SIGINT is blocked, which would interrupt its imports with a traceback."""
        if not hasattr(signal, "pthread_sigmask"):  # on Windows
            process.start()
            return
        resource_tracker.ensure_running()  # it would unblock the signal
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _end(self, deadline: float) -> None:
        """End the processes, and kill them after a second signal or at the deadline."""
        for process in self._processes:
            process.terminate()
        while alive := [process for process in self._processes if process.exitcode is None]:
            if len(self._signals) > 1 or time.monotonic() > deadline:
                for process in alive:
                    process.kill()
            wait([process.sentinel for process in alive], _POLL_SECONDS)


def _run(work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Do the work in a new process, which ends with the first one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process sends SIGTERM
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work(*arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
