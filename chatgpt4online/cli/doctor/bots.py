"""The step ``bots``: the bots of the page, and their limits."""

from __future__ import annotations

from typing import Any

from ... import Bot, NotAiEngine
from .findings import Finding
from .site import Page, Site

_MODES = {
    "images": "makes pictures, and never streams",
    "realtime": "talks by voice in the browser only; no other program can ask it",
}


async def check_bots(site: Site) -> Finding:
    """List the bots of the page."""
    return read_bots(await site.page())


def read_bots(page: Page) -> Finding:
    """Return the finding for the bots of a page."""
    if not page.bots:
        if isinstance(page.error, NotAiEngine) and page.error.status == 200:
            return Finding("bots", "unknown", "the page has no chat window", _OTHER_PAGE)
        return Finding("bots", "unknown", f"the page cannot be read: {page.error}")
    data = {"bots": [_record(bot) for bot in page.bots]}
    return Finding("bots", "ok", "; ".join(_words(bot) for bot in page.bots), data=data)


_OTHER_PAGE = "Check the page that shows the chat. A window that a script adds later cannot be found."


def _words(bot: Bot) -> str:
    limit = "no known limit" if bot.max_length is None else f"questions up to {bot.max_length} characters"
    files = f", up to {bot.max_uploads} file{'s' if bot.max_uploads > 1 else ''}" if bot.uploads else ""
    mode = f", {_MODES[bot.mode]}" if bot.mode in _MODES else ""
    return f"{bot.custom_id or bot.bot_id} ({limit}{files}{mode})"


def _record(bot: Bot) -> dict[str, Any]:
    return {
        "bot_id": bot.bot_id,
        "custom_id": bot.custom_id,
        "name": bot.name,
        "mode": bot.mode,
        "max_length": bot.max_length,
        "uploads": bot.uploads,
        "max_uploads": bot.max_uploads,
    }
