"""The site on loopback: the public API."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests

from chatgpt4online.protocol.parsing.errors import ServerError
from chatgpt4online.protocol.parsing.events import Action, Json
from chatgpt4online.testing import Answer, Chat, ReceivedFile, Site, Widget

from ..site import serve_site
from ..testing.test_places import ANN, API, START, UI, VERSIONS, Visitor, guest, logged_in

# --- the public API ---


class Program(Visitor):
    """A program with the site's token."""

    def __init__(self, site: Site, token: str = "secret") -> None:
        super().__init__(site)
        self.http.headers["Authorization"] = f"Bearer {token}"

    def call(self, name: str, **params: Any) -> requests.Response:
        return self.post(f"{API}/{name}", json=params)


SINCE = {
    "simpleTextQuery": "",
    "simpleFastTextQuery": "3.6.2",
    "simpleImageQuery": "",
    "simpleImageEditQuery": "3.6.2 2.8.9",
    "simpleVisionQuery": "",
    "simpleJsonQuery": "",
    "moderationCheck": "",
    "simpleTranscribeAudio": "3.6.2 2.8.9",
    "simpleChatbotQuery": "",
    "simpleFileUpload": "3.6.2",
}


@pytest.mark.parametrize("name", SINCE)
@pytest.mark.parametrize("version", VERSIONS)
def test_api_has_the_routes_of_its_release(version: str, name: str) -> None:
    """A request without a needed parameter gets a 500 that names it."""
    with serve_site(token="secret", version=version) as site, Program(site) as program:
        answer = program.call(name)
        if version in (SINCE[name] or version):
            assert answer.status_code == 500
            assert answer.headers["Allow"] == "POST"
            assert answer.json()["success"] is False
            assert "required" in answer.json()["message"]
        else:
            assert answer.json()["code"] == "rest_no_route"


def test_api_needs_the_token_or_a_login() -> None:
    """Without the option, its routes do not exist."""
    with serve_site("ok", token="secret", users=ANN) as site, Program(site) as program, logged_in(site) as ann:
        check = program.get(f"{API}/simpleAuthCheck")
        assert check.json() == {"success": True, "data": {"type": "email", "value": "admin@example.org"}}
        assert (check.headers["Allow"], check.headers["Vary"]) == ("GET", "Origin")
        assert ann.get(f"{API}/simpleAuthCheck").json()["data"]["value"] == "ann@example.org"
        basic = requests.get(f"{site.url}{API}/simpleAuthCheck", auth=("ann", ANN["ann"]), timeout=10)
        assert basic.json()["data"]["value"] == "ann@example.org"
        for intruder in (guest(site), Visitor(site), Program(site, "Secret"), Program(site, "")):
            with intruder:
                answer = intruder.post(f"{API}/simpleTextQuery", json={"message": "hi"})
                assert (answer.status_code, answer.json()["code"]) == (401, "rest_forbidden")
        assert program.chat().status_code == 401  # chats do not accept the token
        assert program.post(f"{API}/simpleAuthCheck").status_code == 404
    with serve_site(users=ANN) as site, logged_in(site) as ann:
        assert ann.get(f"{API}/simpleAuthCheck").status_code == 404


@pytest.mark.parametrize(
    ("name", "params", "script", "data"),
    [
        ("simpleTextQuery", {"message": "hi"}, None, "You said: hi"),
        ("simpleFastTextQuery", {"message": "hi"}, None, "You said: hi"),
        ("simpleVisionQuery", {"message": "hi", "url": "https://x/a.png"}, None, "You said: hi"),
        ("simpleJsonQuery", {"message": "hi"}, '{"a": [1]}', {"a": [1]}),
        ("simpleJsonQuery", {"message": "hi"}, "no JSON", None),
        ("moderationCheck", {"text": "hi"}, "true", True),
        ("moderationCheck", {"text": "hi"}, "false", False),
        ("moderationCheck", {"text": "hi"}, None, None),
        ("simpleTranscribeAudio", {"url": "https://x/a.mp3"}, "words", "words"),
        ("simpleTranscribeAudio", {"mediaId": 3}, "words", "words"),
        ("simpleImageQuery", {"message": "cat"}, Answer(images=["https://x/cat.png"]), "https://x/cat.png"),
        ("simpleImageQuery", {"message": "cat"}, "![Image](data:x)", "![Image](data:x)"),
        ("simpleImageEditQuery", {"message": "cat", "mediaId": 3}, Answer(images=["u"]), "u"),
    ],
)
def test_query_returns_the_text_of_the_script(name: str, params: Json, script: Any, data: object) -> None:
    """The answer has the shape of the route."""
    with serve_site(script, token="secret") as site, Program(site) as program:
        answer = program.call(name, **params)
        assert answer.json() == {"success": True, "data": data}


def test_script_receives_route_user_and_parameters_of_a_query() -> None:
    chats: list[Chat] = []

    def script(chat: Chat) -> str:
        chats.append(chat)
        return "ok"

    params = {"message": "hi", "options": {"messages": [{"role": "user", "content": "x"}], "temperature": 0}}
    with serve_site(script, token="secret") as site, Program(site) as program:
        program.call("simpleTextQuery", **params)
    messages = [{"role": "user", "content": "x"}]
    assert chats == [Chat("hi", messages, "", "", False, params, (), "admin", "simpleTextQuery")]


