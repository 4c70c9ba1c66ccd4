"""What becomes of orientation in embeddings of rotation-equivariant networks: invariants, smoothing, turns.

A row holds O orientations of F features, feature index o F + f. Turning the image rolls o, so that a neuron's
preferred orientation is a nuisance: functional types are defined up to a roll. All maps here are fixed and
differentiable, for a clustering loss goes through them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from decortex.clustering import FloatArray, check_orientations, check_points
from decortex.embeddings.alignment import align_rotations
from decortex.embeddings.config import OrientationKind
from decortex.errors import InputError


def fft_magnitude(x: FloatArray, n_orientations: int) -> FloatArray:
    """Magnitude of the Fourier transform over orientation, feature by feature: invariant to rolls.

    It forgets the relative orientation between features, too. Frequencies that stand for two are weighted by
    sqrt(2), so that a row keeps its Euclidean length.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, O * F)
        Embedding.
    n_orientations : int
        O.

    Returns
    -------
    ndarray, shape (n_neurons, (O // 2 + 1) * F)

    Raises
    ------
    InputError
        If O does not divide the number of features.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])    # one feature, rolled
    >>> bool(np.allclose(*fft_magnitude(x, 4)))
    True
    """
    return _on_arrays(x, n_orientations, _magnitude)


def smooth_orientations(x: FloatArray, n_orientations: int, *, neighbour_weight: float = 0.25) -> FloatArray:
    """Circular smoothing over orientation with the kernel [w, 1 - 2 w, w]; commutes with rolls.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, O * F)
        Embedding.
    n_orientations : int
        O.
    neighbour_weight : float
        w, between 0 (nothing happens) and 0.5.

    Returns
    -------
    ndarray, shape (n_neurons, O * F)

    Raises
    ------
    InputError
        If O does not divide the number of features, or the weight is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> smooth_orientations(np.array([[1.0, 0.0, 0.0, 0.0]]), 4).tolist()
    [[0.5, 0.25, 0.0, 0.25]]
    """
    if not 0 <= neighbour_weight <= 0.5:
        raise InputError(f"neighbour_weight should lie between 0 and 0.5, but is {neighbour_weight}.")
    return _on_arrays(x, n_orientations, lambda folded: _smoothed(folded, neighbour_weight))


@dataclass(frozen=True)
class OrientationMap:
    """What is done to the orientations of every row; a turn by alignment is each neuron's own.

    Parameters
    ----------
    kind : {'none', 'fft', 'aligned', 'smooth'}
        Nothing; magnitude of the Fourier transform; turned towards a common mean; circular smoothing.
    n_orientations : int
        O.
    neighbour_weight : float
        Of the smoothing.
    turns : ndarray of float64, shape (n_neurons, O), or None
        'aligned' only: the weight of every roll.
    """

    kind: OrientationKind
    n_orientations: int
    neighbour_weight: float
    turns: FloatArray | None = None

    def apply_torch(self, z: Tensor) -> Tensor:
        """Map rows, differentiably.

        Parameters
        ----------
        z : Tensor, shape (n_neurons, O * F)
            On any device.

        Returns
        -------
        Tensor, shape (n_neurons, n_features)

        Raises
        ------
        InputError
            If 'aligned' is applied to another number of neurons than it was fitted to.
        """
        if self.kind == "none":
            return z
        folded = z.reshape(len(z), self.n_orientations, -1)
        if self.kind == "fft":
            return _magnitude(folded).flatten(1)
        if self.kind == "smooth":
            return _smoothed(folded, self.neighbour_weight).flatten(1)
        return self._turned(folded).flatten(1)

    def _turned(self, folded: Tensor) -> Tensor:
        if self.turns is None or len(folded) != len(self.turns):
            raise InputError(
                f"an aligned embedding turns each of its {0 if self.turns is None else len(self.turns)} neurons by "
                f"an angle of its own and maps no others, got {len(folded)}; use rotation 'fft' for new neurons."
            )
        turns = torch.from_numpy(self.turns).to(folded)
        length = torch.linalg.vector_norm(folded, dim=(1, 2), keepdim=True)
        unit = folded / length.clamp_min(torch.finfo(folded.dtype).tiny)
        total = torch.zeros_like(unit)
        for o in range(self.n_orientations):
            total = total + turns[:, o, None, None] * unit.roll(o, dims=1)
        return total


def fit_orientation_map(
    x: FloatArray,
    kind: OrientationKind,
    n_orientations: int | None,
    *,
    neighbour_weight: float,
    n_starts: int,
    seed: int,
) -> OrientationMap:
    """Fit what becomes of orientation to rows that can be used.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, O * F)
        Finite rows.
    kind : {'none', 'fft', 'aligned', 'smooth'}
        See `OrientationMap`.
    n_orientations : int or None
        O; needed unless kind is 'none'.
    neighbour_weight : float
        Of 'smooth'.
    n_starts, seed : int
        Of 'aligned': random starts, and their seed.

    Returns
    -------
    OrientationMap

    Raises
    ------
    InputError
        If O does not divide the number of features.
    """
    if kind == "none" or n_orientations is None:
        return OrientationMap("none", 1, neighbour_weight)
    check_orientations(x, n_orientations)
    turns = None
    if kind == "aligned":
        rng = np.random.default_rng(seed)
        turns = align_rotations(x, n_orientations, rng=rng, n_starts=n_starts).turns
    return OrientationMap(kind, n_orientations, neighbour_weight, turns)


def _on_arrays(x: FloatArray, n_orientations: int, mapped: Callable[[Tensor], Tensor]) -> FloatArray:
    x = check_points(x)
    check_orientations(x, n_orientations)
    folded = torch.from_numpy(np.array(x)).reshape(len(x), n_orientations, -1)
    result: FloatArray = mapped(folded).flatten(1).numpy()
    return result


def _magnitude(folded: Tensor) -> Tensor:
    """(n_neurons, O, F) -> (n_neurons, O // 2 + 1, F)."""
    spectrum = torch.fft.rfft(folded, dim=1, norm="ortho")
    paired = torch.full((spectrum.shape[1],), np.sqrt(2), dtype=folded.dtype, device=folded.device)
    paired[0] = 1
    if folded.shape[1] % 2 == 0:
        paired[-1] = 1
    magnitude: Tensor = spectrum.abs() * paired[:, None]
    return magnitude


def _smoothed(folded: Tensor, neighbour_weight: float) -> Tensor:
    beside = folded.roll(1, dims=1) + folded.roll(-1, dims=1)
    return (1 - 2 * neighbour_weight) * folded + neighbour_weight * beside
