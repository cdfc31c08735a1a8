"""Reading a request, and writing a response, over ASGI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.types import Message, Receive, Scope, Send

from .errors import Json, Refusal, busy
from .forms import encoded

T = TypeVar("T")

_HEARTBEAT = b": keep-alive\n\n"  # a comment, which clients skip; the editor Continue takes ": ping" for the end
_STALL_SECONDS = 60.0  # the time in which a client has to read a part, or to send one
_BODY_SECONDS = 300.0  # the time for a whole body: 32 MiB at 1 Mbit/s
_BODIES = 8  # the number of the largest bodies whose bytes are held at once; most are a thousand times smaller
_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),  # no cache stores an answer
    (b"x-accel-buffering", b"no"),  # nginx passes each piece on at once
]


class ClientLeft(Exception):
    """The client closed its connection before the response was complete."""


class Output:
    """The response to one request. ``status`` is the one that was sent, or None."""

    def __init__(self, send: Send, headers: Mapping[str, str]) -> None:
        self._send = send
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.status: int | None = None
        self._time = 0.0  # of the last part, on the clock of the loop
        self._is_sending = False  # if True, the last part of a stream waits until the client reads

    async def send_json(self, value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole response."""
        body = encoded(value)
        pairs = [(name.lower().encode(), text.encode()) for name, text in (headers or {}).items()]
        pairs += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self._begin(status, pairs)
        await self.end(body)

    async def refuse(self, refusal: Refusal) -> None:
        """Send a refusal as a whole response."""
        await self.send_json({"error": refusal.error()}, refusal.status, refusal.headers())

    async def start_stream(self) -> None:
        """Send the head of a streamed response."""
        await self._begin(200, list(_STREAM_HEADERS))

    async def write(self, data: bytes) -> None:
        """Send a part of a streamed response."""
        if data:
            self._time = asyncio.get_running_loop().time()
            self._is_sending = True
            await self._send_part({"type": "http.response.body", "body": data, "more_body": True})
            self._is_sending = False

    async def end(self, data: bytes) -> None:
        """Send the last part of a response. Raises ClientLeft if the client does not read for long."""
        try:
            async with asyncio.timeout(_STALL_SECONDS):
                await self._send_part({"type": "http.response.body", "body": data})
        except TimeoutError:
            raise ClientLeft from None

    @asynccontextmanager
    async def heartbeat(self, seconds: float) -> AsyncIterator[None]:
        """Send a comment whenever ``seconds`` have passed without another part of a streamed response.

        Raises ClientLeft if the client does not read for long, since an answer holds a place. One task does both for
        the whole answer. A task for each wait for the site, as ``AsyncStream.heartbeats()`` has it, or a time limit for
        each part, would cost as much as all other work for an event.
        """
        try:
            async with asyncio.timeout(None) as limit:
                beating = asyncio.create_task(self._beat(seconds, limit))
                try:
                    yield
                finally:
                    beating.cancel()
                    await asyncio.gather(beating, return_exceptions=True)
        except TimeoutError:
            raise ClientLeft from None

    async def _beat(self, seconds: float, limit: asyncio.Timeout) -> None:
        """Send the comments. ``limit`` expires as soon as a part has waited for too long."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                rest = self._time + (_STALL_SECONDS if self._is_sending else seconds) - loop.time()
                if rest > 0:
                    await asyncio.sleep(rest)
                elif self._is_sending:
                    break
                else:
                    async with asyncio.timeout(_STALL_SECONDS):
                        await self.write(_HEARTBEAT)
        except TimeoutError:
            pass
        limit.reschedule(loop.time())

    async def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        await self._send_part({"type": "http.response.start", "status": status, "headers": [*headers, *self._headers]})

    async def _send_part(self, part: Json) -> None:
        """Send a part. Raises ClientLeft if the client has left, which some ASGI servers report by an OSError."""
        try:
            await self._send(part)
        except TimeoutError:
            raise  # that of the caller
        except OSError:
            raise ClientLeft from None


class Bodies:
    """Reads the bodies of requests. ``largest`` is the largest size of one, in bytes.

    The texts and files of a body are held until its request ends. The sum of all bodies is limited too.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._free = largest * _BODIES

    @asynccontextmanager
    async def read(self, scope: Scope, receive: Receive, convert: Callable[[dict[str, Any]], T]) -> AsyncIterator[T]:
        """Hold the JSON object in the body of a request, as ``convert`` returns it, in the block.

        The object itself is not held, which can take thirty times the memory of its text. Raises Refusal for a body of
        another kind, for one that is too large or too slow, and if all bodies together are too large. Raises ClientLeft
        too.
        """
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":  # browsers send other types to other origins without asking
            raise Refusal(415, "Send the body with Content-Type: application/json.", code="invalid_content_type")
        loop = asyncio.get_running_loop()
        end = loop.time() + _BODY_SECONDS
        body = bytearray()
        size = 0
        more = True
        try:
            while more:
                message = await _next_part(receive, end - loop.time())
                part = message.get("body", b"")
                size += len(part)
                self._free -= len(part)
                body += part
                more = message.get("more_body", False)
                if size > self._largest:
                    raise Refusal(413, f"The body has more than {self._largest} bytes.", code="request_too_large")
                if self._free < 0:
                    raise busy("it holds too many large requests already")
            converted = convert(_decoded(body))
            body.clear()
            yield converted
        finally:
            self._free += size


async def _next_part(receive: Receive, seconds: float) -> Message:
    """Return the next part of a body. ``seconds`` are left for the whole body.

    Raises ClientLeft if the client leaves, and Refusal if it sends nothing in time.
    """
    try:
        async with asyncio.timeout(min(seconds, _STALL_SECONDS)):
            message = await receive()
    except TimeoutError:
        raise Refusal(408, "The body did not arrive in time.", code="request_timeout") from None
    if message["type"] == "http.disconnect":
        raise ClientLeft
    return message


def _decoded(body: bytearray) -> dict[str, Any]:
    """Return the JSON object in a body. Raises Refusal for other bytes."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refusal(400, "The body is not a JSON object.", code="invalid_json")
    return value


async def run_for_client(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Carry out ``work`` in a task of its own, and cancel it as soon as the client closes its connection.

    Raises ClientLeft in that case. The body of the request has to be read before.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientLeft
        task.result()  # raises its error
    finally:
        gone.cancel()
        if task.cancel():  # False if it is done
            await asyncio.wait({task})  # it closes the connection to the site


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
