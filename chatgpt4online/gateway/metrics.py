"""The metrics of a gateway, in the form of Prometheus."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

_PREFIX = "chatgpt4online_gateway"
_FIRST = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)  # seconds; the time that a model thinks
_WHOLE = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)  # seconds; the time of an answer


class Metrics:
    """Counts the requests and the answers of one application.

    Several processes share their numbers if the environment variable ``PROMETHEUS_MULTIPROC_DIR`` names a folder.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            f"{_PREFIX}_requests",
            "Requests by their status; 499 if the client left",
            ["route", "model", "status"],
            registry=registry,
        )
        self.first_event = Histogram(
            f"{_PREFIX}_first_event_seconds",
            "Time from the request to the first event of the answer",
            ["site"],
            registry=registry,
            buckets=_FIRST,
        )
        self.answer = Histogram(
            f"{_PREFIX}_answer_seconds",
            "Time from the request to the end of the answer",
            ["site"],
            registry=registry,
            buckets=_WHOLE,
        )
        self.failures = Counter(
            f"{_PREFIX}_site_errors",
            "Answers that failed, by the class of the error",
            ["site", "error"],
            registry=registry,
        )
        self.running = Gauge(
            f"{_PREFIX}_answers_running",
            "Answers that are under way",
            ["site"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.waiting = Gauge(
            f"{_PREFIX}_requests_waiting",
            "Requests that wait for a place",
            ["site"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.sessions = Gauge(
            f"{_PREFIX}_sessions",
            "API users whose session is kept",
            ["site"],
            registry=registry,
            multiprocess_mode="livesum",
        )

    def text(self) -> bytes:
        """Return the metrics of this process, or of all processes."""
        registry = self._registry
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
        return generate_latest(registry)
