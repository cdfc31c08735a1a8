"""One exchange: a request goes out, and its response is read as it comes."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterable, Callable

import h11

from ..net.encoding import Inflater
from .chunks import ChunkMerger
from .connection import Connection
from .errors import BadEncoding, BadResponse, Disconnected, HttpError, IncompleteBody

HEAD_LIMIT = 65_536  # bytes in the head of a response

_BLANK_LINE = re.compile(rb"\n\r?\n")  # as h11 has it


class Response:
    """An answer whose head has come: ``status`` and ``headers`` (names in lower case). :meth:`Pool.send` makes it."""

    __slots__ = (
        "_connection",
        "_ended",
        "_fault",
        "_http",
        "_inflater",
        "_is_last",
        "_keep",
        "_merger",
        "headers",
        "status",
    )

    status: int
    headers: list[tuple[str, str]]

    def __init__(self, connection: Connection, keep: Callable[[Connection], None]) -> None:
        self._connection = connection
        self._keep = keep
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
        self._merger: ChunkMerger | None = None
        self._inflater: Inflater | None = None
        self._ended = False
        self._is_last = False  # the connection ends with the body
        self._fault: tuple[type[HttpError], str] | None = None  # no exception: it would hold what it went through

    async def read(self, timeout: float | None) -> bytes:
        """Return what there is of the body by now, or the next that comes; ``b""`` at its end.

        Raises HttpError, after all that had come before. When it is cancelled, the connection is closed at once.
        """
        while not (data := self._take()):
            if self._fault is not None:
                kind, message = self._fault
                raise kind(message)
            if self._ended:
                break
            await self._connection.wait("idle", timeout)
        return data

    async def finish(self, seconds: float) -> None:
        """Keep the connection if the rest of the body comes within ``seconds``, which is not kept, else close it."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        try:
            while not (self._ended or self._is_last):
                if not await self.read(max(0.0, end - clock())) or clock() > end:
                    break
        except HttpError:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection at once, unless the body was read to its end; it may be called again."""
        if not self._ended and self._fault is None:
            self._fail(Disconnected, "the response was closed")

    def start(self, request: h11.Request, body: bytes | AsyncIterable[bytes]) -> bool:
        """Send the request, with its body if that is there, and return whether any of it can have left."""
        pieces = [self._http.send(request)]
        if isinstance(body, bytes):  # the transport sends it while we listen, so a peer may answer early
            pieces += [self._http.send(h11.Data(data=body)), self._http.send(h11.EndOfMessage())]
        return self._connection.write(b"".join(pieces))

    async def receive_head(self, body: bytes | AsyncIterable[bytes], seconds: float | None) -> None:
        has_head = not isinstance(body, bytes) and await self._upload(body, seconds)
        connection = self._connection
        while not has_head and not (has_head := self._parse_head()):
            if connection.is_over:
                message = connection.reason or "the connection was closed before the response"
                raise Disconnected(message, begun=bool(self._http.trailing_data[0]))
            await connection.wait("first_byte", seconds)

    async def _upload(self, body: AsyncIterable[bytes], seconds: float | None) -> bool:
        """Send a body that comes in pieces, and return whether the head of the response is there already.

        A refusal that comes early ends it. Otherwise all is sent first.
        """
        has_head = False
        try:
            async for piece in body:
                if self._connection.is_over:
                    return has_head
                self._connection.write(self._http.send(h11.Data(data=piece)))
                while self._connection.is_choked and not self._connection.is_over:
                    has_head = has_head or self._parse_head()
                    if has_head and self.status >= 300:
                        return True
                    await self._connection.wait("first_byte", seconds)
                has_head = has_head or self._parse_head()
                if has_head and self.status >= 300:
                    return True
        finally:
            if (aclose := getattr(body, "aclose", None)) is not None:
                await aclose()
        self._connection.write(self._http.send(h11.EndOfMessage()))
        return has_head

    def _parse_head(self) -> bool:
        """Read what has come, and return whether the head is complete.

        h11 gets the head alone, or line by line where it comes in parts: so the limit says the same however the bytes
        were cut, and the body stays out of h11 until it can go by the merger.
        """
        data, start = self._connection.take(), 0
        is_begun = bool(self._http.trailing_data[0])
        try:
            while start < len(data):
                blank = None if is_begun else _BLANK_LINE.search(data, start, start + HEAD_LIMIT)
                end = blank.end() if blank else data.find(b"\n", start) + 1 or len(data)
                self._http.receive_data(data[start:end])
                event, start = self._http.next_event(), end
                if isinstance(event, h11.Response):
                    self._connection.put_back(data[start:])
                    self._begin_body(event)
                    return True
                if self._http.their_state is h11.SWITCHED_PROTOCOL:  # the caller's headers offered it
                    raise BadResponse("the server wants to speak another protocol")
                is_begun = event is h11.NEED_DATA
        except h11.RemoteProtocolError as error:
            raise BadResponse(str(error)) from None
        return False

    def _begin_body(self, head: h11.Response) -> None:
        self.status = head.status_code
        self.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers]
        fields = dict(self.headers)
        if "transfer-encoding" in fields and self.status not in (204, 304):
            self._merger = ChunkMerger()
        has_length = self._merger is not None or "content-length" in fields
        self._is_last = not has_length or self._http.our_state is not h11.DONE
        encoding = fields.get("content-encoding", "").strip().lower()
        if encoding in ("gzip", "x-gzip", "deflate"):
            self._inflater = Inflater(encoding)
        self._parse_body([])  # which may be the end already

    def _take(self) -> bytes:
        """Return what there is of the body now; the end and faults are noted for when it is read."""
        inflater = self._inflater
        if inflater is not None and inflater.has_more and (data := self._inflate(inflater, b"")):
            return data
        if self._ended or self._fault is not None:
            return b""
        connection = self._connection
        data = connection.take()
        if not data and not connection.is_over:
            return b""
        pieces: list[bytes] = []
        at_eof = False
        try:
            if data and (data := data if self._merger is None else self._merger.merge(data)):
                self._http.receive_data(data)
            self._parse_body(pieces)
            if connection.at_eof and not self._ended:
                at_eof = True
                if self._merger is not None and (data := self._merger.flush()):
                    self._http.receive_data(data)
                self._http.receive_data(b"")
                self._parse_body(pieces)
        except h11.RemoteProtocolError as error:
            self._fail(IncompleteBody if at_eof else BadResponse, str(error))
        if connection.is_over and not self._ended:
            self._fail(Disconnected, connection.reason or "the connection was closed")
        data = bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)
        return data if inflater is None else self._inflate(inflater, data)

    def _parse_body(self, pieces: list[bytes]) -> None:
        while isinstance(event := self._http.next_event(), h11.Data):
            pieces.append(event.data)
            if self._merger is not None and self._merger.is_one_chunk:
                return  # to be told so by h11 would cost half as much as the chunk
        if isinstance(event, h11.EndOfMessage):
            self._ended = True
            http, connection = self._http, self._connection
            if http.our_state is http.their_state is h11.DONE and not http.trailing_data[0] and connection.is_fit:
                self._keep(connection)
            else:
                connection.abort()

    def _inflate(self, inflater: Inflater, data: bytes) -> bytes:
        try:
            data = inflater.decode(data)
        except zlib.error as error:
            self._fail(BadEncoding, f"the compressed body is corrupt: {error}")
            return b""
        if self._ended and self._fault is None and inflater.is_cut:
            self._fail(IncompleteBody, "the compressed body stops early")
        return data

    def _fail(self, kind: type[HttpError], message: str) -> None:
        """Note what :meth:`read` raises from now on, if nothing was noted before."""
        self._fault = self._fault or (kind, message)
        if not self._ended:
            self._connection.abort()
