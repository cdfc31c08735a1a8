"""The tree of errors: parents, texts, copies, and secrets that no error may show."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from chatgpt4online.protocol.parsing import errors
from chatgpt4online.protocol.parsing.errors import (
    Blocked,
    ChatError,
    ConnectionFailed,
    InvalidInput,
    InvalidState,
    LimitReached,
    LocalError,
    NonceRefused,
    NotAiEngine,
    ProtocolError,
    RateLimited,
    ServerError,
    StatusError,
    TimedOut,
    TooLarge,
    Truncated,
)

TREE: dict[type[ChatError], tuple[type, ...]] = {
    ChatError: (Exception,),
    LocalError: (ChatError,),
    InvalidInput: (LocalError, ValueError),
    InvalidState: (LocalError, RuntimeError),
    ConnectionFailed: (ChatError,),
    TimedOut: (ConnectionFailed,),
    ProtocolError: (ChatError,),
    Truncated: (ProtocolError,),
    TooLarge: (ProtocolError,),
    StatusError: (ChatError,),
    NonceRefused: (StatusError,),
    RateLimited: (StatusError,),
    NotAiEngine: (StatusError,),
    Blocked: (StatusError,),
    ServerError: (ChatError,),
    LimitReached: (ServerError,),
}
SECRETS = {
    "set-cookie": "mwai_session_id=s3cret",
    "Set-Cookie": "wordpress_logged_in_x=s3cret",
    "set-cookie2": "s3cret",
    "x-wp-nonce": "s3cret",
    "X-WP-Nonce": "s3cret",
    "cookie": "s3cret",
    "authorization": "Basic s3cret",
    "proxy-authorization": "Basic s3cret",
}


def with_attributes(error: ChatError, **attributes: Any) -> ChatError:
    """Return the error with these attributes set."""
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


SAMPLES: list[ChatError] = [
    ChatError("a"),
    LocalError("a"),
    InvalidInput("a"),
    InvalidState("a"),
    with_attributes(ConnectionFailed("a"), retryable=False),
    TimedOut("idle", 60.0),
    TimedOut("connect", 1.0),
    ProtocolError("a"),
    Truncated("a"),
    TooLarge("a"),
    with_attributes(StatusError(500, "c", "m", {"a": "b"}, 1.5), advice="do this", url="https://example.org/wp-json"),
    NonceRefused(403),
    RateLimited(429, retry_after=7.0),
    NotAiEngine(404),
    with_attributes(Blocked(403, headers={"server": "x", **SECRETS}), advice="ask the owner"),
    with_attributes(ServerError("no", "hint"), raw="<b>no</b>"),
    with_attributes(LimitReached("no", "hint"), raw="<b>no</b>"),
]


def test_classes_have_the_parents_that_the_module_documents() -> None:
    """The module contains no other class."""
    defined = {
        value for value in vars(errors).values() if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert defined == set(TREE) == {type(error) for error in SAMPLES}
    for kind, parents in TREE.items():
        assert kind.__bases__ == parents
        assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        *[
            lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol))
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ],
    ],
)
def test_errors_survive_copy_and_pickle(error: ChatError, duplicate: Any) -> None:
    """A copy has the same class, text and attributes, including ``partial_text``."""
    error.partial_text = "so far"
    twin = duplicate(error)
    assert type(twin) is type(error)
    assert (str(twin), repr(twin), vars(twin)) == (str(error), repr(error), vars(error))
    assert twin.partial_text == "so far"
    for name in ("retryable", "clock", "advice", "url", "raw", "hint", "headers", "retry_after"):
        assert getattr(twin, name, None) == getattr(error, name, None)


@pytest.mark.parametrize("name", SECRETS)
def test_no_part_of_an_error_has_secret_headers(name: str) -> None:
    """Text, repr, args, attributes and pickle are checked. Other headers stay."""
    error = Blocked(403, "c", "m", {name: SECRETS[name], "server": "x"}, 1.0)
    assert error.headers == {"server": "x"}
    assert "s3cret" not in f"{error} {error!r} {error.args} {vars(error)}"
    assert b"s3cret" not in pickle.dumps(error)


def test_raw_text_is_only_in_raw() -> None:
    """An error without ``raw`` of its own has its message there."""
    error = with_attributes(ServerError("no", "hint"), raw="key s3cret")
    assert "s3cret" not in f"{error} {error!r} {error.args}"
    assert ServerError("no").raw == LimitReached("no").raw == "no"


def test_partial_text_is_empty_and_separate_for_each_error() -> None:
    one, other = ChatError(), ServerError("a")
    one.partial_text = "x"
    assert other.partial_text == ""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (StatusError(500), "HTTP 500"),
        (StatusError(500, "c"), "HTTP 500 (c)"),
        (StatusError(500, message="m"), "HTTP 500: m"),
        (StatusError(503, "c", "m", {}, 1.5), "HTTP 503 (c): m (the site asks to wait 1.5 s)"),
        (StatusError(503, retry_after=0.0), "HTTP 503 (the site asks to wait 0 s)"),
        (with_attributes(StatusError(501, message="m"), url="https://x.org/a"), "HTTP 501 from https://x.org/a: m"),
        (with_attributes(StatusError(501, "c"), url="https://x.org/a"), "HTTP 501 from https://x.org/a (c)"),
        (RateLimited(429, "", "m"), f"HTTP 429: m [{RateLimited.advice}]"),
        (ServerError("no"), "no"),
        (ServerError("no", "because"), "no [because]"),
    ],
)
def test_text_of_an_error_shows_all_known_parts(error: ChatError, text: str) -> None:
    assert str(error) == text


def test_unknown_parts_of_a_status_error_are_empty() -> None:
    error = StatusError(500)
    assert (error.status, error.code, error.message, error.headers, error.retry_after) == (500, "", "", {}, None)
    assert (error.url, error.advice) == ("", "")
    assert repr(NonceRefused(403, "c", "m")) == "NonceRefused(403, 'c', 'm')"
    assert StatusError(500).headers is not StatusError(500).headers


@pytest.mark.parametrize("kind", [NonceRefused, RateLimited, NotAiEngine, Blocked])
def test_each_refusal_class_shows_its_advice(kind: type[StatusError]) -> None:
    assert kind(400).advice in str(kind(400))
    assert kind.advice


@pytest.mark.parametrize(
    ("clock", "words", "retryable"),
    [
        ("connect", "no connection was made", True),
        ("first_byte", "the site sent nothing", False),
        ("idle", "the answer made no progress", False),
        ("total", "the answer was not complete", False),
    ],
)
def test_timeout_names_its_limit(clock: str, words: str, retryable: bool) -> None:
    """The text names the limit that passed and the option to raise."""
    error = TimedOut(clock, 2.5)
    assert str(error) == f"{words} within 2.5 s; raise timeout.{clock} if the site needs longer"
    assert (error.clock, error.seconds, error.retryable) == (clock, 2.5, retryable)


def test_connection_failures_are_retryable_by_default() -> None:
    assert ConnectionFailed("x").retryable is True


# The status that a back end answers with, for an error of the site with each of these statuses.
SITE_STATUSES = [200, 400, 401, 403, 404, 413, 418, 429, 500, 502, 503, 504, 599]
HTTP_STATUSES = {
    ChatError: 500,
    LocalError: 500,
    InvalidInput: 422,
    InvalidState: 500,
    ConnectionFailed: 502,
    TimedOut: 504,
    ProtocolError: 502,
    Truncated: 502,
    TooLarge: 502,
    NonceRefused: 502,
    RateLimited: 429,
    NotAiEngine: 502,
    Blocked: 502,
    ServerError: 502,
    LimitReached: 429,
}


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_http_status_of_each_class_is_the_documented_one(error: ChatError) -> None:
    if type(error) is not StatusError:
        assert error.http_status == HTTP_STATUSES[type(error)]


@pytest.mark.parametrize("status", SITE_STATUSES)
@pytest.mark.parametrize("kind", [kind for kind in TREE if issubclass(kind, StatusError)])
def test_only_a_plain_status_error_passes_its_status_on(kind: type[StatusError], status: int) -> None:
    passed_on = kind is StatusError and status in (413, 429, 503, 504)
    assert kind(status).http_status == (status if passed_on else HTTP_STATUSES.get(kind, 502))
