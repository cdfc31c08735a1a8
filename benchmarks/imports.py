"""The import: the time of ``from chatgpt4online import EventParser`` over that of ``import requests``.

Each time is the median wall-clock time of a new interpreter that only does this import, minus that of one that does
nothing. So 0.4 means that the import of the parser takes 0.4 times as long as that of requests.
"""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median

from .measure import Result, interleaved

_ROOT = Path(__file__).parents[1]
_MARK = 0.4
_STATEMENTS = {
    "bare": "pass",
    "ours": "from chatgpt4online import EventParser",
    "requests": "import requests",
}


def run(rounds: int) -> list[Result]:
    """Return a list with one ratio."""
    tasks = {name: partial(_start, statement) for name, statement in _STATEMENTS.items()}
    times = {name: median(seconds) for name, seconds in interleaved(tasks, rounds).items()}
    ours, requests = times["ours"] - times["bare"], times["requests"] - times["bare"]
    note = f"{1000 * ours:.1f} ms over {1000 * requests:.1f} ms, beyond a bare start of {1000 * times['bare']:.1f} ms"
    return [Result("EventParser / requests", ours / requests, _MARK, note=note)]


def _start(statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], cwd=_ROOT, check=True)
    return time.perf_counter() - start
