"""One request and its answer: what WordPress does with every one of them."""

from __future__ import annotations

import re
import secrets

from ..protocol.events import Json
from .answers import ReceivedRequest
from .php import encode_json, json_problem
from .state import State
from .transport import Response

NO_CACHE = (("Expires", "Wed, 11 Jan 1984 05:00:00 GMT"), ("Cache-Control", "no-cache, must-revalidate, max-age=0"))

_ALPHABET = "0123456789abcdefghijklmnopqrstuv"  # of PHP's session ids
_JSON = "application/json; charset=UTF-8"
_FATAL = (
    '<p>There has been a critical error on this website.</p><p><a href="https://wordpress.org/support/article/'
    'faq-troubleshooting/">Learn more about troubleshooting WordPress.</a></p>'
)


class Exchange:
    """A request, and the means to answer it; ``headers`` are those of the answer, in the order of sending."""

    def __init__(self, state: State, request: ReceivedRequest, response: Response) -> None:
        self.state = state
        self.version = state.version
        self.request = request
        self.response = response
        self.nonces = state.nonces
        self.nonce = request.headers.get("x-wp-nonce")
        self.headers: list[tuple[str, str]] = []

    @property
    def api_link(self) -> tuple[str, str]:
        """The header that says where the REST API is."""
        return "Link", f'<{self.state.root}/>; rel="https://api.w.org/"'

    def open_rest(self) -> None:
        """Put down the headers that every REST answer begins with."""
        marker = self.version.php_session
        if marker is not None and marker in self.request.path:
            if "PHPSESSID=" not in self.request.headers.get("cookie", ""):
                session = "".join(secrets.choice(_ALPHABET) for _ in range(26))
                self.headers.append(("Set-Cookie", f"PHPSESSID={session}; path=/"))
            self.headers += [
                ("Expires", "Thu, 19 Nov 1981 08:52:00 GMT"),
                ("Cache-Control", "no-store, no-cache, must-revalidate"),
                ("Pragma", "no-cache"),
            ]
        allowed = "Authorization, X-WP-Nonce, Content-Disposition, Content-MD5, Content-Type"
        self.headers += [
            ("X-Robots-Tag", "noindex"),
            self.api_link,
            ("X-Content-Type-Options", "nosniff"),
            ("Access-Control-Expose-Headers", "X-WP-Total, X-WP-TotalPages, Link"),
            ("Access-Control-Allow-Headers", allowed),
        ]

    def replace(self, name: str, value: str) -> None:
        """Set a header as PHP does: the former one goes, the new one comes last."""
        self.headers = [*(header for header in self.headers if header[0] != name), (name, value)]

    def set_session_cookie(self) -> str:
        """Return the visitor's session id, which is set if it is new."""
        found = re.search(r"(?:^|;\s*)mwai_session_id=([^;]+)", self.request.headers.get("cookie", ""))
        if found:
            return found[1]
        session = secrets.token_hex(7)[:13]
        if self.version.session:
            self.headers.append(("Set-Cookie", f"mwai_session_id={session}; path=/; HttpOnly"))
        return session

    @property
    def is_json(self) -> bool:
        """Whether the request says that it is JSON."""
        kind = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        return re.fullmatch(r"application/(.+\+)?json", kind) is not None

    def json_problem(self) -> Json | None:
        """Return what is wrong with a body that should be JSON, or None."""
        return json_problem(self.request.body) if self.is_json and self.request.body else None

    def token(self) -> Json:
        """Return ``new_token`` for a nonce of the previous tick."""
        fresh = self.nonce in (None, self.nonces[0]) or "new_token" not in self.version.reply
        return {} if fresh else {"new_token": self.nonces[0]}

    def deny(self, status: int, code: str, message: str, details: Json | None = None) -> None:
        """Send WordPress's own refusal (protocol section 4.2)."""
        self.say_json(status, {"code": code, "message": message, "data": {"status": status} | (details or {})})

    def deny_bad_json(self, problem: Json) -> None:
        """Refuse a body that should be JSON."""
        self.deny(400, "rest_invalid_json", "Invalid JSON body passed.", problem)

    def refuse(self, message: str, status: int = 500) -> None:
        """Send the plugin's refusal."""
        self.say_json(status, {"success": False, "message": message} | self.token())

    def say_fatal(self) -> None:
        """Send what WordPress says when PHP has died."""
        self.headers = list(NO_CACHE)
        error = {"code": "internal_server_error", "message": _FATAL, "data": {"status": 500}, "additional_errors": []}
        self.say_json(500, error)

    def say_json(self, status: int, value: Json, before: bytes = b"") -> None:
        """Send a JSON object, after what PHP has printed before."""
        self.say(status, before + encode_json(value).encode())

    def say(self, status: int, body: str | bytes, content_type: str = _JSON) -> None:
        """Send a whole answer."""
        self.response.start(status, content_type, self.headers)
        self.response.write(body.encode() if isinstance(body, str) else body)
        self.response.end()
