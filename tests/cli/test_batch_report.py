"""The results of a batch: the table of a person, and the XML of continuous integration."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online import LimitReached, Reply
from chatgpt4online.cli.batch.answers import Answers, Target, answer_record, failure_record, stored_of
from chatgpt4online.cli.batch.expectations import Expectations
from chatgpt4online.cli.batch.junit import junit_xml
from chatgpt4online.cli.batch.questions import Question
from chatgpt4online.cli.batch.report import Result, print_report, results_of

TARGET = Target("https://example.org", "default")


def results() -> list[Result]:
    """Return one result of each kind."""
    expect = Expectations(contains=("Monday", "Friday"))
    questions = [Question(number, name, name, expect) for number, name in enumerate(("ok", "unmet", "failed", "new"))]
    good, bad, failed, _ = questions
    answers = Answers()
    for record in (
        answer_record(good, TARGET, Reply(text="Monday to Friday"), 1.5, 1),
        answer_record(bad, TARGET, Reply(text="On Monday"), 2.25, 1),
        failure_record(failed, TARGET, LimitReached("No\nmore."), 0.25, None),
    ):
        answers.add(stored_of(record))
    return results_of(questions, answers, TARGET)


def test_every_reason_is_a_row_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(results())
    assert capsys.readouterr().out == (
        "question  result     reason\n"
        "unmet     unmet      contains: 'Friday' is not in the answer\n"
        "failed    failed     No more.\n"
        "new       not asked  it was not asked\n"
        "\n"
        "questions  ok  unmet  failed  not asked\n"
        "4          1   1      1       1\n"
    )


def test_table_without_a_reason_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(results()[:1])
    assert capsys.readouterr().out == "questions  ok  unmet  failed  not asked\n1          1   0      0       0\n"


def test_junit_has_a_case_for_each_question() -> None:
    root = ElementTree.fromstring(junit_xml(results(), "opening"))
    suite = root[0]
    for element in (root, suite):
        numbers = {name: element.get(name) for name in ("tests", "failures", "errors", "skipped", "time")}
        assert numbers == {"tests": "4", "failures": "1", "errors": "2", "skipped": "0", "time": "4.000"}
    assert [(case.get("classname"), case.get("name"), case.get("time")) for case in suite] == [
        ("opening", "ok", "1.500"),
        ("opening", "unmet", "2.250"),
        ("opening", "failed", "0.250"),
        ("opening", "new", "0.000"),
    ]
    assert [[child.tag for child in case] for case in suite] == [
        ["system-out"],
        ["failure", "system-out"],
        ["error"],
        ["error"],
    ]
    failure, failed, new = suite[1][0], suite[2][0], suite[3][0]
    assert (failure.get("type"), failure.get("message")) == ("expect", "contains: 'Friday' is not in the answer")
    assert (failed.get("type"), failed.get("message")) == ("LimitReached", "No\nmore.")
    assert (new.get("type"), new.get("message")) == ("NotAsked", "it was not asked")


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None), min_size=1))
def test_xml_can_hold_any_id_and_any_answer(text: str, name: str) -> None:
    question = Question(1, name, "Hi", Expectations(contains=(f"x{name}",)))
    answers = Answers()
    answers.add(stored_of(answer_record(question, TARGET, Reply(text=f"{text}."), 1, 1)))
    document = junit_xml(results_of([question], answers, TARGET), name)
    case = ElementTree.fromstring(document)[0][0]
    assert len(case.get("name", "")) == len(name)
    assert case[-1].tag == "system-out"
