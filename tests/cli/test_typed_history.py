"""The file of typed lines: what it holds, who can read it, and what happens when it cannot be used."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chatgpt4online.cli.chat.typed_history import TypedHistory, history_path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "chatgpt4online" / "history"


def test_lines_are_lost_between_chats(path: Path) -> None:
    first = TypedHistory(path)
    for text in ("Hello", "one\ntwo", "Hé 字 \ud83d", "same", "same", " \n"):
        first.add(text)
    expected = ["Hello", "one\ntwo", "Hé 字 \ud83d", "same"]
    assert (first.entries, TypedHistory(path).entries) == (expected, expected)


def test_others_can_read_the_file(path: Path) -> None:
    TypedHistory(path).add("Hello")
    assert [stat.S_IMODE(place.stat().st_mode) for place in (path.parent, path)] == [0o700, 0o600]


def test_file_grows_without_end(path: Path) -> None:
    TypedHistory(path)
    path.write_text("".join(f"{json.dumps(str(number))}\n" for number in range(2_001)))
    assert TypedHistory(path).entries == [str(number) for number in range(1_001, 2_001)]
    assert path.read_text().count("\n") == 1_000
    assert [*path.parent.iterdir()] == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_long_text_is_stored_in_the_file(path: Path) -> None:
    history = TypedHistory(path)
    history.add("x" * 10_001)
    assert (len(history.entries), TypedHistory(path).entries) == (1, [])


def test_damaged_lines_prevent_the_use_of_the_others(path: Path) -> None:
    TypedHistory(path)
    path.write_bytes(b'"one"\n\xff\n{}\n"cut\n' + b"[" * 100_000 + b'\n""\n"two"\n')
    history = TypedHistory(path)
    assert (history.entries, history.problem) == (["one", "two"], "")


def test_chats_at_once_lose_lines(path: Path) -> None:
    def talk(number: int) -> None:
        history = TypedHistory(path)
        for line in range(20):
            history.add(f"{number} {line} {'x' * 2_000}")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(talk, range(8)))
    assert len(TypedHistory(path).entries) == 160


@pytest.mark.parametrize("kind", ["a file in place of the directory", "a directory in place of the file"])
def test_file_that_cannot_be_used_is_an_error(kind: str, path: Path) -> None:
    if kind.startswith("a file"):
        path.parent.parent.mkdir()
        path.parent.write_text("")
    else:
        path.mkdir(parents=True)
    history = TypedHistory(path)
    history.add("Hello")
    assert (history.entries, history.problem.startswith(f"{path}: ")) == (["Hello"], True)


def test_file_that_becomes_unusable_is_an_error(path: Path) -> None:
    history = TypedHistory(path)
    path.unlink()
    path.mkdir()
    for text in ("one", "two"):
        history.add(text)
    assert (history.entries, bool(history.problem)) == (["one", "two"], True)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"XDG_STATE_HOME": "/state", "HOME": "/home/ann"}, "/state/chatgpt4online/history"),
        ({"XDG_STATE_HOME": "", "HOME": "/home/ann"}, "/home/ann/.local/state/chatgpt4online/history"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/ann"}, "/home/ann/.local/state/chatgpt4online/history"),
    ],
)
def test_place_is_another_one_than_the_xdg_specification_says(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert history_path() == Path(expected)


def test_missing_home_directory_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert history_path() is None
