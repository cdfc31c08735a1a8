"""``export``: print the stored conversations of a login, or write them into a file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from .. import Discussion, StatusError
from .command import Command, names_files
from .connection import ENVIRONMENT, add_connection, add_site, check_words, open_client
from .files import replaced
from .streams import Failure, open_output, write, write_error

if TYPE_CHECKING:
    from .. import Client

_WHAT = "the discussions"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``export``."""
    add_site(parser, demo=False)
    group = parser.add_argument_group("the discussions")
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--bot",
        dest="bots",
        metavar="ID",
        action="append",
        help="the bot's id; can be given several times (default: CHATGPT4ONLINE_BOT, or else default)",
    )
    which.add_argument(
        "--all-bots", action="store_true", help="all bots that the site's public API lists; the owner must turn it on"
    )
    group = parser.add_argument_group("the output")
    group.add_argument("--format", choices=("jsonl", "markdown"), default="jsonl", help="the form (default: jsonl)")
    output = group.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write into this file, which keeps its old content until all discussions have arrived",
    )
    names_files(output)
    add_connection(parser)


def run(options: argparse.Namespace) -> int:
    """Write each discussion as soon as its page has arrived."""
    count = 0
    with open_client(options) as client, _opened(options.output) as output:
        for discussion in _discussions(client, _bots(client, options)):
            output(_as_markdown(discussion, count) if options.format == "markdown" else _as_json(discussion))
            count += 1
    hint = "" if count or options.all_bots else "; another bot may have some: see --bot"
    write_error(f"{count} {'discussion' if count == 1 else 'discussions'}{hint}\n")
    return 0


@contextmanager
def _opened(path: str | None) -> Iterator[Callable[[str], object]]:
    """Return a function that writes a text to a file, or to standard output without one."""
    if path is None:
        open_output(_WHAT)
        yield partial(write, what=_WHAT)
        return
    with replaced(path, _WHAT) as file:
        yield lambda text: file.write(text.encode(errors="replace"))


def _bots(client: Client, options: argparse.Namespace) -> list[str] | None:
    """Return the ids of the bots, or None for the bot of the client."""
    if not options.all_bots:
        bots: list[str] | None = options.bots
        return bots
    try:
        return [str(bot["id"]) for bot in client.api.bots() if "id" in bot]
    except StatusError as error:
        raise Failure(f"--all-bots: the site does not list its bots; name each with --bot: {error}") from error


def _discussions(client: Client, bots: list[str] | None) -> Iterator[Discussion]:
    """Yield the discussions with each bot, the newest first."""
    if bots is None:
        yield from client.iter_discussions()
        return
    for bot in dict.fromkeys(bots):
        yield from client.with_options(bot_id=bot).iter_discussions()


def _as_json(discussion: Discussion) -> str:
    """Return a discussion as a line of JSON, without ``raw``, which has the visitor's address too."""
    fields = {name: value for name, value in asdict(discussion).items() if name != "raw"}
    return json.dumps(fields, allow_nan=False) + "\n"


def _as_markdown(discussion: Discussion, number: int) -> str:
    return ("\n" if number else "") + discussion.to_markdown()


_LOGIN = """\
A site gives each user only the user's own discussions. An administrator also
gets only those: AI Engine has no public route for the discussions of all
visitors. The site's owner finds them in WordPress, on the page of AI Engine. A
guest has none, so a login is needed: --user or the environment, with an
application password of WordPress.

A line of JSON has chat_id, title, bot_id, messages, previous_response_id,
created and updated. The visitor's IP address is left out.
"""

COMMAND = Command(
    name="export",
    summary="print the stored conversations of a login",
    usage="--site ADDRESS --user NAME [options]",
    description=(
        "Print the discussions that the site has stored for a user and a bot, the newest\n"
        "first. The site must have Discussions turned on in the settings of AI Engine."
    ),
    examples="""\
chatgpt4online export --site https://example.org --user anna > all.jsonl
chatgpt4online export --site https://example.org --user anna -o all.jsonl
chatgpt4online export --bot default --bot support --format markdown
""",
    notes=f"{_LOGIN}\n{ENVIRONMENT}",
    add_arguments=add_arguments,
    check=check_words,
    run=run,
)
