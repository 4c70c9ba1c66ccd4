"""Linear fields: the gradient of a response at grey over image or clip, and its space-time separable part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from decortex.models import Network, evaluating
from decortex.tuning.experiment import in_pixels

FloatArray = NDArray[np.float64]

_BATCH = 32  # neurons at once; changes nothing but memory and time


@dataclass(frozen=True)
class LinearFields:
    """Linear fields of all neurons, as space and time.

    Parameters
    ----------
    spatial : ndarray of float32, shape (n_neurons, height, width)
        First spatial component of the field, of unit length, signed so that the temporal one's largest value is
        positive; of images the field itself, of unit length.
    temporal : ndarray of float32, shape (n_neurons, n_lags)
        First temporal component, in the recordings' unit per standard deviation of a pixel; the last entry is the
        frame that is answered to. Of images one number, the field's length.
    separable : ndarray of float64, shape (n_neurons,)
        Share of the field's squares that the product of both holds; 1 for images, NaN where the field is zero.
    """

    spatial: NDArray[np.float32]
    temporal: NDArray[np.float32]
    separable: FloatArray


def linear_fields(network: Network, *, device: str = "auto") -> LinearFields:
    """Compute the linear field of every neuron: how its response to grey changes with every pixel (and frame).

    It is what reverse correlation with faint noise would find. A neuron that answers to energy (a complex cell) has
    none: look at its tuning instead.

    Parameters
    ----------
    network : Network
        Of images or movies; it is not changed.
    device : str
        See `decortex.models.resolve_device`.

    Returns
    -------
    LinearFields
        Of movies with the core's whole lag: ``n_lags`` = lag + 1.

    References
    ----------
    Chichilnisky, Network: Computation in Neural Systems 12, 2001 (reverse correlation).
    """
    with evaluating(network, device):
        parts = [
            _fields_of(network, name, np.arange(first, min(first + _BATCH, own.stop - own.start)))
            for name, own in network.slices.items()
            for first in range(0, own.stop - own.start, _BATCH)
        ]
    return separate(np.concatenate(parts))


def separate(fields: NDArray[np.float32]) -> LinearFields:
    """Split fields (n_neurons, n_lags, height, width) into space and time by their first singular vectors.

    Examples
    --------
    >>> import numpy as np
    >>> separate(np.ones((1, 3, 4, 4), np.float32)).spatial.shape
    (1, 4, 4)
    """
    n_neurons, n_lags, height, width = fields.shape
    left, values, right = np.linalg.svd(
        fields.reshape(n_neurons, n_lags, -1).astype(np.float64), full_matrices=False
    )
    temporal = left[:, :, 0] * values[:, :1]
    spatial = right[:, 0]
    largest = temporal[np.arange(n_neurons), np.abs(temporal).argmax(axis=1)]
    sign = np.where(largest < 0, -1.0, 1.0)[:, None]
    total = (values**2).sum(axis=1)
    separable = np.divide(values[:, 0] ** 2, total, out=np.full(n_neurons, np.nan), where=total > 0)
    return LinearFields(
        spatial=(spatial * sign).reshape(n_neurons, height, width).astype(np.float32),
        temporal=(temporal * sign).astype(np.float32),
        separable=separable,
    )


def _fields_of(network: Network, session: str, neurons: NDArray[np.int64]) -> NDArray[np.float32]:
    """Fields of some of a session's neurons, (n, n_lags, height, width): one copy of the image for each."""
    _, height, width = network.geometry.image_shape
    n_lags = network.lag + 1
    shape = (len(neurons), n_lags, height, width) if network.is_video else (len(neurons), height, width)
    shown = torch.zeros(shape, device=network.pixel_mean.device, requires_grad=True)
    answers = network(in_pixels(network, shown), session)
    answers = answers[:, -1] if network.is_video else answers
    own = answers[torch.arange(len(neurons)), torch.from_numpy(neurons)].sum()
    (gradient,) = torch.autograd.grad(own, shown)
    found: NDArray[np.float32] = gradient.reshape(len(neurons), n_lags, height, width).cpu().numpy()
    return found
