"""AnnData files (.h5ad) read by h5py: features, and what is known of every neuron."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from decortex.errors import InputError, OperationError

Matrix = tuple[NDArray[np.float64], list[str]]


def read_h5ad(path: Path) -> tuple[pd.DataFrame, Matrix]:
    """Read `obs`, and `X` with its names, of an AnnData file, dense or sparse.

    Raises
    ------
    InputError
        If it is no such file.
    OperationError
        If h5py is not installed.
    """
    try:
        import h5py  # noqa: PLC0415  (an extra)
    except ImportError:
        raise OperationError("reading h5ad needs h5py: pip install 'decortex[video]'.") from None
    try:
        with h5py.File(path, "r") as file:
            return _obs(file["obs"]), (_x(file), _index(file["var"]))
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} is no AnnData file with X, obs and var ({error}).") from None


def _x(file: Any) -> NDArray[np.float64]:
    x = file["X"]
    if not hasattr(x, "keys"):
        return np.asarray(x, dtype=np.float64)
    kind = sparse.csr_array if x.attrs["encoding-type"] == "csr_matrix" else sparse.csc_array
    values, indices, starts = (np.asarray(x[name]) for name in ("data", "indices", "indptr"))
    dense: NDArray[np.float64] = kind((values, indices, starts), shape=tuple(x.attrs["shape"])).toarray()
    return dense.astype(np.float64)


def _index(group: Any) -> list[str]:
    return [str(one) for one in group[group.attrs["_index"]].asstr()[:]]


def _obs(group: Any) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for name in group.attrs["column-order"]:
        column = group[name]
        if hasattr(column, "keys"):  # categorical
            categories = column["categories"]
            words = (
                categories.asstr()[:] if categories.dtype.kind == "O" else np.asarray(categories).astype(str)
            )
            codes = np.asarray(column["codes"])
            columns[str(name)] = np.where(codes < 0, "", np.asarray(words, dtype=object)[codes])
        else:
            columns[str(name)] = column.asstr()[:] if column.dtype.kind == "O" else np.asarray(column)
    return pd.DataFrame(columns, index=_index(group))
