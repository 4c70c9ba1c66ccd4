"""Fields of a table as numbers, scores and words; a field that is none of what it should be is named."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decortex.data.tables.text import missing
from decortex.errors import InputError

_WHOLE = re.compile(r"[+-]?\d+\.0*")
# Numbers that are written as no computer reads them, and what to do about it.
_WRITTEN = (
    (
        re.compile(r"[+-]?[\d.]*(,\d+)+(\.\d*)?(e[+-]?\d+)?", re.I),
        "a comma: save it with decimal points, and nothing between thousands",
    ),
    (re.compile(r"[+-]?[\d.]+ ?%"), "a percent sign: write the share as a number"),
    (re.compile(r"[\u2212\u2013][\d.]+"), "a dash for a minus sign: write '-'"),
    (re.compile(r"true|false", re.I), "a word for yes or no: write 1 and 0"),
    (re.compile(r"\d{4}-\d\d?-\d\d?.*|\d\d?[./]\d\d?[./]\d{2,4}.*"), "a date: leave the column out (ignore)"),
)


def numbers_of(
    column: pd.Series[Any], name: str, ids: NDArray[np.str_], *, score: bool = False
) -> NDArray[np.float64]:
    """Read a column as numbers, NaN where a field is missing.

    Parameters
    ----------
    column : Series
        Numbers of any kind, or text.
    name : str
        Of the column.
    ids : ndarray of str, shape (n_neurons,)
        For messages.
    score : bool
        Whether the column is a score, which may be missing.

    Returns
    -------
    ndarray of float64, shape (n_neurons,)

    Raises
    ------
    InputError
        If a field is no number: the first one is named, with what it looks like.
    """
    if column.dtype.kind in "biuf":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = np.full(len(column), np.nan)
    doubtful = np.arange(len(column))
    if pd.api.types.infer_dtype(column, skipna=False) == "string":  # most tables: all of it at once
        numbers = np.array(pd.to_numeric(column, errors="coerce"), dtype=np.float64)
        doubtful = np.flatnonzero(np.isnan(numbers))
    words = column.iloc[doubtful].map(word_of)
    blank = missing(words)
    numbers[doubtful] = pd.to_numeric(words.where(~blank, "nan"), errors="coerce").to_numpy(np.float64)
    wrong = np.flatnonzero(np.isnan(numbers[doubtful]) & ~blank)
    if len(wrong):
        row, word = int(doubtful[wrong[0]]), str(words.iloc[wrong[0]])
        like = next((f" It has {what}." for form, what in _WRITTEN if form.fullmatch(word)), "")
        todo = (
            " Leave the fields empty where the score is not defined."
            if score
            else " Name it as a label, animal or session, or leave it out (ignore)."
        )
        raise InputError(
            f"column {name!r} should hold numbers, but holds {word!r} in row {row + 1} (id {str(ids[row])!r}) and text"
            f" in {len(wrong)} of {len(column)} rows.{like or todo}"
        )
    return numbers


def scores_of(column: pd.Series[Any], name: str, ids: NDArray[np.str_]) -> NDArray[np.float64]:
    """Read a column as scores: finite numbers, NaN where undefined.

    Raises
    ------
    InputError
        As `numbers_of`, or if one is infinite.
    """
    scores = numbers_of(column, name, ids, score=True)
    infinite = np.flatnonzero(np.isinf(scores))
    if len(infinite):
        raise InputError(
            f"scores should be finite, or missing where they are undefined, but {len(infinite)} of {len(scores)} in"
            f" column {name!r} are infinite (first: id {str(ids[infinite[0]])!r}). Leave these fields empty."
        )
    return scores


def word_of(value: object) -> str:
    """Read a field as text without the blanks around it; '' where it is missing."""
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, (float, np.floating)):
        if np.isnan(value):
            return ""
        # whole numbers that pandas stores as floats because some are missing are whole again
        return str(int(value)) if np.isfinite(value) and value == int(value) else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace").strip()
    return str(value).strip()


def same_number(word: str) -> str:
    """An id as it is compared with others: a whole number that was written as a float ('1.0') is that number.

    Examples
    --------
    >>> same_number("12.0"), same_number("012"), same_number("1.5"), same_number("a.0")
    ('12', '012', '1.5', 'a.0')
    """
    return word.partition(".")[0] if _WHOLE.fullmatch(word) else word
