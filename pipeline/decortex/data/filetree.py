"""Opening FileTreeDataset folders, the layout of Sensorium and neuralpredictors. Reading only.

A session is a folder with ``data/images/<i>.npy`` or ``data/videos/<i>.npy``, ``data/responses/<i>.npy``,
``meta/trials/*.npy`` and ``meta/neurons/*.npy``; docs/how-to/data.md says what is required and what every error means.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from decortex.data.checks import check_responses
from decortex.data.filetree_files import content_sha256, read_links, session_folders, trial_files
from decortex.data.filetree_meta import read_neurons, read_tiers, read_truth
from decortex.data.image_ids import read_image_ids
from decortex.data.npy import NUMBERS, read_array, read_header, single_precision
from decortex.data.recordings import TIERS, Recordings, Session
from decortex.data.tables import names_of
from decortex.data.video import open_video_session, read_frame_rate
from decortex.errors import DatasetError

# check_responses belongs to opening: whoever registers a folder opens it and then checks it
__all__ = ["FileTreeTrials", "check_responses", "content_sha256", "open_filetree", "session_folders"]


# A last axis as short as this, behind two longer ones, is that of colours.
_MOST_COLOURS = 4


@dataclass(frozen=True)
class FileTreeTrials:
    """Trials that lie in a folder, one .npy file each, and are read when asked.

    Parameters
    ----------
    folder : Path
        Folder of the files.
    names : tuple of str
        File names in the order of the trials.
    shape : tuple of int
        Shape of one trial; a file of another shape with as many numbers (an image without its channel axis)
        is reshaped.
    """

    folder: Path
    names: tuple[str, ...]
    shape: tuple[int, ...]

    def __len__(self) -> int:
        """Return the number of trials."""
        return len(self.names)

    def read(self, trials: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the arrays of these trials, stacked: (len(trials), *shape), float32."""
        out = np.empty((len(trials), *self.shape), dtype=np.float32)
        for place, trial in enumerate(trials):
            path = self.folder / self.names[trial]
            values = read_array(path)
            if values.size != out[place].size:
                raise DatasetError(
                    f"{path} now has shape {values.shape}, {self.shape} when the folder was opened."
                    " Do not change a folder in use; open it again."
                )
            out[place] = single_precision(values).reshape(self.shape)
        return out


@dataclass(frozen=True)
class ImagesWithBehaviour:
    """Images with what the animal did beside them, as channels that are constant over an image (Sensorium 2022).

    Parameters
    ----------
    images : FileTreeTrials
        Images, (channels, height, width).
    behaviour : tuple of FileTreeTrials
        A vector per trial each; their values become the last channels, in this order.
    """

    images: FileTreeTrials
    behaviour: tuple[FileTreeTrials, ...]

    def __len__(self) -> int:
        """Return the number of trials."""
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one trial, channels of behaviour included."""
        channels, height, width = self.images.shape
        return channels + sum(one.shape[0] for one in self.behaviour), height, width

    def read(self, trials: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return images with their behaviour, stacked: (len(trials), channels, height, width), float32."""
        out = np.empty((len(trials), *self.shape), dtype=np.float32)
        n_image_channels = self.images.shape[0]
        out[:, :n_image_channels] = self.images.read(trials)
        values = np.concatenate([one.read(trials) for one in self.behaviour], axis=1)
        out[:, n_image_channels:] = values[:, :, None, None]
        return out


def open_filetree(
    path: Path, *, behaviour: Sequence[str] = (), frame_rate: float | None = None
) -> Recordings:
    """Open a folder that is one session, or that holds several (taken in the order of their names).

    Opening reads the metadata, every file's header and the images of the trials that are used, once: their pixels
    say which trials are repeats (`decortex.data.image_ids`). `decortex.data.checks` does a full pass. The content
    digest is computed when first read (it reads every file once). Sessions with ``data/videos`` show clips: their
    videos are read once, because equal content is what makes a repeat.

    Parameters
    ----------
    path : Path
        A session's folder, or a folder of such folders.
    behaviour : sequence of str
        Folders of ``data`` whose vectors (one per trial) become channels behind those of the images, for example
        ``('behavior', 'pupil_center')``. A shifter takes the last two channels for the pupil's x and y. Of videos
        these are (n_values, n_frames) per trial and vary over its frames.
    frame_rate : float, optional
        Of videos: frames per second, where no session's ``config.json`` says it.

    Returns
    -------
    Recordings
        Sessions are called like their folders. ``truth`` is set where every session has
        ``meta/neurons/functional_type.npy`` (simulated data).

    Raises
    ------
    DatasetError
        If the folder is not what it should be; the message names the folder, the fault and the remedy.
    """
    path = Path(os.path.abspath(path))  # the current directory may change before the trials are read
    behaviour = names_of(behaviour, "behaviour")
    folders = session_folders(path)
    shows_clips = {(folder / "data" / "videos").is_dir() for folder in folders}
    if len(shows_clips) > 1:
        raise DatasetError(
            f"the sessions of {path} should all show images or all show movies, but some have data/images and"
            " others data/videos. Open them as two data sets."
        )
    if shows_clips == {True}:
        rate = read_frame_rate(folders, frame_rate)
        opened = [open_video_session(folder, behaviour) for folder in folders]
    else:
        if frame_rate is not None and any((folder / "data" / "images").is_dir() for folder in folders):
            raise DatasetError(
                f"{path} shows images, which have no frame rate, but {frame_rate} Hz was given."
            )
        rate = None
        opened = [_open_session(folder, behaviour) for folder in folders]
    shape = opened[0][1]
    for session, session_shape in opened:
        if session_shape != shape:
            raise DatasetError(
                f"all sessions of {path} should have images of one shape, but {opened[0][0].name!r} has"
                f" {shape} and {session.name!r} has {session_shape}. Resample them, or open the folders one by one."
            )
    truths = [
        read_truth(folder, session.n_neurons) for folder, (session, _) in zip(folders, opened, strict=True)
    ]
    known = [truth for truth in truths if truth is not None]
    return Recordings(
        sessions=[session for session, _ in opened],
        image_shape=shape,
        content_sha256=partial(_content, path, behaviour, rate),
        truth=np.concatenate(known) if len(known) == len(truths) else None,
        frame_rate=rate,
    )


