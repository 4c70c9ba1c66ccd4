"""Registering recordings as datasets: checked whole, then all rows are inserted, or none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datajoint.storage import encode_pk_value

from decortex import data
from decortex.data import simulation as simulated
from decortex.errors import DatasetError, InputError
from decortex.models import checkpoints
from decortex_schemas.database import AREA, LONGEST_PART, check_store_path, schema
from decortex_schemas.tables.datasets.datasets import Dataset
from decortex_schemas.tables.datasets.fitting_rows import insert_fitting


def register_simulation(name: str, config: simulated.SimulationConfig, seed: int) -> None:
    """Register a simulated cortex; its parameters and seed are the row, its arrays are regenerated."""
    recordings = simulated.simulate(config, seed)
    row = {
        "kind": "simulated",
        "simulation": config.resolved(),
        "simulation_seed": seed,
        "species": "simulated",
    }
    _register(name, recordings, row)


def register_simulated_video(name: str, config: simulated.VideoSimulationConfig, seed: int) -> None:
    """Register a simulated video retina or cortex; its parameters and seed are the row, its arrays are regenerated."""
    recordings = simulated.simulate_video(config, seed).recordings
    row = {
        "kind": "simulated_video",
        "simulation": config.resolved(),
        "simulation_seed": seed,
        "species": "simulated",
    }
    _register(name, recordings, row)


def register_h5_folder(
    name: str, folder: Path, split: data.MovieSplit, *, frame_rate: float, species: str = ""
) -> tuple[str, ...]:
    """Register openretina's neutral folder of movies.

    Parameters
    ----------
    name : str
        Of the dataset.
    folder : Path
        With ``stimuli/`` and one ``.h5`` file per session.
    split : MovieSplit
        Which movies test a network, and how the others become clips.
    frame_rate : float
        Frames per second, Hz.
    species : str
        For example 'mouse'.

    Returns
    -------
    tuple of str
        What the registrant should know of the files (`decortex.data.check_responses`).

    Raises
    ------
    DatasetError
        If the folder is not complete, or the name is taken by other recordings. Nothing is registered then.
    """
    recordings = data.open_h5_folder(folder, split, frame_rate=frame_rate)
    notes = (*data.check_responses(recordings), *data.check_images(recordings))
    row = {
        "kind": "h5_folder",
        "location": str(folder.resolve()),
        "species": species,
        "simulation": split.resolved(),
    }
    _register(name, recordings, row)
    return notes


def register_folder(
    name: str,
    folder: Path,
    *,
    species: str = "",
    behaviour: Sequence[str] = (),
    frame_rate: float | None = None,
) -> tuple[str, ...]:
    """Register a folder of FileTreeDataset sessions, of images or of movies.

    Parameters
    ----------
    name : str
        Of the dataset.
    folder : Path
        One session, or sessions.
    species : str
        For example 'mouse'.
    behaviour : sequence of str
        Folders of ``data`` whose vectors become image channels, see `decortex.data.open_filetree`.
    frame_rate : float, optional
        Of movies: frames per second, Hz, where no ``config.json`` says it.

    Returns
    -------
    tuple of str
        What the registrant should know of the files (`decortex.data.check_responses`).

    Raises
    ------
    DatasetError
        If the folder is not complete, or the name is taken by other recordings. Nothing is registered then.
    """
    recordings = data.open_filetree(folder, behaviour=behaviour, frame_rate=frame_rate)
    notes = (*data.check_responses(recordings), *data.check_images(recordings))
    row = {
        "kind": "filetree",
        "location": str(folder.resolve()),
        "species": species,
        "behaviour": ([behaviour] if isinstance(behaviour, str) else list(behaviour)) or None,
    }
    _register(name, recordings, row)
    return notes


def insert_neurons(
    row: dict[str, Any],
    readout: checkpoints.CheckpointReadout,
    neurons: Sequence[Mapping[str, Any]] | None = None,
    trials: Mapping[str, float] | None = None,
) -> None:
    """Insert a checkpoint's neurons as a dataset; the caller holds the transaction.

    Parameters
    ----------
    row : dict
        Columns of `Dataset` beside those that the checkpoint gives.
    readout : CheckpointReadout
        Its neurons.
    neurons : sequence of mapping, optional
        Columns of `Dataset.Neuron` beside those that the checkpoint gives, one mapping a neuron.
    trials : mapping, optional
        Columns of `Dataset.Session` that count trials, the same for every session; default: none.
    """
    name = {"dataset": row["dataset"]}
    names, counts = np.unique(readout.session, return_counts=True)
    none = {"n_train": 0, "n_validation": 0, "n_test": 0, "n_repeats": 0.0}
    place = readout.cortical
    columns = {
        "n_neurons": len(readout.embedding),
        "content_sha256": readout.sha256,
        "neuron_order_sha256": checkpoint_order_sha256(readout),
        **row,
    }
    insert_fitting(Dataset(), [columns])
    sessions = (
        {**none, **(trials or {}), **name, "session": str(session), "session_neurons": int(count)}
        for session, count in zip(names, counts, strict=True)
    )
    insert_fitting(Dataset.Session(), sessions)
    rows = (
        {
            **name,
            **_UNKNOWN,
            "neuron_idx": i,
            "session": str(readout.session[i]),
            "unit_id": int(readout.index[i]),
            "x": None if place is None else float(place[i, 0]),
            "y": None if place is None else float(place[i, 1]),
            **({} if neurons is None else neurons[i]),
        }
        for i in range(len(readout.embedding))
    )
    insert_fitting(Dataset.Neuron(), rows)


# Columns of `Dataset.Neuron` that a checkpoint does not tell.
_UNKNOWN = {"animal": "", "scan": 0, "area": "", "z": None, "true_type": None, "recorded_idx": None}


def checkpoint_order_sha256(readout: checkpoints.CheckpointReadout) -> str:
    """Digest of a checkpoint's neurons in order: session and place in it."""
    identities = "".join(f"{s}\x1f{i}\x1e" for s, i in zip(readout.session, readout.index, strict=True))
    return hashlib.sha256(identities.encode()).hexdigest()


