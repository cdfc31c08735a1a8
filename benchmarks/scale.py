"""The growth of the CPU with sizes and numbers, as an exponent: 1 is linear, 2 is quadratic.

The exponent is the slope of the line through the three largest points, both sides as logarithms. The note has the
seconds of each point. An answer of 100 MB is longer than the default ``max_text_size``, so the clients have a higher
one here. ``turns`` is one more turn behind so many, since each question carries the whole history.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from . import workloads
from .asking import Asker
from .history import messages
from .measure import Plan, Result, cpu, exponent, interleaved, row
from .parser import feed
from .server import serving
from .uploads import sparse_file, uploaders
from .ways import OURS, ways

_ROUNDS = 3  # most rows take seconds at their largest point, and the exponent hardly varies
_QUICK_ROUNDS = 1
# Sizes in bytes, or numbers of streams, threads and turns. The smallest show the fixed cost.
_ANSWERS = (1_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
_UPLOADS = (5_000_000, 50_000_000, 500_000_000)
_TURNS = (10, 100, 300, 1_000)
_STREAMS = (1, 10, 200, 1_000, 5_000)
_THREADS = (1, 20, 100, 500)
_EVENTS = (16_000, 256_000, 4_000_000, 16_000_000)  # the limit is 16 MiB
_QUICK_DIVISOR = 100
_STREAM_PROMPT = "timed 5 0.2"  # long enough that all streams run at once
_HEAD_START = 0.0005  # seconds between the starts of two streams


@dataclass(frozen=True, slots=True)
class Growth:
    """One row: the points, and the function that does the work of one point. ``repeat`` makes short work measurable."""

    name: str
    points: Sequence[int]
    work: Callable[[int], object]
    repeat: int = 1


def run(plan: Plan) -> list[Result]:
    """Return the exponent of each row."""
    with ExitStack() as stack:
        url = stack.enter_context(serving())
        runner = stack.enter_context(asyncio.Runner())
        found = ways()
        askers = {name: stack.enter_context(closing(Asker(found[name], url, runner))) for name in OURS}
        return [_measure(growth, plan) for growth in _rows(askers, url, runner)]


def _rows(askers: Mapping[str, Asker], url: str, runner: asyncio.Runner) -> Iterable[Growth]:
    for name, asker in askers.items():
        yield Growth(f"{name}, short events", _ANSWERS, lambda size, asker=asker: asker.ask(f"short {size}"))
        yield Growth(f"{name}, long events", _ANSWERS, lambda size, asker=asker: asker.ask(f"wide {size}"))
        yield Growth(f"{name}, uploads", _UPLOADS, partial(_upload, name, url, runner))
        yield Growth(f"{name}, turns", _TURNS, partial(_ask_turn, asker), 5)
    yield Growth("AsyncClient, streams", _STREAMS, partial(_run_streams, askers["AsyncClient"]))
    yield Growth("Client, threads", _THREADS, partial(_run_threads, askers["Client"]))
    yield Growth("one event", _EVENTS, lambda size: feed(workloads.huge(size, workloads.PIECE).pieces))


def _measure(growth: Growth, plan: Plan) -> Result:
    def repeated(point: int) -> None:
        for _ in range(growth.repeat):
            growth.work(point)

    points = [max(1, point // _QUICK_DIVISOR) for point in growth.points] if plan.quick else list(growth.points)
    points = list(dict.fromkeys(points))
    tasks = {str(point): partial(cpu, partial(repeated, point)) for point in points}
    seconds = interleaved(tasks, _QUICK_ROUNDS if plan.quick else _ROUNDS, warm=0)
    note = ", ".join(f"{point:,}: {median(seconds[str(point)]) / growth.repeat:.3g} s" for point in points)
    rounds = zip(*seconds.values(), strict=True)
    slopes = [exponent(dict(zip(points, figures, strict=True))) for figures in rounds]
    return row("scale", growth.name, slopes, note)


def _upload(name: str, url: str, runner: asyncio.Runner, size: int) -> None:
    with sparse_file(size) as path:
        uploaders(url, path, runner)[name]()


def _ask_turn(asker: Asker, turns: int) -> None:
    """Continue a conversation of so many turns."""
    conversation: Any = asker.client.conversation(messages=messages(2 * turns))
    asked = conversation.ask("tokens 3")
    if asker.way.is_async:
        asker.runner.run(asked)


def _run_streams(asker: Asker, count: int) -> None:
    async def read(number: int) -> None:
        await asyncio.sleep(_HEAD_START * number)
        async for _ in asker.way.ask(asker.client, _STREAM_PROMPT):
            pass

    async def read_all() -> None:
        await asyncio.gather(*(read(number) for number in range(count)))

    asker.runner.run(read_all())


def _run_threads(asker: Asker, count: int) -> None:
    threads = [threading.Thread(target=asker.ask, args=(_STREAM_PROMPT,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
