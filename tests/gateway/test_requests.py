"""The requests of both endpoints: each field of OpenAI's API, wrong bodies, and pictures and files."""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, NotRequired, Required, get_args, get_origin, get_type_hints

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from chatgpt4online import Notice
from chatgpt4online.gateway import SiteOptions
from chatgpt4online.gateway.errors import Refusal
from chatgpt4online.gateway.forms import encoded
from chatgpt4online.gateway.messages import (
    FileData,
    FilePart,
    ImagePart,
    ImageUrl,
    InputFilePart,
    InputImagePart,
    Message,
    RefusalPart,
    TextPart,
)
from chatgpt4online.gateway.parameters import (
    CHAT_IGNORED,
    CHAT_REFUSED,
    MESSAGE_IGNORED,
    MESSAGE_REFUSED,
    PART_IGNORED,
    RESPONSES_IGNORED,
    RESPONSES_REFUSED,
)
from chatgpt4online.gateway.requests import ChatRequest, Question, ResponsesRequest, read_chat, read_responses
from chatgpt4online.testing import Answer, Chat, Widget

from ..site import serve_site
from ..support.gateway import Served, serve_gateway

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
WHY = "openai is in the dependency group clients"
MOST = 20  # messages


def data_url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"


PNG = data_url(b"\x89PNG\r\n\x1a\n one", "image/png")
JPEG = data_url(b"\xff\xd8\xff two", "image/jpeg")
WEBP = data_url(b"RIFF....WEBP three", "image/webp")
PDF = data_url(b"%PDF-1.4", "application/pdf")


def chat(content: object = "Hi", **more: object) -> dict[str, Any]:
    return {"model": "default", "messages": [{"role": "user", "content": content}], **more}


def responses(content: object = "Hi", **more: object) -> dict[str, Any]:
    return {"model": "default", "input": [{"role": "user", "content": content}], **more}


def read(path: str, body: dict[str, Any]) -> Question:
    return (read_chat if path == CHAT else read_responses)(body, MOST)


