"""Where a request leads, in the order of WordPress's tests: nonce, route, JSON, permission."""

from __future__ import annotations

from urllib.parse import parse_qs

from ..protocol.events import Json
from ..protocol.wire import START_SESSION, SUBMIT
from .chats import answer_chat
from .exchange import NO_CACHE, Exchange
from .pages import page

_HTML = "text/html; charset=UTF-8"
_NO_ROUTE = "No route was found matching the URL and request method."


def answer(exchange: Exchange) -> None:
    """Answer a request."""
    path, _, rest = exchange.request.path.partition("?")
    query = parse_qs(rest).get("rest_route") if path in ("/", "/index.php") else None
    if query:
        _answer_rest(exchange, query[-1], by_query=True)
    elif f"{path}/".startswith("/wp-json/"):
        _answer_rest(exchange, path.removeprefix("/wp-json"), by_query=False)
    elif path in ("/", "/index.php"):
        exchange.headers = [
            exchange.api_link,
            ("Link", f'<{exchange.state.root}/wp/v2/pages/4>; rel="alternate"; type="application/json"'),
            ("Link", f"<{exchange.state.url}/>; rel=shortlink"),
        ]
        exchange.say(200, page(exchange.state, exchange.nonces[0]), _HTML)
    else:
        exchange.headers = [*NO_CACHE, exchange.api_link]
        exchange.say(404, "<!doctype html><title>Page not found</title>\n", _HTML)


def _answer_rest(exchange: Exchange, route: str, *, by_query: bool) -> None:
    exchange.open_rest()
    if exchange.nonce is not None and exchange.nonce not in exchange.nonces:
        for name, value in NO_CACHE:
            exchange.replace(name, value)
        return exchange.deny(403, "rest_cookie_invalid_nonce", "Cookie check failed")
    if exchange.nonce is not None:
        exchange.headers.append(("X-WP-Nonce", exchange.nonces[0]))
    route = route.rstrip("/").lower()
    has_session = exchange.version.session and (exchange.version.session_by_query or not by_query)
    if exchange.request.method != "POST" or route not in {SUBMIT, START_SESSION if has_session else SUBMIT}:
        if exchange.request.method == "GET":
            exchange.headers.append(("Vary", "Origin"))
        return exchange.deny(404, "rest_no_route", _NO_ROUTE)
    problem = exchange.json_problem()
    if route == SUBMIT:
        return exchange.deny_bad_json(problem) if problem else answer_chat(exchange)
    return _answer_session(exchange, problem)


def _answer_session(exchange: Exchange, problem: Json | None) -> None:
    if problem:
        exchange.headers.append(("Allow", "POST"))
        return exchange.deny_bad_json(problem)
    session = exchange.set_session_cookie()
    exchange.headers.append(("Allow", "POST"))
    answer = {"success": True, "sessionId": session, "restNonce": exchange.nonces[0]}
    return exchange.say_json(200, answer | exchange.token())
