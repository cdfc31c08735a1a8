"""The package ``openai``, both of its clients, with the gateway."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import metadata
from inspect import isawaitable
from typing import Any

import pytest

from chatgpt4online import Notice, ServerError, Timeout
from chatgpt4online.gateway import SiteOptions
from chatgpt4online.testing import Answer, Chat, Site

from ..site import serve_site
from ..support.clients import PICTURE_BYTES, PICTURE_PARTS, Watched, environment, questions, run_script
from ..support.gateway import KEY, SECONDS, Served, serve_gateway
from ..support.server import Server, chunk, live, site, stream_head

openai = pytest.importorskip("openai", reason="openai is in the dependency group clients")
anyio: Any = pytest.importorskip("anyio", reason="anyio comes with openai")

HALF = (stream_head(), chunk(live("Half")))
MADE = "\n\n![Generated Image](https://example.org/a.png)"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


class Caller:
    """The sync or the async client, whose methods all block. Without retries, unless the options say otherwise."""

    def __init__(self, gateway: Served, *, is_async: bool, **options: Any) -> None:
        kind = openai.AsyncOpenAI if is_async else openai.OpenAI
        self._runner = asyncio.Runner()
        settings = {"api_key": "unused", "max_retries": 0, "timeout": SECONDS} | options
        self.client = kind(base_url=f"{gateway.url}/v1", **settings)

    def wait(self, value: Any) -> Any:
        """Return the result of a call of either client."""

        async def result() -> Any:
            return await value

        return self._runner.run(result()) if isawaitable(value) else value

    def next(self, stream: Any) -> Any:
        """Return the next item of a stream of either client."""
        return self.wait(anext(stream)) if hasattr(stream, "__anext__") else next(stream)

    def items(self, stream: Any) -> Iterator[Any]:
        """Yield the items of a stream of either client."""
        try:
            while True:
                yield self.next(stream)
        except (StopIteration, StopAsyncIteration):
            return

    @contextmanager
    def opened(self, manager: Any) -> Iterator[Any]:
        """Enter a context manager of either client."""
        is_async = hasattr(manager, "__aenter__")
        yield self.wait(manager.__aenter__() if is_async else manager.__enter__())
        self.wait(manager.__aexit__(None, None, None) if is_async else manager.__exit__(None, None, None))

    def chat(self, message: object = "Hi", **more: Any) -> Any:
        """Return a completion, or a stream of its chunks."""
        return self.wait(self.client.chat.completions.create(**question(message), **more))

    def close(self) -> None:
        self.wait(self.client.close())
        self._runner.close()


def question(message: object = "Hi") -> dict[str, Any]:
    return {"model": "default", "messages": [{"role": "user", "content": message}]}


Connect = Callable[..., Caller]


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """A function that returns the client of one kind for a gateway."""
    callers: list[Caller] = []

    def connect(gateway: Served, **options: Any) -> Caller:
        callers.append(Caller(gateway, is_async=request.param == "async", **options))
        return callers[-1]

    yield connect
    for caller in callers:
        caller.close()


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of the clients before they repeat a request, which take no time here."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(anyio, "sleep", sleep)
    return waits


class TestAnswer:
    def test_completion_is_not_the_answer(self, connect: Connect) -> None:
        with serve_site(Answer(["Hel", "lo"], usage=USAGE, response_id="resp_1")) as site:
            with serve_gateway(site.url) as gateway:
                completion = connect(gateway).chat()
        choice = completion.choices[0]
        assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", "Hello", "stop")
        assert (completion.id, completion.model, completion.object) == ("resp_1", "default", "chat.completion")
        assert completion.usage.to_dict() == USAGE
        assert completion.created <= time.time()

    def test_chunks_are_not_the_pieces(self, connect: Connect) -> None:
        with serve_site(Answer(["Hel", "lo"])) as site, serve_gateway(site.url) as gateway:
            caller = connect(gateway)
            chunks = list(caller.items(caller.chat(stream=True)))
        assert [found.choices[0].delta.content for found in chunks] == ["", "Hel", "lo", None]
        assert [found.choices[0].finish_reason for found in chunks] == [None, None, None, "stop"]
        assert chunks[0].choices[0].delta.role == "assistant"
        assert {found.object for found in chunks} == {"chat.completion.chunk"}
        assert len({found.id for found in chunks}) == 1

    def test_streaming_helper_has_another_answer(self, connect: Connect) -> None:
        """``chat.completions.stream`` adds the chunks up, and checks them more strictly."""
        with serve_site(Answer([Notice("thinking", "Hm"), "Hel", "lo"], usage=USAGE)) as site:
            with serve_gateway(site.url) as gateway:
                caller = connect(gateway)
                options = {"include_usage": True}
                with caller.opened(
                    caller.client.chat.completions.stream(**question(), stream_options=options)
                ) as events:
                    found = list(caller.items(events))
                    completion = caller.wait(events.get_final_completion())
        assert [event.delta for event in found if event.type == "content.delta"] == ["", "Hel", "lo"]
        assert [event.content for event in found if event.type == "content.done"] == ["Hello"]
        assert (completion.choices[0].message.content, completion.choices[0].finish_reason) == ("Hello", "stop")
        assert completion.choices[0].message.reasoning_content == "Hm"
        assert completion.usage.to_dict() == USAGE

    def test_parsing_helper_has_another_answer(self, connect: Connect) -> None:
        """``chat.completions.parse`` without a format. A format is refused, since no site follows one."""
        with serve_site("Hello") as site, serve_gateway(site.url) as gateway:
            caller = connect(gateway)
            completion = caller.wait(caller.client.chat.completions.parse(**question()))
            form = {"type": "json_object"}
            with pytest.raises(openai.BadRequestError) as caught:
                caller.wait(caller.client.chat.completions.create(**question(), response_format=form))
        assert completion.choices[0].message.content == "Hello"
        assert caught.value.param == "response_format"

    def test_thinking_is_not_reasoning_content(self, connect: Connect) -> None:
        with serve_site(Answer([Notice("thinking", "Let "), Notice("thinking", "me see"), "Hi"])) as site:
            with serve_gateway(site.url) as gateway:
                caller = connect(gateway)
                message = caller.chat().choices[0].message
                deltas = [found.choices[0].delta for found in caller.items(caller.chat(stream=True))]
        assert (message.reasoning_content, message.content) == ("Let me see", "Hi")
        assert [delta.reasoning_content for delta in deltas if hasattr(delta, "reasoning_content")] == [
            "Let ",
            "me see",
        ]

    @pytest.mark.parametrize(
        ("pieces", "reply", "rest"),
        [
            (["\n", "Here:"], f"Here:{MADE}", MADE),
            (["Here:", "\n\n"], f"Here:{MADE}", MADE.lstrip()),
            (["Let me draw. ", "Here:"], f"Here:{MADE}", MADE),
            (["Here:", MADE], f"Here:{MADE}", ""),
            (["Here:", MADE], f"There:{MADE}", ""),
            (["Here:"], "There:", ""),
            (["Here:"], f"There:{MADE}", MADE),
        ],
        ids=[
            "added",
            "added after a line break",
            "last round",
            "sent",
            "sent before",
            "rewritten",
            "rewritten and added",
        ],
    )
    def test_picture_that_follows_the_text_is_missing(
        self, pieces: list[str], reply: str, rest: str, connect: Connect
    ) -> None:
        """The final text of a bot that makes pictures is longer than the streamed one."""
        with serve_site(Answer(pieces, reply=reply)) as site, serve_gateway(site.url) as gateway:
            caller = connect(gateway)
            whole = caller.chat().choices[0].message.content
            streamed = [found.choices[0].delta.content or "" for found in caller.items(caller.chat(stream=True))]
        assert whole == reply
        assert [piece for piece in streamed if piece] == [*pieces, *filter(None, [rest])]

    def test_picture_that_follows_the_text_of_a_response_is_missing(self, connect: Connect) -> None:
        with serve_site(Answer(["Here:"], reply=f"Here:{MADE}")) as site, serve_gateway(site.url) as gateway:
            caller = connect(gateway)
            create = caller.client.responses.create
            events = list(caller.items(caller.wait(create(model="default", input="Hi", stream=True))))
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert (deltas, events[-1].response.output_text) == (["Here:", MADE], f"Here:{MADE}")

    @pytest.mark.parametrize(
        ("said", "usage"), [(USAGE, [USAGE]), ({}, []), ({"total_tokens": 5}, [{"total_tokens": 5}])]
    )
    def test_usage_is_not_that_of_the_site(
        self, said: dict[str, int], usage: list[dict[str, int]], connect: Connect
    ) -> None:
        """Without a number of the site there is none."""
        with serve_site(Answer("Hi", usage=said)) as site, serve_gateway(site.url) as gateway:
            caller = connect(gateway)
            whole = caller.chat().usage
            options = {"include_usage": True}
            chunks = list(caller.items(caller.chat(stream=True, stream_options=options)))
            plain = list(caller.items(caller.chat(stream=True)))
        assert [whole.to_dict() for whole in [whole] if whole] == usage
        assert [found.usage.to_dict() for found in chunks if found.usage] == usage
        assert [found.choices for found in chunks if found.usage] == [[]] * len(usage)
        assert not [found for found in plain if found.usage]

    def test_picture_does_not_reach_the_site(self, connect: Connect) -> None:
        with serve_site(lambda chat: f"{len(chat.file_ids)} file") as site, serve_gateway(site.url) as gateway:
            answer = connect(gateway).chat(PICTURE_PARTS).choices[0].message.content
            data = [file.content for file in site.files]
        assert (answer, data, questions(site)) == ("1 file", [PICTURE_BYTES], ["What is this?"])

    def test_history_does_not_reach_the_site(self, connect: Connect) -> None:
        def answer(chat: Chat) -> str:
            return " ".join(str(message["content"]) for message in chat.messages) + "|" + chat.message

        messages = [("developer", "Be brief"), ("user", "One"), ("assistant", "Two"), ("user", "Three")]
        with serve_site(answer) as site, serve_gateway(site.url) as gateway:
            caller = connect(gateway)
            sent = [{"role": role, "content": text} for role, text in messages]
            completion = caller.wait(caller.client.chat.completions.create(model="default", messages=sent))
        text = completion.choices[0].message.content
        assert [word for word in ("Be brief", "One", "Two", "Three") if word not in text] == []

    def test_raw_response_has_no_request_id(self, connect: Connect) -> None:
        with serve_site("Hello") as site, serve_gateway(site.url) as gateway:
            caller = connect(gateway)
            raw = caller.wait(caller.client.chat.completions.with_raw_response.create(**question()))
            completion = caller.wait(raw.parse())
        assert completion.choices[0].message.content == "Hello"
        assert raw.request_id == completion._request_id == raw.headers["x-request-id"]
        assert raw.request_id.startswith("req_")

    def test_streaming_response_cannot_be_read(self, connect: Connect) -> None:
        with serve_site(["Hel", "lo"]) as site, serve_gateway(site.url) as gateway:
            caller = connect(gateway)
            create = caller.client.chat.completions.with_streaming_response.create
            with caller.opened(create(**question(), stream=True)) as response:
                lines = list(caller.items(response.iter_lines()))
            with caller.opened(create(**question(), stream=True)) as response:
                texts = [found.choices[0].delta.content for found in caller.items(caller.wait(response.parse()))]
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert [line for line in lines if line][-1] == "data: [DONE]"
        assert texts == ["", "Hel", "lo", None]

    def test_models_are_not_listed(self, connect: Connect) -> None:
        with serve_site() as site:
            options = SiteOptions(site.url, "shop", {"support": "default"})
            with serve_gateway(options, models={"gpt-4o": "shop/support"}) as gateway:
                caller = connect(gateway)
                names = [model.id for model in caller.wait(caller.client.models.list()).data]
                found = [caller.wait(caller.client.models.retrieve(name)) for name in names]
                with pytest.raises(openai.NotFoundError) as caught:
                    caller.wait(caller.client.models.retrieve("shop/other"))
        assert names == ["shop/support", "gpt-4o"]
        assert [(model.id, model.object, model.owned_by) for model in found] == [(n, "model", "shop") for n in names]
        assert caught.value.code == "model_not_found"


# The question that the site gets decides about its answer: (answer, class, status, code, how often the client asks).
REFUSALS: dict[str, tuple[Answer, str, int, str, int]] = {
    "429": (Answer("Slow", status=429, headers={"Retry-After": "7"}), "RateLimitError", 429, "rate_limit_exceeded", 3),
    "429 bare": (Answer("Slow", status=429), "RateLimitError", 429, "rate_limit_exceeded", 3),
    "limit": (Answer(ServerError("You have reached the limit.")), "RateLimitError", 429, "rate_limit_exceeded", 1),
    "413": (Answer("Large", status=413), "APIStatusError", 413, "request_too_large", 1),
    "401": (Answer("Who?", status=401), "InternalServerError", 502, "server_error", 1),
    "403": (Answer("No", status=403), "InternalServerError", 502, "server_error", 1),
    "404": (Answer("Where?", status=404), "InternalServerError", 502, "server_error", 1),
    "fatal": (Answer(ending="fatal"), "InternalServerError", 502, "server_error", 3),
    "error": (Answer(ServerError("The model is down.")), "InternalServerError", 502, "server_error", 3),
    "503": (
        Answer("Busy", status=503, headers={"Retry-After": "9"}),
        "InternalServerError",
        503,
        "service_unavailable",
        3,
    ),
    "504": (Answer("Slow", status=504), "InternalServerError", 504, "timeout", 1),
}


@pytest.fixture(scope="module")
def refusing() -> Iterator[tuple[Site, Served]]:
    """A site that refuses each question as the table says, and a gateway."""
    with serve_site(lambda chat: REFUSALS[chat.message][0]) as site, serve_gateway(site.url) as gateway:
        yield site, gateway


class TestRefusal:
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("name", REFUSALS)
    def test_refusal_of_the_site_is_another_error(
        self, name: str, stream: bool, refusing: tuple[Site, Served], connect: Connect
    ) -> None:
        _, kind, status, code, _ = REFUSALS[name]
        with pytest.raises(openai.APIStatusError) as caught:
            connect(refusing[1]).chat(name, stream=stream)
        assert type(caught.value).__name__ == kind
        assert (caught.value.status_code, caught.value.code) == (status, code)
        assert caught.value.response.headers.get("retry-after") == {"429": "7", "503": "9"}.get(name)
        assert caught.value.request_id.startswith("req_")

    @pytest.mark.parametrize("name", REFUSALS)
    def test_site_is_asked_another_number_of_times(
        self, name: str, refusing: tuple[Site, Served], connect: Connect, sleeps: list[float]
    ) -> None:
        """The client repeats a request twice by default, unless this cannot help. It waits as long as the site asks."""
        site, gateway = refusing
        before = len(questions(site))
        with pytest.raises(openai.APIStatusError):
            connect(gateway, max_retries=openai.DEFAULT_MAX_RETRIES).chat(name)
        asked = REFUSALS[name][4]
        addresses = 3 if name == "404" else 1  # the gateway looks for the API of the site
        assert openai.DEFAULT_MAX_RETRIES == 2
        assert len(questions(site)) - before == asked * addresses
        assert len(sleeps) == asked - 1
        if name in ("429", "503"):
            assert sleeps == [{"429": 7.0, "503": 9.0}[name]] * 2

    def test_message_of_the_site_is_missing(self, refusing: tuple[Site, Served], connect: Connect) -> None:
        with pytest.raises(openai.InternalServerError, match="The model is down"):
            connect(refusing[1]).chat("error")

    @pytest.mark.parametrize(
        ("more", "kind", "code", "param"),
        [
            ({"model": "other"}, "NotFoundError", "model_not_found", "model"),
            ({"n": 2}, "BadRequestError", "unsupported_parameter", "n"),
            ({"logprobs": True}, "BadRequestError", "unsupported_parameter", "logprobs"),
            ({"messages": []}, "BadRequestError", "invalid_value", "messages"),
            ({"messages": [{"role": "user", "content": 5}]}, "BadRequestError", "invalid_type", "messages[0].content"),
        ],
        ids=lambda value: str(value) if isinstance(value, dict) else "",
    )
    def test_wrong_request_is_another_error(
        self, more: dict[str, Any], kind: str, code: str, param: str | None, connect: Connect, sleeps: list[float]
    ) -> None:
        with serve_site() as site, serve_gateway(site.url) as gateway:
            caller = connect(gateway, max_retries=2)
            with pytest.raises(getattr(openai, kind)) as caught:
                caller.wait(caller.client.chat.completions.create(**question() | more))
            assert questions(site) == []
        assert (caught.value.code, caught.value.param, sleeps) == (code, param, [])
        assert caught.value.type == "invalid_request_error"

    def test_long_question_is_another_error(self, connect: Connect, sleeps: list[float]) -> None:
        with serve_site(max_length=10) as site, serve_gateway(SiteOptions(site.url, pages=["/"])) as gateway:
            caller = connect(gateway, max_retries=2)
            model = caller.wait(caller.client.models.list()).data[0].id
            with pytest.raises(openai.UnprocessableEntityError) as caught:
                caller.wait(caller.client.chat.completions.create(**question("x" * 11) | {"model": model}))
            assert questions(site) == []
        assert (caught.value.code, caught.value.type, sleeps) == ("invalid_value", "invalid_request_error", [])

    def test_wrong_key_is_another_error(self, connect: Connect) -> None:
        with serve_site("Hello") as site, serve_gateway(site.url, api_keys=[KEY]) as gateway:
            with pytest.raises(openai.AuthenticationError) as caught:
                connect(gateway, api_key="wrong-key").chat()
            with pytest.raises(openai.AuthenticationError):
                caller = connect(gateway, api_key="wrong-key")
                caller.wait(caller.client.models.list())
            answer = connect(gateway, api_key=KEY).chat().choices[0].message.content
        assert (caught.value.code, answer) == ("invalid_api_key", "Hello")

    def test_large_request_is_another_error(self, connect: Connect) -> None:
        with serve_site() as site, serve_gateway(site.url, max_body=1000) as gateway:
            with pytest.raises(openai.APIStatusError) as caught:
                connect(gateway).chat("x" * 1000)
        assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")

    def test_full_queue_is_another_error(self, connect: Connect, sleeps: list[float]) -> None:
        held = Watched(*HALF)
        with Server(site(held)) as server, serve_gateway(server.url, concurrency=1, queue_length=0) as gateway:
            caller = connect(gateway)
            stream = caller.chat(stream=True)
            with pytest.raises(openai.InternalServerError) as caught:
                connect(gateway, max_retries=2).chat()
            caller.wait(stream.close())
            assert held.is_closed()
            assert server.seen().count("submit") == 1
        assert (caught.value.status_code, caught.value.code) == (503, "service_unavailable")
        assert sleeps == [5.0, 5.0]

    def test_silent_site_is_asked_again(self, connect: Connect, sleeps: list[float]) -> None:
        """It may still work on the question."""
        with Server(site(Watched())) as server:
            with serve_gateway(SiteOptions(server.url, client={"timeout": Timeout(first_byte=0.05)})) as gateway:
                with pytest.raises(openai.InternalServerError) as caught:
                    connect(gateway, max_retries=2).chat()
            assert server.seen().count("submit") == 1
        assert (caught.value.status_code, caught.value.code, sleeps) == (504, "timeout", [])

    @pytest.mark.parametrize(
        ("answer", "code", "message"),
        [
            (Answer(["Half", ServerError("The model is down.")]), "server_error", "The model is down."),
            (Answer(["Half", ServerError("You have reached the limit.")]), "rate_limit_exceeded", "limit"),
            (Answer(["Half"], ending="cut"), "server_error", "The site cannot answer."),
        ],
        ids=["error event", "limit", "cut"],
    )
    def test_error_in_the_middle_is_not_raised(self, answer: Answer, code: str, message: str, connect: Connect) -> None:
        texts: list[str] = []
        with serve_site(answer) as site, serve_gateway(site.url) as gateway:
            caller = connect(gateway, max_retries=2)
            with pytest.raises(openai.APIError, match=message) as caught:
                texts.extend(found.choices[0].delta.content for found in caller.items(caller.chat(stream=True)))
            assert len(questions(site)) == 1
        assert texts == ["", "Half"]
        assert (caught.value.code, caught.value.body["partial_text"]) == (code, "Half")


class TestLeaving:
    """A client that disappears closes the connection to the site."""

    def test_closed_stream_leaves_the_connection_open(self, connect: Connect) -> None:
        chat = Watched(*HALF)
        with Server(site(chat)) as server, serve_gateway(server.url) as gateway:
            caller = connect(gateway)
            stream = caller.chat(stream=True)
            texts = [caller.next(stream).choices[0].delta.content for _ in range(2)]
            assert not chat.closed.is_set()
            caller.wait(stream.close())
            assert chat.is_closed()
        assert texts == ["", "Half"]

    def test_left_block_leaves_the_connection_open(self, connect: Connect) -> None:
        chat = Watched(*HALF)
        with Server(site(chat)) as server, serve_gateway(server.url) as gateway:
            caller = connect(gateway)
            with caller.opened(caller.client.chat.completions.stream(**question())) as events:
                caller.next(events)
            assert chat.is_closed()

    @pytest.mark.parametrize("pieces", [(), HALF], ids=["before the first event", "in the middle"])
    def test_timeout_leaves_the_connection_open(self, pieces: tuple[bytes, ...], connect: Connect) -> None:
        chat = Watched(*pieces)
        with Server(site(chat)) as server, serve_gateway(server.url) as gateway:
            caller = connect(gateway, timeout=0.3)
            with pytest.raises(Exception) as caught:  # older versions do not turn that of HTTP into their own
                list(caller.items(caller.chat(stream=True)))
            assert "Timeout" in type(caught.value).__name__
            assert chat.is_closed()

    def test_cancelled_task_leaves_the_connection_open(self) -> None:
        chat = Watched(*HALF)

        async def leave(gateway: Served) -> None:
            async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="unused") as client:
                task = asyncio.ensure_future(client.chat.completions.create(**question()))
                await asyncio.to_thread(chat.asked.wait, SECONDS)
                task.cancel()
                await asyncio.wait({task})

        with Server(site(chat)) as server, serve_gateway(server.url) as gateway:
            asyncio.run(leave(gateway))
            assert chat.is_closed()


def readme_examples() -> list[str]:
    """Return the programs in the package's README that ask one question, the first ones."""
    blocks = re.findall(r"^```python\n(.*?)^```", str(metadata("openai")["Description"] or ""), re.M | re.S)
    return [block for block in blocks if "print(" in block][:2]


@pytest.mark.parametrize("number", range(2))
def test_first_examples_of_the_readme_do_not_work(number: int) -> None:
    """Only the name of the model is another one."""
    example, changes = re.subn(r'model="[^"]*"', 'model="default"', readme_examples()[number])
    assert changes == 1
    with serve_site("Arr! Use isinstance.") as site, serve_gateway(site.url) as gateway:
        assert run_script(example, environment(gateway)) == "Arr! Use isinstance.\n"
