"""Opening FileTreeDataset folders, the layout of Sensorium and neuralpredictors. Reading only.

A session is a folder with ``data/images/<i>.npy``, ``data/responses/<i>.npy``, ``meta/trials/*.npy`` and
``meta/neurons/*.npy``; docs/data.md says what is required and what every error means.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from decortex.data.checks import check_responses
from decortex.data.filetree_meta import read_image_ids, read_neurons, read_tiers, read_truth
from decortex.data.npy import NUMBERS, read_array, read_header
from decortex.data.recordings import TIERS, Recordings, Session
from decortex.errors import DatasetError

# check_responses belongs to opening: whoever registers a folder opens it and then checks it
__all__ = ["FileTreeTrials", "check_responses", "content_sha256", "open_filetree", "session_folders"]

_CHUNK = 1 << 20


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
            out[place] = values.reshape(self.shape)
        return out


@dataclass(frozen=True)
class ImagesWithBehaviour:
    """Images with what the animal did beside them, as channels that are constant over an image (Sensorium 2022).

    Parameters
    ----------
    images : FileTreeTrials
        Images, (channels, height, width).
    behaviour : tuple of FileTreeTrials
        A vector a trial each; their values become the last channels, in this order.
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


def open_filetree(path: Path, *, behaviour: Sequence[str] = ()) -> Recordings:
    """Open a folder that is one session, or that holds several (taken in the order of their names).

    Opening reads the metadata and every file's header, not its values; `decortex.data.checks` does a full
    pass. The content digest is computed when first read (it reads every file once).

    Parameters
    ----------
    path : Path
        A session's folder, or a folder of such folders.
    behaviour : sequence of str
        Folders of ``data`` whose vectors (one a trial) become channels behind those of the images, for example
        ``('behavior', 'pupil_center')``. A shifter takes the last two channels for the pupil's x and y.

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
    folders = session_folders(path)
    opened = [_open_session(folder, tuple(behaviour)) for folder in folders]
    shape = opened[0][1]
    for session, own in opened:
        if own != shape:
            raise DatasetError(
                f"all sessions of {path} should have images of one shape, but {opened[0][0].name!r} has"
                f" {shape} and {session.name!r} has {own}. Resample them, or open the folders one by one."
            )
    truths = [
        read_truth(folder, session.n_neurons) for folder, (session, _) in zip(folders, opened, strict=True)
    ]
    known = [truth for truth in truths if truth is not None]
    return Recordings(
        sessions=[session for session, _ in opened],
        image_shape=shape,
        content_sha256=partial(_content, path, tuple(behaviour)),
        truth=np.concatenate(known) if len(known) == len(truths) else None,
    )


def session_folders(path: Path) -> list[Path]:
    """Return the session folders of a data set: the folder itself, or its subfolders sorted by name.

    Raises
    ------
    DatasetError
        If the path is no folder or holds no session.
    """
    if not path.is_dir():
        what = "is a file; unpack it first" if path.exists() else "does not exist"
        raise DatasetError(f"a data set should be a folder, but {path} {what}.")
    if _is_session(path):
        return [path]
    inside = sorted(child for child in path.iterdir() if not child.name.startswith("."))
    found = [child for child in inside if child.is_dir() and _is_session(child)]
    if not found:
        seen = ", ".join(child.name for child in inside[:8]) or "nothing"
        raise DatasetError(
            f"{path} should be a session (a folder with data/ and meta/) or hold sessions, but it holds"
            f" {seen}. Unpack archives first; see docs/data.md for the layout."
        )
    return found


def content_sha256(path: Path) -> str:
    """Digest of all files of a data set: sha256 over their sorted relative paths and contents.

    Hidden files, and files outside the sessions, do not count; nor do the absolute path, dates and access
    rights. Reads every file once.
    """
    digest = hashlib.sha256()
    for name, file in sorted(_files(path)):
        # the lengths keep (name, content) pairs apart: no two folders give one stream
        digest.update(f"{len(name.encode())}:{name}:{file.stat().st_size}:".encode())
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def _content(path: Path, behaviour: tuple[str, ...]) -> str:
    """Digest of what is read: with behaviour, of the files and of what was made channels."""
    files = content_sha256(path)
    if not behaviour:
        return files
    return hashlib.sha256(json.dumps([files, *behaviour]).encode()).hexdigest()


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    for folder in session_folders(path):
        for file in folder.rglob("*"):
            relative = file.relative_to(path)
            if file.is_file() and not any(part.startswith(".") for part in relative.parts):
                yield relative.as_posix(), file


def _is_session(folder: Path) -> bool:
    return (folder / "data").is_dir() or (folder / "meta").is_dir()


def _open_session(root: Path, behaviour: tuple[str, ...]) -> tuple[Session, tuple[int, int, int]]:
    links = _links(root)
    images, responses = _trials(root, "images", links), _trials(root, "responses", links)
    if len(images) != len(responses):
        raise DatasetError(
            f"{root} should hold as many images as responses, but has {len(images)} images and"
            f" {len(responses)} responses. Export the session again or remove the surplus trials."
        )
    tiers = read_tiers(root, len(images))
    if not np.isin(tiers, TIERS).any():
        raise DatasetError(
            f"{root}/meta/trials/tiers.npy should name trials of {', '.join(TIERS)}, but it only has"
            f" {', '.join(sorted(set(tiers.tolist()))[:8])}."
        )
    neurons = read_neurons(root)
    if responses.shape != (len(neurons),):
        raise DatasetError(
            f"{root}: a response should have one value a neuron, ({len(neurons)},) by"
            f" meta/neurons/unit_ids.npy, but the files of data/responses have shape {responses.shape}."
        )
    shape = _image_shape(images)
    shown = FileTreeTrials(images.folder, images.names, shape)
    channels: FileTreeTrials | ImagesWithBehaviour = shown
    if behaviour:
        beside = tuple(_behaviour(root, key, links, len(shown)) for key in behaviour)
        channels = ImagesWithBehaviour(shown, beside)
        shape = channels.shape
    session = Session(
        name=root.name,
        images=channels,
        responses=responses,
        tiers=tiers,
        image_ids=read_image_ids(root, shown),  # repeats of an image, whatever the animal did
        neurons=neurons,
    )
    return session, shape


def _behaviour(root: Path, key: str, links: dict[str, str], n_trials: int) -> FileTreeTrials:
    if Path(key).name != key or key in ("images", "responses"):
        raise DatasetError(
            f"behaviour should be named by a folder of data/, for example 'behavior' or 'pupil_center', not {key!r}."
        )
    found = _trials(root, key, links)
    if len(found) != n_trials:
        raise DatasetError(
            f"{root} should hold as many trials of {key} as images, but has {len(found)} and {n_trials}."
            " Export the session again or remove the surplus trials."
        )
    if len(found.shape) != 1:
        raise DatasetError(
            f"{found.folder}: behaviour should be a vector a trial, these are arrays of shape {found.shape}"
            " (of videos?). Average them over the trial's time."
        )
    return found


def _links(root: Path) -> dict[str, str]:
    """Return the data keys that config.json stores under another folder's name ("links")."""
    path = root / "config.json"
    if not path.is_file():
        return {}
    try:
        links = json.loads(path.read_text()).get("links", {})
    except (ValueError, AttributeError) as error:
        raise DatasetError(f"{path} should be a JSON object with a key 'links', but: {error}.") from error
    if not isinstance(links, dict) or not all(
        isinstance(name, str) and Path(name).name == name for name in links.values()
    ):
        raise DatasetError(
            f"{path}: 'links' should map data keys to names of folders in data/, it is {links!r}."
        )
    return links


