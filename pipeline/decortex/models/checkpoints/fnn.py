"""The two files per scan of fnn, the digital twin of MICrONS: a core, and readouts with the identities of units.

cajal/foundation exports ``params_core.pt`` (keys ``core.*``), ``params_<session>_<scan>.pt`` (the rest of each scan's
network) and ``units.csv`` (session, scan_idx, unit_id, readout_id). Features are ``readout.feature.weights.<stream>``,
(U, R, C), or (U, R, G, C / G) beside gains (U, R, G), which are standardised first (fnn.model.features, 614d33e).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from decortex.data.tables import read_text_table
from decortex.errors import CheckpointError, InputError
from decortex.models.checkpoints.load import load_tensors
from decortex.models.checkpoints.read import CheckpointReadout
from decortex.models.checkpoints.state_dicts import flattened, refuse_unusable

_SCAN = re.compile(r"^params_(?P<session>\d+)_(?P<scan>\d+)\.pt$")
_WEIGHTS = re.compile(r"^(?P<stem>(?:.*\.)?readout\.feature\.)weights\.(?P<stream>\d{1,4})$")
_UNIT_COLUMNS = ("session", "scan_idx", "unit_id", "readout_id")
# Added to the variance before fnn divides by its root.
_EPSILON = 1e-5


@dataclass(frozen=True)
class FnnReadout:
    """Readouts of all scans of a folder, and which unit each row is.

    Parameters
    ----------
    readout : CheckpointReadout
        Sessions are called '<session>-<scan>'; rows are in the order of the files (``readout_id``).
    units : DataFrame
        Columns ``session, scan_idx, unit_id, readout_id``, a row per row of the embedding: what joins a cluster to a
        unit's root id.
    """

    readout: CheckpointReadout
    units: pd.DataFrame


def read_fnn(folder: str | Path) -> FnnReadout:
    """Read the features of all units of a folder that cajal/foundation exported.

    Parameters
    ----------
    folder : str or Path
        With ``units.csv`` and ``params_<session>_<scan>.pt``; ``params_core.pt`` is not needed for features.

    Returns
    -------
    FnnReadout
        A unit's features are those of all streams and readouts, one after another.

    Raises
    ------
    CheckpointError
        If a file is missing, units and rows do not belong together, or features are not finite.
    """
    folder = Path(folder)
    scans = sorted(
        ((int(m["session"]), int(m["scan"])), path)
        for path in folder.glob("params_*.pt")
        if (m := _SCAN.match(path.name))
    )
    if not scans or not (folder / "units.csv").is_file():
        raise CheckpointError(
            f"{folder} should hold units.csv and params_<session>_<scan>.pt, but it holds"
            f" {', '.join(sorted(path.name for path in folder.glob('*'))[:8]) or 'nothing'}."
        )
    if len(dict(scans)) < len(scans):
        named = [path.name for _, path in scans]
        raise CheckpointError(f"{folder} holds two files of one scan among {named[:8]}. Leave one of them.")
    table = _units(folder / "units.csv")
    digest = hashlib.sha256((folder / "units.csv").read_bytes())
    features, units = [], []
    for (session, scan), path in scans:
        content = load_tensors(path)
        digest.update(path.read_bytes())
        tensors = {".".join((*holder, key)): one for (holder, key), one in flattened(content).items()}
        rows = _features(tensors, path)
        own = _ids(table[(table["session"] == session) & (table["scan_idx"] == scan)], folder / "units.csv")
        if own["readout_id"].tolist() != list(range(len(rows))):
            raise CheckpointError(
                f"{path.name} holds {len(rows)} units, but units.csv names {len(own)} of session {session}, scan"
                f" {scan}: readout_id should count them from 0. Take units.csv and parameters of one export."
            )
        twice = own["unit_id"][own["unit_id"].duplicated()]
        if len(twice):
            raise CheckpointError(
                f"units.csv names unit {twice.iloc[0]} twice in session {session}, scan {scan}: unit_id should tell"
                " units apart. Export it again."
            )
        features.append(rows)
        units.append(own[list(_UNIT_COLUMNS)])
    widths = {rows.shape[1] for rows in features}
    if len(widths) > 1:
        raise CheckpointError(
            f"scans of {folder} have {sorted(widths)} features per unit: they do not read one core."
        )
    if not sum(map(len, features)) or not min(widths):
        raise CheckpointError(f"the scans of {folder} hold no units, or no features. Export them again.")
    names = [f"{session}-{scan}" for (session, scan), _ in scans]
    counts = [len(rows) for rows in features]
    readout = CheckpointReadout(
        kind="fnn",
        sessions=tuple(names),
        embedding=torch.cat(features).numpy(),
        session=np.repeat(np.array(names), counts),
        index=np.concatenate([np.arange(n, dtype=np.int64) for n in counts]),
        positions=None,  # the map from mu to the movie (a bound) is not among the tensors
        cortical=None,
        sha256=digest.hexdigest(),
        is_video=True,
    )
    return FnnReadout(readout, pd.concat(units, ignore_index=True))


def _units(path: Path) -> pd.DataFrame:
    """The four columns that say which unit a row is; whole numbers."""
    try:
        table = read_text_table(path)
    except InputError as error:
        raise CheckpointError(f"the units cannot be read: {error}") from error
    missing = [name for name in _UNIT_COLUMNS if name not in table]
    if missing:
        raise CheckpointError(f"{path} lacks the columns {missing}; it needs {list(_UNIT_COLUMNS)}.")
    scans = {name: pd.to_numeric(table[name], errors="coerce") for name in _UNIT_COLUMNS[:2]}
    for name, numbers in scans.items():
        wrong = np.flatnonzero(numbers.isna())
        if len(wrong):
            raise CheckpointError(
                f"{path} holds {table[name].iloc[wrong[0]]!r} under {name!r} in row {wrong[0] + 1}; expected a whole"
                " number."
            )
    return table.assign(**scans)


def _ids(own: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Units of one scan in the order of its rows, ids as whole numbers."""
    ids = {}
    for name in _UNIT_COLUMNS:
        texts = own[name].astype(str).str.strip()
        wrong = np.flatnonzero(~texts.str.fullmatch(r"[+-]?[0-9]{1,18}(\.0*)?"))
        if len(wrong):
            raise CheckpointError(
                f"{path} holds {texts.iloc[wrong[0]]!r} under {name!r} in row {own.index[wrong[0]] + 1}; expected a"
                " whole number."
            )
        ids[name] = np.array([int(text.partition(".")[0]) for text in texts], dtype=np.int64)
    return own.assign(**ids).sort_values("readout_id")


