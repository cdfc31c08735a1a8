"""Networks, servers and proxies of every kind: both clients have the same outcome, with the same words."""

import asyncio
import base64
import gc
import gzip
import logging
import socket
import ssl
import sys
import threading
import zlib
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from chatgpt4online import (
    AsyncClient,
    ChatError,
    Client,
    ConnectionFailed,
    InvalidInput,
    StatusError,
    TimedOut,
    Timeout,
    TooLarge,
    Truncated,
)

from ..support.adapters import ADAPTERS, Ask, read_until_closed
from ..support.behaviours import HELLO, WHOLE, headed, streamed, then_close
from ..support.server import (
    LAST_CHUNK,
    Peer,
    Received,
    Script,
    Server,
    chunk,
    response,
    says,
    session_response,
    site,
    stream_head,
)

VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
QUICK: dict[str, Any] = {"timeout": 1, "retries": 0}
MANY = 130  # threads; more than the connections that urllib3 keeps by default, and than a service usually has

both = pytest.mark.parametrize("ask", ADAPTERS.values(), ids=ADAPTERS)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the proxies and certificate authorities of this machine from the environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def failure(ask: Ask, url: str, **options: Any) -> ChatError:
    """Return the error of one question, whenever it is raised."""
    try:
        seen = ask(url, "stream", **(QUICK | options))
    except ChatError as error:
        return error
    assert seen.error is not None, seen.text
    return seen.error


# -- Answers of servers ------------------------------------------------------------------------------------------------


def sends(*pieces: bytes) -> Callable[[], Script]:
    return lambda: site(says(*pieces))


def then_reset(*pieces: bytes) -> Callable[[], Script]:
    """Return a site that sends this, and resets the connection once the client has received it."""

    def chat(peer: Peer, _: Received) -> None:
        peer.send(*pieces)
        with suppress(OSError):
            peer.socket.settimeout(0.3)
            peer.socket.recv(1)
        peer.reset()

    return lambda: site(chat)


def drips(*pieces: bytes, head: bytes = b"", times: int = 40) -> Callable[[], Script]:
    """Return a site that sends a piece every tenth of a second."""

    def chat(peer: Peer, _: Received) -> None:
        peer.send(head)
        pause = threading.Event()
        for number in range(times):
            peer.send(pieces[min(number, len(pieces) - 1)])
            pause.wait(0.1)

    return lambda: site(chat)


@dataclass
class Row:
    """A server, and the error that both clients raise. ``words`` are parts of its message."""

    name: str
    make: Callable[[], Script]
    error: type[Exception]
    words: str = ""
    text: str = ""
    retryable: bool | None = False
    options: dict[str, Any] = field(default_factory=dict)


UNCHUNKED = "the body is not chunked, although the head of the response says so"
BOMB = gzip.compress(HELLO[0] + b":" + bytes(40_000_000) + b"\n")

