"""Check a site once, or again and again until Ctrl-C."""

from __future__ import annotations

import argparse
import math
import time
from contextlib import aclosing
from dataclasses import dataclass

from ..command import FAILED
from ..streams import open_output, write, write_error, write_json
from .findings import Finding, is_healthy
from .output import WHAT, print_finding, print_summary, record, report
from .run import Settings, run_checks
from .textfile import check_textfile, metrics, write_textfile

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Schedule:
    """A run begins every ``seconds``. One run in ``rounds`` asks the question, or none of them if it is 0."""

    seconds: float
    rounds: int = 0

    @classmethod
    def of(cls, seconds: float, ask_every: float | None) -> Schedule:
        """Return the schedule with at least ``ask_every`` seconds between two questions."""
        return cls(seconds, 0 if ask_every is None else math.ceil(ask_every / seconds))

    def asks(self, number: int, last: int | None) -> bool:
        """Return whether a run asks the question, given the number of the ``last`` one that did, or None.

        Long runs leave out others, and their numbers too. The question of a run that was left out comes with the next.
        """
        return self.rounds > 0 and (last is None or number - last >= self.rounds)

    def questions_a_day(self) -> int:
        """Return the largest number of questions in 24 hours."""
        return math.ceil(_DAY / (self.rounds * self.seconds)) if self.rounds else 0

    def pause(self, start: float, now: float) -> float:
        """Return the seconds to wait after a run that began at ``start``. The runs that would overlap are left out."""
        return self.seconds - (now - start) % self.seconds


def once(options: argparse.Namespace) -> int:
    """Check the site once, and print the findings. The exit status is 0 if it is healthy, else 1."""
    open_output(WHAT)  # before the question is sent, which costs the owner money
    check_textfile(options)
    settings = Settings.of(options)
    is_text = not (options.json or options.report)
    start = time.monotonic()
    findings = _collect(settings, options.ask, prints=is_text)
    seconds, now = round(time.monotonic() - start, 3), time.time()
    if options.json:
        write_json(record(settings.shown_address, findings, seconds, now), WHAT)
    elif options.report:
        write(report(settings.shown_address, findings, time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))), WHAT)
    else:
        print_summary(findings)
    if options.textfile is not None:
        write_textfile(options.textfile, metrics(settings.shown_address, findings, seconds, now, _asked(findings)))
    return 0 if is_healthy(findings) else FAILED


def watch(options: argparse.Namespace) -> int:
    """Check the site until Ctrl-C, and print a line of JSON for each run."""
    open_output(WHAT)
    check_textfile(options)
    settings = Settings.of(options)
    schedule = Schedule.of(options.watch, options.ask_every)
    if schedule.rounds:
        write_error(
            f"one question every {schedule.rounds * schedule.seconds:g} s: {schedule.questions_a_day()} a day\n"
        )
    number, last, asked = 0, None, None
    begin = time.monotonic()
    while True:
        start = time.monotonic()
        is_asking = schedule.asks(number, last)
        last = number if is_asking else last
        findings = _collect(settings, options.ask if is_asking else None, prints=False)
        seconds, now = round(time.monotonic() - start, 3), time.time()
        asked = _asked(findings) or asked
        if options.textfile is not None:  # before the line, so that its reader finds the metrics of the same run
            write_textfile(options.textfile, metrics(settings.shown_address, findings, seconds, now, asked))
        write_json(record(settings.shown_address, findings, seconds, now), WHAT)
        time.sleep(schedule.pause(begin, time.monotonic()))
        number = round((time.monotonic() - begin) / schedule.seconds)


def _collect(settings: Settings, question: str | None, *, prints: bool) -> list[Finding]:
    """Return the findings of one run. With ``prints``, print each one as soon as it is known."""
    import asyncio  # noqa: PLC0415  # --help does not need it

    async def collect() -> list[Finding]:
        findings = []
        async with aclosing(run_checks(settings, question)) as found:
            async for finding in found:
                findings.append(finding)
                if prints:
                    print_finding(finding)
        return findings

    return asyncio.run(collect())


def _asked(findings: list[Finding]) -> Finding | None:
    return next((finding for finding in findings if finding.step == "ask"), None)
