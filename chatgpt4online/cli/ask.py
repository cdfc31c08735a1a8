"""``ask``: send one question, and print the answer as it arrives."""

from __future__ import annotations

import argparse

from .answer import Outcome, print_json, print_text, print_whole
from .command import Command, Parser, names_files
from .connection import ENVIRONMENT, add_connection, add_site, check_site, choose_bot, open_client
from .conversations import open_conversation
from .prompt import read_prompt, read_words
from .streams import open_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ask``."""
    parser.add_argument(
        "prompt",
        nargs="?",
        metavar="PROMPT",
        help="the question; - reads it from standard input, and - after it reads a text to add to the question",
    )
    add_site(parser)
    group = parser.add_argument_group("the question")
    group.add_argument("--bot", metavar="ID", help="the chatbot's id (default: CHATGPT4ONLINE_BOT, or else default)")
    group.add_argument(
        "--page",
        metavar="ADDRESS",
        help="take the bot from this page of the site: its id and its limits (with --bot, the bot of that id)",
    )
    upload = group.add_argument(
        "--file", metavar="PATH", action="append", default=[], help="a file to upload; can be given several times"
    )
    conversation = group.add_argument(
        "--conversation",
        metavar="PATH",
        help="continue the conversation in this file, and store it there again; a missing file begins one",
    )
    names_files(upload, conversation)
    group = parser.add_argument_group("the output")
    group.add_argument("--json", action="store_true", help="print each event, also notices, as a line of JSON")
    group.add_argument(
        "--notices", action="store_true", help="show thinking, tool calls and the like on standard error"
    )
    group.add_argument("--no-stream", action="store_true", help="print the answer when it is complete")
    add_connection(parser)


def _check(parser: Parser, options: argparse.Namespace, rest: list[str]) -> None:
    read_words(parser, options, rest)
    check_site(parser, options)


def run(options: argparse.Namespace) -> int:
    """Ask the question and print the answer. Raises ChatError, Failure and ReaderGone."""
    open_output()  # before the question is sent, which costs the site's owner money
    outcome = Outcome()
    with open_client(options) as site:
        prompt = read_prompt(options)
        client = site
        if options.page is not None:
            client = site.with_options(bot=choose_bot(site, options.page, options.bot))
        path: str | None = options.conversation
        conversation = None if path is None else open_conversation(client, path)
        files = [client.upload(path) for path in options.file]
        with (conversation or client).events(prompt, files=files) as stream:
            events = outcome.watch(stream)
            if options.json:
                print_json(events)
            elif options.no_stream:
                print_whole(events, notices=options.notices)
            else:
                print_text(events, notices=options.notices)
        if conversation is not None and path is not None:
            conversation.save(path)
    outcome.check()
    return 0


COMMAND = Command(
    name="ask",
    summary="send one question, and print the answer as it comes",
    usage="PROMPT [-] (--site ADDRESS | --demo) [options]",
    description=(
        "Send one question to the chatbot of a WordPress site that runs AI Engine.\n"
        "The answer is printed as it comes. The word ask may be left out."
    ),
    examples="""\
chatgpt4online ask "Are you open?" --site https://example.org --bot support
chatgpt4online ask - --site https://example.org --json < question.txt
cat log.txt | chatgpt4online ask "What went wrong?" - --demo
chatgpt4online "And then?" --site https://example.org --conversation a.json
chatgpt4online "Hello" --demo --notices
export CHATGPT4ONLINE_SITE=https://example.org
chatgpt4online "Hello"
""",
    notes=ENVIRONMENT,
    add_arguments=add_arguments,
    check=_check,
    run=run,
    statuses={0: "an answer with text", 1: "no answer, or one without text; the reason is on standard error"},
)
