"""The options that both clients share, and how a question becomes a turn with them."""

from __future__ import annotations

import io
import json
import os
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from chatgpt4online import AsyncClient, Bot, Client, File, InvalidInput, Session
from chatgpt4online.operations import Operations, new_chat_id
from chatgpt4online.protocol.calls.multipart import Multipart

SITE = "https://example.org"


def picture(kind: str = "image/png", data: bytes = b"abc") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{b64encode(data).decode()}"}}


def asking(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


WORDS = {"type": "text", "text": "What is it?"}


def with_nonce(operations: Operations) -> Operations:
    """Return the operations after a session was started."""
    operations.session.nonce = "n"
    return operations


def uploaded(settings: Operations, *arguments: Any) -> tuple[Multipart, bytes]:
    """Return the body that uploads this, and its bytes."""
    request = with_nonce(settings).upload(*arguments).next_request()
    assert request is not None
    assert isinstance(request.body, Multipart)
    return request.body, b"".join(request.body)


class TestOptions:
    """What a client is told once."""

    @pytest.mark.parametrize("client", [Client, AsyncClient])
    @pytest.mark.parametrize(
        "options",
        [
            {"site": "example.org"},
            {"site": "https://name:secret@example.org"},
            {"cookies": {"a b": "c"}},
            {"cookies": {"a": "b; c=d"}},
            {"cookies": {"a": "b\r\nX: y"}},
            {"cookies": {"a=b": "c"}},
            {"cookies": {"a": "é"}},
        ],
    )
    def test_what_cannot_be_used(self, client: Any, options: dict[str, Any]) -> None:
        """It is refused before the first question."""
        with pytest.raises(InvalidInput):
            client(**options)

    def test_credentials_are_headers(self) -> None:
        """Cookies and a password, as they go out."""
        settings = Operations(
            SITE, headers={"X-Team": "blue"}, cookies={"a": "b", "c": "d=e"}, auth=("Аня", "ab cd:ef")
        )
        assert settings.options()["headers"] == {
            "X-Team": "blue",
            "Cookie": "a=b; c=d=e",
            "Authorization": "Basic " + b64encode("Аня:ab cd:ef".encode()).decode(),
        }

    def test_long_names_are_sent(self) -> None:
        """WordPress's own cookie has a name of 52 characters."""
        name = "wordpress_logged_in_" + 32 * "0"
        options = Operations(SITE, cookies={name: "x"}, headers={f"X-{name}".replace("_", "-"): "y"}).options()
        assert options["headers"]["Cookie"] == f"{name}=x"

    def test_white_space_around_a_token_is_ignored(self) -> None:
        """A token that is read from a file has a line end behind it."""
        request = Operations(SITE, token="secret\n").api_check().next_request()
        assert request is not None
        assert request.headers["Authorization"] == "Bearer secret"

    def test_none_of_them(self) -> None:
        """Nothing is sent that was not given."""
        assert Operations(SITE).options()["headers"] == {}

    def test_chat_ids(self) -> None:
        """Random, short, of letters and digits, and nothing that PHP would take for a number."""
        ids = {new_chat_id() for _ in range(100)}
        assert len(ids) == 100
        assert all(name.isascii() and name.isalnum() and 8 <= len(name) <= 64 and name[0].isalpha() for name in ids)


class TestBots:
    """``Client(bot=...)`` with what a page said."""

    def test_its_ids(self) -> None:
        """The bot's ids count, not the defaults."""
        bot = Bot("support", "a1b2", 7)
        question = Operations(SITE, bot=bot).question("Hi").submission
        assert (question.bot_id, question.custom_id, question.context_id) == ("support", "a1b2", 7)
        question = Operations(SITE, "support", context_id=9).question("Hi").submission
        assert (question.bot_id, question.custom_id, question.context_id) == ("support", None, 9)

    @pytest.mark.parametrize(
        ("bot", "session"),
        [
            (None, Session()),
            (Bot(), Session()),
            (Bot(rest_root=f"{SITE}/wp-json"), Session()),
            (Bot(rest_root=f"{SITE}/wp-json", nonce="n", session_id="s"), Session("n", "s")),
            (
                Bot(rest_root=f"{SITE}/index.php?rest_route=", nonce="n"),
                Session("n", root=f"{SITE}/index.php?rest_route="),
            ),
            (Bot(rest_root="https://api.example.net/wp-json"), Session(root="https://api.example.net/wp-json")),
        ],
    )
    def test_its_session(self, bot: Bot | None, session: Session) -> None:
        """What the page had of one."""
        assert Operations(SITE, bot=bot).session == session

    @pytest.mark.parametrize(
        "root", ["https://[::1", "https://example.org:99999", "javascript:x", "/wp-json", "http://example.org/wp-json"]
    )
    def test_a_root_that_cannot_be_asked(self, root: str) -> None:
        """A page's mistake, or a plain http address of a site behind TLS, does not lead the questions astray."""
        try:
            settings = Operations(SITE, bot=Bot(rest_root=root))
        except InvalidInput:
            return
        request = settings.turn(settings.question("Hi")).next_request()
        assert request is not None
        assert request.url.startswith("https://example.org/")

    @pytest.mark.parametrize(
        ("bot", "size", "fits"),
        [
            (Bot(max_length=10), 10, True),
            (Bot(max_length=10), 11, False),
            (Bot(max_length=None), 5000, True),
            (Bot(custom_id="c", max_length=10), 11, True),
            (None, 5000, True),
        ],
    )
    @pytest.mark.parametrize("flatten", [False, True])
    def test_its_limit(self, bot: Bot | None, size: int, fits: bool, flatten: bool) -> None:
        """Characters of the message alone; a bot by its custom id has none (protocol section 1.4)."""
        settings = Operations(SITE, bot=bot)
        prompt: Any = [{"role": "user", "content": "😀" * size}]
        if not flatten:
            prompt = [{"role": "system", "content": "x" * 100}, *prompt]
        question = settings.question(prompt, flatten=flatten)
        if fits:
            settings.turn(question)
            return
        with pytest.raises(InvalidInput, match=rf"{size} characters.* accepts 10"):
            settings.turn(question)

    def test_no_uploads(self) -> None:
        """A bot that takes none is not sent any, nor pictures in a prompt."""
        settings = Operations(SITE, bot=Bot())
        with pytest.raises(InvalidInput, match="no uploads"):
            settings.upload(b"abc", "a.png")
        prompt = asking(WORDS, picture())
        with pytest.raises(InvalidInput, match="no uploads"):
            settings.turn(settings.question(prompt))

    @pytest.mark.parametrize(
        ("types", "name", "fits"),
        [
            ((), "a.bin", True),
            (("image/png",), "a.png", True),
            (("image/png", "application/pdf"), "a.PDF", True),
            (("image/png",), "a.txt", False),
            (("image/png",), "a", False),
            (("image/*",), "a.png", True),
        ],
    )
    def test_its_types(self, types: tuple[str, ...], name: str, fits: bool) -> None:
        """Those that the owner names, of which ``image/*`` is a usual one."""
        settings = Operations(SITE, bot=Bot(uploads=True, upload_types=types))
        if fits:
            settings.upload(b"abc", name)
            return
        with pytest.raises(InvalidInput, match="image/png"):
            settings.upload(b"abc", name)

    @pytest.mark.parametrize(("most", "files", "fits"), [(1, 1, True), (1, 2, False), (3, 3, True), (3, 4, False)])
    def test_how_many(self, most: int, files: int, fits: bool) -> None:
        """No more files than the bot accepts at once."""
        settings = Operations(SITE, bot=Bot(uploads=True, max_uploads=most))
        if fits:
            assert len(settings.question("Hi", files=["f"] * files).submission.file_ids) == files
            return
        with pytest.raises(InvalidInput, match="no more than"):
            settings.question("Hi", files=["f"] * files)

    def test_pictures_are_files_too(self) -> None:
        """Pictures of the prompt and files together are no more than the bot accepts."""
        settings = Operations(SITE, bot=Bot(uploads=True, max_uploads=2))
        prompt = asking(WORDS, picture(), picture())
        settings.turn(settings.question(prompt))
        with pytest.raises(InvalidInput, match="no more than"):
            settings.turn(settings.question(prompt, files=["f1"]))


class TestFiles:
    """What can be uploaded."""

    def test_bytes(self) -> None:
        """With a name, which says the type."""
        body, sent = uploaded(Operations(SITE), b"abc", "photo.png")
        assert b'filename="photo.png"\r\nContent-Type: image/png\r\n\r\nabc\r\n' in sent
        assert len(body) == len(sent)

    @pytest.mark.parametrize("name", [None, ""])
    def test_bytes_without_a_name(self, name: Any) -> None:
        """A site tells types by names."""
        with pytest.raises(InvalidInput, match="name"):
            Operations(SITE).upload(b"abc", name)

    @pytest.mark.parametrize("kind", [str, Path])
    def test_a_path(self, kind: Any, tmp_path: Path) -> None:
        """Its own name, or another; it is opened when it is sent, and closed behind that."""
        (tmp_path / "Фото.png").write_bytes(b"abc")
        assert 'filename="Фото.png"'.encode() in uploaded(Operations(SITE), kind(tmp_path / "Фото.png"))[1]
        assert (
            b'filename="b.txt"\r\nContent-Type: text/plain'
            in uploaded(Operations(SITE), kind(tmp_path / "Фото.png"), "b.txt")[1]
        )

    def test_a_file_object(self, tmp_path: Path) -> None:
        """From its beginning, wherever it stands, each time; it stays open, since it is the caller's."""
        (tmp_path / "a.bin").write_bytes(b"0123456789")
        with (tmp_path / "a.bin").open("rb") as file:
            file.seek(5)
            body, sent = uploaded(Operations(SITE), file)
            assert b'filename="a.bin"\r\nContent-Type: application/octet-stream\r\n\r\n0123456789\r\n' in sent
            assert b"".join(body) == sent
            assert not file.closed

    @pytest.mark.parametrize("make", [io.BytesIO, tempfile.TemporaryFile, tempfile.SpooledTemporaryFile])
    def test_a_file_without_a_name(self, make: Any) -> None:
        """It has some name all the same, and the caller may give one."""
        with make() as file:
            assert b'filename="' in uploaded(Operations(SITE), file)[1]
            assert b'filename="a.png"' in uploaded(Operations(SITE), file, "a.png")[1]

    @pytest.mark.parametrize("source", [None, 5, io.StringIO("abc"), ["a.png"], object(), bytearray])
    def test_what_is_no_file(self, source: Any) -> None:
        """Nothing but paths, bytes, and binary files that can seek."""
        with pytest.raises(InvalidInput):
            Operations(SITE).upload(source, "a.png")

    @pytest.mark.parametrize("name", ["missing.png", "", "a\0b.png"])
    def test_no_such_file(self, name: str, tmp_path: Path) -> None:
        """A path that cannot be read is refused before anything is sent; a directory is none."""
        with pytest.raises(InvalidInput):
            Operations(SITE).upload(str(tmp_path / name))

    def test_a_pipe(self) -> None:
        """It cannot seek, so it could not be sent again."""
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as file, os.fdopen(writer, "wb"):
            with pytest.raises(InvalidInput, match="can seek"):
                Operations(SITE).upload(file, "a.png")

    def test_a_name_of_bytes(self, tmp_path: Path) -> None:
        """A name that is no UTF-8 is refused, and no UnicodeError."""
        path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
        Path(path).write_bytes(b"abc")
        with pytest.raises(InvalidInput):
            Operations(SITE).upload(path)
        assert uploaded(Operations(SITE), path, "a.png")

    @pytest.mark.parametrize("files", ["f1", File("f1"), [5], [None], b"f1"])
    def test_what_is_no_list_of_files(self, files: Any) -> None:
        """A single one is to be put into a list."""
        with pytest.raises(InvalidInput):
            Operations(SITE).question("Hi", files=files)

    @pytest.mark.parametrize("files", ["f1", File("f1")])
    def test_what_cannot_be_deleted(self, files: Any) -> None:
        """A string is no list of ids, though Python would take it for one."""
        with pytest.raises(InvalidInput):
            with_nonce(Operations(SITE)).delete_files(files)

    def test_ids(self) -> None:
        """Files or their ids."""
        assert Operations(SITE).question("Hi", files=[File("f1"), "f2"]).submission.file_ids == ("f1", "f2")
        request = with_nonce(Operations(SITE)).delete_files([File("f1"), "f2"]).next_request()
        assert request is not None
        assert json.loads(bytes(request.body)) == {"files": ["f1", "f2"]}  # type: ignore[arg-type]


class TestPictures:
    """Pictures in a prompt."""

    @pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"])
    def test_their_type(self, kind: str) -> None:
        """The type that the data URL says is the one that is sent, with a name to fit."""
        settings, prompt = with_nonce(Operations(SITE)), asking(WORDS, picture(kind))
        request = settings.turn(settings.question(prompt)).next_request()
        assert request is not None
        sent = b"".join(request.body)  # type: ignore[arg-type]
        assert f"\r\nContent-Type: {kind}\r\n\r\nabc\r\n".encode() in sent

    def test_a_picture_alone(self) -> None:
        """A picture is a question too: sites take a file without a message."""
        settings, prompt = with_nonce(Operations(SITE)), asking(picture())
        turn = settings.turn(settings.question(prompt))
        request = turn.next_request()
        assert request is not None
        assert request.url.endswith("/files/upload")
