"""A row of the table, and the function that runs one driver in it."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..support.server import Peer, Server

TIMEOUT = 2.0  # seconds that every driver waits for the next bytes; loopback is much faster, also on a busy machine
CELL_SECONDS = 8.0  # for one driver in one situation; a driver that takes longer does not handle it

# Variables of a user's shell that drivers read. A situation sets those that it is about.
_READ_BY_DRIVERS = ("_proxy", "ssl_cert_file", "ssl_cert_dir", "requests_ca_bundle", "curl_ca_bundle", "netrc")


@dataclass(frozen=True)
class Place:
    """The address of the site, the options of the driver, and the environment of the process.

    ``verify`` is True, the path of a CA bundle, or the caller's own context. ``times`` is the number of questions that
    one client asks. ``pause`` is the time in seconds before each question, and between a loop's nonce and its question.
    """

    site: str
    proxy: str | None = None
    verify: bool | str | ssl.SSLContext = True
    environment: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    pause: float = 0.0
    prompt: str = "Hi"


@dataclass
class Outcome:
    """The result for a driver's caller: the pieces of text, the error, and the seconds until the end."""

    pieces: list[str] = field(default_factory=list)
    error: BaseException | None = None
    is_over: bool = False
    seconds: float = 0.0

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def __str__(self) -> str:
        if not self.is_over:
            return f"{self.text!r}, and then the driver hangs"
        error = f", {type(self.error).__name__}: {self.error}" if self.error is not None else ""
        return f"{self.text!r}{error}".replace("\n", " ")[:300]


Driver = Callable[[Place, Outcome], None]
"""Asks the questions of a place, adds each piece of text to the outcome as it arrives, and raises the error."""


@dataclass(frozen=True)
class Situation:
    """One row. ``open`` starts the servers, and ``handles`` returns whether an outcome is correct."""

    group: str
    name: str
    open: Callable[[], AbstractContextManager[Place]]
    handles: Callable[[Outcome], bool]


def says(text: str) -> Callable[[Outcome], bool]:
    """Return a check that the whole answer is this text, without an error."""
    return lambda outcome: outcome.error is None and outcome.text == text


def tells(words: str = "", text: str = "") -> Callable[[Outcome], bool]:
    """Return a check that this text is followed by an error with these words."""
    return lambda outcome: outcome.error is not None and words in str(outcome.error) and outcome.text == text


hello = says("Hello")


def hello_or_error(outcome: Outcome) -> bool:
    """Return whether the answer is whole, or an error reports that it is not."""
    return hello(outcome) or (tells()(outcome) and "empty answer" not in str(outcome.error))


def served(script: Callable[[], Callable[[Peer], None]], **options: Any) -> Callable[[], AbstractContextManager[Place]]:
    """Return a function that starts one server with the script and returns its place.

    The options are those of Place.
    """

    @contextmanager
    def opened() -> Iterator[Place]:
        with Server(script()) as server:
            yield Place(server.url, **options)

    return opened


def run(situation: Situation, driver: Driver) -> Outcome:
    """Return the outcome of a driver in a situation, after at most CELL_SECONDS.

    A driver that hangs stays in its thread, which ends when its server closes the connections.
    """
    outcome = Outcome()
    with situation.open() as place, _environment(place.environment):
        thread = threading.Thread(target=_drive, args=(driver, place, outcome), daemon=True)
        began = time.monotonic()
        thread.start()
        thread.join(CELL_SECONDS)
        seen = Outcome(list(outcome.pieces), outcome.error, outcome.is_over, time.monotonic() - began)
    thread.join(CELL_SECONDS)
    return seen


def is_handled(situation: Situation, outcome: Outcome) -> bool:
    """Return whether the driver ended in time with a correct outcome."""
    return outcome.is_over and situation.handles(outcome)


def _drive(driver: Driver, place: Place, outcome: Outcome) -> None:
    try:
        driver(place, outcome)
    except Exception as error:
        outcome.error = error
    outcome.is_over = True


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Replace all variables that drivers read by these, and ignore a netrc file of the user."""
    before = dict(os.environ)
    for name in before:
        if name.lower().endswith(_READ_BY_DRIVERS):
            del os.environ[name]
    os.environ.update({"NETRC": os.devnull, **variables})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
