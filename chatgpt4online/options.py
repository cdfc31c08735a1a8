"""The checks of options and arguments, which both clients share.

An error message names the option first, and then the allowed values. It shows the wrong value, unless that may be a
secret; then it only describes the value.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import TypedDict

from .net.heads import check_headers
from .net.url import redacted
from .protocol.calls.deadline import Timeout, is_time
from .protocol.calls.page import Bot
from .protocol.calls.prompt import LARGEST_POST, LONGEST_ID
from .protocol.calls.request import Session, is_id
from .protocol.parsing.errors import InvalidInput

_TOKEN = re.compile(r"[!-~]+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]*")
_COOKIE_NAME = re.compile(r"[!-:<>-~]*")
_COOKIE_VALUE = re.compile(r"[!-:<-~]*")

_QUESTION_OPTIONS = ("chat_id", "flatten", "files", "timeout")
_SEARCH_METHODS = ("wordpress", "keywords", "embeddings")
_ADVICE = {
    "model": "the site's owner chooses the model",
    "temperature": "the site's owner chooses the settings of the model",
    "max_tokens": "the site's owner chooses the settings of the model",
    "max_retries": "its name here is retries",
    "api_key": "chats need none; the key of the public API is Client(token=...)",
    "base_url": "its name here is site",
    "url": "its name here is site",
    "proxies": "its name here is proxy, and it is one address",
    "messages": "pass the messages as the prompt",
    "stream": "client.stream(prompt) returns the pieces as they arrive",
    "username": "a login is Client(auth=(name, password))",
    "password": "a login is Client(auth=(name, password))",
    "new_session": "it belongs to client.with_options(new_session=True)",
    "nonce": "set client.session = Session(nonce=...)",
    "session": "set client.session = Session(nonce=...)",
}


class DerivedOptions(TypedDict, total=False):
    """The options of ``client.with_options()``: those of a client, without ``site`` and those of its connections."""

    bot_id: str | None
    custom_id: str | None
    context_id: int | None
    bot: Bot | None
    timeout: Timeout | float
    retries: int
    headers: Mapping[str, str] | None
    cookies: Mapping[str, str] | None
    auth: tuple[str, str] | None
    token: str | None
    max_event_size: int
    max_body_size: int
    max_text_size: int


class ClientOptions(DerivedOptions, total=False):
    """The options of both clients as a type, for functions that pass them on: ``**options: Unpack[ClientOptions]``.

    :class:`Client` explains the options. An option that is left out has its default. ``site`` is not part of it, since
    it is the first argument of a client, and neither is ``http``, whose type depends on the client.
    """

    proxy: str | None
    verify: bool | str | ssl.SSLContext


class NoOptions(TypedDict):
    """The type of ``**unknown`` in a function that accepts no more keywords than it names.

    With ``**unknown: Unpack[NoOptions]`` a function can raise a TypeError with advice, and type checkers still report
    the wrong keyword.
    """


_CLIENT_OPTIONS = (*ClientOptions.__annotations__, "http")
_DERIVED_OPTIONS = tuple(DerivedOptions.__annotations__)


def refuse_derived_options(options: Mapping[str, object], client: str) -> None:
    """Raise TypeError, with advice, if ``with_options()`` of the class named ``client`` has no such option."""
    for name in ("site", "proxy", "verify", "http"):
        if name in options:
            raise TypeError(
                f"with_options has no option {name!r}: a derived client has the site and the connections of its "
                f"parent; make a new one with {client}({name}=...)"
            )
    if unknown := {name: value for name, value in options.items() if name not in _DERIVED_OPTIONS}:
        refuse_client_options(unknown, "with_options", (*_DERIVED_OPTIONS, "new_session"))


def refuse_client_options(unknown: Mapping[str, object], client: str, names: tuple[str, ...] = _CLIENT_OPTIONS) -> None:
    """Raise TypeError, with advice, if ``unknown`` has an item.

    ``client`` is the name of the client's class or method. ``names`` are the options that it has.
    """
    for name in unknown:
        advice = _ADVICE.get(name) or f"the options are {', '.join(names)}"
        if name in _QUESTION_OPTIONS:
            advice = f"it belongs to a question, as in client.ask(prompt, {name}=...)"
        raise TypeError(f"{client} has no option {name!r}: {advice}")


def refuse_question_options(unknown: Mapping[str, object], names: tuple[str, ...] = _QUESTION_OPTIONS) -> None:
    """Raise TypeError, with advice, if ``unknown`` has an item. ``names`` are the options of the question."""
    for name in unknown:
        advice = _ADVICE.get(name) or f"the options are {', '.join(names)}"
        if name in _CLIENT_OPTIONS:
            advice = f"it belongs to the client, as in Client({name}=...)"
        raise TypeError(f"a question has no option {name!r}: {advice}")


def check_bot(bot: object) -> None:
    """Raise InvalidInput unless ``bot`` is None or a Bot with values that a client can use."""
    if bot is None:
        return
    if isinstance(bot, Bot):
        check_text("bot.rest_root", bot.rest_root)
        check_count("bot.max_uploads", bot.max_uploads, 1)
        if bot.max_length is not None:
            check_count("bot.max_length", bot.max_length, 1)
        Session(bot.nonce, bot.session_id).check()
        return
    advice = f"; for a name use bot_id={bot!r}" if isinstance(bot, str) else ""
    raise InvalidInput(f"bot is a Bot of client.bots(), not {kind_of(bot)}{advice}")


def check_bot_names(bot_id: object, custom_id: object, context_id: object) -> None:
    """Raise InvalidInput for names of a bot that no site accepts."""
    for name, value in (("bot_id", bot_id), ("custom_id", custom_id)):
        if value is not None and not (isinstance(value, str) and len(value) <= LONGEST_ID and _is_text(value)):
            raise InvalidInput(f"{name} is a string of at most {LONGEST_ID} characters, not {shown(value)}")
    if context_id is not None and (type(context_id) is not int or not 0 <= context_id < LARGEST_POST):
        raise InvalidInput(f"context_id is the number of a post, a whole number from 0, not {shown(context_id)}")


def check_caller_headers(headers: object) -> None:
    """Raise InvalidInput for headers that cannot be sent, without showing a value."""
    if headers is None:
        return
    for name in headers if isinstance(headers, Mapping) else ():
        if not isinstance(name, str):
            raise InvalidInput(f"headers is a dict of strings, and one name is {kind_of(name)}")
        # A caller may write the whole header as its name, so the message must not show all of it.
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidInput(
                f"headers has a name that begins with {_beginning(_HEADER_NAME, name)!r} and holds a character that no "
                "header's name can have; write {'Authorization': 'Bearer ...'}"
            )
    try:
        check_headers(headers)
    except ValueError as error:
        problem = str(error)
    else:
        return
    raise InvalidInput(problem)  # outside of the except block, since its error may hold the value


def check_cookies(cookies: object) -> None:
    """Raise InvalidInput for cookies that cannot be sent, without showing a value."""
    if cookies is None:
        return
    if not isinstance(cookies, Mapping):
        advice = "; a whole Cookie header goes into headers={'Cookie': ...}" if isinstance(cookies, str) else ""
        raise InvalidInput(f"cookies is a dict of names and values, not {kind_of(cookies)}{advice}")
    for name, value in cookies.items():
        if not isinstance(name, str):
            raise InvalidInput(f"cookies is a dict of strings, and one name is {kind_of(name)}")
        if not name or not _COOKIE_NAME.fullmatch(name):
            beginning = _beginning(_COOKIE_NAME, name)
            raise InvalidInput(f"cookies has a name that is empty or cannot be sent; it begins with {beginning!r}")
        if not isinstance(value, str):
            raise InvalidInput(f"cookies is a dict of strings, and the value of {name!r} is {kind_of(value)}")
        if not _COOKIE_VALUE.fullmatch(value):
            raise InvalidInput(f"cookies has a value for {name!r} that cannot be sent: it holds {_odd(value, ';')}")


def check_auth(auth: object) -> None:
    """Raise InvalidInput unless ``auth`` is None or a user name and a password, without showing them."""
    if auth is None:
        return
    if not isinstance(auth, tuple | list) or len(auth) != 2 or not all(isinstance(text, str) for text in auth):
        raise InvalidInput(f"auth is a pair of strings: (name, application password), not {_shape(auth)}")
    name, password = auth
    if not name or not password:
        raise InvalidInput("auth is (name, application password), and neither of them is empty")
    if ":" in name:
        raise InvalidInput("auth has a colon in the name, where HTTP allows none; auth is (name, application password)")
    if not _is_text(name + password):
        raise InvalidInput("auth cannot be sent: it holds half a character (a lone surrogate)")


def read_token(token: object) -> str | None:
    """Return a bearer token without white space around it, such as the line end of the file that it was read from.

    Raises InvalidInput for a token that cannot be sent, without showing it.
    """
    if token is None:
        return None
    if not isinstance(token, str):
        raise InvalidInput(f"token is a string, not {kind_of(token)}")
    token = token.strip()
    if not _TOKEN.fullmatch(token):
        what = f"holds {_odd(token)}" if token else "is empty"
        advice = ", without the word 'Bearer'" if token[:7].lower() == "bearer " else ""
        raise InvalidInput(f"token is printable ASCII without spaces{advice}, and this one {what}")
    return token


def check_retries(retries: object) -> None:
    """Raise InvalidInput unless ``retries`` is a whole number from 0."""
    check_count("retries", retries, 0)


def check_proxy(proxy: object) -> None:
    """Raise InvalidInput unless ``proxy`` is None or a string, without showing it.

    The transports read the address itself.
    """
    if isinstance(proxy, Mapping):
        raise InvalidInput("proxy is one address such as 'http://127.0.0.1:3128', not requests' dict")
    if proxy is not None and not isinstance(proxy, str):
        raise InvalidInput(f"proxy is an address such as 'http://127.0.0.1:3128', not {kind_of(proxy)}")


def check_http(http: object, kind: type, name: str, proxy: object, verify: object) -> None:
    """Raise InvalidInput unless ``http`` is an object of the class ``kind``, whose public name is ``name``.

    Also raise it if ``proxy`` or ``verify`` was given, since ``http`` has its own.
    """
    if not isinstance(http, kind):
        raise InvalidInput(f"http is a {name}, not a {type(http).__module__}.{type(http).__name__}")
    for option, value, usual in (("proxy", proxy, None), ("verify", verify, True)):
        if value is not usual:
            raise InvalidInput(f"{option}= does not go together with http=: set it on your {kind.__name__}")


def check_flag(name: str, value: object) -> None:
    """Raise InvalidInput unless ``value`` is True or False. ``name`` is the name of the argument."""
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} is True or False, not {shown(value)}")


def check_text(name: str, text: object) -> None:
    """Raise InvalidInput unless ``text`` is a string. ``name`` is the name of the argument."""
    if not isinstance(text, str):
        raise InvalidInput(f"{name} is a string, not {kind_of(text)}")


def check_search(text: object, method: object, env_id: object, website_context: object) -> None:
    """Raise InvalidInput unless these are the arguments of a search that a site can carry out."""
    check_text("text", text)
    if not str(text).strip():
        raise InvalidInput("text is what to search for, and it is empty")
    if method not in _SEARCH_METHODS:
        raise InvalidInput(f"method is one of {', '.join(map(repr, _SEARCH_METHODS))}, not {shown(method)}")
    for name, value, needed in (
        ("env_id", env_id, "embeddings"),
        ("website_context", website_context, "keywords"),
    ):
        if value is None:
            continue
        check_text(name, value)
        if method != needed:
            raise InvalidInput(f"{name} is used only by method={needed!r}, and this search has method={method!r}")


def check_id(name: str, value: object) -> None:
    """Raise InvalidInput unless ``value`` can be an id of a site. ``name`` is the name of the argument."""
    if not is_id(value):
        raise InvalidInput(f"{name} is a non-empty string that the site sent, not {shown(value)}")


def check_count(name: str, value: object, least: int) -> None:
    """Raise InvalidInput unless ``value`` is a whole number from ``least``. ``name`` is the name of the argument."""
    if type(value) is not int or value < least:
        raise InvalidInput(f"{name} is a whole number from {least}, not {shown(value)}")


def check_seconds(name: str, value: object) -> float:
    """Return a number of seconds. Raises InvalidInput unless it is finite and above 0. ``name`` names the argument."""
    if not is_time(value):
        raise InvalidInput(f"{name} is a number of seconds above 0, not {shown(value)}")
    return value


def check_session(session: object) -> None:
    """Raise InvalidInput unless ``session`` is a Session whose values can be sent, without showing them."""
    if not isinstance(session, Session):
        raise InvalidInput(f"session is a Session, not {kind_of(session)}; for a known nonce use Session(nonce=...)")
    session.check()


def kind_of(value: object) -> str:
    """Return the type of a value as words in a sentence: ``None``, ``bytes``, ``a dict``."""
    if value is None:
        return "None"
    name = type(value).__name__
    return name if name in ("bytes", "NoneType") else f"{'an' if name[0] in 'aeioAEIO' else 'a'} {name}"


def shown(value: object) -> str:
    """Return the ``repr`` of a value that is not a secret, shortened for an error message."""
    try:
        text = repr(value)
    except ValueError:  # an int with more digits than Python shows
        return kind_of(value)
    return text if len(text) <= 80 else f"{text[:80]}... ({kind_of(value)})"


def check_address(name: str, value: object) -> None:
    """Raise InvalidInput unless ``value`` is an address that a site can fetch. ``name`` is the name of the argument."""
    check_text(name, value)
    if not str(value).lower().startswith(("http://", "https://", "data:")):
        raise InvalidInput(f"{name} is a web address that the site can fetch, not {shown(redacted(str(value)))}")


def _is_text(text: str) -> bool:
    """Return whether a string can be encoded in UTF-8: it holds no lone surrogate."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _shape(value: object) -> str:
    """Return the types of the items of a tuple or list, or the type of another value, without showing a value."""
    if isinstance(value, tuple | list):
        return f"({', '.join('None' if item is None else type(item).__name__ for item in value[:4])})"
    return kind_of(value)


def _beginning(allowed: re.Pattern[str], name: str) -> str:
    """Return the beginning of a name, up to the first character that is not allowed, for an error message."""
    match = allowed.match(name)
    return match[0][:40] if match else ""


def _odd(text: str, separators: str = "") -> str:
    """Return a description of the first character that cannot be sent: ``a line end``, ``a space``, ..."""
    for character in text:
        if character in separators:
            return f"{character!r}"
        if character in "\r\n":
            return "a line end"
        if character.isspace():
            return "a space"
        if not character.isascii():
            return "a character outside of ASCII"
    return "a control character"
