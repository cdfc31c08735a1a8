"""The provider class Chatgpt4Online, without g4f. ``python -m tests.g4f_proof`` tests it with the real g4f."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import pickle
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from chatgpt4online import provider as module
from chatgpt4online.protocol.parsing import errors
from chatgpt4online.provider import Chatgpt4Online
from chatgpt4online.testing import Answer, Chat

from ..site import serve_site
from ..support.server import NONCE, Peer, Server, chunk, end, json_response, live, response, says, stream_head
from ..support.server import site as scripted

QUESTION = [{"role": "user", "content": "Hi"}]
HISTORY = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "I am Ann."}]},
    {"role": "assistant", "content": None},
    {"role": "user", "content": "Who am I?"},
]


def at(url: str, **attributes: Any) -> type[Chatgpt4Online]:
    """Return a provider for another site, as a user would write it."""
    return type("OtherSite", (Chatgpt4Online,), {"url": url} | attributes)


def generate(provider: Any, messages: Any = QUESTION, **kwargs: Any) -> list[str]:
    async def pieces() -> list[str]:
        return [piece async for piece in provider.create_async_generator("gpt-4", messages, **kwargs)]

    return asyncio.run(pieces())


def complete(provider: Any, messages: Any = QUESTION, **kwargs: Any) -> list[str]:
    return list(provider.create_completion("gpt-4", messages, **kwargs))


def whole(provider: Any, messages: Any = QUESTION, **kwargs: Any) -> list[str]:
    return [asyncio.run(provider.create_async("gpt-4", messages, **kwargs))]


METHODS = pytest.mark.parametrize("ask", [generate, complete, whole])
STREAMS = pytest.mark.parametrize("ask", [generate, complete])


@pytest.fixture(autouse=True)
def _no_memory() -> Iterator[None]:
    """Delete the stored nonces, since a later test may get a site on the same port."""
    module._known_sessions.clear()
    yield
    module._known_sessions.clear()


class TestAttributes:
    """The attributes of the class."""

    def test_attributes_of_the_original_class_keep_their_values(self) -> None:
        assert Chatgpt4Online.url == "https://chatgpt4online.org"
        assert Chatgpt4Online.api_endpoint == "/wp-json/mwai-ui/v1/chats/submit"
        assert Chatgpt4Online.working is Chatgpt4Online.supports_stream is True
        assert (Chatgpt4Online.default_model, Chatgpt4Online.models) == ("gpt-4", ["gpt-4"])
        assert Chatgpt4Online.bot_id == "default"

    @pytest.mark.parametrize(
        ("name", "value"),
        {
            "active_by_default": None,
            "needs_auth": False,
            "supports_message_history": True,
            "supports_system_message": True,
            "use_stream_timeout": True,
            "live": 0,
            "model_aliases": {},
            "image_models": [],
            "vision_models": [],
            "label": "Chatgpt4Online",
            "__name__": "Chatgpt4Online",
        }.items(),
    )
    def test_attributes_that_g4f_reads_exist_on_class_and_instance(self, name: str, value: object) -> None:
        assert getattr(Chatgpt4Online, name) == getattr(Chatgpt4Online(), name) == value

    def test_subclass_has_its_own_name_and_label(self) -> None:
        other = at("https://example.org")
        assert other.get_dict() == {"name": "OtherSite", "url": "https://example.org", "label": "OtherSite"}
        assert other().__name__ == other.get_parent() == "OtherSite"
        assert at("https://example.org", label="Other!").get_dict()["label"] == "Other!"
        assert at("https://example.org", parent="Family").get_parent() == "Family"

    def test_live_can_be_counted_for_each_class(self) -> None:
        """g4f adds to it."""
        other: Any = at("https://example.org")
        other.live += 1
        assert (other.live, Chatgpt4Online.live) == (1, 0)

    def test_get_model_resolves_defaults_and_aliases(self) -> None:
        provider = at("https://example.org", model_aliases={"four": "gpt-4", "any": ["gpt-4", "gpt-4o"]}, models=[])
        assert provider.get_models(api_key="x", timeout=1) == ["gpt-4"]
        assert [provider.get_model(name) for name in ("", "auto", "four", "else")] == [
            "gpt-4",
            "gpt-4",
            "gpt-4",
            "else",
        ]
        assert {provider.get_model("any", media=None) for _ in range(50)} == {"gpt-4", "gpt-4o"}
        assert at("https://example.org", model_aliases=None).get_model("x") == "x"

    def test_parameters_are_shown_as_objects_json_and_text(self) -> None:
        parameters = Chatgpt4Online.get_parameters()
        assert list(parameters) == ["model", "messages", "stream"]
        assert all(isinstance(parameter, inspect.Parameter) for parameter in parameters.values())
        assert at("https://example.org").get_parameters(as_json=True) == {
            "provider": "OtherSite",
            "model": "gpt-4",
            "messages": [{"role": "system", "content": ""}, {"role": "user", "content": ""}],
            "stream": True,
        }
        assert Chatgpt4Online.params.startswith("g4f.Provider.Chatgpt4Online supports: (\n    model: str,\n")
        assert "\n    stream: bool = True,\n)" in at("https://example.org").params

    def test_methods_are_of_the_kind_that_g4f_expects(self) -> None:
        assert inspect.isasyncgenfunction(Chatgpt4Online.create_async_generator)
        assert inspect.isgeneratorfunction(Chatgpt4Online.create_completion)
        assert inspect.iscoroutinefunction(Chatgpt4Online.create_async)
        assert inspect.iscoroutinefunction(Chatgpt4Online.get_nonce)


class TestNonce:
    """``get_nonce``, which older programs call."""

    @pytest.mark.parametrize("on", [lambda cls: cls, lambda cls: cls()], ids=["class", "instance"])
    def test_get_nonce_asks_the_site_of_the_subclass_with_the_headers(self, on: Callable[[Any], Any]) -> None:
        """A stale nonce among the headers is left out."""
        with serve_site() as site:
            headers = {"accept-language": "de", "x-wp-nonce": "0000000000", "user-agent": "mine"}
            assert asyncio.run(on(at(site.url)).get_nonce(headers)) == site.nonce
            sent = site.requests[-1].headers
            assert (sent["accept-language"], sent["user-agent"]) == ("de", "mine")
            assert "x-wp-nonce" not in sent
            assert asyncio.run(on(at(site.url)).get_nonce()) == site.nonce
            assert len(site.requests) == 2

    def test_get_nonce_keeps_the_path_of_the_url(self) -> None:
        with Server(scripted(says())) as server:
            for url in (f"{server.url}/blog", f"{server.url}/blog/"):
                assert asyncio.run(at(url).get_nonce()) == NONCE
            assert {request.target for request in server.requests} == {"/blog/wp-json/mwai/v1/start_session"}

    def test_get_nonce_uses_the_proxy(self) -> None:
        with Server(scripted(says())) as proxy:
            assert asyncio.run(at("http://site.invalid").get_nonce(None, proxy.url)) == NONCE
            assert proxy.requests[0].target == "http://site.invalid/wp-json/mwai/v1/start_session"

    def test_refused_nonce_raises_an_error_of_this_package(self) -> None:
        def missing(peer: Peer) -> None:
            for _ in peer.requests():
                peer.send(json_response({}, "404 Not Found"))

        with Server(scripted(says())) as server:
            server.script = missing
            with pytest.raises(errors.StatusError):
                asyncio.run(at(server.url).get_nonce())


class TestAnswers:
    """The three methods that ask."""

    @METHODS
    def test_all_methods_return_the_same_answer(self, ask: Callable[..., list[str]]) -> None:
        """The history is sent as messages."""
        with serve_site(["You ", "are ", "Ann."]) as site:
            assert "".join(ask(at(site.url), HISTORY)) == "You are Ann."
            assert ask(at(site.url), HISTORY, stream=False) == ["You are Ann."]
            body = site.requests[-1].json
        assert (body["botId"], body["newMessage"], body["stream"]) == ("default", "Who am I?", True)
        assert [message["content"] for message in body["messages"]] == ["Be brief.", "I am Ann.", ""]

    def test_async_generator_yields_a_piece_before_the_next_is_sent(self) -> None:
        shown = threading.Semaphore(0)

        def answer() -> Iterator[str]:
            for piece in ("One ", "two ", "three"):
                yield piece
                assert shown.acquire(timeout=10)

        async def ask(provider: Any) -> list[str]:
            pieces = []
            async for piece in provider.create_async_generator("", QUESTION):
                pieces.append(piece)
                shown.release()
            return pieces

        with serve_site(answer()) as site:
            assert asyncio.run(ask(at(site.url))) == ["One ", "two ", "three"]

    def test_generator_yields_a_piece_before_the_next_is_sent(self) -> None:
        """Also inside a running event loop."""
        shown = threading.Semaphore(0)

        def answer(_: Chat) -> Iterator[str]:
            for piece in ("One ", "two ", "three"):
                yield piece
                assert shown.acquire(timeout=10)

        async def within_a_loop(provider: Any) -> None:
            ask(provider)

        def ask(provider: Any) -> None:
            for piece in provider.create_completion(model="", messages=QUESTION, stream=True, provider=provider):
                assert piece in ("One ", "two ", "three")
                shown.release()

        with serve_site(answer) as site:
            ask(at(site.url))
            asyncio.run(within_a_loop(at(site.url)))

    @METHODS
    def test_answer_without_streaming_is_the_sites_final_reply(self, ask: Callable[..., list[str]]) -> None:
        """It may differ from the joined pieces."""
        with serve_site(Answer(["darn", " it "], reply="d*** it")) as site:
            assert ask(at(site.url), stream=False) == ["d*** it"]
            assert "".join(generate(at(site.url))) == "darn it "

    @METHODS
    def test_text_that_comes_only_with_the_end_is_returned(self, ask: Callable[..., list[str]]) -> None:
        """Some engines do not stream."""
        with serve_site(Answer((), reply="All at once")) as site:
            assert ask(at(site.url)) == ["All at once"]

    @METHODS
    @pytest.mark.parametrize("stream", [True, False])
    def test_empty_answer_raises(self, ask: Callable[..., list[str]], stream: bool) -> None:
        with serve_site(Answer((), reply="")) as site, pytest.raises(errors.ServerError, match="empty answer"):
            ask(at(site.url), stream=stream)

    @METHODS
    def test_known_options_are_used_and_others_ignored(self, ask: Callable[..., list[str]]) -> None:
        with serve_site(bots=["default", "support", "sales"]) as site:
            provider = at(site.url, bot_id="support")
            ask(provider)
            assert site.requests[-1].json["botId"] == "support"
            ask(
                provider,
                proxy=None,
                bot_id="sales",
                headers={"X-Mine": "1"},
                cookies={"taste": "sweet"},
                chat_id="conversation",
                timeout=20,
                stream_timeout=30,
                max_retries=0,
                temperature=0.5,
                api_key="secret",
                base_url="https://example.org",
                stop=["x"],
                tools=[],
                media=None,
                conversation=None,
                response_format={"type": "json_object"},
            )
            request = site.requests[-1]
        assert (request.json["botId"], request.json["chatId"]) == ("sales", "conversation")
        assert (request.headers["x-mine"], request.headers["cookie"].split("; ")[0]) == ("1", "taste=sweet")
        assert b"secret" not in request.body
        assert "authorization" not in request.headers

    @METHODS
    def test_timeout_and_stream_timeout_set_the_limits(self, ask: Callable[..., list[str]]) -> None:
        """0 and None mean the default."""
        done = threading.Event()

        def answer(_: Chat) -> Iterator[str]:
            yield "slow"
            done.wait(10)

        with serve_site(answer) as site:
            for limits in ({"timeout": 0.2}, {"stream_timeout": 0.2, "timeout": 0}):
                with pytest.raises(errors.TimedOut) as caught:
                    ask(at(site.url), **limits)
                assert caught.value.partial_text == "slow"
            done.set()
            assert ask(at(site.url), timeout=0, stream_timeout=None) == ["slow"]

    @METHODS
    def test_questions_use_the_proxy(self, ask: Callable[..., list[str]]) -> None:
        answer = stream_head() + chunk(live("Hello"), end("Hello")) + b"0\r\n\r\n"
        with Server(scripted(says(answer))) as proxy:
            assert "".join(ask(at("http://site.invalid"), proxy=proxy.url)) == "Hello"
            assert all(request.target.startswith("http://site.invalid/wp-json/") for request in proxy.requests)
            assert len(proxy.requests) == 2

    @METHODS
    def test_prompt_that_cannot_be_sent_raises_before_a_request(self, ask: Callable[..., list[str]]) -> None:
        with serve_site() as site:
            for messages in ([], [{"role": "user", "content": ""}], [{"content": "no role"}]):
                with pytest.raises(errors.InvalidInput):
                    ask(at(site.url), messages)
            assert site.requests == []
        with pytest.raises(errors.InvalidInput):
            ask(at("no address"))


class TestSites:
    """Subclasses for other sites."""

    @pytest.mark.parametrize(
        ("path", "endpoint", "root"),
        [
            ("", "/wp-json/mwai-ui/v1/chats/submit", "/wp-json"),
            ("/blog/", "/wp-json/mwai-ui/v1/chats/submit", "/blog/wp-json"),
            ("", "/chatgpt/wp-json/mwai-ui/v1/chats/submit", "/chatgpt/wp-json"),
            ("/blog", "/fr/wp-json/mwai-ui/v1/chats/submit", "/blog/fr/wp-json"),
            ("", "wp-json/mwai-ui/v1/chats/submit/", "/wp-json"),
            ("", "/rest/mwai-ui/v1/chats/submit", "/rest"),
            ("", "/index.php?rest_route=/mwai-ui/v1/chats/submit", "/index.php?rest_route="),
        ],
    )
    def test_url_and_api_endpoint_give_the_rest_root(self, path: str, endpoint: str, root: str) -> None:
        answer = stream_head() + chunk(live("Hello"), end("Hello")) + b"0\r\n\r\n"
        with Server(scripted(says(answer))) as server:
            provider = at(server.url + path, api_endpoint=endpoint)
            assert (generate(provider), complete(provider)) == (["Hello"], ["Hello"])
            assert asyncio.run(provider.get_nonce()) == NONCE
            targets = {request.target for request in server.requests}
        assert targets == {f"{root}/mwai/v1/start_session", f"{root}/mwai-ui/v1/chats/submit"}

    def test_api_endpoint_can_be_on_another_host(self) -> None:
        with serve_site() as site:
            provider = at("https://example.org", api_endpoint=f"{site.url}/wp-json/mwai-ui/v1/chats/submit")
            assert whole(provider) == ["You said: Hi"]

    @pytest.mark.parametrize("version", ["2.4.3", "2.8.9", "3.6.2"])
    def test_every_recorded_version_can_be_asked(self, version: str) -> None:
        with serve_site(version=version) as site:
            assert [generate(at(site.url))[-1], whole(at(site.url))[-1]] == [" Hi", "You said: Hi"]
            assert asyncio.run(at(site.url).get_nonce()) == site.nonce


class TestMemory:
    """The nonce that one call stores for the next."""

    @METHODS
    def test_nonce_is_shared_by_calls_and_renewed_once_it_is_stale(self, ask: Callable[..., list[str]]) -> None:
        with serve_site() as site:
            ask(at(site.url))
            ask(at(site.url))
            site.expire_nonce()
            ask(at(site.url))
            ask(at(site.url))
            seen = [request.path.rpartition("/")[2] for request in site.requests]
        fetched = ["start_session", "submit"]
        assert seen == [*fetched, "submit", "submit", *fetched, "submit"]

    @METHODS
    def test_nonce_of_a_possible_login_is_not_shared(self, ask: Callable[..., list[str]]) -> None:
        with serve_site() as site:
            ask(at(site.url), headers={"Authorization": "Basic x"})
            ask(at(site.url), cookies={"a": "b"})
            assert len(site.requests) == 4
            assert module._known_sessions == {}

    @METHODS
    def test_call_after_an_error_searches_for_a_new_nonce(self, ask: Callable[..., list[str]]) -> None:
        answers = iter([Answer("ok"), Answer("x", status=418), Answer("ok")])
        with serve_site(lambda _: next(answers)) as site:
            ask(at(site.url))
            with pytest.raises(errors.StatusError):
                ask(at(site.url))
            assert module._known_sessions == {}
            assert ask(at(site.url)) == ["ok"]


class Endless:
    """An answer that ends only when its connection is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __call__(self, _: Chat) -> Iterator[str]:
        try:
            for number in itertools.count():
                yield f"{number} "
        finally:
            self.closed.set()


