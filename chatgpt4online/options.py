"""The checks of a client's options, which both clients make when they are created.

A message names the option first, and says what is allowed. A value that may be a secret is described and never shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypedDict

from .net.heads import check_headers
from .net.url import redacted
from .protocol.calls.page import Bot
from .protocol.calls.prompt import LARGEST_POST, LONGEST_ID
from .protocol.calls.request import Session, is_id
from .protocol.parsing.errors import InvalidInput

_TOKEN = re.compile(r"[!-~]+")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]*")
_COOKIE_NAME = re.compile(r"[!-:<>-~]*")
_COOKIE_VALUE = re.compile(r"[!-:<-~]*")

_CLIENT_OPTIONS = (
    "bot_id",
    "custom_id",
    "context_id",
    "bot",
    "timeout",
    "retries",
    "proxy",
    "headers",
    "cookies",
    "auth",
    "token",
    "verify",
    "max_event_size",
    "max_body_size",
    "max_text_size",
    "http",
)
_QUESTION_OPTIONS = ("chat_id", "flatten", "files", "timeout")
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
    "stream": "client.stream(prompt) returns the pieces as they come",
    "username": "a login is Client(auth=(name, password))",
    "password": "a login is Client(auth=(name, password))",
    "nonce": "set client.session = Session(nonce=...)",
    "session": "set client.session = Session(nonce=...)",
}


class NoOptions(TypedDict):
    """The keywords that a function takes besides those that it names: none.

    A function with ``**unknown: Unpack[NoOptions]`` can raise a TypeError that helps, and type checkers still find the
    wrong keyword.
    """


def refuse_client_options(unknown: Mapping[str, object], client: str) -> None:
    """Raise TypeError if there is an unknown option of a client, whose class is named ``client``."""
    for name in unknown:
        advice = _ADVICE.get(name) or f"the options are {', '.join(_CLIENT_OPTIONS)}"
        if name in _QUESTION_OPTIONS:
            advice = f"it belongs to a question, as in client.ask(prompt, {name}=...)"
        raise TypeError(f"{client} has no option {name!r}: {advice}")


def refuse_question_options(unknown: Mapping[str, object], names: tuple[str, ...] = _QUESTION_OPTIONS) -> None:
    """Raise TypeError if there is an unknown option of a question, which has the options ``names``."""
    for name in unknown:
        advice = _ADVICE.get(name) or f"the options are {', '.join(names)}"
        if name in _CLIENT_OPTIONS:
            advice = f"it belongs to the client, as in Client({name}=...)"
        raise TypeError(f"a question has no option {name!r}: {advice}")


def check_bot(bot: object) -> None:
    """Raise InvalidInput unless ``bot`` is None, or a Bot whose values a client can use."""
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
    """Raise InvalidInput for names of a bot that no site has."""
    for name, value in (("bot_id", bot_id), ("custom_id", custom_id)):
        if value is not None and not (isinstance(value, str) and len(value) <= LONGEST_ID and _is_text(value)):
            raise InvalidInput(f"{name} is a string of at most {LONGEST_ID} characters, not {shown(value)}")
    if context_id is not None and (type(context_id) is not int or not 0 <= context_id < LARGEST_POST):
        raise InvalidInput(f"context_id is the number of a post, a whole number from 0, not {shown(context_id)}")


def check_caller_headers(headers: object) -> None:
    """Raise InvalidInput, without any value, for headers that cannot be sent."""
    if headers is None:
        return
    for name in headers if isinstance(headers, Mapping) else ():
        if not isinstance(name, str):
            raise InvalidInput(f"headers is a dict of strings, and one name is {kind_of(name)}")
        # The whole header in the place of its name would show the value.
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
    raise InvalidInput(problem)  # here, so that no error with the value is its context


def check_cookies(cookies: object) -> None:
    """Raise InvalidInput, without any value, for cookies that cannot be sent."""
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
    """Raise InvalidInput, without name and password, unless ``auth`` is None or the pair of a login."""
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
    """Return a bearer token without the white space around it, such as the line end of the file that it was read from.

    Raises InvalidInput, without the token, for one that cannot be sent.
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
    """Raise InvalidInput unless ``retries`` is a number of times."""
    check_count("retries", retries, 0)


