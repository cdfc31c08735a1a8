"""Addresses: hosts in ASCII, equal origins, and messages without passwords."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online.net import url as url_module
from chatgpt4online.net.cookies import Cookies
from chatgpt4online.net.url import Origin, absolute, ascii_host, is_web_address, origin, parse_url, redacted


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("example.org", "example.org"),
        ("EXAMPLE.org", "example.org"),
        ("straße.example", "xn--strae-oqa.example"),
        ("STRASSE.example", "strasse.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("σας.example", "xn--mxa8ab.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("\uff45\uff58ample.org", "example.org"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("my_site.example", "my_site.example"),
        ("my_site.bücher.example", "my_site.xn--bcher-kva.example"),
        ("a--b.example-", "a--b.example-"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.1"),  # the resolver reads it, as in requests, httpx and curl
        ("0x7f.1", "0x7f.1"),
        ("localhost", "localhost"),
    ],
)
def test_host_is_written_in_ascii_by_idna_2008(host: str, expected: str) -> None:
    assert parse_url(f"http://{host}/").origin.host == expected
    assert ascii_host(host) == expected


@pytest.mark.parametrize(
    "host",
    ["☕.example", "a..b", ".a", "a..ü", "x" * 64, "x" * 64 + "ü", "a b", "a%41", "a\\b", "\ud800", "a,b", "*", ""],
)
def test_host_that_cannot_be_sent_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="is not a URL"):
        parse_url(f"http://{host}/")
    assert not is_web_address(f"http://{host}/")
    assert absolute("http://example.org/", f"http://{host}/x") is None or not host


def test_host_that_cannot_be_written_in_ascii_is_shown_without_the_password() -> None:
    with pytest.raises(ValueError, match=r"the host '☕\.example' cannot be written in ASCII") as caught:
        parse_url("http://user:secret@☕.example/")
    assert "secret" not in str(caught.value)
    assert "user" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "user:secret@example.org",
        "http://user:se/cret@example.org/",
        "http://user:se#cret@example.org/",
        "http://user:secret@example.org:x/",
        "http://user:secret@[::1/",
        "http://user:secret@a\u2100b/",
        "http://user:secret@a b/",
        "ftp://user:secret@example.org/",
        "http://user:secret@/",
    ],
)
def test_error_never_shows_a_password(url: str) -> None:
    with pytest.raises(ValueError, match="is not a URL") as caught:
        parse_url(url)
    assert "cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "cret" not in redacted(url)


def test_representation_does_not_show_credentials() -> None:
    assert "secret" not in repr(parse_url("http://user:secret@example.org/"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://x.org/a", "https://x.org:443/b?c", True),
        ("http://x.org", "http://x.org:80/", True),
        ("https://x.org", "https://x.org:80", False),
        ("HTTPS://X.org/a", "https://x.ORG/b", True),
        ("https://x.org", "https://x.org./", True),
        ("https://x.org", "https://user:word@x.org", True),
        ("https://x.org", " https://x.org\n", True),
        ("https://bücher.example", "https://xn--bcher-kva.example", True),
        ("https://BÜCHER.example", "https://bu\u0308cher.example", True),
        ("https://straße.example", "https://strasse.example", False),
        ("http://[::1]", "http://[0:0:0:0:0:0:0:1]:80", True),
        ("http://[2001:DB8::1]", "http://[2001:db8:0::1]", True),
        ("http://[fe80::1%25eth0]", "http://[fe80::1]", True),
        ("http://[fe80::1%eth0]", "http://[fe80::1%25eth1]", True),
        ("http://127.0.0.1", "http://localhost", False),
        ("http://x.org", "http://www.x.org", False),
        ("http://x.org", "http://x.org:8080", False),
        ("http://x.org", "https://x.org", False),
        ("", "http://x.org", False),
        ("nonsense", "nonsense", True),
        ("nonsense", "other nonsense", False),
    ],
)
def test_origin_is_equal_for_each_spelling_of_one_server(one: str, other: str, same: bool) -> None:
    assert (origin(one) == origin(other)) is same


@pytest.mark.parametrize("address", ["fe80::1%25eth0", "fe80::1%eth0"])
def test_zone_is_for_the_resolver_and_is_never_sent(address: str) -> None:
    url = parse_url(f"http://[{address}]:8080/a")
    assert url.resolved_host == "fe80::1%eth0"
    assert url.origin == Origin("http", "fe80::1", 8080)
    assert url.origin.authority == url.origin.netloc == "[fe80::1]:8080"
    assert url.address == "http://[fe80::1]:8080/a"


def test_final_dot_is_for_the_resolver_and_is_never_sent() -> None:
    url = parse_url("http://example.org./")
    assert (url.resolved_host, url.origin.netloc, url.address) == ("example.org.", "example.org", "http://example.org/")


@pytest.mark.parametrize("zone", ["%", "%25", "%25a b", "%25/", "%25eth0%"])
def test_zone_that_cannot_be_read_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="is not a URL"):
        parse_url(f"http://[fe80::1{zone}]/")


@pytest.mark.parametrize("before", ["", " ", "\t", "\n"])
@pytest.mark.parametrize("after", ["", " ", "\n", "\u00a0"])
def test_white_space_around_an_address_is_ignored(before: str, after: str) -> None:
    assert parse_url(f"{before}http://example.org/a{after}").address == "http://example.org/a"


@pytest.mark.parametrize(
    ("userinfo", "expected"),
    [
        ("u:p", b"u:p"),
        ("key", b"key:"),
        (":p", b":p"),
        ("u%40:p%3A", b"u@:p:"),
        ("ü:п", "ü:п".encode()),
        ("u:%E9", b"u:\xe9"),
    ],
)
def test_credentials_are_sent_byte_by_byte(userinfo: str, expected: bytes) -> None:
    scheme, _, value = parse_url(f"http://{userinfo}@example.org/").basic.partition(" ")
    assert (scheme, base64.b64decode(value)) == ("Basic", expected)


def test_cookies_belong_to_the_host_in_ascii() -> None:
    cookies = Cookies()
    cookies.keep("http://straße.example/", ["a=1"])
    assert cookies.header("http://xn--strae-oqa.example:80/x", {}) == "a=1"
    assert cookies.header("http://strasse.example/", {}) == ""
    cookies.keep("http://[fe80::1%25eth0]/", ["b=2"])
    assert cookies.header("http://[fe80:0::1]/", {}) == "b=2"


@given(st.text())
def test_functions_for_texts_of_servers_never_raise(text: str) -> None:
    assert isinstance(origin(text), Origin)
    assert is_web_address(text) in (True, False)
    assert isinstance(redacted(text), str)
    absolute("http://example.org/", text)


@given(st.text(min_size=1, max_size=20))
def test_accepted_host_is_ascii_and_stays_equal_when_read_again(host: str) -> None:
    try:
        url = parse_url(f"http://{host}/")
    except ValueError:
        return
    assert url.origin.host.isascii()
    assert parse_url(url.address).origin == url.origin


def test_idna_is_not_loaded_for_an_ascii_host() -> None:
    code = (
        "import sys; from chatgpt4online.net.url import parse_url; parse_url('http://my_site.example')\n"
        "print('idna' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_long_addresses_are_not_kept() -> None:
    """A site could fill the memory by the addresses of its redirects."""
    before = url_module._parse_kept.cache_info().currsize
    long = "http://example.org/" + "x" * 1_000
    assert parse_url(long).address == long
    assert url_module._parse_kept.cache_info().currsize == before
