"""The findings in the text format of Prometheus, for the textfile collector of a node exporter."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence

from ..files import check_place, replaced
from .findings import VERDICTS, Finding, is_healthy

_WHAT = "the metrics"
_PREFIX = "chatgpt4online_doctor"
_MEASURED = {  # fields of the step ask
    "head_seconds": "Time from the question to the head of the answer.",
    "first_event_seconds": "Time from the question to the first event of the answer.",
    "last_event_seconds": "Time from the question to the last event of the answer.",
    "pieces": "Pieces of text in the answer.",
    "reads": "Reads of the body that the answer took.",
}


def metrics(site: str, findings: Sequence[Finding], seconds: float, now: float, asked: Finding | None) -> str:
    """Return the metrics of a run. ``now`` is a time in seconds since 1970; ``asked`` is the latest step ``ask``.

    The verdict of that step counts until the next question: an alert would not see it in one run of many.
    """
    if asked is not None and asked not in findings:
        findings = [*findings, asked]
    label = f'site="{_escaped(site)}"'
    lines = [
        *_metric("healthy", "Whether the run found no problem.", {label: int(is_healthy(findings))}),
        *_metric("last_run_timestamp_seconds", "Time of the end of the run.", {label: int(now)}),
        *_metric("duration_seconds", "Duration of the run.", {label: seconds}),
        *_metric(
            "step",
            "Verdict of each step: 1 for the present one, 0 for the others.",
            {
                f'{label},step="{finding.step}",verdict="{verdict}"': int(finding.verdict == verdict)
                for finding in findings
                for verdict in VERDICTS
            },
        ),
    ]
    for finding in findings:
        if finding.step == "tls" and "expires" in finding.data:
            end = {label: int(finding.data["expires"])}
            lines += _metric("certificate_expiry_timestamp_seconds", "Time at which the certificate expires.", end)
    if asked is not None:
        for name, meaning in _MEASURED.items():
            if (value := asked.data.get(name)) is not None:
                lines += _metric(f"ask_{name}", meaning, {label: round(value, 3)})
    return "\n".join(lines) + "\n"


def check_textfile(options: argparse.Namespace) -> None:
    """Raise Failure if the file of ``--textfile`` cannot be written."""
    if options.textfile is not None:
        check_place(options.textfile, _WHAT)


def write_textfile(path: str, text: str) -> None:
    """Replace a file as a whole, so that no reader sees a part of it. Raises Failure."""
    with replaced(path, _WHAT) as file:
        file.write(text.encode())


def _metric(name: str, meaning: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {_PREFIX}_{name} {meaning}"
    yield f"# TYPE {_PREFIX}_{name} gauge"
    for labels, value in values.items():
        yield f"{_PREFIX}_{name}{{{labels}}} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
