"""Send the requests of the steps, and keep the answers."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from ... import ChatError, EventParser, Failed, Timeout, __version__
from .findings import Mask, without_login

if TYPE_CHECKING:
    from ...http1 import Pool, Response

_log = logging.getLogger("chatgpt4online")

_SECONDS = 30.0  # the longest wait for the head of an answer, and for its body, that needs no model
_MOST = 4 * 1024 * 1024  # bytes of a body that are read: large pages have about 1 MB
_MOST_HOPS = 6
_MOST_BEGINS = 100  # places where a JSON object may begin: a text with more of them would take minutes
_LEAST = 8  # characters of a cookie that names a visitor; shorter ones are settings, such as "true"
README = "/readme.txt"
_CREDENTIALS = {"authorization", "cookie", "proxy-authorization", "x-wp-nonce"}
_EVENT = re.compile(r"^data: ?\{\"type\"", re.MULTILINE)
_FIELD = re.compile(r"\s*(?:data|event|id|retry)?:")
_NAMED_SECRET = re.compile(rb"\"(?:restNonce|new_token|sessionId)\\?\"\s*:\s*\\?\"([^\"\\]+)")


class Unreachable(Exception):
    """A request got no answer.

    ``is_tls`` is true if the TLS handshake failed. ``reported_by`` is the step that has reported the error, or ``""``.
    """

    def __init__(self, reason: str, *, is_tls: bool = False) -> None:
        super().__init__(reason)
        self.is_tls = is_tls
        self.reported_by = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request. ``headers`` has names in lower case; values of repeated headers are joined."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    cookies: tuple[str, ...] = ()

    @classmethod
    def of(cls, method: str, url: str, response: Response, body: bytes) -> Answer:
        """Return the answer with the head of a response, and a body."""
        cookies = tuple(value for name, value in response.headers if name == "set-cookie")
        return cls(method, url, response.status, joined(response.headers), body, cookies)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object in the body, also if other text surrounds it, or an empty dict."""
        return self._parts()[1]

    @property
    def is_stream(self) -> bool:
        """Whether the body has events, with any Content-Type."""
        return "event-stream" in self.headers.get("content-type", "") or _EVENT.search(self.text) is not None

    @property
    def noise(self) -> str:
        """The text around the JSON object, or between the events: warnings of PHP, comments. A BOM is not noise."""
        if self.is_stream:
            lines = self.text.lstrip("\ufeff").splitlines()
            return " ".join(line for line in lines if line.strip() and not _FIELD.match(line))
        before, found, after = self._parts()
        return f"{before} {after}".strip("\ufeff \t\r\n") if found else ""

    @property
    def code(self) -> str:
        """The error code of WordPress, or ``""``."""
        code = self.json.get("code")
        return code if isinstance(code, str) else ""

    @property
    def error(self) -> ChatError | None:
        """The refusal in this answer, as the package reads it, or None."""
        parser = EventParser(status=self.status, headers=self.headers)
        events = [*parser.receive_data(self.body), *parser.receive_eof()]
        return next((event.error for event in events if isinstance(event, Failed)), None)

    def _parts(self) -> tuple[str, dict[str, Any], str]:
        text = self.text
        if "html" in self.headers.get("content-type", ""):
            return "", {}, ""
        for start in islice(re.finditer(r"\{(?=\s*[\"}])", text), _MOST_BEGINS):
            try:
                found, end = json.JSONDecoder().raw_decode(text, start.start())
            except (ValueError, RecursionError):
                continue
            return text[: start.start()], found, text[end:]
        return "", {}, ""


