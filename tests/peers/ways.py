"""Situations between client and site: redirects, hosts, TLS, proxies, cookies, connections and time."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from ..support.behaviours import (
    HELLO,
    answering_before_the_body,
    close_now,
    headed,
    in_turn,
    redirect,
    reset_now,
    streamed,
    then_hang,
)
from ..support.server import Peer, Received, Server, chunk, live, response, session_response, site, stream_head
from .servers import (
    IPv6Server,
    Script,
    answer,
    answering,
    context_of_tls_1_2,
    for_credentials,
    for_host,
    pinned,
    proxied,
    secure,
    tunnelled,
)
from .situation import TIMEOUT, Outcome, Place, Situation, hello, says, served, tells

Handles = Callable[[Outcome], bool]

NOBODY = "http://127.0.0.1:9"  # no proxy listens on the discard port
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
# Set-Cookie values of real sites, each with a fault; browsers keep or ignore them.
ODD_COOKIES = (
    "a=1; expires=Fri, 31 February 2030 12:00:00 GMT",
    "b=2; expires=Tue, 07 Nov 94276 07:58:05 GMT",
    "d=4; Max-Age=abc",
    "e=5; Max-Age=99999999999999999999",
    "f=6; expires=0",
    "h=8; domain=.",
    "novalue",
    "i=9;;;;;",
    "k=1; Version=5",
    "wp[lang]=de",
    "l=1; expires=Thu, 32 Jan 2099 25:61:61 GMT",
)


def redirects() -> Iterator[Situation]:
    for status in ("308 Permanent Redirect", "307 Temporary Redirect", "301 Moved Permanently", "302 Found"):
        yield Situation("redirects", f"{status[:3]} with a slash", served(partial(_moved, status, suffix="/")), hello)
    yield Situation("redirects", "308 to another directory", served(partial(_moved, "308 Moved", "/blog")), hello)
    yield Situation("redirects", "307 to a directory in UTF-8", served(partial(_moved, "307 Moved", "/блог")), hello)
    yield Situation("redirects", "307 to another port of the host", partial(_other_server, "127.0.0.1"), hello)
    yield Situation("redirects", "307 to another name of the host", partial(_other_server, "localhost"), hello)
    yield Situation("redirects", "307 from http to https", _to_https, hello)
    locations = {
        "relative to the directory": lambda request: f"../{request.route}/x",
        "without a scheme": lambda request: f"//{request.headers['host']}{request.target}/x",
        "with a blank": lambda request: f"{request.target}/a b/x",
        "with a fragment": lambda request: f"{request.target}/x#top",
        "in blanks": lambda request: f"  {request.target}/x  ",
    }
    for name, location in locations.items():
        yield Situation("redirects", f"307 to a Location {name}", served(partial(_moved_to_x, location)), hello)
    long = partial(_moved_to_x, lambda request: f"{request.target}/x", b"<p>Moved</p>" * 25_000)
    yield Situation("redirects", "307 with a page of 300,000 bytes", served(long), hello)
    endless = served(lambda: answering(lambda request: False, lambda request: redirect("308 Moved", request.target)))
    yield Situation("redirects", "redirects without end", endless, tells())
    seen = response(b"", "307 Moved", Location="/wp-json/mwai-ui/v1/chats/submit", Set_Cookie="seen=1; path=/")
    yield Situation("redirects", "307 to itself with a cookie", served(in_turn(seen, streamed(*HELLO))), hello)


def _moved(status: str, prefix: str = "", suffix: str = "") -> Script:
    """Return a site that redirects to the address with the prefix and suffix, and that answers only POST there."""

    def has_arrived(request: Received) -> bool:
        return request.target.startswith(f"{quote(prefix)}/") and request.target.endswith(suffix)

    def refuse(request: Received) -> bytes:
        if has_arrived(request):
            return response(b"", "404 Not Found")
        return redirect(status, prefix + request.target + suffix)

    return answering(lambda request: has_arrived(request) and request.method == "POST", refuse)


def _moved_to_x(location: Callable[[Received], str], page: bytes = b"") -> Script:
    """Return a site that redirects each address once, to one that ends with /x."""

    def script(peer: Peer) -> None:
        for request in peer.requests():
            if request.target.endswith("/x"):
                peer.send(session_response() if "start_session" in request.target else streamed(*HELLO))
            else:
                peer.send(response(page, "307 Moved", Location=location(request)))

    return script


@contextmanager
def _redirecting_to(address: str) -> Iterator[Place]:
    moved = answering(lambda request: False, lambda request: redirect("307 Moved", address + request.target))
    with Server(moved) as old:
        yield Place(old.url)


@contextmanager
def _other_server(name: str) -> Iterator[Place]:
    with Server(answering()) as new, _redirecting_to(f"http://{name}:{new.port}") as place:
        yield place


@contextmanager
def _to_https() -> Iterator[Place]:
    with secure(answering()) as new, _redirecting_to(new.site) as place:
        yield replace(place, verify=new.verify)


def hosts() -> Iterator[Situation]:
    names = {
        "an underscore": ("my_site.example", "my_site.example"),
        "a sharp s": ("straße.example", "xn--strae-oqa.example"),
        "a final sigma": ("σας.example", "xn--mxa8ab.example"),
        "Cyrillic": ("пример.example", "xn--e1afmkfd.example"),
        "an umlaut": ("größe.example", "xn--gre-6ka8i.example"),
        "capital letters": ("Site.Example", "site.example"),
    }
    for name, (given, asked) in names.items():
        yield Situation("hosts", name, proxied(partial(for_host, asked), site=f"http://{given}"), hello)
    yield Situation("hosts", "an IPv6 address", _on_ipv6, hello)
    yield Situation("hosts", "a dot behind the name", proxied(answering, site="http://site.example."), hello)
    signed_in = partial(for_credentials, "user:p w", "authorization")
    spelt = partial(_spelt, "http://user:p%20w@{host}", signed_in)
    yield Situation("hosts", "a name and a password in the address", spelt, hello)
    in_directory = partial(_spelt, "http://{host}/блог", partial(_moved, "404 Not Found", "/блог"))
    yield Situation("hosts", "a directory in UTF-8", in_directory, hello)
    forms = {
        "a blank behind": "http://{host} ",
        "a line end behind": "http://{host}\n",
        "blanks around": " http://{host} ",
        "a slash behind": "http://{host}/",
    }
    for name, form in forms.items():
        yield Situation("hosts", f"{name} the address", partial(_spelt, form), hello)


@contextmanager
def _on_ipv6(**environment: str) -> Iterator[Place]:
    with IPv6Server(answering()) as server:
        yield Place(server.url, environment=environment)


@contextmanager
def _spelt(form: str, script: Callable[[], Script] = answering) -> Iterator[Place]:
    """Start a site; ``form`` gives its address for its host and port."""
    with Server(script()) as server:
        yield Place(form.format(host=f"{server.host}:{server.port}"))


def tls() -> Iterator[Situation]:
    def over_tls(name: str, opened: Callable[[], AbstractContextManager[Place]], handles: Handles = hello) -> Situation:
        return Situation("TLS", name, opened, handles)

    ragged = partial(_without_close_notify, UNTIL_CLOSE + b"".join(HELLO))
    cut = partial(_without_close_notify, UNTIL_CLOSE + live("Hel"))
    yield over_tls("verify= a path", lambda: secure(answering()))
    yield over_tls("no close_notify behind the end", lambda: secure(site(ragged)))
    yield over_tls("no close_notify before the end", lambda: secure(site(cut)), tells(text="Hel"))
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        trust = partial(_by_environment, variable)
        yield over_tls(f"{variable} names the authority", partial(secure, answering(), trust))
    yield over_tls(
        "a context that trusts the authority", lambda: secure(answering(), lambda _: {"verify": pinned("ours")})
    )
    yield over_tls("a context that trusts another authority", partial(secure, answering(), _other_context), tells())
    yield over_tls("TLS 1.2 alone", partial(secure, answering(), server_tls=context_of_tls_1_2))
    yield over_tls("an authority that nobody trusts", lambda: secure(answering(), lambda _: {}), tells())
    yield over_tls("https:// at a port without TLS", _plain_port, tells())


def _by_environment(variable: str, bundle: str) -> dict[str, object]:
    return {"environment": {variable: bundle}}


def _other_context(bundle: str) -> dict[str, object]:
    """Return a context that trusts another authority, while the environment names ours."""
    return {"verify": pinned("another"), "environment": {"REQUESTS_CA_BUNDLE": bundle}}


def _without_close_notify(data: bytes, peer: Peer, _request: Received) -> None:
    """Send the data and a FIN, without a close_notify before it."""
    peer.send(data)
    with socket.socket(fileno=os.dup(peer.socket.fileno())) as raw:
        raw.shutdown(socket.SHUT_WR)
    peer.wait_for_close()


def _refuse_tls(peer: Peer) -> None:
    """Send bytes that are not HTTP, as a server without TLS does."""
    peer.socket.recv(65_536)
    peer.send(response(b"", "400 Bad Request"))


@contextmanager
def _plain_port() -> Iterator[Place]:
    with Server(_refuse_tls) as server:
        yield Place(server.url.replace("http:", "https:"))


def proxies() -> Iterator[Situation]:
    replies = {
        "CONNECT answered with 200": b"HTTP/1.1 200 Connection established\r\n\r\n",
        "CONNECT answered in HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n",
        "CONNECT answered with 201": b"HTTP/1.1 201 Created\r\n\r\n",
        "CONNECT answered without a reason": b"HTTP/1.1 200\r\n\r\n",
        "CONNECT answered after 100": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "CONNECT answered after 103": b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "CONNECT answered with a length": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    }
    for name, reply in replies.items():
        yield Situation("proxies", name, partial(tunnelled, reply), hello)
    refused = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    established = replies["CONNECT answered with 200"]
    yield Situation("proxies", "CONNECT, from the environment", partial(tunnelled, established, "https_proxy"), hello)
    yield Situation("proxies", "CONNECT refused with 407", partial(tunnelled, refused), tells("407"))
    yield from _credentials()
    forms = {"no scheme": "127.0.0.1:{port}", "blanks around it": " http://127.0.0.1:{port} "}
    for name, form in {**forms, "a slash behind it": "http://127.0.0.1:{port}/"}.items():
        yield Situation("proxies", f"{name}, passed", proxied(answering, form), hello)
        yield Situation("proxies", f"{name}, from the environment", proxied(answering, form, by="http_proxy"), hello)
    for variable in ("HTTP_PROXY", "all_proxy"):
        yield Situation("proxies", f"named by {variable}", proxied(answering, by=variable), hello)
    yield Situation("proxies", "an empty http_proxy", served(answering, environment={"http_proxy": ""}), hello)
    yield Situation("proxies", "a proxy behind TLS", _proxy_behind_tls, hello)
    yield from _exemptions()


def _exemptions() -> Iterator[Situation]:
    for entry in ("::1", "[::1]", "::/64", "::1/128", "0:0:0:0:0:0:0:1"):
        exempt = partial(_on_ipv6, http_proxy=NOBODY, no_proxy=entry)
        yield Situation("proxies", f"no_proxy={entry}", exempt, hello)
    for entry in ("127.0.0.1", "127.0.0.0/8", "example.org, 127.0.0.1", "*"):
        environment = {"http_proxy": NOBODY, "no_proxy": entry}
        yield Situation("proxies", f"no_proxy={entry}", served(answering, environment=environment), hello)


@contextmanager
def _proxy_behind_tls() -> Iterator[Place]:
    with secure(answering(), _by_all_bundles) as proxy:
        yield replace(proxy, site="http://site.example", proxy=proxy.site)


def _by_all_bundles(bundle: str) -> dict[str, object]:
    return {"environment": {"SSL_CERT_FILE": bundle, "REQUESTS_CA_BUNDLE": bundle}}


def _credentials() -> Iterator[Situation]:
    pairs = {
        "a password of special characters": ("user", "p@ss#[:/?%&=+"),
        "a name with a blank and a backslash": ("dom\\us er", "~!$'()*,;"),
        "a Cyrillic password": ("user", "пароль"),
        "a Polish password": ("user", "Ęą1"),
        "a password with an umlaut": ("user", "größe"),
    }
    for name, (user, password) in pairs.items():
        form = f"http://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{{port}}"
        script = partial(for_credentials, f"{user}:{password}")
        yield Situation("proxies", name, proxied(script, form), hello)
    alone = proxied(partial(for_credentials, "key:"), "http://key@127.0.0.1:{port}")
    yield Situation("proxies", "a name without a password", alone, hello)
    raw = proxied(partial(for_credentials, "user:größe"), "http://user:größe@127.0.0.1:{port}", by="http_proxy")
    yield Situation("proxies", "a password with an umlaut, not percent-encoded", raw, hello)


def cookies() -> Iterator[Situation]:
    def cookie(name: str, accepts: Callable[[str], bool], *values: str) -> Situation:
        return Situation("cookies", name, served(partial(_cookie_site, accepts, values)), hello)

    kept = "mwai_session_id=abc; path=/"
    yield cookie("a cookie of the session", lambda sent: sent == "mwai_session_id=abc", kept)
    yield cookie("behind odd ones", lambda sent: "mwai_session_id=abc" in sent, *ODD_COOKIES, kept)
    yield cookie("brackets in a name", lambda sent: "wp[lang]=de" in sent, "wp[lang]=de; path=/", kept)
    yield cookie("a quoted value", lambda sent: sent == 'a="b c"', 'a="b c"; path=/')
    yield cookie("a value with an equals sign and a colon", lambda sent: sent == "a=b:c=d==", "a=b:c=d==; path=/")
    yield cookie("a value of JSON", lambda sent: sent == 'a={"b":1}', 'a={"b":1}; path=/')
    yield cookie("a value in UTF-8", lambda sent: sent.encode("latin-1") == "a=да".encode(), "a=да; path=/")
    yield cookie("a cookie for another path is not sent", lambda sent: "a=" not in sent, "a=1; path=/wp-admin", kept)
    yield cookie("an expired cookie is not sent", lambda sent: "a=" not in sent, "a=1; Max-Age=0; path=/", kept)
    yield cookie(
        "a cookie of another host is not sent", lambda sent: "a=" not in sent, "a=1; domain=example.org; path=/", kept
    )
    yield Situation("cookies", "a netrc file names the host", _with_netrc, hello)


def _cookie_site(accepts: Callable[[str], bool], values: tuple[str, ...]) -> Script:
    """Return a site that sets cookies with the nonce, and answers only questions with the right Cookie header."""
    lines = "".join(f"\r\nSet-Cookie: {value}" for value in values).encode()

    def script(peer: Peer) -> None:
        for request in peer.requests():
            if request.route == "start_session":
                peer.send(session_response().replace(b"\r\n", lines + b"\r\n", 1))
            elif accepts(request.headers.get("cookie", "")):
                peer.send(answer(request))
            else:
                peer.send(response(b"", "400 Bad Request"))

    return script


@contextmanager
def _with_netrc() -> Iterator[Place]:
    """Start a site for guests while a netrc file has a password for its host."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "netrc")
        file.write_text("machine 127.0.0.1\nlogin u\npassword p\n")
        with Server(answering(lambda request: "authorization" not in request.headers)) as server:
            yield Place(server.url, environment={"NETRC": str(file)})


