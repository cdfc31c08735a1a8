"""Prompts: strings and messages become a submission, or one text."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online.protocol.calls.prompt import (
    Image,
    Submission,
    checked_messages,
    format_prompt,
    image,
    image_parts,
    submission,
)
from chatgpt4online.protocol.parsing.errors import InvalidInput

from ..support.strategies import texts


def images(prompt: Any) -> list[Image]:
    """Return the decoded pictures of a prompt."""
    return [image(part) for part in image_parts(prompt)]


def says(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


PARTS = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
URL = "data:image/png;base64,iVBORw0KGgo="
PNG = Image(b"\x89PNG\r\n\x1a\n", "image/png")


def picture(url: Any = URL) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


PICTURE = picture()


class TestSubmission:
    """The submission for a prompt."""

    def test_string_is_the_question_without_history(self) -> None:
        assert submission("Hello") == Submission("Hello")

    def test_options_become_fields_of_the_submission(self) -> None:
        assert submission("Hello", bot_id="b", stream=False) == Submission("Hello", bot_id="b", stream=False)
        assert submission([says("user", "Hello")], chat_id="c") == Submission("Hello", chat_id="c")

    @pytest.mark.parametrize("kind", [list, tuple])
    def test_last_message_is_the_question_and_the_others_the_history(self, kind: Any) -> None:
        prompt = kind(
            [says("developer", "Be brief."), says("user", "Hi"), says("assistant", None), says("user", PARTS)]
        )
        assert submission(prompt) == Submission(
            "a\nb", (says("system", "Be brief."), says("user", "Hi"), says("assistant", ""))
        )

    def test_only_role_and_content_of_a_message_are_sent(self) -> None:
        asked = submission([says("user", "a") | {"name": "x", "tool_calls": []}, says("user", "b")])
        assert asked.messages == (says("user", "a"),)

    def test_changes_to_the_messages_after_the_check_are_not_sent(self) -> None:
        earlier = says("user", "a")
        asked = submission([earlier, says("user", "b")]), Submission("b", [earlier])
        earlier["content"] = 5
        for question in asked:
            assert json.loads(question.body("s"))["messages"] == [says("user", "a")]
            assert json.loads(question.body("s", ["f"]))["messages"] == [says("user", "a")]

    def test_messages_that_were_checked_are_not_checked_again(self) -> None:
        """A conversation sends all its messages with each question."""
        checked = checked_messages([says("user", "a") | {"name": "x"}])
        assert checked == (says("user", "a"),)
        assert checked_messages(checked) is checked

    def test_flatten_joins_all_messages_to_one_text(self) -> None:
        asked = submission([says("user", "a"), says("assistant", "b"), says("user", "c")], flatten=True, bot_id="b")
        assert asked == Submission("User: a\nAssistant: b\nUser: c\nAssistant:", bot_id="b")
        assert submission("Hello", flatten=True) == Submission("Hello")

    @given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), texts), min_size=1))
    def test_roles_and_contents_are_sent_unchanged(self, pairs: list[tuple[str, str]]) -> None:
        pairs = [*pairs, ("user", "last")]
        asked = submission([says(role, content) for role, content in pairs])
        assert [(item["role"], item["content"]) for item in asked.messages] == pairs[:-1]
        assert asked.message == "last"

    @pytest.mark.parametrize(
        ("prompt", "words"),
        [
            ([], "at least one"),
            ((), "at least one"),
            (None, "at least one"),
            (5, "at least one"),
            (b"Hello", "at least one"),
            ({"role": "user", "content": "a"}, "at least one"),
            (iter([says("user", "a")]), "at least one"),
            (["Hello"], r"messages\[0\]"),
            ([None], r"messages\[0\]"),
            ([{}], r"messages\[0\]"),
            ([{"content": "a"}], r"messages\[0\]"),
            ([says("", "a")], r"messages\[0\]"),
            ([says("user", "a"), {"role": 5, "content": "a"}], r"messages\[1\]"),
            ([says("user", 5)], r"messages\[0\]\['content'\]"),
            ([says("user", {"type": "text", "text": "a"})], r"messages\[0\]\['content'\]"),
            ([says("user", [{"type": "input_audio", "input_audio": {"data": "u"}}])], "neither text nor picture"),
            ([says("user", [*PARTS, {"type": "text"}])], "neither text nor picture"),
            ([says("user", [{"type": "text", "text": None}])], "neither text nor picture"),
            ([says("user", [PICTURE, "a"])], "neither text nor picture"),
            ([says("user", b"ab")], "not bytes: decode it"),
            ("", "empty"),
            ([says("user", "")], "empty"),
            ([says("user", None)], "empty"),
            ([says("user", [])], "empty"),
        ],
    )
    def test_prompt_of_another_shape_raises_and_names_the_message(self, prompt: Any, words: str) -> None:
        with pytest.raises(InvalidInput, match=words):
            submission(prompt)

    def test_unknown_option_raises_type_error(self) -> None:
        with pytest.raises(TypeError, match="model"):
            submission("Hello", model="gpt-4")


class TestImages:
    """The pictures of a prompt."""

    @pytest.mark.parametrize("prompt", ["Hello", None, 5, [], [None], ["a"], [says("user", URL)], [says("user", None)]])
    def test_prompt_without_pictures_has_none(self, prompt: Any) -> None:
        """A malformed prompt has none either; submission() refuses it."""
        assert images(prompt) == []

    @pytest.mark.parametrize("kind", [list, tuple])
    def test_pictures_of_the_last_message_keep_their_order(self, kind: Any) -> None:
        """Lists and tuples may hold messages and parts."""
        gif = picture("data:image/svg+xml;base64,R0lG")
        parts = kind([PICTURE, {"type": "text", "text": "What is it?"}, gif])
        prompt = kind([says("user", "Hi"), says("assistant", "Hello"), says("user", parts)])
        assert images(prompt) == [PNG, Image(b"GIF", "image/svg+xml")]
        assert submission(prompt).message == "What is it?"

    def test_url_in_place_of_the_object_is_read(self) -> None:
        assert images([says("user", [{"type": "image_url", "image_url": URL}])]) == [PNG]

    def test_picture_in_an_earlier_message_raises(self) -> None:
        with pytest.raises(InvalidInput, match="only the last message"):
            images([says("user", [PICTURE]), says("user", "What was it?")])

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("https://example.org/a.png", r"download the picture, call client\.upload\(bytes, name=.*files="),
            ("data:image/png,abc", "client.upload"),
            ("data:text/plain;base64,YQ==", "client.upload"),
            ("data:image/;base64,YQ==", "client.upload"),
            (None, "client.upload"),
            ({"url": URL}, "client.upload"),
            ("data:image/png;base64,YQ", "not valid base64"),
            ("data:image/png;base64,Y Q=", "not valid base64"),
            ("data:image/png;base64,é===", "not valid base64"),
        ],
    )
    def test_url_that_is_not_a_data_url_raises(self, url: Any, words: str) -> None:
        """Only a data URL holds the picture itself (RFC 2397)."""
        with pytest.raises(InvalidInput, match=words):
            images([says("user", [picture(url)])])

    @pytest.mark.parametrize("part", [{"type": "image_url"}, {"type": "image_url", "image_url": None}])
    def test_picture_without_a_url_raises(self, part: Any) -> None:
        with pytest.raises(InvalidInput):
            images([says("user", [part])])

    @given(st.binary(), st.sampled_from(["image/png", "image/x-icon", "image/vnd.ms-photo", "image/svg+xml"]))
    def test_bytes_of_a_picture_are_unchanged(self, data: bytes, kind: str) -> None:
        url = f"data:{kind};base64,{b64encode(data).decode()}"
        assert images([says("user", [picture(url)])]) == [Image(data, kind)]


class TestFormatPrompt:
    """One text for a list of messages, in the form of protocol section 6.2."""

    @pytest.mark.parametrize(
        ("messages", "special", "text"),
        [
            ([says("user", "Hello")], False, "Hello"),
            ([says("user", "Hello")], True, "User: Hello\nAssistant:"),
            ([says("system", " a ")], False, " a "),
            ([says("user", "a"), says("user", "b")], False, "User: a\nUser: b\nAssistant:"),
            ([says("USER", "a"), says("aSSistant", "b")], False, "User: a\nAssistant: b\nAssistant:"),
            ([says("developer", "a"), says("user", "b")], False, "System: a\nUser: b\nAssistant:"),
            ([says("user", None), says("tool", "b")], False, "User: \nTool: b\nAssistant:"),
            ([says("user", PARTS)], False, "a\nb"),
            ([says("user", PARTS), says("user", "c")], True, "User: a\nb\nUser: c\nAssistant:"),
        ],
    )
    def test_single_message_is_its_content_and_several_are_lines(self, messages: Any, special: bool, text: str) -> None:
        assert format_prompt(messages, special) == text
        assert format_prompt(messages, add_special_tokens=special) == text

    @pytest.mark.parametrize("messages", [[], "Hello", b"Hello", None, ["Hello"], [{"role": "user", "content": 1}]])
    def test_prompt_that_is_not_a_list_of_messages_raises(self, messages: Any) -> None:
        with pytest.raises(InvalidInput):
            format_prompt(messages)
