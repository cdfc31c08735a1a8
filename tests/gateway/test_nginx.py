"""nginx with the settings of the guide, in front of the gateway."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import textwrap
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from ..site import serve_site
from ..support.gateway import KEY, SECONDS, serve_gateway
from ..support.server import LAST_CHUNK, Gate, Peer, Received, Server, chunk, end, live, site, stream_head

pytestmark = pytest.mark.slow

GUIDE = (Path(__file__).parent.parent.parent / "docs/guides/gateway.rst").read_text("utf-8")


def location() -> str:
    """Return the block for nginx that the guide shows."""
    match = re.search(r"^    location / \{\n(?:    .*\n)+?    \}\n", GUIDE, re.MULTILINE)
    assert match is not None
    return textwrap.dedent(match[0])


@contextmanager
def serve_nginx(folder: Path, gateway: str) -> Iterator[int]:
    """Yield the port of an nginx in front of a gateway. Its files are in a folder."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is None:
        pytest.skip("nginx is not installed")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    folders = "".join(
        f"{kind}_temp_path {folder / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    block = location().replace("http://127.0.0.1:8000", gateway)
    config = (
        f"daemon off; master_process off; pid {folder / 'pid'}; error_log {folder / 'error.log'};\nevents {{}}\n"
        f"http {{\naccess_log off; gzip on; gzip_types text/event-stream;\n{folders}"
        f"server {{\nlisten 127.0.0.1:{port};\n{block}}}\n}}\n"
    )
    (folder / "nginx.conf").write_text(config)
    command = [program, "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command) as process:
        try:
            while True:
                assert process.poll() is None, (folder / "error.log").read_text()
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    continue
            yield port
        finally:
            process.terminate()


def send(port: int, *, is_streamed: bool, size: int = 1) -> HTTPConnection:
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    message = "x" * size
    flag = "true" if is_streamed else "false"
    body = f'{{"model": "default", "stream": {flag}, "messages": [{{"role": "user", "content": "{message}"}}]}}'
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}", "Accept-Encoding": "gzip"}
    connection.request("POST", "/v1/chat/completions", body, headers)
    return connection


def test_nginx_holds_pieces_back(tmp_path: Path) -> None:
    gate = Gate()

    def answer(peer: Peer, _: Received) -> None:
        peer.send(stream_head() + chunk(live("first")))
        gate.wait()
        peer.send(chunk(live(" second")) + chunk(end("first second")) + LAST_CHUNK)

    with Server(site(answer)) as server, serve_gateway(server.url, api_keys=[KEY]) as gateway:
        with serve_nginx(tmp_path, gateway.url) as port, closing(send(port, is_streamed=True)) as connection:
            response = connection.getresponse()
            text = b""
            while b"first" not in text:
                text += response.readline()
            gate.open()  # the site sends the rest only now
            text += response.read()
    assert response.status == 200
    assert b" second" in text
    assert text.endswith(b"data: [DONE]\n\n")


def test_nginx_keeps_the_connection_of_a_client_that_left(tmp_path: Path) -> None:
    closed = threading.Event()

    def answer(peer: Peer, _: Received) -> None:
        peer.send(stream_head() + chunk(live("first")))
        peer.wait_for_close()
        closed.set()

    with Server(site(answer)) as server, serve_gateway(server.url, api_keys=[KEY]) as gateway:
        with serve_nginx(tmp_path, gateway.url) as port:
            with closing(send(port, is_streamed=True)) as connection, closing(connection.getresponse()) as response:
                assert response.status == 200
            assert closed.wait(SECONDS)


def test_nginx_refuses_a_body_that_the_gateway_accepts(tmp_path: Path) -> None:
    with serve_site(max_length=10_000_000) as running, serve_gateway(running.url, api_keys=[KEY]) as gateway:
        with serve_nginx(tmp_path, gateway.url) as port:
            with closing(send(port, is_streamed=False, size=2_000_000)) as connection:
                assert connection.getresponse().status == 200


def test_gateway_without_a_key_answers_others_through_nginx(tmp_path: Path) -> None:
    with serve_site() as running, serve_gateway(running.url) as gateway:
        with serve_nginx(tmp_path, gateway.url) as port:
            with closing(HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
                connection.request("GET", "/v1/models", headers={"Host": "ai.example.org"})
                assert connection.getresponse().status == 403
