"""A flag and a delay for actions that a signal handler can use without a deadlock.

Python runs a signal handler in the main thread, between any two steps of the code there. A lock that the handler needs
may be held by the code that it interrupts. Then the handler would never end.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress


class Flag:
    """A flag that one thread waits for, and that any thread or a signal handler can set.

    ``threading.Event`` cannot be used here. Its ``set()`` acquires a lock that the interrupted code may hold.
    """

    def __init__(self) -> None:
        self.is_set: bool = False
        self._wakeups: queue.SimpleQueue[None] = queue.SimpleQueue()  # its put() is reentrant

    def set(self) -> None:
        """Set the flag, and wake the waiting thread."""
        self.is_set = True
        self.wake()

    def wake(self) -> None:
        """Wake the waiting thread without setting the flag."""
        self._wakeups.put(None)

    def pause(self, seconds: float | None) -> None:
        """Wait until the thread is woken, for at most ``seconds``; None waits without a limit.

        It may return earlier, since an earlier ``wake()`` counts too.
        """
        with suppress(queue.Empty):
            self._wakeups.get(timeout=seconds)

    def wait(self, seconds: float) -> bool:
        """Wait until the flag is set, for at most ``seconds``. Return whether it is set."""
        end = time.monotonic() + seconds
        while not self.is_set and (left := end - time.monotonic()) > 0:
            self.pause(left)
        return self.is_set


class Sections:
    """The threads that are inside code that may hold locks, such as those of urllib3's pools.

    ``with sections:`` marks such code; the blocks may be nested. A signal handler passes its action to :meth:`run`. If
    it has interrupted such a block, the action is called at the end of the block, when the locks are free. ``__del__``
    uses it too, since the garbage collector can call it between any two steps. Each step in this class is a single
    operation of a built-in type, so a handler can also interrupt this class.
    """

    def __init__(self) -> None:
        self._depths: dict[int, int] = {}  # by thread, how many blocks it is inside
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
        while self._delayed:
            try:
                action = self._delayed.popleft()
            except IndexError:  # another thread was faster
                return
            self._call(action, thread)

    def run(self, action: Callable[[], object]) -> None:
        """Call ``action`` now, or at the end of the outermost block that this thread is inside."""
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
