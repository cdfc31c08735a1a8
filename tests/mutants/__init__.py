"""Faults that are put into the package one at a time. The tests must notice each (``python -m tests.mutants``)."""
