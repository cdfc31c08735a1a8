"""TLS: the trusted certificates, the contexts of the process, and messages for failures."""

from __future__ import annotations

import os
import ssl
import threading
from typing import NamedTuple

Verify = bool | str | os.PathLike[str] | ssl.SSLContext
"""The types that ``verify=`` accepts."""

# OpenSSL's reasons for bytes that are not TLS. The reason depends on the bytes and on the version of OpenSSL.
_NOT_TLS = {
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "HTTPS_PROXY_REQUEST",
    "UNKNOWN_PROTOCOL",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
    "BAD_RECORD_TYPE",
    "UNEXPECTED_MESSAGE",
    "UNSUPPORTED_PROTOCOL_VERSION",
}
_TRUST_IT = "pass verify= the path of the certificate of its authority, if you trust it"
_OTHER_HOST = "the certificate of {0} is for another host; check the address"
# OpenSSL's codes for the faults of a certificate (x509_vfy.h)
_CERTIFICATE_FAULTS = {
    9: "the certificate of {0} is not valid yet; check the clock of this computer",
    10: "the certificate of {0} has expired; its owner has to renew it (or check the clock of this computer)",
    18: f"the certificate of {{0}} is self-signed; {_TRUST_IT}",
    19: f"the certificate of {{0}} comes from an authority that is not trusted here; {_TRUST_IT}",
    20: f"the certificate of {{0}} comes from an unknown issuer, or the server leaves one out; {_TRUST_IT}",
    21: f"the certificate of {{0}} comes from an unknown issuer, or the server leaves one out; {_TRUST_IT}",
    23: "the certificate of {0} has been revoked",
    62: _OTHER_HOST,
    64: _OTHER_HOST,
}

_contexts: dict[_Trust, ssl.SSLContext] = {}
_building = threading.Lock()


def _renew_lock() -> None:
    global _building  # noqa: PLW0603  # a thread of the parent may have held the old lock, which stays locked here
    _building = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_lock)


class _Trust(NamedTuple):
    """One kind of trust: the certificates of a file and of directories, or no check of certificates."""

    is_checked: bool
    file: str = ""
    directory: str = ""
    source: str = ""  # the option or variable that named the path, for messages


def check_verify(verify: object) -> bool | str | ssl.SSLContext:
    """Return ``verify`` in the form that a client stores, with a path as str.

    Raises ValueError unless it is True, False, an existing file or directory of certificates, or an ssl.SSLContext.
    """
    if isinstance(verify, bool | ssl.SSLContext):
        return verify
    if isinstance(verify, str | os.PathLike):
        path = os.fspath(verify)
        if isinstance(path, str) and path and os.path.exists(path):
            return path
        raise ValueError(f"verify must be the path of a file or directory of certificates; {path!r} does not exist")
    raise ValueError(
        "verify must be True, False, the path of a file or directory of certificates, or an ssl.SSLContext, "
        f"not {verify!r}"
    )


def ready_context(verify: bool | str | ssl.SSLContext) -> ssl.SSLContext | None:
    """Return the TLS context for ``verify`` if it exists already, or None: the caller's own, or one built before.

    Raises ValueError as :func:`build_context` does.
    """
    return verify if isinstance(verify, ssl.SSLContext) else _contexts.get(_trust(verify))


def build_context(verify: bool | str | ssl.SSLContext) -> ssl.SSLContext:
    """Return the TLS context for ``verify``. It takes some 30 ms to build, so the process shares one for each trust.

    A context of the caller is returned unchanged. True trusts the certificates of the first of these that is set:
    SSL_CERT_FILE and SSL_CERT_DIR, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE. Without them it trusts those of certifi. Raises
    ValueError for a variable with a path that does not exist, and for a file without certificates.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    trust = _trust(verify)
    with _building:
        if trust not in _contexts:
            _contexts[trust] = _new_context(trust)
        return _contexts[trust]


def explain_tls_failure(error: OSError, authority: str) -> str:
    """Return the message for a failure of TLS with ``authority`` (host and port), with the way to react."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if fault := _CERTIFICATE_FAULTS.get(getattr(error, "verify_code", 0)):
            return fault.format(authority)
        return f"the certificate of {authority} was refused: {getattr(error, 'verify_message', '') or error}"
    if isinstance(error, ssl.SSLError) and getattr(error, "reason", "") in _NOT_TLS:  # Python's errors have no reason
        return not_tls(authority)
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return f"{authority} closed the connection during the TLS handshake; check that it uses https://"
    return f"TLS with {authority} failed: {error}" if str(error) else f"TLS with {authority} failed"


def not_tls(authority: str) -> str:
    """Return the message for a server whose bytes are not TLS."""
    return f"{authority} does not use TLS; try http:// in its address"


def _trust(verify: bool | str) -> _Trust:
    if verify is False:
        return _Trust(False)
    if verify is not True:
        return _from_path(verify, "verify")
    file, directory = _existing("SSL_CERT_FILE"), _existing("SSL_CERT_DIR")
    if file or directory:
        return _Trust(True, file, directory, "SSL_CERT_FILE" if file else "SSL_CERT_DIR")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := _existing(name):
            return _from_path(path, name)
    import certifi  # noqa: PLC0415  # plain HTTP does not need it

    return _Trust(True, certifi.where(), source="certifi")


def _from_path(path: str, source: str) -> _Trust:
    return _Trust(True, directory=path, source=source) if os.path.isdir(path) else _Trust(True, path, source=source)


def _existing(name: str) -> str:
    """Return the path in an environment variable, or ``""``. Raises ValueError if the path does not exist."""
    path = os.environ.get(name, "")
    paths = path.split(os.pathsep) if name == "SSL_CERT_DIR" else [path]  # OpenSSL accepts several directories
    if path and not any(map(os.path.exists, paths)):
        raise ValueError(f"the environment variable {name} names {path!r}, which does not exist")
    return path


def _new_context(trust: _Trust) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=trust.file or None, capath=trust.directory or None)
    except OSError as error:  # ssl.SSLError is a subclass
        raise ValueError(
            f"{trust.source} names {trust.file!r}, which holds no readable certificates: {error}"
        ) from None
    if not trust.is_checked:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
