"""One request and its answer: the login, headers and refusals that WordPress adds for every route."""

from __future__ import annotations

import secrets
from typing import Any

from ..protocol.parsing.events import Json
from .answers import ReceivedRequest
from .forms import read_json
from .logins import Nonces, read_cookies
from .php import encode_json
from .state import State
from .transport import Response
from .version import Version

NO_CACHE = (("Expires", "Wed, 11 Jan 1984 05:00:00 GMT"), ("Cache-Control", "no-cache, must-revalidate, max-age=0"))

_ALPHABET = "0123456789abcdefghijklmnopqrstuv"  # the characters of PHP's session ids
_JSON = "application/json; charset=UTF-8"
_FATAL = (
    '<p>There has been a critical error on this website.</p><p><a href="https://wordpress.org/support/article/'
    'faq-troubleshooting/">Learn more about troubleshooting WordPress.</a></p>'
)
_LOGIN_ERRORS = {
    "incorrect_password": "The provided password is an invalid application password.",
    "invalid_username": "<strong>Error:</strong> Unknown username. Check again or try your email address.",
}


class Exchange:
    """A request, and methods that answer it.

    ``headers`` are those of the answer, in the order of sending. ``allow`` is the value of the ``Allow`` header, or
    ``""``. ``user`` is ``""`` for a guest.
    """

    def __init__(self, state: State, request: ReceivedRequest, response: Response) -> None:
        self.state = state
        self.version: Version = state.version
        self.request = request
        self.response = response
        self.language = ""
        self.headers: list[tuple[str, str]] = []
        self.allow: str = ""
        self.nonces: Nonces = state.logins.nonces
        self.nonce: str | None = request.headers.get("x-wp-nonce")
        self.user: str
        self.user, self._login = state.logins.read_cookie(request)
        self._is_rest = False

    @property
    def identity(self) -> str:
        """The identity that the visitor's nonces belong to: the user and the session of the login."""
        return f"{self.user}|{self._login}"

    @property
    def verified(self) -> int:
        """The result of WordPress's check of the nonce: 1, 2 or 0, as :meth:`Nonces.verify` returns it."""
        return self.nonces.verify(self.nonce, self.identity)

    @property
    def fields(self) -> Json:
        """The object in the body, or an empty dict if the body is not a JSON object."""
        return read_json(self.request)

    @property
    def root(self) -> str:
        """The address of the REST API in the visitor's language."""
        return self.state.root(self.language)

    def open_page(self) -> None:
        """Add the headers of every answer of PHP."""
        marker = self.version.php_session
        if marker is not None and (marker in self.request.path if marker else self._is_rest):
            if "PHPSESSID" not in read_cookies(self.request):
                session = "".join(secrets.choice(_ALPHABET) for _ in range(26))
                self.headers.append(("Set-Cookie", f"PHPSESSID={session}; path=/"))
            self.headers += [
                ("Expires", "Thu, 19 Nov 1981 08:52:00 GMT"),
                ("Cache-Control", "no-store, no-cache, must-revalidate"),
                ("Pragma", "no-cache"),
            ]

    def open_rest(self) -> bool:
        """Add the headers of a REST answer and check the login. Return False if the login was refused."""
        self._is_rest = True
        self.open_page()
        allowed = "Authorization, X-WP-Nonce, Content-Disposition, Content-MD5, Content-Type"
        self.headers += [
            ("X-Robots-Tag", "noindex"),
            self.api_link,
            ("X-Content-Type-Options", "nosniff"),
            ("Access-Control-Expose-Headers", "X-WP-Total, X-WP-TotalPages, Link"),
            ("Access-Control-Allow-Headers", allowed),
        ]
        return self._authenticate()

    def _authenticate(self) -> bool:
        by_cookie = bool(self.user)
        if not by_cookie:
            self.user, problem = self.state.logins.read_password(self.request)
            if problem:
                self.deny(401, problem, _LOGIN_ERRORS[problem])
                return False
        if by_cookie or not self.user:  # with an application password, only the plugin checks the nonce
            if self.nonce is None:
                self.user = ""
            elif self.verified:
                self.headers.append(("X-WP-Nonce", self.nonces.make(self.identity)))
            else:
                self.disable_cache()
                self.deny(403, "rest_cookie_invalid_nonce", "Cookie check failed")
                return False
        if self.user:
            self.disable_cache()
        return True

    @property
    def api_link(self) -> tuple[str, str]:
        """The header with the address of the REST API."""
        return "Link", f'<{self.root}/>; rel="https://api.w.org/"'

    def disable_cache(self) -> None:
        """Add the headers that forbid caches to store the answer."""
        for name, value in NO_CACHE:
            self.replace(name, value)

    def replace(self, name: str, value: str) -> None:
        """Set a header as PHP does: remove an earlier one, and add the new one at the end."""
        self.headers = [*(header for header in self.headers if header[0] != name), (name, value)]

    @property
    def session_cookie(self) -> str:
        """The visitor's session id, or ``""`` before the first one."""
        return read_cookies(self.request).get("mwai_session_id", "")

    def set_session_cookie(self) -> str:
        """Return the visitor's session id, and set the cookie if the id is new."""
        session = self.session_cookie
        if not session:
            session = secrets.token_hex(7)[:13]
            if self.version.session:
                self.headers.append(("Set-Cookie", f"mwai_session_id={session}; path=/; HttpOnly"))
        return session

    def token(self) -> Json:
        """Return ``new_token`` if the request has a nonce of the previous tick, else an empty dict."""
        renew = self.verified == 2 and "new_token" in self.version.reply
        return {"new_token": self.nonces.make(self.identity)} if renew else {}

    def deny(self, status: int, code: str, message: str) -> None:
        """Send WordPress's own refusal (protocol section 4.2)."""
        self.say_json(status, {"code": code, "message": message, "data": {"status": status}})

    def forbid(self) -> None:
        """Send WordPress's refusal of a visitor without permission."""
        self.deny(403 if self.user else 401, "rest_forbidden", "Sorry, you are not allowed to do that.")

    def refuse(self, message: str, status: int = 500) -> None:
        """Send the plugin's refusal."""
        self.say_json(status, {"success": False, "message": message} | self.token())

    def succeed(self, **values: Any) -> None:
        """Send the plugin's success."""
        self.say_json(200, {"success": True} | values | self.token())

    def say_fatal(self) -> None:
        """Send WordPress's answer after a fatal error of PHP."""
        self.headers, self.allow, self._is_rest = list(NO_CACHE), "", False
        error = {"code": "internal_server_error", "message": _FATAL, "data": {"status": 500}, "additional_errors": []}
        self.say_json(500, error)

    def say_json(self, status: int, value: Json, before: bytes = b"") -> None:
        """Send a JSON object, after the output of PHP in ``before``."""
        self.say(status, before + encode_json(value).encode())

    def say(self, status: int, body: str | bytes, content_type: str = _JSON) -> None:
        """Send a whole answer."""
        if self.allow:
            self.headers.append(("Allow", self.allow))
        if self._is_rest and self.request.method in ("GET", "HEAD"):
            self.headers.append(("Vary", "Origin"))
        self.response.start(status, content_type, self.headers)
        self.response.write(body.encode() if isinstance(body, str) else body)
        self.response.end()
