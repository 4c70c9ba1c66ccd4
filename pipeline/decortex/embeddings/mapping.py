"""From readout features to what is clustered: orientation, row norms, scaling, PCA, as one fixed map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from decortex.arrays import LARGEST_VALUE, SMALLEST_SPREAD, real_array
from decortex.embeddings.config import EmbeddingConfig
from decortex.embeddings.orientation import OrientationMap, fit_orientation_map
from decortex.errors import InputError

FloatArray = NDArray[np.float64]
Reason = Literal["not_finite", "zero_norm"]

# Spreads and variances below this share of the largest are rounding, not variation.
_RELATIVE_ZERO = 1e-10


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
    r"""A fixed map of feature vectors: orientation, optional row norm, then :math:`y = (x - m) A`.

    Parameters
    ----------
    config : EmbeddingConfig
        What was asked for.
    n_features : int
        Of the readout.
    orientation : OrientationMap
        What is done to the orientations of rotation-equivariant features.
    unit_rows : bool
        Whether rows are divided by their L2 norm first.
    mean : ndarray of float64, shape (n_turned,)
        Subtracted.
    matrix : ndarray of float64, shape (n_turned, n_out)
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
    n_features: int
    orientation: OrientationMap
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
            If the number of features is another than in the fit, or an aligned embedding meets other neurons.
        """
        result: FloatArray = self.apply_torch(torch.from_numpy(np.array(x, dtype=np.float64))).numpy()
        return result

    def apply_torch(self, z: torch.Tensor) -> torch.Tensor:
        """Map feature vectors, differentiably and in their own precision.

        Parameters
        ----------
        z : Tensor, shape (n_neurons, n_features)
            On any device; in float64 the numbers are those of `apply`.

        Returns
        -------
        Tensor, shape (n_neurons, n_out)
            Of the same type, on the same device.
        """
        if z.ndim != 2 or z.shape[1] != self.n_features:
            raise InputError(
                f"this embedding was fitted to {self.n_features} features, got an array of shape {tuple(z.shape)};"
                " it takes (n_neurons, n_features)."
            )
        x = self.orientation.apply_torch(z)
        if self.unit_rows:
            x = x / torch.linalg.vector_norm(x, dim=1, keepdim=True)
        if self.config.kind in ("raw", "l2"):
            return x  # mean and matrix are those of the identity; fine-tuning comes here at every step
        mean, matrix = (torch.from_numpy(part).to(x) for part in (self.mean, self.matrix))
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
        If the array is not a matrix, fewer than two neurons remain, O does not divide the number of features,
        or more components are asked for than there are directions that vary.

    Examples
    --------
    >>> import numpy as np
    >>> from decortex.embeddings import EmbeddingConfig
    >>> mapped = fit_map(np.array([[3.0, 4.0], [0.0, 2.0]]), EmbeddingConfig(kind="l2"))
    >>> mapped.apply(np.array([[3.0, 4.0]])).tolist()
    [[0.6, 0.8]]
    """
    x = real_array(raw, "features", kinds="fiub").astype(np.float64)
    if x.ndim != 2 or x.shape[1] == 0:
        raise InputError(f"features should be (n_neurons, n_features), got an array of shape {x.shape}.")
    largest = float(np.abs(x[np.isfinite(x)]).max(initial=0.0))
    if largest > LARGEST_VALUE or 0 < largest < SMALLEST_SPREAD:
        raise InputError(
            f"features reach {largest:.2g} at most, and squares of such numbers overflow or vanish: give them in a unit"
            f" in which they lie between {SMALLEST_SPREAD:g} and {LARGEST_VALUE:g}."
        )
    excluded = _excluded(x)
    kept = np.delete(x, excluded.indices, axis=0)
    if len(kept) < 2:
        raise InputError(
            f"an embedding needs at least two neurons with finite features that are not all zero; of {len(x)}"
            f" there are {len(kept)}. Check that the network was trained."
        )
    orientation = fit_orientation_map(
        kept,
        config.rotation,
        config.n_orientations,
        neighbour_weight=config.neighbour_weight,
        n_starts=config.alignment_starts,
        seed=config.alignment_seed,
    )
    kept = orientation.apply_torch(torch.from_numpy(kept)).numpy()
    unit_rows = config.kind == "l2" or config.l2_first
    if unit_rows:
        kept = kept / np.linalg.norm(kept, axis=1, keepdims=True)
    mean, std = kept.mean(axis=0), kept.std(axis=0)
    constant = std <= _RELATIVE_ZERO * max(float(np.abs(kept).max()), np.finfo(float).tiny)
    n_turned = kept.shape[1]
    share = 1.0
    if config.kind in ("raw", "l2"):
        mean, matrix = np.zeros(n_turned), np.eye(n_turned)
    elif config.kind == "zscore":
        matrix = np.diag(np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, std)))
    else:
        matrix, share = _components(kept - mean, config)
    return EmbeddingMap(
        config=config,
        n_features=x.shape[1],
        orientation=_for_all(orientation, len(x), excluded),
        unit_rows=unit_rows,
        mean=mean,
        matrix=matrix,
        variance_share=share,
        constant_features=np.flatnonzero(constant).astype(np.int64),
        excluded=excluded,
    )


def _excluded(x: FloatArray) -> Excluded:
    finite: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(x), axis=1)
    zero: NDArray[np.bool_] = np.abs(x).max(axis=1) < SMALLEST_SPREAD  # its norm is 0 in double precision
    indices = np.flatnonzero(~finite | zero).astype(np.int64)
    return Excluded(indices, tuple("zero_norm" if zero[i] else "not_finite" for i in indices))


def _for_all(orientation: OrientationMap, n_neurons: int, excluded: Excluded) -> OrientationMap:
    """Insert the rows that no statistic uses among the turns; they are not turned."""
    if orientation.turns is None:
        return orientation
    turns = np.zeros((n_neurons, orientation.n_orientations))
    turns[:, 0] = 1
    turns[np.setdiff1d(np.arange(n_neurons), excluded.indices)] = orientation.turns
    return replace(orientation, turns=turns)


def _components(centred: FloatArray, config: EmbeddingConfig) -> tuple[FloatArray, float]:
    """Leading eigenvectors of the covariance, scaled to variance one for whitening; and their share."""
    variances, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    variances, vectors = np.maximum(variances[::-1], 0.0), vectors[:, ::-1]
    rank = int(np.count_nonzero(variances > _RELATIVE_ZERO * variances[0]))
    n_components = config.n_components or rank
    if rank == 0:
        raise InputError(
            f"these {len(centred)} neurons all have the same features: there is no direction in which they vary, as"
            f" {config.kind} needs."
        )
    if n_components > rank:
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
