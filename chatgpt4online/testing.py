"""A site on loopback: what AI Engine sites answer, said by a script of yours.

::

    with serve_site("Hello there!") as site, Client(site.url) as client:
        assert str(client.ask("Hi")) == "Hello there!"

It answers as the recorded sites do, to the byte: status, headers, framing and JSON (protocol sections 1, 2, 4 and 7).
What it does not have: logins, file uploads, discussions, the REST index, and models.
"""

from __future__ import annotations

import html
import json
import math
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import KW_ONLY, dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias
from urllib.parse import parse_qs

import h11

from .protocol.errors import InvalidInput, ServerError
from .protocol.events import Action, Block, Json, Notice, Shortcut, Text
from .protocol.wire import START_SESSION, SUBMIT

Piece: TypeAlias = str | Text | Notice | ServerError | bytes

_ALPHABET = "0123456789abcdefghijklmnopqrstuv"  # of PHP's session ids
_BLANK = " \n\r\t\v\0"  # what PHP's trim() takes away
_JSON = "application/json; charset=UTF-8"
_REJECTED = "Sorry, your query has been rejected."
_NO_ROUTE = "No route was found matching the URL and request method."
_FATAL = (
    '<p>There has been a critical error on this website.</p><p><a href="https://wordpress.org/support/article/'
    'faq-troubleshooting/">Learn more about troubleshooting WordPress.</a></p>'
)
_NO_CACHE = (("Expires", "Wed, 11 Jan 1984 05:00:00 GMT"), ("Cache-Control", "no-cache, must-revalidate, max-age=0"))
_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the site says to one question.

    ``pieces`` is a str (streamed word by word), one piece, or an iterable of pieces, each sent as soon as it is there:

    - ``str`` or ``Text``: a piece of the answer;
    - ``Notice``: what the site says while it works; without a ``visibility`` or ``timestamp`` it gets the usual one;
    - ``ServerError``: an ``error`` event with its message; unless that is empty, it is the last event;
    - ``bytes``: sent as they are, a PHP warning for example.

    The rest is for the final object (protocol section 2.4). ``reply`` is the final word, if it is not the trimmed text
    of the pieces. ``images`` (URLs) make it the answer of an image bot. ``usage`` is an estimate if not given, and
    ``response_id`` is random; ``""`` leaves it out.

    ``ending`` is ``"end"``; ``"fatal"`` for a PHP fatal (a 500, or a body that ends without a word once it has begun);
    or ``"cut"`` for a connection that closes in mid-body. With a ``status`` other than 200, something before the plugin
    refuses: pieces are then the body, HTML unless ``headers`` say otherwise; ``headers`` are for this only.

    Raises InvalidInput for values that no site could send.
    """

    pieces: Piece | Iterable[Piece] = ()
    _: KW_ONLY
    reply: str | None = None
    images: Sequence[str] | None = None
    actions: Sequence[Action] = ()
    shortcuts: Sequence[Shortcut] = ()
    blocks: Sequence[Block] = ()
    usage: Mapping[str, Any] | None = None
    response_id: str | None = None
    ending: Literal["end", "fatal", "cut"] = "end"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.pieces, str | Text | Notice | ServerError | bytes | Iterable):
            raise InvalidInput(f"an answer is a str, a piece or an iterable of pieces, not {self.pieces!r}")
        if self.ending not in ("end", "fatal", "cut"):
            raise InvalidInput(f"ending is 'end', 'fatal' or 'cut', not {self.ending!r}")
        if self.status not in set(HTTPStatus) or self.status < 200:
            raise InvalidInput(f"status is a final HTTP status, not {self.status!r}")

    def __iter__(self) -> Iterator[Piece]:
        """Yield the pieces, a str word by word."""
        if isinstance(self.pieces, str):
            yield from re.findall(r"\s*\S+|\s+\Z", self.pieces)
        elif isinstance(self.pieces, Text | Notice | ServerError | bytes):
            yield self.pieces
        else:
            yield from self.pieces


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it came: ``path`` with its query, ``headers`` with names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body, or None if it is no JSON."""
        with suppress(ValueError, RecursionError):
            return _decode(self.body)
        return None


