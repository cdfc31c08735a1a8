"""A site on loopback: what AI Engine sites answer, said by a script of yours.

::

    with serve_site("Hello there!") as site, Client(site.url) as client:
        assert str(client.ask("Hi")) == "Hello there!"

It answers as the recorded sites do, to the byte: status, headers, framing and JSON (protocol sections 1, 2, 4 and 7).
What it does not have: logins, file uploads, discussions, the REST index, and models.
"""

from __future__ import annotations

from .answers import Answer, Chat, ReceivedRequest
from .site import Site, serve_site

__all__ = ["Answer", "Chat", "ReceivedRequest", "Site", "serve_site"]