def connections() -> Iterator[Situation]:
    def twice(name: str, script: Callable[[], Script], pause: float = 0.0) -> Situation:
        return Situation("connections", name, served(script, times=2, pause=pause), says("HelloHello"))

    def once(name: str, script: Callable[[], Script]) -> Situation:
        return Situation("connections", name, served(script), hello)

    yield twice("two questions", answering)
    yield twice("the second question closes a connection", in_turn(streamed(*HELLO), close_now, streamed(*HELLO)))
    yield twice("the second question resets a connection", in_turn(streamed(*HELLO), reset_now, streamed(*HELLO)))
    for name, farewell in {"closes": b"", "answers 408": response(b"", "408 Request Timeout")}.items():
        yield twice(
            f"an idle connection {name}", lambda farewell=farewell: partial(_idle_close, farewell), 4 * IDLE_SECONDS
        )
    yield once("Connection: close with the nonce", lambda: _closing_nonce)
    yield once("an answer before the question was read", lambda: answering_before_the_body)
    large = {"prompt": "x" * 20_000_000}
    for name, lingers in {"lingers": True, "closes at once": False}.items():
        opened = served(partial(partial, _refuse_early, lingers), **large)
        yield Situation("connections", f"413 before the question was read, and it {name}", opened, tells("413"))


