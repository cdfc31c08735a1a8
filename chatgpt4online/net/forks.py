"""Renew locks and connections in a forked process, where locks may stay locked and connections are shared."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Renewable(Protocol):
    """What has a method that makes its locks and connections anew."""

    def renew(self) -> None: ...


_renewables: weakref.WeakSet[Renewable] = weakref.WeakSet()


def renew_in_child(renewable: Renewable) -> None:
    """Call ``renew()`` of an object in each process that is forked from this one. It may be called before that ends."""
    _renewables.add(renewable)


def disown(descriptor: int) -> None:
    """Close this process's copy of a socket, without a shutdown and without the end of TLS.

    A file without content takes its place, so that what still refers to the number closes nothing else later.
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
