"""A scripted server on loopback. A function plays the server on raw sockets, so a test controls each byte."""

import json
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

NONCE = "0a1b2c3d4e"


class Gate:
    """Lets a server wait until the client has returned the bytes that were sent before."""

    def __init__(self) -> None:
        self._shown = threading.Semaphore(0)

    def open(self) -> None:
        self._shown.release()

    def wait(self) -> None:
        assert self._shown.acquire(timeout=10), "the client did not return the bytes that were sent"


@dataclass
class Received:
    """A received request. ``target`` is that of the request line, and names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def route(self) -> str:
        """The last part of the path, by which tests distinguish the routes."""
        return self.target.rstrip("/").rpartition("/")[2]


@dataclass
class Peer:
    """One connection, from the server's side."""

    socket: socket.socket
    server: "Server"

    def requests(self) -> Iterator[Received]:
        """Yield the requests of this connection until the client closes it."""
        with self.socket.makefile("rb") as stream:
            while line := stream.readline():
                method, target, _ = line.decode("latin-1").split(" ", 2)
                headers = {}
                while field_line := stream.readline().strip():
                    name, _, value = field_line.decode("latin-1").partition(":")
                    headers[name.lower()] = value.strip()
                size = int(headers.get("content-length", 0))
                body = stream.read(size)
                if len(body) < size:
                    return  # the client closed the connection
                request = Received(method, target, headers, body)
                self.server.requests.append(request)
                yield request

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def close(self) -> None:
        """End the connection cleanly, with a FIN."""
        self.socket.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """End the connection with an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.socket.detach())  # socket.close() would wait for files that were made of the socket

    def wait_for_close(self) -> None:
        """Return when the client has closed the connection."""
        with suppress(OSError):
            while self.socket.recv(65_536):
                pass


@dataclass
class Server:
    """A listening socket and its connections. A thread runs ``script`` for each connection."""

    script: "Script"
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    requests: list[Received] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> "Server":
        self._listener = socket.create_server((self.host, 0))
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(10)
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(10)
            assert not thread.is_alive(), "the script did not end"
        if self.errors:
            raise self.errors[0]

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    def seen(self) -> list[str]:
        """The routes that were requested, in their order."""
        return [request.route for request in self.requests]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(connection)
            thread = threading.Thread(target=self._play, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _play(self, connection: socket.socket) -> None:
        with connection:
            try:
                if self.tls:
                    connection = self.tls.wrap_socket(connection, server_side=True)
                    self._sockets.append(connection)
                with connection:
                    self.script(Peer(connection, self))
            except OSError:
                pass  # the client closed the connection, or the test is over
            except BaseException as error:
                self.errors.append(error)


Script = Callable[[Peer], None]
Chat = Callable[[Peer, Received], None]


def response(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """Return a response with a Content-Length. Underscores in the names of headers become hyphens."""
    fields = {"Content_Type": "application/json", "Content_Length": str(len(body))} | headers
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body


def json_response(value: object, status: str = "200 OK", **headers: str) -> bytes:
    return response(json.dumps(value).encode(), status, **headers)


def stream_head(framing: str = "Transfer-Encoding: chunked", **headers: str) -> bytes:
    """Return the head of a streamed answer with this framing header, or with Connection: close for ``""``."""
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/event-stream", *([framing] if framing else ["Connection: close"])]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def live(text: str, **more: object) -> bytes:
    return b"data: " + json.dumps({"type": "live", "data": text} | more, separators=(",", ":")).encode() + b"\n\n"


def end(reply: object = "", **more: object) -> bytes:
    final = json.dumps({"success": True, "reply": reply} | more)
    return b"data: " + json.dumps({"type": "end", "data": final}).encode() + b"\n\n"


def chunk(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


LAST_CHUNK = b"0\r\n\r\n"


def session_response(nonce: str = NONCE) -> bytes:
    return json_response({"success": True, "sessionId": "65f0c0ffee123", "restNonce": nonce})


def site(chat: Chat, nonces: list[str] | None = None) -> Script:
    """Return a script that starts sessions, with one of ``nonces`` after the other, and calls ``chat`` for chats."""
    fresh = iter(nonces) if nonces is not None else None

    def script(peer: Peer) -> None:
        for request in peer.requests():
            if request.route == "start_session":
                peer.send(session_response(next(fresh) if fresh is not None else NONCE))
            else:
                chat(peer, request)

    return script


def says(*pieces: bytes) -> Chat:
    """Return a chat that sends these bytes to any question."""
    return lambda peer, _: peer.send(*pieces)
