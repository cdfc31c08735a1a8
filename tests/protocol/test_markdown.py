"""Conversations as Markdown: the text of each message can be read back, and changes nothing outside of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online.protocol.calls.endpoints import Discussion
from chatgpt4online.protocol.calls.markdown import messages_markdown

# Words that begin or end something in Markdown, line ends, other spaces, and a lone surrogate.
PIECES = st.sampled_from(
    ["# A", "```", "~~~", "---", "===", "> a", "**User**", "<!--", "<pre>", "- x", "1. x", "[a]: b", "    x", "\t", " ",
     "\n", "\n\n", "\r\n", "\r", "\u2028", "\x85", "\x0c", "é😀", "\\", "a", "\ud83d", "|", "&amp;"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=8).map("".join)
ROLES = st.one_of(st.sampled_from(["user", "assistant", "system"]), TEXTS)
MESSAGES = st.lists(st.fixed_dictionaries({"role": ROLES, "content": TEXTS}), max_size=4)


def says(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def read_back(markdown: str) -> tuple[list[str], list[str]]:
    """Return the lines outside of block quotes, and the text of each block quote."""
    outside, quotes, in_quote = [], [], False
    for line in markdown.split("\n"):
        is_quote = line.startswith(">")
        if is_quote and not in_quote:
            quotes.append([line])
        elif is_quote:
            quotes[-1].append(line)
        elif line:
            outside.append(line)
        in_quote = is_quote
    return outside, ["\n".join(line.removeprefix(">").removeprefix(" ") for line in quote) for quote in quotes]


def as_shown(text: str) -> str:
    """Return a text with the line ends of the file, and without lone surrogates."""
    return re.sub("[\ud800-\udfff]", "\ufffd", re.sub(r"\r\n?", "\n", text))


@given(messages=MESSAGES)
def test_text_of_a_message_is_lost_or_changes_the_structure(messages: list[dict[str, str]]) -> None:
    markdown = messages_markdown(messages)
    outside, texts = read_back(markdown)
    assert texts == [as_shown(message["content"]) for message in messages]
    assert len(outside) == len(messages)
    assert all(line.startswith("**") and line.endswith("**") for line in outside)
    assert "\r" not in markdown
    markdown.encode()


@given(title=TEXTS, created=TEXTS, updated=TEXTS, messages=MESSAGES)
def test_title_or_date_of_a_discussion_changes_the_structure(
    title: str, created: str, updated: str, messages: list[dict[str, str]]
) -> None:
    discussion = Discussion("c1", title, "", tuple(messages), "", created, updated)
    outside, texts = read_back(discussion.to_markdown())
    assert texts == [as_shown(message["content"]) for message in messages]
    assert outside[0].startswith("# ")
    assert len(outside) == 1 + bool((created + updated).strip()) + len(messages)


def test_discussion_is_shown_in_another_form() -> None:
    discussion = Discussion(
        "c1",
        "About *names*",
        messages=(says("assistant", "Hi!"), says("user", "# My name\n\nis Ann."), says("assistant", "```\ncode")),
        created="2026-07-01 10:00:00",
        updated="2026-07-02 10:00:00",
    )
    assert discussion.to_markdown() == (
        "# About \\*names\\*\n\n"
        "Created 2026-07-01 10:00:00, updated 2026-07-02 10:00:00\n\n"
        "**Assistant**\n\n> Hi!\n\n"
        "**User**\n\n> # My name\n>\n> is Ann.\n\n"
        "**Assistant**\n\n> ```\n> code\n"
    )


@pytest.mark.parametrize(
    ("discussion", "markdown"),
    [
        (Discussion("c1"), "# c1\n"),
        (Discussion("c1", " \n"), "# c1\n"),
        (Discussion("c1", "T", updated="today"), "# T\n\nUpdated today\n"),
        (Discussion("c1", "T", messages=(says("user", ""),)), "# T\n\n**User**\n\n>\n"),
        (Discussion("c1", "T", messages=(says("", "a"),)), "# T\n\n**Unknown**\n\n> a\n"),
    ],
)
def test_missing_part_of_a_discussion_leaves_a_gap(discussion: Discussion, markdown: str) -> None:
    assert discussion.to_markdown() == markdown


def test_no_messages_are_shown_as_a_line() -> None:
    assert messages_markdown([]) == ""