class TestClosing:
    """Answers that are not read to their end."""

    @pytest.mark.parametrize("how", ["aclose", "break"])
    def test_aclose_closes_the_connection_at_once(self, how: str) -> None:
        answer = Endless()

        async def ask(provider: Any) -> None:
            if how == "aclose":
                generator = provider.create_async_generator("", QUESTION)
                assert await anext(generator) == "0 "
                await generator.aclose()
            else:
                async for _ in provider.create_async_generator("", QUESTION):
                    break
            assert await asyncio.to_thread(answer.closed.wait, 10)

        with serve_site(answer) as site:
            asyncio.run(ask(at(site.url)))

    def test_dropped_generator_closes_the_connection(self) -> None:
        answer = Endless()

        with serve_site(answer) as site:
            for _ in at(site.url).create_completion("", QUESTION):
                break
            assert answer.closed.wait(10)

    def test_cancelled_task_closes_the_connection(self) -> None:
        done = threading.Event()

        def answer(_: Chat) -> Iterator[str]:
            yield "first"
            done.wait(10)

        async def ask(provider: Any) -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    async for _ in provider.create_async_generator("", QUESTION):
                        pass
            done.set()

        with serve_site(answer) as site:
            asyncio.run(ask(at(site.url)))


CHALLENGE = "<html><title>Just a moment...</title></html>"
FIREWALL = "<html><title>Wordfence: access blocked</title></html>"
G4F = {
    "ResponseError": "G4FError",
    "ResponseStatusError": "ResponseError",
    "RateLimitError": "ResponseStatusError",
    "CloudflareError": "ResponseStatusError",
    "BadRequestError": "ResponseStatusError",
    "MissingAuthError": "G4FError",
    "ProviderNotWorkingError": "G4FError",
    "TimeoutError": "G4FError",
}


