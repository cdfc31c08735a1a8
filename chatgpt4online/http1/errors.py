"""Errors of the network and of the peer. They do not derive from errors of h11, ssl or sockets."""

from __future__ import annotations


class HttpError(Exception):
    """The exchange failed. All errors that the network or the peer can cause derive from this one."""


class ConnectError(HttpError):
    """The connection failed before a request was sent. ``retryable`` is false if another try cannot help."""

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class Disconnected(HttpError):
    """The connection was reset or closed. ``begun`` is true if a part of the response had arrived."""

    def __init__(self, message: str, *, begun: bool = True) -> None:
        super().__init__(message)
        self.begun = begun


class IncompleteBody(HttpError):
    """The peer closed the connection in the middle of a body, without a reset."""


class BadResponse(HttpError):
    """The bytes are not HTTP, or they exceed a limit."""


class BadEncoding(BadResponse):
    """The content coding of the body is not supported, or the compressed data is corrupt."""


class BodyTooLarge(BadEncoding):
    """A small compressed body decodes to an enormous one."""


class WaitExpired(HttpError):
    """A time limit passed. ``clock`` is its name: ``"connect"``, ``"first_byte"`` or ``"idle"``."""

    def __init__(self, clock: str) -> None:
        super().__init__(clock)
        self.clock = clock
