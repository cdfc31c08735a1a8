"""One function for each call that is not a chat question: pages, files, discussions and the public API.

Each function returns a :class:`Call`, which an :class:`~.exchange.Exchange` carries out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from ...net.url import absolute, redacted
from ..parsing.bodies import TAG, printable, unescape
from ..parsing.decoding import decode_json
from ..parsing.errors import InvalidInput, NotAiEngine
from ..parsing.events import Json, to_number
from .call import Call, JsonReader
from .markdown import discussion_markdown
from .multipart import Multipart
from .page import Bot, Page, page_call
from .policies import Step
from .request import Content, is_id
from .roots import holds_credentials, page_url

T = TypeVar("T")

# The public API is an option of the plugin. It is off until the site's owner turns it on.
_ADVICE_WITH_TOKEN = "the site's public API must be on, and the bearer token must be the one of the site"  # noqa: S105  # not a token
_ADVICE_FOR_GUESTS = "the public API needs Client(token=...) or a login (auth= or cookies=), and must be on"

UPLOAD = "/mwai-ui/v1/files/upload"
DELETE_FILES = "/mwai-ui/v1/files/delete"
DISCUSSIONS = "/mwai-ui/v1/discussions/"
SEARCH = "/mwai-ui/v1/search"
PUBLIC_API = "/mwai/v1/"

SearchMethod: TypeAlias = Literal["wordpress", "keywords", "embeddings"]

_DISCUSSIONS_NEED = "the site has no such route: its owner must turn on Discussions in the settings of AI Engine"
_SEARCH_NEEDS = "the site has no search: it needs AI Engine 2.8.3 or later, with the Search module turned on"
_MOST_DIGITS = 18  # of a number that is read; no site has more rows


@dataclass(frozen=True, slots=True)
class File:
    """A file that was uploaded. Pass it in ``files=[...]`` of a question. Most sites keep it for an hour.

    ``id`` is the site's name for the file. ``url`` is the file's web address, or ``""``; everyone with
    the address can read the file. Source: protocol section 1.5.
    """

    id: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Discussion:
    """A conversation that the site has stored for a logged-in user. Source: protocol section 1.6.

    ``messages`` is a tuple of dicts ``{"role": str, "content": str}``, the oldest first. ``previous_response_id`` is
    the id that the site needs to continue the conversation, or ``""``. ``created`` and ``updated`` are times in the
    format of the site. ``raw`` is the whole JSON object that the site sent.
    """

    chat_id: str
    title: str = ""
    bot_id: str = ""
    messages: tuple[dict[str, str], ...] = ()
    previous_response_id: str = ""
    created: str = ""
    updated: str = ""
    raw: Json = field(default_factory=dict, repr=False)

    def to_markdown(self) -> str:
        """Return the conversation as Markdown, for a file that people read.

        The title is the heading; without one, it is the chat id. A line with the dates follows. Each message is its
        role in bold and its text as a block quote. An open code fence, a heading or ``---`` in one message changes
        nothing outside of it. A link definition (``[1]: https://...``) applies to the whole document, as Markdown's
        rules say. The text is unchanged, except that each line begins with ``>``, and that lone surrogates become
        U+FFFD.
        """
        dates = {"created": self.created, "updated": self.updated}
        return discussion_markdown((self.title, self.chat_id), dates, self.messages)


@dataclass(frozen=True, slots=True)
class DiscussionPage:
    """A part of the list of discussions.

    ``rows`` is the number of rows that the site sent; a row without a chat id is not in ``discussions``. ``total`` is
    the site's number of all discussions, or None if it sent none.
    """

    discussions: list[Discussion]
    rows: int
    total: int | None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A post of the site that a search has found. Source: protocol section 1.7.

    ``id`` is the number of the post, which WordPress shows at ``/?p=`` and this number; it is 0 if the site sent no
    number. ``title`` and ``excerpt`` are plain text: HTML tags are removed, and character references decoded. The
    excerpt has the first 30 words of the post. ``score`` says how well the post fits: a float that is usually between
    0 and 1, or None for the method ``"wordpress"``, which has no scores. ``raw`` is the whole row as the site sent it,
    usually a JSON object.
    """

    id: int
    title: str = ""
    excerpt: str = ""
    score: float | None = None
    raw: Any = field(default=None, repr=False)


def _call(
    route: str,
    content: Mapping[str, Any] | Multipart | None,
    read: Callable[[Json], T],
    *,
    method: str = "POST",
    token: str | None = None,
    needs_nonce: bool = True,
    advice: str = "",
    requirement: str = "",
) -> Call[T]:
    """Return a call to a REST route that answers in JSON.

    ``content`` is a dict that is sent as JSON, a :class:`Multipart`, or None for an empty body. ``read`` turns the JSON
    object of the answer into the value of the call. The call is sent without a nonce if it has a bearer ``token``, or
    if ``needs_nonce`` is false. Raises InvalidInput for content that cannot be sent.
    """
    sent: Content = content if isinstance(content, Multipart) else _encode_json(content)
    headers = {"Accept": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if isinstance(sent, Multipart):
        headers |= {"Content-Type": sent.content_type, "Content-Length": str(len(sent))}
    elif sent:
        headers["Content-Type"] = "application/json"
    return Call(
        Step.CALL if token is None and needs_nonce else Step.CALL_WITHOUT_NONCE,
        method,
        route,
        body=lambda session_id: (headers, sent),
        reader=JsonReader,
        read=read,
        advice=advice if token is None else _ADVICE_WITH_TOKEN,
        requirement=requirement,
    )


def visit(site: str, page: str) -> Call[list[Bot]]:
    """Return the call that reads a page and finds its chat widgets. Its value is a list with at least one :class:`Bot`.

    ``page`` is a path of the site, such as ``/chat/``, or a web address. If the page has no chat widget, the call fails
    with NotAiEngine. Raises InvalidInput if ``page`` is neither, or if it holds a name and password. Source: protocol
    section 3.2.
    """
    address = absolute(page_url(site), page) if isinstance(page, str) else None
    if address is None:
        shown = repr(redacted(page))[:100] if isinstance(page, str) else repr(page)[:100]
        raise InvalidInput(f"a page is a path such as '/chat/', or a web address, not {shown}")
    if holds_credentials(address):
        raise InvalidInput(
            "the address of a page must not hold a name and password; pass them as auth=(name, password)"
        )

    def bots(page: Page) -> list[Bot]:
        if page.bots:
            return list(page.bots)
        error = NotAiEngine(200, message=f"there is no chat widget on {address}")
        error.advice = "pass the page that shows the chat; widgets that a script adds later cannot be found"
        raise error

    return page_call(address, Step.VISIT, bots)


def upload(body: Multipart) -> Call[File]:
    """Return the call that uploads the file in ``body``. Source: protocol section 1.5."""
    return _call(UPLOAD, body, lambda answer: _read_file(answer["data"]))


def delete_files(ids: Iterable[str]) -> Call[int]:
    """Return the call that deletes uploaded files. Its value is the number of deleted files.

    Source: protocol section 1.5.
    """
    return _call(DELETE_FILES, {"files": list(ids)}, lambda answer: int(answer.get("deleted", 0)))


def discussions(bot: Mapping[str, str | None], offset: int, limit: int) -> Call[list[Discussion]]:
    """Return the call that lists the discussions of a logged-in user with one bot.

    ``bot`` names the bot: a dict with ``botId`` and ``customId``. ``offset`` is the number of discussions to skip, and
    ``limit`` the largest number to return. Source: protocol section 1.6.
    """
    return _list_discussions(bot, offset, limit, lambda answer: _read_page(answer).discussions)


def discussion_page(bot: Mapping[str, str | None], offset: int, limit: int) -> Call[DiscussionPage]:
    """Return the call that lists discussions as :func:`discussions` does, with the numbers that paging needs."""
    return _list_discussions(bot, offset, limit, _read_page)


def _list_discussions(bot: Mapping[str, str | None], offset: int, limit: int, read: Callable[[Json], T]) -> Call[T]:
    fields = {key: value for key, value in bot.items() if value} | {"offset": offset, "limit": limit}
    return _call(DISCUSSIONS + "list", fields, read, requirement=_DISCUSSIONS_NEED)


def rename_discussion(chat_id: str, title: str) -> Call[None]:
    """Return the call that changes the title of a discussion. Source: protocol section 1.6."""
    fields = {"chatId": chat_id, "title": title}
    return _call(DISCUSSIONS + "edit", fields, lambda answer: None, requirement=_DISCUSSIONS_NEED)


def delete_discussions(chat_ids: Iterable[str]) -> Call[None]:
    """Return the call that deletes discussions. Source: protocol section 1.6."""
    fields = {"chatIds": list(chat_ids)}
    return _call(DISCUSSIONS + "delete", fields, lambda answer: None, requirement=_DISCUSSIONS_NEED)


def search(
    text: str, method: SearchMethod, env_id: str | None, website_context: str | None
) -> Call[list[SearchResult]]:
    """Return the call that searches the posts of the site. It needs no nonce.

    ``env_id`` and ``website_context`` are left out if they are None. Raises InvalidInput for a text that cannot be sent
    as JSON. Source: protocol section 1.7.
    """
    optional = {"envId": env_id, "websiteContext": website_context}
    fields = {"search": text, "method": method} | {key: value for key, value in optional.items() if value is not None}
    return _call(SEARCH, fields, _read_results, needs_nonce=False, requirement=_SEARCH_NEEDS)


def public(
    token: str | None,
    name: str,
    fields: Mapping[str, Any] | None,
    *,
    needs_nonce: bool = True,
    is_guest: bool = False,
) -> Call[Any]:
    """Return the call to the function ``name`` of the public API. Its value is the ``data`` field of the answer.

    ``fields`` are sent as JSON, without those with the value None. If ``fields`` is None, the call is a GET.
    ``needs_nonce`` is false for a login by password, which the public API accepts without a nonce. With ``is_guest``
    the error for a refusal advises the caller to log in. The call is sent in any case, since some sites allow guests.
    Raises InvalidInput for fields that cannot be sent as JSON. Source: protocol section 1.8.
    """
    method = "POST" if fields is not None else "GET"
    sent = None if fields is None else {key: value for key, value in fields.items() if value is not None}
    return _call(
        PUBLIC_API + name,
        sent,
        lambda answer: answer["data"],
        method=method,
        token=token,
        needs_nonce=needs_nonce,
        advice=_ADVICE_FOR_GUESTS if is_guest else "",
    )


def public_upload(
    token: str | None, body: Multipart, *, needs_nonce: bool = True, is_guest: bool = False
) -> Call[File]:
    """Return the call that uploads a file through the public API; :func:`public` explains the parameters.

    Source: protocol section 1.8.
    """
    return _call(
        PUBLIC_API + "simpleFileUpload",
        body,
        lambda answer: _read_file(answer["data"]),
        token=token,
        needs_nonce=needs_nonce,
        advice=_ADVICE_FOR_GUESTS if is_guest else "",
    )


def _encode_json(content: Mapping[str, Any] | None) -> bytes:
    try:
        return b"" if content is None else json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the fields cannot be sent as JSON: {error}") from None


def _read_file(data: Json) -> File:
    name = str(data["id"]) if type(data["id"]) is int else data["id"]
    if not is_id(name):
        raise ValueError("the file has no id, or an id that cannot be sent back")
    url = data.get("url")
    return File(name, printable(url) if isinstance(url, str) else "")


def _read_page(answer: Json) -> DiscussionPage:
    chats = answer["chats"]
    found = [_read_discussion(row) for row in chats if isinstance(row, dict) and row.get("chatId")]
    return DiscussionPage(found, len(chats), _read_number(answer.get("total")))


def _read_discussion(row: Json) -> Discussion:
    """Return the discussion in one row of the list. The site sends ``messages`` and ``extra`` as JSON in strings."""
    messages, extra = _decode_or(row.get("messages"), []), _decode_or(row.get("extra"), {})
    return Discussion(
        chat_id=str(row["chatId"]),
        title=printable(str(row.get("title") or "")),
        bot_id=str(row.get("botId") or ""),
        messages=tuple(
            {"role": printable(item["role"]), "content": printable(item["content"])}
            for item in messages
            if isinstance(item, dict) and all(isinstance(item.get(key), str) for key in ("role", "content"))
        ),
        previous_response_id=extra["previousResponseId"] if is_id(extra.get("previousResponseId")) else "",
        created=printable(str(row.get("created") or "")),
        updated=printable(str(row.get("updated") or "")),
        raw=row,
    )


def _read_results(answer: Json) -> list[SearchResult]:
    rows = answer["results"]
    if isinstance(rows, dict):  # PHP sends a list with gaps as an object
        rows = list(rows.values())
    if not isinstance(rows, list):
        raise TypeError("the results are not a list")
    return [_read_result(row) for row in rows]


def _read_result(row: Any) -> SearchResult:
    """Return the result in one row. A field of an unexpected type is left out; ``raw`` has it."""
    fields = row if isinstance(row, dict) else {}
    title, excerpt = (_plain(fields.get(name)) for name in ("title", "excerpt"))
    return SearchResult(_read_number(fields.get("id")) or 0, title, excerpt, _read_score(fields.get("score")), row)


def _plain(value: Any) -> str:
    """Return the words of a piece of HTML, or ``""`` for a value that is not a string."""
    return " ".join(printable(unescape(TAG.sub("", value))).split()) if isinstance(value, str) else ""


def _read_number(value: Any) -> int | None:
    """Return a whole number from 0, which may be a string of digits, or None for another value."""
    text = str(value) if type(value) in (int, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def _read_score(value: Any) -> float | None:
    """Return a finite number, which may be a string, or None for another value."""
    number = to_number(value)
    return None if number is None else float(number)


def _decode_or(value: Any, default: Any) -> Any:
    """Return the value that a string of JSON holds; a value that is not a string is returned as it is.

    Returns ``default`` for invalid JSON, and if the result has another type than ``default``.
    """
    try:
        value = decode_json(value) if isinstance(value, str) else value
    except ValueError:
        return default
    return value if isinstance(value, type(default)) else default
