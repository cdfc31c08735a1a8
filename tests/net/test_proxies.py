"""Proxies: addresses, the environment, and the servers that no_proxy exempts."""

from __future__ import annotations

import base64
import os
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatgpt4online.net import proxies
from chatgpt4online.net.proxies import environment_proxy, is_exempt, parse_proxy
from chatgpt4online.net.url import Origin, origin


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name == "REQUEST_METHOD":
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("address", "scheme", "authority"),
    [
        ("http://127.0.0.1:8080", "http", "127.0.0.1:8080"),
        ("127.0.0.1:8080", "http", "127.0.0.1:8080"),
        ("proxy.example", "http", "proxy.example:80"),
        ("  http://proxy.example:3128/ \n", "http", "proxy.example:3128"),
        ("HTTPS://Proxy.Example", "https", "proxy.example:443"),
        ("[::1]:8080", "http", "[::1]:8080"),
        ("http://[fe80::1%25eth0]:8080", "http", "[fe80::1]:8080"),
        ("http://größe.example:1", "http", "xn--gre-6ka8i.example:1"),
        ("my_proxy:8080", "http", "my_proxy:8080"),
        ("user:pass@proxy.example:1", "http", "proxy.example:1"),
        *((f"{scheme}://h", scheme, "h:1080") for scheme in ("socks4", "socks4a", "socks5", "socks5h")),
    ],
)
def test_proxy_address_is_read_with_and_without_scheme(address: str, scheme: str, authority: str) -> None:
    proxy = parse_proxy(address)
    assert (proxy.origin.scheme, proxy.origin.authority) == (scheme, authority)


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("user", "p@ss#[:/?%&=+"),
        ("us er", "a+b"),
        ("dom\\user", "~!$'()*,;"),
        ("u", "пароль"),
        ("größe", "Ęą1"),
        ("k", ""),
    ],
)
def test_credentials_are_sent_in_utf_8(username: str, password: str) -> None:
    proxy = parse_proxy(f"http://{quote(username, safe='')}:{quote(password, safe='')}@127.0.0.1:8080")
    assert base64.b64decode(proxy.basic.split()[1]).decode() == f"{username}:{password}"


@pytest.mark.parametrize("userinfo", ["user:пароль", "größe:Ęą1"])
def test_credentials_need_no_percent_encoding_in_another_script(userinfo: str) -> None:
    assert base64.b64decode(parse_proxy(f"{userinfo}@h:1").basic.split()[1]).decode() == userinfo


def test_socks4_accepts_a_user_name_without_password() -> None:
    assert parse_proxy("socks4://user@h:1").username == "user"


def test_user_name_without_password_is_sent() -> None:
    assert base64.b64decode(parse_proxy("http://key@127.0.0.1:8080").basic.split()[1]) == b"key:"


@pytest.mark.parametrize("proxy", [{"http": "http://h:1"}, None, b"http://h:1", 8080, ["h:1"], True])
def test_proxy_of_another_type_is_refused(proxy: dict[str, str] | bytes | int | list[str] | bool | None) -> None:
    with pytest.raises(ValueError, match="proxy must be one address such as"):
        parse_proxy(proxy)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "  ",
        "http://",
        "ftp://h:1",
        "socks6://h:1",
        "http://h:x",
        "http://user:secret@h:x",
        "http://user:se/cret@h:1",
        "http://user:1/secret@h:1",
        "http://user:se#cret@h:1",
        "user:se?cret@h:1",
        "http://user:secret@",
        "http://user:secret@a b",
        "socks5://user:secretü@h:1",
        "socks5://:secret@h:1",
        "socks5h://secret@h:1",
    ],
)
def test_unusable_proxy_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(ValueError, match="no usable proxy") as caught:
        parse_proxy(address)
    assert "cret" not in str(caught.value)


@given(st.text())
def test_no_text_raises_another_error_than_value_error(text: str) -> None:
    try:
        parse_proxy(text)
    except ValueError as error:
        assert str(error).startswith("no usable proxy")  # most texts raise


