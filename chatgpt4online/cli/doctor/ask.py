"""The step ``ask``: whether an answer streams, by the times and sizes of its parts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from statistics import median

from ... import Bot, LimitReached, RateLimited, ServerError, Session, Submission, Truncated, Turn
from .causes import find_fixes
from .findings import Finding, Fix
from .front import cache_plugins
from .site import Site
from .stream import Measurement, measure, new_chat_id

_TOGETHER = 0.05  # seconds: parts within it arrive at the same moment for a reader
_WAIT = 1.0  # seconds; after a shorter wait, nobody can say what the server has waited for
_FEW = 5  # pieces; a model may send fewer at one moment
_BURST = 0.0005  # seconds for each piece: no model writes 2,000 pieces in a second
_SHORT = 20  # characters; a model may send a shorter answer in one piece
_LONG_PAUSE = 0.5  # seconds between two blocks; a model that writes so many pieces in a block does not wait so long
_MOST_PER_BLOCK = 10  # pieces; blocks with more look like a buffer that was filled

_LONGER = 'Ask for a longer answer: --ask "Count to 50 in words."'
_MODEL = (
    "The model or the plugin sends the answer in one piece. This is so for bots that make pictures, for Replicate, for "
    "Google in AI Engine 2.8.2 to 3.5.5, and for code of the site that answers in place of the model. Choose another "
    "model, or update AI Engine."
)


@dataclass(frozen=True, slots=True)
class Question:
    """The question of the step, and the id of the bot, or None for the first bot of the page."""

    text: str
    bot_id: str | None = None
    clock: Callable[[], float] = time.monotonic

    async def check(self, site: Site) -> Finding:
        """Ask the question once, and check whether its answer streams."""
        root = await site.root()
        bots = (await site.page()).bots
        bot = next((bot for bot in bots if self.chooses(bot)), None)
        page = (await site.visit())[-1]
        turn = Turn(page.url, self.submission(bot), Session(root=root.url))
        measurement = await measure(site.fetcher, turn, self.clock)
        return read_stream(measurement, plugins=cache_plugins(page.text), is_plain=root.is_plain)

    def chooses(self, bot: Bot) -> bool:
        """Return whether a bot of the page is the one to ask. Without an id, it is the first one that reads text."""
        return bot.mode != "realtime" if self.bot_id is None else self.bot_id in (bot.bot_id, bot.custom_id)

    def submission(self, bot: Bot | None) -> Submission:
        """Return the question for a bot of the page, or for the bot with the id."""
        if bot is None:
            return Submission(self.text, bot_id=self.bot_id or "default", chat_id=new_chat_id())
        return Submission(
            self.text,
            bot_id=bot.bot_id,
            custom_id=bot.custom_id,
            context_id=bot.context_id,
            chat_id=new_chat_id(),
        )


def blocks(measurement: Measurement) -> list[tuple[float, int, int]]:
    """Return the time, the bytes and the pieces of text of each block: the reads that arrive at the same moment."""
    found: list[tuple[float, int, int]] = []
    counts = Counter(piece.read for piece in measurement.texts)
    for number, (seconds, size) in enumerate(measurement.reads, 1):
        if found and seconds - found[-1][0] < _TOGETHER:
            start, earlier, count = found.pop()
            found.append((start, earlier + size, count + counts[number]))
        else:
            found.append((seconds, size, counts[number]))
    return found


def read_stream(measurement: Measurement, *, plugins: Sequence[str] = (), is_plain: bool = False) -> Finding:
    """Return the finding for the answer to a question. ``plugins`` and ``is_plain`` are as in ``find_fixes``."""
    fixes = partial(find_fixes, measurement.headers, plugins=plugins, is_plain=is_plain)
    data = _data(measurement)
    if measurement.error is not None:
        return _failed(measurement, data)
    texts, times = measurement.texts, _times(measurement)
    if not texts and not measurement.text:
        if measurement.parts:
            seen = f"the answer has no text, but {', '.join(measurement.parts)} ({times})"
            return Finding("ask", "unknown", seen, "Ask a question that gets a text.", data=data)
        return Finding("ask", "problem", f"the answer has no text ({times})", _EMPTY, data=data)
    if len(texts) <= 1:
        return _one_piece(measurement, times, data)
    found = [block for block in blocks(measurement) if block[2]]
    is_burst = texts[-1].seconds - texts[0].seconds <= _BURST * len(texts)
    if is_burst or (len(found) == 1 and not _comes_apart(measurement)):
        return _at_once(measurement, times, data, fixes() if is_burst else ())
    pauses = [after[0] - before[0] for before, after in pairwise(found)]
    if pauses and len(texts) / len(found) > _MOST_PER_BLOCK and median(pauses) >= _LONG_PAUSE:
        size = int(median(block[1] for block in found[:-1]))
        seen = f"the answer comes in {len(found)} blocks of about {size} bytes ({times})"
        found_fixes = fixes(block=size)
        return Finding("ask", "problem", seen, _buffered(found_fixes), found_fixes, data)
    return Finding("ask", "ok", f"the answer streams ({times})", data=data)


_FAILED = "The text comes from AI Engine or from the provider of the model. Look into the logs of AI Engine and PHP."
_EMPTY = "Usually the model has failed. The reason is in the logs of AI Engine."


def _one_piece(measurement: Measurement, times: str, data: dict[str, object]) -> Finding:
    """Return the finding for an answer with one piece of text, or with text at its end only."""
    if measurement.texts and len(measurement.text) <= _SHORT:
        return Finding("ask", "unknown", f"the answer is too short to tell ({times})", _LONGER, data=data)
    seen = f"the model or the plugin does not stream: the text comes in one piece ({times})"
    return Finding("ask", "warning", seen, _MODEL, (Fix("the model", "there is one piece only"),), data)


def _comes_apart(measurement: Measurement) -> bool:
    """Return whether most pieces came with a read of their own: a buffer joins them, a fast model does not."""
    return 2 * len({piece.read for piece in measurement.texts}) >= len(measurement.texts) > 2


def _at_once(measurement: Measurement, times: str, data: dict[str, object], fixes: tuple[Fix, ...]) -> Finding:
    """Return the finding for an answer whose pieces have all arrived at the same moment.

    Without ``fixes``, the moment was long enough for a fast model.
    """
    first = measurement.texts[0].seconds
    if first < _WAIT or len(measurement.texts) < _FEW or not fixes:
        return Finding("ask", "unknown", f"the answer is too short or too fast to tell ({times})", _LONGER, data=data)
    if measurement.head is not None and first - measurement.head >= _WAIT:
        held = "the head came early, so the body was held behind the first server that added it"
        fixes = (Fix(fixes[0].product, f"{fixes[0].sign}; {held}", fixes[0].lines), *fixes[1:])
    seen = f"the model streams, but a server holds the answer back: all pieces come at once ({times})"
    return Finding("ask", "problem", seen, _buffered(fixes), fixes, data)


def _failed(measurement: Measurement, data: dict[str, object]) -> Finding:
    error = measurement.error
    advice = _FAILED if isinstance(error, ServerError) else ""
    if isinstance(error, LimitReached):
        advice = "The limit is in the settings of AI Engine (Insights, Limits)."
    elif isinstance(error, RateLimited):
        advice = "The web server or the network in front limits requests. Raise its limit for the chat."
    elif isinstance(error, Truncated):
        advice = (
            "A server cut the answer. Raise max_execution_time (PHP), request_terminate_timeout (PHP-FPM), "
            "fastcgi_read_timeout and proxy_read_timeout (nginx), Timeout and ProxyTimeout (Apache)."
        )
    return Finding("ask", "problem", f"{type(error).__name__}: {error}", advice, data=data)


def _buffered(fixes: tuple[Fix, ...]) -> str:
    return f"Probably {fixes[0].product}. Change one thing at a time, in this order, and ask again:"


def _times(measurement: Measurement) -> str:
    """Return the measured times and counts in words."""
    parts = [
        f"{name} after {value:.1f} s"
        for name, value in (("head", measurement.head), ("first event", measurement.first), ("last", measurement.last))
        if value is not None
    ]
    counts = [_number(len(measurement.texts), "piece"), _number(len(measurement.reads), "read")]
    return f"{', '.join(parts)}; {' in '.join(counts)}"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _data(measurement: Measurement) -> dict[str, object]:
    return {
        "status": measurement.status,
        "head_seconds": measurement.head,
        "first_event_seconds": measurement.first,
        "last_event_seconds": measurement.last,
        "pieces": len(measurement.texts),
        "reads": len(measurement.reads),
        "characters": len(measurement.text),
    }
