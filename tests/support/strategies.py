"""Strategies that draw bodies, and a table of rare lines. The key of each rare line describes it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st


def php(value: Any) -> str:
    """Return JSON as PHP's json_encode writes it: ASCII, no spaces, slashes escaped."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/")


def line(event: Any, *, ascii_only: bool = True) -> bytes:
    """Return the line of an event, without its end."""
    encoded = php(event) if ascii_only else json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return f"data: {encoded}".encode()


def live(text: Any, **more: Any) -> bytes:
    """Return the line of a ``live`` event."""
    return line({"type": "live", "data": text, **more})


def end(**final: Any) -> bytes:
    """Return the line of an ``end`` event whose object is a success."""
    return line({"type": "end", "data": php({"success": True, **final})})


def error(text: Any, **more: Any) -> bytes:
    """Return the line of an ``error`` event."""
    return line({"type": "error", "data": text, **more})


FATAL = {
    "code": "internal_server_error",
    "message": "<p>There has been a critical error on this website.</p>",
    "data": {"status": 500},
    "additional_errors": [],
}
STALE = {"code": "rest_cookie_invalid_nonce", "message": "Cookie check failed", "data": {"status": 403}}
FORBIDDEN = {"code": "rest_forbidden", "message": "Sorry, you are not allowed to do that.", "data": {"status": 401}}
NO_ROUTE = {"code": "rest_no_route", "message": "No route was found.", "data": {"status": 404}}
SESSION: dict[str, Any] = {"success": True, "sessionId": "6720f0c1a2b3c", "restNonce": "0a1b2c3d4e"}

_PLAIN = b'data: {"type":"live","data":"'

