"""All discussions of a user, page by page, for asyncio."""

from __future__ import annotations

import threading
from collections import deque
from typing import Self

from ..operations import Operations
from ..protocol.calls.endpoints import Discussion
from ..protocol.parsing.errors import InvalidState
from .api import Perform


class AsyncDiscussions:
    """An iterator over all discussions of a user. It asks for a page when the page's first discussion is needed.

    It is a class, since a generator ends for good when it raises: the rest would be missing after a retry. It holds no
    connection between two pages.
    """

    def __init__(self, operations: Operations, perform: Perform, page_size: int) -> None:
        self._operations = operations
        self._perform = perform
        self._pages = operations.discussion_pages(page_size)
        self._ready: deque[Discussion] = deque()
        self._busy = threading.Lock()  # it is never waited for

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Discussion:
        if not self._busy.acquire(blocking=False):
            raise InvalidState("this iterator is being read already: it has one reader at a time")
        try:
            while not self._ready:
                if self._pages.over:
                    raise StopAsyncIteration
                page = await self._perform(self._operations.next_discussions(self._pages))
                self._ready.extend(self._pages.receive(page))
            return self._ready.popleft()
        finally:
            self._busy.release()
