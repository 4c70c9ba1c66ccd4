"""Registering external labels from a file: everything is checked first, then one row is inserted, or none."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from decortex.errors import ConfigError
from decortex.evaluation.labels import LabelColumns, NeuronLabels, match_labels, read_label_rows
from decortex_schemas.tables import Dataset, dataset_row, insert_label_set

IDENTITIES = ("unit_id", "neuron_idx")


def register_labels(
    dataset: str,
    name: str,
    path: Path,
    columns: LabelColumns,
    *,
    by: str = "unit_id",
    min_confidence: float | None = None,
) -> NeuronLabels:
    """Register the labels in a table as a label set of a dataset; the same again changes nothing.

    Parameters
    ----------
    dataset : str
        A registered dataset.
    name : str
        Of the label set, for example 'cre_line'.
    path : Path
        ``.csv`` or ``.tsv`` with a header line and one row per labelled neuron.
    columns : LabelColumns
        Which columns hold identities, labels, sessions and confidences.
    by : {'unit_id', 'neuron_idx'}
        What the identities are.
    min_confidence : float, optional
        Labels of a smaller confidence are not taken.

    Returns
    -------
    NeuronLabels
        What was matched, with notes on what was not taken.

    Raises
    ------
    InputError
        If the file is no table, or a row of it cannot be matched to one neuron; see `match_labels`.
    ConfigError
        If the dataset is unknown, or the name is taken by other labels.

    Examples
    --------
    >>> register_labels("v1", "cre", Path("cre.csv"), LabelColumns("roi", "line"))  # doctest: +SKIP
    """
    if by not in IDENTITIES:
        raise ConfigError(f"identities are compared with {' or '.join(IDENTITIES)}, not with {by!r}.")
    if min_confidence is not None and not 0 <= min_confidence <= 1:
        raise ConfigError(f"a smallest confidence is a number from 0 to 1, got {min_confidence:g}.")
    dataset_row(dataset)
    path = Path(path)
    rows = read_label_rows(path)
    labels = match_labels(rows, identities(dataset), columns, by=by, min_confidence=min_confidence)
    read: dict[str, Any] = {**asdict(columns), "by": by, "min_confidence": min_confidence}
    insert_label_set(
        dataset,
        name,
        labels,
        source=str(path.resolve()),
        source_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        columns=read,
    )
    return labels


def identities(dataset: str) -> pd.DataFrame:
    """Identities of a dataset's neurons in order: ``neuron_idx``, ``unit_id`` and ``session``."""
    names = ("neuron_idx", "unit_id", "session")
    found = (Dataset.Neuron & {"dataset": dataset}).to_arrays(*names, order_by="neuron_idx")
    return pd.DataFrame({one: np.asarray(values) for one, values in zip(names, found, strict=True)})
