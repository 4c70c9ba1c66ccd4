"""Neighbours searched by torch are those of scikit-learn's search; tested on torch's CPU device."""

from importlib import import_module

import numpy as np
import pytest

from decortex.clustering import MemoryCache, Points, fit, fit_grid, get_method, methods
from decortex.clustering.graph import nearest_neighbours
from decortex.errors import InputError

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
