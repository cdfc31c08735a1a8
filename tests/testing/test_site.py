"""The site on loopback answers as the recorded sites do, byte for byte, and leaves no thread or socket behind."""

from __future__ import annotations

import html
import json
import re
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import h11
import pytest

from chatgpt4online.protocol.parsing.errors import InvalidInput, ServerError
from chatgpt4online.protocol.parsing.events import Action, Block, Json, Notice, Shortcut, Text
from chatgpt4online.testing import Answer, Chat, Site, serve_site

from ..site import serve_site as serve_version
from ..support import recordings

WORDS = (
    "The quick brown fox jumps over the lazy dog. This is a deterministic reply from the stub model; it's plain "
    'English, with "quotes", a slash / and an ampersand & in it.'
)
SUBMIT = "/wp-json/mwai-ui/v1/chats/submit"
START = "/wp-json/mwai/v1/start_session"


class Connection:
    """One keep-alive connection to a site, on a raw socket."""

    def __init__(self, site: Site) -> None:
        self.socket = socket.create_connection(("127.0.0.1", int(site.url.rpartition(":")[2])), timeout=10)
        self.buffer = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def read_until(self, mark: bytes) -> bytes:
        """Return the bytes up to this mark, including it."""
        while mark not in self.buffer:
            data = self.socket.recv(65536)
            assert data, f"closed before {mark!r}: {self.buffer!r}"
            self.buffer += data
        found, mark, self.buffer = self.buffer.partition(mark)
        return found + mark

    def read_rest(self) -> bytes:
        """Return the bytes until the site closes the connection."""
        while data := self.socket.recv(65536):
            self.buffer += data
        rest, self.buffer = self.buffer, b""
        return rest

    def send(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def ask(self, raw: bytes) -> tuple[str, bytes]:
        """Send a request, and return the head and the body without chunked framing."""
        self.send(raw)
        head = self.read_until(b"\r\n\r\n").decode("latin-1")
        length = re.search(r"Content-Length: (\d+)", head)
        if length:
            while len(self.buffer) < int(length[1]):
                self.buffer += self.socket.recv(65536)
            body, self.buffer = self.buffer[: int(length[1])], self.buffer[int(length[1]) :]
            return head, body
        return head, dechunked(self)


def dechunked(connection: Connection) -> bytes:
    body = b""
    while size := int(connection.read_until(b"\r\n"), 16):
        while len(connection.buffer) < size + 2:
            connection.buffer += connection.socket.recv(65536)
        body, connection.buffer = body + connection.buffer[:size], connection.buffer[size + 2 :]
    assert connection.read_until(b"\r\n") == b"\r\n"
    return body


def request(
    body: Json | bytes | None = None, *, target: str = SUBMIT, method: str = "POST", **headers: str | None
) -> bytes:
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    sent: dict[str, str | None] = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(data))}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items() if value is not None)]
    return "\r\n".join([*lines, "\r\n"]).encode() + data


# Their arguments are of wrong types.
site_of: Any = serve_site
answer_of: Any = Answer


def question(message: object = "hi", **fields: Any) -> Json:
    return {"botId": "default", "newMessage": message, "stream": True} | fields


def ask(site: Site, body: Json | bytes | None = None, *, nonce: bool = True, **options: Any) -> tuple[str, bytes]:
    """Return the head and the body of a chat's answer, on a connection of its own."""
    headers = {"X-WP-Nonce": site.nonce} if nonce else {}
    with Connection(site) as connection:
        return connection.ask(request(question() if body is None else body, **(headers | options)))


def payloads(body: bytes) -> list[Json]:
    return [json.loads(line[6:]) for line in body.splitlines() if line]


# --- the recordings ---


def final(prompt: int, completion: int, **more: Any) -> Json:
    usage: Json = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {"usage": usage | {"price": None, "queries": 1, "accuracy": "estimated"}} | more