EXEMPT = [
    ("http://[::1]/", "::1"),
    ("http://[::1]/", "[::1]"),
    ("http://[::1]:8080/", "[::1]:8080"),
    ("http://[::1]/", "0:0:0:0:0:0:0:1"),
    ("http://[0:0:0:0:0:0:0:1]/", "::1"),
    ("http://[::1]/", "::/64"),
    ("http://[::1]/", "[::]/64"),
    ("http://[::1]/", "::1/128"),
    ("http://[2001:db8::5]/", "2001:db8::/32"),
    ("http://[2001:DB8::5]/", "2001:0DB8:0::/32"),
    ("http://[fe80::1%25eth0]/", "fe80::1%eth0"),
    ("http://[fe80::1%25eth0]/", "fe80::/10"),
    ("http://10.1.2.3/", "10.0.0.0/8"),
    ("http://10.1.2.3/", "10.1.2.3"),
    ("http://10.1.2.3:8080/", "10.1.2.3:8080"),
    ("http://10.1.2.3/", "192.168.0.0/16 10.0.0.0/8"),
    ("http://10.1.2.3/", "192.168.0.0/16,10.0.0.0/8"),
    ("http://example.org/", "*"),
    ("http://[::1]/", "*"),
    ("http://example.org/", "example.org"),
    ("http://example.org/", "EXAMPLE.org."),
    ("http://example.org/", "a.b , example.org"),
    ("http://www.example.org/", "example.org"),
    ("http://www.example.org/", ".example.org"),
    ("http://www.example.org/", "*.example.org"),
    ("http://example.org/", ".example.org"),
    ("http://www.example.org:8080/", "example.org:8080"),
    ("https://example.org/", "example.org:443"),
    ("http://www.straße.example/", "straße.example"),
    ("http://xn--strae-oqa.example/", "STRAßE.example"),
    ("http://my_site/", "my_site"),
]
NOT_EXEMPT = [
    ("http://[::1]/", "::2"),
    ("http://[::1]:8080/", "[::1]:80"),
    ("http://[::1]/", "2001:db8::/32"),
    ("http://[::1]/", "10.0.0.0/8"),
    ("http://11.1.2.3/", "10.0.0.0/8"),
    ("http://10.1.2.3/", "::/0"),
    ("http://example.org/", "notexample.org"),
    ("http://notexample.org/", "example.org"),
    ("http://example.org/", "www.example.org"),
    ("http://example.org:81/", "example.org:80"),
    ("http://strasse.example/", "straße.example"),
    ("http://example.org/", ""),
    ("http://example.org/", " , ,"),
    ("http://example.org/", "..,[,]:1,10.0.0.0/99,☕,%"),
    ("http://10.1.2.3/", "..,[,]:1,10.0.0.0/99,☕,%"),
]


@pytest.mark.parametrize(("url", "no_proxy"), EXEMPT)
def test_server_that_no_proxy_names_in_any_spelling_is_exempt(url: str, no_proxy: str) -> None:
    assert is_exempt(origin(url), no_proxy)


@pytest.mark.parametrize(("url", "no_proxy"), NOT_EXEMPT)
def test_server_that_no_proxy_does_not_name_is_not_exempt(url: str, no_proxy: str) -> None:
    assert not is_exempt(origin(url), no_proxy)


@given(st.text())
def test_no_value_of_no_proxy_raises(text: str) -> None:
    for url in ("http://example.org/", "http://10.0.0.1/", "http://[::1]/"):
        is_exempt(origin(url), text)


SITE = origin("http://example.org/")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"http_proxy": "one:1"}, "one:1"),
        ({"HTTP_PROXY": "two:2"}, "two:2"),
        ({"http_proxy": "one:1", "HTTP_PROXY": "two:2"}, "one:1"),
        ({"all_proxy": "all:3"}, "all:3"),
        ({"http_proxy": "one:1", "all_proxy": "all:3"}, "one:1"),
        ({"https_proxy": "one:1"}, None),
        ({"HTTP_PROXY": "two:2", "REQUEST_METHOD": "GET"}, None),
        ({"http_proxy": "one:1", "HTTP_PROXY": "two:2", "REQUEST_METHOD": "GET"}, "one:1"),
        ({"http_proxy": "one:1", "no_proxy": "example.org"}, None),
        ({"http_proxy": "one:1", "NO_PROXY": "example.org"}, None),
        ({"http_proxy": "one:1", "no_proxy": "other.org", "NO_PROXY": "example.org"}, "one:1"),
    ],
)
def test_environment_proxy_equals_that_of_urllib(
    environment: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = environment_proxy(SITE)
    assert (proxy and proxy.origin.authority) == expected


def test_unusable_proxy_of_the_environment_raises_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:secret@h:x")
    with pytest.raises(ValueError, match="no usable proxy") as caught:
        environment_proxy(SITE)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("bypass", [True, False, OSError()])
def test_settings_of_the_system_are_used_without_variables(
    bypass: bool | OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def proxy_bypass(host: str) -> bool:
        assert host == SITE.host
        if isinstance(bypass, OSError):
            raise bypass
        return bypass

    monkeypatch.setattr(proxies, "_HAS_SYSTEM_SETTINGS", True)
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"http": "http://system:1"})
    monkeypatch.setattr("urllib.request.proxy_bypass", proxy_bypass)
    expected = None if bypass is True else Origin("http", "system", 1)
    proxy = environment_proxy(SITE)
    assert (proxy and proxy.origin) == expected
    monkeypatch.setenv("no_proxy", "example.net")  # variables replace the settings of the system
    monkeypatch.setattr("urllib.request.getproxies", lambda: pytest.fail("the system was asked"))
    assert environment_proxy(SITE) is None
