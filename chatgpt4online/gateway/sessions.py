"""The sessions of the API users at one site."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict

from .. import AsyncClient, ChatError

_NONCE_SECONDS = 6 * 3600.0  # WordPress accepts a nonce for 12 to 24 hours


class Sessions:
    """Keeps one client for each API user, which shares the connections of ``client`` and has a session of its own.

    Each is another visitor to the site. The clients of the users that were away for longest are discarded, so that at
    most ``limit`` are kept. A discarded client ends the answers that it has begun, and the next request of its user
    makes a new one.
    """

    def __init__(self, client: AsyncClient, limit: int) -> None:
        self._client = client
        self._limit = limit
        self._clients: OrderedDict[str, AsyncClient] = OrderedDict()
        self._nonce_time = float("-inf")
        self._search: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._clients)

    async def client_of(self, user: str) -> AsyncClient:
        """Return the client of an API user. ``user`` is any string. Raises ChatError if the site refuses a nonce."""
        user = hashlib.sha256(user.encode(errors="surrogatepass")).hexdigest()  # a client may send a long one
        if user not in self._clients:
            await self._refresh_nonce()
        if user not in self._clients:  # another request of the same user may have added it meanwhile
            self._clients[user] = self._client.with_options(new_session=True)
        self._clients.move_to_end(user)
        while len(self._clients) > self._limit:
            self._clients.popitem(last=False)
        return self._clients[user]

    async def _refresh_nonce(self) -> None:
        """Fetch a nonce that the clients of new users can copy, so that they need not fetch one each.

        One request fetches it for all that need one at the same time. They get its error too. If its client leaves,
        another request fetches it.
        """
        while not self._client.session.nonce or time.monotonic() - self._nonce_time > _NONCE_SECONDS:
            if self._search is None:
                await self._fetch_nonce()
            else:
                await asyncio.shield(self._search)

    async def _fetch_nonce(self) -> None:
        self._search = search = asyncio.get_running_loop().create_future()
        try:
            await self._client.start_session()
            self._nonce_time = time.monotonic()
        except ChatError as error:
            search.set_exception(error)
            search.exception()  # asyncio would report an error that no other request reads
            raise
        finally:
            self._search = None
            if not search.done():
                search.set_result(None)
