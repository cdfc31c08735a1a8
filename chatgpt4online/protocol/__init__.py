"""The protocol without I/O: questions become requests, and the bytes of answers become events.

``EventParser`` reads the body of an answer. ``Turn`` carries one question from the nonce to the last event. Each name
is loaded on first use, so that importing the parser loads nothing else.
"""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False  # type checkers read this name as True; an import of typing would take longer than the parser
if TYPE_CHECKING:
    from .calls.deadline import Timeout as Timeout
    from .calls.endpoints import Discussion as Discussion
    from .calls.endpoints import File as File
    from .calls.endpoints import SearchResult as SearchResult
    from .calls.page import Bot as Bot
    from .calls.prompt import Submission as Submission
    from .calls.prompt import format_prompt as format_prompt
    from .calls.request import Request as Request
    from .calls.request import Session as Session
    from .calls.turn import Turn as Turn
    from .parsing.errors import Blocked as Blocked
    from .parsing.errors import ChatError as ChatError
    from .parsing.errors import ConnectionFailed as ConnectionFailed
    from .parsing.errors import InvalidInput as InvalidInput
    from .parsing.errors import InvalidState as InvalidState
    from .parsing.errors import LimitReached as LimitReached
    from .parsing.errors import LocalError as LocalError
    from .parsing.errors import NonceRefused as NonceRefused
    from .parsing.errors import NotAiEngine as NotAiEngine
    from .parsing.errors import ProtocolError as ProtocolError
    from .parsing.errors import RateLimited as RateLimited
    from .parsing.errors import ServerError as ServerError
    from .parsing.errors import StatusError as StatusError
    from .parsing.errors import TimedOut as TimedOut
    from .parsing.errors import TooLarge as TooLarge
    from .parsing.errors import Truncated as Truncated
    from .parsing.events import Action as Action
    from .parsing.events import Block as Block
    from .parsing.events import Done as Done
    from .parsing.events import Event as Event
    from .parsing.events import Failed as Failed
    from .parsing.events import Notice as Notice
    from .parsing.events import Reply as Reply
    from .parsing.events import Shortcut as Shortcut
    from .parsing.events import Text as Text
    from .parsing.events import Usage as Usage
    from .parsing.parser import EventParser as EventParser

__all__ = [
    "Action",
    "Block",
    "Blocked",
    "Bot",
    "ChatError",
    "ConnectionFailed",
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
    "SearchResult",
    "ServerError",
    "Session",
    "Shortcut",
    "StatusError",
    "Submission",
    "Text",
    "TimedOut",
    "Timeout",
    "TooLarge",
    "Truncated",
    "Turn",
    "Usage",
    "format_prompt",
]

_MODULES = {
    "calls.deadline": ("Timeout",),
    "calls.endpoints": ("Discussion", "File", "SearchResult"),
    "calls.page": ("Bot",),
    "calls.prompt": ("Submission", "format_prompt"),
    "calls.request": ("Request", "Session"),
    "calls.turn": ("Turn",),
    "parsing.errors": (
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
    "parsing.events": ("Action", "Block", "Done", "Event", "Failed", "Notice", "Reply", "Shortcut", "Text", "Usage"),
    "parsing.parser": ("EventParser",),
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
