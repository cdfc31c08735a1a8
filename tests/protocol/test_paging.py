"""The pages of a list of discussions: with any server, each discussion is returned once, and the list ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online.protocol.calls.endpoints import Discussion, DiscussionPage
from chatgpt4online.protocol.calls.paging import DiscussionPages

from ..support.exchanges import discussion_page, sent_json
from ..support.strategies import php
from .test_calls import SITE, ready

MOST_PAGES = 1_000  # more than any list here needs

MOST_WITH_WRONG_TOTALS = 40  # when all pages have the same rows

Change = Callable[["Server"], None]


@dataclass
class Server:
    """A site with a list of chat ids. ``cap`` is the most rows that it sends; ``total`` returns the total that it says.

    ``ignores`` has the names of the fields that the site does not read.
    """

    ids: list[str]
    cap: int = 1_000
    total: Callable[[Server], Any] = lambda server: str(len(server.ids))
    ignores: frozenset[str] = frozenset()
    asked: list[tuple[int, int]] = field(default_factory=list)

    def page(self, offset: int, limit: int) -> DiscussionPage:
        """Return a page, as the client reads it from the JSON of the answer."""
        call = discussion_page(SITE, ready(), {"botId": "default"}, offset, limit)
        request = call.next_request()
        assert request is not None
        fields = sent_json(request)
        self.asked.append((fields["offset"], fields["limit"]))
        start = 0 if "offset" in self.ignores else fields["offset"]
        size = min(self.cap, len(self.ids) if "limit" in self.ignores else fields["limit"])
        answer = {"success": True, "chats": [{"chatId": name} for name in self.ids[start : start + size]]}
        total = self.total(self)
        call.receive_response(200, {})
        call.receive_data(php(answer if total is None else answer | {"total": total}).encode())
        call.receive_eof()
        return call.result()


def read(server: Server, size: int, change: Change = lambda server: None) -> list[str]:
    """Return the chat ids of all pages. ``change`` is called after each page."""
    pages, found = DiscussionPages(size), []
    while not pages.over:
        found += [item.chat_id for item in pages.receive(server.page(pages.offset, pages.size))]
        assert len(server.asked) < MOST_PAGES, "the list does not end"
        change(server)
    return found


def names(count: int, first: str = "c") -> list[str]:
    return [f"{first}{number}" for number in range(count)]


counts = st.integers(0, 40)
sizes = st.integers(1, 12)
totals: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.integers(-5, 10**30), st.sampled_from(["", "x", "0", "-3", "7", "9" * 5000, 1.5, True, [], {}])
)
ignored = st.frozensets(st.sampled_from(["limit"]))


@given(count=counts, size=sizes, cap=sizes, said=st.lists(totals, max_size=8), ignores=ignored)
def test_a_discussion_is_missing_repeated_or_out_of_order(
    count: int, size: int, cap: int, said: list[Any], ignores: frozenset[str]
) -> None:
    """The site may cap or ignore the limit, and send another wrong total with each page."""
    script = iter(said)
    server = Server(names(count), cap, lambda server: next(script, None), ignores)
    assert read(server, size) == names(count)


@given(count=counts, size=sizes, cap=sizes)
def test_right_total_costs_more_requests_than_pages(count: int, size: int, cap: int) -> None:
    server = Server(names(count), cap)
    assert read(server, size) == names(count)
    rows = min(size, cap)
    assert [start for start, _ in server.asked] == [*range(0, count, rows), count]
    assert {limit for _, limit in server.asked} == {size}


@given(count=counts, size=sizes, said=st.lists(totals, max_size=30))
def test_list_of_a_server_that_repeats_its_first_page_does_not_end(count: int, size: int, said: list[Any]) -> None:
    """Also if the total changes with each page."""
    script = iter(said)
    server = Server(names(count), total=lambda server: next(script, None), ignores=frozenset({"offset"}))
    assert read(server, size) == names(count)[:size]
    assert len(server.asked) <= MOST_WITH_WRONG_TOTALS


@given(pages=st.lists(st.tuples(st.lists(st.sampled_from(names(12))), totals), max_size=30), size=sizes)
def test_any_pages_repeat_a_discussion_or_do_not_end(pages: list[tuple[list[str], Any]], size: int) -> None:
    """The rows and the totals of each page are random."""
    script = iter(pages)
    server = Server([])

    def total(server: Server) -> Any:
        return said[0]

    said: list[Any] = [None]
    server.total = total
    found: list[str] = []
    reader = DiscussionPages(size)
    sent: set[str] = set()
    while not reader.over:
        ids, said[0] = next(script, ([], None))
        server.ids = [*[""] * reader.offset, *ids]  # the page begins at the offset
        server.ignores = frozenset({"limit"})
        page = server.page(reader.offset, reader.size)
        sent |= {item.chat_id for item in page.discussions}
        found += [item.chat_id for item in reader.receive(page)]
    assert len(found) == len(set(found))
    assert set(found) == sent


@given(count=counts, size=sizes, gone=st.lists(st.sets(st.integers(0, 40)), max_size=3))
def test_deletions_meanwhile_hide_a_discussion(count: int, size: int, gone: list[set[int]]) -> None:
    """The reader deletes some of the discussions that it has, as a program that cleans up does."""
    server, seen, rounds = Server(names(count)), list[str](), iter(gone)
    pages = DiscussionPages(size)
    while not pages.over:
        seen += [item.chat_id for item in pages.receive(server.page(pages.offset, pages.size))]
        deleted = {seen[number] for number in next(rounds, ()) if number < len(seen)}
        server.ids = [name for name in server.ids if name not in deleted]
    assert sorted(seen) == sorted(names(count))


def test_reader_that_deletes_every_discussion_leaves_one() -> None:
    server, seen = Server(names(95)), list[str]()
    pages = DiscussionPages(10)
    while not pages.over:
        for item in pages.receive(server.page(pages.offset, pages.size)):
            seen.append(item.chat_id)
            server.ids.remove(item.chat_id)
    assert (sorted(seen), server.ids) == (sorted(names(95)), [])


@given(count=counts, size=sizes, added=st.lists(st.integers(0, 15), max_size=3))
def test_additions_meanwhile_hide_a_discussion(count: int, size: int, added: list[int]) -> None:
    """New discussions come first, so they move all others to later positions."""
    numbers = iter(added)

    def add(server: Server) -> None:
        server.ids = [*names(next(numbers, 0), f"new{len(server.ids)}-"), *server.ids]

    found = read(Server(names(count)), size, add)
    assert [name for name in found if name in names(count)] == names(count)
    assert len(set(found)) == len(found)


def test_discussion_that_is_asked_again_moves_to_the_front_and_hides_no_other() -> None:
    """The site lists the latest change first."""

    def touch(server: Server) -> None:
        server.ids.sort(key=lambda name: name != "c3")

    assert read(Server(names(25)), 10, touch) == names(25)


def test_rows_without_a_chat_id_end_the_list() -> None:
    """They count as rows, so the page after them is asked for."""
    pages = DiscussionPages(2)
    pages.receive(DiscussionPage([Discussion("a"), Discussion("b")], 2, None))
    pages.receive(DiscussionPage([Discussion("c")], 2, None))
    assert pages.offset == 4


@pytest.mark.parametrize(
    ("total", "number"),
    [("12", 12), (12, 12), ("0", 0), (None, None), ("", None), ("-1", None), (-1, None), (True, None), (1.0, None),
     ("٣", None), ("9" * 19, None), (10**18, None), ([], None)],
)  # fmt: skip
def test_total_is_misread(total: Any, number: int | None) -> None:
    assert Server(["a"], total=lambda server: total).page(0, 1).total == number
