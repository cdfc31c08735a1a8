"""The word list: it finds each hard wording with its place, and accepts plain text."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from .. import words

BAD = {
    "What is no event is skipped.": "What is no event is skipped.",
    "The parser is lazy. What is left waits.": "What is left waits.",
    "What fails is in policies.py or in a table.": "What fails is in policies.py or in a table.",
    "It reads any body, whatever it is": "whatever it is",
    "the nonce goes to who logs in": "to who logs",
    "the answer for who asks": "who asks",
    "a request of whose answer a part arrived": "of whose",
    "events that are none": "that are none",
    "such a body is no stream": "is no stream",
    "it is no error that urllib3 knows": "it is no error that urllib3 knows",
    "nothing but paths": "nothing but",
    "every header but that of the host": "but that",
    "a list with it alone": "it alone",
    "the connection is let go of": "let go of",
    "the search comes to nothing": "comes to nothing",
    "the client went away": "went away",
    "the bytes that have come": "have come",
    "the answer stood still": "stood still",
    "the site's last words": "last words",
    "an answer without a word": "without a word",
    "put down the headers": "put down",
    "the text is handed over": "handed over",
    "write the table anew": "anew",
    "an object amid a line": "amid",
    "a retry in vain": "in vain",
    "it does not speak TLS": "speak",
    "the response is judged": "judged",
    "when the call is settled": "settled",
    "the type is told": "is told",
    "tell a limit from a failure": "tell a limit from a",
    "PHP died": "died",
    "half of a surrogate pair": "half of a surrogate",
}

GOOD = [
    "A message that cannot be sent raises InvalidInput.",
    "What does the site answer?",
    "There is no event in the body.",
    "a caller who has the body already",
    "The value is None. That is None too.",
    "It knows what a nonce is.",
    "The name is one word. Another sentence.",
    "Raises ValueError if the text is not JSON.",
    "the rest of the body",
]


def found(text: str) -> list[str]:
    return [match for _, match, _ in words.find_phrases(text)]


@pytest.mark.parametrize("text", BAD)
def test_each_hard_wording_is_found(text: str) -> None:
    assert BAD[text] in found(text)


def test_every_phrase_of_the_list_has_an_example() -> None:
    for pattern in words.PHRASES:
        assert any(re.search(pattern, text, re.IGNORECASE) for text in BAD), pattern


@pytest.mark.parametrize("text", GOOD)
def test_plain_text_is_accepted(text: str) -> None:
    assert found(text) == []


def test_phrase_is_found_across_a_line_break_with_its_position() -> None:
    text = "First line.\n\n    The bytes that have\n    come are kept."
    ((position, match, _),) = words.find_phrases(text)
    assert match == "have come"
    assert text[position:].startswith("have\n")


def test_phrase_is_not_found_across_paragraphs() -> None:
    assert found("the bytes that have\n\ncome here") == []


def test_heading_that_begins_with_a_question_word_is_accepted() -> None:
    assert found("What the client sends\n---------------------\n\nThe client sends a nonce.") == []


@pytest.mark.parametrize(
    ("name", "is_bad"),
    [
        ("test_what_is_no_file", True),
        ("test_its_session", True),
        ("test_none_of_them_fails", True),
        ("test_words", True),
        ("test_the_limit", True),
        ("test_multipart_rejects_text_file_object", False),
        ("test_socks_proxy_raises", False),
        ("what_is_this", False),
    ],
)
def test_names_of_tests_are_checked(name: str, is_bad: bool) -> None:
    assert bool(list(words.find_names(ast.parse(f"def {name}(): pass")))) is is_bad


SOURCE = '''"""The bytes that had come."""

# The client
# went away.
message = f"the answer of {1} stood still"


def test_nothing(x=1):  # written anew
    # What follows is a plain docstring.
    "A plain docstring."
'''


def test_each_part_of_a_python_file_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(SOURCE)
    assert sorted((finding.line, finding.text) for finding in words.check(path)) == [
        (1, "had come"),
        (4, "went away"),
        (5, "stood still"),
        (8, "anew"),
        (8, "test_nothing"),
        (9, "What follows is a plain docstring."),
    ]


def test_findings_are_printed_and_give_exit_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page.rst").write_text("Title\n=====\n\nThe table is written\nanew.\n")
    (tmp_path / "other.txt").write_text("anew")
    assert words.main([str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"{tmp_path}/page.rst:5: 'anew': write 'again' or 'new'\n"


def test_exit_status_is_0_without_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page.rst").write_text("The table is written again.\n")
    assert words.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""


def test_all_folders_are_read_without_a_path() -> None:
    names = {path.relative_to(words.ROOT).parts[0] for path in words.files([])}
    assert names >= {"chatgpt4online", "tests", "benchmarks", "examples", "docs", "README.rst"}


def test_files_that_quote_such_wordings_exist() -> None:
    assert all((words.ROOT / name).is_file() for name in words._QUOTING)
