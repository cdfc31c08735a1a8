"""What the machines of the protocol layer did before they were restructured, as a table that can be replayed."""
