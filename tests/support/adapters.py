"""The two clients with one interface, so that one test covers both."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from chatgpt4online import AsyncClient, ChatError, Client, Event, Failed


@dataclass
class Seen:
    """The outcome of one answer for a caller: the items, the error that ended it, and the session after it."""

    items: list[Any] = field(default_factory=list)
    error: ChatError | None = None
    text: str = ""
    nonce: str = ""

    @property
    def events(self) -> list[Event]:
        return self.items if self.error is None else [*self.items, Failed(self.error)]


def sync(
    url: str,
    method: str = "events",
    prompt: Any = "Hi",
    shown: Callable[[Any], object] = lambda item: None,
    **options: Any,
) -> Seen:
    """Ask with ``Client``. ``shown`` is called with each item when it arrives."""
    seen = Seen()
    call = {name: options.pop(name) for name in ("chat_id", "flatten") if name in options}
    with Client(url, **options) as client:
        with getattr(client, method)(prompt, **call) as stream:
            try:
                for item in stream:
                    seen.items.append(item)
                    shown(item)
            except ChatError as error:
                seen.error = error
        seen.text, seen.nonce = stream.text, client.session.nonce
    return seen


def asynchronous(
    url: str,
    method: str = "events",
    prompt: Any = "Hi",
    shown: Callable[[Any], object] = lambda item: None,
    **options: Any,
) -> Seen:
    """Ask with ``AsyncClient``, in the same way as ``sync``."""
    seen = Seen()
    call = {name: options.pop(name) for name in ("chat_id", "flatten") if name in options}

    async def ask() -> None:
        async with AsyncClient(url, **options) as client:
            async with getattr(client, method)(prompt, **call) as stream:
                try:
                    async for item in stream:
                        seen.items.append(item)
                        shown(item)
                except ChatError as error:
                    seen.error = error
            seen.text, seen.nonce = stream.text, client.session.nonce

    asyncio.run(ask())
    return seen


Ask = Callable[..., Seen]
ADAPTERS: dict[str, Ask] = {"Client": sync, "AsyncClient": asynchronous}


def read_until_closed(client: Client) -> list[str]:
    """Read an answer in another thread, close it after the first piece, and return the pieces.

    Raises AssertionError if the thread goes on waiting for the site.
    """
    stream, begun = client.stream("Hi"), threading.Event()
    shown: list[str] = []

    def read() -> None:
        for piece in stream:
            shown.append(piece)
            begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(10)
    stream.close()
    reader.join(10)
    assert not reader.is_alive()
    return shown


@dataclass
class Driver:
    """A client of either kind. The methods of this object wait for what an async client returns."""

    client: Any
    run: Callable[[Any], Any]

    def open(self, stream: Any) -> Any:
        return self.run(stream.open())

    def next(self, items: Any) -> Any:
        """Return the next item of a stream or another iterator. Raises StopIteration at its end."""
        try:
            return self.run(anext(items)) if hasattr(items, "__anext__") else next(items)
        except StopAsyncIteration:
            raise StopIteration from None

    def list(self, items: Any) -> list[Any]:
        """Return the items that are left."""
        found = []
        with suppress(StopIteration):
            while True:
                found.append(self.next(items))
        return found


@contextmanager
def driver(kind: str, url: str, **options: Any) -> Iterator[Driver]:
    """Yield a driver of a new client. ``kind`` is ``"Client"`` or ``"AsyncClient"``."""
    if kind == "Client":
        with Client(url, **options) as client:
            yield Driver(client, lambda value: value)
        return
    with asyncio.Runner() as runner:

        def run(value: Any) -> Any:
            async def wait() -> Any:
                return await value

            return runner.run(wait())

        other = AsyncClient(url, **options)
        yield Driver(other, run)
        run(other.aclose())
