"""Tests of what both transports read alike."""
