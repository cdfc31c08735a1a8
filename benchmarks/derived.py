"""Derived clients: the memory and the time of one ``client.with_options()``, as the mean of 1,000.

A back end makes one for each of its users. ``visitor`` has a session of its own, and ``bot`` shares that of its parent.
The memory is measured by tracemalloc. A client gets a jar only with its first cookie, so the figure has none.
"""

from __future__ import annotations

import tracemalloc
from functools import partial
from typing import Any

from chatgpt4online import AsyncClient, Client

from .measure import Plan, Result, cpu, interleaved, row

_COUNT = 1_000
_KINDS: dict[str, dict[str, Any]] = {"visitor": {"new_session": True}, "bot": {"bot_id": "support"}}


def run(plan: Plan) -> list[Result]:
    """Return the time and the memory for each client and kind."""
    makers = {
        f"{parent.__name__}, {kind}": partial(_derive, parent("https://example.org"), options)
        for parent in (Client, AsyncClient)
        for kind, options in _KINDS.items()
    }
    times = interleaved({name: partial(cpu, make) for name, make in makers.items()}, plan.rounds)
    results = []
    for name, make in makers.items():
        microseconds = [seconds / _COUNT * 1e6 for seconds in times[name]]
        results += [
            row("derived", f"{name}, time", microseconds),
            row("derived", f"{name}, memory", [_memory(make) / _COUNT / 1e3]),
        ]
    return results


def _derive(parent: Client | AsyncClient, options: dict[str, Any]) -> list[Client | AsyncClient]:
    return [parent.with_options(**options) for _ in range(_COUNT)]


def _memory(make: partial[list[Client | AsyncClient]]) -> int:
    """Return the bytes that the result of ``make`` occupies."""
    make()  # the first call fills caches
    tracemalloc.start()
    try:
        made = make()
        size = tracemalloc.get_traced_memory()[0]
        del made
        return size
    finally:
        tracemalloc.stop()
