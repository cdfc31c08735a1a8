"""``chat``: a conversation with a bot, in a terminal or over pipes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

from ... import Bot, ChatError, ConnectionFailed, LocalError
from ..command import FAILED, Command, fail, names_files
from ..connection import (
    ENVIRONMENT,
    add_connection,
    add_site,
    check_words,
    home_page,
    open_client,
    pick_bot,
    reason,
    wanted_bot,
)
from ..streams import Failure, open_output, prepared
from .commands import COMMANDS, KEYS, Quit, run_command, show_opened
from .line_editor import LineEditor, choose_editor, hidden_typing
from .screen import choose_screen
from .session import ChatSession, Problem
from .typed_history import TypedHistory, history_path

if TYPE_CHECKING:
    from ... import Client

_BYTE_ORDER_MARK = "\ufeff"
_HISTORY = """\
  The up key brings back what you typed, also in earlier chats: the file
  ~/.local/state/chatgpt4online/history (below XDG_STATE_HOME, if that is set)
  stores it. Only you can read it. --no-history keeps it in memory only.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``chat``."""
    add_site(parser)
    group = parser.add_argument_group("the chat")
    group.add_argument(
        "--bot", metavar="ID", help="the bot's id (default: CHATGPT4ONLINE_BOT, or the page's first bot)"
    )
    group.add_argument(
        "--page",
        metavar="ADDRESS",
        help="take the bot from this page of the site (default: the home page, if it has one)",
    )
    conversation = group.add_argument(
        "--conversation",
        metavar="FILE",
        help="continue the conversation in this file, and store each answer there; a missing file begins one",
    )
    names_files(conversation)
    group.add_argument("--notices", action="store_true", help="show thinking, tool calls and the like")
    group.add_argument("--no-history", action="store_true", help="neither read nor write the file of typed lines")
    add_connection(parser)


def run(options: argparse.Namespace) -> int:
    """Ask what a person types, or each line of standard input. Raises ChatError, Failure and ReaderGone."""
    open_output()
    if sys.stdin is None:
        raise Failure("the questions cannot be read: standard input is closed")
    is_interactive = sys.stdin.isatty()
    with prepared(sys.stdin), open_client(options) as client:
        session = _open_session(client, options, is_interactive)
        if not is_interactive:
            return _ask_lines(session)
        history = TypedHistory(None if options.no_history else history_path())
        editor = choose_editor(history, [command.name for command in COMMANDS])
        session.screen.note(f"{_named(session, options)} /help lists the commands.")
        if history.problem:
            session.screen.note(f"The lines that you type are not stored. {history.problem}")
        if session.path is not None and len(session.conversation.messages) > 1:
            show_opened(session)
        else:
            session.show_start()
        with hidden_typing() if editor.shows_typing else nullcontext():
            return _talk(session, editor)


def _open_session(client: Client, options: argparse.Namespace, is_interactive: bool) -> ChatSession:
    """Return the session that the arguments describe. Raises ChatError for a site that cannot be reached."""
    bots, bot = _find_bots(client, options)
    screen = choose_screen(
        # The lines of the log would disturb the drawing of an answer.
        is_plain=not is_interactive or bool(options.verbose and sys.stderr and sys.stderr.isatty()),
        has_notes=is_interactive,
    )
    session = ChatSession(client, screen, bots, is_interactive=is_interactive, shows_notices=options.notices, bot=bot)
    if options.conversation is not None:
        session.open(options.conversation, must_exist=False)
    return session


def _find_bots(client: Client, options: argparse.Namespace) -> tuple[list[Bot], Bot | None]:
    """Return the bots of the page, and the one to talk to. It is None if the page does not describe it."""
    wanted = wanted_bot(options)
    if options.page is not None:
        bots = client.bots(options.page)
        return bots, pick_bot(bots, wanted)
    try:
        bots = client.bots(home_page(options))
    except (ConnectionFailed, LocalError):
        raise
    except ChatError:  # the home page has no bot, or is not for everyone: the bot may still answer
        return [], None
    return bots, next((bot for bot in bots if wanted in (None, bot.bot_id, bot.custom_id)), None)


def _named(session: ChatSession, options: argparse.Namespace) -> str:
    """Return the first words of a chat, with the name of the bot if the page shows it."""
    bot, wanted = session.bot, wanted_bot(options)
    if bot is None:
        return f"A chat. The page does not show the bot {wanted}." if wanted and session.bots else "A chat."
    name = bot.name.strip().removesuffix(":")
    return f"A chat with {name} ({bot.custom_id or bot.bot_id})."


def _talk(session: ChatSession, editor: LineEditor) -> int:
    """Ask what the person types until the end of the input. Return the exit status."""
    is_second = False  # whether the next Ctrl-C in an empty line ends the chat
    while True:
        session.screen.note("")
        try:
            line = editor.read()
        except EOFError:
            return 0
        except KeyboardInterrupt as interrupt:
            if is_second and interrupt.args == (True,):
                return 0
            is_second = True
            session.screen.note("Press Ctrl-C again, or Ctrl-D, to end the chat.")
            continue
        is_second = False
        try:
            _process(session, line)
        except Quit:
            return 0
        except KeyboardInterrupt:
            session.screen.note("Stopped.")
        except (Problem, ChatError, OSError) as error:
            fail(reason(error), FAILED)


def _process(session: ChatSession, line: str) -> None:
    """Carry out a line that a person typed: a command, the number of a shortcut, or a question."""
    text = line.strip()
    if not text:
        return
    if text.startswith("//"):
        session.ask(text[1:])
    elif text.startswith("/"):
        run_command(session, text)
    elif (shortcut := dict(session.numbered()).get(text)) is not None:
        session.choose(shortcut)
    else:
        session.ask(text)


def _ask_lines(session: ChatSession) -> int:
    """Ask each line of standard input. Return 1 if a question had no answer."""
    status, has_asked = 0, False
    for number, line in _lines():
        try:
            question = line.decode().removeprefix(_BYTE_ORDER_MARK if number == 1 else "").strip()
            if question:
                if has_asked:
                    session.screen.line("")
                has_asked = True
                session.ask(question)
        except UnicodeDecodeError:
            status = fail(f"line {number} of standard input is not UTF-8 text, and was not asked", FAILED)
        except (Problem, ChatError, OSError) as error:
            status = fail(reason(error), FAILED)
    return status


def _lines() -> Iterator[tuple[int, bytes]]:
    """Yield the lines of standard input with their numbers, each as soon as it arrives."""
    try:
        yield from enumerate(sys.stdin.buffer, 1)
    except OSError as error:
        raise Failure(f"the questions cannot be read: {error.strerror or error}") from error


def _notes() -> str:
    """Return the part of the help about what a person types."""
    rows = "\n".join(f"  {command.usage:<14}{command.summary}" for command in COMMANDS)
    keys = "\n".join(f"  {line}" for line in KEYS.splitlines())
    return f"in a chat:\n{rows}\n{keys}\n{_HISTORY}\n{ENVIRONMENT}"


COMMAND = Command(
    name="chat",
    summary="talk to a bot, with commands such as /undo and /save",
    usage="(--site ADDRESS | --demo) [options]",
    description=(
        "Talk to the chatbot of a WordPress site that runs AI Engine. Each question is\n"
        "sent with the conversation before it. A terminal shows the answers as Markdown\n"
        "while they arrive; this, and editing the lines, needs chatgpt4online[cli].\n"
        "In a pipe, each line of standard input is one question, never a command."
    ),
    examples="""\
chatgpt4online chat --demo
chatgpt4online chat --site https://example.org --bot support
chatgpt4online chat --site https://example.org --conversation talk.json
printf 'Hello\\nAnd now?\\n' | chatgpt4online chat --demo
""",
    notes=_notes(),
    add_arguments=add_arguments,
    check=check_words,
    run=run,
    statuses={
        0: "the person ended the chat, or each question of a pipe was answered",
        FAILED: "no site, or a question of a pipe without an answer; the reason is on\n      standard error",
    },
)
