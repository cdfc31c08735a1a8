"""The transport of the synchronous client: it sends requests with the library ``requests``.

Without ``http=``, the client uses a session of its own, with the connections of ``adapter.py``. These read responses by
the rules of ``net/``, which both clients share; ``requests`` and ``urllib3`` send the requests and pool the
connections. With ``http=``, a ``requests.Session`` of the caller makes the connections in its own way.
"""

from __future__ import annotations

import copy
import functools
import http.client
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.cookiejar import CookieJar
from socket import socket
from typing import Any, TypeAlias

import requests
import urllib3
from requests.cookies import RequestsCookieJar

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
from .adapter import READ_SIZE, Adapter, ConnectTimedOut, SocketResponse, new_session, sending
from .connect import Verify, has_expired
from .flights import Flights
from .signals import Sections

RequestsSession: TypeAlias = requests.Session
"""The type of a client's ``http=``."""

# To wait longer for the end of a body, or to read more of it, costs more than a new connection.
_FINISH_SECONDS = 0.2
_FINISH_SIZE = 65_536  # bytes


class Transport:
    """An object that sends the requests of one session. It has the cookies and the searches for a nonce."""

    def __init__(self, connections: Connections) -> None:
        self.flights: Flights = Flights()
        self._connections = connections
        self._cookies = Cookies(connections.callers_jar)
        renew_in_child(self)

    @property
    def sections(self) -> Sections:
        """The blocks of code in which the locks of the connections may be held."""
        return self._connections.sections

    @property
    def fork_count(self) -> int:
        """The number of forks between the process that made the connections and this process."""
        return self._connections.fork_count

    @property
    def may_hold_login(self) -> bool:
        """Whether the caller's ``http`` may hold a login, in its cookies, headers or ``auth``."""
        return self._connections.callers_jar is not None

    def renew(self) -> None:
        """Make new locks in a process that was forked. The cookies stay."""
        self.flights = Flights()
        self._cookies.renew()

    def for_session(self, *, own_cookies: bool) -> Transport:
        """Return a transport for another session. It has the same connections, and searches for a nonce of its own.

        With ``own_cookies`` it begins without cookies. Otherwise it has the same cookies.
        """
        transport = copy.copy(self)
        transport.flights = Flights()
        if own_cookies:
            transport._cookies = Cookies()
        renew_in_child(transport)
        return transport

    def close(self) -> None:
        """Close all connections, unless they belong to a session of the caller."""
        self._connections.close()

    def send(self, request: Request, deadline: Deadline, watch: Callable[[socket | None], None]) -> Response:
        """Return the response as soon as its head has arrived. :meth:`Connections.send` names its errors."""
        return self._connections.send(request, deadline, watch, self._cookies)


