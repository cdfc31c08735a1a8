"""Turn the bytes of an answer's body into events.

Only failures and answers without events need ``bodies.py``. It is imported where it is used, since it takes a fifth of
the time that the import of this module takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO
from json.decoder import scanstring  # type: ignore[attr-defined]  # the stubs leave it out
from typing import Any

from .decoding import decode_json, find_event, scan_json
from .errors import ChatError, InvalidInput, InvalidState, ServerError, TooLarge
from .events import Done, Event, Failed, Json, Notice, Text, read_notice, read_reply, to_text
from .lines import LineBuffer

DEFAULT_LIMIT = 16 * 1024 * 1024  # bytes: usual events and pages have a few KiB, and memory is safe
DEFAULT_TEXT_LIMIT = 64 * 1024 * 1024  # bytes, some ten million words: no real answer is as long
_SMALLEST_LIMIT = 64  # bytes: a smaller limit would refuse every event
_LARGEST_CHARACTER = 4  # bytes of UTF-8
# Characters of texts that are separate strings until their bytes are counted. A string of one word takes 60 bytes, so
# few are separate in a short answer. In a long one, more of them make counting and the list of batches cheaper.
_SMALLEST_BATCH, _LARGEST_BATCH = 256, 4096
_MALFORMED_SHOWN = 200  # characters of a malformed event that a Notice shows: enough to recognise it
_SHORTEST_SECRET = len("key=1234")  # shorter texts are not searched: a site can send thousands of them at once

_FIELD_SIZE = len("data:")

# Nearly every event has exactly this shape, so that only its string has to be decoded. A JSON string contains no raw
# line end, so decoding a string never reads beyond its line.
_PLAIN = 'data: {"type":"live","data":"'
_PLAIN_SIZE = len(_PLAIN)
_PLAIN_END = "}\n\n"  # after the quotation mark that ends the string
_PLAIN_END_SIZE = len(_PLAIN_END)
_PLAIN_LAST = '"' + _PLAIN_END
_NEXT_PLAIN = _PLAIN_END + _PLAIN
_NEXT_PLAIN_SIZE = len(_NEXT_PLAIN)
_OBJECT = "data: {"  # the start of the other usual events
_OBJECT_START = len("data: ")
_NEXT_OBJECT = "\n\n" + _OBJECT
# The end of a line before one that may hold an event or other output: no blank line, no comment, no other field.
_NEXT_LINE = re.compile(r"\n(?!\n|:|(?:event|id|retry):[^{\n]*+\n)")
# A line that holds other output, behind a byte order mark: no blank line, no comment, no other field.
_OUTPUT = re.compile(r"^\ufeff*+(?!:|event:|id:|retry:|[^\S\n]*+\n)(.*\n)", re.MULTILINE)
_ONE_LINE = re.compile(rb"[^\r\n]*[\r\n]?")


class EventParser:
    """Turns the body of one answer into events. The bytes may come in pieces of any size.

    Pass the bytes to :meth:`receive_data`, and call :meth:`receive_eof` when the body has ended. The parser reads
    streams, plain JSON answers, refusals and error pages, and ignores Content-Type. No data from a server makes it
    raise an error. There is exactly one ``Done`` or ``Failed``, and it is the last event; the rest is ignored.

    The ``status`` and ``headers`` of the response make the errors for refusals more precise. The parser keeps the
    mapping of the headers, and reads it when the body has ended. ``max_event_size`` limits the line of one event, in
    bytes. ``max_body_size`` limits the lines between two events, in bytes. ``max_text_size`` limits the answer's text,
    in bytes of UTF-8. A larger answer ends in ``Failed(TooLarge)``, at the same byte however the body is cut into
    pieces. Raises InvalidInput for headers that are not a mapping, and for a limit that is not an int of at least 64.
    Source: protocol sections 2, 5 and 7.
    """

    def __init__(
        self,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        max_event_size: int = DEFAULT_LIMIT,
        max_body_size: int = DEFAULT_LIMIT,
        max_text_size: int = DEFAULT_TEXT_LIMIT,
    ) -> None:
        check_limits(max_event_size=max_event_size, max_body_size=max_body_size, max_text_size=max_text_size)
        if headers is not None and not hasattr(headers, "items"):
            raise InvalidInput(f"headers is a mapping of names to values, not {type(headers).__name__}: use a dict")
        self._status = status
        self._headers = headers or {}
        self._max_event_size = max_event_size
        self._max_body_size = max_body_size
        self._max_text_size = max_text_size
        self._lines = LineBuffer()
        self._text = StringIO()
        self._uncounted_texts: list[str] = []  # texts whose bytes are not yet counted; they are not yet in _text
        self._text_bytes_left = max_text_size  # for the texts that are not in _text
        self._uncounted_room = 0  # characters that still fit without counting bytes, since none has more than 4 bytes
        self._non_events = StringIO()  # the lines since the last event that hold no event, such as JSON or HTML
        self._non_event_size = 0
        self._safe_size = min(max_event_size, max_body_size)  # bytes of a line that exceed neither limit
        self._streamed = False  # an event arrived
        self._in_events = False  # the last line was an event, so that _non_events is empty
        self._empty_error = False
        self._over = False
        self._ended = False

    def __repr__(self) -> str:
        return f"<EventParser {'over' if self._over else 'open'}, {len(self.text)} characters of text>"

    @property
    def text(self) -> str:
        """The text of the answer so far."""
        self._count_texts()
        return self._text.getvalue()

    def receive_data(self, data: bytes) -> list[Event]:
        """Return the events that these bytes complete. An event is complete at the end of its line.

        Raises InvalidState after :meth:`receive_eof`, and InvalidInput for an argument that is not bytes-like.
        """
        # Here and below, the class is compared, since this is faster than isinstance() and runs for each event.
        if data.__class__ is not bytes:
            data = _to_bytes(data)
        events: list[Event] = []
        held_size = len(self._lines.held)
        if held_size + len(data) > self._safe_size:
            self._receive_near_limit(data, events)
            return events
        if not held_size and data[-1:] == b"\n":
            text = data.decode("utf-8", "replace")
        elif not (text := self._lines.push(data)):
            return events
        # Most pieces are a single event, and the code below reads those faster than _read() does.
        try:
            if text.endswith(_PLAIN_LAST) and text.startswith(_PLAIN):
                piece, end = scanstring(text, _PLAIN_SIZE)
                if end + _PLAIN_END_SIZE == len(text):  # the first string ends there, so this is a single event
                    if not self._in_events:  # tested before the call, since a call for each event takes time
                        self._enter_events()
                    self._add_text(piece, events)
                    return events
            if text.startswith(_OBJECT) and text.find("\n") == len(text) - 2 and "\r" not in text:
                event, end = scan_json(text, _OBJECT_START)
                if end == len(text) - 2:
                    if not self._in_events:
                        self._enter_events()
                    if notice := read_notice(event):
                        events.append(notice)
                    else:
                        self._read_event(event, text, events)
                    return events
        except (ValueError, StopIteration, RecursionError):
            pass  # _read() finds the line that has the error
        self._read(text, events)
        return events

    def receive_eof(self) -> list[Event]:
        """Return the last events, now that the body has ended. Raises InvalidState when called twice."""
        if self._ended:
            raise InvalidState("receive_eof was called twice; make a new parser for the next answer")
        events: list[Event] = []
        if not self._over and (line := self._lines.flush()):
            self._read(line + "\n", events)
        if not self._over:
            self._end_without_event(events)
        self._ended = True
        return events

    def _receive_near_limit(self, data: bytes, events: list[Event]) -> None:
        """Read data that may exceed a limit line by line, so that the cuts of the data do not matter.

        Data after the last event comes here too, and is ignored. Raises InvalidState for data after ``receive_eof()``.
        """
        if self._ended:
            raise InvalidState("receive_data was called after receive_eof; make a new parser for the next answer")
        for piece in _ONE_LINE.findall(data):
            if self._over:
                return
            is_whole = piece.endswith((b"\n", b"\r"))
            size = len(self._lines.held) + len(piece) - is_whole  # without the line end
            head = bytes(self._lines.held[:_FIELD_SIZE] + piece[:_FIELD_SIZE])[:_FIELD_SIZE]
            if head == b"data:" or (not is_whole and b"data:".startswith(head)):
                limit, what, option = self._max_event_size, "one event", "max_event_size"
            else:
                size += self._non_event_size
                limit, what, option = self._max_body_size, "the part outside events", "max_body_size"
            if size > limit:
                self._fail(TooLarge(f"{what} is larger than {limit} bytes; raise {option} to accept it"), events)
            elif lines := self._lines.push(piece):
                self._read(lines, events)

    def _read(self, text: str, events: list[Event]) -> None:
        """Read whole lines. At each place that is a run of events, a line with an event, or lines without events."""
        text = text.replace("\r", "\n")
        position, may_have_run = 0, True
        while position < len(text):
            if may_have_run and text.startswith(_OBJECT, position):
                position, may_have_run = self._read_run(text, position, events)
                if self._over:
                    return
            end = text.find("\n", position)
            if end > position:
                data = text.find("data:", position)
                if 0 <= data < end:
                    self._read_line(text[position:end], events)
                    if self._over:
                        return
                else:
                    end = text.rfind("\n", position, data) if data >= 0 else len(text) - 1
                    self._keep_output(text[position : end + 1])
            # The pattern matches at the end of the last line, so there is always a match.
            position = _NEXT_LINE.search(text, end).end()  # type: ignore[union-attr]  # see above

    def _read_run(self, text: str, position: int, events: list[Event]) -> tuple[int, bool]:
        """Read the run of events at ``position``: notices, then an event of another kind, then plain events.

        Return the position after the run, and whether to look for another run in this text. That is false after an
        error in an event. For each error the standard library counts the lines of all text before it, so many errors
        in one text would take quadratic time.
        """
        find, startswith = text.find, text.startswith
        try:
            while True:
                event, end = scan_json(text, position + _OBJECT_START)
                if find("\n", position) != end:  # the object has several lines, or other text follows it
                    return position, True
                if not self._in_events:
                    self._enter_events()
                if notice := read_notice(event):
                    events.append(notice)
                    if not startswith(_NEXT_OBJECT, end):
                        return end, True
                    position = end + 2
                else:
                    self._read_event(event, text[position:end], events)
                    if self._over or not startswith(_NEXT_PLAIN, end - 1):
                        return end, True
                    return self._read_texts(text, end + 2, events)
        except (ValueError, StopIteration, RecursionError):
            return position, False

    def _read_texts(self, text: str, position: int, events: list[Event]) -> tuple[int, bool]:
        """Read the run of plain events at ``position``. Return the same as :meth:`_read_run`."""
        texts: list[str] = []
        startswith, start, may_have_run = text.startswith, position + _PLAIN_SIZE, True
        try:
            piece, end = scanstring(text, start)
            while startswith(_NEXT_PLAIN, end):
                texts.append(piece)
                start = end + _NEXT_PLAIN_SIZE
                piece, end = scanstring(text, start)
            if startswith("}\n", end):
                texts.append(piece)
                start = end + len("}") + _PLAIN_SIZE
        except ValueError:
            may_have_run = False
        if texts:
            self._add_texts(texts, events)
        return start - _PLAIN_SIZE, may_have_run

    def _add_texts(self, texts: list[str], events: list[Event]) -> None:
        """Add the texts of a run: all at once, or one by one if they exceed the limit."""
        joined = "".join(texts)
        self._uncounted_room -= len(joined) + 1
        if self._uncounted_room >= 0 or self._fits(joined):
            self._uncounted_texts.append(joined)
            events.extend(map(Text, texts))
            return
        pieces = iter(texts)
        while not self._over:  # it ends before the texts do: together they exceed the limit, so one of them fails
            self._add_text(next(pieces), events)

    def _add_text(self, text: str, events: list[Event]) -> None:
        """Add a piece of the answer's text. If the piece exceeds the limit, end the answer."""
        self._uncounted_room -= len(text) + 1  # one more for each text, since an empty string takes memory too
        if self._uncounted_room >= 0 or self._fits(text):
            self._uncounted_texts.append(text)
            events.append(Text(text))
        else:
            self._fail_text(events)

    def _fits(self, text: str) -> bool:
        """Count the bytes of a text, and return whether it fits. Set ``_uncounted_room`` for the texts after it."""
        self._count_texts()
        bytes_left = self._text_bytes_left - _utf8_size(text)
        batch = max(_SMALLEST_BATCH, min(_LARGEST_BATCH, (self._max_text_size - bytes_left) // 4))
        self._uncounted_room = min(batch, bytes_left // _LARGEST_CHARACTER)
        return bytes_left >= 0

    def _count_texts(self) -> None:
        recent = "".join(self._uncounted_texts)
        self._uncounted_texts.clear()
        self._text.write(recent)
        self._text_bytes_left -= _utf8_size(recent)

    def _read_line(self, line: str, events: list[Event]) -> None:
        line = line.lstrip("\ufeff")  # a PHP file with a byte order mark prints it into each answer
        if line.startswith("data:"):
            event = _decode(line[_FIELD_SIZE:].strip(" \t"))
        elif line.startswith(":") or not line.strip():
            return
        elif found := find_event(line):  # the output before it in the line is ignored, as other lines before an event
            event, line = found
        else:
            self._keep_output(line + "\n")
            return
        if not self._in_events:
            self._enter_events()
        self._read_event(event, line, events)

    def _keep_output(self, lines: str) -> None:
        """Store the other output in lines without events, such as JSON, a page or a warning of PHP."""
        if output := "".join(_OUTPUT.findall(lines)):
            self._non_events.write(output)
            self._set_non_event_size(self._non_event_size + len(output))
            self._in_events = False

    def _read_event(self, event: Any, line: str, events: list[Event]) -> None:
        kind = event.get("type") if event.__class__ is dict else None
        if kind == "live":
            data = event.get("data")
            if notice := read_notice(event):
                events.append(notice)
            elif data.__class__ is str:
                self._add_text(data, events)
            elif data is not None:
                events.append(_malformed(line))
        elif kind == "end":
            self._read_end_event(event.get("data"), line, events)
        elif kind == "error":
            self._read_error_event(to_text(event.get("data")), events)
        elif isinstance(kind, str):
            rest = {key: value for key, value in event.items() if key not in ("type", "data")}
            events.append(Notice(kind, to_text(event.get("data")), metadata=rest))
        else:
            events.append(_malformed(line))

    def _read_error_event(self, message: str, events: list[Event]) -> None:
        from .bodies import server_error, visible_text  # noqa: PLC0415  # see the top

        if visible_text(message):
            self._fail(server_error(message), events)
        else:
            self._empty_error = True  # some engines send the real error after an empty one (protocol section 2.2)

    def _read_end_event(self, data: Any, line: str, events: list[Event]) -> None:
        """Read an ``end`` event, whose ``data`` is the final object, mostly as JSON in a string."""
        final = data
        if isinstance(data, str):
            try:
                final = decode_json(data.strip())
            except ValueError:
                final = None
        if isinstance(final, dict):
            self._end_with_object(final, events)
        else:
            if data is not False:  # PHP sends False for an object that it could not encode
                events.append(_malformed(line))
            self._end_with_object({}, events)

    def _end_without_event(self, events: list[Event]) -> None:
        """End the answer at the end of a body without an ``end`` or ``error`` event, such as plain JSON or a page."""
        if self._empty_error:
            self._fail(ServerError("the site reported an error without a message"), events)
            return
        from .bodies import read_answer  # noqa: PLC0415  # see the top

        headers = {name.lower(): value for name, value in self._headers.items()}
        answer = read_answer(self._non_events.getvalue(), self._status, headers, streamed=self._streamed)
        if isinstance(answer, ChatError):
            self._fail(answer, events)
        else:
            self._end_with_object(answer, events)

    def _end_with_object(self, final: Json, events: list[Event]) -> None:
        """End the answer with the reply in its final object, or with the error in it."""
        if not final.get("success", True):
            from .bodies import server_error  # noqa: PLC0415  # see the top

            self._fail(server_error(to_text(final.get("message"))), events)
            return
        reply, unread = read_reply(final)
        if _utf8_size(reply.text) > self._max_text_size:
            self._fail_text(events)
            return
        if not reply.text:
            reply.text = self.text
        elif not self.text:
            self._add_text(reply.text, events)
        events += [Notice("malformed", field) for field in unread]
        events.append(Done(reply))
        self._stop()

    def _fail_text(self, events: list[Event]) -> None:
        limit = self._max_text_size
        message = f"the answer's text is larger than {limit} bytes; raise max_text_size to accept it"
        self._fail(TooLarge(message), events)

    def _fail(self, error: ChatError, events: list[Event]) -> None:
        """End the answer with an error."""
        error.partial_text = self.text
        events.append(Failed(error))
        self._stop()

    def _stop(self) -> None:
        """Free the memory after the last event, and ignore the rest of the body."""
        self._over = True
        self._lines = LineBuffer()
        self._forget_non_events()
        self._safe_size = -1  # any data now goes to _receive_near_limit(), which ignores it

    def _enter_events(self) -> None:
        """Note that there is an event, and discard the other lines before it."""
        self._streamed = self._in_events = True
        self._forget_non_events()

    def _forget_non_events(self) -> None:
        if self._non_event_size:
            self._non_events = StringIO()
            self._set_non_event_size(0)

    def _set_non_event_size(self, size: int) -> None:
        self._non_event_size = size
        self._safe_size = min(self._max_event_size, self._max_body_size - size)


def _decode(payload: str) -> Any:
    """Return the JSON value of a payload. None means invalid JSON, since no valid event is null."""
    try:
        return decode_json(payload)
    except ValueError:
        return None


def _utf8_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))  # JSON can hold lone surrogates


def check_limits(**limits: int) -> None:
    """Raise InvalidInput for a limit that is not an int of at least 64. The names are those of the options."""
    for option, limit in limits.items():
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise InvalidInput(f"{option} must be an int of bytes, not {type(limit).__name__}")
        if limit < _SMALLEST_LIMIT:
            raise InvalidInput(f"{option} must be at least {_SMALLEST_LIMIT} bytes")


def _malformed(line: str) -> Notice:
    shown = line[_FIELD_SIZE:].strip()[: 2 * _MALFORMED_SHOWN]
    if len(shown) >= _SHORTEST_SECRET:
        from .bodies import mask_keys  # noqa: PLC0415  # see the top

        shown = mask_keys(shown)[:_MALFORMED_SHOWN]
    return Notice("malformed", shown)


def _to_bytes(data: Any) -> bytes:
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise InvalidInput(f"receive_data needs bytes, not {type(data).__name__}")
