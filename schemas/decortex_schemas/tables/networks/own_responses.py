"""Datasets of kind 'own': a network without recordings, and its own responses to natural images as targets.

Scores on them say how close a network is to the original model; they say nothing about the brain.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from decortex import data, models
from decortex.config import canonical_json
from decortex.errors import DatasetError
from decortex_schemas.tables.datasets import OPENERS, OWN_KIND, Dataset
from decortex_schemas.tables.networks.networks import ModelTask
from decortex_schemas.tables.networks.stored_networks import TASK_COLUMNS, rebuild_task


def open_own(row: dict[str, Any]) -> data.Recordings:
    """Open the recordings of one row of `Dataset`: the original network is shown its images again.

    Raises
    ------
    DatasetError
        If the checkpoint that the dataset was registered with is gone.
    """
    recipe = row["simulation"]
    tasks = ModelTask & {"dataset": row["dataset"], "checkpoint_sha256": recipe["checkpoint_sha256"]}
    keys = (tasks & "rebuild IS NOT NULL").proj().to_dicts(order_by="KEY", limit=1)
    if not keys:
        raise DatasetError(
            f"the network whose responses dataset {row['dataset']!r} holds is not registered any more: register its"
            " checkpoint again by the same command."
        )
    task = (keys[0]["dataset"], int(keys[0]["model_spec_id"]), int(keys[0]["model_seed"]))
    return _open(task, canonical_json(recipe["images"]), row["content_sha256"], row["neuron_order_sha256"])


@lru_cache(maxsize=2)
def _open(task_key: tuple[str, int, int], images: str, content: str, order: str) -> data.Recordings:
    key = dict(zip(("dataset", "model_spec_id", "model_seed"), task_key, strict=True))
    task = (ModelTask & key).proj(*TASK_COLUMNS).fetch1()
    network = rebuild_task(task, (ModelTask & key).fetch1("checkpoint"), order=order, image_shape=None)
    neurons = Dataset.Neuron & {"dataset": key["dataset"]}
    places = np.array(neurons.to_arrays("x", "y", order_by="neuron_idx"), dtype=np.float64).T
    return models.own_recordings(
        network,
        models.OwnResponsesConfig.model_validate_json(images),
        seed=0,
        content_sha256=content,
        cortical=places if np.isfinite(places).all() else None,
    )


OPENERS[OWN_KIND] = open_own
