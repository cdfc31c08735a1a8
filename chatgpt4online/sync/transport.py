"""requests, as streams need it.

With its own session, the client makes the connections itself and reads the heads and the chunks of responses (``net/``
has the rules for both clients), and requests and urllib3 send requests and keep connections. A session of the caller's
own (``http=``) goes its own way to the server.
"""

from __future__ import annotations

import functools
import http.client
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from socket import socket
from typing import Any, TypeAlias

import requests
import urllib3

from ..net.cookies import Cookies
from ..net.encoding import DecodedTooLarge, Decoder, EncodingError, read_codings
from ..net.failures import explain_os_error
from ..net.forks import renew_in_child
from ..net.heads import BadHead
from ..net.proxies import environment_proxy, parse_proxy, require_socks
from ..net.tls import check_verify
from ..net.url import URL, Origin, parse_url
from ..options import check_http
from ..protocol.calls.deadline import Deadline
from ..protocol.calls.request import CREDENTIALS, Request
from ..protocol.parsing.errors import ChatError, ConnectionFailed, InvalidInput, InvalidState, TooLarge
from .adapter import READ_SIZE, Adapter, ConnectTimedOut, new_session, sending
from .connect import Clock, Verify, has_expired
from .flights import Flights
from .signals import Sections

RequestsSession: TypeAlias = requests.Session
"""The type of a client's ``http=``."""

_FINISH_SECONDS = 0.2  # the end of a body that comes later behind the last event costs more than a new connection
_FINISH_SIZE = 65_536  # bytes: a new connection costs less than to read more than these


class Transport:
    """requests, as streams need it."""

    def __init__(self, http: requests.Session | None, proxy: str | None, verify: Verify, home: Origin) -> None:
        self._home = home
        self.flights, self.sections, self.forks = Flights(), Sections(), 0
        self._owned = http is None
        try:
            self._verify = check_verify(verify)
            self._proxy = None if proxy is None else parse_proxy(proxy)
            if self._proxy is not None and self._proxy.origin.scheme.startswith("socks"):
                require_socks()
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        if http is not None:
            check_http(http, requests.Session, "requests.Session", proxy, verify)
        self._http = new_session(self._verify) if http is None else http
        self._cookies = Cookies(self._http.cookies)
        self._process = os.getpid()
        self._routes: dict[Origin, URL | None] = {}
        self._settings: dict[Origin, tuple[object, dict[str, Any]]] = {}
        renew_in_child(self)

    def renew(self) -> None:
        """Begin with new connections and locks, in a process that was forked; the cookies stay."""
        self.forks += 1
        self.flights, self.sections = Flights(), Sections()
        if self._owned:
            for adapter in self._http.adapters.values():
                if isinstance(adapter, Adapter):
                    adapter.disown()
            known, self._http = self._http.cookies, new_session(self._verify)
            for cookie in iter(known):  # which takes no lock
                self._http.cookies.set_cookie(cookie)
            self._cookies = Cookies(self._http.cookies)
            self._process = os.getpid()

    def close(self) -> None:
        if self._owned:
            self.sections.run(self._http.close)

    def send(self, request: Request, deadline: Deadline, watch: Callable[[socket | None], None]) -> Response:
        if self._process != os.getpid():
            raise InvalidState("http= is a requests.Session of another process: make one in this process, and a client")
        now = time.monotonic()
        waiting_at: list[socket | None] = []

        def found(at: socket | None) -> None:
            waiting_at.append(at)
            watch(at)

        timeout: Any = deadline.allow("connect", now), deadline.allow("first_byte", now)
        url = self._url(request)
        sending.url, sending.proxy, sending.deadline, sending.clock = url, None, deadline, Clock()
        sending.watch, sending.reader, sending.is_stalled = found, None, False
        if not self._owned:
            watch(None)  # such a session does not tell when it has a connection
        try:
            prepared = self._prepare(request, url)
            route = self._route(url)
            response = _sender(self._http, url)(prepared, stream=True, timeout=timeout, **route)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, BadHead) as error:
            has_begun = _has_begun(error) if sending.reader is None else sending.reader.has_begun
            raise _failure(error, deadline, "first_byte", request.url, has_begun=has_begun) from error
        except ConnectTimedOut as error:
            raise deadline.expired("connect", time.monotonic()) from error
        finally:
            clock = sending.clock if sending.reader is not None else None
            sending.reader = None
            del sending.watch, sending.clock  # they refer to the stream
        headers = list(getattr(response.raw, "headers", response.headers).items())
        self._cookies.keep(request.url, (value for name, value in headers if name.lower() == "set-cookie"))
        if not waiting_at:  # the adapter of a session of the caller's own does not tell
            found(getattr(getattr(response.raw, "connection", None), "sock", None))
        return Response(response, headers, waiting_at[-1], clock)

    def _url(self, request: Request) -> URL:
        try:
            return parse_url(request.url)
        except ValueError as error:
            raise InvalidInput(str(error)) from error

    def _route(self, url: URL) -> dict[str, Any]:
        """Return the options of a request that say how to get to a server."""
        if not self._owned:
            return self._route_of_session(url)
        place = url.origin
        if place not in self._routes:
            try:
                self._routes[place] = self._proxy or environment_proxy(place)
            except ValueError as error:
                raise InvalidInput(str(error)) from error
        sending.proxy = self._routes[place]
        return {"verify": self._verify if isinstance(self._verify, bool | str) else True}

    def _route_of_session(self, url: URL) -> dict[str, Any]:
        """Return what a session of the caller's own says, which may change; to look it up takes some 400 us."""
        session = self._http
        settings = session.trust_env, session.verify, session.cert, dict(session.proxies)
        known, route = self._settings.get(url.origin, (None, {}))
        if known != settings:
            # requests lets the environment win over a bundle of the session, so the session's goes first
            route = dict(session.merge_environment_settings(url.address, {}, None, session.verify, None))
            del route["stream"]
            self._settings[url.origin] = settings, route
        return dict(route)

    def _prepare(self, request: Request, url: URL) -> requests.PreparedRequest:
        at_home = url.origin == self._home
        # An auth that does nothing keeps requests from taking one out of .netrc, over the caller's.
        auth = self._http.auth if at_home and self._http.auth else _unchanged
        raw = requests.Request(request.method, url.address, headers=dict(request.headers), data=request.body, auth=auth)
        try:
            prepared = self._http.prepare_request(raw)
        except (requests.exceptions.InvalidHeader, UnicodeError):
            raise InvalidInput(
                "a header cannot be sent: it holds a line end, white space around it or bad characters"
            ) from None
        if not at_home:  # nor do the credentials of a session of the caller's own leave the site
            for name in CREDENTIALS - {name.lower() for name in request.headers}:
                prepared.headers.pop(name, None)
        prepared.headers.pop("Cookie", None)  # requests would send back each of the jar
        if cookie := self._cookies.header(request.url, request.headers):
            prepared.headers["Cookie"] = cookie
        if self._owned:
            prepared.headers["Host"] = url.origin.netloc
        return prepared


