"""The features of a chat, with both clients and every recorded version."""

from __future__ import annotations

import asyncio
import inspect
import json
import mimetypes
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from chatgpt4online import (
    Action,
    AsyncClient,
    AsyncConversation,
    Block,
    Bot,
    Client,
    Conversation,
    Done,
    File,
    InvalidInput,
    NotAiEngine,
    Notice,
    ServerError,
    Shortcut,
    StatusError,
    Text,
    Truncated,
    Usage,
)
from chatgpt4online.testing import Answer, Chat, Site, Widget

from ..site import serve_site

VERSIONS = ["2.4.3", "2.8.9", "3.6.2"]
PASSWORD = "abcd efgh ijkl mnop qrst uvwx"
SUBMIT = "/chats/submit"


class Face:
    """Either client with one interface. It awaits results, and turns streams into lists."""

    def __init__(self, client_class: Any, call: Callable[[Any], Any]) -> None:
        self._class = client_class
        self.call = call
        self.conversation_class = Conversation if client_class is Client else AsyncConversation
        self._clients: list[Any] = []

    def __call__(self, site: Site | str, **options: Any) -> Any:
        """Return a client."""
        self._clients.append(self._class(site if isinstance(site, str) else site.url, **options))
        return self._clients[-1]

    def all(self, stream: Any) -> list[Any]:
        """Return all items of a stream."""
        if hasattr(stream, "__aiter__"):

            async def collect() -> list[Any]:
                async with stream:
                    return [item async for item in stream]

            return self.call(collect())
        with stream:
            return list(stream)

    def first(self, stream: Any) -> Any:
        """Return the first item of a stream, and read no further."""
        if hasattr(stream, "__aiter__"):

            async def take() -> Any:
                async with stream:
                    return await anext(aiter(stream))

            return self.call(take())
        with stream:
            return next(stream)

    def close(self) -> None:
        for client in self._clients:
            self.call(client.close())


@pytest.fixture(params=[Client, AsyncClient], ids=["Client", "AsyncClient"])
def face(request: Any) -> Any:
    """Return the face of a client. All its calls run on one event loop."""
    if request.param is Client:
        face = Face(Client, lambda value: value)
        yield face
        face.close()
        return
    with asyncio.Runner() as runner:

        async def wait_for(value: Awaitable[Any]) -> Any:
            return await value

        face = Face(AsyncClient, lambda value: runner.run(wait_for(value)) if inspect.isawaitable(value) else value)
        yield face
        face.close()


@pytest.fixture(params=VERSIONS)
def version(request: Any) -> str:
    return request.param


def chats(site: Site) -> list[Any]:
    """Return the bodies of the questions that a site received."""
    return [request.json for request in site.requests if SUBMIT in request.path]


