"""A benchmark of behaviour: hand-written loops and the two clients against the same odd servers."""
