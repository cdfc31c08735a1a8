"""The gateway behind a real uvicorn, in front of sites on loopback: answers, refusals, models, keys and limits."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from http.client import HTTPResponse
from typing import Any

import pytest

from chatgpt4online import Notice, ServerError, Timeout
from chatgpt4online.gateway import Gateway, GatewayOptions, SiteOptions
from chatgpt4online.testing import Answer, Chat, Widget

from ..site import serve_site
from ..support.clients import Watched
from ..support.gateway import KEY, SECONDS, Served, mounted, serve_app, serve_gateway
from ..support.server import LAST_CHUNK, Peer, Received, Server, chunk, end, live, site, stream_head

pytestmark = pytest.mark.slow

USAGE = {"prompt_tokens": 31, "completion_tokens": 4, "total_tokens": 35, "price": None, "queries": 1}


def deltas(events: list[Any]) -> list[Any]:
    """Return the deltas of the chunks of a completion, without the one of the usage."""
    return [choice["delta"] for event in events if event != "[DONE]" for choice in event["choices"]]


@contextmanager
def half_answered(text: str, **options: Any) -> Iterator[tuple[Served, HTTPResponse]]:
    """Yield a gateway and the head of a streamed response. Its site has sent a piece, and now sends nothing."""
    with Server(site(Watched(stream_head(), chunk(live(text))))) as server:
        with serve_gateway(server.url, **options) as gateway:
            body = {"model": "default", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
            connection, response = gateway.open("/v1/chat/completions", body)
            with closing(connection):
                yield gateway, response


class TestAnswers:
    def test_text_is_not_that_of_the_site(self) -> None:
        with serve_site(["Hel", "lo\n\ndata: x"]) as running, serve_gateway(running.url) as gateway:
            whole = gateway.chat().json
            streamed = gateway.chat(stream=True)
        assert whole["object"] == "chat.completion"
        message = {"role": "assistant", "content": "Hello\n\ndata: x"}
        assert whole["choices"] == [{"index": 0, "message": message, "finish_reason": "stop"}]
        *chunks, done = streamed.events
        first = {"role": "assistant", "content": ""}
        assert deltas(chunks) == [first, {"content": "Hel"}, {"content": "lo\n\ndata: x"}, {}]
        assert [event["choices"][0]["finish_reason"] for event in chunks] == [None, None, None, "stop"]
        assert {event["object"] for event in chunks} == {"chat.completion.chunk"}
        assert len({event["id"] for event in chunks}) == 1
        assert done == "[DONE]"
        assert streamed.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (streamed.headers["cache-control"], streamed.headers["x-accel-buffering"]) == ("no-store", "no")

    @pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
    def test_history_is_not_sent_to_the_site(self, is_streamed: bool) -> None:
        chats: list[Chat] = []
        messages = [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "And now?"},
        ]
        with serve_site(lambda chat: chats.append(chat) or "Yes") as running, serve_gateway(running.url) as gateway:
            body = {"model": "default", "messages": messages, "stream": is_streamed}
            assert gateway.ask("/v1/chat/completions", body).status == 200
        assert chats[0].message == "And now?"
        assert chats[0].messages == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi\nthere"},
            {"role": "assistant", "content": "Hello"},
        ]

    def test_usage_and_id_of_the_site_are_replaced(self) -> None:
        answer = Answer("Hello", usage=USAGE, response_id="resp_site")
        with serve_site(answer) as running, serve_gateway(running.url) as gateway:
            whole = gateway.chat().json
            streamed = gateway.chat(stream=True, stream_options={"include_usage": True}).events
            silent = gateway.chat(stream=True).events
        usage = {"prompt_tokens": 31, "completion_tokens": 4, "total_tokens": 35}
        assert (whole["id"], whole["usage"]) == ("resp_site", usage)
        assert (streamed[-2]["choices"], streamed[-2]["usage"]) == ([], usage)
        assert streamed[-3]["ai_engine"]["response_id"] == "resp_site"
        assert not any("usage" in event for event in silent[:-1])

    def test_usage_is_made_up(self) -> None:
        """The site sends none, or a part of it."""
        answers = iter([Answer("Hello", usage={}, response_id=""), Answer("Hello", usage={"total_tokens": 7})])
        with serve_site(lambda _: next(answers)) as running, serve_gateway(running.url) as gateway:
            none = gateway.chat().json
            some = gateway.chat(stream=True, stream_options={"include_usage": True}).events
        assert "usage" not in none
        assert none["id"] == f"chatcmpl-{none['ai_engine']['chat_id']}"
        assert "response_id" not in none["ai_engine"]
        assert some[-2]["usage"] == {"total_tokens": 7}

    def test_thinking_is_part_of_the_text(self) -> None:
        pieces: list[Any] = [Notice("thinking", "Let me "), Notice("thinking", "see."), Notice("status", "Busy"), "Yes"]
        with serve_site(pieces) as running, serve_gateway(running.url) as gateway:
            message = gateway.chat().json["choices"][0]["message"]
            streamed = gateway.chat(stream=True).events
        assert message == {"role": "assistant", "content": "Yes", "reasoning_content": "Let me see."}
        expected = [{"reasoning_content": "Let me "}, {"reasoning_content": "see."}, {"content": "Yes"}, {}]
        assert deltas(streamed)[1:] == expected

    def test_chat_of_the_site_has_another_id(self) -> None:
        chats: list[Chat] = []
        with serve_site(lambda chat: chats.append(chat) or "Yes") as running, serve_gateway(running.url) as gateway:
            ids = [gateway.chat().json["ai_engine"]["chat_id"] for _ in range(2)]
        assert [chat.chat_id for chat in chats] == ids
        assert ids[0] != ids[1]

    def test_first_piece_waits_for_the_next(self) -> None:
        with half_answered("Hel") as (_, response):
            lines = [response.readline() for _ in range(3)]
        assert b'"content":"Hel"' in lines[2]

    def test_silence_has_no_comments(self) -> None:
        with half_answered("Hel", heartbeat=0.01) as (_, response):
            assert any(line == b": keep-alive\n" for line in iter(response.readline, b""))


LIMIT = "The site received too many requests. Try again later."
CANNOT = "The site cannot answer."
GONE = "The site is not available now. Try again later."
LATE = "The site took too long to answer."
BIG = "The site does not accept so large a request."
SERVER, RATE, INVALID = "server_error", "rate_limit_error", "invalid_request_error"
MANY, DOWN, LARGE = "rate_limit_exceeded", "service_unavailable", "request_too_large"
REFUSALS: dict[str, tuple[Answer, int, str | None, str, str, str]] = {
    "429 with a time": (Answer("x", status=429, headers={"Retry-After": "90"}), 429, "90", LIMIT, RATE, MANY),
    "429 without one": (Answer("x", status=429), 429, None, LIMIT, RATE, MANY),
    "503 with a time": (Answer("x", status=503, headers={"Retry-After": "7"}), 503, "7", GONE, SERVER, DOWN),
    "503 without one": (Answer("x", status=503), 503, None, GONE, SERVER, DOWN),
    "504": (Answer("x", status=504), 504, None, LATE, SERVER, "timeout"),
    "413": (Answer("x", status=413), 413, None, BIG, INVALID, LARGE),
    "401": (Answer("x", status=401), 502, None, CANNOT, SERVER, SERVER),
    "403": (Answer("x", status=403), 502, None, CANNOT, SERVER, SERVER),
    "404": (Answer("x", status=404), 502, None, CANNOT, SERVER, SERVER),
    "500": (Answer(ending="fatal"), 502, None, CANNOT, SERVER, SERVER),
    "an error event": (Answer(ServerError("The model is down.")), 502, None, "The model is down.", SERVER, SERVER),
    "a limit": (
        Answer(ServerError("You have reached the limit.")),
        429,
        None,
        "You have reached the limit.",
        RATE,
        MANY,
    ),
    "a cut before the first piece": (Answer(ending="cut"), 502, None, CANNOT, SERVER, SERVER),
}


@pytest.fixture(scope="module")
def refusing() -> Iterator[Served]:
    """A gateway whose site answers a question with the refusal of that name."""
    with serve_site(lambda chat: REFUSALS[chat.message][0]) as running, serve_gateway(running.url) as gateway:
        yield gateway


class TestRefusals:
    @pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
    @pytest.mark.parametrize("name", REFUSALS)
    def test_refusal_has_another_form(self, name: str, is_streamed: bool, refusing: Served) -> None:
        _, status, wait, message, kind, code = REFUSALS[name]
        answer = refusing.chat(name, stream=is_streamed)
        assert (answer.status, answer.headers.get("retry-after")) == (status, wait)
        assert answer.json == {"error": {"message": message, "type": kind, "param": None, "code": code}}
        assert answer.headers["content-type"] == "application/json"

    def test_client_repeats_a_question_that_cannot_succeed(self, refusing: Served) -> None:
        assert refusing.chat("a limit").headers["x-should-retry"] == "false"
        assert "x-should-retry" not in refusing.chat("429 with a time").headers

    def test_silent_site_is_not_504(self) -> None:
        options = SiteOptions("http://127.0.0.1:1", client={"timeout": Timeout(first_byte=0.05)})
        with Server(site(lambda peer, _: peer.wait_for_close())) as server:
            with serve_gateway(SiteOptions(server.url, client=options.client)) as gateway:
                answer = gateway.chat()
        assert (answer.status, answer.json["error"]["code"]) == (504, "timeout")
        assert answer.headers["x-should-retry"] == "false"

    def test_closed_site_is_named(self) -> None:
        with serve_site() as running:
            url = running.url
        with serve_gateway(url) as gateway:
            answer = gateway.chat()
        assert (answer.status, answer.json["error"]["message"]) == (502, CANNOT)

    @pytest.mark.parametrize(
        "pieces", [["Half", " of"], [Notice("thinking", "Hm"), "Half of"]], ids=["text", "thinking"]
    )
    def test_text_before_an_error_is_lost(self, pieces: list[Any]) -> None:
        answer = Answer([*pieces, ServerError("The model is down.")])
        with serve_site(answer) as running, serve_gateway(running.url) as gateway:
            whole = gateway.chat()
            streamed = gateway.chat(stream=True)
        error = {
            "message": "The model is down.",
            "type": SERVER,
            "param": None,
            "code": SERVER,
            "partial_text": "Half of",
        }
        assert (whole.status, whole.json) == (502, {"error": error})
        *chunks, last = streamed.events
        assert streamed.status == 200
        assert "".join(delta.get("content", "") for delta in deltas(chunks)) == "Half of"
        assert last == {"error": error}

    def test_question_that_is_too_long_reaches_the_site(self) -> None:
        with serve_site(bots=[Widget("default", max_length=10)]) as running:
            with serve_gateway(SiteOptions(running.url, pages=["/"])) as gateway:
                answer = gateway.chat("x" * 11)
            assert not any(request.path.endswith("submit") for request in running.requests)
        assert (answer.status, answer.json["error"]["type"]) == (422, INVALID)
        assert "10" in answer.json["error"]["message"]

    def test_error_of_the_gateway_has_no_form(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError("secret")

        with serve_site() as running, serve_gateway(running.url) as gateway:
            monkeypatch.setattr("chatgpt4online.gateway.chat_completions.ChatWriter.begin", fail)
            monkeypatch.setattr("chatgpt4online.gateway.chat_completions.ChatWriter.complete", fail)
            answer = gateway.chat()
        assert (answer.status, answer.json["error"]["code"]) == (500, SERVER)
        assert b"secret" not in answer.body


WRONG_REQUESTS: dict[str, tuple[str, str, bytes | None, dict[str, str], int, str]] = {
    "not JSON": ("POST", "/v1/chat/completions", b"{", {}, 400, "invalid_json"),
    "a list": ("POST", "/v1/chat/completions", b"[]", {}, 400, "invalid_json"),
    "an empty body": ("POST", "/v1/chat/completions", b"", {}, 400, "invalid_json"),
    "a form": ("POST", "/v1/chat/completions", b"a=b", {"Content-Type": "text/plain"}, 415, "invalid_content_type"),
    "a large body": ("POST", "/v1/chat/completions", b" " * 2000, {}, 413, "request_too_large"),
    "no model": ("POST", "/v1/chat/completions", b'{"messages":[]}', {}, 400, "missing_required_parameter"),
    "an unknown model": (
        "POST",
        "/v1/chat/completions",
        b'{"model":"gpt-9","messages":[{"role":"user","content":"Hi"}]}',
        {},
        404,
        "model_not_found",
    ),
    "an unknown model to look up": ("GET", "/v1/models/gpt-9", None, {}, 404, "model_not_found"),
    "embeddings": ("POST", "/v1/embeddings", b'{"model":"default","input":"x"}', {}, 404, "unknown_url"),
    "a stored response": ("GET", "/v1/responses/resp_1", None, {}, 404, "unknown_url"),
    "another method": ("GET", "/v1/chat/completions", None, {}, 405, "unknown_url"),
    "another host": ("GET", "/v1/models", None, {"Host": "example.org"}, 403, "forbidden"),
    "another host that ends alike": ("GET", "/v1/models", None, {"Host": "127.0.0.1.example.org"}, 403, "forbidden"),
    "too many messages": (
        "POST",
        "/v1/chat/completions",
        json.dumps({"model": "default", "messages": [{"role": "user", "content": "Hi"}] * 4}).encode(),
        {},
        400,
        "array_above_max_length",
    ),
}


class TestRequests:
    @pytest.mark.parametrize("name", WRONG_REQUESTS)
    def test_wrong_request_is_not_explained(self, name: str) -> None:
        method, path, body, headers, status, code = WRONG_REQUESTS[name]
        with serve_site() as running, serve_gateway(running.url, max_body=1999, max_messages=3) as gateway:
            answer = gateway.ask(path, body, method, **headers)
            assert (answer.status, answer.json["error"]["code"]) == (status, code)
            assert answer.json["error"].keys() == {"message", "type", "param", "code"}
            assert running.requests == []

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "127.0.0.1:80", "localhost:8000", "LOCALHOST", "[::1]:8000", "[::1]"]
    )
    def test_own_machine_needs_a_key(self, host: str) -> None:
        with serve_site() as running, serve_gateway(running.url) as gateway:
            assert gateway.ask("/v1/models", Host=host).status == 200

    @pytest.mark.parametrize(
        "header",
        [
            None,
            "",
            "Bearer",
            "Bearer ",
            "Bearer wrong",
            f"Basic {KEY}",
            KEY,
            f"Bearer {KEY}x",
            f"Bearer {KEY[:-1]}",
            "Bearer é",
        ],
    )
    @pytest.mark.parametrize("path", ["/v1/models", "/v1/models/default", "/metrics", "/v1/chat/completions"])
    def test_wrong_key_opens_the_gateway(self, path: str, header: str | None) -> None:
        with serve_site() as running, serve_gateway(running.url, api_keys=["another-key-0123456789", KEY]) as gateway:
            gateway.headers.clear()
            body = {"model": "default", "messages": [{"role": "user", "content": "Hi"}]} if "chat" in path else None
            answer = gateway.ask(path, body, **({} if header is None else {"Authorization": header}))
            assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")
            assert answer.headers["www-authenticate"] == "Bearer"
            assert running.requests == []

    @pytest.mark.parametrize("header", [f"Bearer {KEY}", f"bearer {KEY}", "Bearer another-key-0123456789"])
    def test_right_key_is_refused(self, header: str) -> None:
        with serve_site() as running, serve_gateway(running.url, api_keys=[KEY, "another-key-0123456789"]) as gateway:
            gateway.headers.clear()
            assert gateway.ask("/v1/models", Authorization=header, Host="gateway.example.org").status == 200
            assert gateway.ask("/healthz").json == {"status": "ok"}

    def test_web_page_of_another_origin_is_let_in(self) -> None:
        with serve_site() as running, serve_gateway(running.url) as closed, ExitStack() as stack:
            opened = stack.enter_context(serve_gateway(running.url, cors_origins=["https://example.org"]))
            asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
            asked["Access-Control-Request-Headers"] = "authorization,content-type,x-stainless-os"
            path = "/v1/chat/completions"
            assert "access-control-allow-origin" not in closed.ask(path, None, "OPTIONS", **asked).headers
            allowed = opened.ask(path, None, "OPTIONS", **asked)
            other = opened.ask(path, None, "OPTIONS", **asked | {"Origin": "https://other.example"})
            refused = opened.ask("/v1/models/none", Origin="https://example.org")
        assert allowed.headers["access-control-allow-origin"] == "https://example.org"
        assert allowed.headers["access-control-allow-headers"] == asked["Access-Control-Request-Headers"]
        assert "access-control-allow-origin" not in other.headers
        assert refused.headers["access-control-allow-origin"] == "https://example.org"
        assert "Retry-After" in refused.headers["access-control-expose-headers"]


class TestModels:
    @staticmethod
    def names(gateway: Served) -> list[str]:
        return [model["id"] for model in gateway.ask("/v1/models").json["data"]]

    def test_site_without_names_has_another_model_than_default(self) -> None:
        with serve_site() as running, serve_gateway(running.url) as gateway:
            assert self.names(gateway) == ["default"]
            assert running.requests == []

    def test_bots_of_a_page_are_not_models(self) -> None:
        bots = [Widget("support", name="Support: "), Widget(None, custom_id="mine"), Widget("default", name="AI: ")]
        chats: list[Chat] = []
        with serve_site(lambda chat: chats.append(chat) or "Yes", bots=bots) as running:
            with serve_gateway(SiteOptions(running.url, pages=["/"])) as gateway:
                data = gateway.ask("/v1/models").json["data"]
                one = gateway.ask("/v1/models/support").json
                assert gateway.chat(model="support").status == gateway.chat(model="mine").status == 200
                assert self.names(gateway) == ["support", "mine", "default"]
            assert sum(request.method == "GET" for request in running.requests) == 1
        assert (
            data[0]
            == one
            == {"id": "support", "object": "model", "created": 0, "owned_by": "127.0.0.1", "name": "Support"}
        )
        assert [chat.json["botId"] for chat in chats] == ["support", None]
        assert chats[1].json["customId"] == "mine"

    def test_bots_of_the_public_api_are_not_models(self) -> None:
        bots = ["default", "support"]
        with serve_site(bots=bots, token="the-token") as running:
            with serve_gateway(SiteOptions(running.url, client={"token": "the-token"})) as gateway:
                assert self.names(gateway) == bots
                assert gateway.chat(model="support").status == 200

    def test_named_bots_and_names_of_models_are_missing(self) -> None:
        chats: list[Chat] = []
        with serve_site(lambda chat: chats.append(chat) or "Yes", bots=["default", "chatbot-1"]) as running:
            options = SiteOptions(running.url, bots={"support": "chatbot-1"})
            with serve_gateway(options, models={"gpt-4o": "support", "lost": "none"}) as gateway:
                assert self.names(gateway) == ["support", "gpt-4o"]
                answer = gateway.chat(model="gpt-4o").json
                assert gateway.ask("/v1/models/gpt-4o").json["id"] == "gpt-4o"
                assert gateway.chat(model="lost").status == 404
                assert gateway.chat(model="chatbot-1").status == 404
        assert ([chat.bot_id for chat in chats], answer["model"]) == (["chatbot-1"], "gpt-4o")

    def test_question_reaches_another_site(self) -> None:
        with serve_site("shop") as shop, serve_site("blog") as blog:
            sites = [SiteOptions(shop.url, "shop"), SiteOptions(blog.url, "blog", {"news/de": "default"})]
            with serve_gateway(*sites) as gateway:
                assert self.names(gateway) == ["shop/default", "blog/news/de"]
                for model, text in (("shop/default", "shop"), ("blog/news/de", "blog")):
                    assert gateway.chat(model=model).json["choices"][0]["message"]["content"] == text
                assert gateway.chat(model="default").status == 404
                assert gateway.ask("/v1/models/blog/news/de").json["owned_by"] == "blog"

    def test_site_that_fails_hides_the_others(self, caplog: pytest.LogCaptureFixture) -> None:
        with serve_site() as lost:
            url = lost.url
        with serve_site() as running:
            sites = [SiteOptions(url, "lost", pages=["/"]), SiteOptions(running.url, "kept")]
            with serve_gateway(*sites) as gateway:
                assert self.names(gateway) == ["kept/default"]
                assert gateway.chat(model="kept/default").status == 200
                assert gateway.chat(model="lost/default").status == 502
            with serve_gateway(sites[0]) as gateway:
                assert gateway.ask("/v1/models").status == 502
        assert "the models of lost cannot be listed" in caplog.text

    def test_new_bot_is_never_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A model that is not in the list is searched for again, at most once in a while."""
        monkeypatch.setattr("chatgpt4online.gateway.sites._RETRY_SECONDS", 0)
        with serve_site() as running, serve_gateway(SiteOptions(running.url, pages=["/"])) as gateway:
            assert gateway.chat(model="late").status == 404
            bots = (*running._state.options.bots, Widget("late"))
            running._state.options = replace(running._state.options, bots=bots)
            assert gateway.chat(model="late").status == 200

    def test_unknown_models_load_the_site(self) -> None:
        with serve_site() as running, serve_gateway(SiteOptions(running.url, pages=["/"])) as gateway:
            with ThreadPoolExecutor(8) as pool:
                answers = [*pool.map(lambda number: gateway.chat(model=f"model-{number}"), range(32))]
            assert {answer.status for answer in answers} == {404}
            assert len(running.requests) == 1


