"""Print findings: as text, as JSON, and as Markdown for the support of a host."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from ... import __version__
from ..streams import open_output, visible, write
from .findings import Finding, is_healthy

WHAT = "the findings"
_INDENT = " " * 10
_WIDTH = 88  # columns in a pipe
_HINT = 'To check whether answers stream, add --ask "Count to 50 in words." It asks one question.'
_COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red", "unknown": "cyan", "skipped": "dim"}


def print_finding(finding: Finding) -> None:
    """Print a finding as text: the verdict, the step, what was seen, what to do, and lines of configuration."""
    text = "\n".join(_lines(finding, _columns())) + "\n"
    if open_output(WHAT).isatty():
        with suppress(ImportError):  # rich is in the extra "cli"
            _print_rich(finding, text)
            return
        text = visible(text)
    write(text, WHAT)


def _columns() -> int:
    """Return the width of the terminal, or of the text in a pipe."""
    return shutil.get_terminal_size((_WIDTH, 0)).columns if open_output(WHAT).isatty() else _WIDTH


def print_summary(findings: Sequence[Finding]) -> None:
    """Print the last line: healthy or not, and the number of problems and warnings.

    For a healthy site, the next line says how to check whether answers stream, if that was not checked.
    """
    hint = ""
    if is_healthy(findings) and all(finding.step != "ask" for finding in findings):
        hint = textwrap.fill(_HINT, _columns()) + "\n"
    write(f"\n{summary(findings)}\n{hint}", WHAT)


def summary(findings: Sequence[Finding]) -> str:
    """Return in words whether a site is healthy."""
    counts = [
        f"{count} {verdict}{'s' if count > 1 else ''}"
        for verdict in ("problem", "warning")
        if (count := sum(finding.verdict == verdict for finding in findings))
    ]
    state = "healthy" if is_healthy(findings) else "not healthy"
    return f"{state}: {', '.join(counts)}" if counts else f"{state}: no problem was found"


def record(site: str, findings: Sequence[Finding], seconds: float, now: float) -> dict[str, Any]:
    """Return all findings of a run as one object of JSON. ``now`` is a time in seconds since 1970."""
    return {
        "site": site,
        "time": int(now),
        "seconds": seconds,
        "healthy": is_healthy(findings),
        "findings": [finding.to_dict() for finding in findings],
    }


def report(site: str, findings: Sequence[Finding], day: str) -> str:
    """Return all findings of a run as Markdown. The findings hold no secrets."""
    parts = [
        f"# Check of the chatbot at {_cell(site)}",
        f"{day}, by chatgpt4online {__version__}: {summary(findings)}.",
        "| step | verdict | seen |\n| --- | --- | --- |\n"
        + "\n".join(f"| {finding.step} | {finding.verdict} | {_cell(finding.seen)} |" for finding in findings),
    ]
    for finding in findings:
        if finding.verdict in ("problem", "warning") and (finding.advice or finding.fixes):
            parts.append(f"## {finding.step}: {finding.verdict}")
            parts += [_escaped(finding.advice)] if finding.advice else []
            parts += [part for fix in finding.fixes for part in _fix_parts(fix.product, fix.sign, fix.lines)]
    parts.append("Nonces, cookies, passwords, session ids, tokens, API keys and addresses of visitors are left out.")
    return "\n\n".join(visible(part) for part in parts) + "\n"


def _fix_parts(product: str, sign: str, lines: Iterable[str]) -> list[str]:
    code = "\n".join(lines)
    return [f"**{_escaped(product)}**: {_escaped(sign)}.", *([f"```\n{code}\n```"] if code else [])]


def _lines(finding: Finding, width: int) -> list[str]:
    lines = _wrapped(f"{finding.verdict:<8}  {finding.step}: {finding.seen}", width)
    if finding.advice and finding.verdict != "skipped":
        lines += _wrapped(f"{_INDENT}-> {finding.advice}", width, _INDENT + "   ")
    for number, fix in enumerate(finding.fixes, 1):
        lines += _wrapped(f"{_INDENT}{number}. {fix.product}: {fix.sign}", width, _INDENT + "   ")
        lines += [f"{_INDENT}       {line}" for line in fix.lines]
    return lines


def _wrapped(text: str, width: int, indent: str = _INDENT) -> list[str]:
    return textwrap.wrap(text, max(width, 30), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _print_rich(finding: Finding, text: str) -> None:
    from rich.console import Console  # noqa: PLC0415  # an optional dependency
    from rich.text import Text  # noqa: PLC0415  # as above

    shown = Text(visible(text))
    shown.stylize(_COLOURS[finding.verdict], 0, len(finding.verdict))
    Console(soft_wrap=True).print(shown, end="")


def _cell(text: str) -> str:
    """Return a text for a cell of a table of Markdown."""
    return _escaped(" ".join(text.split())).replace("|", "\\|")


def _escaped(text: str) -> str:
    """Return a text without markup: characters that Markdown or HTML would read are escaped."""
    for character in "\\`*_<>[]":
        text = text.replace(character, f"\\{character}")
    return text
