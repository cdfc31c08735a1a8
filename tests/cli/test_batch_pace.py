"""When a batch sends its questions, how it reacts to errors, and what it shows of its progress: without a clock."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online import (
    Blocked,
    ChatError,
    ConnectionFailed,
    LimitReached,
    NonceRefused,
    NotAiEngine,
    ProtocolError,
    RateLimited,
    ServerError,
    StatusError,
    TimedOut,
    Truncated,
)
from chatgpt4online.cli.batch.pace import LONGEST_PAUSE, Decision, Pace, Reaction, decide
from chatgpt4online.cli.batch.progress import Counts, Plain, duration


def unreachable(*, retryable: bool = True) -> ConnectionFailed:
    error = ConnectionFailed("refused")
    error.retryable = retryable
    return error


def limited(seconds: float | None) -> RateLimited:
    return RateLimited(429, retry_after=seconds)


RECORD, STOP = Decision(Reaction.RECORD), Decision(Reaction.STOP)
DECISIONS: dict[str, tuple[ChatError, dict[str, int], Decision]] = {
    # the error, has_begun or tries or unreached, the decision
    "the limit of the visitor": (LimitReached("No more."), {}, STOP),
    "the limit in the middle of an answer": (LimitReached("No more."), {"has_begun": True}, STOP),
    "a firewall": (Blocked(403), {}, STOP),
    "a firewall that names a time": (Blocked(429, retry_after=5), {}, STOP),
    "another site": (NotAiEngine(404), {}, STOP),
    "a refused nonce": (NonceRefused(403), {}, STOP),
    "429 with a time": (limited(7), {}, Decision(Reaction.AGAIN, 7)),
    "429 with no wait": (limited(0), {}, Decision(Reaction.AGAIN, 0)),
    "429 with the longest time": (limited(LONGEST_PAUSE), {}, Decision(Reaction.AGAIN, LONGEST_PAUSE)),
    "429 with a longer time": (limited(LONGEST_PAUSE + 1), {}, STOP),
    "429 without a time": (limited(None), {}, Decision(Reaction.AGAIN, 10)),
    "429 without a time, again": (limited(None), {"tries": 3}, Decision(Reaction.AGAIN, 40)),
    "429 for the fifth time": (limited(7), {"tries": 5}, STOP),
    "503": (StatusError(503), {}, Decision(Reaction.AGAIN, 10)),
    "another status with a time": (StatusError(500, retry_after=3), {}, Decision(Reaction.AGAIN, 3)),
    "another status": (StatusError(500), {}, RECORD),
    "no connection": (unreachable(), {}, Decision(Reaction.AGAIN, 0.5)),
    "no connection, again": (unreachable(), {"tries": 2}, Decision(Reaction.AGAIN, 1)),
    "no connection for the third time": (unreachable(), {"tries": 3}, RECORD),
    "no connection for three questions": (unreachable(), {"tries": 3, "unreached": 2}, STOP),
    "no connection within the limit": (TimedOut("connect", 10), {}, Decision(Reaction.AGAIN, 0.5)),
    "a wrong certificate": (unreachable(retryable=False), {}, RECORD),
    "a connection that broke in the answer": (unreachable(), {"has_begun": True}, RECORD),
    "no first byte": (TimedOut("first_byte", 120), {}, RECORD),
    "a silent answer": (TimedOut("idle", 60), {"has_begun": True}, RECORD),
    "a failed model": (ServerError("Oops"), {}, RECORD),
    "half an answer": (Truncated("cut"), {"has_begun": True}, RECORD),
    "another protocol": (ProtocolError("?"), {}, RECORD),
}


@pytest.mark.parametrize("name", DECISIONS)
def test_error_has_the_wrong_reaction(name: str) -> None:
    error, more, decision = DECISIONS[name]
    facts = {"has_begun": False, "tries": 1, "unreached": 0} | more
    assert decide(error, has_begun=bool(facts.pop("has_begun")), **facts) == decision


class TestPace:
    @given(st.integers(1, 10_000), st.lists(st.floats(0, 100), max_size=20))
    def test_questions_are_never_closer_than_the_rate_allows(self, per_minute: int, answers: list[float]) -> None:
        pace, now, sent = Pace.of(per_minute), 0.0, []
        for seconds in answers:
            now += pace.wait(now)
            sent.append(now)
            pace.start(now)
            now += seconds
        assert all(later - earlier >= 60 / per_minute - 1e-9 for earlier, later in pairwise(sent))

    def test_no_rate_means_no_wait(self) -> None:
        pace = Pace.of(None)
        pace.start(5)
        assert pace.wait(5) == 0

    def test_pause_holds_every_question_and_the_longest_one_counts(self) -> None:
        pace = Pace.of(60)
        pace.start(0)
        pace.pause(0, 30)
        pace.pause(1, 5)
        pace.start(2)
        assert (pace.wait(2), pace.wait(29), pace.wait(30)) == (28, 1, 0)


class TestCounts:
    LINES = {
        "nothing yet": (Counts(10), 0, "0 of 10 questions\n"),
        "only earlier answers": (Counts(10, before=4), 3, "4 of 10 questions\n"),
        "half": (Counts(10, answered=5), 60, "5 of 10 questions, 5/min, 1 min left\n"),
        "with failures": (Counts(500, 100, 9, 1), 30, "110 of 500 questions, 1 failed, 20/min, 20 min left\n"),
        "slow": (Counts(400, answered=1), 120, "1 of 400 questions, 0.5/min, 13 h 18 min left\n"),
        "the end": (Counts(2, answered=2), 1, "2 of 2 questions, 120/min, 0 s left\n"),
    }

    @pytest.mark.parametrize("name", LINES)
    def test_line_shows_the_counts_the_rate_and_the_time_left(self, name: str) -> None:
        counts, seconds, line = self.LINES[name]
        assert counts.line(seconds) == line

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0, "0 s"),
            (0.5, "0.5 s"),
            (1.5, "2 s"),
            (59.4, "59 s"),
            (60, "1 min"),
            (3_580, "1 h 0 min"),
            (7_260, "2 h 1 min"),
        ],
    )
    def test_duration_has_one_or_two_units(self, seconds: float, text: str) -> None:
        assert duration(seconds) == text

    def test_plain_line_is_written_at_most_every_ten_seconds(self, capsys: pytest.CaptureFixture[str]) -> None:
        times = iter([100.0, 101.0, 109.9, 110.0, 119.0, 125.0])
        counts = Counts(9)
        display = Plain(counts, lambda: next(times))
        for _ in range(5):
            counts.answered += 1
            display.update()
        written = capsys.readouterr().err.splitlines()
        assert [line.partition(",")[0] for line in written] == ["3 of 9 questions", "5 of 9 questions"]
