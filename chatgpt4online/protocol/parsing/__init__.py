"""Turn the bytes of an answer into events."""
