"""Pages: the chat widgets on them, and the address of the REST API."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatgpt4online.protocol.calls.call import Answered
from chatgpt4online.protocol.calls.page import API_REL, Bot, Page, PageParser, find_bots, find_root
from chatgpt4online.protocol.calls.request import fold_headers
from chatgpt4online.protocol.parsing.blocks import find_block
from chatgpt4online.protocol.parsing.errors import Blocked, NotAiEngine, RateLimited, StatusError, TooLarge
from chatgpt4online.protocol.parsing.events import Event, Failed, Shortcut

from ..support.recordings import load
from ..support.strategies import cut, cut_bodies, header_sets, statuses, texts, values

DEFAULT = Bot(
    context_id=4,
    name="AI",
    start_sentence="Hi! How can I help you?",
    max_length=512,
)
RECORDED = {
    "2.4.3/page": replace(DEFAULT, rest_root="http://127.0.0.1:8420/wp-json", nonce="25604028b0"),
    "3.6.2/page": replace(DEFAULT, rest_root="http://127.0.0.1:8362/wp-json"),
    "3.6.2/permalinks_page": replace(DEFAULT, rest_root="http://127.0.0.1:8366/index.php?rest_route="),
    "3.6.2/permalinks_wpjson": replace(DEFAULT, rest_root="http://127.0.0.1:8366/index.php?rest_route="),
}
ROOT = "https://example.org/wp-json"


def escaped(value: Any, times: int = 1, quote: str = "'") -> str:
    """Return the value of an attribute in quotes, escaped as the plugin does, or once more than that."""
    text = value if isinstance(value, str) else json.dumps(value).replace("/", "\\/")
    for _ in range(times):
        text = html.escape(text)
    return quote + text + quote


def widget(system: Any = None, params: Any = None, **options: Any) -> str:
    """Return a widget with these attributes."""
    return (
        f"<div class='mwai-chatbot-container' data-params={escaped(params or {}, **options)} "
        f"data-system={escaped({'botId': 'default'} if system is None else system, **options)} data-theme='{{}}'></div>"
    )


def bot(system: Any = None, params: Any = None) -> Bot:
    """Return the bot of a page with one widget."""
    (found,) = find_bots(widget(system, params))
    return found


class TestRecordings:
    """Pages of real sites."""

    @pytest.mark.parametrize("name", RECORDED)
    def test_widget_of_a_recorded_page_is_read(self, name: str) -> None:
        assert find_bots(load(name).body.decode()) == [RECORDED[name]]

    @pytest.mark.parametrize("name", RECORDED)
    def test_header_and_element_name_the_root_of_the_widget(self, name: str) -> None:
        recording = load(name)
        page, link = recording.body.decode(), fold_headers(recording.headers)["link"]
        assert find_root(page) == find_root("", link) == find_root(page, link) == RECORDED[name].rest_root

    @pytest.mark.parametrize("name", RECORDED)
    def test_page_parser_gives_the_same_page_for_any_cuts(self, name: str) -> None:
        recording = load(name)
        headers = fold_headers(recording.headers)
        for pieces in ([recording.body], recording.pieces, cut(recording.body, [1])):
            (answered,) = parse(pieces, recording.status, headers)
            assert isinstance(answered, Answered)
            assert answered.content == Page((RECORDED[name],), RECORDED[name].rest_root)

    @pytest.mark.parametrize("name", ["3.6.2/session", "3.6.2/stream_english", "3.6.2/wrong_path", "3.6.2/rest_index"])
    def test_json_and_streams_have_no_widgets(self, name: str) -> None:
        assert find_bots(load(name).body.decode()) == []

    def test_repr_of_a_bot_hides_the_nonce(self) -> None:
        assert "25604028b0" not in repr(RECORDED["2.4.3/page"])


class TestAttributes:
    """The forms in which a page writes the attributes of a widget."""

    @pytest.mark.parametrize("times", [1, 2])
    @pytest.mark.parametrize("quote", ["'", '"'])
    def test_quotes_and_entities_of_an_attribute_are_read(self, quote: str, times: int) -> None:
        text = '"Tom\'s" <b> & Jerry\u2028 / Привет 😀'
        (found,) = find_bots(widget({"botId": "a"}, {"startSentence": text}, quote=quote, times=times))
        assert (found.bot_id, found.start_sentence) == ("a", text)

    @pytest.mark.parametrize(
        "tag",
        [
            "<div data-system={} class='mwai-chatbot-container'>",
            "<div\n\tCLASS='a mwai-chatbot-container b'\n\tDATA-SYSTEM={}\n>",
            "<section id=x class=mwai-chatbot-container data-x data-system={} hidden/>",
            '<div class="mwai-chatbot-container" data-params="" data-system={}',
            "<p><div class='mwai-chatbot-container' data-params='nonsense' data-system={}><div class='other'></div>",
        ],
    )
    def test_tag_in_any_form_is_read(self, tag: str) -> None:
        """The order, the case, the element and other attributes do not matter; ``params`` may be missing or broken."""
        page = tag.format(escaped({"botId": "a", "restUrl": ROOT}))
        (found,) = find_bots(page if page.endswith(">") else f"{page}>")
        assert found == Bot("a", rest_root=ROOT)

    @pytest.mark.parametrize(
        "page",
        [
            "",
            "<html></html>",
            "<div class='mwai-chatbot-container'></div>",
            "<div class='mwai-chatbot-container' data-system></div>",
            "<div class='mwai-chatbot-container' data-system=''></div>",
            "<div class='mwai-chatbot-container' data-system='{'></div>",
            "<div class='mwai-chatbot-container' data-system='[]'></div>",
            "<div class='mwai-chatbot-container' data-system='{}'></div>",
            "<div class='mwai-chatbot-container' data-system='null'></div>",
            "<div class='mwai-chatbot-container' data-system='5 5'></div>",
            f"<div class='mwai-chatbot-container' data-system='{'[' * 100_000}'></div>",
            f"<div class='mwai-discussions-container' data-system={escaped({'botId': 'a'})}></div>",
            f"<div class='mwai-chatbot-containers' data-system={escaped({'botId': 'a'})}></div>",
            f"<!-- {widget()} -->",
            f"<script>document.write(`{widget()}`)</script>",
        ],
    )
    def test_broken_or_commented_widget_is_ignored(self, page: str) -> None:
        assert find_bots(page) == []

    def test_several_widgets_keep_their_order_without_broken_ones(self) -> None:
        broken = "<div class='mwai-chatbot-container' data-system='{&quot;botId'></div>"
        page = f"<p>{widget({'botId': 'a'})}{broken}</p>{widget({'customId': 'b'}, quote=chr(34))}"
        assert find_bots(page) == [Bot("a"), Bot(None, "b")]

    @given(texts, texts, st.sampled_from("'\""), st.integers(1, 2))
    def test_texts_of_a_page_are_unchanged(self, name: str, text: str, quote: str, times: int) -> None:
        (found,) = find_bots(widget({"botId": "b", "shortcuts": []}, {"startSentence": text, "mode": f"m{name}"}))
        assert (found.start_sentence, found.mode) == (text, f"m{name}")
        (found,) = find_bots(widget({"botId": "b"}, {"textInputMaxLength": 9}, quote=quote, times=times))
        assert found == Bot("b", max_length=9)


class TestValues:
    """The fields of a Bot."""

    @pytest.mark.parametrize(
        ("system", "ids"),
        [
            ({"botId": "support", "customId": None}, ("support", None)),
            ({"botId": "support", "customId": ""}, ("support", None)),
            ({"botId": None, "customId": "mine"}, (None, "mine")),
            ({"botId": "support", "customId": "a1b2"}, ("support", "a1b2")),
            ({"botId": 123, "customId": 456}, ("123", "456")),
            ({"botId": 0}, ("0", None)),
            ({"botId": True, "customId": ["a"]}, (None, None)),
            ({"restUrl": ROOT}, (None, None)),
        ],
    )
    def test_numeric_ids_become_strings(self, system: Any, ids: tuple[str | None, str | None]) -> None:
        found = bot(system)
        assert (found.bot_id, found.custom_id) == ids

    @pytest.mark.parametrize(
        ("key", "value", "attribute", "expected"),
        [
            ("contextId", 4, "context_id", 4),
            ("contextId", None, "context_id", None),
            ("contextId", "4", "context_id", None),
            ("contextId", 0, "context_id", 0),
            ("contextId", 2**63 - 1, "context_id", 2**63 - 1),
            *[("contextId", value, "context_id", None) for value in (2**63, 10**4000, -1, True, 4.0, [4])],
            ("restNonce", "a\r\nX-Evil: 1", "nonce", ""),
            ("restNonce", "é", "nonce", ""),
            ("restNonce", "\ud800", "nonce", ""),
            ("restNonce", "a b", "nonce", ""),
            ("restNonce", "n" * 128, "nonce", "n" * 128),
            ("restNonce", "n" * 129, "nonce", ""),
            ("restNonce", 10**4000, "nonce", ""),
            ("sessionId", "\ud800", "session_id", ""),
            ("sessionId", "s" * 1_000_000, "session_id", ""),
            ("customId", "\n", "custom_id", None),
            ("customId", "é", "custom_id", "é"),
            ("restUrl", "https://x.org/" + "a" * 2000, "rest_root", ""),
            ("restNonce", "0a1b2c3d4e", "nonce", "0a1b2c3d4e"),
            ("restNonce", 1234567890, "nonce", "1234567890"),
            ("restNonce", None, "nonce", ""),
            ("restNonce", False, "nonce", ""),
            ("sessionId", "6720f0c1a2b3c", "session_id", "6720f0c1a2b3c"),
            ("sessionId", "N/A", "session_id", ""),
            ("sessionId", None, "session_id", ""),
            ("restUrl", f"{ROOT}/", "rest_root", ROOT),
            ("restUrl", "https://x.org/?rest_route=/", "rest_root", "https://x.org/?rest_route="),
            ("restUrl", None, "rest_root", ""),
            ("shortcuts", None, "shortcuts", ()),
            ("shortcuts", [5, {"type": "message"}], "shortcuts", ()),
            (
                "shortcuts",
                [
                    {"type": "message", "data": {"label": "Hi", "message": "Hello", "variant": "success", "icon": "i"}},
                    {"type": "message", "data": {"label": "Secret", "shortcutId": "x1"}},
                    {"type": "action", "data": {"label": "Clear", "action": "clear"}},
                ],
                "shortcuts",
                (
                    Shortcut("message", "Hi", "Hello", variant="success", icon="i"),
                    Shortcut("message", "Secret", shortcut_id="x1"),
                    Shortcut("action", "Clear", action="clear"),
                ),
            ),
        ],
    )
    def test_data_system_gives_the_expected_fields(self, key: str, value: Any, attribute: str, expected: Any) -> None:
        assert bot({"botId": "default", key: value}) == replace(Bot(), **{attribute: expected})

    @pytest.mark.parametrize(
        ("params", "expected"),
        [
            ({"aiName": "AI: "}, {"name": "AI"}),
            ({"aiName": 5}, {"name": "5"}),
            ({"aiName": None}, {}),
            ({"aiName": True}, {}),
            ({"aiName": float("nan")}, {}),
            ({"aiName": ["a"]}, {}),
            ({"aiName": "a\ud800"}, {"name": "a\ufffd"}),
            ({"textCompliance": "&#" + "9" * 5000 + ";"}, {"compliance": "\ufffd"}),
            ({"textCompliance": "\ud800"}, {"compliance": "\ufffd"}),
            ({"mode": {"a": 1}}, {}),
            *[({"textInputMaxLength": value}, {}) for value in (10**4000, float("nan"), float("inf"), 1e9, -1, "9")],
            ({"multiUpload": True, "maxUploads": 10**4000}, {}),
            ({"allowedMimeTypes": ["\ud800"]}, {"upload_types": ("\ufffd",)}),
            ({"startSentence": ""}, {}),
            ({"textCompliance": "Read <a href='/p'>this</a> &amp; that."}, {"compliance": "Read this & that."}),
            ({"textInputMaxLength": 2000}, {"max_length": 2000}),
            ({"textInputMaxLength": 0}, {}),
            ({"textInputMaxLength": True}, {}),
            ({"textInputMaxLength": ""}, {}),
            ({"mode": "images"}, {"mode": "images"}),
            ({"mode": ""}, {}),
            ({"fileUpload": True}, {"uploads": True}),
            ({"imageUpload": True, "maxUploads": 5}, {"uploads": True}),
            ({"fileUploads": True, "multiUpload": True, "maxUploads": 5}, {"uploads": True, "max_uploads": 5}),
            ({"multiUpload": True}, {}),
            ({"multiUpload": True, "maxUploads": "many"}, {}),
            ({"fileUploads": 0, "imageUpload": False, "fileUpload": False}, {}),
            ({"allowedMimeTypes": "image/png, application/pdf"}, {"upload_types": ("image/png", "application/pdf")}),
            ({"allowedMimeTypes": ["image/png", 5]}, {"upload_types": ("image/png",)}),
            ({"allowedMimeTypes": ""}, {}),
            ({"allowedMimeTypes": None}, {}),
            ({"allowedMimeTypes": {"a": "b"}}, {}),
        ],
    )
    def test_data_params_gives_the_expected_fields(self, params: Any, expected: dict[str, Any]) -> None:
        """A value of a wrong type is ignored."""
        assert bot(params=params) == replace(Bot(), **expected)

    @pytest.mark.parametrize(
        "root",
        [
            "/wp-json",
            "wp-json",
            "javascript:alert(1)",
            "ftp://example.org/wp-json",
            "https://",
            "https://[::1",
            "https://example.org:99999/wp-json",
            "https://example.org:port/wp-json",
            {"a": 1},
            True,
            5,
        ],
    )
    def test_rest_url_that_is_not_an_address_is_ignored(self, root: Any) -> None:
        assert bot({"botId": "default", "restUrl": root}) == Bot()

    @given(st.dictionaries(st.sampled_from(["botId", "restUrl", "restNonce", "sessionId", "shortcuts"]), values))
    def test_fields_keep_their_types_for_any_data_system(self, system: Any) -> None:
        for found in find_bots(widget(system, system)):
            assert isinstance(found.bot_id, str | None)
            assert all(isinstance(text, str) for text in (found.rest_root, found.nonce, found.session_id))
            assert all(isinstance(shortcut, Shortcut) for shortcut in found.shortcuts)

    @given(
        st.dictionaries(
            st.sampled_from(["aiName", "startSentence", "textCompliance", "textInputMaxLength", "mode", "maxUploads",
                             "multiUpload", "fileUpload", "allowedMimeTypes"]),
            values,
        )
    )  # fmt: skip
    def test_fields_keep_their_types_for_any_data_params(self, params: Any) -> None:
        found = bot(params=params)
        assert all(isinstance(text, str) for text in (found.name, found.start_sentence, found.mode, found.compliance))
        assert found.max_length is None or found.max_length > 0
        assert found.max_uploads >= 1
        assert all(isinstance(kind, str) for kind in found.upload_types)


class TestRoots:
    """The REST root that a page names."""

    @pytest.mark.parametrize(
        ("link", "root"),
        [
            (f'<{ROOT}/>; rel="https://api.w.org/"', ROOT),
            (f"<{ROOT}/>; rel=https://api.w.org/", ROOT),
            (f'<{ROOT}/>;rel="https://api.w.org/"', ROOT),
            (f'<{ROOT}/>; title="a"; rel="https://api.w.org/"', ROOT),
            (f'<https://example.org/feed>; rel="alternate", <{ROOT}/>; rel="https://api.w.org/"', ROOT),
            (
                '<https://x.org/index.php?rest_route=/>; rel="https://api.w.org/", <https://x.org/>; rel=shortlink',
                "https://x.org/index.php?rest_route=",
            ),
            ("<https://example.org/>; rel=shortlink", ""),
            ('rel="https://api.w.org/"', ""),
            ("", ""),
        ],
    )
    def test_root_is_found_among_several_link_values(self, link: str, root: str) -> None:
        """RFC 8288."""
        assert find_root("", link) == root

    @pytest.mark.parametrize(
        ("page", "root"),
        [
            (f"<link rel='{API_REL}' href='{ROOT}/' />", ROOT),
            (f'<LINK href="{ROOT}/" rel="{API_REL}">', ROOT),
            (f"<link rel='alternate' href='a'><link rel='{API_REL}' href='{ROOT}/?a=1&amp;b=2'>", f"{ROOT}/?a=1&b=2"),
            (f"<a rel='{API_REL}' href='{ROOT}/'>", ""),
            (f"<link rel='{API_REL}'>", ""),
            ("<link href='a'>", ""),
            (f"<link rel={API_REL} href={ROOT}/>", ROOT),
            (f"<link rel='{API_REL}' href='{'a' * 2001}'>", ""),
            (f"<link rel='{API_REL}' href='https://x.org/\ud800'>", "https://x.org/\ufffd"),
            (f"<link rel='{API_REL}' href='&#{'9' * 5000};'>", "\ufffd"),
            (f"<!-- <link rel='{API_REL}' href='a'> -->", ""),
            ("", ""),
        ],
    )
    def test_root_is_found_in_a_link_element(self, page: str, root: str) -> None:
        assert find_root(page) == root
        assert find_root(page, "<https://example.org/>; rel=shortlink") == root

    def test_link_header_wins_over_the_element(self) -> None:
        """The header is WordPress's own, and the element may come from a cache."""
        page = f"<link rel='{API_REL}' href='https://old.example.org/wp-json/'>"
        assert find_root(page, f'<{ROOT}/>; rel="{API_REL}"') == ROOT


