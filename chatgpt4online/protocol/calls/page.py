"""Read a page: the chat widgets on it, and the address of the site's REST API.

The page is read by a small scanner and not by ``html.parser``, which raises for some pages and takes quadratic time for
others. All sizes come from the page, so each value that is kept has a bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ...net.url import is_web_address
from ..parsing.blocks import find_block
from ..parsing.bodies import decode_json, printable, read_answer, refusal, unescape, words
from ..parsing.errors import ChatError, StatusError, TooLarge
from ..parsing.events import Failed, Json, Shortcut, read_shortcuts
from .call import Answered, Call
from .policies import Step
from .request import is_nonce

T = TypeVar("T")

API_REL = "https://api.w.org/"
_API_LINK = re.compile(r'<([^<>]+)>\s*;[^,<]*rel="?https://api\.w\.org/"?')
_WIDGET = "mwai-chatbot-container"

_MARKUP = re.compile(r"<!--(?:-?>|.*?(?:--!?>|\Z))|<([a-zA-Z][^\s/>]*)", re.DOTALL)
_ATTRIBUTE = re.compile(r"""[\s/]*([^\s/>][^\s/>=]*)(?:\s*=\s*("[^"]*(?:"|\Z)|'[^']*(?:'|\Z)|[^\s>]*))?""")
_TAG_END = re.compile(r"[\s/]*>")
_RAW_TEXT_END = {
    "script": re.compile(r"</script(?=[\s/>])|\Z", re.IGNORECASE),
    "style": re.compile(r"</style(?=[\s/>])|\Z", re.IGNORECASE),
}
_READ = {"class", "rel", "href", "data-system", "data-params"}  # the attributes that matter here

_LONGEST_ID = 200  # characters; the protocol's own ids have at most 64
_LONGEST_ADDRESS = 2_000  # characters; browsers and servers take little more
_NONCE_PAGE = 65_536  # bytes; a nonce has 10 characters, and a login page that comes in its place is not kept
_LARGEST = 2**63  # what the site's database can hold


@dataclass(frozen=True, slots=True)
class Bot:
    """A chat widget of a page.

    ``bot_id``, ``custom_id`` and ``context_id`` (the id of the post with the widget) tell the site which bot is meant.
    ``rest_root`` is the address of the site's REST API. ``nonce`` is ``""`` where the page has none. ``max_length`` is
    in characters, or None where it is not known. ``mode`` is ``chat``, ``assistant``, ``images``, ``prompt`` or
    ``realtime``. ``uploads`` is True where the bot accepts files or images, ``max_uploads`` is their number, and
    ``upload_types`` has the MIME types that the owner allows (empty: not known). ``compliance`` is a text that the
    owner wants users to read. Source: protocol sections 3.1 and 3.2.
    """

    bot_id: str | None = "default"
    custom_id: str | None = None
    context_id: int | None = None
    rest_root: str = ""
    nonce: str = field(default="", repr=False)
    session_id: str = field(default="", repr=False)
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
    """Return the chat widgets in a page's HTML, in their order. Widgets that cannot be read are left out."""
    if _WIDGET not in page:
        return []
    widgets = [tag for _, tag in _tags(page) if _WIDGET in unescape(tag.get("class", "")).split()]
    found = ((_attribute(widget, "data-system"), _attribute(widget, "data-params")) for widget in widgets)
    return [_bot(system, params or {}) for system, params in found if system]


def find_root(page: str, link: str = "") -> str:
    """Return the address of the site's REST API, without its last slash.

    ``link`` is the page's ``Link`` header, which goes before the page. Returns ``""`` where neither names the API.
    """
    match = _API_LINK.search(link)
    if match:
        return _address(match[1])
    found = ""
    if API_REL in page:
        for name, tag in _tags(page):
            if name == "link" and unescape(tag.get("rel", "")) == API_REL:
                found = unescape(tag.get("href", ""))
    return _address(found)


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


def login_call(address: str) -> Call[str]:
    """Return the call that asks WordPress for the nonce of a login, which comes as plain text."""
    return Call(
        Step.LOGIN_NONCE,
        "GET",
        "",
        body=lambda session_id: ({"Accept": "text/plain"}, b""),
        reader=lambda status, headers, limits: TextReader(status, headers, min(limits.max_body_size, _NONCE_PAGE)),
        read=lambda text: text,
        address=address,
        advice="WordPress gives this login no nonce: log in again, and copy all of its cookies",
    )


class PageParser:
    """Reads the body of a page. The event is ``Answered`` with the Page, or ``Failed``."""

    text = ""

    def __init__(self, status: int, headers: dict[str, str], max_body_size: int) -> None:
        self._status = status
        self._headers = headers
        self._limit = max_body_size
        self._body = bytearray()
        self._over = False

    def receive_data(self, data: bytes) -> list[Any]:
        """Store the data. Returns ``Failed`` with TooLarge once, when the page is larger than the limit."""
        if self._over or len(self._body) + len(data) <= self._limit:
            self._body += data if not self._over else b""
            return []
        self._over = True
        self._body.clear()
        return [Failed(TooLarge(f"the page is larger than {self._limit} bytes; raise max_body_size to take it"))]

    def receive_eof(self) -> list[Any]:
        """Return ``Answered`` with the page, or ``Failed`` with the refusal."""
        if self._over:
            return []
        page = self._body.decode("utf-8", "replace")
        if self._status >= 300 or find_block(self._status, self._headers, page):
            return [Failed(self._refusal(page))]
        return [Answered(self._read(page))]

    def _refusal(self, page: str) -> ChatError:
        error = read_answer(page, self._status, self._headers) if page.lstrip().startswith("{") else None
        if isinstance(error, StatusError):  # WordPress refuses in JSON
            return error
        return refusal(self._status, "", words(page), self._headers, page)

    def _read(self, page: str) -> Any:
        return read_page(page, self._headers.get("link", ""))


class TextReader(PageParser):
    """Reads a body that is one word of plain text. The event is ``Answered`` with the word, or ``Failed``."""

    def _read(self, page: str) -> str:
        return page.strip("\ufeff \t\r\n")


def _tags(page: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the name of each start tag, in lower case, with those of its attributes that matter, still escaped.

    Comments, scripts and style sheets are skipped. No character is read more than a few times, whatever the page holds.
    """
    position = 0
    while match := _MARKUP.search(page, position):
        position = match.end()
        if match[1] is None:
            continue
        attributes: dict[str, str] = {}
        while attribute := _ATTRIBUTE.match(page, position):
            position = attribute.end()
            name, value = attribute[1].lower(), attribute[2] or ""
            if name in _READ:
                quoted = value[:1] in ("'", '"')
                attributes.setdefault(name, value[1:-1] if quoted else value)
        end = _TAG_END.match(page, position)
        if end is None:
            return  # the page stops within the tag
        position = end.end()
        tag = match[1].lower()
        yield tag, attributes
        if tag in _RAW_TEXT_END and (text_end := _RAW_TEXT_END[tag].search(page, position)):
            position = text_end.end()


def _attribute(widget: dict[str, str], name: str) -> Json | None:
    """Return the JSON object in an attribute, or None. Some pages escape it twice."""
    value = unescape(widget.get(name, ""))
    for text in (value, unescape(value)):
        try:
            decoded = decode_json(text.strip())
        except ValueError:
            continue
        if isinstance(decoded, dict):
            return decoded
    return None


def _bot(system: Json, params: Json) -> Bot:
    types = params.get("allowedMimeTypes")
    if isinstance(types, str):
        types = types.split(",")
    nonce, session_id = _id(system.get("restNonce")), _id(system.get("sessionId"))
    return Bot(
        bot_id=_id(system.get("botId")),
        custom_id=_id(system.get("customId")),
        context_id=_number(system.get("contextId"), 0),
        rest_root=_web_root(system.get("restUrl")),
        nonce=nonce if is_nonce(nonce) else "",
        session_id="" if session_id in (None, "N/A") else session_id,
        name=_text(params.get("aiName")).strip().rstrip(":"),
        start_sentence=_text(params.get("startSentence")),
        compliance=words(_text(params.get("textCompliance")), 2000),
        max_length=_number(params.get("textInputMaxLength"), 1),
        mode=_text(params.get("mode")) or "chat",
        uploads=any(bool(params.get(key)) for key in ("fileUpload", "imageUpload", "fileUploads")),
        max_uploads=(_number(params.get("maxUploads"), 1) or 1) if params.get("multiUpload") else 1,
        upload_types=tuple(printable(kind.strip()) for kind in types if isinstance(kind, str) and kind.strip())
        if isinstance(types, list)
        else (),
        shortcuts=read_shortcuts(system),
    )


def _address(text: str) -> str:
    return "" if len(text) > _LONGEST_ADDRESS else printable(text).rstrip("/")


def _web_root(value: Any) -> str:
    root = _address(value) if isinstance(value, str) else ""
    return root if is_web_address(root) else ""


def _id(value: Any) -> str | None:
    """Return an id that can be sent back, as a string: pages write ids that look like numbers as numbers."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if 0 < len(text) <= _LONGEST_ID and text.isprintable() else None


def _text(value: Any) -> str:
    """Return a text that is shown; pages write texts that look like numbers as numbers."""
    if isinstance(value, str):
        return printable(value)
    return str(value) if type(value) is int and value else ""


def _number(value: Any, least: int) -> int | None:
    return value if type(value) is int and least <= value < _LARGEST else None
