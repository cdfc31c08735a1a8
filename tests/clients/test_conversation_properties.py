"""After any sequence of calls, the history of a conversation can be sent, and a saved conversation equals it."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chatgpt4online import (
    AsyncConversation,
    ConnectionFailed,
    Conversation,
    Discussion,
    InvalidInput,
    InvalidState,
    Shortcut,
    Submission,
)
from chatgpt4online.protocol.calls.turn import Turn

from ..clients.test_conversation import client
from ..support.strategies import end, error, live

# Lone surrogates, and characters that JSON, UTF-8 or the readers of lines treat specially.
LETTERS = st.sampled_from(
    ["a", "é", "я", "😀", "\ud83d", "\ude00", "\0", "\u2028", "\r\n", '"', "\\", "\x7f", "\ufffd"]
)
WORDS = st.lists(LETTERS, max_size=4).map("".join)
GOOD_WORDS = st.sampled_from(["a", "Hi there", "é\u2028😀"])
NOT_TEXTS: st.SearchStrategy[Any] = st.sampled_from([None, 5, [], {}, ["a"], float("nan")])  # what JSON can hold
OTHERS = st.one_of(NOT_TEXTS, st.just(b"a"))
CONTENTS = st.one_of(WORDS, GOOD_WORDS, st.lists(WORDS.map(lambda text: {"type": "text", "text": text})), OTHERS)
ROLES = st.one_of(st.sampled_from(["user", "assistant", "system", "tool"]), WORDS, OTHERS)
MESSAGES = st.one_of(st.fixed_dictionaries({"role": ROLES, "content": CONTENTS}), OTHERS)
GOOD_MESSAGES = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": GOOD_WORDS})
HISTORIES = st.one_of(st.lists(GOOD_MESSAGES), st.lists(MESSAGES), st.one_of(WORDS, OTHERS))
PROMPTS = st.one_of(GOOD_WORDS, WORDS, MESSAGES)
IDS = st.one_of(
    st.sampled_from(["", "resp_1", "v1_1", "chatcmpl-1", "c" * 64, "c" * 65, "r" * 1001]),
    WORDS,
    WORDS.map("resp_".__add__),
)
SHORTCUTS = st.one_of(
    st.builds(
        Shortcut,
        st.sampled_from(["message", "action"]),
        label=st.one_of(GOOD_WORDS, WORDS, OTHERS),
        message=st.one_of(st.just(""), GOOD_WORDS, WORDS, OTHERS),
        shortcut_id=st.one_of(st.just("x1"), WORDS, OTHERS),
        action=st.sampled_from(["", "message", "clear"]),
        icon=WORDS,
    ),
    OTHERS,
)
STARTS: dict[str, Any] = {
    "messages": HISTORIES,
    "start_sentence": st.one_of(WORDS, OTHERS),
    "chat_id": st.one_of(IDS, OTHERS),
    "discussion": st.one_of(
        st.builds(Discussion, st.just("c9"), messages=st.just(()), previous_response_id=st.one_of(IDS, OTHERS)),
        st.builds(Discussion, st.one_of(IDS, OTHERS), messages=HISTORIES),
        OTHERS,
    ),
}
SAVED: dict[str, Any] = {
    "chat_id": st.one_of(IDS, NOT_TEXTS),
    "messages": HISTORIES,
    "previous_response_id": st.one_of(IDS, NOT_TEXTS),
    "last_shortcut": st.one_of(
        st.fixed_dictionaries(dict.fromkeys(("label", "message", "shortcut_id"), WORDS)), NOT_TEXTS
    ),
}


def some_of(values: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return values for some of the names: mostly for one, since one bad value is enough for an error."""
    single = [st.fixed_dictionaries({name: value}) for name, value in values.items()]
    return st.one_of(*single, st.fixed_dictionaries({}, optional=values))


ENDINGS = st.sampled_from(["good", "good", "good", "server error", "cut", "network", "left"])


