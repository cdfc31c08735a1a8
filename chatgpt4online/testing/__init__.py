"""An AI Engine site on loopback, for tests and demos. A script of yours writes its answers.

::

    with serve_site("Hello there!") as site, Client(site.url) as client:
        assert str(client.ask("Hi")) == "Hello there!"

Status, headers, framing and JSON equal those of the recorded sites, byte for byte. Answers that were not recorded
follow protocol sections 1 to 4. The site has pages with widgets, chats, uploads and logins. It has no discussions, no
public API, no models, and none of WordPress's own routes.
"""

from __future__ import annotations

from .answers import Answer, Chat, ReceivedRequest
from .site import Site, serve_site
from .widgets import ReceivedFile, Widget

__all__ = ["Answer", "Chat", "ReceivedFile", "ReceivedRequest", "Site", "Widget", "serve_site"]
