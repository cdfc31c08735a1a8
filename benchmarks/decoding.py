"""The bytes of an answer become texts: once as fast as Python allows, and once in the usual way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]  # the stubs leave it out
from typing import Any

_PLAIN = b'data: {"type":"live","data":"'
_scan: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # as above


class UsualLines:
    """Turns the bytes of a body into texts with the usual hand-written loop: ``json.loads`` for each line."""

    def __init__(self) -> None:
        self.held = b""

    def texts(self, data: bytes) -> Iterator[str]:
        *lines, self.held = (self.held + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data: ") and (event := json.loads(line[6:]))["type"] == "live":
                yield event["data"]


class FastLines:
    """The same with the scanner of the json module alone. It is the floor: only an event of this shape is safe."""

    def __init__(self) -> None:
        self.held = b""

    def texts(self, data: bytes) -> Iterator[str]:
        *lines, self.held = (self.held + data).split(b"\n")
        for line in lines:
            if line.startswith(_PLAIN):
                text, end = scanstring(line.decode(), len(_PLAIN))
                if end + 1 != len(line):  # a notice, which has more fields; an ASCII line has the same size as text
                    text = _scan(line.decode(), 6)[0]["data"]
                yield text


class Chunks:
    """Turns the bytes of an answer into the bytes of its chunked body."""

    def __init__(self) -> None:
        self.held, self.in_body, self.over = b"", False, False

    def feed(self, data: bytes) -> bytes:
        data = self.held + data
        start = 0
        if not self.in_body:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.held = data
                return b""
            self.in_body, start = True, end + 4
        pieces = []
        while (end := data.find(b"\r\n", start)) >= 0:
            size = int(data[start:end], 16)
            if end + 4 + size > len(data):
                break
            self.over = not size
            pieces.append(data[end + 2 : end + 2 + size])
            start = end + 4 + size
        self.held = data[start:]
        return b"".join(pieces)
