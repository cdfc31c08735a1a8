"""The order in which the pages of a list of discussions are asked for. Source: protocol section 1.6."""

from __future__ import annotations

from .endpoints import Discussion, DiscussionPage


class DiscussionPages:
    """The pages of a list that can change while it is read, without any I/O.

    ``size`` is the number of discussions to ask for. Ask for the page at :attr:`offset`, and pass it to
    :meth:`receive`, until :attr:`over` is true. A site may send more or fewer rows than asked, repeat rows, ignore the
    offset, and send a wrong total or none. Each discussion is returned once. The list ends with a page without a row,
    and with a page that holds only known discussions.

    New discussions move the others to later positions, and deleted ones to earlier positions. A change of the total
    shows this. Then the pages are read again from where the unknown discussions now begin. The total is used for
    nothing else. Such a step is made once for each page with a new discussion, and covers at most as many rows as were
    read before. So a wrong total costs a few requests, and the list still ends.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.offset = 0
        self.over = False
        self._known: set[str] = set()
        self._total: int | None = None
        self._may_adjust = False  # whether a new discussion arrived since the last change of the total
        self._known_until = 0  # pages that begin before this position may hold only known discussions

    def receive(self, page: DiscussionPage) -> list[Discussion]:
        """Return the discussions of the page at :attr:`offset` that no earlier page had."""
        found = {item.chat_id: item for item in reversed(page.discussions) if item.chat_id not in self._known}
        new = list(reversed(found.values()))
        self._known.update(found)
        start, self.offset = self.offset, self.offset + page.rows
        steps_back = self._follow_total(page, start)
        self.over = not steps_back and (not page.rows or (not new and start >= self._known_until))
        self._may_adjust = self._may_adjust or bool(new)
        return new

    def _follow_total(self, page: DiscussionPage, start: int) -> bool:
        """Adjust the positions to a total that has changed. Return whether the next page lies before this one."""
        moved = page.total - self._total if page.total is not None and self._total is not None else 0
        self._total = self._total if page.total is None else page.total
        if not moved or not self._may_adjust:
            return False
        self._may_adjust = False
        if moved > 0:
            self._known_until = max(self._known_until, start + min(moved, start))
            return False
        self._known_until = max(self._known_until, self.offset)
        self.offset = max(0, start + moved)
        return True
