"""Embeddings of rotation-equivariant networks: invariance, alignment as one fixed map, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from decortex.clustering import fit
from decortex.embeddings import EmbeddingConfig, align_rotations, fit_map
from decortex.errors import InputError

N_ORI, N_FEAT = 8, 3


def rolled(x: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Every row turned by a number of orientations of its own."""
    return np.stack(
        [np.roll(row.reshape(N_ORI, N_FEAT), o, axis=0).ravel() for row, o in zip(x, by, strict=True)]
    )


@pytest.fixture
def types() -> tuple[np.ndarray, np.ndarray]:
    """Three types of different tuning width, each neuron at a preferred orientation of its own."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 40)
    angle = 2 * np.pi * np.arange(N_ORI) / N_ORI
    width = np.array([0.3, 1.5, 6.0])[truth]
    x = np.zeros((len(truth), N_ORI, N_FEAT))
    x[:, :, 0] = np.exp(width[:, None] * (np.cos(angle) - 1))
    x[:, :, 1] = 0.5
    x += 0.05 * rng.normal(size=x.shape)
    return rolled(x.reshape(len(truth), -1), rng.integers(N_ORI, size=len(truth))), truth


@pytest.mark.parametrize("kind", ["raw", "l2", "zscore"])
def test_magnitudes_do_not_see_a_roll_of_every_neuron(
    types: tuple[np.ndarray, np.ndarray], kind: str
) -> None:
    x, truth = types
    config = EmbeddingConfig.from_params({"kind": kind, "rotation": "fft", "n_orientations": N_ORI})
    by = np.random.default_rng(1).integers(N_ORI, size=len(x))
    one, other = fit_map(x, config).apply(x), fit_map(rolled(x, by), config).apply(rolled(x, by))
    np.testing.assert_allclose(one, other, atol=1e-9)
    assert one.shape == (len(x), (N_ORI // 2 + 1) * N_FEAT)
    if kind == "l2":
        assert adjusted_rand_score(truth, fit(one, "kmeans", n_clusters=3).labels) == 1
        assert adjusted_rand_score(truth, fit(x, "kmeans", n_clusters=3).labels) < 0.5


def test_smoothing_keeps_what_shift_em_needs(types: tuple[np.ndarray, np.ndarray]) -> None:
    x, truth = types
    config = EmbeddingConfig(kind="raw", rotation="smooth", n_orientations=N_ORI)
    found = fit(fit_map(x, config).apply(x), "rotation_tmixture", n_clusters=3, n_orientations=N_ORI)
    assert adjusted_rand_score(truth, found.labels) == 1


def test_an_aligned_embedding_is_the_alignment_as_a_fixed_map(types: tuple[np.ndarray, np.ndarray]) -> None:
    x, _ = types
    config = EmbeddingConfig(kind="raw", rotation="aligned", n_orientations=N_ORI, alignment_starts=0)
    fitted = fit_map(x, config)
    expected = align_rotations(x, N_ORI, rng=np.random.default_rng(0), n_starts=0)
    np.testing.assert_allclose(fitted.apply(x), expected.aligned, atol=1e-12)
    np.testing.assert_allclose(expected.turns.sum(axis=1), 1)
    peaks = fitted.apply(x).reshape(-1, N_ORI, N_FEAT)[:, :, 0].argmax(axis=1)
    before = x.reshape(-1, N_ORI, N_FEAT)[:, :, 0].argmax(axis=1)
    tuned = slice(40, 120)
    assert (
        np.bincount(peaks[tuned], minlength=N_ORI).max()
        > 70
        > np.bincount(before[tuned], minlength=N_ORI).max()
    )


def test_an_aligned_embedding_has_a_gradient_and_is_one_of_these_neurons(
    types: tuple[np.ndarray, np.ndarray],
) -> None:
    x = types[0][::30]
    fitted = fit_map(
        x, EmbeddingConfig(kind="l2", rotation="aligned", n_orientations=N_ORI, alignment_starts=0)
    )
    assert torch.autograd.gradcheck(fitted.apply_torch, [torch.from_numpy(x).requires_grad_()])
    with pytest.raises(InputError, match=r"each of its 4 neurons .* got 3; use rotation 'fft'"):
        fitted.apply(x[:3])


def test_neurons_without_a_place_are_not_turned_and_turn_nobody(
    types: tuple[np.ndarray, np.ndarray],
) -> None:
    x, _ = types
    config = EmbeddingConfig(kind="raw", rotation="aligned", n_orientations=N_ORI, alignment_starts=1)
    broken = np.insert(x, [2, 50], 1.0, axis=0)
    broken[2], broken[51, 4] = 0.0, np.nan
    fitted = fit_map(broken, config)
    assert fitted.excluded.indices.tolist() == [2, 51]
    kept = np.delete(fitted.apply(broken), [2, 51], axis=0)
    np.testing.assert_allclose(kept, fit_map(x, config).apply(x), atol=1e-9)


def test_features_that_do_not_divide_into_orientations_are_refused() -> None:
    x = np.random.default_rng(0).normal(size=(10, 7))
    with pytest.raises(
        InputError, match=r"n_orientations = 2 should divide the number of features, which is 7"
    ):
        fit_map(x, EmbeddingConfig(kind="l2", rotation="fft", n_orientations=2))
