"""The requests that Open WebUI sends to a server with OpenAI's API, and the parts of the answers that it reads.

Open WebUI needs more packages than a test should install, so these are its requests as its source makes them, in
``backend/open_webui``:

==================  =========================================================  ======================================
step                request                                                    what it reads
==================  =========================================================  ======================================
add a connection    GET /models, with the key (``routers/openai.py``,          the status, and the JSON of any status
                    ``verify_connection``)
list the models     GET /models, with the key and perhaps X-OpenWebUI-*        ``id`` and ``name`` of each in ``data``
                    headers (``get_all_models_responses``)
ask                 POST /chat/completions, ``stream`` true, with              each line that begins with ``data:``:
                    ``stream_options``, the parameters of the model,           ``usage``, ``choices[0].delta`` with
                    perhaps ``metadata``, ``chat_id`` and an object            ``content`` or ``reasoning_content``,
                    ``user`` (``generate_chat_completion``)                    and ``error`` without ``choices``
title, tags and     POST /chat/completions, ``stream`` false, with             ``choices[0].message.content``, and
further questions   ``max_completion_tokens`` and ``metadata``                 JSON in it
                    (``routers/tasks.py``)
stop                it closes the connection                                   nothing
==================  =========================================================  ======================================

The stream is read in ``utils/middleware.py``, ``stream_body_handler``. Two editors are here too. Continue reads a
stream in ``packages/fetch/src/stream.ts``, and takes a line that begins with ``: ping`` for the end. Cline uses the
library of OpenAI for JavaScript, in ``src/core/api/providers/openai.ts``.
"""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any, NamedTuple

import pytest

from chatgpt4online import Notice, ServerError
from chatgpt4online.gateway import SiteOptions
from chatgpt4online.testing import Answer

from ..site import serve_site
from ..support.clients import PICTURE, PICTURE_BYTES, Watched, questions
from ..support.gateway import KEY, Served, serve_gateway
from ..support.server import LAST_CHUNK, Gate, Peer, Received, Server, chunk, end, live, site, stream_head

CHAT = "/v1/chat/completions"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
USER_HEADERS = {
    "X-OpenWebUI-User-Name": "Ann%20M%C3%BCller",
    "X-OpenWebUI-User-Id": "6c8f0a52-8d1b-4a5c-9a59-0f4a6c7a1f6e",
    "X-OpenWebUI-User-Email": "ann@example.org",
    "X-OpenWebUI-User-Role": "user",
    "X-OpenWebUI-Chat-Id": "1f6e0a52-8d1b-4a5c-9a59-0f4a6c7a1f6e",
}
QUESTION: dict[str, Any] = {
    "stream": True,
    "model": "default",
    "messages": [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": "Three"},
    ],
    "stream_options": {"include_usage": True},
}
# Fields that settings, filters and older versions add to a question.
MORE: dict[str, dict[str, Any]] = {
    "nothing": {},
    "parameters": {
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 512,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.1,
        "seed": 7,
        "logit_bias": {"1": 2},
        "reasoning_effort": "low",
        "response_format": None,
        "stop": [],
    },
    "pipeline": {"user": {"name": "Ann", "id": "6c8f", "email": "ann@example.org", "role": "user"}},
    "ids": {"chat_id": "1f6e", "session_id": "s1", "id": "m1", "params": {}, "features": {"web_search": False}},
    "metadata": {"metadata": {"user_id": "6c8f", "chat_id": "1f6e", "message_id": "m1", "files": None, "features": {}}},
    "no tools": {"tools": [], "tool_choice": "auto", "files": [], "variables": {"{{USER_NAME}}": "Ann"}},
}


class Shown(NamedTuple):
    """The parts of a stream that Open WebUI shows."""

    text: str
    thinking: str
    usage: list[dict[str, Any]]
    errors: list[dict[str, Any]]


