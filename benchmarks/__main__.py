"""Run the named benchmarks, and print their figures beside their marks: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from chatgpt4online import __version__

from . import machine
from .measure import Plan, Result
from .report import summary, table

# The name of each module, which has a function run(plan) -> list[Result], and a description.
BENCHMARKS = {
    "parser": "CPU per event, over json.loads alone on the same payloads",
    "imports": "CPU of the import of EventParser, over import requests",
    "client": "CPU per event and chat, and first event, over TCP and TLS on loopback (two minutes)",
    "distance": "first event over TLS through 80 ms: round trips and milliseconds (a minute)",
    "streams": "200 and 1,000 answers at once: starts, events, lag, memory, aclose (five minutes)",
    "hostile": "lag of 499 streams beside a hostile one (a minute)",
    "uploads": "uploads of 100 MB",
    "history": "a question behind 600 messages",
    "derived": "time and memory of one client.with_options(), as the mean of 1,000",
    "memory": "peak beyond the text that 200 MB of answer leave (half a minute)",
    "scale": "growth of the cost with sizes and numbers (four minutes)",
    "gateway": "requests, first token, 500 streams at once and 10,000 chats through the gateway (three minutes)",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 1 when ``--check`` was given and a mark was clearly missed, else 0."""
    options = _options(arguments)
    machine.raise_open_files()
    plan, about, before = Plan(options.rounds, options.quick), machine.describe(), machine.load()
    if not options.json:
        print(f"chatgpt4online {__version__}, {about['python']}, {about['system']}, {about['cpus']} CPUs")
        print(f"{plan.rounds} rounds{', quick' if plan.quick else ''}, load before: {before}")
    found: dict[str, list[Result]] = {}
    for name in options.names or BENCHMARKS:
        found[name] = import_module(f"benchmarks.{name}").run(plan)
        if not options.json:
            print(f"\n{name}: {BENCHMARKS[name]}, load: {machine.load()}\n\n{table(found[name])}", flush=True)
    loads = {"before": before, "after": machine.load()}
    if options.json:
        print(json.dumps(_report(found, about | {"load": loads}, plan)))
    else:
        print(f"\n{summary(found)}\nload before: {loads['before']}, after: {loads['after']}")
    return int(options.check and any(one.missed for results in found.values() for one in results))


def _report(found: dict[str, list[Result]], about: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Return the object for ``--json``, which is the same in each release."""
    rows = [{"benchmark": name} | one.to_dict() for name, results in found.items() for one in results]
    return {"version": __version__, "machine": about, "quick": plan.quick, "rows": rows}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the cost of the package. Most figures are ratios, whose two sides are measured in turns\n"
        "within one run. Less is better in all of them. benchmarks/README.rst explains each row.",
        epilog="benchmarks:\n" + "\n".join(f"  {name:<10}{what}" for name, what in BENCHMARKS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="BENCHMARK", help="the benchmarks to run (all of them)")
    parser.add_argument(
        "--rounds", type=int, default=15, metavar="N", help="rounds to take the median of (%(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="use small sizes: the figures mean nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a mark is missed by more than 10 %%")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"no such benchmark: {', '.join(unknown)} (there are {', '.join(BENCHMARKS)})")
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