ROWS = [
    # Connections
    Row(
        "reset before the head",
        then_reset(),
        ConnectionFailed,
        "submit failed: connection reset by peer",
        retryable=True,
    ),
    Row("reset in the head", then_reset(b"HTTP/1.1 200 OK\r\nX: y"), ConnectionFailed, "failed: connection reset by"),
    Row(
        "reset in the body",
        then_reset(stream_head(), chunk(HELLO[0])),
        ConnectionFailed,
        "failed: connection reset by peer",
        text="Hel",
    ),
    Row(
        "closed before the head",
        then_close(),
        ConnectionFailed,
        "the connection was closed before the response",
        retryable=True,
    ),
    Row(
        "closed in the head",
        then_close(b"HTTP/1.1 200 OK\r\nContent-Ty"),
        ConnectionFailed,
        "the connection was closed within the head of the response",
    ),
    # Heads
    Row(
        "not HTTP",
        sends(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        ConnectionFailed,
        "the answer is not HTTP/1.1: it begins with b'SSH-2.0-OpenSSH_9.2'",
    ),
    Row("1,100 lines", sends(headed(*[b"A: b"] * 1100)), ConnectionFailed, "the head has more than 1000 lines"),
    Row(
        "300,000 bytes of head",
        sends(headed(b"A: " + b"x" * 300_000)),
        ConnectionFailed,
        "the head is larger than 262144 bytes",
    ),
    Row(
        "101 interim responses",
        sends(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 101 + streamed(*HELLO)),
        ConnectionFailed,
        "more than 100 interim responses came",
    ),
    Row(
        "101",
        sends(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        ConnectionFailed,
        "the server changes to another protocol",
    ),
    Row(
        "two lengths",
        sends(headed(b"Content-Length: 5", b"Content-Length: 6", body=b"")),
        ConnectionFailed,
        "Content-Length has contradictory values: b'5, 6'",
    ),
    *(
        Row(
            f"a length of {length.decode()}",
            sends(headed(b"Content-Length: " + length, body=b"")),
            ConnectionFailed,
            "Content-Length is not a number",
        )
        for length in (b"5x", b"-5", b"+5", b"0x5")
    ),
    Row(
        "an unknown transfer coding",
        sends(headed(b"Transfer-Encoding: gzip, chunked", body=b"")),
        ConnectionFailed,
        "the Transfer-Encoding cannot be read",
    ),
    Row(
        "a space before the colon",
        sends(headed(b"Transfer-Encoding : chunked", body=b"")),
        ConnectionFailed,
        "the header Transfer-Encoding is malformed",
    ),
    # Bodies
    Row(
        "204 that is chunked",
        sends(headed(b"Transfer-Encoding: chunked", status=b"HTTP/1.1 204 No Content", body=b"")),
        Truncated,
        retryable=None,
    ),
    Row(
        "304 that is chunked",
        sends(headed(b"Transfer-Encoding: chunked", status=b"HTTP/1.1 304 Not Modified", body=b"")),
        StatusError,
        retryable=None,
    ),
    Row("chunked, and is not", sends(stream_head() + WHOLE), ConnectionFailed, UNCHUNKED),
    Row(
        "a chunk size that ends in LF",
        sends(stream_head() + b"%x\n%b\n0\n\n" % (len(WHOLE), WHOLE)),
        ConnectionFailed,
        UNCHUNKED,
    ),
    Row("a chunk size with 0x", sends(stream_head() + b"0x5\r\nhello\r\n"), ConnectionFailed, UNCHUNKED),
    Row("a chunk size below zero at the start", sends(stream_head() + b"-5\r\nhello\r\n"), ConnectionFailed, UNCHUNKED),
    *(
        Row(
            f"{name} after a chunk",
            sends(stream_head() + chunk(HELLO[0]) + junk),
            Truncated,
            "stopped before its end",
            text="Hel",
            retryable=None,
        )
        for name, junk in {
            "letters": b"zz\r\n" + WHOLE,
            "a chunk size below zero": b"-5\r\nhello\r\n",
            "a chunk size with an underscore": b"1_0\r\n0123456789abcdef\r\n",
            "a chunk size with spaces before it": b"  5\r\nhello\r\n",
            "a blank line": b"\r\n" + chunk(HELLO[1]),
            "a line of 300,000 bytes": b"5;" + b"x" * 300_000,
        }.items()
    ),
    Row(
        "a chunk that is longer than its size",
        sends(stream_head() + chunk(HELLO[0]) + b"%x\r\n%bXX" % (len(HELLO[1]), HELLO[1]) + chunk(HELLO[2])),
        Truncated,
        text="Hello",
        retryable=None,
    ),
    # Encodings
    *(
        Row(
            f"Content-Encoding: {coding}",
            sends(response(WHOLE, Content_Encoding=coding)),
            ConnectionFailed,
            f"the body has the content coding {named}, which the request did not accept",
        )
        for coding, named in {"br": "br", "gzip, ZSTD": "zstd", "identity, br, compress": "br, compress"}.items()
    ),
    Row(
        "gzip that is not gzip",
        sends(response(WHOLE, Content_Encoding="gzip")),
        ConnectionFailed,
        "the compressed body is corrupt",
    ),
    Row(
        "a gzip bomb after an event",
        sends(response(BOMB, Content_Encoding="gzip")),
        TooLarge,
        "bytes of the body decode to more than 16777216 bytes",
        text="Hel",
        retryable=None,
        options={"timeout": 30},
    ),
    # Limits
    Row("a head that drips", drips(b"x", head=b"HTTP/1.1 200 OK\r\nX: "), TimedOut, "first_byte"),
    Row("interim responses that drip", drips(b"HTTP/1.1 103 Early Hints\r\n\r\n"), TimedOut, "first_byte"),
    Row("a chunk extension that drips", drips(b"5;", b"x", head=stream_head()), TimedOut, "idle"),
    Row("trailers that drip", drips(b"0\r\nX: ", b"x", head=stream_head() + chunk(HELLO[0])), TimedOut, "idle", "Hel"),
    Row(
        "a body that drips for longer than the total",
        drips(b":", head=stream_head("")),
        TimedOut,
        "total",
        options={"timeout": Timeout(total=1.5)},
    ),
    Row(
        "a head that drips for longer than the total",
        drips(b"x", head=b"HTTP/1.1 200 OK\r\nX: "),
        TimedOut,
        "total",
        options={"timeout": Timeout(total=1.5)},
    ),
]


@both
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_both_clients_raise_the_same_error_with_the_same_words(ask: Ask, row: Row) -> None:
    with Server(row.make()) as server:
        error = failure(ask, server.url, **row.options)
        assert server.seen() == ["start_session", "submit"]
    assert type(error) is row.error, repr(error)
    assert row.words in str(error)
    assert error.partial_text == row.text
    assert getattr(error, "retryable", None) == row.retryable


ANSWERS = {
    "no coding in Content-Encoding": sends(response(WHOLE, Content_Encoding="identity, none, utf-8")),
    "gzip named twice": sends(response(gzip.compress(WHOLE), Content_Encoding="gzip, gzip")),
    "deflate in gzip": sends(response(gzip.compress(zlib.compress(WHOLE)), Content_Encoding="deflate, gzip")),
    "identity between them": sends(response(gzip.compress(WHOLE), Content_Encoding="identity,, gzip ,identity")),
    "a length and identity": sends(headed(b"Transfer-Encoding: identity")),
    "100 interim responses": sends(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100 + streamed(*HELLO)),
    "500 headers": sends(headed(*(b"X-%d: y" % number for number in range(500)))),
    "malformed lines": sends(headed(b"no colon", b" its continuation", b"X y: z", b": nothing", b"X: \0")),
    "blank lines before the head": sends(b"\r\n\n\r\n" + headed()),
    "an extension for each chunk": sends(
        stream_head() + b"".join(b'%x; a="b"\r\n%b\r\n' % (len(piece), piece) for piece in HELLO) + LAST_CHUNK
    ),
    "500 trailers": sends(stream_head() + chunk(*HELLO) + b"0\r\n" + b"X: y\r\n" * 500 + b"\r\n"),
    "a body that drips for longer than the idle limit": drips(
        *[b":"] * 15, b"\n" + WHOLE, head=stream_head(f"Content-Length: {16 + len(WHOLE)}"), times=16
    ),
    "chunks that drip after the last event": drips(chunk(b"x"), head=stream_head() + chunk(*HELLO)),
    "a megabyte after the last event": sends(stream_head() + chunk(*HELLO), *[chunk(b"x" * 1000)] * 1000),
}


@both
@pytest.mark.parametrize("name", ANSWERS)
def test_both_clients_read_the_same_answer(ask: Ask, name: str) -> None:
    with Server(ANSWERS[name]()) as server:
        seen = ask(server.url, "stream", **QUICK)
    assert (seen.error, seen.text) == (None, "Hello")


def ask_twice(url: str) -> None:
    with Client(url) as client:
        assert [client.ask("Hi").text for _ in range(2)] == ["Hello"] * 2


def ask_twice_async(url: str) -> None:
    async def ask() -> None:
        async with AsyncClient(url) as client:
            assert [(await client.ask("Hi")).text for _ in range(2)] == ["Hello"] * 2

    asyncio.run(ask())


@pytest.mark.parametrize("ask", [ask_twice, ask_twice_async], ids=ADAPTERS)
@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        (headed(), 1),
        (streamed(*HELLO), 1),
        (headed() + b"HTTP/1.1 200 OK\r\n", 2),
        (streamed(*HELLO) + b"0\r\n\r\n", 2),
        (headed() + b"\r\n", 2),
    ],
    ids=["nothing", "nothing, chunked", "half a head", "another last chunk", "a blank line"],
)
def test_connection_with_bytes_left_over_is_not_used_again(
    ask: Callable[[str], None], answer: bytes, connections: int
) -> None:
    """The bytes would be read as the beginning of the next response."""
    with Server(site(lambda peer, _: peer.send(answer))) as server:
        ask(server.url)
        assert server.connections == connections


