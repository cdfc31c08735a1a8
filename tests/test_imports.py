"""The directions of imports, and the public names."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import chatgpt4online

ROOT = Path(chatgpt4online.__file__).parent
FORBIDDEN = {
    "asyncio",
    "h11",
    "http",
    "logging",
    "os",
    "random",
    "requests",
    "secrets",
    "select",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "urllib.request",
    "urllib3",
}
MODULES = sorted(path.relative_to(ROOT).with_suffix("").as_posix() for path in ROOT.rglob("*.py"))
PROTOCOL = [name for name in MODULES if name.startswith("protocol/")]


def imports(module: str) -> Iterator[str]:
    """Yield the absolute name of each module, and of each name in one, that this module imports anywhere."""
    package = ["chatgpt4online", *module.split("/")[:-1]]
    for node in ast.walk(ast.parse((ROOT / f"{module}.py").read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*parent, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{origin}.{alias.name}"
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("import_module", "importlib.import_module", "__import__")
            and module != "__init__"
        ):
            raise AssertionError(f"{module} imports by name, which this test cannot follow: {ast.unparse(node)}")


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def test_the_walk_sees_imports() -> None:
    """The test of the tests: known arrows are found."""
    assert "chatgpt4online.protocol.errors.ChatError" in set(imports("protocol/parser"))
    assert "json" in set(imports("protocol/parser"))
    assert "chatgpt4online.protocol.wire.Request" in set(imports("client"))
    assert {"protocol/errors", "protocol/turn", "client", "__init__"} <= set(MODULES)


@pytest.mark.parametrize("module", PROTOCOL)
def test_the_protocol_does_no_io(module: str) -> None:
    """The protocol layer imports its siblings and the harmless part of the standard library."""
    for name in imports(module):
        if within(name, "chatgpt4online"):
            assert within(name, "chatgpt4online.protocol"), f"{module} imports {name}"
            assert name.split(".")[2] in {sibling.removeprefix("protocol/") for sibling in PROTOCOL}, name
        else:
            assert name.split(".")[0] in sys.stdlib_module_names, f"{module} imports {name}"
            assert not any(within(name, forbidden) for forbidden in FORBIDDEN), f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_the_arrows(module: str) -> None:
    """Each transport is imported in one place, the clients know nothing of each other, and nobody imports the face."""
    names = set(imports(module))
    others = {"client": "async_client", "async_client": "client"}
    if module in others:
        assert not any(within(name, f"chatgpt4online.{others[module]}") for name in names)
    if module != "client":
        assert not any(within(name, transport) for name in names for transport in ("requests", "urllib3"))
    if module.partition("/")[0] not in ("http1", "testing"):
        assert not any(within(name, "h11") for name in names)
    for name in names:
        if within(name, "chatgpt4online"):
            parts = name.split(".")
            is_module = len(parts) > 1 and any(f"{parts[1]}{tail}" in MODULES for tail in ("", "/__init__"))
            assert is_module, f"{module} imports {name} from the package itself"
        assert not name.endswith(".*"), f"{module} imports {name}"


def test_the_parser_loads_little() -> None:
    """Who wants only the parser waits for no HTTP library."""
    code = (
        "import sys\n"
        "from chatgpt4online import EventParser\n"
        "EventParser().receive_eof()\n"
        "print(*sorted({'requests', 'urllib3', 'h11', 'asyncio', 'ssl', 'socket'} & set(sys.modules)))\n"
        "print('chatgpt4online.protocol.parser' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT.parent, timeout=60)
    assert done.stdout.split("\n") == ["", "True", ""]


class TestNames:
    """The public names."""

    def test_sorted_and_whole(self) -> None:
        """``__all__`` has every name once, in order, and each is really there."""
        assert chatgpt4online.__all__ == sorted(set(chatgpt4online.__all__))
        assert set(chatgpt4online.__all__) <= set(dir(chatgpt4online))
        for home, names in chatgpt4online._HOMES.items():
            module = importlib.import_module(f"chatgpt4online.{home}")
            for name in names:
                assert getattr(chatgpt4online, name) is getattr(module, name)

    def test_type_checkers_see_the_same(self) -> None:
        """Each name has its import for type checkers, from the same home, and there are no others."""
        seen: dict[str, str] = {}
        for node in ast.parse((ROOT / "__init__.py").read_text("utf-8")).body:
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                for line in node.body:
                    assert isinstance(line, ast.ImportFrom)
                    assert line.level == 1
                    for alias in line.names:
                        seen[alias.asname or ""] = f"{line.module}.{alias.name}"
        homes = {name: f"{home}.{name}" for home, names in chatgpt4online._HOMES.items() for name in names}
        assert seen == homes | {"__version__": "protocol.wire.VERSION"}

    def test_the_version(self) -> None:
        """There is one version."""
        assert re.fullmatch(r"\d+\.\d+\.\d+", chatgpt4online.__version__)

    def test_a_name_that_is_not_there(self) -> None:
        """The error is Python's own."""
        with pytest.raises(AttributeError, match="module 'chatgpt4online' has no attribute 'Nope'"):
            chatgpt4online.Nope  # noqa: B018  # the look-up is what is tested

    @pytest.mark.parametrize("name", chatgpt4online.__all__)
    def test_the_readme_speaks_of_it(self, name: str) -> None:
        """What is public is documented."""
        readme = (ROOT.parent / "README.rst").read_text("utf-8")
        assert re.search(rf"(?<![A-Za-z_]){name}(?![A-Za-z_])", readme), name
