"""The TLS contexts of the process, one for each kind of trust."""

from __future__ import annotations

import os
import ssl
import threading
from contextlib import suppress

_contexts: dict[bool | str, ssl.SSLContext] = {}
_building = threading.Lock()


def trust(verify: bool | str) -> bool | str:
    """Return what ``verify`` comes to: True is the bundle that requests' variables name, if there is one."""
    if verify is True:
        return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    return verify


def ready_context(verify: bool | str) -> ssl.SSLContext | None:
    """Return the process's TLS context for ``verify``, if it was built before."""
    return _contexts.get(trust(verify))


def build_context(verify: bool | str) -> ssl.SSLContext:
    """Return the process's TLS context for ``verify``, which takes some 30 ms to build the first time."""
    verify = trust(verify)
    with _building:
        if verify not in _contexts:
            _contexts[verify] = _new_context(verify)
        return _contexts[verify]


def _new_context(verify: bool | str) -> ssl.SSLContext:
    if isinstance(verify, str):
        is_directory = os.path.isdir(verify)
        context = ssl.create_default_context(
            capath=verify if is_directory else None, cafile=None if is_directory else verify
        )
    else:
        context = ssl.create_default_context()
    if verify is True and not context.cert_store_stats()["x509_ca"]:
        with suppress(ImportError):  # Python has no certificates of its own on some systems; requests brings these
            import certifi  # noqa: PLC0415  # it is needed here only

            context.load_verify_locations(certifi.where())
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
