"""Views: the principal plane against its definition, neighbours that stay together, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from decortex.embeddings import QUALITY_NEIGHBOURS, ViewConfig, draw_view
from decortex.errors import ConfigError, InputError

PCA, TSNE, UMAP = (ViewConfig(kind=kind) for kind in ("pca", "tsne", "umap"))


def groups(n: int = 90, d: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Three groups, far apart."""
    rng = np.random.default_rng(5)
    labels = np.arange(n) % 3
    return 20 * np.eye(d)[labels] + rng.normal(size=(n, d)), labels


def test_the_principal_plane_is_that_of_the_singular_vectors() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 4)) * [5, 3, 1, 0.5] + 7
    view = draw_view(x, PCA, seed=0)
    u, s, vt = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    for axis in range(2):
        sign = np.sign(vt[axis][np.abs(vt[axis]).argmax()])
        np.testing.assert_allclose(view.points[:, axis], sign * u[:, axis] * s[axis], atol=1e-4)
    assert view.variance_share == pytest.approx((s[:2] ** 2).sum() / (s**2).sum())
    assert view.points.dtype == np.float32


def test_a_plane_keeps_everything_of_points_on_a_plane() -> None:
    rng = np.random.default_rng(1)
    flat = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 5))
    view = draw_view(flat, PCA, seed=0)
    assert view.neighbours_kept == 1
    assert view.distance_spearman == pytest.approx(1, abs=1e-6)
    assert view.variance_share == pytest.approx(1)
    line = draw_view(flat[:, :1], PCA, seed=0)
    assert not line.points[:, 1].any()


def test_what_is_kept_is_counted() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 8))
    view = draw_view(x, PCA, seed=0)

    def near(of: np.ndarray, i: int) -> set[int]:
        others = [j for j in np.argsort(np.linalg.norm(of - of[i], axis=1)) if j != i]
        return set(others[:QUALITY_NEIGHBOURS])

    points = view.points.astype(np.float64)
    shares = [len(near(x, i) & near(points, i)) / QUALITY_NEIGHBOURS for i in range(40)]
    assert view.neighbours_kept == pytest.approx(np.mean(shares), abs=0.01)
    assert 0 < view.distance_spearman < 1


def test_tsne_keeps_neighbours_and_does_not_depend_on_chance() -> None:
    x, labels = groups()
    view = draw_view(x, TSNE, seed=0)
    assert np.array_equal(view.points, draw_view(x, TSNE, seed=1).points)
    assert view.diagnostics == {"perplexity": pytest.approx(89 / 3)}
    assert view.variance_share is None
    _nearest_is_of_the_same_group(view.points, labels)
    narrow = draw_view(x, ViewConfig(kind="tsne", perplexity=5.0), seed=0)
    assert not np.array_equal(narrow.points, view.points)


def _nearest_is_of_the_same_group(points: np.ndarray, labels: np.ndarray) -> None:
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert np.array_equal(labels[apart.argmin(axis=1)], labels)


def test_umap_keeps_neighbours_and_follows_its_seed() -> None:
    pytest.importorskip(
        "umap", reason="umap-learn is not installed: pip install -c constraints.txt -e '.[umap]'"
    )
    x, labels = groups()
    view = draw_view(x, UMAP, seed=0)
    assert np.array_equal(view.points, draw_view(x, UMAP, seed=0).points)
    assert not np.array_equal(view.points, draw_view(x, UMAP, seed=1).points)
    _nearest_is_of_the_same_group(view.points, labels)


def test_equal_neurons_and_few_of_them_have_a_place() -> None:
    for x in (
        np.ones((12, 3)),
        np.repeat(np.random.default_rng(0).normal(size=(4, 3)), 5, axis=0),
        np.eye(5),
    ):
        for config in (PCA, TSNE):
            view = draw_view(x, config, seed=0)
            assert np.isfinite(view.points).all()
            assert 0 <= view.neighbours_kept <= 1
    assert draw_view(np.ones((12, 3)), PCA, seed=0).distance_spearman is None
    assert draw_view(np.ones((12, 3)), PCA, seed=0).variance_share is None


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="at least 5 neurons, but the embedding has 4"):
        draw_view(np.eye(4), PCA, seed=0)
    with pytest.raises(InputError, match="should be finite"):
        draw_view(np.full((9, 2), np.nan), PCA, seed=0)
    with pytest.raises(ConfigError, match="perplexity belongs to views of kind 'tsne', not to 'pca'"):
        ViewConfig.from_params({"kind": "pca", "perplexity": 10.0})
    monkeypatch.setattr("decortex.embeddings.views.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'decortex\[umap\]'"):
        draw_view(np.eye(9), UMAP, seed=0)
