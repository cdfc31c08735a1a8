"""Events and replies: what is read from a final object, and what is left in it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online.protocol.parsing.errors import ChatError
from chatgpt4online.protocol.parsing.events import (
    Action,
    Block,
    Done,
    Failed,
    Notice,
    Reply,
    Shortcut,
    Text,
    Usage,
    read_reply,
    read_shortcuts,
    texts,
    without_failure,
)

from .strategies import values

KEYS = ["success", "reply", "images", "actions", "shortcuts", "blocks", "usage", "responseId"]


def test_the_sample_of_the_protocol() -> None:
    """Section 2.6's final object."""
    raw = {
        "success": True,
        "reply": "Bonjour à tous/toutes",
        "images": None,
        "actions": [],
        "shortcuts": [],
        "blocks": [],
        "usage": {
            "prompt_tokens": 31,
            "completion_tokens": 4,
            "total_tokens": 35,
            "price": None,
            "queries": 1,
            "accuracy": "estimated",
        },
        "responseId": "resp_x",
    }
    reply = read_reply(raw)
    assert reply == Reply(
        "Bonjour à tous/toutes",
        usage=Usage(31, 4, 35, None, 1, accuracy="estimated"),
        response_id="resp_x",
        raw=raw,
    )
    assert str(reply) == "Bonjour à tous/toutes"
    assert reply.raw is raw
    assert "Bonjour" in repr(reply)
    assert "raw" not in repr(reply)


@pytest.mark.parametrize(("said", "text"), [("a", "a"), ("", ""), (None, ""), (5, ""), (["a"], "")])
def test_the_text(said: Any, text: str) -> None:
    """The server's word, where it has one."""
    assert read_reply({"reply": said}).text == text
    assert read_reply({}) == Reply()


@pytest.mark.parametrize(
    ("said", "images"), [(["u", "v"], ("u", "v")), (None, ()), ([None, 5, "u"], ("u",)), ("u", ()), ({"0": "u"}, ())]
)
def test_images(said: Any, images: tuple[str, ...]) -> None:
    """URLs, and nothing else."""
    assert read_reply({"images": said}).images == images


@pytest.mark.parametrize(
    ("said", "action"),
    [
        ({"type": "function", "data": {"name": "f", "args": {"a": 1}}}, Action("function", "f", {"a": 1})),
        ({"type": "function", "data": {"name": "f", "args": []}}, Action("function", "f")),
        ({"type": "function", "data": {}}, Action("function")),
        ({"type": "javascript", "data": {"snippet": "alert(1)"}}, Action("javascript", snippet="alert(1)")),
        ({"type": "new", "data": {"name": 5, "args": None, "snippet": ["x"]}}, Action("new")),
        ({"type": 5, "data": {"name": "f"}}, Action("", "f")),
        ({"data": {"name": "f"}}, Action("", "f")),
    ],
)
def test_actions(said: Any, action: Action) -> None:
    """Calls and scripts are values, whatever shape they have."""
    assert read_reply({"actions": [None, said, "x", {"type": "function"}, {"data": []}]}).actions == (action,)


@pytest.mark.parametrize(
    ("said", "shortcut"),
    [
        (
            {"type": "message", "data": {"label": "L", "message": "M", "variant": "v", "icon": "i", "className": "c"}},
            Shortcut("message", "L", "M", variant="v", icon="i"),
        ),
        ({"type": "message", "data": {"label": "L", "shortcutId": "s"}}, Shortcut("message", "L", shortcut_id="s")),
        ({"type": "action", "data": {"label": "L", "action": "clear"}}, Shortcut("action", "L", action="clear")),
        ({"type": "callback", "data": {"label": "L", "onClick": "f()"}}, Shortcut("callback", "L")),
        ({"type": "message", "data": {"label": None, "message": 1}}, Shortcut("message")),
    ],
)
def test_shortcuts(said: Any, shortcut: Shortcut) -> None:
    """Ready questions, of a reply or of a page."""
    assert read_shortcuts({"shortcuts": [said, 1]}) == (shortcut,)
    assert read_reply({"shortcuts": [said]}).shortcuts == (shortcut,)


def test_blocks() -> None:
    """HTML and scripts are values too."""
    said = {"id": "outer", "type": "content", "data": {"id": "b", "html": "<p>", "script": "s()"}}
    assert read_reply({"blocks": [said]}).blocks == (Block("content", "b", "<p>", "s()"),)


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (None, None),
        ([], None),
        ({}, None),
        ("x", None),
        ({"prompt_tokens": "12", "price": "0.5", "queries": 1.0}, Usage(12, price=0.5, queries=1)),
        ({"images": 2, "queries": 1, "price": None, "accuracy": "price"}, Usage(queries=1, images=2, accuracy="price")),
        ({"prompt_tokens": None, "total_tokens": [], "price": {}, "accuracy": 5}, Usage()),
        ({"prompt_tokens": "many", "total_tokens": "nan", "price": float("inf"), "queries": float("nan")}, Usage()),
        ({"total_tokens": 10**400, "price": "1e999"}, Usage()),
        ({"total_tokens": 1.9, "price": -1}, Usage(total_tokens=1, price=-1.0)),
    ],
)
def test_usage(said: Any, usage: Usage | None) -> None:
    """Numbers may be strings, empty objects arrays, and what is no number is unknown."""
    assert read_reply({"usage": said}).usage == usage


@given(st.dictionaries(st.sampled_from(KEYS), st.one_of(values, st.lists(st.dictionaries(st.just("data"), values)))))
def test_any_object_is_a_reply(raw: dict[str, Any]) -> None:
    """P3: whatever a final object holds, its reply has the types that it promises."""
    reply = read_reply(raw)
    assert isinstance(reply.text, str)
    assert all(isinstance(url, str) for url in reply.images)
    assert all(isinstance(action.args, dict) for action in reply.actions)
    assert isinstance(reply.response_id, str)
    assert reply.usage is None or isinstance(reply.usage.total_tokens, int | None)
    assert reply.raw is raw


def test_views_of_events() -> None:
    """One view gives the texts alone, the other all events but the failure; both give its error."""
    events = [Text("a"), Notice("thinking", "b"), Text(""), Done(Reply("c"))]
    error = ChatError("lost")
    assert texts(events) == (["a", ""], None)
    assert without_failure(events) == (events, None)
    assert texts([Text("a"), Failed(error)]) == (["a"], error)
    assert without_failure([Text("a"), Failed(error)]) == ([Text("a")], error)
    assert texts([]) == without_failure([]) == ([], None)


def test_events_are_compared_by_value() -> None:
    """Two events that say the same are equal; those of different kinds are not."""
    assert Text("a") == Text("a") != Text("b")
    assert Notice("a") == Notice("a", "", "", {}, None)
    assert Done(Reply("a")) == Done(Reply("a"))
    assert Text("a") != Notice("a")
    assert Notice("a").metadata is not Notice("a").metadata
    with pytest.raises(AttributeError):
        Text("a").other = 1  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError):
        Action("function").name = "g"  # type: ignore[misc]
