"""Carried partitions of several networks and clustering seeds: like the agreement of any partitions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from decortex.evaluation.agreement import pairs_interval
from decortex.evaluation.performance import t_interval
from decortex_schemas.queries.evaluation.finetuning.carried import _measures


def test_networks_are_compared_at_equal_clustering_seed_and_seeds_are_averaged() -> None:
    rng = np.random.default_rng(0)
    rows = {
        (network, seed): {
            "labels": rng.integers(0, 3, 40).astype(np.int16),
            "silhouette": 0.1 * network + 0.01 * seed,
            "ari_truth": 0.1 * seed,
        }
        for network in (0, 1, 2)
        for seed in (0, 5)
    }
    rows[1, 5]["labels"][:4] = -1  # neurons without a place are left out of a pair
    pairs = {}
    for one, other in ((0, 1), (0, 2), (1, 2)):
        found = []
        for seed in (0, 5):
            a, b = rows[one, seed]["labels"], rows[other, seed]["labels"]
            found.append(adjusted_rand_score(a[(a >= 0) & (b >= 0)], b[(a >= 0) & (b >= 0)]))
        pairs[one, other] = float(np.mean(found))
    measures = _measures(rows)
    assert measures["n_networks"] == 3
    assert measures["ari_networks"] == pytest.approx(np.mean(list(pairs.values())))
    ends = measures["ari_networks_low"], measures["ari_networks_high"]
    assert ends == pytest.approx(pairs_interval(pairs))
    assert measures["ari_truth"] == pytest.approx(0.25)
    silhouettes = np.array([0.025, 0.125, 0.225])
    assert measures["silhouette"] == pytest.approx(silhouettes.mean())
    assert (measures["silhouette_low"], measures["silhouette_high"]) == pytest.approx(t_interval(silhouettes))


def test_one_network_has_no_agreement_and_what_nobody_knows_is_none() -> None:
    row = {"labels": np.array([0, 0, 1], dtype=np.int16), "silhouette": None, "ari_truth": None}
    measures = _measures({(3, 0): row})
    unknown = ("ari_networks", "ari_networks_low", "ari_truth", "silhouette", "silhouette_low")
    assert [measures[name] for name in unknown] == [None] * len(unknown)
    assert measures["n_networks"] == 1
