"""The parser: its CPU time over that of ``json.loads`` for the same payloads, which it gets as strings.

So 1.0 is the cost of decoding every payload in the obvious way, without splitting bytes, decoding UTF-8 and making
events. Less is possible, since ``json.loads`` does more than its scanner. The peers make the same objects:
``split+loads`` is the usual hand-written loop in its shortest form, and httpx-sse is used with ``json.loads`` if it is
installed. ``huge`` is another ratio: the time for an event of 5 MB over that for one of 2.5 MB. It is 2 for a linear
parser and 4 for a quadratic one.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec

from chatgpt4online import EventParser

from . import workloads
from .measure import Result, cpu, interleaved, ratio
from .workloads import Workload

_MARKS: dict[str, tuple[Callable[[], Workload], float, str]] = {
    "tokens": (workloads.tokens, 0.9, "short events, one a piece"),
    "burst": (workloads.burst, 0.55, "short events, 64 KiB pieces"),
    "drip": (workloads.drip, 2.2, "short events, 17-byte pieces"),
    "notices": (workloads.notices, 1.1, "long events, one a piece"),
    "escapes": (workloads.escapes, 0.9, "\\uXXXX, one a piece; mark ours"),
    "escapes burst": (workloads.escapes_burst, 0.55, "\\uXXXX, 64 KiB pieces; mark ours"),
}
_HUGE_MARK = 2.2
_HUGE_PEER_ROUNDS = 1  # a quadratic peer takes seconds, so one round shows it


def run(rounds: int) -> list[Result]:
    """Return the ratio of each workload for our parser and the peers."""
    return [*(_compare(name, rounds) for name in _MARKS), _compare_huge(rounds)]


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


def _compare(name: str, rounds: int) -> Result:
    make, mark, note = _MARKS[name]
    workload = make()
    work = {"loads": partial(_load, workload.payloads), "ours": partial(feed, workload.pieces)}
    work |= {peer: partial(parse, workload.pieces) for peer, parse in peers().items()}
    seconds = interleaved({key: partial(cpu, job) for key, job in work.items()}, rounds)
    ratios = {key: ratio(figures, seconds["loads"]) for key, figures in seconds.items()}
    return Result(name, ratios["ours"], mark, note=note, peers={peer: ratios[peer] for peer in peers()})


def _compare_huge(rounds: int) -> Result:
    whole, half = workloads.huge(), workloads.huge(workloads.HUGE // 2)

    def growth(parse: Callable[[Iterable[bytes]], None], rounds: int) -> float:
        seconds = interleaved(
            {"whole": partial(cpu, partial(parse, whole.pieces)), "half": partial(cpu, partial(parse, half.pieces))},
            rounds,
        )
        return ratio(seconds["whole"], seconds["half"])

    return Result(
        "huge",
        growth(feed, rounds),
        _HUGE_MARK,
        note="one event, 5 MB over 2.5 MB, 1 KiB pieces",
        peers={peer: growth(parse, _HUGE_PEER_ROUNDS) for peer, parse in peers().items()},
    )