def english(*, stream: bool = True, usage: Json | None = None, **more: Any) -> Answer:
    options = final(2, 41) if stream else final(11, 32)
    if usage is not None:
        options["usage"] = usage
    return Answer(WORDS, response_id="chatcmpl-stub0001", **(options | more))


def tool_notices() -> list[Notice | str]:
    start: Json = {"model": "stub-chat", "id": "chatcmpl-stub0001"}
    result: Json = {"tool_name": "get_weather", "result": "sunny, +25°C in Москва", "tool_id": "call_stub1"}
    again: Json = {"is_feedback": True, "feedback_count": 1}
    return [
        Notice("status", "Starting stream...", "collapsed", start, 1795400559.562376),
        Notice("tool_result", "Got result from get_weather.", "visible", result, 1795400559.566533),
        Notice("status", "Request sent...", "", again, 1795400559.567011),
        Notice("status", "Starting stream...", "", start, 1795400559.570181),
        *["The", " tool", " said:", " sunny,", " +25°C", " in", " Москва"],
    ]


def dies(chat: Chat) -> Iterator[str]:
    yield "The"
    yield " quick"
    yield " brown"
    raise RuntimeError("midstream")


EXTRAS: Json = {
    "actions": [Action("function", "js_hello", {"a": 1})],
    "shortcuts": [
        Shortcut(
            "message",
            "Да",
            shortcut_id="xai/OUHY5hXPrAzUZZBr5W0ayBZzbXrztQ20pgrDm/88jpyPoTh8wjrwKJ+WtVBpDcgnvh6FyRo8KsvY/cwqgA==",
            variant="info",
        )
    ],
    "blocks": [Block("content", html="<p>Hello <b>there</b></p>", script='console.log("hi")')],
}
JS_ACTION = [Action("function", "js_action", {"city": "Москва", "days": 2})]
OLD_USAGE: Json = {"prompt_tokens": 11, "completion_tokens": 32, "total_tokens": 43}
TOOL_USAGE = final(2, 9)["usage"]

SCRIPTS: dict[str, Any] = {
    "3.6.2/session": None,
    "3.6.2/session_cookie": None,
    "3.6.2/session_good_nonce": None,
    "3.6.2/session_stale_nonce": None,
    "3.6.2/session_json": None,
    "3.6.2/session_rest_route": None,
    "3.6.2/session_get": None,
    "3.6.2/stream_english": english(),
    "3.6.2/plain_english": english(stream=False),
    "3.6.2/over_limit": None,
    "3.6.2/over_limit_plain": None,
    "3.6.2/missing_nonce": None,
    "3.6.2/bad_nonce": None,
    "3.6.2/nonce_expired": None,
    "3.6.2/missing_botid": None,
    "3.6.2/empty_message": None,
    "3.6.2/wrong_route": None,
    "3.6.2/limit_stream": None,
    "3.6.2/limit_plain": None,
    "3.6.2/plain_err429": ServerError(
        "StubLLM: You exceeded your current quota, please check your plan and billing details."
    ),
    "3.6.2/debug_tool": Answer(tool_notices(), usage=TOOL_USAGE, response_id="chatcmpl-stub0001"),
    "3.6.2/extras_stream": english(**EXTRAS),
    "3.6.2/stream_jstool": Answer(actions=JS_ACTION, response_id="chatcmpl-stub0001", **final(2, 0)),
    "3.6.2/plain_jstool": Answer(actions=JS_ACTION, response_id="chatcmpl-stub0001", **final(11, 0)),
    "3.6.2/stream_html502": Answer(response_id="", **final(2, 0)),
    "3.6.2/nonce_old_stream": english(),
    "3.6.2/nonce_old_plain": english(stream=False),
    "3.6.2/fatal_midstream": dies,
    "3.6.2/fatal_stream": Answer(ending="fatal"),
    "3.6.2/unknown_botid": english(),
    "2.8.9/session": None,
    "2.8.9/stream_english": english(usage=OLD_USAGE | {"price": None, "queries": 1}),
    "2.8.9/over_limit": None,
    "2.8.9/unknown_botid": english(),
    "2.4.3/session": None,
    "2.4.3/stream_english": english(usage=OLD_USAGE),
    "2.4.3/over_limit_cyrillic": None,
}
REFUSED = ("3.6.2/bad_nonce", "3.6.2/nonce_expired", "3.6.2/session_stale_nonce")


