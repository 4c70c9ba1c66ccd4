"""Writing recordings as FileTreeDataset folders, whole or not at all. No reading."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.data.recordings import Recordings, Session
from decortex.errors import DatasetError

_CHUNK_TRIALS = 256


def write_filetree(recordings: Recordings, out: Path) -> None:
    """Write recordings as a folder with one FileTreeDataset folder per session.

    The inverse of `decortex.data.filetree.open_filetree`. The folder appears under its name only when it is
    complete. What was read from another folder keeps its content, not its bytes: float32 is written,
    statistics are computed anew, and what decortex does not read (behaviour, pupil) is not copied.

    Parameters
    ----------
    recordings : Recordings
        What to write; ``truth``, if any, goes into ``meta/neurons/functional_type.npy``.
    out : Path
        Folder to create; it may exist if it is empty.

    Raises
    ------
    DatasetError
        If the folder exists and is not empty, or a session's name cannot be a folder's.
    """
    for session in recordings.sessions:
        if Path(session.name).name != session.name:
            raise DatasetError(f"session {session.name!r} cannot name a folder; rename it without '/'.")
    with new_folder(out) as folder:
        for session in recordings.sessions:
            truth = None
            if recordings.truth is not None:
                truth = recordings.truth[recordings.slices[session.name]]
            write_session(session, folder / session.name, truth=truth, frame_rate=recordings.frame_rate)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``out`` that takes its name if the block ends well, else vanishes.

    Raises
    ------
    DatasetError
        If ``out`` exists and is not an empty folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(
            f"{out} should be a new or empty folder, but it is not empty. Choose another name or remove it."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        temporary.chmod(0o755)  # mkdtemp makes it private; data sets are shared
        yield temporary
        try:
            temporary.rename(out)  # replaces an empty folder, and nothing else
        except OSError as error:
            raise DatasetError(
                f"{out} was filled by somebody else in the meantime ({error.strerror}); what is there was kept."
            ) from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_session(
    session: Session,
    root: Path,
    *,
    truth: NDArray[np.int64] | None = None,
    frame_rate: float | None = None,
) -> None:
    """Write one session's folder: trials, metadata, statistics over all trials (of images), config.json.

    Clips are written with their time last, each at its own length, and the frame rate goes into config.json.
    """
    shown = "images" if session.n_frames is None else "videos"
    for key, trials in ((shown, session.images), ("responses", session.responses)):
        folder = root / "data" / key
        folder.mkdir(parents=True)
        for chunk in session.stacks(
            np.arange(len(trials)), 4 if session.n_frames is not None else _CHUNK_TRIALS
        ):
            for trial, values in zip(chunk, trials.read(chunk), strict=True):
                np.save(folder / f"{trial}.npy", values if session.n_frames is None else _time_last(values))
    _save(
        root / "meta" / "trials",
        tiers=session.tiers.astype(np.str_),
        frame_image_id=session.image_ids,
        trial_idx=np.arange(session.n_trials),
    )
    neurons = session.neurons
    names = neurons["session"].to_numpy().astype(np.str_)
    columns: dict[str, NDArray[Any]] = {
        "unit_ids": neurons["unit_id"].to_numpy(np.int64),
        "animal_ids": neurons["animal"].to_numpy().astype(np.str_),
        # the field's recording numbers are integers
        "sessions": names.astype(np.int64) if np.char.isdecimal(names).all() else names,
        "scan_idx": neurons["scan"].to_numpy(np.int64),
        "area": neurons["area"].to_numpy().astype(np.str_),
    }
    if {"x", "y", "z"} <= set(neurons):
        columns["cell_motor_coordinates"] = neurons[["x", "y", "z"]].to_numpy(np.float64)
    if truth is not None:
        columns["functional_type"] = truth
    _save(root / "meta" / "neurons", **columns)
    if session.n_frames is None:
        every = np.arange(session.n_trials)
        write_statistics(root, "images", session.images.read(every), axis=None)
        write_statistics(root, "responses", session.responses.read(every), axis=0)
    config: dict[str, Any] = {"links": {}}
    if frame_rate is not None:
        config["frame_rate"] = frame_rate
    (root / "config.json").write_text(json.dumps(config))


def _time_last(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a clip as (height, width, n_frames), (channels, ...) in front if several; traces as (values, n_frames)."""
    if values.ndim == 2:
        return np.ascontiguousarray(values.T)
    moved = np.moveaxis(values, 1, -1)
    return np.ascontiguousarray(moved[0] if len(moved) == 1 else moved)


def write_statistics(root: Path, key: str, values: NDArray[np.float32], *, axis: int | None) -> None:
    """Write mean, std, min, max, median over all trials: of all pixels (axis None) or a neuron (axis 0)."""
    statistics = {
        "mean": np.mean(values, axis=axis, dtype=np.float64),
        "std": np.std(values, axis=axis, dtype=np.float64),
        "min": np.min(values, axis=axis),
        "max": np.max(values, axis=axis),
        "median": np.median(values, axis=axis),
    }
    _save(
        root / "meta" / "statistics" / key / "all",
        **{name: np.asarray(value, dtype=np.float32) for name, value in statistics.items()},
    )


def _save(folder: Path, **arrays: NDArray[np.generic]) -> None:
    folder.mkdir(parents=True)
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
