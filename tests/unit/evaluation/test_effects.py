"""Shares of variance, their influence functions, corrections over tests, and columns of covariates."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import f_oneway, kruskal, ncx2, rankdata
from statsmodels.stats.multitest import multipletests

from decortex.errors import ConfigError, InputError
from decortex.evaluation.association import (
    CovariateConfig,
    adjusted_share,
    benjamini_hochberg,
    chance_bound,
    covariate_columns,
    holm,
    log_rate,
    norms,
    orthonormal,
    ranked_share,
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
    found = covariate_columns(CovariateConfig(names=("norm",)), values, scores)
    assert found.defined.tolist() == [True, True, False, True, False, True]
    standard = (np.array([1, 2, 4, 8]) - 3.75) / np.std([1, 2, 4, 8])
    np.testing.assert_allclose(found.columns[found.defined], np.column_stack([standard, standard**2]))
    refused = covariate_columns(CovariateConfig(names=("norm", "reliability")), values, scores)
    assert (refused.status, refused.missing) == ("covariate_missing", ("reliability",))
    left_out = CovariateConfig(names=("norm", "reliability", "x"), missing="leave_out", degree=1)
    found = covariate_columns(left_out, values, scores)
    assert (found.status, found.used, found.missing) == ("ok", ("norm",), ("reliability", "x"))
    assert found.columns.shape == (6, 1)
    none = covariate_columns(CovariateConfig(), values, scores)
    assert (none.status, none.columns.shape, none.defined.sum()) == ("ok", (6, 0), 5)
    with pytest.raises(InputError, match="one value for each"):
        covariate_columns(CovariateConfig(names=("norm",)), {"norm": np.ones(2)}, scores)
    with pytest.raises(ConfigError, match="log_rate"):
        CovariateConfig.from_params({"names": ["depth"]})


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
    bound = chance_bound(0.0, df=4, df_residual=395)
    noncentrality = 399 * bound / (1 - bound)
    assert ncx2.cdf(395 * 4 / 395, 4, noncentrality) == pytest.approx(0.025, abs=1e-6)


def test_bounds_near_chance_cover():
    rng = np.random.default_rng(1)
    labels = np.arange(300) % 4
    step = np.array([0.0, 0.0, 0.0, 0.25])
    true = 0.25**2 * 3 / 16 / (1 + 0.25**2 * 3 / 16)
    found = [adjusted_share(rng.normal(size=300) + step[labels], labels) for _ in range(600)]
    assert 0.935 < np.mean([one.low <= true <= one.high for one in found]) < 0.995
    above = [one.high for one in found if one.corrected > 5 * 3 / 300]
    assert len(above) > 5  # a few are no longer near chance, and keep Fisher's scale
