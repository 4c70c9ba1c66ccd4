"""Fine-tuning through the tables: rotation kinds, refusals, what a user can ask for."""

from __future__ import annotations

import numpy as np
import pytest
from small_lab import SCHEDULE, plan_for

import decortex_schemas as schemas
from decortex.errors import ConfigError
from decortex_ops.plans import declare_plan
from decortex_ops.scheduler import sweep
from decortex_ops.worker import WorkSummary, work

SHIFT_EM = {"method": "rotation_tmixture", "params": {"n_orientations": 2, "n_init": 2}}


def finetuning(name: str, params: dict[str, object], **changed: object) -> dict[str, object]:
    start = {"schedule": SCHEDULE, "counts": [4], "seeds": [0], "methods": ["rotation_tmixture"]}
    return {"name": name, "params": params, **start, **changed}


def fine_tune(study: str, **plan: object) -> WorkSummary:
    """Compute a study's partitions of K = 4 and their fine-tunings, nothing else."""
    declare_plan(study, plan_for("small", counts=[4], seeds=[0], methods=[SHIFT_EM], **plan))
    sweep()
    assert work([schemas.Clustering], stop_when_idle=0.0).failed == []
    sweep()
    return work([schemas.DECFinetune], stop_when_idle=0.0)


def rows_of(name: str) -> list[dict[str, object]]:
    named = schemas.DECFinetune * schemas.FinetuneSpec.proj("finetune") & {"finetune": name, "model_seed": 0}
    found: list[dict[str, object]] = named.to_dicts()
    return found


def test_rotation_kinds_start_from_shift_em_and_store_every_shift(lab: str) -> None:
    variants = {
        "rotation_dec": {"kind": "rotation_dec", "shift": "best", "kernel": "scaled"},
        "rotation_december": {"kind": "rotation_december"},
    }
    done = fine_tune("rotating", finetunings=[finetuning(name, params) for name, params in variants.items()])
    assert done.failed == []
    for name in variants:
        (row,) = rows_of(name)
        assert row["finetune_status"] == "ok"
        fitted = row["parameters"]
        assert fitted["shifts"].shape == (36,)
        assert set(np.unique(fitted["shifts"])) <= {0.0, 1.0}
        energy = (fitted["centres"].reshape(4, 2, -1) ** 2).sum(axis=2)
        np.testing.assert_array_equal(energy.argmax(axis=1), 0)
        epochs = schemas.DECFinetune.Epoch & {k: row[k] for k in schemas.DECFinetune.primary_key if k in row}
        assert len(epochs) == 2


def test_a_rotation_kind_from_another_start_is_refused_when_the_study_is_declared(lab: str) -> None:
    start = finetuning("rotating from kmeans", {"kind": "rotation_dec"}, methods=["kmeans"], counts=[3])
    with pytest.raises(ConfigError, match="only clusterings by rotation_tmixture hold the shifts"):
        declare_plan("refused", plan_for("small", finetunings=[start]))
    assert not len(schemas.Study & {"study": "refused"})
