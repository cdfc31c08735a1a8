"""Bugs that others have made, put into the protocol layer one by one: ``python -m tests.mutants`` says who dies.

Each mutant is a change of the source in a temporary copy of the package. The tests must fail for each of them, and
pass without any; it is the tests that are tested. Rerun it when the layer changes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
SECONDS = 300
PARALLEL = 2
SLOW = "prefix_equation_for_each_rarity"  # right, but half a minute for each mutant; the rest has to suffice


@dataclass(frozen=True)
class Mutant:
    """``old`` stands exactly once in the module and becomes ``new``; ``tests`` are the files that should notice."""

    name: str
    module: str
    old: str
    new: str
    tests: tuple[str, ...]


PARSER = ("test_parser",)
TURN = ("test_turn",)
ANSWERS = ("test_answers",)
LINES = ("test_sse", "test_parser")
PAGE = ("test_page",)
DISCOVERY = ("test_discovery",)
CALLS = ("test_calls",)

MUTANTS = [
    Mutant("CR ends no line", "sse", 'cut = data.rfind(b"\\r", cut) + 1 or cut', "cut = cut or 0", LINES),
    Mutant("the unfinished line is lost", "sse", "lines = self.flush() + lines", "self.flush()", LINES),
    Mutant(
        "the unfinished line comes twice",
        "sse",
        "line = bytes(self.held)\n        self.held = bytearray()",
        "line = bytes(self.held)",
        LINES,
    ),
    Mutant(
        "only the first line of a piece", "sse", 'cut = data.rfind(b"\\n") + 1', 'cut = data.find(b"\\n") + 1', LINES
    ),
    Mutant("the byte order mark stays", "parser", 'line = line.lstrip("\\ufeff")', "line = line + ''", PARSER),
    Mutant(
        "a space is taken for granted",
        "parser",
        'payload := line[5:].strip(" \\t")',
        'payload := line[6:].strip(" \\t")',
        PARSER,
    ),
    Mutant(
        "bad UTF-8 is dropped", "parser", 'lines.decode("utf-8", "replace")', 'lines.decode("utf-8", "ignore")', PARSER
    ),
    Mutant(
        "U+2028 ends a line",
        "parser",
        'text = text.replace("\\r", "\\n")',
        'text = text.replace("\\r", "\\n").replace("\\u2028", "\\n")',
        PARSER,
    ),
    Mutant("every subtype is a notice", "parser", 'if subtype and subtype != "content":', "if subtype:", PARSER),
    Mutant("notices are text", "parser", 'if subtype and subtype != "content":', 'if subtype == "thinking":', PARSER),
    Mutant(
        "null is text",
        "parser",
        "elif data is not None:\n                events.append(_malformed(line))",
        "else:\n                events.append(Text(''))",
        PARSER,
    ),
    Mutant(
        "bad events are dropped",
        "parser",
        "except ValueError:\n                    events.append(_malformed(line))",
        "except ValueError:\n                    pass",
        PARSER,
    ),
    Mutant(
        "the first error counts, empty or not",
        "parser",
        "self._empty_error = True  #",
        'self._fail(ServerError("?"), events)  #',
        PARSER,
    ),
    Mutant("false is malformed", "parser", "if data is not False:", "if data is not None:", PARSER),
    Mutant("the late text comes always", "parser", "elif not self._text.tell():", "else:", PARSER),
    Mutant("success is taken for granted", "parser", 'if not final.get("success", True):', "if False:", PARSER),
    Mutant("the limit is one too small", "parser", "if size > limit:", "if size >= limit:", PARSER),
    Mutant(
        "lines count their ends",
        "parser",
        "size = len(lines) - 1 if lines else",
        "size = len(lines) if lines else",
        PARSER,
    ),
    Mutant("the limit forgets the lines before", "parser", "size += self._other_size", "size += 0", PARSER),
    Mutant("a run skips a byte", "parser", "start = end + 2 + _PLAIN_SIZE", "start = end + 3 + _PLAIN_SIZE", PARSER),
    Mutant(
        "a run loses its last text",
        "parser",
        'if texts:\n            self._add_text("".join(texts))',
        'if texts:\n            self._add_text("".join(texts[:-1]))',
        PARSER,
    ),
    Mutant(
        "the text so far is not told", "parser", "error.partial_text = self.text", 'error.partial_text = ""', PARSER
    ),
    Mutant("the last line is lost", "parser", 'self._read(line + b"\\n", events)', "pass", PARSER),
    Mutant(
        "old warnings stay",
        "parser",
        "self._streamed = True\n            self._forget_other()",
        "self._streamed = True",
        PARSER,
    ),
    Mutant(
        "a stale nonce is a refusal like any",
        "answers",
        "if code in (STALE_NONCE, NO_NONCE):\n        kind = NonceRefused",
        "if code == NO_NONCE:\n        kind = NonceRefused",
        ANSWERS,
    ),
    Mutant("JSON in dirt is not found", "answers", 'r"^[ \\t\\ufeff]*(\\{)"', 'r"\\A[ \\t\\ufeff]*(\\{)"', ANSWERS),
    Mutant(
        "dates are not understood", "answers", "(then - now).total_seconds()", "(now - then).total_seconds()", ANSWERS
    ),
    Mutant("a stream's end is an odd body", "answers", "if streamed:", "if streamed and body:", ANSWERS),
    Mutant("nonces are renewed for ever", "exchange", "self._renewed = True", "self._renewed = False", TURN),
    Mutant("renewed after events", "exchange", "if self._spoke:", "if False:", TURN),
    Mutant("503 is final", "exchange", "_BUSY = (429, 503)", "_BUSY = (429,)", TURN),
    Mutant("every wait is the same", "exchange", "0.5 * 2**self._failures", "0.5", TURN),
    Mutant("waits as long as it is told", "exchange", "(wait or 0.0) > LONGEST_WAIT", "False", TURN),
    Mutant("the nonce goes along", "exchange", 'self._session.nonce = ""  #', "pass  #", TURN),
    Mutant(
        "credentials go along",
        "exchange",
        "withheld = set() if origin(url) == self._home else CREDENTIALS",
        "withheld = set()",
        TURN,
    ),
    Mutant("the caller's nonce goes to the handshake", "exchange", 'withheld | {"x-wp-nonce"}', "withheld", TURN),
    Mutant(
        "the handshake speaks",
        "exchange",
        "return self._prepare(events[-1])",
        "return [*events[:-1], *self._prepare(events[-1])]",
        TURN,
    ),
    Mutant(
        "an answer comes twice",
        "exchange",
        "self._asked, self._asked_step, self._request = self._request, self._step, None",
        "self._asked, self._asked_step = self._request, self._step",
        TURN,
    ),
    Mutant(
        "JSON without a value raises",
        "parser",
        "except (ValueError, StopIteration, RecursionError):\n            pass",
        "except (ValueError, RecursionError):\n            pass",
        PARSER,
    ),
    Mutant("a raw CR is white space", "parser", ' and "\\r" not in text', "", PARSER),
    Mutant(
        "an event's limit depends on the cut",
        "parser",
        'head == b"data:" or (not lines and b"data:".startswith(head))',
        'head == b"data:"',
        PARSER,
    ),
    Mutant(
        "one event alone is no stream",
        "parser",
        "self._streamed = True\n                    if self._other_size:",
        "if self._other_size:",
        PARSER,
    ),
    Mutant("redirects without end", "exchange", "self._redirects > _MOST_REDIRECTS", "self._redirects > 99", TURN),
    Mutant(
        "repeated when it cannot help", "exchange", "if not reading and error.retryable and", "if not reading and", TURN
    ),
    Mutant(
        "repeated after the answer began",
        "exchange",
        "if not reading and error.retryable and",
        "if error.retryable and",
        TURN,
    ),
    Mutant("pages escape once", "page", "(value, html.unescape(value))", "(value,)", PAGE),
    Mutant(
        "ids may be numbers", "page", "return str(value) if isinstance(value, str | int)", "return value if True", PAGE
    ),
    Mutant(
        "a broken widget counts", "page", "for system, params in found if system]", "for system, params in found]", PAGE
    ),
    Mutant("any class like it", "page", 'attributes.get("class", "").split()', 'attributes.get("class", "")', PAGE),
    Mutant("N/A is a session", "page", '"" if session_id == "N/A" else session_id', "session_id", PAGE),
    Mutant(
        "a page's limit is one too small",
        "page",
        "len(self._body) + len(data) <= self._limit",
        "len(self._body) + len(data) < self._limit",
        PAGE,
    ),
    Mutant(
        "one root is enough",
        "exchange",
        "if self._roots:\n                return",
        "if False:\n                return",
        DISCOVERY,
    ),
    Mutant(
        "the Link header is not read",
        "exchange",
        'find_root("", self._answer_headers.get("link", ""))',
        '""',
        DISCOVERY,
    ),
    Mutant(
        "what was found is forgotten", "exchange", "self._session.root or self._roots[0]", "self._roots[0]", DISCOVERY
    ),
    Mutant(
        "a login starts a session",
        "exchange",
        'any("wordpress_logged_in" in value for value in self._headers.values())',
        "False",
        DISCOVERY,
    ),
    Mutant("places for ever", "exchange", "_MOST_ROOTS = 6", "_MOST_ROOTS = 99", DISCOVERY),
    Mutant(
        "a login is renewed as a guest's",
        "exchange",
        "self._visiting = self._logged_in\n            self._session",
        "self._visiting = False\n            self._session",
        DISCOVERY,
    ),
    Mutant(
        "closed sessions are the end",
        "exchange",
        "isinstance(error, NonceRefused) and error.code != NO_NONCE",
        "isinstance(error, NonceRefused)",
        DISCOVERY,
    ),
    Mutant(
        "the last error counts",
        "exchange",
        "self._missing = self._missing or error",
        "self._missing = error",
        DISCOVERY,
    ),
    Mutant("no way up", "exchange", "(named, parent_root(self._root))", "(named,)", DISCOVERY),
    Mutant("pages do not move", "exchange", ' or (target and asked.method == "GET")', "", DISCOVERY),
    Mutant(
        "an upload is not sent along",
        "turn",
        "(*self._submission.file_ids, self._uploads.pop(0).value().id)",
        "(self._uploads.pop(0).value().id,)[1:]",
        CALLS,
    ),
    Mutant("a failed upload is no matter", "turn", "self._fail(failed[0].error) if failed else []", "[]", CALLS),
    Mutant("a token needs a nonce", "calls", "self._anonymous = token is not None", "self._anonymous = False", CALLS),
    Mutant(
        "None is sent",
        "calls",
        "for key, value in fields.items() if value is not None}",
        "for key, value in fields.items()}",
        CALLS,
    ),
    Mutant("a name may end its quotes", "wire", '.replace(\'"\', "%22")', "", CALLS),
    Mutant("a file is read at once", "wire", "file.read(min(left, _UPLOAD_PIECE))", "file.read()", CALLS),
    Mutant(
        "one Link header of several",
        "wire",
        'if name == "link" and name in folded else',
        "if False else",
        ("test_wire",),
    ),
    Mutant(
        "pictures of the past are dropped",
        "messages",
        "if any(number < len(prompt) - 1 for number, _ in found):",
        "if False:",
        ("test_messages",),
    ),
]


def run(tests: tuple[str, ...], mutant: Mutant | None) -> tuple[bool, str]:
    """Return whether the tests pass with the mutant in place, and what they say last."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        ignored = shutil.ignore_patterns("__pycache__")
        for part in ("chatgpt4online", "tests"):
            shutil.copytree(ROOT / part, copy / part, ignore=ignored)
        shutil.copy(ROOT / "setup.cfg", copy)
        if mutant is not None:
            path = copy / "chatgpt4online" / "protocol" / f"{mutant.module}.py"
            path.write_text(path.read_text("utf-8").replace(mutant.old, mutant.new), "utf-8")
        files = [f"tests/{test}.py" for test in tests]
        options = [
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "--no-header",
            "--tb=line",
            "--hypothesis-profile=mutants",
            "-k",
            f"not {SLOW}",
        ]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *files],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": name, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    if done.returncode not in (0, 1):  # an interrupted or empty run kills nobody
        raise RuntimeError(f"pytest could not run: {done.stdout}{done.stderr}")
    return done.returncode == 0, (done.stdout.strip().splitlines() or [""])[-1]


