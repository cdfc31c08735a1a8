"""Chatgpt4Online, a provider class with the interface of the library g4f. It uses the clients of this package.

g4f need not be installed. If it is loaded, the errors that are raised here are also instances of g4f's classes. Source:
protocol section 6.
"""

from __future__ import annotations

import inspect
import random
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from .aio.client import AsyncClient
from .environment import DEFAULT_SITE
from .protocol.calls.deadline import Timeout
from .protocol.calls.prompt import Prompt
from .protocol.calls.roots import SUBMIT, moved_root
from .protocol.parsing.errors import (
    Blocked,
    ChatError,
    ConnectionFailed,
    NonceRefused,
    ProtocolError,
    ServerError,
    StatusError,
    TimedOut,
)
from .sync.client import Client

_USUAL_ENDPOINT = f"/wp-json{SUBMIT}"
_STATUSES = dict.fromkeys((402, 429, 504), "RateLimitError") | {400: "BadRequestError", 401: "MissingAuthError"}
_OPTIONS = ("bot_id", "custom_id", "context_id", "headers", "cookies", "verify", "max_retries")

# By site, the nonce and the REST root of the last question. All guests of a site share a nonce for hours (protocol
# section 4.1), so the next client can begin with it.
_known_sessions: dict[str, tuple[str, str]] = {}


class _ClassProperty:
    """An attribute that is computed for each class. Python 3.13 removed ``@classmethod`` with ``@property``."""

    def __init__(self, value: Callable[[Any], str]) -> None:
        self._value = value

    def __get__(self, instance: object, owner: type) -> Any:
        return self._value(owner)


