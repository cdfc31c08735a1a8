"""Write the oldest versions that setup.cfg and pyproject.toml allow, as constraints for pip: ``python -m tests.floor``.

``.ci/run`` installs exactly these versions and runs the tests of the clients on them.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Iterator
from configparser import ConfigParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


class NoFloor(Exception):
    """A requirement has no single oldest version."""


def declared(root: Path = ROOT) -> Iterator[str]:
    """Yield each requirement of the package, its extras, its build and its developers."""
    config = ConfigParser()
    config.read(root / "setup.cfg", "utf-8")
    for section in [config["options"]["install_requires"], *config["options.extras_require"].values()]:
        yield from filter(None, section.splitlines())
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    yield from project["build-system"]["requires"]
    for group in project["dependency-groups"].values():
        yield from (line for line in group if isinstance(line, str))  # the others include a group


def floors(requirements: Iterable[str]) -> dict[str, str]:
    """Return the oldest version of each package that the requirements name.

    Raises NoFloor for a requirement without a lower bound, and for a package with two different ones.
    """
    oldest: dict[str, str] = {}
    for text in requirements:
        requirement = Requirement(text)
        bounds = [bound.version for bound in requirement.specifier if bound.operator == ">="]
        if len(bounds) != 1:
            raise NoFloor(f"{text!r} needs one lower bound: NAME>=VERSION")
        name = canonicalize_name(requirement.name)
        if oldest.setdefault(name, bounds[0]) != bounds[0]:
            raise NoFloor(f"{name} has two lower bounds: {oldest[name]} and {bounds[0]}")
    return oldest


def main() -> int:
    """Print one constraint a line. Return 1 if a requirement has no floor."""
    try:
        oldest = floors(declared())
    except NoFloor as error:
        print(error, file=sys.stderr)
        return 1
    for name, version in sorted(oldest.items()):
        print(f"{name}=={version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
