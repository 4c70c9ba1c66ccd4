"""Equivalence of a mean change: statsmodels' TOST, the wild bootstrap written out, undefined cases."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, ttest_1samp
from statsmodels.stats.weightstats import DescrStatsW

from decortex.errors import InputError
from decortex.evaluation.performance import WEBB_WEIGHTS, equivalence

MEANS = np.array([-0.001, 0.002, -0.003, 0.001])


def test_two_one_sided_tests_equal_statsmodels():
    found = equivalence(MEANS, margin=0.004)
    expected = DescrStatsW(MEANS).ttost_mean(-0.004, 0.004)[0]
    assert found.p == pytest.approx(expected, rel=1e-8)
    assert found.equivalent == (expected <= 0.05)
    assert found.p_zero == pytest.approx(ttest_1samp(MEANS, 0).pvalue, rel=1e-8)
    low, high = ttest_1samp(MEANS, 0).confidence_interval(0.9)
    assert found.equivalent == (low > -0.004 and high < 0.004)


def test_the_wild_bootstrap_of_few_sessions_is_its_complete_enumeration():
    found = equivalence(MEANS)
    mean, error = MEANS.mean(), MEANS.std(ddof=1) / 2
    zero, around = [], []
    for weights in product(WEBB_WEIGHTS, repeat=4):
        for into, base in ((zero, MEANS), (around, MEANS - mean)):
            draw = base * weights
            into.append(draw.mean() / (draw.std(ddof=1) / 2))
    reached = sum(abs(one) >= abs(mean) / error * (1 - 1e-10) for one in zero)
    assert found.wild_p == pytest.approx((reached + 1) / (6**4 + 1))
    low, high = np.quantile(around, [0.025, 0.975], method="nearest")
    assert (found.wild_low, found.wild_high) == pytest.approx((mean - high * error, mean - low * error))
    assert found == equivalence(MEANS, seed=5)


def test_many_sessions_draw_and_never_reach_zero():
    means = 0.01 + 0.001 * np.random.default_rng(0).normal(size=12)
    found = equivalence(means, seed=1, n_bootstrap=499)
    assert found.wild_p == 1 / 500
    assert not found.equivalent
    assert found.wild_low < means.mean() < found.wild_high
    assert found == equivalence(means, seed=1, n_bootstrap=499)


def test_two_sessions_have_no_bounds_by_the_bootstrap():
    found = equivalence(np.array([0.001, 0.002]))
    assert found.status == "ok"
    assert found.wild_low is found.wild_high is None
    assert found.p is not None


@pytest.mark.parametrize("change", [-0.005, 0.005])
def test_a_change_of_exactly_the_margin_is_rarely_called_negligible(change):
    rng = np.random.default_rng(2)
    sets = change + 0.001 * rng.normal(size=(400, 7))
    declared = sum(equivalence(one, n_bootstrap=1).equivalent for one in sets)
    assert binom.ppf(0.001, 400, 0.05) <= declared <= binom.ppf(0.999, 400, 0.05)


@pytest.mark.parametrize(
    ("means", "status"), [([], "no_scores"), ([0.1], "one_session"), ([0.1, 0.1, 0.1], "no_variation")]
)
def test_what_has_no_interval_has_a_status(means, status):
    found = equivalence(np.array(means))
    assert (found.status, found.p, found.equivalent, found.wild_p) == (status, None, None, None)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="above 0, got 0"):
        equivalence(MEANS, margin=0.0)
    with pytest.raises(InputError, match="finite"):
        equivalence(MEANS * np.nan)
