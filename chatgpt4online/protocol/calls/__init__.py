"""The requests that a call takes, and the reaction to each answer."""
