"""Pages to the chat widgets on them, and to the address of the REST API."""

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

from .recordings import load
from .strategies import cut, cut_bodies, header_sets, statuses, texts, values

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
    """Return an attribute's value in its quotes, as the plugin writes it, or escaped once more often."""
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
    """Real pages."""

    @pytest.mark.parametrize("name", RECORDED)
    def test_the_bot(self, name: str) -> None:
        """The page's only widget, value by value."""
        assert find_bots(load(name).body.decode()) == [RECORDED[name]]

    @pytest.mark.parametrize("name", RECORDED)
    def test_the_root(self, name: str) -> None:
        """Header and element name the same root, which is the widget's."""
        recording = load(name)
        page, link = recording.body.decode(), fold_headers(recording.headers)["link"]
        assert find_root(page) == find_root("", link) == find_root(page, link) == RECORDED[name].rest_root

    @pytest.mark.parametrize("name", RECORDED)
    def test_the_parser(self, name: str) -> None:
        """In one piece, as it was read, and byte by byte, the page comes whole."""
        recording = load(name)
        headers = fold_headers(recording.headers)
        for pieces in ([recording.body], recording.pieces, cut(recording.body, [1])):
            (answered,) = parse(pieces, recording.status, headers)
            assert isinstance(answered, Answered)
            assert answered.content == Page((RECORDED[name],), RECORDED[name].rest_root)

    @pytest.mark.parametrize("name", ["3.6.2/session", "3.6.2/stream_english", "3.6.2/wrong_path", "3.6.2/rest_index"])
    def test_what_is_no_page(self, name: str) -> None:
        """JSON and streams have no widgets."""
        assert find_bots(load(name).body.decode()) == []

    def test_a_nonce_is_no_part_of_the_repr(self) -> None:
        """What is printed may be seen by others."""
        assert "25604028b0" not in repr(RECORDED["2.4.3/page"])


class TestAttributes:
    """However the page writes them."""

    @pytest.mark.parametrize("times", [1, 2])
    @pytest.mark.parametrize("quote", ["'", '"'])
    def test_quotes_and_escapes(self, quote: str, times: int) -> None:
        """Single or double quotes, entities once or twice."""
        said = '"Tom\'s" <b> & Jerry\u2028 / Привет 😀'
        (found,) = find_bots(widget({"botId": "a"}, {"startSentence": said}, quote=quote, times=times))
        assert (found.bot_id, found.start_sentence) == ("a", said)

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
    def test_the_tag(self, tag: str) -> None:
        """Any order, any case, any element, more attributes; missing or broken params are no matter."""
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
    def test_no_widget(self, page: str) -> None:
        """What is broken, empty, commented out, or something else."""
        assert find_bots(page) == []

    def test_several(self) -> None:
        """All of them, in their order; one that is broken is left out."""
        broken = "<div class='mwai-chatbot-container' data-system='{&quot;botId'></div>"
        page = f"<p>{widget({'botId': 'a'})}{broken}</p>{widget({'customId': 'b'}, quote=chr(34))}"
        assert find_bots(page) == [Bot("a"), Bot(None, "b")]

    @given(texts, texts, st.sampled_from("'\""), st.integers(1, 2))
    def test_any_words(self, name: str, said: str, quote: str, times: int) -> None:
        """P5: what a page says comes out as it went in."""
        (found,) = find_bots(widget({"botId": "b", "shortcuts": []}, {"startSentence": said, "mode": f"m{name}"}))
        assert (found.start_sentence, found.mode) == (said, f"m{name}")
        (found,) = find_bots(widget({"botId": "b"}, {"textInputMaxLength": 9}, quote=quote, times=times))
        assert found == Bot("b", max_length=9)


class TestValues:
    """What each key comes to."""

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
    def test_ids(self, system: Any, ids: tuple[str | None, str | None]) -> None:
        """Ids are strings, also where the page has numbers."""
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
    def test_system(self, key: str, value: Any, attribute: str, expected: Any) -> None:
        """The keys of ``data-system``."""
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
    def test_params(self, params: Any, expected: dict[str, Any]) -> None:
        """The keys of ``data-params``; what has another shape counts for nothing."""
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
    def test_a_root_that_is_no_address(self, root: Any) -> None:
        """An address that cannot be asked is none."""
        assert bot({"botId": "default", "restUrl": root}) == Bot()

    @given(st.dictionaries(st.sampled_from(["botId", "restUrl", "restNonce", "sessionId", "shortcuts"]), values))
    def test_any_values(self, system: Any) -> None:
        """Whatever a page says, each attribute has its type."""
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
    def test_any_params(self, params: Any) -> None:
        """The same for what the owner has set."""
        found = bot(params=params)
        assert all(isinstance(text, str) for text in (found.name, found.start_sentence, found.mode, found.compliance))
        assert found.max_length is None or found.max_length > 0
        assert found.max_uploads >= 1
        assert all(isinstance(kind, str) for kind in found.upload_types)


class TestRoots:
    """Where a page says that the REST API is."""

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
    def test_the_header(self, link: str, root: str) -> None:
        """One of several values of ``Link`` (RFC 8288)."""
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
    def test_the_element(self, page: str, root: str) -> None:
        """The same in the head of the page."""
        assert find_root(page) == root
        assert find_root(page, "<https://example.org/>; rel=shortlink") == root

    def test_the_header_counts_more(self) -> None:
        """It is WordPress's own; an element may be from a cache."""
        page = f"<link rel='{API_REL}' href='https://old.example.org/wp-json/'>"
        assert find_root(page, f'<{ROOT}/>; rel="{API_REL}"') == ROOT


