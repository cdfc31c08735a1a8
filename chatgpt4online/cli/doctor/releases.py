"""The release of AI Engine: its signs in a page and in answers, and the features that came with each release."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TypeAlias

from .fetch import Answer

Number: TypeAlias = tuple[int, ...]

# A key in the settings of a widget, or a route, and the first release that has it (see docs/protocol.rst).
_KEYS = {"shortcuts": (2, 5, 2), "eventLogs": (2, 8, 5), "crossSite": (2, 9, 9)}
_ROUTES = {
    "/mwai-ui/v1/chats/submit": (1, 6, 76),
    "/mwai-ui/v1/files/list": (2, 1, 5),
    "/mwai-ui/v1/discussions/edit": (2, 6, 5),
    "/mwai-ui/v1/search": (2, 8, 3),
}
_BEFORE_SESSIONS = "2.4.3"  # the last release without start_session
_WITHOUT_ID = "2.8.4"  # the last release whose session id is "N/A" for new visitors

# The features of docs/versions.rst that need no setting of the owner, and the first release with each.
_FEATURES = {
    "actions": (2, 4, 8),
    "shortcuts": (2, 4, 9),
    "notices": (2, 8, 3),
    "response ids": (2, 8, 4),
    "renewal of nonces": (2, 8, 5),
    "several files": (3, 1, 2),
    "deleting files": (3, 3, 0),
    "shortcuts with hidden text": (3, 3, 3),
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """The places where a release shows: the page, the routes, the answer to start_session, and the readme file.

    ``stated`` is the release in the readme file, or ``""``. ``has_bots`` says whether the page has a bot.
    """

    page: str
    routes: tuple[str, ...]
    session: Answer
    stated: str
    has_bots: bool

    @property
    def shows_plugin(self) -> bool:
        """Whether one of these places shows that the plugin is active."""
        session = self.session
        is_answer = "restNonce" in session.json or session.code == "rest_forbidden"
        return self.has_bots or bool(self.routes) or is_answer


@dataclass(frozen=True, slots=True)
class Release:
    """The release, or its limits. Each is ``""`` where it is not known. ``installed`` is a date."""

    exact: str = ""
    least: str = ""
    most: str = ""
    installed: str = ""

    @property
    def most_number(self) -> Number:
        """The latest release that it can be."""
        return number(self.exact or self.most or "99")

    @property
    def least_number(self) -> Number:
        """The earliest release that it can be."""
        return number(self.exact or self.least or "0")

    def is_between(self, first: Number, last: Number) -> bool:
        """Return whether it is certainly one of these releases."""
        return first <= self.least_number and self.most_number <= last

    def words(self) -> str:
        """Return the release in words."""
        date = f"; its files are from {self.installed}" if self.installed else ""
        if self.exact:
            return f"release {self.exact}{date}"
        if self.least and self.most:
            return f"a release from {self.least} to {self.most}{date}"
        if self.least or self.most:
            return (f"release {self.least} or later" if self.least else f"release {self.most} or earlier") + date
        return f"a release that does not show{date}"


def number(release: str) -> Number:
    """Return a release as a tuple of its numbers."""
    return tuple(int(part) for part in re.findall(r"\d{1,9}", release))


def readme_release(text: str) -> str:
    """Return the release in the plugin's readme file, or ``""``."""
    match = re.search(r"^Stable tag:\s*(\d+\.\d+\.\d+)\s*$", text[:65_536], re.MULTILINE)
    return match[1] if match and "AI Engine" in text[:65_536] else ""


def find_release(evidence: Evidence) -> Release:
    """Return the release, as far as the evidence tells it."""
    version = re.search(r"/plugins(?:\\?/)ai-engine[^\"'\s<>]*?[?&;]ver=([\d.]+)", evidence.page)
    stamp = version[1].strip(".") if version else ""
    exact = evidence.stated or (stamp if stamp.count(".") == 2 else "")
    least = _least(evidence)
    if exact and number(exact) < least:  # a readme file that was kept from an earlier release
        exact = ""
    most = "" if exact else _most(evidence.session)
    return Release(exact, "" if exact else ".".join(map(str, least)), most, _date(stamp))


def features(release: Release) -> tuple[list[str], list[str]]:
    """Return the features that a release has, and those that it certainly does not have."""
    able = [name for name, since in _FEATURES.items() if release.least_number >= since]
    unable = [name for name, since in _FEATURES.items() if release.most_number < since]
    return able, unable


def _least(evidence: Evidence) -> Number:
    quote = r"(?:&quot;|&#0?34;|\")"
    found = [since for key, since in _KEYS.items() if re.search(f"{quote}{key}{quote}:", evidence.page)]
    found += [since for route, since in _ROUTES.items() if route in evidence.routes]
    session = evidence.session
    if session.json.get("restNonce"):
        found.append((2, 4, 4))
    if any(cookie.startswith("mwai_session_id=") for cookie in session.cookies):
        found.append((2, 8, 5))
    return max(found, default=())


def _most(session: Answer) -> str:
    if session.code == "rest_no_route":
        return _BEFORE_SESSIONS
    return _WITHOUT_ID if session.json.get("sessionId") == "N/A" else ""


def _date(stamp: str) -> str:
    """Return the date in the time stamp that the plugin adds to the addresses of its files, or ``""``."""
    if not re.fullmatch(r"1\d{9}", stamp):
        return ""
    return time.strftime("%Y-%m-%d", time.gmtime(int(stamp)))
