"""Bytes of an answer to events."""
