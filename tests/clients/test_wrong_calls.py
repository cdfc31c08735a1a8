"""Wrong calls: both clients raise the same error, whose message names the mistake and what to do."""

from __future__ import annotations

import io
import os
import pickle
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import chatgpt4online
from chatgpt4online import (
    AsyncClient,
    Bot,
    Client,
    Conversation,
    File,
    InvalidInput,
    InvalidState,
    NotAiEngine,
    ServerError,
    Session,
    Shortcut,
    StatusError,
    Submission,
    Turn,
    aask,
    ask,
    astream,
    protocol,
    stream,
)
from chatgpt4online.testing import Site

from ..clients.test_features import PASSWORD, Face, face
from ..site import serve_site

__all__ = ["face"]  # the fixture

SITE = "https://example.org"
SECRET = "s3cr3t"
PRIVATE = re.compile(r"(?<!\w)_[A-Za-z]\w*|Operations|Surface|object is not|has no attribute")


def says(role: Any, content: Any = "Hi") -> dict[str, Any]:
    return {"role": role, "content": content}


def picture(url: Any) -> list[Any]:
    return [says("user", [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}])]


@dataclass
class Wrong:
    """The things that a wrong call can use: a site, a client of it, other clients, and a directory."""

    face: Any
    site: Site
    directory: Path
    made: list[Any] = field(default_factory=list)

    def new(self, **options: Any) -> Any:
        """Return a client with these options."""
        return self.face(self.site, **options)

    @property
    def client(self) -> Any:
        """A client of a guest."""
        return self.new()

    @property
    def is_sync(self) -> bool:
        return self.face.conversation_class is Conversation

    @property
    def other_client(self) -> Any:
        """A client of the other kind, which sends nothing."""
        return AsyncClient(self.site.url) if self.is_sync else Client(self.site.url)

    def changed(self, **values: Any) -> Any:
        """Return a client after the attributes of its session were set one by one."""
        client = self.client
        for name, value in values.items():
            setattr(client.session, name, value)
        return client

    def file(self, content: str) -> Path:
        """Return the path of a file with this content."""
        path = self.directory / "file.json"
        path.write_text(content, "utf-8")
        return path

    @property
    def saved(self) -> Path:
        """The path of a saved conversation."""
        self.client.conversation().save(self.directory / "talk.json")
        return self.directory / "talk.json"


Call = Callable[[Wrong], Any]

# By whether they are synchronous. Any, since a type checker would report the wrong options.
FUNCTIONS: dict[tuple[bool, str], Any] = {
    (True, "ask"): ask,
    (True, "stream"): stream,
    (False, "ask"): aask,
    (False, "stream"): astream,
}

SESSIONS: dict[str, dict[str, Any]] = {
    "a nonce with a line end": {"nonce": f"{SECRET}\r\nX: y"},
    "a nonce outside of ASCII": {"nonce": f"{SECRET}я"},
    "a nonce of bytes": {"nonce": SECRET.encode()},
    "a nonce of None": {"nonce": None},
    "a nonce that is too long": {"nonce": SECRET * 100},
    "half a character": {"session_id": f"{SECRET}\ud800"},
    "a session id of bytes": {"session_id": SECRET.encode()},
    "a session id that is too long": {"session_id": SECRET * 1000},
    "a root of bytes": {"root": SECRET.encode()},
}


@dataclass
class Row:
    """A wrong call, its error, the words that the message contains, and words that it must not contain."""

    call: Call
    error: type[Exception]
    words: tuple[str, ...]
    without: tuple[str, ...] = ()


def option(words: str | tuple[str, ...], error: type[Exception] = InvalidInput, /, **options: Any) -> Row:
    """Return the row of a client that cannot be made with these options. The words begin with the option's name."""
    (name,) = options
    name = "header" if name == "headers" else name
    words = (words,) if isinstance(words, str) else words
    return Row(lambda to: to.new(**options), error, (name, *words), (SECRET,))


def asked(prompt: Any, *words: str, **options: Any) -> Row:
    """Return the row of a prompt that cannot be sent."""
    return Row(lambda to: to.client.ask(prompt, **options), InvalidInput, words)


