"""Checks that every site must pass, with any version, any model and any settings of its owner."""

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

from ..support.exchanges import sent_json
from .conftest import Target

HELLO = "Please say hello, in one word."
HISTORY = [
    {"role": "user", "content": "My dog is called Bello."},
    {"role": "assistant", "content": "What a nice name!"},
    {"role": "user", "content": "What is my dog called? One word."},
]
VISIBILITIES = ("visible", "collapsed", "hidden", "")


def drive(turn: Turn) -> tuple[list[Event], list[int]]:
    """Return the events of a turn, and the statuses of its answers."""
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
    """Check that these events are a whole answer, and return its end."""
    done = events[-1]
    assert isinstance(done, Done), done
    assert not any(isinstance(event, Done | Failed) for event in events[:-1])
    text = "".join(event.text for event in events if isinstance(event, Text))
    assert text.strip(), "the bot sent no text"
    assert done.reply.text.strip() or done.reply.actions
    for notice in events:
        if isinstance(notice, Notice):
            assert notice.kind != "malformed", notice
            assert notice.visibility in VISIBILITIES, notice
    assert done.reply.raw.get("success") is True, "the end of the answer could not be read"
    return done


class TestNonce:
    """The search for a nonce, which needs no login."""

    def test_client_gets_a_nonce(self, client: Client) -> None:
        assert re.fullmatch(r"[0-9a-f]{10}", client.start_session().nonce)

    def test_async_client_gets_a_nonce(self, target: Target) -> None:
        async def nonce() -> str:
            async with AsyncClient(target.site, bot_id=target.bot, retries=0) as client:
                return (await client.start_session()).nonce

        assert re.fullmatch(r"[0-9a-f]{10}", asyncio.run(nonce()))


class TestAnswers:
    """Questions, with each method that asks."""

    def test_streamed_answer_has_text_and_one_end(self, client: Client) -> None:
        """If there are notices, they are well-formed."""
        done = check(list(client.events(HELLO)))
        assert done.reply.chat_id

    def test_async_streamed_answer_has_text_and_one_end(self, target: Target, session: Session) -> None:
        async def events() -> list[Event]:
            async with AsyncClient(target.site, bot_id=target.bot, retries=0) as client:
                client.session = session
                return [event async for event in client.events(HELLO)]

        check(asyncio.run(events()))

    def test_answer_without_streaming_is_one_json_object(self, target: Target, session: Session) -> None:
        question = Submission(HELLO, bot_id=target.bot, chat_id=secrets.token_hex(6), stream=False)
        events, _ = drive(Turn(target.site, question, session))
        check(events)

    def test_question_with_history_is_answered(self, client: Client, record_property: Any) -> None:
        """The bot's owner decides whether the bot reads the history."""
        done = check(list(client.events(HISTORY)))
        record_property("remembers", "bello" in done.reply.text.lower())

    def test_conversation_keeps_both_sides(self, client: Client) -> None:
        conversation = client.conversation(messages=HISTORY[:2])
        answer = conversation.ask(HISTORY[2]["content"])
        assert answer.text.strip()
        assert [message["role"] for message in conversation.messages] == ["user", "assistant"] * 2


class TestRefusals:
    """Requests that the site refuses."""

    def test_unknown_nonce_is_refused_and_renewed(self, target: Target) -> None:
        session = Session(nonce="0123456789")
        question = Submission(HELLO, bot_id=target.bot, chat_id=secrets.token_hex(6))
        events, statuses = drive(Turn(target.site, question, session))
        check(events)
        assert statuses[0] == 403
        assert session.nonce != "0123456789"

    def test_empty_message_is_refused_with_the_sites_text(
        self, client: Client, target: Target, session: Session
    ) -> None:
        """The clients do not send one, so the test drives the protocol layer."""
        if not session.nonce:
            client.start_session()
        turn = Turn(target.site, Submission("not sent", bot_id=target.bot, chat_id=secrets.token_hex(6)), session)
        request = turn.next_request()
        assert request is not None
        body = sent_json(request) | {"newMessage": ""}
        headers = dict(request.headers)
        with requests.post(request.url, json.dumps(body), headers=headers, timeout=120) as response:
            parser = EventParser(status=response.status_code, headers=response.headers)
            (failed,) = parser.receive_data(response.content) or parser.receive_eof()
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, ServerError), failed
        assert failed.error.message


class TestDiscovery:
    """The bots of a page."""

    def test_each_widget_names_its_bot_and_the_rest_root(self, client: Client, target: Target) -> None:
        try:
            bots = client.bots(target.page)
        except NotAiEngine as error:
            pytest.skip(f"the page {target.page} has no chat widget; give --page one that has ({error})")
        for bot in bots:
            assert bot.bot_id or bot.custom_id
            assert bot.rest_root.startswith("http")
