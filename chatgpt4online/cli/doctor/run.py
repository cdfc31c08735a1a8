"""Carry out the steps for one site, one after the other."""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from ... import ChatError, InvalidInput, Timeout
from ..connection import PASSWORD, SITE, TOKEN, USER, client_options, make_async_client, timeout, wanted_bot
from .address import check_address, check_tls
from .ask import Question
from .bots import check_bots
from .fetch import Fetcher, Unreachable, shown
from .findings import Finding, Mask, Skip
from .front import check_front, check_warnings
from .nonce import check_nonce, check_session
from .owner import check_api, check_keys, check_mcp
from .rest import check_plugin, check_rest
from .site import Site

Check: TypeAlias = Callable[[Site], Awaitable[Finding]]

_FREE: dict[str, Check] = {
    "address": check_address,
    "tls": check_tls,
    "rest": check_rest,
    "plugin": check_plugin,
    "session": check_session,
    "nonce": check_nonce,
    "bots": check_bots,
}
_LAST: dict[str, Check] = {"front": check_front, "warnings": check_warnings}  # they read the answers of all others
_OWNER: dict[str, Check] = {"api": check_api, "mcp": check_mcp}
_WITHOUT_SITE = ("tls", "front", "warnings", "keys")  # the steps that are carried out after a failed address


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a check: the address, the connection, the owner's login, and the bot of a question."""

    address: str
    timeout: Timeout
    headers: dict[str, str]
    proxy: str | None
    login: tuple[str, str] | None
    token: str | None
    bot_id: str | None

    @classmethod
    def of(cls, options: argparse.Namespace) -> Settings:
        """Return the settings in the arguments and the environment. Asks for the password of ``--user``.

        Raises InvalidInput for values that cannot be used.
        """
        found = client_options(options)
        # It refuses what cannot be sent, and a part of a login, as in the other commands. It opens no connection.
        make_async_client(options, found)
        login, token = found.get("auth"), found.get("token")
        if options.site is None:  # the variables of the environment belong together
            name, password = os.environ.get(USER), os.environ.get(PASSWORD)
            login = login or ((name, password) if name and password else None)
            token = token or os.environ.get(TOKEN) or None
        return cls(
            options.site or os.environ[SITE],
            timeout(options),
            dict(options.header),
            options.proxy,
            login,
            token,
            wanted_bot(options),
        )

    def mask(self) -> Mask:
        """Return a mask that knows the secrets in these settings."""
        mask = Mask(frozenset({urlsplit(self.address).hostname or ""}))
        for name, value in self.headers.items():
            mask.add_header(name, value)
        if self.login is not None:
            mask.add_login(*self.login)
        mask.add(self.token or "")
        return mask

    @property
    def shown_address(self) -> str:
        """The address without parameters, which may hold secrets."""
        return shown(self.address)

    @property
    def is_owner(self) -> bool:
        """Whether there is a login or a token."""
        return self.login is not None or self.token is not None


async def run_checks(settings: Settings, question: str | None = None) -> AsyncGenerator[Finding, None]:
    """Yield the finding of each step. Only ``question`` is sent to a model. Raises InvalidInput for a wrong proxy."""
    from ...http1 import Pool  # noqa: PLC0415  # --help loads no HTTP library

    try:
        pool = Pool(proxy=settings.proxy)
    except ValueError as error:
        raise InvalidInput(f"--proxy: {error}") from None
    fetcher = Fetcher(pool, settings.address, settings.headers, settings.timeout, settings.mask())
    site = Site(settings.address, fetcher, settings.proxy, settings.login, settings.token)
    try:
        is_reached = True
        for name, check in _steps(settings, question).items():
            finding = await _carry_out(name, check, site) if is_reached or name in _WITHOUT_SITE else _unreached(name)
            is_reached = is_reached and not (name == "address" and _is_lost(finding))
            yield fetcher.mask.finding(finding)
    finally:
        await pool.aclose()


def _steps(settings: Settings, question: str | None) -> dict[str, Check]:
    asked: dict[str, Check] = {} if question is None else {"ask": Question(question, settings.bot_id).check}
    owner = _OWNER if settings.is_owner else {}
    return {**_FREE, **asked, **owner, **_LAST, **({"keys": check_keys} if owner or asked else {})}


async def _carry_out(name: str, check: Check, site: Site) -> Finding:
    """Return the finding of a step, also if it could not be carried out."""
    try:
        return await check(site)
    except Skip as reason:
        return Finding(name, "skipped", str(reason))
    except ChatError as error:  # the site names an address that the package refuses
        return Finding(name, "unknown", str(error))
    except Unreachable as error:
        if error.reported_by:
            return Finding(name, "skipped", f"no answer, as in the step {error.reported_by}")
        error.reported_by = name
        return Finding(name, "problem", str(error), "Try again. If it happens again, look into the log of the server.")


def _is_lost(finding: Finding) -> bool:
    """Return whether no page has arrived."""
    return "status" not in finding.data


def _unreached(name: str) -> Finding:
    return Finding(name, "skipped", "the site was not reached")
