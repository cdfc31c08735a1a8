"""A gateway as a program: uvicorn serves it with one process or several."""

from __future__ import annotations

import copy
import os
import socket
import tempfile
from typing import Any

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from .factory import create_app
from .options import ENVIRONMENT_VARIABLE, GatewayOptions


def serve(options: GatewayOptions, listener: socket.socket, *, workers: int, drain_seconds: float) -> None:
    """Answer requests on a listening socket until SIGINT or SIGTERM.

    Then the answers that have begun may end within ``drain_seconds``. ``workers`` is the number of processes.
    """
    settings: dict[str, Any] = {
        "fd": listener.fileno(),
        "log_config": _log_config(),
        "timeout_graceful_shutdown": max(1, round(drain_seconds)),
        "ws": "none",
    }
    if workers == 1:
        uvicorn.run(create_app(options), **settings)
        return
    with tempfile.TemporaryDirectory() as folder:
        # The processes read both when they start.
        os.environ |= {ENVIRONMENT_VARIABLE: options.to_json(), "PROMETHEUS_MULTIPROC_DIR": folder}
        uvicorn.run("chatgpt4online.gateway:create_app", factory=True, workers=workers, **settings)


def _log_config() -> dict[str, Any]:
    """Return uvicorn's configuration of the log, in which the gateway writes its warnings too."""
    config = copy.deepcopy(LOGGING_CONFIG)
    config["loggers"]["chatgpt4online.gateway"] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    return config