def says(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


class TestQuestions:
    """Single questions."""

    def test_ask_returns_the_whole_reply(self, face: Face, version: str) -> None:
        with serve_site("Привет, мир! 😀", version=version) as site:
            reply = face.call(face(site).ask("Hi", chat_id="c1"))
            assert (str(reply), reply.chat_id) == ("Привет, мир! 😀", "c1")
            (asked,) = chats(site)
            assert (asked["newMessage"], asked["stream"], asked["chatId"]) == ("Hi", True, "c1")

    def test_stream_returns_the_pieces(self, face: Face, version: str) -> None:
        with serve_site(["Hel", "lo", " there"], version=version) as site:
            client = face(site)
            assert face.all(client.stream("Hi")) == ["Hel", "lo", " there"]
            assert face.all(client.stream("Hi")) == ["Hel", "lo", " there"]

    def test_all_requests_share_one_search_for_a_nonce(self, face: Face, version: str) -> None:
        with serve_site("Hi", version=version) as site:
            client = face(site)
            for _ in range(3):
                face.call(client.ask("Hi"))
            others = [request.path for request in site.requests if SUBMIT not in request.path]
            start = "/wp-json/mwai/v1/start_session"
            assert others == ([start, "/"] if version == "2.4.3" else [start])

    def test_history_is_sent_with_roles(self, face: Face, version: str) -> None:
        seen: list[Chat] = []
        with serve_site(lambda chat: seen.append(chat) or "ok", version=version) as site:
            prompt = [says("developer", "Be brief."), says("user", "a"), says("assistant", "b"), says("user", "c")]
            face.call(face(site).ask(prompt))
            face.call(face(site).ask(prompt, flatten=True))
        assert [message["role"] for message in seen[0].messages] == ["system", "user", "assistant"]
        assert seen[0].message == "c"
        assert (seen[1].messages, seen[1].message) == (
            [],
            "System: Be brief.\nUser: a\nAssistant: b\nUser: c\nAssistant:",
        )

    @pytest.mark.parametrize("late", ["2.8.9", "3.6.2"])
    def test_notices_are_events_and_not_text(self, face: Face, late: str) -> None:
        with serve_site([Notice("thinking", "Hm"), "Hi"], version=late) as site:
            notice, text, done = face.all(face(site).events("Hi"))
            assert (notice.kind, notice.text, text) == ("thinking", "Hm", Text("Hi"))
            assert isinstance(done, Done)
            assert done.reply.text == "Hi"
            assert face.all(face(site).stream("Hi")) == ["Hi"]

    def test_error_has_the_sites_text_and_the_partial_text(self, face: Face, version: str) -> None:
        with serve_site(["Hal", ServerError("You have reached the limit.")], version=version) as site:
            with pytest.raises(ServerError, match="reached the limit") as caught:
                face.call(face(site).ask("Hi"))
            assert caught.value.partial_text == "Hal"
        with serve_site(Answer(["Hal"], ending="fatal"), version=version) as site:
            with pytest.raises(Truncated):
                face.call(face(site).ask("Hi"))

    def test_stale_nonce_of_a_question_is_renewed(self, face: Face, version: str) -> None:
        with serve_site("Hi", version=version) as site:
            client = face(site)
            face.call(client.ask("Hi"))
            site.expire_nonce()
            assert str(face.call(client.ask("Hi"))) == "Hi"
            assert client.session.nonce == site.nonce

    def test_start_session_fetches_a_new_nonce_each_time(self, face: Face, version: str) -> None:
        with serve_site("Hi", version=version) as site:
            client = face(site)
            for _ in range(2):
                assert face.call(client.start_session()).nonce == site.nonce
                site.expire_nonce()

    @pytest.mark.parametrize(
        ("options", "address"),
        [
            ({"permalinks": "plain"}, ""),
            ({"path": "/blog"}, ""),
            ({"path": "/blog", "permalinks": "plain"}, ""),
            ({}, "/chat/"),
            ({}, "/wp-json/"),
            ({"language": "fr"}, "/fr/"),
            ({"session_closed": True}, ""),
        ],
        ids=str,
    )
    def test_api_is_found_and_stored(self, face: Face, version: str, options: Any, address: str) -> None:
        with serve_site("Hi", version=version, **options) as site:
            client = face(site.url + address)
            assert str(face.call(client.ask("Hi"))) == "Hi"
            before = len(site.requests)
            assert str(face.call(client.ask("Hi"))) == "Hi"
            assert len(site.requests) == before + 1

    def test_site_without_ai_engine_raises_not_ai_engine(self, face: Face) -> None:
        with serve_site("Hi", path="/blog") as site:
            with pytest.raises(NotAiEngine):
                face.call(face(site.url.removesuffix("/blog")).ask("Hi"))
            assert len(site.requests) == 4


class TestReplies:
    """The typed fields of a reply. Nothing is executed."""

    FULL = Answer(
        "Look:",
        images=["https://example.org/1.png", "https://example.org/2.png"],
        actions=[Action("function", "open", {"a": 1}), Action("javascript", snippet="alert(1)")],
        shortcuts=[Shortcut("message", "More", "Tell me more", variant="success")],
        blocks=[Block("content", "b1", "<b>Hi</b>", "alert(1)")],
        usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "price": 0.5, "queries": 1},
        response_id="resp_1",
    )

    def test_reply_of_3_6_2_has_all_fields(self, face: Face) -> None:
        with serve_site(self.FULL) as site:
            reply = face.call(face(site).ask("Hi"))
        assert reply.images == tuple(self.FULL.images or ())
        assert reply.text.startswith("Look:")
        assert (reply.actions, reply.blocks) == (tuple(self.FULL.actions), tuple(self.FULL.blocks))
        assert reply.usage == Usage(1, 2, 3, 0.5, 1)
        assert reply.response_id == "resp_1"
        assert reply.shortcuts == tuple(self.FULL.shortcuts)

    def test_reply_of_2_4_3_has_fewer_fields(self, face: Face) -> None:
        with serve_site(self.FULL, version="2.4.3") as site:
            reply = face.call(face(site).ask("Hi"))
        assert reply.images == tuple(self.FULL.images or ())
        assert (reply.actions, reply.shortcuts, reply.blocks, reply.response_id) == ((), (), (), "")


