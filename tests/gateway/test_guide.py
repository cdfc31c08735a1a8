"""The guide of the gateway names what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chatgpt4online.gateway.metrics import Metrics
from chatgpt4online.gateway.parameters import CHAT_IGNORED, CHAT_REFUSED, RESPONSES_IGNORED, RESPONSES_REFUSED

from ..support.program import run_program

GUIDE = (Path(__file__).parent.parent.parent / "docs/guides/gateway.rst").read_text("utf-8")
LISTS = {
    "Refused in ``/v1/chat/completions``": CHAT_REFUSED,
    "Ignored in ``/v1/chat/completions``": CHAT_IGNORED,
    "Refused in ``/v1/responses``": RESPONSES_REFUSED,
    "Ignored in ``/v1/responses``": RESPONSES_IGNORED,
}


@pytest.mark.parametrize("beginning", LISTS)
def test_guide_lists_other_parameters(beginning: str) -> None:
    paragraph = next(text for text in GUIDE.split("\n\n") if text.startswith(beginning))
    assert re.findall(r"``([\w.]+)``", paragraph.removeprefix(beginning)) == list(LISTS[beginning])


def test_guide_lists_other_metrics() -> None:
    names = set(re.findall(r"``(chatgpt4online_gateway_\w+)``", GUIDE))
    shown = {line.split()[2] for line in Metrics().text().decode().splitlines() if line.startswith("# TYPE")}
    assert names == {name for name in shown if not name.endswith("_created")}


def test_guide_has_no_option_of_the_command() -> None:
    text = run_program("serve", "--help").stdout.partition("the connection:")[0]
    options = set(re.findall(r"^  (--[\w-]+)", text, re.MULTILINE)) - {"--help"}
    assert options
    assert [option for option in sorted(options) if option not in GUIDE] == []