def test_failures_of_a_script_give_500() -> None:
    """A limit counts for queries too."""

    def script(chat: Chat) -> Answer:
        if chat.message == "no":
            raise ServerError("no")
        return Answer(["<h1>busy</h1>"], status=503) if chat.message == "busy" else Answer(ending="fatal")

    with serve_site(script, token="secret", limit_after=3) as site, Program(site) as program:
        said = [program.call("simpleTextQuery", message=message) for message in ("no", "busy", "die", "more")]
    assert [answer.status_code for answer in said] == [500, 503, 500, 500]
    assert said[0].json() == {"success": False, "message": "no"}
    assert said[1].text == "<h1>busy</h1>"
    assert said[2].json()["code"] == "internal_server_error"
    assert said[3].json()["message"] == "You have reached the limit."


@pytest.mark.parametrize("version", VERSIONS)
def test_chatbot_query_continues_stored_conversations(version: str) -> None:
    """The limits of the bot apply."""
    chats: list[Chat] = []

    def script(chat: Chat) -> Answer:
        chats.append(chat)
        return Answer(f"You said: {chat.message}", actions=[Action("function", "f", {"a": 1})])

    with (
        serve_site(script, token="secret", version=version, bots=["support"], discussions=True, max_length=9) as site,
        Program(site) as program,
    ):
        first = program.call("simpleChatbotQuery", botId="support", message="one", chatId="c1", fileIds=["f1"]).json()
        program.call("simpleChatbotQuery", botId="support", message="two", chatId="c1", fileId="f2")
        third = program.call("simpleChatbotQuery", botId="support", message="three").json()
        assert program.call("simpleChatbotQuery", botId="support", message="x" * 10).json()["success"] is False
        assert program.call("simpleChatbotQuery", botId="support").json()["message"] == "The message is required."
        unknown = program.call("simpleChatbotQuery", botId="nobody", message="hi")
        assert unknown.status_code == (200 if version == "3.6.2" else 500)
    assert first["data"] == "You said: one"
    if version == "2.4.3":
        assert "extra" not in first
    else:
        action = {"type": "function", "data": {"name": "f", "args": {"a": 1}}}
        assert first["extra"] == {"actions": [action], "chatId": "c1"}
        assert third["extra"]["chatId"]
    earlier = ["Hi! How can I help you?", "one", "You said: one"]
    assert [message["content"] for message in chats[1].messages] == earlier
    assert chats[0].messages == chats[2].messages == []
    assert [chat.file_ids for chat in chats[:2]] == ([("f1",), ("f2",)] if version == "3.6.2" else [(), ()])


def test_api_accepts_uploads_as_form() -> None:
    """Every failure is a 500."""
    with serve_site(token="secret") as site, Program(site) as program:
        path = f"{API}/simpleFileUpload"
        form = program.post(path, files={"file": ("a.txt", b"abc", "text/plain")}).json()["data"]
        assert site.files == [ReceivedFile("a.txt", "text/plain", b"abc", form["id"], form["url"], "analysis")]
        assert program.post(path, files={"file": ("a.exe", b"abc")}).status_code == 500
        assert program.call("simpleFileUpload").status_code == 500


def test_list_of_bots_has_every_bot_with_an_id() -> None:
    """It always has the default bot."""
    with serve_site(token="secret", bots=[Widget("b", name="Bob"), Widget(None, custom_id="x")]) as site:
        with Program(site) as program:
            bots = program.get(f"{API}/listChatbots").json()["data"]
    assert [(bot["id"], bot["name"]) for bot in bots] == [("default", "AI: "), ("b", "Bob")]
    with serve_site(token="secret", version="2.4.3") as site, Program(site) as program:
        assert program.get(f"{API}/listChatbots").status_code == 404


# --- unexpected values ---


ODD: list[Any] = [[], {}, "", "x", 0, -1, True, None, 1e300, "9" * 5000, [["x"]], {"a": []}, "[" * 5000, "\ud800"]

FIELDS = """
botId customId chatId chatIds newMessage newFileId newFileIds shortcutId session messages files purpose userId
limit offset title message text url options fileId fileIds
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_any_value_in_any_field_has_an_answer(version: str) -> None:
    """The site still works afterwards."""
    names = re.findall(r"\w+", FIELDS)
    paths = [f"{UI}/{name}" for name in ("files/delete", "files/upload", "chats/submit")]
    paths += [f"{UI}/discussions/{name}" for name in ("list", "edit", "delete")]
    paths += [f"{API}/{name}" for name in SINCE]
    usual: Json = {"botId": "default", "chatId": "c", "chatIds": ["c"], "newMessage": "hi", "message": "hi"}
    with serve_site("ok", version=version, users=ANN, token="secret", discussions=True) as site, logged_in(site) as ann:
        for path in paths:
            for value in ODD:
                for body in (value, dict.fromkeys(names, value), usual | {"messages": value, "session": value}):
                    assert ann.post(path, json=body).status_code in (200, 400, 403, 404, 500)
        for value in ("Basic", "Basic !", "Basic \xff", "Basic eA==", "Bearer", "Digest x", ""):
            assert Visitor(site).post(START, headers={"Authorization": value}).status_code in (200, 401, 404)
        for kind in (
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\xff",
            "/",
        ):
            for data in (b"", b"--\r\n\r\n", b"--\xff\r\nContent-Disposition: form-data; name=file\r\n\r\n", b"\r\n--"):
                headers = {"Content-Type": kind}
                assert ann.post(f"{UI}/files/upload", data=data, headers=headers).status_code == 400
        assert ann.chat().json()["reply"] == "ok"