@both
@pytest.mark.parametrize(
    ("timeout", "clock"), [(Timeout(connect=30, first_byte=1), "first_byte"), (Timeout(total=1), "total")]
)
def test_upload_that_the_server_does_not_receive_times_out(ask: Ask, timeout: Timeout, clock: str) -> None:
    def script(peer: Peer) -> None:
        next(peer.requests())
        peer.send(session_response())
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        threading.Event().wait(2.5)

    big = "x" * 15_000_000
    with Server(script) as server:
        error = failure(ask, server.url, prompt=big, timeout=timeout)
    assert isinstance(error, TimedOut)
    assert error.clock == clock
    del error
    gc.collect()  # since Python 3.13, an error of a finalizer is reported, and pytest makes the test fail


def ask_each(url: str, prompts: list[str]) -> list[int]:
    """Return the status of each refusal, and 200 for an answer."""
    statuses = []
    with Client(url, **QUICK) as client:
        for prompt in prompts:
            try:
                client.ask(prompt)
                statuses.append(200)
            except StatusError as error:
                statuses.append(error.status)
    return statuses


def ask_each_async(url: str, prompts: list[str]) -> list[int]:
    async def ask() -> list[int]:
        statuses = []
        async with AsyncClient(url, **QUICK) as client:
            for prompt in prompts:
                try:
                    await client.ask(prompt)
                    statuses.append(200)
                except StatusError as error:
                    statuses.append(error.status)
        return statuses

    return asyncio.run(ask())


