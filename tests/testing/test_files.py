"""The site on loopback: uploads, and the shortcuts of an answer."""

from __future__ import annotations

import re

import pytest
import requests

from chatgpt4online.protocol.parsing.events import Shortcut
from chatgpt4online.testing import Answer, Chat, ReceivedFile, Widget, serve_site

from ..site import serve_site as serve_version
from ..testing.test_places import ANN, UI, VERSIONS, guest, logged_in
from ..testing.test_site import question

# --- files ---


@pytest.mark.parametrize("version", VERSIONS)
def test_uploaded_file_is_stored_and_served(version: str) -> None:
    """It belongs to the next chat that has its id."""
    content = bytes(range(256)) * 3 + b"\r\n--x\r\n\r\n"
    chats: list[Chat] = []

    def script(chat: Chat) -> str:
        chats.append(chat)
        return "seen"

    with serve_version(script, version=version, path="/blog") as site, guest(site) as visitor:
        answer = visitor.upload("a dog.PNG", content, "image/png")
        assert answer.status_code == 200
        assert "Allow" not in answer.headers
        data = answer.json()["data"]
        assert re.fullmatch(r"[0-9a-f]{32}", data["id"])
        assert data["url"].startswith(f"{site.url}/wp-content/uploads/20")
        assert site.files == [ReceivedFile("a dog.PNG", "image/png", content, data["id"], data["url"], "N/A")]
        got = requests.get(data["url"], timeout=10)
        assert (got.content, got.headers["Content-Type"]) == (content, "image/png")
        assert visitor.chat(newFileId=data["id"]).json()["reply"] == "seen"
        assert visitor.chat(newFileIds=[data["id"], "f2"], newFileId=None).status_code == 200
        assert visitor.chat("", newFileId=data["id"]).status_code == 200
    many = (data["id"], "f2") if version == "3.6.2" else ()
    assert [chat.file_ids for chat in chats] == [(data["id"],), many, (data["id"],)]


def test_refused_upload_has_the_text_of_the_plugin_and_is_not_stored() -> None:
    with serve_site() as site, guest(site) as visitor:
        path = f"{UI}/files/upload"
        refusals = [
            (visitor.post(path), 400, "No file provided."),
            (visitor.post(path, data={"purpose": "N/A"}), 400, "No file provided."),
            (visitor.post(path, data={"file": "text"}), 400, "No file provided."),
            (visitor.post(path, json={"file": "text"}), 400, "No file provided."),
            (visitor.upload("a.png", b"", "image/png", purpose=None), 400, "Purpose is required."),
            (visitor.upload("a.png", b"", "image/png", purpose=""), 400, "Purpose is required."),
            (visitor.upload("a.exe", b"MZ", "image/png"), 400, "Invalid file type."),
            (visitor.upload("png", b"x", "image/png"), 400, "Invalid file type."),
        ]
        for answer, status, message in refusals:
            assert answer.status_code == status
            assert answer.json() == {"success": False, "message": message}
        visitor.nonce = None
        assert visitor.upload("a.png", b"").json()["code"] == "rest_forbidden"
        visitor.nonce = "stale"
        assert visitor.upload("a.png", b"").json()["code"] == "rest_cookie_invalid_nonce"
        assert visitor.get("/wp-content/uploads/2026/11/x.png").status_code == 404
        assert site.files == []


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('name="file"; filename="a.png"', "a.png"),
        ("name=file; filename=a.png", "a.png"),
        ('filename="a \\"b\\".png"; name="file"', 'a "b".png'),
        ('name="file"; filename="C:\\\\dir\\\\a.png"', "a.png"),
        ("name=\"file\"; filename*=utf-8''a.png", None),
        ('name="other"; filename="a.png"', None),
    ],
)
@pytest.mark.parametrize("boundary", ["x", '"a b"'])
def test_form_parameters_are_read_as_in_php(disposition: str, name: str | None, boundary: str) -> None:
    """Quotes and the order of parameters make no difference. PHP ignores ``name*=``."""
    mark = boundary.strip('"')
    body = (
        f"--{mark}\r\nContent-Disposition: form-data; {disposition}\r\n\r\nx\r\n"
        f'--{mark}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nN/A\r\n--{mark}--\r\n'
    )
    with serve_site() as site, guest(site) as visitor:
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        visitor.post(f"{UI}/files/upload", data=body.encode(), headers=headers)
        assert [file.name for file in site.files] == ([name] if name else [])
        assert all(file.content == b"x" for file in site.files)