def judge(mutant: Mutant) -> tuple[Mutant, bool, str]:
    """Return the mutant, whether it survived, and what the tests said last."""
    try:
        survived, words = run(mutant.tests, mutant)
    except subprocess.TimeoutExpired:
        survived, words = False, f"still running after {SECONDS} s"
    return mutant, survived, words


def misfits() -> list[Mutant]:
    """Return the mutants whose text is not in their module exactly once."""
    sources = {
        mutant.module: (ROOT / "chatgpt4online" / "protocol" / f"{mutant.module}.py").read_text("utf-8")
        for mutant in MUTANTS
    }
    return [mutant for mutant in MUTANTS if sources[mutant.module].count(mutant.old) != 1]


def main() -> int:
    """Run every mutant; return 1 if one survives, does not fit, or the tests fail without any."""
    for mutant in (wrong := misfits()):
        print(f"DOES NOT FIT  {mutant.module}.py: {mutant.name}")
    if wrong:
        return 1
    survivors = 0
    with ThreadPoolExecutor(PARALLEL) as pool:
        unharmed = pool.submit(run, tuple(sorted({test for mutant in MUTANTS for test in mutant.tests})), None)
        for mutant, survived, words in pool.map(judge, MUTANTS):
            survivors += survived
            print(f"{'SURVIVED' if survived else 'killed':13} {mutant.module}.py: {mutant.name} ({words})", flush=True)
        sound, words = unharmed.result()
    print(f"{'passes' if sound else 'FAILS':13} without a mutant: {words}")
    print(f"{len(MUTANTS) - survivors} of {len(MUTANTS)} mutants killed")
    return 0 if sound and not survivors else 1


if __name__ == "__main__":
    sys.exit(main())
