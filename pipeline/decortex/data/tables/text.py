"""Tables of text (csv, tsv) as the text that they are; a file whose rows do not fit its header is refused."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decortex.errors import InputError

SEPARATORS = {".csv": ",", ".tsv": "\t"}
_SEPARATOR_WORDS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars", " ": "blanks"}
_LOOKED_AT = 6  # lines that are looked at for another separator
# Fields that say "no value", beside the empty one: how pandas, R and spreadsheets write it, in any case of letters.
MISSING_WORDS = ("NA", "N/A", "NaN", "NaT", "None", "null", "<NA>", "#N/A", "#NA", "#N/A N/A")
_MISSING = frozenset(("", *(word.casefold() for word in MISSING_WORDS)))
# Names that stand where a column has none: pandas' own, read back or not, and that of an index in parquet.
_UNNAMED = re.compile(r"(|Unnamed: \d+(\.\d+)?|__index_level_\d+__)")
_COUNTS = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")
_SHOWN = 8
# How pandas reads what is separated otherwise.
_PANDAS = {";": "sep=';', decimal=','", "|": "sep='|'", " ": r"sep='\s+'"}


def missing(words: Iterable[object]) -> NDArray[np.bool_]:
    """Say which fields are no value: empty ones and `MISSING_WORDS`.

    Examples
    --------
    >>> missing(["Sst", "", "n/a", "-"]).tolist()
    [False, True, True, False]
    """
    return np.array([str(word).strip().casefold() in _MISSING for word in words], dtype=np.bool_)


def read_text_table(path: Path) -> pd.DataFrame:
    """Read a table of text with a header line; every field stays the text that it is.

    Parameters
    ----------
    path : Path
        ``.tsv`` (tabs), else commas; UTF-8 with or without a byte order mark.

    Returns
    -------
    DataFrame
        Columns by their names, without the blanks around them; one without a name is called as pandas calls it
        (``Unnamed: 0``), and left out where it is empty throughout (a comma at the end of every line).

    Raises
    ------
    InputError
        If the file is empty, no text in UTF-8, separated by something else, names a column twice, or a row has more
        fields than the header (then values would stand under the wrong names).
    """
    separator = SEPARATORS.get(path.suffix.lower(), ",")
    try:
        rows = pd.read_csv(
            path,
            sep=separator,
            header=None,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            index_col=False,
        )
    except pd.errors.EmptyDataError:
        raise InputError(f"{path} is empty: expected a header line and one row per neuron.") from None
    except pd.errors.ParserError as error:
        raise InputError(_misfit(path, separator, str(error).strip())) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no table of text in UTF-8 ({_encoding(path, error)}).") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    if b"\0" in path.read_bytes():
        raise InputError(
            f"{path} holds NUL characters, behind which the rest of a field is lost: it is damaged, or UTF-16 without"
            " its mark. Save it as CSV UTF-8."
        )
    header = [str(name).strip() for name in rows.iloc[0]]
    if len(header) == 1:
        _check_separator(path, separator, header[0])
    other = _other_separator(path, separator)
    if other is not None:
        raise InputError(_separated(path, separator, other))
    table = rows.iloc[1:].reset_index(drop=True)
    table.columns = pd.Index([name or f"Unnamed: {place}" for place, name in enumerate(header)])
    check_named_once(table.columns, path)
    table = table.fillna("")  # a field that its row does not have
    empty = [
        name for place, name in enumerate(table.columns) if not header[place] and missing(table[name]).all()
    ]
    return table.drop(columns=empty)


def check_named_once(names: Iterable[object], path: Path) -> None:
    """Refuse a table that names a column twice: which of the two is meant, nobody can tell.

    Raises
    ------
    InputError
        Naming the column.
    """
    known = [str(name) for name in names]
    twice = [name for name in dict.fromkeys(known) if known.count(name) > 1]
    if twice:
        places = " and ".join(str(place + 1) for place, name in enumerate(known) if name == twice[0])
        raise InputError(
            f"{path} names {len(twice)} columns more than once in its header (first: {twice[0]!r}, in columns"
            f" {places}). Give every column a name of its own."
        )


def check_features_named(names: Sequence[str], path: Path) -> None:
    """Refuse features without a name: most often the row numbers that pandas wrote beside the table.

    Raises
    ------
    InputError
        Naming them and what to do.

    Examples
    --------
    >>> from pathlib import Path
    >>> check_features_named(["depth", "width"], Path("cells.csv"))
    """
    unnamed = [name for name in names if _UNNAMED.fullmatch(name.strip())]
    if unnamed:
        raise InputError(
            f"{len(unnamed)} columns of {path} have no name (first: {unnamed[0]!r}) and would be clustered as features:"
            " row numbers, as pandas writes them beside a table? Leave them out (--ignore"
            f" {unnamed[0]!r}, or ignore=({unnamed[0]!r},)), write the table without them (index=False), or name them."
        )


def _check_separator(path: Path, separator: str, header: str) -> None:
    for other in _SEPARATOR_WORDS:
        if other != separator and other in header:
            raise InputError(_separated(path, separator, other))


def _other_separator(path: Path, separator: str) -> str | None:
    """What separates a file's fields, where it is not what its name says: as often in every line, and oftener."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = [line for line in itertools.islice(file, _LOOKED_AT) if line.strip()]
    for other in set(_SEPARATOR_WORDS) - {separator, " "}:
        counts = [line.count(other) for line in lines]
        if len(lines) > 1 and len(set(counts)) == 1 and counts[0] > lines[0].count(separator):
            return other
    return None


