"""The command line: a prompt in, the answer out as it comes."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any

from ._version import __version__
from .operations import DEFAULT_SITE
from .protocol.calls.deadline import Timeout
from .protocol.parsing.errors import ChatError, StatusError
from .protocol.parsing.events import Event, Notice, Text
from .sync.client import Client

_DEMO_PAUSE = 0.05  # seconds between the pieces of the demo's answer, so that one sees it stream
_INTERRUPTED = 130
_BROKEN_PIPE = 141
_SECRETS = {"restNonce", "new_token", "sessionId"}  # the names in a site's objects; people paste this output
# What a terminal would take for a command is shown as U+FFFD: the text is the model's, not the user's.
_CONTROLS = {code: "\ufffd" for code in [*range(32), *range(127, 160)] if chr(code) not in "\n\t"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 for an answer, 1 for none, 2 for wrong arguments, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    for output in (sys.stdout, sys.stderr):
        if output is not None:  # a service may have none
            output.reconfigure(errors="replace")  # type: ignore[union-attr]  # both are text files here
    try:
        _answer(options)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return _BROKEN_PIPE
    except OSError as error:
        _discard_output()
        return _fail(f"the answer cannot be written: {error.strerror or error}")
    except ChatError as error:
        return _fail(str(error))
    return 0


def _fail(reason: str) -> int:
    """Say in one line why there is no answer, and return the exit status."""
    if sys.stderr is not None:
        sys.stderr.write(f"chatgpt4online: {' '.join(reason.split()).translate(_CONTROLS)}\n")
    return 1


def _discard_output() -> None:
    """Let what is left to write go nowhere: Python flushes stdout once more at exit, which would fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chatgpt4online",
        description="Ask the chatbot of a WordPress site that runs AI Engine, and print the answer as it comes.",
        epilog="Use it with sites that are yours, or whose owner allows it.",
    )
    parser.add_argument("prompt", help="what to ask; - reads it from standard input")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--site", default=DEFAULT_SITE, metavar="URL", help="the site's address (default: %(default)s)")
    where.add_argument("--demo", action="store_true", help="talk to a small site on this machine; needs no network")
    parser.add_argument("--bot", default="default", metavar="ID", help="the chatbot's id (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print each event as a line of JSON")
    parser.add_argument("--notices", action="store_true", help="show thinking, tool calls and the like on stderr")
    parser.add_argument("--proxy", metavar="URL", help="a proxy; without it the environment's proxies count")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds to wait for anything (default: 10/120/60)")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _answer(options: argparse.Namespace) -> None:
    prompt = sys.stdin.read() if options.prompt == "-" else options.prompt
    with ExitStack() as stack:
        site = options.site
        if options.demo:
            from .testing import serve_site  # noqa: PLC0415  # only the demo needs a server

            site = stack.enter_context(serve_site(pause=_DEMO_PAUSE)).url
        timeout = Timeout() if options.timeout is None else options.timeout
        client = stack.enter_context(Client(site, bot_id=options.bot, proxy=options.proxy, timeout=timeout))
        events = stack.enter_context(client.events(prompt))
        if options.json:
            _print_json(events)
        else:
            _print_text(events, options.notices)


def _print_text(events: Iterable[Event], notices: bool) -> None:
    terminal, last = sys.stdout is not None and sys.stdout.isatty(), "\n"
    try:
        for event in events:
            if isinstance(event, Text):
                _write(event.text.translate(_CONTROLS) if terminal else event.text)
                last = event.text or last
            elif isinstance(event, Notice) and notices:
                sys.stderr.write(f"[{event.kind}] {event.text}\n".translate(_CONTROLS))
    finally:
        if not last.endswith("\n"):
            _write("\n")


def _print_json(events: Iterable[Event]) -> None:
    try:
        for event in events:
            _write_json(_as_json(event))
    except ChatError as error:
        record: dict[str, Any] = {"type": "failed", "error": type(error).__name__, "message": str(error)}
        if isinstance(error, StatusError):
            record |= {"status": error.status, "code": error.code, "retry_after": error.retry_after}
        _write_json(record | {"partial_text": error.partial_text})
        raise


def _as_json(event: Event) -> dict[str, Any]:
    return {"type": type(event).__name__.lower(), **{name: getattr(event, name) for name in event.__match_args__}}


def _write_json(record: dict[str, Any]) -> None:
    _write(json.dumps(_to_json(record), allow_nan=False) + "\n")


def _to_json(value: Any) -> Any:
    """Return a value as JSON can hold it, without secrets: NaN and Infinity are null, and dataclasses are objects.

    It has a list of what to do in place of recursion, since a site's JSON may be nested as deeply as Python can read.
    """
    result = [value]
    todo: list[tuple[Any, Any]] = [(result, 0)]
    while todo:
        container, key = todo.pop()
        item = container[key]
        if is_dataclass(item):
            item = {field.name: getattr(item, field.name) for field in fields(item)}
        if isinstance(item, dict):
            item = {name: "***" if name in _SECRETS and inner else inner for name, inner in item.items()}
            todo += [(item, name) for name in item]
        elif isinstance(item, list | tuple):
            item = list(item)
            todo += [(item, position) for position in range(len(item))]
        elif isinstance(item, float) and not isfinite(item):
            item = None
        container[key] = item
    return result[0]


def _write(text: str) -> None:
    if sys.stdout is None:
        raise OSError("standard output is closed")
    sys.stdout.write(text)
    sys.stdout.flush()
