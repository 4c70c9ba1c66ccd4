"""k-means, Gaussian and t mixtures: oracles, slow literal transcriptions, monotone likelihood, screening."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, multivariate_t
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from decortex.clustering import fit, method_config, predict
from decortex.clustering.mixtures import NU_BOUNDS, Mixture, em_step, first_mixture, run_em


def test_kmeans_equals_scikit_learn_where_nothing_is_screened(digits):
    ours = fit(digits[0], "kmeans", n_clusters=10, n_init=20)
    theirs = min(KMeans(10, n_init=10, random_state=seed).fit(digits[0]).inertia_ for seed in range(2))
    assert ours.objective == pytest.approx(theirs, rel=2e-3)
    centres = ours.parameters["centres"]
    assert ours.objective == pytest.approx(((digits[0] - centres[ours.labels]) ** 2).sum())


@pytest.mark.parametrize(
    ("method", "params"),
    [("kmeans", {}), ("gmm", {}), ("tmixture", {}), ("tmixture", {"covariance": "full"})],
)
def test_screening_loses_nothing_on_separated_clusters(method, params, blobs):
    x, truth = blobs(450, 6, 5)
    screened = fit(x, method, n_clusters=5, n_screen=150, **params)
    full = fit(x, method, n_clusters=5, **params)
    assert adjusted_rand_score(truth, screened.labels) == 1
    assert screened.objective == pytest.approx(full.objective, rel=1e-4)


@pytest.mark.parametrize("covariance", ["diag", "full", "tied", "spherical"])
def test_gmm_equals_scikit_learn(covariance, blobs):
    x, truth = blobs(600, 4, 3)
    ours = fit(x, "gmm", n_clusters=3, covariance=covariance)
    theirs = GaussianMixture(3, covariance_type=covariance, tol=1e-4, max_iter=500, random_state=0).fit(x)
    assert ours.objective == pytest.approx(-theirs.score(x), rel=1e-6)
    assert adjusted_rand_score(truth, ours.labels) == 1
    assert ours.diagnostics["n_parameters"] == theirs._n_parameters()
    posterior = theirs.predict_proba(x)
    order = [int(theirs.predict(x[ours.labels == j])[0]) for j in range(3)]
    np.testing.assert_allclose(ours.soft, posterior[:, order], atol=1e-6)


def test_a_singular_covariance_asks_for_more_regularisation():
    x = np.repeat(np.random.default_rng(0).normal(size=(3, 4)), 10, axis=0)
    with pytest.raises(ValueError, match="Raise reg"):
        fit(x, "gmm", n_clusters=3, covariance="full", reg=0.0)


def test_densities_are_those_of_scipy():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)) * 3
    centres = rng.normal(size=(2, 3))
    root = rng.normal(size=(2, 3, 3))
    full = root @ root.transpose(0, 2, 1) + np.eye(3)
    diagonal = rng.uniform(0.5, 2, size=(2, 3))
    weights = np.array([0.3, 0.7])
    nu = np.array([2.1, 7.0])
    for scales, matrices in ((full, full), (diagonal, [np.diag(row) for row in diagonal])):
        t = Mixture(centres, scales, weights, nu).joint(x)[:, :, 0]
        gauss = Mixture(centres, scales, weights).joint(x)[:, :, 0]
        for j in range(2):
            expected = multivariate_t(centres[j], matrices[j], df=nu[j]).logpdf(x) + np.log(weights[j])
            np.testing.assert_allclose(t[:, j], expected, rtol=1e-10)
            expected = multivariate_normal(centres[j], matrices[j]).logpdf(x) + np.log(weights[j])
            np.testing.assert_allclose(gauss[:, j], expected, rtol=1e-10)


def literal_em_step(x, mixture):
    """One EM step of Peel & McLachlan with PX-EM scales and fixed nu, neuron by neuron."""
    n, d = x.shape
    k = len(mixture.weights)
    tau, u = np.zeros((n, k)), np.zeros((n, k))
    for i in range(n):
        for j in range(k):
            scale = np.diag(mixture.scales[j]) if mixture.scales.ndim == 2 else mixture.scales[j]
            density = multivariate_t(mixture.centres[j], scale, df=mixture.nu[j]).pdf(x[i])
            tau[i, j] = mixture.weights[j] * density
            away = x[i] - mixture.centres[j]
            u[i, j] = (mixture.nu[j] + d) / (mixture.nu[j] + away @ np.linalg.inv(scale) @ away)
        tau[i] /= tau[i].sum()
    centres, scales = np.zeros((k, d)), np.zeros((k, d, d))
    for j in range(k):
        pull = tau[:, j] * u[:, j]
        centres[j] = pull @ x / pull.sum()
        for i in range(n):
            scales[j] += pull[i] * np.outer(x[i] - centres[j], x[i] - centres[j]) / pull.sum()
    return tau.mean(axis=0), centres, scales


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_an_em_step_is_the_papers(covariance):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 3)) + 3 * rng.integers(2, size=50)[:, None]
    config = method_config("tmixture", {"covariance": covariance, "nu": 3.0, "reg": 0.0})
    start = first_mixture(x, rng.integers(2, size=50), 2, config)
    new, _ = em_step(x, start, config)
    weights, centres, scales = literal_em_step(x, start)
    np.testing.assert_allclose(new.weights, weights)
    np.testing.assert_allclose(new.centres, centres)
    expected = scales if covariance == "full" else np.diagonal(scales, axis1=1, axis2=2)
    np.testing.assert_allclose(new.scales, expected, atol=1e-12)


@pytest.mark.parametrize("covariance", ["diag", "full"])
@pytest.mark.parametrize("nu", [2.1, 30.0, "estimated"])
def test_em_never_lowers_the_likelihood(covariance, nu):
    rng = np.random.default_rng(2)
    x = rng.standard_t(3, size=(400, 4)) + 2 * rng.integers(3, size=400)[:, None]
    config = method_config("tmixture", {"covariance": covariance, "nu": nu, "reg": 0.0, "tol": 1e-12})
    run = run_em(x, first_mixture(x, rng.integers(3, size=400), 3, config), config, 150)
    assert len(run.log_likelihoods) > 20
    assert np.diff(run.log_likelihoods).min() > -1e-9


def test_degrees_of_freedom_are_recovered():
    rng = np.random.default_rng(0)
    for nu, low, high in ((2.0, 1.7, 2.4), (8.0, 6.0, 11.0)):
        x = multivariate_t(np.zeros(5), np.eye(5), df=nu, seed=rng).rvs(6000)
        found = fit(x, "tmixture", n_clusters=1, n_init=1)
        assert low < found.parameters["nu"][0] < high
    gaussian = fit(rng.normal(size=(6000, 5)), "tmixture", n_clusters=1, n_init=1)
    assert gaussian.parameters["nu"][0] > 50
    assert gaussian.parameters["nu"][0] <= NU_BOUNDS[1]


def test_a_t_mixture_with_many_degrees_of_freedom_is_gaussian(blobs):
    x, _ = blobs(500, 3, 3)
    t = fit(x, "tmixture", n_clusters=3, nu=1e7)
    gauss = fit(x, "gmm", n_clusters=3)
    np.testing.assert_array_equal(t.labels, gauss.labels)
    assert t.objective == pytest.approx(gauss.objective, abs=1e-3)


def test_outliers_move_gaussian_centres_and_not_those_of_t(blobs):
    x, _ = blobs(400, 3, 2, seed=4)
    spoiled = x.copy()
    spoiled[:8] = 80.0 * np.random.default_rng(0).normal(size=(8, 3))

    def moved(method, **params):
        clean, spoilt = (fit(data, method, n_clusters=2, seed=1, **params) for data in (x, spoiled))
        distances = np.linalg.norm(
            clean.parameters["centres"][:, None] - spoilt.parameters["centres"], axis=2
        )
        return distances.min(axis=1).max()

    assert moved("tmixture", nu=3.0) < 0.05
    assert moved("gmm") > 0.5


def test_the_t_mixture_agrees_with_an_independent_package(blobs):
    studenttmixture = pytest.importorskip("studenttmixture")
    x, truth = blobs(500, 4, 3, spread=0.5)
    model = studenttmixture.EMStudentMixture(n_components=3, fixed_df=True, df=4.0, random_state=0)
    model.fit(x)
    ours = fit(x, "tmixture", n_clusters=3, covariance="full", nu=4.0)
    assert adjusted_rand_score(model.predict(x), ours.labels) >= 0.99
    assert adjusted_rand_score(truth, ours.labels) >= 0.99


def test_mixtures_assign_new_neurons_by_posterior(blobs):
    x, truth = blobs(500, 4, 3)
    for method in ("kmeans", "gmm", "tmixture"):
        assert adjusted_rand_score(truth[300:], predict(fit(x[:300], method, n_clusters=3), x[300:])) == 1
