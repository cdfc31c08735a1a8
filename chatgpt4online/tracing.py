"""A call whose progress is measured and written to the log ``chatgpt4online``."""

from __future__ import annotations

import functools
import logging
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .protocol.calls.call import Answer
from .protocol.calls.request import Request
from .protocol.calls.turn import Drivable
from .protocol.parsing.bodies import mask_keys, printable, shown_url
from .protocol.parsing.errors import ChatError, ConnectionFailed, InvalidInput, TooLarge, public_headers
from .protocol.parsing.events import Event, Text

LOG_VARIABLE = "CHATGPT4ONLINE_LOG"
_LOG = logging.getLogger("chatgpt4online")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_LINE_ENDS = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")  # of some viewer; also characters that a terminal could run
_LONGEST_LINE = 500  # characters of an event in the log; an answer may have megabytes


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """The response to the last request that sent a question, as ``stream.response``.

    ``status`` is its HTTP status. ``headers`` is a dict with lower-case names; headers that carry secrets
    (``set-cookie``, ``x-wp-nonce`` and others) are left out. ``url`` is the address of the request, without secrets.
    ``seconds_to_head`` is the time from the sending of this request to the head of its response; it includes the time
    for a new connection. ``seconds_to_first_piece`` is the time from the sending to the first piece of the text, or
    None before that piece.
    """

    status: int
    headers: dict[str, str] = field(repr=False)
    url: str
    seconds_to_head: float
    seconds_to_first_piece: float | None = None


class TracedCall:
    """A call that measures its times and writes to the log. Otherwise it works as the exchange or turn inside it.

    The log gets a line at the level INFO for each request, and a line at DEBUG for each decision and each event. The
    level is looked up once, when the object is made. ``response`` is described at :attr:`Stream.response`.
    """

    def __init__(self, call: Drivable) -> None:
        self._call = call
        self._request: Request | None = None  # the last request, for the log
        self._sent = 0.0  # when it was sent, or will be after its delay, as time.monotonic() counts
        self._answer: Answer | None = None  # to the question
        self._seconds_to_head = 0.0
        self._seconds_to_first_piece: float | None = None
        self._logs_requests = _LOG.isEnabledFor(logging.INFO)
        self._logs_events = self._logs_requests and _LOG.isEnabledFor(logging.DEBUG)
        self._sent_urls: list[str] = []  # of all requests, if the log is on

    def __repr__(self) -> str:
        return repr(self._call)

    @property
    def over(self) -> bool:
        """Whether the last event was returned."""
        return self._call.over

    @property
    def text(self) -> str:
        """The text of the answer so far."""
        return self._call.text

    @property
    def shared_failure(self) -> ChatError | None:
        """The error of the search for a nonce that other calls share, or None."""
        return self._call.shared_failure

    @property
    def has_begun(self) -> bool:
        """Whether an event of the answer was returned, other than ``Failed``."""
        answer = self._call.answer
        return answer is not None and answer.has_given_events

    @property
    def response(self) -> ResponseInfo | None:
        """The response to the last request that sent the question, or None before its head has arrived."""
        answer = self._answer
        if answer is None:
            return None
        headers, url = public_headers(answer.headers), shown_url(answer.request.url)
        return ResponseInfo(answer.status, headers, url, self._seconds_to_head, self._seconds_to_first_piece)

    def result(self) -> Any:
        """Return the value of the call, or raise its error."""
        return self._call.result()

    def next_request(self) -> Request | None:
        """Return the request to send now, or None if the call is over."""
        request = self._call.next_request()
        if request is not None:
            self._request = request.without_body() if self._logs_requests else None
            self._sent = time.monotonic() + request.delay
            if not request.exclusive:
                self._answer = None
        return request

    def receive_response(self, status: int, headers: Iterable[tuple[str, str]]) -> list[Event]:
        """Process the head of the answer to the last request."""
        seconds = time.monotonic() - self._sent
        events = self._call.receive_response(status, headers)
        if (answer := self._call.answer) is not None:
            self._answer, self._seconds_to_head, self._seconds_to_first_piece = answer, seconds, None
        if self._logs_requests:
            self._log_request(f"HTTP {status}", seconds)
        return events

    def receive_data(self, data: bytes) -> list[Event]:
        """Return the events that are complete with these bytes of the body."""
        return self._observe(self._call.receive_data(data))

    def receive_eof(self) -> list[Event]:
        """Return the last events of the answer."""
        return self._observe(self._call.receive_eof())

    def receive_error(self, error: ConnectionFailed | TooLarge) -> list[Event]:
        """Process a failure of the network."""
        if self._logs_requests:
            self._log_request(_one_line(f"{type(error).__name__}: {error}"), time.monotonic() - self._sent)
        return self._observe(self._call.receive_error(error))

    def receive_failure(self, error: ChatError) -> list[Event]:
        """End the call with the error of another call's search for a nonce."""
        return self._observe(self._call.receive_failure(error))

    def _observe(self, events: list[Event]) -> list[Event]:
        """Measure the time of the first piece, and write decisions and events to the log. Return the events."""
        if self._seconds_to_first_piece is None and any(isinstance(event, Text) for event in events):
            self._seconds_to_first_piece = time.monotonic() - self._sent
        if self._logs_events:
            for decision in self._call.take_decisions():
                _LOG.debug("%s", _one_line(decision))
            for event in events:
                _LOG.debug("%s", _one_line(_shown(event)))
        return events

    def _log_request(self, outcome: str, seconds: float) -> None:
        """Write a line about the last request to the log: method, path, outcome, seconds and number of the try."""
        request = self._request
        if request is not None:
            self._sent_urls.append(request.url)
            path = "/" + _one_line(shown_url(request.url)).partition("://")[2].partition("/")[2]
            tries = self._sent_urls.count(request.url)
            _LOG.info("%s %s: %s after %.3f s (try %d)", request.method, path, outcome, seconds, tries)


def _shown(event: Event) -> str:
    """Return the ``repr`` of an event, or only its type if a site has nested it too deeply."""
    try:
        return repr(event)
    except RecursionError:
        return f"{type(event).__name__}(nested too deeply)"


def _one_line(text: str) -> str:
    """Return the beginning of a text for the log, in one line, with the keys and nonces in it masked."""
    beginning = text[: 4 * _LONGEST_LINE]  # so that no key is cut in the part that is written
    return printable(mask_keys(_LINE_ENDS.sub(" ", beginning)))[:_LONGEST_LINE]


@functools.cache
def start_logging() -> None:
    """Write the log to standard error, if the environment variable ``CHATGPT4ONLINE_LOG`` names a level.

    Only the first call in a process does so. If the program has set up a handler for the log, only the level is set.
    Raises InvalidInput for a value that is not the name of a level.
    """
    level = os.environ.get(LOG_VARIABLE, "").strip().upper()
    if not level:
        return
    if level not in _LEVELS:
        raise InvalidInput(f"{LOG_VARIABLE} is one of {', '.join(_LEVELS).lower()}, not {level.lower()[:80]!r}")
    _LOG.setLevel(level)
    if not _LOG.hasHandlers():
        handler = logging.StreamHandler()
        handler.addFilter(lambda _: not logging.getLogger().handlers)  # the program may set up its own later
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        _LOG.addHandler(handler)