def refusal_of(path: str, body: dict[str, Any]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(path, body)
    return caught.value


def names(kind: Any) -> set[str]:
    """Return the names of the fields of a TypedDict, with those of its parents."""
    return set(get_type_hints(kind))


def kinds(union: Any) -> list[Any]:
    """Return the types of a union, or the type itself. Lists are replaced by the types of their items."""
    origin, arguments = get_origin(union), get_args(union)
    if origin in (Required, NotRequired):
        return kinds(arguments[0])
    if isinstance(union, type) and hasattr(union, "__total__"):
        return [union]
    return [kind for argument in arguments for kind in kinds(argument)]


def constant(kind: Any, field: str) -> str:
    """Return the value of a field that is a literal, or ``""``."""
    found = [get_type_hints(kind).get(field)]
    for hint in found:
        if isinstance(hint, str):
            return hint
        found += get_args(hint)
    return ""


def bare(tables: Any) -> set[str]:
    """Return the names in tables, without those of inner fields."""
    return {name.partition(".")[0] for name in tables}


class TestFieldsOfThePackage:
    @pytest.fixture(autouse=True)
    def _package(self) -> None:
        pytest.importorskip("openai", reason=WHY)

    def test_parameter_of_completions_is_in_no_table(self) -> None:
        from openai.types.chat import completion_create_params as module

        fields = names(module.CompletionCreateParamsStreaming) | names(module.CompletionCreateParamsNonStreaming)
        assert fields - set(ChatRequest.model_fields) - bare(CHAT_REFUSED) - bare(CHAT_IGNORED) == set()

    def test_parameter_of_responses_is_in_no_table(self) -> None:
        from openai.types.responses import ResponseTextConfigParam
        from openai.types.responses import response_create_params as module

        fields = names(module.ResponseCreateParamsStreaming) | names(module.ResponseCreateParamsNonStreaming)
        fields |= {f"text.{name}" for name in names(ResponseTextConfigParam)} - {"text"}
        tables = {*RESPONSES_REFUSED, *RESPONSES_IGNORED}
        assert fields - set(ResponsesRequest.model_fields) - tables - bare(tables) == set()

    def test_message_of_completions_is_not_read(self) -> None:
        from openai.types.chat import ChatCompletionMessageParam

        known = {*Message.model_fields, *MESSAGE_REFUSED, *MESSAGE_IGNORED}
        seen = set()
        for kind in kinds(ChatCompletionMessageParam):
            role = constant(kind, "role")
            seen.add(role)
            if role in ("tool", "function"):
                body = {"model": "m", "messages": [{"role": role, "content": "x"}]}
                assert refusal_of(CHAT, body).param == "messages[0].role"
            else:
                assert names(kind) - known == set(), role
        assert seen == {"system", "developer", "user", "assistant", "tool", "function"}

    def test_item_of_responses_is_not_read(self) -> None:
        from openai.types.responses import ResponseInputItemParam

        known = {*Message.model_fields, *MESSAGE_REFUSED, *MESSAGE_IGNORED, "type"}
        seen = set()
        for kind in kinds(ResponseInputItemParam):
            item_type = constant(kind, "type") or "message"
            seen.add(item_type)
            body = {"model": "m", "input": [{"type": item_type}, {"role": "user", "content": "Hi"}]}
            if item_type == "reasoning":
                assert len(read(RESPONSES, body).messages) == 1
            elif item_type == "message":
                assert names(kind) - known == set()
            else:
                refusal = refusal_of(RESPONSES, body)
                assert (refusal.param, refusal.code) == ("input[0].type", "unsupported_value")
        assert {"message", "reasoning", "function_call", "function_call_output", "item_reference"} <= seen

    def test_part_is_not_read(self) -> None:
        from openai.types.chat import (
            ChatCompletionContentPartParam,
            ChatCompletionContentPartRefusalParam,
            chat_completion_content_part_image_param,
            chat_completion_content_part_param,
        )
        from openai.types.responses import (
            ResponseInputContentParam,
            ResponseOutputRefusalParam,
            ResponseOutputTextParam,
        )

        models: dict[str, Any] = {
            "text": TextPart,
            "input_text": TextPart,
            "output_text": TextPart,
            "refusal": RefusalPart,
            "image_url": ImagePart,
            "input_image": InputImagePart,
            "file": FilePart,
            "input_file": InputFilePart,
        }
        found = [
            *kinds(ChatCompletionContentPartParam),
            *kinds(ResponseInputContentParam),
            ChatCompletionContentPartRefusalParam,
            ResponseOutputRefusalParam,
            ResponseOutputTextParam,
        ]
        for name, kind in ((constant(kind, "type"), kind) for kind in found):
            if name == "input_audio":
                assert refusal_of(CHAT, chat([{"type": name}])).param == "messages[0].content[0].type"
            else:
                assert names(kind) - set(models[name].model_fields) - set(PART_IGNORED) == set(), name
        picture = chat_completion_content_part_image_param.ImageURL
        assert names(picture) - set(ImageUrl.model_fields) - set(PART_IGNORED) == set()
        assert names(chat_completion_content_part_param.FileFile) - set(FileData.model_fields) == set()


NEUTRAL: dict[str, dict[str, list[Any]]] = {
    CHAT: {
        "n": [None, 1],
        "tools": [None, []],
        "functions": [None, []],
        "tool_choice": [None, "none", "auto"],
        "function_call": [None, "none", "auto"],
        "parallel_tool_calls": [None, True, False],
        "response_format": [None, {"type": "text"}],
        "stop": [None, [], ""],
        "logprobs": [None, False],
        "top_logprobs": [None, 0],
        "modalities": [None, ["text"]],
        "audio": [None],
        "stream": [None, False, True],
        "stream_options": [None, {}, {"include_usage": None, "include_obfuscation": False}],
        "temperature": [None, 0, 0.7, "warm"],
        "max_tokens": [1],
        "metadata": [{"a": "b"}],
        "store": [True],
        "top_k": [40],
    },
    RESPONSES: {
        "tools": [None, []],
        "tool_choice": [None, "none", "auto"],
        "text": [None, {}, {"format": None}, {"format": {"type": "text"}, "verbosity": "low"}],
        "top_logprobs": [None, 0],
        "background": [None, False],
        "include": [None, [], ["reasoning.encrypted_content"], "reasoning.encrypted_content"],
        "previous_response_id": [None],
        "conversation": [None],
        "prompt": [None],
        "prompt_cache_options": [None, {}, {"mode": "implicit"}, {"prewarm": False}],
        "store": [None, True, False],
        "stream": [None, False, True],
        "stream_options": [{"include_obfuscation": False}],
        "instructions": [None, "", "Be brief."],
        "metadata": [None, {}, {"a": "b"}],
        "reasoning": [{"effort": "low", "summary": "auto"}],
        "truncation": ["auto"],
    },
}
REFUSED: dict[str, list[tuple[str, Any]]] = {
    CHAT: [
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
        ("functions", [{"name": "f"}]),
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "function": {"name": "f"}}),
        ("function_call", {"name": "f"}),
        ("web_search_options", {}),
        ("n", 2),
        ("n", True),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("response_format", {"type": "json_object"}),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "x"}}),
        ("stop", "."),
        ("stop", ["."]),
        ("audio", {"voice": "alloy", "format": "mp3"}),
        ("modalities", ["text", "audio"]),
        ("moderation", {"model": "omni-moderation-latest"}),
    ],
    RESPONSES: [
        ("tools", [{"type": "web_search"}]),
        ("tool_choice", {"type": "web_search"}),
        ("text.format", {"type": "json_object"}),
        ("top_logprobs", 1),
        ("include", ["reasoning.encrypted_content", "message.output_text.logprobs"]),
        ("background", True),
        ("previous_response_id", "resp_1"),
        ("conversation", "conv_1"),
        ("conversation", {"id": "conv_1"}),
        ("prompt", {"id": "pmpt_1"}),
        ("prompt_cache_options.prewarm", True),
        ("moderation", {"model": "omni-moderation-latest"}),
    ],
}


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
class TestParameters:
    def test_value_that_changes_nothing_is_refused(self, path: str) -> None:
        for name, values in NEUTRAL[path].items():
            for value in values:
                assert read(path, (chat if path == CHAT else responses)(**{name: value})).model == "default", name

    def test_value_that_no_site_honours_is_accepted(self, path: str) -> None:
        assert {name for name, _ in REFUSED[path]} == set(CHAT_REFUSED if path == CHAT else RESPONSES_REFUSED)
        for name, value in REFUSED[path]:
            outer, _, inner = name.partition(".")
            more = {outer: {inner: value} if inner else value}
            refusal = refusal_of(path, (chat if path == CHAT else responses)(**more))
            assert (refusal.status, refusal.kind) == (400, "invalid_request_error")
            assert (refusal.param, refusal.code) == (name, "unsupported_parameter")
            assert refusal.message.startswith(f"{name} is not supported: ")

    @pytest.mark.parametrize(
        ("user", "expected"),
        [(None, ""), ("", ""), ("ann", "ann"), (7, "7"), ({"b": 1, "a": [2]}, '{"a": [2], "b": 1}'), (False, "false")],
    )
    @pytest.mark.parametrize("name", ["user", "safety_identifier"])
    def test_user_is_lost(self, path: str, name: str, user: object, expected: str) -> None:
        question = read(path, (chat if path == CHAT else responses)(**{name: user}))
        assert question.user == expected
        assert question.echo.get(name) == (user if path == RESPONSES and isinstance(user, str) else None)


