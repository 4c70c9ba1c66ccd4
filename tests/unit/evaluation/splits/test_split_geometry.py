"""Subclusters, neighbours, prisms and density paths, against slow literal versions and where the answer is known."""

import itertools

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf_shrinkage

from decortex.evaluation.splits.path import density_path
from decortex.evaluation.splits.prisms import choose_windows, in_windows, prism_places
from decortex.evaluation.splits.subclusters import gabriel_pairs, kmeans, lloyd, whitener


def literal_places(points, centres, pairs):
    """(pair, neuron) -> place along the line, straight from the definition."""
    inside = {}
    for p, (i, j) in enumerate(pairs):
        line = centres[j] - centres[i]
        length2 = line @ line
        for n, x in enumerate(points):
            t = (x - centres[i]) @ line / length2
            if not -1 / 6 <= t < 7 / 6:
                continue
            kept = True
            for k in set(range(len(centres))) - {i, j}:
                place = (centres[k] - centres[i]) @ line / length2
                across = centres[k] - centres[i] - place * line
                if -1 / 6 < place < 7 / 6 and (x - centres[i]) @ across > across @ across / 2:
                    kept = False
            if kept:
                inside[p, n] = t
    return inside


@pytest.mark.parametrize(("n_features", "n_centres"), [(1, 3), (2, 5), (3, 2), (6, 7)])
def test_prisms_are_those_of_the_definition(n_features, n_centres):
    rng = np.random.default_rng(n_features)
    points, centres = rng.standard_normal((150, n_features)), rng.standard_normal((n_centres, n_features))
    pairs = gabriel_pairs(centres)
    found = prism_places(points, centres, pairs)
    expected = literal_places(points, centres, pairs)
    assert set(zip(found.pair.tolist(), found.neuron.tolist(), strict=True)) == set(expected)
    for pair, neuron, place in zip(found.pair, found.neuron, found.bin, strict=True):
        assert place == pytest.approx(np.floor((expected[pair, neuron] + 1 / 6) * 24), abs=1)
    between, beside = in_windows(found, choose_windows(found, np.ones(150, dtype=bool)))
    assert not (between & beside).any()


def test_neighbours_are_those_of_the_definition():
    centres = np.random.default_rng(1).standard_normal((9, 3))
    expected = [
        (i, j)
        for i, j in itertools.combinations(range(9), 2)
        if all(
            np.linalg.norm(centres[k] - (centres[i] + centres[j]) / 2)
            >= np.linalg.norm(centres[i] - centres[j]) / 2
            for k in set(range(9)) - {i, j}
        )
    ]
    assert gabriel_pairs(centres).tolist() == [list(pair) for pair in expected]


def test_equal_centres_are_no_neighbours():
    assert gabriel_pairs(np.zeros((2, 3))).tolist() == []


def test_windows_are_the_emptiest_between_and_the_sparser_side():
    # 30 neurons at t = 0, 10 at t = 1, 5 at t = .4: the emptiest window lies beyond .4.
    t = np.repeat([0.0, 1.0, 0.4], [30, 10, 5])[:, None]
    places = prism_places(t, np.array([[0.0], [1.0]]), np.array([[0, 1]]))
    between, beside = in_windows(places, choose_windows(places, np.ones(len(t), dtype=bool)))
    assert between.sum() == 0
    assert beside.sum() == 10


def test_subclusters_that_lose_their_neurons_keep_their_centre():
    centres, labels = lloyd(np.zeros((4, 2)), np.array([[0.0, 0], [9, 9]]), 3)
    assert centres[1].tolist() == [9, 9]
    assert labels.tolist() == [0, 0, 0, 0]


def test_kmeans_finds_groups_that_are_far_apart():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(5), 30)
    x = 50 * rng.standard_normal((5, 4))[y] + rng.standard_normal((150, 4))
    _, labels = kmeans(x, 5, rng)
    assert len(set(zip(y.tolist(), labels.tolist(), strict=True))) == 5


def test_whitening_makes_the_covariance_the_identity():
    x = np.random.default_rng(0).standard_normal((5000, 3)) @ np.array([[3.0, 1, 0], [0, 1, 0], [0, 0, 0.2]])
    x -= x.mean(axis=0)
    white = x @ whitener(x)
    np.testing.assert_allclose(white.T @ white / len(x), np.eye(3), atol=0.1)
    assert whitener(np.zeros((5, 3))) is None


@pytest.mark.parametrize("shape", [(30, 2), (40, 12), (20, 30), (500, 5)])
def test_shrinkage_is_ledoit_and_wolfs(shape):
    x = np.random.default_rng(0).standard_normal(shape) * np.linspace(1, 3, shape[1])
    shrinkage = ledoit_wolf_shrinkage(x, assume_centered=True)
    covariance = x.T @ x / len(x)
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / shape[1] * np.eye(shape[1])
    root = whitener(x)
    np.testing.assert_allclose(root.T @ shrunk @ root, np.eye(shape[1]), atol=1e-8)


def test_the_path_goes_round_a_ring_and_not_across():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 800)
    x = 10 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.5 * rng.standard_normal((800, 2))
    path = density_path(x, x[:, 0] > 0, rng)
    saddle = path.origin + path.saddle @ path.axes.T
    assert np.linalg.norm(saddle) > 8
    between, beside = path.count(x).sum(axis=1)
    assert between > 0.4 * beside


def test_the_path_between_two_types_is_empty_in_the_middle():
    rng = np.random.default_rng(0)
    second = np.repeat([False, True], 200)
    x = rng.standard_normal((400, 6)) + 9 * np.outer(second, np.eye(6)[0])
    path = density_path(x, second, rng)
    between, beside = path.count(x).sum(axis=1)
    assert between == 0
    assert beside > 10


def test_groups_with_one_centre_have_no_path():
    x = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    assert density_path(x, np.array([False, False, True, True]), np.random.default_rng(0)) is None
