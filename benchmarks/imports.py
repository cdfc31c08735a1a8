"""The import: the CPU time of ``from chatgpt4online import EventParser`` over that of ``import requests``.

Each time is the CPU time of a new interpreter that only does this import, minus that of one that does nothing. So 0.4
means that the import of the parser costs 0.4 times as much as that of requests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from statistics import median

from .measure import Plan, Result, interleaved, row
from .server import ROOT

_STATEMENTS = {
    "bare": "pass",
    "ours": "from chatgpt4online import EventParser",
    "requests": "import requests",
}


def run(plan: Plan) -> list[Result]:
    """Return a list with one ratio."""
    tasks = {name: partial(_start, statement) for name, statement in _STATEMENTS.items()}
    times = interleaved(tasks, plan.rounds)
    bare = median(times["bare"])  # the small difference of two starts would be mostly noise in a single round
    requests = median(times["requests"]) - bare
    ours = [seconds - bare for seconds in times["ours"]]
    note = f"{1000 * median(ours):.1f} ms over {1000 * requests:.1f} ms, beyond a bare start of {1000 * bare:.1f} ms"
    return [row("imports", "EventParser", [seconds / requests for seconds in ours], note)]


def _start(statement: str) -> float:
    """Return the CPU seconds of a new interpreter with this statement."""
    # The first round, which does not count, writes the bytecode. Otherwise the figure could be that of the compiler.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    child = subprocess.Popen([sys.executable, "-c", statement], cwd=ROOT, env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)  # Popen cannot wait for it any more
    if child.returncode:
        raise AssertionError(f"{statement!r} failed")
    return usage.ru_utime + usage.ru_stime
