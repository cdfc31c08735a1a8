"""The parts that the tests share: servers, recordings, and one interface to both clients."""
