"""The memory: the peak, in MB, that 200 MB of streamed answer leave beyond the answer's text, by tracemalloc.

The text itself has to be held, since ``Done`` carries it; a parser that keeps nothing else stays flat however long the
answer is. ``tokens`` would show events or lines that are kept, as it has millions of them; ``long`` would show copies
of the text, of which it nearly consists. The pieces are of 64 KiB, and one of them counts as the parser's. The figure
for ``end`` is taken when the text is handed over, in multiples of the text: 1.0 is one copy of it besides.
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
    """Return two figures for each length of event; ``rounds`` is not used, as allocations are the same in each."""
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
        raise AssertionError("the answer did not come through")
    note = f"{count:,} events, {size / 1e6:.0f} MB of text"
    return [
        Result(name, (streaming - size) / 1e6, _MARK, "MB", f"{note}; mark ours"),
        Result(
            f"{name}, end", (whole - size) / size, _END_MARK, note="more than the text, at its handing over; mark ours"
        ),
    ]
