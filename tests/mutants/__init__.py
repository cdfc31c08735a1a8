"""Faults that are put into the package one at a time: the tests must notice each (``python -m tests.mutants``)."""