class Response:
    """A response of requests, read as streams need it.

    ``clock`` limits the waits of a connection of this module. It is None for a session of the caller's own.
    """

    def __init__(
        self,
        response: requests.Response,
        headers: Iterable[tuple[str, str]],
        waiting_at: socket | None,
        clock: Clock | None,
    ) -> None:
        self.status = response.status_code
        self.headers = headers
        self._response = response
        self._read1 = _reader(response.raw)
        self.socket = waiting_at
        self._clock = clock
        self._is_limited = False
        self._decoder: Decoder | None = None
        self._fault = ""
        names = [value for name, value in headers if name.lower() == "content-encoding"]
        try:
            # As in requests, the bytes of a file that is not urllib3's are decoded already
            codings = read_codings(names) if isinstance(response.raw, urllib3.BaseHTTPResponse) else ()
        except EncodingError as error:
            self._fault = str(error)
        else:
            self._decoder = Decoder(codings) if codings else None

    def read(self, deadline: Deadline) -> bytes:
        try:
            if self._fault:
                raise EncodingError(self._fault)
            if self._decoder is None:
                return self._read(deadline)
            return self._read_decoded(deadline, self._decoder)
        except DecodedTooLarge as error:
            raise TooLarge(str(error)) from error
        except EncodingError as error:
            failure = ConnectionFailed(_failed(self._response.url, str(error)))
            failure.retryable = False
            raise failure from error

    def _read_decoded(self, deadline: Deadline, decoder: Decoder) -> bytes:
        """Return the next decoded bytes; ``b""`` at the end of the body."""
        while not (data := decoder.decode(b"") if decoder.has_more else b""):
            if not (coded := self._read(deadline)):
                return b""
            if data := decoder.decode(coded):
                return data
        return data

    def _read(self, deadline: Deadline) -> bytes:
        """Return the next bytes as they were sent; ``b""`` at the end of the body."""
        try:
            now = time.monotonic()
            self._limit(deadline.allow("idle", now), now, is_constant=deadline.is_constant)
            data = self._read1(READ_SIZE)
        except BadHead as error:
            raise _failure(error, deadline, "idle", self._response.url, has_begun=True) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if _is_cut_short(error):
                return b""  # the protocol knows whether the answer was complete
            raise _failure(error, deadline, "idle", self._response.url, has_begun=True) from error
        if getattr(self._response.raw, "connection", None) is None:
            self.socket = None  # the body has ended, and the connection may be another stream's now
        return data

    def _limit(self, seconds: float | None, now: float, *, is_constant: bool) -> None:
        """Limit the wait for the next bytes of the body."""
        if self._clock is not None:
            self._clock.until = None if seconds is None else now + seconds
        elif not (self._is_limited and is_constant) and self.socket is not None:
            self.socket.settimeout(seconds)
            self._is_limited = True

    def finish(self) -> None:
        if self.socket is None:
            return
        end, size = time.monotonic() + _FINISH_SECONDS, 0
        with suppress(urllib3.exceptions.HTTPError, OSError, BadHead):
            while size <= _FINISH_SIZE and (now := time.monotonic()) < end:
                self._limit(end - now, now, is_constant=False)
                data = self._read1(READ_SIZE)
                if not data:
                    break
                size += len(data)

    def close(self) -> None:
        self._response.close()


