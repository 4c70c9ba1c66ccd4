"""Values that are kept while they fit into so many bytes. Knows nothing of what they are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class LeastRecentlyUsed(Generic[V]):
    """Values by key; the ones that were asked for least recently go first. Not for several threads at once.

    Parameters
    ----------
    max_bytes : int
        Of all values together; one that needs more is computed and not kept.
    size : callable
        Bytes of a value.

    Examples
    --------
    >>> kept = LeastRecentlyUsed(max_bytes=2, size=len)
    >>> kept.recall("a", lambda: b"x"), kept.recall("a", lambda: b"y")
    (b'x', b'x')
    """

    def __init__(self, max_bytes: int, *, size: Callable[[V], int]) -> None:
        self.max_bytes, self._size = max_bytes, size
        self._kept: OrderedDict[Hashable, V] = OrderedDict()

    @property
    def n_bytes(self) -> int:
        """Bytes of all values that are kept."""
        return sum(map(self._size, self._kept.values()))

    def recall(self, key: Hashable, compute: Callable[[], V]) -> V:
        """Return the value of this key, computed where it is not kept; shared: read it, do not write to it."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        value = compute()
        if self._size(value) <= self.max_bytes:
            while self.n_bytes + self._size(value) > self.max_bytes:
                self._kept.popitem(last=False)
            self._kept[key] = value
        return value
