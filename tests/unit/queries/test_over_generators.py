"""States over datasets: paired with the control of the same dataset, intervals over datasets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from decortex.evaluation.agreement import detectable_effect
from decortex.evaluation.performance import t_interval
from decortex_schemas.queries.evaluation import over_generators

TUNED = (0.50, 0.62, 0.71)
CONTROL = (0.40, 0.60, 0.50)
CARRIED = (0.45, 0.60, 0.69)


def row(dataset: int, state: str, method: str, truth: float | None, **changed: Any) -> dict[str, Any]:
    return {
        "dataset": f"g{dataset}",
        "model": "cnn after 5",
        "embedding": "l2",
        "start_method": "kmeans",
        "seed": 0,
        "k": 8,
        "finetune": "december",
        "state": state,
        "method": method,
        "n_networks": 2 + dataset,
        "ari_networks": 0.7,
        "ari_truth": truth,
        "share_changed": 0.1 if state == "fine_tuned" else None,
        "silhouette": 0.2,
        "correlation_change": -0.001 * dataset,
        "ari_networks_excess": None,
        "null": None,
        **changed,
    }


def rows() -> list[dict[str, Any]]:
    own = [row(i, "fine_tuned", "own", value) for i, value in enumerate(TUNED)]
    control = [row(i, "control", "kmeans", value) for i, value in enumerate(CONTROL)]
    carried = [row(i, "control_carried", "kmeans", value) for i, value in enumerate(CARRIED)]
    return own + control + carried + [row(i, "control", "gmm", 0.9) for i in range(3)]


def test_a_gain_is_within_datasets_and_its_interval_over_them() -> None:
    found = {(one["state"], one["method"]): one for one in over_generators(rows())}
    own, gains = found["fine_tuned", "own"], np.subtract(TUNED, CONTROL)
    assert (own["n_generators"], own["n_networks"]) == (3, 2)
    assert own["ari_truth"] == pytest.approx(np.mean(TUNED))
    assert own["ari_truth_gain"] == pytest.approx(gains.mean())
    assert (own["ari_truth_gain_low"], own["ari_truth_gain_high"]) == pytest.approx(t_interval(gains))
    expected = detectable_effect(float(gains.std(ddof=1)), 3)
    assert own["ari_truth_gain_detectable"] == pytest.approx(expected)
    assert own["ari_networks_gain"] == pytest.approx(0.0)
    assert own["share_changed"] == pytest.approx(0.1)
    assert own["correlation_change"] == pytest.approx(-0.001)
    assert found["control", "kmeans"]["ari_truth_gain"] == 0
    assert found["control", "gmm"]["ari_truth_gain"] == pytest.approx(0.9 - np.mean(CONTROL))


def test_own_labels_are_compared_with_the_carried_start_too() -> None:
    found = {(one["state"], one["method"]): one for one in over_generators(rows())}
    own, gains = found["fine_tuned", "own"], np.subtract(TUNED, CARRIED)
    assert own["ari_truth_over_carried"] == pytest.approx(gains.mean())
    ends = own["ari_truth_over_carried_low"], own["ari_truth_over_carried_high"]
    assert ends == pytest.approx(t_interval(gains))
    expected = detectable_effect(float(gains.std(ddof=1)), 3)
    assert own["ari_truth_over_carried_detectable"] == pytest.approx(expected)
    assert found["control_carried", "kmeans"]["ari_truth_over_carried"] == 0
    without = [one for one in rows() if one["state"] != "control_carried"]
    (own,) = (one for one in over_generators(without) if one["state"] == "fine_tuned")
    assert own["ari_truth_over_carried"] is None


def test_null_models_count_a_dataset_once_and_one_dataset_has_no_interval() -> None:
    twice = [{**one, "null": null} for one in rows() for null in ("gaussian", "copula")]
    assert over_generators(twice) == over_generators(rows())
    single = {one["state"]: one for one in over_generators([one for one in rows() if one["dataset"] == "g0"])}
    assert single["fine_tuned"]["ari_truth_gain"] == pytest.approx(0.1)
    assert single["fine_tuned"]["ari_truth_gain_low"] is None
    assert single["fine_tuned"]["ari_truth_gain_detectable"] is None


def test_what_nobody_knows_is_none() -> None:
    unknown = [{**one, "ari_truth": None} for one in rows()]
    (own,) = (one for one in over_generators(unknown) if one["state"] == "fine_tuned")
    assert own["ari_truth"] is None
    assert own["ari_truth_gain"] is None