def normal(head: str, body: bytes) -> tuple[list[str], str]:
    """Return a response with placeholders for the parts that differ between two moments or two equal sites."""
    text = head.rstrip("\r\n") + "\r\n\r\n" + body.decode()
    text = re.sub(r"(?m)^(Server|Date): [^\r]*", r"\1: -", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "HOST", text)
    text = re.sub(r"(X-WP-Nonce: |restNonce\W+|new_token\W+)[0-9a-f]{10}\b", r"\1NONCE", text)
    text = re.sub(r"(mwai_session_id=|sessionId\W+)[0-9a-f]{13}\b", r"\1SESSION", text)
    text = re.sub(r"PHPSESSID=[0-9a-v]{26}\b", "PHPSESSID=-", text)
    lines, _, said = text.partition("\r\n\r\n")
    return lines.split("\r\n"), said


def replay(name: str, site: Site) -> tuple[str, bytes]:
    """Send the recorded request, with the nonce of this site unless a refusal is expected."""
    raw = (recordings.FOLDER / f"{name}.req.http").read_bytes()
    nonce = site.nonce
    if "nonce_old" in name:
        site.age_nonce()
    if name not in REFUSED:
        raw = re.sub(rb"X-WP-Nonce: \w+", f"X-WP-Nonce: {nonce}".encode(), raw)
    with Connection(site) as connection:
        return connection.ask(raw)


@pytest.mark.parametrize("name", SCRIPTS)
def test_recorded_request_gets_the_recorded_response(name: str) -> None:
    """Status line, headers in their order, and body are compared."""
    recorded = recordings.load(name)
    limit = 0 if "/limit_" in name else None
    version = name.partition("/")[0]
    serve = serve_site if version == "3.6.2" else partial(serve_version, version=version)
    with serve(SCRIPTS[name], limit_after=limit) as site:
        head, body = replay(name, site)
        site.errors.clear()  # fatal_midstream stores one
    recorded_head = recorded.raw.partition(b"\r\n\r\n")[0].decode("latin-1")
    assert normal(head, body) == normal(recorded_head, recorded.body)


@pytest.mark.parametrize("version", ["3.6.2", "2.4.3"])
def test_page_equals_the_recorded_page(version: str) -> None:
    """Headers and widget are compared."""
    recorded = recordings.load(f"{version}/page")
    with serve_version(version=version) as site:
        head, body = replay(f"{version}/page", site)
    widget = re.compile(rb"<div class='mwai-chatbot-container'.*?></div>")
    mine, theirs = widget.findall(body), widget.findall(recorded.body)
    recorded_head = recorded.raw.partition(b"\r\n\r\n")[0].decode("latin-1")
    assert len(mine) == 1
    assert normal(head, mine[0].replace(b"&quot;", b'"')) == normal(recorded_head, theirs[0].replace(b"&quot;", b'"'))


def test_path_outside_the_rest_api_gives_a_html_page() -> None:
    """The page has the recorded headers."""
    recorded = recordings.load("3.6.2/wrong_path")
    with serve_site() as site:
        head, body = replay("3.6.2/wrong_path", site)
    assert normal(head, b"") == normal(recorded.raw.partition(b"\r\n\r\n")[0].decode("latin-1"), b"")
    assert body.startswith(b"<!doctype html>")


def test_event_and_blank_line_are_two_chunks() -> None:
    """Recordings of a slow model have this framing."""
    with serve_site(["The"]) as site, Connection(site) as connection:
        connection.send(request(question(), X_WP_Nonce=site.nonce))
        connection.read_until(b"\r\n\r\n")
        assert connection.read_until(b"}\r\n") == b'22\r\ndata: {"type":"live","data":"The"}\r\n'
        assert connection.read_until(b"\n\n\r\n") == b"2\r\n\n\n\r\n"


