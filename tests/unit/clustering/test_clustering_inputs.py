"""What `fit` refuses, what it accepts, and what it says."""

import re

import numpy as np
import pytest
import torch

from decortex.clustering import check_points, fit, fit_grid, get_method, method_config, methods, predict
from decortex.errors import ConfigError, InputError

EVERY = methods()
ON_THE_GRAPH = [method for method in EVERY if get_method(method).searches_neighbours]
SMALL = {"rotation_tmixture": {"n_orientations": 2, "n_init": 2}}


def points(n=40, d=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda x: x[:, 0], r"shape \(n_neurons, n_features\).*reshape\(-1, 1\)"),
        (lambda x: x[None], "3 dimension"),
        (lambda x: x.astype(complex), "real numbers.*complex128"),
        (lambda x: x.astype(object), "real numbers.*object"),
        (lambda x: x > 0, "real numbers.*bool"),
        (lambda x: x[:0], r"at least one neuron"),
        (lambda x: x[:, :0], r"at least one neuron and one feature"),
        (lambda x: np.where(np.arange(40)[:, None] == 7, np.nan, x), r"first: neuron 7"),
        (lambda x: np.where(x == x[3, 1], np.inf, x), r"1 value\(s\) in 1 neuron\(s\).*neuron 3"),
        (lambda x: x * 1e120, "at most 1e\\+100"),
        (lambda x: x * 1e-160, r"differ by at most \d\.\d+e-160 .* in a unit in which"),
        (lambda x: np.ma.masked_greater(x, 1), r"masked array in which \d+ values are masked"),
        (lambda x: [[1.0, 2.0], [3.0]], "cannot be made one"),
        (lambda x: torch.tensor(x, dtype=torch.bfloat16), "cannot be made one"),
        (lambda x: torch.nn.Parameter(torch.tensor(x)), "cannot be made one"),
    ],
)
def test_unusable_arrays_are_refused_with_a_reason(spoil, says):
    with pytest.raises(InputError, match=says):
        fit(spoil(points()), "kmeans", n_clusters=2)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int32, ">f8"])
def test_every_real_dtype_is_converted_without_loss(dtype):
    stored = (points() * 4).astype(dtype)
    checked = check_points(stored)
    assert checked.dtype == np.float64
    assert checked.flags.c_contiguous
    np.testing.assert_array_equal(checked, stored.astype(np.float64))
    np.testing.assert_array_equal(
        fit(stored, "kmeans", n_clusters=3).labels, fit(checked, "kmeans", n_clusters=3).labels
    )


@pytest.mark.parametrize(
    ("k", "says"),
    [
        (0, "at least 1"),
        (-2, "at least 1"),
        (41, r"larger than the number of neurons \(40\)"),
        (2.5, "whole number"),
    ],
)
@pytest.mark.parametrize("method", EVERY)
def test_impossible_numbers_of_clusters_are_refused_by_every_method(method, k, says):
    with pytest.raises(InputError, match=says):
        fit(points(), method, n_clusters=k, **SMALL.get(method, {}))


@pytest.mark.parametrize("seed", [-1, 0.5, "1", True])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(InputError, match="seed should be a whole number"):
        fit(points(), "kmeans", n_clusters=2, seed=seed)


def test_a_grid_with_one_bad_entry_computes_nothing():
    done = []
    with pytest.raises(InputError, match="larger than the number"):
        fit_grid(points(), "kmeans", n_clusters=[2, 50], progress=lambda *at: done.append(at))
    assert done == []


@pytest.mark.parametrize("method", ["ward", "KMEANS", 3, None])
def test_an_unknown_method_lists_those_there_are(method):
    with pytest.raises(
        ConfigError, match="kmeans, gmm, tmixture, spectral, leiden, sec, ldmgi, rotation_tmixture"
    ):
        fit(points(), method, n_clusters=2)


@pytest.mark.parametrize(
    ("method", "params", "says"),
    [
        ("kmeans", {"ninit": 3}, "ninit.*did you mean .n_init"),
        ("kmeans", {"n_init": 0}, "should be at least 1"),
        ("gmm", {"covariance": "block"}, "'diag', 'full', 'tied' or 'spherical'"),
        ("gmm", {"reg": float("nan")}, "finite"),
        ("tmixture", {"nu": 0.1}, "at least 0.5"),
        ("tmixture", {"nu": "free"}, "nu"),
        ("sec", {"mu": -1.0}, "should be at least 0"),
        ("sec", {"gamma": 0.0}, "should be above 0"),
        ("ldmgi", {"lam": 0.0}, "should be above 0"),
        ("ldmgi", {"n_neighbors": 1}, "should be at least 2"),
        ("rotation_tmixture", {"covariance": "full"}, "'diag'"),
    ],
)
def test_parameters_out_of_range_are_refused(method, params, says):
    with pytest.raises(ConfigError, match=says):
        method_config(method, params)


@pytest.mark.parametrize(("method", "params"), [("sec", {"n_neighbors": 40}), ("ldmgi", {"n_neighbors": 41})])
def test_a_graph_needs_more_neurons_than_neighbours(method, params):
    with pytest.raises(InputError, match="Lower n_neighbors or cluster more neurons"):
        fit(points(), method, n_clusters=2, **params)


