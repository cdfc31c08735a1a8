"""requests, as streams need it."""

from __future__ import annotations

import functools
import http.client
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from socket import socket
from typing import Any, TypeAlias

import requests
import urllib3
from requests.adapters import HTTPAdapter

from ..net.cookies import Cookies
from ..net.url import origin
from ..protocol.calls.deadline import Deadline
from ..protocol.calls.request import CREDENTIALS, Request
from ..protocol.parsing.errors import ChatError, ConnectionFailed, InvalidInput

RequestsSession: TypeAlias = requests.Session
"""The type of a client's ``http=``."""

_READ_SIZE = 65_536  # bytes
_FINISH_SECONDS = 0.2  # the end of a body that comes later behind the last event costs more than a new connection


_sending = threading.local()  # .watch: who wants to know the socket that this thread is about to wait at


class Transport:
    """requests, as streams need it."""

    def __init__(
        self,
        http: requests.Session | None,
        proxy: str | None,
        verify: bool | str | ssl.SSLContext,
        home: tuple[str, str, int | None],
    ) -> None:
        self._home = home
        context = verify if isinstance(verify, ssl.SSLContext) else None
        self.renewing = threading.Lock()
        self._verify = True if isinstance(verify, ssl.SSLContext) else verify
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._owned = http is None
        self._http = _new_session(context) if http is None else http
        self._cookies = Cookies(self._http.cookies)
        self._environment: dict[tuple[str, str, int | None], Any] = {}

    def close(self) -> None:
        if self._owned:
            self._http.close()

    def send(self, request: Request, deadline: Deadline, watch: Callable[[socket | None], None]) -> Response:
        session, now = self._http, time.monotonic()
        options: dict[str, Any] = {"timeout": (deadline.allow("connect", now), deadline.allow("first_byte", now))}
        waiting_at: list[socket | None] = []

        def found(at: socket | None) -> None:
            waiting_at.append(at)
            watch(at)

        _sending.watch = found
        try:
            prepared = self._prepare(request)
            options |= self._surroundings(request.url)
            response = session.get_adapter(request.url).send(prepared, **options)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _failure(error, deadline, "first_byte", request.url) from error
        finally:
            del _sending.watch
        self._cookies.keep(request.url, response.raw.headers.getlist("Set-Cookie"))
        if not waiting_at:  # the adapter of a session of the caller's own does not tell
            found(getattr(response.raw.connection, "sock", None))
        return Response(response, waiting_at[-1])

    def _surroundings(self, url: str) -> dict[str, Any]:
        """Return the proxies and the certificates for a URL; requests reads all of the environment to find them."""
        place = origin(url)
        if place not in self._environment:
            self._environment[place] = self._http.merge_environment_settings(
                url, self._proxies, True, self._verify, None
            )
        return dict(self._environment[place])

    def _prepare(self, request: Request) -> requests.PreparedRequest:
        at_home = origin(request.url) == self._home
        # An auth that does nothing keeps requests from taking one out of .netrc, over the caller's.
        auth = self._http.auth if at_home and self._http.auth else _unchanged
        raw = requests.Request(request.method, request.url, headers=dict(request.headers), data=request.body, auth=auth)
        try:
            prepared = self._http.prepare_request(raw)
        except (requests.exceptions.InvalidHeader, UnicodeError) as error:
            raise InvalidInput(f"a header cannot be sent: {error}") from error
        if not at_home:  # nor do the credentials of a session of the caller's own leave the site
            for name in CREDENTIALS - {name.lower() for name in request.headers}:
                prepared.headers.pop(name, None)
        prepared.headers.pop("Cookie", None)  # requests would send back each of the jar
        if cookie := self._cookies.header(request.url, request.headers):
            prepared.headers["Cookie"] = cookie
        return prepared


