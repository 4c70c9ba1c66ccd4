"""constraints.txt: one version of every package on each Python that the project supports, and a set that resolves."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
CONSTRAINTS = ROOT / "constraints.txt"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
# What `make setup`, `make docs`, `make e2e` and the documented extras install; `bench` builds from source.
EXTRAS = ("dev", "dash", "s3", "docs", "umap", "e2e", "anndata", "scanpy")
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


@pytest.fixture(scope="module")
def resolutions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Popen[str], Path]]]:
    """What uv makes of the set on every Python, at once: it waits for the registry most of the time.

    uv takes the markers of the Python asked for; pip's --python-version takes those of the one that runs.
    """
    folder = tmp_path_factory.mktemp("resolved")
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    with ExitStack() as stack:
        running = {}
        for python in PYTHONS:
            target = folder / f"{python}.txt"
            words = ["--no-config", "--quiet", "--python-version", f"{python}.9", "-c", str(CONSTRAINTS)]
            process = Popen(
                [
                    sys.executable,
                    "-m",
                    "uv",
                    "pip",
                    "compile",
                    "pyproject.toml",
                    *words,
                    *extras,
                    "-o",
                    str(target),
                ],
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            running[python] = (process, target)
        yield running


@pytest.mark.parametrize("python", PYTHONS)
def test_the_set_resolves(resolutions: dict[str, tuple[Popen[str], Path]], python: str) -> None:
    process, target = resolutions[python]
    said = process.communicate(timeout=600)[1]
    if process.returncode and any(text in said for text in UNREACHABLE):
        pytest.skip(f"no package registry can be reached: {said.strip().splitlines()[-1]}")
    assert process.returncode == 0, said
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