OPTIONS = {
    "bot by name": option(("Bot of client.bots()", "bot_id='support'"), bot="support"),
    "bot of another type": option(("Bot of client.bots()", "a dict"), bot={"bot_id": "a"}),
    "bots in a list": option("a list", bot=[Bot()]),
    "bot_id number": option("string", bot_id=5),
    "bot_id too long": option("64 characters", bot_id="x" * 65),
    "custom_id number": option("string", custom_id=5),
    "context_id word": option("whole number", context_id="12"),
    "context_id bool": option("whole number", context_id=True),
    "context_id negative": option("whole number", context_id=-1),
    "context_id of 5,000 digits": option("whole number", context_id=10**5000),
    "bot_id with half a character": option("string", bot_id="\ud800"),
    **{
        f"bot with a wrong {name}": Row(
            lambda to, values=values: to.new(bot=Bot(**values)), InvalidInput, (name,), (SECRET,)
        )
        for name, values in {
            "bot_id": {"bot_id": 5},
            "custom_id": {"custom_id": "x" * 65},
            "context_id": {"context_id": "5"},
            "rest_root": {"rest_root": 5},
            "nonce": {"nonce": f"{SECRET}\r\nX: y"},
            "session_id": {"session_id": f"{SECRET}\ud800"},
            "max_uploads": {"max_uploads": "2"},
            "max_length": {"max_length": "9"},
        }.items()
    },
    "headers as pairs": option(("dict", "a list"), headers=[("a", SECRET)]),
    "headers as a line": option(("dict", "a str"), headers=f"X: {SECRET}"),
    "header None": option(("X-Key", "str"), headers={"X-Key": None}),
    "header bytes": option(("X-Key", "str"), headers={"X-Key": SECRET.encode()}),
    "header with a line end": option(("Authorization", "line end"), headers={"Authorization": f"Bearer {SECRET}\n"}),
    "header outside of latin-1": option(("X-Key", "latin-1"), headers={"X-Key": f"{SECRET}я"}),
    "header with a space around": option(("X-Key", "white space"), headers={"X-Key": f" {SECRET}"}),
    "header in its name": option(("'Authorization'", "Bearer ..."), headers={f"Authorization: Bearer {SECRET}": ""}),
    "header name of bytes": option(("one name is bytes",), headers={f"X: {SECRET}".encode(): ""}),
    "header without a name": option("name", headers={"": SECRET}),
    "header of the connection": Row(lambda to: to.new(headers={"Host": SECRET}), InvalidInput, ("Host", "connection")),
    "auth as a string": option(("pair of strings", "a str"), auth=f"ann:{SECRET}"),
    "auth without a password": option(("pair of strings", "(str, None)"), auth=(SECRET, None)),
    "auth of three": option("pair of strings", auth=("ann", SECRET, SECRET)),
    "auth as a dict": option("pair of strings", auth={"ann": SECRET}),
    "auth of a requests class": option("pair of strings", auth=object()),
    "auth with a colon": option("colon", auth=("ann:x", SECRET)),
    "auth with an empty name": option("empty", auth=("", SECRET)),
    "auth with an empty password": option("empty", auth=(SECRET, "")),
    "auth with half a character": option("half a character", auth=("ann", f"{SECRET}\ud800")),
    "cookie None": option(("'a'", "None"), cookies={"a": None}),
    "cookie number": option(("'a'", "an int"), cookies={"a": 5}),
    "cookie bytes": option(("'a'", "bytes"), cookies={"a": SECRET.encode()}),
    "cookie with a semicolon": option(("'a'", "';'"), cookies={"a": f"{SECRET}; b=c"}),
    "cookie with a line end": option(("'a'", "line end"), cookies={"a": f"{SECRET}\r\nX: y"}),
    "cookie with a space": option(("'a'", "a space"), cookies={"a": f"{SECRET} x"}),
    "cookie outside of ASCII": option(("'a'", "ASCII"), cookies={"a": f"{SECRET}é"}),
    "cookie with a control character": option(("'a'", "control"), cookies={"a": f"{SECRET}\x01"}),
    "cookie in its name": option("'wordpress_logged_in'", cookies={f"wordpress_logged_in={SECRET}": ""}),
    "cookie without a name": option("empty", cookies={"": SECRET}),
    "cookie name of bytes": option("bytes", cookies={SECRET.encode(): "x"}),
    "cookies as a header": option(("a str", "headers={'Cookie'"), cookies=f"a={SECRET}"),
    "cookies as pairs": option("a list", cookies=[("a", SECRET)]),
    "token empty": option("empty", token=""),
    "token of blanks": option("empty", token=" \n"),
    "token with a line end within": option("line end", token=f"{SECRET}\nx"),
    "token with its word": option("without the word 'Bearer'", token=f"Bearer {SECRET}"),
    "token outside of ASCII": option("ASCII", token=f"{SECRET}é"),
    "token with a control character": option("control", token=f"{SECRET}\x01"),
    "token bytes": option("bytes", token=SECRET.encode()),
    "timeout pair": option(("seconds", "Timeout(connect=3, first_byte=5)", "(3, 5)"), timeout=(3, 5)),
    "timeout zero": option(("seconds", "above 0", "not 0"), timeout=0),
    "timeout negative": option("above 0", timeout=-1),
    "timeout NaN": option("not nan", timeout=float("nan")),
    "timeout infinite": option("not inf", timeout=float("inf")),
    "timeout bool": option("not True", timeout=True),
    "timeout text": option("not '5'", timeout="5"),
    "timeout dict": option("seconds", timeout={"connect": 3}),
    "proxy dict": option("requests' dict", proxy={"http": f"http://a:{SECRET}@x"}),
    "proxy list": option("a list", proxy=[f"http://a:{SECRET}@x"]),
    "retries negative": option("whole number", retries=-1),
    "retries bool": option("whole number", retries=True),
    "retries text": option("whole number", retries="2"),
    "retries half": option("whole number", retries=0.5),
    "retries of urllib3": option("whole number", retries=object()),
    **{
        f"{name} {value}": option("bytes", **{name: value})
        for name in ("max_event_size", "max_body_size", "max_text_size")
        for value in (0, -1, True, None, "1000", 1000.0)
    },
    "max_retries": option("retries", TypeError, max_retries=2),
    "model": option("the site's owner chooses the model", TypeError, model="gpt-4"),
    "api_key": option("token", TypeError, api_key=SECRET),
    "base_url": option("site", TypeError, base_url="x"),
    "proxies": option("proxy", TypeError, proxies={}),
    "password": option("auth=(name, password)", TypeError, password=SECRET),
    "nonce": option("client.session = Session(nonce=...)", TypeError, nonce=SECRET),
    "misspelt": option("retries", TypeError, retires=2),
    "option of a question": option("client.ask(prompt, chat_id=...)", TypeError, chat_id="c"),
    "site number": Row(lambda to: type(to.client)(5), InvalidInput, ("site", "web address")),
    "site without a scheme": Row(lambda to: to.face("example.org"), InvalidInput, ("site", "https://example.org")),
    "site with a password": Row(
        lambda to: to.face(f"https://ann:{SECRET}@example.org"), InvalidInput, ("auth=(name, password)",), (SECRET,)
    ),
    "site with a password that looks like a path": Row(
        lambda to: to.face(f"https://ann:/{SECRET}@example.org"), InvalidInput, ("auth=(name, password)",), (SECRET,)
    ),
    "site with a password and more": Row(
        lambda to: to.face(f"https://ann:{SECRET}@exa mple.org:x"), InvalidInput, ("site",), (SECRET,)
    ),
    **{
        f"session with {name}": Row(
            lambda to, values=values: setattr(to.client, "session", Session(**values)),
            InvalidInput,
            (f"session.{next(iter(values))}",),
            (SECRET,),
        )
        for name, values in SESSIONS.items()
    },
    **{
        f"session that gets {name}": Row(
            lambda to, values=values: to.changed(**values).ask("Hi"),
            InvalidInput,
            (f"session.{next(iter(values))}",),
            (SECRET,),
        )
        for name, values in SESSIONS.items()
    },
    "session by nonce": Row(
        lambda to: setattr(to.client, "session", SECRET), InvalidInput, ("Session(nonce=...)",), (SECRET,)
    ),
}