class Response:
    """A response of requests, read as streams need it."""

    def __init__(self, response: requests.Response, waiting_at: socket | None) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self.socket = waiting_at
        self._is_encoded = "Content-Encoding" in response.headers
        self._is_limited = False

    def read(self, deadline: Deadline) -> bytes:
        # Of all ways that requests has, only raw.read1 returns what is there in every framing.
        try:
            if not (self._is_limited and deadline.is_constant) and self.socket is not None:
                self.socket.settimeout(deadline.allow("idle", time.monotonic()))
                self._is_limited = True
            data: bytes = self._response.raw.read1(_READ_SIZE, decode_content=self._is_encoded)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if _is_cut_short(error):
                return b""  # the protocol knows whether the answer was complete
            raise _failure(error, deadline, "idle", self._response.url) from error
        if self._response.raw.connection is None:  # the body has ended, and the connection may be another stream's now
            self.socket = None
        return data

    def finish(self) -> None:
        if self.socket is None:
            return
        with suppress(urllib3.exceptions.HTTPError, OSError):
            self.socket.settimeout(_FINISH_SECONDS)
            for _ in range(8):  # reads: what follows the last event is short, or nothing to wait for
                if not self._response.raw.read1(_READ_SIZE, decode_content=self._is_encoded):
                    break

    def close(self) -> None:
        self._response.close()


class _Adapter(HTTPAdapter):
    """requests' adapter, which lets a thread that waits for an answer be told to stop."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        super().__init__(pool_maxsize=64)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **options, **self._tls())

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, **self._tls())

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        pool.ConnectionCls = _watched(pool.ConnectionCls)
        return pool

    def _tls(self) -> dict[str, Any]:
        return {"ssl_context": self._context} if self._context else {}


class _FinalResponse(http.client.HTTPResponse):
    """A response that is not an interim one; http.client itself skips only 100."""

    def begin(self) -> None:
        super().begin()
        while 100 < self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment]  # begin() reads again where there are none
            super().begin()


class _Watched:
    """A connection that names its socket as soon as it has one."""

    response_class = _FinalResponse

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]  # it is mixed into urllib3's connections
        _sending.watch(self.sock)  # type: ignore[attr-defined]  # the same

    def request(self, *args: Any, **options: Any) -> None:
        if self.sock is not None:  # type: ignore[attr-defined]  # the same
            _sending.watch(self.sock)  # type: ignore[attr-defined]  # the same
        super().request(*args, **options)  # type: ignore[misc]  # the same

    def getresponse(self, *args: Any, **options: Any) -> Any:
        _sending.watch(self.sock)  # type: ignore[attr-defined]  # it is mixed into urllib3's connections
        return super().getresponse(*args, **options)  # type: ignore[misc]  # the same


@functools.cache
def _watched(connection_class: type) -> type:
    if issubclass(connection_class, _Watched):
        return connection_class
    return type(connection_class.__name__, (_Watched, connection_class), {})


def _new_session(context: ssl.SSLContext | None) -> requests.Session:
    session = requests.Session()
    adapter = _Adapter(context)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _is_cut_short(error: Exception) -> bool:
    """Whether the connection ended cleanly in the middle of a body."""
    short = http.client.IncompleteRead, urllib3.exceptions.IncompleteRead
    return isinstance(error, short) or any(isinstance(cause, short) for cause in error.args)


_INVALID = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidProxyURL,
)


def _failure(error: Exception, deadline: Deadline, clock: str, url: str) -> ChatError:
    """Return the error of this package for one of requests' or urllib3's."""
    if isinstance(error, _INVALID):
        hint = "; pip install 'chatgpt4online[socks]'" if "SOCKS" in str(error) else ""
        return InvalidInput(f"{error}{hint}")
    if isinstance(error, requests.ConnectTimeout):
        return deadline.expired("connect", time.monotonic())
    if isinstance(error, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError | TimeoutError):
        return deadline.expired(clock, time.monotonic())
    failure = ConnectionFailed(f"the connection to {url.partition('?')[0]} failed: {_reason(error)}")
    failure.retryable = not (isinstance(error, requests.exceptions.SSLError) or _has_begun(error))
    return failure


def _has_begun(error: BaseException) -> bool:
    """Whether some of a response had come when it failed."""
    inner = [error, *error.args, *(arg for cause in error.args if isinstance(cause, Exception) for arg in cause.args)]
    return any(
        isinstance(cause, http.client.HTTPException) and not isinstance(cause, http.client.RemoteDisconnected)
        for cause in inner
    )


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _reason(error: BaseException) -> str:
    """Return the words of the innermost cause, which are those that help."""
    while True:
        inner = getattr(error, "reason", None) or next((arg for arg in error.args if isinstance(arg, Exception)), None)
        if not isinstance(inner, BaseException):
            return str(error) or type(error).__name__
        error = inner
