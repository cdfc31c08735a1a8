"""The command line: it sends a prompt, and prints the answer as it arrives.

The client is imported only for a question. So ``--help`` is quick, and a Ctrl-C during the import leaves no traceback.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TextIO

from ._version import __version__
from .environment import BOT, FROM_ENVIRONMENT, PASSWORD, SITE, TOKEN, USER, as_utf8, site_options
from .protocol.calls.deadline import Timeout
from .protocol.calls.roots import rest_roots
from .protocol.parsing.errors import ChatError, InvalidInput, LocalError, StatusError, TimedOut
from .protocol.parsing.events import Done, Event, Notice, Reply, Text, to_json

_DEMO_PAUSE = 0.05  # seconds between the pieces of the demo's answer, so that a user sees it stream
_NO_ANSWER = 1
_WRONG_CALL = 2  # the exit status of argparse
_INTERRUPTED = 130  # 128 and the number of SIGINT, as shells count
_READER_GONE = 141  # 128 and the number of SIGPIPE
_HELP_WIDTH = 79  # columns, on any terminal
# A terminal could run control characters as commands, and the text is the model's: U+FFFD is shown in their place.
_CONTROLS = {code: "\ufffd" for code in [*range(32), *range(127, 160)] if chr(code) not in "\n\t"}

_EXAMPLES = f"""\
examples:
  chatgpt4online "What is a nonce?" --site https://example.org --bot support
  chatgpt4online - --site https://example.org --json < question.txt
  chatgpt4online "Hello" --demo --notices
  export {SITE}=https://example.org
  chatgpt4online "Hello"

environment, all of it ignored with --site and with --demo:
  {SITE}      the site's address
  {BOT}       the chatbot's id there
  {USER}      the name of a user of that site, together with
  {PASSWORD}  an application password of this user
  {TOKEN}     the token of that site's public API

exit status:
  0 for an answer with text, 1 for none (with the reason on standard error),
  2 for wrong arguments or a wrong prompt, 130 after Ctrl-C,
  141 when the program that reads the output has gone

Use it with sites that are yours, or whose owner allows it.
"""


class _NoAnswer(Exception):
    """There is no answer, and the reason is not an error of the chat."""


class _ReaderGone(Exception):
    """The program that reads standard output has closed it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 for an answer with text, 1 for none, 2 for a wrong prompt, site or value.

    It is 130 after Ctrl-C, and 141 when the reader of standard output has closed it. Raises SystemExit with 0 after
    ``--help`` and ``--version``, and with 2 for arguments that cannot be read. Bytes of arguments that the locale
    cannot decode are read as UTF-8.
    """
    with _prepared(sys.stdout), _prepared(sys.stderr):
        try:
            _answer(_read_arguments(sys.argv[1:] if arguments is None else arguments))
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends the process without a traceback
            _discard(sys.stdout)  # a reader that has stopped reading would block the exit
            return _INTERRUPTED
        except _ReaderGone:
            return _READER_GONE
        except LocalError as error:
            return _fail(str(error), _WRONG_CALL)
        except TimedOut as error:
            return _fail(str(error).replace(f"timeout.{error.clock}", "--timeout"), _NO_ANSWER)
        except (ChatError, _NoAnswer, OSError) as error:
            return _fail(str(error), _NO_ANSWER)
        return 0


def _fail(reason: str, status: int) -> int:
    """Write the reason for a missing answer in one line, and return the exit status."""
    _write_error(f"chatgpt4online: {' '.join(reason.split())}\n")
    return status


class _Parser(argparse.ArgumentParser):
    """A parser that reports a wrong argument in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(_fail(f"{message} (see {self.prog} --help)", _WRONG_CALL))


class _Print(argparse.Action):
    """Print a text and exit, as argparse does for ``--help``, but report an output that cannot be written."""

    def __init__(self, option_strings: Sequence[str], make: Callable[[], str], help: str, **_: object) -> None:  # noqa: A002  # the name is argparse's
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)
        self._make = make

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        _write(self._make(), self.option_strings[-1])
        parser.exit()


