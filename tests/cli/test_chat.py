"""``chat`` as a person uses it, on a real pseudo-terminal, and as a program uses it, in pipes."""

import json
import os
import re
import runpy
import shlex
import signal
import stat
import subprocess
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chatgpt4online import Action, Notice, ServerError, Shortcut
from chatgpt4online.cli.chat.commands import COMMANDS
from chatgpt4online.testing import Answer, Chat, Site, Widget

from ..site import serve_site
from ..support.behaviours import HELLO, streamed
from ..support.program import PROGRAM, SECONDS, environment_of, examples_of, run_script
from ..support.server import Peer, Received, Server, response
from ..support.server import site as serve_chats
from ..support.terminal import Terminal, terminal

ROOT = Path(__file__).parent.parent.parent
GUIDE = ROOT / "docs" / "guides" / "chat.rst"
CTRL_C, CTRL_D, ENTER, ALT_ENTER, UP, TAB = "\x03", "\x04", "\r", "\x1b\r", "\x1b[A", "\t"
LIBRARIES = ("rich", "prompt_toolkit", "shtab")

CATS = """\
Cats sleep **a lot**. See [the list](https://example.org/cats):

1. Tom
2. Felix

```python
def purr(cat):
    return cat
```
"""
MENU = Answer(
    "What now?",
    shortcuts=[
        Shortcut("message", "Opening hours", "When are you open?"),
        Shortcut("callback", "For browsers"),
        Shortcut("action", "Start again", action="clear"),
    ],
)
SUPPORT = Widget(
    "support",
    name="Support: ",
    start_sentence="How can I *help*?",
    uploads=True,
    multi_upload=True,
    shortcuts=[Shortcut("message", "Prices", "What does it cost?", shortcut_id="prices")],
)


@dataclass
class Place:
    """A site, and a person with an empty home directory."""

    home: Path
    env: dict[str, str]
    site: Site = field(init=False)
    answers: dict[str, Callable[["Place"], Any]] = field(default_factory=lambda: dict(ANSWERS))
    chats: list[Chat] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def chat(self, *arguments: str, columns: int = 80, lines: int = 24, **streams: Any) -> Iterator[Terminal]:
        """Start a chat on a terminal, and wait for its first prompt."""
        command = [*PROGRAM, "chat", "--site", self.site.url, *arguments]
        with terminal(command, self.env, columns, lines, **streams) as person:
            yield person

    def run(self, *arguments: str, prompt: bytes = b"") -> "subprocess.CompletedProcess[str]":
        """Run a chat in pipes."""
        command = [*PROGRAM, "chat", "--site", self.site.url, *arguments]
        run = subprocess.run(command, input=prompt, capture_output=True, timeout=SECONDS, check=False, env=self.env)
        return subprocess.CompletedProcess(command, run.returncode, run.stdout.decode(), run.stderr.decode())

    def answer(self, chat: Chat) -> Any:
        self.chats.append(chat)
        return self.answers.get(chat.message, lambda place: f"You said: {chat.message}")(self)

    def hang(self, *pieces: str) -> Iterator[str]:
        yield from pieces
        assert self.gate.wait(SECONDS)


def _half(place: Place) -> Iterator[Any]:
    yield "Half of"
    yield ServerError("The model is tired.")


def _notices(place: Place) -> Iterator[Any]:
    yield Notice("thinking", "Hm \x1b[31m.", "visible")
    yield "Done."


ANSWERS: dict[str, Callable[[Place], Any]] = {
    "cats": lambda place: [CATS[place : place + 7] for place in range(0, len(CATS), 7)],
    "menu": lambda place: MENU,
    "hang": lambda place: place.hang("First line.\n\nHalf of"),
    "half": _half,
    "notices": _notices,
    "nothing": lambda place: "",
    "picture": lambda place: Answer("Here:", images=[f"https://example.org/{'fox' * 20}.png"]),
    "only a picture": lambda place: Answer("", images=["https://example.org/fox.png"]),
    "action": lambda place: Answer("", actions=[Action("function", "open")]),
    "evil": lambda place: "a\x1b[31mb\x9bc &#27;[2J &#13;d [x](javascript:alert%281%29) <b>e</b> \x07",
}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    home = tmp_path / "home"
    home.mkdir()
    env = environment_of(HOME=str(home))
    place = Place(home, env)
    with serve_site(place.answer, bots=[SUPPORT, "default"]) as place.site:
        yield place
        place.gate.set()


@pytest.fixture
def plain(place: Place, tmp_path: Path) -> Place:
    """Take the libraries of the extra away."""
    without(place.env, tmp_path / "blocked", *LIBRARIES)
    return place


