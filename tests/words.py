"""Find wordings that a reader has to read twice: ``python -m tests.words [PATH ...]``.

It reads the docstrings, comments, strings and test names of Python files, and the text of ``.rst`` files. Each finding
is printed as ``file:line: 'text': advice``. The exit status is 1 if there are findings. Without a path, the whole
project is read. The list has only patterns that are nearly always hard to read. Rewrite the sentence, since a synonym
rarely makes it clearer.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
_FOLDERS = ("chatgpt4online", "tests", "benchmarks", "examples", "docs")
_SKIPPED = {"captures", "build", "_build"}

PHRASES: dict[str, str] = {
    # Nouns and relative clauses without a subject
    r"(?:\A|(?<=[.!?] ))(?:what|who|whose|whoever|whatever|whichever)\b(?:[^.?!]|[.?!](?=\w))*\.(?!\w)": (
        "begin with the subject"
    ),
    r"(?:whatever|whoever|whichever) (?:it|they|that|this) (?:is|are|was|were|may be)": "name it, or say 'any'",
    r"\b(?:to|for|from|of|by) who (?!it\b)\w+": "name the person: 'a user who ...'",
    r"\bwho(?:ever)? asks\b": "name the person or the program: 'the caller', 'the client'",
    r"\bof whose\b|\bby whose\b|\bto whose\b": "begin a new sentence with the subject",
    r"\bthat (?:are|is|was|were) (?-i:none)\b|\bis none of them\b|\bwhich is none\b": "say which things are meant",
    r"(?<!there )(?<!where )(?<!that )\b(?:is|are|was|were) no (?:\w+ly )?(?:api|error|event|file|html|http|int|json"
    r"|list|number|page|question|stream|string|text|tls|token|user|utf|value|word)\b": "write 'is not a ...'",
    r"\bit is (?:an? |no )?\w+ that \w+ (?:knows|understands|notices)\b": "begin with the subject",
    r"\bnothing but\b|\bnobody but\b|\bnone but\b|\banything but\b": "write 'only'",
    r"\bbut for\b|\bbut that\b|\bsave for\b": "write 'except'",
    r"\bit alone\b|\bthey alone\b|\bthem alone\b": "write 'only'",
    # Idioms and old words
    r"\blets? go of\b|\blet go\b|\bletting go\b": "write 'release', 'discard' or 'close'",
    r"\bmakes? nothing of\b|\bcomes? to nothing\b|\bcomes? to the same\b": "say what happens",
    r"\bgo(?:es)? away\b|\bwent away\b|\bgone away\b": "write 'closes the connection' or 'disappears'",
    r"\bha(?:s|d|ve) come\b": "write 'arrived'",
    r"\bstood still\b|\bstands still\b": "write 'made no progress'",
    r"\b(?:last|final|own|server's|site's|model's) words?\b": "write 'text' or 'message'",
    r"\bwithout a word\b|\bnot a word\b": "write 'without text' or 'without a message'",
    r"\bput(?:s|ting)? down\b": "write 'store' or 'add'",
    r"\bhand(?:s|ed|ing)? over\b|\bat its handing over\b": "write 'pass' or 'return'",
    r"\banew\b|\bafresh\b": "write 'again' or 'new'",
    r"\b(?:amid|albeit|ere|hence|hereby|lest|notwithstanding|thereby|thereof|thereupon|whence|wherein|whereupon"
    r"|whither|forthwith|heretofore|wont|nigh)\b": "use a modern word",
    r"\bin vain\b|\bas it were\b|\bso as to\b|\bin so far as\b|\bbe it\b": "use a plain phrase",
    # Verbs that programs do not do
    r"\bspeaks?\b|\bspoke\b|\bspeaking\b": "write 'sends', 'uses' or 'understands'",
    r"\bjudge[sd]?\b|\bjudging\b": "write 'check' or 'compare'",
    r"\bsettle[sd]?\b|\bsettling\b": "write 'decide', 'finish' or 'final'",
    r"\b(?:is|are|was|were|be|been|being) told\b": "write 'reported', 'raised' or 'receives'",
    r"\b(?:tell|tells|telling|told) (?:(?:\w+ ){0,3}apart|(?:\w+ ){1,3}from a)\b": "write 'distinguish'",
    r"\bforgiven?\b|\bdies\b|\bdied\b": "write what the program does",
    r"\bhalf of a surrogate\b": "write 'a lone surrogate'",
}

NAMES: dict[str, str] = {
    r"test_(?:what|who|whose|whom|where|which|why|whatever|whoever)_\w+": "say what breaks when the test fails",
    r"test_(?:it|its|they|their|them|none|nothing|nobody|neither|such|no_such)_\w+": "name the subject",
    r"test_[a-z0-9]+(?:_[a-z0-9]+)?": "say what breaks when the test fails, in three words or more",
}

_PHRASES = [(re.compile(pattern, re.IGNORECASE), advice) for pattern, advice in PHRASES.items()]

# Files that quote such wordings: this list and its tests.
_QUOTING = {"tests/words.py", "tests/package/test_words.py"}


class Finding(NamedTuple):
    """One wording to change: its place, the text and what to write instead."""

    path: str
    line: int
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text!r}: {self.advice}"


class _Text(NamedTuple):
    """A text in a file: the line where it begins, the line where it ends, and the text itself."""

    line: int
    last: int
    text: str


def find_phrases(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the position, the text and the advice for each pattern that a text contains."""
    for paragraph in re.finditer(r"(?:(?!\n\s*\n).)+", text, re.DOTALL):
        words = list(re.finditer(r"\S+", paragraph[0]))
        joined = " ".join(word[0] for word in words)
        for pattern, advice in _PHRASES:
            for match in pattern.finditer(joined):
                number = joined.count(" ", 0, match.start())
                yield paragraph.start() + words[number].start(), match[0], advice