def _parser() -> _Parser:
    parser = _Parser(
        prog="chatgpt4online",
        usage="%(prog)s PROMPT (--site ADDRESS | --demo) [options]",
        description="Ask the chatbot of a WordPress site that runs AI Engine. The answer is printed\nas it comes.",
        epilog=_EXAMPLES,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=_HELP_WIDTH),
        add_help=False,
    )
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="the question; - reads it from standard input")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--site",
        default=FROM_ENVIRONMENT,
        metavar="ADDRESS",
        help=f"the site's address (default: the environment variable {SITE})",
    )
    where.add_argument(
        "--demo", action="store_true", help="ask a small site that runs on this machine for as long as it is needed"
    )
    parser.add_argument(
        "--bot", default=FROM_ENVIRONMENT, metavar="ID", help=f"the chatbot's id (default: {BOT}, or else default)"
    )
    parser.add_argument("--json", action="store_true", help="print each event, also notices, as a line of JSON")
    parser.add_argument(
        "--notices", action="store_true", help="show thinking, tool calls and the like on standard error"
    )
    parser.add_argument("--proxy", metavar="ADDRESS", help="a proxy (default: that of the environment)")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=Timeout(),
        metavar="SECONDS",
        help="the longest wait for a connection, for the first byte and for each further byte "
        "(default: 10, 120 and 60)",
    )
    parser.add_argument("-h", "--help", action=_Print, make=parser.format_help, help="show this text and exit")
    version = f"{parser.prog} {__version__}\n"
    parser.add_argument("--version", action=_Print, make=lambda: version, help="show the version and exit")
    return parser


def _seconds(text: str) -> Timeout:
    try:
        return Timeout.of(float(text))
    except ValueError:  # InvalidInput is one
        raise argparse.ArgumentTypeError(f"a number of seconds above 0 is expected, not {text!r}") from None


def _read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options; ``prompt`` is None for standard input. For the demo, ``site`` has no meaning."""
    parser = _parser()
    options, rest = parser.parse_known_args([as_utf8(argument) for argument in arguments])
    words = [word for word in (options.prompt, *rest) if word is not None]
    unknown = [word for word in rest if word.startswith("-") and word != "-"]
    if unknown:
        parser.error(f"unknown option {unknown[0]}; a prompt that begins with - comes last, after --")
    if not words:
        parser.error("no prompt is given: write it in quotes, or - to read it from standard input")
    if len(words) > 1 and "-" in words:
        parser.error("the prompt is given twice: it is either text or -, which reads it from standard input")
    if len(words) > 1:
        parser.error(f"the prompt is one argument, not {len(words)}: put it in quotes")
    if not options.demo:
        _check_site(parser, options)
    if options.prompt == "-":
        options.prompt = None
    else:
        _check_prompt(options.prompt)
    return options


def _check_site(parser: _Parser, options: argparse.Namespace) -> None:
    """Raise InvalidInput if the site, the bot or the login of the arguments or the environment cannot be used."""
    if options.site is FROM_ENVIRONMENT:
        if not os.environ.get(SITE):
            parser.error(
                f"no site is given: add --site ADDRESS, set the environment variable {SITE}, "
                "or add --demo to ask a small site on this machine"
            )
        site_options(os.environ, bot_id=options.bot)
        return
    try:
        rest_roots(options.site)
    except InvalidInput as error:
        raise InvalidInput(f"--site: {error}") from None


def _check_prompt(prompt: str) -> None:
    """Raise InvalidInput for a prompt that no site accepts."""
    if not prompt.strip():
        raise InvalidInput("the prompt is empty")
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise InvalidInput("the prompt is not UTF-8 text") from None


def _read_prompt() -> str:
    """Return the prompt from standard input: UTF-8, or the terminal's encoding. Raises InvalidInput and _NoAnswer."""
    if sys.stdin is None:
        raise _NoAnswer("the prompt cannot be read: standard input is closed")
    try:
        with _prepared(sys.stdin, "utf-8-sig", "strict"):
            prompt = sys.stdin.read()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InvalidInput(
            f"the prompt is not UTF-8 text: line {line} of standard input has the byte "
            f"0x{error.object[error.start]:02x}; convert it first, for example with iconv"
        ) from None
    except OSError as error:
        raise _NoAnswer(f"the prompt cannot be read: {error.strerror or error}") from error
    _check_prompt(prompt)
    return prompt


def _answer(options: argparse.Namespace) -> None:
    """Ask the question and print the answer. Raises ChatError, _NoAnswer and _ReaderGone."""
    _open_output()  # before the question is sent, which costs the site's owner money
    prompt = _read_prompt() if options.prompt is None else options.prompt
    outcome = _Outcome()
    with ExitStack() as stack:
        if options.demo:
            from .testing import serve_site  # noqa: PLC0415  # only the demo needs a server

            os.environ["no_proxy"] = "127.0.0.1"  # the environment's proxy would not reach this machine
            options.site = stack.enter_context(serve_site(pause=_DEMO_PAUSE)).url
        from .sync.client import Client  # noqa: PLC0415  # see above

        client = Client(options.site, bot_id=options.bot, proxy=options.proxy, timeout=options.timeout)
        events = stack.enter_context(stack.enter_context(client).events(prompt))
        if options.json:
            _print_json(outcome.watch(events))
        else:
            _print_text(outcome.watch(events), options.notices)
    outcome.check()


