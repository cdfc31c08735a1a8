"""``doctor``: check a site step by step, and say what its owner can do about each problem."""

from .command import COMMAND

__all__ = ["COMMAND"]
