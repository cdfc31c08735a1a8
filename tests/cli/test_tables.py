"""Tables on terminals of any width."""

import io
import re

import pytest

from chatgpt4online.cli.tables import print_table


class Terminal(io.StringIO):
    """Standard output as a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [20, 40, 80, 500])
def test_narrow_terminal_loses_a_part_of_a_cell(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    output = Terminal()
    monkeypatch.setattr("sys.stdout", output)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")  # rich takes a dumb terminal for one of 80 columns
    cells = "chatbot-k3vj2x-support", "Assistant", "https://example.org/a/long/address/of/a/page"
    print_table(("bot", "name", "address"), [cells], "the list")
    plain = re.sub(r"\x1b\[[\d;]*m", "", output.getvalue())
    assert "\N{HORIZONTAL ELLIPSIS}" not in plain
    shown = plain.split()
    assert len("".join(shown)) == len("".join(("bot", "name", "address", *cells)))
