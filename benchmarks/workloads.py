"""The answers for the benchmarks: their events, their payloads, and their bytes in pieces.

All functions are pure: the same call always returns the same bytes. The shapes are those of protocol sections 2.1 to
2.3 and of ``tests/captures``. ``tests/test_benchmarks.py`` checks each workload.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from chatgpt4online import Event, Notice, Text

COUNT = 10_000  # events of a workload: enough for some milliseconds
PIECE = 65_536  # bytes of one read from a busy socket
DRIP = 17  # bytes of a slow piece: smaller than any event, and a prime, so that events are cut everywhere
HUGE = 5_000_000  # bytes of the single event
LONG = 800  # characters of a long event
HUGE_PIECE = 1_024  # bytes: small enough to show quadratic time

_ENGLISH = """\
Sure! Here is a short plan for a weekend in Lisbon. On Saturday, take the tram up to the castle, walk down through the
old quarter, and eat at one of the small places by the river; most of them have no menu in English, so ask.

1. **Morning**: the market at Campo de Ourique.
2. **Afternoon**: the tile museum (see https://example.org/tiles), or "just" the garden next door.
3. **Evening**: music. Book a table before six o'clock, as the good seats don't wait for anybody.

On Sunday the trains to Sintra leave twice an hour. Take water, good shoes and a jacket: it is cooler up there.
"""
_RUSSIAN = """\
Конечно! Вот короткий план на выходные. В субботу поднимитесь на трамвае к замку, спуститесь пешком через старый
квартал и поужинайте у реки. В воскресенье поезжайте за город: поезда ходят дважды в час, а дорога занимает сорок
минут. Возьмите воду, удобную обувь и куртку, потому что наверху заметно прохладнее.
"""  # noqa: RUF001  # it is Russian
_THOUGHT = (
    "**Weighing the options**\n\nThe visitor asks about opening hours, and two pages of the site disagree. The contact "
    "page was changed last, so its hours are likely to be right; I will name both and say which one is newer."
)
_CODE = (
    "import csv\n\nwith open('sales.csv') as file:\n    print(sum(float(row['total']) for row in csv.DictReader(file)))"
)

# subtype, visibility, text and metadata, as in protocol section 2.3
_NOTICES: list[tuple[str, str, str, dict[str, Any] | None]] = [
    ("embeddings", "visible", "Found 3 relevant context(s) from embeddings.", {"count": 3}),
    ("status", "collapsed", "Generating response...", {"model": "gpt-5-mini", "id": "resp_68b1f0c2a9d4819f8e37"}),
    ("thinking", "collapsed", _THOUGHT, None),
    (
        "mcp_discovery",
        "collapsed",
        "Got 2 MCP server(s) and 17 tool(s).",
        {"server_count": 2, "tool_count": 17, "servers": ["wordpress", "calendar"]},
    ),
    (
        "tool_call",
        "visible",
        "Calling get_weather...",
        {"tool_name": "get_weather", "arguments": {"city": "Москва", "units": "metric"}, "call_id": "call_Xk29fQ7a"},
    ),
    (
        "tool_result",
        "visible",
        "Got result from get_weather.",
        {"tool_name": "get_weather", "result": "sunny, +25°C in Москва", "tool_id": "call_Xk29fQ7a"},
    ),
    ("status", "collapsed", "Request sent...", {"is_feedback": True, "feedback_count": 1}),
    ("code", "visible", "Wrote Python code (4 lines).", {"full_code": _CODE}),
]


@dataclass(frozen=True, slots=True)
class Workload:
    """One answer without its end: ``events``, their ``payloads`` (one for each), and the bytes in ``pieces``."""

    events: list[Event]
    payloads: list[str]
    pieces: list[bytes]


def tokens(count: int = COUNT) -> Workload:
    """Return short events of English text, one in each piece, as a model writes them."""
    return _one_a_piece(_texts(_ENGLISH, count))


def burst(count: int = COUNT) -> Workload:
    """Return the events of :func:`tokens` in pieces of 64 KiB, as a proxy with a buffer sends them."""
    return _cut(_texts(_ENGLISH, count), PIECE)


def drip(count: int = COUNT) -> Workload:
    """Return the events of :func:`tokens` in pieces of 17 bytes, which cut the events at every place."""
    return _cut(_texts(_ENGLISH, count), DRIP)


def escapes(count: int = COUNT) -> Workload:
    r"""Return short events of Russian text, all ``\uXXXX``, one in each piece."""
    return _one_a_piece(_texts(_RUSSIAN, count))


def escapes_burst(count: int = COUNT) -> Workload:
    """Return the events of :func:`escapes` in pieces of 64 KiB."""
    return _cut(_texts(_RUSSIAN, count), PIECE)


def notices(count: int = COUNT) -> Workload:
    """Return the notices of a site whose event logs are on, one in each piece."""
    return _one_a_piece(_notices(count))


def notices_burst(count: int = COUNT) -> Workload:
    """Return the events of :func:`notices` in pieces of 64 KiB, as a proxy with a buffer sends them."""
    return _cut(_notices(count), PIECE)


def long(count: int = COUNT // 10) -> Workload:
    """Return events of about 1 KB of English text in pieces of 64 KiB, as a site sends that collects words."""
    prose = _ENGLISH + _ENGLISH
    return _cut([_text(prose[at : at + LONG]) for at in islice(cycle(range(0, len(_ENGLISH), 7)), count)], PIECE)


def huge(size: int = HUGE, piece: int = HUGE_PIECE) -> Workload:
    """Return one event of ``size`` bytes, including its line ends, in pieces of ``piece`` bytes."""
    frame = len(_frame(encode_text("")))
    return _cut([_text("x" * (size - frame))], piece)


def filler(count: int = COUNT) -> list[bytes]:
    """Return lines that are not events, in pieces of 64 KiB: comments, other fields, and empty lines."""
    data = b"".join(islice(cycle([b": ping\n", b"\n", b"event: message\n", b"id: 17\n", b"retry: 3000\n"]), count))
    return [data[at : at + PIECE] for at in range(0, len(data), PIECE)]


def repeated(payload: str, count: int) -> Iterator[bytes]:
    """Yield ``count`` events of one payload in pieces of 64 KiB. Only one piece is in memory at a time."""
    frame = _frame(payload)
    tape, size = frame * (PIECE // len(frame) + 2), len(frame) * count
    for start in range(0, size, PIECE):
        offset = start % len(frame)
        yield tape[offset : offset + min(PIECE, size - start)]


def encode(fields: dict[str, Any]) -> str:
    r"""Return the payload as PHP's ``json_encode`` writes it: no spaces, only ASCII, and ``/`` as ``\/``."""
    return json.dumps(fields, separators=(",", ":")).replace("/", "\\/")


def encode_text(text: str) -> str:
    """Return the payload of one piece of an answer."""
    return encode({"type": "live", "data": text})


def _text(text: str) -> tuple[Event, str]:
    return Text(text), encode_text(text)


def _texts(prose: str, count: int) -> list[tuple[Event, str]]:
    words = re.findall(r" ?\w+|\s+|[^\w\s]+", prose)
    return [_text(word) for word in islice(cycle(words), count)]


def _notices(count: int) -> list[tuple[Event, str]]:
    made: list[tuple[Event, str]] = []
    for number, (subtype, visibility, text, metadata) in enumerate(islice(cycle(_NOTICES), count)):
        timestamp = 1_795_400_559.562376 + number / 1000
        fields = {"type": "live", "data": text, "timestamp": timestamp, "subtype": subtype, "visibility": visibility}
        if metadata is not None:
            fields["metadata"] = metadata
        made.append((Notice(subtype, text, visibility, metadata or {}, timestamp), encode(fields)))
    return made


def _frame(payload: str) -> bytes:
    return b"data: %b\n\n" % payload.encode()


def _one_a_piece(made: Iterable[tuple[Event, str]]) -> Workload:
    events, payloads = map(list, zip(*made, strict=True))
    return Workload(events, payloads, [_frame(payload) for payload in payloads])


def _cut(made: Iterable[tuple[Event, str]], size: int) -> Workload:
    whole = _one_a_piece(made)
    data = b"".join(whole.pieces)
    return Workload(whole.events, whole.payloads, [data[at : at + size] for at in range(0, len(data), size)])
