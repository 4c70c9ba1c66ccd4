"""Scores against a slow literal transcription, known values, and the reasons of undefined ones."""

import numpy as np
import pytest

from decortex.errors import InputError
from decortex.evaluation.performance import METRICS, concatenate_scores, score_neurons, summarise
from decortex.evaluation.performance import scores as performance


def literal_scores(r, p, ids):
    """The formulas of the docstring, neuron by neuron, trial by trial."""
    result = {name: np.full(r.shape[1], np.nan) for name in METRICS}
    images = sorted(set(ids.tolist()))
    for n in range(r.shape[1]):
        rows = {i: [t for t in range(len(ids)) if ids[t] == i] for i in images}
        r_mean = np.array([np.mean([r[t, n] for t in rows[i]]) for i in images])
        p_mean = np.array([np.mean([p[t, n] for t in rows[i]]) for i in images])
        result["correlation_to_average"][n] = np.corrcoef(r_mean, p_mean)[0, 1]
        result["single_trial_correlation"][n] = np.corrcoef(r[:, n], p[:, n])[0, 1]
        result["poisson_loss"][n] = np.mean(
            [p[t, n] - r[t, n] * np.log(p[t, n] + 1e-12) for t in range(len(ids))]
        )
        result["poisson_deviance"][n] = np.mean(
            [
                2 * ((x * np.log(x / (y + 1e-12)) if x > 0 else 0.0) - x + y)
                for x, y in zip(r[:, n], p[:, n], strict=True)
            ]
        )
        repeated = [rows[i] for i in images if len(rows[i]) > 1]
        if not repeated:
            continue
        kept = [t for trials in repeated for t in trials]
        noise = np.mean([np.var(r[trials, n], ddof=1) for trials in repeated])
        total = np.var(r[kept, n], ddof=1)
        fev = (total - noise) / total
        result["fev"][n] = fev
        if fev >= 0.15:
            mse = np.mean((r[kept, n] - p[kept, n]) ** 2)
            result["feve"][n] = 1 - (mse - noise) / (total - noise)
    return result


def recording(rng, n_neurons=17):
    """Unequal repeats in mixed order, one image shown once."""
    ids = rng.permutation(np.repeat(np.arange(12), [1, 2, 3, 4, 2, 3, 4, 5, 2, 2, 3, 6])) * 7 + 3
    rate = rng.gamma(2.0, 1.0, size=(100, n_neurons))
    signal = rate[ids % 100] * np.linspace(0.05, 3, n_neurons)
    responses = rng.poisson(signal).astype(np.float64)
    predictions = signal * rng.uniform(0.7, 1.3, size=signal.shape) + 0.1
    return responses, predictions, ids


def test_every_metric_equals_its_literal_transcription():
    r, p, ids = recording(np.random.default_rng(0))
    scores = score_neurons(r, p, ids)
    expected = literal_scores(r, p, ids)
    assert tuple(scores) == METRICS
    for name in METRICS:
        np.testing.assert_allclose(scores[name].values, expected[name], atol=1e-12, err_msg=name)
        assert ((scores[name].reasons == "") == np.isfinite(expected[name])).all()
    # Both sides of the threshold are in the data, else the test could not see it.
    assert 0 < np.isfinite(expected["feve"]).sum() < r.shape[1]


def test_float32_input_is_scored_in_double_precision():
    r, p, ids = recording(np.random.default_rng(1))
    single = score_neurons(r.astype(np.float32), p.astype(np.float32), ids)
    double = score_neurons(
        r.astype(np.float32).astype(np.float64), p.astype(np.float32).astype(np.float64), ids
    )
    for name in METRICS:
        np.testing.assert_array_equal(single[name].values, double[name].values)


def test_blocks_of_neurons_give_the_same_numbers(monkeypatch):
    r, p, ids = recording(np.random.default_rng(2))
    whole = score_neurons(r, p, ids)
    monkeypatch.setattr(performance, "_CHUNK_ELEMENTS", 3 * len(ids))
    for name, score in score_neurons(r, p, ids).items():
        np.testing.assert_array_equal(score.values, whole[name].values)
        np.testing.assert_array_equal(score.reasons, whole[name].reasons)


def test_without_repeats_both_correlations_agree_and_explained_variance_is_undefined():
    rng = np.random.default_rng(3)
    r = rng.poisson(3.0, size=(40, 5)).astype(float)
    p = r + rng.normal(size=r.shape)
    scores = score_neurons(r, np.abs(p), rng.permutation(40))
    np.testing.assert_allclose(
        scores["correlation_to_average"].values, scores["single_trial_correlation"].values, atol=1e-12
    )
    assert set(scores["fev"].reasons) == set(scores["feve"].reasons) == {"no_repeats"}


def test_order_of_trials_and_names_of_images_do_not_matter():
    r, p, ids = recording(np.random.default_rng(4))
    order = np.random.default_rng(5).permutation(len(ids))
    for name, score in score_neurons(r[order], p[order], -1000 - ids[order]).items():
        np.testing.assert_allclose(score.values, score_neurons(r, p, ids)[name].values, atol=1e-10)


def test_perfect_prediction_of_the_mean_explains_everything_explainable():
    rng = np.random.default_rng(6)
    ids = np.repeat(np.arange(300), 10)
    signal = rng.gamma(2.0, 2.0, size=300)[ids][:, None]
    scores = score_neurons(signal + rng.normal(size=signal.shape), signal, ids)
    assert scores["feve"].values[0] == pytest.approx(1.0, abs=0.02)
    assert scores["fev"].values[0] == pytest.approx(8 / 9, abs=0.05)