# --- scripts ---


@pytest.mark.parametrize(
    ("script", "texts"),
    [
        (None, ["You", " said:", " hi"]),
        ("Two words\n", ["Two", " words", "\n"]),
        (["a", Text("b")], ["a", "b"]),
        (Answer(["a"]), ["a"]),
        (lambda chat: chat.message, ["hi"]),
        (lambda chat: iter(["a", "b"]), ["a", "b"]),
        ("", []),
        (Text("one"), ["one"]),
    ],
)
def test_each_kind_of_script_is_streamed(script: Any, texts: list[str]) -> None:
    """The reply is the joined and trimmed text."""
    with serve_site(script) as site:
        *lives, end = payloads(ask(site)[1])
    assert [event["data"] for event in lives] == texts
    assert json.loads(end["data"])["reply"] == "".join(texts).strip()


def test_script_receives_the_chat() -> None:
    """The chat has the question and its bot."""
    chats: list[Chat] = []
    body = question(" hi\n", botId="support", chatId="c1", messages=[{"role": "user", "content": "x"}], stream=False)

    def script(chat: Chat) -> str:
        chats.append(chat)
        return "ok"

    with serve_site(script, bots=["support"]) as site:
        ask(site, body)
        ask(site, question(botId="nobody"))
        ask(site, question(botId=None, customId="nobody"))
        assert site.requests[0].json == body
    assert chats[0] == Chat("hi", [{"role": "user", "content": "x"}], "support", "c1", False, body)
    assert [chat.bot_id for chat in chats] == ["support", "default", "default"]


def test_bytes_are_sent_unchanged() -> None:
    """PHP shows such warnings between events, and before JSON."""
    with serve_site(["a", b"<br />\n", "b"]) as site:
        assert b'"a"}\n\n<br />\ndata: {"type":"live","data":"b"}' in ask(site)[1]
        assert ask(site, question(stream=False))[1].startswith(b'<br />\n{"success":true,"reply":"ab"')


def test_notices_get_visibility_and_timestamp() -> None:
    """Releases before 2.8.3 and plain answers have no notices."""
    script: list[Notice | str] = [Notice("heartbeat"), Notice("thinking", "hm"), Notice("x"), "a"]
    with serve_site(script) as site:
        events = payloads(ask(site)[1])[:3]
        assert [event["visibility"] for event in events] == ["hidden", "collapsed", "visible"]
        assert all(event["timestamp"] > 1e9 and "metadata" not in event for event in events)
        assert json.loads(ask(site, question(stream=False))[1])["reply"] == "a"
    with serve_version(script, version="2.4.3") as site:
        assert [event["type"] for event in payloads(ask(site)[1])] == ["live", "end"]


@pytest.mark.parametrize("raised", [False, True])
def test_server_error_ends_the_answer(raised: bool) -> None:
    """A script may raise or yield it. An empty one does not end the answer."""

    def script(chat: Chat) -> Iterator[Any]:
        yield "a"
        yield ServerError("")
        if raised:
            raise ServerError("no")
        yield ServerError("no")
        yield "never"

    with serve_site(script) as site:
        assert [event["data"] for event in payloads(ask(site)[1])] == ["a", "", "no"]
        assert ask(site, question(stream=False))[1] == b'{"success":false,"message":"no"}'


def test_server_error_of_a_callable_is_not_an_error_of_the_script() -> None:

    def script(chat: Chat) -> str:
        raise ServerError("no")

    with serve_site(script) as site:
        assert payloads(ask(site)[1]) == [{"type": "error", "data": "no"}]


@pytest.mark.parametrize("stream", [False, True])
def test_exception_of_a_script_is_fatal_and_raised_at_the_end(stream: bool) -> None:

    def script(chat: Chat) -> str:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"), serve_site(script) as site:
        head, body = ask(site, question(stream=stream))
        assert head.startswith("HTTP/1.1 500 Internal Server Error\r\n")
        assert json.loads(body)["code"] == "internal_server_error"


