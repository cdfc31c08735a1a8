"""``POST /v1/responses``: its typed events, read by hand, by the types of OpenAI's package, and by its clients."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online import Event, Notice, Reply, ServerError, Text, Usage
from chatgpt4online.gateway.errors import Refusal
from chatgpt4online.gateway.requests import Question, read_responses
from chatgpt4online.gateway.responses import ResponseWriter
from chatgpt4online.testing import Answer, Chat, Widget

from ..site import serve_site
from ..support.gateway import Answer as Response
from ..support.gateway import Served, serve_gateway

pytestmark = pytest.mark.slow

WHY = "openai is in the dependency group clients"
PNG = "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\n").decode()
THINKING = Notice("thinking", "Let me see. ")
URL = "https://example.org/cat.png"
USAGE = {"prompt_tokens": 31, "completion_tokens": 4, "total_tokens": 35, "price": None, "queries": 1}


def respond(gateway: Served, question: object = "Hi", **more: object) -> Response:
    return gateway.ask("/v1/responses", {"model": "default", "input": question, **more})


def of_type(events: list[Any], *kinds: str) -> list[Any]:
    return [event for event in events if event["type"].removeprefix("response.") in kinds]


def message(text: str, item_id: str, status: str = "completed") -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def reasoning(text: str, item_id: str) -> dict[str, Any]:
    content = [{"type": "reasoning_text", "text": text}]
    return {"id": item_id, "type": "reasoning", "status": "completed", "summary": [], "content": content}


class TestWhole:
    def test_response_has_other_fields(self) -> None:
        answer = Answer([THINKING, "Hel", Notice("status", "x"), "lo", THINKING], response_id="resp_9", usage=USAGE)
        asked = {"instructions": "Be brief.", "metadata": {"a": "b"}, "user": "ann", "temperature": 0.5}
        with serve_site(answer) as site, serve_gateway(site.url) as gateway:
            response = respond(gateway, **asked).json
        chat_id = response["ai_engine"]["chat_id"]
        assert response.pop("created_at") > 1.6e9
        assert response == {
            "id": "resp_9",
            "object": "response",
            "status": "completed",
            "model": "default",
            "output": [
                reasoning("Let me see. Let me see. ", f"rs_{chat_id}_0"),
                message("Hello", f"msg_{chat_id}_1"),
            ],
            "error": None,
            "incomplete_details": None,
            "instructions": "Be brief.",
            "metadata": {"a": "b"},
            "user": "ann",
            "previous_response_id": None,
            "store": False,
            "temperature": None,
            "top_p": None,
            "parallel_tool_calls": False,
            "tool_choice": "none",
            "tools": [],
            "text": {"format": {"type": "text"}},
            "usage": {
                "input_tokens": 31,
                "output_tokens": 4,
                "total_tokens": 35,
                "input_tokens_details": None,
                "output_tokens_details": None,
            },
            "ai_engine": {"chat_id": chat_id, "response_id": "resp_9"},
        }

    def test_site_without_usage_and_id_gets_invented_ones(self) -> None:
        with serve_site(Answer("Hello", response_id="", usage={})) as site, serve_gateway(site.url) as gateway:
            response = respond(gateway).json
            streamed = respond(gateway, stream=True).events
        assert response["id"] == f"resp_{response['ai_engine']['chat_id']}"
        assert "usage" not in response
        assert "usage" not in streamed[-1]["response"]

    def test_refusal_has_another_status(self) -> None:
        answer = Answer("x", status=429, headers={"Retry-After": "7"})
        with serve_site(answer) as site, serve_gateway(site.url) as gateway:
            whole, streamed = respond(gateway), respond(gateway, stream=True)
        for response in (whole, streamed):
            assert (response.status, response.headers["retry-after"]) == (429, "7")
            assert response.json["error"]["code"] == "rate_limit_exceeded"


class TestStreamed:
    def test_events_are_not_those_of_the_api(self) -> None:
        with serve_site(["Hel", "lo"]) as site, serve_gateway(site.url) as gateway:
            answer = respond(gateway, stream=True, user="ann")
        names = [line.removeprefix("event: ") for line in answer.body.decode().splitlines() if line[:6] == "event:"]
        assert names == [event["type"] for event in answer.events]
        assert [event["sequence_number"] for event in answer.events] == list(range(len(names)))
        assert [name.removeprefix("response.") for name in names] == [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed",
        ]
        created, _, item, part, delta, _, done, part_done, item_done, completed = answer.events
        assert created["response"]["status"] == "in_progress"
        assert created["response"]["output"] == []
        item_id = item["item"]["id"]
        assert item["item"] == {**message("", item_id, "in_progress"), "content": []}
        place = {"item_id": item_id, "output_index": 0, "content_index": 0}
        for event in (part, delta, done, part_done):
            assert event.items() >= place.items()
        assert (delta["delta"], delta["logprobs"], done["text"]) == ("Hel", [], "Hello")
        assert part["part"] == {"type": "output_text", "text": "", "annotations": []}
        assert part_done["part"] == {"type": "output_text", "text": "Hello", "annotations": []}
        assert item_done["item"] == message("Hello", item_id)
        assert completed["response"]["output"] == [message("Hello", item_id)]
        assert completed["response"]["status"] == "completed"
        assert {event["response"]["user"] for event in (created, completed)} == {"ann"}
        assert len({event["response"]["id"] for event in answer.events if "response" in event}) == 1

    def test_items_are_open_at_the_same_time(self) -> None:
        pieces: list[Any] = [THINKING, "Hel", "lo ", Notice("thinking", ""), Notice("thinking", "Hm."), Text(""), "you"]
        with serve_site(pieces) as site, serve_gateway(site.url) as gateway:
            events = respond(gateway, stream=True).events
        ends = of_type(events, "output_item.added", "output_item.done")
        assert [(event["type"], event["output_index"]) for event in ends] == [
            (f"response.output_item.{end}", index) for index in range(4) for end in ("added", "done")
        ]
        output = events[-1]["response"]["output"]
        assert [(item["type"], item["content"][0]["text"]) for item in output] == [
            ("reasoning", "Let me see. "),
            ("message", "Hello "),
            ("reasoning", "Hm."),
            ("message", "you"),
        ]
        assert [event["delta"] for event in of_type(events, "reasoning_text.delta")] == ["Let me see. ", "Hm."]

    def test_last_event_has_another_text_than_the_deltas(self) -> None:
        """The site trims the final text, and after a call of a function that has only the part after the call."""
        answer = Answer([" One.", " Two. "], reply="Two.")
        with serve_site(answer) as site, serve_gateway(site.url) as gateway:
            events = respond(gateway, stream=True).events
            assert respond(gateway).json["output"][0]["content"][0]["text"] == "Two."
        assert "".join(event["delta"] for event in of_type(events, "output_text.delta")) == " One. Two. "
        assert events[-1]["response"]["output"][0]["content"][0]["text"] == " One. Two. "

    @pytest.mark.parametrize(
        ("pieces", "reply", "images"),
        [((), f"![]({URL})", [URL]), ((), "At the end.", None), ([THINKING], "At the end.", None)],
        ids=["an image bot", "text at the end", "thinking, and text at the end"],
    )
    def test_text_that_comes_only_at_the_end_is_lost(self, pieces: Any, reply: str, images: Any) -> None:
        answer = Answer(pieces, reply=reply, images=images)
        with serve_site(answer) as site, serve_gateway(site.url) as gateway:
            events = respond(gateway, stream=True).events
            whole = respond(gateway).json
            chunks = gateway.chat(stream=True).events[:-1]
            chat = gateway.chat().json
        assert [event["delta"] for event in of_type(events, "output_text.delta")] == [reply]
        assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == reply
        assert chat["choices"][0]["message"]["content"] == reply
        for response in (whole, events[-1]["response"]):
            assert response["output"][-1]["content"][0]["text"] == reply
            assert response.get("images") == images

    @pytest.mark.parametrize("pieces", [(), [THINKING]], ids=["nothing", "thinking"])
    def test_answer_without_text_has_no_message(self, pieces: Any) -> None:
        with serve_site(Answer(pieces, images=[URL], reply="")) as site, serve_gateway(site.url) as gateway:
            whole, events = respond(gateway).json, respond(gateway, stream=True).events
        for response in (whole, events[-1]["response"]):
            assert response["output"][-1]["content"] == [{"type": "output_text", "text": "", "annotations": []}]
        assert of_type(events, "output_item.added", "output_item.done")[-1]["item"]["type"] == "message"

    def test_end_of_a_line_in_the_text_ends_the_event_for_some_clients(self) -> None:
        text = "".join(chr(code) for code in range(0x110000) if len(f"a{chr(code)}b".splitlines()) == 2)
        assert {"\n", "\r", "\x0b", "\x85", "\u2028"} <= set(text)
        with serve_site(Answer([f"a{text}b"])) as site, serve_gateway(site.url) as gateway:
            answers = [gateway.chat(stream=True), respond(gateway, stream=True)]
        for answer in answers:
            lines = [line for line in answer.body.decode().splitlines() if line]
            assert all(line.startswith(("event: ", "data: ")) for line in lines)
        assert of_type(answers[1].events, "output_text.delta")[0]["delta"] == f"a{text}b"

    @pytest.mark.parametrize("pieces", [["Half", " of"], [THINKING, "Half of"]], ids=["text", "thinking"])
    def test_text_before_an_error_is_lost(self, pieces: list[Any]) -> None:
        with serve_site(Answer([*pieces, ServerError("It is down.")])) as site, serve_gateway(site.url) as gateway:
            whole, streamed = respond(gateway), respond(gateway, stream=True)
        facts = {"message": "It is down.", "param": None, "code": "server_error"}
        error = {**facts, "type": "server_error", "partial_text": "Half of"}
        assert (whole.status, whole.json) == (502, {"error": error})
        *_, item, failed, last = streamed.events
        assert item["item"] == failed["response"]["output"][-1] == message("Half of", item["item"]["id"], "incomplete")
        assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
        assert failed["response"]["error"] == {"code": "server_error", "message": "It is down."}
        assert last == {"type": "error", "sequence_number": failed["sequence_number"] + 1, **facts, "error": error}
        assert b"event: error\n" in streamed.body

    def test_failed_response_has_a_code_that_the_api_does_not_have(self) -> None:
        def code(name: str) -> Any:
            writer = ResponseWriter(question(), "c", 0)
            data = writer.fail(Refusal(429, "x", code=name))
            return Response(200, {}, data).events[0]["response"]["error"]["code"]

        assert code("rate_limit_exceeded") == "rate_limit_exceeded"
        assert code("timeout") == "server_error"


def question(**more: object) -> Question:
    return read_responses({"model": "m", "input": "Hi", **more}, 1)


EVENTS = st.lists(
    st.one_of(
        st.text(max_size=3).map(Text),
        st.text(max_size=3).map(lambda text: Notice("thinking", text)),
        st.text(max_size=3).map(lambda text: Notice("status", text)),
    ),
    max_size=8,
)


@given(EVENTS, st.booleans())
def test_events_break_the_schema(events: list[Event], has_failed: bool) -> None:
    """Each event has its type in the package, and the last response repeats the texts of the events before it."""
    pytest.importorskip("openai", reason=WHY)
    from openai.types.responses import ResponseStreamEvent
    from pydantic import TypeAdapter

    writer = ResponseWriter(question(metadata={"a": "b"}), "c", 1_700_000_000)
    data = writer.begin() + b"".join(map(writer.receive, events))
    sent = "".join(event.text for event in events if isinstance(event, Text))
    data += writer.fail(Refusal(502, "x")) if has_failed else writer.end(Reply("other"), sent)
    found = Response(200, {}, data).events
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    for event in found:
        adapter.validate_python(event, strict=False)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    last = of_type(found, "completed", "failed")[-1]["response"]
    texts: dict[str, str] = {}
    for event in found:
        if event["type"].endswith(".delta"):
            texts[event["item_id"]] = texts.get(event["item_id"], "") + event["delta"]
    assert [event["item"] for event in of_type(found, "output_item.done")] == last["output"]
    assert {item["id"]: item["content"][0]["text"] for item in last["output"] if item["content"][0]["text"]} == texts
    kinds = [item["type"] for item in last["output"]]
    assert all(kind != other for kind, other in pairwise(kinds))
    assert has_failed or "message" in kinds


@pytest.mark.parametrize(
    ("usage", "numbers"),
    [(None, None), (Usage(price=0.5), None), (Usage(prompt_tokens=3), {"input_tokens": 3})],
    ids=["none", "a price only", "one number"],
)
def test_usage_has_invented_numbers(usage: Usage | None, numbers: dict[str, int] | None) -> None:
    response = ResponseWriter(question(), "c", 0).complete(Reply("x", usage=usage))
    details = {"input_tokens_details": None, "output_tokens_details": None}
    assert response.get("usage") == (None if numbers is None else numbers | details)


def script(chat: Chat) -> Answer:
    """Answer with the question, the history and the number of pictures. ``fail`` and ``refuse`` are errors."""
    if chat.message == "fail":
        return Answer(["Half", " of", ServerError("It is down.")])
    if chat.message == "refuse":
        return Answer("x", status=429, headers={"Retry-After": "0"})
    history = " ".join(f"[{item['role']}: {item['content']}]" for item in chat.messages)
    text = f"{history}{len(chat.file_ids)} {chat.message}"
    return Answer([THINKING, *(text[start : start + 5] for start in range(0, len(text), 5))], usage=USAGE)


@pytest.fixture(scope="module")
def scripted() -> Iterator[Served]:
    with serve_site(script, bots=[Widget("default", uploads=True)]) as site, serve_gateway(site.url) as gateway:
        yield gateway


def create(gateway: Served, **asked: Any) -> Any:
    """Return the response, or the list of the events of a stream."""
    from openai import OpenAI

    with OpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
        answer = client.responses.create(model="default", **asked)
        return list(answer) if asked.get("stream") else answer


def acreate(gateway: Served, **asked: Any) -> Any:
    from openai import AsyncOpenAI

    async def run() -> Any:
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
            answer: Any = await client.responses.create(model="default", **asked)
            return [event async for event in answer] if asked.get("stream") else answer

    return asyncio.run(run())


def helper(gateway: Served, **asked: Any) -> tuple[list[Any], Any]:
    """Return the events of ``client.responses.stream()``, and the response."""
    from openai import OpenAI

    with OpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
        with client.responses.stream(model="default", **asked) as stream:
            return list(stream), stream.get_final_response()


def ahelper(gateway: Served, **asked: Any) -> tuple[list[Any], Any]:
    from openai import AsyncOpenAI

    async def run() -> tuple[list[Any], Any]:
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
            async with client.responses.stream(model="default", **asked) as stream:
                return [event async for event in stream], await stream.get_final_response()

    return asyncio.run(run())


PICTURES = [
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "See"},
            {"type": "input_image", "image_url": PNG, "detail": "auto"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
        ],
    }
]
HISTORY = [
    {"role": "user", "content": "One"},
    {
        "type": "message",
        "role": "assistant",
        "id": "msg_1",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Two", "annotations": []}],
    },
    {"role": "user", "content": "Three"},
]
ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "a string": ({"input": "Hi"}, "0 Hi"),
    "a list": ({"input": HISTORY}, "[user: One] [assistant: Two]0 Three"),
    "instructions": ({"input": "Hi", "instructions": "Be brief."}, "[system: Be brief.]0 Hi"),
    "a picture and a file": ({"input": PICTURES}, "2 See"),
}
BOTH = pytest.mark.parametrize("ask", [create, acreate], ids=["sync", "async"])
BOTH_HELPERS = pytest.mark.parametrize("ask", [helper, ahelper], ids=["sync", "async"])


class TestOpenAI:
    @pytest.fixture(autouse=True)
    def _package(self) -> None:
        pytest.importorskip("openai", reason=WHY)

    @BOTH
    @pytest.mark.parametrize("name", ASKED)
    def test_package_reads_another_text(self, name: str, ask: Callable[..., Any], scripted: Served) -> None:
        asked, text = ASKED[name]
        whole = ask(scripted, **asked)
        *events, last = ask(scripted, stream=True, **asked)
        assert whole.output_text == last.response.output_text == text
        assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == text
        for response in (whole, last.response):
            assert (response.status, response.error) == ("completed", None)
            assert response.usage.total_tokens == 35
            assert response.usage.input_tokens_details is None
            assert response.output[0].content[0].text == THINKING.text
            assert response.ai_engine["chat_id"]

    @BOTH_HELPERS
    def test_helper_of_the_package_fails(self, ask: Callable[..., Any], scripted: Served) -> None:
        events, response = ask(scripted, input="Hi")
        assert response.output_text == "0 Hi"
        assert [event.snapshot for event in events if event.type == "response.output_text.delta"] == ["0 Hi"]
        assert events[-1].type == "response.completed"

    @BOTH
    def test_output_cannot_be_sent_back(self, ask: Callable[..., Any], scripted: Served) -> None:
        """A conversation without stored state, as OpenAI documents it: the output is a part of the next input."""
        first = ask(scripted, input="One")
        history = [{"role": "user", "content": "One"}, *(item.model_dump() for item in first.output)]
        second = ask(scripted, input=[*history, {"role": "user", "content": "Two"}])
        assert second.output_text == "[user: One] [assistant: 0 One]0 Two"

    @BOTH
    def test_refusal_is_not_its_error(self, ask: Callable[..., Any], scripted: Served) -> None:
        import openai

        for is_streamed in (False, True):
            with pytest.raises(openai.RateLimitError) as caught:
                ask(scripted, input="refuse", stream=is_streamed)
            assert caught.value.response.headers["retry-after"] == "0"
        with pytest.raises(openai.BadRequestError) as wrong:
            ask(scripted, input="Hi", previous_response_id="resp_1")
        assert (wrong.value.param, wrong.value.code) == ("previous_response_id", "unsupported_parameter")

    def test_error_in_the_middle_is_lost(self, scripted: Served) -> None:
        import openai

        seen: list[Any] = []
        with openai.OpenAI(base_url=f"{scripted.url}/v1", api_key="x", max_retries=0) as client:
            with pytest.raises(openai.APIError, match=r"It is down\.") as caught:
                seen.extend(client.responses.create(model="default", input="fail", stream=True))
            with client.responses.stream(model="default", input="fail") as stream:
                with pytest.raises(openai.APIError, match=r"It is down\."):
                    stream.get_final_response()
        check_failure(seen, caught.value)

    def test_error_in_the_middle_is_lost_by_the_async_client(self, scripted: Served) -> None:
        import openai

        async def run() -> None:
            seen: list[Any] = []
            async with openai.AsyncOpenAI(base_url=f"{scripted.url}/v1", api_key="x", max_retries=0) as client:
                stream: Any = await client.responses.create(model="default", input="fail", stream=True)
                with pytest.raises(openai.APIError, match=r"It is down\.") as caught:
                    async for event in stream:
                        seen.append(event)  # noqa: PERF401  # a list of the whole stream would be lost
                async with client.responses.stream(model="default", input="fail") as helped:
                    with pytest.raises(openai.APIError, match=r"It is down\."):
                        await helped.get_final_response()
            check_failure(seen, caught.value)

        asyncio.run(run())


def check_failure(seen: list[Any], error: Any) -> None:
    """Check that the events before the exception hold the partial text and the error, and the exception too."""
    assert (error.code, error.body["partial_text"]) == ("server_error", "Half of")
    assert "".join(event.delta for event in seen if event.type == "response.output_text.delta") == "Half of"
    failed = seen[-1]
    assert failed.type == "response.failed"
    assert (failed.response.status, failed.response.error.message) == ("failed", "It is down.")
    assert failed.response.output_text == "Half of"


def test_langchain_reads_another_text(scripted: Served) -> None:
    langchain = pytest.importorskip("langchain_openai", reason="langchain-openai is in the dependency group clients")
    model = langchain.ChatOpenAI(model="default", base_url=f"{scripted.url}/v1", api_key="x", use_responses_api=True)
    whole = model.invoke([("system", "Be brief."), ("human", "Hi")])
    chunks = list(model.stream("Hi"))
    second = model.invoke([("human", "One"), whole, ("human", "Two")])
    with pytest.raises(ValueError, match=r"It is down\."):
        list(model.stream("fail"))
    assert whole.text == "[system: Be brief.]0 Hi"
    assert "".join(chunk.text for chunk in chunks) == "0 Hi"
    assert second.text == "[user: One] [assistant: [system: Be brief.]0 Hi]0 Two"
    for answer in (whole, chunks[-1]):
        assert answer.usage_metadata["total_tokens"] == 35
