"""The random-intercept model against statsmodels, and against the likelihood written out."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from statsmodels.regression.mixed_linear_model import MixedLM

from decortex.errors import InputError
from decortex.evaluation.association import fit_random_intercept


def draw(seed, spread=1.0, n=200):
    rng = np.random.default_rng(seed)
    groups, cluster = rng.integers(0, 7, n), rng.integers(0, 3, n)
    x = rng.normal(size=n)
    y = 5 + 0.3 * cluster + 0.2 * x + spread * rng.normal(size=7)[groups] + rng.normal(size=n)
    X = np.column_stack([np.ones(n), x, cluster == 1, cluster == 2]).astype(float)
    return y, X, groups


# statsmodels warns where it cannot reach the gradient that it is asked for; what it reaches is compared.
@pytest.mark.filterwarnings("ignore:.*ptimization:UserWarning")
@pytest.mark.parametrize("reml", [False, True])
def test_fit_equals_statsmodels(reml):
    y, X, groups = draw(0)
    expected = MixedLM(y, X, groups=groups).fit(reml=reml, method="bfgs", gtol=1e-10)
    found = fit_random_intercept(y, X, groups, reml=reml)
    assert found.log_likelihood == pytest.approx(expected.llf, rel=1e-8)
    np.testing.assert_allclose(found.beta, expected.fe_params, rtol=1e-8)
    assert found.residual_variance == pytest.approx(expected.scale, rel=1e-6)
    assert found.group_variance == pytest.approx(expected.cov_re[0, 0], rel=1e-5)


def test_likelihood_and_covariance_are_those_of_the_normal_distribution():
    y, X, groups = draw(1)
    found = fit_random_intercept(y, X, groups)
    same = groups[:, None] == groups[None]
    V = found.residual_variance * np.eye(len(y)) + found.group_variance * same
    literal = multivariate_normal(X @ found.beta, V).logpdf(y)
    assert found.log_likelihood == pytest.approx(literal, rel=1e-10)
    np.testing.assert_allclose(found.covariance, np.linalg.inv(X.T @ np.linalg.solve(V, X)), rtol=1e-8)


def test_groups_without_a_level_of_their_own_have_no_variance():
    y, X, groups = draw(2, spread=0.0)
    y -= np.array([y[groups == g].mean() for g in range(7)])[groups]
    found = fit_random_intercept(y, X[:, :1], groups)
    assert found.group_variance == 0.0
    assert found.residual_variance == pytest.approx(y.var())


def test_scale_and_level_of_the_scores_do_not_matter():
    y, X, groups = draw(3)
    one, other = (fit_random_intercept(v, X, groups, reml=True) for v in (y, 1e-3 * y + 7))
    assert other.beta[2] == pytest.approx(1e-3 * one.beta[2], rel=1e-7)
    assert other.group_variance == pytest.approx(1e-6 * one.group_variance, rel=1e-5)


def test_what_cannot_be_fitted_is_refused():
    y, X, groups = draw(4, n=20)
    with pytest.raises(InputError, match="full column rank"):
        fit_random_intercept(y, np.column_stack([X, X[:, 1]]), groups)
    with pytest.raises(InputError, match="needs more than 4 neurons, got 4"):
        fit_random_intercept(y[:4], X[:4], groups[:4])
    with pytest.raises(InputError, match="for each of 20 rows"):
        fit_random_intercept(y[:4], X, groups)