class Connections:
    """The connections of a client, which its derived clients share.

    ``http``, ``proxy`` and ``verify`` are the options of :class:`~.client.Client`. ``site_origin`` is the origin of the
    site; the credentials of a caller's session are sent only there. Raises InvalidInput for an option that cannot be
    used.
    """

    def __init__(self, http: requests.Session | None, proxy: str | None, verify: Verify, site_origin: Origin) -> None:
        self._site_origin = site_origin
        self.sections: Sections = Sections()
        self.fork_count: int = 0
        self._owns_session = http is None
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
        self.callers_jar: CookieJar | None = None if http is None else http.cookies
        self._process = os.getpid()
        self._proxies: dict[Origin, URL | None] = {}  # the proxy for each origin, or None
        # For each origin, the settings of a caller's session, and the options of a request with these settings.
        self._option_cache: dict[Origin, tuple[object, dict[str, Any]]] = {}
        renew_in_child(self)

    def renew(self) -> None:
        """Make new connections and locks in a process that was forked."""
        self.fork_count += 1
        self.sections = Sections()
        if self._owns_session:
            for adapter in set(self._http.adapters.values()):  # one serves http and https
                if isinstance(adapter, Adapter):
                    adapter.disown()
            self._http = new_session(self._verify)
            self._process = os.getpid()

    def close(self) -> None:
        """Close all connections, unless they belong to a session of the caller."""
        if self._owns_session:
            self.sections.run(self._http.close)

    def send(
        self, request: Request, deadline: Deadline, watch: Callable[[socket | None], None], cookies: Cookies
    ) -> Response:
        """Return the response as soon as its head has arrived. Send ``cookies``, and add those of the response to them.

        ``watch`` is called with the socket before each wait for the network, or with None if the socket is not known
        yet. Raises ConnectionFailed, TooLarge, InvalidInput for a request that cannot be sent, and InvalidState in a
        forked process if ``http=`` was given.
        """
        if self._process != os.getpid():
            raise InvalidState(
                "http= is a requests.Session of another process: make a new session and a new client in this process"
            )
        now = time.monotonic()
        sockets: list[socket | None] = []

        def store_socket(sock: socket | None) -> None:
            sockets.append(sock)
            watch(sock)

        timeout: Any = deadline.allow("connect", now), deadline.allow("first_byte", now)
        url = self._url(request)
        if not self._owns_session:
            watch(None)  # a session of the caller does not report its sockets before the head has arrived
        sending.begin(url, deadline, store_socket)
        try:
            prepared = self._prepare(request, url, cookies)
            options = self._send_options(url)
            send = _send_function(self._session(cookies), url)
            response = send(prepared, stream=True, timeout=timeout, **options)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, BadHead) as error:
            response_begun = sending.response.source.has_begun if sending.response else _has_response_begun(error)
            raise _error_of(error, deadline, "first_byte", request.url, response_begun=response_begun) from error
        except ConnectTimedOut as error:
            raise deadline.expired("connect", time.monotonic()) from error
        finally:
            ours = sending.end()
        headers = list(getattr(response.raw, "headers", response.headers).items())
        cookies.keep(request.url, (value for name, value in headers if name.lower() == "set-cookie"))
        if not sockets:  # the adapter belongs to a session of the caller, or to a test
            store_socket(getattr(getattr(response.raw, "connection", None), "sock", None))
        return Response(response, headers, sockets[-1], ours)

    def _url(self, request: Request) -> URL:
        """Return the parsed address of a request. Raises InvalidInput for an address that cannot be used."""
        try:
            return parse_url(request.url)
        except ValueError as error:
            raise InvalidInput(str(error)) from error

    def _send_options(self, url: URL) -> dict[str, Any]:
        """Return the arguments about proxies and TLS for ``Session.send`` or ``HTTPAdapter.send``."""
        if not self._owns_session:
            return self._session_options(url)
        origin = url.origin
        if origin not in self._proxies:
            try:
                self._proxies[origin] = self._proxy or environment_proxy(origin)
            except ValueError as error:
                raise InvalidInput(str(error)) from error
        sending.proxy = self._proxies[origin]
        return {"verify": self._verify if isinstance(self._verify, bool | str) else True}

    def _session_options(self, url: URL) -> dict[str, Any]:
        """Return the arguments about proxies and TLS for a session of the caller.

        ``requests`` needs about 0.4 milliseconds to compute them, so they are stored until the session's settings
        change.
        """
        session = self._http
        settings = session.trust_env, session.verify, session.cert, dict(session.proxies)
        cached_settings, options = self._option_cache.get(url.origin, (None, {}))
        if cached_settings != settings:
            # The session's verify is passed: with None, REQUESTS_CA_BUNDLE of the environment would replace it.
            options = dict(session.merge_environment_settings(url.address, {}, None, session.verify, None))
            del options["stream"]
            self._option_cache[url.origin] = settings, options
        return dict(options)

    def _session(self, cookies: Cookies) -> requests.Session:
        """Return the session that sends a request with these cookies.

        ``Session.send`` stores cookies in the jar of its session. So a client with its own cookies does not send with
        the caller's session, but with a copy that has another jar.
        """
        if self._owns_session or cookies.are_in(self.callers_jar):
            return self._http
        session = type(self._http).__new__(type(self._http))
        vars(session).update(vars(self._http), cookies=RequestsCookieJar())
        return session

    def _prepare(self, request: Request, url: URL, cookies: Cookies) -> requests.PreparedRequest:
        """Return the request as a ``requests.PreparedRequest``. Raises InvalidInput for a bad header."""
        is_site = url.origin == self._site_origin
        try:
            prepared = (
                self._own_request(request, url) if self._owns_session else self._callers_request(request, url, is_site)
            )
        except (requests.exceptions.InvalidHeader, UnicodeError):
            raise InvalidInput(
                "a header cannot be sent: it holds a line end, white space around it or bad characters"
            ) from None
        prepared.headers.pop("Cookie", None)  # it may be a whole jar, also with PHPSESSID (protocol section 1.2)
        if cookie := cookies.header(request.url, request.headers, is_site=is_site):
            prepared.headers["Cookie"] = cookie
        return prepared

    def _own_request(self, request: Request, url: URL) -> requests.PreparedRequest:
        """Return a request for the client's own session, which has no settings but its headers to merge into it."""
        prepared = requests.PreparedRequest()
        headers = {**self._http.headers, **request.headers, "Host": url.origin.netloc}
        prepared.prepare(request.method, url.address, headers=headers, data=request.body)
        return prepared

    def _callers_request(self, request: Request, url: URL, is_site: bool) -> requests.PreparedRequest:
        """Return a request with the settings of the caller's session."""
        # With auth=None, requests would read .netrc and replace the caller's Authorization header.
        has_login = any(name.lower() == "authorization" for name in request.headers)
        auth = self._http.auth if is_site and self._http.auth and not has_login else _unchanged
        raw = requests.Request(request.method, url.address, headers=dict(request.headers), data=request.body, auth=auth)
        prepared = self._http.prepare_request(raw)
        if not is_site:  # the headers of a caller's session may hold credentials, which are only for the site
            for name in CREDENTIALS - {name.lower() for name in request.headers}:
                prepared.headers.pop(name, None)
        return prepared


