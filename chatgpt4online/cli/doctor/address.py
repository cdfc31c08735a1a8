"""The steps ``address`` and ``tls``: redirects, and the certificate."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ... import Blocked, RateLimited
from .fetch import Answer, Unreachable, next_hop, shown
from .findings import Finding, Skip
from .site import Site

if TYPE_CHECKING:
    from ...http1 import Pool

_DAY = 86_400.0
_SOON = 14 * _DAY  # a certificate for 90 days is usually renewed 30 days before its end


async def check_address(site: Site) -> Finding:
    """Find the final address of the page, and check the redirects to it."""
    try:
        answers = await site.visit()
    except Unreachable as error:
        if error.is_tls:
            return Finding("address", "unknown", "the TLS handshake failed, so no page arrived; see the step tls")
        advice = "Check the address, the DNS entry of the domain, and that the web server runs."
        return Finding("address", "problem", str(error), advice)
    return read_redirects(answers)


def read_redirects(answers: Sequence[Answer]) -> Finding:
    """Return the finding for the answers of a page: one for each redirect, and the page at the end."""
    last, hops = answers[-1], answers[:-1]
    way = " -> ".join([shown(answers[0].url), *(f"{hop.status} {shown(next_hop(hop))}" for hop in hops)])
    data = {"final": shown(last.url), "status": last.status, "redirects": [hop.status for hop in hops]}

    def finding(verdict: Any, seen: str, advice: str = "") -> Finding:
        return Finding("address", verdict, seen, advice, data=data)

    if next_hop(last):
        return finding("problem", f"{way}: the redirects do not end", _END_LOOP)
    if any(urlsplit(hop.url).scheme == "https" and next_hop(hop).startswith("http:") for hop in hops):
        return finding("problem", f"{way}: a redirect leads from https to http", _KEEP_HTTPS)
    if last.status >= 400 and isinstance(last.error, Blocked | RateLimited):
        return finding("unknown", f"{way}: HTTP {last.status}; another server answers in place of the page", _SEE_FRONT)
    if last.status >= 300:
        return finding("problem", f"{way}: HTTP {last.status}", _STATUSES.get(last.status, _OTHER_STATUS))
    if not hops:
        return finding("ok", f"{way} answers without a redirect")
    if len(hops) > 1:
        return finding("warning", f"{way}: {len(hops)} redirects", f"Redirect at once to {shown(last.url)}.")
    if hops[0].status in (302, 303, 307) and urlsplit(hops[0].url)[:2] != urlsplit(last.url)[:2]:
        return finding(
            "warning", f"{way}: the move is temporary", "Use the status 301 or 308, so that browsers keep it."
        )
    return finding("ok", way, f"Use {shown(last.url)} in programs: that saves a request.")


_END_LOOP = (
    "Look for two rules that contradict each other: the address in the settings of WordPress, the redirect to https of "
    "the web server, and that of the network in front (Cloudflare: SSL mode Full, not Flexible)."
)
_KEEP_HTTPS = "Write https:// into both addresses in the settings of WordPress (General)."
_SEE_FRONT = "See the step front."
_OTHER_STATUS = "Open the address in a browser, and look into the error log of the web server."
_STATUSES = {
    401: "The web server asks for a password. Visitors of the chat need it too: remove it, or exclude /wp-json/.",
    403: "The web server refuses this client. Look for rules about countries, addresses or user agents.",
    404: "There is no such page. Check the path.",
    500: "PHP has failed. The reason is in its error log.",
    503: "The site is in maintenance mode or overloaded. If it stays so, delete the file .maintenance of WordPress.",
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """The dates of a certificate, in seconds since 1970."""

    begin: float
    end: float


async def check_tls(site: Site) -> Finding:
    """Check the certificate of the final address."""
    try:
        url = (await site.visit())[-1].url
    except Unreachable as error:
        if error.is_tls:
            return Finding("tls", "problem", str(error), _advice(str(error)))
        raise Skip("the site was not reached") from None
    if urlsplit(url).scheme == "http":
        return read_plain(url)
    return read_certificate(await _certificate(site, url), time.time())


def read_plain(url: str) -> Finding:
    """Return the finding for a site without TLS. Loopback and names that only tests have need none."""
    host = urlsplit(url).hostname or ""
    if re.fullmatch(r"127(?:\.\d+){3}|::1|localhost|.*\.(?:test|localhost)", host):
        return Finding("tls", "ok", "a site on this machine needs no TLS")
    advice = "Get a certificate (most hosts have a button for Let's Encrypt), and redirect http to https by a 301."
    return Finding("tls", "warning", "the site uses http: everybody on the way can read and change the chat", advice)


def read_certificate(certificate: Certificate | None, now: float) -> Finding:
    """Return the finding for a certificate that was accepted, or None if it could not be read."""
    if certificate is None:
        return Finding("tls", "ok", "the certificate is valid")
    left, life = certificate.end - now, certificate.end - certificate.begin
    data = {"days": int(left / _DAY), "expires": certificate.end}
    seen = f"the certificate is valid, and expires in {int(left / _DAY)} days"
    if left < min(_SOON, life / 4):
        advice = "Check that its renewal runs: it is late. For certbot: certbot renew --dry-run"
        return Finding("tls", "warning", seen, advice, data=data)
    return Finding("tls", "ok", seen, data=data)


def _advice(reason: str) -> str:
    return next((advice for sign, advice in _TLS.items() if sign in reason), _TLS["protocol"])


_TLS = {
    "has expired": "Renew the certificate, and make the renewal automatic. For certbot: certbot renew",
    "another host": "Get a certificate with this name in it, also with www. if visitors use that.",
    "self-signed": "Replace the certificate by one of a public authority, such as Let's Encrypt.",
    "not trusted": "Replace the certificate by one of a public authority, such as Let's Encrypt.",
    "unknown issuer": "Configure the whole chain: for nginx, ssl_certificate is the file fullchain.pem, not cert.pem.",
    "protocol": "Check that the web server offers TLS 1.2 or 1.3 at this port, and has a certificate for this name.",
}


async def _certificate(site: Site, url: str) -> Certificate | None:
    """Return the certificate of a server. It is read by another handshake, with a context that keeps it."""
    from ...http1 import HttpError  # noqa: PLC0415  # --help loads no HTTP library

    seen: list[dict[str, Any]] = []
    pool = _keeping_pool(site.proxy, seen)
    try:
        response = await pool.send(
            "HEAD",
            url,
            site.fetcher.sent_headers(url, {}),
            connect=site.fetcher.timeout.connect,
            first_byte=site.fetcher.free_timeout.first_byte,
        )
        response.close()
    except HttpError:
        pass  # the first handshake was a success; other certificates may be trusted here
    finally:
        await pool.aclose()
    return _dates(seen[-1]) if seen else None


def _keeping_pool(proxy: str | None, seen: list[dict[str, Any]]) -> Pool:
    """Return a pool whose TLS context appends the certificate of each server to ``seen``."""
    import ssl  # noqa: PLC0415  # --help does not need it

    import certifi  # noqa: PLC0415  # as above

    from ...http1 import Pool  # noqa: PLC0415  # as above

    class Keeping(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            seen.append(dict(self.getpeercert() or {}))

    context = ssl.create_default_context()  # with the files of SSL_CERT_FILE and SSL_CERT_DIR
    for path in (certifi.where(), os.environ.get("REQUESTS_CA_BUNDLE"), os.environ.get("CURL_CA_BUNDLE")):
        if path and os.path.isfile(path):
            context.load_verify_locations(path)
    context.sslobject_class = Keeping
    return Pool(proxy=proxy, verify=context)


def _dates(certificate: dict[str, Any]) -> Certificate | None:
    import ssl  # noqa: PLC0415  # --help does not need it

    try:
        return Certificate(*(float(ssl.cert_time_to_seconds(certificate[name])) for name in ("notBefore", "notAfter")))
    except (KeyError, ValueError):
        return None
