"""Time limits. The time is a number here, so no test waits."""

from __future__ import annotations

from typing import Any

import pytest

from chatgpt4online.protocol.calls.deadline import Deadline, Timeout
from chatgpt4online.protocol.parsing.errors import InvalidInput, TimedOut

CLOCKS = ["connect", "first_byte", "idle", "total"]


class TestTimeout:
    """The four limits."""

    def test_default_limits_are_the_documented_ones(self) -> None:
        """Models can think for a long time, and an answer may be as long as it likes."""
        assert Timeout() == Timeout(connect=10.0, first_byte=120.0, idle=60.0, total=None)

    @pytest.mark.parametrize("clock", CLOCKS)
    @pytest.mark.parametrize("seconds", [0, -1, 0.0, "5", float("nan"), float("inf"), 1e12, True, [], b"1"])
    def test_value_that_is_not_a_time_raises_and_names_the_limit(self, clock: str, seconds: Any) -> None:
        with pytest.raises(InvalidInput, match=rf"timeout\.{clock} .* not "):
            Timeout(**{clock: seconds})

    @pytest.mark.parametrize("clock", CLOCKS)
    @pytest.mark.parametrize("seconds", [None, 0.001, 5, 1e7])
    def test_positive_numbers_and_none_are_accepted(self, clock: str, seconds: Any) -> None:
        assert getattr(Timeout(**{clock: seconds}), clock) == seconds

    def test_number_sets_every_limit_but_the_total(self) -> None:
        timeout = Timeout(1, 2, 3, 4)
        assert Timeout.of(timeout) is timeout
        assert Timeout.of(5) == Timeout(5, 5, 5, None)
        wrong: Any = "5"
        with pytest.raises(InvalidInput):
            Timeout.of(wrong)

    def test_timeout_is_hashable_and_frozen(self) -> None:
        assert len({Timeout(), Timeout(), Timeout(idle=1)}) == 2
        with pytest.raises(AttributeError):
            Timeout().idle = 1.0

    def test_number_that_python_does_not_show_is_refused(self) -> None:
        for make in (lambda: Timeout.of(10**5000), lambda: Timeout(idle=10**5000)):
            with pytest.raises(InvalidInput, match="an int with more digits than Python shows"):
                make()


class TestDeadline:
    """The time that is left of a turn."""

    @pytest.mark.parametrize("clock", CLOCKS[:3])
    def test_without_a_total_each_wait_has_its_own_limit(self, clock: str) -> None:
        deadline = Deadline(Timeout(1, 2, 3), now=100.0)
        limit = {"connect": 1, "first_byte": 2, "idle": 3}[clock]
        assert deadline.allow(clock, 100.0) == deadline.allow(clock, 1e9) == limit
        assert deadline.pause(7.0, 1e9) == 7.0
        assert Deadline(Timeout(None, None, None), 0.0).allow(clock, 5.0) is None

    @pytest.mark.parametrize(
        ("now", "idle", "first_byte"),
        [(100.0, 3.0, 10.0), (106.0, 3.0, 4.0), (108.0, 2.0, 2.0), (109.5, 0.5, 0.5)],
    )
    def test_wait_is_no_longer_than_the_rest_of_the_total(self, now: float, idle: float, first_byte: float) -> None:
        deadline = Deadline(Timeout(1.0, None, 3.0, total=10.0), now=100.0)
        assert deadline.allow("idle", now) == idle
        assert deadline.allow("first_byte", now) == first_byte

    @pytest.mark.parametrize(("now", "is_possible"), [(100.0, True), (106.9, True), (107.0, False), (200.0, False)])
    def test_pause_that_the_total_does_not_allow_raises_at_once(self, now: float, is_possible: bool) -> None:
        deadline = Deadline(Timeout(total=10.0), now=100.0)
        if is_possible:
            assert deadline.pause(3.0, now) == 3.0
            return
        with pytest.raises(TimedOut) as caught:
            deadline.pause(3.0, now)
        assert (caught.value.clock, caught.value.before_request) == ("total", True)

    @pytest.mark.parametrize("now", [110.0, 110.5, 1e9])
    def test_wait_after_the_total_raises_for_the_total(self, now: float) -> None:
        deadline = Deadline(Timeout(total=10.0), now=100.0)
        with pytest.raises(TimedOut) as caught:
            deadline.allow("idle", now)
        assert (caught.value.clock, caught.value.seconds) == ("total", 10.0)

    @pytest.mark.parametrize(
        ("total", "now", "clock", "seconds"),
        [
            (None, 1e9, "idle", 60.0),
            (10.0, 105.0, "idle", 60.0),
            (10.0, 109.9, "idle", 60.0),
            (10.0, 109.9995, "total", 10.0),
            (10.0, 110.0, "total", 10.0),
            (10.0, 120.0, "total", 10.0),
        ],
    )
    def test_expired_wait_names_the_total_if_that_ended_it(
        self, total: float | None, now: float, clock: str, seconds: float
    ) -> None:
        """Also if the timer fired a little early."""
        error = Deadline(Timeout(total=total), now=100.0).expired("idle", now)
        assert (error.clock, error.seconds) == (clock, seconds)


class TestFollowing:
    """A turn that waits for another one has the limits as if it had sent the requests itself."""

    limits = Timeout(connect=3.0, first_byte=5.0, idle=7.0)

    @pytest.mark.parametrize("clock", ["connect", "first_byte", "idle"])
    def test_wait_expires_under_the_clock_of_the_other_turn(self, clock: str) -> None:
        deadline, limit = Deadline(self.limits, 0.0), getattr(self.limits, clock)
        assert deadline.follow(clock, 10.0, 10.0 + limit - 0.5) == 0.5
        with pytest.raises(TimedOut) as caught:
            deadline.follow(clock, 10.0, 10.0 + limit)
        assert (caught.value.clock, caught.value.seconds) == (clock, limit)

    def test_wait_is_checked_again_after_the_shortest_limit(self) -> None:
        """The other turn may wait under another limit by then."""
        assert Deadline(self.limits, 0.0).follow("idle", 0.0, 0.0) == 3.0

    def test_pause_before_the_wait_is_added_to_it(self) -> None:
        """The other turn pauses before a retry."""
        assert Deadline(Timeout(None, 5.0, None), 0.0).follow("first_byte", 20.0, 0.0) == 5.0
        assert Deadline(Timeout(None, 5.0, None), 0.0).follow("first_byte", 20.0, 24.0) == 1.0

    def test_total_time_ends_the_wait(self) -> None:
        deadline = Deadline(Timeout(None, None, None, total=2.0), 0.0)
        assert deadline.follow("connect", 0.0, 0.5) == 1.5
        with pytest.raises(TimedOut) as caught:
            deadline.follow("connect", 0.0, 2.0)
        assert caught.value.clock == "total"

    def test_wait_without_limits_is_unlimited(self) -> None:
        assert Deadline(Timeout(None, None, None), 0.0).follow("connect", 0.0, 99.0) is None
