"""What torch computes is what numpy and scikit-learn compute: neighbours, fits, eigenpairs; on torch's CPU device."""

from importlib import import_module

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from decortex.clustering import (
    MemoryCache,
    Points,
    fit,
    fit_grid,
    get_method,
    method_config,
    methods,
    predict,
    spec_hash,
)
from decortex.clustering.graph import SECProblem, nearest_neighbours
from decortex.errors import ConfigError, InputError

torch_search = import_module("decortex.clustering.graph.neighbours_torch")


def points(n=600, d=10, offset=0.0):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, d))[rng.integers(5, size=n)] * 3 + rng.normal(size=(n, d))
    x[:20] = x[20:40]  # copies
    return x + offset


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_neighbours_are_those_of_the_other_search(offset, monkeypatch):
    monkeypatch.setattr(torch_search, "ENTRIES", 100 * 600)
    x = points(offset=offset)
    one = nearest_neighbours(Points(x, MemoryCache()), 12)
    other = nearest_neighbours(Points(x, MemoryCache(), "cpu"), 12)
    assert one.indices.tolist() == other.indices.tolist()
    assert one.distances.tolist() == other.distances.tolist()
    assert (other.indices != np.arange(600)[:, None]).all()


@pytest.mark.parametrize("method", [method for method in methods() if get_method(method).searches_neighbours])
def test_labels_do_not_depend_on_the_device(method):
    x = points()
    one, other = fit(x, method, n_clusters=5), fit(x, method, n_clusters=5, device="cpu")
    assert one.labels.tolist() == other.labels.tolist()
    grid = fit_grid(x, method, n_clusters=[5], seeds=[0], device="cpu")
    assert grid[0].labels.tolist() == one.labels.tolist()


def test_more_neighbours_than_others_to_spare():
    x = points(n=41)
    found = nearest_neighbours(Points(x, MemoryCache(), "cpu"), 40)
    assert sorted(found.indices[7].tolist()) == [i for i in range(41) if i != 7]


@pytest.mark.parametrize("device", ["no such device", "cuda:99"])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(InputError, match="Leave device out"):
        fit(points(), "sec", n_clusters=3, device=device)


TORCH = [
    ("kmeans", {}),
    ("kmeans", {"n_screen": 200}),
    ("gmm", {"n_init": 3}),
    ("gmm", {"n_screen": 200}),
    ("gmm", {"covariance": "full", "n_init": 3}),
    ("gmm", {"covariance": "tied", "n_init": 3}),
    ("gmm", {"covariance": "tied", "n_screen": 200}),
    ("gmm", {"covariance": "spherical", "n_init": 3}),
    ("tmixture", {"n_init": 4}),
    ("tmixture", {"covariance": "full", "n_init": 4, "tol": 1e-4}),
    ("tmixture", {"nu": 2.1, "n_screen": 200, "n_init": 4}),
    ("rotation_tmixture", {"n_orientations": 2, "n_init": 3, "tol": 1e-4}),
    ("sec", {}),
    ("sec", {"mu": 1.0, "n_neighbors": 15}),
]


@pytest.mark.parametrize(("method", "params"), TORCH)
def test_torch_finds_what_numpy_finds(method, params):
    x = points(n=400)
    one = fit(x, method, n_clusters=5, seed=1, **params)
    other = fit(x, method, n_clusters=5, seed=1, backend="torch", device="cpu", **params)
    assert adjusted_rand_score(one.labels, other.labels) >= 0.99
    assert other.status == one.status
    assert other.objective == pytest.approx(one.objective, rel=1e-6)
    assert predict(other, x, x=x).tolist() == other.labels.tolist()


@pytest.mark.parametrize("method", ["kmeans", "gmm", "tmixture", "sec"])
def test_torch_gives_the_same_bits_in_a_grid_and_the_same_labels_in_another_unit(method):
    x = points(n=300)
    options = {"backend": "torch", "device": "cpu", **({} if method == "sec" else {"n_init": 3})}
    one = fit(x, method, n_clusters=4, seed=1, **options)
    grid = fit_grid(x, method, n_clusters=[3, 4], seeds=[1], **options)
    assert grid[1].labels.tolist() == one.labels.tolist()
    assert grid[1].objective == one.objective
    if method != "sec":  # whose gamma has the unit of the embedding
        assert fit(1e-5 * x, method, n_clusters=4, seed=1, **options).labels.tolist() == one.labels.tolist()


@pytest.mark.parametrize("method", ["kmeans", "gmm", "tmixture"])
def test_torch_stands_far_neurons_duplicates_and_too_many_clusters(method):
    x = points(n=300)
    x[0] += 1e6
    one, other = (fit(x, method, n_clusters=6, backend=b, n_init=4) for b in ("numpy", "torch"))
    assert adjusted_rand_score(one.labels, other.labels) >= 0.99
    few = np.repeat(np.eye(4) * 9, 30, axis=0)
    found = fit(few, method, n_clusters=6, backend="torch", n_init=2)
    assert found.status == "empty_cluster"
    assert found.k_effective == 4


def test_eigenpairs_by_torch_are_those_of_the_other_solver():
    x = points(n=900)
    problem = SECProblem(x, nearest_neighbours(Points(x, MemoryCache()), 5), 1e-3, 1.0)
    one, other = problem.basis(32), problem.basis(32, device="cpu")
    assert other.converged.all()
    np.testing.assert_allclose(other.values, one.values, atol=1e-9)
    overlap = np.linalg.svd(one.vectors[:, :5].T @ other.vectors[:, :5], compute_uv=False)
    assert overlap.min() > 1 - 1e-8
    assert other.norm == pytest.approx(one.norm, rel=0.1)


@pytest.mark.parametrize("method", ["kmeans", "gmm", "tmixture", "rotation_tmixture", "sec"])
def test_the_default_leaves_no_trace_in_a_specification(method):
    assert "backend" not in method_config(method).resolved()
    assert spec_hash(method, {"backend": "numpy"}) == spec_hash(method)
    assert method_config(method, {"backend": "torch"}).resolved()["backend"] == "torch"
    assert spec_hash(method, {"backend": "torch"}) != spec_hash(method)


def test_hashes_of_default_specifications_are_those_of_before():
    assert spec_hash("kmeans") == "863dba5086b3f5aa0a8048cf62aeee941565f749a526838938d98649a7d4d060"


def test_a_device_without_use_is_refused():
    with pytest.raises(InputError, match="pass backend='torch', or leave device out"):
        fit(points(n=50), "kmeans", n_clusters=2, device="cpu")
    with pytest.raises(InputError, match="device should be one that torch has"):
        fit(points(n=50), "kmeans", n_clusters=2, backend="torch", device="cuda:99")
    with pytest.raises(ConfigError, match="backend: there is no such name"):
        fit(points(n=50), "leiden", n_clusters=2, backend="torch")
