"""The page with the widgets (protocol section 3)."""

from __future__ import annotations

import html
import json

from .php import encode_json
from .state import State


def page(state: State, nonce: str) -> str:
    """Return a page with a widget for each bot."""
    widgets = "\n".join(_widget(state, bot, nonce) for bot in state.options.bots)
    return (
        '<!doctype html><html><head><meta charset="utf-8"><title>A site on loopback</title>\n'
        f'<link rel="https://api.w.org/" href="{state.root}/" />\n'
        f"</head><body>\n{widgets}\n</body></html>\n"
    )


def _widget(state: State, bot: str, nonce: str) -> str:
    version, plugin = state.version, state.url + state.version.plugin_url
    params = json.loads(version.params) | {"textInputMaxLength": state.options.max_length}
    system = {
        "botId": bot,
        "customId": None,
        "userData": None,
        "sessionId": None if version.default_bot else "N/A",
        "restNonce": None if version.session else nonce,
        "contextId": 4,
        "pluginUrl": plugin,
        "restUrl": state.root,
        **json.loads(version.system),
    }
    theme = {"type": "internal", "name": "ChatGPT", "themeId": "chatgpt", "settings": [], "style": ""}
    if version.theme_css:
        theme["cssUrl"] = f"{plugin}/themes/chatgpt.css"
    data = {"params": params, "system": system, "theme": theme}
    attributes = (f" data-{name}='{html.escape(encode_json(value))}'" for name, value in data.items())
    return f"<div class='mwai-chatbot-container'{''.join(attributes)}></div>".replace("&#x27;", "&#039;")
