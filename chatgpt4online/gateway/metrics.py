"""The metrics of a gateway, in the form of Prometheus."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from .. import InvalidInput

_FIRST = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)  # seconds; a model can think for long before its first event
_WHOLE = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)  # seconds; the time of an answer
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client reads it when it is imported


class Metrics:
    """Counts the requests and the answers of one application.

    Several processes share their numbers if the environment variable ``PROMETHEUS_MULTIPROC_DIR`` names a folder.
    Raises InvalidInput if files cannot be written there, since each request would fail.
    """

    def __init__(self) -> None:
        folder = os.environ.get(_FOLDER)
        if folder is not None and not (os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)):
            raise InvalidInput(f"{_FOLDER} names a folder in which the gateway can write files, and not {folder!r}")
        self._registry = CollectorRegistry()
        common: dict[str, Any] = {"registry": self._registry, "namespace": "chatgpt4online_gateway"}
        counter: Callable[..., Counter] = partial(Counter, **common)
        histogram: Callable[..., Histogram] = partial(Histogram, **common)
        gauge: Callable[..., Gauge] = partial(Gauge, **common, multiprocess_mode="livesum")
        requests = "Requests, by the status; it is 499 if the client closed the connection"
        self.requests: Counter = counter("requests", requests, ["route", "model", "status"])
        failures = "Answers that failed, by the class of the error"
        self.failures: Counter = counter("site_errors", failures, ["site", "error"])
        first = "Time from the request to the first event of the answer"
        self.first_event: Histogram = histogram("first_event_seconds", first, ["site"], buckets=_FIRST)
        whole = "Time from the request to the end of the answer"
        self.answer: Histogram = histogram("answer_seconds", whole, ["site"], buckets=_WHOLE)
        self.running: Gauge = gauge("answers_running", "Answers that are under way", ["site"])
        self.waiting: Gauge = gauge("requests_waiting", "Requests that wait until the site is asked", ["site"])
        self.sessions: Gauge = gauge("sessions", "API users whose session at the site is kept", ["site"])

    def text(self) -> bytes:
        """Return the metrics of this process, or of all processes."""
        registry = self._registry
        if _FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
