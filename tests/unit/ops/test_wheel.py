"""A wheel built from this tree holds every file of the packages, the example plans, and what it was built from."""

from __future__ import annotations

import json
import zipfile

import pytest
from wheel_building import ROOT, build_wheel

from decortex_schemas.database import build_facts

PACKAGES = ("pipeline/decortex", "schemas/decortex_schemas", "populate_scripts/decortex_ops")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(build_wheel(tmp_path_factory.mktemp("wheel")))


def test_it_holds_every_file(wheel: zipfile.ZipFile) -> None:
    held = set(wheel.namelist())
    own = {
        path.relative_to((ROOT / package).parent).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert any(name.endswith("report.html.j2") for name in own)
    assert any(name.endswith(".css") for name in own)
    assert own <= held, sorted(own - held)
    assert not [name for name in held if name.startswith(("tests/", "docs/"))]


def test_it_holds_the_example_plans(wheel: zipfile.ZipFile) -> None:
    plans = {path.name: path.read_bytes() for path in (ROOT / "docs" / "plans").glob("*.json")}
    assert plans
    assert {name: wheel.read(f"decortex_ops/plans/{name}") for name in plans} == plans


def test_it_says_what_it_was_built_from(wheel: zipfile.ZipFile) -> None:
    built = json.loads(wheel.read("decortex_schemas/build.json"))
    assert built == build_facts(ROOT)
    assert len(built["source_sha256"]) == 64
