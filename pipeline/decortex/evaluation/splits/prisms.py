r"""Which neurons lie in the prism between two centres, and where along it.

The prism of centres i and j holds what is nearer to the line through both than to any third centre beside it. It is
as wide between the centres as at them, so that for a log-concave density the number of neurons expected in a window
of the prism is log-concave along the line (Prekopa 1973): no valley, in any number of dimensions, however
the cloud is cut. Place t is 0 at centre i and 1 at centre j. A window spans a third of the distance; places are kept as
bins of 1/24, eight bins to a window: bins 0 to 7 are the window on i, 24 to 31 that on j, and the windows between
begin at bin 8 to 16, so that no two of them overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_BINS, _WIDTH, _FIRST_BETWEEN, _LAST_BETWEEN = 32, 8, 8, 16
_START, _END = -1 / 6, 7 / 6


@dataclass(frozen=True)
class PrismPlaces:
    """Neurons inside prisms, one entry per neuron and prism.

    Parameters
    ----------
    pair, neuron, bin : ndarray of int64, shape (n_entries,)
        Index of the pair of centres, of the neuron, and of its position along the line.
    n_pairs, n_neurons : int
        Of all pairs and neurons asked for.
    """

    pair: IntArray
    neuron: IntArray
    bin: IntArray
    n_pairs: int
    n_neurons: int


def prism_places(points: FloatArray, centres: FloatArray, pairs: IntArray) -> PrismPlaces:
    """Find the neurons of every prism.

    Parameters
    ----------
    points : ndarray, shape (n_neurons, n_features)
    centres : ndarray, shape (n_centres, n_features)
        Both whitened.
    pairs : ndarray of int64, shape (n_pairs, 2)
        Centres that differ.
    """
    i, j = pairs.T
    inner = centres @ centres.T
    norm = np.diag(inner)
    along = (centres @ points.T).astype(np.float32)  # (n_centres, n_neurons)
    closest = np.argsort(norm.astype(np.float32)[:, None] - 2 * along, axis=0, kind="stable")
    lines = _lines(inner, norm, pairs)
    # Neurons in the order of their nearest centre: each block then tests one third centre, which excludes nearly all
    # that any third centre excludes.
    order = np.argsort(closest[0], kind="stable")
    ends = np.searchsorted(closest[0][order], np.arange(len(centres) + 1))
    kept = []
    for k in range(len(centres)):
        block = order[ends[k] : ends[k + 1]]
        here = along[:, block]
        from_i = here[i]
        t = (here[j] - from_i - lines.offset[:, None]) / lines.length2[:, None]
        inside = here[k] - from_i - lines.slope[:, k, None] * t <= lines.limit[:, k, None]
        inside &= (t >= _START) & (t < _END)
        pair, at = np.nonzero(inside)
        kept.append((pair, block[at], t[pair, at]))
    pair, neuron, place = (np.concatenate(part) for part in zip(*kept, strict=True))
    for rank in range(1, len(centres)):
        third = closest[rank, neuron]
        excess = along[third, neuron] - along[i[pair], neuron] - lines.slope[pair, third] * place
        inside = excess <= lines.limit[pair, third]
        pair, neuron, place = pair[inside], neuron[inside], place[inside]
    bins = np.floor((place - _START) * (3 * _WIDTH)).astype(np.int64)
    return PrismPlaces(pair, neuron, np.clip(bins, 0, _BINS - 1), len(pairs), len(points))


@dataclass(frozen=True)
class _Lines:
    """Per pair (and third centre k) in float32: x is outside where (c_k - c_i) x - slope t(x) > limit."""

    offset: NDArray[np.float32]
    length2: NDArray[np.float32]
    slope: NDArray[np.float32]
    limit: NDArray[np.float32]


def _lines(inner: FloatArray, norm: FloatArray, pairs: IntArray) -> _Lines:
    i, j = pairs.T
    rows = np.arange(len(pairs))
    length2 = norm[i] + norm[j] - 2 * inner[i, j]
    offset = inner[i, j] - norm[i]
    place = (inner[j] - inner[i] - offset[:, None]) / length2[:, None]
    beside = (place > _START) & (place < _END)
    beside[rows, i] = beside[rows, j] = False
    across2 = norm[None] + norm[i][:, None] - 2 * inner[i] - place**2 * length2[:, None]
    limit = np.where(beside, inner[i] - norm[i][:, None] + across2 / 2, np.inf)
    slope = place * length2[:, None]
    offset, length2, slope, limit = (part.astype(np.float32) for part in (offset, length2, slope, limit))
    return _Lines(offset, length2, slope, limit)


@dataclass(frozen=True)
class Windows:
    """Windows of every prism, chosen on training neurons.

    Parameters
    ----------
    between, beside : ndarray of int64, shape (n_pairs,)
        First bin of the emptiest window between the centres, and of the window on the sparser centre.
    """

    between: IntArray
    beside: IntArray


def choose_windows(places: PrismPlaces, used: NDArray[np.bool_]) -> Windows:
    """Choose the emptiest window between and the sparser side, prism by prism, on the neurons used.

    The sparser side is chosen pair by pair: two slopes in opposite directions would else make a valley that no pair
    has.
    """
    entries = used[places.neuron]
    counts = np.bincount(
        places.pair[entries] * _BINS + places.bin[entries], minlength=places.n_pairs * _BINS
    ).reshape(places.n_pairs, _BINS)
    total = np.concatenate([np.zeros((places.n_pairs, 1), dtype=np.int64), counts.cumsum(axis=1)], axis=1)
    window = total[:, _WIDTH:] - total[:, :-_WIDTH]
    between = window[:, _FIRST_BETWEEN : _LAST_BETWEEN + 1]
    # Of equally empty windows the one nearest to the middle.
    middle = (_LAST_BETWEEN - _FIRST_BETWEEN) / 2
    order = np.argsort(np.abs(np.arange(between.shape[1]) - middle), kind="stable")
    first = _FIRST_BETWEEN + order[between[:, order].argmin(axis=1)]
    last_side = _BINS - _WIDTH
    beside = np.where(window[:, 0] <= window[:, last_side], 0, last_side)
    return Windows(first.astype(np.int64), beside.astype(np.int64))


def in_windows(places: PrismPlaces, windows: Windows) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each entry lies in its prism's window between, and in its window beside."""
    return tuple(  # type: ignore[return-value]
        (places.bin >= first[places.pair]) & (places.bin < first[places.pair] + _WIDTH)
        for first in (windows.between, windows.beside)
    )
