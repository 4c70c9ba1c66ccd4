"""Nearest neighbours by torch, on a GPU or the CPU: candidates only; `neighbours` orders them by exact distances."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from decortex.clustering.inputs import FloatArray
from decortex.errors import InputError

ENTRIES = 2**27  # distances held at a time
SPARE = 8  # candidates beyond those asked for: products in single precision misplace near ties


def candidates(x: FloatArray, width: int, device: str) -> NDArray[np.int32]:
    """Return for every neuron the others that come nearest by an expanded square, (n_neurons, at most width + 8).

    Parameters
    ----------
    x : ndarray of float64, shape (n_neurons, n_features)
        Neurons around the origin.
    width : int
        Neighbours wanted, fewer than neurons.
    device : str
        A torch device: 'cuda', 'cuda:1', 'cpu'. Products are in single precision on a GPU, in double on the CPU.

    Raises
    ------
    InputError
        If torch has no such device.
    """
    try:
        where = torch.device(device)
        dtype = torch.float64 if where.type == "cpu" else torch.float32
        points = torch.as_tensor(x).to(device=where, dtype=dtype)
    except (RuntimeError, AssertionError) as error:  # torch raises the second where it was built without CUDA
        raise InputError(
            f"device should be one that torch has here ('cpu', 'cuda', 'cuda:1'), but is {device!r}: {error} "
            "Leave device out for scikit-learn's search."
        ) from error
    n, count = len(x), min(width + SPARE, len(x) - 1)
    half_squares = (points**2).sum(dim=1) / 2
    found = np.empty((n, count), dtype=np.int32)
    step = max(1, ENTRIES // n)
    for first in range(0, n, step):
        rows = slice(first, min(first + step, n))
        nearness = points[rows] @ points.T
        nearness -= half_squares  # |x_i|^2 is the same for a whole row
        own = torch.arange(rows.start, rows.stop, device=where)
        nearness[own - first, own] = -torch.inf
        found[rows] = nearness.topk(count, dim=1).indices.cpu().numpy()
    return found
