"""Valleys: none in a cut continuum in any dimension, found between types, exact level on held-out neurons."""

import numpy as np
import pytest
from scipy.stats import binom

from decortex.clustering import fit
from decortex.evaluation.selection import density_valleys
from decortex.evaluation.selection.density_valleys import _along


def halves(x, k, seed=0, **changed):
    order = np.random.default_rng(seed).permutation(len(x))
    train, held_out = x[order[::2]], x[order[1::2]]
    own = fit(train, "kmeans", n_clusters=k, seed=seed, n_init=2)
    return density_valleys(train, own.labels, own.parameters["centres"], held_out, **changed)


def continuum(name, rng, n=1000):
    if name == "gaussian":
        return rng.normal(size=(n, 16)) * np.linspace(2, 0.5, 16)
    if name == "flat":
        return rng.uniform(size=(n, 2))
    if name == "exponential":
        return rng.exponential(size=(n, 12))
    return rng.dirichlet(np.ones(4), n) @ (4 * rng.normal(size=(4, 10)))


@pytest.mark.parametrize("name", ["gaussian", "flat", "exponential", "simplex"])
def test_a_continuum_has_no_valleys_however_it_is_cut(name):
    x = continuum(name, np.random.default_rng(0))
    for k in (2, 5, 9, 14):
        found = halves(x, k)
        assert found.status == "ok"
        assert found.n_separated <= 0.1 * len(found.pairs), (k, found)


def test_cells_of_a_partition_alone_would_show_valleys():
    # Why the prism: the neurons of two neighbouring cells, projected on the line, thin out at their common face.
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, size=(40_000, 2))
    hexagon = np.array(
        [[0.0, 0.0], [0.5, 0.0], [0.25, 0.433], [0.25, -0.433], [-0.25, 0.433], [-0.25, -0.433]]
    )
    hexagon = np.vstack([hexagon, [[-0.5, 0.0], [1.0, 0.0], [0.75, 0.433], [0.75, -0.433]]])
    nearest = np.argmin(((x[:, None] - hexagon[None]) ** 2).sum(axis=2), axis=1)
    t = x[nearest <= 1][:, 0] / 0.5
    cells = [np.count_nonzero(np.abs(t - place) <= 1 / 6) for place in (0, 0.5, 1)]
    assert cells[1] < 0.75 * min(cells[0], cells[2])
    prism = _along(x, hexagon, 0, 1)
    flat = [np.count_nonzero(np.abs(prism - place) <= 1 / 6) for place in (0, 0.5, 1)]
    assert flat[1] > 0.9 * min(flat[0], flat[2])


def test_types_stand_apart_and_pieces_of_one_are_joined():
    rng = np.random.default_rng(2)
    centres = 8 * np.eye(5)[:, :5]
    x = np.repeat(centres, 120, axis=0) + rng.normal(size=(600, 5))
    found = halves(x, 5)
    assert found.n_groups == 5
    assert found.n_separated == len(found.pairs)
    cut = halves(x, 8)
    assert cut.n_groups == 5
    assert cut.n_separated < len(cut.pairs)
    assert halves(x, 2).n_groups == 2


def test_counts_and_p_are_those_of_the_literal_procedure():
    rng = np.random.default_rng(3)
    train = np.concatenate([rng.normal(0, 1, 200), rng.normal(6, 1, 200)])[:, None]
    labels = np.repeat(np.array([0, 1], dtype=np.int16), 200)
    centres = np.array([[train[:200].mean()], [train[200:].mean()]])
    held_out = np.concatenate([rng.normal(0, 1, 150), rng.normal(6, 1, 90)])[:, None]
    (pair,) = density_valleys(train, labels, centres, held_out).pairs
    t = ((held_out - centres[0]) / (centres[1] - centres[0])).ravel()
    assert pair.n_first == (np.abs(t) <= 1 / 6).sum()
    assert pair.n_second == (np.abs(t - 1) <= 1 / 6).sum()
    assert pair.p == pytest.approx(binom.cdf(pair.n_between, pair.n_between + pair.n_second, 0.5))
    assert pair.depth == pair.n_between / pair.n_second
    assert pair.separated


def test_scale_rotation_and_order_of_features_change_nothing():
    rng = np.random.default_rng(4)
    x = np.repeat(6 * np.eye(3), 60, axis=0) + rng.normal(size=(180, 3))
    labels = np.repeat(np.arange(3, dtype=np.int16), 60)
    centres = np.stack([x[labels == j].mean(axis=0) for j in range(3)])
    held_out = np.repeat(6 * np.eye(3), 40, axis=0) + rng.normal(size=(120, 3))
    turn = 5 * np.linalg.qr(rng.normal(size=(3, 3)))[0]
    one = density_valleys(x, labels, centres, held_out)
    other = density_valleys(x @ turn, labels, centres @ turn, held_out @ turn)
    assert [p.n_between for p in one.pairs] == [p.n_between for p in other.pairs]
    assert one.n_groups == other.n_groups == 3


def test_rejects_at_its_level_where_the_density_is_flat():
    # Uniform neurons meet the null with equality: the binomial test alone may reject in 5 % of pairs at most.
    rng = np.random.default_rng(5)
    labels = np.repeat(np.array([0, 1], dtype=np.int16), 50)
    rejected = 0
    for _ in range(400):
        train, held_out = rng.uniform(0, 2, size=(100, 1)), rng.uniform(0, 2, size=(300, 1))
        train = np.sort(train, axis=0)
        centres = np.array([[0.5], [1.5]])
        (pair,) = density_valleys(train, labels, centres, held_out, max_depth=0.999).pairs
        rejected += pair.p <= 0.05
    assert rejected / 400 < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_undefined_partitions_have_a_status():
    x = np.random.default_rng(6).normal(size=(20, 2))
    one = np.zeros(20, dtype=np.int16)
    assert density_valleys(x, one, np.zeros((2, 2)), x).status == "one_cluster"
    corners = np.repeat(np.eye(2), 10, axis=0)
    labels = np.repeat(np.array([0, 1], dtype=np.int16), 10)
    found = density_valleys(corners, labels, np.eye(2), corners)
    assert (found.status, found.pairs, found.n_groups) == ("zero_spread", (), 2)
