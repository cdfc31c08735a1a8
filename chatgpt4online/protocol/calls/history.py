"""The history of a conversation: its messages, and the values that the next question needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from ..parsing.bodies import printable
from ..parsing.errors import ChatError, InvalidInput, InvalidState, ServerError
from ..parsing.events import Done, Event, Failed, Json, Reply, Shortcut, View
from .prompt import CheckedMessages, Message, Submission, checked_messages, not_
from .request import is_id

T = TypeVar("T")

_FORMAT = 1  # the version of the saved format
_RESUMABLE = ("resp_", "v1_")  # the site itself stores the history for these response ids (protocol section 1.4)
_BUSY = "another question is being answered here: read or close its stream first"
_SHORTCUT_FIELDS = ("label", "message", "shortcut_id")  # the fields that choose a shortcut again


class LastQuestion(NamedTuple):
    """The last question of a history: its position, its text, and the shortcut that stands for it, or None."""

    position: int
    text: str
    shortcut: Shortcut | None


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A history at one moment. It never changes; another state follows it.

    A thread that reads it never sees half of a change. ``running`` is the turn that is being answered, or None.
    """

    chat_id: str
    messages: CheckedMessages = field(default_factory=CheckedMessages)
    previous_response_id: str = ""
    last_shortcut: Shortcut | None = None
    running: TurnRecord | None = None
    _next: dict[str, State] = field(default_factory=dict, init=False, repr=False)

    def follow(self, state: State) -> bool:
        """Let ``state`` follow this one, and return True. Return False if another state follows it already.

        ``dict.setdefault`` is atomic, so that only one of two threads succeeds. A lock could stay locked: in
        a forked process, and while a signal handler interrupts the thread that holds it.
        """
        return self._next.setdefault("state", state) is state

    def newest(self) -> State:
        """Return the last of the states that follow this one."""
        state = self
        while state._next:
            state = state._next["state"]
        return state

    def last_question(self) -> LastQuestion:
        """Return the last question. Raises InvalidState before the first one was answered."""
        for position in reversed(range(len(self.messages))):
            if self.messages[position]["role"] == "user":
                return LastQuestion(position, self.messages[position]["content"], self.last_shortcut)
        raise InvalidState("nothing was asked and answered in this conversation yet")

    def response_to_resume(self, replaced: LastQuestion | None) -> str | None:
        """Return the response id to send with the next question, or None.

        A site's own copy of the history is wrong once messages were replaced (protocol section 5, 20).
        """
        known = self.previous_response_id if replaced is None else ""
        return known if known.startswith(_RESUMABLE) else None


