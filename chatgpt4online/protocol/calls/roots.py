"""Where the REST API of a site may be. Source: protocol section 1.1."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ...net.url import parse_url
from ..parsing.errors import InvalidInput

START_SESSION = "/mwai/v1/start_session"
SUBMIT = "/mwai-ui/v1/chats/submit"

_MOST_ROOTS = 6  # a site could name new roots for ever


def rest_roots(site: str) -> tuple[str, ...]:
    """Return the addresses, without a final slash, at which a site's REST API may be, the likeliest first.

    ``site`` is the address of a site or of a page, or a REST root in the pretty (``.../wp-json``) or the plain
    (``...?rest_route=``) form; of a REST root there is but one. Raises InvalidInput for what is no web address. Source:
    protocol section 1.1.
    """
    if not isinstance(site, str):
        raise InvalidInput(f"a site is a web address such as 'https://example.org', not {type(site).__name__}")
    site = site.strip()
    try:
        parse_url(site)
    except ValueError as error:
        raise InvalidInput(f"a site is a web address such as 'https://example.org': {error}") from None
    parts = urlsplit(site)
    if holds_credentials(site):
        raise InvalidInput("a site's address holds no name and password; give them as auth=(name, password)")
    if plain := re.match(r"[^#]*[?&]rest_route=", site):
        return (plain[0],)
    address = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
    if pretty := re.match(r".*?/wp-json(?=/|$)", address):
        return (pretty[0],)
    return f"{address}/wp-json", f"{address}/index.php?rest_route=", f"{address}/?rest_route="


def holds_credentials(address: str) -> bool:
    """Return whether an address that can be parsed holds a name or a password."""
    parts = urlsplit(address)
    # A password that begins with "/", "?" or "#" looks like the rest of the address, behind a port that is empty.
    return parts.username is not None or (parts.netloc.endswith(":") and "@" in address)


def parent_root(root: str) -> str:
    """Return the pretty REST root one directory above ``root``, or ``""`` where there is none."""
    match = re.fullmatch(r"(https?://[^/]+(?:/[^/]+)*)/[^/]+/wp-json", root)
    return f"{match[1]}/wp-json" if match else ""


def page_url(site: str) -> str:
    """Return the address of the page that a site's chat may be found on: ``site`` itself, unless it is a REST root."""
    address = re.sub(r"[?&]rest_route=.*", "", site.strip().partition("#")[0])
    return re.sub(r"(?:/wp-json(?:/.*)?|/index\.php)$", "/", address)


def moved_root(url: str, route: str) -> str | None:
    """Return the REST root of a redirect's target, or None when it does not lead to the same route.

    The target may add a slash or a query to the route.
    """
    address = url.partition("#")[0]
    plain = re.match(rf"([^?]*\?(?:[^?]*&)?rest_route=){re.escape(route)}/?(?:&|$)", address)
    pretty = plain or re.match(rf"([^?]*){re.escape(route)}/?(?:\?|$)", address)
    return pretty[1] if pretty else None


def login_page(root: str) -> str:
    """Return the address that gives a logged-in visitor a nonce as plain text (protocol section 1.3)."""
    base = re.sub(r"(?:/wp-json(?:/.*)?|/(?:index\.php)?\?rest_route=.*)$", "", root)
    return f"{base}/wp-admin/admin-ajax.php?action=rest-nonce"


@dataclass(frozen=True, slots=True)
class RootSearch:
    """The search for the REST API: the roots that may still be tried, the likeliest first, and those that were.

    ``usual`` is the likeliest root of the site.
    """

    usual: str
    candidates: tuple[str, ...]
    tried: frozenset[str] = frozenset()

    @classmethod
    def of(cls, site: str) -> RootSearch:
        """Return the search from its beginning. Raises InvalidInput for what is no web address."""
        roots = rest_roots(site)
        return cls(roots[0], roots)

    @property
    def root(self) -> str:
        """The root to try now."""
        return self.candidates[0] if self.candidates else self.usual

    def next(self, root: str, named: str = "") -> RootSearch:
        """Return the search after ``root`` had no REST API.

        ``named`` is a root that the answer names; it is tried next if it is a new one. Where ``candidates`` is empty,
        the search has failed.
        """
        tried = self.tried | {root}
        rest = tuple(candidate for candidate in self.candidates if candidate not in tried)
        if named and named not in (*tried, *rest[:1]) and len(tried) < _MOST_ROOTS:
            rest = (named, *(candidate for candidate in rest if candidate != named))
        return replace(self, candidates=rest, tried=tried)

    def moved(self, root: str, to: str) -> RootSearch | None:
        """Return the search after it moves from ``root`` to a root that a page names, or None if that is not new."""
        if not to or to == root or to in self.tried or len(self.tried) >= _MOST_ROOTS:
            return None
        return replace(self, tried=self.tried | {root})
