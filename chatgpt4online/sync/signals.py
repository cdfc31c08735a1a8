"""What a signal handler, which interrupts the main thread anywhere, can use without waiting for ever."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress


class Flag:
    """A flag that one thread waits for.

    It is set by any thread, or by a signal handler. The handler could wait for ever in ``threading.Event.set()``, which
    takes a lock that the interrupted thread may hold.
    """

    def __init__(self) -> None:
        self.is_set = False
        self._wakeups: queue.SimpleQueue[None] = queue.SimpleQueue()  # its put() may be interrupted by another put()

    def set(self) -> None:
        """Set the flag, and wake the thread that waits."""
        self.is_set = True
        self.wake()

    def wake(self) -> None:
        """Wake the thread that waits, without setting the flag."""
        self._wakeups.put(None)

    def pause(self, seconds: float | None) -> None:
        """Wait until the thread is woken, at most for some seconds. It may return earlier."""
        with suppress(queue.Empty):
            self._wakeups.get(timeout=seconds)

    def wait(self, seconds: float) -> bool:
        """Wait until the flag is set, at most for some seconds; return whether it is set."""
        end = time.monotonic() + seconds
        while not self.is_set and (left := end - time.monotonic()) > 0:
            self.pause(left)
        return self.is_set


class Sections:
    """The threads that are in a section of code that holds locks; ``with sections:`` is one, and they may be nested.

    Python runs a signal handler in the middle of what the main thread does. If the handler takes a lock that the
    interrupted code holds (urllib3's pools have such locks), it waits for ever. The same is true of ``__del__``, which
    the garbage collector calls at any time. :meth:`run` calls them at the end of the section instead. Each step here is
    a single operation of a built-in type, so that a handler can interrupt this class too.
    """

    def __init__(self) -> None:
        self._depths: dict[int, int] = {}  # of each thread that is in a section
        self._delayed: deque[Callable[[], object]] = deque()

    def __enter__(self) -> None:
        thread = threading.get_ident()
        self._depths[thread] = self._depths.get(thread, 0) + 1

    def __exit__(self, *error: object) -> None:
        thread = threading.get_ident()
        depth = self._depths[thread] - 1
        if depth:
            self._depths[thread] = depth
            return
        del self._depths[thread]
        while True:
            try:
                action = self._delayed.popleft()
            except IndexError:
                return
            self._call(action, thread)

    def run(self, action: Callable[[], object]) -> None:
        """Call ``action`` in a section: now, or at the end of the section that this thread is in."""
        if threading.get_ident() in self._depths:
            self._delayed.append(action)
        else:
            with self:
                action()

    def _call(self, action: Callable[[], object], thread: int) -> None:
        self._depths[thread] = 1
        try:
            action()
        finally:
            del self._depths[thread]