PROMPTS = {
    "None": asked(None, "a prompt is a string", "not None"),
    "number": asked(5, "a prompt is a string", "not 5"),
    "bytes": asked(b"Hello", "not bytes: decode it"),
    "bytearray": asked(bytearray(b"Hello"), "not bytes: decode it"),
    "dict": asked(says("user"), "not a dict: put it in a list"),
    "generator": asked((says("user") for _ in "a"), "not a generator: make a list of it"),
    "set": asked({"Hello"}, "not a set: make a list of it"),
    "empty list": asked([], "at least one", "not an empty list"),
    "empty": asked("", "empty"),
    "strings": asked(["Hello"], "messages[0]", "role", "not 'Hello'"),
    "content number": asked([says("user", 5)], "messages[0]['content']", "not 5"),
    "content dict": asked([says("user", {"type": "text"})], "messages[0]['content']", "not a dict"),
    "content bytes": asked([says("user", b"Hi")], "messages[0]['content']", "not bytes: decode it"),
    "last of the assistant": asked([says("user"), says("assistant")], "'user'", "not 'assistant'", "history"),
    "only the system": asked([says("system")], "'user'", "not 'system'"),
    "only the developer": asked([says("developer")], "'user'", "not 'system'"),
    "last of a tool": asked([says("user"), says("tool")], "'user'", "not 'tool'"),
    "picture by address": asked(
        picture("https://example.org/a.png"), "download the picture", "client.upload(bytes, name=...)", "files=[...]"
    ),
    "picture without base64": asked(picture("data:image/png,abc"), "base64", "client.upload(bytes, name=...)"),
    "files as paths": asked("Hi", "an uploaded file, not a path", "client.upload(path) first", files=["/etc/hosts"]),
    "files as Windows paths": asked("Hi", "client.upload(path) first", files=["C:\\a.png"]),
    "files as names": asked("Hi", "files[1]", "client.upload(path) first", files=[File("f1"), "photo.png"]),
    "files in the home directory": asked("Hi", "files[0]", "client.upload(path) first", files=["~"]),
    "files as Path": asked("Hi", "upload the file first", files=[Path("a.png")]),
    "files as bytes": asked("Hi", "bytes", "upload the file first", files=[b"abc"]),
    "files None": asked("Hi", "None", files=None),
    "file alone": asked("Hi", "put it in a list", files=File("f1")),
    "file id empty": asked("Hi", "files[0]", files=[""]),
    "file id with a line end": asked("Hi", "files[0]", files=["a\n"]),
    "chat_id number": asked("Hi", "chat_id", "string", chat_id=5),
    "timeout of a question": asked("Hi", "Timeout(connect=3, first_byte=5)", timeout=(3, 5)),
    **{
        f"conversation {kind}": Row(lambda to, prompt=prompt: to.client.conversation().ask(prompt), InvalidInput, words)
        for kind, prompt, words in (
            ("None", None, ("a question is a string", "not None")),
            ("bytes", b"Hi", ("not bytes: decode it",)),
            ("list", [says("user")], ("not a list", "conversation itself")),
            ("of the assistant", says("assistant"), ("'user'", "not 'assistant'")),
        )
    },
    "edit None": Row(
        lambda to: to.client.conversation(messages=[says("user")]).edit(None), InvalidInput, ("a question is", "None")
    ),
    **{
        f"model of {name}": Row(call, TypeError, ("'model'", "the site's owner chooses the model"))
        for name, call in {
            "ask": lambda to: to.client.ask("x", model="gpt-4"),
            "stream": lambda to: to.client.stream("x", model="gpt-4"),
            "events": lambda to: to.client.events("x", model="gpt-4"),
            "conversation.ask": lambda to: to.client.conversation().ask("x", model="gpt-4"),
            "conversation.stream": lambda to: to.client.conversation().stream("x", model="gpt-4"),
            "conversation.events": lambda to: to.client.conversation().events("x", model="gpt-4"),
            "the function ask": lambda to: FUNCTIONS[to.is_sync, "ask"]("x", model="gpt-4"),
            "the function stream": lambda to: FUNCTIONS[to.is_sync, "stream"]("x", model="gpt-4"),
        }.items()
    },
    "stream of ask": Row(lambda to: to.client.ask("x", stream=True), TypeError, ("'stream'", "client.stream(prompt)")),
    "token of ask": Row(
        lambda to: to.client.ask("x", token=SECRET), TypeError, ("'token'", "Client(token=...)"), (SECRET,)
    ),
    "misspelt option of ask": Row(lambda to: to.client.ask("x", fles=[]), TypeError, ("'fles'", "files")),
    "reply too early": Row(
        lambda to: to.client.stream("Hi").reply, InvalidState, ("read the stream to its end", "ask")
    ),
}

