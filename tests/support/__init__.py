"""What the tests share: servers, recordings, both clients behind one face."""
