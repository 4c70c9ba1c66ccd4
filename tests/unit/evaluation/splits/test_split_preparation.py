"""Which neurons decide, and which are held out together."""

import numpy as np
import pytest

from decortex.errors import InputError
from decortex.evaluation.splits import SplitConfig
from decortex.evaluation.splits.folds import donor_codes, draw_folds, of_one_donor
from decortex.evaluation.splits.preparation import prepare


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_equal_rows_decide_once(rng):
    x = rng.standard_normal((100, 3))
    doubled = np.concatenate([x, x[:40]])
    assert prepare(doubled, SplitConfig(), rng).deciding.tolist() == list(range(100))


def test_far_neurons_and_their_copies_are_set_aside(rng):
    x = rng.standard_normal((200, 3))
    x[[5, 17]] = [[60.0, 0, 0], [0, -80, 0]]
    x = np.concatenate([x, x[[17]]])
    ready = prepare(x, SplitConfig(), rng)
    assert set(ready.set_aside) >= {5, 17, 200}
    assert len(ready.set_aside) < 6
    assert not set(ready.deciding) & {5, 17, 200}


def test_no_more_than_the_allowed_share_is_set_aside(rng):
    x = np.concatenate([0.01 * rng.standard_normal((165, 2)), 1000 * rng.standard_normal((35, 2))])
    assert len(prepare(x, SplitConfig(), rng).set_aside) == 30
    assert len(prepare(x, SplitConfig(max_outlier_share=0.0), rng).set_aside) == 0


def test_of_very_many_neurons_a_sample_decides_and_all_are_judged(rng):
    x = rng.standard_normal((900, 3))
    x[3], x[800] = 500.0, -500.0
    ready = prepare(x, SplitConfig(max_neurons=300), rng)
    assert len(ready.points) <= 300
    assert set(ready.set_aside) >= {3, 800}
    assert len(ready.set_aside) < 20


def test_coordinates_are_a_rotation(rng):
    x = 100 + rng.standard_normal((50, 4)) * [5, 1, 3, 0.1]
    ready = prepare(x, SplitConfig(max_outlier_share=0.0), rng)
    np.testing.assert_allclose(ready.coordinates(x)[ready.deciding], ready.points, atol=1e-9)
    moved = np.linalg.norm(ready.points[1:] - ready.points[0], axis=1)
    np.testing.assert_allclose(moved, np.linalg.norm(x[1:] - x[0], axis=1))
    assert np.all(np.diff(ready.points.var(axis=0)) < 0)


def test_folds_without_donors_are_equal_in_size(rng):
    assert np.bincount(draw_folds(103, None, 5, rng)).tolist() == [21, 21, 21, 20, 20]


def test_whole_donors_are_held_out_together(rng):
    donors = np.repeat(np.arange(12), rng.integers(1, 40, 12))
    folds = draw_folds(len(donors), donors, 5, rng)
    assert all(len(set(folds[donors == donor])) == 1 for donor in range(12))
    sizes = np.bincount(folds)
    assert len(sizes) == 5
    assert sizes.max() < 2 * sizes.min()


def test_three_donors_make_three_folds(rng):
    assert set(draw_folds(30, np.repeat([0, 1, 2], 10), 5, rng)) == {0, 1, 2}


def test_groups_of_one_donor():
    groups = np.repeat([0, 1, 2, -1], 20)
    donors = np.concatenate(
        [np.repeat(7, 20), np.repeat([7, 3], [16, 4]), np.repeat([7, 3], [15, 5]), np.zeros(20, int)]
    )
    assert of_one_donor(groups, donors).tolist() == [True, True, False]


def test_donors_are_any_names():
    assert donor_codes(["m2", "m1", "m2"], 3).tolist() == [1, 0, 1]
    assert donor_codes(np.array(["b", "a", "a"], dtype=object), 3).tolist() == [1, 0, 0]
    assert donor_codes(None, 3) is None


@pytest.mark.parametrize(
    ("donors", "message"),
    [
        (["a", "b"], r"one donor per neuron, shape \(3,\), but has shape \(2,\)"),
        (["a", "a", "a"], "of one donor .*donors=None"),
        ([0.0, np.nan, 1.0], "NaN or infinity"),
    ],
)
def test_donors_that_do_not_fit_are_refused(donors, message):
    with pytest.raises(InputError, match=message):
        donor_codes(donors, 3)