FILES = {
    "upload nothing": Row(lambda to: to.client.upload(""), InvalidInput, ("path", "empty"), ("Errno",)),
    "upload None": Row(lambda to: to.client.upload(None), InvalidInput, ("a file is a path", "not None")),
    "upload number": Row(lambda to: to.client.upload(5), InvalidInput, ("a file is a path", "an int")),
    "upload bytearray": Row(lambda to: to.client.upload(bytearray(b"a")), InvalidInput, ("a bytearray",)),
    "upload missing": Row(lambda to: to.client.upload("no-such.png"), InvalidInput, ("cannot be read", "no-such.png")),
    "upload a directory": Row(
        lambda to: to.client.upload(to.directory), InvalidInput, ("cannot be read", "is a directory"), ("Errno",)
    ),
    "upload text": Row(
        lambda to: to.client.upload(io.StringIO("abc"), "a.txt"), InvalidInput, ("text mode", "open(path, 'rb')")
    ),
    "upload a path with NUL": Row(lambda to: to.client.upload("a\0b"), InvalidInput, ("path of the file", "null byte")),
    "upload without a name": Row(lambda to: to.client.upload(b"abc"), InvalidInput, ("name='photo.png'",)),
    "upload name number": Row(lambda to: to.client.upload(b"abc", 5), InvalidInput, ("name is a string", "an int")),
    "upload progress": Row(
        lambda to: to.client.upload(b"abc", "a.png", on_progress=5), InvalidInput, ("on_progress is a function",)
    ),
    "upload path of bytes": Row(lambda to: to.client.upload(_BytesPath()), InvalidInput, ("a string", "bytes")),
    "delete_files id": Row(lambda to: to.client.delete_files("id"), InvalidInput, ("a list", "put it in a list")),
    "delete_files path": Row(lambda to: to.client.delete_files(["/a.png"]), InvalidInput, ("not a path",)),
    "load the other client": Row(
        lambda to: to.face.conversation_class.load(to.saved, to.other_client), InvalidInput, ("client is", ".load")
    ),
    "load a class": Row(
        lambda to: to.face.conversation_class.load(to.saved, type(to.client)), InvalidInput, ("the class", "itself")
    ),
    "load without a client": Row(
        lambda to: to.face.conversation_class.load(to.saved), TypeError, ("Conversation.load()", "'client'")
    ),
    "load None": Row(
        lambda to: to.face.conversation_class.load(None, to.client), InvalidInput, ("path", "string", "None")
    ),
    "load with a site": Row(
        lambda to: to.face.conversation_class.load(to.saved, to.site.url), InvalidInput, ("client is", "a str")
    ),
    **{
        f"load {content[:10]}": Row(
            lambda to, content=content: to.face.conversation_class.load(to.file(content), to.client),
            InvalidInput,
            ("file.json", "it is not a conversation of this package"),
            ("indices", "Errno"),
        )
        for content in ("[1, 2]", "{}", "null", "5", '"talk"', "Hello", '{"site": 5}', '{"site": "x"}', "[" * 9999)
    },
    "load a number of 5,000 digits": Row(
        lambda to: to.face.conversation_class.load(to.file('{"site": ' + "9" * 5000 + "}"), to.client),
        InvalidInput,
        ("file.json", "it is not a conversation of this package"),
        ("digits",),
    ),
    "load the conversation with another site": Row(
        lambda to: to.face.conversation_class.load(
            to.file(to.saved.read_text("utf-8").replace("http://", f"http://ann:{SECRET}@")), to.client
        ),
        InvalidInput,
        ("the conversation is with", "the client's site"),
        (SECRET,),
    ),
    "load a path with NUL": Row(
        lambda to: to.face.conversation_class.load("a\0b", to.client), InvalidInput, ("path of the conv", "null byte")
    ),
    "save to a path with NUL": Row(
        lambda to: to.client.conversation().save("a\0b"), InvalidInput, ("path of the conversation", "null byte")
    ),
    "save without a directory": Row(
        lambda to: to.client.conversation().save(to.directory / "no" / "x.json"), FileNotFoundError, ("no/x.json",)
    ),
    "save over a directory": Row(
        lambda to: to.client.conversation().save(to.directory), InvalidInput, ("test_", "is a directory"), ("->",)
    ),
    "save None": Row(lambda to: to.client.conversation().save(None), InvalidInput, ("path", "None")),
    "save nowhere": Row(lambda to: to.client.conversation().save(""), InvalidInput, ("path", "empty")),
}

