"""The layers, the directions of imports, and the public names."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

import chatgpt4online
from chatgpt4online import protocol

ROOT = Path(chatgpt4online.__file__).parent
MODULES = sorted(path.relative_to(ROOT).with_suffix("").as_posix() for path in ROOT.rglob("*.py"))

# Each row may import the rows above it, and nothing beside or below it.
LAYERS = (
    ("_version",),
    ("protocol/parsing",),
    ("net",),
    ("protocol/calls",),
    ("options", "atomic"),
    ("files", "environment"),
    ("operations", "tracing", "http1"),
    ("sync", "aio"),
    ("testing", "store", "provider"),
    ("gateway",),
    ("cli", "pytest_plugin"),
)
FACES = (
    "__init__",
    "protocol/__init__",
    "__main__",
)  # the public names, which are loaded on first use; and the command
ONLY_FROM_NET = {"protocol/calls": {"net/url"}}  # the modules of net that the pure layer may import
# The layers that use the package as its users do, and the modules of the public names.
ONLY_PUBLIC_NAMES = {"gateway", "cli"}
PUBLIC = {"__init__", "protocol/__init__", "http1/__init__", "testing/__init__", "gateway/__init__"}
ONLY_LAYERS = {"http1": {"net"}}  # http1 knows nothing of chats
PURE = ("protocol/parsing", "protocol/calls", "net/url")
FORBIDDEN_IN_PURE = {
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
# The layers that may import an HTTP library, or pytest.
TRANSPORTS = {
    "requests": ("sync/transport", "sync/adapter"),
    "urllib3": ("sync/transport", "sync/adapter"),
    "h11": ("http1", "testing"),
    "pytest": ("pytest_plugin",),
}


def layer(module: str) -> tuple[int, str]:
    """Return the number of the row of LAYERS that a module belongs to, and the name of its layer."""
    for row, names in enumerate(LAYERS):
        for name in names:
            if module == name or module.startswith(f"{name}/"):
                return row, name
    raise AssertionError(f"{module} belongs to no layer; give it one in LAYERS")


def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / f"{module}.py").read_text("utf-8"))


def imports(module: str) -> Iterator[str]:
    """Yield the absolute name of each module, and of each name in one, that this module imports anywhere."""
    package = ["chatgpt4online", *module.split("/")[:-1]]
    for node in ast.walk(tree(module)):
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
            and module not in FACES
        ):
            raise AssertionError(f"{module} imports by name, which this test cannot follow: {ast.unparse(node)}")


def siblings(module: str) -> set[str]:
    """Return the modules of this package that a module imports."""
    found = set()
    for name in imports(module):
        if within(name, "chatgpt4online"):
            path = name.split(".")[1:]
            for parts in (path, path[:-1]):
                candidates = ("/".join(parts), "/".join([*parts, "__init__"]))
                hits = [candidate for candidate in candidates if candidate in MODULES]
                if hits:
                    found.add(hits[0])
                    break
            else:
                raise AssertionError(f"{module} imports {name}, which is not a module")
    return found


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def test_helpers_find_known_imports() -> None:
    assert "chatgpt4online.protocol.parsing.errors.ChatError" in set(imports("protocol/parsing/parser"))
    assert "re" in set(imports("protocol/parsing/parser"))
    assert "protocol/calls/request" in siblings("sync/client")
    assert {"protocol/parsing/errors", "protocol/calls/turn", "sync/client", "__init__"} <= set(MODULES)


INSIDE = [module for module in MODULES if module not in FACES]


@pytest.mark.parametrize("module", INSIDE)
def test_module_imports_only_its_own_and_lower_layers(module: str) -> None:
    row, own = layer(module)
    for sibling in siblings(module):
        if own in ONLY_PUBLIC_NAMES:
            assert sibling in PUBLIC or layer(sibling)[1] == own, f"{module} imports {sibling}, which is not public"
            continue
        assert sibling not in FACES, f"{module} imports the package's own face {sibling}"
        other_row, other = layer(sibling)
        assert other == own or other_row < row, f"{module} imports {sibling}, which is beside or above it"
        if own in ONLY_LAYERS:
            assert other == own or other in ONLY_LAYERS[own], f"{module} imports {sibling}"
        if other == "net" and own in ONLY_FROM_NET:
            assert sibling in ONLY_FROM_NET[own], f"{module} imports {sibling}"


def test_imports_have_no_cycle() -> None:
    graph = {module: siblings(module) - {module} for module in INSIDE}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the cycle
    assert set(order) >= set(INSIDE)


# Importing it must load nothing else, and its annotations need a type. No module imports it, so it is in no cycle.
TYPES_ONLY = {"pytest_plugin"}


@pytest.mark.parametrize("module", INSIDE)
def test_no_import_under_type_checking(module: str) -> None:
    """Such an import could hide a cycle."""
    if layer(module)[1] in ONLY_PUBLIC_NAMES:
        hidden = [node for node in ast.walk(tree(module)) if isinstance(node, ast.If)]
        hidden = [node for node in hidden if ast.unparse(node.test) == "TYPE_CHECKING"]
        for statement in (statement for node in hidden for statement in node.body):
            assert isinstance(statement, ast.ImportFrom), ast.unparse(statement)
            is_outside = statement.level > module.count("/")
            assert is_outside, f"{module} imports its own layer under TYPE_CHECKING: {ast.unparse(statement)}"
    elif module in TYPES_ONLY:
        assert [other for other in MODULES if module in siblings(other)] == []
    else:
        assert "TYPE_CHECKING" not in (ROOT / f"{module}.py").read_text("utf-8")


@pytest.mark.parametrize("module", [module for module in INSIDE if module.startswith(PURE)])
def test_pure_layer_imports_no_io(module: str) -> None:
    for name in imports(module):
        if not within(name, "chatgpt4online"):
            is_idna = module == "net/url" and name == "idna"  # for a host that is not ASCII
            assert is_idna or name.split(".")[0] in sys.stdlib_module_names, f"{module} imports {name}"
            assert not any(within(name, forbidden) for forbidden in FORBIDDEN_IN_PURE), f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_each_library_is_named_in_one_place(module: str) -> None:
    """The sync transport imports requests and urllib3; http1 and testing import h11; the plugin imports pytest."""
    for library, places in TRANSPORTS.items():
        if not any(module == place or module.startswith(f"{place}/") for place in places):
            assert not any(within(name, library) for name in imports(module)), f"{module} imports {library}"


@pytest.mark.parametrize("module", [module for module in MODULES if module.endswith("__init__")])
def test_init_files_hold_only_public_names(module: str) -> None:
    if module in FACES:
        return
    allowed = (ast.Import, ast.ImportFrom)
    for node in tree(module).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_names = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        assert isinstance(node, allowed) or is_docstring or is_names, f"{module}: {ast.unparse(node)}"


@pytest.mark.parametrize("face", ["chatgpt4online", "chatgpt4online.protocol"])
def test_parser_alone_loads_no_http_library(face: str) -> None:
    code = (
        "import sys\n"
        f"from {face} import EventParser\n"
        "EventParser().receive_eof()\n"
        "print(*sorted({'requests', 'urllib3', 'h11', 'asyncio', 'ssl', 'socket', 'idna'} & set(sys.modules)))\n"
        "print('chatgpt4online.protocol.parsing.parser' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT.parent, timeout=60)
    assert done.stdout.split("\n") == ["", "True", ""]


def test_stream_without_a_failure_loads_the_reader_of_failures() -> None:
    """It would make the import of the parser a fifth slower."""
    code = (
        "import sys\n"
        "from chatgpt4online import EventParser\n"
        "parser = EventParser()\n"
        """parser.receive_data(b'data: {"type":"live","data":"Hi"}\\n\\ndata: {"type":"end","data":"{}"}\\n\\n')\n"""
        "print(*parser.receive_eof(), parser.text)\n"
        "print(*sorted(name for name in sys.modules if name.endswith(('html', 'datetime', '.bodies', '.blocks'))))\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT.parent, timeout=60)
    assert done.stdout.split("\n") == ["Hi", "", ""]


@pytest.mark.parametrize("face", [chatgpt4online, protocol], ids=["package", "protocol"])
class TestNames:
    """The public names."""

    def test_all_is_sorted_complete_and_importable(self, face: Any) -> None:
        assert face.__all__ == sorted(set(face.__all__))
        assert set(face.__all__) <= set(dir(face))
        for home, names in face._MODULES.items():
            module = importlib.import_module(f"{face.__name__}.{home}")
            for name in names:
                assert getattr(face, name) is getattr(module, name)

    def test_type_checkers_see_the_same_names(self, face: Any) -> None:
        seen: dict[str, str] = {}
        for node in ast.parse(Path(face.__file__).read_text("utf-8")).body:
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                for line in node.body:
                    assert isinstance(line, ast.ImportFrom)
                    assert line.level == 1
                    for alias in line.names:
                        seen[alias.asname or ""] = f"{line.module}.{alias.name}"
        homes = {name: f"{home}.{name}" for home, names in face._MODULES.items() for name in names}
        assert seen == homes
        assert set(face.__all__) == set(homes) - {"__version__"}

    def test_unknown_name_raises_the_error_of_python(self, face: Any) -> None:
        with pytest.raises(AttributeError, match=f"module '{face.__name__}' has no attribute 'Nope'"):
            face.Nope  # noqa: B018  # the look-up is the test


# A misspelt name, the object that is asked for it, and Python's suggestion, which only a traceback shows.
MISSPELT = {
    "Cleint": ("chatgpt4online", "Client"),
    "AsyncCleint": ("chatgpt4online", "AsyncClient"),
    "RateLimitError": ("chatgpt4online", "RateLimited"),
    "EventParsr": ("chatgpt4online.protocol", "EventParser"),
    "serve_sites": ("chatgpt4online.testing", "serve_site"),
    "usge": ("chatgpt4online.Reply()", "usage"),
    "txt": ("chatgpt4online.Text('a')", "text"),
    "strem": ("chatgpt4online.Client('https://example.org')", "stream"),
    "sesion": ("chatgpt4online.AsyncClient('https://example.org')", "session"),
    "rply": ("chatgpt4online.Client('https://example.org').stream('Hi')", "reply"),
    "mesage": ("chatgpt4online.ServerError('No.')", "message"),
}


def last_line_of_traceback(code: str) -> str:
    """Return what Python prints for the error of this code. Python 3.11 makes its suggestions nowhere else."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT.parent, timeout=60)
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", MISSPELT)
def test_python_suggests_no_name_for_a_misspelt_one(name: str) -> None:
    """A ``__getattr__`` could prevent that."""
    owner, suggestion = MISSPELT[name]
    line = last_line_of_traceback(f"import chatgpt4online, chatgpt4online.testing\n{owner}.{name}")
    assert line.startswith("AttributeError: ")
    assert line.endswith(f" has no attribute {name!r}. Did you mean: {suggestion!r}?")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 suggests no name for an import")
@pytest.mark.parametrize("face", [chatgpt4online, protocol], ids=["package", "protocol"])
def test_python_suggests_no_name_for_a_misspelt_import(face: Any) -> None:
    line = last_line_of_traceback(f"from {face.__name__} import EventParsr")
    assert line.startswith(f"ImportError: cannot import name 'EventParsr' from {face.__name__!r}")
    assert line.endswith(". Did you mean: 'EventParser'?")


def test_version_is_written_in_one_place() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", chatgpt4online.__version__)