def save_readout(readout: CheckpointReadout, path: Path) -> None:
    """Write features as a state dict that `read_checkpoint` reads and `decortex register model` registers.

    Parameters
    ----------
    readout : CheckpointReadout
        Of one or several sessions.
    path : Path
        File to create.

    Raises
    ------
    CheckpointError
        If the file exists.
    """
    if path.exists():
        raise CheckpointError(f"{path} exists; choose another name or remove it.")
    state = {
        f"readout.{name}.features": torch.from_numpy(
            readout.embedding[readout.session == name].T[None, :, None]
        )
        for name in readout.sessions
    }
    torch.save(state, path)


def _features(state: dict[str, Tensor], path: Path) -> Tensor:
    """Features of one scan's units, (U, streams * R * C)."""
    matches = [match for key in state if (match := _WEIGHTS.match(key))]
    stems = list(dict.fromkeys(match["stem"] for match in matches))
    if not stems:
        raise CheckpointError(
            f"{path} holds no readout.feature.weights.<stream>: it has {list(state)[:4]}. It should be the file of a"
            " scan, not params_core.pt."
        )
    if len(stems) > 1:
        raise CheckpointError(
            f"{path} holds features of {len(stems)} networks, {stems[:4]}; expected those of one. Which one was"
            " trained, the file does not tell: save that one alone."
        )
    streams = {int(match["stream"]): match[0] for match in matches}
    if sorted(streams) != list(range(len(matches))):
        raise CheckpointError(
            f"{path} holds features of the streams {sorted(int(match['stream']) for match in matches)}; expected each"
            " once, counted from 0. Export the scan again."
        )
    found: list[Tensor] = []
    for stream in range(len(streams)):
        key = streams[stream]
        gains_key = f"{stems[0]}gains.{stream}"
        weights = _real_numbers(state[key], f"{key} of {path}")
        gains = _real_numbers(state[gains_key], f"{gains_key} of {path}") if gains_key in state else None
        if weights.ndim != (3 if gains is None else 4):
            raise CheckpointError(
                f"{key} of {path} has shape {tuple(weights.shape)}: features are (U, R, C), or (U, R, G, C / G) beside"
                " gains (U, R, G)."
            )
        if found and len(weights) != len(found[0]):
            raise CheckpointError(
                f"{key} of {path} has {len(weights)} units, the stream before {len(found[0])}. Export the scan again."
            )
        if gains is not None and gains.shape != weights.shape[:3]:
            raise CheckpointError(
                f"{gains_key} of {path} has shape {tuple(gains.shape)}; weights {tuple(weights.shape)} go with"
                f" {tuple(weights.shape[:3])}. Export the scan again."
            )
        if gains is not None:
            variance, mean = torch.var_mean(weights, dim=3, unbiased=False, keepdim=True)
            n_inputs = weights.shape[2] * weights.shape[3]
            weights = (weights - mean) * (variance * n_inputs + _EPSILON).pow(-0.5) * gains[..., None]
        found.append(weights.flatten(1).float())
    rows = torch.cat(found, dim=1)
    broken = int((~torch.isfinite(rows).all(dim=1)).sum())
    if broken:
        raise CheckpointError(f"the features of {broken} of {len(rows)} units in {path} are NaN or infinite.")
    return rows


def _real_numbers(tensor: Tensor, what: str) -> Tensor:
    """Numbers in double precision, without what training kept beside them."""
    refuse_unusable(tensor, what, advice="Export the scan again.")
    return tensor.detach().double()
