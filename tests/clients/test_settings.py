"""The options that both clients share, and the turn that they make of a question."""

from __future__ import annotations

import io
import os
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from chatgpt4online import AsyncClient, Bot, Client, File, InvalidInput, Session
from chatgpt4online.operations import Operations, new_chat_id
from chatgpt4online.protocol.calls.multipart import Multipart

from ..support.exchanges import sent_file, sent_json

SITE = "https://example.org"


def picture(kind: str = "image/png", data: bytes = b"abc") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{b64encode(data).decode()}"}}


def asking(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


WORDS = {"type": "text", "text": "What is it?"}


def with_nonce(operations: Operations) -> Operations:
    """Return the operations with a nonce in their session."""
    operations.session.nonce = "n"
    return operations


def uploaded(settings: Operations, *arguments: Any) -> tuple[Multipart, bytes]:
    """Return the multipart body of this upload, and its bytes."""
    request = with_nonce(settings).upload(*arguments).next_request()
    assert request is not None
    assert isinstance(request.body, Multipart)
    return request.body, b"".join(request.body)


class TestOptions:
    """Options that a client gets when it is made."""

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
    def test_invalid_options_are_refused_by_the_constructor(self, client: Any, options: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            client(**options)

    def test_credentials_become_headers(self) -> None:
        settings = Operations(
            SITE, headers={"X-Team": "blue"}, cookies={"a": "b", "c": "d=e"}, auth=("Аня", "ab cd:ef")
        )
        assert settings.options()["headers"] == {
            "X-Team": "blue",
            "Cookie": "a=b; c=d=e",
            "Authorization": "Basic " + b64encode("Аня:ab cd:ef".encode()).decode(),
        }

    def test_cookie_with_a_long_name_is_sent(self) -> None:
        """WordPress's own login cookie has a name of 52 characters."""
        name = "wordpress_logged_in_" + 32 * "0"
        options = Operations(SITE, cookies={name: "x"}, headers={f"X-{name}".replace("_", "-"): "y"}).options()
        assert options["headers"]["Cookie"] == f"{name}=x"

    def test_white_space_around_a_token_is_ignored(self) -> None:
        """A token that was read from a file ends with a line end."""
        request = Operations(SITE, token="secret\n").api_check().next_request()
        assert request is not None
        assert request.headers["Authorization"] == "Bearer secret"

    def test_no_options_add_no_headers(self) -> None:
        assert Operations(SITE).options()["headers"] == {}

    def test_chat_ids_are_short_random_words(self) -> None:
        """They begin with a letter, so that PHP does not read them as numbers."""
        ids = {new_chat_id() for _ in range(100)}
        assert len(ids) == 100
        assert all(name.isascii() and name.isalnum() and 8 <= len(name) <= 64 and name[0].isalpha() for name in ids)


class TestBots:
    """``Client(bot=...)`` with the values from a page."""

    def test_ids_of_the_bot_replace_the_defaults(self) -> None:
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
    def test_session_of_the_page_is_used(self, bot: Bot | None, session: Session) -> None:
        assert Operations(SITE, bot=bot).session == session

    @pytest.mark.parametrize(
        "root", ["https://[::1", "https://example.org:99999", "javascript:x", "/wp-json", "http://example.org/wp-json"]
    )
    def test_wrong_root_of_a_page_is_ignored(self, root: str) -> None:
        """A page may be wrong, or have a plain http address although the site uses TLS."""
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
    def test_message_over_the_limit_of_the_bot_is_refused(
        self, bot: Bot | None, size: int, fits: bool, flatten: bool
    ) -> None:
        """The message alone counts, in characters. A bot with a custom id has no limit (protocol section 1.4)."""
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

    def test_bot_without_uploads_refuses_files_and_pictures(self) -> None:
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
    def test_file_types_of_the_bot_are_checked(self, types: tuple[str, ...], name: str, fits: bool) -> None:
        """The site's owner lists the types. ``image/*`` is common."""
        settings = Operations(SITE, bot=Bot(uploads=True, upload_types=types))
        if fits:
            settings.upload(b"abc", name)
            return
        with pytest.raises(InvalidInput, match="image/png"):
            settings.upload(b"abc", name)

    @pytest.mark.parametrize(("most", "files", "fits"), [(1, 1, True), (1, 2, False), (3, 3, True), (3, 4, False)])
    def test_too_many_files_are_refused(self, most: int, files: int, fits: bool) -> None:
        settings = Operations(SITE, bot=Bot(uploads=True, max_uploads=most))
        if fits:
            assert len(settings.question("Hi", files=["f"] * files).submission.file_ids) == files
            return
        with pytest.raises(InvalidInput, match="no more than"):
            settings.question("Hi", files=["f"] * files)

    def test_pictures_count_as_files(self) -> None:
        settings = Operations(SITE, bot=Bot(uploads=True, max_uploads=2))
        prompt = asking(WORDS, picture(), picture())
        settings.turn(settings.question(prompt))
        with pytest.raises(InvalidInput, match="no more than"):
            settings.turn(settings.question(prompt, files=["f1"]))


class TestFiles:
    """Sources of an upload."""

    def test_bytes_are_uploaded_with_the_type_of_their_name(self) -> None:
        body, sent = uploaded(Operations(SITE), b"abc", "photo.png")
        assert b'filename="photo.png"\r\nContent-Type: image/png\r\n\r\nabc\r\n' in sent
        assert len(body) == len(sent)

    @pytest.mark.parametrize("name", [None, ""])
    def test_bytes_without_a_name_are_refused(self, name: Any) -> None:
        """A site knows the type of a file by its name."""
        with pytest.raises(InvalidInput, match="name"):
            Operations(SITE).upload(b"abc", name)

    @pytest.mark.parametrize("kind", [str, Path])
    def test_path_is_uploaded_under_its_name_or_another(self, kind: Any, tmp_path: Path) -> None:
        """The file is opened when it is sent, and closed afterwards."""
        (tmp_path / "Фото.png").write_bytes(b"abc")
        assert 'filename="Фото.png"'.encode() in uploaded(Operations(SITE), kind(tmp_path / "Фото.png"))[1]
        assert (
            b'filename="b.txt"\r\nContent-Type: text/plain'
            in uploaded(Operations(SITE), kind(tmp_path / "Фото.png"), "b.txt")[1]
        )

    def test_file_object_is_sent_from_its_beginning_each_time(self, tmp_path: Path) -> None:
        """It stays open, since it belongs to the caller."""
        (tmp_path / "a.bin").write_bytes(b"0123456789")
        with (tmp_path / "a.bin").open("rb") as file:
            file.seek(5)
            body, sent = uploaded(Operations(SITE), file)
            assert b'filename="a.bin"\r\nContent-Type: application/octet-stream\r\n\r\n0123456789\r\n' in sent
            assert b"".join(body) == sent
            assert not file.closed

    @pytest.mark.parametrize("make", [io.BytesIO, tempfile.TemporaryFile, tempfile.SpooledTemporaryFile])
    def test_file_without_a_name_gets_one(self, make: Any) -> None:
        with make() as file:
            assert b'filename="' in uploaded(Operations(SITE), file)[1]
            assert b'filename="a.png"' in uploaded(Operations(SITE), file, "a.png")[1]

    @pytest.mark.parametrize("source", [None, 5, io.StringIO("abc"), ["a.png"], object(), bytearray])
    def test_upload_rejects_text_files_and_other_types(self, source: Any) -> None:
        """Paths, bytes and seekable binary files are accepted."""
        with pytest.raises(InvalidInput):
            Operations(SITE).upload(source, "a.png")

    @pytest.mark.parametrize("name", ["missing.png", "", "a\0b.png"])
    def test_unreadable_path_is_refused_before_a_request(self, name: str, tmp_path: Path) -> None:
        """Missing files and directories are examples."""
        with pytest.raises(InvalidInput):
            Operations(SITE).upload(str(tmp_path / name))

    def test_pipe_is_refused(self) -> None:
        """A pipe cannot seek, so its content cannot be sent again."""
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as file, os.fdopen(writer, "wb"):
            with pytest.raises(InvalidInput, match="can seek"):
                Operations(SITE).upload(file, "a.png")

    def test_file_name_that_is_not_utf_8_is_refused(self, tmp_path: Path) -> None:
        """The error is InvalidInput and not UnicodeError."""
        path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
        Path(path).write_bytes(b"abc")
        with pytest.raises(InvalidInput):
            Operations(SITE).upload(path)
        assert uploaded(Operations(SITE), path, "a.png")

    @pytest.mark.parametrize("files", ["f1", File("f1"), [5], [None], b"f1"])
    def test_files_must_be_a_list(self, files: Any) -> None:
        with pytest.raises(InvalidInput):
            Operations(SITE).question("Hi", files=files)

    @pytest.mark.parametrize("files", ["f1", File("f1")])
    def test_delete_files_refuses_a_single_id(self, files: Any) -> None:
        """Python would iterate over the characters of a str."""
        with pytest.raises(InvalidInput):
            with_nonce(Operations(SITE)).delete_files(files)

    def test_files_and_their_ids_are_accepted(self) -> None:
        assert Operations(SITE).question("Hi", files=[File("f1"), "f2"]).submission.file_ids == ("f1", "f2")
        request = with_nonce(Operations(SITE)).delete_files([File("f1"), "f2"]).next_request()
        assert request is not None
        assert sent_json(request) == {"files": ["f1", "f2"]}


class TestPictures:
    """Pictures in a prompt."""

    @pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"])
    def test_picture_is_sent_with_the_type_of_its_data_url(self, kind: str) -> None:
        settings, prompt = with_nonce(Operations(SITE)), asking(WORDS, picture(kind))
        request = settings.turn(settings.question(prompt)).next_request()
        assert request is not None
        sent = sent_file(request)
        assert f"\r\nContent-Type: {kind}\r\n\r\nabc\r\n".encode() in sent

    def test_picture_without_text_is_a_question(self) -> None:
        """Sites accept a file without a message."""
        settings, prompt = with_nonce(Operations(SITE)), asking(picture())
        turn = settings.turn(settings.question(prompt))
        request = turn.next_request()
        assert request is not None
        assert request.url.endswith("/files/upload")
