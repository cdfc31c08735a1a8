"""Refusals in the form of OpenAI's API."""

from __future__ import annotations

import math
from typing import Any

from .. import (
    Blocked,
    ChatError,
    ConnectionFailed,
    InvalidInput,
    InvalidState,
    LimitReached,
    NotAiEngine,
    RateLimited,
    ServerError,
    StatusError,
)

Json = dict[str, Any]

_BUSY_SECONDS = 5.0  # about the time of one answer
_LONGEST_LINE = 2000  # characters of an error in the log

# The type and the code of OpenAI's API for each status that an error has, and the text for its reader. The text of the
# error itself can name the address of the site or of a proxy, so it is only logged.
_KINDS = {
    413: ("invalid_request_error", "request_too_large", "The site does not accept so large a request."),
    422: ("invalid_request_error", "invalid_value", "The request cannot be sent to the site."),
    429: ("rate_limit_error", "rate_limit_exceeded", "The site received too many requests. Try again later."),
    500: ("server_error", "server_error", "The gateway failed."),
    502: ("server_error", "server_error", "The site cannot answer."),
    503: ("server_error", "service_unavailable", "The site is not available now. Try again later."),
    504: ("server_error", "timeout", "The site took too long to answer."),
}


class Refusal(Exception):
    """A request that is not answered: the status, and the error of OpenAI's API.

    ``kind`` is its ``type``, ``param`` the parameter that is wrong, and ``retry_after`` the number of seconds to wait.
    With ``final=True``, OpenAI's clients do not repeat the request by themselves. ``partial_text`` is the text that had
    arrived.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str = "invalid_request_error",
        param: str | None = None,
        retry_after: float | None = None,
        final: bool = False,
        partial_text: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.retry_after = retry_after
        self.final = final
        self.partial_text = partial_text

    def error(self) -> Json:
        """Return the error object: ``message``, ``type``, ``param``, ``code``, and ``partial_text`` if it has text."""
        error: Json = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return error | {"partial_text": self.partial_text} if self.partial_text else error

    def headers(self) -> dict[str, str]:
        """Return the headers that belong to the refusal."""
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(math.ceil(self.retry_after))
        if self.final:
            headers["X-Should-Retry"] = "false"
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return headers


def busy(why: str) -> Refusal:
    """Return the refusal of a gateway that has reached one of its limits."""
    return _refusal(503, f"The gateway is busy: {why}. Try again later.", retry_after=_BUSY_SECONDS)


def shut_down(partial_text: str = "") -> Refusal:
    """Return the refusal of a gateway that ends. Another process can answer the request."""
    return _refusal(503, "The gateway was shut down. Try again later.", partial_text=partial_text)


def too_slow(text: str) -> Refusal:
    """Return the refusal for a site that takes too long."""
    return _refusal(504, text)


def loggable(error: Exception) -> str:
    """Return the text of an error for one line of a log. It may hold texts of the site, and a terminal may show it."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in str(error)[:_LONGEST_LINE])


def failure() -> Refusal:
    """Return the refusal for an error of the gateway itself."""
    return _refusal(500)


def refusal_of(error: ChatError) -> Refusal:
    """Return the refusal for an error of a chat. Its status is ``error.http_status``, or 503 if the gateway ends."""
    if isinstance(error, InvalidState):
        return shut_down(error.partial_text)  # the clients of the sites are closed
    text = ""
    if isinstance(error, InvalidInput):
        text = str(error)
    elif isinstance(error, ServerError):
        text = error.message  # the site wrote it for its visitors
    return _refusal(
        error.http_status,
        text,
        retry_after=error.retry_after,
        final=_is_final(error),
        partial_text=error.partial_text,
    )


def _refusal(status: int, text: str = "", **more: Any) -> Refusal:
    """Return the refusal with the type and the code of a status. Without a text, it has the one of the status."""
    kind, code, usual = _KINDS[status]
    return Refusal(status, text or usual, kind=kind, code=code, **more)


def _is_final(error: ChatError) -> bool:
    """Return whether the same request would fail again, or would make the site answer twice.

    A limit lasts for hours, and a firewall or a wrong address for longer. A slow site may still work on the question.
    """
    if isinstance(error, ConnectionFailed):
        return not error.retryable
    if isinstance(error, Blocked | LimitReached | NotAiEngine):
        return True
    is_refused = isinstance(error, StatusError) and 400 <= error.status < 500 and not isinstance(error, RateLimited)
    return is_refused or error.http_status == 504
