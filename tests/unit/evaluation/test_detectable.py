"""What would have been detected: against simulated tests, planted types against their strength, and refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from decortex.errors import InputError
from decortex.evaluation.agreement import (
    PlantedEffect,
    detectable_effect,
    means_interval,
    pairs_interval,
    planted_effects,
    pseudo_values,
    smallest_detected,
)
from decortex.evaluation.performance import t_interval


@pytest.mark.parametrize(("n", "level", "power"), [(3, 0.95, 0.8), (10, 0.95, 0.8), (5, 0.99, 0.5)])
def test_the_detectable_effect_is_detected_as_often_as_it_says(n, level, power):
    effect = detectable_effect(0.3, n, level=level, power=power)
    samples = np.random.default_rng(0).normal(effect, 0.3, size=(4000, n))
    detected = np.mean([(t_interval(one, level)[0] or 0.0) > 0 for one in samples])
    assert detected == pytest.approx(power, abs=0.03)


def test_it_grows_with_the_spread_and_falls_with_the_sample():
    assert detectable_effect(0.2, 5) == pytest.approx(2 * detectable_effect(0.1, 5))
    assert detectable_effect(0.1, 10) < detectable_effect(0.1, 3)
    assert detectable_effect(0.0, 3) == 0.0
    assert detectable_effect(0.1, 1) is None
    with pytest.raises(InputError, match="standard deviation from 0"):
        detectable_effect(-0.1, 5)


@pytest.mark.parametrize("n", [3, 4, 7])
def test_means_of_networks_give_the_interval_of_their_pairs(n):
    rng = np.random.default_rng(n)
    pairs = {pair: float(rng.normal()) for pair in itertools.combinations(range(n), 2)}
    means = np.array([np.mean([v for pair, v in pairs.items() if i in pair]) for i in range(n)])
    assert means_interval(means) == pytest.approx(pairs_interval(pairs))
    assert pseudo_values(means).mean() == pytest.approx(np.mean(list(pairs.values())))


def test_one_pair_of_networks_has_no_interval():
    assert means_interval(np.array([0.01, 0.01])) == (None, None)
    with pytest.raises(InputError, match="at least 3 networks, got 2"):
        pseudo_values(np.array([0.01, 0.01]))


def networks(share_wrong: float, n: int = 4) -> tuple[list[np.ndarray], np.ndarray]:
    """Partitions of 200 neurons in four types, clusters numbered otherwise in every network, some neurons at random."""
    rng = np.random.default_rng(1)
    types = np.repeat(np.arange(4), 50)
    found = []
    for _ in range(n):
        wrong = rng.random(200) < share_wrong
        found.append(rng.permutation(4)[np.where(wrong, rng.integers(4, size=200), types)])
    return found, types


def test_stronger_planting_brings_networks_together_and_is_detected():
    partitions, types = networks(0.5)
    changes = np.array([0.01, -0.01, 0.02, -0.02])
    found = planted_effects(partitions, changes, types, seed=0, shares=(0.0, 0.1, 0.9), n_draws=20)
    assert found[0].change == pytest.approx(0.0)
    assert found[0].truth_change == pytest.approx(0.0)
    assert found[0].detected == 0
    assert found[0].change < found[1].change < found[2].change
    assert found[2].detected == 1
    assert found[2].truth_change > 0.3
    again = planted_effects(partitions, changes, types, seed=0, shares=(0.0, 0.1, 0.9), n_draws=20)
    assert again == found
    loud = planted_effects(partitions, 50 * changes, types, seed=0, shares=(0.9,), n_draws=20)
    assert loud[0].detected < 1
    everything = planted_effects(partitions, changes, types, seed=0, shares=(1.0,), n_draws=1)
    assert everything[0].truth_change == pytest.approx(
        1 - np.mean([one_ari(one, types) for one in partitions])
    )


def one_ari(a: np.ndarray, b: np.ndarray) -> float:
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(a, b))


def test_the_smallest_detected_is_below_no_gap():
    def effect(share: float, detected: float) -> PlantedEffect:
        return PlantedEffect(share, share, share, detected)

    rising = [effect(0.01, 0.9), effect(0.05, 0.2), effect(0.1, 0.85), effect(0.2, 1.0)]
    assert smallest_detected(rising) == rising[2]
    assert smallest_detected([effect(0.4, 0.1)]) is None


def test_what_cannot_be_planted_is_refused():
    partitions, types = networks(0.5)
    with pytest.raises(InputError, match="three networks or more"):
        planted_effects(partitions[:2], np.zeros(2), types, seed=0)
    with pytest.raises(InputError, match="same neurons"):
        planted_effects(partitions, np.zeros(4), types[:50], seed=0)