def _separated(path: Path, separator: str, other: str) -> str:
    words = _SEPARATOR_WORDS
    if other in SEPARATORS.values():
        suffix = next(suffix for suffix, one in SEPARATORS.items() if one == other)
        todo = f"Call it {path.stem}{suffix}."
    else:
        todo = (
            f"Save it again with commas and decimal points: pd.read_csv(file, {_PANDAS[other]})"
            ".to_csv('cells.csv', index=False)."
        )
    return (
        f"{path} is separated by {words[other]}, but a {path.suffix} is read as separated by {words[separator]}."
        f" {todo}"
    )


def _misfit(path: Path, separator: str, message: str) -> str:
    counts = _COUNTS.search(message)
    if counts is None:
        return f"{path} is no table of text in UTF-8 ({message})."
    expected, line, seen = counts.groups()
    other = _other_separator(path, separator)
    if other is not None:
        return _separated(path, separator, other)
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = file.readline().strip()
    return (
        f"{path} is no table of text: line {line} has {seen} fields, its header {expected}"
        f" ({first[:60]!r}), so that values would stand under the wrong names. R's write.table gives row names no name"
        " (use col.names=NA, or write.csv); else remove what stands above the header or behind the last field."
    )


def _encoding(path: Path, error: UnicodeDecodeError) -> str:
    with path.open("rb") as file:
        begin = file.read(2)
    if begin in (b"\xff\xfe", b"\xfe\xff"):
        return "it is UTF-16, as spreadsheets write 'Unicode text': save it as CSV UTF-8"
    if begin == b"\x1f\x8b":
        return "it is compressed by gzip: gunzip it first"
    if begin == b"PK":
        return "it is a zip archive or a spreadsheet: export the sheet as CSV UTF-8"
    return f"{str(error).strip()}; save it as CSV UTF-8"


def check_labels(words: NDArray[np.str_], name: str) -> None:
    """Refuse a column of labels that tells every labelled neuron from every other.

    Parameters
    ----------
    words : ndarray of str, shape (n_neurons,)
        '' where unknown.
    name : str
        Of the column.

    Raises
    ------
    InputError
        If more than two neurons have a label, and each one of its own.
    """
    given = words[words != ""]
    if 2 < len(given) == len(np.unique(given)):
        raise InputError(
            f"each of the {len(given)} labelled neurons has a label of its own in column {name!r} (first:"
            f" {str(given[0])!r}): nothing can be compared with it. If it is the column of ids, name it so, or leave it"
            " out (ignore)."
        )
