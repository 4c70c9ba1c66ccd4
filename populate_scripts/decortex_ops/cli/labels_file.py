"""Files of a partition that somebody made elsewhere: features of neurons, and a table with a label per neuron."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decortex.data import read_array, read_npz
from decortex.data.tables import check_features_named
from decortex.errors import InputError
from decortex.evaluation.labels import LabelColumns, NeuronLabels, match_labels, read_label_rows
from decortex.verbs import embed

LABEL, ANIMAL = "label", "animal"
# Columns that say which neuron a row is, not what it is.
IDENTITY = ("neuron_idx", "session", "animal", "scan", "unit_id")
FEATURES = "X"


@dataclass(frozen=True)
class Labels:
    """A table of labels as it was read, every value as text.

    Parameters
    ----------
    path : Path
    table : DataFrame
        One row per neuron.
    column : str
        The one that holds the labels; an empty field, or NA, is no group.
    """

    path: Path
    table: pd.DataFrame
    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Heading of the file."""
        return tuple(map(str, self.table))

    def animals(self, column: str | None) -> NDArray[np.str_] | None:
        """Animal of every row, by the column named, else by `animal` where there is one.

        Raises
        ------
        InputError
            If there is no such column, or a row names no animal.
        """
        if column is None and ANIMAL not in self.table:
            return None
        name = column or ANIMAL
        if name not in self.table:
            raise InputError(
                f"{self.path} has no column {name!r} for the animals; it has {', '.join(self.columns)}."
            )
        found = _texts(self.table[name])
        blank = np.flatnonzero(found == "")
        if len(blank):
            raise InputError(
                f"{self.path}: {len(blank)} neurons have no {name} (first in line {blank[0] + 2}); name one for every"
                " neuron, or drop the column to hold out neurons instead of animals."
            )
        return found


def read_features(path: Path, kind: str) -> NDArray[np.float64]:
    """Features of neurons, embedded.

    Parameters
    ----------
    path : Path
        `.npy`: an array (n_neurons, n_features); `.npz`: the same as `X`; `.csv`: a heading and numbers, one row per
        neuron; anything else: a checkpoint of ours or of another project.
    kind : str
        'raw' (as they are), 'l2', 'zscore', 'whiten'.

    Returns
    -------
    ndarray of float64, shape (n_neurons, n_features)

    Raises
    ------
    InputError
        If the file does not hold such features, or neurons cannot be embedded.
    """
    if path.suffix == ".npy":
        return embed(read_array(path), kind=kind)
    if path.suffix == ".npz":
        arrays = dict(read_npz(path))
        if FEATURES not in arrays:
            raise InputError(f"{path} should hold the features as {FEATURES}, but holds {', '.join(arrays)}.")
        return embed(arrays[FEATURES], kind=kind)
    if path.suffix == ".csv":
        table = read_label_rows(path)
        check_features_named([str(name) for name in table], path)
        try:
            return embed(table.astype(float).to_numpy(), kind=kind)
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{path} should hold numbers only, one row per neuron under a heading: {error}. Labels go into the"
                " other file."
            ) from None
    return embed(path, kind=kind)


def read_labels(path: Path, column: str | None) -> Labels:
    """Read a table of labels.

    Parameters
    ----------
    path : Path
        `.csv` or `.tsv` with a heading.
    column : str, optional
        Which column holds the labels; left out: `label`, or the only one that names no neuron.

    Raises
    ------
    InputError
        If the file is no such table, or it is not clear which column is meant.
    """
    table = read_label_rows(path)
    if table.empty:
        raise InputError(f"{path} should have one row per neuron under its heading, but has none.")
    heading = [str(name) for name in table]
    if column is None:
        others = [name for name in heading if name not in IDENTITY]
        column = LABEL if LABEL in heading or len(others) != 1 else others[0]
    if column not in heading:
        raise InputError(
            f"{path} should have a column {column!r} with the group of every neuron, but has {', '.join(heading)}; name"
            " the one that is meant with --label."
        )
    return Labels(path, table, column)


def match(labels: Labels, neurons: dict[str, NDArray[Any]]) -> tuple[NDArray[np.str_], tuple[str, ...]]:
    """Labels in the order of a dataset's neurons; empty for those that the table does not have.

    Parameters
    ----------
    labels : Labels
        With `neuron_idx`, or with `unit_id` and, where that is not enough, `session`.
    neurons : dict of ndarray
        Columns of the dataset's neurons (`queries.neurons`).

    Returns
    -------
    ndarray of str, shape (n_neurons,), and tuple of str
        The labels, and what the user should know of those that were not taken.

    Raises
    ------
    InputError
        If the table names neurons that the dataset does not have, one twice, or too vaguely (`match_labels`).
    """
    by = "neuron_idx" if "neuron_idx" in labels.columns else "unit_id"
    if by not in labels.columns:
        raise InputError(
            f"{labels.path} should say whose label a row is: a column neuron_idx, or unit_id with session; it has"
            f" {', '.join(labels.columns)}."
        )
    session = "session" if by == "unit_id" and "session" in labels.columns else None
    known = pd.DataFrame({name: neurons[name] for name in (by, "session")})
    return _named(match_labels(labels.table, known, LabelColumns(by, labels.column, session), by=by))


def in_order(labels: Labels) -> tuple[NDArray[np.str_], tuple[str, ...]]:
    """Labels of a table whose row i is neuron i; the same rules of what is no label as in `match`."""
    places = np.arange(len(labels.table)).astype(str)
    rows = pd.DataFrame({"neuron_idx": places, "label": labels.table[labels.column]})
    known = pd.DataFrame({"neuron_idx": places, "session": ""})
    return _named(match_labels(rows, known, LabelColumns("neuron_idx", "label"), by="neuron_idx"))


def _named(found: NeuronLabels) -> tuple[NDArray[np.str_], tuple[str, ...]]:
    names = np.array([*found.classes, ""], dtype=np.str_)
    return names[found.values], found.notes


def _texts(column: pd.Series[Any]) -> NDArray[np.str_]:
    return np.array([str(value).strip() for value in column], dtype=np.str_)
