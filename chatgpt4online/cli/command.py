"""A command of the program, its parser, and the kinds of values that its options have."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from .streams import write, write_error

PROGRAM = "chatgpt4online"
FAILED = 1
WRONG_CALL = 2  # the exit status of argparse
_HELP_WIDTH = 79  # columns, on any terminal
_MOST_SECONDS = 1e7  # almost 4 months, as for the time limits of a client; system calls refuse much longer waits
# The names of files in the form of shtab, which reads them from the argument.
_FILES = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}

STATUSES = {
    0: "success",
    FAILED: "failure, with the reason on standard error",
    WRONG_CALL: "wrong arguments, or a wrong value; nothing was sent",
    130: "Ctrl-C",
    141: "the program that reads the output has gone",
}


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its name, the parts of its help, and the functions that define its arguments and carry it out.

    ``usage`` is the line after the name. ``examples`` are lines of a shell, without indentation. ``statuses`` replaces
    meanings of exit statuses (see ``STATUSES``). ``hints`` are the ends of the messages about options that only other
    commands have. ``check`` gets the parser, the options, and the words that no argument
    uses; it ends the program, or raises InvalidInput, if they do not fit together. ``run`` returns the exit status.
    """

    name: str
    summary: str
    usage: str
    description: str
    examples: str
    add_arguments: Callable[[argparse.ArgumentParser], object]
    check: Callable[[Parser, argparse.Namespace, list[str]], object]
    run: Callable[[argparse.Namespace], int]
    notes: str = ""
    statuses: dict[int, str] | None = None
    hints: Mapping[str, str] = field(default_factory=dict)

    def help_end(self) -> str:
        """Return the end of the help: the notes, the exit statuses and the examples.

        The examples come last, since a terminal shows only the end of a long text.
        """
        examples = "\n".join(f"  {line}" for line in self.examples.strip().splitlines())
        statuses = "\n".join(f"  {code:<4}{text}" for code, text in (STATUSES | (self.statuses or {})).items())
        notes = f"{self.notes.strip()}\n\n" if self.notes else ""
        return f"{notes}exit status:\n{statuses}\n\nexamples:\n{examples}\n"


class Parser(argparse.ArgumentParser):
    """A parser that reports a wrong argument in one line, and whose help looks the same on any terminal."""

    def __init__(self, *, prog: str, usage: str, description: str, epilog: str, **_: object) -> None:
        self.see = prog  # the command whose --help the messages name
        self.hints: Mapping[str, str] = {}  # see Command
        super().__init__(
            prog=prog,
            usage=f"%(prog)s {usage}",
            description=description,
            epilog=epilog,
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=_HELP_WIDTH),
            add_help=False,
            allow_abbrev=False,  # a script with an abbreviation would break when another option gets its name
        )
        self.add_argument("-h", "--help", action=Print, make=self.format_help, help="show this text and exit")

    def error(self, message: str) -> NoReturn:
        self.exit(fail(f"{message} (see {self.see} --help)", WRONG_CALL))


class Print(argparse.Action):
    """Print a text and exit, as argparse does for ``--help``, but report an output that cannot be written."""

    def __init__(self, option_strings: Sequence[str], make: Callable[[], str], help: str, **_: object) -> None:  # noqa: A002  # the name is argparse's
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)
        self._make = make

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        write(self._make(), self.option_strings[-1])
        parser.exit()


def command_parser(command: Command) -> Parser:
    """Return the parser of a command."""
    parser = Parser(
        prog=f"{PROGRAM} {command.name}",
        usage=command.usage,
        description=command.description,
        epilog=command.help_end(),
    )
    parser.hints = command.hints
    command.add_arguments(parser)
    return parser


def refuse_words(parser: Parser, _: argparse.Namespace, rest: list[str]) -> None:
    """End the program if there are words that no argument uses. For ``check`` of a command."""
    for word in rest:
        hint = parser.hints.get(word.partition("=")[0], "")
        parser.error(f"unknown option {word}{hint}" if word.startswith("-") else f"unknown argument {word!r}")


def fail(reason: str, status: int) -> int:
    """Write the reason of a failure in one line, and return the exit status."""
    write_error(f"{PROGRAM}: {' '.join(reason.split())}\n")
    return status


def names_files(*arguments: argparse.Action) -> None:
    """Let shells complete the names of files for these arguments (see ``completion``)."""
    for argument in arguments:
        vars(argument)["complete"] = _FILES


def seconds(text: str) -> float:
    """Return a number of seconds above 0 and up to 10,000,000. For ``type=`` of an argument."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number <= _MOST_SECONDS:
        limit = f" and up to {_MOST_SECONDS:g}" if number > 0 else ""
        raise argparse.ArgumentTypeError(f"a number of seconds above 0{limit} is expected, not {text!r}")
    return number


def count(text: str) -> int:
    """Return a whole number above 0. For ``type=`` of an argument."""
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError(f"a whole number above 0 is expected, not {text!r}")
    return int(text)
