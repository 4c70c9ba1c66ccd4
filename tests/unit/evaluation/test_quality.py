"""Quality measures against scikit-learn and known geometry."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import (
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_samples,
    silhouette_score,
)

from decortex.errors import InputError
from decortex.evaluation import cluster_quality, quality


def blobs(rng, sizes=(40, 25, 10, 1), spread=1.0):
    centres = rng.normal(scale=4.0, size=(len(sizes), 6))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return centres[labels] + spread * rng.normal(size=(len(labels), 6)), labels


def test_equals_scikit_learn_when_every_neuron_is_sampled():
    x, labels = blobs(np.random.default_rng(0))
    shuffle = np.random.default_rng(1).permutation(len(x))
    x, labels = x[shuffle], labels[shuffle] * 5 + 2
    found = cluster_quality(x, labels, seed=0)
    assert found.status == "ok"
    assert (found.n_neurons, found.n_clusters, found.silhouette_n) == (76, 4, 76)
    assert found.silhouette == pytest.approx(silhouette_score(x, labels), abs=1e-10)
    assert found.calinski_harabasz == pytest.approx(calinski_harabasz_score(x, labels), rel=1e-10)
    assert found.davies_bouldin == pytest.approx(davies_bouldin_score(x, labels), rel=1e-7)  # theirs rounds
    literal = np.mean([((x[i] - x[labels == labels[i]].mean(axis=0)) ** 2).sum() for i in range(len(x))])
    assert found.within == pytest.approx(literal, rel=1e-10)


def test_a_sampled_neuron_is_scored_against_all_neurons(monkeypatch):
    x, labels = blobs(np.random.default_rng(2), sizes=(300, 60, 3), spread=3.0)
    monkeypatch.setattr(quality, "_CHUNK_DISTANCES", 7 * len(x))
    sample = np.array([0, 5, 299, 301, 361, 362])
    np.testing.assert_allclose(
        quality.silhouettes(x, labels, sample), silhouette_samples(x, labels)[sample], atol=1e-10
    )


def test_the_sample_estimates_the_whole():
    x, labels = blobs(np.random.default_rng(3), sizes=(700, 500, 300), spread=4.0)
    found = cluster_quality(x, labels, seed=4, silhouette_sample=400)
    scores = silhouette_samples(x, labels)
    assert found.silhouette_n == 400
    assert abs(found.silhouette - scores.mean()) < 4 * scores.std() / np.sqrt(400)
    assert found.silhouette != cluster_quality(x, labels, seed=5, silhouette_sample=400).silhouette
    assert found == cluster_quality(x, labels, seed=4, silhouette_sample=400)


def test_scale_and_rotation_leave_the_ratios():
    x, labels = blobs(np.random.default_rng(5))
    turn = np.linalg.qr(np.random.default_rng(6).normal(size=(6, 6)))[0]
    one, other = cluster_quality(x, labels, seed=0), cluster_quality(7 * x @ turn, labels, seed=0)
    assert other.silhouette == pytest.approx(one.silhouette, rel=1e-9)
    assert other.calinski_harabasz == pytest.approx(one.calinski_harabasz, rel=1e-9)
    assert other.davies_bouldin == pytest.approx(one.davies_bouldin, rel=1e-9)
    assert other.within == pytest.approx(49 * one.within, rel=1e-9)


@pytest.mark.parametrize(
    ("x", "labels", "status"),
    [
        (np.eye(4), np.zeros(4, dtype=int), "one_cluster"),
        (np.eye(4), np.arange(4), "all_singletons"),
        (np.repeat([[0.1, 0.2], [3.3, 0.0]], 3, axis=0), np.array([0, 0, 0, 1, 1, 1]), "zero_spread"),
        (np.eye(1), np.zeros(1, dtype=int), "one_cluster"),
    ],
)
def test_undefined_measures_are_none_with_a_status(x, labels, status):
    found = cluster_quality(x, labels, seed=0)
    assert found.status == status
    assert found.silhouette is found.calinski_harabasz is found.davies_bouldin is None


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="one label per neuron"):
        cluster_quality(np.eye(3), np.zeros(4, dtype=int), seed=0)
    with pytest.raises(InputError, match="NaN or infinite"):
        cluster_quality(np.full((3, 2), np.nan), np.array([0, 0, 1]), seed=0)
    with pytest.raises(InputError, match="silhouette_sample"):
        cluster_quality(np.eye(3), np.array([0, 0, 1]), seed=0, silhouette_sample=0)


@pytest.mark.parametrize("unit", [1e-170, 1e-30, 1e30, 1e90])
def test_quality_has_no_unit(unit):
    x, labels = blobs(np.random.default_rng(5))
    found, expected = cluster_quality(x * unit, labels, seed=0), cluster_quality(x, labels, seed=0)
    assert found.status == "ok"
    for name in ("silhouette", "calinski_harabasz", "davies_bouldin"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9), name
    assert found.within == pytest.approx(expected.within * unit**2, rel=1e-9)
    with pytest.raises(InputError, match=r"beyond 1e\+100"):
        cluster_quality(x * 1e160, labels, seed=0)


@pytest.mark.parametrize("offset", [1e6, 1e9, 1e11])
def test_quality_does_not_depend_on_a_constant_added_to_every_neuron(offset):
    x, labels = blobs(np.random.default_rng(5))
    moved = x + offset
    kept = moved - offset  # what is left of the digits
    found, expected = cluster_quality(moved, labels, seed=0), cluster_quality(kept, labels, seed=0)
    for name in ("silhouette", "calinski_harabasz", "davies_bouldin", "within"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-6), name


def test_silhouettes_keep_their_digits_beside_a_far_neuron_and_far_clusters():
    x, labels = blobs(np.random.default_rng(6))
    x[labels == 2] += 1e9
    x[0] = 3e10
    exact = silhouette_score(cdist(x, x), labels, metric="precomputed")
    assert cluster_quality(x, labels, seed=0).silhouette == pytest.approx(exact, abs=1e-9)
    dense = np.unique(labels, return_inverse=True)[1]
    each = quality.silhouettes(x, dense, np.arange(len(x)))
    np.testing.assert_allclose(each, silhouette_samples(cdist(x, x), labels, metric="precomputed"), atol=1e-9)


def test_ratios_that_have_no_value_are_none():
    x = np.array([[0.0], [2.0], [0.0], [2.0]])
    assert quality.davies_bouldin(x, np.array([0, 0, 1, 1])) is None  # two centres at one point
    assert quality.calinski_harabasz(x, np.array([0, 1, 0, 1])) is None  # nothing within
    assert quality.calinski_harabasz(x, np.zeros(4, dtype=int)) is None
    assert quality.davies_bouldin(x, np.arange(4)) is None