@pytest.mark.parametrize("ask", [ask_each, ask_each_async], ids=ADAPTERS)
@pytest.mark.parametrize("head", ["", "Connection: close\r\n"])
def test_refusal_of_an_upload_is_read_before_the_whole_upload_is_sent(
    ask: Callable[[str, list[str]], list[int]], head: str
) -> None:
    """The connection is not used again, since the server still expects the rest of the upload."""
    refusal = response(b"Too big", "413 Payload Too Large").replace(b"\r\n", b"\r\n" + head.encode(), 1)

    def script(peer: Peer) -> None:
        if peer.server.connections > 1:
            site(says(streamed(*HELLO)))(peer)
            return
        next(peer.requests())
        peer.send(session_response())
        peer.socket.recv(1_000)
        peer.send(refusal)
        threading.Event().wait(4)

    with Server(script) as server:
        assert ask(server.url, ["x" * 8_000_000, "Hi"]) == [413, 200]
        assert server.connections == 2


# -- Ways to a server --------------------------------------------------------------------------------------------------


def relay(peer: Peer, host: str, port: int) -> None:
    """Copy bytes between a client and a server until one of them closes."""
    far = socket.create_connection((host, port))

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError, ValueError):
            while data := source.recv(65_536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    back = threading.Thread(target=carry, args=(far, peer.socket), daemon=True)
    back.start()
    carry(peer.socket, far)
    back.join(10)
    far.close()


def read_head(peer: Peer) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += peer.socket.recv(1)
    return head


def http_proxy(heads: list[bytes], interim: bytes = b"HTTP/1.1 102 Processing\r\n\r\n") -> Script:
    """Return an HTTP proxy for tunnels."""

    def script(peer: Peer) -> None:
        heads.append(read_head(peer))
        host, _, port = heads[-1].split()[1].decode().rpartition(":")
        peer.send(interim + b"HTTP/1.1 299\r\nContent-Length: 9\r\n\r\n")
        relay(peer, host.strip("[]"), int(port))

    return script


def socks_proxy(heads: list[bytes]) -> Script:
    """Return a SOCKS5 proxy that resolves names."""

    def script(peer: Peer) -> None:
        read = peer.socket.makefile("rb", buffering=0).read
        read(read(2)[1])
        peer.send(b"\x05\x00")
        kind = read(4)[3]
        host = socket.inet_ntoa(read(4)) if kind == 1 else read(read(1)[0]).decode()
        port = int.from_bytes(read(2), "big")
        heads.append(host.encode())
        peer.send(b"\x05\x00\x00\x01\0\0\0\0\0\0")
        relay(peer, host, port)

    return script


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    return certified(authority, "127.0.0.1")


def certified(authority: trustme.CA, *names: str, **options: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names, **options).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """Return a context that trusts one authority."""
    return ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())


