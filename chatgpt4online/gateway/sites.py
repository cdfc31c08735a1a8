"""The sites behind a gateway, and their models."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .. import AsyncClient, Bot, ChatError, ClientOptions
from .admission import Admission
from .errors import Json, Refusal, loggable, too_slow
from .options import LONGEST_MODEL, GatewayOptions, SiteOptions
from .sessions import Sessions

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 10.0  # the time between two searches for a model that is not in the list
_LIST_SECONDS = 5.0  # the time for which one site delays the list of all; programs wait about 10 s for a list


@dataclass(frozen=True)
class Model:
    """A model of the gateway: a bot of a site. ``title`` is the name that users of the site see, or ``""``."""

    id: str
    site: Site
    bot: Bot | str = field(repr=False)
    title: str = ""

    @property
    def max_pictures(self) -> int | None:
        """The largest number of pictures with one question, or None if it is not known."""
        return None if isinstance(self.bot, str) else self.bot.max_uploads

    def client_for(self, client: AsyncClient) -> AsyncClient:
        """Return a client that asks this bot, in the session of another client."""
        return client.with_options(bot_id=self.bot) if isinstance(self.bot, str) else client.with_options(bot=self.bot)

    def to_dict(self) -> Json:
        """Return the model in the form of ``GET /v1/models``. The time of its creation is not known."""
        shown: Json = {"id": self.id, "object": "model", "created": 0, "owned_by": self.site.label}
        return shown | {"name": self.title} if self.title else shown


class Site:
    """A site: its client, its models, the sessions of the API users, and the limit on answers at once."""

    def __init__(self, options: SiteOptions, limits: GatewayOptions) -> None:
        self.options: SiteOptions = options
        client: ClientOptions = {"retries": 0}  # OpenAI's clients repeat a refused request by themselves
        client.update(options.client)
        self.client: AsyncClient = AsyncClient(options.url, **client)
        self.admission: Admission = Admission(limits.concurrency, limits.queue_length, limits.queue_seconds)
        self.sessions: Sessions = Sessions(self.client, limits.max_sessions)
        self.label: str = options.name or urlsplit(options.url).hostname or ""  # in lists, in metrics and in the log
        self._seconds = limits.models_seconds
        self._models: dict[str, Model] = {}
        self._time = float("-inf")  # of the last list, also of one that failed
        self._reading: asyncio.Task[None] | None = None

    async def models(self, wanted: str = "") -> Mapping[str, Model]:
        """Return the models by their names. The list is read again if it is old, or if ``wanted`` is not in it.

        All requests wait for the same reading, which goes on if they leave. A request for a model of the last list does
        not wait. A list that cannot be read again is used further. Raises ChatError if there is none.
        """
        age = time.monotonic() - self._time
        is_known = wanted in self._models
        if self._reading is None and (age > self._seconds or (wanted and not is_known and age > _RETRY_SECONDS)):
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(_retrieve)
        if self._reading is not None and not is_known:
            await asyncio.shield(self._reading)
        return self._models

    async def aclose(self) -> None:
        """Close the connections to the site."""
        await self.client.aclose()
        if self._reading is not None:
            await asyncio.wait({self._reading})

    async def _read(self) -> None:
        try:
            self._models = {model.id: model for model in await self._list()}
        except ChatError as error:
            _log.warning("the models of %s cannot be listed: %s", self.label, loggable(error))
            if not self._models:
                raise
        finally:
            self._reading = None
        self._time = time.monotonic()

    async def _list(self) -> list[Model]:
        options = self.options
        found = [Model(options.model(name), self, bot_id) for name, bot_id in options.bots.items()]
        for page in options.pages:
            widgets = [self._of_page(bot) for bot in await self.client.bots(page)]
            found += [model for model in widgets if _is_name(model.id)]
        if found:
            return found
        if options.client.get("token") or options.client.get("auth"):
            return self._known(await self.client.api.bots())
        return [Model(options.model("default"), self, "default")]

    def _of_page(self, bot: Bot) -> Model:
        return Model(self.options.model(str(bot.custom_id or bot.bot_id)), self, bot, _title(bot.name))

    def _known(self, bots: Iterable[Any]) -> list[Model]:
        """Return the models of a list of the public API, without the bots whose id cannot be the name of a model."""
        found = [bot for bot in bots if isinstance(bot, Mapping) and isinstance(bot.get("id"), str | int)]
        names = [(str(bot["id"]), _title(bot.get("name"))) for bot in found if bot["id"]]
        models = [Model(self.options.model(name), self, name, title) for name, title in names]
        return [model for model in models if _is_name(model.id)]


def _is_name(text: str) -> bool:
    """Return whether a text of the site can be the name of a model: lists, metrics and the log show it."""
    return text.isprintable() and len(text) <= LONGEST_MODEL


def _title(text: object) -> str:
    """Return a text of the site as the title of a model, or ``""`` if it is none."""
    shown = str(text or "")
    return shown if _is_name(shown) else ""


def _retrieve(reading: asyncio.Task[None]) -> None:
    """Read the error of a task, since asyncio reports an error that no request reads."""
    if not reading.cancelled():
        reading.exception()


class Sites:
    """All sites of a gateway."""

    def __init__(self, options: GatewayOptions) -> None:
        self._aliases = options.models
        self._sites = {site.name: Site(site, options) for site in options.sites}

    def __iter__(self) -> Iterator[Site]:
        return iter(self._sites.values())

    async def find(self, name: str) -> Model:
        """Return the model with a name. Raises Refusal with 404 if there is none, and ChatError if it is not known."""
        wanted = self._aliases.get(name, name)
        site = self._sites.get("") or self._sites.get(wanted.partition("/")[0])
        model = None if site is None else (await site.models(wanted)).get(wanted)
        if model is None:
            shown = repr(name[:200]) + (f", which is another name of {wanted!r}," if wanted != name else "")
            raise Refusal(
                404,
                f"The model {shown} does not exist. GET /v1/models lists the models.",
                code="model_not_found",
                param="model",
            )
        return model

    async def list(self) -> list[Json]:
        """Return all models. A site whose models cannot be listed in time is left out, unless no site has any.

        Raises the error of the first site in that case: ChatError, or Refusal with 504.
        """
        seconds = _LIST_SECONDS if len(self._sites) > 1 else None
        found = await asyncio.gather(*(self._models_of(site, seconds) for site in self), return_exceptions=True)
        models: list[Json] = []
        failures: list[BaseException] = []
        for result in found:
            if isinstance(result, BaseException):
                failures.append(result)
            else:
                models += [model.to_dict() for model in result.values()]
        if failures and not models:
            raise failures[0]
        known = {model["id"]: model for model in models}
        return models + [{**known[target], "id": alias} for alias, target in self._aliases.items() if target in known]

    async def _models_of(self, site: Site, seconds: float | None) -> Mapping[str, Model]:
        """Return the models of a site. Raises ChatError, or Refusal if they cannot be listed in time."""
        try:
            async with asyncio.timeout(seconds):
                return await site.models()
        except TimeoutError:
            _log.warning("the models of %s are not listed within %g s", site.label, _LIST_SECONDS)
            raise too_slow("The site takes too long to list its bots.") from None

    async def aclose(self) -> None:
        """Close the connections to all sites."""
        for site in self:
            await site.aclose()
