"""Networks that somebody else published, registered by their checkpoints and clustered through the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_lab import compute, fill, plan_for

import decortex_schemas as schemas
from decortex.errors import CheckpointError
from decortex_schemas import queries
from decortex_schemas.register import declare_plan, register_checkpoint
from decortex_schemas.tables import freeze_study


@pytest.mark.real_data
def test_the_sensorium_network_is_clustered_as_it_is(database: dict[str, str], shared_data: Path) -> None:
    path = shared_data / "mouse_v1_sensorium" / "sensorium_sota_model.pth"
    register_checkpoint(path, name="mouse-v1")
    declare_plan("mouse", _plan("mouse-v1", counts=[2, 5], seeds=[0]))
    # The number of types of so many neurons takes as long as all else here; the test below counts real ones too.
    compute([schemas.TrainedModel, schemas.Embedding, schemas.Clustering])
    array = (schemas.Embedding & {"dataset": "mouse-v1"}).fetch1("array").load()
    state = torch.load(path, map_location="cpu", weights_only=True)
    (name,) = [name for name in state if name.endswith("._features")]
    assert array.shape == (7776, 64)
    np.testing.assert_array_equal(array, state[name][0, :, 0, :].T.double().numpy())
    assert len(schemas.Dataset.Neuron & {"dataset": "mouse-v1"}) == 7776
    rows = (schemas.Clustering & {"dataset": "mouse-v1"}).to_dicts()
    assert sorted((row["method"], row["k"], row["k_effective"]) for row in rows) == [
        (method, k, k) for method in ("gmm", "kmeans") for k in (2, 5)
    ]
    (schemas.Study & {"study": "mouse"}).delete(prompt=False, part_integrity="cascade")


@pytest.mark.real_data
def test_three_seeds_of_the_same_neurons_are_compared(database: dict[str, str], shared_data: Path) -> None:
    folder = shared_data / "macaque_v1_seeds"
    register_checkpoint(folder / "monkey_model3.pt", name="macaque-v1", seed=3)
    for seed in (10, 12):
        register_checkpoint(
            folder / f"monkey_model{seed}.pt", name="macaque-v1", dataset="macaque-v1", seed=seed
        )
    declare_plan("monkey", _plan("macaque-v1", counts=[3], seeds=[0, 1]))
    fill()
    freeze_study("monkey")
    fill()
    rows = queries.results("monkey")
    assert {row["method"] for row in rows} == {"kmeans", "gmm"}
    for row in rows:
        assert row["n_partitions"] == 6
        assert 0 < row["ari_seeds"] < row["ari_clustering_seeds"] <= 1
    with pytest.raises(CheckpointError, match="holds 7776 neurons, dataset 'macaque-v1' 458"):
        register_checkpoint(
            shared_data / "mouse_v1_sensorium" / "sensorium_sota_model.pth", dataset="macaque-v1"
        )


def _plan(dataset: str, **changed: object) -> object:
    return plan_for(
        dataset,
        networks=[{"dataset": dataset, "imported": dataset}],
        embeddings=[{"name": "raw", "params": {"kind": "raw"}}],
        finetunings=[],
        **changed,
    )
