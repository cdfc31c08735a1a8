"""Functions that make the exchange of a call that is not a chat question, and that read the body of a request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from chatgpt4online import Session
from chatgpt4online.protocol.calls import endpoints
from chatgpt4online.protocol.calls.exchange import Exchange
from chatgpt4online.protocol.calls.multipart import Multipart
from chatgpt4online.protocol.calls.request import Request


def sent_json(request: Request) -> Any:
    """Return the JSON that a request sends."""
    assert isinstance(request.body, bytes)
    return json.loads(request.body)


def sent_file(request: Request) -> bytes:
    """Return the body of an upload."""
    assert isinstance(request.body, Multipart)
    return b"".join(request.body)


def _exchange(make: Callable[..., Any]) -> Callable[..., Exchange[Any]]:
    """Return a function that makes the exchange of a call.

    It takes a site, a session, and the arguments of the call.
    """

    def exchange(site: str, session: Session, *arguments: Any, **options: Any) -> Exchange[Any]:
        return Exchange(make(*arguments), site, session, **options)

    return exchange


upload = _exchange(endpoints.upload)
delete_files = _exchange(endpoints.delete_files)
discussions = _exchange(endpoints.discussions)
discussion_page = _exchange(endpoints.discussion_page)
rename_discussion = _exchange(endpoints.rename_discussion)
delete_discussions = _exchange(endpoints.delete_discussions)
search = _exchange(endpoints.search)
public = _exchange(endpoints.public)
public_upload = _exchange(endpoints.public_upload)


def visit(site: str, session: Session, page: str, **options: Any) -> Exchange[Any]:
    """Return the exchange that finds the bots of a page."""
    return Exchange(endpoints.visit(site, page), site, session, **options)


def handshake(site: str, session: Session | None = None, **options: Any) -> Exchange[Any]:
    """Return the exchange that only searches for a nonce."""
    return Exchange(None, site, session, **options)