def without(env: dict[str, str], folder: Path, *names: str) -> None:
    """Change an environment so that Python finds no library of these names."""
    folder.mkdir()
    for name in names:
        (folder / f"{name}.py").write_text(f"raise ModuleNotFoundError({name!r})\n")
    env["PYTHONPATH"] = str(folder)


@pytest.fixture(params=["rich", "plain"])
def either(request: pytest.FixtureRequest, place: Place) -> Place:
    """Return a place with the extra, and one without it."""
    return request.getfixturevalue("plain") if request.param == "plain" else place


def prompts(person: Terminal) -> int:
    return sum(line == ">" or line.startswith("> ") for line in person.everything())


def ready(person: Terminal) -> None:
    """Wait until the last line is an empty prompt."""
    person.wait_until(lambda: (person.display() or [""])[-1] == ">", "an empty prompt")


def say(person: Terminal, text: str) -> list[str]:
    """Type a line at the prompt, and return what is shown between it and the next prompt."""
    ready(person)
    before = prompts(person)
    person.type(text + ENTER)
    person.wait_until(lambda: prompts(person) > before and person.display()[-1] == ">", f"a prompt after {text!r}")
    lines = person.everything()[:-1]
    begin = max(place for place, line in enumerate(lines) if line.startswith("> "))
    return [line for line in lines[begin + 1 :] if line]


def end(person: Terminal) -> None:
    ready(person)
    person.type(CTRL_D)
    assert person.wait() == 0


class TestAnswers:
    def test_start_of_the_bot_and_its_shortcuts_are_shown(self, either: Place) -> None:
        with either.chat() as person:
            ready(person)
            shown = [line for line in person.display() if line]
            assert shown[0] == "A chat with Support (support). /help lists the commands."
            assert shown[1].replace("*", "") == "How can I help?"
            assert shown[2:] == ["  1  Prices", ">"]
            end(person)

    def test_each_question_is_sent_with_the_conversation(self, either: Place) -> None:
        with either.chat() as person:
            assert say(person, "One") == ["You said: One"]
            assert say(person, "Two") == ["You said: Two"]
            end(person)
        texts = [message["content"] for message in either.chats[-1].messages]
        assert texts == ["How can I *help*?", "One", "You said: One"]

    @pytest.mark.parametrize("columns", [40, 80])
    @pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}], ids=["colours", "no colours"])
    def test_markdown_is_shown_in_full(self, columns: int, env: dict[str, str], place: Place) -> None:
        place.env |= env
        with place.chat(columns=columns) as person:
            shown = say(person, "cats")
            style = person.style("def")
            end(person)
        wide = ["Cats sleep a lot. See the list (https://example.org/cats):"]
        narrow = ["Cats sleep a lot. See the list", "(https://example.org/cats):"]
        assert shown == [
            *(wide if columns == 80 else narrow),
            " 1 Tom",
            " 2 Felix",
            " def purr(cat):",
            "     return cat",
        ]
        assert (style.fg == "default") is bool(env)

    @pytest.mark.parametrize("columns", [40, 80])
    def test_plain_text_is_shown_as_it_is_written(self, columns: int, plain: Place) -> None:
        with plain.chat(columns=columns) as person:
            shown = say(person, "cats")
            end(person)
        text = "".join(CATS.split())
        assert "".join("".join(shown).split()) == text

    @pytest.mark.parametrize("name", ["TERM", "stderr"])
    def test_terminal_that_cannot_move_its_cursor_gets_plain_text(self, name: str, place: Place) -> None:
        if name == "TERM":
            place.env["TERM"] = "dumb"
        with place.chat(*(["-v"] if name == "stderr" else [])) as person:
            shown = "\n".join(say(person, "cats"))
            end(person)
        assert "**a lot**" in shown
        assert name == "stderr" or b"\x1b[" not in person.sent.replace(b"\x1b[?2004", b"")

    def test_long_answer_stays_in_the_scrollback(self, place: Place) -> None:
        blocks = [f"Paragraph {number} has a few words, so that it is longer than a line." for number in range(60)]
        blocks[30] = "\n".join(f"- item {number}" for number in range(100))
        blocks[40] = "```\n" + "\n".join(f"code {number}" for number in range(100)) + "\n```"
        blocks[50] = "\n".join(["| n | m |", "|---|---|", *(f"| cell {n} | {'x' * n} |" for n in range(40))])
        text = "\n\n".join(blocks)
        place.answers["long"] = lambda _: [text[start : start + 40] for start in range(0, len(text), 40)]
        with place.chat(columns=40, lines=12) as person:
            say(person, "long")
            shown = " ".join(person.everything())
            end(person)
        for kind, numbers in {"Paragraph": 60, "item": 100, "code": 100, "cell": 40}.items():
            found = [int(number) for number in re.findall(rf"{kind} (\d+)\b", shown)]
            expected = [n for n in range(numbers) if kind != "Paragraph" or n not in (30, 40, 50)]
            assert found == expected, kind

    def test_pieces_are_shown_before_the_answer_ends(self, either: Place) -> None:
        with either.chat() as person:
            ready(person)
            person.type("hang" + ENTER)
            person.wait_for("Half of")
            assert not either.gate.is_set()
            either.gate.set()
            end(person)

    def test_typing_during_an_answer_becomes_the_next_question(self, either: Place) -> None:
        with either.chat() as person:
            ready(person)
            person.type("hang" + ENTER)
            person.wait_for("Half of")
            person.type("Next")
            either.gate.set()
            person.wait_for("> Next")
            assert "Half ofNext" not in "".join(person.everything())
            person.type(ENTER)
            person.wait_for("You said: Next")
            end(person)

    def test_lines_typed_during_an_answer_stay_one_question(self, place: Place) -> None:
        with place.chat() as person:
            ready(person)
            person.type("hang" + ENTER)
            person.wait_for("Half of")
            person.type("One" + ALT_ENTER + "Two" + ENTER)
            place.gate.set()
            person.wait_for("You said: One Two")
            end(person)

    def test_images_are_shown_as_whole_addresses(self, either: Place) -> None:
        with either.chat(columns=40) as person:
            shown = "".join(say(person, "picture"))
            assert f"https://example.org/{'fox' * 20}.png" in shown
            assert "https://example.org/fox.png" in "".join(say(person, "only a picture"))
            end(person)

    @pytest.mark.parametrize("options", [[], ["--notices"]])
    def test_notices_are_shown_only_with_their_option(self, options: list[str], either: Place) -> None:
        with either.chat(*options) as person:
            shown = say(person, "notices")
            end(person)
        assert shown == [*(["[thinking] Hm \ufffd[31m."] if options else []), "Done."]

    def test_control_characters_of_a_site_do_not_reach_the_terminal(self, either: Place) -> None:
        with either.chat() as person:
            ready(person)
            before = len(person.sent)
            shown = "".join(say(person, "evil"))
            end(person)
        answer = person.sent[before:]
        assert "a\ufffd[31mb\ufffdc" in shown
        assert all(text not in answer for text in (b"\x1b[31mb", b"\x9b", b"\x1b[2J", b"\x07", b"\x1b]8"))
        assert "<b>e</b>" in shown
        assert "javascript" in shown

    def test_parts_for_browsers_are_named(self, either: Place) -> None:
        with either.chat() as person:
            shown = " ".join(say(person, "action"))
            end(person)
        assert "The site sent actions too" in shown
        assert "chatgpt4online: the answer has no text, but actions" in shown


