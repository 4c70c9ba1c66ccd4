"""Readout weights of the networks that were read last, in memory. Reads no table."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


class EmbeddingMemory:
    """Arrays by name; the ones that were asked for least recently go first. Not for several threads at once.

    Parameters
    ----------
    max_bytes : int
        Of all arrays together; one that is larger is read and not kept.

    Examples
    --------
    >>> memory = EmbeddingMemory(max_bytes=80)
    >>> memory.get("a", lambda: np.zeros(2)), memory.get("a", lambda: np.ones(2))
    (array([0., 0.]), array([0., 0.]))
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def get(self, name: str, read: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return a copy of the array of this name, which is read where it is not kept."""
        found = self._kept.pop(name, None)
        if found is None:
            found = read()
        if found.nbytes > self.max_bytes:
            return found
        self._kept[name] = found
        while sum(one.nbytes for one in self._kept.values()) > self.max_bytes:
            self._kept.popitem(last=False)
        return found.copy()
