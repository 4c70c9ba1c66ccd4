"""Metadata of a FileTreeDataset session: tiers and neurons. No trials are opened; image ids are in `image_ids`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decortex.data.npy import NUMBERS, TEXT, read_array
from decortex.data.recordings import TIERS
from decortex.errors import DatasetError

# What people write for a tier; a word that is none of these and no tier keeps its trials out.
_MEANT = {
    **dict.fromkeys(("val", "valid", "validate", "validating", "dev", "development"), "validation"),
    **dict.fromkeys(("training", "trn", "tr"), "train"),
    **dict.fromkeys(("testing", "tst", "te"), "test"),
    **{tier: tier for tier in TIERS},
}
UNKNOWN = "unknown"


def read_tiers(root: Path, n_trials: int) -> NDArray[np.str_]:
    """Read the tier of every trial; words other than train, validation and test are kept and not used.

    Raises
    ------
    DatasetError
        If the file is missing or does not fit, or holds other spellings of a tier ('val', 'Train').
    """
    path = root / "meta" / "trials" / "tiers.npy"
    if not path.exists():
        raise DatasetError(
            f"{root} has no tiers: meta/trials/tiers.npy is missing. It should hold one word a trial:"
            " train, validation or test (any other word keeps the trial out)."
        )
    words = text(column(path, n_trials, "trial"), path)
    meant = {word: _MEANT.get(word.strip().casefold(), word) for word in dict.fromkeys(words.tolist())}
    other = {word: tier for word, tier in meant.items() if tier in TIERS and word != tier}
    if other:
        found = ", ".join(f"{word!r} ({int((words == word).sum())} trials)" for word in other)
        raise DatasetError(
            f"{path} should say train, validation or test, but says {found}: such trials would be left out without a"
            f" word. Write {', '.join(f'{tier!r} for {word!r}' for word, tier in other.items())} (or 'none', to leave"
            " trials out)."
        )
    return words


def read_neurons(root: Path) -> pd.DataFrame:
    """Read the neuron table of a session: ``session, unit_id, animal, scan, area``; ``x, y, z`` if known.

    Only ``unit_ids`` is required. Missing animal and area become 'unknown', a missing scan 0.
    """
    folder = root / "meta" / "neurons"
    units = folder / "unit_ids.npy"
    if not units.exists():
        raise DatasetError(
            f"{root} has no neuron identities: meta/neurons/unit_ids.npy is missing. It should hold one"
            " integer per neuron, in the order of the response files."
        )
    unit_ids = integers(read_array(units), units)
    if unit_ids.ndim != 1 or len(unit_ids) == 0:
        raise DatasetError(f"{units} should hold one integer per neuron, but has shape {unit_ids.shape}.")
    n_neurons = len(unit_ids)
    table = pd.DataFrame({"session": root.name, "unit_id": unit_ids})
    for kind, name in (("animal", "animal_ids"), ("scan", "scan_idx"), ("area", "area")):
        path = folder / f"{name}.npy"
        if not path.exists():
            table[kind] = 0 if kind == "scan" else UNKNOWN
        elif kind == "scan":
            table[kind] = integers(column(path, n_neurons, "neuron"), path)
        else:
            words = np.char.strip(text(column(path, n_neurons, "neuron"), path))
            table[kind] = np.where(words == "", UNKNOWN, words)
    twice = table.duplicated(["animal", "scan", "unit_id"])
    if twice.any():
        first = table[twice].iloc[0]
        raise DatasetError(
            f"{root}: neurons should differ in (animal, scan, unit id), but unit {first.unit_id} of scan"
            f" {first.scan} occurs twice. Give each session a folder of its own, or correct unit_ids.npy."
        )
    positions = folder / "cell_motor_coordinates.npy"
    if positions.exists():
        micrometres = read_array(positions)
        if micrometres.shape != (n_neurons, 3) or micrometres.dtype.kind not in NUMBERS:
            raise DatasetError(
                f"{positions} should be numbers of shape ({n_neurons}, 3), x, y and z in micrometres, but is"
                f" {micrometres.dtype} {micrometres.shape}."
            )
        table[["x", "y", "z"]] = micrometres.astype(np.float64)
    return table


def read_truth(root: Path, n_neurons: int) -> NDArray[np.int64] | None:
    """Read the known functional type of every neuron, which only simulated sessions have."""
    path = root / "meta" / "neurons" / "functional_type.npy"
    return integers(column(path, n_neurons, "neuron"), path) if path.exists() else None


def column(path: Path, n_rows: int, row: str) -> NDArray[np.generic]:
    """Read a file with one value for each row; `row` is what messages call one."""
    values = read_array(path)
    if values.shape != (n_rows,):
        raise DatasetError(
            f"{path} should hold one value per {row}, shape ({n_rows},), but has shape {values.shape}."
        )
    return values


def integers(values: NDArray[np.generic], path: Path) -> NDArray[np.int64]:
    """Turn numbers that are whole into integers; others are refused."""
    numbers = values.dtype.kind in NUMBERS
    wrong = values[~np.isfinite(values)] if numbers else values
    if not numbers or wrong.size:
        like = f" with values like {wrong.flat[0].item()!r}" if wrong.size else ""
        raise DatasetError(f"{path} should hold integers, but holds {values.dtype}{like}.")
    whole = values.astype(np.int64)
    if not np.array_equal(whole, values):
        raise DatasetError(f"{path} should hold integers, but some values have a fraction or are too large.")
    return whole


def text(values: NDArray[np.generic], path: Path) -> NDArray[np.str_]:
    """Turn words, bytes or whole numbers into words; other values are refused."""
    if values.dtype.kind == "S":
        try:
            return np.char.decode(values.astype(np.bytes_), "utf-8")
        except UnicodeDecodeError as error:
            raise DatasetError(
                f"{path} should hold words in UTF-8, but holds bytes that are none ({error}). Decode them where they"
                " were written: np.char.decode(words, 'latin-1')."
            ) from None
    if values.dtype.kind == "f":  # 26872.0 is the animal 26872
        values = integers(values, path)
    if values.dtype.kind not in TEXT + NUMBERS:
        raise DatasetError(f"{path} should hold words or integers, but holds {values.dtype}.")
    return values.astype(np.str_)


def content_id(raw: bytes) -> int:
    """Return the identity of what was shown: the first 63 bits of the sha256 of its bytes."""
    return int.from_bytes(hashlib.sha256(raw).digest()[:8], "big") >> 1
