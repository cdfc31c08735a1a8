"""The package ``langchain-openai`` with the gateway, over both of the gateway's endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chatgpt4online import Notice, ServerError
from chatgpt4online.testing import Answer, Chat

from ..site import serve_site
from ..support.clients import PICTURE_BYTES, PICTURE_PARTS, Watched, environment, questions, run_script
from ..support.gateway import KEY, SECONDS, Served, serve_gateway
from ..support.server import Server, chunk, live, site, stream_head

langchain_openai = pytest.importorskip("langchain_openai", reason="langchain-openai is in the dependency group clients")
openai = pytest.importorskip("openai", reason="openai is in the dependency group clients")
prompts: Any = pytest.importorskip("langchain_core.prompts", reason="langchain-core comes with langchain-openai")

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
USAGE_HERE = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
HALF = (stream_head(), chunk(live("Half")))

Connect = Callable[..., Any]


@pytest.fixture(params=[False, True], ids=["completions", "responses"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """A function that returns a model for a gateway, which uses one of the endpoints."""

    def connect(gateway: Served, **options: Any) -> Any:
        settings = {"api_key": "unused", "max_retries": 0, "timeout": SECONDS, "stream_usage": True} | options
        base_url = f"{gateway.url}/v1"
        return langchain_openai.ChatOpenAI(
            model="default", base_url=base_url, use_responses_api=request.param, **settings
        )

    return connect


async def collected(stream: Any) -> list[Any]:
    return [item async for item in stream]


# How a model is asked: each returns the texts and the usage of an answer.
def invoke(model: Any, message: Any) -> tuple[list[str], Any]:
    found = model.invoke(message)
    return [found.text], found.usage_metadata


def ainvoke(model: Any, message: Any) -> tuple[list[str], Any]:
    found = asyncio.run(model.ainvoke(message))
    return [found.text], found.usage_metadata


def batch(model: Any, message: Any) -> tuple[list[str], Any]:
    first, _ = found = model.batch([message, message])
    assert len({answer.text for answer in found}) == 1
    return [first.text], first.usage_metadata


def stream(model: Any, message: Any) -> tuple[list[str], Any]:
    return _added(list(model.stream(message)))


def astream(model: Any, message: Any) -> tuple[list[str], Any]:
    return _added(asyncio.run(collected(model.astream(message))))


def _added(chunks: list[Any]) -> tuple[list[str], Any]:
    whole = chunks[0]
    for found in chunks[1:]:
        whole += found
    return [found.text for found in chunks if found.text], whole.usage_metadata


WAYS = [invoke, ainvoke, batch, stream, astream]
Ask = Callable[[Any, Any], tuple[list[str], Any]]


@pytest.mark.parametrize("ask", WAYS)
def test_answer_is_not_that_of_the_site(ask: Ask, connect: Connect) -> None:
    with serve_site(Answer(["Hel", "lo"], usage=USAGE)) as site, serve_gateway(site.url) as gateway:
        texts, usage = ask(connect(gateway), "Hi")
        assert set(questions(site)) == {"Hi"}
    assert texts == (["Hel", "lo"] if ask in (stream, astream) else ["Hello"])
    assert {name: usage[name] for name in USAGE_HERE} == USAGE_HERE


@pytest.mark.parametrize("ask", WAYS)
def test_usage_is_made_up(ask: Ask, connect: Connect) -> None:
    with serve_site(Answer("Hello", usage={})) as site, serve_gateway(site.url) as gateway:
        texts, usage = ask(connect(gateway), "Hi")
    assert ("".join(texts), usage) == ("Hello", None)


@pytest.mark.parametrize("ask", [invoke, stream])
@pytest.mark.parametrize("connect", [False], indirect=True, ids=["completions"])
def test_part_of_a_usage_cannot_be_read(ask: Ask, connect: Connect) -> None:
    with serve_site(Answer("Hello", usage={"total_tokens": 5})) as site, serve_gateway(site.url) as gateway:
        texts, usage = ask(connect(gateway), "Hi")
    assert ("".join(texts), usage["total_tokens"]) == ("Hello", 5)


def test_prompt_template_loses_the_history(connect: Connect) -> None:
    def answer(chat: Chat) -> str:
        return " ".join(str(message["content"]) for message in chat.messages) + "|" + chat.message

    template = prompts.ChatPromptTemplate.from_messages(
        [("system", "Answer in {language}"), prompts.MessagesPlaceholder("history"), ("human", "{question}")]
    )
    with serve_site(answer) as site, serve_gateway(site.url) as gateway:
        chain = template | connect(gateway)
        history = [("human", "One"), ("ai", "Two")]
        text = chain.invoke({"language": "French", "history": history, "question": "Three"}).text
    assert [word for word in ("Answer in French", "One", "Two", "|Three") if word not in text] == []


def test_answer_of_the_model_cannot_be_sent_back(connect: Connect) -> None:
    """A program appends the message that it got to its list of messages."""
    with serve_site(lambda chat: f"Answer to {chat.message}") as site, serve_gateway(site.url) as gateway:
        model = connect(gateway)
        messages: list[Any] = [("human", "One")]
        messages += [model.invoke(messages), ("human", "Two")]
        assert model.invoke(messages).text == "Answer to Two"


def test_picture_does_not_reach_the_site(connect: Connect) -> None:
    with serve_site(lambda chat: f"{len(chat.file_ids)} file") as site, serve_gateway(site.url) as gateway:
        text = connect(gateway).invoke([{"role": "user", "content": PICTURE_PARTS}]).text
        data = [file.content for file in site.files]
    assert (text, data, questions(site)) == ("1 file", [PICTURE_BYTES], ["What is this?"])


def test_thinking_breaks_the_answer(connect: Connect) -> None:
    """This package reads only OpenAI's own fields, so it leaves the thinking of chat completions out."""
    with serve_site(Answer([Notice("thinking", "Hm"), "Hi"])) as site, serve_gateway(site.url) as gateway:
        model = connect(gateway)
        assert (model.invoke("Hi").text, stream(model, "Hi")[0]) == ("Hi", ["Hi"])


