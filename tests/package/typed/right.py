"""Calls without an error: mypy and pyright check the types, and ``test_typed.py`` runs them.

Everything public is used as a user's program uses it. ``assert_type`` names the type that a caller gets.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any, Unpack, assert_never, assert_type

import requests

from chatgpt4online import (
    AsyncClient,
    AsyncConversation,
    AsyncStream,
    Bot,
    ChatError,
    Chatgpt4Online,
    Client,
    ClientOptions,
    Conversation,
    Discussion,
    Done,
    Event,
    EventParser,
    Failed,
    File,
    Notice,
    RateLimited,
    Reply,
    Request,
    ResponseInfo,
    Session,
    StatusError,
    Stream,
    Submission,
    Text,
    Timeout,
    Turn,
    Usage,
    aask,
    ask,
    astream,
    format_prompt,
    stream,
)
from chatgpt4online.http1 import Pool
from chatgpt4online.testing import Answer, Chat, ReceivedRequest, Site, serve_site

ANN = ("ann", "abcd efgh ijkl mnop qrst uvwx")


def show(event: Event) -> str:
    """Return a text for each kind of event. A checker reports a kind without a case."""
    match event:
        case Text(text):
            return assert_type(text, str)
        case Notice():
            return f"{assert_type(event.kind, str)} {assert_type(event.timestamp, float | None)}"
        case Done(reply):
            return assert_type(reply, Reply).text
        case Failed(error):
            return str(assert_type(error, ChatError))
        case _:
            assert_never(event)


# Functions that pass options on.


def ask_support(question: str, site: str, **options: Unpack[ClientOptions]) -> Reply:
    return ask(question, site=site, **options)


def stream_support(question: str, site: str, **options: Unpack[ClientOptions]) -> Stream[str]:
    return stream(question, site=site, **options)


async def ask_support_async(question: str, site: str, **options: Unpack[ClientOptions]) -> Reply:
    return await aask(question, site=site, **options)


def stream_support_async(question: str, site: str, **options: Unpack[ClientOptions]) -> AsyncStream[str]:
    return astream(question, site=site, **options)


def make_clients(site: str, **options: Unpack[ClientOptions]) -> tuple[Client, AsyncClient]:
    return Client(site, **options), AsyncClient(site, **options)


def all_options() -> ClientOptions:
    """Return a value for each option, of a type that is accepted and is not the usual one."""
    return {
        "bot_id": None,
        "custom_id": "c",
        "context_id": 7,
        "bot": Bot("support"),
        "timeout": Timeout(connect=3, total=60),
        "retries": 0,
        "proxy": None,
        "headers": {"X-Team": "blue"},
        "cookies": {"a": "b"},
        "auth": ANN,
        "token": "t",
        "verify": ssl.create_default_context(),
        "max_event_size": 1000,
        "max_body_size": 100_000,
        "max_text_size": 1000,
    }


def sync_calls(site: str) -> None:
    """Use the synchronous client."""
    assert_type(ask("Hi", site=site), Reply)
    assert_type(ask_support("Hi", site, bot_id="support", timeout=30), Reply)
    for piece in assert_type(stream("Hi", site=site, timeout=Timeout(total=60)), Stream[str]):
        assert_type(piece, str)
    assert_type(list(stream_support("Hi", site, retries=0)), list[str])
    with requests.Session() as http:
        assert_type(ask("Hi", site=site, http=http), Reply)
        assert_type(Client(site, http=http).ask("Hi"), Reply)

    with Client(site, bot_id="default", auth=None, token=None, timeout=5) as client:
        assert_type(client, Client)
        reply = client.ask([{"role": "user", "content": "Hi"}], flatten=True, timeout=9.5)
        assert_type(reply.text, str)
        assert_type(reply.usage, Usage | None)
        assert_type(reply.raw, dict[str, Any])
        with client.stream("Hi", chat_id="c1", files=[]) as pieces:
            assert_type(next(pieces), str)
        assert_type(pieces.text, str)
        events = assert_type(client.events("Hi").open(), Stream[Event])
        assert_type(events.response, ResponseInfo | None)
        assert [show(event) for event in events]
        assert_type(client.stream("Hi").until_done().to_dict(), dict[str, Any])
        for beat in client.events("Hi").heartbeats(30):
            assert_type(beat, Event | None)
        assert_type(events.reply, Reply)
        assert_type(client.start_session(), Session)
        assert_type(client.bots("/"), list[Bot])
        file = assert_type(client.upload(b"abc", "a.png", on_progress=lambda sent, size: None), File)
        assert_type(client.delete_files([file, file.id]), int)


def sync_derived(site: str) -> None:
    """Derive clients from a synchronous client."""
    with Client(site) as client:
        support = assert_type(client.with_options(bot_id="support", timeout=5, auth=None), Client)
        with support.with_options(new_session=True, headers={"X-Team": "blue"}) as visitor:
            assert_type(visitor.ask("Hi"), Reply)


async def async_derived(site: str) -> None:
    """Derive clients from an asynchronous client."""
    async with AsyncClient(site) as client:
        visitor = assert_type(client.with_options(new_session=True, retries=0), AsyncClient)
        assert_type(await visitor.ask("Hi"), Reply)


def sync_conversation(site: str, path: Path) -> None:
    """Use a conversation of the synchronous client."""
    with Client(site) as client:
        conversation = assert_type(client.conversation(start_sentence="Hello."), Conversation)
        assert_type(conversation.ask("Hi"), Reply)
        assert_type(list(conversation.stream("Hi")), list[str])
        assert [show(event) for event in conversation.events({"role": "user", "content": "Hi"})]
        conversation.save(path)
        assert_type(Conversation.load(path, client), Conversation)


def sync_api(client: Client) -> None:
    """Use the public API and the stored conversations, as a logged-in user."""
    assert_type(client.api.check(), dict[str, Any])
    assert_type(client.api.text("Hi", fast=True, options={"temperature": 0.5}), str)
    assert_type(client.api.chatbot("Hi", bot_id="default"), str)
    assert_type(client.api.json("Hi"), Any)
    assert_type(client.api.vision("Hi", "https://example.org/a.png"), str)
    assert_type(client.api.image("Hi"), str)
    assert_type(client.api.moderate("Hi"), bool | None)
    assert_type(client.api.transcribe(url="https://example.org/a.mp3"), str)
    assert_type(client.api.upload(b"abc", "a.png"), File)
    assert_type(client.api.bots(), list[dict[str, Any]])
    for discussion in assert_type(client.discussions(limit=5), list[Discussion]):
        assert_type(client.conversation(discussion=discussion), Conversation)


async def async_calls(site: str) -> None:
    """Use the asynchronous client."""
    assert_type(await aask("Hi", site=site), Reply)
    assert_type(await ask_support_async("Hi", site, bot_id="support", timeout=30), Reply)
    async for piece in assert_type(astream("Hi", site=site), AsyncStream[str]):
        assert_type(piece, str)
    assert_type([piece async for piece in stream_support_async("Hi", site, retries=0)], list[str])
    http = Pool()
    assert_type(await aask("Hi", site=site, http=http), Reply)
    await http.aclose()

    async with AsyncClient(site, auth=None, timeout=5) as client:
        assert_type(client, AsyncClient)
        assert_type(await client.ask("Hi", flatten=True), Reply)
        async with client.stream("Hi", chat_id="c1") as pieces:
            assert_type(await anext(pieces), str)
        events = assert_type(await client.events("Hi"), AsyncStream[Event])
        assert_type(events.response, ResponseInfo | None)
        assert [show(event) async for event in events]
        assert_type(await client.stream("Hi").until_done(), Reply)
        async for beat in client.stream("Hi").heartbeats(30):
            assert_type(beat, str | None)
        assert_type(events.reply, Reply)
        assert_type(await client.start_session(), Session)
        assert_type(await client.bots(), list[Bot])
        file = assert_type(await client.upload(b"abc", "a.png"), File)
        assert_type(await client.delete_files([file]), int)


async def async_conversation(site: str, path: Path) -> None:
    """Use a conversation of the asynchronous client."""
    async with AsyncClient(site) as client:
        conversation = assert_type(client.conversation(), AsyncConversation)
        assert_type(await conversation.ask("Hi"), Reply)
        assert_type([piece async for piece in conversation.stream("Hi")], list[str])
        conversation.save(path)
        assert_type(AsyncConversation.load(path, client), AsyncConversation)


async def async_api(client: AsyncClient) -> None:
    """Use the public API and the stored conversations, as a logged-in user."""
    assert_type(await client.api.check(), dict[str, Any])
    assert_type(await client.api.text("Hi"), str)
    assert_type(await client.api.json("Hi"), Any)
    assert_type(await client.api.image("Hi"), str)
    assert_type(await client.api.moderate("Hi"), bool | None)
    assert_type(await client.api.bots(), list[dict[str, Any]])
    for discussion in assert_type(await client.discussions(), list[Discussion]):
        assert_type(client.conversation(discussion=discussion), AsyncConversation)


def core(site: str) -> None:
    """Use the parts that do no input or output."""
    parser = EventParser()
    assert_type(parser.receive_data(b'data: {"type":"live","data":"Hi"}\n\n'), list[Event])
    assert [show(event) for event in parser.receive_eof()]
    turn = Turn(site, Submission("Hi", bot_id="support"), Session())
    assert_type(turn.next_request(), Request | None)
    assert_type(format_prompt([{"role": "user", "content": "Hi"}]), str)


def errors(error: ChatError) -> float | None:
    """Return the seconds to wait after an error."""
    assert_type(error.partial_text, str)
    assert_type(error.http_status, int)
    if isinstance(error, RateLimited):
        return assert_type(error.retry_after, float | None)
    return float(error.status) if isinstance(error, StatusError) else None


def provider() -> tuple[Generator[str, None, None], AsyncGenerator[str, None]]:
    """Use the provider. Nothing is sent before a generator is read."""
    made = Chatgpt4Online.create_completion("gpt-4", "Hi", bot_id="support")
    return made, Chatgpt4Online.create_async_generator("gpt-4", "Hi")


def practice() -> Site:
    """Return a site for tests, after using it."""

    def answer(chat: Chat) -> Answer:
        return Answer(["Hello ", Notice("thinking", "Hm"), assert_type(chat.user, str)])

    with serve_site(answer, users=dict([ANN])) as site:
        assert_type(site.url, str)
        with Client(site.url, cookies=site.login("ann")) as client:
            assert_type(client.ask("Hi"), Reply)
        assert_type(list(site.requests), list[ReceivedRequest])
    return site
