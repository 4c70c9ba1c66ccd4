"""Which device torch computes on, and arrays there. No algorithm here."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decortex.clustering.inputs import FloatArray
from decortex.errors import InputError


def torch_device(device: str | None) -> torch.device:
    """Return the device of this name; of None the first GPU, and the CPU where torch sees none.

    Raises
    ------
    InputError
        If torch has no such device, or the device has no double precision.
    """
    name = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        where = torch.device(name)
        torch.zeros(1, dtype=torch.float64, device=where)
    except (
        RuntimeError,
        AssertionError,
        TypeError,
    ) as error:  # without CUDA torch raises the second, of MPS the third
        raise InputError(
            f"device should be one that torch has here and that computes in double precision ('cpu', 'cuda', 'cuda:1'),"
            f" but is {name!r}: {error}"
        ) from error
    return where


class Held:
    """Arrays on a device, sent there once however often they are asked for.

    Parameters
    ----------
    where : torch.device
        The device.
    """

    def __init__(self, where: torch.device) -> None:
        self.where = where
        self._held: list[tuple[FloatArray, Tensor]] = []

    def __call__(self, array: FloatArray) -> Tensor:
        """Return the array there, in double precision; the last few are kept."""
        for known, tensor in self._held:
            if known is array:
                return tensor
        tensor = self.sent(array)
        self._held = [*self._held[-2:], (array, tensor)]
        return tensor

    def sent(self, array: NDArray[np.float64]) -> Tensor:
        """Return the array there without keeping it."""
        return torch.as_tensor(np.ascontiguousarray(array)).to(self.where)


def numpy_of(tensor: Tensor) -> FloatArray:
    """Return a tensor's values as an array."""
    values: FloatArray = tensor.cpu().numpy()
    return values