CALLS = {
    "choose a label": Row(
        lambda to: to.client.conversation().choose("yes"), InvalidInput, ("reply.shortcuts", "not 'yes'")
    ),
    "choose None": Row(lambda to: to.client.conversation().choose(None), InvalidInput, ("shortcut", "not None")),
    "choose nothing": Row(
        lambda to: to.client.conversation().choose(Shortcut("message", label="A")),
        InvalidInput,
        ("'A'", "for browsers only"),
    ),
    "bots None": Row(lambda to: to.client.bots(None), InvalidInput, ("page", "'/chat/'", "None")),
    "bots of an address with a password": Row(
        lambda to: to.client.bots(f"http://ann:{SECRET}@127.0.0.1/"),
        InvalidInput,
        ("auth=(name, password)",),
        (SECRET,),
    ),
    "bots of an address with a password that looks like a path": Row(
        lambda to: to.client.bots(f"http://ann:/{SECRET}@127.0.0.1/"),
        InvalidInput,
        ("auth=(name, password)",),
        (SECRET,),
    ),
    "bots of an address with a password and more": Row(
        lambda to: to.client.bots(f"http://ann:{SECRET}@exa mple.org:x"), InvalidInput, ("a page is",), (SECRET,)
    ),
    "bots number": Row(lambda to: to.client.bots(5), InvalidInput, ("page", "5")),
    "rename None": Row(lambda to: to.client.rename_discussion(None, "a"), InvalidInput, ("chat_id", "None")),
    "rename nothing": Row(lambda to: to.client.rename_discussion("", "a"), InvalidInput, ("chat_id", "empty")),
    "rename to None": Row(lambda to: to.client.rename_discussion("c", None), InvalidInput, ("title", "None")),
    "delete one": Row(lambda to: to.client.delete_discussions("id"), InvalidInput, ("list", "put it in a list")),
    "delete None": Row(lambda to: to.client.delete_discussions(None), InvalidInput, ("list", "None")),
    "delete numbers": Row(lambda to: to.client.delete_discussions([5]), InvalidInput, ("chat id", "string", "5")),
    "limit negative": Row(lambda to: to.client.discussions(limit=-1), InvalidInput, ("limit", "from 1", "-1")),
    "limit text": Row(lambda to: to.client.discussions(limit="1"), InvalidInput, ("limit", "'1'")),
    "offset negative": Row(lambda to: to.client.discussions(offset=-1), InvalidInput, ("offset", "from 0", "-1")),
    "page_size zero": Row(lambda to: to.client.iter_discussions(page_size=0), InvalidInput, ("page_size", "from 1")),
    "page_size text": Row(lambda to: to.client.iter_discussions(page_size="9"), InvalidInput, ("page_size", "'9'")),
    "page_size None": Row(lambda to: to.client.iter_discussions(page_size=None), InvalidInput, ("page_size", "None")),
    "search None": Row(lambda to: to.client.search(None), InvalidInput, ("text", "None")),
    "search number": Row(lambda to: to.client.search(5), InvalidInput, ("text", "an int")),
    "search bytes": Row(lambda to: to.client.search(b"cats"), InvalidInput, ("text", "bytes")),
    "search nothing": Row(lambda to: to.client.search(""), InvalidInput, ("text", "empty")),
    "search blanks": Row(lambda to: to.client.search(" \n"), InvalidInput, ("text", "empty")),
    "search half a character": Row(lambda to: to.client.search("\ud800"), InvalidInput, ("cannot be sent as JSON",)),
    "search method": Row(
        lambda to: to.client.search("cats", method="google"), InvalidInput, ("method", "'keywords'", "'google'")
    ),
    "search method list": Row(lambda to: to.client.search("cats", method=["keywords"]), InvalidInput, ("method", "[")),
    "search env_id number": Row(
        lambda to: to.client.search("cats", method="embeddings", env_id=5), InvalidInput, ("env_id", "an int")
    ),
    "search env_id without its method": Row(
        lambda to: to.client.search("cats", env_id="e1"), InvalidInput, ("env_id", "method='embeddings'", "'wordpress'")
    ),
    "search website_context without its method": Row(
        lambda to: to.client.search("cats", website_context="Pets"), InvalidInput, ("website_context", "'keywords'")
    ),
    "search of a site without it": Row(
        lambda to: to.client.search("cats"), NotAiEngine, ("2.8.3", "Search module"), ("nonce",)
    ),
    "discussions of a guest": Row(
        lambda to: to.client.discussions(), ServerError, ("You need to be connected.", "auth=", "cookies=")
    ),
    "rename of a guest": Row(lambda to: to.client.rename_discussion("c", "a"), ServerError, ("auth=", "cookies=")),
    "delete of a guest": Row(lambda to: to.client.delete_discussions(["c"]), StatusError, ("log in",)),
    "discussion by id": Row(
        lambda to: to.client.conversation(discussion="id"), InvalidInput, ("client.discussions()", "a str")
    ),
    "messages None": Row(lambda to: to.client.conversation(messages=None), InvalidInput, ("messages", "list", "None")),
    "messages text": Row(lambda to: to.client.conversation(messages="Hi"), InvalidInput, ("messages", "list", "a str")),
    "messages number": Row(lambda to: to.client.conversation(messages=[5]), InvalidInput, ("messages[0]", "dict")),
    "start_sentence number": Row(
        lambda to: to.client.conversation(start_sentence=5), InvalidInput, ("start_sentence", "string")
    ),
    "conversation_id number": Row(lambda to: to.client.conversation(chat_id=5), InvalidInput, ("chat_id", "string")),
    **{
        f"api {name} of a guest": Row(
            call, StatusError, ("the public API needs Client(token=...) or a login", "auth=", "cookies="), ("nonce",)
        )
        for name, call in {
            "check": lambda to: to.client.api.check(),
            "text": lambda to: to.client.api.text("Hi"),
            "chatbot": lambda to: to.client.api.chatbot("Hi"),
            "json": lambda to: to.client.api.json("Hi"),
            "moderate": lambda to: to.client.api.moderate("Hi"),
            "upload": lambda to: to.client.api.upload(b"abc", "a.png"),
            "bots": lambda to: to.client.api.bots(),
        }.items()
    },
    "api with a wrong token": Row(
        lambda to: to.new(token=SECRET).api.text("Hi"), StatusError, ("bearer token must be",), ("nonce", SECRET)
    ),
    "api text None": Row(lambda to: to.client.api.text(None), InvalidInput, ("message", "None")),
    "api chatbot number": Row(lambda to: to.client.api.chatbot("Hi", bot_id=5), InvalidInput, ("bot_id", "an int")),
    "api json bytes": Row(lambda to: to.client.api.json(b"Hi"), InvalidInput, ("message", "bytes")),
    "api vision None": Row(lambda to: to.client.api.vision("Hi", None), InvalidInput, ("url", "None")),
    "api image None": Row(lambda to: to.client.api.image(None), InvalidInput, ("message", "None")),
    "api moderate None": Row(lambda to: to.client.api.moderate(None), InvalidInput, ("text", "None")),
    "api transcribe": Row(lambda to: to.client.api.transcribe(), InvalidInput, ("url", "media_id")),
    "api options not a number": Row(
        lambda to: to.client.api.text("Hi", options={"temperature": float("nan")}), InvalidInput, ("as JSON",)
    ),
    "api chatbot chat_id": Row(lambda to: to.client.api.chatbot("Hi", chat_id=5), InvalidInput, ("chat_id", "5")),
    "api chatbot path": Row(
        lambda to: to.client.api.chatbot("Hi", file_id="/etc/hosts"), InvalidInput, ("file_id", "client.upload(path)")
    ),
    "api vision path": Row(lambda to: to.client.api.vision("Hi", "/etc/a.png"), InvalidInput, ("url", "web address")),
    "api vision password": Row(
        lambda to: to.client.api.vision("Hi", f"ftp://ann:{SECRET}@x/"), InvalidInput, ("url",), (SECRET,)
    ),
    "api image media_id": Row(
        lambda to: to.client.api.image("Hi", media_id="a"), InvalidInput, ("media_id is a whole number", "'a'")
    ),
    "api image resolution": Row(
        lambda to: to.client.api.image("Hi", resolution=5), InvalidInput, ("resolution is a string", "an int")
    ),
    "api transcribe path": Row(lambda to: to.client.api.transcribe(url="a.mp3"), InvalidInput, ("url", "'a.mp3'")),
    "api transcribe media_id": Row(
        lambda to: to.client.api.transcribe(media_id=0), InvalidInput, ("media_id is a whole number from 1", "0")
    ),
    "api options": Row(lambda to: to.client.api.text("Hi", options="x"), InvalidInput, ("options is a dict", "a str")),
}

