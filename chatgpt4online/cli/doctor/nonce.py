"""The steps ``session`` and ``nonce``: where visitors get the short token that WordPress demands with each question."""

from __future__ import annotations

from dataclasses import dataclass

from .fetch import Answer, shown
from .findings import Finding, Skip
from .front import cache_sign
from .site import START_SESSION, Root, Site, rest_url


async def check_session(site: Site) -> Finding:
    """Start two sessions as two new visitors, and check that no cache answers in place of the site."""
    first, second = await site.sessions()
    nonce = first.json.get("restNonce")
    is_accepted = await site.try_nonce(nonce, first) if isinstance(nonce, str) and nonce else None
    page_has_nonce = any(bot.nonce for bot in (await site.page()).bots)
    if first.code == "rest_no_route" and not page_has_nonce and (other := await site.other_start()):
        seen = f"start_session is missing below {(await site.root()).url}, but not below {other}"
        return Finding("session", "problem", seen, _DIRECTORY)
    return read_sessions(first, second, is_accepted=is_accepted, page_has_nonce=page_has_nonce, root=await site.root())


def read_sessions(
    first: Answer, second: Answer, *, is_accepted: bool | None, page_has_nonce: bool, root: Root
) -> Finding:
    """Return the finding for two answers to start_session.

    ``is_accepted`` says whether the site accepts the nonce of the first answer; it is None without a nonce.
    """
    data = {"status": [first.status, second.status], "cached": False, "accepted": is_accepted}
    if first.json.get("restNonce"):
        sign = cache_sign(second.headers) or cache_sign(first.headers) or _same_session(first, second)
        if sign:
            seen = f"a cache answers start_session ({sign}): visitors share a session, and soon get a stale nonce"
            return Finding("session", "problem", seen, _no_cache(root), data=data | {"cached": True})
        if is_accepted is False:
            seen = "start_session gives a nonce that the site refuses: a cache answers, or a plugin changes the visitor"
            return Finding("session", "problem", seen, _no_cache(root), data=data)
        return Finding("session", "ok", "start_session gives each visitor a session, and a nonce that works", data=data)
    return _without_nonce(first, root, data, page_has_nonce=page_has_nonce)


def _without_nonce(answer: Answer, root: Root, data: dict[str, object], *, page_has_nonce: bool) -> Finding:
    """Return the finding for an answer to start_session that has no nonce."""
    what = f"start_session answers HTTP {answer.status} {answer.code}".strip()
    if answer.code == "rest_no_route":
        if page_has_nonce:
            seen = "the release has no start_session; visitors get their nonce from the page"
            return Finding("session", "ok", seen, data=data)
        return Finding("session", "problem", f"{what}, and the page has no nonce", _NO_ROUTE, data=data)
    if answer.code == "rest_forbidden" and page_has_nonce:
        seen = "start_session is closed; visitors get their nonce from the page"
        return Finding("session", "warning", seen, _PAGE_CACHES, data=data)
    if answer.status in (401, 403) and answer.code:
        return Finding("session", "problem", f"{what}: guests get no nonce, and cannot chat", _CLOSED, data=data)
    if answer.status >= 500 and answer.status != 503:
        seen = f"{what}, and no nonce"
        return Finding("session", "warning" if page_has_nonce else "problem", seen, _ERROR_LOGS, data=data)
    if answer.status in (429, 503) or not answer.json:
        return Finding("session", "unknown", f"{what}; another server may answer. See the step front.", data=data)
    return Finding("session", "problem", f"{what}, without a nonce", _ERROR_LOGS, data=data)


def _same_session(first: Answer, second: Answer) -> str:
    """Return a sign of a cache if two visitors have got the same session, else ``""``. All guests share a nonce."""
    ids = [answer.json.get("sessionId") for answer in (first, second)]
    is_same = isinstance(ids[0], str) and ids[0] not in ("", "N/A") and ids[0] == ids[1]
    return "two visitors get the same session id" if is_same else ""


def _no_cache(root: Root) -> str:
    route = rest_url(root.url, START_SESSION).removeprefix(root.url.partition("/wp-json")[0])
    return (
        f"Exclude {shown(route)} from every cache: plugin, web server, and network (Cloudflare: a cache rule, Bypass)."
    )


_DIRECTORY = (
    "Update AI Engine: before 3.3.0 it does not find start_session below the directory of a language or below "
    "index.php, and the chat of such pages cannot start."
)
_NO_ROUTE = (
    "Update AI Engine (2.4.4 and later have start_session), or remove the rule that hides this route of the REST API."
)
_CLOSED = (
    "AI Engine 2.9.0 and 2.9.1 refuse all guests here: update. In other releases a security plugin or the filter "
    "mwai_allow_session refuses them: allow /mwai/v1/start_session there."
)
_ERROR_LOGS = "Look into the error logs of PHP and of the web server."
_PAGE_CACHES = (
    "Keep pages with a chat in caches for at most 10 hours, since a nonce becomes stale after 12 to 24 hours; or allow "
    "/mwai/v1/start_session (a security plugin or the filter mwai_allow_session refuses it)."
)


@dataclass(frozen=True, slots=True)
class PageNonce:
    """The nonce of a page: whether the site accepts it, and the sign that a cache sent the page, or ``""``."""

    is_accepted: bool
    cache: str = ""


async def check_nonce(site: Site) -> Finding:
    """Check that the nonce in the page is not stale."""
    page = await site.page()
    nonces = [bot.nonce for bot in page.bots if bot.nonce]
    if not nonces:
        raise Skip("the page has no nonce" if page.bots else "no bot was found in the page")
    home = (await site.visit())[-1]
    return read_page_nonce(PageNonce(await site.try_nonce(nonces[0], home), cache_sign(home.headers)))


def read_page_nonce(nonce: PageNonce) -> Finding:
    """Return the finding for the nonce of a page."""
    data = {"accepted": nonce.is_accepted, "cache": nonce.cache}
    if not nonce.is_accepted:
        where = f" (the page came from a cache: {nonce.cache})" if nonce.cache else ""
        seen = f"the nonce in the page is stale{where}: the chat window tells visitors that their session has expired"
        return Finding("nonce", "problem", seen, f"Empty the page cache now. {_SHORT}", data=data)
    if nonce.cache:
        seen = f"the page has a nonce that works, but comes from a cache ({nonce.cache})"
        return Finding("nonce", "warning", seen, _SHORT, data=data)
    return Finding("nonce", "ok", "the nonce in the page works", data=data)


_SHORT = (
    "Exclude pages with a chat from the page cache, or keep them there for at most 10 hours: a nonce becomes stale "
    "after 12 to 24 hours."
)