def _register(name: str, recordings: data.Recordings, row: dict[str, Any]) -> None:
    if is_registered(name, recordings.content_sha256, recordings.neuron_order_sha256):
        return
    with schema.connection.transaction:
        columns = {
            "dataset": name,
            "n_neurons": recordings.n_neurons,
            "image_shape": list(recordings.image_shape),
            "frame_rate": recordings.frame_rate,
            "content_sha256": recordings.content_sha256,
            "neuron_order_sha256": recordings.neuron_order_sha256,
            **row,
        }
        insert_fitting(Dataset(), [columns])
        insert_fitting(Dataset.Session(), _session_rows(name, recordings))
        insert_fitting(Dataset.Neuron(), _neuron_rows(name, recordings))


def is_registered(name: str, content: str, order: str) -> bool:
    """Whether a dataset of this name holds exactly this.

    Raises
    ------
    DatasetError
        If the name is too long, or taken by something else.
    """
    if not name or len(name) > 64:
        raise DatasetError(f"a dataset's name has 1 to 64 characters, got {len(name)}.")
    try:
        check_store_path(f"{AREA}/{schema.database}/dataset={encode_pk_value(name)}/file")
    except (InputError, UnicodeEncodeError):
        raise DatasetError(
            f"the name {name!r} makes no name of a folder, in which the store keeps the dataset's files: expected "
            f"printable characters, at most {LONGEST_PART} bytes in UTF-8 (of marks such as / and :, three for each "
            "byte of the name). Choose another name."
        ) from None
    found = (Dataset & {"dataset": name}).to_dicts()
    if not found:
        return False
    if (found[0]["content_sha256"], found[0]["neuron_order_sha256"]) != (content, order):
        raise DatasetError(
            f"the name {name!r} is taken by other recordings (registered {found[0]['registered_at']}, "
            f"content {found[0]['content_sha256'][:12]}, not {content[:12]}). Choose another name."
        )
    return True


def _session_rows(name: str, recordings: data.Recordings) -> list[dict[str, Any]]:
    rows = []
    for session in recordings.sessions:
        test = session.image_ids[session.trials("test")]
        rows.append(
            {
                "dataset": name,
                "session": session.name,
                "session_neurons": session.n_neurons,
                **{f"n_{tier}": len(session.trials(tier)) for tier in ("train", "validation", "test")},
                "n_frames": None
                if session.n_frames is None
                else int(session.n_frames[np.isin(session.tiers, data.TIERS)].sum()),
                "n_repeats": len(test) / max(len(np.unique(test)), 1),
            }
        )
    return rows


def _neuron_rows(name: str, recordings: data.Recordings) -> list[dict[str, Any]]:
    sessions = np.repeat([s.name for s in recordings.sessions], [s.n_neurons for s in recordings.sessions])
    rows: list[dict[str, Any]] = []
    for i, neuron in enumerate(recordings.neurons.to_dict("records")):
        places = {axis: float(neuron[axis]) for axis in ("x", "y", "z") if neuron.get(axis) is not None}
        rows.append(
            {
                "dataset": name,
                "neuron_idx": i,
                "session": str(sessions[i]),
                "unit_id": int(neuron["unit_id"]),
                "animal": str(neuron["animal"]),
                "scan": int(neuron["scan"]),
                "area": str(neuron["area"]),
                "true_type": None if recordings.truth is None else int(recordings.truth[i]),
                **{"x": None, "y": None, "z": None, **places},
            }
        )
    return rows
