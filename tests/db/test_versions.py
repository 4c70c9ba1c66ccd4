"""Specifications of another version of an algorithm: nobody computes them with this one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import decortex_schemas as schemas
from decortex.clustering import algorithm_version
from decortex.errors import OperationError
from decortex_ops.workers.resources import Limits, reason_to_leave
from decortex_schemas.database import computed_tables, instance_of
from decortex_schemas.queries import recompute
from decortex_schemas.tables import Fitting


@pytest.fixture
def other_version(lab: str) -> Iterator[dict[str, object]]:
    """Key of a clustering whose method is recorded with a version that nobody has."""
    key = (schemas.Clustering & {"k": 3, "seed": 0}).keys(order_by="KEY")[0]
    own = {"method": key["method"], "method_id": key["method_id"]}
    schemas.ClusteringMethod.update1({**own, "algorithm_version": 99})
    try:
        yield {name: key[name] for name in schemas.Clustering().primary_key}
    finally:
        schemas.ClusteringMethod.update1({**own, "algorithm_version": algorithm_version(str(key["method"]))})


def test_a_worker_leaves_the_key_and_names_both_versions(other_version: dict[str, object]) -> None:
    reason = reason_to_leave(instance_of(schemas.Clustering), dict(other_version), Limits())
    assert reason is not None
    assert "version 99" in reason
    assert f"computes version {algorithm_version(str(other_version['method']))}" in reason


def test_populate_and_recompute_refuse(other_version: dict[str, object]) -> None:
    with pytest.raises(OperationError, match="version 99"):
        schemas.Clustering().make_compute(dict(other_version), "", "", {}, {})
    with pytest.raises(OperationError, match="version 99"):
        recompute("Clustering", dict(other_version))


def test_every_table_that_fits_a_method_checks_its_version() -> None:
    fitting = {table.__name__ for table in computed_tables() if issubclass(table, Fitting)}
    assert fitting == {"Clustering", "SubsampleClustering", "KCriteria", "NullFit", "SeedNullFit"}


def test_rows_say_the_version_of_their_computation(lab: str) -> None:
    for table in computed_tables():
        stored = {int(version) for version in table().to_arrays("computation_version")}
        assert stored <= {table.version}, table.__name__
