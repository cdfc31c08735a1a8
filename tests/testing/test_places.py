"""The site on loopback: its addresses and its pages. Other tests of the site use the visitor of this module."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any, Self

import pytest
import requests

from chatgpt4online.protocol.parsing.errors import InvalidInput
from chatgpt4online.protocol.parsing.events import Json, Shortcut
from chatgpt4online.testing import Site, Widget

from ..site import serve_site
from ..support import recordings
from ..testing.test_site import english, normal, question, replay, site_of

VERSIONS = ["3.6.2", "2.8.9", "2.4.3"]
UI = "/wp-json/mwai-ui/v1"
API = "/wp-json/mwai/v1"
START = f"{API}/start_session"
ANN = {"ann": "abcd EFGH 1234"}


class Visitor:
    """A client of the site, with or without cookies."""

    def __init__(self, site: Site, nonce: str | None = None, cookies: dict[str, str] | None = None) -> None:
        self.site, self.nonce = site, nonce
        self.http = requests.Session()
        self.http.cookies.update(cookies or {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def send(self, method: str, path: str, *, headers: Json | None = None, **options: Any) -> requests.Response:
        nonce = {} if self.nonce is None else {"X-WP-Nonce": self.nonce}
        url = self.site.url + path
        return self.http.request(method, url, headers=nonce | (headers or {}), timeout=10, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.send("GET", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.send("POST", path, **options)

    def chat(self, message: str = "hi", **fields: Any) -> requests.Response:
        return self.post(f"{UI}/chats/submit", json=question(message, stream=False, **fields))

    def upload(self, *file: Any, purpose: str | None = "N/A", **fields: str) -> requests.Response:
        data = fields if purpose is None else fields | {"purpose": purpose}
        return self.post(f"{UI}/files/upload", files={"file": file}, data=data)


def guest(site: Site) -> Visitor:
    return Visitor(site, site.nonce)


def logged_in(site: Site, name: str = "ann") -> Visitor:
    """Return a visitor with the cookies of a login and its nonce from the page."""
    visitor = Visitor(site, None, site.login(name))
    visitor.nonce = widgets(visitor.get("/").text)[0][1]["restNonce"]
    return visitor


def widgets(page: str) -> list[tuple[Json, Json]]:
    """Return the params and the system values of each widget in a page."""
    found = re.findall(r"data-params='([^']*)' data-system='([^']*)'", page)
    return [(json.loads(html.unescape(params)), json.loads(html.unescape(system))) for params, system in found]


# --- the recordings ---


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("permalinks_session", {"permalinks": "plain"}),
        ("permalinks_index", {"permalinks": "plain"}),
        ("permalinks_stream", {"permalinks": "plain"}),
        ("disc_list", {"discussions": True}),
    ],
)
def test_recorded_request_gets_the_recorded_response(name: str, options: Json) -> None:
    recorded = recordings.load(f"3.6.2/{name}")
    with serve_site(english(), **options) as site:
        head, body = replay(f"3.6.2/{name}", site)
    recorded_head = recorded.raw.partition(b"\r\n\r\n")[0].decode("latin-1")
    assert normal(head, body.replace(rb"\/", b"/")) == normal(recorded_head, recorded.body.replace(rb"\/", b"/"))


@pytest.mark.parametrize("name", ["permalinks_page", "permalinks_wpjson"])
def test_page_with_plain_permalinks_has_the_right_root(name: str) -> None:
    """The page also answers for ``/wp-json/``."""
    recorded = recordings.load(f"3.6.2/{name}")
    with serve_site(permalinks="plain") as site:
        head, body = replay(f"3.6.2/{name}", site)
    recorded_head = recorded.raw.partition(b"\r\n\r\n")[0].decode("latin-1")
    assert normal(head, b"") == normal(recorded_head, b"")
    widget = re.compile(rb"data-system='.*?'")
    assert normal("", widget.findall(body)[0]) == normal("", widget.findall(recorded.body)[0])


# --- addresses ---


FORMS = {
    "pretty": ["/wp-json%s", "/index.php?rest_route=%s", "/?rest_route=%s", "/index.php/wp-json%s"],
    "plain": ["/index.php?rest_route=%s", "/?rest_route=%s"],
}


@pytest.mark.parametrize("path", ["", "/blog", "/a/b"])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("permalinks", ["pretty", "plain"])
def test_chats_work_at_every_address_of_the_api(permalinks: Any, version: str, path: str) -> None:
    """start_session of 2.8.9 exists only below the root in the page."""
    with serve_site("ok", permalinks=permalinks, version=version, path=path) as site, guest(site) as visitor:
        assert site.url.endswith(path)
        sessions = []
        for form in FORMS[permalinks]:
            assert visitor.post(form % "/mwai-ui/v1/chats/submit", json=question(stream=False)).json()["reply"] == "ok"
            sessions.append(visitor.post(form % "/mwai/v1/start_session").status_code)
        others = len(sessions) - 1
        wanted = {"3.6.2": [200] * (others + 1), "2.8.9": [200] + [404] * others, "2.4.3": [404] * (others + 1)}
        assert sessions == wanted[version]
        page = visitor.get("/")
        root = site.url + (FORMS[permalinks][0] % "")
        assert widgets(page.text)[0][1]["restUrl"] == root
        assert f'<{root}/>; rel="https://api.w.org/"' in page.headers["Link"]
        assert f'href="{root}/"' in page.text
        if permalinks == "plain":
            assert visitor.post(START).text == visitor.get("/any.thing").text == page.text


def test_addresses_outside_the_path_are_not_found() -> None:
    """A site in a sub-directory has nothing beside it."""
    with serve_site(path="/blog") as site, requests.Session() as http:
        origin = site.url.removesuffix("/blog")
        for path in ("/", "/wp-json/", "/blogger", "/?rest_route=/"):
            answer = http.get(origin + path, timeout=10)
            assert answer.status_code == 404
            assert answer.headers["Content-Type"] == "text/html"
        assert http.get(site.url, timeout=10).status_code == 200


@pytest.mark.parametrize(("version", "status"), [("3.6.2", 200), ("2.8.9", 404)])
def test_site_is_also_below_its_language(version: str, status: int) -> None:
    """Old releases have no start_session there."""
    with serve_site("ok", version=version, language="fr", path="/blog") as site, guest(site) as visitor:
        page = visitor.get("/fr/")
        assert widgets(page.text)[0][1]["restUrl"] == f"{site.url}/fr/wp-json"
        assert f"<{site.url}/fr/wp-json/>" in page.headers["Link"]
        assert visitor.post("/fr" + START).status_code == status
        assert visitor.post(START).status_code == 200
        assert visitor.post(f"/fr{UI}/chats/submit", json=question(stream=False)).json()["reply"] == "ok"
        assert visitor.get("/french").status_code == 200


# --- pages ---


def test_page_shows_each_bot_as_described() -> None:
    """Pages are at every path without a dot."""
    shortcuts = [Shortcut("message", "Yes", message="secret", shortcut_id="s1"), Shortcut("message", "No", "no")]
    bots: list[str | Widget] = [
        "default",
        Widget("12", custom_id="md5", name="Ann: ", start_sentence="", max_length=7, uploads=True, multi_upload=True),
        Widget(None, custom_id="own", mode="images", shortcuts=shortcuts),
    ]
    with serve_site(bots=bots) as site, guest(site) as visitor:
        for path in ("/", "/contact", "/a/b/", "/index.php"):
            page = visitor.get(path)
            assert len(widgets(page.text)) == 3
        assert visitor.get("/favicon.ico").status_code == 404
        assert visitor.post("/contact").status_code == 404
    default, numbered, own = widgets(page.text)
    assert (default[0]["mode"], default[1]["botId"], default[1]["customId"]) == ("chat", "default", None)
    assert (numbered[1]["botId"], numbered[1]["customId"]) == (12, "md5")
    keys = ("aiName", "startSentence", "textInputMaxLength", "fileUpload", "imageUpload", "multiUpload", "maxUploads")
    assert [numbered[0][key] for key in keys] == ["Ann: ", "", 7, True, True, True, 10]
    assert (own[0]["mode"], own[1]["botId"], own[1]["customId"]) == ("images", None, "own")
    assert own[1]["shortcuts"] == [
        {"type": "message", "data": {"label": "Yes", "shortcutId": "s1"}},
        {"type": "message", "data": {"label": "No", "message": "no"}},
    ]


def test_widgets_of_old_releases_have_their_fields() -> None:
    """2.4.3 has few fields about uploads and none about shortcuts. 2.8.9 shows the text of a shortcut."""
    bots = [Widget("default"), Widget("b", uploads=True, shortcuts=[Shortcut("message", "Yes", "text", "s1")])]
    with serve_site(bots=bots, version="2.4.3") as site, guest(site) as visitor:
        plain, uploading = widgets(visitor.get("/").text)
    assert "fileUpload" not in plain[0]
    assert uploading[0]["fileUpload"] is True
    assert "shortcuts" not in uploading[1]
    with serve_site(bots=bots, version="2.8.9") as site, guest(site) as visitor:
        shown = widgets(visitor.get("/").text)[1][1]["shortcuts"]
    assert shown == [{"type": "message", "data": {"label": "Yes", "message": "text"}}]


@pytest.mark.parametrize("version", VERSIONS)
def test_session_closed_refuses_start_session_and_shows_the_nonce(version: str) -> None:
    """2.9.0 did the same."""
    with serve_site("ok", session_closed=True, version=version) as site, Visitor(site) as visitor:
        answer = visitor.post(START)
        code = "rest_no_route" if version == "2.4.3" else "rest_forbidden"
        assert (answer.status_code, answer.json()["code"]) == (404 if version == "2.4.3" else 401, code)
        assert "Allow" not in answer.headers
        visitor.nonce = widgets(visitor.get("/").text)[0][1]["restNonce"]
        assert visitor.chat().json()["reply"] == "ok"


def test_bot_has_its_own_limit_or_that_of_the_site() -> None:
    """A custom id has no limit."""
    bots: list[str | Widget] = [
        "default",
        Widget("long", max_length=9),
        Widget("short", custom_id="mine", max_length=2),
    ]
    with serve_site("ok", bots=bots, max_length=4) as site, guest(site) as visitor:
        for bot, length, status in (("default", 5, 500), ("long", 9, 200), ("long", 10, 500), ("short", 3, 500)):
            assert visitor.chat("x" * length, botId=bot).status_code == status
        assert visitor.chat("x" * 99, botId="short", customId="mine").status_code == 200
        assert visitor.chat("x" * 99, botId=None, customId="mine").status_code == 200


# --- arguments ---


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: site_of(permalinks="ugly"), "permalinks"),
        (lambda: serve_site(path="blog"), "path"),
        (lambda: serve_site(path="/blog/"), "path"),
        (lambda: site_of(path=None), "path"),
        (lambda: serve_site(language="/fr"), "language"),
        (lambda: serve_site(language="fr", permalinks="plain"), "language"),
        (lambda: site_of(users=["ann"]), "users"),
        (lambda: serve_site(users={"ann": ""}), "users"),
        (lambda: serve_site(users={"a:b": "x"}), "users"),
        (lambda: serve_site(token=""), "token"),
        (lambda: serve_site(version="3.0.0"), "version"),
        (lambda: serve_site(bots=[Widget(None)]), "bot_id"),
        (lambda: Widget(""), "bot_id"),
        (lambda: Widget(max_length=0), "max_length"),
    ],
)
def test_error_for_a_bad_argument_names_it(call: Callable[[], object], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        call()


def test_login_of_an_unknown_user_raises() -> None:
    with serve_site(users=ANN) as site, pytest.raises(InvalidInput, match="bob"):
        site.login("bob")