@pytest.mark.parametrize(
    ("change", "metric", "reason"),
    [
        (lambda r, p: (np.full_like(r, 0.1), p), "correlation_to_average", "constant_response"),
        (lambda r, p: (r, np.full_like(p, 0.1)), "correlation_to_average", "constant_prediction"),
        (lambda r, p: (np.full_like(r, 0.1), p), "fev", "constant_response"),
        (
            lambda r, p: (r, np.where(np.arange(len(p))[:, None] == 3, np.nan, p)),
            "poisson_loss",
            "not_finite",
        ),
        (lambda r, p: (r, p - 10), "poisson_deviance", "negative_prediction"),
        (lambda r, p: (r - 10, p), "poisson_deviance", "negative_response"),
    ],
)
def test_undefined_scores_are_nan_with_a_reason_and_keep_their_place(change, metric, reason):
    r, p, ids = recording(np.random.default_rng(7))
    bad_r, bad_p = change(r[:, 4:5], p[:, 4:5])
    r[:, 4:5], p[:, 4:5] = bad_r, bad_p
    scores = score_neurons(r, p, ids)
    assert np.isnan(scores[metric].values[4])
    assert scores[metric].reasons[4] == reason
    assert reason in performance.REASONS
    assert scores[metric].reasons[5] == ""


def test_responses_that_were_kept_back_have_no_poisson_score():
    r, p, ids = recording(np.random.default_rng(9))
    scores = score_neurons(np.zeros_like(r), p, ids)
    for name in ("poisson_loss", "poisson_deviance"):
        assert set(scores[name].reasons) == {"withheld_responses"}
        assert np.isnan(scores[name].values).all()
    assert "withheld_responses" in performance.REASONS
    silent = r.copy()
    silent[:, 0] = 0.0  # one silent neuron among others was recorded
    assert score_neurons(silent, p, ids)["poisson_loss"].reasons[0] == ""


def test_negative_predictions_leave_the_correlation_defined():
    r, p, ids = recording(np.random.default_rng(8))
    shifted = score_neurons(r, p - 10, ids)["single_trial_correlation"].values
    np.testing.assert_allclose(
        shifted, score_neurons(r, p, ids)["single_trial_correlation"].values, atol=1e-12
    )


def test_one_image_has_no_correlation_over_images():
    r, p = np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [1.5], [2.0]])
    scores = score_neurons(r, p, np.zeros(3, dtype=int))
    assert scores["correlation_to_average"].reasons[0] == "too_few_images"
    for name in ("fev", "feve"):  # 0 by arithmetic: the variance over trials is that over repeats
        assert scores[name].reasons[0] == "too_few_repeated_images"
        assert np.isnan(scores[name].values[0])


@pytest.mark.parametrize(
    ("n_repeated", "reason"), [(0, "no_repeats"), (2, "too_few_repeated_images"), (3, "")]
)
def test_explained_variance_needs_three_repeated_images(n_repeated, reason):
    rng = np.random.default_rng(13)
    ids = np.concatenate([np.repeat(np.arange(n_repeated), 4), np.arange(100, 130)])
    signal = rng.gamma(2.0, 2.0, size=200)[ids][:, None]
    scores = score_neurons(signal + 0.1 * rng.normal(size=signal.shape), signal, ids)
    assert scores["fev"].reasons.tolist() == [reason]
    assert scores["correlation_to_average"].reasons.tolist() == [""]


def test_two_images_have_no_correlation():
    r, p = np.array([[1.0], [2.0], [1.5], [2.5]]), np.array([[1.0], [3.0], [1.0], [3.0]])
    scores = score_neurons(r, p, np.array([0, 1, 0, 1]))  # 1 or -1 whatever was recorded
    assert scores["correlation_to_average"].reasons[0] == "too_few_images"
    assert scores["single_trial_correlation"].reasons[0] == ""


def test_summary_counts_only_what_is_defined():
    found = summarise(np.array([0.0, np.nan, 1.0, 2.0]))
    assert (found.mean, found.n_defined, found.n) == (1.0, 3, 4)
    assert found.quantiles[0.5] == 1.0
    nothing = summarise(np.array([np.nan]))
    assert (nothing.mean, nothing.n_defined, dict(nothing.quantiles)) == (None, 0, {})


def test_sessions_are_joined_in_order():
    r, p, ids = recording(np.random.default_rng(9))
    whole = score_neurons(r, p, ids)
    joined = concatenate_scores(
        [score_neurons(r[:, :5], p[:, :5], ids), score_neurons(r[:, 5:], p[:, 5:], ids)]
    )
    for name in METRICS:
        np.testing.assert_array_equal(joined[name].values, whole[name].values)
    with pytest.raises(InputError, match="at least one session"):
        concatenate_scores([])


def test_a_session_without_neurons_scores_nothing():
    scores = score_neurons(np.empty((4, 0)), np.empty((4, 0)), np.arange(4))
    assert all(len(scores[name].values) == 0 for name in METRICS)


def test_misfitting_input_is_refused():
    r = np.ones((4, 2))
    with pytest.raises(InputError, match=r"\(4, 2\) and \(4, 3\)"):
        score_neurons(r, np.ones((4, 3)), np.arange(4))
    with pytest.raises(InputError, match="each of 4 trials"):
        score_neurons(r, r, np.arange(3))
    with pytest.raises(InputError, match="at least one trial"):
        score_neurons(np.ones((0, 2)), np.ones((0, 2)), np.arange(0))


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_no_score_is_without_a_value_or_a_reason(unit):
    rng = np.random.default_rng(0)
    r = rng.poisson(2, (40, 3)).astype(float)
    found = score_neurons(r * unit, (r + rng.random((40, 3))) * unit, np.arange(40) // 4)
    for one in found.values():
        assert (np.isfinite(one.values) == (one.reasons == "")).all(), one.metric
    assert (found["fev"].reasons == "not_finite").all()
