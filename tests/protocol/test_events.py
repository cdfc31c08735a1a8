"""Events and replies: the fields that are read from a final object, and the values that are left out."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online.protocol.parsing.errors import ChatError, RateLimited, TimedOut
from chatgpt4online.protocol.parsing.events import (
    Action,
    Block,
    Done,
    Event,
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

from ..support.strategies import finals, values

KEYS = ["success", "reply", "images", "actions", "shortcuts", "blocks", "usage", "responseId"]


def test_final_object_of_the_protocol_document_is_read() -> None:
    """The object is that of protocol section 2.6."""
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
    reply, unread = read_reply(raw)
    assert unread == []
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


def read(**raw: Any) -> tuple[Reply, list[str]]:
    """Return the reply in a final object, without ``raw``, and the unread fields."""
    reply, unread = read_reply(raw)
    assert reply.raw == raw
    return replace(reply, raw={}), unread


@pytest.mark.parametrize("sent", ["a", "", None])
def test_reply_text_is_that_of_the_final_object(sent: str | None) -> None:
    assert read(reply=sent) == (Reply(sent or ""), [])
    assert read() == (Reply(), [])


@pytest.mark.parametrize("field", ["reply", "responseId"])
@pytest.mark.parametrize("sent", [5, 1.5, float("nan"), True, False, ["a"], [], {}, {"0": "a"}])
def test_text_of_another_type_is_reported(field: str, sent: Any) -> None:
    """``raw`` keeps the value, and the field is named."""
    assert read(**{field: sent}) == (Reply(), [field])


@pytest.mark.parametrize(
    ("sent", "images", "read_whole"),
    [
        (["u", "v"], ("u", "v"), True),
        (None, (), True),
        ([], (), True),
        ({}, (), True),
        ({"0": "u", "2": "v"}, ("u", "v"), True),
        ({"7": "u", "3": None}, ("u",), True),
        ([None, "u"], ("u",), True),
        ([None, 5, "u"], ("u",), False),
        ({"0": "u", "1": ["v"]}, ("u",), False),
        ({"0": "u", "url": "v"}, (), False),
        ({"-1": "u"}, (), False),
        ({"\u0661": "u"}, (), False),
        ("u", (), False),
        (False, (), False),
        (5, (), False),
    ],
)
def test_images_are_read_from_lists_and_php_objects(sent: Any, images: tuple[str, ...], read_whole: bool) -> None:
    """Values that are not strings are reported."""
    assert read(images=sent) == (Reply(images=images), [] if read_whole else ["images"])


@pytest.mark.parametrize("field", ["actions", "shortcuts", "blocks"])
def test_object_with_numbers_as_keys_is_read_as_list(field: str) -> None:
    """PHP writes a list with gaps as such an object."""
    items = [{"type": "message", "data": {"name": "a", "label": "a", "id": "a"}}, {"type": "x", "data": {}}]
    assert read(**{field: {"1": items[0], "5": items[1]}}) == read(**{field: items})
    assert len(getattr(read(**{field: items})[0], field)) == 2


@pytest.mark.parametrize("field", ["actions", "shortcuts", "blocks"])
@pytest.mark.parametrize(
    "sent",
    [
        "f()", True, 5, {"type": "x", "data": {}}, ["x"], [1], [[]], [{}], [{"type": "x"}],
        [{"type": "x", "data": None}], [{"data": "x"}], [{"data": ["x"]}], [{"data": 1}], {"0": "x"},
    ],
)  # fmt: skip
def test_items_of_another_shape_are_reported(field: str, sent: Any) -> None:
    """``raw`` keeps them, and the field is named once."""
    assert read(**{field: sent}) == (Reply(), [field])


@pytest.mark.parametrize(
    ("field", "key"),
    [("actions", key) for key in ("name", "snippet", "args")]
    + [("shortcuts", key) for key in ("label", "message", "shortcutId", "action", "variant", "icon")]
    + [("blocks", key) for key in ("id", "html", "script")],
)
def test_values_of_another_type_in_an_item_are_reported(field: str, key: str) -> None:
    """The item is read without these values."""
    for value in (5, True, ["x"]):
        reply, unread = read(**{field: [{"type": "t", "data": {key: value}}] * 2})
        assert unread == [field]
        assert getattr(reply, field) == getattr(read(**{field: [{"type": "t", "data": []}] * 2})[0], field)
    assert read(**{field: [{"type": "t", "data": {key: None}}]})[1] == []
    assert read(**{field: [{"type": 5, "data": {}}]})[1] == [field]


def test_unread_fields_are_reported_once_and_in_order() -> None:
    raw = {"usage": 1, "reply": 1, "blocks": 1, "images": 1, "actions": [1, 2], "responseId": 1, "shortcuts": 1, "x": 1}
    assert read(**raw)[1] == ["reply", "images", "actions", "shortcuts", "blocks", "usage", "responseId"]


@pytest.mark.parametrize(
    ("sent", "action"),
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
def test_actions_of_any_shape_are_read(sent: Any, action: Action) -> None:
    assert read_reply({"actions": [None, sent, "x", {"type": "function"}]})[0].actions == (action,)


@pytest.mark.parametrize(
    ("sent", "shortcut"),
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
def test_shortcuts_of_replies_and_pages_are_read(sent: Any, shortcut: Shortcut) -> None:
    assert read_shortcuts({"shortcuts": [sent, 1]}) == (shortcut,)
    assert read_reply({"shortcuts": [sent]})[0].shortcuts == (shortcut,)


def test_blocks_are_read() -> None:
    sent = {"id": "outer", "type": "content", "data": {"id": "b", "html": "<p>", "script": "s()"}}
    assert read_reply({"blocks": [sent]})[0].blocks == (Block("content", "b", "<p>", "s()"),)


@pytest.mark.parametrize(
    ("sent", "usage", "read_whole"),
    [
        (None, None, True),
        ([], None, True),
        ({}, None, True),
        ("x", None, False),
        (True, None, False),
        ([1], None, False),
        ({"other": "x"}, Usage(), True),
        ({"prompt_tokens": "12", "price": "0.5", "queries": 1.0}, Usage(12, price=0.5, queries=1), True),
        ({"images": 2, "price": None, "accuracy": "price"}, Usage(images=2, accuracy="price"), True),
        ({"total_tokens": 1.9, "price": -1}, Usage(total_tokens=1, price=-1.0), True),
        ({"total_tokens": -5, "price": -0.0}, Usage(total_tokens=-5, price=0.0), True),
        ({"total_tokens": 2**60 + 1}, Usage(total_tokens=2**60 + 1), True),
        ({"total_tokens": []}, Usage(), False),
        ({"price": {}}, Usage(), False),
        ({"accuracy": 5}, Usage(), False),
        ({"prompt_tokens": "many"}, Usage(), False),
        ({"prompt_tokens": ""}, Usage(), False),
        ({"prompt_tokens": "\ud800"}, Usage(), False),
        ({"prompt_tokens": True}, Usage(), False),
        ({"prompt_tokens": False}, Usage(), False),
        ({"total_tokens": "nan"}, Usage(), False),
        ({"total_tokens": float("nan")}, Usage(), False),
        ({"price": float("inf")}, Usage(), False),
        ({"price": float("-inf")}, Usage(), False),
        ({"price": "1e999"}, Usage(), False),
        ({"price": "9" * 5000}, Usage(), False),
        ({"total_tokens": 10**400}, Usage(), False),
        ({"total_tokens": 10**5000}, Usage(), False),
    ],
)
def test_usage_reads_numbers_and_reports_others(sent: Any, usage: Usage | None, read_whole: bool) -> None:
    """Numbers may be strings, and an empty object an array. A value that is not a finite number is reported."""
    assert read(usage=sent) == (Reply(usage=usage), [] if read_whole else ["usage"])


@given(st.one_of(finals, st.dictionaries(st.sampled_from(KEYS), values)))
def test_any_final_object_gives_a_well_typed_reply(raw: dict[str, Any]) -> None:
    """No value raises, and every field of the reply has the documented type."""
    reply, unread = read_reply(raw)
    assert isinstance(reply.text, str)
    assert all(isinstance(url, str) for url in reply.images)
    assert all(isinstance(action.args, dict) for action in reply.actions)
    assert isinstance(reply.response_id, str)
    for number in dataclasses.astuple(reply.usage)[:-1] if reply.usage else ():
        assert number is None or math.isfinite(number)
    assert reply.raw is raw
    assert set(unread) <= raw.keys()
    assert len(unread) == len(set(unread))


@given(finals)
def test_fields_that_are_not_reported_are_complete(raw: dict[str, Any]) -> None:
    """A field that is not named has as many items in the reply as in the object, and its strings unchanged."""
    reply, unread = read_reply(raw)
    for field in ("images", "actions", "shortcuts", "blocks"):
        sent = raw.get(field) or []
        items = sent.values() if isinstance(sent, dict) else sent
        if field not in unread:
            assert len(getattr(reply, field)) == sum(item is not None for item in items)
    if "reply" not in unread:
        assert reply.text == (raw.get("reply") or "")
    if "responseId" not in unread:
        assert reply.response_id == (raw.get("responseId") or "")


@given(st.one_of(finals, st.dictionaries(st.sampled_from(KEYS), values | st.floats())))
def test_dict_of_any_reply_is_its_fields_as_json(raw: dict[str, Any]) -> None:
    """The keys are in the order of the fields, tuples are lists, and NaN and Infinity are None."""
    reply = dataclasses.replace(read_reply(raw)[0], chat_id="c1")
    found = reply.to_dict()
    assert list(found) == [field.name for field in dataclasses.fields(Reply)]
    written = json.dumps(dataclasses.asdict(reply))
    assert found == json.loads(written, parse_constant=lambda _: None)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@given(st.recursive(st.just({}), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("ab"), inner)))
def test_dict_of_a_reply_is_not_a_copy_without_secrets(value: Any) -> None:
    """A change of the dict does not change the reply."""

    def fill(value: Any) -> None:
        if isinstance(value, dict):
            value |= {"new_token": "secret", "sessionId": ["secret"], "restNonce": ""}
        for inner in list(value.values() if isinstance(value, dict) else value):
            if isinstance(inner, dict | list):
                fill(inner)

    raw = {"success": True, "actions": [{"type": "function", "data": {"args": {"a": value}}}]}
    fill(raw)
    reply, _ = read_reply(raw)
    before = copy.deepcopy(reply)
    found = reply.to_dict()
    assert "secret" not in json.dumps(found)
    assert (found["raw"]["new_token"], found["raw"]["sessionId"], found["raw"]["restNonce"]) == ("***", "***", "")
    fill(found)
    assert reply == before


def test_dict_of_an_event_is_its_fields_and_its_type() -> None:
    dicts: list[tuple[Text | Notice | Done, dict[str, Any]]] = [
        (Text("Hé\ud800"), {"type": "text", "text": "Hé\ud800"}),
        (
            Notice("debug", "Hm", "hidden", {"sessionId": "s-1", "a": math.nan}, 1.5),
            {
                "type": "notice",
                "kind": "debug",
                "text": "Hm",
                "visibility": "hidden",
                "metadata": {"sessionId": "***", "a": None},
                "timestamp": 1.5,
            },
        ),
        (Done(Reply("Hi")), {"type": "done", "reply": Reply("Hi").to_dict()}),
    ]
    for event, expected in dicts:
        assert event.to_dict() == expected
        assert json.loads(json.dumps(event.to_dict(), allow_nan=False)) == expected


def test_dict_of_a_failure_is_the_facts_of_its_error() -> None:
    error = RateLimited(429, "busy", "Slow down", {}, 9.0)
    error.partial_text = "Hel"
    facts = {"type": "failed", "error": "RateLimited", "message": str(error), "partial_text": "Hel"}
    assert Failed(error).to_dict() == facts | {"status": 429, "code": "busy", "retry_after": 9.0}
    assert Failed(TimedOut("idle", 60)).to_dict() == {
        "type": "failed",
        "error": "TimedOut",
        "message": str(TimedOut("idle", 60)),
        "partial_text": "",
    }


def nested(levels: int, kind: type) -> Any:
    value: Any = kind()
    for _ in range(levels - 1):
        value = [value] if kind is list else {"a": value}
    return value


def depth(value: Any) -> int:
    levels = 0
    while isinstance(value, dict | list):
        levels += 1
        value = next(iter(value.values() if isinstance(value, dict) else value), None)
    return levels


@pytest.mark.parametrize("kind", [list, dict])
@pytest.mark.parametrize(("levels", "kept"), [(1, 1), (512, 512), (598, 598), (599, 598), (990, 598), (100_000, 598)])
def test_deeply_nested_values_of_a_reply_cannot_be_written(levels: int, kept: int, kind: type) -> None:
    """PHP writes at most 512 levels. The dict and its ``raw`` are two levels more."""
    found = Reply(raw={"deep": nested(levels, kind)}).to_dict()
    assert depth(found["raw"]["deep"]) == kept
    assert json.loads(json.dumps(found)) == found


def test_usage_and_lists_of_a_reply_become_dicts() -> None:
    reply = Reply(
        "Hi",
        images=("a.png",),
        actions=(Action("function", "f", {"x": (1, math.inf)}),),
        shortcuts=(Shortcut("message", "More"),),
        blocks=(Block("html", "b"),),
        usage=Usage(total_tokens=3),
        raw={"a": math.nan},
    )
    assert reply.to_dict() == {
        "text": "Hi",
        "images": ["a.png"],
        "actions": [{"kind": "function", "name": "f", "args": {"x": [1, None]}, "snippet": ""}],
        "shortcuts": [
            {
                "kind": "message",
                "label": "More",
                "message": "",
                "shortcut_id": "",
                "action": "",
                "variant": "",
                "icon": "",
            }
        ],
        "blocks": [{"kind": "html", "id": "b", "html": "", "script": ""}],
        "usage": {
            "prompt_tokens": None,
            "completion_tokens": None,
            "total_tokens": 3,
            "price": None,
            "queries": None,
            "images": None,
            "accuracy": "",
        },
        "response_id": "",
        "chat_id": "",
        "raw": {"a": None},
    }


@given(st.text())
def test_text_of_an_event_or_reply_is_not_printed(text: str) -> None:
    assert str(Text(text)) == f"{Text(text)}" == str(Reply(text)) == text
    assert repr(Text(text)) == f"Text(text={text!r})"


def test_texts_and_without_failure_split_events() -> None:
    """``texts`` returns the texts, ``without_failure`` the events. Both return the error of ``Failed``."""
    events: list[Event] = [Text("a"), Notice("thinking", "b"), Text(""), Done(Reply("c"))]
    error = ChatError("lost")
    assert texts(events) == (["a", ""], None)
    assert without_failure(events) == (events, None)
    assert texts([Text("a"), Failed(error)]) == (["a"], error)
    assert without_failure([Text("a"), Failed(error)]) == ([Text("a")], error)
    assert texts([]) == without_failure([]) == ([], None)


def test_events_compare_by_value() -> None:
    """Events with the same fields are equal. Events of different kinds are not."""
    assert Text("a") == Text("a") != Text("b")
    assert Notice("a") == Notice("a", "", "", {}, None)
    assert Done(Reply("a")) == Done(Reply("a"))
    assert Text("a") != Notice("a")
    assert Notice("a").metadata is not Notice("a").metadata
    with pytest.raises(AttributeError):
        Text("a").other = 1  # type: ignore[attr-defined]  # it has no other attributes
    with pytest.raises(FrozenInstanceError):
        Action("function").name = "g"
