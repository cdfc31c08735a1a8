"""The command line. It uses only the public names of the package, so it is also a large example of their use."""

from .program import main

__all__ = ["main"]
