"""The cookies of a request. Both clients follow the rules of http.cookiejar, and never send PHPSESSID."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from email.message import Message
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from typing import cast
from urllib.request import Request

from .url import parse_url

_NOT_SENT_BACK = "PHPSESSID"  # requests that share it wait for each other on many sites (protocol section 7)


class Cookies:
    """The cookies that sites set, in a jar of ``http.cookiejar``.

    Without a ``jar``, one is made when the first cookie arrives. Many clients never get one.
    """

    def __init__(self, jar: CookieJar | None = None) -> None:
        self._jar = jar
        self._guard = threading.Lock()  # so that two threads do not make two jars

    def are_in(self, jar: CookieJar | None) -> bool:
        """Return whether ``jar`` holds these cookies."""
        return self._jar is not None and self._jar is jar

    def renew(self) -> None:
        """Move the cookies to a new jar in a process that was forked. The locks of the old one may stay locked."""
        old, self._jar, self._guard = self._jar, None, threading.Lock()
        for cookie in old or ():  # the iteration needs no lock
            self._own_jar().set_cookie(cookie)

    def header(self, url: str, headers: Mapping[str, str], *, is_site: bool = True) -> str:
        """Return the ``Cookie`` header for a request to ``url``. Cookies in ``headers`` replace those of the jar.

        A caller's jar may hold cookies without a domain. They are sent only if ``is_site`` is true.
        """
        own = next((value for name, value in headers.items() if name.lower() == "cookie"), "")
        kept, jar = "", self._jar
        if not (own or jar):
            return ""
        if jar and not is_site:
            jar = CookieJar()
            for stored in self._jar or ():
                if stored.domain:
                    jar.set_cookie(stored)
        if jar:
            request = Request(parse_url(url).address)  # noqa: S310  # the request is never opened
            jar.add_cookie_header(request)
            kept = request.get_header("Cookie", "")
        pairs: dict[str, str] = {}
        for cookie in [*own.split(";"), *kept.split(";")]:
            name, _, value = cookie.strip().partition("=")
            if name and name != _NOT_SENT_BACK:
                pairs.setdefault(name, value)
        return "; ".join(f"{name}={value}" for name, value in pairs.items())

    def keep(self, url: str, values: Iterable[str]) -> None:
        """Store the cookies that a response from ``url`` sets; ``values`` are those of its Set-Cookie headers."""
        values = list(values)
        if not values:
            return
        headers = Message()
        for value in values:
            headers["Set-Cookie"] = value
        request = Request(parse_url(url).address)  # noqa: S310  # the request is never opened
        self._own_jar().extract_cookies(cast(HTTPResponse, _Headers(headers)), request)

    def _own_jar(self) -> CookieJar:
        with self._guard:
            if self._jar is None:
                self._jar = CookieJar()
            return self._jar


class _Headers:
    """The part of a response that a cookie jar reads."""

    def __init__(self, headers: Message) -> None:
        self._headers = headers

    def info(self) -> Message:
        return self._headers


def cookie_header(cookies: Mapping[str, str]) -> str:
    """Return a ``Cookie`` header that holds ``cookies``, which must be valid."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
