"""Statistics studentised by cluster: the literal transcription, error rates where spreads differ, undefined cases."""

import numpy as np
import pytest
from scipy.stats import binom

from decortex.errors import InputError
from decortex.evaluation.association import (
    Contrasts,
    Nuisance,
    ResidualMaker,
    associate,
    grid_test,
    session_ridits,
    sessions_test,
    studentised_null,
)


def unequal(rng, *, sizes=(150, 70, 30, 12), spreads=(1, 1, 1, 4), n_sessions=3):
    """Equal means and medians; small clusters may spread more."""
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    sessions = rng.integers(0, n_sessions, len(labels))
    return rng.normal(size=len(labels)) * np.array(spreads)[labels] + sessions, labels, sessions


def in_order(labels, sessions, covariates=None):
    order = np.argsort(sessions, kind="stable")
    columns = np.empty((len(labels), 0)) if covariates is None else covariates
    return order, ResidualMaker(np.unique(sessions[order], return_inverse=True)[1], columns[order])


def test_one_session_gives_james_statistic(monkeypatch):
    monkeypatch.setattr("decortex.evaluation.association.studentised._PRIOR_DF", 0.0)
    y, labels, sessions = unequal(np.random.default_rng(0), n_sessions=1)
    order, residuals_of = in_order(labels, sessions)
    one = Contrasts.of(labels[order], residuals_of)
    found, _ = studentised_null(y[order] - y.mean(), [one], residuals_of, seed=0, n_permutations=1)
    n, mean, var = (
        np.array([f(y[labels == j]) for j in range(4)]) for f in (len, np.mean, lambda v: v.var(ddof=1))
    )
    w = n / var
    # James' statistic of free means, and the score form here, are both U' V^- U on the same three contrasts.
    assert found[0] == pytest.approx((w * (mean - (w * mean).sum() / w.sum()) ** 2).sum(), rel=1e-8)


def test_sessions_and_covariates_give_the_literal_wald_statistic(monkeypatch):
    monkeypatch.setattr("decortex.evaluation.association.studentised._PRIOR_DF", 0.0)
    rng = np.random.default_rng(1)
    y, labels, sessions = unequal(rng, sizes=(60, 30, 20, 3))
    x = rng.normal(size=(len(y), 2))
    order, residuals_of = in_order(labels, sessions, x)
    # The cluster of three neurons is left out: a level of its own in the reduced model.
    reduced = np.column_stack([sessions[:, None] == np.arange(3), x]).astype(float)
    m = y - reduced @ np.linalg.lstsq(reduced, y, rcond=None)[0]
    wider = np.column_stack([reduced, labels == 3]).astype(float)
    C = (labels[:, None] == np.arange(3)).astype(float)
    Z = C - wider @ np.linalg.lstsq(wider, C, rcond=None)[0]
    variance = np.array([m[labels == j].var(ddof=1) for j in range(3)])
    U = Z.T @ m
    V = sum(variance[j] * Z[labels == j].T @ Z[labels == j] for j in range(3))
    one = Contrasts.of(labels[order], residuals_of)
    assert (one.n_tested, one.n_left_out, one.rank) == (3, 1, 2)
    found, _ = studentised_null(m[order], [one], residuals_of, seed=0, n_permutations=1)
    assert found[0] == pytest.approx(U @ np.linalg.pinv(V, rcond=1e-9) @ U, rel=1e-6)


def test_blocks_by_session_are_the_projection_on_all_columns():
    rng = np.random.default_rng(2)
    sessions = np.sort(rng.integers(0, 5, 90))
    x = rng.normal(size=(90, 2))
    own = np.concatenate(
        [x * (sessions == s)[:, None] for s in range(3)] + [x * (sessions > 2)[:, None]], axis=1
    )
    residuals_of = ResidualMaker(sessions, own)
    design = np.column_stack([sessions[:, None] == np.arange(5), own]).astype(float)
    values = rng.normal(size=(90, 4))
    expected = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    np.testing.assert_allclose(residuals_of(values), expected, atol=1e-10)
    assert residuals_of.rank == residuals_of.basis().shape[1] == 8
    np.testing.assert_allclose(residuals_of.basis().T @ residuals_of.basis(), np.eye(8), atol=1e-10)


@pytest.mark.parametrize("spreads", [(1, 1, 1, 4), (4, 1, 1, 1)])
def test_equal_means_are_not_rejected_because_spreads_differ(spreads):
    rng = np.random.default_rng(3)
    studentised_p, share_p, rank_p = [], [], []
    for i in range(200):
        data = unequal(rng, spreads=spreads)
        studentised_p.append(sessions_test(*data, seed=i, n_permutations=59).p)
        share_p.append(sessions_test(*data, seed=i, n_permutations=59, statistic="share").p)
        rank_p.append(associate(*data, seed=i, n_permutations=59).p_permutation)
    for p in (studentised_p, rank_p):
        assert binom.ppf(0.0005, 200, 0.05) <= (np.array(p) <= 0.05).sum() <= binom.ppf(0.9995, 200, 0.05)
    # Shares of variance reject .25 where the small cluster is the wide one, and next to nothing where the large one is.
    share = (np.array(share_p) <= 0.05).sum()
    assert share > binom.ppf(0.999, 200, 0.05) if spreads[-1] > 1 else share < binom.ppf(0.02, 200, 0.05)