@dataclass(frozen=True, slots=True)
class Chat:
    """A question that the site has accepted.

    ``bot_id`` is the bot that answers (``default`` for an unknown one on 3.x), ``messages`` the history before
    ``message``, and ``json`` the whole body, decoded.
    """

    message: str
    messages: list[Json]
    bot_id: str
    chat_id: str
    stream: bool
    json: Json


Said: TypeAlias = Piece | Iterable[Piece] | Answer
Script: TypeAlias = Said | Callable[[Chat], Said]


@dataclass(frozen=True, slots=True)
class _Version:
    """How a release differs: a key that is absent from ``reply`` or ``usage`` is not sent."""

    php_session: str | None  # a PHP session is opened where this is in the request's path
    reply: frozenset[str]
    usage: tuple[str, ...]
    params: str
    system: str
    plugin_url: str = "/wp-content/plugins/ai-engine"
    theme_css: bool = True
    session: bool = True  # start_session exists, and with it the cookie
    session_by_query: bool = True
    default_bot: bool = True  # it answers for an unknown one
    in_bytes: bool = False  # the unit of textInputMaxLength
    notices: bool = True
    instead: tuple[str, ...] = ("newFileId", "newFileIds", "shortcutId")  # of newMessage


_REPLY_2_4 = frozenset(("success", "reply", "images", "usage"))
_REPLY = _REPLY_2_4 | {"actions", "shortcuts", "blocks", "responseId", "new_token"}
_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")
_COMMON_PARAMS = (
    '{"aiName":"AI: ","userName":"User: ","guestName":"Guest: ","textSend":"Send","textClear":"Clear",%s'
    '"textInputPlaceholder":"Type your message...","textInputMaxLength":512,"textCompliance":"",'
    '"startSentence":"Hi! How can I help you?","localMemory":true,"themeId":"chatgpt","window":false,"icon":"",'
    '"iconText":"","iconTextDelay":1,"iconAlt":"AI Engine Chatbot","iconPosition":"bottom-right",%s"iconBubble":false,'
    '%s"fullscreen":false,"copyButton":false%s}'
)
_PARAMS = _COMMON_PARAMS % (
    '"imageUpload":false,"fileUpload":false,"multiUpload":false,"maxUploads":1,"fileUploads":0,"mode":"chat",',
    '"centerOpen":false,"width":"","openDelay":"",',
    '"windowAnimation":"zoom",',
    ',"pdfButton":false,"headerSubtitle":"Discuss with","containerType":"standard","headerType":"standard",'
    '"messagesType":"standard","inputType":"standard","footerType":"standard"',
)
_SYSTEM = (
    '{"stream":true,"debugMode":false,"eventLogs":false,"speech_recognition":false,"speech_synthesis":false,'
    '"typewriter":false,%s"actions":[],"blocks":[],"shortcuts":[]}'
)
# No page of 2.8.9 was recorded: its widget is that of 3.6.2 without what came later (protocol section 3.2).
_VERSIONS = {
    "3.6.2": _Version(
        "/mwai/v1/", _REPLY, (*_TOKENS, "price", "queries", "accuracy"), _PARAMS, _SYSTEM % '"crossSite":false,'
    ),
    "2.8.9": _Version(
        "",
        _REPLY,
        (*_TOKENS, "price", "queries"),
        _PARAMS,
        _SYSTEM % "",
        session_by_query=False,
        default_bot=False,
        instead=("newFileId",),
    ),
    "2.4.3": _Version(
        None,
        _REPLY_2_4,
        _TOKENS,
        _COMMON_PARAMS % ("", "", "", ""),
        '{"debugMode":true,"typewriter":false,"speech_recognition":false,"speech_synthesis":false,"stream":true}',
        plugin_url="/wp-content/plugins/ai-engine/",
        theme_css=False,
        session=False,
        default_bot=False,
        in_bytes=True,
        notices=False,
        instead=("newFileId",),
    ),
}


