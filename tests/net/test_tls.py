"""Trust: the values of verify=, the default certificates, and the messages for failures."""

from __future__ import annotations

import contextlib
import datetime
import os
import ssl
from pathlib import Path

import certifi
import pytest
import trustme

from chatgpt4online.net import tls

VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tls, "_contexts", {})


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the paths of files with one authority each, and of one file without a certificate."""
    folder = tmp_path_factory.mktemp("bundles")
    for name in VARIABLES:
        trustme.CA().cert_pem.write_to_path(folder / name)
    (folder / "empty").write_text("nothing")
    return folder


@pytest.mark.parametrize("verify", [True, False])
def test_bool_is_a_valid_verify(verify: bool) -> None:
    assert tls.check_verify(verify) is verify


def test_path_is_a_valid_verify_as_str_and_as_path(bundles: Path) -> None:
    for path in (bundles / "empty", bundles):
        assert tls.check_verify(path) == tls.check_verify(str(path)) == str(path)


def test_context_is_a_valid_verify() -> None:
    context = ssl.create_default_context()
    assert tls.check_verify(context) is context


@pytest.mark.parametrize("verify", ["", 0, 1, None, b"/tmp", [], ssl, "/nowhere", Path("/nowhere"), 1.0])
def test_error_for_another_verify_lists_the_accepted_values(verify: object) -> None:
    with pytest.raises(ValueError, match=r"verify must be .*path of a file or directory of certificates") as caught:
        tls.check_verify(verify)
    if verify in ("/nowhere", Path("/nowhere")):
        assert "'/nowhere' does not exist" in str(caught.value)


def test_context_of_the_caller_is_never_changed() -> None:
    class Untouchable(ssl.SSLContext):
        def __setattr__(self, name: str, value: object) -> None:
            raise AssertionError(name)

        def __getattribute__(self, name: str) -> object:
            if name.startswith(("load_", "set_")):
                raise AssertionError(name)
            return super().__getattribute__(name)

    context = Untouchable(ssl.PROTOCOL_TLS_CLIENT)
    assert tls.ready_context(context) is context
    assert tls.build_context(context) is context


def _subjects(context: ssl.SSLContext) -> set[object]:
    return {authority["subject"] for authority in context.get_ca_certs()}


@pytest.mark.parametrize("first", VARIABLES)
def test_default_trust_is_the_first_variable_that_is_set(
    first: str, bundles: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = tls.build_context(str(bundles / first))
    for name in VARIABLES[VARIABLES.index(first) :]:
        path = str(bundles / name)
        if name == "SSL_CERT_DIR":  # OpenSSL reads a directory when it needs one
            path = os.pathsep.join([str(tmp_path), "/nowhere"])
        monkeypatch.setenv(name, path)
    context = tls.build_context(True)
    assert _subjects(context) == (set() if first == "SSL_CERT_DIR" else _subjects(expected))


def test_default_trust_without_variables_is_certifi(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    assert _subjects(tls.build_context(True)) == _subjects(tls.build_context(certifi.where()))


@pytest.mark.parametrize("name", VARIABLES)
def test_error_for_a_missing_path_names_the_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "/nowhere")
    with pytest.raises(ValueError, match=f"{name} names '/nowhere', which does not exist"):
        tls.build_context(True)
    assert tls.build_context(False).verify_mode is ssl.CERT_NONE


def test_error_for_a_file_without_certificates_names_it(bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"verify names .*empty.* no readable certificates"):
        tls.build_context(str(bundles / "empty"))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundles / "empty"))
    with pytest.raises(ValueError, match=r"SSL_CERT_FILE names .*empty.* no readable certificates"):
        tls.build_context(True)


def test_error_for_a_directory_names_it(bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(**paths: str | None) -> ssl.SSLContext:
        raise OSError("unreadable")

    monkeypatch.setattr(ssl, "create_default_context", unreadable)
    with pytest.raises(ValueError, match=f"verify names '{bundles}', which holds no readable certificates"):
        tls.build_context(str(bundles))


def test_context_is_built_once_for_each_trust(bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(bundles / "SSL_CERT_FILE")
    assert tls.ready_context(path) is None
    context = tls.build_context(path)
    assert tls.ready_context(path) is tls.build_context(path) is context
    assert len({id(tls.build_context(verify)) for verify in (True, False, path, str(bundles))}) == 4
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def _server(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext | None, host: str, raw: bytes = b"") -> OSError:
    """Return the error of a handshake in memory, with a server or with bytes that are not TLS."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=host)
    far = server.wrap_bio(to_server, to_client, server_side=True) if server else None
    to_client.write(raw)
    for _ in range(10):
        try:
            near.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except OSError as error:
            return error
        if far is not None:
            with contextlib.suppress(ssl.SSLWantReadError):
                far.do_handshake()
    raise AssertionError("the handshake did not fail")


def test_certificate_error_has_its_message(tmp_path: Path) -> None:
    ca, other = trustme.CA(), trustme.CA()
    trusting, strange = ssl.create_default_context(), ssl.create_default_context(cafile=certifi.where())
    ca.configure_trust(trusting)
    past = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
    cases = [
        (trusting, ca.issue_cert("x.example", not_before=past, not_after=past), "has expired"),
        (trusting, ca.issue_cert("y.example"), "is for another host"),
        (trusting, other.issue_cert("x.example"), "unknown issuer"),
        (strange, ca.issue_cert("x.example"), "unknown issuer"),
    ]
    for client, certificate, says in cases:
        text = tls.explain_tls_failure(_handshake(client, _server(certificate), "x.example"), "x.example:443")
        assert says in text
        assert text.startswith("the certificate of x.example:443 ")
        assert "_ssl.c" not in text
    text = tls.explain_tls_failure(_handshake(trusting, _server(cases[0][1]), "127.0.0.1"), "127.0.0.1:443")
    assert "certificate of 127.0.0.1:443" in text


@pytest.mark.parametrize(
    ("code", "says"),
    [(18, "self-signed"), (19, "not trusted here"), (9, "not valid yet"), (64, "another host"), (85, "refused: odd")],
)
def test_each_fault_of_a_certificate_has_a_message(code: int, says: str) -> None:
    error = ssl.SSLCertVerificationError(1, "[SSL] certificate verify failed")
    error.verify_code, error.verify_message = code, "odd"
    assert says in tls.explain_tls_failure(error, "x.example:443")


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example ESMTP\r\n",
        b"\x00" * 20,
        b"<html>" * 10,
    ],
)
def test_bytes_that_are_not_tls_have_a_message(raw: bytes) -> None:
    error = _handshake(ssl.create_default_context(), None, "x.example", raw)
    assert (
        tls.explain_tls_failure(error, "127.0.0.1:8080")
        == "127.0.0.1:8080 does not use TLS; try http:// in its address"
    )


@pytest.mark.parametrize("error", [ConnectionResetError(), ConnectionAbortedError(), ssl.SSLEOFError(8, "eof")])
def test_connection_closed_during_the_handshake_has_a_message(error: OSError) -> None:
    assert "closed the connection during the TLS handshake" in tls.explain_tls_failure(error, "x.example:443")


def test_other_failures_keep_the_text_of_the_error() -> None:
    assert tls.explain_tls_failure(ssl.SSLError(1, "odd"), "x:443").startswith("TLS with x:443 failed: ")
    assert tls.explain_tls_failure(OSError(), "x:443") == "TLS with x:443 failed"
