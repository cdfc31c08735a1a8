"""Markdown on a terminal: nothing is lost, whatever the pieces are, and nothing controls the terminal."""

import io
import re
import unicodedata
from collections import Counter

import pyte
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console, ConsoleDimensions

from chatgpt4online.cli.chat import markdown, rich_screen

LINES = [
    "# A title",
    "Some **bold** words, `code` and more of them",
    "so that *a line* is long enough to be wrapped in a terminal with few columns",
    "- one",
    "- two",
    "  more of two",
    "1. first",
    "10. tenth",
    "> quoted",
    "```python",
    "x = [1, 2]",
    "```",
    "| a | b |",
    "|---|---|",
    "| cell | another cell |",
    "---",
    "    indented",
    "[1]: https://example.org/reference",
    "<div>html</div>",
    "![picture](https://example.org/a.png) and [link](https://example.org/b)",
    "-5 degrees",
    "",
    "",
]
AGAIN = rich_screen._AGAIN
SEQUENCE = re.compile(r"\x1b\[[0-9;]*m|\r?\x1b\[2K|\x1b\[1A")  # colours, and what erases drawn lines
TEXTS = st.lists(st.sampled_from(LINES), max_size=40).map("\n".join)


def show(pieces: list[str], columns: int = 60, lines: int = 200) -> list[str]:
    """Return the lines of a terminal that shows an answer in these pieces."""
    sent = io.StringIO()
    screen = pyte.HistoryScreen(columns, lines, history=5_000, ratio=0.5)
    answer = rich_screen._RichAnswer(Console(file=sent, force_terminal=True, width=columns, height=lines))
    for piece in pieces:
        answer._next = 0.0  # each piece is drawn at once
        answer.add(piece)
        assert len(screen.display) == lines
    answer.end()
    pyte.Stream(screen).feed(sent.getvalue().replace("\n", "\r\n"))
    above = ["".join(line[column].data for column in range(columns)) for line in screen.history.top]
    shown = [line.rstrip() for line in (*above, *screen.display)]
    while shown and not shown[-1]:
        shown.pop()
    return shown


class TestPieces:
    @settings(deadline=None, max_examples=30)
    @given(TEXTS, st.integers(1, 50))
    @example("- a\n- b\n\n1. c\n", 1)
    @example("1. a\n-5 degrees\n", 1)
    def test_cuts_change_what_is_shown(self, text: str, size: int) -> None:
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        assert show(pieces) == show([text])

    @settings(deadline=None, max_examples=30)
    @given(TEXTS, st.integers(1, 50))
    def test_words_are_lost_on_a_small_screen(self, text: str, size: int) -> None:
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        whole, small = words(show([text])), words(show(pieces, lines=5))
        assert not Counter(whole) - Counter(small)
        assert small == whole or AGAIN in small

    def test_table_that_grows_wider_is_lost(self) -> None:
        rows = [f"| {'x' * width} | row {width} |\n" for width in range(1, 30)]
        shown = show(["| a | b |\n|---|---|\n", *rows], lines=8)
        assert [line.split()[-1] for line in shown[-29:]] == [str(width) for width in range(1, 30)]

    def test_new_width_of_the_terminal_loses_lines(self) -> None:
        console = Console(file=io.StringIO(), force_terminal=True, width=40, height=6)
        answer = rich_screen._RichAnswer(console)
        numbers = [f"word{number}" for number in range(200)]
        for number, word in enumerate(numbers):
            console.size = ConsoleDimensions(40 if number < 100 else 30, 6)
            answer._next = 0.0
            answer.add(f"{word} ")
        answer.end()
        shown = console.file.getvalue().rpartition(AGAIN)[2]
        assert re.findall(r"word\d+", shown) == numbers

    @pytest.mark.parametrize("fence", ["", "```"])
    def test_block_that_is_too_long_loses_text_or_is_drawn_for_minutes(self, fence: str) -> None:
        numbers = [f"word{number}" for number in range(20_000)]
        text = "\n".join([fence, *numbers, fence])
        answer = rich_screen._RichAnswer(
            console := Console(file=io.StringIO(), force_terminal=True, width=40, height=6)
        )
        for start in range(0, len(text), 4_000):
            answer._next = 0.0
            answer.add(text[start : start + 4_000])
            assert len(answer._text.rest().source) < 10_100
        answer.end()
        shown = SEQUENCE.sub("", console.file.getvalue())
        assert set(numbers) <= set(shown.split())
        assert "```" not in shown


class TestStrangeText:
    @settings(deadline=None, max_examples=100)
    @given(st.text("#*_`|->[]()!<&;~\\\n \t1ax\x00\x1b\x9b\x07\r\u202e\ud83d字", max_size=80), st.integers(1, 20))
    @example("&#27;[2J &#13; &#x9b;31m &#12; &#8;", 40)
    @example("[x](javascript:alert(1)) [y](https://example.org/\x1b) <https://example.org>", 60)
    @example("> > > > > > > > > > deep", 3)
    def test_text_controls_the_terminal_or_raises(self, text: str, columns: int) -> None:
        sent = io.TextIOWrapper(raw := io.BytesIO(), "utf-8", errors="replace", newline="")
        answer = rich_screen._RichAnswer(Console(file=sent, force_terminal=True, width=columns, height=10))
        answer.add(text)
        answer.notice(text)
        answer.end()
        sent.flush()
        rest = SEQUENCE.sub("", raw.getvalue().decode())
        assert not [character for character in rest if unicodedata.category(character) == "Cc" and character != "\n"]

    def test_fault_of_rich_hides_the_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise AssertionError

        monkeypatch.setattr(markdown, "Markdown", fail)
        assert show(["Some **bold** text\n"]) == ["Some **bold** text"]

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("![a fox](https://example.org/a.png)", "a fox (https://example.org/a.png)"),
            ("[a](https://example.org/?q=1)", "a (https://example.org/?q=1)"),
            ("<https://example.org>", "<https://example.org>"),
            ("[1]: https://example.org", "[1]: https://example.org"),
            ("<p>Hi</p>", "<p>Hi</p>"),
            ("a<br>b", "a<br>b"),
            ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ],
    )
    def test_text_or_address_is_left_out(self, text: str, shown: str) -> None:
        assert show([text]) == [shown]


def words(lines: list[str]) -> list[str]:
    return re.findall(rf"\w+|{re.escape(AGAIN)}", " ".join(lines))