SECRET = "s3cret" * 100_000
PART = "input[0].content[0]"
FILE = "messages[0].content[0].file"
PICTURE = "messages[0].content[0].image_url.url"
LONG_METADATA = [{f"k{number}": "v" for number in range(17)}, {"k" * 65: "v"}, {"k": "v" * 513}]


def messages(*items: object) -> dict[str, Any]:
    return {"model": "m", "messages": list(items)}


def inputs(*items: object) -> dict[str, Any]:
    return {"model": "m", "input": list(items)}


def chat_file(**fields: object) -> dict[str, Any]:
    return chat([{"type": "file", "file": fields}])


EMPTY_QUESTION = inputs({"type": "reasoning"}, {"role": "user", "content": ""})
# The name of the wrong field, and the code, of each wrong body.
WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("model", "missing_required_parameter", {"messages": []}, CHAT),
    ("model", "invalid_type", {**chat(), "model": [SECRET]}, CHAT),
    ("messages", "missing_required_parameter", {"model": "m"}, CHAT),
    ("messages", "invalid_type", {"model": "m", "messages": SECRET}, CHAT),
    ("messages", "invalid_value", {"model": "m", "messages": []}, CHAT),
    ("messages", "array_above_max_length", {"model": "m", "messages": [SECRET] * (MOST + 1)}, CHAT),
    ("messages[0]", "invalid_type", messages(SECRET), CHAT),
    ("messages[0].role", "missing_required_parameter", messages({"content": SECRET}), CHAT),
    ("messages[0].role", "invalid_value", messages({"role": SECRET}), CHAT),
    ("messages[0].role", "invalid_value", messages({"role": {}}), CHAT),
    ("messages[0].role", "invalid_value", messages({"role": "assistant", "content": "x"}), CHAT),
    ("messages[0].role", "unsupported_value", messages({"role": "tool", "content": SECRET}), CHAT),
    ("messages[0].tool_calls", "unsupported_parameter", messages({"tool_calls": [{"id": SECRET}]}), CHAT),
    ("messages[0].function_call", "unsupported_parameter", messages({"function_call": {}}), CHAT),
    ("messages[0].content", "invalid_type", chat({"text": SECRET}), CHAT),
    ("messages[0].content", "invalid_value", chat(""), CHAT),
    ("messages[0].content", "invalid_value", chat(" \n"), CHAT),
    ("messages[0].content", "invalid_value", chat(None), CHAT),
    ("messages[0].content", "invalid_value", chat([]), CHAT),
    ("messages[0].content", "invalid_value", chat("\ud800" + SECRET), CHAT),
    ("messages[0].content[1]", "invalid_type", chat([{"type": "text", "text": "x"}, SECRET]), CHAT),
    ("messages[0].content[0].type", "invalid_value", chat([{"text": SECRET}]), CHAT),
    ("messages[0].content[0].type", "invalid_value", chat([{"type": SECRET}]), CHAT),
    ("messages[0].content[0].type", "invalid_value", chat([{"type": [SECRET]}]), CHAT),
    ("messages[0].content[0].text", "invalid_type", chat([{"type": "text", "text": [SECRET]}]), CHAT),
    ("messages[0].content[0].image_url", "invalid_type", chat([{"type": "image_url", "image_url": PNG}]), CHAT),
    (PICTURE, "invalid_type", chat([{"type": "image_url", "image_url": {"url": None}}]), CHAT),
    (FILE + ".file_id", "unsupported_parameter", chat_file(file_id=SECRET), CHAT),
    (FILE + ".file_data", "missing_required_parameter", chat_file(), CHAT),
    (FILE + ".filename", "string_above_max_length", chat_file(filename=SECRET, file_data=PDF), CHAT),
    (FILE + ".filename", "invalid_value", chat_file(filename="a\r\nb", file_data=PDF), CHAT),
    (FILE + ".file_data", "invalid_value", chat_file(file_data=f"{SECRET}!"), CHAT),
    (FILE + ".file_data", "invalid_value", chat_file(file_data=""), CHAT),
    (FILE + ".file_data", "invalid_value", chat_file(file_data=f"data:text/plain,{SECRET}"), CHAT),
    ("stream", "invalid_type", chat(stream=SECRET), CHAT),
    ("stream", "invalid_type", chat(stream=1), CHAT),
    ("stream_options", "invalid_type", chat(stream_options=SECRET), CHAT),
    ("stream_options.include_usage", "invalid_type", chat(stream_options={"include_usage": SECRET}), CHAT),
    ("input", "missing_required_parameter", {"model": "m"}, RESPONSES),
    ("input", "invalid_type", {"model": "m", "input": {"a": SECRET}}, RESPONSES),
    ("input", "invalid_value", {"model": "m", "input": ""}, RESPONSES),
    ("input", "invalid_value", {"model": "m", "input": []}, RESPONSES),
    ("input", "invalid_value", inputs({"type": "reasoning"}), RESPONSES),
    ("input[1].content", "invalid_value", {"instructions": "x", **EMPTY_QUESTION}, RESPONSES),
    ("input[0].type", "unsupported_value", inputs({"type": "function_call", "name": SECRET}), RESPONSES),
    ("input[0].type", "unsupported_value", inputs({"type": "item_reference", "id": SECRET}), RESPONSES),
    ("input[0].type", "unsupported_value", inputs({"type": SECRET}), RESPONSES),
    ("input[0].type", "unsupported_value", inputs({"type": [SECRET]}), RESPONSES),
    ("input[0]", "invalid_type", inputs(SECRET), RESPONSES),
    (PART + ".image_url", "invalid_type", responses([{"type": "input_image", "image_url": {"url": PNG}}]), RESPONSES),
    (PART + ".image_url", "missing_required_parameter", responses([{"type": "input_image"}]), RESPONSES),
    (PART + ".file_id", "unsupported_parameter", responses([{"type": "input_image", "file_id": SECRET}]), RESPONSES),
    (PART + ".file_id", "unsupported_parameter", responses([{"type": "input_file", "file_id": SECRET}]), RESPONSES),
    (PART + ".file_url", "unsupported_parameter", responses([{"type": "input_file", "file_url": SECRET}]), RESPONSES),
    ("instructions", "invalid_type", responses(instructions=[SECRET]), RESPONSES),
    ("instructions", "invalid_value", responses(instructions="\ud800"), RESPONSES),
    ("metadata", "invalid_type", responses(metadata=SECRET), RESPONSES),
    ("metadata", "invalid_type", responses(metadata={"a": 1}), RESPONSES),
    *(("metadata", "invalid_value", responses(metadata=value), RESPONSES) for value in LONG_METADATA),
    *(
        (PICTURE, code, chat([{"type": "image_url", "image_url": {"url": url}}]), CHAT)
        for url, code in {
            f"https://example.org/{SECRET}": "invalid_image_url",
            "": "invalid_image_url",
            SECRET: "invalid_image_url",
            f"data:image/svg+xml;utf8,{SECRET}": "invalid_image_url",
            PDF: "invalid_image_url",
            f"data:image/png;base64,{SECRET}!": "invalid_base64_image",
            "data:image/png;base64,abc": "invalid_base64_image",
            "data:image/png;base64,": "invalid_base64_image",
            "data:image/png;base64,\u00e9": "invalid_base64_image",
        }.items()
    ),
]


