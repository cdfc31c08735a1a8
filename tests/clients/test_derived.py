"""Derived clients, which ``with_options()`` returns: their options, their session, and how they are closed."""

from __future__ import annotations

import asyncio
import gc
import inspect
import pickle
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any, assert_type

import pytest
import requests

from chatgpt4online import AsyncClient, Bot, Client, InvalidInput, InvalidState, Session, Timeout
from chatgpt4online.http1 import Pool
from chatgpt4online.options import DerivedOptions

from ..site import serve_site
from ..support.behaviours import streamed
from ..support.server import Server, end, says
from ..support.server import site as serve
from . import test_features
from .test_features import Face, chats

face = test_features.face  # runs a test with both clients

SITE = "https://example.org"
CLIENTS = [Client, AsyncClient]
OF_CONNECTIONS = ("site", "proxy", "verify", "http")
PASSWORD = "abcd efgh ijkl mnop qrst uvwx"

# A value for each option that differs from its default.
VALUES: dict[str, Any] = {
    "bot_id": "support",
    "custom_id": "a1b2",
    "context_id": 7,
    "bot": Bot("support", "a1b2", 7, max_uploads=2),
    "timeout": 5.0,
    "retries": 0,
    "headers": {"X-Team": "blue"},
    "cookies": {"own": "cookie"},
    "auth": ("ann", PASSWORD),
    "token": "the-token\n",
    "max_event_size": 70_000,
    "max_body_size": 70_001,
    "max_text_size": 70_002,
}
# A value for each option that cannot be used.
BAD: dict[str, Any] = {
    "bot_id": 5,
    "custom_id": "x" * 100_000,
    "context_id": -1,
    "bot": "support",
    "timeout": 0,
    "retries": -1,
    "headers": {"X-Bad": "a\nb"},
    "cookies": {"a": "b;c"},
    "auth": ("ann",),
    "token": "a b",
    "max_event_size": 1,
    "max_body_size": -1,
    "max_text_size": "1",
}


def values(client: Any) -> dict[str, Any]:
    """Return all options of a client, without its session."""
    operations = client._operations
    return {each.name: getattr(operations, each.name) for each in fields(operations) if each.name != "session"}


