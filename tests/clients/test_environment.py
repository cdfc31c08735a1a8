"""The environment variables: who reads them, what replaces them, and that no other site receives the credentials."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest

from chatgpt4online import (
    AsyncClient,
    Bot,
    Chatgpt4Online,
    Client,
    Conversation,
    EventParser,
    InvalidInput,
    StatusError,
    Submission,
    Turn,
    aask,
    ask,
    astream,
    stream,
)
from chatgpt4online.cli import main
from chatgpt4online.environment import (
    BOT,
    DEFAULT_SITE,
    FROM_ENVIRONMENT,
    PASSWORD,
    SITE,
    TOKEN,
    USER,
    SiteOptions,
    site_options,
)
from chatgpt4online.testing import Site

from ..site import serve_site
from ..support.server import Peer, Server, response
from .test_secrets import texts_of

SECRET = "s3cr3t"
ANN = ("ann", "abcd efgh ijkl mnop qrst uvwx")
BEN = ("ben", "1234 5678 9012 3456 7890 1234")
TOKENS = ("token-of-the-environment", "token-of-the-caller")
VALUES = {BOT: "support", USER: ANN[0], PASSWORD: ANN[1], TOKEN: TOKENS[0]}
OTHER_SITE = "https://other.example"

Way = Callable[[dict[str, Any]], Any]


async def _aask(options: dict[str, Any]) -> None:
    await aask("Hi", **options)


async def _astream(options: dict[str, Any]) -> None:
    async with astream("Hi", **options) as pieces:
        assert [piece async for piece in pieces]


def _client(options: dict[str, Any]) -> None:
    with Client(**options) as client:
        client.ask("Hi")
        with suppress(StatusError):  # for a wrong token, or none
            client.api.check()


async def _async_client(options: dict[str, Any]) -> None:
    async with AsyncClient(**options) as client:
        await client.ask("Hi")
        with suppress(StatusError):
            await client.api.check()


def _command(options: dict[str, Any]) -> None:
    """Run the command line. Its errors are one line on stderr, which its own tests read."""
    arguments = [word for name, value in options.items() for word in (f"--{name.removesuffix('_id')}", value)]
    assert main(["Hi", *arguments]) == 0


LIBRARY: dict[str, Way] = {
    "ask": lambda options: ask("Hi", **options),
    "stream": lambda options: list(stream("Hi", **options)),
    "aask": lambda options: asyncio.run(_aask(options)),
    "astream": lambda options: asyncio.run(_astream(options)),
    "Client": _client,
    "AsyncClient": lambda options: asyncio.run(_async_client(options)),
}
WAYS = LIBRARY | {"the command": _command}


def subsets(values: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield each choice of these variables."""
    for count in range(len(values) + 1):
        for names in itertools.combinations(values, count):
            yield {name: values[name] for name in names}


def basic(auth: tuple[str, str]) -> str:
    return "Basic " + b64encode(":".join(auth).encode()).decode()


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site]]:
    """Yield the site that the environment names, and another site."""
    users = dict([ANN, BEN])
    with (
        serve_site(users=users, bots=["default", "support", "sales"], token=TOKENS[0]) as own,
        serve_site(users=users, bots=["default", "support", "sales"], token=TOKENS[0]) as other,
    ):
        yield own, other


