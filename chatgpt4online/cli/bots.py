"""``bots``: list the bots of a page."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from .. import Bot
from .command import Command
from .connection import ADDRESS_HINTS, ENVIRONMENT, add_address, add_connection, check_words, home_page, open_client
from .streams import write_json
from .tables import print_table

_SECRETS = ("nonce", "session_id")
_WHAT = "the list"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bots``."""
    add_address(parser, "the page, or the site's address for its home page")
    parser.add_argument("--json", action="store_true", help="print each bot as a line of JSON")
    add_connection(parser)


def run(options: argparse.Namespace) -> int:
    """Print the bots of the page."""
    with open_client(options) as client:
        bots = client.bots(home_page(options))
    if options.json:
        for bot in bots:
            write_json(_record(bot), _WHAT)
        return 0
    print_table(("bot", "name", "longest question", "files", "first sentence"), [_row(bot) for bot in bots], _WHAT)
    return 0


def _record(bot: Bot) -> dict[str, Any]:
    """Return the fields of a bot, without the nonce and the session id of the page."""
    return {name: value for name, value in asdict(bot).items() if name not in _SECRETS}


def _row(bot: Bot) -> tuple[str, ...]:
    size = "unknown" if bot.max_length is None else f"{bot.max_length} characters"
    files = f"up to {bot.max_uploads}" if bot.uploads else "no"
    return bot.custom_id or bot.bot_id or "", bot.name, size, files, bot.start_sentence


COMMAND = Command(
    name="bots",
    summary="list the bots of a page",
    usage="[ADDRESS] [options]",
    description=(
        "List the chat widgets of a page, with the id that --bot takes.\n"
        "Nothing is asked, so this costs the site's owner nothing."
    ),
    examples="""\
chatgpt4online bots https://example.org
chatgpt4online bots https://example.org/help --json
""",
    notes=ENVIRONMENT,
    add_arguments=add_arguments,
    check=check_words,
    hints=ADDRESS_HINTS,
    run=run,
)