def test_visitor_deletes_only_own_files() -> None:
    """Since 2.9.6, the ids are those of the uploads, and the session of the visitor owns a file."""
    with serve_site() as site, guest(site) as owner, guest(site) as other:
        first, second = (owner.upload(f"{name}.png", b"x").json()["data"]["id"] for name in "ab")
        for visitor, ids, status, message in (
            (owner, ["nope"], 400, "No valid files to delete"),
            (owner, None, 400, "No valid files to delete"),
            (other, [first], 403, "Unauthorized access"),
        ):
            answer = visitor.post(f"{UI}/files/delete", json={"files": ids})
            assert (answer.status_code, answer.json()["message"]) == (status, message)
        other.upload("c.png", b"x")
        assert other.post(f"{UI}/files/delete", json={"files": [first]}).json()["message"].startswith("No authorized")
        assert owner.post(f"{UI}/files/delete", json={"files": [first, second]}).json() == {
            "success": True,
            "deleted": 2,
        }
        assert [file.name for file in site.files] == ["c.png"]


def test_id_of_an_upload_deletes_nothing_before_2_9_6() -> None:
    """The answer is a success nevertheless."""
    with serve_version(version="2.8.9") as site, guest(site) as visitor:
        file_id = visitor.upload("a.png", b"x").json()["data"]["id"]
        assert visitor.post(f"{UI}/files/delete", json={"files": [file_id]}).json() == {"success": True}
        assert len(site.files) == 1


def test_user_deletes_only_own_files() -> None:
    """The files belong to the user in every session of a login."""
    with serve_site(users=ANN) as site, guest(site) as visitor, logged_in(site) as ann, logged_in(site) as again:
        visitor.upload("guest.png", b"x")
        ann.upload("ann.png", b"x")
        ids = [file.id for file in site.files]
        assert again.post(f"{UI}/files/delete", json={"files": ids}).json() == {"success": True, "deleted": 1}
        assert [file.name for file in site.files] == ["guest.png"]


# --- shortcuts ---


def test_shortcut_id_gives_the_hidden_message_to_its_bot_only() -> None:
    hidden = Shortcut("message", "Tell me", message="the secret prompt", shortcut_id="abc")
    bare = Shortcut("message", "Label", shortcut_id="def")
    page = Widget("default", shortcuts=[Shortcut("message", "Page", "of the page", "ghi")])

    def script(chat: Chat) -> Answer:
        return Answer(f"You said: {chat.message}", shortcuts=[hidden, bare])

    with serve_site(script, bots=[page, "other"]) as site, guest(site) as visitor:
        assert visitor.chat("", shortcutId="abc").json() == {
            "success": False,
            "message": "Invalid or expired shortcut.",
        }
        shown = visitor.chat("hi").json()["shortcuts"]
        assert shown[0] == {"type": "message", "data": {"label": "Tell me", "shortcutId": "abc"}}
        for shortcut_id, message in (("abc", "the secret prompt"), ("def", "Label"), ("ghi", "of the page")):
            assert visitor.chat("", shortcutId=shortcut_id).json()["reply"] == f"You said: {message}"
        assert visitor.chat("mine", shortcutId="abc").json()["reply"] == "You said: mine"
        answer = visitor.post(f"{UI}/chats/submit", json=question("", botId="other", shortcutId="abc"))
        assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/json; charset=UTF-8")


def test_shortcuts_have_no_ids_before_3_3_3() -> None:
    """Their text is visible, and an id is not a question."""
    answer = Answer("a", shortcuts=[Shortcut("message", "Tell me", message="prompt", shortcut_id="abc")])
    with serve_version(answer, version="2.8.9") as site, guest(site) as visitor:
        assert visitor.chat().json()["shortcuts"] == [
            {"type": "message", "data": {"label": "Tell me", "message": "prompt"}}
        ]
        assert visitor.chat("", shortcutId="abc").status_code == 403
