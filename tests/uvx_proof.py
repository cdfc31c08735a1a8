"""Run the first command of the documentation with a built wheel: ``python -m tests.uvx_proof WHEEL``.

It downloads what the wheel and its extra ``cli`` need into a directory, which is the only index that uvx gets. The site
of the command is one on loopback.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from chatgpt4online.testing import serve_site

DOCUMENT = Path(__file__).parent.parent / "docs" / "index.rst"
_COMMAND = re.compile(r"^    (uvx .*)$", re.MULTILINE)


def command() -> str:
    """Return the first command of the documentation."""
    found = _COMMAND.search(DOCUMENT.read_text("utf-8"))
    assert found is not None, f"{DOCUMENT.name} has no line that begins with uvx"
    return found[1]


def main(wheel: str) -> int:
    """Run the command. Return 0 if it finds that the site is healthy."""
    with tempfile.TemporaryDirectory() as place, serve_site() as site:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", place]
        subprocess.run([*pip, f"{Path(wheel).resolve()}[cli]"], check=True)
        words = shlex.split(command().replace("https://example.org", site.url))
        index = {"UV_NO_INDEX": "1", "UV_FIND_LINKS": place, "UV_CACHE_DIR": f"{place}/cache"}
        env = os.environ | index | {"UV_PYTHON": sys.executable}
        ended = subprocess.run(words, check=False, cwd=place, env=env, stdout=subprocess.PIPE, text=True)
    print(f"{command()}\n{ended.stdout}")
    return ended.returncode if "healthy: no problem was found" in ended.stdout else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
