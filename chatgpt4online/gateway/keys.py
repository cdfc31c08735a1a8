"""The check of the API key of a request."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import Scope

from .errors import Refusal


class Keys:
    """Knows the API keys of a gateway."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._digests = [_digest(key) for key in keys]

    def check(self, scope: Scope) -> str:
        """Return a name for the key of a request, which does not reveal it. Without keys it is ``""``.

        Raises Refusal with 401 for a key that is wrong or missing. Without keys, raises Refusal with 403 unless the
        request comes from this machine and names it as its host. So another machine gets no answer, which can send any
        host, and a web page with a name of its own for this machine gets none either.
        """
        headers = Headers(scope=scope)
        if not self._digests:
            client = scope.get("client")  # None for a socket of Unix
            if (client and not _is_loopback(client[0])) or not _is_loopback_host(headers.get("host", "")):
                why = "Without API keys, the gateway answers only its own machine, at 127.0.0.1. Set a key."
                raise Refusal(403, why, code="forbidden")
            return ""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        digest = _digest(key.strip() if scheme.lower() == "bearer" else "")
        # Each key is compared, and each comparison takes the same time, so that the time says nothing about the keys.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if not any(matches):
            # LiteLLM knows an error of the key by the first words, which are OpenAI's.
            raise Refusal(401, "Incorrect API key provided, or none at all.", code="invalid_api_key")
        return digest.hex()[:16]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="replace")).digest()


def _is_loopback_host(host: str) -> bool:
    """Return whether a ``Host`` header names this machine by an address, or as ``localhost``."""
    name = re.sub(r":\d*$", "", host) if not host.endswith("]") else host
    return _is_loopback(name.strip("[]")) or name.lower() == "localhost"


def _is_loopback(text: str) -> bool:
    """Return whether a text is an address of this machine. Sockets for IPv6 and IPv4 show ``::ffff:127.0.0.1``."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
