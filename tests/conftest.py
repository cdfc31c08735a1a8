"""Hypothesis's profiles, the usual signals, and a guard: no test leaves this machine."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

pytest_plugins = ["pytester"]  # for the tests of the package's own plugin; pytest wants it in the topmost conftest.py

_COMMON: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("default", **_COMMON)
settings.register_profile("ci", **_COMMON, derandomize=True)
settings.register_profile("quick", **_COMMON, derandomize=True, max_examples=5)
# A mutant has only to be killed, not to be explained by the smallest example.
settings.register_profile("mutants", **_COMMON, derandomize=True, phases=[Phase.explicit, Phase.generate])
settings.load_profile("ci" if os.environ.get("CI") else "default")


def _is_local(family: int, address: Any) -> bool:
    if family not in (socket.AF_INET, socket.AF_INET6):
        return True  # AF_UNIX
    try:
        return ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
    except ValueError:
        return address[0] == "localhost"


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Refuse every connection but those to loopback."""

    def guarded(method: Any) -> Any:
        def connect(self: socket.socket, address: Any) -> Any:
            if not _is_local(self.family, address):
                raise AssertionError(f"a test tried to connect to {address!r}")
            return method(self, address)

        return connect

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(socket.socket.connect))
        patch.setattr(socket.socket, "connect_ex", guarded(socket.socket.connect_ex))
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_variables() -> Iterator[None]:
    """Remove the variables that the clients read, since a developer may have set them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("CHATGPT4ONLINE_")]:
            patch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def _usual_signal_handlers() -> Iterator[None]:
    """Set the usual handlers of signals: a process that is started under nohup or in the background ignores some."""
    usual: dict[int, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