class TestUsers:
    def test_users_share_a_session(self) -> None:
        """The site gives each visitor a cookie with another id at the first question, and finds the uploads by it."""
        keys = [KEY, "another-key-0123456789"]
        users = [(0, {}), (1, {}), (0, {"user": "ann"}), (0, {"user": "bob"}), (0, {"safety_identifier": "eve"})]
        with serve_site() as running:
            with serve_gateway(running.url, api_keys=keys) as gateway:
                for key, more in [*users, *users]:
                    gateway.headers["Authorization"] = f"Bearer {keys[key]}"
                    assert gateway.chat(**more).status == 200
                assert gateway.metrics()['sessions{site="127.0.0.1"}'] == len(users)
            sent = [request.headers for request in running.requests if request.path.endswith("submit")]
        first, second = sent[: len(users)], sent[len(users) :]
        assert [headers.get("cookie") for headers in first] == [None] * len(users)
        assert len({headers["cookie"] for headers in second}) == len(users)

    def test_sessions_grow_without_limit(self) -> None:
        with serve_site() as running, serve_gateway(running.url, max_sessions=2) as gateway:
            for user in ("ann", "bob", "eve", "ann", "x" * 100_000):
                assert gateway.chat(user=user).status == 200
            assert gateway.metrics()['sessions{site="127.0.0.1"}'] == 2

    def test_each_user_needs_a_nonce_of_its_own(self) -> None:
        with serve_site() as running, serve_gateway(running.url) as gateway:
            with ThreadPoolExecutor(8) as pool:
                answers = [*pool.map(lambda number: gateway.chat(user=str(number)), range(24))]
            assert {answer.status for answer in answers} == {200}
            assert sum(request.path.endswith("start_session") for request in running.requests) == 1


