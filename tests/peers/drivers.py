"""The drivers: loops as a competent developer writes them with requests, httpx and aiohttp, and the two clients.

The three loops share one reader of lines, because only the libraries are compared.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from importlib.metadata import version
from typing import Any

from chatgpt4online import AsyncClient, Client

from .situation import TIMEOUT, Driver, Outcome, Place

START = "/wp-json/mwai/v1/start_session"
SUBMIT = "/wp-json/mwai-ui/v1/chats/submit"


class Refused(Exception):
    """The site refused, and this is its message."""


class LineReader:
    """Reads the lines of one answer. The three loops share this class."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._before = len(outcome.pieces)
        self._others: list[bytes] = []

    def receive(self, line: bytes) -> bool:
        """Add the content of a line to the outcome, and return whether it is the end of the answer."""
        if not line.startswith(b"data:"):
            self._others.append(line)
            return False
        if payload := line[5:].strip():
            event = json.loads(payload)
            if event["type"] == "live":
                self._outcome.pieces.append(event["data"])
            elif event["type"] == "error":
                raise Refused(event["data"])
            elif event["type"] == "end":
                self._finish(json.loads(event["data"]))
                return True
        return False

    def receive_eof(self) -> None:
        """Read a body that is not a stream. A body that is not a JSON answer raises Refused."""
        body = b"\n".join(self._others).strip()
        if not body.startswith(b"{"):
            raise Refused(f"no end of the answer; {body[:200]!r}")
        self._finish(json.loads(body))

    def _finish(self, answer: dict[str, Any]) -> None:
        if not answer.get("success"):
            raise Refused(answer.get("message"))
        if len(self._outcome.pieces) == self._before and answer.get("reply"):
            self._outcome.pieces.append(answer["reply"])


def with_requests(place: Place, outcome: Outcome) -> None:
    import requests

    with requests.Session() as session:
        if isinstance(place.verify, ssl.SSLContext):
            session.mount("https://", _pinned_adapter(place.verify))
        options: dict[str, Any] = {"timeout": TIMEOUT}
        if not isinstance(place.verify, ssl.SSLContext) and place.verify is not True:
            options["verify"] = place.verify
        if place.proxy:
            options["proxies"] = {"http": place.proxy, "https": place.proxy}
        for _ in range(place.times):
            time.sleep(place.pause)
            started = session.post(site(place) + START, json={}, **options)
            started.raise_for_status()
            headers = {"X-WP-Nonce": started.json()["restNonce"], "Accept": "text/event-stream"}
            time.sleep(place.pause)
            with session.post(
                site(place) + SUBMIT, json=question(place), headers=headers, stream=True, **options
            ) as response:
                response.raise_for_status()
                reader = LineReader(outcome)
                for line in response.iter_lines():
                    if reader.receive(line):
                        break
                else:
                    reader.receive_eof()


def _pinned_adapter(context: ssl.SSLContext) -> Any:
    """Return an adapter with the caller's context, as requests documents it."""
    from requests.adapters import HTTPAdapter

    class Pinned(HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
            super().init_poolmanager(*arguments, ssl_context=context, **options)

    return Pinned()


async def _with_httpx(place: Place, outcome: Outcome) -> None:
    import httpx

    verify = _context(place)
    async with httpx.AsyncClient(
        verify=True if verify is None else verify, proxy=place.proxy, timeout=TIMEOUT, follow_redirects=True
    ) as client:
        for _ in range(place.times):
            await asyncio.sleep(place.pause)
            started = await client.post(site(place) + START, json={})
            started.raise_for_status()
            headers = {"X-WP-Nonce": started.json()["restNonce"], "Accept": "text/event-stream"}
            await asyncio.sleep(place.pause)
            async with client.stream("POST", site(place) + SUBMIT, json=question(place), headers=headers) as response:
                response.raise_for_status()
                reader = LineReader(outcome)
                async for line in response.aiter_lines():
                    if reader.receive(line.encode()):
                        break
                else:
                    reader.receive_eof()


async def _with_aiohttp(place: Place, outcome: Outcome) -> None:
    import aiohttp

    verify = _context(place)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=True if verify is None else verify),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT, sock_read=TIMEOUT),
        cookie_jar=aiohttp.CookieJar(unsafe=True),  # the default keeps no cookies of a site on an IP address
        trust_env=True,
    ) as session:
        for _ in range(place.times):
            await asyncio.sleep(place.pause)
            async with session.post(site(place) + START, json={}, proxy=place.proxy) as started:
                started.raise_for_status()
                nonce = (await started.json(content_type=None))["restNonce"]
            headers = {"X-WP-Nonce": nonce, "Accept": "text/event-stream"}
            await asyncio.sleep(place.pause)
            async with session.post(
                site(place) + SUBMIT, json=question(place), headers=headers, proxy=place.proxy
            ) as response:
                response.raise_for_status()
                reader = LineReader(outcome)
                async for line in response.content:
                    if reader.receive(line.rstrip(b"\r\n")):
                        break
                else:
                    reader.receive_eof()


def with_httpx(place: Place, outcome: Outcome) -> None:
    asyncio.run(_with_httpx(place, outcome))


def with_aiohttp(place: Place, outcome: Outcome) -> None:
    asyncio.run(_with_aiohttp(place, outcome))


def with_client(place: Place, outcome: Outcome) -> None:
    with Client(place.site, proxy=place.proxy, verify=place.verify, timeout=TIMEOUT) as client:
        for _ in range(place.times):
            time.sleep(place.pause)
            for piece in client.stream(place.prompt):
                outcome.pieces.append(piece)


async def _with_async_client(place: Place, outcome: Outcome) -> None:
    async with AsyncClient(place.site, proxy=place.proxy, verify=place.verify, timeout=TIMEOUT) as client:
        for _ in range(place.times):
            await asyncio.sleep(place.pause)
            async for piece in client.stream(place.prompt):
                outcome.pieces.append(piece)


def with_async_client(place: Place, outcome: Outcome) -> None:
    asyncio.run(_with_async_client(place, outcome))


def site(place: Place) -> str:
    """Return the address of the site, to which a loop can append a path."""
    return place.site.rstrip("/")


def question(place: Place) -> dict[str, Any]:
    return {"botId": "default", "chatId": "c1", "newMessage": place.prompt, "messages": [], "stream": True}


def _context(place: Place) -> ssl.SSLContext | None:
    """Return the context for httpx and aiohttp, or None for their default."""
    if isinstance(place.verify, str):
        return ssl.create_default_context(cafile=place.verify)
    return place.verify if isinstance(place.verify, ssl.SSLContext) else None


PEERS: dict[str, Driver] = {"requests": with_requests, "httpx": with_httpx, "aiohttp": with_aiohttp}
OURS: dict[str, Driver] = {"Client": with_client, "AsyncClient": with_async_client}


def versions() -> str:
    """Return the names and versions of the libraries that are compared."""
    packages = ("requests", "urllib3", "httpx", "httpcore", "aiohttp", "chatgpt4online", "h11")
    return ", ".join(f"{package} {version(package)}" for package in packages)
