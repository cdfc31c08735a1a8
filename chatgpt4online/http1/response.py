"""One exchange: send a request, and read its response as it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable

import h11

from ..net.chunks import CHUNK_START, NOT_CHUNKED
from ..net.encoding import OUTPUT_LIMIT, DecodedTooLarge, Decoder, EncodingError, read_codings
from ..net.heads import (
    CUT_HEAD,
    HEAD_LIMIT,
    INTERIM_LIMIT,
    NO_HEAD,
    TOO_MANY_INTERIM,
    BadHead,
    clean_head,
    find_head_end,
    is_interim,
)
from .chunks import ChunkSplitter
from .connection import BUFFER_SIZE, Connection
from .errors import BadEncoding, BadResponse, BodyTooLarge, Disconnected, HttpError, IncompleteBody

_FINISH_LIMIT = 65_536  # bytes: a new connection takes less time than reading more


class HeadReader:
    """Reads the final head of a response, after interim ones, into an h11 connection."""

    def __init__(self, http: h11.Connection) -> None:
        self._http = http
        self._interim = 0
        self.unread: bytearray = bytearray()
        """The bytes behind the last head that was read: a part of the next head, or of the body."""

    def receive(self, data: bytes) -> h11.Response | None:
        """Return the final head once it is complete. Raises BadResponse."""
        self.unread += data
        # Bytes without a line end cannot complete a head. 20 bytes are enough to see that an answer is not HTTP.
        if b"\n" not in data and 20 < len(self.unread) < HEAD_LIMIT:
            return None
        try:
            while (end := find_head_end(self.unread)) >= 0:
                head, self.unread = bytes(self.unread[:end]), self.unread[end:]
                head = clean_head(head)
                self._interim += is_interim(head)
                if self._interim > INTERIM_LIMIT:
                    raise BadHead(TOO_MANY_INTERIM)
                self._http.receive_data(head)
                event = self._http.next_event()
                if isinstance(event, h11.Response):
                    return event
        except (BadHead, h11.RemoteProtocolError) as error:
            raise BadResponse(str(error)) from None
        return None


class Response:
    """The response to a request. :meth:`Pool.send` returns it as soon as its head has arrived.

    ``status`` is an int, and ``headers`` a list of pairs with names in lower case.
    """

    __slots__ = (
        "_coding_error",
        "_connection",
        "_decoder",
        "_ended",
        "_fault",
        "_has_chunk_line",
        "_has_progress",
        "_head",
        "_http",
        "_is_last",
        "_keep",
        "_received",
        "_since_turn",
        "_splitter",
        "headers",
        "status",
    )

    status: int
    headers: list[tuple[str, str]]

    def __init__(self, connection: Connection, keep: Callable[[Connection], None]) -> None:
        self._connection = connection
        self._keep = keep
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
        self._head = HeadReader(self._http)
        self._splitter: ChunkSplitter | None = None
        self._decoder: Decoder | None = None
        self._coding_error = ""  # raised when a byte of the body arrives, since an empty body needs no decoding
        self._ended = False
        self._is_last = False  # whether the connection must be closed after the body
        self._fault: tuple[type[HttpError], str] | None = None  # no exception, because that keeps its traceback alive
        self._has_chunk_line = False  # whether the first line of a chunked body was checked
        self._has_progress = False  # whether a byte of the body arrived, which restarts the idle clock
        self._received = 0  # bytes of the body and its framing
        self._since_turn = 0  # bytes handled since other tasks could run

    async def read(self, timeout: float | None) -> bytes:
        """Return the next bytes of the body, at most 32 KiB, or 16 KiB of a compressed one, or ``b""`` at its end.

        Other tasks can run after every 16 KiB. ``timeout`` is in seconds and restarts with any byte of the body, but
        not with chunk sizes, chunk extensions and trailers.

        Raises HttpError, after all bytes that arrived before the fault were returned. Cancelling closes the connection.
        """
        connection, is_timed = self._connection, False
        while True:
            has_more = self._decoder is not None and self._decoder.has_more
            if not (connection.received or connection.is_over or self._ended or has_more):
                if self._has_progress or not is_timed:
                    connection.start_clock("idle", timeout)
                    is_timed, self._has_progress = True, False
                await connection.wait()
                self._since_turn = 0
            data = self._take()
            if self._since_turn >= OUTPUT_LIMIT:
                await self._yield_turn()
            if data:
                return data
            if self._decoder is not None and self._decoder.has_more:
                continue
            if self._fault is not None:
                kind, message = self._fault
                raise kind(message)
            if self._ended:
                return b""

    async def finish(self, seconds: float) -> None:
        """Keep the connection if the rest of the body, at most 64 KiB, arrives within ``seconds``, else close it."""
        limit = self._received + _FINISH_LIMIT
        try:
            if not self._ended:  # after the end, the connection may be in use for another request
                self._connection.start_clock("idle", seconds)
            while not (self._ended or self._is_last or self._fault or self._received > limit):
                self._receive()
                if not (self._ended or self._connection.received or self._connection.is_over):
                    await self._connection.wait()
        except HttpError:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection at once, unless the body was read to its end. It may be called twice."""
        if not self._ended and self._fault is None:
            self._fail(Disconnected, "the response was closed")

    def start(self, request: h11.Request, body: bytes | AsyncIterable[bytes]) -> bool:
        """Send the request, with its body if that is bytes. Return False if no byte of it was sent."""
        parts = [self._http.send(request)]
        if isinstance(body, bytes):  # a response may arrive before the transport has sent the whole body
            parts += [self._http.send(h11.Data(data=body)), self._http.send(h11.EndOfMessage())]
        return self._connection.write(b"".join(parts))

    async def receive_head(self, body: bytes | AsyncIterable[bytes], seconds: float | None) -> None:
        """Wait for the final head, at most ``seconds`` after the end of the request. Raises HttpError."""
        has_head = not isinstance(body, bytes) and await self._upload(body, seconds)
        connection = self._connection
        if not has_head:
            connection.start_clock("first_byte", seconds)
        while not has_head and not (has_head := self._parse_head()):
            if connection.is_over:
                begun = bool(self._head.unread)
                message = connection.reason or (CUT_HEAD if begun else NO_HEAD)
                raise Disconnected(message, begun=begun)
            await connection.wait()

    async def _upload(self, body: AsyncIterable[bytes], seconds: float | None) -> bool:
        """Send a body chunk by chunk. Return whether the head of the response has arrived.

        A refusal that arrives early ends the upload. Any other response is read after the whole body was sent.
        """
        connection, has_head = self._connection, False
        try:
            async for chunk in body:
                if connection.is_over:
                    return has_head
                connection.write(self._http.send(h11.Data(data=chunk)))
                while connection.is_write_paused and not connection.is_over:
                    has_head = has_head or self._parse_head()
                    if has_head and self.status >= 300:
                        return True
                    connection.start_clock("first_byte", seconds)
                    await connection.wait()
                has_head = has_head or self._parse_head()
                if has_head and self.status >= 300:
                    return True
        finally:
            if (aclose := getattr(body, "aclose", None)) is not None:
                await aclose()
        connection.write(self._http.send(h11.EndOfMessage()))
        return has_head

    def _parse_head(self) -> bool:
        """Read the bytes that arrived, and return whether the final head is complete. Put back those of the body."""
        head = self._head.receive(self._connection.take())
        if head is None:
            return False
        self._connection.put_back(bytes(self._head.unread))
        self._begin_body(head)
        return True

    def _begin_body(self, head: h11.Response) -> None:
        self.status = head.status_code
        self.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers]
        fields = dict(self.headers)
        if "transfer-encoding" in fields and self.status not in (204, 304):
            self._splitter = ChunkSplitter()
        has_length = self._splitter is not None or "content-length" in fields
        self._is_last = not has_length or self._http.our_state is not h11.DONE
        self._parse([])  # notices the end of an empty body
        if self._ended or "content-encoding" not in fields:
            return
        try:
            codings = read_codings(value for name, value in self.headers if name == "content-encoding")
        except EncodingError as error:
            self._coding_error = str(error)
        else:
            self._decoder = Decoder(codings) if codings else None

    def _take(self) -> bytes:
        """Return the bytes of the body that have arrived. The end and faults are stored for the next calls."""
        decoder, before = self._decoder, self._received
        data = b"" if decoder is not None and decoder.has_more else self._receive()
        if decoder is not None:
            data = self._decode(decoder, data)
        elif data and self._coding_error:
            self._fail(BadEncoding, self._coding_error)
            return b""
        self._since_turn += max(len(data), self._received - before)
        return data

    def _receive(self) -> bytes:
        """Return the bytes of the body that have arrived, before the content coding is decoded."""
        connection = self._connection
        if self._ended or self._fault is not None:
            return b""
        data = connection.take(BUFFER_SIZE)
        is_over = connection.is_over and not connection.received
        if not data and not is_over:
            return b""
        self._received += len(data)
        parts: list[bytes] = []
        at_eof = False
        try:
            self._split(data, parts)
            if is_over and connection.at_eof and not self._ended:
                at_eof = True
                if self._splitter is not None:
                    self._feed(self._splitter.flush(), parts)
                self._http.receive_data(b"")
                self._parse(parts)
        except h11.RemoteProtocolError as error:
            self._fail(IncompleteBody if at_eof else BadResponse, f"the body is malformed: {error}")
        if is_over and not self._ended:
            self._fail(Disconnected, connection.reason or "the connection was closed")
        self._has_progress = self._has_progress or bool(parts)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _split(self, data: bytes, parts: list[bytes]) -> None:
        """Append the payloads in the next bytes of the body to ``parts``. h11 reads all but the whole chunks."""
        if self._splitter is None:
            self._feed(data, parts)
            return
        first, payloads, rest = self._splitter.split(data)
        self._feed(first, parts)
        if payloads:
            parts += payloads
            self._has_chunk_line = True
        self._feed(rest, parts)

    def _feed(self, data: bytes, parts: list[bytes]) -> None:
        """Pass bytes of the body to h11. A chunked body that does not begin with a chunk is a fault."""
        if not data:
            return
        self._http.receive_data(data)
        if self._splitter is not None and not self._has_chunk_line:
            start = self._http.trailing_data[0]
            self._has_chunk_line = b"\n" in start
            if not CHUNK_START.match(start):  # h11 would wait for the end of the line
                self._fail(BadResponse, NOT_CHUNKED)
        self._parse(parts)

    def _parse(self, parts: list[bytes]) -> None:
        while isinstance(event := self._http.next_event(), h11.Data):
            parts.append(bytes(event.data))
        if isinstance(event, h11.EndOfMessage):
            self._ended = True
            http, connection = self._http, self._connection
            is_whole = http.our_state is http.their_state is h11.DONE and not http.trailing_data[0]
            if is_whole and connection.is_reusable:
                self._keep(connection)
            else:
                connection.abort()

    def _decode(self, decoder: Decoder, data: bytes) -> bytes:
        try:
            output = decoder.decode(data)
        except EncodingError as error:
            self._decoder = None
            self._fail(BodyTooLarge if isinstance(error, DecodedTooLarge) else BadEncoding, str(error))
            return b""
        if self._ended and self._fault is None and decoder.is_cut:
            self._fail(IncompleteBody, "the compressed body ended too early")
        return output

    async def _yield_turn(self) -> None:
        """Let other tasks run. If cancelled, the connection is closed."""
        self._since_turn = 0
        try:
            await asyncio.sleep(0)
        except BaseException:
            self.close()
            raise

    def _fail(self, kind: type[HttpError], message: str) -> None:
        """Store the error that :meth:`read` raises from now on. Only the first one counts."""
        self._fault = self._fault or (kind, message)
        if not self._ended:
            self._connection.abort()
