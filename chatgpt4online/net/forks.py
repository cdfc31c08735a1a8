"""Renew locks and connections in a forked process.

A lock may stay locked for ever in the child, and the child shares the connections of its parent.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Renewable(Protocol):
    """An object that can replace its locks and connections by new ones."""

    def renew(self) -> None: ...


_renewables: weakref.WeakSet[Renewable] = weakref.WeakSet()


def renew_in_child(renewable: Renewable) -> None:
    """Register an object, so that ``renew()`` is called in each process that is forked from this one.

    Only a weak reference is kept, so the object can be freed before any fork.
    """
    _renewables.add(renewable)


def disown(descriptor: int) -> None:
    """Close this process's copy of a socket without a shutdown and without a TLS alert.

    The null device replaces it under the same number. So an object that still has the number cannot close another file.
    """
    if descriptor >= 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)


def _renew_all() -> None:
    for renewable in list(_renewables):
        renewable.renew()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_all)
