"""The reader of pages: it finds the chat widgets, and the address of the site's REST API.

It is a small scanner of its own. ``html.parser`` raises for some pages, and needs quadratic time for others. The site
controls the size of everything in a page, so each value that is kept has a limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ...net.url import is_web_address
from ..parsing.blocks import find_block
from ..parsing.bodies import printable, read_answer, refusal, unescape, visible_text
from ..parsing.decoding import decode_json
from ..parsing.errors import ChatError, StatusError, TooLarge
from ..parsing.events import Failed, Json, Shortcut, read_shortcuts
from .call import Answered, Call
from .policies import Step
from .request import is_nonce
from .roots import page_url

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
_ATTRIBUTES = {"class", "rel", "href", "data-system", "data-params"}  # the ones that this module reads

_LONGEST_ID = 200  # characters; the plugin's own ids have at most 64, and ids chosen by a page's author may be longer
_LONGEST_ADDRESS = 2_000  # characters; many browsers and servers accept no longer addresses
_NONCE_PAGE = 65_536  # bytes; a nonce has 10 characters, but a login page in its place is larger
_LARGEST = 2**63  # the site's database holds signed 64-bit numbers


@dataclass(frozen=True, slots=True)
class Bot:
    """A chat widget of a page, and the settings of its bot that the page holds.

    ``bot_id`` or ``custom_id`` names the bot. ``context_id`` is the id of the post that holds the widget, or None.
    ``rest_root`` is the address of the site's REST API. ``nonce`` and ``session_id`` are ``""`` where the page has
    none. ``name`` is the name that users see. ``start_sentence`` is the first sentence of the bot, or ``""``.
    ``compliance`` is a text that the owner wants users to read, or ``""``. ``max_length`` is the longest question in
    characters, or None where it is not known. ``mode`` is ``chat``, ``assistant``, ``images``, ``prompt`` or
    ``realtime``. ``uploads`` is True where the bot accepts files or images. ``max_uploads`` is the largest number of
    files with one question. ``upload_types`` is a tuple of the MIME types that the owner allows; it is empty where they
    are not known. ``shortcuts`` is a tuple of the shortcuts that the widget offers. Source: protocol sections 3.1 and
    3.2.
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
    """Return the chat widgets in a page's HTML, in the order of the page. Widgets that cannot be read are left out.

    Source: protocol section 3.2.
    """
    if _WIDGET not in page:
        return []
    widgets = [tag for _, tag in _tags(page) if _WIDGET in unescape(tag.get("class", "")).split()]
    found = ((_attribute(widget, "data-system"), _attribute(widget, "data-params")) for widget in widgets)
    return [_bot(system, params or {}) for system, params in found if system]


def find_root(page: str, link: str = "") -> str:
    """Return the address of the site's REST API, without its last slash.

    ``link`` is the page's ``Link`` header. If it names the API, the page is not read. Returns ``""`` if neither names
    the API. Source: protocol section 1.1.
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
    """The contents of a page: its chat widgets in order, and the REST root that it names, or ``""``."""

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
    """Return the contents of a page. ``link`` is its ``Link`` header."""
    bots = find_bots(page)
    return Page(tuple(bots), (bots[0].rest_root if bots else "") or find_root(page, link))


def site_call(site: str) -> Call[Page]:
    """Return the call that reads the page at the address of a site, to find a nonce there."""
    return page_call(page_url(site), Step.PAGE, lambda page: page)


def page_call(address: str, step: Step, read: Callable[[Page], T]) -> Call[T]:
    """Return the call that reads the page at ``address``. ``read`` turns the page into the value of the call."""
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
    """Return the call that asks WordPress for the nonce of a login. The answer is plain text.

    ``address`` is the one of :func:`~.roots.login_page`. Source: protocol section 1.3.
    """
    return Call(
        Step.LOGIN_NONCE,
        "GET",
        "",
        body=lambda session_id: ({"Accept": "text/plain"}, b""),
        reader=lambda status, headers, limits: TextReader(status, headers, min(limits.max_body_size, _NONCE_PAGE)),
        read=lambda text: text,
        address=address,
        advice="WordPress sends no nonce for this login: log in again, and copy all of its cookies",
    )


class PageParser:
    """The reader of a page's body. It returns one event: ``Answered`` with the Page, or ``Failed``."""

    text = ""

    def __init__(self, status: int, headers: dict[str, str], max_body_size: int) -> None:
        self._status = status
        self._headers = headers
        self._limit = max_body_size
        self._body = bytearray()
        self._over = False

    def receive_data(self, data: bytes) -> list[Any]:
        """Store the data, and return no event.

        The first data beyond the limit returns ``Failed`` with TooLarge. All data after it is discarded.
        """
        if self._over or len(self._body) + len(data) <= self._limit:
            self._body += data if not self._over else b""
            return []
        self._over = True
        self._body.clear()
        return [Failed(TooLarge(f"the page is larger than {self._limit} bytes; raise max_body_size to read it"))]

    def receive_eof(self) -> list[Any]:
        """Return ``Answered`` with the page, or ``Failed`` with the error of a refusal."""
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
        return refusal(self._status, "", visible_text(page), self._headers, page)

    def _read(self, page: str) -> Any:
        return read_page(page, self._headers.get("link", ""))


class TextReader(PageParser):
    """The reader of a body that is one word of plain text. It returns ``Answered`` with the word, or ``Failed``."""

    def _read(self, page: str) -> str:
        return page.strip("\ufeff \t\r\n")


def _tags(page: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the name of each start tag in lower case, and those of its attributes that this module reads.

    The values of the attributes are still escaped. Comments, scripts and style sheets are skipped. The time is linear
    in the length of the page, since no character is read more than a few times.
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
            if name in _ATTRIBUTES:
                quoted = value[:1] in ("'", '"')
                attributes.setdefault(name, value[1:-1] if quoted else value)
        end = _TAG_END.match(page, position)
        if end is None:
            return  # the page ends inside this tag
        position = end.end()
        tag = match[1].lower()
        yield tag, attributes
        if tag in _RAW_TEXT_END and (text_end := _RAW_TEXT_END[tag].search(page, position)):
            position = text_end.end()


def _attribute(widget: dict[str, str], name: str) -> Json | None:
    """Return the JSON object in an attribute, or None. Some pages escape the value twice."""
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
        compliance=visible_text(_text(params.get("textCompliance")), 2000),
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
    """Return an id as a string, or None if it cannot be sent back. Pages write an id such as "12" as a number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if 0 < len(text) <= _LONGEST_ID and text.isprintable() else None


def _text(value: Any) -> str:
    """Return a text to show to users, or ``""``. Pages write a text such as "12" as a number."""
    if isinstance(value, str):
        return printable(value)
    return str(value) if type(value) is int and value else ""


def _number(value: Any, least: int) -> int | None:
    return value if type(value) is int and least <= value < _LARGEST else None
