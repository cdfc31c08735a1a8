"""Stream chats from WordPress sites that run the AI Engine plugin.

``ask`` and ``stream`` are for scripts. ``Client`` and ``AsyncClient`` are for services. ``EventParser`` and ``Turn``
are for programs with their own I/O. Each name is loaded on first use, so that importing the parser loads no HTTP
library.
"""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False  # type checkers read this name as True; an import of typing would take longer than the parser
if TYPE_CHECKING:
    from ._version import __version__ as __version__
    from .aio.client import AsyncClient as AsyncClient
    from .aio.client import aask as aask
    from .aio.client import astream as astream
    from .aio.conversation import AsyncConversation as AsyncConversation
    from .aio.stream import AsyncStream as AsyncStream
    from .options import ClientOptions as ClientOptions
    from .protocol.calls.deadline import Timeout as Timeout
    from .protocol.calls.endpoints import Discussion as Discussion
    from .protocol.calls.endpoints import File as File
    from .protocol.calls.endpoints import SearchResult as SearchResult
    from .protocol.calls.page import Bot as Bot
    from .protocol.calls.prompt import Submission as Submission
    from .protocol.calls.prompt import format_prompt as format_prompt
    from .protocol.calls.request import Request as Request
    from .protocol.calls.request import Session as Session
    from .protocol.calls.turn import Turn as Turn
    from .protocol.parsing.errors import Blocked as Blocked
    from .protocol.parsing.errors import ChatError as ChatError
    from .protocol.parsing.errors import ConnectionFailed as ConnectionFailed
    from .protocol.parsing.errors import InvalidInput as InvalidInput
    from .protocol.parsing.errors import InvalidState as InvalidState
    from .protocol.parsing.errors import LimitReached as LimitReached
    from .protocol.parsing.errors import LocalError as LocalError
    from .protocol.parsing.errors import NonceRefused as NonceRefused
    from .protocol.parsing.errors import NotAiEngine as NotAiEngine
    from .protocol.parsing.errors import ProtocolError as ProtocolError
    from .protocol.parsing.errors import RateLimited as RateLimited
    from .protocol.parsing.errors import ServerError as ServerError
    from .protocol.parsing.errors import StatusError as StatusError
    from .protocol.parsing.errors import TimedOut as TimedOut
    from .protocol.parsing.errors import TooLarge as TooLarge
    from .protocol.parsing.errors import Truncated as Truncated
    from .protocol.parsing.events import Action as Action
    from .protocol.parsing.events import Block as Block
    from .protocol.parsing.events import Done as Done
    from .protocol.parsing.events import Event as Event
    from .protocol.parsing.events import Failed as Failed
    from .protocol.parsing.events import Notice as Notice
    from .protocol.parsing.events import Reply as Reply
    from .protocol.parsing.events import Shortcut as Shortcut
    from .protocol.parsing.events import Text as Text
    from .protocol.parsing.events import Usage as Usage
    from .protocol.parsing.parser import EventParser as EventParser
    from .provider import Chatgpt4Online as Chatgpt4Online
    from .sync.client import Client as Client
    from .sync.client import ask as ask
    from .sync.client import stream as stream
    from .sync.conversation import Conversation as Conversation
    from .sync.stream import Stream as Stream
    from .tracing import ResponseInfo as ResponseInfo

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
    "ClientOptions",
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
    "LimitReached",
    "LocalError",
    "NonceRefused",
    "NotAiEngine",
    "Notice",
    "ProtocolError",
    "RateLimited",
    "Reply",
    "Request",
    "ResponseInfo",
    "SearchResult",
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

_MODULES = {
    "_version": ("__version__",),
    "aio.client": ("AsyncClient", "aask", "astream"),
    "aio.conversation": ("AsyncConversation",),
    "aio.stream": ("AsyncStream",),
    "options": ("ClientOptions",),
    "protocol.calls.deadline": ("Timeout",),
    "protocol.calls.endpoints": ("Discussion", "File", "SearchResult"),
    "protocol.calls.page": ("Bot",),
    "protocol.calls.prompt": ("Submission", "format_prompt"),
    "protocol.calls.request": ("Request", "Session"),
    "protocol.calls.turn": ("Turn",),
    "protocol.parsing.errors": (
        "Blocked",
        "ChatError",
        "ConnectionFailed",
        "InvalidInput",
        "InvalidState",
        "LimitReached",
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
    "protocol.parsing.events": (
        "Action",
        "Block",
        "Done",
        "Event",
        "Failed",
        "Notice",
        "Reply",
        "Shortcut",
        "Text",
        "Usage",
    ),
    "protocol.parsing.parser": ("EventParser",),
    "provider": ("Chatgpt4Online",),
    "sync.client": ("Client", "ask", "stream"),
    "sync.conversation": ("Conversation",),
    "sync.stream": ("Stream",),
    "tracing": ("ResponseInfo",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        # Python suggests a similar name when the error has the name and the module.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
