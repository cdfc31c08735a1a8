"""The pictures of docs/architecture.rst, drawn from the code. ``python -m tests.architecture`` writes them again."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import wrap

from chatgpt4online.protocol.calls.policies import ANY_STEP, TABLE

from .package.test_imports import FACES, INSIDE, LAYERS, layer, siblings

DOCUMENT = Path(__file__).parent.parent / "docs" / "architecture.rst"


def layers() -> str:
    """Return the layers, the highest first, each with its modules and the layers that it imports."""
    lines = []
    for names in reversed(LAYERS):
        for name in names:
            modules = [module for module in INSIDE if layer(module)[1] == name]
            if not modules:
                continue
            used = {sibling for module in modules for sibling in siblings(module)}
            below = {"the public names" if module in FACES else layer(module)[1] for module in used} - {name}
            files = [module.removeprefix(f"{name}/") for module in modules if not module.endswith("__init__")]
            content = " ".join(files) if files != [name] else "(one file)"
            arrows = f"imports {', '.join(sorted(below)) or 'nothing'}"
            for number, line in enumerate([*wrap(content, 92), *wrap(arrows, 92)]):
                lines.append(f"{'' if number else name:<18} {line}")
        lines.append("")
    return "\n".join(f"    {line}".rstrip() for line in lines).rstrip()


def reactions() -> str:
    """Return the table of reactions."""
    rows = [("step", "refusal", "first possible reaction")]
    for steps, refusal, reaction in TABLE:
        where = "any" if steps == ANY_STEP else ", ".join(step.value for step in steps)
        rows.append((where, refusal.value, ", else ".join(kind.value for kind in reaction)))
    rows.append(("any", "any refusal without a row above", "fail"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    rule = "  ".join("=" * width for width in widths)
    template = "  ".join(f"{{:<{width}}}" for width in widths)
    head, *body = [template.format(*row).rstrip() for row in rows]
    return "\n".join([rule, head, rule, *body, rule])


PICTURES = {"layers": layers, "reactions": reactions}


def drawn(text: str) -> str:
    """Return the document with every picture drawn from the code as it is now."""
    for name, picture in PICTURES.items():
        pattern = re.compile(rf"(\.\. picture: {name}\n\n(?:::\n\n)?)(.*?)(\n\n\.\. end of picture)", re.DOTALL)
        assert pattern.search(text), f"the document has no place for the picture {name!r}"
        text = pattern.sub(lambda match, made=picture: match[1] + made() + match[3], text)
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(drawn(DOCUMENT.read_text("utf-8")), "utf-8")
