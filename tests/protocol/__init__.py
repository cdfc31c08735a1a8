"""Tests of the protocol layer, without I/O."""
