"""Metadata of a FileTreeDataset session: tiers, image ids, neurons. No trials are opened."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decortex.data.npy import NUMBERS, TEXT, read_array
from decortex.data.recordings import Trials
from decortex.errors import DatasetError

IMAGE_ID_FILES = ("frame_image_id", "colorframeprojector_image_id", "image_id", "condition_hash")
IMAGE_CLASS_FILES = ("frame_image_class", "colorframeprojector_image_class", "image_class")
UNKNOWN = "unknown"


def read_tiers(root: Path, n_trials: int) -> NDArray[np.str_]:
    """Read the tier of every trial; words other than train, validation and test are kept and not used."""
    path = root / "meta" / "trials" / "tiers.npy"
    if not path.exists():
        raise DatasetError(
            f"{root} has no tiers: meta/trials/tiers.npy is missing. It should hold one word a trial:"
            " train, validation or test (any other word keeps the trial out)."
        )
    return _text(_column(path, n_trials, "trial"), path)


def read_image_ids(root: Path, images: Trials) -> NDArray[np.int64]:
    """Read which image every trial showed; trials with equal id are repeats.

    The first of `IMAGE_ID_FILES` that exists is taken. Ids that are words, or that belong to several image
    classes (`IMAGE_CLASS_FILES`), become the first 63 bits of a sha256. Without any such file the images
    themselves are hashed, which reads all of them once.
    """
    trials = root / "meta" / "trials"
    path = _first(trials, IMAGE_ID_FILES)
    if path is None:
        return np.array(
            [content_id(images.read(np.array([trial])).tobytes()) for trial in range(len(images))],
            dtype=np.int64,
        )
    ids = _column(path, len(images), "trial")
    class_path = _first(trials, IMAGE_CLASS_FILES)
    classes: Sequence[str] = (
        [] if class_path is None else _text(_column(class_path, len(images), "trial"), class_path).tolist()
    )
    if ids.dtype.kind in NUMBERS:
        numbers = _integers(ids, path)
        if len(set(classes)) <= 1:
            return numbers
        ids = numbers
    words = _text(ids, path)
    prefixes = classes if len(set(classes)) > 1 else [""] * len(words)
    return np.array(
        [content_id(f"{prefix}\x1f{word}".encode()) for prefix, word in zip(prefixes, words, strict=True)],
        dtype=np.int64,
    )


def read_neurons(root: Path) -> pd.DataFrame:
    """Read the neuron table of a session: ``session, unit_id, animal, scan, area``; ``x, y, z`` if known.

    Only ``unit_ids`` is required. Missing animal and area become 'unknown', a missing scan 0.
    """
    folder = root / "meta" / "neurons"
    units = folder / "unit_ids.npy"
    if not units.exists():
        raise DatasetError(
            f"{root} has no neuron identities: meta/neurons/unit_ids.npy is missing. It should hold one"
            " integer a neuron, in the order of the response files."
        )
    unit_ids = _integers(read_array(units), units)
    if unit_ids.ndim != 1 or len(unit_ids) == 0:
        raise DatasetError(f"{units} should hold one integer a neuron, but has shape {unit_ids.shape}.")
    n_neurons = len(unit_ids)
    table = pd.DataFrame({"session": root.name, "unit_id": unit_ids})
    for column, name in (("animal", "animal_ids"), ("scan", "scan_idx"), ("area", "area")):
        path = folder / f"{name}.npy"
        if not path.exists():
            table[column] = 0 if column == "scan" else UNKNOWN
        elif column == "scan":
            table[column] = _integers(_column(path, n_neurons, "neuron"), path)
        else:
            table[column] = _text(_column(path, n_neurons, "neuron"), path)
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
    return _integers(_column(path, n_neurons, "neuron"), path) if path.exists() else None


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / f"{name}.npy" for name in names if (folder / f"{name}.npy").exists()), None)


def _column(path: Path, n_rows: int, row: str) -> NDArray[np.generic]:
    values = read_array(path)
    if values.shape != (n_rows,):
        raise DatasetError(
            f"{path} should hold one value a {row}, shape ({n_rows},), but has shape {values.shape}."
        )
    return values


def _integers(values: NDArray[np.generic], path: Path) -> NDArray[np.int64]:
    if values.dtype.kind not in NUMBERS or not np.isfinite(values).all():
        raise DatasetError(
            f"{path} should hold integers, but holds {values.dtype} with values like {values.flat[0].item()!r}."
        )
    whole = values.astype(np.int64)
    if not np.array_equal(whole, values):
        raise DatasetError(f"{path} should hold integers, but some values have a fraction or are too large.")
    return whole


def _text(values: NDArray[np.generic], path: Path) -> NDArray[np.str_]:
    if values.dtype.kind == "S":
        return np.char.decode(values.astype(np.bytes_), "utf-8")
    if values.dtype.kind == "f":  # 26872.0 is the animal 26872
        values = _integers(values, path)
    if values.dtype.kind not in TEXT + NUMBERS:
        raise DatasetError(f"{path} should hold words or integers, but holds {values.dtype}.")
    return values.astype(np.str_)


def content_id(raw: bytes) -> int:
    """Return the identity of what was shown: the first 63 bits of the sha256 of its bytes."""
    return int.from_bytes(hashlib.sha256(raw).digest()[:8], "big") >> 1
