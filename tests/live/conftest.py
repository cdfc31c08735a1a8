"""The options of the live suite: ``python -m pytest tests/live --site URL [--bot ID] [--page PATH]``.

The suite asks a real site a few short questions, to check whether this package and the site's version of the plugin
work together. Use it only with your own sites, or if the owner allows it. Without ``--site``, no test of it is
collected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chatgpt4online import Client, Session

QUESTIONS = 6  # questions that a model answers; tests/test_live_suite.py counts them
OTHERS = 15  # other requests, at most: to find the API, for nonces, for pages, and two that the site has to refuse


@dataclass(frozen=True)
class Target:
    """The site and the bot to test."""

    site: str
    bot: str
    page: str


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("live", "a real AI Engine site")
    group.addoption("--site", metavar="URL", help="the site that tests/live asks; without it, nothing is sent")
    group.addoption("--bot", metavar="ID", default="default", help="the id of its bot (default: %(default)s)")
    group.addoption("--page", metavar="PATH", default="/", help="a page with a chat widget (default: %(default)s)")


def _site(config: pytest.Config) -> str | None:
    return config.getoption("--site", default=None)  # a run of all tests loads this file too late for its options


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if _site(config) is None else None


def pytest_report_header(config: pytest.Config) -> list[str]:
    site = _site(config)
    if site is None:
        return ["tests/live: nothing is sent without --site URL"]
    return [
        f"tests/live: asks the bot {config.getoption('--bot')!r} of {site}",
        f"tests/live: sends {QUESTIONS} short questions and at most {OTHERS} other requests, one after the other",
    ]


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> None:
    """Allow these tests to leave the machine, which all other tests must not do."""


@pytest.fixture(scope="session")
def target(pytestconfig: pytest.Config) -> Target:
    return Target(*(pytestconfig.getoption(name) for name in ("--site", "--bot", "--page")))


@pytest.fixture(scope="session")
def session() -> Session:
    """The session that all tests share, so that the site is asked for one nonce only."""
    return Session()


@pytest.fixture
def client(target: Target, session: Session) -> Iterator[Client]:
    with Client(target.site, bot_id=target.bot, retries=0) as client:
        client.session = session
        yield client
