"""Errors of the network and of the peer. None of them derives from an error of h11, ssl or a socket."""

from __future__ import annotations


class HttpError(Exception):
    """An exchange that failed. The network and the peer cause no other errors than these."""


class ConnectError(HttpError):
    """No connection could be made. ``retryable`` is false if another try cannot help."""

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class Disconnected(HttpError):
    """The connection was reset or closed. ``begun`` is true if a part of the response had come."""

    def __init__(self, message: str, *, begun: bool = True) -> None:
        super().__init__(message)
        self.begun = begun


class IncompleteBody(HttpError):
    """The peer closed the connection in the middle of a body, without a reset."""


class BadResponse(HttpError):
    """The bytes are not HTTP, or they are over a limit."""


class BadEncoding(BadResponse):
    """The body has a content coding that cannot be decoded here, or its compressed data is corrupt."""


class BodyTooLarge(BadEncoding):
    """A small compressed body decodes to an enormous one."""


class WaitExpired(HttpError):
    """Too little came in time. ``clock`` is ``"connect"``, ``"first_byte"`` or ``"idle"``."""

    def __init__(self, clock: str) -> None:
        super().__init__(clock)
        self.clock = clock