class TestQueue:
    def test_more_questions_than_the_limit_reach_the_site(self) -> None:
        running_now, most, lock = 0, 0, threading.Lock()
        begun, gate = threading.Semaphore(0), threading.Semaphore(0)

        def chat(peer: Peer, _: Received) -> None:
            nonlocal running_now, most
            with lock:
                running_now += 1
                most = max(most, running_now)
            begun.release()
            assert gate.acquire(timeout=SECONDS)
            with lock:
                running_now -= 1
            peer.send(stream_head() + chunk(end("Yes")) + LAST_CHUNK)

        with Server(site(chat)) as running, serve_gateway(running.url, concurrency=2, queue_length=10) as gateway:
            with ThreadPoolExecutor(6) as pool:
                waiting = [pool.submit(gateway.chat) for _ in range(6)]
                wait_for_metric(gateway, 'requests_waiting{site="127.0.0.1"}', 4)
                assert gateway.metrics()['answers_running{site="127.0.0.1"}'] == 2
                assert begun.acquire(timeout=SECONDS)
                assert begun.acquire(timeout=SECONDS)
                for _ in waiting:
                    gate.release()
                assert [future.result().status for future in waiting] == [200] * 6
            assert gateway.metrics()['answers_running{site="127.0.0.1"}'] == 0
            assert gateway.metrics()['requests_waiting{site="127.0.0.1"}'] == 0
        assert most == 2

    def test_queue_grows_without_limit(self) -> None:
        gate = threading.Semaphore(0)

        def answer(_: Chat) -> str:
            assert gate.acquire(timeout=SECONDS)
            return "Yes"

        with serve_site(answer) as running, serve_gateway(running.url, concurrency=1, queue_length=1) as gateway:
            with ThreadPoolExecutor(2) as pool:
                waiting = [pool.submit(gateway.chat) for _ in range(2)]
                wait_for_metric(gateway, 'requests_waiting{site="127.0.0.1"}', 1)
                refused = gateway.chat()
                for _ in waiting:
                    gate.release()
                assert [future.result().status for future in waiting] == [200, 200]
        assert (refused.status, refused.json["error"]["code"]) == (503, "service_unavailable")
        assert int(refused.headers["retry-after"]) > 0

    def test_wait_in_the_queue_has_no_end(self) -> None:
        gate = threading.Semaphore(0)

        def answer(_: Chat) -> str:
            assert gate.acquire(timeout=SECONDS)
            return "Yes"

        options = {"concurrency": 1, "queue_length": 5, "queue_seconds": 0.05}
        with serve_site(answer) as running, serve_gateway(running.url, **options) as gateway:
            with ThreadPoolExecutor(1) as pool:
                first = pool.submit(gateway.chat)
                wait_for_metric(gateway, 'answers_running{site="127.0.0.1"}', 1)
                refused = gateway.chat()
                gate.release()
                assert first.result().status == 200
            gate.release()
            assert gateway.chat().status == 200
        assert (refused.status, "retry-after" in refused.headers) == (503, True)

    def test_full_site_stops_another(self) -> None:
        gate = threading.Semaphore(0)

        def slow(_: Chat) -> str:
            assert gate.acquire(timeout=SECONDS)
            return "Yes"

        with serve_site(slow) as busy, serve_site("Yes") as free:
            sites = [SiteOptions(busy.url, "busy"), SiteOptions(free.url, "free")]
            with serve_gateway(*sites, concurrency=1, queue_length=0) as gateway, ThreadPoolExecutor(1) as pool:
                first = pool.submit(gateway.chat, model="busy/default")
                wait_for_metric(gateway, 'answers_running{site="busy"}', 1)
                assert gateway.chat(model="busy/default").status == 503
                assert gateway.chat(model="free/default").status == 200
                gate.release()
                assert first.result().status == 200


