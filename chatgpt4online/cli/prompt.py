"""Read the prompt: from the arguments, from standard input, or from both."""

from __future__ import annotations

import argparse
import sys

from .. import InvalidInput
from .command import Parser
from .streams import Failure, prepared

_STDIN = "-"


def read_words(parser: Parser, options: argparse.Namespace, rest: list[str]) -> None:
    """Check the words of the arguments. ``options.prompt`` becomes the text, or None for standard input alone.

    ``options.has_context`` becomes true if standard input holds a context for the text. ``rest`` is the list of words
    that no option uses. Ends the program if the words do not fit together, and raises InvalidInput for a prompt that no
    site accepts.
    """
    words = [word for word in (options.prompt, *rest) if word is not None]
    unknown = [word for word in rest if word.startswith("-") and word != _STDIN]
    if unknown:
        parser.error(f"unknown option {unknown[0]}; a prompt that begins with - comes last, after --")
    if not words:
        parser.error("no prompt is given: write it in quotes, or - to read it from standard input")
    options.has_context = len(words) == 2 and words[1] == _STDIN != words[0]  # a text and -
    if len(words) > 1 and _STDIN in words and not options.has_context:
        parser.error("the prompt is given twice: it is text, or - for standard input, or text and then - for a context")
    if len(words) > 1 and not options.has_context:
        no_command = "" if parser.see == parser.prog else f"{words[0]!r} is not a command, and "
        parser.error(f"{no_command}the prompt is one argument, not {len(words)}: put it in quotes")
    if options.prompt == _STDIN:
        options.prompt = None
    else:
        _check(options.prompt, "the prompt")


def read_prompt(options: argparse.Namespace) -> str:
    """Return the prompt, with the text of standard input where the arguments name it.

    Raises InvalidInput for a text that no site accepts, and Failure for an input that cannot be read.
    """
    if options.prompt is None:
        return _read_stdin("the prompt")
    if options.has_context:
        context = _read_stdin("the context")
        return f"{options.prompt}\n\n{context}"
    prompt: str = options.prompt
    return prompt


def _check(text: str, what: str) -> None:
    if not text.strip():
        raise InvalidInput(f"{what} is empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{what} is not UTF-8 text") from None


def _read_stdin(what: str) -> str:
    """Return the text of standard input: UTF-8, or the terminal's encoding. ``what`` names it in messages."""
    if sys.stdin is None:
        raise Failure(f"{what} cannot be read: standard input is closed")
    try:
        with prepared(sys.stdin, "utf-8-sig", "strict"):
            text = sys.stdin.read()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InvalidInput(
            f"{what} is not UTF-8 text: line {line} of standard input has the byte "
            f"0x{error.object[error.start]:02x}; convert it first, for example with iconv"
        ) from None
    except OSError as error:
        raise Failure(f"{what} cannot be read: {error.strerror or error}") from error
    _check(text, what)
    return text