class Response:
    """A response of ``requests``, with the methods that a stream needs.

    ``sock`` is the socket on which the body arrives, or None. ``ours`` is the same response as a connection of
    ``adapter.py`` made it; it is None for a connection of a caller's session.
    """

    def __init__(
        self,
        response: requests.Response,
        headers: Iterable[tuple[str, str]],
        sock: socket | None,
        ours: SocketResponse | None,
    ) -> None:
        self.status: int = response.status_code
        self.headers = headers
        self._response = response
        self._read_available = _read_function(response.raw)
        # urllib3 takes most of the time of a read, so it reads only the end of the chunks, to pool the connection then.
        self._chunks = ours.chunks if ours is not None and ours.chunked else None
        self._clock = None if ours is None else ours.clock
        self.socket = sock
        self._is_limited = False
        self._decoder: Decoder | None = None
        self._coding_error = ""  # raised when a byte of the body arrives, since an empty body needs no decoding
        encodings = [value for name, value in headers if name.lower() == "content-encoding"]
        try:
            # A raw response that is not urllib3's, such as a mock's, is decoded already. requests assumes that too.
            codings = read_codings(encodings) if isinstance(response.raw, urllib3.BaseHTTPResponse) else ()
        except EncodingError as error:
            self._coding_error = str(error)
        else:
            self._decoder = Decoder(codings) if codings else None

    def read(self, deadline: Deadline) -> bytes:
        """Return the next decoded bytes of the body, or ``b""`` at its end. Wait only if no byte has arrived.

        Raises ConnectionFailed, and TooLarge for a small body that decodes to an enormous one.
        """
        try:
            if self._decoder is not None:
                return self._read_decoded(deadline, self._decoder)
            data = self._read_coded(deadline)
            if data and self._coding_error:
                raise EncodingError(self._coding_error)
            return data
        except DecodedTooLarge as error:
            raise TooLarge(str(error)) from error
        except EncodingError as error:
            failure = ConnectionFailed(_failure_message(self._response.url, str(error)))
            failure.retryable = False
            raise failure from error

    def _read_decoded(self, deadline: Deadline, decoder: Decoder) -> bytes:
        """Return the next decoded bytes; ``b""`` at the end of the body."""
        while True:
            if decoder.has_more and (data := decoder.decode(b"")):
                return data
            coded = self._read_coded(deadline)
            if not coded:
                return b""
            if data := decoder.decode(coded):
                return data

    def _read_coded(self, deadline: Deadline) -> bytes:
        """Return the next bytes as they were sent; ``b""`` at the end of the body."""
        try:
            if not (self._is_limited and deadline.is_constant):
                self._limit(deadline.allow("idle", time.monotonic()))
            elif self._clock is not None:
                self._clock.end = None
            if self._chunks is not None and (data := self._chunks.read1(READ_SIZE)):
                return data
            data = self._read_available(READ_SIZE)
        except BadHead as error:
            raise _error_of(error, deadline, "idle", self._response.url, response_begun=True) from error
        except (urllib3.exceptions.HTTPError, http.client.IncompleteRead, OSError) as error:
            if _is_cut_short(error):
                return b""  # the protocol layer checks whether the answer is complete
            raise _error_of(error, deadline, "idle", self._response.url, response_begun=True) from error
        if getattr(self._response.raw, "connection", None) is None:
            self.socket = None  # the body has ended, and another stream may use the connection now
        return data

    def _limit(self, seconds: float | None) -> None:
        """Limit the wait for the next bytes of the body."""
        if self._clock is not None:
            self._clock.limit, self._clock.end = seconds, None
        elif self.socket is not None:
            self.socket.settimeout(seconds)
        self._is_limited = True

    def finish(self) -> None:
        """Read the rest of the body, for a short time, so that the connection can be used again."""
        if self.socket is None:
            return
        end, size = time.monotonic() + _FINISH_SECONDS, 0
        with suppress(urllib3.exceptions.HTTPError, OSError, BadHead):
            while size <= _FINISH_SIZE and (now := time.monotonic()) < end:
                self._limit(end - now)
                data = self._read_available(READ_SIZE)
                if not data:
                    break
                size += len(data)

    def close(self) -> None:
        """Close the response, and its connection too if the body was not read to its end."""
        self._response.close()


