"""The table: all situations, and the known differences from the peers."""

from __future__ import annotations

from .answers import events, refusals
from .situation import Situation
from .ways import connections, cookies, hosts, proxies, redirects, times, tls
from .wire import encodings, framings, heads

SITUATIONS: list[Situation] = [
    *heads(),
    *framings(),
    *encodings(),
    *events(),
    *refusals(),
    *redirects(),
    *hosts(),
    *tls(),
    *proxies(),
    *cookies(),
    *connections(),
    *times(),
]

_BOTH = ("Client", "AsyncClient")
_REASONS = {
    ("framings", "chunk sizes end in LF"): (
        "RFC 9112, section 7.1, demands CRLF; httpx and aiohttp refuse LF too, since it helps to smuggle responses"
    ),
    ("framings", "the lines of chunks end in LF"): "as chunk sizes that end in LF",
    ("framings", "chunked in two headers, applied once"): (
        "RFC 9112, section 6.1, forbids it; the server may have applied chunked twice, so it is an error"
    ),
    ("framings", "chunked twice in a list, applied once"): "as chunked in two headers",
    (
        "framings",
        "an empty length",
    ): "the length of a body is never guessed: a Content-Length that is not a number is an error",
    ("events", "an event on several data lines"): (
        "the plugin writes each event on one line (protocol section 2.1); another line is Notice('malformed')"
    ),
    ("hosts", "a name and a password in the address"): (
        "errors show the address, so it holds no password; InvalidInput names auth="
    ),
}
# (group, name, driver): the reason why one of ours intentionally does not handle the situation
KNOWN: dict[tuple[str, str, str], str] = {(*row, name): reason for row, reason in _REASONS.items() for name in _BOTH}
