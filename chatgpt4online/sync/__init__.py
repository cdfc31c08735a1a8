"""The client for scripts and threads, over requests."""