def check_proxy(proxy: object) -> None:
    """Raise InvalidInput, without the address, for a ``proxy`` that is not even a string."""
    if isinstance(proxy, Mapping):
        raise InvalidInput("proxy is one address such as 'http://127.0.0.1:3128', not requests' dict")
    if proxy is not None and not isinstance(proxy, str):
        raise InvalidInput(f"proxy is an address such as 'http://127.0.0.1:3128', not {kind_of(proxy)}")


def check_http(http: object, kind: type, name: str, proxy: object, verify: object) -> None:
    """Raise InvalidInput unless ``http`` is a ``kind``, and comes without the options that it has itself.

    ``name`` is the public name of ``kind``.
    """
    if not isinstance(http, kind):
        raise InvalidInput(f"http is a {name}, not a {type(http).__module__}.{type(http).__name__}")
    for option, value, usual in (("proxy", proxy, None), ("verify", verify, True)):
        if value is not usual:
            raise InvalidInput(f"{option}= does not go together with http=: set it on your {kind.__name__}")


def check_text(name: str, text: object) -> None:
    """Raise InvalidInput unless ``text`` is a string; ``name`` is what the caller calls it."""
    if not isinstance(text, str):
        raise InvalidInput(f"{name} is a string, not {kind_of(text)}")


def check_id(name: str, value: object) -> None:
    """Raise InvalidInput unless ``value`` can be an id of a site; ``name`` is what the caller calls it."""
    if not is_id(value):
        raise InvalidInput(f"{name} is a string that is not empty, as the site gave it, not {shown(value)}")


def check_count(name: str, value: object, least: int) -> None:
    """Raise InvalidInput unless ``value`` is a whole number from ``least``."""
    if type(value) is not int or value < least:
        raise InvalidInput(f"{name} is a whole number from {least}, not {shown(value)}")


def check_session(session: object) -> None:
    """Raise InvalidInput, without any value, unless ``session`` is a Session whose values can be sent."""
    if not isinstance(session, Session):
        raise InvalidInput(f"session is a Session, not {kind_of(session)}; for a known nonce use Session(nonce=...)")
    session.check()


def kind_of(value: object) -> str:
    """Return the kind of a value in a sentence: ``None``, ``bytes``, ``a dict``."""
    if value is None:
        return "None"
    name = type(value).__name__
    return name if name in ("bytes", "NoneType") else f"{'an' if name[0] in 'aeioAEIO' else 'a'} {name}"


def shown(value: object) -> str:
    """Return a value that is no secret, short enough for a message."""
    try:
        text = repr(value)
    except ValueError:  # an int with more digits than Python shows
        return kind_of(value)
    return text if len(text) <= 80 else f"{text[:80]}... ({kind_of(value)})"


def check_address(name: str, value: object) -> None:
    """Raise InvalidInput unless ``value`` is an address that a site can fetch; ``name`` is what the caller calls it."""
    check_text(name, value)
    if not str(value).lower().startswith(("http://", "https://", "data:")):
        raise InvalidInput(f"{name} is a web address that the site can fetch, not {shown(redacted(str(value)))}")


def _is_text(text: str) -> bool:
    """Return whether a string can be encoded: it holds no half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _shape(value: object) -> str:
    """Return what a sequence holds, without showing it."""
    if isinstance(value, tuple | list):
        return f"({', '.join('None' if item is None else type(item).__name__ for item in value[:4])})"
    return kind_of(value)


def _beginning(allowed: re.Pattern[str], name: str) -> str:
    match = allowed.match(name)
    return match[0][:40] if match else ""


def _odd(text: str, separators: str = "") -> str:
    """Return the kind of the first character that cannot be sent."""
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
