"""``export``: the discussions of a login, as lines of JSON or as Markdown."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatgpt4online import Client
from chatgpt4online.testing import Site

from ..site import serve_site
from ..support.program import Ended, run_in_shell, run_program

ANNA, BERT = ("anna", "abcd EFGH ijkl MNOP qrst UVWX"), ("bert", "ABCD efgh IJKL mnop QRST uvwx")
BOTS = ("default", "support", "unused")
FIELDS = ["chat_id", "title", "bot_id", "messages", "previous_response_id", "created", "updated"]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Yield a site with 12 discussions of Anna with one bot, one with another, and one of Bert."""
    with serve_site(bots=BOTS, users=dict([ANNA, BERT]), discussions=True, token="the-token") as running:
        for user, bot, questions in (
            (ANNA, "default", [f"Question {number}" for number in range(1, 13)]),
            (ANNA, "support", ["Help # me\n```"]),
            (BERT, "default", ["Secret"]),
        ):
            with Client(running.url, auth=user, bot_id=bot) as client:
                for question in questions:
                    client.ask(question)
        yield running


def export(site: Site, *options: str, user: tuple[str, str] | None = ANNA, env: dict[str, str] | None = None) -> Ended:
    return run_program("export", *options, env=login(site, user) | (env or {}))


def login(site: Site, user: tuple[str, str] | None = ANNA) -> dict[str, str]:
    """Return the variables of the environment that log a user in."""
    variables = {"CHATGPT4ONLINE_SITE": site.url}
    if user is not None:
        variables |= {"CHATGPT4ONLINE_USER": user[0], "CHATGPT4ONLINE_PASSWORD": user[1]}
    return variables


def questions_of(text: str) -> list[str]:
    records: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    messages = [message for record in records for message in record["messages"]]
    return [message["content"] for message in messages if message["role"] == "user"]


ALL_OF_DEFAULT = [f"Question {number}" for number in range(12, 0, -1)]  # the newest first, on two pages


def test_discussions_of_a_login_are_lines_of_json(site: Site) -> None:
    ended = export(site)
    assert (ended.returncode, ended.stderr) == (0, "12 discussions\n")
    assert questions_of(ended.stdout) == ALL_OF_DEFAULT
    assert [list(json.loads(line)) for line in ended.stdout.splitlines()] == [FIELDS] * 12
    assert "127.0.0.1" not in ended.stdout


@pytest.mark.parametrize(
    ("options", "questions"),
    [
        (["--bot", "support"], ["Help # me\n```"]),
        (["--bot", "support", "--bot", "default", "--bot", "support"], ["Help # me\n```", *ALL_OF_DEFAULT]),
        (["--all-bots"], [*ALL_OF_DEFAULT, "Help # me\n```"]),
    ],
    ids=["one bot", "two bots, one of them twice", "all bots"],
)
def test_bots_are_those_of_the_options(options: list[str], questions: list[str], site: Site) -> None:
    ended = export(site, *options)
    number = len(questions)
    assert (ended.returncode, ended.stderr) == (0, f"{number} {'discussion' if number == 1 else 'discussions'}\n")
    assert questions_of(ended.stdout) == questions


def test_environment_names_the_bot(site: Site) -> None:
    assert questions_of(export(site, env={"CHATGPT4ONLINE_BOT": "support"}).stdout) == ["Help # me\n```"]


def test_markdown_has_a_heading_for_each_discussion(site: Site) -> None:
    ended = export(site, "--format", "markdown", "--bot", "support", "--bot", "default")
    talk = "**User**\n\n> Help # me\n> ```\n\n**Assistant**\n\n> You said: Help # me\n> ```\n"
    assert f"\n{talk}\n# " in ended.stdout  # a blank line, and the next discussion
    assert sum(line.startswith("# ") for line in ended.stdout.splitlines()) == 13


def test_no_login_gets_the_discussions_of_others(site: Site) -> None:
    assert questions_of(export(site, user=BERT).stdout) == ["Secret"]


