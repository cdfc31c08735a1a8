"""The file of answers: whatever a kill leaves of it, the next run asks for exactly the missing answers."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online import InvalidInput, LimitReached, RateLimited, Reply, TimedOut
from chatgpt4online.cli.batch.answers import (
    Answers,
    Target,
    answer_record,
    failure_record,
    read_answers,
    stored_of,
    to_line,
)
from chatgpt4online.cli.batch.expectations import Expectations
from chatgpt4online.cli.batch.questions import Question
from chatgpt4online.cli.batch.store import open_answers
from chatgpt4online.cli.streams import Failure

TARGET = Target("https://example.org", "default")
IDS = ["a", "b", 'c"}\n{"id": "', "\u2028", "\U0001f600", "\ud83d"]
QUESTIONS = [Question(number, name, f"What is {number}?", Expectations()) for number, name in enumerate(IDS, start=1)]


def answer(question: Question, text: str = "Yes.") -> dict[str, Any]:
    return answer_record(question, TARGET, Reply(text=text, raw={"reply": text}), 1.25, 0.5)


def failure(question: Question) -> dict[str, Any]:
    return failure_record(question, TARGET, LimitReached("No more."), 0.5, None)


records = st.lists(
    st.builds(
        lambda question, text: answer(question, text) if text.strip() else failure(question),
        st.sampled_from(QUESTIONS),
        st.text(max_size=8) | st.sampled_from(["", "}\n", '{"id": "a"}', "\ud83d"]),
    ),
    max_size=8,
)


def answered_ids(data: bytes) -> set[str]:
    """Return the ids of the whole answers in the bytes of a file, as the simplest reader finds them."""
    found = set()
    for line in data.split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if record["status"] == "answered":
            found.add(record["id"])
    return found


class TestResume:
    @given(records, st.data())
    def test_exactly_the_questions_without_a_whole_answer_are_left(
        self, written: list[dict[str, Any]], data: st.DataObject
    ) -> None:
        whole = b"".join(map(to_line, written))
        cut = whole[: data.draw(st.integers(0, len(whole)))]
        answers = read_answers(cut)
        left = answers.left(QUESTIONS, TARGET)
        assert {question.id for question in left} == set(IDS) - answered_ids(cut)
        assert [question.line for question in left] == sorted(question.line for question in left)
        assert answers.conflicts(QUESTIONS, TARGET) == []

    @given(records, st.data())
    def test_file_is_whole_after_the_next_run(
        self, tmp_path_factory: pytest.TempPathFactory, written: list[dict[str, Any]], data: st.DataObject
    ) -> None:
        whole = b"".join(map(to_line, written))
        cut = whole[: data.draw(st.integers(0, len(whole)))]
        path = tmp_path_factory.mktemp("batch") / "answers.jsonl"
        path.write_bytes(cut)
        with open_answers(str(path)) as file:
            left = file.answers.left(QUESTIONS, TARGET)
            for question in left:
                file.append(answer(question))
            assert file.answers.left(QUESTIONS, TARGET) == []
        lines = path.read_bytes().split(b"\n")
        found = [json.loads(line) for line in lines[:-1]] if left else []
        kept = b"\n".join(cut.split(b"\n")[:-1])
        assert path.read_bytes().startswith(kept)
        assert lines[-1] == b"" or not left
        for question in left:
            assert [record["status"] for record in found if record["id"] == question.id].count("answered") == 1
        assert read_answers(path.read_bytes()).left(QUESTIONS, TARGET) == []

    def test_file_is_not_written_if_no_question_is_left(self, tmp_path: Path) -> None:
        path = tmp_path / "answers.jsonl"
        cut = to_line(answer(QUESTIONS[0])) + to_line(answer(QUESTIONS[1]))[:-9]
        path.write_bytes(cut)
        with open_answers(str(path)):
            pass
        assert path.read_bytes() == cut

    def test_failure_does_not_replace_an_answer(self) -> None:
        question = QUESTIONS[0]
        answers = read_answers(to_line(answer(question)) + to_line(failure(question)))
        assert answers.left([question], TARGET) == []

    def test_last_failure_is_kept_until_an_answer(self) -> None:
        question = QUESTIONS[0]
        answers = Answers()
        for message in ("first", "second"):
            answers.add(stored_of(failure_record(question, TARGET, LimitReached(message), 0, None)))
        stored = answers.of(question, TARGET)
        assert stored is not None
        assert (stored.reason, stored.is_answered) == ("second", False)
        answers.add(stored_of(answer(question)))
        assert answers.left([question], TARGET) == []


class TestConflicts:
    OTHERS = {
        "another prompt": (Question(7, "a", "What else?", Expectations()), TARGET, "'a' has changed; use a new id or"),
        "another site": (
            QUESTIONS[0],
            Target("https://example.com", "default"),
            "an answer of the site https://example.org, not of https://example.com;",
        ),
        "another bot": (
            QUESTIONS[0],
            Target("https://example.org", "sales"),
            "an answer of the bot 'default', not of 'sales';",
        ),
    }

    @pytest.mark.parametrize("name", OTHERS)
    def test_answer_to_another_question_is_a_conflict(self, name: str) -> None:
        question, target, reason = self.OTHERS[name]
        problems = read_answers(to_line(answer(QUESTIONS[0]))).conflicts([question], target)
        assert len(problems) == 1
        assert problems[0].startswith(f"line {question.line}: 'a' ")
        assert reason in problems[0]

    @pytest.mark.parametrize("name", OTHERS)
    def test_failure_of_another_question_is_asked_again(self, name: str) -> None:
        question, target, _ = self.OTHERS[name]
        answers = read_answers(to_line(failure(QUESTIONS[0])))
        assert answers.conflicts([question], target) == []
        assert answers.of(question, target) is None
        assert answers.left([question], target) == [question]

    def test_changed_expectation_is_no_conflict(self) -> None:
        changed = Question(1, "a", QUESTIONS[0].prompt, Expectations(contains=("x",)))
        assert read_answers(to_line(answer(QUESTIONS[0]))).conflicts([changed], TARGET) == []


WHOLE = to_line(answer(QUESTIONS[0]))
OTHER_FILES = {
    "a text": (b"hello\n", "line 1 was not written by this command"),
    "a text without a line end": (b"hello", "its last line was not written by this command"),
    "questions": (b'{"id": "a", "prompt": "Hi"}\n', "line 1 was not"),
    "a question without a line end": (b'{"id": "a", "prompt": "Hi"}', "line 1 was not"),
    "an answer with a text behind it": (WHOLE + b"hello", "its last line was not"),
    "a cut line in the middle": (WHOLE[:50] + b"\n" + WHOLE, "line 1 was not"),
    "an unknown status": (WHOLE.replace(b"answered", b"lost"), "line 1 was not"),
    "seconds as a text": (WHOLE.replace(b"1.25", b'"1"'), "line 1 was not"),
    "a text that is null": (WHOLE.replace(b'"Yes."', b"null", 1), "line 1 was not"),
    "bytes of a program": (b"\x7fELF\0\n", "line 1 was not"),
}


class TestOtherFiles:
    @pytest.mark.parametrize("name", OTHER_FILES)
    def test_other_file_is_not_changed(self, name: str, tmp_path: Path) -> None:
        data, reason = OTHER_FILES[name]
        path = tmp_path / "answers.jsonl"
        path.write_bytes(data)
        with pytest.raises(InvalidInput, match=reason), open_answers(str(path)):
            pytest.fail("the file was opened")
        assert path.read_bytes() == data

    @pytest.mark.parametrize("data", [b"", b"\n", b"{", b'{"id": "', WHOLE[:-1], WHOLE + b"\n" + WHOLE[:30]])
    def test_file_that_a_kill_or_an_editor_left_is_opened(self, data: bytes, tmp_path: Path) -> None:
        path = tmp_path / "answers.jsonl"
        path.write_bytes(data)
        with open_answers(str(path)) as file:
            file.append(answer(QUESTIONS[1]))
        assert answered_ids(path.read_bytes()) == answered_ids(data) | {"b"}

    @pytest.mark.parametrize("name", ["missing/answers.jsonl", "."])
    def test_path_that_cannot_be_a_file_is_reported(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="cannot be opened"), open_answers(str(tmp_path / name)):
            pytest.fail("the file was opened")

    def test_device_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="is not a file, and the answers need one"), open_answers("/dev/null"):
            pytest.fail("the device was opened")


def test_second_writer_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "answers.jsonl")
    with open_answers(path):
        with pytest.raises(Failure, match="is in use: another batch is writing"), open_answers(path):
            pytest.fail("two writers have the file")
    with open_answers(path):
        pass


def test_answer_that_cannot_be_written_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "answers.jsonl"
    with open_answers(str(path)) as file:
        file.append(answer(QUESTIONS[0]))
        whole = path.read_bytes()
        with monkeypatch.context() as patch, pytest.raises(Failure, match=r"answers.jsonl cannot be written: No space"):
            patch.setattr(os, "write", _full_after(os.write, 20))
            file.append(answer(QUESTIONS[1]))
        assert path.read_bytes() == whole


def _full_after(write: Any, size: int) -> Any:
    """Return a function that writes ``size`` bytes in all, like a disk that becomes full."""
    left = [size]

    def write_some(descriptor: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(28, "No space left on device")
        written: int = write(descriptor, data[: left[0]])
        left[0] -= written
        return written

    return write_some


class TestRecords:
    def test_answer_has_the_documented_fields(self) -> None:
        record = answer(QUESTIONS[0])
        assert list(record) == [
            *("id", "status", "text", "seconds", "first_piece_seconds", "error", "reply", "site", "bot", "question")
        ]
        assert record["reply"]["text"] == record["text"] == "Yes."
        assert (record["seconds"], record["first_piece_seconds"], record["error"]) == (1.25, 0.5, None)

    def test_failure_has_the_error_and_the_partial_text(self) -> None:
        error = RateLimited(429, message="Slow down", retry_after=5.0)
        error.partial_text = "Hel"
        record = failure_record(QUESTIONS[0], TARGET, error, 0.12345, None)
        assert (record["status"], record["text"], record["reply"]) == ("failed", "Hel", None)
        assert (record["error"]["error"], record["error"]["status"], record["seconds"]) == ("RateLimited", 429, 0.123)

    def test_time_limit_is_named_as_the_option(self) -> None:
        record = failure_record(QUESTIONS[0], TARGET, TimedOut("idle", 60), 61, None)
        assert "raise --idle-timeout if" in record["error"]["message"]

    @pytest.mark.parametrize("text", ["", " \n"])
    def test_answer_without_content_is_a_failure(self, text: str) -> None:
        record = answer(QUESTIONS[0], text)
        assert (record["status"], record["error"]["error"]) == ("failed", "NoText")

    def test_answer_with_a_picture_is_an_answer(self) -> None:
        record = answer_record(QUESTIONS[0], TARGET, Reply(images=("https://example.org/a.png",)), 1, None)
        assert (record["status"], record["text"]) == ("answered", "")

    @given(records)
    def test_line_is_ascii_and_has_one_line_end(self, written: Sequence[dict[str, Any]]) -> None:
        for record in written:
            line = to_line(record)
            assert line.isascii()
            assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
            assert json.loads(line) == record
