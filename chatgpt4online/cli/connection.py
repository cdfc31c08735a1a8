"""The options that name a site, a login and time limits, and the client that they make."""

from __future__ import annotations

import argparse
import getpass
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import Bot, ChatError, InvalidInput, Submission, TimedOut, Timeout, Turn
from .command import Parser, refuse_words, seconds

if TYPE_CHECKING:
    from .. import AsyncClient, Client, ClientOptions

SITE = "CHATGPT4ONLINE_SITE"
BOT = "CHATGPT4ONLINE_BOT"
USER = "CHATGPT4ONLINE_USER"
PASSWORD = "CHATGPT4ONLINE_PASSWORD"  # noqa: S105  # the name of the variable
TOKEN = "CHATGPT4ONLINE_TOKEN"  # noqa: S105  # as above
_LOG = "CHATGPT4ONLINE_LOG"
DEMO_PAUSE = 0.05  # seconds between the pieces of the demo's answer, so that a user sees it stream
_LIMITS = {
    "connect": ("--connect-timeout", "the longest wait for a connection"),
    "first_byte": ("--first-byte-timeout", "the longest wait for the start of an answer"),
    "idle": ("--idle-timeout", "the longest wait for each next byte of an answer"),
    "total": ("--timeout", "the longest time for a whole answer"),
}
_USUAL = Timeout()

# The ends of the messages about options of other commands, in a command that has add_address.
ADDRESS_HINTS = {
    "--site": "; write the address alone",
    "--demo": "; start a site with chatgpt4online serve-demo, and write its address",
}

ENVIRONMENT = """\
environment, ignored if the arguments name another site:
  CHATGPT4ONLINE_SITE      the site's address
  CHATGPT4ONLINE_BOT       the chatbot's id there
  CHATGPT4ONLINE_USER      the name of a user of that site, together with
  CHATGPT4ONLINE_PASSWORD  an application password of this user
  CHATGPT4ONLINE_TOKEN     the token of that site's public API

Use it with sites that are yours, or whose owner allows it.
"""


def add_site(parser: argparse.ArgumentParser, *, demo: bool = True) -> None:
    """Add the options ``--site`` and ``--demo`` that name the site."""
    group = parser.add_argument_group("the site")
    where = group.add_mutually_exclusive_group()
    where.add_argument(
        "--site", metavar="ADDRESS", help=f"the site's address (default: the environment variable {SITE})"
    )
    if demo:
        where.add_argument(
            "--demo", action="store_true", help="ask a small site that runs on this machine for as long as it is needed"
        )


def add_address(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the argument that names the site in a command without ``--site``."""
    parser.add_argument("site", nargs="?", metavar="ADDRESS", help=f"{what} (default: the environment variable {SITE})")


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add the options for the login, the proxy, the time limits and the log."""
    group = parser.add_argument_group("the connection")
    group.add_argument(
        "--user",
        metavar="NAME",
        help="log in as this user; the application password comes from the environment or is asked for",
    )
    group.add_argument(
        "--token",
        metavar="TOKEN",
        help="the token of the site's public API; other users of this machine can see it, so the environment is better",
    )
    group.add_argument(
        "--header",
        metavar="NAME:VALUE",
        action="append",
        type=_header,
        default=[],
        help="a header for every request; can be given several times",
    )
    group.add_argument("--proxy", metavar="ADDRESS", help="a proxy (default: that of the environment)")
    for clock, (option, meaning) in _LIMITS.items():
        usual = getattr(_USUAL, clock)
        default = "no limit" if usual is None else f"{usual:g}"
        group.add_argument(
            option,
            dest=f"{clock}_timeout",
            type=seconds,
            metavar="SECONDS",
            default=usual,
            help=f"{meaning} (default: {default})",
        )
    group.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="write a line for each request to standard error; -vv also each decision and event; without secrets",
    )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"a header is written as NAME:VALUE, not {text!r}")
    return name.strip(), value.strip()


def check_words(parser: Parser, options: argparse.Namespace, rest: list[str]) -> None:
    """End the program if there are words that no argument uses, or if no site is named. See :func:`check_site`."""
    refuse_words(parser, options, rest)
    check_site(parser, options)


def check_site(parser: Parser, options: argparse.Namespace) -> None:
    """End the program if no site is named. Raises InvalidInput for an address that cannot be used."""
    has_address = parser.hints is ADDRESS_HINTS
    if options.site is not None:
        check_address("ADDRESS" if has_address else "--site", options.site)
    elif not (is_demo(options) or os.environ.get(SITE)):
        ways = [f"add {'its address' if has_address else '--site ADDRESS'}", f"set the environment variable {SITE}"]
        if hasattr(options, "demo"):
            ways.append("add --demo to ask a small site on this machine")
        parser.error(f"no site is given: {', '.join(ways[:-1])}, or {ways[-1]}")


def check_address(name: str, address: str) -> None:
    """Raise InvalidInput for an address of a site that cannot be used. ``name`` is the argument in its message."""
    try:
        Turn(address, Submission("Hello"))
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error}") from None


def is_demo(options: argparse.Namespace) -> bool:
    """Return whether the site is the demo's."""
    return getattr(options, "demo", False)


