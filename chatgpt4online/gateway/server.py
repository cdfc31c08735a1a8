"""A gateway as a program: uvicorn serves it with one process or several."""

from __future__ import annotations

import asyncio
import copy
import os
import signal
import socket
import tempfile
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import LOGGING_CONFIG

from .options import ENVIRONMENT_VARIABLE, GatewayOptions
from .workers import Workers

# Longer than the 60 s for which nginx and the balancers of AWS keep an idle connection: the side that sends requests
# has to close it, or a request could arrive at a closed connection.
_KEEP_ALIVE_SECONDS = 75
_LAST_SECONDS = 1.0  # a client that does not read gets no more


def run(app: ASGIApp, options: GatewayOptions, listener: socket.socket, *, workers: int, drain_seconds: float) -> None:
    """Answer requests, as :func:`~chatgpt4online.gateway.serve` explains.

    Several processes make the application again from its options, and accept connections at the same socket. Raises
    KeyboardInterrupt at the end if SIGINT has ended it, and returns after SIGTERM.
    """
    settings: dict[str, Any] = {
        "log_config": _log_config(),
        "timeout_graceful_shutdown": max(1, round(drain_seconds)),
        "timeout_keep_alive": _KEEP_ALIVE_SECONDS,
        "ws": "none",
    }
    # Connections inherit it. asyncio sets it itself only for sockets that were made with IPPROTO_TCP.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if workers == 1:
        with listener:
            server = _Server(uvicorn.Config(app, **settings))
            server.run(sockets=[listener])
        _end(server.signals)
        return
    with tempfile.TemporaryDirectory() as folder:
        # Each process reads both when it starts.
        os.environ |= {ENVIRONMENT_VARIABLE: options.to_json(), "PROMETHEUS_MULTIPROC_DIR": folder}
        signals = Workers(work, (listener, settings), workers, folder).run(listener, drain_seconds)
    _end(signals)  # the folder is removed before


def work(listener: socket.socket, settings: dict[str, Any]) -> None:
    """Answer requests in one of several processes. Ctrl-C reaches all of them, but only the first process reacts."""
    config = uvicorn.Config("chatgpt4online.gateway:create_app", factory=True, **settings)
    _Worker(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that ends normally after the first signal, and at once after the second one."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.signals: list[int] = []

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.signals.append(sig)
        self.should_exit = True
        if len(self.signals) > 1:
            _end(self.signals)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if tasks := self.server_state.tasks:  # they were cancelled, and tell their clients
            await asyncio.wait(tasks, timeout=_LAST_SECONDS)


class _Worker(_Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig != signal.SIGINT:
            super().handle_exit(sig, frame)


def _end(signals: list[int]) -> None:
    """End this process as its signals say: by the second one if there is one, or after SIGINT as after Ctrl-C."""
    if len(signals) > 1:
        signal.signal(signals[1], signal.SIG_DFL)
        signal.raise_signal(signals[1])
    if signals == [signal.SIGINT]:
        raise KeyboardInterrupt


def _log_config() -> dict[str, Any]:
    """Return uvicorn's configuration of the log, in which the gateway writes its warnings too."""
    config = copy.deepcopy(LOGGING_CONFIG)
    for formatter in config["formatters"].values():
        formatter["fmt"] = "%(asctime)s " + formatter["fmt"]  # a log in a file is of no use without times
    config["handlers"]["access"]["stream"] = "ext://sys.stderr"  # standard output has only the address
    config["loggers"]["chatgpt4online.gateway"] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    return config
