"""The clients over loopback, beside other ways to ask the same question. The server has its own process.

The figures of ``Client`` are ratios to a loop over requests that reads by ``raw.read1``, and those of ``AsyncClient``
to a loop over aiohttp. The starts of a stream (``chat``, ``first event``, ``new``) and its events (the other rows) are
apart. ``bare``, ``asyncio`` and ``h11`` are floors: no library, and the fastest decoder. The peers are those that are
installed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from statistics import median

from .asking import Asker, count_reads, first_event
from .measure import Plan, Result, cpu, interleaved, medians, ratios, row
from .server import certified, serving
from .ways import BASE, FLOORS, OURS, Way, ways


@dataclass(frozen=True, slots=True)
class Answer:
    """A question, which is asked some times, and the number of events in each answer."""

    prompt: str
    events: int
    times: int = 1


SHORT = "tokens 3"
# A pause of 0.8 ms is enough to read an event before the next one arrives.
_ANSWERS = {
    "burst": Answer("tokens 2000", 2_000),
    "notices": Answer("notices 1000", 1_000),
    "long": Answer("long 500", 500),
    "paced": Answer("timed 150 0.0008", 150),
    "chat": Answer(SHORT, 3, 20),
}
_OVER_TLS = ("burst", "chat")
_QUICK = {name: Answer(re.sub(r" \d+", " 20", one.prompt, count=1), 20) for name, one in _ANSWERS.items()}


def run(plan: Plan) -> list[Result]:
    """Return the ratios of both clients and of the peers, over TCP and over TLS."""
    answers = _QUICK if plan.quick else _ANSWERS
    with serving() as url:
        results = _measure(ways(), url, "", answers, plan)
    with certified() as certificate, serving(certificate) as url:
        found = {name: way for name, way in ways().items() if name not in FLOORS}
        return results + _measure(found, url, ", TLS", {name: answers[name] for name in _OVER_TLS}, plan)


def _measure(
    found: Mapping[str, Way], url: str, suffix: str, answers: Mapping[str, Answer], plan: Plan
) -> list[Result]:
    results: list[Result] = []
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        askers = {name: stack.enter_context(closing(Asker(way, url, runner))) for name, way in found.items()}
        for name, answer in answers.items():
            results += _compare(askers, name, suffix, answer, plan)
        for name, is_new in {"first event": False, "new": True}.items():
            if not suffix or is_new:
                results += _compare_first(found, f"{name}{suffix}", is_new, url, runner, plan)
    return results


def _compare(askers: Mapping[str, Asker], name: str, suffix: str, answer: Answer, plan: Plan) -> list[Result]:
    def work(asker: Asker) -> None:
        for _ in range(answer.times):
            if (count := asker.ask(answer.prompt)) != answer.events:
                raise AssertionError(f"{count} of {answer.events} events came")

    seconds = interleaved({key: partial(cpu, partial(work, asker)) for key, asker in askers.items()}, plan.rounds)
    notes = {}
    for ours in OURS:
        notes[ours] = _microseconds(seconds[ours], answer)
        if name == "paced":
            reads = count_reads(partial(work, askers[ours]))
            notes[ours] += f", {answer.events / reads:.2f} events a read ({reads} reads)"
    return _compared(f"{name}{suffix}", seconds, notes)


def _microseconds(seconds: list[float], answer: Answer) -> str:
    count, what = (answer.times, "a chat") if answer.times > 1 else (answer.events, "an event")
    return f"{1e6 * median(seconds) / count:.2f} us {what}"


def _compared(name: str, seconds: Mapping[str, list[float]], notes: Mapping[str, str]) -> list[Result]:
    """Return the row of each client: its ratio to the best hand-written loop, and the ratios of the other ways."""
    kinds = {key: way.is_async for key, way in ways().items()}
    results = []
    for ours in OURS:
        if ours not in seconds:
            continue
        if (base := BASE[ours]) not in seconds:
            results.append(row("client", f"{ours}, {name}", [], f"not measured, since {base} is not installed"))
            continue
        beside = {key: figures for key, figures in seconds.items() if kinds[key] == kinds[ours]}
        figures = ratios(seconds[ours], seconds[base])
        results.append(row("client", f"{ours}, {name}", figures, notes.get(ours, ""), medians(beside, base, OURS)))
    return results


def _compare_first(
    found: Mapping[str, Way], name: str, is_new: bool, url: str, runner: asyncio.Runner, plan: Plan
) -> list[Result]:
    tasks = {
        key: partial(first_event, way, url, runner, SHORT, is_new=is_new)
        for key, way in found.items()
        if not key.startswith("httpx")  # it loads the certificates for each client, which takes most of a second
        and (way.open_new or way.greet or not is_new)
    }
    seconds = interleaved(tasks, plan.rounds * 3)
    notes = {ours: f"{1e6 * median(seconds[ours]):.0f} us a client" for ours in OURS}
    return _compared(name, seconds, notes)
