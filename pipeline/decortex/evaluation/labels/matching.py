"""External labels from a table, matched to a dataset's neurons by their identity; every doubt is an error."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decortex.data.tables import SEPARATORS, missing, read_text_table
from decortex.errors import InputError
from decortex.labels import NOT_ASSIGNED

_SHOWN = 5
_LONGEST_CLASS = 128


@dataclass(frozen=True)
class LabelColumns:
    """Which columns of a table hold what.

    Parameters
    ----------
    id : str
        Column of the neurons' identities.
    label : str
        Column of the classes; an empty field is a neuron without a label.
    session : str, optional
        Column of the sessions; needed where the same identity occurs in several sessions.
    confidence : str, optional
        Column of confidences, 0 to 1.
    """

    id: str
    label: str
    session: str | None = None
    confidence: str | None = None


@dataclass(frozen=True)
class NeuronLabels:
    """Labels of a dataset's neurons.

    Parameters
    ----------
    classes : tuple of str
        Names of the classes, sorted; at least two.
    values : ndarray of int16, shape (n_neurons,)
        Class of each neuron as a position in ``classes``; -1: no label.
    confidence : ndarray of float64, shape (n_neurons,), or None
        0 to 1; NaN where a neuron has none. None: the table has no such column.
    notes : tuple of str
        What the user should know: labels that were not taken, and why.
    """

    classes: tuple[str, ...]
    values: NDArray[np.int16]
    confidence: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_labelled(self) -> int:
        """Neurons that have a label."""
        return int(np.count_nonzero(self.values != NOT_ASSIGNED))


def read_label_rows(path: Path) -> pd.DataFrame:
    """Read a table of text, one row per neuron; every field stays the text that it is.

    Parameters
    ----------
    path : Path
        ``.csv`` or ``.tsv`` with a header line.

    Raises
    ------
    InputError
        If there is no such file, its name ends otherwise, or it is no table in UTF-8 (`read_text_table`).
    """
    path = Path(path)
    if path.suffix.lower() not in SEPARATORS:
        raise InputError(
            f"labels are read from {' or '.join(SEPARATORS)} with a header line, got {path.name!r}; export the sheet "
            "as comma-separated text."
        )
    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    return read_text_table(path)


def match_labels(
    rows: pd.DataFrame,
    neurons: pd.DataFrame,
    columns: LabelColumns,
    *,
    by: str = "unit_id",
    min_confidence: float | None = None,
) -> NeuronLabels:
    """Match the rows of a table to neurons.

    Parameters
    ----------
    rows : DataFrame
        Text, one row per neuron, as `read_label_rows` reads it. Neurons without a row have no label.
    neurons : DataFrame
        The dataset's neurons in order, with columns ``by`` and ``session``.
    columns : LabelColumns
        Names of the columns of ``rows``.
    by : str
        Column of ``neurons`` that the identities are compared with.
    min_confidence : float, optional
        A label of a smaller confidence, or of none, is not taken.

    Returns
    -------
    NeuronLabels

    Raises
    ------
    InputError
        If a column is missing, an identity is unknown, ambiguous or given twice, a confidence is no number from 0 to
        1, or fewer than two classes are left.

    Examples
    --------
    >>> rows = pd.DataFrame({"id": ["3", "1"], "type": ["Pvalb", "Sst"]})
    >>> neurons = pd.DataFrame({"unit_id": [1, 2, 3], "session": ["a", "a", "a"]})
    >>> match_labels(rows, neurons, LabelColumns("id", "type")).values
    array([ 1, -1,  0], dtype=int16)
    """
    _check_columns(rows, columns)
    if min_confidence is not None and columns.confidence is None:
        raise InputError("a smallest confidence needs the column of confidences: name it.")
    if not len(rows):
        raise InputError("the table has a header but no rows: expected one row per labelled neuron.")
    where = _positions(rows, neurons, columns, by)
    labels = rows[columns.label].str.strip().to_numpy(dtype=object)
    notes = []
    blank = (labels != "") & missing(labels)
    if blank.any():
        words = ", ".join(sorted({str(one) for one in labels[blank]}))
        notes.append(
            f"{int(blank.sum())} neurons with {words} in {columns.label!r} are taken to have no label."
        )
    given = (labels != "") & ~blank
    confidence, values = None, np.full(len(neurons), NOT_ASSIGNED, dtype=np.int16)
    if columns.confidence is not None:
        confidence = np.full(len(neurons), np.nan)
        confidence[where] = _confidences(rows, columns.confidence)
        if min_confidence is not None:
            doubtful = given & ~(confidence[where] >= min_confidence)
            notes += [
                f"{int(doubtful.sum())} labels of a confidence below {min_confidence:g} are not taken."
            ] * bool(doubtful.any())
            given &= ~doubtful
    classes = _classes([str(one) for one in labels[given]], columns.label)
    index = {name: i for i, name in enumerate(classes)}
    values[where[given]] = [index[str(one)] for one in labels[given]]
    return NeuronLabels(classes, values, confidence, tuple(notes))


def _check_columns(rows: pd.DataFrame, columns: LabelColumns) -> None:
    wanted = [
        one for one in (columns.id, columns.label, columns.session, columns.confidence) if one is not None
    ]
    absent = [one for one in wanted if one not in rows.columns]
    if absent:
        raise InputError(
            f"the table has no column {_some(absent)}; its columns are {_some(list(map(str, rows.columns)), 20)}."
        )
    if len(set(wanted)) != len(wanted):
        raise InputError(f"the columns {wanted} are to be different ones; one is named twice.")


def _positions(
    rows: pd.DataFrame, neurons: pd.DataFrame, columns: LabelColumns, by: str
) -> NDArray[np.int64]:
    """Position among the neurons of every row."""
    known: dict[tuple[str, ...], list[int]] = {}
    in_session = columns.session is not None
    for i, (identity, session) in enumerate(zip(neurons[by], neurons["session"], strict=True)):
        known.setdefault(_key(identity, session if in_session else None), []).append(i)
    sessions = [None] * len(rows) if columns.session is None else list(rows[columns.session])
    keys = [_key(identity, session) for identity, session in zip(rows[columns.id], sessions, strict=True)]
    empty = [str(i + 2) for i, key in enumerate(keys) if not key[-1]]
    if empty:
        raise InputError(f"line {_some(empty)} of the table has no identity in column {columns.id!r}.")
    said = [" ".join(key) for key in keys]
    unknown = [text for text, key in zip(said, keys, strict=True) if key not in known]
    if unknown:
        which = f"session and {by}" if in_session else by
        example = _some([" ".join(key) for key in list(known)[:_SHOWN]], _SHOWN)
        raise InputError(
            f"{len(unknown)} of {len(rows)} identities are no neurons of this dataset: {_some(unknown)}. Column "
            f"{columns.id!r} is compared with the neurons' {which}, such as {example}."
        )
    several = [text for text, key in zip(said, keys, strict=True) if len(known[key]) > 1]
    if several:
        raise InputError(
            f"{len(several)} identities occur in several sessions of this dataset: {_some(several)}. Name the column "
            "that says the session, or compare with neuron_idx."
        )
    twice = [text for text, n in Counter(said).items() if n > 1]
    if twice:
        raise InputError(f"{len(twice)} neurons have several rows: {_some(twice)}. Leave one row per neuron.")
    return np.array([known[key][0] for key in keys], dtype=np.int64)


def _key(identity: object, session: object) -> tuple[str, ...]:
    """Identity as text; whole numbers that a spreadsheet wrote with decimals are whole again."""
    text = re.sub(r"^(-?\d+)\.0+$", r"\1", str(identity).strip())
    return (text,) if session is None else (str(session).strip(), text)


def _confidences(rows: pd.DataFrame, column: str) -> NDArray[np.float64]:
    text = rows[column].str.strip()
    text = text.where(~missing(text), "")
    values = pd.to_numeric(text.replace("", "nan"), errors="coerce").to_numpy(dtype=np.float64)
    wrong = (np.isnan(values) & (text != "").to_numpy()) | (values < 0) | (values > 1)
    if wrong.any():
        shown = [f"{text.iloc[i]!r} on line {i + 2}" for i in np.flatnonzero(wrong)]
        raise InputError(f"confidences are numbers from 0 to 1 or empty, got {_some(shown)} in {column!r}.")
    return values


def _classes(labels: Sequence[str], column: str) -> tuple[str, ...]:
    if not labels:
        raise InputError(
            f"no neuron has a label: every field of column {column!r} is empty or was not taken."
        )
    classes = tuple(sorted(set(labels)))
    if len(classes) == 1:
        raise InputError(
            f"all {len(labels)} labels are {classes[0]!r}: nothing can be compared with one class. Register labels of "
            "at least two, for example with the neurons that are known to be something else."
        )
    if len(classes) == len(labels) > 2:
        raise InputError(
            f"each of the {len(labels)} labelled neurons has a class of its own ({_some(classes)}): is {column!r} the "
            "column of labels, and not of identities?"
        )
    long = [name for name in classes if len(name) > _LONGEST_CLASS]
    if long:
        raise InputError(f"a class has at most {_LONGEST_CLASS} characters, got {long[0][:40]!r}...")
    return classes


def _some(words: Sequence[str], n: int = _SHOWN) -> str:
    return ", ".join(words[:n]) + (f" and {len(words) - n} more" if len(words) > n else "")