class TestStalls:
    """The limits on a client that sends or reads slowly, and on all bodies together."""

    def test_body_that_stops_is_awaited_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("chatgpt4online.gateway.http._STALL_SECONDS", 0.05)
        with serve_site() as running, serve_gateway(running.url) as gateway:
            with socket.create_connection(("127.0.0.1", gateway.port), SECONDS) as client:
                head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n"
                head += "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
                client.sendall(head.encode())
                assert client.recv(100).startswith(b"HTTP/1.1 408 ")

    def test_slow_body_is_awaited_for_ever(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each part arrives in time, and the whole body does not."""
        monkeypatch.setattr("chatgpt4online.gateway.http._BODY_SECONDS", 0.2)
        with serve_site() as running, serve_gateway(running.url) as gateway:
            with socket.create_connection(("127.0.0.1", gateway.port), SECONDS) as client:
                head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n"
                head += "Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
                client.sendall(head.encode())
                client.settimeout(0.01)
                answer = b""
                with suppress(BrokenPipeError, ConnectionResetError):
                    while not answer:
                        client.sendall(b" ")
                        with suppress(TimeoutError):
                            answer = client.recv(100)
                assert answer.startswith(b"HTTP/1.1 408 ")

    def test_client_that_does_not_read_holds_its_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("chatgpt4online.gateway.http._STALL_SECONDS", 0.05)

        def chat(peer: Peer, request: Received) -> None:
            peer.send(stream_head())
            with suppress(OSError):
                while request.json["newMessage"] == "long":
                    peer.send(chunk(live("x" * 9_999)))
            if request.json["newMessage"] == "short":
                peer.send(chunk(end("Yes")) + LAST_CHUNK)

        with Server(site(chat)) as running, serve_gateway(running.url, concurrency=1, heartbeat=0.02) as gateway:
            body = {"model": "default", "messages": [{"role": "user", "content": "long"}], "stream": True}
            with closing(gateway.send("/v1/chat/completions", body)):
                assert gateway.chat("short").status == 200

    def test_large_bodies_grow_without_limit(self) -> None:
        """Eight of the largest are held at once. A ninth is refused until one of them is done."""
        gate = threading.Semaphore(0)
        begun = threading.Semaphore(0)

        def chat(peer: Peer, _: Received) -> None:
            begun.release()
            assert gate.acquire(timeout=SECONDS)
            peer.send(stream_head() + chunk(end("Yes")) + LAST_CHUNK)

        message = "x" * 9_800
        with Server(site(chat)) as running, serve_gateway(running.url, max_body=10_000) as gateway:
            with ThreadPoolExecutor(8) as pool:
                waiting = [pool.submit(gateway.chat, message) for _ in range(8)]
                for _ in waiting:
                    assert begun.acquire(timeout=SECONDS)
                refused = gateway.chat(message)
                for _ in range(9):
                    gate.release()
                assert [future.result().status for future in waiting] == [200] * 8
            assert gateway.chat(message).status == 200
        assert (refused.status, refused.json["error"]["code"]) == (503, "service_unavailable")
        assert "retry-after" in refused.headers


def wait_for_metric(gateway: Served, name: str, value: float) -> None:
    """Return once a metric has a value. The gateway answers each question about it at once."""
    for _ in range(3000):
        if gateway.metrics().get(name) == value:
            return
    raise AssertionError(f"{name} never is {value}")


def test_metrics_miss_an_answer() -> None:
    answers = iter([Answer("Yes"), Answer("x", status=429), Answer(["Half", ServerError("Down")])])
    with serve_site(lambda _: next(answers)) as running, serve_gateway(running.url) as gateway:
        gateway.chat()
        gateway.chat(model="gpt-9")
        gateway.chat()
        gateway.chat(stream=True)
        found = gateway.metrics()
    route = 'route="/v1/chat/completions"'
    assert found[f'requests_total{{model="default",{route},status="200"}}'] == 2
    assert found[f'requests_total{{model="default",{route},status="429"}}'] == 1
    assert found[f'requests_total{{model="unknown",{route},status="404"}}'] == 1
    assert found['site_errors_total{error="RateLimited",site="127.0.0.1"}'] == 1
    assert found['site_errors_total{error="ServerError",site="127.0.0.1"}'] == 1
    assert found['first_event_seconds_count{site="127.0.0.1"}'] == 2
    assert found['answer_seconds_count{site="127.0.0.1"}'] == 2


def test_mounted_gateway_has_other_paths() -> None:
    with serve_site("Yes") as running, ExitStack() as stack:
        gateway = Gateway(GatewayOptions([SiteOptions(running.url)]))
        served = Served(gateway, stack.enter_context(serve_app(mounted(gateway, "/ai"))))
        body = {"model": "default", "messages": [{"role": "user", "content": "Hi"}]}
        assert served.ask("/ai/v1/chat/completions", body).json["choices"][0]["message"]["content"] == "Yes"
        assert served.ask("/ai/v1/models").status == served.ask("/ai/healthz").status == 200
        page = served.ask("/ai/")
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_closed_gateway_blames_itself() -> None:
    """Another task of the application closes it during an answer."""
    with half_answered("Half") as (gateway, response):
        response.readline()
        asyncio.run(gateway.gateway.aclose())
        last = response.read().decode().split("data: ")[-1]
        refused = gateway.chat()
    error = json.loads(last)["error"]
    assert (error["code"], error["partial_text"]) == ("service_unavailable", "Half")
    assert (refused.status, refused.json["error"]["message"]) == (503, error["message"])


def test_gateway_is_open_after_its_server() -> None:
    with serve_site() as running:
        with serve_gateway(running.url) as served:
            assert served.chat().status == 200
        assert [repr(site.client)[-8:] for site in served.gateway._application._service.sites] == [" closed>"]


class TestLog:
    """The log has the reason of each request that was not answered."""

    @pytest.fixture(autouse=True)
    def _info(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "chatgpt4online.gateway")

    def test_refusal_of_the_gateway_is_not_in_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        with serve_site() as running, serve_gateway(running.url) as gateway:
            answer = gateway.chat(n=2)
        assert answer.status == 400
        request = answer.headers["x-request-id"]
        assert [f"request {request} was refused with 400: n is not supported: a site gives one answer; "] == [
            record.getMessage().partition("send ")[0]
            for record in caplog.records
            if record.name.startswith("chatgpt4online.gateway")
        ]

    def test_error_of_a_site_is_in_the_log_twice(self, caplog: pytest.LogCaptureFixture) -> None:
        with serve_site(ServerError("no")) as running, serve_gateway(running.url) as gateway:
            assert gateway.chat().status == 502
        assert len([message for message in caplog.messages if "request req_" in message]) == 1

    def test_reason_for_no_models_is_not_in_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        with serve_site() as running:
            site = SiteOptions(running.url, pages=["/"])
        with serve_gateway(site) as gateway:
            assert gateway.ask("/v1/models/default").status == 502
            assert gateway.ask("/v1/models").status == 502
        assert (
            len([text for text in caplog.messages if "the models of 127.0.0.1 cannot be listed: no conn" in text]) == 2
        )


def test_message_does_not_name_the_target_of_a_model() -> None:
    with serve_site() as running, serve_gateway(running.url, models={"gpt-4o": "support"}) as gateway:
        error = gateway.chat(model="gpt-4o").json["error"]
    assert error["message"].startswith("The model 'gpt-4o', which is another name of 'support', does not exist.")
