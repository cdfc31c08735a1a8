"""The machines under test. Change only this file when a constructor changes.

All other files drive a machine by ``next_request()``, the four ``receive_*`` methods, ``over`` and the value.
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
    """The methods of every machine."""

    @property
    def over(self) -> bool: ...
    def next_request(self) -> Request | None: ...
    def receive_response(self, status: int, headers: Iterable[tuple[str, str]]) -> list[Any]: ...
    def receive_data(self, data: bytes) -> list[Any]: ...
    def receive_eof(self) -> list[Any]: ...
    def receive_error(self, error: ConnectionFailed) -> list[Any]: ...


@dataclass(frozen=True)
class Subject:
    """A new machine and a function for its value. ``value`` returns a value for JSON, or raises the error."""

    machine: Machine
    value: Callable[[], Any]


def turn(site: str, session: Session, headers: Mapping[str, str], **options: Any) -> Subject:
    """Return a question."""
    machine = Turn(site, Submission("Hello", chat_id="c1"), session, headers=headers, **options)
    return Subject(machine, lambda: _reply(machine))


def turn_with_upload(site: str, session: Session, headers: Mapping[str, str], **options: Any) -> Subject:
    """Return a question with one file, which is uploaded first."""
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
    """Return a call of the public API that sends fields."""
    call = endpoints.public(token, "simpleTextQuery", {"message": "Hello"})
    machine = Exchange(call, site, session, headers=headers, **options)
    return Subject(machine, machine.result)


def public_get(
    site: str, session: Session, headers: Mapping[str, str], token: str | None = TOKEN, **options: Any
) -> Subject:
    """Return a call of the public API that sends no fields, so that it is a GET."""
    call = endpoints.public(token, "listChatbots", None)
    machine = Exchange(call, site, session, headers=headers, **options)
    return Subject(machine, machine.result)


def public_get_login(site: str, session: Session, headers: Mapping[str, str], **options: Any) -> Subject:
    """Return the same GET without a token, for a user who is logged in."""
    return public_get(site, session, headers, token=None, **options)


def visit_page(site: str, session: Session, headers: Mapping[str, str], **options: Any) -> Subject:
    """Return the visit of a page."""
    machine = Exchange(endpoints.visit(site, PAGE), site, session, headers=headers, **options)
    return Subject(machine, lambda: [[bot.bot_id, bot.rest_root, bot.nonce] for bot in machine.result()])


def handshake(site: str, session: Session, headers: Mapping[str, str], **options: Any) -> Subject:
    """Return an exchange that only starts a session. Its value is empty."""
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
    """Return the network failure of that name: ``lost``, ``hopeless``, or the name of a time limit."""
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