class TestLibraries:
    @pytest.mark.parametrize("missing", ["rich", "markdown_it", "prompt_toolkit"])
    def test_one_missing_library_takes_the_others_away(self, missing: str, place: Place, tmp_path: Path) -> None:
        without(place.env, tmp_path / "blocked", missing)
        with place.chat() as person:
            shown = say(person, "cats")
            person.type("/un" + TAB)
            person.wait_for("> /undo")
            person.type(ENTER)
            person.wait_for("Removed: cats")
            end(person)
        assert (" 1 Tom" in shown) is (missing == "prompt_toolkit")


class TestErrors:
    def test_failed_question_keeps_the_session_and_the_shown_text(self, either: Place) -> None:
        with either.chat() as person:
            assert say(person, "half") == ["Half of", "chatgpt4online: The model is tired."]
            assert say(person, "Next") == ["You said: Next"]
            end(person)
        assert [message["content"] for message in either.chats[-1].messages] == ["How can I *help*?"]

    def test_answer_without_text_is_an_error(self, either: Place) -> None:
        with either.chat() as person:
            assert "the answer has no text; usually the model failed" in " ".join(say(person, "nothing"))
            end(person)

    def test_question_that_is_too_long_keeps_the_session(self, either: Place) -> None:
        with either.chat() as person:
            assert "the bot accepts 512" in " ".join(say(person, "x" * 600)[-3:])
            assert say(person, "Next") == ["You said: Next"]
            end(person)

    def test_site_that_cannot_be_reached_ends_the_chat_with_a_reason(self, place: Place) -> None:
        with terminal([*PROGRAM, "chat", "--site", "http://127.0.0.1:1"], place.env) as person:
            assert person.wait() == 1
            assert person.display()[-1].endswith("(after 3 tries)") or "refused" in " ".join(person.display())


