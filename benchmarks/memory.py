"""The memory: the peak in MB, without the answer's text, of a parser that reads 200 MB, measured by tracemalloc.

The parser must store the text, since ``Done`` carries it. If it stores nothing else, the figure does not grow with the
answer. ``tokens`` has millions of events, so it shows events or lines that are stored. ``long`` is nearly all text, so
it shows copies of the text. The pieces have 64 KiB, and the figure includes one of them. The figure for ``end`` is
measured when the reply is returned, in multiples of the text: 1.0 means one more copy of it.
"""

from __future__ import annotations

import tracemalloc

from chatgpt4online import Done, EventParser

from . import workloads
from .measure import Result

_SIZE = 200_000_000  # bytes of the stream
_END = b'data: {"type":"end","data":"{\\"success\\":true}"}\n\n'
_MARK = 1.0  # MB
_END_MARK = 1.1
_TEXTS = {"tokens": " weather", "long": "All the words of a long reply. " * 33}


def run(rounds: int) -> list[Result]:
    """Return two figures for each length of event. ``rounds`` has no effect, as all rounds allocate the same."""
    return [result for name, text in _TEXTS.items() for result in _measure(name, text)]


def _measure(name: str, text: str) -> list[Result]:
    payload = workloads.encode_text(text)
    count = _SIZE // (len(payload) + len("data: \n\n"))
    size = count * len(text)
    pieces = workloads.repeated(payload, count)
    tracemalloc.start()
    try:
        parser = EventParser(max_text_size=_SIZE)
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
        Result(name, (streaming - size) / 1e6, _MARK, "MB", f"{note}; mark ours"),
        Result(
            f"{name}, end", (whole - size) / size, _END_MARK, note="beyond the text, when it is returned; mark ours"
        ),
    ]
