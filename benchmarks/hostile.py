"""The lag of 499 streams of one client while another one is hostile: the 99th percentile in milliseconds.

``comments`` is a stream of comment lines, compressed by gzip to a thousandth. ``tiny chunks`` is a million chunks of
one byte. The client asks the hostile site again whenever its answer ends or is refused, until the other streams end.
The hostile site has a process of its own, so that only the client can delay the other streams. The note has the lag of
the same streams without a hostile one.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import suppress
from statistics import median

from .machine import raise_open_files
from .measure import Plan, Result, row
from .server import ROOT, serving
from .ways import ways

_STREAMS, _SECONDS = 500, 5.0
_QUICK_STREAMS, _QUICK_SECONDS = 5, 0.2
_EVENTS = 20
_PROMPTS = {"comments": "comments 1000", "tiny chunks": "tiny 1000000"}
_OURS, _PEER = "AsyncClient", "aiohttp"


def run(plan: Plan) -> list[Result]:
    """Return the lag beside each hostile stream."""
    size = (_QUICK_STREAMS, _QUICK_SECONDS) if plan.quick else (_STREAMS, _SECONDS)
    names = [name for name in (_OURS, _PEER) if name in ways()]
    lags: dict[tuple[str, str], list[float]] = {}
    with serving() as url, serving() as hostile_url:
        for _ in range(plan.few):
            for kind in ("", *_PROMPTS):
                for name in names:
                    lags.setdefault((kind, name), []).append(_run_process(name, size, url, kind, hostile_url))
    quiet = {name: median(lags["", name]) for name in names}
    note = ", ".join(f"{name} without it: {lag:.1f} ms" for name, lag in quiet.items())
    return [
        row("hostile", kind, lags[kind, _OURS], note, {name: median(lags[kind, name]) for name in names[1:]})
        for kind in _PROMPTS
    ]


def _run_process(name: str, size: tuple[int, float], url: str, kind: str, hostile_url: str) -> float:
    hostile = [hostile_url, _PROMPTS[kind]] if kind else []
    command = [sys.executable, "-m", "benchmarks.hostile", name, *map(str, size), url, *hostile]
    return float(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)


async def measure(name: str, count: int, seconds: float, url: str, hostile_url: str = "", prompt: str = "") -> float:
    """Return the 99th percentile of the lag in milliseconds. Without ``prompt``, no stream is hostile."""
    way, lags = ways()[name], []
    client = await way.open(url)
    pause = seconds / _EVENTS

    async def read(number: int) -> None:
        await asyncio.sleep(pause * number / count)  # spreads the events of all streams evenly
        place = 0
        async for text in way.ask(client, f"timed {_EVENTS} {pause:.4f}"):
            if place:  # the lag of the first event has the start of the stream
                lags.append(time.monotonic() - float(text))
            place += 1

    async def attack() -> None:
        # The shared client would not connect to another site. A client of its own shares the event loop.
        hostile = await way.open(hostile_url)
        try:
            while True:
                with suppress(Exception):  # both clients refuse some of these answers, each with errors of its own
                    async for _ in way.ask(hostile, prompt):
                        pass
                await asyncio.sleep(0)
        finally:
            await way.close(hostile)

    attacking = asyncio.create_task(attack()) if prompt else None
    await asyncio.gather(*(read(number) for number in range(count - bool(prompt))))
    if attacking is not None:
        attacking.cancel()
        await asyncio.wait([attacking])
    await way.close(client)
    return 1000 * sorted(lags)[int(0.99 * len(lags))]


if __name__ == "__main__":
    raise_open_files()
    _, way_name, number, duration, *addresses = sys.argv
    print(json.dumps(asyncio.run(measure(way_name, int(number), float(duration), *addresses))))