def _trials(root: Path, key: str, links: dict[str, str]) -> FileTreeTrials:
    folder = root / "data" / links.get(key, key)
    if not folder.is_dir():
        others = sorted(child.name for child in (root / "data").glob("*") if child.is_dir())
        hint = " It holds videos: only static images are supported." if "videos" in others else ""
        raise DatasetError(
            f"{root} holds no {key}: the folder data/{folder.name} is missing (data/ has"
            f" {', '.join(others) or 'nothing'}).{hint} A session needs one .npy file a trial there."
        )
    files = {path.stem: path.name for path in folder.glob("*.npy") if not path.name.startswith(".")}
    odd = sorted(stem for stem in files if not stem.isdecimal())
    if odd or not files:
        raise DatasetError(
            f"{folder} should hold one file a trial, 0.npy, 1.npy, ..., but it has"
            f" {', '.join(f'{stem}.npy' for stem in odd[:4]) or 'none'}."
        )
    by_number = {int(stem): name for stem, name in files.items()}
    missing = sorted(set(range(len(files))) - set(by_number))
    if missing:
        raise DatasetError(
            f"{folder} should hold the trials 0 to {len(files) - 1} ({len(files)} files), but"
            f" {missing[0]}.npy is missing. Trials are numbered from 0 without gaps."
        )
    names = tuple(by_number[number] for number in range(len(files)))
    return FileTreeTrials(folder, names, _one_shape(folder, names))


def _one_shape(folder: Path, names: tuple[str, ...]) -> tuple[int, ...]:
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
        return images.shape
    raise DatasetError(
        f"{images.folder}: an image should be (channels, height, width) or (height, width), these are"
        f" {images.shape}."
    )
