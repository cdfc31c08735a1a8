"""The synchronous client, against servers on loopback."""

import gzip
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import requests

from chatgpt4online import (
    Client,
    ConnectionFailed,
    InvalidInput,
    InvalidState,
    Notice,
    Reply,
    Session,
    Stream,
    Text,
    TimedOut,
    Timeout,
    ask,
    stream,
)

from ..support.adapters import read_until_closed
from ..support.behaviours import HELLO, streamed
from ..support.server import (
    LAST_CHUNK,
    NONCE,
    Gate,
    Peer,
    Received,
    Server,
    chunk,
    end,
    json_response,
    live,
    response,
    says,
    session_response,
    site,
    stream_head,
)


def test_first_event_is_returned_while_the_rest_is_held_back() -> None:
    gate = Gate()

    def chat(peer: Peer, _: Received) -> None:
        peer.send(stream_head() + chunk(live("Hel")))
        gate.wait()
        peer.send(chunk(live("lo"), end("Hello")) + LAST_CHUNK)

    with Server(site(chat)) as server, Client(server.url) as client, client.stream("Hi") as pieces:
        assert next(pieces) == "Hel"
        assert pieces.text == "Hel"
        gate.open()
        assert list(pieces) == ["lo"]
        assert pieces.text == "Hello"


class TestStream:
    def test_stream_is_a_generator(self) -> None:
        with Server(site(says(streamed(*HELLO)))) as server, Client(server.url) as client:
            pieces = client.stream("Hi")
            assert iter(pieces) is pieces
            assert pieces.send(None) == "Hel"
            assert next(pieces) == "lo"
            with pytest.raises(StopIteration):
                next(pieces)
            with pytest.raises(StopIteration):
                next(pieces)
            with pytest.raises(ZeroDivisionError):
                client.stream("Hi").throw(ZeroDivisionError())

    def test_reply_before_the_end_raises_with_the_text_so_far(self) -> None:
        def chat(peer: Peer, _: Received) -> None:
            peer.send(stream_head() + chunk(live("Hel")))
            peer.wait_for_close()

        with Server(site(chat)) as server, Client(server.url) as client:
            with client.stream("Hi") as pieces:
                assert next(pieces) == "Hel"
            with pytest.raises(InvalidState) as raised:
                pieces.reply  # noqa: B018  # it raises
            assert raised.value.partial_text == "Hel"
            pieces.close()
            assert list(pieces) == []

    def test_break_closes_the_connection(self) -> None:
        gone = threading.Event()

        def chat(peer: Peer, _: Received) -> None:
            peer.send(stream_head() + chunk(live("Hel")))
            peer.wait_for_close()
            gone.set()

        with Server(site(chat)) as server, Client(server.url) as client:
            for _ in client.stream("Hi"):
                break
            assert gone.wait(10)

    @pytest.mark.parametrize(
        "sent", [b"", stream_head() + chunk(live("Hel"))], ids=["before it began", "in the answer"]
    )
    @pytest.mark.parametrize("closed", ["stream", "client"])
    def test_close_from_another_thread_unblocks_the_reader(self, sent: bytes, closed: str) -> None:
        waiting, gone = threading.Event(), threading.Event()

        def chat(peer: Peer, _: Received) -> None:
            peer.send(sent)
            waiting.set()
            peer.wait_for_close()
            gone.set()

        with Server(site(chat)) as server, Client(server.url) as client:
            pieces = client.stream("Hi")
            shown: list[str] = []
            reader = threading.Thread(target=lambda: shown.extend(pieces))
            reader.start()
            assert waiting.wait(10)
            (pieces if closed == "stream" else client).close()
            reader.join(10)
            assert not reader.is_alive()
            assert gone.wait(10)
        assert shown in ([], ["Hel"])
        assert repr(pieces).endswith("closed>")

    def test_close_ends_the_wait_for_a_retry(self) -> None:
        asked = threading.Event()

        def chat(peer: Peer, _: Received) -> None:
            peer.send(response(b"", "503 Service Unavailable", Retry_After="29"))
            asked.set()

        with Server(site(chat)) as server, Client(server.url) as client:
            pieces = client.stream("Hi")
            reader = threading.Thread(target=lambda: list(pieces))
            reader.start()
            assert asked.wait(10)
            pieces.close()
            reader.join(10)
            assert not reader.is_alive()

    def test_reset_raises_with_the_text_so_far(self) -> None:
        gate = Gate()

        def chat(peer: Peer, _: Received) -> None:
            peer.send(stream_head() + chunk(live("Hel")))
            gate.wait()
            peer.reset()

        shown = []
        with Server(site(chat)) as server, Client(server.url) as client, pytest.raises(ConnectionFailed) as raised:
            for piece in client.stream("Hi"):
                shown.append(piece)
                gate.open()
        assert shown == ["Hel"]
        assert raised.value.partial_text == "Hel"
        assert raised.value.__cause__ is not None


