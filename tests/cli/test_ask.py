"""The options of ``ask`` that change the question, and those that change the output."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chatgpt4online.testing import Chat, Site, Widget, serve_site

from ..support.behaviours import HELLO, streamed
from ..support.program import read_terminal, run_program, start_program, terminal
from ..support.server import Server, says
from ..support.server import site as chat_site

USERS = {"anna": "abcd EFGH ijkl MNOP qrst UVWX"}


@dataclass
class Asked:
    """A running site, and the questions that it has answered."""

    chats: list[Chat] = field(default_factory=list)
    site: Site = field(init=False)

    @property
    def url(self) -> str:
        return self.site.url

    def answer(self, chat: Chat) -> list[str]:
        self.chats.append(chat)
        return [f"{chat.bot_id} heard ", chat.message]


@pytest.fixture
def site() -> Iterator[Asked]:
    asked = Asked()
    bots = "default", Widget("support", max_length=100, uploads=True, multi_upload=True)
    with serve_site(asked.answer, bots=bots, users=USERS) as asked.site:
        yield asked


class TestInput:
    @pytest.mark.parametrize("words", [["ask"], []], ids=["ask", "without the command"])
    def test_standard_input_is_added_behind_the_question(self, words: list[str], site: Asked) -> None:
        ended = run_program(*words, "What went wrong?", "-", "--site", site.url, prompt=b"line 1\nline 2\n")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert site.chats[-1].message == "What went wrong?\n\nline 1\nline 2"

    def test_only_the_exact_name_in_the_first_place_is_a_command(self, site: Asked) -> None:
        for arguments, asked in ((["ask", "bots"], "bots"), (["Bots"], "Bots"), (["--json", "bots"], "bots")):
            ended = run_program(*arguments, "--site", site.url)
            assert (ended.returncode, site.chats[-1].message) == (0, asked)

    def test_command_without_a_site_sends_no_request(self) -> None:
        for command in (["ask", "Hi"], ["bots"], ["export"]):
            ended = run_program(*command)
            assert (ended.returncode, ended.stdout) == (2, "")
            assert "no site is given" in ended.stderr


class TestBot:
    def test_page_gives_the_bot_and_its_limits(self, site: Asked) -> None:
        ended = run_program("Hi", "--site", site.url, "--page", "/")
        assert ended.stdout == "default heard Hi\n"
        ended = run_program("Hi", "--site", site.url, "--page", "/", "--bot", "support")
        assert ended.stdout == "support heard Hi\n"
        ended = run_program("x" * 101, "--site", site.url, "--page", "/", "--bot", "support")
        assert (ended.returncode, "the bot accepts 100" in ended.stderr) == (2, True)

    def test_bot_that_the_page_does_not_have_is_an_error_with_the_bots_that_it_has(self, site: Asked) -> None:
        ended = run_program("Hi", "--site", site.url, "--page", "/", "--bot", "sales")
        assert ended.returncode == 2
        assert ended.stderr == "chatgpt4online: --bot: the page has no bot 'sales', but default, support\n"

    def test_files_are_uploaded_with_the_question(self, site: Asked, tmp_path: Path) -> None:
        for name in ("a.txt", "b.txt"):
            (tmp_path / name).write_text(name)
        files = ["--file", str(tmp_path / "a.txt"), "--file", str(tmp_path / "b.txt")]
        ended = run_program("Read", "--site", site.url, "--bot", "support", *files)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert [file.name for file in site.site.files] == ["a.txt", "b.txt"]
        assert len(site.chats[-1].file_ids) == 2

    def test_missing_file_is_named_and_no_question_is_sent(self, site: Asked, tmp_path: Path) -> None:
        ended = run_program("Read", "--site", site.url, "--file", str(tmp_path / "no.txt"))
        assert (ended.returncode, ended.stderr.count("\n"), "no.txt" in ended.stderr) == (2, 1, True)
        assert site.chats == []


class TestConversation:
    def test_conversation_continues_where_it_left_off(self, site: Asked, tmp_path: Path) -> None:
        options = ["--site", site.url, "--conversation", str(tmp_path / "trip.json")]
        for question in ("One", "Two"):
            assert run_program(question, *options).returncode == 0
        first, second = site.chats
        assert first.chat_id == second.chat_id
        assert [message["content"] for message in second.messages][-2:] == ["One", "default heard One"]

    def test_file_that_cannot_be_written_is_an_error_before_the_question(self, site: Asked, tmp_path: Path) -> None:
        ended = run_program("One", "--site", site.url, "--conversation", str(tmp_path / "missing" / "trip.json"))
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
        assert site.chats == []

    def test_failed_question_leaves_the_conversation_as_it_was(self, site: Asked, tmp_path: Path) -> None:
        path = tmp_path / "trip.json"
        assert run_program("One", "--site", site.url, "--conversation", str(path)).returncode == 0
        before = path.read_text()
        ended = run_program("x" * 1000, "--site", site.url, "--conversation", str(path))
        assert (ended.returncode, path.read_text()) == (1, before)


class TestLogin:
    def test_password_of_the_environment_is_used_for_its_own_site_and_user(self, site: Asked) -> None:
        variables = {"CHATGPT4ONLINE_SITE": site.url, "CHATGPT4ONLINE_USER": "anna"}
        variables["CHATGPT4ONLINE_PASSWORD"] = USERS["anna"]
        for options in ([], ["--user", "anna"], ["--user", "anna", "--site", f"{site.url}/"]):
            assert run_program("Hi", *options, env=variables).returncode == 0
            assert site.chats[-1].user == "anna", options

    def test_password_of_the_environment_is_never_sent_to_another_site(self, site: Asked) -> None:
        variables = {"CHATGPT4ONLINE_SITE": "https://example.org", "CHATGPT4ONLINE_USER": "anna"}
        variables["CHATGPT4ONLINE_PASSWORD"] = USERS["anna"]
        ended = run_program("Hi", "--user", "anna", "--site", site.url, env=variables)
        assert (ended.returncode, site.site.requests) == (2, [])
        assert "no terminal can be asked for the password" in ended.stderr

    def test_password_of_one_user_is_never_sent_for_another(self, site: Asked) -> None:
        variables = {"CHATGPT4ONLINE_SITE": site.url, "CHATGPT4ONLINE_USER": "anna"}
        variables["CHATGPT4ONLINE_PASSWORD"] = USERS["anna"]
        ended = run_program("Hi", "--user", "berta", env=variables)
        assert (ended.returncode, site.site.requests) == (2, [])

    def test_headers_are_sent(self) -> None:
        with Server(chat_site(says(streamed(*HELLO)))) as server:
            ended = run_program("Hi", "--site", server.url, "--header", "X-Team: red", "--header", "X-Tag:a")
        assert (ended.returncode, ended.stdout) == (0, "Hello\n")
        sent = [(request.headers["x-team"], request.headers["x-tag"]) for request in server.requests]
        assert sent == [("red", "a")] * 2

    def test_password_is_asked_for_on_the_terminal(self, site: Asked) -> None:
        with terminal() as (user, program):
            arguments = "Hi", "--user", "anna", "--site", site.url
            with start_program(*arguments, stdin=program, stderr=program, start_new_session=True) as process:
                os.close(program)
                seen = b""
                while b"Application password of anna: " not in seen:
                    seen += os.read(user, 1_000)
                os.write(user, f"{USERS['anna']}\n".encode())
                assert (process.stdout.read(), process.wait()) == (b"default heard Hi\n", 0)
                assert USERS["anna"].encode() not in read_terminal(user)
        assert site.chats[-1].user == "anna"


class TestOutput:
    def test_no_stream_prints_the_final_text_once(self, site: Asked) -> None:
        ended = run_program("Hi", "--site", site.url, "--no-stream")
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "default heard Hi\n", "")

    def test_verbose_names_each_request_on_stderr(self, site: Asked) -> None:
        ended = run_program("Hi", "--site", site.url, "-v")
        assert ended.stdout == "default heard Hi\n"
        assert ["POST /wp-json/" in line for line in ended.stderr.splitlines()] == [True, True]
        assert len(run_program("Hi", "--site", site.url, "-vv").stderr.splitlines()) > 4