def test_an_effect_is_found():
    y, labels, sessions = unequal(np.random.default_rng(4))
    found = sessions_test(y + 2 * (labels == 1), labels, sessions, seed=0, n_permutations=199)
    assert (found.p, found.n_left_out, found.statistic) == (1 / 200, 0, "studentised")


def test_clusters_of_one_and_two_neurons_take_no_part():
    rng = np.random.default_rng(5)
    y, labels, sessions = unequal(rng, sizes=(60, 30, 2, 1))
    y[labels == 3] = 1e6
    y[labels == 2] = -1e6
    found = associate(y, labels, sessions, seed=0, n_permutations=99)
    assert (found.permutation_status, found.n_clusters_left_out) == ("ok", 2)
    assert found.p_permutation > 0.05
    grid = grid_test(y, [labels, np.minimum(labels, 1)], sessions, seed=0, n_permutations=99)
    assert (grid.statuses, grid.n_left_out) == (("ok", "ok"), (2, 0))
    small = grid_test(y, [np.arange(len(y)) // 5], sessions, seed=0, n_permutations=99)
    assert (small.status, small.p, small.n_left_out) == ("clusters_too_small", None, (19,))


@pytest.mark.parametrize(
    "kind", ["no spread in one cluster", "no spread in any", "two values", "a huge value"]
)
def test_ties_and_clusters_without_spread_give_numbers(kind):
    rng = np.random.default_rng(6)
    labels, sessions = np.arange(90) % 3, np.zeros(90, dtype=int)
    y = {
        "no spread in one cluster": np.where(labels == 0, 0.5, rng.normal(size=90)),
        "no spread in any": labels.astype(float),
        "two values": (rng.random(90) < 0.5).astype(float),
        "a huge value": np.where(np.arange(90) == 0, 1e15, rng.normal(size=90)),
    }[kind]
    found = sessions_test(y, labels, sessions, seed=0, n_permutations=99)
    ranks = associate(y, labels, sessions, seed=0, n_permutations=99)
    for p in (found.p, ranks.p_permutation):
        assert 0.01 <= p <= 1
    if kind == "no spread in any":
        assert found.p == ranks.p_permutation == 0.01


def test_more_columns_than_neurons_have_a_status():
    rng = np.random.default_rng(7)
    y, labels, sessions = unequal(rng, sizes=(20, 20))
    wide = sessions_test(y, labels, sessions, rng.normal(size=(40, 60)), seed=0, n_permutations=19)
    assert (wide.status, wide.p, wide.effect) == ("too_few_neurons", None, None)


def test_units_of_scores_and_names_of_clusters_change_nothing():
    y, labels, sessions = unequal(np.random.default_rng(8))
    one = sessions_test(y, labels, sessions, seed=1, n_permutations=99)
    other = sessions_test(-7e6 * y + 3, 10 - labels, sessions * 5, seed=1, n_permutations=99)
    assert other.p == one.p


def test_large_clusters_share_one_pass_and_small_ones_are_scaled():
    rng = np.random.default_rng(9)
    y, labels, sessions = unequal(rng, sizes=(90, 80, 60), spreads=(1, 1, 1))
    order, residuals_of = in_order(labels, sessions)
    large = Contrasts.of(labels[order], residuals_of)
    small = Contrasts.of(np.where(np.arange(len(y)) < 20, 3, labels[order]), residuals_of)
    assert (large.large, small.large) == (True, False)
    residuals = Nuisance.of(y, sessions, None).residuals[order]
    both = studentised_null(residuals, [large, small], residuals_of, seed=2, n_permutations=50)
    for column, one in enumerate((large, small)):
        alone = studentised_null(residuals, [one], residuals_of, seed=2, n_permutations=50)
        np.testing.assert_allclose(both[0][column], alone[0][0], rtol=1e-12)
        np.testing.assert_allclose(both[1][:, column], alone[1][:, 0], rtol=1e-12)


def test_ranks_are_tested_as_scores_are():
    y, labels, sessions = unequal(np.random.default_rng(11))
    ridits = session_ridits(y, sessions)
    for statistic in ("studentised", "share"):
        expected = sessions_test(ridits, labels, sessions, seed=3, n_permutations=99, statistic=statistic)
        found = associate(y, labels, sessions, seed=3, n_permutations=99, statistic=statistic)
        assert (found.p_permutation, found.permutation_statistic) == (expected.p, statistic)


def test_an_unknown_statistic_is_refused():
    y, labels, sessions = unequal(np.random.default_rng(10))
    for test in (sessions_test, associate):
        with pytest.raises(InputError, match="'studentised' or 'share', got 'welch'"):
            test(y, labels, sessions, seed=0, n_permutations=9, statistic="welch")
