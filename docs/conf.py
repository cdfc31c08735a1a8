"""The settings of the documentation site, and the links that docstrings get on their way into it."""

from __future__ import annotations

import builtins
import re
import sys
from pathlib import Path
from textwrap import indent
from typing import Any

import chatgpt4online
from chatgpt4online import testing
from chatgpt4online.cli.command import command_parser
from chatgpt4online.cli.program import COMMANDS, program_parser
from chatgpt4online.gateway import parameters

project = "chatgpt4online"
author = "chatgpt4online maintainers"
release = version = chatgpt4online.__version__

extensions = ["sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"chatgpt4online {release}"
html_show_copyright = False

add_module_names = False
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 88  # as the code blocks; a longer signature gets a line for each parameter

# There is no network when the site is built, so the names of other projects are not links. All other names must be.
nitpick_ignore_regex = [
    (r"py:.*", rf"({'|'.join(sorted({*sys.stdlib_module_names, 'requests'}))})\..+"),
    (r"py:.*", "|".join(dir(builtins))),
    (r"py:.*", r"(.*\.)?T"),  # the type variable of the streams
    (r"py:.*", r"chatgpt4online\..*\.(Exchange|Multipart)"),  # of parameters that only the clients use
]

_PUBLIC = {
    **{name: f"chatgpt4online.testing.{name}" for name in testing.__all__},
    **{name: f"chatgpt4online.{name}" for name in chatgpt4online.__all__},
    "Pool": "chatgpt4online.http1.Pool",
}
# Replacements in signatures: for private names, and for the parameter that turns a wrong keyword into a TypeError.
_SHOWN = [
    (r", \*\*unknown: ~typing\.Unpack\[[\w~.]+\]", ""),
    (r"\*\*options: ~typing\.Unpack\[[\w~.]*DerivedOptions\]", "**options"),
    (r", _\w+: .*?(?=\)|, \w+:)", ""),
    (r" \| ~chatgpt4online\.environment\.FromEnvironment", ""),
    (r"<factory>", "{}"),
    (r"(?<=: )Source\b", "str | ~os.PathLike[str] | ~typing.BinaryIO | bytes"),
    (r"(?<=: )Progress\b", "~collections.abc.Callable[[int, int], object]"),
    (r"~chatgpt4online\.sync\.conversation\._Client", "~chatgpt4online.Client"),
    (r"~chatgpt4online\.aio\.conversation\._Client", "~chatgpt4online.AsyncClient"),
]
_ERRORS = [
    name
    for name in chatgpt4online.__all__
    if isinstance(value := getattr(chatgpt4online, name), type) and issubclass(value, Exception)
]
# The name of an error. Literals and roles match too, and stay as they are.
_ERROR = re.compile(rf"``.*?``|:\w+:`.*?`|\b({'|'.join(_ERRORS)})\b", re.DOTALL)
# "section 1.4", "sections 1.2 and 4.1"; a number behind "5, " is an item of the list in section 5.
_CITATION = re.compile(r"(sections?\s+)((?:\d(?:\.\d)?(?:,\s+\d+)?(?:\s+(?:and|to|or)\s+)?)+)")
_SECTION = re.compile(r"(?<![\d.])(?<!5, )([1-7](?:\.\d)?)(?![\d.]\d)")


def _add_links(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Turn the errors and the sections of the protocol that a docstring names into links."""
    text = _ERROR.sub(_link_error, "\n".join(lines))
    lines[:] = _CITATION.sub(_link_sections, text).split("\n")


def _link_error(found: re.Match[str]) -> str:
    return f":exc:`~chatgpt4online.{found[1]}`" if found[1] else found[0]


def _link_sections(citation: re.Match[str]) -> str:
    def link(section: re.Match[str]) -> str:
        return f":ref:`{section[1]} <protocol-{section[1].replace('.', '-')}>`"

    return citation[1] + _SECTION.sub(link, citation[2])


def _simplify(_app: Any, _what: str, _name: str, _object: Any, _options: Any, arguments: str, returns: str) -> Any:
    """Return a signature as its readers need it."""
    for pattern, shown in _SHOWN if arguments else ():
        arguments = re.sub(pattern, shown, arguments)
    return arguments, returns


def _find_public_name(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Return the link to the public name of an object, for a link that names it otherwise.

    Signatures name the module that defines it, and docstrings write ``Reply.raw`` for what has no entry of its own.
    """
    parts = [part for part in node.get("reftarget", "").split(".") if part in _PUBLIC]
    if node.get("refdomain") != "py" or not parts or node["reftarget"] == _PUBLIC[parts[0]]:
        return None
    path = [_PUBLIC[parts[0]], node["reftarget"].partition(f"{parts[0]}.")[2]]
    for target in (".".join(path), path[0]):
        if link := env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, content):
            return link
    return None


def _write_commands(app: Any) -> None:
    """Write the page with the help of each command, which Sphinx then reads like the others."""
    lines = [_COMMANDS]
    for parser in (program_parser(), *map(command_parser, COMMANDS)):
        lines += [parser.prog, "-" * len(parser.prog), "", ".. code-block:: text", ""]
        lines += [indent(parser.format_help().rstrip(), "    "), ""]
    page = Path(app.srcdir) / "reference" / "commands.rst"
    page.write_text("\n".join(lines), "utf-8")


_COMMANDS = """\
The commands
============

This page shows the ``--help`` of each command. :doc:`../guides/command-line` explains them.
"""


def _write_parameters(app: Any) -> None:
    """Write the page with the tables of the gateway's parameters."""
    lines = [_PARAMETERS]
    endpoints = {
        "/v1/chat/completions": (parameters.CHAT_REFUSED, parameters.CHAT_IGNORED),
        "/v1/responses": (parameters.RESPONSES_REFUSED, parameters.RESPONSES_IGNORED),
        "A message": (parameters.MESSAGE_REFUSED, parameters.MESSAGE_IGNORED),
        "A part of a message": ({}, parameters.PART_IGNORED),
    }
    for title, (refused, ignored) in endpoints.items():
        lines += [title, "-" * len(title), "", ".. list-table::", "   :header-rows: 1", "   :widths: 30 12 58", ""]
        lines += _row("parameter", "reaction", "reason")
        for name, entry in refused.items():
            lines += _row(f"``{name}``", "refused", entry.why)
        for name, why in ignored.items():
            lines += _row(f"``{name}``", "ignored", why)
        lines.append("")
    page = Path(app.srcdir) / "reference" / "parameters.rst"
    page.write_text("\n".join(lines), "utf-8")


def _row(*cells: str) -> list[str]:
    return [f"   {'* -' if number == 0 else '  -'} {cell}" for number, cell in enumerate(cells)]


_PARAMETERS = """\
The parameters of the gateway
=============================

This page lists the parameters of OpenAI's API that a site cannot honour. :doc:`../guides/gateway` explains them. A
parameter that is null, empty or has its usual value is not refused.
"""


def setup(app: Any) -> None:
    """Connect the functions above to Sphinx."""
    app.connect("builder-inited", _write_commands)
    app.connect("builder-inited", _write_parameters)
    app.connect("autodoc-process-docstring", _add_links)
    app.connect("autodoc-process-signature", _simplify)
    app.connect("missing-reference", _find_public_name)
