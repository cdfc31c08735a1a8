"""The client for event loops, over asyncio and http1."""
