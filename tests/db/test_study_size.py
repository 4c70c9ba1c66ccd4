"""What studies take: forecasts against rows, own rows against shared ones, and no row left of a refused plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_lab import CHOICE, NETWORK, SMALL, TRAINING, plan_for
from support.row_counts import row_counts

import decortex_schemas as schemas
from decortex.data.simulation import SimulationConfig
from decortex.errors import ConfigError, InputError
from decortex_ops.workers.resources import memory_needed
from decortex_schemas import queries
from decortex_schemas.database import computed_tables, instance_of, schema
from decortex_schemas.register import asked_by, declare_plan, plan_cost, unused_condition
from decortex_schemas.tables import (
    Dataset,
    FrozenStudy,
    ModelTask,
    NullRecordings,
    Study,
    TrainedModel,
    load_recordings,
    register_simulation,
)


@pytest.fixture(scope="module")
def cells(database: dict[str, str]) -> str:
    """A simulated cortex that no study asks for."""
    register_simulation("sized", SimulationConfig.from_params(SMALL), seed=8)
    return "sized"


def contents() -> dict[str, int]:
    """Rows of every table but the queues and leases."""
    return {
        name: count
        for name, count in row_counts().items()
        if not name.startswith("~") and name != "worker_lease"
    }


NULL = {"kinds": ["gaussian"], "surrogates": 2}
DEC: dict[str, Any] = {"name": "sized dec", "params": {"kind": "dec", "alpha": 1.5}}
REFUSED = {
    "K exceeds the neurons": {"counts": [2, 3000]},
    "a network that is not known": {
        "networks": [
            {"dataset": "sized", "network": NETWORK, "training": {**TRAINING, "max_epochs": 3}},
            {"dataset": "nobody", "network": NETWORK, "training": TRAINING},
        ]
    },
    "no recipe": {"networks": [{"dataset": "sized", "recipe": "nobody"}]},
    "a fine-tuning of nothing": {"finetunings": [{**DEC, "methods": ["nobody"]}]},
    "a K that the study has not": {"finetunings": [{**DEC, "counts": [9]}]},
    "the null of nothing": {"finetunings": [], "finetuned_null": NULL},
    "states of nothing": {"finetunings": [], "states": "all"},
    "a choice among methods that it has not": {"selection": {**CHOICE, "methods": ["nobody"]}},
    "a choice among K that it has not": {"selection": {**CHOICE, "counts": [9]}},
    "a view of no kind": {"views": [{"name": "x", "params": {"kind": "nobody"}}]},
    "a name twice": {"seeds": [0, 0]},
}


@pytest.fixture(scope="module")
def untouched(cells: str) -> dict[str, int]:
    """What the database holds before the first plan is refused."""
    return contents()


@pytest.mark.parametrize("changed", REFUSED.values(), ids=REFUSED)
def test_a_refused_plan_leaves_no_row(cells: str, untouched: dict[str, int], changed: dict[str, Any]) -> None:
    new = {"embeddings": [{"name": "sized raw", "params": {"kind": "raw"}}], "seeds": [0, 7711]}
    plan = plan_for(cells, **{**new, **changed})
    with pytest.raises(InputError):
        declare_plan("refused", plan)
    assert contents() == untouched
    with pytest.raises(InputError):
        queries.forecast_plan("refused", plan)
    assert contents() == untouched


def test_a_forecast_leaves_no_row_and_what_it_says_is_then_asked_for(cells: str) -> None:
    schedule = {"schedule": {"max_epochs": 2}, "methods": ["kmeans"], "counts": [2], "seeds": [0]}
    plan = plan_for(
        cells,
        embeddings=[{"name": "sized raw", "params": {"kind": "raw"}}],
        selection=CHOICE,
        subsamples=2,
        finetunings=[{**DEC, **schedule}],
        finetuned_null=NULL,
        states="controls",
    )
    before = contents()
    said = queries.forecast_plan("sized-study", plan)
    assert plan_cost(plan)
    assert contents() == before
    assert [one["study"] for one in said] == [
        "sized-study",
        "sized-study-null",
        "sized-study-null-states",
        "sized-study-states",
    ]
    declare_plan("sized-study", plan)
    again = [queries.forecast(one["study"]) for one in said]
    assert [one["jobs"] for one in again] == [one["jobs"] for one in said]
    asked = {row["table"]: row["asked"] for row in said[0]["tables"]}
    # Two networks, one embedding, two methods, K of 2 and 3, two seeds, four surrogates, two subsamples.
    assert {
        name: asked[name] for name in ("TrainedModel", "Clustering", "SubsampleClustering", "NullFit")
    } == {
        "TrainedModel": 2,
        "Clustering": 16,
        "SubsampleClustering": 16,
        "NullFit": 32,
    }
    assert (asked["ContinuedTraining"], asked["DECFinetune"], asked["SeedNullFit"]) == (2, 18, 8)
    declare_plan("sized-study", plan)  # nothing new


@pytest.mark.parametrize("fixture", ["lab", "selection"])
def test_a_forecast_is_what_was_computed(fixture: str, request: pytest.FixtureRequest) -> None:
    study = request.getfixturevalue(fixture)
    asked = queries.asked_rows(study)
    for table in computed_tables():
        if "study" in table().primary_key and table.__name__ != "SeedNullFit":
            continue  # of the frozen study
        where, n_named = asked_by(table().primary_key)
        made = schema.connection.query(
            f"SELECT COUNT(*) FROM {table().full_table_name} AS q WHERE {where}", args=[study] * n_named
        ).fetchone()[0]
        assert made == asked.get(table.__name__, 0), table.__name__
    found = queries.forecast(study)
    assert (found["jobs"], found["seconds"], found["unknown"]) == (0, 0, [])
    assert all(row["seconds_each"] > 0 and row["bytes_each"] > 0 for row in found["tables"])
    assert any(row["file_bytes_each"] > 0 for row in found["tables"])


def needed(table: Any, study: str) -> set[tuple[Any, ...]]:
    """Keys of the rows of a table that a study asks for."""
    names = table().primary_key
    where, n_named = asked_by(names)
    columns = ", ".join(f"q.`{name}`" for name in names)
    rows = schema.connection.query(
        f"SELECT {columns} FROM {table().full_table_name} AS q WHERE {where}", args=[study] * n_named
    )
    return set(rows.fetchall())


def test_what_two_studies_need_is_shared(lab: str, selection: str) -> None:
    rows = {row["table"]: row for row in queries.study_rows(selection)}
    assert rows["TrainedModel"]["rows"] == 2
    assert rows["TrainedModel"]["own_rows"] == rows["Clustering"]["own_rows"] == 0
    assert rows["KCriteria"]["own_rows"] == rows["KCriteria"]["rows"] > 0
    assert rows["KSelection"]["own_rows"] == rows["KSelection"]["rows"] > 0
    other = {row["table"]: row for row in queries.study_rows(lab)}
    assert other["Clustering"]["own_rows"] < other["Clustering"]["rows"]
    assert other["ContinuedTraining"]["file_bytes"] > 0
    every = set(Study.to_arrays("study"))  # other tests' among them
    for table in (schemas.TrainedModel, schemas.Clustering, schemas.ContinuedTraining):
        for study, told in ((selection, rows), (lab, other)):
            own = needed(table, study).difference(*(needed(table, name) for name in every - {study}))
            assert told.get(table.__name__, {"own_rows": 0})["own_rows"] == len(own)
    trained = other["ContinuedTraining"]
    share = trained["own_rows"] / trained["rows"]
    assert trained["own_file_bytes"] == pytest.approx(share * trained["file_bytes"], rel=0.1)
    with pytest.raises(ConfigError, match="there is no study 'nobody'"):
        queries.study_rows("nobody")


def test_networks_are_needed_while_a_study_asks_for_them_or_for_what_is_taken_from_them(cells: str) -> None:
    plan = plan_for(
        cells,
        networks=[{"dataset": "sized", "network": NETWORK, "training": {**TRAINING, "max_epochs": 4}}],
        finetunings=[{**DEC, "schedule": {"max_epochs": 2}, "methods": ["kmeans"], "counts": [2]}],
        finetuned_null=NULL,
        states="controls",
    )
    declare_plan("unneeded", plan)
    ours = (Study.Model & {"study": "unneeded"}).proj()
    tasks = (ModelTask & ours.to_dicts()).to_dicts()
    of_nulls = (Study.Model & {"study": "unneeded-null"}).proj().to_dicts(order_by="dataset")
    studies = ["unneeded", "unneeded-states", "unneeded-null", "unneeded-null-states"]
    assert set(studies) <= set(Study.to_arrays("study"))
    where = unused_condition(ModelTask)
    chosen = " OR ".join(f"q.model_spec_id = {row['model_spec_id']}" for row in tasks)

    def unneeded() -> int:
        found = schema.connection.query(
            f"SELECT COUNT(*) FROM {ModelTask().full_table_name} AS q WHERE q.dataset = 'sized' AND ({chosen}) "
            f"AND {where}"
        )
        return int(found.fetchone()[0])

    assert len(tasks) == 1
    for study in studies:
        assert unneeded() == 0, study  # states, and null datasets, are taken from the network
        (Study & {"study": study}).delete(prompt=False, part_integrity="cascade")
    assert unneeded() == 1
    assert all(unused_condition(table) == "FALSE" for table in (FrozenStudy, NullRecordings))
    # Null datasets of a network that is gone are never drawn: no worker may be asked to train on them.
    nulls = [{name: row[name] for name in ModelTask().primary_key} for row in of_nulls]
    assert nulls
    (ModelTask & nulls).delete(prompt=False, part_integrity="cascade")
    (ModelTask & tasks).delete(prompt=False, part_integrity="cascade")


def test_the_memory_that_recordings_need_is_what_they_take(cells: str) -> None:
    """Each showing of a test image is a trial; they were counted once more for every showing."""
    recordings = load_recordings(cells)
    taken = sum(
        trials.read(np.arange(len(trials))).astype(np.float32).nbytes
        for session in recordings.sessions
        for trials in (session.images, session.responses)
    )
    assert max((Dataset.Session & {"dataset": cells}).to_arrays("n_repeats")) > 2
    key = {"dataset": cells, "model_spec_id": 1, "model_seed": 0}
    assert memory_needed(instance_of(TrainedModel), key) == taken


def test_a_choice_of_k_is_limited_to_methods_and_counts(cells: str) -> None:
    choice = {**CHOICE, "methods": ["gmm"], "counts": [3]}
    plan = plan_for(cells, finetunings=[], selection=choice)
    before = contents()
    whole, own = queries.forecast_plan("limited", plan)
    assert contents() == before
    assert (whole["study"], own["study"]) == ("limited", "limited-selection")
    assert {row["table"] for row in whole["tables"]}.isdisjoint({"KCriteria", "NullFit", "SeedNullFit"})
    # Two networks, one embedding, one method, one K, two surrogates of two null models.
    assert {row["table"]: row["asked"] for row in own["tables"]} == {
        "SeedNullFit": 4,
        "KCriteria": 2,
        "NullFit": 8,
    }
    declare_plan("limited", plan)
    asked = queries.asked_rows("limited-selection")
    assert (asked["Clustering"], asked["KCriteria"]) == (4, 2)
    assert queries.choosing_study("limited") == "limited-selection"
    with pytest.raises(ConfigError, match="study 'limited-selection' is not frozen"):
        queries.best_k("limited")