class TestOptions:
    """``client.with_options(...)`` beside ``Client(...)``."""

    @pytest.mark.parametrize("client_class", CLIENTS)
    def test_option_of_the_client_is_missing(self, client_class: Any) -> None:
        named = [name for name in inspect.signature(client_class).parameters if name != "unknown"]
        assert set(DerivedOptions.__annotations__) == set(named) - set(OF_CONNECTIONS)
        assert set(VALUES) == set(BAD) == set(DerivedOptions.__annotations__)

    @pytest.mark.parametrize("option", VALUES)
    def test_given_option_has_the_effect_that_it_has_in_a_constructor(self, face: Face, option: str) -> None:
        sent = []
        with serve_site("Hi", users={"ann": PASSWORD}) as site:
            for client in (
                face(site, **{option: VALUES[option]}),
                face(site).with_options(**{option: VALUES[option]}),
                face(site).with_options(new_session=True, **{option: VALUES[option]}),
                face(site, **REPLACED).with_options(**{**DEFAULTS, option: VALUES[option]}),
            ):
                before = len(site.requests)
                face.call(client.ask("Hi", chat_id="mine"))
                asked = [
                    (request.method, request.path, {**request.headers, "host": "", "x-wp-nonce": "", "cookie": ""})
                    for request in site.requests[before:]
                ]
                body = chats(site)[-1] | {"session": ""}
                sent.append((asked, body, values(client), client._operations.timeout))
        assert sent[1:] == [sent[0]] * 3

    @pytest.mark.parametrize("client_class", CLIENTS)
    @pytest.mark.parametrize("option", VALUES)
    def test_option_that_is_not_given_keeps_its_value(self, client_class: Any, option: str) -> None:
        """Also of a client that was derived itself."""
        parent = client_class(SITE, **{option: VALUES[option]})
        other = {"retries": 1} if option != "retries" else {"token": "x"}
        for derived in (parent.with_options(), parent.with_options(new_session=True).with_options()):
            assert values(derived) == values(parent)
        assert values(parent.with_options(**other)) == values(client_class(SITE, **{option: VALUES[option]}, **other))

    @pytest.mark.parametrize("client_class", CLIENTS)
    @pytest.mark.parametrize("option", ["headers", "cookies", "auth", "token", "bot", "custom_id", "context_id"])
    def test_option_that_is_none_replaces_a_value(self, client_class: Any, option: str) -> None:
        parent = client_class(SITE, **{option: VALUES[option]})
        assert values(parent.with_options(**{option: None})) == values(client_class(SITE))

    @pytest.mark.parametrize("client_class", CLIENTS)
    @pytest.mark.parametrize("option", BAD)
    def test_bad_value_raises_the_error_of_the_constructor(self, client_class: Any, option: str) -> None:
        with pytest.raises(InvalidInput) as of_client:
            client_class(SITE, **{option: BAD[option]})
        with pytest.raises(InvalidInput) as of_derived:
            client_class(SITE).with_options(**{option: BAD[option]})
        assert str(of_derived.value) == str(of_client.value)

    @pytest.mark.parametrize("client_class", CLIENTS)
    @pytest.mark.parametrize("option", OF_CONNECTIONS)
    def test_option_of_the_connections_advises_a_new_client(self, client_class: Any, option: str) -> None:
        with pytest.raises(TypeError, match=rf"make a new one with {client_class.__name__}\({option}=...\)"):
            client_class(SITE).with_options(**{option: None})

    @pytest.mark.parametrize("client_class", CLIENTS)
    @pytest.mark.parametrize(
        ("option", "advice"),
        [
            ("model", "the site's owner chooses the model"),
            ("chat_id", "it belongs to a question"),
            ("nonsense", "the options are bot_id, custom_id"),
        ],
    )
    def test_unknown_option_raises_with_advice(self, client_class: Any, option: str, advice: str) -> None:
        with pytest.raises(TypeError, match=f"^with_options has no option '{option}': {advice}") as caught:
            client_class(SITE).with_options(**{option: 1})
        assert "proxy" not in str(caught.value)

    @pytest.mark.parametrize("client_class", CLIENTS)
    def test_new_session_in_a_constructor_advises_with_options(self, client_class: Any) -> None:
        with pytest.raises(TypeError, match=r"with_options\(new_session=True\)"):
            client_class(SITE, new_session=True)

    @pytest.mark.parametrize("client_class", CLIENTS)
    @pytest.mark.parametrize("name", ["bot_id", "custom_id", "context_id"])
    def test_name_of_another_bot_takes_the_bot_away(self, client_class: Any, name: str) -> None:
        """The two other names are those of the parent's options, which the bot had replaced."""
        parent = client_class(SITE, bot=VALUES["bot"])
        assert values(parent.with_options(**{name: VALUES[name]})) == values(client_class(SITE, **{name: VALUES[name]}))
        both = parent.with_options(**{name: VALUES[name]}, bot=Bot("other"))
        assert both._operations.bot_fields() == {"bot_id": "other", "custom_id": None, "context_id": None}

    @pytest.mark.parametrize("client_class", CLIENTS)
    def test_dict_that_the_caller_changes_has_no_effect(self, client_class: Any) -> None:
        """A loop over users may use one dict for all of them."""
        headers, cookies = {"Authorization": "Bearer a"}, {"own": "a"}
        clients = client_class(SITE, headers=headers, cookies=cookies), client_class(SITE).with_options(headers=headers)
        headers["Authorization"], cookies["own"] = "Bearer b", "b"
        assert {client._operations.options()["headers"]["Authorization"] for client in clients} == {"Bearer a"}
        assert clients[0]._operations.options()["headers"]["Cookie"] == "own=a"

    def test_type_checkers_know_the_type_of_each_option(self) -> None:
        """mypy reports each of these lines, or a comment that is not used."""
        client = Client(SITE)
        assert_type(client.with_options(bot_id="a", auth=None, timeout=Timeout(), new_session=True), Client)
        assert_type(AsyncClient(SITE).with_options(retries=1), AsyncClient)
        with pytest.raises(InvalidInput):
            client.with_options(retries="2")  # type: ignore[arg-type]
        with pytest.raises(InvalidInput):
            client.with_options(auth="ann")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            client.with_options(proxy=None)  # type: ignore[call-arg]


