"""``serve-demo``: serve a small AI Engine site on this machine until Ctrl-C."""

from __future__ import annotations

import argparse
import errno
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from .command import Command, count, refuse_words, seconds
from .connection import DEMO_PAUSE
from .streams import Failure, write

if TYPE_CHECKING:
    from ..testing import Site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``serve-demo``."""
    parser.add_argument("--port", type=count, default=8080, metavar="N", help="the port on 127.0.0.1 (default: 8080)")
    parser.add_argument(
        "--pause",
        type=seconds,
        default=DEMO_PAUSE,
        metavar="SECONDS",
        help=f"the time between two pieces of an answer (default: {DEMO_PAUSE})",
    )
    parser.add_argument(
        "--limit-after",
        type=count,
        metavar="N",
        help="refuse further questions after this many, as a site's limit does",
    )
    parser.add_argument(
        "--plain-permalinks", action="store_true", help="serve the REST API at /index.php?rest_route= only"
    )


def run(options: argparse.Namespace) -> int:
    """Serve the site until Ctrl-C."""
    with _served(options) as site:
        write(f"{site.url} repeats each question. Press Ctrl-C to stop it.\n", "the address")
        threading.Event().wait()
    return 0


@contextmanager
def _served(options: argparse.Namespace) -> Iterator[Site]:
    """Serve the site in the block. Raises Failure for a port that is in use or not allowed."""
    from ..testing import serve_site  # noqa: PLC0415  # only this command and the demo need a server

    with ExitStack() as stack:
        try:
            site = stack.enter_context(
                serve_site(
                    pause=options.pause,
                    port=options.port,
                    limit_after=options.limit_after,
                    permalinks="plain" if options.plain_permalinks else "pretty",
                )
            )
        except OSError as error:
            why = "in use" if error.errno == errno.EADDRINUSE else f"not available ({error.strerror or error})"
            raise Failure(f"the port {options.port} is {why}; choose another one with --port") from error
        yield site


COMMAND = Command(
    name="serve-demo",
    summary="serve a small site on this machine, to try the other commands",
    usage="[options]",
    description=(
        "Serve a small AI Engine site at http://127.0.0.1:8080 until Ctrl-C.\n"
        "It has no model: it repeats each question. No other machine can reach it."
    ),
    examples="""\
chatgpt4online serve-demo
chatgpt4online serve-demo --port 9000 --pause 0.5
chatgpt4online "Hello" --site http://127.0.0.1:9000
""",
    add_arguments=add_arguments,
    check=refuse_words,
    run=run,
)