def parse(pieces: list[bytes], status: int = 200, headers: dict[str, str] | None = None, limit: int = 10**6) -> Any:
    """Return the events of a page in pieces."""
    parser = PageParser(status, headers or {}, limit)
    events: list[Event] = []
    for piece in pieces:
        events += parser.receive_data(piece)
        assert parser.text == ""
    return events + parser.receive_eof()


class TestPageParser:
    """The body of a page as an answer."""

    @pytest.mark.parametrize("sizes", [[1], [2, 3], []])
    def test_a_page(self, sizes: list[int]) -> None:
        """It comes whole at its end, bad bytes replaced."""
        widget = "<div class='mwai-chatbot-container' data-system='{\"botId\":\"Привет ".encode() + b"\xff\"}'></div>"
        (answered,) = parse(cut(widget, sizes))
        assert isinstance(answered, Answered)
        assert [bot.bot_id for bot in answered.content.bots] == ["Привет \ufffd"]

    def test_nothing_before_the_end(self) -> None:
        """A page is not read in pieces."""
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
    def test_refusals(self, status: int, kind: type[StatusError], body: bytes, message: str) -> None:
        """Another status is an error of its class, with the page's words."""
        (failed,) = parse(cut(body, [1]), status, {"retry-after": "7"})
        assert isinstance(failed, Failed)
        error = failed.error
        assert isinstance(error, StatusError)
        assert (type(error), error.status, error.message, error.retry_after) == (kind, status, message, 7.0)

    @pytest.mark.parametrize("sizes", [[1], [3], [100]])
    def test_the_limit(self, sizes: list[int]) -> None:
        """It takes as many bytes, and not one more, however they are cut; then it holds none."""
        assert isinstance(parse(cut(b"x" * 20, sizes), limit=20)[0], Answered)
        (failed,) = parse(cut(b"x" * 21, sizes), limit=20)
        assert isinstance(failed, Failed)
        assert isinstance(failed.error, TooLarge)
        assert "20 bytes" in str(failed.error)

    def test_what_comes_behind_the_limit(self) -> None:
        """It is not kept, and means nothing."""
        parser = PageParser(200, {}, 10)
        assert len(parser.receive_data(b"x" * 11)) == 1
        assert parser.receive_data(b"y" * 5) == []
        assert parser._body == b""
        assert parser.receive_eof() == []

    @given(cut_bodies(), statuses, header_sets)
    def test_totality(self, pieces: list[bytes], status: int, headers: dict[str, str]) -> None:
        """P1 and P3: one event, the same for any cuts."""
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
    """P3: a page is the server's, and nothing that a server does raises."""

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
    def test_never_raises(self, page: str) -> None:
        """Marked sections and other SGML that browsers skip are skipped."""
        assert isinstance(find_bots(page), list)
        assert isinstance(find_root(page, page), str)

    @given(st.binary())
    @example(b"<![foo[x]]>")
    def test_any_bytes(self, body: bytes) -> None:
        """The same for what comes of bytes that are no text."""
        (answered,) = parse([body])
        assert isinstance(answered.content, Page)

    @pytest.mark.parametrize("junk", ["<![foo[x]]>", "<!DOCTYPE html [ <!FOO> ]>", "<!--[if IE]><p><![endif]-->"])
    def test_a_widget_behind_junk(self, junk: str) -> None:
        """What a browser skips hides nothing that comes after it."""
        assert find_bots(junk + widget()) == [Bot()]

    @pytest.mark.parametrize("text", ["<title>&#" + "9" * 4301 + ";", "&#" + "9" * 4301 + ";", "\ud800", "<" * 100])
    @pytest.mark.parametrize("status", [200, 404, 503])
    def test_a_page_with_a_rare_text(self, text: str, status: int) -> None:
        """Whether it is the page, or a refusal whose words are shown."""
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
    def test_a_megabyte_of_markup_takes_linear_work(self, text: str) -> None:
        """No test measures time. With quadratic work, a single one of these pages would take hours."""
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
    def test_a_widget_behind_markup(self, before: str) -> None:
        """Markup ends where a browser lets it end."""
        assert find_bots(before + widget()) == [Bot()]

    @pytest.mark.parametrize("before", ["<!--", "<style>", "<SCRIPT >", "<a b='", "<a b=", '<script>"</scripts>'])
    def test_a_widget_within_markup(self, before: str) -> None:
        """What a browser shows as no element is none."""
        assert find_bots(before + widget().replace("'", '"').replace(">", " ")) == []

    def test_the_first_of_two_equal_attributes_counts(self) -> None:
        """As in browsers."""
        page = '<div class=\'mwai-chatbot-container\' data-system=\'{"botId":"a"}\' data-system=\'{"botId":"b"}\'>'
        assert find_bots(page) == [Bot("a")]

    @pytest.mark.parametrize("depth", [100, 500, 900, 990])
    def test_deep_values(self, depth: int) -> None:
        """JSON that is nested deeply is read or left out."""
        for key in ("aiName", "restUrl", "sessionId", "shortcuts"):
            system = f'{{"botId":"a","{key}":{"[" * depth}{"]" * depth}}}'
            assert isinstance(find_bots(f"<div class='mwai-chatbot-container' data-system='{system}'></div>"), list)
            page = (
                f"<div class='mwai-chatbot-container' data-system='{{\"botId\":\"a\"}}' data-params='{system}'></div>"
            )
            assert isinstance(find_bots(page), list)
