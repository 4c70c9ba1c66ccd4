"""k-means of many neurons: exchanges between solutions, checked one by one; what a subsample cannot hold."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from decortex.clustering import fit
from decortex.clustering.exchange import Screening, best_exchanges, exchanged_centres, screened_starts


def sum_of_squares(x, centres):
    return ((x[:, None] - centres) ** 2).sum(axis=2).min(axis=1).sum()


@pytest.mark.parametrize("k", [1, 2, 7])
def test_the_best_exchange_is_found_among_all(k, monkeypatch):
    monkeypatch.setattr("decortex.clustering.exchange.CHUNK", 1000)  # several steps
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    centres, candidates = rng.normal(size=(k, 4)), rng.normal(size=(5, 4))
    leaving, sums, now = best_exchanges(x, centres, candidates)
    assert now == pytest.approx(sum_of_squares(x, centres))
    for a, candidate in enumerate(candidates):
        after = []
        for j in range(k):
            changed = centres.copy()
            changed[j] = candidate
            after.append(sum_of_squares(x, changed))
        assert leaving[a] == np.argmin(after)
        assert sums[a] == pytest.approx(min(after))


def test_solutions_that_miss_different_clusters_complete_each_other(blobs):
    x, truth = blobs(2000, 4, 12, spread=0.1)
    means = np.stack([x[truth == j].mean(axis=0) for j in range(12)])
    missing = [np.vstack([np.delete(means, j, axis=0), means[(j + 1) % 12] + 0.01]) for j in (0, 5)]
    screening = Screening(n_starts=2, n_refined=2, n_screen=200, max_iter=100, tol=1e-4)
    found = exchanged_centres(x, missing, screening, np.random.default_rng(0))
    assert sum_of_squares(x, found[0]) == pytest.approx(sum_of_squares(x, means), rel=1e-6)
    alone = exchanged_centres(x, missing[:1], screening, np.random.default_rng(0))
    assert sum_of_squares(x, alone[0]) > 2 * sum_of_squares(x, means)


def test_far_neurons_outside_the_subsample_get_a_cluster_of_their_own(blobs):
    x, truth = blobs(3000, 4, 3)
    x[7] += 500.0
    found = fit(x, "kmeans", n_clusters=4, n_screen=300)
    assert sorted(found.sizes)[0] == 1
    assert found.labels[7] == 3
    others = np.arange(3000) != 7
    assert adjusted_rand_score(truth[others], found.labels[others]) > 0.99


def test_no_far_offset_hides_the_clusters(blobs):
    x, truth = blobs(1500, 3, 4)
    found = fit(x + 1e7, "kmeans", n_clusters=4, n_screen=300)
    assert adjusted_rand_score(truth, found.labels) == 1


@pytest.mark.parametrize("method", ["kmeans", "gmm", "tmixture"])
def test_screening_stands_duplicates_and_constants(method):
    x = np.repeat(np.arange(5.0)[:, None], 300, axis=0) * [
        1.0,
        0.0,
    ]  # five distinct neurons, one feature constant
    found = fit(x, method, n_clusters=7, n_screen=400)
    assert found.status in ("empty_cluster", "not_converged")
    assert len(set(found.labels)) <= 5
    same = fit(np.ones((1000, 2)), method, n_clusters=3, n_screen=400)
    assert same.k_effective == 1


def test_starts_of_the_subsample_are_independent(blobs):
    x, _ = blobs(400, 6, 9, spread=1.0)
    screening = Screening(n_starts=4, n_refined=2, n_screen=200, max_iter=50, tol=1e-4)
    starts = screened_starts(x[:200], screening, 9, np.random.default_rng(0))
    assert len({round(sum_of_squares(x, centres), 6) for centres in starts}) > 1
