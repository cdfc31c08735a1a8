"""Which requests a call needs, and how to react to each answer."""
