"""What a chat sends: requests as values, and the session that they share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, BinaryIO, TypeAlias
from urllib.parse import urljoin, urlsplit

from .errors import InvalidInput
from .events import Json

VERSION = "0.1.0"
USER_AGENT = f"chatgpt4online/{VERSION} (Python SDK for AI Engine sites)"

START_SESSION = "/mwai/v1/start_session"
SUBMIT = "/mwai-ui/v1/chats/submit"

_NONCE = re.compile(r"[!-~]{1,128}")  # what can stand in a header; WordPress's own are 10 hex characters
_UPLOAD_PIECE = 65_536  # bytes
_LONGEST_ID = 64  # characters of chatId and botId (protocol section 5, 18)


class Multipart:
    """A multipart/form-data body that holds one file, as an iterable of its pieces (RFC 7578).

    ``open_file`` is called each time it is iterated over, and returns a context manager of the file, which has ``size``
    bytes; it is read while it is sent. ``boundary`` is a string that the file cannot hold: a random one. ``len()`` is
    the size of the body in bytes. ``on_progress`` is called with the bytes sent so far and the whole size.
    """

    def __init__(
        self,
        fields: Mapping[str, str],
        open_file: Callable[[], AbstractContextManager[BinaryIO]],
        size: int,
        name: str,
        content_type: str,
        boundary: str,
        on_progress: Callable[[int, int], object] | None = None,
    ) -> None:
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._open_file = open_file
        self._on_progress = on_progress
        quoted = name.replace("\\", "\\\\").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in fields.items()
        ]
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n')
        try:
            self._head = ("".join(parts) + f"Content-Type: {content_type}\r\n\r\n").encode()
        except UnicodeEncodeError as error:
            raise InvalidInput(f"the file's name cannot be sent, give another one as name=: {error}") from None
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._size = len(self._head) + size + len(self._tail)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        with self._open_file() as file:
            for piece in chain([self._head], self._pieces(file), [self._tail]):
                yield piece
                sent += len(piece)
                if self._on_progress is not None:
                    self._on_progress(sent, self._size)

    def _pieces(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield as much of the file as was announced, whatever it has grown to."""
        left = self._size - len(self._head) - len(self._tail)
        while left:
            piece = file.read(min(left, _UPLOAD_PIECE))
            if not piece:
                raise InvalidInput("the file became shorter while it was sent")
            left -= len(piece)
            yield piece


Content: TypeAlias = bytes | Multipart


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request to send.

    ``headers`` is a dict; ``body`` is bytes, or a :class:`Multipart` to iterate over. Wait ``delay`` seconds before
    sending it. An ``exclusive`` request renews the session: where several turns share one, only one such request should
    be under way at a time, and ``next_request()`` asked again once it is this turn's, since another turn may have done
    the work.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: Content = b""
    delay: float = 0.0
    exclusive: bool = False


@dataclass(slots=True)
class Session:
    """What one visitor of one site keeps from turn to turn; many turns may share it.

    ``nonce`` and ``session_id`` are ``""`` until the site has given them; ``root`` is the address of the REST API, once
    it is known to be another than the site's address suggests.
    """

    nonce: str = field(default="", repr=False)
    session_id: str = ""
    root: str = ""

    def adopt_nonce(self, nonce: Any) -> None:
        """Take over a nonce that the site gave; whatever cannot be one is passed over (protocol section 5, 12)."""
        if isinstance(nonce, str) and _NONCE.fullmatch(nonce):
            self.nonce = nonce

    def adopt(self, answer: Json) -> None:
        """Take over the nonce and the session id in a JSON answer of the site."""
        self.adopt_nonce(answer.get("restNonce"))
        self.adopt_nonce(answer.get("new_token"))
        session_id = answer.get("sessionId")
        if isinstance(session_id, str) and session_id not in ("", "N/A"):
            self.session_id = session_id

    def forget_nonce(self, nonce: str) -> None:
        """Drop the nonce that was refused, unless another turn has renewed it since."""
        if self.nonce == nonce:
            self.nonce = ""


