"""``batch``: ask many questions, store the answers, and compare them with expectations."""

from .command import COMMAND

__all__ = ["COMMAND"]
