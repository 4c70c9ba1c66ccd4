"""Shares of variance, their influence functions, corrections over tests, and columns of covariates."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import f_oneway, kruskal, ncx2, rankdata
from statsmodels.stats.multitest import multipletests

from decortex.errors import ConfigError, InputError
from decortex.evaluation.association import (
    Chance,
    CovariateConfig,
    adjusted_share,
    benjamini_hochberg,
    chance_bound,
    covariate_columns,
    holm,
    log_rate,
    norms,
    one_hot,
    orthonormal,
    ranked_share,
    scaled_scores,
)


def draw(seed, n=150):
    rng = np.random.default_rng(seed)
    labels = rng.choice(4, size=n, p=[0.5, 0.3, 0.15, 0.05])
    return np.round(rng.normal(size=n) + 0.5 * labels, 1), labels


def test_omega_squared_is_its_formula_and_f_that_of_scipy():
    y, labels = draw(0)
    found = adjusted_share(y, labels)
    groups = [y[labels == j] for j in range(4)]
    within = sum(((g - g.mean()) ** 2).sum() for g in groups)
    total = ((y - y.mean()) ** 2).sum()
    mean_square = within / (len(y) - 4)
    assert found.corrected == pytest.approx((total - within - 3 * mean_square) / (total + mean_square))
    assert found.f == pytest.approx(f_oneway(*groups).statistic, rel=1e-8)


def test_ranks_give_kruskal_wallis():
    y, labels = draw(1)
    h = kruskal(*[y[labels == j] for j in range(4)]).statistic
    found = ranked_share(y, labels)
    assert found.share * (len(y) - 1) == pytest.approx(h, rel=1e-8)
    assert found.corrected == pytest.approx((h - 3) / (len(y) - 4), rel=1e-8)


def weighted_share(values, labels, weights):
    mean = np.average(values, weights=weights)
    means = np.array([np.average(values[labels == j], weights=weights[labels == j]) for j in range(4)])
    left = np.average((values - means[labels]) ** 2, weights=weights)
    return 1 - left / np.average((values - mean) ** 2, weights=weights)


def test_the_influence_of_a_neuron_is_the_derivative_by_its_weight():
    from decortex.evaluation.association import effect_sizes as effects

    y, labels = draw(2, n=60)
    residual = y - np.array([y[labels == j].mean() for j in range(4)])[labels]
    influence = effects._influence(y - y.mean(), residual)
    values = (rankdata(y) - 0.5) / len(y)
    rank_residual = values - np.array([values[labels == j].mean() for j in range(4)])[labels]
    ranked = effects._influence(values - values.mean(), rank_residual)
    ranked = ranked + effects._rank_influence(y, values - values.mean(), rank_residual)
    step = 1e-6
    for i in (0, 7, 31):
        weights = np.ones(60)
        weights[i] += 60 * step
        plain = (weighted_share(y, labels, weights) - weighted_share(y, labels, np.ones(60))) / step
        assert influence[i] == pytest.approx(plain, rel=1e-3, abs=1e-4)
        # The rank of each neuron in the weighted sample: weight below it, and half of the ties.
        places = np.array([((y < v) * weights).sum() + ((y == v) * weights).sum() / 2 for v in y])
        moved = weighted_share(places / weights.sum(), labels, weights)
        expected = (moved - weighted_share(values, labels, np.ones(60))) / step
        assert ranked[i] == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_nuisance_is_removed_first():
    y, labels = draw(3)
    x = np.random.default_rng(4).normal(size=len(y)) + labels
    nuisance = np.column_stack([np.ones(len(y)), x])
    found = adjusted_share(y, labels, nuisance)
    full = np.column_stack([nuisance, labels[:, None] == [1, 2, 3]]).astype(float)
    expected = sm.OLS(y, full).fit().compare_f_test(sm.OLS(y, nuisance).fit())
    assert found.f == pytest.approx(expected[0], rel=1e-8)
    assert adjusted_share(y, labels, (labels[:, None] == np.arange(4)).astype(float)) is None
    assert adjusted_share(x, labels, nuisance) is None


def test_orthonormal_columns_span_the_same_without_repeats():
    x = np.random.default_rng(5).normal(size=(30, 3))
    basis = orthonormal(np.column_stack([x, x @ [1, 2, 3]]))
    assert basis.shape == (30, 3)
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(basis @ (basis.T @ x), x, atol=1e-10)


def test_corrections_equal_statsmodels():
    p = np.array([0.04, 0.001, 0.2, 0.04, 0.9, 0.013])
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1], rtol=1e-12)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)
    assert benjamini_hochberg(np.empty(0)) == holm(np.empty(0)) == []
    with pytest.raises(InputError, match="between 0 and 1"):
        benjamini_hochberg(np.array([0.1, np.nan]))


def test_covariates_become_standardised_powers_of_the_neurons_that_have_them():
    scores = np.array([0.1, 0.2, np.nan, 0.4, 0.5, 0.3])
    values = {"norm": np.array([1.0, 2, 3, 4, np.nan, 8]), "reliability": np.full(6, np.nan)}

    def columns(**settings):
        config = CovariateConfig(slopes="common", **settings)
        return covariate_columns(config, values, scores, sessions=np.zeros(6))

    found = columns(names=("norm",))
    assert found.defined.tolist() == [True, True, False, True, False, True]
    standard = (np.array([1, 2, 4, 8]) - 3.75) / np.std([1, 2, 4, 8])
    np.testing.assert_allclose(found.columns[found.defined], np.column_stack([standard, standard**2]))
    refused = columns(names=("norm", "reliability"))
    assert (refused.status, refused.missing) == ("covariate_missing", ("reliability",))
    found = columns(names=("norm", "reliability", "x"), missing="leave_out", degree=1)
    assert (found.status, found.used, found.missing) == ("ok", ("norm",), ("reliability", "x"))
    assert found.columns.shape == (6, 1)
    none = columns()
    assert (none.status, none.columns.shape, none.defined.sum()) == ("ok", (6, 0), 5)
    with pytest.raises(InputError, match="one value for each"):
        covariate_columns(CovariateConfig(names=("norm",)), {"norm": np.ones(2)}, scores, sessions=scores)
    with pytest.raises(InputError, match="one session for each"):
        covariate_columns(CovariateConfig(names=("norm",)), values, scores, sessions=scores[:2])
    with pytest.raises(ConfigError, match="log_rate"):
        CovariateConfig.from_params({"names": ["depth"]})


def test_slopes_by_session_are_columns_by_session_and_small_sessions_share_theirs():
    rng = np.random.default_rng(0)
    sessions = np.repeat([5, 1, 7, 9], [25, 40, 8, 6])
    scores, norm = rng.normal(size=79), rng.normal(size=79) + sessions
    scores[3] = np.nan
    found = covariate_columns(CovariateConfig(names=("norm",)), {"norm": norm}, scores, sessions=sessions)
    assert found.columns.shape == (79, 3 * 2)
    assert np.isnan(found.columns[3]).all()
    known = np.delete(np.arange(79), 3)
    support = {frozenset(sessions[known[found.columns[known, column] != 0]].tolist()) for column in range(6)}
    assert support == {frozenset({5}), frozenset({1}), frozenset({7, 9})}
    common = CovariateConfig(names=("norm",), slopes="common")
    together = covariate_columns(common, {"norm": norm}, scores, sessions=sessions).columns
    by_session = found.columns.reshape(79, 3, 2).sum(axis=1)
    np.testing.assert_allclose(by_session[known], together[known])


def test_scores_are_compared_on_fishers_scale_where_they_are_correlations():
    scores = np.array([-0.5, 0.0, 0.9, 1.0, np.nan])
    z = scaled_scores(CovariateConfig(), scores)
    np.testing.assert_allclose(z[:3], 0.5 * np.log((1 + scores[:3]) / (1 - scores[:3])))
    assert np.isfinite(z[3])
    assert np.isnan(z[4])
    np.testing.assert_array_equal(scaled_scores(CovariateConfig(score_scale="correlation"), scores), scores)
    with pytest.raises(InputError, match="between -1 and 1"):
        scaled_scores(CovariateConfig(), scores * 3)


def test_rates_and_norms():
    np.testing.assert_allclose(log_rate(np.array([1.0, 0.0, np.e])), [0, np.nan, 1])
    np.testing.assert_allclose(norms(np.array([[3.0, 4.0], [0.0, 0.0]])), [5, 0])


def test_an_effect_of_the_size_of_chance_has_a_bound_of_that_size():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 5
    found = [adjusted_share(rng.normal(size=400), labels) for _ in range(300)]
    assert all(one.low == 0 for one in found if one.corrected < 0.005)
    # Chance moves the share by sqrt(2 q)/n = .007; the bound of the smallest is that of an estimate of 0.
    assert max(one.high for one in found if one.corrected <= 0) < 0.04
    assert min(one.high for one in found) > 0.02
    # An effect that an estimate of 0 would have one time in forty.
    one_variance = Chance(corrected=0.0, variance=8 / 400**2, between=4 / 399, within=1.0, df=4.0)
    bound = chance_bound(one_variance)
    noncentrality = 399 * bound / (1 - bound)
    assert ncx2.cdf(4, 4, noncentrality) == pytest.approx(0.025, abs=1e-6)


def test_chance_is_the_expectation_of_the_sum_of_squares_at_the_clusters_variances():
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(3), [60, 25, 8])
    spreads = np.array([1.0, 2.0, 4.0])
    basis = orthonormal(one_hot(labels) - one_hot(labels).mean(axis=0), scale=1.0)
    found, squares = [], []
    for _ in range(3000):
        y = rng.normal(size=93) * spreads[labels]
        total, residual = y - y.mean(), y - np.array([y[labels == j].mean() for j in range(3)])[labels]
        found.append(Chance.of(total, residual, labels, basis, np.full(93, 1 / 93)))
        squares.append((total @ total - residual @ residual, total @ total))
    between, whole = np.array(squares).T
    expected = ((1 - np.array([60, 25, 8]) / 93) * spreads**2).sum()
    assert np.mean([c.between for c in found] * whole) == pytest.approx(expected, rel=0.03)
    assert between.mean() == pytest.approx(expected, rel=0.05)
    spread = np.mean([c.variance for c in found] * whole**2)
    assert spread == pytest.approx(between.var(), rel=0.3)


def test_intervals_cover_where_spreads_differ_by_cluster():
    rng = np.random.default_rng(3)
    shares = np.geomspace(30, 1, 4) / np.geomspace(30, 1, 4).sum()

    def drawn(n):
        labels = rng.choice(4, size=n, p=shares)
        return rng.normal(size=n) * np.geomspace(1, 4, 4)[labels] + 0.8 * labels, labels

    truth = adjusted_share(*drawn(400_000)).corrected
    found = [adjusted_share(*drawn(250)) for _ in range(300)]
    assert all(one.low <= max(one.corrected, 0) <= one.high for one in found)
    # One variance for all clusters covered .88 here.
    assert np.mean([one.low <= truth <= one.high for one in found]) > 0.93


def test_bounds_near_chance_cover():
    rng = np.random.default_rng(1)
    labels = np.arange(300) % 4
    step = np.array([0.0, 0.0, 0.0, 0.25])
    true = 0.25**2 * 3 / 16 / (1 + 0.25**2 * 3 / 16)
    found = [adjusted_share(rng.normal(size=300) + step[labels], labels) for _ in range(600)]
    assert 0.935 < np.mean([one.low <= true <= one.high for one in found]) < 0.995
    above = [one.high for one in found if one.corrected > 5 * 3 / 300]
    assert len(above) > 5  # a few are no longer near chance, and keep Fisher's scale
