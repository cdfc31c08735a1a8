"""Prompts to submissions, and messages to one text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online.protocol.errors import InvalidInput
from chatgpt4online.protocol.messages import format_prompt, submission
from chatgpt4online.protocol.wire import Submission

from .strategies import texts


def says(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


PARTS = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


class TestSubmission:
    """What is asked, and what came before it."""

    def test_a_string(self) -> None:
        """It is asked as it is, with no history."""
        assert submission("Hello") == Submission("Hello")

    def test_options_go_through(self) -> None:
        """All other fields are the submission's."""
        assert submission("Hello", bot_id="b", stream=False) == Submission("Hello", bot_id="b", stream=False)
        assert submission([says("user", "Hello")], chat_id="c") == Submission("Hello", [], chat_id="c")

    @pytest.mark.parametrize("kind", [list, tuple])
    def test_messages(self, kind: Any) -> None:
        """The last is asked; the others are the history, in their roles."""
        prompt = kind(
            [says("developer", "Be brief."), says("user", "Hi"), says("assistant", None), says("user", PARTS)]
        )
        assert submission(prompt) == Submission(
            "a\nb", [says("system", "Be brief."), says("user", "Hi"), says("assistant", "")]
        )

    def test_what_else_a_message_holds_stays_here(self) -> None:
        """Only role and content travel."""
        asked = submission([says("user", "a") | {"name": "x", "tool_calls": []}, says("user", "b")])
        assert asked.messages == [says("user", "a")]

    def test_flatten(self) -> None:
        """All of it in one text, for sites that take no history."""
        asked = submission([says("user", "a"), says("assistant", "b"), says("user", "c")], flatten=True, bot_id="b")
        assert asked == Submission("User: a\nAssistant: b\nUser: c\nAssistant:", bot_id="b")
        assert submission("Hello", flatten=True) == Submission("Hello")

    @given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), texts), min_size=1))
    def test_nothing_is_lost(self, said: list[tuple[str, str]]) -> None:
        """P5: roles and contents come out as they went in."""
        said = [*said, ("user", "last")]
        asked = submission([says(role, content) for role, content in said])
        assert [(item["role"], item["content"]) for item in asked.messages] == said[:-1]
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
            ([says("user", [{"type": "image_url", "image_url": {"url": "u"}}])], "not text"),
            ([says("user", [*PARTS, {"type": "text"}])], "not text"),
            ([says("user", [{"type": "text", "text": None}])], "not text"),
            ([says("user", ["a"])], "not text"),
            ([says("user", b"ab")], "not text"),
            ("", "empty"),
            ([says("user", "")], "empty"),
            ([says("user", None)], "empty"),
            ([says("user", [])], "empty"),
        ],
    )
    def test_other_shapes(self, prompt: Any, words: str) -> None:
        """The error names the message at fault."""
        with pytest.raises(InvalidInput, match=words):
            submission(prompt)

    def test_an_option_that_is_none(self) -> None:
        """A misspelt option is a mistake in the call."""
        with pytest.raises(TypeError, match="model"):
            submission("Hello", model="gpt-4")


class TestFormatPrompt:
    """Section 6.2's form of a conversation."""

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
    def test_format_prompt(self, messages: Any, special: bool, text: str) -> None:
        """A single message is its content; several are lines, and the assistant's turn."""
        assert format_prompt(messages, special) == text
        assert format_prompt(messages, add_special_tokens=special) == text

    @pytest.mark.parametrize("messages", [[], "Hello", b"Hello", None, ["Hello"], [{"role": "user", "content": 1}]])
    def test_what_it_refuses(self, messages: Any) -> None:
        """A string is no list of messages here."""
        with pytest.raises(InvalidInput):
            format_prompt(messages)
