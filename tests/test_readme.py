"""The README's code blocks run, against the site on loopback."""

import re
from pathlib import Path

import docutils.core
import docutils.utils
import pytest

from chatgpt4online.testing import serve_site

README = Path(__file__).parent.parent / "README.rst"
BLOCKS = re.findall(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", README.read_text(), re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.strip().splitlines()[0])
def test_code_block_runs(block, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with serve_site() as site:
        code = "\n".join(line[4:] for line in block.splitlines())
        code = re.sub("https?://example.org", site.url, code)
        exec(compile(code, str(README), "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out or "assert" in code


@pytest.mark.parametrize(
    "name", ["README.rst", "CHANGELOG.rst", "CONTRIBUTING.rst", "docs/architecture.rst", "docs/behaviour.rst"]
)
def test_document_is_sound(name):
    text = (README.parent / name).read_text()
    settings = {"report_level": docutils.utils.Reporter.WARNING_LEVEL, "halt_level": 2}
    docutils.core.publish_doctree(text, settings_overrides=settings)
