"""Print the script by which a shell completes the commands and their options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .command import PROGRAM, Command
from .streams import Failure, write

_SHELLS = ("bash", "zsh", "tcsh")
_OPTION = "--print-completion"


class PrintCompletion(argparse.Action):
    """Print the script for a shell, and exit. ``commands`` are those of the program."""

    def __init__(self, option_strings: Sequence[str], commands: Sequence[Command], help: str, **_: object) -> None:  # noqa: A002  # the name is argparse's
        super().__init__(option_strings, argparse.SUPPRESS, choices=_SHELLS, help=help)
        self._commands = commands

    def __call__(self, parser: argparse.ArgumentParser, _: object, shell: object, __: object = None) -> None:
        write(_script(self._commands, str(shell)), _OPTION)
        parser.exit()


def _script(commands: Sequence[Command], shell: str) -> str:
    """Return the script for a shell. Raises Failure without shtab."""
    try:
        import shtab  # noqa: PLC0415  # an optional dependency
    except ImportError:
        raise Failure(f'{_OPTION} needs shtab: pip install "chatgpt4online[cli]"') from None
    script: str = shtab.complete(_parser(commands), shell)
    return script + ("" if script.endswith("\n") else "\n")


def _parser(commands: Sequence[Command]) -> argparse.ArgumentParser:
    """Return a parser of all commands, which the program itself does not need: it makes only that of one command."""
    parser = argparse.ArgumentParser(PROGRAM)
    parser.add_argument("--version", action="version", help="show the version and exit")
    parser.add_argument(_OPTION, choices=_SHELLS, help="print the script of a shell and exit")
    parsers = parser.add_subparsers()
    for command in commands:
        command.add_arguments(parsers.add_parser(command.name, help=command.summary))
    return parser
