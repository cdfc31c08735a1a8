"""A chat with a bot: the conversation, and what belongs to the next question."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ... import Bot, Event, Notice, Reply, Shortcut, Text
from ..answer import NO_TEXT
from ..conversations import open_conversation
from .line_editor import hidden_typing
from .screen import Screen

if TYPE_CHECKING:
    from ... import Client, Conversation, File, Stream

_TICK = 0.1  # seconds: nobody notices that a piece of text waits for so long
_FOR_BROWSERS = ("actions", "blocks")  # the parts of a reply that only a browser can use


class Problem(Exception):
    """One input has failed, and the chat goes on. The message says why."""


@dataclass(slots=True)
class Stop:
    """Whether Ctrl-C has stopped an answer.

    The handler of the signal sets it. A threading.Event has a lock, which a second Ctrl-C would wait for without end.
    """

    is_set: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """The parts of a question beside its text, which are sent again when it is repeated."""

    files: Mapping[str, File] = field(default_factory=dict)
    shortcut: Shortcut | None = None


@dataclass
class ChatSession:
    """A chat. ``site`` is the client of the arguments, and ``client`` is the one for the bot that answers.

    ``bots`` are those of the page. ``is_interactive`` says that a person types; then Ctrl-C stops only the answer.
    ``path`` is the file that stores each answer, or None. ``files`` go with the next question: each is a path and what
    the site knows about the file. ``shortcuts`` are the ones that the person can choose now.
    """

    site: Client
    screen: Screen
    bots: Sequence[Bot]
    is_interactive: bool
    shows_notices: bool
    client: Client = field(init=False)
    conversation: Conversation = field(init=False)
    bot: Bot | None = None
    path: str | None = None
    files: dict[str, File] = field(default_factory=dict)
    shortcuts: list[Shortcut] = field(default_factory=list)
    _sent: dict[int, Sent] = field(default_factory=dict)  # by the number of the message that is the question

    def __post_init__(self) -> None:
        self.client = self.site if self.bot is None else self.site.with_options(bot=self.bot)
        self.conversation = self.client.conversation()

    def show_start(self) -> None:
        """Show the first sentence of the bot, the text that its owner wants people to read, and its shortcuts."""
        if self.bot is None:
            return
        if self.bot.compliance:
            self.screen.note(self.bot.compliance)
        if self.bot.start_sentence:
            self.screen.message(self.bot.start_sentence)
        self._offer(self.bot.shortcuts)

    def begin(self) -> None:
        """Begin a new conversation, which no file stores."""
        self.conversation = self.client.conversation()
        self.path, self.shortcuts, self._sent = None, [], {}

    def change_bot(self, bot_id: str) -> None:
        """Begin a new conversation with another bot: one of the page, or any that the site has."""
        bot = next((bot for bot in self.bots if bot_id in (bot.bot_id, bot.custom_id)), None)
        client = self.site.with_options(bot_id=bot_id) if bot is None else self.site.with_options(bot=bot)
        self.bot, self.client = bot, client
        self.begin()

    def open(self, path: str, *, must_exist: bool = True) -> None:
        """Continue the conversation in a file, which stores each further answer."""
        if must_exist and not os.path.exists(path):
            raise Problem(f"{path} does not exist")
        self.conversation = open_conversation(self.client, path)
        self.path, self.shortcuts, self._sent = path, [], {}

    def save(self, path: str) -> None:
        """Store the conversation in a new file, and each further answer too."""
        if os.path.lexists(path) and path != self.path:
            raise Problem(f"{path} exists already; name a new file")
        self.conversation.save(path)
        self.path = path

    def undo(self) -> str:
        """Remove the last question and its answer, and return the question."""
        place, messages = self._last_question(), self.conversation.messages
        if place is None:
            raise Problem("there is no question to remove")
        self.conversation = self._until(place)
        self.shortcuts = []
        self._store()
        return messages[place]["content"]

    def ask(self, question: str) -> None:
        """Ask a question, with the files that wait for it."""
        self._ask(self.conversation, question, Sent(self.files))

    def choose(self, shortcut: Shortcut) -> None:
        """Use a shortcut."""
        if shortcut.action == "clear":
            self.begin()
            self.show_start()
        else:
            self._ask(self.conversation, "", Sent(shortcut=shortcut))

    def retry(self) -> None:
        """Ask the last question again, with what was sent with it. The new answer replaces the last one."""
        place = self._last_question()
        if place is None:
            raise Problem("there is no question to ask again")
        sent = self._sent.get(place)
        if sent is None:  # the question is from a file, and the conversation in it knows how it was sent
            self._show(self.conversation, self.conversation.regenerate(), Sent())
        else:
            self._ask(self._until(place), self.conversation.messages[place]["content"], sent)

    def _last_question(self) -> int | None:
        """Return the number of the message that is the last question, or None."""
        roles = [message["role"] for message in self.conversation.messages]
        return len(roles) - 1 - roles[::-1].index("user") if "user" in roles else None

    def _until(self, place: int) -> Conversation:
        """Return the conversation before a message. The site's own copy of the history is not used for it."""
        messages = self.conversation.messages[:place]
        return self.client.conversation(chat_id=self.conversation.chat_id, messages=messages)

    def _ask(self, conversation: Conversation, question: str, sent: Sent) -> None:
        if sent.shortcut is None:
            self._show(conversation, conversation.events(question, files=list(sent.files.values())), sent)
        else:
            self._show(conversation, conversation.choose(sent.shortcut), sent)

    def _show(self, conversation: Conversation, stream: Stream[Event] | Stream[str], sent: Sent) -> None:
        """Show an answer while it arrives. With the whole answer, ``conversation`` becomes the one of the chat.

        Raises ChatError for an answer that failed. The part that had arrived is shown.
        """
        before, shown = conversation.messages, ""
        with stream, self._stoppable(stream) as stop, hidden_typing(), self.screen.answer() as answer:
            for item in stream.heartbeats(_TICK):
                match item:
                    case None:
                        answer.tick()
                    case str(text) | Text(text):
                        shown += text
                        answer.add(text)
                    case Notice(kind, text) if self.shows_notices:
                        answer.notice(f"[{kind}] {text}")
            is_whole = not stop.is_set or conversation.messages != before  # it may have ended at that moment
            if is_whole and not shown.strip():
                shown = stream.reply.text
                answer.add(shown)
        if not is_whole:
            self.screen.note("Stopped. The conversation stays as it was.")
            return
        self.conversation = conversation
        if (place := self._last_question()) is not None:
            self._sent[place] = sent
        if sent.files is self.files:
            self.files = {}
        self._finish(stream.reply, shown)

    @contextmanager
    def _stoppable(self, stream: Stream[Any]) -> Iterator[Stop]:
        """Let Ctrl-C close a stream in this block, and set the flag that this context returns.

        The handler raises nothing, so a second Ctrl-C does no harm while the screen shows the end of the answer.
        """
        stop = Stop()
        if not self.is_interactive:
            yield stop
            return

        def close(*_: object) -> None:
            stop.is_set = True
            stream.close()

        before = signal.signal(signal.SIGINT, close)
        try:
            yield stop
        finally:
            signal.signal(signal.SIGINT, before)

    def _finish(self, reply: Reply, shown: str) -> None:
        """Show the parts of an answer that are not in the shown text, and store the conversation.

        Raises Problem for an answer without text.
        """
        for image in reply.images:
            if self.screen.wraps or image not in shown:
                self.screen.line(f"image: {image}")
        for name in _FOR_BROWSERS:
            if parts := getattr(reply, name):
                self.screen.note(f"The site sent {name} too, which only a browser can use: {len(parts)}.")
        self._offer(reply.shortcuts)
        self._store()
        if not (reply.text.strip() or reply.images):
            others = [name for name in (*_FOR_BROWSERS, "shortcuts") if getattr(reply, name)]
            raise Problem(f"the answer has no text, but {' and '.join(others)}" if others else NO_TEXT)

    def _offer(self, shortcuts: Sequence[Shortcut]) -> None:
        """Show the shortcuts that a terminal can use. The person types the number of one."""
        self.shortcuts = [one for one in shortcuts if one.message or one.shortcut_id or one.action == "clear"]
        for number, shortcut in self.numbered():
            label = shortcut.label or shortcut.message or shortcut.shortcut_id
            self.screen.note(f"{number:>3}  {' '.join(label.split())}")

    def numbered(self) -> Iterator[tuple[str, Shortcut]]:
        """Yield the shortcuts that can be chosen now, each with what the person types for it."""
        for number, shortcut in enumerate(self.shortcuts, 1):
            yield str(number), shortcut

    def _store(self) -> None:
        if self.path is not None:
            self.conversation.save(self.path)