def ask(gateway: Served, body: dict[str, Any], **headers: str) -> Shown:
    """Send a question, and read its stream as Open WebUI does."""
    answer = gateway.ask(CHAT, body, **headers)
    assert answer.status == 200, answer.body
    assert "text/event-stream" in answer.headers["content-type"]
    shown = Shown("", "", [], [])
    for line in answer.body.decode().splitlines():
        if not line.startswith("data:") or line == "data: [DONE]":
            continue
        data = json.loads(line.removeprefix("data:").strip())
        if data.get("usage"):
            shown.usage.append(data["usage"])
        if not data.get("choices"):
            shown.errors.extend([data["error"]] if data.get("error") else [])
            continue
        delta = data["choices"][0].get("delta", {})
        text, thinking = delta.get("content") or "", delta.get("reasoning_content") or ""
        shown = shown._replace(text=shown.text + text, thinking=shown.thinking + thinking)
    return shown


def test_connection_is_not_accepted() -> None:
    with serve_site() as site, serve_gateway(site.url, api_keys=[KEY]) as gateway:
        right = gateway.ask("/v1/models", Authorization=f"Bearer {KEY}")
        wrong = gateway.ask("/v1/models", Authorization="Bearer wrong")
        missing = Served(gateway.gateway, gateway.port).ask("/v1/models")
    assert (right.status, [model["id"] for model in right.json["data"]]) == (200, ["default"])
    assert [(answer.status, answer.json["error"]["code"]) for answer in (wrong, missing)] == [
        (401, "invalid_api_key")
    ] * 2


def test_model_has_no_name() -> None:
    """Open WebUI shows ``name``, or ``id`` if there is none. It does not accept null."""
    with serve_site() as site:
        named = SiteOptions(site.url, "shop", {"support": "default"})
        with serve_gateway(named, models={"gpt-4o": "shop/support"}) as gateway:
            models = gateway.ask("/v1/models", **USER_HEADERS).json["data"]
    assert [model.get("name", model["id"]) for model in models] == ["shop/support", "gpt-4o"]
    assert all(model.get("name", "") is not None for model in models)


@pytest.mark.parametrize("more", MORE)
def test_question_is_refused(more: str) -> None:
    with serve_site(Answer([Notice("thinking", "Hm"), "Fo", "ur"], usage=USAGE)) as site:
        with serve_gateway(site.url, api_keys=[KEY]) as gateway:
            shown = ask(gateway, QUESTION | MORE[more], **USER_HEADERS)
            assert questions(site) == ["Three"]
    assert shown == Shown("Four", "Hm", [USAGE], [])


def test_users_of_a_pipeline_share_a_session() -> None:
    """``user`` is an object there."""
    with serve_site() as site, serve_gateway(site.url) as gateway:
        for name in ("Ann", "Bob", "Ann"):
            ask(gateway, QUESTION | {"user": {"name": name, "id": name, "role": "user"}})
        assert gateway.metrics()['sessions{site="127.0.0.1"}'] == 2


def test_cache_control_is_refused() -> None:
    """A filter can mark the last message."""
    parts = [{"type": "text", "text": "Three", "cache_control": {"type": "ephemeral"}}]
    with serve_site("Four") as site, serve_gateway(site.url) as gateway:
        assert ask(gateway, QUESTION | {"messages": [{"role": "user", "content": parts}]}).text == "Four"
        assert questions(site) == ["Three"]


def test_picture_of_an_earlier_question_does_not_reach_the_site() -> None:
    parts = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": "Nice"}, QUESTION["messages"][-1]]
    with serve_site(lambda chat: str(len(chat.file_ids))) as site, serve_gateway(site.url) as gateway:
        assert ask(gateway, QUESTION | {"messages": messages}).text == "1"
        assert [file.content for file in site.files] == [PICTURE_BYTES]


