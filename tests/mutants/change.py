"""A mutant: one object of the package, found by its name, and a change of it.

No mutant contains source text, so a new name of a local variable or another line break does not affect it. A target or
a pattern that no longer exists raises :class:`Misfit` with the name of the mutant.
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
import sys
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any, TypeAlias, TypeGuard

PACKAGE = "chatgpt4online"
TESTS = "tests"

Change: TypeAlias = Callable[[Any], Any]
Rule: TypeAlias = Callable[[ast.AST], ast.AST | None]
"""Gets each node of a function and returns the node to put in its place, or None for a node that stays."""


class Misfit(Exception):
    """The mutant cannot be applied, because its target or its pattern does not exist."""


@dataclass(frozen=True)
class Mutant:
    """One change to one object.

    ``target`` names a function, a method, a property or a constant, such as
    ``"protocol.calls.exchange:Exchange._follow_redirect"``. ``change`` gets the target (of a property or a class
    method, its function) and returns the replacement. ``tests`` are the names of the test files that must fail.
    """

    name: str
    target: str
    change: Change
    tests: tuple[str, ...]

    def find(self) -> tuple[ModuleType | type, str, Any]:
        """Return the module or class that holds the target, the name that the target has there, and the target.

        Raises Misfit for a target that does not exist.
        """
        path, _, names = self.target.partition(":")
        *classes, name = names.split(".")
        try:
            holder: Any = import_module(f"{PACKAGE}.{path}")
            for one in classes:
                holder = vars(holder)[one]
            return holder, name, vars(holder)[name]
        except (ImportError, KeyError) as error:
            raise Misfit(f"{self.name}: {self.target} does not exist ({error!r})") from None

    def replacement(self) -> Any:
        """Return the object to put in the place of the target. Raises Misfit for a change that does not fit it."""
        _, _, original = self.find()
        wrap: Callable[[Any], Any] = lambda changed: changed  # noqa: E731  # property replaces it
        function = original
        if isinstance(original, property):
            function, wrap = original.fget, property
        elif isinstance(original, classmethod | staticmethod):
            function, wrap = original.__func__, type(original)
        try:
            changed = self.change(function)
            if isinstance(function, FunctionType):
                _check_signature(changed, function)
            elif changed == function:
                raise Misfit("the change has no effect")
        except Misfit as error:
            raise Misfit(f"{self.name}: {self.target}: {error}") from None
        return wrap(changed)

    def apply(self) -> None:
        """Put the replacement into the package and into the tests that imported the target, in this process.

        Raises Misfit if the mutant does not fit.
        """
        holder, name, original = self.find()
        replacement = self.replacement()
        setattr(holder, name, replacement)
        if isinstance(holder, ModuleType):
            loaded = [module for path, module in sys.modules.items() if _may_import_package(path)]
            replace_imported(loaded, name, original, replacement)


def _may_import_package(path: str) -> bool:
    """Return whether a module belongs to the package or to its tests, and not to the mutants, which call originals."""
    return path.partition(".")[0] in (PACKAGE, TESTS) and not f"{path}.".startswith(f"{__package__}.")


def _check_signature(changed: Any, original: FunctionType) -> None:
    """Raise Misfit unless the replacement accepts the arguments of the original."""
    positional: list[None] = []
    keywords: dict[str, None] = {}
    for parameter in inspect.signature(original).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY or parameter.default is not parameter.empty:
            keywords[parameter.name] = None
        elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            positional.append(None)
    try:
        inspect.signature(changed).bind(*positional, **keywords)
    except TypeError as error:
        raise Misfit(f"the replacement has other arguments ({error})") from None


def replace_imported(modules: Iterable[ModuleType], name: str, original: Any, replacement: Any) -> None:
    """Put the replacement into all modules that imported the original, and into the closures of their functions.

    A constant is replaced only under the same name, because equal small constants are often one object.
    """
    for module in modules:
        for key, value in list(vars(module).items()):
            if value is original and (callable(original) or key == name):
                setattr(module, key, replacement)
            elif isinstance(value, FunctionType) and value is not replacement and callable(original):
                for cell in value.__closure__ or ():
                    if cell.cell_contents is original:
                        cell.cell_contents = replacement


def load_package() -> None:
    """Import all modules of the package, so that a mutant reaches each of them."""
    package = import_module(PACKAGE)
    for module in pkgutil.walk_packages(package.__path__, f"{PACKAGE}."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


def constant(value: Any) -> Change:
    """Return the change of a constant to ``value``."""
    return lambda original: value


def returns(value: Any) -> Change:
    """Return the change of a function to one that only returns ``value``."""
    return lambda original: lambda *args, **keywords: value


def edited(rule: Rule) -> Change:
    """Return the change of a function by a rule for the nodes of its syntax tree, which must match at least once."""
    return partial(_edit, rule)


class _Editor(ast.NodeTransformer):
    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.matches = 0

    def visit(self, node: ast.AST) -> ast.AST:
        node = self.generic_visit(node)
        replaced = self.rule(node)
        if replaced is None:
            return node
        self.matches += 1
        return ast.copy_location(replaced, node)


def _edit(rule: Rule, function: Any) -> Any:
    if function.__code__.co_freevars:
        raise Misfit("a function with variables of an outer function cannot be edited")
    module = ast.parse(textwrap.dedent(inspect.getsource(function)))
    definition = module.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list = []
    editor = _Editor(rule)
    tree: Any = ast.fix_missing_locations(editor.visit(module))
    if not editor.matches:
        raise Misfit("no part of it matches the pattern")
    ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)
    made: dict[str, Any] = {}
    exec(compile(tree, inspect.getfile(function), "exec"), function.__globals__, made)
    return made[function.__name__]


def _mentions(node: ast.AST, name: str) -> bool:
    return any(name in (getattr(part, "attr", None), getattr(part, "id", None)) for part in ast.walk(node))


def literal(old: Any, new: Any) -> Rule:
    """Return the rule that replaces a literal by another one."""

    def rule(node: ast.AST) -> ast.AST | None:
        same = isinstance(node, ast.Constant) and type(node.value) is type(old) and node.value == old
        return ast.Constant(new) if same else None

    return rule


def without_statement(name: str) -> Rule:
    """Return the rule that deletes each simple statement in which a function or an attribute has this name."""

    def rule(node: ast.AST) -> ast.AST | None:
        simple = isinstance(node, ast.Expr | ast.Assign | ast.AugAssign)
        return ast.Pass() if simple and _mentions(node, name) else None

    return rule


def _calls(node: ast.AST, name: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and name in (getattr(node.func, "attr", None), getattr(node.func, "id", None))


def without_method(name: str) -> Rule:
    """Return the rule that replaces ``x.name(...)`` by ``x``."""
    return lambda node: getattr(node.func, "value", None) if _calls(node, name) else None


def without_function(name: str) -> Rule:
    """Return the rule that replaces ``name(x, ...)`` by ``x``."""
    return lambda node: node.args[0] if _calls(node, name) else None


def call_gives(name: str, value: Any) -> Rule:
    """Return the rule that replaces a call of the function or method ``name`` by a constant."""
    return lambda node: ast.Constant(value) if _calls(node, name) else None


def operator(old: type[ast.AST], new: type[ast.AST]) -> Rule:
    """Return the rule that replaces an operator by another one."""
    return lambda node: new() if isinstance(node, old) else None


def comparison_gives(op: type[ast.cmpop], operand: Any, value: bool) -> Rule:
    """Return the rule that replaces a comparison with the literal ``operand`` by a constant."""

    def rule(node: ast.AST) -> ast.AST | None:
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], op):
            return None
        literals = [part.value for part in (node.left, *node.comparators) if isinstance(part, ast.Constant)]
        return ast.Constant(value) if operand in literals else None

    return rule


def without_filter(node: ast.AST) -> ast.AST | None:
    """Delete the conditions of a comprehension. This function is a rule itself."""
    if isinstance(node, ast.comprehension) and node.ifs:
        return ast.comprehension(node.target, node.iter, [], node.is_async)
    return None


def uncaught(name: str) -> Rule:
    """Return the rule that does not catch one exception of several that are caught together."""

    def rule(node: ast.AST) -> ast.AST | None:
        if not isinstance(node, ast.ExceptHandler) or not isinstance(node.type, ast.Tuple):
            return None
        kept = [part for part in node.type.elts if not _mentions(part, name)]
        if len(kept) == len(node.type.elts):
            return None
        return ast.ExceptHandler(ast.Tuple(kept, ast.Load()), node.name, node.body)

    return rule


def silenced(name: str) -> Rule:
    """Return the rule that ignores an exception that is caught."""

    def rule(node: ast.AST) -> ast.AST | None:
        if not isinstance(node, ast.ExceptHandler) or node.type is None or not _mentions(node.type, name):
            return None
        return ast.ExceptHandler(node.type, node.name, [ast.Pass()])

    return rule