class Chatgpt4Online:
    """The site https://chatgpt4online.org as a provider, for ``g4f.client.Client(provider=Chatgpt4Online)`` or alone.

    For another site, derive a class that sets ``url`` and ``bot_id``. Also set ``api_endpoint`` (a path below ``url``,
    or a web address) if the site's API is not at ``url/wp-json``. The argument ``model`` is accepted everywhere and
    ignored, since the site's owner chooses the model.

    The methods that ask accept these keywords too:

    - ``proxy``, ``bot_id``, ``custom_id``, ``context_id``, ``headers``, ``cookies`` and ``verify``, as :class:`Client`;
    - ``max_retries``, which is ``retries`` of :class:`Client`;
    - ``chat_id`` and ``flatten``, as :meth:`Client.events`;
    - ``timeout``, a number of seconds for each wait or a :class:`Timeout`;
    - ``stream_timeout``, a number of seconds for the wait for each piece of the answer.

    All other keywords, such as ``temperature`` or ``api_key``, are ignored, since no site accepts them. The methods
    raise InvalidInput for messages that cannot be sent, and the ChatError that ended an answer. An answer without text
    is a ServerError.
    """

    url: str = DEFAULT_SITE
    api_endpoint: str = _USUAL_ENDPOINT
    bot_id: str = "default"

    # g4f reads these attributes, and the names are its own.
    __name__: Any = _ClassProperty(lambda cls: cls.__name__)  # for instances, which have no __name__
    label: Any = _ClassProperty(lambda cls: cls.__name__)
    working: bool = True
    active_by_default: bool | None = None
    needs_auth: bool = False
    live: int = 0
    supports_stream: bool = True
    supports_message_history: bool = True
    supports_system_message: bool = True
    use_stream_timeout: bool = True
    default_model: str = "gpt-4"
    models: list[str] = ["gpt-4"]
    model_aliases: dict[str, str | list[str]] = {}
    image_models: list[str] = []
    vision_models: list[str] = []
    params: Any = _ClassProperty(lambda cls: cls.get_params())

    @classmethod
    async def get_nonce(cls, headers: Mapping[str, str] | None = None, proxy: str | None = None) -> str:
        """Return a new nonce of the site. Raises ConnectionFailed, ProtocolError or StatusError."""
        async with AsyncClient(cls._site(), headers=headers, proxy=proxy) as client:
            with cls._known_session(client, {"headers": headers}):
                client.session.nonce = ""  # the caller asks for a new nonce, not for the known one
                await client.start_session()
                return client.session.nonce

    @classmethod
    async def create_async_generator(
        cls, model: str, messages: Prompt, proxy: str | None = None, *, stream: bool = True, **kwargs: Any
    ) -> AsyncGenerator[str, None]:
        """Yield the answer to the last message in pieces, as they arrive. The earlier messages are the history.

        With ``stream=False`` yield the whole answer at its end: the reply of the site's last event. Close the generator
        to stop the answer.
        """
        async with AsyncClient(cls._site(), **_options(cls.bot_id, proxy, kwargs)) as client:
            with cls._known_session(client, kwargs):
                async with client.stream(_prompt(messages, kwargs), **_question(kwargs)) as pieces:
                    async for piece in pieces:
                        if stream and piece:
                            yield piece
                    whole = _checked_answer(pieces.reply.text or pieces.text)
                    if not stream:
                        yield whole

    @classmethod
    def create_completion(
        cls, model: str, messages: Prompt, stream: bool = True, *, proxy: str | None = None, **kwargs: Any
    ) -> Generator[str, None, None]:
        """Yield what :meth:`create_async_generator` yields, without an event loop."""
        with (
            Client(cls._site(), **_options(cls.bot_id, proxy, kwargs)) as client,
            cls._known_session(client, kwargs),
            client.stream(_prompt(messages, kwargs), **_question(kwargs)) as pieces,
        ):
            for piece in pieces:
                if stream and piece:
                    yield piece
            whole = _checked_answer(pieces.reply.text or pieces.text)
            if not stream:
                yield whole

    @classmethod
    async def create_async(cls, model: str, messages: Prompt, **kwargs: Any) -> str:
        """Return the whole answer: the reply of the site's last event.

        The keywords are those of :meth:`create_async_generator`.
        """
        kwargs["stream"] = False
        return "".join([piece async for piece in cls.create_async_generator(model, messages, **kwargs)])

    @classmethod
    def get_dict(cls) -> dict[str, str | None]:
        """Return the names of this provider: a dict with ``name``, ``url`` and ``label``."""
        return {"name": cls.__name__, "url": cls.url, "label": cls.label}

    @classmethod
    def get_parent(cls) -> str:
        """Return the name under which g4f stores API keys."""
        return str(getattr(cls, "parent", cls.__name__))

    @classmethod
    def get_models(cls, api_key: str | None = None, **kwargs: Any) -> list[str]:
        """Return a list of the names of models that g4f shows."""
        return cls.models or [cls.default_model]

    @classmethod
    def get_model(cls, model: str, **kwargs: Any) -> str:
        """Return the model for a name: the default for ``""`` and ``"auto"``, the model of an alias, or the name."""
        if not model or model == "auto":
            return cls.default_model
        alias = (cls.model_aliases or {}).get(model, model)
        return alias if isinstance(alias, str) else random.choice(alias)  # noqa: S311  # not for security

    @classmethod
    def get_parameters(cls, as_json: bool = False) -> dict[str, Any]:
        """Return the parameters that g4f shows: a dict of ``inspect.Parameter``, or with ``as_json`` an example."""
        if as_json:
            messages = [{"role": role, "content": ""} for role in ("system", "user")]
            model, stream = cls.default_model, cls.supports_stream
            return {"provider": cls.__name__, "model": model, "messages": messages, "stream": stream}
        parameters = inspect.signature(cls.create_async_generator).parameters
        return {name: parameters[name] for name in ("model", "messages", "stream")}

    @classmethod
    def get_params(cls) -> str:
        """Return the parameters as a text to show to users."""
        lines = "".join(f"\n    {parameter}," for parameter in cls.get_parameters().values())
        return f"g4f.Provider.{cls.__name__} supports: ({lines}\n)".replace("'", "")

    @classmethod
    def _root(cls) -> str:
        """Return the REST root in an ``api_endpoint`` that a derived class has set, or ``""``."""
        path = cls.api_endpoint
        endpoint = path if "://" in path else f"{cls.url.rstrip('/')}/{path.lstrip('/')}"
        return "" if path == _USUAL_ENDPOINT else moved_root(endpoint, SUBMIT) or ""

    @classmethod
    def _site(cls) -> str:
        return cls._root() or cls.url

    @classmethod
    @contextmanager
    def _known_session(cls, client: Client | AsyncClient, kwargs: Mapping[str, Any]) -> Iterator[None]:
        """Give a client the nonce and the REST root of the last client, and store its own at the end.

        A client that may be logged in shares neither. Inside the block, errors become instances of g4f's classes.
        """
        session, site = client.session, cls._site()
        session.root = cls._root()
        anonymous = not (kwargs.get("headers") or kwargs.get("cookies"))
        if anonymous and site in _known_sessions:
            session.nonce, session.root = _known_sessions[site]
        try:
            yield
        except ChatError as error:
            _known_sessions.pop(site, None)
            _make_one_of_g4f(error)
            raise
        if anonymous:
            _known_sessions[site] = session.nonce, session.root


