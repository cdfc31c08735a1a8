"""The ways to ask a site: the two clients, the loops that programmers write by hand, and floors without a library.

Each way turns the answer into the texts of its events. The floors (``bare``, ``asyncio``, ``h11``) use the fastest
decoder, and the hand-written loops of the other libraries use ``json.loads``, as programs do.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

from chatgpt4online import AsyncClient, Client, Event, Notice

from .decoding import Chunks, FastLines, UsualLines
from .server import NONCE, PATH, SESSION_PATH

OURS = ("Client", "AsyncClient")
FLOORS = ("bare", "asyncio", "h11")  # they have no TLS, and no nonce requests
BASE = {"Client": "read1", "AsyncClient": "aiohttp"}  # the best hand-written loops
_TEXT_LIMIT = 1_000_000_000  # bytes: the default would end an answer of 100 MB


@dataclass(frozen=True, slots=True)
class Way:
    """The functions that make a client for an address, ask it for the texts of an answer, and close it.

    The client that ``open`` makes knows a nonce. ``open_new`` makes one without, which fetches it by ``greet`` or with
    its first question. All are async, or none is.
    """

    open: Callable[[str], Any]
    ask: Callable[[Any, str], Any]
    close: Callable[[Any], Any]
    is_async: bool = False
    open_new: Callable[[str], Any] | None = None
    greet: Callable[[Any], Any] | None = None


def _question(prompt: str) -> bytes:
    return json.dumps({"botId": "default", "newMessage": prompt, "messages": [], "stream": True}).encode()


_HEADERS = {"Content-Type": "application/json", "Accept": "text/event-stream", "X-WP-Nonce": NONCE}


def _bare_request(address: str, prompt: str) -> bytes:
    body = _question(prompt)
    lines = [f"POST {PATH} HTTP/1.1", f"Host: {address}", *(f"{name}: {value}" for name, value in _HEADERS.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def _open_bare(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _ask_bare(connection: socket.socket, prompt: str) -> Iterator[str]:
    connection.sendall(_bare_request("127.0.0.1", prompt))
    chunks, lines = Chunks(), FastLines()
    while not chunks.over:
        yield from lines.texts(chunks.feed(connection.recv(65_536)))


def _new_client(url: str) -> Client:
    return Client(url, max_text_size=_TEXT_LIMIT)


def _open_client(url: str) -> Client:
    client = _new_client(url)
    client.session.nonce = NONCE
    return client


def _ask_client(client: Client, prompt: str) -> Iterator[str]:
    if not prompt.startswith("notices"):
        return client.stream(prompt)
    return _notices(client.events(prompt))


def _notices(events: Iterator[Event]) -> Iterator[str]:
    return (event.text for event in events if isinstance(event, Notice))


def _open_requests(url: str) -> Any:
    import requests

    session = requests.Session()
    session.site = url  # type: ignore[attr-defined]  # the session is the only value that _ask_requests gets
    return session


def _greet_requests(session: Any) -> None:
    assert session.post(session.site + SESSION_PATH).json()["restNonce"] == NONCE


def _ask_requests(session: Any, prompt: str) -> Iterator[str]:
    with session.post(session.site + PATH, data=_question(prompt), headers=_HEADERS, stream=True) as response:
        for line in response.iter_lines(chunk_size=None):
            if line.startswith(b"data: ") and (event := json.loads(line[6:]))["type"] == "live":
                yield event["data"]


def _ask_requests_raw(session: Any, prompt: str) -> Iterator[str]:
    lines = UsualLines()
    with session.post(session.site + PATH, data=_question(prompt), headers=_HEADERS, stream=True) as response:
        while data := response.raw.read1(65_536):
            yield from lines.texts(data)


def _open_httpx(kind: str, url: str) -> Any:
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return getattr(httpx, kind)(base_url=url, timeout=None, limits=limits)


def _ask_httpx(client: Any, prompt: str) -> Iterator[str]:
    from httpx_sse import connect_sse

    with connect_sse(client, "POST", PATH, content=_question(prompt), headers=_HEADERS) as source:
        for sse in source.iter_sse():
            if (event := sse.json())["type"] == "live":
                yield event["data"]


async def _ask_httpx_async(client: Any, prompt: str) -> AsyncIterator[str]:
    from httpx_sse import aconnect_sse

    async with aconnect_sse(client, "POST", PATH, content=_question(prompt), headers=_HEADERS) as source:
        async for sse in source.aiter_sse():
            if (event := sse.json())["type"] == "live":
                yield event["data"]


async def _new_async_client(url: str) -> AsyncClient:
    return AsyncClient(url, max_text_size=_TEXT_LIMIT)


async def _open_async_client(url: str) -> AsyncClient:
    client = await _new_async_client(url)
    client.session.nonce = NONCE
    return client


def _ask_async_client(client: AsyncClient, prompt: str) -> AsyncIterator[str]:
    if not prompt.startswith("notices"):
        return client.stream(prompt)
    return (event.text async for event in client.events(prompt) if isinstance(event, Notice))


async def _open_aiohttp(url: str) -> Any:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None)
    context = _context(os.environ["SSL_CERT_FILE"]) if url.startswith("https") else True
    return aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0, ssl=context), timeout=timeout)


@cache
def _context(trusted: str) -> ssl.SSLContext:
    """Return a context that all sessions share, as in aiohttp, which makes its own when it is imported."""
    return ssl.create_default_context(cafile=trusted)


async def _greet_aiohttp(session: Any) -> None:
    async with session.post(SESSION_PATH) as response:
        assert (await response.json())["restNonce"] == NONCE


async def _ask_aiohttp(session: Any, prompt: str) -> AsyncIterator[str]:
    lines = UsualLines()
    async with session.post(PATH, data=_question(prompt), headers=_HEADERS) as response:
        async for data in response.content.iter_any():
            for text in lines.texts(data):
                yield text


async def _open_httpx_async(url: str) -> Any:
    return _open_httpx("AsyncClient", url)


class _Asyncio:
    """Connections of ``asyncio.open_connection``, which are kept for the next question."""

    def __init__(self, url: str) -> None:
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port = int(port)
        self.free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def take(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return self.free.pop() if self.free else await asyncio.open_connection(self.host, self.port)

    async def close(self) -> None:
        for _, writer in self.free:
            writer.close()
            await writer.wait_closed()


async def _open_asyncio(url: str) -> _Asyncio:
    return _Asyncio(url)


async def _ask_asyncio(pool: _Asyncio, prompt: str) -> AsyncIterator[str]:
    connection = reader, writer = await pool.take()
    writer.write(_bare_request("127.0.0.1", prompt))
    chunks, lines = Chunks(), FastLines()
    try:
        while not chunks.over:
            for text in lines.texts(chunks.feed(await reader.read(65_536))):
                yield text
    finally:
        if chunks.over:
            pool.free.append(connection)
        else:
            writer.close()


async def _ask_h11(pool: _Asyncio, prompt: str) -> AsyncIterator[str]:
    import h11

    connection = reader, writer = await pool.take()
    http, body, lines = h11.Connection(h11.CLIENT), _question(prompt), FastLines()
    headers = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **_HEADERS}
    request = h11.Request(method="POST", target=PATH, headers=list(headers.items()))
    writer.write(http.send(request) + http.send(h11.Data(data=body)) + http.send(h11.EndOfMessage()))
    try:
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(65_536))
            elif isinstance(event, h11.Data):
                for text in lines.texts(bytes(event.data)):
                    yield text
    finally:
        if http.their_state is h11.DONE:
            pool.free.append(connection)
        else:
            writer.close()


def ways() -> dict[str, Way]:
    """Return the ways whose libraries are installed."""
    requests = partial(Way, _open_requests, close=lambda session: session.close(), greet=_greet_requests)
    found = {
        "bare": Way(_open_bare, _ask_bare, socket.socket.close),
        "Client": Way(_open_client, _ask_client, Client.close, open_new=_new_client),
        "requests": requests(ask=_ask_requests),
        "read1": requests(ask=_ask_requests_raw),
        "AsyncClient": Way(
            _open_async_client, _ask_async_client, AsyncClient.aclose, is_async=True, open_new=_new_async_client
        ),
        "asyncio": Way(_open_asyncio, _ask_asyncio, _Asyncio.close, is_async=True),
        "h11": Way(_open_asyncio, _ask_h11, _Asyncio.close, is_async=True),
    }
    if find_spec("aiohttp"):
        found["aiohttp"] = Way(
            _open_aiohttp, _ask_aiohttp, lambda session: session.close(), is_async=True, greet=_greet_aiohttp
        )
    if find_spec("httpx") and find_spec("httpx_sse"):
        found["httpx"] = Way(partial(_open_httpx, "Client"), _ask_httpx, lambda client: client.close())
        found["httpx async"] = Way(_open_httpx_async, _ask_httpx_async, lambda client: client.aclose(), is_async=True)
    return found
