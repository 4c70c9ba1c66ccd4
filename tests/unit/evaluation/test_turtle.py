"""TURTLE: against its equations written out neuron by neuron, what the networks share, and its refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from decortex.clustering import fit
from decortex.errors import InputError
from decortex.evaluation.agreement import consensus, turtle
from decortex.evaluation.agreement.shared_labelling import _Search, _standardised


def softmax(logits):
    top = max(logits)
    powers = [math.exp(one - top) for one in logits]
    return [one / sum(powers) for one in powers]


def literal_loss(views, theta, classifiers, gamma):
    """Equation of the docstring with loops over embeddings, neurons and clusters."""
    n, k = len(views[0]), theta[0].shape[1]
    tau = np.zeros((n, k))
    for x, one in zip(views, theta, strict=True):
        for i in range(n):
            tau[i] += np.array(
                softmax([sum(x[i, d] * one[d, j] for d in range(x.shape[1])) for j in range(k)])
            ) / len(views)
    total = 0.0
    for x, w in zip(views, classifiers, strict=True):
        for i in range(n):
            p = softmax([sum(x[i, d] * w[d, j] for d in range(x.shape[1])) for j in range(k)])
            total -= sum(tau[i, j] * math.log(p[j]) for j in range(k)) / (n * len(views))
    mean = tau.mean(axis=0)
    return total + gamma * sum(one * math.log(one) for one in mean)


def some_search(gamma=2.0):
    rng = np.random.default_rng(0)
    views = [_standardised(rng.normal(size=(9, d))) for d in (2, 3)]
    search = _Search(views, 3, rng, gamma, 0.05)
    for _ in range(4):
        search.step(3)
    return search


def test_loss_and_gradient_are_those_of_the_equations_written_out():
    search = some_search()
    assert search.loss() == pytest.approx(
        literal_loss(search.points, search.theta, search.classifiers, 2.0), rel=1e-10
    )
    found, step = search.gradients(search.labelling()), 1e-6
    for view in range(2):
        for at in np.ndindex(search.theta[view].shape):
            values = []
            for sign in (1, -1):
                moved = [one.copy() for one in search.theta]
                moved[view][at] += sign * step
                values.append(literal_loss(search.points, moved, search.classifiers, 2.0))
            assert found[view][at] == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-7)


def test_the_classifiers_follow_the_labelling_before_it_moves():
    search = some_search()
    before, tau = [one.copy() for one in search.classifiers], search.labelling()
    worse = search.cross_entropies(tau).mean()
    seen = []
    search.outer.step = lambda gradients: seen.append(search.cross_entropies(tau).mean())
    search.step(50)
    assert seen[0] < worse
    assert not np.array_equal(before[0], search.classifiers[0])


def embeddings_with_structure_of_their_own(seed, k=3, n=120):
    """Types that all embeddings share, under groups of each embedding's own that are further apart."""
    rng = np.random.default_rng(seed)
    truth, views = rng.integers(0, k, n), []
    for _ in range(3):
        own = rng.integers(0, k, n)
        mixed = np.concatenate([2 * rng.normal(size=(k, 6))[truth], 4 * rng.normal(size=(k, 6))[own]], axis=1)
        views.append(mixed @ rng.normal(size=(12, 12)) + rng.normal(size=(n, 12)))
    return truth, views


def test_it_finds_what_the_networks_share_where_each_has_stronger_groups_of_its_own():
    truth, views = embeddings_with_structure_of_their_own(1)
    partitions = [fit(view, "kmeans", n_clusters=3, seed=0).labels for view in views]
    found = turtle(views, 3, seed=0, n_init=3, n_steps=200)
    assert adjusted_rand_score(truth, found.labels) > 0.9
    assert adjusted_rand_score(truth, consensus(partitions, 3).labels) < 0.7
    assert (found.n_alive, len(found.losses)) == (3, 3)
    assert found.loss == found.losses.min()
    assert (np.diff(np.bincount(found.labels)) <= 0).all()
    assert 0.9 < found.entropy <= 1.0


def test_equal_seeds_give_equal_bits_and_what_is_not_placed_has_no_label():
    truth, views = embeddings_with_structure_of_their_own(2, k=2, n=40)
    views[1][3] = np.nan
    one, other = (turtle(views, 2, seed=5, n_init=2, n_steps=20) for _ in range(2))
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.losses, other.losses)
    assert np.flatnonzero(one.labels < 0).tolist() == [3]
    assert np.isnan(one.confidence[3])
    assert (one.confidence[one.labels >= 0] >= 0.5).all()
    assert len(truth) == len(one.labels)


def test_units_of_an_embedding_and_features_without_spread_do_not_matter():
    _, views = embeddings_with_structure_of_their_own(3, k=2, n=40)
    scaled = [1000 * views[0] + 7, views[1], np.column_stack([views[2], np.ones(40)])[:, :12]]
    np.testing.assert_array_equal(
        turtle(views, 2, seed=0, n_init=1, n_steps=20).labels,
        turtle(scaled, 2, seed=0, n_init=1, n_steps=20).labels,
    )
    flat = [views[0], np.ones((40, 2))]
    assert np.isfinite(turtle(flat, 2, seed=0, n_init=1, n_steps=5).loss)


@pytest.mark.parametrize(
    ("shapes", "k", "message"),
    [
        ([(5, 2), (6, 2)], 2, "of the same neurons, got shapes"),
        ([], 2, "got shapes"),
        ([(5,)], 2, "got shapes"),
        ([(5, 2)], 1, "at least 2 clusters"),
        ([(5, 2)], 6, "fewer than the 6 clusters"),
    ],
)
def test_what_does_not_fit_is_refused(shapes, k, message):
    with pytest.raises(InputError, match=message):
        turtle([np.ones(shape) for shape in shapes], k, seed=0)
