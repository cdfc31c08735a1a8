"""Answer each address. As in WordPress, the checks are in this order: nonce, route, permission."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from . import chats, files
from .addresses import Place, locate
from .exchange import NO_CACHE, Exchange
from .pages import page

_HTML = "text/html; charset=UTF-8"


def _index(exchange: Exchange) -> None:
    exchange.say_json(200, {"namespaces": ["oembed/1.0", "mwai-ui/v1", "mwai/v1", "wp/v2"]})


def _start_session(exchange: Exchange) -> None:
    answer = {"sessionId": exchange.set_session_cookie(), "restNonce": exchange.nonces.make(exchange.identity)}
    exchange.succeed(**answer)


def _open_session(exchange: Exchange) -> bool:
    return not exchange.state.options.session_closed


def _with_nonce(exchange: Exchange) -> int:
    return exchange.verified


@dataclass(frozen=True, slots=True)
class Route:
    """A route: its path, the function that answers it, and the function that checks the permission.

    WordPress sends ``Allow`` only if ``access`` returns ``True`` itself, not for other true values.
    """

    path: str
    answer: Callable[[Exchange], None]
    access: Callable[[Exchange], int]
    method: str = "POST"


ROUTES = (
    Route("/", _index, lambda exchange: True, "GET"),
    Route("/mwai/v1/start_session", _start_session, _open_session),
    Route("/mwai-ui/v1/files/upload", files.upload, _with_nonce),
    Route("/mwai-ui/v1/files/delete", files.delete_files, _with_nonce),
    Route("/mwai-ui/v1/chats/submit", chats.submit, _with_nonce),
)


def answer(exchange: Exchange, routes: Sequence[Route]) -> None:
    """Answer a request. ``routes`` are those of the REST API."""
    place = locate(exchange.state, exchange.request.method, exchange.request.path)
    exchange.language = place.language
    if place.kind == "rest":
        if exchange.open_rest():
            _answer_rest(exchange, place.path, routes)
    elif place.kind == "page":
        _answer_page(exchange)
    elif place.kind == "file":
        _answer_file(exchange, place)
    elif place.kind == "nonce":
        nonce = exchange.nonces.make(exchange.identity) if exchange.user else "0"
        exchange.headers += NO_CACHE
        exchange.say(200 if exchange.user else 400, nonce, _HTML)
    elif place.kind == "nothing":
        exchange.open_page()
        exchange.disable_cache()
        exchange.headers.append(exchange.api_link)
        exchange.say(404, "<!doctype html><title>Page not found</title>\n", _HTML)
    else:
        exchange.response.refuse(HTTPStatus.NOT_FOUND)


def _answer_page(exchange: Exchange) -> None:
    exchange.open_page()
    session = exchange.set_session_cookie() if exchange.user else ""
    exchange.headers += [
        exchange.api_link,
        ("Link", f'<{exchange.root}/wp/v2/pages/4>; rel="alternate"; type="application/json"'),
        ("Link", f"<{exchange.state.home(exchange.language)}/>; rel=shortlink"),
    ]
    exchange.say(200, page(exchange, session), _HTML)


def _answer_file(exchange: Exchange, place: Place) -> None:
    with exchange.state.lock:
        stored = [kept.file for kept in exchange.state.files if kept.file.url == exchange.state.url + place.path]
    if not stored:
        return exchange.response.refuse(HTTPStatus.NOT_FOUND)
    kind = files.content_type(place.path) or "application/octet-stream"
    exchange.response.start(200, kind, (), len(stored[0].content))
    return exchange.response.write(stored[0].content)


def _answer_rest(exchange: Exchange, path: str, routes: Sequence[Route]) -> None:
    for route in routes:
        if (route.path, route.method) == (path, exchange.request.method):
            granted = route.access(exchange)
            exchange.allow = route.method if granted is True else ""
            return route.answer(exchange) if granted else exchange.forbid()
    return deny_route(exchange)


def deny_route(exchange: Exchange) -> None:
    """Send WordPress's answer for a route that does not exist."""
    exchange.deny(404, "rest_no_route", "No route was found matching the URL and request method.")
