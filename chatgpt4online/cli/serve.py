"""``serve``: answer programs that use OpenAI's API with the bots of a site."""

from __future__ import annotations

import argparse
import errno
import ipaddress
import os
import re
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .. import InvalidInput
from .command import Command, Parser, count, refuse_words, seconds
from .connection import BOT, ENVIRONMENT, PASSWORD, SITE, TOKEN, USER, add_connection, client_options, served_demo
from .streams import Failure, write

if TYPE_CHECKING:
    from .. import ClientOptions
    from ..gateway import GatewayOptions, SiteOptions

_KEYS = "CHATGPT4ONLINE_API_KEYS"
_NAMED_SITE = re.compile(r"([A-Za-z0-9._-]+)=(.*)")  # an address has a colon before any "="


def _length(text: str) -> int:
    """Return a whole number from 0. For ``type=`` of an argument."""
    try:
        return 0 if text == "0" else count(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"a whole number from 0 is expected, not {text!r}") from None


# The options of GatewayOptions that have a number; the help shows the default of each.
_LIMITS = {
    "concurrency": ("--concurrency", count, "N", "the number of answers that each site is asked for at once"),
    "queue_length": ("--queue-length", _length, "N", "the number of requests that wait for that"),
    "queue_seconds": ("--queue-timeout", seconds, "SECONDS", "the longest wait there; then the client gets status 503"),
    "max_body": ("--max-body", count, "BYTES", "the largest request, with its pictures"),
    "max_messages": ("--max-messages", count, "N", "the largest number of messages in a request"),
    "max_sessions": ("--max-sessions", count, "N", "the number of API users whose session at each site is kept"),
}
_DRAIN_SECONDS = 60.0  # most answers take less


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``serve``."""
    _add_sites(parser)
    _add_server(parser)
    _add_limits(parser)
    add_connection(parser)


def _add_sites(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the sites and their models")
    where = group.add_mutually_exclusive_group()
    where.add_argument(
        "--site",
        metavar="[NAME=]ADDRESS",
        action="append",
        default=[],
        help=f"a site's address (default: the environment variable {SITE}); "
        "several sites need a name each, and their models begin with it, as in shop/default",
    )
    where.add_argument("--demo", action="store_true", help="answer for a small site that runs on this machine")
    group.add_argument(
        "--bot",
        dest="bots",
        metavar="MODEL=ID",
        action="append",
        default=[],
        help="a model, and the id of its bot at the site; can be given several times",
    )
    group.add_argument(
        "--page",
        metavar="[NAME=]PAGE",
        action="append",
        default=[],
        help="a page whose bots are models; a path or an address; can be given several times",
    )
    group.add_argument(
        "--model",
        metavar="NAME=MODEL",
        action="append",
        default=[],
        help="another name of a model, as in gpt-4o=support; can be given several times",
    )


def _add_server(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the server")
    group.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    group.add_argument("--port", type=_port, default=8000, metavar="N", help="the port (default: %(default)s; 0: any)")
    group.add_argument(
        "--api-key",
        metavar="KEY",
        action="append",
        default=[],
        help=f"a key that clients must send; can be given several times; other users of this machine can see it, so "
        f"the environment variable {_KEYS} is better (keys with spaces between them)",
    )
    group.add_argument(
        "--cors-origin",
        metavar="ORIGIN",
        action="append",
        default=[],
        help="let the web pages of this origin call the gateway, as in https://example.org; can be given several times",
    )
    group.add_argument("--workers", type=count, default=1, metavar="N", help="the number of processes (default: 1)")
    group.add_argument(
        "--drain",
        type=seconds,
        default=_DRAIN_SECONDS,
        metavar="SECONDS",
        help=f"the time that answers have to end after Ctrl-C or SIGTERM (default: {_DRAIN_SECONDS:g})",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    from ..gateway import GatewayOptions  # noqa: PLC0415  # only this command needs the defaults

    group = parser.add_argument_group("the limits of each process")
    usual = {name: field.default for name, field in GatewayOptions.__dataclass_fields__.items()}
    for name, (option, kind, metavar, meaning) in _LIMITS.items():
        group.add_argument(
            option,
            dest=name,
            type=kind,
            metavar=metavar,
            default=usual[name],
            help=f"{meaning} (default: {usual[name]})",
        )


def check(parser: Parser, options: argparse.Namespace, rest: list[str]) -> None:
    """End the program for words that no argument uses. Raises InvalidInput for values that do not fit together."""
    refuse_words(parser, options, rest)
    if not (options.site or options.demo or os.environ.get(SITE)):
        parser.error(
            f"no site is given: add --site ADDRESS, set the environment variable {SITE}, or add --demo to answer for a "
            "small site on this machine"
        )
    if not _keys(options) and not _is_loopback(options.host):
        raise InvalidInput(
            f"--host {options.host}: other machines can reach this address, so clients need a key: "
            f"set {_KEYS}, or add --api-key"
        )
    unnamed = [address for name, address in map(_named_site, options.site) if not name]
    if len(options.site) > 1 and unnamed:
        raise InvalidInput(f"several sites need a name each, as in --site shop={unnamed[0]}")
    if len(options.site) > 1 and (options.user or options.token or options.header):
        raise InvalidInput(
            "--user, --token and --header are sent to one site, and several are given; start a gateway for each site, "
            "or write the application in Python"
        )
    if not options.demo:
        _gateway_options(options, {})


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    from ..gateway import Gateway, serve  # noqa: PLC0415  # as above

    with served_demo(options):
        if isinstance(options.site, str):  # that of the demo
            options.site = [options.site]
        found = _gateway_options(options, _client(options))
        try:
            gateway = Gateway(found)
        except ImportError as error:
            raise Failure(str(error)) from error
        listener = _bind(options.host, options.port)
        listener.listen()  # so a client that reads the address can connect at once
        address = _address(listener)
        lines = f"OPENAI_BASE_URL={address}/v1\n{address}/ is a page to try the models. Press Ctrl-C to stop.\n"
        write(lines, "the address")
        serve(gateway, listener, workers=options.workers, drain_seconds=options.drain)
    return 0


def _gateway_options(options: argparse.Namespace, client: ClientOptions) -> GatewayOptions:
    """Return the options of the gateway. Raises InvalidInput for values that cannot be used."""
    from ..gateway import GatewayOptions  # noqa: PLC0415  # as above

    return GatewayOptions(
        sites=_sites(options, client),
        models=_pairs("--model", "NAME=MODEL", options.model),
        api_keys=_keys(options),
        cors_origins=options.cors_origin,
        **{name: getattr(options, name) for name in _LIMITS},
    )


def _sites(options: argparse.Namespace, client: ClientOptions) -> list[SiteOptions]:
    """Return the sites, each with its bots and its pages."""
    from ..gateway import SiteOptions  # noqa: PLC0415  # as above

    named = [_named_site(text) for text in options.site or [os.environ[SITE]]]
    bots: dict[str, dict[str, str]] = {name: {} for name, _ in named}
    pages: dict[str, list[str]] = {name: [] for name, _ in named}
    for model, bot_id in _pairs("--bot", "MODEL=ID", options.bots).items():
        site, slash, bot = model.partition("/")
        if "" in bots:
            bots[""][model] = bot_id
        elif slash and site in bots:
            bots[site][bot] = bot_id
        else:
            raise InvalidInput(f"--bot {model}={bot_id}: begin the model with its site, as in {named[0][0]}/{model}")
    for page in options.page:
        site, equals, address = page.partition("=")
        if "" in pages:
            pages[""].append(page)
        elif equals and site in pages:
            pages[site].append(address)
        else:
            raise InvalidInput(f"--page {page}: write the name of the site in front, as in {named[0][0]}={page}")
    if not (options.site or options.bots or options.page) and os.environ.get(BOT):
        bots[""] = {os.environ[BOT]: os.environ[BOT]}
    return [SiteOptions(url, name, bots[name], pages[name], client) for name, url in named]


def _named_site(text: str) -> tuple[str, str]:
    """Return the name and the address in ``NAME=ADDRESS``, or ``""`` and the address."""
    match = _NAMED_SITE.fullmatch(text)
    return (match[1], match[2]) if match else ("", text)


def _client(options: argparse.Namespace) -> ClientOptions:
    """Return the options of the clients. The login of the environment is used only for the site of the environment."""
    site = _named_site(options.site[0])[1] if options.site else None
    found = client_options(argparse.Namespace(**{**vars(options), "site": site}))
    if site is None:
        if os.environ.get(TOKEN):
            found.setdefault("token", os.environ[TOKEN])
        if os.environ.get(USER) and os.environ.get(PASSWORD):
            found.setdefault("auth", (os.environ[USER], os.environ[PASSWORD]))
    return found


def _pairs(option: str, form: str, texts: Iterable[str]) -> dict[str, str]:
    """Return the names and values of ``NAME=VALUE`` texts. ``form`` is how the help of the option writes them."""
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise InvalidInput(f"{option} is written as {form}, not {text!r}")
        if name in pairs:
            raise InvalidInput(f"{option}: the name {name!r} is given twice")
        pairs[name] = value
    return pairs


def _keys(options: argparse.Namespace) -> list[str]:
    return [*options.api_key, *os.environ.get(_KEYS, "").split()]


def _is_loopback(host: str) -> bool:
    """Return whether only programs on this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket with an address. Raises Failure for an address that is in use or not available."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        return listener
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Failure(f"the port {port} is in use; choose another one with --port") from error
        raise Failure(f"{host} port {port} is not available: {error.strerror or error}") from error


