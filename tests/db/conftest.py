"""A database of this test run, and a small lab that has been through the whole chain."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from decortex.data.simulate import SimulationConfig
from decortex_ops.defaults import register_defaults
from decortex_ops.plans import PlanFile, declare_plan
from decortex_ops.scheduler import queues_empty, sweep
from decortex_ops.worker import work
from decortex_schemas.comparison import freeze_study
from decortex_schemas.database import (
    computed_tables,
    connect,
    declare_everything,
    open_connection,
    read_settings,
)
from decortex_schemas.datasets import register_simulation

SMALL = {
    "n_neurons": 36,
    "n_animals": 2,
    "n_train": 160,
    "n_validation": 40,
    "n_test": 16,
    "n_repeats": 3,
}
NETWORK = {
    "layers": [{"channels": 6, "kernel": 9, "pool": 2}, {"channels": 6, "kernel": 5}],
    "readout": {"kind": "point"},
}
TRAINING = {"max_epochs": 2, "batch_size": 32}
SCHEDULE = {"max_epochs": 2, "batch_size": 32, "learning_rate": 0.001, "schedule": "constant", "keep": "last"}


def plan_for(dataset: str, **changed: object) -> PlanFile:
    """A study of every kind of step, small enough for a test."""
    start = {"schedule": SCHEDULE, "counts": [3], "seeds": [0], "methods": ["kmeans"]}
    plan = {
        "networks": [{"dataset": dataset, "network": NETWORK, "training": TRAINING, "seeds": [0, 1]}],
        "embeddings": [{"name": "l2", "params": {"kind": "raw", "l2": True}}],
        "methods": [{"method": "kmeans"}, {"method": "gmm", "params": {"covariance": "diag"}}],
        "counts": [2, 3],
        "seeds": [0, 1],
        "finetunings": [
            {"name": "dec", "params": {"kind": "dec"}, **start},
            {"name": "dec_joint", "params": {"kind": "dec_joint", "beta": 0.1}, **start},
        ],
    }
    return PlanFile.from_params({**plan, **changed})


def fill() -> None:
    """Queue and compute until nothing is left, in this process."""
    while True:
        added = sweep().added
        summary = work(computed_tables(), stop_when_idle=0.0)
        assert summary.failed == [], summary.failed
        if not added and queues_empty():
            return


@pytest.fixture(scope="session")
def database(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Environment variables of an empty declared database; this process is connected to it."""
    environment = {
        **server,
        "DECORTEX_DATABASE": f"test_{uuid.uuid4().hex[:12]}",
        "DECORTEX_STORE": str(tmp_path_factory.mktemp("store")),
        "DECORTEX_CACHE": os.environ.get("DECORTEX_CACHE", str(Path.home() / ".cache" / "decortex")),
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    connection = open_connection(read_settings())
    declare_everything(connection)
    connect()
    register_defaults()
    yield environment
    connection.query(f"DROP DATABASE `{environment['DECORTEX_DATABASE']}`")
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="session")
def lab(database: dict[str, str]) -> str:
    """Name of a study that has been computed, frozen and compared."""
    register_simulation("small", SimulationConfig.from_params(SMALL), seed=3)
    declare_plan("small-study", plan_for("small"))
    fill()
    freeze_study("small-study")
    fill()
    return "small-study"