class TestCtrlC:
    def test_ctrl_c_stops_the_answer_and_keeps_the_session(self, either: Place) -> None:
        with either.chat() as person:
            ready(person)
            person.type("hang" + ENTER)
            person.wait_for("Half of")
            person.type(CTRL_C)
            person.wait_for("Stopped. The conversation stays as it was.")
            assert say(person, "Next") == ["You said: Next"]
            end(person)
        assert [message["content"] for message in either.chats[-1].messages] == ["How can I *help*?"]

    def test_second_ctrl_c_at_once_does_not_block_the_program(self, either: Place) -> None:
        with either.chat() as person:
            ready(person)
            person.type("hang" + ENTER)
            person.wait_for("Half of")
            for _ in range(2):  # not typed: at each Ctrl-C, a terminal discards the output that is on its way
                person.process.send_signal(signal.SIGINT)
            person.wait_for("Stopped.")

    def test_ctrl_c_before_the_answer_begins_keeps_the_session(self, either: Place) -> None:
        asked = threading.Event()
        either.answers["silent"] = lambda place: (asked.set(), place.hang())[1]
        with either.chat() as person:
            ready(person)
            person.type("silent" + ENTER)
            assert asked.wait(SECONDS)
            person.type(CTRL_C)
            person.wait_for("Stopped.")
            assert say(person, "Next") == ["You said: Next"]
            end(person)

    def test_ctrl_c_stops_an_upload_and_keeps_the_session(self, place: Place) -> None:
        (place.home / "a.txt").write_text("Hello")
        asked = threading.Event()

        def answer(peer: Peer, request: Received) -> None:
            if "upload" in request.target:
                asked.set()
                peer.wait_for_close()
            else:
                peer.send(streamed(*HELLO) if request.method == "POST" else response(b"<h1>Hi</h1>"))

        with Server(serve_chats(answer)) as server:
            with terminal([*PROGRAM, "chat", "--site", server.url], place.env) as person:
                ready(person)
                person.type("/file ~/a.txt" + ENTER)
                assert asked.wait(SECONDS)
                person.type(CTRL_C)
                person.wait_for("Stopped.")
                assert say(person, "Next") == ["Hello"]
                end(person)

    def test_ctrl_c_clears_the_line(self, either: Place) -> None:
        with either.chat() as person:
            ready(person)
            person.type("wrong")
            person.wait_for("> wrong")
            person.interrupt()
            person.wait_for("Press Ctrl-C again")
            assert say(person, "right") == ["You said: right"]
            end(person)
        assert [chat.message for chat in either.chats] == ["right"]

    def test_second_ctrl_c_ends_the_chat(self, either: Place) -> None:
        with either.chat() as person:
            ready(person)
            person.interrupt()
            person.wait_for("Press Ctrl-C again, or Ctrl-D, to end the chat.")
            ready(person)
            person.interrupt()
            assert person.wait() == 0

    def test_ctrl_c_in_a_line_does_not_end_the_chat_because_of_an_earlier_one(self, either: Place) -> None:
        with either.chat() as person:
            for count, text in enumerate(["one", "two"], 1):
                ready(person)
                person.type(text)
                person.wait_for(f"> {text}")
                person.interrupt()
                person.wait_for("Press Ctrl-C again", count)
            end(person)

    def test_terminal_shows_typing_after_the_chat(self, either: Place) -> None:
        command = ["sh", "-c", '"$@"; stty -a', "sh", *PROGRAM, "chat", "--site", either.site.url]
        with terminal(command, either.env) as person:
            say(person, "Hi")
            person.type(CTRL_D)
            person.wait()
        modes = " ".join(person.everything())
        assert " echo " in modes
        assert " icanon " in modes


