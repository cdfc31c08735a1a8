"""The package ``litellm`` with the gateway, as its documentation uses servers that are compatible with OpenAI's."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chatgpt4online import Notice, ServerError
from chatgpt4online.testing import Answer, Chat

from ..site import serve_site
from ..support.clients import PICTURE_BYTES, PICTURE_PARTS, Watched, environment, questions, run_script
from ..support.gateway import KEY, SECONDS, Served, serve_gateway
from ..support.server import Server, chunk, live, site, stream_head

# Otherwise it downloads its list of prices when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
litellm = pytest.importorskip("litellm", reason="litellm is in the dependency group clients")

# Its code warns about its use of pydantic, and it leaves connections and event loops to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore")

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
HALF = (stream_head(), chunk(live("Half")))

Ask = Callable[..., Any]


def chat(gateway: Served, message: Any = "Hi", **more: Any) -> dict[str, Any]:
    """Return the arguments of a call."""
    own = {"model": "openai/default", "api_base": f"{gateway.url}/v1", "api_key": "unused", "timeout": SECONDS}
    return own | {"max_retries": 0, "messages": [{"role": "user", "content": message}]} | more


@pytest.fixture(autouse=True, scope="module")
def _collected() -> Iterator[None]:
    """Collect the garbage of these tests here, so that no other test is blamed for it."""
    yield
    litellm.in_memory_llm_clients_cache.flush_cache()
    gc.collect()


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Iterator[Ask]:
    """A function that returns the completion, or an iterator of the chunks of a stream."""
    runner = asyncio.Runner()

    def ask(*args: Any, **more: Any) -> Any:
        if request.param == "sync":
            return litellm.completion(**chat(*args, **more))
        found = runner.run(litellm.acompletion(**chat(*args, **more)))
        return items(found) if more.get("stream") else found

    def items(stream: Any) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(stream)

        try:
            while True:
                yield runner.run(following())
        except StopAsyncIteration:
            return

    yield ask
    runner.close()


def test_completion_is_not_the_answer(ask: Ask) -> None:
    with serve_site(Answer([Notice("thinking", "Hm"), "Hel", "lo"], usage=USAGE)) as site:
        with serve_gateway(site.url) as gateway:
            completion = ask(gateway)
    choice = completion.choices[0]
    assert (choice.message.content, choice.finish_reason, completion.model) == ("Hello", "stop", "default")
    assert choice.message.reasoning_content == "Hm"
    assert {name: completion.usage[name] for name in USAGE} == USAGE


def test_chunks_are_not_the_pieces(ask: Ask) -> None:
    with serve_site(Answer([Notice("thinking", "Hm"), "Hel", "lo"], usage=USAGE)) as site:
        with serve_gateway(site.url) as gateway:
            chunks = list(ask(gateway, stream=True, stream_options={"include_usage": True}))
    deltas = [found.choices[0].delta for found in chunks if found.choices]
    assert [delta.content for delta in deltas if delta.content] == ["Hel", "lo"]
    assert [delta.reasoning_content for delta in deltas if getattr(delta, "reasoning_content", None)] == ["Hm"]
    assert [found.choices[0].finish_reason for found in chunks if found.choices].count("stop") == 1
    usages = [found.usage for found in chunks if getattr(found, "usage", None)]
    assert [{name: usage[name] for name in USAGE} for usage in usages] == [USAGE]
    assert litellm.stream_chunk_builder(chunks).choices[0].message.content == "Hello"


def test_usage_of_a_part_breaks_the_answer(ask: Ask) -> None:
    """litellm shows zeros for the numbers that are missing."""
    with serve_site(Answer("Hello", usage={"total_tokens": 5})) as site, serve_gateway(site.url) as gateway:
        completion = ask(gateway)
        texts = [found.choices[0].delta.content or "" for found in ask(gateway, stream=True)]
    assert (completion.choices[0].message.content, "".join(texts)) == ("Hello", "Hello")
    assert completion.usage.total_tokens == 5


def test_history_and_picture_do_not_reach_the_site(ask: Ask) -> None:
    def answer(chat: Chat) -> str:
        return " ".join(str(message["content"]) for message in chat.messages) + f"|{chat.message}|{len(chat.file_ids)}"

    messages = [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": PICTURE_PARTS},
    ]
    with serve_site(answer) as site, serve_gateway(site.url) as gateway:
        text = ask(gateway, messages=messages).choices[0].message.content
        data = [file.content for file in site.files]
    assert [word for word in ("Be brief", "One", "Two", "|What is this?|1") if word not in text] == []
    assert data == [PICTURE_BYTES]


# Older versions know an error of a request by its type, and newer ones by its status.
TOO_LARGE = ("APIError", "BadRequestError")
# The question that the site gets decides about its answer: (answer, class, status).
REFUSALS = {
    "429": (Answer("Slow", status=429, headers={"Retry-After": "7"}), ("RateLimitError",), 429),
    "limit": (Answer(ServerError("You have reached the limit.")), ("RateLimitError",), 429),
    "error": (Answer(ServerError("The model is down.")), ("BadGatewayError",), 502),
    "503": (Answer("Busy", status=503), ("ServiceUnavailableError",), 503),
    "504": (Answer("Slow", status=504), ("Timeout",), 504),
    "413": (Answer("Large", status=413), TOO_LARGE, 413),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", REFUSALS)
def test_refusal_is_another_error(name: str, stream: bool, ask: Ask) -> None:
    answer, kind, status = REFUSALS[name]
    with serve_site(answer) as site, serve_gateway(site.url) as gateway:
        with pytest.raises(Exception) as caught:  # its class is compared
            ask(gateway, stream=stream)
        assert len(questions(site)) == 1
    error: Any = caught.value
    assert type(error).__name__ in kind
    assert error.status_code == status
    if name == "429":
        assert error.litellm_response_headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"model": "openai/other"}, "NotFoundError"),
        ({"n": 2}, "BadRequestError"),
        ({"messages": [{"role": "user", "content": ""}]}, "BadRequestError"),
        ({"api_key": "wrong-key"}, "AuthenticationError"),
    ],
    ids=str,
)
def test_wrong_request_is_another_error(more: dict[str, Any], kind: str, ask: Ask) -> None:
    with serve_site() as site, serve_gateway(site.url, api_keys=[KEY]) as gateway:
        with pytest.raises(Exception) as caught:  # as above
            ask(gateway, **{"api_key": KEY} | more)
        assert questions(site) == []
    assert kind in [cls.__name__ for cls in type(caught.value).__mro__]


def test_error_in_the_middle_is_not_raised(ask: Ask) -> None:
    texts: list[str] = []
    with serve_site(Answer(["Half", ServerError("The model is down.")])) as site, serve_gateway(site.url) as gateway:
        with pytest.raises(Exception, match="The model is down"):
            texts.extend(found.choices[0].delta.content for found in ask(gateway, stream=True))
    assert "".join(filter(None, texts)) == "Half"


def test_left_stream_leaves_the_connection_open() -> None:
    chat_of_site = Watched(*HALF)

    async def leave(gateway: Served) -> None:
        stream = await litellm.acompletion(**chat(gateway, stream=True))
        while (await anext(stream)).choices[0].delta.content != "Half":
            pass
        await stream.aclose()

    with Server(site(chat_of_site)) as server, serve_gateway(server.url) as gateway:
        asyncio.run(leave(gateway))
        assert chat_of_site.is_closed()


# The first example of the documentation, https://docs.litellm.ai/docs/providers/openai_compatible, whose key and base
# are here in the environment.
EXAMPLE = """
import litellm
import os

response = litellm.completion(
    model="openai/default",
    messages=[
        {
            "role": "user",
            "content": "Hey, how's it going?",
        }
    ],
)
print(response.choices[0].message.content)
"""


def test_first_example_of_the_documentation_does_not_work() -> None:
    with serve_site("Fine, thanks.") as site, serve_gateway(site.url) as gateway:
        variables = environment(gateway, LITELLM_LOCAL_MODEL_COST_MAP="True")
        assert run_script(EXAMPLE, variables) == "Fine, thanks.\n"
