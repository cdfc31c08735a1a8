"""The tests; ``python -m tests.mutants`` tests the tests."""