class TestEditing:
    def test_alt_enter_begins_a_new_line(self, place: Place) -> None:
        with place.chat() as person:
            ready(person)
            person.type("One")
            person.wait_for("> One")
            person.type(ALT_ENTER + "Two" + ENTER)
            person.wait_for("You said: One Two")
            end(person)
        assert place.chats[-1].message == "One\nTwo"

    def test_backslash_begins_a_new_line(self, either: Place) -> None:
        with either.chat() as person:
            ready(person)
            person.type("One\\" + ENTER)
            person.wait_for("\n.")
            person.type("Two" + ENTER)
            person.wait_for("You said: One")
            end(person)
        assert either.chats[-1].message == "One\nTwo"

    def test_pasted_lines_are_one_question(self, place: Place) -> None:
        with place.chat() as person:
            ready(person)
            person.type("\x1b[200~One\nTwo\x1b[201~")
            person.wait_for(". Two")
            person.type(ENTER)
            person.wait_for("You said: One Two")
            end(person)

    def test_up_key_brings_earlier_chats_back(self, either: Place) -> None:
        for text in ("Hello there", UP):
            with either.chat() as person:
                ready(person)
                person.type(text)
                person.wait_for("> Hello there")
                person.type(ENTER)
                person.wait_for("You said: Hello there")
                end(person)
        assert len(either.chats) == 2
        path = either.home / ".local/state/chatgpt4online/history"
        assert (stat.S_IMODE(path.stat().st_mode), path.read_text()) == (0o600, '"Hello there"\n')

    def test_history_is_below_the_state_directory_of_the_user(self, place: Place) -> None:
        place.env["XDG_STATE_HOME"] = str(place.home / "state")
        with place.chat() as person:
            say(person, "Hi")
            end(person)
        assert (place.home / "state/chatgpt4online/history").read_text() == '"Hi"\n'

    def test_no_history_writes_no_file(self, either: Place) -> None:
        with either.chat("--no-history") as person:
            say(person, "Hi")
            end(person)
        assert list(either.home.iterdir()) == []

    def test_history_that_cannot_be_stored_is_reported_once(self, either: Place) -> None:
        (either.home / ".local").write_text("This is a file.")
        with either.chat() as person:
            say(person, "Hi")
            assert " ".join(person.everything()).count("The lines that you type are not stored.") == 1
            end(person)

    def test_tab_completes_a_command(self, either: Place) -> None:
        with either.chat() as person:
            ready(person)
            person.type("/un" + TAB)
            person.wait_for("> /undo")
            person.type(ENTER)
            person.wait_for("there is no question to remove")
            end(person)


