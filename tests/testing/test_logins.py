"""The site on loopback: users, their nonces and their discussions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatgpt4online.protocol.parsing.errors import ServerError
from chatgpt4online.protocol.parsing.events import Json
from chatgpt4online.testing import Answer, Chat, Widget

from ..site import serve_site
from ..testing.test_places import ANN, START, UI, VERSIONS, Visitor, guest, logged_in, widgets
from ..testing.test_site import question

# --- logins ---


@pytest.mark.parametrize("version", VERSIONS)
def test_page_has_the_user_and_the_nonce_of_a_login(version: str) -> None:
    """With cookies and nonce, the user can chat."""
    with (
        serve_site(lambda chat: chat.user or "nobody", version=version, users=ANN) as site,
        logged_in(site) as ann,
        guest(site) as visitor,
    ):
        system = widgets(ann.get("/").text)[0][1]
        assert system["userData"]["name"] == "ann"
        assert system["userData"]["ID"] == 2
        assert system["restNonce"] == ann.nonce != site.nonce
        assert ann.chat().json()["reply"] == "ann"
        assert ann.chat().headers["X-WP-Nonce"] == ann.nonce
        assert ann.get("/wp-admin/admin-ajax.php?action=rest-nonce").text == ann.nonce
        assert visitor.chat().json()["reply"] == "nobody"
        assert visitor.get("/wp-admin/admin-ajax.php?action=rest-nonce").status_code == 400
        assert (widgets(visitor.get("/").text)[0][1]["restNonce"] is None) is (version != "2.4.3")


def test_nonce_is_valid_only_with_its_cookies() -> None:
    """Cookies without a nonce make a guest."""
    with (
        serve_site(lambda chat: chat.user or "nobody", users=ANN | {"bob": "x y"}) as site,
        logged_in(site) as ann,
        logged_in(site) as again,
        logged_in(site, "bob") as bob,
        guest(site) as visitor,
    ):
        nonces = [visitor.nonce, ann.nonce, again.nonce, bob.nonce]
        assert len(set(nonces)) == 4
        for owner in (visitor, ann, again, bob):
            mine = owner.nonce
            for nonce in nonces:
                owner.nonce = nonce
                answer = owner.chat()
                assert answer.status_code == (200 if nonce == mine else 403)
                assert nonce == mine or answer.json()["code"] == "rest_cookie_invalid_nonce"
            owner.nonce = mine
        ann.nonce = None
        assert ann.chat().status_code == 401
        useless = ann.post(START).json()["restNonce"]  # this nonce is valid neither for the guest nor for the user
        for owner in (ann, visitor):
            owner.nonce = useless
            assert owner.chat().status_code == 403
        with Visitor(site, site.nonce, {next(iter(site.login("ann"))): "ann%7C1%7Cforged%7Cx"}) as forger:
            assert forger.chat().status_code == 403


def test_aged_nonce_of_a_user_brings_a_new_one_of_that_user() -> None:
    with serve_site("ok", users=ANN) as site, logged_in(site) as ann:
        site.age_nonce()
        answer = ann.chat()
        ann.nonce = answer.json()["new_token"]
        assert answer.headers["X-WP-Nonce"] == ann.nonce
        assert "new_token" not in ann.chat().json()
        site.expire_nonce()
        assert ann.chat().status_code == 403


def test_application_password_needs_a_nonce_for_the_plugin_only() -> None:
    """WordPress itself refuses a bad password."""
    with serve_site(lambda chat: chat.user or "nobody", users=ANN) as site, Visitor(site) as visitor:
        visitor.http.auth = ("ann", "abcdEFGH 1234")
        session = visitor.post(START)
        nonce = session.json()["restNonce"]
        assert nonce != site.nonce
        for given, status, said in (
            (nonce, 200, "ann"),
            (None, 403, "rest_forbidden"),
            (site.nonce, 403, "rest_forbidden"),
        ):
            visitor.nonce = given
            answer = visitor.chat()
            assert answer.status_code == status
            assert said in answer.text
            assert "X-WP-Nonce" not in answer.headers
        for auth, code in ((("ann", "wrong"), "incorrect_password"), (("eve", "x"), "invalid_username")):
            visitor.http.auth = auth
            answer = visitor.post(START)
            assert (answer.status_code, answer.json()["code"]) == (401, code)
        visitor.http.auth = None
        visitor.nonce = nonce
        assert visitor.chat().status_code == 403
    with serve_site() as site, Visitor(site) as visitor:
        visitor.http.auth = ("ann", "x")
        assert visitor.post(START).json()["restNonce"] == site.nonce
        assert visitor.post(START, headers={"Authorization": "Basic \xff"}).status_code == 200


# --- discussions ---


def test_no_discussions_without_the_option() -> None:
    """The routes do not exist, and nothing is stored."""
    with serve_site(users=ANN) as site, logged_in(site) as ann:
        for name in ("list", "edit", "delete"):
            assert ann.post(f"{UI}/discussions/{name}", json={"botId": "default"}).status_code == 404


def discussions(visitor: Visitor, **fields: Any) -> Json:
    answer: Json = visitor.post(f"{UI}/discussions/list", json={"botId": "default"} | fields).json()
    return answer


@pytest.mark.parametrize("version", VERSIONS)
def test_chats_of_a_user_are_listed_the_latest_first(version: str) -> None:
    """Only chats with an id are stored. All values of a row are strings."""

    def script(chat: Chat) -> Answer:
        return Answer(f"You said: {chat.message}", response_id="resp_1")

    with serve_site(script, discussions=True, users=ANN, version=version) as site, logged_in(site) as ann:
        assert discussions(ann) == {"success": True, "total": "0", "chats": []}
        file_id = ann.upload("a.png", b"x").json()["data"]["id"]
        ann.chat("first", chatId="c1", session="s1")
        ann.chat("second", chatId="c2", newFileId=file_id, shortcutName="Label")
        ann.chat("unnamed")
        list(ann.post(f"{UI}/chats/submit", json=question("again", chatId="c1")).iter_lines())
        answer = discussions(ann)
        assert answer["total"] == "2"
        assert [row["chatId"] for row in answer["chats"]] == ["c1", "c2"]
        row = answer["chats"][0]
        assert (row["userId"], row["botId"], row["title"], row["threadId"]) == ("2", "default", None, None)
        contents = [(item["role"], item["content"]) for item in json.loads(row["messages"])]
        assert contents == [
            ("assistant", "Hi! How can I help you?"),
            ("user", "first"),
            ("assistant", "You said: first"),
            ("user", "again"),
            ("assistant", "You said: again"),
        ]
        extra = json.loads(row["extra"])
        assert extra["session"] == "s1"
        assert extra.get("previousResponseId") == (None if version == "2.4.3" else "resp_1")
        assert ("metadata_display" in row) is (version == "3.6.2")
        image = json.loads(answer["chats"][1]["messages"])[1]
        assert image["content"] == f"![Uploaded Image]({site.files[0].url})\nsecond"
        assert image["shortcutName"] == "Label"
        assert [row["chatId"] for row in discussions(ann, limit=1, offset=1)["chats"]] == ["c2"]
        assert discussions(ann, customId="other")["total"] == "0"


def test_users_see_only_their_own_discussions() -> None:
    """Guests see none. Failed turns and those of another user are not stored."""

    def script(chat: Chat) -> str:
        if chat.message == "fail":
            raise ServerError("no")
        return "ok"

    with (
        serve_site(
            script, discussions=True, users=ANN | {"bob": "x"}, bots=["default", Widget(None, custom_id="u")]
        ) as site,
        logged_in(site) as ann,
        logged_in(site, "bob") as bob,
        guest(site) as visitor,
    ):
        ann.chat("mine", chatId="c1")
        ann.chat("fail", chatId="c2")
        ann.chat("hi", chatId="c3", customId="u")
        assert bob.chat("intruder", chatId="c1").json()["reply"] == "ok"
        visitor.chat("guest", chatId="c4")
        assert discussions(visitor) == {"success": False, "message": "You need to be connected."}
        assert discussions(ann, botId=None) == {"success": False, "message": "Bot ID is required."}
        assert discussions(bob)["total"] == "0"
        [row] = discussions(ann)["chats"]
        assert "intruder" not in row["messages"]
        assert [row["chatId"] for row in discussions(ann, customId="u")["chats"]] == ["c3"]
        ann.nonce = None
        assert discussions(ann) == {"success": False, "message": "You need to be connected."}


def test_only_the_owner_edits_and_deletes_discussions() -> None:
    """Long titles are cut, and refusals have the texts of the plugin."""
    with (
        serve_site(discussions=True, users=ANN | {"bob": "x"}) as site,
        logged_in(site) as ann,
        logged_in(site, "bob") as bob,
        guest(site) as visitor,
    ):
        ann.chat(chatId="c1")
        edit, delete = f"{UI}/discussions/edit", f"{UI}/discussions/delete"
        assert ann.post(edit, json={"chatId": "c1", "title": "t" * 70}).json() == {"success": True}
        assert discussions(ann)["chats"][0]["title"] == "t" * 64
        assert bob.post(edit, json={"chatId": "c1", "title": "x"}).json() == {"success": True}
        assert discussions(ann)["chats"][0]["title"] == "t" * 64
        for who, path, body, status, said in (
            (ann, edit, {"chatId": "c1"}, 400, "chatId and title are required."),
            (visitor, edit, {"chatId": "c1", "title": "x"}, 401, "You need to be logged in."),
            (ann, delete, {}, 400, "chatIds is required."),
            (ann, delete, {"chatIds": []}, 400, "chatIds is required."),
            (ann, delete, {"chatIds": ["c1", "nope"]}, 403, "Sorry, you are not allowed to do that."),
            (bob, delete, {"chatIds": ["c1"]}, 403, "Sorry, you are not allowed to do that."),
            (visitor, delete, {"chatIds": ["c1"]}, 401, "Sorry, you are not allowed to do that."),
        ):
            answer = who.post(path, json=body)
            assert (answer.status_code, answer.json()["message"]) == (status, said)
        assert ann.post(delete, json={"chatIds": ["c1"]}).json() == {"success": True}
        assert discussions(ann)["total"] == "0"
