"""Derived clients of different visitors: nothing of one is sent for another, and each visitor has its own searches."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import threading
from base64 import b64decode
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online import AsyncClient, Client, ConnectionFailed, ServerError, StatusError

from ..site import serve_site
from ..support.server import LAST_CHUNK, Peer, Received, Server, chunk, end, json_response, stream_head
from . import test_features
from .test_features import Face
from .test_flights import Gated, good
from .test_processes import in_child

face = test_features.face  # runs a test with both clients

PASSWORD = "abcd efgh ijkl mnop qrst uvwx"
HANG_SECONDS = 20.0  # seconds until a test that hangs fails

# Options of a derived client. SECRET becomes another secret with each derivation.
SECRET = "secret"
KINDS: dict[str, dict[str, Any]] = {
    "same": {},
    "bot": {"bot_id": "support"},
    "visitor": {"new_session": True},
    "auth": {"auth": ("ann", SECRET)},
    "visitor with auth": {"auth": ("ann", SECRET), "new_session": True},
    "cookies": {"cookies": {"own": SECRET}},
    "token": {"token": SECRET},
    "Authorization": {"headers": {"authorization": SECRET}},
    "Cookie": {"headers": {"Cookie": f"own={SECRET}"}},
    "other headers": {"headers": {"X-Team": "blue"}},
    "no auth": {"auth": None},
    "no cookies": {"cookies": None},
    "no token": {"token": None},
    "guest": {"auth": None, "cookies": None, "token": None, "headers": None},
}
OF_LOGIN = ("auth", "cookies", "token", "headers")


class Recording:
    """A site that sends a new nonce, session id and cookie with each answer. All requests are stored."""

    def __init__(self) -> None:
        self.numbers = itertools.count()

    def __call__(self, peer: Peer) -> None:
        for request in peer.requests():
            number = next(self.numbers)
            given = {"Set_Cookie": f"mwai_session_id=<cookie {number}>; path=/", "X_WP_Nonce": f"<nonce-{number}>"}
            if request.route == "submit":
                peer.send(stream_head(**given) + chunk(end("Hi")) + LAST_CHUNK)
                continue
            value = {"restNonce": f"<nonce-{number}>", "sessionId": f"<session {number}>", "data": {"type": "none"}}
            peer.send(json_response({"success": True, **value}, **given))


class Member:
    """One client, with the number of its visitor and the secrets that may be sent for it."""

    def __init__(self, client: Any, visitor: int, login: dict[str, str]) -> None:
        self.client, self.visitor, self.login = client, visitor, login


class Family:
    """Derived clients of one root, and the requests that each of them made."""

    def __init__(self, root: Any, server: Server) -> None:
        self.members = [Member(root, 0, {})]
        self.server = server
        self.made: list[Member] = []  # for each request, the client that made it
        self._numbers = itertools.count(1)

    def derive(self, parent: int, kind: str) -> None:
        """Add a client of a kind."""
        number, ancestor = next(self._numbers), self.members[parent % len(self.members)]
        secret = f"<secret-{number}>"
        options = {name: _filled(value, secret) for name, value in KINDS[kind].items()}
        login = dict(ancestor.login)
        for name in OF_LOGIN:
            if name in options:
                login[name] = secret if secret in str(options[name]) else ""
        changes_login = any(name in options and (login[name] or ancestor.login.get(name)) for name in OF_LOGIN)
        visitor = number if changes_login or "new_session" in options else ancestor.visitor
        self.members.append(Member(ancestor.client.with_options(**options), visitor, login))

    def record(self, member: Member) -> None:
        """Store that the latest requests were made for this client."""
        self.made += [member] * (len(self.server.requests) - len(self.made))

    def check(self) -> None:
        """Check that each request holds only secrets of its own visitor."""
        for member, request in zip(self.made, self.server.requests, strict=True):
            text = sent_text(request)
            found = {(kind, int(number)) for kind, number in re.findall(r"<(\w+)[ -](\d+)>", text)}
            for kind, number in found:
                if kind == "secret":
                    assert f"<secret-{number}>" in member.login.values(), (text, member.login)
                    continue
                source = self.made[number]  # the client that got it
                is_guests = kind == "nonce" and not any([*source.login.values(), *member.login.values()])
                assert source.visitor == member.visitor or is_guests, text


def _filled(value: Any, secret: str) -> Any:
    if isinstance(value, dict):
        return {name: _filled(each, secret) for name, each in value.items()}
    if isinstance(value, tuple):
        return tuple(_filled(each, secret) for each in value)
    return value.replace(SECRET, secret) if isinstance(value, str) else value


def sent_text(request: Received) -> str:
    """Return everything that a request holds, with its password decoded."""
    basic = request.headers.get("authorization", "").partition("Basic ")[2]
    return f"{request.target}\n{request.headers}\n{request.body!r}\n{b64decode(basic).decode()}"


def play(face: Face, steps: Sequence[tuple[str, int]]) -> Family:
    """Derive and use clients: a step is a kind of client or a call, and the number of a client."""
    with Server(Recording()) as server:
        family = Family(face(server.url, retries=0), server)
        for what, number in steps:
            member = family.members[number % len(family.members)]
            if what in KINDS:
                family.derive(number, what)
            else:
                face.call(member.client.ask("Hi") if what == "ask" else member.client.api.check())
                family.record(member)
        family.check()
    return family


@pytest.mark.parametrize("first", KINDS)
def test_each_pair_of_derived_clients_sends_only_its_own_secrets(face: Face, first: str) -> None:
    """One client is derived from the root; one from it; one of the same kind from the root. Each asks twice."""
    for second in KINDS:
        derived = [("ask", 0), (first, 0), ("ask", 1), (second, 1), ("ask", 2), (second, 0), ("ask", 3)]
        again = [(call, number) for call in ("api", "ask") for number in (3, 1, 0, 2, 1, 3)]
        family = play(face, [*derived, *again])
        sent = "".join(map(sent_text, family.server.requests))
        for member in family.members:  # auth replaces an Authorization header, and cookies replace a Cookie header
            secrets = list(filter(None, member.login.values()))
            assert not secrets or any(secret in sent for secret in secrets), (second, member.login)


STEPS = st.lists(st.tuples(st.sampled_from([*KINDS, "ask", "ask", "ask", "api"]), st.integers(0, 9)), max_size=14)


@pytest.mark.parametrize("client_class", [Client, AsyncClient])
@given(steps=STEPS)
def test_derived_clients_in_any_order_send_only_their_own_secrets(
    client_class: Any, steps: list[tuple[str, int]]
) -> None:
    if client_class is Client:
        play(Face(Client, lambda value: value), steps)
        return
    with asyncio.Runner() as runner:
        face = Face(AsyncClient, lambda value: runner.run(_wait_for(value)))
        play(face, steps)
        face.close()


async def _wait_for(value: Any) -> Any:
    return await value


class TestVisitors:
    """The users of one back end are different visitors to a site."""

    def test_uploads_of_one_visitor_cannot_be_deleted_by_another(self, face: Face) -> None:
        with serve_site("Hi") as site:
            parent = face(site)
            ann, bob, same = (parent.with_options(**options) for options in ({"new_session": True},) * 2 + ({},))
            files = {client: face.call(client.upload(b"abc", "a.png")) for client in (parent, ann, bob)}
            for client, file in ((ann, files[bob]), (bob, files[ann]), (ann, files[parent]), (parent, files[ann])):
                with pytest.raises((StatusError, ServerError)):
                    face.call(client.delete_files([file]))
            assert face.call(ann.delete_files([files[ann]])) == 1
            assert face.call(same.delete_files([files[parent]])) == 1
            assert [file.name for file in site.files] == ["a.png"]

    def test_guests_have_different_session_ids_and_one_search(self, face: Face) -> None:
        with serve_site("Hi") as site:
            parent = face(site)
            face.call(parent.ask("Hi"))
            for client in [parent.with_options(new_session=True) for _ in range(3)]:
                face.call(client.ask("Hi"))
                face.call(client.ask("Hi"))
            asked = [request for request in site.requests if "submit" in request.path]
            assert len(site.requests) == len(asked) + 1
            assert len({request.headers["x-wp-nonce"] for request in asked}) == 1
            cookies = [re.findall(r"mwai_session_id=(\w+)", request.headers.get("cookie", "")) for request in asked]
            assert [len(cookie) for cookie in cookies] == [1, 0, 1, 0, 1, 0, 1]
            assert len({cookie[0] for cookie in cookies if cookie}) == 4

    def test_users_and_guests_are_who_they_say(self, face: Face) -> None:
        """Logins by password and by the cookies of a browser, derived from each other."""
        users = {"ann": PASSWORD, "bob": PASSWORD}
        with serve_site(lambda chat: chat.user or "nobody", users=users) as site:
            guest = face(site)
            ann = guest.with_options(auth=("ann", PASSWORD))
            bob = ann.with_options(auth=None, cookies=site.login("bob"))
            clients = {guest: "nobody", ann: "ann", bob: "bob", bob.with_options(cookies=None): "nobody"}
            clients[bob.with_options(new_session=True)] = "bob"
            clients[bob.with_options(auth=("ann", PASSWORD), cookies=None)] = "ann"
            for client, user in [*clients.items(), *reversed(clients.items())]:
                assert str(face.call(client.ask("Who am I?"))) == user


class TestFlights:
    """A search for a nonce belongs to a session."""

    def ask_two(self, face: Face, options: dict[str, Any], fails: Any, searches: int) -> list[Any]:
        """Ask with two derived clients at once. Return their answers or errors."""
        gated = Gated()
        outcomes: list[Any] = [None, None]
        with Server(gated) as server:
            parent = face(server.url, retries=0)
            clients = [parent.with_options(**options), parent.with_options(**options)]

            def release() -> None:
                for _ in range(searches):
                    gated.wait_for_request()
                gated.answer(*([fails, good][:searches]))

            async def ask_both() -> list[Any]:
                asked = [asyncio.ensure_future(client.ask(f"q{number}")) for number, client in enumerate(clients)]
                await asyncio.to_thread(release)
                return await asyncio.gather(*asked, return_exceptions=True)

            if isinstance(parent, AsyncClient):
                outcomes = face.call(ask_both())
            else:
                threads = [threading.Thread(target=self.ask, args=(*pair, outcomes)) for pair in enumerate(clients)]
                for thread in threads:
                    thread.start()
                release()
                for thread in threads:
                    thread.join(HANG_SECONDS)
        assert gated.sessions == searches
        return [outcome if isinstance(outcome, Exception) else str(outcome) for outcome in outcomes]

    def ask(self, number: int, client: Client, outcomes: list[Any]) -> None:
        try:
            outcomes[number] = client.ask(f"q{number}")
        except ConnectionFailed as error:
            outcomes[number] = error

    @pytest.mark.parametrize("options", [{"new_session": True}, {"auth": ("ann", "x")}], ids=str)
    def test_failed_search_of_one_visitor_is_not_the_failure_of_another(
        self, face: Face, options: dict[str, Any]
    ) -> None:
        outcomes = self.ask_two(face, options, Peer.close, searches=2)
        assert {type(outcome) for outcome in outcomes} == {ConnectionFailed, str}

    @pytest.mark.parametrize("options", [{}, {"bot_id": "support"}], ids=str)
    def test_clients_with_one_session_make_one_search(self, face: Face, options: dict[str, Any]) -> None:
        assert self.ask_two(face, options, good, searches=1) == ["q0", "q1"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
class TestForks:
    """Derived clients in a forked process."""

    def test_locks_of_every_derived_client_are_free_in_the_child(self) -> None:
        with serve_site(lambda chat: chat.message) as site, Client(site.url, retries=0) as client:
            clients = [client, client.with_options(new_session=True), client.with_options(auth=None, new_session=True)]
            for each in clients:
                each.ask("warm")
                each.session.drop_nonce()
            with ExitStack() as held:
                for each in clients:
                    held.enter_context(each._transport.flights._guard)
                    held.enter_context(each._transport._cookies._guard)
                    held.enter_context(each._transport._cookies._jar._cookies_lock)  # type: ignore[union-attr]
                result = in_child(lambda: " ".join(str(each.ask("child")) for each in clients))
            assert result() == "child child child"
            assert [str(each.ask("parent")) for each in clients] == ["parent"] * 3

    def test_flight_of_the_parent_process_does_not_block_the_child(self) -> None:
        """The task that leads it is not in the child."""
        with serve_site(lambda chat: chat.message) as site, asyncio.Runner() as runner:
            client = AsyncClient(site.url)
            derived = client.with_options(new_session=True)

            async def begin() -> None:
                derived._transport.flights.join()

            runner.run(begin())
            assert in_child(lambda: str(asyncio.run(_ask_and_close(derived, client))))() == "child"
            runner.run(client.aclose())


async def _ask_and_close(client: AsyncClient, root: AsyncClient) -> str:
    async with root, asyncio.timeout(HANG_SECONDS):
        return str(await client.ask("child"))


class Subclass(requests.Session):
    """A session whose ``send`` is replaced. ``requests`` stores cookies in its jar then."""

    def send(self, request: Any, **options: Any) -> requests.Response:
        return super().send(request, **options)


@pytest.mark.parametrize("session_class", [requests.Session, Subclass])
class TestSessionsOfTheCaller:
    """``http=`` with derived clients."""

    def test_derived_visitor_neither_reads_nor_writes_the_jar_of_the_caller(self, session_class: Any) -> None:
        with Server(Recording()) as server, session_class() as own, Client(server.url, http=own) as client:
            own.cookies.set("login", "<secret-1>")
            client.ask("Hi")
            jar = dict(own.cookies)
            assert set(jar) == {"login", "mwai_session_id"}
            before = len(server.requests)
            visitor = client.with_options(new_session=True)
            visitor.ask("Hi")
            visitor.ask("Hi")
            assert dict(own.cookies) == jar
            sent = [request.headers.get("cookie", "") for request in server.requests[before:]]
            assert not any("login" in cookie or jar["mwai_session_id"] in cookie for cookie in sent)
            assert sent[0] == ""
            assert "mwai_session_id" in sent[-1]
            same = client.with_options(bot_id="support")
            same.ask("Hi")
            assert "login=<secret-1>" in server.requests[-1].headers["cookie"]

    def test_nonce_is_not_copied_since_the_session_may_hold_a_login(self, session_class: Any) -> None:
        with Server(Recording()) as server, session_class() as own, Client(server.url, http=own) as client:
            client.ask("Hi")
            assert client.session.nonce
            assert client.with_options(new_session=True).session.nonce == ""

    def test_login_of_a_client_replaces_the_auth_of_the_session(self, session_class: Any) -> None:
        with Server(Recording()) as server, session_class() as own, Client(server.url, http=own) as client:
            own.auth = ("ann", "<secret-1>")
            client.with_options(auth=("bob", "<secret-2>")).ask("Hi")
            assert {re.findall("<secret-.>", sent_text(request))[0] for request in server.requests} == {"<secret-2>"}
            client.ask("Hi")
            assert "<secret-1>" in sent_text(server.requests[-1])