def serve_site(
    answer: Script | None = None,
    *,
    version: str = "3.6.2",
    bots: Iterable[str] = ("default",),
    max_length: int = 512,
    limit_after: int | None = None,
    pause: float = 0.0,
    port: int = 0,
) -> Site:
    """Return a site on 127.0.0.1 that is running; leave its ``with`` block, or call ``close()``, to stop it.

    ``answer`` is what it says: whatever ``Answer`` takes, an ``Answer``, or a callable that gets each ``Chat`` and
    returns one of these. An iterator is used up by the first chat. Without one, the site repeats the question.

    ``version`` is ``"3.6.2"``, ``"2.8.9"`` or ``"2.4.3"``: the releases that were recorded. ``bots`` have a widget each
    on the page at ``/``. ``max_length`` of a question is in characters (in bytes on 2.4.3). After
    ``limit_after`` chats, each is told that the limit is reached. ``pause`` is in seconds, between pieces. ``port`` 0
    takes a free one.

    Raises InvalidInput for values that cannot be used, and OSError for a port that is taken.
    """
    names = tuple(bots) if isinstance(bots, Iterable) and not isinstance(bots, str) else ()
    whole = isinstance(limit_after, int) and limit_after >= 0
    for name, value, good, wanted in (
        ("version", version, version in tuple(_VERSIONS), f"one of {', '.join(_VERSIONS)}"),
        ("bots", bots, names and all(isinstance(bot, str) and bot for bot in names), "a list of one name or more"),
        ("max_length", max_length, isinstance(max_length, int) and max_length >= 1, "a whole number, at least 1"),
        ("limit_after", limit_after, limit_after is None or whole, "None or a whole number, at least 0"),
        ("pause", pause, isinstance(pause, int | float) and 0 <= pause < math.inf, "a number of seconds"),
        ("port", port, isinstance(port, int) and 0 <= port <= 65535, "a whole number from 0 to 65535"),
    ):
        if not good:
            raise InvalidInput(f"{name} is {wanted}, not {value!r}")
    script: Script = (lambda chat: f"You said: {chat.message}") if answer is None else answer
    if not callable(script) and not isinstance(script, Answer):
        script = Answer(script)
    return Site(script, _VERSIONS[version], names, max_length, limit_after, pause, port)


class Site:
    """A running site, made by ``serve_site``; a context manager.

    ``url`` is its address. ``errors`` holds what a script raised, other than a ServerError (which is the site's own
    ``error``): the chat ended as PHP's fatal does, and the ``with`` block raises the first one when it is left. Clear
    the list to have it forgiven.

    When the client goes away, the script is closed; a real site would let its model finish.
    """

    def __init__(
        self,
        script: Script,
        version: _Version,
        bots: tuple[str, ...],
        max_length: int,
        limit_after: int | None,
        pause: float,
        port: int,
    ) -> None:
        self._script = script
        self._version = version
        self._bots = bots
        self._max_length = max_length
        self._limit_after = limit_after
        self._pause = pause
        self._chats = 0
        self._requests: list[ReceivedRequest] = []
        self.expire_nonce()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._connections: dict[threading.Thread, socket.socket] = {}
        self.errors: list[BaseException] = []
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._acceptor = threading.Thread(target=self._accept, name=f"site {self.url}", daemon=True)
        self._acceptor.start()

    def __repr__(self) -> str:
        return f"<Site {self.url} {'closed' if self._closing.is_set() else 'running'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()
        if error is None and self.errors:
            raise self.errors[0]

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The requests that came, oldest first."""
        with self._lock:
            return list(self._requests)

    @property
    def nonce(self) -> str:
        """The nonce that the site gives out now."""
        return self._nonces[0]

    def expire_nonce(self) -> None:
        """Make every nonce that was given out stale: 403 ``rest_cookie_invalid_nonce``."""
        nonce = secrets.token_hex(5)
        self._nonces = (nonce, nonce)  # this tick's and the previous one's

    def age_nonce(self) -> None:
        """Make the present nonce the previous tick's: valid still, and answered with a new one."""
        with self._lock:
            self._nonces = (secrets.token_hex(5), self._nonces[0])

    def close(self) -> None:
        """Close every connection and wait for their threads, at most 5 s for a script that hangs; may be repeated."""
        if not self._closing.is_set():
            self._closing.set()
            with suppress(OSError), socket.create_connection(self._listener.getsockname()):
                pass  # wakes accept(), which closing the listener would not do everywhere
        self._acceptor.join()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections.values():
            with suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + _CLOSE_SECONDS
        for thread in connections:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _accept(self) -> None:
        with self._listener:
            while True:
                connection, _ = self._listener.accept()
                if self._closing.is_set():
                    connection.close()
                    return
                thread = threading.Thread(target=self._serve, args=(connection,), name=self.url, daemon=True)
                with self._lock:
                    self._connections[thread] = connection
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            # A client that goes away ends its connection, and nothing else.
            with connection, suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                unread: bytes | None = b""
                while unread is not None:
                    unread = self._serve_request(connection, unread)
        finally:
            with self._lock:
                del self._connections[threading.current_thread()]

    def _serve_request(self, connection: socket.socket, unread: bytes) -> bytes | None:
        """Answer the next request; return what came after it, or None if the connection is at its end."""
        parser = h11.Connection(h11.SERVER)
        try:
            received = _receive(parser, connection, unread)
        except h11.RemoteProtocolError:
            _Response(connection).refuse(HTTPStatus.BAD_REQUEST)
            return None
        if received is None:
            return None
        request, version = received
        with self._lock:
            self._requests.append(request)
        response = _Response(connection, request.method, version, request.headers.get("connection", ""))
        _Exchange(self, request, response).answer()
        return parser.trailing_data[0] if response.keep_alive else None

    def _accept_chat(self) -> bool:
        """Count a chat; return whether it is within the limit."""
        with self._lock:
            self._chats += 1
            return self._limit_after is None or self._chats <= self._limit_after


