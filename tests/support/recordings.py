"""The recordings of real servers in ``captures/``, without their HTTP framing."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h11

from chatgpt4online import Event, EventParser

FOLDER = Path(__file__).parent.parent / "captures"


@dataclass(frozen=True)
class Recording:
    """One exchange. ``raw`` is the response as it came, and ``pieces`` is its body as the reads returned it.

    ``pieces`` are without chunked framing and gzip. Joined they are ``body``. ``complete`` is false if the connection
    ended before the body did.
    """

    name: str
    target: str
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    raw: bytes
    pieces: list[bytes]
    complete: bool
    notes: dict[str, Any]


def names() -> list[str]:
    """Return the name of every recording: ``VERSION/NAME``."""
    return sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.glob("*/*.json"))


def recorded_reads(name: str) -> list[bytes]:
    """Return the raw bytes of the response, one item for each read of the recorder."""
    raw = (FOLDER / f"{name}.resp.http").read_bytes()
    sizes = [size for _, size in json.loads((FOLDER / f"{name}.json").read_bytes())["recv_ms_and_bytes"]]
    assert sum(sizes) == len(raw), name
    reads, start = [], 0
    for size in sizes:
        reads.append(raw[start : start + size])
        start += size
    return reads


@cache
def load(name: str) -> Recording:
    """Return the recording with this name (``VERSION/NAME``)."""
    notes = json.loads((FOLDER / f"{name}.json").read_bytes())
    request = (FOLDER / f"{name}.req.http").read_bytes()
    method, target = request.split(b" ", 2)[:2]
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target=target, headers=[("Host", "localhost")]))
    connection.send(h11.EndOfMessage())
    response: h11.Response | None = None
    inflate: Any = None
    pieces: list[bytes] = []
    complete = False
    reads = recorded_reads(name)
    for read in [*reads, b""]:
        if read == b"" and complete:
            break
        connection.receive_data(read)
        piece = b""
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError:  # the connection ended within the body
                break
            if isinstance(event, h11.Response):
                response = event
                if dict(event.headers).get(b"content-encoding") == b"gzip":
                    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
            elif isinstance(event, h11.Data):
                piece += inflate.decompress(event.data) if inflate else bytes(event.data)
            else:
                complete = complete or isinstance(event, h11.EndOfMessage)
                break
        if piece:
            pieces.append(piece)
    assert response is not None, name
    headers = [(bytes(key), bytes(value)) for key, value in response.headers]
    body = b"".join(pieces)
    assert len(body) == notes["plain_bytes"], name
    return Recording(
        name, target.decode(), response.status_code, headers, body, b"".join(reads), pieces, complete, notes
    )


def expected_events(name: str) -> list[Event]:
    """Return the events that a parser gives for the recording."""
    recording = load(name)
    headers = {key.decode(): value.decode() for key, value in recording.headers}
    parser = EventParser(status=recording.status, headers=headers)
    return [*parser.receive_data(recording.body), *parser.receive_eof()]