class TestTimeouts:
    def test_total_ends_a_stream_that_never_pauses(self) -> None:
        def chat(peer: Peer, _: Received) -> None:
            peer.send(stream_head())
            while True:
                peer.send(chunk(live("x")))
                time.sleep(0.01)

        with Server(site(chat)) as server, Client(server.url, timeout=Timeout(total=0.5)) as client:
            with pytest.raises(TimedOut) as raised:
                list(client.stream("Hi"))
        assert raised.value.clock == "total"
        assert set(raised.value.partial_text) == {"x"}

    def test_timeout_of_a_question_replaces_the_clients(self) -> None:
        def chat(peer: Peer, _: Received) -> None:
            peer.wait_for_close()

        with Server(site(chat)) as server, Client(server.url) as client, pytest.raises(TimedOut) as raised:
            client.ask("Hi", timeout=0.3)
        assert (raised.value.clock, raised.value.seconds) == ("first_byte", 0.3)

    def test_time_of_a_slow_reader_does_not_count_as_idle(self) -> None:
        with Server(site(says(streamed(*HELLO)))) as server, Client(server.url, timeout=0.3) as client:
            shown = []
            for piece in client.stream("Hi"):
                shown.append(piece)
                time.sleep(0.4)
        assert shown == ["Hel", "lo"]


