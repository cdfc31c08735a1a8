"""The order in which the pages of a list of discussions are asked for. Source: protocol section 1.6."""

from __future__ import annotations

from .endpoints import Discussion, DiscussionPage

_MOST_CHANGES = 3  # changes of the total in a row that are followed without a new discussion; a wrong total has no end


class DiscussionPages:
    """The pages of a list that can change while it is read, without any I/O.

    ``size`` is the number of discussions to ask for. Ask for the page at :attr:`offset`, and pass it to
    :meth:`receive`, until :attr:`over` is true. A site may send more or fewer rows than asked, repeat rows, ignore the
    offset, and send a wrong total or none. Each discussion is returned once. The list ends with a page without a row,
    and with a page that has only known discussions where unknown ones were expected.

    The total is used only when it changes. If discussions were added, the next pages may have only known ones. If some
    were deleted, unknown ones moved to positions that were read before, so the list is read again from there. A wrong
    total costs some requests, but hides no discussion.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.offset: int = 0
        self.over: bool = False
        self._known: set[str] = set()
        self._total: int | None = None
        self._reached = 0  # the position after the last row that was read
        self._moved_to = 0  # the position to which additions have moved the first unknown discussion
        self._steps_back = 0  # in a row, without a new discussion
        self._known_rows = 0  # in a row, at positions that were not read before

    def receive(self, page: DiscussionPage) -> list[Discussion]:
        """Return the discussions of the page at :attr:`offset` that no earlier page had."""
        new = list({item.chat_id: item for item in page.discussions if item.chat_id not in self._known}.values())
        self._known.update(item.chat_id for item in new)
        if new:
            self._steps_back = self._known_rows = 0
        start, end = self.offset, self.offset + page.rows
        moved = self._change_of_total(page.total)
        self._moved_to = max(self._moved_to, start) + max(moved, 0)
        if moved < 0 and start and self._steps_back < _MOST_CHANGES:
            self._steps_back += 1
            self.offset = max(0, start + moved)
        else:
            self.offset = end
            self.over = not page.rows or (not new and start >= self._reached and not self._expects_known(page.rows))
        self._reached = max(self._reached, end)
        return new

    def _change_of_total(self, total: int | None) -> int:
        """Store the total of a page, and return by how much it has grown."""
        before, self._total = self._total, self._total if total is None else total
        return 0 if total is None or before is None else total - before

    def _expects_known(self, rows: int) -> bool:
        """Return whether additions explain a page of only known rows at the end of those that were read before."""
        self._known_rows += rows
        return self._known_rows <= _MOST_CHANGES * len(self._known) and self.offset <= self._moved_to
