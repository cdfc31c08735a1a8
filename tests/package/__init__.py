"""Tests of the package as a whole: its layers, documents, examples and tools."""
