"""What lies beside weights in a torch file, read without running anything: numbers of numpy, paths, namespaces."""

from __future__ import annotations

import math
from collections.abc import MutableMapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Types of arrays that become tensors.
_TYPES = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1"})


class Unread:
    """Stands for a value that says nothing of a network; whatever the file says of it is left out."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take what the class that is named in the file would take."""

    def __setstate__(self, _: Any) -> None:
        """Take what it was, and keep nothing."""


class NumpyType(Unread):
    """A numpy dtype by its name and byte order."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        self.name, self.order = str(name), "="

    def __setstate__(self, state: Any) -> None:
        """Take the byte order."""
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = str(state[1])


class NumpyArray(Unread):
    """An array's bytes, type and shape, as numpy pickles them."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        """Take (version, shape, type, Fortran order, bytes)."""
        self.state = state

    def tensor(self) -> Tensor | None:
        """Return the array as a tensor; None if it is no plain array of real numbers that its bytes fill."""
        if not (isinstance(self.state, tuple) and len(self.state) == 5):
            return None
        _, shape, kind, fortran, raw = self.state
        if not (isinstance(kind, NumpyType) and kind.name in _TYPES and isinstance(raw, (bytes, bytearray))):
            return None
        dtype = np.dtype(kind.name).newbyteorder(">" if kind.order == ">" else "<")
        sides = isinstance(shape, tuple) and all(isinstance(side, int) and side >= 0 for side in shape)
        if not sides or math.prod(shape) * dtype.itemsize != len(raw):
            return None
        array = np.frombuffer(raw, dtype=dtype).reshape(shape, order="F" if fortran else "C")
        return torch.from_numpy(np.array(array, dtype=dtype.newbyteorder("="), order="C"))


# Names that a file may use, and what is made in their place. None of them is looked up, imported or called.
READ_AS: dict[str, type[Unread]] = {
    "numpy.dtype": NumpyType,
    "numpy.ndarray": Unread,
    **{
        f"numpy.{core}.multiarray.{name}": made
        for core in ("core", "_core")
        for name, made in (("scalar", Unread), ("_reconstruct", NumpyArray))
    },
    **dict.fromkeys(("argparse.Namespace", "types.SimpleNamespace"), Unread),
    **{
        f"{module}.{kind}Path": Unread
        for module in ("pathlib", "pathlib._local")
        for kind in ("Posix", "Windows", "PurePosix", "PureWindows")
    },
}


def with_tensors(content: Any) -> Any:
    """Put tensors in place of numpy's arrays, in nested dicts and lists; these are changed."""
    _put_tensors(content, set())
    found = content.tensor() if isinstance(content, NumpyArray) else None
    return content if found is None else found


def _put_tensors(content: Any, seen: set[int]) -> None:
    if id(content) in seen or not isinstance(content, (MutableMapping, list)):
        return
    seen.add(id(content))
    for key, value in list(content.items() if isinstance(content, MutableMapping) else enumerate(content)):
        if isinstance(value, NumpyArray):
            tensor = value.tensor()
            if tensor is not None:
                content[key] = tensor
        else:
            _put_tensors(value, seen)
