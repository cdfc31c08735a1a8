"""Calls that are no chat: files, discussions and the public API. Each is an exchange whose answer is a value."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ...net.url import absolute
from ..parsing.bodies import decode_json
from ..parsing.errors import InvalidInput, NotAiEngine, ProtocolError, StatusError
from ..parsing.events import Done, Failed, Json
from ..parsing.parser import EventParser
from .exchange import Exchange
from .multipart import Multipart
from .page import Bot, PageParser, find_bots
from .request import Content, Session
from .roots import page_url

T = TypeVar("T")

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


class Call(Exchange, Generic[T]):
    """One request with a JSON answer, and what that answer comes to.

    ``content`` is a dict to send as JSON, a :class:`Multipart`, or None; ``read`` makes the value of the answer. With a
    bearer ``token`` it goes without a nonce. ``options`` are those of :class:`Exchange`.
    """

    def __init__(
        self,
        site: str,
        session: Session,
        route: str,
        content: Mapping[str, Any] | Multipart | None,
        read: Callable[[Json], T],
        *,
        method: str = "POST",
        token: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(site, session, **options)
        self._route = route
        self._method = method
        self._sent: Content = content if isinstance(content, Multipart) else _json(content)
        self._read = read
        self._token = token
        self._anonymous = token is not None

    def value(self) -> T:
        """Return what the answer comes to; raises its error, and InvalidState before it has come."""
        raw = self.result().raw
        try:
            return self._read(raw)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ProtocolError(f"the answer has another shape than an AI Engine site's: {raw!r:.200}") from error

    def _content(self) -> tuple[dict[str, str], Content]:
        headers = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        if isinstance(self._sent, Multipart):
            headers |= {"Content-Type": self._sent.content_type, "Content-Length": str(len(self._sent))}
        elif self._sent:
            headers["Content-Type"] = "application/json"
        return headers, self._sent

    def _annotate(self, outcome: Done | Failed) -> None:
        error = outcome.error if isinstance(outcome, Failed) else None
        if self._token is not None and isinstance(error, StatusError) and error.status in (401, 403, 404):
            error.advice = "the site's public API must be on, and the bearer token right"


class PageVisit(Call[list[Bot]]):
    """A page of the site, and the chat widgets on it."""

    def __init__(self, site: str, session: Session, page: str, **options: Any) -> None:
        super().__init__(site, session, "page", None, lambda answer: find_bots(answer["page"]), method="GET", **options)
        self._anonymous = True
        address = absolute(page_url(site), page)
        if address is None:
            raise InvalidInput(f"a page is a path such as '/chat/', or a web address, not {page!r}")
        self._page = address

    def value(self) -> list[Bot]:
        """Return the widgets of the page. Raises NotAiEngine for a page that has none."""
        bots = super().value()
        if not bots:
            error = NotAiEngine(200, message=f"there is no chat widget on {self._page}")
            error.advice = "give the page that shows the chat; widgets that a script adds later cannot be seen"
            raise error
        return bots

    def _place(self) -> str:
        return self._page

    def _content(self) -> tuple[dict[str, str], Content]:
        return {"Accept": "text/html"}, b""

    def _new_parser(self, status: int, headers: dict[str, str]) -> EventParser | PageParser:
        return PageParser(status, headers, self._limits["max_body_size"])


def upload(site: str, session: Session, body: Multipart, **options: Any) -> Call[File]:
    """Return the call that uploads the file in ``body``. Source: protocol section 1.5."""
    return Call(site, session, UPLOAD, body, lambda answer: _file(answer["data"]), **options)


def delete_files(site: str, session: Session, ids: Iterable[str], **options: Any) -> Call[int]:
    """Return the call that deletes uploaded files; its value is how many there were. Source: protocol section 1.5."""
    return Call(
        site, session, DELETE_FILES, {"files": list(ids)}, lambda answer: int(answer.get("deleted", 0)), **options
    )


def discussions(
    site: str, session: Session, bot: Mapping[str, str | None], offset: int, limit: int, **options: Any
) -> Call[list[Discussion]]:
    """Return the call that lists the discussions of a logged-in user. Source: protocol section 1.6."""
    fields = {key: value for key, value in bot.items() if value} | {"offset": offset, "limit": limit}
    return Call(site, session, DISCUSSIONS + "list", fields, _discussions, **options)


def rename_discussion(site: str, session: Session, chat_id: str, title: str, **options: Any) -> Call[None]:
    """Return the call that gives a discussion another title. Source: protocol section 1.6."""
    return Call(
        site, session, DISCUSSIONS + "edit", {"chatId": chat_id, "title": title}, lambda answer: None, **options
    )


def delete_discussions(site: str, session: Session, chat_ids: Iterable[str], **options: Any) -> Call[None]:
    """Return the call that deletes discussions. Source: protocol section 1.6."""
    return Call(site, session, DISCUSSIONS + "delete", {"chatIds": list(chat_ids)}, lambda answer: None, **options)


def public(
    site: str, session: Session, token: str | None, name: str, fields: Mapping[str, Any] | None, **options: Any
) -> Call[Any]:
    """Return the call of a function of the public API; its value is the answer's ``data``. Source: section 1.8."""
    method = "POST" if fields is not None else "GET"
    sent = fields and {key: value for key, value in fields.items() if value is not None}
    return Call(
        site, session, PUBLIC_API + name, sent, lambda answer: answer["data"], method=method, token=token, **options
    )


def public_upload(site: str, session: Session, token: str | None, body: Multipart, **options: Any) -> Call[File]:
    """Return the call that uploads a file by the public API. Source: protocol section 1.8."""
    route = PUBLIC_API + "simpleFileUpload"
    return Call(site, session, route, body, lambda answer: _file(answer["data"]), token=token, **options)


def _json(content: Mapping[str, Any] | None) -> bytes:
    try:
        return b"" if content is None else json.dumps(content, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"this cannot be sent as JSON: {error}") from None


def _file(data: Json) -> File:
    if not isinstance(data["id"], str | int) or not data["id"]:
        raise ValueError("a file without an id")
    name = str(data["id"])
    name.encode()  # raises for what could not be sent back
    return File(name, str(data.get("url") or ""))


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
            {"role": item["role"], "content": item["content"]}
            for item in messages
            if isinstance(item, dict) and all(isinstance(item.get(key), str) for key in ("role", "content"))
        ),
        previous_response_id=str(extra.get("previousResponseId") or ""),
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
