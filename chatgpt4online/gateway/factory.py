"""The gateway as an object that any ASGI server runs. The libraries that it needs are imported when it is made."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Self, TypeAlias

from .. import InvalidInput
from .options import ENVIRONMENT_VARIABLE, GatewayOptions

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Gateway:
    """An ASGI application with OpenAI's API, for the bots of AI Engine sites.

    An ASGI server closes the connections to the sites at its end. An application in which the gateway is mounted does
    it with ``async with gateway:`` in its lifespan, or with :meth:`aclose`.

    Raises ImportError if the extra ``gateway`` is not installed, and InvalidInput for options that cannot be used.
    """

    def __init__(self, options: GatewayOptions) -> None:
        try:
            from .application import Application  # noqa: PLC0415  # the options need no other library
        except ModuleNotFoundError as error:
            library = (error.name or "another library").partition(".")[0]
            message = f"the gateway needs {library}: pip install 'chatgpt4online[gateway]'"
            raise ImportError(message, name=error.name) from error
        self.options: GatewayOptions = options
        self._application: Application = Application(options)

    def __repr__(self) -> str:
        return f"<Gateway to {', '.join(site.url for site in self.options.sites)}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application(scope, receive, send)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End all answers, and close the connections to the sites. It may be called again."""
        await self._application.aclose()


def serve(gateway: Gateway, listener: socket.socket, *, workers: int = 1, drain_seconds: float = 60.0) -> None:
    """Answer requests at the address of a socket, with uvicorn, until SIGINT or SIGTERM.

    Then the answers that have begun may end within ``drain_seconds``, and a second signal ends the process at once.
    Raises KeyboardInterrupt at the end after SIGINT, and returns after SIGTERM. ``workers`` is the number of processes.
    Several processes make the gateway again from its options, and accept connections at the same socket, so
    options that :meth:`GatewayOptions.to_json` refuses raise InvalidInput. ``listener`` is bound to an address, as by
    ``socket.create_server(("127.0.0.1", 8000))``, and is closed at the end. Call the function in the main thread, which
    gets the signals.
    """
    from .server import run  # noqa: PLC0415  # as above

    run(gateway, gateway.options, listener, workers=workers, drain_seconds=drain_seconds)


def create_app(options: GatewayOptions | None = None) -> Gateway:
    """Return a gateway with these options, or with those of the environment variable ``CHATGPT4ONLINE_GATEWAY``.

    The variable holds a JSON object: see :meth:`GatewayOptions.from_json`. Raises InvalidInput if there are no options
    or if they cannot be used, and ImportError if the extra ``gateway`` is not installed.
    """
    if options is None:
        text = os.environ.get(ENVIRONMENT_VARIABLE, "")
        if not text:
            raise InvalidInput(f"set the environment variable {ENVIRONMENT_VARIABLE} to the options of the gateway")
        options = GatewayOptions.from_json(text)
    return Gateway(options)
