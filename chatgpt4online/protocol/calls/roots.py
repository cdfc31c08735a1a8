"""The addresses at which the REST API of a site may be. Source: protocol section 1.1.

A REST root is the address below which all routes of the API lie, such as ``https://example.org/wp-json``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import urlsplit

from ...net.url import parse_url
from ..parsing.errors import InvalidInput

START_SESSION = "/mwai/v1/start_session"
SUBMIT = "/mwai-ui/v1/chats/submit"

_MOST_ROOTS = 6  # three usual ones and three that answers name; a site could name new ones without end


def rest_roots(site: str) -> tuple[str, ...]:
    """Return the REST roots that a site may have, without a final slash, the likeliest first.

    ``site`` is the address of a site or of a page. It may also be a REST root itself, in the pretty (``.../wp-json``)
    or the plain (``...?rest_route=``) form; then it is the only one returned. Raises InvalidInput if ``site`` is not a
    web address, and if it holds a name or a password. Source: protocol section 1.1.
    """
    if not isinstance(site, str):
        raise InvalidInput(f"a site is a web address such as 'https://example.org', not {type(site).__name__}")
    return _read_roots(site.strip())


@lru_cache(maxsize=128)  # most programs ask one site, and each question needs its roots
def _read_roots(site: str) -> tuple[str, ...]:
    try:
        parse_url(site)
    except ValueError as error:
        raise InvalidInput(f"a site is a web address such as 'https://example.org': {error}") from None
    parts = urlsplit(site)
    if holds_credentials(site):
        raise InvalidInput(
            "the address of a site must not hold a name and password; pass them as auth=(name, password)"
        )
    if plain := re.match(r"[^#]*[?&]rest_route=", site):
        return (plain[0],)
    address = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
    if pretty := re.match(r".*?/wp-json(?=/|$)", address):
        return (pretty[0],)
    return f"{address}/wp-json", f"{address}/index.php?rest_route=", f"{address}/?rest_route="


def holds_credentials(address: str) -> bool:
    """Return whether an address that can be parsed holds a name or a password."""
    parts = urlsplit(address)
    # A password that begins with "/", "?" or "#" is parsed as a path, query or fragment after an empty port.
    return parts.username is not None or (parts.netloc.endswith(":") and "@" in address)


def parent_root(root: str) -> str:
    """Return the pretty REST root one directory above ``root``, or ``""`` where there is none."""
    match = re.fullmatch(r"(https?://[^/]+(?:/[^/]+)*)/[^/]+/wp-json", root)
    return f"{match[1]}/wp-json" if match else ""


def page_url(site: str) -> str:
    """Return the address of a page that may show the site's chat: ``site`` itself, or the start page of a REST root."""
    address = re.sub(r"[?&]rest_route=.*", "", site.strip().partition("#")[0])
    return re.sub(r"(?:/wp-json(?:/.*)?|/index\.php)$", "/", address)


def moved_root(url: str, route: str) -> str | None:
    """Return the REST root in the target of a redirect, or None if the target is not the same route.

    ``url`` is the target. It may add a slash or a query to the ``route``.
    """
    address = url.partition("#")[0]
    plain = re.match(rf"([^?]*\?(?:[^?]*&)?rest_route=){re.escape(route)}/?(?:&|$)", address)
    pretty = plain or re.match(rf"([^?]*){re.escape(route)}/?(?:\?|$)", address)
    return pretty[1] if pretty else None


def login_page(root: str) -> str:
    """Return the address at which WordPress sends the nonce of a login as plain text (protocol section 1.3)."""
    base = re.sub(r"(?:(?:/index\.php)?/wp-json(?:/.*)?|/(?:index\.php)?\?rest_route=.*)$", "", root)
    return f"{base}/wp-admin/admin-ajax.php?action=rest-nonce"


@dataclass(frozen=True, slots=True)
class RootSearch:
    """The search for the REST root of a site, as a frozen value.

    ``usual`` is the likeliest root. ``candidates`` are the roots that may still be tried, the likeliest first.
    ``tried`` are the roots that had no REST API.
    """

    usual: str
    candidates: tuple[str, ...]
    tried: frozenset[str] = frozenset()

    @classmethod
    def of(cls, site: str) -> RootSearch:
        """Return a new search for the root of ``site``. Raises InvalidInput as :func:`rest_roots` does."""
        roots = rest_roots(site)
        return cls(roots[0], roots)

    @property
    def root(self) -> str:
        """The root to try now."""
        return self.candidates[0] if self.candidates else self.usual

    def next(self, root: str, named: str = "") -> RootSearch:
        """Return the search after ``root`` had no REST API. It has failed if its ``candidates`` are empty.

        ``named`` is the root that the answer names, or ``""``. If that root was not tried yet, it is tried next.
        """
        tried = self.tried | {root}
        left = tuple(candidate for candidate in self.candidates if candidate not in tried)
        if named and named not in (*tried, *left[:1]) and len(tried) < _MOST_ROOTS:
            left = (named, *(candidate for candidate in left if candidate != named))
        return replace(self, candidates=left, tried=tried)

    def moved(self, root: str, to: str) -> RootSearch | None:
        """Return the search after it moves from ``root`` to the root ``to`` that a page names.

        Returns None if ``to`` is ``""`` or was tried before, or if too many roots were tried.
        """
        if not to or to == root or to in self.tried or len(self.tried) >= _MOST_ROOTS:
            return None
        return replace(self, tried=self.tried | {root})