def test_piece_of_a_wrong_type_is_an_error_of_the_script() -> None:
    """It does not replace an exception of the ``with`` block itself."""
    with pytest.raises(InvalidInput, match="not 3"), site_of([3]) as site:
        ask(site)
    with pytest.raises(ZeroDivisionError), site_of([3]) as site:
        ask(site)
        raise ZeroDivisionError


def test_cut_and_fatal_endings_have_the_right_framing() -> None:
    """A cut has no last chunk. A fatal error within a stream has one, but no ``end``."""
    with serve_site(Answer(["a"], ending="cut")) as site, Connection(site) as connection:
        connection.send(request(question(), X_WP_Nonce=site.nonce))
        assert connection.read_rest().endswith(b'data: {"type":"live","data":"a"}\r\n2\r\n\n\n\r\n')
    with serve_site(Answer(["a"], ending="fatal")) as site:
        assert [event["type"] for event in payloads(ask(site)[1])] == ["live"]
        assert site.errors == []


def test_image_bot_streams_with_the_type_of_json() -> None:
    with serve_site(Answer(images=["https://x/a.png"])) as site:
        head, body = ask(site)
    assert "Content-Type: application/json; charset=UTF-8\r\n" in head
    end = json.loads(payloads(body)[0]["data"])
    assert (end["images"], end["reply"]) == (["https://x/a.png"], "![Image](https://x/a.png)")


def test_reply_may_differ_from_the_streamed_text() -> None:
    """An action without arguments has PHP's empty array."""
    actions = [Action("function", "f"), Action("javascript", snippet="x()")]
    with serve_site(Answer("a b", reply="c", actions=actions)) as site:
        end = json.loads(payloads(ask(site)[1])[-1]["data"])
    assert end["reply"] == "c"
    assert end["actions"] == [
        {"type": "function", "data": {"name": "f", "args": []}},
        {"type": "javascript", "data": {"snippet": "x()"}},
    ]
    assert end["responseId"].startswith("chatcmpl-")


def test_json_is_encoded_as_in_php() -> None:
    """It is ASCII with surrogate pairs, escaped slashes and a raw DEL."""
    with serve_site(["/é\U0001f600\u2028\x7f\n\\u007f"]) as site:
        assert rb'"data":"\/\u00e9\ud83d\ude00\u2028' + b"\x7f" + rb'\n\\u007f"' in ask(site)[1]


def test_other_status_has_the_given_body_and_headers() -> None:
    with serve_site(Answer(["<h1>", b"slow", Text("</h1>")], status=429, headers={"retry-after": "3"})) as site:
        head, body = ask(site)
    assert head.startswith("HTTP/1.1 429 Too Many Requests\r\n")
    assert "Content-Type: text/html\r\n" in head
    assert "Retry-After: 3\r\n" in head
    assert body == b"<h1>slow</h1>"


# --- routes, nonces, limits ---


@pytest.mark.parametrize("form", ["%s", "/?rest_route=%s", "/index.php?a=b&rest_route=%s"])
def test_chat_is_answered_in_each_form_of_its_address(form: str) -> None:
    route = SUBMIT if form == "%s" else SUBMIT.removeprefix("/wp-json")
    with serve_site() as site:
        assert ask(site, target=form % route)[0].startswith("HTTP/1.1 200")


@pytest.mark.parametrize(("version", "status"), [("3.6.2", 200), ("2.8.9", 404), ("2.4.3", 404)])
def test_start_session_by_query_fails_on_2_x_with_pretty_permalinks(version: str, status: int) -> None:
    with serve_version(version=version) as site:
        assert ask(site, b"", target="/?rest_route=/mwai/v1/start_session")[0].startswith(f"HTTP/1.1 {status}")


