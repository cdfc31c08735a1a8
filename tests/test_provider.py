"""The drop-in provider class, without g4f; ``python -m tests.g4f_proof`` proves it with the real one."""

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
from chatgpt4online.testing import Answer, Chat, serve_site

from .server import NONCE, Server, chunk, end, json_response, live, response, says, stream_head
from .server import site as scripted

QUESTION = [{"role": "user", "content": "Hi"}]
HISTORY = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "I am Ann."}]},
    {"role": "assistant", "content": None},
    {"role": "user", "content": "Who am I?"},
]


def at(url: str, **attributes: Any) -> type[Chatgpt4Online]:
    """Return the provider of another site, as its users would write it."""
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
    """Let no test meet the nonce of another's site, whose port may come again."""
    module._known_sessions.clear()
    yield
    module._known_sessions.clear()


class TestAttributes:
    """What callers read on the class."""

    def test_those_of_old(self) -> None:
        """The values that the class always had."""
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
    def test_those_that_g4f_reads(self, name: str, value: object) -> None:
        """Each is there, on the class and on an instance."""
        assert getattr(Chatgpt4Online, name) == getattr(Chatgpt4Online(), name) == value

    def test_of_a_subclass(self) -> None:
        """A subclass has its own name everywhere, and may say its label."""
        other = at("https://example.org")
        assert other.get_dict() == {"name": "OtherSite", "url": "https://example.org", "label": "OtherSite"}
        assert other().__name__ == other.get_parent() == "OtherSite"
        assert at("https://example.org", label="Other!").get_dict()["label"] == "Other!"
        assert at("https://example.org", parent="Family").get_parent() == "Family"

    def test_live_is_counted_by_class(self) -> None:
        """G4f adds to it."""
        other: Any = at("https://example.org")
        other.live += 1
        assert (other.live, Chatgpt4Online.live) == (1, 0)

    def test_models(self) -> None:
        """An empty name is the default, an alias what it stands for, and any other name itself."""
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

    def test_parameters(self) -> None:
        """They are shown as objects, as JSON and as a text."""
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

    def test_kinds_of_methods(self) -> None:
        """They are what callers take them for."""
        assert inspect.isasyncgenfunction(Chatgpt4Online.create_async_generator)
        assert inspect.isgeneratorfunction(Chatgpt4Online.create_completion)
        assert inspect.iscoroutinefunction(Chatgpt4Online.create_async)
        assert inspect.iscoroutinefunction(Chatgpt4Online.get_nonce)


class TestNonce:
    """``get_nonce``, which older programs call themselves."""

    @pytest.mark.parametrize("on", [lambda cls: cls, lambda cls: cls()], ids=["class", "instance"])
    def test_where_it_is_called(self, on: Callable[[Any], Any]) -> None:
        """A subclass and its instances ask the site of the subclass, with the caller's headers but a stale nonce."""
        with serve_site() as site:
            headers = {"accept-language": "de", "x-wp-nonce": "0000000000", "user-agent": "mine"}
            assert asyncio.run(on(at(site.url)).get_nonce(headers)) == site.nonce
            sent = site.requests[-1].headers
            assert (sent["accept-language"], sent["user-agent"]) == ("de", "mine")
            assert "x-wp-nonce" not in sent
            assert asyncio.run(on(at(site.url)).get_nonce()) == site.nonce
            assert len(site.requests) == 2

    def test_a_sub_directory(self) -> None:
        """The path of ``url`` counts, with or without a final slash."""
        with Server(scripted(says())) as server:
            for url in (f"{server.url}/blog", f"{server.url}/blog/"):
                assert asyncio.run(at(url).get_nonce()) == NONCE
            assert {request.target for request in server.requests} == {"/blog/wp-json/mwai/v1/start_session"}

    def test_the_proxy(self) -> None:
        """Nothing goes past it."""
        with Server(scripted(says())) as proxy:
            assert asyncio.run(at("http://site.invalid").get_nonce(None, proxy.url)) == NONCE
            assert proxy.requests[0].target == "http://site.invalid/wp-json/mwai/v1/start_session"

    def test_a_refusal(self) -> None:
        """It is an error of this package, not a KeyError."""
        with Server(scripted(says())) as server:
            server.script = lambda peer: [peer.send(json_response({}, "404 Not Found")) for _ in peer.requests()]
            with pytest.raises(errors.StatusError):
                asyncio.run(at(server.url).get_nonce())