class History:
    """The messages of a conversation under one chat id, which names the conversation to the site.

    :class:`TurnRecord` adds each question together with its answer. Raises InvalidInput for messages and for a chat id
    that cannot be sent.
    """

    def __init__(
        self,
        chat_id: str,
        messages: Iterable[Message] = (),
        previous_response_id: str = "",
        last_shortcut: Shortcut | None = None,
    ) -> None:
        if not chat_id:
            raise InvalidInput(f"chat_id is a string that is not empty, {not_(chat_id)}")
        Submission("Hi", chat_id=chat_id)  # raises for a chat id that cannot be sent
        response_id = previous_response_id if is_id(previous_response_id) else ""
        self._state = State(chat_id, _sendable(messages), response_id, last_shortcut)

    def __len__(self) -> int:
        return len(self.state.messages)

    @property
    def state(self) -> State:
        """The history as it is now."""
        self._state = self._state.newest()
        return self._state

    @property
    def chat_id(self) -> str:
        """The id of the conversation."""
        return self.state.chat_id

    @property
    def messages(self) -> list[dict[str, str]]:
        """A copy of the messages, as dicts with ``role`` and ``content``."""
        return [dict(message) for message in self.state.messages]

    def clear(self, chat_id: str) -> None:
        """Forget all messages and start again under a new chat id.

        A turn that is being answered belongs to the old conversation: it is not recorded, and the next question does
        not wait for it.
        """
        while not self.state.follow(State(chat_id)):
            pass  # another thread recorded a turn at this moment; it is forgotten too

    def begin(self, turn: TurnRecord) -> State:
        """Record that ``turn`` is being answered, and return the history as it is.

        Raises InvalidState while another turn is being answered. A turn whose stream was closed, has failed or was
        dropped is not being answered any more.
        """
        while True:
            state = self.state
            if state.running is not None and state.running.is_read():
                raise InvalidState(_BUSY)
            if state.follow(begun := replace(state, running=turn)):
                return begun

    def last_question(self) -> LastQuestion:
        """Return the last question. Raises InvalidState before the first one was answered."""
        return self.state.last_question()

    def to_json(self) -> Json:
        """Return the history as a JSON object, for :meth:`from_json`."""
        state = self.state
        shortcut = state.last_shortcut
        found: Json = {
            "format": _FORMAT,
            "chat_id": state.chat_id,
            "previous_response_id": state.previous_response_id,
            "messages": list(state.messages),
        }
        if shortcut is not None:
            found["last_shortcut"] = {name: getattr(shortcut, name) for name in _SHORTCUT_FIELDS}
        return found

    @classmethod
    def from_json(cls, saved: Json) -> History:
        """Return the history in the JSON object of :meth:`to_json`. Raises InvalidInput, which says what is wrong."""
        for name in ("format", "chat_id", "previous_response_id", "messages"):
            if name not in saved:
                raise InvalidInput(f"it has no {name!r}")
        if saved["format"] != _FORMAT:
            raise InvalidInput(f"it has format {repr(saved['format'])[:40]}, and this version reads {_FORMAT}")
        response_id, messages = saved["previous_response_id"], saved["messages"]
        if response_id != "" and not is_id(response_id):
            raise InvalidInput("its previous_response_id is neither empty nor an id")
        if not isinstance(messages, list):
            raise InvalidInput("its messages are not a list")
        return cls(saved["chat_id"], messages, response_id, _read_shortcut(saved.get("last_shortcut")))


class TurnRecord:
    """One turn of a conversation: its question joins the history together with the answer, or not at all.

    ``question`` is checked already. ``replaced`` is the question that this one replaces. The turn is recorded when the
    end of the answer arrives. If a stream reads the answer through :meth:`through`, it is recorded when the reader of
    the stream gets the end. ``is_read`` returns whether such a stream is open.
    """

    def __init__(self, history: History, question: Submission, replaced: LastQuestion | None = None) -> None:
        self._history = history
        self._replaced = replaced
        # Only the site knows the text of some shortcuts; their label stands for it.
        self._question = {"role": "user", "content": question.message or question.shortcut_name or ""}
        self._shortcut = _sent_shortcut(question)
        self._before = CheckedMessages()  # the messages that were sent with the question
        self._waits_for_reader = False
        self._unread: Reply | None = None  # the reply whose end the reader did not get yet
        self.is_read: Callable[[], bool] = lambda: False

    def through(self, view: View[T]) -> View[T]:
        """Return a view that gives the same items as ``view``, and records the turn when the reader gets their end.

        Several events can arrive at once. Without this, it would depend on their timing whether a stream that is closed
        before its end leaves the history as it was.
        """
        self._waits_for_reader = True

        def recording(events: list[Event]) -> tuple[Iterable[T], ChatError | None]:
            items, error = view(events)
            return items if self._unread is None else _last_items(items, self.record), error

        return recording

    def start(self, submission: Submission) -> Submission:
        """Return the question with the history before it. It is called just before the question is sent.

        Raises InvalidState while another question is being answered, and if the question to replace is not the last one
        any more.
        """
        state = self._history.begin(self)
        if self._replaced is not None and state.last_question() != self._replaced:
            raise InvalidState("another question is the last one by now: call edit() or regenerate() again")
        kept = None if self._replaced is None else self._replaced.position
        self._before = CheckedMessages(state.messages[:kept])
        return replace(
            submission,
            messages=self._before,
            chat_id=state.chat_id,
            previous_response_id=state.response_to_resume(self._replaced),
        )

    def end(self, outcome: Done | Failed) -> None:
        """Process the last event of the answer. A failed turn leaves the messages as they were."""
        if isinstance(outcome, Done):
            self._unread = outcome.reply
            if not self._waits_for_reader:
                self.record()
            return
        state = self._history.state
        if state.running is self:
            # The provider may not have found the response.
            response_id = "" if isinstance(outcome.error, ServerError) else state.previous_response_id
            state.follow(replace(state, previous_response_id=response_id, running=None))

    def record(self) -> None:
        """Add the question and its answer to the history. A second call changes nothing.

        It changes nothing either if the conversation was cleared meanwhile, or if the stream was closed and another
        question was asked.
        """
        reply, self._unread = self._unread, None
        state = self._history.state
        if reply is not None and state.running is self:
            answer = {"role": "assistant", "content": printable(reply.text)}  # the next question sends it
            response_id = reply.response_id if is_id(reply.response_id) else ""
            messages = CheckedMessages((*self._before, self._question, answer))
            state.follow(State(state.chat_id, messages, response_id, self._shortcut))


