"""A gateway as a program: uvicorn serves it with one process or several."""

from __future__ import annotations

import copy
import os
import socket
import tempfile
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import LOGGING_CONFIG

from .options import ENVIRONMENT_VARIABLE, GatewayOptions


def run(app: ASGIApp, options: GatewayOptions, listener: socket.socket, *, workers: int, drain_seconds: float) -> None:
    """Answer requests, as :func:`~chatgpt4online.gateway.serve` explains.

    Several processes make the application again from its options, and listen at the same address.
    """
    settings: dict[str, Any] = {
        "log_config": _log_config(),
        "timeout_graceful_shutdown": max(1, round(drain_seconds)),
        "timeout_keep_alive": 75,  # seconds; longer than the 60 s of nginx, which otherwise uses a closed connection
        "ws": "none",
    }
    # Connections inherit it. asyncio sets it itself only for sockets that were made with IPPROTO_TCP.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if workers == 1:
        with listener:
            uvicorn.Server(uvicorn.Config(app, **settings)).run(sockets=[listener])
        return
    host, port = listener.getsockname()[:2]
    # The processes listen on another socket, and this one keeps the port free for them.
    with listener, tempfile.TemporaryDirectory() as folder:
        # Each process reads both when it starts.
        os.environ |= {ENVIRONMENT_VARIABLE: options.to_json(), "PROMETHEUS_MULTIPROC_DIR": folder}
        settings |= {"host": host, "port": port, "workers": workers, "factory": True}
        uvicorn.run("chatgpt4online.gateway:create_app", **settings)


def _log_config() -> dict[str, Any]:
    """Return uvicorn's configuration of the log, in which the gateway writes its warnings too."""
    config = copy.deepcopy(LOGGING_CONFIG)
    config["handlers"]["access"]["stream"] = "ext://sys.stderr"  # standard output has only the address
    config["loggers"]["chatgpt4online.gateway"] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    return config