@dataclass(frozen=True, slots=True)
class Submission:
    """One question, as the site takes it. Source: protocol section 1.4.

    ``messages`` is the history before it: dicts with ``role`` and ``content``, both strings. ``chat_id`` names the
    conversation (at most 64 characters, random, the same for all its turns). One of ``bot_id`` and ``custom_id`` names
    the bot. With ``stream=False`` the site answers in one piece.
    ``awaits_files`` says that files will be added before it is sent.

    Raises InvalidInput for what no site would take.
    """

    message: str
    messages: Sequence[Mapping[str, Any]] = ()
    bot_id: str | None = "default"
    custom_id: str | None = None
    chat_id: str = ""
    context_id: int | None = None
    file_ids: Sequence[str] = ()
    previous_response_id: str | None = None
    shortcut_id: str | None = None
    shortcut_name: str | None = None
    stream: bool = True
    awaits_files: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.file_ids, str) or not all(isinstance(item, str) for item in self.file_ids):
            raise InvalidInput("file_ids is a list of strings, the ids of uploaded files")
        if not isinstance(self.message, str):
            raise InvalidInput(f"the message is a string, not {type(self.message).__name__}")
        if not (self.message.strip() or self.file_ids or self.shortcut_id or self.awaits_files):
            raise InvalidInput("the message is empty; sites refuse one without text, file or shortcut")
        if not (self.bot_id or self.custom_id):
            raise InvalidInput("one of bot_id and custom_id must name the bot; 'default' always exists")
        for name in ("bot_id", "custom_id", "chat_id"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and len(value) <= _LONGEST_ID):
                raise InvalidInput(f"{name} is a string of at most {_LONGEST_ID} characters, not {value!r}")
        for number, item in enumerate(self.messages):
            if not isinstance(item, Mapping) or not all(isinstance(item.get(key), str) for key in ("role", "content")):
                raise InvalidInput(f"messages[{number}] must be a dict with 'role' and 'content', both strings")
        try:
            self.body("")
        except UnicodeEncodeError as error:
            raise InvalidInput(f"what is sent holds half a character (a lone surrogate): {error}") from None

    def with_previous(self, response_id: str | None) -> Submission:
        """Return the same question as the next one behind a response (protocol section 1.4, ``previousResponseId``)."""
        return replace(self, previous_response_id=response_id)

    def body(self, session_id: str) -> bytes:
        """Return the JSON body of the request, in UTF-8."""
        several = len(self.file_ids) > 1
        fields: Json = {
            "botId": self.bot_id,
            "customId": self.custom_id,
            "session": session_id or None,
            "chatId": self.chat_id,
            "contextId": self.context_id,
            "messages": [{"role": item["role"], "content": item["content"]} for item in self.messages],
            "newMessage": self.message,
            "newFileId": self.file_ids[0] if self.file_ids and not several else None,
            "newFileIds": list(self.file_ids) if several else None,
            "stream": self.stream,
        }
        optional = {
            "shortcutId": self.shortcut_id,
            "shortcutName": self.shortcut_name,
            "previousResponseId": self.previous_response_id,
        }
        fields.update((key, value) for key, value in optional.items() if value)
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def rest_roots(site: str) -> tuple[str, ...]:
    """Return the addresses, without a final slash, at which a site's REST API may be, the likeliest first.

    ``site`` is the address of a site or of a page, or a REST root in the pretty (``.../wp-json``) or the plain
    (``...?rest_route=``) form; of a REST root there is but one. Raises InvalidInput for what is no web address. Source:
    protocol section 1.1.
    """
    if not isinstance(site, str) or not is_web_address(site):
        raise InvalidInput(f"a site is a web address such as 'https://example.org', not {site!r}")
    parts = urlsplit(site)
    if parts.username is not None:
        raise InvalidInput("a site's address holds no name and password; give them as auth=(name, password)")
    if plain := re.match(r"[^#]*[?&]rest_route=", site):
        return (plain[0],)
    address = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
    if pretty := re.match(r".*?/wp-json(?=/|$)", address):
        return (pretty[0],)
    return f"{address}/wp-json", f"{address}/index.php?rest_route=", f"{address}/?rest_route="


def parent_root(root: str) -> str:
    """Return the pretty REST root one directory above ``root``, or ``""`` where there is none."""
    match = re.fullmatch(r"(https?://[^/]+(?:/[^/]+)*)/[^/]+/wp-json", root)
    return f"{match[1]}/wp-json" if match else ""


def page_url(site: str) -> str:
    """Return the address of the page that a site's chat may be found on: ``site`` itself, unless it is a REST root."""
    address = re.sub(r"[?&]rest_route=.*", "", site.partition("#")[0])
    return re.sub(r"(?:/wp-json(?:/.*)?|/index\.php)$", "/", address)


def moved_root(url: str, route: str) -> str | None:
    """Return the REST root of a redirect's target, or None when it does not lead to the same route."""
    address = url.rstrip("/")
    parts = urlsplit(address)
    leads = f"&{parts.query}".endswith(f"&rest_route={route}") if parts.query else parts.path.endswith(route)
    return address[: -len(route)] if leads and not parts.fragment else None


def origin(url: str) -> tuple[str, str, int | None]:
    """Return the scheme, host and port of an address; nonces and credentials stay within one origin."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def absolute(url: str, location: str) -> str | None:
    """Return where ``location`` leads from ``url``, or None when that is no web address or gives up TLS."""
    try:
        target = urljoin(url, location.strip())
    except ValueError:
        return None
    if not is_web_address(target) or (urlsplit(url).scheme, urlsplit(target).scheme) == ("https", "http"):
        return None
    return target


def is_web_address(url: str) -> bool:
    """Whether ``url`` is an address that can be asked: http or https, with a host and perhaps a port."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        named = re.fullmatch(r"[\w.:%-]+", host) and host.encode("idna")
        return parts.scheme in ("http", "https") and bool(named) and parts.port != 0  # reading it checks it
    except ValueError:
        return False


def fold_headers(headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> dict[str, str]:
    """Return response headers as a dict with lower-case names; of several with one name, the last counts,
    but that ``Link`` headers are joined.

    Takes a mapping or pairs, of str or (as h11 has them) bytes.
    """
    pairs: Any = headers.items() if isinstance(headers, Mapping) else headers
    folded: dict[str, str] = {}
    for name, value in ((_latin(name).lower(), _latin(value)) for name, value in pairs):
        folded[name] = f"{folded[name]}, {value}" if name == "link" and name in folded else value
    return folded


def _latin(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
