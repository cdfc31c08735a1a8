"""``doctor`` against healthy sites and against odd ones, as a process."""

from __future__ import annotations

import gzip
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import trustme

from chatgpt4online import ServerError
from chatgpt4online.testing import Answer, Chat, Widget

from ..site import serve_site
from ..support.front import Change, Relayed, front
from ..support.program import run_program
from ..support.recordings import load
from ..support.server import Peer, Server, response

WARNING = b"<br />\n<b>Warning</b>:  Undefined key in <b>/srv/x.php</b> on line <b>5</b><br />\n"
CHALLENGE = b"<html><title>Just a moment...</title><script src='/cdn-cgi/challenge-platform/x'></script></html>"
USERS = {"anna": "abcd EFGH ijkl MNOP qrst UVWX"}
WORDS = " ".join(["word"] * 30)
FREE = ["address", "tls", "rest", "plugin", "session", "nonce", "bots", "front", "warnings"]


@dataclass
class Checked:
    """The result of one run: its exit status, its findings by step, and the text of the output."""

    status: int
    findings: dict[str, Any]
    output: str
    errors: str


def check(url: str, *options: str, env: dict[str, str] | None = None) -> Checked:
    """Run ``doctor`` with JSON as its output."""
    ended = run_program("doctor", url, "--json", *options, env=env)
    assert ended.stdout.count("\n") == 1, ended.stderr
    record = json.loads(ended.stdout)
    assert record["healthy"] is (ended.returncode == 0)
    findings = {finding["step"]: finding for finding in record["findings"]}
    return Checked(ended.returncode, findings, ended.stdout, ended.stderr)


# Healthy sites

HEALTHY: list[dict[str, Any]] = [
    {"version": version} | place
    for version in ("3.6.2", "2.8.9", "2.4.3")
    for place in (
        {},
        {"permalinks": "plain"},
        {"path": "/blog"},
        {"language": "fr"},
        {"path": "/blog", "permalinks": "plain"},
    )
    if (version, place) != ("2.8.9", {"language": "fr"})  # this release has no start_session below a language
]


@pytest.mark.parametrize("options", HEALTHY, ids=lambda options: " ".join(map(str, options.values())))
def test_healthy_site_gets_a_false_alarm(options: dict[str, Any]) -> None:
    chats: list[Chat] = []
    with serve_site(lambda chat: chats.append(chat) or "Hello", **options) as site:
        checked = check(f"{site.url}/{options.get('language', '')}")
    verdicts = {step: finding["verdict"] for step, finding in checked.findings.items()}
    from_page = options["version"] == "2.4.3"
    assert verdicts == dict.fromkeys(FREE, "ok") | {"nonce": "ok" if from_page else "skipped"}
    assert (checked.status, checked.errors, chats) == (0, "", [])
    expected = "plain" if options.get("permalinks") == "plain" else "pretty"
    assert checked.findings["rest"]["data"]["form"] == expected


def test_healthy_site_that_answers_gets_a_false_alarm() -> None:
    with serve_site(WORDS) as site:
        checked = check(site.url, "--ask", "Hello")
    assert checked.status == 0
    assert checked.findings["ask"]["verdict"] in ("ok", "unknown")  # the site answers within milliseconds


# Odd sites