ROWS = {**OPTIONS, **PROMPTS, **FILES, **CALLS}


# Their arguments are of wrong types.
turn_of: Any = Turn
submission_of: Any = Submission

# Calls of the protocol layer, for embedders: the name that the message contains, and what is wrong.
CORE: dict[str, tuple[str, Callable[[], Any]]] = {
    "turn of a string": ("Submission('Hello')", lambda: turn_of(SITE, "Hello")),
    "turn with a nonce": ("Session(nonce=...)", lambda: turn_of(SITE, Submission("Hi"), SECRET)),
    "turn with a header None": ("headers", lambda: turn_of(SITE, Submission("Hi"), headers={"a": None})),
    "turn with a header of bytes": ("headers", lambda: turn_of(SITE, Submission("Hi"), headers={"a": SECRET.encode()})),
    "turn with a name of bytes": ("headers", lambda: turn_of(SITE, Submission("Hi"), headers={SECRET.encode(): "a"})),
    "submission of None": ("the message is a string", lambda: submission_of(None)),
    "submission for no bot": ("bot_id", lambda: Submission("Hi", bot_id=None)),
    **{
        f"turn with {name}": (
            f"session.{next(iter(values))}",
            lambda values=values: Turn(SITE, Submission("Hi"), Session(**values)),
        )
        for name, values in SESSIONS.items()
    },
    **{
        f"submission with {name} {value!r}"[:60]: (
            name,
            lambda name=name, value=value: Submission("Hi", **{name: value}),
        )
        for name, values in {
            "file_ids": (5, "a", b"a", [5], None),
            "messages": (5, "a", None, {"role": "user", "content": "a"}, [5]),
            "bot_id": (5, b"a", "x" * 65),
            "chat_id": (5, "x" * 65),
            "previous_response_id": (5, b"a"),
            "shortcut_id": (5, b"a"),
            "shortcut_name": (5, b"a"),
            "context_id": ("5", 5.0, float("nan"), True, -1, 2**64),
            "stream": (1, "no", None),
        }.items()
        for value in values
    },
}