def _options(bot_id: str, proxy: str | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a client for the keywords of a caller. None, and a timeout of 0, mean the default."""
    limits = Timeout.of(kwargs.get("timeout") or Timeout())
    if seconds := kwargs.get("stream_timeout"):
        limits = replace(limits, first_byte=seconds, idle=seconds)
    given = {name.removeprefix("max_"): kwargs[name] for name in _OPTIONS if kwargs.get(name) is not None}
    return {"bot_id": bot_id, "timeout": limits, "proxy": proxy or None} | given


def _question(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {"chat_id": kwargs.get("chat_id"), "flatten": bool(kwargs.get("flatten"))}


def _prompt(messages: Prompt, kwargs: Mapping[str, Any]) -> Prompt:
    """Return the messages with the role ``user`` for the last one.

    Any last message is the question, whatever its role, since the providers of g4f do so.
    """
    if kwargs.get("flatten") or isinstance(messages, str) or not isinstance(messages, Sequence) or not messages:
        return messages
    last = messages[-1]
    if not isinstance(last, Mapping) or not isinstance(last.get("role"), str) or not last["role"]:
        return messages
    return [*messages[:-1], {**last, "role": "user"}]


def _checked_answer(text: str) -> str:
    """Return the text of an answer. Raises ServerError if it is empty, since g4f tries another provider then."""
    if not text:
        raise ServerError("the site sent an empty answer", "its model may have failed, or only called a tool")
    return text


def _make_one_of_g4f(error: ChatError) -> None:
    """Make an error an instance of g4f's class for it too, if g4f is loaded."""
    base, kind = getattr(sys.modules.get("g4f.errors"), _name_in_g4f(error), None), type(error)
    if isinstance(base, type) and issubclass(base, Exception) and not isinstance(error, base):
        extra = {"__module__": kind.__module__, "__reduce__": lambda self: (kind, self.args, vars(self))}  # for pickle
        # The class is changed in place, since a new object would lose the traceback, the cause and the attributes.
        error.__class__ = type(kind.__name__, (kind, base), extra)


def _name_in_g4f(error: ChatError) -> str:
    """Return the name of g4f's class for an error, or ``""`` for a LocalError, which is the caller's mistake."""
    names = {
        TimedOut: "TimeoutError",
        ConnectionFailed: "ProviderNotWorkingError",
        NonceRefused: "MissingAuthError",
        StatusError: _STATUSES.get(getattr(error, "status", 0), "ResponseStatusError"),
        ServerError: "ResponseError",
        ProtocolError: "ResponseError",
    }
    if isinstance(error, Blocked):
        text = f"{error.headers.get('server', '')} {error.message}".lower()
        if "cf-mitigated" in error.headers or "cloudflare" in text or "just a moment" in text:
            return "CloudflareError"
    return next((name for kind, name in names.items() if isinstance(error, kind)), "")
