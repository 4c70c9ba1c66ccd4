"""Null models keep what they say they keep, on awkward features too."""

import numpy as np
import pytest
from scipy.stats import kurtosis, spearmanr

from decortex.embeddings import EmbeddingConfig
from decortex.errors import InputError
from decortex.evaluation.nulls import NULL_KINDS, degrees_of_freedom, surrogate, surrogate_embedding
from decortex.evaluation.selection import joint_surrogates


def correlated(rng, n=400, d=6):
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 3.0


@pytest.mark.parametrize("kind", ["gaussian", "t"])
@pytest.mark.parametrize("shape", [(400, 6), (8, 20)])
def test_gaussian_and_t_keep_the_sample_covariance(kind, shape):
    x = correlated(np.random.default_rng(0), *shape)
    drawn = surrogate(x, kind, np.random.default_rng(1))
    assert drawn.shape == x.shape
    np.testing.assert_allclose(drawn.mean(axis=0), x.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(x.T), atol=1e-8 * np.abs(x).max() ** 2)
    assert np.abs(drawn - x).max() > 0.1


def test_gaussian_is_gaussian_and_t_has_the_tails_of_the_data():
    rng = np.random.default_rng(2)
    x = correlated(rng, 3000, 4)
    heavy = x * np.sqrt(4 / rng.chisquare(4, size=(3000, 1)))
    assert degrees_of_freedom(x) > 20
    assert 3 < degrees_of_freedom(heavy - heavy.mean(axis=0)) < 8
    flat = kurtosis(surrogate(heavy, "gaussian", np.random.default_rng(3)))
    tails = kurtosis(surrogate(heavy, "t", np.random.default_rng(3), df=3.0))
    assert np.abs(flat).max() < 0.5
    assert tails.min() > 1.5


@pytest.mark.parametrize("kind", ["permuted", "copula"])
def test_permuted_and_copula_keep_every_value(kind):
    rng = np.random.default_rng(4)
    x = correlated(rng)
    x = np.column_stack([np.maximum(x - 3, 0), np.round(x[:, 0]), np.full(len(x), 2.5), np.zeros(len(x))])
    drawn = surrogate(x, kind, np.random.default_rng(5))
    np.testing.assert_array_equal(np.sort(drawn, axis=0), np.sort(x, axis=0))
    assert (drawn[:, 0] != x[:, 0]).mean() > 0.3


def test_copula_keeps_rank_correlations_of_sparse_and_skewed_features():
    rng = np.random.default_rng(6)
    latent = rng.normal(size=(800, 2)) @ rng.normal(size=(2, 8)) + rng.normal(size=(800, 8))
    x = np.exp(latent) * (latent > 0.5)  # some two thirds are zero
    assert (x == 0).mean() > 0.5
    wanted = spearmanr(x).statistic
    assert np.abs(spearmanr(surrogate(x, "copula", rng)).statistic - wanted).max() < 0.08
    loose = np.abs(spearmanr(surrogate(x, "permuted", rng)).statistic - wanted)
    assert loose.max() > 0.3


def test_copula_breaks_what_is_more_than_rank_correlation():
    rng = np.random.default_rng(7)
    angle = rng.uniform(0, 2 * np.pi, 1000)
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    radius = np.linalg.norm(surrogate(ring, "copula", rng), axis=1)
    assert radius.std() > 0.2  # the ring's own radius is 1 everywhere


@pytest.mark.parametrize("kind", NULL_KINDS)
def test_one_seed_gives_one_surrogate(kind):
    x = correlated(np.random.default_rng(8), 60, 3)
    one, again, other = (surrogate(x, kind, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    assert not np.shares_memory(one, x)


@pytest.mark.parametrize("kind", NULL_KINDS)
@pytest.mark.parametrize(
    "x", [np.ones((5, 3)), np.zeros((2, 1)), np.array([[1.0, 0.0], [1.0, 2.0]]), np.arange(6.0)[:, None]]
)
def test_constant_and_tiny_embeddings(kind, x):
    drawn = surrogate(x, kind, np.random.default_rng(0))
    assert drawn.shape == x.shape
    assert np.isfinite(drawn).all()
    constant = np.ptp(x, axis=0) == 0
    np.testing.assert_allclose(drawn[:, constant], x[:, constant])


@pytest.mark.parametrize("kind", NULL_KINDS)
def test_a_normalised_embedding_has_normalised_surrogates_of_as_many_neurons(kind):
    rng = np.random.default_rng(9)
    raw = rng.exponential(size=(200, 4)) * (rng.random((200, 4)) < 0.4)
    raw = raw[raw.any(axis=1)]
    drawn = surrogate_embedding(raw, EmbeddingConfig(kind="l2"), kind, rng)
    assert drawn.shape == raw.shape
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1.0)
    scored = surrogate_embedding(raw, EmbeddingConfig(kind="zscore", l2_first=True), kind, rng)
    np.testing.assert_allclose(scored.std(axis=0), 1.0)


def test_joint_surrogates_keep_what_networks_share_as_a_continuum():
    rng = np.random.default_rng(11)
    cloud = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 8))
    raws = [cloud[:, :5] + 0.1 * rng.normal(size=(300, 5)), cloud[:, 5:] + 0.1 * rng.normal(size=(300, 3))]
    config = EmbeddingConfig(kind="raw")
    whole = np.cov(np.hstack(raws).T)
    np.testing.assert_allclose(np.cov(np.hstack(joint_surrogates(raws, config, "gaussian", rng)).T), whole)
    alone = np.cov(np.hstack(joint_surrogates(raws, config, "permuted", rng)).T)
    assert np.abs(alone[:5, 5:]).max() < 0.3 * np.abs(whole[:5, 5:]).max()
    sparse = [np.maximum(raw, 0) for raw in raws]
    for part in joint_surrogates(sparse, EmbeddingConfig(kind="l2"), "copula", rng):
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1)
    with pytest.raises(InputError, match="at least two networks"):
        joint_surrogates(raws[:1], config, "gaussian", rng)


def test_messages():
    x = np.random.default_rng(0).normal(size=(10, 2))
    rng = np.random.default_rng(0)
    with pytest.raises(
        InputError, match="'cauchy' is not a null model; there are gaussian, t, permuted, copula"
    ):
        surrogate(x, "cauchy", rng)
    with pytest.raises(InputError, match="at least 2 neurons, got 1"):
        surrogate(x[:1], "gaussian", rng)
    with pytest.raises(InputError, match="df should be above 2"):
        surrogate(x, "t", rng, df=2.0)
    with pytest.raises(InputError, match="1 value\\(s\\) in 1 neuron\\(s\\) are not \\(first: neuron 3\\)"):
        surrogate(np.where(np.arange(20).reshape(10, 2) == 6, np.nan, x), "copula", rng)
    with pytest.raises(InputError, match="too sparse for this null model"):
        surrogate_embedding(np.zeros((50, 3)), EmbeddingConfig(kind="l2"), "permuted", rng)