@pytest.mark.parametrize("name", CORE)
def test_protocol_layer_refuses_a_value_that_cannot_be_sent(name: str) -> None:
    """InvalidInput names the value, and does not show a secret."""
    words, call = CORE[name]
    with pytest.raises(InvalidInput) as caught:
        call()
    assert words in str(caught.value)
    assert SECRET not in str(caught.value) + repr(caught.value.args) + repr(caught.value.__context__)


def test_session_that_is_changed_during_a_turn_is_checked_again() -> None:
    """The caller may set a nonce at any time. The turn continues once the nonce is valid."""
    session = Session("1111111111")
    turn = Turn(SITE, Submission("Hi"), session)
    session.nonce = f"{SECRET}\n"
    with pytest.raises(InvalidInput, match=r"session\.nonce"):
        turn.next_request()
    session.nonce = "2222222222"
    request = turn.next_request()
    assert request is not None
    assert request.headers["X-WP-Nonce"] == "2222222222"


def test_huge_number_as_an_option_raises_a_clear_error() -> None:
    """Python does not convert an int of more than 4,300 digits to text."""
    with pytest.raises(InvalidInput, match="retries is a whole number from 0, not an int"):
        Client(SITE, retries=-(10**5000))


class _BytesPath(os.PathLike[Any]):
    """A path whose text is bytes."""

    def __fspath__(self) -> bytes:
        return b"a.png"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serve_site(users={"ann": PASSWORD}, discussions=True, token="the right one") as site:
        yield site


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_wrong_call_raises_a_helpful_message(face: Face, site: Site, tmp_path: Path, row: Row) -> None:
    """Both clients raise this class with these words, and show neither a secret nor a private name."""
    to = Wrong(face, site, tmp_path)
    with pytest.raises(row.error) as caught:
        made = row.call(to)
        if hasattr(made, "reply"):
            face.all(made)
        else:
            face.call(made)
    message = str(caught.value)
    for word in row.words:
        assert word in message
    for word in row.without:
        assert word not in message
    assert not PRIVATE.search(message), message
    if SECRET in row.without:
        shown = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value.args)
        context = caught.value.__context__
        assert SECRET not in shown + repr(context) + str(pickle.dumps(caught.value))


