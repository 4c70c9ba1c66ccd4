"""One result for one key: purity of `fit` and `fit_grid`, canonical labels, hashes of specifications."""

import numpy as np
import pytest

from decortex.clustering import (
    DiskCache,
    MemoryCache,
    algorithm_version,
    fit,
    fit_grid,
    get_method,
    method_config,
    methods,
    predict,
    soft_assignments,
    spec_hash,
)
from decortex.errors import ConfigError, InputError

QUICK = {
    "kmeans": {"n_init": 2},
    "gmm": {"n_init": 1, "reg": 1e-3},
    "tmixture": {"n_init": 2, "reg": 1e-3, "max_iter": 20},
    "rotation_tmixture": {"n_init": 2, "n_orientations": 4, "reg": 1e-3, "max_iter": 20},
    "spectral": {"n_starts": 2},
    "sec": {"n_starts": 2},
    "ldmgi": {"n_starts": 2},
}


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(3)
    return rng.normal(size=(400, 8)) + 2 * rng.normal(size=(6, 8))[rng.integers(6, size=400)]


def same(a, b):
    np.testing.assert_array_equal(a.labels, b.labels)
    assert (a.objective, a.status, a.n_iterations) == (b.objective, b.status, b.n_iterations)
    assert a.parameters.keys() == b.parameters.keys()
    for name in a.parameters:
        np.testing.assert_array_equal(a.parameters[name], b.parameters[name])


def test_every_method_describes_itself():
    assert set(QUICK) <= set(methods())
    for method in methods():
        entry = get_method(method)
        assert entry.summary
        assert entry.cited
        assert entry.presets
        for params in entry.presets.values():
            method_config(method, params)


@pytest.mark.parametrize("method", methods())
def test_a_result_depends_on_its_own_key_alone(method, x, tmp_path):
    params = QUICK.get(method, {})
    disk = DiskCache(tmp_path / "cache")
    largest = 40 if get_method(method).searches_neighbours else 6  # 40 asks for a larger basis
    wide = fit_grid(x, method, n_clusters=[2, 5, largest], seeds=[0, 1], cache=disk, **params)
    same(fit(x, method, n_clusters=5, seed=1, **params), wide[3])  # no cache
    same(fit(x, method, n_clusters=5, seed=1, cache=disk, **params), wide[3])  # from disk
    backwards = fit_grid(x, method, n_clusters=[largest, 5, 2], seeds=[1, 0], cache=MemoryCache(), **params)
    for forward, backward in ((0, 5), (1, 4), (2, 3), (3, 2), (4, 1), (5, 0)):
        same(wide[forward], backwards[backward])


@pytest.mark.parametrize("method", methods())
def test_labels_are_canonical_and_parameters_follow_them(method, x):
    found = fit(x, method, n_clusters=6, **QUICK.get(method, {}))
    assert found.labels.dtype == np.int16
    assert (np.diff(found.sizes) <= 0).all()
    assert found.parameters["centres"].shape == (6, 8)
    assert found.method == method
    if method not in ("sec", "rotation_tmixture"):  # these assign by other rules than the nearest mean
        means = np.stack([x[found.labels == j].mean(axis=0) for j in range(6)])
        nearest = np.argmin(((found.parameters["centres"][:, None] - means) ** 2).sum(axis=2), axis=1)
        np.testing.assert_array_equal(nearest, np.arange(6))


@pytest.mark.parametrize("method", ["kmeans", "gmm", "tmixture", "rotation_tmixture"])
def test_clustered_neurons_are_predicted_as_they_were_labelled(method, x):
    found = fit(x, method, n_clusters=5, **QUICK[method])
    np.testing.assert_array_equal(predict(found, x), found.labels)


@pytest.mark.parametrize("method", ["gmm", "tmixture", "rotation_tmixture"])
def test_soft_assignments_come_back_from_the_parameters(method, x):
    found = fit(x, method, n_clusters=5, **QUICK[method])
    again = soft_assignments(found, x)
    np.testing.assert_allclose(again, found.soft, atol=1e-12)
    np.testing.assert_allclose(again.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(np.argmax(again, axis=1), found.labels)


def test_methods_without_posterior_say_so(x):
    with pytest.raises(InputError, match="kmeans has no soft assignments; these methods have: gmm, tmixture"):
        soft_assignments(fit(x, "kmeans", n_clusters=2), x)


def test_a_grid_reports_progress_in_order(x):
    seen = []
    results = fit_grid(
        x, "kmeans", n_clusters=[3, 2], seeds=[4, 1], n_init=1, progress=lambda *at: seen.append(at)
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [(found.n_clusters, found.seed) for found in results] == [(3, 4), (3, 1), (2, 4), (2, 1)]
    assert all(found.soft is None for found in results)


def test_seeds_share_no_random_number():
    structureless = np.random.default_rng(0).normal(size=(300, 6))
    found = fit_grid(structureless, "kmeans", n_clusters=[10], seeds=range(4), n_init=1)
    assert len({result.objective for result in found}) == 4


def test_a_hash_knows_resolved_parameters_and_version(monkeypatch):
    assert spec_hash("kmeans") == spec_hash("kmeans", method_config("kmeans").resolved())
    assert spec_hash("kmeans") != spec_hash("kmeans", {"n_init": 11})
    assert spec_hash("spectral") != spec_hash("sec")
    before = spec_hash("kmeans")
    monkeypatch.setattr(
        "decortex.clustering.registry.algorithm_version", lambda name: algorithm_version(name) + 1
    )
    assert spec_hash("kmeans") != before
    with pytest.raises(ConfigError, match="not a clustering method"):
        spec_hash("nothing")