class TestAnswers:
    """The three ways to ask."""

    @METHODS
    def test_they_agree(self, ask: Callable[..., list[str]]) -> None:
        """Streamed or not, the answer is the same; the history travels as messages."""
        with serve_site(["You ", "are ", "Ann."]) as site:
            assert "".join(ask(at(site.url), HISTORY)) == "You are Ann."
            assert ask(at(site.url), HISTORY, stream=False) == ["You are Ann."]
            body = site.requests[-1].json
        assert (body["botId"], body["newMessage"], body["stream"]) == ("default", "Who am I?", True)
        assert [message["content"] for message in body["messages"]] == ["Be brief.", "I am Ann.", ""]

    def test_pieces_as_they_come(self) -> None:
        """The async generator yields a piece before the site has sent the next one."""
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

    def test_pieces_as_they_come_without_a_loop(self) -> None:
        """The generator does the same, and also where a loop is running."""
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
    def test_the_final_word(self, ask: Callable[..., list[str]]) -> None:
        """Without streaming it is the site's, which may differ from the pieces."""
        with serve_site(Answer(["darn", " it "], reply="d*** it")) as site:
            assert ask(at(site.url), stream=False) == ["d*** it"]
            assert "".join(generate(at(site.url))) == "darn it "

    @METHODS
    def test_only_an_end(self, ask: Callable[..., list[str]]) -> None:
        """An engine that does not stream sends the text with the end."""
        with serve_site(Answer((), reply="All at once")) as site:
            assert ask(at(site.url)) == ["All at once"]

    @METHODS
    @pytest.mark.parametrize("stream", [True, False])
    def test_never_a_silent_end(self, ask: Callable[..., list[str]], stream: bool) -> None:
        """An answer without a word is an error."""
        with serve_site(Answer((), reply="")) as site, pytest.raises(errors.ServerError, match="empty answer"):
            ask(at(site.url), stream=stream)

    @METHODS
    def test_options(self, ask: Callable[..., list[str]]) -> None:
        """What clients can do is done, and what no site takes is ignored."""
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
    def test_the_time(self, ask: Callable[..., list[str]]) -> None:
        """A number limits each wait, ``stream_timeout`` that for a piece; 0 and None say nothing."""
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
    def test_the_proxy(self, ask: Callable[..., list[str]]) -> None:
        """Everything goes through it."""
        answer = stream_head() + chunk(live("Hello"), end("Hello")) + b"0\r\n\r\n"
        with Server(scripted(says(answer))) as proxy:
            assert "".join(ask(at("http://site.invalid"), proxy=proxy.url)) == "Hello"
            assert all(request.target.startswith("http://site.invalid/wp-json/") for request in proxy.requests)
            assert len(proxy.requests) == 2

    @METHODS
    def test_what_cannot_be_asked(self, ask: Callable[..., list[str]]) -> None:
        """It is the caller's error, and nothing is sent."""
        with serve_site() as site:
            for messages in ([], [{"role": "user", "content": ""}], [{"content": "no role"}]):
                with pytest.raises(errors.InvalidInput):
                    ask(at(site.url), messages)
            assert site.requests == []
        with pytest.raises(errors.InvalidInput):
            ask(at("no address"))


class TestSites:
    """What a subclass says about its site."""

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
    def test_the_root(self, path: str, endpoint: str, root: str) -> None:
        """``url`` and ``api_endpoint`` say together where the API is, the nonce's too."""
        answer = stream_head() + chunk(live("Hello"), end("Hello")) + b"0\r\n\r\n"
        with Server(scripted(says(answer))) as server:
            provider = at(server.url + path, api_endpoint=endpoint)
            assert (generate(provider), complete(provider)) == (["Hello"], ["Hello"])
            assert asyncio.run(provider.get_nonce()) == NONCE
            targets = {request.target for request in server.requests}
        assert targets == {f"{root}/mwai/v1/start_session", f"{root}/mwai-ui/v1/chats/submit"}

    def test_an_api_on_another_host(self) -> None:
        """``api_endpoint`` may be an address."""
        with serve_site() as site:
            provider = at("https://example.org", api_endpoint=f"{site.url}/wp-json/mwai-ui/v1/chats/submit")
            assert whole(provider) == ["You said: Hi"]

    @pytest.mark.parametrize("version", ["2.4.3", "2.8.9", "3.6.2"])
    def test_versions(self, version: str) -> None:
        """Every version that was recorded can be asked."""
        with serve_site(version=version) as site:
            assert [generate(at(site.url))[-1], whole(at(site.url))[-1]] == [" Hi", "You said: Hi"]
            assert asyncio.run(at(site.url).get_nonce()) == site.nonce