class Talks(RuleBasedStateMachine):
    """One conversation that gets any calls with any values. InvalidInput and InvalidState change nothing."""

    kind: Any = Conversation

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.client = client(self.kind)
        self.talk = self.client.conversation()
        self.fsync = mock.patch("os.fsync")  # the test saves thousands of times
        self.fsync.start()

    def teardown(self) -> None:
        self.fsync.stop()
        shutil.rmtree(self.folder)

    def answer(self, turns: Any, ending: str, text: str, final: str | None, response_id: Any) -> None:
        """Make a turn and send its question, if that raises no error, and answer it."""
        before = self.talk.messages
        try:
            turn = turns()[0]
            request = turn.next_request()
        except (InvalidInput, InvalidState):
            assert self.talk.messages == before
            return
        sent = json.loads(request.body)["messages"]
        assert sent == before[: len(sent)]
        self.receive(turn, ending, text, final, response_id)
        assert (self.talk.messages != before) <= (ending == "good")

    def receive(self, turn: Turn, ending: str, text: str, final: str | None, response_id: Any) -> None:
        if ending == "left":
            return
        if ending == "network":
            turn.receive_error(ConnectionFailed("reset"))
            return
        turn.receive_response(200, {})
        turn.receive_data(live(text) + b"\n\n")
        if ending == "server error":
            turn.receive_data(error("no") + b"\n\n")
        elif ending == "good":
            turn.receive_data(end(reply=final, responseId=response_id) + b"\n\n")
        if not turn.over:
            turn.receive_eof()
        assert turn.over

    answered: dict[str, Any] = {
        "ending": ENDINGS,
        "text": WORDS,
        "final": st.one_of(st.none(), WORDS),
        "response_id": st.one_of(IDS, NOT_TEXTS),
    }
    files = st.sampled_from([(), ("f1",), ("f1", "f2")])

    @rule(options=some_of(STARTS))
    def begin(self, options: Any) -> None:
        with suppress(InvalidInput):
            self.talk = self.client.conversation(**options)

    @rule(prompt=PROMPTS, files=files, **answered)
    def ask(self, prompt: Any, files: Any, **answered: Any) -> None:
        self.answer(lambda: self.talk._operations.next_turn(self.talk._history, prompt, files), **answered)

    @rule(prompt=PROMPTS, files=files, **answered)
    def edit(self, prompt: Any, files: Any, **answered: Any) -> None:
        self.answer(lambda: self.talk._operations.edited_turn(self.talk._history, prompt, files), **answered)

    @rule(files=files, **answered)
    def regenerate(self, files: Any, **answered: Any) -> None:
        self.answer(lambda: self.talk._operations.repeated_turn(self.talk._history, files), **answered)

    @rule(shortcut=SHORTCUTS, **answered)
    def choose(self, shortcut: Any, **answered: Any) -> None:
        self.answer(lambda: self.talk._operations.shortcut_turn(self.talk._history, shortcut), **answered)

    @rule()
    def clear(self) -> None:
        self.talk.clear()
        assert self.talk.messages == []

    @rule(changes=some_of(SAVED))
    def load_an_edited_file(self, changes: Any) -> None:
        path = self.folder / "talk.json"
        self.talk.save(path)
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes, default=str))
        with suppress(InvalidInput):
            self.talk = self.kind.load(path, self.client)

    @invariant()
    def history_can_be_sent(self) -> None:
        talk = self.talk
        assert Submission("Hi", talk.messages, chat_id=talk.chat_id).body("")
        turn, _ = talk._operations.next_turn(talk._history, "Hi", ())
        assert json.loads(turn.next_request().body)["messages"] == talk.messages

    @invariant()
    def loaded_conversation_equals_the_saved_one(self) -> None:
        self.talk.save(self.folder / "talk.json")
        again = self.kind.load(self.folder / "talk.json", self.client)
        assert again._history.to_json() == self.talk._history.to_json()
        assert [entry.name for entry in self.folder.iterdir()] == ["talk.json"]
        self.talk = again


class AsyncTalks(Talks):
    """The same calls with an AsyncConversation."""

    kind = AsyncConversation


TestConversation = Talks.TestCase
TestConversation.settings = settings(max_examples=100, stateful_step_count=12)

TestAsyncConversation = AsyncTalks.TestCase
TestAsyncConversation.settings = settings(max_examples=100, stateful_step_count=12)
