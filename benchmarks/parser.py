"""The parser: its CPU time over that of ``json.loads`` for the same payloads, which it gets as strings.

So 1.0 is the cost of decoding every payload in the obvious way, without splitting bytes, decoding UTF-8 and making
events. Less is possible, since ``json.loads`` does more than its scanner. The peers make the same objects:
``split+loads`` is the usual hand-written loop in its shortest form, and httpx-sse is used with ``json.loads`` if it is
installed. ``huge`` is another ratio: the time for an event of 5 MB over that for one of 2.5 MB. It is 2 for a linear
parser and 4 for a quadratic one. ``filler`` is the time for a line that is not an event over that for an event of
``tokens``.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from statistics import median

from chatgpt4online import EventParser

from . import workloads
from .measure import Plan, Result, cpu, interleaved, medians, ratios, row
from .workloads import Workload

_WORKLOADS: dict[str, Callable[..., Workload]] = {
    "tokens": workloads.tokens,
    "burst": workloads.burst,
    "drip": workloads.drip,
    "notices": workloads.notices,
    "notices burst": workloads.notices_burst,
    "long": workloads.long,
    "escapes": workloads.escapes,
    "escapes burst": workloads.escapes_burst,
}
_QUICK = 200  # events of a quick run
_HUGE_PEER_ROUNDS = 1  # a quadratic peer takes seconds, so one round shows it


def run(plan: Plan) -> list[Result]:
    """Return the ratio of each workload for our parser and the peers."""
    return [*(_compare(name, plan) for name in _WORKLOADS), _compare_filler(plan), _compare_huge(plan)]


def feed(pieces: Iterable[bytes]) -> None:
    """Parse the pieces with EventParser."""
    receive_data = EventParser().receive_data
    for piece in pieces:
        receive_data(piece)


def feed_split(pieces: Iterable[bytes]) -> None:
    """Parse the pieces with the usual hand-written loop: split the bytes into lines, and decode each."""
    held = b""
    for piece in pieces:
        *lines, held = (held + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data: "):
                json.loads(line[6:])


def feed_httpx_sse(pieces: Iterable[bytes]) -> None:
    """Parse the pieces with the decoders of httpx-sse, in the order in which its ``iter_sse`` calls them."""
    from httpx_sse._decoders import SSEDecoder, SSELineDecoder

    text, lines, events = codecs.getincrementaldecoder("utf-8")("replace"), SSELineDecoder(), SSEDecoder()
    for piece in pieces:
        for line in lines.decode(text.decode(piece)):
            event = events.decode(line.rstrip("\n"))
            if event is not None:
                json.loads(event.data)


def peers() -> dict[str, Callable[[Iterable[bytes]], None]]:
    """Return the other parsers that are installed, by name."""
    found: dict[str, Callable[[Iterable[bytes]], None]] = {"split+loads": feed_split}
    if find_spec("httpx_sse"):
        found["httpx-sse"] = feed_httpx_sse
    return found


def _load(payloads: Iterable[str]) -> None:
    for payload in payloads:
        json.loads(payload)


def _compare(name: str, plan: Plan) -> Result:
    workload = _WORKLOADS[name](_QUICK) if plan.quick else _WORKLOADS[name]()
    work = {"loads": partial(_load, workload.payloads), "ours": partial(feed, workload.pieces)}
    work |= {peer: partial(parse, workload.pieces) for peer, parse in peers().items()}
    seconds = interleaved({key: partial(cpu, job) for key, job in work.items()}, plan.rounds)
    note = f"{1e6 * median(seconds['ours']) / len(workload.events):.2f} us an event"
    return row("parser", name, ratios(seconds["ours"], seconds["loads"]), note, medians(seconds, "loads", ["ours"]))


def _compare_filler(plan: Plan) -> Result:
    pieces = {"tokens": workloads.tokens().pieces, "lines": workloads.filler()}
    seconds = interleaved({key: partial(cpu, partial(feed, each)) for key, each in pieces.items()}, plan.rounds)
    note = f"{1e6 * median(seconds['lines']) / workloads.COUNT:.2f} us a line"
    return row("parser", "filler", ratios(seconds["lines"], seconds["tokens"]), note)


def _compare_huge(plan: Plan) -> Result:
    size = workloads.HUGE // (20 if plan.quick else 1)
    whole, half = workloads.huge(size), workloads.huge(size // 2)

    def growth(parse: Callable[[Iterable[bytes]], None], rounds: int) -> list[float]:
        seconds = interleaved(
            {"whole": partial(cpu, partial(parse, whole.pieces)), "half": partial(cpu, partial(parse, half.pieces))},
            rounds,
        )
        return ratios(seconds["whole"], seconds["half"])

    others = {peer: median(growth(parse, _HUGE_PEER_ROUNDS)) for peer, parse in peers().items()}
    return row("parser", "huge", growth(feed, plan.rounds), "5 MB over 2.5 MB, 1 KiB pieces", others)
