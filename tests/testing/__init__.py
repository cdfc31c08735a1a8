"""Tests of the site on loopback."""
