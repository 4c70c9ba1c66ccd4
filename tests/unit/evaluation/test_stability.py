"""Stability of clusters and neurons: a literal transcription of Hennig's index, known answers, invariances."""

import numpy as np
import pytest

from decortex.errors import InputError
from decortex.evaluation.agreement import draw_subsample, stability


def literal_jaccard(reference, other, cluster):
    """Hennig (2007), with sets of neurons."""
    placed = {i for i in range(len(other)) if other[i] >= 0 and reference[i] >= 0}
    own = {i for i in placed if reference[i] == cluster}
    if not own:
        return np.nan
    found = [{i for i in placed if other[i] == one} for one in set(other[other >= 0].tolist())]
    return max(len(own & one) / len(own | one) for one in found)


def test_clusterwise_jaccard_is_that_of_the_sets():
    rng = np.random.default_rng(0)
    reference = rng.integers(-1, 4, 80)
    others = []
    for _ in range(5):
        other = np.where(rng.random(80) < 0.6, reference, rng.integers(0, 6, 80))
        other[rng.random(80) < 0.2] = -1
        others.append(other)
    found = stability(reference, others, 5)
    expected = [[literal_jaccard(reference, other, c) for c in range(5)] for other in others]
    np.testing.assert_allclose(found.jaccard, expected, atol=1e-12)
    np.testing.assert_allclose(found.mean[:4], np.mean(expected, axis=0)[:4], atol=1e-12)
    np.testing.assert_allclose(found.recovered[:4], np.mean(np.array(expected) >= 0.75, axis=0)[:4])
    np.testing.assert_allclose(found.dissolved[:4], np.mean(np.array(expected) <= 0.5, axis=0)[:4])
    assert np.isnan(found.mean[4])  # the fifth cluster holds no neuron


def test_known_answer():
    reference = np.array([0, 0, 0, 0, 1, 1])
    split = np.array([1, 1, 0, 0, 2, 2])  # the large cluster is cut in two
    half = np.array([0, 0, -1, -1, 1, 1])  # a subsample, found again
    found = stability(reference, [split, half], 2)
    np.testing.assert_array_equal(found.jaccard, [[0.5, 1.0], [1.0, 1.0]])
    np.testing.assert_array_equal(found.mean, [0.75, 1.0])
    np.testing.assert_array_equal(found.dissolved, [0.5, 0.0])
    np.testing.assert_array_equal(found.recovered, [0.5, 1.0])
    # of the cut cluster one half keeps its number in the first, and only that half is asked in the second
    assert sorted(found.neurons[:4].tolist()) in ([0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 1.0, 1.0])
    np.testing.assert_array_equal(found.neurons[4:], 1.0)


def test_numbering_and_order_do_not_matter():
    rng = np.random.default_rng(1)
    reference = rng.integers(0, 4, 200)
    other = np.where(rng.random(200) < 0.7, reference, rng.integers(0, 4, 200))
    shuffle, numbers = rng.permutation(200), np.array([2, 0, 3, 1])
    one = stability(reference, [other], 4)
    renamed = stability(numbers[reference][shuffle], [(3 - other)[shuffle]], 4)
    np.testing.assert_allclose(renamed.mean[numbers], one.mean)
    np.testing.assert_allclose(renamed.neurons, one.neurons[shuffle])


def test_neurons_that_nobody_placed_have_no_stability():
    found = stability(np.array([0, 0, 1, -1]), [np.array([0, 0, -1, 1])], 2)
    np.testing.assert_array_equal(found.neurons, [1.0, 1.0, np.nan, np.nan])
    np.testing.assert_array_equal(found.mean, [1.0, np.nan])


def test_subsamples_are_those_of_their_seed():
    one = draw_subsample(1000, 0.8, 3)
    assert len(one) == len(set(one.tolist())) == 800
    np.testing.assert_array_equal(one, draw_subsample(1000, 0.8, 3))
    assert len(np.intersect1d(one, draw_subsample(1000, 0.8, 4))) == pytest.approx(640, abs=40)
    with pytest.raises(InputError, match="between 0 and 1, got 1"):
        draw_subsample(10, 1.0, 0)


def test_what_has_no_stability_is_refused():
    labels = np.array([0, 1])
    with pytest.raises(InputError, match="at least one other"):
        stability(labels, [], 2)
    with pytest.raises(InputError, match="below n_clusters=1, but reach 1"):
        stability(labels, [labels], 1)
