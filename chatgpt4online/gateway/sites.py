"""The sites behind a gateway, and their models."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .. import AsyncClient, Bot, ChatError, ClientOptions
from .admission import Admission
from .errors import Json, Refusal
from .options import GatewayOptions, SiteOptions
from .sessions import Sessions

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 10.0  # the time between two searches for a model that is not in the list


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
        shown: Json = {"id": self.id, "object": "model", "created": 0, "owned_by": self.site.owner}
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
        self.owner: str = options.name or urlsplit(options.url).hostname or ""
        self._seconds = limits.models_seconds
        self._models: dict[str, Model] = {}
        self._time = float("-inf")  # of the last list, also of one that failed
        self._lock = asyncio.Lock()

    @property
    def label(self) -> str:
        """The name of the site in the log and in the metrics."""
        return self.owner

    async def models(self, wanted: str = "") -> Mapping[str, Model]:
        """Return the models by their names. The list is read again if it is old, or if ``wanted`` is not in it.

        A list that cannot be read again is used further. Raises ChatError if there is none.
        """
        async with self._lock:
            age = time.monotonic() - self._time
            if age > self._seconds or (wanted and wanted not in self._models and age > _RETRY_SECONDS):
                try:
                    self._models = {model.id: model for model in await self._list()}
                except ChatError as error:
                    _log.warning("the models of %s cannot be listed: %s", self.label, error)
                    if not self._models:
                        raise
                self._time = time.monotonic()
        return self._models

    async def _list(self) -> list[Model]:
        options = self.options
        found = [Model(options.model(name), self, bot_id) for name, bot_id in options.bots.items()]
        for page in options.pages:
            found += [self._of_page(bot) for bot in await self.client.bots(page)]
        if found:
            return found
        if options.client.get("token") or options.client.get("auth"):
            bots = await self.client.api.bots()
            return [
                Model(options.model(str(bot["id"])), self, str(bot["id"]), str(bot.get("name") or ""))
                for bot in bots
                if bot.get("id")
            ]
        return [Model(options.model("default"), self, "default")]

    def _of_page(self, bot: Bot) -> Model:
        return Model(self.options.model(str(bot.custom_id or bot.bot_id)), self, bot, bot.name)


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
        """Return all models. A site whose models cannot be listed is left out, unless no site has any.

        Raises the ChatError of the first site in that case.
        """
        models: list[Json] = []
        failures: list[ChatError] = []
        for site in self:
            try:
                models += [model.to_dict() for model in (await site.models()).values()]
            except ChatError as error:
                failures.append(error)
        if failures and not models:
            raise failures[0]
        known = {model["id"]: model for model in models}
        return models + [{**known[target], "id": alias} for alias, target in self._aliases.items() if target in known]

    async def aclose(self) -> None:
        """Close the connections to all sites."""
        for site in self:
            await site.client.aclose()
