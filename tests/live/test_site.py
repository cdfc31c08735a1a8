"""What every site must do, whatever its version, its models and its owner's settings."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from typing import Any

import pytest
import requests

from chatgpt4online import (
    AsyncClient,
    Client,
    Done,
    Event,
    EventParser,
    Failed,
    NotAiEngine,
    Notice,
    ServerError,
    Session,
    Submission,
    Text,
    Turn,
)

from .conftest import Target

HELLO = "Please say hello, in one word."
HISTORY = [
    {"role": "user", "content": "My dog is called Bello."},
    {"role": "assistant", "content": "What a nice name!"},
    {"role": "user", "content": "What is my dog called? One word."},
]
VISIBILITIES = ("visible", "collapsed", "hidden", "")


def drive(turn: Turn) -> tuple[list[Event], list[int]]:
    """Return the events of a turn, and the statuses of the answers that it took."""
    events: list[Event] = []
    statuses = []
    with requests.Session() as http:
        while (request := turn.next_request()) is not None:
            options: Any = {"data": request.body, "headers": dict(request.headers), "timeout": 120}
            with http.request(request.method, request.url, allow_redirects=False, **options) as response:
                statuses.append(response.status_code)
                events += turn.receive_response(response.status_code, response.headers)
                events += turn.receive_data(response.content)
                if not turn.over:
                    events += turn.receive_eof()
    return events, statuses


def check(events: list[Event]) -> Done:
    """Check that these events are a whole answer; return its end."""
    done = events[-1]
    assert isinstance(done, Done), done
    assert not any(isinstance(event, Done | Failed) for event in events[:-1])
    text = "".join(event.text for event in events if isinstance(event, Text))
    assert text.strip(), "the bot said nothing"
    assert done.reply.text.strip() or done.reply.actions
    for notice in events:
        if isinstance(notice, Notice):
            assert notice.kind != "malformed", notice
            assert notice.visibility in VISIBILITIES, notice
    assert done.reply.raw.get("success") is True, "the end of the answer could not be read"
    return done


class TestNonce:
    """Nobody has to log in."""

    def test_sync(self, client: Client) -> None:
        """The client gets a nonce."""
        assert re.fullmatch(r"[0-9a-f]{10}", client.start_session().nonce)

    def test_async(self, target: Target) -> None:
        """The asynchronous client gets one too."""

        async def nonce() -> str:
            async with AsyncClient(target.site, bot_id=target.bot, retries=0) as client:
                return (await client.start_session()).nonce

        assert re.fullmatch(r"[0-9a-f]{10}", asyncio.run(nonce()))


class TestAnswers:
    """Questions, in each way that there is to ask."""

    def test_events(self, client: Client) -> None:
        """Streamed: text, well-formed notices if there are any, and one end."""
        done = check(list(client.events(HELLO)))
        assert done.reply.chat_id

    def test_async_events(self, target: Target, session: Session) -> None:
        """The same, by the asynchronous client."""

        async def events() -> list[Event]:
            async with AsyncClient(target.site, bot_id=target.bot, retries=0) as client:
                client.session = session
                return [event async for event in client.events(HELLO)]

        check(asyncio.run(events()))

    def test_whole(self, target: Target, session: Session) -> None:
        """Not streamed: the site answers with one JSON object."""
        question = Submission(HELLO, bot_id=target.bot, chat_id=secrets.token_hex(6), stream=False)
        events, _ = drive(Turn(target.site, question, session))
        check(events)

    def test_history(self, client: Client, record_property: Any) -> None:
        """The messages before the question are taken; whether the bot has read them depends on its owner."""
        done = check(list(client.events(HISTORY)))
        record_property("remembers", "bello" in done.reply.text.lower())

    def test_conversation(self, client: Client) -> None:
        """A conversation has kept both sides."""
        conversation = client.conversation(messages=HISTORY[:2])
        answer = conversation.ask(HISTORY[2]["content"])
        assert answer.text.strip()
        assert [message["role"] for message in conversation.messages] == ["user", "assistant"] * 2


class TestRefusals:
    """What the site does not take."""

    def test_an_unknown_nonce(self, target: Target) -> None:
        """It is refused, renewed, and the question answered."""
        session = Session(nonce="0123456789")
        question = Submission(HELLO, bot_id=target.bot, chat_id=secrets.token_hex(6))
        events, statuses = drive(Turn(target.site, question, session))
        check(events)
        assert statuses[0] == 403
        assert session.nonce != "0123456789"

    def test_an_empty_message(self, client: Client, target: Target, session: Session) -> None:
        """It is refused in the site's own words. The clients would not send it."""
        if not session.nonce:
            client.start_session()
        turn = Turn(target.site, Submission("not sent", bot_id=target.bot, chat_id=secrets.token_hex(6)), session)
        request = turn.next_request()
        assert request is not None
        body = json.loads(bytes(request.body)) | {"newMessage": ""}
        headers = dict(request.headers)
        with requests.post(request.url, json.dumps(body), headers=headers, timeout=120) as response:
            parser = EventParser(status=response.status_code, headers=response.headers)
            (failed,) = parser.receive_data(response.content) or parser.receive_eof()
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, ServerError), failed
        assert failed.error.message


class TestDiscovery:
    """What a page says of the site's bots."""

    def test_bots(self, client: Client, target: Target) -> None:
        """Each widget of the page names its bot and the REST API."""
        try:
            bots = client.bots(target.page)
        except NotAiEngine as error:
            pytest.skip(f"the page {target.page} has no chat widget; give --page one that has ({error})")
        for bot in bots:
            assert bot.bot_id or bot.custom_id
            assert bot.rest_root.startswith("http")