DEFAULTS: dict[str, Any] = {
    name: parameter.default
    for name, parameter in inspect.signature(Client).parameters.items()
    if name in DerivedOptions.__annotations__
} | {"bot_id": "default", "auth": None, "token": None}  # these are read from the environment, which is empty here
# Options of a parent of which the derived client replaces each one.
REPLACED: dict[str, Any] = {**VALUES, "headers": {"X-Old": "1", "Authorization": "Bearer old"}, "bot_id": "other"}

LOGINS: dict[str, dict[str, Any]] = {
    "auth": {"auth": ("ann", "x")},
    "cookies": {"cookies": {"own": "x"}},
    "token": {"token": "x"},
    "an Authorization header": {"headers": {"authorization": "Bearer x"}},
    "a Cookie header": {"headers": {"Cookie": "own=x"}},
    "a nonce header": {"headers": {"X-WP-Nonce": "x"}},
}
GUESTS: dict[str, dict[str, Any]] = {
    "no option": {},
    "bot_id": {"bot_id": "support"},
    "bot": {"bot": Bot("support", nonce="n", session_id="s", rest_root=f"{SITE}/api")},
    "headers": {"headers": {"X-Team": "blue"}},
    "limits": {"timeout": 1, "retries": 0, "max_text_size": 70_000},
    "no login": {"auth": None, "cookies": None, "token": None, "headers": None},
}
NOTHING = GUESTS["no login"]
# Pairs of a parent's login and of options that do not take it away.
KEPT = [
    (login, given)
    for login in [*LOGINS, "nothing"]
    for given, options in GUESTS.items()
    if not options.keys() & LOGINS.get(login, {}).keys()
]
ROOT = f"{SITE}/index.php?rest_route="


def parent_of(client_class: Any, **options: Any) -> Any:
    """Return a client that knows a nonce, a session id and a REST root."""
    client = client_class(SITE, **options)
    client.session.adopt({"restNonce": "known", "sessionId": "visitor"}, ROOT)
    client.session.move_to(ROOT)
    return client


@pytest.mark.parametrize("client_class", CLIENTS)
class TestSessions:
    """The session of a derived client: the parent's, or a new one."""

    @pytest.mark.parametrize(("parents", "given"), KEPT)
    def test_session_is_shared_without_a_login(self, client_class: Any, parents: str, given: str) -> None:
        parent = parent_of(client_class, **LOGINS.get(parents, {}))
        derived = parent.with_options(**GUESTS[given])
        assert derived.session is parent.session
        assert derived._transport is parent._transport

    @pytest.mark.parametrize("given", GUESTS)
    def test_new_session_of_a_guest_has_the_nonce_and_the_root(self, client_class: Any, given: str) -> None:
        derived = parent_of(client_class).with_options(new_session=True, **GUESTS[given])
        assert derived.session == Session("known", "", ROOT)
        assert derived.session.nonce_for("https://other.example") == ""
        assert derived.session.nonce_for(SITE) == "known"

    @pytest.mark.parametrize("new_session", [True, False])
    @pytest.mark.parametrize("login", LOGINS)
    def test_login_has_a_new_session_without_a_nonce(self, client_class: Any, login: str, new_session: bool) -> None:
        """A login that is given, changed, given again, or taken away."""
        options = LOGINS[login]
        changed = {name: ("bob", "y") if name == "auth" else value for name, value in options.items()}
        for before, given in (({}, options), (options, changed), (options, options), (options, NOTHING)):
            parent = parent_of(client_class, **before)
            derived = parent.with_options(new_session=new_session, **given)
            assert derived.session is not parent.session
            assert derived.session == Session(root=ROOT)
            assert derived._transport is not parent._transport

    @pytest.mark.parametrize("login", LOGINS)
    def test_new_session_of_a_login_has_no_nonce(self, client_class: Any, login: str) -> None:
        assert parent_of(client_class, **LOGINS[login]).with_options(new_session=True).session == Session(root=ROOT)

    def test_new_session_has_neither_session_id_nor_nonce_of_a_bot(self, client_class: Any) -> None:
        """One visitor read the page of the bot, perhaps with a login. All derived clients would get its values."""
        bot = Bot(nonce="n", session_id="s", rest_root=ROOT)
        parent = client_class(SITE, bot=bot)
        assert parent.session == Session("n", "s", ROOT)
        assert parent.with_options().session is parent.session
        assert parent.with_options(new_session=True).session == Session("", "", ROOT)
        assert client_class(SITE).with_options(bot=bot, new_session=True).session == Session()
        assert client_class(SITE).with_options(bot=bot, auth=("ann", "x")).session == Session()

    def test_nonce_of_a_session_that_changes_meanwhile_is_not_copied(self, client_class: Any) -> None:
        """The caller has set another nonce, whose origin is not known yet."""
        parent = parent_of(client_class)
        parent.session.nonce = "another"
        assert parent.with_options(new_session=True).session == Session(root=ROOT)

    def test_set_session_belongs_to_one_client(self, client_class: Any) -> None:
        parent = parent_of(client_class)
        one, two = parent.with_options(), parent.with_options()
        one.session = Session("own")
        assert (one.session.nonce, two.session.nonce, parent.session.nonce) == ("own", "known", "known")
        assert one._transport.flights is not two._transport.flights


