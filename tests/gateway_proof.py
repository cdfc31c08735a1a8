"""Ask the gateway of an installed package: ``python -m tests.gateway_proof PROGRAM``.

``PROGRAM`` is the installed ``chatgpt4online``. Its package needs the extra ``gateway``, and has to hold the page
too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from urllib.request import Request, urlopen

_BODY = {"model": "default", "messages": [{"role": "user", "content": "Hello"}]}
_SECONDS = 60


def main(program: str) -> int:
    """Start the gateway to the demo. Return 0 if it answers a question and has the page."""
    command = [program, "serve", "--demo", "--port", "0"]
    with (
        tempfile.TemporaryDirectory() as place,
        subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            line = process.stdout.readline().strip()
            base = line.removeprefix("OPENAI_BASE_URL=")
            data = json.dumps(_BODY).encode()
            question = Request(f"{base}/chat/completions", data, {"Content-Type": "application/json"})
            with urlopen(question, timeout=_SECONDS) as response:
                answer = json.load(response)["choices"][0]["message"]["content"]
            with urlopen(base.removesuffix("v1"), timeout=_SECONDS) as response:
                page = response.read().decode()
        finally:
            process.terminate()
    print(f"{line}\n{answer}\n{page[:15]}")
    has_page = re.match("<!doctype html>", page, re.IGNORECASE) is not None
    return 0 if answer == "You said: Hello" and has_page else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
