"""constraints.txt: one version of every package on each Python that the project supports, and a set that resolves."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
CONSTRAINTS = ROOT / "constraints.txt"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
# What `make setup`, `make docs`, `make e2e` and the documented extras install; `bench` builds from source.
EXTRAS = ("dev", "dash", "s3", "docs", "umap", "e2e", "anndata")
# Libraries that some builds of torch bring, under versions of torch's own choice.
OF_TORCH = ("nvidia-", "cuda-", "triton")
UNREACHABLE = ("Failed to fetch", "Could not connect", "dns error", "error sending request")


def pins(python: str) -> dict[str, list[str]]:
    """Versions by package on one Python."""
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.9"}
    found: dict[str, list[str]] = {}
    for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            (one,) = requirement.specifier
            assert one.operator == "==", line
            found.setdefault(canonicalize_name(requirement.name), []).append(one.version)
    return found


@pytest.mark.parametrize("python", PYTHONS)
def test_no_package_is_pinned_twice(python: str) -> None:
    assert {name: versions for name, versions in pins(python).items() if len(versions) > 1} == {}


def test_these_are_the_pythons_that_the_project_names() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = SpecifierSet(re.findall(r'^requires-python = "(.*)"', text, flags=re.M)[0])
    assert PYTHONS[0] in wanted
    assert "3.9" not in wanted


@pytest.mark.parametrize("python", PYTHONS)
def test_the_set_resolves(python: str, tmp_path: Path) -> None:
    """uv takes the markers of the Python asked for; pip's --python-version takes those of the one that runs."""
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    words = ["--no-config", "--quiet", "--python-version", f"{python}.9", "-c", str(CONSTRAINTS), *extras]
    target = tmp_path / "resolved.txt"
    done = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *words, "-o", str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode and any(text in done.stderr for text in UNREACHABLE):
        pytest.skip(f"no package registry can be reached: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    resolved = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", target.read_text(), flags=re.M))
    known = pins(python)
    own = {name: version for name, version in resolved.items() if not name.startswith(OF_TORCH)}
    assert len(own) > 100
    assert {name for name in own if canonicalize_name(name) not in known} == set()
    assert {
        name: (v, known[canonicalize_name(name)])
        for name, v in own.items()
        if [v] != known[canonicalize_name(name)]
    } == {}
