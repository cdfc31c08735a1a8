"""A black-box suite for a real site; see conftest.py."""