def parse(pieces: list[bytes], status: int = 200, headers: dict[str, str] | None = None, limit: int = 10**6) -> Any:
    """Return the events of a page that arrives in pieces."""
    parser = PageParser(status, headers or {}, limit)
    events: list[Event] = []
    for piece in pieces:
        events += parser.receive_data(piece)
        assert parser.text == ""
    return events + parser.receive_eof()


class TestPageParser:
    """The body of a page as an answer."""

    @pytest.mark.parametrize("sizes", [[1], [2, 3], []])
    def test_page_is_returned_at_its_end_with_bad_bytes_replaced(self, sizes: list[int]) -> None:
        widget = "<div class='mwai-chatbot-container' data-system='{\"botId\":\"Привет ".encode() + b"\xff\"}'></div>"
        (answered,) = parse(cut(widget, sizes))
        assert isinstance(answered, Answered)
        assert [bot.bot_id for bot in answered.content.bots] == ["Привет \ufffd"]

    def test_no_event_before_the_end_of_the_page(self) -> None:
        parser = PageParser(200, {}, 100)
        assert parser.receive_data(b"<p>") == []

    @pytest.mark.parametrize(
        ("status", "kind", "body", "message"),
        [
            (404, NotAiEngine, b"<title>Gone</title><p>Not here</p>", "Gone Not here"),
            (403, Blocked, b"Forbidden", "Forbidden"),
            (503, Blocked, b"<title>Just a moment...</title>", "Just a moment..."),
            (429, RateLimited, b"", ""),
            (500, StatusError, b"<h1>Error</h1>", "Error"),
            (304, StatusError, b"", ""),
        ],
    )
    def test_refused_page_is_an_error_with_the_text_of_the_page(
        self, status: int, kind: type[StatusError], body: bytes, message: str
    ) -> None:
        (failed,) = parse(cut(body, [1]), status, {"retry-after": "7"})
        assert isinstance(failed, Failed)
        error = failed.error
        assert isinstance(error, StatusError)
        assert (type(error), error.status, error.message, error.retry_after) == (kind, status, message, 7.0)

    @pytest.mark.parametrize("sizes", [[1], [3], [100]])
    def test_page_of_the_limit_is_read_and_one_byte_more_is_too_large(self, sizes: list[int]) -> None:
        """Independent of the cuts. After the error no byte is kept."""
        assert isinstance(parse(cut(b"x" * 20, sizes), limit=20)[0], Answered)
        (failed,) = parse(cut(b"x" * 21, sizes), limit=20)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, TooLarge)
        assert "20 bytes" in str(failed.error)

    def test_data_after_the_limit_is_ignored(self) -> None:
        parser = PageParser(200, {}, 10)
        assert len(parser.receive_data(b"x" * 11)) == 1
        assert parser.receive_data(b"y" * 5) == []
        assert parser._body == b""
        assert parser.receive_eof() == []

    @given(cut_bodies(), statuses, header_sets)
    def test_page_gives_one_event_for_any_cuts(self, pieces: list[bytes], status: int, headers: dict[str, str]) -> None:
        (event,) = parse(pieces, status, fold_headers(headers))
        (whole,) = parse([b"".join(pieces)], status, fold_headers(headers))
        assert type(event) is type(whole)
        assert isinstance(event, Answered | Failed)
        is_bad = (
            status >= 300
            or find_block(status, fold_headers(headers), b"".join(pieces).decode("utf-8", "replace")) != ""
        )
        assert isinstance(event, Failed) == is_bad


