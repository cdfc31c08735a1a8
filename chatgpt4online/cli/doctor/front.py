"""The steps ``front`` and ``warnings``: servers between the site and its visitors, and texts around its answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ... import Blocked, RateLimited, StatusError
from .fetch import README, Answer, shown
from .findings import Finding, Skip
from .site import Site


class _Sign(NamedTuple):
    """One way to recognise a product: a header, and a text that its value contains (``""`` for any value)."""

    product: str
    header: str
    text: str = ""


_SIGNS = (
    _Sign("Cloudflare", "cf-ray"),
    _Sign("Cloudflare", "server", "cloudflare"),
    _Sign("LiteSpeed", "server", "litespeed"),
    _Sign("LiteSpeed", "x-litespeed-cache"),
    _Sign("LiteSpeed", "x-turbo-charged-by", "litespeed"),
    _Sign("Varnish", "x-varnish"),
    _Sign("Varnish", "via", "varnish"),
    _Sign("Fastly", "x-served-by", "cache-"),
    _Sign("Amazon CloudFront", "via", "cloudfront"),
    _Sign("Sucuri", "x-sucuri-id"),
    _Sign("Akamai", "server", "akamai"),
    _Sign("nginx", "server", "nginx"),
    _Sign("nginx", "server", "openresty"),
    _Sign("Apache", "server", "apache"),
    _Sign("Caddy", "server", "caddy"),
    _Sign("Microsoft IIS", "server", "microsoft-iis"),
    _Sign("PHP", "x-powered-by", "php"),
    _Sign("WP Engine", "x-powered-by", "wp engine"),
    _Sign("W3 Total Cache", "x-powered-by", "w3 total cache"),
    _Sign("SiteGround Optimizer", "x-cache-enabled"),
    _Sign("WP Super Cache", "wp-super-cache"),
    _Sign("Kinsta", "x-kinsta-cache"),
)

# Headers by which caches say that an answer was stored, and the values that say so.
_CACHES = {
    "cf-cache-status": r"hit|stale|updating|revalidated",
    "x-cache": r"hit",
    "x-cache-status": r"hit|stale|updating",
    "x-litespeed-cache": r"hit",
    "x-proxy-cache": r"hit",
    "x-nginx-cache": r"hit",
    "x-kinsta-cache": r"hit",
    "x-srcache-fetch-status": r"hit",
    "x-sucuri-cache": r"hit",
    "x-varnish": r"\d+ \d+",  # the second number is the request that stored it
    "age": r"[1-9]\d*",
}


def products(headers: Mapping[str, str]) -> list[str]:
    """Return the products that these headers name, the one that is nearest to the visitor first."""
    present = [sign for sign in _SIGNS if sign.header in headers]
    found = [sign.product for sign in present if sign.text in headers[sign.header].lower()]
    return list(dict.fromkeys(found))


def cache_sign(headers: Mapping[str, str]) -> str:
    """Return the header that says that an answer came from a cache, or ``""``."""
    for name, pattern in _CACHES.items():
        if name in headers and re.search(rf"(?<![a-z])(?:{pattern})(?![a-z])", headers[name].lower()):
            return f"{name}: {headers[name]}"
    return ""


async def check_front(site: Site) -> Finding:
    """Name the servers that the answers have passed through, and find the ones that answer in place of the site."""
    answers = [answer for answer in site.fetcher.answers if not answer.url.endswith(README)]
    if not answers:
        raise Skip("no answer arrived")
    return read_front(answers)


def read_front(answers: Sequence[Answer]) -> Finding:
    """Return the finding for the servers in front, by all answers."""
    found = list(dict.fromkeys(name for answer in answers for name in products(answer.headers)))
    names = ", ".join(found) or "no server names itself"
    data = {"products": found, "servers": sorted({answer.headers.get("server", "") for answer in answers} - {""})}
    for answer in answers:
        error = answer.error if answer.status >= 400 or "html" in answer.headers.get("content-type", "") else None
        if isinstance(error, Blocked):
            seen = f"a bot check or firewall answers {shown(answer.url)} with HTTP {answer.status} ({names})"
            return Finding("front", "problem", seen, f"{error.advice}. {_ALLOW}", data=data)
        if isinstance(error, RateLimited):
            wait = "" if error.retry_after is None else f", for {error.retry_after:g} s"
            seen = f"a limit on requests refuses {shown(answer.url)} with HTTP {answer.status}{wait} ({names})"
            return Finding("front", "problem", seen, _RATE, data=data)
        if isinstance(error, StatusError) and answer.status == 503:
            seen = f"{shown(answer.url)} answers HTTP 503 ({names})"
            return Finding("front", "problem", seen, "The site is in maintenance mode or overloaded.", data=data)
    return Finding("front", "ok", names, data=data)


_ALLOW = (
    "Visitors' browsers may get the same answer for the chat. Add a rule that skips bot checks for /wp-json/mwai/v1/ "
    "and /wp-json/mwai-ui/v1/ (Cloudflare: Security, WAF, a custom rule with the action Skip)."
)
_RATE = (
    "Raise the limit for /wp-json/mwai-ui/v1/: each question is one request, and visitors behind one address share it."
)


async def check_warnings(site: Site) -> Finding:
    """Look for texts that PHP or a plugin printed into the answers of the REST API."""
    answers = [answer for answer in site.fetcher.answers if answer.json or answer.is_stream]
    if not answers:
        raise Skip("no answer of the REST API arrived")
    return read_warnings(answers)


def read_warnings(answers: Iterable[Answer]) -> Finding:
    """Return the finding for the texts around the JSON, and between the events, of these answers."""
    seen = [(answer, noise) for answer in answers if (noise := answer.noise)]
    if not seen:
        return Finding("warnings", "ok", "no text is printed into the answers of the REST API")
    seen.sort(key=lambda pair: pair[0].is_stream)
    answer, noise = seen[0]
    words = " ".join(re.sub(r"<!--|-->|<[^>]*>", " ", noise).split())[:_LONGEST]
    if re.search(r"\b(Warning|Notice|Deprecated|Fatal error|Parse error)\b", noise):
        what, advice = "PHP prints warnings", _HIDE
    else:
        what, advice = "a plugin or theme prints text", _EXCLUDE
    text, data = f'{what} into the answer of {shown(answer.url)}: "{words}"', {"answers": len(seen)}
    if answer.is_stream:  # the chat window skips lines that are not events
        return Finding("warnings", "warning", text, advice, data=data)
    return Finding("warnings", "problem", text, f"{advice} The chat window cannot read such answers.", data=data)


_LONGEST = 160  # characters of a text that are shown
_HIDE = (
    "Mend the cause in the named file. Until then, hide warnings: write define( 'WP_DEBUG_DISPLAY', false ); into "
    "wp-config.php."
)
_EXCLUDE = "Exclude /wp-json/ from the plugin that writes this text (a cache, an optimiser)."
