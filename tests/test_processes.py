"""A client that is used before and after a fork: each process has its own connections and locks."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest
import requests

from chatgpt4online import Client
from chatgpt4online.net import tls
from chatgpt4online.testing import Chat, serve_site

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def in_child(action: Callable[[], str]) -> Callable[[], str]:
    """Fork, and return a function that waits for what ``action`` returned there."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, action().encode())
        except BaseException as error:  # it is what the parent gets to know
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writer)

    def result() -> str:
        with os.fdopen(reader, "rb") as file:
            said = file.read().decode()
        os.waitpid(child, 0)
        return said

    return result


def ask_all(client: Client, who: str) -> str:
    asked = [f"{who}{number}" for number in range(5)]
    return "" if [str(client.ask(question)) for question in asked] == asked else "the answers were mixed up"


def test_parent_and_child_get_their_own_answers() -> None:
    with serve_site(lambda chat: chat.message, pause=0.001) as site, Client(site.url, retries=0) as client:
        client.ask("warm")
        said = in_child(lambda: ask_all(client, "child"))
        assert ask_all(client, "parent") == ""
        assert said() == ""
        assert ask_all(client, "parent") == ""  # what the child closed is still open here


def test_locks_that_are_held_at_the_fork_are_free_in_the_child() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def answer(chat: Chat) -> str:
        if chat.message == "parent":
            begun.set()
            go_on.wait(20)
        return chat.message

    with serve_site(answer) as site, Client(site.url, retries=0) as client:
        thread = threading.Thread(target=client.ask, args=("parent",))
        thread.start()
        assert begun.wait(20)
        with client._transport.flights._guard, tls._building:
            said = in_child(lambda: str(client.ask("child")))
            assert said() == "child"
        go_on.set()
        thread.join(20)


def test_cookies_stay_in_the_child() -> None:
    with serve_site("Hi") as site, Client(site.url) as client:
        client.ask("warm")
        known = len(client._transport._http.cookies)
        assert in_child(lambda: str(len(client._transport._http.cookies)))() == str(known)


def test_session_of_the_callers_own_does_not_go_to_another_process() -> None:
    with serve_site("Hi") as site, requests.Session() as own, Client(site.url, http=own) as client:
        client.ask("warm")
        said = in_child(lambda: str(client.ask("child")))()
        assert said.startswith("InvalidState: http= is a requests.Session of another process")
        assert str(client.ask("parent")) == "Hi"
