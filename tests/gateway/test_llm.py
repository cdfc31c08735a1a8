"""The program and the package ``llm`` with the gateway, set up as its documentation says.

See "OpenAI-compatible models" in https://llm.datasette.io/en/stable/other-models.html.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chatgpt4online import Notice, ServerError
from chatgpt4online.testing import Answer, Chat

from ..site import serve_site
from ..support.clients import PICTURE_BYTES, Watched, environment, questions
from ..support.gateway import KEY, SECONDS, Served, serve_gateway
from ..support.server import Server, chunk, live, site, stream_head

llm = pytest.importorskip("llm", reason="llm is in the dependency group clients")

# It leaves its connections to the garbage collector.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
MODELS = """
- model_id: support
  model_name: default
  api_base: "{url}/v1"
  vision: true
- model_id: other
  model_name: other
  api_base: "{url}/v1"
- model_id: secret
  model_name: default
  api_base: "{url}/v1"
  api_key_name: gateway
"""


@dataclass
class Folder:
    """The folder of llm's settings and logs."""

    path: Path

    def write(self, gateway: Served) -> None:
        """Describe the models of a gateway."""
        (self.path / "extra-openai-models.yaml").write_text(MODELS.format(url=gateway.url))

    def start(self, gateway: Served, *arguments: str) -> subprocess.Popen[str]:
        """Start the program."""
        self.write(gateway)
        variables = environment(gateway, LLM_USER_PATH=str(self.path))
        for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
            del variables[name]
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([sys.executable, "-m", "llm", *arguments], env=variables, text=True, **pipes)

    def run(self, gateway: Served, *arguments: str) -> tuple[int, str, str]:
        """Run the program, and return its exit status, its output and its errors."""
        with self.start(gateway, *arguments) as process:
            output, errors = process.communicate(timeout=2 * SECONDS)
            return process.returncode, output, errors


@pytest.fixture(autouse=True, scope="module")
def _collected() -> Iterator[None]:
    """Collect the garbage of these tests here, so that no other test is blamed for it."""
    yield
    gc.collect()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        monkeypatch.delenv(name)
    return Folder(tmp_path)