# The clients of a family: the root; two derived from it; one derived from the first of these.
FAMILY = ("root", "one", "two", "grandchild")
CLOSED_WITH = {
    "root": {"root", "one", "two", "grandchild"},
    "one": {"one", "grandchild"},
    "two": {"two"},
    "grandchild": {"grandchild"},
}


def family(root: Any, **options: Any) -> dict[str, Any]:
    one, two = root.with_options(**options), root.with_options(**options)
    return {"root": root, "one": one, "two": two, "grandchild": one.with_options(**options)}


class TestClosing:
    """Closing a client also closes the clients that are derived from it, and no other."""

    @pytest.mark.parametrize("options", [{}, {"new_session": True}, {"auth": ("ann", PASSWORD)}], ids=str)
    @pytest.mark.parametrize("closed", FAMILY)
    def test_close_ends_the_streams_of_the_client_and_of_its_derived_clients(
        self, face: Face, closed: str, options: dict[str, Any]
    ) -> None:
        answers = {name: iter(["1", "2"]) for name in FAMILY}
        with serve_site(lambda chat: answers[chat.message], users={"ann": PASSWORD}, pause=0.001) as site:
            clients = family(face(site), **options)
            streams = {name: client.stream(name) for name, client in clients.items()}
            for stream in streams.values():
                assert face.call(stream.open()) is stream
            face.call(clients[closed].close())
            read = {name: "".join(face.all(stream)) for name, stream in streams.items()}
            assert {name for name, text in read.items() if text != "12"} == CLOSED_WITH[closed]
            for name, client in clients.items():
                if name in CLOSED_WITH[closed]:
                    with pytest.raises(InvalidState, match="this client is closed; make a new one"):
                        client.stream("Hi")
                    assert repr(client).endswith(", closed>")
                else:
                    assert "closed" not in repr(client)
                    answers["Hi"] = iter(["Hi"])
                    assert str(face.call(client.ask("Hi"))) == "Hi"

    def test_with_block_of_a_derived_client_leaves_the_connections_open(self, face: Face) -> None:
        with serve_site("Hi") as site:
            parent = face(site)

            async def ask_in_block() -> str:
                async with parent.with_options(new_session=True) as derived:
                    return str(await derived.ask("Hi"))

            if isinstance(parent, Client):
                with parent.with_options(new_session=True) as derived:
                    assert str(derived.ask("Hi")) == "Hi"
            else:
                assert face.call(ask_in_block()) == "Hi"
            assert str(face.call(parent.ask("Hi"))) == "Hi"
            assert str(face.call(parent.with_options().ask("Hi"))) == "Hi"

    def test_client_that_is_derived_from_a_closed_one_is_closed(self, face: Face) -> None:
        parent = face(SITE)
        face.call(parent.close())
        with pytest.raises(InvalidState, match="this client is closed"):
            parent.with_options(new_session=True).stream("Hi")

    def test_derived_client_keeps_its_parent_alive(self, face: Face) -> None:
        with serve_site("Hi") as site:
            derived = type(face(site))(site.url).with_options(new_session=True)
            gc.collect()  # an AsyncClient that is freed closes its pool
            assert str(face.call(derived.ask("Hi"))) == "Hi"
            (root,) = set(derived._lineage()) - {derived}
            face.call(root.close())


