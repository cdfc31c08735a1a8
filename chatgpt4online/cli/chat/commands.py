"""The commands that a person can type in a chat: ``/help`` and the others."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from .session import ChatSession, Problem

KEYS = """\
Enter sends the question. Alt-Enter, or a backslash before Enter, begins a
new line in it. Ctrl-C stops the answer, or clears the line. Ctrl-D ends the
chat, and so does Ctrl-C twice. The number of a shortcut sends it. A question
that begins with a slash is written with two: //.
"""


class Quit(Exception):
    """The person ends the chat."""


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """A command of a chat. ``run`` gets the text after its name. ``argument`` is how the help writes that text.

    An argument in brackets may be left out. A command without one takes none.
    """

    name: str
    argument: str
    summary: str
    run: Callable[[ChatSession, str], object]

    @property
    def usage(self) -> str:
        """The command as the help writes it."""
        return f"{self.name} {self.argument}".strip()

    def call(self, session: ChatSession, argument: str) -> None:
        """Carry the command out. Raises Problem for a missing argument, and for one too many."""
        if argument and not self.argument:
            raise Problem(f"{self.name} takes no argument")
        if not argument and self.argument and not self.argument.startswith("["):
            raise Problem(f"write {self.usage}")
        self.run(session, argument)


def run_command(session: ChatSession, line: str) -> None:
    """Carry out the command in a line that begins with a slash. Raises Problem, ChatError, OSError and Quit."""
    name, _, argument = line.partition(" ")
    for command in COMMANDS:
        if command.name == name:
            command.call(session, argument.strip())
            return
    raise Problem(f"there is no command {name}; /help lists them, and a question that begins with / has two: //")


def _help(session: ChatSession, _: str) -> None:
    width = max(len(command.usage) for command in COMMANDS)
    for command in COMMANDS:
        session.screen.note(f"{command.usage:<{width}}  {command.summary}")
    session.screen.note(" ".join(KEYS.split()))


def _new(session: ChatSession, _: str) -> None:
    session.screen.note("A new conversation." + _kept(session))
    session.begin()
    session.show_start()


def _save(session: ChatSession, path: str) -> None:
    session.save(_path(path))
    session.screen.note(f"Saved. {session.path} stores each further answer too.")


def _load(session: ChatSession, path: str) -> None:
    session.open(_path(path))
    show_opened(session)


_LONGEST = 70  # characters of a question in the note: a line of most terminals


def _undo(session: ChatSession, _: str) -> None:
    question = " ".join(session.undo().split())
    session.screen.note(f"Removed: {question if len(question) <= _LONGEST else question[: _LONGEST - 3] + '...'}")


def _retry(session: ChatSession, _: str) -> None:
    session.retry()


def _bot(session: ChatSession, bot_id: str) -> None:
    if bot_id:
        is_shown = not session.bots or any(bot_id in (bot.bot_id, bot.custom_id) for bot in session.bots)
        unknown = "" if is_shown else " The page does not show it."
        note = f"A new conversation with the bot {bot_id}.{unknown}{_kept(session)}"
        session.change_bot(bot_id)
        session.screen.note(note)
        session.show_start()
        return
    if not session.bots:
        raise Problem("the page shows no bots; write /bot ID for a bot that you know")
    for bot in session.bots:
        session.screen.note(f"{bot.custom_id or bot.bot_id}  {bot.name}")


def _file(session: ChatSession, path: str) -> None:
    if path:
        session.files[_path(path)] = session.client.upload(_path(path))
    names = ", ".join(map(os.path.basename, session.files)) or "no file; /file PATH adds one"
    session.screen.note(f"With the next question: {names}")


def _quit(_: ChatSession, __: str) -> None:
    raise Quit


def show_opened(session: ChatSession) -> None:
    """Show the end of a conversation that was opened: its last question and its last answer."""
    messages = session.conversation.messages
    session.screen.note(f"{session.path} has {len(messages)} messages, and stores each further answer too.")
    for message in messages[-2:]:
        if message["role"] == "user":
            session.screen.note(f"You asked: {message['content']}")
        else:
            session.screen.message(message["content"])


def _kept(session: ChatSession) -> str:
    """Return what happens to the conversation that ends, for a person who may want it back."""
    return "" if session.path is None else f" {session.path} keeps the earlier one, and stores no more."


def _path(text: str) -> str:
    """Return a path as a person types it or drops it into a terminal: with quotes around it, or with ``~``."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    return os.path.expanduser(text)


COMMANDS = (
    SlashCommand("/help", "", "show the commands and the keys", _help),
    SlashCommand("/new", "", "begin a new conversation", _new),
    SlashCommand("/save", "FILE", "store the conversation in a new file", _save),
    SlashCommand("/load", "FILE", "continue the conversation in a file", _load),
    SlashCommand("/undo", "", "remove the last question and its answer", _undo),
    SlashCommand("/retry", "", "ask the last question again", _retry),
    SlashCommand("/bot", "[ID]", "change the bot, or list those of the page", _bot),
    SlashCommand("/file", "[PATH]", "upload a file for the next question", _file),
    SlashCommand("/quit", "", "end the chat", _quit),
)
