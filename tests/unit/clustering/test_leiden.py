"""Leiden: planted graphs, modularity against a literal sum and networkx, K met or not, fixed resolutions, seeds."""

from __future__ import annotations

from importlib import import_module

import networkx
import numpy as np
import pytest
from scipy import sparse

from decortex.clustering import MemoryCache, Points, fit, fit_grid
from decortex.clustering.graph import connectivity, nearest_neighbours
from decortex.errors import ConfigError, InputError

leiden = import_module("decortex.clustering.graph.leiden")


def planted(n_groups=5, size=40, apart=8.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(n_groups), size)
    return rng.normal(size=(n_groups, 6))[truth] * apart + rng.normal(size=(len(truth), 6)), truth


def literal_modularity(affinity, labels, resolution):
    """The double sum over pairs, as in the definition."""
    a = affinity.toarray()
    degree, total = a.sum(axis=1), a.sum()
    return sum(
        (a[i, j] - resolution * degree[i] * degree[j] / total) / total
        for i in range(len(a))
        for j in range(len(a))
        if labels[i] == labels[j]
    )


def graph_of(x, n_neighbors=10):
    return connectivity(nearest_neighbours(Points(x, MemoryCache()), n_neighbors - 1))


@pytest.mark.parametrize("resolution", [0.3, 1.0, 4.0])
def test_modularity_is_the_literal_sum_and_that_of_networkx(resolution):
    x, _ = planted(3, 20, apart=1.0)
    affinity = graph_of(x)
    labels = np.random.default_rng(1).integers(4, size=len(x))
    found = leiden.modularity(affinity, labels, resolution)
    assert found == pytest.approx(literal_modularity(affinity, labels, resolution), abs=1e-12)
    members = [set(np.flatnonzero(labels == one).tolist()) for one in range(4)]
    theirs = networkx.community.modularity(
        networkx.from_scipy_sparse_array(affinity), members, resolution=resolution
    )
    assert found == pytest.approx(theirs, abs=1e-12)


def test_planted_groups_are_the_communities_at_every_setting():
    x, truth = planted()
    for params in ({}, {"resolution": 0.1}, {"resolution": 1.0}, {"n_neighbors": 15}):
        found = fit(x, "leiden", n_clusters=5, **params)
        assert found.status == "ok"
        assert found.labels.tolist() == truth.tolist()  # groups of one size are ordered by their first neuron


def test_no_move_of_one_neuron_improves_the_modularity():
    x, _ = planted(4, 30, apart=1.5)
    affinity = graph_of(x)
    found = fit(x, "leiden", n_clusters=30, resolution=1.0)
    best = literal_modularity(affinity, found.labels, 1.0)
    assert found.objective == pytest.approx(-best)
    for neuron in range(0, len(x), 7):
        for community in range(found.k_effective):
            moved = found.labels.copy()
            moved[neuron] = community
            assert leiden.modularity(affinity, moved) <= best + 1e-12


def test_the_resolution_is_searched_until_exactly_k_communities_are_there():
    x, _ = planted(4, 60, apart=1.0)
    grid = fit_grid(x, "leiden", n_clusters=range(2, 16), seeds=[0], cache=MemoryCache())
    met = [found for found in grid if found.diagnostics["n_communities"] == found.n_clusters]
    assert len(met) >= 8
    for found in met:
        assert found.status == "ok"
        resolution = found.diagnostics["resolution"]
        again = fit(x, "leiden", n_clusters=found.n_clusters, resolution=resolution)
        assert again.labels.tolist() == found.labels.tolist()


def test_k_that_no_resolution_gives_is_reached_by_joining_and_said():
    x, truth = planted(5, 40, apart=40.0)  # five islands: no resolution gives fewer communities
    found = fit(x, "leiden", n_clusters=3)
    assert (found.status, found.converged, found.k_effective) == ("not_converged", False, 3)
    assert found.diagnostics["n_communities"] == found.diagnostics["n_components"] == 5
    assert all(len(set(found.labels[truth == one].tolist())) == 1 for one in range(5))


def test_joined_are_the_two_whose_union_costs_least():
    x, _ = planted(5, 20, apart=1.5)
    affinity = graph_of(x)
    labels = np.unique(fit(x, "leiden", n_clusters=6).labels, return_inverse=True)[1].astype(np.int64)
    joined = leiden.join_communities(affinity, labels, 5, 2.0)
    every = []
    for one in range(6):
        for other in range(one):
            union = labels.copy()
            union[union == one] = other
            every.append(literal_modularity(affinity, union, 2.0))
    assert leiden.modularity(affinity, joined, 2.0) == pytest.approx(max(every))
    assert len(np.unique(joined)) == 5


def test_k_is_an_outcome_of_a_given_resolution_and_the_one_asked_for_its_bound():
    x, truth = planted()
    wide = fit(x, "leiden", n_clusters=50, resolution=0.5)
    assert (wide.k_effective, wide.n_clusters, wide.status) == (5, 50, "ok")
    assert wide.labels.tolist() == truth.tolist()
    narrow = fit(x, "leiden", n_clusters=3, resolution=0.5)
    assert (narrow.k_effective, narrow.status) == (3, "not_converged")
    counts = [
        fit(x, "leiden", n_clusters=200, resolution=2.0**at).k_effective for at in (-2, 0, 2, 4, 6, 12, 16)
    ]
    assert counts == sorted(counts)
    assert counts[0] == 5
    assert counts[-1] == len(x)


def test_seeds_are_respected():
    x = np.random.default_rng(5).normal(size=(300, 8))  # no communities: runs differ
    one, again, other = (fit(x, "leiden", n_clusters=60, resolution=1.0, seed=seed) for seed in (0, 0, 1))
    assert one.labels.tolist() == again.labels.tolist()
    assert one.labels.tolist() != other.labels.tolist()


def test_what_is_refused():
    x, _ = planted()
    with pytest.raises(ConfigError, match="should be above 0"):
        fit(x, "leiden", n_clusters=2, resolution=0.0)
    with pytest.raises(ConfigError, match="searched"):
        fit(x, "leiden", n_clusters=2, resolution="highest")
    with pytest.raises(InputError, match="lower it"):
        leiden.join_communities(sparse.eye_array(6000, format="csr"), np.arange(6000), 2, 9.0)
