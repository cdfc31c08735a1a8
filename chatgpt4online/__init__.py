"""Stream chats from WordPress sites that run the AI Engine plugin.

``ask`` and ``stream`` are for scripts, ``Client`` for programs; ``EventParser`` and ``Turn`` are for those who bring
their own I/O. Each name is loaded when it is first used, so that importing the parser loads no HTTP library.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # type checkers take this name for true; importing typing for it would cost more than the parser
if TYPE_CHECKING:
    from .async_client import AsyncClient as AsyncClient
    from .async_client import aask as aask
    from .async_client import astream as astream
    from .async_streaming import AsyncStream as AsyncStream
    from .client import Client as Client
    from .client import ask as ask
    from .client import stream as stream
    from .conversation import AsyncConversation as AsyncConversation
    from .conversation import Conversation as Conversation
    from .protocol.calls import Discussion as Discussion
    from .protocol.calls import File as File
    from .protocol.errors import Blocked as Blocked
    from .protocol.errors import ChatError as ChatError
    from .protocol.errors import ConnectionFailed as ConnectionFailed
    from .protocol.errors import InvalidInput as InvalidInput
    from .protocol.errors import InvalidState as InvalidState
    from .protocol.errors import LocalError as LocalError
    from .protocol.errors import NonceRefused as NonceRefused
    from .protocol.errors import NotAiEngine as NotAiEngine
    from .protocol.errors import ProtocolError as ProtocolError
    from .protocol.errors import RateLimited as RateLimited
    from .protocol.errors import ServerError as ServerError
    from .protocol.errors import StatusError as StatusError
    from .protocol.errors import TimedOut as TimedOut
    from .protocol.errors import TooLarge as TooLarge
    from .protocol.errors import Truncated as Truncated
    from .protocol.events import Action as Action
    from .protocol.events import Block as Block
    from .protocol.events import Done as Done
    from .protocol.events import Event as Event
    from .protocol.events import Failed as Failed
    from .protocol.events import Notice as Notice
    from .protocol.events import Reply as Reply
    from .protocol.events import Shortcut as Shortcut
    from .protocol.events import Text as Text
    from .protocol.events import Usage as Usage
    from .protocol.messages import format_prompt as format_prompt
    from .protocol.page import Bot as Bot
    from .protocol.parser import EventParser as EventParser
    from .protocol.timeout import Timeout as Timeout
    from .protocol.turn import Turn as Turn
    from .protocol.wire import VERSION as __version__  # noqa: F401, N811  # the name that Python expects
    from .protocol.wire import Request as Request
    from .protocol.wire import Session as Session
    from .protocol.wire import Submission as Submission
    from .provider import Chatgpt4Online as Chatgpt4Online
    from .streaming import Stream as Stream

__all__ = [
    "Action",
    "AsyncClient",
    "AsyncConversation",
    "AsyncStream",
    "Block",
    "Blocked",
    "Bot",
    "ChatError",
    "Chatgpt4Online",
    "Client",
    "ConnectionFailed",
    "Conversation",
    "Discussion",
    "Done",
    "Event",
    "EventParser",
    "Failed",
    "File",
    "InvalidInput",
    "InvalidState",
    "LocalError",
    "NonceRefused",
    "NotAiEngine",
    "Notice",
    "ProtocolError",
    "RateLimited",
    "Reply",
    "Request",
    "ServerError",
    "Session",
    "Shortcut",
    "StatusError",
    "Stream",
    "Submission",
    "Text",
    "TimedOut",
    "Timeout",
    "TooLarge",
    "Truncated",
    "Turn",
    "Usage",
    "aask",
    "ask",
    "astream",
    "format_prompt",
    "stream",
]

_HOMES = {
    "async_client": ("AsyncClient", "aask", "astream"),
    "async_streaming": ("AsyncStream",),
    "client": ("Client", "ask", "stream"),
    "conversation": ("AsyncConversation", "Conversation"),
    "protocol.calls": ("Discussion", "File"),
    "protocol.errors": (
        "Blocked",
        "ChatError",
        "ConnectionFailed",
        "InvalidInput",
        "InvalidState",
        "LocalError",
        "NonceRefused",
        "NotAiEngine",
        "ProtocolError",
        "RateLimited",
        "ServerError",
        "StatusError",
        "TimedOut",
        "TooLarge",
        "Truncated",
    ),
    "protocol.events": ("Action", "Block", "Done", "Event", "Failed", "Notice", "Reply", "Shortcut", "Text", "Usage"),
    "protocol.messages": ("format_prompt",),
    "protocol.page": ("Bot",),
    "protocol.parser": ("EventParser",),
    "protocol.timeout": ("Timeout",),
    "protocol.turn": ("Turn",),
    "protocol.wire": ("Request", "Session", "Submission"),
    "provider": ("Chatgpt4Online",),
    "streaming": ("Stream",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name == "__version__":
        return import_module(".protocol.wire", __name__).VERSION
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
