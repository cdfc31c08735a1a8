"""Run the named benchmarks, and print their figures beside their marks: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module

from .measure import Result

# The name of each module, which has a function run(rounds) -> list[Result], and a description.
BENCHMARKS = {
    "parser": "CPU per event, over json.loads alone on the same payloads",
    "imports": "time to import EventParser, over import requests",
    "client": "CPU per event and chat, first event, many streams, over loopback (two minutes)",
    "derived": "time and memory of one client.with_options(), as the mean of 1,000",
    "memory": "peak beyond the text that 200 MB of answer leave (half a minute)",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 1 when ``--check`` was given and a mark was clearly missed, else 0."""
    options = _options(arguments)
    found: dict[str, list[Result]] = {}
    if not options.json:
        print(f"{platform.python_implementation()} {platform.python_version()}, {options.rounds} rounds")
    for name in options.names or BENCHMARKS:
        found[name] = import_module(f"benchmarks.{name}").run(options.rounds)
        if not options.json:
            print(f"\n{name}: {BENCHMARKS[name]}\n\n{table(found[name])}", flush=True)
    if options.json:
        print(json.dumps({name: [asdict(one) | {"ok": one.ok} for one in results] for name, results in found.items()}))
    return int(options.check and any(one.missed for results in found.values() for one in results))


def table(results: Sequence[Result]) -> str:
    """Return the results as lines of aligned columns, with a column for each peer of any result."""
    peers = list(dict.fromkeys(peer for one in results for peer in one.peers))
    rows = [["workload", "ours", "mark", "ok?", *peers, ""]]
    for one in results:
        figures = [f"{one.peers[peer]:.2f}" if peer in one.peers else "" for peer in peers]
        mark = f"<= {one.mark:.2f} {one.unit}"
        rows.append([one.workload, f"{one.value:.2f}", mark, "yes" if one.ok else "NO", *figures, one.note])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the cost of the package. Most figures are ratios, whose two sides are measured in turns\n"
        "within one run. Less is better in all of them.",
        epilog="benchmarks:\n" + "\n".join(f"  {name:<10}{what}" for name, what in BENCHMARKS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="BENCHMARK", help="the benchmarks to run (all of them)")
    parser.add_argument(
        "--rounds", type=int, default=15, metavar="N", help="rounds to take the median of (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a mark is missed by more than 10 %%")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"no such benchmark: {', '.join(unknown)} (there are {', '.join(BENCHMARKS)})")
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