class TestCommands:
    def test_help_names_each_command(self, either: Place) -> None:
        with either.chat() as person:
            shown = "\n".join(say(person, "/help"))
            end(person)
        assert all(f"{command.usage} " in shown for command in COMMANDS)

    @pytest.mark.parametrize("columns", [40, 80])
    def test_number_of_a_shortcut_sends_it(self, columns: int, either: Place) -> None:
        with either.chat(columns=columns) as person:
            assert say(person, "menu") == ["What now?", "  1  Opening hours", "  2  Start again"]
            assert say(person, "1") == ["You said: When are you open?"]
            assert say(person, "1") == ["You said: 1"]
            assert say(person, "menu")[-1] == "  2  Start again"
            assert say(person, "3") == ["You said: 3"]
            say(person, "menu")
            assert "  1  Prices" in say(person, "2")
            assert say(person, "1") == ["You said: What does it cost?"]
            end(person)
        assert len(either.chats[-1].messages) == 1

    def test_undo_removes_the_last_question_and_its_answer(self, either: Place) -> None:
        with either.chat() as person:
            for text in ("One", "Two"):
                say(person, text)
            assert say(person, "/undo") == ["Removed: Two"]
            say(person, "Three")
            assert [say(person, "/undo") for _ in range(3)] == [
                ["Removed: Three"],
                ["Removed: One"],
                ["chatgpt4online: there is no question to remove"],
            ]
            say(person, "Four")
            end(person)
        three, four = either.chats[-2:]
        assert [message["content"] for message in three.messages] == ["How can I *help*?", "One", "You said: One"]
        assert [message["content"] for message in four.messages] == ["How can I *help*?"]
        assert len({chat.chat_id for chat in either.chats}) == 1

    def test_retry_replaces_the_last_answer(self, either: Place) -> None:
        with either.chat() as person:
            assert "there is no question to ask again" in " ".join(say(person, "/retry"))
            say(person, "One")
            assert say(person, "/retry") == ["You said: One"]
            say(person, "Two")
            end(person)
        assert [chat.message for chat in either.chats] == ["One", "One", "Two"]
        assert [len(chat.messages) for chat in either.chats] == [1, 1, 3]

    def test_retry_after_undo_sends_what_was_sent_before(self, either: Place) -> None:
        (either.home / "a.txt").write_text("Hello")
        with either.chat() as person:
            say(person, "1")
            say(person, "/file ~/a.txt")
            say(person, "nothing")
            say(person, "Two")
            say(person, "/undo")
            say(person, "/retry")
            say(person, "/undo")
            assert say(person, "/retry") == ["You said: What does it cost?"]
            end(person)
        messages = ["What does it cost?", "nothing", "Two", "nothing", "What does it cost?"]
        assert [chat.message for chat in either.chats] == messages
        assert [len(chat.file_ids) for chat in either.chats] == [0, 1, 0, 1, 0]
        assert [len(chat.messages) for chat in either.chats] == [1, 3, 5, 3, 1]
        secrets = [chat.json.get("shortcutId") for chat in either.chats]
        assert secrets == [secrets[0], None, None, None, secrets[0]]
        assert secrets[0]

    def test_retry_of_a_saved_conversation_asks_its_last_question(self, either: Place) -> None:
        path = str(either.home / "talk.json")
        with either.chat("--conversation", path) as person:
            say(person, "1")
            end(person)
        with either.chat("--conversation", path) as person:
            assert say(person, "/retry") == ["You said: What does it cost?"]
            end(person)
        assert [chat.message for chat in either.chats] == ["What does it cost?"] * 2
        assert [len(chat.messages) for chat in either.chats] == [1, 1]

    def test_stopped_retry_keeps_the_last_answer(self, either: Place) -> None:
        answers = iter(["One", either.hang("Half of")])
        either.answers["again"] = lambda _: next(answers)
        with either.chat() as person:
            say(person, "again")
            ready(person)
            person.type("/retry" + ENTER)
            person.wait_for("Half of")
            person.type(CTRL_C)
            person.wait_for("Stopped. The conversation stays as it was.")
            say(person, "Next")
            end(person)
        assert [message["content"] for message in either.chats[-1].messages][1:] == ["again", "One"]

    def test_long_question_fills_the_screen_when_it_is_removed(self, either: Place) -> None:
        with either.chat(columns=200) as person:
            say(person, "x" * 100)
            assert say(person, "/undo") == [f"Removed: {'x' * 67}..."]
            end(person)

    def test_bot_that_the_page_does_not_show_is_not_noticed(self, either: Place) -> None:
        with either.chat("--bot", "elsewhere") as person:
            person.wait_for("A chat. The page does not show the bot elsewhere. /help lists the commands.")
            end(person)

    def test_new_begins_another_conversation(self, either: Place) -> None:
        with either.chat() as person:
            say(person, "One")
            assert "A new conversation." in say(person, "/new")
            say(person, "Two")
            end(person)
        assert [len(chat.messages) for chat in either.chats] == [1, 1]
        assert len({chat.chat_id for chat in either.chats}) == 2

    def test_saved_conversation_is_loaded_and_stores_each_answer(self, either: Place) -> None:
        path = either.home / "a talk.json"
        with either.chat() as person:
            say(person, "One")
            say(person, f"/save '{path}'")
            say(person, "Two")
            assert "keeps the earlier one" in " ".join(say(person, "/new"))
            say(person, "Three")
            assert "exists already" in " ".join(say(person, f"/save {path}"))
            shown = " ".join(say(person, "/load ~/a talk.json"))
            assert "You asked: Two You said: Two" in shown
            say(person, "Four")
            end(person)
        saved = [message["content"] for message in json.loads(path.read_text())["messages"]]
        assert saved[1::2] == ["One", "Two", "Four"]

    def test_conversation_of_the_option_goes_on_and_is_stored(self, either: Place) -> None:
        path = str(either.home / "talk.json")
        for text in ("One", "Two"):
            with either.chat("--conversation", path) as person:
                say(person, text)
                end(person)
        assert "You asked: One" in person.everything()
        texts = [message["content"] for message in either.chats[-1].messages]
        assert texts == ["How can I *help*?", "One", "You said: One"]

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("/nope", "there is no command /nope"),
            ("/save", "write /save FILE"),
            ("/load", "write /load FILE"),
            ("/undo it", "/undo takes no argument"),
            ("/load nowhere.json", "nowhere.json does not exist"),
            ("/save nowhere/a.json", "No such file or directory"),
            ("/file nowhere.txt", "nowhere.txt"),
        ],
    )
    def test_wrong_command_is_one_line_and_keeps_the_session(self, line: str, reason: str, either: Place) -> None:
        with either.chat(columns=200) as person:
            shown = say(person, line)
            assert (len(shown), reason in shown[0]) == (1, True), shown
            assert shown[0].startswith("chatgpt4online: ")
            assert say(person, "//nope") == ["You said: /nope"]
            end(person)

    def test_bot_changes_the_bot(self, either: Place) -> None:
        with either.chat() as person:
            assert [line.split()[0] for line in say(person, "/bot")] == ["support", "default"]
            say(person, "One")
            assert "Hi! How can I help you?" in say(person, "/bot default")
            say(person, "Two")
            note = "A new conversation with the bot elsewhere. The page does not show it."
            assert say(person, "/bot elsewhere") == [note]
            end(person)
        assert [chat.bot_id for chat in either.chats] == ["support", "default"]
        assert len(either.chats[-1].messages) == 1

    def test_file_goes_with_the_next_question_only(self, either: Place) -> None:
        (either.home / "a b.txt").write_text("Hello")
        with either.chat() as person:
            assert say(person, "/file ~/a b.txt") == ["With the next question: a b.txt"]
            say(person, "half")
            say(person, "One")
            say(person, "/retry")
            say(person, "Two")
            assert "no file" in " ".join(say(person, "/file"))
            end(person)
        assert [file.content for file in either.site.files] == [b"Hello"]
        assert [len(chat.file_ids) for chat in either.chats] == [1, 1, 1, 0]

    def test_quit_ends_the_chat(self, either: Place) -> None:
        with either.chat() as person:
            ready(person)
            person.type("/quit" + ENTER)
            assert person.wait() == 0


