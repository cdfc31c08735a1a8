"""One run of a batch: the client, the checks before the first question, and the questions.

``command`` imports this module when it runs, as it does with ``runner``.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass

from ... import AsyncClient
from ..connection import client_options, make_async_client, pick_bot
from .answers import Target
from .pace import Pace
from .progress import Counts, shown_progress
from .questions import Question, refused
from .runner import Runner
from .store import AnswerFile


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a run. With ``problems``, which are sentences, no question was sent.

    ``stopped`` is the reason why questions were left out, or ``""``. ``interrupted`` is true after Ctrl-C.
    """

    target: Target
    problems: tuple[str, ...] = ()
    stopped: str = ""
    interrupted: bool = False


def run_batch(options: argparse.Namespace, target: Target, questions: list[Question], file: AnswerFile) -> Ended:
    """Ask the questions without an answer. ``target`` names the bot of the arguments; ``--page`` names another one."""
    client = make_async_client(options, client_options(options))  # outside of the loop: it may ask for a password
    return asyncio.run(_run(client, options, target, questions, file))


async def _run(
    site: AsyncClient, options: argparse.Namespace, target: Target, questions: list[Question], file: AnswerFile
) -> Ended:
    async with site:
        client = site
        if options.page is not None:
            bot = pick_bot(await site.bots(options.page), options.bot)
            client = site.with_options(bot=bot)
            target = Target(target.site, bot.custom_id or bot.bot_id or "")
        problems = [*file.answers.conflicts(questions, target), *refused(questions, client.events)]
        if problems:
            return Ended(target, tuple(problems))
        left = file.answers.left(questions, target)
        if not left:
            return Ended(target)
        return await _ask(options, client, target, left, file, Counts(len(questions), len(questions) - len(left)))


async def _ask(
    options: argparse.Namespace,
    client: AsyncClient,
    target: Target,
    left: list[Question],
    file: AnswerFile,
    counts: Counts,
) -> Ended:
    # A wrong address is reported here, before any question has failed. And no question includes the time for the nonce.
    await client.start_session()
    with shown_progress(counts, has_log=bool(options.verbose)) as display:
        if counts.before:
            display.say(f"{counts.before} of {counts.total} questions are answered in {file.path} already")
        runner = Runner(client, target, file, Pace.of(options.rate), counts, display)
        await runner.run(left, options.concurrency)
    return Ended(target, (), runner.stopped, runner.interrupted)
