"""Ask the questions of a batch, a few at a time, and store each answer as it comes.

``command`` imports this module when it runs, since asyncio is slow to import and ``--help`` does not need it.
"""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ... import AsyncClient, ChatError
from .answers import Target, answer_record, failure_record
from .pace import Pace, Reaction, decide, is_unreached
from .progress import Counts, Display, duration
from .questions import Question
from .store import AnswerFile


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a question: the line to store, and the error or None. ``has_begun``: a part of the answer arrived."""

    record: dict[str, Any]
    error: ChatError | None = None
    has_begun: bool = False


class Runner:
    """Asks the questions of a batch.

    ``stopped`` is the reason why it asked no further question, or ``""``. ``interrupted`` is true after Ctrl-C: then
    the answers under way are still stored. A second Ctrl-C cancels them.
    """

    def __init__(
        self, client: AsyncClient, target: Target, file: AnswerFile, pace: Pace, counts: Counts, display: Display
    ) -> None:
        self.stopped: str = ""
        self.interrupted: bool = False
        # The pace decides about retries, since a busy site needs a pause of all questions.
        self._client = client.with_options(retries=0)
        self._target = target
        self._file = file
        self._pace = pace
        self._counts = counts
        self._display = display
        self._waiting: deque[Question] = deque()
        self._under_way = 0
        self._unreached = 0  # questions in a row that got no connection
        self._starting = asyncio.Lock()  # one task at a time waits for its turn
        self._ending = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, questions: Iterable[Question], concurrency: int) -> None:
        """Ask these questions. Raises Failure if an answer cannot be stored, after cancelling the other questions."""
        self._waiting.extend(questions)
        self._tasks = [asyncio.create_task(self._work()) for _ in range(min(concurrency, len(self._waiting)))]
        with self._watched_interrupts():
            try:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
            finally:
                self._cancel()
                outcomes = await asyncio.gather(*self._tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _work(self) -> None:
        """Ask one waiting question after the other."""
        while self._waiting and not self._ending.is_set():
            await self._ask(self._waiting.popleft())

    async def _ask(self, question: Question) -> None:
        """Ask a question until it has an answer or a failure to store. Stores nothing if it was not sent."""
        attempt, tries = None, 0
        while await self._may_send():
            tries += 1
            attempt = await self._try(question)
            if attempt.error is None or not self._asks_again(attempt.error, attempt.has_begun, tries):
                break
        if attempt is not None:
            self._store(attempt)

    async def _may_send(self) -> bool:
        """Wait until the pace allows a question. Return False if the batch has ended before."""
        clock = asyncio.get_running_loop().time
        async with self._starting:
            while not self._ending.is_set():
                seconds = self._pace.wait(clock())
                if not seconds:
                    self._pace.start(clock())
                    return True
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ending.wait(), seconds)
        return False

    async def _try(self, question: Question) -> Attempt:
        clock = asyncio.get_running_loop().time
        started, has_begun = clock(), False
        first: float | None = None
        self._under_way += 1
        try:
            async with self._client.events(question.prompt) as stream:
                try:
                    async for _ in stream:
                        has_begun = True
                finally:
                    first = stream.response.seconds_to_first_piece if stream.response else None
            return Attempt(answer_record(question, self._target, stream.reply, clock() - started, first))
        except ChatError as error:
            record = failure_record(question, self._target, error, clock() - started, first)
            return Attempt(record, error, has_begun)
        finally:
            self._under_way -= 1

    def _asks_again(self, error: ChatError, has_begun: bool, tries: int) -> bool:
        """Return whether to ask a question again after an error. Pauses or stops the batch if the error demands it."""
        decision = decide(error, has_begun=has_begun, tries=tries, unreached=self._unreached)
        if decision.reaction is Reaction.AGAIN:
            self._pace.pause(asyncio.get_running_loop().time(), decision.pause)
            self._display.say(f"waiting {duration(decision.pause)}: {error}")
            return True
        if decision.reaction is Reaction.STOP:
            self._end(str(error))
        return False

    def _store(self, attempt: Attempt) -> None:
        self._file.append(attempt.record)
        if attempt.error is None or not is_unreached(attempt.error):
            self._unreached = 0
        else:
            self._unreached += 1
        if attempt.record["error"] is None:
            self._counts.answered += 1
        else:
            self._counts.failed += 1
        self._display.update()

    def _end(self, reason: str) -> None:
        """Ask no further question. The questions under way go on."""
        self.stopped = self.stopped or reason
        self._ending.set()

    def _interrupt(self) -> None:
        """React to Ctrl-C: the first one waits for the answers under way, and the second one cancels them."""
        if self.interrupted:
            self._cancel()
            return
        self.interrupted = True
        self._end("interrupted")
        if self._under_way:
            self._display.say("waiting for the answers under way; press Ctrl-C again to cancel them")

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    @contextmanager
    def _watched_interrupts(self) -> Iterator[None]:
        """Call ``_interrupt`` for each Ctrl-C in the block, unless the process ignores Ctrl-C."""
        loop = asyncio.get_running_loop()
        is_watched = False
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            with suppress(NotImplementedError, ValueError, RuntimeError):  # on Windows; outside of the main thread
                loop.add_signal_handler(signal.SIGINT, self._interrupt)
                is_watched = True
        try:
            yield
        finally:
            if is_watched:
                loop.remove_signal_handler(signal.SIGINT)
