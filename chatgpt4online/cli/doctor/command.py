"""``doctor``: its arguments and its help."""

from __future__ import annotations

import argparse

from ... import InvalidInput, Submission
from ..command import Command, Parser, names_files, refuse_words, seconds
from ..connection import ADDRESS_HINTS, ENVIRONMENT, add_address, add_connection, check_site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``doctor``."""
    add_address(parser, "the page that shows the chat, or the site's address for its home page")
    group = parser.add_argument_group("the question")
    group.add_argument(
        "--ask",
        metavar="QUESTION",
        help="ask this once, which costs what an answer costs, and measure whether the answer streams",
    )
    group.add_argument("--bot", metavar="ID", help="the bot to ask (default: the first one of the page)")
    group = parser.add_argument_group("the output")
    form = group.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one object of JSON in one line")
    form.add_argument(
        "--report", action="store_true", help="print Markdown without secrets, to paste to a host's support"
    )
    group = parser.add_argument_group("watching")
    group.add_argument(
        "--watch",
        metavar="SECONDS",
        type=seconds,
        help="repeat the steps that cost nothing until Ctrl-C, and print a line of JSON each time",
    )
    group.add_argument(
        "--ask-every",
        metavar="SECONDS",
        type=seconds,
        help="with --watch and --ask: ask again after this time; the number of questions a day is printed first",
    )
    textfile = group.add_argument(
        "--textfile",
        metavar="PATH",
        help="also write the result as metrics for Prometheus: a .prom file in the folder of a node exporter",
    )
    names_files(textfile)
    add_connection(parser)


def _check(parser: Parser, options: argparse.Namespace, rest: list[str]) -> None:
    refuse_words(parser, options, rest)
    if options.ask_every is not None and (options.watch is None or options.ask is None):
        parser.error("--ask-every needs --watch and --ask")
    if options.watch is not None and options.ask is not None and options.ask_every is None:
        parser.error("--watch with --ask needs --ask-every SECONDS, since each question costs money")
    if options.ask_every is not None and options.ask_every < options.watch:
        parser.error("--ask-every must be at least as long as --watch")
    if options.watch is not None and options.report:
        parser.error("--report does not go together with --watch, which prints JSON")
    check_site(parser, options)
    if options.ask is not None:
        try:
            Submission(options.ask)
        except InvalidInput as error:
            raise InvalidInput(f"--ask: {error}") from None


def run(options: argparse.Namespace) -> int:
    """Check the site. The exit status is 0 if it is healthy, else 1. Raises InvalidInput, Failure and ReaderGone."""
    from .modes import once, watch  # noqa: PLC0415  # --help needs none of the steps

    return watch(options) if options.watch is not None else once(options)


COMMAND = Command(
    name="doctor",
    summary="check a site step by step, and say what to do about each problem",
    usage="[ADDRESS] [options]",
    description=(
        "Check the chatbot of a WordPress site that runs AI Engine, step by step:\n"
        "the address, TLS, the REST API, the plugin, the nonce, the bots, the servers in\n"
        "front. Each step has a verdict, and says what to do about a problem. Only --ask\n"
        "asks a question; all other steps cost the site's owner nothing."
    ),
    examples="""\
chatgpt4online doctor https://example.org
chatgpt4online doctor https://example.org --ask "Count to 50 in words."
chatgpt4online doctor https://example.org --ask "Tell a tale" --report > r.md
chatgpt4online doctor https://example.org --user anna
chatgpt4online doctor https://example.org --json
chatgpt4online doctor https://example.org --watch 300 --textfile site.prom
chatgpt4online doctor https://example.org --watch 60 --ask Hi --ask-every 600
""",
    notes=f"""\
verdicts:
  ok        the step found no problem
  warning   it works, but can be better or will fail later
  problem   visitors or programs cannot use the chat as they should
  unknown   the step cannot tell; it says what would help
  skipped   the step was not carried out

With --user or --token, three more steps check what only the owner cares about:
the public API, the MCP endpoint, and API keys in the texts of errors.

{ENVIRONMENT}""",
    add_arguments=add_arguments,
    check=_check,
    hints=ADDRESS_HINTS,
    run=run,
    statuses={
        0: "healthy: no step has found a problem",
        1: "not healthy, or the check failed; the reason is in the output",
    },
)
