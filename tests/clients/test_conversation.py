"""Conversations without sockets: the next question, the history after each answer, and the saved file."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online import (
    AsyncClient,
    AsyncConversation,
    Bot,
    Client,
    Conversation,
    Discussion,
    Done,
    InvalidInput,
    InvalidState,
    Shortcut,
    Text,
)
from chatgpt4online.protocol.calls.history import State
from chatgpt4online.protocol.calls.turn import Turn
from chatgpt4online.protocol.parsing.events import texts as pieces
from chatgpt4online.protocol.parsing.events import without_failure

from ..support.exchanges import sent_json
from ..support.strategies import STALE, end, error, live, php, texts

# Their arguments are of wrong types.
discussion_of: Any = Discussion
shortcut_of: Any = Shortcut

SITE = "https://example.org"
HALF = "\ud83d"  # a lone surrogate, which no encoding can write
KINDS = pytest.mark.parametrize("kind", [Conversation, AsyncConversation], ids=["Client", "AsyncClient"])


def client(kind: Any = Conversation, **options: Any) -> Any:
    """Return a client whose session has a nonce."""
    made = (Client if kind is Conversation else AsyncClient)(SITE, **options)
    made.session.nonce = "secret-nonce"
    return made


def start(**options: Any) -> Conversation:
    return client().conversation(**options)


def next_turn(talk: Conversation, prompt: Any, files: Any) -> Turn:
    """Return the turn that asks ``prompt`` next."""
    return talk._operations.next_turn(talk._history, prompt, files)[0]


def repeated(talk: Conversation, prompt: Any, files: Any) -> Turn:
    """Return the turn that asks the last question again, or ``prompt`` in its place."""
    if prompt is None:
        return talk._operations.repeated_turn(talk._history, files)[0]
    return talk._operations.edited_turn(talk._history, prompt, files)[0]


def chosen(talk: Conversation, shortcut: Shortcut) -> Turn:
    """Return the turn that a shortcut offers."""
    return talk._operations.shortcut_turn(talk._history, shortcut)[0]


def sent(turn: Turn) -> dict[str, Any]:
    """Return the body of the question."""
    request = turn.next_request()
    assert request is not None
    return sent_json(request)


def finish(turn: Turn, reply: str = "Hello!", **final: Any) -> dict[str, Any]:
    """Answer the question without an error, and return the body of the question."""
    asked = sent(turn)
    turn.receive_response(200, {})
    turn.receive_data(live(reply) + b"\n\n" + end(reply=reply, **final) + b"\n\n")
    assert turn.over
    return asked


def says(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


class TestHistory:
    """The history after each turn."""

    def test_each_question_is_sent_with_all_earlier_messages(self) -> None:
        """All questions have the same chat id."""
        talk = start()
        first = finish(next_turn(talk, "Hi", ()), "Hello!")
        second = finish(next_turn(talk, "How are you?", ()), "Fine.")
        assert first["messages"] == []
        assert second["messages"] == [says("user", "Hi"), says("assistant", "Hello!")]
        assert first["chatId"] == second["chatId"] == talk.chat_id
        assert talk.messages == [
            says("user", "Hi"),
            says("assistant", "Hello!"),
            says("user", "How are you?"),
            says("assistant", "Fine."),
        ]

    def test_changes_to_the_returned_messages_do_not_change_the_history(self) -> None:
        talk = start(messages=[says("user", "Hi")])
        talk.messages[0]["content"] = "x"
        talk.messages.clear()
        assert talk.messages == [says("user", "Hi")]

    def test_changes_to_the_given_messages_do_not_change_the_history(self) -> None:
        given_messages = [says("user", "Hi") | {"name": "x"}]
        talk = start(messages=given_messages)
        given_messages[0]["content"] = "x"
        assert talk.messages == [says("user", "Hi")]

    @pytest.mark.parametrize(
        ("options", "bot", "expected"),
        [
            ({}, None, []),
            ({}, Bot(start_sentence="Welcome!"), [says("assistant", "Welcome!")]),
            ({"start_sentence": "Hey"}, Bot(start_sentence="Welcome!"), [says("assistant", "Hey")]),
            ({"start_sentence": ""}, Bot(start_sentence="Welcome!"), []),
            ({"messages": [says("user", "a")]}, Bot(start_sentence="Welcome!"), [says("user", "a")]),
        ],
    )
    def test_start_sentence_is_the_first_message(self, options: Any, bot: Bot | None, expected: Any) -> None:
        """The widget of the page sends it too."""
        talk = client(bot=bot).conversation(**options)
        assert talk.messages == expected
        assert sent(next_turn(talk, "Hi", ()))["messages"] == expected

    def test_prompt_can_be_a_message(self) -> None:
        """Its parts become one text in the history."""
        talk = start()
        finish(next_turn(talk, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}, ()))
        assert talk.messages[0] == says("user", "Hi")

    def test_file_ids_are_sent_with_the_question(self) -> None:
        assert sent(next_turn(start(), "Look", ["f1"]))["newFileId"] == "f1"

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (error("You have reached the limit.") + b"\n\n", 200),
            (live("Hal") + b"\n\n", 200),
            (b"<h1>Bad gateway</h1>", 502),
        ],
    )
    def test_failed_turn_leaves_the_history_unchanged(self, body: bytes, status: int) -> None:
        talk = start(messages=[says("user", "a"), says("assistant", "b")])
        turn = next_turn(talk, "Hi", ())
        sent(turn)
        turn.receive_response(status, {})
        turn.receive_data(body)
        turn.receive_eof()
        assert turn.over
        assert talk.messages == [says("user", "a"), says("assistant", "b")]

    def test_turn_that_is_not_read_to_its_end_leaves_the_history_unchanged(self) -> None:
        talk = start()
        turn = next_turn(talk, "Hi", ())
        sent(turn)
        turn.receive_response(200, {})
        turn.receive_data(live("Hel") + b"\n\n")
        assert talk.messages == []
        assert sent(next_turn(talk, "Hi", ()))["messages"] == []

    def test_question_after_a_renewed_nonce_is_the_same(self) -> None:
        talk = start(messages=[says("user", "a"), says("assistant", "b")])
        turn = next_turn(talk, "Hi", ())
        first = sent(turn)
        turn.receive_response(403, {"X-WP-Nonce": "fresh"})
        turn.receive_data(php(STALE).encode())
        turn.receive_eof()
        assert finish(turn) == first

    def test_clear_starts_a_new_conversation(self) -> None:
        talk = start(start_sentence="Hey")
        before = talk.chat_id
        finish(next_turn(talk, "Hi", ()), responseId="resp_1")
        talk.clear()
        asked = sent(next_turn(talk, "Hi", ()))
        assert asked["chatId"] == talk.chat_id != before
        assert (asked["messages"], "previousResponseId" in asked) == ([], False)

    def test_answer_of_many_megabytes_is_sent_again(self) -> None:
        talk, text = start(), "word " * 1_000_000
        finish(next_turn(talk, "Hi", ()), text)
        assert sent(next_turn(talk, "Hi", ()))["messages"] == [says("user", "Hi"), says("assistant", text)]

    def test_answer_over_the_limit_is_not_kept(self) -> None:
        talk = client(max_text_size=100).conversation()
        turn = next_turn(talk, "Hi", ())
        sent(turn)
        turn.receive_response(200, {})
        turn.receive_data(live("word " * 21) + b"\n\n")
        assert turn.over
        assert talk.messages == []

    @pytest.mark.parametrize("messages", [[{"role": "user"}], [{"content": "a"}], ["Hi"], [None]])
    def test_messages_with_a_wrong_shape_raise_invalid_input(self, messages: Any) -> None:
        with pytest.raises(InvalidInput):
            start(messages=messages)

    @pytest.mark.parametrize(
        "options",
        [
            {"messages": [says("user", HALF)]},
            {"messages": [says(HALF, "a")]},
            {"start_sentence": HALF},
            {"chat_id": HALF},
            {"chat_id": "c" * 65},
            {"chat_id": 5},
            {"discussion": Discussion("c9", messages=(says("user", HALF),))},
            {"discussion": discussion_of("c9", messages=("Hi",))},
            {"discussion": discussion_of("c9", messages=None)},
            {"discussion": discussion_of("c9", messages=5)},
            {"discussion": Discussion(HALF)},
            {"discussion": discussion_of(5)},
        ],
        ids=repr,
    )
    def test_history_that_cannot_be_sent_is_refused(self, options: Any) -> None:
        with pytest.raises(InvalidInput):
            start(**options)

    @pytest.mark.parametrize("response_id", [HALF, "r" * 1001, "a\nb", 5, None])
    def test_response_id_that_cannot_be_sent_is_left_out(self, response_id: Any) -> None:
        talk = start(discussion=Discussion("c9", previous_response_id=response_id))
        assert "previousResponseId" not in sent(next_turn(talk, "Hi", ()))

    def test_discussion_without_an_id_gets_one(self) -> None:
        talk = start(discussion=Discussion("", messages=(says("user", "a"),)))
        assert finish(next_turn(talk, "a", ()))["chatId"] == finish(next_turn(talk, "b", ()))["chatId"] != ""

    def test_repr_shows_the_number_of_messages_and_no_text(self) -> None:
        talk = start(messages=[says("user", "private")])
        assert "1 message" in repr(talk)
        assert "private" not in repr(talk)


class TestRepeatedQuestion:
    """The last question is asked again, or another one in its place."""

    def talk(self) -> Conversation:
        talk = start(start_sentence="Hey")
        finish(next_turn(talk, "one", ()), "1", responseId="resp_1")
        finish(next_turn(talk, "two", ()), "2", responseId="resp_2")
        return talk

    def test_regenerate_replaces_the_last_answer(self) -> None:
        """The question is sent with the history that it had before."""
        talk = self.talk()
        asked = finish(repeated(talk, None, ()), "two!")
        assert asked["newMessage"] == "two"
        assert asked["messages"] == [says("assistant", "Hey"), says("user", "one"), says("assistant", "1")]
        assert talk.messages[-2:] == [says("user", "two"), says("assistant", "two!")]
        assert len(talk.messages) == 5

    def test_edit_replaces_the_last_question(self) -> None:
        talk = self.talk()
        asked = finish(repeated(talk, "three", ()), "3")
        assert (asked["newMessage"], len(asked["messages"])) == ("three", 3)
        assert talk.messages[-2:] == [says("user", "three"), says("assistant", "3")]
        assert len(talk.messages) == 5

    @pytest.mark.parametrize("prompt", [None, "three"])
    def test_failed_repetition_keeps_the_old_answer(self, prompt: str | None) -> None:
        talk = self.talk()
        before = talk.messages
        turn = repeated(talk, prompt, ())
        sent(turn)
        turn.receive_response(200, {})
        turn.receive_data(error("no") + b"\n\n")
        assert talk.messages == before

    def test_regenerate_before_the_first_question_raises(self) -> None:
        with pytest.raises(InvalidState, match="nothing was asked"):
            repeated(start(start_sentence="Hey"), None, ())


class TestOneAtATime:
    """Other threads act between two steps of a turn; test_conversation_turns does the same over sockets."""

    def test_only_one_thread_begins_while_another_checks_the_last_turn(self) -> None:
        """Both threads find that the last turn is not read any more, and only one of them begins."""
        talk = start()
        (first, first_record), (second, second_record) = (
            talk._operations.next_turn(talk._history, question, ()) for question in ("first", "second")
        )
        second_record.is_read = lambda: True

        def begin_the_second() -> bool:
            first_record.is_read = lambda: False
            sent(second)
            return False

        sent(first)
        first_record.is_read = begin_the_second
        with pytest.raises(InvalidState, match="being answered"):
            sent(next_turn(talk, "third", ()))
        finish(second)
        assert talk.messages == [says("user", "second"), says("assistant", "Hello!")]

    @pytest.mark.parametrize("number", range(5))
    def test_only_one_of_many_threads_begins_a_turn(self, number: int) -> None:
        talk, barrier, begun = start(), threading.Barrier(8), []

        def begin() -> None:
            turn, record = talk._operations.next_turn(talk._history, "Hi", ())
            record.is_read = lambda: True
            barrier.wait(20)
            with suppress(InvalidState):
                begun.append(sent(turn))

        threads = [threading.Thread(target=begin) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(begun) == 1

    def test_answer_of_a_closed_stream_does_not_join_the_history_late(self) -> None:
        """Another thread closed it and asked the next question, but the last bytes were already read."""
        talk = start(messages=[says("user", "a"), says("assistant", "b")])
        first, second = next_turn(talk, "first", ()), next_turn(talk, "second", ())
        sent(first)
        sent(second)
        finish(first)
        assert talk.messages == [says("user", "a"), says("assistant", "b")]
        finish(second, "2")
        assert talk.messages[2:] == [says("user", "second"), says("assistant", "2")]

    @pytest.mark.parametrize(
        ("view", "before", "last"),
        [(pieces, [" there"], []), (without_failure, [Text(" there")], [Done])],
        ids=["pieces", "events"],
    )
    def test_turn_is_recorded_when_the_reader_gets_the_end(self, view: Any, before: Any, last: Any) -> None:
        """All events arrived at once, and the reader gets them one by one."""
        talk = start()
        turn, record = talk._operations.next_turn(talk._history, "Hi", ())
        through = record.through(view)
        sent(turn)
        turn.receive_response(200, {})
        assert through(turn.receive_data(live("Hi") + b"\n\n")) == view([Text("Hi")])
        items = iter(through(turn.receive_data(live(" there") + b"\n\n" + end(reply="Hi there") + b"\n\n"))[0])
        assert turn.over
        assert [next(items) for _ in before] == before
        assert talk.messages == []
        assert [type(item) for item in (items if not last else [next(items)])] == last
        assert talk.messages == [says("user", "Hi"), says("assistant", "Hi there")]

    @pytest.mark.parametrize("prompt", [None, "three"])
    def test_question_that_is_no_longer_the_last_is_not_replaced(self, prompt: str | None) -> None:
        talk = start()
        finish(next_turn(talk, "one", ()))
        turn = repeated(talk, prompt, ())
        finish(next_turn(talk, "two", ()))
        with pytest.raises(InvalidState, match="another question is the last one by now"):
            sent(turn)
        assert [message["content"] for message in talk.messages] == ["one", "Hello!", "two", "Hello!"]

    def test_failure_after_clear_keeps_the_new_conversation(self) -> None:
        talk = start()
        turn = next_turn(talk, "Hi", ())
        sent(turn)
        talk.clear()
        finish(next_turn(talk, "new", ()), responseId="resp_1")
        turn.receive_response(200, {})
        turn.receive_data(error("no") + b"\n\n")
        assert sent(next_turn(talk, "Hi", ()))["previousResponseId"] == "resp_1"

    def test_clear_forgets_a_turn_that_ends_at_the_same_moment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        talk = start()
        turn = next_turn(talk, "Hi", ())
        sent(turn)
        follow = State.follow

        def later(self: State, state: State) -> bool:
            monkeypatch.setattr(State, "follow", follow)
            finish(turn)
            return follow(self, state)

        monkeypatch.setattr(State, "follow", later)
        talk.clear()
        assert talk.messages == []

    def test_stream_that_is_refused_can_be_made_again(self) -> None:
        talk = start()
        first, record = talk._operations.next_turn(talk._history, "first", ())
        record.is_read = lambda: True
        sent(first)
        second = next_turn(talk, "second", ())
        for _ in range(2):
            with pytest.raises(InvalidState, match="being answered"):
                second.next_request()
        finish(first)
        assert finish(second)["messages"] == [says("user", "first"), says("assistant", "Hello!")]
        assert len(talk.messages) == 4


class TestResponseIds:
    """``previousResponseId``: the site itself stores the history for it (protocol sections 1.4 and 5, 20)."""

    @pytest.mark.parametrize(
        ("response_id", "sent_on"),
        [("resp_1", True), ("v1_1", True), ("chatcmpl-1", False), ("msg_1", False), ("", False), ("xresp_1", False)],
    )
    def test_only_response_ids_that_a_site_can_resume_are_sent(self, response_id: str, sent_on: bool) -> None:
        talk = start()
        finish(next_turn(talk, "a", ()), responseId=response_id)
        asked = sent(next_turn(talk, "b", ()))
        assert asked.get("previousResponseId") == (response_id if sent_on else None)
        assert asked["messages"] == talk.messages

    def test_response_id_of_the_last_answer_is_sent(self) -> None:
        """After an answer without an id, none is sent."""
        talk = start()
        finish(next_turn(talk, "a", ()), responseId="resp_1")
        assert finish(next_turn(talk, "b", ()), responseId="resp_2")["previousResponseId"] == "resp_1"
        assert finish(next_turn(talk, "c", ()))["previousResponseId"] == "resp_2"
        assert "previousResponseId" not in sent(next_turn(talk, "d", ()))

    @pytest.mark.parametrize("prompt", [None, "b"])
    def test_response_id_is_not_sent_with_a_replaced_question(self, prompt: str | None) -> None:
        """The history on the site still holds the old question."""
        talk = start()
        finish(next_turn(talk, "a", ()), responseId="resp_1")
        assert "previousResponseId" not in finish(repeated(talk, prompt, ()), responseId="resp_2")
        assert sent(next_turn(talk, "c", ()))["previousResponseId"] == "resp_2"

    @pytest.mark.parametrize(("body", "kept"), [(error("No such response") + b"\n\n", False), (b"", True)])
    def test_response_id_is_discarded_only_after_an_error_of_the_provider(self, body: bytes, kept: bool) -> None:
        """An error of the provider may be about the id. An error of the network is not."""
        talk = start()
        finish(next_turn(talk, "a", ()), responseId="resp_1")
        turn = next_turn(talk, "b", ())
        sent(turn)
        turn.receive_response(200, {})
        turn.receive_data(body)
        turn.receive_eof()
        assert ("previousResponseId" in sent(next_turn(talk, "b", ()))) == kept


class TestShortcuts:
    """Questions that the site offers as buttons."""

    def test_shortcut_with_a_message_sends_its_message_and_label(self) -> None:
        talk = start(start_sentence="Hey")
        asked = finish(chosen(talk, Shortcut("message", "Prices", "What does it cost?", "x1")))
        assert (asked["newMessage"], asked["shortcutName"]) == ("What does it cost?", "Prices")
        assert "shortcutId" not in asked
        assert asked["messages"] == [says("assistant", "Hey")]
        assert talk.messages[1:] == [says("user", "What does it cost?"), says("assistant", "Hello!")]

    def test_shortcut_without_a_message_sends_its_id_and_label(self) -> None:
        """Only the site knows the text, so the label is in the history."""
        talk = start()
        asked = finish(chosen(talk, Shortcut("action", "Prices", shortcut_id="x1", action="message")))
        assert (asked["newMessage"], asked["shortcutId"], asked["shortcutName"]) == ("", "x1", "Prices")
        assert talk.messages == [says("user", "Prices"), says("assistant", "Hello!")]

    def test_shortcut_is_repeated_by_its_id(self) -> None:
        """The label in the history is not the question."""
        talk = start()
        finish(chosen(talk, Shortcut("message", "Prices", shortcut_id="x1")))
        asked = finish(repeated(talk, None, ()))
        assert (asked["newMessage"], asked["shortcutId"], asked["messages"]) == ("", "x1", [])
        assert len(talk.messages) == 2
        finish(next_turn(talk, "And shipping?", ()))
        assert "shortcutId" not in sent(repeated(talk, None, ()))

    def test_shortcut_is_sent_with_the_ids_of_the_bot(self) -> None:
        """A site finds a shortcut only in its bot."""
        talk = client(bot=Bot("support", context_id=4)).conversation()
        asked = sent(chosen(talk, Shortcut("message", "a", shortcut_id="x1")))
        assert (asked["botId"], asked["contextId"]) == ("support", 4)

    @pytest.mark.parametrize(
        ("shortcut", "reason"),
        [
            (Shortcut("action", "New", action="clear"), r"clear\(\)"),
            (Shortcut("callback", "Call"), "browsers only"),
            (Shortcut("message", "Empty"), "nothing to send"),
            (shortcut_of("message", 5, "", "x1"), "shortcut_name is a string"),
            (shortcut_of("message", "a", 5), "message is a string"),
            (shortcut_of("message", "a", "", 5), "shortcut_id is a string"),
            (Shortcut("message", HALF, "b"), "half a character"),
            (Shortcut("message", "a", HALF), "half a character"),
            (Shortcut("message", "a", "", HALF), "half a character"),
        ],
    )
    def test_shortcut_that_cannot_be_sent_is_refused_with_a_reason(self, shortcut: Shortcut, reason: str) -> None:
        talk = start()
        with pytest.raises(InvalidInput, match=reason):
            chosen(talk, shortcut)
        assert talk.messages == []


class TestDiscussions:
    """Conversations that the site has stored."""

    def test_stored_discussion_is_continued(self) -> None:
        """The start sentence of the bot is not added."""
        stored = Discussion("c9", messages=(says("user", "a"), says("assistant", "b")), previous_response_id="resp_7")
        talk = client(bot=Bot(start_sentence="Welcome!")).conversation(discussion=stored)
        asked = sent(next_turn(talk, "c", ()))
        assert (asked["chatId"], asked["previousResponseId"]) == ("c9", "resp_7")
        assert asked["messages"] == list(stored.messages) == talk.messages


@KINDS
class TestFiles:
    """Conversations that are saved to a file and loaded from it."""

    def test_loaded_conversation_continues_the_saved_one(self, kind: Any, tmp_path: Path) -> None:
        talk = client(kind).conversation(messages=[says("system", "Будь краток. 😀")], chat_id="c1")
        finish(next_turn(talk, "Hi\u2028there", ()), "Hello\n\0!", responseId="resp_1")
        talk.save(tmp_path / "talk.json")
        again = kind.load(str(tmp_path / "talk.json"), client(kind))
        assert type(again) is kind
        assert (again.chat_id, again.messages) == ("c1", talk.messages)
        assert sent(next_turn(again, "x", ())) == sent(next_turn(talk, "x", ()))

    @pytest.mark.parametrize("half", ["label", "message", "shortcut_id", "icon"])
    def test_shortcut_with_a_lone_surrogate_never_makes_a_save_fail(self, kind: Any, tmp_path: Path, half: str) -> None:
        """Fields that are not sent may hold anything."""
        values = {"label": "Prices", "message": "What does it cost?", "shortcut_id": "x1"}
        talk = client(kind).conversation()
        with suppress(InvalidInput):
            finish(chosen(talk, Shortcut("message", **values | {half: HALF})))
        talk.save(tmp_path / "talk.json")
        assert kind.load(tmp_path / "talk.json", client(kind)).messages == talk.messages
        assert len(talk.messages) == (2 if half in ("shortcut_id", "icon") else 0)

    def test_empty_history_stays_empty_in_a_file(self, kind: Any, tmp_path: Path) -> None:
        """The start sentence of the bot is not added."""
        talk = client(kind).conversation()
        talk.save(tmp_path / "talk.json")
        assert kind.load(tmp_path / "talk.json", client(kind, bot=Bot(start_sentence="Hey"))).messages == []

    def test_saved_file_is_readable(self, kind: Any, tmp_path: Path) -> None:
        """It is JSON in UTF-8 with many lines."""
        client(kind).conversation(messages=[says("user", "Привет")]).save(tmp_path / "talk.json")
        text = (tmp_path / "talk.json").read_text("utf-8")
        assert "Привет" in text
        assert text.count("\n") > 5
        assert json.loads(text)["site"] == SITE

    def test_saved_file_has_no_secrets(self, kind: Any, tmp_path: Path) -> None:
        """Secrets are the nonce, the session id, cookies, headers, the password, the token and the proxy."""
        made = client(
            kind,
            cookies={"wordpress_logged_in_1": "secret-cookie"},
            auth=("secret-user", "secret-password"),
            token="secret-token",
            headers={"X-Key": "secret-header"},
            proxy="http://secret-proxy:3128",
        )
        made.session.session_id = "secret-session"
        made.conversation().save(tmp_path / "talk.json")
        assert "secret" not in (tmp_path / "talk.json").read_text("utf-8")

    def test_shortcut_is_asked_again_after_a_save(self, kind: Any, tmp_path: Path) -> None:
        """The label in the history is not the question. Only the site knows the question."""
        talk = client(kind).conversation()
        finish(chosen(talk, Shortcut("action", "Prices", shortcut_id="x1", action="message")))
        talk.save(tmp_path / "talk.json")
        again = kind.load(tmp_path / "talk.json", client(kind))
        asked = sent(repeated(again, None, ()))
        assert asked == sent(repeated(talk, None, ()))
        assert (asked["newMessage"], asked["shortcutId"], asked["messages"]) == ("", "x1", [])

    def test_conversation_of_another_site_is_not_loaded(self, kind: Any, tmp_path: Path) -> None:
        client(kind).conversation().save(tmp_path / "talk.json")
        other = (Client if kind is Conversation else AsyncClient)("https://other.org")
        with pytest.raises(InvalidInput, match=r"https://example\.org.*https://other\.org"):
            kind.load(tmp_path / "talk.json", other)

    @pytest.mark.parametrize(
        "change",
        [
            {"format": 2},
            {"format": None},
            {"messages": None},
            {"messages": 5},
            {"messages": "abc"},
            {"messages": {"a": 1}},
            {"messages": ["a"]},
            {"messages": [{"role": "user"}]},
            {"messages": [{"role": "user", "content": 5}]},
            {"messages": [{"role": None, "content": "a"}]},
            {"chat_id": 5},
            {"chat_id": ["a"]},
            {"previous_response_id": None},
            {"previous_response_id": 5},
            {"chat_id": ""},
            {"chat_id": None},
            {"chat_id": "\ud83d"},
            {"chat_id": "c" * 65},
            {"previous_response_id": "resp_\ud83d"},
            {"previous_response_id": "r" * 1001},
            {"messages": [{"role": "user", "content": "\ud83d"}]},
            {"messages": [{"role": "\udc00", "content": "a"}]},
            {"last_shortcut": 5},
            {"last_shortcut": {}},
            {"last_shortcut": {"label": "a", "message": "", "shortcut_id": ""}},
            {"last_shortcut": {"label": "a", "message": None, "shortcut_id": "x1"}},
            {"last_shortcut": {"label": "\ud83d", "message": "", "shortcut_id": "x1"}},
            {"site": None},
        ],
        ids=repr,
    )
    def test_file_with_a_wrong_value_is_not_loaded(self, kind: Any, tmp_path: Path, change: dict[str, Any]) -> None:
        path = tmp_path / "talk.json"
        client(kind).conversation(messages=[says("user", "a")]).save(path)
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        with pytest.raises(InvalidInput):
            kind.load(path, client(kind))

    @pytest.mark.parametrize("name", ["format", "site", "chat_id", "messages", "previous_response_id"])
    def test_file_without_a_value_is_not_loaded(self, kind: Any, tmp_path: Path, name: str) -> None:
        path = tmp_path / "talk.json"
        client(kind).conversation().save(path)
        path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != name}))
        with pytest.raises(InvalidInput, match=str(path)):
            kind.load(path, client(kind))


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), texts)), texts.filter(str.strip))
def test_any_messages_are_saved_loaded_and_sent_unchanged(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, str]], question: str
) -> None:
    """P5: the messages in a file and in a question equal those of the conversation."""
    messages = [says(role, content) for role, content in history]
    talk = start(messages=messages)
    path = tmp_path_factory.mktemp("talks") / "talk.json"
    talk.save(path)
    again = Conversation.load(path, client())
    assert again.messages == messages
    asked = finish(next_turn(again, question, ()))
    assert (asked["messages"], asked["newMessage"]) == (messages, question)
    assert again.messages[: len(messages) + 1] == [*messages, says("user", question)]
