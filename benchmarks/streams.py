"""Many answers at once on one event loop, in a new process for each way and run: 200 and 1,000 streams.

All streams start one after the other and get one event. Then all get 25 paced events, and later the rest of 300 at
once. So ``starts`` and ``events`` are the CPU of two separate phases. ``lag`` is the time from the sending of a paced
event to its reading. ``memory`` is measured when each stream has read its 300 events and waits for the end. For
``aclose``, all streams are closed in the middle of their answers. The figures are ratios to aiohttp. The process of
one run is ``python -m benchmarks.streams WAY COUNT ADDRESS``.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from statistics import median

from .machine import raise_open_files, resident
from .measure import Plan, Result, medians, ratios, row
from .server import PHASE_EVENTS, ROOT, serving
from .ways import BASE, ways

_SECONDS = {200: 3.0, 1000: 5.0}  # the number of streams, and the time of their paced events
_PACED = 25
_RAMP = 0.001  # seconds between the starts of two streams, because 1,000 starts at once would hide the rest
_OURS = "AsyncClient"
_FIGURES = ("starts", "events", "lag", "memory", "aclose")
_UNITS = {"starts": (1e6, "us a stream"), "events": (1e6, "us an event"), "lag": (1e3, "ms"), "memory": (1e-3, "KB")}


def run(plan: Plan) -> list[Result]:
    """Return the ratios for each number of streams."""
    counts = {count: 10 if plan.quick else count for count in _SECONDS}
    with serving() as url:
        return [result for count, used in counts.items() for result in _compare(count, used, url, plan)]


def _compare(count: int, used: int, url: str, plan: Plan) -> list[Result]:
    base = BASE[_OURS]
    names = [name for name in (_OURS, "asyncio", base) if name in ways()]
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(plan.few):
        for name in names[:: -1 if number % 2 else 1]:
            runs[name].append(_run_process(name, used, url))
    results = []
    for figure in _FIGURES:
        title = f"{count} streams, {figure}"
        figures = {name: [one[figure] for one in found] for name, found in runs.items()}
        factor, unit = _UNITS.get(figure, (1e6, "us a stream"))
        note = f"{factor * median(figures[_OURS]):.3g} {unit}"
        if base not in figures:
            results.append(row("streams", title, [], f"not measured, since {base} is not installed: {note}"))
            continue
        note += f", {base}: {factor * median(figures[base]):.3g}"
        shares = ratios(figures[_OURS], figures[base])
        results.append(row("streams", title, shares, note, medians(figures, base, [_OURS])))
    return results


def _run_process(name: str, count: int, url: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.streams", name, str(count), url]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    figures: dict[str, float] = json.loads(output)
    return figures


class Streams:
    """So many streams at once of one way: their lags, and their events so far."""

    def __init__(self, name: str, count: int) -> None:
        self.way, self.count = ways()[name], count
        self.lags: list[float] = []
        self.events = 0

    async def wait_for(self, events: int) -> None:
        """Return when each stream has read so many events."""
        while self.events < events * self.count:
            await asyncio.sleep(0.01)

    async def read(self, number: int, client: object, prompt: str) -> None:
        """Read one stream to its end, and note the lags of its paced events."""
        await asyncio.sleep(_RAMP * number)  # real streams do not start at the same moment either
        place = 0
        async for text in self.way.ask(client, prompt):
            self.events += 1
            if 0 < place <= _PACED:
                self.lags.append(time.monotonic() - float(text))
            place += 1


async def measure(name: str, count: int, url: str) -> dict[str, float]:
    """Return the figures of one run: CPU seconds a stream or an event, seconds of lag, and bytes of a stream."""
    streams = Streams(name, count)
    client = await streams.way.open(url)
    async for _ in streams.way.ask(client, "tokens 3"):  # imports all modules and makes a first connection
        pass
    pause, hold = _SECONDS.get(count, 0.5) / _PACED, 2 * _RAMP * count + 0.1
    before, start = resident(), time.process_time()
    tasks = [
        asyncio.create_task(streams.read(number, client, f"phases {_PACED} {pause:.4f} {hold:.4f}"))
        for number in range(count)
    ]
    await streams.wait_for(1)
    started = time.process_time()
    await streams.wait_for(1 + _PACED)
    read = time.process_time()
    await streams.wait_for(PHASE_EVENTS)
    memory = resident() - before
    await asyncio.gather(*tasks)
    closing = await _close_all(streams, client)
    await streams.way.close(client)
    return {
        "starts": (started - start) / count,
        "events": (read - started) / count / _PACED,
        "lag": sorted(streams.lags)[int(0.99 * len(streams.lags))],
        "memory": memory / count,
        "aclose": closing / count,
    }


async def _close_all(streams: Streams, client: object) -> float:
    """Return the CPU seconds that closing all streams takes, each after its first event."""
    answers = [streams.way.ask(client, "phases 1 60 60") for _ in range(streams.count)]
    for answer in answers:
        await anext(answer)
    start = time.process_time()
    for answer in answers:
        await answer.aclose()
    await asyncio.sleep(0)  # the event loop closes the sockets
    return time.process_time() - start


if __name__ == "__main__":
    raise_open_files()
    print(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2]), sys.argv[3]))))
