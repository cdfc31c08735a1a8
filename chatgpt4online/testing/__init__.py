"""A site on loopback: what AI Engine sites answer, said by a script of yours.

::

    with serve_site("Hello there!") as site, Client(site.url) as client:
        assert str(client.ask("Hi")) == "Hello there!"

It answers as the recorded sites do, to the byte: status, headers, framing and JSON; and where nothing was recorded, as
protocol sections 1 to 4 say. It has pages with widgets, chats, uploads, logins, discussions, the REST index and the
public API. What it does not have: models, search, realtime, forms, and WordPress's own routes.
"""

from __future__ import annotations

from .answers import Answer, Chat, ReceivedRequest
from .site import Site, serve_site
from .widgets import ReceivedFile, Widget

__all__ = ["Answer", "Chat", "ReceivedFile", "ReceivedRequest", "Site", "Widget", "serve_site"]