class TestBot:
    @pytest.mark.parametrize(
        ("options", "env", "bot"),
        [
            ([], {}, "support"),
            (["--bot", "default"], {}, "default"),
            (["--page", "/help"], {}, "support"),
            (["--page", "/help", "--bot", "default"], {}, "default"),
        ],
        ids=str,
    )
    def test_bot_is_found_on_the_page(self, options: list[str], env: dict[str, str], bot: str, place: Place) -> None:
        assert place.run(*options, prompt=b"Hi\n").returncode == 0
        assert place.chats[-1].bot_id == bot

    def test_environment_names_the_bot(self, place: Place) -> None:
        place.env |= {"CHATGPT4ONLINE_SITE": place.site.url, "CHATGPT4ONLINE_BOT": "default"}
        command = [*PROGRAM, "chat"]
        subprocess.run(command, input=b"Hi", env=place.env, check=True, stdout=subprocess.DEVNULL, timeout=SECONDS)
        assert place.chats[-1].bot_id == "default"

    def test_bot_that_the_page_does_not_have_is_an_error(self, place: Place) -> None:
        run = place.run("--page", "/help", "--bot", "other", prompt=b"Hi\n")
        assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
        assert "the page has no bot 'other', but support, default" in run.stderr

    @pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "401 Unauthorized"])
    def test_home_page_without_a_bot_is_no_error(self, status: str, place: Place) -> None:
        def answer(peer: Peer, request: Received) -> None:
            peer.send(streamed(*HELLO) if request.method == "POST" else response(b"<h1>Hi</h1>", status))

        with Server(serve_chats(answer)) as server:
            command = [*PROGRAM, "chat", "--site", server.url]
            run = subprocess.run(command, input=b"Hi", env=place.env, check=True, capture_output=True, timeout=SECONDS)
            assert server.requests[-1].json["botId"] == "default"
        assert (run.stdout, run.stderr) == (b"Hello\n", b"")