WAYS = ["direct", "http", "https", "socks5h"]


def way_to(stack: ExitStack, way: str, tls: ssl.SSLContext, heads: list[bytes]) -> dict[str, Any]:
    """Return the options of a client for one way to a server: direct, through a proxy, with or without TLS."""
    if way == "direct":
        return {}
    if way == "socks5h":
        pytest.importorskip("python_socks")
    proxy = Server(socks_proxy(heads) if way == "socks5h" else http_proxy(heads), tls=tls if way == "https" else None)
    stack.enter_context(proxy)
    return {"proxy": f"{way}://127.0.0.1:{proxy.port}"}


@both
@pytest.mark.parametrize("way", WAYS)
def test_context_of_the_caller_is_used_and_not_changed(
    ask: Ask, way: str, tls: ssl.SSLContext, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(bundle)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    context = trusting(authority)
    heads: list[bytes] = []
    with ExitStack() as stack:
        options = way_to(stack, way, tls, heads)
        server = stack.enter_context(Server(site(says(streamed(*HELLO))), tls=tls))
        seen = ask(server.url, verify=context, **QUICK, **options)
    assert (seen.error, seen.text) == (None, "Hello")
    assert bool(heads) == (way != "direct")
    assert context.cert_store_stats()["x509_ca"] == 1


@both
@pytest.mark.parametrize("way", WAYS)
def test_context_that_trusts_another_authority_refuses_the_server(
    ask: Ask, way: str, tls: ssl.SSLContext, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment trusts the server, but the context of the caller does not."""
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    pinned = trusting(trustme.CA())
    with ExitStack() as stack:
        options = way_to(stack, way, tls, [])
        server = stack.enter_context(Server(site(says(streamed(*HELLO))), tls=tls))
        error = failure(ask, server.url, verify=pinned, **options)
    assert isinstance(error, ConnectionFailed)
    assert "unknown issuer" in str(error)
    assert not error.retryable
    assert pinned.cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize("way", WAYS)
def test_close_from_another_thread_works_with_every_kind_of_connection(
    way: str, tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    """TLS inside TLS has no socket of its own to shut down."""

    def chat(peer: Peer, _: Received) -> None:
        peer.send(stream_head() + chunk(HELLO[0]))
        peer.wait_for_close()

    with ExitStack() as stack:
        options = way_to(stack, way, tls, [])
        server = stack.enter_context(Server(site(chat), tls=tls))
        client = stack.enter_context(Client(server.url, verify=trusting(authority), **options))
        assert read_until_closed(client) == ["Hel"]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@both
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_site_that_is_down_is_named(ask: Ask, scheme: str) -> None:
    port = closed_port()
    error = failure(ask, f" {scheme}://127.0.0.1:{port} ")
    assert str(error) == f"no connection to 127.0.0.1:{port}: connection refused"
    assert isinstance(error, ConnectionFailed)
    assert error.retryable


@both
@pytest.mark.parametrize("form", ["{}", " {} ", "http://{}", "http://us%65r:secret@{}", "https://user:secret@{}",
                                  "socks5://user:secret@{}", "socks4://{}", "socks5h://{}"])  # fmt: skip
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_is_down_is_named_without_its_password(ask: Ask, form: str, scheme: str) -> None:
    if "socks" in form:
        pytest.importorskip("python_socks")
    port = closed_port()
    error = failure(ask, f"{scheme}://site.example", proxy=form.format(f"127.0.0.1:{port}"))
    place = f"site.example:{443 if scheme == 'https' else 80}"
    assert str(error) == f"no connection to {place} through the proxy 127.0.0.1:{port}: connection refused"
    assert isinstance(error, ConnectionFailed)
    assert error.retryable


@both
@pytest.mark.parametrize(
    ("answer", "words", "retryable"),
    [
        (
            b"HTTP/1.1 407 Who are you\r\n\r\n",
            "the proxy {0} refused the connection to site.example:443: 407 Who are",
            False,
        ),
        (b"HTTP/1.1 403\r\n\r\n", "the proxy {0} refused the connection to site.example:443: 403", False),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "the proxy {0} refused the connection to site.example:443: 503 Busy", True),
        (b"", "the proxy {0} closed the connection", True),
        (b"SSH-2.0\r\n\r\n", "the proxy {0} did not answer in HTTP: the answer is not HTTP/1.1", True),
        (b"HTTP/1.1 101 No\r\n\r\n", "the proxy {0} did not answer in HTTP: the server changes to another", True),
        (b"HTTP/1.1 200 OK\r\n\r\n220 smtp\r\n", "no connection to site.example:443: site.example:443 does not", False),
    ],
)
def test_refusal_of_a_proxy_is_reported(ask: Ask, answer: bytes, words: str, retryable: bool) -> None:
    def script(peer: Peer) -> None:
        read_head(peer)
        peer.send(answer)
        if answer:
            peer.wait_for_close()

    with Server(script) as proxy:
        error = failure(ask, "https://site.example", proxy=f"http://user:secret@127.0.0.1:{proxy.port}")
        assert words.format(f"127.0.0.1:{proxy.port}") in str(error)
    assert isinstance(error, ConnectionFailed)
    assert error.retryable is retryable
    assert "secret" not in repr(error)


@both
@pytest.mark.parametrize(
    ("userinfo", "credentials"),
    [
        ("user:pass", "user:pass"),
        ("user", "user:"),
        ("us%40r:p%3Ass", "us@r:p:ss"),
        ("имя:пароль", "имя:пароль"),
        ("%D0%B8:%D0%BF", "и:п"),
        (":pass", ":pass"),
    ],
)
@pytest.mark.parametrize("by", ["option", "environment"])
def test_credentials_for_a_proxy_are_sent_in_utf_8(
    ask: Ask, userinfo: str, credentials: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(site(says(streamed(*HELLO)))) as proxy:
        address = f"http://{userinfo}@127.0.0.1:{proxy.port}"
        if by == "environment":
            monkeypatch.setenv("http_proxy", address)
        seen = ask("http://straße.example", **({"proxy": address} if by == "option" else {}))
        assert seen.text == "Hello"
    for request in proxy.requests:
        assert request.target.startswith("http://xn--strae-oqa.example/")
        assert request.headers["host"] == "xn--strae-oqa.example"
        assert request.headers["proxy-authorization"] == "Basic " + base64.b64encode(credentials.encode()).decode()


@both
def test_credentials_for_a_proxy_do_not_reach_the_server(ask: Ask, tls: ssl.SSLContext, authority: trustme.CA) -> None:
    heads: list[bytes] = []
    with Server(site(says(streamed(*HELLO))), tls=tls) as server, Server(http_proxy(heads)) as proxy:
        proxy_address = f"http://user:secret@127.0.0.1:{proxy.port}"
        assert ask(server.url, proxy=proxy_address, verify=trusting(authority)).text == "Hello"
        assert f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n".encode() in heads[0]
        assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=" in heads[0]
    assert not any("proxy-authorization" in request.headers for request in server.requests)


@both
@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "127.0.0.0/8", "10.0.0.0/8, ::ffff:1 127.0.0.1", "*"])
def test_server_in_no_proxy_is_asked_directly(ask: Ask, no_proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("no_proxy", no_proxy)
    with Server(site(says(streamed(*HELLO)))) as server:
        assert ask(server.url, **QUICK).text == "Hello"


@both
def test_credentials_in_netrc_are_not_sent(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Server(site(says(streamed(*HELLO)))) as server:
        assert ask(server.url).text == "Hello"
    assert not any("authorization" in request.headers for request in server.requests)


@both
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 on loopback")
def test_silent_address_leaves_time_for_the_next_address(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(Server(site(says(streamed(*HELLO))), host="127.0.0.2"))
        silent = stack.enter_context(socket.socket())
        silent.bind(("127.0.0.3", server.port))  # no other program takes ports there, as some do at 127.0.0.1
        silent.listen(0)
        for _ in range(3):  # the kernel accepts so many connections, and does not answer the next one
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(("127.0.0.3", server.port))
        usual = socket.getaddrinfo

        def found(host: str, port: int, *args: Any, **options: Any) -> Any:
            if host == "two.example":
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in (3, 2)]
            return usual(host, port, *args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", found)
        assert ask(f"http://two.example:{server.port}", **QUICK).text == "Hello"


# -- TLS ---------------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("default", "comes from an unknown issuer"),
        ("host", "is for another host; check the address"),
        ("expired", "has expired; its owner has to renew it"),
        ("empty", "empty.pem', which holds no readable certificates"),
        ("variable", "the environment variable SSL_CERT_FILE names '/nowhere', which does not exist"),
    ],
)
def test_untrusted_certificate_is_refused(
    ask: Ask,
    case: str,
    words: str,
    tls: ssl.SSLContext,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "empty.pem").touch()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    verify: str | bool = str(tmp_path / ("empty.pem" if case == "empty" else "ca.pem"))
    then = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC)
    if case == "host":
        tls = certified(authority, "site.example")
    elif case == "expired":
        tls = certified(authority, "127.0.0.1", not_before=then[0], not_after=then[1])
    elif case in ("default", "variable"):
        verify = True
    if case == "variable":
        monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    with Server(site(says(streamed(*HELLO))), tls=tls) as server:
        error = failure(ask, server.url, verify=verify)
    assert isinstance(error, ConnectionFailed)
    assert words in str(error)
    assert not error.retryable


@both
@pytest.mark.parametrize("name", VARIABLES[:1] + VARIABLES[2:])
def test_environment_variable_names_the_trusted_authorities(
    ask: Ask, name: str, tls: ssl.SSLContext, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv(name, str(tmp_path / "ca.pem"))
    with Server(site(says(streamed(*HELLO))), tls=tls) as server:
        assert ask(server.url, **QUICK).text == "Hello"


@both
@pytest.mark.parametrize(
    ("greeting", "words"),
    [
        (b"220 mail.example ESMTP\r\n", "does not use TLS; try http:// in its address"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not use TLS; try http:// in its address"),
        (b"", "closed the connection during the TLS handshake; check that it uses https://"),
    ],
)
def test_port_without_tls_is_reported(ask: Ask, greeting: bytes, words: str) -> None:
    def script(peer: Peer) -> None:
        peer.socket.recv(65_536)
        peer.send(greeting)
        if greeting:
            peer.wait_for_close()

    with Server(script) as server:
        error = failure(ask, f"https://127.0.0.1:{server.port}")
        assert str(error) == f"no connection to 127.0.0.1:{server.port}: 127.0.0.1:{server.port} {words}"


@both
def test_endless_tls_handshake_times_out(ask: Ask) -> None:
    with Server(lambda peer: peer.wait_for_close()) as server:
        error = failure(ask, f"https://127.0.0.1:{server.port}")
    assert isinstance(error, TimedOut)
    assert error.clock == "connect"


@both
@pytest.mark.parametrize("verify", ["", 0, None, "/nowhere", b"/tmp", []])
def test_wrong_verify_is_refused(ask: Ask, verify: object) -> None:
    assert isinstance(failure(ask, "https://site.example", verify=verify), InvalidInput)


# -- Many ------------------------------------------------------------------------------------------------------------


def test_many_threads_share_a_client_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    together = threading.Barrier(MANY)

    def chat(peer: Peer, _: Received) -> None:
        together.wait(30)
        peer.send(streamed(*HELLO))

    answers = []
    with caplog.at_level(logging.WARNING), Server(site(chat)) as server, Client(server.url, timeout=60) as client:
        threads = [threading.Thread(target=lambda: answers.append(client.ask("Hi").text)) for _ in range(MANY)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert answers == ["Hello"] * MANY
    assert not caplog.records
