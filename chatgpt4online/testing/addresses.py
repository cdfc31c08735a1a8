"""Find the part of the site that an address belongs to (protocol section 1.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, unquote

from .state import State


@dataclass(frozen=True, slots=True)
class Place:
    """The part of the site that a request is for.

    ``kind`` is ``"rest"``, ``"page"``, ``"file"`` (an upload), ``"nonce"`` (of admin-ajax), ``"nothing"`` (not found by
    WordPress) or ``"outside"`` (not found by the web server). ``path`` is the route for ``"rest"``, else the path
    within the site.
    """

    kind: Literal["rest", "page", "file", "nonce", "nothing", "outside"]
    path: str = ""
    language: str = ""


def locate(state: State, method: str, target: str) -> Place:
    """Return the place that the target of a request belongs to."""
    raw, _, rest = target.partition("?")
    path, query = unquote(raw), parse_qs(rest, keep_blank_values=True)
    options = state.options
    if not path.startswith(options.path) or path[len(options.path) : len(options.path) + 1] not in ("", "/"):
        return Place("outside")
    path = path[len(options.path) :] or "/"
    language = ""
    if options.language and re.match(rf"/{re.escape(options.language)}(/|$)", path):
        language = options.language
        path = path[len(language) + 1 :] or "/"
    route = query.get("rest_route", [""])[-1]
    if route and path in ("/", "/index.php"):
        return Place("rest", route, language)
    if not options.pretty:
        is_other = path.startswith(("/wp-content/", "/wp-admin/"))
        return _locate_other(path, method, query) if is_other else Place("page", path)
    pretty = re.match(r"(?:/index\.php)?/wp-json(?=/|$)", path)
    if pretty:
        return Place("rest", path[pretty.end() :] or "/", language)
    if path in ("/", "/index.php") or (method in ("GET", "HEAD") and re.fullmatch(r"(/[^/.]+)+/?", path)):
        return Place("page", path, language)
    return _locate_other(path, method, query)


def _locate_other(path: str, method: str, query: dict[str, list[str]]) -> Place:
    if path.startswith("/wp-content/uploads/") and method in ("GET", "HEAD"):
        return Place("file", path)
    if path == "/wp-admin/admin-ajax.php" and query.get("action") == ["rest-nonce"]:
        return Place("nonce", path)
    return Place("nothing", path)
