"""The site under test. Each fact about it is fetched once, when the first step needs it."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, TypeVar

from ... import Blocked, Bot, ChatError, RateLimited
from ..connection import start_page
from .fetch import Answer, Fetcher, Unreachable, origin
from .findings import Skip

T = TypeVar("T")

START_SESSION = "/mwai/v1/start_session"
INDEX: Mapping[str, str] = {"_fields": "namespaces"}  # WordPress leaves out the routes, which can have 1 MB
_API_LINK = re.compile(r"<([^<>]+)>\s*;[^,<]*rel=\"?https://api\.w\.org/")
_API_TAG = re.compile(r"<link[^>]*rel=[\"']https://api\.w\.org/[\"'][^>]*href=[\"']([^\"'>]+)")

RootState: TypeAlias = Literal["open", "hidden", "closed", "missing", "blocked"]


@dataclass(frozen=True, slots=True)
class Root:
    """The REST API. ``answer`` is the answer to the request for its index.

    ``named`` is the one that the page names, if it is not there. ``state`` is ``open``, ``hidden`` (WordPress answers,
    but not with its index), ``closed`` (to guests), ``blocked`` (a bot check or a limit answers in its place) or
    ``missing``. ``failure`` says why there is no ``answer``, or is ``""``.
    """

    url: str
    state: RootState
    answer: Answer | None
    namespaces: tuple[str, ...] = ()
    named: Root | None = None
    failure: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether the addresses have the form of plain permalinks."""
        return "rest_route=" in self.url


@dataclass(frozen=True, slots=True)
class Page:
    """The bots of the page, or the error that the package raises for it."""

    bots: tuple[Bot, ...] = ()
    error: ChatError | None = None


Fact: TypeAlias = Callable[["Site"], Awaitable[T]]


def _once(fetch: Fact[T]) -> Fact[T]:
    """Return a method that keeps its first result, or the failure."""

    @functools.wraps(fetch)
    async def kept(site: Site) -> T:
        name = fetch.__name__
        if name not in site.kept:
            try:
                site.kept[name] = await fetch(site)
            except Unreachable as error:
                site.kept[name] = error
        result: T | Unreachable = site.kept[name]
        if isinstance(result, Unreachable):
            raise result
        return result

    return kept