def test_get_of_a_chat_gives_no_route() -> None:
    with serve_site() as site:
        head, body = ask(site, b"", method="GET")
    assert head.startswith("HTTP/1.1 404")
    assert json.loads(body)["code"] == "rest_no_route"


def test_stale_nonces_are_refused_on_every_route() -> None:
    """A nonce of the previous tick brings a new one."""
    with serve_site("hi") as site:
        old = site.nonce
        site.age_nonce()
        head, body = ask(site, b"", target=START, X_WP_Nonce=old)
        answer = json.loads(body)
        assert answer["restNonce"] == answer["new_token"] == site.nonce != old
        assert f"X-WP-Nonce: {site.nonce}\r\n" in head
        assert json.loads(ask(site, question(""), X_WP_Nonce=old)[1])["new_token"] == site.nonce
        site.age_nonce()
        stale = [old, "", site.nonce]
        site.expire_nonce()
        for nonce in stale:
            for target in (SUBMIT, START, "/wp-json/nope"):
                assert b"rest_cookie_invalid_nonce" in ask(site, target=target, X_WP_Nonce=nonce)[1]
        assert json.loads(ask(site, b"", target=START, nonce=False)[1])["restNonce"] == site.nonce


@pytest.mark.parametrize(
    ("body", "options", "status", "said"),
    [
        (b"[1]", {}, 403, b"rejected"),
        (b"", {}, 403, b"rejected"),
        (question(), {"Content_Type": "text/plain"}, 403, b"rejected"),
        (question(), {"Content_Type": None}, 403, b"rejected"),
        (question("", newFileIds=["f"]), {}, 200, b"end"),
        (question("", shortcutId="s"), {}, 400, b"Invalid or expired shortcut."),
        (question(7), {}, 200, b"end"),
        (b'{"a":NaN}', {}, 403, b"rejected"),
        (b'{"a":"\xff"}', {}, 403, b"rejected"),
        (b"[" * 100_000, {}, 403, b"rejected"),
    ],
)
def test_unusual_question_stops_the_site(body: Any, options: Json, status: int, said: bytes) -> None:
    """Each has an answer, and the site still works afterwards."""
    with serve_site() as site:
        head, answer = ask(site, body, **options)
        assert head.startswith(f"HTTP/1.1 {status}")
        assert said in answer
        assert ask(site)[0].startswith("HTTP/1.1 200")
        assert site.requests[0].json is None or site.requests[0].json == json.loads(site.requests[0].body)


@pytest.mark.parametrize(("version", "fits"), [("3.6.2", True), ("2.8.9", True), ("2.4.3", False)])
def test_max_length_counts_bytes_before_2_4_9(version: str, fits: bool) -> None:
    """Later releases count characters."""
    with serve_version(version=version, max_length=4) as site:
        assert (b"rejected" not in ask(site, question("ыыы"))[1]) is fits
        assert b"rejected" in ask(site, question("12345"))[1]


def test_chats_after_the_limit_are_refused() -> None:
    with serve_site("ok", limit_after=1) as site:
        assert b"end" in ask(site)[1]
        assert payloads(ask(site)[1]) == [{"type": "error", "data": "You have reached the limit."}]


def test_visitor_with_cookies_gets_no_new_ones() -> None:
    """The visitor keeps the session."""
    cookie = "PHPSESSID=x; mwai_session_id=65f0c0ffee123"
    with serve_version(version="2.8.9") as site:
        head, body = ask(site, b"", target=START, Cookie=cookie)
        assert json.loads(body)["sessionId"] == "65f0c0ffee123"
        assert "Set-Cookie" not in head + ask(site, Cookie=cookie)[0]