def test_wrong_body_is_not_explained() -> None:
    for param, code, body, path in WRONG:
        refusal = refusal_of(path, body)
        assert (refusal.param, refusal.code) == (param, code), body
        assert (refusal.status, refusal.kind) == (400, "invalid_request_error")
        assert refusal.message.startswith(f"{param}: " if code != "unsupported_parameter" else param)
        assert len(refusal.message) < 250
        assert "s3cret" not in refusal.message
        assert "Input should" not in refusal.message


def test_error_of_another_pydantic_is_an_error_of_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each version may have other types of errors."""
    monkeypatch.setattr("chatgpt4online.gateway.messages._PROBLEMS", {})
    for param, _, body, path in WRONG:
        assert refusal_of(path, body).param == param


def test_url_of_a_file_without_base64_is_not_explained() -> None:
    refusal = refusal_of(CHAT, chat_file(file_data="data:text/plain,Hi"))
    assert refusal.message == f"{FILE}.file_data: a file is a 'data:application/pdf;base64,...' URL or base64."


def test_user_that_is_nested_too_deeply_is_an_error_of_the_gateway() -> None:
    user: list[Any] = []
    for _ in range(100_000):
        user = [user]
    assert refusal_of(CHAT, chat(user=user)).param == "user"


def test_refusal_in_the_history_is_lost() -> None:
    for message in ({"refusal": "No."}, {"content": [{"type": "refusal", "refusal": "No."}]}):
        body = {"model": "m", "messages": [{"role": "assistant", **message}, {"role": "user", "content": "Hi"}]}
        assert read(CHAT, body).messages[0] == {"role": "assistant", "content": "No."}


def test_each_of_many_wrong_parts_takes_memory() -> None:
    """A body of a few megabytes can hold a million wrong parts, and pydantic describes each without ``fail_fast``."""
    with pytest.raises(ValidationError) as caught:
        Message.model_validate({"role": "user", "content": [None] * 1000})
    assert caught.value.error_count() == 1


def test_more_files_than_a_site_gets_are_accepted() -> None:
    def parts(count: int) -> list[Any]:
        urls = [data_url(b"%d" % number, "image/png") for number in range(count)]
        return [{"type": "image_url", "image_url": {"url": url}} for url in urls]

    assert len(read(CHAT, chat(parts(50))).messages[-1]["content"]) == 51
    refusal = refusal_of(CHAT, chat(parts(51)))
    assert (refusal.param, refusal.code) == ("messages", "array_above_max_length")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
WORDS = st.sampled_from(
    [
        "text",
        "input_text",
        "image_url",
        "input_image",
        "file",
        "input_file",
        "message",
        "reasoning",
        "function_call",
        "user",
        "assistant",
        "tool",
        PNG,
        PDF,
    ]
)
FIELDS = sorted(
    {
        "type", "text", "refusal", "image_url", "url", "file", "file_data", "file_id", "file_url", "filename", "role",
        "content", "tool_calls", "messages", "input", "include_usage", *ChatRequest.model_fields,
        *ResponsesRequest.model_fields, *bare({**CHAT_REFUSED, **RESPONSES_REFUSED}),
    }
)  # fmt: skip
VALUES = st.recursive(
    SCALARS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
RIGHT: dict[str, dict[str, Any]] = {
    CHAT: {
        "model": "m",
        "messages": [
            {"role": "system", "content": "x"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "x"}], "refusal": None},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "x"},
                    {"type": "image_url", "image_url": {"url": PNG}},
                    {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
                ],
            },
        ],
        "stream_options": {"include_usage": True},
        "user": "ann",
    },
    RESPONSES: {
        "model": "m",
        "instructions": "x",
        "metadata": {"a": "b"},
        "text": {"format": {"type": "text"}},
        "input": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "x"},
                    {"type": "input_image", "image_url": PNG},
                    {"type": "input_file", "file_data": PDF, "filename": "a.pdf"},
                ],
            },
        ],
    },
}


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each list or dict in a value, with each of its keys."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from places(inner)


@st.composite
def bodies(draw: st.DrawFn, path: str) -> dict[str, Any]:
    """Return any JSON object, or the right body with other values at a few places."""
    if draw(st.booleans()):
        return draw(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), VALUES, max_size=6))
    body = copy.deepcopy(RIGHT[path])
    for _ in range(draw(st.integers(0, 2))):
        container, key = draw(st.sampled_from(list(places(body))))
        container[key] = draw(VALUES)
    return body


def check_body(path: str, body: dict[str, Any]) -> None:
    try:
        question = read(path, body)
    except Refusal as refusal:
        assert refusal.status == 400
        assert refusal.param is not None
        assert len(refusal.message) < 250
        encoded(refusal.error())
    else:
        assert question.messages[-1]["role"] == "user"
        encoded(question.messages)
        encoded(question.echo)


@given(bodies(CHAT))
@example(RIGHT[CHAT])
def test_some_body_of_completions_is_an_error_of_the_gateway(body: dict[str, Any]) -> None:
    check_body(CHAT, body)


@given(bodies(RESPONSES))
@example(RIGHT[RESPONSES])
def test_some_body_of_responses_is_an_error_of_the_gateway(body: dict[str, Any]) -> None:
    check_body(RESPONSES, body)


def test_right_bodies_are_refused() -> None:
    for path, body in RIGHT.items():
        assert len(read(path, body).attachments) == 1


@pytest.mark.slow
@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_wrong_body_is_an_error_of_the_server(path: str) -> None:
    deep = b"[" * 900 + b"]" * 900
    texts = [
        b'{"model":"default","messages":[],"input":' + deep + b"}",
        b'{"model":"default","messages":' + deep + b',"input":"Hi"}',
        b'{"model":"default","messages":[{"role":"user","content":"Hi"}],"input":"Hi","user":' + deep + b"}",
        b'{"model":"default","messages":[{"role":"user","content":"Hi"}],"input":"Hi","metadata":' + deep + b"}",
        b'{"model":"default","messages":[{"role":"user","content":"Hi"}],"input":"Hi","user":NaN}',
        b'{"model":"default","messages":[{"role":"user","content":"Hi"}],"input":"Hi","seed":1e999}',
        b'{"model":"\\ud800","messages":[{"role":"user","content":"Hi"}],"input":"Hi"}',
        b'{"model":"default","messages":[{"role":"user","content":"\\ud800"}],"input":"\\ud800"}',
        b'{"model":"default","messages":[{"role":"user","content":"Hi"}],"input":"Hi","user":"\\ud800"}',
        b'{"model":"' + b"m" * 100_000 + b'","messages":[{"role":"user","content":"Hi"}],"input":"Hi"}',
        b'{"model":' + b"9" * 5000 + b"}",
        *(json.dumps(body).encode() for _, _, body, place in WRONG if place == path),
    ]
    with serve_site("Hello") as site, serve_gateway(site.url, max_messages=MOST) as gateway:
        for text in texts:
            answer = gateway.ask(path, text)
            assert answer.status in (200, 400, 404), text[:200]
            assert len(answer.body) < 2000
            assert answer.status == 200 or answer.json["error"]["type"] == "invalid_request_error"


@pytest.fixture(scope="module")
def uploading() -> Iterator[tuple[Any, Served]]:
    """A site whose bot accepts files, and answers with the number of those that came with the question."""

    def script(asked: Chat) -> Answer:
        return Answer([Notice("status", "x"), f"{len(asked.file_ids)} files, {len(asked.messages)} messages"])

    bot = Widget("default", uploads=True, multi_upload=True)
    with serve_site(script, bots=[bot]) as site, serve_gateway(site.url) as gateway:
        yield site, gateway


def picture(path: str, url: str) -> dict[str, Any]:
    if path == CHAT:
        return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    return {"type": "input_image", "image_url": url, "detail": "low"}


def file(path: str, **fields: str) -> dict[str, Any]:
    return {"type": "file", "file": fields} if path == CHAT else {"type": "input_file", **fields}


@pytest.mark.slow
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", [CHAT, RESPONSES])
class TestFiles:
    def ask(
        self, uploading: tuple[Any, Served], path: str, is_streamed: bool, *contents: object
    ) -> tuple[str, list[Any]]:
        """Return the text of the answer, and the files that the site received. A str before the last is an answer."""
        site, gateway = uploading
        known = len(site.files)
        messages = [
            {"role": "assistant" if isinstance(content, str) else "user", "content": content} for content in contents
        ]
        messages[-1]["role"] = "user"
        answer = gateway.ask(
            path, {"model": "default", "messages" if path == CHAT else "input": messages, "stream": is_streamed}
        )
        assert answer.status == 200, answer.body
        return answer.body.decode(), site.files[known:]

    def test_picture_is_lost_or_sent_twice(self, uploading: Any, path: str, is_streamed: bool) -> None:
        text = {"type": "text" if path == CHAT else "input_text", "text": "What is it?"}
        first = [text, picture(path, PNG), picture(path, JPEG)]
        last = [picture(path, JPEG), picture(path, WEBP), text]
        answer, files = self.ask(uploading, path, is_streamed, first, "A cat.", last)
        assert "3 files, 2 messages" in answer
        assert [(file.type, data_url(file.content, file.type)) for file in files] == [
            ("image/png", PNG),
            ("image/jpeg", JPEG),
            ("image/webp", WEBP),
        ]
        assert [file.name for file in files] == ["picture.png", "picture.jpg", "picture.webp"]

    def test_picture_of_the_history_is_lost(self, uploading: Any, path: str, is_streamed: bool) -> None:
        answer, files = self.ask(uploading, path, is_streamed, [picture(path, PNG)], "A cat.", "Is it?")
        assert "1 files, 2 messages" in answer
        assert [data_url(file.content, file.type) for file in files] == [PNG]

    def test_picture_of_the_history_prevents_the_answer(self, uploading: Any, path: str, is_streamed: bool) -> None:
        """The page says that the bot accepts one file. The newest picture counts, also if it was sent before."""
        with serve_site("Yes", bots=[Widget("default", uploads=True)]) as site:
            with serve_gateway(SiteOptions(site.url, pages=["/"])) as gateway:
                limited = (site, gateway)
                png, jpeg = [picture(path, PNG)], [picture(path, JPEG)]
                _, newest = self.ask(limited, path, is_streamed, png, "A cat.", jpeg)
                _, again = self.ask(limited, path, is_streamed, png, "A cat.", jpeg, "A dog.", png)
                _, kept = self.ask(limited, path, is_streamed, png, "A cat.", jpeg, "A dog.", "Is it?")
                messages = [{"role": "user", "content": [*png, *jpeg]}]
                body = {"model": "default", "messages" if path == CHAT else "input": messages, "stream": is_streamed}
                assert gateway.ask(path, body).status == 422
        sent = [[data_url(file.content, file.type) for file in files] for files in (newest, again, kept)]
        assert sent == [[JPEG], [PNG], [JPEG]]

    def test_file_is_lost_or_sent_twice(self, uploading: Any, path: str, is_streamed: bool) -> None:
        named = file(path, filename="a b.pdf", file_data=PDF)
        parts = [named, file(path, file_data=PDF), file(path, filename="x.txt", file_data=b64encode(b"Hi").decode())]
        answer, files = self.ask(uploading, path, is_streamed, [named], "A file.", parts)
        assert "3 files, 2 messages" in answer
        assert [(file.name, file.type, file.content) for file in files] == [
            ("a b.pdf", "application/pdf", b"%PDF-1.4"),
            ("file.pdf", "application/pdf", b"%PDF-1.4"),
            ("x.txt", "text/plain", b"Hi"),
        ]