@contextmanager
def served_demo(options: argparse.Namespace) -> Iterator[None]:
    """With ``--demo``, serve the demo's site in the block, and make it the site of the arguments."""
    if not is_demo(options):
        yield
        return
    from ..testing import serve_site  # noqa: PLC0415  # only the demo needs a server

    os.environ["no_proxy"] = "127.0.0.1"  # the environment's proxy would not reach this machine
    with serve_site(pause=DEMO_PAUSE) as site:
        options.demo, options.site = False, site.url
        yield


@contextmanager
def open_client(options: argparse.Namespace) -> Iterator[Client]:
    """Return a client for the site, the bot and the login of the arguments. With ``--demo``, serve the site too."""
    with served_demo(options):
        from .. import Client  # noqa: PLC0415  # it imports requests, which --help does not need

        found = client_options(options)
        with Client(**found) if options.site is None else Client(options.site, **found) as client:
            yield client


def make_async_client(options: argparse.Namespace, found: ClientOptions) -> AsyncClient:
    """Return a client for asyncio, for the site of the arguments. The caller closes it.

    ``found`` are the :func:`client_options` of the arguments. With ``--demo``, ``served_demo`` has to serve the site.
    """
    from .. import AsyncClient  # noqa: PLC0415  # it imports asyncio, which --help does not need

    return AsyncClient(**found) if options.site is None else AsyncClient(options.site, **found)


def site_and_bot(options: argparse.Namespace) -> tuple[str, str]:
    """Return the site's address, or ``"demo"``, and the bot's id of the arguments or of the environment."""
    site = "demo" if is_demo(options) else options.site or os.environ[SITE]
    return site.rstrip("/"), wanted_bot(options) or "default"


def home_page(options: argparse.Namespace) -> str:
    """Return the address of the site's home page, which may be in a directory. ``served_demo`` serves the demo's."""
    return start_page(options.site or os.environ[SITE])


def start_page(address: str) -> str:
    """Return the address of the page: the given one, or the start page of a REST root."""
    address = re.sub(r"[?&]rest_route=.*", "", address.strip().partition("#")[0])
    return re.sub(r"(?:/wp-json(?:/.*)?|/index\.php)$", "/", address)


def wanted_bot(options: argparse.Namespace) -> str | None:
    """Return the bot's id of the arguments, or of the environment if that names the site, or None."""
    bot_id: str | None = options.bot
    if bot_id is None and options.site is None and not is_demo(options):
        bot_id = os.environ.get(BOT)
    return bot_id or None


def choose_bot(client: Client, page: str, bot_id: str | None) -> Bot:
    """Return the first bot of a page, or the one with an id. Raises InvalidInput if the page has no such bot."""
    return pick_bot(client.bots(page), bot_id)


def pick_bot(bots: Iterable[Bot], bot_id: str | None) -> Bot:
    """Return the first of a page's bots, or the one with an id. Raises InvalidInput if the page has no such bot."""
    bots = list(bots)
    for bot in bots:
        if bot_id in (None, bot.bot_id, bot.custom_id):
            return bot
    names = ", ".join(str(bot.custom_id or bot.bot_id) for bot in bots)
    raise InvalidInput(f"--bot: the page has no bot {bot_id!r}, but {names}")


def client_options(options: argparse.Namespace) -> ClientOptions:
    """Return the options of a client from the arguments, without the site. May ask for the password of ``--user``.

    Raises InvalidInput for a login that cannot be used.
    """
    if options.verbose:
        os.environ[_LOG] = "debug" if options.verbose > 1 else "info"
    found: ClientOptions = {"proxy": options.proxy, "timeout": timeout(options)}
    if (bot_id := getattr(options, "bot", None)) is not None:
        found["bot_id"] = bot_id
    if options.header:
        found["headers"] = dict(options.header)
    if options.user is not None:
        found["auth"] = (options.user, _password(options))
    if options.token is not None:
        found["token"] = options.token
    return found


def timeout(options: argparse.Namespace) -> Timeout:
    """Return the time limits of the arguments."""
    limits: dict[str, Any] = {clock: getattr(options, f"{clock}_timeout") for clock in _LIMITS}
    return Timeout(**limits)


def reason(error: Exception) -> str:
    """Return the message of an error, with the option's name in place of the parameter's for an expired wait.

    An error of the system is written without its number.
    """
    if isinstance(error, OSError) and error.strerror and not isinstance(error, ChatError):
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return as_option(str(error), error.clock) if isinstance(error, TimedOut) else str(error)


def as_option(message: str, clock: str) -> str:
    """Return the message of an expired wait with the option's name in place of the parameter's name."""
    return message.replace(f"timeout.{clock}", _LIMITS[clock][0])


def _password(options: argparse.Namespace) -> str:
    """Return the password of ``--user``: that of the environment if it is for this site, or one that a person types."""
    if _is_for_this_site(options, os.environ):
        return os.environ[PASSWORD]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(f"Application password of {options.user}: ")
    except (getpass.GetPassWarning, EOFError, OSError):
        raise InvalidInput(
            f"--user: no terminal can be asked for the password; set {SITE}, {USER} and {PASSWORD}, "
            "and leave out --site and --user"
        ) from None


def _is_for_this_site(options: argparse.Namespace, environ: Mapping[str, str]) -> bool:
    """Return whether the password of the environment belongs to the user and the site of the arguments."""
    same_site = options.site is None or options.site.rstrip("/") == environ.get(SITE, "").rstrip("/")
    same_user = environ.get(USER, options.user) == options.user
    return bool(environ.get(PASSWORD)) and same_site and same_user