@pytest.mark.parametrize("version", ["3.6.2", "2.8.9", "2.4.3"])
def test_page_has_a_widget_for_each_bot(version: str) -> None:
    """Any name of a bot gives valid HTML, and the widget has the limit."""
    bots = ["default", "it's <b>&amp;</b>"]
    with serve_version(version=version, bots=bots, max_length=7) as site:
        body = ask(site, b"", target="/", method="GET", nonce=False)[1].decode()
        nonce = site.nonce if version == "2.4.3" else None
    systems = [json.loads(html.unescape(text)) for text in re.findall(r"data-system='([^']*)'", body)]
    assert [system["botId"] for system in systems] == bots
    assert {system["restNonce"] for system in systems} == {nonce}
    assert body.count("textInputMaxLength&quot;:7,") == 2


# --- connections, threads, lifetime ---


def test_each_piece_is_sent_before_the_next_is_requested() -> None:
    """The head waits for the first piece."""
    gates = [threading.Event() for _ in range(3)]

    def script(chat: Chat) -> Iterator[str]:
        for number, gate in enumerate(gates):
            assert gate.wait(10)
            yield str(number)

    with serve_site(script) as site, Connection(site) as connection:
        connection.send(request(question(), X_WP_Nonce=site.nonce))
        connection.socket.settimeout(0)
        with pytest.raises(BlockingIOError):
            connection.socket.recv(1)
        connection.socket.settimeout(10)
        for number, gate in enumerate(gates):
            gate.set()
            assert f'"data":"{number}"' in connection.read_until(b"}\r\n2\r\n\n\n\r\n").decode()
        assert b'"end"' in connection.read_until(b"0\r\n\r\n")


def test_connection_carries_many_requests() -> None:
    """The requests may be sent at once."""
    with serve_site("hi") as site, Connection(site) as connection:
        first, second = request(question(), X_WP_Nonce=site.nonce), request(target=START)
        assert b"end" in connection.ask(first)[1]
        assert b"restNonce" in connection.ask(second)[1]
        head, body = connection.ask(first + second)
        assert b"end" in body
        assert b"restNonce" in connection.ask(b"")[1]
        assert "Connection: keep-alive" in head
        assert [seen.path for seen in site.requests] == [SUBMIT, START, SUBMIT, START]


def test_connection_ends_for_http_1_0_and_close() -> None:
    """HTTP/1.0 has no chunks. Bytes that are not HTTP are refused."""
    with serve_site("hi") as site:
        with Connection(site) as connection:
            connection.send(f"GET / HTTP/1.0\r\nHost: {'x' * 5}\r\n\r\n".encode())
            answer = connection.read_rest()
            assert b"Transfer-Encoding" not in answer
            assert answer.endswith(b"</body></html>\n")
        with Connection(site) as connection:
            assert "Connection: close" in connection.ask(request(target=START, Connection="close"))[0]
            assert connection.read_rest() == b""
        with Connection(site) as connection:
            connection.send(b"\x16\x03\x01 nonsense\r\n\r\n")
            assert connection.read_rest().startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize("target", ["//[x", "http://[", "*", "/?rest_route=", "/wp-json", "/%ff"])
def test_each_odd_target_has_an_answer(target: str) -> None:
    with serve_site() as site:
        assert ask(site, target=target)[0].startswith("HTTP/1.1 ")


def test_head_has_no_body_and_expect_gets_100() -> None:
    with serve_site("hi") as site, Connection(site) as connection:
        connection.send(request(target="/", method="HEAD"))
        assert connection.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200")
        head, _, body = request(question(), Expect="100-continue", X_WP_Nonce=site.nonce).partition(b"\r\n\r\n")
        connection.send(head + b"\r\n\r\n")
        assert connection.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
        assert connection.ask(body)[0].startswith("HTTP/1.1 200")


def site_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "http://127.0.0.1" in thread.name]


def test_close_ends_all_connections_and_threads() -> None:
    """An idle connection, a pause and a client that does not read are tried."""
    with serve_site(["a", "b"], pause=3600) as slow, serve_site([b"x" * 1000] * 100_000) as full, serve_site() as idle:
        with Connection(slow) as first, Connection(full) as second, Connection(idle) as third:
            for site, connection in ((slow, first), (full, second)):
                connection.send(request(question(), X_WP_Nonce=site.nonce))
                connection.read_until(b"\r\n\r\n")
            third.ask(request(target=START))
            assert "running" in repr(slow)
            for site in (slow, full, idle):
                site.close()
                site.close()
            assert third.read_rest() == b""
        assert "closed" in repr(slow)
    assert site_threads() == []
    with pytest.raises(ConnectionRefusedError):
        Connection(idle)