@pytest.fixture
def g4f_errors(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load a module in place of g4f.errors, with its tree of errors."""
    fake: Any = ModuleType("g4f.errors")
    fake.G4FError = type("G4FError", (Exception,), {})
    for name, base in G4F.items():
        setattr(fake, name, type(name, (getattr(fake, base),), {}))
    monkeypatch.setitem(sys.modules, "g4f.errors", fake)
    return fake


class TestErrors:
    """Errors of this package that are also errors of g4f, if it is loaded."""

    CASES = pytest.mark.parametrize(
        ("answer", "ours", "theirs"),
        [
            (response(b"", "429 Too Many Requests"), errors.RateLimited, "RateLimitError"),
            (response(b"", "402 Payment Required"), errors.StatusError, "RateLimitError"),
            (response(b"", "504 Gateway Timeout"), errors.StatusError, "RateLimitError"),
            (json_response({"code": "rest_invalid_json"}, "400 Bad Request"), errors.StatusError, "BadRequestError"),
            (json_response({"code": "rest_forbidden"}, "403 Forbidden"), errors.NonceRefused, "MissingAuthError"),
            (json_response({"code": "rest_disabled"}, "401 No"), errors.StatusError, "MissingAuthError"),
            (response(CHALLENGE.encode(), "403 Forbidden"), errors.Blocked, "CloudflareError"),
            (response(b"", "403 Forbidden", Server="cloudflare"), errors.Blocked, "CloudflareError"),
            (response(b"", "503 Busy", cf_mitigated="challenge"), errors.Blocked, "CloudflareError"),
            (response(FIREWALL.encode(), "403 Forbidden"), errors.Blocked, "ResponseStatusError"),
            (response(b"", "418 I'm a teapot"), errors.StatusError, "ResponseStatusError"),
            (b'data: {"type":"error","data":"no model"}\n\n', errors.ServerError, "ResponseError"),
            (live("half"), errors.Truncated, "ResponseError"),
            (None, errors.ConnectionFailed, "ProviderNotWorkingError"),
            ("hang", errors.TimedOut, "TimeoutError"),
        ],
    )

    def ask(self, ask: Callable[..., list[str]], answer: bytes | str | None) -> errors.ChatError:
        """Return the error that this answer becomes."""

        def chat(peer: Any, _: object) -> None:
            if isinstance(answer, str):  # "hang"
                peer.wait_for_close()
            elif answer is None:
                peer.reset()
            elif answer.startswith(b"HTTP"):
                peer.send(answer)
            else:
                peer.send(stream_head(), chunk(answer), b"0\r\n\r\n")

        with Server(scripted(chat)) as server, pytest.raises(errors.ChatError) as caught:
            ask(at(server.url), timeout=0.3 if answer == "hang" else 10, max_retries=0)
        return caught.value

    @METHODS
    @CASES
    def test_error_is_also_one_of_g4f_and_keeps_its_attributes(
        self, ask: Any, answer: Any, ours: type, theirs: str, g4f_errors: Any
    ) -> None:
        error = self.ask(ask, answer)
        assert isinstance(error, ours)
        assert isinstance(error, getattr(g4f_errors, theirs))
        assert type(error).__name__ in vars(errors)
        assert "next__" in "".join(
            traceback.format_exception(error)
        )  # the traceback still shows where it was raised first
        if isinstance(error, errors.StatusError):
            assert str(error).startswith(f"HTTP {error.status}")
        copy = pickle.loads(pickle.dumps(error))
        assert vars(copy) == vars(error)
        assert isinstance(copy, ours)

    @CASES
    def test_error_without_g4f_is_unchanged_and_g4f_is_not_imported(
        self, answer: Any, ours: type, theirs: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delitem(sys.modules, "g4f.errors", raising=False)
        error = self.ask(generate, answer)
        assert isinstance(error, ours)
        assert type(error) in vars(errors).values(), theirs
        assert "g4f" not in sys.modules

    def test_unknown_version_of_g4f_changes_no_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fake: Any = ModuleType("g4f.errors")
        fake.RateLimitError = "no class"
        monkeypatch.setitem(sys.modules, "g4f.errors", fake)
        for status, kind in (("429 Busy", errors.RateLimited), ("418 Teapot", errors.StatusError)):
            assert type(self.ask(complete, response(b"", status))) is kind

    def test_errors_of_get_nonce_are_also_errors_of_g4f(self, g4f_errors: Any) -> None:
        def script(peer: Any) -> None:
            for _ in peer.requests():
                peer.send(response(b"", "429 Busy"))

        with Server(script) as server, pytest.raises(g4f_errors.RateLimitError):
            asyncio.run(at(server.url).get_nonce(headers={}))

    def test_error_of_the_caller_is_not_one_of_g4f(self, g4f_errors: Any) -> None:
        with pytest.raises(errors.InvalidInput) as caught:
            generate(at("http://site.invalid"), [])
        assert not isinstance(caught.value, g4f_errors.G4FError)