def _address(listener: socket.socket) -> str:
    """Return the web address at which this machine reaches a socket."""
    host, port = listener.getsockname()[:2]
    own: str = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host) or host  # noqa: S104  # "any address"
    return f"http://{f'[{own}]' if ':' in own else own}:{port}"


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65_536):
        raise argparse.ArgumentTypeError(f"a port is a whole number from 0 to 65535, not {text!r}")
    return int(text)


COMMAND = Command(
    name="serve",
    summary="answer programs that use OpenAI's API with the bots of a site",
    usage="[--site ADDRESS] [options]",
    description=(
        "Serve OpenAI's HTTP API, and answer each request with a bot of a site.\n"
        "Programs that use this API work when OPENAI_BASE_URL is set to the address that\n"
        "is printed. http://127.0.0.1:8000/ is a page to try the models. It needs the\n"
        "extra gateway: pip install 'chatgpt4online[gateway]'"
    ),
    examples="""\
chatgpt4online serve --demo
chatgpt4online serve --site https://example.org --model gpt-4o=default
chatgpt4online serve --site a=https://example.org --site b=http://example.com
export CHATGPT4ONLINE_API_KEYS="$(openssl rand -hex 24)"
chatgpt4online serve --site https://example.org --host 0.0.0.0
""",
    notes=f"{ENVIRONMENT}\n{_KEYS} has the keys that clients must send, with spaces\nbetween them.",
    add_arguments=add_arguments,
    check=check,
    run=run,
)
