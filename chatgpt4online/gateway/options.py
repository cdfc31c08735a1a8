"""The options of a gateway: its sites, its models, its keys and its limits."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from .. import InvalidInput, Submission, Timeout, Turn

if TYPE_CHECKING:
    from .. import ClientOptions

ENVIRONMENT_VARIABLE = "CHATGPT4ONLINE_GATEWAY"
_SITE_NAME = re.compile(r"[A-Za-z0-9._-]+")
LONGEST_MODEL = 200  # characters of the name of a model, which is a label of the metrics, and which clients list
_MODEL_NAME = re.compile(rf"[^\s\x00-\x1f\x7f]{{1,{LONGEST_MODEL}}}")
_API_KEY = re.compile(r"[!-~]+")
_SHORTEST_KEY = 16  # characters; a shorter key can be guessed
_ORIGIN = re.compile(r"https?://[^/?#\s]+|\*")
_COUNTS = {"max_body": 1, "max_messages": 1, "concurrency": 1, "queue_length": 0, "max_sessions": 1}
_SECONDS = ("queue_seconds", "heartbeat", "models_seconds")


def _no_options() -> ClientOptions:
    return {}


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """A site behind the gateway.

    ``url`` is its address. ``name`` is the beginning of the names of its models, as in ``shop/support``; only a single
    site may have none. ``bots`` is a dict of names of models and ids of bots. ``pages`` are paths of the site or web
    addresses; each chat widget there is a model, whose name is the id of its bot. Without ``bots`` and ``pages``, the
    models are the bots that the site's public API lists if ``client`` has a ``token`` or ``auth``, and otherwise one
    model ``default``. ``client`` is a dict of options of :class:`~chatgpt4online.AsyncClient`.

    Raises InvalidInput for a value that cannot be used.
    """

    url: str
    name: str = ""
    bots: Mapping[str, str] = field(default_factory=dict)
    pages: Sequence[str] = ()
    client: ClientOptions = field(default_factory=_no_options, repr=False)

    def __post_init__(self) -> None:
        Turn(self.url, Submission("Hello"))  # raises InvalidInput for an address that cannot be used
        if not isinstance(self.name, str) or (self.name and not _SITE_NAME.fullmatch(self.name)):
            raise InvalidInput(f"the name of a site has letters, digits, '.', '_' and '-', and is not {self.name!r}")
        _check_strings("pages", self.pages)
        _check_models("bots", self.bots)
        for bot_id in self.bots.values():
            Submission("Hello", bot_id=bot_id)  # raises InvalidInput for an id that no site accepts

    def model(self, bot: str) -> str:
        """Return the name of the model for the bot with this name."""
        return f"{self.name}/{bot}" if self.name else bot


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """The options of a gateway.

    ``sites`` is a list of :class:`SiteOptions`. ``models`` is a dict of further names of models, as in
    ``{"gpt-4o": "support"}``. ``api_keys`` are the keys that clients send; without one, only programs on the same
    machine are answered. ``cors_origins`` are the origins of web pages that may call the gateway, as in
    ``["https://example.org"]``, or ``["*"]``, which needs a key.

    All limits are those of one process. ``max_body`` is the largest body of a request, in bytes. ``max_messages`` is
    the largest number of messages in it. ``concurrency`` is the number of answers that each site is asked for at once.
    ``queue_length`` is the number of requests that wait for that, and ``queue_seconds`` is their longest wait.
    ``max_sessions`` is the number of API users whose session at each site is kept. ``heartbeat`` is the number of
    seconds after which a stream without news sends a comment. ``models_seconds`` is the time for which the list of a
    site's bots is kept.

    Raises InvalidInput for a value that cannot be used.
    """

    sites: Sequence[SiteOptions]
    models: Mapping[str, str] = field(default_factory=dict)
    api_keys: Sequence[str] = field(default=(), repr=False)
    cors_origins: Sequence[str] = ()
    max_body: int = 32 * 1024 * 1024  # a picture of 24 MB in base64, which is more than AI Engine's services accept
    max_messages: int = 1000
    concurrency: int = 100
    queue_length: int = 100
    queue_seconds: float = 30.0  # a person waits for less, and OpenAI's clients for 600 s
    max_sessions: int = 1000  # each takes about 2 KB
    heartbeat: float = 15.0  # proxies close a connection after 30 s or more without a byte
    models_seconds: float = 300.0

    def __post_init__(self) -> None:
        self._check_sites()
        _check_models("models", self.models)
        _check_strings("api_keys", self.api_keys)
        _check_strings("cors_origins", self.cors_origins)
        for number, key in enumerate(self.api_keys, 1):  # no message shows a key
            if not _API_KEY.fullmatch(key):
                raise InvalidInput(f"API key {number} has a character that is not printable ASCII, or a space")
            if len(key) < _SHORTEST_KEY:
                raise InvalidInput(f"API key {number} has fewer than {_SHORTEST_KEY} characters, so it can be guessed")
        for origin in self.cors_origins:
            if not _ORIGIN.fullmatch(origin):
                raise InvalidInput(f"an origin is written as 'https://example.org', without a path, not {origin!r}")
        if "*" in self.cors_origins and not self.api_keys:
            raise InvalidInput("the origin '*' needs an API key: without one, each web page that is open could use it")
        for name, least in _COUNTS.items():
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise InvalidInput(f"{name} is a whole number from {least}, not {value!r}")
        for name in _SECONDS:
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
                raise InvalidInput(f"{name} is a number of seconds above 0, not {value!r}")

    def _check_sites(self) -> None:
        if not all(isinstance(site, SiteOptions) for site in self.sites):
            raise InvalidInput("sites is a list of SiteOptions")
        names = [site.name for site in self.sites]
        if not names:
            raise InvalidInput("a gateway needs a site: sites=[SiteOptions('https://example.org')]")
        if len(names) > 1 and not all(names):
            raise InvalidInput("several sites need a name each, with which the names of their models begin")
        if len(set(names)) < len(names):
            raise InvalidInput(f"two sites have the same name: {', '.join(names)}")

    def to_json(self) -> str:
        """Return the options as a JSON object, secrets included, which :meth:`from_json` reads.

        Raises InvalidInput if ``client`` of a site has an option that JSON cannot hold, such as an SSLContext.
        """
        try:
            return json.dumps(asdict(self))
        except TypeError as error:
            raise InvalidInput(f"an option of a client cannot be passed to other processes: {error}") from None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the options in a JSON object, whose names are those of the fields of both classes.

        In ``client``, ``timeout`` is a number of seconds, or an object with the fields of
        :class:`~chatgpt4online.Timeout`. Raises InvalidInput for any other text, without showing it.
        """
        try:
            values = json.loads(text)
            sites = [SiteOptions(**_read_site(site)) for site in values["sites"]]
            return cls(**{**values, "sites": sites})
        except InvalidInput:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            problem = f"{type(error).__name__}: {error}"
        raise InvalidInput(f"the options of a gateway are a JSON object, and this one cannot be read ({problem})")


def _read_site(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of SiteOptions from a JSON object."""
    client = dict(values.get("client", {}))
    if isinstance(client.get("timeout"), dict):
        client["timeout"] = Timeout(**client["timeout"])
    return {**values, "client": client}


def _check_strings(name: str, values: Any) -> None:
    """Raise InvalidInput unless ``values`` is a list of non-empty strings, without showing one."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InvalidInput(f"{name} is a list of strings")
    if not all(isinstance(value, str) and value for value in values):
        raise InvalidInput(f"{name} is a list of strings that are not empty")


def _check_models(name: str, values: Any) -> None:
    """Raise InvalidInput unless ``values`` is a dict of names of models."""
    if not isinstance(values, Mapping):
        raise InvalidInput(f"{name} is a dict of strings")
    for model, target in values.items():
        for text in (model, target):
            if not isinstance(text, str) or not _MODEL_NAME.fullmatch(text):
                raise InvalidInput(f"{name} has a name that is empty, too long or has a space: {str(text)[:80]!r}")