IDLE_SECONDS = 0.15  # seconds until a server closes a kept connection; a client sends its second request much earlier


def _idle_close(farewell: bytes, peer: Peer) -> None:
    peer.socket.settimeout(IDLE_SECONDS)
    try:
        answering()(peer)
    except TimeoutError:
        peer.send(farewell)


def _closing_nonce(peer: Peer) -> None:
    for request in peer.requests():
        if request.route == "start_session":
            peer.send(session_response().replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            return
        peer.send(answer(request))


def _refuse_early(lingers: bool, peer: Peer) -> None:
    """Refuse a question after its head, and close; a server that lingers reads what still arrives."""
    with peer.socket.makefile("rb") as stream:
        while line := stream.readline():
            length = 0
            while field := stream.readline().strip():
                if field.lower().startswith(b"content-length:"):
                    length = int(field.partition(b":")[2])
            if b"start_session" not in line:
                break
            stream.read(length)
            peer.send(session_response())
        peer.send(response(b"too large", "413 Request Entity Too Large", Connection="close"))
        if lingers:
            peer.socket.shutdown(socket.SHUT_WR)
            peer.wait_for_close()
        else:
            time.sleep(0.1)  # the refusal arrives before the reset that unread data causes


def times() -> Iterator[Situation]:
    def slowly(name: str, pieces: Callable[[], Iterator[bytes]], seconds: float, handles: Handles = hello) -> Situation:
        return Situation("time", name, served(lambda: site(partial(_drip, pieces, seconds))), handles)

    head = headed()
    yield slowly("the head drips and ends", lambda: _bytes_of(head), 0.005)
    yield slowly("the head drips without end", lambda: _endless(b"HTTP/1.1 200 OK\r\nX-Note: ", b"x"), 0.2, tells())
    interim = b"HTTP/1.1 102 Processing\r\n\r\n"
    yield slowly("interim answers without end", lambda: _endless(b"", interim), 0.2, tells())
    beats = [stream_head(), *[chunk(b": ping\n\n")] * BEATS, streamed(*HELLO).partition(b"\r\n\r\n")[2]]
    yield slowly("comments for longer than the limit", lambda: iter(beats), 2 * TIMEOUT / BEATS)
    yield slowly("a pause behind the head", lambda: iter([stream_head(), chunk(*HELLO)]), TIMEOUT / 2)
    silent = served(then_hang())
    yield Situation("time", "it never answers", silent, tells())
    yield Situation(
        "time", "the answer stops", served(then_hang(stream_head() + chunk(live("Hel")))), tells(text="Hel")
    )
    yield Situation("time", "the connection stays open", served(then_hang(stream_head() + chunk(*HELLO))), hello)


BEATS = 8  # bytes or lines; the time between two is a fraction of TIMEOUT


def _drip(pieces: Callable[[], Iterator[bytes]], seconds: float, peer: Peer, _request: Received) -> None:
    for piece in pieces():
        peer.send(piece)
        time.sleep(seconds)


def _bytes_of(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def _endless(first: bytes, again: bytes) -> Iterator[bytes]:
    """Yield pieces until the client or the end of the situation closes the connection."""
    yield first
    while True:
        yield again