def test_features_must_divide_into_orientations():
    with pytest.raises(InputError, match="should divide the number of features, which is 4"):
        fit(points(), "rotation_tmixture", n_clusters=2, n_orientations=3)


@pytest.mark.parametrize("method", EVERY)
def test_one_cluster_holds_everything(method):
    found = fit(points(), method, n_clusters=1, **SMALL.get(method, {}))
    assert found.labels.tolist() == [0] * 40
    np.testing.assert_allclose(found.parameters["centres"].shape, (1, 4))


@pytest.mark.parametrize("method", EVERY)
def test_as_many_clusters_as_neurons_end_with_a_stated_status(method):
    found = fit(points(12), method, n_clusters=12, **SMALL.get(method, {}))
    assert found.status in ("ok", "empty_cluster", "not_converged")
    assert found.labels.shape == (12,)


@pytest.mark.parametrize("method", EVERY)
def test_constant_features_do_no_harm(method):
    x = np.hstack([points(60, 3), np.full((60, 1), 5.0)])
    x[:30, 0] += 8
    found = fit(x, method, n_clusters=2, **SMALL.get(method, {}))
    assert len(set(found.labels[:30])) == 1
    assert np.isfinite(found.objective)


@pytest.mark.parametrize("method", EVERY)
def test_identical_neurons_end_with_a_stated_status(method):
    found = fit(np.ones((30, 4)), method, n_clusters=3, **SMALL.get(method, {}))
    assert found.status != "ok"


@pytest.mark.parametrize("method", EVERY)
def test_duplicated_neurons_stay_together(method):
    x = np.repeat(points(30), 2, axis=0)
    x[:30] += 6
    found = fit(x, method, n_clusters=2, **SMALL.get(method, {}))
    np.testing.assert_array_equal(found.labels[::2], found.labels[1::2])


@pytest.mark.parametrize("method", EVERY)
def test_an_isolated_neuron_is_no_crash_and_no_nan(method):
    x = points(60)
    x[17] = 1e6
    found = fit(x, method, n_clusters=3, **SMALL.get(method, {}))
    assert found.labels.shape == (60,)
    assert np.isfinite(found.objective)


def test_new_neurons_need_the_features_of_the_fit():
    found = fit(points(), "kmeans", n_clusters=2)
    with pytest.raises(InputError, match="the 4 features that kmeans was fitted on, but has 3"):
        predict(found, points(5, 3))


@pytest.mark.parametrize("method", [method for method in ON_THE_GRAPH if method != "sec"])
def test_methods_that_assign_by_neighbours_ask_for_them(method):
    found = fit(points(), method, n_clusters=2)
    with pytest.raises(InputError, match=r"none were given. Pass them: predict\(result, x_new, x=x\)"):
        predict(found, points(5))
    with pytest.raises(InputError, match="40 clustered ones, but 39 were given"):
        predict(found, points(5), x=points(39))


@pytest.mark.parametrize("factor", [1e-8, 255.0, 1e12, 1e50])
@pytest.mark.parametrize("method", EVERY)
def test_no_unit_of_the_embedding_is_a_silent_wrong_answer(method, factor):
    x = points(200, 40) * factor
    try:
        found = fit(x, method, n_clusters=4, **SMALL.get(method, {}))
    except InputError as refused:
        assert re.search("[Ss]cale the embedding|scale the input data", str(refused))  # noqa: PT017
        return
    assert np.isfinite(found.objective)
    if "relative_residual" in found.diagnostics:
        assert found.diagnostics["relative_residual"] < 1e-8 or found.status == "not_converged"


@pytest.mark.parametrize(
    ("method", "params"), [("sec", {}), ("tmixture", {"covariance": "full", "reg": 1e-20})]
)
def test_a_ridge_lost_to_rounding_is_named(method, params):
    x = points(30, 60) * 1e9
    with pytest.raises(InputError, match=r"lost to rounding.*(Scale the|scale the) embedding"):
        fit(x, method, n_clusters=3, **params)


@pytest.mark.parametrize("method", [m for m in EVERY if m != "rotation_tmixture"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float16])
def test_few_wide_integer_images_are_clustered(method, dtype, accuracy):
    rng = np.random.default_rng(0)  # 12 objects, 8 pictures each, 300 pixels of 0..255
    truth = np.repeat(np.arange(12), 8)
    pictures = rng.uniform(60, 190, size=(12, 300))[truth] + 20 * rng.normal(size=(96, 300))
    found = fit(pictures.round().clip(0, 255).astype(dtype), method, n_clusters=12)
    assert accuracy(truth, found.labels) > 0.9
    assert found.status in ("ok", "fragmented")


@pytest.mark.parametrize("method", ON_THE_GRAPH)
@pytest.mark.parametrize("k", [1, 3, 4])
def test_graph_methods_stand_fewer_distinct_neurons_than_neighbours(method, k):
    x = np.repeat(points(4), 12, axis=0)
    found = fit(x, method, n_clusters=k)
    assert found.labels.shape == (48,)
    assert found.status == ("not_converged" if method == "leiden" and k < 4 else "ok")  # islands stay apart
    assert found.k_effective == k
    assert all(len(set(copies)) == 1 for copies in found.labels.reshape(4, 12))
