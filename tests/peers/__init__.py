"""A benchmark of behaviour: what hand-written loops and the two clients make of the same odd servers."""
