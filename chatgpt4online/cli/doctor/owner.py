"""The steps for the owner's login: the public API, the MCP endpoint, and API keys in the texts of errors."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable

from .fetch import Answer, origin, shown
from .findings import Finding, Skip, find_keys
from .site import Site, rest_url

_LIST_TOOLS = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
_MCP = "/mcp/v1"


async def check_api(site: Site) -> Finding:
    """Ask the public API who the owner is. This needs no model."""
    root = await site.root()
    if origin(root.url) != origin(site.address):
        raise Skip(f"the login is sent to {shown(site.address)} only, and the REST API is at {root.url}")
    answer = await site.fetcher.get(rest_url(root.url, "/mwai/v1/simpleAuthCheck"), Authorization=_credentials(site))
    return read_api(answer, by_token=site.token is not None)


def read_api(answer: Answer, *, by_token: bool) -> Finding:
    """Return the finding for the answer to ``simpleAuthCheck``."""
    data = {"status": answer.status, "code": answer.code}
    if answer.json.get("success") is True:
        return Finding("api", "ok", "the public API is on, and accepts the login", data=data)
    if answer.code == "rest_no_route":
        return Finding("api", "ok", "the public API is off", "Programs that ask by a token need it on.", data=data)
    seen = f"the public API refuses the login: HTTP {answer.status} {answer.code}".strip()
    is_wrong = answer.code in ("incorrect_password", "invalid_username", "invalid_email")
    advice = _TOKEN if by_token else _WRONG_LOGIN if is_wrong else _NO_LOGIN
    return Finding("api", "warning", seen, advice, data=data)


_TOKEN = "Check the token in the settings of AI Engine. Some hosts remove the header Authorization."  # noqa: S105  # not a token
_WRONG_LOGIN = "Check the name, and use an application password (Users, Profile), not the one of the login page."
_NO_LOGIN = (
    "The site sees a guest: the server removes the header Authorization. For Apache, write into .htaccess: "
    'SetEnvIf Authorization "(.*)" HTTP_AUTHORIZATION=$1'
)


def _credentials(site: Site) -> str:
    if site.token is not None:
        return f"Bearer {site.token}"
    name, password = site.login or ("", "")
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


async def check_mcp(site: Site) -> Finding:
    """Find out, as a guest, whether everybody may use the MCP endpoint. No tool is called."""
    root = await site.root()
    if root.state == "open" and not any(name.startswith("mcp") for name in root.namespaces):
        return Finding("mcp", "ok", "the MCP endpoint of AI Engine is off")
    index = await site.fetcher.get(rest_url(root.url, _MCP))
    routes = index.json.get("routes")
    names = list(routes) if isinstance(routes, dict) else []
    if index.code == "rest_no_route":
        return Finding("mcp", "ok", "the MCP endpoint of AI Engine is off")
    if f"{_MCP}/http" in names or f"{_MCP}/sse" not in names:
        answer = await site.fetcher.head_of(
            "POST", rest_url(root.url, f"{_MCP}/http"), _LIST_TOOLS, Content_Type="application/json"
        )
    else:
        answer = await site.fetcher.head_of("GET", rest_url(root.url, f"{_MCP}/sse"), Accept="text/event-stream")
    return read_mcp(answer, names)


def read_mcp(answer: Answer, routes: Iterable[str]) -> Finding:
    """Return the finding for a guest's call to the MCP endpoint, and the ``routes`` that the index lists."""
    ends = ("/sse", "/messages", "/http")
    secret = [
        route for route in routes if route.startswith(f"{_MCP}/") and route.count("/") == 4 and route.endswith(ends)
    ]
    data = {"status": answer.status}
    if answer.status == 200:
        seen = "everybody can use the MCP endpoint: it lets programs read and change the site"
        return Finding("mcp", "problem", seen, _CLOSE, data=data)
    if secret:
        seen = "the index of the REST API shows the token of the MCP endpoint, in the address of a route"
        return Finding("mcp", "problem", seen, "Turn off the addresses without login (No-Auth URL).", data=data)
    if answer.status in (401, 403):
        return Finding("mcp", "ok", "the MCP endpoint is on, and refuses guests", data=data)
    return Finding("mcp", "unknown", f"the MCP endpoint answers a guest with HTTP {answer.status}", data=data)


_CLOSE = "Set a bearer token for it in the settings of AI Engine (MCP), or turn it off."


async def check_keys(site: Site) -> Finding:
    """Look for API keys in the texts of all errors that arrived."""
    return read_keys(site.fetcher.answers)


def read_keys(answers: Iterable[Answer]) -> Finding:
    """Return the finding for the texts of errors in these answers."""
    texts = [text for answer in answers for text in error_texts(answer)]
    keys = sorted({key for text in texts for key in find_keys(text)})
    data = {"errors": len(texts), "keys": keys}
    if keys:
        seen = f"the text of an error holds what looks like an API key ({', '.join(keys)}); every visitor can read it"
        return Finding("keys", "problem", seen, _RENEW, data=data)
    if not texts:
        return Finding("keys", "unknown", "no error arrived that could hold an API key", data=data)
    return Finding("keys", "ok", f"no API key is in the texts of errors ({len(texts)} arrived)", data=data)


_RENEW = (
    "Make a new key at the provider, delete the old one, and enter the new one in AI Engine. The filter "
    "mwai_ai_exception can replace the texts of errors."
)


def error_texts(answer: Answer) -> list[str]:
    """Return the texts of errors in an answer: its body if it is a refusal, else its ``error`` events."""
    if answer.status >= 400:
        return [answer.text] if answer.json else []
    return [line for line in answer.text.splitlines() if line.startswith("data:") and '"type":"error"' in line]
