"""The verdicts of ``doctor``, from values: tables without any I/O or clock."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chatgpt4online import Done, EventParser, Reply, Session, Submission, Text, Timeout, Turn
from chatgpt4online.cli.connection import start_page
from chatgpt4online.cli.doctor import releases
from chatgpt4online.cli.doctor.address import Certificate, read_certificate, read_plain
from chatgpt4online.cli.doctor.ask import read_stream
from chatgpt4online.cli.doctor.causes import find_fixes
from chatgpt4online.cli.doctor.fetch import Answer, Fetcher, cookie_header, next_hop, shown
from chatgpt4online.cli.doctor.findings import VERDICTS, Finding, Mask, find_keys, is_healthy
from chatgpt4online.cli.doctor.front import cache_plugins, cache_sign, products, read_warnings
from chatgpt4online.cli.doctor.modes import Schedule
from chatgpt4online.cli.doctor.owner import read_keys
from chatgpt4online.cli.doctor.releases import Evidence, find_release
from chatgpt4online.cli.doctor.site import rest_url
from chatgpt4online.cli.doctor.stream import Measurement, measure
from chatgpt4online.http1 import Pool

from ..support.recordings import load, names
from ..support.server import LAST_CHUNK, Gate, Peer, Received, Server, chunk, end, live, stream_head
from ..support.server import site as chat_site

DAY = 86_400.0
NGINX = {"server": "nginx/1.22.1"}


# Whether an answer streams


def measured(
    times: list[float], *, reads: list[int] | None = None, size: int = 60, head: float | None = None, **headers: str
) -> Measurement:
    """Return the measurement of an answer with a piece of text at each time.

    ``reads`` has the number of pieces in each read; without it, pieces with the same time share a read.
    """
    counts = reads or [times.count(moment) for moment in dict.fromkeys(times)]
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    measurement = Measurement(head=times[0] if head is None else head, status=200, headers=fields)
    start = 0
    for count in counts:
        measurement.receive(times[start], size * count, [Text("word ")] * count)
        start += count
    measurement.add(times[-1], [Done(Reply("word " * len(times)))])
    return measurement


def steps(first: float, pause: float, count: int) -> list[float]:
    return [first + pause * number for number in range(count)]


STREAMS: dict[str, tuple[Measurement, str, str]] = {
    "a usual model": (measured(steps(0.8, 0.03, 40)), "ok", ""),
    "a fast model": (measured(steps(2.0, 0.002, 100)), "ok", ""),
    "a fast model and a short answer": (measured(steps(2.0, 0.001, 8)), "ok", ""),
    "a slow model": (measured(steps(5.0, 2.0, 6)), "ok", ""),
    "pieces that come in pairs": (measured([1.0, 1.0, 1.1, 1.1, 1.2, 1.2, 1.3, 1.3]), "ok", ""),
    "all pieces at once": (measured([6.0] * 40, server="nginx"), "problem", "nginx"),
    "all pieces at once, in two reads": (measured([6.0] * 20 + [6.005] * 20, server="nginx"), "problem", "nginx"),
    "a large answer at once": (measured(sorted(steps(9.0, 0.05, 8) * 250)), "problem", "PHP"),
    "all pieces at once after an early head": (measured([6.0] * 40, head=0.2, server="nginx"), "problem", "nginx"),
    "all pieces at once, too early to tell": (measured([0.4] * 40), "unknown", ""),
    "few pieces at once": (measured([3.0] * 4), "unknown", ""),
    "pieces at one moment in a few reads": (measured([2.0] * 10 + [2.02] * 10), "unknown", ""),
    "blocks of 4096 bytes": (
        measured([3.0] * 68 + [6.0] * 68 + [9.0] * 68 + [10.0] * 8, server="Apache/2.4"),
        "problem",
        "PHP",
    ),
    "blocks of 8000 bytes": (
        measured([3.0] * 133 + [6.0] * 133 + [9.0] * 133, server="Apache/2.4"),
        "problem",
        "Apache",
    ),
    "one piece": (measured([4.0]), "unknown", ""),  # "word" may be all that the model has to say
}


@pytest.mark.parametrize("name", STREAMS)
def test_times_of_an_answer_get_another_verdict(name: str) -> None:
    measurement, verdict, product = STREAMS[name]
    finding = read_stream(measurement)
    assert finding.verdict == verdict, finding
    assert (finding.fixes[0].product if finding.fixes else "") == product
    assert (verdict == "unknown") == ("--ask" in finding.advice)


def test_early_head_is_not_mentioned() -> None:
    finding = read_stream(measured([6.0] * 40, head=0.2, server="nginx"))
    assert "the head came early" in finding.fixes[0].sign


STREAMED = [name for name in names() if load(name).target.endswith("submit") and load(name).status == 200]


@pytest.mark.parametrize("name", STREAMED)
def test_recorded_answer_is_called_held_back(name: str) -> None:
    """No server held back one of the recorded answers. The recorder noted when each part came."""
    recording = load(name)
    headers = {key.decode().lower(): value.decode() for key, value in recording.headers}
    times = [milliseconds / 1_000 for milliseconds, _ in recording.notes["recv_ms_and_bytes"]]
    parser = EventParser(status=recording.status, headers=headers)
    measurement = Measurement(head=times[0], status=recording.status, headers=headers)
    late = len(times) - len(recording.pieces)  # the first reads hold the head, and perhaps a part of the body
    for number, piece in enumerate(recording.pieces, max(late, 0)):
        measurement.receive(times[min(number, len(times) - 1)], len(piece), parser.receive_data(piece))
    measurement.add(times[-1], parser.receive_eof())
    finding = read_stream(measurement)
    assert "held" not in finding.seen
    assert "blocks" not in finding.seen
    if name in ("3.6.2/stream_slow", "3.6.2/gzip_slow"):
        assert finding.verdict == "ok"


# The likeliest causes

CLOUDFLARE = {"server": "cloudflare", "cf-ray": "1-FRA"}
CAUSES: list[tuple[dict[str, str], list[str]]] = [
    ({}, ["PHP", "a plugin"]),
    (NGINX, ["nginx", "PHP", "a plugin"]),
    ({"server": "Apache/2.4.57"}, ["Apache", "PHP", "a plugin"]),
    ({"server": "LiteSpeed"}, ["LiteSpeed", "PHP", "a plugin"]),
    ({"server": "nginx", "via": "1.1 varnish"}, ["nginx", "PHP", "a plugin", "Varnish"]),
    (CLOUDFLARE, ["PHP", "a plugin", "Cloudflare", "nginx", "Apache", "LiteSpeed"]),
    (CLOUDFLARE | {"content-encoding": "br"}, ["Cloudflare", "PHP", "a plugin", "nginx", "Apache", "LiteSpeed"]),
    (NGINX | {"content-encoding": "gzip"}, ["nginx", "PHP", "a plugin"]),
    ({"content-encoding": "gzip"}, ["PHP", "a plugin"]),
    (NGINX | {"content-length": "900"}, ["a plugin", "nginx", "PHP"]),
    (NGINX | {"content-encoding": "identity"}, ["nginx", "PHP", "a plugin"]),
]


@pytest.mark.parametrize(("headers", "expected"), CAUSES, ids=str)
def test_another_cause_comes_first(headers: dict[str, str], expected: list[str]) -> None:
    fixes = find_fixes(headers)
    assert [fix.product for fix in fixes] == expected
    assert all(fix.sign and fix.lines for fix in fixes)


def test_plugin_that_the_page_shows_is_not_named() -> None:
    page = (
        "<script src='https:\\/\\/example.org\\/wp-content\\/plugins\\/wp-rocket\\/a.js'></script>"
        "<!-- Performance optimized by W3 Total Cache -->"
    )
    plugins = cache_plugins(page)
    assert plugins == ["W3 Total Cache", "WP Rocket"]
    fixes = find_fixes(NGINX, plugins=plugins)
    assert [fix.product for fix in fixes] == ["nginx", "a plugin", "PHP"]
    assert "W3 Total Cache, WP Rocket" in fixes[1].sign


LINES = {
    "nginx": "fastcgi_buffering off;",
    "Apache": 'SetEnvIf Request_URI "^/wp-json/mwai-ui/" no-gzip',
    "LiteSpeed": "RewriteRule ^wp-json/mwai-ui/ - [E=no-gzip:1,E=noabort:1]",
    "Cloudflare": 'starts_with(http.request.uri.path, "/wp-json/mwai-ui/")',
    "PHP": "output_buffering = Off",
}
PLAIN_LINES = {
    "nginx": "fastcgi_buffering off;",
    "Apache": 'SetEnvIfExpr "%{QUERY_STRING} =~ m#rest_route=/mwai-ui/#" no-gzip',
    "LiteSpeed": "RewriteCond %{QUERY_STRING} rest_route=/mwai-ui/",
    "Cloudflare": 'http.request.uri.query contains "rest_route=/mwai-ui/"',
    "PHP": "output_buffering = Off",
}


@pytest.mark.parametrize(("is_plain", "lines"), [(False, LINES), (True, PLAIN_LINES)], ids=["pretty", "plain"])
def test_lines_of_a_product_are_missing(is_plain: bool, lines: dict[str, str]) -> None:
    fixes = {fix.product: fix.lines for fix in find_fixes(CLOUDFLARE, is_plain=is_plain)}
    for product, line in lines.items():
        assert line in fixes[product]
    others = {line for product, line in (PLAIN_LINES if not is_plain else LINES).items() if line not in lines.values()}
    assert not others & {line for lines in fixes.values() for line in lines}


# The measurement


@dataclass
class Clock:
    """A clock that a test sets. Each call opens the gate: the client has read what was sent before."""

    gate: Gate = field(default_factory=Gate)
    seconds: float = 0.0

    def __call__(self) -> float:
        self.gate.open()
        self.seconds += 1
        return self.seconds


def ask(
    chat: Callable[[Peer, Received], None],
    clock: Callable[[], float],
    timeout: Timeout = Timeout(),  # noqa: B008  # it cannot be changed
) -> Measurement:
    """Ask a scripted site one question, and return the measurement."""

    async def main(url: str) -> Measurement:
        pool = Pool()
        try:
            fetcher = Fetcher(pool, url, {}, timeout)
            return await measure(fetcher, Turn(url, Submission("Hello"), Session("0a1b2c3d4e")), clock)
        finally:
            await pool.aclose()

    with Server(chat_site(chat)) as server:
        return asyncio.run(main(server.url))


def test_piece_is_measured_when_a_later_one_arrives() -> None:
    clock = Clock()

    def chat(peer: Peer, _: Received) -> None:
        clock.gate.wait()  # for the call before the question
        peer.send(stream_head())
        for word in ("a ", "b ", "c "):
            clock.gate.wait()  # for the head, and then for each read
            peer.send(chunk(live(word)))
        clock.gate.wait()
        peer.send(chunk(end("a b c")) + LAST_CHUNK)

    measurement = ask(chat, clock)
    assert measurement.head == 1
    assert [piece.seconds for piece in measurement.texts] == [2, 3, 4]
    assert [piece.read for piece in measurement.texts] == [1, 2, 3]
    assert (measurement.first, measurement.last, len(measurement.reads), measurement.text) == (2, 5, 4, "a b c")
    assert read_stream(measurement).verdict == "ok"


def test_pieces_that_come_together_are_measured_apart() -> None:
    whole = b"".join([live("word ")] * 20) + end("word " * 20)
    clock = Clock()
    measurement = ask(lambda peer, _: peer.send(stream_head(Server="nginx") + chunk(whole) + LAST_CHUNK), clock)
    assert {piece.seconds for piece in measurement.texts} == {2}
    finding = read_stream(measurement)
    assert (finding.verdict, finding.fixes[0].product) == ("problem", "nginx")


def test_time_limit_of_an_answer_is_not_named() -> None:
    def chat(peer: Peer, _: Received) -> None:
        peer.send(stream_head() + chunk(live("Hel")))
        peer.wait_for_close()

    measurement = ask(chat, Clock(), Timeout(idle=0.2))
    finding = read_stream(measurement)
    assert (finding.verdict, "no further part of the answer within 0.2 s" in finding.seen) == ("problem", True)


def test_cookies_of_a_redirect_are_not_sent_with_the_question() -> None:
    seen: list[str] = []

    def chat(peer: Peer, request: Received) -> None:
        seen.append(request.headers.get("cookie", ""))
        if not seen[-1]:
            peer.send(
                b"HTTP/1.1 307 Again\r\nLocation: /wp-json/mwai-ui/v1/chats/submit\r\nSet-Cookie: a=1; path=/\r\n"
                b"Set-Cookie: PHPSESSID=2; path=/\r\nContent-Length: 0\r\n\r\n"
            )
        else:
            peer.send(stream_head() + chunk(live("Hello"), end("Hello")) + LAST_CHUNK)

    assert ask(chat, Clock()).text == "Hello"
    assert seen == ["", "a=1"]


# Certificates


@pytest.mark.parametrize(
    ("life", "left", "verdict"),
    [(90, 60, "ok"), (90, 15, "ok"), (90, 13, "warning"), (398, 20, "ok"), (6, 3, "ok"), (6, 1, "warning")],
)
def test_days_of_a_certificate_get_another_verdict(life: float, left: float, verdict: str) -> None:
    now = 1_800_000_000.0
    finding = read_certificate(Certificate(now - (life - left) * DAY, now + left * DAY), now)
    assert (finding.verdict, finding.data["days"]) == (verdict, left)


@pytest.mark.parametrize(
    ("url", "verdict"),
    [
        ("http://example.org", "warning"),
        ("http://127.0.0.1:8080", "ok"),
        ("http://localhost", "ok"),
        ("http://site.test/", "ok"),
        ("http://127.example.org", "warning"),
    ],
)
def test_site_without_tls_gets_another_verdict(url: str, verdict: str) -> None:
    assert read_plain(url).verdict == verdict


# Headers


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"server": "nginx"}, ["nginx"]),
        ({"server": "cloudflare", "cf-ray": "1", "x-powered-by": "PHP/8.1"}, ["Cloudflare", "PHP"]),
        ({"server": "LiteSpeed", "x-litespeed-cache": "miss"}, ["LiteSpeed"]),
        ({"server": "openresty"}, ["nginx"]),
        ({"via": "1.1 varnish (Varnish/6.6)", "x-varnish": "3"}, ["Varnish"]),
        ({"server": ""}, []),
        ({}, []),
    ],
)
def test_product_in_front_gets_another_name(headers: dict[str, str], expected: list[str]) -> None:
    assert products(headers) == expected


@pytest.mark.parametrize(
    ("headers", "is_hit"),
    [
        ({"cf-cache-status": "HIT"}, True),
        ({"cf-cache-status": "DYNAMIC"}, False),
        ({"cf-cache-status": "MISS", "age": "0"}, False),
        ({"age": "12"}, True),
        ({"x-cache": "MISS, HIT"}, True),
        ({"x-cache": "TCP_HIT"}, True),
        ({"x-cache": "Miss from cloudfront"}, False),
        ({"x-varnish": "32770 3"}, True),
        ({"x-varnish": "32770"}, False),
        ({"x-litespeed-cache": "hit,litemage"}, True),
        ({"x-litespeed-cache-control": "no-cache"}, False),
        ({}, False),
    ],
)
def test_header_of_a_cache_is_misread(headers: dict[str, str], is_hit: bool) -> None:
    assert bool(cache_sign(headers)) is is_hit


# Answers


def answered(body: bytes, status: int = 200, **headers: str) -> Answer:
    fields = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer("POST", "https://example.org/wp-json/mwai/v1/start_session", status, fields, body)


NOISE: dict[bytes, str] = {
    b'{"a":1}': "",
    b'\xef\xbb\xbf\r\n{"a":1}\n': "",
    b'<b>Warning</b>: {x} in y\n{"a":1}': "<b>Warning</b>: {x} in y",
    b'{"a":1}<!-- cached -->': "<!-- cached -->",
    b'data: {"type":"error","data":"No."}\n\n': "",
    b': ping\n\ndata: {"type":"live","data":"a"}\n\n': "",
    b'data: {"type":"live","data":"a"}\n\n<b>Notice</b>: x\ndata: {"type":"end","data":"{}"}\n\n': "<b>Notice</b>: x",
    b"<html></html>": "",
    b"": "",
}


@pytest.mark.parametrize(("body", "noise"), NOISE.items())
def test_text_around_an_answer_is_misread(body: bytes, noise: str) -> None:
    assert answered(body).noise == noise


def test_text_around_json_is_less_urgent_than_between_events() -> None:
    stream = answered(b'<b>Notice</b>: one\ndata: {"type":"live","data":"a"}\n\n')
    assert read_warnings([stream]).verdict == "warning"
    finding = read_warnings([stream, answered(b'<b>Notice</b>: two\n{"a":1}')])
    assert (finding.verdict, "two" in finding.seen) == ("problem", True)


@pytest.mark.parametrize("name", names())
def test_recorded_answer_gets_a_false_alarm_about_warnings(name: str) -> None:
    recording = load(name)
    if "json" not in dict(recording.headers)[b"Content-Type".lower()].decode() or not recording.complete:
        return
    is_dirty = any(word in name for word in ("dirty", "warn", "display"))
    answer = answered(recording.body, recording.status)
    assert bool(answer.noise) is is_dirty, answer.noise


def test_key_in_a_recorded_error_is_not_found() -> None:
    recording = load("3.6.2/stream_err401")
    answer = Answer("POST", "https://example.org", 200, {"content-type": "text/event-stream"}, recording.body)
    assert (read_keys([answer]).verdict, read_keys([answer]).data["keys"]) == ("problem", ["sk-***"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Incorrect API key provided: sk-proj-abc1*****wxyz.", ["sk-***"]),
        ("key AIzaSyA1234567890 is invalid", ["AIza***"]),
        ("ask-nicely task-force-1 risk-taking-2", []),
        ("The model is not available.", []),
    ],
)
def test_text_that_looks_like_a_key_is_misread(text: str, found: list[str]) -> None:
    assert find_keys(text) == found


# Releases

SESSION = answered(b'{"success":true,"sessionId":"65f0c0ffee123","restNonce":"0a1b2c3d4e"}')
UNKNOWN_SESSION = answered(b'{"success":true,"sessionId":"N/A","restNonce":"0a1b2c3d4e"}')
NO_SESSION = answered(b'{"code":"rest_no_route"}', 404)


def evidence(page: str = "", routes: tuple[str, ...] = (), session: Answer = SESSION, stated: str = "") -> Evidence:
    return Evidence(page, routes, session, stated, True)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (evidence(stated="3.5.4"), "release 3.5.4"),
        (evidence(), "release 2.4.4 or later"),
        (evidence(session=NO_SESSION), "release 2.4.3 or earlier"),
        (evidence(session=UNKNOWN_SESSION), "a release from 2.4.4 to 2.8.4"),
        (evidence("data-system='{&quot;crossSite&quot;:false}'"), "release 2.9.9 or later"),
        (evidence('"eventLogs":false'), "release 2.8.5 or later"),
        (evidence(routes=("/mwai-ui/v1/search",)), "release 2.8.3 or later"),
        (evidence(routes=("/mwai-ui/v1/files/list",), session=NO_SESSION), "a release from 2.1.5 to 2.4.3"),
        (evidence("src='/wp-content/plugins/ai-engine/app/chatbot.js?ver=3.1.2'"), "release 3.1.2"),
        (
            evidence("src='/wp-content/plugins/ai-engine/app/chatbot.js?ver=1784170829'"),
            "release 2.4.4 or later; its files are from 2026-07-16",
        ),
        (evidence("src='/wp-content/plugins/other/a.js?ver=9.9.9'"), "release 2.4.4 or later"),
        (evidence("&quot;crossSite&quot;:true", stated="2.4.0"), "release 2.9.9 or later"),  # an old readme file
        (evidence(session=answered(b"", 500)), "a release that does not show"),
    ],
)
def test_release_is_misread(found: Evidence, words: str) -> None:
    assert find_release(found).words() == words


def test_release_of_a_feature_is_not_in_the_table() -> None:
    table = (Path(__file__).parent.parent.parent / "docs" / "versions.rst").read_text("utf-8")
    for since in releases._FEATURES.values():
        assert re.search(rf"(?:from |- |   ){re.escape('.'.join(map(str, since)))}\b", table), since


@pytest.mark.parametrize("version", ["2.4.3", "3.6.2"])
def test_release_of_a_recorded_page_is_excluded(version: str) -> None:
    recordings = load(f"{version}/page"), load(f"{version}/session")
    session = answered(recordings[1].body, recordings[1].status)
    release = find_release(evidence(recordings[0].body.decode(), session=session))
    assert release.least_number <= tuple(map(int, version.split("."))) <= release.most_number
    assert release.installed in ("2024-06-21", "2026-07-16")


# Addresses and secrets


@pytest.mark.parametrize(
    ("root", "url"),
    [
        ("https://example.org/wp-json", "https://example.org/wp-json/?_fields=namespaces"),
        ("https://example.org/?rest_route=", "https://example.org/?rest_route=/&_fields=namespaces"),
    ],
)
def test_parameter_of_a_route_is_lost(root: str, url: str) -> None:
    assert rest_url(root, "/", {"_fields": "namespaces"}) == url


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("https://example.org/wp-json", "https://example.org/"),
        ("https://example.org/blog/wp-json/mwai/v1", "https://example.org/blog/"),
        ("https://example.org/index.php?rest_route=", "https://example.org/"),
        ("https://example.org/chat/?a=1#b", "https://example.org/chat/?a=1"),
    ],
)
def test_page_of_an_address_is_misread(address: str, page: str) -> None:
    assert start_page(address) == page


def test_parameters_of_a_shown_address_are_secret() -> None:
    assert shown("https://example.org/?key=secret") == "https://example.org/?..."
    assert (
        shown("https://example.org/?rest_route=/mwai/v1/x&key=secret") == "https://example.org/?rest_route=/mwai/v1/x"
    )


def test_login_in_an_address_is_shown_or_followed() -> None:
    answer = Answer("GET", "https://example.org/", 301, {"location": "https://anna:secret@example.org:8443/a@b"})
    assert next_hop(answer) == "https://example.org:8443/a@b"
    assert shown("https://anna:secret@example.org/x") == "https://example.org/x"
    assert Mask().text("see https://anna:secret@example.org/x and a@b.org") == "see https://example.org/x and a@b.org"


@pytest.mark.parametrize("body", [b'{"":' * 900_000, b'{"a":1 ' * 500_000], ids=["nested", "begun"])
def test_text_that_begins_many_objects_takes_minutes(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []
    decode = json.JSONDecoder.raw_decode
    monkeypatch.setattr(json.JSONDecoder, "raw_decode", lambda *given: tries.append(0) or decode(*given))
    assert Answer("GET", "https://example.org/", 200, {}, body).json == {}
    assert 0 < len(tries) <= 100


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        ("Authorization", "Bearer tok-1234", ["tok-1234"]),
        ("authorization", "Basic YW5uYTphYmNkIEVGR0g=", ["YW5uYTphYmNkIEVGR0g=", "abcd EFGH", "abcdEFGH"]),
        ("Proxy-Authorization", "Basic YTpiOmNkZQ==", ["YTpiOmNkZQ==", "b:cde"]),
        ("Authorization", "Basic 5", ["Basic 5"]),
        ("Cookie", "first=one-1; second=two=2", ["one-1", "two=2"]),
        ("X-Key", "key-1234", ["key-1234"]),
    ],
)
def test_part_of_a_secret_header_is_shown(name: str, value: str, secrets: list[str]) -> None:
    mask = Mask()
    mask.add_header(name, value)
    for secret in [value, *secrets]:
        assert mask.text(f"<{secret}>") == "<***>"


def test_password_without_spaces_or_in_a_header_is_shown() -> None:
    mask = Mask()
    mask.add_login("anna", "abcd EFGH")
    assert mask.text("abcd EFGH, abcdEFGH, YW5uYTphYmNkIEVGR0g=") == "***, ***, ***"


def test_php_session_is_sent_back() -> None:
    assert cookie_header(["a=1; path=/", "PHPSESSID=2", "a=3; HttpOnly", "b=4"]) == {"Cookie": "a=3; b=4"}


def test_mask_shows_a_secret() -> None:
    mask = Mask(frozenset({"203.0.113.5"}))
    mask.add("app password", "ab")
    text = (
        "app password, sk-abcdefgh1234, 198.51.100.7, 2001:db8::1, 203.0.113.5, 127.0.0.1, ab, 12:30:45, nginx/1.22.1"
    )
    assert (
        mask.text(text) == "***, sk-***, (IP address), (IP address), 203.0.113.5, 127.0.0.1, ab, 12:30:45, nginx/1.22.1"
    )
    finding = mask.finding(Finding("ask", "ok", text, text, data={"a": [{"b": text}], "c": 1}))
    assert "app password" not in json.dumps(finding.to_dict())


@pytest.mark.parametrize("verdict", VERDICTS)
def test_only_a_problem_is_unhealthy(verdict: Any) -> None:
    assert is_healthy([Finding("a", "ok", ""), Finding("b", verdict, "")]) is (verdict != "problem")


# The schedule of --watch


@pytest.mark.parametrize(
    ("seconds", "ask_every", "asking", "a_day"),
    [
        (300, None, [], 0),
        (300, 300, [0, 1, 2, 3, 4, 5], 288),
        (300, 900, [0, 3], 96),
        (300, 700, [0, 3], 96),  # at the next run, since a question is never asked too early
        (7, 7, [0, 1, 2, 3, 4, 5], 12_343),
    ],
)
def test_question_is_asked_in_another_run(
    seconds: float, ask_every: float | None, asking: list[int], a_day: int
) -> None:
    schedule = Schedule.of(seconds, ask_every)
    assert _asking(schedule, range(6)) == asking
    assert schedule.questions_a_day() == a_day


def test_question_of_a_run_that_was_left_out_is_forgotten() -> None:
    schedule = Schedule.of(300, 900)
    assert _asking(schedule, [0, 2, 4, 5, 7, 8, 13]) == [0, 4, 7, 13]


def _asking(schedule: Schedule, numbers: Iterable[int]) -> list[int]:
    """Return the numbers of the runs that ask, if the runs with the other numbers are left out."""
    asking: list[int] = []
    for number in numbers:
        if schedule.asks(number, asking[-1] if asking else None):
            asking.append(number)
    return asking


@pytest.mark.parametrize(("spent", "pause"), [(0, 60), (10, 50), (59, 1), (70, 50), (130, 50)])
def test_pause_after_a_run_has_another_length(spent: float, pause: float) -> None:
    assert Schedule(60).pause(1_000, 1_000 + spent) == pause
