"""The results of a batch in the XML of JUnit, which programs for continuous integration read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from .report import FAILED, NOT_ASKED, UNMET, Result

_SUITE = "chatgpt4online batch"
# The characters that XML 1.0 cannot hold, not even escaped (its section 2.2).
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(results: Sequence[Result], name: str) -> bytes:
    """Return the results as a document. ``name`` is the class name of all cases, by which such programs group them.

    A question with unmet expectations is a failure. A question that failed, or that was not asked, is an error.
    """
    numbers = {
        "tests": len(results),
        "failures": sum(result.kind == UNMET for result in results),
        "errors": sum(result.kind in (FAILED, NOT_ASKED) for result in results),
        "skipped": 0,
    }
    seconds = sum(result.stored.seconds for result in results if result.stored)
    totals = {key: str(number) for key, number in numbers.items()} | {"time": f"{seconds:.3f}"}
    root = ElementTree.Element("testsuites", totals)
    suite = ElementTree.SubElement(root, "testsuite", {"name": _SUITE} | totals)
    for result in results:
        _add_case(suite, result, name)
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, "utf-8", xml_declaration=True)
    return document + b"\n"


def _add_case(suite: ElementTree.Element, result: Result, name: str) -> None:
    stored = result.stored
    seconds = stored.seconds if stored else 0.0
    fields = {"classname": _in_xml(name), "name": _in_xml(result.id), "time": f"{seconds:.3f}"}
    case = ElementTree.SubElement(suite, "testcase", fields)
    if result.kind in (UNMET, FAILED, NOT_ASKED):
        kind = "expect" if result.kind == UNMET else (stored.error if stored else "NotAsked")
        about = {"type": _in_xml(kind), "message": _in_xml("; ".join(result.reasons))}
        tag = "failure" if result.kind == UNMET else "error"
        ElementTree.SubElement(case, tag, about).text = _in_xml("\n".join(result.reasons))
    if stored and stored.text:
        ElementTree.SubElement(case, "system-out").text = _in_xml(stored.text)


def _in_xml(text: str) -> str:
    """Return a text that XML can hold: other characters become U+FFFD."""
    return _NOT_IN_XML.sub("\ufffd", text)
