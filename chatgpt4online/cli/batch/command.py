"""``batch``: its arguments, its help, and its parts in their order."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from ... import ChatError, InvalidInput, LocalError
from ..command import FAILED, WRONG_CALL, Command, Parser, count, fail, names_files
from ..connection import ENVIRONMENT, add_connection, add_site, check_words, reason, served_demo, site_and_bot
from ..files import check_place, replaced
from ..streams import Failure, open_output, prepared
from .answers import Target
from .junit import junit_xml
from .questions import Question, read_questions
from .report import NOT_ASKED, OK, WHAT, Result, print_report, results_of
from .store import AnswerFile, open_answers

_STDIN = "-"
_RESULTS = "the results"
_CONCURRENCY = 2  # questions at a time: a small site has few PHP processes, and each answer occupies one
_MOST_PROBLEMS = 20  # lines; more would hide the first ones


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``batch``."""
    questions = parser.add_argument(
        "questions", metavar="QUESTIONS.jsonl", help="the questions; - reads them from standard input"
    )
    output = parser.add_argument(
        "-o",
        "--output",
        metavar="ANSWERS.jsonl",
        required=True,
        help="the file of answers; a run continues the file of an earlier run",
    )
    add_site(parser)
    group = parser.add_argument_group("the questions")
    group.add_argument("--bot", metavar="ID", help="the chatbot's id (default: CHATGPT4ONLINE_BOT, or else default)")
    group.add_argument("--page", metavar="ADDRESS", help="take the bot from this page of the site, with its limits")
    group.add_argument(
        "--concurrency",
        type=count,
        default=_CONCURRENCY,
        metavar="N",
        help=f"ask so many questions at a time (default: {_CONCURRENCY})",
    )
    group.add_argument(
        "--rate", type=count, metavar="N", help="send at most so many questions a minute (default: no limit)"
    )
    junit = group.add_argument("--junit", metavar="FILE", help="write the results as XML for continuous integration")
    names_files(questions, output, junit)
    add_connection(parser)


def _check(parser: Parser, options: argparse.Namespace, rest: list[str]) -> None:
    check_words(parser, options, rest)
    paths = {"QUESTIONS.jsonl": options.questions, "-o": options.output, "--junit": options.junit}
    named = [(name, os.path.realpath(path)) for name, path in paths.items() if path not in (None, _STDIN)]
    for (first, path), (second, other) in combinations(named, 2):
        if path == other or _is_same(path, other):
            raise InvalidInput(f"{first} and {second} name the same file, which would be replaced: {path}")


def _is_same(path: str, other: str) -> bool:
    """Return whether two paths lead to one regular file, also by a hard link."""
    return os.path.isfile(path) and os.path.isfile(other) and os.path.samefile(path, other)


def run(options: argparse.Namespace) -> int:
    """Ask the questions that have no answer, and compare all answers with their expectations."""
    open_output(WHAT)  # before a question is sent, which costs the site's owner money
    if options.junit is not None:
        check_place(options.junit, _RESULTS)
    questions, problems = read_questions(_read(options.questions))
    if problems:
        return _refuse(options.questions, problems)
    target = Target(*site_and_bot(options))
    with open_answers(options.output) as file, served_demo(options):
        from .session import run_batch  # noqa: PLC0415  # it imports asyncio, which --help does not need

        try:
            ended = run_batch(options, target, questions, file)
        except ChatError as error:
            if options.junit is not None and not isinstance(error, LocalError):
                _write_junit(options, results_of(questions, file.answers, target), reason(error))
            raise
        if ended.problems:
            return _refuse(options.questions, ended.problems)
        if ended.interrupted:
            fail(f"interrupted: {_left(questions, file, ended.target)}", FAILED)
            raise KeyboardInterrupt
        results = results_of(questions, file.answers, ended.target)
        if options.junit is not None:
            _write_junit(options, results, ended.stopped)
        print_report(results)
        if ended.stopped:
            return fail(f"stopped: {_left(questions, file, ended.target)}: {ended.stopped}", FAILED)
        return 0 if all(result.kind == OK for result in results) else FAILED


