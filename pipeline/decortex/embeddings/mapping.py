"""From readout features to what is clustered: row norms, z-scores, PCA, whitening, as one fixed map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator

from decortex.config import Config
from decortex.errors import InputError

FloatArray = NDArray[np.float64]
Reason = Literal["not_finite", "zero_norm"]

# Spreads and variances below this share of the largest are rounding, not variation.
_RELATIVE_ZERO = 1e-10


class EmbeddingConfig(Config):
    """How readout features become an embedding."""

    kind: Literal["raw", "l2", "zscore", "pca", "whiten"] = Field(
        default="l2",
        description="as they are; rows of norm one; columns of mean 0 and variance 1; leading principal"
        " components; the same with variance 1 each",
    )
    l2_first: bool = Field(
        default=False, description="bring rows to norm one before zscore, pca or whiten ('l2' always does)"
    )
    n_components: int | None = Field(
        default=None, ge=1, description="components of pca (required) or whiten (null: all that vary)"
    )

    @model_validator(mode="after")
    def _components_where_they_belong(self) -> EmbeddingConfig:
        if self.kind == "pca" and self.n_components is None:
            raise ValueError("kind 'pca' needs n_components")
        if self.kind not in ("pca", "whiten") and self.n_components is not None:
            raise ValueError(f"kind {self.kind!r} takes no n_components; use 'pca' or 'whiten'")
        return self


@dataclass(frozen=True)
class Excluded:
    """Neurons that an embedding cannot hold.

    Parameters
    ----------
    indices : ndarray of int64, shape (n_excluded,)
        Their rows, ascending.
    reasons : tuple of {'not_finite', 'zero_norm'}
        One for each.
    """

    indices: NDArray[np.int64]
    reasons: tuple[Reason, ...]

    def __len__(self) -> int:
        """Return their number."""
        return len(self.indices)


@dataclass(frozen=True)
class EmbeddingMap:
    r"""A fixed map of feature vectors: optional row norm, then :math:`y = (x - m) A`.

    Parameters
    ----------
    config : EmbeddingConfig
        What was asked for.
    unit_rows : bool
        Whether rows are divided by their L2 norm first.
    mean : ndarray of float64, shape (n_features,)
        Subtracted.
    matrix : ndarray of float64, shape (n_features, n_out)
        Applied from the right.
    variance_share : float
        Share of the (row-normed) features' variance that the map's directions carry; 1 unless components
        were dropped.
    constant_features : ndarray of int64
        Features that do not vary over the neurons; 'zscore' maps them to 0, 'pca' and 'whiten' ignore them.
    excluded : Excluded
        Rows of the fitted array that no statistic uses and no clustering may see.
    """

    config: EmbeddingConfig
    unit_rows: bool
    mean: FloatArray
    matrix: FloatArray
    variance_share: float
    constant_features: NDArray[np.int64]
    excluded: Excluded

    def apply(self, x: NDArray[np.floating[Any]]) -> FloatArray:
        """Map feature vectors.

        Parameters
        ----------
        x : ndarray of float, shape (n_neurons, n_features)
            Rows of norm zero or with values that are not finite give NaN where rows are normed.

        Returns
        -------
        ndarray of float64, shape (n_neurons, n_out)
            The embedding, in the order of the rows.

        Raises
        ------
        InputError
            If the number of features is another than in the fit.
        """
        result: FloatArray = self.apply_torch(torch.from_numpy(np.array(x, dtype=np.float64))).numpy()
        return result

    def apply_torch(self, z: torch.Tensor) -> torch.Tensor:
        """Map feature vectors, differentiably and with the numbers of `apply`.

        Parameters
        ----------
        z : Tensor, shape (n_neurons, n_features)
            On any device that has float64.

        Returns
        -------
        Tensor of float64, shape (n_neurons, n_out)
            On the same device.
        """
        if z.ndim != 2 or z.shape[1] != len(self.mean):
            raise InputError(
                f"this embedding was fitted to {len(self.mean)} features, got an array of shape {tuple(z.shape)};"
                " it takes (n_neurons, n_features)."
            )
        x = z.double()
        if self.unit_rows:
            x = x / torch.linalg.vector_norm(x, dim=1, keepdim=True)
        mean, matrix = (torch.from_numpy(part).to(x.device) for part in (self.mean, self.matrix))
        return (x - mean) @ matrix


def fit_map(raw: NDArray[np.floating[Any]], config: EmbeddingConfig) -> EmbeddingMap:
    """Fit the map of an embedding to readout features.

    Parameters
    ----------
    raw : ndarray of float, shape (n_neurons, n_features)
        Readout features.
    config : EmbeddingConfig
        Kind of embedding.

    Returns
    -------
    EmbeddingMap
        Statistics are over the neurons that are not excluded, with the population standard deviation. The
        sign of a component makes its largest loading positive.

    Raises
    ------
    InputError
        If the array is not a matrix, fewer than two neurons remain, or more components are asked for than
        there are directions that vary.
    """
    if raw.ndim != 2 or raw.shape[1] == 0:
        raise InputError(f"features should be (n_neurons, n_features), got an array of shape {raw.shape}.")
    x = np.asarray(raw, dtype=np.float64)
    excluded = _excluded(x)
    kept = np.delete(x, excluded.indices, axis=0)
    if len(kept) < 2:
        raise InputError(
            f"an embedding needs at least two neurons with finite features that are not all zero; of {len(x)}"
            f" there are {len(kept)}. Check that the network was trained."
        )
    unit_rows = config.kind == "l2" or config.l2_first
    if unit_rows:
        kept = kept / np.linalg.norm(kept, axis=1, keepdims=True)
    mean, std = kept.mean(axis=0), kept.std(axis=0)
    constant = std <= _RELATIVE_ZERO * max(float(np.abs(kept).max()), np.finfo(float).tiny)
    n_features = x.shape[1]
    share = 1.0
    if config.kind in ("raw", "l2"):
        mean, matrix = np.zeros(n_features), np.eye(n_features)
    elif config.kind == "zscore":
        matrix = np.diag(np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, std)))
    else:
        matrix, share = _components(kept - mean, config)
    return EmbeddingMap(
        config=config,
        unit_rows=unit_rows,
        mean=mean,
        matrix=matrix,
        variance_share=share,
        constant_features=np.flatnonzero(constant).astype(np.int64),
        excluded=excluded,
    )


def _excluded(x: FloatArray) -> Excluded:
    finite: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(x), axis=1)
    zero: NDArray[np.bool_] = np.logical_not(x.any(axis=1))
    indices = np.flatnonzero(~finite | zero).astype(np.int64)
    return Excluded(indices, tuple("zero_norm" if zero[i] else "not_finite" for i in indices))


def _components(centred: FloatArray, config: EmbeddingConfig) -> tuple[FloatArray, float]:
    """Leading eigenvectors of the covariance, scaled to variance one for whitening; and their share."""
    variances, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    variances, vectors = np.maximum(variances[::-1], 0.0), vectors[:, ::-1]
    rank = int(np.count_nonzero(variances > _RELATIVE_ZERO * variances[0]))
    n_components = config.n_components or rank
    if n_components > rank or rank == 0:
        raise InputError(
            f"{config.kind} was asked for {n_components} components, but these {len(centred)} neurons vary along"
            f" {rank} directions. Ask for at most {rank}."
        )
    vectors = vectors[:, :n_components]
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.where(vectors[largest, np.arange(n_components)] < 0, -1.0, 1.0)
    share = float(variances[:n_components].sum() / variances.sum())
    if config.kind == "whiten":
        vectors = vectors / np.sqrt(variances[:n_components])
    return np.ascontiguousarray(vectors), share
