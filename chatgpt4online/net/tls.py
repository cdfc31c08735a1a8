"""TLS: the trusted certificates, the contexts that the process shares, and the messages for failures."""

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
_HOW_TO_TRUST = "pass verify= the path of the certificate of its authority, if you trust it"
_UNKNOWN_ISSUER = (
    "the certificate of {0} comes from an unknown issuer, or the server leaves out the certificate of the issuer; "
    + _HOW_TO_TRUST
)
_WRONG_HOST = "the certificate of {0} is for another host; check the address"
# OpenSSL's codes for the faults of a certificate (x509_vfy.h)
_CERTIFICATE_FAULTS = {
    9: "the certificate of {0} is not valid yet; check the clock of this computer",
    10: "the certificate of {0} has expired; its owner has to renew it (or check the clock of this computer)",
    18: f"the certificate of {{0}} is self-signed; {_HOW_TO_TRUST}",
    19: f"the certificate of {{0}} comes from an authority that is not trusted here; {_HOW_TO_TRUST}",
    20: _UNKNOWN_ISSUER,
    21: _UNKNOWN_ISSUER,
    23: "the certificate of {0} has been revoked",
    62: _WRONG_HOST,
    64: _WRONG_HOST,
}

_contexts: dict[_TrustKey, ssl.SSLContext] = {}
_build_lock = threading.Lock()


def _renew_lock() -> None:
    global _build_lock  # noqa: PLW0603  # a thread of the parent may have held the old lock, which stays locked here
    _build_lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_lock)


class _TrustKey(NamedTuple):
    """The key of a shared context: the paths of its trusted certificates, or that it checks none."""

    checks_certificates: bool
    file: str = ""
    directory: str = ""
    source: str = ""  # the option or variable that names the path, for messages


def check_verify(verify: object) -> bool | str | ssl.SSLContext:
    """Return ``verify`` unchanged, but a path as str.

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
    """Return the TLS context for ``verify``, or None if it is not built yet. A caller's context is returned unchanged.

    Raises ValueError as :func:`build_context` does.
    """
    return verify if isinstance(verify, ssl.SSLContext) else _contexts.get(_trust(verify))


def build_context(verify: bool | str | ssl.SSLContext) -> ssl.SSLContext:
    """Return the TLS context for ``verify``. The process shares the contexts, since each takes about 30 ms to build.

    A context of the caller is returned unchanged. True trusts the certificates of the first of these that is set:
    SSL_CERT_FILE and SSL_CERT_DIR, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE. Without them it trusts those of certifi. Raises
    ValueError for a variable with a path that does not exist, and for a file without certificates.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    trust = _trust(verify)
    with _build_lock:
        if trust not in _contexts:
            _contexts[trust] = _new_context(trust)
        return _contexts[trust]


def explain_tls_failure(error: OSError, host_port: str) -> str:
    """Return the message for a failure of TLS with the server ``host_port``, and what the caller can do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if fault := _CERTIFICATE_FAULTS.get(getattr(error, "verify_code", 0)):
            return fault.format(host_port)
        return f"the certificate of {host_port} was refused: {getattr(error, 'verify_message', '') or error}"
    # An error that Python raises itself has no reason.
    if isinstance(error, ssl.SSLError) and getattr(error, "reason", "") in _NOT_TLS:
        return not_tls(host_port)
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return f"{host_port} closed the connection during the TLS handshake; check that it uses https://"
    return f"TLS with {host_port} failed: {error}" if str(error) else f"TLS with {host_port} failed"


def not_tls(host_port: str) -> str:
    """Return the message for a server whose bytes are not TLS."""
    return f"{host_port} does not use TLS; try http:// in its address"


def _trust(verify: bool | str) -> _TrustKey:
    if verify is False:
        return _TrustKey(False)
    if verify is not True:
        return _from_path(verify, "verify")
    file, directory = _existing_path("SSL_CERT_FILE"), _existing_path("SSL_CERT_DIR")
    if file or directory:
        return _TrustKey(True, file, directory, "SSL_CERT_FILE" if file else "SSL_CERT_DIR")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := _existing_path(name):
            return _from_path(path, name)
    import certifi  # noqa: PLC0415  # plain HTTP does not need it

    return _TrustKey(True, certifi.where(), source="certifi")


def _from_path(path: str, source: str) -> _TrustKey:
    if os.path.isdir(path):
        return _TrustKey(True, directory=path, source=source)
    return _TrustKey(True, path, source=source)


def _existing_path(name: str) -> str:
    """Return the path in an environment variable, or ``""``. Raises ValueError if the path does not exist."""
    path = os.environ.get(name, "")
    paths = path.split(os.pathsep) if name == "SSL_CERT_DIR" else [path]  # OpenSSL accepts several directories
    if path and not any(map(os.path.exists, paths)):
        raise ValueError(f"the environment variable {name} names {path!r}, which does not exist")
    return path


def _new_context(trust: _TrustKey) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=trust.file or None, capath=trust.directory or None)
    except OSError as error:  # ssl.SSLError is a subclass
        path = trust.file or trust.directory
        raise ValueError(f"{trust.source} names {path!r}, which holds no readable certificates: {error}") from None
    if not trust.checks_certificates:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
