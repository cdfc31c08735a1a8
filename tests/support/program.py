"""The program as a process: its command, and an environment without variables that would change it."""

import os
import re
import sys

PROGRAM = [sys.executable, "-W", "error", "-m", "chatgpt4online"]
SECONDS = 60  # a wait takes about one second; the limit only ends a test that has failed


def program_environment(**changes: str) -> dict[str, str]:
    """Return the environment of the tests, without the variables that the command line reads, and with changes."""
    ignored = r"(?i)CHATGPT4ONLINE_|PYTHON(IOENCODING|UTF8|COERCECLOCALE|UNBUFFERED)|LC_|LANG|COLUMNS|LINES|.*_proxy"
    ignored += "|TERM|NO_COLOR|FORCE_COLOR|XDG_STATE_HOME"
    kept = {name: value for name, value in os.environ.items() if not re.match(ignored, name)}
    return kept | {"LC_ALL": "C.UTF-8"} | changes
