"""The environment variables that name the site of a client, and the bot and the login there.

An argument has precedence over its variable, and a variable over the default. The bot and the credentials of the
environment are used only for the site of the environment, so that no other site receives them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from .protocol.calls.roots import rest_roots
from .protocol.parsing.errors import InvalidInput

DEFAULT_SITE = "https://chatgpt4online.org"

SITE = "CHATGPT4ONLINE_SITE"
BOT = "CHATGPT4ONLINE_BOT"
USER = "CHATGPT4ONLINE_USER"
PASSWORD = "CHATGPT4ONLINE_PASSWORD"  # noqa: S105  # the name of the variable
TOKEN = "CHATGPT4ONLINE_TOKEN"  # noqa: S105  # as above

T = TypeVar("T")
V = TypeVar("V")


class FromEnvironment(Enum):
    """The type of the default of an option that the environment can set. Any other value, also None, replaces it."""

    FROM_ENVIRONMENT = "FROM_ENVIRONMENT"

    def __repr__(self) -> str:
        return self.name


FROM_ENVIRONMENT = FromEnvironment.FROM_ENVIRONMENT


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """The options of a client that the environment can set."""

    site: str
    bot_id: str | None = "default"
    auth: tuple[str, str] | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


def site_options(
    environ: Mapping[str, str],
    *,
    site: str | FromEnvironment = FROM_ENVIRONMENT,
    bot_id: str | FromEnvironment | None = FROM_ENVIRONMENT,
    auth: tuple[str, str] | FromEnvironment | None = FROM_ENVIRONMENT,
    token: str | FromEnvironment | None = FROM_ENVIRONMENT,
    bot: object = None,
    custom_id: object = None,
    headers: object = None,
) -> SiteOptions:
    """Return these options, with the values of ``environ`` or the defaults in place of ``FROM_ENVIRONMENT``.

    With a ``site``, nothing of ``environ`` is read. A variable that an argument replaces is not read either. The bot is
    replaced by ``bot_id``, ``bot`` and ``custom_id``. A header ``Authorization`` replaces the login and the token,
    since they are sent in that header. An empty variable counts as missing. Raises InvalidInput for variables that
    cannot be used; the message names the variable and shows no secret. The arguments are not checked.
    """
    usual = SiteOptions(DEFAULT_SITE if isinstance(site, FromEnvironment) else site)
    if isinstance(site, FromEnvironment):
        has_header = isinstance(headers, Mapping) and "authorization" in {str(name).lower() for name in headers}
        reads_login = isinstance(auth, FromEnvironment) and not has_header
        is_read = {
            SITE: True,
            BOT: isinstance(bot_id, FromEnvironment) and bot is None and custom_id is None,
            USER: reads_login,
            PASSWORD: reads_login,
            TOKEN: isinstance(token, FromEnvironment) and not has_header,
        }
        usual = _read({name: environ[name] for name, wanted in is_read.items() if wanted and environ.get(name)})
    return SiteOptions(
        usual.site,
        usual.bot_id if isinstance(bot_id, FromEnvironment) else bot_id,
        usual.auth if isinstance(auth, FromEnvironment) else auth,
        usual.token if isinstance(token, FromEnvironment) else token,
    )


def as_utf8(text: str) -> str:
    """Return a text of the operating system. Bytes that the locale could not decode are decoded as UTF-8."""
    with suppress(UnicodeError):
        return text.encode(errors="surrogateescape").decode()
    return text


def _read(variables: Mapping[str, str]) -> SiteOptions:
    """Return the options that these variables set, and the defaults for the others. Raises InvalidInput."""
    # Imported here, since --help of the command line needs only the names of the variables.
    from .options import check_auth, check_bot_names, read_token  # noqa: PLC0415

    values = {name: as_utf8(value) for name, value in variables.items()}
    if SITE not in values:
        for name in values:
            raise InvalidInput(
                f"{SITE}: it is not set, but {name} is; set it to the address of the site that {name} is for, "
                f"or unset {name}"
            )
        return SiteOptions(DEFAULT_SITE)
    for missing, name in ((USER, PASSWORD), (PASSWORD, USER)):
        if name in values and missing not in values:
            raise InvalidInput(f"{missing}: it is not set, but {name} is; a login needs both, so set or unset both")
    _checked(SITE, rest_roots, values[SITE])
    bot_id = values.get(BOT, "default")
    _checked(BOT, lambda value: check_bot_names(value, None, None), bot_id)
    auth = (values[USER], values[PASSWORD]) if USER in values else None
    if auth is not None:
        # Each is checked beside a good half of the pair, so that the error names the right variable.
        _checked(USER, lambda value: check_auth((value, "-")), auth[0])
        _checked(PASSWORD, lambda value: check_auth(("-", value)), auth[1])
    token = _checked(TOKEN, read_token, values.get(TOKEN))
    return SiteOptions(values[SITE], bot_id, auth, token)


def _checked(name: str, check: Callable[[V], T], value: V) -> T:
    """Return the result of a check. Raises its InvalidInput with the name of the variable."""
    try:
        return check(value)
    except InvalidInput as error:
        problem = str(error)
    raise InvalidInput(f"{name}: {problem}")  # outside of the except block, as in options.py