@dataclass
class Odd:
    """An odd site, and the verdict that one step must have. ``words`` are in the finding."""

    name: str
    step: str
    verdict: str
    words: str
    change: Change | None = None
    options: dict[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    answer: Any = "Hello"
    prepare: Callable[[Any], object] = lambda site: None
    path: str = ""


def on(text: str, make: Change) -> Change:
    """Return a change of the answers to requests with this text in their address."""
    return lambda answer: make(answer) if answer.has(text) else answer


def replaced(body: bytes, status: str = "200 OK", **headers: str) -> Change:
    fields = {"Content_Type": "application/json"} | headers
    return lambda answer: answer.adding(body, status, **fields)


def headed(**headers: str) -> Change:
    return lambda answer: answer.adding(**headers)


def before(text: bytes) -> Change:
    return lambda answer: answer.adding(text + answer.body)


def recorded(name: str) -> Change:
    """Return a change that replaces answers by a recording of a real site."""
    recording = load(name)
    headers = {key.decode().replace("-", "_"): value.decode() for key, value in recording.headers}
    kept = {key: value for key, value in headers.items() if key.lower() not in ("transfer_encoding", "connection")}
    return lambda answer: answer.adding(recording.body, f"{recording.status} Recorded", **kept)


def cached(text: str, **headers: str) -> Change:
    """Return a change that sends the first answer to an address again and again."""
    stored: dict[str, Relayed] = {}

    def change(answer: Relayed) -> Relayed:
        if not answer.has(text) or "x-wp-nonce" in answer.request.headers:
            return answer
        if answer.request.target in stored:
            return stored[answer.request.target].adding(**headers)
        return stored.setdefault(answer.request.target, answer)

    return change


def zipped(answer: Relayed) -> Relayed:
    return answer.adding(gzip.compress(answer.body), Content_Encoding="gzip")


def without_nonces(answer: Relayed) -> Relayed:
    return answer.adding(re.sub(rb"(restNonce&quot;:)&quot;\w+&quot;", rb"\1null", answer.body))


def without_bots(answer: Relayed) -> Relayed:
    """Remove the chat windows of a page, which still names its REST API."""
    return answer if answer.has("/wp-") else answer.adding(answer.body.replace(b"mwai-chatbot-container", b"other"))


def all_of(*changes: Change) -> Change:
    def change(answer: Relayed) -> Relayed:
        for one in changes:
            answer = one(answer)
        return answer

    return change


def expire(site: Any) -> None:
    site.expire_nonce()


INDEX = "/wp-json/?"
SESSION = "start_session"
SUBMIT = "submit"
PAGE_AND_REST = all_of(
    replaced(CHALLENGE, "403 Forbidden", Content_Type="text/html", CF_RAY="1-FRA", Server="cloudflare")
)
README = b"=== AI Engine ===\nStable tag: %s\n"
NO_ROUTE = json.dumps({"code": "rest_no_route", "message": "No route", "data": {"status": 404}}).encode()
LIMIT = response(b"<html><h1>429 Too Many Requests</h1></html>", "429 Too Many Requests", Content_Type="text/html")
TOOLS = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}'


def mcp(*routes: str, answer: Change) -> Change:
    listed = json.dumps({"namespace": "mcp/v1", "routes": {f"/mcp/v1{route}": {} for route in ("", *routes)}}).encode()
    return all_of(
        on(INDEX, replaced(b'{"namespaces":["mwai-ui/v1","mwai/v1","mcp/v1"]}')),
        on("/mcp/v1", replaced(listed)),
        *(on(f"/mcp/v1{route}", answer) for route in ("/http", "/sse")),
    )


