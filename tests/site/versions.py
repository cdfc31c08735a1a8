"""The differences between the recorded releases of the plugin."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TypeAlias

from chatgpt4online.testing.exchange import Exchange
from chatgpt4online.testing.routes import ROUTES, Route, deny_route
from chatgpt4online.testing.version import VERSION

Number: TypeAlias = tuple[int, int, int]

_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")
_SYSTEM_2_8_9 = json.loads(VERSION.system)
del _SYSTEM_2_8_9["crossSite"]
_PARAMS_2_4_3 = (
    '{"aiName":"AI: ","userName":"User: ","guestName":"Guest: ","textSend":"Send","textClear":"Clear",'
    '"textInputPlaceholder":"Type your message...","textInputMaxLength":512,"textCompliance":"",'
    '"startSentence":"Hi! How can I help you?","localMemory":true,"themeId":"chatgpt","window":false,"icon":"",'
    '"iconText":"","iconTextDelay":1,"iconAlt":"AI Engine Chatbot","iconPosition":"bottom-right","iconBubble":false,'
    '"fullscreen":false,"copyButton":false}'
)

VERSION_2_8_9 = replace(
    VERSION,
    php_session="",
    default_bot=False,
    secret_shortcuts=False,
    instead=("newFileId",),
    usage=(*_TOKENS, "price", "queries"),
    # No page of 2.8.9 was recorded. Its widget here is that of 3.6.2 without later fields (protocol section 3.2).
    system=json.dumps(_SYSTEM_2_8_9),
    guest_session="N/A",
)
VERSIONS = {
    "3.6.2": VERSION,
    "2.8.9": VERSION_2_8_9,
    "2.4.3": replace(
        VERSION_2_8_9,
        php_session=None,
        session=False,
        in_bytes=True,
        notices=False,
        reply=frozenset(("success", "reply", "images", "usage")),
        usage=_TOKENS,
        params=_PARAMS_2_4_3,
        system='{"debugMode":true,"typewriter":false,"speech_recognition":false,"speech_synthesis":false,"stream":true}',
        plugin_url="/wp-content/plugins/ai-engine/",
        theme_css=False,
    ),
}
NUMBERS: dict[str, Number] = {"3.6.2": (3, 6, 2), "2.8.9": (2, 8, 9), "2.4.3": (2, 4, 3)}


def chat_routes(number: Number) -> list[Route]:
    """Return the routes for chats, uploads and the session in this release."""
    routes = {route.path: route for route in ROUTES}
    start, delete = "/mwai/v1/start_session", "/mwai-ui/v1/files/delete"
    if number < (2, 9, 6):
        routes[delete] = replace(routes[delete], answer=_delete_rows)
    if number < (3, 3, 0):
        routes[start] = _at_the_first_root(routes[start])
    if number < (2, 4, 4):
        del routes[start]
    return list(routes.values())


def _delete_rows(exchange: Exchange) -> None:
    """Answer ``files/delete`` as before 2.9.6. It needs the numbers of rows, which no upload tells: it deletes none."""
    exchange.succeed()


def _at_the_first_root(route: Route) -> Route:
    """Return a route that only one form of the addresses of the REST API has (protocol section 1.1)."""

    def is_first(exchange: Exchange) -> bool:
        options = exchange.state.options
        first = "/wp-json/" if options.pretty else "/index.php?rest_route="
        return exchange.request.path.startswith(options.path + first)

    def answer(exchange: Exchange) -> None:
        if is_first(exchange):
            return route.answer(exchange)
        exchange.allow = ""
        return deny_route(exchange)

    return replace(route, answer=answer, access=lambda exchange: not is_first(exchange) or route.access(exchange))