class TestMemory:
    """The nonce that one call leaves to the next."""

    @METHODS
    def test_it_is_fetched_once(self, ask: Callable[..., list[str]]) -> None:
        """And renewed once it is stale; subclasses for the same site share it."""
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
    def test_not_for_who_may_be_logged_in(self, ask: Callable[..., list[str]]) -> None:
        """A login has a nonce of its own, which is nobody else's."""
        with serve_site() as site:
            ask(at(site.url), headers={"Authorization": "Basic x"})
            ask(at(site.url), cookies={"a": "b"})
            assert len(site.requests) == 4
            assert module._known_sessions == {}

    @METHODS
    def test_a_failure_is_forgotten(self, ask: Callable[..., list[str]]) -> None:
        """After an error, the next call begins anew."""
        answers = iter([Answer("ok"), Answer("x", status=418), Answer("ok")])
        with serve_site(lambda _: next(answers)) as site:
            ask(at(site.url))
            with pytest.raises(errors.StatusError):
                ask(at(site.url))
            assert module._known_sessions == {}
            assert ask(at(site.url)) == ["ok"]


class TestClosing:
    """An answer that is left early."""

    @pytest.mark.parametrize("how", ["aclose", "break"])
    def test_async(self, how: str) -> None:
        """The connection is closed at once, and the site's script with it."""
        closed = threading.Event()

        def answer(_: Chat) -> Iterator[str]:
            try:
                for number in itertools.count():
                    yield f"{number} "
            finally:
                closed.set()

        async def ask(provider: Any) -> None:
            if how == "aclose":
                generator = provider.create_async_generator("", QUESTION)
                assert await anext(generator) == "0 "
                await generator.aclose()
            else:
                async for _ in provider.create_async_generator("", QUESTION):
                    break
            assert await asyncio.to_thread(closed.wait, 10)

        with serve_site(answer) as site:
            asyncio.run(ask(at(site.url)))

    def test_sync(self) -> None:
        """Letting go of the generator is enough."""
        closed = threading.Event()

        def answer(_: Chat) -> Iterator[str]:
            try:
                for number in itertools.count():
                    yield f"{number} "
            finally:
                closed.set()

        with serve_site(answer) as site:
            for _ in at(site.url).create_completion("", QUESTION):
                break
            assert closed.wait(10)

    def test_cancelled(self) -> None:
        """A task that waits for a piece can be cancelled."""
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
    """A g4f that is loaded: its tree of errors."""
    fake: Any = ModuleType("g4f.errors")
    fake.G4FError = type("G4FError", (Exception,), {})
    for name, base in G4F.items():
        setattr(fake, name, type(name, (getattr(fake, base),), {}))
    monkeypatch.setitem(sys.modules, "g4f.errors", fake)
    return fake


class TestErrors:
    """The errors of this package, and of g4f where it is loaded."""

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
            if answer == "hang":
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
    def test_with_g4f(self, ask: Any, answer: Any, ours: type, theirs: str, g4f_errors: Any) -> None:
        """An error is both, and has lost nothing."""
        error = self.ask(ask, answer)
        assert isinstance(error, ours)
        assert isinstance(error, getattr(g4f_errors, theirs))
        assert type(error).__name__ in vars(errors)
        assert "next__" in "".join(traceback.format_exception(error))  # where it was raised first
        if isinstance(error, errors.StatusError):
            assert str(error).startswith(f"HTTP {error.status}")
        copy = pickle.loads(pickle.dumps(error))
        assert vars(copy) == vars(error)
        assert isinstance(copy, ours)

    @CASES
    def test_without_g4f(self, answer: Any, ours: type, theirs: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is this package's alone, and g4f is not imported for it."""
        monkeypatch.delitem(sys.modules, "g4f.errors", raising=False)
        error = self.ask(generate, answer)
        assert isinstance(error, ours)
        assert type(error) in vars(errors).values(), theirs
        assert "g4f" not in sys.modules

    def test_another_g4f(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A g4f without that class, or with something else under its name, changes nothing."""
        fake: Any = ModuleType("g4f.errors")
        fake.RateLimitError = "no class"
        monkeypatch.setitem(sys.modules, "g4f.errors", fake)
        for status, kind in (("429 Busy", errors.RateLimited), ("418 Teapot", errors.StatusError)):
            assert type(self.ask(complete, response(b"", status))) is kind

    def test_of_the_nonce(self, g4f_errors: Any) -> None:
        """``get_nonce`` raises them too."""

        def script(peer: Any) -> None:
            for _ in peer.requests():
                peer.send(response(b"", "429 Busy"))

        with Server(script) as server, pytest.raises(g4f_errors.RateLimitError):
            asyncio.run(at(server.url).get_nonce(headers={}))

    def test_the_callers_own(self, g4f_errors: Any) -> None:
        """What the caller did wrong is nobody else's error."""
        with pytest.raises(errors.InvalidInput) as caught:
            generate(at("http://site.invalid"), [])
        assert not isinstance(caught.value, g4f_errors.G4FError)