OWNER = {"users": USERS}
AS_OWNER = ("--user", "anna")
ODD = [
    # The address
    Odd("page not found", "address", "problem", "HTTP 404", path="/nothing.here"),
    Odd(
        "maintenance",
        "address",
        "problem",
        "maintenance mode",
        on("/", recorded("3.6.2/maintenance_session")),
    ),
    Odd(
        "password of a staging site",
        "address",
        "problem",
        "asks for a password",
        replaced(b"<h1>401</h1>", "401 Unauthorized", Content_Type="text/html", WWW_Authenticate="Basic"),
    ),
    # The REST API
    Odd(
        "REST API closed to guests",
        "rest",
        "problem",
        "rest_not_logged_in",
        on("/wp-json", recorded("3.6.2/restoff_session")),
    ),
    Odd(
        "REST API closed, and no bot in the page",
        "plugin",
        "unknown",
        "the page shows no bot",
        all_of(on("/wp-json", recorded("3.6.2/restoff_session")), without_bots),
    ),
    Odd(
        "only the index closed to guests",
        "rest",
        "ok",
        "not for chats",
        on(INDEX, recorded("3.6.2/restoff_session")),
    ),
    Odd(
        "index hidden",
        "rest",
        "ok",
        "its index is hidden",
        on(INDEX, replaced(NO_ROUTE, "404 Not Found")),
    ),
    Odd(
        "not a WordPress site",
        "rest",
        "problem",
        "there is no REST API",
        replaced(b"<html><title>Hello</title></html>", Content_Type="text/html"),
    ),
    Odd(
        "pretty permalinks without their rules",
        "rest",
        "problem",
        "try_files $uri $uri/ /index.php?$args;",
        on(
            "/wp-json",
            replaced(b"<html><title>404 Not Found</title></html>", "404 Not Found", Content_Type="text/html"),
        ),
    ),
    Odd(
        "page with a REST API that redirects",
        "rest",
        "problem",
        "a redirect loses them",
        all_of(
            on("/old/", replaced(b"", "301 Moved Permanently", Location="/wp-json/")),
            lambda answer: answer.adding(answer.body.replace(b"\\/wp-json", b"\\/old\\/wp-json")),
        ),
    ),
    Odd(
        "page with a REST API on a host that is gone",
        "rest",
        "problem",
        "the page names http://127.0.0.1:1/wp-json, which cannot be reached: no connection",
        lambda answer: answer.adding(re.sub(rb":\d+\\/wp-json", rb":1\\/wp-json", answer.body)),
    ),
    # The plugin
    Odd(
        "files on a host that is gone",
        "plugin",
        "ok",
        "AI Engine, release",
        lambda answer: (
            before(b"http://127.0.0.1:1/wp-content/plugins/ai-engine/x.js")(answer)
            if answer.request.target == "/"
            else answer
        ),
    ),
    Odd(
        "no AI Engine",
        "plugin",
        "problem",
        "no route of AI Engine",
        all_of(
            on(INDEX, replaced(b'{"namespaces":["wp/v2"]}')),
            on("/mwai", recorded("3.6.2/noplugin_session")),
        ),
    ),
    Odd(
        "no AI Engine and a hidden index",
        "plugin",
        "problem",
        "no route of AI Engine",
        all_of(
            on("/wp-json", replaced(NO_ROUTE, "404 Not Found")),
            lambda answer: answer if "wp-json" in answer.request.target else answer.adding(b"<html></html>"),
        ),
    ),
    Odd(
        "chatbots off",
        "plugin",
        "problem",
        "chatbots are off",
        on(INDEX, replaced(b'{"namespaces":["wp/v2","mwai/v1"]}')),
    ),
    Odd(
        "release 2.9.1",
        "plugin",
        "problem",
        "guests get no nonce",
        on("readme.txt", replaced(README % b"2.9.1", Content_Type="text/plain")),
        {"version": "2.8.9"},
    ),
    Odd(
        "release in the readme file",
        "plugin",
        "ok",
        "release 3.6.2",
        on("readme.txt", replaced(README % b"3.6.2", Content_Type="text/plain")),
    ),
    Odd(
        "firewall for the readme file",
        "front",
        "ok",
        "no server",
        on("readme.txt", replaced(b"<title>Access denied</title>", "403 Forbidden", Content_Type="text/html")),
    ),
    Odd(
        "JSON in the readme file",
        "warnings",
        "ok",
        "no text",
        on("readme.txt", replaced(README % b"3.6.2" + b'Send {"a": 1}.', Content_Type="text/plain")),
    ),
    # The nonce
    Odd(
        "start_session is not below the language",
        "session",
        "problem",
        "before 3.3.0",
        options={"version": "2.8.9", "language": "fr"},
        path="/fr/",
    ),
    Odd(
        "start_session closed",
        "session",
        "warning",
        "get their nonce from the page",
        options={"session_closed": True},
    ),
    Odd(
        "start_session closed, and a page without a nonce",
        "session",
        "problem",
        "guests get no nonce",
        without_nonces,
        {"session_closed": True},
    ),
    Odd("start_session in a cache", "session", "problem", "two visitors get the same session id", cached(SESSION)),
    Odd(
        "start_session in Cloudflare's cache",
        "session",
        "problem",
        "cf-cache-status: HIT",
        on(SESSION, headed(CF_Cache_Status="HIT", Age="120")),
    ),
    Odd(
        "start_session with a stale nonce",
        "session",
        "problem",
        "nonce that the site refuses",
        on(SESSION, lambda answer: answer.adding(re.sub(rb'(restNonce":")\w+', rb"\g<1>0123456789", answer.body))),
    ),
    Odd("start_session that fails", "session", "problem", "error logs", on(SESSION, replaced(b"<html>", "500 Oops"))),
    Odd(
        "start_session of another server",
        "session",
        "unknown",
        "See the step front",
        on(SESSION, replaced(b"<html>", Content_Type="text/html")),
    ),
    Odd(
        "stale nonce in a cached page",
        "nonce",
        "problem",
        "is stale",
        cached("/", X_Cache="HIT"),
        {"session_closed": True},
        prepare=expire,
    ),
    Odd(
        "good nonce in a cached page",
        "nonce",
        "warning",
        "comes from a cache (x-cache: HIT)",
        on("/", headed(X_Cache="HIT")),
        {"version": "2.4.3"},
    ),
    Odd("compressed answers", "session", "ok", "a nonce that works", zipped),
    # The bots
    Odd(
        "no chat window",
        "bots",
        "unknown",
        "no chat window",
        on(
            "/",
            lambda answer: (
                answer.adding(b"<html></html>") if "html" in dict(answer.headers)["Content-Type"] else answer
            ),
        ),
    ),
    # The servers in front
    Odd("Cloudflare's challenge", "front", "problem", "Skip", PAGE_AND_REST),
    Odd("Cloudflare's challenge for the API only", "front", "problem", "bot check", on("/wp-json", PAGE_AND_REST)),
    Odd(
        "limit on requests",
        "front",
        "problem",
        "for 60 s",
        on(
            SESSION,
            replaced(b"<h1>429</h1>", "429 Too Many", Content_Type="text/html", Retry_After="60", Server="nginx"),
        ),
    ),
    Odd(
        "servers that name themselves",
        "front",
        "ok",
        "Cloudflare, PHP",
        headed(Server="cloudflare", X_Powered_By="PHP/8.2"),
    ),
    # Texts around answers
    Odd("warnings of PHP before JSON", "warnings", "problem", "WP_DEBUG_DISPLAY", on(SESSION, before(WARNING))),
    Odd(
        "comment of a cache after JSON",
        "warnings",
        "problem",
        "Performance optimized",
        on(SESSION, recorded("3.6.2/dirty_session")),
    ),
    Odd("byte order mark before JSON", "warnings", "ok", "no text", on(SESSION, before(b"\xef\xbb\xbf"))),
    Odd(
        "warnings of PHP between events",
        "warnings",
        "warning",
        "Undefined key",
        arguments=("--ask", "Hello"),
        answer=["Hel", WARNING, "lo"],
    ),
    # The answer
    Odd("one piece", "ask", "warning", "one piece", arguments=("--ask", "Hello"), answer=[WORDS]),
    Odd(
        "no stream",
        "ask",
        "warning",
        "one piece",
        on(SUBMIT, replaced(json.dumps({"success": True, "reply": WORDS}).encode())),
        arguments=("--ask", "Hello"),
    ),
    Odd("short answer", "ask", "unknown", "too short", arguments=("--ask", "Hello"), answer=["Hi."]),
    Odd(
        "bot for voices before a bot for texts",
        "ask",
        "warning",
        "one piece",
        options={"bots": [Widget("voice", mode="realtime"), "default"]},
        arguments=("--ask", "Hello"),
        answer=lambda chat: [WORDS] if chat.bot_id == "default" else "No.",
    ),
    Odd("no text", "ask", "problem", "no text", arguments=("--ask", "Hello"), answer=Answer("")),
    Odd("limit reached", "ask", "problem", "LimitReached", options={"limit_after": 0}, arguments=("--ask", "Hello")),
    Odd(
        "rate limit",
        "ask",
        "problem",
        "RateLimited",
        on(SUBMIT, replaced(b"<h1>429</h1>", "429 Too Many", Content_Type="text/html")),
        arguments=("--ask", "Hello"),
    ),
    Odd(
        "answer that is cut",
        "ask",
        "problem",
        "max_execution_time",
        arguments=("--ask", "Hello"),
        answer=Answer(WORDS, ending="cut"),
    ),
    Odd(
        "question that is too long",
        "ask",
        "problem",
        "rejected",
        options={"max_length": 5},
        arguments=("--ask", "Hello there"),
    ),
    # The owner
    Odd(
        "key of a provider in an error",
        "keys",
        "problem",
        "sk-***",
        arguments=("--ask", "Hello"),
        answer=[ServerError("Wrong key sk-abcdefgh12345678.")],
    ),
    Odd(
        "error of the model",
        "ask",
        "problem",
        "Look into the logs of AI Engine and PHP",
        arguments=("--ask", "Hello"),
        answer=[ServerError("No.")],
    ),
    Odd(
        "error without a key",
        "keys",
        "ok",
        "1 arrived",
        arguments=("--ask", "Hello"),
        answer=[ServerError("No.")],
        change=on(
            "mwai-ui/v1",
            lambda answer: answer.adding(b"{}", "200 OK") if "submit" not in answer.request.target else answer,
        ),
    ),
    Odd("public API off", "api", "ok", "is off", options=OWNER, arguments=AS_OWNER),
    Odd("public API on", "api", "ok", "accepts the login", options=OWNER | {"token": "site-token"}, arguments=AS_OWNER),
    Odd(
        "public API with a token",
        "api",
        "ok",
        "accepts the login",
        options={"token": "site-token"},
        arguments=("--token", "site-token"),
    ),
    Odd(
        "public API with a wrong token",
        "api",
        "warning",
        "Check the token",
        options={"token": "site-token"},
        arguments=("--token", "other"),
    ),
    Odd(
        "header Authorization removed",
        "api",
        "warning",
        "HTTP_AUTHORIZATION",
        on("simpleAuthCheck", replaced(b'{"code":"rest_forbidden","message":"No."}', "401 Unauthorized")),
        OWNER,
        AS_OWNER,
    ),
    Odd(
        "wrong application password",
        "api",
        "warning",
        "use an application password",
        options={"users": {"anna": "another"}, "token": "site-token"},
        arguments=AS_OWNER,
    ),
    Odd("MCP off", "mcp", "ok", "is off", options=OWNER, arguments=AS_OWNER),
    Odd(
        "MCP open", "mcp", "problem", "everybody can use", mcp("/http", "/sse", answer=replaced(TOOLS)), OWNER, AS_OWNER
    ),
    Odd(
        "MCP by SSE open",
        "mcp",
        "problem",
        "everybody can use",
        mcp("/sse", answer=replaced(b"event: endpoint\n\n", Content_Type="text/event-stream")),
        OWNER,
        AS_OWNER,
    ),
    Odd(
        "MCP closed",
        "mcp",
        "ok",
        "refuses guests",
        mcp("/http", answer=replaced(b'{"code":"rest_forbidden"}', "401 Unauthorized")),
        OWNER,
        AS_OWNER,
    ),
    Odd(
        "MCP token in the index",
        "mcp",
        "problem",
        "shows the token",
        mcp("/http", "/secret-token/sse", answer=replaced(b'{"code":"rest_forbidden"}', "401 Unauthorized")),
        OWNER,
        AS_OWNER,
    ),
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_odd_site_gets_another_verdict(odd: Odd) -> None:
    chats: list[Chat] = []

    def answer(chat: Chat) -> Any:
        chats.append(chat)
        return odd.answer(chat) if callable(odd.answer) else odd.answer

    with ExitStack() as stack:
        site = stack.enter_context(serve_site(answer, **odd.options))
        server = stack.enter_context(Server(front(site.url, odd.change or (lambda answer: answer))))
        if odd.prepare is expire:
            check(f"{server.url}{odd.path}")  # fills the cache
        odd.prepare(site)
        env = {
            "CHATGPT4ONLINE_SITE": server.url,
            "CHATGPT4ONLINE_USER": "anna",
            "CHATGPT4ONLINE_PASSWORD": USERS["anna"],
        }
        checked = check(f"{server.url}{odd.path}", *odd.arguments, env=env if "--user" in odd.arguments else None)
    finding = checked.findings[odd.step]
    assert finding["verdict"] == odd.verdict, finding
    assert odd.words in f"{finding['seen']} {finding['advice']} {finding['fixes']}"
    assert (checked.status == 1) == any(found["verdict"] == "problem" for found in checked.findings.values())
    assert "secret-token" not in checked.output
    if "--ask" not in odd.arguments:
        assert chats == []
    assert len(chats) <= 1


# The address


def redirecting(*hops: tuple[str, str]) -> Callable[[Peer], None]:
    """Return a server that redirects its paths: pairs of a status and a target."""

    def script(peer: Peer) -> None:
        for request in peer.requests():
            status, target = hops[request.target.startswith("/1")]
            peer.send(response(b"", f"{status} Moved", Location=target))

    return script


@pytest.mark.parametrize(
    ("hops", "verdict", "words"),
    [
        ([("301", "SITE")], "ok", "saves a request"),
        ([("302", "SITE")], "warning", "temporary"),
        ([("301", "/1"), ("301", "SITE")], "warning", "2 redirects"),
        ([("301", "/1"), ("301", "/0")], "problem", "do not end"),
        ([("301", "")], "problem", "HTTP 301"),
    ],
)
def test_redirects_get_another_verdict(hops: list[tuple[str, str]], verdict: str, words: str) -> None:
    with serve_site() as site:
        script = redirecting(*((status, target.replace("SITE", f"{site.url}/?key=secret")) for status, target in hops))
        with Server(script) as server:
            checked = check(server.url)
    finding = checked.findings["address"]
    assert (finding["verdict"], checked.status) == (verdict, 1 if verdict == "problem" else 0)
    assert words in f"{finding['seen']} {finding['advice']}"
    assert "secret" not in checked.output


def test_site_that_is_not_there_gets_another_verdict() -> None:
    checked = check("http://127.0.0.1:1")
    verdicts = {step: finding["verdict"] for step, finding in checked.findings.items()}
    assert verdicts == dict.fromkeys(FREE, "skipped") | {"address": "problem"}
    assert "connection refused" in checked.findings["address"]["seen"]


def test_each_step_waits_for_a_site_that_hangs() -> None:
    """The page arrives, and the REST API never answers. Only the first step that needs it waits."""

    def change(answer: Relayed) -> Relayed:
        if answer.has("/wp-json"):
            hanging.wait()
        return answer

    hanging = threading.Event()
    with serve_site() as site, Server(front(site.url, change)) as server:
        checked = check(server.url, "--first-byte-timeout", "3")
        hanging.set()
        targets = [request.target for request in server.requests if "wp-json" in request.target]
    verdicts = {step: finding["verdict"] for step, finding in checked.findings.items()}
    skipped = dict.fromkeys(("plugin", "session", "nonce", "warnings"), "skipped")
    assert verdicts == {"address": "ok", "tls": "ok", "rest": "problem", "bots": "ok", "front": "ok"} | skipped
    assert checked.findings["rest"]["seen"] == "no answer within 3 s"
    assert len(targets) == 1


@pytest.mark.parametrize(("method", "step"), [("GET", "address"), ("POST", "session")])
def test_redirect_that_sets_a_cookie_is_a_loop(method: str, step: str) -> None:
    def change(answer: Relayed) -> Relayed:
        if answer.request.method == method and "seen=1" not in answer.request.headers.get("cookie", ""):
            return answer.adding(b"", "307 Again", Location=answer.request.target, Set_Cookie="seen=1; path=/")
        return answer

    place = {"GET": "/?page", "POST": SESSION}[method]
    with serve_site() as site, Server(front(site.url, on(place, change))) as server:
        checked = check(f"{server.url}/?page")
    assert checked.findings[step]["verdict"] == "ok"


@pytest.mark.parametrize(
    "values",
    [
        ["--header", "X: a\r\nY: b"],
        ["--header", "X Y: a"],
        ["--token", "two words"],
        ["--user-of-environment", "anna"],
        ["--watch", "1e300"],
    ],
    ids=lambda values: values[0] + " " + values[1][:3],
)
def test_value_that_cannot_be_sent_is_a_problem_of_the_site(values: list[str]) -> None:
    with serve_site("Hello") as site:
        env = {"CHATGPT4ONLINE_SITE": site.url, "CHATGPT4ONLINE_USER": "anna"}
        if values[0] == "--user-of-environment":  # without its password
            ended = run_program("doctor", env=env)
        else:
            ended = run_program("doctor", site.url, *values)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
        assert not site.requests


def test_part_of_a_header_is_shown_by_a_site_that_prints_it() -> None:
    def echo(answer: Relayed) -> Relayed:
        sent = answer.request.headers.get("authorization", "").removeprefix("Bearer ")
        return answer.adding(f"<b>Warning</b>: {sent}\n".encode() + answer.body) if answer.has("/wp-json") else answer

    with serve_site("Hello") as site, Server(front(site.url, echo)) as server:
        ended = run_program("doctor", server.url, "--header", "Authorization: Bearer tok-1234")
    assert "tok-1234" not in ended.stdout
    assert "***" in ended.stdout


def test_login_is_sent_to_another_host() -> None:
    with serve_site(users=USERS, token="site-token") as site, Server(redirecting(("301", f"{site.url}/"))) as server:
        env = {
            "CHATGPT4ONLINE_SITE": server.url,
            "CHATGPT4ONLINE_USER": "anna",
            "CHATGPT4ONLINE_PASSWORD": USERS["anna"],
        }
        checked = check(
            server.url, "--user", "anna", "--header", "Authorization: Bearer own", "--ask", "Hello", env=env
        )
        assert checked.findings["api"]["verdict"] == "skipped"
        assert [request.path for request in site.requests if "authorization" in request.headers] == []
        assert server.requests[0].headers["authorization"] == "Bearer own"


@pytest.mark.parametrize("way", ["option", "environment"])
def test_proxy_is_not_used(way: str) -> None:
    proxy = "http://127.0.0.1:1"
    options = ["--proxy", proxy] if way == "option" else []
    checked = check("http://site.test", *options, env={} if way == "option" else {"http_proxy": proxy})
    assert (checked.status, checked.findings["address"]["verdict"]) == (1, "problem")
    assert "proxy" in checked.findings["address"]["seen"]


# TLS


@contextmanager
def secured(host: str = "127.0.0.1", days: float = 60) -> Iterator[tuple[Server, trustme.CA]]:
    """Yield a healthy site behind TLS, and the authority of its certificate, which ends after some days."""
    authority = trustme.CA()
    now = datetime.now(UTC)
    certificate = authority.issue_cert(host, not_before=now - timedelta(days=30), not_after=now + timedelta(days=days))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with serve_site() as site, Server(front(site.url, to_https), tls=context) as server:
        yield server, authority


def to_https(answer: Relayed) -> Relayed:
    body = answer.body.replace(b"http:\\/\\/127", b"https:\\/\\/127").replace(b"http://127", b"https://127")
    link = dict(answer.headers).get("Link", "").replace("http:", "https:")
    return answer.adding(body, **({"Link": link} if link else {}))


@pytest.mark.parametrize(
    ("options", "trusts", "verdict", "words"),
    [
        ({}, True, "ok", "expires in 59 days"),
        ({"days": 7}, True, "warning", "renewal"),
        ({"days": -1}, True, "problem", "has expired"),
        ({"host": "other.test"}, True, "problem", "another host"),
        ({}, False, "problem", "fullchain.pem"),
    ],
    ids=["good", "ends soon", "expired", "other host", "unknown authority"],
)
def test_certificate_gets_another_verdict(
    options: dict[str, Any], trusts: bool, verdict: str, words: str, tmp_path: Path
) -> None:
    with secured(**options) as (server, authority):
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        checked = check(server.url, env={"SSL_CERT_FILE": str(tmp_path / "ca.pem")} if trusts else None)
    finding = checked.findings["tls"]
    assert (finding["verdict"], checked.status) == (verdict, 1 if verdict == "problem" else 0), checked.findings
    assert words in f"{finding['seen']} {finding['advice']}"
    assert checked.findings["rest"]["verdict"] == ("skipped" if verdict == "problem" else "ok")


def test_server_without_tls_gets_another_verdict() -> None:
    with serve_site() as site:
        checked = check(site.url.replace("http:", "https:"))
    assert (checked.status, checked.findings["tls"]["verdict"]) == (1, "problem")


# An answer that is held back


def held(answer: Relayed) -> Relayed:
    """Wait longer than the shortest wait that doctor takes for a buffer. The front sends the whole answer at once."""
    time.sleep(1.1)
    return answer.adding(Server="nginx/1.22.1")


def test_answer_that_is_held_back_is_not_a_problem() -> None:
    with serve_site(WORDS) as site, Server(front(site.url, on(SUBMIT, held))) as server:
        checked = check(server.url, "--ask", "Count.")
    finding = checked.findings["ask"]
    assert (checked.status, finding["verdict"]) == (1, "problem")
    assert [fix["product"] for fix in finding["fixes"]] == ["nginx", "PHP", "a plugin"]
    assert "fastcgi_buffering off;" in finding["fixes"][0]["lines"]
    assert finding["data"]["pieces"] == 30
    assert finding["data"]["reads"] == 1


def test_compression_is_not_the_first_cause() -> None:
    change = on(SUBMIT, all_of(held, zipped))
    with serve_site(WORDS) as site, Server(front(site.url, change)) as server:
        finding = check(server.url, "--ask", "Count.").findings["ask"]
    assert (finding["verdict"], finding["fixes"][0]["product"]) == ("problem", "nginx")
    assert "compressed (gzip)" in finding["fixes"][0]["sign"]


GUIDE = Path(__file__).parent.parent.parent / "docs" / "guides" / "doctor.rst"


def test_guide_shows_another_output() -> None:
    """The guide shows the step of an answer that nginx holds back. The times are those of a slow model."""
    block = re.search(r"^    problem   ask:.*\n(?:    .*\n)+", GUIDE.read_text("utf-8"), re.MULTILINE)
    assert block is not None
    with serve_site(WORDS) as site, Server(front(site.url, on(SUBMIT, held))) as server:
        ended = run_program("doctor", server.url, "--ask", "Count from 1 to 30.")
    seen = re.search(r"^problem   ask:.*\n(?: .*\n)+", ended.stdout, re.MULTILINE)
    assert seen is not None
    assert re.sub(r"\d\.\d s", "0.0 s", seen[0]) == re.sub(r"\d\.\d s", "0.0 s", dedent(block[0]))
