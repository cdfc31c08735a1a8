"""Completion in shells: the script is made by shtab, and a real bash completes words with it."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from chatgpt4online.cli.program import COMMANDS

from ..support.program import PROGRAM, SECONDS, environment_of

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="this system has no bash")

COMPLETE = """\
source "$1"
cd "$2"
COMP_LINE=$3
read -r -a COMP_WORDS <<< "$COMP_LINE"
[ "${COMP_LINE: -1}" != " " ] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
complete -p chatgpt4online
_shtab_chatgpt4online chatgpt4online "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\n' "${COMPREPLY[@]}"
"""


def run(*arguments: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    command, environment = [*PROGRAM, *arguments], environment_of(**env or {})
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=environment)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "chatgpt4online.bash"
    printed = run("--print-completion", "bash")
    assert (printed.returncode, printed.stderr) == (0, "")
    path.write_text(printed.stdout)
    return path


@needs_bash
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("chatgpt4online ", {command.name for command in COMMANDS}),
        ("chatgpt4online ch", {"chat"}),
        ("chatgpt4online serve", {"serve-demo"}),
        ("chatgpt4online chat --no-h", {"--no-history"}),
        ("chatgpt4online ask --first", {"--first-byte-timeout"}),
        ("chatgpt4online export --format ", {"jsonl", "markdown"}),
        ("chatgpt4online ask --file ", {"talk.json"}),
        ("chatgpt4online chat --conversation ta", {"talk.json"}),
        ("chatgpt4online batch ta", {"talk.json"}),
        ("chatgpt4online doctor --textfile ta", {"talk.json"}),
        ("chatgpt4online export -o ta", {"talk.json"}),
        ("chatgpt4online --print-completion ", {"bash", "zsh", "tcsh"}),
    ],
)
def test_word_is_not_completed(line: str, words: set[str], script: Path, tmp_path: Path) -> None:
    (tmp_path / "talk.json").write_text("{}")
    done = subprocess.run(
        ["bash", "--norc", "-c", COMPLETE, "bash", str(script), str(tmp_path), line],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env=environment_of(),
    )
    registered, *found = done.stdout.splitlines()
    assert shlex.split(registered)[-1] == "chatgpt4online", done.stderr
    assert words <= set(found)
    assert all(word.startswith(line.rpartition(" ")[2]) for word in found)


@pytest.mark.parametrize(("shell", "begin"), [("zsh", "#compdef chatgpt4online"), ("tcsh", "#")])
def test_script_of_another_shell_is_not_printed(shell: str, begin: str) -> None:
    printed = run("--print-completion", shell)
    assert (printed.returncode, printed.stderr, printed.stdout.startswith(begin)) == (0, "", True)
    assert "serve-demo" in printed.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--print-completion"], "expected one argument"),
        (["--print-completion", "fish"], "invalid choice: 'fish' (choose from"),
    ],
)
def test_wrong_shell_is_not_reported_in_one_line(arguments: list[str], reason: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert reason in done.stderr


def test_missing_shtab_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "shtab.py").write_text("raise ModuleNotFoundError('shtab')\n")
    done = run("--print-completion", "bash", env={"PYTHONPATH": str(tmp_path)})
    reason = '--print-completion needs shtab: pip install "chatgpt4online[cli]"'
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"chatgpt4online: {reason}\n")
