"""Programs that bring their own I/O, behind the face of ``adapters.py``: the third client of the package."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h11

from chatgpt4online import ChatError, ConnectionFailed, Session, Submission, Text, Turn
from chatgpt4online.net.cookies import Cookies
from chatgpt4online.protocol import Event, Request

from .adapters import Seen
from .blocks import find_blocks

ROOT = Path(__file__).parent.parent.parent
GUIDE = ROOT / "docs" / "guides" / "embedding.rst"
EXAMPLES = ROOT / "examples"
SECONDS = 60  # for an example that hangs


def documented_loop() -> dict[str, Any]:
    """Return the names of the loop in the guide on embedding, as it stands there: ``Visitor`` and what it uses."""
    (loop,) = (block for block in find_blocks(GUIDE.read_text("utf-8")) if "class Visitor" in block.code)
    names: dict[str, Any] = {}
    exec(loop.code, names)
    return names


def documented(url: str) -> Seen:
    """Ask with the loop over ``http.client`` that the guide shows."""
    seen, visitor = Seen(), documented_loop()["Visitor"](url)
    try:
        for event in visitor.ask("Hi", "k3v9x0q2pfa"):
            if isinstance(event, Text):
                seen.items.append(event.text)
    except ChatError as error:
        seen.error = error
    seen.text = "".join(seen.items) if seen.error is None else seen.error.partial_text
    seen.nonce = visitor.session.nonce
    return seen


class StreamsLoop:
    """The same loop over the streams of asyncio, with h11 for HTTP."""

    def __init__(self, site: str) -> None:
        self.turn = Turn(site, Submission("Hi", chat_id="k3v9x0q2pfa"), Session(), retries=2)
        self.cookies = Cookies()
        self.is_reading = False  # the body of an answer

    async def events(self) -> AsyncIterator[Event]:
        """Yield the events of the answer."""
        while (request := self.turn.next_request()) is not None:
            await asyncio.sleep(request.delay)
            parts = urlsplit(request.url)
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
            try:
                async for event in self._events_of(request, reader, writer):
                    yield event
            except (OSError, h11.RemoteProtocolError) as error:
                is_cut = isinstance(error, h11.RemoteProtocolError) and reader.at_eof() and self.is_reading
                turn = self.turn
                for event in turn.receive_eof() if is_cut else turn.receive_error(ConnectionFailed(str(error))):
                    yield event
            finally:
                writer.close()

    async def _events_of(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> AsyncIterator[Event]:
        parts, http = urlsplit(request.url), h11.Connection(h11.CLIENT)
        self.is_reading = False
        assert isinstance(request.body, bytes)
        headers = {**request.headers, "Host": parts.netloc, "Content-Length": str(len(request.body))}
        if cookie := self.cookies.header(request.url, request.headers):
            headers["Cookie"] = cookie
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        writer.write(
            http.send(h11.Request(method=request.method, target=target, headers=list(headers.items())))
            + http.send(h11.Data(data=request.body))
            + http.send(h11.EndOfMessage())
        )
        while not self.turn.over:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(65_536))
                continue
            if isinstance(event, h11.Response):
                fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
                self.cookies.keep(request.url, [value for name, value in fields if name == "set-cookie"])
                self.is_reading = True
                events = self.turn.receive_response(event.status_code, fields)
            elif isinstance(event, h11.Data):
                events = self.turn.receive_data(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                events = self.turn.receive_eof()
            else:
                continue  # an interim answer
            for parsed in events:
                yield parsed
            if isinstance(event, h11.EndOfMessage):
                return


def asyncio_streams(url: str) -> Seen:
    """Ask with a loop over the streams of asyncio."""
    seen, loop = Seen(), StreamsLoop(url)

    async def ask() -> None:
        async for event in loop.events():
            if isinstance(event, Text):
                seen.items.append(event.text)

    asyncio.run(ask())
    try:
        loop.turn.result()
    except ChatError as error:
        seen.error = error
    seen.text = loop.turn.text
    return seen


def example(name: str) -> Callable[[str], Seen]:
    """Return what asks by running an example as a program. Its error is the text that it prints."""

    def ask(url: str) -> Seen:
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / name), url, "Hi"],
            capture_output=True,
            timeout=SECONDS,
            env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
            check=False,
        )
        seen = Seen(text=done.stdout.decode().removesuffix("\n"))
        if done.returncode:
            seen.error = ChatError(done.stderr.decode())
        return seen

    return ask


LOOPS = {"the guide's loop": documented, "asyncio streams": asyncio_streams}
EXAMPLE_LOOPS = {
    "http_client_turn.py": None,
    "httpx_turn.py": "httpx",
    "aiohttp_turn.py": "aiohttp",
    "trio_turn.py": "trio",
}
"""The examples, and the library that each needs beyond the package's own."""
