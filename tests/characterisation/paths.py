"""The paths to the answers under test: the state of a machine at the start, and the answers that come first.

A path is named by a subject, a step and a login. ``renewed`` says whether a stale nonce was renewed on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .answers import FOREIGN_ROOT, OTHER_ROOT

SITE = "https://example.org"
KNOWN = "n-known"

HEADERS: dict[str, dict[str, str]] = {
    "guest": {},
    "cookie": {"Cookie": "wordpress_logged_in_x=1"},
    "password": {"Authorization": "Basic eDp5"},
    "bearer": {},  # the call has the token itself
    "bearer+cookie": {"Cookie": "wordpress_logged_in_x=1"},
    "bearer+password": {"Authorization": "Basic eDp5"},
    "own": {"X-WP-Nonce": "n-own", "Proxy-Authorization": "Basic eDp5", "Cookie": "a=b", "X-Team": "blue"},
}
"""The headers of each login. ``+nonce`` behind the name means that the session has a nonce already."""


@dataclass(frozen=True)
class Path:
    """One path to the answers under test.

    ``before`` names the answers that come first. ``meanwhile`` is a nonce that another turn stores in the session while
    the machine waits for the answer under test. ``full`` means that every answer is tried at this point, not only the
    usual ones.
    """

    subject: str
    step: str
    login: str
    before: tuple[str, ...] = ()
    renewed: str = "-"
    root: str = ""
    site: str = SITE
    meanwhile: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    full: bool = False

    @property
    def brief(self) -> bool:
        """Whether only a few answers are tried, because another path through the same code tries all."""
        alike = (
            self.subject in ("list_discussions", "public_get", "public_get_login", "upload", "handshake")
            or self.step in _ALIKE
        )
        return not self.full and (alike or (self.subject == "visit_page" and self.login != "guest"))

    @property
    def nonce(self) -> str:
        """The nonce of the session at the start."""
        return KNOWN if "+nonce" in self.login else ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        return HEADERS[self.login.replace("+nonce", "")]

    @property
    def kind(self) -> str:
        """The kind of the request: ``session``, ``page``, ``upload``, ``question`` or ``main``."""
        return self.step.partition(" ")[0]

    @property
    def name(self) -> tuple[str, str, str, str]:
        """The fields of a row that identify this path."""
        return self.subject, self.step, self.login, self.renewed


_ALIKE = {
    *("session third root", "session named root", "session sixth root", "session elsewhere", "session only root"),
    *("page language", "page forbidden before", "main forbidden before", "main page's nonce", "main page's root"),
    *("question upload renewed", "question upload retried", "question second root"),
}
"""Steps whose paths need only a few answers."""


def all_paths() -> Iterator[Path]:
    """Yield every path."""
    yield from _with_nonce("turn", "main")
    for subject in ("list_discussions", "upload"):
        yield from (path for path in _with_nonce(subject, "main") if path.step in _FEW)
    yield from _uploads_first()
    yield from _public("public_call", full=True)
    yield from _public("public_get", full=False)
    yield from _public_login()
    yield from _page_visit()
    yield from _handshake()


_FEW = {"session", "page", "main", "main elsewhere", "main renewed meanwhile"}
_THRICE = ("html_404", "html_404", "html_404")
_SIX = tuple(f"html_404_link_{number}" for number in range(1, 7))


def _with_nonce(subject: str, main: str) -> Iterator[Path]:
    """Yield the paths of a request that needs a nonce. A turn has the most paths."""
    all_of_it = subject == "turn"
    yield Path(subject, "session", "guest", full=all_of_it)
    yield Path(subject, "session", "password")
    yield Path(subject, "session", "own")
    yield Path(subject, "session", "guest+nonce", ("stale",), "renewed")
    yield Path(subject, "session", "password+nonce", ("stale",), "renewed")
    yield Path(subject, "session forbidden before", "password+nonce", ("forbidden_401",), "renewed")
    yield Path(subject, "session second root", "guest", ("html_404",))
    yield Path(subject, "session second root", "password", ("html_404",))
    yield Path(subject, "session third root", "guest", ("html_404", "html_404"))
    yield Path(subject, "session named root", "guest", ("html_404_link",))
    yield Path(subject, "session sixth root", "guest", _SIX[:5])
    yield Path(subject, "session seventh root", "guest", _SIX)
    yield Path(subject, "session known root", "guest", root=OTHER_ROOT)
    yield Path(subject, "session elsewhere", "password", root=FOREIGN_ROOT)
    yield Path(subject, "session page's root", "guest", ("no_route", "page_root_nonceless"))
    yield Path(subject, "session parent root", "guest", ("no_route", "page_nonceless"), site=f"{SITE}/fr")
    yield Path(subject, "session plain http", "guest", site="http://example.org")
    yield Path(subject, "session five redirects", "guest", ("to_307_itself",) * 5)
    yield Path(subject, "session only root", "guest", site=f"{SITE}/?rest_route=/")
    yield Path(subject, "session small", "guest", options={"max_body_size": 1000})

    yield Path(subject, "page", "guest", ("no_route",), full=all_of_it)
    yield Path(subject, "page", "password", ("no_route",))
    yield Path(subject, "page", "cookie", full=all_of_it)
    yield Path(subject, "page", "guest+nonce", ("stale", "no_route"), "renewed")
    yield Path(subject, "page", "cookie+nonce", ("stale",), "renewed")
    yield Path(subject, "page forbidden before", "guest", ("forbidden_401",))
    yield Path(subject, "page no root", "guest", _THRICE)
    yield Path(subject, "page mixed refusals", "guest", ("html_404", "html_405", "forbidden_401"))
    yield Path(subject, "page second", "guest", ("no_route", "page_root_nonceless", "no_route"))
    yield Path(subject, "page language", "guest", ("no_route",), site=f"{SITE}/fr")
    yield Path(subject, "page language", "cookie", site=f"{SITE}/fr")
    yield Path(subject, "page moved", "guest", ("no_route", "to_302_host_path"))
    yield Path(subject, "page moved", "cookie", ("to_302_www",))
    yield Path(subject, "page small", "cookie", options={"max_body_size": 1000})

    yield Path(subject, main, "guest", ("session",), full=all_of_it)
    yield Path(subject, main, "guest+nonce")
    yield Path(subject, main, "cookie", ("page",), full=all_of_it)
    yield Path(subject, main, "cookie+nonce")
    yield Path(subject, main, "password", ("session",))
    yield Path(subject, main, "password+nonce")
    yield Path(subject, main, "own", ("session",))
    yield Path(subject, main, "own+nonce")
    yield Path(subject, main, "guest+nonce", ("stale", "session"), "renewed", full=all_of_it)
    yield Path(subject, main, "cookie+nonce", ("stale", "page"), "renewed")
    yield Path(subject, main, "password+nonce", ("stale", "session"), "renewed")
    yield Path(subject, f"{main} forbidden before", "password+nonce", ("forbidden_401", "session"), "renewed")
    yield Path(subject, f"{main} page's nonce", "guest", ("no_route", "page"))
    yield Path(subject, f"{main} page's root", "cookie", ("page_root",))
    yield Path(subject, f"{main} second root", "guest", ("html_404", "session"))
    yield Path(subject, f"{main} known root", "guest+nonce", root=OTHER_ROOT, full=all_of_it)
    yield Path(subject, f"{main} known root", "cookie+nonce", root=OTHER_ROOT)
    yield Path(subject, f"{main} elsewhere", "guest+nonce", root=FOREIGN_ROOT)
    yield Path(subject, f"{main} elsewhere", "cookie+nonce", root=FOREIGN_ROOT)
    yield Path(subject, f"{main} elsewhere", "password+nonce", root=FOREIGN_ROOT)
    yield Path(subject, f"{main} elsewhere", "own+nonce", root=FOREIGN_ROOT)
    yield Path(subject, f"{main} redirected", "guest+nonce", ("to_307_path",))
    yield Path(subject, f"{main} redirected elsewhere", "password+nonce", ("to_307_host", "session"))
    yield Path(subject, f"{main} five redirects", "guest+nonce", ("to_307_itself",) * 5)
    yield Path(subject, f"{main} plain http", "guest+nonce", site="http://example.org")
    yield Path(subject, f"{main} renewed meanwhile", "guest+nonce", meanwhile="n-theirs")
    yield Path(subject, f"{main} renewed meanwhile", "cookie+nonce", meanwhile="n-theirs")
    yield Path(subject, f"{main} small", "guest+nonce", options={"max_body_size": 1000})


def _uploads_first() -> Iterator[Path]:
    subject = "turn_with_upload"
    yield Path(subject, "session", "guest")
    yield Path(subject, "page", "cookie")
    yield Path(subject, "upload", "guest", ("session",))
    yield Path(subject, "upload", "cookie+nonce")
    yield Path(subject, "upload", "guest+nonce", ("stale", "session"), "renewed")
    yield Path(subject, "upload", "password+nonce", ("forbidden_401", "session"), "renewed")
    yield Path(subject, "upload second root", "guest", ("html_404", "session"))
    yield Path(subject, "session of the question", "guest+nonce", ("file", "stale"), "renewed")
    yield Path(subject, "page of the question", "cookie+nonce", ("file", "stale"), "renewed")
    yield Path(subject, "question", "guest", ("session", "file"), full=True)
    yield Path(subject, "question", "cookie", ("page", "file"))
    yield Path(subject, "question", "password", ("session", "file"))
    yield Path(subject, "question", "guest+nonce", ("file", "stale", "session"), "renewed")
    yield Path(subject, "question upload renewed", "guest+nonce", ("stale", "session", "file"), "renewed")
    yield Path(subject, "question second root", "guest", ("html_404", "session", "file"))
    yield Path(subject, "question upload retried", "guest+nonce", ("lost", "file"), options={"retries": 1})


def _public(subject: str, full: bool) -> Iterator[Path]:
    yield Path(subject, "main", "bearer", full=full)
    yield Path(subject, "main", "bearer+nonce")
    yield Path(subject, "main", "bearer+cookie")
    yield Path(subject, "main", "bearer+password")
    yield Path(subject, "main second root", "bearer", ("html_404",))
    yield Path(subject, "main third root", "bearer", ("html_404", "html_404"))
    yield Path(subject, "main named root", "bearer", ("html_404_link",))
    yield Path(subject, "main sixth root", "bearer", _SIX[:5])
    yield Path(subject, "main seventh root", "bearer", _SIX)
    yield Path(subject, "main known root", "bearer", root=OTHER_ROOT)
    yield Path(subject, "main elsewhere", "bearer+cookie", root=FOREIGN_ROOT)
    yield Path(subject, "main five redirects", "bearer", ("to_307_itself",) * 5)
    yield Path(subject, "main plain http", "bearer", site="http://example.org")


def _public_login() -> Iterator[Path]:
    subject = "public_get_login"
    yield Path(subject, "main", "cookie", ("page",))
    yield Path(subject, "main", "cookie+nonce")
    yield Path(subject, "main", "password", ("session",))
    yield Path(subject, "main redirected", "password+nonce", ("to_307_path",))
    yield Path(subject, "main elsewhere", "cookie+nonce", root=FOREIGN_ROOT)


def _page_visit() -> Iterator[Path]:
    subject = "visit_page"
    yield Path(subject, "main", "guest", full=True)
    yield Path(subject, "main", "guest+nonce")
    yield Path(subject, "main", "cookie")
    yield Path(subject, "main", "password")
    yield Path(subject, "main", "own")
    yield Path(subject, "main moved", "cookie", ("to_302_host_path",))
    yield Path(subject, "main known root", "guest", root=OTHER_ROOT)
    yield Path(subject, "main five redirects", "guest", ("to_302_path",) * 5)
    yield Path(subject, "main plain http", "guest", site="http://example.org")
    yield Path(subject, "main small", "guest", options={"max_body_size": 1000})


def _handshake() -> Iterator[Path]:
    subject = "handshake"
    yield Path(subject, "session", "guest", full=True)
    yield Path(subject, "session", "guest+nonce")
    yield Path(subject, "session", "password")
    yield Path(subject, "session second root", "guest", ("html_404",))
    yield Path(subject, "session known root", "guest", root=OTHER_ROOT)
    yield Path(subject, "session page's root", "guest", ("no_route", "page_root_nonceless"))
    yield Path(subject, "page", "guest", ("no_route",))
    yield Path(subject, "page", "cookie")
    yield Path(subject, "page", "cookie+nonce")
    yield Path(subject, "page no root", "guest", _THRICE)