@pytest.mark.parametrize("task", ["title_generation", "tags_generation", "follow_up_generation"])
def test_task_is_refused(task: str) -> None:
    """Such as the title of a chat: the model writes JSON, since the question says so."""
    said = '{"title": "Numbers"}'
    more = {"max_completion_tokens": 1000} if task == "title_generation" else {}
    body = {
        "model": "default",
        "messages": [{"role": "user", "content": "### Task:\nGenerate a concise title. JSON format:"}],
        "stream": False,
        "metadata": {"task": task, "task_body": {"model": "default", "messages": []}, "chat_id": None},
    } | more
    with serve_site(said) as site, serve_gateway(site.url) as gateway:
        answer = gateway.ask(CHAT, body, **USER_HEADERS)
    content = answer.json["choices"][0]["message"]["content"]
    assert (answer.status, json.loads(content[content.find("{") : content.rfind("}") + 1])) == (
        200,
        {"title": "Numbers"},
    )


def test_usage_is_made_up() -> None:
    with serve_site(Answer("Four", usage={})) as site, serve_gateway(site.url) as gateway:
        assert ask(gateway, QUESTION).usage == []


def test_refusal_is_not_json() -> None:
    """Open WebUI passes the status and the JSON on, and shows ``error.message``."""
    answer = Answer("Slow", status=429, headers={"Retry-After": "7"})
    with serve_site(answer) as site, serve_gateway(site.url) as gateway:
        refused = gateway.ask(CHAT, QUESTION)
    assert (refused.status, refused.headers["content-type"]) == (429, "application/json")
    assert refused.json["error"]["message"] == "The site received too many requests. Try again later."


def test_tools_are_faked() -> None:
    """They are sent if the function calling of a model is set to native."""
    tool = {"type": "function", "function": {"name": "search_web", "parameters": {"type": "object", "properties": {}}}}
    with serve_site() as site, serve_gateway(site.url) as gateway:
        refused = gateway.ask(CHAT, QUESTION | {"tools": [tool]})
        assert questions(site) == []
    assert (refused.status, refused.json["error"]["param"]) == (400, "tools")


def test_error_in_the_middle_is_not_shown() -> None:
    with serve_site(Answer(["Half", ServerError("The model is down.")])) as site, serve_gateway(site.url) as gateway:
        shown = ask(gateway, QUESTION)
    assert shown.text == "Half"
    assert [error["message"] for error in shown.errors] == ["The model is down."]


def test_stopped_answer_leaves_the_connection_open() -> None:
    chat = Watched(stream_head(), chunk(live("Half")))
    with Server(site(chat)) as server, serve_gateway(server.url) as gateway:
        connection, response = gateway.open(CHAT, QUESTION)
        with closing(connection):
            while b"Half" not in response.readline():
                pass
        response.close()
        assert chat.is_closed()


def test_heartbeat_ends_the_answer_in_continue() -> None:
    """Also if the heartbeat and the end come together. Continue breaks off at a line that begins with ``: ping``."""
    gate = Gate()

    def chat(peer: Peer, _: Received) -> None:
        peer.send(stream_head(), chunk(live("Hel")))
        gate.wait()
        peer.send(chunk(live("lo"), end("Hello")) + LAST_CHUNK)

    with Server(site(chat)) as server, serve_gateway(server.url, heartbeat=0.01) as gateway:
        connection, response = gateway.open(CHAT, QUESTION)
        with closing(connection):
            lines: list[str] = []
            while not lines or not lines[-1].startswith(":"):
                lines.append(response.readline().decode())
            gate.open()
            lines += response.read().decode().splitlines()
    assert not [line for line in lines if line.startswith(": ping")]
    assert [line for line in lines if line][-1] == "data: [DONE]"


def test_end_of_a_stream_has_another_form() -> None:
    """Editors need a finish reason, and then ``[DONE]``. Cline needs the usage behind it, without a choice."""
    with serve_site(Answer("Four", usage=USAGE)) as site, serve_gateway(site.url) as gateway:
        *_, last, usage, mark = gateway.ask(CHAT, QUESTION).events
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert (usage["choices"], usage["usage"], mark) == ([], USAGE, "[DONE]")
