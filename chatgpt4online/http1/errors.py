"""What can go wrong between here and a server. None of it derives from an error of h11, ssl or a socket."""

from __future__ import annotations


class HttpError(Exception):
    """An exchange that failed; nothing else is raised for what the network or the peer did."""


class ConnectError(HttpError):
    """There is no connection; ``retryable`` is false where another try cannot help."""

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class Disconnected(HttpError):
    """The connection was reset or closed; ``begun`` says whether some of the response had come."""

    def __init__(self, message: str, *, begun: bool = True) -> None:
        super().__init__(message)
        self.begun = begun


class IncompleteBody(HttpError):
    """The peer closed the connection in good order, but in the middle of a body."""


class BadResponse(HttpError):
    """What came is not HTTP, or is more than a response may hold."""


class BadEncoding(BadResponse):
    """What came is HTTP, but its compression is broken."""


class WaitExpired(HttpError):
    """Nothing came in time; ``clock`` is ``"connect"``, ``"first_byte"`` or ``"idle"``."""

    def __init__(self, clock: str) -> None:
        super().__init__(clock)
        self.clock = clock
