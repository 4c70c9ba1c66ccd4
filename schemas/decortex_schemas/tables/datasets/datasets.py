"""Datasets: recordings by name, with every neuron's identity. Arrays stay where they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import datajoint as dj
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decortex import data
from decortex.config import canonical_json
from decortex.data import simulation as simulated
from decortex.errors import DatasetError
from decortex_schemas.database import schema

# Kinds of datasets that another module opens, because their recordings rest on tables further down the chain.
OPENERS: dict[str, Callable[[dict[str, Any]], data.Recordings]] = {}
OWN_KIND = "own"  # a network's own responses


# By the kind of a dataset, in words that belong beside every score on it.
SCORED_AGAINST = {
    "simulated": "simulated recordings",
    "simulated_video": "simulated recordings",
    "filetree": "recordings",
    "h5_folder": "recordings",
    "mapped": "recordings",
    "own": "the original model",
    "null": "responses drawn from a network",
    "neurons_only": "nothing: no recordings",
}


@schema
class Dataset(dj.Manual):
    """A set of recordings whose neurons are clustered together."""

    definition = """
    # A set of recordings whose neurons are clustered together
    dataset : varchar(64)
    ---
    kind : varchar(24)                 # 'simulated', 'simulated_video', 'filetree' (images or movies), 'h5_folder'
                                       # (movies), 'neurons_only', 'mapped' (a network's neurons, some of them
                                       # recorded), 'own' (a network's own responses), 'null' (drawn)
    location = null : varchar(1024)    # folder of FileTreeDataset sessions
    simulation = null : json           # resolved SimulationConfig or VideoSimulationConfig; of 'h5_folder' MovieSplit
    simulation_seed = null : int32
    frame_rate = null : float64        # of movies: frames per second, Hz; null: images
    behaviour = null : json            # folders of data/ whose vectors are image channels, in their order
    species = '' : varchar(32)
    recorded_in = null : varchar(64)   # of 'mapped': dataset that holds the recordings
    n_neurons : int32
    image_shape = null : json          # channels, height, width
    content_sha256 : char(64)          # of everything a result can depend on
    neuron_order_sha256 : char(64)     # of the neurons' identities in order
    registered_at = CURRENT_TIMESTAMP : datetime
    """

    class Session(dj.Part):
        """One recording session."""

        definition = """
        -> master
        session : varchar(96)
        ---
        session_neurons : int32
        n_train : int32
        n_validation : int32
        n_test : int32
        n_repeats : float64            # mean showings of a test image
        n_frames = null : int64        # of movies: frames over the clips of these trials
        """

    class Neuron(dj.Part):
        """One neuron; ``neuron_idx`` is its index in every per-neuron array."""

        definition = """
        -> master
        neuron_idx : int32
        ---
        -> Dataset.Session
        unit_id : int64
        animal = '' : varchar(64)
        scan = 0 : int32
        area = '' : varchar(32)
        x = null : float64             # micrometres
        y = null : float64
        z = null : float64
        true_type = null : int16       # known for simulated neurons only
        recorded_idx = null : int32    # of 'mapped': its neuron_idx in recorded_in; null: no recording
        """


def load_recordings(dataset: str) -> data.Recordings:
    """Open a dataset's recordings and check that they are the ones that were registered.

    Raises
    ------
    DatasetError
        If the dataset is unknown, has no recordings, or its neurons are no longer the registered ones.
    """
    found = (Dataset & {"dataset": dataset}).to_dicts()
    if not found:
        raise DatasetError(f"no dataset {dataset!r} is registered; `decortex register dataset` does.")
    row = found[0]
    opener = _opener(row["kind"])
    if opener is not None:
        return opener(row)
    if row["kind"] == "neurons_only":
        raise DatasetError(f"dataset {dataset!r} holds neurons only, no recordings: it cannot be predicted.")
    if row["kind"] == "mapped":
        raise DatasetError(
            f"dataset {dataset!r} holds a network's neurons, some of which {row['recorded_in']!r} recorded: networks"
            " are scored on them, but not trained. Train on the recordings' own dataset."
        )
    recordings = _open(
        row["kind"],
        row["location"],
        canonical_json(row["simulation"]),
        row["simulation_seed"],
        tuple(row["behaviour"] or ()),
        row["frame_rate"],
    )
    if recordings.content_sha256 != row["content_sha256"]:
        _open.cache_clear()  # the folder may be repaired while this process lives
    if recordings.neuron_order_sha256 != row["neuron_order_sha256"]:
        raise DatasetError(
            f"the neurons of dataset {dataset!r} at {row['location']} are not those that were registered "
            f"on {row['registered_at']}. Restore the folder, or register the new one under another name."
        )
    if recordings.content_sha256 != row["content_sha256"]:
        raise DatasetError(
            f"the content of dataset {dataset!r} is not what was registered on {row['registered_at']} "
            f"(sha256 {recordings.content_sha256[:12]}, not {row['content_sha256'][:12]}). Restore the files, "
            "or register the new ones under another name."
        )
    return recordings


def _opener(kind: str) -> Callable[[dict[str, Any]], data.Recordings] | None:
    """What opens a kind of dataset whose recordings rest on tables further down the chain; None for others."""
    return OPENERS.get(kind)


def mapped_recordings(dataset: str) -> tuple[data.Recordings, NDArray[np.int64]]:
    """Recordings of a network's neurons, and which neuron was recorded as which.

    Returns
    -------
    recordings : Recordings
        Of the dataset that holds them.
    places : ndarray of int64, shape (n_neurons,)
        Place of each neuron of ``dataset`` among those of the recordings; -1: no recording.
    """
    recorded_in = (Dataset & {"dataset": dataset}).fetch1("recorded_in")
    if recorded_in is None:
        recordings = load_recordings(dataset)
        return recordings, np.arange(recordings.n_neurons, dtype=np.int64)
    found = (Dataset.Neuron & {"dataset": dataset}).to_arrays("recorded_idx", order_by="neuron_idx")
    places = np.array([-1 if pd.isna(place) else int(place) for place in found], dtype=np.int64)
    return load_recordings(str(recorded_in)), places


def scored_against(dataset: str) -> str:
    """What scores on a dataset are scores against, in words that belong beside every one of them."""
    return SCORED_AGAINST[(Dataset & {"dataset": dataset}).fetch1("kind")]


def true_types(dataset: str) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """Known functional type of every neuron, in order; None where nobody knows."""
    types = neuron_column(dataset, "true_type")
    if pd.isna(types).any():
        return None
    return np.asarray(types, dtype=np.int64)


def sessions_of(dataset: str) -> np.ndarray[Any, np.dtype[np.str_]]:
    """Session of every neuron, in order."""
    return np.array(neuron_column(dataset, "session"), dtype=str)


def neuron_column(dataset: str, column: str) -> NDArray[Any]:
    """One column of `Dataset.Neuron` in order, read-only; read once per process, for neurons never change.

    Parameters
    ----------
    dataset : str
    column : str
        For example 'animal'.
    """
    registered = ("content_sha256", "neuron_order_sha256", "registered_at")
    found = (Dataset & {"dataset": dataset}).proj(*registered).to_dicts()
    # A dataset that was deleted and registered anew is another one, and so is one of another database.
    facts = tuple(str(found[0][name]) for name in registered) if found else ()
    return _neuron_column(schema.database, dataset, facts, column)


@lru_cache(maxsize=16)
def _neuron_column(database: str, dataset: str, facts: tuple[str, ...], column: str) -> NDArray[Any]:
    values: NDArray[Any] = (Dataset.Neuron & {"dataset": dataset}).to_arrays(column, order_by="neuron_idx")
    values.setflags(write=False)
    return values


@lru_cache(maxsize=2)
def _open(
    kind: str,
    location: str | None,
    simulation: str,
    seed: int | None,
    behaviour: tuple[str, ...],
    frame_rate: float | None,
) -> data.Recordings:
    if kind == "simulated":
        config = simulated.SimulationConfig.model_validate_json(simulation)
        return simulated.simulate(config, int(seed or 0))
    if kind == "simulated_video":
        video = simulated.VideoSimulationConfig.model_validate_json(simulation)
        return simulated.simulate_video(video, int(seed or 0)).recordings
    if kind == "h5_folder":
        split = data.MovieSplit.model_validate_json(simulation)
        return data.open_h5_folder(Path(str(location)), split, frame_rate=float(frame_rate or 0.0))
    return data.open_filetree(Path(str(location)), behaviour=behaviour, frame_rate=frame_rate)