class TestPipes:
    def test_each_line_is_a_question_and_none_is_a_command(self, place: Place) -> None:
        run = place.run(prompt="/quit\n\n  Hé \u4f60 \n//x\n1".encode())
        assert (run.returncode, run.stderr) == (0, "")
        answers = ["You said: /quit", "You said: Hé \u4f60", "You said: //x", "You said: 1"]
        assert run.stdout == "\n\n".join(answers) + "\n"
        assert [len(chat.messages) for chat in place.chats] == [1, 3, 5, 7]
        assert list(place.home.iterdir()) == []

    def test_answers_are_plain_text_without_colours(self, place: Place) -> None:
        place.env |= {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
        run = place.run(prompt=b"cats\npicture\nonly a picture\nmenu\n")
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout.startswith(CATS)
        assert f"image: https://example.org/{'fox' * 20}.png\n" in run.stdout
        assert run.stdout.endswith("![Image](https://example.org/fox.png)\n\nWhat now?\n")

    def test_answer_is_written_before_the_next_line_is_read(self, place: Place) -> None:
        command = [*PROGRAM, "chat", "--site", place.site.url]
        with subprocess.Popen(command, env=place.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for text in (b"One\n", b"Two\n"):
                process.stdin.write(text)
                process.stdin.flush()
                lines = [process.stdout.readline() for _ in range(1 if text == b"One\n" else 2)]
                assert lines[-1] == b"You said: " + text
            process.stdin.close()
            assert process.wait(SECONDS) == 0

    def test_failed_question_is_one_line_and_the_others_are_asked(self, place: Place) -> None:
        run = place.run(prompt=b"half\n\xff\nnothing\naction\nHi\n")
        assert run.returncode == 1
        assert run.stdout.split() == ["Half", "of", "You", "said:", "Hi"]
        assert [line.partition(";")[0] for line in run.stderr.splitlines()] == [
            "chatgpt4online: The model is tired.",
            "chatgpt4online: line 2 of standard input is not UTF-8 text, and was not asked",
            "chatgpt4online: the answer has no text",
            "chatgpt4online: the answer has no text, but actions",
        ]

    def test_byte_order_mark_is_not_part_of_the_first_question(self, place: Place) -> None:
        assert place.run(prompt=b"\xef\xbb\xbfHi\n").stdout == "You said: Hi\n"

    def test_notices_are_on_stderr(self, place: Place) -> None:
        run = place.run("--notices", prompt=b"notices\n")
        assert (run.stdout, run.stderr) == ("Done.\n", "[thinking] Hm \ufffd[31m.\n")

    def test_empty_input_asks_nothing(self, place: Place) -> None:
        run = place.run()
        assert (run.returncode, run.stdout, run.stderr, place.chats) == (0, "", "", [])

    def test_ctrl_c_ends_the_program_quietly(self, place: Place) -> None:
        command = [*PROGRAM, "chat", "--site", place.site.url]
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with subprocess.Popen(command, env=place.env, **pipes) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdin.write(b"hang\n")
            process.stdin.flush()
            assert process.stdout.read(5) == b"First"
            process.send_signal(signal.SIGINT)
            assert (process.wait(SECONDS), process.stderr.read()) == (130, b"")

    def test_reader_that_closes_stdout_ends_the_program_quietly(self, place: Place) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        command = [*PROGRAM, "chat", "--site", place.site.url]
        run = subprocess.run(
            command, input=b"Hi\n", stdout=writer, stderr=subprocess.PIPE, env=place.env, timeout=SECONDS, check=False
        )
        os.close(writer)
        assert (run.returncode, run.stderr) == (141, b"")

    @pytest.mark.parametrize(
        ("redirection", "reason"),
        [
            ("<&-", "the questions cannot be read: standard input is closed"),
            (">&-", "the answer cannot be written: standard output is closed"),
        ],
    )
    def test_closed_stream_is_an_error(self, redirection: str, reason: str, place: Place) -> None:
        command = ["sh", "-c", f'"$@" {redirection}', "sh", *PROGRAM, "chat", "--site", place.site.url]
        run = subprocess.run(command, capture_output=True, env=place.env, timeout=SECONDS, check=False, text=True)
        assert (run.returncode, run.stderr) == (1, f"chatgpt4online: {reason}\n")

    def test_output_to_a_file_holds_only_answers(self, either: Place, tmp_path: Path) -> None:
        with (tmp_path / "out.txt").open("wb") as output, either.chat(stdout=output) as person:
            for text in ("One", "Two"):
                person.wait_until(lambda: (person.display() or [""])[-1] == ">", "a prompt")
                person.type(text + ENTER)
                person.wait_for(f"> {text}")
            person.type(CTRL_D)
            assert person.wait() == 0
        assert (tmp_path / "out.txt").read_text() == "You said: One\nYou said: Two\n"


class TestGuide:
    def test_session_of_the_guide_is_another_one(self, place: Place, tmp_path: Path) -> None:
        session = textwrap.dedent(GUIDE.read_text("utf-8").partition("same question::\n\n")[2].partition("\n\nEach")[0])
        command, *shown = session.splitlines()
        practice = runpy.run_path(str(ROOT / "examples" / "practice_site.py"))
        with serve_site(practice["answer"], bots=practice["BOTS"]) as site:
            arguments = shlex.split(command.replace("https://example.org", site.url))[2:]
            env = place.env | {"PYTHONPATH": str(ROOT)}
            with terminal([*PROGRAM, *arguments], env, 80, 60, cwd=tmp_path) as person:
                for number, line in enumerate(shown):
                    if line.startswith(("> ", ". ")):
                        before = [*shown[:number], line[0]]
                        person.wait_until(
                            lambda before=before: person.everything() == before, f"the prompt of {line!r}"
                        )
                        goes_on = shown[number + 1 : number + 2] and shown[number + 1].startswith(". ")
                        person.type(line[2:] + (ALT_ENTER if goes_on else ENTER))
                assert person.wait() == 0
            assert person.everything() == shown

    def test_examples_of_the_help_do_not_work(self, place: Place, tmp_path: Path) -> None:
        script = examples_of("chat")
        run = run_script(script.replace("https://example.org", place.site.url), tmp_path, {"HOME": str(place.home)})
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout == "You said: Hello\n\nYou said: And now?\n"
        assert script.count("chatgpt4online chat") == 4
        assert (tmp_path / "talk.json").exists()
