"""Maps of cores that stay as they are, kept from one run to the next. What is trained on them is elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from decortex.data import Trials
from decortex.least_recently_used import LeastRecentlyUsed
from decortex.models.network import Network


@dataclass(frozen=True)
class _Kept:
    """Maps and the images that they were computed from: while these live, nothing else has their identity."""

    maps: Tensor
    images: tuple[Trials, ...]

    @property
    def n_bytes(self) -> int:
        return self.maps.numel() * self.maps.element_size()


class MapMemory:
    """Feature maps by core and images; the ones that were asked for least recently go first.

    A readout is trained on many times over one core: a fine-tuning for every number of clusters and variant, the
    control, networks of a null. Their maps are the same. The images are told apart by identity: they must not
    change while the memory lives.

    Parameters
    ----------
    max_bytes : int
        Maps that need more are computed and not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: LeastRecentlyUsed[_Kept] = LeastRecentlyUsed(max_bytes, size=lambda one: one.n_bytes)

    @property
    def n_bytes(self) -> int:
        """Bytes of all maps that are kept."""
        return self._kept.n_bytes

    def recall(
        self,
        network: Network,
        images: Sequence[Trials],
        trials: Sequence[NDArray[np.int64]],
        compute: Callable[[], Tensor],
    ) -> Tensor:
        """Maps of these images, from memory where they are.

        Parameters
        ----------
        network : Network
            Whose core makes them.
        images : sequence of Trials
            One for each session.
        trials : sequence of ndarray of int64
            Which trials of each.
        compute : callable
            Returns the maps, (n_trials over all sessions, n_features, rows, columns), on the CPU.

        Returns
        -------
        Tensor
            Shared: read it, do not write to it.
        """
        key = (_core_digest(network), _trials_digest(trials), tuple(id(one) for one in images))
        return self._kept.recall(key, lambda: _Kept(compute(), tuple(images))).maps


def _core_digest(network: Network) -> str:
    """Everything that maps depend on beside the images."""
    digest = hashlib.sha256(repr((network.config, network.geometry.image_shape)).encode())
    values = {**network.core.state_dict(), "mean": network.pixel_mean, "std": network.pixel_std}
    for name, value in values.items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _trials_digest(trials: Sequence[NDArray[np.int64]]) -> str:
    digest = hashlib.sha256()
    for one in trials:
        digest.update(len(one).to_bytes(8, "little") + np.ascontiguousarray(one).tobytes())
    return digest.hexdigest()