fragments = st.sampled_from(
    [
        "<div class='mwai-chatbot-container' data-system='", "' data-params='", "'>", '"', "</div>", "<!--", "-->",
        "<![",
        "<!", "<?", "<script>", "</script>", "<link rel='https://api.w.org/' href='", "&quot;", "&#", "&#x110000;",
        "&#0;", '{"botId":"a"', '"restUrl":"https://[::1"}', "}", "[", "<![CDATA[", "]]>", "<!DOCTYPE", "<", ">", "=",
        "\0", "\ud83d", "&#" + "9" * 4301 + ";", "&amp;#" + "9" * 4301 + ";", "</style>", "<style>", "<title>",
        "NaN", "\\ud800", "9" * 4301,
    ]
)  # fmt: skip


class TestForAnyPage:
    """A page of any content is read without an error."""

    @given(st.one_of(st.text(), st.lists(fragments | st.text(max_size=3), max_size=12).map("".join)))
    @example("<![foo[x]]>")
    @example("<![\n")
    @example("<![if x]>" + "<!x")
    @example("<!DOCTYPE [<!ELEMENT x")
    @example("<!DOCTYPE html [ <!FOO> ]>")
    @example("<![CDATA[")
    @example("<a href='\0'><!-->")
    @example(f"<link rel='{API_REL}' href='&#{'9' * 4301};'>")
    @example(f"<div class='mwai-chatbot-container &#{'9' * 4301};' data-system='&#{'9' * 4301};'>")
    @example(f"<div class='mwai-chatbot-container' data-system='&amp;#{'9' * 4301};'>")
    @example(f"<div class='mwai-chatbot-container' data-system='{{\"contextId\":{'9' * 4301}}}'>")
    def test_any_text_is_read_without_an_exception(self, page: str) -> None:
        """Also marked sections and other SGML, which browsers skip."""
        assert isinstance(find_bots(page), list)
        assert isinstance(find_root(page, page), str)

    @given(st.binary())
    @example(b"<![foo[x]]>")
    def test_any_bytes_are_read_without_an_exception(self, body: bytes) -> None:
        (answered,) = parse([body])
        assert isinstance(answered.content, Page)

    @pytest.mark.parametrize("junk", ["<![foo[x]]>", "<!DOCTYPE html [ <!FOO> ]>", "<!--[if IE]><p><![endif]-->"])
    def test_widget_after_skipped_markup_is_found(self, junk: str) -> None:
        assert find_bots(junk + widget()) == [Bot()]

    @pytest.mark.parametrize("text", ["<title>&#" + "9" * 4301 + ";", "&#" + "9" * 4301 + ";", "\ud800", "<" * 100])
    @pytest.mark.parametrize("status", [200, 404, 503])
    def test_page_with_rare_text_is_read_or_refused_with_its_text(self, text: str, status: int) -> None:
        (event,) = parse([text.encode("utf-8", "surrogatepass")], status)
        assert isinstance(event, Answered if status == 200 else Failed)
        if isinstance(event, Failed):
            assert str(event.error).encode()

    @pytest.mark.parametrize(
        "text",
        ["<", "<a", "<a ", "<a b", "<a b=", "<a b='", '<a b="', "<a>", "<a b >", "<a/", "<!--", "<!---->", "<!", "<![",
         "<?", "</", "<script", "<script>", "<script></script>", "<style>", "</style", "&", "&#", "&#9", "=", "'", '"',
         " ", "\n", "/"],
    )  # fmt: skip
    @pytest.mark.slow
    def test_a_megabyte_of_markup_needs_linear_work(self, text: str) -> None:
        """No test measures time. With quadratic work, one of these pages would need hours."""
        body = text * (1_000_000 // len(text))
        starts = (
            "",
            "<div class='mwai-chatbot-container' data-system='",
            "<div class=mwai-chatbot-container ",
            "<style>",
        )
        for start in starts:
            page = f"{start}{body}<!-- mwai-chatbot-container {API_REL} -->"
            assert isinstance(find_bots(page), list)
            assert isinstance(find_root(page, body), str)

    @pytest.mark.parametrize(
        "before",
        ["<!-->", "<!--->", "<!-- a --!>", "<!---->", "<style>a</style>", "<script>'<!--'</script>", "<p title=it's>",
         "<p don't>", "<a b='<!--'>", "<A/>", "<!- ", "<3"],
    )  # fmt: skip
    def test_widget_is_found_where_a_browser_ends_the_markup(self, before: str) -> None:
        assert find_bots(before + widget()) == [Bot()]

    @pytest.mark.parametrize("before", ["<!--", "<style>", "<SCRIPT >", "<a b='", "<a b=", '<script>"</scripts>'])
    def test_widget_inside_comment_or_script_is_ignored(self, before: str) -> None:
        assert find_bots(before + widget().replace("'", '"').replace(">", " ")) == []

    def test_first_of_two_equal_attributes_wins(self) -> None:
        """As in browsers."""
        page = '<div class=\'mwai-chatbot-container\' data-system=\'{"botId":"a"}\' data-system=\'{"botId":"b"}\'>'
        assert find_bots(page) == [Bot("a")]

    @pytest.mark.parametrize("depth", [100, 500, 900, 990])
    def test_deeply_nested_json_of_a_widget_is_read_or_left_out(self, depth: int) -> None:
        for key in ("aiName", "restUrl", "sessionId", "shortcuts"):
            system = f'{{"botId":"a","{key}":{"[" * depth}{"]" * depth}}}'
            assert isinstance(find_bots(f"<div class='mwai-chatbot-container' data-system='{system}'></div>"), list)
            page = (
                f"<div class='mwai-chatbot-container' data-system='{{\"botId\":\"a\"}}' data-params='{system}'></div>"
            )
            assert isinstance(find_bots(page), list)