def test_script_is_closed_when_its_client_closes() -> None:
    """The ``finally`` block of the script runs, and the site still works."""
    closed = threading.Event()

    def script(chat: Chat) -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 100_000
        finally:
            closed.set()

    with serve_site(script) as site:
        with Connection(site) as connection:
            connection.send(request(question(), X_WP_Nonce=site.nonce))
            connection.read_until(b"\r\n\r\n")
        assert closed.wait(10)
        assert ask(site, b"", target=START)[0].startswith("HTTP/1.1 200")


def test_script_may_close_its_site() -> None:

    def script(chat: Chat) -> str:
        sites[0].close()
        return "late"

    sites: list[Site] = []
    with serve_site(script) as site, Connection(site) as connection:
        sites.append(site)
        connection.send(request(question(), X_WP_Nonce=site.nonce))
        connection.read_rest()


def test_twenty_clients_are_answered_at_once() -> None:
    """Each answer waits until all questions have arrived."""
    barrier = threading.Barrier(20, timeout=10)
    answers: list[bytes] = []

    def script(chat: Chat) -> Iterator[str]:
        barrier.wait()
        yield chat.message

    with serve_site(script) as site:
        clients = [
            threading.Thread(target=lambda n=n: answers.append(ask(site, question(f"n{n}"))[1])) for n in range(20)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join(10)
        assert len(site.requests) == 20
    assert sorted(payloads(answer)[0]["data"] for answer in answers) == sorted(f"n{n}" for n in range(20))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: serve_site(bots=()), "bots"),
        (lambda: serve_site(bots="default"), "bots"),
        (lambda: serve_site(bots=[""]), "bots"),
        (lambda: serve_site(max_length=0), "max_length"),
        (lambda: serve_site(limit_after=-1), "limit_after"),
        (lambda: serve_site(pause=-1), "pause"),
        (lambda: serve_site(pause=float("nan")), "pause"),
        (lambda: serve_site(port=70000), "port"),
        (lambda: site_of(max_length="512"), "max_length"),
        (lambda: site_of(limit_after=1.5), "limit_after"),
        (lambda: site_of(bots=3), "bots"),
        (lambda: site_of(3), "answer"),
        (lambda: answer_of(None), "answer"),
        (lambda: answer_of(ending="stop"), "ending"),
        (lambda: Answer(status=100), "status"),
        (lambda: Answer(status=999), "status"),
    ],
)
def test_error_for_a_bad_argument_names_it(call: Callable[[], object], says: str) -> None:
    """No thread is left running."""
    with warnings.catch_warnings(), pytest.raises(InvalidInput, match=says):
        warnings.simplefilter("error")
        call()
    assert site_threads() == []


@pytest.mark.parametrize("option", ["version", "discussions", "token"])
def test_option_of_the_tests_is_accepted_by_the_package(option: str) -> None:
    """It has no effect there, and a test that relies on it would pass for a wrong reason."""
    options: dict[str, Any] = {option: None}
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{option}'"):
        serve_site(**options)


def test_port_in_use_raises_oserror() -> None:
    with serve_site() as site, pytest.raises(OSError, match="in use"):
        serve_site(port=int(site.url.rpartition(":")[2]))


def test_h11_reads_the_response_as_complete() -> None:
    with serve_site("hi") as site, Connection(site) as connection:
        client = h11.Connection(h11.CLIENT)
        fields = [("Host", "x"), ("Content-Length", "0")]
        connection.send(client.send(h11.Request(method="POST", target=START, headers=fields)) or b"")
        client.send(h11.EndOfMessage())
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                client.receive_data(connection.socket.recv(65536))
