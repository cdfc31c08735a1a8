"""HTTP/1.1 on a socket, with the framing of nginx."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus

import h11

from .answers import ReceivedRequest


def receive(parser: h11.Connection, connection: socket.socket, unread: bytes) -> tuple[ReceivedRequest, bytes] | None:
    """Return the next request and its HTTP version, or None at the end of the connection."""
    head: h11.Request | None = None
    body: list[bytes] = []
    if unread:
        parser.receive_data(unread)
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            if parser.they_are_waiting_for_100_continue:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                parser.send(h11.InformationalResponse(status_code=100, headers=[]))
            parser.receive_data(connection.recv(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
            request = ReceivedRequest(head.method.decode(), head.target.decode(), headers, b"".join(body))
            return request, head.http_version
        else:
            return None


class Response:
    """Sends a response. It does not use h11, which would not keep the order of nginx's headers."""

    def __init__(
        self, connection: socket.socket, method: str = "GET", version: bytes = b"1.0", wish: str = "close"
    ) -> None:
        self._connection = connection
        self._bodiless = method == "HEAD"
        self._chunked = version >= b"1.1"
        self.keep_alive: bool = self._chunked and "close" not in wish.lower()
        self.started: bool = False

    def start(
        self, status: int, content_type: str, headers: Iterable[tuple[str, str]], length: int | None = None
    ) -> None:
        """Send the head. Without a length, the body is chunked, or ends with the connection for HTTP/1.0."""
        self._chunked = self._chunked and length is None
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            "Server: chatgpt4online.testing",
            f"Date: {formatdate(usegmt=True)}",
            f"Content-Type: {content_type}",
            *(["Transfer-Encoding: chunked"] if self._chunked else []),
            *([f"Content-Length: {length}"] if length is not None else []),
            f"Connection: {'keep-alive' if self.keep_alive else 'close'}",
            *(f"{name}: {value}" for name, value in headers),
        ]
        self._connection.sendall("\r\n".join([*lines, "\r\n"]).encode("latin-1"))
        self.started = True

    def write(self, *pieces: bytes) -> None:
        """Send pieces of the body, each as a chunk of its own."""
        data = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece for piece in pieces if piece)
        if not self._bodiless:
            self._connection.sendall(data)

    def end(self) -> None:
        """Send the end of a chunked body."""
        if self._chunked and not self._bodiless:
            self._connection.sendall(b"0\r\n\r\n")

    def refuse(self, status: HTTPStatus) -> None:
        """Send a refusal of nginx itself, before PHP."""
        body = f"<html>\r\n<head><title>{status.value} {status.phrase}</title></head>\r\n</html>\r\n".encode()
        self.start(status, "text/html", (), len(body))
        self.write(body)
