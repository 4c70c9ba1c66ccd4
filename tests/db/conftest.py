"""A database of this test run, and a small lab that has been through the whole chain."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from forked_commands import ForkedLab, Yard
from support.copies import Copies
from support.servers import drop_database

from decortex.tuning import DiscriminativeConfig, ExcitingConfig
from decortex_schemas.database import connect
from decortex_schemas.register import register_defaults
from decortex_schemas.tables import FrozenStudy, Study

_own_databases: list[str] = []  # while this process is connected to one of this run's


@pytest.fixture(scope="session")
def database(
    server: dict[str, str],
    yard: Yard,
    copies: Copies,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[dict[str, str]]:
    """Environment variables of a declared database; this process is connected to it.

    It holds the small lab, computed once for all processes of the run, where any test of the session asks for it.
    """
    environment = {
        **server,
        "DECORTEX_DATABASE": f"test_{uuid.uuid4().hex[:12]}",
        "DECORTEX_STORE": str(tmp_path_factory.mktemp("store")),
    }
    asked = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    lab = ForkedLab({**os.environ, **environment}, Path(environment["DECORTEX_STORE"]), yard)
    if "selection" in asked:
        copies.load("small-lab-and-selection", lab, lambda one: _compute(one, selection=True))
    elif "lab" in asked:
        copies.load("small-lab", lab, lambda one: _compute(one, selection=False))
    else:
        copies.load("declared", lab, lambda one: one.run("init"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        connect()
        register_defaults()
        _own_databases.append(environment["DECORTEX_DATABASE"])
        yield environment
        _own_databases.clear()
        with lab.link_without_database() as link:
            drop_database(link, environment["DECORTEX_DATABASE"])


@pytest.fixture(scope="module", autouse=True)
def no_study_is_left_to_compute() -> Iterator[None]:
    """Remove what a file declared and did not freeze: else the next file that computes would compute that too."""
    yield
    if _own_databases:
        for study in (Study - FrozenStudy).to_arrays("study"):
            (Study & {"study": study}).delete(prompt=False, part_integrity="cascade")


def _compute(lab: ForkedLab, *, selection: bool) -> None:
    lab.python(f"from small_lab import compute_lab; compute_lab(selection={selection})")


@pytest.fixture(scope="session")
def lab(database: dict[str, str]) -> str:
    """Name of a study that has been computed, frozen and compared."""
    return "small-study"


@pytest.fixture(scope="session")
def selection(lab: str) -> str:
    """Name of a frozen study of the same networks with a choice of K, and too few surrogates to make one."""
    return "selection-study"


@pytest.fixture(scope="module")
def short_ascents() -> Iterator[None]:
    """The stimuli of clusters are climbed for 8 steps in place of 150."""
    with pytest.MonkeyPatch.context() as patch:
        for name, config in (("exciting", ExcitingConfig), ("discriminative", DiscriminativeConfig)):
            patch.setattr(f"decortex.tuning.{name}.{config.__name__}", partial(config, n_steps=8))
        yield
