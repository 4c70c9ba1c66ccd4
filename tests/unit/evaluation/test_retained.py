"""Retained performance: hand-checked numbers, and what is None where one session or no score is there."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from decortex.errors import InputError
from decortex.evaluation.performance import retained_performance

SESSIONS = np.array(["b", "b", "a", "a", "a", "c"])
BEFORE = np.array([0.5, 0.7, 0.2, 0.4, 0.6, 0.3])
CONTROL = BEFORE + 0.1
AFTER = CONTROL + np.array([-0.02, -0.04, 0.0, 0.03, 0.0, -0.05])


def test_changes_are_paired_and_intervals_follow_the_t_distribution():
    found = retained_performance(BEFORE, AFTER, CONTROL, sessions=SESSIONS)
    assert found.status == found.interval_status == "ok"
    assert found.change == pytest.approx(-0.08 / 6)
    assert found.change_from_start == pytest.approx(0.1 - 0.08 / 6)
    assert found.fraction_retained == pytest.approx(AFTER.mean() / CONTROL.mean())
    means = np.array([0.01, -0.03, -0.05])
    assert [row.session for row in found.sessions] == ["a", "b", "c"]
    np.testing.assert_allclose([row.change for row in found.sessions], means, atol=1e-12)
    assert [row.n for row in found.sessions] == [3, 2, 1]
    assert found.worst_session == "c"
    assert found.change_over_sessions == pytest.approx(means.mean())
    over_sessions = ttest_1samp(means, 0).confidence_interval()
    assert (found.interval_low, found.interval_high) == pytest.approx(tuple(over_sessions))
    over_neurons = ttest_1samp(AFTER - CONTROL, 0).confidence_interval()
    assert (found.neuron_interval_low, found.neuron_interval_high) == pytest.approx(tuple(over_neurons))


def test_one_session_has_no_interval_over_sessions():
    found = retained_performance(BEFORE, AFTER, CONTROL, sessions=np.zeros(6, dtype=int))
    assert found.interval_status == "one_session"
    assert found.interval_low is found.interval_high is None
    assert found.neuron_interval_low < found.change < found.neuron_interval_high


def test_neurons_that_lost_their_score_are_counted():
    after = AFTER.copy()
    after[:2] = np.nan
    control = CONTROL.copy()
    control[5] = np.nan
    found = retained_performance(BEFORE, after, control, sessions=SESSIONS)
    assert (found.n, found.n_lost, found.n_excluded) == (3, 2, 3)
    assert found.interval_status == "one_session"
    assert found.change == pytest.approx(0.01)


def test_without_a_score_everything_is_none():
    found = retained_performance(BEFORE, AFTER * np.nan, CONTROL, sessions=SESSIONS)
    assert (found.status, found.interval_status, found.n, found.n_lost) == ("no_scores", "no_scores", 0, 6)
    assert found.change is found.after is found.worst_session is None


def test_one_neuron_has_a_mean_but_no_interval():
    found = retained_performance(BEFORE[:1], AFTER[:1], CONTROL[:1], sessions=SESSIONS[:1])
    assert found.change == pytest.approx(-0.02)
    assert found.neuron_interval_low is None


def test_a_useless_control_has_no_fraction():
    assert retained_performance(BEFORE, AFTER, -CONTROL, sessions=SESSIONS).fraction_retained is None


def test_misfitting_arrays_are_refused():
    with pytest.raises(InputError, match=r"each be \(n_neurons,\)"):
        retained_performance(BEFORE, AFTER[:3], CONTROL, sessions=SESSIONS)
