"""The machines under test, and all that this table knows of their insides: change this file when constructors change.

Everything else drives a machine by ``next_request()``, the four ``receive_*`` methods, ``over`` and the value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol

from chatgpt4online.protocol.calls import endpoints
from chatgpt4online.protocol.calls.exchange import Exchange
from chatgpt4online.protocol.calls.multipart import Multipart
from chatgpt4online.protocol.calls.prompt import Submission
from chatgpt4online.protocol.calls.request import Request, Session
from chatgpt4online.protocol.calls.turn import Turn
from chatgpt4online.protocol.parsing.errors import ConnectionFailed, TimedOut

__all__ = ["SUBJECTS", "Machine", "Request", "Session", "Subject", "failure"]

TOKEN = "the-token"
PAGE = "/chat/"


class Machine(Protocol):
    """What every machine can do."""

    @property
    def over(self) -> bool: ...
    def next_request(self) -> Request | None: ...
    def receive_response(self, status: int, headers: Iterable[tuple[str, str]]) -> list[Any]: ...
    def receive_data(self, data: bytes) -> list[Any]: ...
    def receive_eof(self) -> list[Any]: ...
    def receive_error(self, error: ConnectionFailed) -> list[Any]: ...


@dataclass(frozen=True)
class Subject:
    """A fresh machine, and how its value is read: ``value`` returns something JSON can hold, or raises the error."""

    machine: Machine
    value: Callable[[], Any]


def turn(site: str, session: Session, headers: Mapping[str, str], **options: Any) -> Subject:
    """Return a question."""
    machine = Turn(site, Submission("Hello", chat_id="c1"), session, headers=headers, **options)
    return Subject(machine, lambda: _reply(machine))


def turn_with_upload(site: str, session: Session, headers: Mapping[str, str], **options: Any) -> Subject:
    """Return a question that has one file to upload before it."""
    uploads = [Exchange(endpoints.upload(_file()), site, session, headers=headers, **options)]
    question = Submission("Hello", chat_id="c1", awaits_files=True)
    machine = Turn(site, question, session, uploads=uploads, headers=headers, **options)
    return Subject(machine, lambda: _reply(machine))


def list_discussions(site: str, session: Session, headers: Mapping[str, str], **options: Any) -> Subject:
    """Return the call that lists discussions."""
    call = endpoints.discussions({"botId": "default"}, 0, 10)
    machine = Exchange(call, site, session, headers=headers, **options)
    return Subject(machine, lambda: [[item.chat_id, item.title] for item in machine.result()])


def upload(site: str, session: Session, headers: Mapping[str, str], **options: Any) -> Subject:
    """Return the call that uploads a file."""
    machine = Exchange(endpoints.upload(_file()), site, session, headers=headers, **options)
    return Subject(machine, lambda: [machine.result().id, machine.result().url])


def public_call(
    site: str, session: Session, headers: Mapping[str, str], token: str | None = TOKEN, **options: Any
) -> Subject:
    """Return a call of the public API that has fields to send."""
    call = endpoints.public(token, "simpleTextQuery", {"message": "Hello"})
    machine = Exchange(call, site, session, headers=headers, **options)
    return Subject(machine, machine.result)


def public_get(
    site: str, session: Session, headers: Mapping[str, str], token: str | None = TOKEN, **options: Any
) -> Subject:
    """Return a call of the public API that has nothing to send, so that it is a GET."""
    call = endpoints.public(token, "listChatbots", None)
    machine = Exchange(call, site, session, headers=headers, **options)
    return Subject(machine, machine.result)


def public_get_login(site: str, session: Session, headers: Mapping[str, str], **options: Any) -> Subject:
    """Return the same GET without a token: as whoever is logged in."""
    return public_get(site, session, headers, token=None, **options)


def visit_page(site: str, session: Session, headers: Mapping[str, str], **options: Any) -> Subject:
    """Return the visit of a page."""
    machine = Exchange(endpoints.visit(site, PAGE), site, session, headers=headers, **options)
    return Subject(machine, lambda: [[bot.bot_id, bot.rest_root, bot.nonce] for bot in machine.result()])


def handshake(site: str, session: Session, headers: Mapping[str, str], **options: Any) -> Subject:
    """Return a handshake alone; its value is nothing but success."""
    machine: Exchange[Any] = Exchange(None, site, session, headers=headers, **options)
    return Subject(machine, lambda: machine.result() is None)


SUBJECTS: dict[str, Callable[..., Subject]] = {
    "turn": turn,
    "turn_with_upload": turn_with_upload,
    "list_discussions": list_discussions,
    "upload": upload,
    "public_call": public_call,
    "public_get": public_get,
    "public_get_login": public_get_login,
    "visit_page": visit_page,
    "handshake": handshake,
}


def failure(name: str) -> ConnectionFailed:
    """Return the failure of the network of that name: ``lost``, ``hopeless``, or the clock of a time-out."""
    if name in ("lost", "hopeless"):
        error = ConnectionFailed(f"the connection is {name}")
        error.retryable = name == "lost"
        return error
    return TimedOut(name, 7.0)


def _reply(machine: Turn) -> Any:
    reply = machine.result()
    return [reply.text, reply.response_id, reply.chat_id]


def _file() -> Multipart:
    return Multipart({"purpose": "N/A"}, lambda: BytesIO(b"abc"), 3, "a.txt", "text/plain", "boundary")
