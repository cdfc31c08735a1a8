"""The options of a site, checked."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..protocol.parsing.errors import InvalidInput
from .answers import Answer, Script
from .widgets import Widget

_PERMALINKS = {"pretty": True, "plain": False}


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments of ``serve_site``."""

    script: Script
    bots: tuple[Widget, ...]
    max_length: int
    limit_after: int | None
    pause: float
    port: int
    pretty: bool
    path: str
    language: str
    session_closed: bool
    users: Mapping[str, str]


def read_options(
    answer: Script | None,
    *,
    bots: Iterable[str | Widget],
    max_length: int,
    limit_after: int | None,
    pause: float,
    port: int,
    permalinks: str,
    path: str,
    language: str,
    session_closed: bool,
    users: Mapping[str, str] | None,
) -> Options:
    """Return the options in these arguments of ``serve_site``. Raises InvalidInput for values that cannot be used."""
    if permalinks not in tuple(_PERMALINKS):
        raise InvalidInput(f"permalinks must be one of {', '.join(_PERMALINKS)}, not {permalinks!r}")
    options = Options(
        script=_as_script(answer),
        bots=_as_widgets(bots),
        max_length=max_length,
        limit_after=limit_after,
        pause=pause,
        port=port,
        pretty=_PERMALINKS[permalinks],
        path=path,
        language=language,
        session_closed=session_closed,
        users={} if users is None else users,
    )
    _check(options)
    return options


def _check(options: Options) -> None:
    length, limit, pause, port = options.max_length, options.limit_after, options.pause, options.port
    path, language, users = options.path, options.language, options.users
    names = isinstance(users, Mapping) and all(
        isinstance(word, str) and word for pair in users.items() for word in pair
    )
    for name, value, good, wanted in (
        ("max_length", length, isinstance(length, int) and length >= 1, "a whole number, at least 1"),
        ("limit_after", limit, limit is None or _is_count(limit), "None or a whole number, at least 0"),
        ("pause", pause, isinstance(pause, int | float) and 0 <= pause < math.inf, "a number of seconds"),
        ("port", port, isinstance(port, int) and 0 <= port <= 65535, "a whole number from 0 to 65535"),
        ("path", path, _matches(r"((/[A-Za-z0-9_-]+)+)?", path), "empty, or like '/blog'"),
        ("language", language, _matches(r"[A-Za-z-]*", language), "empty, or a code such as 'fr'"),
        ("language", language, options.pretty or not language, "for pretty permalinks only"),
        ("users", users, names and not any(set(user) & set(":|;") for user in users), "a dict of names and passwords"),
    ):
        if not good:
            raise InvalidInput(f"{name} must be {wanted}, not {value!r}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def _matches(pattern: str, value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _as_widgets(bots: object) -> tuple[Widget, ...]:
    found = tuple(bots) if isinstance(bots, Iterable) and not isinstance(bots, str) else ()
    if not found or not all(isinstance(bot, Widget) or (isinstance(bot, str) and bot) for bot in found):
        raise InvalidInput(f"bots must be a list with at least one name or Widget, not {bots!r}")
    return tuple(bot if isinstance(bot, Widget) else Widget(bot) for bot in found)


def _as_script(answer: Script | None) -> Script:
    if answer is None:
        return lambda chat: f"You said: {chat.message}"
    if isinstance(answer, list | tuple) and not answer:
        raise InvalidInput(f"answer must have at least one piece, but it is an empty {type(answer).__name__}")
    return answer if callable(answer) or isinstance(answer, Answer) else Answer(answer)
