"""Two-dimensional views of an embedding: pictures to look at. No clustering uses them and none should.

A view keeps some distances and gives up others. t-SNE and UMAP pull neighbours together and tear points
without neighbours apart, so that noise without types shows islands, and the sizes of islands and the gaps
between them mean nothing (Chari & Pachter 2023, PLoS Comput Biol 19:e1011288). Every view therefore carries
how much of the embedding it kept.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.stats import spearmanr
from sklearn.neighbors import NearestNeighbors

from decortex.clustering import Cache, FloatArray, MemoryCache, Points, check_points, check_seed
from decortex.clustering.graph import nearest_neighbours
from decortex.config import Config
from decortex.errors import ConfigError, InputError

ALGORITHM_VERSION = 1
MINIMUM_NEURONS = 5

# How much of the embedding a view kept is measured on at most so many neurons, drawn by the seed.
QUALITY_SAMPLE = 2_000
QUALITY_NEIGHBOURS = 15

# From here on repulsion is interpolated on a grid (Linderman et al. 2019) instead of summed over a tree.
_INTERPOLATE_FROM = 10_000
# Kobak & Berens (2019): a start this narrow leaves the first steps to the attraction.
_TSNE_START = 1e-4
_UMAP_START = 10.0


class ViewConfig(Config):
    """How an embedding is drawn in two dimensions."""

    kind: Literal["pca", "tsne", "umap"] = Field(
        default="pca",
        description="two principal components; t-distributed stochastic neighbour embedding; UMAP",
    )
    perplexity: float = Field(
        default=30.0,
        ge=2,
        le=1000,
        description="tsne: effective number of neighbours; at most a third of the other neurons",
    )
    exaggeration: float = Field(
        default=12.0, ge=1, le=50, description="tsne: factor on the attraction in the first 250 steps"
    )
    n_steps: int = Field(default=500, ge=50, le=10_000, description="tsne: steps after these 250")
    n_neighbors: int = Field(
        default=15, ge=2, le=500, description="umap: neighbours of a neuron, itself among them"
    )
    min_dist: float = Field(
        default=0.1, ge=0, le=1, description="umap: distance below which neurons are not pulled closer"
    )

    @model_validator(mode="after")
    def _fields_where_they_belong(self) -> ViewConfig:
        owners = {
            "perplexity": "tsne",
            "exaggeration": "tsne",
            "n_steps": "tsne",
            "n_neighbors": "umap",
            "min_dist": "umap",
        }
        for name, owner in owners.items():
            if self.kind != owner and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} belongs to views of kind {owner!r}, not to {self.kind!r}")
        return self


@dataclass(frozen=True)
class View:
    """Neurons on a plane.

    Parameters
    ----------
    points : ndarray of float32, shape (n_neurons, 2)
        In the order of the rows. For pca in the embedding's own unit; else the unit means nothing.
    variance_share : float or None
        Share of the embedding's variance along the two axes; only pca has axes.
    neighbours_kept : float
        Mean share of a neuron's 15 nearest neighbours in the embedding (all others, if there are fewer) that are
        among its 15 nearest on the plane; chance is 15 / (n_neurons - 1).
    distance_spearman : float or None
        Spearman correlation of the distances between pairs in the embedding and on the plane; None where all
        distances are equal.
    diagnostics : mapping of str to float
        What was used of a parameter that the number of neurons bounds: 'perplexity' of tsne, 'n_neighbors' of umap.
    """

    points: NDArray[np.float32]
    variance_share: float | None
    neighbours_kept: float
    distance_spearman: float | None
    diagnostics: Mapping[str, float]


def draw_view(x: Any, config: ViewConfig, *, seed: int, cache: Cache | None = None) -> View:
    """Draw an embedding in two dimensions.

    Parameters
    ----------
    x : array_like, shape (n_neurons, n_features)
        Embedding, without excluded neurons.
    config : ViewConfig
        Kind and parameters.
    seed : int
        Of umap's negative samples, and of the neurons on which the kept neighbours are measured; pca and tsne do
        not depend on chance: tsne starts from pca.
    cache : Cache, optional
        Holds the exact neighbours, which tsne and umap share with the graph methods of clustering.

    Returns
    -------
    View
        The same arguments give the same points, bit for bit, on one processor type.

    Raises
    ------
    InputError
        If there are fewer than five neurons, or a value is not finite.
    ConfigError
        If the kind is umap and umap-learn is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from decortex.embeddings import ViewConfig
    >>> x = np.random.default_rng(0).normal(size=(20, 5))
    >>> draw_view(x, ViewConfig(kind="pca"), seed=0).points.shape
    (20, 2)
    """
    values = check_points(x)
    if len(values) < MINIMUM_NEURONS:
        raise InputError(
            f"a view needs at least {MINIMUM_NEURONS} neurons, but the embedding has {len(values)}."
        )
    seed = check_seed(seed)
    plane, share = _principal_plane(values)
    points, diagnostics = plane, dict[str, float]()
    if config.kind != "pca":
        shared = Points(values, cache if cache is not None else MemoryCache())
        draw = _tsne if config.kind == "tsne" else _umap
        points, diagnostics = draw(shared, plane, config, seed)
    kept, correlation = _quality(values, points, np.random.default_rng(seed))
    return View(
        points=points.astype(np.float32),
        variance_share=share if config.kind == "pca" else None,
        neighbours_kept=kept,
        distance_spearman=correlation,
        diagnostics=diagnostics,
    )


def _principal_plane(x: FloatArray) -> tuple[FloatArray, float | None]:
    """Scores on the two leading principal components, the largest loading positive; and their share."""
    centred = x - x.mean(axis=0)
    variances, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    leading = vectors[:, ::-1][:, :2]
    largest = np.abs(leading).argmax(axis=0)
    leading = leading * np.where(leading[largest, np.arange(leading.shape[1])] < 0, -1.0, 1.0)
    plane = np.zeros((len(x), 2))
    plane[:, : leading.shape[1]] = centred @ leading
    total = float(np.maximum(variances, 0).sum())
    return plane, float(np.maximum(variances[::-1][:2], 0).sum()) / total if total > 0 else None


def _tsne(
    points: Points, plane: FloatArray, config: ViewConfig, _: int
) -> tuple[FloatArray, dict[str, float]]:
    """t-SNE (van der Maaten & Hinton 2008) with the defaults of Kobak & Berens (2019)."""
    from openTSNE import TSNE  # noqa: PLC0415  (seconds to import; only workers that draw need it)
    from openTSNE.affinity import PrecomputedAffinities, joint_probabilities_nn  # noqa: PLC0415

    n = len(points)
    perplexity = min(config.perplexity, (n - 1) / 3)
    near = nearest_neighbours(points, min(n - 1, math.ceil(3 * perplexity)))
    attraction = joint_probabilities_nn(near.indices, near.distances, [perplexity], n_jobs=1)
    drawn = TSNE(
        early_exaggeration=config.exaggeration,
        early_exaggeration_iter=250,
        n_iter=config.n_steps,
        learning_rate=n / config.exaggeration,
        negative_gradient_method="bh" if n < _INTERPOLATE_FROM else "fft",
        n_jobs=1,
        random_state=0,
    ).fit(affinities=PrecomputedAffinities(attraction), initialization=_start(plane, _TSNE_START))
    return np.asarray(drawn, dtype=np.float64), {"perplexity": float(perplexity)}


def _umap(
    points: Points, plane: FloatArray, config: ViewConfig, seed: int
) -> tuple[FloatArray, dict[str, float]]:
    """UMAP (McInnes, Healy & Melville 2018), from the principal plane as Kobak & Linderman (2021) advise."""
    if find_spec("umap") is None:
        raise ConfigError(
            "views of kind 'umap' need umap-learn, which is not installed here: pip install 'decortex[umap]', "
            "then `decortex retry`; or ask for 'tsne', which is part of decortex."
        )
    from umap import UMAP  # noqa: PLC0415  (optional, and seconds to import)

    n = len(points)
    n_neighbors = min(config.n_neighbors, n - 1)
    near = nearest_neighbours(points, n_neighbors - 1)
    itself = np.arange(n, dtype=np.int32)[:, None]
    method = UMAP(
        n_neighbors=n_neighbors,
        min_dist=config.min_dist,
        init=_start(plane, _UMAP_START).astype(np.float32),
        precomputed_knn=(
            np.hstack([itself, near.indices]),
            np.hstack([np.zeros((n, 1)), near.distances]).astype(np.float32),
        ),
        force_approximation_algorithm=True,  # keeps the exact neighbours above also where there are few neurons
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="precomputed_knn")  # new neurons are never placed on it
        drawn = method.fit_transform(points.values)
    return np.asarray(drawn, dtype=np.float64), {"n_neighbors": float(n_neighbors)}


def _start(plane: FloatArray, width: float) -> FloatArray:
    """The principal plane, scaled so that its first axis has this standard deviation.

    Neurons with equal features would stay on one point for ever: each is moved by a millionth of the width,
    to a place of its own on a spiral.
    """
    spread = plane[:, 0].std()
    scaled = plane * (width / spread) if spread > 0 else np.zeros_like(plane)
    step = np.arange(len(plane))
    angle, radius = 2.399963229728653 * step, np.sqrt((step + 0.5) / len(plane))
    return scaled + 1e-6 * width * np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _quality(x: FloatArray, points: FloatArray, rng: np.random.Generator) -> tuple[float, float | None]:
    """Share of the nearest neighbours that a view keeps, and the rank correlation of its distances."""
    n = len(x)
    width = min(QUALITY_NEIGHBOURS, n - 1)
    sample = np.sort(rng.permutation(n)[:QUALITY_SAMPLE])
    near = [_near(of, sample, width) for of in (x, points)]
    kept = np.mean([len(np.intersect1d(a, b)) / width for a, b in zip(*near, strict=True)])
    other = rng.permutation(len(sample))
    pairs = other != np.arange(len(sample))
    first, second = sample[pairs], sample[other[pairs]]
    apart = [np.linalg.norm(of[first] - of[second], axis=1) for of in (x, points)]
    if any(np.ptp(distances) == 0 for distances in apart):
        return float(kept), None
    return float(kept), float(spearmanr(*apart).statistic)


def _near(x: FloatArray, sample: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Nearest other neurons of some neurons."""
    found: NDArray[np.int64] = (
        NearestNeighbors(n_neighbors=width + 1, algorithm="brute")
        .fit(x)
        .kneighbors(x[sample], return_distance=False)
    )
    others = found != sample[:, None]
    others[others.all(axis=1), -1] = False  # a duplicate may stand in the neuron's own place
    near: NDArray[np.int64] = found[others].reshape(len(sample), width)
    return near