def remember(chat: Chat) -> str:
    return f"{len(chat.messages)}:{chat.message}"


class TestConversations:
    """Conversations, in which each question is sent with the history."""

    def test_history_is_sent_by_ask_send_stream_and_events(self, face: Face, version: str) -> None:
        with serve_site(remember, version=version) as site:
            talk = face(site).conversation(start_sentence="Hey")
            assert str(face.call(talk.ask("a"))) == "1:a"
            assert str(face.call(talk.send("b"))) == "3:b"
            assert "".join(face.all(talk.stream("c"))) == "5:c"
            assert face.all(talk.events("d"))[-1].reply.text == "7:d"
            assert [message["content"] for message in talk.messages] == [
                "Hey", "a", "1:a", "b", "3:b", "c", "5:c", "d", "7:d",
            ]  # fmt: skip
            assert {asked["chatId"] for asked in chats(site)} == {talk.chat_id}

    def test_failed_or_unfinished_turn_leaves_the_history_unchanged(self, face: Face, version: str) -> None:
        def script(chat: Chat) -> Any:
            if chat.message == "fail":
                raise ServerError("no")
            return ["one ", "two ", "three"]

        with serve_site(script, version=version, pause=0.001) as site:
            talk = face(site).conversation()
            face.call(talk.ask("a"))
            before = talk.messages
            with pytest.raises(ServerError):
                face.call(talk.ask("fail"))
            assert talk.messages == before
            assert face.first(talk.stream("left")) == "one "
            assert talk.messages == before
            face.call(talk.ask("b"))
            assert chats(site)[-1]["messages"] == before

    def test_regenerate_and_edit_replace_the_last_turn(self, face: Face, version: str) -> None:
        answers = iter(["1", "2", "3", "4"])
        with serve_site(lambda chat: next(answers), version=version) as site:
            talk = face(site).conversation()
            face.call(talk.ask("a"))
            face.call(talk.ask("b"))
            assert face.all(talk.regenerate()) == ["3"]
            assert talk.messages == [
                says("user", "a"),
                says("assistant", "1"),
                says("user", "b"),
                says("assistant", "3"),
            ]
            assert face.all(talk.edit("c")) == ["4"]
            assert talk.messages == [
                says("user", "a"),
                says("assistant", "1"),
                says("user", "c"),
                says("assistant", "4"),
            ]
            assert [len(asked["messages"]) for asked in chats(site)] == [0, 2, 2, 2]

    @pytest.mark.parametrize(("response_id", "sent"), [("resp_1", True), ("v1_1", True), ("chatcmpl-1", False)])
    def test_response_id_is_sent_only_after_an_unchanged_answer(self, face: Face, response_id: str, sent: bool) -> None:
        def script(chat: Chat) -> Any:
            if chat.message == "fail":
                raise ServerError("no such response")
            return Answer("ok", response_id=response_id)

        with serve_site(script) as site:
            talk = face(site).conversation()
            for prompt in ("a", "b"):
                face.call(talk.ask(prompt))
            face.all(talk.edit("c"))
            with pytest.raises(ServerError):
                face.call(talk.ask("fail"))
            face.call(talk.ask("d"))
            found = [asked.get("previousResponseId") for asked in chats(site)]
            assert found == [
                None,
                *(response_id if expected and sent else None for expected in (True, False, True, False)),
            ]

    def test_shortcut_with_a_message_is_sent(self, face: Face, version: str) -> None:
        with serve_site(remember, version=version) as site:
            talk = face(site).conversation()
            assert (
                "".join(face.all(talk.choose(Shortcut("message", "Prices", "What does it cost?"))))
                == "0:What does it cost?"
            )
            assert chats(site)[-1]["shortcutName"] == "Prices"

    def test_shortcut_without_a_message_is_sent_by_its_id(self, face: Face) -> None:
        """A shortcut that clears the chat is refused."""
        offered = [Shortcut("message", "Prices", "What does it cost?", "x1"), Shortcut("action", "New", action="clear")]
        with serve_site(lambda chat: f"You said: {chat.message}", bots=[Widget(shortcuts=offered)]) as site:
            (bot,) = face.call(face(site).bots())
            ask, clear = bot.shortcuts
            assert (ask.message, ask.shortcut_id) == ("", "x1")
            talk = face(site, bot=bot).conversation()
            assert "".join(face.all(talk.choose(ask))) == "You said: What does it cost?"
            assert (chats(site)[-1]["newMessage"], chats(site)[-1]["shortcutId"]) == ("", ask.shortcut_id)
            assert talk.messages[-2] == says("user", "Prices")
            with pytest.raises(InvalidInput, match=r"clear\(\)"):
                talk.choose(clear)
            talk.clear()
            face.call(talk.ask("Hi"))
            first, last = chats(site)
            assert last["messages"] == []
            assert first["chatId"] != last["chatId"]

    def test_saved_conversation_continues_in_another_client(self, face: Face, version: str, tmp_path: Path) -> None:
        """The file holds no secrets."""
        with serve_site(remember, version=version) as site:
            client = face(site, cookies={"visitor": "secret-cookie"})
            talk = client.conversation()
            face.call(talk.ask("a"))
            talk.save(tmp_path / "talk.json")
            text = (tmp_path / "talk.json").read_text("utf-8")
            assert "secret-cookie" not in text
            assert client.session.nonce not in text
            again = face.conversation_class.load(tmp_path / "talk.json", face(site))
            assert str(face.call(again.ask("b"))) == "2:b"
            assert again.chat_id == talk.chat_id