def _content(path: Path, behaviour: tuple[str, ...], frame_rate: float | None) -> str:
    """Digest of what is read: of the files, of what was made channels, and of the frame rate."""
    files = content_sha256(path)
    if frame_rate is not None:
        return hashlib.sha256(json.dumps([files, frame_rate, *behaviour]).encode()).hexdigest()
    if not behaviour:
        return files
    return hashlib.sha256(json.dumps([files, *behaviour]).encode()).hexdigest()


def _open_session(root: Path, behaviour: tuple[str, ...]) -> tuple[Session, tuple[int, int, int]]:
    links = read_links(root)
    n_images, n_responses = (len(trial_files(root, key, links)[1]) for key in ("images", "responses"))
    if n_images != n_responses:
        raise DatasetError(
            f"{root} should hold as many images as responses, but has {n_images} images and"
            f" {n_responses} responses. Export the session again or remove the surplus trials."
        )
    tiers = read_tiers(root, n_images)
    used = np.isin(tiers, TIERS)
    if not used.any():
        raise DatasetError(
            f"{root}/meta/trials/tiers.npy should name trials of {', '.join(TIERS)}, but it only has"
            f" {', '.join(sorted(set(tiers.tolist()))[:8])}."
        )
    images, responses = _trials(root, "images", links, used), _trials(root, "responses", links, used)
    neurons = read_neurons(root)
    if responses.shape != (len(neurons),):
        raise DatasetError(
            f"{root}: a response should have one value per neuron, ({len(neurons)},) by"
            f" meta/neurons/unit_ids.npy, but the files of data/responses have shape {responses.shape}."
        )
    shape = _image_shape(images)
    shown = FileTreeTrials(images.folder, images.names, shape)
    channels: FileTreeTrials | ImagesWithBehaviour = shown
    if behaviour:
        beside = tuple(_behaviour(root, key, links, used) for key in behaviour)
        channels = ImagesWithBehaviour(shown, beside)
        shape = channels.shape
    image_ids, notes = read_image_ids(root, shown, used)  # repeats of an image, whatever the animal did
    session = Session(
        name=root.name,
        images=channels,
        responses=responses,
        tiers=tiers,
        image_ids=image_ids,
        neurons=neurons,
        notes=notes,
    )
    return session, shape


def _behaviour(root: Path, key: str, links: dict[str, str], used: NDArray[np.bool_]) -> FileTreeTrials:
    if Path(key).name != key or key in ("images", "responses"):
        raise DatasetError(
            f"behaviour should be named by a folder of data/, for example 'behavior' or 'pupil_center', not {key!r}."
        )
    n_trials = len(trial_files(root, key, links)[1])
    if n_trials != len(used):
        raise DatasetError(
            f"{root} should hold as many trials of {key} as images, but has {n_trials} and {len(used)}."
            " Export the session again or remove the surplus trials."
        )
    found = _trials(root, key, links, used)
    if len(found.shape) == 2 and 1 in found.shape:
        n_values = max(found.shape)
        raise DatasetError(
            f"{found.folder}: behaviour should be a vector per trial, these are arrays of shape {found.shape}. If they"
            f" are {n_values} values of one trial, save values.ravel(), shape ({n_values},); if one value at {n_values}"
            " times, save its mean over them, shape (1,)."
        )
    if len(found.shape) != 1:
        raise DatasetError(
            f"{found.folder}: behaviour should be a vector per trial, these are arrays of shape {found.shape}"
            " (of videos?). Average them over the trial's time."
        )
    return found


def _trials(root: Path, key: str, links: dict[str, str], used: NDArray[np.bool_]) -> FileTreeTrials:
    folder, names = trial_files(root, key, links)
    kept = tuple(name for name, use in zip(names, used.tolist(), strict=True) if use)
    return FileTreeTrials(folder, names, _one_shape(folder, kept))


def _one_shape(folder: Path, names: tuple[str, ...]) -> tuple[int, ...]:
    """Shape of the files of trials that are used; those of others (another class of stimuli) may differ."""
    first = read_header(folder / names[0]).shape
    for name in names:
        header = read_header(folder / name)
        if header.shape != first:
            raise DatasetError(
                f"all files of {folder} should have one shape, but {names[0]} has {first} and {name} has"
                f" {header.shape}."
            )
        if header.dtype.kind not in NUMBERS:
            raise DatasetError(f"{folder / name} should hold real numbers, but holds {header.dtype}.")
    return first


def _image_shape(images: FileTreeTrials) -> tuple[int, int, int]:
    if len(images.shape) == 2:
        return (1, *images.shape)
    if len(images.shape) == 3:
        _, height, width = images.shape
        if width <= _MOST_COLOURS < min(images.shape[:2]):
            raise DatasetError(
                f"{images.folder}: an image should be (channels, height, width), but {images.shape} looks like (height,"
                f" width, channels): a network would see {images.shape[0]} channels of {height} x {width} pixels. Save"
                " np.moveaxis(image, -1, 0)."
            )
        return images.shape
    raise DatasetError(
        f"{images.folder}: an image should be (channels, height, width) or (height, width), these are"
        f" {images.shape}."
    )
