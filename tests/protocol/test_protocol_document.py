"""``docs/protocol.rst`` is valid, and has every section that the code cites."""

import re
from pathlib import Path

import docutils.core
import docutils.nodes
import docutils.utils
import pytest

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = (ROOT / "docs" / "protocol.rst").read_text()
SOURCES = sorted(
    path
    for folder in ("chatgpt4online", "tests", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
    if path != Path(__file__)  # the citations in this file are wrong on purpose
)
LAST_SECTION = 7

_TITLE = re.compile(r"^(\d+(?:\.\d+)*) .+\n[-~]{3,}$", re.MULTILINE)
_LABEL = re.compile(r"^\.\. _protocol-([\d-]+):\n\n(\d+(?:\.\d+)*) ", re.MULTILINE)
_ITEM = re.compile(r"^(\d+)\. ", re.MULTILINE)

# "section 1.4", "sections 1.2 and 4.1", "sections 2, 5 and 7", "sections 2.1 to 2.3", "section 5, 18" (its item 18).
_NUMBER = r"\d+(?:\.\d+)*"
_CITATION = re.compile(
    rf"\bsection(s?)\s+({_NUMBER}(?:(?:,\s+(?:and\s+)?|\s+(?:and|to|or)\s+){_NUMBER})*)", re.IGNORECASE
)
_PART = re.compile(rf"(,|\band\b|\bto\b|\bor\b|^)\s*({_NUMBER})")
_OTHER_DOCUMENT = re.compile(r"\bRFC\s+\d+\W+$")
_NEW_LINE = re.compile(r"\n[ \t]*(?:#:?[ \t]*)?")


def find_sections(document: str) -> list[str]:
    return _TITLE.findall(document)


def find_items(document: str) -> list[int]:
    """Return the numbers of the items in the list of section 5."""
    body = document.partition("\n.. _protocol-5:\n")[2].partition("\n.. _protocol-6:\n")[0]
    return [int(number) for number in _ITEM.findall(body)]


def find_citations(source: str) -> list[str]:
    """Return the places that a Python source cites: sections, and items such as ``"5, 18"``."""
    text = _NEW_LINE.sub(" ", source)
    places = []
    for citation in _CITATION.finditer(text):
        if _OTHER_DOCUMENT.search(text[: citation.start()][-30:]):
            continue
        plural, numbers = citation.groups()
        section, in_items = "", False
        for separator, number in _PART.findall(numbers):
            # "sections 2, 5, 6" goes on with a section, and "sections 2 and 5, 18" with an item.
            can_be_item = "." not in number and not (plural and int(number) <= LAST_SECTION)
            if section == "5" and can_be_item and (separator == "," or in_items):
                in_items = True
                places.append(f"5, {number}")
            else:
                section, in_items = number, False
                places.append(number)
    return places


def find_missing(source: str, document: str = DOCUMENT) -> list[str]:
    """Return the places that a source cites and that the document does not have."""
    existing = {*find_sections(document), *(f"5, {item}" for item in find_items(document))}
    return [place for place in find_citations(source) if place not in existing]


def build(document: str) -> docutils.nodes.document:
    settings = {"report_level": docutils.utils.Reporter.WARNING_LEVEL, "halt_level": 2}
    return docutils.core.publish_doctree(document, settings_overrides=settings)


def test_every_cited_section_exists() -> None:
    missing = {str(path.relative_to(ROOT)): find_missing(path.read_text()) for path in SOURCES}
    assert {path: places for path, places in missing.items() if places} == {}


def test_citations_are_found_in_the_code() -> None:
    found = {place for path in SOURCES for place in find_citations(path.read_text())}
    assert {"1.4", "2", "2.3", "4.1", "6.2", "7", "5, 12", "5, 18", "5, 20"} <= found


def test_sections_are_complete_and_in_order() -> None:
    subsections = {1: 9, 2: 6, 3: 8, 4: 3, 5: 0, 6: 5, 7: 0}
    expected = []
    for section, count in subsections.items():
        expected += [str(section), *(f"{section}.{number}" for number in range(1, count + 1))]
    assert find_sections(DOCUMENT) == expected


def test_every_section_has_the_label_of_its_number() -> None:
    labels = _LABEL.findall(DOCUMENT)
    assert [label.replace("-", ".") for label, _ in labels] == find_sections(DOCUMENT)
    assert [title for _, title in labels] == find_sections(DOCUMENT)


def test_items_of_section_5_are_complete_and_in_order() -> None:
    assert find_items(DOCUMENT) == list(range(1, 31))


def test_document_builds_without_warnings() -> None:
    build(DOCUMENT)


def test_warning_of_docutils_is_an_error() -> None:
    with pytest.raises(docutils.utils.SystemMessage):
        build(DOCUMENT + "\nThis ends in an *unclosed mark.\n")


def test_docutils_reads_the_same_sections_and_items_as_these_tests() -> None:
    tree = build(DOCUMENT)
    sections = list(tree.findall(docutils.nodes.section))
    assert [section.next_node(docutils.nodes.title).astext().split()[0] for section in sections] == find_sections(
        DOCUMENT
    )
    (fifth,) = (section for section in sections if "protocol-5" in section["ids"])
    assert [len(numbered) for numbered in fifth.findall(docutils.nodes.enumerated_list)] == [30]


def test_every_named_recording_exists() -> None:
    names = re.findall(r"``(\d+\.\d+\.\d+/\w+)``", DOCUMENT)
    seen = DOCUMENT.partition("\n.. _protocol-7:\n")[2]  # this section names recordings without their release
    names += [f"3.6.2/{name}" for name in re.findall(r"[(,]\s?``([a-z_0-9]+)``(?=[,)])", seen)]
    captures = ROOT / "tests" / "captures"
    assert len(names) > 40
    assert [name for name in names if not (captures / f"{name}.resp.http").exists()] == []


def test_no_line_is_longer_than_120_columns() -> None:
    assert [number for number, line in enumerate(DOCUMENT.splitlines(), 1) if len(line) > 120] == []


@pytest.mark.parametrize(
    ("source", "places"),
    [
        ("# (protocol section 1.4)", ["1.4"]),
        ("# See protocol sections 1.2 and 4.1.", ["1.2", "4.1"]),
        ("# protocol sections 2, 5 and 7", ["2", "5", "7"]),
        ("# protocol sections 5, 6 and 7", ["5", "6", "7"]),
        ("# protocol sections 2.1 to 2.3", ["2.1", "2.3"]),
        ("# sections 1.4 and 5, 20", ["1.4", "5", "5, 20"]),
        ("# protocol section 5, 18", ["5", "5, 18"]),
        ("# protocol section 5, 3", ["5", "5, 3"]),
        ("# protocol section 5, 12 and 18", ["5", "5, 12", "5, 18"]),
        ('"""Tell it. Source: section 1.8."""', ["1.8"]),
        ("# docs/protocol.rst section 2.5", ["2.5"]),
        ("# Protocol section 1.4: no other key", ["1.4"]),
        ('"""Do it (protocol\n    section 2.3), and more."""', ["2.3"]),
        ('"""Do it (protocol sections\n    1.2\n    and 4.1)."""', ["1.2", "4.1"]),
        ("#: Do it (protocol section\n#: 5,\n#: 18)", ["5", "5, 18"]),
        ("# as RFC 9110, section 5.3 says", []),
        ("# as (RFC 9110,\n    # section 10.2.3) says", []),
        ("# two sections of the 3 have it", []),
    ],
)
def test_every_form_of_citation_is_read(source: str, places: list[str]) -> None:
    assert find_citations(source) == places


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("# protocol section 9.9", ["9.9"]),
        ("# protocol section 8", ["8"]),
        ("# protocol section 1.10", ["1.10"]),
        ("# protocol section 1.4.1", ["1.4.1"]),
        ("# protocol section 0", ["0"]),
        ("# protocol section 5.1", ["5.1"]),
        ("# protocol sections 1.4 and 2.7", ["2.7"]),
        ("# protocol sections 1, 8 and 2", ["8"]),
        ("# protocol section 5, 31", ["5, 31"]),
        ("# protocol section 5, 0", ["5, 0"]),
        ("# sections 1.4 and 5, 99", ["5, 99"]),
        ("# protocol sections 5 and 9", ["9"]),
        ('"""Do it (protocol\n    section\n    9.9)."""', ["9.9"]),
        ("# protocol section 1.4", []),
    ],
)
def test_wrong_citation_is_found(source: str, missing: list[str]) -> None:
    assert find_missing(source) == missing


def test_citation_of_a_removed_section_is_found() -> None:
    document = DOCUMENT.replace("2.5 Special outcomes", "Special outcomes").replace("\n18. ", "\n")
    assert find_missing("# docs/protocol.rst section 2.5; protocol section 5, 18", document) == ["2.5", "5, 18"]