@dataclass
class _Outcome:
    """The parts of an answer that arrived so far, as far as the exit status depends on them."""

    has_text: bool = False
    has_unread: bool = False  # an event, or a field of the final object, that cannot be read
    reply: Reply | None = None

    def watch(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield these events, and record the parts that they hold."""
        for event in events:
            match event:
                case Text(text):
                    self.has_text = self.has_text or bool(text.strip())
                case Notice("malformed"):
                    self.has_unread = True
                case Done(reply):
                    self.reply = reply
                    self.has_text = self.has_text or bool(reply.text.strip())
            yield event

    def check(self) -> None:
        """Raise _NoAnswer for an answer without text."""
        if self.has_text:
            return
        others = [name for name in ("images", "actions", "shortcuts", "blocks") if getattr(self.reply, name, ())]
        if others:
            raise _NoAnswer(f"the answer has no text, but {' and '.join(others)}; --json prints them")
        if self.has_unread:
            raise _NoAnswer("the answer has no text, but parts that cannot be read; --json prints them")
        raise _NoAnswer(
            "the answer has no text; usually the model failed on the site's side, and the site's owner finds the "
            "reason in the logs of AI Engine"
        )


def _print_text(events: Iterable[Event], notices: bool) -> None:
    is_terminal, is_blank, last = _open_output().isatty(), True, "\n"

    def show(text: str) -> None:
        nonlocal is_blank, last
        is_blank, last = is_blank and not text.strip(), text or last  # set before a Ctrl-C can interrupt the write
        _write(text.translate(_CONTROLS) if is_terminal else text)

    def end_line() -> None:
        if not last.endswith("\n"):
            _write("\n")

    try:
        for event in events:
            if isinstance(event, Text):
                show(event.text)
            elif isinstance(event, Notice) and notices:
                _write_error(f"[{event.kind}] {event.text}\n")
            elif isinstance(event, Done) and is_blank and event.reply.text.strip():
                show(event.reply.text)  # the site streamed white space only
    except ChatError:
        end_line()
        raise
    except KeyboardInterrupt:
        if is_terminal:  # another reader may have stopped reading, which would block here
            end_line()
        raise
    end_line()


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
    _write(json.dumps(to_json(record), allow_nan=False) + "\n")


@contextmanager
def _prepared(stream: TextIO | None, encoding: str = "utf-8", errors: str = "replace") -> Iterator[None]:
    """Set up a standard stream (None is a closed one): UTF-8 in pipes and files, the terminal's encoding in a terminal.

    Inside the block the stream is blocking. Some parent processes pass on a stream that is not: then Python treats a
    pause in the input as its end, and a write to a full pipe fails.
    """
    if isinstance(stream, io.TextIOWrapper):
        if stream.isatty():
            stream.reconfigure(errors="replace")
        else:
            stream.reconfigure(encoding=encoding, errors=errors)
    try:
        number = stream.fileno()  # type: ignore[union-attr]  # see below
        waits = os.get_blocking(number)
        os.set_blocking(number, True)
    except (AttributeError, OSError):  # closed, or not a file; Windows has no such function before Python 3.12
        yield
        return
    try:
        yield
    finally:
        os.set_blocking(number, waits)


def _open_output(what: str = "the answer") -> TextIO:
    """Return standard output. Raises _NoAnswer if it is closed; ``what`` names the text in its message."""
    if sys.stdout is None:
        raise _NoAnswer(f"{what} cannot be written: standard output is closed")
    return sys.stdout


def _write(text: str, what: str = "the answer") -> None:
    """Write to standard output at once. Raises _ReaderGone, and _NoAnswer whose message names the text as ``what``."""
    output = _open_output(what)
    try:
        output.write(text)
        output.flush()
    except BrokenPipeError:
        _discard(output)
        raise _ReaderGone from None
    except OSError as error:
        _discard(output)
        raise _NoAnswer(f"{what} cannot be written: {error.strerror or error}") from error


def _write_error(text: str) -> None:
    """Write to standard error. A text that cannot be written is lost, and the answer continues."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(text.translate(_CONTROLS))
            sys.stderr.flush()
        except OSError:
            _discard(sys.stderr)


def _discard(stream: TextIO | None) -> None:
    """Discard the buffered text of a stream. Python writes it again at exit, which would fail or block again."""
    with suppress(AttributeError, OSError):  # closed, or not a file
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())  # type: ignore[union-attr]  # None raises AttributeError
        os.close(null)
