"""The version of this package; no other place has it."""

__version__ = "0.1.0"