class TestProgram:
    @pytest.mark.parametrize("more", [(), ("--no-stream",)], ids=["streamed", "not streamed"])
    def test_answer_is_not_printed(self, more: tuple[str, ...], folder: Folder) -> None:
        with serve_site(Answer(["Hel", "lo"], usage=USAGE)) as site, serve_gateway(site.url) as gateway:
            found = folder.run(gateway, "-m", "support", "--usage", "Say hello", *more)
            assert questions(site) == ["Say hello"]
        assert found[:2] == (0, "Hello\n"), found[2]
        assert "3 input, 2 output" in found[2]

    def test_conversation_has_no_history(self, folder: Folder) -> None:
        def answer(chat: Chat) -> str:
            return " ".join(str(message["content"]) for message in chat.messages) + f"|{chat.message}"

        with serve_site(answer) as site, serve_gateway(site.url) as gateway:
            first = folder.run(gateway, "-m", "support", "-s", "Be brief", "One")
            second = folder.run(gateway, "-c", "Two")
        assert (first[0], second[0]) == (0, 0), first[2] + second[2]
        assert [word for word in ("Be brief", "One", "|Two") if word not in second[1]] == []

    def test_attached_picture_does_not_reach_the_site(self, folder: Folder) -> None:
        picture = folder.path / "picture.png"
        picture.write_bytes(PICTURE_BYTES)
        with serve_site(lambda chat: f"{len(chat.file_ids)} file") as site, serve_gateway(site.url) as gateway:
            found = folder.run(gateway, "-m", "support", "What is this?", "-a", str(picture))
            data = [file.content for file in site.files]
        assert found[:2] == (0, "1 file\n"), found[2]
        assert data == [PICTURE_BYTES]

    @pytest.mark.parametrize("more", [(), ("--no-stream",)], ids=["streamed", "not streamed"])
    def test_refusal_is_not_explained(self, more: tuple[str, ...], folder: Folder) -> None:
        with serve_site(Answer(ServerError("You have reached the limit."))) as site, serve_gateway(site.url) as gateway:
            status, output, errors = folder.run(gateway, "-m", "support", "Hi", *more)
            assert len(questions(site)) == 1
        assert (status, output.strip()) == (1, "")
        assert "429" in errors
        assert "You have reached the limit." in errors

    def test_unknown_model_is_not_explained(self, folder: Folder) -> None:
        with serve_site() as site, serve_gateway(site.url) as gateway:
            status, _, errors = folder.run(gateway, "-m", "other", "Hi")
        assert status == 1
        assert "The model 'other' does not exist" in errors

    def test_key_is_not_sent(self, folder: Folder) -> None:
        with serve_site("Hello") as site, serve_gateway(site.url, api_keys=[KEY]) as gateway:
            right = folder.run(gateway, "-m", "secret", "--key", KEY, "Hi")
            wrong = folder.run(gateway, "-m", "support", "Hi")
        assert right[:2] == (0, "Hello\n"), right[2]
        assert "Incorrect API key provided" in wrong[2]

    def test_error_in_the_middle_loses_the_text(self, folder: Folder) -> None:
        with (
            serve_site(Answer(["Half", ServerError("The model is down.")])) as site,
            serve_gateway(site.url) as gateway,
        ):
            status, output, errors = folder.run(gateway, "-m", "support", "Hi")
        assert (status, output.strip()) == (1, "Half")
        assert "The model is down." in errors

    def test_killed_program_leaves_the_connection_open(self, folder: Folder) -> None:
        chat = Watched(stream_head(), chunk(live("Half")))
        with Server(site(chat)) as server, serve_gateway(server.url) as gateway:
            with folder.start(gateway, "-m", "support", "Hi") as process:
                assert chat.asked.wait(2 * SECONDS)
                process.kill()
            assert chat.is_closed()


class TestPackage:
    def test_answer_is_another_one(self, folder: Folder) -> None:
        with serve_site(Answer([Notice("thinking", "Hm"), "Hel", "lo"], usage=USAGE)) as site:
            with serve_gateway(site.url) as gateway:
                folder.write(gateway)
                response = llm.get_model("support").prompt("Hi")
                pieces = list(response)
                whole = llm.get_model("support").prompt("Hi", stream=False).text()
        assert ([piece for piece in pieces if piece], whole) == (["Hel", "lo"], "Hello")
        assert (response.usage().input, response.usage().output) == (3, 2)

    def test_async_answer_is_another_one(self, folder: Folder) -> None:
        async def ask() -> list[str]:
            return [piece async for piece in llm.get_async_model("support").prompt("Hi") if piece]

        with serve_site(["Hel", "lo"]) as site, serve_gateway(site.url) as gateway:
            folder.write(gateway)
            assert asyncio.run(ask()) == ["Hel", "lo"]

    def test_conversation_has_no_history(self, folder: Folder) -> None:
        with serve_site(lambda chat: str([message["content"] for message in chat.messages])) as site:
            with serve_gateway(site.url) as gateway:
                folder.write(gateway)
                conversation = llm.get_model("support").conversation()
                conversation.prompt("One").text()
                assert "One" in conversation.prompt("Two").text()
                assert questions(site) == ["One", "Two"]

    def test_attached_picture_does_not_reach_the_site(self, folder: Folder) -> None:
        with serve_site(lambda chat: f"{len(chat.file_ids)} file") as site, serve_gateway(site.url) as gateway:
            folder.write(gateway)
            attachments = [llm.Attachment(content=PICTURE_BYTES)]
            assert llm.get_model("support").prompt("What?", attachments=attachments).text() == "1 file"
            assert [file.content for file in site.files] == [PICTURE_BYTES]
