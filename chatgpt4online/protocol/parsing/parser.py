"""Bytes of an answer's body to events."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from io import StringIO
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]  # the stubs leave it out
from typing import Any

from .bodies import decode_json, mask_keys, read_answer, scan_json, server_error, words
from .errors import ChatError, InvalidInput, InvalidState, ServerError, TooLarge
from .events import INFINITY, Done, Event, Failed, Json, Notice, Text, read_reply, to_number
from .lines import LineBuffer

DEFAULT_LIMIT = 16 * 1024 * 1024
DEFAULT_TEXT_LIMIT = 64 * 1024 * 1024
_SMALLEST_LIMIT = 64  # bytes: less than this takes no event at all
_LARGEST_CHARACTER = 4  # bytes of UTF-8
_BATCH = 4096  # characters: enough to make counting cheap, and too few to take much memory as separate strings
_MALFORMED_SHOWN = 200  # characters

# Nearly every event has this shape to the letter, and then its string is all that has to be decoded. A JSON string
# holds no raw line end, so decoding one cannot run over into the next line.
_PLAIN = 'data: {"type":"live","data":"'
_PLAIN_SIZE = len(_PLAIN)
_NEXT_PLAIN = "}\n\n" + _PLAIN
_NEXT_PLAIN_SIZE = len(_NEXT_PLAIN)
_BLANK_LINES = re.compile(r"\n*")
_EVENT_START = re.compile(r"data:[ \t]*(?=\{)")
_ONE_LINE = re.compile(rb"[^\r\n]*[\r\n]?")


class EventParser:
    """The events in the body of one answer, from its bytes in pieces of any size.

    Feed it with :meth:`receive_data`, and call :meth:`receive_eof` when the body has ended. It understands streams,
    plain JSON answers, refusals and error pages, whatever Content-Type said. Nothing that arrives raises: exactly one
    ``Done`` or ``Failed`` comes, and it comes last; what the body holds after it is ignored.

    ``status`` and ``headers`` of the response, where they are known, make refusals clearer. ``max_event_size`` and
    ``max_body_size`` limit, in bytes, the line of one event and the other lines between two events. ``max_text_size``
    limits the answer's text, in bytes of UTF-8. Over a limit the answer ends in ``Failed(TooLarge)``, at the same byte
    however it was cut. A limit that is not an int of at least 64 raises InvalidInput.
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
        _check_limits(max_event_size=max_event_size, max_body_size=max_body_size, max_text_size=max_text_size)
        self._status = status
        self._headers = {name.lower(): value for name, value in (headers or {}).items()}
        self._max_event_size = max_event_size
        self._max_body_size = max_body_size
        self._max_text_size = max_text_size
        self._lines = LineBuffer()
        self._text = StringIO()
        self._recent: list[str] = []  # texts that are not in _text yet, and not counted
        self._text_room = max_text_size  # bytes that the texts after _text may have
        self._spare = 0  # characters that certainly fit after _recent
        self._other = StringIO()  # the lines since the last event that hold no event: JSON, HTML
        self._other_size = 0
        self._room = min(max_event_size, max_body_size)  # bytes that cannot break a limit, whatever they are
        self._streamed = False
        self._empty_error = False
        self._over = False
        self._ended = False

    def __repr__(self) -> str:
        return f"<EventParser {'over' if self._over else 'open'}, {len(self.text)} characters of text>"

    @property
    def text(self) -> str:
        """The answer so far."""
        self._count_texts()
        return self._text.getvalue()

    def receive_data(self, data: bytes) -> list[Event]:
        """Return the events that these bytes complete; an event is complete with the end of its line.

        Raises InvalidState after :meth:`receive_eof`, and InvalidInput for what is not bytes-like.
        """
        if data.__class__ is not bytes:
            data = _to_bytes(data)
        events: list[Event] = []
        held = self._lines.held
        if len(held) + len(data) > self._room:
            self._receive_large(data, events)
        elif not held and data[-1:] == b"\n":
            self._read(data, events)
        elif lines := self._lines.push(data):
            self._read(lines, events)
        return events

    def receive_eof(self) -> list[Event]:
        """Return the last events, now that the body has ended. Raises InvalidState when called twice."""
        if self._ended:
            raise InvalidState("this parser has been told already that its body has ended")
        events: list[Event] = []
        if not self._over and (line := self._lines.flush()):
            self._read(line + b"\n", events)
        if not self._over:
            self._conclude(events)
        self._ended = True
        return events

    def _receive_large(self, data: bytes, events: list[Event]) -> None:
        """Take data that may break a limit line by line, so that the same byte breaks it however the data was cut."""
        if self._ended:
            raise InvalidState("this parser has seen the end of its body; make a new one for the next answer")
        for piece in _ONE_LINE.findall(data):
            if self._over:
                return
            lines = self._lines.push(piece)
            size = len(lines) - 1 if lines else len(self._lines.held)
            head = lines[:5] or self._lines.held[:5]
            if head == b"data:" or (not lines and b"data:".startswith(head)):
                limit, what, option = self._max_event_size, "one event", "max_event_size"
            else:
                size += self._other_size
                limit, what, option = self._max_body_size, "the part that is no event", "max_body_size"
            if size > limit:
                self._fail(TooLarge(f"{what} is larger than {limit} bytes; raise {option} to take it"), events)
            elif lines:
                self._read(lines, events)

    def _read(self, lines: bytes, events: list[Event]) -> None:
        """Read whole lines: a single event at once, since most pieces are one, anything else by runs and lines."""
        text = lines.decode("utf-8", "replace")
        try:
            if text[-4:] == '"}\n\n' and text[:_PLAIN_SIZE] == _PLAIN:
                piece, end = scanstring(text, _PLAIN_SIZE)
                if end + 3 == len(text):
                    self._add_text(piece, events)
                    return
            if text[:7] == "data: {":
                event, end = scan_json(text, 6)
                if text.find("\n") == end == len(text) - 2 and text[-1] == "\n" and "\r" not in text:
                    self._streamed = True
                    if self._other_size:
                        self._forget_other()
                    self._read_event(event, text, events)
                    return
        except (ValueError, StopIteration, RecursionError):
            pass  # the loop below reads it line by line
        if "\r" in text:
            text = text.replace("\r", "\n")
        position, size, sound = 0, len(text), True
        while position < size:
            if sound and text.startswith(_PLAIN, position):
                position, sound = self._read_run(text, position, events)
                if self._over:
                    return
            end = text.find("\n", position)
            if end > position:
                self._read_line(text[position:end], events)
                if self._over:
                    return
            position = _BLANK_LINES.match(text, end + 1).end() if end >= 0 else size  # type: ignore[union-attr]  # it matches

    def _read_run(self, text: str, position: int, events: list[Event]) -> tuple[int, bool]:
        """Read the run of plain events at ``position``.

        Returns the position behind it, and whether to look for another run in this text: an error in a string counts
        the lines of all the text before it, which is cheap once and not once a line.
        """
        texts: list[str] = []
        startswith, start, sound = text.startswith, position + _PLAIN_SIZE, True
        try:
            piece, end = scanstring(text, start)
            while startswith(_NEXT_PLAIN, end):
                texts.append(piece)
                start = end + _NEXT_PLAIN_SIZE
                piece, end = scanstring(text, start)
            if startswith("}\n", end):
                texts.append(piece)
                start = end + 2 + _PLAIN_SIZE
        except ValueError:
            sound = False
        if texts:
            self._add_texts(texts, events)
        return start - _PLAIN_SIZE, sound

    def _add_texts(self, texts: list[str], events: list[Event]) -> None:
        """Add the texts of a run: all at once, or one by one when they break the limit."""
        joined = "".join(texts)
        self._spare -= len(joined) + 1
        if self._spare >= 0 or self._fits(joined):
            self._store_text(joined)
            events.extend(map(Text, texts))
            return
        pieces = iter(texts)
        while not self._over:
            self._add_text(next(pieces), events)

    def _add_text(self, text: str, events: list[Event]) -> None:
        """Add a piece of the answer, unless it breaks the limit: then the answer ends here."""
        self._spare -= len(text) + 1  # an empty string takes memory too
        if self._spare >= 0 or self._fits(text):
            self._store_text(text)
            events.append(Text(text))
        else:
            self._fail_text(events)

    def _store_text(self, text: str) -> None:
        self._recent.append(text)
        self._streamed = True
        if self._other_size:
            self._forget_other()

    def _fits(self, text: str) -> bool:
        """Return whether there is room for a text, by counting its bytes; set ``_spare`` to what fits after it."""
        self._count_texts()
        room = self._text_room - _utf8_size(text)
        self._spare = min(_BATCH, room // _LARGEST_CHARACTER)
        return room >= 0

    def _count_texts(self) -> None:
        recent = "".join(self._recent)
        self._recent.clear()
        self._text.write(recent)
        self._text_room -= _utf8_size(recent)

    def _read_line(self, line: str, events: list[Event]) -> None:
        line = line.lstrip("\ufeff")  # each PHP file that was saved with a byte order mark sends one
        if line.startswith("data:"):
            event = _decode(line[5:].strip(" \t"))
        elif line.startswith(":") or not line.strip():
            return
        elif found := _find_event(line):  # what stands before it is forgotten, as all other output before an event
            event, line = found
        else:
            if not line.startswith(("event:", "id:", "retry:")):
                self._other.write(line + "\n")
                self._set_other_size(self._other_size + len(line) + 1)
            return
        self._streamed = True
        self._forget_other()
        self._read_event(event, line, events)

    def _read_event(self, event: Any, line: str, events: list[Event]) -> None:
        kind = event.get("type") if event.__class__ is dict else None
        if kind == "live":
            data, subtype = event.get("data"), event.get("subtype")
            if subtype and subtype != "content":
                visibility, metadata, timestamp = event.get("visibility"), event.get("metadata"), event.get("timestamp")
                notice = Notice(
                    subtype if subtype.__class__ is str else _to_text(subtype),
                    data if data.__class__ is str else _to_text(data),
                    visibility if visibility.__class__ is str else "",
                    metadata if metadata.__class__ is dict else {},
                    timestamp
                    if timestamp.__class__ is float and -INFINITY < timestamp < INFINITY
                    else _seconds(timestamp),
                )
                events.append(notice)
            elif data.__class__ is str:
                self._add_text(data, events)
            elif data is not None:
                events.append(_malformed(line))
        elif kind == "end":
            self._read_end(event.get("data"), line, events)
        elif kind == "error":
            said = _to_text(event.get("data"))
            if words(said):
                self._fail(server_error(said), events)
            else:
                self._empty_error = True  # some engines send the real one behind it (protocol section 2.2)
        elif isinstance(kind, str):
            rest = {key: value for key, value in event.items() if key not in ("type", "data")}
            events.append(Notice(kind, _to_text(event.get("data")), metadata=rest))
        else:
            events.append(_malformed(line))

    def _read_end(self, data: Any, line: str, events: list[Event]) -> None:
        final = data
        if isinstance(data, str):
            try:
                final = decode_json(data.strip())
            except ValueError:
                final = None
        if isinstance(final, dict):
            self._finish(final, events)
        else:
            if data is not False:  # False is PHP's word for an object that it could not encode
                events.append(_malformed(line))
            self._finish({}, events)

    def _conclude(self, events: list[Event]) -> None:
        """End an answer whose body has ended with no ``end`` and no ``error``."""
        if self._empty_error:
            self._fail(ServerError("the site reported an error without a word about it"), events)
            return
        answer = read_answer(self._other.getvalue(), self._status, self._headers, streamed=self._streamed)
        if isinstance(answer, ChatError):
            self._fail(answer, events)
        else:
            self._finish(answer, events)

    def _finish(self, final: Json, events: list[Event]) -> None:
        if not final.get("success", True):
            self._fail(server_error(_to_text(final.get("message"))), events)
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
        self._close()

    def _fail_text(self, events: list[Event]) -> None:
        limit = self._max_text_size
        self._fail(TooLarge(f"the answer's text is larger than {limit} bytes; raise max_text_size to take it"), events)

    def _fail(self, error: ChatError, events: list[Event]) -> None:
        error.partial_text = self.text
        events.append(Failed(error))
        self._close()

    def _close(self) -> None:
        self._over = True
        self._lines.flush()
        self._forget_other()
        self._room = -1

    def _forget_other(self) -> None:
        if self._other_size:
            self._other = StringIO()
            self._set_other_size(0)

    def _set_other_size(self, size: int) -> None:
        self._other_size = size
        self._room = min(self._max_event_size, self._max_body_size - size)


class _Line(str):
    """A line in which JSON errors cost no time.

    The standard library counts the line ends before each error, which takes quadratic time for a long line with many
    places that look like an event. A line has none.
    """

    __slots__ = ()

    def count(self, *_: Any) -> int:
        return 0

    def rfind(self, *_: Any) -> int:
        return -1


def _find_event(line: str) -> tuple[Any, str] | None:
    """Return the event that follows other output in a line, decoded, and the line from its ``data:`` on, or None.

    It is the first ``data:`` whose rest is one JSON object with a string ``type``; blanks may surround the object. None
    in the place of the event means that Python's limits on numbers and nesting do not let it be decoded.
    """
    line = _Line(line.rstrip(" \t"))
    for start in _EVENT_START.finditer(line):
        try:
            event, end = scan_json(line, start.end())
        except (JSONDecodeError, StopIteration):
            continue
        except (ValueError, RecursionError):
            return None, line[start.start() :]
        if end == len(line) and isinstance(event.get("type"), str):
            return event, line[start.start() :]
    return None


def _decode(payload: str) -> Any:
    """Return the JSON value of a payload, or None: an event is never null."""
    try:
        return decode_json(payload)
    except ValueError:
        return None


def _utf8_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))  # JSON can hold lone surrogates


def _check_limits(**limits: int) -> None:
    for option, limit in limits.items():
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise InvalidInput(f"{option} must be an int of bytes, not {type(limit).__name__}")
        if limit < _SMALLEST_LIMIT:
            raise InvalidInput(f"{option} must be at least {_SMALLEST_LIMIT} bytes")


def _malformed(line: str) -> Notice:
    return Notice("malformed", mask_keys(line[5:].strip()[: 2 * _MALFORMED_SHOWN])[:_MALFORMED_SHOWN])


def _to_text(value: Any) -> str:
    """Return a string as it is, null as ``""``, and another JSON value as JSON."""
    if value is None:
        return ""
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):  # beyond Python's limits on numbers and nesting
        return "(too large or nested too deeply to show)"


def _seconds(value: Any) -> float | None:
    number = None if isinstance(value, str) else to_number(value)
    return None if number is None else float(number)


def _to_bytes(data: Any) -> bytes:
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise InvalidInput(f"a body comes as bytes, not as {type(data).__name__}")
