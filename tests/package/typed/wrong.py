# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# An attribute that does not exist has an unknown type too. One error for each line is enough.
"""Calls that type checkers must report. Each has a comment for mypy and one for pyright.

Both checkers report a comment on a line without an error. So this file passes only while each marked line is wrong.
``pyrightconfig.json`` beside it makes pyright do so, and ignore the comments for mypy.
A function without parameters makes one wrong call, and ``test_typed.py`` expects an error of it at run time too.
"""

from __future__ import annotations

from typing import Unpack, assert_never

from chatgpt4online import (
    AsyncClient,
    Client,
    ClientOptions,
    Done,
    Event,
    Failed,
    Submission,
    Text,
    aask,
    ask,
    astream,
    stream,
)

# An option that does not exist.


def misspelt_option_of_ask() -> None:
    ask("Hi", retires=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def misspelt_option_of_stream() -> None:
    stream("Hi", time_out=30)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def misspelt_option_of_aask() -> None:
    await aask("Hi", retires=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def misspelt_option_of_astream() -> None:
    astream("Hi", time_out=30)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def misspelt_option_of_client() -> None:
    Client(retires=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def misspelt_option_of_async_client() -> None:
    AsyncClient(retires=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def option_of_a_question_for_ask() -> None:
    ask("Hi", chat_id="c1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def option_of_the_client_for_a_question() -> None:
    Client("https://example.org").ask("Hi", token="t")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def misspelt_option_of_a_question() -> None:
    Client("https://example.org").stream("Hi", fles=[])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def misspelt_key_of_options() -> None:
    options: ClientOptions = {"retires": 2}  # type: ignore[typeddict-unknown-key]  # pyright: ignore[reportAssignmentType]
    Client("https://example.org", **options)


def _pass_on(**options: Unpack[ClientOptions]) -> None:
    Client("https://example.org", **options)


def misspelt_option_that_is_passed_on() -> None:
    _pass_on(retires=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def option_of_the_connections_for_a_derived_client() -> None:
    Client("https://example.org").with_options(proxy=None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


# A value of another type.


def number_as_site() -> None:
    ask("Hi", site=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def none_as_site() -> None:
    Client(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def text_as_timeout() -> None:
    ask("Hi", site="https://example.org", timeout="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def pair_as_timeout() -> None:
    Client("https://example.org", timeout=(3, 5))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def text_as_retries() -> None:
    _pass_on(retries="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def text_as_auth() -> None:
    ask("Hi", site="https://example.org", auth="ann:x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def text_as_retries_of_a_derived_client() -> None:
    Client("https://example.org").with_options(retries="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def name_as_bot() -> None:
    Client("https://example.org", bot="support")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def object_of_another_class_as_http() -> None:
    ask("Hi", site="https://example.org", http=object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def bytes_as_prompt() -> None:
    Client("https://example.org").ask(b"Hi")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def number_as_submission() -> None:
    Submission(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def nonce_as_session() -> None:
    Client("https://example.org").session = "0123456789"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]


# A result that is used as another type. These functions are only checked, and not called.


def piece_as_bytes(client: Client) -> bytes:
    return next(client.stream("Hi"))  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


async def reply_without_await(client: AsyncClient) -> str:
    return str(client.ask("Hi").text)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def text_of_any_event(event: Event) -> str:
    return str(event.text)  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]


def text_of_the_api_as_number(client: Client) -> int:
    return client.api.text("Hi")  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


def event_without_a_case(event: Event) -> str:
    match event:
        case Text(text):
            return text
        case Done(reply):
            return reply.text
        case Failed(error):
            return str(error)
        case _:
            assert_never(event)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
