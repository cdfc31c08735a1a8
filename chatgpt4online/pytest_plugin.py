"""Fixtures for pytest: sites on loopback that end with their test.

pytest imports this module at its start, before a tool measures the coverage of a program. So the module imports the
rest of the package only in the fixtures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

TYPE_CHECKING = False  # type checkers read this name as True
if TYPE_CHECKING:
    from .testing import Site


@pytest.fixture
def ai_engine_sites() -> Iterator[Callable[..., Site]]:
    """Return a function that starts an AI Engine site on loopback, with the arguments of ``serve_site``.

    It returns a running ``chatgpt4online.testing.Site``. The end of the test closes all sites. If a script of a site
    raised an exception, pytest reports it there as an error of the test.
    """
    from .testing import serve_site  # noqa: PLC0415  # see the top

    with ExitStack() as sites:
        yield lambda *args, **options: sites.enter_context(serve_site(*args, **options))


@pytest.fixture
def ai_engine_site(ai_engine_sites: Callable[..., Site]) -> Site:
    """Return a running AI Engine site on loopback, which repeats each question. ``ai_engine_site.url`` is its address.

    It is a ``chatgpt4online.testing.Site``. The end of the test closes it.
    """
    return ai_engine_sites()