@dataclass(slots=True)
class Site:
    """The site at ``address``, and the facts about it that were fetched. ``login`` and ``token`` are the owner's."""

    address: str
    fetcher: Fetcher
    proxy: str | None = None
    login: tuple[str, str] | None = None
    token: str | None = None
    kept: dict[str, Any] = field(default_factory=dict)

    @_once
    async def visit(self) -> list[Answer]:
        """Return the answers of the page: one for each redirect, and the page at the end. Raises Unreachable."""
        return await self.fetcher.follow(start_page(self.address), Accept="text/html")

    @_once
    async def page(self) -> Page:
        """Return the bots of the page, as a visitor without a login gets them."""
        from ... import AsyncClient  # noqa: PLC0415  # it imports an HTTP library, which --help does not need

        url = (await self.visit())[-1].url
        headers = self.fetcher.sent_headers(url, {})
        client = AsyncClient(
            url,
            bot_id="default",
            http=self.fetcher.pool,
            auth=None,
            token=None,
            retries=0,
            headers=headers,
            timeout=self.fetcher.free_timeout,
        )
        try:
            bots = await client.bots(url)
        except ChatError as error:
            return Page(error=error)
        self.fetcher.mask.add(*(secret for bot in bots for secret in (bot.nonce, bot.session_id)))
        return Page(tuple(bots))

    @_once
    async def find_root(self) -> Root:
        """Return the REST API, or the place where it should be. Raises Unreachable."""
        missing: list[Root] = []
        home = origin((await self.visit())[-1].url)
        for url in await self._roots():
            try:
                root = _read_index(url, await self.fetcher.get(rest_url(url, "/", INDEX)))
            except Unreachable as error:
                if origin(url) == home:  # each further request would wait for as long
                    raise
                root = Root(url, "missing", None, failure=str(error))
            if root.state != "missing":
                named = await self._named_roots()
                return replace(root, named=next((other for other in missing if other.url in named), None))
            missing.append(root)
        return missing[0]

    async def root(self) -> Root:
        """Return the REST API. Raises Skip if there is none."""
        root = await self.find_root()
        if root.state == "missing":
            raise Skip("the REST API was not found")
        if root.state == "blocked":
            raise Skip("another server answers in place of the REST API")
        return root

    @_once
    async def sessions(self) -> tuple[Answer, Answer]:
        """Return the answers to start_session for two new visitors."""
        url = rest_url((await self.root()).url, START_SESSION)
        return await self.fetcher.post(url), await self.fetcher.post(url)

    @_once
    async def routes(self) -> tuple[str, ...]:
        """Return the routes of the chat's namespace, or an empty tuple if the site does not list them."""
        answer = await self.fetcher.get(rest_url((await self.root()).url, "/mwai-ui/v1"))
        routes = answer.json.get("routes")
        return tuple(routes) if isinstance(routes, dict) else ()

    async def try_nonce(self, nonce: str, source: Answer) -> bool:
        """Return whether the site accepts the nonce of an answer, together with the cookies of this answer.

        WordPress checks a nonce for every route, so no question is needed.
        """
        url = rest_url((await self.root()).url, START_SESSION)
        answer = await self.fetcher.post(url, source.cookies, X_WP_Nonce=nonce)
        return answer.code != "rest_cookie_invalid_nonce"

    async def other_start(self) -> str:
        """Return the address of another REST root that has start_session, or ``""``."""
        root = await self.root()
        for url in await self._roots():
            if url != root.url and (await self.fetcher.post(rest_url(url, START_SESSION))).json.get("restNonce"):
                return url
        return ""

    async def _named_roots(self) -> list[str]:
        """Return the addresses of the REST API that the page names."""
        last = (await self.visit())[-1]
        link = _API_LINK.search(last.headers.get("link", "")) or _API_TAG.search(last.text)
        named = [bot.rest_root for bot in (await self.page()).bots[:1]] + ([link[1]] if link else [])
        return [root.rstrip("/") for root in named if root]

    async def _roots(self) -> list[str]:
        """Return the addresses where the REST API may be, the likeliest first."""
        last = (await self.visit())[-1]
        base = last.url.partition("?")[0].partition("#")[0].rstrip("/")
        home = re.sub(r"(https?://[^/]+).*", r"\1", base)
        given = re.match(r".*?/wp-json(?=/|$)|[^#]*[?&]rest_route=", self.address)
        usual = [
            f"{place}{form}"
            for place in (base, home)
            for form in ("/wp-json", "/index.php?rest_route=", "/?rest_route=")
        ]
        roots = [given[0] if given else "", *await self._named_roots(), *usual]
        return list(dict.fromkeys(root for root in roots if root.startswith(("http://", "https://"))))


def _read_index(url: str, answer: Answer) -> Root:
    """Return the REST API at an address, by the answer to the request for its index."""
    namespaces = answer.json.get("namespaces")
    if answer.status == 200 and isinstance(namespaces, list):
        return Root(url, "open", answer, tuple(name for name in namespaces if isinstance(name, str)))
    if answer.code == "rest_no_route":
        return Root(url, "hidden", answer)
    if answer.code and answer.status in (401, 403, 404):
        return Root(url, "closed", answer)
    if answer.status == 503 or isinstance(answer.error, Blocked | RateLimited):
        return Root(url, "blocked", answer)
    return Root(url, "missing", answer)


def rest_url(root: str, route: str, query: Mapping[str, str] | None = None) -> str:
    """Return the address of a route. With plain permalinks, the route is itself a parameter."""
    parameters = "&".join(f"{name}={value}" for name, value in (query or {}).items())
    mark = "&" if "?" in root else "?"
    return f"{root}{route}{mark if parameters else ''}{parameters}"
