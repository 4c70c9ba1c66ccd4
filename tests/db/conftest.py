"""A database of this test run, and a small lab that has been through the whole chain."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from small_lab import CHOICE, declare_small_study, fill, plan_for

from decortex_schemas.database import connect, declare_everything, open_connection, read_settings
from decortex_schemas.register import declare_plan, register_defaults
from decortex_schemas.tables import freeze_study


@pytest.fixture(scope="session")
def database(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Environment variables of an empty declared database; this process is connected to it."""
    environment = {
        **server,
        "DECORTEX_DATABASE": f"test_{uuid.uuid4().hex[:12]}",
        "DECORTEX_STORE": str(tmp_path_factory.mktemp("store")),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        connection = open_connection(read_settings())
        declare_everything(connection)
        connect()
        register_defaults()
        yield environment
        connection.query(f"DROP DATABASE `{environment['DECORTEX_DATABASE']}`")


@pytest.fixture(scope="session")
def lab(database: dict[str, str]) -> str:
    """Name of a study that has been computed, frozen and compared."""
    declare_small_study("small", "small-study")
    fill()
    freeze_study("small-study")
    fill()
    return "small-study"


@pytest.fixture(scope="session")
def selection(lab: str) -> str:
    """Name of a frozen study of the same networks with a choice of K, and too few surrogates to make one."""
    study = "selection-study"
    plan = plan_for("small", methods=[{"method": "kmeans"}], selection=CHOICE, finetunings=[])
    declare_plan(study, plan)
    fill()
    freeze_study(study)
    fill()
    return study
