"""``export``: print the stored conversations of a login."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from .. import Discussion
from .command import Command, Parser, refuse_words
from .connection import ENVIRONMENT, add_connection, add_site, check_site, open_client
from .streams import write, write_error, write_json

_WHAT = "the discussions"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``export``."""
    add_site(parser)
    parser.add_argument("--bot", metavar="ID", help="the bot's id (default: CHATGPT4ONLINE_BOT, or else default)")
    parser.add_argument("--format", choices=("jsonl", "markdown"), default="jsonl", help="the form (default: jsonl)")
    add_connection(parser)


def run(options: argparse.Namespace) -> int:
    """Print each discussion as soon as its page has arrived."""
    count = 0
    with open_client(options) as client:
        for discussion in client.iter_discussions():
            if options.format == "markdown":
                write(("\n" if count else "") + discussion.to_markdown(), _WHAT)
            else:
                write_json(_record(discussion), _WHAT)
            count += 1
    write_error(f"{count} discussions\n")
    return 0


def _record(discussion: Discussion) -> dict[str, Any]:
    """Return the fields of a discussion without ``raw``, which has the visitor's address too."""
    return {name: value for name, value in asdict(discussion).items() if name != "raw"}


def _check(parser: Parser, options: argparse.Namespace, rest: list[str]) -> None:
    refuse_words(parser, rest)
    check_site(parser, options)


COMMAND = Command(
    name="export",
    summary="print the stored conversations of a login",
    usage="(--site ADDRESS | --demo) --user NAME [options]",
    description=(
        "Print the discussions that the site has stored for a user and a bot, the newest\n"
        "first. The site must have Discussions turned on in the settings of AI Engine."
    ),
    examples="""\
chatgpt4online export --site https://example.org --user anna > all.jsonl
chatgpt4online export --site https://example.org --format markdown
""",
    notes=ENVIRONMENT,
    add_arguments=add_arguments,
    check=_check,
    run=run,
)