def _sender(session: requests.Session, url: URL) -> Callable[..., requests.Response]:
    """Return what sends a request of a session.

    It is the adapter, since ``Session.send`` reads the whole body of a redirect. Where a test or a subclass has
    replaced ``Session.send``, as requests_mock does, it is that one: a mocked test must not reach the network.
    """
    if getattr(session.send, "__module__", "") == requests.sessions.__name__:
        return session.get_adapter(url.address).send
    return functools.partial(session.send, allow_redirects=False)


def _reader(raw: Any) -> Callable[[int], bytes]:
    """Return what reads the next bytes of a body as they were sent.

    Of all ways that requests has, only read1 returns what is there in every framing. An adapter of the caller's own and
    vcrpy may make a response of any binary file.
    """
    if isinstance(raw, urllib3.BaseHTTPResponse):
        return functools.partial(raw.read1, decode_content=False)
    read: Callable[[int], bytes] = getattr(raw, "read1", raw.read)
    return read


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


def _failed(url: str | None, reason: str) -> str:
    return f"the connection to {(url or '').partition('?')[0]} failed: {reason}"


def _failure(error: Exception, deadline: Deadline, clock: str, url: str | None, *, has_begun: bool) -> ChatError:
    """Return the error of this package for one of requests' or urllib3's."""
    cause = _innermost(error)
    if isinstance(error, _INVALID):
        return InvalidInput(str(error))
    if isinstance(error, requests.ConnectTimeout):
        return deadline.expired("connect", time.monotonic())
    if has_expired(cause) or isinstance(error, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return deadline.expired(clock, time.monotonic())
    reason = explain_os_error(cause) if isinstance(cause, OSError) else str(cause) or type(cause).__name__
    failure = ConnectionFailed(_failed(url, reason))
    failure.retryable = not (isinstance(error, requests.exceptions.SSLError | BadHead) or has_begun)
    return failure


def _has_begun(error: BaseException) -> bool:
    """Whether some of a response had come when it failed, on a connection that is not of this module."""
    inner = [error, *error.args, *(arg for cause in error.args if isinstance(cause, Exception) for arg in cause.args)]
    return any(
        isinstance(cause, http.client.HTTPException) and not isinstance(cause, http.client.RemoteDisconnected)
        for cause in inner
    )


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _innermost(error: BaseException) -> BaseException:
    """Return the innermost cause of an error of requests or urllib3. Its words are those that help."""
    while True:
        inner = getattr(error, "reason", None) or next((arg for arg in error.args if isinstance(arg, Exception)), None)
        if not isinstance(inner, BaseException):
            return error
        error = inner