def _read(path: str) -> bytes:
    """Return the bytes of the questions. Raises InvalidInput for a file that cannot be read."""
    if path != _STDIN:
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise InvalidInput(f"{path} cannot be read: {error.strerror or error}") from None
    if sys.stdin is None:
        raise Failure("the questions cannot be read: standard input is closed")
    try:
        with prepared(sys.stdin):
            return sys.stdin.buffer.read()
    except OSError as error:
        raise Failure(f"the questions cannot be read: {error.strerror or error}") from error


def _refuse(path: str, problems: Sequence[str]) -> int:
    """Write the problems of the questions, each in a line, and return the exit status."""
    name = "standard input" if path == _STDIN else path
    for problem in problems[:_MOST_PROBLEMS]:
        fail(f"{name}{', ' if problem.startswith('line ') else ': '}{problem}", WRONG_CALL)
    if len(problems) > _MOST_PROBLEMS:
        fail(f"{name} has {len(problems) - _MOST_PROBLEMS} more such lines", WRONG_CALL)
    return WRONG_CALL


def _left(questions: list[Question], file: AnswerFile, target: Target) -> str:
    """Return how many questions have an answer, and how to continue."""
    left = len(file.answers.left(questions, target))
    others = ", and the same command asks the others" if left else ""
    return f"{len(questions) - left} of {len(questions)} questions are answered in {file.path}{others}"


def _write_junit(options: argparse.Namespace, results: Sequence[Result], stopped: str) -> None:
    """Write the results for ``--junit``. ``stopped`` is the reason why questions were not asked, or ``""``."""
    name = "questions" if options.questions == _STDIN else Path(options.questions).stem
    if stopped:
        why = (f"it was not asked: {stopped}",)
        results = [replace(result, reasons=why) if result.kind == NOT_ASKED else result for result in results]
    with replaced(options.junit, _RESULTS) as output:
        output.write(junit_xml(results, name))


_LINES = """\
A line of QUESTIONS.jsonl is an object of JSON, with these names:
  id        a string, another one in each line
  prompt    the question, or
  messages  a conversation: objects with "role" and "content", question last
  expect    an object with any of these expectations (it may be left out):
    contains, not_contains  a text, or a list of texts
    regex                   a pattern as Python reads it, or a list of patterns
    max_seconds             the longest time of the answer
    min_chars               the least length of the answer

{"id": "hours", "prompt": "Are you open?", "expect": {"contains": "Monday"}}

A line of ANSWERS.jsonl has id, status ("answered" or "failed"), text, seconds,
first_piece_seconds, error, reply, site, bot, and question, which is a
fingerprint of the prompt. A failed question is asked again in the next run, so
its id can have several lines. Changed expectations need no new answer: they
are compared with the stored ones. A changed prompt needs another id.

After Ctrl-C, the answers under way are stored. A second Ctrl-C cancels them.
When the site asks to wait, all questions wait. When it reports that a limit is
reached, the run ends.
"""

COMMAND = Command(
    name="batch",
    summary="ask many questions, store the answers, and test them",
    usage="QUESTIONS.jsonl -o ANSWERS.jsonl [options]",
    description=(
        "Ask the questions of a file, a few at a time, and store each answer as it\n"
        "comes. A run that was interrupted or killed continues with the same command: it\n"
        "asks only the questions without an answer."
    ),
    examples="""\
chatgpt4online batch questions.jsonl -o answers.jsonl --demo
chatgpt4online batch questions.jsonl -o answers.jsonl --demo --junit r.xml
chatgpt4online batch - -o b.jsonl --site https://example.org < some.jsonl
chatgpt4online batch some.jsonl -o c.jsonl --site https://example.org \\
    --concurrency 1 --rate 10
""",
    notes=f"{_LINES}\n{ENVIRONMENT}",
    add_arguments=add_arguments,
    check=_check,
    run=run,
    statuses={
        0: "all questions have an answer, and all answers meet their expectations",
        1: "a question failed or was not asked, or an expectation is not met",
    },
)
