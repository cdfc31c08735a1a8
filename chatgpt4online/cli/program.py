"""The program: it finds the command, carries it out, and turns errors into exit statuses.

A client is imported only when a command needs one. So ``--help`` is quick, and a Ctrl-C during the import leaves no
traceback.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from .. import ChatError, LocalError, __version__
from . import ask, batch, bots, chat, doctor, export, serve, serve_demo
from .command import FAILED, PROGRAM, STATUSES, WRONG_CALL, Command, Parser, Print, command_parser, fail
from .completion import PrintCompletion
from .connection import ENVIRONMENT, reason
from .streams import Failure, ReaderGone, discard, prepared

_INTERRUPTED = 130  # 128 and the number of SIGINT, as shells count
_READER_GONE = 141  # 128 and the number of SIGPIPE

COMMANDS: tuple[Command, ...] = (
    ask.COMMAND,
    chat.COMMAND,
    bots.COMMAND,
    doctor.COMMAND,
    batch.COMMAND,
    export.COMMAND,
    serve.COMMAND,
    serve_demo.COMMAND,
)
_USUAL = ask.COMMAND.name  # the command of arguments that begin with another word


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 for success, 1 for a failure, 2 for a wrong value.

    It is 130 after Ctrl-C, and 141 when the reader of standard output has closed it. Raises SystemExit with 0 after
    ``--help`` and ``--version``, and with 2 for arguments that cannot be read. Bytes of arguments that the locale
    cannot decode are read as UTF-8.
    """
    with prepared(sys.stdout), prepared(sys.stderr):
        try:
            options = _read([_as_utf8(word) for word in (sys.argv[1:] if arguments is None else arguments)])
            status: int = options.run(options)
            return status
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends the process without a traceback
            discard(sys.stdout)  # a reader that has stopped reading would block the exit
            return _INTERRUPTED
        except ReaderGone:
            return _READER_GONE
        except LocalError as error:
            return fail(str(error), WRONG_CALL)
        except (ChatError, Failure, OSError) as error:
            return fail(reason(error), FAILED)


def program_parser() -> Parser:
    """Return the parser of the program without a command."""
    width = max(len(command.name) for command in COMMANDS) + 2
    rows = "\n".join(f"  {command.name:<{width}}{command.summary}" for command in COMMANDS)
    statuses = "\n".join(f"  {code:<4}{text}" for code, text in STATUSES.items())
    examples = "\n".join(f"  {line}" for line in _EXAMPLES.strip().splitlines())
    parser = Parser(
        prog=PROGRAM,
        usage="[COMMAND] ...",
        description="Talk to the chatbot of a WordPress site that runs AI Engine, and test it.",
        epilog=f"{ENVIRONMENT}\nexit status:\n{statuses}\n\n"
        f"commands ({PROGRAM} COMMAND --help explains each):\n{rows}\n\n"
        f"Any other first word is a question: it means {PROGRAM} {_USUAL}.\n\nexamples:\n{examples}\n",
    )
    version = f"{PROGRAM} {__version__}\n"
    parser.add_argument("--version", action=Print, make=lambda: version, help="show the version and exit")
    parser.add_argument(
        "--print-completion",
        action=PrintCompletion,
        commands=COMMANDS,
        help="print a script by which a shell completes the commands and their options, and exit",
    )
    return parser


_EXAMPLES = """\
chatgpt4online "Hello" --demo
chatgpt4online ask "What is a nonce?" --site https://example.org
chatgpt4online chat --site https://example.org
chatgpt4online bots https://example.org
chatgpt4online doctor https://example.org
chatgpt4online --print-completion bash > ~/.chatgpt4online.bash
"""


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command that the first argument names, or of ``ask``. ``run`` carries it out."""
    first = arguments[0] if arguments else ""
    if first in ("-h", "--help", "--version", "--print-completion"):
        program_parser().parse_args(arguments[:2] if first == "--print-completion" else arguments[:1])
    named = {command.name: command for command in COMMANDS}
    command = named.get(first, named[_USUAL])
    parser = command_parser(command)
    if first not in named:
        parser.see = PROGRAM  # its help lists the commands
    options, rest = parser.parse_known_args(arguments[1:] if first in named else arguments)
    command.check(parser, options, rest)
    options.run = command.run
    return options


def _as_utf8(text: str) -> str:
    """Return an argument. Bytes that the locale could not decode are decoded as UTF-8."""
    with suppress(UnicodeError):
        return text.encode(errors="surrogateescape").decode()
    return text
