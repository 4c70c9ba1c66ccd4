"""The population of sessions: references, the level where clusters vary over sessions, undefined cases."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.stats import binom, kruskal, ncf, ttest_1samp
from statsmodels.regression.mixed_linear_model import MixedLM

from decortex.errors import InputError
from decortex.evaluation.association import (
    cell_effect,
    cluster_contrasts,
    holm,
    mixed_test,
    population_test,
    unit_effects,
)


def draw(rng, n_sessions=6, k=3, interaction=0.5, effect=0.0):
    sizes = rng.integers(30, 60, n_sessions)
    sessions = np.repeat(np.arange(n_sessions), sizes)
    mixes = rng.dirichlet(np.full(k, 8.0), n_sessions)
    labels = np.array([rng.choice(k, p=mixes[s]) for s in sessions])
    y = rng.normal(size=n_sessions)[sessions] + effect * labels + rng.normal(size=len(sessions))
    return y + interaction * rng.normal(size=(n_sessions, k))[sessions, labels], labels, sessions


def test_on_balanced_cells_f_is_that_of_the_repeated_measures_analysis():
    # Equal cells: cluster against cluster-by-session mean squares.
    rng = np.random.default_rng(0)
    sessions, labels = np.repeat(np.arange(6), 30), np.tile(np.repeat(np.arange(3), 10), 6)
    y = 0.5 * rng.normal(size=(6, 3))[sessions, labels] + rng.normal(size=180)
    cells = np.array([[y[(sessions == s) & (labels == j)].mean() for j in range(3)] for s in range(6)])
    left = cells - cells.mean(0) - cells.mean(1)[:, None] + cells.mean()
    f = 6 * ((cells.mean(0) - cells.mean()) ** 2).sum() / 2 / ((left**2).sum() / 10)
    found = population_test(y, labels, sessions)
    assert found.status == "ok"
    assert found.interaction_variance > 0
    assert found.f == pytest.approx(f, rel=1e-8)
    assert (found.n_units, found.n_cells, found.df, found.df_residual) == (6, 18, 2, 10)


def test_f_and_likelihood_ratio_equal_statsmodels():
    y, labels, sessions = draw(np.random.default_rng(1), interaction=1.0)
    x = np.random.default_rng(2).normal(size=len(y))
    z = (x - x.mean()) / x.std()
    levels = (sessions[:, None] == np.arange(6)).astype(float)
    full = np.column_stack([levels, z, labels == 1, labels == 2]).astype(float)
    cells = sessions * 3 + labels
    fits = {
        reml: MixedLM(y, full, groups=cells).fit(reml=reml, method="bfgs", gtol=1e-10)
        for reml in (True, False)
    }
    small = MixedLM(y, full[:, :7], groups=cells).fit(reml=False, method="bfgs", gtol=1e-10)
    found = population_test(y, labels, sessions, x[:, None])
    beta = fits[True].fe_params[7:]
    V = fits[True].scale * np.eye(len(y)) + fits[True].cov_re[0, 0] * (cells[:, None] == cells)
    covariance = np.linalg.inv(full.T @ np.linalg.solve(V, full))[7:, 7:]
    assert found.f == pytest.approx(beta @ np.linalg.solve(covariance, beta) / 2, rel=1e-6)
    from scipy.stats import chi2

    assert found.p_likelihood == pytest.approx(chi2.sf(2 * (fits[False].llf - small.llf), 2), rel=1e-6)


def test_the_mixed_model_with_session_levels_equals_statsmodels():
    y, labels, sessions = draw(np.random.default_rng(3), effect=0.1)
    frame = pd.DataFrame({"y": y, "cluster": labels, "session": sessions})
    fits = [
        smf.mixedlm(formula, frame, groups="session").fit(reml=False, method="bfgs", gtol=1e-10)
        for formula in ("y ~ C(cluster)", "y ~ 1")
    ]
    found = mixed_test(y, labels, sessions)
    assert found.status == "ok"
    assert found.chi2 == pytest.approx(2 * (fits[0].llf - fits[1].llf), abs=1e-8)
    assert found.df == 2
    fixed = [smf.ols(f, frame).fit() for f in ("y ~ C(session) + C(cluster)", "y ~ C(session)")]
    f, p, _ = fixed[0].compare_f_test(fixed[1])
    assert (found.f_fixed, found.p_fixed) == pytest.approx((f, p), rel=1e-8)


def test_neurons_as_the_sample_reject_where_clusters_vary_over_sessions_and_units_do_not():
    rng = np.random.default_rng(4)
    sets = [draw(rng, interaction=0.6) for _ in range(200)]
    population = sum(population_test(*one).p <= 0.05 for one in sets)
    neurons = sum(mixed_test(*one).p <= 0.05 for one in sets)
    assert binom.ppf(0.001, 200, 0.05) <= population <= binom.ppf(0.999, 200, 0.05)
    assert neurons > 60


def test_where_cells_differ_far_more_than_neurons_f_is_that_of_the_cells():
    rng = np.random.default_rng(11)
    _, labels, sessions = draw(rng)
    cells = rng.normal(size=(6, 3))
    y = cells[sessions, labels] + 1e-3 * rng.normal(size=len(labels))
    left = cells - cells.mean(0) - cells.mean(1)[:, None] + cells.mean()
    f = 6 * ((cells.mean(0) - cells.mean()) ** 2).sum() / 2 / ((left**2).sum() / 10)
    found = population_test(y, labels, sessions)
    assert found.f == pytest.approx(f, rel=1e-2)
    assert found.residual_variance == pytest.approx(1e-6, rel=0.3)


def test_a_clear_effect_is_found():
    found = population_test(*draw(np.random.default_rng(5), effect=1.0, interaction=0.2))
    assert found.p < 0.001
    assert 0.3 < found.effect_low < found.effect < found.effect_high < 1


def test_the_interval_inverts_the_noncentral_f():
    estimate, low, high = cell_effect(4.0, 3, 20)
    n = 24
    assert estimate == pytest.approx(3 * 3.0 / (9.0 + n))
    assert ncf.sf(4.0, 3, 20, low * n / (1 - low)) == pytest.approx(0.025, abs=1e-8)
    assert ncf.cdf(4.0, 3, 20, high * n / (1 - high)) == pytest.approx(0.025, abs=1e-8)
    assert cell_effect(0.5, 3, 20)[:2] == (0.0, 0.0)


def test_animals_are_fewer_units_than_their_sessions():
    y, labels, sessions = draw(np.random.default_rng(6), n_sessions=10)
    by_animal = population_test(y, labels, sessions, units=sessions // 2)
    assert (by_animal.status, by_animal.n_units, by_animal.df_residual) == ("ok", 5, 8)
    assert population_test(y, labels, sessions, units=sessions // 4).status == "too_few_units"


def test_contrasts_are_t_tests_over_units():
    y, labels, sessions = draw(np.random.default_rng(7), effect=0.5)
    found = cluster_contrasts(y, labels, sessions)
    for one in found:
        own = labels == one.cluster
        values = [y[(sessions == s) & own].mean() - y[(sessions == s) & ~own].mean() for s in range(6)]
        expected = ttest_1samp(values, 0)
        assert one.difference == pytest.approx(np.mean(values))
        assert one.p == pytest.approx(expected.pvalue, rel=1e-8)
        assert (one.low, one.high) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-8)
        same = int((np.sign(values) == np.sign(np.mean(values))).sum())
        assert one.n_same_sign == same
        tail = sum(binom.pmf(i, 6, 0.5) for i in range(7) if abs(i - 3) >= abs(same - 3))
        assert one.p_sign == pytest.approx(tail)
    assert [one.p_holm for one in found] == pytest.approx(holm(np.array([one.p for one in found])))


def test_units_are_kruskal_wallis_of_their_own():
    y, labels, sessions = draw(np.random.default_rng(8), effect=0.5)
    labels[sessions == 2] = 0
    found = unit_effects(y, labels, sessions)
    assert [one.unit for one in found] == [str(s) for s in range(6)]
    assert found[2].epsilon2_corrected is found[2].p_kruskal is None
    here = sessions == 4
    h, p = kruskal(*[y[here & (labels == j)] for j in range(3)])
    assert found[4].p_kruskal == pytest.approx(p, rel=1e-8)
    assert found[4].epsilon2_corrected == pytest.approx((h - 2) / (here.sum() - 3), rel=1e-8)


@pytest.mark.parametrize(
    ("change", "status", "mixed"),
    [
        (lambda y, j, s: (y[:0], j[:0], s[:0]), "no_scores", "no_scores"),
        (lambda y, j, s: (y, j * 0, s), "one_cluster", "one_cluster"),
        (lambda y, j, s: (y * 0 + 0.1, j, s), "constant_scores", "constant_scores"),
        (lambda y, j, s: (0.1 * s, j, s), "constant_scores", "constant_scores"),
        (lambda y, j, s: (y, j, s * 0), "too_few_units", "one_session"),
        (lambda y, j, s: (y, j, s % 4), "too_few_units", "ok"),
        (lambda y, j, s: (y, s, s), "too_few_cells", "ok"),
        (lambda y, j, s: (y[::20], np.arange(len(y[::20])), s[::20]), "too_few_cells", "too_few_neurons"),
        (lambda y, j, s: (y, np.where(np.arange(len(y)) == 3, 9, j), s), "ok", "ok"),
        (lambda y, j, s: (0.3 * j, j, s), "perfect_fit", "perfect_fit"),
        (lambda y, j, s: (np.sin(3.0 * j + 5.0 * s), j, s), "perfect_fit", "ok"),
    ],
    ids=[
        "none",
        "one cluster",
        "equal",
        "equal in sessions",
        "one session",
        "four",
        "cluster is session",
        "K = n",
        "singleton",
        "score is cluster",
        "score is cell",
    ],
)
def test_undefined_tests_have_a_status(change, status, mixed):
    y, labels, sessions = change(*draw(np.random.default_rng(9)))
    found = population_test(y, labels, sessions)
    assert found.status == status
    assert (found.p is None) == (found.effect is None) == (status != "ok")
    assert mixed_test(y, labels, sessions).status == mixed
    for one in cluster_contrasts(y, labels, sessions):
        assert one.p is None or one.n_units >= 5


def test_bad_input_is_refused():
    y, labels, sessions = draw(np.random.default_rng(10))
    with pytest.raises(InputError, match="leave out the neurons"):
        population_test(y * np.nan, labels, sessions)
    with pytest.raises(InputError, match="one label per neuron"):
        mixed_test(y, labels[:4], sessions)
