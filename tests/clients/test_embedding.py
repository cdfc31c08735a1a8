"""Programs with an HTTP library of their own read the same odd servers as both clients, with the same outcomes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import pytest

from ..support.adapters import Seen
from ..support.behaviours import BEHAVIOURS, Behaviour
from ..support.embedders import EXAMPLE_LOOPS, LOOPS, example
from ..support.server import NONCE, Peer, Received, Server, response, session_response

# Rows that are about more than a turn, with the reason.
LEFT_OUT = {
    "gzip": "http.client and h11 do not decode",
    "deflate": "http.client and h11 do not decode",
    "encoding": "http.client and h11 do not decode",
    "header": "each HTTP library reads odd heads by its own rules",
    "LF": "each HTTP library reads odd heads by its own rules",
    "no reason phrase": "each HTTP library reads odd heads by its own rules",
    "103": "each HTTP library reads odd heads by its own rules",
    "chunked and a length": "each HTTP library reads odd heads by its own rules",
    "HTTP/1.0": "each HTTP library reads odd heads by its own rules",
    "no HTTP at all": "each HTTP library reads odd heads by its own rules",
    "chunk size": "each HTTP library reads odd chunks by its own rules",
    "rubbish": "each HTTP library reads odd chunks by its own rules",
    "more than its length": "each HTTP library reads odd chunks by its own rules",
    "before the body was read": "it is about a connection that is kept",
    "behind the session": "it is about a connection that is kept",
}
ROWS = [row for row in BEHAVIOURS if not row.options and not any(word in row.name for word in LEFT_OUT)]

# Rows for the examples, which are short: they retry nothing.
EXAMPLE_ROWS = [
    "chunked, a chunk an event",
    "with a length",
    "plain JSON",
    "a stale nonce",
    "a nonce refused twice",
    "301 with a slash",
    "303 with a slash",
    "302 to a login page",
    "an error event",
    "a stream without its end",
    "cut in a chunk",
    "403 of a firewall",
    "404 in HTML",
]


def check(ask: Callable[[str], Seen], row: Behaviour, *, knows_errors: bool) -> None:
    with Server(row.make()) as server:
        seen = ask(server.url)
        assert server.seen() == list(row.routes)
    assert (seen.error is None) == (row.error is None), repr(seen.error)
    assert seen.text == row.text
    if row.error is not None:
        assert row.says in str(seen.error)
        assert not knows_errors or isinstance(seen.error, row.error), repr(seen.error)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_loop_has_another_outcome_than_the_clients(loop: str, row: Behaviour) -> None:
    check(LOOPS[loop], row, knows_errors=True)


@pytest.mark.parametrize("name", EXAMPLE_LOOPS)
@pytest.mark.parametrize("row", EXAMPLE_ROWS)
def test_example_has_another_outcome_than_the_clients(name: str, row: str) -> None:
    needs = EXAMPLE_LOOPS[name]
    if needs is not None and importlib.util.find_spec(needs) is None:
        pytest.skip(f"{name} shows {needs}, which is not installed: see the dependency group examples")
    (behaviour,) = (one for one in BEHAVIOURS if one.name == row)
    check(example(name), behaviour, knows_errors=False)


@pytest.mark.parametrize("loop", LOOPS)
def test_loop_loses_a_cookie(loop: str) -> None:
    """The site knows its visitors by a cookie; PHPSESSID would make it answer them one after the other."""
    cookies: list[str] = []

    def script(peer: Peer) -> None:
        for request in peer.requests():
            cookies.append(request.headers.get("cookie", ""))
            if request.route == "start_session":
                answer = session_response()
                answer = answer.replace(
                    b"\r\n", b"\r\nSet-Cookie: mwai_session_id=5; Path=/\r\nSet-Cookie: PHPSESSID=7; Path=/\r\n", 1
                )
                peer.send(answer)
            else:
                assert request.headers["x-wp-nonce"] == NONCE
                peer.send(response(b'{"success": true, "reply": "Hello"}'))

    with Server(script) as server:
        assert LOOPS[loop](server.url).text == "Hello"
    assert cookies == ["", "mwai_session_id=5"]


@pytest.mark.parametrize("loop", LOOPS)
def test_loop_sends_a_nonce_to_another_origin(loop: str) -> None:
    """A redirect leads to another port, which is another origin: its own nonce is fetched there."""
    elsewhere: list[Received] = []

    def other(peer: Peer) -> None:
        for request in peer.requests():
            elsewhere.append(request)
            if request.route == "start_session":
                peer.send(session_response("other"))
            else:
                peer.send(response(b'{"success": true, "reply": "Hello"}'))

    with Server(other) as second:

        def script(peer: Peer) -> None:
            for request in peer.requests():
                if request.route == "start_session":
                    peer.send(session_response())
                else:
                    peer.send(response(b"", "307 Temporary Redirect", Location=f"{second.url}{request.target}"))

        with Server(script) as first:
            assert LOOPS[loop](first.url).text == "Hello"
    assert [request.headers.get("x-wp-nonce") for request in elsewhere] in ([None, "other"], [None, None, "other"])