@pytest.mark.parametrize("module", [chatgpt4online, protocol])
def test_misspelt_name_is_suggested(module: Any) -> None:
    """Python suggests the right name. It needs the name and the module for that."""
    with pytest.raises(AttributeError, match="Timeuot") as caught:
        module.Timeuot  # noqa: B018  # the look-up is the test
    assert (caught.value.name, caught.value.obj) == ("Timeuot", module)
    command = f"import {module.__name__} as module; module.Timeuot"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    assert "Did you mean: 'Timeout'" in done.stderr


@pytest.mark.parametrize("answer", [[], ()])
def test_serve_site_refuses_an_empty_answer(answer: Any) -> None:
    with pytest.raises(InvalidInput, match="answer must have at least one piece"):
        serve_site(answer)


class _NoWordPress(BaseHTTPRequestHandler):
    """A server that has no POST, such as Python's own."""

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


def test_error_of_a_server_without_wordpress_names_the_address(face: Face) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _NoWordPress)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        with pytest.raises(StatusError) as caught:
            face.call(face(url).ask("Hi"))
    finally:
        server.shutdown()
        server.server_close()
    assert url in str(caught.value)


@pytest.mark.parametrize("role", ["assistant", "system", "tool"])
@pytest.mark.parametrize("flatten", [False, True])
def test_flatten_and_provider_accept_any_last_message(site: Site, role: str, flatten: bool) -> None:
    """A flattened prompt keeps the roles in its text. The providers of g4f ask the last message, whatever its role."""
    messages = [says("user", "a"), says(role, "b")]
    provider: Any = type("OtherSite", (chatgpt4online.Chatgpt4Online,), {"url": site.url})
    (answer,) = provider.create_completion("gpt-4", messages, stream=False, flatten=flatten)
    assert answer == ("You said: " + (f"User: a\n{role.capitalize()}: b\nAssistant:" if flatten else "b"))
    with Client(site.url) as client:
        assert client.ask(messages, flatten=True).text == f"You said: User: a\n{role.capitalize()}: b\nAssistant:"