class TestUse:
    """Everything that a client can do works with a derived one."""

    def test_question_conversation_and_api_use_the_options(self, face: Face, tmp_path: Path) -> None:
        with serve_site("Hi", bots=["default", "support"], token="secret") as site:
            derived = face(site).with_options(bot_id="support", token="secret")
            conversation = derived.conversation()
            face.call(conversation.ask("Hello"))
            conversation.save(tmp_path / "chat.json")
            face.call(face.conversation_class.load(tmp_path / "chat.json", derived).ask("Again"))
            assert [chat["botId"] for chat in chats(site)] == ["support", "support"]
            assert face.call(derived.api.check())["type"] == "email"
            assert face.call(derived.start_session()) is derived.session

    @pytest.mark.parametrize("client_class", CLIENTS)
    def test_repr_says_derived_and_shows_no_secret(self, client_class: Any) -> None:
        derived = client_class(SITE).with_options(auth=("ann", "s3cr3t"), token="s3cr3t", headers={"X-Key": "s3cr3t"})
        assert repr(derived) == f"<{client_class.__name__} of {SITE}, derived>"
        assert "s3cr3t" not in repr(derived._operations)

    @pytest.mark.parametrize("client_class", CLIENTS)
    def test_derived_client_cannot_be_pickled(self, client_class: Any) -> None:
        with pytest.raises(TypeError, match="make a new one"):
            pickle.dumps(client_class(SITE).with_options())

    @pytest.mark.parametrize("client_class", CLIENTS)
    def test_derived_client_has_the_class_and_the_attributes_of_its_parent(self, client_class: Any) -> None:
        class Mine(client_class):
            def __init__(self) -> None:
                super().__init__(SITE)
                self.mine = 1

        derived = Mine().with_options(new_session=True)
        assert type(derived) is Mine
        assert derived.mine == 1

    @pytest.mark.parametrize("has_own_http", [False, True])
    def test_connections_are_shared(self, face: Face, has_own_http: bool) -> None:
        """Also those of the caller's own session or pool."""
        with Server(serve(says(streamed(end("Hi"))))) as server, requests.Session() as session:
            own = session if isinstance(face(server.url), Client) else Pool()
            parent = face(server.url, http=own if has_own_http else None)
            for options in ({"new_session": True}, {"bot_id": "support"}, {"auth": ("ann", "x")}):
                for client in family(parent, **options).values():
                    assert str(face.call(client.ask("Hi"))) == "Hi"
                face.call(client.close())
            assert server.connections == 1
            if isinstance(own, Pool):
                face.call(own.aclose())


@pytest.mark.parametrize("options", [{"new_session": True}, {"bot_id": "support"}], ids=str)
def test_hundred_derived_clients_ask_at_once(options: dict[str, Any], face: Face) -> None:
    questions = [f"question {number}" for number in range(100)]
    with serve_site(lambda chat: chat.message, bots=["default", "support"]) as site:
        parent = face(site)
        if isinstance(parent, Client):
            answers: dict[str, str] = {}

            def ask(question: str) -> None:
                answers[question] = str(parent.with_options(**options).ask(question))

            threads = [threading.Thread(target=ask, args=(question,)) for question in questions]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert answers == {question: question for question in questions}
        else:

            async def ask_all() -> list[Any]:
                clients = [parent.with_options(**options) for _ in questions]
                return await asyncio.gather(
                    *(client.ask(question) for client, question in zip(clients, questions, strict=True))
                )

            assert [str(reply) for reply in face.call(ask_all())] == questions
