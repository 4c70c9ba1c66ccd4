"""A figure against its null: known answers, and what has no z or no p."""

import numpy as np
import pytest

from decortex.evaluation.nulls import excess_over_null


def test_known_answer():
    found = excess_over_null(3.0, [1.0, 2.0, 3.0, None, float("nan")])
    assert (found.status, found.n_null, found.null_mean, found.null_sd) == ("ok", 3, 2.0, 1.0)
    assert (found.excess, found.z) == (1.0, 1.0)
    assert found.p == 2 / 4  # the third surrogate reaches it


def test_p_is_never_zero_and_one_where_all_reach_it():
    assert excess_over_null(9.0, list(range(5))).p == 1 / 6
    assert excess_over_null(0.0, list(range(5))).p == 1.0
    assert excess_over_null(0.1 + 0.2, [0.3, 0.0]).p == 2 / 3  # equal up to rounding


@pytest.mark.parametrize(
    ("observed", "null", "status", "p"),
    [
        (None, [1.0, 2.0], "not_observed", None),
        (float("nan"), [1.0], "not_observed", None),
        (1.0, [None], "no_null", None),
        (1.0, [0.5], "one_null", 0.5),
        (1.0, [0.5, 0.5], "constant_null", 1 / 3),
    ],
)
def test_what_has_no_z(observed, null, status, p):
    found = excess_over_null(observed, null)
    assert (found.status, found.z, found.p) == (status, None, p)


def test_p_is_uniform_under_the_null():
    rng = np.random.default_rng(0)
    p = [excess_over_null(x[0], x[1:].tolist()).p for x in rng.normal(size=(4000, 20))]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.012)
