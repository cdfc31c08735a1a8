"""``serve_site`` with more options than the one in the package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from chatgpt4online.protocol.parsing.errors import InvalidInput
from chatgpt4online.testing import Site, Widget
from chatgpt4online.testing.answers import Script
from chatgpt4online.testing.options import read_options

from .api import Api
from .discussions import Discussions
from .search import Post, Search
from .versions import NUMBERS, VERSIONS, chat_routes


def serve_site(
    answer: Script | None = None,
    *,
    version: str = "3.6.2",
    bots: Iterable[str | Widget] = ("default",),
    max_length: int = 512,
    limit_after: int | None = None,
    pause: float = 0.0,
    port: int = 0,
    permalinks: Literal["pretty", "plain"] = "pretty",
    path: str = "",
    language: str = "",
    session_closed: bool = False,
    users: Mapping[str, str] | None = None,
    discussions: bool = False,
    token: str | None = None,
    posts: Iterable[Post] | None = None,
) -> Site:
    """Return a running site on 127.0.0.1, as ``chatgpt4online.testing.serve_site`` does.

    ``version`` is one of the recorded releases: ``"3.6.2"``, ``"2.8.9"`` or ``"2.4.3"``. ``discussions`` stores the
    conversations of ``users`` (protocol section 1.6). ``token`` turns the public API on (section 1.8), where the text
    of the script is the answer. For simpleJsonQuery and moderationCheck it is the JSON in that text, and for image
    queries the first image. ``Chat.route`` is then the name of the route, such as ``"simpleTextQuery"``, and
    ``Chat.bot_id`` is ``""`` unless the client named a bot. ``posts`` turns the Search module on (section 1.7), which
    finds them.

    Raises InvalidInput for values that cannot be used, and OSError for a port that is in use.
    """
    if version not in VERSIONS:
        raise InvalidInput(f"version must be one of {', '.join(VERSIONS)}, not {version!r}")
    if token is not None and not (isinstance(token, str) and token):
        raise InvalidInput(f"token must be None or a word, not {token!r}")
    options = read_options(
        answer,
        bots=bots,
        max_length=max_length,
        limit_after=limit_after,
        pause=pause,
        port=port,
        permalinks=permalinks,
        path=path,
        language=language,
        session_closed=session_closed,
        users=users,
    )
    number = NUMBERS[version]
    stored = Discussions(number)
    routes = [
        *chat_routes(number),
        *(stored.routes() if discussions else ()),
        *(Api(token, number, stored).routes() if token else ()),
        *(Search(list(posts), number).routes() if posts is not None else ()),
    ]
    return Site(options, version=VERSIONS[version], routes=routes, store=stored.store if discussions else None)
