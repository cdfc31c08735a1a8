"""One client for many threads or tasks, which close, cancel and time out at random moments.

Each answer names its question, so that an answer that reaches the wrong reader is found.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from contextlib import suppress

import pytest

from chatgpt4online import AsyncClient, Client, InvalidState, TimedOut, Timeout
from chatgpt4online.protocol import ChatError

from ..support.server import LAST_CHUNK, Peer, Server, chunk, end, json_response, live, session_response, stream_head

SEEDS = [1, 2, 3]
HANG_SECONDS = 60.0  # until a test that hangs fails
FATES = ["read", "read", "read", "close", "cancel", "expire", "drop"]


class Expiring:
    """A site that repeats each question in two pieces. Its first nonce expires after some questions."""

    def __init__(self, questions: int) -> None:
        self.questions = questions
        self.lock = threading.Lock()
        self.asked = 0
        self.sessions = 0

    def __call__(self, peer: Peer) -> None:
        for request in peer.requests():
            with self.lock:
                if request.route == "start_session":
                    self.sessions += 1
                    answer = session_response(self.nonce)
                elif request.headers.get("x-wp-nonce") != self.nonce:
                    answer = json_response(
                        {"code": "rest_cookie_invalid_nonce", "message": "No", "data": {"status": 403}}, "403 Forbidden"
                    )
                else:
                    self.asked += 1
                    message = request.json["newMessage"]
                    pieces = chunk(live(message[:4]), live(message[4:]), end(message))
                    answer = stream_head() + pieces + LAST_CHUNK
            peer.send(answer)

    @property
    def nonce(self) -> str:
        return "first" if self.asked < self.questions else "second"


class Fates:
    """The planned end of each question, drawn from a seed, and the errors that were found."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def draw(self) -> str:
        return self.random.choice(FATES)

    def check(self, fate: str, question: str, text: str, *, is_whole: bool) -> None:
        """Store an error if an answer belongs to another question, or is incomplete without a reason."""
        self.counts[fate] += 1
        if not question.startswith(text) or (is_whole and text != question):
            self.wrong.append(f"{fate}: {question!r} got {text!r}")


def wait_limit(fate: str) -> Timeout:
    return Timeout(total=0.001) if fate == "expire" else Timeout(HANG_SECONDS, HANG_SECONDS, HANG_SECONDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_sixteen_threads_get_their_own_answers(seed: int) -> None:
    fates = Fates(seed)
    plans = [[fates.draw() for _ in range(30)] for _ in range(16)]
    errors: list[BaseException] = []

    def work(name: int, plan: list[str]) -> None:
        try:
            for number, fate in enumerate(plan):
                ask(f"{name:02}/{number:03} of thread {name}", fate)
        except BaseException as error:
            errors.append(error)

    def ask(question: str, fate: str) -> None:
        stream = client.stream(question, timeout=wait_limit(fate))
        text = ""
        closer = threading.Thread(target=stream.close) if fate == "cancel" else None
        if closer is not None:
            closer.start()
        with suppress(TimedOut):
            for piece in stream:
                text += piece
                if fate == "close":
                    stream.close()
                if fate == "drop":
                    break
        if closer is not None:
            closer.join(HANG_SECONDS)
        fates.check(fate, question, text, is_whole=fate == "read")

    with Server(Expiring(50)) as server, Client(server.url, retries=0) as client:
        threads = [threading.Thread(target=work, args=pair, daemon=True) for pair in enumerate(plans)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANG_SECONDS)
        assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    assert (errors, fates.wrong) == ([], [])
    assert set(fates.counts) == set(FATES)


@pytest.mark.parametrize("seed", SEEDS)
def test_thousand_tasks_get_their_own_answers(seed: int) -> None:
    fates = Fates(seed)
    plan = [fates.draw() for _ in range(1_000)]

    async def ask(client: AsyncClient, question: str, fate: str) -> None:
        stream = client.stream(question, timeout=wait_limit(fate))
        text = ""
        try:
            async for piece in stream:
                text += piece
                if fate in ("close", "drop"):
                    await stream.aclose()
        except TimedOut:
            assert fate == "expire"
        finally:
            fates.check(fate, question, text, is_whole=fate == "read")

    async def cancel(task: asyncio.Task[None], turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()

    async def run(url: str) -> list[BaseException | None]:
        async with AsyncClient(url, retries=0) as client:
            tasks = [
                asyncio.create_task(ask(client, f"{number:04} of a task", fate)) for number, fate in enumerate(plan)
            ]
            cancels = [
                cancel(task, fates.random.randrange(300))
                for task, fate in zip(tasks, plan, strict=True)
                if fate == "cancel"
            ]
            async with asyncio.timeout(HANG_SECONDS):
                await asyncio.gather(*cancels)
                return await asyncio.gather(*tasks, return_exceptions=True)

    with Server(Expiring(100)) as server:
        outcomes = asyncio.run(run(server.url))
    failed = [outcome for outcome in outcomes if outcome is not None]
    assert [repr(outcome) for outcome in failed if not isinstance(outcome, asyncio.CancelledError)] == []
    assert fates.wrong == []
    assert sum(fates.counts.values()) == 1_000


@pytest.mark.parametrize("seed", SEEDS)
def test_close_gives_each_thread_its_answer_or_a_clear_error(seed: int) -> None:
    fates = Fates(seed)
    errors: list[BaseException] = []
    asked = threading.Semaphore(0)

    def work(name: int) -> None:
        try:
            for number in range(1_000):
                question = f"{name:02}/{number:03}"
                asked.release()
                fates.check("ask", question, str(client.ask(question)), is_whole=True)
        except InvalidState:
            return
        except ChatError as error:
            errors.append(error)

    with Server(Expiring(50)) as server:
        client = Client(server.url, retries=0)
        threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in range(16)]
        for thread in threads:
            thread.start()
        for _ in range(fates.random.randrange(300)):
            asked.acquire()
        client.close()
        for thread in threads:
            thread.join(HANG_SECONDS)
        assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    assert (errors, fates.wrong) == ([], [])