class TestFile:
    def test_file_has_what_the_output_would_have(self, site: Site, tmp_path: Path) -> None:
        for form in ("jsonl", "markdown"):
            path = tmp_path / form
            ended = export(site, "--format", form, "-o", str(path))
            assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "12 discussions\n")
            assert path.read_text("utf-8") == export(site, "--format", form).stdout
        assert sorted(os.listdir(tmp_path)) == ["jsonl", "markdown"]

    def test_failed_export_keeps_the_old_file(self, site: Site, tmp_path: Path) -> None:
        path = tmp_path / "all.jsonl"
        path.write_text("old\n")
        ended = export(site, "-o", str(path), user=None)
        assert (ended.returncode, ended.stderr.count("\n"), path.read_text()) == (1, 1, "old\n")
        assert "You need to be connected." in ended.stderr
        assert os.listdir(tmp_path) == ["all.jsonl"]

    def test_file_keeps_its_permissions_and_its_link(self, site: Site, tmp_path: Path) -> None:
        path, link = tmp_path / "all.jsonl", tmp_path / "link"
        path.touch(0o640)
        path.chmod(0o640)
        link.symlink_to(path)
        assert export(site, "-o", str(link)).returncode == 0
        assert (link.is_symlink(), path.stat().st_mode & 0o777, path.read_text().count("\n")) == (True, 0o640, 12)

    def test_device_is_written_directly(self, site: Site) -> None:
        ended = export(site, "-o", "/dev/stdout", "--bot", "support")
        assert (ended.returncode, questions_of(ended.stdout)) == (0, ["Help # me\n```"])

    @pytest.mark.parametrize("path", ["missing/all.jsonl", "/dev/full", "."])
    def test_file_that_cannot_be_written_is_reported_in_one_line(
        self, path: str, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if path == "/dev/full" and not os.path.exists(path):
            pytest.skip("this system has no /dev/full")
        monkeypatch.chdir(tmp_path)
        ended = export(site, "-o", path)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
        assert ended.stderr.startswith("chatgpt4online: the discussions cannot be written to ")


def test_bot_without_discussions_ends_without_a_hint(site: Site) -> None:
    ended = export(site, "--bot", "elsewhere")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr == "0 discussions; another bot may have some: see --bot\n"


class TestErrors:
    def test_guest_is_told_to_log_in(self, site: Site) -> None:
        ended = export(site, user=None)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
        assert "You need to be connected." in ended.stderr

    def test_site_without_the_public_api_asks_for_the_names_of_the_bots(self) -> None:
        with serve_site(users=dict([ANNA]), discussions=True) as site:
            ended = export(site, "--all-bots")
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
        assert ended.stderr.startswith(
            "chatgpt4online: --all-bots: the site does not list its bots; name each with --b"
        )

    def test_site_without_discussions_is_reported(self) -> None:
        with serve_site(users=dict([ANNA])) as site:
            ended = export(site)
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
        assert "turn on Discussions" in ended.stderr

    def test_one_bot_together_with_all_bots_is_an_error(self, site: Site) -> None:
        ended = export(site, "--all-bots", "--bot", "default")
        assert (ended.returncode, "not allowed with" in ended.stderr) == (2, True)

    @pytest.mark.parametrize(("redirection", "status"), [(">&-", 1), ("> /dev/full", 1)])
    def test_output_that_cannot_be_written_is_reported(self, redirection: str, status: int, site: Site) -> None:
        if "/dev/full" in redirection and not os.path.exists("/dev/full"):
            pytest.skip("this system has no /dev/full")
        ended = run_in_shell(redirection, "export", env=login(site))
        assert (ended.returncode, ended.stderr.count("\n")) == (status, 1)
        assert ended.stderr.startswith("chatgpt4online: the discussions cannot be written: ")


def test_help_says_that_a_site_gives_only_the_own_discussions() -> None:
    shown = " ".join(run_program("export", "--help").stdout.split())
    assert "AI Engine has no public route for the discussions of all visitors" in shown
