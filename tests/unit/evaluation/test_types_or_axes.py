"""Types or axes: the answer on known worlds, the arithmetic against slow literal versions, the failure messages."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import cdist

import decortex
from decortex.clustering import fit, predict
from decortex.errors import ConfigError, InputError
from decortex.evaluation.types_or_axes import (
    Axes,
    Design,
    Smooth,
    TypesOrAxesConfig,
    contrast,
    decide,
    fold_predictions,
    held_out_errors,
    types_or_axes,
    what_is_added,
)

FloatArray = NDArray[np.float64]
FAST = TypesOrAxesConfig(n_clusters=(2, 3, 4, 6, 8), smooth_axes=(1, 2), n_landmarks=20)


def round_types(n: int = 400, k: int = 4, seed: int = 0) -> tuple[FloatArray, NDArray[np.int64]]:
    """k round types, 8 apart."""
    rng = np.random.default_rng(seed)
    types = np.arange(n) % k
    return rng.normal(size=(n, 6)) + 8 / np.sqrt(2) * np.eye(k, 6)[types], types


def gradient(n: int = 400, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """One axis of length 12, noise 1, in six dimensions."""
    rng = np.random.default_rng(seed)
    at = 12 * rng.random(n)
    x = rng.normal(size=(n, 6))
    x[:, 0] += at
    return x, at


def noisy(y: FloatArray, seed: int = 1) -> FloatArray:
    return y / y.std() + 0.5 * np.random.default_rng(seed).normal(size=y.shape)


@pytest.mark.parametrize("blocks", [None, 8])
def test_a_target_of_types_is_clusters(blocks: int | None) -> None:
    x, types = round_types()
    y = noisy(np.array([0.0, 2.0, 1.0, 5.0])[types])
    found = types_or_axes(x, y, blocks=None if blocks is None else np.arange(400) // 4 % blocks, config=FAST)
    assert (found.answer, found.reason) == ("clusters", "decided")
    assert found.clusters_add is not None
    assert found.clusters_add.low > 0
    assert found.sentence.startswith("Clusters predict the target")


@pytest.mark.parametrize("curved", [False, True])
def test_a_target_of_position_is_axes_also_where_it_is_curved(curved: bool) -> None:
    x, at = gradient()
    found = types_or_axes(x, noisy(np.sin(at / 1.5) if curved else at), config=FAST)
    assert found.answer == "axes"
    assert found.clusters_before_axes is not None
    assert found.clusters_before_axes.high < 0


def test_a_linear_target_across_types_is_axes() -> None:
    x, _ = round_types()
    assert types_or_axes(x, x[:, 0] + 0.2 * noisy(x[:, 1]), config=FAST).answer == "axes"


def test_types_with_a_gradient_inside_are_both() -> None:
    rng = np.random.default_rng(0)
    x, types = round_types(600, 3)
    along = rng.uniform(-6, 6, 600)
    x[:, 5] += along
    y = noisy(np.array([0.0, 2.0, -1.0])[types]) + 0.3 * along
    assert types_or_axes(x, y, config=FAST).answer == "both"


def test_a_target_of_nothing_is_undecided() -> None:
    x, _ = round_types()
    answers = [
        types_or_axes(x, np.random.default_rng(seed).normal(size=400), config=FAST) for seed in range(4)
    ]
    assert [found.answer for found in answers] == ["undecided"] * 4
    assert {found.reason for found in answers} == {"not_predicted"}
    assert "neither clusters nor axes" in answers[0].sentence


def test_categories_are_compared_by_their_brier_score_and_some_may_be_missing() -> None:
    x, types = round_types()
    names = np.array(["Sst", "Pvalb", "Vip", "Sst"], dtype=object)[types]
    names[:10] = None
    names[10:20] = ""
    found = types_or_axes(x, names, config=FAST)
    assert (found.answer, found.n_neurons, found.n_targets) == ("clusters", 380, 3)
    codes = np.array([0, 1, 2, 0])[types]
    codes[:20] = -1
    again = types_or_axes(x, codes, categorical=True, config=FAST)
    assert (again.n_neurons, again.n_targets) == (380, 3)


def test_equal_seeds_give_equal_bits_and_others_do_not() -> None:
    x, types = round_types(200)
    y = noisy(types.astype(float))
    one, again, other = (types_or_axes(x, y, seed=seed, config=FAST) for seed in (3, 3, 4))
    assert one == again
    assert one != other


def test_turning_and_moving_the_embedding_or_scaling_the_target_changes_nothing_that_matters() -> None:
    x, at = gradient(300)
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(6, 6)))[0]
    first = types_or_axes(x, noisy(at), config=FAST)
    second = types_or_axes(x @ turn + 100, 7 * noisy(at) - 3, config=FAST)
    assert first.answer == second.answer
    assert first.r2_axes == pytest.approx(second.r2_axes, abs=0.01)


def test_a_difference_of_level_between_blocks_does_not_help_or_hurt() -> None:
    x, at = gradient(320)
    animals = np.arange(320) % 8
    level = 10.0 * np.random.default_rng(2).normal(size=8)[animals]
    plain = types_or_axes(x, noisy(at), blocks=animals, standardise=False, config=FAST)
    shifted = types_or_axes(x, noisy(at) + level, blocks=animals, standardise=False, config=FAST)
    assert shifted.r2_axes == pytest.approx(plain.r2_axes, abs=1e-6)
    assert shifted.answer == plain.answer


def test_few_neurons_are_undecided_and_say_so() -> None:
    x, types = round_types(40)
    found = types_or_axes(x, types.astype(float))
    assert (found.answer, found.reason, found.r2_both) == ("undecided", "too_few", None)
    assert "too few neurons" in found.sentence


@pytest.mark.parametrize(
    ("y", "options", "words"),
    [
        (np.zeros(99), {}, r"one row per neuron, \(100,\)"),
        (np.zeros(100), {}, "the same in all neurons"),
        (np.full(100, np.nan), {}, "no neuron has a target"),
        (np.r_[np.inf, np.zeros(99)], {}, "infinite"),
        (np.zeros((100, 0)), {}, "no columns"),
        (np.array(["a"] * 100), {}, "1 categories"),
        (np.array([["a", "b"]] * 100), {}, "one per neuron"),
        (np.array(["a", "b"] * 50), {"categorical": False}, "no numbers"),
        (np.arange(100.0), {"blocks": np.arange(100) % 3}, "at least 4"),
        (np.arange(100.0), {"blocks": np.arange(99)}, "one per neuron"),
    ],
)
def test_bad_targets_and_blocks_are_told(y: Any, options: dict[str, Any], words: str) -> None:
    x = np.random.default_rng(0).normal(size=(100, 4))
    with pytest.raises(InputError, match=words):
        types_or_axes(x, y, **options)


def test_a_method_that_there_is_not_is_told() -> None:
    x, types = round_types(100)
    with pytest.raises(ConfigError, match="no_such"):
        types_or_axes(x, types.astype(float), config=TypesOrAxesConfig(method="no_such", params={}))


def test_the_public_name_is_the_function() -> None:
    assert decortex.types_or_axes is types_or_axes


# --- the arithmetic, against slow literal versions ---


def test_what_is_added_is_the_fall_of_the_error_where_it_is_true_and_zero_where_it_is_noise() -> None:
    rng = np.random.default_rng(0)
    true_part, noise, fitted_noise = rng.normal(size=(3, 20_000, 2)) * [[[0.1]], [[0.7]], [[0.1]]]
    y = true_part + noise
    nothing = np.zeros_like(y)
    # in the order of DESCRIPTIONS: mean, clusters, axes, wide axes, both
    true = np.stack([y, y, y, y, y - true_part])
    false = np.stack([y, y, y, y, y - fitted_noise])
    for added in what_is_added(true):
        assert added == pytest.approx((true_part * y).sum(axis=1))
        assert added.mean() == pytest.approx((true_part**2).sum(axis=1).mean(), rel=0.15)
    fall = ((y - nothing) ** 2 - (y - true_part) ** 2).sum(axis=1)
    t_added, t_fall = (values.mean() / values.std() for values in (what_is_added(true)[0], fall))
    assert t_added > 1.8 * t_fall
    for added in what_is_added(false):
        assert abs(contrast(added, None).mean) < 2.5 * contrast(added, None).error
    assert (y**2 - (y - fitted_noise) ** 2).sum(axis=1).mean() < 0


def test_errors_within_blocks_have_no_mean_in_any_block() -> None:
    rng = np.random.default_rng(0)
    y, predictions, blocks = rng.normal(size=(40, 3)), rng.normal(size=(5, 40, 3)), np.arange(40) % 4
    errors = held_out_errors(y, predictions, blocks)
    for block in range(4):
        own = blocks == block
        assert errors[:, own].mean(axis=1) == pytest.approx(np.zeros((5, 3)))
        assert errors[2, own] == pytest.approx(
            (y - predictions[2])[own] - (y - predictions[2])[own].mean(axis=0)
        )
    assert (held_out_errors(y, predictions, None) == y - predictions).all()


def test_position_beside_types_on_a_ring_is_told_though_types_carry_most_of_it() -> None:
    """Eight types on a ring of radius 6; half of the signal is position, of which a twentieth lies within types."""
    rng = np.random.default_rng(0)
    types = np.arange(800) % 8
    angle = 2 * np.pi * types / 8
    x = rng.normal(size=(800, 6))
    x[:, :2] += 6 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    of_type, of_position = rng.normal(size=(8, 4))[types], x[:, :2] @ rng.normal(size=(2, 4))
    y = 0.5 * of_type / of_type.std(axis=0) + 0.5 * of_position / of_position.std(axis=0)
    y += np.sqrt(0.5) * rng.normal(size=y.shape)
    assert types_or_axes(x, y, blocks=np.arange(800) // 8 % 8, config=FAST).answer == "both"


def penalised_fit(free: FloatArray, z: FloatArray, y: FloatArray, ridge: float) -> FloatArray:
    """Coefficients by the normal equations."""
    columns = np.hstack([free, z])
    penalty = np.diag(np.r_[np.zeros(free.shape[1]), np.full(z.shape[1], ridge)])
    return np.linalg.solve(columns.T @ columns + penalty, columns.T @ y)


@pytest.mark.parametrize("degrees", [4, 6.5, 9])
def test_left_out_errors_are_those_of_fits_without_each_neuron(degrees: float) -> None:
    rng = np.random.default_rng(0)
    free, z, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 7)), rng.normal(size=(40, 2))
    design = Design.of(free, z)
    ridge = design.ridge_of(degrees)
    columns = np.hstack([free, z])
    penalty = np.diag(np.r_[np.zeros(3), np.full(7, ridge)])
    hat = columns @ np.linalg.solve(columns.T @ columns + penalty, columns.T)
    assert np.trace(hat) == pytest.approx(degrees, abs=1e-6)
    literal = np.empty((40, 2))
    for i in range(40):
        kept = np.arange(40) != i
        weights = penalised_fit(free[kept], z[kept], y[kept], ridge)
        literal[i] = (y[i] - columns[i] @ weights) ** 2
    assert np.allclose(design.left_out(y, degrees), literal)
    assert np.allclose(np.vstack(design.fit(y, degrees)), penalised_fit(free, z, y, ridge))


def test_at_their_least_freedom_penalised_columns_are_out_and_at_full_freedom_free() -> None:
    rng = np.random.default_rng(0)
    free, z, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 7)), rng.normal(size=(40, 1))
    design = Design.of(free, z)
    assert np.allclose(design.fit(y, 3)[1], 0)
    assert np.allclose(design.fit(y, 10)[1], penalised_fit(free, z, y, 0.0)[3:])


def test_smooth_functions_minimise_error_plus_the_roughness_of_a_spline() -> None:
    """The low-rank spline solves min |y - f|^2 + ridge c'Ec with T'c = 0, as a constrained problem written out."""
    rng = np.random.default_rng(0)
    at, y = rng.normal(size=(50, 2)), rng.normal(size=(50, 1))
    smooth = Smooth.of(at, 12, np.random.default_rng(3))
    columns, linear = smooth.columns(at), np.column_stack([np.ones(50), at])
    ridge = 0.7
    weights = penalised_fit(linear, columns, y, ridge)
    fitted = np.hstack([linear, columns]) @ weights
    e, knots = cdist(smooth.landmarks, smooth.landmarks) ** 3, smooth.landmarks
    t, cross = np.column_stack([np.ones(len(knots)), knots]), cdist(at, knots) ** 3
    size = len(knots)
    # stationarity in c, in the linear part, and the constraint with its multipliers
    system = np.zeros((size + 6, size + 6))
    system[:size, :size] = cross.T @ cross + ridge * e
    system[:size, size : size + 3] = cross.T @ linear
    system[:size, size + 3 :] = t
    system[size : size + 3, :size] = linear.T @ cross
    system[size : size + 3, size : size + 3] = linear.T @ linear
    system[size + 3 :, :size] = t.T
    right = np.vstack([cross.T @ y, linear.T @ y, np.zeros((3, 1))])
    solution = np.linalg.solve(system, right)
    literal = cross @ solution[:size] + linear @ solution[size : size + 3]
    assert np.allclose(fitted, literal, atol=1e-6)


def test_principal_axes_are_those_of_the_covariance() -> None:
    x = np.random.default_rng(0).normal(size=(60, 4)) * [4, 3, 2, 1]
    scores = Axes.of(x, 3).scores(x)
    assert np.allclose(scores.mean(axis=0), 0)
    assert np.allclose(np.cov(scores.T, bias=True), np.diag(np.diag(np.cov(scores.T, bias=True))))
    values = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
    assert np.allclose(scores.var(axis=0), values[:3] / values[0])


def test_one_fold_is_what_a_slow_search_over_all_models_finds() -> None:
    """Straight axes only: every model is fitted again without every neuron, block effects as columns of their own."""
    rng = np.random.default_rng(0)
    x, types = round_types(72, 3, seed=2)
    y = (np.array([0.0, 1.0, 3.0])[types] + 0.3 * x[:, 0] + 0.5 * rng.normal(size=72))[:, None]
    config = TypesOrAxesConfig(n_clusters=(2, 3, 5), smooth_axes=(), min_per_cluster=5, params={})
    train, test = np.arange(60), np.arange(60, 72)
    made = fold_predictions(x[train], y[train], x[test], blocks=None, seed=4, config=config)
    scores = Axes.of(x[train], 4)
    models: dict[tuple[int, int], tuple[FloatArray, FloatArray]] = {}
    for k, f in itertools.product((1, 2, 3, 5), (0, 1, 2, 4)):
        parts = [np.ones((72, 1)), np.vstack([scores.scores(x[train]), scores.scores(x[test])])[:, :f]]
        if k > 1:
            found = fit(x[train], "kmeans", n_clusters=k, seed=4)
            labels = np.r_[found.labels, predict(found, x[test], x=x[train])]
            parts.append((labels[:, None] == np.arange(1, k)).astype(float))
        columns = np.hstack(parts)
        models[k, f] = columns[train], columns[test]

    def error(name: tuple[int, int]) -> float:
        columns = models[name][0]
        losses = []
        for i in range(60):
            kept = np.arange(60) != i
            weights = np.linalg.lstsq(columns[kept], y[train][kept], rcond=None)[0]
            losses.append(float(((y[train][i] - columns[i] @ weights) ** 2)[0]))
        return float(np.mean(losses))

    errors = {name: error(name) for name in models}
    k_best = min((1, 2, 3, 5), key=lambda k: errors[k, 0])
    most = 2 * (k_best - 1)
    axes = [(1, f) for f in (0, 1, 2, 4)]
    allowed = [name for name in models if name[0] <= k_best and name[0] - 1 + name[1] <= most]
    chosen = [
        (1, 0),
        (k_best, 0),
        min((name for name in axes if 2 * name[1] <= most), key=errors.__getitem__),
        min((name for name in axes if name[1] <= most), key=errors.__getitem__),
        min(allowed, key=errors.__getitem__),
    ]
    assert made.n_clusters == k_best
    for values, name in zip(made.values, chosen, strict=True):
        columns, new = models[name]
        assert np.allclose(values, new @ np.linalg.lstsq(columns, y[train], rcond=None)[0], atol=1e-6), name


def test_the_error_of_a_contrast_is_that_of_equal_blocks_means() -> None:
    values = np.random.default_rng(0).normal(size=48)
    blocks = np.arange(48) % 6
    means = np.array([values[blocks == block].mean() for block in range(6)])
    found = contrast(values, blocks)
    assert found.mean == pytest.approx(means.mean())
    assert found.error == pytest.approx(means.std(ddof=1) / np.sqrt(6))
    assert found.p == pytest.approx(stats.ttest_1samp(means, 0, alternative="greater").pvalue)
    alone = contrast(values, None)
    assert alone.p == pytest.approx(stats.ttest_1samp(values, 0, alternative="greater").pvalue)
    assert contrast(np.zeros(5), None).p == 1.0


@pytest.mark.parametrize(
    ("explained", "clusters", "axes", "answer"),
    [
        (0.0, 1.0, 1.0, "undecided"),
        (1.0, 1.0, 1.0, "both"),
        (1.0, 1.0, 0.0, "clusters"),
        (1.0, 0.0, 1.0, "axes"),
        (1.0, 0.0, 0.0, "undecided"),
    ],
)
def test_decisions(explained: float, clusters: float, axes: float, answer: str) -> None:
    noise = np.tile([-0.1, 0.1], 50)
    parts = [np.full(100, value) + (noise if value else noise[::-1]) for value in (explained, clusters, axes)]
    assert decide(*parts, blocks=None, alpha=0.025, margin=0.2)[0] == answer


def test_one_that_adds_beside_one_that_may_is_undecided() -> None:
    rng = np.random.default_rng(0)
    sure, unsure = 1 + 0.1 * rng.normal(size=100), 0.3 + 3 * rng.normal(size=100)
    unsure += 0.3 - unsure.mean()
    assert decide(sure, sure, unsure, blocks=None, alpha=0.025, margin=0.2) == ("undecided", "too_close")
