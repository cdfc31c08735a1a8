"""The first event over TLS through 80 ms: the round trips and the milliseconds, beyond the best hand-written loop.

The loops are those over requests and over aiohttp. curl is shown beside them, if it is installed; it measures its own
times, without the start of its process. ``new`` is a new client, which fetches its
nonce. ``session known`` is a new client with a nonce. ``warm`` is a client with an open connection.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from functools import partial
from statistics import median

from .asking import Asker, first_event, warm_event
from .measure import Plan, Result, row
from .relay import Distance, distant
from .server import NONCE, PATH, SESSION_PATH, certified, serving
from .ways import OURS, Way, ways

_PROMPT = "tokens 3"
_ROUND_TRIP = 0.08  # seconds: a site on the same continent
_QUICK = 0.004
_LOOPS = ("read1", "aiohttp")

Tasks = dict[str, Callable[[], float]]


def run(plan: Plan) -> list[Result]:
    """Return the round trips and the milliseconds of each state and client."""
    found = {name: way for name, way in ways().items() if name in (*OURS, *_LOOPS)}
    with ExitStack() as stack:
        url = stack.enter_context(serving(stack.enter_context(certified())))
        site = stack.enter_context(distant(url, _QUICK if plan.quick else _ROUND_TRIP))
        runner = stack.enter_context(asyncio.Runner())
        askers = {name: stack.enter_context(closing(Asker(way, site.url, runner))) for name, way in found.items()}
        states: dict[str, Tasks] = {
            "new": _first_events(found, site.url, runner, is_new=True),
            "session known": _first_events(found, site.url, runner, is_new=False),
            "warm": {name: partial(warm_event, asker, _PROMPT) for name, asker in askers.items()},
        }
        if curl := shutil.which("curl"):
            for state, tasks in states.items():
                tasks["curl"] = partial(_ask_curl, curl, state, site.url)
        return [result for state, tasks in states.items() for result in _compare(state, tasks, site, plan)]


def _first_events(found: Mapping[str, Way], url: str, runner: asyncio.Runner, *, is_new: bool) -> Tasks:
    return {name: partial(first_event, way, url, runner, _PROMPT, is_new=is_new) for name, way in found.items()}


def _compare(state: str, tasks: Tasks, site: Distance, plan: Plan) -> list[Result]:
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    trips: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(plan.rounds + 1):
        for name in list(tasks)[:: -1 if number % 2 else 1]:
            site.trips()
            figure = tasks[name]()
            count = site.trips()
            if number:  # the first round warms up
                seconds[name].append(1000 * figure)
                trips[name].append(count)
    best = min((name for name in _LOOPS if name in tasks), key=lambda name: median(seconds[name]))
    results = []
    for ours in OURS:
        for what, figures, unit in (("round trips", trips, ""), ("time", seconds, " ms")):
            beyond = {name: [a - b for a, b in zip(figures[name], figures[best], strict=True)] for name in figures}
            note = f"{median(figures[ours]):.4g}{unit}, {best}: {median(figures[best]):.4g}{unit}"
            # a warm curl has to open its connection in the same process, so its round trips are not comparable
            hidden = {*OURS, "curl"} if state == "warm" and what == "round trips" else set(OURS)
            peers = {name: median(beyond[name]) for name in tasks if name not in hidden}
            results.append(row("distance", f"{ours}, {state}, {what}", beyond[ours], note, peers))
    return results


def _ask_curl(curl: str, state: str, url: str) -> float:
    """Return the seconds that curl needs until the first byte of the answer. It sends the same requests."""
    question = json.dumps({"botId": "default", "newMessage": _PROMPT, "messages": [], "stream": True})
    common = [curl, "--silent", "--http1.1", "--output", "/dev/null", "--request", "POST"]
    ask = ["--write-out", "%{time_starttransfer}", "--header", f"X-WP-Nonce: {NONCE}", "--data", question, url + PATH]
    before = {
        "new": ["--write-out", "%{time_total} ", "--data", "", url + SESSION_PATH],
        "warm": ["--write-out", " ", "--data", question, url + PATH],
        "session known": [],
    }[state]
    command = [*common, *before, "--next", *common[1:], *ask] if before else [*common, *ask]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return sum(map(float, said.split()))
