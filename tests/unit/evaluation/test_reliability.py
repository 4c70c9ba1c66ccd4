"""Reliability and explained variance against what the generator knows."""

from __future__ import annotations

import numpy as np
import pytest

from decortex.data.simulation import SimulationConfig, simulate_cortex
from decortex.errors import InputError
from decortex.evaluation.performance import reliability, score_neurons


def drawn(
    noise: float, n_images: int = 400, n_repeats: int = 6, n_neurons: int = 40
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    signal = np.repeat(rng.normal(size=(n_images, n_neurons)), n_repeats, axis=0)
    return signal + noise * rng.normal(size=signal.shape), np.repeat(np.arange(n_images), n_repeats)


@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
def test_both_readings_are_what_theory_says(noise: float) -> None:
    responses, ids = drawn(noise)
    found = reliability(responses, ids, rng=np.random.default_rng(0))
    # variance 1 of the signal and noise**2 a showing: of averages over 6, and of one against the mean of 5
    brown = 1.0 / (1.0 + noise**2 / 6)
    oracle = 1.0 / np.sqrt((1.0 + noise**2) * (1.0 + noise**2 / 5))
    assert found.spearman_brown.mean() == pytest.approx(brown, abs=0.015)
    assert found.oracle.mean() == pytest.approx(oracle, abs=0.015)


def test_the_oracle_against_a_literal_loop_with_unequal_repeats() -> None:
    rng = np.random.default_rng(2)
    ids = np.array([3, 3, 5, 8, 8, 8, 3, 1, 8, 9, 9])
    responses = rng.poisson(3.0, size=(len(ids), 4)).astype(float)
    kept = [t for t in range(len(ids)) if (ids == ids[t]).sum() > 1]
    others = [np.mean([responses[u] for u in kept if ids[u] == ids[t] and u != t], axis=0) for t in kept]
    expected = [np.corrcoef(responses[kept, n], np.array(others)[:, n])[0, 1] for n in range(4)]
    np.testing.assert_allclose(reliability(responses, ids, rng=rng).oracle, expected, rtol=1e-12)


def test_what_is_undefined_is_nan() -> None:
    responses, ids = drawn(1.0, n_images=20)
    responses[:, 3] = 2.0
    found = reliability(responses, ids, rng=np.random.default_rng(0))
    assert np.isnan(found.oracle).tolist() == np.isnan(found.spearman_brown).tolist()
    assert np.flatnonzero(np.isnan(found.oracle)).tolist() == [3]
    once = reliability(responses, np.arange(len(responses)), rng=np.random.default_rng(0))
    assert np.isnan(once.spearman_brown).all()
    with pytest.raises(InputError, match="n_trials ids"):
        reliability(responses, ids[1:], rng=np.random.default_rng(0))


def test_explained_variance_recovers_the_generators_within_its_standard_error() -> None:
    config = SimulationConfig(n_neurons=60, n_animals=2, n_train=20, n_validation=10, n_test=150, n_repeats=8)
    cortex = simulate_cortex(config, seed=5)
    fev, feve, half = [], [], []
    for session in cortex.recordings.sessions:
        trials = session.trials("test")
        own = cortex.recordings.neurons["session"].to_numpy() == session.name
        rates = cortex.rates[session.image_ids[trials]][:, own]
        responses = session.responses.read(trials).astype(np.float64)
        ids = session.image_ids[trials]
        # counts are Poisson: the noise of a neuron is its mean rate, its explainable variance that of its rate
        explainable = cortex.test_rates[:, own].var(axis=0, ddof=1)
        noise = cortex.test_rates[:, own].mean(axis=0)
        perfect = score_neurons(responses, rates, ids)
        flat = rates.mean(axis=0) + 0.5 * (rates - rates.mean(axis=0))  # leaves a quarter of the variance out
        fev.append(perfect["fev"].values - explainable / (explainable + noise))
        feve.append(perfect["feve"].values - 1.0)
        half.append(score_neurons(responses, flat, ids)["feve"].values - 0.75)
    for found in (fev, feve, half):
        deviation = np.concatenate(found)
        deviation = deviation[np.isfinite(deviation)]
        assert len(deviation) > 30
        error = deviation.std(ddof=1) / np.sqrt(len(deviation))
        assert abs(deviation.mean()) < 2.5 * error + 0.005
        assert error < 0.02  # the statement is not empty