# One rare line each, without its line end.
RARE: dict[str, bytes] = {
    "plain": live("Hello"),
    "plain, empty": live(""),
    "plain with a trailing space": live("a") + b" ",
    "plain with spaces before": b"data:   " + live("a")[6:],
    "plain with a tab": b"data:\t" + live("a")[6:],
    "plain, no space after the colon": b"data:" + live("a")[6:],
    "plain, in another order": b'data: {"data":"a","type":"live"}',
    "plain, with JSON spaces": b'data: {"type": "live", "data": "a"}',
    "plain, with a subtype behind": live("a", subtype="status"),
    "plain, a key twice": b'data: {"type":"live","data":"a","data":"b"}',
    "plain, cut": live("Hello")[:-4],
    "plain, cut in an escape": _PLAIN + b"a\\u00",
    "plain, cut at the quote": live("Hello")[:-1],
    "plain, two braces": live("a") + b"}",
    "plain, bad escape": _PLAIN + b'\\x"}',
    "plain, raw tab in the string": _PLAIN + b'\t"}',
    "plain, raw U+2028": _PLAIN + "a\u2028b\u2029c\u0085d\u000bd".replace("\u000b", "").encode() + b'"}',
    "plain, bad UTF-8": _PLAIN + b'a\xff\xc3b\xe2\x82"}',
    "plain, surrogate pair": _PLAIN + b'\\ud83d\\ude00"}',
    "plain, lone surrogate": _PLAIN + b'\\ud83d"}',
    "plain, emoji in UTF-8": _PLAIN + '😀é"}'.encode(),
    "plain, looks like wire": live('"}\n\ndata: {"type":"live","data":"x"}\n\n'),
    "two events on a line": live("a") + live("b"),
    "byte order mark": b"\xef\xbb\xbf",
    "byte order mark before an event": b"\xef\xbb\xbf" + live("a"),
    "two byte order marks": b"\xef\xbb\xbf" * 2 + live("a"),
    "byte order mark and a space": b"\xef\xbb\xbf " + live("a"),
    "byte order mark within": b"data: \xef\xbb\xbf" + live("a")[6:],
    "space before data": b" " + live("a"),
    "tabs before data": b"\t \t" + live("a"),
    "space before empty data": b" data: ",
    "space before null": b" data: null",
    "space before a cut event": b" " + live("a")[:-2],
    "space before no type": b' data: {"data":"a"}',
    "space before an event with a trailing space": b" " + live("a") + b" \t",
    "space before data, no space after the colon": b" data:" + live("a")[6:],
    "mark, space and data": b"\xef\xbb\xbf " + live("a"),
    "word before data": b"debug" + live("a"),
    "word before end": b"debug" + end(reply="Hello"),
    "word before error": b"debug" + error("no"),
    "notice before data": b"Notice: x in y.php on line 3" + live("a"),
    "tags before data": b"<br />\n<b>Notice</b>: x<br />" + live("a"),
    "data: before data": b"data: " + live("a"),
    "words with data: before data": b"x data: { data: {} data:{" + live("a"),
    "words with an event before data": b"x " + live("a") + live("b"),
    "comment before data": b": keepalive" + live("a"),
    "event field before data": b"event: message" + live("a"),
    "words behind an event in a line": b"x " + live("a") + b"x",
    "words before a number for a type": b'xdata: {"type":1}',
    "words before an event with spaces": b'xdata: \t { "type" : "live" , "data" : "a" }  ',
    "words before an event, deep": b'xdata: {"type":"live","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "words before an event, nested 600 deep": b'xdata: {"type":"live","data":' + b"[" * 600 + b"]" * 600 + b"}",
    "words before an event, huge integer": b'xdata: {"type":"live","data":"a","n":' + b"9" * 5000 + b"}",
    "many starts of an event": b"x" + b'data: {"' * 3000,
    "fatal before data": b'{"code":"internal_server_error","message":"no"}' + live("a"),
    "DATA": live("a").upper(),
    "data:  two": b"data:  two",
    "data:x": b"data:x",
    "data": b"data",
    "dat": b"dat",
    "data:": b"data:",
    "empty data": b"data: ",
    "spaces as data": b"data: \t  ",
    "null": b"data: null",
    "false": b"data: false",
    "number": b"data: 12",
    "string": b'data: "live"',
    "list": b'data: [{"type":"live","data":"a"}]',
    "NaN": b"data: NaN",
    "[DONE]": b"data: [DONE]",
    "no value": b'data: {"type":}',
    "no value in a live": b'data: {"type":"live","data":}',
    "empty object": b"data: {}",
    "no type": b'data: {"data":"a"}',
    "type is null": b'data: {"type":null,"data":"a"}',
    "type is a number": b'data: {"type":1}',
    "type is a list": b'data: {"type":["live"],"data":"a"}',
    "unknown type": line({"type": "usage", "data": {"tokens": 3}, "more": [1]}),
    "unknown type, no data": line({"type": "ping"}),
    "empty type": line({"type": "", "data": "a"}),
    "live, no data": line({"type": "live"}),
    "live, data null": live(None),
    "live, data number": live(1.5),
    "live, data list": live(["a"]),
    "live, data object": live({"a": "b"}),
    "live, data false": live(False),
    "subtype content": live("a", subtype="content"),
    "subtype null": live("a", subtype=None),
    "subtype empty": live("a", subtype=""),
    "subtype list": live("a", subtype=["x"]),
    "subtype unknown": live("a", subtype="brand_new", metadata=[], visibility=None, timestamp="now"),
    "subtype, data null": live(None, subtype="heartbeat"),
    "subtype, data object": live({"a": 1}, subtype="debug"),
    "thinking": live("Hm", subtype="thinking", visibility="collapsed", metadata={"status": "completed"}, timestamp=1.5),
    "tool call": live(
        "Calling x...", subtype="tool_call", visibility="visible", metadata={"arguments": "{}"}, timestamp=2
    ),
    "event on two lines": b'data: {"type":"live",\n"data":"a"}',
    "notice with a CR": b'data: {"type":"live","data":"a","subtype":"status",\r"metadata":{}}',
    "notice with a trailing space": live("a", subtype="status") + b" ",
    "notice, two braces": live("a", subtype="status") + b"}",
    "notice, cut": live("a", subtype="status")[:-1],
    "timestamp true": live("a", subtype="status", timestamp=True),
    "timestamp NaN": b'data: {"type":"live","data":"a","subtype":"status","timestamp":NaN}',
    "timestamp infinite": b'data: {"type":"live","data":"a","subtype":"status","timestamp":1e999}',
    "timestamp -0": b'data: {"type":"live","data":"a","subtype":"status","timestamp":-0}',
    "timestamp negative": live("a", subtype="status", timestamp=-1),
    "subtype and data of NaN": b'data: {"type":"live","subtype":NaN,"data":[NaN,-Infinity,1e400,-0,-0.0]}',
    "subtype a lone surrogate": b'data: {"type":"live","data":["\\ud800"],"subtype":"\\udfff"}',
    "nested 600 deep": b'data: {"type":"live","subtype":"x","data":' + b"[" * 600 + b"]" * 600 + b"}",
    "timestamp huge": b'data: {"type":"live","data":"a","subtype":"status","timestamp":' + b"9" * 400 + b"}",
    "integer beyond Python's limit": b'data: {"type":"live","data":"a","n":' + b"9" * 5000 + b"}",
    "deep": b"data: " + b"[" * 100_000,
    "deep in an event": b'data: {"type":"live","data":"a","more":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "event with a raw CR": b'data: {"type":"live",\r"data":"a"}',
    "event with a raw LF": b'data: {"type":"live",\n"data":"a"}',
    "event with a raw CRLF": b'data: {\r\n"type":"live","data":"a"}',
    "event with raw CR before its end": live("a")[:-1] + b"\r}",
    "end": end(reply="Hello"),
    "end, reply null": end(reply=None),
    "end, reply a list": end(reply=["a"]),
    "end, actions": end(reply="", actions=[{"type": "function", "data": {"name": "f", "args": []}}]),
    "end, reply a number": end(reply=12),
    "end, reply false": end(reply=False),
    "end, reply an object": end(reply={"a": "b"}),
    "end, reply an empty list": end(reply=[]),
    "end, reply a lone surrogate": line({"type": "end", "data": '{"success":true,"reply":"\\ud800"}'}),
    "end, lists as objects": end(
        reply="a",
        images={"0": "https://x/1", "2": "https://x/2"},
        actions={"1": {"type": "function", "data": {"name": "f", "args": {"0": "a"}}}},
        shortcuts={"3": {"type": "message", "data": {"label": "L"}}},
        blocks={"0": {"type": "content", "data": {"html": "<p>"}}},
    ),
    "end, empty lists as objects": end(images={}, actions={}, shortcuts={}, blocks={}, usage={}),
    "end, empty objects as lists": end(usage=[], actions=[{"type": "function", "data": []}]),
    "end, everything null": end(reply=None, images=None, actions=None, shortcuts=None, blocks=None, usage=None),
    "end, everything a number": end(reply=1, images=1, actions=1, shortcuts=1, blocks=1, usage=1, responseId=1),
    "end, everything true": end(reply=True, images=True, actions=True, shortcuts=True, blocks=True, usage=True),
    "end, images an object": end(images={"url": "https://x/1"}),
    "end, images with a number": end(images=["https://x/1", None, 5]),
    "end, actions without data": end(actions=[{"type": "function"}]),
    "end, actions with words": end(actions=["f()"]),
    "end, actions with a number for a name": end(actions=[{"type": "function", "data": {"name": 5}}]),
    "end, actions with a list for args": end(actions=[{"type": "function", "data": {"name": "f", "args": ["a"]}}]),
    "end, actions with a list for data": end(actions=[{"type": "function", "data": ["f"]}]),
    "end, actions with a list for type": end(actions=[{"type": [], "data": {"name": "f"}}]),
    "end, usage true": end(usage={"total_tokens": True}),
    "end, usage in words": end(usage={"prompt_tokens": "12", "total_tokens": "many"}),
    "end, usage beyond numbers": line(
        {"type": "end", "data": '{"success":true,"usage":{"total_tokens":NaN,"price":-Infinity,"queries":1e400}}'}
    ),
    "end, usage huge": line({"type": "end", "data": '{"success":true,"usage":{"price":%s}}' % ("9" * 4000)}),
    "end, usage beyond Python's limit": line({"type": "end", "data": '{"usage":{"price":%s}}' % ("9" * 5000)}),
    "end, nested 600 deep": line({"type": "end", "data": '{"reply":%s}' % ("[" * 600 + "]" * 600)}),
    "end false": line({"type": "end", "data": False}),
    "end null": line({"type": "end", "data": None}),
    "end, no data": line({"type": "end"}),
    "end object": line({"type": "end", "data": {"success": True, "reply": "Hello"}}),
    "end list": line({"type": "end", "data": [1]}),
    "end, broken JSON": line({"type": "end", "data": '{"success":true,"reply":"He'}),
    "end, no value": line({"type": "end", "data": '{"success":}'}),
    "end, JSON in spaces": line({"type": "end", "data": ' {"success":true,"reply":"Hi"} \n'}),
    "end, empty string": line({"type": "end", "data": ""}),
    "end, no success": line({"type": "end", "data": '{"reply":"Hi"}'}),
    "end, success false": line({"type": "end", "data": '{"success":false,"message":"No."}'}),
    "end, success null": line({"type": "end", "data": '{"success":null,"message":{"a":1}}'}),
    "error": error("OpenAI: Error"),
    "error in HTML": error("Please <a href='/login'>log in</a>.", timestamp=1.0),
    "error empty": error("", timestamp=1.0),
    "error null": error(None),
    "error of tags": error("<br />\n&nbsp;"),
    "error with a reference of 4301 digits": error("a &#" + "9" * 4301 + "; b"),
    "error of NaN": b'data: {"type":"error","data":[NaN]}',
    "error a lone surrogate": b'data: {"type":"error","data":"\\ud800"}',
    "error object": error({"message": "no"}),
    "error, no data": line({"type": "error"}),
    "comment": b": keepalive",
    "bare colon": b":",
    "event field": b"event: message",
    "id field": b"id: 1",
    "retry field": b"retry: 100",
    "HTML break": b"<br />",
    "HTML warning": b"<b>Warning</b>:  Undefined array key in <b>/x.php</b> on line <b>12</b><br />",
    "HTML comment": b"<!-- cached -->",
    "HTML page": b"<html><head><title>Just a moment...</title></head>\n<body>Wait</body></html>",
    "words": b"Fatal error",
    "spaces": b" \t",
    "U+2028": "\u2028".encode(),
    "NUL": b"\0",
    "fatal": php(FATAL).encode(),
    "fatal, pretty": json.dumps(FATAL, indent=2).encode(),
    "fatal behind words": b"x " + php(FATAL).encode(),
    "stale": php(STALE).encode(),
    "plain answer": php({"success": True, "reply": "Hello", "images": None, "usage": None}).encode(),
    "plain answer, pretty": json.dumps({"success": True, "reply": "Hello"}, indent=4).encode(),
    "plain answer behind a mark": b"\xef\xbb\xbf" + php({"success": True, "reply": "Hello"}).encode(),
    "plain answer, cut": b'{"success":true,"reply":"He',
    "plain refusal": b'{"success":false,"message":"Sorry, <b>no</b>."}',
    "plain refusal with a reference of 4301 digits": b'{"success":false,"message":"&#' + b"9" * 4301 + b';"}',
    "refusal with a reference of 4301 digits": b'{"code":"x","message":"&#' + b"9" * 4301 + b';"}',
    "plain answer of another shape": b'{"success":true,"reply":5,"images":"x"}',
    "plain refusal, mute": b'{"success":false}',
    "JSON of another": b'{"a":1}',
    "JSON, code a number": b'{"code":1}',
    "JSON list": b"[1,2]",
    "open brace": b"{",
}

LINE_ENDS = [
    b"\n\n",
    b"\n\n",
    b"\n\n",
    b"\n",
    b"\r\n\r\n",
    b"\r\n",
    b"\r\r",
    b"\r",
    b"\n\r",
    b"\r\n\n",
    b"\n\n\n",
    b" \n",
    b"",
]

characters = st.one_of(
    st.sampled_from(list('aZ 0\n\r\t"\\/<>&{}:\u2028\u2029\u0085\u000b\u001c\ufeff\ufffd\x7f\0éя漢😀')),
    st.characters(exclude_categories=["Cs"]),
)
texts = st.text(characters, max_size=12)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
urls = st.sampled_from(["https://x/1.png", "", "u"])
tagged = st.fixed_dictionaries(
    {},
    optional={
        "type": st.one_of(st.sampled_from(["function", "message"]), values),
        "data": st.one_of(
            st.dictionaries(st.sampled_from(["name", "args", "snippet", "label", "message", "id", "html"]), values),
            values,
        ),
    },
)
usages = st.dictionaries(
    st.sampled_from(["prompt_tokens", "total_tokens", "price", "queries", "accuracy"]),
    st.one_of(values, st.sampled_from([float("nan"), float("inf"), -0.0, 10**400, 10**4000, "1e9", "nan", "", -1])),
)


def listed(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw a list as PHP writes it: as a list, as an object if it has gaps, or another value."""
    lists = st.lists(items, max_size=3)
    gaps = st.dictionaries(st.sampled_from(["0", "1", "2", "10", "a"]), items, max_size=3)
    return st.one_of(lists, lists, gaps, values)


finals = st.fixed_dictionaries(
    {},
    optional={
        "success": st.one_of(st.just(True), st.just(True), values),
        "reply": st.one_of(st.none(), texts, texts, values),
        "images": listed(urls),
        "actions": listed(tagged),
        "shortcuts": listed(tagged),
        "blocks": listed(tagged),
        "usage": st.one_of(usages, values),
        "responseId": st.one_of(texts, values),
    },
)
"""Final objects with fields of any shape."""

subtypes = st.sampled_from(["content", "thinking", "status", "tool_call", "embeddings", "new", "", None])


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """Draw the line of a well-formed event of any shape that the protocol names."""
    event: dict[str, Any] = {"type": draw(st.sampled_from(["live", "live", "live", "live", "error", "end", "odd"]))}
    if event["type"] == "end":
        final = {
            "success": True,
            "reply": draw(st.one_of(st.none(), texts)),
            **draw(st.one_of(st.dictionaries(texts, values, max_size=2), finals)),
        }
        event["data"] = php(final) if draw(st.booleans()) else json.dumps(final, ensure_ascii=False)
    else:
        event["data"] = draw(st.one_of(texts, texts, texts, values))
    if draw(st.integers(0, 3)) == 0:
        event["subtype"] = draw(subtypes)
        event["metadata"] = draw(values)
        event["visibility"] = draw(st.sampled_from(["visible", "hidden", None]))
        event["timestamp"] = draw(st.one_of(st.none(), st.integers(), st.floats()))
    return line(event, ascii_only=draw(st.booleans()))


small_rarities = st.sampled_from([rarity for rarity in RARE.values() if len(rarity) < 1000])
befores = st.sampled_from([b" ", b"\t", b"x", b"Notice: x on line 3", b"data: {", b":", b"<br />", b"\xef\xbb\xbf "])
behind_output = st.tuples(befores, st.one_of(texts.map(live), events(), small_rarities)).map(b"".join)
lines = st.one_of(
    texts.map(live),
    texts.map(live),
    events(),
    small_rarities,
    small_rarities,
    behind_output,
    st.binary(max_size=6),
)


@st.composite
def bodies(draw: st.DrawFn, max_lines: int = 8) -> bytes:
    """Draw a body of lines with any line ends. It may be cut short or have a wrong byte."""
    parts = draw(st.lists(st.tuples(lines, st.sampled_from(LINE_ENDS)), max_size=max_lines))
    body = b"".join(text + ending for text, ending in parts)
    match draw(st.integers(0, 7)):
        case 0:
            body = body[: draw(st.integers(0, len(body)))]
        case 1 if body:
            spot = draw(st.integers(0, len(body) - 1))
            body = body[:spot] + draw(st.binary(max_size=2)) + body[spot + 1 :]
        case 2:
            body = b"\xef\xbb\xbf" + body
        case _:
            pass
    return body


def cut(body: bytes, sizes: list[int]) -> list[bytes]:
    """Return the body in pieces of these sizes, which repeat. A size of 0 gives an empty piece."""
    pieces, start, number = [], 0, 0
    while start < len(body):
        size = sizes[number % len(sizes)] if sizes and any(sizes) else len(body)
        pieces.append(body[start : start + size])
        start, number = start + size, number + 1
    return pieces


@st.composite
def cut_bodies(draw: st.DrawFn, drawn: st.SearchStrategy[bytes] | None = None) -> list[bytes]:
    """Draw a body in pieces: cut at random places, byte by byte, or by repeated sizes."""
    body = draw(drawn if drawn is not None else bodies())
    match draw(st.integers(0, 3)):
        case 0 if len(body) <= 400:
            return cut(body, [1])
        case 1:
            return cut(body, draw(st.lists(st.integers(0, 40), min_size=1, max_size=4)))
        case _:
            spots = sorted(draw(st.lists(st.integers(0, len(body)), max_size=6)))
            return [body[start:stop] for start, stop in zip([0, *spots], [*spots, len(body)], strict=True)]


limits = st.one_of(st.none(), st.integers(64, 200))
statuses = st.one_of(
    st.sampled_from([200, 200, 201, 301, 400, 401, 403, 404, 406, 429, 500, 503, 504, 524, 0]), st.integers()
)
header_names = st.sampled_from(
    ["Retry-After", "retry-after", "Date", "Content-Type", "CF-Mitigated", "Server", "Location", "X-WP-Nonce", "X-Odd"]
)
header_values = st.one_of(
    st.sampled_from(
        [
            "", "5", "-1", "1e9", "9" * 30, "²", "soon", "challenge", "cloudflare", "text/html", "0a1b2c3d4e", "a\r\nb",
            "Mon, 23 Nov 2026 02:22:08 GMT", "Mon, 99 Nov 2026 02:22:08 GMT", "Mon, 23 Xxx 0000 25:61:61 GMT",
            "/wp-json/mwai-ui/v1/chats/submit", "https://[", "//", "http://x:99999/mwai-ui/v1/chats/submit",
        ]
    ),
    st.text(max_size=8),
)  # fmt: skip
header_sets = st.dictionaries(header_names, header_values, max_size=4)