def _send_function(session: requests.Session, url: URL) -> Callable[..., requests.Response]:
    """Return the function that sends a prepared request.

    It is ``send`` of the session's adapter, since ``Session.send`` reads the whole body of a redirect. A subclass or a
    test may have replaced ``Session.send``, as requests_mock does. Then that function is returned, so that no mocked
    test reaches the network.
    """
    if getattr(session.send, "__module__", "") == requests.sessions.__name__:
        return session.get_adapter(url.address).send
    return functools.partial(session.send, allow_redirects=False)


def _read_function(raw: Any) -> Callable[[int], bytes]:
    """Return the function that reads the next bytes of a body, undecoded.

    It is ``read1``: the other functions of requests and urllib3 wait for more bytes in some framings. The response of
    an adapter of the caller or of vcrpy may be any binary file, perhaps without ``read1``.
    """
    if isinstance(raw, urllib3.BaseHTTPResponse):
        return functools.partial(raw.read1, decode_content=False)
    read: Callable[[int], bytes] = getattr(raw, "read1", raw.read)
    return read


def _is_cut_short(error: Exception) -> bool:
    """Return whether the connection ended in the middle of a body, without a reset."""
    short = http.client.IncompleteRead, urllib3.exceptions.IncompleteRead
    return isinstance(error, short) or any(isinstance(cause, short) for cause in error.args)


_INVALID_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidProxyURL,
)


def _failure_message(url: str | None, reason: str) -> str:
    """Return the message for a connection that failed. The query of the URL may hold secrets, so it is left out."""
    return f"the connection to {(url or '').partition('?')[0]} failed: {reason}"


def _error_of(error: Exception, deadline: Deadline, clock: str, url: str | None, *, response_begun: bool) -> ChatError:
    """Return the error of this package for an error of requests or urllib3.

    ``clock`` is the limit under which the request waited. ``response_begun`` is true if a part of the response had
    arrived; such a request is not sent again.
    """
    cause = _innermost(error)
    if isinstance(error, _INVALID_ADDRESS):
        return InvalidInput(str(error))
    if isinstance(error, requests.ConnectTimeout):
        return deadline.expired("connect", time.monotonic())
    if has_expired(cause) or isinstance(error, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return deadline.expired(clock, time.monotonic())
    reason = explain_os_error(cause) if isinstance(cause, OSError) else str(cause) or type(cause).__name__
    failure = ConnectionFailed(_failure_message(url, reason))
    failure.retryable = not (isinstance(error, requests.exceptions.SSLError | BadHead) or response_begun)
    return failure


def _has_response_begun(error: BaseException) -> bool:
    """Return whether a part of the response had arrived before an error on a connection of a caller's session.

    Only a malformed or incomplete response raises an HTTPException, except for RemoteDisconnected: then no byte came.
    """
    inner = [error, *error.args, *(arg for cause in error.args if isinstance(cause, Exception) for arg in cause.args)]
    return any(
        isinstance(cause, http.client.HTTPException) and not isinstance(cause, http.client.RemoteDisconnected)
        for cause in inner
    )


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Return the request as it is: an ``auth`` for requests that adds nothing."""
    return request


def _innermost(error: BaseException) -> BaseException:
    """Return the innermost cause of an error of requests or urllib3, whose message names the reason."""
    while True:
        inner = getattr(error, "reason", None) or next((arg for arg in error.args if isinstance(arg, Exception)), None)
        if not isinstance(inner, BaseException):
            return error
        error = inner
