"""Test Chatgpt4Online with the real g4f, in an environment of its own: ``python -m tests.g4f_proof``.

It installs this package, and g4f from the package index, into a temporary directory. g4f's clients then ask a site on
loopback. It prints a line for each test, and fails with the first one that fails.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
HISTORY = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "I am Ann."},
    {"role": "assistant", "content": "Hello Ann!"},
    {"role": "user", "content": "Who am I?"},
]


def main() -> int:
    """Make the environment and run the tests in it. Return the exit status."""
    with tempfile.TemporaryDirectory() as place:
        venv.create(place, with_pip=True)
        python = str(Path(place) / ("Scripts" if os.name == "nt" else "bin") / "python")
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "g4f", str(ROOT)], check=True)
        # -I makes the installed package the one that is tested. g4f writes its files to the home directory.
        command = [python, "-I", str(Path(__file__).resolve()), "--inside"]
        return subprocess.run(command, check=False, cwd=place, env=os.environ | {"HOME": place}).returncode


def prove() -> int:
    """Run all tests. Return the exit status."""
    from importlib.metadata import version

    import g4f

    g4f.debug.version_check = False  # otherwise g4f looks for a new version on the network
    print(f"chatgpt4online {version('chatgpt4online')} with g4f {version('g4f')}")
    for proof in PROOFS:
        try:
            proof()
        except Exception as error:
            print(f"FAILED  {proof.__doc__}\n        {type(error).__name__}: {error}")
            raise
        print(f"ok      {proof.__doc__}")
    return 0


@contextmanager
def playing(answer: Any = None) -> Iterator[tuple[Any, Any]]:
    """Start a site, and yield it with a provider for it, as the owner of another site would write it."""
    from chatgpt4online.provider import Chatgpt4Online
    from chatgpt4online.testing import serve_site

    with serve_site(answer) as site:
        yield site, type("OtherSite", (Chatgpt4Online,), {"url": site.url, "bot_id": "default"})


def content(chunks: list[Any]) -> list[str]:
    """Return the pieces of text in g4f's chunks."""
    return [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]


def sync_streamed() -> None:
    """Client, streamed: each piece arrives before the site sends the next one."""
    from g4f.client import Client

    shown = threading.Semaphore(0)

    def answer() -> Iterator[str]:
        for piece in ("One ", "two ", "three"):
            yield piece
            assert shown.acquire(timeout=20), "a piece was held back"

    with playing(answer()) as (site, provider):
        pieces = []
        for chunk in Client(provider=provider).chat.completions.create("Count", model="gpt-4", stream=True):
            if content([chunk]):
                pieces += content([chunk])
                shown.release()
        assert pieces == ["One ", "two ", "three"], pieces
        assert site.requests[-1].json["newMessage"] == "Count"


def sync_whole() -> None:
    """Client, not streamed: the whole answer arrives."""
    from g4f.client import Client

    with playing() as (_, provider):
        reply = Client(provider=provider).chat.completions.create("Hello", model="gpt-4")
        assert reply.choices[0].message.content == "You said: Hello", reply


def async_streamed() -> None:
    """AsyncClient, streamed: each piece arrives before the site sends the next one."""
    from g4f.client import AsyncClient

    shown = asyncio.Semaphore(0)
    loop = asyncio.new_event_loop()

    def answer() -> Iterator[str]:
        for piece in ("One ", "two ", "three"):
            yield piece
            asyncio.run_coroutine_threadsafe(shown.acquire(), loop).result(20)

    async def ask(provider: Any) -> list[str]:
        pieces = []
        async for chunk in AsyncClient(provider=provider).chat.completions.create("Count", stream=True):
            if content([chunk]):
                pieces += content([chunk])
                shown.release()
        return pieces

    with playing(answer()) as (_, provider):
        pieces = loop.run_until_complete(ask(provider))
        assert pieces == ["One ", "two ", "three"], pieces
    loop.close()


