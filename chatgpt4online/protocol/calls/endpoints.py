"""The calls that are not chats: pages, files, discussions and the public API, each as a value."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ...net.url import absolute, redacted
from ..parsing.bodies import decode_json, printable
from ..parsing.errors import InvalidInput, NotAiEngine
from ..parsing.events import Json
from .call import Call, JsonReader
from .multipart import Multipart
from .page import Bot, Page, page_call
from .policies import Step
from .request import Content, is_id
from .roots import holds_credentials, page_url

T = TypeVar("T")

_ADVICE_WITH_A_KEY = "the site's public API must be on, and the bearer token right"
_ADVICE_FOR_GUESTS = "the public API needs Client(token=...) or a login (auth= or cookies=), and must be on"

UPLOAD = "/mwai-ui/v1/files/upload"
DELETE_FILES = "/mwai-ui/v1/files/delete"
DISCUSSIONS = "/mwai-ui/v1/discussions/"
PUBLIC_API = "/mwai/v1/"


@dataclass(frozen=True, slots=True)
class File:
    """A file that was uploaded: pass it in ``files=[...]`` of a question. Most sites keep it for an hour.

    ``id`` is the site's name for it, ``url`` where it can be seen by anybody who knows that.
    """

    id: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Discussion:
    """A conversation that the site has stored for a logged-in user. Source: protocol section 1.6.

    ``messages`` are dicts with ``role`` and ``content``; ``previous_response_id`` is what the next question needs;
    ``created`` and ``updated`` are the site's own words for the times; ``raw`` is the row as it came.
    """

    chat_id: str
    title: str = ""
    bot_id: str = ""
    messages: tuple[dict[str, str], ...] = ()
    previous_response_id: str = ""
    created: str = ""
    updated: str = ""
    raw: Json = field(default_factory=dict, repr=False)


def _call(
    route: str,
    content: Mapping[str, Any] | Multipart | None,
    read: Callable[[Json], T],
    *,
    method: str = "POST",
    token: str | None = None,
    needs_nonce: bool = True,
    advice: str = "",
) -> Call[T]:
    """Return the call of a REST route with a JSON answer.

    ``content`` is a dict to send as JSON, a :class:`Multipart`, or None. ``read`` turns the JSON object of the answer
    into the value. The call is sent without a nonce if it has a bearer ``token``, or if ``needs_nonce`` is false.
    Raises InvalidInput for content that cannot be sent.
    """
    sent: Content = content if isinstance(content, Multipart) else _json(content)
    headers = {"Accept": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if isinstance(sent, Multipart):
        headers |= {"Content-Type": sent.content_type, "Content-Length": str(len(sent))}
    elif sent:
        headers["Content-Type"] = "application/json"
    return Call(
        Step.CALL if token is None and needs_nonce else Step.OPEN_CALL,
        method,
        route,
        body=lambda session_id: (headers, sent),
        reader=JsonReader,
        read=read,
        advice=advice if token is None else _ADVICE_WITH_A_KEY,
    )


def visit(site: str, page: str) -> Call[list[Bot]]:
    """Return the call that reads the chat widgets of a page; ``page`` is a path of the site or an address.

    It fails with NotAiEngine for a page without any. Raises InvalidInput for an address that cannot be asked.
    """
    address = absolute(page_url(site), page) if isinstance(page, str) else None
    if address is None:
        what = repr(redacted(page))[:100] if isinstance(page, str) else repr(page)[:100]
        raise InvalidInput(f"a page is a path such as '/chat/', or a web address, not {what}")
    if holds_credentials(address):
        raise InvalidInput("a page's address holds no name and password; give them as auth=(name, password)")

    def bots(page: Page) -> list[Bot]:
        if page.bots:
            return list(page.bots)
        error = NotAiEngine(200, message=f"there is no chat widget on {address}")
        error.advice = "give the page that shows the chat; widgets that a script adds later cannot be seen"
        raise error

    return page_call(address, Step.VISIT, bots)


def upload(body: Multipart) -> Call[File]:
    """Return the call that uploads the file in ``body``. Source: protocol section 1.5."""
    return _call(UPLOAD, body, lambda answer: _file(answer["data"]))


def delete_files(ids: Iterable[str]) -> Call[int]:
    """Return the call that deletes uploaded files; its value is how many there were. Source: protocol section 1.5."""
    return _call(DELETE_FILES, {"files": list(ids)}, lambda answer: int(answer.get("deleted", 0)))


def discussions(bot: Mapping[str, str | None], offset: int, limit: int) -> Call[list[Discussion]]:
    """Return the call that lists the discussions of a logged-in user. Source: protocol section 1.6."""
    fields = {key: value for key, value in bot.items() if value} | {"offset": offset, "limit": limit}
    return _call(DISCUSSIONS + "list", fields, _discussions)


def rename_discussion(chat_id: str, title: str) -> Call[None]:
    """Return the call that gives a discussion another title. Source: protocol section 1.6."""
    return _call(DISCUSSIONS + "edit", {"chatId": chat_id, "title": title}, lambda answer: None)


def delete_discussions(chat_ids: Iterable[str]) -> Call[None]:
    """Return the call that deletes discussions. Source: protocol section 1.6."""
    return _call(DISCUSSIONS + "delete", {"chatIds": list(chat_ids)}, lambda answer: None)


def public(
    token: str | None,
    name: str,
    fields: Mapping[str, Any] | None,
    *,
    needs_nonce: bool = True,
    is_guest: bool = False,
) -> Call[Any]:
    """Return the call of a function of the public API; its value is the answer's ``data``.

    A password login needs no nonce for it. A guest is served by sites that allow guests, and otherwise gets advice.
    Source: protocol section 1.8.
    """
    method = "POST" if fields is not None else "GET"
    sent = fields and {key: value for key, value in fields.items() if value is not None}
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
    """Return the call that uploads a file by the public API. Source: protocol section 1.8."""
    return _call(
        PUBLIC_API + "simpleFileUpload",
        body,
        lambda answer: _file(answer["data"]),
        token=token,
        needs_nonce=needs_nonce,
        advice=_ADVICE_FOR_GUESTS if is_guest else "",
    )


def _json(content: Mapping[str, Any] | None) -> bytes:
    try:
        return b"" if content is None else json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"this cannot be sent as JSON: {error}") from None


def _file(data: Json) -> File:
    name = str(data["id"]) if type(data["id"]) is int else data["id"]
    if not is_id(name):
        raise ValueError("a file without an id that could be sent back")
    url = data.get("url")
    return File(name, printable(url) if isinstance(url, str) else "")


def _discussions(answer: Json) -> list[Discussion]:
    return [_discussion(row) for row in answer["chats"] if isinstance(row, dict) and row.get("chatId")]


def _discussion(row: Json) -> Discussion:
    """Return a row; its messages and extras are JSON within the JSON."""
    messages, extra = _inner(row.get("messages"), []), _inner(row.get("extra"), {})
    return Discussion(
        chat_id=str(row["chatId"]),
        title=str(row.get("title") or ""),
        bot_id=str(row.get("botId") or ""),
        messages=tuple(
            {"role": printable(item["role"]), "content": printable(item["content"])}
            for item in messages
            if isinstance(item, dict) and all(isinstance(item.get(key), str) for key in ("role", "content"))
        ),
        previous_response_id=extra["previousResponseId"] if is_id(extra.get("previousResponseId")) else "",
        created=str(row.get("created") or ""),
        updated=str(row.get("updated") or ""),
        raw=row,
    )


def _inner(value: Any, otherwise: Any) -> Any:
    try:
        value = decode_json(value) if isinstance(value, str) else value
    except ValueError:
        return otherwise
    return value if isinstance(value, type(otherwise)) else otherwise