@dataclass(slots=True)
class Fetcher:
    """Sends requests over a pool. ``site`` is the address whose origin gets credentials among the ``headers``.

    ``answers`` holds every answer, the oldest first, and ``mask`` gets the secrets in them.
    """

    pool: Pool
    site: str
    headers: Mapping[str, str]
    timeout: Timeout
    mask: Mask = field(default_factory=Mask)
    answers: list[Answer] = field(default_factory=list)

    async def get(self, url: str, **headers: str) -> Answer:
        """Return the answer to a GET. Redirects are not followed. Raises Unreachable."""
        return await self._send("GET", url, headers, b"")

    async def follow(self, url: str, **headers: str) -> list[Answer]:
        """Return the answers to a GET and to the redirects after it, the last one at the end. Raises Unreachable.

        The cookies of redirects are sent back to the same host, since some sites redirect until they get one.
        """
        answers = [await self.get(url, **headers)]
        jar = list(answers[0].cookies)
        while (target := next_hop(answers[-1])) and len(answers) < _MOST_HOPS:
            if origin(target) != origin(answers[-1].url):
                jar = []
            answers.append(await self.get(target, **headers | cookie_header(jar)))
            jar += answers[-1].cookies
        return answers

    async def post(self, url: str, cookies: Sequence[str] = (), **headers: str) -> Answer:
        """Return the answer to an empty POST by a visitor with these cookies. Raises Unreachable.

        A site may redirect the first POST to the same host, to set a cookie. It is sent again, with the cookie.
        """
        headers = {"Content-Type": "application/json"} | headers
        answer = await self._send("POST", url, headers | cookie_header(cookies), b"")
        jar = [*cookies, *answer.cookies]
        for _ in range(2):
            target = next_hop(answer)
            if answer.status not in (307, 308) or origin(target) != origin(url):
                break
            answer = await self._send("POST", target, headers | cookie_header(jar), b"")
            jar += answer.cookies
        return answer

    async def head_of(self, method: str, url: str, body: bytes = b"", **headers: str) -> Answer:
        """Return an answer without its body, which may have no end. Raises Unreachable."""
        return await self._send(method, url, headers, body, most=0)

    @property
    def free_timeout(self) -> Timeout:
        """The time limits of requests without a question: an answer that needs no model comes soon."""
        limit = self.timeout.first_byte
        return Timeout(connect=self.timeout.connect, first_byte=_SECONDS if limit is None else min(limit, _SECONDS))

    def sent_headers(self, url: str, own: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of a request: those of the step, replaced by those of the options."""
        is_own = origin(url) == origin(self.site)
        given = {name: value for name, value in self.headers.items() if is_own or name.lower() not in _CREDENTIALS}
        names = {name.lower() for name in given}
        usual = {"User-Agent": f"chatgpt4online/{__version__} doctor", "Accept-Encoding": "identity"}
        return {name: value for name, value in {**usual, **own}.items() if name.lower() not in names} | given

    async def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, most: int = _MOST) -> Answer:
        import asyncio  # noqa: PLC0415  # --help does not need it

        from ...http1 import HttpError  # noqa: PLC0415  # as above

        own = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            response = await self.pool.send(
                method,
                url,
                self.sent_headers(url, own),
                body,
                connect=self.timeout.connect,
                first_byte=self.free_timeout.first_byte,
            )
            try:
                async with asyncio.timeout(_SECONDS):
                    content = await _read(response, most)
            finally:
                response.close()
        except TimeoutError as error:
            raise Unreachable(f"the answer of {shown(url)} is not complete after {_SECONDS:g} s") from error
        except HttpError as error:
            raise unreachable(error, self.free_timeout) from error
        except ValueError as error:
            raise Unreachable(str(error)) from error
        answer = Answer.of(method, url, response, content)
        self.keep(answer)
        return answer

    def keep(self, answer: Answer) -> None:
        """Keep an answer for the steps that read all of them, and the secrets in it for the mask."""
        _log.info("%s %s: HTTP %d", answer.method, shown(answer.url), answer.status)
        self.answers.append(answer)
        found = [secret.decode("utf-8", "replace") for secret in _NAMED_SECRET.findall(answer.body)]
        values = (cookie.partition(";")[0].partition("=")[2] for cookie in answer.cookies)
        cookies = [value for value in values if len(value) >= _LEAST]
        self.mask.add(*found, *cookies, answer.headers.get("x-wp-nonce", ""))


async def _read(response: Response, most: int) -> bytes:
    body = bytearray()
    while len(body) < most and (data := await response.read(None)):
        body += data
    return bytes(body)


_WAITS = {"connect": "no connection", "first_byte": "no answer", "idle": "no further part of the answer"}


def unreachable(error: Exception, limits: Timeout) -> Unreachable:
    """Return the error for a request with these ``limits`` that failed with an error of ``http1``."""
    import ssl  # noqa: PLC0415  # --help does not need it

    from ...http1 import WaitExpired  # noqa: PLC0415  # as above

    if isinstance(error, WaitExpired):
        return Unreachable(f"{_WAITS[error.clock]} within {getattr(limits, error.clock):g} s")
    return Unreachable(str(error), is_tls=isinstance(error.__cause__, ssl.SSLError))


def origin(url: str) -> tuple[str, str, int | None]:
    """Return the scheme, the host and the port of an address."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", url, None


def next_hop(answer: Answer) -> str:
    """Return the address that an answer redirects to, without a login in it, or ``""``."""
    location = answer.headers.get("location", "")
    if answer.status not in (301, 302, 303, 307, 308) or not location:
        return ""
    try:
        target = without_login(urljoin(answer.url, location))
        return target if urlsplit(target).scheme in ("http", "https") else ""
    except ValueError:
        return ""


def cookie_header(cookies: Iterable[str]) -> dict[str, str]:
    """Return the header that sends cookies back, given the values of ``Set-Cookie``, or an empty dict.

    PHPSESSID is left out, since some sites answer the requests of a PHP session one after the other.
    """
    pairs: dict[str, str] = {}
    for cookie in cookies:
        name, _, value = cookie.partition(";")[0].strip().partition("=")
        pairs[name] = value
    text = "; ".join(f"{name}={value}" for name, value in pairs.items() if name and name != "PHPSESSID")
    return {"Cookie": text} if text else {}


def shown(url: str) -> str:
    """Return an address without its parameters and a login, which are secrets. The name of a REST route stays."""
    address, mark, query = without_login(url).partition("?")
    if route := re.match(r"rest_route=[\w./-]*", query):
        return f"{address}?{route[0]}"
    return f"{address}?..." if mark else address


def joined(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return headers as a dict. The values of a header that is sent several times are joined."""
    found: dict[str, str] = {}
    for name, value in headers:
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