def set_variables(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> None:
    for name in (SITE, *VALUES):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


class TestChoice:
    """The function that chooses between arguments, variables and defaults."""

    def test_a_combination_is_chosen_wrongly(self) -> None:
        """The expected result is computed from the documented rules, option by option."""
        choices: dict[str, list[Any]] = {
            "site": [FROM_ENVIRONMENT, OTHER_SITE],
            "bot_id": [FROM_ENVIRONMENT, "sales", None],
            "auth": [FROM_ENVIRONMENT, BEN, None],
            "token": [FROM_ENVIRONMENT, TOKENS[1], None],
        }
        count = 0
        for variables in subsets({SITE: "https://example.org"} | VALUES):
            environ = dict.fromkeys((SITE, *VALUES), "") | variables
            for values in itertools.product(*choices.values()):
                arguments = dict(zip(choices, values, strict=True))
                given = {name for name, value in arguments.items() if value is not FROM_ENVIRONMENT}
                for shown in (environ, variables):  # an empty variable counts as missing
                    assert self.outcome(shown, arguments) == self.expected(variables, arguments, given)
                count += 1
        assert count == 2**5 * 2 * 3**3

    @staticmethod
    def outcome(environ: Mapping[str, str], arguments: dict[str, Any]) -> Any:
        try:
            return site_options(environ, **arguments)
        except InvalidInput as error:
            return str(error).partition(":")[0]

    @staticmethod
    def expected(variables: Mapping[str, str], arguments: dict[str, Any], given: set[str]) -> Any:
        """Return the options, or the name of the variable that is missing."""
        names = {"bot_id": {BOT}, "auth": {USER, PASSWORD}, "token": {TOKEN}}
        usable = {name for option in names.keys() - given for name in names[option]} & variables.keys()
        if "site" in given:
            usable = set()
        elif SITE not in variables and usable:
            return SITE
        elif usable & {USER, PASSWORD} == {USER}:
            return PASSWORD
        elif usable & {USER, PASSWORD} == {PASSWORD}:
            return USER
        found: dict[str, Any] = {
            "site": variables.get(SITE, DEFAULT_SITE),
            "bot_id": variables[BOT] if BOT in usable else "default",
            "auth": (variables[USER], variables[PASSWORD]) if USER in usable else None,
            "token": variables[TOKEN] if TOKEN in usable else None,
        }
        return SiteOptions(**{name: arguments[name] if name in given else found[name] for name in found})

    @pytest.mark.parametrize("option", [{"bot": Bot("sales")}, {"custom_id": "c"}], ids=str)
    def test_bot_of_another_option_does_not_replace_that_of_the_environment(self, option: dict[str, Any]) -> None:
        environ = {SITE: "https://example.org", BOT: "support"}
        assert site_options(environ, **option).bot_id == "default"
        assert site_options({BOT: "support"}, **option) == SiteOptions(DEFAULT_SITE)
        assert site_options(environ, bot=None, custom_id=None).bot_id == "support"

    @pytest.mark.parametrize("name", ["Authorization", "authorization"])
    def test_authorization_header_of_the_caller_does_not_replace_the_credentials(self, name: str) -> None:
        environ = {SITE: "https://example.org"} | VALUES
        chosen = site_options(environ, headers={name: "Bearer x"})
        assert chosen == SiteOptions("https://example.org", "support")
        assert site_options(environ, headers={"X-Key": "x"}).auth == ANN

    def test_text_that_the_locale_cannot_decode_is_not_read_as_utf8(self) -> None:
        password = "Пароль".encode().decode("ascii", "surrogateescape")
        chosen = site_options({SITE: "https://example.org", USER: "ann", PASSWORD: password})
        assert chosen.auth == ("ann", "Пароль")

    def test_repr_shows_a_secret(self) -> None:
        environ = {SITE: "https://example.org", USER: "ann", PASSWORD: SECRET, TOKEN: SECRET}
        assert SECRET not in repr(site_options(environ))

    def test_default_is_shown_in_signatures_under_another_name(self) -> None:
        assert repr(FROM_ENVIRONMENT) == "FROM_ENVIRONMENT"


ARGUMENTS: dict[str, dict[str, Any]] = {
    "no argument": {},
    "other arguments": {"bot_id": "sales", "auth": BEN, "token": TOKENS[1]},
    "other bot": {"bot_id": "sales"},
    "other login": {"auth": BEN},
    "other token": {"token": TOKENS[1]},
    "None": {"auth": None, "token": None},
}
# The command line has no options for the login and the token.
CALLS = [(way, name) for way in WAYS for name in ARGUMENTS if way in LIBRARY or not ARGUMENTS[name].keys() - {"bot_id"}]


@pytest.mark.parametrize("is_site_given", [False, True], ids=["site of the environment", "site as an argument"])
@pytest.mark.parametrize(("way", "arguments"), CALLS)
def test_site_receives_another_bot_or_other_credentials(
    way: str, is_site_given: bool, arguments: str, sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each choice of the other variables. The site that is not asked receives nothing at all."""
    given = ARGUMENTS[arguments]
    own, other = sites
    asked, silent = (other, own) if is_site_given else (own, other)
    options = given | ({"site": other.url} if is_site_given else {})
    for variables in subsets(VALUES):
        if not is_site_given and "auth" not in given and (USER in variables) != (PASSWORD in variables):
            continue  # an error, see below
        set_variables(monkeypatch, {SITE: own.url} | variables)
        before = len(asked.requests)
        WAYS[way](options)
        received = asked.requests[before:]
        found = {} if is_site_given else variables
        auth = given.get("auth", ANN if USER in found and PASSWORD in found else None)
        token = given.get("token", found.get(TOKEN))
        login = basic(auth) if auth else None
        for request in received:
            is_public = "simpleAuthCheck" in request.path
            expected = f"Bearer {token}" if is_public and token else login
            assert request.headers.get("authorization") == expected, request.path
        assert received[-1].path.endswith("simpleAuthCheck") is ("Client" in way)
        (question,) = (request.json for request in received if request.path.endswith("/chats/submit"))
        assert question["botId"] == given.get("bot_id", found.get(BOT, "default"))
        assert silent.requests == []


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
@pytest.mark.parametrize("way", WAYS)
def test_redirect_carries_credentials_of_the_environment_to_another_site(
    way: str, status: str, sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The site of the environment receives the credentials, and redirects each request."""
    other, _ = sites
    seen: list[str | None] = []

    def redirect(peer: Peer) -> None:
        for request in peer.requests():
            seen.append(request.headers.get("authorization"))
            peer.send(response(b"", status, Location=other.url + request.target))

    with Server(redirect) as server:
        set_variables(monkeypatch, {SITE: server.url} | VALUES)
        with suppress(StatusError, AssertionError):  # AssertionError: of the command, for its exit status
            WAYS[way]({})
    assert seen[0] == basic(ANN)
    assert other.requests
    for request in other.requests:
        assert "authorization" not in request.headers
        for secret in (*ANN, TOKENS[0], basic(ANN).partition(" ")[2]):
            assert secret not in f"{request.path} {request.headers} {request.body!r}"


# The variables, and the name with which the message begins.
WRONG: dict[str, tuple[dict[str, str], str]] = {
    "bot without a site": ({BOT: "support"}, SITE),
    "login without a site": ({USER: "ann", PASSWORD: SECRET}, SITE),
    "password without a site": ({PASSWORD: SECRET}, SITE),
    "user without a site": ({USER: "ann"}, SITE),
    "token without a site": ({TOKEN: SECRET}, SITE),
    "token with an empty site": ({SITE: "", TOKEN: SECRET}, SITE),
    "password without a user": ({SITE: OTHER_SITE, PASSWORD: SECRET}, USER),
    "password with an empty user": ({SITE: OTHER_SITE, USER: "", PASSWORD: SECRET}, USER),
    "user without a password": ({SITE: OTHER_SITE, USER: SECRET}, PASSWORD),
    "site without a scheme": ({SITE: "example.org"}, SITE),
    "site with a password": ({SITE: f"https://ann:{SECRET}@example.org"}, SITE),
    "site of blanks": ({SITE: "  "}, SITE),
    "bot that is too long": ({SITE: OTHER_SITE, BOT: "x" * 65}, BOT),
    "user with a colon": ({SITE: OTHER_SITE, USER: f"{SECRET}:x", PASSWORD: SECRET}, USER),
    "user with half a character": ({SITE: OTHER_SITE, USER: f"{SECRET}\udcff", PASSWORD: SECRET}, USER),
    "password with half a character": ({SITE: OTHER_SITE, USER: "ann", PASSWORD: f"{SECRET}\udcff"}, PASSWORD),
    "token with its word": ({SITE: OTHER_SITE, TOKEN: f"Bearer {SECRET}"}, TOKEN),
    "token outside of ASCII": ({SITE: OTHER_SITE, TOKEN: f"{SECRET}é"}, TOKEN),
}


@pytest.mark.parametrize("way", LIBRARY)
@pytest.mark.parametrize("name", WRONG)
def test_wrong_variable_is_not_named_or_a_secret_is_shown(name: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables, named = WRONG[name]
    set_variables(monkeypatch, variables)
    with pytest.raises(InvalidInput) as caught:
        LIBRARY[way]({})
    assert str(caught.value).startswith(f"{named}: ")
    assert SECRET not in texts_of(caught.value)


@pytest.mark.parametrize("name", [name for name in WRONG if "without a site" not in name and "empty site" not in name])
def test_command_does_not_report_a_wrong_variable_in_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    variables, named = WRONG[name]
    set_variables(monkeypatch, variables)
    assert main(["Hi"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"chatgpt4online: {named}: ")
    assert SECRET not in err


@pytest.mark.parametrize("name", [name for name in WRONG if "without a site" in name or "empty site" in name])
def test_command_with_credentials_but_without_a_site_asks_a_site(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_variables(monkeypatch, WRONG[name][0])
    with pytest.raises(SystemExit) as ended:
        main(["Hi"])
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(f"chatgpt4online: no site is given: add --site ADDRESS, set the environment variable {SITE}")
    assert SECRET not in err


@pytest.mark.parametrize("name", WRONG)
def test_site_as_an_argument_does_not_prevent_the_error_of_a_wrong_variable(
    name: str, sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for ``--demo``, which is a site too, and for code that has a site of its own."""
    _, other = sites
    set_variables(monkeypatch, WRONG[name][0])
    for way in WAYS.values():
        way({"site": other.url})
    assert main(["Hi", "--demo"]) == 0
    provider: Any = type("Other", (Chatgpt4Online,), {"url": other.url})
    assert "".join(provider.create_completion("gpt-4", "Hi")) == "You said: Hi"
    assert all("authorization" not in request.headers for request in other.requests)


@pytest.mark.parametrize("site", [None, "", 5])
@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_site_that_is_not_an_address_is_replaced_by_that_of_the_environment(
    client_class: Any, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, {SITE: OTHER_SITE} | VALUES)
    with pytest.raises(InvalidInput, match=r"^a site is a web address"):
        client_class(site)


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_client_without_variables_has_another_default(client_class: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, {})
    operations = client_class()._operations
    found = (operations.site, operations.bot_id, operations.auth, operations.token)
    assert found == ("https://chatgpt4online.org", "default", None, None)


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_client_reads_the_environment_again(client_class: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables are read when the client is made, and not later."""
    set_variables(monkeypatch, {SITE: "https://example.org"})
    client = client_class()
    set_variables(monkeypatch, {SITE: OTHER_SITE, TOKEN: SECRET})
    assert (client._operations.site, client._operations.token) == ("https://example.org", None)
    assert (client_class()._operations.site, client_class()._operations.token) == (OTHER_SITE, SECRET)


def test_import_reads_the_environment() -> None:
    code = "import chatgpt4online.provider, chatgpt4online.cli; import os; os.environ.clear(); chatgpt4online.Client()"
    environ = os.environ | {SITE: "not an address", USER: "ann"}
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=environ, check=True, timeout=60)


def test_core_reads_the_environment(sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Turn, EventParser, Conversation.load and the provider have the site of their caller."""
    own, other = sites
    set_variables(monkeypatch, {SITE: own.url} | VALUES)
    turn = Turn(other.url, Submission("Hi"))
    request = turn.next_request()
    assert request is not None
    assert "authorization" not in {name.lower() for name in request.headers}
    assert EventParser().receive_eof()
    with Client(other.url) as client:
        client.conversation().save(tmp_path / "talk.json")
        Conversation.load(tmp_path / "talk.json", client).ask("Hi")
    provider: Any = type("Other", (Chatgpt4Online,), {"url": other.url})
    assert "".join(provider.create_completion("gpt-4", "Hi")) == "You said: Hi"
    assert asyncio.run(provider.create_async("gpt-4", "Hi")) == "You said: Hi"
    assert asyncio.run(provider.get_nonce())
    assert own.requests == []
    for received in other.requests:
        assert "authorization" not in received.headers
        assert (received.json or {}).get("botId", "default") == "default"
