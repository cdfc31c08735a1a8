"""All discussions of a user, the search of a site and conversations as Markdown, with both clients."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

from chatgpt4online import (
    AsyncClient,
    ConnectionFailed,
    InvalidState,
    NotAiEngine,
    SearchResult,
    ServerError,
)
from chatgpt4online.testing import Answer, Site, Widget

from ..site import Post, serve_site
from ..support.server import Gate, Peer, Received, Server, json_response
from ..support.server import site as script
from .test_features import LOGINS, PASSWORD, Face, chats, face, logged_in, says

__all__ = ["face"]  # the fixture

USERS = {"ann": PASSWORD}
POSTS = [
    Post(12, "Cats & dogs", "How to keep <cats> and dogs " + "together " * 40),
    Post(9, "Cats", "All about cats."),
    Post(3, "Birds", "Birds sing."),
]


def take(face: Face, iterator: Any, number: int | None = None) -> list[Any]:
    """Return the next items of an iterator: this number of them, or all."""
    if hasattr(iterator, "__aiter__"):

        async def collect() -> list[Any]:
            found: list[Any] = []
            while number is None or len(found) < number:
                try:
                    found.append(await anext(iterator))
                except StopAsyncIteration:
                    break
            return found

        return face.call(collect())
    return list(islice(iterator, number))


def lists(site: Site) -> list[Any]:
    """Return the bodies of the requests for pages."""
    return [request.json for request in site.requests if request.path.endswith("/discussions/list")]


def row(name: str, **more: Any) -> dict[str, Any]:
    return {"chatId": name, "messages": "[]", "extra": "{}"} | more


Page = Callable[[Received], Any]


def pages(page: Page) -> Any:
    """Return the script of a site whose ``page`` returns the rows for a request."""

    def answer(peer: Peer, request: Received) -> None:
        found = page(request)
        peer.send(found if isinstance(found, bytes) else json_response({"success": True, "chats": found}))

    return script(answer)


class TestAllDiscussions:
    """The iterator over all discussions."""

    @pytest.mark.parametrize("how", LOGINS)
    @pytest.mark.parametrize("late", ["2.8.9", "3.6.2"])
    def test_a_discussion_is_missing_or_a_page_is_asked_for_too_early(self, face: Face, late: str, how: str) -> None:
        with serve_site("Hi", version=late, users=USERS, discussions=True) as site:
            client = logged_in(face, site, how)
            for number in range(7):
                face.call(client.ask("a", chat_id=f"c{number}"))
            newest_first = [f"c{number}" for number in reversed(range(7))]
            iterator = client.iter_discussions(page_size=3)
            assert lists(site) == []
            assert [item.chat_id for item in take(face, iterator, 3)] == newest_first[:3]
            assert lists(site) == [{"botId": "default", "offset": 0, "limit": 3}]
            assert [item.chat_id for item in take(face, iterator)] == newest_first[3:]
            assert [fields["offset"] for fields in lists(site)] == [0, 3, 6, 7]
            assert take(face, iterator) == []
            assert len(lists(site)) == 4
            assert [item.chat_id for item in take(face, client.iter_discussions())] == newest_first
            assert lists(site)[-1]["limit"] == 10

    def test_discussion_is_missing_if_those_before_it_are_deleted(self, face: Face) -> None:
        with serve_site("Hi", users=USERS, discussions=True) as site:
            client = logged_in(face, site, "password")
            for number in range(7):
                face.call(client.ask("a", chat_id=f"c{number}"))
            iterator, seen = client.iter_discussions(page_size=2), []
            while found := take(face, iterator, 1):
                seen.append(found[0].chat_id)
                face.call(client.delete_discussions([found[0].chat_id]))
            assert sorted(seen) == [f"c{number}" for number in range(7)]

    def test_bot_with_a_custom_id_lists_the_discussions_of_another_bot(self, face: Face) -> None:
        widgets = [Widget("default"), Widget("7", custom_id="mine")]
        with serve_site("Hi", users=USERS, discussions=True, bots=widgets) as site:
            client = face(site, auth=("ann", PASSWORD), custom_id="mine")
            face.call(client.ask("a", chat_id="c1"))
            face.call(face(site, auth=("ann", PASSWORD)).ask("a", chat_id="c2"))
            assert [(item.chat_id, item.bot_id) for item in take(face, client.iter_discussions())] == [("c1", "mine")]

    @pytest.mark.parametrize(
        "page",
        [
            lambda request: [row("a"), row("b")],
            lambda request: [row("a"), row("b"), row("a")] if request.json["offset"] < 9 else [],
            lambda request: [row(name) for name in "ab"][request.json["offset"] :],
            lambda request: [row(name) for name in "ab"][request.json["offset"] :][:1],
        ],
        ids=["the same page", "repeated rows", "no total", "a capped limit"],
    )
    def test_odd_site_repeats_a_discussion_or_never_ends(self, face: Face, page: Page) -> None:
        with Server(pages(page)) as server:
            assert [item.chat_id for item in take(face, face(server.url).iter_discussions(page_size=5))] == ["a", "b"]
            assert server.seen().count("list") <= 5

    def test_iterator_that_failed_loses_the_rest(self, face: Face) -> None:
        """It asks for the page that failed again."""
        failures = iter([True])

        def page(request: Received) -> Any:
            if request.json["offset"] == 1 and next(failures, False):
                return json_response({"success": False, "message": "The database is busy."}, "500 Error")
            return [row(name) for name in "ab"][request.json["offset"] :][:1]

        with Server(pages(page)) as server:
            iterator = face(server.url).iter_discussions(page_size=1)
            assert [item.chat_id for item in take(face, iterator, 1)] == ["a"]
            with pytest.raises(ServerError, match="busy"):
                take(face, iterator)
            assert [item.chat_id for item in take(face, iterator)] == ["b"]

    def test_iterator_that_is_dropped_keeps_a_connection_busy(self, face: Face) -> None:
        """The next question uses the same connection."""
        with Server(pages(lambda request: [row("a"), row("b")])) as server:
            client = face(server.url)
            iterator = client.iter_discussions()
            assert take(face, iterator, 1)[0].chat_id == "a"
            del iterator
            gc.collect()
            assert len(face.call(client.discussions())) == 2
            assert server.connections == 1

    def test_closed_client_still_sends(self, face: Face) -> None:
        with Server(pages(lambda request: [row("a")])) as server:
            client = face(server.url)
            iterator = client.iter_discussions()
            take(face, iterator, 1)
            face.call(client.close())
            with pytest.raises(InvalidState, match="this client is closed"):
                take(face, iterator)
            assert server.seen().count("list") == 1

    def test_second_reader_loses_a_discussion(self, face: Face) -> None:
        """It gets an error, and the first reader gets the page."""
        asked, gate = threading.Event(), Gate()

        def page(request: Received) -> Any:
            asked.set()
            gate.wait()
            return [row("a")]

        with Server(pages(page)) as server:
            iterator = face(server.url).iter_discussions()
            first, error = self.read_twice(face, iterator, asked, gate)
            assert first.chat_id == "a"
            assert "one reader at a time" in str(error)

    def read_twice(self, face: Face, iterator: Any, asked: threading.Event, gate: Gate) -> tuple[Any, Any]:
        """Return the item of the first reader, and the error of the second, which reads while the first one waits."""
        if hasattr(iterator, "__aiter__"):

            async def both() -> tuple[Any, Any]:
                first = asyncio.ensure_future(anext(iterator))
                await asyncio.to_thread(asked.wait, 10)
                with pytest.raises(InvalidState) as caught:
                    await anext(iterator)
                gate.open()
                return await first, caught.value

            return face.call(both())
        items: list[Any] = []
        thread = threading.Thread(target=lambda: items.append(next(iterator)))
        thread.start()
        assert asked.wait(10)
        with pytest.raises(InvalidState) as caught:
            next(iterator)
        gate.open()
        thread.join(10)
        return items[0], caught.value

    def test_guest_or_site_without_discussions_gets_no_advice(self, face: Face) -> None:
        with serve_site("Hi", discussions=True) as site:
            with pytest.raises(ServerError, match="auth="):
                take(face, face(site).iter_discussions())
        with serve_site("Hi", users=USERS) as site:
            with pytest.raises(NotAiEngine, match="turn on Discussions"):
                take(face, logged_in(face, site, "password").iter_discussions())
        with pytest.raises(ConnectionFailed):
            take(face, face("http://127.0.0.1:1", retries=0).iter_discussions())


def test_task_that_is_cancelled_leaves_the_iterator_locked() -> None:
    """The next reader gets the page."""
    asked, gate = threading.Event(), Gate()

    def page(request: Received) -> Any:
        if not asked.is_set():
            asked.set()
            gate.wait()
        return [row("a")]

    async def main(url: str) -> str:
        async with AsyncClient(url) as client:
            iterator = client.iter_discussions()
            reader = asyncio.ensure_future(anext(iterator))
            await asyncio.to_thread(asked.wait, 10)
            reader.cancel()
            await asyncio.wait([reader])
            assert reader.cancelled()
            gate.open()
            return (await anext(iterator)).chat_id

    with Server(pages(page)) as server:
        assert asyncio.run(main(server.url)) == "a"


class TestMarkdown:
    """Conversations as Markdown."""

    def test_discussion_and_its_conversation_are_shown_in_another_way(self, face: Face) -> None:
        with serve_site("```\ncode", users=USERS, discussions=True, bots=[Widget(start_sentence="Hi!")]) as site:
            client = logged_in(face, site, "password")
            face.call(client.ask("# A", chat_id="c1"))
            face.call(client.rename_discussion("c1", "My *title*"))
            (stored,) = take(face, client.iter_discussions())
            messages = "**Assistant**\n\n> Hi!\n\n**User**\n\n> # A\n\n**Assistant**\n\n> ```\n> code\n"
            dates = f"Created {stored.created}, updated {stored.updated}"
            assert stored.to_markdown() == f"# My \\*title\\*\n\n{dates}\n\n{messages}"
            assert client.conversation(discussion=stored).to_markdown() == messages

    def test_new_conversation_has_text(self, face: Face) -> None:
        assert face("https://example.org").conversation().to_markdown() == ""


class TestStoredConversations:
    """A discussion that is continued."""

    def test_stored_part_of_a_conversation_is_not_sent(self, face: Face) -> None:
        """The start sentence, pictures as Markdown, and the response id come from the site, the bot from the client."""
        answer = Answer("Yes.", response_id="resp_1")
        widget = Widget("7", custom_id="mine", start_sentence="Hi!")
        with serve_site(answer, users=USERS, discussions=True, bots=[widget]) as site:
            client = face(site, auth=("ann", PASSWORD), custom_id="mine")
            face.call(client.ask("![Image](https://example.org/1.png)\nA cat?", chat_id="c1"))
            (stored,) = take(face, client.iter_discussions())
            talk = client.conversation(discussion=stored, start_sentence="Another one")
            assert talk.messages == [
                says("assistant", "Hi!"),
                says("user", "![Image](https://example.org/1.png)\nA cat?"),
                says("assistant", "Yes."),
            ]
            face.call(talk.ask("Sure?"))
            asked = chats(site)[-1]
            assert (asked["chatId"], asked["customId"]) == ("c1", "mine")
            assert asked["previousResponseId"] == "resp_1"
            assert asked["messages"] == talk.messages[:3]

    def test_stored_shortcut_or_odd_role_cannot_be_continued(self, face: Face) -> None:
        stored_messages = '[{"role":"user","content":"a","shortcutName":"A"},{"role":"","content":"b"}]'
        with Server(pages(lambda request: [row("c1", messages=stored_messages)])) as server:
            client = face(server.url)
            (stored,) = face.call(client.discussions())
            assert client.conversation(discussion=stored).messages == [says("user", "a"), says("", "b")]


class TestSearch:
    """The search of a site."""

    @pytest.mark.parametrize("late", ["2.8.9", "3.6.2"])
    def test_search_finds_other_posts_or_fetches_a_nonce(self, face: Face, late: str) -> None:
        with serve_site("Hi", version=late, posts=POSTS) as site:
            client = face(site)
            first, second = face.call(client.search("cats"))
            assert (first.id, first.title, first.score) == (12, "Cats & dogs", None)
            assert first.excerpt == "How to keep <cats> and dogs" + " together" * 24 + "…"
            assert second == SearchResult(9, "Cats", "All about cats.", None, second.raw)
            assert second.raw == {"id": 9, "title": "Cats", "excerpt": "All about cats."}
            assert face.call(client.search("unicorns")) == []
            scored = face.call(client.search("cats dogs", method="keywords", website_context="A site about pets."))
            assert [(result.id, result.score) for result in scored] == [(12, 1.0), (9, 0.5)]
            assert [request.path for request in site.requests] == ["/wp-json/mwai-ui/v1/search"] * 3
            assert all("x-wp-nonce" not in request.headers for request in site.requests)
            assert site.requests[-1].json == {
                "search": "cats dogs",
                "method": "keywords",
                "websiteContext": "A site about pets.",
            }

    def test_found_post_cannot_be_asked_about(self, face: Face) -> None:
        with serve_site("Hi", posts=POSTS) as site:
            (bird,) = face.call(face(site).search("birds"))
            face.call(face(site, context_id=bird.id).ask("What do they do?"))
            assert chats(site)[-1]["contextId"] == 3

    def test_search_is_not_found_at_another_root(self, face: Face) -> None:
        with serve_site("Hi", posts=POSTS, permalinks="plain") as site:
            assert [result.id for result in face.call(face(site).search("birds"))] == [3]

    @pytest.mark.parametrize("how", LOGINS)
    def test_login_gets_no_results(self, face: Face, how: str) -> None:
        with serve_site("Hi", posts=POSTS, users=USERS) as site:
            assert [result.id for result in face.call(logged_in(face, site, how).search("birds"))] == [3]

    @pytest.mark.parametrize("options", [{}, {"posts": POSTS, "version": "2.4.3"}], ids=["no module", "2.4.3"])
    def test_site_without_the_search_raises_another_error(self, face: Face, options: Any) -> None:
        with serve_site("Hi", **options) as site:
            with pytest.raises(NotAiEngine, match=r"2\.8\.3 or later, with the Search module"):
                face.call(face(site).search("cats"))
            assert len(site.requests) == 1

    def test_refusal_of_a_method_raises_another_error(self, face: Face) -> None:
        with serve_site("Hi", posts=POSTS) as site:
            with pytest.raises(ServerError, match="Embeddings module not available"):
                face.call(face(site).search("cats", method="embeddings", env_id="e1"))
            with pytest.raises(ServerError, match="Empty search"):
                face.call(face(site).search("0"))

    def test_search_of_a_closed_client_is_sent(self, face: Face) -> None:
        client = face("https://example.org")
        face.call(client.close())
        with pytest.raises(InvalidState):
            face.call(client.search("cats"))
