"""The options of a gateway, which are checked when they are made."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from typing import Any

import pytest

from chatgpt4online import InvalidInput, Timeout
from chatgpt4online.gateway import ENVIRONMENT_VARIABLE, Gateway, GatewayOptions, SiteOptions, create_app

SITE = SiteOptions("https://example.org")
KEY = "a-long-secret-key-of-a-user"

WRONG_SITES: dict[str, tuple[dict[str, Any], str]] = {
    "an address without a scheme": ({"url": "example.org"}, "a site is a web address such as"),
    "an address that is not a string": ({"url": 5}, "a site is a"),
    "a name with a slash": ({"name": "a/b"}, "the name of a site has letters, digits"),
    "a name that is not a string": ({"name": 5}, "the name of a site has letters, digits"),
    "bots as a list": ({"bots": ["support"]}, "bots is a dict"),
    "a model without a name": ({"bots": {"": "support"}}, "bots has a name that is empty"),
    "a model with a space": ({"bots": {"a b": "support"}}, "bots has a name that is empty, too long or has a space"),
    "a bot's id that is too long": ({"bots": {"a": "x" * 65}}, "at most 64 characters"),
    "a bot's id that is not a string": ({"bots": {"a": 5}}, "bots has a name"),
    "pages as a string": ({"pages": "/help"}, "pages is a list of strings"),
    "an empty page": ({"pages": [""]}, "pages is a list of strings that are not empty"),
}


@pytest.mark.parametrize("name", WRONG_SITES)
def test_wrong_site_is_accepted(name: str) -> None:
    options, message = WRONG_SITES[name]
    with pytest.raises(InvalidInput, match=message):
        SiteOptions(**{"url": "https://example.org"} | options)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no site": ({"sites": []}, "a gateway needs a site"),
    "an address as a site": ({"sites": ["https://example.org"]}, "sites is a list of SiteOptions"),
    "two sites without names": ({"sites": [SITE, SITE]}, "several sites need a name each"),
    "two sites with one name": (
        {"sites": [SiteOptions(SITE.url, "a")] * 2},
        "two sites have the same name",
    ),
    "an empty name of a model": ({"models": {"": "default"}}, "models has a name that is empty"),
    "keys as a string": ({"api_keys": KEY}, "api_keys is a list of strings"),
    "an empty key": ({"api_keys": [""]}, "api_keys is a list of strings that are not empty"),
    "a short key": ({"api_keys": [KEY, "secret"]}, "API key 2 has fewer than 16 characters"),
    "a key with a space": (
        {"api_keys": [KEY + " "]},
        "API key 1 has a character that is not printable",
    ),
    "an origin without a scheme": ({"cors_origins": ["example.org"]}, "an origin is written as 'https://example.org'"),
    "an origin with a path": ({"cors_origins": ["https://example.org/"]}, "without a path"),
    "no body": ({"max_body": 0}, "max_body is a whole number from 1, not 0"),
    "a fraction": ({"concurrency": 1.5}, "concurrency is a whole number from 1, not 1.5"),
    "a truth value": ({"concurrency": True}, "concurrency is a whole number from 1, not True"),
    "a negative queue": ({"queue_length": -1}, "queue_length is a whole number from 0, not -1"),
    "an endless queue": ({"queue_seconds": float("inf")}, "queue_seconds is a number of seconds above 0"),
    "a word as seconds": ({"heartbeat": "15"}, "heartbeat is a number of seconds above 0, not '15'"),
    "no seconds": ({"models_seconds": 0}, "models_seconds is a number of seconds above 0, not 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_option_is_accepted(name: str) -> None:
    options, message = WRONG[name]
    with pytest.raises(InvalidInput, match=message) as raised:
        GatewayOptions(**{"sites": [SITE]} | options)
    assert KEY not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_secret_is_shown() -> None:
    options = GatewayOptions([SiteOptions("https://example.org", client={"token": "the-token"})], api_keys=[KEY])
    for shown in (repr(options), repr(Gateway(options))):
        assert KEY not in shown
        assert "the-token" not in shown


def test_options_change_on_their_way_to_another_process() -> None:
    client: Any = {"token": "the-token", "headers": {"X-Team": "blue"}, "timeout": Timeout(idle=5)}
    site = SiteOptions("https://example.org", "shop", {"a": "b"}, ["/help"], client)
    options = GatewayOptions([site], {"gpt-4o": "shop/a"}, [KEY], ["*"], concurrency=3, queue_seconds=1.5)
    assert GatewayOptions.from_json(options.to_json()) == options


def test_option_that_json_cannot_hold_has_no_clear_error() -> None:
    site = SiteOptions("https://example.org", client={"verify": ssl.create_default_context()})
    with pytest.raises(InvalidInput, match="cannot be passed to other processes"):
        GatewayOptions([site]).to_json()


WRONG_JSON = {
    "nothing": "",
    "not JSON": "{",
    "a list": "[]",
    "no sites": "{}",
    "sites that are an object": '{"sites": {"url": "https://example.org"}}',
    "an unknown field": '{"sites": [{"url": "https://example.org"}], "secret": 1}',
    "an unknown field of a site": '{"sites": [{"url": "https://example.org", "secret": 1}]}',
    "an unknown time limit": '{"sites": [{"url": "https://example.org", "client": {"timeout": {"soon": 1}}}]}',
    "a client that is a list": '{"sites": [{"url": "https://example.org", "client": [1]}]}',
    "a number of levels": "[" * 100_000,
}


@pytest.mark.parametrize("name", WRONG_JSON)
def test_wrong_json_has_no_clear_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, WRONG_JSON[name])
    with pytest.raises(InvalidInput, match=ENVIRONMENT_VARIABLE if name == "nothing" else "the options of a gateway"):
        create_app()


def test_environment_sets_no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, '{"sites": [{"url": "https://example.org"}], "concurrency": 7}')
    assert create_app().options.concurrency == 7
    assert repr(create_app()) == "<Gateway to https://example.org>"


def test_client_option_that_does_not_exist_is_ignored() -> None:
    with pytest.raises(TypeError, match="AsyncClient has no option 'colour'"):
        Gateway(GatewayOptions([SiteOptions("https://example.org", client={"colour": "blue"})]))  # type: ignore[typeddict-unknown-key]


@pytest.mark.parametrize("library", ["starlette", "pydantic", "prometheus_client"])
def test_missing_library_has_no_advice(library: str) -> None:
    code = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from chatgpt4online.gateway import *\n"
        "options = GatewayOptions([SiteOptions('https://example.org')])\n"
        "try: Gateway(options)\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"the gateway needs {library}: pip install 'chatgpt4online[gateway]'\n"


def test_options_load_another_library() -> None:
    code = (
        "import sys\n"
        "from chatgpt4online.gateway import GatewayOptions, SiteOptions\n"
        "GatewayOptions([SiteOptions('https://example.org')])\n"
        "print(*sorted({'starlette', 'pydantic', 'asyncio', 'ssl', 'uvicorn', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "\n"


def test_json_names_every_field() -> None:
    options = GatewayOptions([SITE])
    assert json.loads(options.to_json()).keys() == set(GatewayOptions.__dataclass_fields__)
