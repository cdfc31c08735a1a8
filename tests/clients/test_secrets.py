"""Secrets of the caller and of the site. No text that this package writes shows them."""

from __future__ import annotations

import pickle
import re
import traceback
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online import AsyncClient, Bot, ChatError, Client, InvalidInput, Session, Submission, Turn
from chatgpt4online.operations import Operations
from chatgpt4online.protocol.calls.exchange import Exchange
from chatgpt4online.protocol.calls.request import CallerHeaders

from ..support.strategies import FORBIDDEN, end, live, php

SITE = "https://example.org"
SECRET = "s3cr3t"

# Every option that holds a secret, with values that can be sent.
GOOD: dict[str, Any] = {
    "auth": ("ann" + SECRET, SECRET),
    "token": SECRET,
    "headers": {"Authorization": f"Bearer {SECRET}", "X-Key": SECRET, "Cookie": f"a={SECRET}"},
    "cookies": {"wordpress_logged_in_1": SECRET},
    "bot": Bot(rest_root=f"{SITE}/wp-json", nonce=SECRET, session_id=SECRET),
}
BODIES = {
    "an answer": (200, live("Hi") + b"\n\n" + end(reply="Hi") + b"\n\n"),
    "an answer cut short": (200, live("Hi")),
    "a refusal": (403, php(FORBIDDEN).encode()),
    "a server error": (200, php({"success": False, "message": "No."}).encode()),
    "a page": (502, b"<h1>Bad gateway</h1>"),
    "another shape": (200, b"[]"),
}


def texts_of(value: Any) -> str:
    """Return all texts of a value or an error: repr, str and pickle. Objects with a client or a lock have no pickle."""
    shown = [repr(value), str(value), f"{value}"]
    if isinstance(value, BaseException):
        shown += [repr(value.args), repr(vars(value)), *traceback.format_exception(value, chain=True)]
        shown += [repr(value.__cause__), repr(value.__context__), repr(pickle.dumps(value))]
    return "\n".join(shown)


def errors_of(exchange: Any, status: int, body: bytes) -> list[Any]:
    """Drive an exchange in which every answer is this one. Return everything that can be seen on the way."""
    seen: list[Any] = [exchange]
    for _ in range(20):
        request = exchange.next_request()
        if request is None:
            break
        seen.append(request)
        exchange.receive_response(status, {"X-WP-Nonce": SECRET, "Set-Cookie": f"a={SECRET}"})
        seen += exchange.receive_data(body)
        if not exchange.over:
            seen += exchange.receive_eof()
        seen.append(exchange)
    seen += [event.error for event in seen if hasattr(event, "error")]
    with suppress(ChatError):
        seen.append(exchange.result())
    return seen


@pytest.mark.parametrize("option", GOOD)
@pytest.mark.parametrize("answer", BODIES)
def test_no_object_or_error_shows_a_secret_of_an_option(option: str, answer: str) -> None:
    operations = Operations(SITE, **{option: GOOD[option]})
    question = operations.question("Hi")
    exchanges = [
        operations.turn(question),
        operations.handshake(),
        operations.visit("/"),
        operations.discussions(0, 10),
        operations.next_discussions(operations.discussion_pages(10)),
        operations.search("cats", "wordpress", None, None),
        operations.upload(b"abc", "a.png") if option != "bot" else operations.api_check(),
        operations.api_text("Hi", False, None),
    ]
    seen = [operations, operations.session, GOOD["bot"], question]
    for exchange in exchanges:
        seen += errors_of(exchange, *BODIES[answer])
    for value in seen:
        assert SECRET not in texts_of(value), type(value)


@pytest.mark.parametrize("option", GOOD)
@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_no_repr_of_a_client_shows_a_secret(client_class: Any, option: str) -> None:
    """Also of its streams, conversations and API."""
    client = client_class(SITE, **{option: GOOD[option]})
    client.session = Session(SECRET, SECRET)
    for value in (
        client,
        client.session,
        client.stream("Hi"),
        client.conversation(),
        client.api,
        client.iter_discussions(),
    ):
        assert SECRET not in texts_of(value)


def test_no_repr_of_the_core_shows_a_secret() -> None:
    headers = {"Authorization": SECRET}
    values: tuple[object, ...] = (
        Session(SECRET, SECRET),
        Bot(nonce=SECRET, session_id=SECRET),
        CallerHeaders(headers, ("https", "example.org", 443)),  # type: ignore[arg-type]  # only shown
        Turn(SITE, Submission("Hi"), Session(SECRET, SECRET), headers=headers),
        Exchange(None, SITE, Session(SECRET, SECRET), headers=headers),
    )
    for value in values:
        assert SECRET not in texts_of(value)


