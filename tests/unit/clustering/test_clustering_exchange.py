"""k-means and mixtures of many neurons: exchanges between solutions, checked one by one; what subsamples miss."""

import warnings

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from decortex.clustering import Screening, best_exchanges, exchanged_centres, fit, screened_starts
from decortex.clustering.mixtures import EMOptions, Mixture, best_exchange, mixture_of, mixture_of_partition
from decortex.clustering.mixtures import gmm_swap as component_exchange
from decortex.clustering.mixtures.gmm_swap import run_em


def sum_of_squares(x, centres):
    return ((x[:, None] - centres) ** 2).sum(axis=2).min(axis=1).sum()


@pytest.mark.parametrize("k", [1, 2, 7])
def test_the_best_exchange_is_found_among_all(k, monkeypatch):
    monkeypatch.setattr("decortex.clustering.kmeans_swap.CHUNK", 1000)  # several steps
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


@pytest.mark.parametrize("covariance", ["diag", "full", "tied", "spherical"])
def test_a_partition_becomes_the_mixture_of_its_clusters(covariance, blobs):
    x, truth = blobs(300, 3, 4, spread=1.0)
    options = EMOptions(covariance, 1e-3, 1, 1e-3)
    found = mixture_of_partition(x, truth, np.zeros((4, 3)), options)
    np.testing.assert_allclose(found.weights, np.bincount(truth) / 300)
    own = [np.cov(x[truth == j].T, bias=True) for j in range(4)]
    expected = {
        "full": np.stack(own),
        "tied": np.repeat(np.einsum("k,kde->de", found.weights, own)[None], 4, axis=0),
        "diag": np.stack([np.diag(c) for c in own]),
        "spherical": np.stack([np.full(3, np.trace(c) / 3) for c in own]),
    }[covariance]
    ridge = 1e-3 * (np.eye(3) if covariance in ("full", "tied") else 1)
    np.testing.assert_allclose(found.scales, expected + ridge, atol=1e-12)
    with pytest.warns(ConvergenceWarning):  # one iteration
        began = run_em(x, options, 4, np.random.default_rng(0), start=found)  # and scikit-learn begins there
    assert began.lower_bound_ == pytest.approx(logsumexp(found.joint(x)[:, :, 0], axis=1).mean())


def test_the_best_component_to_exchange_is_found_among_all(monkeypatch):
    monkeypatch.setattr(component_exchange, "ENTERING", 6)
    monkeypatch.setattr(component_exchange, "LEAVING", 3)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 3)) + 4 * rng.integers(3, size=400)[:, None]

    def mixture(k):
        return Mixture(rng.normal(size=(k, 3)) * 4, rng.uniform(0.5, 3, (k, 3)), rng.dirichlet(np.ones(k)))

    now, others = mixture(3), mixture(6)
    values = np.full((6, 3), -np.inf)
    for a in range(1, 6):  # 0 has been tried
        for j in range(3):
            changed = Mixture(now.centres.copy(), now.scales.copy(), now.weights.copy())
            changed.centres[j], changed.scales[j] = others.centres[a], others.scales[a]
            changed.weights[j] = others.weights[a]
            joint = Mixture(changed.centres, changed.scales, changed.weights / changed.weights.sum()).joint(x)
            values[a, j] = logsumexp(joint[:, :, 0], axis=1).mean()
    assert best_exchange(x, now, others, {0}) == np.unravel_index(np.argmax(values), values.shape)


@pytest.mark.parametrize("covariance", ["diag", "full", "tied", "spherical"])
def test_every_covariance_is_screened_as_well_as_it_is_fitted(covariance, blobs):
    x, truth = blobs(2500, 5, 8, spread=0.5)
    ours = fit(x, "gmm", n_clusters=8, covariance=covariance, n_screen=500)
    theirs = GaussianMixture(8, covariance_type=covariance, n_init=3, random_state=0).fit(x)
    assert ours.objective <= -theirs.score(x) + 1e-3
    assert adjusted_rand_score(truth, ours.labels) > 0.97


def test_components_of_another_solution_complete_a_mixture(blobs):
    x, truth = blobs(2000, 4, 8, spread=0.2)
    options = EMOptions("diag", 1e-6, 5, 1e-3)
    missing = []
    for lost, taker, split in ((0, 1, 2), (5, 6, 7)):
        labels = np.where(truth == lost, taker, truth)  # two clusters in one component
        labels[np.flatnonzero(truth == split)[::2]] = lost  # and one shared by two
        centres = np.stack([x[labels == j].mean(axis=0) for j in range(8)])
        start = mixture_of_partition(x, labels, centres, options)
        missing.append(run_em(x, options, 8, np.random.default_rng(0), start=start))
    found = component_exchange._after_exchanges(
        x, x[::4], missing[0], mixture_of(missing[1]), options=options, rng=np.random.default_rng(0)
    )
    assert adjusted_rand_score(truth, missing[0].predict(x)) < 0.95
    assert adjusted_rand_score(truth, found.predict(x)) == 1


def test_a_singular_covariance_of_many_neurons_asks_for_more_regularisation():
    x = np.repeat(np.random.default_rng(0).normal(size=(3, 4)), 100, axis=0)
    with pytest.raises(ValueError, match="Raise reg"):
        fit(x, "gmm", n_clusters=3, covariance="full", reg=0.0, n_screen=150)


@pytest.mark.parametrize("max_iter", [1, 2, 60])
def test_the_diagonal_em_is_scikit_learns(blobs, max_iter):
    x, _ = blobs(5000, 6, 4, spread=0.8)  # more than two blocks
    x += 30
    rng = np.random.default_rng(0)
    options = EMOptions("diag", 1e-6, max_iter, 1e-5)
    labels = rng.integers(4, size=len(x))
    start = mixture_of_partition(x, labels, x[:4], options)
    start = Mixture(x[:4], start.scales, start.weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ours = run_em(x, options, 4, rng, start=start)
        theirs = GaussianMixture(
            4,
            covariance_type="diag",
            weights_init=start.weights,
            means_init=start.centres,
            precisions_init=1 / start.scales,
            max_iter=max_iter,
            tol=1e-5,
            random_state=0,
        ).fit(x)
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, abs=1e-9)
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-6, atol=1e-9)
    assert ours.score(x[:100]) == pytest.approx(theirs.score(x[:100]))


def test_a_variance_that_is_lost_is_an_error(blobs):
    x, _ = blobs(100, 3, 2)
    x[:, 0] = 1.0
    start = Mixture(x[:2], np.ones((2, 3)), np.full(2, 0.5))
    with pytest.raises(ValueError, match="not positive"):
        run_em(x, EMOptions("diag", 0.0, 10, 1e-4), 2, np.random.default_rng(0), start=start)
