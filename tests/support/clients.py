"""A picture, sites that wait, and requests to count: for the tests of OpenAI's clients."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path

from chatgpt4online.testing import Site

from .gateway import SECONDS, Served
from .server import Peer, Received

ROOT = Path(__file__).parent.parent.parent
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE = f"data:image/png;base64,{PNG}"
PICTURE_BYTES = b64decode(PNG)
PICTURE_PARTS = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]


class Watched:
    """A chat that sends bytes and no end. It reports the arrival of its question, and the end of its connection."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.asked = threading.Event()
        self.closed = threading.Event()

    def __call__(self, peer: Peer, _: Received) -> None:
        peer.send(*self.pieces)
        self.asked.set()
        peer.wait_for_close()
        self.closed.set()

    def is_closed(self) -> bool:
        """Return whether the gateway closes the connection, which it does at once."""
        return self.asked.wait(SECONDS) and self.closed.wait(SECONDS)


def questions(site: Site) -> list[str]:
    """Return the questions that a site received, also those that it refused."""
    return [request.json["newMessage"] for request in site.requests if request.path.endswith("/chats/submit")]


def environment(gateway: Served, **more: str) -> dict[str, str]:
    """Return the environment of a program that uses the gateway. Every other host is behind a proxy that is closed."""
    closed = "http://127.0.0.1:9"
    proxies = {"HTTP_PROXY": closed, "HTTPS_PROXY": closed, "ALL_PROXY": closed, "NO_PROXY": "127.0.0.1"}
    own = {"OPENAI_BASE_URL": f"{gateway.url}/v1", "OPENAI_API_KEY": "unused"}
    known = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return known | proxies | own | more


def run_script(script: str, variables: Mapping[str, str]) -> str:
    """Run a Python program, and return what it prints. Raises CalledProcessError if it fails."""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=2 * SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
