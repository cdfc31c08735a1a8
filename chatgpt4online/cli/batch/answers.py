"""The answers of a batch: a line of JSON for each. The lines of earlier runs are read, and compared with the questions.

docs/guides/batch.rst describes the fields of a line.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ... import ChatError, Failed, InvalidInput, Reply, TimedOut
from ..connection import as_option
from .lines import read_object
from .questions import Question

ANSWERED = "answered"
FAILED = "failed"
CHANGED = "has changed"  # of a prompt
_BEGINNING = b'{"id": "'  # of each line
_NO_TEXT = (
    "the answer has no text; usually the model failed on the site's side, and the site's owner finds the reason in the "
    "logs of AI Engine"
)


@dataclass(frozen=True, slots=True)
class Target:
    """The site and the bot that a batch asks. Both are stored with each answer."""

    site: str
    bot: str


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer in the file, or a failure. ``reason`` is the text of its error, and ``""`` for an answer."""

    id: str
    is_answered: bool
    fingerprint: str
    target: Target
    text: str
    seconds: float
    reason: str
    error: str

    def differs_from(self, question: Question, target: Target) -> str:
        """Return what is different from a question to a target, or ``""``."""
        if self.target.site != target.site:
            return f"has an answer of the site {self.target.site}, not of {target.site}"
        if self.target.bot != target.bot:
            return f"has an answer of the bot {self.target.bot!r}, not of {target.bot!r}"
        return "" if self.fingerprint == question.fingerprint else CHANGED


@dataclass(slots=True)
class Answers:
    """The answers in a file, by the id of their question.

    ``size`` is the number of bytes that hold whole answers. A killed process may leave a part of a line behind them.
    ``lacks_line_end`` is true if only the end of the last line is missing.
    """

    by_id: dict[str, Stored] = field(default_factory=dict)
    size: int = 0
    lacks_line_end: bool = False

    def add(self, stored: Stored) -> None:
        """Add an answer, or a failure. A failure does not replace an answer."""
        earlier = self.by_id.get(stored.id)
        if stored.is_answered or earlier is None or not earlier.is_answered:
            self.by_id[stored.id] = stored

    def of(self, question: Question, target: Target) -> Stored | None:
        """Return the answer to a question, or its last failure, or None."""
        stored = self.by_id.get(question.id)
        return None if stored is None or stored.differs_from(question, target) else stored

    def left(self, questions: Iterable[Question], target: Target) -> list[Question]:
        """Return the questions without an answer."""
        found = ((question, self.of(question, target)) for question in questions)
        return [question for question, stored in found if stored is None or not stored.is_answered]

    def conflicts(self, questions: Iterable[Question], target: Target) -> list[str]:
        """Return a sentence for each question whose id has the answer to another question."""
        found = []
        for question in questions:
            stored = self.by_id.get(question.id)
            if stored is not None and stored.is_answered and (difference := stored.differs_from(question, target)):
                found.append((question, difference))
        numbers = Counter(difference for _, difference in found if difference != CHANGED)
        problems = []
        for question, difference in found:
            line = f"line {question.line}: {question.id!r} {difference}"
            if difference == CHANGED or numbers[difference] == 1:
                problems.append(f"{line}; use a new id or a new -o file")
            elif others := numbers.pop(difference, 0):
                problems.append(f"{line}, and {others - 1} more like it; use a new -o file")
        return problems


def read_answers(data: bytes) -> Answers:
    """Return the answers in the bytes of a file, which may end within a line.

    Raises InvalidInput for bytes that ``batch`` does not write, so that no other file is cut.
    """
    answers = Answers()
    *lines, last = data.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            answers.add(_stored(line, number))
    answers.size = len(data) - len(last)
    if not last.strip():
        return answers
    try:
        read_object(last)
    except InvalidInput:
        if not (last.startswith(_BEGINNING) or _BEGINNING.startswith(last)):
            raise InvalidInput("its last line was not written by this command") from None
        return answers
    answers.add(_stored(last, len(lines) + 1))
    answers.size, answers.lacks_line_end = len(data), True
    return answers


def answer_record(
    question: Question, target: Target, reply: Reply, seconds: float, first_piece: float | None
) -> dict[str, Any]:
    """Return the line of an answer. An answer without any content is a failure."""
    if not (reply.text.strip() or reply.images or reply.actions or reply.shortcuts or reply.blocks):
        error = {"type": "failed", "error": "NoText", "message": _NO_TEXT, "partial_text": ""}
        return _record(question, target, FAILED, reply.text, seconds, first_piece, reply=reply.to_dict(), error=error)
    return _record(question, target, ANSWERED, reply.text, seconds, first_piece, reply=reply.to_dict())


def failure_record(
    question: Question, target: Target, failure: ChatError, seconds: float, first_piece: float | None
) -> dict[str, Any]:
    """Return the line of a question that failed."""
    error = Failed(failure).to_dict()
    if isinstance(failure, TimedOut):
        error["message"] = as_option(error["message"], failure.clock)
    return _record(question, target, FAILED, failure.partial_text, seconds, first_piece, error=error)


def to_line(record: dict[str, Any]) -> bytes:
    """Return the line of a record, with its end."""
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def stored_of(record: dict[str, Any]) -> Stored:
    """Return the part of a line that later runs need. Raises KeyError, TypeError or ValueError for another line."""
    status, text, seconds = record["status"], record["text"], record["seconds"]
    error = record["error"] or {"error": "", "message": ""}
    if status not in (ANSWERED, FAILED) or type(seconds) not in (int, float):
        raise ValueError(status)
    texts = record["id"], record["question"], record["site"], record["bot"], text, error["error"], error["message"]
    if not all(isinstance(value, str) for value in texts):
        raise TypeError(texts)
    target = Target(record["site"], record["bot"])
    is_answered = status == ANSWERED
    return Stored(
        record["id"], is_answered, record["question"], target, text, seconds, error["message"], error["error"]
    )


def _stored(line: bytes, number: int) -> Stored:
    try:
        return stored_of(read_object(line))
    except (InvalidInput, KeyError, TypeError, ValueError):
        raise InvalidInput(f"line {number} was not written by this command") from None


def _record(
    question: Question,
    target: Target,
    status: str,
    text: str,
    seconds: float,
    first_piece: float | None,
    *,
    reply: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "id": question.id,  # the first, see _BEGINNING
        "status": status,
        "text": text,
        "seconds": round(seconds, 3),
        "first_piece_seconds": None if first_piece is None else round(first_piece, 3),
        "error": error,
        "reply": reply,
        "site": target.site,
        "bot": target.bot,
        "question": question.fingerprint,
    }