class TestBots:
    """The bots of a page."""

    def test_bot_of_the_start_page_is_read(self, face: Face, version: str) -> None:
        with serve_site(remember, version=version) as site:
            (bot,) = face.call(face(site).bots())
            assert bot.rest_root == f"{site.url}/wp-json"
            assert (bot.bot_id, bot.max_length, bot.start_sentence) == ("default", 512, "Hi! How can I help you?")
            assert bot.nonce == (site.nonce if version == "2.4.3" else "")
            talk = face(site, bot=bot).conversation()
            assert str(face.call(talk.ask("a"))) == "1:a"
            assert chats(site)[-1]["messages"] == [says("assistant", bot.start_sentence)]
            assert chats(site)[-1]["contextId"] == bot.context_id == 4

    def test_several_bots_keep_the_order_of_the_page(self, face: Face, version: str) -> None:
        widgets = [Widget("support", name="Ann: ", max_length=20, mode="assistant"), Widget("7", custom_id="mine")]
        with serve_site(lambda chat: chat.bot_id, version=version, bots=widgets) as site:
            for page in ("/", "/chat/", f"{site.url}/help"):
                first, second = face.call(face(site).bots(page))
                assert (first.bot_id, first.name, first.max_length, first.mode) == ("support", "Ann", 20, "assistant")
                assert (second.bot_id, second.custom_id) == ("7", "mine")
            assert str(face.call(face(site, bot=first).ask("Hi"))) == "support"
            assert str(face.call(face(site, bot=second).ask("Hi"))) == "mine"

    def test_question_over_the_limits_of_a_bot_is_not_sent(self, face: Face, version: str) -> None:
        with serve_site("Hi", version=version, bots=[Widget(max_length=20)]) as site:
            (bot,) = face.call(face(site).bots())
            before = len(site.requests)
            client = face(site, bot=bot)
            with pytest.raises(InvalidInput, match="21 characters"):
                face.call(client.ask("x" * 21))
            with pytest.raises(InvalidInput, match="21 characters"):
                face.call(client.conversation().ask("x" * 21))
            with pytest.raises(InvalidInput, match="no uploads"):
                face.call(client.upload(b"abc", "a.png"))
            assert len(site.requests) == before

    def test_shortcut_of_a_bot_is_sent(self, face: Face) -> None:
        widget = Widget(shortcuts=[Shortcut("message", "Prices", "What does it cost?")])
        with serve_site(remember, bots=[widget]) as site:
            (bot,) = face.call(face(site).bots())
            talk = face(site, bot=bot).conversation()
            assert "".join(face.all(talk.choose(bot.shortcuts[0]))) == "1:What does it cost?"

    def test_page_without_a_bot_raises_after_one_request(self, face: Face) -> None:
        """Also a page that does not exist."""
        with serve_site("Hi") as site:
            with pytest.raises(NotAiEngine):
                face.call(face(site).bots("/no.such/page.html"))
            assert len(site.requests) == 1
            page = face.call(face(site).upload(b"A page without a widget", "page.txt")).url
            with pytest.raises(NotAiEngine, match="no chat widget"):
                face.call(face(site).bots(page))


PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 1_100  # several chunks of an upload
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + b64encode(PNG).decode()}}


class TestFiles:
    """Files that are uploaded and sent with a question."""

    @pytest.mark.parametrize("how", ["bytes", "path", "file"])
    def test_uploaded_file_arrives_whole_with_progress(
        self, face: Face, version: str, how: str, tmp_path: Path
    ) -> None:
        """From a path, a file object or bytes."""
        path, reported = tmp_path / "Фото 1.png", []
        path.write_bytes(PNG)
        with serve_site("Hi", version=version) as site, path.open("rb") as opened:
            source: Any = {"bytes": PNG, "path": path, "file": opened}[how]
            name = "Фото 1.png" if how == "bytes" else None
            file = face.call(face(site).upload(source, name, on_progress=lambda *both: reported.append(both)))
            (stored,) = site.files
            assert file == File(stored.id, stored.url)
            assert (stored.name, stored.type, stored.content, stored.purpose) == ("Фото 1.png", "image/png", PNG, "N/A")
        assert reported == sorted(reported)
        assert reported[-1][0] == reported[-1][1] > len(PNG)

    def test_webp_has_no_type_or_no_ending_on_a_small_machine(
        self, face: Face, version: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Containers have no ``/etc/mime.types``."""
        picture = {"type": "image_url", "image_url": {"url": "data:image/webp;base64,UklGRg=="}}
        with monkeypatch.context() as patch:
            patch.setattr(mimetypes, "knownfiles", [])
            mimetypes.init()
            with serve_site("Hi", version=version) as site:
                client = face(site)
                face.call(client.upload(b"RIFF", "a.webp"))
                face.call(client.ask([{"role": "user", "content": [picture]}]))
        mimetypes.init()
        assert [(file.name, file.type) for file in site.files] == [
            ("a.webp", "image/webp"),
            ("picture.webp", "image/webp"),
        ]

    def test_refused_file_raises_with_the_sites_text(self, face: Face, version: str) -> None:
        with serve_site("Hi", version=version) as site:
            with pytest.raises(ServerError, match="Invalid file type"):
                face.call(face(site).upload(b"abc", "a.exe"))

    def test_question_names_one_or_several_files(self, face: Face, version: str) -> None:
        with serve_site("Hi", version=version) as site:
            client = face(site)
            one, two = (face.call(client.upload(PNG, f"{name}.png")) for name in "ab")
            face.call(client.ask("Look", files=[one]))
            face.call(client.ask("Look", files=[one, two.id]))
            face.call(client.conversation().ask("Look", files=[two]))
            assert [(asked["newFileId"], asked["newFileIds"]) for asked in chats(site)] == [
                (one.id, None),
                (None, [one.id, two.id]),
                (two.id, None),
            ]

    @pytest.mark.parametrize("number", [1, 2])
    def test_pictures_of_a_prompt_are_uploaded_first(self, face: Face, version: str, number: int) -> None:
        seen: list[Chat] = []
        with serve_site(lambda chat: seen.append(chat) or "A cat.", version=version) as site:
            message = {"role": "user", "content": [{"type": "text", "text": "What is it?"}, *[PICTURE] * number]}
            client = face(site)
            assert str(face.call(client.ask([says("user", "Hi"), says("assistant", "Hello"), message]))) == "A cat."
            assert [file.content for file in site.files] == [PNG] * number
            ids = [file.id for file in site.files]
            talk = client.conversation()
            assert str(face.call(talk.ask(message))) == "A cat."
            assert talk.messages == [says("user", "What is it?"), says("assistant", "A cat.")]
            asked = chats(site)[0]
            assert (asked["newFileId"], asked["newFileIds"]) == ((ids[0], None) if number == 1 else (None, ids))
            assert (seen[0].message, len(seen[0].messages)) == ("What is it?", 2)

    def test_upload_with_a_stale_nonce_is_sent_again_whole(self, face: Face, version: str) -> None:
        with serve_site("Hi", version=version) as site:
            client = face(site)
            face.call(client.ask("Hi"))
            site.expire_nonce()
            face.call(client.upload(PNG, "a.png"))
            assert [file.content for file in site.files] == [PNG]

    def test_deleted_files_cannot_be_deleted_again(self, face: Face) -> None:
        with serve_site("Hi") as site:
            client = face(site)
            files = [face.call(client.upload(PNG, f"{name}.png")) for name in "ab"]
            assert face.call(client.delete_files([files[0], files[1].id])) == 2
            assert site.files == []
            with pytest.raises(ServerError, match="No valid files"):
                face.call(client.delete_files(files))


LOGINS = ["password", "cookies"]


def logged_in(face: Face, site: Site, how: str) -> Any:
    """Return a client of the user ann."""
    return face(site, auth=("ann", PASSWORD)) if how == "password" else face(site, cookies=site.login("ann"))


class TestLogins:
    """Users with a login."""

    @pytest.mark.parametrize("how", LOGINS)
    @pytest.mark.parametrize("late", ["2.8.9", "3.6.2"])
    def test_question_of_a_login_is_sent_as_that_user(self, face: Face, late: str, how: str) -> None:
        """Also after the nonce was renewed."""
        seen: list[str] = []
        with serve_site(lambda chat: seen.append(chat.user) or "Hi", version=late, users={"ann": PASSWORD}) as site:
            client = logged_in(face, site, how)
            face.call(client.ask("Hi"))
            site.expire_nonce()
            face.call(client.ask("Hi"))
            face.call(client.start_session())
            face.call(client.ask("Hi"))
        assert seen == ["ann"] * 3

    def test_login_by_cookie_works_where_only_pages_have_nonces(self, face: Face) -> None:
        seen: list[str] = []
        with serve_site(lambda chat: seen.append(chat.user) or "Hi", version="2.4.3", users={"ann": PASSWORD}) as site:
            face.call(face(site, cookies=site.login("ann")).ask("Hi"))
            assert [request.method for request in site.requests] == ["GET", "POST"]
        assert seen == ["ann"]

    @pytest.mark.parametrize("how", LOGINS)
    @pytest.mark.parametrize("late", ["2.8.9", "3.6.2"])
    def test_discussions_are_listed_continued_renamed_and_deleted(self, face: Face, late: str, how: str) -> None:
        with serve_site(remember, version=late, users={"ann": PASSWORD}, discussions=True) as site:
            client = logged_in(face, site, how)
            talk = client.conversation(chat_id="c1")
            face.call(talk.ask("a"))
            face.call(client.ask("x", chat_id="c2"))
            newest, oldest = face.call(client.discussions())
            assert (newest.chat_id, oldest.chat_id, oldest.bot_id) == ("c2", "c1", "default")
            assert [message["content"] for message in oldest.messages] == ["Hi! How can I help you?", "a", "0:a"]
            assert [row.chat_id for row in face.call(client.discussions(offset=1, limit=1))] == ["c1"]
            again = client.conversation(discussion=oldest)
            assert str(face.call(again.ask("b"))) == "3:b"
            assert chats(site)[-1]["chatId"] == "c1"
            assert face.call(client.rename_discussion("c1", "Über Katzen")) is None
            assert [row.title for row in face.call(client.discussions())] == ["Über Katzen", ""]
            face.call(client.delete_discussions(["c1"]))
            assert [row.chat_id for row in face.call(client.discussions())] == ["c2"]
            with pytest.raises(StatusError, match="rest_forbidden"):
                face.call(client.delete_discussions(["c1"]))

    def test_discussions_of_a_guest_raise(self, face: Face, version: str) -> None:
        with serve_site("Hi", version=version, discussions=True) as site:
            with pytest.raises(ServerError, match="You need to be connected"):
                face.call(face(site).discussions())
        with serve_site("Hi", version=version) as site:
            with pytest.raises(NotAiEngine):
                face.call(face(site).discussions())


def api_answer(chat: Chat) -> Any:
    if chat.route == "simpleJsonQuery":
        return json.dumps({"asked": chat.message})
    if chat.route == "moderationCheck":
        return "true"
    if "Image" in chat.route:
        return Answer("", images=["https://example.org/1.png"])
    return f"{chat.route} {chat.message} {chat.user}"


class TestPublicApi:
    """The functions of the public API."""

    def test_every_function_uses_its_route_and_no_nonce(self, face: Face) -> None:
        with serve_site(api_answer, token="secret", version="3.6.2") as site:
            api = face(site, token="secret").api
            call = face.call
            assert call(api.check()) == {"type": "email", "value": "admin@example.org"}
            assert call(api.text("a")) == "simpleTextQuery a admin"
            assert call(api.text("a", fast=True, options={"temperature": 0.5})) == "simpleFastTextQuery a admin"
            assert call(api.chatbot("a", chat_id="c1")) == "simpleChatbotQuery a admin"
            assert call(api.json("a")) == {"asked": "a"}
            assert call(api.vision("a", "https://example.org/1.png")) == "simpleVisionQuery a admin"
            assert call(api.image("a", resolution="1024x1024")) == "https://example.org/1.png"
            assert call(api.image("a", media_id=7)) == "https://example.org/1.png"
            assert call(api.moderate("a")) is True
            assert call(api.transcribe(url="https://example.org/1.mp3")).startswith("simpleTranscribeAudio")
            assert [bot["id"] for bot in call(api.bots())] == ["default"]
            file = call(api.upload(PNG, "a.png"))
            assert [(stored.id, stored.content) for stored in site.files] == [(file.id, PNG)]
            for request in site.requests:
                assert request.headers["authorization"] == "Bearer secret"
                assert "x-wp-nonce" not in request.headers
                assert "null" not in request.body.decode("latin-1") or "multipart" in request.headers["content-type"]
            assert site.requests[2].json == {"message": "a", "options": {"temperature": 0.5}}

    def test_public_api_is_found_with_plain_permalinks(self, face: Face) -> None:
        with serve_site(api_answer, token="secret", permalinks="plain") as site:
            assert face.call(face(site, token="secret").api.text("a")) == "simpleTextQuery a admin"

    @pytest.mark.parametrize("how", LOGINS)
    def test_login_needs_no_token(self, face: Face, how: str) -> None:
        with serve_site(api_answer, token="secret", users={"ann": PASSWORD}) as site:
            assert face.call(logged_in(face, site, how).api.text("a")) == "simpleTextQuery a ann"

    def test_refusal_of_the_public_api_raises(self, face: Face) -> None:
        with serve_site(api_answer, token="secret") as site:
            with pytest.raises(StatusError, match="bearer token"):
                face.call(face(site, token="wrong").api.text("a"))
            with pytest.raises(ServerError, match="message is required"):
                face.call(face(site, token="secret").api.text(""))
        with serve_site(api_answer) as site:
            with pytest.raises(NotAiEngine, match="bearer token"):
                face.call(face(site, token="secret").api.text("a"))


def test_both_clients_have_the_same_methods_and_bots() -> None:
    assert Bot() == Bot("default")
    public = {name for name in dir(Client) if not name.startswith("_")}
    assert public <= {name for name in dir(AsyncClient) if not name.startswith("_")}