def async_whole() -> None:
    """AsyncClient, not streamed: the whole answer arrives."""
    from g4f.client import AsyncClient

    async def ask(provider: Any) -> Any:
        return await AsyncClient(provider=provider).chat.completions.create("Hello", model="gpt-4")

    with playing() as (_, provider):
        reply = asyncio.run(ask(provider))
        assert reply.choices[0].message.content == "You said: Hello", reply


def history() -> None:
    """The history is sent as messages, and the last message is the question."""
    from g4f.client import Client

    with playing() as (site, provider):
        Client(provider=provider).chat.completions.create(HISTORY, model="gpt-4")
        body = site.requests[-1].json
        assert body["newMessage"] == "Who am I?", body
        assert body["messages"] == HISTORY[:-1], body


def rate_limit() -> None:
    """A 429 is g4f's RateLimitError and this package's RateLimited, in both clients."""
    from g4f.client import AsyncClient, Client
    from g4f.errors import RateLimitError

    from chatgpt4online import RateLimited
    from chatgpt4online.testing import Answer

    async def ask(provider: Any) -> None:
        await AsyncClient(provider=provider).chat.completions.create("Hi", max_retries=0)

    with playing(Answer("Too many", status=429, headers={"Retry-After": "7"})) as (_, provider):
        for call in (
            lambda: Client(provider=provider).chat.completions.create("Hi", max_retries=0),
            lambda: asyncio.run(ask(provider)),
        ):
            try:
                call()
            except RateLimitError as error:
                assert isinstance(error, RateLimited), type(error).__mro__
                assert error.retry_after == 7.0, error
            else:
                raise AssertionError("no error was raised")


def early_stops() -> None:
    """``max_tokens`` and ``stop`` end the answer, and close the connection to the site."""
    from g4f.client import AsyncClient, Client

    def answer(_: Any) -> Iterator[str]:
        try:
            for number in itertools.count():
                yield f"{number} "
        finally:
            closed.set()

    async def ask(provider: Any, **limit: Any) -> list[str]:
        stream = AsyncClient(provider=provider).chat.completions.create("Count", stream=True, **limit)
        return content([chunk async for chunk in stream])

    for limit, wanted in (({"max_tokens": 3}, "0 1 2 "), ({"stop": "4"}, "0 1 2 3 ")):
        for run in (
            lambda provider, limit: content(
                list(Client(provider=provider).chat.completions.create("Count", stream=True, **limit))
            ),
            lambda provider, limit: asyncio.run(ask(provider, **limit)),
        ):
            closed = threading.Event()
            with playing(answer) as (_, provider):
                assert "".join(run(provider, limit)) == wanted, limit
                assert closed.wait(20), f"the answer went on after {limit}"


def retry_provider() -> None:
    """A retry provider asks the next provider when a site fails, and counts successes."""
    from g4f.client import Client
    from g4f.providers.retry_provider import RotatedProvider

    from chatgpt4online.protocol.parsing.errors import ServerError

    with playing(ServerError("no model")) as (_, provider), playing() as (_, works):
        broken: Any = type("BrokenSite", (provider,), {})
        both = RotatedProvider([broken, works], shuffle=False)
        reply = Client(provider=both).chat.completions.create("Hello", model="gpt-4")
        assert reply.choices[0].message.content == "You said: Hello", reply
        assert (broken.live, works.live) == (-1, 1), (broken.live, works.live)


def old_interface() -> None:
    """ChatCompletion, which older programs call, works streamed and not streamed."""
    from g4f import ChatCompletion

    question = [{"role": "user", "content": "Hello"}]
    with playing() as (_, provider):
        assert ChatCompletion.create("gpt-4", question, provider) == "You said: Hello"
        assert "".join(ChatCompletion.create("gpt-4", question, provider, stream=True)) == "You said: Hello"
        assert asyncio.run(ChatCompletion.create_async("gpt-4", question, provider)) == "You said: Hello"


PROOFS: list[Callable[[], None]] = [
    sync_streamed,
    sync_whole,
    async_streamed,
    async_whole,
    history,
    rate_limit,
    early_stops,
    retry_provider,
    old_interface,
]

if __name__ == "__main__":
    sys.exit(prove() if "--inside" in sys.argv else main())
