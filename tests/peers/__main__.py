"""Run every driver in every situation, and print which of them handles what: ``python -m tests.peers``.

The exit status is 1 if a peer handles a situation that one of ours does not, unless the difference is known.
"""

from __future__ import annotations

import argparse
import platform
import re
import socket
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from .drivers import OURS, PEERS, versions
from .situation import Outcome, Situation, is_handled, run
from .table import KNOWN, SITUATIONS

DRIVERS = PEERS | OURS
_resolve = socket.getaddrinfo
Results = list[tuple[Situation, Mapping[str, Outcome]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="only the rows that have one of these words")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what each driver saw where it failed")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")  # libraries warn of connections that a driver did not close
    socket.getaddrinfo = _resolve_here
    print(f"Python {platform.python_version()}, {versions()}\n")
    results: Results = []
    print(line("situation", list(DRIVERS)))
    for situation in SITUATIONS:
        title = f"{situation.group}: {situation.name}"
        if options.words and not any(word in title for word in options.words):
            continue
        outcomes = {name: run(situation, driver) for name, driver in DRIVERS.items()}
        results.append((situation, outcomes))
        marks = ["yes" if is_handled(situation, outcome) else "no" for outcome in outcomes.values()]
        print(line(title, marks), flush=True)
        for name, outcome in outcomes.items():
            if options.verbose and not is_handled(situation, outcome):
                print(f"      {name}: {outcome}")
    totals = [str(sum(is_handled(one, outcomes[name]) for one, outcomes in results)) for name in DRIVERS]
    print(line(f"{len(results)} situations", totals))
    return report(results)


def _resolve_here(host: Any, *arguments: Any, **options: Any) -> Any:
    """Resolve addresses and localhost only. A driver that ignores the proxy must not reach a name server."""
    name = host.decode() if isinstance(host, bytes) else host
    if name and name != "localhost" and not re.fullmatch(r"[0-9.]+|[0-9a-f:.]*:[0-9a-f:.]*(%\w+)?", name):
        raise socket.gaierror(socket.EAI_NONAME, f"{name} is not an address of this machine")
    return _resolve(host, *arguments, **options)


def line(title: str, cells: Sequence[str]) -> str:
    """Return one line of the table."""
    return f"{title:<70}" + "".join(f"{cell:<12}" for cell in cells).rstrip()


def report(results: Results) -> int:
    """Print the situations that a peer handles and one of ours does not.

    Return 1 if one of them is not known, else 0.
    """
    print("\nA peer handles these, and one of ours does not:\n")
    unknown = 0
    for situation, outcomes in results:
        peers = [name for name in PEERS if is_handled(situation, outcomes[name])]
        for name in OURS:
            if peers and not is_handled(situation, outcomes[name]):
                reason = KNOWN.get((situation.group, situation.name, name), "")
                unknown += not reason
                print(f"- {situation.group}: {situation.name}: {', '.join(peers)}, but not {name}, which saw")
                print(f"  {outcomes[name]}\n" + (f"  known: {reason}\n" if reason else ""), end="")
    print(f"\n{unknown} that are not known differences")
    return int(unknown > 0)


if __name__ == "__main__":
    sys.exit(main())