REFUSALS = {
    "429": (Answer("Slow", status=429, headers={"Retry-After": "7"}), "RateLimitError", 429),
    "limit": (Answer(ServerError("You have reached the limit.")), "RateLimitError", 429),
    "error": (Answer(ServerError("Down")), "InternalServerError", 502),
    "504": (Answer("Slow", status=504), "InternalServerError", 504),
}


@pytest.mark.parametrize("ask", [invoke, astream])
@pytest.mark.parametrize("name", REFUSALS)
def test_refusal_is_another_error(name: str, ask: Ask, connect: Connect) -> None:
    answer, kind, status = REFUSALS[name]
    with serve_site(answer) as site, serve_gateway(site.url) as gateway:
        with pytest.raises(getattr(openai, kind)) as caught:
            ask(connect(gateway), "Hi")
    assert caught.value.status_code == status
    assert caught.value.response.headers.get("retry-after") == ("7" if name == "429" else None)


def test_wrong_key_or_model_is_another_error(connect: Connect) -> None:
    with serve_site() as site, serve_gateway(site.url, api_keys=[KEY]) as gateway:
        with pytest.raises(openai.AuthenticationError):
            connect(gateway).invoke("Hi")
        model = connect(gateway, api_key=KEY)
        model.model_name = "other"
        with pytest.raises(openai.NotFoundError):
            model.invoke("Hi")


def test_tools_are_faked(connect: Connect) -> None:
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
    with serve_site() as site, serve_gateway(site.url) as gateway:
        with pytest.raises(openai.BadRequestError, match="tools"):
            connect(gateway).bind_tools([tool]).invoke("Hi")
        assert questions(site) == []


def test_error_in_the_middle_is_not_raised(connect: Connect) -> None:
    texts: list[str] = []
    with serve_site(Answer(["Half", ServerError("The model is down.")])) as site, serve_gateway(site.url) as gateway:
        with pytest.raises(Exception, match="The model is down"):  # the texts before it count
            for found in connect(gateway).stream("Hi"):
                texts.append(found.text)  # noqa: PERF401  # as above
    assert "".join(texts) == "Half"


def test_left_stream_leaves_the_connection_open(connect: Connect) -> None:
    chat = Watched(*HALF)
    with Server(site(chat)) as server, serve_gateway(server.url) as gateway:
        found = connect(gateway).stream("Hi")
        while next(found).text != "Half":
            pass
        found.close()
        assert chat.is_closed()


# The first example of the documentation, https://docs.langchain.com/oss/python/integrations/chat/openai.
EXAMPLE = """
from langchain_openai import ChatOpenAI

llm = ChatOpenAI(
    model="default",
    # stream_usage=True,
    # temperature=None,
    # max_tokens=None,
    # timeout=None,
    # reasoning_effort="low",
    # max_retries=2,
)
messages = [
    (
        "system",
        "You are a helpful assistant that translates English to French. Translate the user sentence.",
    ),
    ("human", "I love programming."),
]
ai_msg = llm.invoke(messages)
ai_msg
print(ai_msg.text)
"""


def test_first_example_of_the_documentation_does_not_work() -> None:
    with serve_site("J'adore la programmation.") as site, serve_gateway(site.url) as gateway:
        assert run_script(EXAMPLE, environment(gateway)) == "J'adore la programmation.\n"
