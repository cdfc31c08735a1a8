"""The page with the widgets (protocol section 3)."""

from __future__ import annotations

import html
import json

from ..protocol.parsing.events import Json
from .exchange import Exchange
from .php import encode_json, tagged
from .widgets import Widget


def page(exchange: Exchange, session: str) -> str:
    """Return a page with a widget for each bot. ``session`` is the session id of a user, or ``""``."""
    widgets = "\n".join(_widget(exchange, bot, session) for bot in exchange.state.options.bots)
    return (
        '<!doctype html><html><head><meta charset="utf-8"><title>A site on loopback</title>\n'
        f'<link rel="https://api.w.org/" href="{exchange.root}/" />\n'
        f"</head><body>\n{widgets}\n</body></html>\n"
    )


def _widget(exchange: Exchange, bot: Widget, session: str) -> str:
    plugin = exchange.state.url + exchange.version.plugin_url
    theme = {"type": "internal", "name": "ChatGPT", "themeId": "chatgpt", "settings": [], "style": ""}
    if exchange.version.theme_css:
        theme["cssUrl"] = f"{plugin}/themes/chatgpt.css"
    data = {"params": _params(exchange, bot), "system": _system(exchange, bot, plugin, session), "theme": theme}
    attributes = (f" data-{name}='{html.escape(encode_json(value))}'" for name, value in data.items())
    return f"<div class='mwai-chatbot-container'{''.join(attributes)}></div>".replace("&#x27;", "&#039;")


def _params(exchange: Exchange, bot: Widget) -> Json:
    params: Json = json.loads(exchange.version.params)
    params["aiName"], params["startSentence"] = bot.name, bot.start_sentence
    params["textInputMaxLength"] = bot.max_length or exchange.state.options.max_length
    inputs, usual = _inputs(bot), _inputs(Widget())
    return params | {name: value for name, value in inputs.items() if name in params or value != usual[name]}


def _inputs(bot: Widget) -> Json:
    many = bot.multi_upload
    uploads = {"imageUpload": bot.uploads, "fileUpload": bot.uploads, "multiUpload": many}
    return uploads | {"maxUploads": 10 if many else 1, "mode": bot.mode}


def _system(exchange: Exchange, bot: Widget, plugin: str, session: str) -> Json:
    version, state = exchange.version, exchange.state
    shows_nonce = exchange.user or state.options.session_closed or not version.session
    system: Json = {
        "botId": _as_embedded(bot.bot_id),
        "customId": _as_embedded(bot.custom_id),
        "userData": state.logins.user_data(exchange.user) if exchange.user else None,
        "sessionId": session or version.guest_session,
        "restNonce": exchange.nonces.make(exchange.identity) if shows_nonce else None,
        "contextId": 4,
        "pluginUrl": plugin,
        "restUrl": exchange.root,
        **json.loads(version.system),
    }
    if "shortcuts" in system:
        system["shortcuts"] = [tagged(shortcut, secret=version.secret_shortcuts) for shortcut in bot.shortcuts]
    return system


def _as_embedded(name: str | None) -> str | int | None:
    """Return a name as the plugin writes it into the page: a name of digits becomes a number."""
    return int(name) if name and name.isascii() and name.isdigit() else name
