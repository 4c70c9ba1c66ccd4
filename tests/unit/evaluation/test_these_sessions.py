"""Freedman-Lane within sessions: the literal transcription, shared permutations, max-T, undefined cases."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import binom
from threadpoolctl import threadpool_limits

from decortex.errors import InputError
from decortex.evaluation.association import (
    Nuisance,
    freedman_lane_null,
    grid_test,
    session_order,
    sessions_test,
    shuffled_blocks,
)


def confounded(rng, effect=0.0, n_sessions=4, slope=1.0):
    """Clusters follow a covariate that moves the scores; sessions differ in level and mix."""
    sizes = rng.integers(20, 50, n_sessions)
    sessions = np.repeat(np.arange(n_sessions), sizes)
    covariate = rng.normal(size=len(sessions)) + rng.normal(size=n_sessions)[sessions]
    labels = np.digitize(covariate + rng.normal(size=len(sessions)), [-0.8, 0.7])
    y = slope * covariate + rng.normal(size=n_sessions)[sessions] + rng.normal(size=len(sessions))
    return y + effect * labels, labels, sessions, covariate[:, None]


def design(sessions, covariates, labels=None):
    columns = [sessions[:, None] == np.unique(sessions), covariates]
    if labels is not None:
        columns.append(labels[:, None] == np.unique(labels)[1:])
    return np.column_stack(columns).astype(float)


def test_statistic_and_permutations_equal_the_literal_transcription():
    y, labels, sessions, x = confounded(np.random.default_rng(0))
    shuffle = np.random.default_rng(9).permutation(len(y))  # sessions not contiguous
    y, labels, sessions, x = y[shuffle], labels[shuffle], sessions[shuffle], x[shuffle]
    observed, null = freedman_lane_null(Nuisance.of(y, sessions, x), [labels], seed=3, n_permutations=5)

    reduced = sm.OLS(y, design(sessions, x)).fit()
    order, bounds = session_order(sessions)
    (blocks,) = shuffled_blocks(reduced.resid[order], bounds, seed=3, n_permutations=5)
    fitted = [y] + [reduced.fittedvalues + blocks[np.argsort(order), b] for b in range(5)]
    literal = []
    for one in fitted:
        small, large = (sm.OLS(one, design(sessions, x, more)).fit() for more in (None, labels))
        literal.append(1 - large.ssr / small.ssr)
    np.testing.assert_allclose([observed[0], *null[:, 0]], literal, atol=1e-10)


def test_effect_equals_statsmodels_and_omega_its_formula():
    y, labels, sessions, x = confounded(np.random.default_rng(1), effect=0.5)
    found = sessions_test(y, labels, sessions, x, seed=0, n_permutations=99)
    small, large = (sm.OLS(y, design(sessions, x, more)).fit() for more in (None, labels))
    f = large.compare_f_test(small)[0]
    n = len(y)
    assert found.effect.f == pytest.approx(f, rel=1e-8)
    assert (found.effect.df, found.effect.df_residual) == (2, int(large.df_resid))
    assert found.effect.corrected == pytest.approx(2 * (f - 1) / (2 * (f - 1) + n), rel=1e-8)
    assert found.effect.low < found.effect.corrected < found.effect.high
    assert found.p == 1 / 100


def test_a_measured_confound_keeps_the_level_and_an_unmeasured_one_does_not():
    rng = np.random.default_rng(2)
    sets = [confounded(rng) for _ in range(200)]
    adjusted = sum(sessions_test(*one, seed=i, n_permutations=99).p <= 0.05 for i, one in enumerate(sets))
    ignored = sum(sessions_test(*one[:3], seed=i, n_permutations=99).p <= 0.05 for i, one in enumerate(sets))
    assert binom.ppf(0.001, 200, 0.05) <= adjusted <= binom.ppf(0.999, 200, 0.05)
    assert ignored > 100


def test_a_grid_shares_permutations_and_its_p_is_that_of_the_best():
    y, labels, sessions, x = confounded(np.random.default_rng(4), effect=0.4)
    partitions = [labels, labels // 2, np.zeros_like(labels), np.random.default_rng(0).integers(0, 5, len(y))]
    found = grid_test(y, partitions, sessions, x, seed=1, n_permutations=199)
    assert found.statuses == ("ok", "ok", "one_cluster", "ok")
    assert found.p_single[2] is found.p_adjusted[2] is None
    for labels_of, p, adjusted in zip(partitions, found.p_single, found.p_adjusted, strict=True):
        if p is not None:
            assert p == sessions_test(y, labels_of, sessions, x, seed=1, n_permutations=199).p
            assert p <= adjusted
    assert found.p == found.p_adjusted[found.best] == min(p for p in found.p_adjusted if p is not None)
    alone = grid_test(y, partitions[:1], sessions, x, seed=1, n_permutations=199)
    assert alone.p == alone.p_single[0]


def test_the_grid_keeps_its_level_over_many_partitions():
    rng = np.random.default_rng(5)
    reached = 0
    for i in range(150):
        y, _, sessions, x = confounded(rng)
        partitions = [rng.integers(0, k, len(y)) for k in (2, 3, 5, 8, 12)]
        found = grid_test(y, partitions, sessions, x, seed=i, n_permutations=99)
        reached += found.p <= 0.05
    assert reached <= binom.ppf(0.999, 150, 0.05)


def test_threads_do_not_change_the_numbers():
    y, labels, sessions, x = confounded(np.random.default_rng(6))
    results = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            results.append(grid_test(y, [labels, labels // 2], sessions, x, seed=0, n_permutations=99))
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("scores", "labels", "sessions", "covariate", "status"),
    [
        ([], [], [], None, "no_scores"),
        ([1.0, 2, 3, 4], [0] * 4, [0] * 4, None, "one_cluster"),
        ([1.0] * 6, [0, 1] * 3, [0] * 6, None, "constant_scores"),
        ([0.1] * 3 + [0.3] * 3, [0, 1] * 3, [0] * 3 + [1] * 3, None, "constant_scores"),
        ([1.0, 2, 3, 4, 5, 6], [0, 1] * 3, [0] * 6, [1.0, 2, 3, 4, 5, 6], "constant_scores"),
        ([1.0, 2, 3, 4, 5, 7], [0] * 3 + [1] * 3, [0] * 3 + [1] * 3, None, "cluster_is_nuisance"),
        ([1.0, 2, 3, 4], [0, 1, 2, 3], [0] * 4, None, "too_few_neurons"),
        ([1.0, 2, 4, 3, 9], [0, 0, 0, 0, 1], [0] * 5, None, "clusters_too_small"),
        (np.arange(24.0) ** 2 % 7, [0] * 9 + [1] * 15, [0, 1] * 12, None, "ok"),
    ],
)
def test_undefined_tests_have_a_status(scores, labels, sessions, covariate, status):
    columns = None if covariate is None else np.array(covariate)[:, None]
    arrays = np.array(scores, dtype=float), np.array(labels, dtype=int), np.array(sessions, dtype=int)
    found = sessions_test(*arrays, columns, seed=0, n_permutations=19)
    assert found.status == status
    assert (found.p is None) == (status != "ok")
    assert (found.effect is None) == (status not in ("ok", "clusters_too_small"))
    grid = grid_test(arrays[0], [arrays[1]], arrays[2], columns, seed=0, n_permutations=19)
    assert (grid.status, grid.p) == (status, found.p)


def test_a_covariate_that_repeats_another_changes_nothing():
    y, labels, sessions, x = confounded(np.random.default_rng(7))
    one = sessions_test(y, labels, sessions, x, seed=0, n_permutations=99)
    twice = sessions_test(y, labels, sessions, np.column_stack([x, 2 * x + 1]), seed=0, n_permutations=99)
    assert twice.p == one.p
    assert twice.effect.f == pytest.approx(one.effect.f)


def test_bad_input_is_refused():
    y, labels, sessions, x = confounded(np.random.default_rng(8))
    with pytest.raises(InputError, match="leave out the neurons"):
        sessions_test(np.where(y > 0, np.nan, y), labels, sessions, seed=0)
    with pytest.raises(InputError, match="one label per neuron"):
        sessions_test(y, labels, sessions, x[:3], seed=0)
    with pytest.raises(InputError, match="one label per neuron"):
        sessions_test(y, labels[:3], sessions, seed=0)
    with pytest.raises(InputError, match="at least one partition"):
        grid_test(y, [], sessions, seed=0)
    with pytest.raises(InputError, match="at least 1, got 0"):
        sessions_test(y, labels, sessions, seed=0, n_permutations=0)
