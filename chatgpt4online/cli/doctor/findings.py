"""The result of a step, and the rule that says whether a site is healthy."""

from __future__ import annotations

import ipaddress
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeAlias

Verdict: TypeAlias = Literal["ok", "warning", "problem", "unknown", "skipped"]
VERDICTS: tuple[Verdict, ...] = ("ok", "warning", "problem", "unknown", "skipped")


@dataclass(frozen=True, slots=True)
class Fix:
    """A change that may end a problem: the product to configure, the sign that it is the cause, and the exact lines."""

    product: str
    sign: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one step.

    ``seen`` is what the step has seen, and ``advice`` what the owner can do. ``fixes`` are the likeliest first.
    ``data`` holds the measured values for programs. The verdict ``unknown`` means that the step cannot tell, and
    ``skipped`` that it was not carried out.
    """

    step: str
    verdict: Verdict
    seen: str
    advice: str = ""
    fixes: tuple[Fix, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as values of JSON."""
        return asdict(replace(self, data=dict(self.data)))


class Skip(Exception):
    """A step cannot be carried out. The message names the reason."""


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Return whether no step has found a problem. A warning is not a problem."""
    return all(finding.verdict != "problem" for finding in findings)


_KEY = re.compile(r"\b(sk-|AIza|gsk_|xai-|hf_|r8_|pplx-|AKIA)[\w*-]{4,}")
_USERINFO = re.compile(r"(?<=://)[^\s/?#@]*@")
_ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w.:]*\w)")


def find_keys(text: str) -> list[str]:
    """Return the parts of a text that look like API keys of a provider, masked: ``sk-***``."""
    return [f"{match[1]}***" for match in _KEY.finditer(text)]


def without_login(text: str) -> str:
    """Return a text in which the web addresses have no name and no password."""
    return _USERINFO.sub("", text)


@dataclass(slots=True)
class Mask:
    """Removes secrets from texts for people: API keys, IP addresses, logins in web addresses, and known ``secrets``.

    The IP addresses in ``shown`` stay, such as that of a site without a name. So do loopback addresses.
    """

    shown: frozenset[str] = frozenset()
    secrets: set[str] = field(default_factory=set)

    def add(self, *secrets: str) -> None:
        """Add values that no text may show. Values of fewer than 4 characters would match parts of other words."""
        self.secrets.update(secret for secret in secrets if len(secret) >= 4)

    def add_login(self, name: str, password: str) -> None:
        """Add a password, also as WordPress compares it, without spaces, and as a header sends it."""
        sent = b64encode(f"{name}:{password}".encode()).decode()
        self.add(password, password.replace(" ", ""), sent)

    def add_header(self, name: str, value: str) -> None:
        """Add the value of a header, and the secrets in it: a site may show a part of a login, or one cookie."""
        self.add(value)
        if name.lower() in ("authorization", "proxy-authorization"):
            sent = value.partition(" ")[2].strip()
            self.add(sent)
            with suppress(ValueError):  # not base64, or not a text
                self.add_login(*b64decode(sent, validate=True).decode().split(":", 1))
        elif name.lower() == "cookie":
            self.add(*(pair.partition("=")[2].strip() for pair in value.split(";")))

    def text(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return _ADDRESS.sub(self._address, _KEY.sub(r"\1***", without_login(text)))

    def value(self, value: Any) -> Any:
        """Return a value of JSON without secrets in its texts."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def finding(self, finding: Finding) -> Finding:
        """Return a finding without secrets."""
        fixes = tuple(Fix(fix.product, self.text(fix.sign), fix.lines) for fix in finding.fixes)
        seen, advice = self.text(finding.seen), self.text(finding.advice)
        return replace(finding, seen=seen, advice=advice, fixes=fixes, data=self.value(finding.data))

    def _address(self, match: re.Match[str]) -> str:
        try:
            address = ipaddress.ip_address(match[0])
        except ValueError:
            return match[0]
        return match[0] if address.is_loopback or match[0] in self.shown else "(IP address)"