def _receive(parser: h11.Connection, connection: socket.socket, unread: bytes) -> tuple[ReceivedRequest, bytes] | None:
    """Return a request and its HTTP version, or None if there are no more."""
    head: h11.Request | None = None
    body: list[bytes] = []
    if unread:
        parser.receive_data(unread)
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            if parser.they_are_waiting_for_100_continue:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                parser.send(h11.InformationalResponse(status_code=100, headers=[]))
            parser.receive_data(connection.recv(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
            request = ReceivedRequest(head.method.decode(), head.target.decode(), headers, b"".join(body))
            return request, head.http_version
        else:
            return None


class _Response:
    """A response on its way out. h11 would send its headers in another order than nginx."""

    def __init__(
        self, connection: socket.socket, method: str = "GET", version: bytes = b"1.0", wish: str = "close"
    ) -> None:
        self._connection = connection
        self._bodiless = method == "HEAD"
        self._chunked = version >= b"1.1"
        self.keep_alive = self._chunked and "close" not in wish.lower()
        self.started = False

    def start(
        self, status: int, content_type: str, headers: Iterable[tuple[str, str]], length: int | None = None
    ) -> None:
        """Send the head. Without a length the body is chunked (for HTTP/1.0, it ends with the connection)."""
        self._chunked = self._chunked and length is None
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            "Server: chatgpt4online.testing",
            f"Date: {formatdate(usegmt=True)}",
            f"Content-Type: {content_type}",
            *(["Transfer-Encoding: chunked"] if self._chunked else []),
            *([f"Content-Length: {length}"] if length is not None else []),
            f"Connection: {'keep-alive' if self.keep_alive else 'close'}",
            *(f"{name}: {value}" for name, value in headers),
        ]
        self._connection.sendall("\r\n".join([*lines, "\r\n"]).encode("latin-1"))
        self.started = True

    def write(self, *pieces: bytes) -> None:
        """Send pieces of the body, each as a chunk of its own."""
        data = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece for piece in pieces if piece)
        if not self._bodiless:
            self._connection.sendall(data)

    def end(self) -> None:
        """Send the end of a chunked body."""
        if self._chunked and not self._bodiless:
            self._connection.sendall(b"0\r\n\r\n")

    def refuse(self, status: HTTPStatus) -> None:
        """Send a refusal as nginx does, from before PHP."""
        body = f"<html>\r\n<head><title>{status.value} {status.phrase}</title></head>\r\n</html>\r\n".encode()
        self.start(status, "text/html", (), len(body))
        self.write(body)


class _Stop(Exception):
    """The script has no more to say: PHP died, or (``cut``) the connection did."""

    def __init__(self, cut: bool) -> None:
        super().__init__(cut)
        self.cut = cut


