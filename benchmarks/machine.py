"""The machine of a run: its Python, its CPUs and its load."""

from __future__ import annotations

import os
import platform
import resource


def describe() -> dict[str, object]:
    """Return what a reader of the figures has to know about the machine."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
    }


def load() -> list[float]:
    """Return the load of the last 1, 5 and 15 minutes: the mean number of processes that run or wait for a CPU."""
    return [round(figure, 2) for figure in os.getloadavg()]


def raise_open_files() -> None:
    """Raise the soft limit of open files to the hard limit: thousands of streams need as many sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def resident() -> int:
    """Return the bytes of memory that this process occupies. It needs Linux."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
