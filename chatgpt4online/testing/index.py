"""The index of the REST API, and that of a namespace."""

from __future__ import annotations

from collections.abc import Sequence

from ..protocol.parsing.events import Json
from .exchange import Exchange

_SPACES = ("oembed/1.0", "mwai/v1", "mwai-ui/v1", "wp/v2", "wp-site-health/v1", "wp-block-editor/v1")


def root_index(exchange: Exchange, routes: Sequence[tuple[str, str]]) -> Json:
    """Return the index of the whole API. Of WordPress's own routes, it lists only the root."""
    url = exchange.state.url
    known: Json = {}
    for space in ("mwai/v1", "mwai-ui/v1"):
        known |= space_index(exchange, f"/{space}", routes)["routes"]
    return {
        "name": "A site on loopback",
        "description": "",
        "url": url,
        "home": exchange.state.home(exchange.language),
        "gmt_offset": "0",
        "timezone_string": "",
        "namespaces": list(_SPACES),
        "authentication": [],
        "routes": {"/": _space_entry(exchange, "", "")} | known,
        "_links": {"help": [{"href": "https://developer.wordpress.org/rest-api/"}]},
    }


def space_index(exchange: Exchange, path: str, routes: Sequence[tuple[str, str]]) -> Json:
    """Return the index of a namespace."""
    space = path.strip("/")
    entries = {f"/{space}": _space_entry(exchange, f"/{space}", space)}
    for route, method in routes:
        if route.startswith(f"/{space}/"):
            endpoint = {"methods": [method], "args": []}
            entries[route] = _entry(exchange, route, space, method, endpoint)
    up = {"up": [{"href": f"{exchange.root}/"}]}
    return {"namespace": space, "routes": entries, "_links": up}


def _space_entry(exchange: Exchange, route: str, space: str) -> Json:
    args = {
        "namespace": {"default": space, "required": False},
        "context": {"default": "view", "required": False},
    }
    return _entry(exchange, route, space, "GET", {"methods": ["GET"], "args": args})


def _entry(exchange: Exchange, route: str, space: str, method: str, endpoint: Json) -> Json:
    links = {"self": [{"href": f"{exchange.root}{route or '/'}"}]}
    return {"namespace": space, "methods": [method], "endpoints": [endpoint], "_links": links}
