"""One function for each call that is not a chat question: pages, files, discussions and the public API.

Each function returns a :class:`Call`, which an :class:`~.exchange.Exchange` carries out.
"""

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

# The public API is an option of the plugin. It is off until the site's owner turns it on.
_ADVICE_WITH_TOKEN = "the site's public API must be on, and the bearer token must be the one of the site"  # noqa: S105  # not a token
_ADVICE_FOR_GUESTS = "the public API needs Client(token=...) or a login (auth= or cookies=), and must be on"

UPLOAD = "/mwai-ui/v1/files/upload"
DELETE_FILES = "/mwai-ui/v1/files/delete"
DISCUSSIONS = "/mwai-ui/v1/discussions/"
PUBLIC_API = "/mwai/v1/"


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
    fields = {key: value for key, value in bot.items() if value} | {"offset": offset, "limit": limit}
    return _call(DISCUSSIONS + "list", fields, _read_discussions)


def rename_discussion(chat_id: str, title: str) -> Call[None]:
    """Return the call that changes the title of a discussion. Source: protocol section 1.6."""
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


def _read_discussions(answer: Json) -> list[Discussion]:
    return [_read_discussion(row) for row in answer["chats"] if isinstance(row, dict) and row.get("chatId")]


def _read_discussion(row: Json) -> Discussion:
    """Return the discussion in one row of the list. The site sends ``messages`` and ``extra`` as JSON in strings."""
    messages, extra = _decode_or(row.get("messages"), []), _decode_or(row.get("extra"), {})
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


def _decode_or(value: Any, default: Any) -> Any:
    """Return the value that a string of JSON holds; a value that is not a string is returned as it is.

    Returns ``default`` for invalid JSON, and if the result has another type than ``default``.
    """
    try:
        value = decode_json(value) if isinstance(value, str) else value
    except ValueError:
        return default
    return value if isinstance(value, type(default)) else default
