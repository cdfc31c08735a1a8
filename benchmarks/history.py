"""Long histories: the CPU of preparing a question behind 600 messages, over ``json.dumps`` of the same body."""

from __future__ import annotations

import json
from functools import partial
from statistics import median

from chatgpt4online import Client

from .measure import Plan, Result, cpu, interleaved, ratios, row

_TIMES = 10
_TEXT = "A sentence of a conversation has about as many words as this one, and some have more. "


def messages(count: int) -> list[dict[str, str]]:
    """Return so many messages of a conversation, by the user and the bot in turns."""
    return [
        {"role": "assistant" if number % 2 else "user", "content": f"{number}: {_TEXT * (1 + number % 3)}"}
        for number in range(count)
    ]


def run(plan: Plan) -> list[Result]:
    """Return one ratio."""
    count = 20 if plan.quick else 600
    prompt = [*messages(count), {"role": "user", "content": "And now?"}]
    tasks = {"ours": partial(_prepare, prompt), "json": partial(_encode, prompt)}
    seconds = interleaved({name: partial(cpu, task) for name, task in tasks.items()}, plan.rounds)
    note = f"{1000 * median(seconds['ours']) / _TIMES:.2f} ms over {1000 * median(seconds['json']) / _TIMES:.2f} ms"
    return [row("history", "600 messages", ratios(seconds["ours"], seconds["json"]), note)]


def _prepare(prompt: list[dict[str, str]]) -> None:
    with Client("https://example.org") as client:
        for _ in range(_TIMES):
            client.stream(prompt)  # checks and encodes the messages; nothing is sent before it is read


def _encode(prompt: list[dict[str, str]]) -> None:
    for _ in range(_TIMES):
        json.dumps({"botId": "default", "messages": prompt[:-1], "newMessage": prompt[-1]["content"]}).encode()
