"""Tests of both clients."""
