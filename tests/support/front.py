"""A server in front of a site, as a cache, a firewall or an optimiser is. A function changes the answers."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import urlsplit

from .server import Peer, Received, Script

_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True)
class Relayed:
    """An answer on its way to the visitor, with the request that it belongs to. It is complete: the front buffers."""

    request: Received
    status: str
    headers: list[tuple[str, str]]
    body: bytes

    def has(self, text: str) -> bool:
        """Return whether the address of the request contains a text."""
        return text in self.request.target

    def adding(self, body: bytes | None = None, status: str = "", /, **headers: str) -> Relayed:
        """Return the answer with more headers; underscores in their names become hyphens."""
        added = [(name.replace("_", "-"), value) for name, value in headers.items()]
        kept = [pair for pair in self.headers if pair[0].lower() not in {name.lower() for name, _ in added}]
        new = replace(self, headers=kept + added, status=status or self.status)
        return new if body is None else replace(new, body=body)

    def sent(self) -> bytes:
        """Return the bytes of the answer. A stream has one chunk."""
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in self.headers)]
        is_stream = any("event-stream" in value for _, value in self.headers)
        lines.append("Transfer-Encoding: chunked" if is_stream else f"Content-Length: {len(self.body)}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return head + (b"%x\r\n%s\r\n0\r\n\r\n" % (len(self.body), self.body) if is_stream else self.body)


Change: TypeAlias = Callable[[Relayed], Relayed]


def front(site: str, change: Change = lambda answer: answer) -> Script:
    """Return the script of a server that forwards each request to ``site``, and changes each answer.

    The address of the site in the answers becomes that of the server, also after a redirect.
    """
    there = urlsplit(site).netloc

    def script(peer: Peer) -> None:
        here = f"127.0.0.1:{peer.server.port}"
        for request in peer.requests():
            connection = http.client.HTTPConnection(there)
            try:
                kept = {name: value for name, value in request.headers.items() if name not in _HOP | {"host"}}
                connection.request(request.method, request.target, request.body or None, kept)
                response = connection.getresponse()
                try:
                    body = response.read()
                except http.client.IncompleteRead as error:  # the front ends such an answer cleanly
                    body = error.partial
                body = body.replace(there.encode(), here.encode())
                headers = [
                    (name, value.replace(there, here))
                    for name, value in response.getheaders()
                    if name.lower() not in _HOP
                ]
                relayed = Relayed(request, f"{response.status} {response.reason}", headers, body)
            finally:
                connection.close()
            peer.send(change(relayed).sent())

    return script