class TestNonce:
    def test_threads_share_one_search_for_a_nonce(self) -> None:
        with Server(site(says(streamed(*HELLO)))) as server, Client(server.url) as client:
            replies = []
            threads = [threading.Thread(target=lambda: replies.append(client.ask("Hi"))) for _ in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
        assert [str(reply) for reply in replies] == ["Hello"] * 12
        assert server.seen().count("start_session") == 1
        assert {request.headers["x-wp-nonce"] for request in server.requests[1:]} == {NONCE}

    def test_next_question_is_one_request_on_the_open_connection(self) -> None:
        with Server(site(says(streamed(*HELLO)))) as server, Client(server.url) as client:
            for _ in range(3):
                client.ask("Hi")
            assert server.seen() == ["start_session", "submit", "submit", "submit"]
            assert server.connections == 1

    def test_start_session_stores_a_new_nonce(self) -> None:
        with Server(site(says(streamed(*HELLO)), nonces=["1111111111", "2222222222"])) as server:
            with Client(server.url) as client:
                assert client.start_session() == Session("1111111111", "65f0c0ffee123")
                assert client.start_session().nonce == "2222222222"
                client.ask("Hi")
            assert server.requests[-1].headers["x-wp-nonce"] == "2222222222"
            assert server.requests[-1].json["session"] == "65f0c0ffee123"
            assert "x-wp-nonce" not in server.requests[1].headers

    def test_nonce_is_not_sent_to_another_host(self) -> None:
        with Server(site(says(streamed(*HELLO)), nonces=["2222222222"]), host="127.0.0.2") as other:

            def chat(peer: Peer, request: Received) -> None:
                peer.send(response(b"", "307 Temporary Redirect", Location=other.url + request.target))

            with Server(site(chat)) as first:
                headers = {"Authorization": "Basic c2VjcmV0", "X-Mine": "1"}
                with Client(first.url, headers=headers, cookies={"mine": "1"}) as client:
                    assert client.ask("Hi").text == "Hello"
        assert other.seen() == ["start_session", "submit"]
        assert "x-wp-nonce" not in other.requests[0].headers
        assert other.requests[1].headers["x-wp-nonce"] == "2222222222"
        assert "authorization" not in other.requests[1].headers
        assert "cookie" not in other.requests[1].headers
        assert other.requests[1].headers["x-mine"] == "1"
        assert first.requests[1].headers["authorization"] == "Basic c2VjcmV0"


class TestRequests:
    def test_request_names_the_client_and_accepts_an_uncompressed_stream(self) -> None:
        with Server(site(says(streamed(*HELLO)))) as server, Client(server.url, headers={"X-Mine": "1"}) as client:
            client.ask("Hi")
        headers = server.requests[-1].headers
        assert headers["user-agent"].startswith("chatgpt4online/")
        assert headers["accept"] == "text/event-stream"
        assert headers["accept-encoding"] == "identity"
        assert headers["x-mine"] == "1"

    def test_history_is_sent_as_messages(self) -> None:
        messages = [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ]
        with Server(site(says(streamed(*HELLO)))) as server, Client(server.url) as client:
            client.ask(messages, chat_id="mine")
            client.ask(messages, flatten=True)
        first, second = (request.json for request in server.requests[1:])
        assert (first["newMessage"], first["messages"], first["chatId"]) == ("c", messages[:2], "mine")
        assert (second["newMessage"], second["messages"]) == ("User: a\nAssistant: b\nUser: c\nAssistant:", [])
        assert second["chatId"] not in ("", "mine")

    def test_cookies_are_kept_except_phpsessid(self) -> None:
        cookies = [("Set-Cookie", "PHPSESSID=abc; path=/"), ("Set-Cookie", "mwai_session_id=xyz; path=/; HttpOnly")]
        head = session_response().replace(b"\r\n", b"\r\n" + "".join(f"{k}: {v}\r\n" for k, v in cookies).encode(), 1)

        def script(peer: Peer) -> None:
            for request in peer.requests():
                peer.send(head if request.route == "start_session" else streamed(*HELLO))

        with Server(script) as server, Client(server.url, cookies={"mine": "1"}) as client:
            client.ask("Hi")
        sent = set(server.requests[-1].headers["cookie"].split("; "))
        assert sent == {"mwai_session_id=xyz", "mine=1"}

    def test_proxy_is_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        with Server(site(says(streamed(*HELLO)))) as proxy:
            with Client("http://example.org", proxy=proxy.url.replace("//", "//user:pass@")) as client:
                assert client.ask("Hi").text == "Hello"
            monkeypatch.setenv("http_proxy", proxy.url)
            with Client("http://example.org") as client:
                assert client.ask("Hi").text == "Hello"
        assert {request.target.partition("/wp-json")[0] for request in proxy.requests} == {"http://example.org"}
        assert proxy.requests[0].headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
        assert "proxy-authorization" not in proxy.requests[-1].headers

    def test_http_session_is_used_and_not_closed(self) -> None:
        with Server(site(says(streamed(*HELLO)))) as server, requests.Session() as own:
            own.headers["X-Own"] = "1"
            with Client(server.url, http=own) as client:
                assert client.ask("Hi").text == "Hello"
            assert server.requests[-1].headers["x-own"] == "1"
            own.post(server.url + "/wp-json/mwai/v1/start_session", data=b"")
            assert server.connections == 1

    def test_close_unblocks_the_reader_with_an_http_session(self) -> None:
        def chat(peer: Peer, _: Received) -> None:
            peer.send(stream_head() + chunk(live("Hel")))
            peer.wait_for_close()

        with Server(site(chat)) as server, requests.Session() as own, Client(server.url, http=own) as client:
            assert read_until_closed(client) == ["Hel"]

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"site": "example.org"}, "web address"),
            ({"timeout": 0}, "above 0"),
            ({"max_event_size": 1}, "at least"),
            ({"bot_id": None}, "bot"),
            ({"headers": {"X-Bad": "a\nb"}}, "header"),
            ({"cookies": {"a": "b;c"}}, "cookie"),
            ({"proxy": "socks5://127.0.0.1:1"}, "chatgpt4online[socks]"),
        ],
        ids=str,
    )
    def test_wrong_option_raises_a_clear_error(
        self,
        options: dict[str, Any],
        words: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setitem(sys.modules, "python_socks", None)
        with pytest.raises(InvalidInput) as raised:
            with Client(**{"site": "http://127.0.0.1:9", **options}) as client:
                client.ask("Hi")
        assert words in str(raised.value).lower() or words in str(raised.value)

    def test_refused_connection_raises_after_its_retries(self) -> None:
        with Server(lambda peer: None) as server:
            url = server.url
        with Client(url, retries=1) as client, pytest.raises(ConnectionFailed) as raised:
            client.ask("Hi")
        assert raised.value.retryable
        name = url.removeprefix("http://")
        assert str(raised.value) == f"no connection to {name}: connection refused (after 2 tries)"

    def test_closed_client_raises_invalid_state(self) -> None:
        client = Client("http://127.0.0.1:9")
        client.close()
        client.close()
        with pytest.raises(InvalidState, match="closed"):
            client.stream("Hi")
        assert repr(client) == "<Client of http://127.0.0.1:9, closed>"


def test_module_functions_ask_and_stream() -> None:
    with Server(site(says(streamed(*HELLO)))) as server:
        reply = ask("Hi", site=server.url, timeout=30)
        assert isinstance(reply, Reply)
        assert str(reply) == "Hello"
        pieces = stream("Hi", site=server.url, bot_id="support")
        assert isinstance(pieces, Stream)
        assert list(pieces) == ["Hel", "lo"]
        assert pieces.reply.text == "Hello"
        assert server.requests[-1].json["botId"] == "support"


def test_notice_is_an_event_and_not_text() -> None:
    notice = live("Thinking...", subtype="thinking", visibility="collapsed", timestamp=1.5, metadata={"a": 1})
    with Server(site(says(streamed(notice, *HELLO)))) as server, Client(server.url) as client:
        events = list(client.events("Hi"))
        assert events[0] == Notice("thinking", "Thinking...", "collapsed", {"a": 1}, 1.5)
        assert list(client.stream("Hi")) == ["Hel", "lo"]


def test_json_answer_to_a_streamed_question_is_read() -> None:
    final = {"success": True, "reply": "Hello", "new_token": "9999999999"}
    with Server(site(says(json_response(final)))) as server, Client(server.url) as client:
        assert list(client.events("Hi"))[:-1] == [Text("Hello")]
        assert client.session.nonce == "9999999999"


def test_gzip_bomb_is_too_large() -> None:
    bomb = gzip.compress(b'{"success":true,"reply":"' + b"x" * 5_000_000)
    with Server(site(says(response(bomb, Content_Encoding="gzip")))) as server:
        with Client(server.url, max_body_size=100_000) as client, pytest.raises(Exception, match="larger than 100000"):
            client.ask("Hi")


def test_cookie_without_a_domain_is_sent_only_to_the_site() -> None:
    """``session.cookies.set("name", "value")`` makes such a cookie. For http.cookiejar it belongs to every host."""
    answer = stream_head() + chunk(live("Hi"), end("Hi")) + LAST_CHUNK
    with Server(site(says(answer)), host="127.0.0.2") as other:
        target = f"http://127.0.0.2:{other.port}/wp-json/mwai-ui/v1/chats/submit"
        moved = response(b"", "308 Permanent Redirect", Location=target)
        with Server(site(says(moved))) as first, requests.Session() as session:
            session.cookies.set("login", "secret")
            with Client(first.url, http=session) as client:
                assert client.ask("Hi").text == "Hi"
    assert all("login=secret" in request.headers["cookie"] for request in first.requests)
    assert other.requests
    assert not any("cookie" in request.headers for request in other.requests)


def count_calls(work: Callable[[], object]) -> Counter[str]:
    """Return how often each function was called, by its name, and the functions of each package, by its name."""
    calls: Counter[str] = Counter()

    def watch(frame: FrameType, event: str, function: Any) -> None:
        if event == "call":
            calls.update([frame.f_code.co_name, str(frame.f_globals.get("__name__")).partition(".")[0]])
        elif event == "c_call":
            calls[function.__name__] += 1

    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


class TestCosts:
    """The calls that once took most of the time of a question."""

    def test_new_client_prepares_no_place_for_each_idle_connection(self) -> None:
        with Server(site(says(streamed(*HELLO)))) as server:
            calls = count_calls(lambda: ask("Hi", site=server.url))
        assert 0 < calls["put"] < 20

    def test_head_and_body_of_a_question_are_sent_together(self) -> None:
        with Server(site(says(streamed(*HELLO)))) as server, Client(server.url) as client:
            client.ask("Hi")
            assert count_calls(lambda: client.ask("Hi"))["sendall"] == 1

    @pytest.mark.parametrize("total", [None, 60])
    def test_read_calls_neither_urllib3_nor_settimeout(self, total: float | None) -> None:
        gate = Gate()

        def chat(peer: Peer, _: Received) -> None:
            peer.send(stream_head())
            for text in ("One", "Two", "Three"):
                peer.send(chunk(live(text)))
                gate.wait()
            peer.send(chunk(end("OneTwoThree")) + LAST_CHUNK)

        timeout = Timeout(total=total)
        with Server(site(chat)) as server, Client(server.url, timeout=timeout) as client, client.stream("Hi") as pieces:
            assert next(pieces) == "One"
            gate.open()
            assert next(pieces) == "Two"
            gate.open()
            calls = count_calls(lambda: next(pieces))
            gate.open()
            assert list(pieces) == []
        assert calls["recv_into"] == 1
        assert calls["urllib3"] == 0
        assert calls["settimeout"] == (0 if total is None else 1)
