"""AnnData files (.h5ad): neurons with features, columns and views, written and read back without a change."""

from __future__ import annotations

import hashlib
import importlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from decortex.errors import InputError, OperationError

SUFFIX = ".h5ad"
# A sparse matrix is read whole: at most 4 GiB of float64.
_MOST_VALUES = 2**29


@dataclass(frozen=True)
class AnnDataTable:
    """Neurons and their features as an AnnData file holds them.

    Parameters
    ----------
    ids : tuple of str
        Names of the neurons (``obs_names``), each once.
    features : ndarray of float64, shape (n_neurons, n_features)
        What the file holds, undefined values included.
    feature_names : tuple of str
        Names of the features (``var_names``; numbers where the features are no layer of the file).
    columns : DataFrame
        Columns of the neurons (``obs``) in order, indexed by ``ids``; categories are values of their own type again.
    views : dict of str to ndarray
        Arrays of ``obsm``, (n_neurons, ...) each.
    notes : mapping
        The file's ``uns``.
    sha256 : str
        Of the file's bytes.
    """

    ids: tuple[str, ...]
    features: NDArray[np.float64]
    feature_names: tuple[str, ...]
    columns: pd.DataFrame
    views: dict[str, NDArray[Any]] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""


def read_anndata(path: Path, *, layer: str | None = None, view: str | None = None) -> AnnDataTable:
    """Read an AnnData file as a table of neurons.

    Parameters
    ----------
    path : Path
        A ``.h5ad`` file.
    layer : str, optional
        Take the features from this layer, not from ``X``.
    view : str, optional
        Take the features from this array of ``obsm``, for example 'X_pca'.

    Returns
    -------
    AnnDataTable

    Raises
    ------
    InputError
        If there is no such file, it is none, it has no features where they are looked for, or a neuron's name occurs
        twice.
    OperationError
        If the package anndata is not installed.

    Examples
    --------
    >>> table = read_anndata(Path("neurons.h5ad"))  # doctest: +SKIP
    >>> table.features.shape, table.columns["animal"]  # doctest: +SKIP
    """
    anndata = _anndata()
    path = Path(path)
    if path.suffix.lower() != SUFFIX:
        raise InputError(f"an AnnData file ends in {SUFFIX}, got {path.name!r}.")
    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    if layer is not None and view is not None:
        raise InputError("features come from a layer or from obsm, not from both; name one.")
    try:
        data = anndata.read_h5ad(path)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  (of damaged files anndata hands on what h5py and its registry raise)
        raise InputError(
            f"{path} is no AnnData file that can be read ({type(error).__name__}: {error})."
        ) from None
    ids = tuple(str(one) for one in data.obs_names)
    twice = pd.Series(ids)[pd.Series(ids).duplicated()].unique()
    if len(twice):
        raise InputError(
            f"{len(twice)} names of neurons occur twice in {path.name}, for example {twice[0]!r}: make them unique "
            "(obs_names_make_unique) before the file is written."
        )
    features, names = _features(data, path, layer, view)
    columns = pd.DataFrame(
        {str(name): _plain(values) for name, values in data.obs.items()}, index=pd.Index(ids, dtype=object)
    )
    return AnnDataTable(
        ids=ids,
        features=features,
        feature_names=names,
        columns=columns,
        views={str(name): np.asarray(values) for name, values in data.obsm.items()},
        notes=dict(data.uns),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def write_anndata(
    path: Path,
    features: ArrayLike,
    columns: pd.DataFrame,
    *,
    feature_names: Sequence[str],
    views: Mapping[str, NDArray[Any]] | None = None,
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write neurons as an AnnData file; nothing is left of it if that fails.

    Parameters
    ----------
    path : Path
        Must end in ``.h5ad`` and not exist.
    features : array_like of float64, shape (n_neurons, n_features)
        Becomes ``X``.
    columns : DataFrame
        One row per neuron, indexed by their names: becomes ``obs``.
    feature_names : sequence of str, length n_features
        Becomes ``var_names``.
    views : mapping of str to ndarray, optional
        Becomes ``obsm``, (n_neurons, ...) each.
    notes : mapping, optional
        Text, numbers and mappings of such: becomes ``uns``.

    Raises
    ------
    InputError
        If the file exists, shapes do not fit, a name occurs twice or has a slash.
    OperationError
        If the package anndata is not installed, or the file cannot be written.
    """
    anndata = _anndata()
    path = Path(path)
    x = np.asarray(features, dtype=np.float64)
    names = [str(one) for one in columns.index]
    if path.suffix.lower() != SUFFIX:
        raise InputError(f"an AnnData file ends in {SUFFIX}, got {path.name!r}.")
    if path.exists():
        raise InputError(f"{path} exists; name a new file.")
    if x.ndim != 2 or x.shape != (len(names), len(feature_names)):
        raise InputError(
            f"expected (n_neurons, n_features) = {(len(names), len(feature_names))} features, got {x.shape}."
        )
    if len(set(names)) != len(names) or len(set(feature_names)) != len(feature_names):
        raise InputError("a neuron's or a feature's name occurs twice; each is given once.")
    slashed = [str(one) for one in (*columns.columns, *(views or {}), *(notes or {})) if "/" in str(one)]
    if slashed:
        raise InputError(f"names in an AnnData file have no slash, got {slashed[0]!r}.")
    data = anndata.AnnData(
        X=x,
        obs=_as_objects(columns).set_axis(pd.Index(names, dtype=object), axis=0),
        var=pd.DataFrame(index=pd.Index([str(one) for one in feature_names], dtype=object)),
        obsm=dict(views or {}),
        uns=dict(notes or {}),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
            whole = Path(folder) / f"whole{SUFFIX}"
            data.write_h5ad(whole, convert_strings_to_categoricals=False)
            os.replace(whole, path)
    except OSError as error:
        raise OperationError(f"{path} cannot be written ({error}); nothing of it is left.") from error


def _anndata() -> ModuleType:
    try:
        return importlib.import_module("anndata")
    except ImportError:
        raise OperationError(
            "AnnData files need the package anndata: pip install 'decortex[anndata]' (in the project's folder: pip "
            "install -c constraints.txt -e '.[anndata]')."
        ) from None


def _features(
    data: Any, path: Path, layer: str | None, view: str | None
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    source, known, word = data.X, (), "X"
    if layer is not None:
        source, known, word = data.layers.get(layer), tuple(data.layers), f"layer {layer!r}"
    elif view is not None:
        source, known, word = data.obsm.get(view), tuple(data.obsm), f"obsm {view!r}"
    if source is None:
        there = f"; it has {', '.join(map(str, known))}" if known else ""
        raise InputError(f"{path.name} has no {word}{there}.")
    if source.ndim != 2 or not source.shape[1] or int(np.prod(source.shape)) > _MOST_VALUES:
        raise InputError(
            f"{word} of {path.name} has the shape {source.shape}: expected (n_neurons, n_features) with at least one "
            f"feature and at most {_MOST_VALUES} values."
        )
    dense = source.toarray() if hasattr(source, "toarray") else np.asarray(source)
    if dense.dtype.kind not in "fiub":
        raise InputError(f"{word} of {path.name} holds {dense.dtype}, not numbers.")
    names = tuple(str(one) for one in data.var_names)
    if view is not None:
        names = tuple(f"{view} {i + 1}" for i in range(dense.shape[1]))
    return dense.astype(np.float64), names


def _as_objects(columns: pd.DataFrame) -> pd.DataFrame:
    """Text as Python's own: every version of anndata reads it, and not the text type of newer versions of pandas."""
    found = {}
    for name, values in columns.items():
        if isinstance(values.dtype, pd.CategoricalDtype):
            categories = values.cat.categories
            if categories.dtype.kind not in "fiub":
                categories = categories.astype(object)
            plain: Any = pd.Categorical.from_codes(values.cat.codes, categories=categories)
        else:
            plain = values.to_numpy() if values.dtype.kind in "fiub" else values.to_numpy(dtype=object)
        found[name] = pd.Series(
            plain, index=columns.index, dtype=None if hasattr(plain, "categories") else plain.dtype
        )
    return pd.DataFrame(found, index=columns.index)


def _plain(values: pd.Series[Any]) -> NDArray[Any]:
    """A column as its own values: categories are text or numbers again, missing ones NaN."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        kind = values.cat.categories.dtype
        # numbers that are missing in places have no type of their own but among objects
        values = values.astype(kind if kind.kind == "f" or not values.isna().any() else object)
    if values.dtype.kind in "fiub":
        return values.to_numpy()
    return values.to_numpy(dtype=object)