def _last_items(items: Iterable[T], on_end: Callable[[], object]) -> Iterator[T]:
    """Yield the last items of an answer. ``on_end`` is called after the last one, and before ``Done``."""
    for item in items:
        if isinstance(item, Done):
            on_end()
        yield item
    on_end()


def one_message(question: str | Message) -> Message:
    """Return a question as a message. Raises InvalidInput for a question that is neither a string nor a message."""
    if not isinstance(question, str | Mapping):
        raise InvalidInput(
            f"a question is a string, or one {{'role', 'content'}} message, {not_(question)}; "
            "the conversation itself adds the earlier messages"
        )
    return {"role": "user", "content": question} if isinstance(question, str) else question


def shortcut_question(shortcut: Shortcut, bot: Mapping[str, Any]) -> Submission:
    """Return the question that a shortcut stands for; ``bot`` has the fields that name the bot.

    Raises InvalidInput for a shortcut that clears the conversation, and for one that has nothing to send.
    """
    if not isinstance(shortcut, Shortcut):
        raise InvalidInput(f"a shortcut is one of reply.shortcuts or bot.shortcuts, {not_(shortcut)}")
    if shortcut.action == "clear":
        raise InvalidInput("this shortcut clears the conversation: call clear()")
    if not (shortcut.message or shortcut.shortcut_id):
        raise InvalidInput(f"the shortcut {shortcut.label!r} has nothing to send; it is for browsers only")
    return Submission(
        shortcut.message,
        shortcut_id=None if shortcut.message else shortcut.shortcut_id,
        shortcut_name=shortcut.label,
        **bot,
    )


def _sendable(messages: Iterable[Message]) -> CheckedMessages:
    """Return messages as a history keeps them. Raises InvalidInput for messages that cannot be sent."""
    found = checked_messages(messages)
    Submission("Hi", found)
    return found


def _read_shortcut(saved: Any) -> Shortcut | None:
    """Return the shortcut in a saved history. Raises InvalidInput for another value."""
    if saved is None:
        return None
    if not isinstance(saved, dict) or not all(isinstance(saved.get(name), str) for name in _SHORTCUT_FIELDS):
        raise InvalidInput(f"its last_shortcut is not an object with the strings {', '.join(_SHORTCUT_FIELDS)}")
    shortcut = Shortcut("message", **{name: saved[name] for name in _SHORTCUT_FIELDS})
    return _sent_shortcut(shortcut_question(shortcut, {}))


def _sent_shortcut(question: Submission) -> Shortcut | None:
    """Return the shortcut of a question, with only the fields that were sent, or None."""
    label, shortcut_id = question.shortcut_name or "", question.shortcut_id or ""
    return Shortcut("message", label, question.message, shortcut_id) if label or shortcut_id else None
