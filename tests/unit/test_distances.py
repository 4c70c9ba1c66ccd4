"""Squared distances keep their digits wherever the points lie."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from decortex.distances import distance_blocks, nearest, robust_centre, squared_distances


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e9])
@pytest.mark.parametrize("far", [1.0, 1e9])
def test_equals_differences(offset, far):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 7)) + offset, rng.normal(size=(40, 7)) + offset
    x[3] *= far
    y[:5] = x[:5]
    np.testing.assert_allclose(squared_distances(x, y), cdist(x, y, "sqeuclidean"), rtol=1e-8)
    assert (np.diagonal(squared_distances(x, y)[:5]) == 0).all()


def test_nearest_takes_the_first_of_equal_centres_and_works_in_blocks(monkeypatch):
    monkeypatch.setattr("decortex.distances.CHUNK", 50)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(103, 4)) + 1e8
    centres = np.vstack([x[:5], x[:5]])
    labels, squared = nearest(x, centres)
    exact = cdist(x, centres, "sqeuclidean")
    assert labels.tolist() == exact.argmin(axis=1).tolist()
    np.testing.assert_allclose(squared, exact.min(axis=1), rtol=1e-8)
    assert sum(rows.stop - rows.start for rows, _ in distance_blocks(x, centres)) == 103


def test_far_neurons_do_not_move_the_centre():
    x = np.random.default_rng(2).normal(size=(9_000, 3))
    x[::100] = 1e12
    assert np.abs(robust_centre(x)).max() < 0.2
