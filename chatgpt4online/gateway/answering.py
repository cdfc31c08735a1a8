"""The endpoints that answer a question: the same steps for chat completions and for responses."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias

from starlette.types import Receive, Scope, Send

from .. import AsyncStream, ChatError, Event, Reply
from .errors import Json, Refusal, failure, loggable, refusal_of, shut_down
from .http import Bodies, ClientLeft, Output, run_for_client
from .keys import Keys
from .metrics import Metrics
from .options import GatewayOptions
from .requests import Question
from .sites import Model, Sites

_log = logging.getLogger(__name__)
_CLIENT_LEFT = 499  # as in the log of nginx; nothing is sent


class Read(Protocol):
    """Turns the body of a request into a question, or raises Refusal."""

    def __call__(self, body: Mapping[str, Any], max_messages: int) -> Question:
        raise NotImplementedError


class Writer(Protocol):
    """Turns the events of one answer into the form of an endpoint."""

    def begin(self) -> bytes:
        """Return the beginning of a streamed answer."""
        raise NotImplementedError

    def receive(self, event: Event) -> bytes:
        """Return the bytes for an event, or ``b""``. It gets the events of an answer that is not streamed too."""
        raise NotImplementedError

    def end(self, reply: Reply, sent: str) -> bytes:
        """Return the end of a streamed answer. ``sent`` is the text of its events."""
        raise NotImplementedError

    def fail(self, refusal: Refusal) -> bytes:
        """Return the end of a streamed answer that failed."""
        raise NotImplementedError

    def complete(self, reply: Reply) -> Json:
        """Return the whole answer, which is not streamed."""
        raise NotImplementedError


MakeWriter: TypeAlias = Callable[[Question, str, int], Writer]


@dataclass(frozen=True)
class Service:
    """The parts of a gateway that its endpoints share."""

    options: GatewayOptions
    sites: Sites
    keys: Keys
    metrics: Metrics
    bodies: Bodies


class Endpoint:
    """An ASGI application that answers the questions of one route.

    ``read`` turns a body into a question. ``make_writer`` gets the question, the id of the chat, and the time in
    seconds since 1970.
    """

    def __init__(self, service: Service, route: str, read: Read, make_writer: MakeWriter) -> None:
        self.service: Service = service
        self.route: str = route
        self.read: Read = read
        self.make_writer: MakeWriter = make_writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _Call(self, scope, receive, send).run()


class _Call:
    """One request and its answer."""

    def __init__(self, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
        self._endpoint = endpoint
        self._service = endpoint.service
        self._scope = scope
        self._receive = receive
        self._chat_id = secrets.token_hex(12)
        self._output = Output(send, {"x-request-id": f"req_{self._chat_id}"})
        self._start = time.monotonic()
        self._model: Model | None = None
        self._writer: Writer | None = None  # of a streamed answer that has begun

    async def run(self) -> None:
        """Answer the request, also if it is refused, and count it."""
        status = 500
        try:
            key = self._service.keys.check(self._scope)
            read = partial(self._endpoint.read, max_messages=self._service.options.max_messages)
            async with self._service.bodies.read(self._scope, self._receive, read) as question:
                await run_for_client(self._answer(question, key), self._receive)
            status = 200
        except ClientLeft:
            status = _CLIENT_LEFT
        except asyncio.CancelledError:  # the server ends and waits no longer; it would log the error as a failure
            status = 503
            await self._break_off()
        except ChatError as error:
            refusal = self._refusal(error)
            status = refusal.status
            await self._refuse(refusal)
        except Refusal as refusal:
            status = refusal.status
            _log.info("request req_%s was refused with %s: %s", self._chat_id, status, loggable(refusal))
            await self._refuse(refusal)
        except Exception:
            _log.exception("request req_%s failed", self._chat_id)
            await self._refuse(failure())
        finally:
            model = self._model.id if self._model else "unknown"  # a client could write any name, and each is a series
            self._service.metrics.requests.labels(self._endpoint.route, model, str(status)).inc()

    async def _break_off(self) -> None:
        """Tell the client that there is no answer, or no more of it."""
        refusal = shut_down()
        if self._writer is None:
            await self._refuse(refusal)
            return
        with suppress(ClientLeft):
            await self._output.end(self._writer.fail(refusal))

    async def _refuse(self, refusal: Refusal) -> None:
        """Send a refusal, unless a response has begun or the client has left."""
        if self._output.status is None:
            with suppress(ClientLeft):
                await self._output.refuse(refusal)

    async def _answer(self, question: Question, key: str) -> None:
        """Ask the site, and write its answer. Raises Refusal, or ChatError for an error before the status is sent."""
        self._model = model = await self._service.sites.find(question.model)
        site, metrics = model.site, self._service.metrics
        if model.max_pictures is not None:
            question = question.with_pictures(model.max_pictures)
        async with AsyncExitStack() as stack:
            with metrics.waiting.labels(site.label).track_inprogress():
                await stack.enter_async_context(site.admission.place())
            stack.enter_context(metrics.running.labels(site.label).track_inprogress())
            client = model.client_for(await site.sessions.client_of(f"{key} {question.user}"))
            metrics.sessions.labels(site.label).set(len(site.sessions))
            files = [await client.upload(file.data, file.name) for file in question.attachments]
            writer = self._endpoint.make_writer(question, self._chat_id, int(time.time()))
            events = client.events(question.messages, chat_id=self._chat_id, files=files)
            await stack.enter_async_context(events)
            await events.open()
            metrics.first_event.labels(site.label).observe(time.monotonic() - self._start)
            await (self._stream if question.is_streamed else self._collect)(events, writer)
            metrics.answer.labels(site.label).observe(time.monotonic() - self._start)

    async def _stream(self, stream: AsyncStream[Event], writer: Writer) -> None:
        """Write each event as soon as it arrives. An error is a part of the answer, since the status was sent."""
        output = self._output
        await output.start_stream()
        self._writer = writer
        data = writer.begin()
        try:
            async with output.heartbeat(self._service.options.heartbeat):
                async for event in stream:
                    await output.write(data + writer.receive(event))
                    data = b""
            data += writer.end(await stream.until_done(), stream.text)
        except ChatError as error:
            data += writer.fail(self._refusal(error))
        await output.end(data)

    async def _collect(self, stream: AsyncStream[Event], writer: Writer) -> None:
        """Write the whole answer at its end."""
        async for event in stream:
            writer.receive(event)
        await self._output.send_json(writer.complete(await stream.until_done()))

    def _refusal(self, error: ChatError) -> Refusal:
        """Return the refusal for an error of the chat, and write the error to the log."""
        label = self._model.site.label if self._model else "unknown"
        self._service.metrics.failures.labels(label, type(error).__name__).inc()
        text = loggable(error)
        _log.warning("request req_%s to %s failed: %s: %s", self._chat_id, label, type(error).__name__, text)
        return refusal_of(error)
