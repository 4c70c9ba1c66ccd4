"""Embedding maps: what each kind does, on known numbers, and that torch gives the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import decortex
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.errors import ConfigError, InputError

KINDS = [
    EmbeddingConfig(kind="raw"),
    EmbeddingConfig(kind="l2"),
    EmbeddingConfig(kind="zscore"),
    EmbeddingConfig(kind="zscore", l2_first=True),
    EmbeddingConfig(kind="pca", n_components=3),
    EmbeddingConfig(kind="pca", n_components=3, l2_first=True),
    EmbeddingConfig(kind="whiten"),
    EmbeddingConfig(kind="whiten", n_components=2),
    EmbeddingConfig(kind="l2", rotation="fft", n_orientations=3),
    EmbeddingConfig(kind="zscore", rotation="smooth", n_orientations=3, neighbour_weight=0.2),
]


@pytest.fixture
def features() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6)) + rng.normal(size=6)).astype(np.float32)


def test_raw_is_the_features(features: np.ndarray) -> None:
    found = fit_map(features, EmbeddingConfig(kind="raw")).apply(features)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, features)


def test_l2_rows_have_norm_one_and_their_direction(features: np.ndarray) -> None:
    found = fit_map(features, EmbeddingConfig(kind="l2")).apply(features)
    norms = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    np.testing.assert_allclose(found, features / norms)


def test_l2_does_not_see_the_scale_of_a_row(features: np.ndarray) -> None:
    config = EmbeddingConfig(kind="pca", n_components=3, l2_first=True)
    scaled = features * np.random.default_rng(1).uniform(0.5, 4.0, size=(50, 1)).astype(np.float32)
    np.testing.assert_allclose(
        fit_map(features, config).apply(features), fit_map(scaled, config).apply(scaled), atol=1e-6
    )


def test_zscore_columns(features: np.ndarray) -> None:
    found = fit_map(features, EmbeddingConfig(kind="zscore")).apply(features)
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(found.std(axis=0), 1.0)


def test_whitened_features_have_unit_covariance(features: np.ndarray) -> None:
    found = fit_map(features, EmbeddingConfig(kind="whiten")).apply(features)
    np.testing.assert_allclose(found.T @ found / len(found), np.eye(6), atol=1e-9)


def test_pca_is_the_singular_value_decomposition(features: np.ndarray) -> None:
    fitted = fit_map(features, EmbeddingConfig(kind="pca", n_components=3))
    x = features.astype(np.float64)
    centred = x - x.mean(axis=0)
    _, singular, vt = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ vt[:3].T
    found = fitted.apply(features)
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found, expected * signs, atol=1e-8)
    assert fitted.variance_share == pytest.approx((singular[:3] ** 2).sum() / (singular**2).sum())
    largest = np.abs(fitted.matrix).argmax(axis=0)
    assert (fitted.matrix[largest, range(3)] > 0).all()


def test_pca_keeps_distances_under_a_rotation_of_the_features(features: np.ndarray) -> None:
    rotation, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))
    config = EmbeddingConfig(kind="pca", n_components=3)

    def distances(x: np.ndarray) -> np.ndarray:
        y = fit_map(x, config).apply(x)
        return np.linalg.norm(y[:, None] - y[None], axis=2)

    x = features.astype(np.float64)
    np.testing.assert_allclose(distances(x), distances(x @ rotation), atol=1e-8)


@pytest.mark.parametrize("config", KINDS, ids=str)
def test_order_of_neurons_does_not_matter(features: np.ndarray, config: EmbeddingConfig) -> None:
    order = np.random.default_rng(3).permutation(50)
    one, other = fit_map(features, config), fit_map(features[order], config)
    np.testing.assert_allclose(one.apply(features)[order], other.apply(features[order]), atol=1e-9)


@pytest.mark.parametrize("config", KINDS, ids=str)
def test_torch_gives_the_same_numbers_and_a_gradient(features: np.ndarray, config: EmbeddingConfig) -> None:
    fitted = fit_map(features, config)
    z = torch.from_numpy(features.astype(np.float64)).requires_grad_()
    mapped = fitted.apply_torch(z)
    assert mapped.dtype == torch.float64
    np.testing.assert_array_equal(mapped.detach().numpy(), fitted.apply(features))
    single = fitted.apply_torch(z.detach().float())
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), mapped.detach().numpy(), rtol=1e-3, atol=1e-4)
    mapped.square().sum().backward()
    assert torch.isfinite(z.grad).all()
    assert torch.autograd.gradcheck(
        fitted.apply_torch, [torch.from_numpy(features[:4].astype(float)).requires_grad_()]
    )


@pytest.mark.parametrize("config", KINDS, ids=str)
def test_neurons_that_cannot_be_embedded_are_listed_and_change_nothing(
    features: np.ndarray, config: EmbeddingConfig
) -> None:
    broken = np.insert(features, [4, 10, 20], 1.0, axis=0)
    bad = np.array([4, 11, 22])
    broken[4], broken[11], broken[22, 2] = 0.0, np.nan, np.inf
    fitted = fit_map(broken, config)
    assert fitted.excluded.indices.tolist() == bad.tolist()
    assert fitted.excluded.reasons == ("zero_norm", "not_finite", "not_finite")
    assert len(fitted.excluded) == 3
    kept = np.delete(fitted.apply(broken), bad, axis=0)
    np.testing.assert_allclose(kept, fit_map(features, config).apply(features), atol=1e-9)


def test_constant_features_become_zero_or_are_ignored(features: np.ndarray) -> None:
    features[:, 1] = 0.1
    zscored = fit_map(features, EmbeddingConfig(kind="zscore"))
    assert zscored.constant_features.tolist() == [1]
    np.testing.assert_allclose(zscored.apply(features)[:, 1], 0.0, atol=1e-12)
    whitened = fit_map(features, EmbeddingConfig(kind="whiten"))
    assert whitened.matrix.shape == (6, 5)
    np.testing.assert_allclose(whitened.matrix[1], 0.0, atol=1e-6)


def test_more_components_than_directions_are_refused(features: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"pca was asked for 7 components.*vary along 6 directions"):
        fit_map(features, EmbeddingConfig(kind="pca", n_components=7))
    with pytest.raises(
        InputError, match="whiten was asked for 5 components, but these 4 neurons vary along 3"
    ):
        fit_map(features[:4], EmbeddingConfig(kind="whiten", n_components=5))


def test_too_few_neurons_are_refused() -> None:
    x = np.array([[1.0, 2.0], [0.0, 0.0], [np.nan, 1.0]])
    with pytest.raises(InputError, match="of 3 there are 1"):
        fit_map(x, EmbeddingConfig(kind="raw"))


def test_arrays_of_another_shape_are_refused(features: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"features should be \(n_neurons, n_features\), got .*\(6,\)"):
        fit_map(features[0], EmbeddingConfig())
    fitted = fit_map(features, EmbeddingConfig())
    with pytest.raises(InputError, match=r"fitted to 6 features, got an array of shape \(50, 5\)"):
        fitted.apply(features[:, :5])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "pca"}, "kind 'pca' needs n_components"),
        ({"kind": "l2", "n_components": 3}, "takes no n_components"),
        ({"kind": "umap"}, "'raw', 'l2', 'zscore', 'pca' or 'whiten'"),
        ({"kind": "pca", "n_components": 0}, "n_components"),
        ({"rotation": "fft"}, "need n_orientations"),
        ({"n_orientations": 8}, "'none' takes none"),
        ({"rotation": "fft", "n_orientations": 8, "neighbour_weight": 0.1}, "belongs to rotation 'smooth'"),
        ({"rotation": "smooth", "n_orientations": 8, "alignment_seed": 1}, "belongs to rotation 'aligned'"),
        ({"rotation": "smooth", "n_orientations": 1}, "n_orientations"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EmbeddingConfig.from_params(values)


UNUSABLE = {
    "masked": (lambda x: np.ma.masked_greater(x, 1), r"masked array in which \d+ values are masked"),
    "complex": (lambda x: x + 1j, "dtype is complex128. Pass magnitudes"),
    "text": (lambda x: x.astype(str), "dtype is <U"),
    "ragged": (lambda _: [[1.0, 2.0], [3.0]], "cannot be made one"),
    "a parameter": (lambda x: torch.nn.Parameter(torch.tensor(x)), "cannot be made one.*detach"),
    "tiny": (lambda x: x * 1e-200, "reach .*e-200 at most"),
    "huge": (lambda x: x * 1e200, r"reach .*e\+200 at most"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_features_that_are_none_are_refused_with_a_reason(name: str) -> None:
    spoil, says = UNUSABLE[name]
    with pytest.raises(InputError, match=says):
        decortex.embed(spoil(np.random.default_rng(0).normal(size=(30, 4))))


def test_a_neuron_whose_norm_vanishes_is_excluded_and_equal_ones_have_no_directions() -> None:
    x = np.random.default_rng(0).normal(size=(30, 4))
    x[3] *= 1e-200
    found = fit_map(x, EmbeddingConfig(kind="l2")).excluded
    assert found.indices.tolist() == [3]
    assert found.reasons == ("zero_norm",)
    with pytest.raises(InputError, match="all have the same features"):
        fit_map(np.ones((30, 4)), EmbeddingConfig(kind="whiten"))
