"""Answer each address. As in WordPress, the checks are in this order: nonce, route, JSON, permission."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from . import api, chats, discussions, files
from .addresses import Place, locate
from .exchange import NO_CACHE, Exchange
from .index import root_index, space_index
from .pages import page

_HTML = "text/html; charset=UTF-8"
_NO_ROUTE = "No route was found matching the URL and request method."
_UI, _API = "/mwai-ui/v1/", "/mwai/v1/"


def _start_session(exchange: Exchange) -> None:
    answer = {"sessionId": exchange.set_session_cookie(), "restNonce": exchange.nonces.make(exchange.identity)}
    exchange.succeed(**answer)


def _everybody(_: Exchange) -> bool:
    return True


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
    since: tuple[int, int, int]
    module: Literal["", "session", "discussions", "api"] = ""
    method: str = "POST"


ROUTES = (
    Route(f"{_API}start_session", _start_session, _open_session, (2, 4, 4), "session"),
    Route(f"{_API}simpleAuthCheck", api.check, api.may_use_api, (2, 1, 6), "api", "GET"),
    *(
        Route(f"{_API}{name}", api.query, api.may_use_api, since, "api")
        for name, since in (
            ("simpleTextQuery", (1, 3, 90)),
            ("simpleFastTextQuery", (2, 9, 2)),
            ("simpleImageQuery", (2, 1, 6)),
            ("simpleImageEditQuery", (2, 8, 2)),
            ("simpleVisionQuery", (1, 9, 96)),
            ("simpleJsonQuery", (1, 9, 96)),
            ("moderationCheck", (1, 3, 90)),
            ("simpleTranscribeAudio", (2, 8, 9)),
        )
    ),
    Route(f"{_API}simpleChatbotQuery", api.chat, api.may_use_api, (1, 9, 3), "api"),
    Route(f"{_API}simpleFileUpload", api.upload, api.may_use_api, (2, 9, 3), "api"),
    Route(f"{_API}listChatbots", api.list_bots, api.may_use_api, (2, 8, 5), "api", "GET"),
    Route(f"{_UI}files/upload", files.upload, _with_nonce, (1, 9, 95)),
    Route(f"{_UI}files/list", files.list_files, _with_nonce, (2, 1, 5)),
    Route(f"{_UI}files/delete", files.delete_files, _with_nonce, (1, 9, 95)),
    Route(f"{_UI}chats/submit", chats.submit, _with_nonce, (1, 6, 76)),
    Route(f"{_UI}discussions/list", discussions.list_discussions, _everybody, (1, 6, 79), "discussions"),
    Route(f"{_UI}discussions/edit", discussions.edit_discussion, _everybody, (2, 6, 5), "discussions"),
    Route(
        f"{_UI}discussions/delete",
        discussions.delete_discussions,
        discussions.may_delete_discussions,
        (2, 6, 5),
        "discussions",
    ),
)


def answer(exchange: Exchange) -> None:
    """Answer a request."""
    place = locate(exchange.state, exchange.request.method, exchange.request.path)
    exchange.language = place.language
    if place.kind == "rest":
        if exchange.open_rest():
            _answer_rest(exchange, place)
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


def _answer_rest(exchange: Exchange, place: Place) -> None:
    path, method = place.path.rstrip("/").lower(), exchange.request.method
    routes = [route for route in ROUTES if _is_on(exchange, route, place)]
    if method in ("GET", "HEAD") and path in ("", "/mwai/v1", "/mwai-ui/v1"):
        exchange.allow = "GET"
        offered = [(route.path, route.method) for route in routes]
        index = space_index(exchange, path, offered) if path else root_index(exchange, offered)
        return exchange.say_json(200, index)
    methods = ("GET", "HEAD") if method == "HEAD" else (method,)
    for route in routes:
        if route.path.lower() == path and route.method in methods:
            return _use(exchange, route)
    return exchange.deny(404, "rest_no_route", _NO_ROUTE)


def _is_on(exchange: Exchange, route: Route, place: Place) -> bool:
    version, options = exchange.version, exchange.state.options
    modules = {
        "": True,
        "session": place.is_plain_rest or version.session_everywhere,
        "discussions": options.discussions,
        "api": options.token is not None,
    }
    return route.since <= version.number and modules[route.module]


def _use(exchange: Exchange, route: Route) -> None:
    exchange.route = route.path
    granted = route.access(exchange)
    exchange.allow = route.method if granted is True else ""
    problem = exchange.json_problem()
    if problem:
        return exchange.deny(400, "rest_invalid_json", "Invalid JSON body passed.", problem)
    return route.answer(exchange) if granted else exchange.forbid()