class _Exchange:
    """One request and its answer."""

    def __init__(self, site: Site, request: ReceivedRequest, response: _Response) -> None:
        self._site = site
        self._version = site._version
        self._request = request
        self._response = response
        self._nonces = site._nonces
        self._nonce = request.headers.get("x-wp-nonce")
        self._headers: list[tuple[str, str]] = []

    def answer(self) -> None:
        """Answer the request, in the order of WordPress's tests: nonce, route, JSON, permission."""
        path, _, rest = self._request.path.partition("?")
        query = parse_qs(rest).get("rest_route") if path in ("/", "/index.php") else None
        if query:
            self._answer_rest(query[-1], by_query=True)
        elif f"{path}/".startswith("/wp-json/"):
            self._answer_rest(path.removeprefix("/wp-json"), by_query=False)
        elif path in ("/", "/index.php"):
            self._headers = [
                self._api_link,
                ("Link", f'<{self._site.url}/wp-json/wp/v2/pages/4>; rel="alternate"; type="application/json"'),
                ("Link", f"<{self._site.url}/>; rel=shortlink"),
            ]
            self._say(200, self._page(), "text/html; charset=UTF-8")
        else:
            self._headers = [*_NO_CACHE, self._api_link]
            self._say(404, "<!doctype html><title>Page not found</title>\n", "text/html; charset=UTF-8")

    def _answer_rest(self, route: str, *, by_query: bool) -> None:
        self._open_rest()
        if self._nonce is not None and self._nonce not in self._nonces:
            for name, value in _NO_CACHE:
                self._replace(name, value)
            return self._deny(403, "rest_cookie_invalid_nonce", "Cookie check failed")
        if self._nonce is not None:
            self._headers.append(("X-WP-Nonce", self._nonces[0]))
        route = route.rstrip("/").lower()
        has_session = self._version.session and (self._version.session_by_query or not by_query)
        if self._request.method != "POST" or route not in {SUBMIT, START_SESSION if has_session else SUBMIT}:
            if self._request.method == "GET":
                self._headers.append(("Vary", "Origin"))
            return self._deny(404, "rest_no_route", _NO_ROUTE)
        cookie = self._session_cookie()
        problem = self._json_problem()
        if route == SUBMIT:
            return self._deny(400, *problem) if problem else self._answer_chat(cookie)
        return self._answer_session(cookie, problem)

    def _open_rest(self) -> None:
        """Put down the headers that every REST answer begins with."""
        marker = self._version.php_session
        if marker is not None and marker in self._request.path:
            if "PHPSESSID=" not in self._request.headers.get("cookie", ""):
                session = "".join(secrets.choice(_ALPHABET) for _ in range(26))
                self._headers.append(("Set-Cookie", f"PHPSESSID={session}; path=/"))
            self._headers += [
                ("Expires", "Thu, 19 Nov 1981 08:52:00 GMT"),
                ("Cache-Control", "no-store, no-cache, must-revalidate"),
                ("Pragma", "no-cache"),
            ]
        allowed = "Authorization, X-WP-Nonce, Content-Disposition, Content-MD5, Content-Type"
        self._headers += [
            ("X-Robots-Tag", "noindex"),
            self._api_link,
            ("X-Content-Type-Options", "nosniff"),
            ("Access-Control-Expose-Headers", "X-WP-Total, X-WP-TotalPages, Link"),
            ("Access-Control-Allow-Headers", allowed),
        ]

    @property
    def _api_link(self) -> tuple[str, str]:
        return "Link", f'<{self._site.url}/wp-json/>; rel="https://api.w.org/"'

    def _replace(self, name: str, value: str) -> None:
        """Set a header as PHP does: the former one goes, the new one comes last."""
        self._headers = [*(header for header in self._headers if header[0] != name), (name, value)]

    def _session_cookie(self) -> str | None:
        found = re.search(r"(?:^|;\s*)mwai_session_id=([^;]+)", self._request.headers.get("cookie", ""))
        return found[1] if found else None

    def _set_session_cookie(self, cookie: str | None) -> str:
        """Return the visitor's session id, which is set if it is new."""
        session = cookie or secrets.token_hex(7)[:13]
        if cookie is None and self._version.session:
            self._headers.append(("Set-Cookie", f"mwai_session_id={session}; path=/; HttpOnly"))
        return session

    def _is_json(self) -> bool:
        kind = self._request.headers.get("content-type", "").partition(";")[0].strip().lower()
        return re.fullmatch(r"application/(.+\+)?json", kind) is not None

    def _json_problem(self) -> tuple[str, str, Json] | None:
        if not self._is_json() or not self._request.body:
            return None
        try:
            _decode(self._request.body)
        except UnicodeDecodeError:
            number, message = 5, "Malformed UTF-8 characters, possibly incorrectly encoded"
        except RecursionError:
            number, message = 1, "Maximum stack depth exceeded"
        except ValueError:
            number, message = 4, "Syntax error"
        else:
            return None
        details = {"json_error_code": number, "json_error_message": message}
        return "rest_invalid_json", "Invalid JSON body passed.", details

    def _answer_session(self, cookie: str | None, problem: tuple[str, str, Json] | None) -> None:
        if problem:
            self._headers.append(("Allow", "POST"))
            return self._deny(400, *problem)
        session = self._set_session_cookie(cookie)
        self._headers.append(("Allow", "POST"))
        return self._say_json(
            200, {"success": True, "sessionId": session, "restNonce": self._nonces[0]} | self._token()
        )

    def _answer_chat(self, cookie: str | None) -> None:
        """Let the script answer, if the plugin's tests of the question let it (protocol section 1.4)."""
        if self._nonce is None:
            return self._deny(401, "rest_forbidden", "Sorry, you are not allowed to do that.")
        sent = self._request.json if self._is_json() else None
        fields: Json = sent if isinstance(sent, dict) else {}
        message = fields.get("newMessage")
        if isinstance(message, list | dict):  # for PHP's trim(), a TypeError
            return self._say_fatal()
        text = "" if message is None else str(message).strip(_BLANK)
        ids = [fields.get("customId"), fields.get("botId")]
        if not any(ids) or not (text or any(fields.get(key) for key in self._version.instead)):
            return self._refuse(_REJECTED, status=403)
        stream = fields.get("stream") not in (None, False, 0, "", "0", [], {})
        known = [name for name in ids if name in ("default", *self._site._bots)]
        size = len(text.encode(errors="surrogatepass")) if self._version.in_bytes else len(text)
        if not (known or self._version.default_bot) or size > self._site._max_length:
            if not stream:
                return self._refuse(_REJECTED)
            return self._say(200, _event({"type": "error", "data": _REJECTED}) + "\n\n")
        self._set_session_cookie(cookie)
        history = fields.get("messages")
        chat = Chat(
            message=text,
            messages=history if isinstance(history, list) else [],
            bot_id=known[0] if known else "default",
            chat_id=str(fields.get("chatId") or ""),
            stream=stream,
            json=fields,
        )
        return self._answer_with(self._ask_script(chat), chat)

    def _ask_script(self, chat: Chat) -> Answer:
        """Return the script's answer; where there is none, what stands for it."""
        if not self._site._accept_chat():
            return Answer(ServerError("You have reached the limit."))
        try:
            said = self._site._script
            if callable(said):
                said = said(chat)
            return said if isinstance(said, Answer) else Answer(said)
        except ServerError as error:
            return Answer(error)
        except BaseException as error:  # pytest's failures are no Exception
            self._site.errors.append(error)
            return Answer(ending="fatal")

    def _answer_with(self, answer: Answer, chat: Chat) -> None:
        with closing(self._pieces(answer)) as pieces:
            try:
                if answer.status != 200:
                    self._say_from_before_php(answer, pieces)
                elif chat.stream:
                    self._stream(answer, chat, pieces)
                else:
                    self._say_whole(answer, chat, pieces)
            except _Stop as stop:
                if stop.cut:
                    self._response.keep_alive = False
                elif self._response.started:
                    self._response.end()
                else:
                    self._say_fatal()

    def _pieces(self, answer: Answer) -> Generator[Piece, None, None]:
        """Yield the script's pieces; a script that breaks is noted in ``site.errors`` and ends as PHP's fatal does."""
        try:
            for number, piece in enumerate(answer):
                if number and self._site._closing.wait(self._site._pause):
                    raise _Stop(cut=True)
                if not isinstance(piece, str | Text | Notice | ServerError | bytes):
                    raise InvalidInput(f"a piece is a str, Text, Notice, ServerError or bytes, not {piece!r}")
                yield piece
        except (GeneratorExit, _Stop):
            raise
        except ServerError as error:
            yield error
        except BaseException as error:
            self._site.errors.append(error)
            raise _Stop(cut=False) from error
        if answer.ending != "end":
            raise _Stop(cut=answer.ending == "cut")

    def _stream(self, answer: Answer, chat: Chat, pieces: Iterable[Piece]) -> None:
        """Send each piece as an event; the head goes with the first one, as PHP sends it."""
        text: list[str] = []
        for piece in pieces:
            self._open_stream(answer)
            if isinstance(piece, bytes):
                self._response.write(piece)
            elif isinstance(piece, Notice):
                if self._version.notices:
                    self._send(_notice(piece))
            elif isinstance(piece, ServerError):
                self._send({"type": "error", "data": piece.message})
                if piece.message:
                    return self._response.end()
            else:
                text.append(piece.text if isinstance(piece, Text) else piece)
                self._send({"type": "live", "data": text[-1]})
        self._open_stream(answer)
        self._send({"type": "end", "data": _php(self._final(answer, chat, "".join(text)))})
        return self._response.end()

    def _open_stream(self, answer: Answer) -> None:
        if self._response.started:
            return
        kind = _JSON  # of an image bot (protocol section 2.5)
        if answer.images is None:
            kind = "text/event-stream;charset=UTF-8"
            self._replace("Cache-Control", "no-cache")
        self._response.start(200, kind, self._headers)

    def _send(self, event: Json) -> None:
        self._response.write(_event(event).encode(), b"\n\n")

    def _say_whole(self, answer: Answer, chat: Chat, pieces: Iterable[Piece]) -> None:
        """Send the final object alone, after whatever bytes the script has."""
        text: list[str] = []
        raw = b""
        for piece in pieces:
            if isinstance(piece, bytes):
                raw += piece
            elif isinstance(piece, ServerError):
                if piece.message:
                    return self._refuse(piece.message)
            elif not isinstance(piece, Notice):
                text.append(piece.text if isinstance(piece, Text) else piece)
        return self._say_json(200, self._final(answer, chat, "".join(text)), raw)

    def _say_from_before_php(self, answer: Answer, pieces: Iterable[Piece]) -> None:
        body = b""
        for piece in pieces:
            if isinstance(piece, bytes):
                body += piece
            else:
                body += (piece if isinstance(piece, str) else str(getattr(piece, "text", piece))).encode()
        headers = {name.title(): value for name, value in answer.headers.items()}
        kind = headers.pop("Content-Type", "text/html")
        self._response.start(answer.status, kind, headers.items(), len(body))
        self._response.write(body)

    def _final(self, answer: Answer, chat: Chat, text: str) -> Json:
        """Return the final object, with what this release has of it (protocol section 2.4)."""
        if answer.images is not None:
            text = "\n".join([text, *(f"![Image]({url})" for url in answer.images)])
        asked, said = (max(1, len(words) // 4) for words in (chat.message, text or " "))
        usage: Json = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
        usage |= {"price": None, "queries": 1, "accuracy": "estimated"}
        response_id = f"chatcmpl-{secrets.token_hex(8)}" if answer.response_id is None else answer.response_id
        final: Json = {
            "success": True,
            "reply": text.strip(_BLANK) if answer.reply is None else answer.reply,
            "images": None if answer.images is None else list(answer.images),
            "actions": [_tagged(action) for action in answer.actions],
            "shortcuts": [_tagged(shortcut) for shortcut in answer.shortcuts],
            "blocks": [_tagged(block) for block in answer.blocks],
            "usage": {key: usage[key] for key in self._version.usage} if answer.usage is None else dict(answer.usage),
            **({"responseId": response_id} if response_id else {}),
            **self._token(),
        }
        return {key: value for key, value in final.items() if key in self._version.reply}

    def _token(self) -> Json:
        """Return ``new_token`` for a nonce of the previous tick."""
        fresh = self._nonce in (None, self._nonces[0]) or "new_token" not in self._version.reply
        return {} if fresh else {"new_token": self._nonces[0]}

    def _deny(self, status: int, code: str, message: str, details: Json | None = None) -> None:
        """Send WordPress's own refusal (protocol section 4.2)."""
        self._say_json(status, {"code": code, "message": message, "data": {"status": status} | (details or {})})

    def _refuse(self, message: str, status: int = 500) -> None:
        """Send the plugin's refusal."""
        self._say_json(status, {"success": False, "message": message} | self._token())

    def _say_fatal(self) -> None:
        self._headers = list(_NO_CACHE)
        error = {"code": "internal_server_error", "message": _FATAL, "data": {"status": 500}, "additional_errors": []}
        self._say_json(500, error)

    def _say_json(self, status: int, value: Json, before: bytes = b"") -> None:
        self._say(status, before + _php(value).encode())

    def _say(self, status: int, body: str | bytes, content_type: str = _JSON) -> None:
        self._response.start(status, content_type, self._headers)
        self._response.write(body.encode() if isinstance(body, str) else body)
        self._response.end()

    def _page(self) -> str:
        """Return a page with a widget for each bot (protocol section 3)."""
        widgets = "\n".join(_widget(self._site, bot, self._nonces[0]) for bot in self._site._bots)
        return (
            '<!doctype html><html><head><meta charset="utf-8"><title>A site on loopback</title>\n'
            f'<link rel="https://api.w.org/" href="{self._site.url}/wp-json/" />\n'
            f"</head><body>\n{widgets}\n</body></html>\n"
        )


def _widget(site: Site, bot: str, nonce: str) -> str:
    version, plugin = site._version, site.url + site._version.plugin_url
    params = json.loads(version.params) | {"textInputMaxLength": site._max_length}
    system = {
        "botId": bot,
        "customId": None,
        "userData": None,
        "sessionId": None if version.default_bot else "N/A",
        "restNonce": None if version.session else nonce,
        "contextId": 4,
        "pluginUrl": plugin,
        "restUrl": f"{site.url}/wp-json",
        **json.loads(version.system),
    }
    theme = {"type": "internal", "name": "ChatGPT", "themeId": "chatgpt", "settings": [], "style": ""}
    if version.theme_css:
        theme["cssUrl"] = f"{plugin}/themes/chatgpt.css"
    data = {"params": params, "system": system, "theme": theme}
    attributes = (f" data-{name}='{html.escape(_php(value))}'" for name, value in data.items())
    return f"<div class='mwai-chatbot-container'{''.join(attributes)}></div>".replace("&#x27;", "&#039;")


def _decode(body: bytes) -> Any:
    """Return the value in a JSON body."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON for PHP")

    return json.loads(body.decode(), parse_constant=refuse)


def _php(value: Any) -> str:
    """Return the JSON of PHP's json_encode: ASCII, with escaped slashes and a raw DEL."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
    return re.sub(r"[^\x00-\x7f]", lambda character: json.dumps(character[0])[1:-1], text)


def _event(event: Json) -> str:
    return f"data: {_php(event)}"


def _notice(notice: Notice) -> Json:
    hidden, collapsed = ("tool_args", "debug", "heartbeat"), ("thinking", "mcp_discovery", "status")
    usual = "hidden" if notice.kind in hidden else "collapsed" if notice.kind in collapsed else "visible"
    return {
        "type": "live",
        "data": notice.text,
        "timestamp": round(time.time(), 6) if notice.timestamp is None else notice.timestamp,
        "subtype": notice.kind,
        "visibility": notice.visibility or usual,
        **({"metadata": notice.metadata} if notice.metadata else {}),
    }


def _tagged(part: Action | Shortcut | Block) -> Json:
    """Return a part of the final object; what is empty is left out, but for a function's arguments."""
    if isinstance(part, Action):
        is_call = part.kind == "function"
        data: Json = {"name": part.name, "args": part.args or []} if is_call else {"snippet": part.snippet}
    elif isinstance(part, Shortcut):
        data = {"label": part.label, "action": part.action, "message": part.message, "variant": part.variant}
        data |= {"icon": part.icon, "shortcutId": part.shortcut_id}
    else:
        data = {"id": part.id, "html": part.html, "script": part.script}
    return {"type": part.kind, "data": {key: value for key, value in data.items() if value or key == "args"}}
