"""The oldest versions that the package allows: each requirement has one, and it is read as pip reads it."""

from __future__ import annotations

from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from .. import floor
from ..floor import NoFloor


def test_every_declared_requirement_has_a_floor() -> None:
    oldest = floor.floors(floor.declared())
    assert {"requests", "python-socks", "pytest", "setuptools", "ruff"} <= oldest.keys()


def test_floors_include_every_requirement_of_the_installed_package() -> None:
    installed = {Requirement(line).name for line in requires("chatgpt4online") or ()}
    assert {"requests", "python-socks", "pytest"} <= installed <= floor.floors(floor.declared()).keys()


def test_floors_are_read_from_each_section(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text(
        "[options]\ninstall_requires =\n    # the reason\n    One[fast]>=1.0\n"
        "[options.extras_require]\nextra =\n    two>=2,<3 ; python_version > '3'\n"
    )
    (tmp_path / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['three>=3']\n[dependency-groups]\na = ['Four_4>=4']\nb = [{include-group = 'a'}]\n"
    )
    expected = {"one": "1.0", "two": "2", "three": "3", "four-4": "4"}
    assert floor.floors(floor.declared(tmp_path)) == expected


@pytest.mark.parametrize("requirement", ["requests", "requests<3", "requests==2", "requests>=2,>=3", "requests>2"])
def test_requirement_without_a_floor_is_refused(requirement: str) -> None:
    with pytest.raises(NoFloor, match="requests"):
        floor.floors([requirement])


def test_two_floors_of_a_package_are_refused() -> None:
    assert floor.floors(["h11>=0.16", "H11>=0.16"]) == {"h11": "0.16"}
    with pytest.raises(NoFloor, match="h11 has two lower bounds"):
        floor.floors(["h11>=0.16", "H11>=0.17"])


def test_main_prints_constraints(capsys: pytest.CaptureFixture[str]) -> None:
    assert floor.main() == 0
    lines = [line.split("==") for line in capsys.readouterr().out.splitlines()]
    assert dict(lines) == floor.floors(floor.declared())


def test_main_names_a_requirement_without_a_floor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(floor, "declared", lambda: ["requests"])
    assert floor.main() == 1
    assert capsys.readouterr() == ("", "'requests' needs one lower bound: NAME>=VERSION\n")
