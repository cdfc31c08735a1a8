"""The lines of questions and their expectations, without any I/O."""

import json
import warnings
from typing import Any

import pytest

from chatgpt4online import InvalidInput
from chatgpt4online.cli.batch.expectations import Expectations, read_expectations
from chatgpt4online.cli.batch.questions import Question, read_questions, refused


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def question(**more: object) -> dict[str, Any]:
    return {"id": "a", "prompt": "Hi"} | more


MESSAGES = [{"role": "user", "content": "Hi"}]
MALFORMED = {
    # a line, and a part of the sentence about it
    "no JSON": (b"hello", "it is not JSON: Expecting value at character 1"),
    "a cut line": (b'{"id": "a", "prompt": "H', "it is not JSON: Unterminated string starting at at character 23"),
    "two objects": (b"{} {}", "it is not JSON: Extra data at character 4"),
    "single quotes": (b"{'id': 'a'}", "it is not JSON: Expecting property name"),
    "a list": (b"[]", "it is a list, and not an object"),
    "a number": (b"5", "it is a number: 5, and not an object"),
    "a wrong byte": (b'{"id": "\xff"}', "it is not UTF-8 text: byte 9 is 0xff"),
    "UTF-16": ('{"id": "a"}'.encode("utf-16"), "it is not UTF-8 text: byte 1 is 0xff"),
    "NaN": (b'{"id": NaN}', "it is not JSON: NaN is not a number"),
    "a number of 5,000 digits": (b'{"id": ' + b"1" * 5_000 + b"}", "it cannot be read: "),
    "100,000 levels": (b"[" * 100_000, "it is nested too deeply"),
    "a name twice": (b'{"id": "a", "prompt": "x", "prompt": "y"}', 'it has "prompt" twice'),
    "a name twice in expect": (b'{"id": "a", "prompt": "x", "expect": {"regex": "x", "regex": "y"}}', '"regex" twice'),
    "another name": (
        lines(question(promt="x")),
        '"promt" is not one of id, prompt, messages, expect',
    ),
    "no id": (lines({"prompt": "x"}), '"id" is missing'),
    "a number as id": (lines(question(id=5)), '"id" is a string that is not empty, not a number: 5'),
    "true as id": (lines(question(id=True)), "not true or false: true"),
    "null as id": (lines(question(id=None)), "not null"),
    "an empty id": (lines(question(id="")), '"id" is a string that is not empty, not a string: ""'),
    "a blank id": (lines(question(id=" ")), '"id" is a string that is not empty'),
    "no prompt": (lines({"id": "a"}), '"prompt" is missing'),
    "prompt and messages": (lines(question(messages=MESSAGES)), 'it has both "prompt" and "messages"'),
    "a list as prompt": (lines(question(prompt=["Hi"])), '"prompt" is a string, not a list'),
    "an empty prompt": (lines(question(prompt=" ")), "the message is empty"),
    "half a character": (b'{"id": "a", "prompt": "\\ud83d"}', "half a character"),
    "a text as messages": (
        lines({"id": "a", "messages": "Hi"}),
        '"messages" is a list of messages, not a string: "Hi"',
    ),
    "no messages": (lines({"id": "a", "messages": []}), '"messages" is a list of messages, not empty'),
    "expect as a text": (
        lines(question(expect="Hi")),
        '"expect" is an object such as {"contains": "Monday"}, not a str',
    ),
    "another expectation": (lines(question(expect={"contain": "Hi"})), 'in "expect", "contain" is not one'),
    "a number in contains": (lines(question(expect={"contains": ["a", 5]})), '"contains" is a string or a list of str'),
    "an empty text": (lines(question(expect={"not_contains": ""})), '"not_contains" has an empty string, which every'),
    "an empty text in a list": (lines(question(expect={"contains": ["a", ""]})), '"contains" has an empty string'),
    "null in contains": (
        lines(question(expect={"contains": None})),
        '"contains" is a string or a list of strings, n',
    ),
    "a pattern that cannot be read": (
        lines(question(expect={"regex": "("})),
        '"regex" has a pattern that Python',
    ),
    "no seconds": (lines(question(expect={"max_seconds": 0})), '"max_seconds" is a number above 0, not a number: 0'),
    "seconds as a text": (lines(question(expect={"max_seconds": "5"})), '"max_seconds" is a number above 0, not a str'),
    "true seconds": (lines(question(expect={"max_seconds": True})), '"max_seconds" is a number above 0'),
    "endless seconds": (b'{"id": "a", "prompt": "x", "expect": {"max_seconds": 1e999}}', '"max_seconds" is a number'),
    "half a character as size": (lines(question(expect={"min_chars": 0.5})), '"min_chars" is a whole number above 0'),
    "null as size": (lines(question(expect={"min_chars": None})), '"min_chars" is a whole number above 0, not null'),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_line_is_reported_with_its_number(name: str) -> None:
    line, reason = MALFORMED[name]
    good = lines(question(id="first"))
    questions, problems = read_questions(good + b"\n" + line.removesuffix(b"\n") + b"\n" + lines(question(id="last")))
    if name != "UTF-16":  # it holds line ends of its own
        assert [found.id for found in questions] == ["first", "last"]
        assert len(problems) == 1
    assert problems[0].startswith("line 3: ")
    assert reason in problems[0]
    assert "\n" not in problems[0]
    assert len(problems[0]) < 250


def test_pattern_that_python_warns_about_is_accepted() -> None:
    data = b'{"id": "a", "prompt": "b", "expect": {"regex": "[[a]"}}'
    with warnings.catch_warnings(action="error"):
        assert read_questions(data)[1] == []


def test_every_malformed_line_is_reported() -> None:
    _, problems = read_questions(b"x\n" + lines(question()) + b"y\n" + lines(question()))
    assert [problem.partition(":")[0] for problem in problems] == ["line 1", "line 3", "line 4"]
    assert problems[-1] == 'line 4: "id" is a string: "a", which line 2 has too'


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\n", b"\xef\xbb\xbf"])
def test_file_without_a_question_is_reported(data: bytes) -> None:
    assert read_questions(data) == ([], ["it has no question"])


@pytest.mark.parametrize(
    "data",
    [
        b'{"id": "a", "prompt": "Hi"}',
        b'\xef\xbb\xbf{"id": "a", "prompt": "Hi"}\r\n',
        b'\n\n  {"prompt": "Hi", "id": "a", "expect": {}}\n',
        '{"id": "a", "prompt": "Hi\u2028"}\n'.encode(),
    ],
    ids=["no line end", "a byte order mark and CR LF", "blank lines", "a line separator in a text"],
)
def test_line_is_read_however_an_editor_writes_it(data: bytes) -> None:
    questions, problems = read_questions(data)
    assert problems == []
    assert [(found.id, str(found.prompt).strip(), found.expect) for found in questions] == [("a", "Hi", Expectations())]


def test_messages_are_the_prompt() -> None:
    questions, _ = read_questions(lines({"id": "a", "messages": MESSAGES}))
    assert questions[0].prompt == MESSAGES


def test_refused_prompt_is_reported_with_its_line() -> None:
    def check(prompt: Any) -> None:
        if prompt == "No":
            raise InvalidInput("it is too long")

    questions, _ = read_questions(lines(question(), question(id="b", prompt="No")))
    assert refused(questions, check) == ["line 2: it is too long"]


class TestFingerprint:
    def _of(self, **fields: Any) -> str:
        return read_questions(lines({"id": "a"} | fields))[0][0].fingerprint

    def test_only_another_prompt_changes_it(self) -> None:
        messages = [{"role": "user", "content": "Hi"}]
        turned = [{"content": "Hi", "role": "user"}]
        assert self._of(prompt="Hi") == self._of(prompt="Hi", expect={"contains": "x"})
        assert self._of(messages=messages) == self._of(messages=turned)
        assert len({self._of(prompt="Hi"), self._of(prompt="Hi "), self._of(messages=messages)}) == 3

    def test_fingerprint_stays_the_same_in_later_releases(self) -> None:
        """Otherwise an answers file of an earlier release could not be continued."""
        assert Question(1, "a", "Hello", Expectations()).fingerprint == "c25bf945aaff8fe1"


CHECKS = {
    # expectations, text, seconds, the sentences about unmet expectations
    "nothing": ({}, "", 0, []),
    "a text": ({"contains": "Mon"}, "Monday", 0, []),
    "another case": ({"contains": "mon"}, "Monday", 0, ["contains: 'mon' is not in the answer"]),
    "two of three texts": (
        {"contains": ["a", "b", "c"]},
        "b",
        0,
        ["contains: 'a' is not in the answer", "contains: 'c' is not in the answer"],
    ),
    "an unwanted text": ({"not_contains": "sorry"}, "So sorry!", 0, ["not_contains: 'sorry' is in the answer"]),
    "two unwanted texts": ({"not_contains": ["a", "b"]}, "c", 0, []),
    "a pattern": ({"regex": "(?i)mon.*fri"}, "From Monday to Friday", 0, []),
    "a pattern over lines": ({"regex": "a.b"}, "a\nb", 0, ["regex: 'a.b' is not in the answer"]),
    "two patterns": ({"regex": ["^a$", r"\d"]}, "a", 0, [r"regex: '\\d' is not in the answer"]),
    "just in time": ({"max_seconds": 1.5}, "", 1.5, []),
    "late": ({"max_seconds": 1.5}, "", 1.501, ["max_seconds: the answer took 1.501 s, more than 1.5"]),
    "long enough": ({"min_chars": 3}, "äöü", 0, []),
    "too short": ({"min_chars": 4}, "äöü", 0, ["min_chars: the answer has 3 characters, fewer than 4"]),
    "all at once": (
        {"contains": "a", "not_contains": "b", "regex": "c", "max_seconds": 1, "min_chars": 2},
        "b",
        2,
        [
            "contains: 'a' is not in the answer",
            "not_contains: 'b' is in the answer",
            "regex: 'c' is not in the answer",
            "max_seconds: the answer took 2.000 s, more than 1",
            "min_chars: the answer has 1 characters, fewer than 2",
        ],
    ),
}


@pytest.mark.parametrize("name", CHECKS)
def test_every_unmet_expectation_is_named(name: str) -> None:
    expect, text, seconds, unmet = CHECKS[name]
    assert read_expectations(expect).unmet(text, seconds) == unmet
