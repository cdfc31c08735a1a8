"""Requests as values: bodies, addresses, headers and the session."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online import __version__
from chatgpt4online.net.url import absolute, origin
from chatgpt4online.protocol.calls.prompt import Submission
from chatgpt4online.protocol.calls.request import USER_AGENT, Request, Session, fold_headers
from chatgpt4online.protocol.calls.roots import moved_root, page_url, parent_root, rest_roots
from chatgpt4online.protocol.parsing.errors import InvalidInput

from ..support.strategies import texts

# Protocol section 1.4: no other key may be sent, since the server merges all of them over the bot's configuration.
ALLOWED = {
    "botId",
    "customId",
    "newMessage",
    "messages",
    "chatId",
    "session",
    "contextId",
    "stream",
    "newFileId",
    "newFileIds",
    "previousResponseId",
    "shortcutId",
    "shortcutName",
}


def body(session_id: str = "", message: str = "Hello", **fields: Any) -> dict[str, Any]:
    """Return the decoded body of a submission."""
    return json.loads(Submission(message, **fields).body(session_id))


SITE = "https://example.org"


class TestBody:
    """The JSON body of a question."""

    def test_body_of_a_question_with_defaults(self) -> None:
        """The keys are in the order in which a browser sends them."""
        assert body() == {
            "botId": "default",
            "customId": None,
            "session": None,
            "chatId": "",
            "contextId": None,
            "messages": [],
            "newMessage": "Hello",
            "newFileId": None,
            "newFileIds": None,
            "stream": True,
        }

    def test_body_of_a_question_with_all_fields(self) -> None:
        assert body(
            "s1",
            messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}],
            bot_id="support",
            custom_id="abc",
            chat_id="c1",
            context_id=7,
            file_ids=["f1", "f2"],
            previous_response_id="resp_1",
            shortcut_id="x",
            shortcut_name="Label",
            stream=False,
        ) == {
            "botId": "support",
            "customId": "abc",
            "session": "s1",
            "chatId": "c1",
            "contextId": 7,
            "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}],
            "newMessage": "Hello",
            "newFileId": None,
            "newFileIds": ["f1", "f2"],
            "stream": False,
            "shortcutId": "x",
            "shortcutName": "Label",
            "previousResponseId": "resp_1",
        }

    @given(
        texts.filter(str.strip),
        st.lists(st.fixed_dictionaries({"role": texts, "content": texts}, optional={"id": texts, "model": texts})),
        st.lists(st.sampled_from(["f1", "f2", "f3"]), max_size=3),
        st.one_of(st.none(), texts),
        st.booleans(),
    )
    def test_body_has_only_known_keys_and_keeps_every_character(
        self, message: str, history: list[dict[str, str]], files: list[str], previous: str | None, stream: bool
    ) -> None:
        sent = body(message=message, messages=history, file_ids=files, previous_response_id=previous, stream=stream)
        assert set(sent) <= ALLOWED
        assert {"chatId", "messages", "newMessage", "botId", "stream"} <= set(sent)
        assert sent["newMessage"] == message
        assert sent["messages"] == [{"role": item["role"], "content": item["content"]} for item in history]
        assert sent["stream"] is stream
        assert [sent["newFileId"]] * (len(files) == 1) + (sent["newFileIds"] or []) == files
        assert ("previousResponseId" in sent) == bool(previous)

    @pytest.mark.parametrize("field", ["previous_response_id", "shortcut_id", "shortcut_name"])
    @pytest.mark.parametrize("value", [None, ""])
    def test_empty_id_is_not_sent(self, field: str, value: Any) -> None:
        """The server would look it up."""
        assert set(body(**{field: value})) == set(body())

    def test_single_file_is_sent_in_the_older_field(self) -> None:
        """Every version reads it."""
        sent = body(message="", file_ids=("f1",))
        assert (sent["newFileId"], sent["newFileIds"], sent["newMessage"]) == ("f1", None, "")

    def test_letters_are_not_escaped(self) -> None:
        """The limit of old servers counted bytes."""
        assert '"newMessage":"Привет 😀"'.encode() in Submission("Привет 😀").body("")

    def test_shortcut_needs_no_message(self) -> None:
        """The site keeps the text of a shortcut secret."""
        sent = body(message="", shortcut_id="secret")
        assert (sent["newMessage"], sent["shortcutId"]) == ("", "secret")

    @pytest.mark.parametrize(
        "ids", [{"bot_id": None, "custom_id": "c"}, {"bot_id": "", "custom_id": "c"}, {"bot_id": "b"}]
    )
    def test_either_id_names_the_bot(self, ids: dict[str, Any]) -> None:
        sent = body(**ids)
        assert sent["botId"] or sent["customId"]


HALF = "\ud83d"


class TestInvalidInput:
    """Values that no site accepts are refused before anything is sent."""

    @pytest.mark.parametrize(
        ("fields", "names"),
        [
            ({"message": ""}, "message"),
            ({"message": " \r\n\t"}, "message"),
            ({"message": None}, "message"),
            ({"message": ["Hello"]}, "message"),
            ({"message": b"Hello"}, "message"),
            ({"message": HALF}, "surrogate"),
            ({"message": "x", "bot_id": None}, "bot_id"),
            ({"message": "x", "bot_id": ""}, "bot_id"),
            ({"message": "x", "bot_id": None, "custom_id": ""}, "custom_id"),
            ({"message": "x", "bot_id": 5}, "bot_id"),
            ({"message": "x", "bot_id": "b" * 65}, "bot_id"),
            ({"message": "x", "custom_id": 5}, "custom_id"),
            ({"message": "x", "custom_id": "b" * 65}, "custom_id"),
            ({"message": "x", "chat_id": 12}, "chat_id"),
            ({"message": "x", "chat_id": "c" * 65}, "chat_id"),
            ({"message": "x", "messages": [{"role": "user"}]}, r"messages\[0\]"),
            ({"message": "x", "messages": [{"content": "a"}]}, r"messages\[0\]"),
            ({"message": "x", "messages": [{"role": "user", "content": None}]}, r"messages\[0\]"),
            ({"message": "x", "messages": [{"role": 1, "content": "a"}]}, r"messages\[0\]"),
            (
                {"message": "x", "messages": [{"role": "user", "content": "a"}, {"role": "user", "content": ["a"]}]},
                r"messages\[1\]",
            ),
            ({"message": "x", "messages": ["a"]}, r"messages\[0\]"),
            ({"message": "x", "messages": [None]}, r"messages\[0\]"),
            ({"message": "x", "messages": [{"role": "user", "content": HALF}]}, "surrogate"),
            ({"message": "x", "messages": [{"role": HALF, "content": "a"}]}, "surrogate"),
            ({"message": "x", "bot_id": HALF}, "surrogate"),
            ({"message": "x", "custom_id": HALF}, "surrogate"),
            ({"message": "x", "chat_id": HALF}, "surrogate"),
            ({"message": "x", "file_ids": [HALF]}, "surrogate"),
            ({"message": "x", "file_ids": "f1"}, "file_ids"),
            ({"message": "x", "file_ids": ["f1", 5]}, "file_ids"),
            ({"message": "x", "file_ids": [None]}, "file_ids"),
            ({"message": "x", "previous_response_id": HALF}, "surrogate"),
            ({"message": "x", "shortcut_id": HALF}, "surrogate"),
            ({"message": "x", "shortcut_name": HALF}, "surrogate"),
        ],
    )
    def test_wrong_field_of_a_submission_is_named(self, fields: dict[str, Any], names: str) -> None:
        """The error is a ValueError too."""
        with pytest.raises(InvalidInput, match=names) as caught:
            Submission(**fields)
        assert isinstance(caught.value, ValueError)

    @pytest.mark.parametrize("field", ["bot_id", "custom_id", "chat_id"])
    def test_id_of_64_characters_is_accepted(self, field: str) -> None:
        fields: dict[str, Any] = {field: "i" * 64}
        Submission("x", **fields)

    def test_submission_is_comparable_and_frozen(self) -> None:
        assert Submission("x", chat_id="c") == Submission("x", chat_id="c")
        with pytest.raises(AttributeError):
            Submission("x").message = "y"


class TestAddresses:
    """The addresses of the API of a site."""

    @pytest.mark.parametrize(
        ("site", "root"),
        [
            ("https://example.org", "https://example.org/wp-json"),
            ("https://example.org/", "https://example.org/wp-json"),
            ("https://example.org//", "https://example.org/wp-json"),
            ("https://example.org/blog", "https://example.org/blog/wp-json"),
            ("https://example.org/blog/", "https://example.org/blog/wp-json"),
            ("https://example.org/?page=1#top", "https://example.org/wp-json"),
            ("https://example.org/wp-json", "https://example.org/wp-json"),
            ("https://example.org/wp-json/", "https://example.org/wp-json"),
            ("https://example.org/fr/wp-json/mwai-ui/v1", "https://example.org/fr/wp-json"),
            ("https://example.org/index.php/wp-json/", "https://example.org/index.php/wp-json"),
            ("https://example.org/wp-jsonish", "https://example.org/wp-jsonish/wp-json"),
            ("https://example.org/?rest_route=", "https://example.org/?rest_route="),
            ("https://example.org/?rest_route=/", "https://example.org/?rest_route="),
            ("https://example.org/index.php?rest_route=/mwai/v1", "https://example.org/index.php?rest_route="),
            ("https://example.org/?lang=fr&rest_route=/", "https://example.org/?lang=fr&rest_route="),
            ("http://127.0.0.1:8362", "http://127.0.0.1:8362/wp-json"),
            ("http://[::1]:8362/", "http://[::1]:8362/wp-json"),
            ("HTTPS://Example.org", "https://Example.org/wp-json"),
        ],
    )
    def test_site_or_root_in_either_form_gives_the_rest_root(self, site: str, root: str) -> None:
        assert rest_roots(site)[0] == root
        assert rest_roots(root) == (root,)

    @pytest.mark.parametrize(
        ("site", "roots"),
        [
            (
                "https://example.org/blog/",
                ["/blog/wp-json", "/blog/index.php?rest_route=", "/blog/?rest_route="],
            ),
            (
                "https://example.org/chat?x=1#top",
                ["/chat/wp-json", "/chat/index.php?rest_route=", "/chat/?rest_route="],
            ),
            ("https://example.org/index.php?a=1&rest_route=/", ["/index.php?a=1&rest_route="]),
        ],
    )
    def test_site_has_three_roots_and_a_root_has_one(self, site: str, roots: list[str]) -> None:
        assert rest_roots(site) == tuple(f"https://example.org{root}" for root in roots)

    @pytest.mark.parametrize(
        ("site", "page"),
        [
            ("https://example.org", "https://example.org"),
            ("https://example.org/chat/?x=1#top", "https://example.org/chat/?x=1"),
            ("https://example.org/wp-json", "https://example.org/"),
            ("https://example.org/blog/wp-json/mwai/v1/", "https://example.org/blog/"),
            ("https://example.org/wp-jsonish", "https://example.org/wp-jsonish"),
            ("https://example.org/index.php?rest_route=/", "https://example.org/"),
            ("https://example.org/blog/?rest_route=/mwai/v1", "https://example.org/blog/"),
            ("https://example.org/?lang=fr&rest_route=/", "https://example.org/?lang=fr"),
        ],
    )
    def test_page_of_a_site_or_a_root(self, site: str, page: str) -> None:
        assert page_url(site) == page

    @pytest.mark.parametrize(
        ("root", "parent"),
        [
            ("https://example.org/fr/wp-json", "https://example.org/wp-json"),
            ("https://example.org/blog/fr/wp-json", "https://example.org/blog/wp-json"),
            ("http://127.0.0.1:80/fr/wp-json", "http://127.0.0.1:80/wp-json"),
            ("https://example.org/wp-json", ""),
            ("https://example.org/fr/wp-json/", ""),
            ("https://example.org/fr/index.php?rest_route=", ""),
            ("https://example.org/fr/?rest_route=", ""),
            ("", ""),
        ],
    )
    def test_parent_of_a_pretty_root_is_one_directory_up(self, root: str, parent: str) -> None:
        assert parent_root(root) == parent

    @pytest.mark.parametrize(
        "site",
        [
            "",
            "example.org",
            "//example.org",
            "ftp://example.org",
            "https://",
            "https:///path",
            "file:///etc/passwd",
            "https://[::1",
            "https://example.org:99999",
            "https://example.org:port",
            None,
            b"https://example.org",
            5,
        ],
    )
    def test_bad_site_address_raises_and_is_shown(self, site: Any) -> None:
        with pytest.raises(InvalidInput, match=r"https://example\.org") as caught:
            rest_roots(site)
        shown = repr(site.strip()) if isinstance(site, str) else type(site).__name__
        assert shown in str(caught.value)

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("https://x.org/wp-json/mwai/v1/start_session", "https://x.org/wp-json"),
            ("https://x.org/wp-json/mwai/v1/start_session/", "https://x.org/wp-json"),
            ("https://x.org/?rest_route=/mwai/v1/start_session", "https://x.org/?rest_route="),
            ("https://x.org/index.php?rest_route=/mwai/v1/start_session", "https://x.org/index.php?rest_route="),
            ("https://x.org/wp-json/mwai-ui/v1/chats/submit", None),
            ("https://x.org/", None),
            ("https://x.org/login#/mwai/v1/start_session", None),
            ("https://x.org/login?to=/mwai/v1/start_session", None),
            ("https://x.org/login?to=/index.php?rest_route=/mwai/v1/start_session", None),
            ("https://x.org/login?rest_route=/a&to=/mwai/v1/start_session", None),
            ("https://x.org/?lang=fr&rest_route=/mwai/v1/start_session", "https://x.org/?lang=fr&rest_route="),
            ("", None),
        ],
    )
    def test_target_of_a_redirect_has_a_root_only_for_the_same_route(self, url: str, expected: str | None) -> None:
        assert moved_root(url, "/mwai/v1/start_session") == expected

    @pytest.mark.parametrize(
        ("url", "location", "expected"),
        [
            ("https://x.org/a/b", "/c", "https://x.org/c"),
            ("https://x.org/a/b", "c", "https://x.org/a/c"),
            ("https://x.org/a", "?d=1", "https://x.org/a?d=1"),
            ("https://x.org/a", " https://y.org/b ", "https://y.org/b"),
            ("http://x.org/a", "//y.org/b", "http://y.org/b"),
            ("http://x.org/a", "https://x.org/a", "https://x.org/a"),
            ("http://x.org/a", "http://y.org/a", "http://y.org/a"),
            ("https://x.org/a", "http://x.org/a", None),
            ("https://x.org/a", "HTTP://x.org/a", None),
            ("HTTPS://x.org/a", "http://x.org/a", None),
            ("HTTPS://x.org/a", "//y.org/b", "https://y.org/b"),
            ("https://x.org/a", "ftp://x.org/a", None),
            ("https://x.org/a", "javascript:alert(1)", None),
            ("https://x.org/a", "mailto:a@b.c", None),
            ("https://x.org/a", "https://[::1", None),
            ("https://x.org/a", "https://x.org:99999/", None),
            ("https://x.org/a", "https://:80/", None),
        ],
    )
    def test_location_is_resolved_to_web_addresses_without_losing_tls(
        self, url: str, location: str, expected: str | None
    ) -> None:
        assert absolute(url, location) == expected

    @given(st.text())
    def test_any_location_is_resolved_without_an_exception(self, location: str) -> None:
        target = absolute("https://x.org/a", location)
        assert target is None or target.startswith("https://")

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("https://x.org/a", "https://x.org/b?c", True),
            ("https://X.org/a", "https://x.ORG/b", True),
            ("https://x.org", "http://x.org", False),
            ("https://x.org", "https://www.x.org", False),
            ("https://x.org", "https://x.org:8443", False),
            ("https://x.org", "https://user:word@x.org", True),
        ],
    )
    def test_origin_is_scheme_host_and_port(self, one: str, other: str, same: bool) -> None:
        assert (origin(one) == origin(other)) is same


class TestHeaders:
    """Response headers as a dict."""

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-A": "1", "x-b": "2"},
            [("x-a", "1"), ("X-B", "2")],
            [(b"X-a", b"1"), (b"x-B", b"2")],
            (pair for pair in [("X-A", "0"), ("x-a", "1"), ("X-B", "2")]),
        ],
    )
    def test_last_of_repeated_headers_is_kept_under_a_lower_case_name(self, headers: Any) -> None:
        assert fold_headers(headers) == {"x-a": "1", "x-b": "2"}

    def test_repeated_link_headers_are_joined(self) -> None:
        """WordPress sends several (RFC 9110, section 5.3)."""
        headers = [("Link", "<a>; rel=x"), (b"link", b"<b>; rel=y"), ("X-A", "1"), ("LINK", "<c>")]
        assert fold_headers(headers) == {"link": "<a>; rel=x, <b>; rel=y, <c>", "x-a": "1"}

    def test_header_bytes_outside_of_ascii_are_kept(self) -> None:
        assert fold_headers([(b"X-\xff", b"\xe9\x00")]) == {"x-\xff": "\xe9\0"}

    def test_user_agent_names_the_package_and_no_browser(self) -> None:
        assert __version__ in USER_AGENT
        assert USER_AGENT.startswith("chatgpt4online/")
        assert "Mozilla" not in USER_AGENT


class TestSession:
    """The values that a visitor keeps."""

    @given(st.one_of(st.text(), st.binary(), st.integers(), st.none(), st.lists(st.text())))
    def test_only_a_nonce_that_can_be_sent_is_stored(self, nonce: Any) -> None:
        session = Session(nonce="old")
        session.adopt_nonce(nonce, SITE)
        assert session.nonce in ("old", nonce)
        assert session.nonce.isascii()
        assert session.nonce.isprintable()
        assert " " not in session.nonce
        assert 0 < len(session.nonce) <= 128

    @given(
        st.dictionaries(st.sampled_from(["restNonce", "new_token", "sessionId"]), st.one_of(st.text(), st.integers()))
    )
    def test_session_can_be_sent_after_any_answer(self, answer: dict[str, Any]) -> None:
        session = Session("n", "s")
        session.adopt(answer, SITE)
        assert session.session_id not in ("", "N/A")
        assert session.session_id.isprintable()
        assert json.dumps(session.session_id).encode()
        assert session.nonce

    def test_new_token_wins_over_rest_nonce(self) -> None:
        session = Session()
        session.adopt({"restNonce": "a", "new_token": "b", "sessionId": "s"}, SITE)
        assert session == Session("b", "s")

    @pytest.mark.parametrize("session_id", ["\ud800", "a\nb", "a\0", "x" * 1001, "", "N/A", None, 5, ["a"], True])
    def test_session_id_that_cannot_be_sent_back_is_ignored(self, session_id: Any) -> None:
        session = Session("n", "known")
        session.adopt({"sessionId": session_id}, SITE)
        assert session.session_id == "known"

    @pytest.mark.parametrize("session_id", ["abc", "x" * 1000, "Ä-漢", "1"])
    def test_session_id_that_can_be_sent_back_is_stored(self, session_id: str) -> None:
        session = Session("n", "known")
        session.adopt({"sessionId": session_id}, SITE)
        assert session.session_id == session_id

    @pytest.mark.parametrize(
        "same",
        [f"{SITE}/a", f"{SITE}:443/b", "https://EXAMPLE.org./c", " https://example.org", "https://x:y@example.org"],
    )
    def test_nonce_is_sent_to_its_origin_in_any_spelling(self, same: str) -> None:
        session = Session()
        session.adopt_nonce("abc", f"{SITE}/wp-json")
        assert session.nonce_for(same) == "abc"

    @pytest.mark.parametrize(
        "other",
        [
            "http://example.org",
            "https://www.example.org",
            f"{SITE}:8443",
            "https://example.org.evil.net",
            "https://[::1",
        ],
    )
    def test_nonce_is_not_sent_to_another_origin(self, other: str) -> None:
        session = Session()
        session.adopt_nonce("abc", SITE)
        assert session.nonce_for(other) == ""
        assert session.nonce_for(SITE) == "abc"

    def test_same_port_without_tls_is_another_origin(self) -> None:
        session = Session()
        session.adopt_nonce("abc", f"{SITE}:8443")
        assert session.nonce_for("http://example.org:8443") == ""

    def test_nonce_of_the_caller_belongs_to_the_first_origin_that_uses_it(self) -> None:
        session = Session("mine")
        assert session.nonce_for(SITE) == "mine"
        assert session.nonce_for("https://other.org") == ""
        session.nonce = "another"
        assert session.nonce_for("https://other.org") == "another"
        assert session.nonce_for(SITE) == ""

    @pytest.mark.parametrize("with_nonce", [True, False])
    def test_session_for_another_visitor_has_the_root_and_perhaps_the_nonce(self, with_nonce: bool) -> None:
        session = Session(session_id="id", root=f"{SITE}/api")
        session.adopt_nonce("abc", SITE)
        other = session.for_other_visitor(with_nonce=with_nonce)
        assert other == Session("abc" if with_nonce else "", root=f"{SITE}/api")
        assert other.nonce_for(SITE) == other.nonce
        assert session.for_other_visitor(with_nonce=with_nonce).nonce_for("https://other.org") == ""

    def test_nonce_that_is_being_replaced_is_not_copied(self) -> None:
        """Its origin is not known yet."""
        session = Session()
        session.adopt_nonce("abc", SITE)
        session.nonce = "new"
        assert session.for_other_visitor(with_nonce=True).nonce == ""

    def test_nonce_of_the_caller_is_copied_without_an_origin(self) -> None:
        copied = Session("mine").for_other_visitor(with_nonce=True)
        assert copied.nonce_for("https://other.org") == "mine"
        assert copied.nonce_for(SITE) == ""

    def test_drop_nonce_deletes_only_the_refused_nonce(self) -> None:
        session = Session("new")
        session.drop_nonce("old")
        assert session.nonce == "new"
        session.drop_nonce("new")
        assert session.nonce == ""


def test_request_is_comparable_and_frozen() -> None:
    assert Request("POST", "u", {}) == Request("POST", "u", {}, b"", 0.0, exclusive=False)
    with pytest.raises(AttributeError):
        Request("POST", "u", {}).url = "v"
