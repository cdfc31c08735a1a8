"""A page's HTML to the chat widgets on it, and to the address of the site's REST API."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, TypeVar

from ...net.url import is_web_address
from ..parsing.bodies import decode_json, refusal, words
from ..parsing.errors import TooLarge
from ..parsing.events import Failed, Json, Shortcut, read_shortcuts
from .call import Answered, Call
from .policies import Step

T = TypeVar("T")

API_REL = "https://api.w.org/"
_API_LINK = re.compile(r'<([^<>]+)>\s*;[^,<]*rel="?https://api\.w\.org/"?')
_WIDGET = "mwai-chatbot-container"


@dataclass(frozen=True, slots=True)
class Bot:
    """A chat widget of a page. Source: protocol sections 3.1 and 3.2.

    ``bot_id``, ``custom_id`` and ``context_id`` (the post that the widget sits on) say to the site which bot it is.
    ``rest_root`` is the site's REST API; ``nonce`` is ``""`` where the page has none. ``max_length`` is in characters,
    None where it is unknown; ``mode`` is ``chat``, ``assistant``, ``images``, ``prompt`` or ``realtime``. Uploads:
    ``uploads`` says whether files or images are welcome, ``max_uploads`` how many, ``upload_types`` (MIME types) which,
    where the owner says so. ``compliance`` is a text that the owner wants users to read.
    """

    bot_id: str | None = "default"
    custom_id: str | None = None
    context_id: int | None = None
    rest_root: str = ""
    nonce: str = field(default="", repr=False)
    session_id: str = ""
    name: str = ""
    start_sentence: str = ""
    compliance: str = ""
    max_length: int | None = None
    mode: str = "chat"
    uploads: bool = False
    max_uploads: int = 1
    upload_types: tuple[str, ...] = ()
    shortcuts: tuple[Shortcut, ...] = ()


def find_bots(page: str) -> list[Bot]:
    """Return the chat widgets of a page's HTML, in their order; those that are broken are left out."""
    reader = _read(page)
    found = ((_attribute(widget, "data-system"), _attribute(widget, "data-params")) for widget in reader.widgets)
    return [_bot(system, params or {}) for system, params in found if system]


def find_root(page: str, link: str = "") -> str:
    """Return the address of the site's REST API that a page, or its ``Link`` header, names; ``""`` without one."""
    match = _API_LINK.search(link)
    if match:
        return match[1].rstrip("/")
    return _read(page).root.rstrip("/")


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says: its chat widgets, and the REST root that it names (``""`` where it names none)."""

    bots: tuple[Bot, ...]
    root: str

    @property
    def nonce(self) -> str:
        """The nonce of the first widget, or ``""``."""
        return self.bots[0].nonce if self.bots else ""

    @property
    def session_id(self) -> str:
        """The session id of the first widget, or ``""``."""
        return self.bots[0].session_id if self.bots else ""


def read_page(page: str, link: str = "") -> Page:
    """Return what a page's HTML and its ``Link`` header say."""
    bots = find_bots(page)
    return Page(tuple(bots), (bots[0].rest_root if bots else "") or find_root(page, link))


def page_call(address: str, step: Step, read: Callable[[Page], T]) -> Call[T]:
    """Return the call that reads the page at ``address``; ``read`` turns the page into the value."""
    return Call(
        step,
        "GET",
        "",
        body=lambda session_id: ({"Accept": "text/html"}, b""),
        reader=lambda status, headers, limits: PageParser(status, headers, limits.max_body_size),
        read=read,
        address=address,
    )


class PageParser:
    """The body of a page as an answer: ``Answered`` with the Page, or ``Failed``."""

    text = ""

    def __init__(self, status: int, headers: dict[str, str], max_body_size: int) -> None:
        self._status = status
        self._headers = headers
        self._limit = max_body_size
        self._body = bytearray()
        self._over = False

    def receive_data(self, data: bytes) -> list[Any]:
        """Keep the data, up to the limit."""
        if self._over or len(self._body) + len(data) <= self._limit:
            self._body += data if not self._over else b""
            return []
        self._over = True
        self._body.clear()
        return [Failed(TooLarge(f"the page is larger than {self._limit} bytes; raise max_body_size to take it"))]

    def receive_eof(self) -> list[Any]:
        """Return the page, or the refusal that came in its place."""
        if self._over:
            return []
        page = self._body.decode("utf-8", "replace")
        if self._status >= 300:
            return [Failed(refusal(self._status, "", words(page), self._headers, page))]
        return [Answered(read_page(page, self._headers.get("link", "")))]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.widgets: list[dict[str, str]] = []
        self.root = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if _WIDGET in attributes.get("class", "").split():
            self.widgets.append(attributes)
        elif tag == "link" and attributes.get("rel") == API_REL:
            self.root = attributes.get("href", "")


def _read(page: str) -> _Reader:
    reader = _Reader()
    with suppress(AssertionError):  # html.parser's word for some broken declarations; what came before counts
        reader.feed(page.replace("<![", "&lt;!["))  # what html.parser gives up at, and no widget is made of
    return reader


def _attribute(widget: dict[str, str], name: str) -> Json | None:
    """Return the JSON object in an attribute; some pages escape it twice."""
    value = widget.get(name, "")
    for text in (value, html.unescape(value)):
        try:
            decoded = decode_json(text.strip())
        except ValueError:
            continue
        if isinstance(decoded, dict):
            return decoded
    return None


def _bot(system: Json, params: Json) -> Bot:
    context_id, types = system.get("contextId"), params.get("allowedMimeTypes")
    session_id, root = _id(system.get("sessionId")) or "", system.get("restUrl")
    if isinstance(types, str):
        types = types.split(",")
    return Bot(
        bot_id=_id(system.get("botId")),
        custom_id=_id(system.get("customId")),
        context_id=context_id if isinstance(context_id, int) else None,
        rest_root=root.rstrip("/") if isinstance(root, str) and is_web_address(root) else "",
        nonce=_id(system.get("restNonce")) or "",
        session_id="" if session_id == "N/A" else session_id,
        name=str(params.get("aiName") or "").strip().rstrip(":"),
        start_sentence=str(params.get("startSentence") or ""),
        compliance=words(str(params.get("textCompliance") or ""), 2000),
        max_length=_count(params.get("textInputMaxLength")),
        mode=str(params.get("mode") or "chat"),
        uploads=any(bool(params.get(key)) for key in ("fileUpload", "imageUpload", "fileUploads")),
        max_uploads=(_count(params.get("maxUploads")) or 1) if params.get("multiUpload") else 1,
        upload_types=tuple(kind.strip() for kind in types if isinstance(kind, str) and kind.strip())
        if isinstance(types, list)
        else (),
        shortcuts=read_shortcuts(system),
    )


def _id(value: Any) -> str | None:
    """Return an id as a string: pages write those that look like numbers as numbers."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
