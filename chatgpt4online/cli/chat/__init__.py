"""``chat``: a conversation with a bot, in a terminal or over pipes."""

from .command import COMMAND

__all__ = ["COMMAND"]
