"""Wrong options for connections. Both clients refuse them when the client is made, without showing a secret."""

from __future__ import annotations

import copy
import pickle
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import requests

from chatgpt4online import AsyncClient, Client, InvalidInput, Session
from chatgpt4online.http1 import Pool

SITE = "http://127.0.0.1:9"  # nothing listens there, and nothing is sent
SECRET = "s3cr3t-0123456789"  # must not be shown
OWN: dict[Any, Callable[[], Any]] = {Client: requests.Session, AsyncClient: Pool}

pytestmark = pytest.mark.parametrize("kind", [Client, AsyncClient])

OPTIONS: list[tuple[str, Any, str]] = [
    ("proxy", {"http": "http://x"}, "proxy is one address"),
    ("proxy", f"http://ann:{SECRET}#@127.0.0.1:1", "proxy"),
    ("proxy", f"http://ann:{SECRET}@127.0.0.1:99999", "its port is not a number from 1 to 65535"),
    ("proxy", f"ftp://ann:{SECRET}@127.0.0.1", "one of the schemes"),
    ("proxy", "", "proxy"),
    ("proxy", 5, "proxy"),
    ("verify", "", "does not exist"),
    ("verify", "/nonexistent.pem", "'/nonexistent.pem' does not exist"),
    ("verify", 0, "verify must be True, False, the path"),
    ("verify", None, "verify must be True, False, the path"),
    ("http", "http://127.0.0.1", "http is a "),
    ("http", Session(), "http is a "),
]


@pytest.mark.parametrize(("option", "value", "words"), OPTIONS, ids=lambda value: ascii(value)[:40])
def test_wrong_option_is_refused_when_the_client_is_made(kind: Any, option: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        kind(SITE, **{option: value})
    assert SECRET not in f"{caught.value} {caught.value!r} {caught.value.__cause__}"


def test_http_of_the_other_client_is_refused(kind: Any) -> None:
    other = next(make for owner, make in OWN.items() if owner is not kind)
    with pytest.raises(InvalidInput, match="http is a "):
        kind(SITE, http=other())


@pytest.mark.parametrize("option", [{"proxy": "http://127.0.0.1:1"}, {"verify": False}], ids=str)
def test_http_together_with_proxy_or_verify_is_refused(kind: Any, option: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=f"{next(iter(option))}= does not go together with http="):
        kind(SITE, http=OWN[kind](), **option)


def test_error_does_not_show_the_context_of_the_caller(kind: Any) -> None:
    assert "SSLContext" not in repr(kind(SITE, verify=ssl.create_default_context()))


@pytest.mark.parametrize("how", [pickle.dumps, copy.copy, copy.deepcopy])
def test_client_cannot_be_copied_or_pickled(kind: Any, how: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=f"^{kind.__name__} cannot be pickled or copied"):
        how(kind(SITE))