def find_names(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the name and the advice of each test function with a bad name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            advice = next((why for pattern, why in NAMES.items() if re.fullmatch(pattern, node.name)), "")
            if advice:
                yield node.lineno, node.name, advice


def _texts(source: str, tree: ast.Module) -> Iterator[_Text]:
    """Yield the strings and the comments of a module. Comment lines in a row are one text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield _Text(node.lineno, node.end_lineno or node.lineno, node.value)
    block: list[str] = []
    first = last = 0
    in_lines = False  # a comment behind code is a text of its own
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("#").strip()
            whole_line = token.line.lstrip().startswith("#")
            if not (block and whole_line and in_lines and token.start[0] == last + 1):
                if block:
                    yield _Text(first, last, "\n".join(block))
                block, first, in_lines = [], token.start[0], whole_line
            block.append(text)
            last = token.start[0]
    if block:
        yield _Text(first, last, "\n".join(block))


def check(path: Path) -> Iterator[Finding]:
    """Yield the findings in one file."""
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
    if name in _QUOTING:
        return
    source = path.read_text("utf-8")
    texts: Iterable[_Text] = [_Text(1, source.count("\n") + 1, source)]
    if path.suffix == ".py":
        tree = ast.parse(source)
        texts = _texts(source, tree)
        for line, text, advice in find_names(tree):
            yield Finding(name, line, text, advice)
    for found in texts:
        for position, text, advice in find_phrases(found.text):
            line = min(found.line + found.text.count("\n", 0, position), found.last)
            yield Finding(name, line, text, advice)


def files(paths: Sequence[str]) -> Iterator[Path]:
    """Yield the Python and ``.rst`` files at these paths, or all files of the project without a path."""
    places = [Path(path).resolve() for path in paths] or [
        *(ROOT / name for name in _FOLDERS),
        *sorted(ROOT.glob("*.rst")),
    ]
    for place in places:
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (
            path
            for path in inside
            if path.suffix in (".py", ".rst") and not _SKIPPED & set(path.parts[len(place.parts) :])
        )


def main(paths: Sequence[str]) -> int:
    """Print the findings, and return the exit status."""
    findings = [finding for path in files(paths) for finding in check(path)]
    for finding in sorted(set(findings)):
        print(finding)
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
