"""A gateway behind a real uvicorn, for tests."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from chatgpt4online.gateway import Gateway, GatewayOptions, SiteOptions

SECONDS = 30.0  # the longest wait of a test for something that must happen
KEY = "test-key-0123456789"


@dataclass
class Answer:
    """A whole response of the gateway. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The data of each event of a stream: decoded JSON, or the string ``[DONE]``."""
        found = []
        for block in self.body.decode().removesuffix("\n\n").split("\n\n"):
            for line in block.splitlines():
                if line.startswith("data: "):
                    data = line.removeprefix("data: ")
                    found.append(data if data == "[DONE]" else json.loads(data))
        return found


@dataclass
class Served:
    """A running gateway. ``url`` is its address without ``/v1``."""

    gateway: Gateway
    port: int
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(self, path: str, body: object = None, method: str | None = None, **headers: str) -> HTTPConnection:
        """Send a request, and return its connection. ``body`` is sent as JSON unless it is bytes."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = self.headers | {"Content-Type": "application/json"} | headers
        connection.request(method or ("GET" if body is None else "POST"), path, data, sent)
        return connection

    def open(self, path: str, body: object = None, **headers: str) -> tuple[HTTPConnection, HTTPResponse]:
        """Send a request, and return its connection and its response, of which only the head was read."""
        connection = self.send(path, body, **headers)
        return connection, connection.getresponse()

    def ask(self, path: str, body: object = None, method: str | None = None, **headers: str) -> Answer:
        """Send a request, and return the whole response."""
        with closing(self.send(path, body, method, **headers)) as connection:
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())

    def chat(self, message: object = "Hi", *, model: str = "default", **more: object) -> Answer:
        """Ask for a chat completion. ``message`` is the content of the question."""
        body = {"model": model, "messages": [{"role": "user", "content": message}]} | more
        return self.ask("/v1/chat/completions", body)

    def metrics(self) -> dict[str, float]:
        """Return the metrics by their names with their labels."""
        lines = self.ask("/metrics").body.decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name.removeprefix("chatgpt4online_gateway_"): float(value) for name, _, value in pairs}


@contextmanager
def serve_gateway(*sites: str | SiteOptions, **options: Any) -> Iterator[Served]:
    """Yield a gateway in front of these sites, behind uvicorn in a thread. ``options`` are those of GatewayOptions."""
    found = [SiteOptions(site) if isinstance(site, str) else site for site in sites]
    gateway = Gateway(GatewayOptions(found, **options))
    with serve_app(gateway) as port:
        keys = options.get("api_keys")
        yield Served(gateway, port, {"Authorization": f"Bearer {keys[0]}"} if keys else {})


def mounted(gateway: Gateway, path: str) -> Starlette:
    """Return an application that has a gateway under a path, and closes it at its end."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with gateway:
            yield

    return Starlette(routes=[Mount(path, gateway)], lifespan=lifespan)


@contextmanager
def serve_app(app: Any) -> Iterator[int]:
    """Yield the port of a uvicorn with an ASGI application, in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as chatgpt4online serve does
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(SECONDS)
            assert not thread.is_alive(), "uvicorn waits for a connection"
