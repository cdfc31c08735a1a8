"""The check of the API key of a request."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from .errors import Refusal


class Keys:
    """Knows the API keys of a gateway."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._digests = [_digest(key) for key in keys]

    def check(self, headers: Mapping[str, str]) -> str:
        """Return a name for the key of a request, which does not reveal it. Without keys it is ``""``.

        Raises Refusal with 401 for a key that is wrong or missing. Without keys, raises Refusal with 403 unless the
        request names this machine as its host: so another host, or a web page with a name of its own for this machine,
        gets no answer.
        """
        if not self._digests:
            if not _is_loopback(headers.get("host", "")):
                why = "Without API keys, the gateway answers only requests to 127.0.0.1 and localhost. Set one."
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


def _is_loopback(host: str) -> bool:
    """Return whether a ``Host`` header names this machine by an address, or as ``localhost``."""
    name = re.sub(r":\d*$", "", host) if not host.endswith("]") else host
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name.lower() == "localhost"
