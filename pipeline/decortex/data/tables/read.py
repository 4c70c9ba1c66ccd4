"""A neuron x feature table of a user's own (csv, tsv, npy, parquet, h5ad) as arrays; every doubt is an error."""

from __future__ import annotations

import difflib
import hashlib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decortex.arrays import real_array
from decortex.data.anndata_file import read_anndata
from decortex.data.npy import read_array
from decortex.data.tables.cells import numbers_of, same_number, scores_of, word_of
from decortex.data.tables.names import names_of
from decortex.data.tables.text import (
    check_features_named,
    check_labels,
    check_named_once,
    missing,
    read_text_table,
)
from decortex.errors import InputError, OperationError

Matrix = tuple[NDArray[np.float64], Sequence[str]]
SUFFIXES = (".csv", ".tsv", ".npy", ".parquet", ".h5ad")
WIDE = 5.0  # features per neuron above which a table is taken for one with neurons as columns


@dataclass(frozen=True)
class TableColumns:
    """Which columns of a table hold what; all others are features.

    Parameters
    ----------
    ids : str, optional
        Identity of each neuron. Needed for csv, tsv and parquet; of h5ad the index of `obs`; of npy the row number.
    animal, session : str, optional
        Animal and session of each neuron.
    scores : tuple of str
        Numbers that are asked about and not clustered; empty where undefined. One name may be given as it is, here and
        below.
    labels : tuple of str
        External labels (a type, a Cre line); empty where unknown. Never clustered.
    ignore : tuple of str
        Columns that are left out.

    Raises
    ------
    InputError
        If scores, labels or ignore hold something else than names.

    Examples
    --------
    >>> TableColumns(ids="cell", labels="Cre line").labels
    ('Cre line',)
    """

    ids: str | None = None
    animal: str | None = None
    session: str | None = None
    scores: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Take one name for a tuple of one."""
        for several in ("scores", "labels", "ignore"):
            object.__setattr__(self, several, names_of(getattr(self, several), several))

    def named(self) -> list[str]:
        """Every column that is no feature."""
        single = [one for one in (self.ids, self.animal, self.session) if one is not None]
        return [*single, *self.scores, *self.labels, *self.ignore]


@dataclass(frozen=True)
class NeuronTable:
    """One row per neuron.

    Parameters
    ----------
    features : ndarray of float64, shape (n_neurons, n_features)
        Finite.
    feature_names : tuple of str
        Their columns.
    ids : ndarray of str, shape (n_neurons,)
        Unique, within sessions where there are sessions.
    animals, sessions : ndarray of str, shape (n_neurons,), or None
        None: the table does not tell.
    scores : mapping of str to ndarray of float64, shape (n_neurons,)
        NaN where undefined.
    labels : mapping of str to ndarray of str, shape (n_neurons,)
        '' where unknown.
    sha256 : str
        Of the file's bytes.
    """

    features: NDArray[np.float64]
    feature_names: tuple[str, ...]
    ids: NDArray[np.str_]
    animals: NDArray[np.str_] | None
    sessions: NDArray[np.str_] | None
    scores: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    labels: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    sha256: str = ""

    def __len__(self) -> int:
        """Return the number of neurons."""
        return len(self.features)


def read_table(path: str | Path, columns: TableColumns | None = None, *, wide: bool = False) -> NeuronTable:
    """Read a table of neurons and features.

    Parameters
    ----------
    path : str or Path
        ``.csv``, ``.tsv`` or ``.parquet`` with one row per neuron; ``.npy`` of shape (n_neurons, n_features); ``.h5ad``
        whose `X` are the features and whose `obs` holds all other columns.
    columns : TableColumns, optional
        Which columns are no features.
    wide : bool
        Accept more than five features per neuron.

    Returns
    -------
    NeuronTable

    Raises
    ------
    InputError
        If the file or a column is missing, the table is empty, holds one neuron or equal ones alone, lies on its side,
        lacks ids or has them twice, or holds text or nothing where a number is expected, or a label per neuron. Nothing
        is repaired or dropped silently.
    OperationError
        If the package that reads this format is not installed.

    Examples
    --------
    >>> read_table("cells.csv", TableColumns(ids="cell", animal="donor"))  # doctest: +SKIP
    """
    path, columns = Path(path), columns or TableColumns()
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path.name!r} is none of the tables that are read: {', '.join(SUFFIXES)}.")
    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    frame, features = _READERS[suffix](path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return _table(frame, features, columns, path, digest, wide=wide)


def _text(path: Path) -> tuple[pd.DataFrame, None]:
    return read_text_table(path), None


def _parquet(path: Path) -> tuple[pd.DataFrame, None]:
    try:
        importlib.import_module("pyarrow")  # an extra
        parquet = importlib.import_module("pyarrow.parquet")
        check_named_once(parquet.read_schema(path).names, path)
        parquet.read_table(path).validate(full=True)  # text is decoded when it is asked for, and not before
        frame = pd.read_parquet(path)
    except ImportError:
        raise OperationError("reading parquet needs pyarrow: pip install 'decortex[parquet]'.") from None
    except (InputError, MemoryError):
        raise
    except NotImplementedError as error:
        raise InputError(
            f"{path} is packed in a way that this pyarrow does not read ({error}). Write it again."
        ) from None
    except Exception as error:  # noqa: BLE001  (of damaged files pyarrow hands on whatever its metadata makes fail)
        raise InputError(
            f"{path} is no parquet file, or damaged ({type(error).__name__}: {error}). Copy it again."
        ) from None
    check_named_once(frame.columns, path)
    for level, name in enumerate(frame.index.names):  # set_index('cell') before it was written
        if name is not None and name not in frame.columns:
            frame.insert(level, name, frame.index.get_level_values(level))
    return frame.rename(columns=str), None


def _npy(path: Path) -> tuple[pd.DataFrame, Matrix]:
    values = np.asarray(read_array(path))
    if values.ndim != 2:
        raise InputError(f"{path} should have shape (n_neurons, n_features), but has {values.shape}.")
    if values.dtype.kind not in "biuf":
        raise InputError(f"{path} should hold real numbers, but holds {values.dtype}.")
    return pd.DataFrame(index=range(len(values))), (
        values.astype(np.float64),
        [f"feature {i}" for i in range(values.shape[1])],
    )


def _h5ad(path: Path) -> tuple[pd.DataFrame, Matrix]:
    found = read_anndata(path)
    return found.columns, (found.features, found.feature_names)


def _table(
    frame: pd.DataFrame,
    features: Matrix | None,
    columns: TableColumns,
    path: Path,
    digest: str,
    *,
    wide: bool,
) -> NeuronTable:
    _check_names(frame, features, columns, path)
    if features is None:
        names = [str(name) for name in frame.columns if name not in columns.named()]
        _check_shape(len(frame), len(names), path, wide=wide)
        check_features_named(names, path)
        ids = _ids(frame, columns, path)
        values = np.column_stack([numbers_of(frame[name], name, ids) for name in names])
    else:
        values, names = features[0], list(features[1])
        _check_shape(values.shape[0], values.shape[1], path, wide=wide)
        ids = _ids(frame, columns, path)
    _check_finite(values, names, ids)
    if (values == values[0]).all():
        raise InputError(
            f"the {len(values)} neurons of {path} all have the same features: nothing to cluster."
        )
    labels = {name: _words(frame, name, ids, needed=False) for name in columns.labels}
    for name, words in labels.items():
        check_labels(words, name)
    return NeuronTable(
        features=np.ascontiguousarray(values, dtype=np.float64),
        feature_names=tuple(names),
        ids=ids,
        animals=None if columns.animal is None else _words(frame, columns.animal, ids, needed=True),
        sessions=None if columns.session is None else _words(frame, columns.session, ids, needed=True),
        scores={name: scores_of(frame[name], name, ids) for name in columns.scores},
        labels=labels,
        sha256=digest,
    )


_READERS: Mapping[str, Any] = {
    ".csv": _text,
    ".tsv": _text,
    ".parquet": _parquet,
    ".npy": _npy,
    ".h5ad": _h5ad,
}


def _check_names(frame: pd.DataFrame, features: Matrix | None, columns: TableColumns, path: Path) -> None:
    there = [str(name) for name in frame.columns]
    twice = sorted({name for name in columns.named() if columns.named().count(name) > 1})
    if twice:
        raise InputError(f"column {twice[0]!r} is named for two purposes; a column has one.")
    for name in columns.named():
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            have = f"its columns are {_some(there)}" if there else "it has no columns but features"
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(f"{path} has no column {name!r}; {have}.{meant}")
    if features is None and columns.ids is None:
        raise InputError(
            f"say which column of {path} holds the neurons' ids; its columns are {_some(there)}."
        )


def _check_shape(n_neurons: int, n_features: int, path: Path, *, wide: bool) -> None:
    if n_neurons == 0:
        raise InputError(f"{path} holds no neuron: expected one row per neuron below the header line.")
    if n_features == 0:
        raise InputError(f"{path} holds no feature: every column is an id, animal, session, score or label.")
    if n_neurons == 1:
        raise InputError(f"{path} holds one neuron: there is nothing to cluster.")
    if not wide and n_features > WIDE * n_neurons:
        raise InputError(
            f"{path} has {n_neurons} rows and {n_features} features: expected one row per neuron, this looks like one"
            " column per neuron. Transpose it, or say that it is meant so (--wide, or wide=True)."
        )


def _ids(frame: pd.DataFrame, columns: TableColumns, path: Path) -> NDArray[np.str_]:
    given = frame.index if columns.ids is None else frame[columns.ids]
    ids = np.array([word_of(one) for one in given], dtype=str)
    without = np.flatnonzero(missing(ids))
    if len(without):
        raise InputError(
            f"{len(without)} of {len(ids)} rows of {path} have no id in column {columns.ids!r} (first: row"
            f" {without[0] + 1}). Every neuron needs one."
        )
    keys = pd.Series([same_number(one) for one in ids])  # '1' and '1.0' are one id
    if columns.session is not None:
        keys = frame[columns.session].map(word_of).reset_index(drop=True) + "\x1f" + keys
    twice = keys[keys.duplicated()]
    if len(twice):
        within = "" if columns.session is None else " within a session"
        hint = (
            "" if columns.session else " If ids count anew in every session, name the column of the sessions."
        )
        raise InputError(
            f"{len(twice)} ids of {path} occur twice{within} (first: {twice.iloc[0].split(chr(31))[-1]!r}); an id is"
            f" one neuron.{hint}"
        )
    return ids


def _words(frame: pd.DataFrame, name: str, ids: NDArray[np.str_], *, needed: bool) -> NDArray[np.str_]:
    words = np.array([word_of(one) for one in frame[name]], dtype=str)
    words[missing(words)] = ""
    without = np.flatnonzero(words == "")
    if needed and len(without):
        raise InputError(
            f"{len(without)} of {len(words)} neurons have nothing in column {name!r} (first: id"
            f" {str(ids[without[0]])!r}); every neuron has one, or leave the column out."
        )
    return words


def _check_finite(values: NDArray[np.float64], names: Sequence[str], ids: NDArray[np.str_]) -> None:
    wrong = ~np.isfinite(values)
    if wrong.any():
        row, column = (int(one[0]) for one in np.nonzero(wrong))
        n_rows, n_columns = int(wrong.any(axis=1).sum()), int(wrong.any(axis=0).sum())
        raise InputError(
            f"{int(wrong.sum())} values of {n_rows} neurons in {n_columns} features are missing or not finite (first:"
            f" id {str(ids[row])!r}, column {names[column]!r}). Leave these neurons or columns out, or fill the"
            " values in; nothing is filled in silently."
        )


def _some(words: Sequence[str], n: int = 8) -> str:
    more = f" and {len(words) - n} more" if len(words) > n else ""
    return ", ".join(repr(word) for word in words[:n]) + more


def neuron_table(
    x: Any,
    *,
    ids: Any = None,
    animals: Any = None,
    sessions: Any = None,
    scores: Mapping[str, Any] | None = None,
    labels: Mapping[str, Any] | None = None,
) -> NeuronTable:
    """Arrays of a notebook as a table, with the same checks.

    Parameters
    ----------
    x : array_like of float, shape (n_neurons, n_features)
        Features.
    ids, animals, sessions : array_like, shape (n_neurons,), optional
        Default ids: row numbers.
    scores, labels : mapping of str to array_like, shape (n_neurons,), optional
        Scores are NaN, labels '' (or missing) where unknown.

    Raises
    ------
    InputError
        As `read_table`.
    """
    values = real_array(x, "features", kinds="biuf")
    if values.ndim != 2:
        raise InputError(
            f"features are real numbers of shape (n_neurons, n_features), got {values.dtype} {values.shape}."
        )
    for what, given in (("scores", scores), ("labels", labels)):
        if given is not None and not isinstance(given, Mapping):
            raise InputError(
                f"{what} of arrays are a dict of arrays by name, but are a {type(given).__name__}."
            )
    parts = {"ids": ids, "animals": animals, "sessions": sessions, **(scores or {}), **(labels or {})}
    for name, part in parts.items():
        if part is not None and np.shape(part) != (len(values),):
            raise InputError(
                f"{name} should hold one value for each of {len(values)} neurons, got {np.shape(part)}."
            )
    frame = pd.DataFrame({name: np.asarray(part) for name, part in parts.items() if part is not None})
    frame.index = pd.RangeIndex(len(values)) if not len(frame.columns) else frame.index
    columns = TableColumns(
        ids=None if ids is None else "ids",
        animal=None if animals is None else "animals",
        session=None if sessions is None else "sessions",
        scores=tuple(scores or ()),
        labels=tuple(labels or ()),
    )
    names = [f"feature {i}" for i in range(values.shape[1])]
    head = f"{values.dtype.str}{values.shape}".encode()
    digest = hashlib.sha256(head + np.ascontiguousarray(values).tobytes())
    return _table(
        frame, (values.astype(np.float64), names), columns, Path("the array"), digest.hexdigest(), wide=True
    )
