"""The questions of a batch: the lines of a file are read and checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ... import InvalidInput, Submission
from .expectations import Expectations, read_expectations
from .lines import read_object, refuse_other_names, shown

NAMES = ("id", "prompt", "messages", "expect")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some editors on Windows begin a file with it
_FINGERPRINT = 16  # hexadecimal digits: enough to notice a change, and short enough for each line of answers


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a batch. ``line`` is its line in the file, and ``prompt`` is a text or a list of messages."""

    line: int
    id: str
    prompt: str | list[dict[str, Any]]
    expect: Expectations

    @property
    def fingerprint(self) -> str:
        """A short text that changes when the prompt changes."""
        written = json.dumps(self.prompt, sort_keys=True)
        return hashlib.sha256(written.encode()).hexdigest()[:_FINGERPRINT]


def read_questions(data: bytes) -> tuple[list[Question], list[str]]:
    """Return the questions in the lines of a file, and a sentence for each line that holds none. Blank lines may be."""
    questions: dict[str, Question] = {}
    problems = []
    for number, line in enumerate(data.removeprefix(_BYTE_ORDER_MARK).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            question = _read(number, line.strip())
            if (other := questions.setdefault(question.id, question)) is not question:
                raise InvalidInput(f'"id" is {shown(question.id)}, which line {other.line} has too')
        except InvalidInput as error:
            problems.append(f"line {number}: {error}")
    if not (questions or problems):
        problems.append("it has no question")
    return list(questions.values()), problems


def refused(questions: Iterable[Question], check: Callable[[Any], object]) -> list[str]:
    """Return a sentence for each question that ``check`` refuses. It gets a prompt, and raises InvalidInput."""
    problems = []
    for question in questions:
        try:
            check(question.prompt)
        except InvalidInput as error:
            problems.append(f"line {question.line}: {error}")
    return problems


def _read(number: int, line: bytes) -> Question:
    fields = read_object(line)
    refuse_other_names(fields, NAMES)
    if "id" not in fields:
        raise InvalidInput('"id" is missing: each question has one of its own')
    name = fields["id"]
    if not isinstance(name, str) or not name.strip():
        raise InvalidInput(f'"id" is a string that is not empty, not {shown(name)}')
    return Question(number, name, _prompt(fields), read_expectations(fields.get("expect", {})))


def _prompt(fields: dict[str, Any]) -> str | list[dict[str, Any]]:
    """Return the text or the messages of a question. Raises InvalidInput for a text that no site accepts."""
    if ("prompt" in fields) == ("messages" in fields):
        raise InvalidInput('it has both "prompt" and "messages"' if "prompt" in fields else '"prompt" is missing')
    if "messages" in fields:
        messages = fields["messages"]
        if not isinstance(messages, list) or not messages:
            raise InvalidInput(f'"messages" is a list of messages, not {shown(messages) if messages else "empty"}')
        return messages
    prompt = fields["prompt"]
    if not isinstance(prompt, str):
        raise InvalidInput(f'"prompt" is a string, not {shown(prompt)}')
    Submission(prompt)
    return prompt
