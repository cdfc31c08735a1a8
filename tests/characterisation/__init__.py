"""The behaviour of the protocol layer before it was restructured, as a table that can be replayed."""
