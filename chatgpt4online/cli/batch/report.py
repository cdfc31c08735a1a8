"""The results of a batch: each stored answer is compared with the expectations of its question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..streams import write
from ..tables import print_table
from .answers import Answers, Stored, Target
from .questions import Question

OK = "ok"
UNMET = "unmet"
FAILED = "failed"
NOT_ASKED = "not asked"
KINDS = (OK, UNMET, FAILED, NOT_ASKED)
WHAT = "the summary"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a question: one of ``KINDS``. ``reasons`` are the unmet expectations, or the error."""

    id: str
    kind: str
    reasons: tuple[str, ...] = ()
    stored: Stored | None = None


def results_of(questions: Iterable[Question], answers: Answers, target: Target) -> list[Result]:
    """Return the result of each question, in their order."""
    return [_result(question, answers.of(question, target)) for question in questions]


def _result(question: Question, stored: Stored | None) -> Result:
    if stored is None:
        return Result(question.id, NOT_ASKED, ("it was not asked",))
    if not stored.is_answered:
        return Result(question.id, FAILED, (stored.reason,), stored)
    unmet = question.expect.unmet(stored.text, stored.seconds)
    return Result(question.id, UNMET if unmet else OK, tuple(unmet), stored)


def print_report(results: Sequence[Result]) -> None:
    """Print a row for each reason, and then the numbers of all results."""
    rows = [(result.id, result.kind, " ".join(reason.split())) for result in results for reason in result.reasons]
    if rows:
        print_table(("question", "result", "reason"), rows, WHAT)
        write("\n", WHAT)
    numbers = Counter(result.kind for result in results)
    counts = tuple(str(numbers[kind]) for kind in KINDS)
    print_table(("questions", *KINDS), [(str(len(results)), *counts)], WHAT)