@pytest.mark.parametrize(
    "address",
    [f"https://{SECRET};/@example.org:x", f"https://u:{SECRET};/@example.org", f"https://{SECRET} x/@example.org"],
)
@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_host_that_may_be_part_of_a_password_is_not_shown(client_class: Any, address: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        client_class(address)
    assert SECRET not in str(caught.value)


# Characters that make the secret around them unsendable, or that look like another part of the option.
ODD = st.text(st.sampled_from("\r\n\t\0 ;:=,@#/[]'\"\\é я\x7f\ud800a"), max_size=3)


@given(data=st.data(), before=ODD, after=ODD)
def test_refused_secret_is_described_and_not_shown(data: Any, before: str, after: str) -> None:
    """Also if a secret stands inside a longer value, or in place of a name."""
    secret = before + SECRET + after
    options: dict[str, Any] = data.draw(
        st.sampled_from(
            [
                {"auth": ("ann", secret)},
                {"auth": (secret, "x")},
                {"auth": [secret]},
                {"auth": secret},
                {"auth": secret.encode("utf-8", "surrogatepass")},
                {"token": secret},
                {"token": [secret]},
                {"headers": {"X-Key": secret}},
                {"headers": {"X-Key": [secret]}},
                {"headers": {"Cookie": secret}},
                {"headers": {f"X-Key: {secret}": "x"}},
                {"headers": [("X-Key", secret)]},
                {"headers": secret},
                {"cookies": {"a": secret}},
                {"cookies": {"a": [secret]}},
                {"cookies": {f"a={secret}": ""}},
                {"cookies": secret},
                {"cookies": [secret]},
                {"bot": Bot(nonce=secret)},
                {"bot": Bot(session_id=secret)},
                {"site": f"https://ann:{secret}@example.org"},
                {"site": f"https://{secret}@example.org:x"},
            ]
        )
    )
    for client_class in (Client, AsyncClient):
        try:
            client_class(**options)
        except InvalidInput as error:
            assert SECRET not in texts_of(error)
            assert re.match(r"(the |a |')?\w+", str(error))


@given(before=ODD, after=ODD, name=st.sampled_from(["nonce", "session_id", "root"]))
def test_refused_session_is_described_and_not_shown(before: str, after: str, name: str) -> None:
    """For a session that the caller made, and for one that the caller changed."""
    secret = before + SECRET + after
    fields: dict[str, Any] = {name: f"https://ann:{secret}@example.org/wp-json" if name == "root" else secret}
    session = Session(**fields)
    assert SECRET not in repr(session)
    with Client(SITE) as client:
        for change in (lambda: setattr(client, "session", session), lambda: setattr(client.session, name, secret)):
            try:
                change()
                assert SECRET not in texts_of(client.stream("Hi")) or name == "root"
            except InvalidInput as error:
                assert SECRET not in texts_of(error)


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
@pytest.mark.parametrize(
    "page", ["http://ann:{}@x/", "http://ann:/{}@x/", "//ann:{}@x/", "http://{}@x y:z", "ftp://{}@x"]
)
def test_address_of_a_page_with_a_secret_is_refused_and_not_shown(client_class: Any, page: str) -> None:
    client = client_class(SITE.replace("https", "http"))
    with pytest.raises(InvalidInput) as caught:
        client._operations.visit(page.format(SECRET))
    assert SECRET not in texts_of(caught.value)


def test_no_repr_shows_a_secret_in_an_address() -> None:
    """Neither a password nor a parameter such as ?token=... of a named REST root or of the site."""
    for root in (f"https://ann:{SECRET}@example.org/wp-json", f"https://example.org/?token={SECRET}&rest_route="):
        session = Session("1111111111", root=root)
        turn = Turn(SITE, Submission("Hi"), session)
        for value in (session, turn, turn.next_request()):
            assert SECRET not in texts_of(value)
    for client_class in (Client, AsyncClient):
        client = client_class(f"https://example.org/?token={SECRET}")
        for shown in (client, client.conversation(), client.stream("Hi")):
            assert SECRET not in texts_of(shown)


def test_every_option_with_a_secret_is_in_the_table() -> None:
    """Add a new option of the clients to the table if it holds a secret."""
    public = {"site", "bot_id", "custom_id", "context_id", "timeout", "retries", "session"}
    limits = {"max_event_size", "max_body_size", "max_text_size"}
    assert set(Operations.__slots__) == set(GOOD) | public | limits
