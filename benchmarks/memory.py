"""The memory: the peak in MB, without the answer's text, of a parser that reads 200 MB, measured by tracemalloc.

The parser must store the text, since ``Done`` carries it. If it stores nothing else, the figure does not grow with the
answer. ``tokens`` has millions of events, so it shows events or lines that are stored. ``long`` is nearly all text, so
it shows copies of the text. The pieces have 64 KiB, and the figure includes one of them. The figure for ``end`` is
measured when the reply is returned, in multiples of the text: 1.0 means one more copy of it. ``huge`` is the peak
while one event of 5 MB arrives in pieces of 64 KiB, in multiples of the event.
"""

from __future__ import annotations

import tracemalloc

from chatgpt4online import Done, EventParser

from . import workloads
from .measure import Plan, Result, row

_SIZE, _QUICK = 200_000_000, 1_000_000  # bytes of the stream
_END = b'data: {"type":"end","data":"{\\"success\\":true}"}\n\n'
_TEXTS = {"tokens": " weather", "long": "All the words of a long reply. " * 33}


def run(plan: Plan) -> list[Result]:
    """Return two figures for each length of event, and one for a huge event. All rounds would allocate the same."""
    size = _QUICK if plan.quick else _SIZE
    return [result for name, text in _TEXTS.items() for result in _measure(name, text, size)] + [_huge()]


def _measure(name: str, text: str, total: int) -> list[Result]:
    payload = workloads.encode_text(text)
    count = total // (len(payload) + len("data: \n\n"))
    size = count * len(text)
    pieces = workloads.repeated(payload, count)
    tracemalloc.start()
    try:
        parser = EventParser(max_text_size=total)
        for piece in pieces:
            parser.receive_data(piece)
        _, streaming = tracemalloc.get_traced_memory()
        last = parser.receive_data(_END)[-1]
        _, whole = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if not (isinstance(last, Done) and len(last.reply.text) == size):
        raise AssertionError("the reply is not complete")
    note = f"{count:,} events, {size / 1e6:.0f} MB of text"
    return [
        row("memory", name, [(streaming - size) / 1e6], note),
        row("memory", f"{name}, end", [(whole - size) / size]),
    ]


def _huge() -> Result:
    pieces = workloads.huge(piece=workloads.PIECE).pieces
    tracemalloc.start()
    try:
        parser = EventParser()
        for piece in pieces:
            parser.receive_data(piece)
        return row("memory", "huge, peak", [tracemalloc.get_traced_memory()[1] / workloads.HUGE])
    finally:
        tracemalloc.stop()
